//! What exists in a place, as text.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::normal::normal;
use crate::{by_us, is_slow};

/// Everything that exists, as Debian's `ip` sees it.
pub(crate) fn state() -> String {
    if is_slow() {
        // Both are seen by the same eyes, which need no process.
        let mut text = String::new();
        for words in ["-d -j addr show", "-d route show table all", "bridge vlan", "bridge fdb"] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let (_, out, _) = by_us(&words);
            text.push_str(&format!("{}: {}\n", words.join(" "), String::from_utf8_lossy(&out)));
        }
        return text;
    }
    let mut text = String::new();
    // One process for many questions: a process costs more than what it asks.
    for (program, options, questions) in LOOKS {
        text.push_str(&ask(program, options, questions));
    }
    for (program, options, questions) in LOOKS_WITHOUT_ORDER {
        text.push_str(&format!("{}\n", sorted(&ask(program, options, questions))));
    }
    for name in pins() {
        let options = format!("-n {name} -d -j");
        text.push_str(&format!("netns {name}: {}", ask("ip", &options, &["addr show"])));
    }
    text
}

/// A program, its options, and what it is asked.
type Look = (&'static str, &'static str, &'static [&'static str]);

const LOOKS: [Look; 3] = [
    ("ip", "-d -j", &["addr show", "link show"]),
    (
        "ip",
        "-d -4",
        &["route show table all", "nexthop show", "tuntap show", "rule show", "netconf show"],
    ),
    ("ip", "-d -6", &["route show table main", "route show table 100", "rule show"]),
];

/// What the kernel has in the order of a hash.
const LOOKS_WITHOUT_ORDER: [Look; 3] = [
    ("ip", "-d", &["neigh show nud permanent", "neigh show proxy"]),
    ("bridge", "-d", &["link show"]),
    ("bridge", "-d", &["fdb show", "vlan show", "mdb show"]),
];

/// Asks Debian's program several things; what it does not know it passes over.
fn ask(program: &str, options: &str, questions: &[&str]) -> String {
    let mut child = Command::new(program)
        .args(options.split(' '))
        .args(["-force", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("iproute2 is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that can not enter a namespace reads nothing.
    let _ = stdin.write_all((questions.join("\n") + "\n").as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    format!("{program} {options}:\n{}", String::from_utf8_lossy(&output.stdout))
}

/// The names of namespaces.
fn pins() -> Vec<String> {
    let pins = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let mut names: Vec<_> = pins.filter_map(|pin| pin.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Sorts lines that the kernel has in the order of a hash, by what remains of them where a hardware
/// address is random. The groups that it joins of itself come and go in their own time: they are left
/// out.
pub(crate) fn sorted(text: &str) -> String {
    let text = normal(text).replace("},{", "},\n{").replace("[{", "[\n{").replace("}]", "}\n]");
    let joined = |line: &&str| {
        ["33:33:", "01:00:5e:"].iter().any(|start| line.starts_with(start))
            || ["lladdr 33:33:", "lladdr 01:00:5e:"].iter().any(|group| line.contains(group))
            // Of the group that listens for an address (RFC 4291, section 2.7.1), here a random one.
            || line.contains("grp ff02::1:ff")
    };
    let lines = text.lines().map(|line| line.trim_end_matches(','));
    let mut lines: Vec<&str> = lines.filter(|line| !joined(line)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Waits until the kernel has drawn its conclusions from carriers that came or went: until then an
/// interface that is up has both LOWER_UP and NO-CARRIER, or neither.
pub(crate) fn settle() {
    let is_settled = |links: &str| {
        links.lines().all(|line| {
            let has = |flag: &str| line.split(['<', ',', '>']).any(|word| word == flag);
            !has("UP") || has("LOWER_UP") != has("NO-CARRIER")
        })
    };
    for _ in 0..300 {
        let mut links = by_us(&["-br", "link"].map(str::to_owned)).1;
        for name in pins() {
            links.extend(by_us(&["-n", &name, "-br", "link"].map(str::to_owned)).1);
        }
        if is_settled(&String::from_utf8_lossy(&links)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
