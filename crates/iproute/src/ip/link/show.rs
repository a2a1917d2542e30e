//! What `ip link` and `ip address` print of an interface.

use super::super::Context;
use super::super::out::{Out, Shade};
use super::super::wire::{Attrs, Object, mac_of, rtm, text_of};
use super::super::words::Family;
use super::{HEADER_BYTES, Selection, kind, stats};

/// The operational states by number (`IF_OPER_*`, linux/if.h).
pub(super) const STATES: [&str; 7] =
    ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/// How IPv6 addresses are made, by number (`IN6_ADDR_GEN_MODE_*`, linux/if_link.h).
pub(super) const ADDRESS_MODES: [&str; 4] = ["eui64", "none", "stable_secret", "random"];

const IFF_UP: u32 = 0x1;
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_RUNNING: u32 = 0x40;

/// The flags in the order in which they are shown.
const FLAGS: &[(u32, &str)] = &[
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (0x10, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x200, "ALLMULTI"),
    (0x100, "PROMISC"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x4, "DEBUG"),
    (0x8000, "DYNAMIC"),
    (0x4000, "AUTOMEDIA"),
    (0x2000, "PORTSEL"),
    (0x20, "NOTRAILERS"),
    (0x1, "UP"),
    (0x10000, "LOWER_UP"),
    (0x20000, "DORMANT"),
    (0x40000, "ECHO"),
];

const IFLA_EVENT: u16 = 44;
const IFLA_NEW_NETNSID: u16 = 45;
const IFLA_NEW_IFINDEX: u16 = 49;

/// What may have happened to a link, by number (`IFLA_EVENT_*`, linux/if_link.h).
const EVENTS: [&str; 7] = [
    "NONE",
    "REBOOT",
    "FEATURE CHANGE",
    "BONDING FAILOVER",
    "NOTIFY PEERS",
    "RESEND IGMP",
    "BONDING OPTION",
];

/// Numbers that `-d` shows in front of the kind: attribute, key, format.
const FIRST_DETAILS: &[(u16, &str, &str)] = &[
    (super::IFLA_PROMISCUITY, "promiscuity", " promiscuity {} "),
    (61, "allmulti", " allmulti {} "),
    (50, "min_mtu", "minmtu {} "),
    (51, "max_mtu", "maxmtu {} "),
];

/// Tells whether only `-d` shows an attribute.
pub(super) fn is_detail(kind: u16) -> bool {
    FIRST_DETAILS.iter().chain(DETAILS).any(|(detail, ..)| *detail == kind)
}

/// Numbers that `-d` shows behind the kind: attribute, key, format.
const DETAILS: &[(u16, &str, &str)] = &[
    (super::IFLA_NUM_TX_QUEUES, "num_tx_queues", "numtxqueues {} "),
    (super::IFLA_NUM_RX_QUEUES, "num_rx_queues", "numrxqueues {} "),
    (41, "gso_max_size", "gso_max_size {} "),
    (40, "gso_max_segs", "gso_max_segs {} "),
    (59, "tso_max_size", "tso_max_size {} "),
    (60, "tso_max_segs", "tso_max_segs {} "),
    (58, "gro_max_size", "gro_max_size {} "),
];

/// Prints an interface in full, without the line end.
pub fn full(out: &mut Out, link: &Object, context: &mut Context<'_>, selection: &Selection) {
    let options = context.options;
    let links_only = selection.links_only;
    let attrs = link.attrs(HEADER_BYTES);
    out.deleted(link.kind == rtm::DELLINK);
    out.num("ifindex", "{}: ", link.u32_at(4));
    let down = print_name(out, "{}: ", &attrs, context);
    print_flags(out, link.u32_at(8), down);
    if let Some(mtu) = attrs.u32(super::IFLA_MTU) {
        out.num("mtu", "mtu {} ", mtu);
    }
    if let Some(qdisc) = attrs.text(super::IFLA_QDISC) {
        out.str("qdisc", "qdisc {} ", &qdisc);
    }
    if let Some(master) = attrs.u32(super::IFLA_MASTER) {
        out.str("master", "master {} ", &context.world.name(master));
    }
    print_state(out, &attrs, false);
    if links_only && let Some(mode) = attrs.u8(super::IFLA_LINKMODE) {
        let mode = if mode == 0 { "DEFAULT" } else { "DORMANT" };
        out.str("linkmode", "mode {} ", mode);
    }
    if let Some(group) = attrs.u32(super::IFLA_GROUP) {
        let tables = context.world.tables();
        out.str("group", "group {} ", &tables.show(&tables.groups, group));
    }
    // What the kernel says of IPv6's part of an interface lacks it.
    let length = attrs.u32(super::IFLA_TXQLEN).or_else(|| {
        let whole = context.world.link(link.u32_at(4))?;
        whole.attrs(HEADER_BYTES).u32(super::IFLA_TXQLEN)
    });
    if let Some(length) = length.filter(|length| *length != 0 && !selection.is_event) {
        out.num("txqlen", "qlen {}", length.cast_signed());
    }
    if let Some(event) = attrs.u32(IFLA_EVENT).filter(|event| *event != 0) {
        match EVENTS.get(event as usize) {
            Some(name) => out.str("event", "event {} ", name),
            None => out.num("event", "event {} ", event),
        }
    }
    if matches!(selection.family, Family::Any | Family::Link) || options.details {
        print_hardware(out, link, &attrs, context.world.tables().numeric);
    }
    print_elsewhere(out, &attrs, context);
    if options.details {
        print_details(out, &attrs, context, links_only);
    }
    if (links_only || options.details)
        && let Some(alias) = attrs.text(super::IFLA_IFALIAS)
    {
        out.next_line();
        out.str("ifalias", "    alias {}", &alias);
    }
    if let Some(properties) = attrs.get(super::IFLA_PROP_LIST) {
        print_altnames(out, properties);
    }
    if links_only && options.stats > 0 {
        out.next_line();
        stats::print(out, &attrs, options.stats);
    }
}

/// Prints an interface briefly, without the line end.
pub fn brief(out: &mut Out, link: &Object, context: &mut Context<'_>, selection: &Selection) {
    let attrs = link.attrs(HEADER_BYTES);
    out.deleted(link.kind == rtm::DELLINK);
    let down = print_name(out, "{:16} ", &attrs, context);
    print_state(out, &attrs, true);
    if selection.family == Family::Link {
        if let Some(mac) = attrs.get(super::IFLA_ADDRESS) {
            out.shaded(Shade::Mac, "address", "{} ", &hardware(link, mac));
        }
        print_flags(out, link.u32_at(8), down);
    }
}

/// Prints the name, and what the interface is linked to; tells whether that is down.
pub(crate) fn print_name(
    out: &mut Out,
    format: &str,
    attrs: &Attrs<'_>,
    context: &mut Context<'_>,
) -> bool {
    let mut name = attrs.text(super::IFLA_IFNAME).unwrap_or_default();
    let mut down = false;
    if let Some(index) = attrs.u32(super::IFLA_LINK) {
        let foreign = attrs.get(super::IFLA_LINK_NETNSID).is_some();
        let link = match index {
            0 => "NONE".to_owned(),
            index if foreign => format!("if{index}"),
            index => {
                let found = context.world.interface(index);
                down = found.as_ref().is_some_and(|(_, flags)| flags & IFF_UP == 0);
                found.map_or_else(|| format!("if{index}"), |(name, _)| name)
            }
        };
        match (out.is_json(), index, foreign) {
            (false, ..) => name = format!("{name}@{link}"),
            (true, 0, _) => out.json(|json| {
                json.name("link");
                json.plain("null");
            }),
            (true, index, true) => out.num("link_index", "", index),
            (true, _, false) => out.str("link", "", &link),
        }
    }
    out.shaded(Shade::Name, "ifname", format, &name);
    down
}

/// Prints the flags; `peer_down` says that what the interface is linked to is down.
pub(crate) fn print_flags(out: &mut Out, mut flags: u32, peer_down: bool) {
    out.open_array("flags", "<");
    let mut first = true;
    let mut print = |out: &mut Out, name: &str| {
        out.str("", if first { "{}" } else { ",{}" }, name);
        first = false;
    };
    if flags & IFF_UP != 0 && flags & IFF_RUNNING == 0 {
        print(out, "NO-CARRIER");
    }
    flags &= !IFF_RUNNING;
    for (flag, name) in FLAGS {
        if flags & flag != 0 {
            flags &= !flag;
            print(out, name);
        }
    }
    if flags != 0 {
        print(out, &format!("{flags:x}"));
    }
    if peer_down {
        print(out, "M-DOWN");
    }
    out.close_array("> ");
}

fn print_state(out: &mut Out, attrs: &Attrs<'_>, brief: bool) {
    let Some(state) = attrs.u8(super::IFLA_OPERSTATE) else { return };
    let Some(name) = STATES.get(usize::from(state)) else {
        return out.num_as("operstate_index", "state {} ", state, &format!("{state:#x}"));
    };
    let shade = match *name {
        "UP" => Shade::Up,
        "DOWN" => Shade::Down,
        _ => Shade::None,
    };
    if brief {
        return out.shaded(shade, "operstate", "{:14} ", name);
    }
    out.text("state ");
    out.shaded(shade, "operstate", "{} ", name);
}

/// Shows a hardware address; on a tunnel it is an IP address.
fn hardware(link: &Object, bytes: &[u8]) -> String {
    /// `ARPHRD_TUNNEL`, `ARPHRD_SIT`, `ARPHRD_IPGRE` (linux/if_arp.h).
    const WITH_IPV4: [u16; 3] = [768, 776, 778];
    /// `ARPHRD_TUNNEL6`, `ARPHRD_IP6GRE`.
    const WITH_IPV6: [u16; 2] = [769, 823];
    match super::super::wire::address_of(bytes) {
        Some(address) if address.is_ipv4() && WITH_IPV4.contains(&link.u16_at(2)) => {
            address.to_string()
        }
        Some(address) if address.is_ipv6() && WITH_IPV6.contains(&link.u16_at(2)) => {
            address.to_string()
        }
        _ => mac_of(bytes),
    }
}

fn print_hardware(out: &mut Out, link: &Object, attrs: &Attrs<'_>, numeric: bool) {
    out.next_line();
    let kind = match link.u16_at(2) {
        number if numeric => format!("[{number}]"),
        1 => "ether".to_owned(),
        772 => "loopback".to_owned(),
        768 => "ipip".to_owned(),
        769 => "tunnel6".to_owned(),
        776 => "sit".to_owned(),
        778 => "gre".to_owned(),
        823 => "gre6".to_owned(),
        824 => "netlink".to_owned(),
        0xfffe => "none".to_owned(),
        0xffff => "void".to_owned(),
        other => format!("[{other}]"),
    };
    out.str("link_type", "    link/{} ", &kind);
    let mac = attrs.get(super::IFLA_ADDRESS);
    if let Some(mac) = mac {
        out.shaded(Shade::Mac, "address", "{}", &hardware(link, mac));
    }
    if let Some(broadcast) = attrs.get(super::IFLA_BROADCAST) {
        if link.u32_at(8) & IFF_POINTOPOINT != 0 {
            out.flag("link_pointtopoint", " peer ");
        } else {
            out.text(" brd ");
        }
        out.shaded(Shade::Mac, "broadcast", "{}", &hardware(link, broadcast));
    }
    if let Some(permanent) = attrs.get(super::IFLA_PERM_ADDRESS)
        && mac != Some(permanent)
    {
        out.text(" permaddr ");
        out.shaded(Shade::Mac, "permaddr", "{}", &hardware(link, permanent));
    }
}

/// Prints in which namespace the other end is.
fn print_elsewhere(out: &mut Out, attrs: &Attrs<'_>, context: &mut Context<'_>) {
    match attrs.u32(super::IFLA_LINK_NETNSID).map(i32::try_from) {
        None => {}
        Some(Err(_)) => out.text(" link-netnsid unknown"),
        Some(Ok(id)) => match context.world.netns_of_id(id) {
            Some(name) if !out.is_json() => out.str("link_netns", " link-netns {}", &name),
            _ => out.num("link_netnsid", " link-netnsid {}", id),
        },
    }
    if let Some(id) = attrs.u32(IFLA_NEW_NETNSID).map(u32::cast_signed) {
        match context.world.netns_of_id(id) {
            Some(name) => out.text(&format!(" new-netns {name}")),
            None => out.text(&format!(" new-netnsid {id}")),
        }
    }
    if let Some(index) = attrs.u32(IFLA_NEW_IFINDEX) {
        out.text(&format!(" new-ifindex {index}"));
    }
}

fn print_details(out: &mut Out, attrs: &Attrs<'_>, context: &mut Context<'_>, links_only: bool) {
    for (attr, key, format) in FIRST_DETAILS {
        if let Some(value) = attrs.u32(*attr) {
            out.num(key, format, value);
        }
    }
    if let Some(info) = attrs.nested(super::IFLA_LINKINFO) {
        print_kind(out, &info, context);
    }
    if links_only && let Some(families) = attrs.nested(super::IFLA_AF_SPEC) {
        let mode = families
            .nested(super::AF_INET6)
            .and_then(|inet6| inet6.u8(super::IFLA_INET6_ADDR_GEN_MODE));
        if let Some(mode) = mode {
            let name = ADDRESS_MODES.get(usize::from(mode)).copied();
            let name = name.map_or_else(|| format!("{mode:#x}"), str::to_owned);
            out.str("inet6_addr_gen_mode", "addrgenmode {} ", &name);
        }
    }
    for (attr, key, format) in DETAILS {
        if let Some(value) = attrs.u32(*attr) {
            out.num(key, format, value);
        }
    }
    for (attr, key, format) in
        [(57, "parentbus", "parentbus {} "), (56, "parentdev", "parentdev {} ")]
    {
        if let Some(value) = attrs.text(attr) {
            out.str(key, format, &value);
        }
    }
}

/// Prints the kind, what it is, and what its master makes of it.
fn print_kind(out: &mut Out, info: &Attrs<'_>, context: &mut Context<'_>) {
    out.open(Some("linkinfo"));
    if let Some(name) = info.text(super::IFLA_INFO_KIND) {
        out.next_line();
        out.str("info_kind", "    {} ", &name);
        let print = kind::find(&name).and_then(|kind| kind.print);
        if let (Some(print), Some(data)) = (print, info.nested(super::IFLA_INFO_DATA)) {
            out.open(Some("info_data"));
            print(out, &data, context.world);
            out.close();
        }
    }
    if let Some(name) = info.text(super::IFLA_INFO_SLAVE_KIND) {
        out.next_line();
        out.str("info_slave_kind", "    {}_slave ", &name);
        let print = kind::find(&name).and_then(|kind| kind.print_port);
        if let (Some(print), Some(data)) = (print, info.nested(super::IFLA_INFO_SLAVE_DATA)) {
            out.open(Some("info_slave_data"));
            print(out, &data, context.world);
            out.close();
        }
    }
    out.close();
}

fn print_altnames(out: &mut Out, properties: &[u8]) {
    let names: Vec<String> = vnet_netlink::attr::Attributes::new(properties)
        .map_while(Result::ok)
        .filter(|attr| attr.kind == super::IFLA_ALT_IFNAME)
        .map(|attr| text_of(attr.value))
        .collect();
    out.open_array("altnames", "");
    for name in names {
        out.next_line();
        out.str("", "    altname {}", &name);
    }
    out.close_array("");
}
