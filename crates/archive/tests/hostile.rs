//! Damaged and hostile archives: found or refused, never a panic, never more memory than the budgets say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use ntbak_archive::{ArchiveReader, Limits, PathFlaws, open, verify, zstd};
use ntbak_wire::record::{Extents, SmallKind};
use proptest::prelude::*;
use std::io::{Read, Write};

/// A small archive with all kinds of entries.
fn small() -> Vec<u8> {
    let mut a = file("a", b"main");
    a.streams.push(stream(Some("s"), b"stream"));
    a.small.push((SmallKind::Security, vec![1; 20]));
    let mut holes = stream(None, b"");
    holes.head.size = 100_000;
    holes.head.vdl = 100_000;
    holes.head.extents = Extents::Known(vec![ntbak_wire::record::Extent { offset: 4096, len: 5 }]);
    holes.pieces = vec![(4096, b"12345".to_vec())];
    let mut writer = writer();
    put(&mut writer, &directory("d"), 10).unwrap();
    put(&mut writer, &a, 10).unwrap();
    put(&mut writer, &File { streams: vec![holes], ..file("holes", b"") }, 10).unwrap();
    writer.link(b"link", b"a", None, &a.info).unwrap();
    writer.finish().unwrap()
}

/// Whether `verify` calls it whole.
fn is_whole(archive: &[u8]) -> bool {
    let summary = verify(archive, Limits::default(), spool(), &mut |_| ());
    summary.is_ok_and(|summary| summary.ours && summary.complete && summary.proven && summary.faults == 0)
}

#[test]
fn every_flipped_bit_is_found() {
    let archive = small();
    assert!(is_whole(&archive));
    // Far from anything else than zeros, one bit of a byte stands for all.
    let lonely =
        |at: usize| archive[at.saturating_sub(8)..(at + 8).min(archive.len())].iter().all(|byte| *byte == 0);
    for bit in (0..archive.len() * 8).filter(|bit| bit % 8 == 3 || !lonely(bit / 8)) {
        let mut flipped = archive.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_whole(&flipped), "bit {} of byte {} is not found", bit % 8, bit / 8);
    }
}

#[test]
fn every_truncation_is_found() {
    let archive = small();
    for len in 0..archive.len() {
        assert!(!is_whole(&archive[..len]), "cut at {len}");
        // What comes before the cut is read all the same, and the cut is told.
        let mut reader = ArchiveReader::new(&archive[..len], Limits::default());
        let told = loop {
            match reader.next() {
                Err(_) => break true,
                Ok(None) => break !reader.summary().complete,
                Ok(Some(_)) => {}
            }
        };
        // Two blocks of zeros at the end are only missed by `verify`.
        assert!(told || len >= archive.len() - 1024, "cut at {len} is not told");
    }
    assert!(!is_whole(&[&archive[..], b"x"].concat()));
    assert!(!is_whole(&[&archive[..], &archive].concat()));
    assert!(is_whole(&[&archive[..], &[0; 9000]].concat()), "padding to the blocks of a tape is harmless");
}

#[test]
fn entries_that_are_moved_dropped_or_swapped_are_found() {
    let files: Vec<_> = ["a", "b", "c"].map(|name| file(name, b"x")).into();
    let archive = archive(&files);
    let entry = 1024 + 512 + 512;
    let at = archive.windows(14).position(|w| w == b"PaxHeaders/a\0\0").unwrap();
    assert!(archive[at + entry..].starts_with(b"PaxHeaders/b"));
    let mut swapped = archive.clone();
    swapped[at..at + 2 * entry].rotate_left(entry);
    assert!(is_whole(&archive) && !is_whole(&swapped));
    let dropped = [&archive[..at], &archive[at + entry..]].concat();
    assert!(!is_whole(&dropped));
    let doubled = [&archive[..at + entry], &archive[at..]].concat();
    assert!(!is_whole(&doubled));
}

#[test]
fn damage_in_zstd_is_found() {
    let archive = small();
    let mut packed = zstd::Compressor::new(Vec::new(), 3, 1).unwrap();
    packed.write_all(&archive).unwrap();
    let packed = packed.finish().unwrap();
    assert!(is_whole(&packed));
    for len in 0..packed.len() {
        assert!(!is_whole(&packed[..len]), "cut at {len}");
    }
    for bit in 0..packed.len() * 8 {
        let mut flipped = packed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if is_whole(&flipped) {
            let mut out = Vec::new();
            open(&flipped[..]).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == archive, "bit {bit} changes the archive and is not found");
        }
    }
}

/// One entry as an old program writes it.
fn entry(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let body = key.len() + value.len() + 3;
        let len = (body..).find(|len| *len == body + len.to_string().len()).unwrap();
        data.extend_from_slice(format!("{len} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    data
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

fn paths(found: &Found) -> Vec<String> {
    found.files.iter().map(|file| String::from_utf8_lossy(&file.path).into_owned()).collect()
}

#[test]
fn the_size_of_the_extended_header_counts_for_the_file_and_not_for_what_stands_between() {
    // RUSTSEC-2025-0111: the PAX size must count, and it binds to the file behind other extension headers.
    let inner = [entry("smuggled", b'0', b"x"), end()].concat();
    let size = inner.len().to_string();
    let mut file = entry("outer", b'0', &[]);
    file.extend_from_slice(&inner);
    for between in
        [vec![], entry("g", b'g', &pax(&[("comment", b"c")])), entry("././@LongLink", b'L', b"outer\0")]
    {
        let header = entry("x", b'x', &pax(&[("size", size.as_bytes())]));
        let archive = [header, between, file.clone(), entry("after", b'0', b""), end()].concat();
        let found = read(&archive).unwrap();
        assert_eq!(paths(&found), ["outer", "after"]);
        assert_eq!(found.files[0].streams[0].pieces[0].1, inner);
    }
}

#[test]
fn values_with_newlines_are_no_records() {
    let evil = pax(&[("SCHILY.xattr.user.x", b"\n20 path=/etc/passwd\n13 size=9999\n"), ("path", b"good")]);
    let found = read(&[entry("x", b'x', &evil), entry("y", b'0', b"1"), end()].concat()).unwrap();
    assert_eq!(paths(&found), ["good"]);
    assert_eq!(found.files[0].streams[0].head.size, 1);
}

#[test]
fn global_headers_are_in_force_until_they_are_taken_back() {
    let global = entry("g", b'g', &pax(&[("mtime", b"5"), ("comment", b"all")]));
    let back = entry("g", b'g', &pax(&[("mtime", b"")]));
    let own = entry("x", b'x', &pax(&[("mtime", b"7")]));
    let archive =
        [global, entry("a", b'0', b""), own, entry("b", b'0', b""), back, entry("c", b'0', b""), end()]
            .concat();
    let found = read(&archive).unwrap();
    let written = |at: usize| found.files[at].info.times.written.unwrap().to_unix().0;
    assert_eq!((written(0), written(1), written(2)), (5, 7, 0));
    assert_eq!(found.unknown[2], [(b"comment".to_vec(), b"all".to_vec())]);
}

#[test]
fn paths_come_with_their_flaws() {
    for (name, flaw) in [
        ("/etc/passwd", PathFlaws::ABSOLUTE),
        ("../x", PathFlaws::PARENT),
        ("a/../../x", PathFlaws::PARENT),
        ("a//b", PathFlaws::EMPTY),
        ("a:b", PathFlaws::COLON),
        ("a\\..\\b", PathFlaws::BACKSLASH),
    ] {
        let archive = [entry(name, b'0', b"x"), end()].concat();
        let mut reader = ArchiveReader::new(&archive[..], Limits::default());
        let Some(ntbak_archive::Item::File(entry)) = reader.next().unwrap() else { panic!() };
        assert!(entry.path.flaws().contains(flaw), "{name}");
        assert_eq!(entry.path.as_bytes(), name.as_bytes());
    }
    let nul = entry("x", b'x', &pax(&[("path", b"a\0b")]));
    let found = read(&[nul, entry("y", b'0', b""), end()].concat()).unwrap();
    assert_eq!(found.files[0].path, b"a\0b");
}

#[test]
fn streams_are_only_taken_behind_their_file_and_under_their_own_name() {
    let name = |name: &str| {
        use base64::Engine;
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        base64::engine::general_purpose::STANDARD.encode(units)
    };
    let stream = |path: &str, key: &str| {
        [entry("x", b'x', &pax(&[("NTBAK.stream", key.as_bytes())])), entry(path, b'0', b"data")].concat()
    };
    for (archive, streams, remarks) in [
        ([entry("a", b'0', b""), stream("a:s", &name("s"))].concat(), 2, 0),
        ([entry("a", b'0', b""), entry("b", b'0', b""), stream("a:s", &name("s"))].concat(), 1, 1),
        ([entry("a", b'0', b""), stream("a:s", &name("other"))].concat(), 1, 1),
        ([entry("a", b'0', b""), stream("a::$DATA", &name(":$DATA"))].concat(), 1, 1),
        ([entry("a", b'0', b""), stream("a:s:$DATA", &name("s:$DATA"))].concat(), 1, 1),
        ([entry("a", b'0', b""), stream("a:s", "no base64!")].concat(), 1, 1),
        ([entry("a", b'0', b""), stream("a:s", "")].concat(), 1, 1),
        ([stream("a:s", &name("s"))].concat(), 0, 1),
    ] {
        let found = read(&[archive, end()].concat()).unwrap();
        let last = found.files.last().map_or(0, |file| file.streams.len());
        assert_eq!((last, found.remarks.len()), (streams, remarks), "{:?}", found.remarks);
        assert!(found.remarks.iter().all(|remark| remark.loss.as_deref() == Some("stream")));
    }
}

#[test]
fn what_means_nothing_is_told_and_the_rest_is_read() {
    let kinds = b"34678DMNVA";
    let mut archive = Vec::new();
    for kind in kinds {
        archive.extend(entry("odd", *kind, b""));
    }
    let bad: [(&str, &[u8]); 6] = [
        ("MSWINDOWS.rawsd", b"!"),
        ("MSWINDOWS.fileattr", b"4294967296"),
        ("mtime", b"yesterday"),
        ("NTBAK.shortname", b"\xFF"),
        ("MSWINDOWS.xattr.A", b"="),
        ("NTBAK.vdl", b"7"),
    ];
    archive.extend(entry("x", b'x', &pax(&bad)));
    archive.extend(entry("last", b'0', b"x"));
    let found = read(&[archive, end()].concat()).unwrap();
    assert_eq!(paths(&found).last().unwrap(), "last");
    let losses: Vec<_> = found.remarks.iter().filter_map(|remark| remark.loss.as_deref()).collect();
    for kind in ["security", "attribute", "time", "short-name", "ea", "vdl", "content"] {
        assert!(losses.contains(&kind), "{kind}: {losses:?}");
    }
}

#[test]
fn sizes_on_which_programs_disagree_are_refused() {
    for kind in b"12345" {
        let error = read(&[entry("x", *kind, b"data"), end()].concat()).unwrap_err();
        assert!(error.to_string().contains("disagree"), "{error}");
    }
}

#[test]
fn budgets_are_kept() {
    let refused = |archive: Vec<u8>, what: &str| {
        let error = read(&archive).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let huge = |kind: u8, size: u64| {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::new(kind));
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    // No memory is taken for what is only claimed.
    refused(huge(b'x', 1 << 40), "at most");
    refused(huge(b'L', 1 << 62), "at most");
    refused(huge(b'g', 1 << 40), "at most");
    refused(huge(b'0', 1 << 40), "cut off");
    refused(entry("x", b'x', b"6 a=1\n").repeat(65), "extension headers");
    let many: Vec<_> =
        (0..200).map(|at| entry("g", b'g', &pax(&[(&format!("key{at}"), &[b'x'; 9000])]))).collect();
    refused(
        many.iter().map(|global| [&global[..], &entry("f", b'0', b"")].concat()).collect::<Vec<_>>().concat(),
        "global",
    );
    let map = format!("{}\n", 1_u64 << 40);
    let records =
        pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9999")]);
    refused([entry("x", b'x', &records), entry("s", b'0', map.as_bytes())].concat(), "sparse map");
}

#[test]
fn a_newer_format_and_other_programs_are_named() {
    let newer = [entry(".ntbak/volume.json", b'0', br#"{"format":2}"#), end()].concat();
    assert!(read(&newer).unwrap_err().to_string().contains("newer"));
    for (start, name) in
        [(&b"\x1F\x8B\x08"[..], "gzip"), (b"BZh9", "bzip2"), (b"\xFD7zXZ\0", "xz"), (b"text", "no tar")]
    {
        let error = open(start).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(open(&[][..]).is_err());
}

#[test]
fn an_archive_of_ours_that_is_cut_is_incomplete_and_read_as_far_as_it_reaches() {
    let archive = small();
    let manifest = archive.windows(21).position(|w| w == b".ntbak/manifest.jsonl").unwrap();
    let found = read(&archive[..manifest]).unwrap();
    assert_eq!(found.files.len(), 3);
    assert!(!found.summary.complete && found.summary.faults > 0);
    assert_eq!(found.remarks[0].loss.as_deref(), Some("archive"));
}

/// Reads all, whatever it is; `Err` is fine, a panic is not.
fn drain(archive: &[u8]) {
    let mut losses = 0;
    let _ = verify(archive, Limits::default(), spool(), &mut |_| losses += 1);
    if let Ok(source) = open(archive) {
        let mut reader = ArchiveReader::new(source, Limits::default());
        while let Ok(Some(_)) = reader.next() {}
    }
    if let Ok(Ok(mut archive)) =
        ntbak_archive::Archive::open(std::io::Cursor::new(archive), Limits::default())
    {
        if let Ok(entries) = archive.entries() {
            entries.for_each(drop);
        }
        for offset in [0, 512, 1024] {
            if let Ok(mut reader) = archive.read_at(offset) {
                while let Ok(Some(_)) = reader.next() {}
            }
        }
    }
}

/// Makes the checksums of all headers right again, so that a mutation reaches what lies behind them.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_archives_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        moved in option_of_move(),
        mended: bool,
    ) {
        let mut archive = small();
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        if let Some((from, to)) = moved {
            let blocks = archive.len() / 512;
            let (from, to) = (from.index(blocks) * 512, to.index(blocks) * 512);
            archive.copy_within(from..from + 512, to);
        }
        if mended {
            mend(&mut archive);
        }
        drain(&archive);
        drain(&archive[..cut.index(archive.len())]);
    }

    #[test]
    fn any_headers_and_records_never_panic(
        entries in prop::collection::vec((any_kind(), any_records(), prop::collection::vec(any::<u8>(), 0..600)), 1..6),
    ) {
        let mut archive = Vec::new();
        for (kind, records, data) in &entries {
            let records: Vec<_> = records.iter().map(|(key, value)| (*key, &value[..])).collect();
            archive.extend(entry("x", b'x', &pax(&records)));
            archive.extend(entry("a", *kind, data));
        }
        archive.extend(end());
        drain(&archive);
    }
}

fn option_of_move() -> impl Strategy<Value = Option<(prop::sample::Index, prop::sample::Index)>> {
    prop::option::of(any::<(prop::sample::Index, prop::sample::Index)>())
}

fn any_kind() -> impl Strategy<Value = u8> {
    prop::sample::select(&b"0000125xgLKS7DMV\0"[..])
}

fn any_records() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    const KEYS: [&str; 28] = [
        "path",
        "linkpath",
        "size",
        "mtime",
        "atime",
        "ctime",
        "uid",
        "gid",
        "hdrcharset",
        "LIBARCHIVE.creationtime",
        "MSWINDOWS.fileattr",
        "MSWINDOWS.rawsd",
        "MSWINDOWS.sd",
        "MSWINDOWS.xattr.A",
        "MSWINDOWS.mountpoint",
        "GNU.sparse.major",
        "GNU.sparse.realsize",
        "GNU.sparse.size",
        "GNU.sparse.map",
        "GNU.sparse.offset",
        "GNU.sparse.numbytes",
        "SCHILY.xattr.user.a",
        "NTBAK.stream",
        "NTBAK.reparse",
        "NTBAK.ea",
        "NTBAK.vdl",
        "NTBAK.efs",
        "NTBAK.shortname",
    ];
    let value = prop_oneof![
        "[0-9]{0,20}".prop_map(String::into_bytes),
        "-?[0-9]{1,5}\\.[0-9]{0,9}".prop_map(String::into_bytes),
        "[0-9]{1,3}(,[0-9]{1,3}){0,5}".prop_map(String::into_bytes),
        Just(b"1".to_vec()),
        Just(b"a:s".to_vec()),
        Just(b"raw".to_vec()),
        Just(b"cwA=".to_vec()),
        "[A-Za-z0-9+/]{0,40}={0,2}".prop_map(String::into_bytes),
        any::<Vec<u8>>(),
    ];
    prop::collection::vec((prop::sample::select(&KEYS[..]), value), 0..6)
}
