//! What is at fault with a tunnel: its ends, or what carries it.

use vnet_model::kind::Wireguard;
use vnet_model::{Change, End, NsName, Step};

use super::{Case, diagnose};
use crate::travel::Trip;
use crate::tunnel::{self, Broken, Fault, Outer};
use crate::walk::{Stop, Walked};
use crate::{Cause, Mend, Question};

/// Options that both ends of a tunnel have to be told alike or crosswise, each with the code of what
/// is wrong with it.
const OPTIONS: [(&str, &str); 10] = [
    ("id", "tunnel-key"),
    ("key", "tunnel-key"),
    ("dstport", "tunnel-port"),
    ("remote", "tunnel-ends"),
    ("local", "tunnel-ends"),
    ("dev", "tunnel-ends"),
    ("mode", "tunnel-ends"),
    ("csum", "tunnel-ends"),
    ("seq", "tunnel-ends"),
    ("external", "tunnel-ends"),
];

impl Case<'_, '_> {
    pub(super) fn broken(&self, broken: &Broken) -> Option<Cause> {
        let scene = self.scene;
        let from = &broken.from;
        let port = scene.port(&from.ns, &from.name);
        if let Some(cause) = self.set_otherwise(from) {
            return Some(cause);
        }
        let text = || broken.text();
        match (&broken.fault, &broken.outer) {
            (Fault::Underlay(walked, is_back), Some(outer)) => {
                self.underlay(outer, walked, *is_back)
            }
            (Fault::NotTaken(ns), Some(outer)) => Some(self.not_taken(outer, ns)),
            (Fault::Stranger(end), _) => self.set_otherwise(end).or_else(|| {
                let evidence = format!("{port} and {} have other keys", self.label(end));
                Some(self.cause("wireguard-key", self.label(end), evidence, self.remake(from)))
            }),
            (Fault::NotAllowed(end), _) => self.set_otherwise(end).or_else(|| {
                let src = self.walked.src.map(|src| src.to_string()).unwrap_or_default();
                let evidence =
                    format!("{} does not allow {src} to come from {port}", self.label(end));
                Some(self.cause("allowed-ips", self.label(end), evidence, Vec::new()))
            }),
            (Fault::NoPeer, _) => {
                let evidence = format!("no peer of {port} is allowed {}", self.dst);
                Some(self.cause("allowed-ips", port, evidence, Vec::new()))
            }
            (Fault::NoEndpoint(far), _) => {
                let evidence = format!(
                    "{port} does not know where {} is, and has heard nothing from it",
                    self.label(far)
                );
                Some(self.cause("wireguard-endpoint", port, evidence, Vec::new()))
            }
            (Fault::Loop, _) => Some(self.cause("tunnel-loop", port, text(), Vec::new())),
            (Fault::Family, _) => Some(self.cause("tunnel-ends", port, text(), Vec::new())),
            _ => None,
        }
    }

    fn label(&self, end: &End) -> String {
        self.scene.port(&end.ns, &end.name)
    }

    /// Nobody is told to send to a far end that was meant to be one.
    pub(super) fn no_flood(&self, end: &End, dst: std::net::IpAddr) -> Cause {
        let port = self.label(end);
        let evidence =
            format!("{port} sends what goes to all, or to whom it does not know, not to {dst}");
        self.cause("fdb-missing", format!("{dst} at {port}"), evidence, self.remake(end))
    }

    /// What an end of a tunnel is told otherwise than was meant.
    pub(super) fn set_otherwise(&self, end: &End) -> Option<Cause> {
        let scene = self.scene;
        let meant = scene.meant_interface(&end.ns, &end.name)?;
        let found = scene.end(end)?;
        let (port, steps) = (self.label(end), || self.remake(end));
        if let (Some(wanted), Some(found)) = (&meant.wireguard, &found.wireguard) {
            let (code, what) = wireguard(wanted, found)?;
            return Some(self.cause(code, port.clone(), format!("{port} {what}"), steps()));
        }
        let options = &meant.kind.device()?.options;
        OPTIONS.iter().find_map(|(word, code)| {
            let wanted = options.get(word)?;
            let found = scene.option(end, word);
            if found == Some(wanted) || (found.is_none() && self.scene.facts(&end.ns).is_none()) {
                return None;
            }
            let spec = meant.kind.device()?.spec.option(word)?;
            let words = |value| spec.words(value).join(" ");
            let found = found.map_or_else(|| format!("no {word}"), words);
            let evidence = format!("{port} has {found} instead of {}", words(wanted));
            Some(self.cause(code, port.clone(), evidence, steps()))
        })
    }

    /// Makes an interface what was meant, or another one in its place.
    fn remake(&self, end: &End) -> Vec<Step> {
        let mut steps = self.scene.plan();
        steps.retain(|step| {
            let of_it = match &step.change {
                Change::DelLink { name, .. }
                | Change::AddFdb { dev: name, .. }
                | Change::DelFdb { dev: name, .. }
                | Change::SetWireguard { name, .. } => step.ns == end.ns && *name == end.name,
                _ => false,
            };
            of_it || self.is_about(step, &end.ns, &end.name)
        });
        steps
    }

    /// What carries a tunnel gets no further: its own way is looked at.
    fn underlay(&self, outer: &Outer, walked: &Walked, is_back: bool) -> Option<Cause> {
        let port = self.label(&outer.from);
        if let (Some(Stop::TtlOver(ttl)), Some(_)) = (&walked.stop, outer.ttl) {
            let evidence = format!("{port} gives its packets a time to live of {ttl}");
            return Some(self.cause("ttl-too-small", port, evidence, self.remake(&outer.from)));
        }
        let question = Question {
            src: walked.left_with,
            size_bytes: self.question.size_bytes.map(|size| size + outer.extra_bytes),
            packet: outer.packet(),
            ..Question::new(outer.from.ns.clone(), walked.dst)
        };
        let trip = Trip { forth: walked.clone(), back: None, astray: false };
        let mut cause = diagnose(self.scene, &question, &trip)?;
        if cause.code == "mtu-too-small" && !cause.mend.is_empty() {
            // The tunnel's node has noted it down, and told who sends by it.
            let sender = self.walked.decisions.first().map(|first| (&first.ns, self.dst));
            for (ns, dst) in [Some((&outer.from.ns, outer.dst)), sender].into_iter().flatten() {
                self.relearn(&mut cause, ns, dst);
            }
        }
        let way = if is_back { "answers to" } else { "goes in" };
        let evidence = format!("what {way} packets of {port} to {}: {}", outer.dst, cause.evidence);
        Some(Cause { evidence, ..cause })
    }

    /// The outer packet arrives, and nobody takes it.
    fn not_taken(&self, outer: &Outer, ns: &NsName) -> Cause {
        let scene = self.scene;
        let ends = tunnel::alike(scene, outer, ns);
        if let Some(cause) = ends.iter().find_map(|end| self.set_otherwise(end)) {
            return cause;
        }
        let is_down = |end: &&End| scene.end(end).is_some_and(|found| !found.up);
        if let Some(end) = ends.iter().find(is_down) {
            let evidence = format!("{}, the far end of the tunnel, is down", self.label(end));
            let steps = self.restore(&end.ns, &end.name);
            return self.cause("peer-down", self.label(end), evidence, steps);
        }
        let kind = |name: &str| scene.end(&outer.from).is_some_and(|it| it.kind.name() == name);
        let meant = scene.meant(ns).into_iter().flat_map(|meant| &meant.interfaces);
        let mut lost =
            meant.filter(|(name, it)| kind(it.kind.name()) && scene.interface(ns, name).is_none());
        if let Some((name, _)) = lost.next() {
            let end = End { ns: ns.clone(), name: name.clone() };
            let cause = self.interface_missing(ns, name);
            let mend = self.remake(&end).into_iter().map(Mend::Step).collect();
            return Cause { mend, ..cause };
        }
        // What nobody declared counts too, where the two are each other's far ends.
        let otherwise = |end: &End| {
            let word = tunnel::takes(scene, outer, end, outer.src?, outer.dst)?;
            let (_, code) = OPTIONS.iter().find(|(known, _)| *known == word)?;
            (!["local", "remote"].contains(&word)).then_some((word, *code))
        };
        let found = ends.iter().find_map(|end| Some((end, otherwise(end)?)));
        if let Some((end, (word, code))) = found {
            let (port, from) = (self.label(end), self.label(&outer.from));
            let evidence = format!("{port} takes nothing of what {from} sends, by its `{word}`");
            return self.cause(code, port, evidence, self.remake(end));
        }
        let label = scene.label(ns);
        let evidence =
            format!("nothing at {label} takes what {} sends there", self.label(&outer.from));
        self.cause("tunnel-ends", label, evidence, Vec::new())
    }
}

/// What a WireGuard device is told otherwise than was meant: the code, and a sentence's end.
fn wireguard(wanted: &Wireguard, found: &Wireguard) -> Option<(&'static str, String)> {
    if wanted.listen_port != found.listen_port {
        let what = format!("listens on {} instead of {}", found.listen_port, wanted.listen_port);
        return Some(("tunnel-port", what));
    }
    wanted.peers.iter().find_map(|(end, wanted)| {
        let Some(known) = found.peers.get(end) else {
            return Some(match found.strangers {
                0 => ("wireguard-key", format!("does not know the key of {end}")),
                _ => ("wireguard-key", format!("has another key for {end}")),
            });
        };
        if known.allowed_ips != wanted.allowed_ips {
            let nets: Vec<String> = known.allowed_ips.iter().map(ToString::to_string).collect();
            let nets = if nets.is_empty() { "nothing".to_owned() } else { nets.join(", ") };
            return Some(("allowed-ips", format!("allows {nets} to and from {end}")));
        }
        let (known, wanted) = (known.endpoint, wanted.endpoint?);
        (known != Some(wanted)).then(|| {
            let known = known.map_or_else(|| "nowhere".to_owned(), |known| known.to_string());
            ("wireguard-endpoint", format!("takes {end} to be at {known} instead of {wanted}"))
        })
    })
}
