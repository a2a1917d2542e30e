use std::ops::Range;

use rustix::io::Errno;

use crate::ack::{Ack, NLMSG_ERROR, NLMSG_OVERRUN};
use crate::batch::Batch;
use crate::error::Error;
use crate::message::{Message, Messages};
use crate::outcome::{Outcome, Status};
use crate::protocol::Protocol;
use crate::socket::Socket;

/// How a batch is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Many messages at once. All are tried, whatever fails: the kernel goes on after an error.
    #[default]
    Pipelined,
    /// One after the other. Nothing is sent after a message that is refused.
    InOrder,
    /// All in one datagram, which nfnetlink carries out whole or not at all.
    Transaction,
}

/// Takes the index of a request and an answer to it.
type OnAnswer<'a> = &'a mut dyn FnMut(usize, Message<'_>);

/// What one queued acknowledgement takes of the receive buffer, at most: 832 bytes on Linux 6.18, with the kernel's words
/// too. `SO_RCVBUF` counts the whole `sk_buff`.
const ACK_ROOM_BYTES: usize = 2 * 1024;

/// What one queued answer takes, at most: 2,310 bytes for a link on Linux 6.18, more for one with virtual functions.
const ANSWER_ROOM_BYTES: usize = 16 * 1024;

/// A window's bytes. Longer ones gain nothing, and the kernel would need contiguous or virtual memory for them.
const WINDOW_BYTES: usize = 32 * 1024;

impl Socket {
    /// Sends a batch pipelined: all messages are tried, and each one's acknowledgement is collected.
    ///
    /// Answers that no acknowledgement is are dropped; see [`submit_with`](Self::submit_with). The batch's messages are
    /// numbered anew, so it may be sent again.
    ///
    /// # Errors
    ///
    /// A refusal is not an error, but part of the [`Outcome`]. [`Error::AttributeTooLong`] and
    /// [`Error::MessageTooLong`]: nothing was sent. [`Error::Send`] tells what was sent. [`Error::AnswersLost`] only if
    /// another reader takes the answers away, events fill the queue, or the kernel is out of memory.
    pub fn submit(&mut self, batch: &mut Batch) -> Result<Outcome, Error> {
        self.submit_batch(batch, Mode::Pipelined, None)
    }

    /// Sends a batch message by message, and nothing after the first one that is refused.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_in_order(&mut self, batch: &mut Batch) -> Result<Outcome, Error> {
        self.submit_batch(batch, Mode::InOrder, None)
    }

    /// Sends a batch in one datagram, as nf_tables wants its transactions: if one message is refused, none is done.
    ///
    /// The batch holds the messages that begin and end the transaction, pushed by
    /// [`Batch::push_unacknowledged`]. The acknowledgements must fit the receive buffer: 500 do with the kernel's default
    /// limits; of a larger transaction only the last change should ask for one.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_transaction(&mut self, batch: &mut Batch) -> Result<Outcome, Error> {
        self.submit_batch(batch, Mode::Transaction, None)
    }

    /// Sends a batch and hands out what the kernel answers besides acknowledgements, with the index of the request.
    ///
    /// Those are the objects that were made or changed, for requests with [`Flags::ECHO`](crate::Flags::ECHO), and the
    /// answers to questions (`RTM_GETLINK`, …), of which a batch may hold many.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn submit_with(
        &mut self,
        batch: &mut Batch,
        mode: Mode,
        mut on_answer: impl FnMut(usize, Message<'_>),
    ) -> Result<Outcome, Error> {
        self.submit_batch(batch, mode, Some(&mut on_answer))
    }

    fn submit_batch(
        &mut self,
        batch: &mut Batch,
        mode: Mode,
        mut on_answer: Option<OnAnswer<'_>>,
    ) -> Result<Outcome, Error> {
        if let Some((index, too_long)) = batch.too_long() {
            return Err(Error::AttributeTooLong { index, too_long });
        }
        self.make_room_for(batch, mode)?;
        let first_sequence = self.next_sequence(batch.len());
        batch.number(first_sequence);
        let mut outcome = Outcome::new(batch.len());
        let mut first = 0;
        while first < batch.len() {
            let window = self.window(batch, mode, first, on_answer.is_some());
            first = window.end;
            self.send(batch.range_bytes(window.clone()))
                .map_err(|errno| Error::Send { first: window.start, errno })?;
            let collection = Collection { batch, first_sequence, window, outcome: &mut outcome };
            if let Err(error) = self.collect(collection, mode, &mut on_answer) {
                self.drain();
                return Err(error);
            }
            if mode == Mode::InOrder && !outcome.is_ok() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Checks that each datagram can be sent, before the first one is.
    fn make_room_for(&mut self, batch: &Batch, mode: Mode) -> Result<(), Error> {
        let whole = 0..batch.len();
        let longest = match mode {
            Mode::Transaction => Some((0, batch.as_bytes().len())),
            Mode::Pipelined | Mode::InOrder if batch.as_bytes().len() <= WINDOW_BYTES => {
                return Ok(());
            }
            Mode::Pipelined | Mode::InOrder => {
                whole.map(|index| (index, batch.message_bytes(index).len())).max_by_key(|it| it.1)
            }
        };
        let Some((index, length_bytes)) = longest else {
            return Ok(());
        };
        self.make_send_room(length_bytes);
        let limit_bytes = self.send_limit_bytes();
        if length_bytes > limit_bytes {
            return Err(Error::MessageTooLong { index, length_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Returns the messages from `first` on that can be sent at once. At least one.
    fn window(&self, batch: &Batch, mode: Mode, first: usize, wants_answers: bool) -> Range<usize> {
        match mode {
            Mode::Transaction => return first..batch.len(),
            Mode::InOrder => return first..first + 1,
            Mode::Pipelined => {}
        }
        let mut bytes = 0;
        let mut room = 0;
        let mut end = first;
        while end < batch.len() {
            bytes += batch.message_bytes(end).len();
            room += ACK_ROOM_BYTES;
            if wants_answers || batch.is_echoed(end) {
                room += ANSWER_ROOM_BYTES;
            }
            let fits = bytes <= WINDOW_BYTES.min(self.send_limit_bytes())
                && room <= self.receive_room_bytes();
            if !fits && end > first {
                break;
            }
            end += 1;
        }
        first..end
    }

    /// Collects the answers to one window. They are all queued already.
    fn collect(
        &mut self,
        mut collection: Collection<'_>,
        mode: Mode,
        on_answer: &mut Option<OnAnswer<'_>>,
    ) -> Result<(), Error> {
        let sent = collection.window.end;
        let mut missing = collection.acknowledged_count();
        // A message without acknowledgement may still be refused: only an empty queue tells.
        let until_empty = missing < collection.window.len();
        while missing > 0 || until_empty {
            // An acknowledgement that is not capped repeats its request, of any length.
            let received = match on_answer {
                None if self.features().capped_acks => self.receive_ack(),
                _ => self.receive(),
            };
            let length = match received {
                Ok(length) => length,
                Err(Errno::AGAIN) => break,
                Err(Errno::NOBUFS) => return Err(Error::AnswersLost { sent }),
                Err(errno) => return Err(Error::system("receive netlink answers")(errno)),
            };
            for message in Messages::new(&self.buffer[..length]) {
                let message = message?;
                let Some(index) = collection.index_of(&message) else {
                    continue;
                };
                match message.kind {
                    NLMSG_ERROR => {
                        let is_awaited = collection.note(index, &message, self.protocol())?;
                        missing -= usize::from(is_awaited);
                    }
                    NLMSG_OVERRUN => return Err(Error::AnswersLost { sent }),
                    _ if message.is_control() => {}
                    _ => {
                        if let Some(on_answer) = on_answer {
                            on_answer(index, message);
                        }
                    }
                }
            }
        }
        collection.finish(mode, missing)
    }
}

/// A window that was sent, and where its answers go.
struct Collection<'a> {
    batch: &'a Batch,
    first_sequence: u32,
    window: Range<usize>,
    outcome: &'a mut Outcome,
}

impl Collection<'_> {
    /// Which message of the window is answered. `None` for events, and for answers to an earlier request.
    fn index_of(&self, message: &Message<'_>) -> Option<usize> {
        let distance = message.sequence.wrapping_sub(self.first_sequence);
        usize::try_from(distance).ok().filter(|index| self.window.contains(index))
    }

    fn acknowledged_count(&self) -> usize {
        self.window.clone().filter(|&index| self.batch.is_acknowledged(index)).count()
    }

    /// Notes an acknowledgement. Returns whether it is one that was waited for.
    fn note(
        &mut self,
        index: usize,
        message: &Message<'_>,
        protocol: Protocol,
    ) -> Result<bool, Error> {
        let available_bytes = message.payload.len();
        let ack = Ack::parse(message).ok_or(Error::Malformed { available_bytes })?;
        let is_first = self.outcome.status(index) == Status::NotDone;
        self.outcome.note(index, ack.into_result(protocol, self.batch.message_bytes(index)));
        Ok(is_first && self.batch.is_acknowledged(index))
    }

    /// Draws the conclusions from what is `missing` now that no more answers come.
    fn finish(self, mode: Mode, missing: usize) -> Result<(), Error> {
        if mode == Mode::Transaction && !self.outcome.is_ok() {
            self.outcome.undo_all();
            return Ok(());
        }
        if missing > 0 {
            return Err(Error::AnswersLost { sent: self.window.end });
        }
        for index in self.window.filter(|&index| !self.batch.is_acknowledged(index)) {
            self.outcome.note_silence(index);
        }
        Ok(())
    }
}
