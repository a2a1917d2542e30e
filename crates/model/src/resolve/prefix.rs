//! Arithmetic on prefixes: their host addresses, and the subnets in them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Returns the addresses of a prefix that hosts may have, in order.
///
/// Left out are the network's and the broadcast address of IPv4 (RFC 1122, section 3.2.1.3) and
/// the subnet-router anycast address of IPv6 (RFC 4291, section 2.6.1); of a point-to-point /31
/// (RFC 3021) or /127 (RFC 6164) both addresses are hosts'.
///
/// Left out is what is `reserved`, too; a large prefix of that is passed over in one go.
pub(super) fn hosts_outside(prefix: IpNet, reserved: &[IpNet]) -> impl Iterator<Item = IpAddr> {
    let (first, last) = host_bounds(&prefix);
    let same = |net: &&IpNet| net.addr().is_ipv4() == prefix.addr().is_ipv4();
    let mut closed: Vec<(u128, u128)> = reserved
        .iter()
        .filter(same)
        .map(|net| (bits(net.network()), bits(net.broadcast())))
        .collect();
    closed.sort_unstable();
    let mut open = Vec::new();
    let mut from = Some(first);
    for (start, end) in closed {
        let Some(at) = from else { break };
        if start > at {
            open.push(at..=(start - 1).min(last));
        }
        from = end.checked_add(1).map(|next| next.max(at));
    }
    open.extend(from.map(|at| at..=last));
    open.into_iter().flatten().map(move |bits| address(&prefix, bits))
}

/// Counts the addresses of a prefix that hosts may have.
pub(super) fn room(prefix: &IpNet) -> u128 {
    let (first, last) = host_bounds(prefix);
    (last - first).saturating_add(1)
}

/// Counts the subnets of this length in a prefix.
pub(super) fn subnet_count(prefix: &IpNet, len: u8) -> u128 {
    match len.checked_sub(prefix.prefix_len()) {
        Some(bits) => 1u128.checked_shl(bits.into()).unwrap_or(u128::MAX),
        None => 0,
    }
}

/// Returns the subnet of this length with this number in a prefix that has so many.
pub(super) fn subnet(prefix: &IpNet, len: u8, nth: u128) -> IpNet {
    let size = u32::from(prefix.max_prefix_len() - len);
    let addr = address(prefix, bits(prefix.network()) + (nth << size));
    IpNet::new(addr, len).expect("a length within the family's")
}

fn host_bounds(prefix: &IpNet) -> (u128, u128) {
    let (network, last) = (bits(prefix.network()), bits(prefix.broadcast()));
    match (prefix, prefix.max_prefix_len() - prefix.prefix_len()) {
        (_, 0 | 1) => (network, last),
        (IpNet::V4(_), _) => (network + 1, last - 1),
        (IpNet::V6(_), _) => (network + 1, last),
    }
}

fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u32::from(addr).into(),
        IpAddr::V6(addr) => addr.into(),
    }
}

/// Makes an address of the family of `prefix`, whose bits are known to fit.
fn address(prefix: &IpNet, bits: u128) -> IpAddr {
    match prefix {
        IpNet::V4(_) => IpAddr::V4((bits as u32).into()),
        IpNet::V6(_) => IpAddr::V6(bits.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_leave_out_what_no_host_has() {
        let hosts = |prefix: &str| -> Vec<String> {
            let hosts = hosts_outside(prefix.parse().unwrap(), &[]).take(3);
            hosts.map(|addr| addr.to_string()).collect()
        };
        assert_eq!(hosts("10.0.0.0/30"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(hosts("10.0.0.0/31"), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!(hosts("10.0.0.7/32"), ["10.0.0.7"]);
        assert_eq!(hosts("2001:db8::/64"), ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(hosts("2001:db8::/127"), ["2001:db8::", "2001:db8::1"]);
        assert_eq!(hosts("2001:db8::/126"), ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
        assert_eq!(hosts("0.0.0.0/0"), ["0.0.0.1", "0.0.0.2", "0.0.0.3"]);
    }

    #[test]
    fn hosts_leave_out_what_is_reserved() {
        let hosts = |prefix: &str, reserved: &[&str]| -> Vec<String> {
            let reserved: Vec<IpNet> = reserved.iter().map(|net| net.parse().unwrap()).collect();
            let hosts = hosts_outside(prefix.parse().unwrap(), &reserved).take(3);
            hosts.map(|addr| addr.to_string()).collect()
        };
        let small = "10.0.0.0/29";
        assert_eq!(hosts(small, &["10.0.0.1/32"]), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        assert_eq!(
            hosts(small, &["10.0.0.2/31", "10.0.0.5/32"]),
            ["10.0.0.1", "10.0.0.4", "10.0.0.6"]
        );
        // Overlapping, in no order, of the other family, and around the whole.
        assert_eq!(
            hosts(small, &["10.0.0.3/32", "10.0.0.0/30", "::/0"]),
            ["10.0.0.4", "10.0.0.5", "10.0.0.6"]
        );
        assert!(hosts(small, &["10.0.0.0/8"]).is_empty());
        assert!(hosts("::/0", &["::/0"]).is_empty());
        assert_eq!(hosts("2001:db8::/64", &["2001:db8::/65"])[0], "2001:db8:0:0:8000::");
    }

    #[test]
    fn rooms_are_counted() {
        for (prefix, count) in [
            ("10.0.0.0/29", 6),
            ("10.0.0.0/31", 2),
            ("10.0.0.0/32", 1),
            ("2001:db8::/64", (1 << 64) - 1),
            ("::/0", u128::MAX),
        ] {
            assert_eq!(room(&prefix.parse().unwrap()), count, "{prefix}");
        }
    }

    #[test]
    fn subnets_are_cut_in_order() {
        let prefix: IpNet = "10.1.0.0/29".parse().unwrap();
        assert_eq!(subnet_count(&prefix, 31), 4);
        assert_eq!(subnet(&prefix, 31, 3).to_string(), "10.1.0.6/31");
        assert_eq!(subnet_count(&"10.1.0.0/32".parse().unwrap(), 31), 0);
        let prefix: IpNet = "2001:db8::/32".parse().unwrap();
        assert_eq!(subnet(&prefix, 127, 5).to_string(), "2001:db8::a/127");
    }
}
