//! `BackupSeek` over files in memory: the numbered edge cases 61 to 65 of facts/backup-streams.md §7.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::{FileSink, MemorySink};
use ntbak::win32::{Context, Handle, backup_read, backup_seek};
use ntbak::{Capabilities, Error, FileReport};
use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, Record};

/// One call of BackupSeek: how far it went, and its error number (0 for success).
fn seek(file: &Handle, bytes: u64, context: &mut Context) -> (u64, u32) {
    let mut moved = 0xAAAA_AAAA_AAAA;
    let result = backup_seek(Some(file), bytes, &mut moved, context);
    (moved, result.err().map_or(0, |error| error.win32().0))
}

/// The backup stream in memory, and its pieces with the offset at which each begins.
fn pieces() -> (Vec<u8>, Vec<(usize, Piece)>) {
    let (_, bytes) = rich();
    let mut at = 0;
    let pieces = split(&bytes).into_iter().map(|piece| {
        let begin = at;
        at += 20 + piece.name.len() * 2 + piece.payload.len();
        (begin, piece)
    });
    (bytes.clone(), pieces.collect())
}

#[test]
fn bs_61_to_the_end_of_a_payload_and_not_beyond() {
    let (system, _) = bench(rich().0);
    let file = open(&system, "f", READ);
    let (bytes, pieces) = pieces();
    for (begin, piece) in &pieces {
        let (payload, len) = (begin + 20 + piece.name.len() * 2, piece.payload.len());
        for into in [0, 1, 8, len / 2, len].into_iter().filter(|into| *into <= len) {
            let left = (len - into) as u64;
            for (ask, expected) in [(left, (left, 0)), (left + 1, (left, 25)), (u64::MAX, (left, 25))] {
                let mut context = Context::default();
                assert_eq!(read(&file, payload + into, true, &mut context).unwrap().len(), payload + into);
                assert_eq!(seek(&file, ask, &mut context), expected, "{ask} at {into} of {piece:?}");
                let next = read(&file, 20, true, &mut context).unwrap();
                assert_eq!(
                    next,
                    bytes[payload + len..].iter().take(20).copied().collect::<Vec<_>>(),
                    "a header"
                );
            }
        }
    }
}

#[test]
fn bs_61_a_part_of_a_payload_is_passed_over() {
    let (system, _) = bench(MemoryFile::file().with_stream(None, &bytes(200_000)));
    let file = open(&system, "f", READ);
    // Small reads go through a buffer, which the seek must not leave behind.
    for chunk in [1, 100, 4095, 4096, 70_000] {
        let (mut context, mut at) = (Context::default(), 0);
        assert_eq!(read(&file, 20, true, &mut context).unwrap().len(), 20);
        for step in [0, 1, 50, 65_535, 65_536, 10] {
            assert_eq!(seek(&file, step as u64, &mut context), (step as u64, 0));
            at += step;
            let got = read(&file, chunk.min(200_000 - at), true, &mut context).unwrap();
            assert!(got == bytes(200_000)[at..at + got.len()], "{chunk} bytes at {at}");
            at += got.len();
            if at == 200_000 {
                break;
            }
        }
    }
}

#[test]
fn bs_62_places_without_a_payload() {
    let (system, _) =
        bench(MemoryFile::file().with_stream(None, b"12345").with_stream(Some(name("a")), b"xy"));
    let file = open(&system, "f", READ);
    assert_eq!(seek(&file, 0, &mut Context::default()), (0, 87), "a NULL context");
    assert_eq!(code(backup_seek(None, 0, &mut 0, &mut Context::default())), 6);

    let expected = [stream(DATA, 0, b"12345"), named(":a:$DATA", 0, b"xy")].concat();
    let (alternate, its_payload) = (25, 25 + 20 + 16);
    for at in 0..=expected.len() {
        let in_data = (20..alternate).contains(&at);
        let in_payload = in_data || at >= its_payload && at < expected.len();
        let in_header = at < 20 || alternate < at && at < its_payload;
        for ask in [0, 1, 2] {
            let mut context = Context::default();
            assert_eq!(read(&file, at, true, &mut context).unwrap(), expected[..at]);
            let left = if in_data { alternate - at } else { expected.len() - at } as u64;
            let answer = match ask {
                // At the edge between two streams zero bytes are as good as in a payload.
                0 if !in_header => (0, 0),
                ask if in_payload && ask <= left => (ask, 0),
                _ if in_payload => (left, 25),
                _ => (0, 25),
            };
            assert_eq!(seek(&file, ask, &mut context), answer, "{ask} at {at}");
            let now = at + answer.0 as usize;
            assert_eq!(read(&file, 100, true, &mut context).unwrap(), expected[now..], "{ask} at {at}");
            assert_eq!(seek(&file, 0, &mut context), (0, 25), "after the last stream");
        }
    }
}

#[test]
fn bs_62_places_without_a_payload_in_a_write() {
    let expected = [stream(DATA, 0, b"12345"), named(":a:$DATA", 0, b"xy")].concat();
    for at in (0..20).chain(26..25 + 20 + 16) {
        let (system, shared) = bench(MemoryFile::file());
        let (file, mut context) = (open(&system, "f", WRITE), Context::default());
        assert_eq!(write(&file, &expected[..at], true, &mut context).1, 0);
        for ask in [0, 1, u64::MAX] {
            assert_eq!(seek(&file, ask, &mut context), (0, 25), "{ask} at {at}");
        }
        assert_eq!(write(&file, &expected[at..], true, &mut context).1, 0);
        assert_eq!(
            (content(&shared.read(), None), content(&shared.read(), Some("a"))),
            (b"12345".into(), b"xy".into())
        );
    }
}

#[test]
fn bs_63_the_high_half_of_a_large_seek() {
    const GIB: u64 = 1 << 30;
    let big = SyntheticStream { size: 6 * GIB, ..SyntheticStream::default() };
    let source = Synthetic { streams: vec![big], ..Synthetic::default() };
    let system = OneFile::reading(move || Box::new(source.clone()));
    let (file, mut context) = (open(&system, "f", READ), Context::default());
    assert_eq!(read(&file, 20 + 5, false, &mut context).unwrap().len(), 25);
    assert_eq!(seek(&file, 5 * GIB, &mut context), (5 * GIB, 0));
    assert_eq!(read(&file, 1, false, &mut context).unwrap(), [byte_at(5 * GIB + 5)]);
    assert_eq!(seek(&file, 2 * GIB, &mut context), (GIB - 6, 25));
    assert_eq!(read(&file, 1, false, &mut context).unwrap(), b"");

    // And in a write.
    let (system, shared) = bench(MemoryFile::file());
    let (file, mut context) = (open(&system, "f", WRITE), Context::default());
    assert_eq!(write(&file, &header(DATA, 0, 6 * GIB, &[]), true, &mut context).1, 0);
    assert_eq!(seek(&file, 5 * GIB, &mut context), (5 * GIB, 0));
    assert_eq!(write(&file, b"here", true, &mut context).1, 0);
    assert_eq!(seek(&file, 2 * GIB, &mut context), (GIB - 4, 25));
    let shared = shared.read();
    let got = shared.stream(None).unwrap();
    assert_eq!((got.size, extents(got)), (6 * GIB, vec![(5 * GIB, 4)]));
}

#[test]
fn bs_64_the_offset_of_a_block_is_payload() {
    let mut sparse_file = MemoryFile::file();
    put_stream(&mut sparse_file, sparse(None, 1000, &[(100, 10), (500, 20)]));
    let (system, _) = bench(sparse_file);
    let (file, mut context) = (open(&system, "f", READ), Context::default());
    for (id, size) in [(DATA, 0), (BLOCK, 18), (BLOCK, 28), (BLOCK, 8)] {
        assert_eq!(read(&file, 20, true, &mut context).unwrap(), header(id, SPARSE, size, &[]));
        assert_eq!(seek(&file, size, &mut context), (size, 0));
    }
    assert_eq!(read(&file, 20, true, &mut context).unwrap(), b"");
    // From inside of the offset into the content.
    let mut context = Context::default();
    assert_eq!(read(&file, 20 + 20 + 3, true, &mut context).unwrap().len(), 43);
    assert_eq!(seek(&file, 9, &mut context), (9, 0));
    assert_eq!(read(&file, 6, true, &mut context).unwrap(), bytes(10)[4..]);
}

/// Writes what comes, passes over what is a number, and gives the file.
enum Do<'a> {
    Write(&'a [u8]),
    Seek(u64),
}

fn act(before: MemoryFile, steps: &[Do<'_>]) -> MemoryFile {
    let (system, shared) = bench(before);
    let (file, mut context) = (open(&system, "f", WRITE), Context::default());
    for step in steps {
        match step {
            Do::Write(bytes) => assert_eq!(write(&file, bytes, true, &mut context).1, 0),
            Do::Seek(bytes) => assert_eq!(seek(&file, *bytes, &mut context), (*bytes, 0)),
        }
    }
    shared.read().clone()
}

#[test]
fn bs_65_what_is_passed_over_in_a_write_is_a_hole() {
    use Do::{Seek, Write};
    let before = || MemoryFile::file().with_stream(None, &[b'#'; 50]);
    let data = header(DATA, 0, 10, &[]);
    let after = named(":a", 0, b"x");
    for (steps, expected) in [
        (&[Write(&data), Seek(4), Write(b"456789")][..], &b"\0\0\0\x00456789"[..]),
        (&[Write(&data), Write(b"01"), Seek(3), Write(b"56789")], b"01\0\0\x0056789"),
        (&[Write(&data), Write(b"0123"), Seek(6)], b"0123\0\0\0\0\0\0"),
        (&[Write(&data), Seek(10)], &[0; 10]),
        (&[Write(&data), Seek(9), Seek(1), Write(&after)], &[0; 10]),
        (&[Write(&data), Seek(0), Write(b"0123456789"), Write(&after)], b"0123456789"),
    ] {
        assert_eq!(content(&act(before(), steps), None), expected);
    }
}

#[test]
fn bs_65_blocks_and_small_payloads_that_are_passed_over() {
    use Do::{Seek, Write};
    let (sparse, end) = (stream(DATA, 8, b""), block(30, b""));
    let head = header(BLOCK, 8, 8 + 4, &[]);
    let (other, at_26) = (named(":a", 0, b""), [&head[..], &26_u64.to_le_bytes()].concat());
    let at_10 = [&head[..], &10_u64.to_le_bytes()].concat();
    for (steps, expected) in [
        // The offset is known: a hole there. Without the offset, or a part of it, the block is dropped.
        (&[Write(&sparse), Write(&at_10), Seek(2), Write(b"YZ"), Write(&end)][..], &[(12, 2)][..]),
        (&[Write(&sparse), Write(&at_10), Seek(4), Write(&end)], &[]),
        (&[Write(&sparse), Write(&head), Seek(12), Write(&end)], &[]),
        (&[Write(&sparse), Write(&at_10[..23]), Seek(5), Write(b"WXYZ"), Write(&end)], &[]),
        (&[Write(&sparse), Write(&at_10[..23]), Seek(2), Write(b"\0\0\0WXYZ"), Write(&end)], &[]),
        // What was passed over counts for the end of the stream.
        (&[Write(&sparse), Write(&at_26), Seek(4), Write(&block(5, b"x")), Write(&other)], &[(5, 1)]),
    ] {
        let file = act(MemoryFile::file(), steps);
        let got = file.stream(None).unwrap();
        assert_eq!((got.size, extents(got)), (30, expected.to_vec()));
    }

    let mut before = MemoryFile::file();
    before.security = Some(sd("O:SYG:SYD:(A;;FA;;;SY)"));
    for (id, payload) in [
        (SECURITY, full_sd()),
        (EA, eas(&[("A", 0, b"v")])),
        (REPARSE, opaque_reparse()),
        (OBJECT_ID, vec![1; 64]),
        (LINK, b"t\0".to_vec()),
    ] {
        let (bytes, len) = (stream(id, 0, &payload), payload.len());
        for (from, by) in [(0, len), (1, len - 1), (0, 1), (1, 1)] {
            let rest = &payload[from + by..];
            let steps =
                [Write(&bytes[..20 + from]), Seek(by as u64), Write(rest), Write(&stream(DATA, 0, b"d"))];
            let file = act(before.clone(), &steps);
            let expected = before.clone().with_stream(None, b"d");
            assert!(file == expected, "id {id}, {by} bytes at {from}: {file:?}");
        }
    }
}

#[test]
fn a_seek_passes_over_a_payload_at_fault() {
    for (bad, number) in [
        (stream(12, 0, b"payload"), 13),
        (stream(SECURITY, 0, &vec![0; 262_145]), 13),
        (named("bad", 0, b"payload"), 123),
        (stream(BLOCK, 8, b"short"), 13),
        (block(u64::MAX, b"payload"), 13),
    ] {
        let (system, shared) = bench(MemoryFile::file());
        let (file, mut context) = (open(&system, "f", WRITE), Context::default());
        let (taken, got) = write(&file, &bad, true, &mut context);
        assert_eq!(got, number);
        let left = (bad.len() - taken) as u64;
        assert_eq!(seek(&file, left + 5, &mut context), (left, 25));
        assert_eq!(write(&file, &stream(DATA, 0, b"after"), true, &mut context).1, 0);
        assert_eq!(content(&shared.read(), None), b"after");
    }
}

/// A sink whose first `EndStream` fails.
struct EndFails(Box<MemorySink>, AtomicBool);

impl FileSink for EndFails {
    fn can(&self) -> &Capabilities {
        self.0.can()
    }

    fn is_directory(&self) -> bool {
        self.0.is_directory()
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> ntbak::Result<()> {
        if matches!(record, Record::EndStream { .. }) && !self.1.swap(true, Ordering::Relaxed) {
            return Err(Error::new(Win32Error::DISK_FULL, "full"));
        }
        self.0.put(record, report)
    }

    fn link(&mut self, target: &Path) -> ntbak::Result<()> {
        self.0.link(target)
    }

    fn commit(self: Box<Self>, report: &FileReport<'_>) -> ntbak::Result<()> {
        self.0.commit(report)
    }
}

// When the end of a stream that waited for blocks fails, the next header is held and has not been looked at; what is left
// of its payload after a seek must not be taken for the whole: here it would be 44 bytes for an object id.
#[test]
fn a_seek_at_a_held_header_drops_its_payload() {
    let shared = SharedFile::new(MemoryFile::file());
    let target = shared.clone();
    let system = OneFile::writing(move || {
        Box::new(EndFails(Box::new(MemorySink::in_place(target.clone())), AtomicBool::new(false)))
    });
    let (file, mut context) = (open(&system, "f", WRITE), Context::default());
    let id = stream(OBJECT_ID, 0, &[7; 64]);
    let bytes = [&stream(DATA, 8, b"")[..], &block(5, b"data"), &id[..20]].concat();
    assert_eq!(write(&file, &bytes, true, &mut context), (bytes.len(), 112));
    assert_eq!(seek(&file, 20, &mut context), (20, 0));
    write(&file, &id[40..], true, &mut context);
    assert_eq!(shared.read().object_id, None);
}

#[test]
fn a_seek_does_not_disturb_the_size_that_was_told() {
    let ranges = vec![Extent { offset: 0, len: 100 }, Extent { offset: 200, len: 100 }];
    let source = Synthetic {
        streams: vec![SyntheticStream { size: 300, ranges: Some(ranges), ..SyntheticStream::default() }],
        ..Synthetic::default()
    };
    let system = OneFile::reading(move || Box::new(source.clone()));
    let (file, mut context) = (open(&system, "f", READ), Context::default());
    assert_eq!(read(&file, 20 + 28, false, &mut context).unwrap().len(), 48);
    assert_eq!(seek(&file, 1000, &mut context), (100, 25));
    let rest = read(&file, 4096, false, &mut context).unwrap();
    assert_eq!(shape(&rest), [(BLOCK, 8, 108), (BLOCK, 8, 8)]);
    assert!(backup_read(None, &mut [], &mut 0, true, false, &mut context).is_ok());
    assert_eq!(seek(&file, 0, &mut context), (0, 87), "freed");
}
