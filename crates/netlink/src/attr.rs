//! Attributes: the type, length, value triples of which netlink messages are made.
//!
//! ```text
//!  0               2               4
//! +---------------+---------------+-----------------+---------+
//! | length        | type          | value           | padding |
//! +---------------+---------------+-----------------+---------+
//!   header + value  14 bits,                          to 4 bytes
//!                   2 flags
//! ```
//!
//! Integers are in host byte order, unless the method says `be`: rtnetlink and generic netlink use the host's, nf_tables
//! the network's. Source: `struct nlattr` in include/uapi/linux/netlink.h, lib/nlattr.c, man 3 netlink.
//!
//! ```
//! use vnet_netlink::attr::{Attributes, Writer};
//!
//! const IFLA_IFNAME: u16 = 3;
//! const IFLA_MTU: u16 = 4;
//!
//! let mut bytes = Vec::new();
//! Writer::new(&mut bytes).text(IFLA_IFNAME, "eth0").u32(IFLA_MTU, 1500);
//!
//! let mtu = Attributes::new(&bytes).find(IFLA_MTU)?.map(|mtu| mtu.u32()).transpose()?;
//! assert_eq!(mtu, Some(1500));
//! # Ok::<(), vnet_netlink::attr::Malformed>(())
//! ```

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::{Attribute, Attributes, Malformed};
pub use writer::{TooLong, Writer};

/// The length of an attribute's header in bytes.
pub const HEADER_BYTES: usize = 4;

/// Set in the type of an attribute whose value is attributes (`NLA_F_NESTED`).
pub const NESTED: u16 = 1 << 15;

/// The bits of the type that are not flags (`NLA_TYPE_MASK`).
pub(crate) const TYPE_MASK: u16 = 0x3fff;

/// Rounds `bytes` up to the next multiple of 4 (`NLA_ALIGN`, `NLMSG_ALIGN`).
pub(crate) const fn aligned(bytes: usize) -> usize {
    bytes.saturating_add(3) & !3
}

/// Reads a `u16` in host byte order, if `bytes` reaches that far.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
}

/// Reads a `u32` in host byte order, if `bytes` reaches that far.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}
