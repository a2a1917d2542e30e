//! Lays out tables as one transaction: it is carried out whole or not at all, and no packet meets a
//! half of it. CAP_NET_ADMIN.

use vnet_model::nft::build::kind;
use vnet_model::nft::{Base, Chain, Expr, Family, Rule, Set, Table, TableId};
use vnet_netlink::attr::Writer;
use vnet_netlink::{Batch, Flags};

use super::numbers::{
    BATCH_BEGIN, BATCH_END, BATCH_HEADER, LIST_ELEM, chain, data, elem, msg, object, rule, set,
    table, verdict,
};
use super::write_expr;

/// Tells nft that a set's elements are in host byte order, else it does not list names: type
/// `NFTNL_UDATA_SET_KEYBYTEORDER`, 4 bytes, `BYTEORDER_HOST_ENDIAN` (libnftnl/udata.h,
/// include/datatype.h of nftables). The kernel only keeps it.
const HOST_BYTE_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// What a message of a transaction is about, by its index in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The transaction or the table as a whole.
    Table,
    /// A chain, by its place in the table.
    Chain(usize),
    /// A rule, by its chain's place and its own.
    Rule(usize, usize),
}

/// Makes a table, which must not exist.
pub fn add(batch: &mut Batch, wanted: &Table) -> Vec<Part> {
    Transaction::new(batch, &wanted.id).whole(wanted)
}

/// Makes a table what it shall be, whatever it was: its counters begin anew.
pub fn replace(batch: &mut Batch, wanted: &Table) -> Vec<Part> {
    let mut transaction = Transaction::new(batch, &wanted.id);
    // Adding what may be there is no error, so that there is one to delete.
    transaction.table(msg::NEWTABLE, Flags::CREATE, None);
    transaction.table(msg::DELTABLE, Flags::NONE, None);
    transaction.whole(wanted)
}

/// Removes a table with all that is in it.
pub fn delete(batch: &mut Batch, id: &TableId) -> Vec<Part> {
    let mut transaction = Transaction::new(batch, id);
    transaction.table(msg::DELTABLE, Flags::NONE, None);
    transaction.end()
}

/// Puts a counter and a quota with a name into a table, both of which have counted.
pub(super) fn counted(batch: &mut Batch, id: &TableId) {
    let mut transaction = Transaction::new(batch, id);
    let counter = [(object::COUNTER_BYTES, 7), (object::COUNTER_PACKETS, 7)];
    transaction.object("counter", object::COUNTER, &counter);
    let quota = [(object::QUOTA_BYTES, 7), (object::QUOTA_CONSUMED, 7)];
    transaction.object("quota", object::QUOTA, &quota);
    transaction.end();
}

pub(super) struct Transaction<'a> {
    batch: &'a mut Batch,
    id: &'a TableId,
    parts: Vec<Part>,
    /// The number of the last set: an anonymous set has no name before the kernel gives it one.
    set_id: u32,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(batch: &'a mut Batch, id: &'a TableId) -> Self {
        batch.clear();
        let mut this = Self { batch, id, parts: Vec::new(), set_id: 0 };
        this.push(Part::Table, BATCH_BEGIN, Flags::NONE, |_| {});
        this
    }

    /// Appends a message. None is acknowledged: that costs time, and a refusal comes without being
    /// asked for.
    fn push(&mut self, part: Part, kind: u16, flags: Flags, write: impl FnOnce(&mut Writer<'_>)) {
        let header = match kind {
            BATCH_BEGIN | BATCH_END => BATCH_HEADER,
            _ => [self.id.family.number(), 0, 0, 0],
        };
        self.batch.push_unacknowledged(kind, flags, |writer| {
            write(writer.header(&header));
        });
        self.parts.push(part);
    }

    fn whole(mut self, wanted: &Table) -> Vec<Part> {
        let userdata = wanted.mark.as_ref().map(|mark| super::comment(&mark.to_string()));
        self.table(msg::NEWTABLE, Flags::CREATE | Flags::EXCL, userdata.as_deref());
        // All chains first: a rule may jump to any of them.
        for (at, chain) in wanted.chains.iter().enumerate() {
            self.chain(at, chain);
        }
        for (at, chain) in wanted.chains.iter().enumerate() {
            for (number, rule) in chain.rules.iter().enumerate() {
                self.rule(Part::Rule(at, number), &chain.name, rule, None);
            }
        }
        self.end()
    }

    pub(super) fn end(mut self) -> Vec<Part> {
        self.push(Part::Table, BATCH_END, Flags::NONE, |_| {});
        self.parts
    }

    fn table(&mut self, kind: u16, flags: Flags, userdata: Option<&[u8]>) {
        let name = &self.id.name;
        self.push(Part::Table, kind, flags, |writer| {
            writer.text(table::NAME, name);
            if let Some(userdata) = userdata {
                writer.bytes(table::USERDATA, userdata);
            }
        });
    }

    pub(super) fn chain(&mut self, at: usize, wanted: &Chain) {
        let (name, family) = (&self.id.name, self.id.family);
        self.push(Part::Chain(at), msg::NEWCHAIN, Flags::CREATE | Flags::EXCL, |writer| {
            writer.text(chain::TABLE, name).text(chain::NAME, &wanted.name);
            if let Some(base) = &wanted.base {
                write_base(writer, family, base);
            }
        });
    }

    /// Sets the policy of a chain that is there.
    pub(super) fn policy(&mut self, at: usize, wanted: &Chain) {
        let Some(base) = &wanted.base else { return };
        let name = &self.id.name;
        self.push(Part::Chain(at), msg::NEWCHAIN, Flags::NONE, |writer| {
            writer.text(chain::TABLE, name).text(chain::NAME, &wanted.name);
            write_policy(writer, base);
        });
    }

    /// Removes a chain without rules.
    pub(super) fn delete_chain(&mut self, chain: &str) {
        let name = &self.id.name;
        self.push(Part::Table, msg::DELCHAIN, Flags::NONE, |writer| {
            writer.text(chain::TABLE, name).text(chain::NAME, chain);
        });
    }

    /// Removes a rule, and with it the set that is its own.
    pub(super) fn delete_rule(&mut self, chain: &str, handle: u64) {
        let name = &self.id.name;
        self.push(Part::Table, msg::DELRULE, Flags::NONE, |writer| {
            writer.text(rule::TABLE, name).text(rule::CHAIN, chain).u64_be(rule::HANDLE, handle);
        });
    }

    fn object(&mut self, name: &str, kind: u32, values: &[(u16, u64)]) {
        let table = &self.id.name;
        self.push(Part::Table, msg::NEWOBJ, Flags::CREATE, |writer| {
            writer.text(object::TABLE, table).text(object::NAME, name).u32_be(object::TYPE, kind);
            writer.nest(object::DATA, |data| {
                for (kind, value) in values {
                    data.u64_be(*kind, *value);
                }
            });
        });
    }

    /// Makes a rule before the one with this handle, or else as the last of its chain.
    pub(super) fn rule(&mut self, part: Part, chain: &str, wanted: &Rule, before: Option<u64>) {
        let mut ids = Vec::new();
        for expr in &wanted.exprs {
            if let Expr::Lookup { set, .. } = expr {
                ids.push(self.set(part, set));
            }
        }
        let (name, mut ids) = (&self.id.name, ids.into_iter());
        let place = if before.is_some() { Flags::NONE } else { Flags::APPEND };
        self.push(part, msg::NEWRULE, Flags::CREATE | place, |writer| {
            writer.text(rule::TABLE, name).text(rule::CHAIN, chain);
            if let Some(before) = before {
                writer.u64_be(rule::POSITION, before);
            }
            writer.nest(rule::EXPRESSIONS, |list| {
                for expr in &wanted.exprs {
                    list.nest(LIST_ELEM, |element| write_expr::expr(element, expr, &mut ids));
                }
            });
        });
    }

    /// Makes the set of a rule, and returns its number in this transaction.
    fn set(&mut self, part: Part, wanted: &Set) -> u32 {
        self.set_id += 1;
        let (table, id) = (&self.id.name, self.set_id);
        let is_interval = wanted.elements.iter().any(|(from, to)| from != to);
        let interval = if is_interval { set::F_INTERVAL } else { 0 };
        let count = u32::try_from(wanted.elements.len()).unwrap_or(u32::MAX);
        self.push(part, msg::NEWSET, Flags::CREATE, |writer| {
            writer.text(set::TABLE, table).text(set::NAME, write_expr::SET_NAME);
            writer.u32_be(set::FLAGS, set::F_ANONYMOUS | set::F_CONSTANT | interval);
            writer.u32_be(set::KEY_TYPE, wanted.kind).u32_be(set::KEY_LEN, wanted.key_len);
            writer.u32_be(set::ID, id);
            if wanted.kind == kind::IFNAME {
                writer.bytes(set::USERDATA, &HOST_BYTE_ORDER);
            }
            if !is_interval {
                writer.nest(set::DESC, |desc| {
                    desc.u32_be(set::DESC_SIZE, count);
                });
            }
        });
        let table = &self.id.name;
        self.push(part, msg::NEWSETELEM, Flags::CREATE, |writer| {
            writer.text(elem::LIST_TABLE, table).text(elem::LIST_SET, write_expr::SET_NAME);
            writer.u32_be(elem::LIST_SET_ID, id);
            writer.nest(elem::LIST_ELEMENTS, |list| {
                for (from, to) in &wanted.elements {
                    write_element(list, from, 0);
                    // The end of an interval is the first value behind it.
                    let end = vnet_model::nft::build::next(to).filter(|_| is_interval);
                    if let Some(end) = end {
                        write_element(list, &end, elem::F_INTERVAL_END);
                    }
                }
            });
        });
        id
    }
}

fn write_element(list: &mut Writer<'_>, key: &[u8], flags: u32) {
    list.nest(LIST_ELEM, |element| {
        if flags != 0 {
            element.u32_be(elem::FLAGS, flags);
        }
        element.nest(elem::KEY, |nest| {
            nest.bytes(data::VALUE, key);
        });
    });
}

fn write_base(writer: &mut Writer<'_>, family: Family, base: &Base) {
    writer.nest(chain::HOOK, |hook| {
        hook.u32_be(chain::HOOK_HOOKNUM, base.hook.number(family));
        hook.u32_be(chain::HOOK_PRIORITY, base.priority.cast_unsigned());
        if !base.devices.is_empty() {
            hook.nest(chain::HOOK_DEVS, |list| {
                for device in &base.devices {
                    match device.strip_suffix('*') {
                        Some(prefix) => list.text(chain::DEVICE_PREFIX, prefix),
                        None => list.text(chain::DEVICE_NAME, device),
                    };
                }
            });
        }
    });
    write_policy(writer, base);
    writer.text(chain::TYPE, base.kind.name());
}

fn write_policy(writer: &mut Writer<'_>, base: &Base) {
    let policy = if base.accepts { verdict::ACCEPT } else { verdict::DROP };
    writer.u32_be(chain::POLICY, policy.cast_unsigned());
}
