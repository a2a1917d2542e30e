//! Every code of a cause or a lint, with what it means: `vnet explain CODE`.

/// A kind of fault, or of doubt about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its name, which stays.
    pub name: &'static str,
    /// What it means and what to do, in a few sentences.
    pub text: &'static str,
}

/// Finds what a code means.
#[must_use]
pub fn explain(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name == name)
}

const fn code(name: &'static str, text: &'static str) -> Code {
    Code { name, text }
}

/// All codes, causes first, then lints.
pub const CODES: &[Code] = &[
    code(
        "lo-down",
        "A namespace sends packets to its own addresses through the `local` table and by `lo`. \
         While `lo` is down, even a ping of one's own address fails. Set it up.",
    ),
    code(
        "interface-down",
        "The interface that the packet would leave by is down. While it is, the kernel also lacks \
         the routes over it, and its IPv6 addresses: setting it up brings back neither static \
         routes nor those addresses.",
    ),
    code(
        "peer-down",
        "The other end of the cable is down. A veth end has a carrier only while both are up.",
    ),
    code(
        "policy-blackhole",
        "An end of a netkit pair drops whatever is sent by it, as its `policy` says where no program of \
         BPF decides. Where neighbours are asked for (mode `l2`), so are its answers to who asks. Only the \
         end that the pair was made by takes a change, of both ends (`ip link set dev PRIMARY type netkit \
         forward`, or `peer forward` for the other one).",
    ),
    code(
        "no-peer",
        "The other end of the cable does not exist, or is in a namespace that is not looked at.",
    ),
    code(
        "port-down",
        "A port of a bridge on the way is down, so that the bridge passes nothing there.",
    ),
    code("bridge-down", "A bridge on the way is down: its ports then drop what comes in."),
    code("not-a-port", "An interface on the way was meant to be a port of a bridge and is none."),
    code("interface-missing", "An interface on the way does not exist."),
    code(
        "address-missing",
        "An address that was meant to be on the way, or at its end, is not there.",
    ),
    code(
        "no-address",
        "The namespace has no address of this family, so it can neither send nor be answered.",
    ),
    code("stray-address", "An address that nobody asked for draws the packet to the wrong place."),
    code(
        "duplicate-address",
        "Two have the same address. Where both are on one link, who is believed depends on who \
         answers last; and a namespace drops what seems to come from an address of its own. A lab with \
         such on one link is refused, unless its file says `allow: [ duplicate-address ]`.",
    ),
    code(
        "wrong-mask",
        "The length of an address's prefix says that an address is on the link which is not, or the \
         other way round.",
    ),
    code(
        "different-subnets",
        "Both are on one link, but their addresses are in different subnets, and no route says that \
         the other's is on link.",
    ),
    code(
        "broadcast-address",
        "The destination is the broadcast address of its subnet, which no host can have.",
    ),
    code(
        "broadcast-refused",
        "The destination is the broadcast address of a subnet: programs must ask for leave to send there \
         (SO_BROADCAST), and hosts don't answer echo requests that go to all (RFC 1122, section 3.2.2.6).",
    ),
    code(
        "link-local-scope",
        "An IPv6 link-local address is one of a link alone, and every link may have the same: name the interface \
         behind `%` (RFC 4007, section 11).",
    ),
    code("no-such-address", "Nobody has the destination's address."),
    code("not-own-address", "The source address that was asked for is not one of the sender's."),
    code("no-route", "A namespace on the way there has no route to the destination."),
    code(
        "no-route-back",
        "The packet arrives, but its answer does not: a namespace on the way back has no route to \
         the source.",
    ),
    code("blackhole-route", "A route of type `blackhole` drops the packet in silence."),
    code(
        "unreachable-route",
        "A route of type `unreachable` drops the packet and says so to the sender.",
    ),
    code(
        "prohibit-route",
        "A route of type `prohibit` drops the packet and says so to the sender.",
    ),
    code("throw-route", "A route of type `throw` ends the lookup before another could match."),
    code(
        "rule-refuses",
        "A policy rule (`ip rule`) of type `blackhole`, `prohibit` or `unreachable` drops the packet before \
         any table is asked.",
    ),
    code(
        "rule-to-empty-table",
        "A policy rule leads the packet to a table in which nothing is for it, and past the one that has \
         the route.",
    ),
    code(
        "rule-astray",
        "A policy rule which was not meant leads the packet to another table than it was to ask.",
    ),
    code(
        "rule-missing",
        "A policy rule is gone, so that a table is not asked: that of own addresses (`local`), or of the \
         routes (`main`). Every namespace is born with these rules.",
    ),
    code(
        "route-astray",
        "A route which was not meant leads the packet somewhere else: it is more specific, or its metric lower.",
    ),
    code(
        "wrong-gateway",
        "A route leads to a gateway that nobody on the link has, or to another one than was meant.",
    ),
    code(
        "wrong-leg",
        "A route with several legs has one that leads astray: a part of the flows is lost.",
    ),
    code("wrong-source", "A route prefers a source address to which the answer finds no way."),
    code(
        "no-source-address",
        "There is no address on the way out that the packet could come from.",
    ),
    code("connected-route-missing", "The route that the kernel makes of an address was removed."),
    code(
        "bridge-loop",
        "Bridges form a circle, and none of them has the spanning tree protocol break it: one frame to \
         all would go round for ever and take all there is of the processors. A lab with one is \
         refused. Take a link out, or set `stp: true`.",
    ),
    code(
        "gateway-off-link",
        "A route's gateway is on no network that the node is on, so that nobody could hand it a packet. \
         The kernel refuses such a route, and so does vnet.",
    ),
    code(
        "nat-shadowed",
        "Two translations are for the same packets: only the first is ever asked. A lab with such is \
         refused, unless its file says `allow: [ nat-shadowed ]`.",
    ),
    code("routing-loop", "Routes lead in a circle, until the packet's time to live ends."),
    code(
        "forwarding-off",
        "A node on the way does not forward packets that come in by this interface.",
    ),
    code(
        "ipv6-off",
        "IPv6 is switched off on an interface on the way, and with it went its IPv6 addresses and routes.",
    ),
    code(
        "mtu-too-small",
        "The packet is longer than the MTU of an interface that it leaves by, or of the route that it takes, and must \
         not be fragmented.",
    ),
    code(
        "neighbours-not-asked",
        "An interface asks for no neighbour that it does not know: `net.ipv4.neigh.DEV.mcast_solicit` (or IPv6's) \
         is 0. It is 3 by default.",
    ),
    code(
        "queue-drops",
        "The queue of an interface drops all that is to leave by it: somebody set one that loses everything, or \
         holds nothing (`tc qdisc`).",
    ),
    code(
        "local-route-missing",
        "A node has the address, but the route of its table `local` is gone by which packets to it are its own.",
    ),
    code(
        "mtu-outdated",
        "The sender was told by a router that its packets are too long for the way, which is no longer so. It \
         remembers that for ten minutes, and sends nothing longer that must not be fragmented.",
    ),
    code(
        "mtu-black-hole",
        "The packet is too long for an interface on the way, and the ICMP message that says so to the sender \
         is dropped: path MTU discovery (RFC 1191) never ends, and long packets vanish while short ones pass.",
    ),
    code(
        "ttl-too-small",
        "A packet's time to live ends before it is there: each node that passes it on takes one off. \
         What packets begin with is said by the `hoplimit` of a route, else by `net.ipv4.ip_default_ttl`, or for IPv6 by \
         the interface's `hop_limit`: 64 by default.",
    ),
    code(
        "mtu-mismatch",
        "The two ends of a cable have different MTUs, or a route says that more fits its interface than does: what \
         the one sends, the other drops in silence, and nobody is told.",
    ),
    code(
        "address-on-port",
        "An address is on a port of a bridge. What comes in there goes to the bridge, so it gets no answers.",
    ),
    code(
        "rp-filter",
        "`rp_filter` drops packets whose way back to the source is not the interface that they came in by.",
    ),
    code(
        "loopback-kept-in",
        "Addresses of 127.0.0.0/8 don't leave a node, nor come in by a link (RFC 1122, section 3.2.1.3), but by an \
         interface whose `route_localnet` is 1.",
    ),
    code("echo-ignored", "The destination was told to ignore echo requests."),
    code(
        "filter-drop",
        "A rule of a packet filter drops the packet, or its answer, or what looks for a neighbour on its \
         way (ARP, neighbour discovery).",
    ),
    code(
        "filter-policy",
        "No rule of a chain lets the packet through, and the chain's policy is to drop what no rule \
         decides. A bridge's chain may so drop what looks for neighbours: `meta protocol arp accept`.",
    ),
    code(
        "conntrack-invalid",
        "A packet filter drops what belongs to no connection that it has seen begin. So it is with \
         answers that take another way than what they answer.",
    ),
    code("dead-translation", "Address translation leads to an address that nobody has."),
    code(
        "translation-missing",
        "A node that was meant to translate addresses does not, or does it otherwise: packets go out \
         with a source that nobody finds back to.",
    ),
    code(
        "arp-silent",
        "Who has the address does not answer for it by ARP on this interface: `arp_ignore` or \
         `arp_filter` keep it from that. Or who was meant to answer in its place no longer does: its `proxy_arp` is off.",
    ),
    code(
        "arp-off",
        "An interface neither asks who has an address nor answers (`ip link set … arp off`).",
    ),
    code(
        "duplicate-mac",
        "Two on one link have the same hardware address: a bridge sends frames to whichever of them spoke last, and takes those for a port of \
         its own for itself.",
    ),
    code(
        "wrong-neighbour",
        "A neighbour entry has a hardware address that is not the neighbour's: frames go to nobody, or to \
         another. While somebody's entry is there nobody is asked any more; one that was only learned the \
         kernel doubts after a while.",
    ),
    code(
        "port-blocked",
        "A port of a bridge does not forward: the spanning tree protocol has it blocked.",
    ),
    code(
        "wrong-vlan",
        "A port of a bridge that keeps VLANs apart is not in the VLAN of the packet, or not in the way \
         that was meant: as that of packets without a tag, or with tags.",
    ),
    code(
        "tunnel-ends",
        "The two ends of a tunnel do not fit each other: the far end of each is the near end of the \
         other, and both are of one kind and number their packets alike.",
    ),
    code(
        "tunnel-key",
        "The two ends of a tunnel have different keys, or network numbers (VNI): neither takes what the \
         other sends.",
    ),
    code("tunnel-port", "The two ends of a tunnel over UDP have different ports."),
    code(
        "tunnel-loop",
        "The packets of a tunnel would go into that tunnel: its far end has to be reached another way.",
    ),
    code(
        "fdb-missing",
        "A VXLAN is not told of a far end: what goes to all, such as ARP, does not get there.",
    ),
    code(
        "wireguard-key",
        "A WireGuard device knows its peer by another key than it has, or not at all.",
    ),
    code(
        "wireguard-endpoint",
        "A WireGuard device does not know where its peer is, or takes it to be elsewhere.",
    ),
    code(
        "allowed-ips",
        "An address is not among the allowed IPs of a WireGuard peer: packets to it do not go there, \
         and from it are dropped.",
    ),
    code(
        "wrong-vrf",
        "An interface is in another VRF than was meant, or in none: its packets are looked up in \
         another table. Who comes to a VRF or leaves it loses its routes.",
    ),
    code(
        "vrf-leak-missing",
        "A packet would have to go from one VRF to another, or from or to none, and the table that is \
         asked has no route that says so. What programs send that are not bound to a VRF \
         (`ip vrf exec`) is looked up in the main table.",
    ),
    code(
        "outside-vrf",
        "A packet comes in by a VRF, and the program that it is for is not bound to that. It is given \
         the packet where net.ipv4.tcp_l3mdev_accept (or udp_) is 1.",
    ),
    code("port-isolated", "Two ports of a bridge are isolated, and pass nothing on to each other."),
    code(
        "hairpin-off",
        "Who sends and who is to hear are behind one port of a bridge, as macvlans of mode `vepa` on one \
         interface are. A bridge sends nothing out by the port that it came in by, unless the port's \
         `hairpin` is on (`bridge link set dev PORT hairpin on`).",
    ),
    code(
        "ipvlan-no-arp",
        "An ipvlan in mode `l3` or `l3s` answers neither ARP nor IPv6's neighbour solicitations, and hears \
         nothing that goes to all. Who sends to it needs a route by way of an address of the interface \
         that it stands on; what that takes in for it gets there without being forwarded. That interface's \
         own namespace reaches it by a router outside alone.",
    ),
    code(
        "ipvlan-apart",
        "A flag of the interface below keeps its ipvlans apart: with `private` nothing passes between them, \
         with `vepa` only what a switch or router outside sends back. With the flag `bridge` they \
         reach each other (`ip link set dev IPVLAN type ipvlan bridge`).",
    ),
    code(
        "ipvlan-vrf",
        "An ipvlan in mode `l3s` stands on a port of a VRF. What comes in there is given to the VRF, and \
         never to the ipvlan. In mode `l3` the ipvlan is asked first.",
    ),
    code(
        "macvlan-apart",
        "Two interfaces stand on the same one, and frames between them would have to come back from the \
         other end of the cable. Macvlans reach each other there in mode `bridge`: in `vepa` only by \
         way of a switch that sends frames back (hairpin), in `private` not at all. What they stand on \
         they reach by such a switch alone, and so does an ipvlan: give that node a macvlan too.",
    ),
    code(
        "dad-failed",
        "An IPv6 address can't be used, because another on the link has it too (RFC 4862, section 5.4).",
    ),
    code(
        "address-tentative",
        "An IPv6 address can't be used yet: for a second or two it is found out whether another has it.",
    ),
    code("nobody-listens", "The packet arrives, but no program listens on its port."),
    code(
        "listens-elsewhere",
        "A program listens on the port, but at another address: at 127.0.0.1, say, it is reached from \
         its own node only.",
    ),
    // Lints.
    code(
        "network-address",
        "A host has the first address of its subnet, which is that of the network itself (RFC 1122, \
         section 3.2.1.3). Linux takes it; others, and older kernels, treat it as a broadcast.",
    ),
    code(
        "overlapping-prefixes",
        "Two prefixes on different wires overlap, so that an address can be looked for on the wrong \
         one. That is fine where they can never meet, as behind address translation.",
    ),
    code(
        "unreachable-node",
        "As the file stands, no other node reaches this one. Give it routes, or `routing: auto`.",
    ),
    code(
        "unreachable-address",
        "As the file stands, no other node, nor the host, reaches a node at this address, though at another: no \
         route leads to it, or not back. What a filter keeps away is not meant by this.",
    ),
    code(
        "asymmetric-route",
        "The way back is another than the way there. It works, unless something on it checks sources or keeps state.",
    ),
    code(
        "black-hole",
        "A route of type `blackhole`, `prohibit` or `unreachable` drops what goes to a node of the lab.",
    ),
    code(
        "mtu-shrinks",
        "An interface on a way has a smaller MTU than the one that packets first leave by. The sender learns \
         of it by ICMP (path MTU discovery, RFC 1191), unless a filter drops that: then long packets vanish.",
    ),
    code(
        "rule-never-reached",
        "No packet comes to a rule of a firewall, because one before it decides about all that it is for.",
    ),
    code(
        "nft-text",
        "The program `nft` does not take what stands under `nftables:`, or it is about tables of others: `up` will \
         refuse it. It is read in a namespace that goes at once, as root or where the lab is up.",
    ),
    code("unused-object", "A node has no link, or a segment no members: nothing ever gets there."),
    code("unused-variable", "A variable of `vars:` stands nowhere in the file."),
];
