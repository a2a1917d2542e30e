//! Sysctls, and what hangs on them.

use super::LOOPBACK;
use crate::names::IfName;
use crate::state::{IPV6_FORWARDING, Namespace};
use crate::step::LinkSetting;

impl Namespace {
    /// Tells whether IPv6 runs on interfaces that are made now. Where the sysctl is not known, `lo`
    /// serves as a sign: its IPv6 goes off and on with all others'.
    pub(super) fn default_ipv6(&self) -> bool {
        match self.sysctls.get("net.ipv6.conf.default.disable_ipv6") {
            Some(value) => value != "1",
            None => self.interfaces.get(LOOPBACK).is_none_or(|lo| lo.ipv6 != Some(false)),
        }
    }

    pub(super) fn sysctl_is(&self, key: &str, value: &str) -> bool {
        self.sysctls.get(key).is_some_and(|found| found == value)
    }

    pub(super) fn set_sysctl(&mut self, key: &str, value: &str) {
        self.sysctls.insert(key.to_owned(), value.to_owned());
        if key == IPV6_FORWARDING {
            return self.all_follow(value);
        }
        let parts: Vec<&str> = key.split('.').collect();
        let (scope, setting) = match parts.as_slice() {
            ["net", "ipv4", "ip_forward"] => {
                return self.set_sysctl("net.ipv4.conf.all.forwarding", value);
            }
            ["net", "ipv4", "conf", scope, "forwarding"] => (*scope, "forwarding"),
            ["net", "ipv6", "conf", scope, "disable_ipv6"] => (*scope, "disable_ipv6"),
            _ => return,
        };
        let names: Vec<IfName> = match scope {
            "default" => return,
            "all" => {
                // What is written for all goes for those to come, too.
                let default = key.replace(".all.", ".default.");
                self.sysctls.insert(default, value.to_owned());
                self.interfaces.keys().cloned().collect()
            }
            // Dots of an interface's name are written as `/` (`sysctl(8)`).
            name => IfName::new(&name.replace('/', ".")).into_iter().collect(),
        };
        for name in names {
            let set = match setting {
                "forwarding" => LinkSetting::ForwardIpv4(value == "1"),
                _ => LinkSetting::Ipv6(value != "1"),
            };
            let _ = self.set_link(&name, &set);
        }
    }

    /// Whoever says of all that IPv6 is forwarded says it of each, and of those to come
    /// (`addrconf_fixup_forwarding`, net/ipv6/addrconf.c).
    fn all_follow(&mut self, value: &str) {
        let is_one = |key: &str| key.starts_with("net.ipv6.conf.") && key.ends_with(".forwarding");
        let each = self.sysctls.iter_mut().filter(|(key, _)| is_one(key));
        each.for_each(|(_, found)| value.clone_into(found));
    }
}
