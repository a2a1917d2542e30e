//! VRFs: interfaces whose packets are looked up in a table of their own, which is their `local` table
//! too (drivers/net/vrf.c, net/l3mdev/l3mdev.c).

use vnet_model::state::{TABLE_LOCAL, TABLE_MAIN};
use vnet_model::{IfName, Interface, Namespace};

/// The VRF that an interface is, or is a port of, itself or by the bridge that it is.
pub(crate) fn vrf_of<'n>(ns: &'n Namespace, dev: &IfName) -> Option<&'n IfName> {
    let (name, interface) = ns.interfaces.get_key_value(dev)?;
    let is_vrf = |name: &IfName| table(ns, name).is_some();
    if is_vrf(name) {
        return Some(name);
    }
    interface.master.as_ref().filter(|master| is_vrf(master))
}

/// The table of a VRF; `None` for any other interface.
pub(super) fn table(ns: &Namespace, vrf: &IfName) -> Option<u32> {
    let device = ns.interfaces.get(vrf)?.kind.device().filter(|device| device.spec.is_vrf())?;
    u32::try_from(device.options.number("table")?).ok()
}

/// The table that packets of a VRF are looked up in; the main table where there is none.
pub(crate) fn table_of(ns: &Namespace, vrf: Option<&IfName>) -> u32 {
    vrf.and_then(|vrf| table(ns, vrf)).unwrap_or(TABLE_MAIN)
}

/// The interfaces whose addresses are in this table: those of a VRF, or of none.
pub(super) fn interfaces(ns: &Namespace, of: u32) -> impl Iterator<Item = (&IfName, &Interface)> {
    let own = move |dev: &IfName| match vrf_of(ns, dev) {
        Some(vrf) => table(ns, vrf) == Some(of),
        None => of == TABLE_LOCAL,
    };
    ns.interfaces.iter().filter(move |(name, _)| own(name))
}
