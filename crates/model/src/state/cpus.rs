//! Sets of processors.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::by_text;

/// The largest number of a processor (`NR_CPUS`, arch/x86/Kconfig: 8192 at most).
const CPU_MAX: u32 = 8191;

/// A set of processors by their numbers, in the kernel's words for lists: `0-3,7`; `none` for no one
/// (Documentation/admin-guide/kernel-parameters.rst, "cpu lists").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpus(BTreeSet<u32>);

/// Says that a text is no set of processors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a list of processors such as 0-3,7", .0.escape_debug())]
pub struct CpusError(pub String);

impl Cpus {
    /// Returns the mask that the kernel takes: 32 bits a word in hexadecimal, the highest first
    /// (`bitmap_parse`, lib/bitmap-str.c).
    #[must_use]
    pub fn mask(&self) -> String {
        let words = self.0.last().map_or(1, |last| last / 32 + 1);
        let word = |at: u32| {
            let bits = self.0.range(at * 32..(at + 1) * 32);
            format!("{:08x}", bits.fold(0_u32, |word, cpu| word | 1 << (cpu % 32)))
        };
        (0..words).rev().map(word).collect::<Vec<_>>().join(",")
    }

    /// Reads a mask as the kernel tells it.
    #[must_use]
    pub fn from_mask(mask: &str) -> Option<Self> {
        let mut cpus = BTreeSet::new();
        for (at, word) in (0..).zip(mask.trim().rsplit(',')) {
            let bits = u32::from_str_radix(word, 16).ok()?;
            cpus.extend((0..32).filter(|bit| bits & 1 << bit != 0).map(|bit| at * 32 + bit));
        }
        Some(Self(cpus))
    }
}

impl FromStr for Cpus {
    type Err = CpusError;

    fn from_str(text: &str) -> Result<Self, CpusError> {
        let wrong = || CpusError(text.to_owned());
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|cpu: &u32| digits && *cpu <= CPU_MAX).ok_or_else(wrong)
        };
        let mut cpus = BTreeSet::new();
        if text == "none" {
            return Ok(Self(cpus));
        }
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong());
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &cpu in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => runs.push((cpu, cpu)),
            }
        }
        let run = |(first, last): &(u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        match runs.as_slice() {
            [] => f.write_str("none"),
            runs => f.write_str(&runs.iter().map(run).collect::<Vec<_>>().join(",")),
        }
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_text::read(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_mask_and_back() {
        for (list, mask, shown) in [
            ("0", "00000001", "0"),
            ("0-3,7", "0000008f", "0-3,7"),
            ("1,0,2-2", "00000007", "0-2"),
            ("31-32", "00000001,80000000", "31-32"),
            ("64", "00000001,00000000,00000000", "64"),
            ("none", "00000000", "none"),
        ] {
            let cpus: Cpus = list.parse().unwrap();
            assert_eq!((cpus.mask().as_str(), cpus.to_string().as_str()), (mask, shown));
            assert_eq!(Cpus::from_mask(mask), Some(cpus));
        }
        assert_eq!(Cpus::from_mask("3\n").unwrap().to_string(), "0-1");
        assert_eq!(Cpus::from_mask("x"), None);
        for wrong in ["", "a", "3-1", "0,", "-1", "8192", "0-8192", "+1", "1 2"] {
            assert_eq!(wrong.parse::<Cpus>(), Err(CpusError(wrong.to_owned())));
        }
    }
}
