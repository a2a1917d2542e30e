//! Who runs this, and where: asked once, before anything is joined.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vnet::{Keeper, Settings};

use crate::errors::Failure;

/// Overrides where labs are kept. Programs in a lab get it, so that `vnet` in there finds the lab.
pub(crate) const ENV_STATE_DIR: &str = "VNET_STATE_DIR";

/// Tells whether this process has the rights of somebody else than who started it (setuid, setgid).
pub(crate) fn has_others_rights() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

/// Who runs this, and where.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The user's id and group.
    pub(crate) user: (u32, u32),
    /// Whether this process may change networks itself.
    pub(crate) privileged: bool,
    /// The folder of the labs' state.
    pub(crate) state_dir: PathBuf,
    /// How many files may be open, as it was found.
    open_files: Rlimit,
}

impl Environment {
    /// Looks around, and allows this process as many open files as it may have.
    pub(crate) fn take() -> Self {
        let user = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let privileged = vnet::kernel::probe::is_privileged();
        let is_root = rustix::process::geteuid().is_root() && privileged;
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let state_dir = match (set(ENV_STATE_DIR), is_root, set("XDG_RUNTIME_DIR")) {
            (Some(path), ..) => absolute(path.into()),
            (None, true, _) => PathBuf::from("/run/vnet"),
            (None, false, Some(path)) => absolute(path.into()).join("vnet"),
            (None, false, None) => PathBuf::from(format!("/tmp/vnet-{}", user.0)),
        };
        let open_files = getrlimit(Resource::Nofile);
        // Where it fails there are as many as before.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit { current: open_files.maximum, maximum: open_files.maximum },
        );
        Self { user, privileged, state_dir, open_files }
    }

    /// Says how labs in a folder are kept by whoever runs this.
    pub(crate) fn settings(&self, state_dir: &Path) -> Result<Settings, Failure> {
        let mut settings = Settings::new(state_dir);
        if !self.privileged {
            settings.keeper = Some(Keeper { program: program()?, join: true });
        }
        Ok(settings)
    }

    /// Puts the limit of open files back for programs that are started: some (those that use
    /// `select`) do not get along with a high one.
    pub(crate) fn restore_limits(&self) {
        let _ = setrlimit(Resource::Nofile, self.open_files);
    }
}

/// Returns this program.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::failed("failed", format!("cannot find out which program this is: {error}"))
    })
}

/// Programs in a lab may work in another folder.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
