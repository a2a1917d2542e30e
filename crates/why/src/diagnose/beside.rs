//! What stands on one interface and does not reach each other.

use vnet_model::kind::{self, Options, Value};
use vnet_model::{End, LinkSetting, Step};

use super::{Case, set};
use crate::Cause;
use crate::wire::{BRIDGE, macvlan_mode};

impl Case<'_, '_> {
    /// Two share a wire, and frames of the one do not get to the other there.
    pub(super) fn beside(&self, sender: &End, other: &End) -> Cause {
        let scene = self.scene;
        let [from, to] = [sender, other].map(|end| scene.port(&end.ns, &end.name));
        let lower = [(sender, other), (other, sender)]
            .into_iter()
            .find(|(upper, lower)| scene.below(upper).as_ref() == Some(*lower));
        if let Some((upper, lower)) = lower {
            let kind = scene.end(upper).map(|it| it.kind.name()).unwrap_or_default();
            let [upper, lower] = [upper, lower].map(|end| scene.port(&end.ns, &end.name));
            let evidence = format!(
                "{upper} is a {kind} on {lower}, and frames between them would have to come back from \
                 the other end of the cable"
            );
            return self.cause("macvlan-apart", upper, evidence, Vec::new());
        }
        let name = |end: &End| {
            let mode = scene.option(end, "mode");
            let spec = scene.end(end).and_then(|it| it.kind.device()).map(|device| device.spec);
            let option = spec.and_then(|spec| spec.option("mode"));
            option.zip(mode).map_or_else(String::new, |(option, mode)| option.words(mode).join(" "))
        };
        let evidence = format!(
            "{from} ({}) and {to} ({}) stand on one interface, and only in mode bridge do macvlans \
             reach each other there",
            name(sender),
            name(other)
        );
        let steps: Vec<Step> =
            [sender, other].into_iter().filter_map(|end| self.bridged(end)).collect();
        let mut cause = self.cause("macvlan-apart", format!("{from} and {to}"), evidence, steps);
        for end in [sender, other] {
            let meant = scene.meant_interface(&end.ns, &end.name);
            let says = meant.filter(|meant| {
                let mode = meant.kind.device().and_then(|device| device.options.get("mode"));
                mode.is_some_and(|mode| *mode != Value::Number(BRIDGE))
            });
            if let Some(meant) = says {
                let port = scene.port(&end.ns, &end.name);
                self.add_line(&mut cause, meant.origin, format!("give {port} `mode: bridge`"));
            }
        }
        cause
    }

    /// A port of a bridge sends nothing back where it came in, and who is asked is behind it too.
    pub(super) fn sends_nothing_back(&self, end: &End) -> Cause {
        let port = self.scene.port(&end.ns, &end.name);
        let evidence = format!(
            "{port}, a port of a bridge, sends nothing back where it came in (hairpin off), and both \
             ends are behind it"
        );
        let spec = &kind::BRIDGE;
        let option = spec.port_option("hairpin").map(|option| (option, Value::Bool(true)));
        let (wanted, rest) = (option.into_iter().collect(), Options::new());
        let change = LinkSetting::Options { spec, port: true, set: wanted, rest };
        self.cause("hairpin-off", port, evidence, vec![set(&end.ns, &end.name, change)])
    }

    /// Puts a macvlan into the mode in which it reaches its like.
    fn bridged(&self, end: &End) -> Option<Step> {
        if macvlan_mode(self.scene, end) == Some(BRIDGE) {
            return None;
        }
        let spec = self.scene.end(end)?.kind.device()?.spec;
        let mode = (spec.option("mode")?, Value::Number(BRIDGE));
        let (wanted, rest) = ([mode].into_iter().collect(), Options::new());
        Some(set(&end.ns, &end.name, LinkSetting::Options { spec, port: false, set: wanted, rest }))
    }
}
