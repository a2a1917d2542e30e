//! Counters of what a namespace did not take, pass on or answer: of its interfaces and of its protocols.
//!
//! They say that something was lost, not what: whatever else goes on there moves them too. Read from
//! `net/dev`, `net/snmp`, `net/netstat` and `net/snmp6` in /proc (net/core/net-procfs.c,
//! net/ipv4/proc.c, net/ipv6/proc.c), of the namespace that the calling thread is in.

use std::collections::BTreeMap;

use vnet_model::NsName;

use crate::error::Error;
use crate::realm::{Realm, SysctlAccess};

/// Counters by name: `eth0 rx_dropped`, `TcpExt IPReversePathFilter`.
pub type Counters = BTreeMap<String, u64>;

/// The columns of `net/dev`, behind the name.
const OF_INTERFACES: [(usize, &str); 4] =
    [(2, "rx_errors"), (3, "rx_dropped"), (10, "tx_errors"), (11, "tx_dropped")];

/// What is read of `net/snmp` and `net/netstat`, by group.
const OF_PROTOCOLS: &[(&str, &[&str])] = &[
    (
        "Ip",
        &[
            "InHdrErrors",
            "InAddrErrors",
            "InUnknownProtos",
            "InDiscards",
            "OutDiscards",
            "OutNoRoutes",
            "ReasmFails",
            "FragFails",
        ],
    ),
    ("Icmp", &["InErrors", "InCsumErrors"]),
    ("Tcp", &["InErrs", "InCsumErrors"]),
    ("Udp", &["NoPorts", "InErrors", "RcvbufErrors", "SndbufErrors", "InCsumErrors"]),
    (
        "TcpExt",
        &["IPReversePathFilter", "ListenOverflows", "ListenDrops", "ArpFilter", "TCPMD5NotFound"],
    ),
    ("IpExt", &["InNoRoutes", "InTruncatedPkts", "InCsumErrors"]),
];

/// What is read of `net/snmp6`.
const OF_IPV6: &[&str] = &[
    "Ip6InHdrErrors",
    "Ip6InTooBigErrors",
    "Ip6InNoRoutes",
    "Ip6InAddrErrors",
    "Ip6InUnknownProtos",
    "Ip6InTruncatedPkts",
    "Ip6InDiscards",
    "Ip6OutDiscards",
    "Ip6OutNoRoutes",
    "Ip6ReasmFails",
    "Ip6FragFails",
    "Icmp6InErrors",
    "Udp6NoPorts",
    "Udp6InErrors",
];

/// Reads the counters of namespaces.
///
/// # Errors
/// When one of them can't be entered.
pub fn read(realm: &Realm, names: &[NsName]) -> Result<BTreeMap<NsName, Counters>, Error> {
    let ask = |ns: &NsName| (ns.clone(), vec![SysctlAccess::Counters]);
    let answers = realm.sysctls(0, names.iter().map(ask).collect())?;
    let texts = answers.into_iter().map(|mut answer| answer.pop().flatten().unwrap_or_default());
    Ok(names.iter().cloned().zip(texts.map(|text| told(&text))).collect())
}

/// Lists what has grown, with by how much.
#[must_use]
pub fn grown(before: &Counters, after: &Counters) -> Vec<(String, u64)> {
    let by = |(name, value): (&String, &u64)| {
        let by = value.saturating_sub(before.get(name).copied()?);
        (by > 0).then(|| (name.clone(), by))
    };
    after.iter().filter_map(by).collect()
}

/// Reads those of the namespace that the calling thread is in, a line each: the name, a tab, the value.
pub(crate) fn tell() -> String {
    let file = |name: &str| {
        std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
    };
    let mut all = interfaces(&file("dev"));
    all.extend(protocols(&file("snmp")));
    all.extend(protocols(&file("netstat")));
    all.extend(ipv6(&file("snmp6")));
    all.into_iter().map(|(name, value)| format!("{name}\t{value}\n")).collect()
}

fn told(text: &str) -> Counters {
    let line = |line: &str| {
        let (name, value) = line.split_once('\t')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

fn interfaces(text: &str) -> Counters {
    // Two lines are the head.
    let rows = text.lines().skip(2).filter_map(|line| line.rsplit_once(':'));
    rows.flat_map(|(name, row)| {
        let values: Vec<&str> = row.split_whitespace().collect();
        OF_INTERFACES.into_iter().filter_map(move |(at, counter)| {
            Some((format!("{} {counter}", name.trim()), values.get(at)?.parse().ok()?))
        })
    })
    .collect()
}

/// Reads pairs of lines: the group with its names, the group with their values.
fn protocols(text: &str) -> Counters {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Counters::new();
    for pair in lines.chunks_exact(2) {
        let (Some((group, names)), Some((_, values))) =
            (pair[0].split_once(": "), pair[1].split_once(": "))
        else {
            continue;
        };
        let wanted = OF_PROTOCOLS.iter().find(|(known, _)| *known == group).map(|(_, names)| names);
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if wanted.is_some_and(|wanted| wanted.contains(&name))
                && let Ok(value) = value.parse()
            {
                found.insert(format!("{group} {name}"), value);
            }
        }
    }
    found
}

fn ipv6(text: &str) -> Counters {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next()?, words.next()?.parse().ok()?);
        OF_IPV6.contains(&name).then(|| (name.to_owned(), value))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_read() {
        let dev = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets \
                    errs drop fifo colls carrier compressed\n\
                    eth0.5:   1  2    3    4    5     6          7         8   9  10   11  12   13    14  \
                    15  16\n";
        let found = interfaces(dev);
        let wanted = [("rx_errors", 3), ("rx_dropped", 4), ("tx_errors", 11), ("tx_dropped", 12)];
        let wanted = wanted.map(|(name, value)| (format!("eth0.5 {name}"), value));
        assert_eq!(found, wanted.into());
        let netstat = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 7 2\n\
                       IpExt: InNoRoutes InMcastPkts\nIpExt: 1 9\n";
        let wanted =
            [("TcpExt IPReversePathFilter".to_owned(), 2), ("IpExt InNoRoutes".to_owned(), 1)];
        assert_eq!(protocols(netstat), wanted.into());
        let snmp6 = "Ip6InReceives \t12\nIp6InNoRoutes     \t3\n";
        assert_eq!(ipv6(snmp6), [("Ip6InNoRoutes".to_owned(), 3)].into());
    }

    #[test]
    fn only_what_grew_is_told() {
        let before = told("a\t1\nb\t2\nc\t5\n");
        let after = told("a\t4\nb\t2\nc\t3\nd\t9\n");
        assert_eq!(grown(&before, &after), [("a".to_owned(), 3)]);
    }

    #[test]
    fn this_namespace_has_all_of_them() {
        let found = told(&tell());
        for (group, names) in OF_PROTOCOLS {
            for name in *names {
                let name = format!("{group} {name}");
                assert!(found.contains_key(&name), "{name}");
            }
        }
        assert!(found.contains_key("lo rx_dropped"), "{found:?}");
    }
}
