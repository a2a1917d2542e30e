//! There and back, and the loop around it: look, diagnose, mend on paper, look again.

use vnet_model::state::is_ipv6_link_local;
use vnet_model::{Change, LinkSetting, NsName, Origin, Packet, Step};

use crate::diagnose::{by_rule, diagnose, no_address};
use crate::fates;
use crate::scene::Scene;
use crate::seen::Course;
use crate::walk::{Learned, Sent, Stop, Walked, walk};
use crate::{Answer, By, Cause, DroppedBy, Hop, Mend, Question, Verdict, World};

/// How many causes are looked for one after the other.
const CAUSES_MAX: usize = 12;

/// How many ways are tried where routes have several legs.
const WAYS_MAX: usize = 32;

/// The IP packet of an echo request as `ping(8)` sends it, in bytes: 56 of data.
const ECHO_BYTES: u32 = 20 + 8 + 56;
const ECHO_IPV6_BYTES: u32 = 40 + 8 + 56;

/// One way there and, where it arrives, back.
#[derive(Debug)]
pub(crate) struct Trip {
    pub(crate) forth: Walked,
    pub(crate) back: Option<Walked>,
    /// Whether the destination is in another namespace than was meant, and likewise the way back.
    pub(crate) astray: bool,
}

impl Trip {
    /// The direction that fails.
    pub(crate) fn failed(&self) -> Option<&Walked> {
        match &self.back {
            None => Some(&self.forth),
            Some(back) if back.stop.is_some() || self.astray => Some(back),
            Some(_) => None,
        }
    }

    /// Who may still have the packet where its answer waits for a neighbour: what that one says of its
    /// own address gets lost on the same way, so the packet never left if it was not known before.
    pub(crate) fn waiting(&self) -> Option<&NsName> {
        let back = self.back.as_ref()?;
        let asks = back.waits.is_some() || matches!(back.stop, Some(Stop::Unresolved { .. }));
        let last = self.forth.hops.iter().rfind(|hop| hop.by == By::Neighbour);
        last.filter(|_| asks).map(|hop| &hop.ns)
    }

    pub(crate) fn is_back(&self) -> bool {
        self.back.is_some()
    }

    /// Who got it instead of whom it was meant for.
    fn elsewhere(&self, scene: &Scene<'_>) -> Option<String> {
        let walked = self.back.as_ref().unwrap_or(&self.forth);
        (self.astray && walked.stop.is_none()).then(|| scene.label(&walked.at))
    }

    fn has_doubts(&self) -> bool {
        let mut all = [Some(&self.forth), self.back.as_ref()].into_iter().flatten();
        all.any(|walked| !walked.doubts.is_empty() || !walked.twins.is_empty())
    }

    /// Tells whether it met something that is not evaluated.
    pub(crate) fn is_unsure(&self) -> bool {
        let back = self.back.iter().flat_map(|walked| &walked.unknown);
        self.forth.unknown.iter().chain(back).next().is_some()
    }

    fn unknown(&self) -> Option<&str> {
        match self.failed()?.stop.as_ref()? {
            Stop::Unknown(what) => Some(what),
            _ => None,
        }
    }
}

/// Finds out whether a packet gets there and its answer back, and if not, why.
#[must_use]
pub fn why(world: &World<'_>, question: &Question) -> Answer {
    let scene = Scene::new(world);
    let trips = travel(&scene, question);
    let mut verdict = verdict(&trips);
    let shown = pick(&trips);
    let mut answer = Answer {
        verdict,
        src: shown.and_then(|trip| trip.forth.left_with).or(question.src),
        dst: question.dst,
        forth: shown.map(|trip| hops(&scene, &trip.forth)).unwrap_or_default(),
        back: shown
            .and_then(|trip| trip.back.as_ref().map(|back| hops(&scene, back)))
            .unwrap_or_default(),
        causes: Vec::new(),
        unknown: unknown(&trips),
        routed: fates::of(&scene, &trips),
        course: Course::of(&scene, &trips),
        elsewhere: shown.and_then(|trip| trip.elsewhere(&scene)),
    };
    if trips.iter().any(|trip| trip.failed().is_some() || trip.has_doubts()) {
        answer.causes = causes(world, question);
        name_cuts(world, question, &mut answer.causes);
    }
    if verdict == Verdict::Unreachable && answer.causes.is_empty() {
        verdict = Verdict::Unknown;
    }
    // What filters could let through or not only matters where nothing else stops the packet.
    if verdict == Verdict::Reachable && !answer.unknown.is_empty() {
        verdict = Verdict::Unknown;
    }
    Answer { verdict, ..answer }
}

/// Answers about a namespace that nobody can reach, because it has no address that could be asked; of the
/// family of `dst`.
#[must_use]
pub fn addressless(world: &World<'_>, question: &Question, of: &NsName) -> Answer {
    let scene = Scene::new(world);
    let walked = walk(&scene, &Sent { from: of.clone(), ..forth(question) }, &[]);
    Answer {
        verdict: Verdict::Unreachable,
        src: question.src,
        dst: question.dst,
        forth: Vec::new(),
        back: Vec::new(),
        causes: vec![no_address(&scene, question, &walked, of)],
        unknown: Vec::new(),
        routed: Vec::new(),
        course: Course::default(),
        elsewhere: None,
    }
}

/// Takes into an answer that can't be told what came of a packet that was really sent: whether its
/// answer came, and by which rule of nf_tables it was dropped, as the kernel says.
///
/// What was only in doubt is no cause where the answer came; and the rule that dropped it is one where
/// nothing else is.
pub fn settle(
    world: &World<'_>,
    question: &Question,
    answer: &mut Answer,
    replied: bool,
    dropped: Option<&DroppedBy>,
    is_back: bool,
) {
    if answer.verdict != Verdict::Unknown {
        return;
    }
    if replied {
        answer.causes.clear();
        return;
    }
    let scene = Scene::new(world);
    let trips = travel(&scene, question);
    let (Some(dropped), Some(trip)) = (dropped, pick(&trips)) else { return };
    let walked = trip.back.as_ref().filter(|_| is_back).unwrap_or(&trip.forth);
    let Some(cause) = by_rule(&scene, question, walked, is_back, dropped) else { return };
    answer.causes = vec![cause];
    answer.verdict = Verdict::Unreachable;
}

pub(crate) fn verdict(trips: &[Trip]) -> Verdict {
    let failed = trips.iter().filter(|trip| trip.failed().is_some()).count();
    let doubts = trips.iter().any(Trip::has_doubts);
    match trips.len() {
        _ if trips.iter().any(|trip| trip.unknown().is_some()) => Verdict::Unknown,
        all if all == failed => Verdict::Unreachable,
        _ if failed > 0 || doubts => Verdict::Partly,
        _ => Verdict::Reachable,
    }
}

/// The way that is shown: one that fails, or that is in doubt, before one that does not.
fn pick(trips: &[Trip]) -> Option<&Trip> {
    let failed = trips.iter().find(|trip| trip.failed().is_some());
    failed.or_else(|| trips.iter().find(|trip| trip.has_doubts())).or(trips.first())
}

fn unknown(trips: &[Trip]) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    for trip in trips {
        let walked = [Some(&trip.forth), trip.back.as_ref()];
        let met = walked.into_iter().flatten().flat_map(|walked| walked.unknown.iter().cloned());
        for what in met.chain(trip.unknown().map(str::to_owned)) {
            if !unknown.contains(&what) {
                unknown.push(what);
            }
        }
    }
    unknown
}

/// The hops of a way; the last says where it ends too early.
fn hops(scene: &Scene<'_>, walked: &Walked) -> Vec<Hop> {
    let mut hops = walked.hops.clone();
    for hop in &mut hops {
        hop.origin = scene.origin_of_hop(hop);
    }
    if let Some(stop) = &walked.stop {
        let node = scene.label(&walked.at);
        let text = stop.text();
        let (ns, origin) = (walked.at.clone(), Origin::NONE);
        hops.push(Hop { ns, node, interface: None, by: By::Stop, text, origin, line: None });
    }
    hops
}

/// Looks for causes one after the other, each mended on paper before the next is looked for.
fn causes(world: &World<'_>, question: &Question) -> Vec<Cause> {
    let mut scene = Scene::new(world);
    let mut causes: Vec<Cause> = Vec::new();
    let mut mended = false;
    while causes.len() < CAUSES_MAX {
        let trips = travel(&scene, question);
        let Some(trip) = pick(&trips) else { break };
        if trip.failed().is_none() && !trip.has_doubts() {
            mended = true;
            break;
        }
        let Some(mut cause) = diagnose(&scene, question, trip) else { break };
        if causes.iter().any(|known| is_same(known, &cause)) {
            break;
        }
        // What can't be done would be no help.
        cause.mend.retain(|mend| scene.mend(mend));
        // That mend is another destination: there is nothing to be asked about this one.
        let is_last = cause.code == "broadcast-address";
        let stuck = cause.mend.iter().all(|mend| matches!(mend, Mend::Line { .. }));
        causes.push(cause);
        if is_last {
            break;
        }
        if stuck {
            let back = way_back(&scene, question);
            causes.extend(back.filter(|back| !causes.iter().any(|known| is_same(known, back))));
            break;
        }
    }
    if mended {
        drop_needless(world, question, &mut causes);
    }
    causes
}

fn is_same(one: &Cause, other: &Cause) -> bool {
    one.code == other.code && one.object == other.object
}

/// Says of what is at fault that it is what was cut, where it is: that was asked for, and what would
/// undo it is no mend.
fn name_cuts(world: &World<'_>, question: &Question, causes: &mut Vec<Cause>) {
    let is_asked_for = |mend: &Mend| match mend {
        Mend::Step(step) => world.assumed.iter().any(|cut| undoes(step, cut)),
        _ => false,
    };
    if world.assumed.is_empty() || causes.is_empty() {
        return;
    }
    let scene = Scene::new(&World { assumed: &[], ..*world });
    let uncut = travel(&scene, question);
    let is_to_blame = uncut.iter().all(|trip| trip.failed().is_none() && !trip.has_doubts());
    let (mut is_first, mut met) = (true, false);
    causes.retain_mut(|cause| {
        let is_cut = cause.mend.iter().any(is_asked_for);
        let is_kept = match is_to_blame {
            // What else is missing went with it; but there may be a way around.
            true => is_first || (!met && !is_cut && !cause.mend.is_empty()),
            false => !(met && is_cut),
        };
        if is_cut {
            met = true;
            cause.mend.clear();
        }
        if is_cut || (is_first && is_to_blame) {
            cause.evidence.push_str(", because of the cut that was asked for");
        }
        is_first = false;
        is_kept
    });
}

/// Tells whether a step sets up again what another took down.
fn undoes(step: &Step, cut: &Step) -> bool {
    match (&step.change, &cut.change) {
        (
            Change::SetLink { name, set: LinkSetting::Up(true) },
            Change::SetLink { name: down, set: LinkSetting::Up(false) },
        ) => step.ns == cut.ns && name == down,
        _ => false,
    }
}

/// Looks at the way back alone, where the way there can't be mended.
fn way_back(scene: &Scene<'_>, question: &Question) -> Option<Cause> {
    let to = question.to.clone()?;
    let forth = walk(scene, &forth(question), &[]);
    let sent = Walked { src: forth.src.or(question.src), dst: question.dst, at: to, ..forth };
    let back = walk(scene, &back(question, &sent)?, &[]);
    let trip = Trip { forth: sent, back: Some(back), astray: false };
    trip.back.as_ref().filter(|back| back.stop.is_some())?;
    diagnose(scene, question, &trip)
}

/// Drops the causes whose mends are not needed: what differs from what was meant need not matter.
fn drop_needless(world: &World<'_>, question: &Question, causes: &mut Vec<Cause>) {
    let works_without = |causes: &[Cause], without: usize| {
        let mut scene = Scene::new(world);
        let others = causes.iter().enumerate().filter(|(at, _)| *at != without);
        for mend in others.flat_map(|(_, cause)| &cause.mend) {
            let _ = scene.mend(mend);
        }
        let trips = travel(&scene, question);
        trips.iter().all(|trip| trip.failed().is_none() && !trip.has_doubts())
    };
    let mut at = 0;
    while causes.len() > 1 && at < causes.len() {
        match works_without(causes, at) {
            true => drop(causes.remove(at)),
            false => at += 1,
        }
    }
}

/// Tries all ways there, and from each that arrives all ways back.
pub(crate) fn travel(scene: &Scene<'_>, question: &Question) -> Vec<Trip> {
    let mut trips = Vec::new();
    for forth in ways(scene, &forth(question)) {
        let sent = back(question, &forth).filter(|_| forth.stop.is_none());
        let Some(sent) = sent else {
            trips.push(Trip { forth, back: None, astray: false });
            continue;
        };
        // Where its destination was translated, it is to go elsewhere.
        let translated = forth.dst != question.dst;
        let elsewhere = question.to.as_ref().is_some_and(|to| *to != forth.at);
        let astray = elsewhere && !translated;
        if astray {
            trips.push(Trip { forth, back: None, astray });
            continue;
        }
        for back in ways(scene, &sent) {
            let astray = back.stop.is_none() && back.at != question.from;
            let forth = walk(scene, &self::forth(question), &forth.picked);
            trips.push(Trip { forth, back: Some(back), astray });
        }
        if trips.len() >= WAYS_MAX {
            break;
        }
    }
    trips
}

pub(crate) fn ways(scene: &Scene<'_>, packet: &Sent) -> Vec<Walked> {
    let mut ways = Vec::new();
    let mut legs: Vec<usize> = Vec::new();
    loop {
        let walked = walk(scene, packet, &legs);
        // The next choice of legs: the last place where there is one more.
        let mut next = walked.picked.clone();
        let choices = walked.choices.clone();
        ways.push(walked);
        let more = (0..next.len()).rev().find(|&at| next[at] + 1 < choices[at]);
        let Some(at) = more.filter(|_| ways.len() < WAYS_MAX) else { return ways };
        next.truncate(at + 1);
        next[at] += 1;
        legs = next;
    }
}

fn forth(question: &Question) -> Sent {
    Sent {
        from: question.from.clone(),
        src: question.src,
        dst: question.dst,
        size_bytes: size_bytes(question),
        df: question.size_bytes.is_some(),
        packet: question.packet,
        outer: None,
        mark: 0,
        oif: None,
        prefers: None,
        vrf: None,
        link: question.link.clone().filter(|_| is_ipv6_link_local(question.dst)),
        is_answer: false,
        is_error: false,
        sport: None,
        dport: question.packet.port(),
        flows: Vec::new(),
        outer_flows: Vec::new(),
        heard: Vec::new(),
        learned: Learned::default(),
    }
}

/// The answer: of the same length, but it may be fragmented (`icmp_init` gives the kernel's own
/// socket `IP_PMTUDISC_DONT`, net/ipv4/icmp.c).
fn back(question: &Question, forth: &Walked) -> Option<Sent> {
    // That of an echo is looked for a way by the interface that it came in by (`icmpv6_echo_reply`,
    // net/ipv6/icmp.c), which counts among routes that are alike (`rt6_score_route`, net/ipv6/route.c).
    let is_echo_ipv6 = question.packet == Packet::Icmp && forth.dst.is_ipv6();
    let link = forth.came_by.clone().or_else(|| question.link.clone());
    Some(Sent {
        from: forth.at.clone(),
        src: Some(forth.dst),
        dst: forth.src?,
        size_bytes: size_bytes(question),
        df: false,
        packet: question.packet,
        outer: None,
        mark: 0,
        oif: None,
        prefers: forth.came_by.clone().filter(|_| is_echo_ipv6),
        vrf: forth.vrf.clone(),
        link: link.filter(|_| forth.src.is_some_and(is_ipv6_link_local)),
        is_answer: true,
        is_error: false,
        sport: forth.dport,
        dport: None,
        flows: forth.flows.clone(),
        outer_flows: forth.outer_flows.clone(),
        heard: forth.heard.clone(),
        learned: forth.learned.clone(),
    })
}

fn size_bytes(question: &Question) -> u32 {
    let echo = if question.dst.is_ipv4() { ECHO_BYTES } else { ECHO_IPV6_BYTES };
    question.size_bytes.unwrap_or(echo)
}
