use std::time::Duration;

use vnet_netlink::Error;

use crate::*;

const RTNLGRP_IPV4_IFADDR: u32 = 5;

#[test]
fn hears_events_until_the_timeout() {
    vnet_testns::root(|| {
        let mut listener = socket();
        listener.subscribe(&[RTNLGRP_IPV4_IFADDR]).unwrap();
        assert!(!listener.receive_event(Some(Duration::ZERO), |_| panic!()).unwrap());
        assert!(submit(&mut socket(), new_address(1), exclusive()).is_ok());
        let mut kinds = Vec::new();
        let wait = Some(Duration::from_secs(5));
        let any = listener.receive_event(wait, |event| {
            assert_eq!(event.nsid, None);
            kinds.push(event.message.kind);
        });
        assert!(any.unwrap());
        assert_eq!(kinds, [RTM_NEWADDR]);
        listener.unsubscribe(&[RTNLGRP_IPV4_IFADDR]).unwrap();
        assert!(submit(&mut socket(), new_address(2), exclusive()).is_ok());
        assert!(!listener.receive_event(Some(Duration::from_millis(5)), |_| panic!()).unwrap());
    });
}

#[test]
fn hears_events_of_other_namespaces_with_their_id() {
    vnet_testns::root(|| {
        let mut listener = socket();
        listener.subscribe(&[RTNLGRP_IPV4_IFADDR]).unwrap();
        listener.listen_all_nsid().unwrap();
        vnet_testns::sh("ip netns add other && ip netns set other 42");
        vnet_testns::sh("ip -n other addr add 10.2.0.1/32 dev lo");
        let mut heard = Vec::new();
        let wait = Some(Duration::from_secs(5));
        listener.receive_event(wait, |event| heard.push((event.message.kind, event.nsid))).unwrap();
        assert_eq!(heard, [(RTM_NEWADDR, Some(42))]);
        vnet_testns::sh("ip netns del other");
    });
}

#[test]
fn tells_lost_events() {
    vnet_testns::root(|| {
        let mut listener = socket();
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
        listener.subscribe(&[RTNLGRP_IPV4_IFADDR]).unwrap();
        let mut batch = batch((0..100).map(new_address), exclusive());
        assert!(socket().submit(&mut batch).unwrap().is_ok());
        let mut heard = 0;
        let lost = loop {
            match listener.receive_event(Some(Duration::ZERO), |_| heard += 1) {
                Ok(true) => {}
                Ok(false) => break false,
                Err(Error::EventsLost) => break true,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(lost && heard < 100);
    });
}
