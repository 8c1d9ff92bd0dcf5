//! The backup program of the examples: onto a drive that ntfs-3g has mounted, from there, and from its image.

#[path = "../../../ntbak/tests/backup_program.rs"]
#[allow(unreachable_pub, dead_code)]
pub(crate) mod tree;

use ntbak::VolumeOptions;
use ntbak::win32::{DirectoryVolume, ImageVolume};

use tree::Lost;

use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;

#[test]
fn the_backup_program_on_ntfs_3g_and_from_an_image() {
    need_volumes!();
    let before = tree::everything();
    let (mut volume, mut second) = (Volume::new(64), Volume::new(64));
    let mounted = |volume: &Volume| tree::drive(DirectoryVolume::open(volume.root()).unwrap());
    tree::restore(&mounted(&volume), &tree::backed_up(&tree::drive(before.clone())));
    // Else reading changes the access times there.
    volume.remount(&format!("{WINDOWS},noatime"));
    second.remount(&format!("{WINDOWS},noatime"));
    tree::compare(&before, &tree::backed_up(&mounted(&volume)), Lost::ContentOfReparsePoints);
    volume.unmount();
    let image = ImageVolume::open(volume.image(), VolumeOptions::default()).unwrap();
    let from_image = tree::backed_up(&tree::drive(image));
    tree::compare(&before, &from_image, Lost::ChangeTime);
    // From an image to a mount.
    tree::restore(&mounted(&second), &from_image);
    tree::compare(&before, &tree::backed_up(&mounted(&second)), Lost::ContentOfReparsePoints);
}
