//! `nexthops:`, in iproute2's words.

use vnet_model::topology::{Leg, StaticNexthop, StaticNexthopKind, Via};

use super::leg::LEG;
use super::words::{Language, Words};
use super::{At, Reader, Text};
use crate::report::Diagnostic;
use crate::syntax::Value;

/// The words of a nexthop object (`ip-nexthop(8)`).
const NEXTHOP: Language = Language {
    of: "a nexthop",
    words: &["id", "via", "dev", "onlink", "encap", "blackhole", "group", "proto"],
    later: &["fdb", "type", "buckets", "idle_timer", "unbalanced_timer", "hw_stats"],
    hint: "write such as `id 1 via 10.0.0.2 dev eth0`, or `id 10 group 1/2`",
};

impl Reader<'_> {
    /// Reads a node's `nexthops:`.
    pub(super) fn nexthops(&mut self, value: &Value, at: At<'_>) -> Vec<StaticNexthop> {
        let texts = self.texts(value, "nexthops", at);
        texts.iter().filter_map(|text| self.nexthop(text)).collect()
    }

    fn nexthop(&mut self, text: &Text<'_>) -> Option<StaticNexthop> {
        let mut words = Words::of(text);
        let ipv6 = words.take_word("-6");
        let (mut id, mut group, mut blackhole) = (None, None, false);
        let mut leg = Leg::default();
        while let Some(option) = words.next() {
            match option {
                "id" => {
                    let number = self.number_after(option, &mut words, (1, u32::MAX))?;
                    self.put(&mut id, number, option, text)?;
                }
                "group" => {
                    let word = self.after(option, &mut words)?;
                    let members = self.group_members(word, text)?;
                    self.put(&mut group, members, option, text)?;
                }
                "blackhole" => blackhole = true,
                "proto" | "protocol" => self.proto_static(option, &mut words)?,
                _ if LEG.contains(&option) => self.leg_option(&mut leg, option, &mut words)?,
                _ => {
                    self.stray_word(option, text, &NEXTHOP);
                    return None;
                }
            }
        }
        let is_leg = leg != Leg::default();
        let ways = [group.is_some(), blackhole, is_leg].into_iter().filter(|is| *is).count();
        let stray = leg.onlink && !matches!(leg.via, Some(Via::Addr(_)));
        let complaint = match id {
            None => "the nexthop has no `id`",
            _ if ways == 0 => "the nexthop leads nowhere",
            _ if ways > 1 => "the nexthop says in several ways where it leads",
            _ if stray => "`onlink` is about a gateway's address, and there is none",
            _ => "",
        };
        if !complaint.is_empty() {
            let error = Diagnostic::error(complaint, Some(text.span));
            self.error(error.hint(NEXTHOP.hint));
            return None;
        }
        let kind = match group {
            Some(members) => StaticNexthopKind::Group(members),
            None if blackhole => StaticNexthopKind::Blackhole,
            None => StaticNexthopKind::Leg(leg),
        };
        Some(StaticNexthop { id: id?, ipv6, kind, origin: self.origin(text.span) })
    }

    /// Reads the members of a group, each with its weight: `1/2,3`.
    fn group_members(&mut self, word: &str, text: &Text<'_>) -> Option<Vec<(u32, u16)>> {
        let mut members: Vec<(u32, u16)> = Vec::new();
        for member in word.split('/') {
            let (id, weight) = member.split_once(',').unwrap_or((member, "1"));
            let id = self.number_of(id, text.piece(id), "group", (1, u32::MAX))?;
            let weight = self.number_of(weight, text.piece(member), "weight", (1, 256))?;
            if members.iter().any(|(other, _)| *other == id) {
                let message = format!("nexthop {id} is twice in the group");
                self.error(Diagnostic::error(message, Some(text.piece(member))));
                return None;
            }
            members.push((id, u16::try_from(weight).unwrap_or(1)));
        }
        Some(members)
    }
}
