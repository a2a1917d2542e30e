//! A file in the state folder: cut short, or from somebody who wants something else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnet::Pending;
use vnet::model::State;
use vnet::model::plan::plan_between;
use vnet::record::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Some(pending) = Pending::parse(bytes) {
        let _ = pending.left();
    }
    let Some(record) = Record::parse(bytes) else { return };
    assert_eq!(Record::parse(&record.to_text()), Some(record.clone()));
    let (lab, wanted) = (&record.desired.lab, &record.desired.state);
    let known = record.known();
    for (target, there) in [(wanted, &State::default()), (&known, wanted), (wanted, &known)] {
        let plan = plan_between(lab, target, there);
        let _ = vnet_iproute::script(&plan.steps);
        plan.steps.iter().for_each(|step| drop(step.to_string()));
    }
});
