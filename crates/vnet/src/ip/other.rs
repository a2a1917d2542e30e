//! `ip neighbour` and `ip rule`: showing and flushing.

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::wire::{Object, Request, rtm};
use vnet_iproute::ip::{neigh, rule};
use vnet_netlink::Flags;

use super::engine::Engine;
use super::{Io, print};

/// The state of a neighbour that did not answer (`NUD_FAILED`, linux/neighbour.h).
const NUD_FAILED: u16 = 0x20;

/// How often neighbours are looked for before a flush gives up.
const FLUSH_ROUNDS_MAX: u32 = 10;

pub(super) fn neighbours(
    engine: &mut Engine,
    options: &Options,
    said: &neigh::Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let mut found = engine.dump(&said.question())?;
    found.retain(|neighbour| said.wants(neighbour));
    print(engine, options, io, &found, |out, object, context| {
        neigh::show(out, object, context, Some(said));
    });
    Ok(0)
}

pub(super) fn neighbour(
    engine: &mut Engine,
    options: &Options,
    request: &Request,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let found = engine.get(request)?;
    // iproute2 shows this one as text, whatever was asked for.
    let options = &Options { json: false, ..options.clone() };
    print(engine, options, io, &found, |out, object, context| {
        neigh::show(out, object, context, None);
    });
    Ok(0)
}

pub(super) fn rules(
    engine: &mut Engine,
    options: &Options,
    said: &rule::Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let mut found = engine.dump(&said.question())?;
    found.retain(|rule| said.wants(rule));
    print(engine, options, io, &found, rule::show);
    Ok(0)
}

pub(super) fn flush_neighbours(
    engine: &mut Engine,
    options: &Options,
    mut said: neigh::Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    for round in 0..FLUSH_ROUNDS_MAX {
        let mut found = engine.dump(&said.question())?;
        found.retain(|neighbour| said.wants(neighbour));
        if found.is_empty() {
            match (options.stats, round) {
                (0, _) => {}
                (_, 0) => io.print("Nothing to flush.\n"),
                (_, 1) => io.print("*** Flush is complete after 1 round ***\n"),
                _ => io.print(&format!("*** Flush is complete after {round} rounds ***\n")),
            }
            return Ok(0);
        }
        if options.stats > 1 {
            print(engine, options, io, &found, |out, object, context| {
                neigh::show(out, object, context, Some(&said));
            });
        }
        if options.stats > 0 {
            let count = found.len();
            io.print(&format!("\n*** Round {}, deleting {count} entries ***\n", round + 1));
        }
        delete_all(engine, rtm::DELNEIGH, found)?;
        // What was in use stays a while as one that failed.
        said.states &= !NUD_FAILED;
    }
    let line = format!("*** Flush not completed bailing out after {FLUSH_ROUNDS_MAX} rounds");
    Err(Failure::command(1, line))
}

pub(super) fn flush_rules(engine: &mut Engine, said: &rule::Selection) -> Result<u8, Failure> {
    let mut found = engine.dump(&said.question())?;
    found.retain(|rule| said.flushes(rule));
    delete_all(engine, rtm::DELRULE, found)?;
    Ok(0)
}

/// Removes objects; those that are gone meanwhile are passed over.
fn delete_all(engine: &mut Engine, kind: u16, found: Vec<Object>) -> Result<(), Failure> {
    let requests: Vec<Request> =
        found.into_iter().map(|object| Request::new(kind, Flags::NONE, object.payload)).collect();
    let gone = rustix::io::Errno::NOENT;
    let refusals = engine.change_all(&requests)?;
    match refusals.iter().find(|refusal| refusal.errno != gone) {
        Some(refusal) => Err(Failure::refused(refusal)),
        None => Ok(()),
    }
}
