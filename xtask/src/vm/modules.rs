//! The kernel's modules for networks, with all that these need.
//!
//! They are loaded by the kernel itself when they are wanted, as on any machine: `/sbin/modprobe` is there, with indexes of
//! no more than what is taken along, since looking through them all is slow in there.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::image::{Image, output};
use super::kernel::Kernel;

/// Folders and files of `kernel/` whose modules are taken along, by the beginning of their path.
const WANTED: &[&str] = &[
    "drivers/net/bonding/",
    "drivers/net/dummy.",
    "drivers/net/geneve.",
    "drivers/net/ifb.",
    "drivers/net/ipvlan/",
    "drivers/net/macvlan.",
    "drivers/net/macvtap.",
    "drivers/net/tap.",
    "drivers/net/team/",
    "drivers/net/tun.",
    "drivers/net/veth.",
    "drivers/net/vrf.",
    "drivers/net/vxlan/",
    "drivers/net/wireguard/",
    "net/802/",
    "net/8021q/",
    "net/bridge/",
    "net/core/",
    "net/ipv4/",
    "net/ipv6/",
    "net/llc/",
    "net/mpls/",
    "net/netfilter/",
    "net/netlink/",
    "net/packet/",
    "net/sched/",
    "net/unix/",
    "fs/overlayfs/",
];

/// Left out all the same: what only others need, and is large or changes how the rest behaves.
const UNWANTED: &[&str] =
    &["net/netfilter/ipvs/", "net/netfilter/ipset/", "net/bridge/br_netfilter."];

/// Adds the modules and the indexes that `modprobe` reads.
pub(super) fn add(image: &mut Image, kernel: &Kernel) -> anyhow::Result<()> {
    let stage = staged(kernel)?;
    let root = format!("lib/modules/{}", kernel.release);
    for path in files_below(&stage)? {
        let name = path.strip_prefix(&stage)?.to_string_lossy().into_owned();
        image.add_file(&path, &format!("{root}/{name}"))?;
    }
    Ok(())
}

/// Puts the modules together in a folder with their indexes, once for each kernel and list.
fn staged(kernel: &Kernel) -> anyhow::Result<PathBuf> {
    let mark = format!("{WANTED:?} but {UNWANTED:?}");
    let package = kernel.modules.join("../../..").canonicalize()?;
    let stage = package.join("stage/lib/modules").join(&kernel.release);
    let done = package.join("stage/done");
    if fs::read_to_string(&done).is_ok_and(|text| text == mark) {
        return Ok(stage);
    }
    let _ = fs::remove_dir_all(package.join("stage"));
    fs::create_dir_all(&stage)?;
    let all = Modules::of(&kernel.modules)?;
    for path in all.closure(is_wanted)? {
        copy_unpacked(&kernel.modules.join(&path), &stage.join(&path))?;
    }
    for name in ["modules.builtin", "modules.order"] {
        fs::copy(kernel.modules.join(name), stage.join(name))?;
    }
    output(
        Command::new("busybox")
            .arg("depmod")
            .arg("-b")
            .arg(package.join("stage"))
            .arg(&kernel.release),
    )?;
    fs::write(done, mark)?;
    Ok(stage)
}

fn is_wanted(path: &str) -> bool {
    let path = path.strip_prefix("kernel/").unwrap_or(path);
    WANTED.iter().any(|start| path.starts_with(start))
        && !UNWANTED.iter().any(|start| path.starts_with(start))
}

/// All modules of a kernel: where each lies, by its name.
struct Modules {
    folder: PathBuf,
    paths: BTreeMap<String, String>,
}

impl Modules {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let mut paths = BTreeMap::new();
        for path in files_below(&folder.join("kernel"))? {
            let path = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            let file = path.rsplit('/').next().unwrap_or_default();
            if let Some((name, _)) = file.split_once(".ko") {
                paths.insert(name.replace('-', "_"), path);
            }
        }
        ensure!(!paths.is_empty(), "no modules in {}", folder.display());
        Ok(Self { folder: folder.to_path_buf(), paths })
    }

    /// The paths of those wanted and of all that they need.
    fn closure(&self, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut left: Vec<&String> = self.paths.values().filter(|path| is_wanted(path)).collect();
        while let Some(path) = left.pop() {
            if !found.insert(path.clone()) {
                continue;
            }
            for name in needs(&unpacked(&self.folder.join(path))?) {
                let needed = self.paths.get(&name);
                left.push(
                    needed.with_context(|| format!("{path} needs {name}, which is not there"))?,
                );
            }
        }
        Ok(found)
    }
}

/// Reads which modules one needs, from the section `.modinfo` that every module has: texts that end in NUL.
fn needs(module: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for text in module.split(|byte| *byte == 0) {
        if let Some(list) = text.strip_prefix(b"depends=") {
            let list = String::from_utf8_lossy(list).into_owned();
            names.extend(
                list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")),
            );
        }
    }
    names
}

fn copy_unpacked(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("no folder")?)?;
    fs::write(to.with_extension("").with_extension("ko"), unpacked(from)?)?;
    Ok(())
}

/// Reads a module, unpacked if it is packed.
fn unpacked(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(path).output().context("cannot run xz")?;
    ensure!(output.status.success(), "cannot unpack {}", path.display());
    Ok(output.stdout)
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(files_below(&path)?),
            false => files.push(path),
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{is_wanted, needs};

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(
            needs(b"\x7fELF\0junk\0depends=udp_tunnel,ip6-udp-tunnel\0name=vxlan\0"),
            ["udp_tunnel", "ip6_udp_tunnel"]
        );
        assert_eq!(needs(b"depends=\0name=dummy\0"), [""; 0]);
    }

    #[test]
    fn what_is_large_or_in_the_way_stays_out() {
        assert!(is_wanted("kernel/net/bridge/bridge.ko"));
        assert!(!is_wanted("kernel/net/bridge/br_netfilter.ko"));
        assert!(!is_wanted("kernel/drivers/net/ethernet/intel/e1000.ko"));
    }
}
