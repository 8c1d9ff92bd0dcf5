//! Nothing leads out of a drive that ntfs-3g has mounted, or out of an image.

#[path = "../../../ntbak/tests/win32/contained.rs"]
#[allow(unreachable_pub, dead_code)]
mod contained;

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use contained::Fortress;
use ntbak::VolumeOptions;
use ntbak::win32::{Drives, System};
use ntbak_wire::{Name, reparse};

use crate::common::make;
use crate::common::mount::Volume;
use crate::common::need_volumes;

/// Fortresses on a mounted volume, each in a directory of its own.
fn on(volume: &Volume) -> impl Fn() -> Fortress + '_ {
    let count = Cell::new(0);
    move || {
        count.set(count.get() + 1);
        let root = volume.path(count.get().to_string());
        fs::create_dir(&root).unwrap();
        Fortress::at(root)
    }
}

#[test]
fn nothing_leads_out_of_a_directory_on_ntfs_3g() {
    need_volumes!();
    let volume = Volume::new(64);
    contained::paths_that_climb(&on(&volume));
}

#[test]
fn no_link_leads_out_of_a_directory_on_ntfs_3g() {
    need_volumes!();
    let volume = Volume::new(64);
    contained::links_that_lead_out(&on(&volume));
}

#[test]
fn no_reparse_point_and_no_race_leads_out_of_a_directory_on_ntfs_3g() {
    need_volumes!();
    let volume = Volume::new(64);
    let build = on(&volume);
    contained::reparse_points_that_lead_out(&build);
    contained::a_race_leads_nowhere(&build, Duration::from_secs(1));
}

#[test]
fn nothing_leads_out_of_an_image() {
    need_volumes!();
    let mut volume = Volume::new(16);
    let around = volume.beside("around");
    let outside = around.join("outside").to_str().unwrap().to_owned();
    let drive = volume.root();
    contained::fill(&drive);
    let mut paths = contained::climbing(&outside);
    let linux = ["/etc/passwd", "../outside/secret", "..", "/", "../../../../etc/passwd", "d/../../secret"];
    for (at, target) in linux.into_iter().chain([outside.as_str()]).enumerate() {
        symlink(target, drive.join(format!("x{at}"))).unwrap();
        paths.extend([format!(r"C:\x{at}"), format!(r"C:\x{at}\secret")]);
    }
    for (at, target) in contained::targets(&outside).iter().enumerate() {
        let name = Name::from(target.as_str());
        let (link, directory, junction) =
            (drive.join(format!("l{at}")), drive.join(format!("m{at}")), drive.join(format!("j{at}")));
        fs::write(&link, "").unwrap();
        fs::create_dir(&directory).unwrap();
        fs::create_dir(&junction).unwrap();
        let symlink = reparse::symlink_from_print_name(&name).unwrap();
        make::set(&link, make::REPARSE, &symlink);
        make::set(&directory, make::REPARSE, &symlink);
        make::set(&junction, make::REPARSE, &reparse::mount_point_from_print_name(&name).unwrap());
        for first in ["l", "m", "j"] {
            paths.extend([format!(r"C:\{first}{at}"), format!(r"C:\{first}{at}\secret")]);
        }
    }
    volume.unmount();
    let drives = Drives::new();
    drives.map_location('C', volume.image(), VolumeOptions::default()).unwrap();
    let before = fs::read(volume.image()).unwrap();
    let fortress = Fortress::around(around, System::new(drives));
    for path in paths {
        fortress.attack(&path);
    }
    assert!(fs::read(volume.image()).unwrap() == before, "the image has changed");
}
