//! Debian's cloud kernels: which there are, and where they lie once fetched and unpacked.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::image::output;

/// The lines of kernels that Debian 12 has: the release's own, and a newer one that it offers beside it.
const LINES: [&str; 2] = ["6.1", "6.12"];

/// One kernel, unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As `uname -r` says.
    pub(super) release: String,
    pub(super) vmlinuz: PathBuf,
    /// The folder with `kernel/` and `modules.builtin`.
    pub(super) modules: PathBuf,
}

/// Returns the kernels asked for, fetched where they are not at hand: all lines if none is named.
///
/// A line that nobody named may be missing, but for the first.
pub(super) fn find(folder: &Path, asked: &[String], fetch: bool) -> anyhow::Result<Vec<Kernel>> {
    if let Some(unknown) = asked.iter().find(|line| !LINES.contains(&line.as_str())) {
        bail!("no kernel line {unknown}: there are {}", LINES.join(" and "));
    }
    let mut kernels = Vec::new();
    for line in LINES {
        let is_asked = asked.iter().any(|asked| asked == line);
        if !asked.is_empty() && !is_asked {
            continue;
        }
        match at_hand(folder, line)?.filter(|_| !fetch) {
            Some(kernel) => kernels.push(kernel),
            None => match newest(line)? {
                Some(package) => kernels.push(unpack(folder, &package)?),
                None if is_asked || line == LINES[0] => {
                    bail!(
                        "apt offers no cloud kernel {line}: is this Debian 12, and are its lists fetched (apt-get update)?"
                    )
                }
                None => {}
            },
        }
    }
    Ok(kernels)
}

/// The newest kernel of a line that is unpacked already.
fn at_hand(folder: &Path, line: &str) -> anyhow::Result<Option<Kernel>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        packages.extend(rank(&name, line).map(|rank| (rank, name)));
    }
    let Some((_, package)) = packages.into_iter().max() else { return Ok(None) };
    opened(&folder.join(package)).map(Some)
}

/// The newest package of a line that apt knows.
fn newest(line: &str) -> anyhow::Result<Option<String>> {
    let names =
        output(Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{line}.")]))
            .context("kernels come from Debian's packages, by apt")?;
    Ok(names
        .lines()
        .filter_map(|name| Some((rank(name, line)?, name.to_owned())))
        .max()
        .map(|(_, name)| name))
}

/// Orders the packages of a line by their age; `None` for what is no signed cloud kernel of it.
///
/// They are called `linux-image-6.1.0-56-cloud-amd64` and `linux-image-6.12.117+deb12-cloud-amd64`.
fn rank(package: &str, line: &str) -> Option<Vec<u32>> {
    let version = package.strip_prefix("linux-image-")?.strip_suffix("-cloud-amd64")?;
    let rest = version.strip_prefix(line)?.strip_prefix('.')?;
    let rest = rest.split("+deb").next()?;
    rest.split(['.', '-']).map(|number| number.parse().ok()).collect()
}

fn unpack(folder: &Path, package: &str) -> anyhow::Result<Kernel> {
    eprintln!("fetching {package}");
    let fresh = folder.join(format!(".{package}-{}", std::process::id()));
    fs::create_dir_all(&fresh)?;
    output(Command::new("apt-get").args(["download", "-q", package]).current_dir(&fresh))?;
    let deb = fs::read_dir(&fresh)?.next().context("apt-get fetched nothing")??.path();
    output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&fresh))?;
    fs::remove_file(deb)?;
    let target = folder.join(package);
    // Whole or not at all, also when two of us do it.
    if fs::rename(&fresh, &target).is_err() {
        fs::remove_dir_all(&fresh)?;
    }
    opened(&target)
}

fn opened(folder: &Path) -> anyhow::Result<Kernel> {
    let all = folder.join("lib/modules");
    let mut releases: Vec<_> = fs::read_dir(&all)
        .with_context(|| {
            format!("no kernel in {}: remove it, it will be fetched anew", folder.display())
        })?
        .collect::<Result<_, _>>()?;
    ensure!(releases.len() == 1, "{} has not one release of modules", all.display());
    let modules = releases.remove(0).path();
    let release = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Kernel { vmlinuz: folder.join(format!("boot/vmlinuz-{release}")), modules, release })
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn packages_of_a_line_are_told_apart_and_ordered() {
        let new = rank("linux-image-6.1.0-56-cloud-amd64", "6.1");
        assert!(new > rank("linux-image-6.1.0-9-cloud-amd64", "6.1"));
        assert_eq!(rank("linux-image-6.1.0-56-cloud-amd64-dbg", "6.1"), None);
        assert_eq!(rank("linux-image-6.1.0-56-amd64", "6.1"), None);
        assert_eq!(rank("linux-image-6.12.117+deb12-cloud-amd64", "6.1"), None);
        assert!(
            rank("linux-image-6.12.117+deb12-cloud-amd64", "6.12")
                > rank("linux-image-6.12.9+deb12-cloud-amd64", "6.12")
        );
    }
}
