//! TUN and TAP devices: only shown here, they are made through `/dev/net/tun` (drivers/net/tun.c).

use super::super::super::out::Out;
use super::super::super::wire::Attrs;
use super::super::super::{Account, World};
use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "tun",
    read: super::read_nothing,
    print: Some(print),
    print_port: None,
    read_port: None,
};

const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_GROUP: u16 = 2;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_PI: u16 = 4;
const IFLA_TUN_VNET_HDR: u16 = 5;
const IFLA_TUN_PERSIST: u16 = 6;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
const IFLA_TUN_NUM_DISABLED_QUEUES: u16 = 9;

fn print(out: &mut Out, data: &Attrs<'_>, world: &mut dyn World) {
    match data.u8(IFLA_TUN_TYPE) {
        Some(1) => out.str("type", "type {} ", "tun"),
        Some(2) => out.str("type", "type {} ", "tap"),
        _ => {}
    }
    for (attr, key, format) in
        [(IFLA_TUN_PI, "pi", "pi {} "), (IFLA_TUN_VNET_HDR, "vnet_hdr", "vnet_hdr {} ")]
    {
        if let Some(on) = data.u8(attr) {
            out.on_off(key, format, on != 0);
        }
    }
    if data.u8(IFLA_TUN_MULTI_QUEUE) == Some(0) {
        out.json(|json| {
            json.name("multi_queue");
            json.plain(false);
        });
    } else {
        out.flag("multi_queue", "multi_queue ");
        for (attr, key, format) in [
            (IFLA_TUN_NUM_QUEUES, "numqueues", "numqueues {} "),
            (IFLA_TUN_NUM_DISABLED_QUEUES, "numdisabled", "numdisabled {} "),
        ] {
            if let Some(count) = data.u32(attr) {
                out.num(key, format, count);
            }
        }
    }
    if let Some(on) = data.u8(IFLA_TUN_PERSIST) {
        out.on_off("persist", "persist {} ", on != 0);
    }
    for (attr, key, format) in
        [(IFLA_TUN_OWNER, "user", "user {} "), (IFLA_TUN_GROUP, "group", "group {} ")]
    {
        let Some(id) = data.u32(attr) else { continue };
        let account = if attr == IFLA_TUN_OWNER { Account::User(id) } else { Account::Group(id) };
        match world.account(account) {
            Some(name) => out.str(key, format, &name),
            None => out.num(key, format, id),
        }
    }
}
