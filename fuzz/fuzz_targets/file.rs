//! A topology file: read, resolved, written and read again, or refused with a report.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vnet_file::{Source, parse, write};

/// A range of this many digits makes so many nodes that one run takes seconds: that is bounded, and
/// tested elsewhere.
const DIGITS_MAX: usize = 3;

fuzz_target!(|text: &str| {
    let is_long =
        |part: &str| part.chars().take_while(char::is_ascii_hexdigit).count() > DIGITS_MAX;
    if text.split("..").skip(1).any(is_long) {
        return;
    }
    let source = Source::new("fuzz.yaml", text);
    let file = match parse(&source, &[]) {
        Ok(file) => file,
        Err(report) => return assert!(!report.render(&source, false).is_empty()),
    };
    match file.resolve() {
        Ok(desired) => {
            let text = write(file.topology(), &desired);
            let again = Source::new("again.yaml", text.as_str());
            let again = parse(&again, &[]).and_then(|file| file.resolve());
            assert!(
                again.is_ok_and(
                    |again| again.state.namespaces.len() == desired.state.namespaces.len()
                )
            );
            let plan = vnet_model::plan(&desired, &vnet_model::State::default());
            let _ = vnet_iproute::script(&plan.steps);
        }
        Err(report) => assert!(!report.render(&source, false).is_empty()),
    }
});
