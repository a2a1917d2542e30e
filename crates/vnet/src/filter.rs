//! Finds out whether the kernel has what tables of nf_tables need, before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use vnet_kernel::Realm;
use vnet_kernel::probe::MissingKind;
use vnet_model::nft::{Expr, Table};
use vnet_model::{Change, Step};

use crate::error::Error;

/// Tries out one table of each sort that the steps make: the nodes of a lab mostly have the same.
///
/// # Errors
/// [`Error::MissingFilter`] with the first part that is missing.
pub(crate) fn check(realm: &Realm, steps: &[Step]) -> Result<(), Error> {
    let made = steps.iter().filter_map(|step| match &step.change {
        Change::AddTable(table) | Change::ChangeTable { table, .. } => Some(&**table),
        _ => None,
    });
    let sorts: BTreeMap<BTreeSet<String>, &Table> =
        made.map(|table| (needs(table), table)).collect();
    for table in sorts.into_values() {
        let missing = realm.missing_for_tables(std::slice::from_ref(table))?;
        if let Some(MissingKind { kind: part, module, config }) = missing {
            return Err(Error::MissingFilter { part, module, config, origin: table.origin });
        }
    }
    Ok(())
}

/// Names what a table needs of the kernel: its kinds of chains and expressions.
fn needs(table: &Table) -> BTreeSet<String> {
    let chains = table.chains.iter().filter_map(|chain| chain.base.as_ref());
    let chains = chains.map(|base| format!("{} {}", base.kind.name(), base.hook.name()));
    let exprs = table.chains.iter().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.exprs);
    let exprs = exprs.map(|expr| match expr {
        Expr::Unknown { name, .. } => name.clone(),
        other => format!("{:?}", std::mem::discriminant(other)),
    });
    chains.chain(exprs).collect()
}
