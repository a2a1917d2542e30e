//! Does steps, pipelined: what follows each other in one namespace goes out in one batch.

pub mod message;
mod moved;
mod offload;
mod sockets;
mod tables;
mod tun;
mod wireguard;

use rustix::io::Errno;
use vnet_model::{Change, IfName, LinkSetting, NewLink, NsName, Step};
use vnet_netlink::{Batch, Status};

use crate::error::Error;
use crate::observe::{Indexes, Observed};
use crate::realm::{Created, NewNamespace, Realm, SysctlAccess};
use crate::watch::{self, At};
use sockets::Sockets;

/// How many namespaces are made at a time, where descriptors allow: enough for two threads to be busy.
const CREATE_CHUNK: usize = 128;

/// Does the steps in order, and stops at the first that fails.
///
/// Steps are pipelined, so when one fails, some after it may have been done: to undo, look again.
/// CAP_SYS_ADMIN and CAP_NET_ADMIN.
///
/// # Errors
/// The first step that failed, with the kernel's words.
pub fn execute(realm: &Realm, observed: &Observed, steps: &[Step]) -> Result<(), Error> {
    execute_while(realm, observed, steps, &|| true)
}

/// Does the steps as [`execute`] does, as long as `go_on` says so: it is asked before each batch.
///
/// # Errors
/// As [`execute`]; [`Error::Stopped`] when it is not to go on.
pub fn execute_while(
    realm: &Realm,
    observed: &Observed,
    steps: &[Step],
    go_on: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let watch = realm.watch();
    let replaced = watch.and_then(|watch| watch.replace(steps));
    let steps = replaced.as_deref().unwrap_or(steps);
    let mut executor = Executor {
        realm,
        indexes: observed.indexes.clone(),
        sockets: Sockets::new(realm),
        batch: Batch::new(),
    };
    let mut done = 0;
    while let Some(next) = steps.get(done) {
        if !go_on() {
            return Err(Error::Stopped { done, steps: steps.len() });
        }
        watch::come(watch, At::Step(done))
            .map_err(|errno| failed(next, Error::system("do", next.to_string())(errno)))?;
        let until = watch.map_or(usize::MAX, |watch| watch.steps_until(done));
        done += executor.go(&steps[done..until.clamp(done + 1, steps.len())])?;
    }
    watch::come(watch, At::Step(done)).map_err(Error::system("end", "the steps"))
}

struct Executor<'a> {
    realm: &'a Realm,
    indexes: std::collections::BTreeMap<NsName, Indexes>,
    sockets: Sockets<'a>,
    batch: Batch,
}

impl Executor<'_> {
    /// Does as many of the steps as can be done in one go, and says how many.
    fn go(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let Some(first) = steps.first() else { return Ok(0) };
        match &first.change {
            Change::AddNamespace { .. } => self.create(steps),
            Change::DelNamespace => self.remove(steps),
            change if sysctl_of(change).is_some() => self.sysctl(first),
            Change::RunNft(raw) => self.run_nft(first, raw),
            change if offload::is_offload(change) => self.offloads(steps),
            change if tables::is_table(change) => self.table(steps),
            Change::SetWireguard { .. } => self.wireguard(first),
            change if tun::is_tun(change) => self.tun(first),
            change if moved::is_move(change) => self.move_link(first),
            change if on_host(change).is_some() => self.add_on_host(first),
            _ => self.batch(steps),
        }
    }

    /// Makes a run of namespaces, each with the early settings that follow its step.
    fn create(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let chunk = self.sockets.make_room(CREATE_CHUNK);
        let mut new: Vec<NewNamespace> = Vec::new();
        let mut makers = Vec::new();
        let mut taken = 0;
        for step in steps {
            let full = new.len() == chunk;
            match (&step.change, new.last_mut()) {
                (Change::AddNamespace { .. }, _) if full => break,
                (Change::AddNamespace { mark }, _) => {
                    let (name, mark) = (step.ns.clone(), mark.clone());
                    new.push(NewNamespace { name, mark, sysctls: Vec::new(), lo_up: false });
                    makers.push(step);
                }
                (Change::SetSysctl { key, value }, Some(last)) if last.name == step.ns => {
                    last.sysctls.push((key.clone(), value.clone()));
                }
                (Change::SetLink { name, set: LinkSetting::Up(true) }, Some(last))
                    if last.name == step.ns && name.as_str() == vnet_model::apply::LOOPBACK =>
                {
                    last.lo_up = true;
                }
                _ => break,
            }
            taken += 1;
        }
        let Created { made, error } = self.realm.create(&new);
        for (new, opened) in new.iter().zip(made) {
            self.indexes.insert(new.name.clone(), Indexes::of_new_namespace());
            if let Some(opened) = opened {
                self.sockets.insert(new.name.clone(), opened);
            }
        }
        match error {
            Some((at, source)) => Err(failed(makers[at], source)),
            None => Ok(taken),
        }
    }

    fn remove(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let run: Vec<NsName> = steps
            .iter()
            .take_while(|step| step.change == Change::DelNamespace)
            .map(|step| step.ns.clone())
            .collect();
        for name in &run {
            // A socket keeps its namespace alive.
            self.sockets.remove(name);
            self.indexes.remove(name);
        }
        match self.realm.remove(&run) {
            Ok(()) => Ok(run.len()),
            Err(errors) => {
                let first = errors.into_iter().next();
                let step = |name: &NsName| steps.iter().find(|step| step.ns == *name);
                Err(first
                    .and_then(|(name, source)| step(&name).map(|step| failed(step, source)))
                    .unwrap_or(Error::StillThere { seconds: 0 }))
            }
        }
    }

    fn sysctl(&mut self, step: &Step) -> Result<usize, Error> {
        if let Some(write) = sysctl_of(&step.change) {
            let request = vec![(step.ns.clone(), vec![write])];
            self.realm.sysctls(0, request).map_err(|source| match source.errno() {
                // The step says which sysctl it was.
                Some(errno) => Error::Errno { step: Box::new(step.clone()), errno },
                None => failed(step, source),
            })?;
        }
        Ok(1)
    }

    /// Sends the run of steps in one namespace as one batch.
    fn batch(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let Some(first) = steps.first() else { return Ok(0) };
        let in_batch = |step: &&Step| step.ns == first.ns && is_message(&step.change);
        let run = steps.iter().take_while(in_batch).count();
        self.batch.clear();
        for step in &steps[..run] {
            self.lay_out(step).map_err(|source| failed(step, source))?;
        }
        let opened = self.sockets.get(&first.ns).map_err(|source| failed(first, source))?;
        let outcome = opened.socket.submit(&mut self.batch).map_err(|source| {
            let doing = "change interfaces";
            failed(first, Error::Netlink { doing, ns: first.ns.clone(), source })
        })?;
        for (index, step) in steps[..run].iter().enumerate() {
            if let Status::Refused(refusal) = outcome.status(index) {
                if is_gone_anyway(&step.change, refusal.errno) {
                    continue;
                }
                let (step, refusal) = (Box::new(step.clone()), refusal.clone());
                return Err(Error::Refused { step, refusal });
            }
        }
        Ok(run)
    }

    fn lay_out(&mut self, step: &Step) -> Result<(), Error> {
        let ns = &step.ns;
        let batch = &mut self.batch;
        match &step.change {
            Change::AddLink { name, link: NewLink::Pair { device, mac, mtu, queues, peer } } => {
                let index = self.assign(ns, name);
                let peer_index = self.assign_unlike(index, &peer.end.ns, &peer.end.name);
                let peer_ns = self.sockets.get(&peer.end.ns)?;
                let this = message::Birth { name, index, mac: *mac, mtu: *mtu, queues: *queues };
                let there = message::Birth {
                    name: &peer.end.name,
                    index: peer_index,
                    mac: peer.mac,
                    mtu: peer.mtu,
                    queues: peer.queues,
                };
                let ends = (&this, &there);
                message::add_pair(&mut self.batch, device.as_ref(), ends, &peer_ns.ns);
            }
            Change::AddLink { name, link: NewLink::Device { mac, mtu, queues, device } } => {
                let index = self.assign(ns, name);
                let this = message::Birth { name, index, mac: *mac, mtu: *mtu, queues: *queues };
                let index = |name: &IfName| known(&self.indexes, ns, name);
                message::add_device(&mut self.batch, &this, device, None, index)?;
            }
            Change::DelLink { name, .. } => {
                message::del_link(batch, known(&self.indexes, ns, name)?);
                // At once: the same batch may make another of this name.
                if let Some(indexes) = self.indexes.get_mut(ns) {
                    indexes.remove(name);
                }
            }
            change => message::push(batch, change, |name| known(&self.indexes, ns, name))?,
        }
        Ok(())
    }

    /// Makes an interface that stands on one of the host's: asked for there, born where it lives.
    fn add_on_host(&mut self, step: &Step) -> Result<usize, Error> {
        let Change::AddLink { name, link: NewLink::Device { mac, mtu, queues, device } } =
            &step.change
        else {
            return Ok(1);
        };
        let host = NsName::host();
        let index = self.assign(&step.ns, name);
        let this = message::Birth { name, index, mac: *mac, mtu: *mtu, queues: *queues };
        let index = |name: &IfName| known(&self.indexes, &host, name);
        self.batch.clear();
        let there = self.sockets.keep(&step.ns).map_err(|source| failed(step, source))?;
        message::add_device(&mut self.batch, &this, device, Some(&there), index)
            .map_err(|source| failed(step, source))?;
        let opened = self.sockets.get(&host).map_err(|source| failed(step, source))?;
        let outcome = opened.socket.submit(&mut self.batch).map_err(|source| {
            failed(step, Error::Netlink { doing: "make an interface", ns: host.clone(), source })
        })?;
        match outcome.status(0) {
            Status::Refused(refusal) => {
                let (step, refusal) = (Box::new(step.clone()), refusal.clone());
                Err(Error::Refused { step, refusal })
            }
            _ => Ok(1),
        }
    }

    /// Chooses the index of the other end of a pair: never that of this end. Where the two are equal,
    /// the kernel takes a change of carrier for not urgent (`linkwatch_urgent_event`,
    /// net/core/link_watch.c) and works off 100 of them a second in the whole machine: the ports of
    /// a bridge stayed closed for seconds beside other labs.
    fn assign_unlike(&mut self, index: u32, ns: &NsName, name: &IfName) -> u32 {
        let indexes = self.indexes.entry(ns.clone()).or_default();
        match indexes.assign(name.clone()) {
            same if same == index => indexes.assign(name.clone()),
            other => other,
        }
    }

    /// Chooses the index of a new interface, so that what follows need not ask for it.
    fn assign(&mut self, ns: &NsName, name: &IfName) -> u32 {
        self.indexes.entry(ns.clone()).or_default().assign(name.clone())
    }
}

/// Returns the index of an interface.
fn known(
    indexes: &std::collections::BTreeMap<NsName, Indexes>,
    ns: &NsName,
    name: &IfName,
) -> Result<u32, Error> {
    let found = indexes.get(ns).and_then(|indexes| indexes.get(name));
    found.ok_or_else(|| Error::NoInterface { ns: ns.clone(), name: name.to_string() })
}

fn failed(step: &Step, source: Error) -> Error {
    Error::Step { step: Box::new(step.clone()), source: Box::new(source) }
}

/// Tells whether a refusal says that what is to be removed is gone: the kernel may still have been
/// at it when we looked, with an interface whose peer's namespace was removed.
fn is_gone_anyway(change: &Change, errno: Errno) -> bool {
    matches!(change, Change::DelLink { .. }) && errno == Errno::NODEV
}

/// Tells whether a change is one netlink message, to be sent in its namespace.
fn is_message(change: &Change) -> bool {
    !matches!(change, Change::AddNamespace { .. } | Change::DelNamespace)
        && !tables::is_table(change)
        && !matches!(change, Change::RunNft(_))
        && !matches!(change, Change::SetWireguard { .. })
        && !tun::is_tun(change)
        && !moved::is_move(change)
        && on_host(change).is_none()
        && !offload::is_offload(change)
        && sysctl_of(change).is_none()
}

/// Returns the interface of the host that a new one stands on.
fn on_host(change: &Change) -> Option<&IfName> {
    match change {
        Change::AddLink { link, .. } => link.host_lower(),
        _ => None,
    }
}

/// Returns the file that a change writes, for what netlink can't say.
fn sysctl_of(change: &Change) -> Option<SysctlAccess> {
    match change {
        Change::SetSysctl { key, value } => Some(SysctlAccess::Write(key.clone(), value.clone())),
        Change::SetLink { name, set: LinkSetting::Ipv6(on) } => {
            let name = name.in_sysctls();
            let value = if *on { "0" } else { "1" };
            let key = format!("net.ipv6.conf.{name}.disable_ipv6");
            Some(SysctlAccess::Write(key, value.to_owned()))
        }
        Change::SetLink { name, set: LinkSetting::RpsCpus(cpus) } => {
            Some(SysctlAccess::WriteRps(name.clone(), cpus.clone()))
        }
        _ => None,
    }
}
