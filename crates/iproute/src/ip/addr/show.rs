//! What `ip address` prints of an address.

use super::super::Context;
use super::super::out::{Out, Shade};
use super::super::wire::{Object, rtm};
use super::{
    HEADER_BYTES, IFA_ADDRESS, IFA_ANYCAST, IFA_BROADCAST, IFA_CACHEINFO, IFA_LABEL,
    IFA_RT_PRIORITY, flags_of, local_of,
};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const PERMANENT: u32 = 0x80;
const DEPRECATED: u32 = 0x20;
const FOREVER: u32 = u32::MAX;

/// The flags in the order in which they are shown.
const FLAGS: &[(u32, &str)] = &[
    (0x01, "secondary"),
    (0x02, "nodad"),
    (0x04, "optimistic"),
    (0x08, "dadfailed"),
    (0x10, "home"),
    (DEPRECATED, "deprecated"),
    (0x40, "tentative"),
    (PERMANENT, "permanent"),
    (0x100, "mngtmpaddr"),
    (0x200, "noprefixroute"),
    (0x400, "autojoin"),
    (0x800, "stable-privacy"),
];

/// Prints an address, with its line end.
pub fn show(out: &mut Out, address: &Object, context: &mut Context<'_>) {
    let is_named = context.options.oneline;
    print(out, address, context, is_named);
}

/// Prints an address that came or went, with its interface and its line end.
pub fn event(out: &mut Out, address: &Object, context: &mut Context<'_>) {
    print(out, address, context, true);
}

fn print(out: &mut Out, address: &Object, context: &mut Context<'_>, is_named: bool) {
    let options = context.options;
    let attrs = address.attrs(HEADER_BYTES);
    let family = address.u8_at(0);
    out.open(None);
    out.deleted(address.kind == rtm::DELADDR);
    if !options.brief {
        if is_named {
            let index = address.u32_at(4);
            out.num("index", "{}: ", index);
            out.shaded(Shade::Name, "dev", "{}", &context.world.name(index));
        }
        let name = match family {
            AF_INET => "inet",
            AF_INET6 => "inet6",
            _ => "family",
        };
        out.str("family", "    {} ", name);
    }
    let shade = if family == AF_INET { Shade::Inet } else { Shade::Inet6 };
    let (local, remote) = (local_of(&attrs), attrs.address(IFA_ADDRESS));
    if let Some(local) = local {
        out.shaded(shade, "local", "{}", &context.shown(local));
    }
    if let Some(remote) = remote.filter(|remote| Some(*remote) != local) {
        out.text(" peer ");
        out.shaded(shade, "address", "{}", &context.shown(remote));
    }
    out.num("prefixlen", "/{} ", address.u8_at(1));
    if let Some(metric) = attrs.u32(IFA_RT_PRIORITY) {
        out.num("metric", "metric {} ", metric);
    }
    if !options.brief {
        print_rest(out, address, context);
    }
    out.close();
}

fn print_rest(out: &mut Out, address: &Object, context: &mut Context<'_>) {
    let attrs = address.attrs(HEADER_BYTES);
    let family = address.u8_at(0);
    let shade = if family == AF_INET { Shade::Inet } else { Shade::Inet6 };
    if let Some(broadcast) = attrs.address(IFA_BROADCAST) {
        out.text("brd ");
        out.shaded(shade, "broadcast", "{} ", &context.shown(broadcast));
    }
    if let Some(anycast) = attrs.address(IFA_ANYCAST) {
        out.text("any ");
        out.shaded(shade, "anycast", "{} ", &context.shown(anycast));
    }
    let tables = context.world.tables();
    out.str("scope", "scope {} ", &tables.show(&tables.scopes, address.u8_at(3).into()));
    let flags = flags_of(address, &attrs);
    print_flags(out, flags, family);
    if let Some(label) = attrs.text(IFA_LABEL) {
        out.str("label", "{}", &label);
    }
    if let Some(times) = attrs.get(IFA_CACHEINFO) {
        let time = |at: usize| {
            let bytes = times.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(FOREVER, |bytes| u32::from_ne_bytes(*bytes))
        };
        let shown = |seconds: u32| match seconds {
            FOREVER => "forever".to_owned(),
            seconds => format!("{seconds}sec"),
        };
        let (preferred, valid) = (time(0), time(4));
        out.next_line();
        out.num_as("valid_life_time", "       valid_lft {}", valid, &shown(valid));
        out.num_as("preferred_life_time", " preferred_lft {}", preferred, &shown(preferred));
    }
    out.text("\n");
}

fn print_flags(out: &mut Out, mut flags: u32, family: u8) {
    for (flag, name) in FLAGS {
        if *flag == PERMANENT {
            if flags & PERMANENT == 0 {
                out.flag("dynamic", "dynamic ");
            }
        } else if flags & flag != 0 {
            let name = match (*flag, family) {
                (0x01, AF_INET6) => "temporary",
                _ => name,
            };
            out.flag(name, &format!("{name} "));
        }
        flags &= !flag;
    }
    if flags != 0 {
        out.str("ifa_flags", "flags {} ", &format!("{flags:02x}"));
    }
}
