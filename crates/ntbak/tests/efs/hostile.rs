//! What somebody made to hurt: raw exports, metadata and files that are not what they say. An error or a file that is whole,
//! never a panic, a hang or a half of anything.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ntbak::efs::{Decrypted, import_raw};
use ntbak::memory::MemoryFile;
use ntbak::source::RawSource;
use ntbak::{Collected, FileReport, FileSource, Result, place};
use ntbak_wire::FileAttributes;
use ntbak_wire::efs::{Content, Encoder, Segment, StreamHead};
use ntbak_wire::record::Extent;
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::XattrFlags;
use tempfile::tempdir;

use crate::keys::{in_memory, name, protected, read_all, ring};
use crate::made::*;

fn import(raw: &[u8], path: &Path, directory: bool) -> Result<()> {
    let sink =
        if directory && path.is_dir() { place::in_place(path)? } else { place::stage(path, directory)? };
    let there = place::open(path).ok();
    let (told, mut rest) = (Collected::new(), raw);
    let read = |block: &mut [u8]| {
        let len = rest.len().min(block.len()).min(700);
        block[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        Ok(len)
    };
    import_raw(sink, there.as_deref(), read, &FileReport { to: &told, path })
}

/// Every question, each answered or refused.
fn ask_everything(source: &dyn FileSource) {
    let _ = source.info();
    for index in 0..5 {
        let Ok(Some(head)) = source.stream(index) else { continue };
        let mut buffer = [0; 3000];
        for offset in [0, 1, 511, head.size / 2, head.size.saturating_sub(1), head.size, u64::MAX - 5] {
            let _ = source.read_at(index, offset, &mut buffer);
            let _ = source.next_extent(index, offset);
            let _ = source.read_stored(index, offset, &mut buffer);
        }
    }
}

/// The same file, but for the cluster size, of which a file has one and on which nothing depends, and an empty unnamed
/// stream, which every file of a directory has.
fn assert_same(expected: &dyn FileSource, found: &dyn FileSource) {
    let known = |source: &dyn FileSource| {
        let file = source.encrypted().unwrap().unwrap();
        let mut plans: Vec<_> = file.streams().iter().cloned().enumerate().collect();
        plans.iter_mut().for_each(|(_, plan)| plan.content.cluster_shift = 0);
        plans.retain(|(_, plan)| plan.head.name.is_some() || plan.content.size > 0);
        (file.metadata().to_vec(), plans)
    };
    let ((a, expected_plans), (b, found_plans)) = (known(expected), known(found));
    assert!(a == b, "metadata");
    assert_eq!(expected_plans.len(), found_plans.len());
    for ((from, expected_plan), (to, found_plan)) in expected_plans.iter().zip(&found_plans) {
        assert_eq!(expected_plan, found_plan);
        let whole = vec![Extent { offset: 0, len: expected_plan.content.vdl }];
        for extent in expected_plan.content.extents.as_ref().unwrap_or(&whole) {
            let (mut a, mut b) = (vec![0; extent.len as usize], vec![0; extent.len as usize]);
            let got = expected.read_stored(*from, extent.offset, &mut a).unwrap();
            assert_eq!(got, found.read_stored(*to, extent.offset, &mut b).unwrap());
            assert!(a == b, "{:?}", expected_plan.head.name);
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".ntbak-side").collect()
}

fn quickly<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = act();
    assert!(begin.elapsed() < Duration::from_secs(20), "{what}: {:?}", begin.elapsed());
    done
}

/// An export of one stream with these segments, each without ciphertext.
fn of_segments(segments: &[Segment]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(), Vec::new());
    encoder.metadata(&metadata(0), &mut out).unwrap();
    encoder.stream(&StreamHead { name: None, encrypted: true }, &mut out).unwrap();
    segments.iter().for_each(|segment| encoder.segment(segment, &mut out).unwrap());
    out
}

/// A few bytes that stand for exabytes.
#[test]
fn sizes_up_to_2_63_cost_nothing() {
    let far = |offset| Segment {
        offset,
        len: 512,
        valid: 0,
        unit_shift: 9,
        cluster_shift: 12,
        sparse: true,
        blocks: vec![0],
    };
    let giants = vec![0; 65_535];
    let giant = Segment { len: u32::MAX, unit_shift: 30, blocks: giants, ..far(0) };
    for (segments, sparse) in [
        (vec![far((1 << 63) - 1024)], true),
        (vec![far(1 << 40), far(1 << 62)], true),
        (vec![Segment { sparse: false, ..far(1 << 62) }], false),
        (vec![giant], true),
    ] {
        let raw = of_segments(&segments);
        quickly("a hole of exabytes", || {
            let source = RawSource::open(raw.clone()).unwrap();
            let size = source.stream(0).unwrap().unwrap().size;
            assert!(size > 1 << 31, "{size}");
            ask_everything(&source);
            // How large it would be as an export is known without making it.
            let reader = ntbak::efs::ExportReader::new(source.encrypted().unwrap().unwrap());
            assert!(reader.is_err() || reader.unwrap().size() > 1000, "{sparse}");
            let dir = tempdir().unwrap();
            // The file system may take it or not.
            if import(&raw, &dir.path().join("f"), false).is_err() {
                assert_eq!(names(dir.path()), [""; 0]);
            } else {
                ask_everything(&*place::open(&dir.path().join("f")).unwrap());
            }
        });
    }
}

#[test]
fn thousands_of_streams_take_no_time() {
    let plans =
        (0..8191).map(|number| plan(Some(&format!("stream number {number}")), Content::plain(number % 3)));
    let unnamed = plan(None, Content::plain(5));
    let raw = raw(metadata(0), [unnamed].into_iter().chain(plans).collect());
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    quickly("importing", || import(&raw, &path, false).unwrap());
    quickly("exporting", || assert!(export(&*place::open(&path).unwrap()) == raw));
}

/// The content was cut or has grown behind its metadata: an error, or what is there, and never a panic.
#[test]
fn content_that_somebody_changed() {
    let file = MemoryFile::file().with_stream(None, &[7; 3000]).with_stream(Some(name("s")), b"stream");
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    for (size, expected) in
        [(0, true), (1, false), (2, false), (513, false), (3073, false), (3076, false), (1 << 20, false)]
    {
        copied(&protected(in_memory(file.clone()), true), place::stage(&path, false).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), 3074);
        fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
        match place::open(&path) {
            Ok(source) => {
                assert!(expected, "{size}");
                ask_everything(&*source);
                ask_everything(&Decrypted::open(source, &ring(0)).unwrap());
            }
            Err(error) => {
                assert!(!expected && error.to_string().contains("no ciphertext"), "{size}: {error}")
            }
        }
    }
    // It becomes shorter while it is open.
    copied(&protected(in_memory(file), true), place::stage(&path, false).unwrap());
    let plain = Decrypted::open(place::open(&path).unwrap(), &ring(0)).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(1024).unwrap();
    assert_eq!(plain.read_at(0, 0, &mut [0; 1024]).unwrap(), 1024);
    assert_eq!(plain.read_at(0, 1024, &mut [0; 1024]).err().unwrap().win32().0, 38);
}

/// What EFS keeps of a file, replaced by anything.
#[test]
fn metadata_that_are_none() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(file(simple(700)), &path);
    let mut damaged = metadata(0);
    damaged[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    for value in [vec![], vec![0; 83], vec![0xFF; 200], vec![0; 60_000], damaged] {
        if rustix::fs::setxattr(&path, "user.ntfs.efsinfo", &value, XattrFlags::empty()).is_err() {
            continue;
        }
        let Ok(source) = place::open(&path) else { continue };
        ask_everything(&*source);
        assert!(Decrypted::open(source, &ring(0)).is_err(), "{} bytes", value.len());
    }
}

/// An import that fails leaves an existing directory as it was, too.
#[test]
fn a_directory_is_not_half_imported() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("d");
    let whole = |metadata: usize, size| {
        let mut stream = plan(Some("s"), Content::plain(size));
        stream.head.encrypted = false;
        raw(self::metadata(metadata), vec![stream])
    };
    let (before, other) = (whole(0, 700), whole(100, 90_000));
    for fresh in [false, true] {
        if fresh {
            import(&before, &path, true).unwrap();
        } else {
            fs::create_dir(&path).unwrap();
        }
        for cut in [10, 100, 600, other.len() - 60_000, other.len() - 1] {
            assert!(import(&other[..cut], &path, true).is_err());
            let source = place::open(&path).unwrap();
            match fresh {
                true => assert!(export(&*source) == before, "{cut}"),
                false => assert!(
                    source.encrypted().unwrap().is_none() && source.stream(0).unwrap().is_none(),
                    "{cut}"
                ),
            }
        }
    }
    import(&other, &path, true).unwrap();
    assert!(export(&*place::open(&path).unwrap()) == other);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of an export, changed anywhere: an error, or an import that is whole and exports again.
    #[test]
    fn any_damage_is_an_error_or_a_file(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_headers in any::<bool>(),
    ) {
        let sparse = Content { extents: Some(vec![Extent { offset: 65_536, len: 512 }]), ..Content::plain(140_000) };
        let half = Content { vdl: 700, ..Content::plain(5000) };
        let mut raw = raw(metadata(0), vec![plan(None, half), plan(Some("s"), sparse)]);
        for (at, value) in changes {
            let at = if in_headers { at.index(1100) } else { at.index(raw.len()) };
            raw[at] = value;
        }
        let dir = tempdir()?;
        let path = dir.path().join("f");
        let source = RawSource::open(raw.clone());
        let imported = import(&raw, &path, false);
        match source {
            Ok(source) => {
                ask_everything(&source);
                if imported.is_ok() {
                    let stored = place::open(&path)?;
                    prop_assert!(stored.info()?.attributes.contains(FileAttributes::ENCRYPTED));
                    ask_everything(&*stored);
                    if source.stream(0)?.is_some_and(|head| head.size < 1 << 24) {
                        assert_same(&source, &*stored);
                    }
                }
            }
            Err(error) => {
                prop_assert!(imported.is_err(), "{}", error);
                prop_assert_eq!(names(dir.path()), Vec::<String>::new());
            }
        }
    }

    /// The same with a key at hand.
    #[test]
    fn a_damaged_export_decrypts_to_something_or_not(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut raw = export(&protected(in_memory(MemoryFile::file().with_stream(None, &[7; 3000])), true));
        for (at, value) in changes {
            let at = at.index(raw.len());
            raw[at] = value;
        }
        if let Ok(plain) = RawSource::open(raw).and_then(|source| Decrypted::open(source, &ring(0))) {
            ask_everything(&plain);
            if plain.stream(0)?.is_some_and(|head| head.size < 1 << 20) {
                prop_assert!(read_all(&plain, 0, 1000).len() <= 1 << 20);
            }
        }
    }
}
