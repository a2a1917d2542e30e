//! `rules:`, in iproute2's words.

use vnet_model::ipnet::IpNet;
use vnet_model::state::PortRange;
use vnet_model::topology::StaticRule;
use vnet_model::{Rule, RuleAction};

use super::words::{Language, Words};
use super::{At, PROTOCOLS, Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::syntax::Value;

/// The words of a rule (`ip-rule(8)`).
const RULE: Language = Language {
    of: "a rule",
    words: &[
        "not",
        "from",
        "to",
        "iif",
        "oif",
        "fwmark",
        "ipproto",
        "sport",
        "dport",
        "table",
        "lookup",
        "priority",
        "suppress_prefixlength",
        "goto",
        "blackhole",
        "unreachable",
        "prohibit",
        "proto",
    ],
    later: &["tos", "dsfield", "uidrange", "l3mdev", "suppress_ifgroup", "realms", "nat", "nop"],
    hint: "write such as `from 10.0.0.0/8 iif eth0 table 100 priority 1000`",
};

/// A rule of which not all words are read yet.
struct Draft {
    ipv6: Option<bool>,
    priority: Option<u32>,
    suppress: Option<u8>,
    action: Option<RuleAction>,
    rule: Rule,
}

impl Reader<'_> {
    /// Reads a node's `rules:`.
    pub(super) fn rules(&mut self, value: &Value, at: At<'_>) -> Vec<StaticRule> {
        let texts = self.texts(value, "rules", at);
        texts.iter().filter_map(|text| self.rule(text)).collect()
    }

    fn rule(&mut self, text: &Text<'_>) -> Option<StaticRule> {
        let mut words = Words::of(text);
        let mut draft = Draft {
            ipv6: None,
            priority: None,
            suppress: None,
            action: None,
            rule: Rule::new(false, 0, RuleAction::Blackhole),
        };
        draft.rule.origin = self.origin(text.span);
        for (word, ipv6) in [("-6", true), ("-4", false)] {
            draft.ipv6 = if words.take_word(word) { Some(ipv6) } else { draft.ipv6 };
        }
        while let Some(word) = words.next() {
            self.rule_option(&mut draft, word, &mut words)?;
        }
        let Some(action) = draft.action else {
            let message = "the rule does not say what happens to the packets";
            let hint = "add `table` and its number, or `blackhole`";
            self.error(Diagnostic::error(message, Some(text.span)).hint(hint));
            return None;
        };
        if draft.suppress.is_some() && !matches!(action, RuleAction::Table(_)) {
            let message = "`suppress_prefixlength` is about routes, and the rule looks for none";
            self.error(Diagnostic::error(message, Some(text.span)).hint("add `table`"));
            return None;
        }
        let mut rule = Rule { action, suppress_prefixlength: draft.suppress, ..draft.rule };
        rule.ipv6 = draft.ipv6.unwrap_or(false);
        Some(StaticRule { priority: draft.priority, rule })
    }

    fn rule_option<'t>(
        &mut self,
        draft: &mut Draft,
        option: &'t str,
        words: &mut Words<'t>,
    ) -> Option<()> {
        let text = words.text;
        match option {
            "not" => draft.rule.not = true,
            "blackhole" => return self.rule_action(draft, RuleAction::Blackhole, option, text),
            "unreachable" => return self.rule_action(draft, RuleAction::Unreachable, option, text),
            "prohibit" => return self.rule_action(draft, RuleAction::Prohibit, option, text),
            "goto" => {
                let target = self.number_after(option, words, (1, u32::MAX))?;
                return self.rule_action(draft, RuleAction::Goto(target), option, text);
            }
            "table" | "lookup" => {
                let word = self.after(option, words)?;
                let table = self.table(word, text)?;
                return self.rule_action(draft, RuleAction::Table(table), option, text);
            }
            "from" | "to" => return self.rule_prefix(draft, option, words),
            "iif" | "dev" | "oif" => {
                let word = self.after(option, words)?;
                let dev = self.if_name(word, text.piece(word))?;
                let slot = if option == "oif" { &mut draft.rule.oif } else { &mut draft.rule.iif };
                return self.put(slot, dev, option, text);
            }
            "fwmark" => {
                let word = self.after(option, words)?;
                let mark = self.fwmark(word, text)?;
                return self.put(&mut draft.rule.fwmark, mark, option, text);
            }
            "ipproto" => {
                let word = self.after(option, words)?;
                let number = match PROTOCOLS.iter().find(|(name, _)| *name == word) {
                    Some((_, number)) => u32::from(*number),
                    None => self.number_of(word, text.piece(word), option, (1, 255))?,
                };
                let number = u8::try_from(number).unwrap_or_default();
                return self.put(&mut draft.rule.ipproto, number, option, text);
            }
            "sport" | "dport" => {
                let word = self.after(option, words)?;
                let range = self.rule_ports(word, option, text)?;
                let sport = option == "sport";
                let slot = if sport { &mut draft.rule.sport } else { &mut draft.rule.dport };
                return self.put(slot, range, option, text);
            }
            "priority" | "pref" | "preference" | "order" => {
                let priority = self.number_after(option, words, (1, u32::MAX))?;
                return self.put(&mut draft.priority, priority, option, text);
            }
            "suppress_prefixlength" | "sup_pl" => {
                let length = self.number_after(option, words, (0, 128))?;
                let length = u8::try_from(length).unwrap_or_default();
                return self.put(&mut draft.suppress, length, option, text);
            }
            "proto" | "protocol" => return self.proto_static(option, words),
            _ => {
                self.stray_word(option, text, &RULE);
                return None;
            }
        }
        Some(())
    }

    fn rule_action(
        &mut self,
        draft: &mut Draft,
        action: RuleAction,
        option: &str,
        text: &Text<'_>,
    ) -> Option<()> {
        if draft.action.replace(action).is_some() {
            let message = "the rule says twice what happens to the packets";
            self.error(Diagnostic::error(message, Some(text.piece(option))));
            return None;
        }
        Some(())
    }

    /// Reads `from` or `to` and a prefix, an address, or `all`.
    fn rule_prefix<'t>(
        &mut self,
        draft: &mut Draft,
        option: &'t str,
        words: &mut Words<'t>,
    ) -> Option<()> {
        let text = words.text;
        let word = self.after(option, words)?;
        let net = match word {
            "all" | "any" | "default" => return Some(()),
            _ if word.contains('/') => self.prefix(word, text)?,
            _ => IpNet::from(self.ip(word, text.piece(word))?),
        };
        let ipv6 = net.addr().is_ipv6();
        if draft.ipv6.replace(ipv6).is_some_and(|known| known != ipv6) {
            let message = "a rule is of one family, IPv4 or IPv6";
            let error = Diagnostic::error(message, Some(text.piece(word)));
            self.error(error.hint("write a rule for each"));
            return None;
        }
        let slot = if option == "from" { &mut draft.rule.from } else { &mut draft.rule.to };
        // All addresses are no condition.
        let net = (net.prefix_len() > 0).then_some(net);
        match net {
            Some(net) => self.put(slot, net, option, text),
            None => Some(()),
        }
    }

    /// Reads `1`, `0x10` or `0x10/0xff`.
    fn fwmark(&mut self, word: &str, text: &Text<'_>) -> Option<(u32, u32)> {
        let number = |word: &str| match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        };
        let (mark, mask) = match word.split_once('/') {
            Some((mark, mask)) => (number(mark), number(mask)),
            None => (number(word), Some(u32::MAX)),
        };
        match (mark, mask) {
            (Some(mark), Some(mask)) if mark & !mask == 0 && mask != 0 => Some((mark, mask)),
            (Some(_), Some(_)) => {
                let message = format!("the mark `{word}` has bits that its mask does not have");
                self.error(Diagnostic::error(message, Some(text.piece(word))));
                None
            }
            _ => {
                let message = format!("`fwmark` takes a number, not `{}`", shown(word));
                let error = Diagnostic::error(message, Some(text.piece(word)));
                self.error(error.hint("such as `1`, `0x10` or `0x10/0xff`"));
                None
            }
        }
    }

    /// Reads a port, or a range of them: `80` or `8000-8080`.
    fn rule_ports(&mut self, word: &str, option: &str, text: &Text<'_>) -> Option<PortRange> {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let mut port = |word: &str| {
            let port = self.number_of(word, text.piece(word), option, (1, 65535))?;
            u16::try_from(port).ok()
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            let message = format!("the ports `{word}` go backwards");
            self.error(Diagnostic::error(message, Some(text.piece(word))));
            return None;
        }
        Some((first, last))
    }
}
