//! `nftables:` of a file: each text is tried out before anything is touched, so that its mistakes
//! show, and so that what exists can be compared with what it says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use vnet_kernel::Realm;
use vnet_kernel::nft::{Trial, Unusable};
use vnet_model::nft::{RawText, Table};
use vnet_model::{Desired, Namespace, NsName};

use crate::error::Error;

/// Finds out which tables the texts make.
///
/// # Errors
/// [`Error::MissingProgram`], and [`Error::NftText`] with the line.
pub(crate) fn try_out<'d>(realm: &Realm, desired: &'d Desired) -> Result<Cow<'d, Desired>, Error> {
    let texts = untried(desired);
    if texts.is_empty() {
        return Ok(Cow::Borrowed(desired));
    }
    for (ns, raw) in texts.values() {
        check_includes(ns, raw)?;
    }
    let trials: Vec<Trial> = texts.keys().cloned().collect();
    let mut made: BTreeMap<Trial, Vec<Table>> = BTreeMap::new();
    for ((trial, (ns, raw)), tried) in texts.into_iter().zip(realm.try_nft(&trials)?) {
        made.insert(trial, usable(ns, raw, tried)?);
    }
    let mut tried = desired.clone();
    for namespace in tried.state.namespaces.values_mut() {
        let mark = namespace.owner.mark().cloned();
        let made = namespace.nft_text.as_ref().and_then(|raw| made.get(&trial(namespace, raw)));
        let Some(raw) = namespace.nft_text.as_mut().filter(|raw| raw.tables.is_none()) else {
            continue;
        };
        let tables = made.cloned().unwrap_or_default().into_iter();
        let origin = raw.origin;
        raw.tables = Some(tables.map(|it| Table { mark: mark.clone(), origin, ..it }).collect());
    }
    Ok(Cow::Owned(tried))
}

/// Finds what is wrong with each text of nft's, without changing anything: for each the first mistake.
///
/// # Errors
/// When the kernel can't be asked.
pub(crate) fn mistakes(realm: &Realm, desired: &Desired) -> Result<Vec<Error>, Error> {
    let (mut found, mut rest, mut trials) = (Vec::new(), Vec::new(), Vec::new());
    for (trial, (ns, raw)) in untried(desired) {
        match check_includes(ns, raw) {
            Ok(()) => {
                rest.push((ns, raw));
                trials.push(trial);
            }
            Err(error) => found.push(error),
        }
    }
    if !trials.is_empty() {
        let tried = rest.into_iter().zip(realm.try_nft(&trials)?);
        found.extend(tried.filter_map(|((ns, raw), tried)| usable(ns, raw, tried).err()));
    }
    Ok(found)
}

/// Lists the texts that nobody has tried out, each once, with the first who has it.
fn untried(desired: &Desired) -> BTreeMap<Trial, (&NsName, &RawText)> {
    let all = desired.state.namespaces.iter();
    let is_untried = |raw: &&RawText| raw.tables.is_none();
    all.filter_map(|(ns, found)| {
        let raw = found.nft_text.as_ref().filter(is_untried)?;
        Some((trial(found, raw), (ns, raw)))
    })
    .collect()
}

/// What is to be tried out of a text: what needs no interfaces is the same in whatever node.
fn trial(namespace: &Namespace, raw: &RawText) -> Trial {
    let names = namespace.interfaces.keys().filter(|name| name.as_str() != "lo");
    let interfaces = names.filter(|_| raw.needs_interfaces()).cloned().collect();
    Trial { text: raw.text.clone(), interfaces }
}

/// Returns the tables that a text makes, where it may be used.
fn usable(
    ns: &NsName,
    raw: &RawText,
    tried: Result<Vec<Table>, Unusable>,
) -> Result<Vec<Table>, Error> {
    let tables = tried.map_err(|unusable| refused(ns, raw, unusable))?;
    check_names(ns, raw, &tables)?;
    Ok(tables)
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
        Unusable::Numbers(None) => {
            let message = "it goes by the number of an interface (`fwd to`, `dup … device`, `fib … oif`, \
                           sets of `iface_index`), which changes when it is made anew: only names stay";
            let line = ["fwd", "dup", "fib"].iter().find_map(|word| raw.line_of(&[word]));
            wrong(ns, raw, message.to_owned(), line)
        }
        Unusable::Numbers(Some(word)) => {
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
