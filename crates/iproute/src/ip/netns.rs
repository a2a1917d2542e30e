//! `ip netns`: named network namespaces (`ip-netns(8)`).

use vnet_netlink::Flags;

use super::Context;
use super::failure::Failure;
use super::options::Options;
use super::out::Out;
use super::unknown_command;
use super::wire::{Attr, Object, Request, rtm};
use super::words::{Read, Words, abbreviates};

/// A command of `ip netns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Lists the names, with the ids they have here.
    List,
    /// Lists the ids: of one namespace where that is named, and as another sees them.
    ListId(Ids),
    /// Makes a namespace.
    Add(String),
    /// Gives the namespace of a process a name.
    Attach(String, u32),
    /// Tells which names come and go.
    Monitor,
    /// Removes a namespace; `None` all.
    Delete(Option<String>),
    /// Gives a namespace an id here; `None` any.
    Set(String, Option<i32>),
    /// Runs a program in a namespace; `None` in each.
    Exec(Option<String>, Vec<String>),
    /// Names the namespace of a process; `None` of this one.
    Identify(Option<u32>),
    /// Lists the processes in a namespace.
    Pids(String),
    /// The way it is used.
    Help,
}

/// Which ids are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ids {
    /// The one that is asked for.
    pub id: Option<i32>,
    /// The namespace, by its id here, whose ids are told.
    pub target: Option<i32>,
}

const COMMANDS: &[&str] = &[
    "list", "list-id", "help", "add", "set", "delete", "identify", "pids", "exec", "monitor",
    "attach",
];

/// Reads a command of `ip netns`.
///
/// # Errors
/// When it can't be understood.
pub fn read(words: &mut Words<'_>, options: &Options) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::List) };
    if let Some(name) = words.peek().filter(|name| !options.all && !is_name(name)) {
        let line = format!("Invalid netns name \"{name}\"");
        words.take();
        return Err(words.blame(Failure::parser(line)));
    }
    let is = |keyword: &str| abbreviates(word, keyword);
    if is("list") || is("show") || is("lst") {
        return Ok(Command::List);
    }
    if is("list-id") {
        return read_ids(words);
    }
    if is("help") {
        return Ok(Command::Help);
    }
    let mut name = || {
        let failure = Failure::command(1, "No netns name specified");
        words.take().map(str::to_owned).ok_or(failure)
    };
    if is("add") {
        return name().map(Command::Add);
    }
    if is("set") {
        return read_set(name()?, words);
    }
    if is("delete") {
        return if options.all {
            Ok(Command::Delete(None))
        } else {
            name().map(|n| Command::Delete(Some(n)))
        };
    }
    if is("identify") {
        return read_identify(words);
    }
    if is("pids") {
        let name = name()?;
        return match words.left() {
            0 => Ok(Command::Pids(name)),
            _ => Err(Failure::command(1, "extra arguments specified")),
        };
    }
    if is("exec") {
        let name = if options.all { None } else { Some(name()?) };
        let command: Vec<String> = std::iter::from_fn(|| words.take()).map(str::to_owned).collect();
        return match command.is_empty() {
            true => Err(Failure::command(1, "No command specified")),
            false => Ok(Command::Exec(name, command)),
        };
    }
    if is("monitor") {
        return Ok(Command::Monitor);
    }
    if is("attach") {
        return read_attach(words);
    }
    Err(words.blame(unknown_command(word, "netns", COMMANDS)))
}

fn read_attach(words: &mut Words<'_>) -> Read<Command> {
    let (Some(name), Some(pid)) = (words.take(), words.take()) else {
        return Err(Failure::command(1, "No netns name and PID specified"));
    };
    match super::words::integer::<u32>(pid).filter(|pid| *pid != 0 && i32::try_from(*pid).is_ok()) {
        Some(pid) => Ok(Command::Attach(name.to_owned(), pid)),
        None => Err(words.blame(Failure::command(1, format!("Invalid PID: {pid}")))),
    }
}

fn read_ids(words: &mut Words<'_>) -> Read<Command> {
    let mut ids = Ids::default();
    while let Some(word) = words.take() {
        let found = match word {
            "nsid" => &mut ids.id,
            "target-nsid" => &mut ids.target,
            _ => return Ok(Command::Help),
        };
        if found.is_some() {
            return Err(words.blame(Failure::twice(word, word)));
        }
        let why = format!("\"{word}\" value is invalid\n");
        let id: i64 = words.parse(&why, |text| match text.strip_prefix('-') {
            Some(digits) => Some(-i64::from(super::words::integer::<i32>(digits)?)),
            None => Some(super::words::integer::<i32>(text)?.into()),
        })?;
        let id = i32::try_from(id).ok().filter(|id| *id >= 0).ok_or_else(|| {
            let next = words.peek().unwrap_or("(null)");
            words.blame(Failure::invalid(&format!("\"{word}\" value should be >= 0\n"), next))
        })?;
        *found = Some(id);
    }
    Ok(Command::ListId(ids))
}

/// What rtnetlink tells of a namespace (linux/net_namespace.h).
const NETNSA_NSID: u16 = 1;
const NETNSA_TARGET_NSID: u16 = 4;
const NETNSA_CURRENT_NSID: u16 = 5;

impl Ids {
    /// Returns the question.
    #[must_use]
    pub fn question(self) -> Request {
        let mut request = Request::new(rtm::GETNSID, Flags::NONE, vec![0]);
        for (attr, id) in [(NETNSA_NSID, self.id), (NETNSA_TARGET_NSID, self.target)] {
            request.attrs.extend(id.map(|id| Attr::u32(attr, id.cast_unsigned())));
        }
        request
    }
}

/// The length of `struct rtgenmsg`, with its padding.
const HEADER_BYTES: usize = 4;

/// Prints an id that a namespace has here, with its line end.
pub fn show_id(out: &mut Out, object: &Object, context: &mut Context<'_>) {
    let attrs = object.attrs(HEADER_BYTES);
    let Some(id) = attrs.u32(NETNSA_NSID).map(u32::cast_signed) else { return };
    out.open(None);
    out.deleted(object.kind == rtm::DELNSID);
    print_id(out, "nsid", id);
    let here = attrs.u32(NETNSA_CURRENT_NSID).map(u32::cast_signed);
    if let Some(here) = here {
        print_id(out, "current-nsid", here);
    }
    if let Some(name) = context.world.netns_of_id(here.unwrap_or(id)) {
        out.str("name", "(iproute2 netns name: {})", &name);
    }
    out.text("\n");
    out.close();
}

fn print_id(out: &mut Out, key: &str, id: i32) {
    match id {
        0.. => out.num(key, &format!("{key} {{}} "), id),
        _ => out.num_as(key, &format!("{key} {{}} "), "", "unassigned"),
    }
}

fn read_set(name: String, words: &mut Words<'_>) -> Read<Command> {
    let Some(word) = words.take() else {
        return Err(Failure::command(1, "No nsid specified"));
    };
    let id = match word {
        "auto" => None,
        word => match super::words::integer::<i32>(word) {
            Some(id) => Some(id),
            None => {
                let failure = Failure::invalid("Invalid \"netnsid\" value", word);
                return Err(words.blame(failure));
            }
        },
    };
    Ok(Command::Set(name, id))
}

fn read_identify(words: &mut Words<'_>) -> Read<Command> {
    let Some(word) = words.take() else { return Ok(Command::Identify(None)) };
    if words.left() > 0 {
        return Err(Failure::command(1, "extra arguments specified"));
    }
    match super::words::integer::<u32>(word) {
        Some(pid) => Ok(Command::Identify(Some(pid))),
        None => {
            let line = format!("Specified string '{word}' is not a pid");
            Err(words.blame(Failure::command(1, line)))
        }
    }
}

/// Tells whether a namespace may have this name (`invalid_name`, ip/ipnetns.c).
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 256 && !name.contains('/') && !matches!(name, "." | "..")
}
