//! Waits until removed namespaces are really gone.
//!
//! The kernel has no call for that: unpinning returns at once, and a worker takes all namespaces
//! that wait as one lot (`cleanup_net`, net/core/net_namespace.c). So a sentinel is made that is
//! removed after them: a veth whose other end we watch. The lot announces the end of its links
//! early, so the first sentinel only says that its lot has begun; the second one, released then, is
//! in the next lot, and that begins when the first is through.

use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use vnet_model::{IfName, Queues};
use vnet_netlink::{Batch, Error as NetlinkError, Protocol, Socket};

use crate::error::Error;
use crate::execute::message::{self, Birth};
use crate::thread::{Walker, open_own_namespace};

/// The multicast group of link changes (`RTNLGRP_LINK`, linux/rtnetlink.h).
const RTNLGRP_LINK: u32 = 1;

/// Waits, on a thread that may enter namespaces. CAP_SYS_ADMIN.
pub(crate) fn wait(walker: &Walker, timeout: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    let make = || walker.enter_new().map_err(Error::system("make", "a namespace to wait with"));
    make()?;
    let mut hub = Socket::open(Protocol::Route).map_err(failed)?;
    let hub_ns = open_own_namespace()?;
    let mut sentinels = Vec::new();
    for number in [1, 2] {
        make()?;
        let ns = open_own_namespace()?;
        let name = name(number)?;
        let mut batch = Batch::new();
        let birth =
            |index| Birth { name: &name, index, mac: None, mtu: None, queues: Queues::default() };
        message::add_pair(&mut batch, None, (&birth(1 + number), &birth(2)), &ns);
        let outcome = hub.submit(&mut batch).map_err(failed)?;
        outcome.into_result().map_err(|(_, refusal)| failed(refusal.into()))?;
        sentinels.push(ns);
    }
    // Away from the last sentinel, or this thread would keep it.
    walker.enter(&hub_ns).map_err(Error::system("enter", "a namespace"))?;
    hub.subscribe(&[RTNLGRP_LINK]).map_err(failed)?;
    for (number, sentinel) in (1..).zip(sentinels) {
        drop(sentinel);
        wait_for_removal(&mut hub, 1 + number, deadline, timeout)?;
    }
    Ok(())
}

fn wait_for_removal(
    hub: &mut Socket,
    index: u32,
    deadline: Instant,
    timeout: Duration,
) -> Result<(), Error> {
    let mut removed = false;
    while !removed {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::StillThere { seconds: timeout.as_secs() });
        }
        hub.receive_event(Some(left), |event| {
            let message = event.message.decode::<RouteNetlinkMessage>();
            if let Ok(RouteNetlinkMessage::DelLink(link)) = message {
                removed |= link.header.index == index;
            }
        })
        .map_err(failed)?;
    }
    Ok(())
}

fn name(number: u32) -> Result<IfName, Error> {
    let name = format!("sentinel{number}");
    IfName::new(&name).map_err(|_| Error::NotANamespace { path: name })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failed(source: NetlinkError) -> Error {
    let errno = source.errno().unwrap_or(rustix::io::Errno::IO);
    Error::System { doing: "wait for", object: "the end of namespaces".into(), errno }
}
