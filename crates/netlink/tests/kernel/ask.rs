use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use rustix::io::Errno;
use rustix::net::SendFlags;
use vnet_netlink::{Batch, Error, Message, Protocol, RawMessage, Socket};

use crate::*;

#[test]
fn dumps_more_than_one_buffer() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch((0..2000).map(new_address), exclusive());
        assert!(socket.submit(&mut batch).unwrap().is_ok());
        let mut found = addresses(&mut socket);
        found.sort();
        let [first, .., last] = found[..] else { panic!() };
        assert_eq!(found.len(), 2000);
        assert_eq!((first, last), (Ipv4Addr::new(10, 1, 0, 0), Ipv4Addr::new(10, 1, 7, 207)));
        // The codec's way gives the same.
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let decoded =
            socket.dump(&request, |message| Ok(Some(message.decode::<RouteNetlinkMessage>()?)));
        assert_eq!(decoded.unwrap().len(), 2000);
    });
}

#[test]
fn dump_goes_to_its_end_after_an_error_of_the_reader() {
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch((0..500).map(new_address), exclusive());
        assert!(socket.submit(&mut batch).unwrap().is_ok());
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let result = socket.dump(&request, |message| -> Result<Option<()>, Error> {
            message.attributes(10_000)?;
            Ok(None)
        });
        assert!(matches!(result, Err(Error::Attribute(_))), "{result:?}");
        assert_eq!(addresses(&mut socket).len(), 500);
    });
}

/// A dump whose every attempt is interrupted is no defect: what it must not be is returned. The pause between two
/// changes is three dumps long on the machine at hand, so that most dumps come through.
#[test]
fn dump_stays_whole_while_the_state_changes() {
    vnet_testns::root(|| {
        let mut reader = socket();
        let mut writer = socket();
        let mut batch = batch((0..2000).map(new_address), exclusive());
        assert!(writer.submit(&mut batch).unwrap().is_ok());
        let started = Instant::now();
        assert_eq!(addresses(&mut reader).len(), 2000);
        let pause = 3 * started.elapsed();
        let done = AtomicBool::new(false);
        let mut whole = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 2000..2100 {
                    assert!(submit(&mut writer, new_address(number), exclusive()).is_ok());
                    std::thread::sleep(pause);
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let mut found = match try_addresses(&mut reader) {
                    Err(Error::DumpInterrupted { .. }) => continue,
                    found => found.unwrap(),
                };
                let count = found.len();
                found.sort();
                found.dedup();
                assert_eq!(found.len(), count, "an address is listed twice");
                assert!((2000..=2100).contains(&count));
                whole += usize::from((2001..2100).contains(&count));
            }
        });
        assert!(whole > 0, "no dump came through between the changes");
        assert_eq!(addresses(&mut reader).len(), 2100);
    });
}

#[test]
fn get_of_nothing_is_refused() {
    vnet_testns::root(|| {
        let request = RouteNetlinkMessage::GetLink(named_link("nothing"));
        let answer = socket().get(&request, |_| Ok(Some(())));
        assert_eq!(answer.unwrap_err().to_string(), "No such device (ENODEV)");
    });
}

#[test]
fn dump_refused_at_its_start_says_why() {
    vnet_testns::root(|| {
        let request = RawMessage::new(RTM_GETLINK, |link| {
            link.header(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        });
        let answer = socket().dump(&request.unwrap(), |_| Ok(Some(())));
        let Err(Error::Refused(refusal)) = answer else { panic!("{answer:?}") };
        assert_eq!(refusal.errno, Errno::INVAL);
        assert_eq!(
            refusal.message.as_deref(),
            Some("Invalid values in header for link dump request")
        );
    });
}

#[test]
fn dump_that_a_former_owner_left_unfinished_is_no_obstacle() {
    const NLM_F_REQUEST_DUMP: u16 = 0x301;
    vnet_testns::root(|| {
        let mut socket = socket();
        let mut batch = batch((0..2000).map(new_address), exclusive());
        assert!(socket.submit(&mut batch).unwrap().is_ok());
        let mut request = vec![0; 24];
        request[0..4].copy_from_slice(&24u32.to_ne_bytes());
        request[4..6].copy_from_slice(&RTM_GETADDR.to_ne_bytes());
        request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        rustix::net::send(&socket, &request, SendFlags::empty()).unwrap();
        let mut heir = Socket::from_fd(socket.into_fd()).unwrap();
        assert_eq!(addresses(&mut heir).len(), 2000);
    });
}

#[test]
fn generic_family_is_found_by_its_name() {
    const GENL_ID_CTRL: u16 = 16;
    const CTRL_CMD_GETFAMILY: u8 = 3;
    const CTRL_ATTR_FAMILY_ID: u16 = 1;
    const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    vnet_testns::root(|| {
        let mut socket = Socket::open(Protocol::Generic).unwrap();
        let ask = |socket: &mut Socket, name: &str| {
            let request = RawMessage::new(GENL_ID_CTRL, |message| {
                message.header(&[CTRL_CMD_GETFAMILY, 1, 0, 0]).text(CTRL_ATTR_FAMILY_NAME, name);
            })?;
            socket.get(&request, |message| {
                let id = message.attributes(4)?.find(CTRL_ATTR_FAMILY_ID)?;
                Ok(id.map(|id| id.u16()).transpose()?)
            })
        };
        assert_eq!(ask(&mut socket, "nlctrl").unwrap(), [GENL_ID_CTRL]);
        let error = ask(&mut socket, "no such family").unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NOENT));
    });
}

#[test]
fn message_longer_than_any_before_is_asked_for_again() {
    vnet_testns::root(|| {
        const IFLA_ALT_IFNAME: u16 = 53;
        const IFLA_PROP_LIST: u16 = 52;
        const RTM_NEWLINKPROP: u16 = 108;
        const IFLA_EXT_MASK: u16 = 29;
        const RTEXT_FILTER_SKIP_STATS: u32 = 8;
        const NAMES: usize = 400;
        let mut writer = socket();
        let name = |number: usize| format!("{number:0>120}\0");
        for hundred in (0..NAMES).step_by(100) {
            let message = RawMessage::new(RTM_NEWLINKPROP, |message| {
                message.header(&[0; 4]).header(&LO.to_ne_bytes()).header(&[0; 8]);
                message.nest(IFLA_PROP_LIST, |list| {
                    for number in hundred..hundred + 100 {
                        list.bytes(IFLA_ALT_IFNAME, name(number).as_bytes());
                    }
                });
            });
            let mut batch = Batch::new();
            batch.push(&message.unwrap(), exclusive());
            assert!(writer.submit(&mut batch).unwrap().is_ok());
        }
        // Each by a socket of its own: it remembers what was long.
        // Without a filter the kernel leaves out what is longer (`rtnl_calcit`, net/core/rtnetlink.c).
        let question = |index: u32| {
            let header = [[0; 4], index.to_ne_bytes(), [0; 4], [0; 4]].concat();
            let message = RawMessage::new(RTM_GETLINK, |message| {
                message.header(&header).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
            });
            message.unwrap()
        };
        let length = |message: Message<'_>| Ok(Some(message.payload.len()));
        let dumped = socket().dump(&question(0), length).unwrap();
        let got = socket().get(&question(LO), length).unwrap();
        assert!(dumped[0] > NAMES * 120, "{dumped:?}");
        assert_eq!(dumped[0], got[0]);
    });
}
