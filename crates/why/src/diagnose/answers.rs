//! Who does not answer although it is there: for its address, or at a port.

use std::net::IpAddr;

use vnet_model::facts::Transport;
use vnet_model::{End, IfName, Mac, NsName, Packet};

use super::{Case, add_again};
use crate::walk::Misled;
use crate::{Cause, Effect};

impl Case<'_, '_> {
    /// It has the address and does not answer for it on this link.
    pub(super) fn arp_silent(&self, end: &End, key: &str) -> Cause {
        let port = self.scene.port(&end.ns, &end.name);
        let evidence = format!("{port} does not answer for the address by ARP: its {key} is set");
        self.cause("arp-silent", port, evidence, self.conf_off(&end.ns, &end.name, key))
    }

    /// Somebody wrote down another hardware address than its own.
    pub(super) fn wrong_neighbour(
        &self,
        ns: &NsName,
        dev: &IfName,
        hop: IpAddr,
        mac: Mac,
    ) -> Cause {
        let port = self.scene.port(ns, dev);
        let from = End { ns: ns.clone(), name: dev.clone() };
        let heals = match self.scene.written(&from, hop) {
            Some(_) => "",
            None => "; it was not written to stay, and the kernel asks anew when it gets old",
        };
        let evidence = format!("{port} has a neighbour entry that says {hop} is at {mac}{heals}");
        let object = format!("neighbour {hop} on {port}");
        let text = format!("- {object}");
        let commands = vec![format!("ip -n {ns} neigh del {hop} dev {dev}")];
        let effect = Effect::Forgotten(from, hop);
        self.cause("wrong-neighbour", object, evidence, Vec::new()).by(text, commands, effect)
    }

    /// A neighbour entry that says of the next hop what is another's hardware address.
    pub(super) fn misled(&self, misled: &Misled) -> Cause {
        let Misled { from, hop, mac, there } = misled;
        let cause = self.wrong_neighbour(&from.ns, &from.name, *hop, *mac);
        let there = self.scene.port(&there.ns, &there.name);
        let evidence = format!("{}: that is {there}, which does not have {hop}", cause.evidence);
        Cause { evidence, ..cause }
    }

    /// A port at which nobody listens, or not on this address.
    pub(super) fn nobody_listens(&self, ns: &NsName) -> Cause {
        let label = self.scene.label(ns);
        let (dst, packet) = (self.dst, self.question.packet);
        let port = self.walked.dport.or(packet.port()).unwrap_or_default();
        let transport = match packet {
            Packet::Udp(_) => Transport::Udp,
            _ => Transport::Tcp,
        };
        let word = if transport == Transport::Udp { "udp" } else { "tcp" };
        let here = |ns: &NsName| {
            let all = self.scene.facts(ns).and_then(|facts| facts.listeners.as_deref());
            let all = all.unwrap_or_default().iter();
            all.filter(|one| one.transport == transport && one.port == port)
                .cloned()
                .collect::<Vec<_>>()
        };
        let own = here(ns);
        let object = format!("{word}/{port} on {label}");
        if let Some(one) = own.first() {
            let evidence =
                format!("{label} listens on {word}/{port}, but only at {}, not at {dst}", one.addr);
            return self.cause("listens-elsewhere", object, evidence, Vec::new());
        }
        let mut others = self.scene.state.namespaces.keys().filter(|other| !here(other).is_empty());
        let evidence = match others.next() {
            Some(other) => format!(
                "nobody listens on {word}/{port} in {label}; somebody does in {}",
                self.scene.label(other)
            ),
            None => format!("nobody listens on {word}/{port} in {label}"),
        };
        self.cause("nobody-listens", object, evidence, Vec::new())
    }

    /// A port of a bridge that passes nothing on.
    pub(super) fn blocked_port(&self, end: &End, isolated: bool) -> Cause {
        let port = self.scene.port(&end.ns, &end.name);
        let (code, what) = match isolated {
            true => ("port-isolated", "is isolated, like the one that the packet came in by"),
            false => ("port-blocked", "does not forward: the spanning tree protocol blocks it"),
        };
        let evidence = format!("{port}, a port of a bridge, {what}");
        let (ns, dev) = (&end.ns, &end.name);
        let set = |dev: &IfName, what: &str| format!("ip -n {ns} link set dev {dev} {what}");
        let bridge = self.scene.end(end).and_then(|interface| interface.master.clone());
        let commands = match (isolated, bridge) {
            (true, _) => vec![set(dev, "type bridge_slave isolated off")],
            // Without it a port forwards as soon as it is up.
            (false, Some(bridge)) => {
                vec![set(&bridge, "type bridge stp_state 0"), set(dev, "down"), set(dev, "up")]
            }
            (false, None) => Vec::new(),
        };
        let (text, effect) = (format!("~ {port}"), Effect::Passes(end.clone()));
        self.cause(code, port, evidence, Vec::new()).by(text, commands, effect)
    }

    /// An IPv6 address that can't be used.
    pub(super) fn unusable(&self, ns: &NsName, addr: IpAddr, failed: bool) -> Cause {
        let label = self.scene.label(ns);
        let object = format!("{addr} on {label}");
        if !failed {
            let evidence = format!(
                "{addr} on {label} is tentative: it is still being found out whether another has it"
            );
            let commands = vec!["sleep 2".to_owned()];
            let effect = Effect::Usable(ns.clone(), addr);
            let cause = self.cause("address-tentative", object, evidence, Vec::new());
            return cause.by("wait two seconds", commands, effect);
        }
        let others = self.scene.owners(addr).into_iter().filter(|other| other != ns);
        let others: Vec<NsName> = others.collect();
        let names: Vec<String> = others.iter().map(|other| self.scene.label(other)).collect();
        let whose = if names.is_empty() { "another".to_owned() } else { names.join(" and ") };
        let evidence = format!("{label} can't use {addr}, because {whose} has it too");
        let away = others.iter().flat_map(|other| self.without_address(other, addr)).collect();
        let cause = self.cause("dad-failed", object, evidence, away);
        let held = self.scene.ns(ns).and_then(|found| crate::fib::holder(found, addr));
        let Some((dev, net)) = held else { return cause };
        let again = add_again(ns, dev, net).into_iter();
        let commands = again.chain(["sleep 2".to_owned()]).collect();
        let text = format!("~ {net} on {}", self.scene.port(ns, dev));
        cause.by(text, commands, Effect::Usable(ns.clone(), addr))
    }
}
