//! What goes into an archive comes out of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::random::any_files;
use common::*;
use ntbak_archive::{Archive, Limits, verify, zstd};
use ntbak_wire::record::{Extents, NtfsFields, Record, SmallKind, StreamHead};
use ntbak_wire::{FileAttributes, Name, reparse};
use proptest::prelude::*;
use std::io::{Cursor, Write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bs_74_any_files_round_trip(files in any_files(), chunk in prop_oneof![Just(1000_usize), Just(1 << 20)]) {
        let mut writer = writer();
        for file in &files {
            prop_assert_eq!(put(&mut writer, file, chunk).unwrap(), []);
        }
        let archive = writer.finish().unwrap();
        let read = read(&archive).unwrap();
        prop_assert_eq!(read.remarks, []);
        prop_assert_eq!(read.files.len(), files.len());
        for (found, file) in read.files.iter().zip(&files) {
            prop_assert_eq!(found, &expected(file));
        }
        let summary = read.summary;
        prop_assert!(summary.ours && summary.complete && summary.proven && summary.faults == 0);
        // The same through zstd.
        let mut packed = zstd::Compressor::new(Vec::new(), 1, 2).unwrap();
        packed.write_all(&archive).unwrap();
        let packed = packed.finish().unwrap();
        let summary = verify(&packed[..], Limits::default(), spool(), &mut |_| ()).unwrap();
        prop_assert!(summary.complete && summary.faults == 0);
    }
}

#[test]
fn an_encrypted_file_is_its_raw_export() {
    let mut secret = file("secret", b"");
    secret.streams.clear();
    secret.info.attributes |= FileAttributes::ENCRYPTED;
    secret.efs = Some(vec![7; 100_000]);
    let mut folder = directory("folder");
    folder.info.attributes |= FileAttributes::ENCRYPTED;
    folder.efs = Some(b"export of a directory".to_vec());
    let empty = File { path: b"empty".into(), efs: Some(vec![]), ..secret.clone() };
    let files = [secret, folder, empty, file("after", b"x")];
    let archive = archive(&files);
    let read = read(&archive).unwrap();
    assert_eq!(read.files, files.iter().map(expected).collect::<Vec<_>>());
    assert_eq!(read.remarks, []);
    let names = names(&archive);
    assert_eq!(names[1..5], ["secret", "folder/", "folder:ntbak-efs-dir", "empty"]);
}

/// The names of all entries, by the `tar` crate.
fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = ::tar::Archive::new(archive);
    let name = |entry: ::tar::Entry<'_, _>| String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    archive.entries().unwrap().map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn a_file_of_one_letter_may_have_a_stream_and_a_name_a_colon() {
    let mut a = file("a", b"main");
    a.streams.push(stream(Some("b"), b"stream"));
    let files = [a, file("a:b", b"a file of its own"), file("a:c", b"another")];
    let read = read(&archive(&files)).unwrap();
    assert_eq!(read.files, files.iter().map(expected).collect::<Vec<_>>());
}

#[test]
fn the_root_and_its_streams() {
    let mut root = directory("");
    root.streams.push(stream(Some("s"), b"of the root"));
    let archive = archive(std::slice::from_ref(&root));
    assert_eq!(names(&archive)[1..3], ["./", ".:s"]);
    let read = read(&archive).unwrap();
    assert_eq!(read.files, [expected(&root)]);
    assert_eq!((read.remarks, read.summary.faults), (vec![], 0));
}

#[test]
fn the_folder_of_the_archive_is_the_archives_own() {
    let mut own = file(".ntbak/volume.json", b"not yours");
    own.streams.push(stream(Some("s"), b"x"));
    let mut writer = writer();
    let remarks = put(&mut writer, &own, 1000).unwrap();
    assert_eq!(remarks.len(), 1);
    writer.link(b"link", b".ntbak/volume.json", None, &own.info).unwrap();
    let archive = writer.finish().unwrap();
    assert_eq!(names(&archive)[1], ".ntbak~/volume.json");
    let read = read(&archive).unwrap();
    assert_eq!(read.files, [expected(&own)]);
    assert_eq!(read.links[0].1, b".ntbak/volume.json");
    assert_eq!((read.remarks, read.summary.notes, read.summary.faults), (vec![], 1, 0));
}

#[test]
fn links_come_after_their_file() {
    let mut writer = writer();
    put(&mut writer, &file("dir/first", b"x"), 10).unwrap();
    let info = Default::default();
    writer.link(b"second", b"dir/first", Some(&Name::from("SECOND~1")), &info).unwrap();
    let read = read(&writer.finish().unwrap()).unwrap();
    assert_eq!(read.links, [(b"second".to_vec(), b"dir/first".to_vec(), Some("SECOND~1".into()))]);
    assert_eq!((read.remarks, read.summary.entries), (vec![], 3));
}

#[test]
fn only_links_with_a_print_name_and_no_content_are_links_of_tar() {
    let link = |print: &str| reparse::build_symlink(&r"\??\C:\x".into(), &print.into(), false).unwrap();
    let junction = reparse::build_mount_point(&r"\??\C:\x".into(), &r"C:\x".into()).unwrap();
    let cloud = reparse::build(reparse::ReparseTag(0x9000_601A), None, b"opaque").unwrap();
    let with = |mut file: File, buffer: &[u8]| {
        file.info.attributes |= FileAttributes::REPARSE_POINT;
        file.small.push((SmallKind::Reparse, buffer.to_vec()));
        file
    };
    let files = [
        (with(file("link", b""), &link(r"..\x")), b'2', r"..\x"),
        (with(file("no print name", b""), &link("")), b'0', ""),
        (with(file("content", b"x"), &link("x")), b'0', ""),
        (with(directory("junction"), &junction), b'2', r"C:\x"),
        (with(directory("cloud"), &cloud), b'5', ""),
        (with(file("placeholder", b"x"), &cloud), b'0', ""),
    ];
    let archive = archive(&files.iter().map(|(file, ..)| file.clone()).collect::<Vec<_>>());
    let mut tar = ::tar::Archive::new(&archive[..]);
    for (entry, (_, kind, target)) in tar.entries().unwrap().skip(1).zip(&files) {
        let entry = entry.unwrap();
        assert_eq!(entry.header().entry_type().as_byte(), *kind, "{:?}", entry.path());
        assert_eq!(entry.link_name_bytes().unwrap_or_default(), target.as_bytes());
    }
    let read = read(&archive).unwrap();
    assert_eq!(read.files, files.iter().map(|(file, ..)| expected(file)).collect::<Vec<_>>());
}

#[test]
fn a_wof_file_that_is_stored_as_it_reads_says_how_it_was_packed() {
    let wof = [1_u32, 2, 1, 1].map(u32::to_le_bytes).concat();
    let buffer = reparse::build(reparse::ReparseTag::WOF, None, &wof).unwrap();
    let mut stored = file("stored", b"content");
    let mut raw = File { path: b"raw".into(), ..stored.clone() };
    stored.info.wof = Some(buffer.clone());
    raw.small.push((SmallKind::Reparse, buffer));
    raw.info.attributes |= FileAttributes::REPARSE_POINT;
    let read = read(&archive(&[stored.clone(), raw.clone()])).unwrap();
    assert_eq!(read.wof, [Some("lzx".into()), None]);
    // The reparse point that it had is told and not given: what is restored is a plain file.
    assert_eq!((&read.files[0].info.wof, &read.files[0].small), (&stored.info.wof, &Vec::new()));
    assert_eq!((&read.files[1].info.wof, &read.files[1].small), (&None, &raw.small));
}

#[test]
fn what_only_ntfs_uses_is_kept_for_information() {
    let mut with = file("with", b"");
    let fields = NtfsFields { owner_id: 7, quota_charged: u64::MAX, usn: 1 << 40, ..NtfsFields::default() };
    with.info.ntfs = Some(fields);
    let bytes = archive(&[with, file("without", b"")]);
    let text = b" NTBAK.si=owner=7 quota=18446744073709551615 usn=1099511627776\n";
    assert!(bytes.windows(text.len()).any(|window| window == text));
    let read = read(&bytes).unwrap();
    assert_eq!((read.files[0].info.ntfs, read.files[1].info.ntfs), (Some(fields), None));
}

#[test]
fn facts_behind_the_content_are_kept() {
    let file = file("f", b"content");
    let mut writer = writer();
    writer.begin(&file.path).unwrap();
    writer.put(&Record::File(&file.info)).unwrap();
    writer.put(&Record::Stream(&file.streams[0].head)).unwrap();
    writer.put(&Record::Bytes { offset: 0, data: b"content" }).unwrap();
    writer.put(&Record::EndStream { size: 7 }).unwrap();
    writer.put(&Record::Small(SmallKind::ObjectId, (&[7; 64][..]).into())).unwrap();
    writer.put(&Record::Small(SmallKind::Security, (&[8; 20][..]).into())).unwrap();
    writer.linux_attribute(b"user.late", b"\n=\0").unwrap();
    writer.put(&Record::EndFile).unwrap();
    let read = read(&writer.finish().unwrap()).unwrap();
    let small = vec![(SmallKind::Security, vec![8; 20]), (SmallKind::ObjectId, vec![7; 64])];
    let linux = vec![(b"user.late".to_vec(), b"\n=\0".to_vec())];
    assert_eq!(read.files, [expected(&File { small, linux, ..file })]);
    assert_eq!((read.remarks, read.summary.faults), (vec![], 0));
}

#[test]
fn a_stream_that_shrinks_or_grows_is_told() {
    let mut writer = writer();
    writer.begin(b"f").unwrap();
    let end = |writer: &mut ntbak_archive::ArchiveWriter<_>, name: Option<&str>, data: &[u8]| {
        let name = name.map(|name| ntbak_wire::stream::StreamName::new(name.into()).unwrap());
        writer.put(&Record::Stream(&StreamHead::plain(name, 10))).unwrap();
        writer.put(&Record::Bytes { offset: 0, data }).unwrap();
        writer.put(&Record::EndStream { size: data.len() as u64 }).unwrap()
    };
    let shrunk = end(&mut writer, None, b"123").unwrap();
    let grown = end(&mut writer, Some("g"), b"123456789012345").unwrap();
    writer.put(&Record::EndFile).unwrap();
    writer.begin(b"unreadable").unwrap();
    writer.put(&Record::Stream(&StreamHead::plain(None, 1000))).unwrap();
    writer.put(&Record::Bytes { offset: 0, data: b"1" }).unwrap();
    let given_up = writer.abandon("input/output error").unwrap();
    assert_eq!(shrunk.loss.as_deref(), Some("content"));
    assert_eq!((grown.loss.as_deref(), grown.stream.unwrap().to_string()), (None, "g".into()));
    assert_eq!(given_up.loss.as_deref(), Some("content"));
    let read = read(&writer.finish().unwrap()).unwrap();
    assert_eq!(read.files[0].streams[0].pieces, [(0, b"123\0\0\0\0\0\0\0".to_vec())]);
    assert_eq!(read.files[0].streams[1].pieces, [(0, b"1234567890".to_vec())]);
    assert_eq!(read.files[1].streams[0].pieces[0].1.len(), 1000);
    assert_eq!((read.summary.losses, read.summary.notes, read.summary.faults), (2, 1, 0));
}

#[test]
fn records_that_an_archive_cannot_hold_are_refused() {
    let begun = || {
        let mut writer = writer();
        writer.begin(b"f").unwrap();
        writer
    };
    for path in [&b"/a"[..], b"..", b"a/../b", b"a//b", b"a\0", b"a/./b"] {
        assert!(writer().begin(path).is_err(), "{}", path.escape_ascii());
        assert!(writer().link(b"x", path, None, &Default::default()).is_err());
    }
    let unknown = StreamHead { extents: Extents::Unknown, ..StreamHead::plain(None, 5) };
    assert!(begun().put(&Record::Stream(&unknown)).unwrap_err().to_string().contains("ranges"));
    let amend = StreamHead { amend: true, ..StreamHead::plain(None, 5) };
    assert!(begun().put(&Record::Stream(&amend)).is_err());
    assert!(begun().put(&Record::Bytes { offset: 0, data: b"x" }).is_err());
    assert!(begun().put(&Record::Small(SmallKind::ObjectId, vec![0; 65].into())).is_err());
    assert!(begun().put(&Record::Small(SmallKind::Link, vec![0; 6].into())).is_err());
    assert!(begun().finish().is_err());
    let mut writer = begun();
    let short = StreamHead { vdl: 100, ..StreamHead::plain(None, 200_000) };
    writer.put(&Record::Stream(&short)).unwrap();
    assert!(writer.put(&Record::Bytes { offset: 150, data: b"x" }).is_err());
    writer.abandon("contradiction").unwrap();
    // The archive is sound all the same.
    assert_eq!(read(&writer.finish().unwrap()).unwrap().summary.faults, 0);
}

#[test]
fn a_header_that_is_too_large_leaves_the_file_out_and_the_archive_sound() {
    let mut large = file("large", b"x");
    large.linux = (0..20).map(|at| (format!("user.{at}").into_bytes(), vec![0; 65_536])).collect();
    let mut writer = writer();
    assert!(put(&mut writer, &large, 10).unwrap_err().to_string().contains("extended headers"));
    writer.abandon("too large").unwrap();
    put(&mut writer, &file("next", b"y"), 10).unwrap();
    let read = read(&writer.finish().unwrap()).unwrap();
    assert_eq!((read.files.len(), read.summary.losses, read.summary.faults), (1, 1, 0));
}

#[test]
fn equal_sources_give_equal_archives() {
    let mut a = file("a", &[1; 5000]);
    a.streams.push(stream(Some("b"), b"stream"));
    assert_eq!(archive(&[a.clone(), directory("d")]), archive(&[a, directory("d")]));
}

#[test]
fn single_files_are_found_without_reading_all() {
    let mut files: Vec<_> = (0..300).map(|at| file(&format!("dir/{at}"), &vec![at as u8; at * 10])).collect();
    files[77].streams.push(stream(Some("s"), b"stream"));
    let plain = archive(&files);
    let mut packed = zstd::Compressor::new(Vec::new(), 3, 2).unwrap();
    packed.write_all(&plain).unwrap();
    let packed = packed.finish().unwrap();
    let limits = Limits::default();
    let seekable = zstd::Seekable::open(Cursor::new(packed), &limits).unwrap().ok().unwrap();
    check(Archive::open(Cursor::new(&plain), limits).unwrap().ok().unwrap(), &files);
    check(Archive::open(seekable, limits).unwrap().ok().unwrap(), &files);
    for cut in [0, 100, plain.len() - 2000] {
        assert!(Archive::open(Cursor::new(&plain[..cut]), limits).unwrap().is_err());
    }
}

fn check<R: std::io::Read + std::io::Seek>(mut archive: Archive<R>, files: &[File]) {
    assert_eq!(archive.volume(), &volume());
    let entries = archive.entries().unwrap().map(|entry| entry.unwrap());
    let count = entries.filter(|entry| entry.path.starts_with(b"dir/")).count();
    assert_eq!(count, files.len() + 1);
    for at in [0, 77, 299, 5] {
        let offset = archive.find(&files[at].path).unwrap().unwrap();
        let read = collect(&mut archive.read_at(offset).unwrap()).unwrap();
        assert_eq!(read.files, [expected(&files[at])]);
        assert_eq!(read.remarks, []);
    }
    assert_eq!(archive.find(b"dir/300").unwrap(), None);
}
