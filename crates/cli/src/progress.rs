//! Progress: one line on the terminal that is written over, and only where something takes so long
//! that somebody could wonder.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vnet::Phase;

use crate::printer::Printer;

/// What is faster than this needs no explanation.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often the line is written anew.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows what is being done.
///
/// The thread that writes starts with the first word: until then the process may have one only,
/// since it may have to join an ordinary user's lab.
#[derive(Debug)]
pub(crate) struct Progress<'p> {
    printer: &'p Printer,
    watched: bool,
    writer: Mutex<Option<(Sender<String>, JoinHandle<()>)>>,
}

impl<'p> Progress<'p> {
    pub(crate) fn new(printer: &'p Printer) -> Self {
        Self { printer, watched: printer.is_watched(), writer: Mutex::new(None) }
    }

    /// Says which part of `up` begins.
    pub(crate) fn phase(&self, phase: Phase) {
        if let Phase::Doubting(shortage) = phase {
            // Its line comes later than what is said at the beginning.
            self.printer.note(format!("this may be too much: {shortage}"));
            return self.printer.hint(shortage.hint());
        }
        self.say(|| match phase {
            Phase::Executing(steps) => format!("building, {steps} steps"),
            Phase::Verifying => "verifying".to_owned(),
            Phase::Observing | Phase::Doubting(_) => "looking at what exists".to_owned(),
        });
    }

    /// Says what is done from now on.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if !self.watched {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, _) = writer.get_or_insert_with(|| {
            let (words, inbox) = channel();
            (words, std::thread::spawn(move || write(&inbox)))
        });
        // A writer that is gone has nothing more to show.
        let _ = words.send(what());
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((words, thread)) = writer.take() {
            drop(words);
            // Its line is gone when it is.
            let _ = thread.join();
        }
    }
}

fn write(inbox: &Receiver<String>) {
    let begin = Instant::now();
    let mut shown = None;
    let mut what = String::new();
    loop {
        let due = shown.map_or(begin + PATIENCE, |last| last + INTERVAL);
        match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(next) => what = next,
            Err(RecvTimeoutError::Timeout) => {
                line(&format!("{what} … {:.1} s", begin.elapsed().as_secs_f32()));
                shown = Some(Instant::now());
            }
            Err(RecvTimeoutError::Disconnected) => {
                if shown.is_some() {
                    line("");
                }
                return;
            }
        }
    }
}

/// Writes over the line (`\r`, and ECMA-48's EL: what is left of the old one goes).
#[expect(clippy::print_stderr, reason = "no data and no message: it is gone when the work is done")]
fn line(text: &str) {
    eprint!("\r\x1b[K{text}");
}
