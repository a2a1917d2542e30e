//! What the options of interfaces tell: those that are not as they are where nothing is said.
//!
//! Only options that are declared are read from the kernel, which tells of many more. Where nobody
//! knows what was declared, all are asked for, and those that tell something are kept.

use super::{Interface, Kind, PortVlans, Queues, State};
use crate::kind::{self, Device, OptionSpec, Options, Value};

/// The options that tell what a device is for, of those whose defaults no table knows.
const TELLING: &[&str] = &["id", "local", "remote", "group", "ikey", "okey"];

impl Device {
    /// Tells whether an option says what the device is for, or is not as it is where nothing is
    /// said.
    fn tells(&self, option: &OptionSpec, value: &Value) -> bool {
        option.required
            || match (self.spec.name, option.word) {
                // A bond that looks after no links is what `ip` makes.
                ("bond", "miimon") => *value != Value::Number(0),
                (_, word) => TELLING.contains(&word) || option.is_unusual(value),
            }
    }

    /// Returns the device with the options alone that tell what it is for, and those that are said.
    #[must_use]
    pub(crate) fn telling(&self, said: &Options) -> Self {
        let options = self.options.of(self.spec.options);
        let kept = options
            .filter(|(option, value)| said.get(option.word).is_some() || self.tells(option, value));
        let options = kept.map(|(option, value)| (option, value.clone())).collect();
        Self { options, ..self.clone() }
    }
}

impl Interface {
    /// Returns what asks the kernel for all options of the interface and of it as a port, and for
    /// its forwarding entries.
    #[must_use]
    pub fn asking_for_all(&self) -> Self {
        let any = |option| (option, Value::Bool(false));
        let kind = match &self.kind {
            Kind::Device(device) => {
                let options = device.spec.options.iter().map(any).collect();
                Kind::Device(Device { options, ..device.clone() })
            }
            kind => kind.clone(),
        };
        let ports = kind::BRIDGE.port.iter().chain(kind::BOND.port);
        let port = if self.master.is_some() { ports.map(any).collect() } else { Options::new() };
        let queues = Queues { tx: Some(0), rx: Some(0) };
        let vlans = self.kind.is_bridge().then(PortVlans::new);
        Self { port, vlans, fdb: Some(Default::default()), queues, ..Self::new(kind) }
    }

    /// Returns the options as a port of a master that are not as they are where nothing is said, and
    /// those that are said.
    #[must_use]
    pub(crate) fn telling_port(&self, master: &Self, said: &Options) -> Options {
        let Some(spec) = master.kind.device().map(|device| device.spec) else {
            return Options::new();
        };
        let is_veth = matches!(self.kind, Kind::Veth { .. });
        // What STP takes for the cost follows from the speed (`port_cost`, net/bridge/br_if.c).
        let cost = Value::Number(if is_veth { 2 } else { 100 });
        let told = self.port.of(spec.port).filter(|(option, value)| {
            said.get(option.word).is_some()
                || match option.word {
                    "cost" => **value != cost,
                    _ => option.is_unusual(value),
                }
        });
        told.map(|(option, value)| (option, value.clone())).collect()
    }
}

impl State {
    /// Returns what asks the kernel for all options of its interfaces.
    #[must_use]
    pub fn asking_for_all(&self) -> Self {
        let mut asking = self.clone();
        for ns in asking.namespaces.values_mut() {
            for interface in ns.interfaces.values_mut() {
                *interface = Interface { ours: interface.ours, ..interface.asking_for_all() };
            }
        }
        asking
    }

    /// Leaves out the options of its interfaces that tell nothing, but for those that are said in
    /// another state.
    pub fn keep_telling(&mut self, said: &Self) {
        let none = Options::new();
        for (name, ns) in self.namespaces.iter_mut() {
            let said = said.namespaces.get(name);
            let ports = ns.interfaces.iter().map(|(name, interface)| {
                let master = interface.master.as_ref().and_then(|name| ns.interfaces.get(name));
                let said = said.and_then(|said| said.interfaces.get(name));
                let said = said.map_or(&none, |said| &said.port);
                master.map_or_else(Options::new, |master| interface.telling_port(master, said))
            });
            let ports: Vec<Options> = ports.collect();
            for ((name, interface), port) in ns.interfaces.iter_mut().zip(ports) {
                interface.port = port;
                interface.queues = interface.queues.unusual(&interface.kind);
                if let Kind::Device(device) = &mut interface.kind {
                    let said = said.and_then(|said| said.interfaces.get(name)?.kind.device());
                    let same = said.filter(|said| said.spec == device.spec);
                    *device = device.telling(same.map_or(&none, |said| &said.options));
                }
            }
        }
    }
}
