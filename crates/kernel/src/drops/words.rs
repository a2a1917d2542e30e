//! What the kernel's reasons mean, in its own words (include/net/dropreason-core.h, Linux 6.13).

/// Those that a network in which nothing is broken, only set so, may have.
const MEANINGS: &[(&str, &str)] = &[
    // Delivered to nobody.
    ("NO_SOCKET", "no socket found"),
    ("SOCKET_FILTER", "dropped by a socket's filter"),
    ("SOCKET_RCVBUFF", "the socket's receive buffer is full"),
    ("SOCKET_BACKLOG", "the socket's backlog is full"),
    ("OTHERHOST", "it does not belong to the host that got it"),
    ("UNHANDLED_PROTO", "protocol not implemented or not supported"),
    ("IP_NOPROTO", "no support for this IP protocol"),
    // Filters.
    ("NETFILTER_DROP", "dropped by netfilter"),
    ("TC_INGRESS", "dropped by tc as it came in"),
    ("TC_EGRESS", "dropped by tc as it left"),
    ("XDP", "dropped by XDP as it came in"),
    ("BPF_CGROUP_EGRESS", "dropped by an eBPF program of a cgroup"),
    ("SECURITY_HOOK", "dropped by a security hook"),
    ("XFRM_POLICY", "the check of IPsec's policies failed"),
    // What is not believed.
    ("IP_RPFILTER", "rp_filter did not accept where it came from"),
    ("IP_LOCAL_SOURCE", "its source is an address of who got it"),
    ("IP_INVALID_SOURCE", "its source is no address to send from"),
    ("IP_INVALID_DEST", "its destination is no address to send to"),
    ("IP_LOCALNET", "source or destination is a local net"),
    ("UNICAST_IN_L2_MULTICAST", "for one host, in a frame for many"),
    ("MAC_INVALID_SOURCE", "invalid source MAC address"),
    ("LOCAL_MAC", "its source MAC address is the interface's own"),
    ("IP_INHDR", "something is wrong with its IP header"),
    ("IP_CSUM", "IP checksum error"),
    ("ICMP_CSUM", "ICMP checksum error"),
    ("TCP_CSUM", "TCP checksum error"),
    ("UDP_CSUM", "UDP checksum error"),
    // No way.
    ("IP_INADDRERRORS", "host unreachable"),
    ("IP_INNOROUTES", "network unreachable"),
    ("IP_OUTNOROUTES", "route lookup failed"),
    ("IPV6DISABLED", "IPv6 is disabled on the interface"),
    ("NEIGH_CREATEFAIL", "no neighbour entry could be made"),
    ("NEIGH_FAILED", "the neighbour entry is in failed state"),
    ("NEIGH_QUEUEFULL", "too many packets wait for the neighbour"),
    ("NEIGH_DEAD", "the neighbour entry is dead"),
    ("VXLAN_VNI_NOT_FOUND", "no VXLAN device has this VNI"),
    ("NO_TX_TARGET", "nowhere to send it on to"),
    ("BRIDGE_INGRESS_STP_STATE", "STP does not let the bridge's port forward"),
    // No room, not ready.
    ("PKT_TOO_BIG", "too big, maybe for the MTU"),
    ("QDISC_DROP", "dropped by the queueing discipline"),
    ("CPU_BACKLOG", "the processor's backlog is full"),
    ("DEV_READY", "the interface is not up or not ready"),
    ("FULL_RING", "the ring is full"),
    ("TAP_FILTER", "dropped by the filter of a tun or tap device"),
];

/// Says what a reason means.
pub(super) fn of(reason: &str) -> Option<&'static str> {
    MEANINGS.iter().find(|(name, _)| *name == reason).map(|(_, words)| *words)
}
