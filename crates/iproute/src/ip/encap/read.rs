//! `encap KIND …`, from words to attributes.

use std::net::{IpAddr, Ipv6Addr};

use super::super::Context;
use super::super::failure::Failure;
use super::super::wire::Attr;
use super::super::words::{Family, Read, Words, address, integer};
use super::{
    FLAGS, IP, IP_DST, IP_FLAGS, IP_ID, IP_SRC, IP_TOS, IP_TTL, IP6, KINDS, MPLS, MPLS_DST,
    MPLS_TTL, SEG6, SEG6_MODES, SEG6_SRH, SRH_BYTES,
};

/// Reads what follows `encap` into attributes of these numbers: the tunnel, and its kind.
pub(crate) fn read(
    words: &mut Words<'_>,
    context: &mut Context<'_>,
    [tunnel, kind_attr]: [u16; 2],
) -> Read<[Attr; 2]> {
    let read = |word: &str| KINDS.iter().skip(1).position(|kind| *kind == word);
    let kind = words.parse("\"encap type\" value is invalid\n", read)? + 1;
    let name = KINDS[kind];
    match words.left() {
        0 => return Err(Failure::incomplete()),
        1 => {
            let line = "Error: unexpected end of line after \"encap\"";
            return Err(words.blame(Failure::parser(line)));
        }
        _ => {}
    }
    let kind = u16::try_from(kind).unwrap_or_default();
    let attrs = match kind {
        MPLS => mpls(words)?,
        IP => ip(words, context, Family::Inet)?,
        IP6 => ip(words, context, Family::Inet6)?,
        SEG6 => seg6(words)?,
        _ => return Err(words.blame(Failure::not_covered(&format!("`encap {name}`")))),
    };
    Ok([Attr::Nest(tunnel, attrs), Attr::u16(kind_attr, kind)])
}

/// The keywords that were there: none may stand twice.
#[derive(Default)]
struct Seen<'a>(Vec<&'a str>);

impl<'a> Seen<'a> {
    /// Notes a keyword, of which iproute2 names the value where it stands twice.
    fn note(&mut self, words: &Words<'a>, word: &'a str, has_value: bool) -> Read<()> {
        if self.0.contains(&word) {
            let second = if has_value { words.peek().unwrap_or(word) } else { word };
            return Err(words.blame(Failure::garbage(word, second)));
        }
        self.0.push(word);
        Ok(())
    }
}

fn mpls(words: &mut Words<'_>) -> Read<Vec<Attr>> {
    let word = words.value()?;
    let Some(labels) = labels(word) else {
        let line = format!("Error: mpls address is expected rather than \"{word}\".");
        return Err(words.blame(Failure { ends: true, ..Failure::command(1, line) }));
    };
    let mut attrs = vec![Attr::Value(MPLS_DST, labels)];
    let mut seen = Seen::default();
    while let Some(word) = words.peek().filter(|word| *word == "ttl") {
        words.take();
        seen.note(words, word, true)?;
        attrs.push(Attr::u8(MPLS_TTL, words.parse("\"ttl\" value is invalid\n", integer)?));
    }
    Ok(attrs)
}

/// Reads `LABEL/LABEL…` into a stack (RFC 3032, section 2.1: 20 bits of label, then class, bottom of
/// stack, TTL).
fn labels(word: &str) -> Option<Vec<u8>> {
    const LABELS_MAX: usize = 16;
    const LABEL_MAX: u32 = 0xf_ffff;
    const BOTTOM: u32 = 1 << 8;
    let labels: Vec<u32> = word.split('/').map(integer).collect::<Option<_>>()?;
    let last = labels.len() - 1;
    let is_valid = labels.len() <= LABELS_MAX && labels.iter().all(|label| *label <= LABEL_MAX);
    let entry = |(at, label): (usize, u32)| {
        (label << 12 | if at == last { BOTTOM } else { 0 }).to_be_bytes()
    };
    is_valid.then(|| labels.into_iter().enumerate().flat_map(entry).collect())
}

fn ip(words: &mut Words<'_>, context: &mut Context<'_>, family: Family) -> Read<Vec<Attr>> {
    let (ttl, tos) = match family {
        Family::Inet6 => ("hoplimit", "tc"),
        _ => ("ttl", "tos"),
    };
    let mut attrs = Vec::new();
    let mut seen = Seen::default();
    let mut flags = None;
    while let Some(word) = words.take() {
        let flag = FLAGS.iter().find(|(name, _)| *name == word);
        let has_value = ["id", "dst", "src", ttl, tos].contains(&word);
        if flag.is_none() && !has_value {
            if word.ends_with("_opts") {
                let what = format!("`{word}` of a tunnel");
                return Err(words.blame(Failure::not_covered(&what)));
            }
            words.back();
            break;
        }
        seen.note(words, word, has_value)?;
        if let Some((_, bit)) = flag {
            flags = Some(flags.unwrap_or(0) | bit);
            continue;
        }
        let why = format!("\"{word}\" value is invalid\n");
        attrs.push(match word {
            "id" => {
                let id: u64 = words.parse(&why, integer)?;
                Attr::Value(IP_ID, id.to_be_bytes().to_vec())
            }
            "dst" => Attr::address(IP_DST, words.address(family)?),
            "src" => Attr::address(IP_SRC, words.address(family)?),
            word if word == ttl => Attr::u8(IP_TTL, words.parse(&why, integer)?),
            _ => {
                let tables = context.world.tables().clone();
                Attr::u8(IP_TOS, words.parse(&why, |word| tables.read_dsfield(word))?)
            }
        });
    }
    attrs.extend(flags.map(|flags: u16| Attr::Value(IP_FLAGS, flags.to_be_bytes().to_vec())));
    Ok(attrs)
}

fn seg6(words: &mut Words<'_>) -> Read<Vec<Attr>> {
    let mut seen = Seen::default();
    let (mut mode, mut segments) = (None, "");
    while let Some(word) = words.take() {
        if !["mode", "segs", "hmac"].contains(&word) {
            words.back();
            break;
        }
        seen.note(words, word, true)?;
        match word {
            "mode" => {
                let read = |word: &str| SEG6_MODES.iter().position(|mode| *mode == word);
                mode = Some(words.parse("\"mode\" value is invalid\n", read)?);
            }
            "segs" => {
                let before = mode.is_none();
                segments = words.value()?;
                if before {
                    let why = "\"segs\" provided before \"mode\"\n";
                    return Err(words.blame(Failure::invalid(why, segments)));
                }
            }
            word => {
                let what = format!("`{word}` of segments");
                return Err(words.blame(Failure::not_covered(&what)));
            }
        }
    }
    // Of nothing iproute2 makes what the kernel refuses, or one segment without an address.
    let mode = mode.map_or(-1, |mode| i32::try_from(mode).unwrap_or_default());
    let mut bytes = mode.to_ne_bytes().to_vec();
    bytes.extend(header(words, segments, mode == 0)?);
    Ok(vec![Attr::Value(SEG6_SRH, bytes)])
}

/// Lays out a segment routing header: the last segment first. Inline, the packet's own destination
/// comes last, and the kernel fills it in.
fn header(words: &Words<'_>, text: &str, own_last: bool) -> Read<Vec<u8>> {
    const TYPE: u8 = 4;
    let mut segments = Vec::new();
    for word in text.split(',') {
        let found = match word {
            "" => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            word => address(word, Family::Inet6),
        };
        let Some(IpAddr::V6(segment)) = found else {
            let line = format!("Error: inet6 address is expected rather than \"{word}\".");
            return Err(words.blame(Failure { ends: true, ..Failure::command(1, line) }));
        };
        segments.push(segment);
    }
    segments.extend(own_last.then_some(Ipv6Addr::UNSPECIFIED));
    let last = u8::try_from(segments.len() - 1).unwrap_or(u8::MAX);
    // In units of eight bytes, without the first.
    let mut bytes = vec![0, last.saturating_add(1).saturating_mul(2), TYPE, last, last];
    bytes.resize(SRH_BYTES, 0);
    bytes.extend(segments.iter().rev().flat_map(Ipv6Addr::octets));
    Ok(bytes)
}
