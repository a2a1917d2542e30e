//! Pairs that programs of BPF decide upon, and what they do where none is (drivers/net/netkit.c).

use vnet_model::End;
use vnet_model::kind::Value;

use super::Station;
use crate::scene::Scene;

/// `NETKIT_L2` and `NETKIT_DROP` (linux/if_link.h).
const L2: Value = Value::Number(0);
const DROP: Value = Value::Number(2);

/// Tells whether an interface drops what is sent by it (`netkit_xmit`), or its queue does.
pub(crate) fn drops(scene: &Scene<'_>, end: &End) -> bool {
    if scene.losing(end).is_some() {
        return true;
    }
    is_netkit(scene, end) && scene.option(end, "policy") == Some(&DROP)
}

/// Tells whether no neighbour is asked for by an interface: what is sent by it comes out at the other
/// end, whoever is there (mode `l3`).
pub(crate) fn asks_nobody(scene: &Scene<'_>, end: &End) -> bool {
    is_netkit(scene, end) && scene.option(end, "mode") != Some(&L2)
}

/// Finds who drops what a station sends back: itself, or a port of a bridge by which its frame came
/// there.
pub(crate) fn drops_answers(scene: &Scene<'_>, station: &Station) -> Option<End> {
    let mut back = [&station.end].into_iter().chain(station.ports.iter().step_by(2));
    back.find(|end| drops(scene, end)).cloned()
}

fn is_netkit(scene: &Scene<'_>, end: &End) -> bool {
    let device = scene.end(end).and_then(|found| found.kind.device());
    device.is_some_and(|device| device.spec.is_pair())
}
