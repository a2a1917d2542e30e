//! Steps on tables of nf_tables: one transaction each.

use rustix::io::Errno;
use vnet_model::nft::{RawText, Table, text};
use vnet_model::{Change, Step};
use vnet_netlink::{Batch, Refusal, Socket, Status};

use super::{Executor, failed};
use crate::error::Error;
use crate::nft::{self, Part, Unusable};

/// Tells whether a change is a transaction of nf_tables.
pub(super) fn is_table(change: &Change) -> bool {
    matches!(change, Change::AddTable(_) | Change::ChangeTable { .. } | Change::DelTable(_))
}

impl Executor<'_> {
    /// Does the first of the steps, which is about a table.
    pub(super) fn table(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let Some(first) = steps.first() else { return Ok(0) };
        let next = steps.iter().filter(|step| is_table(&step.change)).map(|step| &step.ns);
        let mut socket =
            self.sockets.netfilter(&first.ns, next).map_err(|source| failed(first, source))?;
        let fails = |source| {
            let doing = "change tables";
            failed(first, Error::Netlink { doing, ns: first.ns.clone(), source })
        };
        let mut parts = lay_out(&mut self.batch, &mut socket, &first.change).map_err(fails)?;
        let mut outcome = socket.submit_transaction(&mut self.batch).map_err(fails)?;
        // What nobody knows of here may hold on to a chain that shall go: a map, say.
        let is_held = |(_, refusal): &(usize, Refusal)| refusal.errno == Errno::BUSY;
        if let Change::ChangeTable { table, .. } = &first.change
            && outcome.refusals().iter().any(is_held)
        {
            parts = nft::replace(&mut self.batch, table);
            outcome = socket.submit_transaction(&mut self.batch).map_err(fails)?;
        }
        for (index, part) in parts.into_iter().enumerate() {
            if let Status::Refused(refusal) = outcome.status(index) {
                return Err(refused(first, part, refusal.clone()));
            }
        }
        Ok(1)
    }
}

impl Executor<'_> {
    /// Has the program `nft` read a text.
    pub(super) fn run_nft(&mut self, step: &Step, raw: &RawText) -> Result<usize, Error> {
        let ran = self.realm.run_nft(&step.ns, &raw.script());
        match ran.map_err(|source| failed(step, source))? {
            Ok(()) => Ok(1),
            Err(Unusable::NoProgram) => Err(failed(step, Error::NoNft)),
            Err(Unusable::Refused { message, .. }) => Err(failed(step, Error::Nft { message })),
            // These are told by who tries a text out.
            Err(Unusable::Numbers(_) | Unusable::Reaches | Unusable::Remakes(_)) => Ok(1),
        }
    }
}

fn lay_out(
    batch: &mut Batch,
    socket: &mut Socket,
    change: &Change,
) -> Result<Vec<Part>, vnet_netlink::Error> {
    Ok(match change {
        Change::AddTable(table) => nft::add(batch, table),
        Change::ChangeTable { table, .. } => {
            let found = nft::edit::read(socket, &table.id)?;
            nft::edit::change(batch, found.as_ref(), table)
        }
        Change::DelTable(id) => nft::delete(batch, id),
        _ => Vec::new(),
    })
}

/// Tells which part of a table the kernel refused: a rule has a line of its own in the file.
fn refused(step: &Step, part: Part, refusal: Refusal) -> Error {
    let whole = |refusal| Error::Refused { step: Box::new(step.clone()), refusal };
    let (Change::AddTable(table) | Change::ChangeTable { table, .. }) = &step.change else {
        return whole(refusal);
    };
    let Some((text, origin)) = describe(table, part) else { return whole(refusal) };
    let step = step.clone().from(origin.or(step.origin));
    Error::Table { step: Box::new(step), part: text, refusal }
}

fn describe(table: &Table, part: Part) -> Option<(String, vnet_model::Origin)> {
    let (chain, rule) = match part {
        Part::Table => return None,
        Part::Chain(chain) => (table.chains.get(chain)?, None),
        Part::Rule(chain, rule) => {
            let chain = table.chains.get(chain)?;
            (chain, Some(chain.rules.get(rule)?))
        }
    };
    let name = &chain.name;
    Some(match rule {
        None => (format!("chain {name}"), vnet_model::Origin::NONE),
        Some(rule) => {
            let text = text::rule(rule, table.id.family);
            (format!("chain {name}, rule `{text}`"), rule.origin)
        }
    })
}
