//! What exists in the namespaces of a lab, as Debian's `ip` and `bridge` say it in JSON.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the kernel may take to draw its conclusions from carriers.
const SETTLING_MAX: Duration = Duration::from_secs(10);
const SETTLING_STEP: Duration = Duration::from_millis(30);

/// A program with its options, and what it is asked in one go.
type Look = (&'static str, &'static str, &'static [&'static str]);

const LOOKS: [Look; 4] = [
    (
        "ip",
        "-d -j",
        &["addr", "link", "route show table all", "rule", "nexthop", "neigh show nud permanent"],
    ),
    (
        "ip",
        "-6 -d -j",
        &["route show table all", "rule", "neigh show nud permanent", "neigh show proxy"],
    ),
    ("bridge", "-d -j", &["link", "fdb"]),
    // The last one: a kernel whose bridges do not filter has no answer to it.
    ("bridge", "-d -j", &["vlan"]),
];

/// Indexes, numbers of namespaces, timers, and what the kernel makes up: never the same twice.
const NEVER_THE_SAME: [&str; 13] = [
    "ifindex",
    "link_index",
    "link_netnsid",
    "permaddr",
    "tentative",
    "gc_timer",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "forward_delay_timer",
    "hold_timer",
    "message_age_timer",
    "refcnt",
];

/// Looks until nothing is on its way any more; the lines are `NAMESPACE QUESTION OBJECT`, in order.
pub(crate) fn settled(namespaces: &[String]) -> Vec<String> {
    let start = Instant::now();
    let mut before = now(namespaces);
    loop {
        std::thread::sleep(SETTLING_STEP);
        let lines = now(namespaces);
        if before == lines && lines.iter().all(|line| is_settled(line)) {
            return lines;
        }
        assert!(start.elapsed() < SETTLING_MAX, "it never rests: {lines:#?}");
        before = lines;
    }
}

/// An interface that is up has a carrier, or the lack of one was noticed; not both or neither.
fn is_settled(line: &str) -> bool {
    let has = |flag: &str| line.contains(&format!("\"{flag}\""));
    !has("flags") || !has("UP") || has("LOWER_UP") != has("NO-CARRIER")
}

/// Looks once.
pub(crate) fn now(namespaces: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let has_vlans = std::env::var_os("VNET_TESTNS_VM").is_some();
    let looks = if has_vlans { LOOKS.as_slice() } else { &LOOKS[..LOOKS.len() - 1] };
    for ns in namespaces {
        for &(program, options, questions) in looks {
            let answers = ask(program, &format!("-n {ns} {options}"), questions);
            assert_eq!(answers.len(), questions.len(), "{program} {options} in {ns}: {answers:?}");
            for (question, answer) in questions.iter().zip(answers) {
                let Value::Array(objects) = answer else { panic!("no list: {answer}") };
                let mut lasting: Vec<Value> = objects.into_iter().map(lasting).collect();
                lasting.retain(|it| !is_of_its_own(it));
                if program == "bridge" {
                    lasting.iter_mut().for_each(forget_far_end);
                }
                let lasting = lasting.into_iter();
                lines.extend(lasting.map(|it| format!("{ns} {options} {question} {it}")));
            }
        }
    }
    // Some are in the order of a hash.
    lines.sort();
    lines
}

/// Asks Debian's program several things.
fn ask(program: &str, options: &str, questions: &[&str]) -> Vec<Value> {
    let mut child = Command::new(program)
        .args(options.split(' '))
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("iproute2 is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all((questions.join("\n") + "\n").as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program} {options} {questions:?}");
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    values.map(|value| value.expect("it prints JSON")).collect()
}

/// Leaves out what is never the same twice.
fn lasting(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, _)| !NEVER_THE_SAME.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, lasting(value))).collect())
        }
        Value::Array(all) => {
            let kept = all.into_iter().map(lasting).filter(|it| !is_of_its_own(it));
            Value::Array(kept.collect())
        }
        other => other,
    }
}

/// `bridge` calls the far end by its index, or by the name of what has that index here.
fn forget_far_end(port: &mut Value) {
    if let Value::Object(map) = port {
        map.remove("link");
    }
}

/// Tells what the kernel adds and takes in its own time: link-local addresses and what goes with them,
/// the groups that interfaces listen to, and what bridges learn.
fn is_of_its_own(object: &Value) -> bool {
    let starts = |key: &str, beginnings: &[&str]| {
        let text = object.get(key).and_then(Value::as_str);
        text.is_some_and(|text| beginnings.iter().any(|beginning| text.starts_with(beginning)))
    };
    starts("local", &["fe80:"])
        || starts("dst", &["fe80:"])
        || starts("type", &["anycast", "multicast"])
        || starts("mac", &["33:33:", "01:00:5e:"])
        || (object.get("mac").is_some() && object.get("state").is_some_and(|state| state == ""))
}
