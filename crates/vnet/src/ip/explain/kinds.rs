//! Kinds of interfaces, and the options of the kernel that bring them (drivers/net/Kconfig, net/*/Kconfig).

/// The kinds by name, with the option that each needs.
const KINDS: &[(&str, &str)] = &[
    ("bond", "CONFIG_BONDING"),
    ("bridge", "CONFIG_BRIDGE"),
    ("dummy", "CONFIG_DUMMY"),
    ("geneve", "CONFIG_GENEVE"),
    ("gre", "CONFIG_NET_IPGRE"),
    ("gretap", "CONFIG_NET_IPGRE"),
    ("ifb", "CONFIG_IFB"),
    ("ip6gre", "CONFIG_IPV6_GRE"),
    ("ip6gretap", "CONFIG_IPV6_GRE"),
    ("ip6tnl", "CONFIG_IPV6_TUNNEL"),
    ("ipip", "CONFIG_NET_IPIP"),
    ("ipvlan", "CONFIG_IPVLAN"),
    ("ipvtap", "CONFIG_IPVTAP"),
    ("macsec", "CONFIG_MACSEC"),
    ("macvlan", "CONFIG_MACVLAN"),
    ("macvtap", "CONFIG_MACVTAP"),
    ("netkit", "CONFIG_NETKIT"),
    ("sit", "CONFIG_IPV6_SIT"),
    ("team", "CONFIG_NET_TEAM"),
    ("veth", "CONFIG_VETH"),
    ("vlan", "CONFIG_VLAN_8021Q"),
    ("vrf", "CONFIG_NET_VRF"),
    ("vxlan", "CONFIG_VXLAN"),
    ("wireguard", "CONFIG_WIREGUARD"),
    ("xfrm", "CONFIG_XFRM_INTERFACE"),
];

/// Returns the option that a kind needs.
pub(super) fn option(kind: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == kind).map(|(_, option)| *option)
}

/// Returns the names of all kinds.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(name, _)| *name)
}
