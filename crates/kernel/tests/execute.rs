//! Builds networks on the kernel and looks at them again.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::random::{self, Random};
use common::{Lab, difference, settled, shown, states};
use vnet_kernel::{Realm, execute};
use vnet_model::plan::plan_between;

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

/// How many random networks to try: more by `VNET_TEST_SEEDS`.
fn seeds(usual: u64) -> u64 {
    std::env::var("VNET_TEST_SEEDS").map_or(usual, |text| text.parse().unwrap())
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
        for seed in 0..seeds(30) {
            go(&random::lab(&mut Random::new(seed)), &realm, &format!("seed {seed}"));
        }
        for (name, lab) in states::all().into_iter().chain(states::all().into_iter().rev()) {
            go(&lab, &realm, name);
        }
        Lab::new().remove(&realm);
    });
}

#[test]
fn a_way_that_ends_anywhere_leads_back() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for seed in 0..seeds(30) {
            let random = &mut Random::new(seed);
            let (from, to) = (random::lab(random), random::lab(random));
            go(&from, &realm, &format!("seed {seed}"));
            // What the first lab does not declare is left as it comes, so it is observed.
            let start = from.observe(&realm);
            let steps = plan_between(&to.name, &to.state, &start.state).steps;
            let done = random.below_usize(steps.len() + 1);
            execute(&realm, &start, &steps[..done])
                .unwrap_or_else(|error| panic!("{seed}: {error}"));
            let now = from.observe(&realm);
            let back = plan_between(&from.name, &start.state, &now.state).steps;
            let told = || {
                format!("seed {seed}: {:#?} and back {:#?}", shown(&steps[..done]), shown(&back))
            };
            execute(&realm, &now, &back).unwrap_or_else(|error| panic!("{error} {}", told()));
            let end = settled(from.observe(&realm).state);
            let differs = difference(&settled(start.state), &end);
            assert!(differs.is_empty(), "{differs:#?} {}", told());
        }
        Lab::new().remove(&realm);
    });
}
