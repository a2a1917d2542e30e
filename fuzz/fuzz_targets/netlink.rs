//! What the kernel says, or somebody who stands in its place: datagrams of any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    vnet_netlink::fuzz::datagram(bytes);
    vnet_kernel::fuzz::datagram(bytes);
});
