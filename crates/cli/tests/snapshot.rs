//! What a script made, as a file: `vnet snapshot` and `vnet adopt`.

#[macro_use]
mod common;

use common::{line, vnet, write};
use vnet_testns::Snapshot;

/// The tutorial, with addresses that are the same each time.
const TUTORIAL: &str = "\
set -e
ip netns add vnet0
ip netns add vnet1
ip link add veth0 address 02:00:00:00:00:01 type veth peer name veth1 address 02:00:00:00:00:02
ip link set veth0 netns vnet0
ip link set veth1 netns vnet1
ip -n vnet0 addr add 10.0.1.0/24 dev veth0
ip -n vnet1 addr add 10.0.2.0/24 dev veth1
ip -n vnet0 link set veth0 up
ip -n vnet1 link set veth1 up
ip -n vnet0 link set lo up
ip -n vnet0 route add 10.0.2.0/24 dev veth0
ip -n vnet1 route add 10.0.1.0/24 dev veth1
";

#[test]
fn paste_the_tutorial_and_keep_the_file() {
    vnet_testns::root(|| {
        let before = Snapshot::take();
        write("tutorial.sh", TUTORIAL);
        pinned!(
            "sh tutorial.sh
             vnet snapshot
             vnet snapshot >vnet.yaml
             vnet plan
             vnet up
             vnet adopt
             ip -n vnet0 link show lo | grep -c alias
             vnet adopt --yes
             vnet plan
             vnet up
             vnet adopt --yes
             vnet ping vnet0 vnet1
             vnet ls
             vnet down
             ip netns"
        );
        assert_eq!(before.leaks(), [""; 0]);
    });
}

const BRIDGE: &str = "\
set -e
for n in sw h1 h2 h3; do ip netns add $n; done
ip -n sw link add br0 address 02:00:00:00:01:00 type bridge
ip -n sw link set br0 up
for n in 1 2 3; do
  ip -n h$n link add eth0 address 02:00:00:00:00:0$n type veth peer name p$n address 02:00:00:00:00:1$n netns sw
  ip -n sw link set p$n master br0
  ip -n sw link set p$n up
  ip -n h$n link set eth0 up mtu 1400
  ip -n h$n addr add 10.0.0.$n/24 dev eth0
  ip -n h$n link set lo up
done
ip -n h1 route add default via 10.0.0.2 metric 7
ip -n h1 route add blackhole 10.9.0.0/16
ip -n h2 addr add fd00::2/64 dev eth0 nodad
ip -n h2 link set eth0 alias 'to the switch'
ip -n h3 link add x0 address 02:00:00:00:00:21 type veth peer name x1 address 02:00:00:00:00:22
ip netns exec h2 sysctl -qw net.ipv4.ip_forward=1
ip netns exec h3 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
";

#[test]
fn bridges_forwarding_and_what_is_down() {
    vnet_testns::root(|| {
        write("bridge.sh", BRIDGE);
        pinned!(
            "sh bridge.sh
             vnet -l lan snapshot
             vnet -l lan snapshot >lan.yaml
             vnet adopt --yes lan.yaml
             vnet plan lan.yaml
             vnet up lan.yaml
             vnet -l lan down"
        );
    });
}

/// One of each sort of thing that no file says.
const UNSAYABLE: &str = "\
set -e
ip -n a link add br0 address 02:00:00:00:00:32 type bridge mcast_startup_query_interval 4000
ip -n a link add p0 address 02:00:00:00:00:33 type veth peer name p1 address 02:00:00:00:00:34
ip -n a link set p0 master br0 group 5
ip -n a link set p1 promisc on arp off
ip -n a link set br0 up; ip -n a link set p0 up; ip -n a link set p1 up
ip -n a addr add 10.0.0.1/24 brd 10.0.0.7 dev p1 label p1:x
ip -n a addr add 10.1.0.1 peer 10.1.0.2 dev p1
ip -n a addr add 10.2.0.1/24 dev p1 noprefixroute metric 7
ip -n a addr add 10.3.0.1/24 dev p1 valid_lft 1000 preferred_lft 500
ip -n a route add 10.5.0.0/16 via 10.0.0.9 proto bird
ip -n a route add 10.6.0.0/16 via 10.0.0.9 realm 5
ip -n a route add 10.7.0.0/16 via 10.0.0.9 tos 0x10
ip -n a rule add from 10.0.0.1 tos 0x10 table 7
bridge -n a fdb add 02:00:00:00:00:99 dev p0 master static
bridge -n a fdb add 02:00:00:00:00:98 dev p0 master permanent
bridge -n a mdb add dev br0 port p0 grp 239.1.1.1 permanent
tc -n a qdisc add dev p1 root handle 1: tbf rate 1mbit burst 10k latency 10ms
tc -n a qdisc add dev p1 ingress
ip -n a addrlabel add prefix 2001:db8::/32 label 99
ip -n a addrlabel del prefix 2002::/16 label 2
ip -n a xfrm policy add src 10.0.0.0/8 dst 10.9.0.0/16 dir out action block
ip -n a xfrm policy add src 10.0.0.0/8 dst 10.9.0.0/16 dir in action block
ip -n a mptcp endpoint add 10.2.0.1 dev p1 signal
ip -n a mptcp endpoint add 2001:db8::1 subflow
";

#[test]
fn what_a_file_can_not_say_is_named() {
    vnet_testns::root(|| {
        line("ip netns add a; ip netns add b");
        line("ip -n a link add out type veth peer name in netns 1");
        line("ip -n a link add t0 address 02:00:00:00:00:31 type vxlan id 5 dstport 4789");
        line("ip -n b link set lo alias mine");
        line("ip netns exec a nft add table inet mine");
        line(UNSAYABLE);
        pinned!(
            "vnet snapshot --netns a
             vnet snapshot --netns nothing*
             vnet snapshot --netns b >b.yaml
             vnet adopt --yes b.yaml"
        );
        line("ip netns del a; ip netns del b");
    });
}

#[test]
fn devices_are_in_the_language() {
    vnet_testns::root(|| {
        line(
            "ip netns add a; ip -n a link set lo up
             ip -n a link add eth0 address 02:00:00:00:00:01 type veth peer name eth1 address 02:00:00:00:00:02
             ip -n a link add t0 address 02:00:00:00:00:03 type vxlan id 5 dstport 4789 local 10.0.0.1
             ip -n a link add br0 address 02:00:00:00:00:04 type bridge stp_state 1
             ip -n a link set t0 master br0
             ip -n a link add link eth0 name m0 address 02:00:00:00:00:05 type macvlan mode bridge
             ip -n a link set eth0 up; ip -n a link set eth1 up; ip -n a addr add 10.0.0.1/24 dev eth0
             ip -n a rule add from 10.0.0.0/24 table 100 pref 500
             ip -n a route add default via 10.0.0.9 table 100
             ip -n a nexthop add id 7 via 10.0.0.8 dev eth0
             ip -n a route add 10.7.0.0/16 nhid 7
             ip -n a route add 10.6.0.0/16 nexthop via 10.0.0.8 weight 2 nexthop via 10.0.0.7
             ip -n a neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev eth0",
        );
        pinned!(
            "vnet snapshot
             vnet snapshot >vnet.yaml
             vnet adopt --yes
             vnet plan
             vnet down"
        );
    });
}

/// What is set beside addresses and routes, and that a file has words for.
const SETTINGS: &str = "\
set -e
ip netns add a; ip netns add b; ip -n a link set lo up; ip -n b link set lo up
ip -n a link add eth.0 address 02:00:00:00:00:01 numtxqueues 3 type veth \
    peer name eth0 address 02:00:00:00:00:02 numtxqueues 1 netns b
ip -n a link add br0 address 02:00:00:00:01:00 numrxqueues 2 type bridge mcast_querier 1 ageing_time 0
ip -n a link add p0 address 02:00:00:00:00:11 type veth peer name p1 address 02:00:00:00:00:12
ip -n a link set p0 master br0
ip -n a link set p0 type bridge_slave hairpin on cost 50 learning off isolated on priority 8
ip -n a link set eth.0 txqueuelen 77
ip -n a link set eth.0 up; ip -n b link set eth0 up
ip -n a link set br0 up; ip -n a link set p0 up; ip -n a link set p1 up
ip -n a addr add fe80::77/64 dev eth.0
ip -n b addr add 2001:db8::1/64 dev eth0 nodad
ip netns exec a sysctl -qw net.ipv4.tcp_ecn=1 net.ipv4.ip_local_port_range='10000 20001'
ip netns exec a sysctl -qw net.ipv4.conf.default.accept_local=1 net.ipv4.conf.all.rp_filter=2
ip netns exec a sysctl -qw net.ipv4.conf.eth/0.rp_filter=1 net.ipv4.neigh.eth/0.gc_stale_time=77
ip netns exec a sysctl -qw net.ipv4.conf.eth/0.forwarding=1 net.ipv6.conf.eth/0.forwarding=1
ip netns exec b sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.eth0.accept_ra=0
";

#[test]
fn what_is_set_is_written_as_far_as_a_file_can() {
    vnet_testns::root(|| {
        write("settings.sh", SETTINGS);
        pinned!(
            "sh settings.sh
             vnet -l set snapshot
             vnet -l set snapshot >set.yaml
             vnet adopt --yes set.yaml
             vnet plan set.yaml
             ip netns del a
             ip netns del b
             vnet up set.yaml
             vnet -l set snapshot >again.yaml
             cmp set.yaml again.yaml
             vnet -l set down"
        );
    });
}

#[test]
fn the_namespace_of_a_process_is_a_node() {
    vnet_testns::root(|| {
        line("ip netns add a; ip -n a link set lo up");
        // A shell that waits in a namespace of its own, and is the only one there.
        line("unshare -n sleep 100 >/dev/null 2>&1 & echo $! >pid; sleep 0.3");
        let pid = std::fs::read_to_string(format!("{}/pid", std::env::var("HOME").unwrap()));
        let pid = pid.unwrap().trim().to_owned();
        line(&format!(
            "ip -n a link add eth0 address 02:00:00:00:00:01 type veth \\
                 peer name eth0 address 02:00:00:00:00:02 netns {pid}
             ip -n a link set eth0 up; nsenter -t {pid} -n ip link set eth0 up
             nsenter -t {pid} -n ip addr add 10.0.0.2/24 dev eth0"
        ));
        let seen = vnet(&["snapshot", "--pid", &pid, "--pid", &pid]);
        let known = |text: &str| text.replace(&pid, "[PID]");
        insta::assert_snapshot!(known(&format!("{}{}", seen.stdout, seen.stderr)));
        // Once it has the name, the file means it.
        line(&format!("ip netns attach pid{pid} {pid}; vnet snapshot --pid {pid} >vnet.yaml"));
        assert_eq!(vnet(&["adopt", "--yes"]).code, 0);
        let plan = vnet(&["plan"]);
        assert_eq!((plan.code, plan.stdout.contains("no changes")), (0, true), "{}", plan.stdout);
        line(&format!("kill {pid}"));
        assert_eq!(vnet(&["down"]).code, 0);
        assert_eq!(vnet(&["snapshot", "--pid", "4194304"]).code, 3);
    });
}

#[test]
fn nothing_of_another_lab_is_taken_over() {
    vnet_testns::root(|| {
        write("vnet.yaml", common::PAIR);
        assert_eq!(vnet(&["up"]).code, 0);
        line("vnet -l other snapshot >other.yaml");
        pinned!(
            "vnet adopt --yes other.yaml
             vnet down"
        );
    });
}
