//! Every kind of file of a real NTFS volume through an archive into another volume, judged by its image.

use std::collections::BTreeSet;
use std::fs;

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
