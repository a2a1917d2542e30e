//! The kernel's neighbour tables: how full they are, what is in them, and taking out of them.
//!
//! The tables, one for each family, are the machine's: all namespaces share their cap. But how many
//! entries there are and how often one was refused is told in any namespace, to any user
//! (`neightbl_fill_info`, net/core/neighbour.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vnet_model::IfName;
use vnet_netlink::attr::{Attribute, Attributes};
use vnet_netlink::{Batch, Error, Flags, Message, RawMessage, Socket};

use super::socket::Family;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETNEIGHTBL: u16 = 66;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

const IFINFOMSG_BYTES: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFADDRMSG_BYTES: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const NDMSG_BYTES: usize = 12;
const NDA_DST: u16 = 1;
const NDTMSG_BYTES: usize = 4;
const NDTA_THRESH3: u16 = 4;
const NDTA_CONFIG: u16 = 5;
const NDTA_STATS: u16 = 7;

const NUD_INCOMPLETE: u16 = 0x01;
const NUD_PERMANENT: u16 = 0x80;
const NTF_EXT_LEARNED: u8 = 0x10;

/// How full a neighbour table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// The entries of the whole machine.
    pub(super) entries: u32,
    /// How many there may be (`gc_thresh3`), without permanent ones.
    pub(super) limit: u32,
    /// How often an entry was refused since boot.
    pub(super) refusals: u64,
}

impl Table {
    /// Returns how many more entries there may be.
    pub(super) fn room(&self) -> u32 {
        self.limit.saturating_sub(self.entries)
    }
}

/// Both tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tables {
    pub(super) v4: Table,
    pub(super) v6: Table,
}

impl Tables {
    pub(super) fn of(&self, family: Family) -> Table {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// An entry of a neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Neighbour {
    /// The index of the interface.
    pub(super) dev: u32,
    pub(super) addr: IpAddr,
}

/// An entry with its state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) neighbour: Neighbour,
    /// Somebody configured it, or a routing daemon did.
    pub(super) is_configured: bool,
    /// The kernel is still asking; packets wait in it.
    pub(super) is_incomplete: bool,
}

/// Reads how full the tables are.
pub(super) fn tables(socket: &mut Socket) -> Result<Tables, Error> {
    let request = raw(RTM_GETNEIGHTBL, &[0; NDTMSG_BYTES]);
    let mut tables = Tables::default();
    socket.dump(&request, |message: Message<'_>| {
        // Each interface's parameters follow in messages of their own, without these.
        if let (Some(family), Some(table)) = (message.payload.first(), table(&message)) {
            match *family {
                AF_INET => tables.v4 = table,
                AF_INET6 => tables.v6 = table,
                _ => {}
            }
        }
        Ok(None::<()>)
    })?;
    Ok(tables)
}

/// Reads all entries of the socket's namespace.
pub(super) fn dump(socket: &mut Socket) -> Result<Vec<Entry>, Error> {
    let request = raw(RTM_GETNEIGH, &[0; NDMSG_BYTES]);
    socket.dump(&request, |message: Message<'_>| Ok(entry(&message)))
}

/// Removes entries. CAP_NET_ADMIN. That one is gone already is no error.
pub(super) fn remove(
    socket: &mut Socket,
    batch: &mut Batch,
    entries: &[Neighbour],
) -> Result<(), Error> {
    batch.clear();
    for Neighbour { dev, addr } in entries {
        let mut header = [0; NDMSG_BYTES];
        header[0] = if addr.is_ipv4() { AF_INET } else { AF_INET6 };
        header[4..8].copy_from_slice(&dev.to_ne_bytes());
        batch.push_raw(RTM_DELNEIGH, Flags::NONE, |message| {
            let message = message.header(&header);
            match addr {
                IpAddr::V4(addr) => message.bytes(NDA_DST, &addr.octets()),
                IpAddr::V6(addr) => message.bytes(NDA_DST, &addr.octets()),
            };
        });
    }
    socket.submit(batch).map(drop)
}

/// Reads all addresses of the socket's namespace.
pub(super) fn addresses(socket: &mut Socket) -> Result<Vec<IpAddr>, Error> {
    let request = raw(RTM_GETADDR, &[0; IFADDRMSG_BYTES]);
    socket.dump(&request, |message: Message<'_>| {
        let attributes = message.attributes(IFADDRMSG_BYTES).ok();
        // With a peer, IFA_ADDRESS is the other side's.
        let find = |kind| addr(attributes?.find(kind).ok()??);
        Ok(find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS)))
    })
}

/// Returns the index of an interface.
pub(super) fn index(socket: &mut Socket, dev: &IfName) -> Result<Option<u32>, Error> {
    let request = RawMessage::new(RTM_GETLINK, |message| {
        message.header(&[0; IFINFOMSG_BYTES]).text(IFLA_IFNAME, dev.as_str());
    });
    let Ok(request) = request else { return Ok(None) };
    let found = socket.get(&request, |message: Message<'_>| Ok(u32_at(message.payload, 4)));
    match found {
        Ok(indexes) => Ok(indexes.first().copied()),
        Err(Error::Refused(refusal)) if refusal.errno == rustix::io::Errno::NODEV => Ok(None),
        Err(error) => Err(error),
    }
}

fn raw(kind: u16, header: &[u8]) -> RawMessage {
    let message = RawMessage::new(kind, |message| {
        message.header(header);
    });
    #[expect(clippy::expect_used, reason = "there is no attribute that could be too long")]
    message.expect("a header alone")
}

fn table(message: &Message<'_>) -> Option<Table> {
    let attributes = message.attributes(NDTMSG_BYTES).ok()?;
    let find = |kind| attributes.find(kind).ok().flatten();
    Some(Table {
        // `struct ndt_config`: key_len, entry_size, entries, …
        entries: u32_at(find(NDTA_CONFIG)?.value, 4)?,
        limit: find(NDTA_THRESH3)?.u32().ok()?,
        // `struct ndt_stats`: the last of eleven, since Linux 3.19.
        refusals: u64::from_ne_bytes(*find(NDTA_STATS)?.value.get(80..)?.first_chunk()?),
    })
}

fn entry(message: &Message<'_>) -> Option<Entry> {
    let header: &[u8; NDMSG_BYTES] = message.payload.first_chunk()?;
    let attributes: Attributes<'_> = message.attributes(NDMSG_BYTES).ok()?;
    let state = u16::from_ne_bytes([header[8], header[9]]);
    Some(Entry {
        neighbour: Neighbour {
            dev: u32_at(header, 4)?,
            addr: addr(attributes.find(NDA_DST).ok()??)?,
        },
        is_configured: state & NUD_PERMANENT != 0 || header[10] & NTF_EXT_LEARNED != 0,
        is_incomplete: state & NUD_INCOMPLETE != 0,
    })
}

fn addr(attribute: Attribute<'_>) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(attribute.value) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(attribute.value).ok().map(|v6| Ipv6Addr::from(v6).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
