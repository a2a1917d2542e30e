use std::net::Ipv4Addr;
use std::time::Instant;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkAttribute;
use rustix::io::Errno;
use rustix::net::{SendFlags, sockopt};
use vnet_netlink::{Batch, Error, Flags, Mode, Protocol, Socket, Status};

use crate::*;

const RTA_GATEWAY: u16 = 5;

#[test]
fn adds_1000_addresses_pipelined() {
    vnet_testns::root(|| {
        let mut socket = socket();
        assert!(socket.features().extended_acks);
        let mut batch = batch((0..1000).map(new_address), exclusive());
        let begun = Instant::now();
        let outcome = socket.submit(&mut batch).unwrap();
        println!("1000 addresses pipelined in {:?}", begun.elapsed());
        assert!(outcome.is_ok());
        assert_eq!(outcome.done_count(), 1000);
        assert_eq!(addresses(&mut socket).len(), 1000);
    });
}

#[test]
fn goes_on_after_a_refusal_and_tells_which() {
    vnet_testns::root(|| {
        let mut socket = socket();
        assert!(submit(&mut socket, new_address(7), exclusive()).is_ok());
        let mut batch = batch((0..1000).map(new_address), exclusive());
        let outcome = socket.submit(&mut batch).unwrap();
        let [(7, refusal)] = outcome.refusals() else { panic!("{:?}", outcome.refusals()) };
        assert_eq!(refusal.errno, Errno::EXIST);
        assert_eq!(refusal.to_string(), "ipv4: Address already assigned (EEXIST)");
        assert_eq!(outcome.done_count(), 999);
        assert_eq!(outcome.status(7), Status::Refused(refusal));
        assert_eq!(outcome.status(8), Status::Done);
        // The same batch again: all of it is there now.
        let outcome = socket.submit(&mut batch).unwrap();
        assert_eq!(outcome.refusals().len(), 1000);
        assert_eq!(outcome.into_result().unwrap_err().0, 0);
    });
}

#[test]
fn stops_at_the_first_refusal_in_order() {
    vnet_testns::root(|| {
        let mut socket = socket();
        assert!(submit(&mut socket, new_address(7), exclusive()).is_ok());
        let mut batch = batch((0..20).map(new_address), exclusive());
        let outcome = socket.submit_in_order(&mut batch).unwrap();
        assert_eq!(outcome.done_count(), 7);
        assert!(matches!(outcome.status(7), Status::Refused(_)));
        assert!((8..20).all(|index| outcome.status(index) == Status::NotDone));
        assert_eq!(addresses(&mut socket).len(), 8);
    });
}

#[test]
fn tells_the_kernel_s_words_and_the_attribute_at_fault() {
    vnet_testns::root(|| {
        let mut socket = socket();
        assert!(submit(&mut socket, set_up(LO), Flags::NONE).is_ok());
        assert!(submit(&mut socket, new_address(1), exclusive()).is_ok());
        let route = new_route(Ipv4Addr::new(10, 9, 0, 0), Ipv4Addr::new(192, 0, 2, 1));
        let outcome = submit(&mut socket, route, exclusive());
        let (0, refusal) = outcome.into_result().unwrap_err() else { panic!() };
        assert_eq!(refusal.to_string(), "Nexthop has invalid gateway (ENETUNREACH)");

        // Nothing to parse is left of a gateway of one byte: the policy names the attribute.
        let mut batch = Batch::new();
        batch.push_raw(RTM_NEWROUTE, exclusive(), |route| {
            route.header(&[2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
            route.bytes(1, &[10, 9, 0, 0]).u8(RTA_GATEWAY, 1);
        });
        let outcome = socket.submit(&mut batch).unwrap();
        let (0, refusal) = outcome.into_result().unwrap_err() else { panic!() };
        assert!(refusal.message.is_some(), "{refusal:?}");
        assert_eq!(refusal.offset, Some(16 + 12 + 8), "{refusal:?}");
        assert_eq!(refusal.attribute.unwrap().types(), [RTA_GATEWAY]);
    });
}

#[test]
fn finds_a_nested_attribute_at_fault() {
    vnet_testns::root(|| {
        let mut batch = Batch::new();
        batch.push_raw(RTM_NEWLINK, exclusive(), |link| {
            link.header(&[0; 16]).text(IFLA_IFNAME, "a").nest(18, |info| {
                info.text(1, "veth").nest(2, |data| {
                    data.nest(1, |peer| {
                        peer.header(&[0; 16]).text(IFLA_IFNAME, "b").bytes(4, &[1]);
                    });
                });
            });
        });
        let outcome = socket().submit(&mut batch).unwrap();
        let (0, refusal) = outcome.into_result().unwrap_err() else { panic!() };
        assert_eq!(refusal.attribute.unwrap().to_string(), "18.2.1.4", "{:?}", refusal.message);
    });
}

#[test]
fn creates_a_veth_pair_and_reads_it_back() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch([new_veth("left", "right")], exclusive() | Flags::ECHO);
        let mut echoed = Vec::new();
        let outcome = socket.submit_with(&mut batch, Mode::Pipelined, |index, message| {
            echoed.push((index, message.decode::<RouteNetlinkMessage>().unwrap()));
        });
        assert!(outcome.unwrap().is_ok());
        let [(0, RouteNetlinkMessage::NewLink(echo))] = &echoed[..] else { panic!("{echoed:?}") };
        assert!(echo.attributes.contains(&LinkAttribute::IfName("left".to_owned())));

        let names = link_names(&mut socket);
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.contains(&"left".to_owned()) && names.contains(&"right".to_owned()));

        let request = RouteNetlinkMessage::GetLink(named_link("right"));
        let answer = socket.get(&request, |message| Ok(Some(message.decode()?))).unwrap();
        let [RouteNetlinkMessage::NewLink(right)] = &answer[..] else { panic!("{answer:?}") };
        assert!(right.attributes.contains(&LinkAttribute::Link(echo.header.index)));

        let delete = RouteNetlinkMessage::DelLink(named_link("left"));
        assert!(submit(&mut socket, delete, Flags::NONE).is_ok());
        assert_eq!(link_names(&mut socket), ["lo"]);
    });
}

#[test]
fn a_batch_may_hold_questions() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = Batch::new();
        for _ in 0..300 {
            batch.push(&RouteNetlinkMessage::GetLink(named_link("lo")), Flags::NONE);
        }
        let mut answered = Vec::new();
        let outcome =
            socket.submit_with(&mut batch, Mode::Pipelined, |index, _| answered.push(index));
        assert!(outcome.unwrap().is_ok());
        assert!(answered.into_iter().eq(0..300));
    });
}

#[test]
fn socket_keeps_working_when_handed_on() {
    vnet_testns::root(|| {
        let mut first = socket();
        assert!(submit(&mut first, new_address(1), exclusive()).is_ok());
        let mut second = Socket::from_fd(first.into_fd()).unwrap();
        assert_eq!(second.protocol(), Protocol::Route);
        assert!(second.features().extended_acks);
        assert_eq!(addresses(&mut second).len(), 1);
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(Socket::from_fd(file.into()), Err(Error::NotNetlink)));
    });
}

#[test]
fn message_that_cannot_be_laid_out_stops_the_batch_before_it_is_sent() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch([new_address(1)], exclusive());
        batch.push_raw(RTM_NEWLINK, Flags::CREATE, |link| {
            link.header(&[0; 16]).bytes(IFLA_IFNAME, &[0; 70_000]);
        });
        let error = socket.submit(&mut batch).unwrap_err();
        assert!(matches!(error, Error::AttributeTooLong { index: 1, .. }), "{error}");
        assert!(addresses(&mut socket).is_empty());
    });
}

#[test]
fn ordinary_user_is_refused_by_the_kernel() {
    vnet_testns::user(|| {
        let outcome = submit(&mut socket(), new_address(1), exclusive());
        let (0, refusal) = outcome.into_result().unwrap_err() else { panic!() };
        assert_eq!(refusal.errno, Errno::PERM);
    });
}

#[test]
fn no_acknowledgement_is_lost_in_a_small_receive_buffer() {
    vnet_testns::root(|| {
        for room_bytes in [0, 8 * 1024, 100_000] {
            let socket = socket();
            sockopt::set_socket_recv_buffer_size(&socket, room_bytes).unwrap();
            let mut socket = Socket::from_fd(socket.into_fd()).unwrap();
            let gateway = Ipv4Addr::new(192, 0, 2, 1);
            let route = || new_route(Ipv4Addr::new(10, 9, 0, 0), gateway);
            let mut batch = batch((0..1000).map(|_| route()), exclusive());
            let outcome = socket.submit(&mut batch).unwrap();
            assert_eq!(outcome.refusals().len(), 1000);
            assert!(outcome.refusals().iter().all(|(_, refusal)| refusal.message.is_some()));
        }
    });
}

#[test]
fn lost_acknowledgements_are_an_error_and_the_socket_goes_on() {
    vnet_testns::root(|| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let mut batch = batch((0..300).map(new_address), exclusive());
        // The socket does not know that its receive buffer shrank.
        sockopt::set_socket_recv_buffer_size(&socket, 0).unwrap();
        let error = socket.submit(&mut batch).unwrap_err();
        assert!(matches!(error, Error::AnswersLost { sent: 300 }), "{error:?}");
        assert_eq!(addresses(&mut socket).len(), 300);
        assert!(submit(&mut socket, new_address(301), exclusive()).is_ok());
    });
}

#[test]
fn answers_to_somebody_else_s_request_are_skipped() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let stale = batch([new_address(1)], exclusive());
        rustix::net::send(&socket, stale.as_bytes(), SendFlags::empty()).unwrap();
        let outcome = submit(&mut socket, new_address(1), exclusive());
        assert_eq!(outcome.into_result().unwrap_err().1.errno, Errno::EXIST);
    });
}

#[test]
fn answers_longer_than_an_acknowledgement_do_not_disturb() {
    const NLM_F_REQUEST_DUMP: u16 = 0x301;
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch((0..500).map(new_address), exclusive());
        assert!(socket.submit(&mut batch).unwrap().is_ok());
        // A dump of which nobody reads the parts: 32 KiB the longest.
        let mut request = batch.message_bytes(0)[..24].to_vec();
        request[0..4].copy_from_slice(&24u32.to_ne_bytes());
        request[4..6].copy_from_slice(&RTM_GETADDR.to_ne_bytes());
        request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        request[17..24].fill(0);
        rustix::net::send(&socket, &request, SendFlags::empty()).unwrap();
        let outcome = socket.submit(&mut batch).unwrap();
        assert_eq!(outcome.refusals().len(), 500);
        // Echoes that nobody asked to see.
        let outcome = submit(&mut socket, new_veth("a", "b"), exclusive() | Flags::ECHO);
        assert!(outcome.is_ok());
        vnet_testns::sh("ip link del dev a");
    });
}
