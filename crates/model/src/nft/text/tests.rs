use super::*;
use crate::IfName;
use crate::nft::build::{Builder, ICMP, ICMPV6, NFPROTO_IPV6, Side, TCP, UDP};
use crate::nft::{Chain, Hook, Limit, Table, TableId};
use crate::origin::Origin;

fn nets(list: &[&str]) -> Vec<ipnet::IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

fn names(list: &[&str]) -> Vec<IfName> {
    list.iter().map(|name| IfName::new(name).unwrap()).collect()
}

fn text(builder: Builder) -> String {
    rule(&builder.rule(Origin::NONE), Family::Inet)
}

#[test]
fn rules_are_written_as_nft_lists_them() {
    use Side::{Destination, Source};
    let new = Builder::new;
    let limit = Limit { rate: 10, seconds: 60, burst: 7, bytes: false, over: false };
    let cases = [
        (
            new().states(&[CtState::Established, CtState::Related]).accept(),
            "ct state established,related accept",
        ),
        (new().translated().accept(), "ct status dnat accept"),
        (new().interfaces(Source, &names(&["lo"])).accept(), "iifname \"lo\" accept"),
        (
            new().interfaces(Destination, &names(&["b", "a"])).drop(),
            "oifname { \"a\", \"b\" } drop",
        ),
        (
            new()
                .prefixes(Source, &nets(&["10.0.0.0/8"]))
                .protocols(&[TCP])
                .ports(&[(22, 22)])
                .accept(),
            "ip saddr 10.0.0.0/8 tcp dport 22 accept",
        ),
        (new().prefixes(Source, &nets(&["10.0.16.0/20"])).accept(), "ip saddr 10.0.16.0/20 accept"),
        (new().prefixes(Destination, &nets(&["10.0.0.7/32"])).accept(), "ip daddr 10.0.0.7 accept"),
        (
            new().prefixes(Destination, &nets(&["2001:db8::/32"])).accept(),
            "ip6 daddr 2001:db8::/32 accept",
        ),
        (new().prefixes(Source, &nets(&["0.0.0.0/0"])).accept(), "meta nfproto ipv4 accept"),
        (
            new().prefixes(Source, &nets(&["10.0.1.0/24", "10.0.0.9/32"])).accept(),
            "ip saddr { 10.0.0.9, 10.0.1.0/24 } accept",
        ),
        (
            new().protocols(&[UDP]).ports(&[(1000, 2000)]).counter().accept(),
            "udp dport 1000-2000 counter accept",
        ),
        (
            new().protocols(&[TCP]).ports(&[(443, 445), (80, 80)]).log("x: ").drop(),
            "tcp dport { 80, 443-445 } log prefix \"x: \" drop",
        ),
        (
            new().protocols(&[ICMP, ICMPV6]).limit(limit).accept(),
            "meta l4proto { icmp, ipv6-icmp } limit rate 10/minute burst 7 packets accept",
        ),
        (new().icmpv6_types(&[135, 136]).accept(), "icmpv6 type { 135, 136 } accept"),
        (
            new().family(NFPROTO_IPV6).reject(),
            "meta nfproto ipv6 reject with icmpx port-unreachable",
        ),
        (new().protocols(&[TCP]).reject(), "meta l4proto tcp reject with tcp reset"),
        (
            new().interfaces(Destination, &names(&["wan"])).masquerade(),
            "oifname \"wan\" masquerade",
        ),
        (
            new()
                .protocols(&[TCP])
                .ports(&[(2222, 2222)])
                .dnat("10.0.0.2".parse().unwrap(), Some(22)),
            "tcp dport 2222 meta nfproto ipv4 dnat ip to 10.0.0.2:22",
        ),
        (
            new().prefixes(Source, &nets(&["fd00::2/128"])).snat("2001:db8::1".parse().unwrap()),
            "ip6 saddr fd00::2 snat ip6 to 2001:db8::1",
        ),
    ];
    for (builder, expected) in cases {
        assert_eq!(text(builder), expected);
    }
}

#[test]
fn a_table_is_written_whole() {
    let base = Base {
        kind: crate::nft::ChainKind::Filter,
        hook: Hook::Forward,
        priority: 0,
        accepts: false,
        devices: Vec::new(),
    };
    let rules = vec![Builder::new().counter().accept().rule(Origin::NONE)];
    let id = TableId { family: Family::Inet, name: "vnet".into() };
    let chains = vec![Chain { name: "forward".into(), base: Some(base), rules }];
    let table = Table { chains, ..Table::new(id, crate::Mark::parse("vnet:demo/gw")) };
    assert_eq!(
        replace(&table),
        "table inet vnet
delete table inet vnet
table inet vnet {
\tcomment \"vnet:demo/gw\"
\tchain forward {
\t\ttype filter hook forward priority 0; policy drop;
\t\tcounter accept
\t}
}
"
    );
}

#[test]
fn frames_are_written_by_their_headers() {
    let link = |offset, len| Expr::Payload { base: PayloadBase::Link, offset, len, reg: 1 };
    let network = |offset, len| Expr::Payload { base: PayloadBase::Network, offset, len, reg: 1 };
    let is = |bytes: &[u8]| Expr::Cmp { reg: 1, op: CmpOp::Eq, data: Data::from(bytes.to_vec()) };
    let meta = |key| Expr::Meta { key, reg: 1 };
    let drop = Expr::Verdict(Verdict::Drop);
    let ether = u16::to_ne_bytes(1);
    // As nft 1.0.6 writes them for bridges and interfaces, with what it says of itself.
    let cases: Vec<(Vec<Expr>, &str)> = vec![
        (vec![link(12, 2), is(&[8, 6])], "ether type arp"),
        (vec![link(6, 6), is(&[2, 0, 0, 0, 0, 1])], "ether saddr 02:00:00:00:00:01"),
        (
            vec![meta(Meta::IifType), is(&ether), link(0, 6), is(&[0xff; 6])],
            "ether daddr ff:ff:ff:ff:ff:ff",
        ),
        (
            vec![meta(Meta::Protocol), is(&[8, 0]), network(12, 4), is(&[10, 0, 0, 1])],
            "ip saddr 10.0.0.1",
        ),
        (vec![link(12, 2), is(&[8, 6]), network(6, 2), is(&[0, 1])], "arp operation request"),
        (vec![meta(Meta::Protocol), is(&[0x86, 0xdd])], "meta protocol ip6"),
        (vec![meta(Meta::IbrName), is(b"br0\0\0\0\0\0\0\0\0\0\0\0\0\0")], "meta ibrname \"br0\""),
    ];
    for (mut exprs, expected) in cases {
        exprs.push(drop.clone());
        let written = rule(&Rule { exprs, origin: Origin::NONE }, Family::Bridge);
        assert_eq!(written, format!("{expected} drop"));
    }
}

#[test]
fn a_chain_at_interfaces_is_written_with_them() {
    let (kind, hook) = (crate::nft::ChainKind::Filter, Hook::Ingress);
    let devices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let base = |names| Base {
        kind: kind.clone(),
        hook,
        priority: 0,
        accepts: true,
        devices: devices(names),
    };
    assert_eq!(
        base_line(&base(&["a"])),
        "type filter hook ingress device \"a\" priority 0; policy accept;"
    );
    assert_eq!(
        super::base(&base(&["a", "b"])),
        "filter, hook ingress, devices a and b, priority 0, policy accept"
    );
}

#[test]
fn ranges_are_joined_and_values_alone_stay_apart() {
    let port = |from: u16, to: u16| (Data::from(from.to_be_bytes()), Data::from(to.to_be_bytes()));
    let merged = crate::nft::build::merged;
    assert_eq!(merged(vec![port(80, 90), port(85, 99), port(100, 100)]), [port(80, 100)]);
    assert_eq!(merged(vec![port(81, 81), port(80, 80)]), [port(80, 80), port(81, 81)]);
    assert_eq!(merged(vec![port(0, 65535), port(1, 1)]), [port(0, 65535)]);
}
