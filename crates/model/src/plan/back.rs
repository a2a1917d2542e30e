//! What a file says no longer goes back to what it is where nobody says anything.
//!
//! The options of a kind, and of ports, do that by their table; what is here has no table: sysctls,
//! which the kernel knows best, and the settings that interfaces of all kinds have. Only what was said
//! before goes back: what somebody set by hand and no file ever spoke of stays.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::{can_become, interface_of_sysctl, wants_ipv6};
use crate::apply::LOOPBACK;
use crate::names::{IfName, NsName};
use crate::state::{Cpus, Interface, MTU_DEFAULT_BYTES, MTU_IPV6_MIN_BYTES, Namespace, State};

/// Sysctls by name: what they are where nobody says anything.
pub type Born = BTreeMap<String, String>;

/// The mask that the receive queues of new interfaces have.
const RPS_DEFAULT: &str = "net.core.rps_default_mask";

/// Returns what is wanted, and with it what goes back: all that is said in `known` and not in
/// `target`, and still is otherwise than where nobody says it. `born` is asked for the sysctls of a
/// namespace as nobody has touched it, where some go back.
///
/// # Errors
/// When `born` fails.
pub fn with_what_goes_back<'t, E>(
    target: &'t State,
    known: &[&State],
    observed: &State,
    mut born: impl FnMut(&NsName) -> Result<Born, E>,
) -> Result<Cow<'t, State>, E> {
    let mut all = Cow::Borrowed(target);
    let mut of_new: Option<Born> = None;
    for (name, known) in known.iter().flat_map(|known| &known.namespaces) {
        let both = target.namespaces.get(name).zip(observed.namespaces.get(name));
        // Where nothing has changed, the two are one.
        let Some((wanted, found)) = both.filter(|(wanted, _)| !std::ptr::eq(*wanted, known)) else {
            continue;
        };
        let back = Back { wanted, known, found };
        let keys = back.sysctls();
        let mut sysctls = BTreeMap::new();
        if !keys.is_empty() {
            let of_host;
            let born = match &mut of_new {
                _ if name.is_host() => {
                    of_host = born(name)?;
                    &of_host
                }
                Some(known) => known,
                none => none.insert(born(name)?),
            };
            sysctls = back.values(keys, born);
        }
        let interfaces: Vec<(&IfName, Interface)> = back
            .interfaces()
            .filter_map(|(name, both)| Some((name, back.interface(name, both)?)))
            .collect();
        if sysctls.is_empty() && interfaces.is_empty() {
            continue;
        }
        let Some(there) = all.to_mut().namespaces.get_mut(name) else { continue };
        there.sysctls.extend(sysctls);
        for (name, interface) in interfaces {
            if let Some(there) = there.interfaces.get_mut(name) {
                there.take_over(interface);
            }
        }
    }
    Ok(all)
}

/// An interface as it is wanted, as it was said to be, and as it is there.
#[derive(Clone, Copy)]
struct Thrice<'s> {
    wanted: &'s Interface,
    known: &'s Interface,
    found: &'s Interface,
}

/// One namespace as it is wanted, as it was said to be, and as it is there.
struct Back<'s> {
    wanted: &'s Namespace,
    known: &'s Namespace,
    found: &'s Namespace,
}

impl<'s> Back<'s> {
    /// Lists the interfaces that were known, and stay.
    fn interfaces(&self) -> impl Iterator<Item = (&'s IfName, Thrice<'s>)> {
        self.known.interfaces.keys().filter_map(|name| Some((name, self.staying(name)?)))
    }

    fn staying(&self, name: &IfName) -> Option<Thrice<'s>> {
        let (wanted, found) = (self.wanted.interfaces.get(name)?, self.found.interfaces.get(name)?);
        let known = self.known.interfaces.get(name)?;
        (found.ours && can_become(found, wanted)).then_some(Thrice { wanted, known, found })
    }

    /// Lists the sysctls that are no longer said, but for those of interfaces that go, and those that
    /// something else says now.
    fn sysctls(&self) -> BTreeSet<&'s str> {
        let is_said = |key: &str| {
            self.wanted.sysctls.contains_key(key)
                || other_name(key).is_some_and(|other| self.wanted.sysctls.contains_key(other))
        };
        let keys = self.known.sysctls.keys().map(String::as_str).filter(|key| !is_said(key));
        keys.filter(|key| match interface_of_sysctl(key) {
            None => true,
            Some(dev) => self.of_sysctl(dev).is_some_and(|it| {
                let setting = key.rsplit('.').next();
                let is_of = |folder: &str| key.starts_with(folder);
                match setting {
                    Some("forwarding") if is_of("net.ipv4.") => it.wanted.forward_ipv4.is_none(),
                    Some("disable_ipv6") => wants_ipv6(it.wanted).is_none(),
                    _ => true,
                }
            }),
        })
        .collect()
    }

    /// Finds an interface by its name in a sysctl's.
    fn of_sysctl(&self, dev: &str) -> Option<Thrice<'s>> {
        self.staying(&IfName::new(&dev.replace('/', ".")).ok()?)
    }

    /// Returns those sysctls that are otherwise than where nobody says them, and what they are there.
    fn values(&self, keys: BTreeSet<&str>, born: &Born) -> BTreeMap<String, String> {
        let back = |key: &str| {
            let usual = self.usual(key, born)?;
            let found = self.found.sysctl(key)?;
            (found != usual).then(|| (key.to_owned(), usual))
        };
        keys.into_iter().filter_map(back).collect()
    }

    /// Returns what a sysctl is where nobody says it: one of an interface is what the namespace says of
    /// all, where the kernel makes that hold for each, or of those to come.
    fn usual(&self, key: &str, born: &Born) -> Option<String> {
        let Some(dev) = interface_of_sysctl(key) else { return born.get(key).cloned() };
        let with = |name: &str| key.replacen(&format!(".{dev}."), &format!(".{name}."), 1);
        let said = |name: &str| self.wanted.sysctls.get(&with(name));
        let setting = key.rsplit('.').next().unwrap_or(key);
        if key.starts_with("net.ipv6.conf.") && setting == "mtu" {
            // It follows the interface's (`addrconf_notify`, net/ipv6/addrconf.c).
            let it = self.of_sysctl(dev)?;
            return it.wanted.mtu.or(it.found.mtu).map(|mtu| mtu.to_string());
        }
        let of_all = || said("all").filter(|_| matches!(setting, "forwarding" | "disable_ipv6"));
        // Of neighbours no namespace but the first shows what holds for those to come.
        let is_shown = dev != LOOPBACK && key.contains(".conf.");
        let of_new = || born.get(&with(if is_shown { "default" } else { LOOPBACK }));
        said("default").or_else(of_all).or_else(of_new).cloned()
    }

    /// Returns an interface with what of its settings goes back, where any does.
    fn interface(&self, name: &IfName, it: Thrice<'_>) -> Option<Interface> {
        let mut back = Interface::new(it.found.kind.clone());
        // What is moved in has its own ways.
        if it.found.kind.moved_from().is_none() {
            let length = Some(it.found.kind.queue_len());
            if it.is_no_longer(|it| it.txqueuelen.is_some()) && it.found.txqueuelen != length {
                back.txqueuelen = length;
            }
            let mtu = self.born_mtu(it.found);
            if it.is_no_longer(|it| it.mtu.is_some()) && it.found.mtu != mtu {
                back.mtu = mtu;
            }
            if it.is_no_longer(|it| it.rps_cpus.is_some()) {
                let born = self.born_cpus(name);
                back.rps_cpus =
                    it.found.rps_cpus.as_ref().filter(|is| **is != born).and(Some(born));
            }
        }
        if it.is_no_longer(|it| wants_ipv6(it).is_some()) && it.found.ipv6 == Some(false) {
            let mtu = it.wanted.mtu.or(it.found.mtu);
            let is_carried = mtu.is_none_or(|mtu| mtu >= MTU_IPV6_MIN_BYTES);
            let off = |key: &str| self.wanted.sysctl(key) == Some("1");
            let is_off = off("net.ipv6.conf.all.disable_ipv6")
                || off("net.ipv6.conf.default.disable_ipv6")
                || off(&format!("net.ipv6.conf.{}.disable_ipv6", name.in_sysctls()));
            back.ipv6 = (is_carried && !is_off).then_some(true);
        }
        for offload in
            it.known.offload.keys().filter(|it_was| !it.wanted.offload.contains_key(it_was))
        {
            let usual = offload.usual(it.found.kind.name());
            let found = it.found.offload.get(offload).filter(|_| !it.found.fixed.contains(offload));
            if found == Some(&!usual) {
                back.offload.insert(*offload, usual);
            }
        }
        (back != Interface::new(it.found.kind.clone())).then_some(back)
    }

    /// Returns the MTU that such an interface has where nobody says it: that of what it stands on, or of
    /// Ethernet. What a tunnel's is depends on the way of its packets when it is made.
    fn born_mtu(&self, found: &Interface) -> Option<u32> {
        let device = found.kind.device()?;
        if device.spec.is_tunnel() || device.spec.is_vrf() || device.host_lower.is_some() {
            return None;
        }
        let Some(lower) = &device.lower else { return Some(MTU_DEFAULT_BYTES) };
        let mtu = |ns: &Namespace| ns.interfaces.get(lower).and_then(|lower| lower.mtu);
        mtu(self.wanted).or_else(|| mtu(self.found))
    }

    /// Returns which processors take what comes in at a new interface; `lo` is there before anybody says
    /// that.
    fn born_cpus(&self, name: &IfName) -> Cpus {
        let mask = self.wanted.sysctls.get(RPS_DEFAULT).filter(|_| name.as_str() != LOOPBACK);
        mask.and_then(|mask| Cpus::from_mask(mask)).unwrap_or_default()
    }
}

impl Thrice<'_> {
    fn is_no_longer(&self, is_said: fn(&Interface) -> bool) -> bool {
        is_said(self.known) && !is_said(self.wanted)
    }
}

impl Interface {
    /// Takes over the settings that go back.
    fn take_over(&mut self, back: Self) {
        self.mtu = back.mtu.or(self.mtu);
        self.txqueuelen = back.txqueuelen.or(self.txqueuelen);
        self.rps_cpus = back.rps_cpus.or(self.rps_cpus.take());
        self.ipv6 = back.ipv6.or(self.ipv6);
        self.offload.extend(back.offload);
    }
}

/// Returns the other name of what the kernel calls by two.
fn other_name(key: &str) -> Option<&'static str> {
    match key {
        "net.ipv4.ip_forward" => Some("net.ipv4.conf.all.forwarding"),
        "net.ipv4.conf.all.forwarding" => Some("net.ipv4.ip_forward"),
        _ => None,
    }
}
