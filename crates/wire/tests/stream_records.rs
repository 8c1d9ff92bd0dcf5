//! The stream codec at the level of records: `RecordDecoder` and `RecordEncoder`.
//!
//! The judge is [`interpret`], which works the outcome out from the list of streams that the input was made of. Test
//! names carry the number of the edge case in the facts note on backup streams, section 7.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use ntbak_wire::record::{Extent, Extents, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::stream::{Decoded, Position, RecordDecoder, RecordEncoder, StreamName, StreamSet};
use ntbak_wire::{Name, Win32Error};
use proptest::prelude::*;
use proptest::sample::Index;

/// A stream as it is put into the input: id, attributes, name, payload.
type Raw = (u32, u32, Name, Vec<u8>);

fn raw(id: u32, attributes: u32, name: &str, payload: impl AsRef<[u8]>) -> Raw {
    (id, attributes, Name::from(name), payload.as_ref().to_vec())
}

fn block(offset: u64, data: &[u8]) -> Raw {
    raw(9, 8, "", [&offset.to_le_bytes()[..], data].concat())
}

fn bytes_of(streams: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, attributes, name, payload) in streams {
        let name = name.to_utf16_le();
        out.extend(id.to_le_bytes());
        out.extend(attributes.to_le_bytes());
        out.extend((payload.len() as u64).to_le_bytes());
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name);
        out.extend(payload);
    }
    out
}

/// What a decoder said, without borrows; adjacent `Bytes` are one.
#[derive(Debug, Clone, PartialEq)]
enum Rec {
    Small(SmallKind, Vec<u8>),
    Stream(StreamHead),
    Block(u64, u64),
    Bytes(u64, Vec<u8>),
    End(u64),
    Ignored(u32),
    /// An error: its offset, its number, and where the stream that it is in begins.
    Fault(u64, Win32Error, u64),
}
use Rec::{Bytes, End, Fault, Ignored, Small, Stream};

fn push(records: &mut Vec<Rec>, decoded: Decoded<'_>) {
    let record = match decoded {
        Decoded::Ignored(header) => Ignored(header.id.into()),
        Decoded::Record(Record::Small(kind, payload)) => Small(kind, payload.into_owned()),
        Decoded::Record(Record::Stream(head)) => Stream(head.clone()),
        Decoded::Record(Record::Block(extent)) => Rec::Block(extent.offset, extent.len),
        Decoded::Record(Record::EndStream { size }) => End(size),
        Decoded::Record(Record::Bytes { offset, data }) => match records.last_mut() {
            Some(Bytes(before, joined)) if *before + joined.len() as u64 == offset => {
                return joined.extend(data);
            }
            _ => Bytes(offset, data.to_vec()),
        },
        Decoded::Record(other) => panic!("not of a backup stream: {other:?}"),
    };
    records.push(record);
}

fn fault(decoder: &RecordDecoder, error: &ntbak_wire::Error) -> Rec {
    Fault(error.offset, error.win32(), decoder.current().1)
}

fn finish(decoder: &mut RecordDecoder, records: &mut Vec<Rec>) {
    match decoder.finish() {
        Ok(None) => {}
        Ok(Some(record)) => push(records, Decoded::Record(record)),
        Err(error) => records.push(fault(decoder, &error)),
    }
}

/// Feeds `pieces`, goes on after an error (as a caller may) unless the header itself could not be read.
fn run<'a>(mut decoder: RecordDecoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Rec> {
    let mut records = Vec::new();
    for mut input in pieces {
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(decoded)) => push(&mut records, decoded),
                Err(error) => {
                    records.push(fault(&decoder, &error));
                    if decoder.position() == Position::Header {
                        return records;
                    }
                }
            }
        }
        assert!(input.is_empty(), "`None` must mean that the input is used up");
    }
    finish(&mut decoder, &mut records);
    records
}

fn decode(streams: &[Raw]) -> Vec<Rec> {
    run(RecordDecoder::new(), [&bytes_of(streams)[..]])
}

/// What records make of a file: the bytes that were written, by their offset, and where each stream ends.
#[derive(Debug, Default, Clone, PartialEq)]
struct File {
    small: BTreeMap<SmallKind, Vec<u8>>,
    streams: BTreeMap<Option<Name>, Content>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Content {
    size: u64,
    sparse: bool,
    bytes: BTreeMap<u64, u8>,
}

impl Content {
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.bytes.extend((offset..).zip(data.iter().copied()));
    }
}

/// Applies records as a sink does, and checks their grammar.
fn apply(records: &[Rec]) -> File {
    let mut file = File::default();
    let mut open: Option<(StreamHead, Option<(u64, u64)>)> = None;
    for record in records {
        match (record, &mut open) {
            (Small(kind, payload), None) => _ = file.small.insert(*kind, payload.clone()),
            (Stream(head), None) => {
                let content = file.streams.entry(head.name.as_ref().map(|name| name.name().clone())).or_default();
                if !head.amend {
                    *content = Content::default();
                }
                content.sparse |= head.flags.contains(StreamFlags::SPARSE);
                open = Some((head.clone(), None));
            }
            (Rec::Block(offset, len), Some((head, block))) => {
                assert!(head.extents != Extents::All && *len > 0);
                *block = Some((*offset, *len));
            }
            (Bytes(offset, data), Some((head, block))) => {
                let (first, len) = if head.extents == Extents::All { (0, head.size) } else { block.unwrap() };
                assert!(*offset >= first && offset + data.len() as u64 <= first + len, "outside of its block");
                let name = head.name.as_ref().map(|name| name.name().clone());
                file.streams.get_mut(&name).unwrap().write(*offset, data);
            }
            (End(size), Some((head, _))) => {
                let name = head.name.as_ref().map(|name| name.name().clone());
                let content = file.streams.get_mut(&name).unwrap();
                content.size = if head.amend { content.size.max(*size) } else { *size };
                assert!(content.bytes.keys().all(|offset| offset < &content.size), "bytes past the end");
                open = None;
            }
            (Ignored(_), None) | (Fault(..), _) => {}
            (record, open) => panic!("{record:?} in {open:?}"),
        }
    }
    assert!(open.is_none(), "a stream did not end");
    file
}

/// What the streams say about a file (facts 1.3, 1.8, 2.4), of whose input bytes `skipped` says which were not given.
fn interpret(streams: &[Raw], skipped: &[bool]) -> File {
    let mut file = File::default();
    let mut target = Some(None);
    let mut start = 0;
    for (id, attributes, name, payload) in streams {
        start += 20 + name.units().len() * 2;
        let there = |at: usize| !skipped.get(start + at).copied().unwrap_or(false);
        let given = |from: usize, base: u64| {
            (from..payload.len()).filter(|at| there(*at)).map(move |at| (base + (at - from) as u64, payload[at]))
        };
        match (id, SmallKind::from_stream_id((*id).into())) {
            (_, Some(kind)) if payload.len() as u64 <= kind.max_len() => {
                if (0..payload.len()).all(there) {
                    file.small.insert(kind, payload.clone());
                }
            }
            (1 | 4, _) => {
                target = if *id == 1 { Some(None) } else { bare(name).map(Some) };
                if let Some(target) = target.clone() {
                    let bytes = given(0, 0).collect();
                    let content = Content { size: payload.len() as u64, sparse: attributes & 8 != 0, bytes };
                    file.streams.insert(target, content);
                }
            }
            (9, _) if payload.len() >= 8 => {
                let Some(target) = target.clone() else { continue_at(&mut start, payload); continue };
                let content = file.streams.entry(target).or_default();
                content.sparse = true;
                let offset = u64::from_le_bytes(payload[..8].try_into().unwrap());
                let end = offset.saturating_add(payload.len() as u64 - 8);
                if (0..8).all(there) && end < 1 << 63 {
                    content.bytes.extend(given(8, offset));
                    content.size = content.size.max(end);
                }
            }
            _ => {}
        }
        continue_at(&mut start, payload);
    }
    file
}

fn continue_at(start: &mut usize, payload: &[u8]) {
    *start += payload.len();
}

/// The name without colons and type; `None` when it is not one. Only for the names that these tests use.
fn bare(name: &Name) -> Option<Name> {
    let text = name.to_utf8()?;
    let bare = text.strip_prefix(':')?;
    let bare = bare.strip_suffix(":$DATA").unwrap_or(bare);
    (!bare.is_empty() && !bare.contains([':', '/', '\\', '\0'])).then(|| Name::from(bare))
}

fn sparse_head(name: Option<&str>) -> StreamHead {
    let name = name.map(|name| StreamName::new(Name::from(name)).unwrap());
    StreamHead { flags: StreamFlags::SPARSE, extents: Extents::Unknown, ..StreamHead::plain(name, 0) }
}

fn plain_head(name: Option<&str>, size: u64) -> StreamHead {
    StreamHead { flags: StreamFlags::empty(), extents: Extents::All, size, vdl: size, ..sparse_head(name) }
}

fn amending(name: Option<&str>) -> StreamHead {
    StreamHead { amend: true, ..sparse_head(name) }
}

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
        (":a:b", 3),
        (":a:b:$DATA", 3),
        (":x:$INDEX_ALLOCATION", 3),
        (":x:$DATA\0", 3),
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
fn bs_17_to_bs_27_what_the_file_becomes() {
    let (data, sparse) = (|p: &[u8]| raw(1, 0, "", p), |p: &[u8]| raw(1, 8, "", p));
    let ads = |name| raw(4, 8, name, b"");
    let end = |offset| block(offset, b"");
    type Expected<'a> = (Option<&'a str>, u64, bool, Vec<(u64, &'a [u8])>);
    let cases: Vec<(&str, Vec<Raw>, Vec<Expected<'_>>)> = vec![
        ("17: two DATA", vec![data(b"first"), data(b"2nd")], vec![(None, 3, false, vec![(0, b"2nd")])]),
        ("17: an empty one, too", vec![data(b"first"), data(b"")], vec![(None, 0, false, vec![])]),
        ("17: two of a name", vec![raw(4, 0, ":a", b"long"), raw(4, 0, ":a:$DATA", b"s")], vec![(Some("a"), 1, false, vec![(0, b"s")])]),
        (
            "18: after an ALTERNATE",
            vec![sparse(b""), end(9), ads(":a"), block(2, b"x"), end(5), ads(":b"), block(0, b"y")],
            vec![(None, 9, true, vec![]), (Some("a"), 5, true, vec![(2, b"x")]), (Some("b"), 1, true, vec![(0, b"y")])],
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
        ("26: no terminator", vec![sparse(b""), block(7, b"ab"), block(1, b"c")], vec![(None, 9, true, vec![(7, b"ab"), (1, b"c")])]),
        ("27: a low terminator", vec![sparse(b""), block(7, b"ab"), end(3)], vec![(None, 9, true, vec![(7, b"ab")])]),
        ("59: a lone block", vec![block(3, b"abc")], vec![(None, 6, true, vec![(3, b"abc")])]),
        ("blocks after the terminator", vec![sparse(b""), end(3), block(5, b"a")], vec![(None, 6, true, vec![(5, b"a")])]),
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
// DEFECT: record_decode.rs `begin_block` says header + 20, whatever the length of the name.
#[test]
fn the_fault_in_a_block_with_a_name_is_behind_the_name() {
    let far = raw(9, 8, "name", u64::MAX.to_le_bytes());
    assert_eq!(decode(&[raw(1, 8, "", b""), far])[1], Fault(20 + 20 + 8, MALFORMED, 20));
}
