//! Taking over what others made: what it is said to mean is what `up` does then.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::sync::Arc;

use common::{STATE_DIR, desired, open, planned, signed};
use rustix::io::Errno;
use vnet::kernel::{At, Watch};
use vnet::snapshot::Obstacle;
use vnet::{Desired, Down, Error, Lab, Settings};
use vnet_testns::sh;

/// Ends the work where a kill right after the intent was written would, and nothing is undone.
#[derive(Debug)]
struct CutShort;

impl Watch for CutShort {
    fn at(&self, at: At<'_>) -> Result<(), Errno> {
        match at {
            At::Said("the intent is written" | "all is to be undone") => Err(Errno::IO),
            _ => Ok(()),
        }
    }
}

fn up(desired: &Desired) -> Lab {
    let mut lab = open(desired);
    lab.up(desired, |_| {}).unwrap();
    lab
}

/// Takes over what the file says, and sees that `up` would do what it was said to.
fn adopt(lab: &mut Lab, desired: &Desired) -> Vec<String> {
    let seen = lab.adoption(desired).unwrap();
    let done = lab.adopt(desired).unwrap();
    assert_eq!(signed(&seen.differs), signed(&done.differs));
    assert_eq!(signed(&seen.differs), planned(lab, desired));
    signed(&seen.differs)
}

#[test]
fn vm_what_an_up_that_was_killed_had_written_down_is_not_forgotten() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["tun"]);
        // Only the record knows a tun as the lab's: it has no hardware address.
        let old = desired("{ name: k, nodes: { a: { interfaces: { t0: { kind: tun } } } } }");
        let new = desired("{ name: k, nodes: [ a, b ] }");
        up(&old);
        let watched = Settings { watch: Some(Arc::new(CutShort)), ..Settings::new(STATE_DIR) };
        let killed = Lab::open(&watched, &new.lab).unwrap().up(&new, |_| {});
        assert!(matches!(killed, Err(Error::NotUndone { .. })), "{killed:?}");
        sh("ip netns add k-b; ip -n k-b link set lo up");
        let mut lab = open(&new);
        assert_eq!(adopt(&mut lab, &new), ["- interface k-a:t0"]);
        lab.up(&new, |_| {}).unwrap();
        assert_eq!(planned(&lab, &new), [""; 0]);
        assert!(!sh("ip -n k-a -br link").contains("t0"));
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn a_namespace_of_another_node_is_not_taken_over() {
    vnet_testns::root(|| {
        let mut lab = up(&desired("{ name: k, nodes: [ a-b ] }"));
        let record = std::fs::read(format!("{STATE_DIR}/k/lab.json")).unwrap();
        let other = desired("{ name: k, netns: k-a-$node, nodes: [ b ] }");
        let Err(Error::Obstacles { obstacles }) = lab.adopt(&other) else { panic!("adopted") };
        let [Obstacle::OtherNode(ns, mark)] = obstacles.as_slice() else { panic!("{obstacles:?}") };
        assert_eq!((ns.as_str(), mark.node.as_str()), ("k-a-b", "a-b"));
        assert_eq!(obstacles[0].to_string(), "namespace k-a-b is node a-b of lab k");
        assert_eq!(std::fs::read(format!("{STATE_DIR}/k/lab.json")).unwrap(), record);
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn vm_what_the_file_does_not_say_stays_and_what_is_in_the_way_is_a_conflict() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["tun"]);
        sh("ip netns add k-a
            ip -n k-a link set lo up
            ip -n k-a link add more type bridge
            ip -n k-a tuntap add dev t0 mode tun");
        let text = "{ name: k, nodes: { a: { interfaces: { t0: { kind: KIND } } } } }";
        let bridge = desired(&text.replace("KIND", "bridge"));
        let refused = open(&bridge).adopt(&bridge);
        assert!(matches!(refused, Err(Error::Conflicts { .. })), "{refused:?}");
        assert!(!std::path::Path::new(STATE_DIR).join("k").exists());
        assert!(!sh("ip -n k-a link show lo").contains("alias"));
        let tun = desired(&text.replace("KIND", "tun"));
        let mut lab = open(&tun);
        assert_eq!(adopt(&mut lab, &tun), ["~ k-a:t0 up"]);
        lab.up(&tun, |_| {}).unwrap();
        assert!(sh("ip -n k-a -br link").contains("more"));
        lab.down(&Down::default()).unwrap();
    });
}
