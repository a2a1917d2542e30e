//! What a tracepoint tells of one thread: an event of perf, and the ring into which the kernel writes
//! its samples (`perf_event_open(2)`).

use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// How many pages of samples are kept, a power of two: more than 1,000 packets in 64 KiB.
const DATA_PAGES: usize = 16;

/// Numbers of linux/perf_event.h.
const PERF_TYPE_TRACEPOINT: u32 = 2;
const PERF_SAMPLE_RAW: u64 = 1 << 10;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
const PERF_RECORD_SAMPLE: u32 = 9;

/// Where `data_head` stands in `struct perf_event_mmap_page`, the first page of the ring.
const DATA_HEAD: usize = 1024;

/// The length of `struct perf_event_header`: type, misc and size.
const HEADER_BYTES: usize = 8;

/// `struct perf_event_attr` in its first length (`PERF_ATTR_SIZE_VER0`), which all kernels take.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    /// Which tracepoint.
    config: u64,
    /// After how many events there is a sample.
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    /// A field of bits: none of them is set, so it begins at once.
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
}

/// A tracepoint as the thread meets it that has opened this.
#[derive(Debug)]
pub(super) struct Ring {
    event: OwnedFd,
    map: NonNull<c_void>,
    page_bytes: usize,
}

impl Ring {
    /// Begins to trace the calling thread. CAP_PERFMON or CAP_SYS_ADMIN in the initial user namespace.
    pub(super) fn open(tracepoint: u64) -> Result<Self, Errno> {
        let event = open_event(tracepoint)?;
        let page_bytes = rustix::param::page_size();
        let length = page_bytes * (1 + DATA_PAGES);
        // Where it may be written, the kernel drops samples that there is no room for, and not the oldest.
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        #[expect(unsafe_code, reason = "rustix marks all of mmap as unsafe")]
        // SAFETY: the kernel chooses a place where nothing is.
        let map = unsafe { mmap(null_mut(), length, rights, MapFlags::SHARED, &event, 0) }?;
        let map = NonNull::new(map).ok_or(Errno::NOMEM)?;
        Ok(Self { event, map, page_bytes })
    }

    /// Reads the records so far, and whether there were more than the ring could hold.
    pub(super) fn read(&self) -> (Vec<u8>, bool) {
        let bytes = self.records();
        // The event itself counts all.
        let mut count = [0; 8];
        let counted = rustix::io::read(&self.event, &mut count) == Ok(count.len());
        let kept = samples(&bytes).count() as u64;
        (bytes, !counted || u64::from_ne_bytes(count) > kept)
    }

    fn records(&self) -> Vec<u8> {
        #[expect(unsafe_code, reason = "the kernel writes there too")]
        // SAFETY: it is within the first page, aligned to 8 bytes, mapped as long as `self` is, and the
        // kernel writes it in one piece.
        let head = unsafe { AtomicU64::from_ptr(self.map.byte_add(DATA_HEAD).as_ptr().cast()) };
        let head = usize::try_from(head.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let length = head.min(self.page_bytes * DATA_PAGES);
        let mut bytes = vec![0; length];
        #[expect(unsafe_code, reason = "the kernel writes there too")]
        // SAFETY: `length` bytes behind the first page are mapped. Before the head the kernel has written
        // for good: the tail stays at 0, so nothing is ever overwritten.
        unsafe {
            let data = self.map.byte_add(self.page_bytes).cast::<u8>();
            data.copy_to_nonoverlapping(NonNull::from(&mut bytes[..]).cast(), length);
        }
        bytes
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let length = self.page_bytes * (1 + DATA_PAGES);
        #[expect(unsafe_code, reason = "rustix marks all of munmap as unsafe")]
        // SAFETY: it was mapped so, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.map.as_ptr(), length) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

fn open_event(tracepoint: u64) -> Result<OwnedFd, Errno> {
    const SIZE: u32 = size_of::<Attributes>() as u32;
    let attributes = Attributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: SIZE,
        config: tracepoint,
        sample_period: 1,
        sample_type: PERF_SAMPLE_RAW,
        read_format: 0,
        flags: 0,
        wakeup_events: 0,
        bp_type: 0,
        bp_addr: 0,
    };
    // The calling thread, on whatever processor, in no group.
    let (thread, processor, group): (libc::pid_t, libc::c_int, libc::c_int) = (0, -1, -1);
    #[expect(unsafe_code, reason = "nothing safe opens events of perf")]
    // SAFETY: the kernel reads as many bytes of the attributes as they say that they have.
    let opened = unsafe {
        let call = libc::SYS_perf_event_open;
        let attributes = &raw const attributes;
        libc::syscall(call, attributes, thread, processor, group, PERF_FLAG_FD_CLOEXEC)
    };
    match RawFd::try_from(opened) {
        Ok(fd) if fd >= 0 => {
            #[expect(unsafe_code, reason = "the kernel has just given it")]
            // SAFETY: it is open, and nobody else's.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        _ => {
            let error = std::io::Error::last_os_error();
            Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
        }
    }
}

/// Lists the samples among records: what the tracepoint itself has written of each event.
pub(super) fn samples(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        loop {
            let (record, rest) = take_record(records)?;
            records = rest;
            if let Some(sample) = sample(record) {
                return Some(sample);
            }
        }
    };
    std::iter::from_fn(next)
}

/// Takes the first record: type, misc and size (`struct perf_event_header`), and what follows.
fn take_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = usize::from(u16::from_ne_bytes(records.get(6..HEADER_BYTES)?.try_into().ok()?));
    (size >= HEADER_BYTES).then(|| records.split_at_checked(size))?
}

/// Reads a record that is a sample: the length of what follows, and that.
fn sample(record: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| {
        let bytes = record.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let is_sample = number(0)? == PERF_RECORD_SAMPLE;
    let length = usize::try_from(number(HEADER_BYTES)?).ok()?;
    is_sample.then(|| record.get(HEADER_BYTES + 4..)?.get(..length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(HEADER_BYTES + body.len()).unwrap();
        [&kind.to_ne_bytes()[..], &[0, 0], &size.to_ne_bytes(), body].concat()
    }

    fn raw(length: u32, data: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes()[..], data].concat()
    }

    #[test]
    fn samples_are_found_among_other_records() {
        const PERF_RECORD_LOST: u32 = 2;
        let records = [
            record(PERF_RECORD_SAMPLE, &raw(4, b"abcd")),
            record(PERF_RECORD_LOST, &[0; 16]),
            // Padded to 8 bytes.
            record(PERF_RECORD_SAMPLE, &raw(3, b"efg\0")),
        ]
        .concat();
        assert_eq!(samples(&records).collect::<Vec<_>>(), [&b"abcd"[..], b"efg"]);
        // Cut short.
        assert_eq!(samples(&records[..records.len() - 1]).count(), 1);
    }

    #[test]
    fn what_is_no_record_ends_it() {
        let endless = record(PERF_RECORD_SAMPLE, &raw(9, b"abcd"));
        assert_eq!(samples(&endless).count(), 0);
        assert_eq!(samples(&[0; 64]).count(), 0);
        assert_eq!(samples(&[9, 0, 0]).count(), 0);
    }

    #[test]
    fn the_attributes_have_their_first_length() {
        assert_eq!(size_of::<Attributes>(), 64);
    }
}
