//! Why A can't reach B: what is asked, looked at, and tried.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use vnet_kernel::Realm;
use vnet_kernel::connect;
use vnet_kernel::echo::Outcome;
use vnet_kernel::observe::fates::{fates, learned_mtus};
use vnet_kernel::observe::survey::{listeners, survey};
use vnet_model::facts::{Fate, Lookup};
use vnet_model::nft::build::{ICMP, ICMPV6};
use vnet_model::problem::nearest;
use vnet_model::sighting::Heading;
use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Desired, Facts, IfName, Interface, Namespace, NodeName, NsName, Packet, State};
use vnet_why::{DroppedBy, Question, Routed, World, addressless, link_to};

pub use vnet_why::{Answer, By, CODES, Cause, Code, Hop, Mend, Verdict, explain, lint};

use crate::error::Error;
use crate::lab::Lab;

mod beside;
mod probe;

pub use probe::{Dropped, Grown, Loss, Spotted};
pub use vnet_why::seen::LastSeen;

use probe::Try;

/// What is asked about two ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// The source address; the kernel's choice where not given.
    pub src: Option<IpAddr>,
    /// The length of the IP packet in bytes, which must not be fragmented.
    pub size_bytes: Option<u32>,
    /// Whether IPv6 is asked about; else IPv4, where both have it.
    pub ipv6: bool,
    /// What is sent.
    pub packet: Packet,
    /// Namespaces to look at that are none of the lab's: others' pins, the host
    /// ([`NsName::host`]), those of processes ([`NsName::of_process`]). An end may then be called
    /// by the pin's name, `host`, or the process's number.
    pub beside: Vec<NsName>,
    /// Whether to ask the kernel too: by a packet that is looked for on its way.
    pub probe: bool,
    /// Whether what drops that packet is asked in namespaces of others too: by a table of our own that
    /// is there meanwhile. In the lab's it always is.
    pub trace_foreign: bool,
    /// What the lab's file says now: where that is what `up` was told, it is known what asked for things.
    pub read: Option<Box<Desired>>,
    /// How long that may take; 1 s where not given, 1.5 s for a port. An unanswered one is sent twice.
    pub timeout: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// What was asked.
    pub question: Question,
    /// What the model says.
    pub answer: Answer,
    /// What a packet met; `None` where none was sent.
    pub probed: Option<Probed>,
    /// Where that packet was seen.
    pub spotted: Option<Spotted>,
    /// About how many routing decisions the kernel was asked.
    pub compared: usize,
    /// Those that it makes otherwise than the model.
    pub otherwise: Vec<Otherwise>,
    /// Whether [`Ask::read`] is another thing than what `up` was told.
    pub is_read_otherwise: bool,
}

/// A routing decision that the kernel makes otherwise than the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otherwise {
    /// What was asked.
    pub lookup: Lookup,
    /// What the kernel says.
    pub kernel: Fate,
    /// What the model says: one of these.
    pub model: Vec<Fate>,
}

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lookup { ns, src, dst, .. } = &self.lookup;
        let from = src.map(|src| format!(" from {src}")).unwrap_or_default();
        let model: Vec<String> = self.model.iter().map(ToString::to_string).collect();
        let (kernel, model) = (&self.kernel, model.join(", or "));
        write!(f, "a packet{from} to {dst} in {ns}: the kernel {kernel}, the model {model}")
    }
}

/// What a packet met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// An echo request.
    Echo(Outcome),
    /// A connection, or a datagram.
    Port(connect::Outcome),
}

impl Probed {
    /// Tells whether an answer came; `None` where that can't be told.
    #[must_use]
    pub fn replied(&self) -> Option<bool> {
        match self {
            Self::Echo(outcome) => Some(matches!(outcome, Outcome::Reply { .. })),
            Self::Port(connect::Outcome::Reached { .. }) => Some(true),
            Self::Port(connect::Outcome::Untold | connect::Outcome::Failed { .. }) => None,
            Self::Port(_) => Some(false),
        }
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(outcome) => outcome.fmt(f),
            Self::Port(outcome) => outcome.fmt(f),
        }
    }
}

impl Told {
    /// What the model alone has to say.
    fn modelled(question: Question, answer: Answer) -> Self {
        let (probed, spotted, otherwise) = Default::default();
        Self { question, answer, probed, spotted, compared: 0, otherwise, is_read_otherwise: false }
    }

    /// Tells whether model and probe contradict each other.
    #[must_use]
    pub fn disagree(&self) -> bool {
        let Some(replied) = self.probed.and_then(|probed| probed.replied()) else { return false };
        match self.answer.verdict {
            Verdict::Reachable => !replied,
            // Somebody else with the same address may well answer.
            Verdict::Unreachable => replied && self.answer.elsewhere.is_none(),
            Verdict::Partly | Verdict::Unknown => false,
        }
    }
}

impl Lab {
    /// Finds out why one end does not reach another: each is a node, `node:interface`, an address (`fe80::1%eth0` where it
    /// is one of a link: that of this interface of who asks), or
    /// a namespace of [`Ask::beside`]. Where there are such, no lab need be up.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::NoNode`], [`Error::NoInterface`], [`Error::NoAddress`], and when the kernel can't be read.
    pub fn why(&self, from: &str, to: &str, ask: &Ask) -> Result<Told, Error> {
        let not_up = || Error::NotUp { lab: self.name().clone() };
        let mut recorded = self.record()?.map(|record| record.desired);
        let is_up = recorded.is_some();
        let mut is_read_otherwise = false;
        if let (Some(recorded), Some(read)) = (&mut recorded, &ask.read) {
            match recorded.read_again(Desired::clone(read)) {
                Some(read) => *recorded = read,
                None => is_read_otherwise = true,
            }
        }
        let nothing = || (!ask.beside.is_empty()).then(|| Desired::nothing(self.name().clone()));
        let desired = recorded.or_else(nothing).ok_or_else(not_up)?;
        let mut state = self.look(&desired)?.state;
        if !ask.beside.is_empty() {
            beside::add(self.realm()?, self.name(), &mut state, &ask.beside)?;
        }
        let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
        let mut facts = survey(self.realm()?, &names)?;
        if ask.packet != Packet::Icmp {
            listeners(self.realm()?, &names, &mut facts)?;
        }
        // They have addresses with a lifetime too.
        for (ns, facts) in &facts.namespaces {
            if let Some(found) = state.namespaces.get_mut(ns) {
                facts.add_addresses(found);
            }
        }
        let question = question(&desired, &state, from, to, ask)?;
        if question.size_bytes.is_some() {
            learn(self.realm()?, &question, &mut facts)?;
        }
        let intent = Some(&desired).filter(|_| is_up);
        let world = World { state: &state, facts: Some(&facts), intent, assumed: &[] };
        if question.dst.is_unspecified() {
            return Ok(Told { is_read_otherwise, ..unaddressed(&world, question) });
        }
        let mut answer = vnet_why::why(&world, &question);
        let (probed, spotted) = match ask.probe {
            true => {
                let (world, facts, question, answer) = (&world, &facts, &question, &answer);
                let (realm, timeout) = (self.realm()?, ask.timeout);
                let trace_foreign = ask.trace_foreign;
                Try { realm, world, facts, question, answer, timeout, trace_foreign }
                    .run()
                    .map(|(probed, spotted)| (Some(probed), Some(spotted)))?
            }
            false => (None, None),
        };
        settle(&world, &question, &mut answer, probed, spotted.as_ref());
        let (compared, otherwise) = compare(self.realm()?, &facts, &answer.routed)?;
        Ok(Told { question, answer, probed, spotted, compared, otherwise, is_read_otherwise })
    }
}

/// Says of an end that has no address that this is what is wrong.
fn unaddressed(world: &World<'_>, question: Question) -> Told {
    let of = question.to.as_ref().unwrap_or(&question.from);
    let answer = addressless(world, &question, of);
    Told::modelled(question, answer)
}

/// Notes what the sender has learned of the MTU of the way.
fn learn(realm: &Realm, question: &Question, facts: &mut Facts) -> Result<(), Error> {
    let Question { from, src, dst, .. } = question;
    let protocol = Some(if dst.is_ipv4() { ICMP } else { ICMPV6 });
    let (iif, vrf, mark, sport, dport) = Default::default();
    let (ns, src, dst) = (from.clone(), *src, *dst);
    let lookup = Lookup { ns, src, dst, iif, vrf, mark, protocol, sport, dport };
    let learned = learned_mtus(realm, facts, &[lookup])?.into_iter().next().flatten();
    if let (Some(mtu), Some(facts)) = (learned, facts.namespaces.get_mut(from)) {
        facts.learned_mtus.insert(dst, mtu);
    }
    Ok(())
}

/// Takes into an answer what came of the packet that was sent.
fn settle(
    world: &World<'_>,
    question: &Question,
    answer: &mut Answer,
    probed: Option<Probed>,
    spotted: Option<&Spotted>,
) {
    let Some(replied) = probed.and_then(|probed| probed.replied()) else { return };
    let Some(spotted) = spotted else { return };
    let dropped = spotted.dropped.first().map(|dropped| {
        let Dropped { ns, table, chain, rule } = dropped.clone();
        DroppedBy { ns, table, chain, rule }
    });
    let is_back = spotted.last.heading == Heading::Back;
    vnet_why::settle(world, question, answer, replied, dropped.as_ref(), is_back);
}

/// Asks the kernel about routing decisions of the model: tells about how many it could be asked, and
/// which it makes otherwise.
///
/// # Errors
/// When a namespace can't be entered.
pub fn compare(
    realm: &Realm,
    facts: &Facts,
    routed: &[Routed],
) -> Result<(usize, Vec<Otherwise>), Error> {
    let lookups: Vec<Lookup> = routed.iter().map(|routed| routed.lookup.clone()).collect();
    let answers = fates(realm, facts, &lookups)?;
    let compared = answers.iter().flatten().count();
    let differs = |(routed, fate): (&Routed, Option<Fate>)| {
        let kernel = fate.filter(|fate| !routed.fates.contains(fate))?;
        let model = routed.fates.iter().cloned().collect();
        Some(Otherwise { lookup: routed.lookup.clone(), kernel, model })
    };
    Ok((compared, routed.iter().zip(answers).filter_map(differs).collect()))
}

/// Finds out the same of a file, without any kernel: as if all were as it says.
///
/// # Errors
/// [`Error::NoNode`], [`Error::NoAddress`].
pub fn on_paper(desired: &Desired, from: &str, to: &str, ask: &Ask) -> Result<Told, Error> {
    let question = question(desired, &desired.state, from, to, ask)?;
    let world = World::on_paper(desired);
    if question.dst.is_unspecified() {
        return Ok(unaddressed(&world, question));
    }
    let answer = vnet_why::why(&world, &question);
    Ok(Told::modelled(question, answer))
}

/// An end of the question, as it was typed.
struct Place {
    ns: Option<NsName>,
    addr: Option<IpAddr>,
    /// The interface on whose link it is, where that was typed.
    link: Option<IfName>,
}

/// Makes a question of what was typed.
///
/// # Errors
/// [`Error::NoNode`] and [`Error::NoInterface`] for a name that is none, [`Error::NoAddress`] where an end has
/// none to ask.
pub fn question(
    desired: &Desired,
    state: &State,
    from: &str,
    to: &str,
    ask: &Ask,
) -> Result<Question, Error> {
    let seek = |text: &str, ipv6: bool| place(desired, state, &ask.beside, text, ipv6);
    let ipv6 = match typed(to).or(typed(from)).or(ask.src) {
        Some(addr) => addr.is_ipv6(),
        None => {
            // Where not both have IPv4, IPv6 is what was meant.
            let has = |text: &str| seek(text, false).map(|place| place.addr.is_some());
            ask.ipv6 || !(has(from)? && has(to)?) && seek(to, true)?.addr.is_some()
        }
    };
    let no_address = |end: &str| Error::NoAddress { end: end.to_owned(), ipv6 };
    let source = seek(from, ipv6)?;
    let goal = seek(to, ipv6)?;
    // Everybody has that one: it is who asks that is meant.
    let own = goal.addr.filter(IpAddr::is_loopback).and(source.ns.as_ref()).cloned();
    // What leaves its link from an address of that gets no answer: it says who asks, then.
    let of_link = |addr: Option<IpAddr>| addr.is_some_and(is_ipv6_link_local);
    let explicit = (from.contains(':') || typed(from).is_some())
        && (!of_link(source.addr) || of_link(goal.addr));
    // Where the file gives an address to several (in VRFs, or to be reached at the nearest), it is any of
    // them that is meant.
    let has = |addr: IpAddr| {
        let all = desired.state.namespaces.values();
        all.filter(|ns| addresses(ns, None).any(|own| own == addr)).count()
    };
    let is_shared = typed(to).is_some_and(|addr| has(addr) > 1);
    let ns = source.ns.ok_or_else(|| no_address(from))?;
    let link = goal.link.filter(|_| goal.addr.is_some_and(is_ipv6_link_local));
    if let Some(dev) = &link {
        known(desired, state, &ns, from, dev)?;
    }
    let is_whose = |to: &NsName| link.is_none() || *to != ns;
    let question = Question {
        src: ask.src.or(source.addr.filter(|_| explicit)),
        to: own.or(goal.ns.clone().filter(|to| !is_shared && is_whose(to))),
        size_bytes: ask.size_bytes,
        packet: ask.packet,
        link,
        ..Question::new(ns, goal.addr.unwrap_or_else(|| nowhere(ipv6)))
    };
    match (goal.addr, goal.ns) {
        (Some(_), _) => Ok(question),
        // It may be a neighbour all the same.
        (None, Some(goal)) if typed(to).is_none() => {
            let world = World { state, facts: None, intent: None, assumed: &[] };
            match link_to(&world, &question.from, &goal).filter(|_| !to.contains(':')) {
                Some((dev, dst)) => Ok(Question { dst, link: Some(dev), ..question }),
                None => Ok(question),
            }
        }
        (None, _) => Err(no_address(to)),
    }
}

/// The address of nobody.
fn nowhere(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// The address that was typed, if it is one; with the interface on whose link it is.
fn typed_on(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (addr, dev) = match text.split_once('%') {
        Some((addr, dev)) => (addr, Some(dev)),
        None => (text, None),
    };
    Some((IpAddr::from_str(addr).ok()?, dev))
}

fn typed(text: &str) -> Option<IpAddr> {
    typed_on(text).map(|(addr, _)| addr)
}

/// Sees that a namespace has an interface of that name, or was meant to.
fn known(
    desired: &Desired,
    state: &State,
    ns: &NsName,
    node: &str,
    dev: &IfName,
) -> Result<(), Error> {
    let both = [&desired.state, state].into_iter().filter_map(|state| state.namespaces.get(ns));
    let names = || both.clone().flat_map(|found| found.interfaces.keys());
    if names().any(|name| name == dev) {
        return Ok(());
    }
    let near = nearest(dev.as_str(), names().map(IfName::as_str));
    let near = near.and_then(|near| IfName::new(near).ok());
    Err(Error::NoInterface { node: node.to_owned(), interface: dev.to_string(), nearest: near })
}

/// Finds the namespace and address of an end. What was meant comes before what is there: that is
/// what others ask for.
fn place(
    desired: &Desired,
    state: &State,
    others: &[NsName],
    text: &str,
    ipv6: bool,
) -> Result<Place, Error> {
    if let Some((addr, dev)) = typed_on(text) {
        let owner = |state: &State| {
            let mut all = state.namespaces.iter();
            all.find(|(_, ns)| addresses(ns, None).any(|own| own == addr)).map(|(ns, _)| ns.clone())
        };
        let ns = owner(&desired.state).or_else(|| owner(state));
        let link = dev.map(IfName::new).transpose().map_err(|_| Error::NoInterface {
            node: addr.to_string(),
            interface: dev.unwrap_or_default().to_owned(),
            nearest: None,
        })?;
        return Ok(Place { ns, addr: Some(addr), link });
    }
    let (node, dev) = match text.split_once(':') {
        Some((node, dev)) => (node, Some(dev)),
        None => (text, None),
    };
    let names = || desired.nodes.iter();
    let named = names().find(|(name, _)| name.as_str() == node).map(|(_, ns)| ns);
    let Some(ns) = named.or_else(|| others.iter().find(|ns| beside::is_called(ns, node))) else {
        let near = nearest(node, names().map(|(name, _)| name.as_str()));
        let near = near.and_then(|near| NodeName::new(near).ok());
        return Err(Error::NoNode { lab: desired.lab.clone(), node: node.into(), nearest: near });
    };
    if let Some(dev) = dev {
        let unknown = || Error::NoInterface {
            node: node.to_owned(),
            interface: dev.to_owned(),
            nearest: None,
        };
        known(desired, state, ns, node, &IfName::new(dev).map_err(|_| unknown())?)?;
    }
    let first = |state: &State, is_usable: fn(IpAddr) -> bool| {
        let found = state.namespaces.get(ns)?;
        addresses(found, dev).find(|addr| addr.is_ipv6() == ipv6 && is_usable(*addr))
    };
    // Of IPv4 those of a link are routed as others are, where there is nothing better.
    let of_link = |addr: IpAddr| matches!(addr, IpAddr::V4(addr) if addr.is_link_local());
    let all = [usable, of_link].into_iter();
    let addr = all.filter_map(|is| first(&desired.state, is).or_else(|| first(state, is))).next();
    Ok(Place { ns: Some(ns.clone()), addr, link: None })
}

/// The addresses of a namespace, or of one interface: those of `lo` last.
fn addresses<'n>(ns: &'n Namespace, dev: Option<&str>) -> impl Iterator<Item = IpAddr> + 'n {
    let dev = dev.map(str::to_owned);
    let wanted = move |name: &str| dev.as_deref().is_none_or(|dev| dev == name);
    let mut found: Vec<(&str, &Interface)> = ns
        .interfaces
        .iter()
        .map(|(name, interface)| (name.as_str(), interface))
        .filter(|(name, _)| wanted(name))
        .collect();
    found.sort_by_key(|(name, _)| *name == vnet_model::apply::LOOPBACK);
    found.into_iter().flat_map(|(_, interface)| interface.addresses.iter().map(|a| a.net.addr()))
}

fn usable(addr: IpAddr) -> bool {
    let link_local = match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    };
    !addr.is_loopback() && !link_local
}
