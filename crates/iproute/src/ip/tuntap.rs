//! `ip tuntap`: TUN and TAP devices that last (`ip-tuntap(8)`).

use vnet_netlink::Flags;

use super::failure::Failure;
use super::link::{HEADER_BYTES, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO};
use super::out::{Out, Shade};
use super::wire::{Attr, Object, Request, ifinfomsg, rtm};
use super::words::{Read, Words, abbreviates, is_interface_name};
use super::{Context, unknown_command};

// `IFF_*` of linux/if_tun.h.
const TUN: u16 = 0x1;
const TAP: u16 = 0x2;
const MULTI_QUEUE: u16 = 0x100;
const NO_PI: u16 = 0x1000;
const ONE_QUEUE: u16 = 0x2000;
const VNET_HDR: u16 = 0x4000;

/// A device that is to be made or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Its name; where it is empty the kernel finds one.
    pub name: String,
    /// What it is (`IFF_*`, linux/if_tun.h).
    pub flags: u16,
    /// Who may open it, by name or number.
    pub user: Option<String>,
    /// Whose members may open it, by name or number.
    pub group: Option<String>,
}

/// A command of `ip tuntap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a device.
    Add(Device),
    /// Removes a device.
    Delete(Device),
    /// Lists the devices.
    Show,
    /// The way it is used.
    Help,
}

/// Reads a command of `ip tuntap`.
///
/// # Errors
/// When it can't be understood.
pub fn read(words: &mut Words<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Show) };
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("add") {
        Ok(device(words, true)?.map_or(Command::Help, Command::Add))
    } else if is("delete") {
        Ok(device(words, false)?.map_or(Command::Help, Command::Delete))
    } else if is("show") || is("lst") || is("list") {
        Ok(Command::Show)
    } else if is("help") {
        Ok(Command::Help)
    } else {
        Err(words.blame(unknown_command(word, "tuntap", &["add", "delete", "show", "help"])))
    }
}

/// Reads a device; `None` where help is asked for.
fn device(words: &mut Words<'_>, owned: bool) -> Read<Option<Device>> {
    let mut device = Device { flags: NO_PI, ..Device::default() };
    while let Some(word) = words.take() {
        let is = |keyword: &str| abbreviates(word, keyword);
        if is("mode") {
            let mode = words.value()?;
            let flag = match mode {
                _ if abbreviates(mode, "tun") => TUN,
                _ if abbreviates(mode, "tap") => TAP,
                _ => {
                    let line = format!("Unknown tunnel mode \"{mode}\"");
                    return Err(words.blame(Failure::parser(line)).hint("a mode is tun or tap"));
                }
            };
            if device.flags & (TUN | TAP) & !flag != 0 {
                let line = "You managed to ask for more than one tunnel mode.";
                return Err(words.blame(Failure::parser(line)));
            }
            device.flags |= flag;
        } else if owned && is("user") {
            device.user = Some(words.value()?.to_owned());
        } else if owned && is("group") {
            device.group = Some(words.value()?.to_owned());
        } else if is("pi") {
            device.flags &= !NO_PI;
        } else if is("one_queue") {
            device.flags |= ONE_QUEUE;
        } else if is("vnet_hdr") {
            device.flags |= VNET_HDR;
        } else if is("multi_queue") {
            device.flags |= MULTI_QUEUE;
        } else if is("dev") {
            device.name = name(words, "\"dev\" not a valid ifname")?;
        } else {
            if is("help") {
                return Ok(None);
            }
            if !is("name") {
                words.back();
            }
            let name = name(words, "\"name\" not a valid ifname")?;
            if !device.name.is_empty() {
                return Err(words.blame(Failure::garbage("name", &name)));
            }
            device.name = name;
        }
    }
    if device.flags & (TUN | TAP) == 0 {
        return Err(Failure::command(1, "You failed to specify a tunnel mode")
            .hint("say `mode tun` for IP packets or `mode tap` for Ethernet frames"));
    }
    Ok(Some(device))
}

fn name(words: &mut Words<'_>, why: &str) -> Read<String> {
    words.parse(why, |word| is_interface_name(word).then(|| word.to_owned()))
}

/// Returns the question for the devices.
#[must_use]
pub fn question() -> Request {
    let mut request = Request::new(rtm::GETLINK, Flags::NONE, ifinfomsg(0, 0, 0, 0));
    let kind = Attr::text(IFLA_INFO_KIND, "tun");
    request.attrs.push(Attr::Nest(IFLA_LINKINFO, vec![kind]));
    request
}

/// Prints a device, with its line end; what is none is passed over.
pub fn show(out: &mut Out, link: &Object, _: &mut Context<'_>) {
    let attrs = link.attrs(HEADER_BYTES);
    let Some(info) = attrs.nested(IFLA_LINKINFO) else { return };
    if info.text(IFLA_INFO_KIND).as_deref() != Some("tun") {
        return;
    }
    let data = info.nested(IFLA_INFO_DATA).unwrap_or_default();
    let has = |attr: u16| data.u8(attr).is_some_and(|on| on != 0);
    out.open(None);
    let name = attrs.text(IFLA_IFNAME).unwrap_or_default();
    out.shaded(Shade::Name, "ifname", "{}:", &name);
    out.open_array("flags", "");
    for (is_so, word) in [
        (data.u8(3) == Some(1), "tun"),
        (data.u8(3) == Some(2), "tap"),
        (has(4), "pi"),
        (has(7), "multi_queue"),
        (has(5), "vnet_hdr"),
        (has(6), "persist"),
        // iproute2 shows it unless IFF_NOFILTER is set, a bit that the kernel uses for IFF_NO_PI.
        (has(4), "filter"),
    ] {
        if is_so {
            out.str("", " {}", word);
        }
    }
    out.close_array("");
    for (attr, key, format) in [(1, "user", " user {}"), (2, "group", " group {}")] {
        if let Some(id) = data.u32(attr) {
            out.num(key, format, id);
        }
    }
    out.close();
    out.text("\n");
}
