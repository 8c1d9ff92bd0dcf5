//! Every kind of file of a real NTFS volume through an archive into another volume, judged by its image.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::judge;
use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;
use crate::common::run::{args, ntbak};
use crate::common::zoo;

/// What an archive has to bring to another volume.
const MEMBERS: [&str; 12] =
    ["dir", "streams", "sd", "ea", "eainfo", "reparse", "objid", "attr", "times", "dos", "links", "vdl"];

fn there_and_back(through_archive: bool) {
    let (mut a, mut b) = (Volume::new(256), Volume::new(256));
    fs::create_dir(a.path("zoo")).unwrap();
    let items = zoo::fill(&a.path("zoo"));
    fs::write(a.path("zoo/linked"), "two names").unwrap();
    fs::hard_link(a.path("zoo/linked"), a.path("zoo/directory/other name")).unwrap();
    let before = judge::dump_of(&mut a, WINDOWS);
    let mut excused: BTreeSet<&str> = items.iter().flat_map(|item| item.lost).copied().collect();
    excused.insert("content");
    if through_archive {
        let archive = a.beside("zoo.tar.zst");
        let backed_up = ntbak(args!["backup", &a.path("zoo"), "-o", &archive]).expect(3);
        let lost = backed_up.lost();
        assert!(
            lost.iter().all(|kind| excused.contains(&**kind) || kind == "short-name"),
            "{}",
            backed_up.stderr
        );
        ntbak(args!["verify", &archive]).expect(0);
        let restored = ntbak(args!["restore", &archive, b.path("zoo"), "--allow-loss", "change-time"]);
        restored.expect(0).lost_only(&["change-time"]);
    } else {
        let copied = ntbak(args!["copy", &a.path("zoo"), &b.path("zoo"), "--allow-loss", "change-time"]);
        assert_eq!(copied.code, 3, "{}", copied.stderr);
    }
    a.unmount();
    b.unmount();
    let after = judge::dump(&b);
    judge::no_leftovers(&after);
    let mut faults = Vec::new();
    for item in &items {
        let path = format!("/zoo/{}", item.shown());
        let Some(target) = after.get(&path) else {
            faults.push(format!("{path} is not there"));
            continue;
        };
        let members: Vec<_> = MEMBERS.into_iter().filter(|member| !item.excused.contains(member)).collect();
        let found = judge::differences(&before[&path], target, &members);
        faults.extend(found.into_iter().map(|what| format!("{path}: {what}")));
    }
    let linked = &after["/zoo/linked"]["paths"];
    assert_eq!(linked.as_array().map(Vec::len), Some(2), "{linked}");
    let root = judge::differences(&before["/zoo"], &after["/zoo"], &["sd", "attr", "times"]);
    faults.extend(root.into_iter().map(|what| format!("/zoo: {what}")));
    assert_eq!(after.len(), before.len(), "{:?}", after.keys());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_kind_of_file_goes_through_an_archive_to_another_volume() {
    need_volumes!();
    there_and_back(true);
}

#[test]
fn every_kind_of_file_is_copied_to_another_volume_in_one_step() {
    need_volumes!();
    there_and_back(false);
}

/// `ntbak diff` finds nothing; the lines about what it could not compare.
fn same_but_for_losses(one: &Path, other: &Path) -> Vec<String> {
    let same = ntbak(args!["diff", one, other]);
    let told = String::from_utf8_lossy(&same.stdout);
    assert!(told.is_empty() && [0, 3].contains(&same.code), "{}: {told}{}", other.display(), same.stderr);
    same.stderr.lines().filter(|line| line.contains("ntbak: lost")).map(str::to_owned).collect()
}

/// Directories full of every kind of file: from one volume to another, and through a directory of Linux to a third.
///
/// A few directories; a dozen where everything is required to run. 300 of them, more than 10,000 files, are
/// `NTBAK_DIRECTORIES=300 cargo test --release --package ntbak-cli --test trees many_of_every_kind -- --nocapture`.
#[test]
fn many_of_every_kind_go_through_archives_and_a_directory() {
    need_volumes!();
    let asked = std::env::var("NTBAK_DIRECTORIES").ok().and_then(|number| number.parse().ok());
    let directories: u64 =
        asked.unwrap_or(if std::env::var_os("NTBAK_REQUIRE_ALL").is_some() { 12 } else { 3 });
    let size = 256 + 2 * directories;
    let (mut a, mut b, mut c) = (Volume::new(size), Volume::new(size), Volume::new(size));
    let mut items = Vec::new();
    for number in 0..directories {
        let directory = a.path(format!("zoo/level {}/directory {number}", number % 7));
        fs::create_dir_all(&directory).unwrap();
        items = zoo::fill(&directory);
        fs::hard_link(directory.join("small.txt"), a.path(format!("zoo/small {number}"))).unwrap();
    }
    let before = judge::dump_of(&mut a, WINDOWS);
    let (first, second) = (a.beside("first.tar.zst"), a.beside("second.tar"));
    let plain = a.beside("plain");
    // What ntfs-3g does not show is told once, and what it cannot set each time.
    ntbak(args!["backup", &a.path("zoo"), "-o", &first]).expect(3);
    let restored = ntbak(args!["restore", &first, &b.path("zoo")]).expect(3);
    restored.lost_only(&["change-time"]);
    ntbak(args!["restore", &first, &plain]).expect(0);
    ntbak(args!["backup", &plain, "-o", &second]).expect(0);
    let restored = ntbak(args!["restore", &second, &c.path("zoo")]).expect(3);
    restored.lost_only(&["change-time"]);
    let mut faults = Vec::new();
    for volume in [&mut b, &mut c] {
        // Comparing will read them, which changes their access times.
        let after = judge::dump_of(volume, WINDOWS);
        judge::no_leftovers(&after);
        assert_eq!(after.len(), before.len());
        for number in 0..directories {
            for item in &items {
                let path = format!("/zoo/level {}/directory {number}/{}", number % 7, item.shown());
                let members: Vec<_> =
                    MEMBERS.into_iter().filter(|member| !item.excused.contains(member)).collect();
                match after.get(&path) {
                    Some(found) => {
                        let found = judge::differences(&before[&path], found, &members);
                        faults.extend(found.into_iter().map(|what| format!("{path}: {what}")));
                    }
                    None => faults.push(format!("{path} is not there")),
                }
            }
        }
    }
    let shown: Vec<_> = faults.iter().take(20).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), shown.join("\n"));
    for other in [&first, &second, &plain, &b.path("zoo"), &c.path("zoo")] {
        // A mount may hide what is in a directory of the cloud, and so it is told.
        let hidden = same_but_for_losses(&first, other);
        assert!(hidden.iter().all(|path| path.contains("cloud-directory")), "{hidden:?}");
    }
    println!("{} names in {directories} directories, three volumes", before.len());
}

#[test]
fn names_that_the_mount_cannot_have_get_others_and_nothing_becomes_a_stream() {
    need_volumes!();
    let volume = Volume::new(64);
    let from = volume.beside("from");
    fs::create_dir_all(from.join("dir:x")).unwrap();
    fs::write(from.join("a"), "the file").unwrap();
    fs::write(from.join("a:b"), "no stream").unwrap();
    fs::write(from.join("dir:x/inside"), "below").unwrap();
    fs::write(from.join("Case"), "1").unwrap();
    fs::write(from.join("case"), "2").unwrap();
    let archive = volume.beside("a.tar");
    ntbak(args!["backup", &from, "-o", &archive]).expect(0);
    let restored = ntbak(args!["restore", &archive, volume.path("to")]).expect(3);
    assert!(restored.lost().contains("name"), "{}", restored.stderr);
    assert_eq!(fs::read(volume.path("to/a")).unwrap(), b"the file");
    assert!(fs::read(volume.path("to/a:b")).is_err(), "a stream was made");
    assert_eq!(fs::read(volume.path("to/Case")).unwrap(), b"1");
    assert_eq!(fs::read(volume.path("to/case")).unwrap(), b"2");
    let names: Vec<_> =
        fs::read_dir(volume.path("to")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}
