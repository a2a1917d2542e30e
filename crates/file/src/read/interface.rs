//! The one interface object: of a node's `interfaces:`, a link's `endpoints:`, a segment's
//! `members:`.

use vnet_model::kind::{self, KindSpec, Lower, OptionSpec, Options};
use vnet_model::problem::nearest;
use vnet_model::state::{CpusError, QUEUES_MAX};
use vnet_model::topology::{Endpoint, InterfaceOptions, NodeInterface, NodeInterfaceKind};
use vnet_model::{Device, NodeName, Queues};

use super::merge::{Add, Merge, pick};
use super::sysctl::{SysctlsOf, add_sysctls};
use super::{At, Entry, Fields, Reader, SWITCH, Text};
use crate::report::{Diagnostic, shown};
use crate::syntax::{Data, Key, Value};
use crate::vocabulary::{INTERFACE, MTU_MAX_BYTES, MTU_MIN_BYTES};

/// The bounds of an MTU, in bytes.
pub(super) const MTU_BYTES: (u32, u32) = (MTU_MIN_BYTES, MTU_MAX_BYTES);

/// The bounds of a port of UDP.
pub(super) const PORTS: (u32, u32) = (1, 65535);

impl Reader<'_> {
    /// Reads a node's `interfaces:`.
    pub(super) fn node_interfaces(&mut self, value: &Value, at: At<'_>) -> Vec<NodeInterface> {
        let mut interfaces = Merge::new();
        for entry in self.entries(value, "interfaces", at) {
            if let Some(interface) = self.node_interface(&entry) {
                interfaces.push(self, &entry, interface);
            }
        }
        interfaces.into_items()
    }

    fn node_interface(&mut self, entry: &Entry<'_>) -> Option<NodeInterface> {
        let name = self.if_name(&entry.name.text, entry.name.span)?;
        let mut options = self.interface_options(entry);
        let kind = match self.interface_fields(entry) {
            Some(fields) => {
                options.vlans = self.vlans_of_port(&fields, entry.at());
                self.interface_kind(&fields, entry.at())
            }
            None => NodeInterfaceKind::Existing,
        };
        Some(NodeInterface { name, kind, options })
    }

    fn interface_kind(&mut self, fields: &Fields<'_>, at: At<'_>) -> NodeInterfaceKind {
        self.refuse_plug(fields);
        let Some((_, value)) = fields.find("kind") else {
            self.refuse_options(fields);
            return NodeInterfaceKind::Existing;
        };
        // What is no kind is reported; that nothing makes it would be said beside the point.
        let Some(spec) = self.kind(value, at) else {
            return NodeInterfaceKind::Device { device: Device::bridge(false), ports: Vec::new() };
        };
        let mut device = self.device(spec, fields, at);
        if spec.lower != Lower::None {
            let lower = fields.get("link").and_then(|value| self.text(value, "link", at));
            match lower.as_ref().map(|text| (text, text.text.strip_prefix("host:"))) {
                Some((text, Some(name))) => {
                    device.host_lower = self.if_name(name, text.piece(name));
                }
                Some((text, None)) => device.lower = self.if_name(&text.text, text.span),
                None => {}
            }
        }
        let texts = fields.get("ports").map(|value| self.texts(value, "ports", at));
        let ports = texts.unwrap_or_default();
        let ports = ports.iter().filter_map(|text| self.if_name(&text.text, text.span)).collect();
        let has = [("link", spec.lower != Lower::None), ("ports", spec.has_ports)];
        for (name, _) in has.into_iter().filter(|(_, has)| !has) {
            if let Some((key, _)) = fields.find(name) {
                let message = format!("a {} has no `{name}`", spec.name);
                self.error(Diagnostic::error(message, Some(key.span)));
            }
        }
        if spec.is_bridge() && device.options.get("stp_state").is_none() {
            device = device.with("stp_state", kind::Value::Bool(false));
        }
        NodeInterfaceKind::Device { device, ports }
    }

    /// Refuses what is said where a node is plugged in, not in the node.
    fn refuse_plug(&mut self, fields: &Fields<'_>) {
        for name in ["isolated", "listen_port", "allowed_ips"] {
            if let Some((key, _)) = fields.find(name) {
                let message = match name {
                    "listen_port" | "allowed_ips" => {
                        format!("`{name}` is for the `members` of a segment of `kind: wireguard`")
                    }
                    _ => format!("`{name}` is for a segment's `members` and a link's `endpoints`"),
                };
                let hint = "here it is said what the node has, there where it is plugged in";
                self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
            }
        }
    }

    /// Reads the options that an object has beside its own keys, by the table of the kind.
    pub(super) fn device(
        &mut self,
        spec: &'static KindSpec,
        fields: &Fields<'_>,
        at: At<'_>,
    ) -> Device {
        let mut device = Device::new(spec);
        for (key, value) in fields.entries {
            if fields.object.key(&key.text).is_some() || !fields.object.knows(&key.text) {
                continue;
            }
            match spec.option_called(&key.text) {
                Some(option) => {
                    if let Some(value) = self.kind_option(option, value, at) {
                        device.options.set(option, value);
                    }
                }
                None => self.no_option(spec.name, spec.options, key),
            }
        }
        device
    }

    pub(super) fn no_option(&mut self, whose: &str, table: &[OptionSpec], key: &Key) {
        let name = shown(&key.text);
        let keys = table.iter().map(|option| option.key);
        let hint = match nearest(&key.text, keys.clone()) {
            Some(near) => format!("an option with a similar name exists: `{near}`"),
            None if table.is_empty() => "it has no options".to_owned(),
            None => {
                let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
                format!("its options are {}", keys.join(", "))
            }
        };
        let message = format!("a {whose} has no option `{name}`");
        self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
    }

    /// Reads the value of an option.
    pub(super) fn kind_option(
        &mut self,
        option: &OptionSpec,
        value: &Value,
        at: At<'_>,
    ) -> Option<kind::Value> {
        let text = match option.form.is_list() {
            false => self.text(value, option.key, at)?,
            true => {
                let texts = self.texts(value, option.key, at);
                let joined: Vec<&str> = texts.iter().map(|text| text.text.as_ref()).collect();
                let span = texts.first().map_or(value.span, |text| text.span);
                Text { text: joined.join(",").into(), span, verbatim: false, at }
            }
        };
        match option.form.parse(&text.text) {
            Ok(value) => Some(value),
            Err(takes) => {
                let message =
                    format!("`{}` takes {takes}, not `{}`", option.key, shown(&text.text));
                let near = nearest(&text.text, option.form.words());
                let error = Diagnostic::error(message, Some(text.span));
                self.error(match near {
                    Some(word) => error.hint(format!("write `{word}`")),
                    None => error,
                });
                None
            }
        }
    }

    /// Reports options of kinds where there is no kind.
    pub(super) fn refuse_options(&mut self, fields: &Fields<'_>) {
        for (key, _) in fields.entries {
            let name = key.text.as_str();
            if !fields.object.knows(name) {
                continue;
            }
            let of: Vec<&KindSpec> = match name {
                "ports" => kind::ALL.iter().copied().filter(|kind| kind.has_ports).collect(),
                "link" => {
                    kind::ALL.iter().copied().filter(|kind| kind.lower != Lower::None).collect()
                }
                _ if fields.object.key(name).is_some() => continue,
                _ => kind::options_called(name).map(|(kind, _)| kind).collect(),
            };
            let Some(first) = of.first() else { continue };
            let names: Vec<&str> = of.iter().map(|kind| kind.name).collect();
            let message = format!("only a {} has `{name}`", or(&names));
            let error = Diagnostic::error(message, Some(key.span));
            self.error(error.hint(match names.len() {
                1 => format!("add `kind: {}`", first.name),
                _ => "add its `kind`".to_owned(),
            }));
        }
    }

    /// Reads a kind of interface.
    pub(super) fn kind(&mut self, value: &Value, at: At<'_>) -> Option<&'static KindSpec> {
        let text = self.text(value, "kind", at)?;
        if let Some(spec) = kind::find(&text.text) {
            return Some(spec);
        }
        let name = shown(&text.text);
        let names = kind::ALL.iter().map(|kind| kind.name);
        let hint = match nearest(&text.text, names.clone()) {
            Some(near) => format!("a kind with a similar name exists: `{near}`"),
            None => format!("the kinds are {}", names.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no kind of interface `{name}`");
        self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
        None
    }

    /// Reads `port:`: which kind the master is of is not known here, so any port's option will do.
    fn port_options(&mut self, value: &Value, at: At<'_>) -> Options {
        let mut options = Options::new();
        let Data::Map(entries) = &value.data else {
            self.mismatch(value, "port", "a map of options");
            return options;
        };
        for (key, value) in entries {
            let tables = [kind::BRIDGE.port, kind::BOND.port];
            let mut found = tables.into_iter().flatten().filter(|option| option.key == key.text);
            match found.next() {
                Some(option) => {
                    if let Some(value) = self.kind_option(option, value, at) {
                        options.set(option, value);
                    }
                }
                None => self.no_option("port of a bridge", kind::BRIDGE.port, key),
            }
        }
        options
    }

    /// Reads an end of a link or a member of a segment: `node` or `node:interface`.
    pub(super) fn endpoint(&mut self, entry: &Entry<'_>) -> Option<Endpoint> {
        let name = &entry.name;
        let (node, interface) = match name.text.split_once(':') {
            None => (name.text.as_ref(), None),
            Some((node, interface)) => (node, Some(interface)),
        };
        let node = match (node, interface) {
            ("host", Some(_)) => Some(NodeName::host()),
            ("host", None) => {
                let message = "the host's end of a link needs a name";
                let error = Diagnostic::error(message, Some(name.span));
                self.error(
                    error.hint("write `host:NAME`: no interface there may have that name yet"),
                );
                None
            }
            _ => self.node_name(node, name.piece(node)),
        };
        let interface = match interface {
            Some(word) => Some(self.if_name(word, name.piece(word))?),
            None => None,
        };
        let mut endpoint = Endpoint::new(node?, interface);
        endpoint.options = self.interface_options(entry);
        endpoint.origin = endpoint.options.origin;
        if let Some(fields) = self.interface_fields(entry) {
            let at = entry.at();
            endpoint.vlan = fields.get("vlan").and_then(|value| self.node_of(value, "vlan", at));
            let isolated = fields.get("isolated").and_then(|v| self.boolean(v, "isolated", at));
            endpoint.isolated = isolated.unwrap_or(false);
            if let Some(value) = fields.get("trunk") {
                endpoint.trunk = self.vlans(value, at);
            }
            let port = fields.get("listen_port");
            let port = port.and_then(|value| self.number(value, "listen_port", at, PORTS));
            endpoint.listen_port = port.and_then(|port| u16::try_from(port).ok());
            if let Some(value) = fields.get("allowed_ips") {
                endpoint.allowed_ips = self.nets(value, "allowed_ips", at);
            }
            for (key, _) in fields.entries {
                let name = key.text.as_str();
                let is_option = INTERFACE.key(name).is_none() && INTERFACE.knows(name);
                if is_option || matches!(name, "kind" | "ports" | "link") {
                    let message = format!("`{name}` is for a node's `interfaces`");
                    let hint = "here the link or segment makes the interface";
                    self.error(Diagnostic::error(message, Some(key.span)).hint(hint));
                }
            }
        }
        Some(endpoint)
    }

    /// Returns the keys of an entry that has some; they are checked already.
    fn interface_fields<'v>(&mut self, entry: &Entry<'v>) -> Option<Fields<'v>> {
        match &entry.value?.data {
            Data::Map(entries) => Some(Fields { object: &INTERFACE, entries }),
            _ => None,
        }
    }

    /// Reads what stands behind an interface's name: nothing, addresses, or options.
    fn interface_options(&mut self, entry: &Entry<'_>) -> InterfaceOptions {
        let mut options = InterfaceOptions {
            origin: self.origin(entry.name.span),
            ..InterfaceOptions::default()
        };
        let at = entry.at();
        let Some(value) = entry.value else { return options };
        if !matches!(value.data, Data::Map(_)) {
            options.addresses = self.addresses(value, at);
            return options;
        }
        let Some(fields) = self.fields(value, &INTERFACE) else { return options };
        if let Some(value) = fields.get("addresses") {
            options.addresses = self.addresses(value, at);
        }
        options.mtu = fields.get("mtu").and_then(|value| self.number(value, "mtu", at, MTU_BYTES));
        options.mac = fields.get("mac").and_then(|value| self.mac(value, at));
        options.up = fields.get("up").and_then(|value| self.boolean(value, "up", at));
        options.txqueuelen = fields
            .get("txqueuelen")
            .and_then(|value| self.number(value, "txqueuelen", at, (0, u32::MAX)));
        let cpus = fields.get("rps_cpus").and_then(|value| self.text(value, "rps_cpus", at));
        options.rps_cpus = cpus.and_then(|text| {
            let cpus = text.text.parse();
            let error = |error: CpusError| Diagnostic::error(error.to_string(), Some(text.span));
            cpus.map_err(|wrong| self.error(error(wrong))).ok()
        });
        let mut queues = |key| {
            let value = fields.get(key)?;
            self.number(value, key, at, (1, QUEUES_MAX))
        };
        options.queues = Queues { tx: queues("numtxqueues"), rx: queues("numrxqueues") };
        options.accept_ra =
            fields.get("accept_ra").and_then(|value| self.boolean(value, "accept_ra", at));
        if let Some(value) = fields.get("offload") {
            options.offload = self.offload(value, at);
        }
        if let Some(value) = fields.get("sysctls") {
            options.sysctls = self.sysctls(value, SysctlsOf::Interface, at);
        }
        let vrf = fields.get("vrf").and_then(|value| self.text(value, "vrf", at));
        options.vrf = vrf.and_then(|text| self.if_name(&text.text, text.span));
        if let Some(value) = fields.get("port") {
            options.port = self.port_options(value, at);
        }
        options.ipv6 = fields.get("ipv6").and_then(|value| self.word(value, "ipv6", at, &SWITCH));
        let alias = fields.get("alias").and_then(|value| self.text(value, "alias", at));
        options.alias = alias.map(|alias| alias.text.into_owned());
        options
    }
}

impl Add for InterfaceOptions {
    fn add(&mut self, other: Self, wins: bool) {
        self.addresses.extend(other.addresses);
        pick(&mut self.mtu, other.mtu, wins);
        pick(&mut self.mac, other.mac, wins);
        pick(&mut self.alias, other.alias, wins);
        pick(&mut self.up, other.up, wins);
        pick(&mut self.vrf, other.vrf, wins);
        pick(&mut self.txqueuelen, other.txqueuelen, wins);
        pick(&mut self.rps_cpus, other.rps_cpus, wins);
        pick(&mut self.queues.tx, other.queues.tx, wins);
        pick(&mut self.queues.rx, other.queues.rx, wins);
        pick(&mut self.accept_ra, other.accept_ra, wins);
        for (offload, on) in other.offload {
            if wins || !self.offload.contains_key(&offload) {
                self.offload.insert(offload, on);
            }
        }
        add_sysctls(&mut self.sysctls, other.sysctls, wins);
        merge(&mut self.port, &other.port, wins);
        if let Some(vlans) = other.vlans {
            self.vlans.get_or_insert_default().extend(vlans);
        }
        pick(&mut self.ipv6, other.ipv6, wins);
    }
}

impl Add for NodeInterface {
    fn add(&mut self, other: Self, wins: bool) {
        self.options.add(other.options, wins);
        match (&mut self.kind, other.kind) {
            (_, NodeInterfaceKind::Existing) => {}
            (mine @ NodeInterfaceKind::Existing, kind) => *mine = kind,
            (
                NodeInterfaceKind::Device { device, ports },
                NodeInterfaceKind::Device { device: other, ports: more },
            ) => {
                ports.extend(more);
                if device.spec == other.spec {
                    // The two say the same: one takes the other's place.
                    if other.stands() && (wins || !device.stands()) {
                        (device.lower, device.host_lower) = (other.lower, other.host_lower);
                    }
                    merge(&mut device.options, &other.options, wins);
                } else if wins {
                    *device = other;
                }
            }
        }
    }
}

/// Puts options together: where both have one, the other's wins or not.
pub(super) fn merge(options: &mut Options, other: &Options, wins: bool) {
    let mut all = other.clone();
    if wins {
        options.extend(&all);
    } else {
        all.extend(options);
        *options = all;
    }
}

/// Lists names: "a, b or c".
fn or(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        names => names.concat(),
    }
}

impl Add for Endpoint {
    fn add(&mut self, other: Self, wins: bool) {
        pick(&mut self.vlan, other.vlan, wins);
        self.trunk.extend(other.trunk);
        self.isolated |= other.isolated;
        pick(&mut self.listen_port, other.listen_port, wins);
        self.allowed_ips.extend(other.allowed_ips);
        self.options.add(other.options, wins);
    }
}
