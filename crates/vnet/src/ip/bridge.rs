//! `bridge`: what is shown, changed and listened to.

use vnet_iproute::ip::Context;
use vnet_iproute::ip::bridge::{self, Command, fdb, link, mdb};
use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire::Object;
use vnet_iproute::ip::words::Words;

use super::engine::Engine;
use super::monitor::{Listener, listen};
use super::{Io, help, is_colored, print};

/// Does one command, from its object on.
pub(super) fn run(
    engine: &mut Engine,
    options: &Options,
    words: &[String],
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let mut context = Context::new(options, engine);
    match bridge::read(&mut Words::new(words), &mut context)? {
        Command::Change(request) => engine.change(&request).map_err(|failure| with(255, failure)),
        Command::Links(index) => {
            let mut found = engine.dump(&link::question()).map_err(|failure| with(1, failure))?;
            found.retain(|link| index.is_none_or(|index| index == link.u32_at(4)));
            print(engine, options, io, &found, link::show);
            Ok(0)
        }
        Command::Fdb(said) => {
            let mut found = engine.dump(&said.question()).map_err(|failure| with(1, failure))?;
            found.retain(|entry| said.wants(entry));
            print(engine, options, io, &found, |out, entry, context| {
                fdb::show(out, entry, context, &said);
            });
            Ok(0)
        }
        Command::FdbGet(request, said) => {
            let mut found = engine.get(&request).map_err(|failure| with(254, failure))?;
            found.retain(|entry| said.wants(entry));
            print(engine, options, io, &found, |out, entry, context| {
                fdb::show(out, entry, context, &said);
            });
            Ok(0)
        }
        Command::Vlans(said) => {
            let question = said.question(&context);
            let mut out = Out::new(options, is_colored(options, io), io.is_dark);
            said.head(&mut out);
            let found = match engine.dump(&question) {
                Ok(found) => found,
                Err(failure) => {
                    // The head of the table was said by then.
                    io.print(if options.json { "[" } else { "" });
                    io.print(&if options.json { String::new() } else { out.finish() });
                    return Err(with(1, failure));
                }
            };
            let mut context = Context::new(options, engine);
            said.show(&mut out, &found, &mut context);
            io.print(&out.finish());
            Ok(0)
        }
        Command::Mdb(said) => {
            let mut found = engine.dump(&mdb::question()).map_err(|failure| with(1, failure))?;
            found.retain(|bridge| said.wants(bridge));
            let mut out = Out::new(options, is_colored(options, io), io.is_dark);
            let mut context = Context::new(options, engine);
            mdb::show(&mut out, &found, &mut context, &said);
            io.print(&out.finish());
            Ok(0)
        }
        Command::Monitor(monitor) => {
            let listener = Listener {
                groups: &monitor.groups,
                labels: monitor.labels,
                all_nsid: false,
                remembers: false,
                label: &|event: &Object| monitor.label(event),
                wants: &|_: &Object| true,
                show: &|out: &mut Out, event: &Object, context: &mut Context<'_>| {
                    monitor.show(out, event, context);
                },
            };
            listen(engine, options, &listener, io)
        }
        Command::Help => {
            io.say(help::BRIDGE);
            Ok(255)
        }
    }
}

fn with(code: u8, failure: Failure) -> Failure {
    Failure { code, ..failure }
}
