//! `publish:`.

use vnet_model::nft::build::{TCP, UDP};
use vnet_model::topology::Publish;

use super::{At, Reader, Text};
use crate::report::{Diagnostic, shown};
use crate::syntax::Value;

const PORTS: (u32, u32) = (1, 65535);

impl Reader<'_> {
    /// Reads a node's `publish:`.
    pub(super) fn publish(&mut self, value: &Value, at: At<'_>) -> Vec<Publish> {
        let texts = self.texts(value, "publish", at);
        texts.iter().filter_map(|text| self.published(text)).collect()
    }

    fn published(&mut self, text: &Text<'_>) -> Option<Publish> {
        let whole = text.text.trim();
        let (protocol, ports) = match whole.split_once('/') {
            Some(("tcp", ports)) => (TCP, ports),
            Some(("udp", ports)) => (UDP, ports),
            _ => {
                let message = format!("`{}` is no port that can be published", shown(whole));
                let error = Diagnostic::error(message, Some(text.span));
                self.error(error.hint("write such as `tcp/8080:80`, or `udp/53`"));
                return None;
            }
        };
        let (outside, inside) = ports.split_once(':').unwrap_or((ports, ports));
        let mut port = |word: &str| {
            let number = self.number_of(word, text.span, "port", PORTS)?;
            u16::try_from(number).ok()
        };
        let (outside, inside) = (port(outside)?, port(inside)?);
        Some(Publish { protocol, outside, inside, origin: self.origin(text.span) })
    }
}
