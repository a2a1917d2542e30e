//! `vlan:` and `trunk:` of a port of a bridge of the node, or of such a bridge itself.

use vnet_model::PortVlan;
use vnet_model::topology::{VlanSpec, Vlans};

use super::{At, Fields, Reader, Text};
use crate::report::{Diagnostic, shown};

/// What the number of a VLAN may be (IEEE 802.1Q-2018, table 9-2).
const NUMBERS: std::ops::RangeInclusive<u16> = 1..=4094;

impl Reader<'_> {
    /// Reads the VLANs of an interface of a node, where some are said.
    pub(super) fn vlans_of_port(
        &mut self,
        fields: &Fields<'_>,
        at: At<'_>,
    ) -> Option<Vec<VlanSpec>> {
        let (vlan, trunk) = (fields.get("vlan"), fields.get("trunk"));
        if vlan.is_none() && trunk.is_none() {
            return None;
        }
        let vlan = vlan.and_then(|value| self.text(value, "vlan", at));
        let trunk = trunk.map(|value| self.texts(value, "trunk", at)).unwrap_or_default();
        let access = vlan.and_then(|text| {
            let which = self.which_vlans(&text.text, &text)?;
            let spec = VlanSpec { which, how: PortVlan::UNTAGGED, origin: self.origin(text.span) };
            self.one_pvid(spec, &text)
        });
        let trunk = trunk.iter().filter_map(|text| self.vlan_words(text));
        Some(access.into_iter().chain(trunk.collect::<Vec<_>>()).collect())
    }

    /// Reads an entry of a trunk: `staff`, `20-29`, `30 untagged`.
    fn vlan_words(&mut self, text: &Text<'_>) -> Option<VlanSpec> {
        let mut words = text.text.split_ascii_whitespace();
        let which = self.which_vlans(words.next().unwrap_or_default(), text)?;
        let mut how = PortVlan::TAGGED;
        for word in words {
            match word {
                "pvid" => how.pvid = true,
                "untagged" => how.untagged = true,
                word => {
                    let message = format!("a VLAN of a port has no `{}`", shown(word));
                    let error = Diagnostic::error(message, Some(text.span));
                    self.error(error.hint("behind it may stand `pvid`, `untagged` or both"));
                    return None;
                }
            }
        }
        let origin = self.origin(text.span);
        self.one_pvid(VlanSpec { which, how, origin }, text)
    }

    /// Refuses a range as the VLAN of packets without a tag.
    fn one_pvid(&mut self, spec: VlanSpec, text: &Text<'_>) -> Option<VlanSpec> {
        if spec.how.pvid && matches!(spec.which, Vlans::Numbers(first, last) if first != last) {
            let message = "packets without a tag are in one VLAN";
            self.error(Diagnostic::error(message, Some(text.span)));
            return None;
        }
        Some(spec)
    }

    fn which_vlans(&mut self, word: &str, text: &Text<'_>) -> Option<Vlans> {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if !is_number(first) || !is_number(last) {
            return self.node_name(word, text.piece(word)).map(Vlans::Segment);
        }
        let number = |word: &str| word.parse().ok().filter(|number| NUMBERS.contains(number));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(Vlans::Numbers(first, last)),
            _ => {
                let message = format!("`{}` is not the number of a VLAN", shown(word));
                let error = Diagnostic::error(message, Some(text.span));
                self.error(error.hint("they go from 1 to 4094; a range is `20-29`"));
                None
            }
        }
    }
}
