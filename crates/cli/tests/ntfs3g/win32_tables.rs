//! The tables of Windows' functions on a drive that ntfs-3g has mounted, and on the image of one.

#[path = "../../../ntbak/tests/win32/tables/mod.rs"]
#[allow(unreachable_pub)]
mod tables;

use std::fs;

use ntbak::VolumeOptions;
use ntbak::win32::{DirectoryVolume, Drives, MemoryVolume, System};
use tables::protected::Protected;
use tables::{Kind, READABLE, short};

use crate::common::mount::Volume;
use crate::common::need_volumes;
use crate::win32_backup::tree::made;

#[test]
fn tables_on_ntfs_3g() {
    need_volumes!();
    let (c, e) = (Volume::new(64), Volume::new(64));
    let mut at = 0;
    tables::run(Kind::Ntfs3g, || {
        at += 1;
        // A directory for each, since a mount takes its time.
        let drive = |volume: &Volume| {
            let root = volume.path(at.to_string());
            fs::create_dir(&root).unwrap();
            DirectoryVolume::open(root).unwrap()
        };
        Drives::new().with('C', drive(&c)).unwrap().with('E', drive(&e)).unwrap()
    });
}

/// The files are made on the mount, and looked at in its image.
#[test]
fn tables_in_an_image() {
    need_volumes!();
    for (name, make, look) in READABLE {
        eprintln!("{name}");
        let other = MemoryVolume::new();
        on_image(&other, make, |system| look(system, Kind::Image));
    }
}

#[test]
fn an_image_of_ntfs_3g_is_only_read() {
    need_volumes!();
    on_image(
        &MemoryVolume::new(),
        |system| {
            tables::put(system, r"C:\file", b"file");
            tables::put(system, r"C:\file:stream", b"stream");
            system.create_directory(r"C:\dir").unwrap();
            tables::put(system, r"C:\dir\inside", b"inside");
        },
        |system| Protected { system, file: r"C:\file", stream: "stream", directory: r"C:\dir" }.all(),
    );
}

#[test]
fn short_names_on_ntfs_3g_and_in_its_image() {
    need_volumes!();
    let make = |system: &System| {
        short::make(system);
        short::look(system, Kind::Ntfs3g);
    };
    on_image(&short::source(), make, |system| short::look(system, Kind::Image));
    on_image(
        &short::source(),
        |system| {
            short::make(system);
            short::change(system, Kind::Ntfs3g);
        },
        |system| {
            assert_eq!(tables::names(system, r"C:\dir"), ["moved", "plain.txt"]);
        },
    );
}

/// Lets `make` fill a volume that is mounted as `C:`, and `look` look at its image.
fn on_image(other: &MemoryVolume, make: impl FnOnce(&System), look: impl FnOnce(&System)) {
    let mut volume = Volume::new(16);
    let drives = || Drives::new().with('E', other.clone()).unwrap();
    make(&System::new(drives().with('C', DirectoryVolume::open(volume.root()).unwrap()).unwrap()));
    volume.unmount();
    let drives = drives();
    drives.map_location('C', volume.image(), VolumeOptions::default()).unwrap();
    look(&System::new(drives));
}
