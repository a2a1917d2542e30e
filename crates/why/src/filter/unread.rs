//! What statements do that are kept as the kernel reports them (`Expr::Unknown`).

use vnet_model::nft::{Meta, Reg};

/// What a statement does to a packet, or beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// Conntrack is to pass it by.
    Untracks,
    /// Sets its mark to what is in a register.
    Marks(Reg),
    /// Writes the byte of the IP header that says how urgent it is.
    Urges,
    /// Puts what begins in a register into a set, or takes it out.
    Puts { set: String, reg: Reg, is_gone: bool },
    /// Changes it otherwise.
    Changes,
    /// Looks at it, in a way that is not modelled, or decides.
    Looks,
}

/// `NFT_PAYLOAD_NETWORK_HEADER`.
const NETWORK: u32 = 1;

/// `NFT_DYNSET_OP_DELETE`.
const DELETE: u32 = 2;

/// Reads a statement; one that is not known only looks.
pub(super) fn read(name: &str, data: &[u8]) -> Statement {
    let number = |kind| attribute(data, kind).and_then(|value| value.try_into().ok());
    let number = |kind| number(kind).map(u32::from_be_bytes);
    match name {
        "notrack" => Statement::Untracks,
        // `enum nft_meta_attributes`: the key, and the register that it is set to.
        "meta" => match (number(2), number(3)) {
            (Some(key), Some(reg)) if key == Meta::Mark.number() => Statement::Marks(reg),
            // `skb->pkt_type` is looked at where packets are taken in; the others are not.
            (Some(key), Some(_)) if key == Meta::PktType.number() => Statement::Changes,
            _ => Statement::Looks,
        },
        // `enum nft_payload_attributes`: the base, the offset, the length, and the register that is
        // written. To keep the checksum whole nft writes two bytes at a time.
        "payload" => match (number(2), number(3), number(4), number(5)) {
            (Some(NETWORK), Some(offset), Some(len), Some(_)) if offset + len <= 2 => {
                Statement::Urges
            }
            (_, _, _, Some(_)) => Statement::Changes,
            _ => Statement::Looks,
        },
        // `enum nft_dynset_attributes`: with expressions in it, it looks as well.
        "dynset" => {
            let looks = [7, 10].into_iter().any(|kind| attribute(data, kind).is_some());
            let set = attribute(data, 1).and_then(|name| std::str::from_utf8(name).ok());
            match (set, number(4)) {
                (Some(set), Some(reg)) if !looks => {
                    let set = set.trim_end_matches('\0').to_owned();
                    Statement::Puts { set, reg, is_gone: number(3) == Some(DELETE) }
                }
                _ => Statement::Looks,
            }
        }
        _ => Statement::Looks,
    }
}

/// Finds an attribute (`struct nlattr`, linux/netlink.h).
fn attribute(mut data: &[u8], wanted: u16) -> Option<&[u8]> {
    const HEADER_BYTES: usize = 4;
    const FLAGS: u16 = 0xc000;
    while let [a, b, c, d, ..] = *data {
        let (len, kind) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        let len = usize::from(len).max(HEADER_BYTES);
        if kind & !FLAGS == wanted {
            return data.get(HEADER_BYTES..len);
        }
        data = data.get(len.next_multiple_of(4)..)?;
    }
    None
}
