//! What went wrong, for people and programs: the one place that knows exit codes and hints.

use std::io::ErrorKind;
use std::path::Path;

use rustix::io::Errno;
use vnet::file::{File, Report, Source};
use vnet::model::Origin;
use vnet::model::plan::Conflict;
use vnet::snapshot::Obstacle;
use vnet::{Error, LabName, Shortage};

/// What `exec` and `up -- CMD` exit with when vnet itself failed.
pub(crate) const EXIT_VNET_FAILED: u8 = 125;

/// What they exit with when the program can't be executed.
pub(crate) const EXIT_NOT_EXECUTABLE: u8 = 126;

/// What they exit with when the program is not there.
pub(crate) const EXIT_NOT_FOUND: u8 = 127;

const NOT_UP: &str = "not-up";

/// How many conflicts are shown one by one.
const CONFLICTS_SHOWN_MAX: usize = 5;

/// Something that went wrong, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What kind of thing it is: one word for programs.
    pub(crate) kind: &'static str,
    /// The exit code.
    pub(crate) code: u8,
    /// What went wrong: lower case, no full stop.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) hints: Vec<String>,
    /// The message and hints under the lines of the file that they are about.
    pub(crate) shown: Option<String>,
    /// The signal that this process is to die by, in the end.
    pub(crate) signal: Option<i32>,
}

impl Failure {
    /// Somebody typed something that can't be meant, or the file is bad: nothing was touched.
    pub(crate) fn usage(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, 2, message)
    }

    /// The operation failed.
    pub(crate) fn failed(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, 4, message)
    }

    fn new(kind: &'static str, code: u8, message: impl Into<String>) -> Self {
        let (message, hints) = (message.into(), Vec::new());
        Self { kind, code, message, hints, shown: None, signal: None }
    }

    /// Adds how to mend it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says that a question could not be answered, where an answer was all that was wanted.
    pub(crate) fn cannot_tell(self) -> Self {
        let code = if self.code == 4 && self.kind != NOT_UP { 3 } else { self.code };
        Self { code, ..self }
    }

    /// Takes what is wrong with a file.
    pub(crate) fn of_report(report: &Report, source: &Source, path: &Path) -> Self {
        let has_place = report.diagnostics.iter().any(|found| found.place.is_some());
        let path = path.display();
        let message = match has_place {
            true => format!("{path} can't be used: {report}"),
            false => format!("{path}: {report}"),
        };
        let mut failure = Self::usage("bad-file", message);
        failure.hints = report.diagnostics.iter().filter_map(|found| found.hint.clone()).collect();
        failure.shown = has_place.then(|| report.render(source, true));
        failure
    }

    /// Takes an error of the library. What `file` asked for is shown under its line.
    pub(crate) fn of(error: &Error, file: Option<&File>) -> Self {
        let (kind, code) = classify(error);
        let mut failure = Self::new(kind, code, error.to_string());
        failure.hints = hints(error);
        if let Error::Interrupted { signal } = error {
            failure.signal = Some(*signal);
        }
        failure.hints.dedup();
        failure.shown = file.and_then(|file| match error {
            Error::Conflicts { conflicts } => show_conflicts(conflicts, file),
            _ => show(error.origin(), &failure.message, &failure.hints.join("; "), file),
        });
        failure
    }
}

/// Shows a message under the line of the file that asked for what it is about, if one did.
fn show(origin: Origin, message: &str, hint: &str, file: &File) -> Option<String> {
    file.span(origin)?;
    let hint = (!hint.is_empty()).then_some(hint);
    Some(file.report_kernel_error(origin, message, hint).render(file.source(), true))
}

fn show_conflicts(conflicts: &[Conflict], file: &File) -> Option<String> {
    let one = |conflict: &Conflict| {
        show(conflict.origin(), &conflict.to_string(), &hint_of_conflict(conflict), file)
    };
    let shown: Option<Vec<String>> = conflicts.iter().take(CONFLICTS_SHOWN_MAX).map(one).collect();
    let mut text = shown?.join("\n");
    if conflicts.len() > CONFLICTS_SHOWN_MAX {
        text.push_str(&format!("\nand {} more\n", conflicts.len() - CONFLICTS_SHOWN_MAX));
    }
    Some(text)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error, None)
    }
}

/// Gives an error its kind and exit code.
fn classify(error: &Error) -> (&'static str, u8) {
    match error {
        Error::Conflicts { .. } => ("conflict", 4),
        Error::MissingKind { .. } => ("missing-kernel-feature", 3),
        Error::MissingFilter { .. } => ("missing-kernel-feature", 3),
        Error::MissingProgram { .. } => ("missing-program", 3),
        Error::NftText { .. } => ("bad-file", 2),
        Error::BadSysctl { errno: Errno::PERM | Errno::ACCESS | Errno::ROFS, .. } => {
            ("bad-sysctl", 3)
        }
        Error::BadSysctl { .. } | Error::SysctlNotKept { .. } => ("bad-sysctl", 2),
        Error::TooLittle { .. } => ("too-little", 3),
        Error::ExternalRootless { .. } => ("external-rootless", 3),
        Error::HostInterfaceInUse { .. } => ("host-interface-in-use", 3),
        Error::NoOutlet { .. } | Error::Outlet { .. } => ("no-outlet", 3),
        Error::NoHostInterface { .. } => ("no-host-interface", 3),
        Error::HostForwarding { .. } => ("host-forwarding", 3),
        Error::HostAddressInUse { .. } => ("host-address-in-use", 3),
        Error::HostPortInUse { .. } => ("host-port-in-use", 3),
        Error::Unprivileged => ("unprivileged", 3),
        Error::NoUserNamespaces { .. } => ("no-user-namespaces", 3),
        Error::Obstacles { .. } => ("obstacles", 4),
        Error::Snapshot { .. } => ("snapshot", 4),
        Error::NotUp { .. } => (NOT_UP, 4),
        Error::NothingPending { .. } => ("nothing-pending", 4),
        Error::NoNode { .. } => ("no-node", 2),
        Error::NoLink { .. } => ("no-link", 2),
        Error::NoInterface { .. } => ("no-interface", 2),
        Error::NoAddress { .. } => ("no-address", 2),
        Error::Range(_) => ("usage", 2),
        Error::Locked { .. } => ("locked", 4),
        Error::Inhabited { .. } => ("inhabited", 1),
        Error::NotRemoved { .. } => ("not-removed", 4),
        Error::StateDir { source, .. } => ("state-dir", code_of_io(source.kind())),
        Error::UnsafeStateDir { .. } => ("state-dir", 3),
        Error::Undone { source } => ("undone", code_of(source.errno())),
        Error::NotUndone { .. } => ("not-undone", 4),
        Error::Interrupted { .. } => ("interrupted", 4),
        Error::NotKept { .. } => ("not-kept", 4),
        Error::Kernel(error) => ("kernel", code_of(error.errno())),
        _ => ("failed", 4),
    }
}

/// Tells the environment's fault from others: privileges, and places that can't be written to.
fn code_of(errno: Option<Errno>) -> u8 {
    match errno {
        Some(Errno::PERM | Errno::ACCESS | Errno::ROFS | Errno::NOSYS | Errno::OPNOTSUPP) => 3,
        _ => 4,
    }
}

fn code_of_io(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull => 3,
        _ => 4,
    }
}

const OPEN_TUN: &str = "let users open it, as most systems do: `sudo chmod 666 /dev/net/tun`";

fn hints(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::Conflicts { conflicts } => return conflicts.iter().map(hint_of_conflict).collect(),
        Error::MissingKind { kind, .. } if kind.contains("/dev/net/tun: Permission denied") => {
            OPEN_TUN.to_owned()
        }
        Error::MissingKind { module, .. } | Error::MissingFilter { module, .. } => {
            format!("load it with `sudo modprobe {module}`")
        }
        Error::MissingProgram { package, .. } => format!("install the package `{package}`"),
        Error::TooLittle { shortages } => return shortages.iter().map(Shortage::hint).collect(),
        Error::ExternalRootless { .. } => "run vnet as root, or leave it out".to_owned(),
        Error::NoOutlet { publishes: true, .. } => {
            "install the package `passt`, or run vnet as root".to_owned()
        }
        Error::NoOutlet { publishes: false, .. } => {
            "install the package `passt` or `slirp4netns`, or run vnet as root".to_owned()
        }
        Error::Outlet { reason, .. } if reason.contains("/dev/net/tun") => OPEN_TUN.to_owned(),
        Error::HostInterfaceInUse { name, address, .. } => format!(
            "take it away (`ip address del {address} dev {name}`), or put a macvlan on it (`kind: macvlan`)"
        ),
        Error::NoHostInterface { .. } => "make it first, or name another (`ip link`)".to_owned(),
        Error::HostForwarding { key, .. } => format!(
            "it is a setting of the whole host, which vnet leaves alone: `sudo sysctl -w {key}=1`"
        ),
        // The addresses of published ports follow from the names of lab and node.
        Error::HostAddressInUse { wanted, .. } if wanted.prefix_len() == 31 => {
            "give the lab or the node another name: the address follows from them".to_owned()
        }
        Error::HostAddressInUse { .. } => "give the segment another prefix".to_owned(),
        Error::HostPortInUse { .. } => "publish it as another one: `tcp/8081:80`".to_owned(),
        Error::BadSysctl { errno: Errno::NOENT, .. } => {
            "this kernel has none of that name; `sysctl -a` lists those of a namespace".to_owned()
        }
        Error::BadSysctl { errno: Errno::INVAL, .. } => "it does not take this value".to_owned(),
        Error::BadSysctl { .. } => "it may not be set in a namespace".to_owned(),
        Error::SysctlNotKept { kept, .. } => format!("write `{kept}`"),
        Error::Unprivileged => "run it as root, or give it both capabilities".to_owned(),
        Error::NoUserNamespaces { hint, .. } => match hint {
            Some(hint) => (*hint).to_owned(),
            None => "run vnet as root, or allow ordinary users to make user namespaces".to_owned(),
        },
        Error::Obstacles { obstacles } => return obstacles.iter().map(Obstacle::hint).collect(),
        Error::NotUp { lab } => format!(
            "run `vnet up`; `vnet ls` lists the labs, and -l picks \
             another than {lab}"
        ),
        Error::NothingPending { .. } => {
            "it was confirmed before, or has gone back already: `vnet plan` tells".to_owned()
        }
        Error::NoNode { nearest: Some(near), .. } => {
            format!("a node with a similar name exists: {near}")
        }
        Error::NoInterface { nearest: Some(near), .. } => {
            format!("an interface with a similar name exists: {near}")
        }
        Error::NoNode { nearest: None, .. } => "`vnet show` lists the nodes".to_owned(),
        Error::Range(error) => return error.hint().into_iter().collect(),
        Error::Locked { .. } => "wait for it, or try again without --no-wait".to_owned(),
        Error::Inhabited { .. } => {
            "end them, or use --force: that cuts them off and removes the lab".to_owned()
        }
        Error::NotUndone { .. } | Error::NotRemoved { .. } => {
            "`vnet down` removes what is left".to_owned()
        }
        Error::StateDir { source, path, .. } => return hint_of_io(source.kind(), path),
        Error::UnsafeStateDir { path, .. } => format!(
            "remove {}, or set VNET_STATE_DIR to a folder that is yours alone",
            path.display()
        ),
        Error::Undone { source } | Error::Kernel(source) => return hint_of_kernel(source),
        _ => return Vec::new(),
    };
    vec![hint]
}

fn hint_of_conflict(conflict: &Conflict) -> String {
    match conflict {
        Conflict::Namespace { ns, owner, .. } => match owner.mark() {
            Some(mark) => {
                format!(
                    "take it down with `vnet -l {} down`, or use another name with -l",
                    mark.lab
                )
            }
            None => format!(
                "vnet touches nothing that it did not make: remove it with `ip netns del {ns}`, or \
                 name the namespaces otherwise with `netns:` in the file or another lab with -l"
            ),
        },
        Conflict::Interface { end, .. } if end.ns.is_host() => format!(
            "vnet touches nothing that it did not make: remove it with `ip link del {}`, or give \
             the lab, the segment or the end of the link another name",
            end.name
        ),
        Conflict::Interface { end, .. } => format!(
            "vnet touches nothing that it did not make: remove it with `ip -n {} link del {}`, or \
             give the interface another name in the file",
            end.ns, end.name
        ),
        Conflict::Address { end, address, .. } => format!(
            "vnet touches nothing that it did not make: remove it with `ip -n {} address del \
             {address} dev {}`, or take the lab down first",
            end.ns, end.name
        ),
        _ => "vnet touches nothing that it did not make".to_owned(),
    }
}

fn hint_of_kernel(error: &vnet::kernel::Error) -> Vec<String> {
    let hint = match error.errno() {
        None if matches!(error, vnet::kernel::Error::Gone { .. }) => "`vnet up` makes it again",
        Some(Errno::ROFS) => {
            "namespaces are pinned in /run/netns, which must be writable: mount a tmpfs on /run"
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            "a container or security module may forbid it: in Docker, use --privileged"
        }
        Some(Errno::NOSPC) => {
            "a limit of namespaces is reached: see `sysctl user.max_net_namespaces`"
        }
        Some(Errno::MFILE) if error.to_string().contains("inotify") => {
            "allow more with `sudo sysctl -w fs.inotify.max_user_instances=1024`"
        }
        Some(Errno::MFILE) => "too many open files: raise the limit with `ulimit -Hn`",
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

fn hint_of_io(kind: ErrorKind, path: &Path) -> Vec<String> {
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => vec![format!(
            "{} must be writable: make it so, or set VNET_STATE_DIR to a folder that is",
            path.parent().unwrap_or(path).display()
        )],
        _ => Vec::new(),
    }
}

/// Says that there is no file to read, and what can be typed instead.
pub(crate) fn no_file(path: &Path, is_default: bool, labs: &[LabName]) -> Failure {
    if !is_default {
        return Failure::usage("no-file", format!("there is no file {}", path.display()));
    }
    let message = format!("there is no {} here", path.display());
    let failure = Failure::usage("no-file", message)
        .hint("name the file with -f FILE, or go to the folder it is in");
    match labs {
        [] => failure,
        labs => {
            let labs: Vec<&str> = labs.iter().map(LabName::as_str).collect();
            failure.hint(format!("pick a lab that is up with -l: {}", labs.join(", ")))
        }
    }
}

/// Says that whoever may start vnet with somebody else's rights could do anything with them.
pub(crate) fn setuid() -> Failure {
    let message =
        "vnet does not run setuid or setgid: whoever may start it could do anything as that user";
    Failure { code: 3, ..Failure::failed("setuid", message) }
        .hint("take the bit off with `chmod ug-s`, and use sudo, or labs of your own without root")
}

/// Returns the system's words for an error, without Rust's "(os error 13)".
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
