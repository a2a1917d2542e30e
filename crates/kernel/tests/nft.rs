//! Packet filters by netlink: what is written is read back, and nft means the same by it.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::io::Write;
use std::process::{Command, Stdio};

use vnet_kernel::nft::{self, Part, Which};
use vnet_model::nft::build::{Builder, ICMP, ICMPV6, NFPROTO_IPV6, Side, TCP, UDP};
use vnet_model::nft::{
    Base, Chain, ChainKind, CtState, Family, Hook, Limit, Rule, Table, TableId, edit, text,
};
use vnet_model::{IfName, Mark, Origin};
use vnet_netlink::{Batch, Protocol, Socket, Status};
use vnet_testns::sh;

fn names(list: &[&str]) -> Vec<IfName> {
    list.iter().map(|name| IfName::new(name).unwrap()).collect()
}

fn builder(from: &[&str], to: &[&str]) -> Builder {
    let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>();
    Builder::new().prefixes(Side::Source, &nets(from)).prefixes(Side::Destination, &nets(to))
}

fn rules(builders: Vec<Builder>) -> Vec<Rule> {
    builders.into_iter().map(|builder| builder.rule(Origin::NONE)).collect()
}

fn chain(name: &str, kind: ChainKind, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    let accepts = kind == ChainKind::Nat;
    Chain {
        name: name.into(),
        base: Some(Base { kind, hook, priority, accepts, devices: Vec::new() }),
        rules,
    }
}

/// A table with every form of rule that is made here.
fn everything() -> Table {
    let new = Builder::new;
    let limit = |seconds, burst| Limit { rate: 10, seconds, burst, bytes: false, over: false };
    let tcp = |ports: &[(u16, u16)]| new().protocols(&[TCP]).ports(ports);
    let filter = rules(vec![
        new().states(&[CtState::Established, CtState::Related]).accept(),
        new().states(&[CtState::Invalid]).drop(),
        new().translated().accept(),
        new().interfaces(Side::Source, &names(&["lo"])).accept(),
        new().interfaces(Side::Source, &names(&["a", "b"])).counter().accept(),
        new().interfaces(Side::Destination, &names(&["wan0.100"])).drop(),
        builder(&["10.0.0.0/8"], &["192.168.7.9/32"]).accept(),
        builder(&["10.0.16.0/20", "10.9.0.1/32"], &["0.0.0.0/0"]).accept(),
        builder(&["10.0.0.1/32", "10.0.0.2/32"], &[]).accept(),
        builder(&["255.255.255.0/24", "0.0.0.0/8"], &[]).accept(),
        builder(&["2001:db8::/32"], &["2001:db8:1::1/128", "fd00::/9"]).accept(),
        builder(&["2001:db8::/33"], &[]).protocols(&[TCP]).ports(&[(22, 22)]).accept(),
        tcp(&[(1000, 2000)]).counter().accept(),
        tcp(&[(80, 80), (443, 445)]).accept(),
        tcp(&[(80, 80), (81, 81), (8080, 8080)]).accept(),
        tcp(&[(1, 1), (60000, 65535)]).accept(),
        new().protocols(&[UDP]).ports(&[(53, 53)]).limit(limit(1, 5)).log("dns: ").accept(),
        new().protocols(&[ICMP, ICMPV6]).limit(limit(60, 7)).accept(),
        new().icmpv6_types(&[133, 134, 135, 136]).accept(),
        tcp(&[(25, 25)]).reject(),
        new().family(NFPROTO_IPV6).reject(),
        new().log("").drop(),
    ]);
    let tcp_from_wan = || tcp(&[(2222, 2222)]).interfaces(Side::Source, &names(&["wan"]));
    let dnat = rules(vec![
        tcp_from_wan().dnat("10.0.0.2".parse().unwrap(), Some(22)),
        tcp_from_wan().dnat("fd00::2".parse().unwrap(), Some(22)),
        builder(&[], &["192.0.2.10/32"]).dnat("10.0.0.3".parse().unwrap(), None),
    ]);
    let id = TableId { family: Family::Inet, name: "vnet".into() };
    let snat = rules(vec![
        new().interfaces(Side::Destination, &names(&["wan"])).masquerade(),
        builder(&["10.0.0.3/32"], &[]).snat("192.0.2.10".parse().unwrap()),
        builder(&["fd00::3/128"], &[]).snat("2001:db8::10".parse().unwrap()),
    ]);
    Table {
        chains: vec![
            chain("forward", ChainKind::Filter, Hook::Forward, 0, filter),
            chain("prerouting", ChainKind::Nat, Hook::Prerouting, -100, dnat),
            chain("postrouting", ChainKind::Nat, Hook::Postrouting, 100, snat),
        ],
        ..Table::new(id, Mark::parse("vnet:demo/gw"))
    }
}

fn socket() -> Socket {
    Socket::open(Protocol::Netfilter).unwrap()
}

fn write(batch: &Batch) {
    let mut batch = batch.clone();
    let outcome = socket().submit_transaction(&mut batch).unwrap();
    assert!(outcome.is_ok(), "{:?}", outcome.refusals());
}

fn add(table: &Table) {
    let mut batch = Batch::new();
    nft::add(&mut batch, table);
    write(&batch);
}

fn read() -> Vec<Table> {
    nft::tables(&mut socket(), Which::All).unwrap()
}

/// Has nft read a text.
fn nft(text: &str) {
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
}

/// Compares rule by rule, so that a difference can be read.
fn same(left: &Table, right: &Table) {
    for (left, right) in left.chains.iter().zip(&right.chains) {
        assert_eq!((&left.name, &left.base), (&right.name, &right.base));
        for (left, right) in left.rules.iter().zip(&right.rules) {
            assert_eq!(left, right, "{}", text::rule(left, Family::Inet));
        }
        assert_eq!(left.rules.len(), right.rules.len());
    }
    assert_eq!(left, right);
}

#[test]
fn what_is_written_is_read_back() {
    vnet_testns::root(|| {
        let wanted = everything();
        add(&wanted);
        let found = read();
        assert_eq!(found.len(), 1);
        same(&found[0], &wanted);
    });
}

#[test]
fn nft_means_the_same_by_the_text() {
    vnet_testns::root(|| {
        let wanted = everything();
        nft(&text::replace(&wanted));
        same(&read()[0], &wanted);
        // And again, over what is there.
        nft(&text::replace(&wanted));
        same(&read()[0], &wanted);
    });
}

#[test]
fn nft_lists_it_as_it_lists_its_own() {
    vnet_testns::root(|| {
        add(&everything());
        let ours = sh("nft -n list ruleset");
        sh("nft flush ruleset");
        nft(&text::table(&everything()));
        assert_eq!(ours, sh("nft -n list ruleset"));
        assert!(ours.contains("comment \"vnet:demo/gw\""), "{ours}");
    });
}

#[test]
fn a_table_is_replaced_whole_or_not_at_all() {
    vnet_testns::root(|| {
        let first = everything();
        add(&first);
        sh("nft add table inet other; nft add rule inet vnet forward counter");
        let mut second = first.clone();
        second.chains[0].rules.truncate(3);
        let mut batch = Batch::new();
        nft::replace(&mut batch, &second);
        write(&batch);
        let found = read();
        assert_eq!(found.len(), 2);
        same(found.iter().find(|table| table.mark.is_some()).unwrap(), &second);

        // A jump to a chain that does not exist: nothing of it is done, and the rule is named.
        let mut broken = second.clone();
        let jump = vnet_model::nft::Expr::Verdict(vnet_model::nft::Verdict::Jump("no".into()));
        broken.chains[0].rules[1].exprs = vec![jump];
        let parts = nft::replace(&mut batch, &broken);
        let outcome = socket().submit_transaction(&mut batch).unwrap();
        let refused: Vec<Part> = parts
            .iter()
            .enumerate()
            .filter(|(at, _)| matches!(outcome.status(*at), Status::Refused(_)))
            .map(|(_, part)| *part)
            .collect();
        assert_eq!(refused, [Part::Rule(0, 1)]);
        assert_eq!(read(), found);

        nft::delete(&mut batch, &second.id);
        write(&batch);
        assert_eq!(read().len(), 1);
    });
}

/// What nft knows the rules of a chain by, in order; nothing where there is no such chain.
fn handles(chain: &Chain) -> Vec<u64> {
    let listed = sh(&format!("nft -a list chain inet vnet {} || true", chain.name));
    let rules = listed.lines().filter(|line| line.starts_with("\t\t") && !line.contains("hook"));
    let handles = rules.map(|line| line.rsplit_once("# handle ").unwrap().1.parse().unwrap());
    handles.collect()
}

/// Changes a table and tells how many rules stayed.
fn change(wanted: &Table) -> usize {
    let found = read().remove(0);
    let before: Vec<_> = found.chains.iter().map(handles).collect();
    let mut socket = socket();
    let there = nft::edit::read(&mut socket, &wanted.id).unwrap();
    let mut batch = Batch::new();
    nft::edit::change(&mut batch, there.as_ref(), wanted);
    write(&batch);
    same(&by_name(read().remove(0)), &by_name(wanted.clone()));
    let mut stayed = 0;
    for (chain, before) in found.chains.iter().zip(before) {
        let Some(wanted) = wanted.chain(&chain.name) else { continue };
        let after = handles(wanted);
        for (at, place) in edit::staying(chain, wanted).into_iter().enumerate() {
            let stays = place.map(|place| before[place]);
            assert_eq!(
                stays.unwrap_or(after[at]),
                after[at],
                "{}: {before:?} {after:?}",
                chain.name
            );
            assert!(stays.is_some() || !before.contains(&after[at]));
            stayed += usize::from(stays.is_some());
        }
    }
    stayed
}

fn by_name(mut table: Table) -> Table {
    table.chains.sort_by(|a, b| a.name.cmp(&b.name));
    table
}

#[test]
fn rules_that_stay_are_not_touched() {
    vnet_testns::root(|| {
        let first = everything();
        add(&first);
        assert_eq!(change(&first), 28);
        // One rule less, one more in front, one more behind, and two in the middle change places.
        let mut second = first.clone();
        let rules = &mut second.chains[0].rules;
        let last = rules.remove(21);
        rules
            .insert(0, Builder::new().protocols(&[TCP]).ports(&[(7, 7)]).drop().rule(Origin::NONE));
        rules.push(builder(&["10.7.0.0/16", "10.8.0.1/32"], &[]).drop().rule(Origin::NONE));
        rules.push(last);
        rules.remove(8);
        rules.swap(10, 11);
        second.chains[0].base.as_mut().unwrap().accepts = true;
        assert_eq!(change(&second), 26);
        // A chain less, and back again at its old place among them; what jumps to it goes before it.
        let mut third = second.clone();
        third.chains.remove(0);
        assert_eq!(change(&third), 6);
        assert_eq!(change(&second), 6);
        let other = Chain { name: "other".into(), base: None, rules: Vec::new() };
        let jump = vnet_model::nft::Expr::Verdict(vnet_model::nft::Verdict::Jump("other".into()));
        let mut jumping = second.clone();
        jumping.chains.push(other);
        jumping.chains[0].rules.insert(3, Rule { exprs: vec![jump], origin: Origin::NONE });
        assert_eq!(change(&jumping), 29);
        assert_eq!(change(&second), 29);
        // A chain elsewhere: the table is made anew.
        let mut moved = second.clone();
        moved.chains[1].base.as_mut().unwrap().priority = -90;
        let old = handles(&second.chains[0]);
        let there = nft::edit::read(&mut socket(), &moved.id).unwrap();
        let mut batch = Batch::new();
        nft::edit::change(&mut batch, there.as_ref(), &moved);
        write(&batch);
        same(&read()[0], &moved);
        assert_ne!(handles(&moved.chains[0])[0], old[0]);
    });
}

/// Any table can become any other.
#[test]
fn tables_at_random_become_each_other() {
    vnet_testns::root(|| {
        let all = everything();
        add(&all);
        let mut seed = 20_261_125_u32;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as usize % below
        };
        for _ in 0..40 {
            let mut wanted = all.clone();
            wanted.chains.retain(|_| random(4) > 0);
            for chain in &mut wanted.chains {
                chain.rules.retain(|_| random(4) > 0);
                for _ in 0..random(3) {
                    let (from, to) = (random(chain.rules.len()), random(chain.rules.len()));
                    let rule = chain.rules[from].clone();
                    chain.rules.insert(to, rule);
                }
            }
            change(&wanted);
        }
    });
}

#[test]
fn of_tables_without_a_mark_only_the_name_is_read() {
    vnet_testns::root(|| {
        nft("add table ip mine
             add chain ip mine c { type filter hook input priority 5; }
             add rule ip mine c ip saddr 10.0.0.1 drop
             add table ip named
             add chain ip named c");
        let named = TableId { family: Family::Ip, name: "named".into() };
        let found = nft::tables(&mut socket(), Which::Marked(&[named])).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id.to_string().as_str(), found[0].chains.len()), ("ip named", 0));
        let all = read();
        assert_eq!(text::rule(&all[0].chains[0].rules[0], Family::Ip), "ip saddr 10.0.0.1 drop");
    });
}

/// What others write is shown as nft lists it, as far as it is understood.
#[test]
fn foreign_rules_are_decoded() {
    vnet_testns::root(|| {
        let rules = [
            "ip saddr != 10.0.0.0/24 drop",
            "ip saddr 10.0.0.1-10.0.0.9 drop",
            "iifname \"eth*\" accept",
            "ct state != invalid accept",
            "ct state new tcp dport 22 counter jump other",
            "meta mark 7 accept",
            "fib daddr type local accept",
            "ip daddr @named drop",
            "udp sport 53 return",
            "limit rate over 10/minute drop",
            "log prefix \"x\" group 3",
            "reject with icmpx admin-prohibited",
            "ip saddr vmap { 10.0.0.1 : drop, 10.0.0.2 : jump other }",
            "ip saddr . tcp dport vmap { 10.0.0.0/24 . 80-90 : accept }",
            "ip6 saddr . udp dport { 2001:db8::1 . 53 } accept",
            "ip saddr . tcp dport != @pairs drop",
            "ct state vmap { established : accept, * : drop }",
            "tcp dport vmap @ports",
            "ip ttl 3 drop",
            "ip6 hoplimit < 3 drop",
            "udp length 100-200 drop",
            "quota 1 mbytes drop",
        ];
        let mut text = "add table inet t
            add set inet t named { type ipv4_addr; flags interval; }
            add element inet t named { 10.1.0.0/16, 10.3.0.1 }
            add set inet t pairs { type ipv4_addr . inet_service; }
            add element inet t pairs { 10.0.0.1 . 22 }
            add map inet t ports { type inet_service : verdict; flags interval; }
            add element inet t ports { 1-22 : drop }
            add chain inet t other
            add chain inet t c { type filter hook forward priority 0; }\n"
            .to_owned();
        for rule in rules {
            text += &format!("add rule inet t c {rule}\n");
        }
        nft(&text);
        let table = &read()[0];
        let shown: Vec<String> = table
            .chain("c")
            .unwrap()
            .rules
            .iter()
            .map(|rule| text::rule(rule, Family::Inet))
            .collect();
        let mut expected: Vec<&str> = rules.into();
        let count = expected.len();
        expected[count - 1] = "<quota> drop";
        assert_eq!(shown, expected);
        let named = &table.chain("c").unwrap().rules[7].exprs;
        let set = named.iter().find_map(|expr| match expr {
            vnet_model::nft::Expr::Lookup { set, .. } => Some(set),
            _ => None,
        });
        let set = set.unwrap();
        assert!(set.contains(&[10, 1, 255, 255]) && set.contains(&[10, 3, 0, 1]));
        assert!(!set.contains(&[10, 2, 0, 0]) && !set.contains(&[10, 3, 0, 2]));
    });
}

#[test]
fn a_survey_tells_the_tables_of_others() {
    vnet_testns::root(|| {
        sh(
            "ip netns add ns; ip netns exec ns nft 'add table ip mine; add chain ip mine c { type filter hook input priority 5; policy drop; }; add rule ip mine c tcp dport 22 counter accept'",
        );
        let realm = vnet_kernel::Realm::own().unwrap();
        let ns = vnet_model::NsName::new("ns").unwrap();
        let facts = vnet_kernel::observe::survey::survey(&realm, &[ns]).unwrap();
        let tables = &facts.namespaces["ns"].tables;
        let chain = &tables[0].chains[0];
        assert_eq!(tables[0].id.to_string(), "ip mine");
        assert_eq!(text::rule(&chain.rules[0], Family::Ip), "tcp dport 22 counter accept");
        let base = chain.base.as_ref().unwrap();
        assert_eq!((base.hook, base.priority, base.accepts), (Hook::Input, 5, false));
        sh("ip netns del ns");
    });
}

#[test]
fn a_survey_tells_which_interfaces_chains_are_at() {
    vnet_testns::root(|| {
        sh(
            "ip netns add ns; ip -n ns link add name a type veth peer name b; ip netns exec ns nft -f - <<'END'
             table netdev t {
               chain i { type filter hook ingress devices = { b, a } priority 3; ether type arp drop; }
               chain e { type filter hook egress device a priority 0; policy drop; }
             }
             table arp t { chain o { type filter hook output priority 0; arp operation request drop; }; }
END",
        );
        let realm = vnet_kernel::Realm::own().unwrap();
        let ns = vnet_model::NsName::new("ns").unwrap();
        let facts = vnet_kernel::observe::survey::survey(&realm, &[ns]).unwrap();
        let tables = facts.namespaces["ns"].tables.iter();
        let chains = tables.flat_map(|table| table.chains.iter().map(move |it| (table, it)));
        let shown = chains.map(|(table, chain)| {
            let rule = chain.rules.first().map(|rule| text::rule(rule, table.id.family));
            format!("{}: {}", text::base(chain.base.as_ref().unwrap()), rule.unwrap_or_default())
        });
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "filter, hook egress, device a, priority 0, policy drop: ",
                "filter, hook ingress, devices a and b, priority 3, policy accept: ether type arp drop",
                "filter, hook output, priority 0, policy accept: arp operation request drop",
            ]
        );
        sh("ip netns del ns");
    });
}

#[test]
fn what_the_kernel_lacks_is_named() {
    vnet_testns::root(|| {
        let realm = vnet_kernel::Realm::own().unwrap();
        assert_eq!(realm.missing_for_tables(&[everything()]).unwrap(), None);
        // No kernel has this one.
        let mut table = everything();
        let expr = vnet_model::nft::Expr::Unknown { name: "nosuch".into(), data: [].into() };
        table.chains[1].rules[2].exprs.insert(0, expr);
        let missing = realm.missing_for_tables(&[table]).unwrap().unwrap();
        let named = [missing.kind, missing.module, missing.config];
        assert_eq!(named, ["nosuch", "nft_nosuch", "CONFIG_NFT_NOSUCH"]);
        // Nor this type of chain.
        let mut table = everything();
        table.chains[1].base.as_mut().unwrap().kind = ChainKind::Other("nosuch".into());
        let missing = realm.missing_for_tables(&[table]).unwrap().unwrap();
        assert_eq!(missing.kind, "chain nosuch");
        assert_eq!(read(), [], "it was made elsewhere");
    });
}

#[test]
fn a_refused_rule_is_named_with_its_place_in_the_file() {
    vnet_testns::root(|| {
        use vnet_model::{Change, NsName, Step};
        sh("ip netns add ns");
        let realm = vnet_kernel::Realm::own().unwrap();
        let mut table = everything();
        // Too long for the kernel.
        table.chains[0].rules[3] = Builder::new().log(&"x".repeat(200)).rule(Origin::new(7));
        let step = Step::new(NsName::new("ns").unwrap(), Change::AddTable(Box::new(table)));
        let error = vnet_kernel::execute(&realm, &vnet_kernel::Observed::default(), &[step]);
        let error = error.unwrap_err();
        assert_eq!(error.step().unwrap().origin.index(), Some(7));
        let text = error.to_string();
        let expected =
            "cannot add nftables inet vnet in ns (28 rules): chain forward, rule `log prefix \"xx";
        assert!(text.starts_with(expected), "{text}");
        sh("ip netns del ns");
    });
}
