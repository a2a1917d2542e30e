//! The words of a command, read from left to right, and what is read from one word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::failure::Failure;

/// Words that are read one after the other.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    words: &'a [String],
    next: usize,
}

/// The result of reading words.
pub type Read<T> = Result<T, Failure>;

impl<'a> Words<'a> {
    /// Begins at the first word.
    #[must_use]
    pub fn new(words: &'a [String]) -> Self {
        Self { words, next: 0 }
    }

    /// Returns the next word without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(String::as_str)
    }

    /// Takes the next word, if there is one.
    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// Takes the value of a keyword.
    ///
    /// # Errors
    /// When the line ends here.
    pub fn value(&mut self) -> Read<&'a str> {
        match self.take() {
            Some(word) => Ok(word),
            None => Err(Failure::incomplete().at(self.next.saturating_sub(1))),
        }
    }

    /// Puts the last word back.
    pub fn back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// Returns the place of the word that was taken last.
    #[must_use]
    pub fn last(&self) -> usize {
        self.next.saturating_sub(1)
    }

    /// Returns how many words are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.words.len() - self.next
    }

    /// Reads the value of a keyword by `read`, and names both where that fails.
    ///
    /// # Errors
    /// As iproute2's `invarg`.
    pub fn parse<T>(&mut self, why: &str, read: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        let word = self.value()?;
        read(word).ok_or_else(|| Failure::invalid(why, word).at(self.last()))
    }

    /// Adds the place of the last word to a failure.
    #[must_use]
    pub fn blame(&self, failure: Failure) -> Failure {
        failure.at(self.last())
    }

    /// Reads `on` or `off` (`parse_on_off`, lib/utils.c).
    ///
    /// # Errors
    /// When it is neither.
    pub fn on_off(&mut self, keyword: &str) -> Read<bool> {
        match self.value()? {
            "on" => Ok(true),
            "off" => Ok(false),
            word => Err(self.blame(Failure::parser(format!(
                "Error: argument of \"{keyword}\" must be one of \"on\" \"off\" , not \"{word}\""
            )))),
        }
    }

    /// Reads a prefix of any family, or of the one given.
    ///
    /// # Errors
    /// In iproute2's words.
    pub fn prefix(&mut self, family: Family) -> Read<Prefix> {
        let word = self.value()?;
        let expected = family.words();
        Prefix::read(word, family).ok_or_else(|| {
            let line = format!("Error: {expected} prefix is expected rather than \"{word}\".");
            self.blame(Failure { ends: true, ..Failure::command(1, line) })
                .hint("write it as ADDRESS/LENGTH, such as 10.0.0.1/24 or 2001:db8::1/64")
        })
    }

    /// Reads an address of any family, or of the one given.
    ///
    /// # Errors
    /// In iproute2's words.
    pub fn address(&mut self, family: Family) -> Read<IpAddr> {
        let word = self.value()?;
        let expected = family.words();
        address(word, family).ok_or_else(|| {
            let line = format!("Error: {expected} address is expected rather than \"{word}\".");
            self.blame(Failure { ends: true, ..Failure::command(1, line) })
        })
    }
}

/// Tells whether `word` is an abbreviation of `keyword`, as iproute2's `matches` does.
#[must_use]
pub fn abbreviates(word: &str, keyword: &str) -> bool {
    !word.is_empty() && keyword.starts_with(word)
}

/// An address family, as far as words go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// Not said.
    #[default]
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// Links themselves.
    Link,
}

impl Family {
    /// Returns the kernel's number (`AF_*`).
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Any => 0,
            Self::Inet => 2,
            Self::Inet6 => 10,
            Self::Link => 17,
        }
    }

    /// Returns the family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Inet } else { Self::Inet6 }
    }

    /// Returns this family, or `other` where none was said.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Any { other } else { self }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Any => "any valid",
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
            Self::Link => "link",
        }
    }
}

/// A prefix as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The address; `None` for the words `default`, `any` and `all`.
    pub address: Option<IpAddr>,
    /// The length in bits.
    pub length: u8,
    /// Whether the length was typed.
    pub has_length: bool,
    /// Whether it is one of the words `default`, `any`, `all`.
    pub is_word: bool,
}

impl Prefix {
    /// Reads a prefix; `None` where it is none of this family.
    #[must_use]
    pub fn read(word: &str, family: Family) -> Option<Self> {
        if let "default" | "any" | "all" = word {
            return Some(Self { address: None, length: 0, has_length: true, is_word: true });
        }
        let (text, length) = match word.split_once('/') {
            Some((text, length)) => (text, Some(length)),
            None => (word, None),
        };
        let address = address(text, family)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length_value = match length {
            Some(length) => netmask(length)?,
            None => bits,
        };
        (length_value <= bits).then_some(Self {
            address: Some(address),
            length: length_value,
            has_length: length.is_some(),
            is_word: false,
        })
    }

    /// Returns its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.address.map_or(Family::Any, Family::of)
    }
}

/// Reads a prefix length, or a netmask of IPv4.
fn netmask(word: &str) -> Option<u8> {
    if let Some(length) = number(word) {
        return u8::try_from(length).ok();
    }
    let mask = u32::from(word.parse::<Ipv4Addr>().ok()?);
    let length = mask.leading_ones();
    (mask.checked_shl(length).unwrap_or(0) == 0).then_some(u8::try_from(length).ok()?)
}

/// Reads an address; IPv4 may be short: `10.1` is 10.1.0.0 (`get_addr_ipv4`, lib/utils.c).
#[must_use]
pub fn address(word: &str, family: Family) -> Option<IpAddr> {
    if word.contains(':') {
        let wanted = matches!(family, Family::Any | Family::Inet6);
        return word.parse::<Ipv6Addr>().ok().filter(|_| wanted).map(IpAddr::V6);
    }
    if !matches!(family, Family::Any | Family::Inet) {
        return None;
    }
    let mut octets = [0; 4];
    for (at, part) in word.split('.').enumerate() {
        *octets.get_mut(at)? = u8::try_from(number(part)?).ok()?;
    }
    Some(IpAddr::V4(octets.into()))
}

/// Reads a number that is not negative, in C's notation: decimal, `0x…` or octal.
#[must_use]
pub fn number(word: &str) -> Option<u64> {
    let (digits, radix) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if word.len() > 1 && word.starts_with('0') => (&word[1..], 8),
        None => (word, 10),
    };
    // `from_str_radix` takes a sign, which is none here.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Reads a number that fits `T`.
#[must_use]
pub fn integer<T: TryFrom<u64>>(word: &str) -> Option<T> {
    T::try_from(number(word)?).ok()
}

/// Reads a hardware address: up to 32 bytes in hexadecimal (`ll_addr_a2n`, lib/ll_addr.c).
#[must_use]
pub fn hardware_address(word: &str) -> Option<Vec<u8>> {
    if word.contains('.') {
        return Some(word.parse::<Ipv4Addr>().ok()?.octets().to_vec());
    }
    // What follows the digits is passed over, as by `sscanf`.
    let byte = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(part.len());
        u8::from_str_radix(&part[..end], 16).ok()
    };
    word.split(':').map(byte).collect()
}

/// Tells whether an interface may have this name (`check_ifname`, lib/utils.c).
#[must_use]
pub fn is_interface_name(word: &str) -> bool {
    !word.is_empty() && word.len() < 16 && is_altname(word)
}

/// Tells whether an interface may have this further name (`check_altifname`, lib/utils.c).
#[must_use]
pub fn is_altname(word: &str) -> bool {
    !word.is_empty() && word.len() < 128 && !word.bytes().any(|b| b == b'/' || is_space(b))
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases =
            [("0", Some(0)), ("010", Some(8)), ("0x1F", Some(31)), ("", None), ("0x", None)];
        for (word, value) in cases.into_iter().chain([("-1", None), ("+1", None), ("1a", None)]) {
            assert_eq!(number(word), value, "{word}");
        }
    }

    #[test]
    fn an_ipv4_address_may_be_short() {
        assert_eq!(address("10.1", Family::Any), Some("10.1.0.0".parse().unwrap()));
        assert_eq!(address("10.1.2.3.4", Family::Any), None);
        assert_eq!(address("10..1", Family::Any), None);
        assert_eq!(address("::1", Family::Inet), None);
        assert_eq!(Prefix::read("10/8", Family::Any).map(|p| p.length), Some(8));
        assert_eq!(Prefix::read("10/255.255.0.0", Family::Any).map(|p| p.length), Some(16));
        assert_eq!(Prefix::read("10/255.0.255.0", Family::Any), None);
        assert_eq!(Prefix::read("any/8", Family::Any), None);
    }

    #[test]
    fn an_abbreviation_begins_the_keyword() {
        assert!(abbreviates("a", "address") && abbreviates("address", "address"));
        assert!(!abbreviates("", "address") && !abbreviates("addresses", "address"));
    }
}
