//! Networks that nobody thought of, the same in every run.

use std::net::IpAddr;

use vnet_model::ipnet::IpNet;
use vnet_model::state::MTU_IPV6_MIN_BYTES;
use vnet_model::{Interface, NextHop, Route, RouteKind};

use super::{Lab, dev, ns, route, special, via};

/// A small generator (xorshift64*): the tests need the same numbers everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    pub(crate) fn below_usize(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below_usize(from.len())]
    }
}

/// Makes a lab that the kernel would take: what refers to something, that exists.
pub(crate) fn lab(random: &mut Random) -> Lab {
    let mut names = vec!["a", "b", "c", "d"];
    names.retain(|_| !random.one_in(4));
    let mut lab = Lab::new().nodes(&names);
    if names.is_empty() {
        return lab;
    }
    let mut interfaces = Vec::new();
    for name in &names {
        if random.one_in(3) {
            lab = lab.bridge(&format!("{name}:br"), random.one_in(2));
            lab = lab.set(&format!("{name}:br"), |i| i.up = random.one_in(2));
        }
    }
    for number in 0..random.below(6) {
        let a = format!("{}:e{number}", random.pick(&names));
        let b = format!("{}:e{}", random.pick(&names), number + random.below(2) * 10);
        if a == b {
            continue;
        }
        lab = lab.veth(&a, &b);
        interfaces.extend([a, b]);
    }
    for at in &interfaces {
        lab = with_settings(lab, at, random);
    }
    names.iter().fold(lab, |lab, name| with_routes(lab, name, random))
}

fn with_settings(lab: Lab, at: &str, random: &mut Random) -> Lab {
    let node = at.split(':').next().unwrap();
    let bridged = lab.state.namespaces[&ns(node)].interfaces.contains_key(&dev("br"));
    if bridged && random.one_in(2) {
        return lab.port(at, "br").set(at, |i| i.up = !random.one_in(3));
    }
    lab.set(at, |i| {
        i.up = !random.one_in(4);
        i.mtu = random.one_in(3).then(|| 1200 + u32::try_from(random.below(300)).unwrap());
        i.alias = random.one_in(4).then(|| format!("alias {}", random.below(3)));
        let altnames =
            (0..random.below(3)).map(|_| format!("{}-{}", at.replace(':', "-"), random.below(4)));
        i.altnames = altnames.collect();
        i.forward_ipv4 = Some(random.one_in(2));
        let small = i.mtu.is_some_and(|mtu| mtu < MTU_IPV6_MIN_BYTES);
        i.ipv6 = random.one_in(2).then(|| !small && random.one_in(2));
        for _ in 0..random.below(5) {
            let (net, host) = (random.below(3), 1 + random.below(4));
            let text = match random.below(3) {
                0 if !small && i.ipv6 != Some(false) => format!("2001:db8:{net}::{host}/64"),
                1 => format!("10.{net}.0.{host}/32"),
                _ => format!("10.{net}.0.{host}/24"),
            };
            let address = super::address(&text);
            if !i.addresses.contains(&address) {
                i.addresses.push(address);
            }
        }
    })
}

fn with_routes(lab: Lab, node: &str, random: &mut Random) -> Lab {
    let interfaces = &lab.state.namespaces[&ns(node)].interfaces;
    let up: Vec<_> = interfaces
        .iter()
        .filter(|(name, i)| i.up && i.master.is_none() && name.as_str().starts_with('e'))
        .map(|(name, i)| (name.as_str().to_owned(), i.clone()))
        .collect();
    let own: Vec<_> =
        interfaces.values().flat_map(|i| &i.addresses).map(|a| a.net.addr()).collect();
    let mut lab = lab;
    for number in 0..random.below(6) {
        let dst = format!("10.9{number}.0.0/16");
        let made = if random.one_in(5) {
            special(*random.pick(&[&RouteKind::Blackhole, &RouteKind::Prohibit]), &dst)
        } else if random.one_in(2) {
            let legs: Vec<_> = up.iter().filter_map(|i| leg(i, false, random)).collect();
            let used = 1 + random.below_usize(2);
            route(&dst, &legs[..legs.len().min(used)])
        } else {
            let leg = up.iter().find_map(|i| leg(i, true, random));
            route(&format!("2001:db8:9{number}::/48"), leg.as_slice())
        };
        if made.kind == RouteKind::Unicast && made.nexthops.is_empty() {
            continue;
        }
        let family =
            |addr: &&IpAddr| addr.is_ipv4() == made.dst.addr().is_ipv4() && !addr.is_loopback();
        let src = own.iter().find(family).copied().filter(|_| random.one_in(3));
        let table = if random.one_in(4) { 77 } else { made.table };
        let metric = if random.one_in(3) {
            1 + u32::try_from(random.below(3)).unwrap()
        } else {
            made.metric
        };
        lab = lab.route(node, Route { src, table, metric, ..made });
    }
    lab
}

/// Makes a leg to what is on the link, or through a gateway that is nobody's own, where the
/// interface has a prefix for it.
fn leg((name, i): &(String, Interface), ipv6: bool, random: &mut Random) -> Option<NextHop> {
    let has_room = |net: &IpNet| match net {
        IpNet::V4(net) => !ipv6 && net.prefix_len() == 24,
        IpNet::V6(net) => ipv6 && net.prefix_len() == 64,
    };
    let net = i.addresses.iter().map(|address| address.net).find(has_room)?;
    Some(match (net.addr(), random.one_in(3)) {
        (_, true) => NextHop::dev(dev(name)),
        (IpAddr::V4(addr), _) => via(&format!("10.{}.0.99", addr.octets()[1]), name),
        (IpAddr::V6(addr), _) => via(&format!("2001:db8:{:x}::99", addr.segments()[2]), name),
    })
}
