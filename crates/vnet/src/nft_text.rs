//! `nftables:` of a file: each text is tried out before anything is touched, so that its mistakes
//! show, and so that what exists can be compared with what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use vnet_kernel::Realm;
use vnet_kernel::nft::{Trial, Unusable};
use vnet_model::nft::{RawText, Table};
use vnet_model::{Desired, IfName, Namespace, NsName};

use crate::error::Error;

/// Finds out which tables the texts make.
///
/// # Errors
/// [`Error::MissingProgram`], and [`Error::NftText`] with the line.
pub(crate) fn try_out<'d>(realm: &Realm, desired: &'d Desired) -> Result<Cow<'d, Desired>, Error> {
    let untried = |raw: &&RawText| raw.tables.is_none();
    // What needs no interfaces is the same text in whatever node.
    let texts: BTreeMap<(&str, Vec<IfName>), (&NsName, &RawText)> = desired
        .state
        .namespaces
        .iter()
        .filter_map(|(ns, namespace)| {
            let raw = namespace.nft_text.as_ref().filter(untried)?;
            Some(((raw.text.as_str(), interfaces(namespace, raw)), (ns, raw)))
        })
        .collect();
    if texts.is_empty() {
        return Ok(Cow::Borrowed(desired));
    }
    for (ns, raw) in texts.values() {
        check_includes(ns, raw)?;
    }
    let trial = |(text, interfaces): &(&str, Vec<IfName>)| Trial {
        text: (*text).to_owned(),
        interfaces: interfaces.clone(),
    };
    let trials: Vec<Trial> = texts.keys().map(trial).collect();
    let mut made: BTreeMap<(&str, Vec<IfName>), Vec<Table>> = BTreeMap::new();
    for ((text, (ns, raw)), tried) in texts.into_iter().zip(realm.try_nft(&trials)?) {
        let tables = tried.map_err(|unusable| refused(ns, raw, unusable))?;
        check_names(ns, raw, &tables)?;
        made.insert(text, tables);
    }
    let mut tried = desired.clone();
    for namespace in tried.state.namespaces.values_mut() {
        let mark = namespace.owner.mark().cloned();
        let there = namespace.nft_text.as_ref().map(|raw| interfaces(namespace, raw));
        let Some(raw) = namespace.nft_text.as_mut().filter(|raw| raw.tables.is_none()) else {
            continue;
        };
        let key = (raw.text.as_str(), there.unwrap_or_default());
        let tables = made.get(&key).cloned().unwrap_or_default().into_iter();
        let origin = raw.origin;
        raw.tables = Some(tables.map(|it| Table { mark: mark.clone(), origin, ..it }).collect());
    }
    Ok(Cow::Owned(tried))
}

/// The interfaces that must be there for nft to read a text: those of the node, or none.
fn interfaces(namespace: &Namespace, raw: &RawText) -> Vec<IfName> {
    let names = namespace.interfaces.keys().filter(|name| name.as_str() != "lo");
    names.filter(|_| raw.needs_interfaces()).cloned().collect()
}

fn refused(ns: &NsName, raw: &RawText, unusable: Unusable) -> Error {
    match unusable {
        Unusable::NoProgram => Error::MissingProgram {
            program: "nft",
            package: "nftables",
            what: "`nftables:`",
            origin: raw.origin,
        },
        Unusable::Refused { message, line } => wrong(ns, raw, message, line),
        Unusable::Numbers(word) => {
            let line = raw.line_of(&[&word]);
            let message = format!(
                "`{word}` goes by the number of an interface, which changes when it is made anew: \
                 `{word}name` goes by its name"
            );
            wrong(ns, raw, message, line)
        }
        Unusable::Reaches => {
            let line = raw.line_of(&["ruleset"]).or_else(|| raw.line_of(&["reset"]));
            let message = "it changes the tables of others too: its own are replaced as a whole \
                           without that";
            wrong(ns, raw, message.to_owned(), line)
        }
        Unusable::Remakes(id) => {
            let (family, name) = (id.family.name(), id.name.as_str());
            let said = |verb| raw.line_of(&[verb, "table", family, name]);
            let line = said("delete").or_else(|| said("destroy"));
            let message = format!(
                "it deletes its own table `{id}`, and with that the mark by which it is known: \
                 it is replaced as a whole without that"
            );
            wrong(ns, raw, message, line)
        }
    }
}

fn wrong(ns: &NsName, raw: &RawText, message: String, line: Option<usize>) -> Error {
    let origin = line.map_or(raw.origin, |line| raw.line(line));
    Error::NftText { ns: ns.clone(), message, origin }
}

/// Checks that all of a text is here: a file may be another one when it is read again.
fn check_includes(ns: &NsName, raw: &RawText) -> Result<(), Error> {
    let Some(line) = raw.line_of(&["include"]) else { return Ok(()) };
    let message = "`include` could bring what nobody has tried out".to_owned();
    Err(wrong(ns, raw, message, Some(line)))
}

/// Checks that a text is about its own tables alone: what it says of another would hold for one of
/// somebody else's.
fn check_names(ns: &NsName, raw: &RawText, tables: &[Table]) -> Result<(), Error> {
    let own = |name: &String| tables.iter().any(|table| table.id.to_string() == *name);
    let vnets = vnet_model::resolve::TABLE_ID;
    let mut named = raw.named_tables().into_iter();
    let Some((name, line)) = named.find(|(name, _)| name == vnets || !own(name)) else {
        return Ok(());
    };
    let message = match name == vnets {
        true => format!("the table `{name}` is that of `firewall` and `nat`"),
        false => {
            format!("the table `{name}` is named, but not made, so it would be somebody else's")
        }
    };
    Err(wrong(ns, raw, message, Some(line)))
}
