//! `ip link show`, `ip address show` and `ip address flush`.

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::link::{self, Selection};
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire::{Object, Request, rtm};
use vnet_iproute::ip::words::Family;
use vnet_iproute::ip::{Context, World as _, addr};
use vnet_netlink::Flags;

use super::engine::Engine;
use super::{Io, is_colored};

/// How often addresses are looked for before a flush gives up.
const FLUSH_ROUNDS_MAX: u32 = 10;

/// Shows interfaces, and their addresses unless links alone are asked for.
pub(super) fn links(
    engine: &mut Engine,
    options: &Options,
    selection: &Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let question = selection.question(options.stats > 0);
    let links = match selection.index {
        Some(_) => engine.get(&question)?,
        None => engine.dump_as(&question, |link| link::copy_shown(link, options.details))?,
    };
    let links_only = selection.family == Family::Link;
    let addresses = if links_only { Vec::new() } else { addresses(engine, selection)? };
    let mut out = Out::new(options, is_colored(options, io), io.is_dark);
    // What stands on another of them names it without asking once more.
    links.iter().for_each(|link| engine.remember(link));
    let mut context = Context::new(options, engine);
    for link in &links {
        let name = link::name(link).unwrap_or_default();
        if !selection.wants_link(link.u32_at(4), &name, &addresses) {
            continue;
        }
        out.open(None);
        if selection.wants_settings(link) {
            one(&mut out, (link, &name), &addresses, selection, &mut context);
        }
        out.close();
        out.hand_over(|text| io.print(text));
    }
    io.print(&out.finish());
    Ok(0)
}

fn one(
    out: &mut Out,
    (link, name): (&Object, &str),
    addresses: &[Object],
    selection: &Selection,
    context: &mut Context<'_>,
) {
    let options = context.options;
    let links_only = selection.family == Family::Link;
    if options.brief {
        link::brief(out, link, context, selection);
    } else if links_only || !(options.oneline || selection.label.is_some()) {
        link::full(out, link, context, selection);
        out.text("\n");
    }
    if !links_only {
        out.open_array("addr_info", "");
        let index = link.u32_at(4);
        for address in addresses.iter().filter(|address| address.u32_at(4) == index) {
            if selection.wants_address(address, name) {
                addr::show(out, address, context);
            } else {
                // iproute2 leaves an empty object for what it passes over.
                out.open(None);
                out.close();
            }
        }
        out.close_array("");
        if !options.brief && options.stats > 0 {
            link::counters(out, link, options.stats);
            out.next_line();
        }
    }
    if options.brief {
        out.text("\n");
    }
}

/// Asks for the addresses.
fn addresses(engine: &mut Engine, selection: &Selection) -> Result<Vec<Object>, Failure> {
    let mut header = vec![selection.family.number(), 0, 0, 0];
    header.extend_from_slice(&selection.index.unwrap_or(0).to_ne_bytes());
    engine.dump(&Request::new(rtm::GETADDR, Flags::NONE, header))
}

/// Removes the addresses that are asked for.
pub(super) fn flush(
    engine: &mut Engine,
    options: &Options,
    selection: &Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    for round in 0..FLUSH_ROUNDS_MAX {
        let found = addresses(engine, selection)?;
        let mut wanted = Vec::new();
        for address in &found {
            let index = address.u32_at(4);
            let here = selection.index.is_none_or(|wanted| wanted == index);
            if here && selection.wants_address(address, &engine.name(index)) {
                wanted.push(address);
            }
        }
        if options.stats > 1 {
            let mut out = Out::new(options, is_colored(options, io), io.is_dark);
            let mut context = Context::new(options, engine);
            wanted.iter().for_each(|address| addr::event(&mut out, address, &mut context));
            io.print(&out.finish());
        }
        let requests: Vec<Request> = wanted
            .into_iter()
            .map(|address| Request::new(rtm::DELADDR, Flags::NONE, address.payload.clone()))
            .collect();
        if requests.is_empty() {
            if options.stats > 0 && round == 0 {
                io.print("Nothing to flush.\n");
            } else if options.stats > 0 {
                let plural = if round == 1 { "" } else { "s" };
                io.print(&format!("*** Flush is complete after {round} round{plural} ***\n"));
            }
            return Ok(0);
        }
        if options.stats > 0 {
            let count = requests.len();
            io.print(&format!("\n*** Round {}, deleting {count} addresses ***\n", round + 1));
        }
        // One that is gone went with its primary address.
        let gone = rustix::io::Errno::ADDRNOTAVAIL;
        let refusals = engine.change_all(&requests)?;
        if let Some(refusal) = refusals.iter().find(|refusal| refusal.errno != gone) {
            return Err(Failure::refused(refusal));
        }
    }
    let line = format!("*** Flush remains incomplete after {FLUSH_ROUNDS_MAX} rounds. ***");
    Err(Failure::command(1, line))
}
