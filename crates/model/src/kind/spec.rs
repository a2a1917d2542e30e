//! What a row of the table says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::options::Options;
use super::value::{Form, Value};

/// A kind of interface.
#[derive(Debug)]
pub struct KindSpec {
    /// The kernel's name (`IFLA_INFO_KIND`), which is iproute2's and the file's too.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// The Linux module that has it.
    pub module: &'static str,
    /// The option that the kernel is built with to have it.
    pub config: &'static str,
    /// Whether it stands on another interface.
    pub lower: Lower,
    /// Whose hardware address it has.
    pub hardware: Hardware,
    /// Its options in the order in which iproute2 explains them.
    pub options: &'static [OptionSpec],
    /// The options by which the kernel tells those of a namespace apart, beside what they stand on:
    /// no two can be alike in all of them. With each the number that is meant where none is said.
    pub key: &'static [(&'static str, u64)],
    /// Whether other interfaces can be its ports (`IFLA_MASTER`).
    pub has_ports: bool,
    /// The options of its ports (`IFLA_INFO_SLAVE_DATA`).
    pub port: &'static [OptionSpec],
    /// Whether a change must say all options again: the kernel, or `ip`, takes those that are left out
    /// for their defaults.
    pub says_all: bool,
    /// Attributes of one byte that are said where no option says another: of these the kernel's
    /// defaults are not those of iproute2.
    pub unsaid: &'static [(u16, u8)],
    /// What must hold between options; the error ends the sentence "`x` …".
    pub check: fn(&Options) -> Result<(), &'static str>,
}

/// Whether a kind stands on another interface, `link` in iproute2's words (`IFLA_LINK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lower {
    /// It does not.
    None,
    /// It must.
    Required,
    /// It is one of the host's itself.
    Host,
}

/// Whose hardware address an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// One of its own, which can be said at birth and is derived from its name.
    Own,
    /// None that could be chosen: it has that of the interface below, or none at all. Such an
    /// interface is known by the record alone.
    None,
}

/// An option of a kind, or of the ports of one.
#[derive(Debug)]
pub struct OptionSpec {
    /// iproute2's word.
    pub word: &'static str,
    /// The key of the file, where it is another.
    pub key: &'static str,
    /// What it says, in one sentence.
    pub doc: &'static str,
    /// The number of its attribute.
    pub attr: u16,
    /// What it takes.
    pub form: Form,
    /// What it is where nothing says it.
    pub default: Unsaid,
    /// How it can be changed.
    pub change: ChangeBy,
    /// Whether the kind can't be without it.
    pub required: bool,
    /// Whether a change must not say it, even as it is.
    pub once: bool,
    /// Whether iproute2 says its value alone, without the word.
    pub bare: bool,
    /// Whether it is a time in 1/100 s that the kernel counts in its own ticks: where these are 1/250 s it
    /// tells of an odd number the even one before (`clock_t_to_jiffies`, kernel/time/time.c).
    pub ticks: bool,
}

/// What an option is where nothing says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// It depends on what no table knows: an option that is no longer said stays as it is.
    Depends,
    /// On or off.
    Switch(bool),
    /// This number, or what a word stands for.
    Number(u64),
    /// The interface is without it, and no message makes it so: it is made again.
    Nothing,
    /// The interface is without it: a message says so by the unspecified address of the family that it
    /// had.
    NoAddress,
    /// The interface is without it: a message says so by the index 0.
    NoInterface,
    /// The list has nothing in it.
    Empty,
}

/// How an option of an interface that exists is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeBy {
    /// By a message.
    Message,
    /// By a message while the interface is down.
    MessageWhileDown,
    /// By a message, as long as it is an address of the family that the interface has, and not a group's;
    /// else by making the interface again.
    MessageInFamily,
    /// By making the interface again: the kernel refuses or ignores a change.
    Rebirth,
}

impl KindSpec {
    /// A kind with nothing special about it, to be refined.
    pub(super) const fn new(
        name: &'static str,
        config: &'static str,
        doc: &'static str,
        options: &'static [OptionSpec],
    ) -> Self {
        Self {
            name,
            doc,
            module: name,
            config,
            lower: Lower::None,
            hardware: Hardware::Own,
            options,
            key: &[],
            has_ports: false,
            port: &[],
            says_all: false,
            unsaid: &[],
            check: |_| Ok(()),
        }
    }

    /// Returns the option with this word.
    #[must_use]
    pub fn option(&self, word: &str) -> Option<&'static OptionSpec> {
        self.options.iter().find(|option| option.word == word)
    }

    /// Returns the option with this key in the file.
    #[must_use]
    pub fn option_called(&self, key: &str) -> Option<&'static OptionSpec> {
        self.options.iter().find(|option| option.key == key)
    }

    /// Returns the option of its ports with this word.
    #[must_use]
    pub fn port_option(&self, word: &str) -> Option<&'static OptionSpec> {
        self.port.iter().find(|option| option.word == word)
    }

    /// Tells whether a macvlan with these options is in another mode than the one in which it takes frames
    /// by who sent them: it forgets who that was (`macvlan_changelink`, drivers/net/macvlan.c).
    #[must_use]
    pub(crate) fn forgets_sources(&self, set: &Options) -> bool {
        let source = Value::Number(super::macvlan::SOURCE);
        self.option("macaddr").is_some() && set.get("mode").is_some_and(|mode| *mode != source)
    }

    /// Takes out of a change what its message can't say: what is gone without a word, and what has to wait
    /// for the next one. Tells whether something waits.
    pub(crate) fn leave_out_unsayable(&self, set: &mut Options) -> bool {
        // The kernel refuses to be told so.
        if self.forgets_sources(set) {
            set.forget("macaddr");
        }
        // One message can't say both (`ipgre_netlink_parms`, net/ipv4/ip_gre.c).
        let is = |word, on| set.get(word) == Some(&Value::Bool(on));
        let waits = is("ignore-df", false) && is("pmtudisc", true);
        if waits {
            set.forget("pmtudisc");
        }
        waits
    }

    /// Tells whether it is the bridge: its ports are wires.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        *self == super::BRIDGE
    }

    /// Tells whether it is the bond: its ports are wires, of one address.
    #[must_use]
    pub fn is_bond(&self) -> bool {
        *self == super::BOND
    }

    /// Tells whether it is one end of a tunnel, so that a link can be of this kind.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.option("remote").is_some() || self.is_wireguard()
    }

    /// Tells whether it is one end of a pair, so that a link can be of this kind in place of veth.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        *self == super::NETKIT
    }

    /// Tells whether it is made by way of `/dev/net/tun` instead of a message.
    #[must_use]
    pub fn is_tun(&self) -> bool {
        self.is_tap() || *self == super::tun::TUN
    }

    /// Tells whether it is a TAP device: one with Ethernet frames.
    #[must_use]
    pub fn is_tap(&self) -> bool {
        *self == super::tun::TAP
    }

    /// Tells whether it is an interface of the host's that is moved and not made.
    #[must_use]
    pub fn is_physical(&self) -> bool {
        *self == super::PHYSICAL
    }

    /// Tells whether it is told by generic netlink what it shall do.
    #[must_use]
    pub fn is_wireguard(&self) -> bool {
        *self == super::WIREGUARD
    }

    /// Tells whether it is the VRF: its ports stay stations, with routes of their own.
    #[must_use]
    pub fn is_vrf(&self) -> bool {
        *self == super::VRF
    }
}

/// Kinds are told apart by their names.
impl PartialEq for KindSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for KindSpec {}

impl OptionSpec {
    /// Returns what it is where nothing says it, if that is a value that is known.
    #[must_use]
    pub const fn default_value(&self) -> Option<Value> {
        match self.default {
            Unsaid::Switch(on) => Some(Value::Bool(on)),
            Unsaid::Number(number) => Some(Value::Number(number)),
            Unsaid::Empty => Some(Value::NONE),
            Unsaid::Depends | Unsaid::Nothing | Unsaid::NoAddress | Unsaid::NoInterface => None,
        }
    }

    /// Returns what takes this value back by a message, if that is known.
    #[must_use]
    pub fn back_from(&self, value: &Value) -> Option<Value> {
        let unspecified = |of: IpAddr| match of {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        match (self.default, value) {
            (Unsaid::NoAddress, Value::Ip(addr)) => Some(Value::Ip(unspecified(*addr))),
            (Unsaid::NoInterface, _) => Some(Value::Number(0)),
            _ => self.default_value(),
        }
    }

    /// Tells whether a value is another than where nothing is said, as far as that is known.
    #[must_use]
    pub fn is_unusual(&self, value: &Value) -> bool {
        match self.default {
            Unsaid::Depends => false,
            Unsaid::Nothing => true,
            Unsaid::NoInterface => matches!(value, Value::Interface(_)),
            Unsaid::NoAddress => !matches!(value, Value::Ip(addr) if addr.is_unspecified()),
            _ => self.default_value().is_none_or(|usual| !self.is_same(&usual, value)),
        }
    }

    /// An option that can be changed by a message and left out.
    pub(super) const fn new(word: &'static str, attr: u16, form: Form, doc: &'static str) -> Self {
        Self {
            word,
            key: word,
            doc,
            attr,
            form,
            default: Unsaid::Depends,
            change: ChangeBy::Message,
            required: false,
            once: false,
            bare: false,
            ticks: false,
        }
    }

    /// Gives the option another key in the file.
    pub(super) const fn called(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Says that it is on where nothing is said.
    pub(super) const fn on_by_default(self) -> Self {
        Self { default: Unsaid::Switch(true), ..self }
    }

    /// Says that it is off where nothing is said.
    pub(super) const fn off_by_default(self) -> Self {
        Self { default: Unsaid::Switch(false), ..self }
    }

    /// Says which number it is where nothing is said.
    pub(super) const fn by_default(self, number: u64) -> Self {
        Self { default: Unsaid::Number(number), ..self }
    }

    /// Says that the interface is without it where nothing is said.
    pub(super) const fn else_without(self) -> Self {
        Self { default: Unsaid::Nothing, ..self }
    }

    /// Says that the interface is without this address where nothing is said, and that a message can say
    /// so.
    pub(super) const fn else_no_address(self) -> Self {
        Self { default: Unsaid::NoAddress, ..self }
    }

    /// Says that the interface is without this other one where nothing is said, and that a message can say
    /// so.
    pub(super) const fn else_no_interface(self) -> Self {
        Self { default: Unsaid::NoInterface, ..self }
    }

    /// Says that the list is empty where nothing is said.
    pub(super) const fn else_empty(self) -> Self {
        Self { default: Unsaid::Empty, ..self }
    }

    /// Says that it is a time which the kernel counts in its own ticks.
    pub(super) const fn in_ticks(self) -> Self {
        Self { ticks: true, ..self }
    }

    /// Says that only another address of its family can be said by a message.
    pub(super) const fn in_family(self) -> Self {
        Self { change: ChangeBy::MessageInFamily, ..self }
    }

    /// Says that it can only be changed while the interface is down.
    pub(super) const fn while_down(self) -> Self {
        Self { change: ChangeBy::MessageWhileDown, ..self }
    }

    /// Says that it can't be changed.
    pub(super) const fn at_birth(self) -> Self {
        Self { change: ChangeBy::Rebirth, ..self }
    }

    /// Says that it can't be changed, and that no change may name it.
    pub(super) const fn once(self) -> Self {
        Self { change: ChangeBy::Rebirth, once: true, ..self }
    }

    /// Says that iproute2 says its value alone.
    pub(super) const fn bare(self) -> Self {
        Self { bare: true, ..self }
    }

    /// Says that it can't be left out.
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}
