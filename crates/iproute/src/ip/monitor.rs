//! `ip monitor`: what changes, as it changes (`ip-monitor(8)`).

use super::failure::Failure;
use super::link::Selection;
use super::out::Out;
use super::wire::{Object, rtm};
use super::words::{Family, Read, Words, abbreviates};
use super::{Context, addr, link, neigh, netconf, nexthop, route, rule};

/// What is to be listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Monitor {
    /// The groups of events (`RTNLGRP_*`, linux/rtnetlink.h).
    pub groups: Vec<u32>,
    /// Whether each event is told with the kind of its object.
    pub labels: bool,
    /// Whether the events of other namespaces are told too.
    pub all_nsid: bool,
    /// The one interface, by index.
    pub index: Option<u32>,
    family: Family,
}

/// A command of `ip monitor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Listens.
    Listen(Monitor),
    /// The way it is used.
    Help,
}

/// The objects: the word, whether it may be abbreviated, and its groups of events for no family in
/// particular, IPv4 and IPv6.
struct Subject {
    word: &'static str,
    any: &'static [u32],
    inet: &'static [u32],
    inet6: &'static [u32],
}

const SUBJECTS: &[Subject] = &[
    Subject { word: "link", any: &[1], inet: &[], inet6: &[] },
    Subject { word: "address", any: &[], inet: &[5], inet6: &[9] },
    Subject { word: "route", any: &[], inet: &[7], inet6: &[11] },
    Subject { word: "neigh", any: &[3], inet: &[], inet6: &[] },
    Subject { word: "netconf", any: &[], inet: &[24], inet6: &[25] },
    Subject { word: "rule", any: &[], inet: &[8], inet6: &[19] },
    Subject { word: "nsid", any: &[28], inet: &[], inet6: &[] },
    Subject { word: "nexthop", any: &[32], inet: &[], inet6: &[] },
];

/// iproute2's words of this place in the order in which it compares them.
const WORDS: &[&str] = &[
    "file", "label", "link", "address", "route", "mroute", "prefix", "neigh", "netconf", "rule",
    "nsid", "nexthop",
];

/// Reads a command of `ip monitor`.
///
/// # Errors
/// When it can't be understood, or names what is not covered.
pub fn read(words: &mut Words<'_>, context: &mut Context<'_>) -> Read<Command> {
    let mut monitor = Monitor { family: context.options.family, ..Monitor::default() };
    let mut subjects: Vec<&Subject> = Vec::new();
    while let Some(word) = words.take() {
        let full = WORDS.iter().find(|full| abbreviates(word, full)).copied();
        match full {
            Some("label") => monitor.labels = true,
            Some(name @ ("file" | "mroute" | "prefix")) => {
                let failure = Failure::not_covered(&format!("`{name}` of `ip monitor`"));
                return Err(words.blame(failure));
            }
            Some(name) => subjects.extend(SUBJECTS.iter().find(|subject| subject.word == name)),
            None if word == "stats" => {
                return Err(words.blame(Failure::not_covered("`stats` of `ip monitor`")));
            }
            None if word == "all" => monitor.labels = true,
            None if abbreviates(word, "all-nsid") => monitor.all_nsid = true,
            None if abbreviates(word, "help") => return Ok(Command::Help),
            None if word == "dev" => {
                let name = words.value()?;
                match context.world.index(name) {
                    0 => {
                        let failure = Failure::invalid("Device does not exist\n", name);
                        return Err(words.blame(failure));
                    }
                    index => monitor.index = Some(index),
                }
            }
            None => {
                let line = format!("Argument \"{word}\" is unknown, try \"ip monitor help\".");
                let hint = format!(
                    "objects: {}",
                    SUBJECTS.iter().map(|s| s.word).collect::<Vec<_>>().join(", ")
                );
                return Err(words.blame(Failure::parser(line)).hint(hint));
            }
        }
    }
    if subjects.is_empty() {
        subjects.extend(SUBJECTS);
    }
    for subject in subjects {
        monitor.groups.extend(subject.any);
        if matches!(monitor.family, Family::Any | Family::Inet) {
            monitor.groups.extend(subject.inet);
        }
        if matches!(monitor.family, Family::Any | Family::Inet6) {
            monitor.groups.extend(subject.inet6);
        }
    }
    Ok(Command::Listen(monitor))
}

impl Monitor {
    /// Returns the label of an event; `None` where it is not told.
    #[must_use]
    pub fn label(&self, event: &Object) -> Option<&'static str> {
        match event.kind {
            rtm::NEWLINK | rtm::DELLINK => Some("[LINK]"),
            rtm::NEWADDR | rtm::DELADDR => Some("[ADDR]"),
            rtm::NEWROUTE | rtm::DELROUTE => {
                (event.u32_at(8) & route::RTM_F_CLONED == 0).then_some("[ROUTE]")
            }
            rtm::NEWNEIGH | rtm::DELNEIGH | rtm::GETNEIGH => {
                let family = self.family.number();
                (family == 0 || family == event.u8_at(0)).then_some("[NEIGH]")
            }
            rtm::NEWRULE | rtm::DELRULE => Some("[RULE]"),
            rtm::NEWNEXTHOP | rtm::DELNEXTHOP => Some("[NEXTHOP]"),
            rtm::NEWNSID | rtm::DELNSID => Some("[NSID]"),
            rtm::NEWNETCONF | rtm::DELNETCONF => Some("[NETCONF]"),
            _ => None,
        }
    }

    /// Prints an event, with its line end.
    pub fn show(&self, out: &mut Out, event: &Object, context: &mut Context<'_>) {
        match event.kind {
            rtm::NEWLINK | rtm::DELLINK => self.show_link(out, event, context),
            rtm::NEWADDR | rtm::DELADDR => addr::event(out, event, context),
            rtm::NEWROUTE | rtm::DELROUTE => {
                route::show(out, event, context, &route::Selection::default());
            }
            rtm::NEWNEIGH | rtm::DELNEIGH | rtm::GETNEIGH => {
                neigh::show(out, event, context, None);
            }
            rtm::NEWRULE | rtm::DELRULE => rule::show(out, event, context),
            rtm::NEWNEXTHOP | rtm::DELNEXTHOP => nexthop::show(out, event, context),
            rtm::NEWNETCONF | rtm::DELNETCONF => netconf::show(out, event, context),
            rtm::NEWNSID | rtm::DELNSID => super::netns::show_id(out, event, context),
            _ => {}
        }
    }

    /// Prints a link: in full if it is one, briefly said where it is IPv6's or a bridge's part.
    fn show_link(&self, out: &mut Out, event: &Object, context: &mut Context<'_>) {
        let selection = Selection {
            family: self.family,
            links_family: self.family,
            links_only: false,
            is_event: true,
            ..Selection::default()
        };
        out.open(None);
        link::full(out, event, context, &selection);
        out.text("\n");
        out.close();
    }
}
