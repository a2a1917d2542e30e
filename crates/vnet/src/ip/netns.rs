//! `ip netns`: makes, lists, enters and removes named namespaces.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command as Process;

use rustix::io::Errno;
use vnet_iproute::ip::Object;
use vnet_iproute::ip::World as _;
use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::netns::{self, Command};
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire::{Attr, Request, rtm};
use vnet_iproute::ip::words::Words;
use vnet_kernel::process::{Entrance, Identity, inhabitants};
use vnet_kernel::realm::Entry;
use vnet_kernel::thread::NsThread;
use vnet_kernel::{Error, pins};
use vnet_model::NsName;
use vnet_netlink::{Flags, errno_words};

use super::engine::{Engine, entry, names};
use super::explain::explain;
use super::{Io, help, is_colored, print};

const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

pub(super) fn run(
    engine: &mut Engine,
    options: &Options,
    words: &mut Words<'_>,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    match netns::read(words, options)? {
        Command::List => list(engine, options, io),
        Command::ListId(ids) => list_ids(engine, options, ids, io),
        Command::Add(name) => pin(engine, &name, vnet_kernel::unmarked::create),
        Command::Attach(name, pid) => {
            pin(engine, &name, |name, _| vnet_kernel::unmarked::attach(name, pid)).map_err(
                |failure| {
                    let path = format!("{}/{name}", pins::NETNS_DIR);
                    match failure
                        .line
                        .strip_prefix(&format!("Cannot create namespace file \"{path}\": "))
                    {
                        Some(why) if why != "File exists" => {
                            let line = format!("Bind /proc/{pid}/ns/net -> {path} failed: {why}");
                            Failure { line, ..failure }
                                .hint(format!("is {pid} a process? `ps {pid}`"))
                        }
                        _ => failure,
                    }
                },
            )
        }
        Command::Monitor => super::monitor::names(io),
        Command::Delete(Some(name)) => delete(engine, &name),
        Command::Delete(None) => {
            let mut worst = 0;
            for name in names() {
                if let Err(failure) = delete(engine, &name) {
                    io.explain(&failure, &[]);
                    worst = failure.code;
                }
            }
            Ok(worst)
        }
        Command::Set(name, id) => set(engine, &name, id),
        Command::Exec(Some(name), command) => {
            let more_follows = options.batch.is_some();
            if !more_follows {
                return exec(engine, &name, &command, false, io);
            }
            let done = match exec_ip(engine, options, &name, &command, io) {
                Some(code) => code,
                // iproute2 enters the namespace in a process of its own: the batch goes on.
                None => exec(engine, &name, &command, true, io)
                    .map_err(|failure| Failure { ends: false, ..failure })?,
            };
            // Nor does what the program says end it, as a usage of ours would.
            if done == 0 { Ok(0) } else { Err(Failure::command(done, "")) }
        }
        Command::Exec(None, command) => exec_all(engine, &command, io),
        Command::Identify(pid) => identify(options, pid, io),
        Command::Pids(name) => pids(&name, io),
        Command::Help => {
            io.say(help::NETNS);
            Ok(255)
        }
    }
}

fn list(engine: &mut Engine, options: &Options, io: &mut Io<'_>) -> Result<u8, Failure> {
    if !Path::new(pins::NETNS_DIR).exists() {
        return Ok(0);
    }
    let mut out = Out::new(options, is_colored(options, io), io.is_dark);
    for name in names() {
        let id = engine.netns(&name).and_then(|fd| engine.id_of(fd));
        out.open(None);
        out.str("name", "{}", &name);
        if let Some(id) = id {
            out.num("id", " (id: {})", id);
        }
        out.text("\n");
        out.close();
    }
    io.print(&out.finish());
    Ok(0)
}

fn list_ids(
    engine: &mut Engine,
    options: &Options,
    ids: netns::Ids,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let found = match ids.id {
        Some(_) => engine.get(&ids.question())?,
        None => engine.dump(&ids.question())?,
    };
    print(engine, options, io, &found, netns::show_id);
    Ok(0)
}

/// Pins a namespace under a name, as `make` does it.
fn pin(
    engine: &mut Engine,
    name: &str,
    make: impl FnOnce(&NsName, &NsThread) -> Result<(), Error>,
) -> Result<u8, Failure> {
    let path = format!("{}/{name}", pins::NETNS_DIR);
    let valid = NsName::new(name)
        .map_err(|error| Failure::command(1, format!("vnet ip does not take the name: {error}")))?;
    engine.forget();
    match make(&valid, engine.walker()?) {
        Ok(()) => Ok(0),
        Err(Error::Exists { .. }) => {
            let line = format!("Cannot create namespace file \"{path}\": File exists");
            let hint = format!("`ip netns del {name}` removes the one that is there");
            Err(Failure::command(1, line).hint(hint))
        }
        Err(error) => {
            let why = error.errno().map_or_else(|| error.to_string(), errno_words);
            let line = format!("Cannot create namespace file \"{path}\": {why}");
            Err(Failure::command(1, line).hint(error.to_string()))
        }
    }
}

fn delete(engine: &mut Engine, name: &str) -> Result<u8, Failure> {
    let path = format!("{}/{name}", pins::NETNS_DIR);
    let failed =
        |why: &str| Failure::command(1, format!("Cannot remove namespace file \"{path}\": {why}"));
    let valid = NsName::new(name).map_err(|_| failed("No such file or directory"))?;
    if std::fs::symlink_metadata(&path).is_err() {
        return Err(failed("No such file or directory").hint("`ip netns list` shows the names"));
    }
    engine.forget();
    match engine.realm()?.remove(&[valid]) {
        Ok(()) => Ok(0),
        Err(errors) => {
            let why = errors.first().and_then(|(_, error)| error.errno());
            Err(failed(&errno_words(why.unwrap_or(Errno::IO))))
        }
    }
}

fn set(engine: &mut Engine, name: &str, id: Option<i32>) -> Result<u8, Failure> {
    let Some(fd) = engine.netns(name) else {
        if Path::new(pins::NETNS_DIR).join(name).exists() {
            // The kernel is asked with a file that is no namespace.
            let line = "Error: Peer netns reference is invalid.";
            return Err(Failure::command(2, line).hint(format!("`{name}` is no namespace")));
        }
        let line = format!("Cannot open network namespace \"{name}\": No such file or directory");
        return Err(Failure::command(1, line));
    };
    let mut request = Request::new(rtm::NEWNSID, Flags::NONE, vec![0]);
    request.attrs.push(Attr::Value(NETNSA_FD, fd.to_ne_bytes().to_vec()));
    let id = id.unwrap_or(-1);
    request.attrs.push(Attr::Value(NETNSA_NSID, id.to_ne_bytes().to_vec()));
    let result = engine.change(&request);
    engine.forget();
    result
}

/// Prepares a program in a namespace: its network, `/sys`, and what `/etc/netns/NAME` holds.
fn process(engine: &mut Engine, name: &str, command: &[String]) -> Result<Process, Failure> {
    let opened = match entry(engine.realm()?, name)? {
        Entry::Namespace(opened) => opened,
        _ => {
            let line = format!("setting the network namespace \"{name}\" failed: Invalid argument");
            return Err(Failure::parser(line));
        }
    };
    let mut entrance = Entrance::new(opened.ns, "");
    let folder = Path::new("/etc/netns").join(name);
    for file in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        entrance = entrance.bind(&file.path(), &Path::new("/etc").join(file.file_name()));
    }
    let (program, arguments) = command.split_first().ok_or_else(Failure::incomplete)?;
    let mut process = Process::new(program);
    process.args(arguments);
    entrance.apply_to(&mut process);
    Ok(process)
}

fn exec(
    engine: &mut Engine,
    name: &str,
    command: &[String],
    more_follows: bool,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let mut process = process(engine, name, command)?;
    let program = command.first().map_or("", String::as_str);
    let failed = |error: &std::io::Error| {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        Failure::command(1, format!("exec of \"{program}\" failed: {}", errno_words(errno)))
    };
    let _ = io.out.flush();
    let status = if !io.replaces {
        let output = process.output().map_err(|error| failed(&error))?;
        let _ = io.out.write_all(&output.stdout);
        let _ = io.err.write_all(&output.stderr);
        output.status
    } else if more_follows {
        process.status().map_err(|error| failed(&error))?
    } else {
        return Err(failed(&process.exec()));
    };
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Does a command of `ip` or `bridge` that a batch has run in a namespace, without a process for it.
///
/// `None` where the program itself must do it: `/etc/netns/NAME` holds other tables of names, an
/// option says where else to work, or the command is not covered.
fn exec_ip(
    engine: &mut Engine,
    options: &Options,
    name: &str,
    command: &[String],
    io: &mut Io<'_>,
) -> Option<u8> {
    let (program, words) = command.split_first()?;
    let language = match program.as_str() {
        "ip" => Language::Ip,
        "bridge" => Language::Bridge,
        _ => return None,
    };
    let (inner, taken) = Options::read(words, language).ok()?;
    let words = words.get(taken..).filter(|words| !words.is_empty())?;
    let is_elsewhere = inner.netns.is_some() || inner.batch.is_some() || inner.all;
    let is_other = inner.numeric != options.numeric || inner.version || inner.help;
    if is_elsewhere || is_other || Path::new("/etc/netns").join(name).exists() {
        return None;
    }
    // `ip netns exec` within makes a process in its turn.
    if language == Language::Ip && Object::read(&words[0]).ok()? == Object::Netns {
        return None;
    }
    let inner = Options { netns: Some(name.to_owned()), ..inner };
    match super::command(engine.within(name)?, &inner, words, io) {
        Ok(code) => Some(code),
        Err(failure) if failure.is_not_covered() => None,
        Err(failure) => {
            let code = failure.code;
            io.explain(&explain(&inner, words, failure), words);
            Some(code)
        }
    }
}

fn exec_all(engine: &mut Engine, command: &[String], io: &mut Io<'_>) -> Result<u8, Failure> {
    for name in names() {
        io.print(&format!("\nnetns: {name}\n"));
        if let Err(failure) = exec(engine, &name, command, true, io) {
            io.explain(&failure, &[]);
        }
    }
    Ok(0)
}

fn identity(path: &str) -> Result<Identity, Errno> {
    rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino))
}

fn identify(options: &Options, pid: Option<u32>, io: &mut Io<'_>) -> Result<u8, Failure> {
    let path = match (pid, &options.netns) {
        (Some(pid), _) => format!("/proc/{pid}/ns/net"),
        (None, Some(name)) => format!("{}/{name}", pins::NETNS_DIR),
        // The thread's own: another thread of this process may be elsewhere.
        (None, None) => "/proc/thread-self/ns/net".to_owned(),
    };
    let wanted = identity(&path).map_err(|errno| {
        Failure::command(1, format!("Cannot open network namespace: {}", errno_words(errno)))
    })?;
    let found = names()
        .into_iter()
        .find(|name| identity(&format!("{}/{name}", pins::NETNS_DIR)) == Ok(wanted));
    io.print(&format!("{}\n", found.unwrap_or_default()));
    Ok(0)
}

fn pids(name: &str, io: &mut Io<'_>) -> Result<u8, Failure> {
    let wanted = identity(&format!("{}/{name}", pins::NETNS_DIR)).map_err(|errno| {
        Failure::command(1, format!("Cannot open network namespace: {}", errno_words(errno)))
    })?;
    for inhabitant in inhabitants(&[wanted], "") {
        io.print(&format!("{}\n", inhabitant.pid));
    }
    Ok(0)
}
