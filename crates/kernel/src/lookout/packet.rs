//! Finds in a packet what it is known by, whatever headers stand before it.
//!
//! Nothing here trusts a length: whatever the bytes, it is found or it is not.

use vnet_model::sighting::Heading;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
/// Of ICMP, of UDP, and of a fragment in IPv6.
const HEADER_BYTES: usize = 8;

/// Flags of TCP (RFC 9293, section 3.1).
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Tells which way a packet goes that carries this cookie at the beginning of its payload, if it is
/// one. `port`: the one that was asked, for a datagram.
pub(super) fn with_cookie(packet: &[u8], cookie: &[u8; 8], port: Option<u16>) -> Option<Heading> {
    let at = places(packet, cookie).find(|at| *at >= HEADER_BYTES)?;
    let header = at - HEADER_BYTES;
    let (ip, protocol) = ip_before(packet, header)?;
    if is_quoted(packet, ip) {
        return Some(Heading::Refusal);
    }
    match (protocol, packet[header]) {
        (ICMP, 8) | (ICMPV6, 128) => Some(Heading::Forth),
        (ICMP, 0) | (ICMPV6, 129) => Some(Heading::Back),
        (UDP, _) => {
            let from = u16::from_be_bytes([packet[header], packet[header + 1]]);
            Some(if Some(from) == port { Heading::Back } else { Heading::Forth })
        }
        _ => None,
    }
}

/// Tells with which sequence number a packet asks for a connection, if it does and comes from this
/// port.
pub(super) fn asks_for_connection(packet: &[u8], port: u16) -> Option<u32> {
    let header = match packet.first()? >> 4 {
        4 if *packet.get(9)? == TCP => usize::from(packet[0] & 0xf) * 4,
        6 if *packet.get(6)? == TCP => IPV6_BYTES,
        _ => return None,
    };
    let tcp: &[u8; 14] = packet.get(header..)?.first_chunk()?;
    let asks = tcp[13] & (SYN | ACK) == SYN && tcp[..2] == port.to_be_bytes();
    asks.then(|| u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]))
}

/// Tells which way a packet goes that belongs to the beginning of the connection with this number.
pub(super) fn of_connection(packet: &[u8], number: u32) -> Option<Heading> {
    let asked = number.to_be_bytes();
    let answered = number.wrapping_add(1).to_be_bytes();
    // The number is behind the ports; what it is answered by, behind that.
    let forth = places(packet, &asked).filter_map(|at| at.checked_sub(4));
    let back = places(packet, &answered).filter_map(|at| at.checked_sub(8));
    for (tcp, is_forth) in forth.map(|at| (at, true)).chain(back.map(|at| (at, false))) {
        let Some((ip, TCP)) = ip_before(packet, tcp) else { continue };
        // An error repeats 8 bytes at least, so flags may not be there.
        if is_quoted(packet, ip) {
            return Some(Heading::Refusal);
        }
        match packet.get(tcp + 13).map(|flags| flags & (SYN | ACK | RST)) {
            Some(SYN) if is_forth => return Some(Heading::Forth),
            Some(flags) if !is_forth && flags == SYN | ACK => return Some(Heading::Back),
            Some(flags) if !is_forth && flags & RST != 0 => return Some(Heading::Refusal),
            _ => {}
        }
    }
    None
}

/// The even places at which these bytes stand.
fn places<'p>(packet: &'p [u8], wanted: &'p [u8]) -> impl Iterator<Item = usize> + 'p {
    (0..packet.len()).step_by(2).filter(|at| packet[*at..].starts_with(wanted))
}

/// Finds the IP header that ends at this place: where it begins, and what it carries.
fn ip_before(packet: &[u8], end: usize) -> Option<(usize, u8)> {
    let known = |protocol: u8| matches!(protocol, ICMP | TCP | UDP | ICMPV6);
    if let Some(at) = end.checked_sub(IPV4_BYTES)
        && *packet.get(at)? == 0x45
        && known(packet[at + 9])
    {
        return Some((at, packet[at + 9]));
    }
    let v6 = |at: usize| packet.get(at).is_some_and(|first| first >> 4 == 6);
    if let Some(at) = end.checked_sub(IPV6_BYTES)
        && v6(at)
        && known(packet[at + 6])
    {
        return Some((at, packet[at + 6]));
    }
    let at = end.checked_sub(IPV6_BYTES + HEADER_BYTES)?;
    let fragment = end - HEADER_BYTES;
    (v6(at) && packet[at + 6] == FRAGMENT && known(packet[fragment]))
        .then(|| (at, packet[fragment]))
}

/// Tells whether an IP header stands in an ICMP error.
fn is_quoted(packet: &[u8], ip: usize) -> bool {
    let Some(header) = ip.checked_sub(HEADER_BYTES) else { return false };
    match ip_before(packet, header) {
        Some((_, ICMP)) => matches!(packet[header], 3 | 11 | 12),
        Some((_, ICMPV6)) => matches!(packet[header], 1..=4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = *b"vnet-why";

    fn ipv4(protocol: u8, inner: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(inner);
        packet
    }

    fn ipv6(protocol: u8, inner: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        packet.extend([0xfd; 32]);
        packet.extend(inner);
        packet
    }

    fn echo(kind: u8) -> Vec<u8> {
        [&[kind, 0, 0, 0, 1, 2, 3, 4], COOKIE.as_slice(), &[0; 8]].concat()
    }

    fn tcp(sport: u16, number: u32, answer: u32, flags: u8) -> Vec<u8> {
        let mut header = [sport.to_be_bytes(), 80_u16.to_be_bytes()].concat();
        header.extend(number.to_be_bytes());
        header.extend(answer.to_be_bytes());
        header.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
        header
    }

    fn heading(packet: &[u8]) -> Option<Heading> {
        with_cookie(packet, &COOKIE, None)
    }

    #[test]
    fn requests_answers_and_errors_are_told_apart() {
        assert_eq!(heading(&ipv4(ICMP, &echo(8))), Some(Heading::Forth));
        assert_eq!(heading(&ipv4(ICMP, &echo(0))), Some(Heading::Back));
        assert_eq!(heading(&ipv6(ICMPV6, &echo(128))), Some(Heading::Forth));
        assert_eq!(heading(&ipv6(ICMPV6, &echo(129))), Some(Heading::Back));
        let quoted = [vec![3, 1, 0, 0, 0, 0, 0, 0], ipv4(ICMP, &echo(8))].concat();
        assert_eq!(heading(&ipv4(ICMP, &quoted)), Some(Heading::Refusal));
        let quoted = [vec![1, 0, 0, 0, 0, 0, 0, 0], ipv6(ICMPV6, &echo(128))].concat();
        assert_eq!(heading(&ipv6(ICMPV6, &quoted)), Some(Heading::Refusal));
        assert_eq!(with_cookie(&ipv4(ICMP, &echo(8)), b"vnet-how", None), None);
    }

    #[test]
    fn a_tunnel_is_looked_through() {
        let gre = [vec![0, 0, 8, 0], ipv4(ICMP, &echo(8))].concat();
        assert_eq!(heading(&ipv4(47, &gre)), Some(Heading::Forth));
        let frame = [vec![0; 12], vec![8, 0], ipv4(ICMP, &echo(0))].concat();
        let vxlan = [vec![0, 1, 18, 181, 0, 0, 0, 0], vec![8, 0, 0, 0, 0, 0, 7, 0], frame].concat();
        assert_eq!(heading(&ipv4(UDP, &vxlan)), Some(Heading::Back));
    }

    #[test]
    fn a_connection_is_known_by_its_number() {
        let number = 0x8123_4567;
        let syn = ipv4(TCP, &tcp(4000, number, 0, SYN));
        assert_eq!(asks_for_connection(&syn, 4000), Some(number));
        assert_eq!(asks_for_connection(&syn, 4001), None);
        assert_eq!(of_connection(&syn, number), Some(Heading::Forth));
        assert_eq!(of_connection(&syn, number + 1), None);
        let answer = ipv6(TCP, &tcp(80, 7, number + 1, SYN | ACK));
        assert_eq!(of_connection(&answer, number), Some(Heading::Back));
        let reset = ipv4(TCP, &tcp(80, 0, number + 1, RST | ACK));
        assert_eq!(of_connection(&reset, number), Some(Heading::Refusal));
        // As much of it as an error has to repeat.
        let quoted = [vec![3, 13, 0, 0, 0, 0, 0, 0], syn[..28].to_vec()].concat();
        assert_eq!(of_connection(&ipv4(ICMP, &quoted), number), Some(Heading::Refusal));
        // What goes on in the connection is not its beginning.
        let later = ipv4(TCP, &tcp(4000, number + 1, 8, ACK));
        assert_eq!(of_connection(&later, number), None);
    }

    #[test]
    fn datagrams_are_told_apart_by_the_port() {
        let datagram = |from: u16, to: u16| {
            let ports = [from.to_be_bytes(), to.to_be_bytes(), [0, 24], [0, 0]].concat();
            ipv4(UDP, &[ports, COOKIE.to_vec()].concat())
        };
        assert_eq!(with_cookie(&datagram(9, 53), &COOKIE, Some(53)), Some(Heading::Forth));
        assert_eq!(with_cookie(&datagram(53, 9), &COOKIE, Some(53)), Some(Heading::Back));
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        let whole = ipv4(ICMP, &echo(8));
        for length in 0..36 {
            assert_eq!(heading(&whole[..length]), None, "{length}");
        }
        let syn = ipv4(TCP, &tcp(4000, 1, 0, SYN));
        for length in 0..33 {
            assert_eq!(asks_for_connection(&syn[..length], 4000), None, "{length}");
            assert_eq!(of_connection(&syn[..length], 1), None, "{length}");
        }
    }
}
