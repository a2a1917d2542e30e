use std::fmt;
use std::ops::Range;

use netlink_packet_core::NetlinkSerializable;

use crate::attr::{TooLong, Writer, aligned};
use crate::flags::Flags;
use crate::message::HEADER_BYTES;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;

/// Requests laid out one after the other, to be sent together.
///
/// The buffer is kept by [`clear`](Self::clear), so that a batch that is filled again allocates nothing.
///
/// ```
/// use vnet_netlink::{Batch, Flags};
///
/// const RTM_NEWLINK: u16 = 16;
/// const IFLA_IFNAME: u16 = 3;
///
/// let mut batch = Batch::new();
/// let index = batch.push_raw(RTM_NEWLINK, Flags::CREATE | Flags::EXCL, |message| {
///     message.header(&[0; 16]).text(IFLA_IFNAME, "br0").nest(18, |info| {
///         info.text(1, "bridge");
///     });
/// });
/// assert_eq!((index, batch.len()), (0, 1));
/// ```
#[derive(Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    too_long: Option<(usize, TooLong)>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: usize,
    is_acknowledged: bool,
    is_echoed: bool,
}

impl Batch {
    /// Makes an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message of a codec, `RouteNetlinkMessage` say, or a [`RawMessage`](crate::RawMessage); returns its index.
    pub fn push(&mut self, message: &impl NetlinkSerializable, flags: Flags) -> usize {
        let index = self.begin(message.message_type(), flags, true);
        let payload = self.bytes.len();
        self.bytes.resize(payload + message.buffer_len(), 0);
        message.serialize(&mut self.bytes[payload..]);
        self.end(index)
    }

    /// Appends a message whose payload `write` lays out; returns its index.
    pub fn push_raw(
        &mut self,
        kind: u16,
        flags: Flags,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> usize {
        let index = self.begin(kind, flags, true);
        self.write(index, write)
    }

    /// Appends a message to which the kernel answers only if it refuses it; returns its index.
    ///
    /// For nfnetlink's begin and end of a transaction, to which kernels before 6.10 send no acknowledgement, and for large
    /// transactions, where one acknowledgement, of the last change, is enough.
    pub fn push_unacknowledged(
        &mut self,
        kind: u16,
        flags: Flags,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> usize {
        let index = self.begin(kind, flags, false);
        self.write(index, write)
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Removes all messages, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.too_long = None;
    }

    /// All messages as they are sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message at `index`, with its netlink header; empty if there is none.
    pub fn message_bytes(&self, index: usize) -> &[u8] {
        self.range_bytes(index..(index + 1).min(self.len()))
    }

    pub(crate) fn range_bytes(&self, range: Range<usize>) -> &[u8] {
        let offset = |index: usize| self.slots.get(index).map_or(self.bytes.len(), |it| it.start);
        self.bytes.get(offset(range.start)..offset(range.end)).unwrap_or_default()
    }

    pub(crate) fn is_acknowledged(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.is_acknowledged)
    }

    pub(crate) fn is_echoed(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.is_echoed)
    }

    pub(crate) fn too_long(&self) -> Option<(usize, TooLong)> {
        self.too_long
    }

    /// Numbers the messages: `first`, `first + 1`, …, wrapping.
    pub(crate) fn number(&mut self, first: u32) {
        let mut sequence = first;
        for slot in &self.slots {
            self.bytes[slot.start + 8..slot.start + 12].copy_from_slice(&sequence.to_ne_bytes());
            sequence = sequence.wrapping_add(1);
        }
    }

    fn begin(&mut self, kind: u16, flags: Flags, is_acknowledged: bool) -> usize {
        let ack = if is_acknowledged { NLM_F_ACK } else { 0 };
        let start = self.bytes.len();
        let is_echoed = flags.contains(Flags::ECHO);
        self.slots.push(Slot { start, is_acknowledged, is_echoed });
        append_header(&mut self.bytes, kind, NLM_F_REQUEST | ack | flags.bits());
        self.slots.len() - 1
    }

    fn write(&mut self, index: usize, write: impl FnOnce(&mut Writer<'_>)) -> usize {
        let mut writer = Writer::new(&mut self.bytes);
        write(&mut writer);
        if let Some(too_long) = writer.too_long() {
            self.too_long.get_or_insert((index, too_long));
        }
        self.end(index)
    }

    fn end(&mut self, index: usize) -> usize {
        let start = self.slots[index].start;
        finish_message(&mut self.bytes, start);
        index
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("messages", &self.slots.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Lays out one request in a buffer of its own.
pub(crate) fn single(request: &impl NetlinkSerializable, flags: u16, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + request.buffer_len());
    append_header(&mut bytes, request.message_type(), NLM_F_REQUEST | flags);
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes.resize(HEADER_BYTES + request.buffer_len(), 0);
    request.serialize(&mut bytes[HEADER_BYTES..]);
    finish_message(&mut bytes, 0);
    bytes
}

/// Appends `struct nlmsghdr` without length and sequence number. Port 0 stands for the socket's own.
fn append_header(bytes: &mut Vec<u8>, kind: u16, flags: u16) {
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
}

/// Fills in the length of the message that begins at `start`, and pads it.
fn finish_message(bytes: &mut Vec<u8>, start: usize) {
    let length = bytes.len() - start;
    // A message of 4 GiB is refused by the send buffer long before its length matters.
    let stated = u32::try_from(length).unwrap_or(u32::MAX);
    bytes[start..start + 4].copy_from_slice(&stated.to_ne_bytes());
    bytes.resize(start + aligned(length), 0);
}

#[cfg(test)]
mod tests;
