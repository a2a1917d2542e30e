//! States made by hand, and the way from one to another on the real kernel.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no test")]

pub(crate) mod random;
pub(crate) mod states;

use std::collections::BTreeSet;

use vnet_kernel::{Error, Observed, Realm, Scope, execute, observe};
use vnet_model::ipnet::IpNet;
use vnet_model::plan::plan_between;
use vnet_model::{
    Address, Device, End, IfName, Interface, Kind, LabName, Mac, Mark, Namespace, NextHop,
    NodeName, NsName, Owner, Plan, Route, RouteKind, State, Step,
};

/// A lab in the making: a namespace is named as its node, an interface is `node:name`.
#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) name: LabName,
    pub(crate) state: State,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { name: LabName::new("t").unwrap(), state: State::default() }
    }

    /// Makes nodes whose `lo` is up.
    pub(crate) fn nodes(mut self, names: &[&str]) -> Self {
        for name in names {
            let mark = Mark { lab: self.name.clone(), node: NodeName::new(name).unwrap() };
            let mut namespace = Namespace::new(Owner::Lab(mark));
            let lo = namespace.interfaces.values_mut().next().unwrap();
            *lo = Interface::new(Kind::Loopback);
            lo.up = true;
            lo.addresses = vec![Address::loopback_ipv4(), Address::loopback_ipv6()];
            self.state.namespaces.insert(ns(name), namespace);
        }
        self
    }

    /// Makes a veth pair that is up at both ends.
    pub(crate) fn veth(mut self, a: &str, b: &str) -> Self {
        self.insert(a, Kind::Veth { peer: Some(end(b)) });
        self.insert(b, Kind::Veth { peer: Some(end(a)) });
        self
    }

    /// Makes a bridge that is up, without IPv6.
    pub(crate) fn bridge(mut self, at: &str, stp: bool) -> Self {
        self.insert(at, Kind::Device(Device::bridge(stp)));
        self.set(at, |i| i.ipv6 = Some(false))
    }

    /// Makes an interface of a kind of the table that is up.
    pub(crate) fn device(mut self, at: &str, device: Device) -> Self {
        self.insert(at, Kind::Device(device));
        self
    }

    /// Makes an interface a port of a bridge in its namespace, without IPv6.
    pub(crate) fn port(self, at: &str, master: &str) -> Self {
        self.set(at, |i| (i.master, i.ipv6) = (Some(dev(master)), Some(false)))
    }

    fn insert(&mut self, at: &str, kind: Kind) {
        let at = end(at);
        let namespace = self.state.namespaces.get_mut(&at.ns).unwrap();
        let mark = namespace.owner.mark().unwrap();
        let mut interface = Interface::new(kind);
        interface.up = true;
        interface.mac = Some(Mac::derive(&mark.lab, &mark.node, &at.name));
        interface.forward_ipv4 = Some(false);
        namespace.interfaces.insert(at.name, interface);
    }

    pub(crate) fn set(mut self, at: &str, change: impl FnOnce(&mut Interface)) -> Self {
        let at = end(at);
        change(self.namespace(at.ns.as_str()).interfaces.get_mut(&at.name).unwrap());
        self
    }

    pub(crate) fn addresses(self, at: &str, addresses: &[&str]) -> Self {
        self.set(at, |i| i.addresses.extend(addresses.iter().map(|text| address(text))))
    }

    pub(crate) fn route(mut self, node: &str, route: Route) -> Self {
        self.namespace(node).routes.insert(route);
        self
    }

    pub(crate) fn sysctl(mut self, node: &str, key: &str, value: &str) -> Self {
        self.namespace(node).sysctls.insert(key.into(), value.into());
        self
    }

    pub(crate) fn namespace(&mut self, node: &str) -> &mut Namespace {
        self.state.namespaces.get_mut(&ns(node)).unwrap()
    }

    /// Looks at the kernel, with this lab as what is declared.
    pub(crate) fn observe(&self, realm: &Realm) -> Observed {
        let scope = Scope { lab: &self.name, declared: &self.state, recorded: None };
        observe(realm, scope).unwrap()
    }

    /// Plans the way from what is there to this lab.
    pub(crate) fn plan(&self, realm: &Realm) -> Plan {
        plan_between(&self.name, &self.state, &self.observe(realm).state)
    }

    /// Does what [`Lab::plan`] says, and returns its steps.
    pub(crate) fn apply(&self, realm: &Realm) -> Result<Vec<Step>, Error> {
        let observed = self.observe(realm);
        let plan = plan_between(&self.name, &self.state, &observed.state);
        assert_eq!(plan.conflicts, []);
        execute(realm, &observed, &plan.steps).map(|()| plan.steps)
    }

    /// Builds the lab and sees that nothing is left to do.
    pub(crate) fn build(&self, realm: &Realm) {
        self.apply(realm).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shown(&self.plan(realm).steps), [""; 0]);
    }

    /// Removes all of the lab.
    pub(crate) fn remove(&self, realm: &Realm) {
        let target = Self { state: State::default(), ..self.clone() };
        target.build(realm);
    }
}

/// Shows steps as `vnet plan` does.
pub(crate) fn shown(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {step}", step.sign())).collect()
}

/// Leaves out what the kernel adds in its own time, IPv6 link-local addresses, and what order means
/// nothing: only the first address of an IPv4 subnet is another than the rest.
pub(crate) fn settled(mut state: State) -> State {
    for interface in state.namespaces.values_mut().flat_map(|ns| ns.interfaces.values_mut()) {
        let addresses = std::mem::take(&mut interface.addresses);
        let mut primaries = BTreeSet::new();
        let (mut first, mut rest): (Vec<Address>, Vec<Address>) = addresses
            .into_iter()
            .filter(|address| !address.is_ipv6_link_local())
            .partition(|address| primaries.insert(address.net.trunc()));
        first.sort_by_key(|address| address.net.trunc());
        rest.sort();
        interface.addresses = [first, rest].concat();
    }
    state
}

/// Tells in which lines two states differ.
pub(crate) fn difference(a: &State, b: &State) -> Vec<String> {
    let (a, b) = (lines(a), lines(b));
    let only = |these: &[String], those: &[String], sign: &str| {
        let only = these.iter().filter(|line| !those.contains(line));
        only.map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only(&a, &b, "-"), only(&b, &a, "+")].concat()
}

fn lines(state: &State) -> Vec<String> {
    let of = |(ns, namespace): (&NsName, &Namespace)| {
        let interfaces = namespace.interfaces.iter().map(|(name, i)| format!("{ns}:{name} {i:?}"));
        let routes = namespace.routes.iter().map(|route| format!("{ns} {route:?}"));
        let rest = format!("{ns} {:?} {:?}", namespace.owner, namespace.sysctls);
        interfaces.chain(routes).chain([rest]).collect::<Vec<_>>()
    };
    state.namespaces.iter().flat_map(of).collect()
}

pub(crate) fn ns(name: &str) -> NsName {
    NsName::new(name).unwrap()
}

pub(crate) fn dev(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    Address::new(net(text))
}

pub(crate) fn end(text: &str) -> End {
    let (node, name) = text.split_once(':').unwrap();
    End { ns: ns(node), name: dev(name) }
}

pub(crate) fn via(gateway: &str, name: &str) -> NextHop {
    NextHop::via(gateway.parse().unwrap(), dev(name))
}

pub(crate) fn route(dst: &str, nexthops: &[NextHop]) -> Route {
    Route::unicast(net(dst), nexthops.to_vec())
}

pub(crate) fn special(kind: RouteKind, dst: &str) -> Route {
    Route { kind, ..route(dst, &[]) }
}
