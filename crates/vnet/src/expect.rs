//! Whether what must hold of a lab does: `vnet test`.
//!
//! As things are, each expectation is tried for real: by echo requests, connections, datagrams. Under
//! a condition it is worked out on paper from what was observed, or tried with the links really cut
//! for as long as it takes ([`Options::live`]). What fails says why.

mod probe;

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use vnet_kernel::observe::survey::{listeners, survey};
use vnet_model::expect::{Condition, Expectation, Packet};
use vnet_model::facts::{Listener, Transport};
use vnet_model::{Desired, Facts, NsName, Origin, State, Step};
use vnet_why::World;
use vnet_why::expect::{Case, Judged, cases, judge, no_link};

pub use vnet_why::expect::Miss;

use crate::error::Error;
use crate::lab::Lab;
use crate::nft_text;

/// How expectations are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether links are really cut where an expectation has a condition.
    pub live: bool,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { live: false, timeout: Duration::from_secs(1) }
    }
}

/// What came of an expectation in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It can't be told.
    Unknown,
}

/// What came of an expectation.
#[derive(Debug, Clone)]
pub struct Tested {
    /// It, as it was written.
    pub text: String,
    /// What asked for it.
    pub origin: Origin,
    /// What came of it in one word.
    pub verdict: Verdict,
    /// Whether it was tried for real, and not only on paper.
    pub live: bool,
    /// How many pairs were tried, each set of cut links counted.
    pub cases: usize,
    /// What is not as expected.
    pub misses: Vec<Miss>,
    /// Of what it can't be told.
    pub unknown: Vec<Miss>,
    /// Who of many is meant too and was not tried, each with the reason in one sentence.
    pub left_out: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of all expectations.
#[derive(Debug, Clone)]
pub struct Report {
    /// What differs from what `up` was told, as the steps that would mend it.
    pub drift: Vec<Step>,
    /// Each expectation, in written order.
    pub tested: Vec<Tested>,
}

impl Report {
    /// Says it all in one word: a difference is a failure too.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.tested.iter().any(|tested| tested.verdict == verdict);
        if !self.drift.is_empty() || any(Verdict::Fails) {
            Verdict::Fails
        } else if any(Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Holds
        }
    }
}

/// A lab as it was found, to look things up on paper.
pub(crate) struct Found<'f> {
    pub(crate) desired: &'f Desired,
    pub(crate) state: &'f State,
    pub(crate) facts: Option<&'f Facts>,
    /// What was cut because that was asked for.
    pub(crate) cut: &'f [Step],
}

impl Found<'_> {
    pub(crate) fn world(&self) -> World<'_> {
        let Self { desired, state, facts, cut } = self;
        World { state, facts: *facts, intent: Some(desired), assumed: cut }
    }
}

impl Lab {
    /// Compares the lab with what is wanted, and tries what must hold of it. `progress` is told how
    /// many expectations are done.
    ///
    /// # Errors
    /// [`Error::NotUp`]; when the kernel can't be read or a link can't be put back;
    /// [`Error::Interrupted`].
    pub fn test(
        &mut self,
        desired: &Desired,
        options: &Options,
        mut progress: impl FnMut(usize),
    ) -> Result<Report, Error> {
        if self.record()?.is_none() {
            return Err(Error::NotUp { lab: self.name().clone() });
        }
        // What drops by such a text is what the file says, and no table of somebody's.
        let tried = nft_text::try_out(self.realm()?, desired)?;
        let desired = tried.as_ref();
        let seen = self.plan(desired)?;
        let facts = self.survey_for(&seen.observed, desired)?;
        let found = Found { desired, state: &seen.observed, facts: Some(&facts), cut: &[] };
        let mut tested = Vec::new();
        for (number, expectation) in desired.expect.iter().enumerate() {
            self.check_cancel()?;
            progress(number);
            let begun = Instant::now();
            let live = options.live || expectation.when == Condition::Always;
            let judged = match (&expectation.when, live) {
                (Condition::Always, _) => self.probe_all(&found, expectation, &[], options)?,
                (_, false) => judge(&found.world(), desired, expectation),
                (_, true) => self.probe_cut(&found, expectation, options)?,
            };
            tested.push(told(expectation, judged, live, begun.elapsed()));
        }
        Ok(Report { drift: seen.plan.steps, tested })
    }

    pub(crate) fn survey(&self, state: &State) -> Result<Facts, Error> {
        let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
        Ok(survey(self.realm()?, &names)?)
    }

    /// Reads what there is beside the state, with who listens on the ports that are asked for: where nobody
    /// does, who tries will.
    fn survey_for(&self, state: &State, desired: &Desired) -> Result<Facts, Error> {
        let mut facts = self.survey(state)?;
        let asked = desired.expect.iter().filter_map(|it| it.packet.and_then(wildcard));
        let asked: Vec<Listener> = asked.collect();
        if asked.is_empty() {
            return Ok(facts);
        }
        let names: Vec<NsName> = state.namespaces.keys().cloned().collect();
        listeners(self.realm()?, &names, &mut facts)?;
        for all in facts.namespaces.values_mut().filter_map(|ns| ns.listeners.as_mut()) {
            for one in &asked {
                let is_taken = |it: &Listener| (it.transport, it.port) == (one.transport, one.port);
                if !all.iter().any(is_taken) {
                    all.push(one.clone());
                }
            }
        }
        Ok(facts)
    }

    /// Tries an expectation with the links of its condition cut, one set after the other.
    fn probe_cut(
        &mut self,
        found: &Found<'_>,
        expectation: &Expectation,
        options: &Options,
    ) -> Result<Judged, Error> {
        let desired = found.desired;
        let cables = desired.cables();
        let sets: Vec<Vec<_>> = match &expectation.when {
            Condition::EachLink => cables.iter().map(|link| vec![link]).collect(),
            Condition::Down(names) => {
                vec![names.iter().flat_map(|name| Desired::links_of(&cables, name)).collect()]
            }
            Condition::Always => vec![Vec::new()],
        };
        let mut all = Judged::default();
        if sets.is_empty() {
            let cases = cases(desired, expectation);
            all = Judged::begin(desired, expectation, &cases);
            all.unknown.extend(cases.first().map(no_link));
        }
        for links in sets {
            let names: Vec<String> = links.iter().map(|link| link.name.clone()).collect();
            let steps = desired.cut(&links);
            let judged = self.while_cut(&steps, |lab, state| {
                let facts = lab.survey_for(state, desired)?;
                let found = Found { desired, state, facts: Some(&facts), cut: &steps };
                lab.probe_all(&found, expectation, &names, options)
            })?;
            all.cases += judged.cases;
            all.misses.extend(judged.misses);
            // Who can't be tried can't without any link.
            let is_new = |miss: &Miss| {
                !all.unknown.iter().any(|it| (&it.what, &it.cut) == (&miss.what, &miss.cut))
            };
            let more: Vec<Miss> = judged.unknown.into_iter().filter(is_new).collect();
            all.unknown.extend(more);
            all.left_out = judged.left_out;
        }
        Ok(all)
    }

    /// Tries all pairs of an expectation, as things are.
    fn probe_all(
        &self,
        found: &Found<'_>,
        expectation: &Expectation,
        cut: &[String],
        options: &Options,
    ) -> Result<Judged, Error> {
        let cases: Vec<Case> = cases(found.desired, expectation);
        let answers = probe::ask(self, found, expectation, &cases, options)?;
        Ok(probe::judge(found, expectation, &cases, &answers, cut))
    }
}

/// Works out on paper whether what must hold of a file does, without any kernel.
#[must_use]
pub fn on_paper(desired: &Desired) -> Report {
    let found = Found { desired, state: &desired.state, facts: None, cut: &[] };
    let judged = |expectation: &Expectation| {
        let begun = Instant::now();
        let judged = judge(&found.world(), desired, expectation);
        told(expectation, judged, false, begun.elapsed())
    };
    Report { drift: Vec::new(), tested: desired.expect.iter().map(judged).collect() }
}

fn told(expectation: &Expectation, judged: Judged, live: bool, elapsed: Duration) -> Tested {
    let Judged { cases, misses, unknown, left_out } = judged;
    let verdict = match (misses.is_empty(), unknown.is_empty() && cases > 0) {
        (false, _) => Verdict::Fails,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Holds,
    };
    let (text, origin) = (expectation.text.clone(), expectation.origin);
    Tested { text, origin, verdict, live, cases, misses, unknown, left_out, elapsed }
}

/// Returns who listens at every address for such a packet.
fn wildcard(packet: Packet) -> Option<Listener> {
    let (transport, port) = match packet {
        Packet::Icmp => return None,
        Packet::Tcp(port) => (Transport::Tcp, port),
        Packet::Udp(port) => (Transport::Udp, port),
    };
    let addr = Ipv6Addr::UNSPECIFIED.into();
    Some(Listener { transport, addr, port, ipv6_only: false, dev: None })
}
