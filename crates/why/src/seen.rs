//! Where a packet was seen, held against where it stops on paper.

use std::fmt;

use serde::Serialize;
use vnet_model::sighting::{Heading, Sighting};
use vnet_model::{End, IfName, NsName};

use crate::fib::Decision;
use crate::scene::Scene;
use crate::travel::Trip;
use crate::walk::{Stop, Walked};
use crate::{Answer, Question, Verdict, World, wire};

/// An echo request in its IP packet, in bytes; only who hears it matters.
const FRAME_BYTES: u32 = 84;

/// Where a packet goes on paper, on all its ways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// The namespaces in which it may be seen: those on its ways, then those that hear what is sent
    /// where it stops. Each once.
    pub namespaces: Vec<NsName>,
    /// Where it stops, for each way on which it does; `None` where no namespace can be named.
    pub stops: Vec<Option<NsName>>,
}

impl Course {
    pub(crate) fn of(scene: &Scene<'_>, trips: &[Trip]) -> Self {
        let mut course = Self::default();
        let all = || trips.iter().flat_map(|trip| [Some(&trip.forth), trip.back.as_ref()]);
        for walked in all().flatten() {
            let decided = walked.decisions.iter().map(|decided| &decided.ns);
            let touched = walked.touched.iter().map(|end| &end.ns);
            let hops = walked.hops.iter().map(|hop| &hop.ns);
            decided.chain(touched).chain(hops).chain([&walked.at]).for_each(|ns| course.pass(ns));
        }
        for (trip, walked) in trips.iter().filter_map(|trip| Some((trip, trip.failed()?))) {
            course.stops.extend(walked.stop.as_ref().map(|stop| holder(walked, stop)));
            course.stops.extend(trip.waiting().cloned().map(Some));
            // It is on no interface of the namespace below yet.
            course.stops.extend(walked.sent_by.clone().map(Some));
            hearers(scene, walked).iter().for_each(|ns| course.pass(ns));
        }
        course
    }

    fn pass(&mut self, ns: &NsName) {
        if !self.namespaces.contains(ns) {
            self.namespaces.push(ns.clone());
        }
    }
}

/// Who has the packet where it stops.
fn holder(walked: &Walked, stop: &Stop) -> Option<NsName> {
    match stop {
        // It is in another packet, or anywhere on the circle.
        Stop::Tunnel(_) | Stop::Loop(_) | Stop::Unknown(_) => None,
        _ => {
            let before = walked.waits.as_ref().or(walked.framed_by.as_ref());
            Some(before.unwrap_or(&walked.at).clone())
        }
    }
}

/// The namespaces that hear what is sent by where it would have left.
fn hearers(scene: &Scene<'_>, walked: &Walked) -> Vec<NsName> {
    let last = walked.decisions.last();
    let Some((ns, Decision::Via { legs, .. })) = last.map(|it| (&it.ns, &it.decision)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for leg in legs {
        let from = End { ns: ns.clone(), name: leg.dev.clone() };
        for station in wire::domain(scene, &from, FRAME_BYTES, true).stations {
            all.extend(station.ports.iter().chain([&station.end]).map(|end| end.ns.clone()));
        }
    }
    all
}

/// Where a packet was last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSeen {
    /// The namespace.
    pub ns: NsName,
    /// Its name in the lab.
    pub node: String,
    /// The interface at which it was seen; `None` where it was nowhere: it never left.
    pub interface: Option<IfName>,
    /// Whether it left by that; else it came in.
    pub leaves: bool,
    /// Which way it was going.
    pub heading: Heading,
    /// Where its frame came to as well, which was for another hardware address.
    pub astray: Option<String>,
    /// The last namespace that had it, and not only passed its frame on.
    #[serde(skip)]
    pub holder: NsName,
}

impl fmt::Display for LastSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            None => write!(f, "it never left {}", self.node)?,
            Some(dev) => {
                let how = if self.leaves { "leaving" } else { "entering" };
                write!(f, "last seen {how} {} by {dev}", self.node)?;
            }
        }
        if self.heading == Heading::Back {
            f.write_str(", on the way back")?;
        }
        match &self.astray {
            Some(end) => write!(f, " (to {end}, whose hardware address is another)"),
            None => Ok(()),
        }
    }
}

/// Finds where a packet was last, of all places where it was seen, in the order of time.
#[must_use]
pub fn last(world: &World<'_>, question: &Question, sightings: &[Sighting]) -> LastSeen {
    let scene = Scene::new(world);
    let end = |seen: &Sighting| End { ns: seen.ns.clone(), name: seen.dev.clone() };
    let is_port = |seen: &Sighting| scene.bridge_of(&end(seen)).is_some();
    // Ports of bridges take what is for others.
    let is_astray = |seen: &Sighting| seen.for_another && !is_port(seen);
    let own = || sightings.iter().filter(|seen| seen.heading != Heading::Refusal);
    let last = own().rfind(|seen| !is_astray(seen));
    let holder = own().rfind(|seen| !is_astray(seen) && !is_port(seen));
    let holder = holder.map_or(&question.from, |seen| &seen.ns).clone();
    // Who took it has it, whoever heard it too.
    let is_on_wire = last.is_none_or(|seen| seen.leaves || is_port(seen));
    let astray = own().rfind(|seen| is_astray(seen)).filter(|_| is_on_wire);
    let ns = last.map_or(&question.from, |seen| &seen.ns).clone();
    LastSeen {
        node: scene.label(&ns),
        ns,
        interface: last.map(|seen| seen.dev.clone()),
        leaves: last.is_none_or(|seen| seen.leaves),
        heading: last.map(|seen| seen.heading).unwrap_or_default(),
        astray: astray.map(|seen| scene.port(&seen.ns, &seen.dev)),
        holder,
    }
}

/// Tells whether a packet that did not arrive was last where it stops on paper; `None` where that
/// can't be compared, or an address is still to be found unique: then neighbours are not asked yet
/// (RFC 4862, section 5.4).
#[must_use]
pub fn agrees(world: &World<'_>, answer: &Answer, place: &LastSeen) -> Option<bool> {
    let facts = world.facts.and_then(|facts| facts.namespaces.get(&place.holder));
    let mut unready = facts.iter().flat_map(|facts| &facts.unusable);
    if answer.dst.is_ipv6() && unready.any(|(_, _, is_duplicate)| !is_duplicate) {
        return None;
    }
    match answer.verdict {
        Verdict::Reachable => Some(false),
        Verdict::Unreachable if answer.elsewhere.is_none() => {
            let stops: Option<Vec<&NsName>> =
                answer.course.stops.iter().map(Option::as_ref).collect();
            stops.filter(|stops| !stops.is_empty()).map(|stops| stops.contains(&&place.holder))
        }
        Verdict::Unreachable | Verdict::Partly | Verdict::Unknown => None,
    }
}
