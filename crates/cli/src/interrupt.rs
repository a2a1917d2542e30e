//! Signals that call off what is under way: it is undone, and then this process dies by the signal.

use std::process::ExitCode;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use vnet::Cancel;

use crate::child;
use crate::errors::Failure;

/// Has the signals that end a command raise a flag instead. Those that are ignored stay so: a job in
/// the background of a script has nothing to do with the terminal's keys.
pub(crate) fn flag() -> Result<Cancel, Failure> {
    let cancel = Cancel::new();
    let ignored = ignored();
    let is_ignored = |signal: &i32| ignored & (1 << (signal - 1)) != 0;
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(signal)) {
        let number = usize::try_from(signal).unwrap_or_default();
        signal_hook::flag::register_usize(signal, cancel.flag().clone(), number)
            .map_err(|error| child::no_signals(&error))?;
    }
    Ok(cancel)
}

/// Ends this process as the signal would have; returns the exit code that stands for it where that
/// can't be done.
pub(crate) fn die_by(signal: i32) -> ExitCode {
    // Whoever started us, a shell's loop say, shall see that it was the signal.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// Returns which signals this process was started to ignore, one bit for each (`SigIgn` in
/// `proc_pid_status(5)`).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
