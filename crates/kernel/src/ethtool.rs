//! Features of interfaces, by ethtool's netlink family (Documentation/networking/ethtool-netlink.rst).

use std::collections::{BTreeMap, BTreeSet};

use vnet_model::Offload;
use vnet_netlink::attr::Attributes;
use vnet_netlink::{Error, Message, RawMessage, Socket, generic};

/// The family's name.
const NAME: &str = "ethtool";
const VERSION: u8 = 1;

/// Linux 5.8 (linux/ethtool_netlink.h).
const ETHTOOL_MSG_FEATURES_GET: u8 = 11;
const ETHTOOL_MSG_FEATURES_SET: u8 = 12;

const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_FEATURES_ACTIVE: u16 = 4;

const ETHTOOL_A_HEADER_DEV_INDEX: u16 = 1;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
const ETHTOOL_FLAG_OMIT_REPLY: u32 = 2;

const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;

/// Finds the number of ethtool's family.
pub(crate) fn family(socket: &mut Socket) -> Result<u16, Error> {
    generic::family(socket, NAME)
}

/// Lays out the request to turn groups of features on and off.
pub(crate) fn set(
    family: u16,
    index: u32,
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
                    for name in offload.features() {
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

/// Reads which groups of features are active: those of which one feature is.
pub(crate) fn get(
    socket: &mut Socket,
    family: u16,
    index: u32,
) -> Result<BTreeMap<Offload, bool>, Error> {
    let request = generic::request(family, ETHTOOL_MSG_FEATURES_GET, VERSION, |message| {
        message.nest(ETHTOOL_A_FEATURES_HEADER, |header| {
            header.u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
        });
    })?;
    let active = socket.get(&request, active)?;
    let active: BTreeSet<String> = active.into_iter().flatten().collect();
    let is_on = |offload: Offload| offload.features().iter().any(|name| active.contains(*name));
    Ok(Offload::ALL.iter().map(|(_, offload)| (*offload, is_on(*offload))).collect())
}

fn active(answer: Message<'_>) -> Result<Option<Vec<String>>, Error> {
    let set = answer.attributes(generic::HEADER_BYTES)?.find(ETHTOOL_A_FEATURES_ACTIVE)?;
    let bits = set.map(|set| set.nested().find(ETHTOOL_A_BITSET_BITS)).transpose()?.flatten();
    Ok(bits.map(|bits| names(bits.nested())).transpose()?)
}

/// Reads a message as an answer.
#[cfg(fuzzing)]
pub(crate) fn fuzz(message: Message<'_>) {
    drop(active(message));
}

/// The names of the bits that are set: a set without a mask lists no others.
fn names(bits: Attributes<'_>) -> Result<Vec<String>, vnet_netlink::attr::Malformed> {
    let mut names = Vec::new();
    for bit in bits {
        if let Some(name) = bit?.nested().find(ETHTOOL_A_BITSET_BIT_NAME)? {
            names.push(name.text()?.to_owned());
        }
    }
    Ok(names)
}
