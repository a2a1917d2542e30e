//! Interfaces that stand on one of another namespace, as real packets find them:
//!
//! ```text
//!  c ── sw ── h:sw, and on it a:mv (10.0.0.11) and b:mv (10.0.0.12)
//! ```

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::time::Duration;

use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::Lab;
use vnet::why::{Ask, Told, Verdict};
use vnet_testns::sh;

/// Puts an interface of a kind on h's into each of a and b.
fn stand(kinds: [&str; 2]) {
    for ((ns, last), kind) in [("a", 11), ("b", 12)].into_iter().zip(kinds) {
        sh(&format!(
            "ip -n h link add mv link sw type {kind}
             ip -n h link set dev mv netns {ns}
             ip -n {ns} addr add 10.0.0.{last}/24 dev mv
             ip -n {ns} link set dev mv up"
        ));
    }
}

/// Asks, after all have forgotten their neighbours.
fn ask(lab: &Lab, [from, to]: [&str; 2]) -> Told {
    for ns in ["a", "b", "c", "h"] {
        sh(&format!("ip -n {ns} neigh flush all"));
    }
    lab.why(from, to, &probing()).unwrap()
}

fn codes(told: &Told) -> Vec<&str> {
    told.answer.causes.iter().map(|cause| cause.code).collect()
}

#[test]
fn vm_macvlans_on_one_interface_reach_each_other_as_their_modes_let_them() {
    vnet_testns::root_within(Duration::from_secs(120), || {
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
                    assert_eq!(
                        told.answer.verdict,
                        Verdict::Unreachable,
                        "{modes}: {}",
                        shown(&told)
                    );
                    assert_eq!(codes(&told), ["macvlan-apart"], "{modes}: {}", shown(&told));
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
        // What they stand on they don't reach.
        for ends in [["a", "h"], ["h", "10.0.0.11"]] {
            let told = ask(&lab, ends);
            assert_eq!(
                (codes(&told), replied(&told)),
                (vec!["macvlan-apart"], false),
                "{}",
                shown(&told)
            );
            assert!(told.answer.causes[0].mend.is_empty(), "{}", shown(&told));
        }
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
