//! The backup program of the examples: onto a drive that ntfs-3g has mounted, from there, and from its image.

#[path = "../../../ntbak/tests/backup_program.rs"]
#[allow(unreachable_pub, dead_code)]
mod program;

use ntbak::VolumeOptions;
use ntbak::win32::{DirectoryVolume, ImageVolume};

use program::Lost;

use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;

#[test]
fn the_backup_program_on_ntfs_3g_and_from_an_image() {
    need_volumes!();
    let before = program::everything();
    let (mut volume, mut second) = (Volume::new(64), Volume::new(64));
    let mounted = |volume: &Volume| program::drive(DirectoryVolume::open(volume.root()).unwrap());
    program::restore(&mounted(&volume), &program::backed_up(&program::drive(before.clone())));
    // Else reading changes the access times there.
    volume.remount(&format!("{WINDOWS},noatime"));
    second.remount(&format!("{WINDOWS},noatime"));
    program::compare(&before, &program::backed_up(&mounted(&volume)), Lost::ContentOfReparsePoints);
    volume.unmount();
    let image = ImageVolume::open(volume.image(), VolumeOptions::default()).unwrap();
    let from_image = program::backed_up(&program::drive(image));
    program::compare(&before, &from_image, Lost::ChangeTime);
    // From an image to a mount.
    program::restore(&mounted(&second), &from_image);
    program::compare(&before, &program::backed_up(&mounted(&second)), Lost::ContentOfReparsePoints);
}
