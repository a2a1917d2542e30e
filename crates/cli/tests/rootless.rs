//! Labs of an ordinary user, and what keeps one from having them.

#[macro_use]
mod common;

use common::{PAIR, write};
use vnet_testns::Snapshot;

#[test]
fn a_lab_of_an_ordinary_user() {
    vnet_testns::user(|| {
        write("vnet.yaml", PAIR);
        let before = Snapshot::take();
        pinned!(
            "vnet plan
             vnet ls
             vnet exec a true
             vnet up
             vnet up
             vnet ls
             vnet show
             vnet ping
             vnet exec a -- sh -c 'id -u; hostname; pwd; exit 7'
             vnet exec --as-me a id -u
             vnet exec lo true
             echo 'ip netns | sort; pwd; cd /; vnet exec b hostname' | vnet shell
             vnet up -l second -- sh -c 'ip netns | sort; vnet ping'
             vnet up -l third -q
             vnet down --all
             vnet down"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

/// What is asked before there is any lab, and so no keeper of one.
#[test]
fn the_first_words_of_an_ordinary_user() {
    vnet_testns::user(|| {
        pinned!(
            "vnet ip netns list
             vnet ip -n x link
             vnet ip -n x netns list
             vnet ip netns exec x true
             vnet ip netns pids x
             vnet bridge -n x link
             vnet why a b
             vnet show
             vnet ls"
        );
    });
}

#[test]
fn without_user_namespaces_it_says_what_to_do() {
    vnet_testns::root(|| {
        write("vnet.yaml", PAIR);
        // Root without capabilities is as good as anybody without.
        let anybody = "XDG_RUNTIME_DIR=/run/home setpriv --bounding-set=-all --inh-caps=-all";
        let before = Snapshot::take();
        pinned!(&format!(
            "echo 0 > /proc/sys/user/max_user_namespaces
             {anybody} vnet up
             {anybody} vnet up -- true
             {anybody} vnet ls
             ls /run/home"
        ));
        assert_eq!(before.leaks(), [""; 0]);
    });
}

#[test]
fn what_is_in_the_host_takes_root() {
    vnet_testns::user(|| {
        write("link.yaml", "{ name: l, nodes: [ a ], links: [ { endpoints: [ a, 'host:l0' ] } ] }");
        write(
            "on.yaml",
            "{ name: o, nodes: { a: { interfaces: { x: { kind: macvlan, link: 'host:lo' } } } } }",
        );
        let before = Snapshot::take();
        pinned!(
            "vnet up link.yaml
             vnet up on.yaml
             vnet ls"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}
