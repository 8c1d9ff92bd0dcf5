//! The tables of Windows' functions on a drive that ntfs-3g has mounted.

#[path = "../../../ntbak/tests/win32/tables/mod.rs"]
#[allow(unreachable_pub)]
mod tables;

use std::fs;

use ntbak::win32::{DirectoryVolume, Drives, System};
use tables::{Kind, TABLES};

use crate::common::mount::Volume;
use crate::common::need_volumes;

#[test]
fn tables_on_ntfs_3g() {
    need_volumes!();
    let (c, e) = (Volume::new(64), Volume::new(64));
    for (at, (name, table)) in TABLES.iter().enumerate() {
        eprintln!("{name}");
        // A directory for each, since a mount takes its time.
        let drive = |volume: &Volume| {
            let root = volume.path(at.to_string());
            fs::create_dir(&root).unwrap();
            DirectoryVolume::open(root).unwrap()
        };
        let drives = Drives::new().with('C', drive(&c)).unwrap().with('E', drive(&e)).unwrap();
        table(&System::new(drives), Kind::Ntfs3g);
    }
}
