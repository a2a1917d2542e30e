//! `bridge link`: ports of bridges.

use vnet_netlink::Flags;

use super::super::link::{
    HEADER_BYTES, IFLA_AF_SPEC, IFLA_EXT_MASK, IFLA_MASTER, IFLA_MTU, PORT_STATES, print_flags,
    print_name,
};
use super::super::out::Out;
use super::super::wire::{Attr, Attrs, Object, Request, ifinfomsg, rtm};
use super::super::words::{Read, Words, abbreviates};
use super::super::{Context, failure::Failure};
use super::{AF_BRIDGE, Command, atoi, device, selection, unknown};

const IFLA_PROTINFO: u16 = 12;
const IFLA_BRIDGE_FLAGS: u16 = 0;
const IFLA_BRIDGE_MODE: u16 = 1;
const FLAG_MASTER: u16 = 1;
const FLAG_SELF: u16 = 2;

// `IFLA_BRPORT_*`, linux/if_link.h.
const STATE: u16 = 1;
const PRIORITY: u16 = 2;
const COST: u16 = 3;
const MCAST_ROUTER: u16 = 25;
const BACKUP_PORT: u16 = 34;

/// What is on or off at a port, in the order in which it is shown.
const SWITCHES: &[(u16, &str)] = &[
    (4, "hairpin"),
    (5, "guard"),
    (6, "root_block"),
    (7, "fastleave"),
    (8, "learning"),
    (11, "learning_sync"),
    (9, "flood"),
    (27, "mcast_flood"),
    (30, "bcast_flood"),
    (MCAST_ROUTER, "mcast_router"),
    (28, "mcast_to_unicast"),
    (32, "neigh_suppress"),
    (29, "vlan_tunnel"),
    (BACKUP_PORT, "backup_port"),
    (33, "isolated"),
    (39, "locked"),
];

pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Links(None)) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("set") || is("change") {
        set(words, context)
    } else if is("show") || is("lst") || is("list") {
        Ok(Command::Links(selection(words, context, "dev")?.0))
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown(word, "link", "set, show, help")))
    }
}

fn set(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let (mut dev, mut port, mut flags, mut mode) = (None, Vec::new(), 0, None);
    while let Some(word) = words.take() {
        match word {
            "dev" => dev = Some(words.value()?),
            "cost" => {
                let cost = u32::try_from(atoi(words.value()?)).unwrap_or_default();
                port.extend(Some(cost).filter(|cost| *cost > 0).map(|cost| Attr::u32(COST, cost)));
            }
            "priority" => {
                let priority = u16::try_from(atoi(words.value()?) & 0xffff).unwrap_or_default();
                if priority < 0x8000 {
                    port.push(Attr::u16(PRIORITY, priority));
                }
            }
            "state" => port.push(Attr::u8(STATE, state(words)?)),
            "mcast_router" => {
                let value = u8::try_from(atoi(words.value()?) & 0xff).unwrap_or_default();
                if value < 0x80 {
                    port.push(Attr::u8(MCAST_ROUTER, value));
                }
            }
            "hwmode" => {
                flags = FLAG_SELF;
                mode = match words.value()? {
                    "vepa" => Some(1),
                    "veb" => Some(0),
                    _ => {
                        let line = "Mode argument must be \"vepa\" or \"veb\".";
                        return Err(words.blame(Failure::command(255, line)));
                    }
                };
            }
            "self" => flags |= FLAG_SELF,
            "master" => flags |= FLAG_MASTER,
            "backup_port" => {
                let name = words.value()?;
                match context.world.index(name) {
                    0 => {
                        let line = format!("Error: device {name} does not exist");
                        return Err(words.blame(Failure::command(255, line)));
                    }
                    index => port.push(Attr::u32(BACKUP_PORT, index)),
                }
            }
            "nobackup_port" => port.push(Attr::u32(BACKUP_PORT, 0)),
            word => match SWITCHES.iter().find(|(_, name)| *name == word) {
                Some((attr, name)) => port.push(Attr::u8(*attr, on_off(words, name)?)),
                None => return Ok(Command::Help),
            },
        }
    }
    let Some(dev) = dev else {
        return Err(Failure::command(255, "Device is a required argument."));
    };
    let index = device(dev, context, "bridge device")?;
    let mut request = Request::new(rtm::SETLINK, Flags::NONE, ifinfomsg(AF_BRIDGE, index, 0, 0));
    request.attrs.push(Attr::Nest(IFLA_PROTINFO | Attr::NESTED, port));
    let mut spec = Vec::new();
    if flags != 0 {
        spec.push(Attr::u16(IFLA_BRIDGE_FLAGS, flags));
    }
    spec.extend(mode.map(|mode| Attr::u16(IFLA_BRIDGE_MODE, mode)));
    if !spec.is_empty() {
        request.attrs.push(Attr::Nest(IFLA_AF_SPEC, spec));
    }
    Ok(Command::Change(Box::new(request)))
}

fn on_off(words: &mut Words<'_>, name: &str) -> Read<u8> {
    match words.value()? {
        "on" => Ok(1),
        "off" => Ok(0),
        word => {
            let line = format!(
                "Error: argument of \"{name}\" must be one of \"off\", \"on\", not \"{word}\""
            );
            // It returns -EINVAL, which a shell sees as 234.
            Err(words.blame(Failure::command(234, line)))
        }
    }
}

/// Reads a state of the spanning tree: its word or its number.
pub(super) fn state(words: &mut Words<'_>) -> Read<u8> {
    let word = words.value()?;
    if let Ok(number) = word.parse::<i64>() {
        return Ok(u8::try_from(number & 0xff).unwrap_or_default());
    }
    let found = PORT_STATES.iter().position(|state| *state == word);
    found.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| {
        let failure = Failure::command(255, "Error: invalid STP port state");
        words.blame(failure).hint(format!("states: {}", PORT_STATES.join(", ")))
    })
}

/// Returns the question for all ports.
#[must_use]
pub fn question() -> Request {
    let mut request = Request::new(rtm::GETLINK, Flags::NONE, ifinfomsg(AF_BRIDGE, 0, 0, 0));
    request.attrs.push(Attr::u32(IFLA_EXT_MASK, 1));
    request
}

/// Prints a port, with its line end.
pub fn show(out: &mut Out, link: &Object, context: &mut Context<'_>) {
    let attrs = link.attrs(HEADER_BYTES);
    out.open(None);
    out.deleted(link.kind == rtm::DELLINK);
    out.num("ifindex", "{}: ", link.u32_at(4));
    let down = print_name(out, "{}: ", &attrs, context);
    print_flags(out, link.u32_at(8), down);
    if let Some(mtu) = attrs.u32(IFLA_MTU) {
        out.num("mtu", "mtu {} ", mtu);
    }
    if let Some(master) = attrs.u32(IFLA_MASTER) {
        out.str("master", "master {} ", &context.world.name(master));
    }
    if let Some(port) = attrs.nested(IFLA_PROTINFO) {
        print_port(out, &port, context);
    }
    if let Some(mode) = attrs.nested(IFLA_AF_SPEC).and_then(|spec| spec.u16(IFLA_BRIDGE_MODE)) {
        match mode {
            0 => out.str("hwmode", "hwmode {} ", "VEB"),
            1 => out.str("hwmode", "hwmode {} ", "VEPA"),
            other => out.num_as("hwmode", "hwmode {} ", other, &format!("{other:#x}")),
        }
    }
    out.text("\n");
    out.close();
}

pub(super) fn print_state(out: &mut Out, state: u8) {
    match PORT_STATES.get(usize::from(state)) {
        Some(name) => out.str("state", "state {} ", name),
        None => out.num("state", "state ({}) ", state),
    }
}

fn print_port(out: &mut Out, port: &Attrs<'_>, context: &mut Context<'_>) {
    if let Some(state) = port.u8(STATE) {
        print_state(out, state);
    }
    if let Some(priority) = port.u16(PRIORITY) {
        out.num("priority", "priority {} ", priority);
    }
    if let Some(cost) = port.u32(COST) {
        out.num("cost", "cost {} ", cost);
    }
    if !context.options.details {
        return;
    }
    out.next_line();
    out.text("    ");
    for (attr, word) in SWITCHES {
        match *attr {
            MCAST_ROUTER => {
                if let Some(router) = port.u8(MCAST_ROUTER) {
                    out.num(word, "mcast_router {} ", router);
                }
            }
            BACKUP_PORT => {
                if let Some(index) = port.u32(BACKUP_PORT) {
                    out.str(word, "backup_port {} ", &context.world.name(index));
                }
            }
            attr => {
                if let Some(on) = port.u8(attr) {
                    out.on_off(word, &format!("{word} {{}} "), on != 0);
                }
            }
        }
    }
}
