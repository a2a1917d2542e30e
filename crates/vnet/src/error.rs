//! What can go wrong with a lab, as data.

use std::path::PathBuf;

use rustix::io::Errno;
use vnet_kernel::process::Inhabitant;
use vnet_model::ipnet::IpNet;
use vnet_model::plan::Conflict;
use vnet_model::problem::Problem;
use vnet_model::{IfName, LabName, NodeName, NsName, Origin, Step};
use vnet_netlink::{errno_name, errno_words};

use crate::limits::Shortage;
use crate::snapshot::Obstacle;

/// A failure of an operation on a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused something that only reads, or a teardown.
    #[error(transparent)]
    Kernel(#[from] vnet_kernel::Error),
    /// Something foreign is where the lab wants something of its own. Nothing was touched.
    #[error("{}", join(conflicts))]
    Conflicts {
        /// What is in the way.
        conflicts: Vec<Conflict>,
    },
    /// A step failed, and everything done before it was undone.
    #[error("{source}")]
    Undone {
        /// Why.
        source: vnet_kernel::Error,
    },
    /// Something failed, and so did undoing what was done before it.
    #[error("{source}; and undoing it failed too: {undo}")]
    NotUndone {
        /// Why it had to be undone.
        source: Box<Error>,
        /// Why it could not be.
        undo: Box<Error>,
    },
    /// A signal called it off. What was done before was undone.
    #[error("interrupted by signal {signal}; nothing was changed")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// The kernel took every step and still has something else. Everything was undone.
    #[error("the kernel did not keep what it was told; still to do: {}", join(steps))]
    NotKept {
        /// What still differed.
        steps: Vec<Step>,
    },
    /// The kernel lacks a kind of interface. Nothing was touched.
    #[error("this kernel has no {kind} interfaces: it needs the module `{module}` ({config})")]
    MissingKind {
        /// The kernel's name of the kind.
        kind: String,
        /// The module that has it.
        module: String,
        /// The option it is built with.
        config: String,
    },
    /// The kernel refuses a sysctl. Nothing was touched.
    #[error("the kernel refuses {step}: {} ({})", errno_words(*errno), errno_name(*errno))]
    BadSysctl {
        /// The step that would write it.
        step: Box<Step>,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel takes a sysctl, but for another value. Nothing was touched.
    #[error("the kernel makes something else of {step}: `{kept}`")]
    SysctlNotKept {
        /// The step that would write it.
        step: Box<Step>,
        /// What it is then.
        kept: String,
    },
    /// The machine has too little of something for what was to be made. Nothing was touched.
    #[error("this needs more than there is: {}", join(shortages))]
    TooLittle {
        /// Of what.
        shortages: Vec<Shortage>,
    },
    /// The kernel lacks a part of nf_tables. Nothing was touched.
    #[error("this kernel's nf_tables has no `{part}`: it needs the module `{module}` ({config})")]
    MissingFilter {
        /// The part: an expression, a type of chain, or all of it.
        part: String,
        /// The module that has it.
        module: String,
        /// The option it is built with.
        config: String,
        /// What asked for a table that needs it.
        origin: Origin,
    },
    /// A program is needed that is not there. Nothing was touched.
    #[error("{what} needs the program `{program}`, which is not there")]
    MissingProgram {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
        /// What needs it.
        what: &'static str,
        /// What asked for that.
        origin: Origin,
    },
    /// The program `nft` can't use a text of the file. Nothing was touched.
    #[error("nftables text for {ns}: {message}")]
    NftText {
        /// The namespace that it is for.
        ns: NsName,
        /// What the program says.
        message: String,
        /// The line.
        origin: Origin,
    },
    /// Something ends or stands in the host, and an ordinary user's lab has its own. Nothing was touched.
    #[error("{what} needs root: an ordinary user's lab has a host of its own")]
    ExternalRootless {
        /// "a link to the host" or "an interface on one of the host's".
        what: &'static str,
        /// What asked for it.
        origin: Origin,
    },
    /// A segment is external or a port published, and there is no program that leads out of an ordinary
    /// user's lab. Nothing was touched.
    #[error(
        "{} of an ordinary user needs the program pasta{}",
        if *.publishes { "a published port" } else { "an external segment" },
        if *.publishes { "" } else { " or slirp4netns" }
    )]
    NoOutlet {
        /// Whether it must lead inwards too.
        publishes: bool,
        /// What asked for it.
        origin: Origin,
    },
    /// The program that leads out of an ordinary user's lab could not. Nothing was touched.
    #[error("{reason}")]
    Outlet {
        /// Which program, and what it says.
        reason: String,
        /// What asked for it.
        origin: Origin,
    },
    /// An interface of the host's is to be moved into a node, and has an address that would be lost.
    /// Nothing was touched.
    #[error("host:{name} is in use: it has the address {address}, which it would lose")]
    HostInterfaceInUse {
        /// The interface.
        name: IfName,
        /// One of its addresses.
        address: IpNet,
        /// What asked for it.
        origin: Origin,
    },
    /// Something is to stand on an interface that the host lacks. Nothing was touched.
    #[error("the host has no interface {name}")]
    NoHostInterface {
        /// The interface.
        name: IfName,
        /// What asked for it.
        origin: Origin,
    },
    /// A segment is external, and the host passes no packets on. Nothing was touched.
    #[error("the host does not forward: {key} is 0, so an external segment leads nowhere")]
    HostForwarding {
        /// The sysctl of the host.
        key: &'static str,
        /// What asked for it.
        origin: Origin,
    },
    /// Something of the host's has an address in a network that the lab wants to have there. Nothing
    /// was touched.
    #[error("{wanted} of the lab's {interface} is in use in the host: {other} has {address}")]
    HostAddressInUse {
        /// The lab's interface in the host.
        interface: IfName,
        /// The address that it is to have.
        wanted: IpNet,
        /// The interface that has another one in its network.
        other: IfName,
        /// What that one has.
        address: IpNet,
        /// What asked for it.
        origin: Origin,
    },
    /// A port that the lab publishes is somebody else's in the host. Nothing was touched.
    #[error("{port} of the host is in use: {by}")]
    HostPortInUse {
        /// The port: `tcp/8080`.
        port: String,
        /// Who has it: "lab demo publishes it".
        by: String,
        /// What asked for it.
        origin: Origin,
    },
    /// This user may not do it, and there is no keeper to do it for them.
    #[error("this needs root, or at least CAP_NET_ADMIN and CAP_SYS_ADMIN")]
    Unprivileged,
    /// The kernel or its settings keep this user from making user namespaces.
    #[error("cannot make a user namespace for lab {lab}: {reason}")]
    NoUserNamespaces {
        /// The lab.
        lab: LabName,
        /// What the kernel said.
        reason: String,
        /// What allows it.
        hint: Option<&'static str>,
    },
    /// What exists can't be taken over. Nothing was touched.
    #[error("{}", join(obstacles))]
    Obstacles {
        /// Why not.
        obstacles: Vec<Obstacle>,
    },
    /// What exists contradicts itself as a topology.
    #[error("what exists can't be written as a file: {}", join(problems))]
    Snapshot {
        /// Why not.
        problems: Vec<Problem>,
    },
    /// The lab is not up, and nothing is left of it.
    #[error("lab {lab} is not up")]
    NotUp {
        /// The lab.
        lab: LabName,
    },
    /// No change to the lab waits for its confirmation.
    #[error("no change to lab {lab} waits to be confirmed")]
    NothingPending {
        /// The lab.
        lab: LabName,
    },
    /// The lab has no such node.
    #[error("lab {lab} has no node {node}")]
    NoNode {
        /// The lab.
        lab: LabName,
        /// The name that was looked for.
        node: String,
        /// The most similar name that exists.
        nearest: Option<NodeName>,
    },
    /// The lab has no such link.
    #[error("lab {lab} has no link {link}")]
    NoLink {
        /// The lab.
        lab: LabName,
        /// The name that was looked for.
        link: String,
    },
    /// The node has no such interface.
    #[error("{node} has no interface {interface}")]
    NoInterface {
        /// The node, as it was typed.
        node: String,
        /// The name that was looked for.
        interface: String,
        /// The most similar name that exists.
        nearest: Option<IfName>,
    },
    /// An end of a question has no address that could be asked.
    #[error("{end} has no {} address", if *ipv6 { "IPv6" } else { "IPv4" })]
    NoAddress {
        /// The end, as it was typed.
        end: String,
        /// Of which family.
        ipv6: bool,
    },
    /// A range can't be one.
    #[error(transparent)]
    Range(vnet_file::RangeError),
    /// Another process is changing the lab.
    #[error("lab {lab} is being changed by another process{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The lab.
        lab: LabName,
        /// The process, where it has said so.
        pid: Option<u32>,
    },
    /// Processes that vnet did not start run in the lab's namespaces. Nothing was removed.
    #[error("{}", inhabited(inhabitants))]
    Inhabited {
        /// The processes, each with the namespace it is in.
        inhabitants: Vec<(NsName, Inhabitant)>,
    },
    /// Some of the lab could not be removed; the rest was.
    #[error("{}", join(errors))]
    NotRemoved {
        /// Why, one for each.
        errors: Vec<vnet_kernel::Error>,
    },
    /// A file of the lab's state can't be used.
    #[error("cannot {doing} {}: {}", path.display(), words(source))]
    StateDir {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder of the lab's state is not this user's alone.
    #[error("{} {reason}", path.display())]
    UnsafeStateDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    /// Returns what asked for the thing that failed, so that it can be shown under its line.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let of = |error: &vnet_kernel::Error| error.step().map(|step| step.origin);
        match self {
            Self::Kernel(error) | Self::Undone { source: error } => of(error).unwrap_or_default(),
            Self::NotUndone { source, .. } => source.origin(),
            Self::Conflicts { conflicts } => {
                conflicts.first().map(Conflict::origin).unwrap_or_default()
            }
            Self::MissingFilter { origin, .. }
            | Self::MissingProgram { origin, .. }
            | Self::NftText { origin, .. } => *origin,
            Self::BadSysctl { step, .. } | Self::SysctlNotKept { step, .. } => step.origin,
            Self::NotKept { steps } => steps.first().map(|step| step.origin).unwrap_or_default(),
            Self::ExternalRootless { origin, .. }
            | Self::NoOutlet { origin, .. }
            | Self::Outlet { origin, .. }
            | Self::NoHostInterface { origin, .. }
            | Self::HostInterfaceInUse { origin, .. }
            | Self::HostForwarding { origin, .. }
            | Self::HostPortInUse { origin, .. }
            | Self::HostAddressInUse { origin, .. } => *origin,
            _ => Origin::NONE,
        }
    }
}

/// Returns the system's words for an error, without Rust's "(os error 13)".
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn inhabited(inhabitants: &[(NsName, Inhabitant)]) -> String {
    let list: Vec<String> = inhabitants
        .iter()
        .map(|(ns, who)| format!("{} (pid {}) in {ns}", who.command.escape_debug(), who.pid))
        .collect();
    format!("processes that vnet did not start are in the lab: {}", list.join(", "))
}
