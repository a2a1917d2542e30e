//! Holds `vnet ip` against Debian's iproute2 6.1 on the same kernel.
//!
//! Each file of `tests/ip/` is a table of set-ups and command lines. Every command line runs in two
//! fresh network namespaces: in one by Debian's `ip`, in the other by the library. Exit code, stdout,
//! the first line of stderr and what exists afterwards must be the same.
//!
//! ```text
//! = the title of a set-up       (`~` instead of `=`: the lines run one after the other in one place)
//! + a command of the set-up, as a line of `ip -batch`, or `bridge …`, or `sysctl KEY VALUE`;
//!   `a pair` or `two networks` are what the reader says
//! @ a file to be written        | a line of it
//! a command line without `ip`, or one with `bridge`
//! ! one that we do not cover: it is refused by name, and changes nothing (Debian's does not run it)
//! ```
#![allow(clippy::print_stdout, reason = "how many cases were compared is worth a line")]

mod ip {
    pub(crate) mod monitor;
    pub(crate) mod normal;
    pub(crate) mod state;
    pub(crate) mod table;
}

use std::io::Write as _;
use std::process::{Command, Stdio};

use ip::normal::normal;
use ip::state::{settle, sorted, state};
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

/// The first words of what we say of a line that we do not cover.
const NOT_COVERED: &str = "vnet ip does not cover";

fn by_debian(words: &[String]) -> (i32, Vec<u8>, Vec<u8>) {
    if words.first().is_some_and(|word| word == "!") {
        return (1, Vec::new(), NOT_COVERED.into());
    }
    let (is_bridge, words) = language(words);
    let program = if is_bridge { "bridge" } else { "ip" };
    let output = Command::new(program).args(words).output().expect("iproute2 is installed");
    (output.status.code().unwrap_or(-1), output.stdout, output.stderr)
}

fn by_us(words: &[String]) -> (i32, Vec<u8>, Vec<u8>) {
    if let Some(words) = words.strip_prefix(&["!".to_owned()]) {
        let (code, out, mut err) = by_us(words);
        if err.starts_with(NOT_COVERED.as_bytes()) {
            err.truncate(NOT_COVERED.len());
        }
        return (code, out, err);
    }
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

fn reads(words: &[String]) -> bool {
    !words.iter().any(|word| CHANGES.contains(&word.as_str()))
}

/// Tells whether the kernel answers in the order of a hash, whose seed is another in each namespace.
fn is_unordered(words: &[String]) -> bool {
    let is_neighbour = |word: &str| word.len() > 2 && "neighbour".starts_with(word);
    words.iter().any(|word| is_neighbour(word) || word == "neighbor" || word == "fdb")
}

fn look(words: &[String], runner: Runner) -> Seen {
    let (code, stdout, stderr) = runner(words);
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let reads = reads(words);
    if !reads {
        settle();
    }
    let stdout = String::from_utf8_lossy(&stdout);
    Seen {
        code,
        stdout: if is_unordered(words) { sorted(&stdout) } else { normal(&stdout) },
        complaint: normal(stderr.lines().next().unwrap_or_default()),
        state: if reads { String::new() } else { normal(&state()) },
    }
}

/// How often lines that differ are run before that counts.
const ATTEMPTS: usize = 8;

/// Runs lines both ways and says what differs.
fn compare(thread: &NsThread, block: &Block, lines: &[Vec<String>]) -> Vec<String> {
    let theirs = run(thread, block, lines, by_debian);
    let ours = run(thread, block, lines, by_us);
    let mut wrong = Vec::new();
    for ((words, theirs), mut ours) in lines.iter().zip(&theirs).zip(ours) {
        if [&theirs.complaint, &theirs.stdout].iter().any(|text| text.starts_with("Usage")) {
            // Help is ours.
            ours.complaint.clone_from(&theirs.complaint);
            ours.stdout.clone_from(&theirs.stdout);
        }
        if *theirs != ours {
            wrong.push(difference(&block.title, words, theirs, &ours));
        }
    }
    wrong
}

/// How many lines run at the same time: the kernel tells of carriers once a second, so that most
/// of the time is waiting for it.
const THREADS: usize = 8;

/// Lines that are run in one place.
#[derive(Clone)]
struct Run {
    block: Block,
    lines: Vec<Vec<String>>,
}

impl Run {
    /// Tells whether it pins namespaces, whose names all threads share.
    fn pins(&self) -> bool {
        self.block.setup.iter().any(|line| line.contains("netns"))
            || self.block.files.iter().any(|(_, text)| text.contains("netns"))
            || self
                .lines
                .iter()
                .flatten()
                .any(|word| "netns".starts_with(word.as_str()) || word == "-n")
    }
}

/// Splits a table into what is run in a place of its own each.
fn runs(blocks: &[Block]) -> Vec<Run> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut runs = Vec::new();
    for block in blocks {
        let parts: Vec<&[Vec<String>]> = match block.is_sequence {
            true => vec![&block.lines],
            // What only reads leaves the place as it was.
            false => block.lines.chunk_by(|a, b| reads(a) && reads(b)).collect(),
        };
        let wanted = parts.into_iter().filter(|lines| {
            block.title.contains(&only) || lines.iter().any(|words| words.join(" ").contains(&only))
        });
        runs.extend(wanted.map(|lines| Run { block: block.clone(), lines: lines.to_vec() }));
    }
    runs
}

/// Runs lines both ways until nothing differs, and says what does.
///
/// The kernel works on after a command: addresses and carriers settle in their own time, so what
/// differs once is looked at again. A real difference stays.
fn compare_again(thread: &NsThread, run: &Run) -> Vec<String> {
    let mut differences = Vec::new();
    for _ in 0..if is_slow() { 1 } else { ATTEMPTS } {
        differences = compare(thread, &run.block, &run.lines);
        if differences.is_empty() {
            break;
        }
    }
    if is_slow() && !differences.is_empty() {
        // Said at once: there may be no time to say it at the end.
        println!("{}", differences.join("\n"));
    }
    differences
}

/// Runs a table, and fails with all that differs.
fn hold(name: &str) {
    let path = format!("{}/tests/ip/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let blocks = read(&std::fs::read_to_string(path).expect("the table is there"));
    let runs = runs(&blocks);
    let count: usize = runs.iter().map(|run| run.lines.len()).sum();
    let (alone, together): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(Run::pins);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = |runs: &[Run], next: &std::sync::atomic::AtomicUsize| {
        let thread = NsThread::start().expect("a thread can be made");
        let mut wrong = Vec::new();
        while let Some(run) = runs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            wrong.append(&mut compare_again(&thread, run));
        }
        wrong
    };
    let threads = if is_slow() { 1 } else { THREADS };
    let mut wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work(&together, &next))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it does not panic")).collect()
    });
    wrong.append(&mut work(&alone, &std::sync::atomic::AtomicUsize::new(0)));
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
    vm_seg6: ["seg6"],
}

tables! {
    tutorial link link_errors addr netns route encap batch neigh rule rule_selections sequences
    selections nexthop bridge states_addr states_route states_link states_other
}

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
    "link set v1 type bridge_slave cost 7 hairpin on\nlink set v0 addrgenmode random\nlink set x up",
    "link set v0 gso_max_size 4096 gso_max_segs 5\nneigh del 10.0.0.66 dev v0\nlink set x up",
    "link add n0 type veth peer name n1 netns kept\nlink add n2 netns kept type veth peer name n3\nlink set x up",
    // Refused by name before anything is done.
    "link set lo mtu 1400\nlink add n0 netns kept type bridge",
    "link set lo mtu 1400\nlink add n0 netns kept type veth peer name n1 netns kept",
    "link set lo mtu 1400\nmaddr add 01:00:5e:00:00:07 dev v0",
    "link set lo mtu 1400\nneigh add 10.0.0.67 lladdr 02:00:00:00:00:67 dev v0 nud stale",
    "bridge link set dev v1 cost 9 learning off\nbridge link set dev nope cost 5",
    "bridge link set dev v1 cost 9\nbridge fdb add 02:00:00:00:00:68 dev v1 master",
    "bridge link set dev v1 cost 9\nbridge mdb add dev br0 port v1 grp 239.1.1.1 permanent",
    "bridge link set dev v1 cost 9\nbridge vlan add vid 5 dev v1",
];

/// Lines that all succeed in the place of [`atomic_place`], in any order and any number of times.
const GOOD: &[&str] = &[
    "addr replace 10.0.0.1/24 dev v0 noprefixroute",
    "addr replace 10.4.0.1/24 dev v0",
    "addr replace fd00:4::1/64 dev v0 nodad",
    "addr flush dev v0 label v0:x",
    "addr flush dev v0",
    "addr flush dev v1",
    "link set v0 down",
    "link set v0 up",
    "link set lo down",
    "link set v0 mtu 1400 txqueuelen 7 alias other",
    "link set v0 alias ''",
    "link set v0 address 02:00:00:00:00:99",
    "link set v1 nomaster",
    "link set v1 master br0",
    "link set br0 type bridge ageing_time 500 stp_state 1",
    "link set v0 promisc on allmulticast on multicast off arp off group 9",
    "route replace 10.77.0.0/16 dev lo table 50",
    "route replace blackhole 10.7.0.0/16 table 100",
    "route replace unreachable 10.9.0.0/16 metric 9",
    "route flush table 100",
    "route flush table main",
    "route flush proto static",
    "nexthop replace id 9 blackhole",
    "nexthop replace id 3 blackhole",
    "nexthop flush",
    "neigh replace 10.0.0.70 lladdr 02:00:00:00:00:70 dev v0",
    "neigh replace proxy 10.0.0.71 dev v0",
    "neigh replace proxy 10.0.0.65 dev v0",
    "neigh flush dev v0 nud permanent",
    "route show",
];

/// Much that can be changed. The bridge was up once: that gives it its queueing discipline for good.
/// It is down, so that it learns nothing meanwhile.
fn atomic_place() -> Block {
    let setup = "netns add kept
        link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02
        link set v0 addrgenmode none
        link set v1 addrgenmode none
        link add br0 address 02:00:00:00:00:03 type bridge
        link set br0 addrgenmode none
        link set v1 master br0
        link set v0 alias kept
        link property add dev v0 altname further
        link set lo up
        link set v0 up
        link set v1 up
        link set br0 up
        link set br0 down
        addr add 10.0.0.1/24 brd + dev v0
        addr add 10.0.0.3/24 dev v0 label v0:x
        addr add fd00::1/64 dev v0 nodad
        neigh add proxy 10.0.0.65 dev v0
        neigh add 10.0.0.66 lladdr 02:00:00:00:00:66 dev v0
        route add 10.9.0.0/16 via 10.0.0.5 mtu 1400
        route add 10.8.0.0/16 via 10.0.0.5 src 10.0.0.3 proto static
        route add blackhole 10.7.0.0/16 table 100
        nexthop add id 1 via 10.0.0.6 dev v0
        nexthop add id 2 via 10.0.0.7 dev v0 proto static
        nexthop add id 3 group 1,2/2
        route add 10.6.0.0/16 nhid 3
        route add fd00:9::/64 via fd00::5";
    let setup = setup.lines().map(|line| line.trim().to_owned()).collect();
    Block { title: "atomic".to_owned(), setup, ..Block::default() }
}

/// Runs a batch whose last line fails, and says what differs then from `before`.
fn fails_atomically(text: &str, before: &str) -> Result<(), String> {
    let is_bridge = text.starts_with("bridge ");
    let text = if is_bridge { text.replace("bridge ", "") } else { text.to_owned() };
    std::fs::write("/run/batch", &text).expect("/run can be written to");
    let mut words = ["--atomic", "-batch", "/run/batch"].map(str::to_owned).to_vec();
    if is_bridge {
        words.insert(0, "bridge".to_owned());
    }
    let (code, _, complaint) = by_us(&words);
    settle();
    let complaint = String::from_utf8_lossy(&complaint).into_owned();
    let (left, right) = differing_lines(before, &normal(&state()));
    let is_told = complaint.contains("Command failed /run/batch:") && complaint.contains('^');
    match (code, left == right, is_told) {
        (1, true, true) => Ok(()),
        _ => Err(format!("{text}\n{code}\n{complaint}\nbefore: {left}\nafter: {right}")),
    }
}

#[test]
fn an_atomic_batch_that_fails_changes_nothing() {
    vnet_testns::root_within(LIMIT, || {
        let thread = NsThread::start().expect("a thread can be made");
        let mut failures = Vec::new();
        for text in FAILING {
            failures.extend(thread.run(move |walker| {
                walker.enter_new().expect("namespaces can be made");
                set_up(&atomic_place());
                let result = fails_atomically(text, &normal(&state()));
                tear_down();
                result.err()
            }));
        }
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    });
}

/// Batches of lines drawn from [`GOOD`], with one that fails put before each of them in turn.
#[test]
fn an_atomic_batch_that_fails_anywhere_changes_nothing() {
    const BAD: [&str; 3] = ["link set nope up", "addr add 10.0.0.1/33 dev lo", "route del 1.2.3.4"];
    const LINES: usize = 8;
    vnet_testns::root_within(LIMIT, || {
        let thread = NsThread::start().expect("a thread can be made");
        let failures: Vec<String> = thread.run(|walker| {
            walker.enter_new().expect("namespaces can be made");
            set_up(&atomic_place());
            let before = normal(&state());
            // Not random: each line comes first once, and is followed by others each time.
            let batches = (0..GOOD.len()).step_by(if is_slow() { 15 } else { 1 }).map(|first| {
                let mut lines: Vec<&str> =
                    (0..LINES).map(|at| GOOD[(first + at * (first + 7)) % GOOD.len()]).collect();
                lines.insert(1 + first % LINES, BAD[first % BAD.len()]);
                lines.join("\n")
            });
            let failures =
                batches.filter_map(|text| fails_atomically(&text, &before).err()).collect();
            tear_down();
            failures
        });
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    });
}

#[test]
fn monitors_tell_of_the_same_events() {
    vnet_testns::root(ip::monitor::hold);
}

/// What is refused to an ordinary user, and the capability that is missing.
#[test]
fn a_missing_capability_is_named() {
    vnet_testns::user(|| {
        for (line, first, capability) in [
            ("link add v0 type bridge", "RTNETLINK answers: Operation not permitted", "NET_ADMIN"),
            ("link set lo up", "RTNETLINK answers: Operation not permitted", "NET_ADMIN"),
            (
                "addr add 10.0.0.1/8 dev lo",
                "RTNETLINK answers: Operation not permitted",
                "NET_ADMIN",
            ),
            (
                "route add 10.0.0.0/8 dev lo",
                "RTNETLINK answers: Operation not permitted",
                "NET_ADMIN",
            ),
            ("rule add table 5", "RTNETLINK answers: Operation not permitted", "NET_ADMIN"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (theirs, ours) = (by_debian(&words), by_us(&words));
            let complaint = String::from_utf8_lossy(&ours.2).into_owned();
            assert_eq!(ours.0, theirs.0, "{line}: {complaint}");
            assert_eq!(complaint.lines().next(), Some(first), "{line}");
            let said = String::from_utf8_lossy(&theirs.2).into_owned();
            assert_eq!(said.lines().next(), Some(first), "{line}");
            assert!(complaint.contains(&format!("CAP_{capability}")), "{line}: {complaint}");
        }
    });
}

/// How much is held against Debian's, here and in the virtual machine.
#[test]
fn the_tables_hold_enough() {
    let folder = format!("{}/tests/ip", env!("CARGO_MANIFEST_DIR"));
    let (mut set_ups, mut lines) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("the tables are there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let blocks = read(&std::fs::read_to_string(path).expect("it is text"));
            set_ups += blocks.len();
            let is_theirs = |words: &&Vec<String>| words.first().is_none_or(|word| word != "!");
            lines += blocks.iter().flat_map(|block| block.lines.iter().filter(is_theirs)).count();
        }
    }
    println!("{set_ups} set-ups, {lines} command lines");
    assert!(set_ups >= 150 && lines >= 400, "{set_ups} set-ups, {lines} command lines");
}
