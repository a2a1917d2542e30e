//! What the kernel says, as `ip` and `bridge` show it: datagrams of any bytes, with any options.
#![no_main]

mod paper;

use libfuzzer_sys::fuzz_target;
use paper::Paper;
use vnet_iproute::ip::bridge::{self, Command};
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire::Object;
use vnet_iproute::ip::words::Words;
use vnet_iproute::ip::{Context, addr, monitor, netns, nexthop, tuntap};

/// Options that change what is shown.
const OPTIONS: [&str; 7] = ["-d", "-s", "-s", "-j", "-p", "-br", "-o"];

fuzz_target!(|bytes: &[u8]| {
    let how = bytes.last().copied().unwrap_or_default();
    let chosen = OPTIONS.iter().enumerate().filter(|(bit, _)| how & (1 << bit) != 0);
    let words: Vec<String> = chosen.map(|(_, word)| (*word).to_owned()).collect();
    let objects: Vec<Object> = vnet_netlink::fuzz::messages(bytes)
        .map(|message| Object { kind: message.kind, payload: message.payload.to_vec() })
        .collect();
    show(Language::Ip, &words, &objects);
    show(Language::Bridge, &words, &objects);
});

fn show(language: Language, words: &[String], objects: &[Object]) {
    let Ok((options, _)) = Options::read(words, language) else { return };
    let mut world = Paper::default();
    let mut context = Context::new(&options, &mut world);
    let mut out = Out::new(&options, true, true);
    if language == Language::Bridge {
        let all = ["monitor".to_owned(), "all".to_owned()];
        let Ok(Command::Monitor(monitor)) = bridge::read(&mut Words::new(&all), &mut context) else {
            return;
        };
        for object in objects {
            monitor.show(&mut out, object, &mut context);
            bridge::link::show(&mut out, object, &mut context);
        }
    } else {
        // There is none in JSON.
        let monitor = monitor::read(&mut Words::new(&[]), &mut context);
        for object in objects {
            if let Ok(monitor::Command::Listen(monitor)) = &monitor {
                monitor.show(&mut out, object, &mut context);
            }
            addr::show(&mut out, object, &mut context);
            nexthop::show(&mut out, object, &mut context);
            netns::show_id(&mut out, object, &mut context);
            tuntap::show(&mut out, object, &mut context);
        }
    }
    drop(out.finish());
}
