//! The stream codec at the level of records: `RecordDecoder` and `RecordEncoder`.
//!
//! The judge is [`stream_judge::interpret`], which works the outcome out from the list of streams that the input was made of. Test
//! names carry the number of the edge case in the facts note on backup streams, section 7.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[allow(dead_code)]
mod stream_judge;

use std::collections::BTreeMap;

use ntbak_wire::record::{Record, SmallKind, StreamHead};
use ntbak_wire::stream::{Position, RecordDecoder, RecordEncoder, StreamName, StreamSet};
use ntbak_wire::{Name, Win32Error};
use stream_judge::*;

const MALFORMED: Win32Error = Win32Error::INVALID_DATA;

#[test]
fn bs_1_empty_input_is_no_records() {
    assert_eq!(decode(&[]), []);
    assert_eq!(run(RecordDecoder::strict(), [&b""[..]]), []);
}

#[test]
fn bs_6_unknown_ids_are_an_error_and_the_rest_stays() {
    for id in [0, 12, u32::MAX] {
        let streams = [raw(1, 8, "", b""), block(4, b"kept"), raw(id, 0, "", b"??"), raw(3, 2, "", b"after")];
        let expected = [
            Stream(sparse_head(None)),
            Rec::Block(4, 4),
            Bytes(4, b"kept".to_vec()),
            End(8), // the stream before it is completed first
            Fault(52, MALFORMED, 52),
            Small(SmallKind::Security, b"after".to_vec()),
        ];
        assert_eq!(decode(&streams), expected);
    }
}

#[test]
fn bs_7_bs_8_ids_that_mean_nothing_are_passed_over() {
    let one = |strict: bool, id: u32| {
        let decoder = if strict { RecordDecoder::strict() } else { RecordDecoder::new() };
        run(decoder, [&bytes_of(&[raw(id, 0, "", b"payload")])[..]])
    };
    for (id, lenient, strict) in [
        (6, Ignored(6), Fault(0, MALFORMED, 0)),
        (10, Ignored(10), Ignored(10)),
        (2, Small(SmallKind::Ea, b"payload".to_vec()), Ignored(2)),
        (5, Small(SmallKind::Link, b"payload".to_vec()), Ignored(5)),
        (11, Ignored(11), Fault(0, Win32Error::NOT_SUPPORTED, 0)),
    ] {
        assert_eq!((one(false, id), one(true, id)), (vec![lenient], vec![strict]), "id {id}");
    }
}

#[test]
fn bs_11_a_name_on_another_stream_than_4_is_ignored() {
    let streams = [raw(1, 0, ":x", b"data"), raw(9, 8, "ab", [&2_u64.to_le_bytes()[..], b"B"].concat())];
    let expected = [
        Stream(plain_head(None, 4)),
        Bytes(0, b"data".to_vec()),
        End(4),
        Stream(amending(None)),
        Rec::Block(2, 1),
        Bytes(2, b"B".to_vec()),
        End(3),
    ];
    assert_eq!(decode(&streams), expected);
}

#[test]
fn bs_12_bs_13_attributes_are_not_required_and_unknown_ones_ignored() {
    for attributes in [0, 2, 0x8000_0000, 0xFFFF_FFFF] {
        assert_eq!(decode(&[raw(3, attributes, "", b"sd")]), [Small(SmallKind::Security, b"sd".to_vec())]);
    }
    assert_eq!(decode(&[raw(1, 0x8000_0000, "", b"x")])[0], Stream(plain_head(None, 1)), "not sparse");
}

/// Error 123, with the offset of the character and of the stream; its blocks go nowhere, what follows is fine.
#[test]
fn bs_14_names_that_no_stream_has() {
    let long = format!(":{}", "x".repeat(256));
    let cases = [
        ("", 0),
        ("a", 0),
        (":", 1),
        ("::$DATA", 1),
        (":a\0", 2),
        (":a\0:$DATA", 2),
        (":/", 1),
        (":a\\b", 2),
        (":ab/c:$DATA", 3),
        (":a:b", 2),
        (":a:b:$DATA", 2),
        (":x:$INDEX_ALLOCATION", 2),
        (":x:$DATA\0", 2),
        (&long, 256),
    ];
    for (name, unit) in cases {
        let streams =
            [raw(1, 0, "", b"main"), raw(4, 8, name, b"secret"), block(1, b"lost"), raw(3, 2, "", b"sd")];
        let expected = [
            Stream(plain_head(None, 4)),
            Bytes(0, b"main".to_vec()),
            End(4),
            Fault(24 + 20 + unit * 2, Win32Error::INVALID_NAME, 24),
            Small(SmallKind::Security, b"sd".to_vec()),
        ];
        assert_eq!(decode(&streams), expected, "{name:?}");
    }
}

#[test]
fn bs_15_the_type_of_a_name_may_be_left_out() {
    for name in [":a", ":a:$DATA", ":a:$data"] {
        assert_eq!(decode(&[raw(4, 0, name, b"")]), [Stream(plain_head(Some("a"), 0)), End(0)]);
    }
}

#[test]
fn bs_16_control_characters_and_unpaired_surrogates_survive() {
    let odd = StreamName::new(Name::from_units(vec![1, 0xDC00, 0x1F, 0xD800])).unwrap();
    let head = StreamHead::plain(Some(odd), 0);
    let mut bytes = Vec::new();
    RecordEncoder::new().put(&Record::Stream(&head), &mut bytes).unwrap();
    assert_eq!(bytes[20..28], [b':', 0, 1, 0, 0x00, 0xDC, 0x1F, 0]);
    assert_eq!(run(RecordDecoder::new(), [&bytes[..]]), [Stream(head), End(0)]);
}

/// What each list of streams makes of a file: the sizes of its streams, which are sparse, and their bytes.
#[test]
fn bs_17_bs_18_bs_19_bs_20_bs_21_bs_22_bs_23_bs_24_bs_25_bs_26_bs_27_what_the_file_becomes() {
    let (data, sparse) = (|p: &[u8]| raw(1, 0, "", p), |p: &[u8]| raw(1, 8, "", p));
    let ads = |name| raw(4, 8, name, b"");
    let end = |offset| block(offset, b"");
    type Expected<'a> = (Option<&'a str>, u64, bool, Vec<(u64, &'a [u8])>);
    let cases: Vec<(&str, Vec<Raw>, Vec<Expected<'_>>)> = vec![
        ("17: two DATA", vec![data(b"first"), data(b"2nd")], vec![(None, 3, false, vec![(0, b"2nd")])]),
        ("17: an empty one, too", vec![data(b"first"), data(b"")], vec![(None, 0, false, vec![])]),
        (
            "17: two of a name",
            vec![raw(4, 0, ":a", b"long"), raw(4, 0, ":a:$DATA", b"s")],
            vec![(Some("a"), 1, false, vec![(0, b"s")])],
        ),
        (
            "18: after an ALTERNATE",
            vec![sparse(b""), end(9), ads(":a"), block(2, b"x"), end(5), ads(":b"), block(0, b"y")],
            vec![
                (None, 9, true, vec![]),
                (Some("a"), 5, true, vec![(2, b"x")]),
                (Some("b"), 1, true, vec![(0, b"y")]),
            ],
        ),
        (
            "18: with others between them",
            vec![ads(":a"), raw(3, 0, "", b"sd"), raw(10, 0, "", b"txf"), block(2, b"x")],
            vec![(Some("a"), 3, true, vec![(2, b"x")])],
        ),
        ("20: terminator only", vec![sparse(b""), end(1 << 40)], vec![(None, 1 << 40, true, vec![])]),
        (
            "21: descending, overlapping",
            vec![sparse(b""), block(4, b"4567"), block(0, b"01234"), block(2, b"XY"), end(8)],
            vec![(None, 8, true, vec![(0, b"01XY4567")])],
        ),
        ("22: contents inside", vec![sparse(b"inside")], vec![(None, 6, true, vec![(0, b"inside")])]),
        ("23: nothing", vec![sparse(b"")], vec![(None, 0, true, vec![])]),
        ("24: a terminator at 0", vec![sparse(b""), end(0)], vec![(None, 0, true, vec![])]),
        (
            "25: contents and blocks",
            vec![sparse(b"inside"), block(4, b"OUT"), block(9, b"!"), end(12)],
            vec![(None, 12, true, vec![(0, b"insiOUT"), (9, b"!")])],
        ),
        (
            "26: no terminator",
            vec![sparse(b""), block(7, b"ab"), block(1, b"c")],
            vec![(None, 9, true, vec![(7, b"ab"), (1, b"c")])],
        ),
        (
            "27: a low terminator",
            vec![sparse(b""), block(7, b"ab"), end(3)],
            vec![(None, 9, true, vec![(7, b"ab")])],
        ),
        ("59: a lone block", vec![block(3, b"abc")], vec![(None, 6, true, vec![(3, b"abc")])]),
        (
            "blocks after the terminator",
            vec![sparse(b""), end(3), block(5, b"a")],
            vec![(None, 6, true, vec![(5, b"a")])],
        ),
    ];
    for (what, streams, expected) in cases {
        let mut file = File::default();
        for (name, size, sparse, ranges) in expected {
            let mut content = Content { size, sparse, bytes: BTreeMap::new() };
            ranges.iter().for_each(|(offset, data)| content.write(*offset, data));
            file.streams.insert(name.map(Name::from), content);
        }
        let records = decode(&streams);
        assert_eq!(apply(&records).streams, file.streams, "{what}");
        assert_eq!(interpret(&streams, &[]).streams, file.streams, "{what}: the judge");
        assert!(!records.iter().any(|record| matches!(record, Fault(..))), "{what}");
    }
    let twice = [raw(3, 0, "", b"1"), raw(7, 0, "", b"1"), raw(3, 0, "", b"2"), raw(7, 0, "", b"2")];
    let small = apply(&decode(&twice)).small;
    assert!(small.len() == 2 && small.values().all(|payload| payload == b"2"), "17: the last wins");
}

#[test]
fn bs_19_blocks_that_are_too_short_or_too_far() {
    for size in 0..8 {
        let streams = [raw(1, 8, "", b""), raw(9, 8, "", vec![0; size]), block(1, b"x")];
        let expected = [
            Stream(sparse_head(None)),
            Fault(28, MALFORMED, 20),
            Rec::Block(1, 1),
            Bytes(1, b"x".to_vec()),
            End(2),
        ];
        assert_eq!(decode(&streams), expected, "Size {size}");
    }
    for (offset, data, fine) in [
        ((1 << 63) - 1, &b""[..], true),
        ((1 << 63) - 2, b"x", true),
        ((1 << 63) - 1, b"x", false),
        (1 << 63, b"", false),
        (u64::MAX, b"", false),
        (u64::MAX, b"x", false),
    ] {
        let records = decode(&[raw(1, 8, "", b""), block(offset, data), raw(3, 2, "", b"sd")]);
        let faults: Vec<_> = records.iter().filter(|record| matches!(record, Fault(..))).collect();
        assert_eq!(faults, if fine { vec![] } else { vec![&Fault(40, MALFORMED, 20)] }, "{offset:#x}");
        assert_eq!(records.last(), Some(&Small(SmallKind::Security, b"sd".to_vec())));
    }
}

/// The offset of a block stands behind the name, if a block has one by mistake.
#[test]
fn the_fault_in_a_block_with_a_name_is_behind_the_name() {
    let far = raw(9, 8, "name", u64::MAX.to_le_bytes());
    assert_eq!(decode(&[raw(1, 8, "", b""), far])[1], Fault(20 + 20 + 8, MALFORMED, 20));
}

/// Which records come when only these kinds are accepted.
#[test]
fn streams_that_are_not_accepted_are_ignored_with_their_blocks() {
    let streams = [
        raw(3, 2, "", vec![3; 300_000]), // too large, but nobody wants it
        raw(1, 8, "", b""),
        block(0, b"secret"),
        raw(2, 0, "", b"ea"),
        block(9, b"secret"),
        raw(4, 0, ":a", b"ads"),
        block(1, b"D"),
    ];
    let bytes = bytes_of(&streams);
    let run_with = |accepted| {
        let mut decoder = RecordDecoder::new();
        decoder.accept(accepted);
        assert_eq!(decoder.accepted(), accepted);
        run(decoder, bytes.chunks(7))
    };
    let ea = Small(SmallKind::Ea, b"ea".to_vec());
    assert_eq!(run_with(StreamSet::EA_DATA), [Ignored(3), Ignored(1), ea, Ignored(4)]);
    let records = run_with(StreamSet::ALTERNATE_DATA);
    assert_eq!(records[..3], [Ignored(3), Ignored(1), Ignored(2)]);
    let ads = &apply(&records).streams[&Some(Name::from("a"))];
    assert_eq!(ads.bytes.values().copied().collect::<Vec<u8>>(), b"aDs");
}

/// Without a stream before it a block is for the unnamed one, so it is not given when DATA is not accepted.
#[test]
fn a_lone_block_is_not_accepted_without_data() {
    for accepted in [StreamSet::empty(), StreamSet::all() - StreamSet::DATA] {
        let mut decoder = RecordDecoder::new();
        decoder.accept(accepted);
        let records = run(decoder, [&bytes_of(&[block(0, b"content")])[..]]);
        assert!(records.iter().all(|record| matches!(record, Ignored(9))), "{records:?}");
    }
}

/// A small payload of which bytes were skipped is dropped, also when `next` has not been asked about it yet.
#[test]
fn skipping_into_a_small_payload_drops_it_even_before_it_was_told() {
    let bytes = bytes_of(&[raw(1, 8, "", b""), raw(3, 2, "", b"descriptor"), raw(7, 0, "", b"after")]);
    let mut decoder = RecordDecoder::new();
    let mut input = &bytes[..];
    let mut records = Vec::new();
    while records.last() != Some(&End(0)) {
        push(&mut records, decoder.next(&mut input).unwrap().unwrap());
    }
    assert_eq!(decoder.position(), Position::Payload { left: 10 });
    assert_eq!(decoder.skip(4), 4);
    let mut input = &bytes[decoder.offset() as usize..];
    while let Some(decoded) = decoder.next(&mut input).unwrap() {
        push(&mut records, decoded);
    }
    assert_eq!(records[1..], [End(0), Small(SmallKind::ObjectId, b"after".to_vec())]);
}

/// `BackupSeek` by Size right behind the header of a block, the offset included (64), and of a small payload (65).
#[test]
fn bs_64_bs_65_a_whole_payload_can_be_skipped() {
    let streams = [raw(1, 8, "", b""), block(5, b"12345"), raw(8, 0, "", b"reparse"), block(1, b"x")];
    let bytes = bytes_of(&streams);
    let (mut decoder, mut records) = (RecordDecoder::new(), Vec::new());
    for (header, payload) in [(0..20, 0), (20..40, 13), (53..73, 7), (80..100, 9)] {
        let mut input = &bytes[header];
        while let Some(decoded) = decoder.next(&mut input).unwrap() {
            push(&mut records, decoded);
        }
        assert_eq!(decoder.skip(u64::MAX), payload);
        assert_eq!(decoder.skip(1), 0);
    }
    finish(&mut decoder, &mut records);
    assert_eq!(records, [Stream(sparse_head(None)), End(0), Stream(amending(None)), End(0)]);
}
