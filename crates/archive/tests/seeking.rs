//! Content that nobody wants is passed over, where a source can be sought in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use ntbak_archive::zstd::Compressor;
use ntbak_archive::{ArchiveReader, Item, Limits, Problem, SeekSource};
use ntbak_wire::record::{FileInfo, Record, StreamHead};

use common::writer;

const LARGE: u64 = 8 << 20;

/// Three files of 8 MiB with a small one behind each.
fn archive() -> Vec<u8> {
    let mut writer = writer();
    for number in 0..3 {
        for (name, size) in [("large", LARGE), ("small", 5)] {
            writer.begin(format!("{name}{number}").as_bytes()).unwrap();
            writer.put(&Record::File(&FileInfo::default())).unwrap();
            let head = StreamHead::plain(None, size);
            writer.put(&Record::Stream(&head)).unwrap();
            let data: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            writer.put(&Record::Bytes { offset: 0, data: &data }).unwrap();
            writer.put(&Record::EndStream { size }).unwrap();
            writer.put(&Record::EndFile).unwrap();
        }
    }
    writer.finish().unwrap()
}

struct Counting<'c>(Cursor<Vec<u8>>, &'c Cell<u64>);

impl Read for Counting<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.0.read(out)?;
        self.1.set(self.1.get() + got as u64);
        Ok(got)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// The sizes of all files, and how many bytes of the source were read for them.
fn list(archive: Vec<u8>, no_content: bool) -> (Vec<(Vec<u8>, u64)>, u64, bool) {
    let read = Cell::new(0);
    let source =
        SeekSource::open(Counting(Cursor::new(archive), &read), &Limits::default()).unwrap().unwrap();
    let mut reader = ArchiveReader::seeking(source, Limits::default()).unwrap();
    reader.set_no_content(no_content);
    let (mut sizes, mut name) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::File(file) => name = file.path.as_bytes().to_vec(),
            Item::Record(Record::EndStream { size }) => sizes.push((name.clone(), size)),
            Item::Record(Record::Bytes { .. }) => assert!(!no_content),
            _ => {}
        }
    }
    (sizes, read.get(), reader.summary().complete)
}

#[test]
fn a_list_reads_no_content() {
    let plain = archive();
    let len = plain.len() as u64;
    let mut packed = Compressor::new(Vec::new(), 1, 1).unwrap();
    packed.write_all(&plain).unwrap();
    let packed = packed.finish().unwrap();
    let (expected, read, complete) = list(plain.clone(), false);
    assert!(complete && read >= len && expected.len() == 6, "{expected:?}");
    for (archive, most) in [(plain, len / 5), (packed, u64::MAX)] {
        let (sizes, read, complete) = list(archive, true);
        assert!(complete && sizes == expected && read <= most, "{read} of {len} bytes: {sizes:?}");
    }
}

#[test]
fn content_that_is_cut_off_is_found_although_it_is_passed_over() {
    let mut cut = archive();
    cut.truncate(3 << 20);
    let mut reader = ArchiveReader::seeking(Cursor::new(cut), Limits::default()).unwrap();
    reader.set_no_content(true);
    let error = loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing was found"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.problem(), Problem::Truncated { .. }), "{error}");
}
