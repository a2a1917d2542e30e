//! Which reasons of lost packets the real kernel tells, and whom.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::net::UdpSocket;

use rustix::io::Errno;
use vnet_kernel::drops::{Heard, Listener};
use vnet_testns::sh;

/// Sends datagrams to a port of this host on which nobody listens.
fn send(times: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..times {
        socket.send_to(b"x", "127.0.0.1:9").unwrap();
    }
}

fn times(heard: &Heard, reason: &str) -> usize {
    heard.losses.iter().find(|loss| loss.reason == reason).map_or(0, |loss| loss.times)
}

/// What would be left behind: descriptors, mappings of rings, mounts.
fn held() -> (usize, usize, String) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    (descriptors, maps.matches("perf_event").count(), mounts)
}

#[test]
fn vm_what_is_dropped_in_the_name_of_a_thread_is_heard() {
    vnet_testns::machine_root(|| {
        vnet_testns::requires(&["drop-reasons"]);
        sh("ip link set lo up");
        let before = held();
        let listener = Listener::start().unwrap();
        assert_eq!(held().2, before.2, "it is mounted in no tree");
        send(3);
        let heard = listener.finish();
        assert_eq!((times(&heard, "NO_SOCKET"), heard.overrun), (3, false), "{heard:?}");
        assert_eq!(heard.losses[0].means(), Some("no socket found"));
        assert_eq!(held(), before);

        // Nothing before, nothing of another thread.
        let listener = Listener::start().unwrap();
        std::thread::spawn(|| send(100)).join().unwrap();
        let heard = listener.finish();
        assert_eq!(times(&heard, "NO_SOCKET"), 0, "{heard:?}");

        // More than there is room for.
        let listener = Listener::start().unwrap();
        send(5000);
        let heard = listener.finish();
        assert!(heard.overrun && times(&heard, "NO_SOCKET") > 500, "{heard:?}");

        // Where tracefs is mounted, that is read.
        sh("mount -t tracefs tracefs /sys/kernel/tracing");
        let listener = Listener::start().unwrap();
        send(1);
        assert_eq!(times(&listener.finish(), "NO_SOCKET"), 1);
        sh("umount /sys/kernel/tracing");
        assert_eq!(held(), before);
    });
}

/// The kernel tells nothing of itself to an ordinary user.
#[test]
fn who_is_not_the_machines_root_is_refused() {
    vnet_testns::user(|| {
        let errno = Listener::start().map(drop).unwrap_err().errno();
        assert!(matches!(errno, Some(Errno::PERM | Errno::ACCESS)), "{errno:?}");
    });
}
