//! `fdb:`, in the words of `bridge fdb`.

use vnet_model::topology::StaticFdb;
use vnet_model::{FdbEntry, Mac};

use super::words::{Language, Words};
use super::{At, Reader, Text};
use crate::report::Diagnostic;
use crate::syntax::Value;

/// The words of a forwarding entry (`bridge(8)`, "bridge fdb").
const FDB: Language = Language {
    of: "a forwarding entry",
    words: &["lladdr", "dev", "dst", "vlan", "static", "permanent", "self", "master"],
    later: &[
        "local",
        "dynamic",
        "use",
        "extern_learn",
        "sticky",
        "vni",
        "src_vni",
        "port",
        "via",
        "router",
        "nhid",
    ],
    hint: "write such as `02:00:00:00:00:09 dev vx0 dst 10.0.0.2`, or `02:00:00:00:00:09 dev eth0 \
           vlan 10`",
};

/// What the VLAN of an entry may be (IEEE 802.1Q-2018, table 9-2).
const VLANS: (u32, u32) = (1, 4094);

impl Reader<'_> {
    /// Reads a node's `fdb:`.
    pub(super) fn fdb(&mut self, value: &Value, at: At<'_>) -> Vec<StaticFdb> {
        let texts = self.texts(value, "fdb", at);
        texts.iter().filter_map(|text| self.fdb_entry(text)).collect()
    }

    /// Reads the hardware address of an entry: one, or all zeros for those that are not known.
    fn fdb_mac(&mut self, word: &str, text: &Text<'_>) -> Option<Mac> {
        match word.parse() {
            Ok(mac) if mac == Mac([0; 6]) => Some(mac),
            _ => self.mac_of(word, text.piece(word)),
        }
    }

    fn fdb_entry(&mut self, text: &Text<'_>) -> Option<StaticFdb> {
        let mut words = Words::of(text);
        let (mut mac, mut dev, mut dst, mut vlan) = (None, None, None, None);
        let (mut of_itself, mut of_master) = (false, false);
        while let Some(option) = words.next() {
            match option {
                "dev" => self.dev_after(option, &mut words, &mut dev)?,
                "dst" => {
                    let word = self.after(option, &mut words)?;
                    let addr = self.ip(word, text.piece(word))?;
                    self.put(&mut dst, addr, option, text)?;
                }
                "vlan" => {
                    let number = self.number_after(option, &mut words, VLANS)?;
                    self.put(&mut vlan, u16::try_from(number).ok()?, option, text)?;
                }
                // As all that are written in a file.
                "static" | "permanent" => {}
                "self" => of_itself = true,
                "master" => of_master = true,
                "lladdr" => {
                    let word = self.after(option, &mut words)?;
                    let found = self.fdb_mac(word, text)?;
                    self.put(&mut mac, found, option, text)?;
                }
                word if word.contains(':') => {
                    let found = self.fdb_mac(word, text)?;
                    self.put(&mut mac, found, word, text)?;
                }
                word => {
                    self.stray_word(word, text, &FDB);
                    return None;
                }
            }
        }
        let complaint = match (&mac, &dev, &dst) {
            (None, _, _) => "the forwarding entry has no hardware address",
            (_, None, _) => "the forwarding entry has no `dev`",
            (_, _, Some(_)) if vlan.is_some() => "what goes to a `dst` has no `vlan`",
            (_, _, Some(_)) if of_master => "what goes to a `dst` is the interface's `self`",
            (_, _, None) if of_itself => "what goes to no `dst` is the bridge's: `master`",
            _ => "",
        };
        if !complaint.is_empty() {
            let error = Diagnostic::error(complaint, Some(text.span));
            self.error(error.hint(FDB.hint));
            return None;
        }
        let entry = FdbEntry { mac: mac?, dst, vlan, origin: self.origin(text.span) };
        Some(StaticFdb { dev: dev?, entry })
    }
}
