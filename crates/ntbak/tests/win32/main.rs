//! Windows' functions over drives, in memory, in directories and in an image; those on ntfs-3g are among the tests of the
//! command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[allow(unreachable_pub)]
mod contained;
#[path = "tables/mod.rs"]
#[allow(unreachable_pub)]
mod tables;

#[path = "../efs/made.rs"]
#[allow(dead_code, clippy::expect_used)]
mod made;

mod faults;
mod image;
mod stress;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use ntbak::win32::{Context, DirectoryVolume, Drives, MemoryVolume, System, backup_read};
use ntbak::{Collected, LossKind};
use tables::{Kind, short};

#[test]
fn tables_in_memory() {
    tables::run(Kind::Memory, || {
        Drives::new().with('C', MemoryVolume::new()).unwrap().with('E', MemoryVolume::new()).unwrap()
    });
}

#[test]
fn tables_in_a_directory() {
    let mut kept = Vec::new();
    tables::run(Kind::Directory, || {
        let mut drive = || {
            let directory = tempfile::tempdir().unwrap();
            let volume = DirectoryVolume::open(directory.path()).unwrap();
            kept.push(directory);
            volume
        };
        Drives::new().with('C', drive()).unwrap().with('E', drive()).unwrap()
    });
}

/// Paths of Linux: each file has one spelling, and it keeps it.
#[test]
fn names_of_linux_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let system = System::new(Drives::new().with_posix());
    for name in ["a:b", "dot.", "space ", "A", "a"] {
        let path = directory.path().join(name);
        std::fs::write(&path, name).unwrap();
        system.move_file_ex(path.to_str().unwrap(), path.to_str().unwrap(), Default::default()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), name);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 5);
    // On a drive they are shown as Windows can write them, and so they can be written.
    let system =
        System::new(Drives::new().with('C', DirectoryVolume::open(directory.path()).unwrap()).unwrap());
    for name in ["a\u{F03A}b", "dot.", "space "] {
        let path = format!(r"\\?\C:\{name}");
        system.move_file_ex(&path, &path, Default::default()).unwrap();
    }
    for name in ["a:b", "dot.", "space "] {
        assert_eq!(std::fs::read_to_string(directory.path().join(name)).unwrap(), name);
    }
}

#[test]
fn what_backup_read_cannot_give_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = OsStr::from_bytes(b"\xff");
    std::os::unix::fs::symlink(nowhere, directory.path().join("link")).unwrap();
    let report = Arc::new(Collected::new());
    let drives = Drives::new().with('C', DirectoryVolume::open(directory.path()).unwrap()).unwrap();
    let system = System::new(drives).with_report(report.clone());
    let link = tables::with(&system, r"C:\link", tables::READ, tables::ITSELF).unwrap();
    let (mut context, mut read) = (Context::default(), 0);
    for _ in 0..3 {
        backup_read(Some(&link), &mut [0; 4], &mut read, false, true, &mut context).unwrap();
    }
    let losses: Vec<_> = report.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!(losses, [LossKind::Reparse], "once, with the first call");
}

#[test]
fn short_names_in_memory_and_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let drives = |kind| {
        let drives = Drives::new().with('E', short::source()).unwrap();
        match kind {
            Kind::Memory => drives.with('C', MemoryVolume::new()).unwrap(),
            _ => drives.with('C', DirectoryVolume::open(directory.path()).unwrap()).unwrap(),
        }
    };
    for kind in [Kind::Memory, Kind::Directory] {
        let system = System::new(drives(kind));
        short::make(&system);
        short::look(&system, kind);
        short::change(&system, kind);
    }
}

mod containment {
    use std::time::Duration;

    use super::contained::{self, Fortress};

    #[test]
    fn paths_that_climb() {
        contained::paths_that_climb(&Fortress::new);
    }

    #[test]
    fn links_that_lead_out() {
        contained::links_that_lead_out(&Fortress::new);
    }

    #[test]
    fn reparse_points_that_lead_out() {
        contained::reparse_points_that_lead_out(&Fortress::new);
    }

    #[test]
    fn a_race_leads_nowhere() {
        contained::a_race_leads_nowhere(&Fortress::new, Duration::from_secs(3));
    }
}
