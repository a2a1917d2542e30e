//! The sockets behind `ip`: what the language asks of the system, and what it has done.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::link::{IFLA_ALT_IFNAME, IFLA_IFNAME, SKIP_STATS};
use vnet_iproute::ip::options::Options;
use vnet_iproute::ip::tables::Tables;
use vnet_iproute::ip::wire::{self, Attr, Request, ifinfomsg, rtm};
use vnet_iproute::ip::{Account, World};
use vnet_kernel::process::Identity;
use vnet_kernel::realm::Entry;
use vnet_kernel::thread::{NsThread, Walker};
use vnet_kernel::{Realm, pins};
use vnet_model::NsName;
use vnet_netlink::{Batch, Error, Flags, Protocol, Refusal, Socket};

const IFLA_EXT_MASK: u16 = 29;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// What the kernel says to an unknown name of an interface is remembered no longer than a command.
#[derive(Debug)]
pub(super) struct Engine {
    socket: Socket,
    tables: Rc<Tables>,
    realm: Option<Realm>,
    walker: Option<NsThread>,
    within: BTreeMap<String, Within>,
    indexes: BTreeMap<String, u32>,
    interfaces: BTreeMap<u32, Option<(String, u32)>>,
    namespaces: BTreeMap<String, Option<OwnedFd>>,
    ids: Option<BTreeMap<i32, String>>,
    hosts: BTreeMap<IpAddr, Option<String>>,
    batch: Batch,
    queue: Queue,
}

/// Changes that wait to be sent together.
#[derive(Debug, Default)]
struct Queue {
    is_on: bool,
    batch: Batch,
    /// For each message of the batch: the number of its command.
    tags: Vec<usize>,
    tag: usize,
    /// Whether a name may mean another interface once they are done.
    changes_links: bool,
    failures: Vec<(usize, Failure)>,
}

/// Another namespace in which commands of a batch run.
#[derive(Debug)]
struct Within {
    identity: Identity,
    engine: Engine,
}

/// How many namespaces are kept open for the commands of a batch.
const WITHIN_MAX: usize = 256;

/// How many changes are sent together.
const QUEUE_MAX: usize = 512;

impl Engine {
    /// Opens the namespace that the options name, or this thread's.
    pub(super) fn start(options: &Options) -> Result<Self, Failure> {
        let mut tables = read_tables();
        tables.numeric = options.numeric;
        let mut realm = None;
        let socket = match &options.netns {
            None => Socket::open(Protocol::Route).map_err(|error| failed(&error))?,
            Some(name) => {
                let own = Realm::own().map_err(|error| Failure::command(1, error.to_string()))?;
                let socket = open_in(&own, name)?;
                realm = Some(own);
                socket
            }
        };
        Ok(Self { realm, ..Self::around(socket, Rc::new(tables)) })
    }

    fn around(socket: Socket, tables: Rc<Tables>) -> Self {
        Self {
            socket,
            tables,
            realm: None,
            walker: None,
            within: BTreeMap::new(),
            indexes: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            ids: None,
            hosts: BTreeMap::new(),
            batch: Batch::new(),
            queue: Queue::default(),
        }
    }

    /// Returns the thread that enters namespaces.
    pub(super) fn walker(&mut self) -> Result<&NsThread, Failure> {
        if self.walker.is_none() {
            let started = NsThread::start();
            self.walker = Some(started.map_err(|error| Failure::command(1, error.to_string()))?);
        }
        self.walker.as_ref().ok_or_else(|| Failure::command(1, "no thread can be made"))
    }

    /// Returns an engine in a pinned namespace, the same one as long as the name means the same;
    /// `None` where it can't be entered.
    pub(super) fn within(&mut self, name: &str) -> Option<&mut Self> {
        self.flush();
        // What is done there may move interfaces to here, and what was done here to there.
        self.forget_indexes();
        let ns = open_pin(name)?;
        let stat = rustix::fs::fstat(&ns).ok()?;
        let identity = (stat.st_dev, stat.st_ino);
        if self.within.get(name).is_none_or(|known| known.identity != identity) {
            let open = move |walker: &Walker| {
                walker.enter(&ns).ok()?;
                Socket::open(Protocol::Route).ok()
            };
            let socket = self.walker().ok()?.run(open)?;
            if self.within.len() >= WITHIN_MAX {
                self.within.clear();
            }
            let engine = Self::around(socket, Rc::clone(&self.tables));
            self.within.insert(name.to_owned(), Within { identity, engine });
        }
        let engine = &mut self.within.get_mut(name)?.engine;
        engine.forget_indexes();
        engine.namespaces.clear();
        engine.ids = None;
        Some(engine)
    }

    /// Returns where namespaces are pinned.
    pub(super) fn realm(&mut self) -> Result<&Realm, Failure> {
        if self.realm.is_none() {
            let own = Realm::own().map_err(|error| Failure::command(1, error.to_string()))?;
            self.realm = Some(own);
        }
        self.realm.as_ref().ok_or_else(|| Failure::command(1, "no thread can be made"))
    }

    /// Opens one more socket where this one is.
    pub(super) fn another_socket(&mut self, options: &Options) -> Result<Socket, Failure> {
        match &options.netns {
            None => Socket::open(Protocol::Route).map_err(|error| failed(&error)),
            Some(name) => open_in(self.realm()?, name),
        }
    }

    /// Does something in the namespace that the options name, or this thread's.
    pub(super) fn inside<T: Send + 'static>(
        &mut self,
        options: &Options,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let Some(name) = &options.netns else { return Ok(job()) };
        let failed = |why: &str| Failure::command(1, format!("cannot enter {name}: {why}"));
        let fd = match entry(self.realm()?, name)? {
            Entry::Namespace(opened) => opened.ns,
            _ => return Err(failed("it is no namespace")),
        };
        let done = self.walker()?.run(move |walker| walker.enter(&fd).map(|()| job()));
        done.map_err(|errno| failed(&vnet_netlink::errno_words(errno)))
    }

    /// Remembers the names of all interfaces, to know them when they are gone.
    pub(super) fn remember_links(&mut self) -> Result<(), Failure> {
        for link in self.dump(&Self::link_question(0, None))? {
            self.remember(&link);
        }
        Ok(())
    }

    /// Remembers what an event says of an interface.
    pub(super) fn remember(&mut self, event: &wire::Object) {
        match event.kind {
            rtm::NEWLINK => {
                if let Some(name) = vnet_iproute::ip::link::name(event) {
                    self.interfaces.insert(event.u32_at(4), Some((name, event.u32_at(8))));
                }
            }
            rtm::DELLINK => drop(self.interfaces.remove(&event.u32_at(4))),
            rtm::NEWNSID | rtm::DELNSID => self.ids = None,
            _ => {}
        }
    }

    /// Forgets what is known of interfaces: something has changed.
    pub(super) fn forget(&mut self) {
        self.indexes.clear();
        self.interfaces.clear();
        self.namespaces.clear();
        self.within.clear();
        self.ids = None;
    }

    /// Has the kernel do something to links.
    pub(super) fn change_link(&mut self, request: &Request) -> Result<u8, Failure> {
        let result = self.change(request);
        self.forget_indexes();
        result
    }

    fn forget_indexes(&mut self) {
        self.indexes.clear();
        self.interfaces.clear();
    }

    /// Begins or ends to send changes many at a time.
    pub(super) fn queue_changes(&mut self, is_on: bool) {
        self.flush();
        self.queue.is_on = is_on;
    }

    /// Tells whether changes are sent many at a time.
    pub(super) fn is_queueing(&self) -> bool {
        self.queue.is_on
    }

    /// Tells whether changes wait to be sent.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.tags.is_empty()
    }

    /// Gives what follows a number, by which its failure is told.
    pub(super) fn tag(&mut self, tag: usize) {
        self.queue.tag = tag;
    }

    /// Returns what has failed of the changes that were queued, with their numbers.
    pub(super) fn take_failures(&mut self) -> Vec<(usize, Failure)> {
        std::mem::take(&mut self.queue.failures)
    }

    /// Sends the changes that wait.
    pub(super) fn flush(&mut self) {
        if self.queue.tags.is_empty() {
            return;
        }
        let tags = std::mem::take(&mut self.queue.tags);
        let mut batch = std::mem::take(&mut self.queue.batch);
        match self.socket.submit(&mut batch) {
            Ok(outcome) => {
                let failures = outcome
                    .refusals()
                    .iter()
                    .filter_map(|(at, refusal)| Some((*tags.get(*at)?, explained(refusal))));
                self.queue.failures.extend(failures);
            }
            Err(error) => {
                let first = tags.first().copied().unwrap_or_default();
                self.queue.failures.push((first, failed(&error)));
            }
        }
        batch.clear();
        self.queue.batch = batch;
        if std::mem::take(&mut self.queue.changes_links) {
            self.forget_indexes();
        }
    }

    /// Has the kernel do something, and waits for its answer unless changes are queued.
    pub(super) fn change(&mut self, request: &Request) -> Result<u8, Failure> {
        if self.queue.is_on {
            request.push_unacknowledged_to(&mut self.queue.batch);
            self.queue.tags.push(self.queue.tag);
            self.queue.changes_links |= matches!(request.kind, rtm::NEWLINK | rtm::DELLINK);
            if self.queue.tags.len() >= QUEUE_MAX {
                self.flush();
            }
            return Ok(0);
        }
        self.batch.clear();
        request.push_to(&mut self.batch);
        let outcome = self.socket.submit_in_order(&mut self.batch);
        match outcome.map_err(|error| failed(&error))?.into_result() {
            Ok(()) => Ok(0),
            Err((_, refusal)) => Err(explained(&refusal)),
        }
    }

    /// Has the kernel do many things at once; returns the refusals.
    pub(super) fn change_all(&mut self, requests: &[Request]) -> Result<Vec<Refusal>, Failure> {
        self.flush();
        self.batch.clear();
        for request in requests {
            request.push_to(&mut self.batch);
        }
        let outcome = self.socket.submit(&mut self.batch).map_err(|error| failed(&error))?;
        Ok(outcome.refusals().iter().map(|(_, refusal)| refusal.clone()).collect())
    }

    /// Asks for all objects that match.
    pub(super) fn dump(&mut self, request: &Request) -> Result<Vec<wire::Object>, Failure> {
        self.dump_as(request, <[u8]>::to_vec)
    }

    /// Asks for all objects that match, and keeps what is wanted of each.
    pub(super) fn dump_as(
        &mut self,
        request: &Request,
        keep: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<wire::Object>, Failure> {
        self.flush();
        let question = request.to_raw().map_err(|error| failed(&error))?;
        let answer = self.socket.dump(&question, |message| {
            Ok(Some(wire::Object { kind: message.kind, payload: keep(message.payload) }))
        });
        answer.map_err(|error| match error {
            Error::Refused(refusal) => {
                let mut failure = explained(&refusal);
                // Of what is not there iproute2 says nothing (`rtnl_dump_done`, lib/libnetlink.c).
                if refusal.errno == rustix::io::Errno::NOENT && refusal.message.is_none() {
                    failure.line.clear();
                } else {
                    failure.line.push('\n');
                }
                failure.line.push_str("Dump terminated");
                failure
            }
            error => failed(&error),
        })
    }

    /// Asks for one object.
    pub(super) fn get(&mut self, request: &Request) -> Result<Vec<wire::Object>, Failure> {
        self.ask(request).map_err(|error| match error {
            Error::Refused(refusal) => explained(&refusal),
            error => failed(&error),
        })
    }

    fn ask(&mut self, request: &Request) -> Result<Vec<wire::Object>, Error> {
        self.flush();
        let question = request.to_raw()?;
        self.socket.get(&question, |message| {
            Ok(Some(wire::Object { kind: message.kind, payload: message.payload.to_vec() }))
        })
    }

    fn link_question(index: u32, name: Option<&str>) -> Request {
        let mut request = Request::new(rtm::GETLINK, Flags::NONE, ifinfomsg(0, index, 0, 0));
        request.attrs.push(Attr::u32(IFLA_EXT_MASK, SKIP_STATS));
        request.attrs.extend(name.map(|name| {
            let attr = if name.len() < 16 { IFLA_IFNAME } else { IFLA_ALT_IFNAME };
            Attr::text(attr, name)
        }));
        request
    }

    /// Returns the id that a namespace has here.
    pub(super) fn id_of(&mut self, fd: RawFd) -> Option<i32> {
        let mut request = Request::new(rtm::GETNSID, Flags::NONE, vec![0]);
        request.attrs.push(Attr::Value(NETNSA_FD, fd.to_ne_bytes().to_vec()));
        let answer = self.ask(&request).ok()?;
        let id = answer.first()?.attrs(4).u32(NETNSA_NSID)?.cast_signed();
        (id >= 0).then_some(id)
    }
}

impl World for Engine {
    fn index(&mut self, name: &str) -> u32 {
        if self.queue.changes_links {
            self.flush();
        }
        if let Some(index) = self.indexes.get(name) {
            return *index;
        }
        let mut find = |name: &str| {
            let answer = self.ask(&Self::link_question(0, Some(name))).unwrap_or_default();
            answer.first().map_or(0, |link| link.u32_at(4))
        };
        let mut index = find(name);
        // `eth0:1` is a label of old, which stands for its interface (`dev_ioctl`,
        // net/core/dev_ioctl.c).
        if let (0, Some((interface, _))) = (index, name.split_once(':')) {
            index = find(interface);
        }
        if index != 0 {
            self.indexes.insert(name.to_owned(), index);
        }
        index
    }

    fn interface(&mut self, index: u32) -> Option<(String, u32)> {
        if let Some(known) = self.interfaces.get(&index) {
            return known.clone();
        }
        let answer = self.ask(&Self::link_question(index, None)).unwrap_or_default();
        let found = answer
            .first()
            .and_then(|link| Some((vnet_iproute::ip::link::name(link)?, link.u32_at(8))));
        self.interfaces.insert(index, found.clone());
        found
    }

    fn link(&mut self, index: u32) -> Option<wire::Object> {
        self.ask(&Self::link_question(index, None)).ok()?.pop()
    }

    fn netns(&mut self, name: &str) -> Option<RawFd> {
        if !self.namespaces.contains_key(name) {
            self.namespaces.insert(name.to_owned(), open_pin(name));
        }
        self.namespaces.get(name)?.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn netns_of_id(&mut self, id: i32) -> Option<String> {
        if self.ids.is_none() {
            let mut ids = BTreeMap::new();
            for name in names() {
                if let Some(fd) = self.netns(&name)
                    && let Some(id) = self.id_of(fd)
                {
                    ids.insert(id, name);
                }
            }
            self.ids = Some(ids);
        }
        self.ids.as_ref()?.get(&id).cloned()
    }

    fn nexthop(&mut self, id: u32) -> Option<wire::Object> {
        let mut request = Request::new(rtm::GETNEXTHOP, Flags::NONE, vec![0; 8]);
        request.attrs.push(Attr::u32(1, id));
        self.ask(&request).ok()?.pop()
    }

    fn account(&mut self, account: Account) -> Option<String> {
        let (path, id) = match account {
            Account::User(id) => ("/etc/passwd", id),
            Account::Group(id) => ("/etc/group", id),
        };
        let id = id.to_string();
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1) == Some(&id)).then(|| name.to_owned())
        })
    }

    fn host(&mut self, address: IpAddr) -> Option<String> {
        self.hosts.entry(address).or_insert_with(|| vnet_kernel::hosts::name_of(address)).clone()
    }

    fn tables(&self) -> &Tables {
        &self.tables
    }
}

/// Lists the names of pinned namespaces in the folder's own order, as iproute2 does.
pub(super) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(pins::NETNS_DIR).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Opens a pinned namespace, which takes neither a thread nor a capability.
fn open_pin(name: &str) -> Option<OwnedFd> {
    let name = NsName::new(name).ok()?;
    pins::Pins::open().ok()??.open_namespace(&name).ok()
}

/// Opens a route socket in a pinned namespace.
fn open_in(realm: &Realm, name: &str) -> Result<Socket, Failure> {
    match entry(realm, name)? {
        Entry::Namespace(opened) => Ok(opened.socket),
        _ => {
            let line = format!("setting the network namespace \"{name}\" failed: Invalid argument");
            Err(Failure::parser(line))
        }
    }
}

/// Looks what is pinned under a name; that there is nothing is a failure.
pub(super) fn entry(realm: &Realm, name: &str) -> Result<Entry, Failure> {
    let missing = |why: &str| {
        let line = format!("Cannot open network namespace \"{name}\": {why}");
        Failure::parser(line)
    };
    let no_such = || {
        missing("No such file or directory").hint(format!(
            "`ip netns add {name}` makes it; `ip netns list` shows those that are there"
        ))
    };
    let name = NsName::new(name).map_err(|_| no_such())?;
    let mut entries = realm.open(0, &[name]).map_err(|error| {
        let words = error
            .errno()
            .map_or_else(String::new, |errno| vnet_netlink::errno_words(errno).to_string());
        missing(&words)
    })?;
    match entries.pop() {
        None | Some(Entry::Gone) => Err(no_such()),
        Some(entry) => Ok(entry),
    }
}

/// Says what the kernel refused, and for the common mistakes what to do.
fn explained(refusal: &Refusal) -> Failure {
    use rustix::io::Errno;
    let failure = Failure::refused(refusal);
    let message = refusal.message.as_deref().unwrap_or_default();
    let hint = match (refusal.errno, message) {
        (_, "Nexthop has invalid gateway") => {
            "the gateway must be on a network of an interface that is up: give the interface an \
             address in it first, or add `onlink`"
        }
        (_, "Device for nexthop is not up") | (Errno::NETDOWN, _) => {
            "set the interface up first: `ip link set NAME up`"
        }
        (Errno::EXIST, _) => "it is there already: `replace` instead of `add` overwrites it",
        (_, "Invalid source address" | "Invalid destination address") => {
            "a rule for IPv6 needs the option -6: `ip -6 rule add …`"
        }
        (Errno::PERM | Errno::ACCESS, _) => {
            "this wants CAP_NET_ADMIN in this namespace: run it as root, or in `unshare -Urn`"
        }
        (Errno::NETUNREACH, _) => "no route leads there: `ip route` shows those that are there",
        (_, "Invalid prefix for given prefix length") => {
            "bits of the address are set behind the prefix length: write the network's address"
        }
        (_, "Unknown device type") => "this kernel lacks this kind of interface, or its module",
        _ => return failure,
    };
    failure.hint(hint)
}

fn failed(error: &Error) -> Failure {
    match error.errno() {
        Some(errno) => Failure::command(1, vnet_netlink::errno_words(errno)),
        None => Failure::command(1, error.to_string()),
    }
}

/// Reads the names of numbers from `/etc/iproute2`; those built in are known without it.
fn read_tables() -> Tables {
    let mut tables = Tables::default();
    for (name, names, max) in [
        ("rt_protos", &mut tables.protocols, 255),
        ("rt_scopes", &mut tables.scopes, 255),
        ("rt_tables", &mut tables.tables, u32::MAX),
        ("group", &mut tables.groups, u32::MAX),
        ("rt_dsfield", &mut tables.dsfields, 255),
        ("rt_realms", &mut tables.realms, 255),
    ] {
        let path = format!("/etc/iproute2/{name}");
        if let Ok(text) = std::fs::read_to_string(&path) {
            names.read(&text, max);
        }
        for entry in std::fs::read_dir(format!("{path}.d")).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "conf")
                && let Ok(text) = std::fs::read_to_string(path)
            {
                names.read(&text, max);
            }
        }
    }
    tables
}
