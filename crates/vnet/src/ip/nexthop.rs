//! `ip nexthop`: showing and flushing.

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::nexthop::{self, Command, Selection};
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::wire::{Object, Request, rtm};
use vnet_netlink::Flags;

use super::engine::Engine;
use super::{Io, ensure_covered, help, print};

/// The id of a next hop (linux/nexthop.h).
const NHA_ID: u16 = 1;

fn show(
    engine: &mut Engine,
    options: &Options,
    found: &[Object],
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    ensure_covered(found, nexthop::uncovered)?;
    print(engine, options, io, found, nexthop::show);
    Ok(0)
}

pub(super) fn run(
    engine: &mut Engine,
    options: &Options,
    command: Command,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    match command {
        Command::Change(request) => engine.change(&request),
        Command::Get(request) => {
            let found = engine.get(&request)?;
            show(engine, options, &found, io)
        }
        Command::Show(said) => {
            let mut found = engine.dump(&said.question(false)).map_err(with_code_2)?;
            found.retain(|nexthop| said.wants(nexthop));
            show(engine, options, &found, io)
        }
        Command::FlushOne(request) => match engine.change(&request) {
            Err(failure) => Err(Failure { code: 1, ..failure }),
            result => result,
        },
        Command::Flush(said) => flush(engine, &said, io),
        Command::Buckets(request) => {
            let found = engine.dump(&request).map_err(with_code_2)?;
            print(engine, options, io, &found, nexthop::bucket);
            Ok(0)
        }
        Command::Bucket(request) => {
            let found = engine.get(&request)?;
            print(engine, options, io, &found, nexthop::bucket);
            Ok(0)
        }
        Command::Help => {
            io.say(help::NEXTHOP);
            Ok(255)
        }
    }
}

fn with_code_2(failure: Failure) -> Failure {
    Failure { code: 2, ..failure }
}

/// Removes next hops; of all of them groups come first, which hold the others.
fn flush(engine: &mut Engine, said: &Selection, io: &mut Io<'_>) -> Result<u8, Failure> {
    let mut count = 0;
    let rounds: &[bool] = if said.all { &[true, false] } else { &[false] };
    for groups in rounds {
        let found = engine.dump(&said.question(*groups)).map_err(|mut failure| {
            failure.line.push_str(". Failed to flush nexthops");
            with_code_2(failure)
        })?;
        for nexthop in found.iter().filter(|nexthop| said.wants(nexthop)) {
            let Some(id) = nexthop.attrs(nexthop::HEADER_BYTES).get(NHA_ID) else { continue };
            let mut request = Request::new(rtm::DELNEXTHOP, Flags::NONE, vec![0; 8]);
            request.attrs.push(vnet_iproute::ip::wire::Attr::Value(NHA_ID, id.to_vec()));
            match engine.change(&request) {
                Ok(_) => count += 1,
                Err(failure) => io.explain(&failure, &[]),
            }
        }
    }
    match count {
        0 => io.print("Nothing to flush\n"),
        count => io.print(&format!("Flushed {count} nexthops\n")),
    }
    Ok(0)
}
