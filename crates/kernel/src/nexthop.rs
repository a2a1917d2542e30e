//! Nexthop objects in netlink: linux/nexthop.h. The codec that covers the rest does not know them.

/// `RTM_NEWNEXTHOP` (linux/rtnetlink.h), Linux 5.3.
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
/// `RTM_DELNEXTHOP`.
pub(crate) const RTM_DELNEXTHOP: u16 = 105;
/// `RTM_GETNEXTHOP`.
pub(crate) const RTM_GETNEXTHOP: u16 = 106;

/// The length of `struct nhmsg` in bytes.
pub(crate) const HEADER_BYTES: usize = 8;

/// The id.
pub(crate) const NHA_ID: u16 = 1;
/// A group: an array of `struct nexthop_grp`.
pub(crate) const NHA_GROUP: u16 = 2;
/// Drops packets; a flag.
pub(crate) const NHA_BLACKHOLE: u16 = 4;
/// The interface.
pub(crate) const NHA_OIF: u16 = 5;
/// The gateway.
pub(crate) const NHA_GATEWAY: u16 = 6;
/// The type of a lightweight tunnel.
pub(crate) const NHA_ENCAP_TYPE: u16 = 7;
/// Its attributes.
pub(crate) const NHA_ENCAP: u16 = 8;
/// For a bridge's table, not for routes; a flag.
pub(crate) const NHA_FDB: u16 = 11;

/// Takes the gateway to be on the link (`RTNH_F_ONLINK`, linux/rtnetlink.h).
pub(crate) const RTNH_F_ONLINK: u32 = 4;
