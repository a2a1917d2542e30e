//! Tables that somebody changes or removes, and tables that are somebody else's.

use vnet::model::nft::Expr;
use vnet::{Down, Error};
use vnet_testns::sh;

use crate::common::{desired, open, planned, signed};

fn lab(options: &str) -> String {
    format!(
        "
name: demo
nodes: {{ gw: {{ forward: true, {options} }}, a: {{ routes: default via gw }}, b: }}
links:
  - {{ endpoints: [ gw, a ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ gw, b ], prefix: 10.0.2.0/24 }}
"
    )
}

const RULES: &str =
    "firewall: { forward: drop, allow: [ from a counter, tcp/80 ] }, nat: { masquerade: b }";

fn nft(command: &str) -> String {
    sh(&format!("ip netns exec demo-gw nft {command}"))
}

#[test]
fn what_the_file_says_is_what_nft_lists() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(RULES));
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let listed = nft("list ruleset");
        assert_eq!(
            listed,
            "table inet vnet {
\tcomment \"vnet:demo/gw\"
\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tct state established,related accept
\t\tip saddr 10.0.1.2 counter packets 0 bytes 0 accept
\t\ttcp dport 80 accept
\t}

\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\toifname \"b\" masquerade
\t}
}
"
        );
        // Machines read the same: chains, policies, rules in order.
        let json = nft("-j list ruleset");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let objects = json["nftables"].as_array().unwrap();
        let chains: Vec<_> = objects.iter().filter_map(|object| object.get("chain")).collect();
        assert_eq!((&chains[0]["hook"], &chains[0]["policy"]), (&"forward".into(), &"drop".into()));
        assert_eq!((&chains[1]["type"], &chains[1]["prio"]), (&"nat".into(), &100.into()));
        let rules: Vec<_> = objects.iter().filter_map(|object| object.get("rule")).collect();
        assert_eq!(rules.len(), 4);
        let port = &rules[2]["expr"][0]["match"];
        assert_eq!(
            (&port["left"]["payload"]["field"], &port["right"]),
            (&"dport".into(), &80.into())
        );
        assert!(rules[3]["expr"][1].get("masquerade").is_some(), "{}", rules[3]);
        lab.down(&Down::default()).unwrap();
    });
}

/// What is written to the log, as machines read it.
#[test]
fn what_the_file_logs_is_what_nft_lists() {
    vnet_testns::root(|| {
        let rules = "firewall: { forward: drop, allow: [ tcp/80 log, from a log prefix seen ] }";
        let wanted = desired(&lab(rules));
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let logs = || -> Vec<serde_json::Value> {
            let json: serde_json::Value =
                serde_json::from_str(&nft("-j list chain inet vnet forward")).unwrap();
            let rules = json["nftables"].as_array().unwrap().iter();
            let exprs = rules.filter_map(|object| object["rule"]["expr"].as_array());
            exprs.flatten().filter_map(|expr| expr.get("log").cloned()).collect()
        };
        assert_eq!(logs(), [serde_json::Value::Null, serde_json::json!({ "prefix": "seen " })]);
        sh("ip netns exec demo-gw nft flush chain inet vnet forward");
        assert_eq!(logs().len(), 0);
        lab.up(&wanted, |_| {}).unwrap();
        assert_eq!(logs().len(), 2);
        lab.down(&Down::default()).unwrap();
    });
}

/// The number of the transactions so far (`NFT_MSG_GETGEN`), in the namespace of `gw`.
fn transactions() -> u32 {
    const GETGEN: u16 = 10 << 8 | 16;
    const NFTA_GEN_ID: u16 = 1;
    let realm = vnet::kernel::Realm::own().unwrap();
    let name = vnet::model::NsName::new("demo-gw").unwrap();
    let mut socket = realm.netfilter_sockets(0, &[name]).unwrap().remove(0).unwrap();
    let request = vnet_netlink::RawMessage::new(GETGEN, |writer| {
        writer.header(&[0; 4]);
    });
    let answer = socket.get(&request.unwrap(), |message| {
        let id = message.attributes(4)?.find(NFTA_GEN_ID)?;
        Ok(id.map(|id| id.u32_be()).transpose()?)
    });
    answer.unwrap()[0]
}

#[test]
fn one_rule_changed_is_one_transaction_and_the_rest_goes_on_counting() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(RULES));
        let mut lab_up = open(&wanted);
        lab_up.up(&wanted, |_| {}).unwrap();
        sh("ip netns exec demo-a ping -c 1 -W 5 10.0.2.2");
        let counted = |lab: &vnet::Lab| -> u64 {
            let seen = lab.show().unwrap().observed;
            let tables = &seen.namespaces["demo-gw"].tables;
            let rules = tables.values().flat_map(|table| &table.chains[0].rules);
            let counts = rules.flat_map(|rule| &rule.exprs).filter_map(|expr| match expr {
                Expr::Counter(counts) => Some(counts.packets),
                _ => None,
            });
            counts.sum()
        };
        assert_eq!(counted(&lab_up), 1);

        // Nothing to do, and something to do elsewhere: the table is not touched.
        let before = transactions();
        lab_up.up(&wanted, |_| {}).unwrap();
        let mtu = desired(&lab(RULES).replace("10.0.1.0/24 }", "10.0.1.0/24, mtu: 1400 }"));
        lab_up.up(&mtu, |_| {}).unwrap();
        assert_eq!((transactions(), counted(&lab_up)), (before, 1));

        let changed = desired(&lab(&RULES.replace("tcp/80", "tcp/443")));
        assert_eq!(
            planned(&lab_up, &changed),
            [
                "~ demo-a:gw mtu 1500",
                "~ nftables inet vnet in demo-gw (4 rules: 1 new, 1 gone)",
                "~ demo-gw:a mtu 1500",
            ]
        );
        lab_up.up(&changed, |_| {}).unwrap();
        assert_eq!((transactions(), counted(&lab_up)), (before + 1, 1));
        assert!(nft("list ruleset").contains("tcp dport 443 accept"));

        let gone = desired(&lab("firewall: { }"));
        lab_up.up(&gone, |_| {}).unwrap();
        assert_eq!(nft("list ruleset"), "");
        lab_up.down(&Down::default()).unwrap();
    });
}

#[test]
fn what_is_done_to_a_table_by_hand_is_found_and_mended() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(RULES));
        let mut lab = open(&wanted);
        lab.up(&wanted, |_| {}).unwrap();
        let whole = nft("list ruleset");
        for (damage, plan) in [
            ("flush ruleset", "+ nftables inet vnet in demo-gw (4 rules)"),
            ("delete chain inet vnet postrouting", "(4 rules: 1 new)"),
            ("add rule inet vnet forward udp dport 53 accept", "(4 rules: 1 gone)"),
            ("insert rule inet vnet forward accept", "(4 rules: 1 gone)"),
            ("flush chain inet vnet forward", "(4 rules: 3 new)"),
            ("add chain inet vnet mine", "(4 rules)"),
            ("'chain inet vnet forward { policy accept; }'", "(4 rules)"),
            // What holds on to a chain that shall go, and is none of ours.
            (
                "'add chain inet vnet mine; add map inet vnet m { type ipv4_addr : verdict; }; \
                 add element inet vnet m { 1.1.1.1 : jump mine }'",
                "(4 rules: 4 new, 4 gone)",
            ),
            ("add set inet vnet s '{ type mark; }'", "(4 rules: 4 new, 4 gone)"),
        ] {
            nft(damage);
            let rules = match plan.strip_prefix('(') {
                Some(plan) => format!("~ nftables inet vnet in demo-gw ({plan}"),
                None => plan.to_owned(),
            };
            assert_eq!(planned(&lab, &wanted), [rules], "{damage}");
            lab.up(&wanted, |_| {}).unwrap();
            assert_eq!(nft("list ruleset"), whole, "{damage}");
        }
        // Without a record too: the mark tells whose it is.
        std::fs::remove_file("/run/vnet/demo/lab.json").unwrap();
        let none = desired(&crate::drift::lab("nat: [ ]"));
        assert_eq!(planned(&lab, &none), ["- nftables inet vnet in demo-gw"]);
        lab.up(&none, |_| {}).unwrap();
        assert_eq!(nft("list ruleset"), "");
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    vnet_testns::root(|| {
        let foreign = "
            add table inet theirs
            add chain inet theirs c { type filter hook forward priority 10; }
            add rule inet theirs c counter
            add table ip vnet";
        std::fs::write("/tmp/vnet-test-foreign.nft", foreign).unwrap();
        let wanted = desired(&lab(RULES));
        let mut lab_up = open(&wanted);
        // In the host, and in the lab.
        sh("nft -f /tmp/vnet-test-foreign.nft");
        let host = sh("nft -a list ruleset");
        lab_up.up(&desired(&lab("nat: [ ]")), |_| {}).unwrap();
        nft("-f /tmp/vnet-test-foreign.nft");
        std::fs::remove_file("/tmp/vnet-test-foreign.nft").unwrap();
        let theirs = nft("-a list ruleset");
        lab_up.up(&wanted, |_| {}).unwrap();
        assert!(nft("-a list ruleset").starts_with(&theirs));
        lab_up.up(&desired(&lab(&RULES.replace("80", "81"))), |_| {}).unwrap();
        assert!(nft("-a list ruleset").starts_with(&theirs));
        lab_up.up(&desired(&lab("nat: [ ]")), |_| {}).unwrap();
        assert_eq!(nft("-a list ruleset"), theirs);

        // A table that has our name but not our mark is in the way, and named.
        nft("add table inet vnet");
        let theirs = nft("-a list ruleset");
        let error = lab_up.up(&wanted, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Conflicts { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the nftables table `inet vnet` in demo-gw exists and was not made by vnet"
        );
        assert_eq!(nft("-a list ruleset"), theirs);
        lab_up.down(&Down::default()).unwrap();
        assert_eq!(sh("nft -a list ruleset"), host);
    });
}

#[test]
fn a_change_that_fails_gives_back_the_table_from_before() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(RULES));
        let mut lab_up = open(&wanted);
        lab_up.up(&wanted, |_| {}).unwrap();
        let before = nft("list ruleset");
        // The kernel knows no such sysctl, which only it can tell: after the tables were changed.
        let broken = lab(&RULES.replace("tcp/80", "'tcp/80,90-95'"))
            .replace("b: }", "b: { sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 } } }");
        let error = lab_up.up(&desired(&broken), |_| {}).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        assert_eq!(nft("list ruleset"), before);
        let empty: [String; 0] = [];
        assert_eq!(planned(&lab_up, &wanted), empty);
        lab_up.down(&Down::default()).unwrap();
    });
}

#[test]
fn the_script_of_a_plan_makes_the_same_tables() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(RULES));
        let mut lab_up = open(&wanted);
        let plan = lab_up.plan(&wanted).unwrap().plan;
        let script = vnet_iproute::script(&plan.steps);
        assert!(
            script.contains("ip netns exec demo-gw nft -f - <<'EOF'\ntable inet vnet {\n"),
            "{script}"
        );
        sh(&script);
        let left = signed(&lab_up.plan(&wanted).unwrap().plan.steps);
        assert!(left.is_empty(), "{left:?}");
        // And over a table that is there.
        let changed = desired(&lab(&RULES.replace("tcp/80", "tcp/443")));
        sh(&vnet_iproute::script(&lab_up.plan(&changed).unwrap().plan.steps));
        assert!(nft("list ruleset").contains("tcp dport 443 accept"));
        lab_up.up(&changed, |_| {}).unwrap();
        lab_up.down(&Down::default()).unwrap();
    });
}
