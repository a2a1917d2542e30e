use super::{HEADER_BYTES, NESTED, TYPE_MASK, aligned, u16_at};

/// Iterates over the attributes in a run of bytes.
///
/// It ends after the first malformed attribute: what follows it has no known beginning.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// One attribute, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The type, without its flags.
    pub kind: u16,
    /// Whether `NLA_F_NESTED` is set. The kernel does not set it on all attributes that hold attributes.
    pub is_nested: bool,
    /// The value, without padding.
    pub value: &'a [u8],
}

/// Bytes that are not attributes, or an attribute that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// An attribute is cut off, or shorter than its own header.
    #[error("attribute at byte {offset} says {length_bytes} bytes, {available_bytes} are there")]
    Length {
        /// Where the attribute begins, counted from the first attribute.
        offset: usize,
        /// The length it gives itself, 0 where not even that is there.
        length_bytes: usize,
        /// The bytes from `offset` to the end.
        available_bytes: usize,
    },
    /// A message is shorter than the fixed header in front of its attributes.
    #[error("fixed header of {expected_bytes} bytes is cut off after {found_bytes}")]
    Header {
        /// The length of the fixed header.
        expected_bytes: usize,
        /// The length of the payload.
        found_bytes: usize,
    },
    /// A value has not the length of its type.
    #[error("attribute {kind} has a value of {found_bytes} bytes instead of {expected_bytes}")]
    Value {
        /// The type of the attribute.
        kind: u16,
        /// The length that was asked for.
        expected_bytes: usize,
        /// The length it has.
        found_bytes: usize,
    },
    /// A text is not UTF-8.
    #[error("attribute {kind} is not UTF-8 text")]
    Text {
        /// The type of the attribute.
        kind: u16,
    },
}

impl<'a> Attributes<'a> {
    /// Reads `bytes`, which begin with an attribute.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Returns the first attribute of this type.
    ///
    /// # Errors
    ///
    /// [`Malformed::Length`] if the bytes in front of it are not attributes.
    pub fn find(self, kind: u16) -> Result<Option<Attribute<'a>>, Malformed> {
        for attribute in self {
            let attribute = attribute?;
            if attribute.kind == kind {
                return Ok(Some(attribute));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..)?;
        if rest.is_empty() {
            return None;
        }
        let length = u16_at(rest, 0).map_or(0, usize::from);
        let (Some(kind), Some(value)) = (u16_at(rest, 2), rest.get(HEADER_BYTES..length)) else {
            let offset = std::mem::replace(&mut self.offset, self.bytes.len());
            let available_bytes = rest.len();
            return Some(Err(Malformed::Length { offset, length_bytes: length, available_bytes }));
        };
        self.offset += aligned(length);
        Some(Ok(Attribute { kind: kind & TYPE_MASK, is_nested: kind & NESTED != 0, value }))
    }
}

impl std::iter::FusedIterator for Attributes<'_> {}

macro_rules! integers {
    ($($method:ident: $integer:ty, $from:ident, $doc:literal;)*) => { $(
        #[doc = $doc]
        ///
        /// # Errors
        ///
        /// [`Malformed::Value`] if the value has another length.
        pub fn $method(&self) -> Result<$integer, Malformed> {
            self.array().map(<$integer>::$from)
        }
    )* };
}

impl<'a> Attribute<'a> {
    integers! {
        u8: u8, from_ne_bytes, "Reads a byte.";
        u16: u16, from_ne_bytes, "Reads a `u16` in host byte order.";
        u32: u32, from_ne_bytes, "Reads a `u32` in host byte order.";
        i32: i32, from_ne_bytes, "Reads an `i32` in host byte order.";
        u64: u64, from_ne_bytes, "Reads a `u64` in host byte order.";
        u16_be: u16, from_be_bytes, "Reads a `u16` in network byte order.";
        u32_be: u32, from_be_bytes, "Reads a `u32` in network byte order.";
        u64_be: u64, from_be_bytes, "Reads a `u64` in network byte order.";
    }

    /// Reads the value as an array: an address, say.
    ///
    /// # Errors
    ///
    /// [`Malformed::Value`] if the value has another length.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.value.try_into().map_err(|_| Malformed::Value {
            kind: self.kind,
            expected_bytes: N,
            found_bytes: self.value.len(),
        })
    }

    /// Reads text up to its first zero byte, or to its end.
    ///
    /// # Errors
    ///
    /// [`Malformed::Text`] if it is not UTF-8. Interface names may be any bytes but `/`, `:` and space.
    pub fn text(&self) -> Result<&'a str, Malformed> {
        let end = self.value.iter().position(|&byte| byte == 0).unwrap_or(self.value.len());
        std::str::from_utf8(&self.value[..end]).map_err(|_| Malformed::Text { kind: self.kind })
    }

    /// Reads the value as attributes.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}
