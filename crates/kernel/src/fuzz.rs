//! What the fuzz target `netlink` feeds: all that is made of the kernel's answers and events.

/// Reads a datagram as answers about interfaces, addresses and routes, and as events.
pub fn datagram(bytes: &[u8]) {
    for message in vnet_netlink::fuzz::messages(bytes) {
        crate::observe::fuzz(message);
        crate::hub::fuzz(message);
    }
}
