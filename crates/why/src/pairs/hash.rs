//! Hashing for tables that are asked a million times: a few multiplications a key.
//!
//! The keys are addresses and prefixes of a lab, made by nobody who wants them to collide; at worst
//! a table gets slow.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Multiply`].
pub(super) type Quick = BuildHasherDefault<Multiply>;

/// An odd number whose bits look random: 2⁶⁴ divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Multiplies word by word, and folds the upper half onto the lower one.
#[derive(Debug, Default)]
pub(super) struct Multiply(u64);

impl Multiply {
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0.rotate_left(5) ^ word) * u128::from(FACTOR);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(FACTOR)
    }
}
