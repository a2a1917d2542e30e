//! Router advertisements: who takes an address and a default route from one that somebody sends.
//!
//! ```text
//!  sender ──┐
//!  hosts ───┤ lan    2001:db8::/64 by the file, 2001:db8:a::/64 by the advertisement
//!  routers ─┘
//! ```
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

use common::{desired, open};
use rustix::net::sockopt::set_ipv6_multicast_hops;
use rustix::net::{SendFlags, sendto};
use vnet::kernel::SocketKind;
use vnet::kernel::echo::Family;
use vnet::{Down, Lab};
use vnet_testns::sh;

const LAB: &str = "
name: ra
netns: $node
nodes:
  sender: { sysctls: { net.ipv6.conf.default.accept_dad: 0 } }
  plain:
  host-off:
  host-on:
  router: { forward: true }
  router-off: { forward: true }
  router-on: { forward: true }
segments:
  lan:
    prefix: 2001:db8::/64
    members:
      sender:e:
      plain:e:
      host-off:e: { accept_ra: false }
      host-on:e: { accept_ra: true }
      router:e:
      router-off:e: { accept_ra: false }
      router-on:e: { accept_ra: true }
";

/// A router that is one for half an hour, and a prefix to make addresses of for an hour (RFC 4861,
/// sections 4.2 and 4.6.2). The kernel works out the checksum (RFC 3542, section 3.1).
fn advertisement() -> Vec<u8> {
    const ROUTER_ADVERTISEMENT: u8 = 134;
    const PREFIX_INFORMATION: u8 = 3;
    const ON_LINK_AND_AUTONOMOUS: u8 = 0xc0;
    let mut packet = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0];
    packet.extend(1800_u16.to_be_bytes());
    packet.extend([0; 8]);
    packet.extend([PREFIX_INFORMATION, 4, 64, ON_LINK_AND_AUTONOMOUS]);
    packet.extend([3600_u32.to_be_bytes(), 3600_u32.to_be_bytes(), [0; 4]].concat());
    packet.extend("2001:db8:a::".parse::<Ipv6Addr>().unwrap().octets());
    packet
}

/// Sends one to all nodes of the segment.
fn advertise(lab: &Lab) {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let sender = ["sender".parse().unwrap()];
    let kind = SocketKind::Icmp(Family::V6);
    let mut sockets = lab.realm().unwrap().sockets(0, &sender, kind).unwrap();
    let socket = sockets.remove(0).unwrap();
    // From farther away it would not be taken (RFC 4861, section 6.1.2).
    set_ipv6_multicast_hops(&socket, 255).unwrap();
    let index = sh("ip netns exec sender cat /sys/class/net/e/ifindex").trim().parse().unwrap();
    let to = SocketAddrV6::new(ALL_NODES, 0, 0, index);
    sendto(&socket, &advertisement(), SendFlags::empty(), &to).unwrap();
}

/// How many have come to a node.
fn heard(node: &str) -> u64 {
    let counters = sh(&format!("ip netns exec {node} cat /proc/net/snmp6"));
    let counter =
        counters.lines().find_map(|line| line.strip_prefix("Icmp6InRouterAdvertisements"));
    counter.unwrap().trim().parse().unwrap()
}

/// Waits until all have heard one; what each makes of it is done by then, or at once.
fn wait_until_heard(nodes: &[&str]) {
    let start = Instant::now();
    while !nodes.iter().all(|node| heard(node) > 0) {
        assert!(start.elapsed() < Duration::from_secs(10), "not all of {nodes:?} hear it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a node has an address of the advertised prefix, and a default route.
fn taken(node: &str) -> (bool, bool) {
    let address = sh(&format!("ip -n {node} -6 address show dev e to 2001:db8:a::/64"));
    let route = sh(&format!("ip -n {node} -6 route show default dev e"));
    assert!(route.is_empty() || route.contains("proto ra"), "{route}");
    (!address.is_empty(), !route.is_empty())
}

#[test]
fn an_advertisement_is_taken_by_whom_the_file_says() {
    vnet_testns::root(|| {
        let desired = desired(LAB);
        let mut lab = open(&desired);
        lab.up(&desired, |_| {}).unwrap();
        let deaf = ["host-off", "router", "router-off"];
        // A host of which nothing is said is as the kernel has it.
        let listening = ["plain", "host-on", "router-on"];
        advertise(&lab);
        wait_until_heard(&[deaf.as_slice(), &listening].concat());
        for node in listening {
            assert_eq!(taken(node), (true, true), "{node}");
        }
        for node in deaf {
            assert_eq!(taken(node), (false, false), "{node}");
        }
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
    });
}
