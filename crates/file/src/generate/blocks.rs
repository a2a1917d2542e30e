//! Where the addresses of generated files come from.
use std::net::Ipv4Addr;

use vnet_model::ipnet::Ipv4Net;

/// How many routers share the third number of their own addresses.
const LOOPBACKS_A_RANGE: u32 = 250;

/// Hands out blocks of 10.0.0.0/9, one after the other.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    used: u32,
}

impl Blocks {
    /// Takes a block that holds a /31 for each of so many links.
    pub(super) fn take(&mut self, links: u32) -> Ipv4Net {
        self.take_addresses(2 * links)
    }

    /// Takes a block of at least so many addresses.
    pub(super) fn take_addresses(&mut self, count: u32) -> Ipv4Net {
        let size = count.next_power_of_two();
        let at = self.used.next_multiple_of(size);
        self.used = at + size;
        let length = 32 - size.trailing_zeros() as u8;
        let first = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + at);
        Ipv4Net::new(first, length).expect("a power of two has at most 31 zeros behind it")
    }
}

/// Writes the own addresses of routers from number `first` on, and says of how many: at most `wanted`.
pub(super) fn loopback(first: u32, wanted: u32) -> (String, u32) {
    let (third, fourth) = (first / LOOPBACKS_A_RANGE, first % LOOPBACKS_A_RANGE);
    let count = wanted.min(LOOPBACKS_A_RANGE - fourth);
    (super::range(&format!("10.255.{third}."), fourth + 1, fourth + count, ""), count)
}
