//! What a step is printed as is read as that step again, without a kernel: parse ∘ print = identity.
//!
//! A step is laid out as the message that `vnet-kernel` sends, and printed as the commands of a
//! script; these are read by the front of `vnet ip` to the messages that it would send. Both must say
//! the same. Where they may differ although they mean the same, [`reconciled`] says so and why.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use proptest::prelude::*;
use vnet_iproute::Command;
use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::maddr::Listing;
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::out::Out;
use vnet_iproute::ip::tables::Tables;
use vnet_iproute::ip::wire::{self, Attr, Request, ifinfomsg, rtm};
use vnet_iproute::ip::words::Words;
use vnet_iproute::ip::{
    Account, Context, Object, World, addr, bridge, link, maddr, neigh, netns, nexthop, route, rule,
    tuntap,
};
use vnet_kernel::execute::message::{self, Birth};
use vnet_model::arbitrary::step::{DEVS, NAMESPACES, step};
use vnet_model::kind::physical;
use vnet_model::{Change, Entry, IfName, LinkSetting, NewLink, NexthopKind, NsName, PairEnd, Step};
use vnet_netlink::{Batch, Flags};

use super::said::{IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, Said};
use super::same::reconciled;

/// Interfaces and namespaces as if they existed. The indexes are the same in all namespaces.
struct Paper {
    /// The kind of all interfaces: `ip` looks at a tunnel before it changes it.
    kind: &'static str,
    tables: Tables,
    namespaces: BTreeMap<String, OwnedFd>,
}

impl Paper {
    fn new() -> Self {
        let open = |name: &&str| {
            let file = std::fs::File::open("/dev/null").expect("it is there");
            ((*name).to_owned(), OwnedFd::from(file))
        };
        let host = NsName::host();
        let namespaces = NAMESPACES.iter().chain(&[host.as_str()]).map(open).collect();
        Self { kind: "", tables: Tables::default(), namespaces }
    }
}

fn index_of(name: &str) -> u32 {
    let at = DEVS.iter().chain(&["lo"]).position(|dev| *dev == name);
    at.map_or(0, |at| u32::try_from(at).unwrap() + 2)
}

impl World for Paper {
    fn index(&mut self, name: &str) -> u32 {
        index_of(name)
    }
    fn interface(&mut self, _: u32) -> Option<(String, u32)> {
        None
    }
    fn link(&mut self, index: u32) -> Option<wire::Object> {
        let mut link = Request::new(rtm::NEWLINK, Flags::NONE, ifinfomsg(0, index, 0, 0));
        let kind = Attr::Value(IFLA_INFO_KIND, self.kind.as_bytes().into());
        let info = vec![kind, Attr::Nest(IFLA_INFO_DATA, Vec::new())];
        link.attrs.push(Attr::Nest(IFLA_LINKINFO, info));
        let payload = link.to_raw().ok()?.payload().to_vec();
        Some(wire::Object { kind: rtm::NEWLINK, payload })
    }
    fn netns(&mut self, name: &str) -> Option<RawFd> {
        self.namespaces.get(name).map(AsRawFd::as_raw_fd)
    }
    fn netns_of_id(&mut self, _: i32) -> Option<String> {
        None
    }
    fn nexthop(&mut self, _: u32) -> Option<wire::Object> {
        None
    }
    fn account(&mut self, _: Account) -> Option<String> {
        None
    }
    fn host(&mut self, _: std::net::IpAddr) -> Option<String> {
        None
    }
    fn tables(&self) -> &Tables {
        &self.tables
    }
}

/// What a command means.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// A message, in this namespace.
    Message(NsName, Box<Said>),
    AddNamespace(String),
    DelNamespace(String),
    /// A TUN or TAP device, by its flags (linux/if_tun.h).
    MakeTun(NsName, String, u16),
}

impl Meant {
    /// Puts the attributes of two messages to one interface into one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Message(ns, mut first), Self::Message(_, second)) => {
                assert_eq!((first.kind, &first.header), (second.kind, &second.header));
                first.attrs.extend(second.attrs);
                first.attrs.sort();
                Self::Message(ns, first)
            }
            (first, second) => panic!("{first:?} and {second:?}"),
        }
    }
}

/// Why a step is printed as no command of iproute2, if it is none: it is what these say.
fn beyond_ip(change: &Change) -> Option<&'static str> {
    match change {
        Change::SetSysctl { .. } => Some("sysctl"),
        // Netlink can say one of them, `ip` none.
        Change::SetLink { set: LinkSetting::ForwardIpv4(_) | LinkSetting::Ipv6(_), .. } => {
            Some("sysctl")
        }
        Change::SetLink { set: LinkSetting::Offload(..), .. } => Some("ethtool"),
        Change::SetLink { set: LinkSetting::RpsCpus(_), .. } => Some("sh"),
        Change::SetWireguard { .. } => Some("wg"),
        Change::AddTable(_)
        | Change::ChangeTable { .. }
        | Change::DelTable(_)
        | Change::RunNft(_) => Some("nft"),
        _ => None,
    }
}

/// What the step does, as `vnet-kernel` does it.
fn done(step: &Step, paper: &Paper) -> Vec<Meant> {
    let mut batch = Batch::new();
    let index = |name: &IfName| Ok(index_of(name.as_str()));
    // The kernel's choice, as where nothing is said.
    let birth = |name, mac, mtu, queues| Birth { name, index: 0, mac, mtu, queues };
    let mut ns = step.ns.clone();
    let mut both_in_host = false;
    match &step.change {
        Change::AddNamespace { mark } => {
            let lo = IfName::new("lo").unwrap();
            let set = LinkSetting::Alias(Some(mark.to_string()));
            message::push(&mut batch, &Change::SetLink { name: lo, set }, index).unwrap();
            let mark = messages(&ns, &batch);
            return [Meant::AddNamespace(ns.to_string())].into_iter().chain(mark).collect();
        }
        Change::DelNamespace => return vec![Meant::DelNamespace(ns.to_string())],
        Change::AddLink { name, link: NewLink::Device { mac, mtu, device, .. } }
            if device.spec.is_tun() =>
        {
            let on = |word, flag| if device.is_on(word) { flag } else { 0 };
            let several = on("multi_queue", 0x100) | on("vnet_hdr", 0x4000);
            let flags = several | 0x1000 & !on("pi", 0x1000);
            let flags = flags | if device.spec.is_tap() { 2 } else { 1 };
            let made = Meant::MakeTun(ns.clone(), name.to_string(), flags);
            let sets = mac.map(LinkSetting::Mac).into_iter().chain(mtu.map(LinkSetting::Mtu));
            for set in sets {
                message::set_link(&mut batch, index_of(name.as_str()), &set);
            }
            // One command says both.
            let joined = messages(&ns, &batch).into_iter().reduce(Meant::and);
            return [made].into_iter().chain(joined).collect();
        }
        Change::AddLink { name, link: NewLink::Device { device, .. } }
            if device.spec.is_physical() =>
        {
            let lower = device.host_lower.as_ref().unwrap();
            let there = &paper.namespaces[ns.as_str()];
            let alias = physical::alias_of(lower);
            message::move_link(&mut batch, index_of(lower.as_str()), there, name, &alias);
            return moved(messages(&NsName::host(), &batch), lower == name);
        }
        Change::DelLink { name, back: Some(back) } => {
            // Whichever it is.
            let there = paper.namespaces.values().next().unwrap();
            message::move_link(&mut batch, index_of(name.as_str()), there, back, "");
            return moved(messages(&ns, &batch), name == back);
        }
        Change::AddLink { name, link: NewLink::Device { mac, mtu, queues, device } } => {
            let this = birth(name, *mac, *mtu, *queues);
            message::add_device(&mut batch, &this, device, None, index).unwrap();
        }
        Change::AddLink { name, link: NewLink::Pair { device, mac, mtu, queues, peer } } => {
            let PairEnd { end, mac: peer_mac, mtu: peer_mtu, queues: peer_queues } = peer;
            let mut ends = [
                birth(name, *mac, *mtu, *queues),
                birth(&end.name, *peer_mac, *peer_mtu, *peer_queues),
            ];
            let mut device = device.clone();
            let mut there = end.ns.clone();
            both_in_host = ns.is_host() && there.is_host();
            // The host has no name that `ip` knows: a pair is made from there.
            if there.is_host() && !ns.is_host() {
                ends.reverse();
                device = device.map(|device| device.from_the_other_end());
                std::mem::swap(&mut ns, &mut there);
            }
            let there = &paper.namespaces[there.as_str()];
            message::add_pair(&mut batch, device.as_ref(), (&ends[0], &ends[1]), there);
        }
        change => message::push(&mut batch, change, index).unwrap(),
    }
    let mut all = messages(&ns, &batch);
    if both_in_host {
        all.iter_mut().for_each(forget_namespace);
    }
    all
}

/// Says what moves an interface as `ip` does: without a name where that stays.
fn moved(mut all: Vec<Meant>, keeps_name: bool) -> Vec<Meant> {
    const IFLA_IFNAME: u16 = 3;
    for meant in &mut all {
        if let Meant::Message(_, said) = meant {
            said.attrs.retain(|attr| !(keeps_name && attr.kind() == IFLA_IFNAME));
        }
    }
    all
}

/// Where both ends of a pair are in the host, nothing need be said of a namespace.
fn forget_namespace(meant: &mut Meant) {
    const IFLA_NET_NS_FD: u16 = 28;
    if let Meant::Message(_, said) = meant
        && let Some(peer) = said.nest(&[18, 2, 1])
    {
        peer.retain(|attr| attr.kind() != IFLA_NET_NS_FD);
    }
}

fn messages(ns: &NsName, batch: &Batch) -> Vec<Meant> {
    let all = Said::all(batch).into_iter();
    all.map(|said| Meant::Message(ns.clone(), Box::new(said))).collect()
}

/// What a command means to the front of `vnet ip`.
fn read(command: &Command, paper: &mut Paper) -> Result<Meant, Failure> {
    let (program, words) = command.words().split_first().unwrap();
    let language = if program == "bridge" { Language::Bridge } else { Language::Ip };
    let (options, taken) = Options::read(words, language)?;
    let ns = options.netns.as_deref().map_or_else(NsName::host, |ns| NsName::new(ns).unwrap());
    let mut rest = Words::new(&words[taken..]);
    let context = &mut Context::new(&options, paper);
    let request = if language == Language::Bridge {
        match bridge::read(&mut rest, context)? {
            bridge::Command::Change(request) => Some(request),
            _ => None,
        }
    } else {
        let object = Object::read(rest.take().unwrap_or_default())?;
        match object {
            Object::Netns => {
                return Ok(match netns::read(&mut rest, &options)? {
                    netns::Command::Add(name) => Meant::AddNamespace(name),
                    netns::Command::Delete(Some(name)) => Meant::DelNamespace(name),
                    other => panic!("{command} is {other:?}"),
                });
            }
            Object::Tuntap => {
                return Ok(match tuntap::read(&mut rest)? {
                    tuntap::Command::Add(it) => Meant::MakeTun(ns, it.name, it.flags),
                    other => panic!("{command} is {other:?}"),
                });
            }
            object => changed(object, &mut rest, context)?,
        }
    };
    // Of a vxlan whose port is the kernel's choice iproute2 says so; nothing else is to be said.
    let said = context.warnings.iter().filter(|line| !line.starts_with("vxlan: destination port"));
    let said: Vec<_> = said.filter(|line| !line.starts_with("the kernel takes 8472")).collect();
    assert_eq!(said, [""; 0], "{command}");
    let request = request.unwrap_or_else(|| panic!("{command} is no change"));
    let mut batch = Batch::new();
    request.push_to(&mut batch);
    Ok(Meant::Message(ns, Box::new(Said::all(&batch).remove(0))))
}

/// Reads a command that changes an object by a message.
fn changed(
    object: Object,
    words: &mut Words<'_>,
    context: &mut Context<'_>,
) -> Result<Option<Box<Request>>, Failure> {
    Ok(match object {
        Object::Link => match link::read(words, context)? {
            link::Command::Change(request) => Some(request),
            _ => None,
        },
        Object::Address => match addr::read(words, context)? {
            addr::Command::Change(request) => Some(request),
            _ => None,
        },
        Object::Route => match route::read(words, context)? {
            route::Command::Change(request) => Some(request),
            _ => None,
        },
        Object::Rule => match rule::read(words, context)? {
            rule::Command::Change(request) => Some(request),
            _ => None,
        },
        Object::Neighbour => match neigh::read(words, context)? {
            neigh::Command::Change(request) => Some(request),
            _ => None,
        },
        Object::Nexthop => match nexthop::read(words, context)? {
            nexthop::Command::Change(request) => Some(request),
            _ => None,
        },
        _ => None,
    })
}

fn check(step: &Step, paper: &mut Paper) -> Result<(), TestCaseError> {
    let commands = vnet_iproute::commands(step);
    let shown = || commands.iter().map(|it| format!("{it}\n")).collect::<String>();
    if let Some(program) = beyond_ip(&step.change) {
        let says_so = |word: &str| word == program || word.contains(&format!("{program} "));
        let is_it = |command: &Command| command.words().iter().any(|word| says_so(word));
        prop_assert!(commands.iter().all(|it| is_it(it) || is_sysctl(it)), "{}", shown());
        return Ok(());
    }
    paper.kind = match &step.change {
        Change::SetLink { set: LinkSetting::Options { spec, .. }, .. } => spec.name,
        _ => "",
    };
    let meant: Result<Vec<Meant>, Failure> = commands.iter().map(|it| read(it, paper)).collect();
    let meant = match meant {
        Ok(meant) => meant,
        // What our front does not read it refuses by name.
        Err(failure) if is_not_covered(&failure) && has_encap(&step.change) => return Ok(()),
        Err(failure) => {
            let word = failure.word;
            return Err(TestCaseError::fail(format!("{}{} ({word:?})", shown(), failure.line)));
        }
    };
    let done = done(step, paper);
    let side = |all: Vec<Meant>| all.into_iter().map(|it| same(it, step)).collect::<Vec<_>>();
    prop_assert_eq!(side(done), side(meant), "{}", shown());
    Ok(())
}

fn is_not_covered(failure: &Failure) -> bool {
    failure.line.starts_with("vnet ip does not cover `encap`")
}

fn has_encap(change: &Change) -> bool {
    match change {
        Change::AddRoute(route) | Change::ReplaceRoute(route) | Change::DelRoute(route) => {
            route.nexthops.iter().any(|hop| hop.encap.is_some())
        }
        Change::SetEntry(Entry::Nexthop(object)) => {
            matches!(&object.kind, NexthopKind::Leg(leg) if leg.encap.is_some())
        }
        _ => false,
    }
}

fn same(meant: Meant, step: &Step) -> Meant {
    match meant {
        Meant::Message(ns, said) => Meant::Message(ns, Box::new(reconciled(*said, step))),
        other => other,
    }
}

/// Tells whether a command writes a sysctl past `sysctl`, which would misread its name.
fn is_sysctl(command: &Command) -> bool {
    command.words().iter().any(|word| word.starts_with("/proc/sys/"))
}

/// As many as take a second; `PROPTEST_CASES` tries more.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let (cases, max_local_rejects) = (asked.unwrap_or(4000), u32::MAX);
    ProptestConfig { cases, max_local_rejects, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Both ways between steps and words lead to the same messages.
    #[test]
    fn a_step_that_is_printed_is_read_as_the_same(step in step()) {
        PAPER.with_borrow_mut(|paper| check(&step, paper))?;
    }
}

thread_local! {
    static PAPER: std::cell::RefCell<Paper> = std::cell::RefCell::new(Paper::new());
}

/// What `ip maddress` reads in the files of `/proc/net`, and prints.
#[test]
fn groups_are_printed() {
    let listing = Listing {
        link: "2    eth0            1     0     01005e000001\n".into(),
        inet: "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
               2\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
            .into(),
        inet6: "2    eth0            ff020000000000000000000000000001     2 0000000C 0\n".into(),
    };
    let options = Options::default();
    let mut out = Out::new(&options, false, false);
    let mut paper = Paper { kind: "", tables: Tables::default(), namespaces: BTreeMap::default() };
    let mut context = Context::new(&options, &mut paper);
    maddr::show(&mut out, &listing, Some("eth0"), &mut context);
    let text = "2:\teth0\n\tlink  01:00:5e:00:00:01\n\tinet  224.0.0.1\n\tinet6 ff02::1 users 2\n";
    assert_eq!(out.finish(), text);
}
