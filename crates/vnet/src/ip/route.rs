//! `ip route show`, `get` and `flush`.

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::route::{self, Selection};
use vnet_iproute::ip::wire::{Request, rtm};
use vnet_iproute::ip::words::Family;
use vnet_netlink::{Flags, errno_words};

use super::engine::Engine;
use super::{Io, ensure_covered, print};

pub(super) fn show(
    engine: &mut Engine,
    options: &Options,
    selection: &Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let missing = rustix::io::Errno::NOENT.raw_os_error();
    let mut routes = match engine.dump(&selection.question()) {
        // The main table begins to exist with the first IPv4 address. In a batch iproute2 does not
        // have the kernel look so closely: there any table may be missing.
        Err(failure)
            if failure.errno == Some(missing)
                && (selection.is_main() || options.batch.is_some()) =>
        {
            Vec::new()
        }
        result => result?,
    };
    routes.retain(|route| selection.wants(route));
    ensure_covered(&routes, route::uncovered)?;
    print(engine, options, io, &routes, |out, object, context| {
        route::show(out, object, context, selection);
    });
    Ok(0)
}

pub(super) fn get(
    engine: &mut Engine,
    options: &Options,
    request: &Request,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let routes = engine.get(request)?;
    ensure_covered(&routes, route::uncovered)?;
    let answer = Selection::answer();
    print(engine, options, io, &routes, |out, object, context| {
        route::show(out, object, context, &answer);
    });
    Ok(0)
}

/// Has the kernel forget what it keeps of IPv4 routes in use (`net.ipv4.route.flush`, ip-sysctl).
fn flush_cache(engine: &mut Engine, options: &Options, io: &mut Io<'_>) -> Result<(), Failure> {
    const KEY: &str = "net.ipv4.route.flush";
    let path = "/proc/sys/net/ipv4/route/flush";
    match engine.inside(options, || vnet_kernel::sysctl::write(KEY, "-1"))? {
        Ok(()) if options.stats > 0 => io.print("*** IPv4 routing cache is flushed.\n"),
        Ok(()) => {}
        // iproute2 says so, and goes on.
        Err(error) => {
            let why = error.errno().map_or_else(|| error.to_string(), errno_words);
            io.say(&format!("Cannot open \"{path}\": {why}"));
        }
    }
    Ok(())
}

/// Removes the routes that are asked for.
pub(super) fn flush(
    engine: &mut Engine,
    options: &Options,
    selection: &Selection,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    if selection.is_cache && selection.family != Family::Inet6 {
        flush_cache(engine, options, io)?;
        if selection.family == Family::Inet {
            return Ok(0);
        }
    }
    let mut round = 0;
    loop {
        let mut routes = engine.dump(&selection.question()).map_err(|mut failure| {
            failure.line = failure.line.replace("Dump terminated", "Flush terminated");
            failure
        })?;
        routes.retain(|route| selection.wants(route));
        if routes.is_empty() {
            break;
        }
        round += 1;
        if options.stats > 1 {
            print(engine, options, io, &routes, |out, object, context| {
                route::show(out, object, context, selection);
            });
        }
        if options.stats > 0 {
            let count = routes.len();
            io.print(&format!("\n*** Round {round}, deleting {count} entries ***\n"));
        }
        let requests: Vec<Request> = routes
            .into_iter()
            .map(|route| Request::new(rtm::DELROUTE, Flags::NONE, route.payload))
            .collect();
        let gone = rustix::io::Errno::SRCH;
        let refusals = engine.change_all(&requests)?;
        if let Some(refusal) = refusals.iter().find(|refusal| refusal.errno != gone) {
            return Err(Failure::refused(refusal));
        }
    }
    if options.stats > 0 {
        match round {
            0 if !selection.is_cache || selection.family == Family::Inet6 => {
                io.print("Nothing to flush.\n");
            }
            1 => io.print("*** Flush is complete after 1 round ***\n"),
            _ => io.print(&format!("*** Flush is complete after {round} rounds ***\n")),
        }
    }
    Ok(0)
}
