use rustix::io::Errno;

/// Returns the name of an errno as in errno.h: `EEXIST`.
///
/// `ENOTSUPP` (524) is the kernel's own, and leaks from some drivers. An unknown number is returned as it is.
pub fn errno_name(errno: Errno) -> String {
    let raw = errno.raw_os_error();
    match nix::errno::Errno::from_raw(raw) {
        nix::errno::Errno::UnknownErrno if raw == ENOTSUPP => "ENOTSUPP".to_owned(),
        nix::errno::Errno::UnknownErrno => format!("errno {raw}"),
        known => format!("{known:?}"),
    }
}

/// Returns what the C library says about an errno (strerror), which is what iproute2 prints: `File exists`.
pub fn errno_words(errno: Errno) -> String {
    let raw = errno.raw_os_error();
    if raw == ENOTSUPP {
        return "Operation not supported".to_owned();
    }
    // Only std's words hold the C library's without `unsafe`; std appends the number.
    let words = std::io::Error::from_raw_os_error(raw).to_string();
    match words.strip_suffix(&format!(" (os error {raw})")) {
        Some(bare) => bare.to_owned(),
        None => words,
    }
}

/// Converts the negative error of an acknowledgement. `None` is success.
///
/// A number that is no errno becomes EPROTO: the answer is then not one that this crate understands.
pub(crate) fn from_answer(error: i32) -> Option<Errno> {
    const ERRNO_MIN: i32 = -4095;
    match error {
        0 => None,
        ERRNO_MIN..0 => Some(Errno::from_raw_os_error(-error)),
        _ => Some(Errno::PROTO),
    }
}

/// Converts from nix, which sets socket options and reads control messages.
pub(crate) fn from_nix(errno: nix::errno::Errno) -> Errno {
    from_answer((errno as i32).wrapping_neg()).unwrap_or(Errno::IO)
}

/// `ENOTSUPP` in include/linux/errno.h, which user space was never meant to see.
const ENOTSUPP: i32 = 524;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_the_c_library_s() {
        assert_eq!(errno_name(Errno::EXIST), "EEXIST");
        assert_eq!(errno_words(Errno::EXIST), "File exists");
        assert_eq!(errno_name(Errno::OPNOTSUPP), "EOPNOTSUPP");
        assert_eq!(errno_words(Errno::OPNOTSUPP), "Operation not supported");
        let kernel_only = Errno::from_raw_os_error(524);
        assert_eq!(errno_name(kernel_only), "ENOTSUPP");
        assert_eq!(errno_words(kernel_only), "Operation not supported");
        assert_eq!(errno_name(Errno::from_raw_os_error(4000)), "errno 4000");
    }

    #[test]
    fn answer_that_is_no_errno_is_a_protocol_error() {
        assert_eq!(from_answer(0), None);
        assert_eq!(from_answer(-17), Some(Errno::EXIST));
        for wrong in [17, i32::MAX, i32::MIN, -4096] {
            assert_eq!(from_answer(wrong), Some(Errno::PROTO));
        }
    }
}
