//! `ip maddress`: which multicast addresses interfaces listen to (`ip-maddress(8)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Context;
use super::failure::Failure;
use super::out::{Out, Shade};
use super::unknown_command;
use super::wire::mac_of;
use super::words::{Family, Read, Words, abbreviates, hardware_address, is_interface_name};

/// A command of `ip maddress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Joins or leaves a group of the link layer.
    Change(Change),
    /// Lists the groups, of one interface where it is named.
    Show(Option<String>),
    /// The way it is used.
    Help,
}

/// A group that is to be joined or left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether it is joined.
    pub add: bool,
    /// The interface.
    pub dev: String,
    /// The hardware address.
    pub mac: [u8; 6],
}

/// Reads a command of `ip maddress`.
///
/// # Errors
/// When it can't be understood.
pub fn read(words: &mut Words<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Show(None)) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        change(words, true)
    } else if is("delete") {
        change(words, false)
    } else if is("list") || is("show") || is("lst") {
        select(words)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "maddr", &["add", "delete", "show", "help"])))
    }
}

fn select(words: &mut Words<'_>) -> Read<Command> {
    let mut dev: Option<&str> = None;
    while let Some(word) = words.take() {
        let word = match word {
            "dev" => words.value()?,
            _ if abbreviates(word, "help") => return Ok(Command::Help),
            word => word,
        };
        if dev.replace(word).is_some() {
            return Err(words.blame(Failure::garbage("dev", word)));
        }
    }
    Ok(Command::Show(dev.map(str::to_owned)))
}

fn change(words: &mut Words<'_>, add: bool) -> Read<Command> {
    let (mut dev, mut mac) = (None, None);
    while let Some(word) = words.take() {
        if word == "dev" {
            let name = words.value()?;
            if dev.is_some() {
                return Err(words.blame(Failure::twice("dev", name)));
            }
            if !is_interface_name(name) {
                return Err(words.blame(Failure::invalid("\"dev\" not a valid ifname", name)));
            }
            dev = Some(name.to_owned());
            continue;
        }
        let word = if abbreviates(word, "address") { words.value()? } else { word };
        if abbreviates(word, "help") {
            return Ok(Command::Help);
        }
        if mac.is_some() {
            return Err(words.blame(Failure::twice("address", word)));
        }
        let ends = |line: String| Failure { ends: true, ..Failure::command(1, line) };
        let bytes = hardware_address(word)
            .ok_or_else(|| words.blame(ends(format!("\"{word}\" is invalid lladdr."))))?;
        let length = bytes.len();
        mac = Some(<[u8; 6]>::try_from(bytes).map_err(|_| {
            let line = format!("Error: Invalid address length {length} - must be 6 bytes");
            words.blame(ends(line))
        })?);
    }
    let Some(dev) = dev else {
        return Err(Failure::parser("Not enough information: \"dev\" is required."));
    };
    Ok(Command::Change(Change { add, dev, mac: mac.unwrap_or_default() }))
}

/// What the kernel tells in `/proc/net`, of one namespace.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// `dev_mcast`.
    pub link: String,
    /// `igmp`.
    pub inet: String,
    /// `igmp6`.
    pub inet6: String,
}

/// A group that an interface listens to.
#[derive(Debug)]
struct Group {
    index: u32,
    dev: String,
    users: u32,
    is_static: bool,
    address: GroupAddress,
}

#[derive(Debug)]
enum GroupAddress {
    Link(Vec<u8>),
    Ip(IpAddr),
}

impl Listing {
    fn groups(&self, family: Family) -> Vec<Group> {
        let wanted = |asked: Family| family == Family::Any || family == asked;
        let mut groups = Vec::new();
        if wanted(Family::Link) {
            groups.extend(self.link.lines().filter_map(link_group));
        }
        if wanted(Family::Inet) {
            groups.extend(inet_groups(&self.inet));
        }
        if wanted(Family::Inet6) {
            groups.extend(self.inet6.lines().filter_map(inet6_group));
        }
        // Stable: what was read first stays first.
        groups.sort_by_key(|group| group.index);
        groups
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn link_group(line: &str) -> Option<Group> {
    let mut words = line.split_whitespace();
    let (index, dev) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let (users, is_static) = (words.next()?.parse().ok()?, words.next()? != "0");
    let address = GroupAddress::Link(bytes_of_hex(words.next()?)?);
    Some(Group { index, dev, users, is_static, address })
}

/// The interface stands on a line of its own, its groups on lines that begin with a tab.
fn inet_groups(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let (mut index, mut dev) = (0, String::new());
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else { continue };
        if !line.starts_with('\t') {
            index = first.parse().unwrap_or_default();
            second.trim_end_matches(':').clone_into(&mut dev);
            continue;
        }
        let (Ok(address), Ok(users)) = (u32::from_str_radix(first, 16), second.parse()) else {
            continue;
        };
        // The number is as it stands in memory.
        let address = IpAddr::V4(Ipv4Addr::from(address.to_ne_bytes()));
        let (dev, address) = (dev.clone(), GroupAddress::Ip(address));
        groups.push(Group { index, dev, users, is_static: false, address });
    }
    groups
}

fn inet6_group(line: &str) -> Option<Group> {
    let mut words = line.split_whitespace();
    let (index, dev) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let octets = <[u8; 16]>::try_from(bytes_of_hex(words.next()?)?).ok()?;
    let users = words.next()?.parse().ok()?;
    let address = GroupAddress::Ip(IpAddr::V6(Ipv6Addr::from(octets)));
    Some(Group { index, dev, users, is_static: false, address })
}

/// Prints the groups of a family, of one interface where it is named.
pub fn show(out: &mut Out, listing: &Listing, dev: Option<&str>, context: &mut Context<'_>) {
    let (family, oneline) = (context.options.family, context.options.oneline);
    let mut last = None;
    for group in listing.groups(family) {
        if dev.is_some_and(|dev| dev != group.dev) {
            continue;
        }
        if last != Some(group.index) || oneline {
            if last.is_some() {
                out.close_array("");
                out.close();
            }
            out.open(None);
            out.num("ifindex", "{}:", group.index);
            out.shaded(Shade::Name, "ifname", "\t{}", &group.dev);
            out.next_line();
            last = Some(group.index);
            out.open_array("maddr", "");
        }
        print_group(out, &group, context);
    }
    if last.is_some() {
        out.close_array("");
        out.close();
    }
}

fn print_group(out: &mut Out, group: &Group, context: &mut Context<'_>) {
    out.text("\t");
    out.open(None);
    match &group.address {
        GroupAddress::Link(bytes) => {
            out.text("link  ");
            out.shaded(Shade::Mac, "link", "{}", &mac_of(bytes));
        }
        GroupAddress::Ip(address) => {
            let (family, shade) = match address {
                IpAddr::V4(_) => ("inet", Shade::Inet),
                IpAddr::V6(_) => ("inet6", Shade::Inet6),
            };
            out.str("family", "{:5} ", family);
            out.shaded(shade, "address", "{}", &context.shown(*address));
        }
    }
    if group.users != 1 {
        out.num("users", " users {}", group.users);
    }
    if group.is_static {
        out.str("features", " {}", "static");
    }
    out.text("\n");
    out.close();
}
