//! WireGuard: links and segments.

use super::*;

const FILE: &str = "
name: wg
routing: auto
nodes: { a: , r: { forward: true }, b: }
links:
  - { endpoints: [ a, r ], prefix: 10.0.1.0/24 }
  - { endpoints: [ r, b ], prefix: 10.0.2.0/24 }
  - { kind: wireguard, endpoints: [ a:wg0, b:wg0 ], prefix: [ 10.9.0.0/24, 'fd00:9::/64' ] }
";

#[test]
fn two_nodes_ping_through_their_tunnel() {
    in_lab(&["wireguard"], FILE, |lab, desired| {
        for dst in ["10.9.0.2", "fd00:9::2"] {
            let outcome = ping(lab, desired, "a", dst);
            assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
        }
        let sent = |dev: &str| {
            let json = sh(&format!("ip -n wg-a -s -j link show dev {dev}"));
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            json[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
        };
        assert!(sent("wg0") >= 2);
    });
}

/// The key outlives the device, so that the other end still knows it.
#[test]
fn a_device_that_was_deleted_comes_back_with_its_key() {
    in_lab(&["wireguard"], FILE, |lab, desired| {
        let file = format!("{}/wg/wireguard.json", common::STATE_DIR);
        let keys = std::fs::read_to_string(&file).unwrap();
        assert_eq!(sh(&format!("stat -c %a {file}")).trim(), "600");
        sh("ip -n wg-a link del dev wg0");
        lab.up(desired, |_| {}).unwrap();
        assert_eq!(planned(lab, desired), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), keys);
        let outcome = ping(lab, desired, "b", "10.9.0.1");
        assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
        // Nothing that is written or shown has one of them.
        let record = std::fs::read_to_string(format!("{}/wg/lab.json", common::STATE_DIR));
        let record = record.unwrap();
        let keys: std::collections::BTreeMap<String, Vec<u8>> =
            serde_json::from_str(&keys).unwrap();
        assert_eq!(keys.len(), 2);
        for key in keys.values() {
            let bytes: Vec<String> = key.iter().map(u8::to_string).collect();
            assert!(!record.contains(&bytes.join(",")));
        }
    });
}

#[test]
fn a_port_changes_in_place() {
    let before = desired(FILE);
    let after = desired(
        &FILE.replace("prefix: [", "listen_port: 7000, fwmark: 9, keepalive: 25, prefix: ["),
    );
    in_lab(&["wireguard"], FILE, |lab, _| {
        let index = sh("ip -n wg-a -o link show dev wg0");
        let up = lab.up(&after, |_| {}).unwrap();
        let [a, b] = signed(&up.steps).try_into().unwrap();
        let peer = "listen-port 7000 fwmark 9 peer wg-b:wg0 endpoint 10.0.2.2:7000 persistent-keepalive 25";
        assert_eq!(a, format!("~ wg-a:wg0 {peer}"));
        assert!(b.starts_with("~ wg-b:wg0 listen-port 7000"), "{b}");
        assert_eq!(sh("ip -n wg-a -o link show dev wg0"), index);
        let outcome = ping(lab, &after, "a", "10.9.0.2");
        assert!(matches!(outcome, Outcome::Reply { .. }), "{outcome}");
        assert_eq!(wg("a", "fwmark").trim(), "0x9");
        assert_eq!(wg("a", "listen-port").trim(), "7000");
        assert!(wg("a", "endpoints").trim().ends_with("10.0.2.2:7000"), "{}", wg("a", "endpoints"));
        sh("ip netns exec wg-a wg set wg0 fwmark 8");
        assert_eq!(planned(lab, &after), [format!("~ wg-a:wg0 {peer}")]);
        lab.up(&before, |_| {}).unwrap();
        assert_eq!(wg("a", "fwmark").trim(), "off");
    });
}

/// A hub, two spokes that know it alone, and a host behind one of them.
const HUB: &str = "
name: wg
routing: auto
nodes: { hub: , s1: , s2: { forward: true }, pc: }
segments:
  net: { prefix: 10.0.0.0/24, members: [ hub, s1, s2 ] }
  vpn:
    { kind: wireguard, hub: hub, prefix: 10.9.0.0/24, keepalive: 0, members: [ hub:wg0, s1..2:wg0 ] }
links: [ { endpoints: [ s2, pc ], prefix: 10.2.0.0/24 } ]
";

fn wg(node: &str, words: &str) -> String {
    sh(&format!("ip netns exec wg-{node} wg show wg0 {words}"))
}

#[track_caller]
fn assert_reaches(lab: &mut Lab, desired: &Desired, (src, dst): (&str, &str)) {
    let outcome = ping(lab, desired, src, dst);
    assert!(matches!(outcome, Outcome::Reply { .. }), "{src} to {dst}: {outcome}");
}

#[test]
fn spokes_reach_each_other_through_their_hub() {
    let after = desired(&HUB.replace("keepalive: 0", "keepalive: 25"));
    in_lab(&["wireguard"], HUB, |lab, before| {
        assert_reaches(lab, before, ("s1", "10.9.0.3"));
        assert_eq!(wg("hub", "peers").lines().count(), 2);
        assert_eq!(wg("s1", "peers").lines().count(), 1);
        let mut allowed = wg("hub", "allowed-ips");
        for end in ["s1", "s2"] {
            allowed = allowed.replace(wg(end, "public-key").trim(), end);
        }
        let mut allowed: Vec<&str> = allowed.lines().collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["s1\t10.9.0.2/32", "s2\t10.9.0.3/32"]);
        // In place, at each of them.
        let index = sh("ip -n wg-hub -o link show dev wg0");
        let up = lab.up(&after, |_| {}).unwrap();
        assert_eq!(signed(&up.steps).len(), 3, "{:?}", signed(&up.steps));
        assert_eq!(sh("ip -n wg-hub -o link show dev wg0"), index);
        assert!(wg("hub", "persistent-keepalive").lines().all(|line| line.ends_with("\t25")));
        // What somebody removes comes back, and is known as before.
        let key = wg("s2", "public-key");
        sh(&format!("ip netns exec wg-hub wg set wg0 peer {} remove", key.trim()));
        sh("ip -n wg-s2 link del dev wg0");
        lab.up(&after, |_| {}).unwrap();
        assert_eq!(planned(lab, &after), Vec::<String>::new());
        assert_eq!(wg("s2", "public-key"), key);
        assert_reaches(lab, &after, ("s1", "10.9.0.3"));
        // A stranger in place of a member goes by the words that `plan --as ip` says, too.
        let stranger = sh("wg genkey | wg pubkey");
        let exec = "ip netns exec wg-hub wg set wg0 peer";
        sh(&format!(
            "{exec} {} remove; {exec} {} allowed-ips 10.9.0.3/32",
            key.trim(),
            stranger.trim()
        ));
        let plan = lab.plan(&after).unwrap();
        sh(&vnet_iproute::script(&plan.plan.steps));
        assert!(!wg("hub", "peers").contains(&stranger) && wg("hub", "peers").contains(&key));
        assert_eq!(planned(lab, &after), Vec::<String>::new());
        // One member less: its peer goes.
        let fewer = after_without_s1();
        lab.up(&fewer, |_| {}).unwrap();
        assert_eq!(wg("hub", "peers"), key);
        lab.up(before, |_| {}).unwrap();
    });
}

fn after_without_s1() -> Desired {
    desired(&HUB.replace("s1..2:wg0", "s2:wg0"))
}

/// In a mesh each device sends by what it knows of several peers: their addresses, and what the
/// node has routes to by them.
#[test]
fn a_mesh_lets_through_what_routes_lead_to() {
    let file =
        HUB.replace("hub: hub, ", "cost: 1, ").replace("10.0.0.0/24,", "10.0.0.0/24, cost: 9,");
    in_lab(&["wireguard"], &file, |lab, desired| {
        assert_reaches(lab, desired, ("s1", "10.9.0.3"));
        assert_reaches(lab, desired, ("s1", "10.2.0.2"));
        assert_reaches(lab, desired, ("pc", "10.9.0.1"));
        assert!(wg("s1", "allowed-ips").contains("10.2.0.0/24"));
    });
}
