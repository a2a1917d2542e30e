//! The command `vnet`: reads what was typed, has the library do it, and says how it went.
//!
//! * [`args`]: what can be typed. One definition of each flag feeds help, man page and completions.
//! * [`commands`]: one file a command.
//! * [`context`]: what was typed, made into what is meant: which file, which lab, whose state.
//! * [`printer`]: owns all output. stdout is data, stderr is talk.
//! * [`errors`]: turns what went wrong into message, hints and exit code.
//!
//! It refuses to know networks: whatever a program might want too is in the library.

mod args;
mod child;
mod commands;
mod context;
mod environment;
mod errors;
mod interrupt;
mod printer;
mod progress;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    if environment::has_others_rights() {
        return printer::Printer::new(&args::Global::default()).failure(&errors::setuid(), false);
    }
    if let Some(inner) = args::inner() {
        return commands::run_inner(&inner);
    }
    if let Some(first) = commands::ip::words() {
        return commands::ip::run_first(&first);
    }
    let args = match args::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let printer = printer::Printer::new(&args.global);
    let passes_code = args.command.passes_code();
    match commands::run(args, &printer) {
        Ok(code) => code,
        Err(failure) => {
            let code = printer.failure(&failure, passes_code);
            failure.signal.map_or(code, interrupt::die_by)
        }
    }
}
