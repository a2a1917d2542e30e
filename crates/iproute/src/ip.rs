//! The language of `ip`: words to requests, and the kernel's answers to what `ip` prints.
//!
//! Everything that must be asked of the system while words are read or answers are printed (the
//! index of a name, say) is asked of a [`World`], which `vnet` implements with netlink sockets.
//!
//! The answers are read attribute by attribute and not by netlink-packet-route: what is printed
//! must hold every attribute as it came, those that the codec leaves out too.

use std::net::IpAddr;
use std::os::fd::RawFd;

pub mod addr;
pub mod bridge;
mod encap;
pub mod failure;
mod json;
pub mod link;
pub mod maddr;
pub mod monitor;
pub mod neigh;
mod netconf;
pub mod netns;
pub mod nexthop;
pub mod options;
pub mod out;
pub mod route;
pub mod rule;
pub mod tables;
pub mod tuntap;
pub mod wire;
pub mod words;

use failure::Failure;
use options::Options;
use tables::Tables;
use words::abbreviates;

/// What is asked of the system.
pub trait World {
    /// Returns the index of an interface by name; 0 where there is none.
    fn index(&mut self, name: &str) -> u32;
    /// Returns the name of an interface and its flags (`IFF_*`); `None` where there is none.
    fn interface(&mut self, index: u32) -> Option<(String, u32)>;
    /// Returns what the kernel says of an interface, but for its counters.
    fn link(&mut self, index: u32) -> Option<wire::Object>;
    /// Opens a pinned namespace; the descriptor stays open as long as the world.
    fn netns(&mut self, name: &str) -> Option<RawFd>;
    /// Returns the name of the pinned namespace that has this id here.
    fn netns_of_id(&mut self, id: i32) -> Option<String>;
    /// Returns a next hop; `None` where there is none.
    fn nexthop(&mut self, id: u32) -> Option<wire::Object>;
    /// Returns the name of a user, or of a group of users.
    fn account(&mut self, account: Account) -> Option<String>;
    /// Returns the name of the host that has an address; `None` where none is known.
    fn host(&mut self, address: IpAddr) -> Option<String>;
    /// Returns the names of numbers.
    fn tables(&self) -> &Tables;
    /// Returns the name of an interface, or `if` and its index.
    fn name(&mut self, index: u32) -> String {
        self.interface(index).map_or_else(|| format!("if{index}"), |(name, _)| name)
    }
}

/// Who may use something, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// A user.
    User(u32),
    /// A group of users.
    Group(u32),
}

/// The object that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Addresses.
    Address,
    /// Routes.
    Route,
    /// Rules that pick a routing table.
    Rule,
    /// Neighbours.
    Neighbour,
    /// Interfaces.
    Link,
    /// Namespaces.
    Netns,
    /// Next hops.
    Nexthop,
    /// TUN and TAP devices.
    Tuntap,
    /// Multicast addresses.
    Maddress,
    /// What changes.
    Monitor,
    /// Help.
    Help,
}

/// iproute2's objects in the order in which it compares abbreviations; `None` is not covered.
const OBJECTS: &[(&str, Option<Object>)] = &[
    ("address", Some(Object::Address)),
    ("addrlabel", None),
    ("maddress", Some(Object::Maddress)),
    ("route", Some(Object::Route)),
    ("rule", Some(Object::Rule)),
    ("neighbor", Some(Object::Neighbour)),
    ("neighbour", Some(Object::Neighbour)),
    ("ntable", None),
    ("ntbl", None),
    ("link", Some(Object::Link)),
    ("l2tp", None),
    ("fou", None),
    ("ila", None),
    ("macsec", None),
    ("tunnel", None),
    ("tunl", None),
    ("tuntap", Some(Object::Tuntap)),
    ("tap", Some(Object::Tuntap)),
    ("token", None),
    ("tcpmetrics", None),
    ("tcp_metrics", None),
    ("monitor", Some(Object::Monitor)),
    ("xfrm", None),
    ("mroute", None),
    ("mrule", None),
    ("netns", Some(Object::Netns)),
    ("netconf", None),
    ("vrf", None),
    ("sr", None),
    ("nexthop", Some(Object::Nexthop)),
    ("mptcp", None),
    ("ioam", None),
    ("help", Some(Object::Help)),
    ("stats", None),
];

impl Object {
    /// Reads the first word of a command.
    ///
    /// # Errors
    /// When it is unknown, or not covered.
    pub fn read(word: &str) -> Result<Self, Failure> {
        match OBJECTS.iter().find(|(name, _)| abbreviates(word, name)) {
            Some((_, Some(object))) => Ok(*object),
            Some((name, None)) => Err(Failure::not_covered(&format!("`ip {name}`")).at(0)),
            None => {
                let line = format!("Object \"{word}\" is unknown, try \"ip help\".");
                let known = OBJECTS.iter().filter(|(_, object)| object.is_some());
                let known: Vec<&str> = known.map(|(name, _)| *name).collect();
                Err(Failure::command(1, line).at(0).hint(format!("objects: {}", known.join(", "))))
            }
        }
    }
}

/// What a command reads besides its words.
pub struct Context<'a> {
    /// The options.
    pub options: &'a Options,
    /// The system.
    pub world: &'a mut dyn World,
    /// What is to be said on stderr although nothing failed.
    pub warnings: Vec<String>,
    /// Whether what is being read is to be made, not changed.
    pub creates: bool,
    /// The interface that is being changed, by index; 0 where it is made.
    pub index: u32,
}

impl<'a> Context<'a> {
    /// Begins a command.
    pub fn new(options: &'a Options, world: &'a mut dyn World) -> Self {
        Self { options, world, warnings: Vec::new(), creates: false, index: 0 }
    }

    /// Shows an address: by its host's name where that is asked for and known.
    pub(crate) fn shown(&mut self, address: IpAddr) -> String {
        let host = if self.options.resolve { self.world.host(address) } else { None };
        host.unwrap_or_else(|| address.to_string())
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("options", self.options).finish_non_exhaustive()
    }
}

/// Says that an object has no such command.
#[must_use]
pub fn unknown_command(word: &str, object: &str, known: &[&str]) -> Failure {
    let line = format!("Command \"{word}\" is unknown, try \"ip {object} help\".");
    Failure::parser(line).hint(format!("`ip {object}` has: {}", known.join(", ")))
}
