//! From one volume to another: every kind of file, read and written as a backup stream, and copied.

use std::fs;

use crate::common::judge::{self, Dump};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;
use crate::common::run::{args, ntbak, ntbak_from};
use crate::common::zoo::{self, Item};

/// What a backup stream carries.
const IN_STREAM: [&str; 7] = ["dir", "streams", "sd", "ea", "eainfo", "reparse", "objid"];
/// What a copy has to bring besides.
pub(crate) const IN_COPY: [&str; 13] = [
    "dir", "streams", "sd", "ea", "eainfo", "reparse", "objid", "attr", "times", "dos", "ns", "links", "vdl",
];

/// Two volumes with the directory `zoo`, that of the first one full, and what is in the first one's image.
pub(crate) fn volumes() -> (Volume, Volume, Vec<Item>, Dump) {
    let (mut a, b) = (Volume::new(256), Volume::new(256));
    for volume in [&a, &b] {
        fs::create_dir(volume.path("zoo")).unwrap();
    }
    let items = zoo::fill(&a.path("zoo"));
    let before = judge::dump_of(&mut a, WINDOWS);
    assert_eq!(before.keys().filter(|path| path.starts_with("/zoo/")).count(), items.len());
    (a, b, items, before)
}

/// Compares the images of both volumes; `faults` from before are added.
pub(crate) fn compare(
    (mut a, mut b): (Volume, Volume),
    items: &[Item],
    before: &Dump,
    members: &[&str],
    mut faults: Vec<String>,
) {
    a.unmount();
    b.unmount();
    let (untouched, after) = (judge::dump(&a), judge::dump(&b));
    judge::no_leftovers(&untouched);
    judge::no_leftovers(&after);
    for item in items {
        let path = format!("/zoo/{}", item.shown());
        let mut fault = |what: &str| faults.push(format!("{path}: {what}"));
        let source = &before[&path];
        // Reading changes nothing but the access time.
        let (mut now, mut then) = (untouched[&path].clone(), source.clone());
        for file in [&mut now, &mut then] {
            file["times"].as_object_mut().unwrap().remove("a");
        }
        if now != then {
            fault(&format!("the source was changed: {then} became {now}"));
        }
        let Some(target) = after.get(&path) else {
            fault("is not there");
            continue;
        };
        let members: Vec<_> =
            members.iter().copied().filter(|member| !item.excused.contains(member)).collect();
        for difference in judge::differences(source, target, &members) {
            fault(&difference);
        }
        if item.is_ascii() && item.excused.is_empty() && members.contains(&"attr") {
            let (one, other) = (judge::ntfsinfo(&a, &path), judge::ntfsinfo(&b, &path));
            if one != other {
                fault(&format!("ntfsinfo: {one:#?} became {other:#?}"));
            }
        }
    }
    assert_eq!(after.len(), before.len(), "{:?}", after.keys());
    for (path, stream) in
        [("/zoo/streams.bin", ""), ("/zoo/streams.bin", "large"), ("/zoo/everything", "two")]
    {
        if judge::ntfscat(&a, path, stream) != judge::ntfscat(&b, path, stream) {
            faults.push(format!("{path}:{stream}: ntfscat gives something else"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_kind_of_file_goes_through_a_backup_stream() {
    need_volumes!();
    let (a, mut b, items, before) = volumes();
    let backup = a.beside("backup");
    let mut faults = Vec::new();
    for item in &items {
        let (from, to) = (item.at(&a.path("zoo")), item.at(&b.path("zoo")));
        let mut fault = |what: String| faults.push(format!("{}: {what}", from.display()));
        let read = ntbak(args!["stream", "read", &from, "-o", &backup]);
        let lost: Vec<_> = read.lost().into_iter().collect();
        if read.code != if item.lost.is_empty() { 0 } else { 3 } || lost != item.lost {
            fault(format!("reading: {} {lost:?} {}", read.code, read.stderr));
        }
        let written = if item.directory {
            ntbak_from(&backup, args!["stream", "write", "--directory", &to])
        } else {
            ntbak_from(&backup, args!["stream", "write", &to])
        };
        if written.code != 0 || !written.report.is_empty() {
            fault(format!("writing: {} {}", written.code, written.stderr));
        }
    }
    // Once as the kernel has it by now, once as it is on disk.
    for _ in 0..2 {
        for item in &items {
            let (from, to) = (item.at(&a.path("zoo")), item.at(&b.path("zoo")));
            let differences = judge::payload_differences(&from, &to);
            faults.extend(differences.into_iter().map(|what| format!("{}: {what}", to.display())));
            let is_file = fs::symlink_metadata(&from).is_ok_and(|metadata| metadata.is_file());
            if is_file && !judge::cmp(&from, &to) {
                faults.push(format!("{}: cmp finds a difference", to.display()));
            }
        }
        b.remount(WINDOWS);
    }
    compare((a, b), &items, &before, &IN_STREAM, faults);
}

#[test]
fn a_copy_brings_everything_but_the_change_time() {
    need_volumes!();
    let (a, mut b, items, before) = volumes();
    let mut faults = Vec::new();
    for item in &items {
        let (from, to) = (item.at(&a.path("zoo")), item.at(&b.path("zoo")));
        let copied = ntbak(args!["copy", &from, &to, "--allow-loss", "change-time"]);
        let mut lost: Vec<_> = item.lost.to_vec();
        lost.push("change-time");
        lost.sort_unstable();
        let said: Vec<_> = copied.lost().into_iter().collect();
        if copied.code != if item.lost.is_empty() { 0 } else { 3 } || said != lost {
            faults.push(format!("{}: {} {said:?} {}", to.display(), copied.code, copied.stderr));
        }
        for line in &copied.report {
            let about = line["path_raw"].is_string() || line["path"] == from.to_str().unwrap_or_default();
            let told = match line["type"].as_str() {
                Some("loss") => line["why"].is_string() && line["kind"].is_string(),
                Some("note") => line["what"].is_string(),
                _ => false,
            };
            if !about || !told {
                faults.push(format!("{}: report line {line}", to.display()));
            }
        }
        // Right behind the copy, the kernel must not answer EIO for the new name.
        if let Err(error) = fs::symlink_metadata(&to) {
            faults.push(format!("{}: the first look: {error}", to.display()));
        }
    }
    for _ in 0..2 {
        for item in items.iter().filter(|item| item.excused.is_empty()) {
            let (from, to) = (item.at(&a.path("zoo")), item.at(&b.path("zoo")));
            let (one, other) = (judge::stat(&from), judge::stat(&to));
            if one != other {
                faults.push(format!("{}: stat: {one} became {other}", to.display()));
            }
            let differences = judge::payload_differences(&from, &to);
            faults.extend(differences.into_iter().map(|what| format!("{}: {what}", to.display())));
        }
        b.remount(WINDOWS);
    }
    compare((a, b), &items, &before, &IN_COPY, faults);
}
