//! Single changes: only what they name is looked at.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{STATE_DIR, desired, open, planned, signed};
use vnet::model::{Address, Change, Desired, Step};
use vnet::{Down, Error};
use vnet_testns::sh;

const CHAIN: &str = "
name: chain
routing: auto
nodes: { r1..4: { forward: true } }
links: [ { endpoints: [ r1..3, r2..4 ], pairs: each, pool: 10.0.0.0/24 } ]
";

fn add_address(desired: &Desired, node: &str, interface: &str, net: &str) -> Step {
    let end = desired.end_of(node, interface).unwrap();
    let address = Address::new(net.parse().unwrap());
    Step::new(end.ns, Change::AddAddress { dev: end.name, address })
}

#[test]
fn a_link_goes_down_and_up_again_with_its_routes() {
    vnet_testns::root(|| {
        let desired = desired(CHAIN);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        let down = lab.set_link(&desired, "r2--r3", false).unwrap();
        assert_eq!(signed(&down), ["~ chain-r2:r3 down", "~ chain-r3:r2 down"]);
        assert_eq!(lab.set_link(&desired, "r2--r3", false).unwrap(), []);
        let drift = planned(&lab, &desired);
        assert!(drift.contains(&"~ chain-r2:r3 up".to_owned()), "{drift:?}");
        let up = lab.set_link(&desired, "r2--r3", true).unwrap();
        assert_eq!(signed(&up), drift);
        assert_eq!(planned(&lab, &desired), [""; 0]);
        assert!(matches!(lab.set_link(&desired, "r1--r9", true), Err(Error::NoLink { .. })));
        lab.down(&Down::default()).unwrap();
        assert!(matches!(lab.set_link(&desired, "r2--r3", true), Err(Error::NotUp { .. })));
        assert!(!std::path::Path::new(STATE_DIR).join("chain").exists());
    });
}

/// Neither the record nor any other namespace is looked at: whatever they are, it works.
#[test]
fn what_is_not_named_is_not_looked_at() {
    vnet_testns::root(|| {
        let desired = desired(CHAIN);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        sh("mv /run/vnet/chain/lab.json /run/kept; mkfifo /run/vnet/chain/lab.json
            umount /run/netns/chain-r1; mv /run/netns/chain-r1 /run/netns/aside; echo something > /run/netns/chain-r1");
        let step = add_address(&desired, "r3", "r4", "10.9.0.1/24");
        let steps = [step];
        assert_eq!(lab.apply(&desired, &steps).unwrap(), steps);
        assert!(sh("ip -n chain-r3 addr show dev r4").contains("10.9.0.1/24"));
        assert_eq!(lab.apply(&desired, &steps).unwrap(), []);
        lab.set_link(&desired, "r3--r4", false).unwrap();
        // What went with the link comes back; what was added by hand goes: the file has it so.
        lab.set_link(&desired, "r3--r4", true).unwrap();
        assert!(!sh("ip -n chain-r3 addr show dev r4").contains("10.9.0.1/24"));
        let error = lab.set_link(&desired, "r1--r2", false).unwrap_err();
        assert!(error.to_string().contains("chain-r1"), "{error}");
        sh("rm /run/netns/chain-r1 /run/netns/aside /run/vnet/chain/lab.json
            mv /run/kept /run/vnet/chain/lab.json");
        lab.up(&desired, |_| {}).unwrap();
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn a_change_that_fails_is_undone() {
    vnet_testns::root(|| {
        let desired = desired(CHAIN);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        let good = add_address(&desired, "r3", "r4", "10.9.0.1/24");
        let route: vnet::model::Route = vnet::model::Route::unicast(
            "10.8.0.0/16".parse().unwrap(),
            vec![vnet::model::NextHop::via(
                "203.0.113.9".parse().unwrap(),
                desired.end_of("r3", "r4").unwrap().name,
            )],
        );
        let bad = Step::new(good.ns.clone(), Change::AddRoute(route));
        let error = lab.apply(&desired, &[good, bad]).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        assert_eq!(planned(&lab, &desired), [""; 0]);
        lab.down(&Down::default()).unwrap();
    });
}
