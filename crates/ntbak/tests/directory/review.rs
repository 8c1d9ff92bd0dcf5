//! What a hostile review of directories found in the making of files: crashes, other users, links, very many streams.

use std::borrow::Cow;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::source::MemorySource;
use ntbak::{
    BackupWriter, Collected, FileSource, LinkResolver, LossKind, Result, Unheld, WritePolicy, WriteRights,
    copy, place,
};
use ntbak_wire::ea::{self, Ea};
use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::side::{LinuxOwner, SideHead};
use ntbak_wire::stream::StreamId;
use ntbak_wire::{FileAttributes, FileTime, Name, Win32Error, side};
use tempfile::tempdir;

use crate::helpers::*;
use crate::linux::{has, set};

/// Whether the test can be another user; says so where it cannot.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "not root");
        eprintln!("skipped: only root gives files to others");
    }
    root
}

/// A file that does something each time when its content is read.
struct Hooked<'a> {
    source: MemorySource,
    hook: &'a (dyn Fn() + Sync),
}

impl FileSource for Hooked<'_> {
    fn info(&self) -> Result<FileInfo> {
        self.source.info()
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        self.source.stream(index)
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.source.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        (self.hook)();
        self.source.read_at(stream, offset, buf)
    }
}

/// Copies `file` to `path`, and does something while its content is read.
fn store_hooked(file: &MemoryFile, path: &Path, hook: &(dyn Fn() + Sync)) -> Result<Collected> {
    let told = Collected::new();
    let source = Hooked { source: MemorySource::new(SharedFile::new(file.clone())), hook };
    let sink = place::stage(path, file.info.attributes.is_directory())?;
    copy(&source, sink, &report(&told, path))?;
    Ok(told)
}

/// The new file of `directory` that has no name yet.
fn part(directory: &Path) -> Option<PathBuf> {
    names(directory).into_iter().find(|name| name.ends_with(".part")).map(|name| directory.join(name))
}

/// A file with content, a stream that fits into no attribute, and this mode.
fn secret(mode: u32) -> MemoryFile {
    let mut file = MemoryFile::file()
        .with_stream(None, b"secret")
        .with_stream(Some(stream_name("large")), &[b's'; 100_000]);
    file.info.unix_mode = Some(mode);
    file
}

#[test]
fn very_many_streams_with_long_names_are_read_again() {
    let dir = tempdir().unwrap();
    let name = |number: u32| format!("{number:0>200}");
    // Backwards, so that their order is one that has to be remembered.
    let streams = |from: u32, to: u32| -> Vec<u8> {
        (from..to).rev().flat_map(|number| alternate(&name(number), &number.to_le_bytes())).collect()
    };
    let (staged, in_place) = (dir.path().join("staged"), dir.path().join("in place"));
    write_stream(place::stage(&staged, false).unwrap(), &streams(0, 3000), 1 << 20).unwrap();
    fs::write(&in_place, b"content").unwrap();
    for (from, to) in [(0, 1500), (1500, 3000)] {
        write_stream(place::in_place(&in_place).unwrap(), &streams(from, to), 1 << 20).unwrap();
    }
    for path in [staged, in_place] {
        let (_, begin) = SideHead::decode(&fs::read(side_of(&path)).unwrap()).unwrap();
        assert!(begin <= side::MAX_HEAD, "{begin}");
        let file = load(&path);
        assert_eq!(file.streams.len(), 3001);
        for number in 0..3000 {
            let stream = file.stream(Some(&stream_name(&name(number)))).unwrap();
            assert_eq!(content(stream), number.to_le_bytes());
        }
    }
}

/// Whatever keeps the new file from its name: the old one has all that it had.
#[test]
fn a_file_that_does_not_get_its_name_takes_nothing_from_the_old_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let mut old = rich();
    old = old.with_stream(Some(stream_name("large")), &[b'o'; 100_000]);
    store(&old, &path);
    let left = |what: &str| {
        assert_same(&load(&path), &old);
        assert_eq!(names(dir.path()), [side::DIRECTORY, "f"], "{what}");
        assert_eq!(names(&dir.path().join(side::DIRECTORY)).len(), 1, "{what}");
    };
    let plain = MemoryFile::file().with_stream(None, b"plain");
    // Somebody removes the new file before it is renamed.
    for new in [&plain, &secret(0o644)] {
        let remove = || part(dir.path()).into_iter().for_each(|part| fs::remove_file(part).unwrap());
        assert!(store_hooked(new, &path, &remove).is_err());
        left("removed");
    }
    // A backup stream of content alone needs no side file, and would take away that of the old file.
    let told = Collected::new();
    let sink = place::stage(&path, false).unwrap();
    let mut writer = BackupWriter::new(sink, Unheld::Report, WritePolicy::default());
    writer.write(&data(b"plain"), WriteRights::ALL, &report(&told, &path)).unwrap();
    fs::remove_file(part(dir.path()).unwrap()).unwrap();
    assert!(writer.finish(&report(&told, &path)).is_err());
    left("removed");
    // A file that cannot be replaced.
    let change = |flag: &str| Command::new("chattr").arg(flag).arg(&path).status();
    if !change("+i").is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no immutable files");
        eprintln!("skipped: no chattr +i");
        return;
    }
    let results = [&plain, &secret(0o644)].map(|new| try_store(new, &path));
    assert!(change("-i").unwrap().success());
    assert!(results.iter().all(std::result::Result::is_err));
    left("immutable");
}

/// Neither content nor streams of a file that only its owner may read are there for others while it is copied.
#[test]
fn a_copy_is_closed_to_others_until_it_is_whole() {
    let dir = tempdir().unwrap();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    for wanted in [0o600, 0o644] {
        let path = dir.path().join("f");
        let looked = AtomicUsize::new(0);
        let look = || {
            let side = dir.path().join(side::DIRECTORY);
            let beside = if side.exists() { part(&side) } else { None };
            for part in part(dir.path()).into_iter().chain(beside) {
                assert_eq!(mode(&part), 0o600, "{}", part.display());
                looked.fetch_add(1, Ordering::Relaxed);
            }
        };
        store_hooked(&secret(wanted), &path, &look).unwrap();
        assert!(looked.into_inner() >= 3, "the content alone, and with the stream");
        assert_eq!((mode(&path), mode(&side_of(&path))), (wanted, 0o600));
        assert_eq!(mode(&dir.path().join(side::DIRECTORY)), 0o700);
    }
    let path = dir.path().join("d");
    let mut folder = MemoryFile::directory().with_stream(Some(stream_name("large")), &[b's'; 100_000]);
    folder.info.unix_mode = Some(0o755);
    let look = || assert_eq!(mode(&part(dir.path()).unwrap()), 0o700);
    store_hooked(&folder, &path, &look).unwrap();
    assert_eq!(mode(&path), 0o755);
    // A backup stream says no mode: the file has the one that any new file has.
    fs::write(dir.path().join("usual"), b"").unwrap();
    let path = dir.path().join("stream");
    write_stream(place::stage(&path, false).unwrap(), &data(b"x"), 9).unwrap();
    assert_eq!(mode(&path), mode(&dir.path().join("usual")));
}

/// Where others may write, one could put a link in the place of the new file; nothing behind it is changed.
#[test]
fn a_link_in_the_place_of_the_new_file_leads_nowhere() {
    let dir = tempdir().unwrap();
    let (home, victims) = (dir.path().join("home"), dir.path().join("victims"));
    let (file, folder) = (victims.join("file"), victims.join("folder"));
    fs::create_dir(&home).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, b"the victim's").unwrap();
    let facts = |path: &Path| {
        let stat = fs::symlink_metadata(path).unwrap();
        let attributes =
            ["user.DOSATTRIB", "user.ntbak.side", "user.DosStream.small:$DATA", "security.NTACL"];
        (stat.mode(), stat.uid(), stat.mtime(), stat.mtime_nsec(), attributes.map(|name| has(path, name)))
    };
    for victim in [&file, &folder] {
        fs::set_permissions(victim, Permissions::from_mode(0o700)).unwrap();
        let before = facts(victim);
        let path = home.join("f");
        let mut new = if victim.is_dir() { MemoryFile::directory() } else { MemoryFile::file() };
        new.info.unix_mode = Some(0o777);
        new.info.times = rich().info.times;
        new.security = rich().security;
        new = new.with_stream(Some(stream_name("small")), b"s");
        new = new.with_stream(Some(stream_name("large")), &[b's'; 100_000]);
        let mut swaps = vec!["link"];
        if !victim.is_dir() {
            new = new.with_stream(None, b"new");
            // Another file is not a link, and not the new file either.
            swaps.push("file");
        }
        for swap in swaps {
            fs::write(home.join("f"), b"old").unwrap();
            if victim.is_dir() {
                fs::remove_file(home.join("f")).unwrap();
            }
            let put = || {
                let Some(part) = part(&home).filter(|_| !dir.path().join("moved").exists()) else { return };
                fs::rename(&part, dir.path().join("moved")).unwrap();
                if swap == "link" {
                    symlink(victim, &part).unwrap()
                } else {
                    fs::write(&part, b"bad").unwrap()
                }
            };
            let error = store_hooked(&new, &path, &put).unwrap_err();
            assert_eq!(error.win32(), Win32Error::ACCESS_DENIED, "{swap}: {error}");
            assert_eq!(facts(victim), before, "{swap} to {}", victim.display());
            assert_eq!(fs::read(&file).unwrap(), b"the victim's");
            assert_eq!(names(&folder), [""; 0]);
            if victim.is_dir() {
                assert!(fs::symlink_metadata(&path).is_err());
                fs::remove_dir_all(dir.path().join("moved")).unwrap();
            } else {
                assert_eq!(fs::read(&path).unwrap(), b"old", "{swap}");
                fs::remove_file(dir.path().join("moved")).unwrap();
            }
        }
    }
}

/// Who may write a side file does not choose which file a copy into a directory becomes.
#[test]
fn a_side_file_does_not_choose_the_name_of_a_copy() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&rich(), &path);
    for name in [&b".bashrc"[..], b"..", b"a/b", b"", b"F", b"f~ntbak-0123456789abcdef"] {
        edit_side(&path, |head| head.true_name = Some(name.to_vec()));
        let info = place::open(&path).unwrap().info().unwrap();
        assert_eq!(info.links[0].name, b"f", "{}", name.escape_ascii());
    }
    // The name of which the one here was made is believed: corners.rs has that.
}

/// A side file of an ordinary user must not make root's copy of a file a set-id one of root.
#[test]
fn a_side_file_of_another_user_does_not_choose_owner_and_mode() {
    if !is_root() {
        return;
    }
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(&secret(0o644), &path);
    chown(&path, Some(1000), Some(1000)).unwrap();
    let got = LinuxOwner { mode: 0o644, user: 1000, group: 1000 };
    let wanted = LinuxOwner { mode: 0o4777, user: 0, group: 0 };
    edit_side(&path, |head| head.linux = Some((wanted, got)));
    chown(dir.path().join(side::DIRECTORY), Some(1000), Some(1000)).unwrap();
    for (user, believed) in [(0, wanted), (1000, got)] {
        chown(side_of(&path), Some(user), None).unwrap();
        let source = place::open(&path).unwrap();
        let info = source.info().unwrap();
        assert_eq!(info.unix_mode, Some(believed.mode), "of user {user}");
        assert_eq!(info.unix_owner, Some((believed.user, believed.group)), "of user {user}");
        // The rest of it is the file's own, whoever wrote it.
        assert_eq!(source.stream(1).unwrap().unwrap().size, 100_000);
    }
}

struct To(PathBuf);

impl LinkResolver for To {
    fn resolve(&mut self, _: &Name) -> Result<PathBuf> {
        Ok(self.0.clone())
    }
}

/// A file that is a hard link to a side file would let its writer change what another file is said to have.
#[test]
fn links_do_not_lead_to_side_files() {
    let dir = tempdir().unwrap();
    let (owner, path) = (dir.path().join("owner"), dir.path().join("link"));
    store(&rich(), &owner);
    symlink(side::DIRECTORY, dir.path().join("way")).unwrap();
    let name = side_of(&owner).file_name().unwrap().to_owned();
    let payload: Vec<u8> = "x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = [header(StreamId::Link, false, payload.len() as u64, None), payload].concat();
    for target in [side_of(&owner), dir.path().join("way").join(&name)] {
        for in_place in [false, true] {
            if in_place {
                fs::write(&path, b"plain").unwrap();
            }
            let sink = if in_place { place::in_place(&path) } else { place::stage(&path, false) }.unwrap();
            let to = Box::new(To(target.clone()));
            let mut writer =
                BackupWriter::new(sink, Unheld::Report, WritePolicy::default()).with_links(Some(to));
            let told = Collected::new();
            let (_, error) = writer.write(&bytes, WriteRights::ALL, &report(&told, &path)).unwrap_err();
            assert_eq!(error.win32(), Win32Error::ACCESS_DENIED, "{}: {error}", target.display());
            drop(writer);
            assert_eq!(fs::metadata(side_of(&owner)).unwrap().nlink(), 1);
            assert_eq!(path.exists(), in_place);
        }
        fs::remove_file(&path).unwrap();
    }
    // Nor is anything made among them.
    let error = place::stage(&side_of(&owner), false).map(drop).unwrap_err();
    assert_eq!(error.win32(), Win32Error::ACCESS_DENIED);
    assert_same(&load(&owner), &rich());
}

/// Where many may write, side files could be planted: one there is told and not believed, and none there is no matter.
#[test]
fn a_side_directory_of_another_user_is_told_where_it_matters() {
    if !is_root() {
        return;
    }
    let dir = tempdir().unwrap();
    let (path, plain) = (dir.path().join("f"), dir.path().join("plain"));
    store(&secret(0o644), &path);
    chown(dir.path().join(side::DIRECTORY), Some(1000), Some(1000)).unwrap();
    let (file, told) = try_load(&path).unwrap();
    let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!((kinds[0], file.streams.len()), (LossKind::Stream, 1), "{:?}", told.losses());
    assert!(told.losses()[0].why.contains("user 1000"), "{:?}", told.losses());
    assert_eq!(content(file.stream(None).unwrap()), b"secret");
    fs::write(&plain, b"plain").unwrap();
    assert_eq!(content(load(&plain).stream(None).unwrap()), b"plain");

    // A plain file goes there, and one of Windows with all but its change time; neither is said to have lost a side file
    // later.
    let copied = dir.path().join("copied");
    let mut changed = load(&plain);
    for kinds in [vec![], vec![LossKind::ChangeTime]] {
        let told = store(&changed, &copied);
        assert_eq!(
            told.losses().iter().map(|loss| loss.kind).collect::<Vec<_>>(),
            kinds,
            "{:?}",
            told.losses()
        );
        assert_eq!(content(load(&copied).stream(None).unwrap()), b"plain");
        changed.info.times.changed = Some(FileTime(132_000_000_000_000_001));
    }
    // What needs a side file does not go there.
    let before = names(dir.path());
    assert!(try_store(&secret(0o644), &dir.path().join("new")).is_err());
    let large = alternate("a", &[b'x'; 100_000]);
    assert!(write_stream(place::stage(&dir.path().join("new"), false).unwrap(), &large, 1 << 20).is_err());
    assert!(write_stream(place::in_place(&plain).unwrap(), &large, 1 << 20).is_err());
    assert_eq!(names(dir.path()), before);
    assert_eq!(load(&plain).streams.len(), 1);
}

/// One writer removes the directory of side files when it is empty, while another one makes its own in it.
#[test]
fn writers_side_by_side_do_not_take_the_side_directory_from_each_other() {
    let dir = tempdir().unwrap();
    let large = alternate("a", &[b'x'; 70_000]);
    // So that there is again and again no side file at all, each is removed at once.
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        let written = place::stage(&path, false).and_then(|sink| write_stream(sink, bytes, 1 << 20));
        assert!(written.is_ok(), "{name}: {}", written.unwrap_err());
        fs::remove_file(&path).unwrap();
        let _ = fs::remove_file(side_of(&path));
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rich = scope.spawn(|| (0..200).for_each(|_| write("rich", &large)));
        let plain = ["plain", "another", "third"].map(|name| {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    write(name, &data(b"plain"));
                }
            })
        });
        let result = rich.join();
        done.store(true, Ordering::Relaxed);
        result.unwrap();
        plain.into_iter().for_each(|plain| plain.join().unwrap());
    });
}

/// Where attributes are only in the side file, a reparse point that comes in place must not hide them.
#[test]
fn a_reparse_point_in_place_keeps_the_attributes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let mut file = MemoryFile::file();
    let wanted = FileAttributes::READONLY | FileAttributes::HIDDEN | FileAttributes::SYSTEM;
    file.info.attributes = wanted;
    file.info.times.changed = Some(FileTime(132_000_000_000_000_001));
    store(&file, &path);
    let _ = rustix::fs::removexattr(&path, "user.DOSATTRIB");
    let buffer = reparse::build(ReparseTag(0x8000_7777), None, b"x").unwrap();
    let bytes = [header(StreamId::ReparseData, false, buffer.len() as u64, None), buffer].concat();
    write_stream(place::in_place(&path).unwrap(), &bytes, 100).unwrap();
    let now = place::open(&path).unwrap().info().unwrap().attributes;
    assert_eq!(now, wanted | FileAttributes::REPARSE_POINT);
}

/// A copy onto a directory that is there makes it what the source is: nothing of its old streams and EAs is left.
#[test]
fn a_copy_onto_a_directory_leaves_no_old_streams_and_eas() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let folder = |streams: &[(&str, usize)], eas: &[&str]| {
        let mut file = MemoryFile::directory();
        for (name, len) in streams {
            file = file.with_stream(Some(stream_name(name)), &vec![b'x'; *len]);
        }
        let eas: Vec<_> = eas.iter().map(|name| Ea::new(0, name.as_bytes(), b"value")).collect();
        file.ea = Some(ea::build_full(&eas).unwrap()).filter(|list| !list.is_empty());
        file
    };
    let old = folder(&[("small", 1), ("large", 100_000), ("both", 5)], &["OLD", "BOTH", "ntacl"]);
    for new in [folder(&[("BOTH", 70_000)], &["BOTH", "NEW"]), folder(&[], &[])] {
        for path in [&from, &to] {
            let _ = fs::remove_dir_all(path);
        }
        store(&new, &from);
        store(&old, &to);
        let told = Collected::new();
        let source = place::open(&from).unwrap();
        copy(&*source, place::in_place(&to).unwrap(), &report(&told, &from)).unwrap();
        assert_eq!(told.losses(), []);
        assert_same_streams(&load(&to), &new);
    }
}

/// Four times as many streams take about four times as long; looking through all of them for each takes sixteen times.
#[test]
fn very_many_streams_take_no_square_time() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let time = |number: u32| -> Duration {
        let bytes: Vec<u8> =
            (0..number).flat_map(|number| alternate(&format!("stream {number}"), b"")).collect();
        let begin = Instant::now();
        write_stream(place::stage(&path, false).unwrap(), &bytes, 1 << 20).unwrap();
        begin.elapsed()
    };
    // One good time of a few is enough: others work here, too.
    let linear = (0..3).any(|_| {
        let (few, many) = (time(5_000), time(20_000));
        many < few * 8
    });
    assert!(linear, "20,000 streams took more than eight times as long as 5,000, three times over");
    assert_eq!(load(&path).streams.len(), 20_001);
}

/// A directory that gives its files an ACL must not let others into the copy of one that was closed.
#[test]
fn a_default_acl_of_the_directory_gives_nobody_access_to_a_copy() {
    let dir = tempdir().unwrap();
    // user::rwx, user 1000 rwx, group::r-x, mask::rwx, other::---.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        acl.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(dir.path(), "system.posix_acl_default", &acl, flags).is_err() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "no POSIX ACLs");
        eprintln!("skipped: the temporary directory has no POSIX ACLs");
        return;
    }
    let path = dir.path().join("f");
    fs::write(&path, b"x").unwrap();
    assert!(has(&path, "system.posix_acl_access"), "the directory gives its files none");
    for mode in [0o600, 0o640, 0o664] {
        store(&secret(mode), &path);
        assert!(!has(&path, "system.posix_acl_access"), "{mode:o}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        // Side files have the mask of their mode, which leaves the user of the ACL nothing.
        assert_eq!(fs::metadata(side_of(&path)).unwrap().permissions().mode() & 0o077, 0);
        let own = path.with_file_name(side::DIRECTORY);
        assert_eq!(fs::metadata(own).unwrap().permissions().mode() & 0o077, 0);
    }
    // One that the source has is kept.
    let mut file = secret(0o660);
    file.linux_attributes.insert(b"system.posix_acl_access".to_vec(), crate::linux::posix_acl());
    store(&file, &path);
    assert_eq!(
        crate::linux::linux(&path).2,
        [(b"system.posix_acl_access".to_vec(), crate::linux::posix_acl())]
    );
    set(&path, "user.probe", b"x");
}
