//! What stands on an interface of another namespace: put there, and asked for.

use std::time::Duration;

use vnet::Lab;
use vnet::why::Told;
use vnet_testns::sh;

use super::{is_well, probing, replied, shown};

/// Puts an interface of a kind on h's into each of a and b.
pub(crate) fn stand(kinds: [&str; 2]) {
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
pub(crate) fn ask(lab: &Lab, [from, to]: [&str; 2]) -> Told {
    for ns in ["a", "b", "c", "h"] {
        sh(&format!("ip -n {ns} neigh flush all"));
    }
    lab.why(from, to, &probing()).unwrap()
}

pub(crate) fn codes(told: &Told) -> Vec<&str> {
    told.answer.causes.iter().map(|cause| cause.code).collect()
}

/// Asks until what is told is what is to come, or patience is over: machines are slow, and neighbours
/// are still being asked.
pub(crate) fn until(lab: &Lab, ends: [&str; 2], wanted: &[&str]) -> Told {
    let begun = std::time::Instant::now();
    loop {
        let told = ask(lab, ends);
        let well = wanted.is_empty();
        let as_wanted = codes(&told) == wanted && is_well(&told) == well && replied(&told) == well;
        if as_wanted {
            return told;
        }
        let what = format!("{ends:?} {wanted:?}: {}", shown(&told));
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
