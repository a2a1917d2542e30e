//! The namespaces that take part: their sockets while they are open, and their neighbour tables as
//! they were.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use rustix::process::{Resource, getrlimit};
use vnet_model::NsName;
use vnet_model::state::is_ipv6_link_local;
use vnet_netlink::{Batch, Socket};

use super::neighbours::{self, Neighbour, Tables};
use super::socket::{EchoSocket, Family};
use super::{Options, Probe};
use crate::error::Error;
use crate::realm::{Entry, Realm};
use crate::socket::SocketKind;

/// Descriptors left to the rest of the process, and to opening namespaces.
const SPARE_DESCRIPTORS: u64 = 192;

/// For each namespace: a route socket and two echo sockets.
const DESCRIPTORS_EACH: u64 = 3;

/// No more than this many namespaces are open: a route socket keeps 36 KiB for answers.
const OPEN_MAX: u64 = 1024;

/// How many namespaces are opened at a time in one thread: each costs a descriptor more meanwhile.
const CHUNK: usize = 32;

/// All namespaces that take part.
#[derive(Debug)]
pub(super) struct Field<'a> {
    realm: &'a Realm,
    places: Vec<Place>,
    by_name: BTreeMap<NsName, usize>,
    /// In which namespace an address is; the first one, where several have it.
    owners: HashMap<IpAddr, usize>,
    /// The addresses whose neighbour entries are ours, if they were not there before.
    involved: HashSet<IpAddr>,
    /// The namespaces in which there may be entries of ours since they were last swept.
    touched: BTreeSet<usize>,
    /// The configured entries in all these namespaces, by family: the cap does not count them.
    configured: [u32; 2],
    open_max: usize,
    epoll: OwnedFd,
    batch: Batch,
    whole: bool,
}

/// A namespace.
#[derive(Debug)]
struct Place {
    name: NsName,
    before: HashSet<Neighbour>,
    /// Which families are probed from here.
    families: BTreeSet<Family>,
    route: Option<Socket>,
    v4: Option<EchoSocket>,
    v6: Option<EchoSocket>,
}

impl<'a> Field<'a> {
    /// Looks at all namespaces before anything is sent. Those that fit stay open.
    pub(super) fn survey(
        realm: &'a Realm,
        probes: &[Probe],
        options: &Options,
    ) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(Error::system("make", "an epoll descriptor"))?;
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(1024);
        let open_max = descriptors.saturating_sub(SPARE_DESCRIPTORS) / DESCRIPTORS_EACH;
        let mut field = Self {
            realm,
            places: Vec::new(),
            by_name: BTreeMap::new(),
            owners: HashMap::new(),
            involved: HashSet::new(),
            touched: BTreeSet::new(),
            configured: [0; 2],
            open_max: usize::try_from(open_max.clamp(8, OPEN_MAX)).unwrap_or(8),
            epoll,
            batch: Batch::new(),
            whole: options.whole,
        };
        let mut names: BTreeMap<&NsName, BTreeSet<Family>> =
            options.watched.iter().map(|name| (name, BTreeSet::new())).collect();
        for probe in probes {
            names.entry(&probe.ns).or_default().insert(Family::of(probe.dst));
            field.involve(probe.dst);
            field.involved.extend(probe.src);
        }
        for (name, families) in names {
            field.by_name.insert(name.clone(), field.places.len());
            let (name, before) = (name.clone(), HashSet::new());
            field.places.push(Place { name, before, families, route: None, v4: None, v6: None });
        }
        let all: Vec<usize> = (0..field.places.len()).collect();
        for part in all.chunks(field.open_max) {
            field.open(part.iter().copied())?;
            part.iter().try_for_each(|place| field.look_at(*place))?;
        }
        Ok(field)
    }

    /// Returns the number of a probe's namespace.
    pub(super) fn place(&self, name: &NsName) -> usize {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    /// Returns the number of the namespace in which an address is.
    pub(super) fn owner(&self, addr: IpAddr) -> Option<usize> {
        self.owners.get(&addr).copied()
    }

    /// Returns into how many namespaces a group is divided, so that two groups can be open.
    pub(super) fn group_size(&self) -> usize {
        if self.places.len() <= self.open_max { self.open_max } else { self.open_max / 2 }
    }

    /// Opens these namespaces, closing others.
    ///
    /// One that is only watched may be gone; of one that is probed from, that is an error.
    pub(super) fn open(&mut self, wanted: impl Iterator<Item = usize>) -> Result<(), Error> {
        let wanted: BTreeSet<usize> = wanted.collect();
        if self.places.len() > self.open_max {
            for (number, place) in self.places.iter_mut().enumerate() {
                if !wanted.contains(&number) {
                    (place.route, place.v4, place.v6) = (None, None, None);
                }
            }
        }
        let closed: Vec<usize> =
            wanted.into_iter().filter(|number| self.places[*number].route.is_none()).collect();
        for part in closed.chunks(CHUNK) {
            self.open_routes(part)?;
            self.open_echoes(part, Family::V4)?;
            self.open_echoes(part, Family::V6)?;
        }
        Ok(())
    }

    fn open_routes(&mut self, numbers: &[usize]) -> Result<(), Error> {
        let names: Vec<NsName> = numbers.iter().map(|n| self.places[*n].name.clone()).collect();
        for (number, entry) in numbers.iter().zip(self.realm.open(0, &names)?) {
            let place = &mut self.places[*number];
            match entry {
                Entry::Namespace(opened) => place.route = Some(opened.socket),
                _ if place.families.is_empty() => {}
                Entry::Gone => return Err(Error::Gone { ns: place.name.clone() }),
                Entry::Stale(_) | Entry::Foreign => {
                    return Err(Error::NotANamespace { path: crate::pins::path(&place.name) });
                }
            }
        }
        Ok(())
    }

    fn open_echoes(&mut self, numbers: &[usize], family: Family) -> Result<(), Error> {
        let probed = |number: &usize| self.places[*number].families.contains(&family);
        let numbers: Vec<usize> = numbers.iter().copied().filter(probed).collect();
        let names: Vec<NsName> = numbers.iter().map(|n| self.places[*n].name.clone()).collect();
        let opened = self.realm.sockets(0, &names, SocketKind::Icmp(family))?;
        for (number, fd) in numbers.into_iter().zip(opened) {
            let place = &mut self.places[number];
            let failed = || Error::system("prepare an ICMP socket in", place.name.to_string());
            let socket = EchoSocket::new(fd?, family, self.whole).map_err(failed())?;
            let data = epoll::EventData::new_u64(event_data(number, family));
            epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN).map_err(failed())?;
            match family {
                Family::V4 => place.v4 = Some(socket),
                Family::V6 => place.v6 = Some(socket),
            }
        }
        Ok(())
    }

    fn look_at(&mut self, number: usize) -> Result<(), Error> {
        let place = &mut self.places[number];
        let name = place.name.clone();
        let failed = |source| Error::Netlink { doing: "read neighbours", ns: name, source };
        let Some(socket) = &mut place.route else { return Ok(()) };
        let read =
            |socket: &mut Socket| Ok((neighbours::dump(socket)?, neighbours::addresses(socket)?));
        let (entries, addresses) = read(socket).map_err(failed)?;
        for entry in entries.iter().filter(|entry| entry.is_configured) {
            self.configured[usize::from(entry.neighbour.addr.is_ipv6())] += 1;
        }
        place.before = entries.into_iter().map(|entry| entry.neighbour).collect();
        for addr in addresses.into_iter().filter(|addr| !addr.is_loopback()) {
            // Link-local addresses are not unique in a lab.
            if !is_ipv6_link_local(addr) {
                self.owners.entry(addr).or_insert(number);
            }
            self.involve(addr);
        }
        Ok(())
    }

    fn involve(&mut self, addr: IpAddr) {
        self.involved.insert(addr);
        if let IpAddr::V6(addr) = addr {
            // Asking for an address takes an entry for the group of those who might have it (RFC
            // 4291, section 2.7.1).
            let [.., a, b, c] = addr.octets();
            let low = u16::from_be_bytes([b, c]);
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
            self.involved.insert(group.into());
        }
    }

    /// Returns the socket for a family in a namespace that is open.
    pub(super) fn echo(&self, number: usize, family: Family) -> Option<&EchoSocket> {
        let place = self.places.get(number)?;
        match family {
            Family::V4 => place.v4.as_ref(),
            Family::V6 => place.v6.as_ref(),
        }
    }

    /// Returns the descriptor that tells which sockets have something.
    pub(super) fn epoll(&self) -> &OwnedFd {
        &self.epoll
    }

    /// Returns the index of the interface a probe must leave by.
    pub(super) fn device(&mut self, probe: &Probe) -> Result<Option<u32>, Error> {
        let Some(dev) = &probe.dst_dev else { return Ok(Some(0)) };
        let number = self.place(&probe.ns);
        let Some(socket) = &mut self.places[number].route else { return Ok(None) };
        let ns = &probe.ns;
        let failed = |source| Error::Netlink { doing: "read a link", ns: ns.clone(), source };
        neighbours::index(socket, dev).map_err(failed)
    }

    /// Notes that a probe leaves this namespace for that address.
    pub(super) fn touch(&mut self, number: usize, dst: IpAddr) {
        self.touched.insert(number);
        self.touched.extend(self.owner(dst));
    }

    /// Reads how full the machine's neighbour tables are, as far as the cap counts.
    pub(super) fn tables(&mut self) -> Result<Tables, Error> {
        let mut open = self.places.iter_mut().filter_map(|p| Some((&p.name, p.route.as_mut()?)));
        let Some((ns, socket)) = open.next() else { return Ok(Tables::default()) };
        let failed = |source| Error::Netlink { doing: "read tables", ns: ns.clone(), source };
        let mut tables = neighbours::tables(socket).map_err(failed)?;
        for (table, configured) in [&mut tables.v4, &mut tables.v6].into_iter().zip(self.configured)
        {
            table.entries = table.entries.saturating_sub(configured);
        }
        Ok(tables)
    }

    /// Removes the neighbour entries that were not there before, in the open namespaces that were
    /// touched. `is_waiting` tells of an entry that is not resolved whether it is still needed.
    /// Returns how many are.
    pub(super) fn sweep(
        &mut self,
        is_waiting: impl Fn(usize, IpAddr, Option<usize>) -> bool,
    ) -> Result<usize, Error> {
        let mut left = 0;
        for number in std::mem::take(&mut self.touched) {
            let left_here = self.sweep_one(number, &is_waiting)?;
            if left_here > 0 {
                self.touched.insert(number);
            }
            left += left_here;
        }
        Ok(left)
    }

    /// Sweeps all namespaces and closes them. An error does not keep it from going on.
    ///
    /// # Errors
    /// The first. That a namespace is gone is none: so are its entries.
    pub(super) fn leave(mut self) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.places.len()).collect();
        let mut result = Ok(());
        for part in all.chunks(self.open_max) {
            let opened = match self.open(part.iter().copied()) {
                Err(Error::Gone { .. }) => Ok(()),
                opened => opened,
            };
            let swept =
                part.iter().map(|number| self.sweep_one(*number, |_, _, _| false).map(drop));
            result = std::iter::once(opened).chain(swept).fold(result, Result::and);
        }
        result
    }

    /// Returns how many entries were left.
    fn sweep_one(
        &mut self,
        number: usize,
        is_waiting: impl Fn(usize, IpAddr, Option<usize>) -> bool,
    ) -> Result<usize, Error> {
        let place = &mut self.places[number];
        let Some(socket) = &mut place.route else { return Ok(0) };
        let ns = &place.name;
        let failed = |source| Error::Netlink { doing: "remove neighbours", ns: ns.clone(), source };
        let mut left = 0;
        let entries = neighbours::dump(socket).map_err(failed)?;
        let ours = entries.into_iter().filter(|entry| {
            let addr = entry.neighbour.addr;
            !entry.is_configured
                && self.involved.contains(&addr)
                && !place.before.contains(&entry.neighbour)
        });
        let mut gone = Vec::new();
        for entry in ours {
            let addr = entry.neighbour.addr;
            let owner = self.owners.get(&addr).copied();
            if entry.is_incomplete && is_waiting(number, addr, owner) {
                left += 1;
            } else {
                gone.push(entry.neighbour);
            }
        }
        if !gone.is_empty() {
            neighbours::remove(socket, &mut self.batch, &gone).map_err(failed)?;
        }
        Ok(left)
    }
}

/// Packs a namespace and a family into what epoll gives back.
fn event_data(number: usize, family: Family) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX >> 1) << 1 | u64::from(family == Family::V6)
}

/// The reverse of [`event_data`].
pub(super) fn from_event_data(data: u64) -> (usize, Family) {
    let family = if data & 1 == 0 { Family::V4 } else { Family::V6 };
    (usize::try_from(data >> 1).unwrap_or(usize::MAX), family)
}
