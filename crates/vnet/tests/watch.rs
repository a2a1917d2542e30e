//! Watching a lab: whatever a person does to it by hand is seen, and mended where that is wanted.
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

mod common;

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::{STATE_DIR, desired, open, planned};
use vnet::kernel::HubOptions;
use vnet::{Cancel, Desired, Down, Ended, Error, Lab, Notice, Settings, Watching};
use vnet_testns::sh;

const NET: &str = "
name: net
nodes:
  r1: { forward: true, interfaces: { lo: 10.255.0.1/32 }, routes: [ 10.66.0.0/16 via r2, blackhole 10.77.0.0/16 ] }
  r2: { sysctls: { net.ipv4.conf.all.rp_filter: 2 } }
  pc1..3:
segments: { lan: { prefix: [ 10.0.1.0/24, 2001:db8:1::/64 ], gateway: r1, members: [ r1, pc1..3 ] } }
links: [ { endpoints: [ r1, r2 ], prefix: 10.0.12.0/24, mtu: 1400 } ]
";

/// How long something may take that happens at once where nobody else wants the processor.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was told, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Begun,
    Drift(String),
    Gone(String),
    Mended(Vec<String>, Duration),
    NotMended(String),
    Lost,
    Changed,
}

impl Told {
    fn of(notice: &Notice<'_>) -> Self {
        match notice {
            Notice::Begun { .. } => Self::Begun,
            Notice::Drift(difference) => Self::Drift(difference.to_string()),
            Notice::Gone(difference) => Self::Gone(difference.to_string()),
            Notice::Mended { steps, elapsed } => Self::Mended(common::signed(steps), *elapsed),
            Notice::NotMended { error } => Self::NotMended(error.to_string()),
            Notice::Lost => Self::Lost,
            Notice::Changed { .. } => Self::Changed,
            other => panic!("a notice that no test knows: {other:?}"),
        }
    }
}

/// Somebody who watches a lab on a thread of their own.
struct Watcher {
    told: Receiver<Told>,
    cancel: Cancel,
    thread: JoinHandle<Result<Ended, Error>>,
}

impl Watcher {
    fn begin(desired: &Desired, how: Watching) -> Self {
        Self::begin_with(Settings::new(STATE_DIR), desired, how)
    }

    fn begin_with(mut settings: Settings, desired: &Desired, how: Watching) -> Self {
        let (tell, told) = mpsc::channel();
        let cancel = Cancel::new();
        settings.cancel = Some(cancel.clone());
        let mut lab = Lab::open(&settings, &desired.lab).unwrap();
        let thread = std::thread::spawn(move || {
            lab.watch(&how, |notice| {
                // Nobody listens any more once the test is over.
                let _ = tell.send(Told::of(&notice));
                ControlFlow::Continue(())
            })
        });
        let watcher = Self { told, cancel, thread };
        assert_eq!(watcher.next(), Told::Begun);
        watcher
    }

    fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// Returns what is told to differ once it is what does, with a part of it that is known. What differs is looked for
    /// again and again: right after a damage the kernel may not have done with it.
    fn differences(
        &self,
        script: &str,
        part: &str,
        planned: impl Fn() -> Vec<String>,
    ) -> Vec<String> {
        const INTERVAL: Duration = Duration::from_millis(50);
        let until = Instant::now() + PATIENCE;
        let mut heard: Vec<String> = Vec::new();
        loop {
            let mut expected = planned();
            expected.sort();
            heard.sort();
            if heard == expected && heard.iter().any(|step| step.contains(part)) {
                return heard;
            }
            assert!(Instant::now() < until, "{script}: {heard:?} is told, {expected:?} differ");
            match self.told.recv_timeout(INTERVAL) {
                Ok(Told::Drift(text)) => heard.push(text),
                // It may have been looked at while the damage was half done.
                Ok(Told::Gone(text)) => heard.retain(|other| *other != text),
                Err(RecvTimeoutError::Timeout) => {}
                other => panic!("{script}: {other:?} after {heard:?}"),
            }
        }
    }

    /// Returns all that is told until nothing more comes for a while.
    fn rest(&self, silence: Duration) -> Vec<Told> {
        std::iter::from_fn(|| self.told.recv_timeout(silence).ok()).collect()
    }

    fn end(self) -> Ended {
        self.cancel.raise(2);
        self.thread.join().unwrap().unwrap()
    }
}

fn up(text: &str) -> (Desired, Lab) {
    let desired = desired(text);
    let mut lab = open(&desired);
    lab.up(&desired, |_| {}).unwrap();
    (desired, lab)
}

/// Each sort of damage, with a part of what is said of it.
const DAMAGE: [(&str, &str); 20] = [
    ("ip -n net-r1 addr del 10.0.12.1/24 dev r2", "+ address 10.0.12.1/24 on net-r1:r2"),
    ("ip -n net-r1 addr add 10.9.9.9/24 dev r2", "- address 10.9.9.9/24 on net-r1:r2"),
    ("ip -n net-pc1 -6 addr flush dev lan scope global", "+ address 2001:db8:1::2/64"),
    ("ip -n net-r1 link set r2 down", "~ net-r1:r2 up"),
    ("ip -n net-r1 link set r2 mtu 1300", "~ net-r1:r2 mtu 1400"),
    ("ip -n net-r1 link set r2 address 02:00:00:00:00:01", "~ net-r1:r2 mac"),
    ("ip -n net-r1 link set r2 alias mine", "~ net-r1:r2 no alias"),
    ("ip -n net-r1 link property add dev r2 altname other", "~ net-r1:r2 no altname other"),
    ("ip -n net-r1 link del r2", "+ veth net-r1:r2 -- net-r2:r1"),
    ("ip -n net-r1 route del 10.0.12.0/24 dev r2", "+ address 10.0.12.1/24 on net-r1:r2"),
    ("ip -n net-r1 route del 10.66.0.0/16", "+ route 10.66.0.0/16"),
    ("ip -n net-r1 route del blackhole 10.77.0.0/16", "+ route blackhole 10.77.0.0/16"),
    ("ip -n net-r1 route add 10.88.0.0/16 via 10.0.12.2", "- route 10.88.0.0/16"),
    ("ip -n net-pc1 route replace default via 10.0.1.3", "route default"),
    ("ip -n net-lan link set pc1 nomaster", "~ net-lan:pc1 master"),
    ("ip netns exec net-r1 sysctl -qw net.ipv4.conf.r2.forwarding=0", "forwarding"),
    (
        "ip netns exec net-r2 sysctl -qw net.ipv6.conf.all.forwarding=1",
        "all.forwarding = 0 in net-r2",
    ),
    ("ip netns exec net-r2 sysctl -qw net.ipv4.conf.all.rp_filter=1", "rp_filter"),
    ("ip netns exec net-lan sysctl -qw net.ipv6.conf.pc1.disable_ipv6=0", "net-lan:pc1 ipv6 off"),
    ("ip netns del net-pc2", "+ namespace net-pc2"),
];

#[test]
fn damage_of_each_sort_is_seen_and_seen_to_be_over() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(NET);
        let watcher = Watcher::begin(&desired, Watching::default());
        for (script, said) in DAMAGE {
            sh(script);
            let heard = watcher.differences(script, said, || planned(&lab, &desired));
            lab.up(&desired, |_| {}).unwrap();
            let mut left = heard;
            while !left.is_empty() {
                match watcher.next() {
                    Told::Gone(text) => left.retain(|other| *other != text),
                    // What is half mended differs in another way.
                    Told::Drift(text) => left.push(text),
                    Told::Changed => {}
                    other => panic!("{script}: {other:?} with {left:?} left"),
                }
            }
        }
        assert_eq!(watcher.end(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn damage_of_each_sort_is_mended() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(NET);
        let watcher = Watcher::begin(&desired, Watching { repair: true, ..Watching::default() });
        let mut slowest = Duration::ZERO;
        for (script, said) in DAMAGE {
            sh(script);
            let begin = Instant::now();
            let mut done = Vec::new();
            // Half of it may be mended before the rest is done.
            while !done.iter().any(|step: &String| step.contains(said)) {
                match watcher.next() {
                    Told::Mended(steps, _) => done.extend(steps),
                    Told::Drift(_) | Told::Gone(_) => {}
                    other => panic!("{script}: {other:?} after {done:?}"),
                }
            }
            slowest = slowest.max(begin.elapsed());
            let until = Instant::now() + PATIENCE;
            while !planned(&lab, &desired).is_empty() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(planned(&lab, &desired), [""; 0], "{script}");
        }
        println!("the slowest was mended in {slowest:?}");
        assert_eq!(watcher.end(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}

/// More events than the kernel can queue: the last change of all counts.
#[test]
fn a_flood_loses_nothing() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(NET);
        let hub = HubOptions { queue_bytes: Some(4096) };
        let how = Watching { hub, poll: Duration::from_secs(3600), ..Watching::default() };
        let watcher = Watcher::begin(&desired, how);
        let mut batch = String::new();
        for round in 0..400 {
            let verb = if round % 2 == 0 { "add" } else { "del" };
            for host in 1..20 {
                batch.push_str(&format!("addr {verb} 10.50.0.{host}/32 dev lo\n"));
            }
        }
        std::fs::write("/run/batch", batch).unwrap();
        sh("ip -n net-r2 -batch /run/batch && ip -n net-pc3 addr add 10.51.0.1/32 dev lo");
        std::fs::remove_file("/run/batch").unwrap();
        let mut told = vec![watcher.next()];
        let expected = Told::Drift("- address 10.51.0.1/32 on net-pc3:lo".into());
        while !told.contains(&expected) {
            told.push(watcher.next());
        }
        told.extend(watcher.rest(Duration::from_millis(500)));
        assert!(told.contains(&Told::Lost), "nothing was lost: {}", told.len());
        // What came and went may have been seen; what is told to differ at the end does.
        let mut differs = std::collections::BTreeSet::new();
        for told in told {
            match told {
                Told::Drift(text) => drop(differs.insert(text)),
                Told::Gone(text) => drop(differs.remove(&text)),
                _ => {}
            }
        }
        assert_eq!(differs.into_iter().collect::<Vec<_>>(), planned(&lab, &desired));
        assert_eq!(watcher.end(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}

/// Pairs that have nothing to do with each other.
const APART: &str = "
name: apart
nodes: [ n1..6 ]
links: [ { endpoints: [ n1, n2 ] }, { endpoints: [ n3, n4 ] }, { endpoints: [ n5, n6 ] } ]
";

/// While whoever watches is held up, more happens in one place than can be queued, and then something
/// in another: nobody hears of that.
#[test]
fn what_nobody_heard_is_read() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(APART);
        let cancel = Cancel::new();
        let settings = Settings { cancel: Some(cancel.clone()), ..Settings::new(STATE_DIR) };
        let hub = HubOptions { queue_bytes: Some(65536) };
        let how = Watching { hub, poll: Duration::from_secs(3600), repair: true };
        let ((tell, told), (go_on, wait)) = (mpsc::channel(), mpsc::channel::<()>());
        let mut watcher = Lab::open(&settings, &desired.lab).unwrap();
        let thread = std::thread::spawn(move || {
            let mut hold_up = Some(wait);
            watcher.watch(&how, |notice| {
                let _ = tell.send(Told::of(&notice));
                if let Notice::Drift(_) = notice
                    && let Some(wait) = hold_up.take()
                {
                    let _ = wait.recv_timeout(PATIENCE);
                }
                ControlFlow::Continue(())
            })
        });
        let next = || told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(next(), Told::Begun);
        sh("ip -n apart-n1 addr add 10.51.0.1/32 dev lo");
        let first = Told::Drift("- address 10.51.0.1/32 on apart-n1:lo".into());
        assert_eq!(next(), first);
        sh("for host in $(seq 250); do echo addr add 10.50.0.$host/32 dev lo
            echo addr del 10.50.0.$host/32 dev lo; done | ip -n apart-n3 -batch -
            ip -n apart-n5 addr add 10.51.0.3/32 dev lo");
        go_on.send(()).unwrap();
        let mut heard = Vec::new();
        let is_mended = |told: &Told| matches!(told, Told::Mended(steps, _) if steps.concat().contains("apart-n5:lo"));
        while !heard.last().is_some_and(is_mended) {
            heard.push(next());
        }
        assert!(heard.contains(&Told::Lost), "{heard:?}");
        assert_eq!(planned(&lab, &desired), [""; 0]);
        cancel.raise(2);
        assert_eq!(thread.join().unwrap().unwrap(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}

/// What it is said to take begins with what happened, not with when there was time for it.
#[test]
fn the_time_to_mend_is_that_since_it_happened() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(NET);
        let watcher = Watcher::begin(&desired, Watching { repair: true, ..Watching::default() });
        let damage = "ip -n net-r1 addr del 10.0.12.1/24 dev r2";
        let lock = "flock /run/vnet/net/lock sh -c";
        for (script, least) in [
            (damage.to_owned(), Duration::from_millis(5)),
            (format!("{lock} '{damage}; sleep 0.4'"), Duration::from_millis(400)),
        ] {
            let begin = Instant::now();
            sh(&script);
            let elapsed = loop {
                if let Told::Mended(_, elapsed) = watcher.next() {
                    break elapsed;
                }
            };
            assert!(elapsed >= least, "{script}: {elapsed:?}");
            // It may be thought to have happened when it was last looked.
            let most = begin.elapsed() + Duration::from_secs(1);
            assert!(elapsed <= most, "{script}: {elapsed:?}");
            watcher.rest(Duration::from_millis(200));
        }
        assert_eq!(watcher.end(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}

#[test]
fn it_ends_with_the_lab_and_follows_its_changes() {
    vnet_testns::root(|| {
        let (before, mut lab) = up(NET);
        let watcher = Watcher::begin(&before, Watching { repair: true, ..Watching::default() });
        let after = desired(&NET.replace("10.0.12.0", "10.0.13.0").replace("pc1..3", "pc1..5"));
        lab.up(&after, |_| {}).unwrap();
        assert_eq!(watcher.next(), Told::Changed);
        // A node that is new is heard of too.
        sh("ip -n net-pc5 addr del 10.0.1.6/24 dev lan");
        let mended = loop {
            match watcher.next() {
                Told::Mended(steps, _) => break steps,
                Told::Changed | Told::Drift(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(mended.concat().contains("+ address 10.0.1.6/24 on net-pc5:lan"), "{mended:?}");
        assert_eq!(planned(&lab, &after), [""; 0]);
        lab.down(&Down { wait: true, ..Down::default() }).unwrap();
        assert_eq!(watcher.rest(PATIENCE), []);
        assert_eq!(watcher.thread.join().unwrap().unwrap(), Ended::Down);
        let gone = Lab::open(&Settings::new(STATE_DIR), &after.lab)
            .unwrap()
            .watch(&Watching::default(), |_| ControlFlow::Continue(()));
        assert!(matches!(gone, Err(Error::NotUp { .. })), "{gone:?}");
    });
}

#[test]
fn what_is_somebody_elses_is_told_and_left_alone() {
    vnet_testns::root(|| {
        let (desired, mut lab) = up(NET);
        let watcher = Watcher::begin(&desired, Watching { repair: true, ..Watching::default() });
        sh("ip -n net-pc1 link add mine type bridge");
        assert_eq!(watcher.next(), Told::Drift("net-pc1:mine is not declared".into()));
        sh("ip -n net-pc1 link del mine");
        assert_eq!(watcher.next(), Told::Gone("net-pc1:mine is not declared".into()));
        // Quick enough, the name is somebody else's before it can be mended.
        sh("flock /run/vnet/net/lock sh -c 'ip netns del net-pc1; ip netns add net-pc1'");
        let told = watcher.next();
        let Told::Drift(text) = told else { panic!("{told:?}") };
        assert_eq!(text, "namespace net-pc1 exists and was not made by vnet");
        assert_eq!(watcher.rest(Duration::from_millis(500)), []);
        sh("ip netns del net-pc1");
        let mut told = Vec::new();
        while !matches!(told.last(), Some(Told::Mended(..))) {
            told.push(watcher.next());
        }
        assert_eq!(planned(&lab, &desired), [""; 0]);
        assert_eq!(watcher.end(), Ended::CalledOff(2));
        lab.down(&Down::default()).unwrap();
    });
}
