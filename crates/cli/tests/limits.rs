//! Limits of the machine: what would not fit is refused before anything is touched.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

#[macro_use]
mod common;

use common::{PAIR, write};
use vnet_testns::Snapshot;

#[test]
fn what_does_not_fit_is_refused_with_the_setting_that_limits_it() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let before = Snapshot::take();
        pinned!(
            "ulimit -n 100; vnet up
             sysctl -qw user.max_net_namespaces=1
             vnet up
             vnet --json up 2> /dev/null
             ls /run
             sysctl -qw user.max_net_namespaces=2
             ip netns add other
             vnet up
             ip netns del other
             ls /run/vnet"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// The limit that counts is the one outside of the keeper's user namespace.
#[test]
fn an_ordinary_user_has_limits_too() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        let anybody = "XDG_RUNTIME_DIR=/run/home setpriv --bounding-set=-all --inh-caps=-all";
        let before = Snapshot::take();
        pinned!(&format!(
            "sysctl -qw user.max_net_namespaces=1
             {anybody} vnet up
             ls -A /run/home | grep -v yaml
             {anybody} vnet ls"
        ));
        assert_eq!(before.leaks(), [""; 0]);
    });
}

#[test]
fn a_watch_needs_inotify() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        pinned!(
            "vnet up -q
             sysctl -qw user.max_inotify_instances=0
             vnet watch
             vnet down -q"
        );
    });
}
