//! Encrypted files as they are stored, through the engine: raw exports into every kind of place and out of it, byte for
//! byte, without a key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use ntbak::efs::RawFile;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::source::MemorySource;
use ntbak::{Collected, FileReport, place};
use ntbak_wire::efs::{Content, Encoder, StreamHead, StreamPlan};
use ntbak_wire::record::{Extent, Record};
use ntbak_wire::{FileAttributes, FileTime};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

mod api;
mod functions;
mod hostile;
mod keys;
mod made;

use made::*;

/// Through a directory and back into memory, with every way of asking on the way.
fn through_directory(raw: &[u8]) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(file(raw.to_vec()), &path);
    let source = place::open(&path).unwrap();
    assert!(source.info().unwrap().attributes.contains(FileAttributes::ENCRYPTED));
    assert!(export(&*source) == raw, "directory");
    let memory = SharedFile::new(MemoryFile::file());
    let told = copied(&*source, Box::new(MemorySink::staged(memory.clone(), false)));
    assert_eq!(told.losses(), []);
    assert!(memory.read().efs_raw.as_deref() == Some(raw), "memory");
    assert_eq!(memory.read().info.times.created, Some(FileTime(130_000_000_000_000_000)));
    // From one directory to the next.
    let other = dir.path().join("g");
    copied(&*source, place::stage(&other, false).unwrap());
    assert!(export(&*place::open(&other).unwrap()) == raw, "second directory");
}

#[test]
fn efs_24_every_size_goes_through_a_directory() {
    for size in [0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 5 << 20] {
        through_directory(&simple(size));
    }
}

#[test]
fn efs_25_valid_data_length() {
    for vdl in [0, 1, 700, 1024, 65_536, 65_537, 199_999] {
        through_directory(&raw(metadata(0), vec![plan(None, Content { vdl, ..Content::plain(200_000) })]));
    }
}

#[test]
fn efs_23_holes_are_kept() {
    let extents = [(65_536, 65_536), (196_608, 131_072)];
    let extents: Vec<_> = extents.map(|(offset, len)| Extent { offset, len }).to_vec();
    for extents in [vec![], extents] {
        let content = Content { extents: Some(extents), ..Content::plain(400_000) };
        through_directory(&raw(metadata(0), vec![plan(None, content.clone()), plan(Some("s"), content)]));
    }
    // What is not there takes no room, whoever says so.
    let content = Content { extents: Some(vec![]), ..Content::plain(1 << 34) };
    through_directory(&raw(metadata(0), vec![plan(None, content.clone()), plan(Some("s"), content)]));
    let content = Content { vdl: 0, ..Content::plain(1 << 30) };
    through_directory(&raw(metadata(0), vec![plan(None, content.clone()), plan(Some("s"), content)]));
}

#[test]
fn efs_31_efs_32_named_and_plain_streams() {
    let mut plain = plan(Some("plain"), Content::plain(70_001));
    plain.head.encrypted = false;
    let streams = vec![
        plan(None, Content::plain(1000)),
        plan(Some("Zone.Identifier"), Content::plain(26)),
        plan(Some("empty"), Content::plain(0)),
        plain.clone(),
        plan(Some(&"n".repeat(255)), Content { vdl: 5, ..Content::plain(100_000) }),
    ];
    through_directory(&raw(metadata(0), streams.clone()));
    // Very many.
    let many = (0..100).map(|number| plan(Some(&format!("s{number:03}")), Content::plain(number * 13)));
    let unnamed = plan(None, Content::plain(1));
    through_directory(&raw(metadata(0), [unnamed].into_iter().chain(many).collect()));
}

/// More than an extended attribute of ext4 takes: the side file has it.
#[test]
fn large_metadata_are_kept() {
    through_directory(&raw(metadata(9000), vec![plan(None, Content::plain(5))]));
    through_directory(&raw(metadata(200_000), vec![plan(None, Content::plain(5))]));
}

#[test]
fn efs_38_a_directory_has_metadata_and_streams() {
    let mut stream = plan(Some("s"), Content::plain(700));
    for encrypted in [true, false] {
        stream.head.encrypted = encrypted;
        let raw = raw(metadata(0), vec![stream.clone()]);
        let mut folder = MemoryFile { efs_raw: Some(raw.clone()), ..MemoryFile::directory() };
        folder.info.attributes |= FileAttributes::ENCRYPTED;
        let dir = tempdir().unwrap();
        let path = dir.path().join("d");
        store(folder, &path);
        assert!(export(&*place::open(&path).unwrap()) == raw);
    }
}

/// Without a side file it is as on ntfs-3g: content with its trailer, and the attribute.
#[test]
fn what_was_copied_from_an_efs_raw_mount_is_encrypted() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(file(simple(621)), &path);
    let other = dir.path().join("by cp");
    std::fs::copy(&path, &other).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1026);
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&other, name, value, rustix::fs::XattrFlags::empty()).is_ok()
    };
    if !set("user.ntfs.efsinfo", &metadata(0)) {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no extended attributes");
        eprintln!("skipped: the temporary directory has no extended attributes");
        return;
    }
    assert!(export(&*place::open(&other).unwrap()) == simple(621));
    // Content that is none is an error that says so, not a wrong export.
    std::fs::write(&other, b"something else").unwrap();
    let error = place::open(&other).err().unwrap().to_string();
    assert!(error.contains("no ciphertext") && error.contains("by cp"), "{error}");
}

#[test]
fn efs_27_a_cut_export_leaves_nothing() {
    let whole = simple(1500);
    let dir = tempdir().unwrap();
    for cut in (0..whole.len()).step_by(7) {
        let mut sink = place::stage(&dir.path().join("f"), false).unwrap();
        let told = Collected::new();
        let report = FileReport { to: &told, path: Path::new("f") };
        sink.put(&Record::EfsRaw { size: None }, &report).unwrap();
        let put = sink.put(&Record::Bytes { offset: 0, data: &whole[..cut] }, &report);
        let put = put.and_then(|()| sink.put(&Record::EndStream { size: cut as u64 }, &report));
        // The metadata end at 486, the header of the stream at 528: cut there, it is a whole one of an empty file.
        let at_an_end = RawFile::open(&whole[..cut]).is_ok();
        assert_eq!(put.is_ok(), at_an_end, "{cut}");
        drop(sink);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{cut}");
    }
}

fn any_content() -> impl Strategy<Value = Content> {
    let size = prop_oneof![0..3000_u64, 60_000..200_000_u64];
    (size, any::<u64>(), prop::option::of(vec(any::<bool>(), 4))).prop_map(|(size, vdl, units)| {
        let extents = units.map(|units| {
            let whole = |number: usize| Extent { offset: number as u64 * 65_536, len: 65_536 };
            let cut = |extent: Extent| {
                let end = extent.end().min(size.next_multiple_of(512));
                Extent { len: end.saturating_sub(extent.offset), ..extent }
            };
            let full = units.iter().enumerate().filter(|(_, full)| **full);
            full.map(|(number, _)| cut(whole(number))).filter(|extent| extent.len > 0).collect()
        });
        // Of a sparse stream the valid data length is where NTFS would have it: at its end, or anywhere.
        Content { vdl: vdl % (size + 1), extents, ..Content::plain(size) }
    })
}

/// A plain stream that begins a segment where the trailer of the stream before it was.
#[test]
fn efs_32_a_plain_stream_behind_an_encrypted_one_of_nearly_its_size() {
    let encrypted = plan(None, Content { vdl: 0, ..Content::plain(65_025) });
    let mut plain = plan(Some("a"), Content::plain(65_539));
    plain.head.encrypted = false;
    through_directory(&raw(metadata(0), vec![encrypted, plain]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn efs_29_any_export_is_the_same_behind_a_directory(
        contents in vec((any_content(), any::<bool>()), 1..4),
        padding in prop_oneof![Just(0), Just(5000)],
        cluster_shift in 9..=16_u8,
    ) {
        let names = [None, Some("a"), Some("b"), Some("c")];
        let mut streams: Vec<_> =
            names.iter().zip(&contents).map(|(name, (content, _))| plan(*name, content.clone())).collect();
        // All are on one volume.
        streams.iter_mut().for_each(|stream| stream.content.cluster_shift = cluster_shift);
        for (stream, (_, plain)) in streams.iter_mut().zip(&contents).skip(1) {
            if *plain {
                stream.head.encrypted = false;
                stream.content = Content::plain(stream.content.size);
            }
        }
        through_directory(&raw(metadata(padding), streams));
    }

    /// The places of an export are found again, however it is cut into segments.
    #[test]
    fn efs_30_a_foreign_cut_is_read_by_position(sizes in vec(1..40_u32, 1..60), plain in any::<bool>()) {
        let (mut encoder, mut out) = (Encoder::new(), Vec::new());
        encoder.metadata(&metadata(0), &mut out)?;
        encoder.stream(&StreamHead { name: None, encrypted: !plain }, &mut out)?;
        let mut at = 0;
        for blocks in &sizes {
            let len = blocks * 512;
            if plain {
                encoder.plain_segment(len, &mut out)?;
            } else {
                let unit_shift = u64::from(len).next_power_of_two().trailing_zeros() as u8;
                let segment = ntbak_wire::efs::Segment {
                    offset: at, len, valid: len, unit_shift, cluster_shift: 12, sparse: false, blocks: vec![len],
                };
                encoder.segment(&segment, &mut out)?;
            }
            let data: Vec<_> = (at..at + u64::from(len)).map(|offset| byte(0, offset)).collect();
            encoder.data(&data, &mut out)?;
            at += u64::from(len);
        }
        let mut head = StreamPlan { head: StreamHead { name: None, encrypted: true }, content: Content::plain(at) };
        head.head.encrypted = !plain;
        // Read by position and written anew it is as Windows would cut it.
        prop_assert!(export(&MemorySource::new(SharedFile::new(file(out)))) == raw(metadata(0), vec![head]));
    }
}
