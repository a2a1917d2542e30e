use std::fmt;

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};

use crate::attr::{Attributes, Malformed, TooLong, Writer, aligned, u16_at, u32_at};
use crate::error::Error;

/// The length of `struct nlmsghdr` in bytes.
pub(crate) const HEADER_BYTES: usize = 16;

/// The first type that belongs to a protocol; those below control the transfer (`NLMSG_MIN_TYPE`).
const FIRST_PROTOCOL_TYPE: u16 = 16;

/// One message from the kernel, borrowed from the receive buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type: `RTM_NEWLINK`, … In netfilter the subsystem is the upper byte, in generic netlink it is the family.
    pub kind: u16,
    /// `NLM_F_*`, `NLM_F_MULTI` and `NLM_F_DUMP_FILTERED` among them.
    pub flags: u16,
    /// The sequence number of the request that it answers, 0 for most events.
    pub sequence: u32,
    /// The port of the request that it answers, 0 for an event that the kernel caused itself.
    pub port: u32,
    /// What follows the netlink header: the protocol's own header, then attributes.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Decodes the payload: into `RouteNetlinkMessage`, say.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the codec does not understand it.
    pub fn decode<M: NetlinkDeserializable>(&self) -> Result<M, Error> {
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(self.payload.len() + HEADER_BYTES).unwrap_or(u32::MAX);
        header.message_type = self.kind;
        header.flags = self.flags;
        header.sequence_number = self.sequence;
        header.port_number = self.port;
        M::deserialize(&header, self.payload)
            .map_err(|source| Error::Decode { kind: self.kind, source: Box::new(source) })
    }

    /// Reads the attributes behind the protocol's own header (16 bytes for `struct ifinfomsg`, …).
    ///
    /// # Errors
    ///
    /// [`Malformed::Header`] if the payload is shorter than that header.
    pub fn attributes(&self, header_bytes: usize) -> Result<Attributes<'a>, Malformed> {
        let found_bytes = self.payload.len();
        match self.payload.get(aligned(header_bytes).min(found_bytes)..) {
            Some(attributes) if header_bytes <= found_bytes => Ok(Attributes::new(attributes)),
            _ => Err(Malformed::Header { expected_bytes: header_bytes, found_bytes }),
        }
    }

    pub(crate) fn is_control(&self) -> bool {
        self.kind < FIRST_PROTOCOL_TYPE
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("flags", &format_args!("{:#x}", self.flags))
            .field("sequence", &self.sequence)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Iterates over the messages of one datagram. It ends after the first malformed one.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(crate) fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Some((message, length)) = parse(rest) else {
            return Some(Err(Error::Malformed { available_bytes: rest.len() }));
        };
        self.rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(Ok(message))
    }
}

fn parse(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let message = Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        port: u32_at(bytes, 12)?,
        payload: bytes.get(HEADER_BYTES..length)?,
    };
    Some((message, length))
}

/// A request that no codec covers, laid out by hand.
///
/// It is sent like any other message: it can be pushed on a [`Batch`](crate::Batch), dumped and got.
///
/// ```
/// use vnet_netlink::RawMessage;
///
/// const RTM_GETNETCONF: u16 = 82;
/// const AF_INET: u8 = 2;
/// const NETCONFA_IFINDEX: u16 = 1;
///
/// let request = RawMessage::new(RTM_GETNETCONF, |message| {
///     message.header(&[AF_INET]).u32(NETCONFA_IFINDEX, 1);
/// })?;
/// assert_eq!(request.payload().len(), 4 + 8);
/// # Ok::<(), vnet_netlink::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    kind: u16,
    payload: Vec<u8>,
}

impl RawMessage {
    /// Lays out a message of this type: `write` appends the protocol's own header, then attributes.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if an attribute does not fit its length field.
    pub fn new(kind: u16, write: impl FnOnce(&mut Writer<'_>)) -> Result<Self, TooLong> {
        let mut payload = Vec::new();
        let mut writer = Writer::new(&mut payload);
        write(&mut writer);
        match writer.too_long() {
            Some(too_long) => Err(too_long),
            None => Ok(Self { kind, payload }),
        }
    }

    /// What follows the netlink header.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl NetlinkSerializable for RawMessage {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.payload.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.payload);
    }
}

#[cfg(test)]
mod tests;
