use super::{HEADER_BYTES, NESTED, aligned};

/// Lays out attributes at the end of a buffer.
///
/// An attribute whose value is over 65,531 bytes has no representation. It is left out, and so is what contains it; the
/// writer remembers its type, and [`Batch`](crate::Batch) and [`RawMessage`](crate::RawMessage) refuse the message.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    too_long: Option<TooLong>,
}

/// An attribute does not fit its 16-bit length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {kind} is {length_bytes} bytes long, an attribute holds at most 65531")]
pub struct TooLong {
    /// The type of the attribute.
    pub kind: u16,
    /// The length of its value in bytes.
    pub length_bytes: usize,
}

impl<'a> Writer<'a> {
    /// Starts after what `bytes` holds already. Alignment counts from here.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        let start = bytes.len();
        Self { bytes, start, too_long: None }
    }

    /// Appends a fixed header (`struct rtmsg`, `struct nfgenmsg`, …), padded to 4 bytes.
    pub fn header(&mut self, header: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(header);
        self.pad()
    }

    /// Appends an attribute with this value.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let Some(length) = attribute_length(value.len()) else {
            return self.leave_out(kind, value.len());
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad()
    }

    /// Appends an attribute without a value, whose presence is its meaning.
    pub fn flag(&mut self, kind: u16) -> &mut Self {
        self.bytes(kind, &[])
    }

    /// Appends text, ended by a zero byte. The kernel reads it up to its first zero byte.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let Some(length) = attribute_length(text.len() + 1) else {
            return self.leave_out(kind, text.len() + 1);
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.pad()
    }

    /// Appends a byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a `u16` in host byte order.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a `u32` in host byte order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends an `i32` in host byte order.
    pub fn i32(&mut self, kind: u16, value: i32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a `u64` in host byte order.
    pub fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a `u16` in network byte order.
    pub fn u16_be(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a `u32` in network byte order.
    pub fn u32_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a `u64` in network byte order.
    pub fn u64_be(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds the attributes which `write` appends, flagged as nested.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        self.nest_unflagged(kind | NESTED, write)
    }

    /// Appends an attribute that holds what `write` appends, without `NLA_F_NESTED`.
    ///
    /// For the places in the kernel that compare the type without masking the flag.
    pub fn nest_unflagged(&mut self, kind: u16, write: impl FnOnce(&mut Writer<'_>)) -> &mut Self {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        write(self);
        let value_bytes = self.bytes.len() - begin - HEADER_BYTES;
        let Some(length) = attribute_length(value_bytes) else {
            self.bytes.truncate(begin);
            return self.leave_out(kind, value_bytes);
        };
        self.bytes[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Returns the first attribute that did not fit, if there is one.
    pub fn too_long(&self) -> Option<TooLong> {
        self.too_long
    }

    fn leave_out(&mut self, kind: u16, length_bytes: usize) -> &mut Self {
        let kind = kind & super::TYPE_MASK;
        self.too_long.get_or_insert(TooLong { kind, length_bytes });
        self
    }

    fn pad(&mut self) -> &mut Self {
        let length = self.bytes.len() - self.start;
        self.bytes.resize(self.start + aligned(length), 0);
        self
    }
}

fn attribute_length(value_bytes: usize) -> Option<u16> {
    u16::try_from(value_bytes.checked_add(HEADER_BYTES)?).ok()
}
