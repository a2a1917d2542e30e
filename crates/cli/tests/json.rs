//! The form of all JSON is a promise: fields that are not promised here fail these tests.
#![allow(dead_code, reason = "that they are read is what is tested")]

mod common;

use common::{TUTORIAL, vnet, write};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interface {
    name: String,
    kind: String,
    up: bool,
    mtu: Option<u32>,
    mac: Option<String>,
    master: Option<String>,
    peer: Option<String>,
    addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    name: String,
    namespace: String,
    exists: bool,
    interfaces: Vec<Interface>,
    routes: Vec<String>,
    sysctls: std::collections::BTreeMap<String, String>,
    tables: Vec<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    chains: Vec<Chain>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    name: String,
    base: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    text: String,
    packets: Option<u64>,
    bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    name: String,
    ends: [String; 2],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    action: String,
    namespace: String,
    object: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Up {
    version: u32,
    kind: String,
    elapsed_ms: f64,
    changes: Vec<Change>,
    undeclared: Vec<String>,
    lab: String,
    nodes: Vec<Node>,
    segments: Vec<Node>,
    links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    version: u32,
    kind: String,
    lab: String,
    nodes: Vec<Node>,
    segments: Vec<Node>,
    links: Vec<Link>,
    drift: Vec<Change>,
    conflicts: Vec<String>,
    undeclared: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    version: u32,
    kind: String,
    lab: String,
    nodes: Vec<Node>,
    segments: Vec<Node>,
    links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moved {
    interface: String,
    from: Vec<String>,
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    version: u32,
    kind: String,
    lab: String,
    changes: Vec<Change>,
    undeclared: Vec<String>,
    moved: Vec<Moved>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    from: String,
    to: String,
    address: Option<String>,
    reached: bool,
    rtt_ms: Option<f64>,
    reason: Option<String>,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ping {
    version: u32,
    kind: String,
    lab: String,
    asked: usize,
    reached: usize,
    elapsed_ms: f64,
    pairs: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    state: String,
    namespaces: Vec<String>,
    file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ls {
    version: u32,
    kind: String,
    labs: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    lab: String,
    namespaces: Vec<String>,
    processes: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Down {
    version: u32,
    kind: String,
    labs: Vec<Gone>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    version: u32,
    kind: String,
    error: String,
    message: String,
    hints: Vec<String>,
}

/// Runs a command with `--json`, which must print exactly one document, and nothing on stderr
/// unless it fails.
fn json<T: DeserializeOwned>(code: i32, args: &[&str]) -> T {
    let args = [args, &["--json"]].concat();
    let run = vnet(&args);
    assert_eq!(run.code, code, "{args:?}: {run:?}");
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {run:?}"))
}

#[test]
fn every_document_has_its_form() {
    vnet_testns::root(|| {
        write("vnet.yaml", TUTORIAL);
        let plan: Plan = json(1, &["plan"]);
        assert_eq!((plan.version, plan.kind.as_str(), plan.changes.len()), (1, "plan", 11));
        let up: Up = json(0, &["up"]);
        assert_eq!((up.version, up.kind.as_str(), up.nodes.len()), (1, "up", 2));
        let veth = up.nodes[0].interfaces.iter().find(|port| port.name == "veth0").unwrap();
        assert_eq!(veth.peer.as_deref(), Some("vnet1:veth1"));
        let config: Config = json(0, &["config"]);
        assert_eq!(config.links[0].ends, ["vnet0:veth0", "vnet1:veth1"]);
        let ping: Ping = json(0, &["ping"]);
        assert!(ping.asked == 2 && ping.pairs.iter().all(|pair| pair.rtt_ms.is_some()), "{ping:?}");
        assert_eq!(json::<Ls>(0, &["ls"]).labs[0].state, "up");
        vnet_testns::sh("ip -n vnet0 link set veth0 down");
        let show: Show = json(0, &["show", "vnet0"]);
        assert_eq!((show.nodes.len(), show.drift.len()), (1, 2));
        assert_eq!(show.drift[0].action, "set");
        let ping: Ping = json(1, &["ping", "-W", "0.2"]);
        assert!(ping.pairs[0].reason.is_some() && ping.pairs[0].why.is_some(), "{ping:?}");
        let failed: Failed = json(2, &["show", "vnet7"]);
        assert_eq!((failed.kind.as_str(), failed.error.as_str()), ("error", "no-node"));
        assert_eq!(json::<Down>(0, &["down"]).labs[0].namespaces, ["vnet0", "vnet1"]);
        assert!(json::<Down>(0, &["down"]).labs.is_empty());
        assert_eq!(json::<Failed>(2, &["up", "nothing.yaml"]).error, "no-file");
    });
}
