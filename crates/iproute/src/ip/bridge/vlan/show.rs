//! VLANs as `bridge vlan` prints them.

use vnet_netlink::Flags;
use vnet_netlink::attr::Attributes;

use super::super::super::Context;
use super::super::super::link::{IFLA_AF_SPEC, IFLA_EXT_MASK};
use super::super::super::out::{Out, Shade};
use super::super::super::wire::{Attr, Attrs, Object, Request, ifinfomsg, rtm};
use super::super::AF_BRIDGE;
use super::{
    DUMP_FLAGS, DUMP_GLOBAL, DUMP_STATS, ENTRY, ENTRY_INFO, ENTRY_MCAST_ROUTER, ENTRY_RANGE,
    ENTRY_STATE, ENTRY_STATS, GLOBAL, GLOBAL_ID, GLOBAL_OPTIONS, GLOBAL_RANGE, GLOBAL_ROUTER_PORTS,
    HEADER_BYTES, ID_WIDTH, IFLA_BRIDGE_VLAN_INFO, IFLA_BRIDGE_VLAN_TUNNEL_INFO, NAME_WIDTH, PVID,
    RANGE_BEGIN, RANGE_END, Selection, Subject, UNTAGGED, vlan_header,
};

impl Selection {
    /// Returns the question.
    #[must_use]
    pub fn question(&self, context: &Context<'_>) -> Request {
        let dump = |flags: u32| {
            let mut request = Request::new(rtm::GETVLAN, Flags::NONE, vlan_header(0));
            request.attrs.push(Attr::u32(DUMP_FLAGS, flags));
            request
        };
        match self.subject {
            Subject::Details if context.options.stats > 0 => dump(DUMP_STATS),
            Subject::Details => dump(0),
            Subject::Global => dump(DUMP_GLOBAL),
            Subject::Vlans | Subject::Tunnels => {
                let header = ifinfomsg(AF_BRIDGE, 0, 0, 0);
                let mut request = Request::new(rtm::GETLINK, Flags::NONE, header);
                let mask = if context.options.compress_vlans { 4 } else { 2 };
                request.attrs.push(Attr::u32(IFLA_EXT_MASK, mask));
                request
            }
        }
    }

    /// Prints the head of the table.
    pub fn head(&self, out: &mut Out) {
        out.text(&format!("{:NAME_WIDTH$}  {:ID_WIDTH$}", "port", "vlan-id"));
        out.text(if self.subject == Subject::Tunnels { "  tunnel-id\n" } else { "\n" });
    }

    /// Prints ports with their VLANs.
    pub fn show(&self, out: &mut Out, found: &[Object], context: &mut Context<'_>) {
        let mut open = None;
        let wanted = |port: &&Object| self.index.is_none_or(|index| index == port.u32_at(4));
        for port in found.iter().filter(wanted) {
            match self.subject {
                Subject::Vlans => self.print_vlans(out, port, context),
                Subject::Tunnels => self.print_tunnels(out, port, context),
                Subject::Details | Subject::Global => {
                    if open.is_some_and(|index| index != port.u32_at(4)) {
                        close_port(out);
                        open = None;
                    }
                    self.print_options(out, port, &mut open, context);
                }
            }
        }
        if open.is_some() {
            close_port(out);
        }
    }

    /// Tells whether an entry is shown; `None` where nothing that follows is.
    fn check(&self, id: u16, flags: u16) -> Option<bool> {
        if self.vlan != 0 && id > self.vlan && flags & RANGE_END == 0 {
            return None;
        }
        Some(flags & RANGE_BEGIN == 0 && id >= self.vlan)
    }

    fn print_vlans(&self, out: &mut Out, port: &Object, context: &mut Context<'_>) {
        let attrs = port.attrs(super::super::super::link::HEADER_BYTES);
        let Some(spec) = attrs.get(IFLA_AF_SPEC) else { return };
        let (mut first, mut is_open) = (0, false);
        for attr in Attributes::new(spec).map_while(Result::ok) {
            let Some([a, b, c, d]) = attr.value.first_chunk::<4>() else { continue };
            if attr.kind != IFLA_BRIDGE_VLAN_INFO {
                continue;
            }
            let (flags, id) = (u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d]));
            if flags & RANGE_END == 0 {
                first = id;
            }
            match self.check(id, flags) {
                None => break,
                Some(false) => continue,
                Some(true) => {}
            }
            begin_line(out, port.u32_at(4), &mut is_open, "vlans", context);
            out.open(None);
            print_range(out, "vlan", first.into(), id.into());
            print_flags(out, flags);
            out.close();
            out.next_line();
        }
        if is_open {
            close_port(out);
        }
    }

    fn print_tunnels(&self, out: &mut Out, port: &Object, context: &mut Context<'_>) {
        let attrs = port.attrs(super::super::super::link::HEADER_BYTES);
        let Some(spec) = attrs.get(IFLA_AF_SPEC) else { return };
        let (mut first, mut is_open) = ((0, 0), false);
        for attr in Attributes::new(spec).map_while(Result::ok) {
            let inner = Attrs::read(attr.value);
            let (IFLA_BRIDGE_VLAN_TUNNEL_INFO, Some(id)) = (attr.kind, inner.u16(2)) else {
                continue;
            };
            let tunnel = inner.u32(1).unwrap_or_default();
            let flags = inner.u16(3).unwrap_or_default();
            if flags & RANGE_END == 0 {
                first = (id, tunnel);
            }
            match self.check(id, flags) {
                None => break,
                Some(false) => continue,
                Some(true) => {}
            }
            begin_line(out, port.u32_at(4), &mut is_open, "tunnels", context);
            out.open(None);
            let width = print_range(out, "vlan", first.0.into(), id.into());
            out.text(&format!("{:1$}  ", "", ID_WIDTH.saturating_sub(width)));
            print_range(out, "tunid", first.1, tunnel);
            out.close();
            out.next_line();
        }
        if is_open {
            close_port(out);
        }
    }

    fn print_options(
        &self,
        out: &mut Out,
        port: &Object,
        open: &mut Option<u32>,
        context: &mut Context<'_>,
    ) {
        let rest = port.payload.get(HEADER_BYTES..).unwrap_or_default();
        for attr in Attributes::new(rest).map_while(Result::ok) {
            let entry = Attrs::read(attr.value);
            match (attr.kind, self.subject) {
                (ENTRY, Subject::Global) => {}
                (ENTRY, _) => self.print_entry(out, port.u32_at(4), &entry, open, context),
                (GLOBAL_OPTIONS, _) => {
                    self.print_global(out, port.u32_at(4), &entry, open, context);
                }
                _ => {}
            }
        }
    }

    fn leaves_out(&self, first: u16, last: u16) -> bool {
        self.vlan != 0 && !(first..=last).contains(&self.vlan)
    }

    fn print_entry(
        &self,
        out: &mut Out,
        index: u32,
        entry: &Attrs<'_>,
        open: &mut Option<u32>,
        context: &mut Context<'_>,
    ) {
        let info = entry.get(ENTRY_INFO).and_then(|info| info.first_chunk::<4>());
        let Some([a, b, c, d]) = info else { return };
        let (flags, id) = (u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d]));
        let last = entry.u16(ENTRY_RANGE).unwrap_or(id);
        if self.leaves_out(id, last) {
            return;
        }
        begin_entry(out, index, open, context);
        print_range(out, "vlan", id.into(), last.into());
        print_flags(out, flags);
        out.next_line();
        indent(out);
        super::super::link::print_state(out, entry.u8(ENTRY_STATE).unwrap_or_default());
        if let Some(router) = entry.u8(ENTRY_MCAST_ROUTER) {
            out.num("mcast_router", "mcast_router {} ", router);
        }
        out.next_line();
        if context.options.stats > 0 {
            let stats = entry.nested(ENTRY_STATS).unwrap_or_default();
            let count = |attr: u16| stats.u64(attr).unwrap_or_default();
            for (key, bytes, packets) in [("rx", 1, 2), ("tx", 3, 4)] {
                indent(out);
                let title = key.to_uppercase();
                out.num(&format!("{key}_bytes"), &format!("{title}: {{}} bytes"), count(bytes));
                out.num(&format!("{key}_packets"), " {} packets\n", count(packets));
            }
        }
        out.close();
    }

    fn print_global(
        &self,
        out: &mut Out,
        index: u32,
        options: &Attrs<'_>,
        open: &mut Option<u32>,
        context: &mut Context<'_>,
    ) {
        let id = options.u16(GLOBAL_ID).unwrap_or_default();
        let last = options.u16(GLOBAL_RANGE).unwrap_or(id);
        if self.leaves_out(id, last) {
            return;
        }
        begin_entry(out, index, open, context);
        print_range(out, "vlan", id.into(), last.into());
        out.next_line();
        indent(out);
        for (attr, word, _) in GLOBAL {
            if let Some(value) = options.get(*attr) {
                let mut bytes = [0; 8];
                let length = value.len().min(8);
                bytes[..length].copy_from_slice(&value[..length]);
                out.num(word, &format!("{word} {{}} "), u64::from_ne_bytes(bytes));
            }
        }
        out.next_line();
        if let Some(ports) = options.get(GLOBAL_ROUTER_PORTS) {
            indent(out);
            out.open_array("router_ports", "router ports: ");
            // They stand in an attribute of their own kind (`MDBA_ROUTER`).
            let inner = Attributes::new(ports).map_while(Result::ok);
            let ports = inner.flat_map(|attr| Attributes::new(attr.value).map_while(Result::ok));
            for port in ports {
                let index = port.value.first_chunk().map_or(0, |b| u32::from_ne_bytes(*b));
                out.open(None);
                out.str("port", "{} ", &context.world.name(index));
                out.close();
            }
            out.close_array("");
            out.next_line();
        }
        out.close();
    }
}

/// Prints what changed.
pub fn event(out: &mut Out, event: &Object, context: &mut Context<'_>) {
    out.deleted(event.kind == rtm::DELVLAN);
    Selection::default().print_options(out, event, &mut None, context);
}

fn open_port(out: &mut Out, index: u32, key: &str, context: &mut Context<'_>) {
    out.open(None);
    out.shaded(Shade::Name, "ifname", "{:16}  ", &context.world.name(index));
    out.open_array(key, "");
}

fn close_port(out: &mut Out) {
    out.close_array("");
    out.close();
}

fn begin_line(out: &mut Out, index: u32, is_open: &mut bool, key: &str, context: &mut Context<'_>) {
    if *is_open {
        out.text(&format!("{:NAME_WIDTH$}  ", ""));
    } else {
        open_port(out, index, key, context);
        *is_open = true;
    }
}

fn begin_entry(out: &mut Out, index: u32, open: &mut Option<u32>, context: &mut Context<'_>) {
    if *open == Some(index) {
        out.open(None);
        out.text(&format!("{:NAME_WIDTH$}  ", ""));
    } else {
        open_port(out, index, "vlans", context);
        out.open(None);
        *open = Some(index);
    }
}

fn indent(out: &mut Out) {
    out.text(&format!("{:NAME_WIDTH$}    ", ""));
}

/// Prints a range, and returns its width.
fn print_range(out: &mut Out, name: &str, first: u32, last: u32) -> usize {
    out.num(name, "{}", first);
    let mut width = first.to_string().len();
    if first != last {
        out.num(&format!("{name}End"), "-{}", last);
        width += last.to_string().len() + 1;
    }
    width
}

fn print_flags(out: &mut Out, flags: u16) {
    if flags == 0 {
        return;
    }
    out.open_array("flags", "");
    for (flag, word) in [(PVID, "PVID"), (UNTAGGED, "Egress Untagged")] {
        if flags & flag != 0 {
            out.str("", " {}", word);
        }
    }
    out.close_array("");
}
