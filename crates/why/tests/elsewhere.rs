//! Interfaces that stand on one of another namespace, as real packets find them:
//!
//! ```text
//!  c ── sw ── h:sw, and on it a:mv (10.0.0.11) and b:mv (10.0.0.12)
//! ```

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::time::Duration;

use common::beside::{ask, codes, stand};
use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::why::{Ask, Verdict};
use vnet_testns::sh;

#[test]
fn vm_macvlans_on_one_interface_reach_each_other_as_their_modes_let_them() {
    vnet_testns::root_within(Duration::from_secs(400), || {
        vnet_testns::requires(&["macvlan"]);
        let lab = up(&desired("hairpin"));
        stand(["macvlan mode bridge", "macvlan mode bridge"]);
        for modes in ["bridge bridge", "bridge vepa", "vepa bridge", "vepa vepa", "private bridge"]
        {
            let (a, b) = modes.split_once(' ').unwrap();
            sh(&format!(
                "ip -n a link set dev mv type macvlan mode {a}
                 ip -n b link set dev mv type macvlan mode {b}"
            ));
            for ends in [["a", "10.0.0.12"], ["b", "10.0.0.11"]] {
                let told = ask(&lab, ends);
                let reached = modes == "bridge bridge";
                assert_eq!(
                    (is_well(&told), replied(&told)),
                    (reached, reached),
                    "{modes}: {}",
                    shown(&told)
                );
                if !reached {
                    let vepa = modes.contains("vepa");
                    let code = if vepa { "hairpin-off" } else { "macvlan-apart" };
                    assert_eq!(
                        told.answer.verdict,
                        Verdict::Unreachable,
                        "{modes}: {}",
                        shown(&told)
                    );
                    assert_eq!(codes(&told), [code], "{modes}: {}", shown(&told));
                }
            }
            // The world they reach in any case.
            for ends in [["a", "c"], ["c", "10.0.0.11"]] {
                let told = ask(&lab, ends);
                assert!(is_well(&told) && replied(&told), "{modes}: {}", shown(&told));
            }
        }
        let told = ask(&lab, ["a", "10.0.0.12"]);
        mend(&told);
        let told = ask(&lab, ["a", "10.0.0.12"]);
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        // What they stand on they don't reach, unless it comes back.
        let lower = [["a", "h"], ["h", "10.0.0.11"]];
        for ends in lower {
            let told = ask(&lab, ends);
            let found = (codes(&told), replied(&told));
            assert_eq!(found, (vec!["hairpin-off"], false), "{}", shown(&told));
        }
        sh("ip -n sw link set dev h nomaster");
        for ends in lower {
            let told = ask(&lab, ends);
            let code = told.answer.causes.last().unwrap();
            assert_eq!((code.code, replied(&told)), ("macvlan-apart", false), "{}", shown(&told));
            assert!(code.mend.is_empty(), "{}", shown(&told));
        }
        sh("ip -n sw link set dev h master sw");
        sh("ip -n b link set dev mv down");
        let told = ask(&lab, ["a", "10.0.0.12"]);
        assert_eq!((codes(&told), replied(&told)), (vec!["peer-down"], false), "{}", shown(&told));
        down(lab);
    });
}

#[test]
fn vm_what_stands_where_nobody_looked_is_said_to() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["macvlan"]);
        let lab = up(&desired("hairpin"));
        sh("ip netns add other
            ip -n other link add e0 up type veth peer name e1
            ip -n other link set dev e1 up
            ip -n other link add mv link e0 type macvlan mode bridge
            ip -n other link set dev mv netns a
            ip -n a addr add 10.0.0.11/24 dev mv
            ip -n a link set dev mv up");
        let asked = Ask { probe: false, ..probing() };
        let told = lab.why("a", "c", &asked).unwrap();
        let said = "a:mv stands on an interface of a namespace that was not looked at";
        assert_eq!(told.answer.unknown, [said], "{}", shown(&told));
        assert_eq!(told.answer.verdict, Verdict::Unknown);
        // Where that is looked at too, it is followed.
        sh("ip -n other addr add 10.0.0.20/24 dev e1");
        let beside = vec!["other".parse().unwrap()];
        let told = lab.why("a", "10.0.0.20", &Ask { beside, ..probing() }).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        sh("ip netns del other");
        down(lab);
    });
}

/// With frames that come back the model says of all modes what real packets find, or that it can't tell.
#[test]
fn vm_frames_that_come_back_are_heard_as_modes_let_them() {
    vnet_testns::root_within(Duration::from_secs(400), || {
        vnet_testns::requires(&["macvlan"]);
        let lab = up(&desired("hairpin"));
        stand(["macvlan mode bridge", "macvlan mode bridge"]);
        sh("ip -n sw link set dev h type bridge_slave hairpin on");
        let all = ["bridge", "vepa", "private"];
        for (a, b) in all.into_iter().flat_map(|a| all.map(|b| (a, b))) {
            sh(&format!(
                "ip -n a link set dev mv type macvlan mode {a}
                 ip -n b link set dev mv type macvlan mode {b}"
            ));
            let is_private = [a, b].contains(&"private");
            for ends in
                [["a", "10.0.0.12"], ["a", "h"], ["h", "10.0.0.11"], ["a", "c"], ["c", "10.0.0.12"]]
            {
                let told = ask(&lab, ends);
                let what = format!("{a} {b}, {ends:?}: {}", shown(&told));
                assert!(!told.disagree(), "{what}");
                match ends {
                    ["a", "10.0.0.12"] if is_private => {
                        assert_eq!(
                            (codes(&told), replied(&told)),
                            (vec!["macvlan-apart"], false),
                            "{what}"
                        );
                    }
                    ["a", "h"] | ["h", "10.0.0.11"] if a == "private" => {
                        assert_eq!(told.answer.verdict, Verdict::Unknown, "{what}");
                        assert!(told.answer.unknown[0].contains("may not take it"), "{what}");
                    }
                    _ => assert!(is_well(&told) && replied(&told), "{what}"),
                }
            }
        }
        down(lab);
    });
}

/// A bridge to which another sends frames back takes who sent them to be there:
///
/// ```text
///  a:e0, b:e0 ── h:inner ── h:sw ── sw
/// ```
#[test]
fn a_bridge_to_which_frames_come_back_is_in_doubt() {
    vnet_testns::root(|| {
        let lab = up(&desired("hairpin"));
        sh("ip -n h link add name inner type bridge
            ip -n h link set dev inner up
            ip -n h link set dev sw master inner");
        for (ns, last) in [("a", 11), ("b", 12)] {
            sh(&format!(
                "ip -n h link add name {ns} type veth peer name e0 netns {ns}
                 ip -n h link set dev {ns} up master inner
                 ip -n {ns} addr add 10.0.0.{last}/24 dev e0
                 ip -n {ns} link set dev e0 up"
            ));
        }
        for ends in [["a", "10.0.0.12"], ["a", "c"], ["c", "10.0.0.12"]] {
            let told = ask(&lab, ends);
            assert!(is_well(&told) && replied(&told), "{ends:?}: {}", shown(&told));
        }
        sh("ip -n sw link set dev h type bridge_slave hairpin on");
        let told = ask(&lab, ["a", "10.0.0.12"]);
        let said = "sw:h sends back what came in by it (hairpin), also to the bridge h:inner";
        assert!(told.answer.unknown.iter().any(|what| what.starts_with(said)), "{}", shown(&told));
        assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
        // A station that hears itself is none the worse for it.
        sh("ip -n sw link set dev h type bridge_slave hairpin off
            ip -n sw link set dev c type bridge_slave hairpin on");
        for ends in [["a", "c"], ["c", "10.0.0.12"]] {
            let told = ask(&lab, ends);
            assert!(is_well(&told) && replied(&told), "{ends:?}: {}", shown(&told));
        }
        down(lab);
    });
}
