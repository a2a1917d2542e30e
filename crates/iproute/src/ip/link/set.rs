//! `ip link add`, `set`, `replace` and `delete`: words to one message.

use vnet_netlink::Flags;

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::{Attr, Request, ifinfomsg, rtm};
use super::super::words::{
    Read, Words, abbreviates, hardware_address, integer, is_altname, is_interface_name,
};
use super::select::{read_group, signed};
use super::{Command, kind};

const IFF_UP: u32 = 0x1;
const IFF_NOTRAILERS: u32 = 0x20;
const IFF_NOARP: u32 = 0x80;
const IFF_PROMISC: u32 = 0x100;
const IFF_ALLMULTI: u32 = 0x200;
const IFF_MULTICAST: u32 = 0x1000;
const IFF_DYNAMIC: u32 = 0x8000;

const IFLA_GSO_MAX_SEGS: u16 = 40;
const IFLA_GSO_MAX_SIZE: u16 = 41;

/// What is done to the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Set,
    Replace,
    Delete,
}

/// What is said of an interface.
#[derive(Debug, Default)]
pub(super) struct Settings<'a> {
    pub(super) dev: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) index: Option<u32>,
    pub(super) attrs: Vec<Attr>,
    link: Option<&'a str>,
    group: Option<u32>,
    flags: u32,
    change: u32,
    kind: Option<&'a str>,
}

/// iproute2's words of this place that are not covered.
const MISSING: &[&str] = &[
    "xdp",
    "xdpgeneric",
    "xdpdrv",
    "xdpoffload",
    "vf",
    "protodown",
    "protodown_reason",
    "gro_max_size",
    "parentdev",
];

impl<'a> Settings<'a> {
    /// Reads words as far as `type`, whose name is the last one taken.
    pub(super) fn read(words: &mut Words<'a>, context: &mut Context<'_>) -> Read<Self> {
        let mut settings = Self::default();
        while let Some(word) = words.take() {
            if settings.read_state(words, word)?
                || settings.read_name(words, word)?
                || settings.read_value(words, context, word)?
            {
                continue;
            }
            if abbreviates(word, "type") {
                settings.kind = Some(words.value()?);
                break;
            }
            if MISSING.contains(&word) {
                let failure = Failure::not_covered(&format!("`{word}` of a link"));
                return Err(words.blame(failure));
            }
            let word = if word == "dev" { words.value()? } else { word };
            if settings.dev.is_some() {
                return Err(words.blame(Failure::garbage("dev", word)));
            }
            if !is_altname(word) {
                return Err(words.blame(Failure::invalid("\"dev\" not a valid ifname", word)));
            }
            settings.dev = Some(word);
        }
        match (settings.name, settings.dev) {
            (None, dev) => settings.name = dev,
            (name, None) => settings.dev = name,
            _ => {}
        }
        Ok(settings)
    }

    /// Returns the flags of the interface and those that change.
    pub(super) fn flags(&self) -> (u32, u32) {
        (self.flags, self.change)
    }

    fn set_flag(&mut self, flag: u32, on: bool) {
        self.change |= flag;
        self.flags = self.flags & !flag | if on { flag } else { 0 };
    }

    /// Reads what `ifi_flags` holds.
    fn read_state(&mut self, words: &mut Words<'a>, word: &str) -> Read<bool> {
        let (flag, inverted) = match word {
            "up" => {
                self.set_flag(IFF_UP, true);
                return Ok(true);
            }
            "multicast" => (IFF_MULTICAST, false),
            "allmulticast" => (IFF_ALLMULTI, false),
            "promisc" => (IFF_PROMISC, false),
            "trailers" => (IFF_NOTRAILERS, true),
            "arp" => (IFF_NOARP, true),
            _ if word == "down" => {
                self.set_flag(IFF_UP, false);
                return Ok(true);
            }
            _ if is_dynamic(word) => (IFF_DYNAMIC, false),
            _ => return Ok(false),
        };
        let name = if flag == IFF_DYNAMIC { "dynamic" } else { word };
        let on = on_off(words, name)?;
        self.set_flag(flag, on != inverted);
        Ok(true)
    }

    /// Reads what the interface is called and where it is.
    fn read_name(&mut self, words: &mut Words<'a>, word: &str) -> Read<bool> {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("name") {
            let name = words.value()?;
            if self.name.is_some() {
                return Err(words.blame(Failure::twice("name", name)));
            }
            if !is_interface_name(name) {
                let failure = Failure::invalid("\"name\" not a valid ifname", name);
                return Err(words
                    .blame(failure)
                    .hint("a name has 1 to 15 bytes, none of them white space or `/`"));
            }
            self.name = Some(name);
        } else if is("index") {
            let index = words.parse("Invalid \"index\" value\n", signed)?;
            match u32::try_from(index) {
                Ok(index) if index > 0 => self.index = Some(index),
                _ => {
                    let failure = Failure::invalid("Invalid \"index\" value\n", &index.to_string());
                    return Err(words.blame(failure));
                }
            }
        } else if is("link") {
            self.link = Some(words.value()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Refuses a keyword that has been there already.
    fn only_once(&self, words: &mut Words<'a>, attr: u16, keyword: &str) -> Read<()> {
        if self.attrs.iter().any(|known| matches!(known, Attr::Value(kind, _) if *kind == attr)) {
            let value = words.value()?;
            return Err(words.blame(Failure::twice(keyword, value)));
        }
        Ok(())
    }

    /// Reads what has an attribute of its own, in the order in which iproute2 compares.
    fn read_value(
        &mut self,
        words: &mut Words<'a>,
        context: &mut Context<'_>,
        word: &str,
    ) -> Read<bool> {
        let is = |keyword: &str| abbreviates(word, keyword);
        let attr = if is("address") {
            Attr::Value(super::IFLA_ADDRESS, mac(words)?)
        } else if is("broadcast") || word == "brd" {
            Attr::Value(super::IFLA_BROADCAST, mac(words)?)
        } else if is("txqueuelen") || word == "qlen" || is("txqlen") {
            self.only_once(words, super::IFLA_TXQLEN, "txqueuelen")?;
            let length = words.parse("Invalid \"txqueuelen\" value\n", signed)?;
            Attr::u32(super::IFLA_TXQLEN, length.cast_unsigned())
        } else if word == "mtu" {
            self.only_once(words, super::IFLA_MTU, "mtu")?;
            let mtu = words.parse("Invalid \"mtu\" value\n", signed)?;
            Attr::u32(super::IFLA_MTU, mtu.cast_unsigned())
        } else if word == "netns" {
            netns(words, context)?
        } else if word == "carrier" {
            Attr::u8(super::IFLA_CARRIER, carrier(words)?.into())
        } else if is("master") || word == "vrf" {
            let name = words.value()?;
            let index = context.world.index(name);
            if word == "vrf" && !super::is_vrf(context, index) {
                let failure = Failure::invalid("Not a valid VRF name\n", name);
                let hint = format!("`ip link add {name} type vrf table N` makes one");
                return Err(words.blame(failure).hint(hint));
            }
            match index {
                0 => {
                    let failure = Failure::invalid("Device does not exist\n", name);
                    return Err(words.blame(failure).hint("make the bridge first"));
                }
                index => Attr::u32(super::IFLA_MASTER, index),
            }
        } else if is("nomaster") {
            Attr::u32(super::IFLA_MASTER, 0)
        } else if is("type") {
            return Ok(false);
        } else if is("alias") {
            Attr::Value(super::IFLA_IFALIAS, words.value()?.as_bytes().to_vec())
        } else if word == "group" {
            self.group = Some(read_group(words, context)?);
            return Ok(true);
        } else if word == "mode" {
            let read = |word: &str| ["default", "dormant"].iter().position(|name| *name == word);
            let mode = words.parse("Invalid link mode\n", read)?;
            Attr::u8(super::IFLA_LINKMODE, u8::from(mode == 1))
        } else if word == "state" {
            let read = |word: &str| {
                super::show::STATES.iter().position(|name| name.eq_ignore_ascii_case(word))
            };
            let state = words.parse("Invalid operstate\n", read)?;
            Attr::u8(super::IFLA_OPERSTATE, u8::try_from(state).unwrap_or_default())
        } else if is("numtxqueues") {
            self.only_once(words, super::IFLA_NUM_TX_QUEUES, "numtxqueues")?;
            let count = words.parse("Invalid \"numtxqueues\" value\n", integer)?;
            Attr::u32(super::IFLA_NUM_TX_QUEUES, count)
        } else if is("numrxqueues") {
            self.only_once(words, super::IFLA_NUM_RX_QUEUES, "numrxqueues")?;
            let count = words.parse("Invalid \"numrxqueues\" value\n", integer)?;
            Attr::u32(super::IFLA_NUM_RX_QUEUES, count)
        } else if word == "addrgenmode" {
            address_mode(words)?
        } else if is("link-netnsid") {
            let id = words.parse("Invalid \"link-netnsid\" value\n", integer)?;
            Attr::u32(super::IFLA_LINK_NETNSID, id)
        } else if word == "gso_max_size" {
            let bytes = words.parse("Invalid \"gso_max_size\" value\n", integer)?;
            Attr::u32(IFLA_GSO_MAX_SIZE, bytes)
        } else if word == "gso_max_segs" {
            let count = words.parse("Invalid \"gso_max_segs\" value\n", integer)?;
            Attr::u32(IFLA_GSO_MAX_SEGS, count)
        } else {
            return Ok(false);
        };
        self.attrs.push(attr);
        Ok(true)
    }
}

/// Reads `on` or `off`, with the words of lib/utils.c, which end the line with the errno.
fn carrier(words: &mut Words<'_>) -> Read<bool> {
    const EINVAL: u8 = 22;
    match words.value()? {
        "on" => Ok(true),
        "off" => Ok(false),
        word => {
            let line = "Error: argument of \"carrier\" must be one of \"off\", \"on\", not";
            Err(words.blame(Failure::command(EINVAL, format!("{line} \"{word}\""))))
        }
    }
}

/// Tells whether a word is `dynamic`, with all that iproute2 compares before it ruled out.
fn is_dynamic(word: &str) -> bool {
    abbreviates(word, "dynamic")
}

/// Reads `on` or `off`, with the words of ip/iplink.c.
pub(super) fn on_off(words: &mut Words<'_>, keyword: &str) -> Read<bool> {
    match words.value()? {
        "on" => Ok(true),
        "off" => Ok(false),
        word => {
            let line = format!(
                "Error: argument of \"{keyword}\" must be \"on\" or \"off\", not \"{word}\""
            );
            Err(words.blame(Failure::command(1, line)))
        }
    }
}

fn mac(words: &mut Words<'_>) -> Read<Vec<u8>> {
    let word = words.value()?;
    hardware_address(word).ok_or_else(|| {
        let failure = Failure::command(1, format!("\"{word}\" is invalid lladdr."));
        words.blame(failure).hint(
            "write it as 02:00:00:00:00:01; a name that begins a keyword \
             (`a`, `b`, `n`, …) needs `dev` or `name` before it",
        )
    })
}

/// Reads where an interface is moved: a pinned namespace, or the one of a process.
fn netns(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Attr> {
    let word = words.value()?;
    if let Some(fd) = context.world.netns(word) {
        return Ok(Attr::Value(super::IFLA_NET_NS_FD, fd.to_ne_bytes().to_vec()));
    }
    match integer::<u32>(word) {
        Some(pid) => Ok(Attr::u32(super::IFLA_NET_NS_PID, pid)),
        None => {
            let failure = Failure::invalid("Invalid \"netns\" value\n", word);
            let hint = format!("no namespace is called `{word}`: `ip netns add {word}` makes it");
            Err(words.blame(failure).hint(hint))
        }
    }
}

fn address_mode(words: &mut Words<'_>) -> Read<Attr> {
    let read = |word: &str| super::show::ADDRESS_MODES.iter().position(|name| *name == word);
    let mode = words.parse("Invalid address generation mode\n", read)?;
    let mode = Attr::u8(super::IFLA_INET6_ADDR_GEN_MODE, u8::try_from(mode).unwrap_or_default());
    Ok(Attr::Nest(super::IFLA_AF_SPEC, vec![Attr::Nest(super::AF_INET6, vec![mode])]))
}

/// Reads a command that changes links.
pub(super) fn read(words: &mut Words<'_>, context: &mut Context<'_>, verb: Verb) -> Read<Command> {
    let (kind, flags) = match verb {
        Verb::Add => (rtm::NEWLINK, Flags::CREATE | Flags::EXCL),
        Verb::Replace => (rtm::NEWLINK, Flags::CREATE | Flags::REPLACE),
        Verb::Set => (rtm::NEWLINK, Flags::NONE),
        Verb::Delete => (rtm::DELLINK, Flags::NONE),
    };
    if words.peek() == Some("help") {
        return Ok(Command::Help);
    }
    let mut settings = Settings::read(words, context)?;
    let creates = flags.contains(Flags::CREATE);
    let mut attrs = std::mem::take(&mut settings.attrs);
    if let Some(group) = settings.group {
        attrs.push(Attr::u32(super::IFLA_GROUP, group));
        if settings.dev.is_none() {
            if creates {
                return Err(Failure::parser("group cannot be used when creating devices."));
            }
            let header = ifinfomsg(0, 0, settings.flags, settings.change);
            let mut request = Request::new(kind, flags, header);
            request.attrs = attrs;
            return Ok(Command::Group(Box::new(request)));
        }
    }
    let (index, name) = if creates {
        born(&settings, context, &mut attrs)?
    } else {
        existing(&settings, context, &attrs)?
    };
    if let Some(name) = name {
        attrs.push(Attr::text(super::IFLA_IFNAME, name));
    }
    match settings.kind {
        Some(kind) => {
            (context.creates, context.index) = (creates, index);
            attrs.push(Attr::Nest(super::IFLA_LINKINFO, of_kind(words, context, kind)?));
        }
        None if creates => {
            let line = "Not enough information: \"type\" argument is required";
            return Err(Failure::command(1, line).hint("end the line with `type veth`, say"));
        }
        None => {}
    }
    let header = ifinfomsg(0, index, settings.flags, settings.change);
    let mut request = Request::new(kind, flags, header);
    request.attrs = attrs;
    Ok(Command::Change(Box::new(request)))
}

/// The kinds for which iproute2 has options and this crate has not.
const KINDS_OF_IPROUTE2: &[&str] = &[
    "amt",
    "bareudp",
    "can",
    "dsa",
    "erspan",
    "gtp",
    "hsr",
    "ip6erspan",
    "ipoib",
    "macsec",
    "netdevsim",
    "rmnet",
    "team",
    "virt_wifi",
    "vti",
    "vti6",
    "vxcan",
    "wwan",
    "xfrm",
];

/// Index and name of an interface that is to be made.
fn born<'a>(
    settings: &Settings<'a>,
    context: &mut Context<'_>,
    attrs: &mut Vec<Attr>,
) -> Read<(u32, Option<&'a str>)> {
    if settings.name != settings.dev {
        let line = "both \"name\" and \"dev\" cannot be used when creating devices.";
        return Err(Failure::parser(line));
    }
    if let Some(link) = settings.link {
        match context.world.index(link) {
            0 => return Err(Failure::no_device(link)),
            index => attrs.push(Attr::u32(super::IFLA_LINK, index)),
        }
    }
    Ok((settings.index.unwrap_or(0), settings.name))
}

/// Index of an interface that is there, and its name if that changes.
fn existing<'a>(
    settings: &Settings<'a>,
    context: &mut Context<'_>,
    attrs: &[Attr],
) -> Read<(u32, Option<&'a str>)> {
    let Some(dev) = settings.dev else {
        return Err(Failure::parser("Not enough information: \"dev\" argument is required."));
    };
    if settings.index.is_some() {
        return Err(Failure::parser(
            "index can be used only when creating devices or when moving device to another netns.",
        ));
    }
    match context.world.index(dev) {
        0 => Err(Failure::no_device(dev)),
        index => {
            check_address_length(attrs, index, context)?;
            Ok((index, settings.name.filter(|name| *name != dev)))
        }
    }
}

/// Checks that a hardware address is as long as the one that is there.
fn check_address_length(attrs: &[Attr], index: u32, context: &mut Context<'_>) -> Read<()> {
    for attr in attrs {
        let Attr::Value(super::IFLA_ADDRESS, mac) = attr else { continue };
        let link = context.world.link(index);
        let bytes = link.as_ref().and_then(|link| {
            let attrs = link.attrs(super::HEADER_BYTES);
            attrs.get(super::IFLA_ADDRESS).map(<[u8]>::len)
        });
        if let Some(bytes) = bytes.filter(|bytes| *bytes != mac.len()) {
            let found = mac.len();
            let line = format!("Invalid address length {found} - must be {bytes} bytes");
            return Err(Failure::command(1, line));
        }
    }
    Ok(())
}

/// What is said of a kind of interface, behind `type`.
fn of_kind(words: &mut Words<'_>, context: &mut Context<'_>, name: &str) -> Read<Vec<Attr>> {
    let (base, is_port) = match name.strip_suffix("_slave") {
        Some(base) => (base, true),
        None => (name, false),
    };
    let kind_attr = if is_port { super::IFLA_INFO_SLAVE_KIND } else { super::IFLA_INFO_KIND };
    let data_attr = if is_port { super::IFLA_INFO_SLAVE_DATA } else { super::IFLA_INFO_DATA };
    let mut info = vec![Attr::Value(kind_attr, base.as_bytes().to_vec())];
    let kind = kind::find(base);
    let read = kind.and_then(|kind| if is_port { kind.read_port } else { Some(kind.read) });
    if words.left() == 0 {
        // iproute2 does not look at the options of a kind where there are none.
        return Ok(info);
    }
    match read {
        Some(read) => info.push(Attr::Nest(data_attr, read(words, context)?)),
        None if !KINDS_OF_IPROUTE2.contains(&base) => {}
        None => {
            let failure = Failure::not_covered(&format!("options of `type {name}`"));
            words.take();
            return Err(words.blame(failure));
        }
    }
    if let Some(left) = words.peek() {
        let line = format!("Garbage instead of arguments \"{left} ...\". Try \"ip link help\".");
        words.take();
        return Err(words.blame(Failure::command(1, line)));
    }
    Ok(info)
}
