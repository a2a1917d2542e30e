//! Builds networks on the kernel and looks at them again.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::random::{self, Random};
use common::{Lab, shown, states};
use vnet_kernel::Realm;

/// Goes from what is there to the lab and sees that nothing is left to do.
fn go(lab: &Lab, realm: &Realm, name: &str) {
    let before = lab.observe(realm).state;
    let steps = match lab.apply(realm) {
        Ok(steps) => steps,
        Err(error) => panic!("{name}: {error}\nfrom {before:#?}\nto {:#?}", lab.state),
    };
    let left = lab.plan(realm).steps;
    assert!(left.is_empty(), "{name}: {:#?} left to do after {:#?}", shown(&left), shown(&steps));
}

#[test]
fn what_is_built_is_what_is_observed() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for (name, lab) in states::all() {
            go(&lab, &realm, name);
            lab.remove(&realm);
            assert_eq!(realm.names().unwrap(), [], "{name}");
        }
    });
}

#[test]
fn any_network_can_become_any_other() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for seed in 0..60 {
            go(&random::lab(&mut Random::new(seed)), &realm, &format!("seed {seed}"));
        }
        for (name, lab) in states::all().into_iter().chain(states::all().into_iter().rev()) {
            go(&lab, &realm, name);
        }
        Lab::new().remove(&realm);
    });
}
