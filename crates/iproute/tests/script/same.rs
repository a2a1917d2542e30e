//! What two messages may say differently and mean the same, each with its reason.

use vnet_iproute::ip::wire::rtm;
use vnet_model::{Change, Entry, Step};

use super::said::{Attr, IFLA_INFO_DATA, IFLA_LINKINFO, Said};

const AF_INET6: u8 = 10;
const CREATE: u16 = 0x400;
const EXCL: u16 = 0x200;
const REPLACE: u16 = 0x100;

/// Puts what may be said in two ways into one of them. Beyond this the messages must be equal; that
/// attributes stand in another order, that `NLA_F_NESTED` is set and that a text ends with a zero byte
/// is no difference to begin with ([`Said`]).
pub(crate) fn reconciled(mut said: Said, step: &Step) -> Said {
    match &step.change {
        Change::AddNamespace { .. } | Change::AddLink { .. } | Change::SetLink { .. } => {
            link(&mut said);
        }
        Change::DelLink { back: Some(_), .. } => {
            link(&mut said);
            place_of_the_host(&mut said);
        }
        Change::AddAddress { .. } => added_address(&mut said),
        Change::DelAddress { .. } => removed_address(&mut said),
        Change::AddRoute(_) | Change::ReplaceRoute(_) => route(&mut said),
        Change::DelRoute(_) => removed_route(&mut said, step),
        Change::AddFdb { .. } | Change::DelFdb { .. } => fdb(&mut said),
        Change::SetEntry(Entry::Rule(_)) => rule(&mut said),
        Change::DelEntry(Entry::Rule(_)) => removed_rule(&mut said),
        Change::DelEntry(Entry::Neighbor(_)) => removed_neighbor(&mut said),
        _ => {}
    }
    said
}

/// `ip link set` sends RTM_NEWLINK, as all that iproute2 does to links; without NLM_F_CREATE it is
/// RTM_SETLINK (`__rtnl_newlink`, net/core/rtnetlink.c).
fn link(said: &mut Said) {
    if said.kind == rtm::SETLINK {
        said.kind = rtm::NEWLINK;
    }
    defaults_of_tunnels(said);
    learning_of_vxlans(said);
    flags_of_macvlans(said);
}

/// `ip` has a word for each flag, and none for having it no more.
fn flags_of_macvlans(said: &mut Said) {
    const IFLA_MACVLAN_FLAGS: u16 = 2;
    let kind = said.kind_of_link();
    if kind.as_deref().is_some_and(|kind| kind.starts_with(b"macv")) {
        let data = said.nest(&[IFLA_LINKINFO, IFLA_INFO_DATA]);
        data.into_iter()
            .for_each(|it| it.retain(|attr| *attr != Attr::Value(IFLA_MACVLAN_FLAGS, vec![0; 2])));
        leave_out_empty(said);
    }
}

/// `ip` names the host by a process in it, and the executor by the namespace that it was started in.
fn place_of_the_host(said: &mut Said) {
    const IFLA_NET_NS_FD: u16 = 28;
    said.attrs.retain(|attr| attr.kind() != IFLA_NET_NS_FD);
}

/// A new vxlan learns where nothing is said of it (`vxlan_nl2conf`, drivers/net/vxlan/vxlan_core.c).
fn learning_of_vxlans(said: &mut Said) {
    const IFLA_VXLAN_LEARNING: u16 = 7;
    let is_born = said.flags & CREATE != 0;
    if is_born && said.kind_of_link().as_deref() == Some(b"vxlan") {
        let data = said.nest(&[IFLA_LINKINFO, IFLA_INFO_DATA]);
        data.into_iter()
            .for_each(|it| it.retain(|attr| *attr != Attr::Value(IFLA_VXLAN_LEARNING, vec![1])));
    }
}

/// iproute2 says all that a tunnel has, and of an ipvlan its flags. Of these kinds the kernel takes
/// an attribute that is missing for 0, but for the one of path MTU discovery, which is on
/// (`ipgre_netlink_parms`, `ipip_netlink_parms`, `geneve_nl2info`).
fn defaults_of_tunnels(said: &mut Said) {
    const PMTUDISC: u16 = 10;
    const OVER_IPV4: [&[u8]; 4] = [b"gre", b"gretap", b"ipip", b"sit"];
    const OTHERS: [&[u8]; 5] = [b"ip6gre", b"ip6gretap", b"ip6tnl", b"geneve", b"ipvlan"];
    let kind = said.kind_of_link();
    let is_of = |names: &[&[u8]]| kind.as_ref().is_some_and(|kind| names.contains(&&kind[..]));
    let (over_ipv4, other) = (is_of(&OVER_IPV4), is_of(&OTHERS));
    if !over_ipv4 && !other {
        return;
    }
    if let Some(data) = said.nest(&[IFLA_LINKINFO, IFLA_INFO_DATA]) {
        data.retain(|attr| match attr {
            Attr::Value(PMTUDISC, value) if over_ipv4 => *value != [1],
            // A flag has no value: it is on.
            Attr::Value(_, value) => value.is_empty() || value.iter().any(|byte| *byte != 0),
            Attr::Nest(..) => true,
        });
    }
    leave_out_empty(said);
}

/// Leaves out nests in which nothing is left to say.
fn leave_out_empty(said: &mut Said) {
    if let Some(info) = said.nest(&[IFLA_LINKINFO]) {
        let is_empty = |attr: &Attr| matches!(attr, Attr::Nest(_, _, inner) if inner.is_empty());
        info.retain(|attr| !is_empty(attr));
    }
}

/// To add what is there already is as good to a step, and a mistake to a person.
fn added_address(said: &mut Said) {
    if said.flags == CREATE | REPLACE {
        said.flags = CREATE | EXCL;
    }
}

/// An address is found by itself and the length of its prefix (`inet_rtm_deladdr`, `inet6_rtm_deladdr`):
/// flags, scope and broadcast address don't count, and `ip` says none.
fn removed_address(said: &mut Said) {
    const IFA_BROADCAST: u16 = 4;
    (said.header[2], said.header[3]) = (0, 0);
    said.attrs.retain(|attr| attr.kind() != IFA_BROADCAST);
}

const SCOPE_AT: usize = 6;
const TYPE_AT: usize = 7;
const SCOPE_NOWHERE: u8 = 255;

/// IPv6 has no scopes; iproute2 says one for some types all the same.
fn route(said: &mut Said) {
    if said.header[0] == AF_INET6 {
        said.header[SCOPE_AT] = 0;
    }
    table(said);
}

/// A step takes whatever scope a person may have said, and the usual type goes without saying in
/// `ip`, which then takes any. What is not any must be right.
fn removed_route(said: &mut Said, step: &Step) {
    const RTN_UNSPEC: u8 = 0;
    const RTN_UNICAST: u8 = 1;
    let Change::DelRoute(removed) = &step.change else { return };
    if said.header[TYPE_AT] == RTN_UNICAST {
        said.header[TYPE_AT] = RTN_UNSPEC;
    }
    let scope = removed.scope.unwrap_or_else(|| removed.default_scope());
    if said.header[SCOPE_AT] == scope {
        said.header[SCOPE_AT] = SCOPE_NOWHERE;
    }
    if said.header[0] == AF_INET6 {
        said.header[SCOPE_AT] = 0;
    }
    table(said);
}

/// A table up to 255 may stand in the header, where iproute2 has it, or in an attribute (`RTA_TABLE`,
/// `FRA_TABLE`).
fn table(said: &mut Said) {
    const TABLE_AT: usize = 4;
    const TABLE: u16 = 15;
    let table = std::mem::take(&mut said.header[TABLE_AT]);
    if table != 0 {
        said.attrs.push(Attr::Value(TABLE, u32::from(table).to_ne_bytes().into()));
        said.attrs.sort();
    }
}

/// That it is not asked for makes an entry static whatever else its state is (`fdb_add_entry`,
/// net/bridge/br_fdb.c); iproute2 says that it is reachable too.
fn fdb(said: &mut Said) {
    const STATE_AT: usize = 8;
    const NUD_REACHABLE: u8 = 0x02;
    const NUD_NOARP: u8 = 0x40;
    const NUD_PERMANENT: u8 = 0x80;
    if said.header[STATE_AT] & (NUD_NOARP | NUD_PERMANENT) == NUD_NOARP {
        said.header[STATE_AT] &= !NUD_REACHABLE;
    }
}

/// A mark of which all bits count needs no mask, unless it is 0: then the kernel takes none for all.
fn rule(said: &mut Said) {
    const FRA_FWMARK: u16 = 10;
    const FRA_FWMASK: u16 = 16;
    let is_marked = |attr: &Attr| matches!(attr, Attr::Value(FRA_FWMARK, mark) if mark.iter().any(|byte| *byte != 0));
    if said.attrs.iter().any(is_marked) {
        said.attrs.retain(|attr| *attr != Attr::Value(FRA_FWMASK, vec![0xff; 4]));
    }
    table(said);
}

/// `ip` says the action of a rule to be removed only where it is not a table; of one that has a table
/// it is that (`rule_find`, net/core/fib_rules.c, passes over what is not said).
fn removed_rule(said: &mut Said) {
    const ACTION_AT: usize = 7;
    const FR_ACT_TO_TBL: u8 = 1;
    if said.header[ACTION_AT] == FR_ACT_TO_TBL {
        said.header[ACTION_AT] = 0;
    }
    rule(said);
}

/// A neighbour is found by its address (`neigh_delete`, net/core/neighbour.c), and `ip` says no more.
fn removed_neighbor(said: &mut Said) {
    const NDA_DST: u16 = 1;
    said.attrs.retain(|attr| attr.kind() == NDA_DST);
}
