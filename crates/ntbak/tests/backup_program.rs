//! The backup program of the examples, over a tree with everything in it: from memory into a directory, from there into
//! memory again, and the same at the end as at the beginning.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)]

mod common;
#[path = "efs/made.rs"]
#[allow(dead_code)]
pub(crate) mod made;
#[path = "../examples/backup_program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use common::*;
use ntbak::memory::MemoryFile;
use ntbak::source::MemorySource;
use ntbak::win32::{
    BasicInfo, Create, DirectoryVolume, Drives, FileFlags, MemoryVolume, System, Volume,
    find_first_file_name, find_next_file_name, get_basic_info,
};
use ntbak_wire::reparse;
use ntbak_wire::{FileAttributes, FileTime, Name};

const PATHS: &[&str] = &[
    "rich",
    "dir",
    r"dir\plain",
    r"dir\again",
    r"dir\sub",
    r"dir\sub\deep",
    "guarded",
    "holes",
    "link",
    "junction",
    r"junction kept",
    "secret",
    "empty",
    "Ünï\u{1F5C4}",
    "dot.",
    r"dir\third",
];

fn times(n: i64) -> ntbak_wire::record::Times {
    let time = |k: i64| Some(FileTime(131_000_000_000_000_000 + n * 1_000_000_007 + k * 10_000_019));
    ntbak_wire::record::Times { created: time(1), written: time(2), accessed: time(3), changed: time(4) }
}

/// A volume with something of every kind.
pub fn everything() -> MemoryVolume {
    let volume = MemoryVolume::new();
    let mut n = 0;
    let mut put = |path: &str, mut file: MemoryFile, attributes: FileAttributes| {
        n += 1;
        file.info.times = times(n);
        file.info.attributes |= attributes;
        volume.insert(path, file)
    };
    let (none, directory) = (FileAttributes::empty(), MemoryFile::directory);
    let link = |target: &str| reparse::symlink_from_print_name(&Name::from(target)).unwrap();
    put("rich", rich().0, none);
    let mut dir = directory().with_stream(Some(name("of a directory")), b"stream");
    (dir.security, dir.ea, dir.object_id) =
        (Some(full_sd()), Some(eas(&[("D", 0, b"1")])), Some(object_id(9)));
    put("dir", dir, FileAttributes::HIDDEN);
    put(
        r"dir\plain",
        MemoryFile::file().with_stream(None, b"plain").with_stream(Some(name("s")), b"stream"),
        none,
    );
    put(r"dir\sub", directory(), FileAttributes::READONLY);
    put(r"dir\sub\deep", MemoryFile::file().with_stream(None, &bytes(300_000)), none);
    let guarded = FileAttributes::READONLY | FileAttributes::HIDDEN | FileAttributes::SYSTEM;
    put("guarded", MemoryFile::file().with_stream(None, b"guarded"), guarded);
    let mut holes = MemoryFile::file();
    put_stream(&mut holes, sparse(None, 1 << 20, &[(65_536, 65_536), (786_432, 65_536)]));
    put("holes", holes, none);
    let mut symlink = MemoryFile::file();
    symlink.reparse = Some(link(r"dir\plain"));
    put("link", symlink, FileAttributes::REPARSE_POINT);
    for (path, target) in [("junction", r"C:\dir"), ("junction kept", r"X:\elsewhere")] {
        let mut junction = directory();
        junction.reparse = Some(reparse::mount_point_from_print_name(&Name::from(target)).unwrap());
        put(path, junction, FileAttributes::REPARSE_POINT);
    }
    put("secret", made::file(made::simple(70_000)), none);
    put("empty", MemoryFile::file(), none);
    put("Ünï\u{1F5C4}", MemoryFile::file().with_stream(None, b"name"), none);
    put("dot.", MemoryFile::file().with_stream(None, b"dot"), none);
    let system = System::new(Drives::new().with('C', volume.clone()).unwrap());
    system.create_hard_link(r"C:\dir\again", r"C:\dir\plain").unwrap();
    system.create_hard_link(r"C:\dir\third", r"C:\dir\plain").unwrap();
    volume
}

fn basic(system: &System, path: &str) -> BasicInfo {
    let flags = FileFlags::BACKUP_SEMANTICS | FileFlags::OPEN_REPARSE_POINT;
    let file = system.create_file(format!(r"\\?\C:\{path}"), Create { flags, ..Create::default() }).unwrap();
    get_basic_info(&file).unwrap()
}

/// A drive with `C:`, whose LINK streams are below its root.
pub fn drive(volume: impl Volume + 'static) -> System {
    System::new(Drives::new().with('C', volume).unwrap()).with_link_root(r"C:\")
}

/// All that the program backs up of a drive.
pub fn backed_up(system: &System) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(program::backup(system, r"C:\", &mut bytes).unwrap(), PATHS.len());
    bytes
}

/// Restores all of it to a drive.
pub fn restore(system: &System, mut bytes: &[u8]) {
    assert_eq!(program::restore(system, r"C:\", &mut bytes).unwrap(), PATHS.len());
}

/// What a drive in between does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All of it is shown.
    Nothing,
    /// A volume that ntfs-3g has made: it sets the change time by itself.
    ChangeTime,
    /// A mount of it: nobody gets the streams of a file that is a reparse point either.
    ContentOfReparsePoints,
}

/// Restores what was backed up of a drive into memory, and compares it with what there was at first.
pub fn compare(before: &MemoryVolume, bytes: &[u8], lost: Lost) {
    let after = MemoryVolume::new();
    let (first, last) = (drive(before.clone()), drive(after.clone()));
    restore(&last, bytes);
    for path in PATHS {
        let key = path.replace('\\', "/");
        let (was, is) = (before.get(&key).unwrap(), after.get(&key).expect(path));
        let (mut was, mut is) = (was.read().clone(), is.read().clone());
        if lost != Lost::Nothing && was.security.is_none() {
            // Every file of NTFS has one.
            is.security = None;
        }
        assert_eq!(is.info.attributes, was.info.attributes, "{path}");
        let is_file = !was.info.attributes.is_directory();
        if lost == Lost::ContentOfReparsePoints && was.reparse.is_some() && is_file {
            was.streams = MemoryFile::file().with_stream(None, b"").streams;
        }
        // What encryption keeps of a file comes with its metadata.
        if *path == "secret" {
            let export =
                |file: MemoryFile| made::export(&MemorySource::new(ntbak::memory::SharedFile::new(file)));
            assert!(export(is) == export(was), "{path}");
        } else {
            let streams = |file: &MemoryFile| {
                file.streams.values().map(|stream| (stream.name.clone(), stream.size)).collect::<Vec<_>>()
            };
            assert_eq!(streams(&is), streams(&was), "{path}");
            let (mut is, mut was) = (carried(&is), carried(&was));
            if lost != Lost::Nothing {
                // A hole of NTFS has whole clusters.
                for stream in is.streams.iter_mut().chain(&mut was.streams) {
                    stream.3.clear();
                }
            }
            assert!(is == was, "{path}");
        }
        let (was, mut is) = (basic(&first, path), basic(&last, path));
        if lost != Lost::Nothing {
            is.changed = was.changed;
        }
        assert_eq!(is, was, "{path}");
    }
    assert_eq!(all_names(&last, r"C:\dir\plain"), all_names(&first, r"C:\dir\plain"));
}

fn all_names(system: &System, path: &str) -> Vec<String> {
    let (mut search, first) = find_first_file_name(system, path).unwrap();
    let mut names = vec![first.to_string()];
    names.extend(std::iter::from_fn(|| find_next_file_name(&mut search).ok()).map(|name| name.to_string()));
    names.sort();
    names
}

#[test]
fn what_is_restored_is_what_was_backed_up() {
    let (before, dir) = (everything(), tempfile::tempdir().unwrap());
    let one = backed_up(&drive(before.clone()));
    let middle = drive(DirectoryVolume::open(dir.path()).unwrap());
    restore(&middle, &one);
    compare(&before, &backed_up(&middle), Lost::Nothing);
    assert_eq!(all_names(&middle, r"C:\dir\again"), [r"\dir\again", r"\dir\plain", r"\dir\third"]);
    // A backup file that is cut is told.
    for len in [1, 3, 5, one.len() / 2, one.len() - 1] {
        let empty = drive(MemoryVolume::new());
        assert!(program::restore(&empty, r"C:\", &mut &one[..len]).is_err(), "{len}");
    }
}
