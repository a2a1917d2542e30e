//! What is done to labs, and what is to come of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::random::Random;
use crate::topology;

const LABS: u64 = 3;

/// The longest time after which a command is killed, in µs: somewhat more than an `up` takes.
const DELAY_MAX: u64 = 60_000;

/// One thing that is done. A file is the seed that it follows from.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Up {
        lab: u64,
        file: u64,
    },
    Down {
        lab: u64,
    },
    /// `up` with this file, or `down`, is killed after some µs.
    Kill {
        lab: u64,
        file: Option<u64>,
        delay: u64,
        then: Option<u64>,
    },
    /// `up` is told to end after some µs.
    Interrupt {
        lab: u64,
        file: u64,
        delay: u64,
    },
    /// Things are changed by hand, and mended.
    Damage {
        lab: u64,
        seed: u64,
    },
    /// The record of what was meant is cut short, or lost.
    Forget {
        lab: u64,
        at: u64,
    },
    /// Two processes bring the lab up with two files at once, or take it down.
    Crowd {
        lab: u64,
        files: [Option<u64>; 2],
    },
}

impl Op {
    pub(crate) fn random(random: &mut Random) -> Self {
        let lab = random.below(LABS);
        let file = random.below(1 << 32);
        let delay = random.below(DELAY_MAX);
        let maybe = |random: &mut Random| (!random.once_in(3)).then(|| random.below(1 << 32));
        match random.below(16) {
            0..=3 => Self::Up { lab, file },
            4 => Self::Down { lab },
            5..=8 => Self::Kill { lab, file: maybe(random), delay, then: maybe(random) },
            9..=10 => Self::Interrupt { lab, file, delay },
            11..=13 => Self::Damage { lab, seed: file },
            14 => Self::Forget { lab, at: file },
            _ => Self::Crowd { lab, files: [maybe(random), maybe(random)] },
        }
    }
}

/// What there is to be: the file with which each lab is up.
#[derive(Debug, Default)]
pub(crate) struct World {
    up: BTreeMap<u64, u64>,
    /// What was done by hand so far, in `ip`'s words.
    damage: Vec<String>,
}

type Finding = Result<(), String>;

impl World {
    pub(crate) fn act(&mut self, op: &Op) -> Finding {
        match *op {
            Op::Up { lab, file } => self.up(lab, file),
            Op::Down { lab } => self.down(lab),
            Op::Kill { lab, file, delay, then } => {
                let mut child = begin(lab, file);
                std::thread::sleep(Duration::from_micros(delay));
                child.kill().unwrap();
                child.wait().unwrap();
                match then {
                    Some(file) => self.up(lab, file),
                    None => self.down(lab),
                }
            }
            Op::Interrupt { lab, file, delay } => {
                let child = begin(lab, Some(file));
                std::thread::sleep(Duration::from_micros(delay));
                let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
                let _ = kill_process(pid, Signal::INT);
                let output = child.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.code().is_some_and(|code| code != 0) {
                    return Err(format!("{}: {said}", output.status));
                }
                // It came before anything was done, in between, or when all was done.
                if !said.contains("interrupted") && is_as_wanted(lab, file).is_ok() {
                    self.up.insert(lab, file);
                }
                Ok(())
            }
            Op::Damage { lab, seed } => self.damage(lab, seed),
            Op::Forget { lab, at } => {
                let path = format!("/run/vnet/lab{lab}/lab.json");
                if let Ok(text) = std::fs::read(&path) {
                    let at = usize::try_from(at).unwrap() % (text.len() + 1);
                    std::fs::write(&path, &text[..at]).unwrap();
                }
                Ok(())
            }
            Op::Crowd { lab, files } => {
                let begun = files.map(|file| begin(lab, file));
                for child in begun {
                    let output = child.wait_with_output().unwrap();
                    if is_taken(&output) {
                        return self.down(lab);
                    }
                    success(&output)?;
                }
                self.up.remove(&lab);
                let last =
                    files.into_iter().flatten().find(|file| is_as_wanted(lab, *file).is_ok());
                self.up.extend(last.map(|file| (lab, file)));
                Ok(())
            }
        }
    }

    fn up(&mut self, lab: u64, file: u64) -> Finding {
        let output = begin(lab, Some(file)).wait_with_output().unwrap();
        if is_taken(&output) {
            return self.down(lab);
        }
        success(&output)?;
        self.up.insert(lab, file);
        Ok(())
    }

    fn down(&mut self, lab: u64) -> Finding {
        self.up.remove(&lab);
        success(&begin(lab, None).wait_with_output().unwrap())
    }

    fn damage(&mut self, lab: u64, seed: u64) -> Finding {
        let Some(&file) = self.up.get(&lab) else { return Ok(()) };
        let mut random = Random(seed);
        let mut done = Vec::new();
        for _ in 0..=random.below(3) {
            let pins: Vec<String> = pins(lab);
            if pins.is_empty() {
                break;
            }
            let (ns, other) = (random.pick(&pins).clone(), random.pick(&pins).clone());
            let links = ip(&format!("-n {ns} -br link"));
            let names: Vec<&str> =
                links.lines().filter_map(|line| line.split([' ', '@']).next()).collect();
            let name = if names.is_empty() { "lo" } else { random.pick(&names) };
            let what = [
                format!("-n {ns} link set {name} down"),
                format!("-n {ns} link set {name} up"),
                format!("-n {ns} link set {name} mtu 1280"),
                format!("-n {ns} link del {name}"),
                format!("-n {ns} link set {name} nomaster"),
                format!("-n {ns} link set {name} address 02:00:00:00:99:99"),
                format!("-n {ns} link set {name} name renamed"),
                format!("-n {ns} link set {name} netns {other}"),
                format!("-n {ns} link add made type bridge"),
                format!("-n {ns} link add {name} type bridge"),
                format!("-n {ns} address flush dev {name}"),
                format!("-n {ns} address add 10.99.0.1/24 dev {name}"),
                format!("-n {ns} address add 10.0.2.77/24 dev {name}"),
                format!("-n {ns} route add blackhole 10.98.0.0/16"),
                format!("-n {ns} route add 10.97.0.0/16 dev {name}"),
                format!("-n {ns} route flush proto static"),
                format!("-n {ns} route flush table 100"),
                format!("netns del {ns}"),
                format!("netns exec {ns} sysctl -w net.ipv6.conf.all.disable_ipv6=1"),
                format!("netns exec {ns} sysctl -w net.ipv4.conf.all.forwarding=1"),
                format!("netns exec {ns} sysctl -w net.ipv4.tcp_ecn=0"),
            ];
            let words: &String = random.pick(&what);
            ip(words);
            done.push(words.clone());
        }
        done.extend(later_damage(lab, seed));
        done.extend(flushed_routes(lab, seed));
        self.damage.extend(done);
        self.up(lab, file).and_then(|()| self.check())
    }

    /// Tells what was done by hand so far.
    pub(crate) fn damage_done(&self) -> String {
        self.damage.iter().map(|words| format!("\n  by hand: ip {words}")).collect()
    }

    /// Checks that each lab is as wanted, and that nothing is left of the others.
    pub(crate) fn check(&self) -> Finding {
        (0..LABS).try_for_each(|lab| match self.up.get(&lab) {
            Some(file) => is_as_wanted(lab, *file),
            None => {
                let state = format!("/run/vnet/lab{lab}");
                match (pins(lab), Path::new(&state).exists()) {
                    (pins, false) if pins.is_empty() => Ok(()),
                    (pins, exists) => {
                        Err(format!("lab{lab} left {pins:?}, state folder: {exists}"))
                    }
                }
            }
        })
    }

    /// Takes everything down, and checks that nothing is left.
    pub(crate) fn end(mut self) -> Finding {
        let down: Vec<Finding> = (0..LABS).map(|lab| self.down(lab)).collect();
        down.into_iter().collect::<Finding>()?;
        self.check()
    }
}

/// Starts `up` with a file, or `down`.
fn begin(lab: u64, file: Option<u64>) -> Child {
    let name = format!("lab{lab}");
    match file {
        Some(file) => vnet(&["-l", &name, "up", &written(file)]),
        None => vnet(&["-l", &name, "down"]),
    }
}

/// Writes a file, which then stays the same.
fn written(seed: u64) -> String {
    let path = format!("{}/{seed}.yaml", std::env::var("HOME").unwrap());
    if !Path::new(&path).exists() {
        std::fs::write(&path, topology::file(seed)).unwrap();
    }
    path
}

fn vnet(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vnet"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn success(output: &Output) -> Finding {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.trim_end()))
}

fn is_as_wanted(lab: u64, file: u64) -> Finding {
    let name = format!("lab{lab}");
    let output = vnet(&["-l", &name, "plan", &written(file)]).wait_with_output().unwrap();
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    success(&output).map_err(|what| format!("plan of {name} with {file}: {what} {plan}"))
}

fn pins(lab: u64) -> Vec<String> {
    let entries = Path::new("/run/netns").read_dir().into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut pins: Vec<String> =
        names.filter(|name| name.starts_with(&format!("lab{lab}-"))).collect();
    pins.sort();
    pins
}

/// Does something by `ip`, which may well refuse it.
fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Tells whether something is in the way that was moved or renamed by hand, or that has an address of
/// an earlier file whose record is lost: a person's business, who can always take the lab down.
fn is_taken(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("was not made by vnet")
}

/// Does damage to what came to the language after the first seeds, with numbers of its own: so the
/// rest of a seed is as it was.
fn later_damage(lab: u64, seed: u64) -> Option<String> {
    damage_one(lab, seed ^ 0x1a7e, |ns| {
        vec![
            format!("-n {ns} rule flush"),
            format!("-n {ns} rule add from 10.1.0.0/16 table 5 priority 101"),
            format!("-n {ns} rule del priority 100"),
            format!("-n {ns} nexthop flush"),
            format!("-n {ns} nexthop add id 6 blackhole"),
            format!("-n {ns} neigh add 10.0.2.99 lladdr 02:00:00:00:00:99 dev lo nud permanent"),
            format!("-n {ns} link del vx0"),
            format!("-n {ns} link set vx0 up"),
            format!("-n {ns} link add vx0 type bridge"),
            // Where nft is installed.
            format!("netns exec {ns} nft flush ruleset"),
            format!("netns exec {ns} nft add table inet mine"),
        ]
    })
}

/// Removes routes by hand, the connected ones too, with numbers of its own as well.
fn flushed_routes(lab: u64, seed: u64) -> Option<String> {
    damage_one(lab, seed ^ 0xf1a5, |ns| {
        vec![
            format!("-n {ns} route flush proto kernel"),
            format!("-n {ns} -6 route flush proto kernel"),
            format!("-n {ns} route flush table main"),
            format!("-n {ns} -6 route flush table main"),
        ]
    })
}

/// Does damage to one of a lab's namespaces, or none.
fn damage_one(lab: u64, seed: u64, what: impl Fn(&str) -> Vec<String>) -> Option<String> {
    let mut random = Random(seed);
    let pins: Vec<String> = pins(lab);
    if pins.is_empty() || random.once_in(2) {
        return None;
    }
    let ns: &String = random.pick(&pins);
    let what = what(ns);
    let words = random.pick(&what).clone();
    ip(&words);
    Some(words)
}
