//! What a walk looks at: a state that can be mended on paper, and lookups in it.

mod below;
mod known;

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vnet_model::apply::Refused;
use vnet_model::facts::{BridgeEntry, InterfaceFacts, Neighbour, PolicyRule, Port};
use vnet_model::kind::{self, Value};
use vnet_model::nft::{Table, TableId};
use vnet_model::state::PortVlans;
use vnet_model::{
    Change, Desired, End, Entry, Facts, IfName, Interface, Kind, LinkSetting, Mac, Namespace,
    NamespaceFacts, NsName, Route, Rule, State, Step,
};

use crate::fib::{self, Decision, Flowi};
use crate::filter::{self, Asks};
use crate::tunnel::{self, Medium};
use crate::wire;
use crate::{Effect, Mend, World};

/// What it is where nobody set it (`IPDEFTTL`, linux/ip.h).
pub(crate) const TTL_DEFAULT: u32 = 64;

const IPV6_FORWARDING: &str = "net.ipv6.conf.all.forwarding";

/// A state with what is known about it.
pub(crate) struct Scene<'a> {
    pub(crate) state: Cow<'a, State>,
    facts: Option<&'a Facts>,
    intent: Option<&'a Desired>,
    /// What was meant, with the mends too: they are no deviation.
    meant: Option<Cow<'a, State>>,
    /// Namespaces that were mended: what was observed of their routes no longer holds.
    mended: BTreeSet<NsName>,
    /// Sysctls that were mended.
    sysctls: BTreeMap<(NsName, String), String>,
    /// Policy rules of namespaces where they were mended.
    rules: BTreeMap<NsName, Vec<PolicyRule>>,
    /// What was mended otherwise than by steps.
    effects: BTreeSet<Effect>,
    labels: BTreeMap<NsName, String>,
    /// What stands on interfaces of other namespaces.
    elsewhere: below::Uppers,
    /// What stands on interfaces of its own namespace, once that was asked.
    standing: OnceCell<below::Uppers>,
    /// The tunnels that the walk that goes on now is in, each with where its packet goes.
    tunnels: RefCell<Vec<(End, IpAddr)>>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(world: &World<'a>) -> Self {
        let labels = world.intent.into_iter().flat_map(|intent| {
            let places = intent.nodes.iter().chain(&intent.segments);
            places.map(|(name, ns)| (ns.clone(), name.to_string()))
        });
        let mut scene = Self {
            state: Cow::Borrowed(world.state),
            facts: world.facts,
            intent: world.intent,
            meant: world.intent.map(|intent| Cow::Borrowed(&intent.state)),
            mended: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            rules: BTreeMap::new(),
            effects: BTreeSet::new(),
            labels: labels.collect(),
            elsewhere: below::elsewhere(world.state, world.facts),
            standing: OnceCell::new(),
            tunnels: RefCell::default(),
        };
        scene.take_addresses();
        scene.take_nexthops();
        scene.take_options();
        for step in world.assumed.iter().filter(|step| !is_done(world.state, step)) {
            // What can't be done on paper is so already.
            let _ = scene.apply(step);
        }
        scene
    }

    /// Takes into the state the addresses with a lifetime: the kernel makes no difference.
    fn take_addresses(&mut self) {
        for (ns, facts) in self.facts.into_iter().flat_map(|facts| &facts.namespaces) {
            let found = self.state.namespaces.get(ns);
            if found.is_some_and(|found| facts.has_more_addresses(found))
                && let Some(found) = self.state.to_mut().namespaces.get_mut(ns)
            {
                facts.add_addresses(found);
            }
        }
    }

    /// Takes into the state the nexthop objects that others made: routes lead by them too.
    fn take_nexthops(&mut self) {
        let Some(facts) = self.facts else { return };
        for (ns, facts) in &facts.namespaces {
            for object in &facts.nexthops {
                let found = self.state.namespaces.get(ns);
                if found.is_some_and(|found| found.nexthop(object.id).is_none())
                    && let Some(found) = self.state.to_mut().namespaces.get_mut(ns)
                {
                    found.foreign.insert(Entry::Nexthop(object.clone()));
                }
            }
        }
    }

    /// Takes into the state what was observed of interfaces by which packets go other ways than on a
    /// wire: what nobody declared of them counts too.
    fn take_options(&mut self) {
        let Some(facts) = self.facts else { return };
        for (ns, facts) in &facts.namespaces {
            let Some(found) = self.state.namespaces.get(ns) else { continue };
            let goes_on = |interface: &Interface| {
                interface.kind.device().is_some_and(|device| !device.spec.is_bridge())
            };
            if !found.interfaces.values().any(goes_on) {
                continue;
            }
            let Some(found) = self.state.to_mut().namespaces.get_mut(ns) else { continue };
            for (name, facts) in &facts.interfaces {
                if let Some(interface) = found.interfaces.get_mut(name).filter(|it| goes_on(it)) {
                    facts.complete(interface);
                }
            }
        }
    }

    /// Tells whether an interface neither asks neighbours nor answers them.
    pub(crate) fn is_arp_off(&self, end: &End) -> bool {
        let facts = self.facts(&end.ns).and_then(|facts| facts.interfaces.get(&end.name));
        facts.is_some_and(|facts| facts.no_arp)
            && !self.effects.contains(&Effect::Resolves(end.clone()))
    }

    /// Tells whether the kernel has asked for a neighbour, and got no answer.
    pub(crate) fn is_silent(&self, end: &End, addr: IpAddr) -> bool {
        let silent = self.facts(&end.ns).map(|facts| facts.silent.as_slice()).unwrap_or_default();
        silent.iter().any(|(dev, other)| *dev == end.name && *other == addr)
    }

    /// Does a step on paper.
    pub(crate) fn apply(&mut self, step: &Step) -> Result<(), Refused> {
        self.standing.take();
        self.complete(&step.ns);
        let applied = step.apply(self.state.to_mut());
        match &step.change {
            // Of others' rules the state need not know.
            Change::SetEntry(Entry::Rule(rule)) => self.set_rule(&step.ns, rule, true),
            Change::DelEntry(Entry::Rule(rule)) => self.set_rule(&step.ns, rule, false),
            _ => applied?,
        }
        if let Some(meant) = &mut self.meant {
            // Most mends bring back what was meant: then it is there already.
            let _ = step.apply(meant.to_mut());
        }
        self.mended.insert(step.ns.clone());
        match &step.change {
            Change::SetSysctl { key, value } => {
                self.sysctls.insert((step.ns.clone(), key.clone()), value.clone());
            }
            // IPv6's follows (`addrconf_notify`, net/ipv6/addrconf.c).
            Change::SetLink { name, set: LinkSetting::Mtu(mtu) } => {
                self.sysctls.insert((step.ns.clone(), mtu_ipv6_key(name)), mtu.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes in the state what is known of a namespace's interfaces beside: once it is mended, the
    /// state alone says how they are.
    fn complete(&mut self, ns: &NsName) {
        let Some(facts) = self.facts.and_then(|facts| facts.namespaces.get(ns)) else { return };
        if facts.interfaces.is_empty() || self.mended.contains(ns) {
            return;
        }
        let Some(found) = self.state.to_mut().namespaces.get_mut(ns) else { return };
        for (name, facts) in &facts.interfaces {
            if let Some(interface) = found.interfaces.get_mut(name) {
                facts.complete(interface);
            }
        }
    }

    /// What was observed of an interface beside the state, as far as it still holds.
    fn beside(&self, end: &End) -> Option<&InterfaceFacts> {
        let facts = self.facts(&end.ns).filter(|_| !self.mended.contains(&end.ns));
        facts?.interfaces.get(&end.name)
    }

    /// An option of the kind of an interface.
    pub(crate) fn option(&self, end: &End, word: &str) -> Option<&Value> {
        let declared = self.end(end)?.kind.device()?.options.get(word);
        declared.or_else(|| self.beside(end)?.options.get(word))
    }

    /// Tells whether an option of the kind of an interface is on.
    pub(crate) fn is_on(&self, end: &End, word: &str) -> bool {
        self.option(end, word) == Some(&Value::Bool(true))
    }

    /// Tells whether an option of the port of a bridge is on; `None` where that is not known.
    pub(crate) fn port_is_on(&self, end: &End, word: &str) -> Option<bool> {
        let declared = self.end(end)?.port.get(word);
        match declared.or_else(|| self.beside(end)?.port.get(word)) {
            Some(Value::Bool(on)) => Some(*on),
            _ => None,
        }
    }

    /// The VLANs of the port of a bridge, or of the bridge itself.
    pub(crate) fn port_vlans(&self, end: &End) -> Option<PortVlans> {
        let (ns, interface) = (self.ns(&end.ns)?, self.end(end)?);
        let observed = || self.beside(end)?.vlans.clone();
        let known = interface.vlans.clone().or_else(observed);
        Some(known.unwrap_or_else(|| ns.port_vlans(&end.name)))
    }

    /// What somebody wrote down in a namespace of where bridges send frames to a hardware address.
    pub(crate) fn bridge_entries(&self, ns: &NsName, mac: Mac) -> Vec<&BridgeEntry> {
        let all = self.facts(ns).map(|facts| facts.fdb.as_slice()).unwrap_or_default();
        all.iter().filter(|entry| entry.mac == mac).collect()
    }

    /// Mends something on paper; tells whether that can be done.
    pub(crate) fn mend(&mut self, mend: &Mend) -> bool {
        match mend {
            Mend::Step(step) => self.apply(step).is_ok(),
            Mend::Command { effect, .. } => {
                if let Effect::Unruled(ns, rule) = effect {
                    self.set_rule(ns, rule, false);
                }
                self.effects.insert(effect.clone());
                true
            }
            Mend::Line { .. } => true,
        }
    }

    /// The tables of nf_tables in a namespace. The lab's own are in the state, where they can be
    /// mended; of others only the facts know what is in them.
    pub(crate) fn tables(&self, ns: &NsName) -> Vec<&Table> {
        let others = self.facts(ns).map(|facts| facts.tables.as_slice()).unwrap_or_default();
        let others = others.iter().filter(|table| table.mark.is_none());
        let own = self.ns(ns).into_iter().flat_map(|found| found.tables.values());
        others.chain(own.filter(|table| table.mark.is_some())).collect()
    }

    /// Tells whether a namespace has a text of nft's that nobody has tried out, so that its tables are
    /// not known.
    pub(crate) fn has_untried_text(&self, ns: &NsName) -> bool {
        let raw = self.ns(ns).and_then(|found| found.nft_text.as_ref());
        self.facts(ns).is_none() && raw.is_some_and(|raw| raw.tables.is_none())
    }

    /// Tells whether a chain lets packets through, or what looks for neighbours.
    pub(crate) fn is_let_through(
        &self,
        ns: &NsName,
        table: &TableId,
        chain: &str,
        asks: Option<Asks>,
    ) -> bool {
        let effect = match asks {
            None => Effect::LetThrough(ns.clone(), table.clone(), chain.to_owned()),
            Some(_) => Effect::LetAsk(ns.clone(), table.clone(), chain.to_owned()),
        };
        !self.effects.is_empty() && self.effects.contains(&effect)
    }

    /// Tells whether a namespace has chains that may drop frames.
    pub(crate) fn filters_frames(&self, ns: &NsName) -> bool {
        self.tables(ns).into_iter().any(filter::sees_frames)
    }

    /// Tells whether bridges of a namespace hand packets that they pass on to chains of IP, and there are
    /// any.
    pub(crate) fn hands_frames_on(&self, ns: &NsName) -> bool {
        self.tables(ns).into_iter().any(filter::sees_packets)
            && [false, true].into_iter().any(|ipv6| self.hands_on(ns, ipv6))
    }

    /// Tells whether bridges of a namespace hand packets of a family to chains of IP (`br_nf_pre_routing`,
    /// net/bridge/br_netfilter_hooks.c).
    pub(crate) fn hands_on(&self, ns: &NsName, ipv6: bool) -> bool {
        let key = match ipv6 {
            true => "net.bridge.bridge-nf-call-ip6tables",
            false => "net.bridge.bridge-nf-call-iptables",
        };
        self.sysctl_number(ns, key) != 0
    }

    /// Tells whether they do so with packets in VLANs too.
    pub(crate) fn hands_on_tagged(&self, ns: &NsName) -> bool {
        self.sysctl_number(ns, "net.bridge.bridge-nf-filter-vlan-tagged") != 0
    }

    /// The hardware address that somebody wrote down for a neighbour.
    pub(crate) fn written(&self, from: &End, addr: IpAddr) -> Option<Mac> {
        let all = &self.facts(&from.ns)?.neighbours;
        let entry = all.iter().find(|entry| entry.dev == from.name && entry.addr == addr)?;
        let forgotten = self.effects.contains(&Effect::Forgotten(from.clone(), addr));
        entry.mac.filter(|_| !forgotten)
    }

    /// The hardware address that a neighbour was learned to have, while nothing was mended that may have
    /// changed that.
    pub(crate) fn learned(&self, from: &End, addr: IpAddr) -> Option<Mac> {
        let facts = self.facts(&from.ns).filter(|_| !self.mended.contains(&from.ns))?;
        let is_it = |entry: &&Neighbour| entry.dev == from.name && entry.addr == addr;
        let entry = facts.learned.iter().find(is_it)?;
        let forgotten = self.effects.contains(&Effect::Forgotten(from.clone(), addr));
        entry.mac.filter(|_| !forgotten)
    }

    /// Tells whether a namespace was mended by a step.
    pub(crate) fn is_mended(&self, ns: &NsName) -> bool {
        self.mended.contains(ns)
    }

    /// What is the matter with the port of a bridge: as declared, where nothing was observed.
    pub(crate) fn port_facts(&self, end: &End) -> Port {
        let passes = Port { forwards: true, isolated: false };
        if self.effects.contains(&Effect::Passes(end.clone())) {
            return passes;
        }
        if self.facts.is_none() {
            let options = self.end(end).map(|port| &port.port);
            let isolated = options.and_then(|all| all.get("isolated")) == Some(&Value::Bool(true));
            return Port { isolated, ..passes };
        }
        let found = self.facts(&end.ns).and_then(|facts| facts.ports.get(&end.name));
        found.copied().unwrap_or(passes)
    }

    /// Tells whether an IPv6 address can't be used, and whether that is because another has it.
    pub(crate) fn unusable(&self, ns: &NsName, addr: IpAddr) -> Option<bool> {
        let all = &self.facts(ns)?.unusable;
        let (_, _, failed) = all.iter().find(|(_, other, _)| *other == addr)?;
        let usable = self.effects.contains(&Effect::Usable(ns.clone(), addr));
        (!usable).then_some(*failed)
    }

    /// Reads a setting of IPv4 on an interface: the greater of its own and that of all
    /// (`IN_DEV_MAXCONF`, linux/inetdevice.h).
    pub(crate) fn conf(&self, ns: &NsName, dev: &IfName, key: &str) -> u32 {
        let [all, own] = conf_keys(dev, key).map(|key| self.sysctl_number(ns, &key));
        all.max(own)
    }

    pub(crate) fn ns(&self, ns: &NsName) -> Option<&Namespace> {
        self.state.namespaces.get(ns)
    }

    pub(crate) fn interface(&self, ns: &NsName, dev: &IfName) -> Option<&Interface> {
        self.ns(ns)?.interfaces.get(dev)
    }

    pub(crate) fn end(&self, end: &End) -> Option<&Interface> {
        self.interface(&end.ns, &end.name)
    }

    /// What was meant of a namespace.
    pub(crate) fn meant(&self, ns: &NsName) -> Option<&Namespace> {
        self.meant.as_deref()?.namespaces.get(ns)
    }

    /// All that was meant.
    pub(crate) fn all_meant(&self) -> Option<&State> {
        self.meant.as_deref()
    }

    /// Plans the way to what was meant.
    pub(crate) fn plan(&self) -> Vec<Step> {
        let (Some(intent), Some(meant)) = (self.intent, &self.meant) else { return Vec::new() };
        vnet_model::plan::plan_between(&intent.lab, meant, &self.state).steps
    }

    /// What was meant of an interface.
    pub(crate) fn meant_interface(&self, ns: &NsName, dev: &IfName) -> Option<&Interface> {
        self.meant(ns)?.interfaces.get(dev)
    }

    pub(crate) fn facts(&self, ns: &NsName) -> Option<&NamespaceFacts> {
        self.facts?.namespaces.get(ns)
    }

    /// Names a namespace as a person does.
    pub(crate) fn label(&self, ns: &NsName) -> String {
        match (self.labels.get(ns), ns.process()) {
            (Some(label), _) => label.clone(),
            (None, Some(pid)) => pid.to_string(),
            (None, None) if ns.is_host() => "host".to_owned(),
            (None, None) => ns.to_string(),
        }
    }

    /// Names an interface as a person does.
    pub(crate) fn port(&self, ns: &NsName, dev: &IfName) -> String {
        format!("{}:{dev}", self.label(ns))
    }

    /// Finds what becomes of a packet.
    pub(crate) fn lookup(&self, ns: &NsName, packet: &Flowi) -> Decision {
        self.lookup_by(ns, packet, &self.rules(ns))
    }

    /// As [`Self::lookup`], with the policy rule that decides, where it is none of the usual ones.
    pub(crate) fn decide(&self, ns: &NsName, packet: &Flowi) -> (Decision, Option<Rule>) {
        let rules = self.rules(ns);
        let (decision, policy) = self.decide_by(ns, packet, &rules);
        (decision, policy.filter(|policy| !policy.is_usual()).map(|policy| policy.rule.clone()))
    }

    /// As [`Self::lookup`], with other policy rules.
    pub(crate) fn lookup_by(&self, ns: &NsName, packet: &Flowi, rules: &[PolicyRule]) -> Decision {
        self.decide_by(ns, packet, rules).0
    }

    fn decide_by<'r>(
        &self,
        ns: &NsName,
        packet: &Flowi,
        rules: &'r [PolicyRule],
    ) -> (Decision, Option<&'r PolicyRule>) {
        match self.ns(ns) {
            Some(found) => match self.tabled(ns, found, packet.dst) {
                Some(tabled) => {
                    let kernel =
                        self.kernel_routes(ns).map_or_else(|| fib::connected(found), Vec::from);
                    fib::decide(&tabled, Some(&kernel), rules, packet)
                }
                None => fib::decide(found, self.kernel_routes(ns), rules, packet),
            },
            None => (Decision::None, None),
        }
    }

    /// Finds what becomes of packets of the namespace's own to an address.
    pub(crate) fn lookup_to(&self, ns: &NsName, dst: IpAddr) -> Decision {
        self.lookup(ns, &Flowi::to(dst))
    }

    /// Finds what becomes of packets to an address in the VRF of an interface, if it is in one.
    pub(crate) fn lookup_beside(&self, ns: &NsName, dev: &IfName, dst: IpAddr) -> Decision {
        self.lookup(ns, &Flowi { vrf: self.vrf_of(ns, dev), ..Flowi::to(dst) })
    }

    /// The policy rules; none where they are those that every namespace is born with.
    pub(crate) fn rules(&self, ns: &NsName) -> Cow<'_, [PolicyRule]> {
        match (self.rules.get(ns), self.facts(ns)) {
            (Some(mended), _) => mended.as_slice().into(),
            (None, Some(facts)) => facts.rules.as_slice().into(),
            (None, None) => self.ns(ns).map(declared_rules).unwrap_or_default().into(),
        }
    }

    /// The policy rules that were meant; `None` where it is not known what was.
    pub(crate) fn meant_rules(&self, ns: &NsName) -> Option<Vec<PolicyRule>> {
        self.meant(ns).map(declared_rules)
    }

    /// Changes the policy rules on paper.
    fn set_rule(&mut self, ns: &NsName, rule: &Rule, is_there: bool) {
        let mut rules = match self.rules(ns) {
            Cow::Borrowed([]) => PolicyRule::born(),
            rules => rules.into_owned(),
        };
        rules.retain(|policy| policy.rule != *rule);
        if is_there {
            rules.push(rule.clone().into());
            rules.sort_by_key(|policy| policy.rule.priority);
        }
        self.rules.insert(ns.clone(), rules);
    }

    /// The routes that the kernel derived, in its order, as far as they were observed and still hold.
    pub(crate) fn kernel_routes(&self, ns: &NsName) -> Option<&[Route]> {
        let facts = self.facts(ns).filter(|_| !self.mended.contains(ns));
        facts.map(|facts| facts.routes.as_slice())
    }

    /// What was meant to become of a packet.
    pub(crate) fn meant_lookup(&self, ns: &NsName, packet: &Flowi) -> Option<Decision> {
        let meant = self.meant(ns)?;
        Some(fib::lookup(meant, None, &declared_rules(meant), packet))
    }

    /// Tells whether packets to an address end here by the table `local`, or that of a VRF.
    pub(crate) fn is_local(&self, ns: &NsName, vrf: Option<&IfName>, addr: IpAddr) -> bool {
        self.ns(ns).is_some_and(|found| fib::is_local(found, vrf, addr))
    }

    pub(crate) fn owns(&self, ns: &NsName, addr: IpAddr) -> bool {
        self.ns(ns).is_some_and(|found| fib::owns(found, addr))
    }

    /// The namespaces that have an address.
    pub(crate) fn owners(&self, addr: IpAddr) -> Vec<NsName> {
        let names = self.state.namespaces.iter();
        names.filter(|(_, ns)| fib::owns(ns, addr)).map(|(name, _)| name.clone()).collect()
    }

    /// Reads a sysctl, wherever it is known from.
    pub(crate) fn sysctl(&self, ns: &NsName, key: &str) -> Option<&str> {
        let mended = self.sysctls.get(&(ns.clone(), key.to_owned()));
        let observed = || self.facts(ns)?.sysctls.get(key);
        let declared = || self.ns(ns)?.sysctls.get(key);
        mended.or_else(observed).or_else(declared).map(String::as_str)
    }

    pub(crate) fn sysctl_number(&self, ns: &NsName, key: &str) -> u32 {
        self.sysctl(ns, key).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Tells whether packets that come in by an interface are passed on (`ip_route_input_slow`,
    /// net/ipv4/route.c; `ip6_forward`, net/ipv6/ip6_output.c: IPv6 knows one setting
    /// for all, and since Linux 6.17 another one).
    pub(crate) fn forwards(&self, ns: &NsName, dev: &IfName, ipv6: bool) -> bool {
        let on = |key: &str| self.sysctl_number(ns, key) != 0;
        if ipv6 {
            let dev = dev.in_sysctls();
            return on(IPV6_FORWARDING) || on(&format!("net.ipv6.conf.{dev}.force_forwarding"));
        }
        let own = self.interface(ns, dev).and_then(|interface| interface.forward_ipv4);
        own.unwrap_or_else(|| on("net.ipv4.ip_forward") || on("net.ipv4.conf.all.forwarding"))
    }

    /// How packets leave by an interface.
    pub(crate) fn medium(&self, end: &End) -> Medium {
        match self.end(end).map(|interface| &interface.kind) {
            Some(kind) if *kind == Kind::Loopback || kind.is_pair() => Medium::Wire,
            Some(Kind::Device(device)) if *device.spec == kind::VLAN => {
                wire::vlan_of(self, end).map_or(Medium::Unknown, |_| Medium::Wire)
            }
            Some(Kind::Device(_))
                if wire::shares(self, end).is_some() || wire::is_bond(self, end) =>
            {
                Medium::Wire
            }
            Some(Kind::Device(_)) if wire::is_routed_below(self, end) => Medium::Below,
            Some(Kind::Device(device)) => tunnel::medium(device.spec),
            _ => Medium::Unknown,
        }
    }

    /// Walks in a walk, as a packet of a tunnel to some address; nothing where it is in one of that tunnel
    /// already, or in too many. A WireGuard device may reach one of its peers by another.
    pub(crate) fn nested<T>(
        &self,
        max: usize,
        (from, dst): (&End, IpAddr),
        walk: impl FnOnce() -> T,
    ) -> Option<T> {
        let has_peers = matches!(self.medium(from), Medium::Wireguard);
        let is_same = |(other, to): &(End, IpAddr)| other == from && (*to == dst || !has_peers);
        let depth = self.tunnels.borrow().len();
        if depth >= max || self.tunnels.borrow().iter().any(is_same) {
            return None;
        }
        self.tunnels.borrow_mut().push((from.clone(), dst));
        let walked = walk();
        self.tunnels.borrow_mut().truncate(depth);
        Some(walked)
    }

    /// The VRF that an interface is, or is a port of.
    pub(crate) fn vrf_of(&self, ns: &NsName, dev: &IfName) -> Option<IfName> {
        fib::vrf_of(self.ns(ns)?, dev).cloned()
    }

    /// The bridge or bond that an interface is a port of. The ports of a VRF are stations.
    pub(crate) fn bridge_of(&self, end: &End) -> Option<IfName> {
        bridge_in(self.ns(&end.ns)?, &end.name)
    }

    /// The bridge or bond that an interface was meant to be a port of, if it is there.
    pub(crate) fn meant_bridge_of(&self, end: &End) -> Option<IfName> {
        let master = bridge_in(self.meant(&end.ns)?, &end.name)?;
        self.interface(&end.ns, &master).is_some().then_some(master)
    }

    /// The bridge ports of a namespace.
    pub(crate) fn ports(&self, ns: &NsName, bridge: &IfName) -> Vec<IfName> {
        let interfaces = self.ns(ns).into_iter().flat_map(|found| &found.interfaces);
        let ports = interfaces.filter(|(_, port)| port.master.as_ref() == Some(bridge));
        ports.map(|(name, _)| name.clone()).collect()
    }
}

/// Tells whether a step takes down what is down.
fn is_done(state: &State, step: &Step) -> bool {
    let Change::SetLink { name, set: LinkSetting::Up(false) } = &step.change else { return false };
    let found = state.namespaces.get(&step.ns).and_then(|found| found.interfaces.get(name));
    found.is_some_and(|interface| !interface.up)
}

/// The policy rules of a namespace as declared; none where no rule is.
fn declared_rules(ns: &Namespace) -> Vec<PolicyRule> {
    let own = ns.entries.iter().chain(&ns.foreign).filter_map(|entry| match entry {
        Entry::Rule(rule) => Some(PolicyRule::from(rule.clone())),
        _ => None,
    });
    let mut rules: Vec<PolicyRule> = own.collect();
    let has_vrf = ns.interfaces.keys().any(|dev| fib::vrf_of(ns, dev).is_some());
    if !rules.is_empty() || has_vrf {
        rules.extend(PolicyRule::born());
        rules.extend(has_vrf.then(PolicyRule::of_vrfs).into_iter().flatten());
        rules.sort_by_key(|policy| policy.rule.priority);
    }
    rules
}

fn bridge_in(ns: &Namespace, dev: &IfName) -> Option<IfName> {
    let master = ns.interfaces.get(dev)?.master.as_ref()?;
    let vrf = ns.interfaces.get(master).and_then(|it| it.kind.device());
    (!vrf.is_some_and(|device| device.spec.is_vrf())).then(|| master.clone())
}

/// The setting that says with which time to live packets leave by an interface.
pub(crate) fn ttl_key(dev: &IfName, ipv6: bool) -> String {
    match ipv6 {
        true => format!("net.ipv6.conf.{}.hop_limit", dev.in_sysctls()),
        false => "net.ipv4.ip_default_ttl".to_owned(),
    }
}

/// The setting that says the MTU of an interface for IPv6.
pub(crate) fn mtu_ipv6_key(dev: &IfName) -> String {
    format!("net.ipv6.conf.{}.mtu", dev.in_sysctls())
}

/// A setting of IPv4 on all interfaces, and on one.
pub(crate) fn conf_keys(dev: &IfName, key: &str) -> [String; 2] {
    [format!("net.ipv4.conf.all.{key}"), conf_key(dev, key)]
}

/// A setting of IPv4 on an interface.
pub(crate) fn conf_key(dev: &IfName, key: &str) -> String {
    format!("net.ipv4.conf.{}.{key}", dev.in_sysctls())
}
