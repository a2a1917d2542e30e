//! The file system in there: what the tests want of a machine, taken from this one.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::cpio::{self, Node};

/// Programs that must be there, and Debian's packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("sh", "dash"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bridge", "iproute2"),
    ("ss", "iproute2"),
    ("nft", "nftables"),
    ("wg", "wireguard-tools"),
    ("ping", "iputils-ping"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("timeout", "coreutils"),
    ("ps", "procps"),
];

/// Programs that are taken along if this machine has them.
///
/// Busybox runs a part of itself, not the program of that name, when one of its parts is to run another: what runs others is
/// taken from this machine, else `timeout 1 ip …` would be busybox's `ip`.
const OPTIONAL_PROGRAMS: &[&str] =
    &["bash", "ethtool", "tcpdump", "env", "nohup", "nice", "xargs", "find"];

/// Programs that are needed out here.
const OUTER_PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("ldd", "libc-bin"),
    ("strip", "binutils"),
    ("xz", "xz-utils"),
];

const FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/hostname", "vm\n"),
];

const FOLDERS: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "mnt",
    "var/tmp",
    "home",
    "root",
    "etc/iproute2",
    "etc/netns",
];

/// Taken from this machine: names for numbers, as `ip` and `nft` print them.
const HOST_FILES: &[&str] = &["/etc/protocols", "/etc/services"];

/// Names the packages that are missing, all at once.
pub(super) fn ensure_tools() -> anyhow::Result<()> {
    let mut missing: Vec<_> = PROGRAMS
        .iter()
        .chain(OUTER_PROGRAMS)
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    ensure!(
        missing.is_empty(),
        "not all is here that the virtual machine needs: apt-get install {}",
        missing.join(" ")
    );
    Ok(())
}

/// Finds a program in `PATH`, or where only root's has folders.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// An initramfs that is being put together; paths have no leading slash.
#[derive(Debug, Default)]
pub(super) struct Image {
    nodes: BTreeMap<String, Node>,
}

impl Image {
    /// Returns one with busybox, the programs, their libraries and the little that they want of `/etc`.
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut image = Self::default();
        for folder in FOLDERS {
            image.add_folder(folder);
        }
        for (path, text) in FILES {
            image.add_text(path, text);
        }
        image.add_busybox()?;
        let programs = PROGRAMS.iter().map(|(name, _)| *name);
        for name in programs.chain(OPTIONAL_PROGRAMS.iter().copied()) {
            if let Some(path) = find_program(name) {
                image.add_program(&path, &format!("usr/bin/{name}"))?;
            }
        }
        image.nodes.insert("bin/sh".into(), Node::Link { target: "/usr/bin/sh".into() });
        for path in HOST_FILES.iter().map(Path::new).filter(|path| path.is_file()) {
            image.add_file(path, &path.to_string_lossy())?;
        }
        for folder in ["/etc/iproute2", "/usr/share/iproute2"] {
            image.add_tree(Path::new(folder))?;
        }
        Ok(image)
    }

    fn add_busybox(&mut self) -> anyhow::Result<()> {
        let busybox = find_program("busybox").context("no busybox")?;
        ensure!(
            libraries(&busybox)?.is_empty(),
            "busybox is not a static one: apt-get install busybox-static"
        );
        self.add_file(&busybox, "bin/busybox")?;
        let list = output(Command::new(&busybox).arg("--list"))?;
        for name in list.lines() {
            let link = Node::Link { target: "/bin/busybox".into() };
            self.nodes.entry(format!("bin/{name}")).or_insert(link);
        }
        // Where the kernel looks for it when it wants a module.
        self.nodes.insert("sbin/modprobe".into(), Node::Link { target: "/bin/busybox".into() });
        self.add_folder("sbin");
        Ok(())
    }

    /// Adds a program with the libraries that it is linked to.
    pub(super) fn add_program(&mut self, from: &Path, to: &str) -> anyhow::Result<()> {
        self.add_file(from, to)?;
        for library in libraries(from)? {
            self.add_file(&library, &library.to_string_lossy())?;
        }
        Ok(())
    }

    /// Adds a copy of a file, or of what a symbolic link leads to.
    pub(super) fn add_file(&mut self, from: &Path, to: &str) -> anyhow::Result<()> {
        let to = to.trim_start_matches('/');
        if self.nodes.contains_key(to) {
            return Ok(());
        }
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let executable = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
        self.insert(to, Node::File { content, executable });
        Ok(())
    }

    /// Adds a folder with all that is in it, where it is; nothing if it is not there.
    pub(super) fn add_tree(&mut self, folder: &Path) -> anyhow::Result<()> {
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => self.add_tree(&path)?,
                false => self.add_file(&path, &path.to_string_lossy())?,
            }
        }
        Ok(())
    }

    pub(super) fn add_text(&mut self, path: &str, text: &str) {
        self.insert(path, Node::File { content: text.into(), executable: false });
    }

    pub(super) fn add_script(&mut self, path: &str, text: &str) {
        self.insert(path, Node::File { content: text.into(), executable: true });
    }

    pub(super) fn add_folder(&mut self, path: &str) {
        self.insert(path.trim_start_matches('/'), Node::Folder);
    }

    pub(super) fn add_link(&mut self, path: &str, target: &str) {
        self.insert(path, Node::Link { target: target.to_owned() });
    }

    fn insert(&mut self, path: &str, node: Node) {
        let mut above = Path::new(path).parent();
        while let Some(folder) = above.filter(|folder| !folder.as_os_str().is_empty()) {
            let name = folder.to_string_lossy().into_owned();
            self.nodes.entry(name).or_insert(Node::Folder);
            above = folder.parent();
        }
        self.nodes.entry(path.to_owned()).or_insert(node);
    }

    /// Writes the archive, not compressed: the kernel in there is slow at that, and the file is read once.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        // Sorted, a folder stands before what is in it.
        for (path, node) in &self.nodes {
            cpio::write_entry(&mut file, path, node)?;
        }
        cpio::write_end(&mut file)?;
        Ok(file.flush()?)
    }
}

/// The shared libraries that a program is linked to, the loader included; none if it is static.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.contains("statically linked")) {
        if line.contains("not found") {
            bail!("{} wants a library that is not here: {}", program.display(), line.trim());
        }
        let path = line.split_whitespace().find(|word| word.starts_with('/'));
        found.extend(path.map(PathBuf::from));
    }
    Ok(found)
}

/// Runs a command that must succeed and returns what it wrote to stdout.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
