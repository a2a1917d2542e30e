//! Builds networks on the kernel and looks at them again.

mod common;

use common::{Lab, settled, shown, states};
use vnet_kernel::Realm;

#[test]
fn what_is_built_is_what_is_observed() {
    vnet_testns::root(|| {
        let realm = Realm::own().unwrap();
        for (name, lab) in states::all() {
            let steps = lab.apply(&realm).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(shown(&lab.plan(&realm).steps), [""; 0], "{name}, after {steps:#?}");
            lab.remove(&realm);
            assert_eq!(realm.names().unwrap(), [], "{name}");
        }
    });
}
