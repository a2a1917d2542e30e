//! `nftables:` text, through the program `nft`.

use vnet::model::nft::RawText;
use vnet::{Down, Error};
use vnet_testns::sh;

use crate::common::{desired, open, planned, signed};
use crate::packets::{Net, Outcome};

fn lab(text: &str) -> String {
    let text: String = text.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "
name: demo
nodes:
  gw:
    forward: true
    firewall: {{ forward: drop, allow: [ tcp/80 ] }}
    nftables: |
{text}
  a: {{ routes: default via gw }}
  b: {{ routes: default via gw }}
links:
  - {{ endpoints: [ gw, a ], prefix: 10.0.1.0/24 }}
  - {{ endpoints: [ gw, b ], prefix: 10.0.2.0/24 }}
"
    )
}

/// What no word says: maps, named sets, a quota.
const TEXT: &str = "define banned = { 10.0.1.66 }
table inet mine {
  set ports { type inet_service; elements = { 7777 } }
  map fate { type ipv4_addr : verdict; elements = { 10.0.1.2 : drop } }
  set pairs { type ipv4_addr . inet_service; elements = { 10.9.9.9 . 1 } }
  set unused { type ipv4_addr . inet_service; flags interval; elements = { 10.8.0.0/24 . 9 } }
  map lonely { type inet_service : mark; elements = { 7 : 1 } }
  counter hits { }
  set seen { type ipv4_addr; flags dynamic, timeout; timeout 1h; }
  chain input {
    type filter hook input priority 10; policy accept;
    tcp dport @ports ip saddr vmap @fate
    ip saddr $banned drop
    ip saddr . tcp dport @pairs drop
    meta mark set tcp dport map { 7 : 1, 9 : 2 }
    ip saddr @seen counter
    tcp dport 7777 add @seen { ip saddr }
    quota over 100 mbytes counter drop
  }
}
table ip other { }";

const NOTHING: [String; 0] = [];

fn nft(command: &str) -> String {
    sh(&format!("ip netns exec demo-gw nft {command}"))
}

#[test]
fn a_text_is_made_marked_compared_and_replaced() {
    vnet_testns::root(|| {
        let wanted = desired(&lab(TEXT));
        let mut up = open(&wanted);
        up.up(&wanted, |_| {}).unwrap();
        let net = Net::new(&wanted);
        net.serve("gw", &[7777, 80]);
        net.check("b", "tcp/10.0.2.1:7777", &Outcome::From("10.0.2.2".parse().unwrap()), "a map");
        net.check("a", "tcp/10.0.1.1:7777", &Outcome::Lost, "a map");
        net.check("a", "tcp/10.0.1.1:80", &Outcome::From("10.0.1.2".parse().unwrap()), "a map");
        assert!(nft("list set inet mine seen").contains("10.0.2.2"), "packets change a set");
        assert_eq!(planned(&up, &wanted), NOTHING);
        let whole = nft("list ruleset");
        assert_eq!(whole.matches("comment \"vnet:demo/gw\"").count(), 3, "{whole}");
        let json: serde_json::Value =
            serde_json::from_str(&nft("-j list map inet mine fate")).unwrap();
        let map = &json["nftables"][1]["map"];
        assert_eq!((&map["type"], &map["map"]), (&"ipv4_addr".into(), &"verdict".into()));
        assert_eq!(map["elem"], serde_json::json!([["10.0.1.2", { "drop": null }]]));

        for damage in [
            "delete table inet mine",
            "delete table ip other",
            "add rule inet mine input accept",
            "delete element inet mine ports { 7777 }",
            "delete element inet mine fate { 10.0.1.2 : drop }",
            "add element inet mine fate '{ 10.0.1.3 : accept }'",
            "add element inet mine pairs { 10.0.1.3 . 80 }",
            "add set inet mine another '{ type mark; }'",
            "delete element inet mine unused { 10.8.0.0-10.8.0.255 . 9 }",
            "delete map inet mine lonely",
            "delete counter inet mine hits",
            "add quota inet mine more '{ 5 mbytes }'",
        ] {
            nft(damage);
            let lines = TEXT.lines().count();
            let step = format!("~ nftables text in demo-gw ({lines} lines)");
            assert_eq!(planned(&up, &wanted), [step], "{damage}");
            up.up(&wanted, |_| {}).unwrap();
            assert_eq!(planned(&up, &wanted), NOTHING);
        }
        // A change that fails gives back what was, a map too.
        let counted = nft("-s list ruleset");
        let broken = lab("table inet mine { }")
            .replace("b: {", "b: { sysctls: { net.ipv4.conf.ip6_vti0.rp_filter: 1 },");
        let error = up.up(&desired(&broken), |_| {}).unwrap_err();
        assert!(matches!(error, Error::Undone { .. }), "{error:?}");
        assert_eq!(nft("-s list ruleset"), counted);

        // Less text: the other table goes; none: all of it.
        up.up(&desired(&lab("table inet mine { }")), |_| {}).unwrap();
        assert!(!nft("list ruleset").contains("other"));
        let none = lab("").replace("    nftables: |\n", "");
        up.up(&desired(&none), |_| {}).unwrap();
        assert_eq!(nft("list tables"), "table inet vnet\n");
        up.down(&Down::default()).unwrap();
    });
}

#[test]
fn what_is_wrong_with_a_text_is_found_before_anything_is_touched() {
    vnet_testns::root(|| {
        for (text, line, message) in [
            ("table inet mine {\n  chain c {\n    tcp dprt 80 accept\n  }\n}", 3, "syntax error"),
            (
                "table inet mine {\n  chain c {\n    iif nowhere accept\n  }\n}",
                3,
                "Interface does not exist",
            ),
            ("add rule inet theirs c accept", 1, "No such file or directory"),
            ("\nadd table inet theirs\ndelete table inet theirs", 2, "somebody else's"),
            ("table inet vnet { }", 1, "is that of `firewall` and `nat`"),
            ("table inet mine { }\n\nreset counters", 3, "tables of others too"),
            (
                "table ip x;\n# it\ndelete table ip x; table ip x { }",
                3,
                "deletes its own table `ip x`",
            ),
            ("table inet x {\n}\n\ncreate table inet y", 4, "File exists"),
            ("table inet x {\n chain c {\n  iif lo accept\n  oif a drop\n }\n}", 4, "`oifname`"),
            (
                "table inet x {\n chain c {\n  fib saddr . iif oif vmap { a : drop }\n }\n}",
                3,
                "number",
            ),
            ("table ip x {\n chain c {\n  fib saddr oif b drop\n }\n}", 3, "number"),
            (
                "table ip x {\n set s { type iface_index; elements = { a } }\n chain c {\n  meta iif @s drop\n }\n}",
                4,
                "`iifname`",
            ),
            ("table ip x {\n chain c {\n  dup to 10.0.2.2 device b\n }\n}", 3, "number"),
        ] {
            let file = lab(text);
            let source = vnet::file::Source::new("vnet.yaml", file.clone());
            let parsed = vnet::file::parse(&source, &[]).unwrap();
            let wanted = parsed.resolve().unwrap();
            let error = open(&wanted).up(&wanted, |_| {}).unwrap_err();
            assert!(matches!(error, Error::NftText { .. }), "{error:?}");
            assert!(error.to_string().contains(message), "{error}");
            let span = parsed.span(error.origin()).unwrap();
            let place = file[..span.start].lines().count();
            let first = file.lines().position(|line| line.contains("nftables: |")).unwrap() + 1;
            assert_eq!(place - first, line, "{text}: {error}");
            assert_eq!(sh("ip netns list"), "");
            assert!(!std::path::Path::new("/run/vnet/demo").exists());
        }
    });
}

/// Chains at interfaces, and what else nft looks for, are tried out where such interfaces are.
fn at_interfaces(chains: &str) {
    let text = format!(
        "table netdev early {{
  chain in {{ type filter hook ingress device a priority 0; tcp dport 9 counter drop; }}
}}
table inet mine {{
{chains}
}}"
    );
    let wanted = desired(&lab(&text));
    let mut up = open(&wanted);
    up.up(&wanted, |_| {}).unwrap();
    assert_eq!(planned(&up, &wanted), NOTHING);
    let net = Net::new(&wanted);
    net.serve("b", &[9, 80]);
    net.check("a", "tcp/10.0.2.2:80", &Outcome::From("10.0.1.2".parse().unwrap()), "a way");
    net.check("a", "tcp/10.0.2.2:9", &Outcome::Lost, "a chain at an interface");
    assert!(!nft("list chain netdev early in").contains("packets 0"));
    // Made anew, an interface has lost its chain.
    nft("delete chain netdev early in");
    up.up(&wanted, |_| {}).unwrap();
    assert!(nft("list chain netdev early in").contains("\"a\""));
    assert_eq!(planned(&up, &wanted), NOTHING);
    // So has a flow table.
    let before = nft("-s list ruleset");
    sh("ip -n demo-gw link del dev a");
    up.up(&wanted, |_| {}).unwrap();
    assert_eq!(nft("-s list ruleset"), before);
    assert_eq!(planned(&up, &wanted), NOTHING);
    up.down(&Down::default()).unwrap();
}

#[test]
fn vm_a_text_has_chains_at_interfaces_of_its_node() {
    vnet_testns::root(|| at_interfaces("  chain c { iif lo accept; }"));
}

#[test]
fn vm_a_text_has_flow_tables_at_interfaces_of_its_node() {
    vnet_testns::root(|| {
        vnet_testns::requires(&["nft-flowtable"]);
        at_interfaces(
            "  flowtable f { hook ingress priority 0; devices = { a, b }; }
  chain forward { type filter hook forward priority 5; ip protocol tcp flow add @f; }",
        );
    });
}

/// What is not written as a block is shown where it begins, whichever of its lines is wrong.
#[test]
fn what_is_wrong_with_a_text_in_quotes_is_shown_where_it_begins() {
    vnet_testns::root(|| {
        for (text, place) in [
            ("'table ip x { bogus }'", "'table ip x { bogus }'"),
            ("\"table ip x {\\n\\n  bogus\\n}\"", "\"table ip x {\\n\\n  bogus\\n}\""),
            ("'table ip x {\n\n\n  bogus }'", "'table ip x {"),
            ("add rule ip x y accept", "add rule ip x y accept"),
        ] {
            let file = format!("{{ name: t, nodes: {{ a: {{ nftables: {text} }} }} }}");
            let source = vnet::file::Source::new("vnet.yaml", file.clone());
            let parsed = vnet::file::parse(&source, &[]).unwrap();
            let wanted = parsed.resolve().unwrap();
            let error = open(&wanted).up(&wanted, |_| {}).unwrap_err();
            let span = parsed.span(error.origin()).unwrap();
            assert_eq!(&file[span.start..span.end], place, "{error}");
        }
    });
}

#[test]
fn a_text_is_printed_as_a_script_and_tables_of_others_stay() {
    vnet_testns::root(|| {
        let none = lab("").replace("    nftables: |\n", "");
        let mut up = open(&desired(&none));
        up.up(&desired(&none), |_| {}).unwrap();
        nft("add table inet theirs");
        let wanted = desired(&lab(TEXT));
        let plan = up.plan(&wanted).unwrap().plan;
        sh(&vnet_iproute::script(&plan.steps));
        assert_eq!(signed(&up.plan(&wanted).unwrap().plan.steps), NOTHING);
        up.up(&wanted, |_| {}).unwrap();
        up.up(&desired(&none), |_| {}).unwrap();
        assert_eq!(nft("list tables"), "table inet vnet\ntable inet theirs\n");
        // Where somebody else has a table of the name, it is named and stays.
        nft("add table ip other");
        let error = up.up(&wanted, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Conflicts { .. }), "{error:?}");
        up.down(&Down::default()).unwrap();
    });
}

/// What a text does to tables that it does not name is seen by what comes of it, not by its words: so
/// the texts here come to the lab past the reader of files, which refuses some of them by those.
#[test]
fn a_text_that_would_change_tables_of_others_is_refused_before_anything_is_touched() {
    vnet_testns::root(|| {
        let none = desired(&lab("").replace("    nftables: |\n", ""));
        let mut up = open(&none);
        up.up(&none, |_| {}).unwrap();
        nft(
            "add table inet theirs '{ counter c { packets 3 bytes 3 }; quota q { over 9 bytes used 3 bytes }; }'",
        );
        nft("add table ip mine '{ chain c { }; }'");
        let before = nft("-a list ruleset");
        let theirs = "changes the tables of others too";
        let own = "deletes its own table";
        for (text, message) in [
            ("flush ruleset\ntable inet mine { }", theirs),
            ("flush \\\nruleset\ntable inet mine { }", theirs),
            ("flush  ruleset; table ip mine { }", theirs),
            ("table inet mine { }\nflush ruleset;\ntable inet mine { }", theirs),
            ("flush ruleset arp", theirs),
            ("flush ruleset ip6\ntable inet mine { }", theirs),
            ("define what = 7\nflush # it\n", "syntax error"),
            ("table inet mine { }\nreset counters", theirs),
            ("reset quotas inet", theirs),
            ("include \"/dev/null\"", "`include`"),
            ("table inet mine { }; include\"/etc/*.nft\"", "`include`"),
            ("table inet mine\ndelete table inet mine\ntable inet mine { }", own),
            (
                "table inet mine { comment \"#\"; }; add table ip theirs; delete table ip theirs",
                "somebody else's",
            ),
            ("table inet mine { }; delete table inet handle 2", "No such file or directory"),
            ("create table inet mine", "File exists"),
        ] {
            let mut wanted = none.clone();
            wanted.state.namespaces.get_mut("demo-gw").unwrap().nft_text = Some(RawText::new(text));
            let error = up.up(&wanted, |_| {}).unwrap_err();
            assert!(matches!(error, Error::NftText { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert_eq!(nft("-a list ruleset"), before, "{text}");
            assert_eq!(planned(&up, &none), NOTHING);
        }
        up.down(&Down::default()).unwrap();
    });
}
