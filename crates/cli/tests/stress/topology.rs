//! Random topology files that are right.

use std::fmt::Write as _;

use crate::random::Random;

/// Writes the file that follows from a seed.
pub(crate) fn file(seed: u64) -> String {
    let mut random = Random(seed);
    let nodes = 2 + random.below(5);
    let mut text = format!("name: x\nrouting: {}\nnodes:\n", random.pick(&["auto", "none"]));
    for node in 1..=nodes {
        writeln!(text, "  r{node}: {{ {} }}", options(&mut random, node)).unwrap();
    }
    let hosts = random.below(4);
    if hosts > 0 {
        let stp = random.pick(&["true", "false"]);
        writeln!(text, "  h1..{hosts}:").unwrap();
        let bridge = format!("kind: bridge, ports: [ h1..{hosts} ], stp: {stp}");
        writeln!(
            text,
            "  sw: {{ interfaces: {{ br0: {{ {bridge}, addresses: 10.9.0.254/24 }} }} }}"
        )
        .unwrap();
    }
    if random.once_in(2) {
        let ipv6 = random.pick(&["10.8.0.0/24", "[ 10.8.0.0/24, 2001:db8:8::/64 ]"]);
        let mtu = random.pick(&["", ", mtu: 1400", ", stp: true"]);
        let members = 1 + random.below(nodes);
        writeln!(text, "segments:\n  lan: {{ prefix: {ipv6}{mtu}, members: [ r1..{members} ] }}")
            .unwrap();
    }
    writeln!(text, "links:").unwrap();
    for node in 2..=nodes {
        let to = 1 + random.below(node - 1);
        writeln!(text, "  - endpoints:").unwrap();
        for (side, (a, b)) in [(node, to), (to, node)].into_iter().enumerate() {
            let end = end(&mut random, node, u64::try_from(side).unwrap() + 1);
            writeln!(text, "      r{a}:to{b}: {{ {end} }}").unwrap();
        }
    }
    if hosts > 0 {
        writeln!(text, "  - {{ endpoints: {{ sw: , h1..{hosts}: 10.9.0.1..{hosts}/24 }} }}")
            .unwrap();
    }
    text
}

fn options(random: &mut Random, node: u64) -> String {
    let mut options = vec![format!("forward: {}", random.once_in(2))];
    if random.once_in(2) {
        options.push(format!("interfaces: {{ lo: 10.255.0.{node}/32 }}"));
    }
    if random.once_in(3) {
        options.push(format!("sysctls: {{ net.ipv4.tcp_ecn: {} }}", random.below(3)));
    }
    if random.once_in(3) {
        let kind = random.pick(&["blackhole", "unreachable", "prohibit", "throw"]);
        let table = random.pick(&["", " table 100", " metric 50"]);
        options.push(format!("routes: [ {kind} 10.77.{node}.0/24{table} ]"));
    }
    options.join(", ")
}

fn end(random: &mut Random, link: u64, side: u64) -> String {
    let mut addresses = vec![format!("10.0.{link}.{side}/24")];
    if random.once_in(3) {
        addresses.push(format!("10.0.{link}.{}/24", side + 10));
    }
    if random.once_in(3) {
        addresses.push(format!("2001:db8:{link}::{side}/64"));
    }
    if random.once_in(2) {
        addresses.reverse();
    }
    let mut options = vec![format!("addresses: [ {} ]", addresses.join(", "))];
    if random.once_in(3) {
        options.push(format!("mtu: {}", 1300 + random.below(200)));
    }
    if random.once_in(4) {
        options.push(format!("mac: '02:00:00:{side:02}:{link:02}:{:02}'", random.below(90)));
    }
    if random.once_in(4) {
        options.push(format!("alias: text {}", random.below(3)));
    }
    if random.once_in(6) {
        options.push("up: false".to_owned());
    }
    options.join(", ")
}
