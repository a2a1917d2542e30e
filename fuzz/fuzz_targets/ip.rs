//! Words of `ip`, one command a line: read or refused, whatever they are.
#![no_main]

use std::os::fd::RawFd;

use libfuzzer_sys::fuzz_target;
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::tables::Tables;
use vnet_iproute::ip::words::Words;
use vnet_iproute::ip::{
    Account, Context, Object, World, addr, link, maddr, monitor, neigh, netns, nexthop, route,
    rule, tuntap, wire,
};

/// A system in which every second thing exists.
struct Paper(Tables);

impl World for Paper {
    fn index(&mut self, name: &str) -> u32 {
        u32::try_from(name.len() % 3).unwrap_or(0)
    }

    fn interface(&mut self, index: u32) -> Option<(String, u32)> {
        (index == 1).then(|| ("lo".to_owned(), 0x49))
    }

    fn link(&mut self, _index: u32) -> Option<wire::Object> {
        None
    }

    fn netns(&mut self, name: &str) -> Option<RawFd> {
        name.len().is_multiple_of(2).then_some(0)
    }

    fn netns_of_id(&mut self, id: i32) -> Option<String> {
        (id == 1).then(|| "other".to_owned())
    }

    fn nexthop(&mut self, _id: u32) -> Option<wire::Object> {
        None
    }

    fn account(&mut self, _account: Account) -> Option<String> {
        None
    }

    fn tables(&self) -> &Tables {
        &self.0
    }
}

fuzz_target!(|text: &str| {
    let mut world = Paper(Tables::default());
    for line in text.lines() {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let words = words.strip_prefix(&["ip".to_owned()]).unwrap_or(&words);
        let Ok((options, next)) = Options::read(words, Language::default()) else { continue };
        let Some(word) = words.get(next) else { continue };
        let Ok(object) = Object::read(word) else { continue };
        let mut words = Words::new(&words[next + 1..]);
        let words = &mut words;
        let mut context = Context::new(&options, &mut world);
        let context = &mut context;
        match object {
            Object::Address => drop(addr::read(words, context)),
            Object::Route => drop(route::read(words, context)),
            Object::Rule => drop(rule::read(words, context)),
            Object::Neighbour => drop(neigh::read(words, context)),
            Object::Link => drop(link::read(words, context)),
            Object::Netns => drop(netns::read(words, &options)),
            Object::Nexthop => drop(nexthop::read(words, context)),
            Object::Tuntap => drop(tuntap::read(words)),
            Object::Maddress => drop(maddr::read(words)),
            Object::Monitor => drop(monitor::read(words, context)),
            Object::Help => {}
        }
    }
});
