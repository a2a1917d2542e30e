//! What interfaces stand on, be it in another namespace.

use std::collections::BTreeMap;

use vnet_model::facts::Apart;
use vnet_model::kind::{Lower, Value};
use vnet_model::{End, Facts, IfName, NsName, State};

use super::Scene;
use crate::Effect;

/// Interfaces by what they stand on.
pub(super) type Uppers = BTreeMap<End, Vec<End>>;

/// Finds what stands on an interface of another namespace, as far as that was observed or declared.
pub(super) fn elsewhere(state: &State, facts: Option<&Facts>) -> Uppers {
    let mut all = Uppers::new();
    for (ns, facts) in facts.into_iter().flat_map(|facts| &facts.namespaces) {
        for (name, facts) in &facts.interfaces {
            if let Some(below) = &facts.below {
                let upper = End { ns: ns.clone(), name: name.clone() };
                all.entry(below.clone()).or_default().push(upper);
            }
        }
    }
    if !state.namespaces.contains_key(&NsName::host()) {
        return all;
    }
    for (ns, found) in &state.namespaces {
        for (name, interface) in &found.interfaces {
            if let Some(lower) = interface.kind.host_lower() {
                let below = End { ns: NsName::host(), name: lower.clone() };
                let upper = End { ns: ns.clone(), name: name.clone() };
                let known = all.entry(below).or_default();
                if !known.contains(&upper) {
                    known.push(upper);
                }
            }
        }
    }
    all
}

impl Scene<'_> {
    /// Returns what an interface stands on, where that is known and was looked at.
    pub(crate) fn below(&self, end: &End) -> Option<End> {
        self.stands_on(end).filter(|below| self.end(below).is_some())
    }

    fn stands_on(&self, end: &End) -> Option<End> {
        let device = self.end(end)?.kind.device()?;
        if device.spec.lower != Lower::Required {
            return None;
        }
        let at = |ns: &NsName, name: &IfName| End { ns: ns.clone(), name: name.clone() };
        let here = device.lower.as_ref().map(|name| at(&end.ns, name));
        let on_host = || device.host_lower.as_ref().map(|name| at(&NsName::host(), name));
        let observed = || self.facts(&end.ns)?.interfaces.get(&end.name)?.below.clone();
        here.or_else(on_host).or_else(observed)
    }

    /// Names what an interface stands on that was not looked at, where it does on such.
    pub(crate) fn unseen_below(&self, end: &End) -> Option<String> {
        let device = self.end(end)?.kind.device()?;
        if device.spec.lower != Lower::Required || self.below(end).is_some() {
            return None;
        }
        let what = match self.stands_on(end) {
            Some(below) => {
                format!("{}, which was not looked at", self.port(&below.ns, &below.name))
            }
            None => "an interface of a namespace that was not looked at".to_owned(),
        };
        Some(format!("{} stands on {what}", self.port(&end.ns, &end.name)))
    }

    /// Tells what keeps an ipvlan apart from its like on the same interface.
    pub(crate) fn apart(&self, end: &End) -> Option<Apart> {
        let facts = self.facts(&end.ns).and_then(|facts| facts.interfaces.get(&end.name));
        let said = || match self.option(end, "mode_flag") {
            Some(Value::Number(flags)) => Apart::of_flags(u16::try_from(*flags).ok()?),
            _ => None,
        };
        let apart = facts.map_or_else(said, |facts| facts.apart)?;
        let lower = self.below(end)?;
        (!self.effects.contains(&Effect::Together(lower))).then_some(apart)
    }

    /// Lists what stands on an interface, in its own namespace and in others.
    pub(crate) fn uppers(&self, lower: &End) -> Vec<End> {
        let here = self.standing.get_or_init(|| self.standing()).get(lower);
        let there = self.elsewhere.get(lower);
        let all = [here, there].into_iter().flatten().flatten();
        all.filter(|upper| self.below(upper).as_ref() == Some(lower)).cloned().collect()
    }

    /// Finds what stands on an interface of its own namespace, in all of them.
    fn standing(&self) -> Uppers {
        let mut all = Uppers::new();
        for (ns, found) in &self.state.namespaces {
            for (name, interface) in &found.interfaces {
                let lower = interface.kind.device().and_then(|device| device.lower.as_ref());
                if let Some(lower) = lower {
                    let [below, upper] =
                        [lower, name].map(|name| End { ns: ns.clone(), name: name.clone() });
                    all.entry(below).or_default().push(upper);
                }
            }
        }
        all
    }
}
