use std::fmt;

use crate::attr::{self, TYPE_MASK, aligned, u16_at};
use crate::message;
use crate::protocol::Protocol;

/// Where in a request an attribute is: the types of the attributes around it, outermost first, and its own.
///
/// A struct in front of nested attributes is skipped; an entry of `RTA_MULTIPATH` counts as one level (its flags and
/// weight, mostly 0). Where the levels around it can't be told, the attribute stands alone.
///
/// `18.2.1` is how it is shown: `IFLA_LINKINFO`, `IFLA_INFO_DATA`, and the first of that kind's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttributePath(Vec<u16>);

impl AttributePath {
    /// The types, outermost first. Never empty.
    pub fn types(&self) -> &[u16] {
        &self.0
    }

    /// The type of the attribute itself.
    pub fn leaf(&self) -> u16 {
        self.0.last().copied().unwrap_or_default()
    }

    /// Finds the attribute at `offset` of `request`, which begins with its netlink header.
    ///
    /// `None` if no attribute can be there.
    pub(crate) fn at(protocol: Protocol, request: &[u8], offset: usize) -> Option<Self> {
        let leaf = u16_at(request, offset.checked_add(2)?)? & TYPE_MASK;
        if offset < message::HEADER_BYTES {
            return None;
        }
        let kind = u16_at(request, 4)?;
        let mut types = Vec::new();
        if let Some(header_bytes) = protocol.request_header_bytes(kind) {
            let first = message::HEADER_BYTES + header_bytes;
            if descend(request, first, request.len(), offset, &mut types) {
                return Some(Self(types));
            }
        }
        Some(Self(vec![leaf]))
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, kind) in self.0.iter().enumerate() {
            if level > 0 {
                f.write_str(".")?;
            }
            write!(f, "{kind}")?;
        }
        Ok(())
    }
}

/// What may stand in front of nested attributes, in bytes: nothing; the rest of `struct rtnexthop` (the first half of
/// which looks like an attribute's header); `struct ifinfomsg` in `VETH_INFO_PEER`.
const NESTED_HEADERS_BYTES: [usize; 3] = [0, 4, 16];

/// No request nests deeper; it bounds the search, which tries each nested header at each level.
const DEPTH_MAX: usize = 10;

/// Walks the attributes in `request[first..end]` towards `offset`, and notes their types.
fn descend(request: &[u8], first: usize, end: usize, offset: usize, types: &mut Vec<u16>) -> bool {
    let mut at = first;
    while types.len() < DEPTH_MAX && at + attr::HEADER_BYTES <= end {
        let (Some(length), Some(kind)) = (u16_at(request, at), u16_at(request, at + 2)) else {
            return false;
        };
        let next = at + usize::from(length);
        if usize::from(length) < attr::HEADER_BYTES || next > end || offset < at {
            return false;
        }
        if offset < next {
            types.push(kind & TYPE_MASK);
            let value = at + attr::HEADER_BYTES;
            let found = offset == at
                || NESTED_HEADERS_BYTES
                    .iter()
                    .any(|header| descend(request, value + header, next, offset, types));
            if !found {
                types.pop();
            }
            return found;
        }
        at += aligned(usize::from(length));
    }
    false
}

#[cfg(test)]
mod tests;
