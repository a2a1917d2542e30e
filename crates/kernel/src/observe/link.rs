//! Interfaces, as RTM_NEWLINK tells them.

use std::collections::BTreeMap;

use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use vnet_model::apply::LOOPBACK;
use vnet_model::facts::Apart;
use vnet_model::kind::{self, KindSpec, Lower, OptionSpec, Options, Value, physical};
use vnet_model::{Device, IfName, Interface, Kind, Mac, Mark, Queues};
use vnet_netlink::attr::{Attribute, Attributes, Malformed};
use vnet_netlink::{Error, Message, RawMessage, Socket};

use super::device::{self, Found};

/// `struct ifinfomsg` (linux/rtnetlink.h), and what it and its attributes are called.
const HEADER_BYTES: usize = 16;
const ARPHRD_LOOPBACK: u16 = 772;
const LOOPBACK_IFINDEX: u32 = 1;
const IFF_UP: u32 = 1;
const IFF_NOARP: u32 = 0x80;
const RTM_GETLINK: u16 = 18;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_TARGET_NETNSID: u16 = 46;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

/// Anything but 0, which is `bridge`, keeps it from its like (`IPVLAN_F_…`, linux/if_link.h).
const IFLA_IPVLAN_FLAGS: u16 = 2;

/// Whether it is the end by which the pair was made (linux/if_link.h).
const IFLA_NETKIT_PRIMARY: u16 = 2;

const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
/// The mode of a TUN or TAP device (linux/if_link.h, linux/if_tun.h).
const IFLA_TUN_TYPE: u16 = 3;
const IFF_TAP: u8 = 2;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;

/// Places in the arrays of settings (linux/ip.h, which counts from 1; linux/ipv6.h).
const IPV4_DEVCONF_FORWARDING: usize = 1;
const DEVCONF_DISABLE_IPV6: usize = 26;

/// Tells what is declared of an interface: says which options are read. All are where it is not
/// given.
pub(super) type Declared<'a> = dyn Fn(&IfName) -> Vec<&'a Interface> + 'a;

/// An interface and what refers to others by index.
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: IfName,
    interface: Interface,
    master: Option<u32>,
    /// What it stands on.
    lower: Option<u32>,
    /// The options of its kind, and those as a port.
    named: [Vec<(&'static OptionSpec, Found)>; 2],
    /// Whether neighbours are neither asked nor answered by it.
    pub(super) no_arp: bool,
    /// What keeps it apart from its like, where it is an ipvlan.
    pub(super) apart: Option<Apart>,
    /// Where the other end of a cable is, or what it stands on in another namespace.
    pub(super) place: Option<Place>,
}

/// An interface by its index in a namespace, which is the own one where there is no nsid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) nsid: Option<i32>,
}

/// Reads all interfaces of the socket's namespace.
pub(super) fn dump(
    socket: &mut Socket,
    declared: Option<&Declared<'_>>,
) -> Result<Vec<Link>, Error> {
    socket.dump(&RouteNetlinkMessage::GetLink(request()), |message| link(message, declared))
}

/// Reads the mark on the `lo` of the socket's namespace, or of the one with the nsid.
pub(super) fn mark(socket: &mut Socket, nsid: Option<i32>) -> Result<Option<Mark>, Error> {
    Ok(alias(socket, nsid)?.and_then(|alias| Mark::parse(&alias)))
}

/// Reads the alias of the `lo` of the socket's namespace, or of the one with the nsid.
pub(super) fn alias(socket: &mut Socket, nsid: Option<i32>) -> Result<Option<String>, Error> {
    let request = RawMessage::new(RTM_GETLINK, |writer| {
        let mut header = [0; HEADER_BYTES];
        header[4..8].copy_from_slice(&LOOPBACK_IFINDEX.to_ne_bytes());
        writer.header(&header).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        if let Some(nsid) = nsid {
            writer.i32(IFLA_TARGET_NETNSID, nsid);
        }
    })?;
    // This is asked twice for each namespace: the codec would take apart all else too.
    let alias = socket.get_one(&request, |answer| {
        let alias = answer.attributes(HEADER_BYTES)?.find(IFLA_IFALIAS)?;
        Ok(alias.map(|alias| alias.text().map(str::to_owned)).transpose()?)
    });
    match alias {
        Ok(alias) => Ok(alias),
        // The namespace went away, or it is somebody else's.
        Err(Error::Refused(_)) if nsid.is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether IPv6 packets are forwarded in the socket's namespace (RTM_GETNETCONF).
pub(super) fn ipv6_forwarding(socket: &mut Socket) -> Result<bool, Error> {
    const RTM_GETNETCONF: u16 = 82;
    const NETCONFA_IFINDEX: u16 = 1;
    const NETCONFA_FORWARDING: u16 = 2;
    const NETCONFA_IFINDEX_ALL: i32 = -1;
    /// `struct netconfmsg`: the family alone.
    const NETCONF_BYTES: usize = 4;
    let request = RawMessage::new(RTM_GETNETCONF, |writer| {
        writer.header(&[u8::from(AddressFamily::Inet6), 0, 0, 0]);
        writer.i32(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL);
    })
    .map_err(|too_long| Error::AttributeTooLong { index: 0, too_long })?;
    let answers = socket.get(&request, |answer| {
        let mut forwarding = None;
        for attribute in answer.attributes(NETCONF_BYTES)? {
            let attribute = attribute?;
            if attribute.kind == NETCONFA_FORWARDING {
                forwarding = Some(attribute.u32()? != 0);
            }
        }
        Ok(forwarding)
    })?;
    Ok(answers.into_iter().next().unwrap_or(false))
}

fn request() -> LinkMessage {
    let mut message = LinkMessage::default();
    // Counters are most of an answer, and nobody asked.
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

/// Reads one interface. Attribute by attribute: no codec knows the options of all kinds, and one that
/// fails at a kind would hide all others.
pub(super) fn link(
    message: Message<'_>,
    declared: Option<&Declared<'_>>,
) -> Result<Option<Link>, Error> {
    let Some(header) = message.payload.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [_, _, type_low, type_high, a, b, c, d, f0, f1, f2, f3, ..] = *header;
    let loopback = u16::from_ne_bytes([type_low, type_high]) == ARPHRD_LOOPBACK;
    let kind = if loopback { Kind::Loopback } else { Kind::Other(String::new()) };
    let mut interface = Interface::new(kind);
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    interface.up = flags & IFF_UP != 0;
    // IPv6 is known to be on only where the kernel has something to say about it.
    interface.ipv6 = Some(false);
    let mut name = None;
    let mut below = None;
    let mut nsid = None;
    let mut info = None;
    let mut master = None;
    for attribute in message.attributes(HEADER_BYTES)? {
        let attribute = attribute?;
        match attribute.kind {
            // Whatever a person calls it: it can't be removed, nor is there another.
            IFLA_IFNAME if loopback => name = IfName::new(LOOPBACK).ok(),
            IFLA_IFNAME => name = IfName::new(attribute.text()?).ok(),
            IFLA_LINK => below = Some(attribute.u32()?),
            IFLA_LINK_NETNSID => nsid = Some(attribute.i32()?),
            IFLA_MASTER => master = Some(attribute.u32()?),
            IFLA_LINKINFO => info = Some(attribute.nested()),
            _ => take(&mut interface, attribute)?,
        }
    }
    let Some(name) = name else { return Ok(None) };
    let index = u32::from_ne_bytes([a, b, c, d]);
    let no_arp = flags & IFF_NOARP != 0;
    let (place, lower, named) = Default::default();
    let apart = None;
    let mut link = Link { index, name, interface, master, no_arp, apart, place, lower, named };
    if let Some(info) = info {
        link.take_info(info, declared)?;
    }
    link.recognize_moved();
    link.keep_declared_queues(declared);
    match &link.interface.kind {
        kind if kind.is_pair() => link.place = below.map(|index| Place { index, nsid }),
        Kind::Device(device) if device.spec.lower == Lower::Required => match nsid {
            None => link.lower = below,
            Some(_) => link.place = below.map(|index| Place { index, nsid }),
        },
        _ => {}
    }
    Ok(Some(link))
}

impl Link {
    /// Takes what was moved in from the host for that, whatever it is.
    fn recognize_moved(&mut self) {
        let alias = self.interface.alias.as_deref();
        if let Some(from) = alias.and_then(physical::from_alias) {
            let device = Device { host_lower: Some(from), ..Device::new(&kind::PHYSICAL) };
            self.interface.kind = Kind::Device(device);
            self.interface.alias = None;
            self.named = Default::default();
        }
    }

    /// Forgets the queues where none are declared. Those of TUN and TAP devices come and go, and
    /// those of what was moved in are its own.
    fn keep_declared_queues(&mut self, declared: Option<&Declared<'_>>) {
        let says = |known: &&Interface| !known.queues.is_unsaid();
        let is_said = declared.is_none_or(|of| of(&self.name).iter().any(says));
        let is_fixed = |spec: &KindSpec| spec.is_tun() || spec.is_physical();
        if !is_said || self.interface.kind.device().is_some_and(|device| is_fixed(device.spec)) {
            self.interface.queues = Queues::default();
        }
    }

    /// Returns the index of what it stands on in another namespace, and the nsid of that.
    pub(super) fn stands_elsewhere(&self) -> Option<(u32, i32)> {
        let device = self.interface.kind.device()?;
        let place = self.place.filter(|_| device.spec.lower == Lower::Required)?;
        Some((place.index, place.nsid?))
    }

    pub(super) fn is_bridge(&self) -> bool {
        self.interface.kind.is_bridge()
    }

    /// Returns the mark that it carries, which is one where it is `lo`.
    pub(super) fn mark(&self) -> Option<Mark> {
        let alias = self.interface.alias.as_ref().filter(|_| self.index == LOOPBACK_IFINDEX);
        Mark::parse(alias?)
    }

    fn take_info(
        &mut self,
        info: Attributes<'_>,
        declared: Option<&Declared<'_>>,
    ) -> Result<(), Error> {
        if let Some(kind) = info.find(IFLA_INFO_KIND)? {
            let kind = kind.text()?;
            let tun = |info: Attributes<'_>| -> Result<_, Malformed> {
                let Some(data) = info.find(IFLA_INFO_DATA)? else { return Ok(None) };
                let Some(mode) = data.nested().find(IFLA_TUN_TYPE)? else { return Ok(None) };
                Ok(kind::find(if mode.u8()? == IFF_TAP { "tap" } else { "tun" }))
            };
            let spec = if kind == "tun" { tun(info)? } else { kind::find(kind) };
            self.interface.kind = match (kind, spec) {
                ("veth", _) => Kind::Veth { peer: None },
                (_, Some(spec)) => Kind::Device(Device::new(spec)),
                (other, None) => Kind::Other(other.to_owned()),
            };
            if let Kind::Device(device) = &mut self.interface.kind
                && device.spec.is_pair()
                && let Some(data) = info.find(IFLA_INFO_DATA)?
                && let Some(primary) = data.nested().find(IFLA_NETKIT_PRIMARY)?
            {
                device.came_along = primary.u8()? == 0;
            }
            if kind == "ipvlan"
                && let Some(data) = info.find(IFLA_INFO_DATA)?
                && let Some(flags) = data.nested().find(IFLA_IPVLAN_FLAGS)?
            {
                self.apart = Apart::of_flags(flags.u16()?);
            }
        }
        let Some(declared) = declared else {
            let spec = self.interface.kind.device().map(|device| device.spec);
            return self.take_options(info, spec.map(|spec| (spec, None)), Some(None));
        };
        let known = declared(&self.name);
        if known.is_empty()
            && let Some(device) = self.interface.kind.device()
        {
            // Whatever it is called, it may be in the way of one that is wanted.
            let spec = device.spec;
            let key = spec.key.iter().filter_map(|(word, _)| spec.option(word));
            let key: Options = key.map(|option| (option, Value::Bool(true))).collect();
            return self.take_options(info, Some((spec, Some(&key))), None);
        }
        for known in known {
            let device = self.interface.kind.device().zip(known.kind.device());
            let device = device.filter(|(device, known)| device.spec == known.spec);
            let device = device.map(|(device, known)| (device.spec, Some(&known.options)));
            let port = (!known.port.is_empty()).then_some(Some(&known.port));
            self.take_options(info, device, port)?;
        }
        Ok(())
    }

    /// Takes the options of its kind, and those as a port: as far as they are declared, where these
    /// are given.
    fn take_options(
        &mut self,
        info: Attributes<'_>,
        device: Option<(&'static KindSpec, Option<&Options>)>,
        port: Option<Option<&Options>>,
    ) -> Result<(), Error> {
        if let Some((spec, declared)) = device
            && let Some(data) = info.find(IFLA_INFO_DATA)?
        {
            self.named[0].extend(device::read(spec.options, declared, data.nested()));
        }
        if let Some(declared) = port
            && let Some(kind) = info.find(IFLA_INFO_SLAVE_KIND)?
            && let Some(spec) = kind::find(kind.text()?)
            && let Some(data) = info.find(IFLA_INFO_SLAVE_DATA)?
        {
            self.named[1].extend(device::read(spec.port, declared, data.nested()));
        }
        Ok(())
    }

    /// Returns the interface, now that all are known by index.
    pub(super) fn into_interface(self, names: &BTreeMap<u32, IfName>) -> Interface {
        let Self { mut interface, master, lower, named: [of_device, of_port], .. } = self;
        let name = |index: u32| names.get(&index).cloned();
        interface.master = master.and_then(name);
        let options = |found: Vec<(&'static OptionSpec, Found)>| -> Options {
            let value = |found| match found {
                Found::Value(value) => Some(value),
                Found::Index(index) => name(index).map(Value::Interface),
            };
            found.into_iter().filter_map(|(option, found)| Some((option, value(found)?))).collect()
        };
        interface.port = options(of_port);
        if let Kind::Device(device) = &mut interface.kind {
            device.options = options(of_device);
            device.lower = lower.and_then(name);
        }
        interface
    }
}

fn take(interface: &mut Interface, attribute: Attribute<'_>) -> Result<(), Error> {
    match attribute.kind {
        IFLA_MTU => interface.mtu = Some(attribute.u32()?),
        IFLA_TXQLEN => interface.txqueuelen = Some(attribute.u32()?),
        IFLA_NUM_TX_QUEUES => interface.queues.tx = Some(attribute.u32()?),
        IFLA_NUM_RX_QUEUES => interface.queues.rx = Some(attribute.u32()?),
        IFLA_ADDRESS if interface.kind != Kind::Loopback => {
            // All zeros is none: a pair without neighbours has that.
            interface.mac = attribute.array().ok().filter(|mac| *mac != [0; 6]).map(Mac);
        }
        IFLA_IFALIAS => interface.alias = Some(attribute.text()?.to_owned()),
        IFLA_PROP_LIST => {
            for prop in attribute.nested() {
                let prop = prop?;
                if prop.kind == IFLA_ALT_IFNAME {
                    interface.altnames.insert(prop.text()?.to_owned());
                }
            }
        }
        IFLA_AF_SPEC => {
            let conf = |family: u16, conf: u16| -> Result<_, Malformed> {
                let Some(family) = attribute.nested().find(family)? else { return Ok(None) };
                family.nested().find(conf)
            };
            if let Some(conf) = conf(AF_INET, IFLA_INET_CONF)? {
                interface.forward_ipv4 = setting(conf, IPV4_DEVCONF_FORWARDING - 1);
            }
            if let Some(conf) = conf(AF_INET6, IFLA_INET6_CONF)? {
                interface.ipv6 = setting(conf, DEVCONF_DISABLE_IPV6).map(|off| !off);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Returns a setting of an array of 32-bit numbers.
fn setting(conf: Attribute<'_>, at: usize) -> Option<bool> {
    let number = conf.value.get(4 * at..)?.first_chunk::<4>()?;
    Some(*number != [0; 4])
}
