//! What the kernel drops before anybody reads it: programs of classic BPF (linux/filter.h).

use std::os::fd::OwnedFd;

use nix::sys::socket::{GetSockOpt, SetSockOpt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use rustix::io::Errno;

use super::{SNAP_BYTES, Sought};
use crate::socket::from_nix;

sockopt_impl!(AttachFilter, SetOnly, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, libc::sock_fprog);

sockopt_impl!(Statistics, GetOnly, libc::SOL_PACKET, libc::PACKET_STATISTICS, libc::tpacket_stats);

/// Where a payload can begin, in bytes behind the first IP header: each length of a header is even.
const FIRST_AT: u32 = 24;
const LAST_AT: u32 = 160;

/// Classes, sizes and modes (linux/bpf_common.h).
const LD_W_ABS: u16 = 0x20;
const LD_B_ABS: u16 = 0x30;
const LD_B_IND: u16 = 0x50;
const LDX_B_MSH: u16 = 0xb1;
const RSH_K: u16 = 0x74;
const JEQ_K: u16 = 0x15;
const JSET_K: u16 = 0x45;
const RET_K: u16 = 0x06;

/// The flags SYN and RST of TCP (RFC 9293, section 3.1).
const SYN_OR_RST: u32 = 0x06;
const TCP: u32 = 6;

/// Has the kernel drop what can't be what is sought.
pub(super) fn attach(socket: &OwnedFd, sought: Sought) -> Result<(), Errno> {
    let mut program = match sought {
        Sought::Echo(cookie) | Sought::Datagram(cookie, _) => with_cookie(&cookie),
        Sought::Connection => connections(),
    };
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    // The kernel copies it before the call returns, as long as `program` lives.
    let wanted = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    AttachFilter.set(socket, &wanted).map_err(from_nix)
}

/// Tells whether there was no room for packets that the program took.
pub(super) fn has_lost(socket: &OwnedFd) -> bool {
    Statistics.get(socket).is_ok_and(|statistics| statistics.tp_drops > 0)
}

/// Takes what has the cookie's first four bytes at a place where a payload can begin. A load beyond
/// the packet's end drops it (`bpf_prog_run`, net/core/filter.c).
fn with_cookie(cookie: &[u8; 8]) -> Vec<libc::sock_filter> {
    let [a, b, c, d, ..] = *cookie;
    let wanted = u32::from_be_bytes([a, b, c, d]);
    let places = (FIRST_AT..=LAST_AT).step_by(2);
    let look = |at| [op(LD_W_ABS, at), jump(JEQ_K, wanted, 0, 1), op(RET_K, SNAP_BYTES as u32)];
    places.flat_map(look).chain([op(RET_K, 0)]).collect()
}

/// Takes all but plain TCP packets of connections that stand.
fn connections() -> Vec<libc::sock_filter> {
    vec![
        op(LD_B_ABS, 0),
        op(RSH_K, 4),
        jump(JEQ_K, 4, 0, 5),
        // IPv4: the protocol, and the flags behind a header of any length.
        op(LD_B_ABS, 9),
        jump(JEQ_K, TCP, 0, 8),
        op(LDX_B_MSH, 0),
        op(LD_B_IND, 13),
        jump(JSET_K, SYN_OR_RST, 5, 6),
        // IPv6.
        jump(JEQ_K, 6, 0, 4),
        op(LD_B_ABS, 6),
        jump(JEQ_K, TCP, 0, 2),
        op(LD_B_ABS, 40 + 13),
        jump(JSET_K, SYN_OR_RST, 0, 1),
        op(RET_K, SNAP_BYTES as u32),
        op(RET_K, 0),
    ]
}

fn op(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}
