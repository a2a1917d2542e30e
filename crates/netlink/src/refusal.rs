use std::fmt;

use rustix::io::Errno;

use crate::errno::{errno_name, errno_words};
use crate::path::AttributePath;

/// The kernel's no to one message: its errno and its extended acknowledgement.
///
/// Shown in the kernel's words, `Nexthop has invalid gateway (EINVAL)`, or in the C library's where the kernel gives none,
/// `File exists (EEXIST)`. Source: `enum nlmsgerr_attrs` in include/uapi/linux/netlink.h, Linux 4.12 and later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub errno: Errno,
    /// Why, in the kernel's words (`NLMSGERR_ATTR_MSG`).
    pub message: Option<String>,
    /// Where in the request the attribute at fault begins, in bytes from its netlink header (`NLMSGERR_ATTR_OFFS`).
    pub offset: Option<u32>,
    /// The attribute at that offset.
    pub attribute: Option<AttributePath>,
    /// The type of an attribute that is missing (`NLMSGERR_ATTR_MISS_TYPE`, Linux 6.1).
    pub missing: Option<u16>,
    /// Where the attribute begins in which it is missing, `None` for the message itself (`NLMSGERR_ATTR_MISS_NEST`).
    pub missing_nest: Option<u32>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = errno_name(self.errno);
        if let Some(message) = &self.message {
            return write!(f, "{message} ({name})");
        }
        write!(f, "{} ({name})", errno_words(self.errno))?;
        if let Some(missing) = self.missing {
            write!(f, ", attribute {missing} is missing")?;
        } else if let Some(attribute) = &self.attribute {
            write!(f, " at attribute {attribute}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
