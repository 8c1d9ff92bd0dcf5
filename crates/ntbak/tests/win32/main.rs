//! Windows' functions over drives, in memory and in directories; those on ntfs-3g are among the tests of the command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "tables/mod.rs"]
#[allow(unreachable_pub)]
mod tables;

mod contained;
mod stress;

use ntbak::win32::{DirectoryVolume, Drives, MemoryVolume, System};
use tables::{Kind, TABLES};

#[test]
fn tables_in_memory() {
    for (name, table) in TABLES {
        eprintln!("{name}");
        let drives =
            Drives::new().with('C', MemoryVolume::new()).unwrap().with('E', MemoryVolume::new()).unwrap();
        table(&System::new(drives), Kind::Memory);
    }
}

#[test]
fn tables_in_a_directory() {
    for (name, table) in TABLES {
        eprintln!("{name}");
        let (c, e) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let drives = Drives::new().with('C', DirectoryVolume::open(c.path()).unwrap()).unwrap();
        let drives = drives.with('E', DirectoryVolume::open(e.path()).unwrap()).unwrap();
        table(&System::new(drives), Kind::Directory);
    }
}
