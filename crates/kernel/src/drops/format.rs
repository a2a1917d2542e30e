//! What tracefs says of a tracepoint: where what stands in a sample, and what numbers are called
//! (`events/*/*/format`, Documentation/trace/events.rst).

use std::collections::BTreeMap;

/// Above are the numbers of those parts of the kernel (`SKB_DROP_REASON_SUBSYS_MASK`, include/net/dropreason-core.h).
const CORE_MAX: u32 = 0xFFFF;

/// How to read a sample of `skb:kfree_skb`.
#[derive(Debug)]
pub(super) struct Format {
    protocol: Field,
    reason: Field,
    names: BTreeMap<u32, String>,
}

/// A place in a sample, in bytes.
#[derive(Debug, Clone, Copy)]
struct Field {
    offset: usize,
    size: usize,
}

impl Format {
    /// Reads the file; `None` where the kernel gives no reasons, or none that can be read here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let names = names(text);
        let format =
            Self { protocol: field(text, "protocol")?, reason: field(text, "reason")?, names };
        (!format.names.is_empty()).then_some(format)
    }

    /// Returns the name of the reason in a sample; the number of one that a part of the kernel has for itself.
    pub(super) fn reason(&self, sample: &[u8]) -> Option<String> {
        let number = self.reason.read(sample)?;
        // Those of the core without a name mean that a packet was not dropped (`SKB_CONSUMED`).
        let of_part = || (number > CORE_MAX).then(|| number.to_string());
        self.names.get(&number).cloned().or_else(of_part)
    }

    /// Returns the protocol of the packet, as Ethernet numbers it.
    pub(super) fn protocol(&self, sample: &[u8]) -> Option<u32> {
        self.protocol.read(sample)
    }
}

impl Field {
    fn read(self, sample: &[u8]) -> Option<u32> {
        let bytes = sample.get(self.offset..)?.get(..self.size)?;
        match self.size {
            2 => Some(u16::from_ne_bytes(bytes.try_into().ok()?).into()),
            4 => Some(u32::from_ne_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }
}

/// Finds the line of a field: `field:unsigned short NAME; offset:32; size:2; signed:0;`, with tabs for spaces.
fn field(text: &str, name: &str) -> Option<Field> {
    text.lines().find_map(|line| {
        let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
        parts.next()?.strip_suffix(name)?.strip_suffix(' ')?;
        let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
        let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
        Some(Field { offset, size })
    })
}

/// Reads `__print_symbolic(REC->reason, { 3, "NO_SOCKET" }, …)`.
fn names(text: &str) -> BTreeMap<u32, String> {
    let list = text.split_once("__print_symbolic(REC->reason,").map_or("", |(_, list)| list);
    let pair = |pair: &str| {
        let (number, name) = pair.split_once(',')?;
        let name = name.split('"').nth(1)?;
        Some((number.trim().parse().ok()?, name.to_owned()))
    };
    list.split('{').skip(1).filter_map(pair).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What Linux 6.18 has, with some of its reasons.
    pub(crate) const LINUX_6_18: &str = "name: kfree_skb
ID: 2310
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:void * rx_sk;	offset:24;	size:8;	signed:0;
	field:unsigned short protocol;	offset:32;	size:2;	signed:0;
	field:enum skb_drop_reason reason;	offset:36;	size:4;	signed:0;

print fmt: \"skbaddr=%p rx_sk=%p protocol=%u location=%pS reason: %s\", REC->skbaddr, REC->rx_sk, \
REC->protocol, REC->location, __print_symbolic(REC->reason, { 2, \"NOT_SPECIFIED\" }, \
{ 3, \"NO_SOCKET\" }, { 12, \"NETFILTER_DROP\" }, { 103, \"IPV6_NDISC_NS_OTHERHOST\" }, { 128, \"MAX\" })
";

    /// What Linux before 5.17 has.
    const WITHOUT_REASONS: &str = "name: kfree_skb
ID: 1200
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:unsigned short protocol;	offset:24;	size:2;	signed:0;

print fmt: \"skbaddr=%p protocol=%u location=%p\", REC->skbaddr, REC->protocol, REC->location
";

    /// A sample as [`LINUX_6_18`] has them.
    pub(crate) fn sample(protocol: u16, reason: u32) -> Vec<u8> {
        let mut bytes = vec![0xAA; 40];
        bytes[32..34].copy_from_slice(&protocol.to_ne_bytes());
        bytes[36..40].copy_from_slice(&reason.to_ne_bytes());
        bytes
    }

    #[test]
    fn places_and_names_are_the_kernels() {
        let format = Format::parse(LINUX_6_18).unwrap();
        let sample = sample(0x86DD, 12);
        assert_eq!(format.protocol(&sample), Some(0x86DD));
        assert_eq!(format.reason(&sample).as_deref(), Some("NETFILTER_DROP"));
        assert_eq!(format.names.len(), 5);
        // Other offsets, other numbers.
        let other = LINUX_6_18.replace("offset:36", "offset:28").replace("{ 12,", "{ 8,");
        let format = Format::parse(&other).unwrap();
        let mut sample = sample.clone();
        sample[28..32].copy_from_slice(&8_u32.to_ne_bytes());
        assert_eq!(format.reason(&sample).as_deref(), Some("NETFILTER_DROP"));
        sample[28..32].copy_from_slice(&12_u32.to_ne_bytes());
        assert_eq!(format.reason(&sample), None);
    }

    #[test]
    fn what_gives_no_reasons_is_not_read() {
        assert!(Format::parse(WITHOUT_REASONS).is_none());
        assert!(Format::parse("").is_none());
        // Names without numbers are of no use.
        let unresolved = LINUX_6_18.replace("{ ", "{ SKB_DROP_REASON_");
        assert!(Format::parse(&unresolved).is_none());
    }

    #[test]
    fn a_sample_that_is_too_short_has_no_reason() {
        let format = Format::parse(LINUX_6_18).unwrap();
        assert_eq!(format.reason(&sample(0x0800, 3)[..38]), None);
        assert_eq!(format.protocol(&[]), None);
    }
}
