//! `ntbak copy` where something is in the way, or cannot be kept: never silence, never a file less than needed.

use std::fs;

use crate::common::judge;
use crate::common::make::{self, ACL, DOS_NAME, EA, OBJECT_ID, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak, ntbak_with};
use crate::common::{Chance, need_volumes};

#[test]
fn the_change_time_is_reported_and_can_be_allowed() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    fs::write(a.path("f"), "content").unwrap();
    let ran = ntbak(args!["copy", &a.path("f"), &b.path("f")]).expect(3).lost_only(&["change-time"]);
    assert!(ran.stderr.contains("change-time"), "{}", ran.stderr);
    assert_eq!(ran.report.len(), 1);
    assert_eq!(ran.report[0]["path"], a.path("f").to_str().unwrap());
    let ran = ntbak(args!["copy", "--allow-loss", "change-time", &a.path("f"), &b.path("f")]).expect(0);
    ran.lost_only(&["change-time"]);
    ntbak(args!["copy", "--allow-loss", "time,sacl", &a.path("f"), &b.path("f")]).expect(3);
    ntbak(args!["copy", "--allow-loss", "no-such-kind", &a.path("f"), &b.path("f")]).expect(2);
}

#[test]
fn a_copy_takes_the_place_of_the_file_that_was_there() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    let (from, to) = (a.path("f"), b.path("f"));
    fs::write(&from, "first").unwrap();
    fs::write(stream(&from, "s"), "1").unwrap();
    set(&from, OBJECT_ID, &Chance::new(1).bytes(64));
    set(&from, DOS_NAME, b"SHORT~1");
    ntbak(args!["copy", &from, &to]).expect(3).lost_only(&["change-time"]);
    // What the target had must not shine through.
    fs::write(stream(&to, "of the target"), "x").unwrap();
    set(&to, EA, &make::ea_on_disk(&[("OF.TARGET", b"x", 0)]));
    fs::write(&from, "second, longer").unwrap();
    // Two copies of the same: reading must not change the access time.
    let before = judge::dump_of(&mut a, &format!("noatime,{WINDOWS}"));
    for _ in 0..2 {
        // The object id is that of the file which is replaced.
        ntbak(args!["copy", &from, &to]).expect(3).lost_only(&["change-time"]);
    }
    // A link, a junction, a file: each in the place of the other.
    let (link, junction) = (a.path("link"), a.path("junction"));
    fs::write(&link, "").unwrap();
    set(&link, make::REPARSE, &make::symlink("f", true));
    fs::create_dir(&junction).unwrap();
    set(&junction, make::REPARSE, &make::junction("C:\\nowhere"));
    make::look_twice(&link);
    make::look_twice(&junction);
    for from in [&link, &junction, &junction, &from, &link, &link, &from] {
        let to = b.path("in turn");
        // The file has given object id and short name to its first copy.
        let file_loses = &["change-time", "object-id", "short-name"][..];
        let lost = if from == &a.path("f") { file_loses } else { &["change-time"] };
        ntbak(args!["copy", from, &to]).expect(3).lost_only(lost);
        assert!(judge::payload_differences(from, &to).iter().all(|what| what.contains("object_id")));
    }
    b.unmount();
    let after = judge::dump(&b);
    judge::no_leftovers(&after);
    let members = ["streams", "sd", "ea", "eainfo", "objid", "attr", "times", "dos", "links"];
    assert_eq!(judge::differences(&before["/f"], &after["/f"], &members), [""; 0]);
}

#[test]
fn an_object_id_that_is_in_use_is_a_loss() {
    need_volumes!();
    let a = Volume::new(64);
    let (from, id) = (a.path("f"), Chance::new(1).bytes(64));
    fs::write(&from, "content").unwrap();
    set(&from, OBJECT_ID, &id);
    ntbak(args!["copy", &from, &a.path("g")]).expect(3).lost_only(&["change-time", "object-id"]);
    assert_eq!(make::get(&from, OBJECT_ID).unwrap(), id);
    assert_eq!(fs::read(a.path("g")).unwrap(), b"content");
    let backup = ntbak(args!["stream", "read", &from]).expect(0).stdout;
    ntbak_with(&backup, args!["stream", "write", &a.path("h")]).expect(3).lost_only(&["object-id"]);
}

#[test]
fn short_names_that_cannot_be_kept_are_losses() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let from = a.path("a file with a long name");
    fs::write(&from, "content").unwrap();
    set(&from, DOS_NAME, b"AFILEW~1");
    // Another file has it.
    fs::write(b.path("AFILEW~1"), "other").unwrap();
    ntbak(args!["copy", &from, &b.path("copied")]).expect(3).lost_only(&["change-time", "short-name"]);
    assert_eq!(fs::read(b.path("AFILEW~1")).unwrap(), b"other");
    assert_eq!(fs::read(b.path("copied")).unwrap(), b"content");
    // ntfs-3g does not tell it of a file with two names.
    fs::hard_link(&from, a.path("its second name")).unwrap();
    let ran = ntbak(args!["copy", &from, &b.path("linked")]).expect(3);
    ran.lost_only(&["change-time", "link", "short-name"]);
    // A backup stream has no place for short names and other names: nothing is lost there.
    ntbak(args!["stream", "read", &from]).expect(0);
    ntbak(args!["info", &from]).expect(0);
}

#[test]
fn a_directory_over_a_directory_brings_attributes_and_times() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    let (from, to) = (a.path("d"), b.path("d"));
    fs::create_dir(&from).unwrap();
    fs::write(stream(&from, "s"), "1").unwrap();
    set(&from, ACL, &make::plain_descriptor(7));
    set(&from, DOS_NAME, b"DD~1");
    make::attributes(&from, 0x2002);
    make::times(&from, 130_000_000_000_000_001, 130_000_000_000_000_002, 130_000_000_000_000_003);
    fs::create_dir(&to).unwrap();
    fs::write(to.join("child"), "stays").unwrap();
    let before = judge::dump_of(&mut a, WINDOWS);
    // The target is a directory, so that the copy goes into its parent under the same name.
    let ran = ntbak(args!["copy", &from, &b.root()]).expect(3);
    b.unmount();
    let after = judge::dump(&b);
    judge::no_leftovers(&after);
    assert!(after.contains_key("/d/child"));
    let differences =
        judge::differences(&before["/d"], &after["/d"], &["streams", "sd", "attr", "times", "dos"]);
    // Each of them is either brought or told.
    let told = ran.lost();
    let silent: Vec<_> = differences
        .iter()
        .filter(|what| {
            let kind = [("attr:", "attribute"), ("times:", "time"), ("dos:", "short-name")];
            !kind.iter().any(|(member, kind)| what.starts_with(member) && told.contains(*kind))
        })
        .collect();
    assert!(silent.is_empty(), "lost in silence: {silent:#?}; told: {told:?}");
}

#[test]
fn a_directory_is_copied_with_what_is_in_it() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    fs::create_dir(a.path("d")).unwrap();
    fs::write(a.path("d/child"), "x").unwrap();
    ntbak(args!["copy", &a.path("d"), &b.path("d")]).expect(3).lost_only(&["change-time"]);
    assert_eq!(fs::read(b.path("d/child")).unwrap(), b"x");
}

#[test]
fn bs_70_odd_descriptors_stay_as_they_are() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let admins = make::administrators();
    let entry = make::ace(0, 0, 0x1F_01FF, &make::everyone());
    let plain = make::acl(std::slice::from_ref(&entry));
    let mut slack = plain.clone();
    slack[2..4].copy_from_slice(&u16::try_from(plain.len() + 8).unwrap().to_le_bytes());
    slack.extend([0; 8]);
    let object_entry =
        [&[5, 0, 44, 0][..], &1_u32.to_le_bytes(), &1_u32.to_le_bytes(), &[7; 16], &make::sid(&[32, 544])]
            .concat();
    let mut object = make::acl(&[object_entry]);
    object[0] = 4;
    let callback = [make::ace(9, 0, 1, &make::everyone()), b"artx\0\0\0\0".to_vec()].concat();
    let mut callback = make::acl(&[callback]);
    callback[10] = 28; // the length of the entry with its condition
    let many = make::acl(&vec![entry; 3000]);
    let cases = [
        (
            "unknown entry",
            make::descriptor(4, &admins, &admins, None, Some(&make::acl(&[make::ace(0x77, 0, 1, &admins)]))),
        ),
        ("slack", make::descriptor(4, &admins, &admins, None, Some(&slack))),
        ("object", make::descriptor(4, &admins, &admins, None, Some(&object))),
        ("callback", make::descriptor(4, &admins, &admins, None, Some(&callback))),
        ("large", make::descriptor(4, &admins, &admins, None, Some(&many))),
        ("SACL but none", make::descriptor(0x14, &admins, &admins, None, Some(&plain))),
        ("defaulted", make::descriptor(0x0F2F & !0x10, &admins, &admins, None, Some(&plain))),
        ("owner first", {
            let dacl = plain.clone();
            let mut descriptor = vec![1, 0, 4, 0x80];
            let at = [20, 20 + admins.len(), 0, 20 + 2 * admins.len()];
            descriptor.extend(at.iter().flat_map(|at| u32::try_from(*at).unwrap().to_le_bytes()));
            [descriptor, admins.clone(), admins.clone(), dacl].concat()
        }),
    ];
    let mut faults = Vec::new();
    for (name, descriptor) in &cases {
        let from = a.path(name);
        fs::write(&from, "x").unwrap();
        set(&from, ACL, descriptor);
        assert_eq!(&make::get(&from, ACL).unwrap(), descriptor);
        let copied = ntbak(args!["copy", &from, &b.path(name)]);
        if copied.code != 3
            || copied.lost().len() != 1
            || make::get(&b.path(name), ACL).as_ref() != Ok(descriptor)
        {
            faults.push(format!("{name}: copy: {} {}", copied.code, copied.stderr));
        }
        let read = ntbak(args!["stream", "read", &from]);
        let to = b.path(format!("{name}, restored"));
        let written = ntbak_with(&read.stdout, args!["stream", "write", &to]);
        if written.code != 0 || make::get(&to, ACL).as_ref() != Ok(descriptor) {
            faults.push(format!("{name}: stream: {} {} {}", written.code, read.stderr, written.stderr));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_descriptor_without_owner_is_completed_and_told() {
    need_volumes!();
    let b = Volume::new(64);
    let dacl = make::acl(&[make::ace(0, 0, 0x1F_01FF, &make::everyone())]);
    let bytes = make::backup(3, 2, "", &make::descriptor(4, &[], &[], None, Some(&dacl)));
    ntbak_with(&bytes, args!["stream", "write", &b.path("f")]).expect(3).lost_only(&["owner"]);
    let set = make::get(&b.path("f"), ACL).unwrap();
    assert!(set.windows(dacl.len()).any(|part| part == dacl));
}

/// ntfs-3g, ntfs3 and WSL write lists of EAs that Windows' own function would not take.
#[test]
fn odd_eas_are_kept_or_told() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let cases = [
        ("empty value", make::ea_on_disk(&[("KEPT", b"1", 0), ("EMPTY", b"", 0)])),
        ("lower case", make::ea_on_disk(&[("user.lower", b"1", 0)])),
        ("two of a name", make::ea_on_disk(&[("TWICE", b"1", 0), ("TWICE", b"2", 0)])),
        ("other flags", make::ea_on_disk(&[("FLAGS", b"1", 0x7F)])),
        ("odd name", make::ea_on_disk(&[("A*B/C", b"1", 0)])),
    ];
    let mut faults = Vec::new();
    for (name, eas) in &cases {
        let (from, to) = (a.path(name), b.path(name));
        fs::write(&from, "content").unwrap();
        set(&from, EA, eas);
        let ran = ntbak(args!["copy", &from, &to]);
        let same = make::get(&to, EA).as_ref() == Ok(eas);
        let told = ran.lost().iter().any(|kind| kind.starts_with("ea"));
        if ran.code != 3 || !(same || told) {
            faults.push(format!("{name}: {}, the same: {same}, told: {told}: {}", ran.code, ran.stderr));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn streams_that_differ_by_case_only_are_told() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let from = a.path("f");
    fs::write(&from, "x").unwrap();
    fs::write(stream(&from, "Name"), "first").unwrap();
    fs::write(stream(&from, "nAME"), "second").unwrap();
    let ran = ntbak(args!["copy", &from, &b.path("f")]).expect(3).lost_only(&["change-time", "stream"]);
    let loss = ran.report.iter().find(|line| line["kind"] == "stream").unwrap();
    assert!(matches!(loss["stream"].as_str(), Some("Name" | "nAME")), "{loss}");
    let list = make::get(&b.path("f"), "ntfs.streams.list").unwrap();
    assert_eq!(list.to_ascii_lowercase(), b"name");
}

#[test]
fn compression_is_lost_with_a_word_and_content_stays() {
    need_volumes!();
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    for volume in [&a, &b] {
        fs::create_dir(volume.path("compressed")).unwrap();
        make::attributes(&volume.path("compressed"), 0x800);
    }
    let (squeezed, plain) = (a.path("compressed/f"), a.path("plain"));
    fs::write(&squeezed, vec![b'a'; 500_000]).unwrap();
    fs::write(&plain, vec![b'a'; 500_000]).unwrap();
    let ran = ntbak(args!["copy", &squeezed, &b.path("f")]).expect(3);
    assert!(ran.lost().contains("compression"), "{}", ran.stderr);
    assert!(judge::cmp(&squeezed, &b.path("f")));
    // In a compressed directory everything is compressed, which is not how the source was.
    let ran = ntbak(args!["copy", "-v", &plain, &b.path("compressed/plain")]).expect(3);
    assert!(judge::cmp(&plain, &b.path("compressed/plain")));
    let told = ran.report.iter().any(|line| line.to_string().contains("compress"));
    b.unmount();
    let dump = judge::dump(&b);
    assert!(told || dump["/compressed/plain"]["attr"] == 0x20, "compressed in silence: {}", ran.stderr);
}

#[test]
fn a_stream_whose_name_is_too_long_with_that_of_the_file_is_a_loss() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    // The two names together are longer than a name can be.
    let (short, long) = (a.path("f"), a.path("漢".repeat(255)));
    fs::write(&short, "content").unwrap();
    fs::write(stream(&short, "漢".repeat(255)), "far away").unwrap();
    fs::rename(&short, &long).unwrap();
    let ran = ntbak(args!["copy", &long, &b.path("long")]).expect(3);
    ran.lost_only(&["change-time", "stream"]);
    assert_eq!(fs::read(b.path("long")).unwrap(), b"content");
}

#[test]
fn more_streams_than_can_be_listed_are_a_loss() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let many = a.path("many");
    fs::write(&many, "content").unwrap();
    for number in 0..2200 {
        fs::write(stream(&many, format!("{number:08} and some more letters, 35")), "").unwrap();
    }
    let ran = ntbak(args!["copy", &many, &b.path("many")]).expect(3);
    ran.lost_only(&["change-time", "stream"]);
    assert_eq!(fs::read(b.path("many")).unwrap(), b"content");
}

#[test]
fn a_volume_that_cannot_be_written_is_an_error() {
    need_volumes!();
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    fs::write(a.path("f"), "x").unwrap();
    b.remount(&format!("ro,{WINDOWS}"));
    ntbak(args!["copy", &a.path("f"), &b.path("f")]).expect(1);
    b.remount(WINDOWS);
    assert!(!b.path("f").exists());
}

#[test]
fn bs_69_times_of_every_value_are_kept() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    let values = [0, 1, 116_444_736_000_000_000, i64::MAX as u64, 1 << 63, u64::MAX];
    for (index, value) in values.into_iter().enumerate() {
        let from = a.path(index.to_string());
        fs::write(&from, "x").unwrap();
        make::times(&from, value, value, value);
    }
    let before = judge::dump_of(&mut a, WINDOWS);
    for index in 0..values.len() {
        let name = index.to_string();
        ntbak(args!["copy", &a.path(&name), &b.path(&name)]).expect(3).lost_only(&["change-time"]);
    }
    b.unmount();
    let after = judge::dump(&b);
    for index in 0..values.len() {
        let path = format!("/{index}");
        assert_eq!(judge::differences(&before[&path], &after[&path], &["times"]), [""; 0]);
    }
}

#[test]
fn the_root_of_a_volume_is_copied() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    fs::write(a.path(":stream"), "of the root").unwrap();
    set(&a.root(), make::EA, &make::ea_on_disk(&[("E", b"1", 0)]));
    make::attributes(&a.root(), 0x2002);
    make::times(&a.root(), 130_000_000_000_000_001, 130_000_000_000_000_002, 130_000_000_000_000_003);
    let before = judge::dump_of(&mut a, WINDOWS);
    ntbak(args!["copy", &a.root(), &b.path("root")]).expect(3).lost_only(&["change-time"]);
    b.unmount();
    let (members, after) = (["streams", "sd", "ea", "attr", "times"], judge::dump(&b));
    assert_eq!(judge::differences(&before[""], &after["/root"], &members), [""; 0]);
}

/// ntfs-3g shows nothing of the holes of a named stream; that they may go is told.
#[test]
fn holes_of_a_named_stream_are_kept_or_told() {
    need_volumes!();
    let (mut a, mut b) = (Volume::new(64), Volume::new(64));
    let from = a.path("f");
    fs::write(&from, "x").unwrap();
    make::sparse(&stream(&from, "s"), 4 << 20, &[(1 << 20, vec![1; 65_536])]);
    let ran = ntbak(args!["copy", &from, &b.path("f")]).expect(3);
    assert!(judge::cmp(&stream(&from, "s"), &stream(&b.path("f"), "s")));
    a.unmount();
    b.unmount();
    let (before, after) = (judge::dump(&a), judge::dump(&b));
    let (one, other) = (&before["/f"]["streams"]["s"], &after["/f"]["streams"]["s"]);
    let told = ran.report.iter().any(|line| line["stream"] == "s");
    assert!(one == other || told, "{one} became {other} in silence: {}", ran.stderr);
}

/// Files of OneDrive, of deduplication and of WOF: there is no content on disk, only its length.
#[test]
fn the_length_of_a_reparse_point_without_clusters_is_kept_or_told() {
    need_volumes!();
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    let mut faults = Vec::new();
    for (name, tag) in [("cloud", 0x9000_001A), ("dedup", 0x8000_0013)] {
        let from = a.path(name);
        make::sparse(&from, 1 << 20, &[]);
        set(&from, make::REPARSE, &make::reparse(tag, &[0; 16]));
        make::look_twice(&from);
        let ran = ntbak(args!["copy", &from, &b.path(name)]);
        if ran.code != 3 || !(ran.lost().contains("content") || ran.lost().contains("holes")) {
            faults.push(format!("{name}: {}, 1 MiB became 0 bytes: {}", ran.code, ran.stderr));
        }
        let read = ntbak(args!["stream", "read", &from]);
        if read.code != 3 || !read.lost().contains("content") {
            faults.push(format!("{name}: stream read: {}, nothing is told: {}", read.code, read.stderr));
        }
    }
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
