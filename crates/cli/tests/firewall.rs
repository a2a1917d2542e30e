//! Firewalls and NAT as a person meets them.

#[macro_use]
mod common;

use common::write;

const LAB: &str = "\
name: demo
nodes:
  gw:
    forward: true
    firewall: { forward: drop, allow: [ from a counter ] }
    nat: { masquerade: b }
  a: { routes: default via gw }
  b:
links:
  - { endpoints: [ gw, a ], prefix: 10.0.1.0/24 }
  - { endpoints: [ gw, b ], prefix: 10.0.2.0/24 }
";

#[test]
fn rules_are_shown_with_what_they_count_and_mended() {
    vnet_testns::root(|| {
        write("vnet.yaml", LAB);
        pinned!(
            "vnet up -q; vnet exec a -- ping -q -c 3 -i 0.01 -W 5 10.0.2.2 >/dev/null
             vnet show gw
             ip netns exec demo-gw nft delete table inet vnet; vnet plan
             vnet plan --as ip
             vnet up; vnet plan
             vnet config
             ip netns exec demo-gw nft flush ruleset; ip netns exec demo-gw nft add table inet vnet; vnet up
             vnet down -q"
        );
    });
}

#[test]
fn an_ordinary_user_has_them_too() {
    vnet_testns::user(|| {
        write("vnet.yaml", LAB);
        pinned!(
            "vnet up
             vnet exec a -- ping -q -c 2 -i 0.01 -W 5 10.0.2.2 >/dev/null; vnet show gw | grep counter
             vnet exec gw -- nft flush ruleset; vnet plan
             vnet up -q; vnet plan
             vnet down -q"
        );
    });
}

const TEXT: &str = "\
name: demo
nodes:
  gw:
    nftables: |
      table inet mine {
        chain input {
          type filter hook input priority 0;
          ip saddr { 10.0.0.1, 10.0.0.2 } counter dropp
        }
      }
";

#[test]
fn an_error_in_a_text_is_shown_at_its_line() {
    vnet_testns::root(|| {
        write("vnet.yaml", TEXT);
        write("right.yaml", TEXT.replace("dropp", "drop"));
        pinned!(
            "vnet up
             ip netns
             mount -t tmpfs none /usr/sbin; vnet up right.yaml; code=$?; umount /usr/sbin; exit $code
             vnet up -q right.yaml; vnet show gw; vnet plan right.yaml
             vnet plan vnet.yaml
             vnet config -f right.yaml
             vnet down -q right.yaml"
        );
    });
}

#[test]
fn an_ordinary_user_has_a_text_too() {
    vnet_testns::user(|| {
        write("vnet.yaml", TEXT);
        write("right.yaml", TEXT.replace("dropp", "drop"));
        pinned!(
            "vnet up
             vnet ls
             vnet up -q right.yaml; vnet show gw
             vnet down -q right.yaml"
        );
    });
}
