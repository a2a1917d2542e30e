//! Makes a table another one and leaves the rules that stay where they are, so that their counters go
//! on. CAP_NET_ADMIN.

use std::collections::BTreeMap;

use vnet_model::nft::edit::{can_stay, staying};
use vnet_model::nft::{Chain, Table, TableId};
use vnet_netlink::{Batch, Error, Socket};

use super::read::{self, Which};
use super::write::{self, Part, Transaction};

/// A table as the kernel has it.
#[derive(Debug)]
pub struct Found {
    table: Table,
    /// What the kernel knows the rules of each chain by.
    handles: Vec<Vec<u64>>,
}

/// Reads a table of a lab so that it can be changed rule by rule; nothing where there is none.
///
/// # Errors
/// When the kernel can't be asked.
pub fn read(socket: &mut Socket, id: &TableId) -> Result<Option<Found>, Error> {
    let mut of_chains: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let tables = read::tables_with(socket, Which::Marked(&[]), |placed| {
        if placed.table == *id {
            of_chains.entry(placed.chain.clone()).or_default().push(placed.handle);
        }
    })?;
    let Some(table) = tables.into_iter().find(|table| table.id == *id) else { return Ok(None) };
    let of = |chain: &Chain| of_chains.remove(&chain.name).unwrap_or_default();
    let handles = table.chains.iter().map(of).collect();
    Ok(Some(Found { table, handles }))
}

/// Makes a table what it shall be: rule by rule where its chains can stay, whole where not.
pub fn change(batch: &mut Batch, found: Option<&Found>, wanted: &Table) -> Vec<Part> {
    match found.filter(|found| can_stay(&found.table, wanted)) {
        Some(found) => edit(batch, found, wanted),
        None => write::replace(batch, wanted),
    }
}

/// First all that goes: a chain may only go when no rule jumps to it any more.
fn edit(batch: &mut Batch, found: &Found, wanted: &Table) -> Vec<Part> {
    let mut transaction = Transaction::new(batch, &wanted.id);
    let stay: Vec<Vec<Option<u64>>> =
        wanted.chains.iter().map(|chain| found.staying(chain)).collect();
    for (chain, handles) in found.chains() {
        let stays = wanted.chains.iter().position(|wanted| wanted.name == chain.name);
        let stays = stays.map_or(&[][..], |at| stay[at].as_slice());
        for handle in handles.iter().filter(|handle| !stays.contains(&Some(**handle))) {
            transaction.delete_rule(&chain.name, *handle);
        }
    }
    for (chain, _) in found.chains().filter(|(chain, _)| wanted.chain(&chain.name).is_none()) {
        transaction.delete_chain(&chain.name);
    }
    for (at, chain) in wanted.chains.iter().enumerate() {
        match found.table.chain(&chain.name) {
            None => transaction.chain(at, chain),
            Some(found) if found.base != chain.base => transaction.policy(at, chain),
            Some(_) => {}
        }
    }
    for (at, chain) in wanted.chains.iter().enumerate() {
        for (number, rule) in chain.rules.iter().enumerate() {
            if stay[at][number].is_none() {
                // Before the next that stays; new ones that follow each other keep their order so.
                let next = stay[at][number..].iter().find_map(|handle| *handle);
                transaction.rule(Part::Rule(at, number), &chain.name, rule, next);
            }
        }
    }
    transaction.end()
}

impl Found {
    fn chains(&self) -> impl Iterator<Item = (&Chain, &[u64])> {
        self.table.chains.iter().zip(self.handles.iter().map(Vec::as_slice))
    }

    /// The handles of the rules that a chain shall have, of those that are there.
    fn staying(&self, wanted: &Chain) -> Vec<Option<u64>> {
        let found = self.chains().find(|(chain, _)| chain.name == wanted.name);
        let Some((chain, handles)) = found else { return vec![None; wanted.rules.len()] };
        let stay = staying(chain, wanted).into_iter();
        stay.map(|at| handles.get(at?).copied()).collect()
    }
}
