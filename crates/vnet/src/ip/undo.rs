//! What a namespace looked like before a batch, and how it is made so again.
//!
//! Restored are the configuration of links, addresses, routes, rules and permanent neighbours; not
//! the index of anything that was made anew, nor what the kernel learned meanwhile, nor that an
//! interface was never up (the first time gives it its queueing discipline). What else could not be
//! restored is refused before the batch begins ([`cannot_be_undone`]).

use std::collections::{BTreeMap, BTreeSet};

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::wire::{Attr, Attrs, Object, Request, ifinfomsg, rtm};
use vnet_netlink::Flags;
use vnet_netlink::attr::Attributes;

use super::engine::Engine;

mod refused;

pub(super) use refused::cannot_be_undone;

/// The attributes of a link that can be set back, and are compared (linux/if_link.h).
const LINK_ATTRS: &[u16] =
    &[ADDRESS, BROADCAST, MTU, MASTER, TXQLEN, LINKMODE, ALIAS, GROUP, GSO_MAX_SEGS, GSO_MAX_SIZE];
const ADDRESS: u16 = 1;
const BROADCAST: u16 = 2;
const IFNAME: u16 = 3;
const MTU: u16 = 4;
const MASTER: u16 = 10;
const TXQLEN: u16 = 13;
const LINKMODE: u16 = 17;
const LINKINFO: u16 = 18;
const ALIAS: u16 = 20;
const AF_SPEC: u16 = 26;
const GROUP: u16 = 27;
const EXT_MASK: u16 = 29;
const GSO_MAX_SEGS: u16 = 40;
const GSO_MAX_SIZE: u16 = 41;
const PROP_LIST: u16 = 52;

/// The flags of a link that a person sets: UP, NOTRAILERS, NOARP, PROMISC, ALLMULTI, MULTICAST, DYNAMIC.
const FLAGS: u32 = 0x1 | 0x20 | 0x80 | 0x100 | 0x200 | 0x1000 | 0x8000;

const IFA_CACHEINFO: u16 = 6;
const RTA_NH_ID: u16 = 30;
/// What a route says of the next hop that it goes by: OIF, GATEWAY, MULTIPATH, VIA.
const RTA_OF_NEXTHOP: [u16; 4] = [4, 5, 9, 18];
const NHA_ID: u16 = 1;
const NHA_ENCAP: u16 = 8;
const NHA_FDB: u16 = 11;
const RTA_CACHEINFO: u16 = 12;
const NDA_CACHEINFO: u16 = 3;
const NDA_PROBES: u16 = 4;
const NUD_PERMANENT: u16 = 0x80;
const NTF_PROXY: u8 = 8;
const RTPROT_KERNEL: u8 = 2;
const RTN_UNICAST: u8 = 1;
const RTM_F_CLONED: u32 = 0x200;

/// How often differences are looked for: what one round restores may bring back more by itself.
const ROUNDS_MAX: usize = 10;

/// A kind of object besides links: how it is asked for, made and removed.
struct Kind {
    get: u16,
    /// Asks for proxied neighbours, which are listed apart.
    proxies: bool,
    new: u16,
    del: u16,
    header_bytes: usize,
    /// What is a matter of time, not of configuration.
    ignored: &'static [u16],
    flags: Flags,
}

const KINDS: [Kind; 6] = [
    Kind {
        get: rtm::GETADDR,
        proxies: false,
        new: rtm::NEWADDR,
        del: rtm::DELADDR,
        header_bytes: 8,
        ignored: &[IFA_CACHEINFO],
        flags: Flags::CREATE,
    },
    // Before routes, which may go by them.
    Kind {
        get: rtm::GETNEXTHOP,
        proxies: false,
        new: rtm::NEWNEXTHOP,
        del: rtm::DELNEXTHOP,
        header_bytes: 8,
        ignored: &[],
        flags: Flags::CREATE,
    },
    Kind {
        get: rtm::GETROUTE,
        proxies: false,
        new: rtm::NEWROUTE,
        del: rtm::DELROUTE,
        header_bytes: 12,
        ignored: &[RTA_CACHEINFO],
        flags: Flags::CREATE,
    },
    Kind {
        get: rtm::GETRULE,
        proxies: false,
        new: rtm::NEWRULE,
        del: rtm::DELRULE,
        header_bytes: 12,
        ignored: &[],
        flags: Flags::CREATE,
    },
    Kind {
        get: rtm::GETNEIGH,
        proxies: false,
        new: rtm::NEWNEIGH,
        del: rtm::DELNEIGH,
        header_bytes: 12,
        ignored: &[NDA_CACHEINFO, NDA_PROBES],
        flags: Flags::CREATE,
    },
    Kind {
        get: rtm::GETNEIGH,
        proxies: true,
        new: rtm::NEWNEIGH,
        del: rtm::DELNEIGH,
        header_bytes: 12,
        ignored: &[],
        flags: Flags::CREATE,
    },
];

/// A namespace as it was.
#[derive(Debug)]
pub(super) struct Snapshot {
    links: BTreeMap<u32, Object>,
    objects: Vec<Vec<Object>>,
}

impl Snapshot {
    pub(super) fn take(engine: &mut Engine) -> Result<Self, Failure> {
        let links = links(engine)?;
        let objects = KINDS.iter().map(|kind| objects(engine, kind)).collect::<Result<_, _>>()?;
        Ok(Self { links, objects })
    }

    /// Makes the namespace as it was; the error says what still differs.
    pub(super) fn restore(&self, engine: &mut Engine) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..ROUNDS_MAX {
            let requests = self.differences(engine).map_err(|failure| failure.line)?;
            if requests.is_empty() {
                engine.forget();
                return Ok(());
            }
            for request in requests {
                // What is gone or there already shows in the next round.
                if let Err(failure) = engine.change(&request) {
                    last = failure.line;
                }
            }
        }
        engine.forget();
        Err(last)
    }

    /// Returns what is to be done: new links removed, old ones set back, then all the rest.
    fn differences(&self, engine: &mut Engine) -> Result<Vec<Request>, Failure> {
        let mut requests = Vec::new();
        let now = links(engine)?;
        for index in now.keys().filter(|index| !self.links.contains_key(index)) {
            let header = ifinfomsg(0, *index, 0, 0);
            requests.push(Request::new(rtm::DELLINK, Flags::NONE, header));
        }
        for (index, old) in &self.links {
            if let Some(now) = now.get(index) {
                requests.extend(set_back(*index, old, now));
            }
        }
        // Links first: addresses and routes come and go with them.
        if !requests.is_empty() {
            return Ok(requests);
        }
        for (kind, old) in KINDS.iter().zip(&self.objects) {
            let now = objects(engine, kind)?;
            let key = |object: &Object| essence(object, kind);
            let had: BTreeSet<_> = old.iter().map(key).collect();
            let has: BTreeSet<_> = now.iter().map(key).collect();
            let added = now.iter().filter(|object| !had.contains(&key(object)));
            let request = |what: u16, flags: Flags, object: &Object| {
                Request::new(what, flags, as_request(what, object))
            };
            requests.extend(added.map(|object| request(kind.del, Flags::NONE, object)));
            let missing = old.iter().filter(|object| !has.contains(&key(object)));
            requests.extend(missing.map(|object| request(kind.new, kind.flags, object)));
            if !requests.is_empty() {
                return Ok(requests);
            }
        }
        Ok(requests)
    }
}

fn links(engine: &mut Engine) -> Result<BTreeMap<u32, Object>, Failure> {
    let mut request = Request::new(rtm::GETLINK, Flags::NONE, ifinfomsg(0, 0, 0, 0));
    request.attrs.push(Attr::u32(EXT_MASK, vnet_iproute::ip::link::SKIP_STATS));
    let found = engine.dump(&request)?;
    Ok(found.into_iter().map(|link| (link.u32_at(4), link)).collect())
}

fn objects(engine: &mut Engine, kind: &Kind) -> Result<Vec<Object>, Failure> {
    let mut header = vec![0; kind.header_bytes];
    if kind.proxies {
        header[10] = NTF_PROXY;
    }
    let mut found = engine.dump(&Request::new(kind.get, Flags::NONE, header))?;
    found.retain(|object| match kind.get {
        // Local and broadcast routes the kernel makes itself, of addresses and links.
        rtm::GETROUTE => {
            let is_derived = object.u8_at(5) == RTPROT_KERNEL && object.u8_at(7) != RTN_UNICAST;
            !is_derived && object.u32_at(8) & RTM_F_CLONED == 0
        }
        rtm::GETNEIGH => kind.proxies || object.u16_at(8) & NUD_PERMANENT != 0,
        _ => true,
    });
    Ok(found)
}

/// Returns what asks for an object as it was told, or for its removal.
fn as_request(what: u16, object: &Object) -> Vec<u8> {
    /// `RTNH_F_ONLINK`, the one flag that may be asked for.
    const ONLINK: u32 = 4;
    let mut payload = object.payload.clone();
    match what {
        // A route by a next hop says nothing of where that leads.
        rtm::NEWROUTE if object.attrs(12).get(RTA_NH_ID).is_some() => {
            payload = with_attrs_of(&payload, 12, |kind| !RTA_OF_NEXTHOP.contains(&kind));
        }
        // The scope and the state of a next hop can't be set (`rtm_to_nh_config`, net/ipv4/nexthop.c).
        rtm::NEWNEXTHOP => {
            let settable = |kind: u16| (NHA_ID..=NHA_ENCAP).contains(&kind) || kind == NHA_FDB;
            payload = with_attrs_of(&payload, 8, settable);
            payload[1] = 0;
            payload[4..8].copy_from_slice(&(object.u32_at(4) & ONLINK).to_ne_bytes());
        }
        // It goes by its id alone.
        rtm::DELNEXTHOP => {
            let id = object.attrs(8).u32(NHA_ID).unwrap_or_default();
            payload = vec![0; 8];
            Attr::write_all(&[Attr::u32(NHA_ID, id)], &mut payload);
        }
        _ => {}
    }
    payload
}

/// Returns a message with some of its attributes.
fn with_attrs_of(payload: &[u8], header_bytes: usize, wanted: impl Fn(u16) -> bool) -> Vec<u8> {
    let (header, rest) = payload.split_at_checked(header_bytes).unwrap_or((payload, &[]));
    let attrs: Vec<Attr> = Attributes::new(rest)
        .map_while(Result::ok)
        .filter(|attr| wanted(attr.kind))
        .map(|attr| Attr::Value(attr.kind, attr.value.to_vec()))
        .collect();
    let mut payload = header.to_vec();
    Attr::write_all(&attrs, &mut payload);
    payload
}

/// Returns what makes an object what it is: without times.
fn essence(object: &Object, kind: &Kind) -> (Vec<u8>, Vec<(u16, Vec<u8>)>) {
    let header = object.payload.get(..kind.header_bytes).unwrap_or_default().to_vec();
    let rest = object.payload.get(kind.header_bytes..).unwrap_or_default();
    let attrs = Attributes::new(rest)
        .map_while(Result::ok)
        .filter(|attr| !kind.ignored.contains(&attr.kind))
        .map(|attr| (attr.kind, attr.value.to_vec()));
    (header, attrs.collect())
}

/// Returns what sets a link back.
fn set_back(index: u32, old: &Object, now: &Object) -> Vec<Request> {
    let bytes = vnet_iproute::ip::link::HEADER_BYTES;
    let (had, has) = (old.attrs(bytes), now.attrs(bytes));
    let mut requests = Vec::new();
    let (flags, now_flags) = (old.u32_at(8) & FLAGS, now.u32_at(8) & FLAGS);
    let request = |flags: u32, change: u32, attrs: Vec<Attr>| Request {
        kind: rtm::NEWLINK,
        flags: Flags::NONE,
        header: ifinfomsg(0, index, flags, change),
        attrs,
    };
    if had.get(IFNAME) != has.get(IFNAME) {
        // Not every kernel renames an interface that is up.
        requests.push(request(0, 1, Vec::new()));
        let name = Attr::Value(IFNAME, had.get(IFNAME).unwrap_or_default().to_vec());
        requests.push(request(flags, FLAGS, vec![name]));
    }
    for attr in LINK_ATTRS {
        if had.get(*attr) != has.get(*attr) {
            // 0 is no master, and an empty alias is none.
            let none: &[u8] = if *attr == MASTER { &[0; 4] } else { &[] };
            let value = had.get(*attr).unwrap_or(none).to_vec();
            requests.push(request(0, 0, vec![Attr::Value(*attr, value)]));
        }
    }
    if flags != now_flags {
        requests.push(request(flags, flags ^ now_flags, Vec::new()));
    }
    requests.extend(kind_back(&had, &has).map(|info| request(0, 0, vec![info])));
    requests.extend(address_mode_back(&had, &has).map(|spec| request(0, 0, vec![spec])));
    requests.extend(names_back(index, &had, &has));
    requests
}

/// Returns what sets back the settings that only this kind of link has, or only ports of this kind
/// of master.
fn kind_back(had: &Attrs<'_>, has: &Attrs<'_>) -> Option<Attr> {
    const INFO_KIND: u16 = 1;
    const INFO_DATA: u16 = 2;
    const INFO_SLAVE_KIND: u16 = 4;
    const INFO_SLAVE_DATA: u16 = 5;
    let (had, has) = (had.nested(LINKINFO)?, has.nested(LINKINFO)?);
    let changed = |kind_at: u16, data_at: u16, is_state: fn(&str, u16) -> bool| {
        let kind = had.text(kind_at).filter(|kind| has.text(kind_at).as_ref() == Some(kind))?;
        let (old, now) = (had.get(data_at)?, has.nested(data_at)?);
        let changed: Vec<Attr> = Attributes::new(old)
            .map_while(Result::ok)
            .filter(|attr| !is_state(&kind, attr.kind) && now.get(attr.kind) != Some(attr.value))
            .map(|attr| Attr::Value(attr.kind, attr.value.to_vec()))
            .collect();
        let kind = Attr::Value(kind_at, kind.into_bytes());
        (!changed.is_empty()).then(|| vec![kind, Attr::Nest(data_at, changed)])
    };
    // Timers and what the spanning tree protocol finds out can't be set (net/bridge/br_netlink.c).
    let own = changed(INFO_KIND, INFO_DATA, |kind, attr| {
        kind == "bridge" && matches!(attr, 10..=19 | 47..)
    });
    let as_port = changed(INFO_SLAVE_KIND, INFO_SLAVE_DATA, |kind, attr| {
        kind == "bridge" && matches!(attr, 1 | 13..=24 | 26 | 35 | 36 | 38 | 41)
    });
    let parts: Vec<Attr> = own.into_iter().chain(as_port).flatten().collect();
    (!parts.is_empty()).then_some(Attr::Nest(LINKINFO, parts))
}

/// Returns what sets back how IPv6 addresses are generated.
fn address_mode_back(had: &Attrs<'_>, has: &Attrs<'_>) -> Option<Attr> {
    const AF_INET6: u16 = 10;
    const ADDR_GEN_MODE: u16 = 8;
    let mode = |attrs: &Attrs<'_>| attrs.nested(AF_SPEC)?.nested(AF_INET6)?.u8(ADDR_GEN_MODE);
    let (old, now) = (mode(had)?, mode(has)?);
    let mode = Attr::Nest(AF_INET6, vec![Attr::u8(ADDR_GEN_MODE, old)]);
    (old != now).then(|| Attr::Nest(AF_SPEC, vec![mode]))
}

/// Returns what takes further names away or gives them back.
fn names_back(index: u32, had: &Attrs<'_>, has: &Attrs<'_>) -> Vec<Request> {
    let names = |attrs: &Attrs<'_>| -> BTreeSet<Vec<u8>> {
        let list = attrs.get(PROP_LIST).unwrap_or_default();
        Attributes::new(list).map_while(Result::ok).map(|attr| attr.value.to_vec()).collect()
    };
    let (old, now) = (names(had), names(has));
    let request = |kind: u16, flags: Flags, name: &Vec<u8>| {
        let name = Attr::Value(vnet_iproute::ip::link::IFLA_ALT_IFNAME, name.clone());
        let attrs = vec![Attr::Nest(PROP_LIST, vec![name])];
        Request { kind, flags, header: ifinfomsg(0, index, 0, 0), attrs }
    };
    let added = now.difference(&old).map(|name| request(rtm::DELLINKPROP, Flags::NONE, name));
    let create = Flags::CREATE | Flags::EXCL | Flags::APPEND;
    let gone = old.difference(&now).map(|name| request(rtm::NEWLINKPROP, create, name));
    added.chain(gone).collect()
}
