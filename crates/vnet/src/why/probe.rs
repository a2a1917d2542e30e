//! The truth: a recognisable packet, and where it was seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use vnet_kernel::connect::{self, Attempt};
use vnet_kernel::counters::{self, Counters};
use vnet_kernel::drops::{Heard, Listener};
use vnet_kernel::echo::{self, Options, Probe};
use vnet_kernel::lookout::{Lookout, Seen, Sought};
use vnet_kernel::nft::trace::{Traced, Tracer};
use vnet_kernel::{Error as KernelError, Realm};
use vnet_model::sighting::Sighting;
use vnet_model::{Facts, NsName, Owner, Packet};
use vnet_why::seen::{self, LastSeen};
use vnet_why::{Answer, Question, World};

use super::Probed;
use crate::error::Error;

pub use vnet_kernel::drops::Loss;
pub use vnet_kernel::nft::trace::Dropped;

/// How long a connection may take: the kernel sends a SYN again after a second.
const CONNECT_WITHIN: Duration = Duration::from_millis(1500);

/// What comes before the payload of an echo request, in bytes.
const HEADERS_BYTES: usize = 28;
const HEADERS_IPV6_BYTES: usize = 48;

/// Where a packet was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spotted {
    /// Where it was last.
    pub last: LastSeen,
    /// Whether that is where it stops on paper; `None` where it arrived, or that can't be compared.
    pub agrees: Option<bool>,
    /// All places, in the order of time.
    pub sightings: Vec<Sighting>,
    /// The namespaces in which nobody could look, or in which packets were lost to whoever looked.
    pub blind: Vec<NsName>,
    /// What rules of nf_tables dropped it, as the kernel says.
    pub dropped: Vec<Dropped>,
    /// The namespaces with tables in which that was not asked: others' ([`Ask::trace_foreign`]), and
    /// those where the kernel can't.
    ///
    /// [`Ask::trace_foreign`]: super::Ask::trace_foreign
    pub untraced: Vec<NsName>,
    /// With which reasons the kernel dropped packets while it was sent, if no answer came. It is
    /// likely to be among them, but the kernel does not say that.
    pub reasons: Vec<Loss>,
    /// Why those could not be heard, or not all of them: the kernel tells them to the machine's root only.
    pub unheard: Option<String>,
    /// The counters of losses that grew meanwhile where it was last, if no answer came. That is no
    /// cause: whatever else goes on there moves them too.
    pub grown: Vec<Grown>,
}

/// A counter that grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// The namespace.
    pub ns: NsName,
    /// Its name: `eth0 rx_dropped`, `TcpExt IPReversePathFilter`.
    pub counter: String,
    /// By how much.
    pub by: u64,
}

/// A packet that is to be sent.
pub(super) struct Try<'a> {
    pub(super) realm: &'a Realm,
    pub(super) world: &'a World<'a>,
    pub(super) facts: &'a Facts,
    pub(super) question: &'a Question,
    pub(super) answer: &'a Answer,
    pub(super) timeout: Option<Duration>,
    pub(super) trace_foreign: bool,
}

impl Try<'_> {
    /// Sends it, and looks where it goes.
    pub(super) fn run(&self) -> Result<(Probed, Spotted), Error> {
        let mut cookie = [0; 8];
        let drawn = getrandom(&mut cookie, GetRandomFlags::empty());
        drawn.map_err(KernelError::system("get", "random numbers"))?;
        let sought = match self.question.packet {
            Packet::Icmp => Sought::Echo(cookie),
            Packet::Udp(port) => Sought::Datagram(cookie, port),
            Packet::Tcp(_) => Sought::Connection,
        };
        let is_known = |ns: &&NsName| self.facts.namespaces.contains_key(*ns);
        let from = &self.question.from;
        let mut watched: Vec<NsName> = vec![from.clone()];
        let others = self.answer.course.namespaces.iter().filter(is_known);
        watched.extend(others.filter(|ns| *ns != from).cloned());
        let before = counters::read(self.realm, &watched).unwrap_or_default();
        let lookout = Lookout::open(self.realm, &watched, sought)?;
        let (traced, mut untraced) = self.traced(&watched);
        // It is this thread that sends.
        let listener = Listener::start();
        let (probed, port, tracer) = match self.question.packet {
            Packet::Icmp => {
                let tracer = Tracer::start(self.realm, &traced, Traced::Cookie(cookie));
                (self.echo(cookie)?, None, Some(tracer))
            }
            packet => self.connect(packet, cookie, &traced)?,
        };
        let (reasons, unheard) = told(listener);
        let (dropped, missed) = tracer.map(Tracer::finish).unwrap_or_default();
        untraced.extend(missed);
        let indexes: BTreeMap<_, _> =
            self.facts.namespaces.iter().map(|(ns, facts)| (ns.clone(), &facts.indexes)).collect();
        let Seen { sightings, blind } = lookout.close(&indexes, (from, port));
        let last = seen::last(self.world, self.question, &sightings);
        let failed = probed.replied() == Some(false) && blind.is_empty();
        let agrees = failed.then(|| seen::agrees(self.world, self.answer, &last)).flatten();
        let (reasons, grown) = match probed.replied() {
            Some(true) => (Vec::new(), Vec::new()),
            _ => (reasons, self.grown(&before, &last)),
        };
        let spotted =
            Spotted { last, agrees, sightings, blind, dropped, untraced, reasons, unheard, grown };
        Ok((probed, spotted))
    }

    /// Reads counters again where a packet was last, on a wire or by a namespace.
    fn grown(&self, before: &BTreeMap<NsName, Counters>, last: &LastSeen) -> Vec<Grown> {
        let mut places = vec![last.ns.clone(), last.holder.clone()];
        places.dedup();
        let after = counters::read(self.realm, &places).unwrap_or_default();
        let there = places.into_iter().filter_map(|ns| {
            let grown = counters::grown(before.get(&ns)?, after.get(&ns)?);
            Some((ns, grown))
        });
        let each = |(ns, grown): (NsName, Vec<(String, u64)>)| {
            let ns = move || ns.clone();
            grown.into_iter().map(move |(counter, by)| Grown { ns: ns(), counter, by })
        };
        there.flat_map(each).collect()
    }

    /// The namespaces that have tables: in which it is traced, and in which it may not be.
    fn traced(&self, watched: &[NsName]) -> (Vec<NsName>, Vec<NsName>) {
        let has_tables = |ns: &&NsName| {
            self.facts.namespaces.get(*ns).is_some_and(|facts| !facts.tables.is_empty())
        };
        let is_own = |ns: &NsName| {
            let found = self.world.state.namespaces.get(ns);
            !ns.is_host() && found.is_some_and(|found| found.owner != Owner::Foreign)
        };
        let with_tables = watched.iter().filter(has_tables).cloned();
        with_tables.partition(|ns| self.trace_foreign || is_own(ns))
    }

    fn echo(&self, cookie: [u8; 8]) -> Result<Probed, Error> {
        let Question { from, src, dst, link, size_bytes, .. } = self.question;
        let watched = vec![from.clone()];
        let mut options = Options { watched, cookie: Some(cookie), ..Options::default() };
        options.timeout = self.timeout.unwrap_or(options.timeout);
        if let Some(size) = size_bytes {
            let headers = if dst.is_ipv4() { HEADERS_BYTES } else { HEADERS_IPV6_BYTES };
            options.payload_bytes = (*size as usize).saturating_sub(headers);
            options.whole = true;
        }
        let dst_dev = link.clone();
        let probe = Probe { src: *src, dst_dev, ..Probe::new(from.clone(), *dst) };
        let outcomes = echo::echo(self.realm, &[probe], &options, |_, _| {})?;
        Ok(Probed::Echo(outcomes.first().copied().unwrap_or(echo::Outcome::NoAnswer)))
    }

    fn connect(
        &self,
        packet: Packet,
        cookie: [u8; 8],
        traced: &[NsName],
    ) -> Result<(Probed, Option<u16>, Option<Tracer>), Error> {
        let Question { from, src, dst, link, .. } = self.question;
        let indexes = self.facts.namespaces.get(from).map(|facts| &facts.indexes);
        let scope = link.as_ref().and_then(|dev| indexes?.get(dev).copied()).unwrap_or_default();
        let (from, src, dst) = (from.clone(), *src, *dst);
        let attempt = Attempt { from, src, dst, scope, packet, at: None };
        let timeout = self.timeout.unwrap_or(CONNECT_WITHIN);
        let begun = RefCell::new(None);
        let mut begins = |port| {
            let tracer = Tracer::start(self.realm, traced, Traced::Port(port));
            begun.replace(Some((port, tracer)));
        };
        let outcome = connect::connect_sought(self.realm, &attempt, cookie, timeout, &mut begins)?;
        let (port, tracer) = begun.into_inner().unzip();
        Ok((Probed::Port(outcome), port, tracer))
    }
}

/// Tells what was heard, and why not all was.
fn told(listener: Result<Listener, KernelError>) -> (Vec<Loss>, Option<String>) {
    match listener.map(Listener::finish) {
        Ok(Heard { losses, overrun }) => {
            (losses, overrun.then(|| "there were too many at a time".to_owned()))
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}
