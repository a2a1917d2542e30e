//! What a test may need of the kernel beyond what every kernel has, how that is found out, and who promises it.
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::inside::{self, Skip};
use crate::isolate::enter_probe;

/// Which kernels of the VM tier (`cargo xtask vm`) have a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// All of them.
    Vm,
    /// Those of this version and later.
    VmSince(u32, u32),
}

/// One thing that a kernel has or lacks.
#[derive(Debug)]
struct Feature {
    name: &'static str,
    promise: Promise,
    /// A shell script that succeeds where the kernel has it. It runs in an empty network namespace of its own, in which
    /// `p0` and `p1` are a veth pair that is up and `p0` has 192.0.2.1/24 and 2001:db8::1/64.
    probe: &'static str,
}

const fn vm(name: &'static str, probe: &'static str) -> Feature {
    Feature { name, promise: Promise::Vm, probe }
}

/// All features that a test can ask for. The one place that says what the VM tier promises.
///
/// A link kind is known by its name and made as `ip link add` makes it. Some kernels accept an option that they were not
/// built for and forget it: there the probe looks at what came of it.
const FEATURES: &[Feature] = &[
    // Link kinds.
    vm("veth", "ip link add t0 type veth peer name t1"),
    vm("bridge", "ip link add t0 type bridge"),
    vm("vlan", "ip link add link p0 name t0 type vlan id 5"),
    vm("vlan-ad", "ip link add link p0 name t0 type vlan proto 802.1ad id 5"),
    vm("vxlan", "ip link add t0 type vxlan id 5 dstport 4789"),
    vm("macvlan", "ip link add link p0 name t0 type macvlan mode bridge"),
    vm("macvtap", "ip link add link p0 name t0 type macvtap mode bridge"),
    vm("ipvlan", "ip link add link p0 name t0 type ipvlan mode l2"),
    vm("dummy", "ip link add t0 type dummy"),
    vm("ifb", "ip link add t0 type ifb"),
    vm("vrf", "ip link add t0 type vrf table 10"),
    vm("bond", "ip link add t0 type bond mode active-backup"),
    vm("gre", "ip link add t0 type gre local 192.0.2.1 remote 192.0.2.2"),
    vm("gretap", "ip link add t0 type gretap local 192.0.2.1 remote 192.0.2.2"),
    vm("ip6gre", "ip link add t0 type ip6gre local 2001:db8::1 remote 2001:db8::2"),
    vm("ip6gretap", "ip link add t0 type ip6gretap local 2001:db8::1 remote 2001:db8::2"),
    vm("ipip", "ip link add t0 type ipip local 192.0.2.1 remote 192.0.2.2"),
    vm("sit", "ip link add t0 type sit local 192.0.2.1 remote 192.0.2.2"),
    vm("ip6tnl", "ip link add t0 type ip6tnl local 2001:db8::1 remote 2001:db8::2 mode any"),
    vm("geneve", "ip link add t0 type geneve id 5 remote 192.0.2.2"),
    vm("wireguard", "ip link add t0 type wireguard"),
    vm("tun", "ip tuntap add dev t0 mode tun"),
    vm("tap", "ip tuntap add dev t0 mode tap"),
    // iproute2 6.1 does not know it, and so sends its name alone.
    Feature {
        name: "netkit",
        promise: Promise::VmSince(6, 7),
        probe: "ip link add t0 type netkit",
    },
    // Bridges.
    vm(
        "bridge-vlan",
        "ip link add t0 type bridge vlan_filtering 1; ip link set p0 master t0; bridge vlan add dev p0 vid 5; ip -d link show t0 | grep -q 'vlan_filtering 1'",
    ),
    vm(
        "bridge-snooping",
        "ip link add t0 type bridge mcast_snooping 1; ip -d link show t0 | grep -q 'mcast_snooping 1'",
    ),
    // Queueing disciplines, filters and actions.
    // Takes the machine's own root: a user namespace's may not steer packets.
    vm(
        "rps",
        "unshare -m sh -c 'mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/p0/queues/rx-0/rps_cpus'",
    ),
    vm("netem", "tc qdisc add dev p0 root netem delay 1ms"),
    vm("fq", "tc qdisc add dev p0 root fq"),
    vm("fq_codel", "tc qdisc add dev p0 root fq_codel"),
    vm("prio", "tc qdisc add dev p0 root prio"),
    vm("tbf", "tc qdisc add dev p0 root tbf rate 1mbit burst 10kb latency 10ms"),
    vm("htb", "tc qdisc add dev p0 root handle 1: htb"),
    vm("clsact", "tc qdisc add dev p0 clsact"),
    vm(
        "u32",
        "tc qdisc add dev p0 clsact; tc filter add dev p0 egress protocol ip u32 match ip dst 192.0.2.2 action ok",
    ),
    vm(
        "flower",
        "tc qdisc add dev p0 clsact; tc filter add dev p0 egress protocol ip flower dst_ip 192.0.2.2 action ok",
    ),
    // Routing.
    vm("nexthop", "ip nexthop add id 5 via 192.0.2.2 dev p0; ip route add 198.51.100.0/24 nhid 5"),
    vm("policy-rules", "ip rule add fwmark 5 table 100; ip -6 rule add fwmark 5 table 100"),
    vm("seg6", "ip -6 route add 2001:db8:1::/64 encap seg6 mode encap segs 2001:db8::2 dev p0"),
    vm("mpls", "ip route add 198.51.100.0/24 encap mpls 100 via 192.0.2.2 dev p0"),
    // What nf_tables needs for more than to accept and to drop.
    vm("nft", "nft 'table inet t { chain c { type filter hook input priority 0; accept; }; }'"),
    vm(
        "nft-ct",
        "nft 'table inet t { chain c { type filter hook input priority 0; ct state established accept; }; }'",
    ),
    vm(
        "nft-nat",
        "nft 'table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; chain d { type nat hook prerouting priority -100; tcp dport 80 dnat to 192.0.2.2:80; }; }'",
    ),
    vm(
        "nft-flowtable",
        "nft 'table inet t { flowtable f { hook ingress priority 0; devices = { p0 }; }; chain c { type filter hook forward priority 0; ip protocol tcp flow add @f; }; }'",
    ),
    vm(
        "nft-limit",
        "nft 'table inet t { chain c { type filter hook input priority 0; limit rate 5/second accept; }; }'",
    ),
    vm(
        "nft-log",
        "nft 'table inet t { chain c { type filter hook input priority 0; log prefix \"t\"; }; }'",
    ),
    vm(
        "nft-reject",
        "nft 'table inet t { chain c { type filter hook input priority 0; reject; }; }'",
    ),
    vm(
        "nft-bridge",
        "nft 'table bridge t { chain c { type filter hook forward priority 0; meta ibrname t0 ct state established accept; }; chain d { type filter hook prerouting priority 0; reject; }; }'",
    ),
    // What the kernel tells of itself, and to the machine's own root only.
    vm(
        "drop-reasons",
        "unshare -m sh -c 'mount -t tracefs tracefs /sys/kernel/tracing && grep -q skb_drop_reason /sys/kernel/tracing/events/skb/kfree_skb/format'",
    ),
];

/// Ends the body here unless the running kernel has all of `features`.
///
/// Link kinds go by their names (`vlan`, `wireguard`), other things by theirs (`netem`, `bridge-vlan`, `mpls`): the table in
/// `crates/testns/src/features.rs` has them all, says how each is probed for and which kernels of the VM tier have it. What
/// is missing skips the test; the crate's page says where a skip is a failure.
///
/// # Panics
/// If a feature is not in the table, or if the VM tier would not find the test: a part of its path must begin with `vm_`.
pub fn requires(features: &[&str]) {
    let name = inside::name();
    assert!(
        is_in_vm_tier(name),
        "{name} requires kernel features, so the VM tier must find it: begin its name, or its module's, with `vm_`"
    );
    for name in features {
        let feature = FEATURES.iter().find(|feature| feature.name == *name).unwrap_or_else(|| {
            panic!("no kernel feature is called {name:?}: add it to the table in crates/testns/src/features.rs")
        });
        let found = match is_vm_tier() {
            true => feature.promised(kernel_version()),
            false => feature.probe(),
        };
        if let Err(why) = found {
            Skip { why: format!("this kernel lacks {name}: {why}"), runs_elsewhere: true }.now();
        }
    }
}

/// Tells whether this is the VM tier. There the table is believed: each probe takes a tenth of a second, and one test holds
/// the whole table against the kernel.
fn is_vm_tier() -> bool {
    std::env::var_os("VNET_TESTNS_VM").is_some_and(|value| value == "1")
}

/// Tells whether `cargo xtask vm` runs the test of this name: whether a part of its path begins with `vm_`.
fn is_in_vm_tier(test: &str) -> bool {
    test.split("::").any(|part| part.starts_with("vm_"))
}

impl Promise {
    /// Tells whether a kernel of this version in the VM tier is promised to have the feature.
    fn holds_for(self, version: (u32, u32)) -> bool {
        match self {
            Self::Vm => true,
            Self::VmSince(major, minor) => version >= (major, minor),
        }
    }
}

impl Feature {
    fn promised(&self, version: (u32, u32)) -> Result<(), String> {
        match self.promise.holds_for(version) {
            true => Ok(()),
            false => Err(format!("{:?} promises it, and this is Linux {version:?}", self.promise)),
        }
    }

    fn probe(&self) -> Result<(), String> {
        if lacks_on_purpose(self.name) {
            return Err("VNET_TESTNS_LACKS says so".to_owned());
        }
        let script = format!("{PREPARE}{}", self.probe);
        let mut command = Command::new("sh");
        command.args(["-ec", &script]).stdin(Stdio::null());
        // SAFETY: `enter_probe` makes system calls only, on memory that was laid ready before.
        unsafe { command.pre_exec(enter_probe()) };
        let output = command.output().unwrap_or_else(|error| panic!("cannot probe: {error}"));
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(errors.lines().find(|line| !line.is_empty()).unwrap_or("forgotten").trim().to_owned())
    }
}

const PREPARE: &str = "ip -batch - <<END
link set lo up
link add p0 type veth peer name p1
link set p0 up
link set p1 up
addr add 192.0.2.1/24 dev p0
addr add 2001:db8::1/64 dev p0 nodad
END
";

fn lacks_on_purpose(name: &str) -> bool {
    std::env::var("VNET_TESTNS_LACKS").is_ok_and(|list| list.split(',').any(|word| word == name))
}

/// The first two numbers of the running kernel's release.
fn kernel_version() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let text = text.unwrap_or_else(|error| panic!("cannot read the kernel's release: {error}"));
    version(&text).unwrap_or_else(|| panic!("cannot read a version in {text:?}"))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|sign: char| !sign.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_features_have_one_name() {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_release_has_a_version() {
        assert_eq!(version("6.1.0-56-cloud-amd64\n"), Some((6, 1)));
        assert_eq!(version("6.12.117+deb12-cloud-amd64"), Some((6, 12)));
        assert_eq!(version("what"), None);
    }

    #[test]
    fn a_promise_may_begin_with_a_version() {
        assert!(Promise::Vm.holds_for((6, 1)));
        assert!(!Promise::VmSince(6, 7).holds_for((6, 1)));
        assert!(Promise::VmSince(6, 7).holds_for((6, 12)));
    }

    #[test]
    fn the_vm_tier_finds_a_test_by_any_part_of_its_path() {
        assert!(is_in_vm_tier("vm_a_vlan"));
        assert!(is_in_vm_tier("links::vm_a_vlan"));
        assert!(is_in_vm_tier("vm_links::a_vlan"));
        assert!(!is_in_vm_tier("links::a_vm_b"));
    }

    fn promised_but_missing(features: &[Feature]) -> Vec<String> {
        let promised = features.iter().filter(|it| it.promised(kernel_version()).is_ok());
        let lacks = |it: &Feature| it.probe().err().map(|why| format!("{}: {why}", it.name));
        promised.filter_map(lacks).collect()
    }

    /// Every promise is kept: what `requires` believes in the VM tier is looked at here.
    #[test]
    fn vm_every_promised_feature_is_there() {
        crate::machine_root(|| {
            let (first, second) = FEATURES.split_at(FEATURES.len() / 2);
            let missing = std::thread::scope(|scope| {
                let other = scope.spawn(|| promised_but_missing(second));
                [promised_but_missing(first), other.join().unwrap()].concat()
            });
            if !is_vm_tier() && !missing.is_empty() {
                let why = format!("this kernel lacks {}", missing.join(", "));
                Skip { why, runs_elsewhere: true }.now();
            }
            assert_eq!(missing, [""; 0], "the VM tier promises what its kernel lacks");
        });
    }
}
