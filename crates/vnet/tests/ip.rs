//! Holds `vnet ip` against Debian's iproute2 6.1 on the same kernel.
//!
//! Each file of `tests/ip/` is a table of set-ups and command lines. Every command line runs in two
//! fresh network namespaces: in one by Debian's `ip`, in the other by the library. Exit code, stdout,
//! the first line of stderr and what exists afterwards must be the same.
//!
//! ```text
//! = the title of a set-up       (`~` instead of `=`: the lines run one after the other in one place)
//! + a command of the set-up, as a line of `ip -batch`, or `bridge …`, or `sysctl KEY VALUE`
//! @ a file to be written        | a line of it
//! a command line without `ip`, or one with `bridge`
//! ```
#![allow(clippy::print_stdout, reason = "how many cases were compared is worth a line")]

mod ip {
    pub(crate) mod normal;
    pub(crate) mod table;
}

use std::io::Write as _;
use std::process::{Command, Stdio};

use ip::normal::normal;
use ip::table::{Block, read};
use vnet_kernel::thread::NsThread;

/// What a command line did.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    code: i32,
    stdout: String,
    complaint: String,
    state: String,
}

/// Runs command lines one after the other, each by its words.
type Runner = fn(&[String]) -> (i32, Vec<u8>, Vec<u8>);

/// Tells whose words these are: `bridge` before them says so.
fn language(words: &[String]) -> (bool, &[String]) {
    match words.split_first() {
        Some((first, rest)) if first == "bridge" => (true, rest),
        _ => (false, words),
    }
}

fn by_debian(words: &[String]) -> (i32, Vec<u8>, Vec<u8>) {
    let (is_bridge, words) = language(words);
    let program = if is_bridge { "bridge" } else { "ip" };
    let output = Command::new(program).args(words).output().expect("iproute2 is installed");
    (output.status.code().unwrap_or(-1), output.stdout, output.stderr)
}

fn by_us(words: &[String]) -> (i32, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (is_bridge, words) = language(words);
    let run = if is_bridge { vnet::ip::run_bridge } else { vnet::ip::run };
    let code = run(words, &mut vnet::ip::Io::new(&mut out, &mut err));
    (code.into(), out, err)
}

/// Tells whether this machine is one that software emulates: it makes a process in 30 ms.
fn is_slow() -> bool {
    std::env::var_os("VNET_TESTNS_VM").is_some()
}

/// Everything that exists, as Debian's `ip` sees it.
fn state() -> String {
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
    let show = |ns: Option<&str>, words: &str| {
        let mut ip = Command::new("ip");
        ip.args(ns.map(|name| ["-n", name]).into_iter().flatten()).args(words.split(' '));
        let output = ip.output().expect("iproute2 is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut text = String::new();
    for words in [
        "-d -j addr show",
        "-d -j link show",
        "-d -4 route show table all",
        "-d -6 route show table main",
        "-d -6 route show table 100",
        "-d nexthop show",
        "tuntap show",
        "-d rule",
        "-d -6 rule",
        "neigh show nud permanent",
        "neigh show proxy",
    ] {
        let mut lines = show(None, words);
        if words.starts_with("neigh") {
            lines = sorted(&lines);
        }
        text.push_str(&format!("{words}: {lines}\n"));
    }
    for words in ["-d link", "fdb", "vlan", "mdb"] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let output = Command::new("bridge").args(&words).output().expect("iproute2");
        let lines = sorted(&String::from_utf8_lossy(&output.stdout));
        text.push_str(&format!("bridge {}: {lines}\n", words.join(" ")));
    }
    for name in show(None, "netns list").lines() {
        let name = name.split(' ').next().unwrap_or(name);
        text.push_str(&format!("netns {name}: {}\n", show(Some(name), "-d -j addr show")));
    }
    text
}

/// Sorts lines that the kernel has in the order of a hash, by what remains of them where a hardware
/// address is random. The groups that it joins of itself come and go in their own time: they are left
/// out.
fn sorted(text: &str) -> String {
    let text = normal(text);
    let joined = |line: &&str| {
        ["33:33:", "01:00:5e:"].iter().any(|start| line.starts_with(start))
            // Of the group that listens for an address (RFC 4291, section 2.7.1), here a random one.
            || line.contains("grp ff02::1:ff")
    };
    let mut lines: Vec<&str> = text.lines().filter(|line| !joined(line)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn set_up(block: &Block) {
    for (path, text) in &block.files {
        std::fs::write(path, text).expect("the files of a set-up can be written");
    }
    // A batch takes no options: lines that begin with one run by themselves, and so does `bridge`.
    let is_alone =
        |line: &String| ["-", "bridge ", "sysctl "].iter().any(|start| line.starts_with(start));
    for lines in block.setup.chunk_by(|a, b| !is_alone(a) && !is_alone(b)) {
        let is_alone = is_alone(&lines[0]);
        let words: Vec<String> = lines[0].split_whitespace().map(str::to_owned).collect();
        if let [program, key, value] = words.as_slice()
            && program == "sysctl"
        {
            vnet_kernel::sysctl::write(key, value).expect("the kernel has it");
            continue;
        }
        let batch = ["-batch", "-"].map(str::to_owned);
        let (is_bridge, words) = language(if is_alone { &words } else { &batch });
        let mut ip = Command::new(if is_bridge { "bridge" } else { "ip" })
            .args(words)
            .stdin(Stdio::piped())
            .spawn()
            .expect("iproute2 is installed");
        let mut stdin = ip.stdin.take().expect("it is piped");
        if !is_alone {
            stdin.write_all((lines.join("\n") + "\n").as_bytes()).expect("iproute2 reads");
        }
        drop(stdin);
        assert!(ip.wait().expect("it ends").success(), "set-up `{}` fails", block.title);
    }
    if block.setup.iter().any(|line| line.ends_with(" up")) {
        settle();
    }
}

/// Waits until the kernel has drawn its conclusions from carriers that came or went: until then an
/// interface that is up has both LOWER_UP and NO-CARRIER, or neither.
fn settle() {
    let is_settled = |links: &str| {
        links.lines().all(|line| {
            let has = |flag: &str| line.split(['<', ',', '>']).any(|word| word == flag);
            !has("UP") || has("LOWER_UP") != has("NO-CARRIER")
        })
    };
    for _ in 0..300 {
        let look = if is_slow() { by_us } else { by_debian };
        let mut links = look(&["-br", "link"].map(str::to_owned)).1;
        let pins = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
        for name in pins.filter_map(|pin| pin.file_name().into_string().ok()) {
            let words = ["-n", &name, "-br", "link"].map(str::to_owned);
            links.extend(look(&words).1);
        }
        if is_settled(&String::from_utf8_lossy(&links)) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn tear_down() {
    let pinned = std::fs::read_dir("/run/netns").into_iter().flatten().count();
    if pinned > 0 {
        let _ = Command::new("ip").args(["-all", "netns", "del"]).status();
    }
}

/// Runs the lines in a fresh namespace.
fn run(thread: &NsThread, block: &Block, lines: &[Vec<String>], runner: Runner) -> Vec<Seen> {
    let (block, lines) = (block.clone(), lines.to_vec());
    thread.run(move |walker| {
        walker.enter_new().expect("namespaces can be made");
        set_up(&block);
        let seen = lines.iter().map(|words| look(words, runner)).collect();
        tear_down();
        seen
    })
}

/// The words that may change something; after lines without any, only what they say is compared.
const CHANGES: &[&str] = &[
    "a", "ad", "add", "app", "append", "at", "attach", "c", "ch", "chg", "change", "d", "de",
    "del", "delete", "e", "ex", "exec", "f", "fl", "flush", "pre", "prepend", "prop", "property",
    "r", "rep", "replace", "s", "se", "set", "-b", "-batch",
];

fn look(words: &[String], runner: Runner) -> Seen {
    let (code, stdout, stderr) = runner(words);
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let reads = !words.iter().any(|word| CHANGES.contains(&word.as_str()));
    if !reads {
        settle();
    }
    Seen {
        code,
        stdout: normal(&String::from_utf8_lossy(&stdout)),
        complaint: normal(stderr.lines().next().unwrap_or_default()),
        state: if reads { String::new() } else { normal(&state()) },
    }
}

/// How often lines that differ are run before that counts.
const ATTEMPTS: usize = 4;

/// Runs lines both ways and says what differs.
fn compare(thread: &NsThread, block: &Block, lines: &[Vec<String>]) -> Vec<String> {
    let theirs = run(thread, block, lines, by_debian);
    let ours = run(thread, block, lines, by_us);
    let mut wrong = Vec::new();
    for ((words, theirs), mut ours) in lines.iter().zip(&theirs).zip(ours) {
        if theirs.complaint.starts_with("Usage") {
            // Help is ours.
            ours.complaint.clone_from(&theirs.complaint);
        }
        if *theirs != ours {
            wrong.push(difference(&block.title, words, theirs, &ours));
        }
    }
    wrong
}

/// Runs a table, and fails with all that differs.
fn hold(name: &str) {
    let path = format!("{}/tests/ip/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let blocks = read(&std::fs::read_to_string(path).expect("the table is there"));
    let thread = NsThread::start().expect("a thread can be made");
    let (mut count, mut wrong) = (0, Vec::new());
    let only = std::env::var("ONLY").unwrap_or_default();
    for block in &blocks {
        let runs: Vec<&[Vec<String>]> = match block.is_sequence {
            true => vec![&block.lines],
            false => block.lines.chunks(1).collect(),
        };
        for lines in runs {
            if !lines.iter().any(|words| words.join(" ").contains(&only)) {
                continue;
            }
            count += lines.len();
            // The kernel works on after a command: addresses and carriers settle in their own time, so
            // what differs once is looked at again. A real difference stays.
            let mut differences = Vec::new();
            let attempts = if is_slow() { 1 } else { ATTEMPTS };
            for _ in 0..attempts {
                differences = compare(&thread, block, lines);
                if differences.is_empty() {
                    break;
                }
            }
            if is_slow() && !differences.is_empty() {
                // Said at once: there may be no time to say it at the end.
                println!("{}", differences.join("\n"));
            }
            wrong.append(&mut differences);
        }
    }
    println!("{name}: {} set-ups, {count} command lines, {} differ", blocks.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(title: &str, words: &[String], theirs: &Seen, ours: &Seen) -> String {
    let mut text = format!("[{title}] ip {}\n", words.join(" "));
    let mut compare = |what: &str, theirs: &str, ours: &str| {
        if theirs != ours {
            let (theirs, ours) = differing_lines(theirs, ours);
            text.push_str(&format!("  {what}\n    ip:   {theirs:?}\n    vnet: {ours:?}\n"));
        }
    };
    compare("exit code", &theirs.code.to_string(), &ours.code.to_string());
    compare("stdout", &theirs.stdout, &ours.stdout);
    compare("stderr", &theirs.complaint, &ours.complaint);
    compare("state", &theirs.state, &ours.state);
    text
}

fn differing_lines(theirs: &str, ours: &str) -> (String, String) {
    let (mut left, mut right): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (theirs, ours): (Vec<_>, Vec<_>) = (theirs.lines().collect(), ours.lines().collect());
    for at in 0..theirs.len().max(ours.len()) {
        let (a, b) = (theirs.get(at), ours.get(at));
        if a != b {
            let (a, b) = (a.copied().unwrap_or("(nothing)"), b.copied().unwrap_or("(nothing)"));
            let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
            let near = |line: &str| line.chars().skip(same.saturating_sub(40)).take(160).collect();
            left.push(near(a));
            right.push(near(b));
        }
    }
    (left.join("\n"), right.join("\n"))
}

/// A table starts some thousand processes.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(480);

macro_rules! tables {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            vnet_testns::root_within(LIMIT, || hold(stringify!($name)));
        }
    )* };
}

/// Tables for kernels that have more than most.
macro_rules! vm_tables {
    ($($name:ident: $features:expr),* $(,)?) => { $(
        #[test]
        fn $name() {
            vnet_testns::root_within(LIMIT, || {
                vnet_testns::requires(&$features);
                hold(stringify!($name));
            });
        }
    )* };
}

vm_tables! {
    vm_vlan: ["vlan", "vlan-ad", "vrf", "dummy", "ipvlan", "wireguard", "ifb"],
    vm_bond: ["bond"],
    vm_gre: ["gre", "gretap", "ip6gre", "ip6gretap"],
    vm_iptun: ["ipip", "sit", "ip6tnl"],
    vm_geneve: ["geneve"],
    vm_bridge: ["bridge-vlan"],
}

tables! { tutorial link link_errors addr netns route batch neigh rule sequences nexthop bridge }

/// Some of its interfaces are made through a file that may be closed to an ordinary user; the tests
/// of root always run it.
#[test]
fn device() {
    let tun = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    match tun.map_err(|error| error.kind()) {
        Err(std::io::ErrorKind::PermissionDenied) => {
            eprintln!("skipped: device: /dev/net/tun is closed to this user");
        }
        _ => vnet_testns::root_within(LIMIT, || hold("device")),
    }
}

/// Batches of which the last line fails, each with how often it may differ afterwards: never.
const FAILING: &[&str] = &[
    "link add v5 type veth peer name v6\naddr add 10.5.0.1/24 dev v5\nlink set nope up",
    "addr add 10.0.0.2/24 dev v0\naddr add 10.0.0.2/24 dev v0",
    "addr del 10.0.0.1/24 dev v0\nroute add 10.7.0.0/24 via 10.99.0.1",
    "addr flush dev v0\nroute del 1.2.3.4",
    "link set v0 down\nlink set v0 name w0\nlink set w0 mtu 1300 alias x txqueuelen 7\nfrob",
    "link set v0 down\nlink set v0 mtu abc",
    "route replace 10.9.0.0/16 via 10.0.0.77\nroute del 10.8.0.0/16\nroute add 10.9.0.0/16 via 10.0.0.5",
    "route flush table main\naddr show dev nope",
    "link set v1 nomaster\nlink set br0 type bridge stp_state 1 ageing_time 500\nlink set x up",
    "link property add dev v0 altname other\nlink property del dev v0 altname further\nlink set x up",
    "link set v0 address 02:00:00:00:00:77 promisc on group 5\naddr add 10.0.0.1/33 dev v0",
    "link add d0 type bridge\nlink add d1 type veth peer name d2\nlink set d1 master d0\nlink add d0 type bridge",
    "link del v0\nlink set x up",
    "netns add n\nlink set x up",
    "nexthop add id 5 via 10.0.0.9 dev v0\nnexthop del id 1\nlink set x up",
    "nexthop replace id 2 via 10.0.0.77 dev v0\nnexthop flush\nlink set x up",
];

#[test]
fn an_atomic_batch_that_fails_changes_nothing() {
    vnet_testns::root(|| {
        let setup =
            "link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02
            link set v0 addrgenmode none
            link set v1 addrgenmode none
            link add br0 address 02:00:00:00:00:03 type bridge
            link set v1 master br0
            link set v0 alias kept
            link property add dev v0 altname further
            link set lo up
            link set v0 up
            link set v1 up
            addr add 10.0.0.1/24 brd + dev v0
            addr add 10.0.0.3/24 dev v0 label v0:x
            addr add fd00::1/64 dev v0 nodad
            route add 10.9.0.0/16 via 10.0.0.5 mtu 1400
            route add 10.8.0.0/16 via 10.0.0.5 src 10.0.0.3 proto static
            route add blackhole 10.7.0.0/16 table 100
            nexthop add id 1 via 10.0.0.6 dev v0
            nexthop add id 2 via 10.0.0.7 dev v0 proto static
            nexthop add id 3 group 1,2/2
            route add 10.6.0.0/16 nhid 3
            -6 route add fd00:9::/64 via fd00::5";
        let setup = setup.lines().map(|line| line.trim().replace("-6 ", "")).collect();
        let block = Block { title: "atomic".to_owned(), setup, ..Block::default() };
        let thread = NsThread::start().expect("a thread can be made");
        for text in FAILING {
            let block = block.clone();
            thread.run(move |walker| {
                walker.enter_new().expect("namespaces can be made");
                set_up(&block);
                std::fs::write("/run/batch", text).expect("/run can be written to");
                let before = normal(&state());
                let words = ["--atomic", "-batch", "/run/batch"].map(str::to_owned);
                let (code, _, complaint) = by_us(&words);
                settle();
                let complaint = String::from_utf8_lossy(&complaint).into_owned();
                assert_eq!(code, 1, "{text}\n{complaint}");
                let (left, right) = differing_lines(&before, &normal(&state()));
                assert_eq!(left, right, "{text}\n{complaint}");
                assert!(complaint.contains("Command failed /run/batch:"), "{complaint}");
                assert!(complaint.contains("^"), "{complaint}");
            });
        }
    });
}
