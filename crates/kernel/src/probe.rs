//! What this kernel and this user can do.
