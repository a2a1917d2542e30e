use netlink_packet_core::NetlinkSerializable;
use rustix::io::Errno;

use crate::ack::{Ack, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN};
use crate::batch;
use crate::error::Error;
use crate::message::{Message, Messages};
use crate::socket::Socket;

const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;

/// How often a dump is tried while what it shows is being changed. A part is a fraction of a millisecond, so this many
/// in a row mean that something changes the state all the time.
const DUMP_ATTEMPTS_MAX: u32 = 20;

impl Socket {
    /// Asks for all objects that match, and returns what `decode` makes of each; `None` leaves one out.
    ///
    /// If the objects change while the kernel lists them, the list is thrown away and asked for again, so `decode` may see
    /// an object more than once. It borrows the message from the receive buffer: to read one attribute of each of 20,000
    /// addresses takes 9 ms, the kernel's work included, and [`Message::decode`] 18 ms.
    ///
    /// Needs no capability in rtnetlink; nf_tables wants CAP_NET_ADMIN for reading too.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the kernel refuses, at the start or in the middle. [`Error::DumpInterrupted`] if the
    /// state changed during each of 20 attempts. The first error of `decode`.
    pub fn dump<T>(
        &mut self,
        request: &impl NetlinkSerializable,
        mut decode: impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS_MAX {
            if let Some(objects) = self.ask(request, NLM_F_DUMP, &mut decode)? {
                return Ok(objects);
            }
            // Also ends a dump that a former owner of the socket left unfinished: reading makes the kernel go on with it.
            self.drain();
        }
        Err(Error::DumpInterrupted { attempts: DUMP_ATTEMPTS_MAX })
    }

    /// Asks a question that is not a dump (one link, the route to an address), and returns what `decode` makes of each
    /// answer: mostly there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the kernel refuses: with ENODEV, say, if there is no such link. The first error of `decode`.
    pub fn get<T>(
        &mut self,
        request: &impl NetlinkSerializable,
        mut decode: impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        self.ask_twice(request, NLM_F_ACK, &mut decode)
    }

    /// Asks a question to which there is one answer (one link, by its index), and returns what `decode` makes of it: takes
    /// half as many messages as [`get`](Self::get), since the kernel acknowledges nothing but a refusal.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_one<T>(
        &mut self,
        request: &impl NetlinkSerializable,
        mut decode: impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.ask_twice(request, 0, &mut decode)?.into_iter().next())
    }

    /// Asks, and once more if the first answer was longer than any before it.
    fn ask_twice<T>(
        &mut self,
        request: &impl NetlinkSerializable,
        flags: u16,
        decode: &mut impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..2 {
            if let Some(objects) = self.ask(request, flags, decode)? {
                return Ok(objects);
            }
        }
        Err(Error::AnswersLost { sent: 1 })
    }

    /// Asks once. `None` if the answer is incomplete or inconsistent.
    fn ask<T>(
        &mut self,
        request: &impl NetlinkSerializable,
        flags: u16,
        decode: &mut impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let sequence = self.next_sequence(1);
        let request = batch::single(request, flags, sequence);
        self.make_send_room(request.len());
        self.send(&request).map_err(|errno| Error::Send { first: 0, errno })?;
        let is_single = flags == 0;
        let mut answer = Answer { sequence, is_single, is_whole: true, objects: Ok(Vec::new()) };
        loop {
            let length = match self.receive_part() {
                Ok(Some(length)) => length,
                Ok(None) => {
                    answer.is_whole = false;
                    continue;
                }
                Err(Errno::AGAIN) if answer.is_whole => return Err(Error::AnswersLost { sent: 1 }),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::NOBUFS) => {
                    answer.is_whole = false;
                    continue;
                }
                Err(errno) => return Err(Error::system("receive netlink answers")(errno)),
            };
            for message in Messages::new(&self.buffer[..length]) {
                let Some(end) = answer.take(message?, decode) else {
                    continue;
                };
                return match end.into_result(self.protocol(), &request) {
                    Ok(_) => answer.finish(),
                    // Another dump of this socket is not finished yet (`__netlink_dump_start`).
                    Err(refusal) if flags == NLM_F_DUMP && refusal.errno == Errno::BUSY => Ok(None),
                    Err(refusal) => Err(Error::Refused(refusal)),
                };
            }
        }
    }
}

/// The answer to one question, as far as it has come.
struct Answer<T> {
    sequence: u32,
    /// Nothing follows the first message.
    is_single: bool,
    is_whole: bool,
    /// After an error the rest is still read, so that the socket is free for the next question.
    objects: Result<Vec<T>, Error>,
}

impl<T> Answer<T> {
    /// Takes in a message. Returns the acknowledgement if it is the last one.
    fn take(
        &mut self,
        message: Message<'_>,
        decode: &mut impl FnMut(Message<'_>) -> Result<Option<T>, Error>,
    ) -> Option<Ack> {
        if message.sequence != self.sequence {
            return None;
        }
        if message.flags & NLM_F_DUMP_INTR != 0 && message.kind != NLMSG_ERROR {
            self.is_whole = false;
        }
        match message.kind {
            NLMSG_NOOP => {}
            NLMSG_OVERRUN => self.is_whole = false,
            NLMSG_DONE => return Some(Ack::parse_done(&message)),
            NLMSG_ERROR => {
                let ack = Ack::parse(&message);
                if ack.is_none() {
                    self.objects = Err(Error::Malformed { available_bytes: message.payload.len() });
                }
                return Some(ack.unwrap_or_default());
            }
            _ => {
                if let Ok(objects) = &mut self.objects {
                    match decode(message) {
                        Ok(object) => objects.extend(object),
                        Err(error) => self.objects = Err(error),
                    }
                }
                return self.is_single.then(Ack::default);
            }
        }
        None
    }

    fn finish(self) -> Result<Option<Vec<T>>, Error> {
        match self.objects {
            // What could not be decoded may have been torn by the change that interrupted the dump.
            _ if !self.is_whole => Ok(None),
            Ok(objects) => Ok(Some(objects)),
            Err(error) => Err(error),
        }
    }
}
