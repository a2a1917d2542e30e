//! Acknowledgements: `NLMSG_ERROR` and the end of a dump, `NLMSG_DONE`.
//!
//! ```text
//! NLMSG_ERROR: | error: i32 | request's header: 16 | request's payload, unless NLM_F_CAPPED | attributes |
//! NLMSG_DONE:  | error: i32 | attributes |
//! ```
//! Source: `netlink_ack` and `netlink_dump_done` in net/netlink/af_netlink.c.

use rustix::io::Errno;

use crate::attr::{Attributes, aligned, u32_at};
use crate::errno;
use crate::message::{self, Message};
use crate::path::AttributePath;
use crate::protocol::Protocol;
use crate::refusal::Refusal;

pub(crate) const NLMSG_NOOP: u16 = 1;
pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLMSG_OVERRUN: u16 = 4;

const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;
const NLMSGERR_ATTR_MISS_NEST: u16 = 6;

/// What the kernel says to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ack {
    /// `None` is success.
    pub(crate) errno: Option<Errno>,
    /// A reason, or after a success a warning.
    pub(crate) message: Option<String>,
    pub(crate) offset: Option<u32>,
    pub(crate) missing: Option<u16>,
    pub(crate) missing_nest: Option<u32>,
}

impl Ack {
    /// Reads the payload of an `NLMSG_ERROR`. `None` if it is too short to hold an error.
    pub(crate) fn parse(message: &Message<'_>) -> Option<Self> {
        const ERROR_BYTES: usize = 4;
        let error = u32_at(message.payload, 0)?.cast_signed();
        let request_bytes = if message.flags & NLM_F_CAPPED != 0 {
            message::HEADER_BYTES
        } else {
            let length = u32_at(message.payload, ERROR_BYTES).unwrap_or_default();
            usize::try_from(length).unwrap_or(usize::MAX)
        };
        Some(Self::extended(message, error, aligned(ERROR_BYTES.saturating_add(request_bytes))))
    }

    /// Reads the payload of an `NLMSG_DONE`, which may be empty.
    pub(crate) fn parse_done(message: &Message<'_>) -> Self {
        const ERROR_BYTES: usize = 4;
        let error = u32_at(message.payload, 0).unwrap_or_default().cast_signed();
        // Some dumps leave a positive number there: what their last part returned.
        Self::extended(message, error.min(0), ERROR_BYTES)
    }

    /// Malformed attributes are left out: the errno counts, and it is known.
    fn extended(message: &Message<'_>, error: i32, attributes_offset: usize) -> Self {
        let mut ack = Self { errno: errno::from_answer(error), ..Self::default() };
        if message.flags & NLM_F_ACK_TLVS == 0 {
            return ack;
        }
        let attributes = message.payload.get(attributes_offset..).unwrap_or_default();
        for attribute in Attributes::new(attributes).map_while(Result::ok) {
            match attribute.kind {
                NLMSGERR_ATTR_MSG => {
                    let text = attribute.value.split(|&byte| byte == 0).next().unwrap_or_default();
                    ack.message = Some(String::from_utf8_lossy(text).trim_end().to_owned());
                }
                NLMSGERR_ATTR_OFFS => ack.offset = attribute.u32().ok(),
                NLMSGERR_ATTR_MISS_TYPE => {
                    ack.missing =
                        attribute.u32().ok().and_then(|missing| u16::try_from(missing).ok());
                }
                NLMSGERR_ATTR_MISS_NEST => ack.missing_nest = attribute.u32().ok(),
                _ => {}
            }
        }
        ack
    }

    /// Returns the refusal of `request`, or the warning that came with its success.
    pub(crate) fn into_result(
        self,
        protocol: Protocol,
        request: &[u8],
    ) -> Result<Option<String>, Refusal> {
        let Some(errno) = self.errno else {
            return Ok(self.message);
        };
        let attribute = self
            .offset
            .and_then(|offset| usize::try_from(offset).ok())
            .and_then(|offset| AttributePath::at(protocol, request, offset));
        Err(Refusal {
            errno,
            message: self.message,
            offset: self.offset,
            attribute,
            missing: self.missing,
            missing_nest: self.missing_nest,
        })
    }
}

#[cfg(test)]
mod tests;
