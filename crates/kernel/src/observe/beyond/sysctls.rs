//! Sysctls that are not as they are in a new namespace.

use std::collections::BTreeMap;

use vnet_model::Namespace;

const IPV4_FORWARD: &str = "net.ipv4.ip_forward";
const IPV6_FORWARD: &str = "net.ipv6.conf.all.forwarding";

/// Reads lines of names and values, a tab between them.
pub(super) fn read(lists: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for list in lists {
        let pairs = list.lines().filter_map(|line| line.split_once('\t'));
        found.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    found
}

/// Takes those that somebody set.
pub(super) fn take(
    found: &BTreeMap<String, String>,
    born: &BTreeMap<String, String>,
    ns: &mut Namespace,
    words: &mut Vec<String>,
) {
    for (key, value) in found {
        if is_said_elsewhere(key, value) || usual(key, found, born) == Some(value) {
            continue;
        }
        if key.ends_with(".stable_secret") {
            words.push(format!("the secret {key}"));
        } else {
            ns.sysctls.insert(key.clone(), value.clone());
        }
    }
}

/// Tells whether another sysctl says the same, or something else than a sysctl does: the MTU, IPv6
/// as a property of the interface. What is -1 the kernel made so, for lack of neighbours.
fn is_said_elsewhere(key: &str, value: &str) -> bool {
    let (scope, setting) = key.rsplit_once('.').unwrap_or(("", key));
    let is_of = |folder: &str| scope.contains(folder);
    match setting {
        "mtu" => is_of(".ipv6.conf."),
        "base_reachable_time" | "retrans_time" | "unres_qlen" => is_of(".neigh."),
        "disable_ipv6" => true,
        "accept_dad" | "use_tempaddr" => value == "-1",
        // Made by the kernel when it first needs one.
        "tcp_fastopen_key" => true,
        "forwarding" => key == IPV6_FORWARD || key == "net.ipv4.conf.all.forwarding",
        _ => false,
    }
}

/// Returns what a sysctl is where nothing is said of it: for one of an interface, what the namespace
/// says of interfaces to come.
fn usual<'a>(
    key: &str,
    found: &'a BTreeMap<String, String>,
    born: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    let parts: Vec<&str> = key.split('.').collect();
    let with = |name: &str, at: usize| {
        let mut parts = parts.clone();
        parts[at] = name;
        parts.join(".")
    };
    match parts.as_slice() {
        ["net", "ipv4", "conf", _, "forwarding"] => found.get(IPV4_FORWARD),
        ["net", "ipv6", "conf", _, "forwarding"] => found.get(IPV6_FORWARD),
        // What is written of interfaces to come goes for `lo` too, which nobody has set anything of
        // (`devinet_copy_dflt_conf`, net/ipv4/devinet.c).
        ["net", "ipv4", "conf", "lo", _] => {
            let default = with("default", 3);
            let is_set = found.get(&default) != born.get(&default);
            if is_set { found.get(&default) } else { born.get(key) }
        }
        ["net", _, "conf", "all" | "default" | "lo", _] => born.get(key),
        // Of these no namespace but the first shows its defaults.
        ["net", "mpls", "conf", _, _] | ["net", _, "neigh", _, _] => born.get(&with("lo", 3)),
        ["net", _, "conf", _, _] => found.get(&with("default", 3)),
        _ => born.get(key),
    }
}
