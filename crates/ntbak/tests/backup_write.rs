//! `BackupWrite` into files in memory: the numbered edge cases 6 to 8, 11 to 15, 17 to 27, 47 to 49 and 51 to 60
//! of facts/backup-streams.md §7. Number 50 is with the rights, in create_file.rs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::*;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::win32::{Context, MemoryVolume, System, backup_finish, backup_seek};
use ntbak::{Capabilities, Collected, Error, Facts, LinkResolver, LossKind, WritePolicy};
use ntbak_wire::record::StreamFlags;
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::stream::StreamSet;
use ntbak_wire::{FileAttributes, Name, Win32Error};

const STRICT: WritePolicy = WritePolicy { strict: true, accept: StreamSet::all() };

/// What a writer with this policy says to a stream, what it reports, and the file after it.
fn told(policy: WritePolicy, security: bool, stream: &[u8]) -> (u32, Vec<LossKind>, usize, MemoryFile) {
    let report = Arc::new(Collected::new());
    let (system, file) = bench(MemoryFile::file());
    let system = system.with_policy(policy).with_report(report.clone());
    let mut context = Context::default();
    let (_, number) = write(&open(&system, "f", WRITE), stream, security, &mut context);
    let kinds = report.losses().iter().map(|loss| loss.kind).collect();
    let file = file.read().clone();
    (number, kinds, report.notes().len(), file)
}

#[test]
fn bs_6_an_unknown_id_is_13_and_what_came_before_stays() {
    for id in [0, 12, 0xFFFF_FFFF] {
        for seek in [false, true] {
            let (before, after) = (stream(DATA, 0, b"kept"), named(":a:$DATA", 0, b"x"));
            let (system, shared) = bench(MemoryFile::file());
            let file = open(&system, "f", WRITE);
            let mut context = Context::default();
            let bytes = [&before[..], &stream(id, 0, b"payload"), &after].concat();
            assert_eq!(write(&file, &bytes, true, &mut context), (before.len() + 20, 13), "id {id}");
            assert_eq!(content(&shared.read(), None), b"kept");
            // Passed over, or written and ignored.
            if seek {
                backup_seek(Some(&file), 7, &mut 0, &mut context).unwrap();
            } else {
                assert_eq!(write(&file, b"payload", true, &mut context).1, 0);
            }
            assert_eq!(write(&file, &after, true, &mut context).1, 0);
            assert_eq!(
                (content(&shared.read(), None), content(&shared.read(), Some("a"))),
                (b"kept".into(), b"x".into())
            );
        }
    }
}

#[test]
fn bs_7_bs_8_kinds_that_are_passed_over() {
    let ea = stream(EA, 0, &eas(&[("A", 0, b"v")]));
    let link = stream(LINK, 0, b"t\0");
    let cases = [
        // (policy, stream, number, losses, notes)
        (WritePolicy::default(), stream(PROPERTY, 4, b"?"), 0, vec![LossKind::OpaqueStream], 0),
        (STRICT, stream(PROPERTY, 4, b"?"), 13, vec![], 0),
        (WritePolicy::default(), stream(TXFS, 0, b"?"), 0, vec![], 1),
        (STRICT, stream(TXFS, 0, b"?"), 0, vec![], 1),
        (WritePolicy::default(), stream(GHOSTED, 0, b"?"), 0, vec![LossKind::OpaqueStream], 0),
        (STRICT, stream(GHOSTED, 0, b"?"), 50, vec![], 0),
        (WritePolicy::default(), ea.clone(), 0, vec![], 0),
        (STRICT, ea.clone(), 0, vec![LossKind::OpaqueStream], 0),
        (STRICT, link, 0, vec![LossKind::OpaqueStream], 0),
    ];
    for (policy, bytes, number, losses, notes) in cases {
        let (got, kinds, noted, file) = told(policy, true, &[bytes.clone(), stream(DATA, 0, b"d")].concat());
        assert_eq!((got, kinds, noted), (number, losses, notes), "{policy:?} {:?}", shape(&bytes));
        assert_eq!(file.ea.is_some(), bytes == ea && !policy.strict);
        if number == 0 {
            assert_eq!(content(&file, None), b"d");
        }
    }
}

#[test]
fn bs_8_strict_tells_what_it_drops_without_security_too() {
    for security in [true, false] {
        let (number, kinds, _, file) = told(STRICT, security, &stream(EA, 0, &eas(&[("A", 0, b"v")])));
        assert_eq!((number, kinds, file.ea), (0, vec![LossKind::OpaqueStream], None), "security {security}");
    }
}

#[test]
fn bs_11_bs_12_names_and_bits_without_meaning() {
    let with_name = [header(DATA, 0, 1, &[0x3A, 0x78]), b"d".to_vec()].concat();
    assert_eq!(content(&restore(&with_name), None), b"d");
    assert_eq!(told(STRICT, true, &with_name).0, 13);
    let file = restore(&stream(DATA, 0x8000_0017, b"d"));
    assert_eq!((content(&file, None), file.stream(None).unwrap().flags), (b"d".into(), StreamFlags::empty()));
}

#[test]
fn bs_14_names_that_no_stream_has_are_123_and_write_nothing() {
    let long = format!(":{}:$DATA", "x".repeat(256));
    for bad in [
        "",
        "a",
        ":",
        "::$DATA",
        ":a\0:$DATA",
        ":a\\b",
        ":a/b:$DATA",
        ":x:$INDEX_ALLOCATION",
        ":a:b:$DATA",
        &long,
    ] {
        let (system, shared) = bench(MemoryFile::file().with_stream(None, b"main"));
        let file = open(&system, "f", WRITE);
        let mut context = Context::default();
        let (wire, after) = (named(bad, SPARSE, b"12345"), named(":ok", 0, b"ok"));
        let (taken, number) = write(&file, &wire, true, &mut context);
        assert_eq!((taken, number), (wire.len() - 5, 123), "{bad:?}");
        // The rest of the payload, and blocks of the refused stream, go nowhere.
        assert_eq!(write(&file, &wire[taken..], true, &mut context).1, 0);
        assert_eq!(
            write(&file, &[block(0, b"BLOCK"), block(9, b""), after].concat(), true, &mut context).1,
            0
        );
        let file = shared.read();
        assert_eq!((file.streams.len(), content(&file, None)), (2, b"main".into()), "{bad:?}");
        assert_eq!(content(&file, Some("ok")), b"ok");
    }
}

#[test]
fn bs_15_the_type_may_be_missing_and_case_is_no_difference() {
    let bytes = [named(":a", 0, b"1"), named(":a:$DATA", 0, b"22"), named(":A:$data", 0, b"333")].concat();
    let file = restore(&bytes);
    assert_eq!((file.streams.len(), content(&file, Some("a"))), (2, b"333".into()));
}

#[test]
fn bs_13_bs_17_security_without_its_bit_and_the_last_of_its_kind_wins() {
    let (one, two) = (sd("O:BAG:BAD:(A;;FA;;;BA)"), full_sd());
    let file = restore(&[stream(SECURITY, 2, &one), stream(SECURITY, 0, &two)].concat());
    assert_eq!(file.security, Some(two));
    let file = restore(&[stream(DATA, 0, &bytes(100)), stream(DATA, 0, b"short")].concat());
    assert_eq!(content(&file, None), b"short");
    let file =
        restore(&[named(":a", 0, &bytes(100)), named(":b", 0, b"b"), named(":a", 0, b"short")].concat());
    assert_eq!((content(&file, Some("a")), content(&file, Some("b"))), (b"short".into(), b"b".into()));
    let file = restore(&[stream(OBJECT_ID, 0, &[1; 64]), stream(OBJECT_ID, 0, &[2; 64])].concat());
    assert_eq!(file.object_id, Some(object_id(2)));
}

#[test]
fn bs_17_the_last_reparse_buffer_wins() {
    let other = reparse::build(ReparseTag::DEDUP, None, b"other").unwrap();
    let (number, file) = restore_into(
        MemoryFile::file(),
        &[stream(REPARSE, 0, &opaque_reparse()), stream(REPARSE, 0, &other)].concat(),
    );
    assert_eq!((number, file.reparse), (0, Some(other)));
}

#[test]
fn bs_18_bs_19_bs_20_bs_21_bs_22_bs_23_bs_24_bs_25_bs_26_bs_27_sparse_streams() {
    let main = |attributes, data: &[u8]| stream(DATA, attributes, data);
    let long = bytes(70_000);
    let dense = || main(8, b"0123456789");
    let (holes, last) = (|| main(8, b""), i64::MAX as u64);
    let after = stream(OBJECT_ID, 0, &[1; 64]);
    let descending = vec![holes(), block(50, b"late"), block(10, b"early"), block(60, b"")];
    let overlapping = vec![holes(), block(10, b"aaaaaa"), block(12, b"bb"), block(8, b"ccc"), block(20, b"")];
    let growing = vec![holes(), block(10, b"late"), block(0, b"01234"), block(5, b"567890A"), block(14, b"")];
    let both = vec![dense(), block(5, b"AB"), block(100, b"Z"), block(200, b"")];
    type Case<'a> = (&'a str, Vec<Vec<u8>>, u64, &'a [(u64, u64)], &'a [u8]);
    let cases: [Case<'_>; 14] = [
        // (what, streams, size, written ranges, bytes of the first of them)
        ("20 terminator only", vec![holes(), block(9_999, b"")], 9_999, &[], b""),
        ("20 a lone terminator", vec![block(9_999, b"")], 9_999, &[], b""),
        ("21 descending", descending, 60, &[(10, 5), (50, 4)], b"early"),
        ("21 overlapping", overlapping, 20, &[(8, 8)], b"cccabbaa"),
        ("21 one into the next", growing, 14, &[(0, 14)], b"01234567890Ate"),
        ("22 inline", vec![main(8, &long)], 70_000, &[(0, 70_000)], &long),
        ("23 zero-length", vec![holes()], 0, &[], b""),
        ("24 zero-length with terminator", vec![holes(), block(0, b"")], 0, &[], b""),
        ("25 contents and blocks", both, 200, &[(0, 10), (100, 1)], b"01234AB789"),
        ("26 no terminator", vec![holes(), block(100, b"end")], 103, &[(100, 3)], b"end"),
        ("26 another stream", vec![holes(), block(100, b"end"), after], 103, &[(100, 3)], b"end"),
        ("27 low terminator", vec![holes(), block(100, b"end"), block(50, b"")], 103, &[(100, 3)], b"end"),
        ("27 after contents", vec![dense(), block(5, b"")], 10, &[(0, 10)], b"0123456789"),
        ("a high offset", vec![holes(), block(last - 3, b"end")], last, &[(last - 3, 3)], b"end"),
    ];
    for (what, streams, size, ranges, first) in cases {
        for cut in [1, 1 << 20] {
            let file = write_stream(&streams.concat(), false, |_| cut).unwrap();
            let got = file.stream(None).unwrap();
            assert_eq!((got.size, extents(got)), (size, ranges.to_vec()), "{what}");
            assert!(got.flags.contains(StreamFlags::SPARSE), "{what}");
            assert!(file.info.attributes.contains(FileAttributes::SPARSE_FILE), "{what}");
            let mut buffer = vec![0xEE; first.len()];
            let from = ranges.first().map_or(0, |range| range.0);
            assert_eq!(got.read(from, &mut buffer), first.len());
            assert!(buffer == first, "{what}");
            if from > 0 && size < 1000 {
                assert_eq!(
                    content(&file, None)[..from as usize],
                    vec![0; from as usize],
                    "{what}: zeros before it"
                );
            }
        }
    }
}

#[test]
fn bs_18_blocks_go_to_the_stream_before_them() {
    let bytes = [
        stream(DATA, 8, b""),
        block(4, b"main"),
        block(10, b""),
        named(":a", 8, b""),
        block(2, b"AA"),
        block(6, b""),
        named(":b", 0, b"plain"),
        block(5, b"BB"),
    ];
    let file = restore(&bytes.concat());
    assert_eq!(content(&file, None), b"\0\0\0\0main\0\0");
    assert_eq!(content(&file, Some("a")), b"\0\0AA\0\0");
    assert_eq!(content(&file, Some("b")), b"plainBB");
}

#[test]
fn bs_19_blocks_that_cannot_be_are_13() {
    for size in 0..8 {
        let bad = [stream(DATA, 8, b""), header(BLOCK, 8, size, &[])].concat();
        assert_eq!(restore_into(MemoryFile::file(), &bad).0, 13, "size {size}");
    }
    for (offset, len) in [(u64::MAX, 0), (1 << 63, 0), (i64::MAX as u64 - 2, 3), (u64::MAX - 2, 3)] {
        let bad = [stream(DATA, 8, b""), block(offset, &vec![1; len])].concat();
        let (number, file) = restore_into(MemoryFile::file(), &bad);
        assert_eq!((number, file.stream(None).unwrap().size), (13, 0), "{len} bytes at {offset}");
    }
}

#[test]
fn bs_47_bs_49_bs_48_slices_of_any_size_do_the_same() {
    let (file, bytes) = rich();
    let whole = write_stream(&bytes, false, |_| usize::MAX).unwrap();
    assert_eq!(carried(&whole), carried(&file));
    for cut in [1, 7, 19, 20, 21, 8191] {
        assert!(write_stream(&bytes, false, |_| cut).unwrap() == whole, "slices of {cut}");
    }
    // Slices that end where a header, a name, an offset or a payload ends, and one byte before and behind it.
    let mut edges = vec![0];
    for piece in split(&bytes) {
        let from = *edges.last().unwrap();
        let payload = from + 20 + piece.name.len() * 2;
        edges.extend([
            from + 20,
            payload,
            payload + piece.payload.len().min(8),
            payload + piece.payload.len(),
        ]);
    }
    for shift in [-1, 0, 1] {
        let ends: Vec<_> = edges.iter().map(|edge| edge.saturating_add_signed(shift)).collect();
        let cut = |at: usize| ends.iter().find(|end| **end > at).map_or(usize::MAX, |end| end - at);
        assert!(write_stream(&bytes, false, cut).unwrap() == whole, "cut {shift} from the edges");
    }
}

#[test]
fn bs_51_a_bad_descriptor_is_1338_and_changes_nothing() {
    let good = full_sd();
    let patched = |at: usize, with: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + with.len()].copy_from_slice(with);
        bad
    };
    let u32_at = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let (owner, sacl, dacl) = (u32_at(4), u32_at(12), u32_at(16));
    let mut before = MemoryFile::file();
    before.security = Some(sd("O:SYG:SYD:(A;;FA;;;SY)"));
    for (what, bad) in [
        ("nothing at all", vec![]),
        ("19 bytes", good[..19].to_vec()),
        ("Revision 2", patched(0, &[2])),
        ("not self-relative", patched(3, &[good[3] & 0x7F])),
        ("owner outside", patched(4, &(good.len() as u32).to_le_bytes())),
        ("owner in the head", patched(4, &[19, 0, 0, 0])),
        ("a SID that runs over", patched(owner + 1, &[15])),
        ("an ACL size that lies", patched(dacl + 2, &0xFFF0_u16.to_le_bytes())),
        ("an ACE count that lies", patched(sacl + 4, &[9])),
        ("cut in the last part", good[..good.len() - 1].to_vec()),
    ] {
        let (number, after) = restore_into(before.clone(), &stream(SECURITY, 2, &bad));
        assert_eq!((number, after == before), (1338, true), "{what}");
    }
}

#[test]
fn bs_52_extended_attributes() {
    let mut before = MemoryFile::file();
    before.ea = Some(eas(&[("ONE", 0, b"1"), ("TWO", 0, b"2")]));
    let mut misaligned = eas(&[("AB", 0, b"1"), ("CD", 0, b"2")]);
    misaligned[0] -= 2;
    let added = eas(&[("ONE", 0, b"1"), ("TWO", 0, b"2"), ("THREE", 0x80, b"3")]);
    let two = vec![1; 40_000];
    for (what, list, number, after) in [
        ("delete", eas(&[("one", 0, b"")]), 0, eas(&[("TWO", 0, b"2")])),
        ("replace", eas(&[("two", 0x80, b"new")]), 0, eas(&[("ONE", 0, b"1"), ("TWO", 0x80, b"new")])),
        ("add", eas(&[("three", 0x80, b"3")]), 0, added),
        ("nothing", vec![], 0, eas(&[("ONE", 0, b"1"), ("TWO", 0, b"2")])),
        ("a bad name behind a good change", eas(&[("ONE", 0, b""), ("a:b", 0, b"v")]), 254, vec![]),
        ("misaligned Next", misaligned, 255, vec![]),
        ("cut", eas(&[("ONE", 0, b"1234")])[..10].to_vec(), 255, vec![]),
        ("too large", eas(&[("A", 0, &two), ("B", 0, &two)]), 255, vec![]),
        ("too large with the others", eas(&[("A", 0, &vec![1; 65_510])]), 255, vec![]),
    ] {
        let (got, file) = restore_into(before.clone(), &stream(EA, 0, &list));
        assert_eq!(got, number, "{what}");
        let expected = if number == 0 { Some(after) } else { before.ea.clone() };
        assert_eq!(file.ea, expected, "{what}");
    }
    let (_, file) = restore_into(before, &stream(EA, 0, &eas(&[("ONE", 0, b""), ("TWO", 0, b"")])));
    assert_eq!(file.ea, None, "no EA is no list");
}

#[test]
fn bs_53_a_file_keeps_its_object_id() {
    let mut before = MemoryFile::file();
    before.object_id = Some(object_id(1));
    let (number, after) = restore_into(before.clone(), &stream(OBJECT_ID, 0, &[2; 64]));
    assert_eq!((number, after == before), (183, true));
}

#[test]
fn bs_53_an_object_id_in_use_on_the_volume_is_52() {
    let volume = MemoryVolume::new();
    let mut other = MemoryFile::file();
    other.object_id = Some(object_id(1));
    volume.insert("other", other);
    volume.insert("f", MemoryFile::file());
    let file = open(&System::new(volume), "f", WRITE);
    assert_eq!(write(&file, &stream(OBJECT_ID, 0, &[1; 64]), true, &mut Context::default()).1, 52);
}

#[test]
fn bs_53_an_object_id_of_another_size_is_13() {
    for size in [0, 15, 17, 40, 63, 65, 80] {
        let (number, file) = restore_into(MemoryFile::file(), &stream(OBJECT_ID, 0, &vec![1; size]));
        assert_eq!((number, file.object_id), (13, None), "{size} bytes");
    }
    let (_, kinds, notes, file) = told(WritePolicy::default(), true, &stream(OBJECT_ID, 0, &[1; 16]));
    assert_eq!((kinds, notes, file.object_id.is_some()), (vec![], 1, true), "16 bytes are taken with a note");
}

#[test]
fn bs_54_reparse_buffers_that_cannot_be_set_change_nothing() {
    let build = |tag, guid: Option<u8>| {
        reparse::build(tag, guid.map(|byte| ntbak_wire::object_id::Guid([byte; 16])), b"data").unwrap()
    };
    let (symlink, mount) = (build(ReparseTag::SYMLINK, None), build(ReparseTag::MOUNT_POINT, None));
    let foreign = ReparseTag(0x123);
    let tagged = |buffer: &[u8]| {
        let mut file = MemoryFile::file();
        file.reparse = Some(buffer.to_vec());
        file
    };
    let largest = build(ReparseTag::DEDUP, None);
    for (what, before, buffer, number) in [
        ("7 bytes", MemoryFile::file(), largest[..7].to_vec(), 4392),
        ("16385 bytes", MemoryFile::file(), vec![0x80; 16_385], 13),
        ("a wrong length", MemoryFile::file(), [&largest[..], b"x"].concat(), 4392),
        ("a reserved tag", MemoryFile::file(), [&[1, 0, 0, 0, 0, 0, 0, 0][..], &[0; 16]].concat(), 4393),
        ("a mount point on a file", MemoryFile::file(), mount.clone(), 267),
        ("a symlink on a file with data", MemoryFile::file().with_stream(None, b"x"), symlink.clone(), 4392),
        ("another tag", tagged(&largest), symlink.clone(), 4394),
        ("another GUID", tagged(&build(foreign, Some(1))), build(foreign, Some(2)), 4391),
        ("a mount point on a directory", MemoryFile::directory(), mount, 0),
        ("a symlink on an empty file", MemoryFile::file(), symlink, 0),
        ("the same tag again", tagged(&largest), largest.clone(), 0),
    ] {
        let (got, after) = restore_into(before.clone(), &stream(REPARSE, 0, &buffer));
        assert_eq!(got, number, "{what}");
        if number == 0 {
            assert_eq!(after.reparse, Some(buffer), "{what}");
            assert!(after.info.attributes.contains(FileAttributes::REPARSE_POINT), "{what}");
        } else {
            assert!(after == before, "{what}");
        }
    }
}

#[test]
fn bs_55_ea_and_reparse_point_live_together() {
    let (ea, reparse) = (eas(&[("$LXUID", 0, b"\0\0\0\0")]), opaque_reparse());
    for order in [[0, 1], [1, 0]] {
        let streams = [stream(EA, 0, &ea), stream(REPARSE, 0, &reparse)];
        let file = restore(&order.map(|at: usize| streams[at].clone()).concat());
        assert_eq!((file.ea, file.reparse), (Some(ea.clone()), Some(reparse.clone())));
    }
}

struct Links;

impl LinkResolver for Links {
    fn resolve(&mut self, target: &Name) -> ntbak::Result<PathBuf> {
        match target.to_string().as_str() {
            r"dir\there" => Ok(PathBuf::from("/links/dir/there")),
            r"other:\volume" => Err(Error::new(Win32Error::NOT_SAME_DEVICE, "elsewhere")),
            _ => Err(Error::new(Win32Error::FILE_NOT_FOUND, "nowhere")),
        }
    }
}

#[test]
fn bs_56_links() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for (resolver, payload, number) in [
        (true, utf16(r"dir\there"), 0),
        (true, utf16("missing"), 2),
        (true, utf16(r"other:\volume"), 17),
        (false, utf16(r"dir\there"), 2),
        (true, vec![], 13),
        (true, b"odd".to_vec(), 13),
        (true, utf16("a\0b"), 13),
        (true, vec![b'x'; 65_538], 13),
    ] {
        let (system, shared) = bench(MemoryFile::file());
        let system = if resolver { system.with_links(|_| Box::new(Links)) } else { system };
        let (_, got) =
            write(&open(&system, "f", WRITE), &stream(LINK, 0, &payload), true, &mut Context::default());
        assert_eq!(got, number, "{payload:?}");
        let links = if number == 0 { vec![Name::from("/links/dir/there")] } else { vec![] };
        assert_eq!(shared.read().links, links);
    }
}

#[test]
fn bs_57_named_streams_are_passed_over_where_there_are_none() {
    let shared = SharedFile::new(MemoryFile::file());
    let (target, report) = (shared.clone(), Arc::new(Collected::new()));
    let can = Capabilities::everything().without(Facts::NAMED_STREAMS, "no streams here");
    let system = OneFile::writing(move || {
        Box::new(MemorySink::in_place(target.clone()).with_capabilities(can.clone()))
    })
    .with_report(report.clone());
    let bytes = [
        stream(DATA, 0, b"main"),
        named(":a", 0, b"lost"),
        named(":b", 8, b""),
        block(2, b"lost too"),
        block(99, b""),
        stream(OBJECT_ID, 0, &[1; 64]),
    ];
    assert_eq!(write(&open(&system, "f", WRITE), &bytes.concat(), true, &mut Context::default()).1, 0);
    let file = shared.read();
    assert_eq!(
        (file.streams.len(), content(&file, None), file.object_id),
        (1, b"main".into(), Some(object_id(1)))
    );
    let losses: Vec<_> = report.losses().into_iter().map(|loss| (loss.kind, loss.stream, loss.why)).collect();
    let lost = |stream| (LossKind::Stream, Some(name(stream)), "no streams here".to_owned());
    assert_eq!(losses, [lost("a"), lost("b")]);
}

#[test]
fn bs_57_other_facts_that_the_place_has_not_are_errors() {
    for (fact, bytes, number) in [
        (Facts::SECURITY, stream(SECURITY, 2, &full_sd()), 50),
        (Facts::EA, stream(EA, 0, &eas(&[("A", 0, b"v")])), 282),
        (Facts::REPARSE, stream(REPARSE, 0, &opaque_reparse()), 50),
        (Facts::OBJECT_ID, stream(OBJECT_ID, 0, &[1; 64]), 50),
    ] {
        let system = OneFile::writing(move || {
            let can = Capabilities::everything().without(fact, "not here");
            Box::new(MemorySink::in_place(SharedFile::default()).with_capabilities(can))
        });
        assert_eq!(
            write(&open(&system, "f", WRITE), &bytes, true, &mut Context::default()).1,
            number,
            "{fact:?}"
        );
    }
}

#[test]
fn bs_58_a_stream_replaces_what_was_there_and_others_stay() {
    let before = || MemoryFile::file().with_stream(None, &bytes(1000)).with_stream(Some(name("a")), b"old");
    let (_, file) = restore_into(before(), &stream(DATA, 0, b"short"));
    assert_eq!((content(&file, None), content(&file, Some("a"))), (b"short".into(), b"old".into()));
    let (_, file) = restore_into(before(), &stream(DATA, 0, b""));
    assert_eq!(content(&file, None), b"", "go-winio writes an empty DATA for an empty file");
    let (_, file) =
        restore_into(before(), &[stream(DATA, 8, b""), block(10, b"xy"), block(50, b"")].concat());
    assert_eq!(content(&file, None), [&[0; 10][..], b"xy", &[0; 38]].concat());
}

#[test]
fn bs_59_a_lone_block_goes_to_its_offset() {
    let before = MemoryFile::file().with_stream(None, &[b'.'; 10]);
    let (_, file) = restore_into(before.clone(), &block(4, b"XY"));
    assert_eq!(content(&file, None), b"....XY....");
    let (_, file) = restore_into(before, &[block(12, b"XY"), block(16, b"")].concat());
    assert_eq!(content(&file, None), b"..........\0\0XY\0\0");
    assert!(file.stream(None).unwrap().flags.contains(StreamFlags::SPARSE));
}

#[test]
fn bs_60_hostile_sizes_are_13_at_the_header() {
    for (id, most) in [(EA, 131_072), (SECURITY, 262_144), (LINK, 65_536), (OBJECT_ID, 64), (REPARSE, 16_384)]
    {
        for size in [most + 1, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX] {
            let (system, shared) = bench(MemoryFile::file());
            let got =
                write(&open(&system, "f", WRITE), &header(id, 0, size, &[]), true, &mut Context::default());
            assert_eq!(got, (20, 13), "id {id}, size {size}");
            assert!(*shared.read() == MemoryFile::file());
        }
    }
    for size in [1 << 63, u64::MAX] {
        assert_eq!(restore_into(MemoryFile::file(), &header(DATA, 0, size, &[])).0, 13);
    }
}

#[test]
fn a_cut_stream_is_told_by_the_finish_only() {
    let (_, bytes) = rich();
    let first = 20 + full_sd().len();
    for (cut, number) in
        [(0, 0), (19, 13), (20, 13), (first - 1, 13), (first, 0), (bytes.len() - 1, 13), (bytes.len(), 0)]
    {
        let (system, _) = bench(MemoryFile::file());
        let mut context = Context::default();
        assert_eq!(write(&open(&system, "f", WRITE), &bytes[..cut], true, &mut context).1, 0);
        assert_eq!(
            backup_finish(&mut context).err().map_or(0, |error| error.win32().0),
            number,
            "cut at {cut}"
        );
        assert!(context.is_null());
    }
    assert_eq!(code(backup_finish(&mut Context::default())), 87);
}

#[test]
fn content_for_a_directory_is_never_dropped_in_silence() {
    for (bytes, number) in [
        (stream(DATA, 0, b""), 0),
        (stream(DATA, 0, b"x"), 87),
        (stream(DATA, 8, b"x"), 87),
        ([stream(DATA, 8, b""), block(0, b"content"), block(7, b"")].concat(), 87),
        (block(0, b"content"), 87),
    ] {
        let (got, file) = restore_into(MemoryFile::directory(), &bytes);
        assert_eq!((got, file.streams.len()), (number, 0), "{:?}", shape(&bytes));
    }
}
