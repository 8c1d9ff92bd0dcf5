//! Ordinary directories with side files: every fact there and back, stale and hostile side files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use ntbak::memory::{MemoryFile, SharedFile, StreamKey};
use ntbak::sink::MemorySink;
use ntbak::source::MemorySource;
use ntbak::{Collected, copy, place};
use ntbak_wire::record::StreamFlags;
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::{FileAttributes, FileTime, Name};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::tempdir;

#[path = "directory/corners.rs"]
mod corners;
#[path = "directory/helpers.rs"]
mod helpers;
#[path = "directory/linux.rs"]
mod linux;
#[path = "directory/review.rs"]
mod review;
#[path = "directory/review_attributes.rs"]
mod review_attributes;

use helpers::*;

#[test]
fn a_rich_file_keeps_every_fact() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    assert_eq!(store(&rich(), &path).losses(), []);
    assert_same(&load(&path), &rich());
    assert_eq!(names(dir.path()), [side::DIRECTORY, "f"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir.path().join(side::DIRECTORY)), 0o700);
    assert_eq!(mode(&side_of(&path)), 0o600);
    assert_eq!(names(&dir.path().join(side::DIRECTORY)).len(), 1);
    // A plain file in its place has no side file any more, and the directory of side files goes.
    write_stream(place::stage(&path, false).unwrap(), &data(b"plain"), 100).unwrap();
    assert_eq!(names(dir.path()), ["f"]);
    assert_eq!(load(&path).stream(None).unwrap().size, 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_comes_back_with_every_fact(first in any_file(), second in any_file(), name in any_file_name()) {
        let dir = tempdir().unwrap();
        let path = dir.path().join(OsStr::from_bytes(&name));
        let told = store(&first, &path);
        prop_assert_eq!((told.losses(), told.notes()), (vec![], vec![]));
        assert_same(&load(&path), &first);
        // Another file in its place leaves nothing of the first.
        if !first.info.attributes.is_directory() && !second.info.attributes.is_directory() {
            store(&second, &path);
            assert_same(&load(&path), &second);
        }
        // From one directory to the next.
        let (other, told) = (dir.path().join("other"), Collected::new());
        let is_directory = place::open(&path)?.info()?.attributes.is_directory();
        copy(&*place::open(&path)?, place::stage(&other, is_directory)?, &report(&told, &path))?;
        prop_assert_eq!(told.losses(), vec![]);
        prop_assert_eq!(load(&other), load(&path));
    }

    /// Backup streams, staged and then another one in place: the memory sink says what has to come out.
    #[test]
    fn backup_streams_do_what_they_do_in_memory(
        first in any_file(),
        mut second in any_file(),
        piece in prop_oneof![1..50_usize, Just(1 << 20)],
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let directory = first.info.attributes.is_directory();
        if directory != second.info.attributes.is_directory() {
            second = first.clone();
        }
        second.object_id = first.object_id;
        let reference = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
        let bytes = read_stream(&MemorySource::new(SharedFile::new(first)))?;
        write_stream(place::stage(&path, directory)?, &bytes, piece)?;
        write_stream(Box::new(MemorySink::staged(reference.clone(), directory)), &bytes, piece)?;
        assert_same_streams(&load(&path), &reference.read());
        let bytes = read_stream(&MemorySource::new(SharedFile::new(second)))?;
        write_stream(place::in_place(&path)?, &bytes, piece)?;
        write_stream(Box::new(MemorySink::in_place(reference.clone())), &bytes, piece)?;
        assert_same_streams(&load(&path), &reference.read());
        // What comes out of it is a backup stream.
        let bytes = read_stream(&*place::open(&path)?)?;
        prop_assert_eq!(decodes(&bytes), Ok(()));
    }
}

#[test]
fn content_facts_hold_only_while_the_content_does() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let (file, told) = try_load(&path).unwrap();
    assert_eq!(told.losses(), []);
    assert_eq!(told.notes().len(), 1, "{:?}", told.notes());
    let unnamed = file.stream(None).unwrap();
    assert_eq!((unnamed.size, unnamed.vdl, unnamed.flags), (54, 54, StreamFlags::empty()));
    assert!(content(unnamed).ends_with(b"more"));
    let modified = fs::metadata(&path).unwrap();
    let written = FileTime::from_unix(modified.mtime(), u32::try_from(modified.mtime_nsec()).unwrap());
    assert_eq!(file.info.times.written, Some(written));
    assert_eq!(file.info.times.created, Some(FileTime(-5)));
    assert!(file.info.attributes.contains(FileAttributes::HIDDEN));
    assert_eq!(file.info.short_name(), Some(&Name::from("SHORT~1")));
    let (mut rest, mut expected) = (file, rich());
    for file in [&mut rest, &mut expected] {
        file.streams.remove(&StreamKey::default());
    }
    assert_same_streams(&rest, &expected);
}

/// Content facts that were stale must not hold again because something else was written in place: a valid data length
/// in the middle of real content would cut the next copy.
#[test]
fn writing_in_place_does_not_wake_stale_content_facts() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    fs::write(&path, [b'x'; 50]).unwrap();
    write_stream(place::in_place(&path).unwrap(), &alternate("new", b"n"), 100).unwrap();
    let (file, _) = try_load(&path).unwrap();
    let unnamed = file.stream(None).unwrap();
    assert!(content(unnamed) == [b'x'; 50], "content is lost in a copy");
    assert_eq!((unnamed.vdl, unnamed.flags), (50, StreamFlags::empty()));
}

/// Times belong to the content too: writing it makes a new write time.
#[test]
fn writing_content_in_place_makes_a_new_write_time() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    let before = load(&path).info.times.written;
    write_stream(place::in_place(&path).unwrap(), &data(b"new content"), 100).unwrap();
    let file = load(&path);
    assert_ne!(file.info.times.written, before);
    assert_eq!(file.info.times.created, Some(FileTime(-5)));
    assert_eq!(content(file.stream(None).unwrap()), b"new content");
    assert!(!file.info.attributes.contains(FileAttributes::SPARSE_FILE));
}

#[test]
fn the_side_file_of_another_owner_is_not_ours() {
    let dir = tempdir().unwrap();
    let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
    store(&rich(), &theirs);
    fs::write(&ours, b"plain").unwrap();
    fs::copy(side_of(&theirs), side_of(&ours)).unwrap();
    let file = load(&ours);
    assert_eq!((file.streams.len(), file.security), (1, None));
    // And it does not come back with the next thing that is written.
    write_stream(place::in_place(&ours).unwrap(), &alternate("mine", b"m"), 100).unwrap();
    assert_eq!(load(&ours).streams.len(), 2);
    assert_same(&load(&theirs), &rich());
}

#[test]
fn a_cut_side_file_is_an_error_or_says_less() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    let whole = fs::read(side_of(&path)).unwrap();
    for cut in 0..whole.len() {
        fs::write(side_of(&path), &whole[..cut]).unwrap();
        if let Err(error) = try_load(&path) {
            assert!(error.to_string().contains("/f: "), "{error}");
        }
        // Not a boundary between two streams, so it cannot pass as whole.
        if cut < 60 {
            assert!(try_load(&path).is_err(), "{cut}");
        }
    }
    assert_eq!(names(dir.path()), [side::DIRECTORY, "f"]);
}

fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Some(4 << 30);
    let _ = setrlimit(Resource::As, Rlimit { current: limit, maximum: limit });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hostile_side_file_is_read_or_refused(
        places in vec((any::<prop::sample::Index>(), 0..5_u8, any::<u64>()), 1..4),
        write in any::<bool>(),
    ) {
        limit_memory();
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        store(&rich(), &path);
        let mut bytes = fs::read(side_of(&path)).unwrap();
        for (index, kind, value) in places {
            let at = index.index(bytes.len() + 1);
            let edge = [u64::MAX, i64::MAX as u64, 1 << 62, 1 << 32, 7, 0][usize::try_from(value % 6).unwrap()];
            let new = match kind {
                0 => edge.to_le_bytes().to_vec(),
                1 => edge.to_le_bytes()[..4].to_vec(),
                2 => vec![value as u8],
                3 => { bytes.truncate(at); vec![] }
                _ => { bytes.drain(at..(at + (value % 64) as usize).min(bytes.len())); vec![] }
            };
            for (to, from) in bytes.iter_mut().skip(at).zip(new) {
                *to = from;
            }
        }
        fs::write(side_of(&path), &bytes).unwrap();
        if write && let Ok(sink) = place::in_place(&path) {
            let _ = write_stream(sink, &alternate("more", b"m"), 10);
        }
        let _ = try_load(&path);
        if let Ok(stream) = place::open(&path).and_then(|source| read_stream(&*source)) {
            prop_assert_eq!(decodes(&stream), Ok(()));
        }
    }
}

/// A backup stream has no offset of 2^63; what a side file says must be such that it can be given on.
#[test]
fn a_side_file_cannot_make_a_stream_that_nobody_takes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    write_stream(place::stage(&path, false).unwrap(), &alternate("a", &[b'x'; 70_000]), 100).unwrap();
    let mut bytes = fs::read(side_of(&path)).unwrap();
    bytes.extend(block(u64::MAX - 3, b"12345678"));
    fs::write(side_of(&path), bytes).unwrap();
    if let Ok(stream) = place::open(&path).and_then(|source| read_stream(&*source)) {
        assert_eq!(decodes(&stream), Ok(()));
    }
}

/// What the file is, the file system knows better.
#[test]
fn a_side_file_does_not_make_a_directory_of_a_file() {
    let dir = tempdir().unwrap();
    let (path, folder) = (dir.path().join("f"), dir.path().join("d"));
    store(&rich(), &path);
    edit_side(&path, |head| head.attributes = Some(FileAttributes::DIRECTORY));
    assert!(!place::open(&path).unwrap().info().unwrap().attributes.is_directory());
    write_stream(place::stage(&folder, true).unwrap(), &alternate("a", &[b'x'; 70_000]), 999).unwrap();
    let side = folder.join(side::DIRECTORY).join(side::SELF);
    let bytes = fs::read(&side).unwrap();
    let (mut head, begin) = SideHead::decode(&bytes).unwrap();
    head.attributes = Some(FileAttributes::HIDDEN);
    fs::write(&side, [head.encode(), bytes[begin..].to_vec()].concat()).unwrap();
    assert!(place::open(&folder).unwrap().info().unwrap().attributes.is_directory());
}
