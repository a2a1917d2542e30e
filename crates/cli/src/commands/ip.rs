//! `vnet ip` and `vnet bridge`, and the program itself under these names: hands the words to the library.
//!
//! All words behind them are iproute2's, so they are taken before vnet's own options are read.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io::{BufWriter, IsTerminal as _, LineWriter};
use std::path::Path;
use std::process::ExitCode;

use vnet::LabName;
use vnet::ip::{Io, Language};
use vnet::kernel::holder::Holder;

use super::Outcome;
use crate::args::Ip;
use crate::context::Context;
use crate::errors::Failure;
use crate::interrupt;

/// The lab of an ordinary user who names none.
pub(crate) const DEFAULT_LAB: &str = "default";

/// Returns the words where they come first: `vnet ip …`, or this program called `ip`.
pub(crate) fn words() -> Option<First> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    let named = language(Path::new(&program).file_name().unwrap_or_default());
    let language = match named {
        Some(language) => language,
        None => language(&arguments.next()?)?,
    };
    let words = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    Some(First { words, language, is_named: named.is_some() })
}

/// Words that are iproute2's from the first on.
#[derive(Debug)]
pub(crate) struct First {
    words: Vec<String>,
    language: Language,
    /// Whether this program is called `ip` or `bridge`.
    is_named: bool,
}

fn language(word: &OsStr) -> Option<Language> {
    match word.to_str()? {
        "ip" => Some(Language::Ip),
        "bridge" => Some(Language::Bridge),
        _ => None,
    }
}

/// Runs the words that came first.
pub(crate) fn run_first(first: &First) -> ExitCode {
    // Under the name `ip` nothing is made that iproute2 would not make.
    if !first.is_named && !vnet::kernel::probe::is_privileged() {
        match enter_default(&first.words, first.language) {
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
    let program = match (first.language, first.is_named) {
        (Language::Ip, true) => "ip",
        (Language::Bridge, true) => "bridge",
        (language, false) => with_vnet(language),
    };
    run_here(&first.words, first.language, program)
}

fn with_vnet(language: Language) -> &'static str {
    match language {
        Language::Ip => "vnet ip",
        Language::Bridge => "vnet bridge",
    }
}

/// Runs the words behind vnet's own options.
pub(super) fn run(context: &Context<'_>, args: &Ip, language: Language) -> Outcome {
    if !context.environment.privileged {
        match &context.global.lab {
            Some(lab) => enter(lab)?,
            None => enter_default(&args.words, language)?,
        }
    }
    Ok(run_here(&args.words, language, with_vnet(language)))
}

fn run_here(words: &[String], language: Language, program: &'static str) -> ExitCode {
    let is_terminal = std::io::stdout().is_terminal();
    let mut out = BufWriter::new(std::io::stdout().lock());
    // A line in one go is not torn apart by what others write there.
    let mut err = LineWriter::new(std::io::stderr().lock());
    let mut io = Io::new(&mut out, &mut err);
    (io.is_terminal, io.replaces, io.program) = (is_terminal, true, program);
    io.is_dark = is_dark();
    // Only then: all else ends as a signal ends it, also while it waits for lines.
    let cancel = OnceCell::new();
    let begin = || {
        let flag = interrupt::flag().ok()?;
        Some(cancel.get_or_init(|| flag).clone())
    };
    io.cancel = Some(&begin);
    let code = match language {
        Language::Ip => vnet::ip::run(words, &mut io),
        Language::Bridge => vnet::ip::run_bridge(words, &mut io),
    };
    drop((out, err));
    cancel.get().and_then(vnet::Cancel::signal).map_or_else(|| code.into(), interrupt::die_by)
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
fn enter_default(words: &[String], language: Language) -> Result<(), Failure> {
    let lab = LabName::new(DEFAULT_LAB).map_err(|e| Failure::usage("usage", e.to_string()))?;
    let found = Holder::find(&lab).map_err(vnet::Error::from)?;
    let holder = match found {
        Some(holder) => holder,
        None if !vnet::ip::changes(words, language) => return Ok(()),
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
