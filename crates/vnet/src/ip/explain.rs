//! What can be done about a command that failed: what is looked up for that, once it has failed.
//!
//! iproute2's own words stay as they are. Added are the word of the command at fault, as far as the
//! kernel tells, and one line of what is in the way or what is missing.

use vnet_iproute::ip::failure::Failure;
use vnet_iproute::ip::options::{Language, Options};
use vnet_iproute::ip::words::{Family, Prefix, is_interface_name};
use vnet_iproute::ip::{Object, route};
use vnet_model::problem::nearest;

use super::engine::{Engine, names};
use super::{Io, command};

mod kinds;

/// In how many other namespaces an interface is looked for.
const NAMESPACES_MAX: usize = 64;

/// Adds to a failure which word is at fault and what to do about it, from what is there now.
///
/// The words begin with the object's name.
pub(super) fn explain(options: &Options, words: &[String], mut failure: Failure) -> Failure {
    let object = words.first().and_then(|word| Object::read(word).ok());
    let place = Place { options, words };
    let line = failure.line.lines().next().unwrap_or_default().to_owned();
    if failure.word.is_none() {
        failure.word = place.fault(object, &failure, &line);
    }
    let found = match (object, line.as_str()) {
        _ if line.starts_with("Cannot find ") => place.missing_device(&line),
        _ if line.starts_with("Cannot open network namespace ") => place.missing_namespace(&line),
        _ if line.ends_with("Unknown device type.") => place.missing_kind(),
        _ if line.ends_with("Nexthop has invalid gateway.") => place.gateway(),
        _ if line.ends_with("No route to host") => place.gateway(),
        _ if line.ends_with("Device for nexthop is not up.") => place.device_is_down(),
        _ if line.contains("mtu greater") || line.contains("mtu less") => place.mtu(),
        (Some(Object::Route), _) if line.ends_with("answers: File exists") => place.route_in_way(),
        (Some(Object::Link), _) if line.ends_with("answers: File exists") => place.name_taken(),
        (Some(Object::Route), _) if line.ends_with("No such process") => place.no_such_route(),
        (Some(Object::Route), _) if line.ends_with("Network is unreachable") => place.unreachable(),
        (Some(Object::Address), _) if line.ends_with("ddress not found.") => place.addresses(),
        (Some(Object::Address), _) if line.ends_with("ddress already assigned.") => {
            place.address_is_there()
        }
        _ if line.ends_with("Invalid prefix for given prefix length.") => place.host_bits(),
        _ if line.contains("is wrong: Invalid \"netns\" value") => {
            place.value(&["netns"]).and_then(|name| place.no_namespace(name))
        }
        _ if line.starts_with("setting the network namespace ") => {
            line.split('"').nth(1).and_then(|name| place.no_namespace(name))
        }
        _ if options.language == Language::Bridge => place.of_bridge(&line),
        _ => place.known(object, &line).map(str::to_owned),
    };
    match found {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A command that failed, and where.
struct Place<'a> {
    options: &'a Options,
    words: &'a [String],
}

impl Place<'_> {
    /// Returns where the value of a keyword stands.
    fn after(&self, keywords: &[&str]) -> Option<usize> {
        let at = self.words.iter().rposition(|word| keywords.contains(&word.as_str()))? + 1;
        (at < self.words.len()).then_some(at)
    }

    fn value(&self, keywords: &[&str]) -> Option<&str> {
        self.after(keywords).map(|at| self.words[at].as_str())
    }

    /// Returns where the address or prefix stands that the command is about.
    fn subject(&self) -> Option<(usize, Prefix)> {
        const NOT_BEFORE: [&str; 8] =
            ["via", "src", "dev", "brd", "broadcast", "table", "metric", "from"];
        let is_name = |at: usize| NOT_BEFORE.contains(&self.words[at - 1].as_str());
        (2..self.words.len()).filter(|at| !is_name(*at)).find_map(|at| {
            let prefix = Prefix::read(&self.words[at], Family::Any)?;
            (prefix.address.is_some() || self.words[at] == "default").then_some((at, prefix))
        })
    }

    /// Returns which word the kernel blames: by the attribute that it points at, or by its words.
    fn fault(&self, object: Option<Object>, failure: &Failure, line: &str) -> Option<usize> {
        let subject = || self.subject().map(|(at, _)| at);
        let name = || self.after(&["name"]).or(Some(2)).filter(|at| *at < self.words.len());
        match (object.unwrap_or(Object::Help), failure.attribute) {
            (Object::Link, Some(1)) => self.after(&["address"]),
            (Object::Link, Some(3)) => name(),
            (Object::Link, Some(4)) => self.after(&["mtu"]),
            (Object::Link, Some(10)) => self.after(&["master"]),
            (Object::Address, Some(1 | 2)) | (Object::Route, Some(1)) => subject(),
            (Object::Address, Some(3)) => self.after(&["label"]),
            (Object::Route, Some(4)) => self.after(&["dev"]),
            (Object::Route, Some(5 | 18)) => self.after(&["via"]),
            (Object::Route, Some(7)) => self.after(&["src"]),
            (Object::Rule, Some(1)) => self.after(&["to"]),
            (Object::Rule, Some(2)) => self.after(&["from"]),
            _ if line.contains("mtu greater") || line.contains("mtu less") => self.after(&["mtu"]),
            _ if line.ends_with("invalid gateway.") => self.after(&["via"]),
            _ if line.ends_with("Unknown device type.") => self.after(&["type"]),
            _ if line.ends_with("nexthop is not up.") => self.after(&["dev"]),
            _ if line.contains("prefix length.") || line.contains("ddress") => subject(),
            _ if line.starts_with("Cannot find ") => {
                let name = line.split('"').nth(1)?;
                self.words.iter().rposition(|word| word == name)
            }
            _ => None,
        }
    }

    /// Returns the namespace that the command names.
    fn here(&self) -> Option<&str> {
        self.options.netns.as_deref()
    }

    /// Returns what `ip` prints of these words in a namespace, or in this thread's.
    fn ask(&self, netns: Option<&str>, brief: bool, words: &[&str]) -> Option<String> {
        let options = Options { netns: netns.map(str::to_owned), brief, ..Options::default() };
        let mut engine = Engine::start(&options).ok()?;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io::new(&mut out, &mut err);
        command(&mut engine, &options, &words, &mut io).ok().filter(|code| *code == 0)?;
        String::from_utf8(out).ok()
    }

    /// Returns the names of the interfaces that are here, without what they are joined to.
    fn interfaces(&self, netns: Option<&str>) -> Vec<String> {
        let text = self.ask(netns, true, &["link", "show"]).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split([' ', '@']).next());
        names.map(str::to_owned).collect()
    }

    /// Says what is called nearly so, and where an interface of that name is.
    fn missing_device(&self, line: &str) -> Option<String> {
        let name = line.split('"').nth(1)?;
        let here = self.interfaces(self.here());
        let mut elsewhere = names();
        elsewhere.sort_unstable();
        let found = elsewhere.iter().take(NAMESPACES_MAX).find(|netns| {
            self.options.netns.as_ref() != Some(netns)
                && self.interfaces(Some(netns)).iter().any(|known| known == name)
        });
        if let Some(netns) = found {
            let hint = format!("`{name}` is in the namespace {netns}: `ip -n {netns} …`");
            return Some(hint);
        }
        if let Some(netns) = &self.options.netns
            && self.interfaces(None).iter().any(|known| known == name)
        {
            return Some(format!("`{name}` is not in {netns} but here: leave `-n {netns}` out"));
        }
        let near = nearest(name, here.iter().map(String::as_str));
        near.map(|near| format!("an interface with a similar name exists: `{near}`"))
    }

    fn missing_namespace(&self, line: &str) -> Option<String> {
        let name = line.split('"').nth(1)?;
        let mut known = names();
        known.sort_unstable();
        nearest(name, known.iter().map(String::as_str))
            .map(|near| format!("a namespace with a similar name exists: `{near}`"))
    }

    /// Says why a namespace's name leads nowhere.
    fn no_namespace(&self, name: &str) -> Option<String> {
        if names().iter().any(|known| known == name) {
            return Some(format!(
                "/run/netns/{name} is a file, but no namespace is mounted there: `ip netns del \
                 {name}`, then `ip netns add {name}`"
            ));
        }
        self.missing_namespace(&format!("\"{name}\""))
    }

    /// Names the option of the kernel that a kind of interface needs.
    fn missing_kind(&self) -> Option<String> {
        let kind = self.value(&["type"])?;
        Some(match kinds::option(kind) {
            Some(option) => {
                format!("this kernel has no `{kind}`: it wants {option}, built in or as a module")
            }
            None => match nearest(kind, kinds::names()) {
                Some(near) => format!("a kind with a similar name exists: `{near}`"),
                None => format!("no kind of interface is called `{kind}`"),
            },
        })
    }

    /// Returns the interface with an address in whose network another is, and whether it is up.
    fn way(&self, gateway: &str) -> Option<(String, String, bool)> {
        let address = Prefix::read(gateway, Family::Any)?.address?;
        let text = self.ask(self.here(), true, &["address", "show"])?;
        let links = self.ask(self.here(), true, &["link", "show"])?;
        let up: Vec<&str> = links
            .lines()
            .filter(|line| line.split(['<', ',', '>']).any(|flag| flag == "UP"))
            .filter_map(|line| line.split([' ', '@']).next())
            .collect();
        text.lines().find_map(|line| {
            let name = line.split([' ', '@']).next()?;
            let own = line.split_whitespace().skip(2).find(|word| {
                Prefix::read(word, Family::Any).is_some_and(|prefix| {
                    prefix.address.is_some_and(|net| {
                        net.is_ipv4() == address.is_ipv4()
                            && route::agree(net, address, prefix.length)
                    })
                })
            })?;
            Some((name.to_owned(), own.to_owned(), up.contains(&name)))
        })
    }

    fn gateway(&self) -> Option<String> {
        let gateway = match self.value(&["via"])? {
            "inet" | "inet6" => self.words.get(self.after(&["via"])? + 1)?,
            gateway => gateway,
        };
        let way = self.way(gateway);
        Some(match (way, self.value(&["dev"])) {
            (Some((name, own, false)), _) => {
                format!(
                    "{gateway} is behind `{name}` ({own}), which is down: `ip link set {name} up`"
                )
            }
            (Some((name, own, true)), Some(dev)) if dev != name => {
                format!("{gateway} is not behind `{dev}`, but behind `{name}` ({own})")
            }
            (Some((_, own, _)), _) if own.split('/').next() == Some(gateway) => {
                format!("{gateway} is this host's own address: name the neighbour's")
            }
            _ => format!(
                "no interface has an address in a network with {gateway}: add one first, or say \
                 `dev NAME onlink`"
            ),
        })
    }

    fn device_is_down(&self) -> Option<String> {
        let dev = self.value(&["dev"])?;
        Some(format!("`{dev}` is down: `ip link set {dev} up`"))
    }

    /// Says why nothing leads to where a packet should go.
    fn unreachable(&self) -> Option<String> {
        let (_, prefix) = self.subject()?;
        let address = prefix.address?;
        if address.is_loopback() {
            return Some("`lo` is down: `ip link set lo up`".to_owned());
        }
        match self.way(&address.to_string())? {
            (name, own, false) => Some(format!(
                "{address} is behind `{name}` ({own}), which is down: `ip link set {name} up`"
            )),
            _ => None,
        }
    }

    /// Says between what an interface's MTU must be.
    fn mtu(&self) -> Option<String> {
        let name = self.value(&["dev"]).or_else(|| self.words.get(2).map(String::as_str))?;
        let options =
            Options { details: true, netns: self.options.netns.clone(), ..Options::default() };
        let mut engine = Engine::start(&options).ok()?;
        let words = ["link", "show", name].map(str::to_owned);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        command(&mut engine, &options, &words, &mut Io::new(&mut out, &mut err)).ok()?;
        let text = String::from_utf8(out).ok()?;
        let value = |key: &str| {
            let mut words = text.split_whitespace().skip_while(|word| *word != key);
            words.nth(1).map(str::to_owned)
        };
        Some(format!("`{name}` takes {} to {}", value("minmtu")?, value("maxmtu")?))
    }

    /// Returns the routes to the destination of the command.
    fn routes(&self) -> Option<String> {
        let (at, prefix) = self.subject()?;
        let family = match prefix.address {
            Some(address) if address.is_ipv6() => "inet6",
            _ => "inet",
        };
        let table = self.value(&["table"]).unwrap_or("main");
        let net = &self.words[at];
        let options = Options {
            netns: self.options.netns.clone(),
            family: if family == "inet6" { Family::Inet6 } else { self.options.family },
            ..Options::default()
        };
        let mut engine = Engine::start(&options).ok()?;
        let words = ["route", "show", "exact", net, "table", table].map(str::to_owned);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        command(&mut engine, &options, &words, &mut Io::new(&mut out, &mut err)).ok()?;
        String::from_utf8(out).ok()
    }

    fn route_in_way(&self) -> Option<String> {
        let metric = self.value(&["metric", "preference", "priority"]);
        let routes = self.routes()?;
        let has = |line: &&str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "metric");
            metric.is_none() || words.nth(1) == metric
        };
        let found = routes.lines().find(has)?.trim();
        Some(format!("in the way is `{found}`: `ip route replace …` takes its place"))
    }

    fn no_such_route(&self) -> Option<String> {
        let (at, _) = self.subject()?;
        let table = self.value(&["table"]).unwrap_or("main");
        match self.routes().unwrap_or_default().lines().next() {
            Some(found) => Some(format!("what is there is `{}`", found.trim())),
            None => Some(format!(
                "the table {table} has no route to {}: `ip route show table {table}` lists them",
                self.words[at]
            )),
        }
    }

    /// Says which of the names of a new interface is taken.
    fn name_taken(&self) -> Option<String> {
        let here = self.interfaces(self.here());
        if let Some(name) =
            self.value(&["name"]).filter(|_| !self.words.iter().any(|w| w == "type"))
        {
            return Some(format!("an interface is called `{name}` already: `ip link show {name}`"));
        }
        let mut names = self.words.iter().skip(2).filter(|word| is_interface_name(word));
        let taken = names.find(|word| here.contains(word))?;
        Some(format!("an interface is called `{taken}` already: `ip link show {taken}`"))
    }

    /// Says which addresses an interface has.
    fn addresses(&self) -> Option<String> {
        let dev = self.value(&["dev"])?;
        let text = self.ask(self.here(), true, &["address", "show", dev])?;
        let has: Vec<&str> = text.split_whitespace().skip(2).collect();
        Some(match has.is_empty() {
            true => format!("`{dev}` has no address"),
            false => format!("`{dev}` has {}", has.join(", ")),
        })
    }

    fn address_is_there(&self) -> Option<String> {
        let dev = self.value(&["dev"])?;
        Some(format!("`{dev}` has it already: `ip addr replace …` changes how it has it"))
    }

    /// Writes a prefix without the bits that are too many.
    fn host_bits(&self) -> Option<String> {
        let (_, prefix) = self.subject()?;
        let net = vnet_model::ipnet::IpNet::new(prefix.address?, prefix.length).ok()?;
        Some(format!("bits are set behind the prefix length: the network is {}", net.trunc()))
    }

    /// What goes wrong with `bridge`.
    fn of_bridge(&self, line: &str) -> Option<String> {
        let dev = self.value(&["dev"])?;
        if !line.ends_with("Operation not supported") {
            return None;
        }
        let text = self.ask(self.here(), false, &["link", "show", dev])?;
        let is_port = text.split_whitespace().any(|word| word == "master");
        Some(match (is_port, self.words.first().is_some_and(|word| word == "vlan")) {
            (false, _) => {
                format!("`{dev}` is no port of a bridge: `ip link set {dev} master BRIDGE`")
            }
            (true, true) => "this kernel wants CONFIG_BRIDGE_VLAN_FILTERING for that".to_owned(),
            (true, false) => return None,
        })
    }

    /// What needs nothing to be looked up.
    fn known(&self, object: Option<Object>, line: &str) -> Option<&'static str> {
        let ends = |end: &str| line.ends_with(end);
        let says = |keyword: &str| self.words.iter().any(|word| word == keyword);
        Some(match object? {
            Object::Netns if ends("Operation not permitted") || ends("Permission denied") => {
                "namespaces want CAP_SYS_ADMIN: run it as root, or in `unshare -Urnm`"
            }
            Object::Link if ends("Attribute failed policy validation.") => {
                "a name has 1 to 15 bytes, none of them white space or `/`"
            }
            Object::Link if ends("Cannot assign requested address") => {
                "an interface's address has an even first byte, such as 02:00:00:00:00:01: odd \
                 ones are of groups"
            }
            Object::Link if says("master") && ends("Operation not supported") => {
                "only a bridge, a bond or a VRF has ports"
            }
            Object::Link if ends("enslave a bridge to a bridge.") => {
                "two bridges are joined by a veth pair with an end in each"
            }
            Object::Link if says("lo") && ends("Operation not supported") => {
                "`lo` comes and goes with its namespace"
            }
            Object::Link if ends("netns is immutable.") => {
                "this interface belongs to its namespace and can't be moved: each has one of its own"
            }
            Object::Link if ends("Device or resource busy") => {
                "it is in use: a port, below another interface, or up. `ip -d link show` tells, \
                 `nomaster` and `down` free it"
            }
            Object::Route if line.starts_with("Error: inet address is expected") => {
                "an IPv4 route goes by an IPv6 gateway with `via inet6 ADDRESS`"
            }
            Object::Route if line.starts_with("Error: inet6 address is expected") => {
                "an IPv6 route goes by an IPv6 gateway only"
            }
            Object::Rule if ends("No such file or directory") => {
                "no rule is like that: `ip rule show` lists them"
            }
            Object::Neighbour if ends("No link layer address given.") => {
                "say where: `lladdr 02:00:00:00:00:01`"
            }
            _ => return None,
        })
    }
}
