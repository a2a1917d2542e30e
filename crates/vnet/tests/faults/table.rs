//! The table: every instant of every operation, everything that can go wrong there, and what comes of it.

use std::fmt;
use std::path::Path;

use vnet::record::Record;
use vnet::{Desired, Down, Error};

use crate::common::{self, STATE_DIR};
use crate::job::{self, Fault, Labs, Operation, UNDOING, Watcher, What, When, Which};

/// One row: how often something was made to go wrong, and what came out wrong.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    cases: usize,
    findings: Vec<String>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        // The whole table takes its time: this and each finding show where it is.
        println!("{what}");
        Self { what, cases: 0, findings: Vec::new() }
    }

    /// Counts a case, and cleans up after one that came out wrong.
    pub(crate) fn add(&mut self, labs: &Labs, case: &str, result: Result<(), String>) {
        self.cases += 1;
        let left = left();
        let finding = match result {
            Err(finding) => Some(finding),
            Ok(()) => (!left.is_empty()).then(|| format!("left {left:?}")),
        };
        if let Some(finding) = finding {
            let finding = format!("{}: {case}: {finding}", self.what);
            println!("{finding}");
            self.findings.push(finding);
        }
        if !left.is_empty() {
            let _ = labs.open(None).down(&Down::default());
        }
    }
}

/// The rows, as markdown.
#[derive(Debug, Default)]
pub(crate) struct Table(pub(crate) Vec<Row>);

impl Table {
    pub(crate) fn findings(&self) -> Vec<&str> {
        self.0.iter().flat_map(|row| &row.findings).map(String::as_str).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what goes wrong | cases | wrong or left behind |")?;
        writeln!(f, "| --- | ---: | ---: |")?;
        for row in &self.0 {
            writeln!(f, "| {} | {} | {} |", row.what, row.cases, row.findings.len())?;
        }
        let cases: usize = self.0.iter().map(|row| row.cases).sum();
        writeln!(f, "| **all** | **{cases}** | **{}** |", self.findings().len())
    }
}

/// What is done after something went wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Up,
    /// Back to the file from before.
    Back,
    Down,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Build, Self::Change, Self::Down];

    /// What it is called on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Change => "change",
            Self::Down => "down",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Build => "`up` from nothing",
            Self::Change => "`up` as a change",
            Self::Down => "`down`",
        }
    }

    fn thens(self) -> &'static [Then] {
        match self {
            Self::Change => &[Then::Up, Then::Back, Then::Down],
            _ => &[Then::Up, Then::Down],
        }
    }

    /// Brings the lab to where the operation begins.
    fn prepare(self, labs: &Labs) {
        let start = match self {
            Self::Build => return wait_until_gone(labs),
            Self::Change => &labs.before,
            Self::Down => &labs.after,
        };
        labs.open(None).up(start, |_| {}).unwrap_or_else(|error| panic!("{self:?}: {error}"));
    }

    /// Lists the instants of the operation.
    pub(crate) fn instants(self, labs: &Labs) -> Vec<When> {
        self.prepare(labs);
        let watcher = Watcher::tracing(Vec::new());
        labs.act(self, watcher.clone()).unwrap();
        let _ = labs.open(None).down(&Down::default());
        watcher.seen(false)
    }
}

/// Waits for what an `up` that was undone has left to the kernel: a macvlan on the host's interface keeps
/// its address from the next one until then. That one waits too, and begins anew with what is left to be
/// done, so that an instant which is to go wrong may never come.
fn wait_until_gone(labs: &Labs) {
    let lab = labs.open(None);
    lab.realm().unwrap().wait_until_gone(std::time::Duration::from_secs(20)).unwrap();
}

/// Interfaces of the host's own, as long as it is held: labs stand on one and move the other.
pub(crate) struct Uplink(());

impl Uplink {
    const NAME: &str = "up0";
    const MOVED: &str = "up1";
}

impl Drop for Uplink {
    fn drop(&mut self) {
        vnet_testns::sh(&format!("ip link del {}; ip link del {}", Self::NAME, Self::MOVED));
    }
}

/// Makes the test's own namespace a host that has a way to the world.
#[must_use]
pub(crate) fn be_host() -> Uplink {
    let (up, moved) = (Uplink::NAME, Uplink::MOVED);
    vnet_testns::sh(&format!(
        "sysctl -qw net.ipv4.ip_forward=1; ip link set lo up
         ip link add {up} type veth peer name {up}-far; ip link set {up} up
         ip link add {moved} type veth peer name {moved}-far"
    ));
    Uplink(())
}

/// Lists what there is of any lab.
pub(crate) fn left() -> Vec<String> {
    let list = |folder: &str| {
        let entries = Path::new(folder).read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let mut left = list(vnet::kernel::pins::NETNS_DIR);
    left.extend(list(STATE_DIR));
    left.extend(in_host());
    left.sort();
    left
}

/// Lists what there is in the test's own namespace, where a lab has one end of its external segments
/// and of its links to the host.
fn in_host() -> Vec<String> {
    let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = interfaces.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let ours = [Uplink::NAME, Uplink::MOVED];
    let is_own = |name: &str| name == "lo" || ours.iter().any(|own| name.starts_with(own));
    let (own, others): (Vec<&str>, Vec<&str>) = names.partition(|name| is_own(name));
    let mut found: Vec<String> =
        others.into_iter().map(|name| format!("interface {name}")).collect();
    // What was moved is back, and says nothing of it any more.
    if own.contains(&Uplink::NAME) {
        let alias = std::fs::read_to_string(format!("/sys/class/net/{}/ifalias", Uplink::MOVED));
        let is_back = alias.is_ok_and(|alias| alias.trim().is_empty());
        found.extend((!is_back).then(|| format!("{} elsewhere", Uplink::MOVED)));
    }
    found.extend(vnet_testns::sh("nft list tables").lines().map(str::to_owned));
    found
}

/// Checks that the lab is as wanted, and known to be.
fn is_up(labs: &Labs, desired: &Desired) -> Result<(), String> {
    let lab = labs.open(None);
    let plan = lab.plan(desired).map_err(|error| error.to_string())?.plan;
    if !plan.is_empty() {
        return Err(format!("{:?} {:?}", common::signed(&plan.steps), plan.conflicts));
    }
    let record = lab.record().map_err(|error| error.to_string())?;
    if record.is_none_or(|r| as_written(r.desired) != *desired || r.previous.is_some()) {
        return Err("the record says something else".to_owned());
    }
    let hosts = std::fs::read_to_string(format!("{STATE_DIR}/{}/hosts", lab.name()));
    let node = desired.nodes.keys().all(|node| {
        let lines = hosts.as_deref().unwrap_or_default().lines();
        lines.filter(|line| line.ends_with(&format!(" {node}"))).count() > 0
    });
    if node { Ok(()) } else { Err("the nodes' hosts file is another lab's".to_owned()) }
}

/// Takes back what trying out the texts for `nft` has added to what a file says.
fn as_written(mut desired: Desired) -> Desired {
    for namespace in desired.state.namespaces.values_mut() {
        namespace.nft_text.iter_mut().for_each(|text| text.tables = None);
    }
    desired
}

/// Goes on after something went wrong: to what a file says, or to nothing.
fn go_on(labs: &Labs, then: Then) -> Result<(), String> {
    let mut lab = labs.open(None);
    let desired = match then {
        Then::Up => &labs.after,
        Then::Back => &labs.before,
        Then::Down => return down(labs),
    };
    lab.up(desired, |_| {}).map_err(|error| format!("{then:?}: {error}"))?;
    is_up(labs, desired).map_err(|error| format!("{then:?}: {error}"))?;
    down(labs)
}

fn down(labs: &Labs) -> Result<(), String> {
    match labs.open(None).down(&Down::default()) {
        Ok(_) | Err(Error::NotUp { .. }) => Ok(()),
        Err(error) => Err(format!("down: {error}")),
    }
}

/// The process is killed; what comes next puts it right.
pub(crate) fn die(labs: &Labs, operation: Operation, instants: &[When], cut_record: bool) -> Row {
    let also = if cut_record { ", and the record is cut short" } else { "" };
    let mut row = Row::new(format!("{}: killed{also}", operation.words()));
    for (number, when) in instants.iter().enumerate() {
        for then in operation.thens() {
            operation.prepare(labs);
            let fault = Fault { when: when.clone(), what: What::Die, undoing: false };
            let killed = job::die_elsewhere(labs, operation, &[fault]);
            if cut_record {
                cut(number);
            }
            let result = killed.and_then(|()| go_on(labs, *then));
            row.add(labs, &format!("{when:?}, {then:?}"), result);
        }
    }
    row
}

/// Cuts the record short, somewhere.
fn cut(number: usize) {
    let path = format!("{STATE_DIR}/f/lab.json");
    if let Ok(text) = std::fs::read(&path) {
        std::fs::write(&path, &text[..number * 7919 % (text.len() + 1)]).unwrap();
    }
}

/// The record is cut short at each of its bytes, or at every so many-th, before the first step is done;
/// what comes next puts it right.
pub(crate) fn cut_anywhere(every: usize) -> Row {
    let labs = Labs::read(Which::Small);
    let mut row = Row::new("`up` as a change: the record is cut at any byte".to_owned());
    let path = format!("{STATE_DIR}/f/lab.json");
    let previous = Some(labs.before.state.clone());
    let intent = Record::new(labs.after.clone(), previous, None).to_text();
    let thens = Operation::Change.thens();
    for (number, length) in (0..=intent.len()).step_by(every).enumerate() {
        Operation::Change.prepare(&labs);
        std::fs::write(&path, &intent[..length]).unwrap();
        let then = thens[number % thens.len()];
        row.add(&labs, &format!("{length} bytes, {then:?}"), go_on(&labs, then));
    }
    row
}

/// A step or a system call fails: all is as before.
pub(crate) fn fail(labs: &Labs, operation: Operation, instants: &[When], what: What) -> Row {
    let how = if what == What::Refuse { "the kernel refuses" } else { "fails" };
    let mut row = Row::new(format!("{}: {how}", operation.words()));
    for when in instants {
        operation.prepare(labs);
        let watcher = Watcher::new(vec![Fault { when: when.clone(), what, undoing: false }]);
        let outcome = labs.act(operation, watcher);
        let result = match (operation, outcome) {
            // What can't be refused was done.
            (_, Ok(())) if what == What::Refuse => go_on(labs, Then::Up),
            (_, Ok(())) => Err("did not fail".to_owned()),
            (Operation::Build, Err(_)) => {
                let left = left();
                if left.is_empty() { Ok(()) } else { Err(format!("left {left:?}")) }
            }
            (Operation::Change, Err(error)) => is_up(labs, &labs.before)
                .map_err(|finding| format!("{finding} (after {error})"))
                .and_then(|()| down(labs)),
            // Half down is down in the end.
            (Operation::Down, Err(_)) => go_on(labs, Then::Up),
        };
        row.add(labs, &format!("{when:?}"), result);
    }
    row
}

/// A step fails, and undoing goes wrong as well; what comes next puts it right.
pub(crate) fn undo(
    labs: &Labs,
    operation: Operation,
    instants: &[When],
    what: What,
    mut pick: impl FnMut(usize) -> usize,
) -> Row {
    let how = if what == What::Die { "killed while undoing" } else { "undoing fails" };
    let mut row = Row::new(format!("{}: {how}", operation.words()));
    for when in instants {
        let first = Fault { when: when.clone(), what: What::Fail, undoing: false };
        operation.prepare(labs);
        let watcher = Watcher::tracing(vec![first.clone()]);
        let _ = labs.act(operation, watcher.clone());
        let _ = down(labs);
        let back = watcher.seen(true);
        if back.is_empty() {
            continue;
        }
        let second = Fault { when: back[pick(back.len())].clone(), what, undoing: true };
        for then in operation.thens() {
            operation.prepare(labs);
            let faults = vec![first.clone(), second.clone()];
            let wrong = match what {
                What::Die => job::die_elsewhere(labs, operation, &faults),
                _ => match labs.act(operation, Watcher::new(faults)) {
                    Ok(()) => Err("went well".to_owned()),
                    Err(_) => Ok(()),
                },
            };
            let result = wrong.and_then(|()| go_on(labs, *then));
            row.add(labs, &format!("{when:?}, {:?}, {then:?}", second.when), result);
        }
    }
    row
}

/// The process is killed from outside, some time after it has begun.
pub(crate) fn random(
    labs: &Labs,
    operation: Operation,
    runs: usize,
    mut pick: impl FnMut(usize) -> usize,
) -> Row {
    let mut row = Row::new(format!("{}: killed at any time", operation.words()));
    operation.prepare(labs);
    let begin = std::time::Instant::now();
    job::start_elsewhere(labs, operation, &[]).status().unwrap();
    let whole = usize::try_from(begin.elapsed().as_micros()).unwrap();
    let _ = down(labs);
    for _ in 0..runs {
        let thens = operation.thens();
        let then = thens[pick(thens.len())];
        operation.prepare(labs);
        let mut child = job::start_elsewhere(labs, operation, &[]).spawn().unwrap();
        let delay = pick(whole + whole / 4);
        std::thread::sleep(std::time::Duration::from_micros(delay.try_into().unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        row.add(labs, &format!("after {delay} µs, {then:?}"), go_on(labs, then));
    }
    row
}

/// Leaves out what is said before anything is undone: that is no instant of an operation that goes well.
pub(crate) fn is_undoing(when: &When) -> bool {
    *when == When::Said(UNDOING.to_owned())
}
