//! Random files there and back, with every cut, with less than everything, and with failures at every place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;
#[path = "common/random.rs"]
#[allow(dead_code, unreachable_pub)]
mod random;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use ntbak::memory::{MemoryFile, MemoryStream, SharedFile};
use ntbak::sink::{FileSink, MemorySink};
use ntbak::source::{FileSource, MemorySource};
use ntbak::{
    BackupReader, BackupWriter, Capabilities, Collected, Error, Facts, FileReport, Loss, LossKind, Note,
    ReadRights, Report, Unheld, WritePolicy, WriteRights, copy,
};
use ntbak_wire::record::{Extent, FileInfo, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::security::{AclPart, SecurityDescriptor};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Win32Error};
use proptest::collection::vec;
use proptest::prelude::*;
use random::any_file;

// --- There and back.

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn a_file_survives_its_backup_stream(
        file in any_file(),
        chunk in prop_oneof![1..64_usize, 4000..4200_usize, Just(1 << 20)],
        cuts in vec(1..9000_usize, 1..20),
    ) {
        let directory = file.info.attributes.is_directory();
        let stream = read_stream(&source_of(&file), ReadRights::ALL, chunk).unwrap();
        let back = write_stream(&stream, directory, |at| cuts[at % cuts.len()]).unwrap();
        prop_assert!(carried(&back) == carried(&file));
        prop_assert!(back == write_stream(&stream, directory, |_| usize::MAX).unwrap());
        prop_assert!(read_stream(&source_of(&back), ReadRights::ALL, 1 << 20).unwrap() == stream);
    }

    /// Damaged streams are taken or refused alike, however they are cut, and nothing panics.
    #[test]
    fn damage_does_the_same_in_any_cut(
        file in any_file(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        chop in any::<proptest::sample::Index>(),
        cuts in vec(1..300_usize, 1..20),
    ) {
        let mut stream = read_stream(&source_of(&file), ReadRights::ALL, 1 << 20).unwrap();
        let heads = heads_of(&stream);
        for (place, byte) in damage.iter().filter(|_| !heads.is_empty()) {
            // In headers and in the small payloads behind them, where it does something.
            let place = place.index(heads.len() * 40);
            if let Some(at) = stream.get_mut(heads[place / 40] + place % 40) {
                *at = *byte;
            }
        }
        stream.truncate(stream.len() - chop.index(stream.len() + 1) / 4);
        let directory = file.info.attributes.is_directory();
        let whole = drive(&stream, directory, |_| usize::MAX);
        let cut = drive(&stream, directory, |at| cuts[at % cuts.len()]);
        prop_assert_eq!(&whole.0, &cut.0);
        prop_assert!(whole.1 == cut.1);
    }

    #[test]
    fn a_copy_is_equal_in_every_fact(file in any_file(), extents_first: bool) {
        let can = Capabilities { extents_first, ..Capabilities::everything() };
        let (result, copy, losses) = copied(&file, can);
        prop_assert!(result.is_ok() && losses.is_empty(), "{result:?} {losses:?}");
        prop_assert!(copy == file);
    }

    #[test]
    fn a_copy_into_less_tells_each_loss_and_keeps_the_rest(
        file in any_file(),
        missing in any::<u32>().prop_map(Facts::from_bits_truncate),
        attributes in any::<u32>().prop_map(FileAttributes::from_bits_retain),
        extents_first: bool,
    ) {
        // These two have tests of their own below; nothing here is encrypted.
        let missing = missing - Facts::EA_FLAGS - Facts::SPARSE_FLAG - Facts::EFS;
        let can = Capabilities { attributes, extents_first, ..Capabilities::everything() };
        let (result, copy, losses) = copied(&file, can.without(missing, "not here"));
        prop_assert!(result.is_ok());
        prop_assert_eq!(losses, expected_losses(&file, missing, attributes));

        let mut kept = file.clone();
        let lose = |fact| missing.contains(fact);
        if lose(Facts::SECURITY) { kept.security = None }
        if lose(Facts::EA) { kept.ea = None }
        if lose(Facts::REPARSE) { kept.reparse = None }
        if lose(Facts::OBJECT_ID) { kept.object_id = None }
        if lose(Facts::NAMED_STREAMS) { kept.streams.retain(|_, stream| stream.name.is_none()) }
        prop_assert_eq!(&copy.info, &kept.info);
        prop_assert!(carried(&copy) == carried(&kept));
        if lose(Facts::VDL) {
            // A place without that length gets the zeros behind it.
            let dense = |stream: &&MemoryStream| !stream.flags.contains(StreamFlags::SPARSE) && stream.size > 0;
            prop_assert!(copy.streams.values().filter(dense).all(|stream| extents(stream) == [(0, stream.size)]));
        } else {
            prop_assert!(copy == kept);
        }
    }
}

/// Where the streams of a backup stream begin.
fn heads_of(stream: &[u8]) -> Vec<usize> {
    let len = |piece: &Piece| 20 + piece.name.encode_utf16().count() * 2 + piece.payload.len();
    let begin = |at: &mut usize, piece: &Piece| Some(std::mem::replace(at, *at + len(piece)));
    split(stream).iter().scan(0, begin).collect()
}

/// Writes everything, going on behind each error until one cannot be passed: the error numbers, and the file.
fn drive(stream: &[u8], directory: bool, cut: impl Fn(usize) -> usize) -> (Vec<u32>, MemoryFile) {
    let target = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
    let sink = Box::new(MemorySink::in_place(target.clone()));
    let mut writer = BackupWriter::new(sink, Unheld::Refuse, WritePolicy::default());
    let (report, mut rest, mut errors) = (Collected::new(), stream, Vec::new());
    let report = FileReport { to: &report, path: Path::new("target") };
    while !rest.is_empty() {
        let slice = &rest[..cut(stream.len() - rest.len()).clamp(1, rest.len())];
        let taken = match writer.write(slice, WriteRights::ALL, &report) {
            Ok(()) => slice.len(),
            Err((taken, error)) => {
                let stuck = taken == 0 && errors.last() == Some(&error.win32().0);
                errors.push(error.win32().0);
                if stuck {
                    break;
                }
                taken
            }
        };
        rest = &rest[taken..];
    }
    let file = target.read().clone();
    (errors, file)
}

/// What was lost, and in which stream; sorted.
type Losses = Vec<(LossKind, Option<StreamName>)>;

/// Copies into a new file of a place that can do this much; the losses, sorted.
fn copied(file: &MemoryFile, can: Capabilities) -> (Result<(), Error>, MemoryFile, Losses) {
    let (target, report) = (SharedFile::default(), Collected::new());
    let sink = MemorySink::staged(target.clone(), file.info.attributes.is_directory()).with_capabilities(can);
    let result =
        copy(&source_of(file), Box::new(sink), &FileReport { to: &report, path: Path::new("the file") });
    assert!(report.losses().iter().all(|loss| loss.path == Path::new("the file") && !loss.why.is_empty()));
    let mut losses: Vec<_> = report.losses().into_iter().map(|loss| (loss.kind, loss.stream)).collect();
    losses.sort();
    let copy = target.read().clone();
    (result, copy, losses)
}

fn expected_losses(file: &MemoryFile, missing: Facts, attributes: FileAttributes) -> Losses {
    let mut losses = Vec::new();
    let mut lose = |there: bool, fact: Facts, kind, stream: Option<&StreamName>| {
        if there && missing.contains(fact) {
            losses.push((kind, stream.cloned()));
        }
    };
    let (info, directory) = (&file.info, file.info.attributes.is_directory());
    let has_sacl = |sd: &Vec<u8>| SecurityDescriptor::parse(sd).unwrap().sacl() != AclPart::Absent;
    lose(file.security.is_some(), Facts::SECURITY, LossKind::Security, None);
    let sacl = file.security.as_ref().is_some_and(has_sacl) && !missing.contains(Facts::SECURITY);
    lose(sacl, Facts::SACL, LossKind::Sacl, None);
    lose(file.ea.is_some(), Facts::EA, LossKind::Ea, None);
    lose(file.reparse.is_some(), Facts::REPARSE, LossKind::Reparse, None);
    lose(file.object_id.is_some(), Facts::OBJECT_ID, LossKind::ObjectId, None);
    lose(info.times.created.is_some(), Facts::CREATED, LossKind::Time, None);
    lose(info.times.written.is_some(), Facts::WRITTEN, LossKind::Time, None);
    lose(info.times.accessed.is_some(), Facts::ACCESSED, LossKind::Time, None);
    lose(info.times.changed.is_some(), Facts::CHANGED, LossKind::ChangeTime, None);
    lose(info.short_name().is_some(), Facts::SHORT_NAME, LossKind::ShortName, None);
    lose(info.case_sensitive, Facts::CASE_SENSITIVE, LossKind::CaseSensitive, None);
    let compressed = info.attributes.contains(FileAttributes::COMPRESSED);
    lose(directory && compressed, Facts::COMPRESSION, LossKind::Compression, None);
    for stream in file.streams.values() {
        let name = stream.name.as_ref();
        if name.is_some() && missing.contains(Facts::NAMED_STREAMS) {
            lose(true, Facts::NAMED_STREAMS, LossKind::Stream, name);
            continue;
        }
        lose(stream.flags.contains(StreamFlags::SPARSE), Facts::HOLES, LossKind::Holes, name);
        lose(stream.flags.contains(StreamFlags::COMPRESSED), Facts::COMPRESSION, LossKind::Compression, name);
        lose(stream.vdl < stream.size, Facts::VDL, LossKind::Vdl, name);
    }
    // DIRECTORY, NORMAL, SPARSE_FILE, REPARSE_POINT, COMPRESSED and ENCRYPTED are told elsewhere.
    if (info.attributes - attributes).bits() & !0x4E90 != 0 {
        losses.push((LossKind::Attribute, None));
    }
    losses.sort();
    losses
}

#[test]
fn flags_that_a_place_cannot_hold_are_losses_too() {
    let mut file = MemoryFile::file();
    file.ea = Some(eas(&[("A", 0x80, b"needed")]));
    put_stream(&mut file, sparse(None, 10, &[(0, 10)]));
    let can = Capabilities::everything();
    assert_eq!(
        copied(&file, can.clone().without(Facts::EA_FLAGS, "no flags")).2,
        [(LossKind::EaFlags, None)]
    );
    assert_eq!(copied(&file, can.without(Facts::SPARSE_FLAG, "no flag")).2, [(LossKind::Holes, None)]);
}

#[test]
fn odd_extended_attributes_are_kept_or_told() {
    for (what, list) in [
        ("a name that cannot be set", eas(&[("GOOD", 0, b"1"), ("a:b", 0, b"2")])),
        ("an empty value", eas(&[("GOOD", 0, b"1"), ("EMPTY", 0, b"")])),
        ("a name that would be set in upper case", eas(&[("user.lower", 0, b"1")])),
        ("an unknown flag", eas(&[("GOOD", 0x01, b"1")])),
    ] {
        let mut file = MemoryFile::file().with_stream(None, b"content");
        file.ea = Some(list);
        let (result, copy, losses) = copied(&file, Capabilities::everything());
        assert_eq!(result.map_err(|error| error.to_string()), Ok(()), "{what}");
        assert!(copy.ea == file.ea || losses == [(LossKind::Ea, None)], "{what}: {losses:?}");
    }
}

// --- Failures.

/// A source that fails once, at one of its calls.
struct Faulty {
    inner: MemorySource,
    countdown: AtomicUsize,
    failed: std::sync::Mutex<Option<&'static str>>,
}

impl Faulty {
    fn at(call: usize, file: &MemoryFile) -> Self {
        Self { inner: source_of(file), countdown: AtomicUsize::new(call), failed: Default::default() }
    }

    fn count(&self, what: &'static str) -> ntbak::Result<()> {
        let before = self.countdown.fetch_sub(1, Ordering::Relaxed);
        if before != 1 {
            return Ok(());
        }
        *self.failed.lock().unwrap() = Some(what);
        Err(Error::new(Win32Error::IO_DEVICE, "on purpose"))
    }
}

impl FileSource for Faulty {
    fn info(&self) -> ntbak::Result<FileInfo> {
        self.count("info").and_then(|()| self.inner.info())
    }

    fn small(&self, kind: SmallKind) -> ntbak::Result<Option<Cow<'_, [u8]>>> {
        self.count("small").and_then(|()| self.inner.small(kind))
    }

    fn stream(&self, index: usize) -> ntbak::Result<Option<StreamHead>> {
        self.count("stream").and_then(|()| self.inner.stream(index))
    }

    fn next_extent(&self, stream: usize, from: u64) -> ntbak::Result<Option<Extent>> {
        self.count("next_extent").and_then(|()| self.inner.next_extent(stream, from))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> ntbak::Result<usize> {
        self.count("read_at").and_then(|()| self.inner.read_at(stream, offset, buf))
    }

    fn remarks(&self, _: ntbak::source::Facet, _: &FileReport<'_>) -> ntbak::Result<()> {
        self.count("remarks")
    }
}

/// A staged sink that fails at one of its calls, the last of which is the commit.
struct FaultySink(Box<MemorySink>, usize);

impl FileSink for FaultySink {
    fn can(&self) -> &Capabilities {
        self.0.can()
    }

    fn is_directory(&self) -> bool {
        self.0.is_directory()
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> ntbak::Result<()> {
        self.1 = self.1.checked_sub(1).ok_or_else(|| Error::new(Win32Error::DISK_FULL, "on purpose"))?;
        self.0.put(record, report)
    }

    fn link(&mut self, target: &Path) -> ntbak::Result<()> {
        self.0.link(target)
    }

    fn commit(self: Box<Self>, report: &FileReport<'_>) -> ntbak::Result<()> {
        if self.1 == 0 {
            return Err(Error::new(Win32Error::DISK_FULL, "on purpose"));
        }
        self.0.commit(report)
    }
}

#[test]
fn a_source_that_fails_anywhere_leaves_the_target_alone() {
    let (file, _) = rich();
    let (before, mut calls) = (MemoryFile::file().with_stream(None, b"before"), BTreeMap::new());
    for extents_first in [false, true] {
        for call in 1.. {
            let (source, target, report) =
                (Faulty::at(call, &file), SharedFile::new(before.clone()), Collected::new());
            let can = Capabilities { extents_first, ..Capabilities::everything() };
            let sink = MemorySink::staged(target.clone(), false).with_capabilities(can);
            let result = copy(&source, Box::new(sink), &FileReport { to: &report, path: Path::new("f") });
            let failed = *source.failed.lock().unwrap();
            let Some(failed) = failed else {
                assert!(result.is_ok() && *target.read() == file);
                break;
            };
            *calls.entry(failed).or_insert(0) += 1;
            if failed == "small" {
                // One fact that cannot be read is a loss; the rest of the file is there.
                assert!(
                    result.is_ok()
                        && report.losses().len() == 1
                        && report.losses()[0].why.contains("on purpose")
                );
                assert_eq!(target.read().streams, file.streams);
            } else {
                assert_eq!((code(result), report.losses().len()), (1117, 0), "{failed}, call {call}");
                assert!(*target.read() == before, "{failed}, call {call}");
            }
        }
    }
    assert_eq!(
        calls.keys().copied().collect::<Vec<_>>(),
        ["info", "next_extent", "read_at", "remarks", "small", "stream"]
    );
}

#[test]
fn bs_38_a_reader_goes_on_where_it_failed() {
    let (file, expected) = rich();
    for chunk in [100, 5000, 1 << 20] {
        for call in 1.. {
            let source = Faulty::at(call, &file);
            let (mut reader, mut out, mut buffer, mut errors) =
                (BackupReader::new(), Vec::new(), vec![0; chunk], 0);
            loop {
                match reader.read(&source, ReadRights::ALL, &mut buffer) {
                    Ok(0) => break,
                    Ok(got) => out.extend_from_slice(&buffer[..got]),
                    Err(error) => errors += usize::from(error.win32().0 == 1117),
                }
            }
            // An error behind good bytes is found again by the next call, or is gone by then.
            assert!(out == expected && errors <= 1, "buffers of {chunk}, call {call}");
            if source.failed.lock().unwrap().is_none() {
                break;
            }
        }
    }
}

#[test]
fn a_sink_that_fails_anywhere_leaves_the_target_alone() {
    let (file, stream) = rich();
    let before = MemoryFile::file().with_stream(None, b"before");
    let report = Collected::new();
    let report = FileReport { to: &report, path: Path::new("f") };
    for by_stream in [false, true] {
        let mut failures = 0;
        for call in 0.. {
            let target = SharedFile::new(before.clone());
            let sink = Box::new(FaultySink(Box::new(MemorySink::staged(target.clone(), false)), call));
            let result = if by_stream {
                let mut writer = BackupWriter::new(sink, Unheld::Refuse, WritePolicy::default());
                let written = writer.write(&stream, WriteRights::ALL, &report).map_err(|(_, error)| error);
                written.and_then(|()| writer.finish(&report))
            } else {
                copy(&source_of(&file), sink, &report)
            };
            if result.is_ok() {
                assert_eq!(carried(&target.read()), carried(&file));
                break;
            }
            failures += 1;
            assert_eq!(code(result), 112, "call {call}");
            assert!(*target.read() == before, "call {call}");
        }
        assert!(failures > 15, "{failures} calls");
    }
}

struct Impatient;

impl Report for Impatient {
    fn loss(&self, _: Loss) {}
    fn note(&self, _: Note) {}
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_cancelled_copy_leaves_the_target_alone() {
    let target = SharedFile::new(MemoryFile::directory());
    let sink = MemorySink::staged(target.clone(), false);
    let result =
        copy(&source_of(&rich().0), Box::new(sink), &FileReport { to: &Impatient, path: Path::new("f") });
    assert_eq!(code(result), 995);
    assert!(*target.read() == MemoryFile::directory());
}

#[test]
fn a_file_that_shrinks_is_filled_with_zeros_and_told() {
    /// Says 100,000 bytes and has 70,000.
    struct Short(MemorySource);
    impl FileSource for Short {
        fn info(&self) -> ntbak::Result<FileInfo> {
            self.0.info()
        }
        fn small(&self, kind: SmallKind) -> ntbak::Result<Option<Cow<'_, [u8]>>> {
            self.0.small(kind)
        }
        fn stream(&self, index: usize) -> ntbak::Result<Option<StreamHead>> {
            let head = self.0.stream(index)?;
            Ok(head.map(|head| StreamHead { size: 100_000, vdl: 100_000, ..head }))
        }
        fn next_extent(&self, stream: usize, from: u64) -> ntbak::Result<Option<Extent>> {
            self.0.next_extent(stream, from)
        }
        fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> ntbak::Result<usize> {
            self.0.read_at(stream, offset, buf)
        }
    }
    let (target, report) = (SharedFile::default(), Collected::new());
    let source = Short(source_of(&MemoryFile::file().with_stream(None, &[0xAA; 70_000])));
    let sink = Box::new(MemorySink::staged(target.clone(), false));
    copy(&source, sink, &FileReport { to: &report, path: Path::new("f") }).unwrap();
    assert!(content(&target.read(), None) == [vec![0xAA; 70_000], vec![0; 30_000]].concat());
    assert_eq!(report.losses().iter().map(|loss| loss.kind).collect::<Vec<_>>(), [LossKind::Content]);
}

// --- Memory.

const GIB: u64 = 1 << 30;

fn huge(ranges: Option<Vec<Extent>>) -> Synthetic {
    let stream = SyntheticStream { size: 100 * GIB, ranges, ..SyntheticStream::default() };
    Synthetic { streams: vec![stream], ..Synthetic::default() }
}

fn few_extents() -> Vec<Extent> {
    [0, 7 * GIB, 99 * GIB].map(|offset| Extent { offset, len: 5 << 20 }).to_vec()
}

/// What a reader holds is bounded: its state, printed, has a few digits for each byte of it.
fn assert_small(reader: &BackupReader) {
    let held = format!("{reader:?}").len();
    assert!(held < 6 * (64 * 1024 + 64), "{held} characters");
}

#[test]
fn a_100_gib_sparse_file_takes_no_memory() {
    let source = huge(Some(few_extents()));
    let (mut reader, mut buffer, mut total) = (BackupReader::new(), vec![0; 1 << 20], 0);
    loop {
        let got = reader.read(&source, ReadRights::ALL, &mut buffer).unwrap();
        total += got;
        assert_small(&reader);
        if got == 0 {
            break;
        }
    }
    assert_eq!(total, 20 + 3 * (28 + (5 << 20)) + 28);
    assert!(source.seen.longest_read.load(Ordering::Relaxed) <= 1 << 20);
    assert!(source.seen.reads.load(Ordering::Relaxed) <= 40, "holes are not read");

    for extents_first in [false, true] {
        let mut sink = Counting::default();
        sink.capabilities.extents_first = extents_first;
        let (source, seen, report) = (huge(Some(few_extents())), sink.seen.clone(), Collected::new());
        copy(&source, Box::new(sink), &FileReport { to: &report, path: Path::new("f") }).unwrap();
        assert_eq!(*seen.lock().unwrap(), (3 * (5 << 20), 100 * GIB));
        assert!(source.seen.longest_read.load(Ordering::Relaxed) <= 1 << 20);
    }
}

#[test]
fn a_100_gib_dense_file_is_read_in_bounded_pieces() {
    let source = huge(None);
    let mut reader = BackupReader::new();
    for len in [20, 1, 100, 4096, 1 << 20, 8 << 20, 5] {
        let mut buffer = vec![0; len];
        assert_eq!(reader.read(&source, ReadRights::ALL, &mut buffer).unwrap(), len);
        assert_small(&reader);
    }
    assert!(source.seen.longest_read.load(Ordering::Relaxed) <= 8 << 20, "no more than the caller's buffer");
    assert_eq!(reader.seek(99 * GIB).moved, 99 * GIB);
    let mut buffer = [0; 9];
    assert_eq!(reader.read(&source, ReadRights::ALL, &mut buffer).unwrap(), 9);
    assert_eq!(buffer[0], byte_at(99 * GIB + 1 + 100 + 4096 + (9 << 20) + 5));
}

#[test]
fn more_extents_than_are_held_are_taken_as_one() {
    let most = 1 << 20;
    let ranges = (0..most + 1000).map(|n| Extent { offset: n * 4096, len: 1 }).collect();
    let size = (most + 1000) * 4096;
    let source = Synthetic {
        streams: vec![SyntheticStream { size, ranges: Some(ranges), ..SyntheticStream::default() }],
        ..Synthetic::default()
    };
    let mut sink = Counting::default();
    sink.capabilities.extents_first = true;
    let (seen, report) = (sink.seen.clone(), Collected::new());
    copy(&source, Box::new(sink), &FileReport { to: &report, path: Path::new("f") }).unwrap();
    assert_eq!(*seen.lock().unwrap(), (most + 1000 * 4096, size), "all content, and some holes");
    assert_eq!((report.losses().len(), report.notes().len()), (0, 1));
}

#[test]
fn bs_45_a_stream_above_4_gib_goes_through_whole() {
    let size = 4 * GIB + 12_345;
    let stream = SyntheticStream { name: Some(name("big")), size, ..SyntheticStream::default() };
    let source = Synthetic { streams: vec![stream], ..Synthetic::default() };
    let (sink, report) = (Counting::default(), Collected::new());
    let (seen, report) = (sink.seen.clone(), FileReport { to: &report, path: Path::new("f") });
    let mut writer = BackupWriter::new(Box::new(sink), Unheld::Refuse, WritePolicy::default());
    let (mut reader, mut buffer) = (BackupReader::new(), vec![0; (1 << 20) + 3]);
    loop {
        let got = reader.read(&source, ReadRights::ALL, &mut buffer).unwrap();
        if got == 0 {
            break;
        }
        writer.write(&buffer[..got], WriteRights::ALL, &report).unwrap();
    }
    writer.finish(&report).unwrap();
    assert_eq!(*seen.lock().unwrap(), (size, size));
}

/// The attribute with number 1 cannot be read.
struct Torn(MemorySource);

impl FileSource for Torn {
    fn info(&self) -> ntbak::Result<FileInfo> {
        self.0.info()
    }

    fn small(&self, kind: SmallKind) -> ntbak::Result<Option<Cow<'_, [u8]>>> {
        self.0.small(kind)
    }

    fn linux_attribute(&self, index: usize) -> ntbak::Result<Option<ntbak::source::LinuxAttribute<'_>>> {
        match index {
            1 => Err(Error::new(Win32Error::IO_DEVICE, "on purpose")),
            _ => self.0.linux_attribute(index),
        }
    }

    fn stream(&self, index: usize) -> ntbak::Result<Option<StreamHead>> {
        self.0.stream(index)
    }

    fn next_extent(&self, stream: usize, from: u64) -> ntbak::Result<Option<Extent>> {
        self.0.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> ntbak::Result<usize> {
        self.0.read_at(stream, offset, buf)
    }
}

#[test]
fn an_attribute_of_linux_that_cannot_be_read_takes_no_other_with_it() {
    let mut file = MemoryFile::file();
    for name in ["user.a", "user.b", "user.c"] {
        file.linux_attributes.insert(name.into(), name.into());
    }
    let (target, report) = (SharedFile::default(), Collected::default());
    let sink = Box::new(MemorySink::staged(target.clone(), false));
    copy(&Torn(source_of(&file)), sink, &FileReport { to: &report, path: Path::new("f") }).unwrap();
    let losses: Vec<_> = report.losses().into_iter().map(|loss| loss.kind).collect();
    assert_eq!(losses, [LossKind::LinuxAttribute]);
    file.linux_attributes.remove(&b"user.b"[..]);
    assert_eq!(target.read().linux_attributes, file.linux_attributes);
}
