//! Progress: one line on the terminal that is written over, and only where `up` takes so long that
//! somebody could wonder.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vnet::Phase;

use crate::printer::Printer;

/// What is faster than this needs no explanation.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often the line is written anew.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows what `up` is doing.
///
/// The thread that writes starts with the first phase: until then the process may have one only,
/// since it may have to join an ordinary user's lab.
#[derive(Debug)]
pub(crate) struct Progress {
    watched: bool,
    writer: Mutex<Option<(Sender<Phase>, JoinHandle<()>)>>,
}

impl Progress {
    pub(crate) fn new(printer: &Printer) -> Self {
        Self { watched: printer.is_watched(), writer: Mutex::new(None) }
    }

    /// Says that a phase begins.
    pub(crate) fn phase(&self, phase: Phase) {
        if !self.watched {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (phases, _) = writer.get_or_insert_with(|| {
            let (phases, inbox) = channel();
            (phases, std::thread::spawn(move || write(&inbox)))
        });
        // A writer that is gone has nothing more to show.
        let _ = phases.send(phase);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((phases, thread)) = writer.take() {
            drop(phases);
            // Its line is gone when it is.
            let _ = thread.join();
        }
    }
}

fn write(inbox: &std::sync::mpsc::Receiver<Phase>) {
    let begin = Instant::now();
    let mut phase = None;
    let mut shown = false;
    loop {
        let wait = if shown { INTERVAL } else { PATIENCE.saturating_sub(begin.elapsed()) };
        match inbox.recv_timeout(wait) {
            Ok(next) => phase = Some(next),
            Err(RecvTimeoutError::Timeout) => {
                let what = match phase {
                    Some(Phase::Executing(steps)) => format!("building, {steps} steps"),
                    Some(Phase::Verifying) => "verifying".to_owned(),
                    _ => "looking at what exists".to_owned(),
                };
                line(&format!("{what} … {:.1} s", begin.elapsed().as_secs_f32()));
                shown = true;
            }
            Err(RecvTimeoutError::Disconnected) => {
                if shown {
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
