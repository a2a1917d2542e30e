//! `ip link`: interfaces (`ip-link(8)`).

mod kind;
mod property;
mod select;
mod set;
mod show;
mod stats;

pub(crate) use kind::PORT_STATES;
pub use select::{Selection, select};
pub use show::{brief, full};
pub(crate) use show::{print_flags, print_name};

use vnet_netlink::attr::{Attributes, Writer};

use super::failure::Failure;
use super::wire::Request;
use super::words::{Words, abbreviates};
use super::{Context, unknown_command};

pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_BROADCAST: u16 = 2;
/// The name of an interface.
pub const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
pub(crate) const IFLA_LINK: u16 = 5;
pub(crate) const IFLA_QDISC: u16 = 6;
pub(crate) const IFLA_MASTER: u16 = 10;
pub(crate) const IFLA_TXQLEN: u16 = 13;
const IFLA_MAP: u16 = 14;
pub(crate) const IFLA_OPERSTATE: u16 = 16;
pub(crate) const IFLA_LINKMODE: u16 = 17;
pub(crate) const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_NET_NS_PID: u16 = 19;
pub(crate) const IFLA_IFALIAS: u16 = 20;
pub(crate) const IFLA_AF_SPEC: u16 = 26;
pub(crate) const IFLA_GROUP: u16 = 27;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;
pub(crate) const IFLA_EXT_MASK: u16 = 29;
pub(crate) const IFLA_PROMISCUITY: u16 = 30;
pub(crate) const IFLA_NUM_TX_QUEUES: u16 = 31;
pub(crate) const IFLA_NUM_RX_QUEUES: u16 = 32;
pub(crate) const IFLA_CARRIER: u16 = 33;
pub(crate) const IFLA_CARRIER_CHANGES: u16 = 35;
pub(crate) const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
pub(crate) const IFLA_PROP_LIST: u16 = 52;
/// A further name of an interface.
pub const IFLA_ALT_IFNAME: u16 = 53;
pub(crate) const IFLA_PERM_ADDRESS: u16 = 54;

/// `AF_INET6` as the type of an attribute in `IFLA_AF_SPEC`, and the mode in it (linux/if_link.h).
const AF_INET6: u16 = 10;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;

pub(crate) const IFLA_INFO_KIND: u16 = 1;
pub(crate) const IFLA_INFO_DATA: u16 = 2;
pub(crate) const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub(crate) const IFLA_INFO_SLAVE_DATA: u16 = 5;

/// The length of `struct ifinfomsg`.
pub const HEADER_BYTES: usize = 16;

/// Leaves the counters out of a link's answer (`RTEXT_FILTER_SKIP_STATS`, linux/rtnetlink.h).
pub const SKIP_STATS: u32 = 1 << 3;

/// Copies an answer about an interface, but for what is not shown: the settings of IPv4 and IPv6,
/// which are half of it, and what only `-details` shows where it is not given.
#[must_use]
pub fn copy_shown(payload: &[u8], details: bool) -> Vec<u8> {
    // What is too much goes back to the allocator, which has it at the end of the heap.
    let mut copy = Vec::with_capacity(payload.len());
    let (header, attrs) = payload.split_at(payload.len().min(HEADER_BYTES));
    copy.extend_from_slice(header);
    let mut writer = Writer::new(&mut copy);
    for attr in Attributes::new(attrs).map_while(Result::ok) {
        if attr.kind == IFLA_AF_SPEC {
            let inet6 = attr.nested().find(AF_INET6).ok().flatten();
            let mode =
                inet6.and_then(|inet6| inet6.nested().find(IFLA_INET6_ADDR_GEN_MODE).ok()?);
            if let Some(mode) = mode {
                writer.nest(IFLA_AF_SPEC, |writer| {
                    writer.nest(AF_INET6, |writer| {
                        writer.bytes(mode.kind, mode.value);
                    });
                });
            }
        } else if !is_passed_over(attr.kind) && (details || !show::is_detail(attr.kind)) {
            writer.bytes(attr.kind, attr.value);
        }
    }
    copy.shrink_to_fit();
    copy
}

/// Tells whether nobody shows an attribute.
fn is_passed_over(kind: u16) -> bool {
    matches!(kind, IFLA_MAP | IFLA_CARRIER_UP_COUNT | IFLA_CARRIER_DOWN_COUNT)
}

/// Returns the name of an interface, without reading all that is said of it.
#[must_use]
pub fn name(link: &super::wire::Object) -> Option<String> {
    let attrs = Attributes::new(link.payload.get(HEADER_BYTES..)?);
    Some(super::wire::text_of(attrs.find(IFLA_IFNAME).ok()??.value))
}

/// Returns the routing table of a VRF; `None` for what is none.
#[must_use]
pub fn vrf_table(link: &super::wire::Object) -> Option<u32> {
    let attrs = link.attrs(HEADER_BYTES);
    let info = attrs.nested(IFLA_LINKINFO)?;
    (info.text(IFLA_INFO_KIND)? == "vrf").then(|| info.nested(IFLA_INFO_DATA)?.u32(1))?
}

/// Tells whether an interface is a VRF.
pub(crate) fn is_vrf(context: &mut Context<'_>, index: u32) -> bool {
    index != 0 && context.world.link(index).is_some_and(|link| vrf_table(&link).is_some())
}

/// Prints the counters of an interface.
pub fn counters(out: &mut super::out::Out, link: &super::wire::Object, level: u8) {
    stats::print(out, &link.attrs(HEADER_BYTES), level);
}

/// A command of `ip link`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change.
    Change(Box<Request>),
    /// Removes a group of interfaces, or changes all of it.
    Group(Box<Request>),
    /// Nothing that the kernel would be asked for.
    Nothing,
    /// A question.
    Show(Selection),
    /// The way it is used.
    Help,
}

const COMMANDS: &[&str] =
    &["add", "set", "change", "replace", "delete", "show", "lst", "list", "property", "help"];

/// What iproute2 has and this crate has not.
const MISSING: &[&str] = &["xstats", "afstats"];

/// Reads a command of `ip link`.
///
/// # Errors
/// When it can't be understood, or names something that is not there.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Result<Command, Failure> {
    let Some(word) = words.take() else {
        return select(words, context, true).map(Command::Show);
    };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        set::read(words, context, set::Verb::Add)
    } else if is("set") || is("change") {
        set::read(words, context, set::Verb::Set)
    } else if is("replace") {
        set::read(words, context, set::Verb::Replace)
    } else if is("delete") {
        set::read(words, context, set::Verb::Delete)
    } else if is("show") || is("lst") || is("list") {
        select(words, context, true).map(Command::Show)
    } else if let Some(name) = MISSING.iter().find(|name| is(name)) {
        Err(words.blame(Failure::not_covered(&format!("`ip link {name}`"))))
    } else if is("property") {
        property::read(words, context)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "link", COMMANDS)))
    }
}
