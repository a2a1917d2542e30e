//! What this kernel and this user can do, asked before anything is touched.

use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};
use vnet_netlink::attr::Writer;
use vnet_netlink::{Batch, Error as NetlinkError, Flags, Protocol, RawMessage, Socket};

use crate::error::Error;

/// Tells whether this process may make namespaces and change networks in its user namespace:
/// CAP_SYS_ADMIN and CAP_NET_ADMIN (`capabilities(7)`).
#[must_use]
pub fn is_privileged() -> bool {
    let wanted = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// A kind of interface that this kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingKind {
    /// The kernel's name of the kind.
    pub kind: String,
    /// The module that has it.
    pub module: String,
    /// The option it is built with.
    pub config: String,
}

/// How often a kind is asked for: where another process has its module loaded at the same moment, the
/// kernel may say too early that there is none.
const ATTEMPTS_MAX: usize = 4;

/// How long is waited between.
const BETWEEN_ATTEMPTS: std::time::Duration = std::time::Duration::from_millis(50);

/// What stands among kinds for a bridge that keeps VLANs apart.
pub const BRIDGE_VLAN: &str = "VLAN-aware bridge";

/// Finds the kinds of interfaces that the kernel lacks, and loads the modules of those it has.
/// CAP_NET_ADMIN. Nothing is made: each is asked for with a number of queues that no kernel gives,
/// which is found out after the kind was looked up (`rtnl_create_link`, net/core/rtnetlink.c).
///
/// # Errors
/// When the kernel can't be asked.
pub(crate) fn missing_kinds(kinds: &[&str]) -> Result<Vec<MissingKind>, Error> {
    let (devices, kinds): (Vec<&str>, Vec<&str>) =
        kinds.iter().partition(|kind| vnet_model::kind::find(kind).is_some_and(|k| k.is_tun()));
    if let (Some(kind), Err(errno)) = (devices.first(), tun_device()) {
        let why = vnet_netlink::errno_words(errno);
        let missing =
            MissingKind { kind: format!("{kind} (/dev/net/tun: {why})"), ..describe(kind) };
        return Ok(vec![missing]);
    }
    let mut socket = Socket::open(Protocol::Route).map_err(failed)?;
    let mut missing: Vec<&str> = kinds.clone();
    missing.retain(|kind| *kind != BRIDGE_VLAN);
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
        let mut batch = Batch::new();
        for kind in &missing {
            ask_for(&mut batch, kind);
        }
        let outcome = socket.submit(&mut batch).map_err(failed)?;
        let refused = outcome.refusals().iter();
        let still = refused.filter(|(_, refusal)| refusal.errno == Errno::OPNOTSUPP);
        missing = still.filter_map(|(index, _)| missing.get(*index).copied()).collect();
        if missing.is_empty() {
            break;
        }
    }
    if kinds.contains(&BRIDGE_VLAN) && !has_bridge_vlans(&mut socket)? {
        missing.push(BRIDGE_VLAN);
    }
    Ok(missing.into_iter().map(describe).collect())
}

/// Tells whether bridges can keep VLANs apart: then they answer when asked for all VLANs of all
/// ports (`br_vlan_rtnl_init`, net/bridge/br_vlan.c). Their module must have been loaded.
fn has_bridge_vlans(socket: &mut Socket) -> Result<bool, Error> {
    const RTM_GETVLAN: u16 = 114;
    /// `struct br_vlan_msg`: the family and nothing more.
    const HEADER: [u8; 8] = [7, 0, 0, 0, 0, 0, 0, 0];
    let request = RawMessage::new(RTM_GETVLAN, |writer| {
        writer.header(&HEADER);
    });
    let Ok(request) = request else { return Ok(false) };
    match socket.dump(&request, |_| Ok(None::<()>)) {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Tells whether `/dev/net/tun` can be opened: it may be closed where the kernel has the kind.
fn tun_device() -> Result<(), Errno> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open("/dev/net/tun", flags, rustix::fs::Mode::empty()).map(drop)
}

fn ask_for(batch: &mut Batch, kind: &str) {
    const IFLA_NUM_TX_QUEUES: u16 = 31;
    push_new_link(batch, "vnet-probe", kind, |writer| {
        writer.u32(IFLA_NUM_TX_QUEUES, u32::MAX);
    });
}

/// Asks for an interface of a kind of which nothing is said but its name, and `more`.
pub(crate) fn push_new_link(
    batch: &mut Batch,
    name: &str,
    kind: &str,
    more: impl FnOnce(&mut Writer<'_>),
) {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    /// `struct ifinfomsg`: nothing but zeros.
    const HEADER: [u8; 16] = [0; 16];
    batch.push_raw(RTM_NEWLINK, Flags::CREATE | Flags::EXCL, |writer| {
        more(writer.header(&HEADER).text(IFLA_IFNAME, name));
        writer.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, kind);
        });
    });
}

fn describe(kind: &str) -> MissingKind {
    if kind == BRIDGE_VLAN {
        let (module, config) = ("bridge".to_owned(), "CONFIG_BRIDGE_VLAN_FILTERING".to_owned());
        return MissingKind { kind: kind.to_owned(), module, config };
    }
    let spec = vnet_model::kind::find(kind);
    MissingKind {
        kind: kind.to_owned(),
        module: spec.map_or(kind, |spec| spec.module).to_owned(),
        config: match spec {
            Some(spec) => spec.config.to_owned(),
            None => format!("CONFIG_{}", kind.to_ascii_uppercase()),
        },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failed(source: NetlinkError) -> Error {
    let errno = source.errno().unwrap_or(Errno::IO);
    Error::System { doing: "ask for", object: "kinds of interfaces".into(), errno }
}
