//! Volumes that somebody has tampered with, as trees: nothing leaves the target, and what is out of reach is told.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ntbak::location::{self, Location};
use ntbak::tree::{Select, transfer};
use ntbak::tree_sink::ArchiveSink;
use ntbak_archive::ArchiveWriter;

use crate::common::make;
use crate::common::mount::Volume;
use crate::common::run::{args, ntbak};
use crate::common::{Chance, need_volumes};

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

/// Takes an archive, and is full at some time.
struct Limited(u64);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One bit of one record must not make an empty archive that is called whole.
#[test]
fn a_root_that_is_no_directory_is_an_error() {
    need_volumes!();
    let mut a = Volume::new(32);
    fs::write(a.path("file"), "there").unwrap();
    a.unmount();
    let (image, archive) = (a.image(), a.beside("a.tar"));
    ntbak(args!["backup", &image, "-o", &archive]).expect(0);
    let bytes = fs::read(&image).unwrap();
    let cluster = u64::from(u16::from_le_bytes([bytes[11], bytes[12]])) * u64::from(bytes[13]);
    let at = u64::from_le_bytes(bytes[48..56].try_into().unwrap()) * cluster + 5 * 1024 + 22;
    assert_eq!(bytes[at as usize], 3);
    fs::File::options().write(true).open(&image).unwrap().write_all_at(&[1], at).unwrap();
    fs::remove_file(&archive).unwrap();
    let failed = ntbak(args!["backup", &image, "-o", &archive]).expect(1);
    assert!(failed.stderr.contains("root of the volume") && !archive.exists(), "{}", failed.stderr);
}

/// Hundreds of changed volumes, the same ones in every run, each into an archive: it ends, in an error or with what there
/// is. `NTBAK_MUTATIONS` and `NTBAK_SEED` give others.
#[test]
fn mutated_volumes_end_in_an_error_or_a_part() {
    need_volumes!();
    let mut a = Volume::new(4);
    fs::create_dir_all(a.path("zoo/deep/er")).unwrap();
    for number in 0..20 {
        fs::write(a.path(format!("zoo/deep/file {number}")), vec![7; number * 400]).unwrap();
        fs::write(make::stream(&a.path(format!("zoo/deep/file {number}")), "stream"), "x").unwrap();
    }
    for number in 0..30 {
        fs::hard_link(a.path("zoo/deep/file 3"), a.path(format!("zoo/deep/er/name {number}"))).unwrap();
    }
    make::sparse(&a.path("zoo/sparse"), 1 << 30, &[(1 << 20, vec![1; 65_536])]);
    make::set(&a.path("zoo/deep"), make::REPARSE, &make::third_party(&[9; 100]));
    a.unmount();
    let image = a.image();
    let volume = ntbak::NtfsVolume::open(&image, None, ntbak::VolumeOptions::default()).unwrap();
    let (geometry, records) = (*volume.volume().geometry(), volume.volume().records());
    drop(volume);
    let start = geometry.mft_lcn * u64::from(geometry.cluster_size);
    let len = usize::try_from(records * u64::from(geometry.record_size)).unwrap();
    let original = fs::read(&image).unwrap();
    let file = fs::File::options().write(true).open(&image).unwrap();
    let number = |name: &str, default: u64| -> u64 {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let mut chance = Chance::new(number("NTBAK_SEED", 20));
    let (rounds, mut whole) = (number("NTBAK_MUTATIONS", 300), 0);
    let mut hurt = 0;
    for round in 0..rounds {
        let mut places = Vec::new();
        for _ in 0..=chance.below(6) {
            let at = start + chance.below(len) as u64;
            let bytes = match chance.below(3) {
                0 => vec![chance.below(256) as u8],
                1 => [0_u64, 1, 0xFFFF_FFFF, 1 << 40, u64::MAX][chance.below(5)].to_le_bytes()
                    [..1 << chance.below(4)]
                    .to_vec(),
                _ => {
                    let from = usize::try_from(start).unwrap() + chance.below(len - 64);
                    original[from..from + (8 << chance.below(3))].to_vec()
                }
            };
            file.write_all_at(&bytes, at).unwrap();
            places.push((at, bytes.len()));
        }
        let begun = Instant::now();
        let location = Location::Image { path: image.clone(), partition: None, inside: Vec::new() };
        if let Ok(opened) = location::open(&location, &image, ntbak::VolumeOptions::default()) {
            let writer = ArchiveWriter::new(
                Limited(64 << 20),
                Box::new(io::Cursor::new(Vec::new())),
                &Default::default(),
            );
            let mut sink = ArchiveSink::new(writer.unwrap());
            let report = ntbak::Collected::new();
            let done = transfer(&mut opened.into_tree().unwrap(), &mut sink, &Select::all(), &report);
            whole += u32::from(done.is_ok());
            hurt += u32::from(!report.losses().is_empty());
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "round {round}: {:?}", begun.elapsed());
        for (at, len) in places {
            let from = usize::try_from(at).unwrap();
            file.write_all_at(&original[from..from + len], at).unwrap();
        }
    }
    println!("{whole} of {rounds} volumes came through, {hurt} with losses");
    assert!(u64::from(whole) > rounds / 2 && hurt > 0);
}
