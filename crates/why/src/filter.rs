//! What packet filters and address translation do with a packet in one namespace.
//!
//! At each hook the chains are run in the order of their priority. Only the first packet of a
//! connection comes to chains of type `nat`; what they do to it is noted down ([`Flow`]) and undone
//! on its answer, as conntrack does (net/netfilter/nf_nat_core.c): the destination before it is
//! routed, the source before it leaves. What bridges and single interfaces drop is in `frame`.

mod chain;
mod frame;
mod packet;
mod rule;
mod unread;

use std::net::IpAddr;

use vnet_model::nft::{
    Chain, ChainKind, CtState, Expr, Family, Hook, Rule, Table, TableId, Verdict, text,
};
use vnet_model::{IfName, NsName, Packet};

use crate::fib::{self, Decision};
use crate::scene::Scene;
use chain::Place;
pub(crate) use frame::{Body, Frame, Point, group_of, pass, sees_frames, sees_packets};
pub(crate) use packet::{Done, Header};
use packet::{Here, InPlace, Loaded};
use rule::{Change, Comes, To};

/// When translation is done (`NF_IP_PRI_NAT_DST`, `NF_IP_PRI_NAT_SRC`, linux/netfilter_ipv4.h).
const PRIORITY_DNAT: i32 = -100;
const PRIORITY_SNAT: i32 = 100;

/// When conntrack looks at a packet (`NF_IP_PRI_CONNTRACK`).
const PRIORITY_CONNTRACK: i32 = -200;

/// What a namespace has noted down of a connection: the first packet as it came and as it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) ns: NsName,
    pub(crate) came: Header,
    pub(crate) left: Header,
}

/// Who drops a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) table: TableId,
    pub(crate) chain: String,
    pub(crate) hook: Hook,
    /// The base chain that led there.
    pub(crate) base: String,
    /// The rule in nft's words; nothing where the policy does.
    pub(crate) rule: Option<String>,
    /// Whether the sender is told.
    pub(crate) rejects: bool,
    /// What conntrack makes of the packet.
    pub(crate) state: Option<CtState>,
    /// What looks for a neighbour, where it is that what is dropped.
    pub(crate) asks: Option<Asks>,
}

/// A message by which a neighbour is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asks {
    /// The address that is asked for.
    pub(crate) addr: IpAddr,
    /// Whether it says who has it.
    pub(crate) is_reply: bool,
}

impl Asks {
    pub(crate) fn protocol(self) -> &'static str {
        if self.addr.is_ipv4() { "ARP" } else { "neighbour discovery" }
    }

    pub(crate) fn text(self) -> String {
        let what = if self.is_reply { "answer" } else { "question" };
        format!("the {what} of {} who has {}", self.protocol(), self.addr)
    }
}

/// Finds the chain by which packets come to a chain: itself, or one that calls it.
pub(crate) fn base_of<'t>(table: &'t Table, name: &str) -> Option<&'t Chain> {
    let mut led = vec![name];
    let mut at = 0;
    while let Some(name) = led.get(at).copied() {
        at += 1;
        if let Some(chain) = table.chain(name).filter(|chain| chain.base.is_some()) {
            return Some(chain);
        }
        let calls = |rule: &Rule| {
            let mut verdicts = rule.exprs.iter().flat_map(Expr::verdicts);
            verdicts.any(|verdict| verdict.chain() == Some(name))
        };
        for chain in table.chains.iter().filter(|chain| chain.rules.iter().any(calls)) {
            if !led.contains(&chain.name.as_str()) {
                led.push(&chain.name);
            }
        }
    }
    None
}

impl Dropped {
    pub(crate) fn text(&self) -> String {
        let Self { table, chain, .. } = self;
        let what = self.asks.map(|asks| format!("{} is ", asks.text())).unwrap_or_default();
        match &self.rule {
            Some(rule) => format!("{what}dropped by `{rule}` in chain {chain} of table {table}"),
            None => format!("{what}dropped by the policy of chain {chain} of table {table}"),
        }
    }
}

/// What a hook comes to.
#[derive(Debug)]
pub(crate) enum Passed {
    /// It goes on, changed or not; what was done is said.
    On(Vec<String>),
    Dropped(Box<Dropped>),
    /// It can't be told.
    Unknown(String),
}

/// A packet in a namespace.
pub(crate) struct Filter<'f, 'a> {
    pub(crate) scene: &'f Scene<'a>,
    pub(crate) ns: &'f NsName,
    pub(crate) header: &'f mut Header,
    pub(crate) iif: Option<&'f IfName>,
    pub(crate) oif: Option<&'f IfName>,
    /// What the way there has noted down, for an answer.
    pub(crate) flows: &'f [Flow],
    /// The packet as it came to this namespace.
    pub(crate) came: &'f Header,
    /// Whether it belongs to no connection here, nor begins one.
    pub(crate) is_untracked: bool,
    /// What it looks for, where it is what looks for a neighbour.
    pub(crate) asks: Option<Asks>,
    /// Whether a chain of type `route` has changed by what it is routed.
    pub(crate) is_rerouted: bool,
}

impl Filter<'_, '_> {
    /// Runs all chains of a hook.
    pub(crate) fn run(&mut self, hook: Hook) -> Passed {
        let tables = self.scene.tables(self.ns);
        let mut chains: Vec<(&Table, &Chain, i32, &ChainKind)> = Vec::new();
        for table in tables {
            let sees = match table.id.family {
                Family::Inet => true,
                Family::Ip => self.header.dst.is_ipv4(),
                Family::Ip6 => self.header.dst.is_ipv6(),
                Family::Arp | Family::Bridge | Family::Netdev => false,
            };
            for chain in table.chains.iter().filter(|_| sees) {
                if let Some(base) = chain.base.as_ref().filter(|base| base.hook == hook) {
                    chains.push((table, chain, base.priority, &base.kind));
                }
            }
        }
        chains.sort_by_key(|(_, _, priority, _)| *priority);
        let translates = match hook {
            Hook::Prerouting | Hook::Output => PRIORITY_DNAT,
            _ => PRIORITY_SNAT,
        };
        let mut said = Vec::new();
        let mut undone = false;
        // The first that translates does so for good (`nf_nat_inet_fn`, net/netfilter/nf_nat_core.c).
        let mut is_mapped = false;
        for (table, chain, priority, kind) in chains {
            if priority >= translates && !undone {
                undone = true;
                said.extend(self.undo(hook));
            }
            let is_nat = *kind == ChainKind::Nat;
            if is_nat && (is_mapped || self.state() != Some(CtState::New)) {
                continue;
            }
            let place = Place {
                scene: self.scene,
                ns: self.ns,
                hook,
                asks: self.asks,
                state: self.state(),
            };
            let (mark, ends) = (self.header.mark, (self.header.src, self.header.dst));
            let is_early = priority < PRIORITY_CONNTRACK;
            let mut rule = |rule: &Rule| self.rule(rule, &table.id, is_early, &mut said);
            match place.base(table, chain, &mut rule) {
                Passed::On(_) => {}
                stopped => return stopped,
            }
            is_mapped |= is_nat && ends != (self.header.src, self.header.dst);
            self.is_rerouted |= *kind == ChainKind::Route && self.header.mark != mark;
        }
        if !undone {
            said.extend(self.undo(hook));
        }
        Passed::On(said)
    }

    fn is_passed_by(&self) -> bool {
        self.is_untracked || self.header.done.is_untracked
    }

    /// What conntrack makes of the packet (`nf_conntrack_in`, net/netfilter/nf_conntrack_core.c): the
    /// answer to what never came by is no beginning of a TCP connection, nor an echo request.
    fn state(&self) -> Option<CtState> {
        if self.is_passed_by() {
            return Some(CtState::Untracked);
        }
        if !self.header.is_answer {
            return Some(CtState::New);
        }
        let seen = self.flows.iter().any(|flow| flow.ns == *self.ns);
        Some(match (seen, self.header.packet) {
            (true, _) if self.header.is_error => CtState::Related,
            (true, _) => CtState::Established,
            (false, Packet::Udp(_)) => CtState::New,
            (false, _) if self.header.outer.is_some() => CtState::New,
            (false, _) => CtState::Invalid,
        })
    }

    /// Undoes on an answer what was done to what it answers.
    fn undo(&mut self, hook: Hook) -> Option<String> {
        if !self.header.is_answer || self.is_passed_by() {
            return None;
        }
        let flow = self.flows.iter().find(|flow| flow.ns == *self.ns)?;
        let (came, left) = (&flow.came, &flow.left);
        match hook {
            Hook::Prerouting if Some(self.header.dst) == left.src && left.src != came.src => {
                self.header.dst = came.src?;
                Some(format!("its destination becomes {} again", self.header.dst))
            }
            Hook::Postrouting | Hook::Input
                if self.header.src == Some(left.dst) && left.dst != came.dst =>
            {
                (self.header.src, self.header.sport) = (Some(came.dst), came.dport);
                Some(format!("its source becomes {} again", came.dst))
            }
            _ => None,
        }
    }

    fn here(&self) -> Here {
        let changed = |by: fn(&Header) -> Option<IpAddr>| match self.header.is_answer {
            false => by(self.header) != by(self.came),
            true => self
                .flows
                .iter()
                .any(|flow| flow.ns == *self.ns && by(&flow.left) != by(&flow.came)),
        };
        let index = |dev: Option<&IfName>| self.scene.facts(self.ns)?.indexes.get(dev?).copied();
        Here {
            iif: self.iif.cloned(),
            oif: self.oif.cloned(),
            iif_index: index(self.iif),
            oif_index: index(self.oif),
            state: self.state(),
            snat: changed(|header| header.src),
            dnat: changed(|header| Some(header.dst)),
        }
    }

    /// Runs a rule, and does what it says about addresses; says so.
    fn rule(
        &mut self,
        rule: &Rule,
        table: &TableId,
        is_early: bool,
        said: &mut Vec<String>,
    ) -> Comes {
        let fib = |result, flags| self.fib(result, flags);
        let here = self.here();
        // What it answers may have left something in sets too.
        let before = self.flows.iter().filter(|flow| flow.ns == *self.ns);
        let done = before.map(|flow| &flow.left.done).chain([&self.header.done]);
        let put = done.flat_map(|done| done.put_in(self.ns, table)).collect();
        let looked = InPlace { header: self.header, here, fib: &fib, put };
        let (comes, beside) = rule::run(rule, &looked);
        self.header.mark = beside.mark.unwrap_or(self.header.mark);
        let done = &mut self.header.done;
        // What conntrack has seen already stays so (`nft_notrack_eval`).
        done.is_untracked |= beside.untracks && is_early;
        done.is_urged |= beside.urges;
        done.put.extend(beside.put.into_iter().map(|put| (self.ns.clone(), table.clone(), put)));
        let Comes::Nat(change) = comes else { return comes };
        match self.translate(&change) {
            Some(what) => {
                said.push(format!("{what}, by `{}`", text::rule(rule, table.family)));
                Comes::Verdict(Verdict::Accept)
            }
            None => Comes::Nat(change),
        }
    }

    /// Changes the packet; `None` where it is not known to what.
    fn translate(&mut self, change: &Change) -> Option<String> {
        let first = |dev: Option<&IfName>| {
            let (found, known) = (self.scene.ns(self.ns)?, self.scene.known(self.ns));
            match self.header.dst.is_ipv4() {
                true => fib::source_ipv4(found, known, dev?, None),
                false => fib::source_ipv6(found, known, dev?, self.header.dst),
            }
        };
        let old = if change.dnat { Some(self.header.dst) } else { self.header.src };
        let addr = match &change.addr {
            To::Same => old?,
            To::Addr(addr) => *addr,
            To::Leaving => first(self.oif)?,
            To::Arriving => match self.iif {
                Some(_) => first(self.iif)?,
                None => IpAddr::from([127, 0, 0, 1]),
            },
        };
        if change.dnat {
            self.header.dst = addr;
            self.header.dport = change.port.or(self.header.dport);
            let port = change.port.map(|port| format!(", port {port}")).unwrap_or_default();
            Some(format!("its destination becomes {addr}{port}"))
        } else {
            self.header.src = Some(addr);
            Some(format!("its source becomes {addr}"))
        }
    }

    /// Looks up the type of an address (`nft_fib4_eval_type`, net/ipv4/netfilter/nft_fib_ipv4.c).
    fn fib(&self, result: u32, flags: u32) -> Loaded {
        const RESULT_TYPE: u32 = 3;
        let addr = match (result, flags) {
            (RESULT_TYPE, 1) => self.header.src,
            (RESULT_TYPE, 2) => Some(self.header.dst),
            _ => None,
        };
        let Some(addr) = addr else { return Loaded::Unknown };
        // `RTN_UNICAST`, `RTN_LOCAL`, `RTN_BROADCAST` (linux/rtnetlink.h).
        let number: u32 = match self.scene.lookup_to(self.ns, addr) {
            Decision::Local => 2,
            Decision::Broadcast { .. } => 3,
            Decision::Via { .. } => 1,
            _ => return Loaded::Unknown,
        };
        Loaded::Bytes(number.to_ne_bytes().into_iter().map(Some).collect())
    }
}
