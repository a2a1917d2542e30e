use proptest::prelude::*;

use super::*;
use crate::message::{Messages, RawMessage};

#[test]
fn messages_are_asked_for_and_numbered() {
    let mut batch = Batch::new();
    let raw = RawMessage::new(16, |message| {
        message.header(&[0; 16]).u8(4, 9);
    });
    assert_eq!(batch.push(&raw.unwrap(), Flags::CREATE | Flags::EXCL), 0);
    let begin = batch.push_unacknowledged(17, Flags::NONE, |message| {
        message.header(&[1]);
    });
    assert_eq!(begin, 1);
    batch.number(u32::MAX);

    let messages: Vec<_> = Messages::new(batch.as_bytes()).collect::<Result<_, _>>().unwrap();
    let [first, second] = messages[..] else { panic!("{messages:?}") };
    assert_eq!((first.kind, first.flags, first.sequence), (16, 0x605, u32::MAX));
    assert_eq!((second.kind, second.flags, second.sequence), (17, 0x1, 0));
    assert_eq!((first.payload.len(), second.payload.len()), (24, 4));
    assert!(batch.is_acknowledged(0) && !batch.is_acknowledged(1));
    assert_eq!(batch.message_bytes(1), &batch.as_bytes()[40..]);
    assert_eq!(batch.message_bytes(2), &[] as &[u8]);
}

#[test]
fn cleared_batch_is_as_new() {
    let mut batch = Batch::new();
    batch.push_raw(16, Flags::ECHO, |message| {
        message.bytes(1, &[0; 70_000]);
    });
    assert!(batch.too_long().is_some() && batch.is_echoed(0));
    batch.clear();
    assert!(batch.is_empty() && batch.as_bytes().is_empty() && batch.too_long().is_none());
}

#[test]
fn refilled_batch_has_no_old_bytes_in_its_padding() {
    let mut batch = Batch::new();
    batch.push_raw(16, Flags::NONE, |message| {
        message.header(&[0xff; 64]);
    });
    batch.clear();
    let raw = RawMessage::new(16, |message| {
        message.u8(1, 0);
    });
    batch.push(&raw.unwrap(), Flags::NONE);
    assert_eq!(&batch.as_bytes()[16..], [5, 0, 1, 0, 0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn every_message_is_found_again(payloads in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..30), first in any::<u32>())
    {
        let mut batch = Batch::new();
        for payload in &payloads {
            batch.push_raw(20, Flags::CREATE, |message| {
                message.header(payload);
            });
        }
        batch.number(first);
        let messages: Vec<_> = Messages::new(batch.as_bytes()).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(messages.len(), batch.len());
        for (index, (message, payload)) in messages.iter().zip(&payloads).enumerate() {
            prop_assert!(message.payload.starts_with(payload));
            prop_assert_eq!(message.sequence, first.wrapping_add(u32::try_from(index).unwrap()));
        }
    }
}
