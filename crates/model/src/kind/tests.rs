//! What every row of the table keeps.

use std::collections::BTreeSet;

use super::*;

#[test]
fn names_and_words_stand_once() {
    let names: BTreeSet<&str> = ALL.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), ALL.len());
    for kind in ALL {
        for table in [kind.options, kind.port] {
            let words: BTreeSet<&str> = table.iter().map(|option| option.word).collect();
            let keys: BTreeSet<&str> = table.iter().map(|option| option.key).collect();
            assert_eq!((words.len(), keys.len()), (table.len(), table.len()), "{}", kind.name);
        }
    }
}

#[test]
fn docs_are_sentences() {
    for kind in ALL {
        let options = kind.options.iter().chain(kind.port);
        for doc in options.map(|option| option.doc).chain([kind.doc]) {
            assert!(doc.ends_with('.') && doc.starts_with(char::is_uppercase), "{doc}");
        }
        assert!(kind.config.starts_with("CONFIG_"), "{}", kind.name);
    }
}

/// What a file says, a file can be made to say again.
#[test]
fn values_are_read_as_they_are_written() {
    let texts = [
        "true",
        "false",
        "0",
        "1",
        "7",
        "300",
        "65535",
        "inherit",
        "none",
        "auto",
        "802.1ad",
        "bridge",
        "l3",
        "l3s",
        "802.3ad",
        "layer3+4",
        "always",
        "stable",
        "slow",
        "any",
        "forward",
        "1000",
        "2",
        "0:1,2:3",
        "40000-50000",
        "ikey 1 okey 2",
        "10.0.0.1",
        "10.0.0.1,10.0.0.2",
        "2001:db8::1",
        "eth0",
        "02:00:00:00:00:01",
    ];
    let options = ALL.iter().flat_map(|kind| kind.options.iter().chain(kind.port));
    for option in options {
        let mut taken = 0;
        for text in texts {
            let Ok(value) = option.form.parse(text) else { continue };
            let written = option.form.written(&value);
            assert_eq!(option.form.parse(&written), Ok(value), "{} {text}", option.word);
            taken += 1;
        }
        assert!(taken > 0, "{} takes none of the samples", option.word);
    }
}

#[test]
fn a_device_is_kept_in_the_record() {
    let name = |text| crate::names::IfName::new(text).unwrap();
    let device = Device::new(&VLAN)
        .on(name("eth0"))
        .with("id", Value::Number(10))
        .with("gvrp", Value::Bool(true));
    let json = serde_json::to_string(&device).unwrap();
    assert_eq!(
        json,
        r#"{"kind":"vlan","lower":"eth0","options":{"gvrp":{"bool":true},"id":{"number":10}}}"#
    );
    assert_eq!(serde_json::from_str::<Device>(&json).unwrap(), device);
    assert!(serde_json::from_str::<Device>(r#"{"kind":"nothing"}"#).is_err());
}

#[test]
fn what_can_be_changed_in_place_is_told_from_what_can_not() {
    let vxlan =
        |id, ttl| Device::new(&VXLAN).with("id", Value::Number(id)).with("ttl", Value::Number(ttl));
    assert!(vxlan(1, 5).can_become(&vxlan(1, 6)));
    assert!(!vxlan(1, 5).can_become(&vxlan(2, 5)));
    // What is not declared is not compared.
    assert!(vxlan(1, 5).can_become(&Device::new(&VXLAN)));
    assert!(!vxlan(1, 5).can_become(&Device::bridge(false)));

    // An address gives way to another of its family, or to none; a group to nothing, and nothing to it.
    let far = |text: &str| vxlan(1, 5).with("remote", Value::Ip(text.parse().unwrap()));
    let remote_of = |text: &str| -> Options {
        let option = VXLAN.option("remote").unwrap();
        [(option, Value::Ip(text.parse().unwrap()))].into_iter().collect()
    };
    let (first, other, group) = (far("10.0.0.2"), far("10.0.0.3"), far("239.1.1.1"));
    assert!(first.can_become(&other) && vxlan(1, 5).can_become(&first));
    assert!(first.can_become(&vxlan(1, 5)));
    assert_eq!(first.changes_to(&vxlan(1, 5)), remote_of("0.0.0.0"));
    assert!(far("0.0.0.0").changes_to(&vxlan(1, 5)).is_empty());
    assert!(!first.can_become(&far("2001:db8::2")) && !vxlan(1, 5).can_become(&far("2001:db8::2")));
    assert!(!first.can_become(&group) && !group.can_become(&first));
    assert!(!group.can_become(&vxlan(1, 5)));

    let macvlan = |mode| Device::new(&macvlan::MACVLAN).with("mode", Value::Number(mode));
    assert!(macvlan(1).can_become(&macvlan(4)));
    assert!(!macvlan(4).can_become(&macvlan(8)) && !macvlan(8).can_become(&macvlan(4)));
    assert!(!macvlan(8).can_become(&Device::new(&macvlan::MACVLAN)));
}

#[test]
fn defaults_are_values_that_their_options_take() {
    for kind in ALL {
        for option in kind.options.iter().chain(kind.port) {
            let Some(default) = option.default_value() else { continue };
            let (name, word) = (kind.name, option.word);
            assert!(!option.required, "{name} can't be without {word}");
            let written = option.form.written(&default);
            assert_eq!(option.form.parse(&written), Ok(default), "{name} {word}");
        }
    }
}

#[test]
fn what_is_no_longer_said_goes_back_or_takes_a_new_interface() {
    let plain = Device::new(&BRIDGE);
    let bridge = plain.clone().with("ageing_time", Value::Number(100));
    assert!(bridge.can_become(&plain));
    assert_eq!(
        bridge.changes_to(&plain),
        plain.clone().with("ageing_time", Value::Number(30000)).options
    );
    // As it is anyway, there is nothing to do.
    let usual = plain.clone().with("ageing_time", Value::Number(30000));
    assert!(usual.changes_to(&plain).is_empty());
    // No message takes back what can't be changed, or what has no value for being without it.
    let vxlan = Device::new(&VXLAN).with("id", Value::Number(1));
    let below = Value::Interface(crate::names::IfName::new("eth0").unwrap());
    assert!(!vxlan.clone().with("dstport", Value::Number(4789)).can_become(&vxlan));
    assert!(!vxlan.clone().with("dev", below).can_become(&vxlan));
    assert!(vxlan.clone().with("dstport", Value::Number(8472)).can_become(&vxlan));
}

/// A kernel whose ticks are 1/250 s tells of an odd hundredth the even one before.
#[test]
fn times_are_the_same_by_the_ticks_of_the_kernel() {
    let bridge = |time| Device::new(&BRIDGE).with("ageing_time", Value::Number(time));
    assert!(bridge(100).changes_to(&bridge(101)).is_empty());
    assert!(!bridge(101).changes_to(&bridge(102)).is_empty());
    assert!(!bridge(103).changes_to(&bridge(101)).is_empty());
    let startup =
        |time| Device::new(&BRIDGE).with("mcast_startup_query_interval", Value::Number(time));
    assert!(startup(3124).changes_to(&Device::new(&BRIDGE)).is_empty());
    // A number that is no time is what it is.
    let cost = |value| Device::new(&BRIDGE).with("mcast_hash_max", Value::Number(value));
    assert!(!cost(2).changes_to(&cost(3)).is_empty());
}

#[test]
fn what_no_longer_stands_for_anything_is_said_so() {
    let vlan = |map: &[(u64, u64)]| {
        let map = map.iter().map(|&(from, to)| Value::Pair(from, to)).collect();
        Device::new(&VLAN).with("egress-qos-map", Value::List(map))
    };
    let change = vlan(&[(1, 2), (3, 4)]).changes_to(&vlan(&[(1, 5)]));
    assert_eq!(change, vlan(&[(1, 5), (3, 0)]).options);
    assert!(vlan(&[(1, 5), (3, 0)]).changes_to(&vlan(&[(1, 5)])).is_empty());
    assert_eq!(vlan(&[(1, 5)]).changes_to(&Device::new(&VLAN)), vlan(&[(1, 0)]).options);
}
