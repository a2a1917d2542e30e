//! A dozen networks, each of which has something that the others have not.

use vnet_model::topology::{Link, Node, Routing, Segment};
use vnet_model::{Mac, NextHop, NodeName, Route, RouteKind, Topology};

use super::{Lab, dev, net, route, special, via};

/// Returns all of them by name.
pub(crate) fn all() -> Vec<(&'static str, Lab)> {
    vec![
        ("lonely", Lab::new().nodes(&["a", "b"])),
        ("pair", pair()),
        ("dual stack", dual_stack()),
        ("inside", inside()),
        ("segment", segment()),
        ("nested bridges", nested_bridges()),
        ("settings", settings()),
        ("odd names", odd_names()),
        ("routes", routes()),
        ("multipath", multipath()),
        ("router", router()),
        ("down", down()),
        ("sysctls", sysctls()),
        ("no ipv6", no_ipv6()),
        ("loopback", loopback()),
        ("resolved", resolved()),
    ]
}

/// Two nodes, one cable.
pub(crate) fn pair() -> Lab {
    let lab = Lab::new().nodes(&["a", "b"]).veth("a:eth0", "b:eth0");
    lab.addresses("a:eth0", &["10.0.0.1/24"]).addresses("b:eth0", &["10.0.0.2/24"])
}

fn dual_stack() -> Lab {
    let addresses_a = ["10.0.0.1/24", "10.0.0.3/24", "10.1.0.0/31", "2001:db8::1/64", "fe80::1/64"];
    let addresses_b =
        ["10.0.0.2/24", "10.1.0.1/31", "10.2.0.1/32", "2001:db8::2/64", "2001:db8:1::1/128"];
    let lab = Lab::new().nodes(&["a", "b"]).veth("a:eth0", "b:eth0");
    lab.addresses("a:eth0", &addresses_a)
        .addresses("b:eth0", &addresses_b)
        .route("a", route("2001:db8:1::/64", &[via("2001:db8::2", "eth0")]))
        .route("a", route("10.2.0.0/24", &[via("10.0.0.2", "eth0")]))
        .route("b", route("::/0", &[via("fe80::1", "eth0")]))
}

/// A pair with both ends in one namespace.
fn inside() -> Lab {
    let lab = Lab::new().nodes(&["a"]).veth("a:x", "a:y");
    lab.addresses("a:x", &["10.0.0.1/24"]).set("a:y", |i| i.mtu = Some(1400))
}

/// Three nodes at a bridge in a namespace of its own.
pub(crate) fn segment() -> Lab {
    let lab = Lab::new().nodes(&["a", "b", "c", "s"]).bridge("s:lan", false);
    let lab = lab.sysctl("s", "net.ipv6.conf.default.disable_ipv6", "1");
    ["a", "b", "c"].iter().zip(1..).fold(lab, |lab, (node, number)| {
        let (port, eth) = (format!("s:{node}"), format!("{node}:eth0"));
        let address = format!("10.0.0.{number}/24");
        lab.veth(&port, &eth).port(&port, "lan").addresses(&eth, &[&address])
    })
}

fn nested_bridges() -> Lab {
    let lab = Lab::new().nodes(&["h", "s"]).bridge("h:br0", true).bridge("s:br0", true);
    // Of which one has ports of another MTU than its own.
    let lab = lab.set("s:br0", |i| i.mtu = Some(1400));
    let lab = lab.set("h:br0", |i| (i.mtu, i.ipv6) = (Some(1450), Some(true)));
    let lab = lab.addresses("h:br0", &["10.0.0.1/24", "2001:db8::1/64"]);
    ["p1", "p2"].iter().fold(lab, |lab, port| {
        let (a, b) = (format!("h:{port}"), format!("s:{port}"));
        lab.veth(&a, &b).port(&a, "br0").port(&b, "br0").set(&a, |i| i.mtu = Some(1450))
    })
}

fn settings() -> Lab {
    let lab = pair().set("a:eth0", |i| {
        i.mtu = Some(9000);
        i.mac = Some(Mac([2, 0, 0, 0, 0, 1]));
        i.alias = Some("it's the \"uplink\" $HOME".into());
        i.altnames = ["uplink".into(), "a-name-longer-than-fifteen-bytes".into()].into();
        i.forward_ipv4 = Some(true);
    });
    lab.set("b:eth0", |i| (i.mtu, i.ipv6) = (Some(9000), Some(false)))
}

/// Names that a shell, `ip` or `sysctl` could misread.
fn odd_names() -> Lab {
    let names = ["n", "dev", "eth0.10", "a=b", "it's", "$x", "*", "-n", "ä"];
    names.iter().fold(Lab::new().nodes(&["type", "up"]), |lab, name| {
        let (here, there) = (format!("type:{name}"), format!("up:{name}"));
        let lab = lab.veth(&here, &there).set(&there, |i| i.alias = Some((*name).into()));
        lab.set(&here, |i| (i.forward_ipv4, i.ipv6) = (Some(true), Some(false)))
    })
}

fn routes() -> Lab {
    let onlink = NextHop { onlink: true, ..via("10.5.0.1", "eth0") };
    let scoped = Route {
        table: 1000,
        metric: 50,
        src: Some("10.0.0.1".parse().unwrap()),
        ..route("10.9.0.0/24", &[via("10.0.0.2", "eth0")])
    };
    let metric6 =
        Route { metric: 7, table: 9, ..route("2001:db8:9::/48", &[via("2001:db8::2", "eth0")]) };
    let src6 = Some("2001:db8::1".parse().unwrap());
    let src6 = Route { src: src6, ..route("::/0", &[via("2001:db8::2", "eth0")]) };
    let lab =
        pair().addresses("a:eth0", &["2001:db8::1/64"]).addresses("b:eth0", &["2001:db8::2/64"]);
    let lab = lab
        .route("a", route("0.0.0.0/0", &[via("10.0.0.2", "eth0")]))
        .route("a", Route { metric: 10, ..route("0.0.0.0/0", &[NextHop::dev(dev("eth0"))]) })
        .route("a", route("10.5.0.0/16", &[onlink]))
        .route("a", route("10.6.0.0/16", &[NextHop::dev(dev("eth0"))]))
        .route("a", route("10.6.1.1/32", &[via("10.6.0.1", "eth0")]))
        .route("a", route("10.8.0.0/16", &[via("2001:db8::2", "eth0")]))
        .route("a", scoped)
        .route("a", metric6)
        .route("a", src6)
        .route("b", route("2001:db8:5::/64", &[NextHop::dev(dev("eth0"))]))
        .route("b", route("2001:db8:6::/64", &[via("2001:db8:5::1", "eth0")]));
    let kinds =
        [RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit, RouteKind::Throw];
    kinds.into_iter().zip(1..).fold(lab, |lab, (kind, number)| {
        lab.route("a", special(kind, &format!("10.7{number}.0.0/16")))
            .route("b", special(kind, &format!("2001:db8:7{number}::/48")))
    })
}

fn multipath() -> Lab {
    let lab = Lab::new().nodes(&["a", "b"]).veth("a:e0", "b:e0").veth("a:e1", "b:e1");
    let lab = lab
        .addresses("a:e0", &["10.0.0.1/24", "2001:db8::1/64"])
        .addresses("a:e1", &["10.1.0.1/24", "2001:db8:1::1/64"])
        .addresses("b:e0", &["10.0.0.2/24", "2001:db8::2/64"])
        .addresses("b:e1", &["10.1.0.2/24", "2001:db8:1::2/64"]);
    let weighed = |gateway, name, weight| NextHop { weight, ..via(gateway, name) };
    let legs4 = [weighed("10.0.0.2", "e0", 1), weighed("10.1.0.2", "e1", 256)];
    let legs6 = [weighed("2001:db8::2", "e0", 2), weighed("2001:db8:1::2", "e1", 1)];
    let onlink = [via("10.50.0.2", "e0"), via("10.51.0.2", "e1")];
    let onlink = onlink.map(|hop| NextHop { onlink: true, ..hop });
    let mixed = [via("10.0.0.2", "e0"), via("2001:db8:1::2", "e1")];
    let devices = [NextHop::dev(dev("e0")), NextHop::dev(dev("e1"))];
    lab.route("a", route("10.9.0.0/24", &legs4))
        .route("a", Route { metric: 5, table: 300, ..route("10.9.0.0/24", &legs4) })
        .route("a", route("2001:db8:9::/48", &legs6))
        .route("a", route("10.10.0.0/24", &onlink))
        .route("a", route("10.11.0.0/24", &mixed))
        .route("a", route("10.12.0.0/24", &devices))
}

/// A node that forwards between two others.
pub(crate) fn router() -> Lab {
    let lab = Lab::new().nodes(&["a", "b", "r"]).veth("a:r", "r:a").veth("b:r", "r:b");
    lab.addresses("a:r", &["10.0.1.2/24", "2001:db8:1::2/64"])
        .addresses("b:r", &["10.0.2.2/24", "2001:db8:2::2/64"])
        .addresses("r:a", &["10.0.1.1/24", "2001:db8:1::1/64"])
        .addresses("r:b", &["10.0.2.1/24", "2001:db8:2::1/64"])
        .set("r:a", |i| i.forward_ipv4 = Some(true))
        .set("r:b", |i| i.forward_ipv4 = Some(true))
        .sysctl("r", "net.ipv6.conf.all.forwarding", "1")
        .route("a", route("0.0.0.0/0", &[via("10.0.1.1", "r")]))
        .route("a", route("::/0", &[via("2001:db8:1::1", "r")]))
        .route("b", route("0.0.0.0/0", &[via("10.0.2.1", "r")]))
        .route("b", route("::/0", &[via("2001:db8:2::1", "r")]))
}

/// Interfaces that are down: IPv4 addresses stay on them.
fn down() -> Lab {
    let mut lab = pair().set("a:eth0", |i| i.up = false).bridge("a:br", false);
    lab = lab.set("a:br", |i| i.up = false);
    let lo = lab.namespace("b").interfaces.get_mut(&dev("lo")).unwrap();
    (lo.up, lo.addresses) = (false, Vec::new());
    lab
}

fn sysctls() -> Lab {
    pair()
        .sysctl("a", "net.ipv4.tcp_ecn", "1")
        .sysctl("a", "net.ipv4.ip_local_port_range", "2000 3000")
        .sysctl("a", "net.ipv4.conf.all.rp_filter", "2")
        .sysctl("a", "net.ipv4.conf.eth0.rp_filter", "1")
        .sysctl("a", "net.ipv4.neigh.eth0.gc_stale_time", "61")
        .sysctl("b", "net.ipv6.conf.default.accept_ra", "0")
}

fn no_ipv6() -> Lab {
    let lab =
        pair().set("a:eth0", |i| i.ipv6 = Some(false)).set("a:lo", |i| i.addresses.truncate(1));
    lab.sysctl("a", "net.ipv6.conf.all.disable_ipv6", "1").sysctl(
        "a",
        "net.ipv6.conf.default.disable_ipv6",
        "1",
    )
}

fn loopback() -> Lab {
    let more = ["10.255.0.1/32", "127.0.0.2/8", "2001:db8:ff::1/128"];
    let lab = pair().addresses("a:lo", &more).set("a:lo", |i| i.mtu = Some(16384));
    let src = Some("10.255.0.1".parse().unwrap());
    lab.route("a", Route { src, ..route("0.0.0.0/0", &[via("10.0.0.2", "eth0")]) })
        .route("a", route(&net("10.99.0.0/16").to_string(), &[NextHop::dev(dev("lo"))]))
}

/// What a file with a bit of everything comes to.
fn resolved() -> Lab {
    let node = |name: &str, forward, ipv6| {
        let name = NodeName::new(name).unwrap();
        Node { forward, ipv6, ..Node::new(name) }
    };
    let mut lan = Segment::new(NodeName::new("lan").unwrap());
    lan.prefixes = vec![net("10.1.0.0/24"), net("2001:db8:1::/64")];
    lan.gateway = Some(NodeName::new("r1").unwrap());
    lan.members = ["r1", "h1", "h2", "old"].map(|member| member.parse().unwrap()).into();
    let prefixes = |a, b, number| {
        let prefixes = [format!("10.0.{number}.0/31"), format!("2001:db8:{number}0::/127")];
        Link::between(a, b).unwrap().prefixes(prefixes.map(|prefix| net(&prefix)))
    };
    let topology = Topology::builder("t")
        .routing(Routing::Auto)
        .node(node("h1", false, true))
        .node(node("h2", false, true))
        .node(node("old", false, false))
        .node(node("r1", true, true))
        .node(node("r2", true, true))
        .node(node("r3", true, true))
        .segment(lan)
        .link(prefixes("r1", "r2:a-long-name", 1))
        .link(prefixes("r2", "r3", 2))
        .link(prefixes("r3", "r1", 3))
        .build()
        .unwrap();
    let desired = vnet_model::resolve(&topology).unwrap();
    Lab { name: desired.lab, state: desired.state }
}
