//! Random topology files that are right.

use std::fmt::Write as _;

use crate::random::Random;

/// Writes the file that follows from a seed.
pub(crate) fn file(seed: u64) -> String {
    let mut random = Random(seed);
    // Numbers of its own: what came later to the language leaves the rest of a seed's file as it was.
    let mut later = Random(seed ^ 0x1a7e);
    let nodes = 2 + random.below(5);
    let mut text = format!("name: x\nrouting: {}\nnodes:\n", random.pick(&["auto", "none"]));
    for node in 1..=nodes {
        writeln!(text, "  r{node}: {{ {} }}", options(&mut random, &mut later, node)).unwrap();
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

fn options(random: &mut Random, later: &mut Random, node: u64) -> String {
    let mut options = vec![format!("forward: {}", random.once_in(2))];
    let mut lo = String::new();
    let mut routes = Vec::new();
    if random.once_in(2) {
        lo = format!("lo: 10.255.0.{node}/32");
    }
    if random.once_in(3) {
        options.push(format!("sysctls: {{ net.ipv4.tcp_ecn: {} }}", random.below(3)));
    }
    if random.once_in(3) {
        let kind = random.pick(&["blackhole", "unreachable", "prohibit", "throw"]);
        let table = random.pick(&["", " table 100", " metric 50"]);
        routes.push(format!("{kind} 10.77.{node}.0/24{table}"));
    }
    let (more, interfaces) = later_options(later, node, &mut routes);
    options.extend(more);
    let interfaces: Vec<String> =
        [lo, interfaces].into_iter().filter(|text| !text.is_empty()).collect();
    options.push(format!("interfaces: {{ {} }}", interfaces.join(", ")));
    options.push(format!("routes: [ {} ]", routes.join(", ")));
    options.join(", ")
}

/// Writes what came to the language after the first seeds: options, and interfaces.
fn later_options(
    random: &mut Random,
    node: u64,
    routes: &mut Vec<String>,
) -> (Vec<String>, String) {
    let mut options = Vec::new();
    if random.once_in(3) {
        let policy = random.pick(&["accept", "drop"]);
        let rule = random.pick(&["in tcp/22", "forward from any", "in udp/53 limit 10/second"]);
        options.push(format!("firewall: {{ in: accept, forward: {policy}, allow: [ {rule} ] }}"));
    }
    if node == 1 && random.once_in(2) {
        let to = random.pick(&["10.9.0.1", "10.9.0.2 tcp/22"]);
        options.push(format!(
            "nat: [ {{ masquerade: to2 }}, {{ dnat: tcp/2222, iif: to2, to: {to} }} ]"
        ));
    }
    if random.once_in(3) {
        let priority = 100 + random.below(3);
        options.push(format!("rules: [ from 10.66.{node}.0/24 table 100 priority {priority} ]"));
    }
    if random.once_in(3) {
        let id = 5 + random.below(2);
        options.push(format!("nexthops: [ id {id} blackhole ]"));
        routes.push(format!("10.92.{node}.0/24 nhid {id}"));
    }
    let mut interfaces = Vec::new();
    if random.once_in(4) {
        let id = 100 + random.below(2);
        interfaces
            .push(format!("vx0: {{ kind: vxlan, id: {id}, remote: 10.0.2.9, dstport: 4789 }}"));
    }
    if random.once_in(5) {
        interfaces.push("ifb0: { kind: ifb }".to_owned());
    }
    (options, interfaces.join(", "))
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
