use proptest::prelude::*;

use super::*;

/// A message with this header, whatever it says.
fn laid_out(length: u32, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&[2, 0]);
    bytes.extend_from_slice(&7u32.to_ne_bytes());
    bytes.extend_from_slice(&9u32.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn messages_of_a_datagram_follow_each_other_aligned() {
    let datagram = [laid_out(17, 20, &[1, 0, 0, 0]), laid_out(16, 21, &[])].concat();
    let messages: Vec<_> = Messages::new(&datagram).collect::<Result<_, _>>().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].kind, messages[0].payload), (20, [1].as_slice()));
    assert_eq!((messages[1].kind, messages[1].payload), (21, [].as_slice()));
    assert_eq!((messages[1].flags, messages[1].sequence, messages[1].port), (2, 7, 9));
}

#[test]
fn message_that_is_cut_off_ends_the_datagram() {
    for datagram in [laid_out(15, 20, &[]), laid_out(17, 20, &[]), vec![0; 3], vec![0; 20]] {
        let mut messages = Messages::new(&datagram);
        let Some(Err(Error::Malformed { available_bytes })) = messages.next() else { panic!() };
        assert_eq!(available_bytes, datagram.len());
        assert!(messages.next().is_none());
    }
}

#[test]
fn attributes_begin_behind_the_padded_header() {
    let mut payload = vec![0; 4];
    Writer::new(&mut payload).u8(1, 5);
    let bytes = laid_out(28, 20, &payload);
    let message = Messages::new(&bytes).next().unwrap().unwrap();
    for header_bytes in [1, 4] {
        let attribute = message.attributes(header_bytes).unwrap().find(1).unwrap().unwrap();
        assert_eq!(attribute.u8(), Ok(5));
    }
    let error = message.attributes(13).unwrap_err();
    assert_eq!(error, Malformed::Header { expected_bytes: 13, found_bytes: 12 });
}

#[test]
fn raw_message_with_too_long_an_attribute_is_not_made() {
    let made = RawMessage::new(16, |message| {
        message.bytes(1, &[0; 70_000]);
    });
    assert_eq!(made, Err(TooLong { kind: 1, length_bytes: 70_000 }));
}

proptest! {
    #[test]
    fn reader_never_panics(datagram in proptest::collection::vec(any::<u8>(), 0..300), header in 0..64usize) {
        for message in Messages::new(&datagram).flatten() {
            let _ = message.attributes(header).map(Iterator::count);
        }
    }
}
