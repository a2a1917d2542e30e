//! Traces single packets through the tables of namespaces: what dropped them there.
//!
//! A table of our own in each namespace sets `nftrace` for what is traced and for nothing else, as
//! soon as it comes in or leaves; the kernel then tells of each rule that it meets. Where there are chains of
//! bridges, or of single interfaces, there is one of that family too, at the same places. The table is
//! *owned* by the socket that made it (`NFT_TABLE_F_OWNER`, linux/netfilter/nf_tables.h; Linux 5.12):
//! the kernel removes it when that is closed, whatever ends this process. CAP_NET_ADMIN.

use std::collections::BTreeSet;

use vnet_model::NsName;
use vnet_model::nft::{CmpOp, Expr, Family, Hook, PayloadBase, TableId, text};
use vnet_netlink::attr::Writer;
use vnet_netlink::{Batch, Error, Flags, Message, Socket};

use super::numbers::{
    BATCH_BEGIN, BATCH_END, BATCH_HEADER, HEADER_BYTES, LIST_ELEM, chain, data, expr, msg, rule,
    table, trace, verdict,
};
use super::{read, read_set, write_expr};
use crate::realm::Realm;

/// Before all that others do (`NF_IP_PRI_*`, linux/netfilter_ipv4.h).
const PRIORITY: i32 = -1000;

/// `NFT_META_NFTRACE`.
const META_NFTRACE: u32 = 12;

/// No more events than this are read from a namespace.
const EVENTS_MAX: usize = 4096;

/// Which packets are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traced {
    /// Those whose payload begins so, behind a header of 8 bytes: echoes and datagrams.
    Cookie([u8; 8]),
    /// Those that come from this port, or go to it.
    Port(u16),
}

/// A packet that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The namespace.
    pub ns: NsName,
    /// The table.
    pub table: TableId,
    /// Its chain.
    pub chain: String,
    /// The rule; `None` where no rule of the chain decided, and its policy did.
    pub rule: Option<String>,
}

/// Traces that are on.
#[derive(Debug)]
pub struct Tracer {
    posts: Vec<Post>,
    blind: Vec<NsName>,
}

#[derive(Debug)]
struct Post {
    ns: NsName,
    /// Owns the table.
    owner: Socket,
    /// Hears of what happens.
    events: Socket,
    /// Whether there are places at which it is not traced.
    is_partial: bool,
}

impl Tracer {
    /// Begins to trace in these namespaces. Where that can't be done it is told at the end.
    #[must_use]
    pub fn start(realm: &Realm, names: &[NsName], traced: Traced) -> Self {
        let mut tracer = Self { posts: Vec::new(), blind: Vec::new() };
        for ns in names {
            match post(realm, ns, traced) {
                Some(post) => tracer.posts.push(post),
                None => tracer.blind.push(ns.clone()),
            }
        }
        tracer
    }

    /// Ends all traces; tells what was dropped, and where it could not be traced.
    #[must_use]
    pub fn finish(self) -> (Vec<Dropped>, Vec<NsName>) {
        let Self { posts, mut blind } = self;
        let mut all = Vec::new();
        for mut post in posts {
            let read = post.read();
            if read.is_err() || post.is_partial {
                blind.push(post.ns);
            }
            all.extend(read.into_iter().flatten());
        }
        (all, blind)
    }
}

fn post(realm: &Realm, ns: &NsName, traced: Traced) -> Option<Post> {
    let open = || {
        let opened = realm.netfilter_sockets(0, std::slice::from_ref(ns)).ok()?.pop();
        opened?.ok()
    };
    let (mut owner, mut events) = (open()?, open()?);
    events.subscribe(&[trace::GROUP]).ok()?;
    let places = places_of(&mut owner).ok()?;
    let outcome = owner.submit_transaction(&mut tables_for(traced, &places)).ok()?;
    let is_partial = places.is_partial;
    outcome.is_ok().then(|| Post { ns: ns.clone(), owner, events, is_partial })
}

/// Where chains of a namespace see what those of IP may never see, or only later.
#[derive(Debug, Default)]
struct Places {
    /// What bridges pass on.
    bridges: bool,
    /// The interfaces at which there are chains for what comes in, and for what leaves.
    ingress: BTreeSet<String>,
    egress: BTreeSet<String>,
    /// Whether a chain is at interfaces that can't be named.
    is_partial: bool,
}

fn places_of(socket: &mut Socket) -> Result<Places, Error> {
    let mut places = Places::default();
    read::dump(socket, msg::GETCHAIN, |message| {
        let attributes = message.attributes(HEADER_BYTES)?;
        let hook = attributes.find(chain::HOOK)?;
        let (Some(family), Some(hook)) = (read::family(&message), hook) else {
            return Ok(None::<()>);
        };
        let number = read::u32_be(hook.nested(), chain::HOOK_HOOKNUM)?.unwrap_or_default();
        let known = match (family, number) {
            (Family::Bridge, _) => {
                places.bridges = true;
                return Ok(None);
            }
            (Family::Netdev, chain::NETDEV_INGRESS) | (Family::Inet, chain::INET_INGRESS) => {
                &mut places.ingress
            }
            (Family::Netdev, chain::NETDEV_EGRESS) => &mut places.egress,
            _ => return Ok(None),
        };
        if let Some(devices) = hook.nested().find(chain::HOOK_DEVS)? {
            for device in devices.nested() {
                let device = device?;
                match device.kind {
                    chain::DEVICE_NAME => {
                        known.insert(device.text()?.to_owned());
                    }
                    _ => places.is_partial = true,
                }
            }
        }
        Ok(None)
    })?;
    Ok(places)
}

/// Lays out the tables. Their name is nobody else's: that of an owned one is refused to others.
fn tables_for(traced: Traced, places: &Places) -> Batch {
    let name = match traced {
        Traced::Cookie(cookie) => format!("vnet_why_{:016x}", u64::from_be_bytes(cookie)),
        Traced::Port(port) => format!("vnet_why_port_{port}"),
    };
    let none = BTreeSet::new();
    let of_packets = [Hook::Prerouting, Hook::Output]
        .map(|hook| (hook.name(), hook.number(Family::Inet), &none));
    let of_interfaces = [
        ("ingress", chain::NETDEV_INGRESS, &places.ingress),
        ("egress", chain::NETDEV_EGRESS, &places.egress),
    ];
    let of_interfaces: Vec<_> =
        of_interfaces.into_iter().filter(|(_, _, devices)| !devices.is_empty()).collect();
    let mut batch = Batch::new();
    batch.push_unacknowledged(BATCH_BEGIN, Flags::NONE, |writer| {
        writer.header(&BATCH_HEADER);
    });
    lay_out(&mut batch, (Family::Inet, &name), traced, &of_packets);
    if places.bridges {
        lay_out(&mut batch, (Family::Bridge, &name), traced, &of_packets);
    }
    if !of_interfaces.is_empty() {
        lay_out(&mut batch, (Family::Netdev, &name), traced, &of_interfaces);
    }
    batch.push_unacknowledged(BATCH_END, Flags::NONE, |writer| {
        writer.header(&BATCH_HEADER);
    });
    batch
}

/// A chain: its name, the number of its hook, and the interfaces that it is at.
type Place<'p> = (&'p str, u32, &'p BTreeSet<String>);

/// Lays out a table of a family, with these chains.
fn lay_out(
    batch: &mut Batch,
    (family, name): (Family, &str),
    traced: Traced,
    chains: &[Place<'_>],
) {
    let mut push = |kind: u16, flags: Flags, write: &dyn Fn(&mut Writer<'_>)| {
        let header = [family.number(), 0, 0, 0];
        batch.push_unacknowledged(kind, flags, |writer| write(writer.header(&header)));
    };
    push(msg::NEWTABLE, Flags::CREATE | Flags::EXCL, &|writer| {
        writer.text(table::NAME, name).u32_be(table::FLAGS, table::F_OWNER);
    });
    for (own, hook, devices) in chains {
        push(msg::NEWCHAIN, Flags::CREATE | Flags::EXCL, &|writer| {
            writer.text(chain::TABLE, name).text(chain::NAME, own);
            writer.nest(chain::HOOK, |place| {
                place.u32_be(chain::HOOK_HOOKNUM, *hook);
                place.u32_be(chain::HOOK_PRIORITY, PRIORITY.cast_unsigned());
                if !devices.is_empty() {
                    place.nest(chain::HOOK_DEVS, |list| {
                        for device in *devices {
                            list.text(chain::DEVICE_NAME, device);
                        }
                    });
                }
            });
            writer.u32_be(chain::POLICY, verdict::ACCEPT.cast_unsigned());
            writer.text(chain::TYPE, "filter");
        });
        for (offset, wanted) in bytes_of(traced) {
            push(msg::NEWRULE, Flags::CREATE | Flags::APPEND, &|writer| {
                writer.text(rule::TABLE, name).text(rule::CHAIN, own);
                writer.nest(rule::EXPRESSIONS, |list| mark(list, offset, &wanted));
            });
        }
    }
}

/// Where in the transport header which bytes stand.
fn bytes_of(traced: Traced) -> Vec<(u32, Vec<u8>)> {
    match traced {
        Traced::Cookie(cookie) => vec![(8, cookie.to_vec())],
        Traced::Port(port) => [0, 2].map(|at| (at, port.to_be_bytes().to_vec())).to_vec(),
    }
}

/// `@th,… == wanted meta nftrace set 1`.
fn mark(list: &mut Writer<'_>, offset: u32, wanted: &[u8]) {
    let len = u32::try_from(wanted.len()).unwrap_or_default();
    let exprs = [
        Expr::Payload { base: PayloadBase::Transport, offset, len, reg: 1 },
        Expr::Cmp { reg: 1, op: CmpOp::Eq, data: wanted.into() },
        Expr::Immediate { reg: 1, data: [1].into() },
    ];
    for wanted in &exprs {
        let mut no_sets = std::iter::empty();
        list.nest(LIST_ELEM, |element| write_expr::expr(element, wanted, &mut no_sets));
    }
    list.nest(LIST_ELEM, |element| {
        // `NFTA_META_KEY` and `NFTA_META_SREG`.
        element.text(expr::NAME, "meta").nest(expr::DATA, |fields| {
            fields.u32_be(2, META_NFTRACE).u32_be(3, 1);
        });
    });
}

/// What the kernel tells of a packet that it drops.
struct Verdict {
    table: TableId,
    chain: String,
    /// The number of the rule.
    rule: Option<u64>,
}

impl Post {
    fn read(&mut self) -> Result<Vec<Dropped>, Error> {
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut failed = None;
        let mut left = EVENTS_MAX;
        let none = Some(std::time::Duration::ZERO);
        while left > 0
            && self.events.receive_event(none, |event| match read_event(event.message) {
                Ok(found) => verdicts.extend(found),
                Err(error) => failed = Some(error),
            })?
        {
            left -= 1;
        }
        failed.map_or(Ok(()), Err)?;
        let mut all: Vec<Dropped> = Vec::new();
        for Verdict { table, chain, rule } in verdicts {
            let rule = rule.map(|number| self.rule(&table, number)).transpose()?.flatten();
            let dropped = Dropped { ns: self.ns.clone(), table, chain, rule };
            if !all.contains(&dropped) {
                all.push(dropped);
            }
        }
        Ok(all)
    }

    /// Reads the text of a rule.
    fn rule(&mut self, table: &TableId, number: u64) -> Result<Option<String>, Error> {
        let sets = read_set::all(&mut self.owner, |id| id == table)?;
        let found = read::dump(&mut self.owner, msg::GETRULE, |message| {
            let attributes = message.attributes(HEADER_BYTES)?;
            let handle = attributes.find(rule::HANDLE)?.map(|it| it.u64_be()).transpose()?;
            if handle != Some(number) {
                return Ok(None);
            }
            Ok(read::read_rule(message, &sets)?.filter(|found| found.table == *table))
        })?;
        Ok(found.first().map(|found| text::rule(&found.rule, table.family)))
    }
}

/// Reads an event; `None` where nothing is dropped.
fn read_event(message: Message<'_>) -> Result<Option<Verdict>, Error> {
    if message.kind != msg::TRACE {
        return Ok(None);
    }
    let place = read::place(message, trace::TABLE, trace::CHAIN)?;
    let Some((table, chain)) = place else { return Ok(None) };
    let attributes = message.attributes(HEADER_BYTES)?;
    let drops = |code: Option<u32>| code.map(u32::cast_signed) == Some(verdict::DROP);
    let (rule, is_dropped) = match read::u32_be(attributes, trace::TYPE)? {
        Some(trace::TYPE_RULE) => {
            let found = attributes.find(trace::VERDICT)?;
            let code = match found {
                Some(found) => read::u32_be(found.nested(), data::VERDICT_CODE)?,
                None => None,
            };
            let handle = attributes.find(trace::RULE_HANDLE)?;
            (handle.map(|handle| handle.u64_be()).transpose()?, drops(code))
        }
        Some(trace::TYPE_POLICY) => (None, drops(read::u32_be(attributes, trace::POLICY)?)),
        _ => return Ok(None),
    };
    Ok(is_dropped.then_some(Verdict { table, chain, rule }))
}
