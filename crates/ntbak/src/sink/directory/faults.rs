//! Extended attributes that cannot be set: what they would have held is elsewhere, or the caller hears of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use ntbak_wire::FileAttributes;
use ntbak_wire::stream::StreamId;
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::io::Errno;
use tempfile::tempdir;

use crate::host::linux::LinuxKind;
use crate::host::node::{Spot, fault};
use crate::memory::{MemoryFile, SharedFile, StreamKey};
use crate::place;
use crate::report::LossKind;
use crate::sink::MemorySink;
use crate::source::MemorySource;

#[path = "../../../tests/directory/helpers.rs"]
#[allow(dead_code, unreachable_pub)]
mod helpers;

use helpers::*;

/// No room, no privilege, a value that is too large, none at all: often, or now and then.
fn any_answers() -> impl Strategy<Value = Vec<Option<Errno>>> {
    let errors = [Errno::NOSPC, Errno::PERM, Errno::RANGE, Errno::OPNOTSUPP, Errno::DQUOT, Errno::TOOBIG];
    let fault = prop::sample::select(errors.to_vec());
    (0.05..0.95_f64).prop_flat_map(move |often| vec(prop::option::weighted(often, fault.clone()), 0..24))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_new_file_has_every_fact_whatever_attributes_do(file in any_file(), answers in any_answers()) {
        let dir = tempdir()?;
        let path = dir.path().join("f");
        fault::plan(answers);
        let told = store(&file, &path);
        fault::plan(Vec::new());
        prop_assert_eq!((told.losses(), told.notes()), (vec![], vec![]));
        assert_same(&load(&path), &file);
    }

    /// In place an old attribute may be in the way that cannot be removed: then it is an error, and not a lie.
    #[test]
    fn a_file_in_place_is_changed_or_it_is_an_error(
        first in any_file(),
        second in any_file(),
        answers in any_answers(),
    ) {
        let dir = tempdir()?;
        let path = dir.path().join("f");
        let directory = first.info.attributes.is_directory();
        let mut second = MemoryFile { object_id: first.object_id, ..second };
        if directory {
            second.streams.remove(&StreamKey::default());
        }
        let bytes = read_stream(&MemorySource::new(SharedFile::new(first)))?;
        let reference = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
        write_stream(place::stage(&path, directory)?, &bytes, 1 << 20)?;
        write_stream(Box::new(MemorySink::staged(reference.clone(), directory)), &bytes, 1 << 20)?;
        let bytes = read_stream(&MemorySource::new(SharedFile::new(second)))?;
        let sink = place::in_place(&path)?;
        fault::plan(answers);
        let written = write_stream(sink, &bytes, 1 << 20);
        fault::plan(Vec::new());
        match written {
            Ok(told) => {
                prop_assert_eq!(told.losses(), vec![]);
                write_stream(Box::new(MemorySink::in_place(reference.clone())), &bytes, 1 << 20)?;
                assert_same_streams(&load(&path), &reference.read());
            }
            Err(error) => prop_assert!(error.to_string().contains("out of date"), "{}", error),
        }
        prop_assert_eq!(decodes(&read_stream(&*place::open(&path)?)?), Ok(()));
    }
}

/// The attribute of the same name that was there must not hide the stream that found no room.
#[test]
fn a_stream_that_grows_leaves_its_attribute() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    write_stream(place::stage(&path, false).unwrap(), &alternate("a", b"small"), 100).unwrap();
    fault::plan(vec![None, Some(Errno::NOSPC)]);
    write_stream(place::in_place(&path).unwrap(), &alternate("A", b"other"), 100).unwrap();
    fault::plan(Vec::new());
    let file = load(&path);
    assert_eq!(file.streams.len(), 2);
    assert_eq!(content(file.stream(Some(&stream_name("a"))).unwrap()), b"other");
    let large = [header(StreamId::AlternateData, false, 100_000, Some("a")), vec![b'x'; 100_000]].concat();
    write_stream(place::in_place(&path).unwrap(), &large, 1 << 16).unwrap();
    assert_eq!(load(&path).stream(Some(&stream_name("a"))).unwrap().size, 100_000);
}

/// File systems of Windows' own, which are not on this machine: their attributes as the kernel documents them.
#[test]
fn ntfs3_and_cifs_have_attributes_of_their_own() {
    for (kind, security, attributes) in [
        (LinuxKind::Ntfs3, "system.ntfs_security", "system.ntfs_attrib"),
        (LinuxKind::Cifs, "system.smb3_ntsd_full", "user.cifs.dosattrib"),
    ] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        fault::pretend(Some(kind));
        let told = store(&rich(), &path);
        assert_eq!(told.losses(), []);
        let node = Spot::of(&path).unwrap().node().unwrap();
        assert_eq!(node.xattr(security).unwrap(), rich().security);
        let bits = rich().info.attributes.bits().to_ne_bytes().to_vec();
        assert_eq!(node.xattr(attributes).unwrap(), Some(bits));
        let (file, told) = try_load(&path).unwrap();
        assert_eq!((told.losses(), told.notes().len()), (vec![], 1));
        assert_same(&file, &rich());
        // Changed there, by whoever.
        let hidden = FileAttributes::SYSTEM.bits().to_ne_bytes();
        node.set_xattr(attributes, &hidden).unwrap();
        let now = try_load(&path).unwrap().0.info.attributes;
        assert!(now.contains(FileAttributes::SYSTEM) && !now.contains(FileAttributes::HIDDEN));
        // A descriptor that it does not take is in the side file, and counts.
        fault::plan([vec![Some(Errno::PERM); 20]].concat());
        let told = store(&rich(), &path);
        fault::plan(Vec::new());
        let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
        assert_eq!(kinds, [LossKind::Attribute]);
        assert_eq!(try_load(&path).unwrap().0.security, rich().security);
        fault::pretend(None);
    }
}
