//! Windows' functions over drives, in memory, in directories and in an image; those on ntfs-3g are among the tests of the
//! command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "tables/mod.rs"]
#[allow(unreachable_pub)]
mod tables;

mod contained;
mod image;
mod stress;

use ntbak::win32::{DirectoryVolume, Drives, MemoryVolume};
use tables::Kind;

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
