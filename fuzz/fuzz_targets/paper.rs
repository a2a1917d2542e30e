//! A system on paper, for what asks it while it reads or shows.

use std::net::IpAddr;
use std::os::fd::RawFd;

use vnet_iproute::ip::tables::Tables;
use vnet_iproute::ip::{Account, World, wire};

/// A system in which every second thing exists.
#[derive(Default)]
pub struct Paper(Tables);

impl World for Paper {
    fn index(&mut self, name: &str) -> u32 {
        u32::try_from(name.len() % 3).unwrap_or(0)
    }

    fn interface(&mut self, index: u32) -> Option<(String, u32)> {
        (index == 1).then(|| ("lo".to_owned(), 0x49))
    }

    fn link(&mut self, _index: u32) -> Option<wire::Object> {
        None
    }

    fn netns(&mut self, name: &str) -> Option<RawFd> {
        name.len().is_multiple_of(2).then_some(0)
    }

    fn netns_of_id(&mut self, id: i32) -> Option<String> {
        (id == 1).then(|| "other".to_owned())
    }

    fn nexthop(&mut self, _id: u32) -> Option<wire::Object> {
        None
    }

    fn account(&mut self, _account: Account) -> Option<String> {
        None
    }

    fn host(&mut self, address: IpAddr) -> Option<String> {
        address.is_loopback().then(|| "localhost".to_owned())
    }

    fn tables(&self) -> &Tables {
        &self.0
    }
}
