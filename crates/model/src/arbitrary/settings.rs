//! Settings of interfaces and sysctls, for topologies of which all that is set shall be found again.

use crate::kind::{self, Value};
use crate::names::IfName;
use crate::origin::Origin;
use crate::state::Offload;
use crate::topology::{Endpoint, InterfaceOptions, Node, NodeInterface, NodeInterfaceKind, Sysctl};

/// Sets something of a node by the bits of a number.
pub(super) fn add_to_node(node: &mut Node, bits: u8) {
    let keys = [
        ("net.ipv4.tcp_ecn", "1"),
        ("net.ipv4.conf.all.rp_filter", "2"),
        ("net.ipv4.conf.default.accept_local", "1"),
        ("net.ipv4.ip_local_port_range", "10000 20001"),
    ];
    for (bit, (key, value)) in keys.into_iter().enumerate() {
        if bits & 1 << bit != 0 {
            let sysctl = Sysctl { value: value.to_owned(), origin: Origin::NONE };
            node.sysctls.insert(key.to_owned(), sysctl);
        }
    }
}

/// Sets something of the end of a link, by the bits of a number; of a port of a bridge too.
pub(super) fn add_to_end(end: &mut Endpoint, bits: u8, bridges: &[NodeInterface]) {
    set(&mut end.options, bits);
    let is_port = |name: &IfName| {
        bridges.iter().any(|bridge| match &bridge.kind {
            NodeInterfaceKind::Device { device, ports } => {
                device.spec.is_bridge() && ports.contains(name)
            }
            NodeInterfaceKind::Existing => false,
        })
    };
    let options = [
        ("cost", Value::Number(50)),
        ("hairpin", Value::Bool(true)),
        ("learning", Value::Bool(false)),
        ("isolated", Value::Bool(true)),
    ];
    if end.interface.as_ref().is_some_and(is_port) {
        for (bit, (word, value)) in options.into_iter().enumerate() {
            let option = kind::BRIDGE.port_option(word).filter(|_| bits & 1 << bit != 0);
            option.map(|option| end.options.port.set(option, value));
        }
    }
}

fn set(options: &mut InterfaceOptions, bits: u8) {
    let has = |bit: u8| bits & 1 << bit != 0;
    if has(4) {
        options.txqueuelen = Some(77);
        options.queues.tx = Some(3);
    }
    for (bit, offload) in [(5, Offload::Tso), (6, Offload::Rx)] {
        if has(bit) {
            options.offload.insert(offload, false);
        }
    }
    if has(7) {
        let sysctl = Sysctl { value: "1".to_owned(), origin: Origin::NONE };
        options.sysctls.insert("ipv4.rp_filter".to_owned(), sysctl.clone());
        let sysctl = Sysctl { value: "77".to_owned(), ..sysctl };
        options.sysctls.insert("ipv4.neigh.gc_stale_time".to_owned(), sysctl);
    }
}
