use proptest::prelude::*;

use super::*;
use crate::arbitrary;

/// Builds a lab on paper, and forgets who made it.
fn built(desired: &Desired) -> State {
    let mut state = State::default();
    for step in plan(desired, &state.clone()).steps {
        step.apply(&mut state).unwrap();
    }
    let names = state.namespaces.keys().cloned().collect();
    let marks = marks(&LabName::new("seen").unwrap(), &names);
    for (name, ns) in state.namespaces.iter_mut() {
        ns.owner = Owner::Lab(marks[name].clone());
        for key in SYSCTLS {
            ns.sysctls.entry(key.to_owned()).or_insert_with(|| "0".to_owned());
        }
    }
    state
}

proptest! {
    #[test]
    fn a_snapshot_of_a_lab_says_all_of_it((_, desired) in arbitrary::desired_with_settings()) {
        let state = built(&desired);
        let lab = LabName::new("seen").unwrap();
        let seen = snapshot(&lab, &state);
        let seen = seen.map_err(|problems| TestCaseError::fail(problems[0].to_string()))?;
        prop_assert!(seen.left_out.is_empty(), "{:?}", seen.left_out);
        // Further names are not in the language.
        let differs: Vec<String> = seen
            .differs
            .iter()
            .filter(|step| !is_altname(step))
            .map(ToString::to_string)
            .collect();
        prop_assert!(differs.is_empty(), "{differs:?}");
    }
}

fn is_altname(step: &Step) -> bool {
    use crate::step::{Change, LinkSetting};
    matches!(&step.change, Change::SetLink { set: LinkSetting::DelAltname(_), .. })
}

#[test]
fn names_without_the_labs_are_short() {
    let names = |list: &[&str]| list.iter().map(|name| NsName::new(name).unwrap()).collect();
    let lab = LabName::new("demo").unwrap();
    let node = |list: &[&str], at: &str| marks(&lab, &names(list))[at].node.to_string();
    assert_eq!(node(&["demo-a", "demo-b"], "demo-a"), "a");
    assert_eq!(node(&["demo-a", "b"], "demo-a"), "demo-a");
    assert!(marks(&lab, &names(&["ä"])).is_empty());
}
