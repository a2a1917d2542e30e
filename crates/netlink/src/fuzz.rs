//! What the fuzz target `netlink` feeds: all that reads bytes of the kernel's.

use crate::ack::Ack;
use crate::attr::Attributes;
use crate::message::{Message, Messages};

/// How deep attributes are looked into.
const DEPTH_MAX: usize = 6;

/// The messages of a datagram, up to the first that is malformed.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    Messages::new(bytes).map_while(Result::ok)
}

/// Reads a datagram as events, answers and acknowledgements.
pub fn datagram(bytes: &[u8]) {
    for message in messages(bytes) {
        drop(Ack::parse(&message));
        drop(Ack::parse_done(&message));
        for header_bytes in [0, 4, 8, 12, 16, 20] {
            if let Ok(attributes) = message.attributes(header_bytes) {
                walk(attributes, 0);
            }
        }
    }
}

fn walk(attributes: Attributes<'_>, depth: usize) {
    for attribute in attributes {
        let Ok(attribute) = attribute else { return };
        let _ = attribute.u32();
        let _ = attribute.text();
        let _ = attribute.array::<6>();
        if depth < DEPTH_MAX {
            walk(attribute.nested(), depth + 1);
        }
    }
}
