use std::ops::{BitOr, BitOrAssign};

/// What a request asks for beyond being carried out: the `NLM_F_*` modifiers of man 7 netlink.
///
/// `NLM_F_REQUEST`, `NLM_F_ACK` and `NLM_F_DUMP` are not among them: the [`Socket`](crate::Socket) sets those.
/// Some bits mean one thing for new objects and another for deletions, as in the kernel: a deletion with `EXCL` asks for
/// `BULK`, and is mostly refused with `Bulk delete is not supported`. Deletions take [`Flags::NONE`].
///
/// ```
/// use vnet_netlink::Flags;
///
/// let add = Flags::CREATE | Flags::EXCL; // `ip route add`
/// assert!(add.contains(Flags::EXCL) && !add.contains(Flags::REPLACE));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// No modifier: change what exists, or delete.
    pub const NONE: Self = Self(0);
    /// Create the object if it does not exist.
    pub const CREATE: Self = Self(0x400);
    /// Refuse if the object exists.
    pub const EXCL: Self = Self(0x200);
    /// Replace the object if it exists.
    pub const REPLACE: Self = Self(0x100);
    /// Add at the end of the list: of the routes of a prefix, of the rules of a chain.
    pub const APPEND: Self = Self(0x800);
    /// Answer with the object as it was made (its ifindex, its handle). See
    /// [`Socket::submit_with`](crate::Socket::submit_with).
    pub const ECHO: Self = Self(0x8);
    /// In a deletion: refuse if something hangs on the object (`NLM_F_NONREC`).
    pub const NONREC: Self = Self(0x100);
    /// In a deletion: delete all that match (`NLM_F_BULK`, Linux 5.19).
    pub const BULK: Self = Self(0x200);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The bits, as in `nlmsg_flags`.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
