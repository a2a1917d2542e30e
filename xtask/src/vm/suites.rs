//! The test binaries, and which tests of theirs belong to this tier.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::image::{Image, output};
use super::workspace;

/// One test binary with the tests to run.
#[derive(Debug)]
pub(super) struct Suite {
    /// `vnet-kernel`, or `vnet-kernel::drift` for a file in `tests/`.
    pub(super) name: String,
    pub(super) binary: PathBuf,
    /// Where cargo would run it.
    pub(super) folder: PathBuf,
    pub(super) tests: Vec<String>,
}

/// All that was built.
#[derive(Debug)]
pub(super) struct Suites {
    pub(super) suites: Vec<Suite>,
    /// Programs that the tests may start, by the paths that are compiled into them.
    programs: Vec<PathBuf>,
}

/// Builds the tests of `packages`, or of the whole workspace, and finds those that belong here and pass the filters.
///
/// For a shell line, `vnet` is built, and tests only of packages that are named.
pub(super) fn build(
    packages: &[String],
    filters: &[String],
    with_vnet: bool,
) -> anyhow::Result<Suites> {
    let mut command = cargo();
    let programs_only = with_vnet && packages.is_empty();
    command.args(if programs_only { &["build"][..] } else { &["test", "--no-run"] });
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    for package in packages {
        command.args(["--package", package]);
    }
    let mut built = Suites { suites: Vec::new(), programs: Vec::new() };
    let mut messages = output(&mut command).context("the tests do not build")?;
    if with_vnet && !packages.is_empty() {
        let mut vnet = cargo();
        vnet.args(["build", "--package", "vnet-cli", "--message-format=json-render-diagnostics"]);
        messages += &output(vnet.stderr(Stdio::inherit())).context("vnet does not build")?;
    }
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)?;
        let Some(binary) = message["executable"].as_str().map(PathBuf::from) else { continue };
        if message["profile"]["test"] != true {
            built.programs.push(binary);
            continue;
        }
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().context("a package has a folder")?.to_path_buf();
        let name = suite_name(&message, manifest)?;
        let tests = tests_in(&binary, &folder)?;
        let tests: Vec<_> =
            tests.into_iter().filter(|test| is_asked(&name, test, filters)).collect();
        if !tests.is_empty() {
            built.suites.push(Suite { name, binary, folder, tests });
        }
    }
    built.suites.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

fn suite_name(message: &Value, manifest: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(manifest)?;
    let package = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let package = package.with_context(|| format!("no name in {}", manifest.display()))?;
    let is_file = message["target"]["kind"][0] == "test";
    let file = message["target"]["name"].as_str().filter(|_| is_file);
    Ok(file.map_or(package.to_owned(), |file| format!("{package}::{file}")))
}

/// The tests of a binary that belong to this tier: a part of their path begins with `vm_`.
fn tests_in(binary: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new(binary);
    command.args(["--list", "--format", "terse"]).current_dir(folder);
    let list = output(&mut command)?;
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.filter(|name| is_in_tier(name)).map(str::to_owned).collect())
}

fn is_in_tier(test: &str) -> bool {
    test.split("::").any(|part| part.starts_with("vm_"))
}

fn is_asked(suite: &str, test: &str, filters: &[String]) -> bool {
    let name = format!("{suite}::{test}");
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

impl Suite {
    /// Prints the names of the tests.
    pub(super) fn print(&self) {
        for test in &self.tests {
            println!("{}::{test}", self.name);
        }
    }
}

impl Suites {
    /// Adds the binaries without what is there for debuggers, and the files of the workspace.
    pub(super) fn add_to(&self, image: &mut Image, folder: &Path) -> anyhow::Result<()> {
        let stripped = folder.join(format!("stripped-{}", std::process::id()));
        fs::create_dir_all(&stripped)?;
        let done = self.add_stripped(image, &stripped);
        fs::remove_dir_all(&stripped)?;
        done?;
        for path in output(
            Command::new("git")
                .args(["ls-files", "-z", "--recurse-submodules"])
                .current_dir(workspace()),
        )?
        .split('\0')
        {
            let path = workspace().join(path);
            if path.is_file() {
                image.add_file(&path, &path.to_string_lossy())?;
            }
        }
        // What CARGO_TARGET_TMPDIR says.
        image.add_folder(&workspace().join("target/tmp").to_string_lossy());
        Ok(())
    }

    fn add_stripped(&self, image: &mut Image, folder: &Path) -> anyhow::Result<()> {
        let binaries = self.suites.iter().map(|suite| &suite.binary).chain(&self.programs);
        for binary in binaries {
            ensure!(binary.is_absolute(), "cargo says {} without its folder", binary.display());
            let small = folder.join(binary.file_name().context("a binary has a name")?);
            output(Command::new("strip").arg("-o").arg(&small).arg(binary))?;
            image.add_program(&small, &binary.to_string_lossy())?;
        }
        if let Some(vnet) = self.programs.iter().find(|path| path.ends_with("vnet")) {
            image.add_link("usr/bin/vnet", &vnet.to_string_lossy());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{is_asked, is_in_tier};

    #[test]
    fn a_test_is_found_by_any_part_of_its_path() {
        assert!(is_in_tier("vm_a") && is_in_tier("a::vm_b") && is_in_tier("vm_a::b"));
        assert!(!is_in_tier("a_vm_b") && !is_in_tier("vm"));
    }

    #[test]
    fn filters_look_at_the_whole_name() {
        assert!(is_asked("vnet-kernel::links", "vm_a", &[]));
        assert!(is_asked("vnet-kernel::links", "vm_a", &["links::vm".into()]));
        assert!(!is_asked("vnet-kernel::links", "vm_a", &["vnet-why".into()]));
    }
}
