//! The floor: the ring's kernel objects made by bare system calls, in one loop, by one thread.
//!
//! Nothing is read, checked, recorded or undone, which makes it what a correct tool is measured by. What it uses:
//! a namespace is born by `unshare` and pinned by a bind mount while the thread is in it; its socket is opened there and
//! stays bound to it; a veth pair is born with both ends in place, indices included, so that nothing is looked up; each
//! socket takes all its messages of a round in one send.
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use anyhow::{Context, anyhow};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use super::host::enter_new_network;
use super::ring::{Ring, Side};
use super::wire::{End, Messages, Socket};

const LOOPBACK: u32 = 1;

struct Node {
    namespace: OwnedFd,
    socket: Socket,
}

/// Builds the ring, on a thread of its own since that thread's network namespace changes.
pub(super) fn up(ring: Ring) -> anyhow::Result<()> {
    thread::spawn(move || build(ring)).join().map_err(|_| anyhow!("the floor's thread panicked"))?
}

pub(super) fn down(ring: Ring) -> anyhow::Result<()> {
    for node in ring.nodes() {
        let pin = pin(node);
        unmount(&pin, UnmountFlags::DETACH)?;
        fs::remove_file(&pin)?;
    }
    Ok(())
}

fn build(ring: Ring) -> anyhow::Result<()> {
    let mut messages = Messages::default();
    let first = make_node(1)?;
    messages.set_up(LOOPBACK);
    messages.send(&first.socket).context("set lo up")?;
    let mut previous = None;
    for number in ring.nodes().skip(1) {
        let node = make_node(number)?;
        messages.set_up(LOOPBACK);
        link(ring, number - 1, &mut messages, &node, previous.as_ref().unwrap_or(&first))?;
        previous = Some(node);
    }
    let last = previous.context("a ring has several nodes")?;
    link(ring, ring.0, &mut messages, &first, &last)
}

/// Enters a new namespace and pins it.
fn make_node(number: u32) -> anyhow::Result<Node> {
    enter_new_network()?;
    let namespace = File::open("/proc/thread-self/ns/net")?.into();
    let pin = pin(number);
    File::create_new(&pin)?;
    mount_bind("/proc/thread-self/ns/net", &pin).with_context(|| format!("pin {pin}"))?;
    Ok(Node { namespace, socket: Socket::open()? })
}

/// Makes the ring's link `number`, from the node of that number to the one after it, and sets both ends up.
fn link(
    ring: Ring,
    number: u32,
    messages: &mut Messages,
    to: &Node,
    from: &Node,
) -> anyhow::Result<()> {
    let near = ring.end(number, Side::Second);
    let far = ring.end(number, Side::First);
    messages.add_veth(
        &End { name: &near.name, index: near.index, mac: near.mac },
        &End { name: &far.name, index: far.index, mac: far.mac },
        from.namespace.as_fd(),
    );
    for (end, node) in [(&near, to), (&far, from)] {
        messages.add_address(end.index, end.address, 31);
        messages.set_up(end.index);
        messages.send(&node.socket).with_context(|| format!("make link {number}"))?;
    }
    Ok(())
}

fn pin(node: u32) -> String {
    format!("/run/netns/n{node}")
}
