//! What the fuzz target `netlink` feeds: all that is made of the kernel's answers and events.

/// Reads a datagram as answers about interfaces, addresses, routes, bridges, packet filters, features
/// and WireGuard devices, and as events.
pub fn datagram(bytes: &[u8]) {
    for message in vnet_netlink::fuzz::messages(bytes) {
        crate::observe::fuzz(message);
        crate::hub::fuzz(message);
        crate::nft::read::fuzz(message);
        crate::ethtool::fuzz(message);
        crate::wireguard::fuzz(message);
    }
}
