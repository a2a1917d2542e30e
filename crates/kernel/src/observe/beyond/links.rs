//! What interfaces are set to beside what the model knows.

use vnet_model::{Device, IfName, Interface, Namespace};
use vnet_netlink::attr::Attributes;
use vnet_netlink::{Error, Message, Socket};

use super::{number, options, question};

const RTM_GETLINK: u16 = 18;
const HEADER_BYTES: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFF_NOARP: u32 = 0x80;
const IFF_PROMISC: u32 = 0x100;
const IFF_ALLMULTI: u32 = 0x200;
const IFF_MULTICAST: u32 = 0x1000;

/// Settings of all kinds: attribute, iproute2's word, and what it is where nothing is said.
const SETTINGS: &[(u16, &str, u64)] = &[
    (17, "mode dormant", 0),
    (27, "group", 0),
    (39, "protodown", 0),
    (40, "gso_max_segs", 65535),
    (41, "gso_max_size", 65536),
    (58, "gro_max_size", 65536),
    (63, "gso_ipv4_max_size", 65536),
    (64, "gro_ipv4_max_size", 65536),
];

/// Names what is set otherwise than where nothing is said.
pub(super) fn words(socket: &mut Socket, ns: &Namespace) -> Result<Vec<String>, Error> {
    let found =
        socket.dump(&question(RTM_GETLINK, &[0; HEADER_BYTES])?, |message| one(message, ns))?;
    Ok(found.into_iter().flatten().collect())
}

fn one(message: Message<'_>, ns: &Namespace) -> Result<Option<Vec<String>>, Error> {
    let attributes = message.attributes(HEADER_BYTES)?;
    let name = attributes.find(IFLA_IFNAME)?.map(|name| name.text()).transpose()?;
    let name = name.and_then(|name| IfName::new(name).ok());
    let found = name.and_then(|name| Some((ns.interfaces.get(&name)?, name)));
    let Some((interface, name)) = found else { return Ok(None) };
    let mut words = flags(message.payload, interface);
    // What stands on others, and what has ports, takes these over.
    let device = interface.kind.device();
    let follows = device.is_some_and(|it| it.lower.is_some() || it.spec.has_ports);
    for attribute in attributes {
        let attribute = attribute?;
        let known = SETTINGS.iter().find(|(kind, ..)| *kind == attribute.kind);
        if let Some((kind, word, usual)) = known
            && let Some(value) = number(attribute.value).filter(|value| value != usual)
            && !(follows && *kind >= 40)
        {
            words.push(format!("{word} {value}"));
        }
        if attribute.kind == IFLA_XDP
            && let Some(attached) = attribute.nested().find(IFLA_XDP_ATTACHED)?
            && attached.u8()? != 0
        {
            words.push("an XDP program".to_owned());
        }
        if attribute.kind == IFLA_LINKINFO {
            words.extend(of_kind(attribute.nested())?);
        }
    }
    words.extend(others(interface));
    Ok(Some(words.into_iter().map(|what| format!("{what} of {name}")).collect()))
}

fn flags(header: &[u8], interface: &Interface) -> Vec<String> {
    let Some(bytes) = header.get(8..12).and_then(|bytes| bytes.first_chunk()) else {
        return Vec::new();
    };
    let flags = u32::from_ne_bytes(*bytes);
    let is_station = match interface.kind.name() {
        "netkit" => interface.kind.device().is_some_and(Device::has_own_mac),
        name => matches!(name, "veth" | "bridge" | "macvlan" | "vlan" | "bond" | "tap"),
    };
    let all = [
        ("promisc on", flags & IFF_PROMISC != 0),
        ("allmulticast on", flags & IFF_ALLMULTI != 0),
        ("arp off", is_station && flags & IFF_NOARP != 0),
        ("multicast off", is_station && flags & IFF_MULTICAST == 0),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(word, _)| word.to_owned()).collect()
}

fn of_kind(info: Attributes<'_>) -> Result<Vec<String>, Error> {
    const DATA: [(u16, u16, bool); 2] = [(1, 2, false), (4, 5, true)];
    let mut words = Vec::new();
    for (kind, data, is_port) in DATA {
        let (kind, data) = (info.find(kind)?, info.find(data)?);
        if let Some((kind, data)) = kind.zip(data) {
            words.extend(options::unsaid(kind.text()?, is_port, data.nested())?);
        }
    }
    Ok(words)
}

/// What a WireGuard device does is no link's setting, and its key nobody's to see.
fn others(interface: &Interface) -> Option<String> {
    let is_wireguard = interface.kind.device().is_some_and(|it| it.spec.is_wireguard());
    is_wireguard.then(|| "the key and the peers".to_owned())
}
