//! The stream codec on hostile input: sizes that lie, random bytes, damaged streams. No panic, no memory for what has
//! not come, no more output than input.
//!
//! Largest allocations are measured for each thread, so that tests do not see each other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ntbak_wire::record::{Record, SmallKind};
use ntbak_wire::stream::{
    Decoded, Decoder, Encoder, Event, Header, MAX_SIZE, Position, RecordDecoder, StreamId, StreamSet,
};
use ntbak_wire::{Error, Problem, Win32Error};
use proptest::prelude::*;
use proptest::sample::Index;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Watching;

fn note(size: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call goes to the system allocator as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(memory, layout, size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// The most bytes that one allocation may ask for: four times the largest small payload.
const LIMIT: usize = 1 << 20;

/// Runs `work` and answers the size of its largest allocation.
fn largest_allocation<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LARGEST.set(0);
    let result = work();
    (result, LARGEST.get())
}

fn raw(id: u32, size: u64, name_size: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(id.to_le_bytes());
    out.extend([0; 4]);
    out.extend(size.to_le_bytes());
    out.extend(name_size.to_le_bytes());
    out
}

/// What a decoder gave: how many items, how many bytes in them, and its errors.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    items: usize,
    bytes: usize,
    errors: Vec<Error>,
}

fn decode(mut decoder: Decoder, mut input: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match decoder.next(&mut input) {
            Ok(None) => break,
            Ok(Some(event)) => {
                outcome.items += 1;
                outcome.bytes += if let Event::Payload { data, .. } = event { data.len() } else { 0 };
            }
            // A header that only the strict mode refuses is left behind, and its payload can be passed over.
            Err(error) if matches!(decoder.position(), Position::Payload { .. }) => {
                outcome.errors.push(error);
                return outcome;
            }
            // Sizes that cannot be stay wrong.
            Err(error) => {
                let before = (input.len(), decoder.offset(), decoder.position());
                assert_eq!(decoder.next(&mut input), Err(error.clone()));
                assert_eq!((input.len(), decoder.offset(), decoder.position()), before);
                outcome.errors.push(error);
                return outcome;
            }
        }
    }
    outcome.errors.extend(decoder.finish().err());
    outcome
}

/// The same for records; goes on after an error unless the header itself could not be read.
fn decode_records(decoder: &mut RecordDecoder, mut input: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match decoder.next(&mut input) {
            Ok(None) => break,
            Ok(Some(decoded)) => {
                outcome.items += 1;
                outcome.bytes += match decoded {
                    Decoded::Record(Record::Bytes { data, .. }) => data.len(),
                    Decoded::Record(Record::Small(_, payload)) => payload.len(),
                    _ => 0,
                };
            }
            Err(error) => {
                outcome.errors.push(error);
                if decoder.position() == Position::Header {
                    return outcome;
                }
            }
        }
    }
    outcome.errors.extend(decoder.finish().err());
    outcome
}

/// 60, and the same for every id and size: refused, or passed on as it comes.
#[test]
fn bs_60_no_size_makes_the_decoder_allocate() {
    let sizes = [(1 << 18) + 1, 1 << 32, 1 << 40, MAX_SIZE, 1 << 63, (1 << 63) + 20, u64::MAX - 1, u64::MAX];
    for id in (0..=13).chain([u32::MAX]) {
        for size in sizes {
            let mut bytes = raw(id, size, if id == 4 { 4 } else { 0 });
            bytes.extend(if id == 4 { &b":\0a\0"[..] } else { &[] });
            let header = bytes.len();
            bytes.extend([0x11; 4000]);
            let (outcome, largest) = largest_allocation(|| decode(Decoder::new(), &bytes));
            let [error] = &outcome.errors[..] else { panic!("one error: {outcome:?}") };
            assert!(largest < LIMIT, "id {id}, size {size:#x}: {largest} bytes");
            if size > MAX_SIZE {
                assert_eq!((error.offset, outcome.items), (8, 0));
            } else {
                assert_eq!((error.offset, outcome.bytes), (header as u64, 4000), "streamed, then cut");
            }

            let (outcome, largest) = largest_allocation(|| decode_records(&mut RecordDecoder::new(), &bytes));
            assert!(largest < LIMIT, "id {id}, size {size:#x}: {largest} bytes");
            let small = SmallKind::from_stream_id(id.into()).is_some();
            let first = &outcome.errors[0];
            assert_eq!(first.win32(), Win32Error::INVALID_DATA);
            match id {
                _ if size > MAX_SIZE || small => assert_eq!((first.offset, outcome.bytes), (8, 0), "id {id}"),
                1 | 4 => assert_eq!((first.offset, outcome.bytes), (header as u64, 4000)),
                // 0x1111111111111111 as the offset: fine but for the largest size.
                9 if size == MAX_SIZE => assert_eq!((first.offset, outcome.bytes), (20, 0)),
                9 => assert_eq!((first.offset, outcome.bytes), (20, 4000 - 8)),
                6 | 10 | 11 => assert_eq!((first.offset, outcome.bytes), (20, 0)),
                _ => assert_eq!((first.offset, outcome.bytes), (0, 0), "id {id}"),
            }
        }
    }
}

/// A payload that is too large is one error: the caller can pass over it (here: 2^40 bytes) and read on.
#[test]
fn bs_60_what_is_too_large_can_be_skipped() {
    for kind in SmallKind::ALL {
        for size in [kind.max_len() + 1, 1 << 40] {
            let mut decoder = RecordDecoder::new();
            let mut input = &raw(kind.stream_id().into(), size, 0)[..];
            let error = decoder.next(&mut input).unwrap_err();
            assert!(matches!(error.problem, Problem::Value { found, .. } if found == size));
            assert_eq!(decoder.next(&mut input), Ok(None), "the error comes once");
            assert_eq!(decoder.skip(u64::MAX), size);
            let mut after = raw(7, 1, 0);
            after.push(b'x');
            let mut input = &after[..];
            let decoded = decoder.next(&mut input);
            let expected = Record::Small(SmallKind::ObjectId, b"x".as_slice().into());
            assert_eq!(decoded, Ok(Some(Decoded::Record(expected))));
            assert_eq!(decoder.current().1, 20 + size);
            assert_eq!(decoder.finish(), Ok(None));
        }
    }
}

/// The largest of each small kind is taken whole; it is gathered as it comes, not in advance.
#[test]
fn small_payloads_up_to_their_limit_are_taken() {
    for kind in SmallKind::ALL {
        let size = kind.max_len() as usize;
        let mut bytes = raw(kind.stream_id().into(), size as u64, 0);
        bytes.resize(bytes.len() + size, 0x5A);
        let (outcome, largest) = largest_allocation(|| decode_records(&mut RecordDecoder::new(), &bytes));
        assert_eq!((outcome.items, outcome.bytes, outcome.errors), (1, size, vec![]), "{kind:?}");
        assert!((size..LIMIT).contains(&largest));

        let cut = &bytes[..21];
        let (outcome, largest) = largest_allocation(|| decode_records(&mut RecordDecoder::new(), cut));
        assert_eq!((outcome.items, outcome.errors.len()), (0, 1));
        assert!(largest < 1000, "{kind:?}: {largest} bytes for a payload of which one byte came");
    }
}

#[test]
fn name_sizes_that_lie_allocate_nothing() {
    for name_size in [65_535, 65_537, 65_538, 1 << 20, 1 << 31, u32::MAX - 1, u32::MAX] {
        let mut bytes = raw(4, 0, name_size);
        bytes.extend([b'a'; 200]);
        let (outcome, largest) = largest_allocation(|| decode_records(&mut RecordDecoder::new(), &bytes));
        assert_eq!((outcome.items, outcome.errors[0].offset), (0, 16));
        assert!(largest < 1000, "{name_size}: {largest} bytes");
    }
    let (outcome, largest) = largest_allocation(|| decode(Decoder::new(), &raw(4, 0, 65_536)));
    assert_eq!((outcome.items, outcome.errors[0].offset), (0, 20));
    assert!(largest < 1000, "{largest} bytes for a name of which nothing came");
}

/// 45: no memory for each stream, and none for what has passed.
#[test]
fn bs_45_many_streams_take_no_more_memory_than_one() {
    let mut one = raw(4, 3, 6);
    one.extend(b":\0a\0b\0abc");
    let mut many: Vec<u8> = one.repeat(20_000);
    many.extend(raw(9, 9, 0).iter().chain(&[0; 9]).copied().collect::<Vec<u8>>().repeat(20_000));
    let (outcome, largest) = largest_allocation(|| decode_records(&mut RecordDecoder::new(), &many));
    // Stream, Bytes and EndStream of each; then Block and Bytes of each, in one amending stream.
    assert_eq!((outcome.items, outcome.bytes, outcome.errors), (3 * 20_000 + 1 + 2 * 20_000, 80_000, vec![]));
    assert!(largest < 4096, "{largest} bytes");
}

/// Offsets past 2^64 by skipping: three headers of the largest size are legal, one by one.
#[test]
fn offsets_do_not_overflow_when_sizes_are_skipped() {
    let header = raw(1, MAX_SIZE, 0);
    let (mut decoder, mut records) = (Decoder::new(), RecordDecoder::new());
    let mut before = 0;
    for _ in 0..4 {
        let mut input = &header[..];
        while decoder.next(&mut input).unwrap().is_some() {}
        assert_eq!(decoder.skip(u64::MAX), MAX_SIZE);
        assert!(decoder.offset() >= before, "the offset went back");
        before = decoder.offset();

        let mut input = &header[..];
        while records.next(&mut input).unwrap().is_some() {}
        assert_eq!(records.skip(u64::MAX), MAX_SIZE);
        assert!(records.current().1 <= records.offset());
    }
    assert_eq!(decoder.finish(), Ok(()));
}

/// The same on the way out.
#[test]
fn offsets_do_not_overflow_when_sizes_are_passed() {
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    let mut before = 0;
    for _ in 0..4 {
        encoder.header(&Header::new(StreamId::Data, MAX_SIZE), &mut out).unwrap();
        encoder.pass(MAX_SIZE).unwrap();
        assert!(encoder.offset() >= before, "the offset went back");
        before = encoder.offset();
    }
}

/// A valid file with something of everything.
fn valid() -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |id: u32, attributes: u8, name: &str, payload: &[u8]| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut header = raw(id, payload.len() as u64, name.len() as u32);
        header[4] = attributes;
        out.extend([&header, &name, payload].concat());
    };
    put(3, 2, "", &[3; 30]);
    put(2, 0, "", b"ea");
    put(1, 8, "", b"");
    put(9, 8, "", b"\x08\0\0\0\0\0\0\0data");
    put(9, 8, "", b"\x20\0\0\0\0\0\0\0");
    put(4, 0, ":a:$DATA", b"ads");
    put(4, 8, ":b", b"");
    put(9, 8, "", b"\0\0\0\0\x01\0\0\0data");
    put(7, 0, "", &[7; 64]);
    put(10, 0, "", b"txf");
    out
}

/// What holds for any bytes at all, in one piece, in pieces and strictly.
fn check(bytes: &[u8]) {
    let headers = bytes.len() / 20;
    for (decoder, mut records) in
        [(Decoder::new(), RecordDecoder::new()), (Decoder::strict(), RecordDecoder::strict())]
    {
        let (outcome, largest) = largest_allocation(|| decode(decoder, bytes));
        assert!(outcome.items <= 3 * headers && outcome.bytes <= bytes.len() && largest < LIMIT);
        assert!(outcome.errors.iter().all(|error| error.offset <= bytes.len() as u64));
        let (outcome, largest) = largest_allocation(|| decode_records(&mut records, bytes));
        // At most EndStream, Stream, Block and Bytes for each header.
        assert!(outcome.items <= 4 * headers && outcome.bytes <= bytes.len() && largest < LIMIT);
        assert!(outcome.errors.len() <= 2 * headers + 1);
        for error in outcome.errors {
            assert!(error.offset <= bytes.len() as u64, "{error}");
            assert!([13, 50, 123].contains(&error.win32().0), "{error}");
        }
    }
    let mut nothing_accepted = RecordDecoder::new();
    nothing_accepted.accept(StreamSet::empty());
    // A lone block comes through: see `a_lone_block_is_not_accepted_without_data`.
    decode_records(&mut nothing_accepted, bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    /// Mostly zeros and small numbers, as headers are: gets much further than any bytes.
    #[test]
    fn bytes_that_look_like_headers_are_survived(
        bytes in prop::collection::vec(prop_oneof![6 => Just(0_u8), 3 => 0..12_u8, 1 => any::<u8>()], 0..600),
    ) {
        check(&bytes);
    }

    #[test]
    fn damaged_streams_are_survived(
        damage in prop::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut bytes = valid();
        check(&bytes);
        for (at, with, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = with,
                1 => bytes[at] ^= 1 << (with % 8),
                2 => bytes.insert(at, with),
                _ => drop(bytes.drain(at..bytes.len().min(at + usize::from(with % 9) + 1))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        check(&bytes);
    }

    /// Skips of any size at any time, on any input, never panic and never move past the payload.
    #[test]
    fn skipping_in_damaged_streams_is_survived(
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        skips in prop::collection::vec((1..30_usize, prop_oneof![0..9_u64, 0..1000_u64]), 1..60),
    ) {
        let mut bytes = valid();
        damage.iter().for_each(|(at, with)| bytes[at.index(valid().len())] = *with);
        let mut decoder = RecordDecoder::new();
        for (take, skip) in skips {
            let at = (decoder.offset() as usize).min(bytes.len());
            let mut input = &bytes[at..bytes.len().min(at + take)];
            _ = decoder.next(&mut input);
            let before = decoder.position();
            let skipped = decoder.skip(skip);
            let left = if let Position::Payload { left } = before { left } else { 0 };
            prop_assert_eq!(skipped, skip.min(left));
        }
        _ = decoder.finish();
    }
}
