//! Entries that were written aside are the same as those that were written in their place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::random::any_files;
use common::*;
use ntbak_archive::{ArchiveWriter, Fragment, Limits, Remark, Volume, verify};
use ntbak_wire::record::{FileInfo, Record, StreamHead};
use proptest::prelude::*;

/// Writes files, a remark about each, and another name of each that is no directory.
fn write<W: std::io::Write>(writer: &mut ArchiveWriter<W>, files: &[File], number: usize) {
    for (at, file) in files.iter().enumerate() {
        put(writer, file, 1000).unwrap();
        writer.remark(&Remark::note(&file.path, format!("note {}", number + at))).unwrap();
        if !file.info.attributes.is_directory() {
            let name = format!("link {}", number + at);
            writer.link(name.as_bytes(), &file.path, None, &FileInfo::default()).unwrap();
        }
    }
}

fn aside(files: &[File], number: usize, buffer: Vec<u8>) -> Fragment {
    let mut writer = ArchiveWriter::aside(buffer);
    write(&mut writer, files, number);
    writer.into_fragment().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Every second part is written aside; the archive is the same byte for byte, its manifest too.
    #[test]
    fn fragments_are_as_if_they_were_written_in_place(files in any_files(), part in 1..4_usize, beside: bool) {
        let mut whole = writer();
        write(&mut whole, &files, 0);
        let whole = whole.finish().unwrap();

        let begin = if beside { ArchiveWriter::with_thread } else { ArchiveWriter::new };
        let mut parts = begin(Vec::new(), spool(), &volume()).unwrap();
        let mut buffer = Vec::new();
        for (at, files) in files.chunks(part).enumerate() {
            let number = at * part;
            if at % 2 == 0 {
                buffer = parts.append(aside(files, number, buffer)).unwrap();
                prop_assert!(buffer.is_empty());
            } else {
                write(&mut parts, files, number);
            }
        }
        let parts = parts.finish().unwrap();
        prop_assert!(parts == whole);
        let summary = verify(&parts[..], Limits::default(), spool(), &mut |_| ()).unwrap();
        prop_assert!(summary.complete && summary.proven && summary.faults == 0);
    }
}

#[test]
fn a_file_is_in_one_place() {
    let mut open = ArchiveWriter::aside(Vec::new());
    open.begin(b"a").unwrap();
    open.put(&Record::File(&FileInfo::default())).unwrap();
    open.put(&Record::Stream(&StreamHead::plain(None, 3))).unwrap();
    assert!(open.into_fragment().is_err());

    let mut archive = writer();
    archive.begin(b"b").unwrap();
    let fragment = aside(&[file("a", b"content")], 0, Vec::new());
    assert_eq!(fragment.len() % 512, 0);
    assert!(!fragment.is_empty() && archive.append(fragment).is_err());
    let mut within = ArchiveWriter::aside(Vec::new());
    assert!(within.append(aside(&[file("a", b"content")], 0, Vec::new())).is_err());
    // What was given up is no hindrance.
    archive.abandon("it was given up").unwrap();
    archive.append(aside(&[file("a", b"content")], 0, Vec::new())).unwrap();
    let read = read(&archive.finish().unwrap()).unwrap();
    assert_eq!(read.files.len(), 1);
    assert!(read.summary.complete && read.summary.faults == 0);
}

/// A fragment is not sent to the target before the entries that came before it.
#[test]
fn nothing_is_overtaken() {
    for begin in [ArchiveWriter::new, ArchiveWriter::with_thread] {
        let mut archive = begin(Vec::new(), spool(), &Volume::default()).unwrap();
        let before = archive.offset();
        put(&mut archive, &file("first", b"1"), 1000).unwrap();
        let first = archive.offset();
        archive.append(aside(&[file("second", b"2")], 0, Vec::new())).unwrap();
        assert!(before < first && first < archive.offset());
        archive.append(ArchiveWriter::aside(Vec::new()).into_fragment().unwrap()).unwrap();
        put(&mut archive, &file("third", b"3"), 1000).unwrap();
        let read = read(&archive.finish().unwrap()).unwrap();
        let paths: Vec<_> = read.files.iter().map(|file| file.path.as_slice()).collect();
        assert_eq!(paths, [&b"first"[..], b"second", b"third"]);
        assert!(read.summary.proven && read.summary.faults == 0);
    }
}
