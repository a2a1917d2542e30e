//! What holds for every plan, tried on a kernel on paper.

use proptest::prelude::*;

use super::*;
use crate::arbitrary;

/// Applies steps one by one; none may be refused.
fn apply_all(state: &mut State, steps: &[Step]) {
    for step in steps {
        let applied = step.apply(state);
        assert_eq!(applied, Ok(()), "{} {step}", step.sign());
    }
}

fn built(desired: &Desired) -> State {
    let mut state = State::default();
    apply_all(&mut state, &plan(desired, &State::default()).steps);
    state
}

fn signed(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {step}", step.sign())).collect()
}

/// The state without what has no meaning for undoing: the order of addresses, and sysctls and options
/// whose value from before is not known.
fn comparable(mut state: State, known: &State) -> State {
    for (name, ns) in state.namespaces.iter_mut() {
        ns.interfaces.values_mut().for_each(|interface| interface.addresses.sort());
        let known = known.namespaces.get(name);
        for (name, interface) in ns.interfaces.iter_mut() {
            let known = known.and_then(|known| known.interfaces.get(name)?.kind.device());
            if let (Kind::Device(device), Some(known)) = (&mut interface.kind, known) {
                device.options.keep_only(&known.options);
                // By which end a pair was made has no meaning for what it is.
                device.came_along = false;
            }
        }
        ns.sysctls.retain(|key, _| known.is_some_and(|known| known.sysctls.contains_key(key)));
    }
    state
}

fn can_be_built(lab: &LabName, target: &State) -> bool {
    let mut state = State::default();
    let plan = plan_between(lab, target, &state);
    plan.steps.iter().all(|step| step.apply(&mut state).is_ok())
}

fn two_labs() -> impl Strategy<Value = (Desired, Desired)> {
    (arbitrary::desired_of_all_links(), arbitrary::desired_of_all_links()).prop_map(
        |((_, a), (b, _))| {
            // Both are the same lab, at different times.
            let b = crate::resolve(&b.renamed(a.lab.clone())).expect("a name does not matter");
            (a, b)
        },
    )
}

proptest! {
    #[test]
    fn a_plan_reaches_what_is_desired((a, b) in two_labs()) {
        let mut state = built(&a);
        prop_assert_eq!(signed(&plan(&a, &state).steps), Vec::<String>::new());
        let change = plan(&b, &state);
        apply_all(&mut state, &change.steps);
        prop_assert_eq!(signed(&plan(&b, &state).steps), Vec::<String>::new());
    }

    #[test]
    fn what_is_as_wanted_may_be_left_out((a, b) in two_labs(), part: prop::sample::Index) {
        let mut state = built(&a);
        let steps = plan(&b, &state).steps;
        apply_all(&mut state, &steps[..part.index(steps.len() + 1)]);
        let whole = plan_all(&b.lab, &b.state, &state);
        if let Some(part) = settled::unsettled(&b.lab, &b.state, &state, usize::MAX) {
            let plan = plan_all(&b.lab, &b.state.only(&part), &state.only(&part));
            // Only what is built near each other may be another.
            let sorted = |plan: &Plan| signed(&plan.steps).into_iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(sorted(&plan), sorted(&whole));
            prop_assert_eq!(plan.conflicts, whole.conflicts);
            prop_assert_eq!(plan.undeclared, whole.undeclared);
            apply_all(&mut state, &plan.steps);
            let rest = plan_all(&b.lab, &b.state, &state).steps;
            prop_assert_eq!(signed(&rest), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_as_desired_needs_no_plan((_, b) in arbitrary::desired_of_all_kinds()) {
        prop_assert_eq!(signed(&plan(&b, &b.state).steps), Vec::<String>::new());
    }

    /// A plan passes through states that no steps lead to: a route of two legs outlives the address
    /// that one of its gateways is reached by. So only what could be built can be given back.
    #[test]
    fn the_inverse_of_a_step_gives_back_what_was_before(
        (a, b) in two_labs(),
        which: prop::sample::Index,
    ) {
        let mut before = built(&a);
        let steps = plan(&b, &before).steps;
        prop_assume!(!steps.is_empty());
        let which = which.index(steps.len());
        apply_all(&mut before, &steps[..which]);
        prop_assume!(can_be_built(&a.lab, &before));
        let mut state = before.clone();
        apply_all(&mut state, &steps[which..=which]);
        let inverse = steps[which].inverse(&before);
        apply_all(&mut state, &inverse);
        let context = format!("{} {:?}", signed(&steps[which..=which])[0], signed(&inverse));
        prop_assert_eq!(
            comparable(state, &before), comparable(before.clone(), &before), "{}", context
        );
    }

    #[test]
    fn undoing_any_part_of_a_plan_gives_back_the_start((a, b) in two_labs(), part: prop::sample::Index) {
        let start = built(&a);
        let steps = plan(&b, &start).steps;
        let done = part.index(steps.len() + 1);
        let mut state = start.clone();
        apply_all(&mut state, &steps[..done]);
        let back = plan_between(&a.lab, &start, &state).steps;
        apply_all(&mut state, &back);
        prop_assert_eq!(comparable(state, &start), comparable(start.clone(), &start));
    }

    #[test]
    fn a_teardown_leaves_nothing((_, a) in arbitrary::desired_of_all_kinds()) {
        let mut state = built(&a);
        let teardown = plan_between(&a.lab, &State::default(), &state);
        apply_all(&mut state, &teardown.steps);
        prop_assert_eq!(state, State::default());
    }

    #[test]
    fn what_belongs_to_others_stays((_, a) in arbitrary::desired_of_all_kinds()) {
        let mut state = built(&a);
        let other = Mark { lab: LabName::new("other-lab").unwrap(), node: NodeName::new("x").unwrap() };
        let theirs = NsName::new("theirs").unwrap();
        state.namespaces.insert(theirs.clone(), Namespace::new(Owner::Foreign));
        state.namespaces.insert(NsName::new("others").unwrap(), Namespace::new(Owner::Lab(other)));
        let teardown = plan_between(&a.lab, &State::default(), &state);
        apply_all(&mut state, &teardown.steps);
        prop_assert_eq!(state.namespaces.len(), 2);
        prop_assert!(state.namespaces.contains_key(&theirs));
    }
}

/// The kernel's own route for `10.0.5.0/24` has the place of the wanted one until its address is gone.
#[test]
fn an_address_makes_way_for_a_route_to_its_prefix() {
    let link = |a: &str, b: &str, prefix: &str| {
        crate::topology::Link::between(a, b).unwrap().prefixes([prefix.parse().unwrap()])
    };
    let lab = |links: Vec<crate::topology::Link>| {
        let builder = crate::Topology::builder("x").node("a").node("b").node("c");
        let topology = links.into_iter().fold(builder, crate::topology::TopologyBuilder::link);
        crate::resolve(&topology.build().unwrap()).unwrap()
    };
    let before = lab(vec![link("a", "b", "10.0.1.0/24"), link("a", "c", "10.0.5.0/24")]);
    let mut after = lab(vec![link("a", "b", "10.0.1.0/24")]);
    let hop = crate::NextHop::via("10.0.1.2".parse().unwrap(), IfName::new("b").unwrap());
    let route = crate::Route::unicast("10.0.5.0/24".parse().unwrap(), vec![hop]);
    let a = after.nodes[&NodeName::new("a").unwrap()].clone();
    after.state.namespaces.get_mut(&a).unwrap().routes.insert(route);
    let steps = signed(&plan(&after, &built(&before)).steps);
    assert_eq!(
        steps,
        [
            "- address 10.0.5.1/24 on x-a:c",
            "+ route 10.0.5.0/24 via 10.0.1.2 dev b in x-a",
            "- interface x-a:c",
        ]
    );
}

/// A lab `x` of two nodes whose cable is a netkit, with these policies of its ends.
fn with_netkit(policies: [u64; 2]) -> Desired {
    use crate::kind::{NETKIT, Value};
    let [a, b] = policies.map(Value::Number);
    let device = crate::Device::new(&NETKIT).with("policy", a).with("peer", b);
    let link = crate::topology::Link::between("a", "b").unwrap();
    let link = crate::topology::Link { cable: Some(device), ..link };
    let lab = crate::Topology::builder("x").node("a").node("b").link(link);
    crate::resolve(&lab.build().unwrap()).unwrap()
}

/// Only the end that a pair was made by takes changes, of both ends; both tell the same then.
#[test]
fn a_pair_is_changed_by_the_end_that_it_was_made_by() {
    const FORWARD: u64 = 0;
    const BLACKHOLE: u64 = 2;
    let (plain, first) = (with_netkit([FORWARD; 2]), with_netkit([BLACKHOLE, FORWARD]));
    let made = built(&plain);
    assert_eq!(signed(&plan(&first, &made).steps), ["~ x-a:b policy blackhole"]);
    let second = with_netkit([FORWARD, BLACKHOLE]);
    assert_eq!(signed(&plan(&second, &made).steps), ["~ x-a:b peer_policy blackhole"]);
    let mut state = made.clone();
    apply_all(&mut state, &plan(&first, &made).steps);
    assert_eq!(
        signed(&plan(&second, &state).steps),
        ["~ x-a:b policy forward, peer_policy blackhole"]
    );
    // Somebody made it the other way round.
    let mut turned = made;
    for ns in turned.namespaces.values_mut() {
        for interface in ns.interfaces.values_mut() {
            if let Kind::Device(device) = &mut interface.kind {
                device.came_along = !device.came_along;
            }
        }
    }
    assert_eq!(signed(&plan(&first, &turned).steps), ["~ x-b:a peer_policy blackhole"]);
    let steps = plan(&first, &turned).steps;
    apply_all(&mut turned, &steps);
    assert_eq!(signed(&plan(&first, &turned).steps), [""; 0]);
}

/// A lab `x` of one node `a` with a vxlan of this name and number.
fn with_vxlan(name: &str, id: u64) -> Desired {
    let mut lab =
        crate::resolve(&crate::Topology::builder("x").node("a").build().unwrap()).unwrap();
    let device = crate::Device::new(&crate::kind::VXLAN)
        .with("id", crate::kind::Value::Number(id))
        .with("dstport", crate::kind::Value::Number(8472));
    let name = IfName::new(name).unwrap();
    let mac = crate::Mac::derive(&lab.lab, &NodeName::new("a").unwrap(), &name);
    let vxlan = Interface { mac: Some(mac), ..Interface::new(Kind::Device(device)) };
    only_ns(&mut lab.state).interfaces.insert(name, vxlan);
    lab
}

fn only_ns(state: &mut State) -> &mut Namespace {
    state.namespaces.values_mut().next().unwrap()
}

/// The kernel takes no second end of a tunnel: "A VXLAN device with the specified VNI already exists".
#[test]
fn an_end_of_a_tunnel_goes_before_another_one_with_its_key() {
    let (a, b) = (with_vxlan("vx0", 100), with_vxlan("vx1", 100));
    let steps = signed(&plan(&b, &built(&a)).steps);
    assert_eq!(steps[0], "- interface x-a:vx0");
    assert!(steps[1].starts_with("+ vxlan x-a:vx1 "), "{steps:?}");
    // With another one there is no hurry.
    let steps = signed(&plan(&with_vxlan("vx1", 101), &built(&a)).steps);
    assert!(steps[0].starts_with("+ vxlan x-a:vx1 "), "{steps:?}");
    // Nor need it go if it is in another namespace, unless it comes from here.
    let elsewhere = |mac| {
        let mut state = built(&with_vxlan("vx0", 100));
        let mut vxlan = only_ns(&mut state).interfaces.remove("vx0").unwrap();
        vxlan.mac = mac;
        let ns = Namespace::new(Owner::Lab(Mark {
            lab: a.lab.clone(),
            node: NodeName::new("b").unwrap(),
        }));
        let ns = state.namespaces.get_or_insert_with(NsName::new("x-b").unwrap(), || ns);
        ns.interfaces.insert(IfName::new("moved").unwrap(), vxlan);
        signed(&plan(&a, &state).steps)
    };
    let mac = only_ns(&mut a.state.clone()).interfaces["vx0"].mac;
    assert_eq!(elsewhere(mac)[0], "- interface x-b:moved");
    assert!(elsewhere(None)[0].starts_with("+ vxlan x-a:vx0 "));
}

#[test]
fn a_strangers_end_of_a_tunnel_with_the_same_key_is_in_the_way() {
    let conflicts = |id: u64| {
        let mut state = built(&with_vxlan("theirs", id));
        only_ns(&mut state).interfaces.get_mut("theirs").unwrap().ours = false;
        let conflicts = plan(&with_vxlan("vx0", 100), &state).conflicts;
        conflicts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        conflicts(100),
        ["x-a:theirs exists, is a vxlan (id 100, dstport 8472) and was not made by vnet"]
    );
    assert_eq!(conflicts(101), [""; 0]);
}

/// What is not the lab's keeps its addresses, and the kernel refuses a route in the place of theirs
/// (EEXIST): so that is said before anything is touched.
#[test]
fn a_strangers_address_may_be_in_the_way_of_a_route() {
    let mut lab = with_vxlan("vx0", 100);
    let hop = crate::NextHop::dev(IfName::new("lo").unwrap());
    let route = crate::Route::unicast("10.0.3.0/24".parse().unwrap(), vec![hop]);
    only_ns(&mut lab.state).routes.insert(route);
    let conflicts = |address: &str, up: bool| {
        let mut state = built(&with_vxlan("theirs", 7));
        let theirs = only_ns(&mut state).interfaces.get_mut("theirs").unwrap();
        theirs.addresses.push(Address::new(address.parse().unwrap()));
        (theirs.ours, theirs.up) = (false, up);
        let conflicts = plan(&lab, &state).conflicts;
        conflicts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        conflicts("10.0.3.7/24", true),
        ["10.0.3.7/24 on x-a:theirs is in the way of a route, and was not made by vnet"]
    );
    for (address, up) in [("10.0.3.7/24", false), ("10.0.3.7/25", true), ("10.0.3.0/32", true)] {
        assert_eq!(conflicts(address, up), [""; 0], "{address}");
    }
}

/// Without the rule for the table main the kernel finds no gateway (ENETUNREACH): so it comes first,
/// and goes last where the start had none.
#[test]
fn a_rule_of_the_kernels_own_comes_back_before_any_route() {
    let mut lab = with_vxlan("vx0", 100);
    let start = built(&lab);
    let mut damaged = start.clone();
    let main = crate::Rule::new(false, 32766, crate::RuleAction::Table(254));
    only_ns(&mut damaged).lost_rules.insert(main);
    let hop = crate::NextHop::dev(IfName::new("lo").unwrap());
    let route = crate::Route::unicast("10.0.3.0/24".parse().unwrap(), vec![hop]);
    only_ns(&mut lab.state).routes.insert(route);

    let steps = plan(&lab, &damaged).steps;
    assert_eq!(signed(&steps)[0], "+ rule from all table main priority 32766 in x-a");
    assert_eq!(steps.len(), 2, "{:?}", signed(&steps));
    let mut state = damaged.clone();
    apply_all(&mut state, &steps);
    assert_eq!(signed(&plan(&lab, &state).steps), [""; 0]);

    let back = plan_between(&lab.lab, &damaged, &state).steps;
    assert_eq!(signed(&back)[1], "- rule from all table main priority 32766 in x-a");
    apply_all(&mut state, &back);
    assert_eq!(state, damaged);
}

/// The topologies above do have what they are to try out.
#[test]
fn random_topologies_have_interfaces_of_other_kinds() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = arbitrary::desired_of_all_kinds();
    let mut kinds = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let (_, desired) = strategy.new_tree(&mut runner).unwrap().current();
        for interface in desired.state.namespaces.values().flat_map(|ns| ns.interfaces.values()) {
            *kinds.entry(interface.kind.name().to_owned()).or_insert(0) += 1;
        }
    }
    for kind in ["dummy", "vrf", "vxlan", "bond", "vlan", "macvlan"] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= 10), "{kind}: {kinds:?}");
    }
}
