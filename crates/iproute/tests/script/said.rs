//! A netlink message as what it says: attributes in no order where order means nothing.

use vnet_iproute::ip::wire::rtm;
use vnet_netlink::Batch;
use vnet_netlink::attr::Attributes;

/// `NLM_F_CREATE` and the like; that a request wants an answer says nothing.
const MODIFIERS: u16 = 0x0f00;
const NLMSG_HEADER_BYTES: usize = 16;
const IFINFOMSG_BYTES: usize = 16;
const RTNEXTHOP_BYTES: usize = 8;

pub(crate) const IFLA_LINKINFO: u16 = 18;
pub(crate) const IFLA_INFO_KIND: u16 = 1;
pub(crate) const IFLA_INFO_DATA: u16 = 2;
const PEER_INFO: u16 = 1;
const RTA_MULTIPATH: u16 = 9;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) header: Vec<u8>,
    pub(crate) attrs: Vec<Attr>,
}

/// An attribute: a value, or a fixed header and attributes. Whether `NLA_F_NESTED` is set says
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attr {
    Value(u16, Vec<u8>),
    Nest(u16, Vec<u8>, Vec<Attr>),
}

impl Attr {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::Value(kind, _) | Self::Nest(kind, ..) => *kind,
        }
    }
}

impl Said {
    /// Reads all messages of a batch.
    pub(crate) fn all(batch: &Batch) -> Vec<Self> {
        (0..batch.len()).map(|index| Self::read(batch.message_bytes(index))).collect()
    }

    fn read(message: &[u8]) -> Self {
        let number = |at: usize| u16::from_ne_bytes([message[at], message[at + 1]]);
        let length = u32::from_ne_bytes(*message.first_chunk().unwrap());
        let payload = &message[NLMSG_HEADER_BYTES..usize::try_from(length).unwrap()];
        let kind = number(4);
        let (header, attrs) = payload.split_at(header_bytes(kind));
        let (flags, header) = (number(6) & MODIFIERS, header.to_vec());
        let mut said = Self { kind, flags, header, attrs: attributes(kind, &[], attrs) };
        said.read_peer();
        said
    }

    /// Reads what is said of the other end of a pair, which begins as another message does.
    fn read_peer(&mut self) {
        let kind = self.kind;
        let Some(info) = self.nest(&[IFLA_LINKINFO]) else { return };
        let is = |kind: &[u8]| info.contains(&Attr::Value(IFLA_INFO_KIND, kind.into()));
        if !is(b"veth") && !is(b"netkit") {
            return;
        }
        for attr in self.nest(&[IFLA_LINKINFO, IFLA_INFO_DATA]).into_iter().flatten() {
            if let Attr::Value(PEER_INFO, bytes) = attr {
                let (header, rest) = bytes.split_at(IFINFOMSG_BYTES);
                let attrs = attributes(kind, &[], rest);
                *attr = Attr::Nest(PEER_INFO, header.into(), attrs);
            }
        }
    }

    /// Returns the kind of interface that it is about, as far as it says.
    pub(crate) fn kind_of_link(&mut self) -> Option<Vec<u8>> {
        self.nest(&[IFLA_LINKINFO])?.iter().find_map(|attr| match attr {
            Attr::Value(IFLA_INFO_KIND, name) => Some(name.clone()),
            _ => None,
        })
    }

    /// Finds the attributes in an attribute.
    pub(crate) fn nest(&mut self, path: &[u16]) -> Option<&mut Vec<Attr>> {
        path.iter().try_fold(&mut self.attrs, |here, kind| {
            here.iter_mut().find_map(|attr| match attr {
                Attr::Nest(found, _, inner) if found == kind => Some(inner),
                _ => None,
            })
        })
    }
}

fn is_link(kind: u16) -> bool {
    let properties = [rtm::NEWLINKPROP, rtm::DELLINKPROP];
    (rtm::NEWLINK..=rtm::SETLINK).contains(&kind) || properties.contains(&kind)
}

/// `struct ifinfomsg`, `ifaddrmsg`, `nhmsg`; `rtmsg`, `ndmsg` and `fib_rule_hdr`.
fn header_bytes(kind: u16) -> usize {
    match kind {
        _ if is_link(kind) => IFINFOMSG_BYTES,
        rtm::NEWADDR | rtm::DELADDR | rtm::NEWNEXTHOP | rtm::DELNEXTHOP => 8,
        _ => 12,
    }
}

/// Tells whether an attribute holds attributes.
fn is_nest(kind: u16, path: &[u16]) -> bool {
    match kind {
        // IFLA_LINKINFO, its data and that of a port; IFLA_AF_SPEC; IFLA_PROP_LIST.
        _ if is_link(kind) => matches!(path, [18] | [18, 2 | 5] | [26] | [52]),
        // RTA_METRICS, RTA_ENCAP, and that of a leg.
        rtm::NEWROUTE | rtm::DELROUTE => matches!(path, [8 | 22] | [RTA_MULTIPATH, 22]),
        // NHA_ENCAP.
        rtm::NEWNEXTHOP => path == [8],
        _ => false,
    }
}

/// Tells whether an attribute is a text: the kernel takes it with a zero byte at its end or without.
fn is_text(kind: u16, path: &[u16]) -> bool {
    match kind {
        // IFLA_IFNAME, IFLA_IFALIAS, IFLA_INFO_KIND, IFLA_INFO_SLAVE_KIND, IFLA_ALT_IFNAME.
        _ if is_link(kind) => matches!(path, [3 | 20] | [18, 1 | 4] | [52, 53]),
        // FRA_IIFNAME, FRA_OIFNAME.
        rtm::NEWRULE | rtm::DELRULE => matches!(path, [3 | 17]),
        _ => false,
    }
}

fn attributes(kind: u16, path: &[u16], bytes: &[u8]) -> Vec<Attr> {
    let mut attrs = Vec::new();
    for attr in Attributes::new(bytes) {
        let attr = attr.expect("our own messages are well-formed");
        let path = [path, &[attr.kind]].concat();
        let is_legs = matches!(kind, rtm::NEWROUTE | rtm::DELROUTE) && path == [RTA_MULTIPATH];
        attrs.push(if is_nest(kind, &path) {
            Attr::Nest(attr.kind, Vec::new(), attributes(kind, &path, attr.value))
        } else if is_legs {
            Attr::Nest(attr.kind, Vec::new(), legs(kind, attr.value))
        } else if is_text(kind, &path) {
            let text = attr.value.strip_suffix(b"\0").unwrap_or(attr.value);
            Attr::Value(attr.kind, text.into())
        } else {
            Attr::Value(attr.kind, attr.value.into())
        });
    }
    attrs.sort();
    attrs
}

/// The legs of a route in their order, `struct rtnexthop` each; the length follows from the rest.
fn legs(kind: u16, mut bytes: &[u8]) -> Vec<Attr> {
    let mut legs = Vec::new();
    while let Some(length) = bytes.first_chunk() {
        let (leg, rest) = bytes.split_at(usize::from(u16::from_ne_bytes(*length)));
        let attrs = attributes(kind, &[RTA_MULTIPATH], &leg[RTNEXTHOP_BYTES..]);
        let number = u16::try_from(legs.len()).unwrap();
        legs.push(Attr::Nest(number, leg[2..RTNEXTHOP_BYTES].into(), attrs));
        bytes = rest;
    }
    legs
}
