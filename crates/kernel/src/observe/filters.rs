//! The packet filters of the namespace that the calling thread is in: only whether there are any.

use vnet_netlink::{Error, Protocol, RawMessage, Socket};

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), as the upper byte of a message's type.
const NFTABLES: u16 = 10 << 8;
const NFT_MSG_GETTABLE: u16 = 1;
const NFTA_TABLE_NAME: u16 = 1;
/// `struct nfgenmsg`.
const HEADER_BYTES: usize = 4;

/// The tables of iptables' own kind that are loaded, for IPv4 and IPv6.
const LEGACY: [(&str, &str); 2] = [
    ("iptables", "/proc/thread-self/net/ip_tables_names"),
    ("ip6tables", "/proc/thread-self/net/ip6_tables_names"),
];

/// Lists the tables, each with its family, such as `inet filter, ip nat`; `None` where there are
/// none, or this kernel has no nf_tables.
pub(crate) fn list() -> Option<String> {
    let mut tables = nftables().unwrap_or_default();
    for (family, path) in LEGACY {
        let names = std::fs::read_to_string(path).unwrap_or_default();
        tables.extend(names.lines().map(|name| format!("{family} {name}")));
    }
    (!tables.is_empty()).then(|| tables.join(", "))
}

fn nftables() -> Result<Vec<String>, Error> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let request = RawMessage::new(NFTABLES | NFT_MSG_GETTABLE, |writer| {
        // Of all families, version 0, no resource.
        writer.header(&[0, 0, 0, 0]);
    })
    .map_err(|too_long| Error::AttributeTooLong { index: 0, too_long })?;
    socket.dump(&request, |message| {
        let family = message.payload.first().copied().unwrap_or_default();
        for attribute in message.attributes(HEADER_BYTES)? {
            let attribute = attribute?;
            if attribute.kind == NFTA_TABLE_NAME {
                return Ok(Some(format!("{} {}", family_name(family), attribute.text()?)));
            }
        }
        Ok(None)
    })
}

/// `NFPROTO_*` (linux/netfilter.h).
fn family_name(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}
