//! Labs in tests.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

pub(crate) mod beside;
pub(crate) mod catalogue;

use std::net::IpAddr;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vnet::why::{Ask, Mend, Told, Verdict};
use vnet::{Desired, Down, Lab, Settings};
use vnet_model::NsName;
use vnet_testns::sh;

/// The labs, in the binary: there are no files where the VM tier runs it.
const LABS: &[(&str, &str)] = &[
    ("asymmetric", include_str!("../labs/asymmetric.yaml")),
    ("beside", include_str!("../labs/beside.yaml")),
    ("below-v6", include_str!("../labs/below-v6.yaml")),
    ("below-vrf", include_str!("../labs/below-vrf.yaml")),
    ("bonds", include_str!("../labs/bonds.yaml")),
    ("bare", include_str!("../labs/bare.yaml")),
    ("chain", include_str!("../labs/chain.yaml")),
    ("hairpin", include_str!("../labs/hairpin.yaml")),
    ("lan", include_str!("../labs/lan.yaml")),
    ("nat", include_str!("../labs/nat.yaml")),
    ("netkit", include_str!("../labs/netkit.yaml")),
    ("netkit-l2", include_str!("../labs/netkit-l2.yaml")),
    ("plain", include_str!("../labs/plain.yaml")),
    ("proxied", include_str!("../labs/proxied.yaml")),
    ("square", include_str!("../labs/square.yaml")),
    ("tunnels", include_str!("../labs/tunnels.yaml")),
    ("tutorial", include_str!("../labs/tutorial.yaml")),
    ("vlans", include_str!("../labs/vlans.yaml")),
    ("vpn", include_str!("../labs/vpn.yaml")),
    ("vrfs", include_str!("../labs/vrfs.yaml")),
    ("vxlans", include_str!("../labs/vxlans.yaml")),
];

pub(crate) fn desired(name: &str) -> Desired {
    let (_, text) = LABS.iter().find(|(lab, _)| *lab == name).unwrap();
    of_text(text)
}

pub(crate) fn of_text(text: &str) -> Desired {
    let source = vnet_file::Source::new("lab", text.to_owned());
    let file = vnet_file::parse(&source, &[]).unwrap_or_else(|report| panic!("{report}"));
    file.resolve().unwrap_or_else(|report| panic!("{report}"))
}

/// Builds a lab.
pub(crate) fn up(desired: &Desired) -> Lab {
    let mut lab = Lab::open(&Settings::new("/run/vnet"), &desired.lab).unwrap();
    lab.up(desired, |_| {}).unwrap();
    lab
}

pub(crate) fn down(mut lab: Lab) {
    lab.down(&Down::default()).unwrap();
}

/// Does the mends of all causes by the commands that are shown for them.
pub(crate) fn mend(told: &Told) {
    for cause in &told.answer.causes {
        for mend in &cause.mend {
            for command in mend.commands() {
                // One cause's mend may bring back what another's does too.
                run_command(&command);
            }
        }
    }
}

/// Runs a command: one of `vnet ip`, or one that Debian's `ip` does not know yet, by the library.
pub(crate) fn run_command(command: &str) {
    let is_known = !command.starts_with("vnet ") && !command.contains("type netkit");
    if is_known {
        sh(&format!("{{ {command}\n}} 2>$HOME/why-mend || grep -q 'File exists' $HOME/why-mend"));
        return;
    }
    let words = command.strip_prefix("vnet ").unwrap_or(command).split_whitespace();
    let words: Vec<String> = words.skip(1).map(str::to_owned).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = vnet::ip::run(&words, &mut vnet::ip::Io::new(&mut out, &mut err));
    assert_eq!((code, String::from_utf8_lossy(&err).as_ref()), (0, ""), "{command}");
}

pub(crate) fn replied(told: &Told) -> bool {
    told.probed.and_then(|probed| probed.replied()) == Some(true)
}

/// Says what was found, for a test that fails.
pub(crate) fn shown(told: &Told) -> String {
    let mut text = format!("{:?}, probe {:?}\n", told.answer.verdict, told.probed);
    if let Some(spotted) = &told.spotted {
        text.push_str(&format!("    {}, agrees {:?}\n", spotted.last, spotted.agrees));
        for seen in &spotted.sightings {
            let (ns, dev, leaves) = (&seen.ns, &seen.dev, seen.leaves);
            text.push_str(&format!("      {ns}:{dev} leaves {leaves} {}\n", seen.heading));
        }
    }
    for what in &told.answer.unknown {
        text.push_str(&format!("    unknown: {what}\n"));
    }
    for hop in told.answer.forth.iter().chain(&told.answer.back) {
        text.push_str(&format!("    {} {:?}: {}\n", hop.node, hop.by, hop.text));
    }
    for cause in &told.answer.causes {
        text.push_str(&format!("  {} {}: {}\n", cause.code, cause.object, cause.evidence));
        for mend in &cause.mend {
            text.push_str(&format!("      {}\n", mend.commands().join("; ")));
            if let Mend::Line { text: line, .. } = mend {
                text.push_str(&format!("      {line}\n"));
            }
        }
    }
    text
}

/// An echo request, tried for real too.
pub(crate) fn probing() -> Ask {
    let timeout = Some(std::time::Duration::from_millis(100));
    Ask { probe: true, timeout, ..Ask::default() }
}

pub(crate) fn is_well(told: &Told) -> bool {
    told.answer.verdict == Verdict::Reachable && told.answer.causes.is_empty()
}

/// A runner that makes the same labs each time.
pub(crate) fn runner(seed: u8) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// All pairs of a node and an address of one.
pub(crate) fn pairs(desired: &Desired) -> Vec<(NsName, IpAddr)> {
    let mut pairs = Vec::new();
    for from in desired.nodes.values() {
        for to in desired.nodes.values() {
            for interface in desired.state.namespaces[to].interfaces.values() {
                let addrs = interface.addresses.iter().map(|address| address.net.addr());
                pairs.extend(addrs.filter(|a| !a.is_loopback()).map(|a| (from.clone(), a)));
            }
        }
    }
    pairs
}
