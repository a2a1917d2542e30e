//! What of nf_tables this kernel lacks, found out before anything is touched.

use rustix::io::Errno;
use vnet_model::nft::{ChainKind, Expr, Table};
use vnet_netlink::{Batch, Protocol, Refusal, Socket, Status};

use super::{Part, write, write_expr};
use crate::error::Error;
use crate::probe::MissingKind;
use crate::thread::Walker;

/// Makes tables in a new namespace that goes with the thread's job, and returns the first part of
/// nf_tables that the kernel lacks for one of them. Other refusals are no matter here: they come again
/// where the table is meant to be.
pub(crate) fn find(walker: &Walker, tables: &[Table]) -> Result<Option<MissingKind>, Error> {
    walker.enter_new().map_err(Error::system("make", "a namespace to try tables in"))?;
    let failed = |source: vnet_netlink::Error| {
        let errno = source.errno().unwrap_or(Errno::IO);
        Error::System { doing: "try", object: "a table".into(), errno }
    };
    let mut socket = match Socket::open(Protocol::Netfilter) {
        Ok(socket) => socket,
        // The protocol itself is not there.
        Err(error) if error.errno() == Some(Errno::PROTONOSUPPORT) => {
            return Ok(Some(described("nf_tables")));
        }
        Err(error) => return Err(failed(error)),
    };
    let mut batch = Batch::new();
    for table in tables {
        let parts = write::replace(&mut batch, table);
        let outcome = socket.submit_transaction(&mut batch).map_err(failed)?;
        for (index, part) in parts.into_iter().enumerate() {
            let Status::Refused(refusal) = outcome.status(index) else { continue };
            if let Some(name) = lacking(batch.message_bytes(index), part, refusal, table) {
                return Ok(Some(described(&name)));
            }
        }
    }
    Ok(None)
}

/// Tells which part of nf_tables a refusal is for want of, if it is.
fn lacking(message: &[u8], part: Part, refusal: &Refusal, table: &Table) -> Option<String> {
    match (part, refusal.errno) {
        // No such subsystem or family (`nfnetlink_rcv_batch`, `nf_tables_newtable`).
        (Part::Table, Errno::OPNOTSUPP | Errno::INVAL | Errno::AFNOSUPPORT) => {
            Some("nf_tables".to_owned())
        }
        // No such type of chain (`nft_chain_parse_hook`).
        (Part::Chain(at), Errno::NOENT | Errno::OPNOTSUPP) => {
            let base = table.chains.get(at)?.base.as_ref()?;
            (base.kind != ChainKind::Filter).then(|| format!("chain {}", base.kind.name()))
        }
        (Part::Rule(..), Errno::NOENT | Errno::OPNOTSUPP) => {
            // The kernel points at the expression's list entry, in which its name comes first.
            const HEADERS_BYTES: usize = 8;
            let at = usize::try_from(refusal.offset?).ok()? + HEADERS_BYTES;
            let name = message.get(at..)?.split(|byte| *byte == 0).next()?;
            let name = std::str::from_utf8(name).ok()?;
            let rules = table.chains.iter().flat_map(|chain| &chain.rules);
            let mut exprs = rules.flat_map(|rule| &rule.exprs);
            exprs.any(|expr: &Expr| write_expr::name(expr) == name).then(|| name.to_owned())
        }
        _ => None,
    }
}

/// Names the module and option of a part of nf_tables (net/netfilter/Kconfig).
fn described(name: &str) -> MissingKind {
    let (module, config) = match name {
        "nf_tables" => ("nf_tables".to_owned(), "CONFIG_NF_TABLES_INET".to_owned()),
        "chain nat" => ("nft_chain_nat".to_owned(), "CONFIG_NFT_NAT".to_owned()),
        "reject" => ("nft_reject_inet".to_owned(), "CONFIG_NFT_REJECT".to_owned()),
        "fib" => ("nft_fib_inet".to_owned(), "CONFIG_NFT_FIB_INET".to_owned()),
        name => (format!("nft_{name}"), format!("CONFIG_NFT_{}", name.to_ascii_uppercase())),
    };
    MissingKind { kind: name.to_owned(), module, config }
}
