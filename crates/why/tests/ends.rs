//! Ends that are none of the lab's: the host, others' namespaces, those of processes.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use common::{desired, down, is_well, mend, probing, replied, shown, up};
use vnet::why::{Ask, Told, Verdict};
use vnet::{Error, Lab, Settings};
use vnet_model::{LabName, NsName};
use vnet_testns::sh;

fn ask(beside: &[NsName]) -> Ask {
    Ask { beside: beside.to_vec(), ..probing() }
}

fn codes(told: &Told) -> Vec<(&str, &str)> {
    told.answer.causes.iter().map(|cause| (cause.code, cause.object.as_str())).collect()
}

/// A pair of a namespace of others with a node, addressed but without routes.
fn join(others: &str, node: &str, subnet: u8) {
    sh(&format!(
        "ip link add o{subnet} type veth peer name n{subnet}
         ip link set n{subnet} netns {node}
         ip netns exec {node} sh -c 'echo 1 >/proc/sys/net/ipv4/conf/n{subnet}/forwarding'
         ip -n {node} addr add 10.9.{subnet}.2/24 dev n{subnet}; ip -n {node} link set n{subnet} up
         {others} ip addr add 10.9.{subnet}.1/24 dev o{subnet}; {others} ip link set o{subnet} up"
    ));
}

#[test]
fn the_host_is_an_end() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        let ask = ask(&[NsName::host()]);
        join("", "r1", 1);
        let told = lab.why("host", "10.9.1.2", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        assert_eq!(told.answer.forth[0].node, "host");
        assert_eq!((told.compared > 0, told.otherwise.len()), (true, 0));
        // What keeps it from the nodes behind is named, and mended.
        let told = lab.why("host", "b", &ask).unwrap();
        assert_eq!(told.answer.verdict, Verdict::Unreachable, "{}", shown(&told));
        assert_eq!(codes(&told)[0], ("no-route", "route to 10.0.3.2 in host"));
        assert!(!replied(&told));
        mend(&told);
        let told = lab.why("host", "b", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        let told = lab.why("b", "host", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        drops_by_a_rule(&lab, "", ["b", "host"], &ask);
        sh("ip link del o1");
        down(lab);
    });
}

/// What a rule drops there is named, and the mend that is shown runs there.
fn drops_by_a_rule(lab: &Lab, others: &str, [from, to]: [&str; 2], ask: &Ask) {
    let rule = "type filter hook input priority 0; icmp type echo-request drop";
    sh(&format!("{others} nft 'table inet q {{ chain c {{ {rule}; }}; }}'"));
    let told = lab.why(from, to, ask).unwrap();
    assert_eq!(codes(&told)[0].0, "filter-drop", "{}", shown(&told));
    mend(&told);
    let told = lab.why(from, to, ask).unwrap();
    assert!(is_well(&told) && replied(&told), "{}", shown(&told));
}

#[test]
fn namespaces_of_others_are_ends() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        sh("ip netns add other");
        sh("ip link add o2 netns other type veth peer name n2 netns r1
            ip -n other addr add 10.9.2.1/24 dev o2; ip -n other link set o2 up
            ip -n r1 addr add 10.9.2.2/24 dev n2");
        let ask = ask(&[NsName::new("other").unwrap()]);
        let told = lab.why("other", "10.9.2.2", &ask).unwrap();
        assert_eq!(codes(&told), [("peer-down", "r1:n2")], "{}", shown(&told));
        mend(&told);
        let told = lab.why("other", "r1:n2", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        let gone = ask_for_gone(&lab);
        assert!(gone.contains("nowhere"), "{gone}");
        // Where there are such, no lab need be up.
        down(lab);
        sh("ip link add o3 type veth peer name n3 netns other
            ip addr add 10.9.3.1/24 dev o3; ip link set o3 up
            ip -n other addr add 10.9.3.2/24 dev n3");
        let none = Lab::open(&Settings::new("/run/vnet"), &LabName::new("none").unwrap()).unwrap();
        let ask = Ask { beside: vec![NsName::host(), NsName::new("other").unwrap()], ..ask };
        let told = none.why("host", "other", &ask).unwrap();
        assert_eq!(codes(&told), [("peer-down", "other:n3")], "{}", shown(&told));
        mend(&told);
        let told = none.why("other", "host", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        sh("ip netns del other; ip link del o3 2>/dev/null || true");
    });
}

fn ask_for_gone(lab: &Lab) -> String {
    let told = lab.why("nowhere", "a", &ask(&[NsName::new("nowhere").unwrap()]));
    told.map(|told| shown(&told)).unwrap_err().to_string()
}

#[test]
fn namespaces_of_processes_are_ends() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        sh("unshare -n sleep 60 >/dev/null 2>&1 & echo $! >$HOME/process; sleep 0.3");
        let pid: u32 = sh("cat $HOME/process").trim().parse().unwrap();
        sh(&format!(
            "ip link add o4 type veth peer name n4 netns r1
             ip link set o4 netns {pid}
             nsenter -t {pid} -n ip addr add 10.9.4.1/24 dev o4
             ip -n r1 addr add 10.9.4.2/24 dev n4; ip -n r1 link set n4 up"
        ));
        let ask = ask(&[NsName::of_process(pid)]);
        let me = pid.to_string();
        let told = lab.why(&me, "r1:n4", &ask).unwrap();
        let port = format!("{pid}:o4");
        assert_eq!(codes(&told), [("interface-down", port.as_str())], "{}", shown(&told));
        mend(&told);
        let told = lab.why("r1", &me, &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        drops_by_a_rule(&lab, &format!("nsenter -t {pid} -n"), ["r1", &me], &ask);
        sh("kill $(cat $HOME/process); sleep 0.3");
        down(lab);
    });
}

/// An address that the file gives to several is any of them: in VRFs that of its own.
#[test]
fn an_address_of_several_is_any_of_them() {
    let text = "
name: t
routing: auto
nodes:
  pe: { forward: true, interfaces: { red: { kind: vrf, table: 10 }, blue: { kind: vrf, table: 20 } } }
  ce1..2: { interfaces: { lo: 192.168.0.1..2/32 } }
  cb1..2: { interfaces: { lo: 192.168.0.1..2/32 } }
links:
  - { endpoints: { pe:r1..2: { vrf: red }, ce1..2: }, pairs: each, pool: 10.0.1.0/24 }
  - { endpoints: { pe:b1..2: { vrf: blue }, cb1..2: }, pairs: each, pool: 10.0.1.0/24 }
";
    let source = vnet_file::Source::new("vnet.yaml", text);
    let file = vnet_file::parse(&source, &[]).unwrap_or_else(|report| panic!("{report}"));
    let desired = file.resolve().unwrap_or_else(|report| panic!("{report}"));
    for (from, end) in [("ce1", "ce2"), ("cb1", "cb2")] {
        let told = vnet::why::on_paper(&desired, from, "192.168.0.2", &Ask::default()).unwrap();
        assert!(is_well(&told), "{}", shown(&told));
        assert!(told.answer.forth.iter().any(|hop| hop.node == end), "{}", shown(&told));
        let other = if end == "ce2" { "cb2" } else { "ce2" };
        let told = vnet::why::on_paper(&desired, from, other, &Ask::default()).unwrap();
        assert!(!is_well(&told), "{}", shown(&told));
    }
}

/// An address of a link is an end, with the interface of who asks that is on that link.
#[test]
fn an_address_of_a_link_is_an_end() {
    vnet_testns::root(|| {
        let lab = up(&desired("lan"));
        let ready = "for n in pc1 pc2 gw srv; do
            while ip -n $n -6 addr | grep -q tentative; do sleep 0.05; done; done";
        sh(&format!(
            "ip -n pc2 addr add fe80::99/64 dev lan nodad; ip -n gw addr add fe80::77/64 dev srv nodad
             {ready}"
        ));
        let asks = [
            ("pc1", "fe80::99%lan"),
            ("pc2", "fe80::99%lan"),
            ("srv", "fe80::77%gw"),
            ("fe80::99%lan", "pc1"),
            ("fe80::99%lan", "fe80::99%lan"),
        ];
        for (from, to) in asks {
            let told = lab.why(from, to, &Ask { ipv6: true, ..probing() }).unwrap();
            assert!(is_well(&told) && replied(&told), "{from} {to}: {}", shown(&told));
            assert_eq!(told.otherwise, [], "{from} {to}");
        }
        let tcp = Ask { packet: "tcp/7".parse().unwrap(), ..probing() };
        let told = lab.why("pc1", "fe80::99%lan", &tcp).unwrap();
        assert_eq!(codes(&told)[0].0, "nobody-listens", "{}", shown(&told));
        assert!(!told.disagree(), "{}", shown(&told));
        // Who has it is elsewhere.
        let told = lab.why("pc1", "fe80::77%lan", &probing()).unwrap();
        assert_eq!(codes(&told), [("link-local-scope", "fe80::77")], "{}", shown(&told));
        sh("ip -n pc1 link set dev lan down");
        let told = lab.why("pc1", "fe80::99%lan", &probing()).unwrap();
        assert_eq!(codes(&told), [("interface-down", "pc1:lan")], "{}", shown(&told));
        mend(&told);
        sh(ready);
        let told = lab.why("pc1", "fe80::99%lan", &probing()).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        for (to, near) in [("fe80::99%lam", Some("lan")), ("pc2:lna", Some("lan"))] {
            let found = match lab.why("pc1", to, &probing()) {
                Err(Error::NoInterface { nearest, .. }) => nearest,
                other => panic!("{to}: {other:?}"),
            };
            assert_eq!(found.as_ref().map(vnet_model::IfName::as_str), near);
        }
        down(lab);
    });
}

/// An address that is not known yet to be nobody else's is passed over where there is another.
#[test]
fn a_tentative_address_is_no_source_where_there_is_another() {
    vnet_testns::root(|| {
        let lab = up(&common::of_text(
            "name: t
netns: $node
nodes: [ a, b ]
links: [ { endpoints: { a:eth0: [ 2001:db8::1/64, fe80::a/64 ], b:eth0: [ 2001:db8::2/64, fe80::1/64 ] } } ]",
        ));
        // Duplicate address detection of the derived ones begins anew, and lasts for a second.
        sh(
            "ip -n a link set eth0 addrgenmode none; ip -n a -6 addr add fe80::ffff:ffff:ffff:1/64 dev eth0",
        );
        let told = lab.why("a", "fe80::1%eth0", &probing()).unwrap();
        assert!(replied(&told) && told.answer.causes.is_empty(), "{}", shown(&told));
        down(lab);
    });
}

/// An end without any address is no mistake of who asks; one that has only an address of a link is asked by
/// that where it is a neighbour.
#[test]
fn an_end_without_an_address_is_named() {
    vnet_testns::root(|| {
        let lab = up(&desired("chain"));
        sh("ip link add o1 type veth peer name n1; ip link set n1 netns r1
            ip -n r1 addr add 10.9.1.2/24 dev n1; ip -n r1 link set n1 up");
        let ask = ask(&[NsName::host()]);
        let told = lab.why("r1", "host", &ask).unwrap();
        assert_eq!(codes(&told)[0], ("no-address", "host"), "{}", shown(&told));
        assert_eq!(told.answer.verdict, Verdict::Unreachable);
        sh("ip link set o1 up
            until ip netns exec r1 ping -c 1 -W 1 -q ff02::1%n1 >/dev/null; do sleep 0.05; done
            until ! ip -6 addr | grep -q tentative; do sleep 0.05; done");
        let told = lab.why("r1", "host", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        assert!(told.question.link.is_some());
        sh("echo 1 >/proc/sys/net/ipv6/conf/o1/disable_ipv6");
        let told = lab.why("r1", "host", &ask).unwrap();
        assert_eq!(codes(&told)[0], ("no-address", "host"), "{}", shown(&told));
        mend(&told);
        let told = lab.why("r1", "host", &ask).unwrap();
        assert!(is_well(&told) && replied(&told), "{}", shown(&told));
        sh("ip link del o1");
        down(lab);
    });
}
