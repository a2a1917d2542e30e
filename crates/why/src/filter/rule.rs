//! What one rule does with a packet (`nft_do_chain`, net/netfilter/nf_tables_core.c).

use std::collections::BTreeMap;
use std::net::IpAddr;

use vnet_model::nft::expr::{QUARTER_BYTES, start};
use vnet_model::nft::{
    CmpOp, Ct, Expr, Limit, Map, Mapped, Meta, Nat, PayloadBase, Reg, Rule, Set, Verdict,
};

use super::packet::{Bytes, Loaded, Put};
use super::unread::{self, Statement};

/// Expressions that are not read, and decide where they are the last of a rule: by giving it to a program
/// or to another interface.
const DECIDE: [&str; 4] = ["queue", "fwd", "tproxy", "synproxy"];

/// What rules look at.
pub(super) trait Looked {
    /// Loads bytes of it (`nft_payload_eval`, net/netfilter/nft_payload.c).
    fn payload(&self, base: PayloadBase, offset: u32, len: u32) -> Loaded;
    /// Loads what the kernel knows about it (`nft_meta_get_eval`, net/netfilter/nft_meta.c).
    fn meta(&self, key: Meta) -> Loaded;
    /// Loads what the kernel knows about its connection (`nft_ct_get_eval`, net/netfilter/nft_ct.c).
    fn ct(&self, key: Ct, dir: Option<u8>) -> Loaded;
    /// Looks up what `fib` asks for.
    fn fib(&self, result: u32, flags: u32) -> Loaded;
    /// What rules before have put into sets of the table, or taken out.
    fn put(&self) -> &[Put];
}

/// What a rule comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comes {
    /// It is not about this packet, or decides nothing.
    On,
    /// It decides.
    Verdict(Verdict),
    /// It drops it and says so.
    Reject,
    /// It translates.
    Nat(Change),
    /// It can't be told what it does: something in it is not modelled.
    Unknown(String),
}

/// A translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether it is the destination's.
    pub(super) dnat: bool,
    /// The new address: as given, or that of the interface.
    pub(super) addr: To,
    pub(super) port: Option<u16>,
}

/// The address that something is translated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    Same,
    Addr(IpAddr),
    /// The address of the interface that it leaves by.
    Leaving,
    /// The address of the interface that it came in by.
    Arriving,
}

/// Whether the rule goes on.
enum Next {
    Go,
    Done(Comes),
}

/// What a rule does beside, whether it decides or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    /// The mark that it sets; nothing where that is not known.
    pub(super) mark: Option<Option<u32>>,
    /// Whether conntrack is to pass it by.
    pub(super) untracks: bool,
    /// Whether it writes the byte of the IP header that says how urgent it is.
    pub(super) urges: bool,
    /// What it puts into sets, or takes out.
    pub(super) put: Vec<Put>,
}

/// Tells whether a limit may hold up what a person tries: about a packet a second.
fn is_tight(limit: &Limit) -> bool {
    const PACKET_BYTES: u64 = 100;
    limit.rate < limit.seconds * if limit.bytes { PACKET_BYTES } else { 1 }
}

/// Runs a rule.
pub(super) fn run(rule: &Rule, looked: &dyn Looked) -> (Comes, Beside) {
    let mut run =
        Run { looked, registers: BTreeMap::new(), doubt: None, beside: Beside::default() };
    let comes = run.all(rule);
    (comes, run.beside)
}

struct Run<'r> {
    looked: &'r dyn Looked,
    registers: BTreeMap<Reg, Option<u8>>,
    /// What could not be evaluated; only a rule that decides something makes it matter.
    doubt: Option<String>,
    beside: Beside,
}

impl Run<'_> {
    fn all(&mut self, rule: &Rule) -> Comes {
        for expr in &rule.exprs {
            match self.step(expr) {
                Next::Go => {}
                Next::Done(Comes::On) => return Comes::On,
                Next::Done(comes) => {
                    return match self.doubt.take() {
                        None => comes,
                        Some(what) => Comes::Unknown(what),
                    };
                }
            }
        }
        match (rule.exprs.last(), self.doubt.take()) {
            (Some(Expr::Unknown { name, .. }), Some(what)) if DECIDE.contains(&name.as_str()) => {
                Comes::Unknown(what)
            }
            _ => Comes::On,
        }
    }

    fn step(&mut self, expr: &Expr) -> Next {
        let go = || Next::Go;
        match expr {
            Expr::Payload { base, offset, len, reg } => {
                self.load(*reg, self.looked.payload(*base, *offset, *len))
            }
            Expr::Meta { key: Meta::Mark, reg } if self.beside.mark.is_some() => {
                let mark = self.beside.mark.flatten().map(u32::to_ne_bytes);
                self.store(*reg, mark.map_or_else(|| vec![None; 4], |mark| mark.map(Some).into()));
                go()
            }
            Expr::Meta { key, reg } => self.load(*reg, self.looked.meta(*key)),
            Expr::Ct { key, dir, reg } => self.load(*reg, self.looked.ct(*key, *dir)),
            Expr::Fib { result, flags, reg } => self.load(*reg, self.looked.fib(*result, *flags)),
            Expr::Immediate { reg, data } => {
                self.store(*reg, data.iter().map(|byte| Some(*byte)).collect());
                go()
            }
            Expr::Cmp { reg, op, data } => {
                let is = |value: &[u8]| op.holds(value, data);
                let certain = *op == CmpOp::Eq && self.differs(*reg, data);
                self.test(*reg, data.len(), certain, is, "a comparison")
            }
            Expr::Range { reg, invert, from, to } => {
                let is = |value: &[u8]| (**from <= *value && *value <= **to) != *invert;
                self.test(*reg, from.len(), false, is, "a range")
            }
            Expr::Lookup { reg, set, invert } => self.look_up(*reg, set, *invert),
            Expr::Map { reg, map, to } => self.look_up_in_map(*reg, map, *to),
            Expr::Bitwise { from, to, mask, xor } => {
                let bytes = self.read(*from, mask.len());
                let one = |(byte, (mask, xor)): (&Option<u8>, (&u8, &u8))| match (byte, mask) {
                    (_, 0) => Some(*xor),
                    (byte, mask) => byte.map(|byte| (byte & mask) ^ xor),
                };
                let new = bytes.iter().zip(mask.iter().zip(xor.iter())).map(one).collect();
                self.store(*to, new);
                go()
            }
            Expr::Verdict(Verdict::Continue) | Expr::Counter(_) | Expr::Log(_) => go(),
            Expr::Verdict(verdict) => Next::Done(Comes::Verdict(verdict.clone())),
            Expr::Limit(limit) if is_tight(limit) => {
                self.doubt.get_or_insert_with(|| "`limit`, which lets only some through".into());
                go()
            }
            // What a person tries is never over the others.
            Expr::Limit(limit) if limit.over => Next::Done(Comes::On),
            Expr::Limit(_) => go(),
            Expr::Reject(_) => Next::Done(Comes::Reject),
            Expr::Nat(nat) => Next::Done(self.nat(nat)),
            Expr::Masquerade { .. } => {
                let (addr, port) = (To::Leaving, None);
                Next::Done(Comes::Nat(Change { dnat: false, addr, port }))
            }
            Expr::Redirect { port, .. } => match port.map(|reg| self.port(reg)) {
                Some(None) => Next::Done(Comes::Unknown("a port that is not known".into())),
                port => {
                    let (addr, port) = (To::Arriving, port.flatten());
                    Next::Done(Comes::Nat(Change { dnat: true, addr, port }))
                }
            },
            Expr::Unknown { name, data } => self.unread(name, data),
            _ => {
                self.doubt.get_or_insert_with(|| "an expression".to_owned());
                go()
            }
        }
    }

    /// Does what a statement that is not read says.
    fn unread(&mut self, name: &str, data: &[u8]) -> Next {
        let is_sure = self.doubt.is_none();
        match unread::read(name, data) {
            Statement::Untracks if is_sure => self.beside.untracks = true,
            Statement::Untracks | Statement::Changes => {
                let what = format!("`{name}`, which changes the packet,");
                return Next::Done(Comes::Unknown(what));
            }
            Statement::Marks(reg) => {
                let bytes: Option<Vec<u8>> = self.read(reg, 4).into_iter().collect();
                let mark = bytes.and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
                self.beside.mark = Some(mark.filter(|_| is_sure));
            }
            Statement::Urges => self.beside.urges = true,
            Statement::Puts { set, reg, is_gone } => {
                let key = self.read(reg, Put::KEY_BYTES_MAX);
                self.beside.put.push(Put { set, key, is_sure: is_sure && !is_gone });
            }
            Statement::Looks => {
                // It may have written to any register.
                self.registers.clear();
                self.doubt.get_or_insert_with(|| format!("`{name}`"));
            }
        }
        Next::Go
    }

    /// Looks up in a set, with what rules have put into it meanwhile.
    fn look_up(&mut self, reg: Reg, set: &Set, invert: bool) -> Next {
        let len = set.key_len as usize;
        let key = self.read(reg, len);
        let looked = self.looked;
        let put = looked.put().iter().chain(&self.beside.put);
        let put = put.filter(|put| Some(&put.set) == set.name.as_ref());
        let (sure, unsure): (Vec<&Put>, Vec<&Put>) =
            put.filter(|put| put.may_be(&key)).partition(|put| put.is_sure && put.is(&key));
        if sure.is_empty() && !unsure.is_empty() {
            let doubt = || "a set that rules before have changed".to_owned();
            self.doubt.get_or_insert_with(doubt);
            return Next::Go;
        }
        let holds: Vec<Option<bool>> = set.holds(&key).collect();
        let is_in = match !sure.is_empty() || holds.contains(&Some(true)) {
            true => Some(true),
            false => (!holds.contains(&None)).then_some(false),
        };
        match is_in {
            Some(is_in) if is_in != invert => Next::Go,
            Some(_) => Next::Done(Comes::On),
            None => self.go_in_doubt("a set"),
        }
    }

    /// Does what a map has for what is in a register.
    fn look_up_in_map(&mut self, reg: Reg, map: &Map, to: Option<Reg>) -> Next {
        let keys = &map.keys;
        let key = self.read(reg, keys.key_len as usize);
        let mut put = self.looked.put().iter().chain(&self.beside.put);
        let is_changed = put.any(|put| Some(&put.set) == keys.name.as_ref());
        let may_be = keys.holds(&key).zip(&map.values).filter(|(holds, _)| *holds != Some(false));
        let may_be: Vec<(Option<bool>, &Mapped)> = may_be.collect();
        if may_be.is_empty() && !is_changed {
            return Next::Done(Comes::On);
        }
        // The first that holds counts; those before it, of which it is not known, must give the same.
        let sure = may_be.iter().position(|(holds, _)| *holds == Some(true));
        let only = sure.map(|sure| may_be[sure].1).filter(|only| {
            !is_changed
                && may_be.iter().take_while(|(holds, _)| holds.is_none()).all(|(_, it)| it == only)
        });
        match (only, to) {
            (Some(Mapped::Verdict(Verdict::Continue)), _) => Next::Go,
            (Some(Mapped::Verdict(verdict)), _) => Next::Done(Comes::Verdict(verdict.clone())),
            (Some(Mapped::Value(data)), Some(to)) => {
                self.store(to, data.iter().map(|byte| Some(*byte)).collect());
                Next::Go
            }
            (_, Some(to)) => {
                self.store(to, vec![None; Put::KEY_BYTES_MAX]);
                self.go_in_doubt("a map")
            }
            (_, None) => {
                let what = "a map of verdicts with what is not known of the packet";
                Next::Done(Comes::Unknown(what.to_owned()))
            }
        }
    }

    fn load(&mut self, reg: Reg, loaded: Loaded) -> Next {
        match loaded {
            Loaded::Bytes(bytes) => self.store(reg, bytes),
            Loaded::Nothing => return Next::Done(Comes::On),
            Loaded::Unknown => self.store(reg, vec![None; 16]),
        }
        Next::Go
    }

    /// Writes whole quarters of registers (`nft_payload_eval`).
    fn store(&mut self, reg: Reg, mut bytes: Bytes) {
        bytes.resize(bytes.len().next_multiple_of(QUARTER_BYTES), Some(0));
        self.registers.extend((start(reg)..).zip(bytes));
    }

    fn read(&self, reg: Reg, len: usize) -> Bytes {
        let start = start(reg);
        let at = |offset| self.registers.get(&(start + offset)).copied().flatten();
        (0..u32::try_from(len).unwrap_or(0)).map(at).collect()
    }

    /// Tells whether a byte that is known is another one.
    fn differs(&self, reg: Reg, data: &[u8]) -> bool {
        let bytes = self.read(reg, data.len());
        bytes.iter().zip(data).any(|(byte, wanted)| byte.is_some_and(|byte| byte != *wanted))
    }

    fn test(
        &mut self,
        reg: Reg,
        len: usize,
        certainly_not: bool,
        is: impl Fn(&[u8]) -> bool,
        what: &str,
    ) -> Next {
        let bytes: Option<Vec<u8>> = self.read(reg, len).into_iter().collect();
        match bytes {
            Some(bytes) if is(&bytes) => Next::Go,
            Some(_) => Next::Done(Comes::On),
            None if certainly_not => Next::Done(Comes::On),
            None => self.go_in_doubt(what),
        }
    }

    /// Goes on as if a test had held of which that is not known.
    fn go_in_doubt(&mut self, test: &str) -> Next {
        let doubt = || format!("{test} with what is not known of the packet");
        self.doubt.get_or_insert_with(doubt);
        Next::Go
    }

    fn port(&self, reg: Reg) -> Option<u16> {
        let bytes = self.read(reg, 2);
        Some(u16::from_be_bytes([bytes[0]?, bytes[1]?]))
    }

    fn nat(&self, nat: &Nat) -> Comes {
        let unknown = |what: &str| Comes::Unknown(what.to_owned());
        let addr = match nat.addr {
            None => To::Same,
            Some(reg) => {
                let len = if nat.family == 10 { 16 } else { 4 };
                let bytes: Option<Vec<u8>> = self.read(reg, len).into_iter().collect();
                let addr = bytes.and_then(|bytes| match <[u8; 4]>::try_from(bytes.as_slice()) {
                    Ok(bytes) => Some(IpAddr::from(bytes)),
                    Err(_) => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
                });
                match addr {
                    Some(addr) => To::Addr(addr),
                    None => return unknown("a translation to an address that is not known"),
                }
            }
        };
        let max = nat.addr_max.filter(|max| Some(*max) != nat.addr);
        if max.is_some_and(|max| self.read(max, 4) != self.read(nat.addr.unwrap_or(max), 4)) {
            return unknown("a translation to one of several addresses");
        }
        let port = match nat.port {
            None => None,
            Some(reg) => match self.port(reg) {
                Some(port) => Some(port),
                None => return unknown("a translation to a port that is not known"),
            },
        };
        Comes::Nat(Change { dnat: nat.dnat, addr, port })
    }
}
