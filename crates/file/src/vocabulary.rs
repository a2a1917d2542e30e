//! The language as a table: every key of every object, what it says, and what it takes.
//!
//! The reader refuses keys by this table and the JSON schema is made from it, so they can't
//! disagree. A schema derived from Rust structs would need a second set of structs, since nothing
//! here is read by serde. Keys that are part of the language, but that this version does not
//! know yet, stand here as [`Shape::Later`]: they are refused by name.

use vnet_model::kind;
use vnet_model::state::QUEUES_MAX;

/// An object of the language: something with keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name, for messages: "a link has no key `x`".
    pub(crate) name: &'static str,
    /// What it is, in one sentence.
    pub(crate) doc: &'static str,
    /// The keys that it can't be without.
    pub(crate) required: &'static [&'static str],
    /// Its keys in the order in which they are explained.
    pub(crate) keys: &'static [Key],
    /// Whether the options of kinds of interfaces are keys too.
    pub(crate) kinds: bool,
}

/// A key of an object.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it says, in one sentence.
    pub(crate) doc: &'static str,
    pub(crate) shape: Shape,
}

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Part of the language, but not supported yet.
    Later,
    /// A text.
    Text,
    /// `true` or `false`.
    Bool,
    /// `on` or `off`, or a boolean.
    OnOff,
    /// A whole number in these bounds.
    Number { min: u32, max: u32 },
    /// A kind of interface.
    Kind,
    /// The options of ports, by their words.
    PortOptions,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text or a list of texts.
    OneOrMany,
    /// A map from free names to texts.
    Texts,
    /// Names: one, a list, or a map from name to nothing or to options.
    Names(&'static Object),
    /// Interfaces: as names, but also a map from name to address or addresses.
    Interfaces(&'static Object),
    /// A list of links.
    Links(&'static Object),
    /// One object.
    Object(&'static Object),
    /// One object or a list of them.
    Objects(&'static Object),
}

impl Object {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Tells whether it has a key, or an option of some kind, of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let is_option = || self.kinds && kind::options_called(name).next().is_some();
        self.key(name).is_some() || is_option()
    }

    /// Lists the names of its keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }

    /// Lists the names of the options that are keys of it too, sorted.
    pub(crate) fn option_names(&self) -> Vec<&'static str> {
        let kinds = kind::ALL.iter().filter(|_| self.kinds);
        let mut names: Vec<_> =
            kinds.flat_map(|kind| kind.options).map(|option| option.key).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

const fn key(name: &'static str, doc: &'static str, shape: Shape) -> Key {
    Key { name, doc, shape }
}

const fn later(name: &'static str, doc: &'static str) -> Key {
    key(name, doc, Shape::Later)
}

const MTU: Shape = Shape::Number { min: MTU_MIN_BYTES, max: MTU_MAX_BYTES };
const QUEUES: Shape = Shape::Number { min: 1, max: QUEUES_MAX };
const PORT: Shape = Shape::Number { min: 1, max: 65535 };
const COST: Shape = Shape::Number { min: 1, max: u32::MAX };

/// The smallest MTU of an interface, in bytes (`ETH_MIN_MTU`, linux/if_ether.h).
pub(crate) const MTU_MIN_BYTES: u32 = 68;

/// The largest MTU of a veth interface, in bytes (`ETH_MAX_MTU`, linux/if_ether.h).
pub(crate) const MTU_MAX_BYTES: u32 = 65535;

/// The highest number of a VXLAN, 24 bits (RFC 7348, section 5).
pub(crate) const VNI_MAX: u32 = 0xff_ffff;

/// The lowest number of a VLAN: 1 is the one that ports are in which say nothing.
pub(crate) const VLAN_MIN: u32 = 2;

/// The highest number of a VLAN (IEEE 802.1Q-2018, table 9-2).
pub(crate) const VLAN_MAX: u32 = 4094;

/// The file as a whole.
pub(crate) static FILE: Object = Object {
    name: "the file",
    doc: "A virtual network: nodes, and the links and segments between them.",
    required: &["name"],
    keys: &[
        key("name", "The name of the lab, which its namespaces begin with.", Shape::Text),
        key(
            "netns",
            "How namespaces are named: a text with `$node`, and `$lab`, in it. `$lab-$node` where \
             not given.",
            Shape::Text,
        ),
        key(
            "vars",
            "Variables: `$name` or `${name}` stands for the text anywhere below. `--var name=text` \
             overrides them.",
            Shape::Texts,
        ),
        key(
            "routing",
            "Where routes come from: `none` is only what the file says, `auto` adds the shortest \
             paths between all prefixes, in each VRF for itself.",
            Shape::Choice(&["none", "auto"]),
        ),
        key(
            "nodes",
            "The hosts and routers: each is a network namespace. A range such as `pc1..20` is \
             twenty of them.",
            Shape::Names(&NODE),
        ),
        key(
            "segments",
            "The networks that more than two nodes share: each is a bridge.",
            Shape::Names(&SEGMENT),
        ),
        key("links", "The cables between two nodes: each is a veth pair.", Shape::Links(&LINK)),
        key(
            "allow",
            "What `vnet check` shall not warn of, by its codes: `[ network-address ]`. Of what is refused \
             these may be meant: `duplicate-address`, `duplicate-mac`, `overlapping-prefixes`, `nat-shadowed`.",
            Shape::OneOrMany,
        ),
        key(
            "expect",
            "What must hold, which `vnet test` tries: `pc1 reaches web tcp/80`, `guest cannot reach \
             staff`, `web sees pc1..3 as 192.0.2.2`. Behind it may stand `via r1`, `within 30ms`, \
             `ipv6`, and `if r1--r2 is down` or `for every single link failure`. A member's cable to \
             its segment is a link too: `pc1--lan`.",
            Shape::OneOrMany,
        ),
    ],
    kinds: false,
};

/// An entry of `nodes:`.
pub(crate) static NODE: Object = Object {
    name: "a node",
    doc: "A host or router: one network namespace.",
    required: &[],
    keys: &[
        key(
            "forward",
            "Whether it forwards packets between its interfaces, as a router does.",
            Shape::Bool,
        ),
        key("ipv6", "Whether IPv6 runs in it.", Shape::OnOff),
        key(
            "interfaces",
            "`lo`, bridges in the node, and options for what links and segments make.",
            Shape::Interfaces(&INTERFACE),
        ),
        key(
            "routes",
            "Static routes in iproute2's words: `10.66.0.0/16 via r2`. `via` may name a node.",
            Shape::OneOrMany,
        ),
        key(
            "nexthops",
            "Nexthop objects in iproute2's words: `id 1 via r2`, `id 10 group 1/2`. Routes refer to \
             them by `nhid`.",
            Shape::OneOrMany,
        ),
        key(
            "rules",
            "Policy rules in iproute2's words: `from 10.0.0.0/8 table 100 priority 1000`. Those \
             without a priority are asked in written order, from 20000.",
            Shape::OneOrMany,
        ),
        key(
            "neighbors",
            "Permanent neighbours in iproute2's words: `10.0.0.9 lladdr 02:00:00:00:00:09 dev \
             eth0`; `proxy 10.0.0.9 dev eth0` answers for one.",
            Shape::OneOrMany,
        ),
        key(
            "fdb",
            "Forwarding entries in the words of `bridge fdb`: `02:00:00:00:00:09 dev vx0 dst \
             10.0.0.2` of a VXLAN (all zeros for every address that is not known), \
             `02:00:00:00:00:09 dev eth0 vlan 10` of a port of a bridge of the node.",
            Shape::OneOrMany,
        ),
        key("sysctls", "Kernel settings under `net.` by their dotted name.", Shape::Texts),
        key(
            "firewall",
            "What it lets in, out and through. Without it, all.",
            Shape::Object(&FIREWALL),
        ),
        key(
            "nat",
            "Translations of addresses, each a map with `masquerade`, `snat`, `dnat` or `binat`.",
            Shape::Objects(&NAT),
        ),
        key(
            "nftables",
            "Text for the program `nft`, for what `firewall` and `nat` can't say. Its tables are \
             made beside that of `firewall` and `nat`.",
            Shape::Text,
        ),
        key(
            "publish",
            "Ports that are reached from the host's 127.0.0.1: `tcp/8080:80` is the node's port 80 as \
             8080 there, `udp/53` the same in both. The node gets an interface `host` for it, by \
             which it answers and begins nothing.",
            Shape::OneOrMany,
        ),
        later("services", "Programs that run in it while the lab is up."),
    ],
    kinds: false,
};

/// A node's `firewall:`.
pub(crate) static FIREWALL: Object = Object {
    name: "a firewall",
    doc: "What a node lets in, out and through. A rule is words: a protocol with ports \
          (`tcp/22,8000-8080`), `from` and `to` with prefixes, nodes, segments or interfaces, `iif`, \
          `oif`, `state`, `limit 10/second`, `log`, `counter`; `in`, `out` or `forward` before them \
          says which packets it is about (else: those that are passed on, if the node forwards). The \
          kernel writes the `log` of a namespace only where the host's sysctl \
          `net.netfilter.nf_log_all_netns` is 1.",
    required: &[],
    keys: &[
        key("in", "What becomes of packets to the node that no rule decides.", VERDICT),
        key("out", "What becomes of packets of the node's own that no rule decides.", VERDICT),
        key("forward", "What becomes of packets that it passes on that no rule decides.", VERDICT),
        key(
            "established",
            "Whether packets of connections that are established, or related to such, are let \
             through before any rule is asked; they are, where not given.",
            Shape::Bool,
        ),
        key(
            "rules",
            "Rules in the order in which they are asked, each with `allow`, `deny`, `reject` or \
             `count` before it: `deny tcp/25 from guest`.",
            Shape::OneOrMany,
        ),
        key("deny", "What is dropped in silence. Asked after `rules`.", Shape::OneOrMany),
        key(
            "reject",
            "What is dropped, and its sender told. Asked after `deny`.",
            Shape::OneOrMany,
        ),
        key("allow", "What is let through. Asked last.", Shape::OneOrMany),
    ],
    kinds: false,
};

/// What becomes of a packet.
const VERDICT: Shape = Shape::Choice(&["accept", "drop", "reject"]);

/// An entry of a node's `nat:`.
pub(crate) static NAT: Object = Object {
    name: "a translation",
    doc: "A translation of addresses: one of `masquerade`, `snat`, `dnat` and `binat`.",
    required: &[],
    keys: &[
        key(
            "masquerade",
            "The interfaces: what leaves by them gets their address as its source.",
            Shape::OneOrMany,
        ),
        key(
            "snat",
            "What gets another source: prefixes, nodes, segments or interfaces, or `any`.",
            Shape::OneOrMany,
        ),
        key(
            "dnat",
            "What gets another destination: `tcp/80`, `udp/5000-5010`, `gre`.",
            Shape::Text,
        ),
        key(
            "binat",
            "The address that stands for another one, in both directions and for all ports.",
            Shape::Text,
        ),
        key("from", "Only what comes from these (masquerade).", Shape::OneOrMany),
        key(
            "iif",
            "Only what comes in by this interface, to an address of it (dnat).",
            Shape::Text,
        ),
        key("oif", "Only what leaves by these interfaces (snat, binat).", Shape::OneOrMany),
        key("dst", "Only what comes to this address (dnat).", Shape::Text),
        key(
            "to",
            "The new address (snat), the new destination, as a node or an address with or without a \
             port (dnat: `pc1 tcp/22`), or whom the address stands for (binat).",
            Shape::Text,
        ),
        key(
            "hairpin",
            "Whether a dnat also holds for what comes from inside, to the outer address.",
            Shape::Bool,
        ),
    ],
    kinds: false,
};

/// The one interface object, of `interfaces:`, `endpoints:` and `members:`.
pub(crate) static INTERFACE: Object = Object {
    name: "an interface",
    doc: "An interface of a node.",
    required: &[],
    keys: &[
        key(
            "addresses",
            "Its addresses, with the length of their prefix: `10.0.0.1/24`.",
            Shape::OneOrMany,
        ),
        key("mtu", "The largest packet it sends, in bytes.", MTU),
        key(
            "mac",
            "Its hardware address; derived from the names of lab, node and interface where not \
             given.",
            Shape::Text,
        ),
        key("up", "Whether it is up; it is, where not given.", Shape::Bool),
        key(
            "ipv6",
            "Whether IPv6 runs on it; where not given it does, but on bridges and their ports without \
             an address.",
            Shape::OnOff,
        ),
        key("alias", "A free text for people.", Shape::Text),
        key("kind", "What it is, if no link or segment makes it.", Shape::Kind),
        key(
            "link",
            "The interface of the node that it stands on; `host:NAME`: one of the host's.",
            Shape::Text,
        ),
        key(
            "ports",
            "The interfaces of the node that are ports of this bridge, bond or VRF.",
            Shape::OneOrMany,
        ),
        key(
            "txqueuelen",
            "How many packets its queue holds.",
            Shape::Number { min: 0, max: u32::MAX },
        ),
        key(
            "numtxqueues",
            "How many queues it sends by. An interface that exists is made again for it.",
            QUEUES,
        ),
        key(
            "numrxqueues",
            "How many queues it receives by. An interface that exists is made again for it.",
            QUEUES,
        ),
        key(
            "rps_cpus",
            "Which processors take what comes in at it, by their numbers: `0-3,7`, or `none` for the one \
             that hears of it first. Takes root.",
            Shape::Text,
        ),
        key(
            "offload",
            "Work that it does for the kernel, `on` or `off`, by ethtool's words: `rx` and `tx` \
             checksums, `sg`, `tso`, `gso`, `gro`.",
            Shape::Texts,
        ),
        key(
            "accept_ra",
            "Whether it listens to router advertisements, also where the node forwards. The \
             kernel's default where not given: hosts do, routers do not.",
            Shape::Bool,
        ),
        key(
            "sysctls",
            "Its kernel settings by what they are called within it: `ipv4.rp_filter`, \
             `ipv6.accept_dad`, `ipv4.neigh.delay_first_probe_time`.",
            Shape::Texts,
        ),
        key("vrf", "The VRF of the node that it belongs to.", Shape::Text),
        key(
            "port",
            "Its options as a port of a bridge or bond of the node, in the words of \
             `ip link set … type bridge_slave`.",
            Shape::PortOptions,
        ),
        key(
            "vlan",
            "The VLAN of its packets without a tag, on the segment that it is plugged into: the name \
             of a segment with a `vlan`. In a node's `interfaces` that of a port of a bridge of the \
             node that has `vlan_filtering`, or of such a bridge itself: its number will do too.",
            Shape::Text,
        ),
        key(
            "trunk",
            "The VLANs that a member carries with their tags; each is an interface of the node, named \
             after the VLAN. In a node's `interfaces` those of a port of a bridge of the node, or of \
             the bridge itself: `staff`, `20-29`; `pvid` and `untagged` behind one are those of \
             `bridge vlan`.",
            Shape::OneOrMany,
        ),
        key(
            "isolated",
            "Whether a member of a segment can't reach the other isolated ones there.",
            Shape::Bool,
        ),
        key(
            "listen_port",
            "The UDP port of a member of a WireGuard segment, where the segment does not say it.",
            PORT,
        ),
        key(
            "allowed_ips",
            "Prefixes that are sent to a member of a WireGuard segment, and may come from it, beside \
             its own addresses and what the others have routes to by it.",
            Shape::OneOrMany,
        ),
        later("impair", "What it does to the packets it sends: delay, loss, rate."),
    ],
    kinds: true,
};

/// An entry of `links:`.
pub(crate) static LINK: Object = Object {
    name: "a link",
    doc: "A cable between two nodes, or one for each pair of two ranges of nodes.",
    required: &["endpoints"],
    keys: &[
        key(
            "endpoints",
            "Its two ends: `node` or `node:interface`; `host:interface` is in the host, and takes root. An \
             end that is a range makes many links.",
            Shape::Interfaces(&INTERFACE),
        ),
        key("name", "Its name; `r1--r2` where not given.", Shape::Text),
        key(
            "pairs",
            "How two ranges meet: `each` links the first with the first, the second with the \
             second; `all` links each with all (of one range twice: every pair once).",
            Shape::Choice(&["each", "all"]),
        ),
        key(
            "prefix",
            "The prefix that its ends get addresses of, in written order, gateway first.",
            Shape::OneOrMany,
        ),
        key("pool", "The prefix that each link gets a /31 or /127 of.", Shape::OneOrMany),
        key("gateway", "The end that is the other's default route.", Shape::Text),
        key("mtu", "The largest packet that its ends send, in bytes.", MTU),
        key(
            "cost",
            "What it costs `routing: auto` to cross it; 1 where not given, 1000 for a tunnel.",
            COST,
        ),
        key(
            "kind",
            "What it is: a `netkit` in place of a veth pair, or a tunnel instead of a cable, whose \
             addresses outside follow from its nodes.",
            Shape::Kind,
        ),
        key("over", "The interface of its nodes that a tunnel goes over.", Shape::Text),
        later("impair", "What it does to packets in both directions: delay, loss, rate."),
        key(
            "trunk",
            "The VLANs that it carries with their tags, by the names of segments with a `vlan`.",
            Shape::OneOrMany,
        ),
    ],
    kinds: true,
};

/// An entry of `segments:`.
pub(crate) static SEGMENT: Object = Object {
    name: "a segment",
    doc: "A network that many nodes share: a bridge, whose options are keys of it too.",
    required: &[],
    keys: &[
        key(
            "members",
            "The nodes on it: `node` or `node:interface`.",
            Shape::Interfaces(&INTERFACE),
        ),
        key(
            "prefix",
            "The prefix that its members get addresses of, in written order, gateway first.",
            Shape::OneOrMany,
        ),
        key(
            "reserve",
            "Addresses of its prefixes that are never handed out: `10.0.0.2..9`, `10.0.0.64/26`.",
            Shape::OneOrMany,
        ),
        key("gateway", "The member that is the others' default route.", Shape::Text),
        key("mtu", "The largest packet that its interfaces send, in bytes.", MTU),
        key("stp", "Whether its bridge runs the spanning tree protocol.", Shape::Bool),
        key("cost", "What it costs `routing: auto` to cross it; 1 where not given.", COST),
        key(
            "kind",
            "What carries its packets: a `bridge` where not given, or a tunnel from each member to \
             each other, a `vxlan` or a `wireguard`.",
            Shape::Choice(&["bridge", "vxlan", "wireguard"]),
        ),
        key("id", "The number (VNI) of a VXLAN.", Shape::Number { min: 0, max: VNI_MAX }),
        key(
            "over",
            "The interface of each member whose address the packets of a VXLAN go from and to: `lo`; \
             those of WireGuard find it where not given.",
            Shape::Text,
        ),
        key(
            "group",
            "The multicast group of a VXLAN for packets to unknown addresses; without one they go to \
             each member.",
            Shape::Text,
        ),
        key("dstport", "The UDP port of a VXLAN; 4789 where not given.", PORT),
        key(
            "hub",
            "The member of a WireGuard segment that the others connect to, and that passes on between \
             them; without one each connects to each.",
            Shape::Text,
        ),
        key(
            "listen_port",
            "The UDP port of all members of a WireGuard segment; 51820 for the first device of a node \
             where not given, then 51821.",
            PORT,
        ),
        key(
            "keepalive",
            "How often the members of a WireGuard segment send a packet so that firewalls keep the way \
             open, in seconds; 0 for never.",
            Shape::Number { min: 0, max: 65535 },
        ),
        key(
            "fwmark",
            "The mark of what the members of a WireGuard segment send, by which rules find a route.",
            Shape::Number { min: 0, max: u32::MAX },
        ),
        key(
            "vlan",
            "The number of the VLAN that it is. Without members it is nothing more: the ports of \
             other segments carry it.",
            Shape::Number { min: VLAN_MIN, max: VLAN_MAX },
        ),
        key(
            "external",
            "Whether the lab's host is on it, with the first address of its prefix: it leads the \
             members to the world, behind its own address. Takes root.",
            Shape::Bool,
        ),
        later("impair", "What it does to the packets between its members."),
    ],
    kinds: true,
};
