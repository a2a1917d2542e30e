//! An interface of a kind of the table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::options::Options;
use super::spec::{ChangeBy, Hardware, KindSpec, Lower, OptionSpec, Unsaid};
use super::value::{Form, Value};
use crate::names::IfName;
use crate::state::End;

/// What an interface is, if its kind is one of the table: its kind, what it stands on, its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Device {
    /// The kind.
    pub spec: &'static KindSpec,
    /// The interface of the same namespace that it stands on (`link`).
    pub lower: Option<IfName>,
    /// The interface of the lab's host that it stands on instead; it must be there.
    pub host_lower: Option<IfName>,
    /// The other end of a kind that comes in pairs; `None` where it is in a namespace that is not looked
    /// at.
    pub peer: Option<End>,
    /// Whether the other end was made, and this one with it: the kernel takes changes of options by the
    /// other one alone. Of what is wanted nothing is said of it.
    pub came_along: bool,
    /// Its options, as far as they are declared.
    pub options: Options,
}

/// How a device is written down.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<IfName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_lower: Option<IfName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<End>,
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    options: Options,
}

impl Device {
    /// Makes a device about which nothing more is said.
    #[must_use]
    pub fn new(spec: &'static KindSpec) -> Self {
        let (lower, host_lower, peer) = (None, None, None);
        Self { spec, lower, host_lower, peer, came_along: false, options: Options::new() }
    }

    /// Makes a bridge.
    #[must_use]
    pub fn bridge(stp: bool) -> Self {
        Self::new(&super::BRIDGE).with("stp_state", Value::Bool(stp))
    }

    /// Returns it as the other end of its pair has it.
    #[must_use]
    pub fn from_the_other_end(&self) -> Self {
        Self { options: super::netkit::from_the_other_end(&self.options), ..self.clone() }
    }

    /// Adds an option by its word; one that the kind lacks is left out.
    #[must_use]
    pub fn with(mut self, word: &str, value: Value) -> Self {
        if let Some(option) = self.spec.option(word) {
            self.options.set(option, value);
        }
        self
    }

    /// Puts the device on another interface.
    #[must_use]
    pub fn on(mut self, lower: IfName) -> Self {
        self.lower = Some(lower);
        self
    }

    /// Tells whether this option is on.
    #[must_use]
    pub fn is_on(&self, word: &str) -> bool {
        self.options.get(word) == Some(&Value::Bool(true))
    }

    /// Tells whether a hardware address can be chosen for it.
    #[must_use]
    pub fn has_own_mac(&self) -> bool {
        // `netkit_new_link`, drivers/net/netkit.c.
        let is_bare = self.spec.is_pair() && self.options.get("mode") != Some(&super::netkit::L2);
        self.spec.hardware == Hardware::Own && !self.passes_through() && !is_bare
    }

    /// Tells whether it is a macvlan that takes the whole interface below, and its address too
    /// (`macvlan_common_newlink`, drivers/net/macvlan.c).
    fn passes_through(&self) -> bool {
        let mode = self.options.get("mode");
        mode == super::macvlan::PASSTHRU && self.spec.lower == Lower::Required
    }

    /// Lists the interfaces that must be there before it: what it stands on, and what its options
    /// name.
    pub fn needs(&self) -> impl Iterator<Item = &IfName> {
        let named = self.options.iter().filter_map(|(_, value)| match value {
            Value::Interface(name) => Some(name),
            _ => None,
        });
        self.lower.iter().chain(named)
    }

    /// Tells whether it goes when that interface goes (`NETDEV_UNREGISTER`).
    #[must_use]
    pub fn goes_with(&self, name: &IfName) -> bool {
        let dies = |option: &OptionSpec| matches!(option.form, Form::Interface { dies: true });
        let mut options = self.options.of(self.spec.options);
        self.lower.as_ref() == Some(name)
            || options.any(|(o, v)| dies(o) && *v == Value::Interface(name.clone()))
    }

    /// Tells whether it is known what it stands on.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.lower.is_some() || self.host_lower.is_some()
    }

    /// Tells whether messages can make it what is wanted: the same kind on the same interface, and
    /// no option is, or was and is not any more, another that can't be changed.
    #[must_use]
    pub fn can_become(&self, wanted: &Self) -> bool {
        let fixed = |(option, value): (&'static OptionSpec, &Value)| {
            let found = self.options.get(option.word);
            let is_fixed = match option.change {
                ChangeBy::Rebirth => true,
                ChangeBy::MessageInFamily => !self.takes(value) || found.is_some_and(is_group),
                ChangeBy::Message | ChangeBy::MessageWhileDown => false,
            };
            is_fixed && found.is_none_or(|found| !option.is_same(found, value))
        };
        let stays = |option: &OptionSpec| {
            option.change == ChangeBy::Rebirth
                || option.default == Unsaid::Nothing
                || self.options.get(option.word).is_some_and(is_group)
        };
        self.spec == wanted.spec
            && self.passes_through() == wanted.passes_through()
            && (&self.lower, &self.host_lower) == (&wanted.lower, &wanted.host_lower)
            && self.peer == wanted.peer
            && !wanted.options.of(self.spec.options).any(fixed)
            && !self.options.no_longer_in(&wanted.options, self.spec.options).any(stays)
    }

    /// Tells whether it can be given this address for another: one of the family that it has, which is
    /// IPv4 where it has none. A group is joined when the interface goes up, and only then
    /// (`vxlan_multicast_join`, drivers/net/vxlan/vxlan_multicast.c).
    fn takes(&self, value: &Value) -> bool {
        let is_v6 = |value: &Value| matches!(value, Value::Ip(addr) if addr.is_ipv6());
        let mut known = self.options.of(self.spec.options);
        let known = known.find(|(option, _)| option.change == ChangeBy::MessageInFamily);
        !is_group(value) && is_v6(value) == known.is_some_and(|(_, known)| is_v6(known))
    }

    /// Tells whether the kernel takes no other one such as `wanted` while this one is there, whatever
    /// their names, and even if this one was moved to another namespace.
    #[must_use]
    pub fn excludes(&self, wanted: &Self) -> bool {
        // What stands on an interface of another namespace says nothing of it.
        let same_lower = self.lower == wanted.lower || self.lower.is_none();
        let mut key = self.spec.key.iter();
        !self.spec.key.is_empty()
            && self.spec == wanted.spec
            && same_lower
            && key.all(|(word, default)| self.key(word, *default) == wanted.key(word, *default))
    }

    fn key(&self, word: &str, default: u64) -> Value {
        match self.options.get(word) {
            None => Value::Number(default),
            Some(Value::Ip(any)) if any.is_unspecified() => Value::Number(default),
            // Of GRE the kernel tells them apart by what comes in.
            Some(value) => value.incoming(),
        }
    }

    /// Returns the options by which it is not yet what is wanted, and those that go back to their
    /// defaults.
    #[must_use]
    pub fn changes_to(&self, wanted: &Self) -> Options {
        self.options.changes_to(&wanted.options, self.spec.options)
    }
}

fn is_group(value: &Value) -> bool {
    matches!(value, Value::Ip(addr) if addr.is_multicast())
}

impl From<Device> for Written {
    fn from(Device { spec, lower, host_lower, peer, options, .. }: Device) -> Self {
        Self { kind: spec.name.to_owned(), lower, host_lower, peer, options }
    }
}

impl TryFrom<Written> for Device {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        let Written { kind, lower, host_lower, peer, options } = written;
        let spec = super::find(&kind).ok_or_else(|| format!("there is no kind `{kind}`"))?;
        Ok(Self { lower, host_lower, peer, options, ..Self::new(spec) })
    }
}

impl fmt::Display for Device {
    /// Writes what it is: `vlan on eth0 (id 10)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)?;
        self.show_rest(f)
    }
}

impl Device {
    /// Writes what follows the kind: what it stands on, and the options that are not just off.
    pub(crate) fn show_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(lower) = &self.lower {
            write!(f, " on {lower}")?;
        }
        if let Some(lower) = &self.host_lower {
            write!(f, " on host:{lower}")?;
        }
        let mut telling = self.options.clone();
        for (word, _) in self.options.iter().filter(|(_, value)| **value == Value::Bool(false)) {
            telling.forget(word);
        }
        if !telling.is_empty() {
            f.write_str(" (")?;
            telling.show(self.spec.options, f)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}
