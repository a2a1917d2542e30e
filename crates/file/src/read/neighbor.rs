//! `neighbors:`, in iproute2's words.

use vnet_model::{Neighbor, Origin};

use super::words::{Language, Words};
use super::{At, Reader, Text};
use crate::report::Diagnostic;
use crate::syntax::Value;

/// The words of a neighbour (`ip-neighbour(8)`).
const NEIGHBOR: Language = Language {
    of: "a neighbor",
    words: &["lladdr", "dev", "proxy", "nud", "proto"],
    later: &["router", "extern_learn", "managed", "use", "vni", "port"],
    hint: "write such as `10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0`, or `proxy 10.0.0.9 dev eth0`",
};

impl Reader<'_> {
    /// Reads a node's `neighbors:`.
    pub(super) fn neighbors(&mut self, value: &Value, at: At<'_>) -> Vec<Neighbor> {
        let texts = self.texts(value, "neighbors", at);
        texts.iter().filter_map(|text| self.neighbor(text)).collect()
    }

    fn neighbor(&mut self, text: &Text<'_>) -> Option<Neighbor> {
        let mut words = Words::of(text);
        let (mut addr, mut lladdr, mut dev) = (None, None, None);
        let mut proxy = false;
        while let Some(option) = words.next() {
            match option {
                "lladdr" => {
                    let word = self.after(option, &mut words)?;
                    let mac = self.mac_of(word, text.piece(word))?;
                    self.put(&mut lladdr, mac, option, text)?;
                }
                "dev" => self.dev_after(option, &mut words, &mut dev)?,
                "proxy" => proxy = true,
                "nud" => self.permanent(option, &mut words)?,
                "proto" | "protocol" => self.proto_static(option, &mut words)?,
                "to" => {}
                word if word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':')
                    && word.contains(['.', ':']) =>
                {
                    let found = self.ip(word, text.piece(word))?;
                    self.put(&mut addr, found, word, text)?;
                }
                word => {
                    self.stray_word(word, text, &NEIGHBOR);
                    return None;
                }
            }
        }
        let complaint = match (&addr, &dev) {
            (None, _) => "the neighbor has no address",
            (_, None) => "the neighbor has no `dev`",
            _ if proxy && lladdr.is_some() => "who is answered for has no `lladdr`",
            _ if !proxy && lladdr.is_none() => "the neighbor has no `lladdr`",
            _ => "",
        };
        if !complaint.is_empty() {
            let error = Diagnostic::error(complaint, Some(text.span));
            self.error(error.hint(NEIGHBOR.hint));
            return None;
        }
        let origin: Origin = self.origin(text.span);
        Some(Neighbor { dev: dev?, addr: addr?, lladdr, origin })
    }

    fn permanent(&mut self, option: &str, words: &mut Words<'_>) -> Option<()> {
        let word = self.after(option, words)?;
        if word == "permanent" {
            return Some(());
        }
        let message = "a declared neighbor is permanent";
        let error = Diagnostic::error(message, Some(words.text.piece(word)));
        self.error(error.hint("leave out `nud`"));
        None
    }
}
