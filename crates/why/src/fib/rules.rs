//! Policy rules: which tables are asked for a packet, one after the other (`fib_rules_lookup`,
//! net/core/fib_rules.c; `ip-rule(8)`).

use std::net::IpAddr;

use vnet_model::apply::LOOPBACK;
use vnet_model::facts::PolicyRule;
use vnet_model::ipnet::IpNet;
use vnet_model::state::{PortRange, TABLE_LOCAL, is_ipv6_link_local};
use vnet_model::{IfName, Namespace, Route, RuleAction};

use super::vrf::{self, vrf_of};
use super::{Decision, in_table, local, own};

/// A packet as rules see it (`struct flowi`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flowi {
    /// Its source; none while it has none.
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: IpAddr,
    /// The interface that it came in by; none where the namespace sends it.
    pub(crate) iif: Option<IfName>,
    /// The VRF that it is sent in, where it came in by no interface.
    pub(crate) vrf: Option<IfName>,
    /// The interface on whose link a link-local destination is, likewise.
    pub(crate) link: Option<IfName>,
    /// Its mark, where it is known.
    pub(crate) mark: Option<u32>,
    /// Its protocol; none where that is not looked at.
    pub(crate) protocol: Option<u8>,
    pub(crate) sport: Option<u16>,
    pub(crate) dport: Option<u16>,
}

impl Flowi {
    /// Asks where an address is, as the namespace itself does.
    pub(crate) fn to(dst: IpAddr) -> Self {
        let (src, iif, vrf, link, protocol, sport, dport) = Default::default();
        Self { src, dst, iif, vrf, link, mark: Some(0), protocol, sport, dport }
    }

    /// The interface on whose link its destination is, where that is a link-local address.
    pub(super) fn link(&self) -> Option<&IfName> {
        self.link.as_ref().or(self.iif.as_ref()).filter(|_| is_ipv6_link_local(self.dst))
    }

    /// The VRF that it is in (`l3mdev_update_flow`, net/l3mdev/l3mdev.c).
    pub(crate) fn vrf_in<'n>(&self, ns: &'n Namespace) -> Option<&'n IfName> {
        self.vrf.as_ref().or(self.iif.as_ref()).and_then(|dev| vrf_of(ns, dev))
    }
}

/// Finds what becomes of a packet by rules that are not those that every namespace is born with, and the rule
/// by whose table. While there were only those, `local` and `main` were one trie; now they are asked in turn.
pub(super) fn decide<'r>(
    ns: &Namespace,
    kernel: &[Route],
    rules: &'r [PolicyRule],
    packet: &Flowi,
) -> (Decision, Option<&'r PolicyRule>) {
    let of_family = |policy: &&PolicyRule| policy.rule.ipv6 == packet.dst.is_ipv6();
    let rules: Vec<&PolicyRule> = rules.iter().filter(of_family).collect();
    let vrf = packet.vrf_in(ns);
    let mut at = 0;
    while let Some(policy) = rules.get(at) {
        at += 1;
        match matches(policy, packet, vrf) {
            Some(true) => {}
            Some(false) => continue,
            None => return (Decision::Untold { rule: policy.rule.clone() }, None),
        }
        let of_vrf = vrf.filter(|_| policy.l3mdev).and_then(|vrf| vrf::table(ns, vrf));
        let table = match policy.rule.action {
            RuleAction::Table(_) if of_vrf.is_some() => of_vrf.unwrap_or_default(),
            RuleAction::Table(table) => table,
            RuleAction::Goto(priority) => {
                let target = rules.iter().position(|other| other.rule.priority == priority);
                at = target.filter(|target| *target >= at).unwrap_or(at);
                continue;
            }
            _ => return (Decision::Refused { rule: policy.rule.clone() }, None),
        };
        let found = match table {
            TABLE_LOCAL => local(ns, packet.dst),
            table => own(ns, table, packet.dst)
                .or_else(|| in_table(ns, kernel, table, packet.dst).map(|(decision, _)| decision)),
        };
        let Some(found) = found else { continue };
        let length = match &found {
            Decision::Via { route, .. } => route.dst.prefix_len(),
            _ => u8::MAX,
        };
        if policy.rule.suppress_prefixlength.is_none_or(|limit| length > limit) {
            return (found, Some(policy));
        }
    }
    (Decision::None, None)
}

/// Tells whether a rule is for a packet, if that is known (`fib_rule_match`, net/core/fib_rules.c;
/// `fib4_rule_match`, net/ipv4/fib_rules.c).
pub(crate) fn matches(policy: &PolicyRule, packet: &Flowi, vrf: Option<&IfName>) -> Option<bool> {
    let rule = &policy.rule;
    // A source that is not chosen yet is 0.0.0.0.
    let from = |net: IpNet| packet.src.is_some_and(|src| net.contains(&src));
    let iif = |dev: &IfName| match &packet.iif {
        Some(iif) => dev == iif,
        None => dev.as_str() == LOOPBACK,
    };
    let ports = |range: Option<PortRange>, port: Option<u16>| match (range, port) {
        (None, _) => Some(true),
        (Some((first, last)), Some(port)) => Some((first..=last).contains(&port)),
        (Some(_), None) => None,
    };
    let tests = [
        Some(!policy.l3mdev || vrf.is_some()),
        Some(policy.tos == 0),
        (!policy.is_unread).then_some(true),
        Some(rule.from.is_none_or(from)),
        Some(rule.to.is_none_or(|net| net.contains(&packet.dst))),
        match rule.iif.as_ref() {
            // Kernels differ in which of the two it is.
            Some(dev) if vrf.is_some_and(|vrf| vrf == dev || packet.iif.as_ref() == Some(dev)) => {
                None
            }
            dev => Some(dev.is_none_or(iif)),
        },
        // No socket is bound.
        Some(rule.oif.is_none()),
        match rule.fwmark {
            None => Some(true),
            Some((wanted, mask)) => packet.mark.map(|mark| (mark ^ wanted) & mask == 0),
        },
        rule.ipproto.map_or(Some(true), |wanted| Some(packet.protocol == Some(wanted))),
        ports(rule.sport, packet.sport),
        ports(rule.dport, packet.dport),
    ];
    let all = match tests.contains(&Some(false)) {
        true => Some(false),
        false => (!tests.contains(&None)).then_some(true),
    };
    all.map(|all| all != rule.not)
}
