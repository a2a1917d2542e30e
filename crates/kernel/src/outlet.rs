//! The outlet: the process by which an ordinary user's lab reaches the world.
//!
//! It stands beside the holder, outside of its namespaces, and runs `pasta(1)` or `slirp4netns(1)`: a
//! program that puts an interface into the holder's network namespace, and carries what leaves by it
//! through sockets of the user's own. With the holder it ends, and ends the program: so neither outlives
//! the lab, however that ends.
//!
//! The machine's loopback is not reached from inside. From there, ports that are named lead to the same
//! ports of the holder's own loopback; only pasta can do that.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};
use rustix::process::{Pid, PidfdFlags, geteuid};
use vnet_model::LabName;

use crate::door::{Door, Listener, start_detached, tell_starter};
use crate::error::Error;
use crate::holder::{Holder, is_alive, wait_for_end};

/// The interface in the holder's network namespace that leads out.
pub const INTERFACE: &str = "world";

/// How long the program may take until there is a way out.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether there is a way out yet.
const LOOK: Duration = Duration::from_millis(5);

/// What makes an outlet end, sent over a line to it.
const END: u8 = b'e';

/// How many lines are kept at most; the oldest goes first.
const LINES_MAX: usize = 64;

/// Stand for the holder's process id and for ports in the words for a program.
const PID: &str = "PID";
const TCP: &str = "TCP";
const UDP: &str = "UDP";

/// A program that leads out, and its words. The addresses are of those for benchmarks (RFC 2544), which
/// labs rarely have.
struct Program {
    name: &'static str,
    words: &'static [&'static str],
    /// Whether it can lead inwards too.
    publishes: bool,
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "pasta",
        words: &[
            "--foreground",
            "--quiet",
            "--config-net",
            "--ns-ifname",
            INTERFACE,
            "--address",
            "198.19.255.100",
            "--netmask",
            "255.255.255.0",
            "--gateway",
            "198.19.255.2",
            "--mtu",
            "1500",
            "--no-map-gw",
            "--no-dhcp",
            "--no-dhcpv6",
            "--tcp-ports",
            TCP,
            "--udp-ports",
            UDP,
            "--tcp-ns",
            "none",
            "--udp-ns",
            "none",
            PID,
        ],
        publishes: true,
    },
    Program {
        name: "slirp4netns",
        words: &[
            "--configure",
            "--mtu=1500",
            "--cidr=198.19.255.0/24",
            "--disable-host-loopback",
            PID,
            INTERFACE,
        ],
        publishes: false,
    },
];

/// Finds the program that leads out, and inwards if it must: pasta (Debian's package `passt`), else
/// slirp4netns, in `PATH` and where systems have them.
#[must_use]
pub fn program(publishes: bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/bin".into(), "/usr/local/bin".into()])
        .filter(|folder| folder.is_absolute())
        .collect();
    let programs = PROGRAMS.iter().filter(|program| program.publishes || !publishes);
    let mut places = programs.flat_map(|it| folders.iter().map(|folder| folder.join(it.name)));
    places.find(|place| place.is_file())
}

/// An outlet that runs.
#[derive(Debug)]
pub struct Outlet {
    pidfd: OwnedFd,
    /// A process that has entered the holder's network no longer finds the outlet, but has this line.
    line: OwnedFd,
    published: Vec<String>,
}

impl Outlet {
    /// Finds the outlet of this user's lab. To be called outside of the holder's namespaces.
    ///
    /// # Errors
    /// When somebody else listens under its name.
    pub fn find(lab: &LabName) -> Result<Option<Self>, Error> {
        let listener = Door::of_outlet(lab).ask()?;
        Ok(listener.map(|Listener { pid, pidfd, line }| Self {
            pidfd,
            line,
            published: published(pid).unwrap_or_default(),
        }))
    }

    /// Tells whether it runs still.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        is_alive(&self.pidfd)
    }

    /// Returns the machine's ports that lead inwards, as it was started with.
    #[must_use]
    pub fn published(&self) -> &[String] {
        &self.published
    }

    /// Starts the outlet of a lab whose holder runs, by `program` with `arguments`, which must lead to
    /// [`lead_out`] and end with its ports; returns when there is a way out.
    ///
    /// # Errors
    /// [`Error::Outlet`] with the reason when there can't be one.
    pub fn start(lab: &LabName, program: &Path, arguments: &[&str]) -> Result<Self, Error> {
        let failed = start_detached(program, arguments, None)
            .map_err(|error| Error::Outlet(format!("it can't be started: {error}")))?;
        match (Self::find(lab)?, failed) {
            (Some(outlet), _) => Ok(outlet),
            (None, Some(reason)) => Err(Error::Outlet(reason)),
            (None, None) => Err(Error::Outlet("it is gone".to_owned())),
        }
    }

    /// Ends it, and waits for that.
    ///
    /// # Errors
    /// [`Error::StillThere`] after 10 s.
    pub fn end(&self) -> Result<(), Error> {
        // It may have ended by itself.
        let _ = rustix::io::write(&self.line, &[END]);
        self.wait()
    }

    /// Waits until it has ended, as it does with its holder.
    ///
    /// # Errors
    /// [`Error::StillThere`] after 10 s.
    pub fn wait(&self) -> Result<(), Error> {
        wait_for_end(&self.pidfd, "the outlet")
    }
}

/// Is the outlet of a lab: runs the program, tells the starter on stdout how it went, and stays until
/// the holder, the program or a word ends it. To be called by a process with a single thread.
///
/// # Errors
/// When there is no holder, or no way out.
pub fn lead_out(lab: &LabName, program: &Path, ports: &[String]) -> Result<(), Error> {
    crate::process::drop_inherited();
    match Serving::begin(lab, program, ports) {
        Ok(serving) => {
            tell_starter(Ok(()));
            serving.serve();
            Ok(())
        }
        Err(error) => {
            tell_starter(Err(&error));
            Err(error)
        }
    }
}

/// An outlet, seen by itself.
struct Serving {
    door: OwnedFd,
    holder: OwnedFd,
    running: Running,
}

impl Serving {
    fn begin(lab: &LabName, program: &Path, ports: &[String]) -> Result<Self, Error> {
        let gone = || Error::Keeper("is gone".to_owned());
        let holder = Holder::find(lab)?.ok_or_else(gone)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        // Either program needs it, and says less of what is wrong.
        rustix::fs::open("/dev/net/tun", flags, Mode::empty())
            .map_err(Error::system("open", "/dev/net/tun"))?;
        crate::process::detach().map_err(Error::system("start", "a process"))?;
        // Its own session: a terminal that closes must not end it.
        let _ = rustix::process::setsid();
        let door = Door::of_outlet(lab).open()?;
        let mut running = Running::start(program, holder.pid(), ports)?;
        running.wait_until_it_leads_out(holder.pid())?;
        Ok(Self { door, holder: holder.into_pidfd(), running })
    }

    /// Stays until something ends it.
    fn serve(self) {
        let mut lines: Vec<OwnedFd> = Vec::new();
        loop {
            let watched = [&self.holder, &self.running.pidfd, &self.door];
            let watched = watched.into_iter().chain(&lines);
            let mut watched: Vec<_> = watched.map(|it| PollFd::new(it, PollFlags::IN)).collect();
            match poll(&mut watched, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            let events: Vec<bool> = watched.iter().map(|it| !it.revents().is_empty()).collect();
            if events[0] || events[1] {
                return;
            }
            let mut spoken = events[3..].iter();
            let mut ends = false;
            lines.retain(|line| {
                let silent = spoken.next() != Some(&true);
                ends |= !silent && rustix::io::read(line, &mut [0; 1]) == Ok(1);
                silent
            });
            if ends {
                return;
            }
            if events[2] {
                lines.extend(self.let_in());
                lines.drain(..lines.len().saturating_sub(LINES_MAX));
            }
        }
    }

    /// Takes the line of whoever asks, if it is the same user.
    fn let_in(&self) -> Option<OwnedFd> {
        let line = accept_with(&self.door, SocketFlags::CLOEXEC).ok()?;
        let who = sockopt::socket_peercred(&line).ok()?;
        (who.uid == geteuid()).then_some(line)
    }
}

/// The program. It ends when this is dropped.
struct Running {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    says: File,
}

impl Running {
    fn start(program: &Path, holder: u32, ports: &[String]) -> Result<Self, Error> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = PROGRAMS.iter().find(|known| known.name == name);
        let known = known.ok_or_else(|| Error::Outlet(format!("{name} is not known")))?;
        let failed = |error: &std::io::Error| Error::Outlet(format!("{name}: {error}"));
        let says = rustix::fs::memfd_create("says", MemfdFlags::CLOEXEC).map(File::from);
        let says = says.map_err(|errno| failed(&errno.into()))?;
        let stderr = says.try_clone().map_err(|error| failed(&error))?;
        let filled = known.words.iter().map(|word| match *word {
            PID => holder.to_string(),
            TCP => of_loopback("tcp/", ports),
            UDP => of_loopback("udp/", ports),
            word => word.to_owned(),
        });
        let mut command = Command::new(program);
        command.args(filled).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        // Whatever ends this process.
        crate::process::end_with_parent(&mut command);
        let child = command.spawn().map_err(|error| failed(&error))?;
        // Nobody waits for it yet, so its number stays its own.
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let pidfd = pidfd.map_err(|errno| failed(&errno.into()))?;
        Ok(Self { name, child, pidfd, says })
    }

    /// Waits until the holder's network has a default route by the interface.
    fn wait_until_it_leads_out(&mut self, holder: u32) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !leads_out(holder) {
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            if has_ended || Instant::now() > deadline {
                let said = self.last_words();
                return Err(Error::Outlet(format!("{}: {said}", self.name)));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The last line that the program has said.
    fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        let _ = self.says.rewind().and_then(|()| self.says.read_to_end(&mut said));
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let last = last.unwrap_or("it made no way out, and did not say why");
        last.chars().filter(|c| !c.is_control()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the ports of one protocol as pasta takes them: at the machine's loopback alone.
fn of_loopback(protocol: &str, ports: &[String]) -> String {
    let ports: Vec<&str> = ports.iter().filter_map(|port| port.strip_prefix(protocol)).collect();
    if ports.is_empty() { "none".to_owned() } else { format!("127.0.0.1/{}", ports.join(",")) }
}

/// Returns the ports that a process was started with: whatever of its words is one.
fn published(pid: Pid) -> Option<Vec<String>> {
    let words = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    let words = words.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let is_port = |word: &str| ["tcp/", "udp/"].iter().any(|protocol| word.starts_with(protocol));
    Some(words.filter(|word| is_port(word)).map(|word| word.into_owned()).collect())
}

/// Tells whether a process's network has a default route by the interface (`proc_pid_net(5)`).
fn leads_out(pid: u32) -> bool {
    let read = |file| std::fs::read_to_string(format!("/proc/{pid}/net/{file}"));
    let routes = read("route").unwrap_or_default();
    let routes_ipv6 = read("ipv6_route").unwrap_or_default();
    let is_default = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.next() == Some(INTERFACE) && fields.next() == Some("00000000")
    };
    let is_default_ipv6 = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.nth(1) == Some("00") && fields.next_back() == Some(INTERFACE)
    };
    routes.lines().any(is_default) || routes_ipv6.lines().any(is_default_ipv6)
}
