//! Steps as commands: one function a kind of thing.

mod bridging;
mod entry;
mod route;

use vnet_model::ipnet::IpNet;
use vnet_model::kind::{Device, OptionSpec, Options, VXLAN, Value, Wireguard, physical};
use vnet_model::nft;
use vnet_model::{
    Address, Change, End, IfName, LinkSetting, Mac, Mark, NewLink, NsName, PairEnd, Queues, Step,
};

use crate::command::Command;
pub use entry::del_rule;
use entry::{del_entry, set_entry};
use route::{del_route, leg_words, set_route};

/// Returns the commands that do the same as the step, in order.
///
/// They assume what the step assumes: that a namespace to be removed exists, say.
#[must_use]
pub fn commands(step: &Step) -> Vec<Command> {
    let ns = &step.ns;
    let command = match &step.change {
        Change::AddNamespace { mark } => return add_namespace(ns, mark).into(),
        Change::DelNamespace => Command::new(["ip", "netns", "del"]).word(ns),
        Change::AddLink { name, link: NewLink::Device { mac, mtu, queues, device } }
            if device.spec.is_tun() =>
        {
            let add = ip(ns).text("tuntap add dev").word(name).word("mode");
            let set = ip(ns).text("link set dev").word(name);
            let rest = (mac.is_some() || mtu.is_some()).then(|| birth(set, *mac, *mtu, queues));
            let add = add.word(device.spec.name);
            let add = ["multi_queue", "pi", "vnet_hdr"]
                .into_iter()
                .filter(|word| device.is_on(word))
                .fold(add, Command::word);
            let add = ["user", "group"].into_iter().fold(add, |add, word| {
                match device.options.number(word) {
                    Some(id) => add.word(word).word(id),
                    None => add,
                }
            });
            return [add].into_iter().chain(rest).collect();
        }
        Change::AddLink { name, link: NewLink::Device { device, .. } }
            if device.spec.is_physical() =>
        {
            return device.host_lower.iter().map(|lower| take_in(ns, name, lower)).collect();
        }
        Change::AddLink { name, link } => add_link(ns, name, link),
        Change::DelLink { name, back: None } => ip(ns).text("link del dev").word(name),
        // Of all processes the first one alone is known to be in the host.
        Change::DelLink { name, back: Some(back) } => {
            let set = ip(ns).text("link set dev").word(name).text("netns 1 name").word(back);
            set.word("alias").word("")
        }
        Change::SetWireguard { name, config } => return set_wireguard(ns, name, config),
        Change::SetLink { name, set } => set_link(ns, name, set),
        Change::SetPortVlan { dev, itself, vid, vlan } => {
            bridging::set_port_vlan(ns, (dev, *itself), *vid, *vlan)
        }
        Change::DelPortVlan { dev, itself, vid } => {
            bridging::del_port_vlan(ns, (dev, *itself), *vid)
        }
        Change::AddFdb { dev, entry } => bridging::add_fdb(ns, dev, entry),
        Change::DelFdb { dev, entry } => bridging::del_fdb(ns, dev, entry),
        Change::AddAddress { dev, address } => add_address(ns, dev, address),
        Change::DelAddress { dev, address } => {
            ip(ns).text("address del").word(address).word("dev").word(dev)
        }
        Change::AddRoute(route) => set_route(ns, "add", route),
        Change::ReplaceRoute(route) => set_route(ns, "replace", route),
        Change::DelRoute(route) => del_route(ns, route),
        Change::AddTable(table) => nft(ns, nft::text::table(table)),
        Change::ChangeTable { table, .. } => nft(ns, nft::text::replace(table)),
        Change::RunNft(raw) => nft(ns, raw.script()),
        Change::DelTable(id) => nft(ns, format!("delete table {id}\n")),
        Change::SetEntry(entry) => set_entry(ns, entry).unwrap_or_else(|| unknown(step)),
        Change::DelEntry(entry) => del_entry(ns, entry).unwrap_or_else(|| unknown(step)),
        Change::SetSysctl { key, value } => sysctl(ns, key, value),
        _ => unknown(step),
    };
    vec![command]
}

/// Returns a script for `sh` that does the same as the steps and stops at the first that fails.
///
/// ```
/// use vnet_model::{Change, NsName, Step};
/// let step = Step::new(NsName::new("demo-r1")?, Change::DelNamespace);
/// assert_eq!(vnet_iproute::script(&[step]), "#!/bin/sh\nset -e\nip netns del demo-r1\n");
/// # Ok::<(), vnet_model::NameError>(())
/// ```
#[must_use]
pub fn script(steps: &[Step]) -> String {
    let mut script = String::from("#!/bin/sh\nset -e\n");
    for command in steps.iter().flat_map(commands) {
        script.push_str(&command.to_string());
        script.push('\n');
    }
    script
}

/// A command that says it can't do the step and fails: a script must not pass over it.
fn unknown(step: &Step) -> Command {
    let complaint = format!("no iproute2 command for: {step}");
    Command::new(["sh", "-c", r#"echo "$0" >&2; exit 1"#]).word(complaint)
}

fn ip(ns: &NsName) -> Command {
    program("ip", ns)
}

/// Begins a command of iproute2 in a namespace; a script runs in the host itself.
fn program(name: &'static str, ns: &NsName) -> Command {
    match is_pinned(ns) {
        true => Command::new([name, "-n"]).word(ns),
        false => within(ns).word(name),
    }
}

/// Tells whether `ip` knows a namespace by its name.
fn is_pinned(ns: &NsName) -> bool {
    !ns.is_host() && ns.process().is_none()
}

/// Begins a command that runs in a namespace.
fn within(ns: &NsName) -> Command {
    match ns.process() {
        Some(pid) => Command::new(["nsenter", "-t"]).word(pid).word("-n"),
        None if ns.is_host() => Command::new::<String>([]),
        None => Command::new(["ip", "netns", "exec"]).word(ns),
    }
}

fn add_namespace(ns: &NsName, mark: &Mark) -> [Command; 2] {
    let add = Command::new(["ip", "netns", "add"]).word(ns);
    [add, ip(ns).text("link set dev lo alias").word(mark)]
}

/// Moves an interface of the host's.
fn take_in(ns: &NsName, name: &IfName, lower: &IfName) -> Command {
    let set = ip(&NsName::host()).text("link set dev").word(lower).word("netns").word(ns);
    set.word("name").word(name).word("alias").word(physical::alias_of(lower))
}

fn add_link(ns: &NsName, name: &IfName, link: &NewLink) -> Command {
    if let NewLink::Pair { device, mac, mtu, queues, peer } = link
        && peer.end.ns.is_host()
        && !ns.is_host()
    {
        // The host has no name that `ip` knows: made from there, it needs none.
        let end = End { ns: ns.clone(), name: name.clone() };
        let this = PairEnd { end, mac: *mac, mtu: *mtu, queues: *queues };
        let PairEnd { mac, mtu, queues, .. } = *peer;
        let device = device.as_ref().map(Device::from_the_other_end);
        let link = NewLink::Pair { device, mac, mtu, queues, peer: this };
        return add_link(&peer.end.ns, &peer.end.name, &link);
    }
    let host = NsName::host();
    let lower_in_host = link.host_lower();
    // Made from where the interface is that it stands on.
    let from = if lower_in_host.is_some() { &host } else { ns };
    let add = ip(from).text("link add name").word(name);
    match link {
        NewLink::Pair { device, mac, mtu, queues, peer } => {
            let this = birth(add, *mac, *mtu, queues).word("type").word(link.kind());
            let this = match device {
                Some(device) => options(this, device.spec.options, &device.options),
                None => this,
            };
            // Its options may have come to the other end already.
            let said = device.as_ref().is_some_and(|it| it.options.get("peer").is_some());
            let this = if said { this } else { this.word("peer") };
            let this = this.word("name").word(&peer.end.name);
            // The namespace is looked up by name in /run/netns, whichever namespace `ip` is in. Where
            // that is the host, both ends are.
            let there = Some(&peer.end.ns).filter(|ns| !ns.is_host());
            birth(this.option("netns", there), peer.mac, peer.mtu, &peer.queues)
        }
        NewLink::Device { mac, mtu, queues, device } => {
            let lower = device.lower.as_ref().or(lower_in_host);
            let this = birth(add.option("link", lower), *mac, *mtu, queues);
            let this = this.option("netns", lower_in_host.map(|_| ns));
            let this = this.word("type").word(device.spec.name);
            let this = options(this, device.spec.options, &device.options);
            // Where a vxlan is `external` iproute2 has it learn nothing, and the kernel has it learn.
            let says_no = device.spec == &VXLAN && device.is_on("external");
            let unsaid = says_no && device.options.get("learning").is_none();
            if unsaid { this.word("learning") } else { this }
        }
        _ => unknown(&Step::new(
            ns.clone(),
            Change::AddLink { name: name.clone(), link: link.clone() },
        )),
    }
}

fn birth(command: Command, mac: Option<Mac>, mtu: Option<u32>, queues: &Queues) -> Command {
    let command = command.option("address", mac).option("mtu", mtu);
    queues.words().fold(command, |command, (word, count)| command.word(word).word(count))
}

fn set_link(ns: &NsName, name: &IfName, set: &LinkSetting) -> Command {
    let link = ip(ns).text("link set dev").word(name);
    let as_step = || {
        let change = Change::SetLink { name: name.clone(), set: set.clone() };
        unknown(&Step::new(ns.clone(), change))
    };
    match set {
        LinkSetting::Up(up) => link.word(if *up { "up" } else { "down" }),
        LinkSetting::Mtu(mtu) => link.word("mtu").word(mtu),
        LinkSetting::Mac(mac) => link.word("address").word(mac),
        // An empty alias takes it away (`dev_set_alias`, net/core/dev.c).
        LinkSetting::Alias(alias) => link.word("alias").word(alias.as_deref().unwrap_or_default()),
        LinkSetting::Master(Some(master)) => link.word("master").word(master),
        LinkSetting::Master(None) => link.word("nomaster"),
        LinkSetting::AddAltname(altname) => property(ns, "add", name, altname),
        LinkSetting::DelAltname(altname) => property(ns, "del", name, altname),
        LinkSetting::TxQueueLen(length) => link.word("txqueuelen").word(length),
        LinkSetting::RpsCpus(cpus) => {
            let each = r#"for queue in /sys/class/net/"$0"/queues/rx-*; do echo "$1" >$queue/rps_cpus; done"#;
            within(ns).text("sh -c").word(each).word(name).word(cpus.mask())
        }
        LinkSetting::Offload(offload, on) => {
            let exec = Command::new(["ip", "netns", "exec"]).word(ns).text("ethtool -K");
            exec.word(name).word(offload).word(if *on { "on" } else { "off" })
        }
        LinkSetting::ForwardIpv4(on) => {
            sysctl(ns, &format!("net.ipv4.conf.{}.forwarding", name.in_sysctls()), bit(*on))
        }
        LinkSetting::Ipv6(on) => {
            sysctl(ns, &format!("net.ipv6.conf.{}.disable_ipv6", name.in_sysctls()), bit(!*on))
        }
        LinkSetting::Options { spec, port, set: options_set, rest } => {
            let kind = if *port { format!("{}_slave", spec.name) } else { spec.name.to_owned() };
            let mut all = rest.clone();
            all.extend(options_set);
            // `ip` sends no address that is none.
            if all.iter().any(|(_, value)| matches!(value, Value::Ip(ip) if ip.is_unspecified())) {
                return as_step();
            }
            options(link.word("type").word(kind), LinkSetting::table(spec, *port), &all)
        }
        _ => as_step(),
    }
}

/// Appends the options of a table, each by its word.
fn options(command: Command, table: &'static [OptionSpec], options: &Options) -> Command {
    let words = options.of(table).flat_map(|(option, value)| option.words(value));
    words.fold(command, Command::word)
}

/// Tells a WireGuard device what to do by `wg(8)`. A key is made where there is none, and no key is
/// in the words: those of the peers come from their devices.
fn set_wireguard(ns: &NsName, name: &IfName, config: &Wireguard) -> Vec<Command> {
    /// Gives the device `$1` in the namespace `$0` a key, if it has none.
    const KEY: &str = r#"[ "$(ip netns exec "$0" wg show "$1" private-key)" != "(none)" ] || wg genkey | ip netns exec "$0" wg set "$1" private-key /dev/stdin"#;
    /// Adds the device `$3` in `$2` as a peer to the device `$1` in `$0`, with the words that follow.
    const PEER: &str = r#"ns=$0 dev=$1 key=$(ip netns exec "$2" wg show "$3" public-key); shift 3; ip netns exec "$ns" wg set "$dev" peer "$key" "$@""#;
    /// Removes the peers of the device `$1` in `$0` that are none of the devices that follow, each by
    /// its namespace and name.
    const OTHERS: &str = r#"ns=$0 dev=$1 known=; shift; while [ $# -gt 1 ]; do known="$known $(ip netns exec "$1" wg show "$2" public-key)"; shift 2; done; for key in $(ip netns exec "$ns" wg show "$dev" peers); do case "$known " in *" $key "*) ;; *) ip netns exec "$ns" wg set "$dev" peer "$key" remove ;; esac; done"#;
    let sh = |script: &str| Command::new(["sh", "-c"]).word(script).word(ns).word(name);
    let key = |end: &End| Command::new(["sh", "-c"]).word(KEY).word(&end.ns).word(&end.name);
    let mut commands: Vec<Command> = config.peers.keys().map(key).collect();
    commands.insert(0, sh(KEY));
    let exec = Command::new(["ip", "netns", "exec"]).word(ns).text("wg set").word(name);
    let exec = exec.word("listen-port").word(config.listen_port);
    commands.push(exec.word("fwmark").word(config.fwmark));
    for (end, peer) in &config.peers {
        let allowed: Vec<String> = peer.allowed_ips.iter().map(ToString::to_string).collect();
        let words = sh(PEER).word(&end.ns).word(&end.name).option("endpoint", peer.endpoint);
        let words = words.word("allowed-ips").word(allowed.join(","));
        commands.push(words.word("persistent-keepalive").word(peer.keepalive));
    }
    let ends = config.peers.keys();
    commands.push(ends.fold(sh(OTHERS), |others, end| others.word(&end.ns).word(&end.name)));
    commands
}

fn property(ns: &NsName, verb: &str, name: &IfName, altname: &str) -> Command {
    let property = ip(ns).text("link property").word(verb);
    property.word("dev").word(name).word("altname").word(altname)
}

/// Adds an address as vnet does: with a broadcast address where the prefix has room for one, and
/// without waiting for duplicates (RFC 4862, section 5.4).
fn add_address(ns: &NsName, dev: &IfName, address: &Address) -> Command {
    let add = ip(ns).text("address add").word(address);
    let add = match address.net {
        IpNet::V4(net) if net.prefix_len() < 31 && !net.addr().is_loopback() => add.text("brd +"),
        IpNet::V4(_) => add,
        IpNet::V6(_) => return add.word("dev").word(dev).word("nodad"),
    };
    add.word("dev").word(dev)
}

/// Has nft read a text, which is one transaction.
fn nft(ns: &NsName, text: String) -> Command {
    within(ns).text("nft -f -").input(text)
}

/// Has nft do in a namespace what these words say: none of them holds spaces.
#[must_use]
pub fn nft_words(ns: &NsName, words: &str) -> Command {
    within(ns).word("nft").text(words)
}

/// Sets a sysctl by `sysctl(8)`, or past it where it would misread the name: it ends the name at
/// the first `=` and takes some characters for a pattern, but interfaces may be called so.
fn sysctl(ns: &NsName, key: &str, value: &str) -> Command {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@".contains(&byte);
    if key.bytes().all(plain) {
        return within(ns).text("sysctl -qw").word(format!("{key}={value}"));
    }
    let exec = within(ns).text("sh -c").word(r#"echo "$1" >"$0""#);
    exec.word(format!("/proc/sys/{}", swap_separators(key))).word(value)
}

fn swap_separators(text: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    text.chars().map(swap).collect()
}

fn bit(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

#[cfg(test)]
mod tests;
