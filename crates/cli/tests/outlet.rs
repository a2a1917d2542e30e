//! An external segment of an ordinary user's lab: how it leads to the world, and what keeps it from that.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use vnet_testns::sh;

const LAB: &str = "\
name: l
nodes: [ a, b ]
segments:
  lan: { external: true, prefix: 10.9.2.0/24, members: [ a, b ] }
";

/// The same, with ports of a node's.
const PUBLISHED: &str = "\
name: l
nodes: { a: , b: { publish: [ tcp/8080:80, udp/5353:53 ] } }
segments:
  lan: { external: true, prefix: 10.9.2.0/24, members: [ a, b ] }
";

/// Answers all that comes to port 53.
const ANSWER_BY_UDP: &str = "use IO::Socket::INET;
my $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53) or die;
while ($s->recv(my $x, 99)) { $s->send('by udp') }
";

/// Who answers in the world, as bash names it, and what: from where it was asked.
const SERVER: &str = "198.51.100.2/8000";
const HELLO: &str = "hello 198.51.100.1";

/// A shell of somebody without privileges, in `/run/somebody`.
///
/// All they run comes from one user namespace, as from a login: vnet's own are its children.
struct Somebody {
    shell: Child,
    hears: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Somebody {
    fn new() -> Self {
        let vnet = Path::new(env!("CARGO_BIN_EXE_vnet")).parent().unwrap();
        let path = format!("{}:{}", vnet.display(), std::env::var("PATH").unwrap());
        std::fs::create_dir_all("/run/somebody/run").unwrap();
        let mut shell = Command::new("unshare")
            .args(["--user", "--map-user=1000", "--map-group=1000", "sh"])
            .env("PATH", path)
            .env("HOME", "/run/somebody")
            .env("XDG_RUNTIME_DIR", "/run/somebody/run")
            .current_dir("/run/somebody")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let hears = shell.stdin.take().unwrap();
        let says = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, hears, says }
    }

    /// Returns what a command has printed, and its exit code.
    fn run(&mut self, command: &str) -> (String, i32) {
        writeln!(self.hears, "{command} 2>&1 </dev/null; code=$?; echo; echo code $code").unwrap();
        self.hears.flush().unwrap();
        let mut text = String::new();
        loop {
            let line = self.says.next().expect("the shell has ended").unwrap();
            if let Some(code) = line.strip_prefix("code ") {
                return (text.trim_end().to_owned(), code.parse().unwrap());
            }
            text.push_str(&line);
            text.push('\n');
        }
    }

    fn up(&mut self, file: &str) -> String {
        let (said, code) = self.run(&format!("vnet up {file}"));
        assert_eq!(code, 0, "{said}");
        said
    }

    fn down(&mut self) {
        let (said, code) = self.run("vnet -l l down");
        assert_eq!(code, 0, "{said}");
    }

    /// Returns what a node hears from a server.
    fn hears(&mut self, node: &str, server: &str) -> String {
        let talk = format!("exec 3<>/dev/tcp/{server} && cat <&3");
        self.run(&format!("vnet -l l exec {node} -- timeout 2 bash -c '{talk}'")).0
    }
}

impl Drop for Somebody {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Puts the test's own namespace, which is the machine here, on a network of others':
///
/// ```text
///  up0 ── inet:eth0      198.51.100.0/24
/// ```
fn world() {
    sh("ip link set lo up
        ip netns add inet
        ip link add up0 type veth peer name eth0 netns inet
        ip address add 198.51.100.1/24 dev up0
        ip link set up0 up; ip route add default via 198.51.100.2
        ip -n inet address add 198.51.100.2/24 dev eth0
        ip -n inet link set eth0 up
        for _ in $(seq 500); do ip link show up0 | grep -q 'state UP' && exit; sleep 0.01; done
        exit 1");
}

fn end_of_the_world() {
    sh("ip link del up0; ip netns del inet; rm -r /run/somebody");
}

/// Answers whoever connects, in the namespace of others, with the address that it sees.
fn serve() {
    std::thread::spawn(|| {
        let inet = std::fs::File::open("/run/netns/inet").unwrap();
        let net = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&inet), net).unwrap();
        let server = TcpListener::bind("198.51.100.2:8000").unwrap();
        while let Ok((mut who, from)) = server.accept() {
            let _ = writeln!(who, "hello {}", from.ip());
        }
    });
}

#[test]
fn an_ordinary_users_lab_reaches_the_world() {
    vnet_testns::root(|| {
        world();
        serve();
        let mut somebody = Somebody::new();
        std::fs::write("/run/somebody/out.yaml", LAB).unwrap();
        std::fs::write("/run/somebody/published.yaml", PUBLISHED).unwrap();
        std::fs::write("/run/somebody/in.yaml", LAB.replace("external: true, ", "")).unwrap();
        without_a_program_nothing_is_touched(&mut somebody);
        // As root's tests run, it is somebody's. Most systems let everybody open it.
        let may_have_tuns = File::options().read(true).write(true).open("/dev/net/tun").is_ok();
        if may_have_tuns {
            for program in ["pasta", "slirp4netns"] {
                leads_out_by(program, &mut somebody);
            }
            leads_to_published_ports(&mut somebody);
        } else {
            let (said, code) = somebody.run("vnet up out.yaml");
            assert!(said.contains("/dev/net/tun") && said.contains("chmod 666"), "{said}");
            assert_eq!((code, left().as_str()), (3, ""));
        }
        drop(somebody);
        end_of_the_world();
    });
}

fn without_a_program_nothing_is_touched(somebody: &mut Somebody) {
    sh("for it in pasta slirp4netns; do mount --bind /dev/null /usr/bin/$it; done");
    let (said, code) = somebody.run("vnet up out.yaml");
    sh("umount /usr/bin/pasta /usr/bin/slirp4netns");
    assert_eq!(code, 3);
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(said) });
    assert_eq!(left(), "");
    assert_eq!(somebody.run("vnet ls -q"), (String::new(), 0));
}

fn leads_out_by(program: &str, somebody: &mut Somebody) {
    let is_other = program != "pasta";
    if is_other {
        sh("mount --bind /dev/null /usr/bin/pasta");
    }
    // Of this machine alone.
    let private = TcpListener::bind("127.0.0.1:8001").unwrap();
    somebody.up("out.yaml");
    assert!(left().contains(&format!("/{program} ")), "{}", left());
    assert_eq!(somebody.hears("a", SERVER), HELLO);
    assert_ne!(somebody.hears("a", "198.19.255.2/8001"), HELLO);
    private.set_nonblocking(true).unwrap();
    assert!(private.accept().is_err(), "somebody has come to the machine's own loopback");
    assert!(somebody.up("out.yaml").contains("no changes"));
    assert_eq!(somebody.run("vnet plan out.yaml").1, 0);
    if !is_other {
        let (said, code) = somebody.run("vnet plan published.yaml");
        assert!(said.contains("\n~ host outlet\n") && code == 1, "{said}");
    }
    let (said, code) = somebody.run("vnet plan in.yaml");
    assert!(said.contains("\n- host outlet\n") && code == 1, "{said}");

    // Ended by hand, it comes back.
    sh("pkill -9 -f '^[^ ]*/(pasta|slirp4netns) --'");
    wait_until_left("__hold");
    assert_ne!(somebody.hears("b", SERVER), HELLO);
    let missing = ("+ host outlet\n1 to add, 0 to change, 0 to remove".to_owned(), 1);
    assert_eq!(somebody.run("vnet plan out.yaml"), missing);
    let (said, _) = somebody.run("vnet -l l show --json");
    assert!(said.contains(r#""object": "outlet""#), "{said}");
    assert!(somebody.run("vnet -l l show").0.contains("1 thing differs"));
    somebody.up("out.yaml");
    assert_eq!(somebody.hears("b", SERVER), HELLO);

    // So does it where what looks after it was, and then nothing is left of both.
    sh("pkill -9 -f '^[^ ]*/vnet __lead-out '");
    wait_until_left("__hold");
    assert_ne!(somebody.hears("b", SERVER), HELLO);
    somebody.up("out.yaml");
    assert_eq!(somebody.hears("b", SERVER), HELLO);

    // It is there as long as it is needed.
    somebody.up("in.yaml");
    wait_until_left("__hold");
    somebody.up("out.yaml");
    assert_eq!(somebody.hears("a", SERVER), HELLO);
    somebody.down();
    assert_eq!(left(), "");

    // However the lab ends.
    somebody.up("out.yaml");
    sh("pkill -9 -f '^[^ ]*/vnet __hold l$'");
    wait_until_left("");
    somebody.down();
    if is_other {
        sh("umount /usr/bin/pasta");
    }
}

fn leads_to_published_ports(somebody: &mut Somebody) {
    sh("mount --bind /dev/null /usr/bin/pasta");
    let (said, code) = somebody.run("vnet up published.yaml");
    sh("umount /usr/bin/pasta");
    assert!(
        said.contains("a published port of an ordinary user needs the program pasta\n"),
        "{said}"
    );
    assert_eq!((code, left().as_str()), (3, ""));

    // The ports are taken: that is seen before anything is touched.
    let taken = TcpListener::bind("127.0.0.1:8080").unwrap();
    let (said, code) = somebody.run("vnet up published.yaml");
    assert!(
        said.contains("there is no way out of the lab: pasta: ") && said.contains("8080"),
        "{said}"
    );
    assert_eq!((code, left().as_str()), (3, ""));
    drop(taken);

    // A change of the ports alone is one of the outlet.
    somebody.up("out.yaml");
    somebody.up("published.yaml");
    somebody.run("(vnet -l l exec b -- busybox nc -l -p 80 -e echo in b &)");
    std::fs::write("/run/somebody/answer.pl", ANSWER_BY_UDP).unwrap();
    somebody.run("(vnet -l l exec b -- timeout 20 perl answer.pl &)");
    let deadline = Instant::now() + Duration::from_secs(5);
    let hear = || {
        let mut text = String::new();
        let mut to_b = TcpStream::connect("127.0.0.1:8080").ok()?;
        to_b.read_to_string(&mut text).ok().filter(|read| *read > 0).map(|_| text)
    };
    let heard = loop {
        match hear() {
            Some(heard) => break heard,
            None => assert!(Instant::now() < deadline, "{}", left()),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(heard, "in b\n");
    let asks = UdpSocket::bind("127.0.0.1:0").unwrap();
    asks.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut answer = [0; 64];
    // Who answers may not be there yet.
    let length = (0..25).find_map(|_| {
        asks.send_to(b"what?", "127.0.0.1:5353").unwrap();
        asks.recv(&mut answer).ok()
    });
    assert_eq!(&answer[..length.unwrap()], b"by udp");
    // Only the machine itself reaches them.
    assert!(TcpStream::connect("198.51.100.1:8080").is_err());
    assert_eq!(somebody.hears("a", SERVER), HELLO);
    somebody.up("out.yaml");
    assert!(TcpStream::connect("127.0.0.1:8080").is_err());
    somebody.down();
    assert_eq!(left(), "");
}

/// Lists the processes that vnet has left behind, and theirs.
fn left() -> String {
    sh("ps -eo args | sed -n '/vnet __/p; /[p]asta.* --config-net/p; /[s]lirp4netns --conf/p'")
        .lines()
        .filter(|line| !line.contains("sed -n"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Waits until at most one such process is left, of that name.
fn wait_until_left(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let is_so = |left: &str| match name {
        "" => left.is_empty(),
        name => left.lines().count() == 1 && left.contains(name),
    };
    while !is_so(&left()) {
        assert!(Instant::now() < deadline, "{}", left());
        std::thread::sleep(Duration::from_millis(10));
    }
}
