//! The names that iproute2 gives to numbers: routing tables, protocols, scopes, groups.

use std::collections::BTreeMap;

use super::words::number;

/// Names of numbers of one kind, as a file such as `/etc/iproute2/rt_tables` lists them.
#[derive(Debug, Clone, Default)]
pub struct Names {
    by_number: BTreeMap<u32, String>,
    by_name: BTreeMap<String, u32>,
}

impl Names {
    fn builtin(names: &[(u32, &str)]) -> Self {
        let mut table = Self::default();
        for (number, name) in names {
            table.add(*number, name);
        }
        table
    }

    fn add(&mut self, number: u32, name: &str) {
        self.by_number.insert(number, name.to_owned());
        self.by_name.insert(name.to_owned(), number);
    }

    /// Adds the lines of a file: a number, white space, a name; `#` begins a comment.
    pub fn read(&mut self, text: &str, max: u32) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(value), Some(name)) = (words.next(), words.next()) else { continue };
            if let Some(value) = number(value).and_then(|value| u32::try_from(value).ok())
                && value <= max
            {
                self.add(value, name);
            }
        }
    }

    /// Returns the name of a number, or the number.
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        self.by_number.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }

    /// Returns the name of a number, if it has one.
    #[must_use]
    pub fn known(&self, number: u32) -> Option<&str> {
        self.by_number.get(&number).map(String::as_str)
    }

    /// Reads a name, or a number up to `max`.
    #[must_use]
    pub fn number(&self, word: &str, max: u32) -> Option<u32> {
        if let Some(number) = self.by_name.get(word) {
            return Some(*number);
        }
        u32::try_from(number(word)?).ok().filter(|number| *number <= max)
    }
}

/// All names.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Who configured a route (`rt_protos`).
    pub protocols: Names,
    /// How far an address or a route reaches (`rt_scopes`).
    pub scopes: Names,
    /// Routing tables (`rt_tables`).
    pub tables: Names,
    /// Groups of interfaces (`group`).
    pub groups: Names,
    /// Types of service (`rt_dsfield`).
    pub dsfields: Names,
    /// Realms (`rt_realms`).
    pub realms: Names,
    /// Whether numbers are shown as numbers.
    pub numeric: bool,
}

impl Default for Tables {
    /// The names that are known without files (lib/rt_names.c).
    fn default() -> Self {
        let protocols = [
            (0, "unspec"),
            (1, "redirect"),
            (2, "kernel"),
            (3, "boot"),
            (4, "static"),
            (8, "gated"),
            (9, "ra"),
            (10, "mrt"),
            (11, "zebra"),
            (12, "bird"),
            (13, "dnrouted"),
            (14, "xorp"),
            (15, "ntk"),
            (16, "dhcp"),
            (18, "keepalived"),
            (42, "babel"),
            (186, "bgp"),
            (187, "isis"),
            (188, "ospf"),
            (189, "rip"),
            (192, "eigrp"),
        ];
        let scopes = [(0, "global"), (255, "nowhere"), (254, "host"), (253, "link"), (200, "site")];
        Self {
            protocols: Names::builtin(&protocols),
            scopes: Names::builtin(&scopes),
            tables: Names::builtin(&[(255, "local"), (254, "main"), (253, "default")]),
            groups: Names::builtin(&[(0, "default")]),
            dsfields: Names::default(),
            realms: Names::default(),
            numeric: false,
        }
    }
}

impl Tables {
    /// Returns what a number is shown as: its name, unless `-Numeric` was given.
    #[must_use]
    pub fn show(&self, names: &Names, number: u32) -> String {
        if self.numeric { number.to_string() } else { names.name(number) }
    }

    /// Returns how a type of service is shown (`rtnl_dsfield_n2a`, lib/rt_names.c).
    #[must_use]
    pub fn dsfield(&self, value: u8) -> String {
        match self.dsfields.known(value.into()) {
            Some(name) if !self.numeric => name.to_owned(),
            _ => format!("0x{value:02x}"),
        }
    }

    /// Reads one realm, or two with a slash between: where packets come from, and where they go.
    #[must_use]
    pub fn read_realms(&self, word: &str) -> Option<u32> {
        let number = |word: &str| self.realms.number(word, 0xffff);
        match word.split_once('/') {
            Some((from, to)) => Some(number(from)? << 16 | number(to)?),
            None => number(word),
        }
    }

    /// Reads a type of service: a name or a hexadecimal number.
    #[must_use]
    pub fn read_dsfield(&self, word: &str) -> Option<u8> {
        if let Some(number) = self.dsfields.by_name.get(word) {
            return u8::try_from(*number).ok();
        }
        u8::from_str_radix(word.trim_start_matches("0x"), 16).ok()
    }
}
