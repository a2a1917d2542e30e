//! The names of hosts: `/etc/hosts`, and whatever else the system's resolver asks.

use std::net::IpAddr;

/// Returns the name of the host that has an address, as the system's resolver knows it
/// (`getnameinfo(3)`); `None` where it knows none. It may ask servers, and wait for them.
#[must_use]
pub fn name_of(address: IpAddr) -> Option<String> {
    // An IPv4 address in IPv6's clothes has the name of the IPv4 address.
    let name = dns_lookup::lookup_addr(&address.to_canonical()).ok()?;
    // Where it knows no name it answers with the address.
    name.parse::<IpAddr>().is_err().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_a_name() {
        assert_eq!(name_of(IpAddr::from([127, 0, 0, 1])).as_deref(), Some("localhost"));
    }

    #[test]
    fn an_address_is_no_name() {
        // For documentation (RFC 5737): nobody has it.
        assert_eq!(name_of(IpAddr::from([192, 0, 2, 77])), None);
    }
}
