use proptest::prelude::*;

use super::*;
use crate::attr::Writer;
use crate::batch::Batch;
use crate::flags::Flags;

/// An acknowledgement: its error, the request it repeats, its attributes.
fn payload(error: i32, request: &[u8], write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut payload = error.to_ne_bytes().to_vec();
    payload.extend_from_slice(request);
    write(&mut Writer::new(&mut payload));
    payload
}

fn message(kind: u16, flags: u16, payload: &[u8]) -> Message<'_> {
    Message { kind, flags, sequence: 1, port: 1, payload }
}

fn request() -> Batch {
    let mut batch = Batch::new();
    batch.push_raw(24, Flags::CREATE, |route| {
        route.header(&[0; 12]).u32(1, 0).u32(5, 0);
    });
    batch
}

#[test]
fn success_has_no_refusal() {
    let batch = request();
    let payload = payload(0, &batch.as_bytes()[..16], |_| {});
    let ack = Ack::parse(&message(NLMSG_ERROR, NLM_F_CAPPED, &payload)).unwrap();
    assert_eq!(ack.into_result(Protocol::Route, batch.as_bytes()), Ok(None));
}

#[test]
fn success_may_come_with_a_warning() {
    let batch = request();
    let payload = payload(0, &batch.as_bytes()[..16], |ack| {
        ack.text(NLMSGERR_ATTR_MSG, "mind the gap");
    });
    let flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
    let ack = Ack::parse(&message(NLMSG_ERROR, flags, &payload)).unwrap();
    let warning = Some("mind the gap".to_owned());
    assert_eq!(ack.into_result(Protocol::Route, batch.as_bytes()), Ok(warning));
}

#[test]
fn refusal_without_words_is_shown_in_the_c_library_s() {
    let batch = request();
    let payload = payload(-17, &batch.as_bytes()[..16], |_| {});
    let ack = Ack::parse(&message(NLMSG_ERROR, NLM_F_CAPPED, &payload)).unwrap();
    let refusal = ack.into_result(Protocol::Route, batch.as_bytes()).unwrap_err();
    assert_eq!(refusal.to_string(), "File exists (EEXIST)");
    assert_eq!((refusal.offset, refusal.attribute), (None, None));
}

#[test]
fn refusal_is_shown_in_the_kernel_s_words() {
    let batch = request();
    let flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
    let offset = 16 + 12 + 8;
    let payload = payload(-22, &batch.as_bytes()[..16], |ack| {
        ack.text(NLMSGERR_ATTR_MSG, "Nexthop has invalid gateway\n")
            .u32(NLMSGERR_ATTR_OFFS, offset);
    });
    let ack = Ack::parse(&message(NLMSG_ERROR, flags, &payload)).unwrap();
    let mut refusal = ack.into_result(Protocol::Route, batch.as_bytes()).unwrap_err();
    assert_eq!(refusal.to_string(), "Nexthop has invalid gateway (EINVAL)");
    assert_eq!(refusal.offset, Some(offset));
    assert_eq!(refusal.attribute.as_ref().unwrap().types(), [5]);
    refusal.message = None;
    assert_eq!(refusal.to_string(), "Invalid argument (EINVAL) at attribute 5");
}

#[test]
fn refusal_names_a_missing_attribute() {
    let batch = request();
    let flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
    let payload = payload(-22, &batch.as_bytes()[..16], |ack| {
        ack.u32(NLMSGERR_ATTR_MISS_TYPE, 3).u32(NLMSGERR_ATTR_MISS_NEST, 28);
    });
    let ack = Ack::parse(&message(NLMSG_ERROR, flags, &payload)).unwrap();
    let refusal = ack.into_result(Protocol::Route, batch.as_bytes()).unwrap_err();
    assert_eq!((refusal.missing, refusal.missing_nest), (Some(3), Some(28)));
    assert_eq!(refusal.to_string(), "Invalid argument (EINVAL), attribute 3 is missing");
}

#[test]
fn uncapped_refusal_repeats_the_request_before_its_attributes() {
    let batch = request();
    let payload = payload(-22, batch.as_bytes(), |ack| {
        ack.text(NLMSGERR_ATTR_MSG, "no");
    });
    let ack = Ack::parse(&message(NLMSG_ERROR, NLM_F_ACK_TLVS, &payload)).unwrap();
    assert_eq!(ack.message.as_deref(), Some("no"));
}

#[test]
fn offset_outside_of_the_request_points_at_nothing() {
    let batch = request();
    for offset in [0, 15, 43, 44, 1000, u32::MAX] {
        let ack = Ack { errno: Some(Errno::INVAL), offset: Some(offset), ..Ack::default() };
        let refusal = ack.into_result(Protocol::Route, batch.as_bytes()).unwrap_err();
        assert_eq!((refusal.offset, refusal.attribute), (Some(offset), None));
    }
}

#[test]
fn too_short_an_acknowledgement_is_none() {
    assert_eq!(Ack::parse(&message(NLMSG_ERROR, 0, &[0, 0, 0])), None);
    // Cut off behind the error: the error counts.
    let ack = Ack::parse(&message(NLMSG_ERROR, NLM_F_ACK_TLVS, &(-17i32).to_ne_bytes())).unwrap();
    assert_eq!(ack, Ack { errno: Some(Errno::EXIST), ..Ack::default() });
}

#[test]
fn end_of_a_dump_may_carry_an_error() {
    let end = |payload: &[u8]| Ack::parse_done(&message(NLMSG_DONE, NLM_F_ACK_TLVS, payload));
    assert_eq!(end(&[]), Ack::default());
    assert_eq!(end(&0i32.to_ne_bytes()), Ack::default());
    assert_eq!(end(&300i32.to_ne_bytes()), Ack::default());
    let with_words = payload(-95, &[], |ack| {
        ack.text(NLMSGERR_ATTR_MSG, "not here");
    });
    let ack = end(&with_words);
    assert_eq!((ack.errno, ack.message.as_deref()), (Some(Errno::OPNOTSUPP), Some("not here")));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        flags in any::<u16>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        request in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let message = message(NLMSG_ERROR, flags, &bytes);
        let acks = Ack::parse(&message).into_iter().chain([Ack::parse_done(&message)]);
        for ack in acks {
            if let Err(refusal) = ack.into_result(Protocol::Route, &request) {
                prop_assert!(!refusal.to_string().is_empty());
            }
        }
    }
}
