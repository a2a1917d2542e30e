//! Programs in the nodes of a lab.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use vnet_kernel::process::Entrance;
use vnet_model::expect::first_address;
use vnet_model::problem::nearest;
use vnet_model::{Desired, LabName, NodeName, NsName};

use crate::error::Error;
use crate::lab::Lab;
use crate::state_dir::StateDir;

const HOSTS: &str = "hosts";
const RESOLV_CONF: &str = "resolv.conf";

/// The variable that a program in a node finds its lab's name in, and by which `down` knows what
/// vnet has started.
pub const ENV_LAB: &str = "VNET_LAB";

/// The variable that a program in a node finds the node's name in.
pub const ENV_NODE: &str = "VNET_NODE";

/// How a program runs in a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exec {
    /// Runs it under these user and group ids, without privileges in the node.
    pub as_user: Option<(u32, u32)>,
}

impl Lab {
    /// Prepares the way into a node of a lab that is up.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::NoNode`], or when the namespace can't be opened.
    pub fn entrance(&self, node: &str, how: Exec) -> Result<Entrance, Error> {
        let ns = self.namespace_of(node)?;
        let mut entrance = Entrance::new(self.realm()?.descriptor(&ns)?, node);
        if let Some(pid) = self.outside_of() {
            entrance = entrance.through(pid)?;
        }
        let entrance = entrance
            .bind(&self.dir.file(HOSTS), Path::new("/etc/hosts"))
            .bind(&self.resolv_conf(&ns), Path::new("/etc/resolv.conf"));
        Ok(match how.as_user {
            Some((uid, gid)) => entrance.as_user(uid, gid),
            None => entrance,
        })
    }

    /// Makes the command that runs a program in a node: with its network, its hostname, its `/sys`,
    /// and an `/etc/hosts` that knows all nodes. Files of the host are not touched.
    ///
    /// ```no_run
    /// # fn f(lab: &vnet::Lab) -> Result<(), Box<dyn std::error::Error>> {
    /// let status = lab.command("r1", "ip", vnet::Exec::default())?.arg("addr").status()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Lab::entrance`].
    pub fn command(&self, node: &str, program: &str, how: Exec) -> Result<Command, Error> {
        let mut command = Command::new(program);
        command.env(ENV_LAB, self.name().as_str()).env(ENV_NODE, node);
        self.entrance(node, how)?.apply_to(&mut command);
        Ok(command)
    }

    /// Finds the namespace of a node or segment of a lab that is up.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::NoNode`].
    pub fn namespace_of(&self, node: &str) -> Result<NsName, Error> {
        let lab = || self.name().clone();
        let desired = self.record()?.ok_or_else(|| Error::NotUp { lab: lab() })?.desired;
        let name = NodeName::new(node).ok();
        let find = |name: &NodeName| desired.nodes.get(name).or_else(|| desired.segments.get(name));
        name.as_ref().and_then(find).cloned().ok_or_else(|| {
            let names = || desired.nodes.keys().chain(desired.segments.keys());
            let near = nearest(node, names().map(NodeName::as_str));
            let near = near.and_then(|near| names().find(|name| name.as_str() == near)).cloned();
            Error::NoNode { lab: lab(), node: node.to_owned(), nearest: near }
        })
    }

    /// Prepares the way into the lab's own host, where `ip netns` sees its namespaces.
    ///
    /// # Errors
    /// [`Error::NotUp`] where no keeper runs.
    pub fn host_entrance(&self) -> Result<Entrance, Error> {
        self.realm()?;
        let entrance = match self.keeper_pid() {
            Some(pid) => Entrance::of_process(pid)?,
            None => Entrance::new(vnet_kernel::thread::open_own_namespace()?, ""),
        };
        Ok(match self.outside_of() {
            Some(pid) => entrance.through(pid)?,
            None => entrance,
        })
    }

    /// Returns the resolver's file of a node: the one that `ip netns exec` would show, if there is
    /// one (`ip-netns(8)`), else the lab's.
    fn resolv_conf(&self, ns: &NsName) -> std::path::PathBuf {
        let custom = Path::new("/etc/netns").join(ns.as_str()).join(RESOLV_CONF);
        if custom.is_file() { custom } else { self.dir.file(RESOLV_CONF) }
    }
}

/// Returns the line of the environment by which a program that vnet started is known.
pub(crate) fn started_line(lab: &LabName) -> String {
    format!("{ENV_LAB}={lab}")
}

/// Writes the files that the nodes see.
pub(crate) fn write_files(dir: &StateDir, desired: &Desired) -> Result<(), Error> {
    dir.replace(HOSTS, hosts(desired).as_bytes(), false)?;
    dir.replace(RESOLV_CONF, b"# lab without a name server\n", false)
}

/// Writes `/etc/hosts` with all nodes by name, each with its first address of each family: one on
/// `lo`, which is there whatever link is down, before others.
fn hosts(desired: &Desired) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (node, ns) in &desired.nodes {
        let Some(namespace) = desired.state.namespaces.get(ns) else { continue };
        for is_ipv6 in [false, true] {
            if let Some(addr) = first_address(namespace, is_ipv6) {
                // Writing to a String can't fail.
                let _ = writeln!(text, "{addr} {node}");
            }
        }
    }
    text
}
