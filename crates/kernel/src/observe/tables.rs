//! Reads the packet filters of a lab's namespaces: the tables that carry a mark.

use vnet_model::NsName;
use vnet_model::nft::TableId;

use super::{Found, Scope};
use crate::error::Error;
use crate::nft::{self, Which};
use crate::realm::Realm;

/// Reads the tables of those namespaces that may have some.
pub(super) fn read(
    realm: &Realm,
    thread: usize,
    found: &mut [Found],
    scope: Scope<'_>,
) -> Result<(), Error> {
    let names: Vec<NsName> =
        found.iter().filter(|found| may_have(found, scope)).map(|it| it.name.clone()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let sockets = realm.netfilter_sockets(thread, &names)?;
    for (name, socket) in names.iter().zip(sockets) {
        let mut socket = match socket {
            Ok(socket) => socket,
            Err(Error::Gone { .. }) => continue,
            Err(error) => return Err(error),
        };
        let declared = scope.declared.namespaces.get(name);
        let declared = declared.into_iter().flat_map(|ns| ns.declared_tables());
        let declared: Vec<TableId> = declared.map(|table| table.id.clone()).collect();
        let failed = |source| Error::Netlink { doing: "read tables", ns: name.clone(), source };
        let tables = nft::tables(&mut socket, Which::Marked(&declared)).map_err(failed)?;
        if let Some(found) = found.iter_mut().find(|found| found.name == *name) {
            let tables = tables.into_iter().map(|table| (table.id.clone(), table));
            found.namespace.tables = tables.collect();
        }
    }
    Ok(())
}

/// Tells whether tables may be in a namespace: where some are declared or were, and where nothing
/// is known of what was. (To ask all would take a tenth of the time of reading a plain lab.)
fn may_have(found: &Found, scope: Scope<'_>) -> bool {
    let has = |state: &vnet_model::State| {
        let there = state.namespaces.get(&found.name);
        there.is_some_and(|ns| !ns.tables.is_empty() || ns.nft_text.is_some())
    };
    let is_read = found.name.is_host() || !found.namespace.interfaces.is_empty();
    is_read
        && (has(scope.declared)
            || scope.recorded.is_none_or(|recorded| recorded.iter().any(|state| has(state))))
}
