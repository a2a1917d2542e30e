//! What each single cut link breaks.
//!
//! Of the two namespaces at a link's ends, the prefixes are found in which packets may fare worse
//! without it; of the addresses in those it is tried who lost the way. Whose way led by somebody who
//! lost it has lost it too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use vnet_model::resolve::DesiredLink;
use vnet_model::{
    Change, Desired, End, IfName, Interface, Kind, LinkSetting, Namespace, NsName, State, Step,
};

use super::hash::Quick;
use super::table::Table;
use super::{Broken, Decided, Leg, Net, Node, Reach, Resolved};
use crate::{World, fib};

/// How many threads cut links: each makes all tables for itself.
const THREADS_MAX: usize = 4;

/// With fewer links than this another thread is not worth while.
const LINKS_PER_THREAD_MIN: usize = 100;

/// Finds for each of some links the pairs that are well as things are, and no more when it is cut.
///
/// `None` as for [`all_pairs`](super::all_pairs), and where a link ends at a segment or a bridge.
#[must_use]
pub fn each_link(
    world: &World<'_>,
    desired: &Desired,
    links: &[DesiredLink],
    from: &[NsName],
    to: &[(NsName, IpAddr)],
) -> Option<Vec<(String, Broken)>> {
    if links.iter().any(|link| ends_at_bridge(world, desired, link)) {
        return None;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let share = links.len().div_ceil(threads).max(LINKS_PER_THREAD_MIN);
    std::thread::scope(|scope| {
        let mut parts = links.chunks(share);
        let first = parts.next().unwrap_or_default();
        let begin = |links| scope.spawn(move || these_links(world, desired, links, from, to));
        let others: Vec<_> = parts.map(begin).collect();
        let mut found = these_links(world, desired, first, from, to);
        for other in others {
            let more = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            found = found.zip(more).map(|(mut found, more)| {
                found.extend(more);
                found
            });
        }
        found
    })
}

fn these_links(
    world: &World<'_>,
    desired: &Desired,
    links: &[DesiredLink],
    from: &[NsName],
    to: &[(NsName, IpAddr)],
) -> Option<Vec<(String, Broken)>> {
    let mut net = Net::of(world, from, to)?;
    let before = net.broken();
    let mut places = Places::of(&net);
    let broken_by = |link: &DesiredLink| {
        net.cut(&desired.cut(&[link]), &mut places)?;
        let broken = net.newly_broken(&places);
        net.mend();
        let is_new = |pair: &(usize, usize)| !before.contains(pair);
        Some((link.name.clone(), broken.into_iter().filter(is_new).collect()))
    };
    links.iter().map(broken_by).collect()
}

/// Tells whether a link ends at a segment or a bridge.
pub(crate) fn ends_at_bridge(world: &World<'_>, desired: &Desired, link: &DesiredLink) -> bool {
    let is_port = |End { ns, name }: &End| {
        let found = world.state.namespaces.get(ns).and_then(|found| found.interfaces.get(name));
        found.is_some_and(|interface| interface.master.is_some())
    };
    link.ends.iter().any(|(node, _)| desired.segments.contains_key(node))
        || desired.ends_of(link).iter().any(is_port)
}

/// What is cut.
#[derive(Default)]
pub(super) struct Cut {
    /// The namespaces that are not as they were, and what they decided.
    was: Vec<(usize, Node)>,
    /// These namespaces now, but for their routes.
    now: State,
    /// The addresses that nobody has any more.
    gone: Vec<IpAddr>,
    /// How many addresses there were to be asked about.
    goals: usize,
}

impl Cut {
    pub(super) fn is_at(&self, at: usize) -> bool {
        self.was.iter().any(|(end, _)| *end == at)
    }
}

/// A namespace while something is cut.
struct Now<'n> {
    /// What it is like, but for its routes.
    found: &'n Namespace,
    /// Its interfaces that went down.
    down: &'n [IfName],
    gone: &'n [IpAddr],
}

/// The interface that a step takes down.
fn goes_down(step: &Step) -> Option<&IfName> {
    match &step.change {
        Change::SetLink { name, set: LinkSetting::Up(false) } => Some(name),
        _ => None,
    }
}

/// Where to find things by their numbers.
struct Places {
    /// The places in `from` of each namespace.
    from: HashMap<usize, Vec<usize>, Quick>,
    /// The places in `to` of each namespace, and of each address.
    to: HashMap<usize, Vec<usize>, Quick>,
    asked: HashMap<usize, Vec<usize>, Quick>,
    /// The addresses in each prefix.
    inside: Vec<Vec<usize>>,
    /// The tables of namespaces whose routes were observed, with those that are derived instead:
    /// so they are once something is cut.
    derived: HashMap<usize, Table, Quick>,
}

impl Places {
    fn of(net: &Net<'_>) -> Self {
        let (mut from, mut to, mut asked) = (group(), group(), group());
        for (place, at) in net.from.iter().enumerate() {
            from.entry(*at).or_default().push(place);
        }
        for (place, (at, goal)) in net.to.iter().enumerate() {
            to.entry(*at).or_default().push(place);
            asked.entry(*goal).or_default().push(place);
        }
        let mut inside = vec![Vec::new(); net.prefixes.count()];
        for (number, goal) in net.goals.iter().enumerate() {
            goal.holding.iter().flatten().for_each(|it| inside[*it as usize].push(number));
        }
        Self { from, to, asked, inside, derived: HashMap::default() }
    }
}

fn group() -> HashMap<usize, Vec<usize>, Quick> {
    HashMap::default()
}

fn places_in(places: &HashMap<usize, Vec<usize>, Quick>, of: usize) -> &[usize] {
    places.get(&of).map_or(&[], Vec::as_slice)
}

/// Those who have no way to an address.
struct Lost {
    is: Vec<bool>,
    all: Vec<usize>,
}

impl Lost {
    fn none_of(count: usize) -> Self {
        Self { is: vec![false; count], all: Vec::new() }
    }

    fn add(&mut self, at: usize) {
        if !std::mem::replace(&mut self.is[at], true) {
            self.all.push(at);
        }
    }
}

impl Net<'_> {
    /// Has the namespaces at the ends of a link decide as without it; `None` where only walks can tell
    /// how.
    fn cut(&mut self, steps: &[Step], places: &mut Places) -> Option<()> {
        let mut now = State::default();
        for step in steps {
            let found = self.scene.ns(&step.ns)?;
            now.namespaces.get_or_insert_with(step.ns.clone(), || without_routes(found));
        }
        for step in steps {
            // What can't be done on paper is so already.
            let _ = step.apply(&mut now);
        }
        let mut gone = Vec::new();
        for step in steps {
            let name = goes_down(step)?;
            let (Some(was), Some(now)) =
                (self.scene.interface(&step.ns, name), now.namespaces.get(&step.ns))
            else {
                continue;
            };
            let own = &self.nodes[self.number(&step.ns)?].own;
            let addrs = was.addresses.iter().map(|address| address.net.addr());
            gone.extend(addrs.filter(|addr| own.contains(addr) && !fib::owns(now, *addr)));
        }
        let mut ends = Vec::new();
        for (name, found) in &now.namespaces {
            let end = self.number(name)?;
            let of_it = steps.iter().filter(|step| step.ns == *name);
            let down: Vec<IfName> = of_it.filter_map(goes_down).cloned().collect();
            let now = Now { found, down: &down, gone: &gone };
            ends.push((end, self.node_now(end, &now, places)?));
        }
        let replace = |(end, node)| (end, std::mem::replace(&mut self.nodes[end], node));
        let was: Vec<(usize, Node)> = ends.into_iter().map(replace).collect();
        for goal in was.iter().flat_map(|(_, was)| &was.own).filter_map(|a| self.goal_of.get(a)) {
            self.goals[*goal].owner = None;
        }
        self.cut = Cut { was, now, gone, goals: self.goals.len() };
        Some(())
    }

    /// Makes a namespace as it is when interfaces went down and took addresses with them.
    fn node_now(&mut self, end: usize, now: &Now<'_>, places: &mut Places) -> Option<Node> {
        let name = self.nodes[end].name.clone();
        let is_observed = self.scene.kernel_routes(&name).is_some();
        let was = match is_observed {
            false => &self.nodes[end].table,
            true => {
                let count = self.prefixes.count();
                let found = self.scene.ns(&name)?;
                let derive = || Table::of(found, None, &mut self.prefixes);
                let derived = places.derived.entry(end).or_insert_with(derive);
                // No address was looked for in what is new now.
                if self.prefixes.count() > count {
                    return None;
                }
                derived
            }
        };
        let table = was.when(now.found, now.down);
        let mut own = self.nodes[end].own.clone();
        own.retain(|addr| !now.gone.contains(addr) || fib::owns(now.found, *addr));
        let mut decided = vec![None; table.ways.len() + 1];
        if !is_observed {
            // What was decided of a way that is as it was still holds.
            let holds = |place: usize| match (was.ways.get(place), table.ways.get(place)) {
                (Some(was), Some(now_way)) => Rc::ptr_eq(was, now_way) && !was.is_via(now.gone),
                (was, now_way) => was.is_none() && now_way.is_none(),
            };
            for (place, known) in decided.iter_mut().enumerate().filter(|(it, _)| holds(*it)) {
                known.clone_from(&self.nodes[end].decided[place]);
            }
        }
        Some(Node::new(name, table, own, decided))
    }

    /// Has all namespaces decide as they did.
    fn mend(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        for (end, was) in cut.was {
            for goal in was.own.iter().filter_map(|addr| self.goal_of.get(addr)) {
                let goal = &mut self.goals[*goal];
                goal.owner = self.owners.get(&goal.addr).copied();
            }
            self.nodes[end] = was;
        }
        for goal in &mut self.goals[cut.goals..] {
            goal.owner = self.owners.get(&goal.addr).copied();
        }
    }

    /// Finds who answered on a link of a namespace that is as it was: a cable, with the same addresses
    /// at its other end.
    pub(super) fn resolved_before(&self, at: usize, key: &(IfName, IpAddr)) -> Option<Resolved> {
        let (_, was) = self.cut.was.iter().find(|(end, _)| *end == at)?;
        let (dev, addr) = key;
        let now = self.cut.now.namespaces.get(&was.name)?.interfaces.get(dev)?;
        let is_cable = |it: &Interface| matches!(it.kind, Kind::Veth { .. }) && it.master.is_none();
        let is_as_it_was = is_cable(now) && self.scene.interface(&was.name, dev) == Some(now);
        let known = was.resolved.get(key).copied();
        known.filter(|_| is_as_it_was && !self.cut.gone.contains(addr))
    }

    /// Lists the pairs that are broken by what is cut, and perhaps some that were broken before.
    fn newly_broken(&mut self, places: &Places) -> Vec<(usize, usize)> {
        let mut broken = Vec::new();
        let blank = vec![Reach::NotAsked; self.nodes.len()];
        let ends: Vec<usize> = self.cut.was.iter().map(|(end, _)| *end).collect();
        for goal in self.doubtful(places) {
            if !self.may_be_lost(goal) {
                continue;
            }
            let known = std::mem::replace(&mut self.goals[goal].reached, blank.clone());
            let dst = self.goals[goal].addr;
            let mut lost = Lost::none_of(self.nodes.len());
            for (place, end) in ends.iter().enumerate() {
                // Who has it needs no way there.
                let had_a_way =
                    known[*end] == Reach::Yes || self.cut.was[place].1.own.contains(&dst);
                if had_a_way && !self.reaches(*end, goal) {
                    lost.add(*end);
                }
            }
            if !lost.all.is_empty() {
                self.spread(goal, &known, &mut lost);
                self.note(goal, &lost, places, &mut broken);
            }
            self.goals[goal].reached = known;
        }
        broken
    }

    /// Lists the addresses to which the ends may have no way any more: those that they had, and those
    /// in prefixes in which packets fare otherwise.
    fn doubtful(&self, places: &Places) -> Vec<usize> {
        let gone = &self.cut.gone;
        let mut goals: Vec<usize> =
            gone.iter().filter_map(|addr| self.goal_of.get(addr).copied()).collect();
        for (end, was) in &self.cut.was {
            let worse = self.nodes[*end].table.worse_than(&was.table, |way| way.is_via(gone));
            goals.extend(worse.iter().flat_map(|prefix| &places.inside[*prefix as usize]));
        }
        goals.sort_unstable();
        goals.dedup();
        goals
    }

    /// Tells whether a cut may have anybody lose the way to an address. It has not where both ends
    /// have it or not as before, and who of them reached it has some of the legs that it had and no
    /// others: each of those leads to somebody who reaches it.
    fn may_be_lost(&mut self, goal: usize) -> bool {
        let dst = self.goals[goal].addr;
        (0..self.cut.was.len()).any(|place| {
            let (end, was) = &self.cut.was[place];
            let end = *end;
            if was.own.contains(&dst) {
                return !self.nodes[end].own.contains(&dst);
            }
            if self.goals[goal].reached[end] != Reach::Yes {
                // Nobody who reached it did so by way of this one.
                return false;
            }
            let now = self.decide(end, goal);
            let Some(before) = self.cut.was[place].1.decided(&self.goals[goal].holding) else {
                return true;
            };
            now.legs.iter().any(|leg| *leg == Leg::Dead || !before.legs.contains(leg))
        })
    }

    /// Adds to those at the ends that lost the way to an address all whose way leads by them.
    fn spread(&self, goal: usize, known: &[Reach], lost: &mut Lost) {
        let goal = &self.goals[goal];
        let mut decided: Vec<Option<&Decided>> = vec![None; self.nodes.len()];
        let mut done = 0;
        while let Some(by) = lost.all.get(done).copied() {
            done += 1;
            // Only who has an address answers for it.
            let owner = self.owners.get(&goal.addr).copied();
            let answers = owner.is_none_or(|owner| owner == by);
            for &at in &self.before[by] {
                // The ends have been asked themselves.
                if lost.is[at] || known[at] != Reach::Yes || self.cut.is_at(at) {
                    continue;
                }
                let node = &self.nodes[at];
                let found = decided[at].or_else(|| node.decided(&goal.holding));
                decided[at] = found;
                let leads_there = |leg: &Leg| match leg {
                    Leg::Router { to, .. } => *to == by,
                    Leg::Link(dev) if answers => {
                        let found = node.resolved.get(&(dev.clone(), goal.addr));
                        found.is_some_and(|found| found.is_some_and(|(to, _)| to == by))
                    }
                    Leg::Link(_) | Leg::Dead => false,
                };
                if found.is_some_and(|found| found.legs.iter().any(leads_there)) {
                    lost.add(at);
                }
            }
        }
    }

    /// Notes down the pairs that are broken because some don't reach an address any more.
    fn note(
        &mut self,
        goal: usize,
        lost: &Lost,
        places: &Places,
        broken: &mut Vec<(usize, usize)>,
    ) {
        for &number in places_in(&places.asked, goal) {
            for at in lost.all.iter().filter(|at| **at != self.to[number].0) {
                let askers = places_in(&places.from, *at);
                broken.extend(askers.iter().map(|asker| (*asker, number)));
            }
        }
        // Few have it: only their answers go there.
        let owners: Vec<usize> = match self.owners.get(&self.goals[goal].addr) {
            Some(owner) => vec![*owner],
            None => places.from.keys().copied().collect(),
        };
        for at in owners {
            let askers = places_in(&places.from, at);
            if askers.is_empty() || !self.has(at, goal) {
                continue;
            }
            for &number in lost.all.iter().flat_map(|at| places_in(&places.to, *at)) {
                let (to, asked) = self.to[number];
                let mut comes_from = false;
                if at != to {
                    self.all_sources(at, asked, |_, src| {
                        comes_from |= src == goal;
                        true
                    });
                }
                if comes_from {
                    broken.extend(askers.iter().map(|asker| (*asker, number)));
                }
            }
        }
    }
}

/// A namespace but for its routes.
fn without_routes(found: &Namespace) -> Namespace {
    Namespace {
        interfaces: found.interfaces.clone(),
        entries: found.entries.clone(),
        foreign: found.foreign.clone(),
        sysctls: found.sysctls.clone(),
        ..Namespace::new(found.owner.clone())
    }
}
