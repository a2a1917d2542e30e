//! The network that all contenders build: N nodes in a ring, each with `lo` and two addressed interfaces up.
use std::fmt::Write;
use std::net::Ipv4Addr;

/// A ring of so many nodes. Link `i` joins node `i` and the next; the last one joins the last node and the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring(pub(super) u32);

/// Which of a link's two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

/// One end of one link.
#[derive(Debug)]
pub(super) struct RingEnd {
    pub(super) node: u32,
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) mac: [u8; 6],
    pub(super) address: Ipv4Addr,
}

impl Ring {
    /// The numbers of the nodes, which are those of the links too.
    pub(super) fn nodes(self) -> std::ops::RangeInclusive<u32> {
        1..=self.0
    }

    pub(super) fn end(self, link: u32, side: Side) -> RingEnd {
        let next = link % self.0 + 1;
        let (node, far, index, host) = match side {
            Side::First => (link, next, 3, 0),
            Side::Second => (next, link, 2, 1),
        };
        let base = if link == self.0 { 0x0aff_0000 } else { 0x0a00_0000 + 2 * (link - 1) };
        let [_, a, b, c] = link.to_be_bytes();
        RingEnd {
            node,
            name: format!("n{far}"),
            index,
            mac: [0x02, 0, a, b, c, host],
            address: Ipv4Addr::from(base + u32::from(host)),
        }
    }

    /// The same in vnet's language.
    pub(super) fn topology(self) -> String {
        let (nodes, before_last) = (self.0, self.0 - 1);
        format!(
            "name: bench\n\
             netns: $node\n\
             nodes: [ n1..{nodes} ]\n\
             links:\n\
             - {{ endpoints: [ n1..{before_last}, n2..{nodes} ], pairs: each, pool: 10.0.0.0/16 }}\n\
             - {{ endpoints: [ n{nodes}, n1 ], prefix: 10.255.0.0/31 }}\n"
        )
    }

    /// The same with a table of five rules in each node: four of a firewall, and a masquerade.
    pub(super) fn filtered_topology(self) -> String {
        let (nodes, before_last) = (self.0, self.0 - 1);
        let rules = "firewall: { forward: drop, \
                     allow: [ forward from 10.0.0.0/8, forward tcp/22, forward udp/53 ] }";
        let filtered = format!(
            "nodes:\n  \
             n1..{before_last}: {{ {rules}, nat: {{ masquerade: n2..{nodes} }} }}\n  \
             n{nodes}: {{ {rules}, nat: {{ masquerade: n1 }} }}\n"
        );
        self.topology().replace(&format!("nodes: [ n1..{nodes} ]\n"), &filtered)
    }

    /// As a shell script: one `ip` a line, interfaces born where they live.
    pub(super) fn script(self) -> String {
        let mut script = String::from("set -e\n");
        for node in self.nodes() {
            _ = writeln!(script, "ip netns add n{node}\nip -n n{node} link set lo up");
        }
        for link in self.nodes() {
            let ends = [self.end(link, Side::First), self.end(link, Side::Second)];
            _ = writeln!(script, "ip {}", add_link(&ends));
            for end in ends {
                let RingEnd { node, name, address, .. } = end;
                _ = writeln!(script, "ip -n n{node} addr add {address}/31 dev {name}");
                _ = writeln!(script, "ip -n n{node} link set {name} up");
            }
        }
        script
    }

    /// For `ip -batch`: all namespaces and links.
    pub(super) fn batch(self) -> String {
        let mut batch = String::new();
        for node in self.nodes() {
            _ = writeln!(batch, "netns add n{node}");
        }
        for link in self.nodes() {
            let ends = [self.end(link, Side::First), self.end(link, Side::Second)];
            _ = writeln!(batch, "{}", add_link(&ends));
        }
        batch
    }

    /// For `ip -batch`: all of it, by the one way from a batch into a namespace that iproute2 has.
    pub(super) fn whole_batch(self) -> String {
        let mut batch = self.batch();
        for node in self.nodes() {
            for line in self.node_batch(node).lines() {
                _ = writeln!(batch, "netns exec n{node} ip {line}");
            }
        }
        batch
    }

    /// For `ip -n NODE -batch`: what is inside of a node.
    pub(super) fn node_batch(self, node: u32) -> String {
        let before = if node == 1 { self.0 } else { node - 1 };
        let mut batch = String::from("link set lo up\n");
        for end in [self.end(before, Side::Second), self.end(node, Side::First)] {
            let RingEnd { name, address, .. } = end;
            _ = writeln!(batch, "addr add {address}/31 dev {name}\nlink set {name} up");
        }
        batch
    }
}

fn add_link([first, second]: &[RingEnd; 2]) -> String {
    format!(
        "link add {} netns n{} type veth peer name {} netns n{}",
        first.name, first.node, second.name, second.node
    )
}

#[cfg(test)]
mod tests {
    use super::{Ring, Side};

    #[test]
    fn each_node_has_one_end_of_each_index_and_no_address_twice() {
        let ring = Ring(300);
        let mut ends = Vec::new();
        for link in ring.nodes() {
            ends.extend([ring.end(link, Side::First), ring.end(link, Side::Second)]);
        }
        let count = |mut keys: Vec<String>| {
            keys.sort();
            keys.dedup();
            keys.len()
        };
        assert_eq!(
            count(ends.iter().map(|end| format!("{} {}", end.node, end.index)).collect()),
            600
        );
        assert_eq!(
            count(ends.iter().map(|end| format!("{} {}", end.node, end.name)).collect()),
            600
        );
        assert_eq!(count(ends.iter().map(|end| end.address.to_string()).collect()), 600);
        assert_eq!(count(ends.iter().map(|end| format!("{:?}", end.mac)).collect()), 600);
    }

    #[test]
    fn each_node_of_a_filtered_ring_masquerades_at_its_next() {
        let topology = Ring(3).filtered_topology();
        assert!(topology.contains("  n1..2: { firewall: { forward: drop"), "{topology}");
        assert!(topology.contains("nat: { masquerade: n2..3 } }\n"), "{topology}");
    }

    #[test]
    fn a_script_of_three_nodes() {
        let script = Ring(3).script();
        assert!(script.contains("ip link add n2 netns n1 type veth peer name n1 netns n2\n"));
        assert!(script.contains("ip link add n1 netns n3 type veth peer name n3 netns n1\n"));
        assert!(script.contains("ip -n n3 addr add 10.0.0.3/31 dev n2\n"));
        assert!(script.contains("ip -n n1 addr add 10.255.0.1/31 dev n3\n"));
    }
}
