use proptest::prelude::*;

use super::*;

const PAYLOAD: &[u8] = b"0123456789abc";

/// An IPv4 header without options, from 10.0.0.1 to 10.0.0.2.
fn ipv4(protocol: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(rest);
    packet
}

fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    packet.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    packet.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
    packet.extend(rest);
    packet
}

fn error(kind: u8, code: u8, rest: [u8; 4], original: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, code, 0, 0];
    icmp.extend(rest);
    icmp.extend(original);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    icmp
}

fn request() -> Vec<u8> {
    let mut out = Vec::new();
    emit_request(Echo { id: 0x1234, seq: 7, payload: PAYLOAD }, &mut out);
    out
}

fn request_v6() -> Vec<u8> {
    let mut out = Vec::new();
    emit_request_v6(Echo { id: 0x1234, seq: 7, payload: PAYLOAD }, &mut out);
    out
}

#[test]
fn checksum_is_that_of_rfc_1071() {
    // RFC 1071, section 3: the sum of these bytes is ddf2.
    assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    assert_eq!(checksum(&[]), 0xffff);
    assert_eq!(checksum(&[0xff]), 0x00ff);
    assert_eq!(checksum(&[0xff; 65536]), 0);
}

#[test]
fn a_reply_is_read_and_a_flipped_bit_is_not() {
    let mut reply = request();
    reply[0] = ECHO_REPLY;
    reply[2..4].fill(0);
    let sum = checksum(&reply);
    reply[2..4].copy_from_slice(&sum.to_be_bytes());
    let packet = ipv4(PROTO_ICMP, &reply);
    let expected = Message::Reply(Echo { id: 0x1234, seq: 7, payload: PAYLOAD });
    assert_eq!(parse_ipv4(&packet), Some((Ipv4Addr::new(10, 0, 0, 1), expected)));
    for at in 20..packet.len() {
        let mut corrupt = packet.clone();
        corrupt[at] ^= 0x10;
        assert_eq!(parse_ipv4(&corrupt), None, "byte {at}");
    }
}

#[test]
fn requests_and_strange_protocols_are_passed_over() {
    assert_eq!(parse_ipv4(&ipv4(PROTO_ICMP, &request())), None);
    assert_eq!(parse_ipv4(&ipv4(17, &request())), None);
    assert_eq!(parse_icmpv6(&request_v6()), None);
    let about_udp = error(3, 3, [0; 4], &ipv4(17, &request()));
    assert_eq!(parse_ipv4(&ipv4(PROTO_ICMP, &about_udp)), None);
    let mut later_fragment = ipv4(PROTO_ICMP, &request());
    later_fragment[7] = 1;
    let about_it = error(3, 1, [0; 4], &later_fragment);
    assert_eq!(parse_ipv4(&ipv4(PROTO_ICMP, &about_it)), None);
}

#[test]
fn errors_name_their_reason() {
    let cases = [
        (3, 0, Reason::NetworkUnreachable),
        (3, 1, Reason::HostUnreachable),
        (3, 2, Reason::ProtocolUnreachable),
        (3, 3, Reason::PortUnreachable),
        (3, 4, Reason::PacketTooBig { mtu_bytes: 1400 }),
        (3, 5, Reason::Other { kind: 3, code: 5 }),
        (3, 13, Reason::Prohibited),
        (11, 0, Reason::TtlExceeded),
        (11, 1, Reason::Other { kind: 11, code: 1 }),
    ];
    let original = ipv4(PROTO_ICMP, &request());
    for (kind, code, reason) in cases {
        let packet = ipv4(PROTO_ICMP, &error(kind, code, [0, 0, 0x05, 0x78], &original));
        let request = Echo { id: 0x1234, seq: 7, payload: PAYLOAD };
        let dst = Ipv4Addr::new(10, 0, 0, 2).into();
        let expected = Message::Error { reason, dst, request };
        assert_eq!(parse_ipv4(&packet), Some((Ipv4Addr::new(10, 0, 0, 1), expected)));
    }
}

#[test]
fn an_error_may_repeat_only_8_bytes() {
    let original = ipv4(PROTO_ICMP, &request()[..8]);
    let packet = ipv4(PROTO_ICMP, &error(3, 1, [0; 4], &original));
    let Some((_, Message::Error { request, .. })) = parse_ipv4(&packet) else { panic!() };
    assert_eq!(request, Echo { id: 0x1234, seq: 7, payload: &[] });
}

#[test]
fn v6_errors_name_their_reason() {
    let cases = [
        (1, 0, Reason::NetworkUnreachable),
        (1, 1, Reason::Prohibited),
        (1, 2, Reason::Other { kind: 1, code: 2 }),
        (1, 3, Reason::HostUnreachable),
        (1, 4, Reason::PortUnreachable),
        (2, 0, Reason::PacketTooBig { mtu_bytes: 1400 }),
        (3, 0, Reason::TtlExceeded),
        (4, 1, Reason::ProtocolUnreachable),
    ];
    let mut fragment = vec![PROTO_ICMPV6, 0, 0, 1, 0, 0, 0, 9];
    fragment.extend(request_v6());
    for original in [ipv6(PROTO_ICMPV6, &request_v6()), ipv6(PROTO_FRAGMENT, &fragment)] {
        for (kind, code, reason) in cases {
            let icmp = error(kind, code, [0, 0, 0x05, 0x78], &original);
            let request = Echo { id: 0x1234, seq: 7, payload: PAYLOAD };
            let dst = "2001:db8::2".parse().unwrap();
            assert_eq!(parse_icmpv6(&icmp), Some(Message::Error { reason, dst, request }));
        }
    }
}

#[test]
fn truncated_packets_are_not_read_as_whole() {
    let v4 = ipv4(PROTO_ICMP, &error(3, 1, [0; 4], &ipv4(PROTO_ICMP, &request()[..8])));
    for length in 0..v4.len() {
        assert_eq!(parse_ipv4(&v4[..length]), None, "{length} bytes");
    }
    let v6 = error(1, 0, [0; 4], &ipv6(PROTO_ICMPV6, &request_v6()[..8]));
    for length in 0..v6.len() {
        assert_eq!(parse_icmpv6(&v6[..length]), None, "{length} bytes");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_ipv4(&bytes);
        let _ = parse_icmpv6(&bytes);
    }

    #[test]
    fn no_changed_error_panics(at in 0usize..100, byte: u8, length in 0usize..100) {
        let mut v4 = ipv4(PROTO_ICMP, &error(3, 1, [0; 4], &ipv4(PROTO_ICMP, &request())));
        let mut v6 = error(1, 0, [0; 4], &ipv6(PROTO_ICMPV6, &request_v6()));
        for packet in [&mut v4, &mut v6] {
            let index = at % packet.len();
            packet[index] = byte;
            packet.truncate(length);
        }
        // The checksum would hide what is behind it.
        if v4.len() > 24 {
            v4[22..24].fill(0);
            let sum = checksum(&v4[20..]);
            v4[22..24].copy_from_slice(&sum.to_be_bytes());
        }
        let _ = parse_ipv4(&v4);
        let _ = parse_icmpv6(&v6);
    }

    #[test]
    fn a_request_sums_up_to_zero(id: u16, seq: u16, payload: Vec<u8>) {
        let mut out = Vec::new();
        emit_request(Echo { id, seq, payload: &payload }, &mut out);
        prop_assert_eq!(checksum(&out), 0);
        prop_assert_eq!(echo(&out), Some(Echo { id, seq, payload: &payload }));
    }
}
