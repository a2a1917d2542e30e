//! `ip tuntap` and `ip maddress`: what only ioctls and `/proc/net` can do.

use vnet_iproute::ip::Context;
use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::maddr::{self, Listing};
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::tuntap::{self, Device};
use vnet_kernel::ioctl::{self, Tun};
use vnet_netlink::errno_words;

use super::engine::Engine;
use super::{Io, help, is_colored, print};

pub(super) fn tuntap(
    engine: &mut Engine,
    options: &Options,
    command: tuntap::Command,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    match command {
        tuntap::Command::Add(device) => change_tun(engine, options, device, true),
        tuntap::Command::Delete(device) => change_tun(engine, options, device, false),
        tuntap::Command::Show => {
            if options.details {
                return Err(Failure::not_covered("`ip -details tuntap`"));
            }
            let found = engine.dump(&tuntap::question())?;
            print(engine, options, io, &found, tuntap::show);
            Ok(0)
        }
        tuntap::Command::Help => {
            io.say(help::TUNTAP);
            Ok(255)
        }
    }
}

fn change_tun(
    engine: &mut Engine,
    options: &Options,
    device: Device,
    create: bool,
) -> Result<u8, Failure> {
    let owner =
        device.user.as_deref().map(|name| id_of(name, "/etc/passwd", "user")).transpose()?;
    let group =
        device.group.as_deref().map(|name| id_of(name, "/etc/group", "group")).transpose()?;
    engine.flush();
    let done = engine.inside(options, move || {
        let tun = Tun { name: &device.name, flags: device.flags, owner, group };
        if create { tun.create() } else { tun.remove() }
    })?;
    engine.forget();
    let Err(failure) = done else { return Ok(0) };
    let line = format!("{}: {}", failure.call, errno_words(failure.errno));
    let line = Failure { errno: Some(failure.errno.raw_os_error()), ..Failure::command(1, line) };
    use rustix::io::Errno;
    Err(match failure.errno {
        Errno::BUSY => line.hint("an interface of this name is there already, or is in use"),
        Errno::INVAL if !create => line.hint("the device is of the other mode, or it is no TUN"),
        Errno::PERM | Errno::ACCESS => line.hint("this needs root, or CAP_NET_ADMIN"),
        Errno::NOENT | Errno::NODEV => {
            line.hint("this kernel has no /dev/net/tun: `modprobe tun` loads it")
        }
        _ => line,
    })
}

/// Finds the number of a user or group: a number, or a name in a file of lines `name:x:number:…`.
fn id_of(word: &str, path: &str, what: &str) -> Result<u32, Failure> {
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(word)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| Failure::parser(format!("invalid {what} \"{word}\"")))
}

pub(super) fn maddress(
    engine: &mut Engine,
    options: &Options,
    command: maddr::Command,
    io: &mut Io<'_>,
) -> Result<u8, Failure> {
    match command {
        maddr::Command::Change(change) => {
            engine.flush();
            let done = engine.inside(options, move || {
                ioctl::set_multicast(change.add, &change.dev, change.mac)
            })?;
            done.map_err(|errno| Failure {
                errno: Some(errno.raw_os_error()),
                ends: true,
                ..Failure::command(1, format!("ioctl: {}", errno_words(errno)))
            })?;
            Ok(0)
        }
        maddr::Command::Show(dev) => {
            engine.flush();
            let listing = engine.inside(options, listing)?;
            let mut out = Out::new(options, is_colored(options, io), io.is_dark);
            let mut context = Context::new(options, engine);
            maddr::show(&mut out, &listing, dev.as_deref(), &mut context);
            io.print(&out.finish());
            Ok(0)
        }
        maddr::Command::Help => {
            io.say(help::MADDRESS);
            Ok(255)
        }
    }
}

/// Reads what the kernel tells of the namespace of this thread.
fn listing() -> Listing {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
    };
    Listing { link: read("dev_mcast"), inet: read("igmp"), inet6: read("igmp6") }
}
