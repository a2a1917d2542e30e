//! Words of `ip` and of `bridge`, one command a line: read or refused, whatever they are.
#![no_main]

mod paper;

use libfuzzer_sys::fuzz_target;
use paper::Paper;
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::words::Words;
use vnet_iproute::ip::{
    Context, Object, addr, bridge, link, maddr, monitor, neigh, netns, nexthop, route, rule, tuntap,
};

fuzz_target!(|text: &str| {
    let mut world = Paper::default();
    for line in text.lines() {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (language, words) = match words.split_first() {
            Some((first, words)) if first == "bridge" => (Language::Bridge, words),
            Some((first, words)) if first == "ip" => (Language::Ip, words),
            _ => (Language::Ip, words.as_slice()),
        };
        let Ok((options, next)) = Options::read(words, language) else { continue };
        let Some(word) = words.get(next) else { continue };
        let mut context = Context::new(&options, &mut world);
        let context = &mut context;
        if language == Language::Bridge {
            drop(bridge::read(&mut Words::new(&words[next..]), context));
            continue;
        }
        let Ok(object) = Object::read(word) else { continue };
        let words = &mut Words::new(&words[next + 1..]);
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
