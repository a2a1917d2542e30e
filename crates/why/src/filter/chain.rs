//! Chains: rules in order, and the chains that those call (`nft_do_chain`,
//! net/netfilter/nf_tables_core.c).

use vnet_model::NsName;
use vnet_model::nft::{Chain, CtState, Hook, Rule, Table, Verdict, text};

use super::rule::Comes;
use super::{Asks, Dropped, Passed};
use crate::scene::Scene;

/// How deep chains may call each other (`NFT_JUMP_STACK_SIZE`, net/netfilter/nf_tables.h).
const DEPTH_MAX: usize = 16;

/// What runs a rule.
pub(super) type Runs<'r, 'f> = &'r mut (dyn FnMut(&Rule) -> Comes + 'f);

/// Where chains are run.
#[derive(Clone, Copy)]
pub(super) struct Place<'p, 'a> {
    pub(super) scene: &'p Scene<'a>,
    pub(super) ns: &'p NsName,
    pub(super) hook: Hook,
    /// What looks for a neighbour, where it is no packet that comes.
    pub(super) asks: Option<Asks>,
    /// What conntrack makes of the packet.
    pub(super) state: Option<CtState>,
}

impl Place<'_, '_> {
    /// Runs a chain that the kernel has packets come to.
    pub(super) fn base(&self, table: &Table, chain: &Chain, rule: Runs<'_, '_>) -> Passed {
        if self.scene.is_let_through(self.ns, &table.id, &chain.name, self.asks) {
            return Passed::On(Vec::new());
        }
        let dropped = |chain_name: &str, rule: Option<String>, rejects: bool| {
            Passed::Dropped(Box::new(Dropped {
                table: table.id.clone(),
                chain: chain_name.to_owned(),
                hook: self.hook,
                base: chain.name.clone(),
                rule,
                rejects,
                state: self.state,
                asks: self.asks,
            }))
        };
        match run(table, chain, rule, 0) {
            Ends::Accepted => Passed::On(Vec::new()),
            Ends::Through if chain.base.as_ref().is_none_or(|base| base.accepts) => {
                Passed::On(Vec::new())
            }
            Ends::Through => dropped(&chain.name, None, false),
            Ends::Dropped { chain, rule, rejects } => dropped(&chain, Some(rule), rejects),
            Ends::Unknown(what) => {
                let label = self.scene.label(self.ns);
                Passed::Unknown(format!(
                    "{label}, table {}, chain {}: {what}",
                    table.id, chain.name
                ))
            }
        }
    }
}

/// What a chain comes to.
enum Ends {
    Accepted,
    /// No rule decided.
    Through,
    Dropped {
        chain: String,
        rule: String,
        rejects: bool,
    },
    Unknown(String),
}

fn run(table: &Table, chain: &Chain, runs: Runs<'_, '_>, depth: usize) -> Ends {
    for rule in &chain.rules {
        let words = || text::rule(rule, table.id.family);
        let dropped = |rejects| Ends::Dropped { chain: chain.name.clone(), rule: words(), rejects };
        let verdict = match runs(rule) {
            Comes::On => continue,
            Comes::Reject => return dropped(true),
            Comes::Unknown(what) => return Ends::Unknown(format!("{what} in `{}`", words())),
            Comes::Nat(_) => return Ends::Unknown(format!("the translation `{}`", words())),
            Comes::Verdict(verdict) => verdict,
        };
        let (called, returns) = match verdict {
            Verdict::Accept => return Ends::Accepted,
            Verdict::Drop => return dropped(false),
            Verdict::Continue => continue,
            Verdict::Return => return Ends::Through,
            Verdict::Jump(name) => (name, true),
            Verdict::Goto(name) => (name, false),
            Verdict::Other(_) => return Ends::Unknown(format!("the verdict of `{}`", words())),
        };
        let Some(called) = table.chain(&called).filter(|_| depth < DEPTH_MAX) else {
            return Ends::Unknown(format!("the chain of `{}`", words()));
        };
        match run(table, called, runs, depth + 1) {
            Ends::Through if returns => {}
            ends => return ends,
        }
    }
    Ends::Through
}
