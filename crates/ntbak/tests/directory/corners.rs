//! What is neither a plain file nor a plain copy: links, names that are ours, conflicts, work that is broken off.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use ntbak::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use ntbak::sink::MemorySink;
use ntbak::{BackupWriter, Collected, LossKind, Unheld, WritePolicy, WriteRights, place};
use ntbak_wire::record::{SmallKind, StreamFlags};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::stream::StreamId;
use ntbak_wire::{FileAttributes, Name, Win32Error, side};
use tempfile::tempdir;

use crate::helpers::*;

/// Everything below a directory with its content, to see that nothing changed.
fn snapshot(directory: &Path) -> BTreeSet<(String, Option<Vec<u8>>)> {
    let mut found = BTreeSet::new();
    for name in names(directory) {
        let path = directory.join(&name);
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(
                snapshot(&path).into_iter().map(|(below, content)| (format!("{name}/{below}"), content)),
            );
        }
        found.insert((name, fs::read(&path).ok()));
    }
    found
}

#[test]
fn a_side_directory_that_is_not_one_is_never_written_through() {
    for kind in ["file", "link to a directory", "link to nowhere"] {
        let dir = tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let side = home.join(side::DIRECTORY);
        match kind {
            "file" => fs::write(&side, b"the user's").unwrap(),
            "link to a directory" => symlink(&elsewhere, &side).unwrap(),
            _ => symlink("nowhere", &side).unwrap(),
        }
        // Side files behind a link are not read either.
        store(&rich(), &elsewhere.join("f"));
        let real = side_of(&elsewhere.join("f"));
        fs::copy(&real, elsewhere.join(real.file_name().unwrap())).unwrap();
        fs::write(home.join("f"), b"plain").unwrap();
        let before = snapshot(dir.path());
        assert_eq!(load(&home.join("f")).streams.len(), 1, "{kind}");
        let error = try_store(&rich(), &home.join("f")).unwrap_err();
        assert!(error.to_string().contains(side::DIRECTORY), "{error}");
        let named = alternate("a", &[b'x'; 70_000]);
        assert!(write_stream(place::in_place(&home.join("f")).unwrap(), &named, 9).is_err());
        assert!(snapshot(dir.path()) == before, "{kind}: {:?}", names(dir.path()));
        // What needs no side file still works.
        write_stream(place::stage(&home.join("plain"), false).unwrap(), &data(b"x"), 9).unwrap();
        assert_eq!(load(&home.join("plain")).stream(None).unwrap().size, 1);
    }
}

#[test]
fn a_side_file_that_is_a_link_is_not_followed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(side_of(&path), &elsewhere).unwrap();
    symlink(&elsewhere, side_of(&path)).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    if let Ok((file, _)) = try_load(&path) {
        assert_eq!(file.streams.len(), 1);
    }
    if let Ok(sink) = place::in_place(&path) {
        let _ = write_stream(sink, &alternate("a", b"x"), 9);
    }
    store(&rich(), &path);
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    assert_same(&load(&path), &rich());
    // Nor does anything else there stop the next writer, or hang the next reader.
    fs::remove_file(side_of(&path)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(side_of(&path)).status().unwrap().success());
    assert!(try_load(&path).is_err());
    store(&rich(), &path);
    assert_same(&load(&path), &rich());
}

/// A name that is ours: what goes there must not become, or replace, a directory of side files.
#[test]
fn a_file_called_as_our_directory_destroys_nothing() {
    let dir = tempdir().unwrap();
    store(&rich(), &dir.path().join("f"));
    let before = snapshot(dir.path());
    let own = dir.path().join(side::DIRECTORY);
    let told = try_store(&rich(), &own).unwrap();
    assert_eq!((told.losses().len(), told.notes().len()), (0, 1), "{:?}", told.notes());
    let after = snapshot(dir.path());
    assert!(before.is_subset(&after), "{:?}", names(&own));
    // It has another name, and says which one it had.
    assert_same(&load(&own), &rich());
    assert_eq!(place::open(&own).unwrap().info().unwrap().links[0].name, side::DIRECTORY.as_bytes());
    let there = names(dir.path());
    assert_eq!(there.len(), 3, "{there:?}");
    assert!(there[1].starts_with(".ntbak-side~ntbak-"), "{there:?}");
    // Once more in its own place, and changed there.
    store(&rich(), &own);
    write_stream(place::in_place(&own).unwrap(), &alternate("ads", b"changed"), 9).unwrap();
    assert_eq!(content(load(&own).stream(Some(&stream_name("ads"))).unwrap()), b"changed");
    assert_eq!(names(dir.path()), there);
}

#[test]
fn a_name_that_is_too_long_becomes_another_and_is_kept() {
    let dir = tempdir().unwrap();
    let name = "ä".repeat(255);
    let path = dir.path().join(&name);
    store(&rich(), &path);
    assert_same(&load(&path), &rich());
    assert_eq!(place::open(&path).unwrap().info().unwrap().links[0].name, name.as_bytes());
    let there = names(dir.path());
    assert!(there.len() == 2 && there[1].starts_with("ää") && there[1].len() <= 255, "{there:?}");
    // Another one with the same begin is another file.
    store(&MemoryFile::file(), &dir.path().join("ä".repeat(254)));
    assert_eq!(names(dir.path()).len(), 3);
    assert_same(&load(&path), &rich());
}

#[test]
fn what_cannot_be_put_in_its_place_leaves_the_place_alone() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("f"), b"x").unwrap();
    let before = snapshot(dir.path());
    assert!(try_store(&rich(), &dir.path().join("d")).is_err());
    assert!(snapshot(dir.path()) == before, "a file over a directory: {:?}", names(dir.path()));
    let mut folder = MemoryFile::directory();
    folder.security = rich().security;
    assert!(try_store(&folder, &dir.path().join("f")).is_err());
    assert!(snapshot(dir.path()) == before, "a directory over a file: {:?}", names(dir.path()));
}

#[test]
fn what_is_broken_off_leaves_nothing() {
    let dir = tempdir().unwrap();
    for directory in [false, true] {
        let path = dir.path().join("f");
        let told = Collected::new();
        let mut writer = BackupWriter::new(
            place::stage(&path, directory).unwrap(),
            Unheld::Report,
            WritePolicy::default(),
        );
        let bytes = alternate("a", b"content");
        writer.write(&bytes[..bytes.len() - 2], WriteRights::ALL, &report(&told, &path)).unwrap();
        drop(writer);
        assert_eq!(names(dir.path()), [""; 0], "directory: {directory}");
    }
}

/// In place, what was written stays; but the next reader must find a side file that is whole.
#[test]
fn a_named_stream_that_is_broken_off_does_not_take_the_others_along() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    let bytes = alternate("new", b"content");
    let told = Collected::new();
    let mut writer =
        BackupWriter::new(place::in_place(&path).unwrap(), Unheld::Report, WritePolicy::default());
    writer.write(&bytes[..bytes.len() - 2], WriteRights::ALL, &report(&told, &path)).unwrap();
    drop(writer);
    let (file, _) = try_load(&path).unwrap();
    assert_eq!(file.security, rich().security);
    assert_eq!(file.object_id, rich().object_id);
    assert_eq!(file.stream(Some(&stream_name("ads"))), rich().stream(Some(&stream_name("ads"))));
}

#[test]
fn what_is_passed_over_reads_as_zeros() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let told = Collected::new();
    let report = report(&told, &path);
    let sink = place::stage(&path, false).unwrap();
    let mut writer = BackupWriter::new(sink, Unheld::Report, WritePolicy::default());
    for (bytes, over) in [(data(b"0123456789"), 4), (alternate("a", b"0123456789"), 4)] {
        let payload = bytes.len() - 10;
        writer.write(&bytes[..payload + 2], WriteRights::ALL, &report).unwrap();
        assert_eq!(writer.seek(over, &report).unwrap().moved, over);
        writer.write(&bytes[payload + 6..], WriteRights::ALL, &report).unwrap();
    }
    writer.finish(&report).unwrap();
    let file = load(&path);
    for name in [None, Some(stream_name("a"))] {
        assert_eq!(content(file.stream(name.as_ref()).unwrap()), b"01\0\0\0\x006789");
    }
}

/// A lone SPARSE_BLOCK makes a named stream sparse, as it does in memory; two headers that disagree would be no stream
/// that Windows writes.
#[test]
fn a_named_stream_that_is_amended_is_sparse() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let bytes = [alternate("a", b"0123456789"), block(4, b"xy"), block(8192, b"far")].concat();
    let memory = SharedFile::new(MemoryFile::file());
    write_stream(place::stage(&path, false).unwrap(), &bytes, 7).unwrap();
    write_stream(Box::new(MemorySink::staged(memory.clone(), false)), &bytes, 7).unwrap();
    let source = place::open(&path).unwrap();
    let head = source.stream(1).unwrap().unwrap();
    assert!(head.flags.contains(StreamFlags::SPARSE));
    // Ranges must not touch each other.
    let first = source.next_extent(1, 0).unwrap().unwrap();
    assert_eq!((first.offset, first.len), (0, 10));
    assert_same_streams(&load(&path), &memory.read());
}

/// The side file has a place for these facts of the unnamed stream only; then those of a named one are lost, not gone.
#[test]
fn facts_of_named_streams_are_kept_or_reported() {
    for (flags, vdl, kind) in
        [(StreamFlags::COMPRESSED, 10, LossKind::Compression), (StreamFlags::empty(), 5, LossKind::Vdl)]
    {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let name = stream_name("a");
        let mut stream = MemoryStream::new(Some(name.clone()), flags);
        stream.write(0, b"01234");
        stream.set_size(10);
        stream.vdl = vdl;
        let mut file = MemoryFile::file();
        file.streams.insert(StreamKey::of(Some(&name)), stream);
        let told = store(&file, &path);
        let found = load(&path);
        let found = found.stream(Some(&name)).unwrap();
        assert_eq!(content(found), b"01234\0\0\0\0\0");
        let kept = (found.flags, found.vdl) == (flags, vdl);
        assert!(kept || told.losses().iter().any(|loss| loss.kind == kind), "{kind} is gone in silence");
    }
}

/// Attributes that mirror a fact are there with it, also where only a backup stream brought it.
#[test]
fn attributes_follow_what_a_backup_stream_brings() {
    let reparse = rich().reparse.unwrap();
    let reparse = [header(StreamId::ReparseData, false, reparse.len() as u64, None), reparse].concat();
    let sparse = [header(StreamId::Data, true, 1, None), b"x".to_vec()].concat();
    for bytes in [reparse.clone(), sparse.clone(), [sparse.clone(), data(b"again")].concat()] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let memory = SharedFile::new(MemoryFile::file());
        write_stream(place::stage(&path, false).unwrap(), &bytes, 7).unwrap();
        write_stream(Box::new(MemorySink::staged(memory.clone(), false)), &bytes, 7).unwrap();
        assert_eq!(load(&path).info.attributes, memory.read().info.attributes);
    }
    // And in place over a file whose attributes are known.
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let mut before = MemoryFile::file();
    before.info.attributes = FileAttributes::HIDDEN;
    store(&before, &path);
    let memory = SharedFile::new(before);
    for bytes in [reparse, sparse, data(b"not sparse")] {
        write_stream(place::in_place(&path).unwrap(), &bytes, 7).unwrap();
        write_stream(Box::new(MemorySink::in_place(memory.clone())), &bytes, 7).unwrap();
        assert_eq!(load(&path).info.attributes, memory.read().info.attributes);
    }
}

/// Windows' conflicts are the same here as in memory and on ntfs-3g.
#[test]
fn bs_54_conflicts_are_those_of_memory() {
    let buffer = |tag, data: &[u8]| {
        let buffer = reparse::build(tag, None, data).unwrap();
        [header(StreamId::ReparseData, false, buffer.len() as u64, None), buffer].concat()
    };
    let link = reparse::build_symlink(&Name::from("x"), &Name::from("x"), true).unwrap();
    let link = [header(StreamId::ReparseData, false, link.len() as u64, None), link].concat();
    let id = |id: &[u8]| [header(StreamId::ObjectId, false, id.len() as u64, None), id.to_vec()].concat();
    for (first, second, expected) in [
        (vec![], buffer(ReparseTag::MOUNT_POINT, b""), Some(Win32Error::DIRECTORY)),
        (data(b"x"), link, Some(Win32Error::INVALID_REPARSE_DATA)),
        (
            buffer(ReparseTag(0x8000_7777), b""),
            buffer(ReparseTag(0x8000_7778), b""),
            Some(Win32Error::REPARSE_TAG_MISMATCH),
        ),
        (buffer(ReparseTag(0x8000_7777), b"1"), buffer(ReparseTag(0x8000_7777), b"2"), None),
        (id(&[1; 64]), id(&[2; 64]), Some(Win32Error::ALREADY_EXISTS)),
        (id(&[1; 64]), id(&[1; 64]), None),
        (id(&[1; 16]), id(&[1; 16]), None),
    ] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        let memory = SharedFile::new(MemoryFile::file());
        write_stream(place::stage(&path, false).unwrap(), &first, 100).unwrap();
        write_stream(Box::new(MemorySink::staged(memory.clone(), false)), &first, 100).unwrap();
        let code = |result: ntbak::Result<Collected>| result.err().map(|error| error.win32());
        let reference = code(write_stream(Box::new(MemorySink::in_place(memory)), &second, 100));
        assert_eq!(reference, expected);
        let found = code(write_stream(place::in_place(&path).unwrap(), &second, 100));
        assert_eq!(found, expected, "{second:?}");
    }
}

#[test]
fn a_symbolic_link_is_a_reparse_point() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("link");
    for (target, substitute, relative) in
        [("../to/where", r"..\to\where", true), ("gone", "gone", true), ("/etc/x", r"\etc\x", false)]
    {
        symlink(target, &path).unwrap();
        let source = place::open(&path).unwrap();
        let name = Name::from(substitute);
        let expected = reparse::build_symlink(&name, &name, relative).unwrap();
        assert_eq!(source.small(SmallKind::Reparse).unwrap().as_deref(), Some(&expected[..]));
        let info = source.info().unwrap();
        assert!(info.attributes.contains(FileAttributes::REPARSE_POINT));
        let stream = read_stream(&*source).unwrap();
        assert_eq!(decodes(&stream), Ok(()));
        assert_eq!(load(&path).stream(None).unwrap().size, 0);
        assert!(place::in_place(&path).is_err());
        fs::remove_file(&path).unwrap();
    }
    // Never followed, whatever it leads to.
    fs::write(dir.path().join("target"), b"content").unwrap();
    symlink("target", &path).unwrap();
    assert_eq!(load(&path).stream(None).unwrap().size, 0);
    store(&rich(), &path);
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"content");
    // Targets that no link of Windows has: a loss, and the rest goes on.
    for target in [&b"no \xFF text"[..], b"a\\b"] {
        let raw = dir.path().join("raw");
        symlink(OsStr::from_bytes(target), &raw).unwrap();
        let (file, told) = try_load(&raw).unwrap();
        let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
        assert_eq!((kinds, file.reparse), (vec![LossKind::Reparse], None));
        fs::remove_file(&raw).unwrap();
    }
    // Nor is anything else opened that is no file.
    assert!(place::open(Path::new("/dev/null")).is_err());
    assert!(place::in_place(Path::new("/dev/null")).is_err());
}

#[test]
fn in_place_keeps_the_file_and_its_side_file_current() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&path);
    let bytes = [alternate("ADS", b"changed"), alternate("more", b"m"), data(b"new")].concat();
    write_stream(place::in_place(&path).unwrap(), &bytes, 3).unwrap();
    assert_eq!(inode(&path), before);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let file = load(&path);
    assert_eq!(content(file.stream(None).unwrap()), b"new");
    assert_eq!(content(file.stream(Some(&stream_name("ads"))).unwrap()), b"changed");
    assert_eq!(content(file.stream(Some(&stream_name("more"))).unwrap()), b"m");
    assert_eq!(file.stream(Some(&stream_name("holey"))), rich().stream(Some(&stream_name("holey"))));
    assert_eq!((file.security, file.ea, file.reparse), (rich().security, rich().ea, rich().reparse));
    assert_eq!(names(&dir.path().join(side::DIRECTORY)).len(), 1);
}

/// A side file is known by more than a name: files are renamed, and replaced.
#[test]
fn a_side_file_goes_with_its_file() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    if rustix::fs::setxattr(dir.path(), "user.probe", b"x", rustix::fs::XattrFlags::empty()).is_err() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no extended attributes");
        eprintln!("skipped: the temporary directory has no extended attributes");
        return;
    }
    store(&rich(), &at("f"));
    fs::rename(at("f"), at("renamed")).unwrap();
    assert_same(&load(&at("renamed")), &rich());
    // Over one that has a side file of its own.
    store(&MemoryFile::file().with_stream(Some(stream_name("large")), &[1; 70_000]), &at("g"));
    fs::rename(at("renamed"), at("g")).unwrap();
    assert_same(&load(&at("g")), &rich());
    // Written in place, it has one of its own name.
    write_stream(place::in_place(&at("g")).unwrap(), &alternate("new", b"n"), 9).unwrap();
    assert_eq!(load(&at("g")).streams.len(), rich().streams.len() + 1);

    // Another file of the name has nothing of it.
    fs::remove_file(at("g")).unwrap();
    fs::write(at("g"), b"another").unwrap();
    let (file, told) = try_load(&at("g")).unwrap();
    assert_eq!((file.streams.len(), file.object_id, file.security), (1, None, None));
    assert_eq!((told.losses().len(), told.notes().len()), (0, 1), "{:?}", told.notes());

    // Moved without it: that is a loss.
    store(&rich(), &at("h"));
    fs::create_dir(at("elsewhere")).unwrap();
    fs::rename(at("h"), at("elsewhere/h")).unwrap();
    let (_, told) = try_load(&at("elsewhere/h")).unwrap();
    let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::Stream], "{:?}", told.losses());

    // A copy of the whole directory without attributes, times kept, is as good as those are.
    store(&MemoryFile::file().with_stream(Some(stream_name("large")), &[1; 70_000]), &at("copied"));
    rustix::fs::removexattr(at("copied"), side::MARK).unwrap();
    assert_eq!(load(&at("copied")).streams.len(), 2);
}
