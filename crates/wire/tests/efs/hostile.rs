//! Damaged and invented raw data: no panic, no wrong success, no memory for what has not come.

use ntbak_wire::Result;
use proptest::prelude::*;

use crate::model::*;

/// A small file with all kinds of parts.
fn sample() -> Vec<u8> {
    file(&[
        data_header(""),
        Head::one(0, 1024, 1024).segment(),
        Head::many(1024, 2048, 9, vec![512, 0, 0, 512]).segment(),
        stream_header(1, &utf16(":n:$DATA")),
        segment(b"plain"),
    ])
}

#[test]
fn efs_27_cut_at_every_byte() {
    let whole = sample();
    let all = decode(&whole).unwrap();
    let mut accepted = Vec::new();
    for len in 0..whole.len() {
        let Ok(raw) = decode(&whole[..len]) else {
            assert!(decode_in_steps(&whole[..len], 1).is_err());
            continue;
        };
        accepted.push(len);
        // What is there is a beginning of what was there.
        assert_eq!(raw.metadata, all.metadata);
        for (cut, stream) in raw.streams.iter().zip(&all.streams) {
            assert_eq!(cut.head, stream.head);
            assert_eq!(cut.segments, stream.segments[..cut.segments.len()]);
        }
    }
    // Exactly behind the metadata, behind each stream header and between two segments.
    let metadata = prologue().len();
    let first = metadata + 42;
    let second = first + 512 + 1024;
    let third = second + 512 + 1024;
    assert_eq!(accepted, [metadata, first, second, third, third + 44]);
}

#[test]
fn a_cut_of_a_large_stream_leaves_it_open() {
    let full = Head::one(0, 65536, 65536);
    let last = Head::one(65536, 100, 512);
    let whole = with_segments(&[full, last]);
    assert!(!decode(&whole).unwrap().streams[0].end.open);
    let cut = &whole[..whole.len() - 1024];
    assert!(decode(cut).unwrap().streams[0].end.open, "nothing else tells that a segment is missing");
}

#[test]
fn efs_28_every_flipped_bit() {
    let whole = sample();
    let expected = decode(&whole).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let in_steps = decode_in_steps(&bytes, 1);
        match decode(&bytes) {
            Err(error) => assert_eq!(in_steps.unwrap_err(), error),
            Ok(raw) => {
                assert_eq!(in_steps.unwrap(), raw);
                assert_eq!(raw.metadata.len(), expected.metadata.len());
                assert_eq!(raw.streams.len(), expected.streams.len());
            }
        }
    }
}

#[test]
fn sizes_that_lie_cost_nothing() {
    // Each says that it is large, and then the input ends.
    let mut segment_of_16_mib = segment(&[]);
    segment_of_16_mib[..4].copy_from_slice(&(16_u32 << 20).to_le_bytes());
    let mut many_blocks = Head::many(0, 0, 9, vec![]);
    many_blocks.count = u16::MAX;
    many_blocks.length = 0x1C + 4 * 65535;
    let mut head = many_blocks.bytes();
    head.truncate(0x1C);
    for parts in [
        vec![data_header(""), segment_of_16_mib.clone()],
        vec![data_header(""), segment_of_16_mib.clone(), head],
        vec![stream_header(1, &utf16("::$DATA")), segment_of_16_mib],
    ] {
        assert!(decode(&file(&parts)).is_err());
    }
}

#[test]
fn more_streams_than_a_volume_could_hold_are_refused() {
    let parts: Vec<_> = (0..8193).map(|number| data_header(&format!("{number}"))).collect();
    assert!(decode(&file(&parts[..8192])).is_ok());
    assert!(decode(&file(&parts)).is_err());
}

fn same(bytes: &[u8], step: usize) -> (Result<Raw>, Result<Raw>) {
    (decode(bytes), decode_in_steps(bytes, step))
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(tail in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
        let (whole, cut) = same(&file(&[data_header(""), tail]), step);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn damaged_data_are_refused_or_read(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        step in 1_usize..600,
    ) {
        let mut bytes = sample();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (whole, cut) = same(&bytes, step);
        prop_assert_eq!(whole, cut);
    }
}
