//! Checks that what sysctls are about is there.

use super::Desired;
use crate::names::IfName;
use crate::plan::interface_of_sysctl;
use crate::problem::{Problem, ProblemKind, nearest};
use crate::topology::Topology;

/// The interfaces that the kernel makes in each namespace with the module of a kind (`fb_tunnels_only_for_init_net`,
/// Documentation/admin-guide/sysctl/net.rst).
const OF_KERNEL: [&str; 10] = [
    "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0",
    "lo",
];

/// Tells whether the kernel makes an interface of this name by itself.
pub(crate) fn is_of_kernel(name: &str) -> bool {
    OF_KERNEL.contains(&name)
}

/// Returns the interface that a sysctl is about, where it is about one.
pub(crate) fn interface_of(key: &str) -> Option<IfName> {
    // `/` stands for the dots of its name (`sysctl(8)`).
    IfName::new(&interface_of_sysctl(key)?.replace('/', ".")).ok()
}

/// Finds the sysctls of nodes that are about interfaces which these do not have.
pub(super) fn problems(topology: &Topology, desired: &Desired) -> Vec<Problem> {
    let mut problems = Vec::new();
    for node in topology.nodes() {
        let ns = desired.nodes.get(&node.name).and_then(|ns| desired.state.namespaces.get(ns));
        let Some(ns) = ns else { continue };
        for (key, sysctl) in &node.sysctls {
            let Some(interface) = interface_of(key) else { continue };
            if ns.interfaces.contains_key(&interface) || is_of_kernel(interface.as_str()) {
                continue;
            }
            let near = nearest(interface.as_str(), ns.interfaces.keys().map(IfName::as_str));
            let nearest = near.and_then(|near| IfName::new(near).ok());
            let kind =
                ProblemKind::UnknownInterface { node: node.name.clone(), interface, nearest };
            problems.push(Problem::new(kind, sysctl.origin.or(node.origin)));
        }
    }
    problems
}
