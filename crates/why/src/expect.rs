//! Whether what must hold of a network does, on paper.
//!
//! An expectation is a set of *cases*: one for each pair of a node that asks and an address that is
//! asked. Where links are to be cut, a case is tried again only for the links that its packets pass,
//! or whose interfaces hold its addresses: what else is down decides nothing on its way.

mod unasked;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;
use vnet_model::expect::{Claim, Condition, Expectation, Member, first_address};
use vnet_model::resolve::DesiredLink;
use vnet_model::{Desired, End, NodeName, NsName, Packet, Step};

use crate::pairs::{Broken, all_pairs, each_link, ends_at_bridge};
use crate::scene::Scene;
use crate::travel::{Trip, travel, verdict};
use crate::{Answer, Question, Verdict, World, fib, why};

pub use unasked::{Unasked, unasked};

/// How many failures of one expectation are explained.
const EXPLAINED_MAX: usize = 8;

/// With more cases than this, all pairs are tried at once where that tells all.
const AT_ONCE_MIN: usize = 200;

/// With more links to bridges than this, each is cut only for the cases that pass it: all pairs have to be
/// tried anew for each.
const BRIDGED_MAX: usize = 32;

/// An address that is asked, with whose it is.
type Asked = (NsName, IpAddr);

/// One pair of an expectation.
#[derive(Debug, Clone)]
pub struct Case {
    /// Who asks.
    pub from: Member,
    /// Who is asked.
    pub to: Member,
    /// The question.
    pub question: Question,
}

/// A case that is not as expected, or of which it can't be told.
#[derive(Debug, Clone, Serialize)]
pub struct Miss {
    /// Who asks.
    pub from: String,
    /// Who is asked.
    pub to: String,
    /// The links that are cut.
    pub cut: Vec<String>,
    /// What is not as expected, in one sentence.
    pub what: String,
    /// What is at fault, or by which way it is reached though it must not; nothing where that is not
    /// looked for.
    pub answer: Option<Answer>,
}

/// What was found of an expectation.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Judged {
    /// How many cases there were, each link that was cut counted.
    pub cases: usize,
    /// What is not as expected; of many the first few are explained.
    pub misses: Vec<Miss>,
    /// Of what it can't be told.
    pub unknown: Vec<Miss>,
    /// Who of many is meant too and was not tried, each with the reason in one sentence.
    pub left_out: Vec<String>,
}

impl Judged {
    /// Begins with what can't be tried.
    #[must_use]
    pub fn begin(desired: &Desired, expectation: &Expectation, cases: &[Case]) -> Self {
        let Unasked { unknown, left_out } = unasked(desired, expectation, cases);
        Self { unknown, left_out, ..Self::default() }
    }
}

/// Lists the cases of an expectation: for each family of addresses that both sides have.
///
/// Nobody is asked by itself, except where only one is meant by both.
#[must_use]
pub fn cases(desired: &Desired, expectation: &Expectation) -> Vec<Case> {
    let (who, whom) = match expectation.claim {
        Claim::Sees(_) => (&expectation.whom, &expectation.who),
        Claim::Reaches | Claim::CannotReach => (&expectation.who, &expectation.whom),
    };
    let (who, whom) = (who.members(desired), whom.members(desired));
    let itself = who.len() == 1 && whom.len() == 1;
    let mut found = Vec::new();
    for from in &who {
        for to in whom.iter().filter(|to| itself || node_of(to) != node_of(from)) {
            for ipv6 in [false, true] {
                if expectation.ipv6.is_none_or(|only| only == ipv6) {
                    found.extend(case(desired, from, to, ipv6, expectation.packet));
                }
            }
        }
    }
    found
}

fn node_of(member: &Member) -> Option<&NodeName> {
    match member {
        Member::Node(node, _) => Some(node),
        Member::Address(_) => None,
    }
}

fn case(
    desired: &Desired,
    from: &Member,
    to: &Member,
    ipv6: bool,
    packet: Option<Packet>,
) -> Option<Case> {
    let (ns, own) = place(desired, from, ipv6)?;
    let (goal, dst) = place(desired, to, ipv6)?;
    let explicit = matches!(from, Member::Node(_, Some(_)));
    let question = Question {
        src: explicit.then_some(own),
        to: goal,
        packet: packet.unwrap_or_default(),
        ..Question::new(ns?, dst)
    };
    Some(Case { from: from.clone(), to: to.clone(), question })
}

/// Finds the namespace and the address of one side.
fn place(desired: &Desired, member: &Member, ipv6: bool) -> Option<(Option<NsName>, IpAddr)> {
    let (node, dev) = match member {
        Member::Address(addr) => {
            return (addr.is_ipv6() == ipv6).then_some((None, *addr));
        }
        Member::Node(node, dev) => (node, dev),
    };
    let ns = desired.nodes.get(node)?;
    let namespace = desired.state.namespaces.get(ns)?;
    let addr = match dev {
        None => first_address(namespace, ipv6)?,
        Some(dev) => {
            let all = namespace.interfaces.get(dev)?.addresses.iter();
            let usable = |address: &&vnet_model::Address| !address.is_ipv6_link_local();
            all.filter(usable).map(|a| a.net.addr()).find(|addr| addr.is_ipv6() == ipv6)?
        }
    };
    Some((Some(ns.clone()), addr))
}

/// Judges an expectation in a world, with all that its condition cuts.
#[must_use]
pub fn judge(world: &World<'_>, desired: &Desired, expectation: &Expectation) -> Judged {
    let cases = cases(desired, expectation);
    let mut judge = Judge {
        world,
        desired,
        expectation,
        judged: Judged::begin(desired, expectation, &cases),
        cables: desired.cables(),
    };
    match &expectation.when {
        Condition::Always => judge.all(&cases, &[]),
        Condition::Down(names) => {
            let links = names.iter().flat_map(|name| Desired::links_of(&judge.cables, name));
            let mut links: Vec<_> = links.map(|link| link.name.clone()).collect();
            links.dedup();
            judge.all(&cases, &links);
        }
        Condition::EachLink => judge.each_link(&cases),
    }
    judge.judged
}

struct Judge<'w, 'a> {
    world: &'w World<'a>,
    desired: &'w Desired,
    expectation: &'w Expectation,
    judged: Judged,
    /// What can be cut.
    cables: Vec<DesiredLink>,
}

impl Judge<'_, '_> {
    fn steps(&self, cut: &[String]) -> Vec<Step> {
        let links: Vec<_> = self.cables.iter().filter(|l| cut.contains(&l.name)).collect();
        let mut steps = self.world.assumed.to_vec();
        steps.extend(self.desired.cut(&links));
        steps
    }

    fn all(&mut self, cases: &[Case], cut: &[String]) {
        let steps = self.steps(cut);
        let world = World { assumed: &steps, ..*self.world };
        let scene = Scene::new(&world);
        let broken = self.ends(cases).and_then(|(from, to)| {
            let broken = all_pairs(&world, &from, &to)?;
            Some(of_pairs(cases, &from, &to, &broken))
        });
        if let Some(broken) = broken {
            self.judged.cases += cases.len() - broken.len();
            return self.those(&world, &scene, &broken, cut);
        }
        for case in cases {
            let trips = travel(&scene, &case.question);
            self.one(&world, case, cut, &trips);
        }
    }

    /// Judges cases that are known to fail; only the first few are looked at closely.
    fn those(&mut self, world: &World<'_>, scene: &Scene<'_>, broken: &[&Case], cut: &[String]) {
        for case in broken {
            if self.judged.misses.len() < EXPLAINED_MAX {
                self.one(world, case, cut, &travel(scene, &case.question));
            } else {
                let (from, to) = (case.from.to_string(), case.to.to_string());
                let what = format!("{from} does not reach {to}");
                self.judged.cases += 1;
                self.judged.misses.push(Miss { from, to, cut: cut.to_vec(), what, answer: None });
            }
        }
    }

    /// The ends of so many cases that they are better tried at once, where that tells all.
    fn ends(&self, cases: &[Case]) -> Option<(Vec<NsName>, Vec<Asked>)> {
        let Expectation { claim, via, within, .. } = self.expectation;
        let many = cases.len() > AT_ONCE_MIN && *claim == Claim::Reaches;
        if !many || !via.is_empty() || within.is_some() {
            return None;
        }
        let (mut from, mut to) = (BTreeSet::new(), BTreeSet::new());
        for Case { question, .. } in cases {
            if question.src.is_some() {
                return None;
            }
            from.insert(question.from.clone());
            to.insert((question.to.clone()?, question.dst));
        }
        Some((from.into_iter().collect(), to.into_iter().collect()))
    }

    /// Cuts one link after the other, for all cases at once; tells whether that could be done.
    fn each_link_at_once(&mut self, cases: &[Case]) -> bool {
        let Some((from, to)) = self.ends(cases) else { return false };
        let (bridged, plain): (Vec<_>, Vec<_>) = self
            .cables
            .iter()
            .cloned()
            .partition(|it| ends_at_bridge(self.world, self.desired, it));
        if bridged.len() > BRIDGED_MAX {
            return false;
        }
        let links = each_link(self.world, self.desired, &plain, &from, &to);
        let Some(mut links) = links else { return false };
        if !bridged.is_empty() {
            let Some(before) = all_pairs(self.world, &from, &to) else { return false };
            for link in bridged {
                let steps = self.steps(std::slice::from_ref(&link.name));
                let world = World { assumed: &steps, ..*self.world };
                let Some(now) = all_pairs(&world, &from, &to) else { return false };
                links.push((link.name, now.difference(&before).copied().collect()));
            }
        }
        self.all(cases, &[]);
        for (name, broken) in links {
            let broken = of_pairs(cases, &from, &to, &broken);
            self.judged.cases += cases.len() - broken.len();
            let cut = [name];
            let steps = self.steps(&cut);
            let world = World { assumed: &steps, ..*self.world };
            let scene = Scene::new(&world);
            self.those(&world, &scene, &broken, &cut);
        }
        true
    }

    /// Cuts one link after the other, for the cases that it matters to.
    fn each_link(&mut self, cases: &[Case]) {
        if self.cables.is_empty()
            && let Some(case) = cases.first()
        {
            self.judged.unknown.push(no_link(case));
        }
        if self.each_link_at_once(cases) {
            return;
        }
        let by_end: BTreeMap<End, usize> = (0..self.cables.len())
            .flat_map(|at| {
                let ends = self.desired.ends_of(&self.cables[at]);
                ends.into_iter().map(move |end| (end, at))
            })
            .collect();
        let scene = Scene::new(self.world);
        let mut affected: BTreeMap<usize, Vec<&Case>> = BTreeMap::new();
        for case in cases {
            let trips = travel(&scene, &case.question);
            // What fails as things are is no matter of a link.
            if self.one(self.world, case, &[], &trips) {
                let ends = touched(&scene, case, &trips);
                let links: BTreeSet<usize> =
                    ends.iter().filter_map(|end| by_end.get(end).copied()).collect();
                links.into_iter().for_each(|link| affected.entry(link).or_default().push(case));
            }
        }
        for (link, cases) in affected {
            let name = self.cables[link].name.clone();
            let cases: Vec<Case> = cases.into_iter().cloned().collect();
            self.all(&cases, &[name]);
        }
    }

    /// Judges one case; tells whether it is as expected.
    fn one(&mut self, world: &World<'_>, case: &Case, cut: &[String], trips: &[Trip]) -> bool {
        self.judged.cases += 1;
        let verdict = verdict(trips);
        let unknown = trips.iter().any(Trip::is_unsure);
        let (from, to) = (case.from.to_string(), case.to.to_string());
        let missed = |what: String| Miss {
            from: from.clone(),
            to: to.clone(),
            cut: cut.to_vec(),
            what,
            answer: None,
        };
        let reached = verdict == Verdict::Reachable;
        if verdict == Verdict::Unknown || (reached && unknown) {
            let mut miss = missed(format!("can't tell whether {from} reaches {to}"));
            miss.answer =
                (self.judged.unknown.len() < EXPLAINED_MAX).then(|| why(world, &case.question));
            self.judged.unknown.push(miss);
            return false;
        }
        let miss = match self.expectation.claim {
            Claim::Reaches if reached => {
                return match self.missed_via(trips) {
                    None if self.expectation.within.is_some() => {
                        let what = "how long an answer takes is not worked out on paper";
                        if !self.judged.unknown.iter().any(|miss| miss.what == what) {
                            self.judged.unknown.push(missed(what.to_owned()));
                        }
                        true
                    }
                    None => true,
                    Some(node) => {
                        let what = format!("{from} reaches {to}, but not via {node}");
                        self.judged.misses.push(missed(what));
                        false
                    }
                };
            }
            Claim::Reaches => {
                let mut miss = missed(format!("{from} does not reach {to}"));
                if self.judged.misses.len() < EXPLAINED_MAX {
                    let answer = why(world, &case.question);
                    miss.what = answer.sentence(&from, &to);
                    miss.answer = Some(answer);
                }
                miss
            }
            Claim::CannotReach if verdict == Verdict::Unreachable => return true,
            Claim::CannotReach => {
                let sometimes = if reached { "" } else { " sometimes" };
                let mut miss = missed(format!("{from} reaches {to}{sometimes}"));
                // By which way.
                let explain = self.judged.misses.len() < EXPLAINED_MAX;
                miss.answer = explain.then(|| why(world, &case.question));
                miss
            }
            Claim::Sees(addr) => {
                let seen = trips.iter().find_map(|trip| trip.forth.src);
                match (reached, seen) {
                    (true, Some(seen)) if seen == addr => return true,
                    (true, Some(seen)) => missed(format!("{to} sees {from} as {seen}")),
                    _ => missed(why(world, &case.question).sentence(&from, &to)),
                }
            }
        };
        self.judged.misses.push(miss);
        false
    }

    /// Finds the first node that some way there does not pass in its turn.
    fn missed_via(&self, trips: &[Trip]) -> Option<&NodeName> {
        trips.iter().find_map(|trip| {
            let mut passed = trip.forth.decisions.iter().map(|decided| &decided.ns);
            self.expectation.via.iter().find(|node| {
                let wanted = self.desired.nodes.get(*node);
                !passed.any(|ns| Some(ns) == wanted)
            })
        })
    }
}

/// Says of an expectation about each link that there is none.
#[must_use]
pub fn no_link(case: &Case) -> Miss {
    let (from, to) = (case.from.to_string(), case.to.to_string());
    let what = "the lab has no link that could fail".to_owned();
    Miss { from, to, cut: Vec::new(), what, answer: None }
}

/// Finds the cases of pairs.
fn of_pairs<'c>(
    cases: &'c [Case],
    from: &[NsName],
    to: &[Asked],
    broken: &Broken,
) -> Vec<&'c Case> {
    let is_broken = |case: &&Case| {
        let Question { from: asker, to: goal, dst, .. } = &case.question;
        let asker = from.binary_search(asker).ok();
        let goal = goal.clone().and_then(|goal| to.binary_search(&(goal, *dst)).ok());
        asker.zip(goal).is_some_and(|pair| broken.contains(&pair))
    };
    match broken.is_empty() {
        true => Vec::new(),
        false => cases.iter().filter(is_broken).collect(),
    }
}

/// Lists the interfaces that decide about a case.
fn touched(scene: &Scene<'_>, case: &Case, trips: &[Trip]) -> BTreeSet<End> {
    let mut ends = BTreeSet::new();
    for trip in trips {
        let walked = [Some(&trip.forth), trip.back.as_ref()];
        ends.extend(walked.into_iter().flatten().flat_map(|walked| walked.touched.iter().cloned()));
        let holder = |ns: &NsName, addr: IpAddr| {
            let (name, _) = fib::holder(scene.ns(ns)?, addr)?;
            Some(End { ns: ns.clone(), name: name.clone() })
        };
        ends.extend(trip.forth.left_with.and_then(|src| holder(&case.question.from, src)));
        ends.extend(holder(&trip.forth.at, trip.forth.dst));
    }
    ends
}
