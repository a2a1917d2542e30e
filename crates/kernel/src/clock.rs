//! What time it is where the user is.

use nix::libc;

/// A time of day in the user's time zone (`TZ`, else the system's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, such as 2026.
    pub year: i32,
    /// The month, from 1.
    pub month: u32,
    /// The day of the month, from 1.
    pub day: u32,
    /// The day of the week, from 0 for Sunday.
    pub weekday: u32,
    /// The hour.
    pub hour: u32,
    /// The minute.
    pub minute: u32,
    /// The second.
    pub second: u32,
    /// Microseconds.
    pub micros: u32,
}

/// Returns the time of day now.
#[must_use]
pub fn local_time() -> LocalTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = libc::time_t::try_from(now.as_secs()).unwrap_or_default();
    #[expect(unsafe_code, reason = "nothing safe knows the time zone")]
    // SAFETY: all zeroes is a valid `struct tm`, whose pointer may be null.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    #[expect(unsafe_code, reason = "nothing safe knows the time zone")]
    // SAFETY: both point to valid memory, which localtime_r does not keep.
    unsafe {
        libc::localtime_r(&raw const seconds, &raw mut time);
    }
    let part = |number: i32| number.unsigned_abs();
    LocalTime {
        year: time.tm_year + 1900,
        month: part(time.tm_mon) + 1,
        day: part(time.tm_mday),
        weekday: part(time.tm_wday),
        hour: part(time.tm_hour),
        minute: part(time.tm_min),
        second: part(time.tm_sec),
        micros: now.subsec_micros(),
    }
}
