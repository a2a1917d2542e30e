//! The realm of this process itself: threads that enter namespaces.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vnet_model::NsName;
use vnet_model::nft::Table;
use vnet_netlink::{Batch, Protocol, Socket};

use super::{Created, Entry, NewNamespace, Opened, SysctlAccess, SysctlRequest};
use crate::error::Error;
use crate::execute::message;
use crate::nft::{Trial, Unusable, missing, program};
use crate::pins::{self, PinKind, Pins};
use crate::probe::MissingKind;
use crate::rps;
use crate::sysctl;
use crate::thread::{NsThread, Pending, Walker};
use crate::watch::{self, At, Watch};

/// How many threads enter namespaces: namespaces are made 1.3 times as fast by two, and no faster
/// by more, since the kernel serves them one by one.
const THREADS: usize = 2;

/// The threads that enter namespaces for this process.
#[derive(Debug)]
pub(super) struct Own {
    threads: Vec<NsThread>,
}

impl Own {
    pub(super) fn start() -> Result<Self, Error> {
        let threads = (0..THREADS).map(|_| NsThread::start()).collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    pub(super) fn width(&self) -> usize {
        self.threads.len()
    }

    pub(super) fn thread(&self, number: usize) -> &NsThread {
        &self.threads[number % self.threads.len()]
    }

    /// Makes namespaces, divided among the threads.
    pub(super) fn create(&self, new: &[NewNamespace], watch: Option<&Arc<dyn Watch>>) -> Created {
        let share = new.len().div_ceil(self.threads.len()).max(1);
        let pending: Vec<_> = new
            .chunks(share)
            .zip(&self.threads)
            .map(|(part, thread)| {
                let (part, watch) = (part.to_vec(), watch.cloned());
                thread.begin(move |walker| create_here(walker, &part, watch.as_deref()))
            })
            .collect();
        let mut made = Vec::with_capacity(new.len());
        let mut first_error = None;
        for (index, results) in pending.into_iter().map(Pending::wait).enumerate() {
            for result in results {
                let at = made.len();
                made.push(result.map_err(|e| first_error.get_or_insert((at, e)).0).ok());
            }
            // After an error the rest of a share was not tried.
            made.resize_with(((index + 1) * share).min(new.len()), || None);
        }
        Created { made, error: first_error }
    }

    pub(super) fn open(&self, thread: usize, names: &[NsName]) -> Result<Vec<Entry>, Error> {
        let names = names.to_vec();
        self.thread(thread).run(move |walker| {
            let pins = Pins::open()?;
            let open = |name: &NsName| match (pins::open_elsewhere(name), &pins) {
                (Some(Err(Error::Gone { .. })), _) => Ok(Entry::Gone),
                (Some(opened), _) => enter(walker, name, opened?),
                (None, Some(pins)) => open_here(walker, pins, name),
                (None, None) => Ok(Entry::Gone),
            };
            names.iter().map(open).collect()
        })
    }

    pub(super) fn missing_for_tables(
        &self,
        tables: &[Table],
    ) -> Result<Option<MissingKind>, Error> {
        let tables = tables.to_vec();
        self.thread(0).run(move |walker| missing::find(walker, &tables))
    }

    pub(super) fn try_nft(
        &self,
        trials: &[Trial],
    ) -> Result<Vec<Result<Vec<Table>, Unusable>>, Error> {
        let trials = trials.to_vec();
        self.thread(0)
            .run(move |walker| trials.iter().map(|trial| program::try_out(walker, trial)).collect())
    }

    pub(super) fn run_nft(&self, name: &NsName, text: &str) -> Result<Result<(), Unusable>, Error> {
        let (name, text) = (name.clone(), text.to_owned());
        self.thread(0).run(move |walker| program::run_in(walker, &name, &text))
    }

    pub(super) fn sysctls(
        &self,
        thread: usize,
        requests: Vec<SysctlRequest>,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.thread(thread).run(move |walker| {
            let pins = Pins::open()?;
            let mut answers = Vec::with_capacity(requests.len());
            for (name, accesses) in &requests {
                let ns = pins::open_namespace(pins.as_ref(), name)?;
                walker.enter(&ns).map_err(Error::system("enter", format!("namespace {name}")))?;
                answers.push(accesses.iter().map(access).collect::<Result<_, _>>()?);
            }
            Ok(answers)
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // All at once, and not one after the other.
        self.threads.iter_mut().for_each(NsThread::dismiss);
    }
}

fn access(access: &SysctlAccess) -> Result<Option<String>, Error> {
    match access {
        SysctlAccess::Read(key) => sysctl::read(key),
        SysctlAccess::Write(key, value) => sysctl::write(key, value).map(|()| None),
        SysctlAccess::List => {
            let line = |(key, value)| format!("{key}\t{value}\n");
            Ok(Some(sysctl::list().into_iter().map(line).collect()))
        }
        SysctlAccess::ReadRps(name) => Ok(rps::read(name).map(|cpus| cpus.to_string())),
        SysctlAccess::ListRps => Ok(rps::list()),
        SysctlAccess::WriteRps(name, cpus) => rps::write(name, cpus).map(|()| None),
        SysctlAccess::MakeTun { name, flags, owner, group } => {
            let tun = crate::ioctl::Tun {
                name: name.as_str(),
                flags: *flags,
                owner: *owner,
                group: *group,
            };
            make_tun(&tun).map(Some)
        }
        SysctlAccess::Counters => Ok(Some(crate::counters::tell())),
        SysctlAccess::Filters => Ok(crate::observe::filters::list()),
    }
}

/// Makes a TUN or TAP device in the namespace that the thread is in, and returns its index.
fn make_tun(tun: &crate::ioctl::Tun<'_>) -> Result<String, Error> {
    let name = tun.name;
    let object = || format!("{name} by way of /dev/net/tun");
    tun.create().map_err(|failure| Error::system("make", object())(failure.errno))?;
    let (inet, datagrams) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM);
    rustix::net::socket(inet, datagrams, None)
        .and_then(|socket| rustix::net::netdevice::name_to_index(&socket, name))
        .map(|index| index.to_string())
        .map_err(Error::system("find", object()))
}

fn open_here(walker: &Walker, pins: &Pins, name: &NsName) -> Result<Entry, Error> {
    let Some(pin) = pins.get(name)? else { return Ok(Entry::Gone) };
    let ns = match pin.kind {
        PinKind::Namespace(ns) => ns,
        PinKind::Stale(mark) => return Ok(Entry::Stale(mark)),
        PinKind::Foreign => return Ok(Entry::Foreign),
    };
    enter(walker, name, ns)
}

/// Opens a socket in a namespace.
fn enter(walker: &Walker, name: &NsName, ns: OwnedFd) -> Result<Entry, Error> {
    match walker.enter(&ns) {
        Ok(()) => Ok(Entry::Namespace(Opened { socket: open_socket(name, Protocol::Route)?, ns })),
        // A namespace, but not a network namespace; or one of another user's.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => Ok(Entry::Foreign),
        Err(errno) => Err(Error::system("enter", format!("namespace {name}"))(errno)),
    }
}

fn open_socket(name: &NsName, protocol: Protocol) -> Result<Socket, Error> {
    let failed = |source| Error::Netlink { doing: "open a socket", ns: name.clone(), source };
    Socket::open(protocol).map_err(failed)
}

/// Makes namespaces one after the other and stops at the first error.
fn create_here(
    walker: &Walker,
    new: &[NewNamespace],
    watch: Option<&dyn Watch>,
) -> Vec<Result<Opened, Error>> {
    let pins = match Pins::open_or_make() {
        Ok(pins) => pins,
        Err(error) => return vec![Err(error)],
    };
    let mut batch = Batch::new();
    let mut made = Vec::with_capacity(new.len());
    for new in new {
        let result = create_one(walker, &pins, new, &mut batch, watch);
        let failed = result.is_err();
        made.push(result);
        if failed {
            break;
        }
    }
    made
}

/// Makes one namespace. The mark is on its `lo` before it has a name.
fn create_one(
    walker: &Walker,
    pins: &Pins,
    new: &NewNamespace,
    batch: &mut Batch,
    watch: Option<&dyn Watch>,
) -> Result<Opened, Error> {
    let cannot_make = || Error::system("make", format!("namespace {}", new.name));
    walker.enter_new().map_err(cannot_make())?;
    for (key, value) in &new.sysctls {
        sysctl::write(key, value)?;
    }
    let mut socket = open_socket(&new.name, Protocol::Route)?;
    let failed = |source| Error::Netlink { doing: "mark lo", ns: new.name.clone(), source };
    batch.clear();
    message::mark_lo(batch, &new.mark, new.lo_up);
    let outcome = socket.submit(batch).map_err(failed)?;
    outcome.into_result().map_err(|(_, refusal)| failed(refusal.into()))?;
    watch::come(watch, At::Marked(&new.name)).map_err(cannot_make())?;
    pins.pin_own_namespace(&new.name, &new.mark, watch)?;
    Ok(Opened { socket, ns: crate::thread::open_own_namespace()? })
}
