use proptest::prelude::*;

use super::*;
use crate::batch::Batch;
use crate::flags::Flags;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;

fn types_at(batch: &Batch, offset: usize) -> Option<Vec<u16>> {
    AttributePath::at(Protocol::Route, batch.as_bytes(), offset).map(|path| path.0)
}

#[test]
fn nested_attributes_are_named_from_the_outside_in() {
    let mut batch = Batch::new();
    batch.push_raw(RTM_NEWLINK, Flags::CREATE, |link| {
        link.header(&[0; 16]).text(3, "a").nest(18, |info| {
            info.text(1, "veth").nest(2, |data| {
                data.nest(1, |peer| {
                    peer.header(&[0; 16]).text(3, "b");
                });
            });
        });
    });
    let first = 16 + 16;
    let info = first + 8;
    let data = info + 4 + 12;
    assert_eq!(types_at(&batch, first), Some(vec![3]));
    assert_eq!(types_at(&batch, info), Some(vec![18]));
    assert_eq!(types_at(&batch, info + 4), Some(vec![18, 1]));
    assert_eq!(types_at(&batch, data + 4), Some(vec![18, 2, 1]));
    // Behind the peer's `struct ifinfomsg`.
    assert_eq!(types_at(&batch, data + 8 + 16), Some(vec![18, 2, 1, 3]));
}

#[test]
fn entry_of_a_multipath_route_is_a_level() {
    let mut batch = Batch::new();
    let nexthop = |gateway: u8| {
        // struct rtnexthop: its length, flags, weight, ifindex; then RTA_GATEWAY.
        let head = [16u16.to_ne_bytes(), [0, 0], [1, 0], [0, 0]].concat();
        let gateway = [8u16.to_ne_bytes(), 5u16.to_ne_bytes(), [10, 0], [0, gateway]].concat();
        [head, gateway].concat()
    };
    batch.push_raw(RTM_NEWROUTE, Flags::CREATE, |route| {
        route.header(&[0; 12]).bytes(9, &[nexthop(1), nexthop(2)].concat());
    });
    let multipath = 16 + 12;
    assert_eq!(types_at(&batch, multipath + 4 + 8), Some(vec![9, 0, 5]));
    assert_eq!(types_at(&batch, multipath + 4 + 16 + 8), Some(vec![9, 0, 5]));
}

#[test]
fn attribute_that_cannot_be_placed_stands_alone() {
    let mut batch = Batch::new();
    batch.push_raw(999, Flags::NONE, |message| {
        message.header(&[0; 16]).u8(7, 0);
    });
    assert_eq!(types_at(&batch, 32), Some(vec![7]));
    assert_eq!(types_at(&batch, 1000), None);
    assert_eq!(AttributePath(vec![18, 2, 1]).to_string(), "18.2.1");
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(
        request in proptest::collection::vec(prop_oneof![Just(0u8), Just(4u8), Just(8u8), any::<u8>()], 0..400),
        kind in 16..130u16,
        offset in 0..420usize,
    ) {
        let mut request = request;
        if request.len() >= 6 {
            request[4..6].copy_from_slice(&kind.to_ne_bytes());
        }
        for protocol in [Protocol::Route, Protocol::SockDiag, Protocol::Netfilter, Protocol::Generic] {
            let _ = AttributePath::at(protocol, &request, offset);
        }
    }
}
