//! A resolved topology as a file again: `vnet config`.
//!
//! Ranges, variables, `pool` and derived names are written out: each interface stands with its
//! name, hardware address, MTU and addresses, each link with its name. Reading the text back
//! resolves to the same network.
//!
//! Routes are those of the resolved network. With `routing: auto` it stays at that, and at the
//! routes as written: those found grow with the square of the network. (`vnet show` has them.)
//! `gateway:` stays, since a gateway forwards.

mod route;

mod filter;

use std::collections::BTreeMap;
use std::fmt::Write;

use vnet_model::ipnet::IpNet;
use vnet_model::kind::{self, Value};
use vnet_model::plan::interface_of_sysctl;
use vnet_model::topology::{
    Addressing, Endpoint, InterfaceOptions, Link, NetnsPattern, Node, NodeInterfaceKind, Routing,
    Segment, SegmentKind, StaticFdb, VlanSpec,
};
use vnet_model::{
    Desired, Entry, IfName, Interface, Kind, Namespace, NodeName, PortVlan, Topology,
};

use route::{route, static_route};

/// Writes a topology and what was derived from it as one file in which nothing is left open.
///
/// ```
/// let source = vnet_file::Source::new(
///     "vnet.yaml",
///     "{ name: demo, nodes: [ a1..2 ], links: [{ endpoints: [ a1, a2 ], prefix: 10.0.0.0/24 }] }",
/// );
/// let file = vnet_file::parse(&source, &[]).unwrap();
/// let text = vnet_file::write(file.topology(), &file.resolve().unwrap());
/// assert!(text.contains("a2:a1: { addresses: [ 10.0.0.2/24 ], mac: "));
/// ```
#[must_use]
pub fn write(topology: &Topology, desired: &Desired) -> String {
    let routes_as_written = topology.routing() == Routing::Auto;
    let is_short = false;
    let mut writer = Writer { topology, desired, routes_as_written, is_short, out: String::new() };
    writer.file(topology);
    writer.out
}

/// Writes a topology as short as it means something: what it does not say, nothing is written of.
#[must_use]
pub fn write_short(topology: &Topology, desired: &Desired) -> String {
    let (routes_as_written, is_short) = (true, true);
    let mut writer = Writer { topology, desired, routes_as_written, is_short, out: String::new() };
    writer.file(topology);
    writer.out
}

struct Writer<'t> {
    topology: &'t Topology,
    desired: &'t Desired,
    /// Whether derived values are left out.
    is_short: bool,
    /// Whether routes are written as they were, not as they came out.
    routes_as_written: bool,
    out: String,
}

impl Writer<'_> {
    fn file(&mut self, topology: &Topology) {
        self.line(0, "name", &scalar(topology.name().as_str()));
        if !self.is_short || *topology.netns() != NetnsPattern::default() {
            self.line(0, "netns", &pattern(topology.netns().as_str()));
        }
        if topology.routing() == Routing::Auto {
            self.line(0, "routing", "auto");
        }
        if !topology.allowed().is_empty() {
            let codes: Vec<String> = topology.allowed().iter().map(|code| scalar(code)).collect();
            self.line(0, "allow", &format!("[ {} ]", codes.join(", ")));
        }
        self.heading("nodes", topology.nodes().is_empty());
        for node in topology.nodes() {
            self.node(node);
        }
        self.heading("segments", topology.segments().is_empty());
        for segment in topology.segments() {
            self.segment(segment);
        }
        self.heading("links", topology.links().is_empty());
        for (index, link) in topology.links().iter().enumerate() {
            self.link(index, link);
        }
        self.heading("expect", topology.expect().is_empty());
        for expectation in topology.expect() {
            let _ = writeln!(self.out, "  - {}", scalar(&expectation.text));
        }
    }

    fn heading(&mut self, key: &str, is_empty: bool) {
        if !is_empty {
            self.line(0, key, "");
        }
    }

    fn line(&mut self, indent: usize, key: &str, value: &str) {
        let space = if value.is_empty() { "" } else { " " };
        let _ = writeln!(self.out, "{:indent$}{key}:{space}{value}", "");
    }

    fn namespace(&self, node: &NodeName) -> Option<&Namespace> {
        self.desired.state.namespaces.get(&self.desired.ns_of(node.as_str())?)
    }

    fn node(&mut self, node: &Node) {
        self.line(2, &scalar(node.name.as_str()), "");
        if node.forward {
            self.line(4, "forward", "true");
        }
        if !node.ipv6 {
            self.line(4, "ipv6", "off");
        }
        self.node_interfaces(node);
        let routes: Vec<String> = match self.namespace(&node.name) {
            Some(namespace) if !self.routes_as_written => {
                namespace.routes.iter().map(route).collect()
            }
            _ => node.routes.iter().map(static_route).collect(),
        };
        self.heading_at(4, "routes", routes.is_empty());
        for route in routes {
            let _ = writeln!(self.out, "      - {}", scalar(&route));
        }
        self.entries(node);
        self.heading_at(4, "publish", node.publish.is_empty());
        for port in &node.publish {
            self.item(6, &scalar(&port.to_string()));
        }
        let sysctls = self.written_sysctls(node);
        self.heading_at(4, "sysctls", sysctls.is_empty());
        for (key, value) in sysctls {
            self.line(6, &scalar(&key), &scalar(&value));
        }
        if let Some(firewall) = &node.firewall {
            self.firewall(firewall);
        }
        if let Some(raw) = &node.nftables {
            self.block(4, "nftables", &raw.text);
        }
        self.heading_at(4, "nat", node.nat.is_empty());
        for rule in &node.nat {
            self.translation(&rule.kind);
        }
    }

    fn item(&mut self, indent: usize, value: &str) {
        let _ = writeln!(self.out, "{:indent$}- {value}", "");
    }

    /// The sysctls of a node as the file wrote them, and those of its interfaces by their full names.
    fn written_sysctls(&self, node: &Node) -> BTreeMap<String, String> {
        let mut sysctls = BTreeMap::new();
        let all = self.namespace(&node.name).into_iter().flat_map(|ns| &ns.sysctls);
        let own = all.filter(|(key, _)| interface_of_sysctl(key).is_some());
        sysctls.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        let written = node.sysctls.iter();
        sysctls.extend(written.map(|(key, sysctl)| (key.clone(), sysctl.value.clone())));
        sysctls
    }

    fn entries(&mut self, node: &Node) {
        let Some(namespace) = self.namespace(&node.name) else { return };
        let (mut nexthops, mut rules, mut neighbors) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &namespace.entries {
            match entry {
                Entry::Nexthop(it) => nexthops.push(it.to_string()),
                Entry::Rule(it) => rules.push(it.to_string()),
                Entry::Neighbor(it) => neighbors.push(it.to_string()),
                _ => {}
            }
        }
        let fdb = node.fdb.iter();
        let fdb = fdb.map(|StaticFdb { dev, entry }| format!("{entry} dev {dev}")).collect();
        let lists =
            [("nexthops", nexthops), ("rules", rules), ("neighbors", neighbors), ("fdb", fdb)];
        for (key, list) in lists {
            self.heading_at(4, key, list.is_empty());
            for text in list {
                let _ = writeln!(self.out, "      - {}", scalar(&text));
            }
        }
    }

    /// Writes a text of several lines as it is, where YAML keeps it so; variables have no meaning
    /// in it.
    fn block(&mut self, indent: usize, key: &str, text: &str) {
        let is_kept = text.ends_with('\n')
            && !text.ends_with("\n\n")
            && !text.starts_with([' ', '\n', '\t'])
            && text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control());
        if !is_kept {
            return self.line(indent, key, &quoted_if_needed(text));
        }
        self.line(indent, key, "|");
        for line in text.lines() {
            let space = if line.is_empty() { 0 } else { indent + 2 };
            let _ = writeln!(self.out, "{:space$}{line}", "");
        }
    }

    fn heading_at(&mut self, indent: usize, key: &str, is_empty: bool) {
        if !is_empty {
            self.line(indent, key, "");
        }
    }

    /// Writes what stands at no end of a link and at no member of a segment: `lo`, where there is
    /// something to say about it, the VLANs of trunks, and what the node makes itself.
    fn node_interfaces(&mut self, node: &Node) {
        let Some(namespace) = self.namespace(&node.name) else { return };
        let mut lines = Vec::new();
        let is_made = |name: &IfName| {
            let mut here = node.interfaces.iter().filter(|declared| declared.name == *name);
            here.any(|declared| declared.kind != NodeInterfaceKind::Existing)
        };
        for (name, interface) in &namespace.interfaces {
            // The VLANs of a trunk, which the member that has it says nothing about.
            let is_vlan = interface.kind.device().is_some_and(|it| *it.spec == kind::VLAN);
            if interface.kind == Kind::Loopback || (is_vlan && !is_made(name)) {
                let declared = node.interfaces.iter().find(|declared| declared.name == *name);
                let options =
                    self.options((interface, namespace), declared.map(|it| &it.options), node.ipv6);
                if !options.is_empty() {
                    lines.push((scalar(name.as_str()), flow_map(&options)));
                }
            }
        }
        for declared in &node.interfaces {
            let NodeInterfaceKind::Device { device, ports } = &declared.kind else {
                // All else is said where the interface is made.
                let vlans = vlans(&declared.options);
                if !vlans.is_empty() {
                    lines.push((scalar(declared.name.as_str()), flow_map(&vlans)));
                }
                continue;
            };
            let mut all = vec![("kind", device.spec.name.to_owned())];
            all.extend(device.lower.as_ref().map(|lower| ("link", scalar(lower.as_str()))));
            let host = device.host_lower.as_ref();
            all.extend(host.map(|lower| ("link", scalar(&format!("host:{lower}")))));
            if !ports.is_empty() {
                all.push(("ports", flow_list(ports.iter().map(|port| scalar(port.as_str())))));
            }
            for (option, value) in device.options.of(device.spec.options) {
                // A bridge without STP is what a bridge is where nothing is said.
                let is_usual = option.word == "stp_state" && *value == Value::Bool(false);
                if !is_usual {
                    all.push((option.key, scalar(&option.form.written(value))));
                }
            }
            if let Some(interface) = namespace.interfaces.get(&declared.name) {
                all.extend(self.options(
                    (interface, namespace),
                    Some(&declared.options),
                    node.ipv6,
                ));
            }
            all.extend(vlans(&declared.options));
            lines.push((scalar(declared.name.as_str()), flow_map(&all)));
        }
        self.heading_at(4, "interfaces", lines.is_empty());
        for (name, options) in lines {
            self.line(6, &name, &options);
        }
    }

    fn segment(&mut self, segment: &Segment) {
        self.line(2, &scalar(segment.name.as_str()), "");
        if let SegmentKind::Vxlan(vxlan) = &segment.kind {
            self.line(4, "kind", "vxlan");
            self.line(4, "id", &vxlan.id.to_string());
            self.line(4, "over", &scalar(vxlan.over.as_str()));
            self.line(4, "dstport", &vxlan.port.to_string());
            if let Some(group) = vxlan.group {
                self.line(4, "group", &scalar(&group.to_string()));
            }
        }
        if let SegmentKind::Wireguard { tunnel, hub } = &segment.kind {
            self.line(4, "kind", tunnel.device.spec.name);
            for (option, value) in tunnel.device.options.of(tunnel.device.spec.options) {
                self.line(4, option.key, &scalar(&option.form.written(value)));
            }
            let over = tunnel.over.as_ref().map(|over| ("over", over.as_str()));
            let hub = hub.as_ref().map(|hub| ("hub", hub.as_str()));
            for (key, name) in over.into_iter().chain(hub) {
                self.line(4, key, &scalar(name));
            }
        }
        if !segment.prefixes.is_empty() {
            self.line(4, "prefix", &prefixes(&segment.prefixes));
        }
        if !segment.reserved.is_empty() {
            self.line(4, "reserve", &prefixes(&segment.reserved));
        }
        self.gateway(4, segment.gateway.as_ref());
        let vlan = segment.vlan.map(u32::from);
        let numbers = [("vlan", vlan), ("mtu", segment.mtu), ("cost", segment.cost)];
        for (key, number) in numbers {
            if let Some(number) = number {
                self.line(4, key, &number.to_string());
            }
        }
        for (key, is_on) in [("stp", segment.stp), ("external", segment.external)] {
            if is_on {
                self.line(4, key, "true");
            }
        }
        for (option, value) in segment.bridge.of(kind::BRIDGE.options) {
            self.line(4, option.key, &scalar(&option.form.written(value)));
        }
        self.heading_at(4, "members", segment.members.is_empty());
        let names = self.member_interfaces(segment);
        for (member, name) in segment.members.iter().zip(names) {
            let (key, options) = self.end(member, name.as_ref());
            self.line(6, &key, &options);
        }
    }

    fn link(&mut self, index: usize, link: &Link) {
        let Some(derived) = self.desired.links.get(index) else { return };
        let name = if self.is_short { link.name.as_ref() } else { Some(&derived.name) };
        let mut entry = Item { out: &mut self.out, is_first: true };
        if let Some(name) = name {
            entry.line("name", &scalar(name));
        }
        if let Addressing::Prefixes(list) = &link.addressing
            && !list.is_empty()
        {
            entry.line("prefix", &prefixes(list));
        }
        if let Some(gateway) = &link.gateway {
            entry.line("gateway", &scalar(gateway.as_str()));
        }
        if let Some(cost) = link.cost {
            entry.line("cost", &cost.to_string());
        }
        if let Some(device) = link.cable.as_ref().or(link.tunnel.as_ref().map(|it| &it.device)) {
            entry.line("kind", device.spec.name);
            for (option, value) in device.options.of(device.spec.options) {
                entry.line(option.key, &scalar(&option.form.written(value)));
            }
        }
        if let Some(over) = link.tunnel.as_ref().and_then(|tunnel| tunnel.over.as_ref()) {
            entry.line("over", &scalar(over.as_str()));
        }
        if !link.trunk.is_empty() {
            entry.line("trunk", &names(&link.trunk));
        }
        entry.line("endpoints", "");
        for (end, (_, interface)) in link.ends.iter().zip(&derived.ends) {
            let (key, options) = self.end(end, Some(interface));
            let _ = writeln!(self.out, "      - {key}: {options}");
        }
    }

    fn gateway(&mut self, indent: usize, gateway: Option<&NodeName>) {
        if let Some(gateway) = gateway {
            self.line(indent, "gateway", &scalar(gateway.as_str()));
        }
    }

    /// Writes an end of a link or a member of a segment: its key and its options.
    fn end(&self, end: &Endpoint, name: Option<&IfName>) -> (String, String) {
        let namespace = self.namespace(&end.node);
        let interface = name.zip(namespace).and_then(|(name, ns)| ns.interfaces.get(name));
        let Some(((interface, name), namespace)) = interface.zip(name).zip(namespace) else {
            return (scalar(&end.node.to_string()), "{}".to_owned());
        };
        let has_ipv6 = self.has_ipv6(&end.node);
        let mut options = self.options((interface, namespace), Some(&end.options), has_ipv6);
        options.extend(end.vlan.as_ref().map(|vlan| ("vlan", scalar(vlan.as_str()))));
        // At the end of a link it is the interface's own option.
        if end.isolated && interface.port.get("isolated").is_none() {
            options.push(("isolated", "true".to_owned()));
        }
        options.extend(end.listen_port.map(|port| ("listen_port", port.to_string())));
        if !end.allowed_ips.is_empty() {
            options.push(("allowed_ips", prefixes(&end.allowed_ips)));
        }
        if !end.trunk.is_empty() {
            options.push(("trunk", names(&end.trunk)));
        }
        // A name that was shortened must be derived again, else the full one would be lost.
        let key = match interface.altnames.is_empty() || end.node.is_host() {
            true => format!("{}:{name}", end.node),
            false => end.node.to_string(),
        };
        (scalar(&key), flow_map(&options))
    }

    /// Tells whether IPv6 runs in a node: else nothing is said of it at each interface.
    fn has_ipv6(&self, name: &NodeName) -> bool {
        let mut nodes = self.topology.nodes().iter();
        name.is_host() || nodes.find(|node| node.name == *name).is_some_and(|node| node.ipv6)
    }

    /// Returns the options of an interface: where it is to be short, of those that can be derived
    /// only the declared ones.
    fn options(
        &self,
        (interface, namespace): (&Interface, &Namespace),
        declared: Option<&InterfaceOptions>,
        has_ipv6: bool,
    ) -> Vec<(&'static str, String)> {
        let mut all = options(interface, namespace);
        if let Some(on) = ipv6_option(interface, namespace).filter(|_| has_ipv6) {
            all.push(("ipv6", if on { "on" } else { "off" }.to_owned()));
        }
        let declares = |what: fn(&InterfaceOptions) -> bool| declared.is_some_and(what);
        all.retain(|(key, _)| match *key {
            "mac" => !self.is_short || declares(|options| options.mac.is_some()),
            "mtu" => !self.is_short || declares(|options| options.mtu.is_some()),
            _ => true,
        });
        all
    }

    /// Returns the interfaces that membership in a segment made, in the order of its members.
    ///
    /// Where a member does not name it, it is the peer of the segment's port for that member.
    fn member_interfaces(&self, segment: &Segment) -> Vec<Option<IfName>> {
        let mut numbers = std::collections::HashMap::new();
        let derived = |number: usize| match number {
            1 => segment.name.to_string(),
            number => format!("{}-{number}", segment.name),
        };
        segment
            .members
            .iter()
            .map(|member| {
                let number = numbers.entry(&member.node).or_insert(0);
                *number += 1;
                if let Some(name) = &member.interface {
                    return Some(name.clone());
                }
                let full = derived(*number);
                let interfaces = &self.namespace(&member.node)?.interfaces;
                if let Ok(name) = IfName::new(&full)
                    && interfaces.contains_key(&name)
                {
                    return Some(name);
                }
                let shortened = |(_, it): &(&IfName, &Interface)| it.altnames.contains(&full);
                interfaces.iter().find(shortened).map(|(name, _)| name.clone())
            })
            .collect()
    }
}

/// An entry of a list, whose first key stands behind a dash.
struct Item<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl Item<'_> {
    fn line(&mut self, key: &str, value: &str) {
        let dash = if std::mem::take(&mut self.is_first) { "- " } else { "  " };
        let space = if value.is_empty() { "" } else { " " };
        let _ = writeln!(self.out, "  {dash}{key}:{space}{value}");
    }
}

/// Returns whether IPv6 runs on an interface, where that is not as it would be anyway.
fn ipv6_option(interface: &Interface, namespace: &Namespace) -> Option<bool> {
    let master = interface.master.as_ref().and_then(|master| namespace.interfaces.get(master));
    let is_wire =
        interface.kind.is_bridge() || master.is_some_and(|master| master.kind.has_wires());
    let expected = is_wire.then_some(!interface.addresses.is_empty());
    interface.ipv6.filter(|on| expected != Some(*on))
}

/// Returns the options of an interface that say what is not so anyway.
fn options(interface: &Interface, namespace: &Namespace) -> Vec<(&'static str, String)> {
    let mut options = Vec::new();
    let is_loopback = interface.kind == Kind::Loopback;
    let own = |net: &IpNet| is_loopback && net.addr().is_loopback() && is_born(net);
    let addresses = interface.addresses.iter().map(|address| address.net);
    let addresses: Vec<String> =
        addresses.filter(|net| !own(net)).map(|net| scalar(&net.to_string())).collect();
    if !addresses.is_empty() {
        options.push(("addresses", flow_list(addresses.into_iter())));
    }
    if let Some(mac) = interface.mac {
        options.push(("mac", mac.to_string()));
    }
    if let Some(mtu) = interface.mtu {
        options.push(("mtu", mtu.to_string()));
    }
    if let Some(length) = interface.txqueuelen {
        options.push(("txqueuelen", length.to_string()));
    }
    options.extend(interface.queues.words().map(|(word, count)| (word, count.to_string())));
    if let Some(cpus) = &interface.rps_cpus {
        options.push(("rps_cpus", scalar(&cpus.to_string())));
    }
    if !interface.offload.is_empty() {
        let word = |on: bool| if on { "on" } else { "off" }.to_owned();
        let words = interface.offload.iter().map(|(it, on)| (it.to_string(), word(*on)));
        let words: Vec<(String, String)> = words.collect();
        let words: Vec<(&str, String)> =
            words.iter().map(|(it, on)| (it.as_str(), on.clone())).collect();
        options.push(("offload", flow_map(&words)));
    }
    if !interface.up {
        options.push(("up", "false".to_owned()));
    }
    if let Some(alias) = &interface.alias {
        options.push(("alias", scalar(alias)));
    }
    if let Some(master) = &interface.master {
        let kind = namespace.interfaces.get(master).and_then(|master| master.kind.device());
        if kind.is_some_and(|device| device.spec.is_vrf()) {
            options.push(("vrf", scalar(master.as_str())));
        }
    }
    let port = [kind::BRIDGE.port, kind::BOND.port].into_iter();
    let port: Vec<(&str, String)> = port
        .flat_map(|table| interface.port.of(table))
        .map(|(option, value)| (option.key, scalar(&option.form.written(value))))
        .collect();
    if !port.is_empty() {
        options.push(("port", flow_map(&port)));
    }
    options
}

/// Returns the VLANs of a port of a bridge of the node, as they were said.
fn vlans(options: &InterfaceOptions) -> Vec<(&'static str, String)> {
    let Some(specs) = &options.vlans else { return Vec::new() };
    let is_access = |spec: &&VlanSpec| spec.how == PortVlan::UNTAGGED;
    let access = specs.iter().find(is_access);
    let trunk =
        specs.iter().filter(|spec| access.is_none_or(|access| !std::ptr::eq(*spec, access)));
    let trunk: Vec<String> = trunk.map(|spec| scalar(&spec.to_string())).collect();
    let access = access.map(|spec| ("vlan", scalar(&spec.which.to_string())));
    let has_trunk = !trunk.is_empty() || access.is_none();
    let trunk = has_trunk.then(|| ("trunk", flow_list(trunk.into_iter())));
    access.into_iter().chain(trunk).collect()
}

/// Tells whether the kernel gives `lo` this address by itself.
fn is_born(net: &IpNet) -> bool {
    matches!(net.to_string().as_str(), "127.0.0.1/8" | "::1/128")
}

fn prefixes(list: &[IpNet]) -> String {
    match list {
        [one] => scalar(&one.to_string()),
        list => flow_list(list.iter().map(|net| scalar(&net.to_string()))),
    }
}

fn names(names: &[NodeName]) -> String {
    flow_list(names.iter().map(|name| scalar(name.as_str())))
}

fn flow_list(items: impl Iterator<Item = String>) -> String {
    format!("[ {} ]", items.collect::<Vec<_>>().join(", "))
}

fn flow_map(options: &[(&str, String)]) -> String {
    if options.is_empty() {
        return "{}".to_owned();
    }
    let options: Vec<String> = options.iter().map(|(key, text)| format!("{key}: {text}")).collect();
    format!("{{ {} }}", options.join(", "))
}

/// Writes a namespace pattern: `$lab` and `$node` are meant, any other `$` is a `$`.
fn pattern(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = ["lab", "node"].into_iter().find(|name| rest.starts_with(name));
        match name {
            Some(name) => {
                rest = &rest[name.len()..];
                let goes_on = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                let (open, close) = if goes_on { ("{", "}") } else { ("", "") };
                let _ = write!(out, "${open}{name}{close}");
            }
            None => out.push_str("$$"),
        }
    }
    out.push_str(rest);
    quoted_if_needed(&out)
}

/// Writes a text so that it is read as that text: quoted where it must be, `$` doubled.
fn scalar(text: &str) -> String {
    quoted_if_needed(&text.replace('$', "$$"))
}

fn quoted_if_needed(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " $_./:-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '_');
    let is_plain = text.starts_with(first)
        && text.chars().all(plain)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !matches!(text, "null" | "Null" | "NULL");
    if is_plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
