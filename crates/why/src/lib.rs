//! Why A can't reach B: a packet's way through observed namespaces, on paper.
//!
//! ```text
//!  State + Facts ──▶ walk forth ──▶ walk back ──▶ reachable
//!       ▲                 └── stopped ──▶ diagnose ──▶ Cause with mends ──┐
//!       └───────────── the mends, applied on paper ◀──────────────────────┘
//! ```
//! [`why`] sends one packet through the state as the kernel would, and its answer back. Where it
//! stops, the cause is looked for; its mends are applied on paper ([`vnet_model::apply`]), and the
//! packet is sent again. So several faults are all named, in the order in which the packet meets
//! them, and what is suggested is known to help as far as the model goes.
//!
//! * `fib`: local delivery, connected and static routes, longest prefix, source addresses.
//! * `filter`: the chains of nf_tables rule by rule, address translation and its undoing; what bridges and
//!   single interfaces drop, of what looks for neighbours too.
//! * `wire`: which interfaces share a broadcast domain: veth pairs and bridges.
//! * `walk`: one direction, hop by hop.
//! * `fates`: its routing decisions, as questions that the kernel can be asked too.
//! * `diagnose`: from where a packet stopped to what is at fault. Where it is known what was meant
//!   (the file), the decision that differs from it is the fault; else the state speaks for itself.
//! * `suggest`: a way that would work, where nobody wrote one.
//! * [`seen`]: where a packet was really seen, held against where it stops.
//! * [`lint`]: what a file says that is probably not meant.
//! * [`pairs`]: all pairs at once, by classes of addresses.
//! * [`expect`]: whether what must hold does.
//!
//! # What it does not know
//! * Of addresses: groups of receivers (multicast).
//! * Of rules: policy rules by tunnel, user or group of interfaces.
//! * Of routes: those of IPv6 for what comes from a prefix; and policies of IPsec.
//! * Of interfaces: others than pairs (veth, netkit), bridges, bonds, VLANs, VRFs, tunnels of packets and
//!   frames, VXLANs, WireGuard, macvlans and ipvlans; IPv4 from an ipvlan whose route leads by another
//!   interface than the one below; what stands on interfaces of namespaces that were not looked at.
//! * Of bridges: those to which a port of another sends frames back, what keeps neighbours from being
//!   found (suppressed or not flooded), and forwarding entries that somebody wrote.
//! * Of nftables: what rules write to a packet but its mark, what is over a limit of less than about a
//!   packet a second, and what they load of a packet or frame but addresses, ports, ICMP types, ARP, tags of VLANs and the state of its connection; chains at a
//!   VRF's egress.
//! * What programs of BPF do.
//!
//! Where a packet meets such a thing, [`Answer::unknown`] names it, and the verdict is
//! [`Verdict::Unknown`] unless a cause was found before: nothing is guessed.
//!
//! It refuses to do I/O.
#![warn(missing_docs)]

mod codes;
mod diagnose;
pub mod expect;
mod fates;
mod fib;
mod filter;
pub mod lint;
mod origin;
pub mod pairs;
mod scene;
pub mod seen;
mod suggest;
mod travel;
mod tunnel;
mod walk;
mod wire;

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;
use vnet_model::facts::{Fate, Lookup};
use vnet_model::nft::TableId;
use vnet_model::{Desired, End, Facts, IfName, NsName, Origin, Packet, Rule, State, Step};

pub use codes::{CODES, Code, explain};
pub use suggest::link_to;
pub use travel::{addressless, settle, why};

/// What is known.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// What exists.
    pub state: &'a State,
    /// What else was observed; without it the kernel's defaults are taken to hold.
    pub facts: Option<&'a Facts>,
    /// What was meant.
    pub intent: Option<&'a Desired>,
    /// What is taken to have been done beside: links that are cut, say. It is no fault.
    pub assumed: &'a [Step],
}

impl<'a> World<'a> {
    /// What a file says, as if all were so.
    #[must_use]
    pub fn on_paper(desired: &'a Desired) -> Self {
        Self { state: &desired.state, facts: None, intent: Some(desired), assumed: &[] }
    }
}

/// Does a packet from here reach that address, and its answer come back?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The namespace it is sent from.
    pub from: NsName,
    /// Its source address; the kernel's choice where not given.
    pub src: Option<IpAddr>,
    /// Its destination.
    pub dst: IpAddr,
    /// The interface of the sender on whose link the destination is, where that is a link-local address of
    /// IPv6 (RFC 4007, section 6).
    pub link: Option<IfName>,
    /// The namespace that is meant by the destination, where one is.
    pub to: Option<NsName>,
    /// The length of the IP packet in bytes, which must not be fragmented (DF).
    pub size_bytes: Option<u32>,
    /// What is sent.
    pub packet: Packet,
}

impl Question {
    /// Asks about an address, whoever has it.
    #[must_use]
    pub fn new(from: NsName, dst: IpAddr) -> Self {
        Self { from, src: None, dst, link: None, to: None, size_bytes: None, packet: Packet::Icmp }
    }
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Reachable,
    /// It does not.
    Unreachable,
    /// Some packets do: it depends on the leg of a route that they take, or on who of several
    /// answers first.
    Partly,
    /// It can't be told: the packet meets something that is not modelled.
    Unknown,
}

/// What was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The answer in one word.
    pub verdict: Verdict,
    /// The source address.
    pub src: Option<IpAddr>,
    /// The destination.
    pub dst: IpAddr,
    /// The way there, as far as the packet gets.
    pub forth: Vec<Hop>,
    /// The way back, as far as the answer gets.
    pub back: Vec<Hop>,
    /// What is at fault, in the order in which the packet meets it.
    pub causes: Vec<Cause>,
    /// Who answers instead of whom was meant, having the same address.
    pub elsewhere: Option<String>,
    /// What the packet meets that was not evaluated.
    pub unknown: Vec<String>,
    /// The routing decisions on all its ways, which the kernel can be asked about too.
    #[serde(skip)]
    pub routed: Vec<Routed>,
    /// Where the packet goes, on all its ways.
    #[serde(skip)]
    pub course: seen::Course,
}

/// A routing decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The packet as it was where it was made.
    pub lookup: Lookup,
    /// What may become of it: a route with several legs has several.
    pub fates: BTreeSet<Fate>,
}

impl Answer {
    /// Notes the lines of the file that asked for what is on the way and at fault.
    pub fn name_lines(&mut self, line: impl Fn(Origin) -> Option<usize>) {
        for hop in self.forth.iter_mut().chain(&mut self.back) {
            hop.line = line(hop.origin);
        }
        for cause in &mut self.causes {
            cause.line = line(cause.origin);
        }
    }

    /// Says the verdict in one sentence.
    #[must_use]
    pub fn sentence(&self, from: &str, to: &str) -> String {
        let first = self.causes.first();
        let because = first.map(|cause| format!(": {}", cause.evidence)).unwrap_or_default();
        let more = match self.causes.len() {
            0 | 1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        match (self.verdict, &self.elsewhere) {
            (Verdict::Reachable, _) => format!("{from} reaches {to}"),
            (Verdict::Unreachable, Some(who)) => {
                format!("{from} does not reach {to}, but {who} instead{because}{more}")
            }
            (Verdict::Unreachable, None) => format!("{from} does not reach {to}{because}{more}"),
            (Verdict::Partly, _) => format!("{from} reaches {to} only sometimes{because}{more}"),
            (Verdict::Unknown, _) => {
                let unknown = self.unknown.first();
                let what = unknown.map(|what| format!(": {what}")).unwrap_or_default();
                format!("can't tell whether {from} reaches {to}{what}")
            }
        }
    }
}

/// One decision on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The namespace in which it was made.
    pub ns: NsName,
    /// Its name in the lab.
    pub node: String,
    /// The interface that the packet leaves by.
    pub interface: Option<IfName>,
    /// What decided it.
    pub by: By,
    /// What was decided, in one line.
    pub text: String,
    /// What asked in the file for what decided it.
    #[serde(skip)]
    pub origin: Origin,
    /// The line of the file that did, from 1, where it is known.
    pub line: Option<usize>,
}

/// What decides a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The address is the namespace's own.
    Local,
    /// A policy rule, by which a table is asked: the hop that follows is what that says.
    Rule,
    /// A route that the kernel made of an address.
    Connected,
    /// A route that somebody made.
    Route,
    /// Who answers for the next hop's address on the link.
    Neighbour,
    /// A bridge, from port to port.
    Port,
    /// A tunnel: the hops that follow are those of the packet that carries it.
    Tunnel,
    /// A rule that translates addresses.
    Filter,
    /// Nothing: here it ends.
    Stop,
}

/// A rule of nf_tables that dropped a packet that was really sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedBy {
    /// The namespace.
    pub ns: NsName,
    /// The table.
    pub table: TableId,
    /// Its chain.
    pub chain: String,
    /// The rule; `None` where the policy of the chain did.
    pub rule: Option<String>,
}

/// Something at fault.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// What kind of fault it is: one of [`CODES`].
    pub code: &'static str,
    /// What has the fault, as a person names it: `pc1:lan`, a route.
    pub object: String,
    /// What was seen, in one sentence.
    pub evidence: String,
    /// What mends it, to be done in this order.
    pub mend: Vec<Mend>,
    /// What asked in the file for what is at fault, or for what should be there instead.
    #[serde(skip)]
    pub origin: Origin,
    /// The line of the file that did, from 1, where it is known.
    pub line: Option<usize>,
}

/// Something that mends a fault, or a part of it.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "MendBody")]
pub enum Mend {
    /// A change to the system.
    Step(Step),
    /// Commands that are no steps.
    Command {
        /// What they change, in a line.
        text: String,
        /// The commands.
        commands: Vec<String>,
        /// What that means on paper.
        effect: Effect,
    },
    /// A line of the file that says otherwise than it should.
    Line {
        /// What asked for the fault.
        origin: Origin,
        /// What to do about it.
        text: String,
    },
}

/// What commands mean on paper.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// A chain lets the packet through, in both directions.
    LetThrough(NsName, TableId, String),
    /// A chain lets neighbours be looked for, and answer.
    LetAsk(NsName, TableId, String),
    /// A neighbour entry that somebody wrote is gone.
    Forgotten(End, IpAddr),
    /// The port of a bridge passes all on.
    Passes(End),
    /// The ipvlans on an interface are not kept apart.
    Together(End),
    /// An interface asks neighbours, and answers them.
    Resolves(End),
    /// A policy rule is gone, whoever made it.
    Unruled(NsName, Box<Rule>),
    /// An IPv6 address can be used.
    Usable(NsName, IpAddr),
    /// What was learned of the MTUs of ways is learned anew.
    Relearns(NsName),
    /// The IPv4 addresses of a namespace are for everywhere.
    Widened(NsName),
    /// An address is the namespace's own again.
    Owned(NsName, IpAddr),
    /// The queue of an interface is the kernel's again.
    Unqueued(End),
}

impl Mend {
    /// Returns the `ip` and `sysctl` commands that do it; none for a line of the file.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::Step(step) => {
                vnet_iproute::commands(step).iter().map(ToString::to_string).collect()
            }
            Self::Command { commands, .. } => commands.clone(),
            Self::Line { .. } => Vec::new(),
        }
    }
}

/// A mend as data.
#[derive(Debug, Serialize)]
struct MendBody {
    change: String,
    commands: Vec<String>,
}

impl From<Mend> for MendBody {
    fn from(mend: Mend) -> Self {
        let commands = mend.commands();
        let change = match mend {
            Mend::Step(step) => format!("{} {step}", step.sign()),
            Mend::Command { text, .. } => text,
            Mend::Line { text, .. } => text,
        };
        Self { change, commands }
    }
}
