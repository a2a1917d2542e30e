//! `vnet ip` as a person uses it: the tutorial as written, explanations, other names and users.

#[macro_use]
mod common;

use common::write;
use vnet_testns::Snapshot;

#[test]
fn the_tutorial_as_written() {
    vnet_testns::root(|| {
        let before = Snapshot::take();
        pinned!(
            "vnet ip link add veth0 type veth peer name veth1
             vnet ip link show veth0 | sed 's/link.ether.*/link/'
             vnet ip netns add vnet0
             vnet ip link set veth0 netns vnet0
             vnet ip -n vnet0 addr add 10.0.1.0/24 dev veth0
             vnet ip -n vnet0 link set veth0 up
             vnet ip -n vnet0 link set lo up
             vnet ip -n vnet0 -4 addr show | sed 's/NO-CARRIER,//; s/state [A-Z]*/state/'
             vnet ip netns add vnet1
             vnet ip link set veth1 netns vnet1
             vnet ip netns | sort
             vnet ip netns del vnet0
             vnet ip netns del vnet1"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

#[test]
fn what_went_wrong_is_explained() {
    vnet_testns::root(|| {
        write("batch", "link set lo up\n# the next line is wrong\naddr add 10.0.0.1/33 dev lo\n");
        pinned!(
            "vnet ip link set lo mtu abc
             vnet ip link set nope up
             vnet ip addr add 10.0.0.1/24
             vnet ip addr add 10.0.0.300/24 dev lo
             vnet ip route add 10.9.0.0/24 via 10.7.7.7
             vnet ip -n nope link
             vnet ip link add a type veth
             vnet ip rule add from fd00::/16 table 5
             vnet ip frob
             vnet ip link frob
             vnet ip xfrm state
             vnet ip -batch batch
             vnet ip --atomic -batch batch
             vnet ip -br link show lo
             vnet ip addr help"
        );
    });
}

#[test]
fn under_the_name_ip_it_is_ip() {
    vnet_testns::root(|| {
        pinned!(
            "ln -s $(command -v vnet) ip
             ./ip -br link
             ./ip link set lo mtu x
             ./ip netns add n && ./ip netns exec n sh -c 'exit 7'
             echo 'netns del n' | ./ip -batch -
             ./ip netns list"
        );
    });
}

#[test]
fn an_ordinary_user_gets_a_lab() {
    vnet_testns::user(|| {
        let before = Snapshot::take();
        pinned!(
            "vnet ip -br link
             vnet ls
             vnet ip link add v0 type veth peer name v1
             vnet ip netns add n1
             vnet ip link set v1 netns n1
             vnet ip -n n1 -br link | cut -c 1-20
             vnet -l default ip netns list
             vnet -l other ip link
             vnet -l default down -q
             vnet ip -br link"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}
