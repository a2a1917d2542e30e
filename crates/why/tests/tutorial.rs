//! The tutorial's own network, and its lesson about `lo`.

mod common;

use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::why::Verdict;
use vnet_testns::sh;

/// Before `ip -n vnet0 link set lo up`, not even the own address answers.
#[test]
fn lo_must_be_up_too() {
    vnet_testns::root(|| {
        let lab = up(&desired("tutorial"));
        sh("ip -n vnet0 link set dev lo down");
        let told = lab.why("vnet0", "10.0.1.0", &probing()).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Unreachable, "{}", shown(&told));
        let cause = &told.answer.causes[0];
        assert_eq!((cause.code, cause.object.as_str()), ("lo-down", "vnet0:lo"));
        assert_eq!(
            cause.evidence,
            "10.0.1.0 is an address of vnet0 itself: packets to it go through the `local` table \
             and leave by lo, which is down"
        );
        assert_eq!(cause.mend[0].commands(), ["ip -n vnet0 link set dev lo up"]);
        mend(&told);
        let told = lab.why("vnet0", "10.0.1.0", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        down(lab);
    });
}

/// What is not evaluated is said, and never guessed about.
#[test]
fn what_is_not_evaluated_is_named() {
    vnet_testns::root(|| {
        let lab = up(&desired("tutorial"));
        sh("ip -n vnet1 rule add lookup 77 suppress_ifgroup 3");
        let told = lab.why("vnet0", "vnet1", &probing()).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Unknown, "{}", shown(&told));
        assert_eq!(
            told.answer.unknown,
            ["vnet1 has a policy rule that can't be evaluated: from all table 77 priority 32765"]
        );
        sh("ip -n vnet1 rule del lookup 77");
        down(lab);
    });
}
