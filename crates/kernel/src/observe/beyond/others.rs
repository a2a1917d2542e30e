//! What other parts of the kernel do with packets and addresses: IPsec, the labels of IPv6 addresses,
//! and what registers with generic netlink.

use rustix::io::Errno;
use vnet_model::NsName;
use vnet_model::ipnet::IpNet;
use vnet_netlink::{Error as NetlinkError, Message, RawMessage, Socket, generic};

use super::addresses::ip;
use super::question;
use crate::error::Error;
use crate::observe::netlink_socket;
use crate::realm::Realm;
use crate::socket::SocketKind;

const RTM_GETADDRLABEL: u16 = 74;
/// `struct ifaddrlblmsg`: family, reserved, length of the prefix, flags, index, sequence.
const LABEL_BYTES: usize = 12;
const IFAL_ADDRESS: u16 = 1;
const IFAL_LABEL: u16 = 2;
const AF_INET6: u8 = 10;

/// What the kernel begins with (`ip6addrlbl_init_table`, net/ipv6/addrlabel.c).
const BORN_LABELS: [(&str, u32); 10] = [
    ("::/0", 1),
    ("fc00::/7", 5),
    ("fec0::/10", 11),
    ("2002::/16", 2),
    ("3ffe::/16", 12),
    ("2001::/32", 6),
    ("2001:10::/28", 7),
    ("::ffff:0.0.0.0/96", 4),
    ("::/96", 3),
    ("::1/128", 0),
];

/// Names the labels of addresses (RFC 6724) that somebody wrote or took away.
pub(super) fn labels(socket: &mut Socket) -> Result<Vec<String>, NetlinkError> {
    let mut header = [0; LABEL_BYTES];
    header[0] = AF_INET6;
    let found = match socket.dump(&question(RTM_GETADDRLABEL, &header)?, label) {
        Err(error) if is_lacking(&error) => return Ok(Vec::new()),
        found => found?,
    };
    let born = || BORN_LABELS.iter().filter_map(|(net, label)| Some((net.parse().ok()?, *label)));
    let is_born = |label: &(IpNet, u32)| born().any(|it| it == *label);
    let written = found.iter().filter(|label| !is_born(label));
    let gone = born().filter(|label| !found.contains(label));
    let written = written.map(|(net, label)| format!("the label {label} of addresses in {net}"));
    let gone = gone.map(|(net, label)| format!("that addresses in {net} lack the label {label}"));
    Ok(written.chain(gone).collect())
}

fn label(message: Message<'_>) -> Result<Option<(IpNet, u32)>, NetlinkError> {
    let Some(header) = message.payload.first_chunk::<LABEL_BYTES>() else { return Ok(None) };
    let attributes = message.attributes(LABEL_BYTES)?;
    let (addr, label) = (attributes.find(IFAL_ADDRESS)?, attributes.find(IFAL_LABEL)?);
    let net = addr.and_then(ip).and_then(|addr| IpNet::new(addr, header[2]).ok());
    Ok(net.zip(label.map(|label| label.u32()).transpose()?))
}

/// `XFRM_MSG_GETSA` and `XFRM_MSG_GETPOLICY` (linux/xfrm.h), with what is listed.
const STATES: (u16, [&str; 2]) = (0x12, ["state", "states"]);
const POLICIES: (u16, [&str; 2]) = (0x15, ["policy", "policies"]);

/// Counts the states and policies of IPsec (`ip-xfrm(8)`): their keys are read by nobody here.
pub(super) fn ipsec(realm: &Realm, name: &NsName) -> Result<Vec<String>, Error> {
    xfrm(realm, name, &[STATES, POLICIES])
}

/// Counts the policies alone; nothing where there are none.
pub(in crate::observe) fn ipsec_policies(
    realm: &Realm,
    name: &NsName,
) -> Result<Option<String>, Error> {
    Ok(xfrm(realm, name, &[POLICIES])?.pop())
}

fn xfrm(realm: &Realm, name: &NsName, lists: &[(u16, [&str; 2])]) -> Result<Vec<String>, Error> {
    let mut socket = match netlink_socket(realm, 0, name, SocketKind::Xfrm) {
        Err(error) if error.errno() == Some(Errno::PROTONOSUPPORT) => return Ok(Vec::new()),
        socket => socket?,
    };
    let mut words = Vec::new();
    for (kind, of) in lists {
        let failed =
            |source| Error::Netlink { doing: "list what IPsec does", ns: name.clone(), source };
        let asked = question(*kind, &[]).map_err(failed)?;
        words.extend(counted(&mut socket, &asked, *of, "xfrm").map_err(failed)?);
    }
    Ok(words)
}

/// Names the endpoints of MPTCP (`ip-mptcp(8)`) and counts the tunnels of L2TP (`ip-l2tp(8)`).
pub(super) fn families(socket: &mut Socket) -> Result<Vec<String>, NetlinkError> {
    const MPTCP_PM_CMD_GET_ADDR: u8 = 3;
    const L2TP_CMD_TUNNEL_GET: u8 = 4;
    let there = generic::families(socket)?;
    let mut words = Vec::new();
    if let Some(family) = there.get("mptcp_pm") {
        let asked = generic::request(*family, MPTCP_PM_CMD_GET_ADDR, 1, |_| {})?;
        words.extend(socket.dump(&asked, endpoint)?);
    }
    if let Some(family) = there.get("l2tp") {
        let asked = generic::request(*family, L2TP_CMD_TUNNEL_GET, 1, |_| {})?;
        words.extend(counted(socket, &asked, ["tunnel", "tunnels"], "L2TP")?);
    }
    Ok(words)
}

/// Counts what is listed; says nothing where there is none.
fn counted(
    socket: &mut Socket,
    asked: &RawMessage,
    [one, many]: [&str; 2],
    of: &str,
) -> Result<Option<String>, NetlinkError> {
    Ok(match socket.dump(asked, |_| Ok(Some(())))?.len() {
        0 => None,
        1 => Some(format!("1 {one} of {of}")),
        count => Some(format!("{count} {many} of {of}")),
    })
}

fn endpoint(message: Message<'_>) -> Result<Option<String>, NetlinkError> {
    const MPTCP_PM_ATTR_ADDR: u16 = 1;
    const MPTCP_PM_ADDR_ATTR_ADDR4: u16 = 3;
    const MPTCP_PM_ADDR_ATTR_ADDR6: u16 = 4;
    let attributes = message.attributes(generic::HEADER_BYTES)?;
    let Some(nest) = attributes.find(MPTCP_PM_ATTR_ADDR)? else { return Ok(None) };
    let nested = nest.nested();
    let addr = match nested.find(MPTCP_PM_ADDR_ATTR_ADDR4)? {
        Some(addr) => Some(addr),
        None => nested.find(MPTCP_PM_ADDR_ATTR_ADDR6)?,
    };
    Ok(addr.and_then(ip).map(|addr| format!("the endpoint {addr} of MPTCP")))
}

/// Tells whether the kernel has nothing of that kind: no IPv6, say.
fn is_lacking(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT))
}
