//! Holds `ip monitor` and its like against Debian's: all listen to the same events.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::normal::normal;
use crate::by_debian;

/// The monitors, each with what its last event says.
const MONITORS: &[(&str, &str)] = &[
    ("monitor", "10.9.9.9"),
    ("monitor all", "10.9.9.9"),
    ("-j monitor", "10.9.9.9"),
    ("-j -p monitor label address", "10.9.9.9"),
    ("monitor label", "10.9.9.9"),
    ("monitor link", "mtu 1401"),
    ("monitor address", "10.9.9.9"),
    ("monitor route", "10.99.0.0/16"),
    ("monitor rule", "9999:"),
    ("monitor neigh", "10.0.0.99"),
    ("monitor nexthop", "id 99"),
    ("monitor label link rule", "9999:"),
    ("monitor route neigh nexthop", "id 99"),
    ("monitor link dev v0", "mtu 1401"),
    ("monitor address dev v1", "10.9.9.9"),
    ("-4 monitor address route rule", "9999:"),
    ("-6 monitor address route", "fd99::/64"),
    ("-o monitor link", "mtu 1401"),
    ("-o monitor address label", "10.9.9.9"),
    ("-d monitor link", "mtu 1401"),
    ("-d monitor route", "10.99.0.0/16"),
    ("-t monitor rule", "9999:"),
    ("-ts monitor rule", "9999:"),
    ("-ts monitor label address", "10.9.9.9"),
    ("-N monitor route rule", "9999:"),
    ("netns monitor", "delete end"),
    ("bridge monitor", "02:00:00:00:00:99"),
    ("bridge monitor all", "02:00:00:00:00:99"),
    ("bridge -j monitor all", "02:00:00:00:00:99"),
    ("bridge monitor fdb", "02:00:00:00:00:99"),
    ("bridge monitor link", "cost 9"),
    ("bridge monitor mdb", "239.9.9.9"),
    ("bridge -t monitor fdb", "02:00:00:00:00:99"),
];

/// What is there before.
const BEFORE: &str = "\
link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02
link add p0 address 02:00:00:00:00:03 type veth peer name p1 address 02:00:00:00:00:04
link add br0 address 02:00:00:00:00:05 type bridge
link set v0 addrgenmode none
link set v1 addrgenmode none
link set p0 addrgenmode none
link set p1 addrgenmode none
link set br0 addrgenmode none
link set p0 master br0
link add gone type bridge
";

/// What happens, a line each of `ip` or `bridge`. What goes was there before: a name is looked up
/// when an event is told, and then it may be too late.
const EVENTS: &str = "\
link set lo up
link set v0 up
link set v1 up
link set v0 mtu 1400
link set v0 alias kept
addr add 10.0.0.1/24 dev v0
addr add 10.0.1.1/24 brd + dev v1 label v1:x
addr add fd00::1/64 dev v0 nodad
addr del 10.0.1.1/24 dev v1
route add 10.1.0.0/16 via 10.0.0.5 metric 7
route add 10.2.0.0/16 nexthop via 10.0.0.5 nexthop via 10.0.0.6 weight 3
route add blackhole 10.3.0.0/16 table 100
-6 route add fd01::/64 via fd00::5 dev v0
route del 10.1.0.0/16
rule add from 10.0.0.0/8 table 100 prio 100
-6 rule add fwmark 5 table 100 prio 101
rule del prio 100
neigh add 10.0.0.7 lladdr 02:00:00:00:01:07 dev v0
neigh del 10.0.0.7 dev v0
nexthop add id 5 via 10.0.0.8 dev v0
nexthop add id 6 group 5
nexthop del id 6
link add fresh type bridge
link del gone
bridge link set dev p0 cost 7
bridge fdb add 02:00:00:00:09:01 dev p0 master static
bridge fdb del 02:00:00:00:09:01 dev p0 master
link set p1 up
link set p0 up
link set br0 up
bridge mdb add dev br0 port p0 grp 239.1.1.1 permanent
bridge mdb del dev br0 port p0 grp 239.1.1.1
netns add some
netns del some
link set v0 mtu 1401
route add 10.99.0.0/16 via 10.0.0.5
-6 route add fd99::/64 via fd00::5 dev v0
nexthop add id 99 via 10.0.0.8 dev v0
bridge link set dev p0 cost 9
bridge mdb add dev br0 port p0 grp 239.9.9.9 permanent
bridge fdb add 02:00:00:00:00:99 dev p0 master static
neigh add 10.0.0.99 lladdr 02:00:00:00:01:99 dev v0
netns add end
netns del end
rule add from 10.9.0.0/16 table 100 prio 9999
addr add 10.9.9.9/24 dev v1
";

/// How long all may take to say what has happened: 60 s.
const ATTEMPTS: usize = 600;

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// Keeps what is written until it is told to stop.
#[derive(Clone, Default)]
struct Sink {
    text: Arc<Mutex<Vec<u8>>>,
    is_done: Arc<AtomicBool>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_done.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.text.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One of Debian's that listens, which ends with the test.
struct Theirs {
    child: Child,
    path: String,
}

impl Theirs {
    fn start(at: usize, line: &str) -> Self {
        let (program, rest) = match line.strip_prefix("bridge ") {
            Some(rest) => ("bridge", rest),
            None => ("ip", line),
        };
        let path = format!("/run/monitor-{at}");
        let out = std::fs::File::create(&path).expect("/run can be written to");
        // Line by line, even where nobody looks on.
        let child = Command::new("stdbuf")
            .args(["-oL", program])
            .args(words(rest))
            .stdin(Stdio::null())
            .stdout(out)
            .spawn()
            .expect("iproute2 is installed");
        Self { child, path }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).expect("it is there")).into_owned()
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Starts one of ours, on a thread that stays until the test ends.
fn ours(line: &str) -> Sink {
    let sink = Sink::default();
    let (mut out, line) = (sink.clone(), line.to_owned());
    std::thread::spawn(move || {
        let mut err = Vec::new();
        let mut io = vnet::ip::Io::new(&mut out, &mut err);
        match line.strip_prefix("bridge ") {
            Some(rest) => vnet::ip::run_bridge(&words(rest), &mut io),
            None => vnet::ip::run(&words(&line), &mut io),
        }
    });
    sink
}

/// How many listen: sockets with groups, and watches of the folder of pins.
fn listening() -> usize {
    let sockets = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("it is there");
    let has_groups = |line: &&str| {
        line.split_whitespace()
            .nth(3)
            .is_some_and(|groups| u32::from_str_radix(groups, 16).is_ok_and(|groups| groups != 0))
    };
    sockets.lines().skip(1).filter(has_groups).count()
}

/// Waits until something holds.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..ATTEMPTS {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}");
}

/// Takes out when something happened.
fn without_time(text: &str) -> String {
    let lines = normal(text);
    let lines = lines.lines().map(|line| match line.split_once("] ") {
        Some((stamp, rest)) if stamp.starts_with("[20") => format!("[STAMP] {rest}"),
        _ if line.starts_with("Timestamp: ") => "STAMP".to_owned(),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn happen(lines: &str) {
    for line in lines.lines() {
        let (code, _, err) = by_debian(&words(line));
        assert_eq!(code, 0, "{line}: {}", String::from_utf8_lossy(&err));
    }
}

/// Has all monitors tell of the same events.
pub(crate) fn hold() {
    happen(BEFORE);
    // So that the folder is there, and a mount.
    happen("netns add first\nnetns del first");
    let theirs: Vec<Theirs> =
        MONITORS.iter().enumerate().map(|(at, (line, _))| Theirs::start(at, line)).collect();
    let ours: Vec<Sink> = MONITORS.iter().map(|(line, _)| ours(line)).collect();
    let sockets = 2 * MONITORS.iter().filter(|(line, _)| !line.starts_with("netns")).count();
    wait("not all listen", || listening() >= sockets);
    // The watches of folders can not be seen in /proc/net: they take a moment.
    let watching = || {
        let folder = std::fs::read_dir("/proc").expect("it is there");
        let fds = folder.flatten().flat_map(|process| std::fs::read_dir(process.path().join("fd")));
        let links =
            fds.flat_map(|fds| fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()));
        links.filter(|link| link.to_string_lossy().contains("inotify")).count()
    };
    wait("not all watch", || watching() >= 2);
    happen(EVENTS);
    let mut wrong = String::new();
    for (at, (line, last)) in MONITORS.iter().enumerate() {
        let text = || {
            let ours = ours[at].text.lock().expect("nobody panics with it").clone();
            (theirs[at].text(), String::from_utf8_lossy(&ours).into_owned())
        };
        let mut both = (String::new(), String::new());
        for _ in 0..ATTEMPTS {
            let (theirs, ours) = text();
            both = (without_time(&theirs), without_time(&ours));
            // One that differs in the middle does so for good.
            let has_ended = both.0.contains(last) && both.1.contains(last);
            if has_ended && (both.0 == both.1 || both.0.len() == both.1.len()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(if has_ended { 10 } else { 100 }));
        }
        if both.0 != both.1 || !both.0.contains(last) {
            let (left, right) = crate::differing_lines(&both.0, &both.1);
            wrong.push_str(&format!("{line}\n  ip:   {left:?}\n  vnet: {right:?}\n"));
        }
    }
    for sink in &ours {
        sink.is_done.store(true, Ordering::Relaxed);
    }
    happen("link del v0\nlink del p0\nlink del br0\nlink del fresh");
    assert!(wrong.is_empty(), "{wrong}");
}
