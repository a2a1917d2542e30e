//! What stands on one interface and does not reach each other.

use std::net::IpAddr;

use vnet_model::facts::Apart;
use vnet_model::ipnet::IpNet;
use vnet_model::kind::{self, Options, Value};
use vnet_model::{Change, End, IfName, LinkSetting, NextHop, Route, Step};

use super::{Case, set};
use crate::wire::{BRIDGE, IPVLAN_L3, macvlan_mode};
use crate::{Cause, Effect, Mend};

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
        if scene.apart(sender).is_some() {
            return self.kept_apart(sender, other);
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

    /// Two ipvlans on one interface, which has a flag that keeps them apart.
    pub(super) fn kept_apart(&self, sender: &End, other: &End) -> Cause {
        let scene = self.scene;
        let [from, to] = [sender, other].map(|end| scene.port(&end.ns, &end.name));
        let lower = scene.below(sender);
        let below = lower.as_ref().map(|end| scene.port(&end.ns, &end.name)).unwrap_or_default();
        let how = match scene.apart(sender) {
            Some(Apart::Vepa) => {
                format!(
                    "whose flag vepa has all that they send leave by it: nothing sends {to} that back"
                )
            }
            _ => "whose flag private lets nothing pass between them".to_owned(),
        };
        let evidence = format!("{from} and {to} are ipvlans on {below}, {how}");
        let mut cause =
            self.cause("ipvlan-apart", format!("{from} and {to}"), evidence, Vec::new());
        let command =
            format!("ip -n {} link set dev {} type ipvlan bridge", sender.ns, sender.name);
        cause.mend.extend(lower.map(|lower| Mend::Command {
            text: format!("~ {from}"),
            commands: vec![command],
            effect: Effect::Together(lower),
        }));
        cause
    }

    /// An ipvlan of mode `l3s` is given nothing by a VRF.
    pub(super) fn taken_by_vrf(&self, upper: &End, vrf: &IfName) -> Cause {
        let scene = self.scene;
        let port = scene.port(&upper.ns, &upper.name);
        let lower = scene.below(upper);
        let below = lower.map(|end| scene.port(&end.ns, &end.name)).unwrap_or_default();
        let evidence = format!(
            "{port} is an ipvlan in mode l3s on {below}, a port of the VRF {vrf}, which is given all \
             that comes in there"
        );
        let steps = self.with_mode(upper, IPVLAN_L3).into_iter().collect();
        self.cause("ipvlan-vrf", port, evidence, steps)
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

    /// Who is asked for is behind an ipvlan that answers no ARP.
    pub(super) fn no_arp(&self, from: &End, upper: &End, lower: &End, hop: IpAddr) -> Cause {
        let scene = self.scene;
        let how = if hop.is_ipv4() { "ARP" } else { "neighbour solicitation" };
        let [asker, upper, below] = [from, upper, lower].map(|end| scene.port(&end.ns, &end.name));
        if from == lower {
            let evidence = format!(
                "{upper} is an ipvlan in mode l3 on {below}, and what that sends leaves by the wire: only \
                 a router outside sends it back"
            );
            return self.cause("ipvlan-no-arp", upper, evidence, Vec::new());
        }
        let evidence = format!(
            "{upper} is an ipvlan in mode l3, which answers no {how}: {asker} asks for {hop} in vain, \
             and would have to send by way of {below}"
        );
        let own = scene.end(from).into_iter().flat_map(|it| &it.addresses);
        let own: Vec<IpNet> = own.map(|address| address.net).collect();
        let there = scene.end(lower).into_iter().flat_map(|it| &it.addresses);
        let mut there = there.map(|address| address.net.addr());
        let fits = |addr: &IpAddr| addr.is_ipv4() == hop.is_ipv4() && *addr != hop;
        let via = there.find(|addr| fits(addr) && own.iter().any(|net| net.contains(addr)));
        let route = via.filter(|_| from.ns != lower.ns).map(|via| {
            let leg = NextHop::via(via, from.name.clone());
            let change = Change::AddRoute(Route::unicast(IpNet::from(hop), vec![leg]));
            Step::new(from.ns.clone(), change)
        });
        self.cause("ipvlan-no-arp", upper, evidence, route.into_iter().collect())
    }

    /// Puts a macvlan into the mode in which it reaches its like.
    fn bridged(&self, end: &End) -> Option<Step> {
        match macvlan_mode(self.scene, end) {
            Some(BRIDGE) => None,
            _ => self.with_mode(end, BRIDGE),
        }
    }

    fn with_mode(&self, end: &End, mode: u64) -> Option<Step> {
        let spec = self.scene.end(end)?.kind.device()?.spec;
        let mode = (spec.option("mode")?, Value::Number(mode));
        let (wanted, rest) = ([mode].into_iter().collect(), Options::new());
        Some(set(&end.ns, &end.name, LinkSetting::Options { spec, port: false, set: wanted, rest }))
    }
}
