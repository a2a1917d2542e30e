//! Files in `/run/netns` that are not what one expects there.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::sync::Barrier;

use common::{Lab, ns, shown, states};
use vnet_kernel::observe::list_marked;
use vnet_kernel::pins::Pins;
use vnet_kernel::{Realm, execute};
use vnet_model::Owner;
use vnet_testns::{Snapshot, sh};

/// The conflicts of the plan, as text.
fn conflicts(lab: &Lab, realm: &Realm) -> Vec<String> {
    lab.plan(realm).conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_no_network_namespace_is_foreign() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        sh("mkdir /run/netns; echo secret > /run/secret; cp /run/secret /run/original");
        let ways = [
            "echo something > b",
            "echo vnet:t/b/c > b",
            "touch b",
            "ln -s /run/secret b",
            "ln -s /proc/self/ns/net b",
            "ln -s /nowhere b",
            "mkfifo b",
            "mkdir b; touch b/file",
            "touch b; mount --bind /proc/self/ns/uts b",
            "touch b; mount --bind /proc/self/ns/mnt b || mount --bind /proc/self/ns/uts b",
        ];
        for way in ways {
            sh(&format!("cd /run/netns; {way}"));
            let before = Snapshot::take();
            assert_eq!(
                conflicts(&lab, &realm),
                ["namespace b exists and was not made by vnet"],
                "{way}"
            );
            // To the end of the lab that is not there, it is nothing.
            lab.remove(&realm);
            assert_eq!(before.leaks(), [""; 0], "{way}");
            assert_eq!(realm.names().unwrap(), [ns("b")], "{way}");
            assert!(list_marked(&realm).unwrap().is_empty(), "{way}");
            sh("cd /run/netns; umount b || true; rm -r b; cmp /run/secret /run/original");
        }
    });
}

#[test]
fn a_creation_that_was_cut_short_is_made_good() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        sh("mkdir /run/netns; echo vnet:t/b > /run/netns/b; echo vnet:t/old > /run/netns/old");
        let observed = lab.observe(&realm);
        let owner = |name| &observed.state.namespaces[&ns(name)].owner;
        assert!(matches!(owner("b"), Owner::Stale(_)), "{:?}", owner("b"));
        let steps = shown(&lab.apply(&realm).unwrap());
        assert_eq!(steps[..4], ["+ namespace a", "~ a:lo up", "- namespace b", "+ namespace b"]);
        assert_eq!(steps.last().unwrap(), "- namespace old");
        assert_eq!(shown(&lab.plan(&realm).steps), [""; 0]);
        lab.remove(&realm);
        // Another lab's is none of ours.
        sh("echo vnet:other/b > /run/netns/b");
        assert_eq!(conflicts(&lab, &realm), ["namespace b belongs to lab other (node b)"]);
        lab.remove(&realm);
        assert_eq!(realm.names().unwrap(), [ns("b")]);
        sh("rm /run/netns/b");
    });
}

/// As `ip netns add` twice in a mount namespace of its own leaves it.
#[test]
fn a_pin_that_is_mounted_twice_goes_at_once() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        lab.build(&realm);
        sh("mount --bind /run/netns/a /run/netns/a");
        assert_eq!(shown(&lab.plan(&realm).steps), [""; 0]);
        lab.remove(&realm);
        assert_eq!(realm.names().unwrap(), []);
    });
}

#[test]
fn a_name_that_is_taken_meanwhile_is_told() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        let observed = lab.observe(&realm);
        let steps = lab.plan(&realm).steps;
        sh("ip netns add b; ip -n b link add mine type veth peer name yours");
        let error = execute(&realm, &observed, &steps).unwrap_err();
        assert_eq!(error.to_string(), "cannot add namespace b: /run/netns/b exists");
        assert!(sh("ip -n b link").contains("mine"));
        sh("ip netns del b");
        lab.remove(&realm);
    });
}

#[test]
fn a_place_that_can_t_be_written_is_told_and_left() {
    vnet_testns::root(|| {
        let (lab, realm) = (states::pair(), Realm::own().unwrap());
        let tried = |command: &str, expected: &str| {
            sh(command);
            let before = Snapshot::take();
            assert_eq!(lab.apply(&realm).unwrap_err().to_string(), expected);
            assert_eq!(before.leaks(), [""; 0]);
        };
        tried(
            "mount -o remount,ro,bind /run",
            "cannot add namespace a: cannot make /run/netns: Read-only file system (EROFS)",
        );
        sh("mount -o remount,rw,bind /run; ip netns add x; ip netns del x");
        tried(
            "mount -o remount,ro,bind /run/netns",
            "cannot add namespace a: cannot make a file in /run/netns: Read-only file system (EROFS)",
        );
        sh("umount /run/netns; rmdir /run/netns");
    });
}

/// Threads that make namespaces at the same time all find the folder missing.
#[test]
fn the_folder_is_mounted_once() {
    vnet_testns::root(|| {
        for _ in 0..100 {
            let together = Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        together.wait();
                        Pins::open_or_make().unwrap();
                    });
                }
            });
            sh("umount /run/netns; ! umount /run/netns 2> /dev/null");
        }
    });
}
