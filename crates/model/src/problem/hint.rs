//! How to mend what is wrong.

use super::{ProblemKind, list};

impl ProblemKind {
    /// Returns one line on how to mend it, where there is more to say than the message does.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Filter(problem) => return problem.hint(),
            Self::Tunnel(problem) => return problem.hint(),
            Self::UnknownNode { nearest: Some(name), .. } => {
                format!("one with a similar name exists: `{name}`")
            }
            Self::UnknownLink { nearest: Some(name), .. } => {
                format!("one with a similar name exists: `{name}`")
            }
            Self::UnknownInterface { nearest: Some(name), .. } => {
                format!("one with a similar name exists: `{name}`")
            }
            Self::NotANode { role: "a member", .. } => "join two segments with a link".into(),
            Self::HostRole { role: "a member" } => {
                "link the segment to it (`[ SEGMENT, host:NAME ]`), or say `external: true`".into()
            }
            Self::HostRole { role: "an end without a name" } => {
                "name the interface that it gets there: `host:NAME`".into()
            }
            Self::NoVlansThere { .. } => {
                "say it of a port of such a bridge, or of the bridge itself; at a segment it is said \
                 among the `members`"
                    .into()
            }
            Self::VlanAtNode { .. } => {
                "for a port of a bridge of the node say it in the node's `interfaces`".into()
            }
            Self::NotAVlan { .. } => "give it a number: `vlan: 10`".into(),
            Self::TrunkAtEnd => "write it beside `endpoints`".into(),
            Self::NoBridge { segment, what: "a VLAN without members", role: "have links" } => {
                format!("link to the segment whose port is in it, and say `vlan: {segment}` there")
            }
            Self::SameVlan { .. } => "give one of them another number".into(),
            Self::NamespaceCollision { .. } => "let `netns:` hold `$node`".into(),
            Self::BadSysctl { .. } => "it begins with `net.`, as in `net.ipv4.tcp_ecn`".into(),
            Self::DuplicateInterface { node, derived: true, .. } => {
                format!("one is named after its far end; name it yourself: `{node}:NAME`")
            }
            Self::LoopbackOption { option: "alias" } => {
                "vnet keeps the namespace's mark there".into()
            }
            Self::MacNotUnicast { .. } => {
                "the first byte must be even, and not all bytes zero: 02:00:00:00:00:01".into()
            }
            Self::NotAVrf { at } => {
                format!("make it one: `{}: {{ kind: vrf, table: 10 }}`", at.interface)
            }
            Self::PortOption { .. } => {
                "make it one by the `ports` of a bridge or bond of the node".into()
            }
            Self::DuplicateLink { .. } => "give one of them another `name`".into(),
            Self::TooManyPorts { .. } => {
                "spread them over several segments, joined by links".into()
            }
            Self::BridgeLoop { .. } => {
                "one frame would circle for ever; take a link out, or set `stp: true`".into()
            }
            Self::DeafLoop { .. } => "set `stp: true` on each of them, or take a link out".into(),
            Self::ExternalWithoutPrefix { .. } => {
                "give it one that nobody has out there: `prefix: 172.30.0.0/24`".into()
            }
            Self::BareAddress { addr, .. } => {
                let prefix_len = if addr.is_ipv4() { 24 } else { 64 };
                format!("write it with a length, such as `{addr}/{prefix_len}`")
            }
            Self::AddressOutside { addr, .. } => {
                let prefix_len = if addr.is_ipv4() { 24 } else { 64 };
                format!("an address of another prefix needs its length: `{addr}/{prefix_len}`")
            }
            Self::PrefixExhausted { .. } | Self::PoolExhausted { .. } => {
                "take a shorter prefix length".into()
            }
            Self::GatewayNotOnLink { prefixes, dev, .. } if prefixes.is_empty() => match dev {
                Some(_) => "no address there; `onlink` skips this check".into(),
                None => "the node has no address of that family".into(),
            },
            Self::GatewayNotOnLink { prefixes, .. } => {
                format!("on link there are {}; `dev … onlink` skips this check", list(prefixes))
            }
            Self::DuplicateRoute { .. } => "give one of them another metric or table".into(),
            Self::RouteIsConnected { .. } => "give the route a metric".into(),
            Self::GatewayWithoutAddress { .. } => {
                "give it an address there, or the link or segment a `prefix`".into()
            }
            Self::TwoGateways { node, .. } => {
                format!("say which one in the routes of `{node}`: `default via …`")
            }
            _ => return None,
        })
    }
}
