//! nf_tables by netlink: what a namespace has ([`read`]), and how it gets what it shall have
//! ([`mod@write`]) or becomes it ([`edit`]). What the messages mean is described in [`vnet_model::nft`].

pub mod edit;
pub(crate) mod missing;
mod numbers;
pub(crate) mod program;
pub mod read;
mod read_expr;
mod read_named;
mod read_set;
mod sentinel;
pub mod trace;
pub mod write;
mod write_expr;

pub use program::{Trial, Unusable};
pub use read::{Which, tables};
pub use write::{Part, add, delete, replace};

/// The mark of a lab in a table's comment, as the text of `NFTA_TABLE_USERDATA`: a list of type,
/// length and value, of which libnftnl knows one type, the comment (`enum nftnl_udata_table_types`,
/// libnftnl/udata.h).
const UDATA_TABLE_COMMENT: u8 = 0;

/// Lays out a comment as a table's user data; what is longer than its length can say is cut.
fn comment(text: &str) -> Vec<u8> {
    let text = &text.as_bytes()[..text.len().min(usize::from(u8::MAX) - 1)];
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut data = vec![UDATA_TABLE_COMMENT, length];
    data.extend_from_slice(text);
    data.push(0);
    data
}

/// Finds the comment in a table's user data.
fn comment_of(mut data: &[u8]) -> Option<&str> {
    while let [kind, length, rest @ ..] = data {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == UDATA_TABLE_COMMENT {
            let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
            return std::str::from_utf8(&value[..end]).ok();
        }
        data = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_reads_back() {
        let data = comment("vnet:demo/gw");
        assert_eq!(data[..2], [0, 13]);
        assert_eq!(comment_of(&data), Some("vnet:demo/gw"));
        // Behind another entry, and cut short.
        assert_eq!(comment_of(&[&[7, 1, 9], data.as_slice()].concat()), Some("vnet:demo/gw"));
        for length in 0..data.len() {
            assert_eq!(comment_of(&data[..length]), None);
        }
    }
}
