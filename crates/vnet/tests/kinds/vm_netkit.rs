//! netkit pairs in place of veth ones. Debian's `ip` does not know them: what is there is read by `vnet ip`.

use super::*;

const L3: &str = "kind: netkit";

/// ```text
///  a:n ─── b:n    10.0.0.0/24, 2001:db8::/64
/// ```
fn pair(kind: &str) -> Desired {
    desired(&format!(
        "{{ name: k, nodes: [ a, b ], links: [ {{ endpoints: [ a:n, b:n ], {kind}, \
         prefix: [ 10.0.0.0/24, '2001:db8::/64' ] }} ] }}"
    ))
}

/// Runs a line of `vnet ip`.
fn ip(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = vnet::ip::run(&words, &mut vnet::ip::Io::new(&mut out, &mut err));
    assert_eq!((code, String::from_utf8_lossy(&err).as_ref()), (0, ""), "{line}");
    String::from_utf8(out).unwrap()
}

/// What the two ends tell of themselves: mode, type, policy, peer policy.
fn told() -> [String; 2] {
    ["k-a", "k-b"].map(|ns| {
        let shown = ip(&format!("-n {ns} -d -o link show dev n"));
        let from = shown.find("netkit mode ").unwrap_or_else(|| panic!("{shown}"));
        let words = shown[from..]
            .split(' ')
            .take(10)
            .filter(|word| !["netkit", "mode", "type", "policy"].contains(word));
        words.collect::<Vec<_>>().join(" ")
    })
}

fn index() -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(&sh("ip -n k-a -j link show dev n")).unwrap()[0]
        ["ifindex"]
        .clone()
}

#[test]
fn a_pair_is_made_changed_in_place_and_mended() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["netkit"]);
        let first = pair(L3);
        let mut lab = open(&first);
        lab.up(&first, |_| {}).unwrap();
        assert_eq!(planned(&lab, &first), Vec::<String>::new());
        assert_eq!(told(), ["l3 primary forward peer forward", "l3 peer forward peer forward"]);
        assert_eq!(ping_all(&lab, &first), [""; 0]);
        let made = index();

        let silent = pair("kind: netkit, policy: blackhole");
        let up = lab.up(&silent, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:n policy blackhole"]);
        assert_eq!(told()[0], "l3 primary blackhole peer forward");
        assert_eq!(told()[1], "l3 peer forward peer blackhole");
        assert_eq!(planned(&lab, &silent), [""; 0]);
        // Neither asks nor answers get from `a` to `b`; each reaches itself.
        assert_eq!(ping_all(&lab, &silent).len(), 4);

        let other = pair("kind: netkit, mode: l3, peer_policy: blackhole");
        let up = lab.up(&other, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-a:n policy forward, peer_policy blackhole"]);
        assert_eq!(told()[0], "l3 primary forward peer blackhole");
        assert_eq!(index(), made);

        // What somebody changes comes back.
        ip("-n k-a link set dev n type netkit blackhole peer forward");
        assert_eq!(planned(&lab, &other), ["~ k-a:n policy forward, peer_policy blackhole"]);
        lab.up(&other, |_| {}).unwrap();
        assert_eq!(index(), made);
        sh("ip -n k-b link del dev n");
        lab.up(&first, |_| {}).unwrap();
        assert_eq!((planned(&lab, &first), ping_all(&lab, &first)), (vec![], vec![]));
        assert_eq!(told()[0], "l3 primary forward peer forward");

        // Made anew by the other end, it is changed by that.
        sh("ip -n k-a link del dev n");
        ip("-n k-b link add name n type netkit mode l3 peer name n netns k-a");
        lab.up(&first, |_| {}).unwrap();
        assert_eq!(told()[0], "l3 peer forward peer forward");
        let up = lab.up(&silent, |_| {}).unwrap();
        assert_eq!(signed(&up.steps), ["~ k-b:n peer_policy blackhole"]);
        assert_eq!(planned(&lab, &silent), [""; 0]);

        // The mode is of birth.
        let l2 = pair("kind: netkit, mode: l2");
        let steps = signed(&lab.up(&l2, |_| {}).unwrap().steps);
        assert_eq!(steps[0], "- interface k-a:n");
        assert!(steps[1].starts_with("+ netkit k-a:n -- k-b:n (mode l2"), "{steps:?}");
        assert_eq!((planned(&lab, &l2), ping_all(&lab, &l2)), (vec![], vec![]));
        for (ns, wanted) in &l2.state.namespaces {
            let mac = wanted.interfaces["n"].mac.unwrap().to_string();
            assert!(sh(&format!("ip -n {ns} link show dev n")).contains(&mac));
        }

        // And in place of a veth pair.
        let veth = pair("mtu: 1500");
        let steps = signed(&lab.up(&veth, |_| {}).unwrap().steps);
        assert_eq!(steps[..2], ["- interface k-a:n", "+ veth k-a:n -- k-b:n"]);
        lab.up(&l2, |_| {}).unwrap();
        assert_eq!(planned(&lab, &l2), [""; 0]);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        assert_eq!(sh("ip netns list"), "");
    });
}

/// With hardware addresses it is plugged into a bridge as a veth is.
///
/// ```text
///  a:n ─── sw ─── b    10.0.0.0/24
/// ```
#[test]
fn a_pair_is_plugged_into_a_segment_and_a_snapshot_says_it() {
    let file = "{ name: k, nodes: [ a, b ], segments: { sw: { prefix: 10.0.0.0/24, members: [ b ] } }, \
                links: [ { endpoints: { a:n: 10.0.0.9/24, sw: }, kind: netkit, mode: l2 } ] }";
    vnet_testns::root(|| {
        vnet_testns::requires(&["netkit"]);
        let desired = desired(file);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        assert_eq!((planned(&lab, &desired), ping_all(&lab, &desired)), (vec![], vec![]));
        let seen = lab.snapshot("k-*", &[]).unwrap();
        assert_eq!(seen.left_out, [""; 0]);
        let text = vnet::file::write_short(&seen.topology, &seen.desired);
        assert!(text.contains("kind: netkit\n") && text.contains("mode: l2\n"), "{text}");
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}

/// A kernel without it says so before anything is made; one that has it makes it.
#[test]
fn a_kernel_without_it_is_told_before_anything_is_made() {
    vnet_testns::root(|| {
        let desired = pair(L3);
        let mut lab = open(&desired);
        match lab.up(&desired, |_| {}) {
            Err(error @ vnet::Error::MissingKind { .. }) => {
                let text = error.to_string();
                assert!(text.contains("netkit") && text.contains("CONFIG_NETKIT"), "{text}");
                assert_eq!(sh("ip netns list"), "");
            }
            Ok(_) => {
                assert_eq!(told()[0], "l3 primary forward peer forward");
                lab.down(&Down { wait: true, ..Down::default() }).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    });
}
