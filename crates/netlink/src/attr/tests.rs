use proptest::prelude::*;

use super::*;

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

#[test]
fn attributes_are_laid_out_as_the_kernel_reads_them() {
    let bytes = written(|message| {
        message.header(&[2]).u8(1, 7).text(3, "eth0").flag(4);
        message.nest(18, |info| {
            info.u16_be(2, 0x0102);
        });
    });
    #[rustfmt::skip]
    let expected = [
        [2, 0, 0, 0].as_slice(),
        &5u16.to_ne_bytes(), &1u16.to_ne_bytes(), &[7, 0, 0, 0],
        &9u16.to_ne_bytes(), &3u16.to_ne_bytes(), b"eth0\0\0\0\0",
        &4u16.to_ne_bytes(), &4u16.to_ne_bytes(),
        &12u16.to_ne_bytes(), &0x8012u16.to_ne_bytes(),
            &6u16.to_ne_bytes(), &2u16.to_ne_bytes(), &[1, 2, 0, 0],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn values_are_read_as_written() {
    let bytes = written(|message| {
        message.u8(1, 0x12).u16(2, 0x1234).u32(3, 0x1234_5678).i32(4, -5).u64(5, u64::MAX - 1);
        message.u16_be(6, 0x1234).u32_be(7, 0x1234_5678).u64_be(8, 3).text(9, "lo");
        message.nest_unflagged(10, |nest| {
            nest.flag(11);
        });
    });
    let all: Vec<_> = Attributes::new(&bytes).collect::<Result<_, _>>().unwrap();
    assert_eq!(all[0].u8(), Ok(0x12));
    assert_eq!(all[1].u16(), Ok(0x1234));
    assert_eq!(all[2].u32(), Ok(0x1234_5678));
    assert_eq!(all[3].i32(), Ok(-5));
    assert_eq!(all[4].u64(), Ok(u64::MAX - 1));
    assert_eq!(all[5].u16_be(), Ok(0x1234));
    assert_eq!(all[6].u32_be(), Ok(0x1234_5678));
    assert_eq!(all[7].u64_be(), Ok(3));
    assert_eq!(all[8].text(), Ok("lo"));
    assert_eq!(all[9].nested().map(|it| it.unwrap().kind).collect::<Vec<_>>(), [11]);
    assert!(!all[9].is_nested);
    assert_eq!(
        all[1].u32().unwrap_err().to_string(),
        "attribute 2 has a value of 2 bytes instead of 4"
    );
}

#[test]
fn text_ends_at_its_first_zero_byte() {
    let attribute = |value| Attribute { kind: 3, is_nested: false, value };
    assert_eq!(attribute(b"lo\0junk").text(), Ok("lo"));
    assert_eq!(attribute(b"lo").text(), Ok("lo"));
    assert_eq!(attribute(b"").text(), Ok(""));
    assert_eq!(attribute(b"\xff\0").text(), Err(Malformed::Text { kind: 3 }));
}

#[test]
fn last_attribute_may_lack_its_padding() {
    let bytes = [5u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat();
    let bytes = [bytes.as_slice(), &[9]].concat();
    let all: Vec<_> = Attributes::new(&bytes).collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].unwrap().u8(), Ok(9));
}

#[test]
fn cut_off_attribute_is_reported_once_with_its_place() {
    let bytes = written(|message| {
        message.u32(1, 1).u32(2, 2);
    });
    let mut attributes = Attributes::new(&bytes[..13]);
    assert_eq!(attributes.next().unwrap().unwrap().kind, 1);
    let malformed = Malformed::Length { offset: 8, length_bytes: 8, available_bytes: 5 };
    assert_eq!(attributes.next(), Some(Err(malformed)));
    assert_eq!(attributes.next(), None);
    assert_eq!(malformed.to_string(), "attribute at byte 8 says 8 bytes, 5 are there");
}

#[test]
fn attribute_shorter_than_its_header_is_malformed() {
    for length_bytes in 0..4usize {
        let length = u16::try_from(length_bytes).unwrap();
        let bytes = [length.to_ne_bytes(), [1, 0], [0, 0], [0, 0]].concat();
        let malformed = Malformed::Length { offset: 0, length_bytes, available_bytes: 8 };
        assert_eq!(Attributes::new(&bytes).next(), Some(Err(malformed)));
    }
}

#[test]
fn too_long_attribute_is_left_out_and_remembered() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.u8(1, 1).bytes(2, &[0; 65_532]).bytes(3, &[0; 80_000]);
    assert_eq!(writer.too_long(), Some(TooLong { kind: 2, length_bytes: 65_532 }));
    assert_eq!(bytes.len(), 8);

    let mut writer = Writer::new(&mut bytes);
    writer.bytes(2, &[0; 65_531]);
    assert_eq!(writer.too_long(), None);
}

#[test]
fn too_long_nest_is_left_out_whole() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.nest(5, |nest| {
        nest.bytes(1, &[0; 40_000]).bytes(2, &[0; 40_000]);
    });
    assert_eq!(writer.too_long(), Some(TooLong { kind: 5, length_bytes: 80_008 }));
    assert!(bytes.is_empty());
}

proptest! {
    #[test]
    fn reader_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for attribute in Attributes::new(&bytes).flatten() {
            let _ = (attribute.u8(), attribute.u32_be(), attribute.text());
            for nested in attribute.nested() {
                let _ = nested;
            }
        }
        let _ = Attributes::new(&bytes).find(1);
    }

    #[test]
    fn what_is_written_is_read(values in proptest::collection::vec(
        (0..=TYPE_MASK, proptest::collection::vec(any::<u8>(), 0..50)), 0..20))
    {
        let bytes = written(|message| {
            for (kind, value) in &values {
                message.bytes(*kind, value);
            }
        });
        let read: Vec<_> = Attributes::new(&bytes)
            .map(|attribute| attribute.map(|it| (it.kind, it.value.to_vec())))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert_eq!(read, values);
        prop_assert_eq!(bytes.len() % 4, 0);
    }
}
