//! Hardware addresses, and how a lab's are derived.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::by_text;
use crate::names::{IfName, LabName, NodeName};

/// A 48-bit hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_text::read(deserializer)
    }
}

/// Says that a text is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a hardware address such as 02:00:00:00:00:01", .0.escape_debug())]
pub struct MacError(pub String);

impl Mac {
    /// Derives the address of an interface from lab, node and interface name.
    ///
    /// The same names give the same address everywhere and always. The result is unicast and
    /// locally administered (IEEE 802-2014, 8.4.4), so it also serves as a mark: an interface
    /// that has the address derived from its own names was made by vnet.
    #[must_use]
    pub fn derive(lab: &LabName, node: &NodeName, interface: &IfName) -> Self {
        let hash = stable_hash(&[lab.as_str(), node.as_str(), interface.as_str()]);
        let bytes = hash.to_be_bytes();
        let mut mac = [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]];
        mac[0] = (mac[0] & 0xfc) | 0x02;
        Self(mac)
    }

    /// Tells whether one interface may have this address: unicast and not all zeros.
    #[must_use]
    pub fn is_usable(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

/// Hashes words into 64 bits, the same in every version and on every machine (FNV-1a with a
/// finalizer; the words are kept apart by a byte that no name holds).
pub(crate) fn stable_hash(words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for word in words {
        for byte in word.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let error = || MacError(text.to_owned());
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().filter(|part| is_hex_byte(part)).ok_or_else(error)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        match parts.next() {
            None => Ok(Self(mac)),
            Some(_) => Err(error()),
        }
    }
}

fn is_hex_byte(part: &str) -> bool {
    part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl TryFrom<String> for Mac {
    type Error = MacError;
    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let mac: Mac = "02:00:5e:10:00:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
        for bad in
            ["", "02:00:5e:10:00", "02:00:5e:10:00:ff:00", "+2:00:5e:10:00:ff", "0200:5e:10:00:ff"]
        {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn derived_addresses_are_stable_unicast_and_local() {
        let derive = |lab: &str, node: &str, interface: &str| {
            Mac::derive(
                &LabName::new(lab).unwrap(),
                &NodeName::new(node).unwrap(),
                &IfName::new(interface).unwrap(),
            )
        };
        // Pinned: a change here would rename every interface of every lab that is up.
        assert_eq!(derive("demo", "r1", "eth0").to_string(), "ae:6c:0e:f1:35:b0");
        assert_ne!(derive("demo", "r1", "eth0"), derive("demo", "r1e", "th0"));
        for n in 0..100 {
            let node = format!("n{n}");
            let mac = derive("demo", &node, "eth0");
            assert_eq!(mac.0[0] & 3, 2);
            assert!(mac.is_usable());
        }
    }
}
