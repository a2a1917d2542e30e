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

/// Each line as it stands there, and how the articles go on, by somebody who is not root.
#[test]
fn the_tutorial_by_an_ordinary_user() {
    vnet_testns::user(|| {
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
             vnet ip -n vnet1 addr add 10.0.2.0/24 dev veth1
             vnet ip -n vnet1 link set veth1 up
             vnet ip -n vnet1 link set lo up
             vnet ip -n vnet0 route add 10.0.2.0/24 dev veth0
             vnet ip -n vnet1 route add 10.0.1.0/24 dev veth1
             vnet ip -n vnet0 route get 10.0.2.0 | sed 's/ uid.*//'
             vnet ip netns exec vnet0 ip -br -4 addr show dev veth0 | sed 's/if[0-9]*//'
             vnet ip netns | sed 's/ .id.*//' | sort
             vnet -l default snapshot | sed 's/mac: [^ ,]*/mac: MAC/g'
             vnet -l default snapshot >vnet.yaml
             vnet -l default adopt --yes
             vnet -l default plan
             vnet -l default ping vnet0 vnet1
             vnet -l default down -q"
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

/// What people do wrong most often: iproute2's own first line, the word at fault where the kernel
/// tells, and one line of what to do.
const MISTAKES: &str = "
    vnet ip addr add 10.0.0.1/24 dev v0
    vnet ip addr add fd00::1/64 dev v0
    vnet ip link set v00 up
    vnet ip link set eth7 up
    vnet ip -n far link set v1 up
    vnet bridge link set dev v00 cost 5
    vnet ip route add 10.60.0.0/16 via 10.2.0.9
    vnet ip route add 10.60.0.0/16 dev d0
    vnet ip route add 10.60.0.0/16 via 10.9.0.1
    vnet ip route add 10.60.0.0/16 via 10.1.0.9 dev v0
    vnet ip -6 route add fd01::/64 via fd99::5
    vnet ip link add a-very-long-name-here type bridge
    vnet ip link set v1 name a-very-long-name-here
    vnet ip link set v1 netns fat
    vnet ip -n far route get 127.0.0.1
    vnet ip route add 10.50.0.0/16 via 10.0.0.6
    vnet ip route add 10.50.0.0/16 via 10.0.0.6 metric 7
    vnet ip addr add 10.0.0.300/24 dev v0
    vnet ip addr add 10.0.0.1/24/24 dev v0
    vnet ip addr add 10.0.0.5/24
    vnet ip -n fat link
    vnet ip netns add far
    vnet ip netns del fat
    vnet ip link set br0 master br1
    vnet ip link set v0 master d0
    vnet ip link del lo
    vnet ip route del 10.77.0.0/16
    vnet ip route del 10.50.0.0/16 via 10.0.0.99
    vnet ip addr del 10.77.0.1/24 dev v0
    vnet ip rule del prio 77
    vnet ip link set v0 mtu 70000
    vnet ip link set v0 mtu 20
    vnet ip link add x0 type brdge
    vnet ip link add x0 type veth peer name v1
    vnet ip link set v1 name v0
    vnet ip link set v0 address 01:00:00:00:00:01
    vnet bridge vlan add vid 5000 dev v0
    vnet bridge fdb add 02:00:00:00:00:01 dev d0 master
    vnet ip route add 10.60.0.0/16 via fd00::5
    vnet ip -6 route add fd01::/64 via 10.0.0.5
    vnet ip route add 10.60.0.5/16 via 10.0.0.5
    vnet ip netns exec file true
    vnet ip link set v1 netns file
    vnet ip neigh add 10.0.0.9 dev v0";

/// Does what a person does wrong, in a place where much is in the way.
fn mistakes() {
    const PLACE: &str = "\
link add v0 address 02:00:00:00:00:01 type veth peer name v1
link set v0 addrgenmode none
link set v1 addrgenmode none
addr add 10.0.0.1/24 dev v0
addr add fd00::1/64 dev v0 nodad
addr add 10.1.0.1/24 dev v1
link add d0 type veth peer name d1
addr add 10.2.0.1/24 dev d0
link add br0 type bridge
link add br1 type bridge
link set lo up
link set v0 up
link set v1 up
route add 10.50.0.0/16 via 10.0.0.5
route add 10.50.0.0/16 via 10.0.0.5 metric 7
netns add far
netns exec far ip link add eth7 type bridge
netns exec far touch /run/netns/file
";
    write("place", PLACE);
    let made = common::line("vnet ip -batch place");
    assert_eq!(made.code, 0, "{made:?}");
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("the_mistakes_people_make_most", common::session(MISTAKES));
    });
}

#[test]
fn the_mistakes_people_make_most() {
    vnet_testns::root(|| {
        mistakes();
        let done = common::line(
            "rm /run/netns/file; vnet ip netns del far
             for name in v0 d0 br0 br1; do vnet ip link del $name; done",
        );
        assert_eq!(done.code, 0, "{done:?}");
    });
}

/// An ordinary user, whose lab it is, is told the same.
#[test]
fn an_ordinary_user_makes_the_same_mistakes() {
    vnet_testns::user(|| {
        mistakes();
        assert_eq!(common::line("vnet -l default down -q --force").code, 0);
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
fn under_the_name_bridge_it_is_bridge() {
    vnet_testns::root(|| {
        pinned!(
            "ln -s $(command -v vnet) bridge
             cp $(command -v vnet) ip
             ./ip link add br0 address 02:00:00:00:00:01 type bridge
             ./ip link add p0 type veth peer name p1
             ./ip link set p0 master br0
             ./bridge link show dev p0 | sed 's/^[0-9]*//; s/mtu.*master/master/'
             ./bridge fdb add 02:00:00:00:00:09 dev p0 master static
             ./bridge -j fdb show dev p0 state static
             printf 'fdb del 02:00:00:00:00:09 dev p0 master\\nfdb del 02:00:00:00:00:09 dev p0 master\\n' >batch
             ./bridge -batch batch
             ./bridge link set dev p9 cost 5
             ./bridge frob
             ./ip link del p0; ./ip link del br0"
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
