//! `vnet ip`, and the program itself under the name `ip`: hands the words to the library.
//!
//! All words behind `ip` are iproute2's, so they are taken before vnet's own options are read.

use std::ffi::OsStr;
use std::io::{BufWriter, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use vnet::LabName;
use vnet::ip::Io;
use vnet::kernel::holder::Holder;

use super::Outcome;
use crate::args::Ip;
use crate::context::Context;
use crate::errors::Failure;

/// The lab of an ordinary user who names none.
const DEFAULT_LAB: &str = "default";

/// Returns the words for `ip` where they come first: `vnet ip …`, or this program called `ip`.
pub(crate) fn words() -> Option<(Vec<String>, bool)> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    let is_ip = Path::new(&program).file_name() == Some(OsStr::new("ip"));
    if !is_ip && arguments.next()? != "ip" {
        return None;
    }
    Some((arguments.map(|word| word.to_string_lossy().into_owned()).collect(), is_ip))
}

/// Runs the words that came first.
pub(crate) fn run_first(words: &[String], is_ip: bool) -> ExitCode {
    // Under the name `ip` nothing is made that iproute2 would not make.
    if !is_ip && !vnet::kernel::probe::is_privileged() {
        match enter_default(words) {
            Ok(()) => {}
            Err(failure) => {
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("{}\n", failure.message).as_bytes(),
                );
                return ExitCode::from(1);
            }
        }
    }
    run_here(words, if is_ip { "ip" } else { "vnet ip" })
}

/// Runs the words behind vnet's own options.
pub(super) fn run(context: &Context<'_>, args: &Ip) -> Outcome {
    if !context.environment.privileged {
        match &context.global.lab {
            Some(lab) => enter(lab)?,
            None => enter_default(&args.words)?,
        }
    }
    Ok(run_here(&args.words, "vnet ip"))
}

fn run_here(words: &[String], program: &'static str) -> ExitCode {
    let is_terminal = std::io::stdout().is_terminal();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut err = std::io::stderr().lock();
    let mut io = Io::new(&mut out, &mut err);
    (io.is_terminal, io.replaces, io.program) = (is_terminal, true, program);
    io.is_dark = is_dark();
    ExitCode::from(vnet::ip::run(words, &mut io))
}

/// Tells whether the terminal's background is dark, as `COLORFGBG` says (lib/color.c).
fn is_dark() -> bool {
    let Ok(colors) = std::env::var("COLORFGBG") else { return false };
    let background = colors.rsplit(';').next().unwrap_or_default();
    matches!(background.parse::<u8>(), Ok(0..=6 | 8)) && colors.contains(';')
}

/// Takes this process into the namespaces of a lab's keeper. It has one thread only until then.
fn enter(lab: &LabName) -> Result<(), Failure> {
    let found = Holder::find(lab).map_err(vnet::Error::from)?;
    let holder = found.ok_or_else(|| vnet::Error::NotUp { lab: lab.clone() })?;
    Ok(holder.join().map_err(vnet::Error::from)?)
}

/// Takes an ordinary user into the lab `default`: what changes something starts it where needed,
/// what only reads is done here where it is not up.
fn enter_default(words: &[String]) -> Result<(), Failure> {
    let lab = LabName::new(DEFAULT_LAB).map_err(|e| Failure::usage("usage", e.to_string()))?;
    let found = Holder::find(&lab).map_err(vnet::Error::from)?;
    let holder = match found {
        Some(holder) => holder,
        None if !vnet::ip::changes(words) => return Ok(()),
        None => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::failed("failed", error.to_string()))?;
            let hold = [vnet::keeper::HOLD, DEFAULT_LAB];
            let holder =
                Holder::find_or_start(&lab, &program, &hold, None).map_err(vnet::Error::from)?;
            let line = "note: this happens in the lab `default`, which was started for it; \
                        `vnet -l default down` ends it\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            holder
        }
    };
    Ok(holder.join().map_err(vnet::Error::from)?)
}
