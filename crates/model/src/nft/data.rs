//! Values in rules.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Bytes as they stand in a register. Shown and kept as hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Data(Box<[u8]>);

impl Data {
    /// Makes an interface's name as rules compare it: filled up with zeros to 16 bytes
    /// (`IFNAMSIZ`, linux/if.h).
    #[must_use]
    pub fn interface(name: &str) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
            *to = from;
        }
        bytes.as_slice().into()
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl<const N: usize> From<[u8; N]> for Data {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.into())
    }
}

impl From<std::net::IpAddr> for Data {
    fn from(addr: std::net::IpAddr) -> Self {
        match addr {
            std::net::IpAddr::V4(addr) => addr.octets().into(),
            std::net::IpAddr::V6(addr) => addr.octets().into(),
        }
    }
}

impl Deref for Data {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{self}")
    }
}

impl From<Data> for String {
    fn from(data: Data) -> Self {
        data.to_string()
    }
}

impl TryFrom<String> for Data {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.map(byte).collect();
        bytes.map(Into::into).ok_or("bytes are pairs of hexadecimal digits")
    }
}

/// What a counter has counted. It never takes part in a comparison: a rule stays the same while
/// packets pass.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Counts {
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl PartialEq for Counts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Counts {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back() {
        let data = Data::from([0, 10, 255]);
        assert_eq!(data.to_string(), "000aff");
        assert_eq!(Data::try_from("000aff".to_owned()), Ok(data));
        for bad in ["0", "0g", "ä"] {
            assert!(Data::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
