//! Options of kinds that the table of kinds does not have, with what they are where nothing is said.

use vnet_model::kind;
use vnet_netlink::Error;
use vnet_netlink::attr::Attributes;

use super::number;

/// What an option is where nothing is said.
#[derive(Clone, Copy)]
enum Usual {
    /// This number.
    Is(u64),
    /// It is not there, or nothing is in it.
    Nothing,
}

use Usual::{Is, Nothing};

/// An option: its attribute, iproute2's word, and what it is otherwise.
type Row = (u16, &'static str, Usual);

/// `IFLA_BR_…` (linux/if_link.h; net/bridge/br_device.c and br_multicast.c for what they are).
const BRIDGE: &[Row] = &[(26, "mcast_hash_elasticity", Is(16)), (49, "fdb_max_learned", Is(0))];

/// `IFLA_BRPORT_…`.
const BRIDGE_PORT: &[Row] = &[
    (37, "mcast_eht_hosts_limit", Is(512)),
    (40, "mab", Is(0)),
    (42, "mcast_max_groups", Is(0)),
    (43, "neigh_vlan_suppress", Is(0)),
    (44, "backup_nhid", Is(0)),
];

/// `IFLA_VXLAN_…`.
const VXLAN: &[Row] = &[
    (21, "remcsumtx", Is(0)),
    (22, "remcsumrx", Is(0)),
    (27, "gpe", Nothing),
    (30, "vnifilter", Is(0)),
    (31, "localbypass", Is(1)),
];

/// `IFLA_BOND_…` (drivers/net/bonding/bond_options.c).
const BOND: &[Row] = &[
    (10, "arp_all_targets", Is(0)),
    (25, "ad_user_port_key", Is(0)),
    (30, "missed_max", Is(2)),
    (31, "ns_ip6_target", Nothing),
    (32, "coupled_control", Is(1)),
];

/// `IFLA_MACVLAN_…`.
const MACVLAN: &[Row] = &[(2, "flags", Is(0)), (9, "bclim", Is(1))];

/// `IFLA_GRE_…` (linux/if_tunnel.h).
const GRE: &[Row] = &[
    (14, "encap", Is(0)),
    (18, "external", Nothing),
    // Over IPv6 it is not in the table.
    (19, "ignore-df", Is(0)),
];

/// `IFLA_IPTUN_…` (linux/if_tunnel.h).
const IPTUN: &[Row] = &[(15, "encap", Is(0)), (19, "external", Nothing)];

/// `IFLA_NETKIT_…`: since Linux 6.13.
const NETKIT: &[Row] = &[(6, "scrub", Is(1)), (7, "peer scrub", Is(1))];

/// `IFLA_TUN_…`.
const TUN: &[Row] = &[(4, "pi", Is(0)), (5, "vnet_hdr", Is(0)), (7, "multi_queue", Is(0))];

fn rows(kind: &str, is_port: bool) -> &'static [Row] {
    match kind {
        "bridge" if is_port => BRIDGE_PORT,
        _ if is_port => &[],
        "bridge" => BRIDGE,
        "vxlan" => VXLAN,
        "bond" => BOND,
        "macvlan" | "macvtap" => MACVLAN,
        "gre" | "gretap" | "ip6gre" | "ip6gretap" => GRE,
        "ipip" | "sit" | "ip6tnl" => IPTUN,
        "netkit" => NETKIT,
        "tun" => TUN,
        _ => &[],
    }
}

/// Names the options that the table of kinds does not have and that somebody set.
pub(super) fn unsaid(
    kind: &str,
    is_port: bool,
    data: Attributes<'_>,
) -> Result<Vec<String>, Error> {
    let spec = kind::find(kind);
    let table = spec.map_or(&[][..], |spec| if is_port { spec.port } else { spec.options });
    let mut words = Vec::new();
    for (attr, word, usual) in rows(kind, is_port) {
        if table.iter().any(|option| option.attr == *attr) {
            continue;
        }
        let Some(attribute) = data.find(*attr)? else { continue };
        let value = number(attribute.value);
        let is_usual = match *usual {
            Is(usual) => value == Some(usual),
            Nothing => attribute.value.is_empty() && *word != "external" && *word != "gpe",
        };
        match value {
            _ if is_usual => {}
            Some(value) if !attribute.value.is_empty() => words.push(format!("{word} {value}")),
            _ => words.push((*word).to_owned()),
        }
    }
    Ok(words)
}
