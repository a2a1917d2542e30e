//! Features and channels of interfaces, by ethtool's netlink family (Documentation/networking/ethtool-netlink.rst).

use std::collections::{BTreeMap, BTreeSet};

use vnet_model::{Offload, Queues};
use vnet_netlink::attr::Attributes;
use vnet_netlink::{Error, Message, RawMessage, Socket, generic};

/// The family's name.
const NAME: &str = "ethtool";
const VERSION: u8 = 1;

/// Linux 5.8 (linux/ethtool_netlink.h).
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
const ETHTOOL_MSG_CHANNELS_GET: u8 = 17;

const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_HW: u16 = 2;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;

const ETHTOOL_A_CHANNELS_HEADER: u16 = 1;
const ETHTOOL_A_CHANNELS_RX_COUNT: u16 = 6;
const ETHTOOL_A_CHANNELS_TX_COUNT: u16 = 7;

const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
const ETHTOOL_FLAG_OMIT_REPLY: u32 = 2;

const ETHTOOL_A_BITSET_NOMASK: u16 = 1;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;

/// Finds the number of ethtool's family.
pub(crate) fn family(socket: &mut Socket) -> Result<u16, Error> {
    generic::family(socket, NAME)
}

/// Lays out the request to turn groups of features on and off, as far as the interface lets them be
/// changed: the kernel refuses the name of a feature that it does not know.
pub(crate) fn set(
    family: u16,
    index: u32,
    features: &Features,
    wanted: &BTreeMap<Offload, bool>,
) -> Result<RawMessage, Error> {
    generic::request(family, ETHTOOL_MSG_FEATURES_SET, VERSION, |message| {
        message.nest(ETHTOOL_A_FEATURES_HEADER, |header| {
            header.u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
            header.u32(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_OMIT_REPLY);
        });
        message.nest(ETHTOOL_A_FEATURES_WANTED, |set| {
            set.nest(ETHTOOL_A_BITSET_BITS, |bits| {
                for (offload, on) in wanted {
                    for name in features.changeable_of(*offload) {
                        bits.nest(ETHTOOL_A_BITSET_BITS_BIT, |bit| {
                            bit.text(ETHTOOL_A_BITSET_BIT_NAME, name);
                            if *on {
                                bit.flag(ETHTOOL_A_BITSET_BIT_VALUE);
                            }
                        });
                    }
                }
            });
        });
    })
}

/// The features of an interface by name.
#[derive(Debug, Default)]
pub(crate) struct Features {
    /// Those that can be changed.
    changeable: BTreeSet<String>,
    /// Those that somebody wants, or the driver from birth.
    wanted: BTreeSet<String>,
    active: BTreeSet<String>,
}

/// What of an interface's features is not as the driver has it from birth.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// The groups that are on or off as a whole.
    pub(crate) groups: BTreeMap<Offload, bool>,
    /// The others, in words.
    pub(crate) words: Vec<String>,
}

/// Features that can be changed and that drivers leave off (`netdev_register`, net/core/dev.c, wants
/// what the driver has on; drivers/net/{veth,tun}.c, include/linux/netdev_features.h).
const OFF_AT_BIRTH: [&str; 9] = [
    "tx-nocache-copy",
    "rx-fcs",
    "rx-all",
    "rx-lro",
    "loopback",
    "rx-gro-list",
    "rx-gro-hw",
    "rx-udp-gro-forwarding",
    "hw-tc-offload",
];

impl Features {
    /// Returns the features of a group that can be changed.
    fn changeable_of(&self, offload: Offload) -> impl Iterator<Item = &str> {
        self.changeable.iter().map(String::as_str).filter(move |name| offload.has(name))
    }

    /// Finds what somebody changed of an interface of this kind.
    pub(crate) fn changed(&self, kind: &str) -> Changed {
        let mut changed = Changed::default();
        for (_, offload) in Offload::ALL {
            let (on, off): (Vec<&str>, Vec<&str>) =
                self.changeable_of(offload).partition(|name| self.wanted.contains(*name));
            if on.is_empty() && off.is_empty() {
                continue;
            }
            let usual = offload.usual(kind);
            match (on.is_empty(), off.is_empty()) {
                (false, false) => {
                    changed.words.extend(off.into_iter().map(|name| format!("offload {name} off")));
                }
                (is_off, _) if is_off == usual => {
                    changed.groups.insert(offload, !is_off);
                }
                _ => {}
            }
        }
        let is_grouped = |name: &str| Offload::ALL.iter().any(|(_, offload)| offload.has(name));
        for name in self.changeable.iter().filter(|name| !is_grouped(name)) {
            let (on, usual) = (self.wanted.contains(name), !OFF_AT_BIRTH.contains(&name.as_str()));
            if on != usual {
                let word = if on { "on" } else { "off" };
                changed.words.push(format!("offload {name} {word}"));
            }
        }
        changed
    }
}

/// Reads which groups of features are active: those of which one feature is; and those of which none can
/// be changed.
pub(crate) fn get(
    socket: &mut Socket,
    family: u16,
    index: u32,
) -> Result<(BTreeMap<Offload, bool>, BTreeSet<Offload>), Error> {
    let features = features(socket, family, index)?;
    let all = Offload::ALL.iter().map(|(_, offload)| *offload);
    let is_on = |offload: Offload| features.active.iter().any(|name| offload.has(name));
    let is_fixed = |offload: &Offload| features.changeable_of(*offload).next().is_none();
    let fixed = all.clone().filter(is_fixed).collect();
    Ok((all.map(|offload| (offload, is_on(offload))).collect(), fixed))
}

/// Reads the features of an interface.
pub(crate) fn features(socket: &mut Socket, family: u16, index: u32) -> Result<Features, Error> {
    ask(socket, family, (ETHTOOL_MSG_FEATURES_GET, ETHTOOL_A_FEATURES_HEADER), index, read)
}

/// Asks for one thing of an interface, by the message and the attribute of its header.
fn ask<T: Default>(
    socket: &mut Socket,
    family: u16,
    (command, header): (u8, u16),
    index: u32,
    read: fn(Message<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let request = generic::request(family, command, VERSION, |message| {
        message.nest(header, |header| {
            header.u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
        });
    })?;
    let answers = socket.get(&request, |answer| read(answer).map(Some))?;
    Ok(answers.into_iter().next().unwrap_or_default())
}

fn read(answer: Message<'_>) -> Result<Features, Error> {
    let set = |kind: u16| -> Result<BTreeSet<String>, Error> {
        let set = answer.attributes(generic::HEADER_BYTES)?.find(kind)?;
        let Some(set) = set.map(|set| set.nested()) else { return Ok(BTreeSet::new()) };
        let masked = set.find(ETHTOOL_A_BITSET_NOMASK)?.is_none();
        let bits = set.find(ETHTOOL_A_BITSET_BITS)?;
        let names = bits.map(|bits| names(bits.nested(), masked)).transpose()?;
        Ok(names.into_iter().flatten().collect())
    };
    let (changeable, wanted) = (set(ETHTOOL_A_FEATURES_HW)?, set(ETHTOOL_A_FEATURES_WANTED)?);
    Ok(Features { changeable, wanted, active: set(ETHTOOL_A_FEATURES_ACTIVE)? })
}

/// Reads how many queues an interface uses.
pub(crate) fn channels(socket: &mut Socket, family: u16, index: u32) -> Result<Queues, Error> {
    let what = (ETHTOOL_MSG_CHANNELS_GET, ETHTOOL_A_CHANNELS_HEADER);
    ask(socket, family, what, index, read_channels)
}

fn read_channels(answer: Message<'_>) -> Result<Queues, Error> {
    let count = |kind: u16| -> Result<Option<u32>, Error> {
        let count = answer.attributes(generic::HEADER_BYTES)?.find(kind)?;
        Ok(count.map(|count| count.u32()).transpose()?)
    };
    let (tx, rx) = (count(ETHTOOL_A_CHANNELS_TX_COUNT)?, count(ETHTOOL_A_CHANNELS_RX_COUNT)?);
    Ok(Queues { tx, rx })
}

/// Reads a message as an answer.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: Message<'_>) {
    drop(read(message));
    let _ = read_channels(message);
}

/// The names of the bits that are set. A set without a mask lists no others, and says no value.
fn names(bits: Attributes<'_>, masked: bool) -> Result<Vec<String>, vnet_netlink::attr::Malformed> {
    let mut names = Vec::new();
    for bit in bits {
        let bit = bit?.nested();
        let is_set = !masked || bit.find(ETHTOOL_A_BITSET_BIT_VALUE)?.is_some();
        if let Some(name) = bit.find(ETHTOOL_A_BITSET_BIT_NAME)?.filter(|_| is_set) {
            names.push(name.text()?.to_owned());
        }
    }
    Ok(names)
}
