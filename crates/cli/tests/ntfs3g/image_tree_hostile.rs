//! Volumes that somebody has tampered with, as trees: nothing leaves the target, and what is out of reach is told.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::common::make;
use crate::common::mount::Volume;
use crate::common::need_volumes;
use crate::common::run::{args, ntbak};

/// Replaces each place of `from` in the image by `to`, of the same length; none of them lies over the end of a sector.
fn patch(image: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let bytes = fs::read(image).unwrap();
    let file = fs::File::options().write(true).open(image).unwrap();
    let mut found = 0;
    for (at, _) in bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from) {
        assert!(at % 512 + from.len() <= 510);
        file.write_all_at(to, at as u64).unwrap();
        found += 1;
    }
    assert!(found > 0);
}

fn rename(image: &Path, from: &str, to: &str) {
    patch(image, &make::utf16(from), &make::utf16(to));
}

/// 20: names that are no names lead nowhere, and what has them is there all the same.
#[test]
fn hostile_20_names_that_would_leave_the_target() {
    need_volumes!();
    let mut a = Volume::new(32);
    fs::create_dir(a.path("q1")).unwrap();
    fs::write(a.path("q1/inside"), "in the directory").unwrap();
    fs::write(a.path("up_up_evil"), "with slashes").unwrap();
    fs::write(a.path("up-up-evil"), "with a slash elsewhere").unwrap();
    fs::write(a.path("nul nul nul"), "with a NUL").unwrap();
    fs::write(a.path("zz"), "two dots").unwrap();
    a.unmount();
    let image = a.image();
    rename(&image, "q1", "..");
    rename(&image, "up_up_evil", "../../evil");
    rename(&image, "up-up-evil", "/up/up/evi");
    rename(&image, "nul nul nul", "nul\0nul nul");
    rename(&image, "zz", "..");
    let (outer, archive) = (a.beside("outer"), a.beside("a.tar"));
    let target = outer.join("middle/target");
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    ntbak(args!["copy", &image, &target]).expect(3).lost_only(&["name"]);
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != ".ntbak-side");
        names.sort();
        names
    };
    assert_eq!((names(&outer), names(&outer.join("middle"))), (vec!["middle".into()], vec!["target".into()]));
    let copied = names(&target);
    assert!(copied.len() == 5 && copied.iter().all(|name| name.contains("~ntbak-")), "{copied:?}");
    let dotted: Vec<_> = copied.iter().filter(|name| name.starts_with("..~")).collect();
    assert_eq!(names(&target.join(dotted[0])), ["inside"]);
    ntbak(args!["backup", &image, "-o", &archive]).expect(3).lost_only(&["name"]);
    ntbak(args!["verify", &archive]).expect(0);
    ntbak(args!["diff", &archive, &target]).expect(0);
    ntbak(args!["list", &image, "--allow-loss", "name"]).expect(0);
}

/// Two files of one name in one directory: both come, and the second one says what it is called.
#[test]
fn two_files_of_one_name() {
    need_volumes!();
    let mut a = Volume::new(32);
    for (name, content) in [("twin-1", "one"), ("twin-2", "two")] {
        fs::write(a.path(name), content).unwrap();
        fs::create_dir(a.path(format!("dir-{name}"))).unwrap();
        fs::write(a.path(format!("dir-{name}/file")), content).unwrap();
    }
    fs::hard_link(a.path("twin-2"), a.path("dir-twin-1/link")).unwrap();
    a.unmount();
    rename(&a.image(), "twin-2", "twin-1");
    let target = a.beside("target");
    ntbak(args!["copy", a.image(), &target]).expect(3).lost_only(&["name"]);
    let find = |prefix: &str| -> Vec<String> {
        let entries = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names
    };
    let (files, dirs) = (find("twin"), find("dir"));
    let read = |path: String| fs::read_to_string(target.join(path)).unwrap();
    assert_eq!(
        (files.len(), read(files[0].clone()), read(files[1].clone())),
        (2, "one".into(), "two".into())
    );
    assert_eq!(
        (read(format!("{}/file", dirs[0])), read(format!("{}/file", dirs[1]))),
        ("one".into(), "two".into())
    );
    assert_eq!(read("dir-twin-1/link".into()), "two");
}

/// A record that cannot be read, and a directory that is gone with its files: told, and the rest is read.
#[test]
fn what_is_damaged_is_a_loss_and_what_is_nowhere_is_noted() {
    need_volumes!();
    let mut a = Volume::new(32);
    for dir in ["one", "two"] {
        fs::create_dir(a.path(dir)).unwrap();
        fs::write(a.path(dir).join("file"), dir).unwrap();
    }
    fs::write(a.path("torn"), "torn").unwrap();
    a.unmount();
    let volume = ntbak::NtfsVolume::open(&a.image(), None, ntbak::VolumeOptions::default()).unwrap();
    let geometry = *volume.volume().geometry();
    let at = |name: &str| {
        let record = volume.find(name.as_bytes()).unwrap().file.reference().record();
        geometry.mft_lcn * u64::from(geometry.cluster_size) + record * u64::from(geometry.record_size)
    };
    let (two, torn) = (at("two"), at("torn"));
    drop(volume);
    let image = fs::File::options().read(true).write(true).open(a.image()).unwrap();
    image.write_all_at(b"BAAD", torn).unwrap();
    // Free, as if it had been deleted.
    image.write_all_at(&[2], two + 22).unwrap();
    let ran = ntbak(args!["list", a.image()]).expect(3);
    let listed = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(listed.contains("one/file") && !listed.contains("two") && !listed.contains("torn"), "{listed}");
    let said = |kind: &str, text: &str| {
        let lines = ran.report.iter().filter(|line| line["type"] == kind);
        lines.filter(|line| line.to_string().contains(text)).count()
    };
    assert_eq!(
        (said("loss", "cannot be read"), said("note", "1 files are in no directory")),
        (1, 1),
        "{:?}",
        ran.report
    );
    let archive = a.beside("a.tar");
    ntbak(args!["backup", a.image(), "-o", &archive]).expect(3).lost_only(&["content"]);
    ntbak(args!["verify", &archive]).expect(0);
}
