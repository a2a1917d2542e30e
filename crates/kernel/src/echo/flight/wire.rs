//! What makes a request recognisable.

use rustix::io::{Errno, retry_on_intr};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::echo::icmp::{self, Echo};
use crate::echo::socket::Family;
use crate::error::Error;

/// The cookie of the run and the number of the request.
const MARK_BYTES: usize = 12;
const COOKIE_BYTES: usize = 8;

/// The longest payload that fits an IPv4 packet, in bytes.
const PAYLOAD_MAX_BYTES: usize = 65_535 - 20 - 8;

/// Builds requests, and tells whose an answer is.
#[derive(Debug)]
pub(super) struct Wire {
    cookie: [u8; COOKIE_BYTES],
    /// Identifier and sequence number of the first request, as one number: so the identifier
    /// changes with every 65,536 requests.
    first: u32,
    payload: Vec<u8>,
    message: Vec<u8>,
}

impl Wire {
    pub(super) fn new(
        payload_bytes: usize,
        cookie: Option<[u8; COOKIE_BYTES]>,
    ) -> Result<Self, Error> {
        let mut random = [0; COOKIE_BYTES + 4];
        let failed = || Error::system("get", "random numbers");
        let length = retry_on_intr(|| getrandom(&mut random[..], GetRandomFlags::empty()))
            .map_err(failed())?;
        if length < random.len() {
            return Err(failed()(Errno::IO));
        }
        let (drawn, first) = random.split_at(COOKIE_BYTES);
        let cookie = cookie.unwrap_or_else(|| drawn.try_into().unwrap_or_default());
        let length = payload_bytes.clamp(MARK_BYTES, PAYLOAD_MAX_BYTES);
        Ok(Self {
            cookie,
            first: u32::from_ne_bytes(first.try_into().unwrap_or_default()),
            payload: (0..=u8::MAX).cycle().take(length).collect(),
            message: Vec::new(),
        })
    }

    /// Builds the request of this number.
    pub(super) fn request(&mut self, family: Family, token: u32) -> &[u8] {
        self.payload[..COOKIE_BYTES].copy_from_slice(&self.cookie);
        self.payload[COOKIE_BYTES..MARK_BYTES].copy_from_slice(&token.to_be_bytes());
        let [a, b, c, d] = self.first.wrapping_add(token).to_be_bytes();
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let echo = Echo { id, seq, payload: &self.payload };
        match family {
            Family::V4 => icmp::emit_request(echo, &mut self.message),
            Family::V6 => icmp::emit_request_v6(echo, &mut self.message),
        }
        &self.message
    }

    /// Returns the number of the request that this is the whole answer to, if it is ours.
    pub(super) fn recognise(&self, echo: &Echo<'_>) -> Option<u32> {
        let token = self.recognise_part(echo)?;
        (echo.payload.len() == self.payload.len()).then_some(token)
    }

    /// The same where only the beginning may be there.
    pub(super) fn recognise_part(&self, echo: &Echo<'_>) -> Option<u32> {
        let number = u32::from(echo.id) << 16 | u32::from(echo.seq);
        let token = number.wrapping_sub(self.first);
        let Some((mark, _)) = echo.payload.split_first_chunk::<MARK_BYTES>() else {
            return Some(token);
        };
        let (cookie, number) = mark.split_at(COOKIE_BYTES);
        (cookie == self.cookie && number == token.to_be_bytes()).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_recognised_by_all_of_its_marks() {
        let mut wire = Wire::new(56, None).unwrap();
        // Beyond the last sequence number the identifier changes.
        wire.first = 0x1234_ffff;
        let icmp = wire.request(Family::V6, 1).to_vec();
        let echo = Echo { id: 0x1235, seq: 0, payload: &icmp[8..] };
        assert_eq!(icmp[4..8], [0x12, 0x35, 0, 0]);
        assert_eq!(wire.recognise(&echo), Some(1));
        assert_eq!(wire.recognise(&Echo { seq: 1, ..echo }), None);
        assert_eq!(wire.recognise(&Echo { payload: &icmp[8..63], ..echo }), None);
        assert_eq!(wire.recognise_part(&Echo { payload: &[], ..echo }), Some(1));
        let other = Wire::new(56, None).unwrap();
        assert_eq!(other.recognise(&echo), None, "another run has another cookie");
    }

    #[test]
    fn a_payload_has_room_for_the_mark_and_fits_a_packet() {
        assert_eq!(Wire::new(0, None).unwrap().request(Family::V4, 0).len(), 8 + MARK_BYTES);
        assert_eq!(Wire::new(usize::MAX, None).unwrap().request(Family::V4, 0).len(), 65_515);
    }
}
