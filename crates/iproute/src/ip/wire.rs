//! Requests to the kernel and its answers: a fixed header and attributes.

use std::net::IpAddr;

use vnet_netlink::attr::{Attributes, Writer};
use vnet_netlink::{Batch, Flags, RawMessage};

/// Makes, changes or removes: the types of rtnetlink messages (linux/rtnetlink.h).
#[expect(missing_docs, reason = "the kernel's names say it")]
pub mod rtm {
    pub const NEWLINK: u16 = 16;
    pub const DELLINK: u16 = 17;
    pub const GETLINK: u16 = 18;
    pub const SETLINK: u16 = 19;
    pub const NEWADDR: u16 = 20;
    pub const DELADDR: u16 = 21;
    pub const GETADDR: u16 = 22;
    pub const NEWROUTE: u16 = 24;
    pub const DELROUTE: u16 = 25;
    pub const GETROUTE: u16 = 26;
    pub const NEWNEIGH: u16 = 28;
    pub const DELNEIGH: u16 = 29;
    pub const GETNEIGH: u16 = 30;
    pub const NEWRULE: u16 = 32;
    pub const DELRULE: u16 = 33;
    pub const GETRULE: u16 = 34;
    pub const NEWNETCONF: u16 = 80;
    pub const DELNETCONF: u16 = 81;
    pub const NEWMDB: u16 = 84;
    pub const DELMDB: u16 = 85;
    pub const GETMDB: u16 = 86;
    pub const NEWNSID: u16 = 88;
    pub const DELNSID: u16 = 89;
    pub const GETNSID: u16 = 90;
    pub const NEWNEXTHOP: u16 = 104;
    pub const DELNEXTHOP: u16 = 105;
    pub const GETNEXTHOP: u16 = 106;
    pub const NEWLINKPROP: u16 = 108;
    pub const DELLINKPROP: u16 = 109;
    pub const NEWVLAN: u16 = 112;
    pub const DELVLAN: u16 = 113;
    pub const GETVLAN: u16 = 114;
    pub const GETNEXTHOPBUCKET: u16 = 118;
}

/// One attribute of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attr {
    /// With a value.
    Value(u16, Vec<u8>),
    /// With attributes in it.
    Nest(u16, Vec<Attr>),
}

impl Attr {
    /// Set in the type of an attribute that holds others, after a header of its own.
    pub const NESTED: u16 = 1 << 15;

    /// Appends attributes to bytes.
    pub fn write_all(attrs: &[Self], bytes: &mut Vec<u8>) {
        let mut writer = Writer::new(bytes);
        attrs.iter().for_each(|attr| attr.write(&mut writer));
    }

    /// Makes one with a text, ended by a zero byte.
    pub fn text(kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        Self::Value(kind, value)
    }

    /// Makes one with a byte.
    pub fn u8(kind: u16, value: u8) -> Self {
        Self::Value(kind, vec![value])
    }

    /// Makes one with a number of 16 bits.
    pub fn u16(kind: u16, value: u16) -> Self {
        Self::Value(kind, value.to_ne_bytes().to_vec())
    }

    /// Makes one with a number of 32 bits.
    pub fn u32(kind: u16, value: u32) -> Self {
        Self::Value(kind, value.to_ne_bytes().to_vec())
    }

    /// Makes one with an address.
    pub fn address(kind: u16, address: IpAddr) -> Self {
        Self::Value(kind, bytes_of(address))
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Value(kind, value) => drop(writer.bytes(*kind, value)),
            Self::Nest(kind, inner) => {
                writer.nest(*kind, |writer| inner.iter().for_each(|attr| attr.write(writer)));
            }
        }
    }
}

/// Returns the bytes of an address as they are sent.
#[must_use]
pub fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its type, of [`rtm`].
    pub kind: u16,
    /// How an existing object is dealt with.
    pub flags: Flags,
    /// The fixed header.
    pub header: Vec<u8>,
    /// What follows it.
    pub attrs: Vec<Attr>,
}

impl Request {
    /// Begins a message.
    #[must_use]
    pub fn new(kind: u16, flags: Flags, header: Vec<u8>) -> Self {
        Self { kind, flags, header, attrs: Vec::new() }
    }

    /// Appends it to a batch.
    pub fn push_to(&self, batch: &mut Batch) -> usize {
        batch.push_raw(self.kind, self.flags, |writer| self.write(writer))
    }

    /// Appends it to a batch, to be answered only if it is refused: half a microsecond less for
    /// each.
    pub fn push_unacknowledged_to(&self, batch: &mut Batch) -> usize {
        batch.push_unacknowledged(self.kind, self.flags, |writer| self.write(writer))
    }

    /// Returns it as a question.
    ///
    /// # Errors
    /// When an attribute is longer than may be.
    pub fn to_raw(&self) -> Result<RawMessage, vnet_netlink::Error> {
        Ok(RawMessage::new(self.kind, |writer| self.write(writer))?)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.header(&self.header);
        self.attrs.iter().for_each(|attr| attr.write(writer));
    }
}

/// The fixed header of messages on links, `struct ifinfomsg`.
#[must_use]
pub fn ifinfomsg(family: u8, index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![family, 0, 0, 0];
    header.extend_from_slice(&index.to_ne_bytes());
    header.extend_from_slice(&flags.to_ne_bytes());
    header.extend_from_slice(&change.to_ne_bytes());
    header
}

/// One message from the kernel: its type and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its type, of [`rtm`].
    pub kind: u16,
    /// The fixed header and the attributes.
    pub payload: Vec<u8>,
}

impl Object {
    /// Returns a byte of the fixed header.
    #[must_use]
    pub fn u8_at(&self, at: usize) -> u8 {
        self.payload.get(at).copied().unwrap_or_default()
    }

    /// Returns a number of 16 bits in the fixed header.
    #[must_use]
    pub fn u16_at(&self, at: usize) -> u16 {
        let bytes = self.payload.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u16::from_ne_bytes(*bytes))
    }

    /// Returns a number of 32 bits in the fixed header.
    #[must_use]
    pub fn u32_at(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// Returns the attributes behind a fixed header of that many bytes.
    #[must_use]
    pub fn attrs(&self, header_bytes: usize) -> Attrs<'_> {
        Attrs::read(self.payload.get(header_bytes..).unwrap_or_default())
    }
}

/// Attributes by their type. What is malformed is left out.
#[derive(Debug, Clone, Default)]
pub struct Attrs<'a> {
    values: Vec<Option<&'a [u8]>>,
}

/// More types than most answers have.
const USUAL_ATTRS: usize = 72;

impl<'a> Attrs<'a> {
    /// Reads attributes.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut values = Vec::with_capacity(USUAL_ATTRS);
        for attr in Attributes::new(bytes).map_while(Result::ok) {
            let at = usize::from(attr.kind);
            if values.len() <= at {
                values.resize(at + 1, None);
            }
            values[at] = Some(attr.value);
        }
        Self { values }
    }

    /// Returns a value.
    #[must_use]
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.values.get(usize::from(kind)).copied().flatten()
    }

    /// Returns a byte.
    #[must_use]
    pub fn u8(&self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// Returns a number of 16 bits.
    #[must_use]
    pub fn u16(&self, kind: u16) -> Option<u16> {
        self.get(kind)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
    }

    /// Returns a number of 16 bits in network order.
    #[must_use]
    pub fn u16_be(&self, kind: u16) -> Option<u16> {
        self.get(kind)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Returns a number of 32 bits.
    #[must_use]
    pub fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    /// Returns a number of 64 bits.
    #[must_use]
    pub fn u64(&self, kind: u16) -> Option<u64> {
        self.get(kind)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
    }

    /// Returns a text up to its zero byte.
    #[must_use]
    pub fn text(&self, kind: u16) -> Option<String> {
        self.get(kind).map(text_of)
    }

    /// Returns an address, by its length.
    #[must_use]
    pub fn address(&self, kind: u16) -> Option<IpAddr> {
        address_of(self.get(kind)?)
    }

    /// Returns the attributes in an attribute.
    #[must_use]
    pub fn nested(&self, kind: u16) -> Option<Attrs<'a>> {
        self.get(kind).map(Attrs::read)
    }
}

/// Reads a text up to its zero byte.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Reads an address, by its length.
#[must_use]
pub fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Shows a hardware address.
#[must_use]
pub fn mac_of(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}
