//! `ip monitor` and `ip netns monitor`: tell what changes until nobody reads any more.

use std::mem::MaybeUninit;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use vnet_iproute::ip::Context;
use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::monitor::Monitor;
use vnet_iproute::ip::options::{Options, Stamp};
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::wire::{Object, rtm};
use vnet_kernel::clock::local_time;
use vnet_kernel::pins;
use vnet_netlink::{Error, errno_words};

use super::engine::Engine;
use super::{Io, is_colored};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What is listened to, and how it is told.
pub(super) struct Listener<'a> {
    pub(super) groups: &'a [u32],
    pub(super) labels: bool,
    pub(super) all_nsid: bool,
    /// Whether what events say of interfaces is remembered; `bridge` knows what was there before.
    pub(super) remembers: bool,
    /// Returns the label of an event; `None` where it is not told.
    pub(super) label: &'a dyn Fn(&Object) -> Option<&'static str>,
    /// Tells whether an event is about what was asked for.
    pub(super) wants: &'a dyn Fn(&Object) -> bool,
    pub(super) show: &'a dyn Fn(&mut Out, &Object, &mut Context<'_>),
}

pub(super) fn run(
    engine: &mut Engine,
    options: &Options,
    monitor: &Monitor,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let listener = Listener {
        groups: &monitor.groups,
        labels: monitor.labels,
        all_nsid: monitor.all_nsid,
        remembers: true,
        label: &|event| monitor.label(event),
        wants: &|event| wants(monitor, event),
        show: &|out, event, context| monitor.show(out, event, context),
    };
    listen(engine, options, &listener, io)
}

/// Tells events as they come, until nobody reads any more.
pub(super) fn listen(
    engine: &mut Engine,
    options: &Options,
    listener: &Listener<'_>,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    let failed = |error: &Error| {
        let why = error.errno().map_or_else(|| error.to_string(), errno_words);
        Failure::command(1, format!("vnet ip can't listen: {why}"))
    };
    // Events are told as text, whatever was asked for.
    let options = &Options { json: false, ..options.clone() };
    let mut socket = engine.another_socket(options)?;
    if listener.all_nsid {
        socket
            .listen_all_nsid()
            .map_err(|error| failed(&error).hint("this needs CAP_NET_BROADCAST: run it as root"))?;
    }
    socket.subscribe(listener.groups).map_err(|error| failed(&error))?;
    engine.remember_links()?;
    loop {
        let mut events = Vec::new();
        let result = socket.receive_event(None, |event| {
            let (kind, payload) = (event.message.kind, event.message.payload.to_vec());
            events.push((Object { kind, payload }, event.nsid));
        });
        match result {
            Ok(_) => {}
            Err(Error::EventsLost) => {
                io.say("netlink receive error No buffer space available (105)");
            }
            Err(error) => return Err(failed(&error)),
        }
        for (event, nsid) in events {
            let Some(label) = (listener.label)(&event) else { continue };
            if listener.remembers {
                engine.remember(&event);
            }
            let mut text = stamp(options.timestamp);
            if listener.all_nsid {
                let from = nsid.map_or_else(|| "current".to_owned(), |id| id.to_string());
                text.push_str(&format!("[nsid {from}]"));
            }
            if listener.labels {
                text.push_str(label);
            }
            // iproute2 has said the head of an event that it passes over.
            if (listener.wants)(&event) {
                let mut out = Out::new(options, is_colored(options, io), io.is_dark);
                let mut context = Context::new(options, engine);
                (listener.show)(&mut out, &event, &mut context);
                text.push_str(&out.finish());
            }
            if !tell(io, &text) {
                return Ok(0);
            }
        }
    }
}

/// Tells whether an event is about the interface that was named.
fn wants(monitor: &Monitor, event: &Object) -> bool {
    let Some(index) = monitor.index else { return true };
    match event.kind {
        rtm::NEWLINK | rtm::DELLINK | rtm::NEWADDR | rtm::DELADDR => event.u32_at(4) == index,
        rtm::NEWNEIGH | rtm::DELNEIGH => event.u32_at(4) == index,
        rtm::NEWROUTE | rtm::DELROUTE => event.attrs(12).u32(4).is_none_or(|dev| dev == index),
        _ => true,
    }
}

/// Writes at once; tells whether somebody still reads.
fn tell(io: &mut Io<'_>, text: &str) -> bool {
    io.out.write_all(text.as_bytes()).and_then(|()| io.out.flush()).is_ok()
}

fn stamp(how: Stamp) -> String {
    let now = local_time();
    let clock = format!("{:02}:{:02}:{:02}", now.hour, now.minute, now.second);
    match how {
        Stamp::None => String::new(),
        Stamp::Short => {
            let (year, month, day, micros) = (now.year, now.month, now.day, now.micros);
            format!("[{year:04}-{month:02}-{day:02}T{clock}.{micros:06}] ")
        }
        Stamp::Long => {
            let name = |names: &'static [&str], at: u32| names.get(at as usize).unwrap_or(&"???");
            let (weekday, month) = (name(&DAYS, now.weekday), name(&MONTHS, now.month - 1));
            let (year, micros) = (now.year, now.micros);
            format!("Timestamp: {weekday} {month}{:3} {clock} {year} {micros} usec\n", now.day)
        }
    }
}

/// Tells which names of namespaces come and go.
pub(super) fn names(io: &mut Io<'_>) -> Result<u8, Failure> {
    let failed = |what: &'static str| {
        move |errno| Failure::command(1, format!("{what} failed: {}", errno_words(errno)))
    };
    let _folder =
        pins::Pins::open_or_make().map_err(|error| Failure::command(1, error.to_string()))?;
    let watch = inotify::init(CreateFlags::CLOEXEC).map_err(failed("inotify_init"))?;
    inotify::add_watch(&watch, pins::NETNS_DIR, WatchFlags::CREATE | WatchFlags::DELETE)
        .map_err(failed("inotify_add_watch"))?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(failed("read")(errno)),
        };
        let what = if event.events().contains(ReadFlags::CREATE) { "add" } else { "delete" };
        let name = event.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        if !tell(io, &format!("{what} {name}\n")) {
            return Ok(0);
        }
    }
}
