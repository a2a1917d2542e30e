//! `cargo xtask vm`: the tests that need more of the kernel than this machine's may have, on Debian's cloud kernels in QEMU.
//!
//! A test belongs to this tier when a part of its path begins with `vm_` (`vnet_testns::requires` sees to that). Its binary,
//! stripped, goes into an initramfs with busybox, the kernel's modules for networks, iproute2, nftables and wireguard-tools; the
//! files of the workspace lie where they lie outside. QEMU boots the kernel straight into it, `init.sh` runs the tests one
//! binary after the other and tells of it on a serial line. All kernels run at once, each on one core of this machine.
//!
//! Fetched kernels and all that is made of them are kept in `target/vm`. KVM is tried first, once a boot of this machine, with
//! a short limit: on some machines it is there and hangs.

mod cpio;
mod image;
mod kernel;
mod machine;
mod modules;
mod suites;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use clap::Args;

use image::Image;
use kernel::Kernel;
use machine::{Job, Limits, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run only tests whose `package::path` has one of these in it
    filters: Vec<String>,
    /// Print the tests instead of running them
    #[arg(long, conflicts_with = "shell")]
    list: bool,
    /// Run a shell line in there instead of tests; `vnet` is on its path, and -p brings a package's test binaries along
    #[arg(long, value_name = "CMD", conflicts_with = "filters")]
    shell: Option<String>,
    /// Build and run the tests of these packages only
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
    /// Kernels to boot: lines of versions that Debian 12 has [default: 6.1,6.12, the second if offered]
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    kernel: Vec<String>,
    /// Have the kernel make its own tunnel interfaces (gre0, tunl0, sit0 …) in every namespace, as it does by default
    #[arg(long)]
    fallback_tunnels: bool,
    /// Seconds that each kernel may take for everything
    #[arg(long, value_name = "SECONDS", default_value_t = 2400)]
    limit: u64,
    /// Ask apt for newer kernels than those at hand
    #[arg(long)]
    fetch: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let suites = suites::build(&options.package, &options.filters, options.shell.is_some())?;
    if options.list {
        suites.suites.iter().for_each(suites::Suite::print);
        return Ok(());
    }
    let jobs = match &options.shell {
        Some(line) => vec![Job::shell(line)],
        None => suites.suites.iter().map(Job::tests).collect(),
    };
    ensure!(
        !jobs.is_empty(),
        "no test of this tier has that in its name: see cargo xtask vm --list"
    );
    image::ensure_tools()?;
    let folder = folder()?;
    let kernels = kernel::find(&folder, &options.kernel, options.fetch)?;
    let images: Vec<_> = kernels
        .iter()
        .map(|kernel| write_image(kernel, &suites, &jobs, options, &folder))
        .collect::<anyhow::Result<_>>()?;
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let machines: Vec<_> = kernels
            .iter()
            .zip(&images)
            .enumerate()
            .map(|(place, (kernel, image))| {
                let folder = &folder;
                scope.spawn(move || {
                    let mut told = Told { live: place == 0, held: Vec::new() };
                    let outcome = boot(kernel, image, options, folder, &mut told);
                    (told, outcome)
                })
            })
            .collect();
        machines.into_iter().map(finish).collect()
    });
    judge(&kernels, &outcomes.into_iter().collect::<anyhow::Result<Vec<_>>>()?)
}

fn write_image(
    kernel: &Kernel,
    suites: &suites::Suites,
    jobs: &[Job],
    options: &Options,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    let mut image = Image::new()?;
    modules::add(&mut image, kernel)?;
    suites.add_to(&mut image, folder)?;
    machine::add_jobs(&mut image, jobs, options.fallback_tunnels);
    let path = folder.join(format!("{}.cpio", kernel.release));
    image.write(&path)?;
    Ok(path)
}

/// What a machine tells: the first one's lines are seen as they come, those of the others when they are due.
struct Told {
    live: bool,
    held: Vec<u8>,
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.live { std::io::stdout().write(bytes) } else { self.held.write(bytes) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

fn boot(
    kernel: &Kernel,
    image: &Path,
    options: &Options,
    folder: &Path,
    told: &mut Told,
) -> anyhow::Result<Outcome> {
    let begin = Instant::now();
    let limits = Limits { boot: Duration::from_secs(90), all: Duration::from_secs(options.limit) };
    writeln!(told, "\nLinux {}", kernel.release)?;
    let outcome = machine::boot(kernel, image, folder, &limits, told)?;
    writeln!(
        told,
        "\nLinux {}: {}{:.1} s, {:.1} s of them to boot\n",
        kernel.release,
        if options.shell.is_none() { outcome.summary() + " in " } else { String::new() },
        begin.elapsed().as_secs_f64(),
        outcome.boot.as_secs_f64()
    )?;
    Ok(outcome)
}

/// Waits for a machine's end and shows what was held back.
fn finish(
    machine: ScopedJoinHandle<'_, (Told, anyhow::Result<Outcome>)>,
) -> anyhow::Result<Outcome> {
    let (told, outcome) = machine.join().map_err(|_| anyhow!("the machine's listener panicked"))?;
    std::io::stdout().write_all(&told.held)?;
    outcome
}

/// Every binary must have passed on every kernel, and every test must have run on one.
fn judge(kernels: &[Kernel], outcomes: &[Outcome]) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for (kernel, outcome) in kernels.iter().zip(outcomes) {
        let failed = outcome.ends.iter().filter(|end| end.code != 0);
        failures.extend(
            failed.map(|end| format!("{} on Linux {} ({})", end.job, kernel.release, end.code)),
        );
    }
    ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    if let [first, others @ ..] = outcomes {
        let nowhere: Vec<_> = first
            .skipped
            .iter()
            .filter(|skip| others.iter().all(|other| other.skipped.contains(skip.as_str())))
            .map(String::as_str)
            .collect();
        ensure!(nowhere.is_empty(), "skipped on every kernel there is: {}", nowhere.join(", "));
    }
    Ok(())
}

/// The folder for all that is fetched and made.
fn folder() -> anyhow::Result<PathBuf> {
    let folder = workspace().join("target/vm");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
