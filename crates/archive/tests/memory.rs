//! Memory does not grow with the size of what passes through, and not with what hostile headers claim.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use ntbak_archive::{ArchiveReader, ArchiveWriter, Limits, verify, zstd};
use ntbak_wire::record::{Record, StreamHead};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// One measurement at a time.
static TURN: Mutex<()> = Mutex::new(());

#[allow(unsafe_code)]
// SAFETY: everything is passed on to the system's allocator; only numbers are kept.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were in use at a time during `work`, beyond those before it.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed) - before
}

/// Writes one file of `mib` MiB and `streams` named streams into `target`.
fn write_large<W: Write>(target: W, mib: u64, files: u64, spool: Box<dyn ntbak_archive::Spool>) -> W {
    let mut writer = ArchiveWriter::new(target, spool, &volume()).unwrap();
    let piece = vec![7; 1 << 20];
    writer.begin(b"large").unwrap();
    writer.put(&Record::Stream(&StreamHead::plain(None, mib << 20))).unwrap();
    for at in 0..mib {
        writer.put(&Record::Bytes { offset: at << 20, data: &piece }).unwrap();
    }
    writer.put(&Record::EndStream { size: mib << 20 }).unwrap();
    writer.put(&Record::EndFile).unwrap();
    for at in 0..files {
        put(&mut writer, &file(&format!("dir/{at}"), b"x"), 100).unwrap();
    }
    writer.finish().unwrap()
}

fn on_disk() -> Box<dyn ntbak_archive::Spool> {
    Box::new(tempfile::tempfile().unwrap())
}

#[test]
fn writing_and_reading_take_the_same_memory_for_any_size() {
    let _turn = TURN.lock().unwrap();
    let write = |mib, files| peak(|| _ = write_large(io::sink(), mib, files, on_disk()));
    let (small, large) = (write(1, 10), write(1000, 20_000));
    assert!(large < small + (64 << 10) && large < 3 << 20, "{small} and {large} bytes");

    let path = tempfile::NamedTempFile::new().unwrap();
    write_large(path.reopen().unwrap(), 500, 20_000, on_disk());
    let read = peak(|| {
        let summary = verify(path.reopen().unwrap(), Limits::default(), on_disk(), &mut |_| ()).unwrap();
        assert!(summary.complete && summary.faults == 0 && summary.entries == 20_002);
    });
    assert!(read < 2 << 20, "{read} bytes");
}

#[test]
fn compression_takes_a_bounded_number_of_frames() {
    let _turn = TURN.lock().unwrap();
    let pack = |mib| {
        peak(|| {
            let packed = zstd::Compressor::new(io::sink(), 1, 2).unwrap();
            write_large(packed, mib, 0, on_disk()).finish().unwrap();
        })
    };
    let (small, large) = (pack(64), pack(512));
    assert!(large < small + (1 << 20) && large < 64 << 20, "{small} and {large} bytes");
}

#[test]
fn claims_of_hostile_headers_take_no_memory() {
    let _turn = TURN.lock().unwrap();
    let mut archives = Vec::new();
    for kind in *b"xgLK0S" {
        for size in [1 << 20, 2 << 20, 1 << 33, 1 << 60] {
            let mut header = ::tar::Header::new_gnu();
            header.set_entry_type(::tar::EntryType::new(kind));
            header.set_size(size);
            header.set_cksum();
            archives.push(header.as_bytes().to_vec());
        }
    }
    // Two MiB of the smallest records there are.
    let records = b"5 a=\n".repeat((2 << 20) / 5 - 1);
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut archive = [header.as_bytes().as_slice(), &records].concat();
    archive.resize(archive.len().next_multiple_of(512), 0);
    header.set_entry_type(::tar::EntryType::Regular);
    header.set_size(0);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archives.push(archive);
    for archive in archives {
        let used = peak(|| {
            let mut reader = ArchiveReader::new(&archive[..], Limits::default());
            while let Ok(Some(_)) = reader.next() {}
        });
        assert!(used < 64 << 20, "{used} bytes");
    }
}

#[test]
fn an_archive_of_global_headers_does_not_copy_them_for_each_entry() {
    let _turn = TURN.lock().unwrap();
    let value = vec![b'v'; 900 << 10];
    let len = value.len() + 10;
    let data = [format!("{len} c=").into_bytes(), value].concat();
    let data = [&data[..], b"\n"].concat();
    assert_eq!(data.len(), len);
    let mut header = ::tar::Header::new_ustar();
    header.set_entry_type(::tar::EntryType::XGlobalHeader);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut archive = [header.as_bytes().as_slice(), &data].concat();
    archive.resize(archive.len().next_multiple_of(512), 0);
    header.set_entry_type(::tar::EntryType::Symlink);
    header.set_size(0);
    header.set_cksum();
    archive.extend(header.as_bytes().repeat(100));
    let used = peak(|| {
        let mut reader = ArchiveReader::new((&archive[..]).chain(io::empty()), Limits::default());
        while let Ok(Some(_)) = reader.next() {}
    });
    assert!(used < 8 << 20, "{used} bytes");
}
