//! What the crate gives to programs: variables from outside, reports as data, places.

use vnet_file::{Report, Source, parse, write};

const FILE: &str = "\
name: demo
vars: { n: 2, net: 10.0.0.0/24 }
nodes: [ pc1..$n ]
segments:
  lan: { prefix: $net, members: [ pc1..$n ] }
";

fn var(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn refused(source: &Source, vars: &[(String, String)]) -> Report {
    parse(source, vars).expect_err("it should be refused")
}

#[test]
fn variables_are_overridden_from_outside() {
    let source = Source::new("vnet.yaml", FILE);
    let file = parse(&source, &[var("n", "30"), var("n", "3")]).unwrap();
    assert_eq!(file.topology().nodes().len(), 3, "the last one counts");
    let report = refused(&source, &[var("nn", "3"), var("net", "10.0.0.0")]);
    insta::assert_snapshot!("override", report.render(&source, false));
}

#[test]
fn a_report_is_data_too() {
    let source = Source::new("vnet.yaml", "name: demo\nnodes: [ ä, b, b ]\n");
    let report = refused(&source, &[]);
    insta::assert_snapshot!("report_as_json", serde_json::to_string_pretty(&report).unwrap());
    insta::assert_snapshot!("report_in_lines", report);
}

#[test]
fn a_report_is_capped() {
    let items: String = (0..2000).map(|n| format!("- n_{n}!\n")).collect();
    let source = Source::new("vnet.yaml", format!("name: demo\nnodes:\n{items}"));
    let report = refused(&source, &[]);
    assert_eq!(report.diagnostics.len(), 50);
    assert!(report.render(&source, false).ends_with("\nand 1,950 more\n"));
}

#[test]
fn an_error_of_the_kernel_is_shown_under_its_line() {
    let source = Source::new("vnet.yaml", FILE);
    let file = parse(&source, &[]).unwrap();
    let desired = file.resolve().unwrap();
    let (_, namespace) =
        desired.state.namespaces.iter().find(|(ns, _)| ns.as_str() == "demo-pc1").unwrap();
    let message = "cannot add namespace demo-pc1: No space left on device (ENOSPC)";
    let hint = "raise user.max_net_namespaces";
    let report = file.report_kernel_error(namespace.origin, message, Some(hint));
    insta::assert_snapshot!("kernel_error", report.render(&source, false));
}

#[test]
fn bytes_that_are_no_text_are_refused_at_their_place() {
    let bytes = b"name: demo\nnodes: [ a\xff ]\n".to_vec();
    let (source, report) = Source::from_bytes("vnet.yaml", bytes).expect_err("not UTF-8");
    insta::assert_snapshot!("not_utf8", report.render(&source, false));
}

#[test]
fn lines_may_end_as_in_windows() {
    let source = Source::new("vnet.yaml", FILE.replace('\n', "\r\n"));
    assert_eq!(parse(&source, &[]).unwrap().topology().nodes().len(), 2);
    let source = Source::new("vnet.yaml", "name: demo\r\nnods: [ a ]\r\nlinks: [ [ a ] ]\r\n");
    let report = refused(&source, &[]);
    insta::assert_snapshot!("windows_lines", report.render(&source, false));
}

/// Long names are shortened, parallels numbered: both come out the same after writing.
#[test]
fn what_is_written_keeps_derived_names() {
    let text = "\
name: demo
netns: ${node}x-$lab$$
nodes:
  a-rather-long-name: { ipv6: off, sysctls: { net.ipv4.conf.lo.arp_announce: '2' } }
  b: { interfaces: { lo: { up: false }, br0: { kind: bridge, ports: [ x ], addresses: 10.9.0.1/24 } } }
segments:
  another-long-name: { members: [ a-rather-long-name, b ], prefix: 10.0.0.0/24, mtu: 1300 }
links:
  - [ a-rather-long-name, b ]
  - [ a-rather-long-name, b ]
  - endpoints: { b:x: { alias: 'a: \"b\" # $$c\u{e9}' }, another-long-name: { mtu: 1200 } }
";
    let source = Source::new("vnet.yaml", text);
    let file = parse(&source, &[]).unwrap_or_else(|r| panic!("{}", r.render(&source, false)));
    let mut desired = file.resolve().unwrap();
    let written = Source::new("written.yaml", write(file.topology(), &desired));
    insta::assert_snapshot!("written", written.text());
    let again = parse(&written, &[]).unwrap_or_else(|r| panic!("{}", r.render(&written, false)));
    desired.handed_out.clear();
    assert_eq!(again.resolve().unwrap(), desired);
}
