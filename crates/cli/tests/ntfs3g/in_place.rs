//! Writing to a file that is there: what the input does not name stays.

use std::fs;

use crate::common::make::{self, ACL, EA, OBJECT_ID, REPARSE, alternate, backup, data, ea_full, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak, ntbak_with};
use crate::common::{Chance, judge, need_volumes};

#[test]
fn streams_that_are_not_named_stay() {
    need_volumes!();
    let mut b = Volume::new(64);
    let f = b.path("f");
    let long = Chance::new(1).bytes(100_000);
    fs::write(&f, &long).unwrap();
    fs::write(stream(&f, "stays"), "as it is").unwrap();
    fs::write(stream(&f, "shorter"), &long).unwrap();
    fs::write(stream(&f, "empty"), "something").unwrap();
    set(&f, ACL, &make::plain_descriptor(1));
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&f).unwrap());

    let input =
        [data(b"new"), alternate("shorter", b"4321"), alternate("empty", b""), alternate("added", b"+")];
    ntbak_with(&input.concat(), args!["stream", "write", &f]).expect(0).lost_only(&[]);
    b.remount(WINDOWS);
    let named = |name: &str| fs::read(stream(&f, name)).unwrap();
    assert_eq!(fs::read(&f).unwrap(), b"new");
    assert_eq!(named("stays"), b"as it is");
    assert_eq!(named("shorter"), b"4321");
    assert_eq!(named("empty"), b"");
    assert_eq!(named("added"), b"+");
    assert_eq!(make::get(&f, ACL).unwrap(), make::plain_descriptor(1));
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&f).unwrap()), inode);
    // Without a DATA stream the content stays, too.
    ntbak_with(&backup(3, 2, "", &make::plain_descriptor(2)), args!["stream", "write", &f]).expect(0);
    assert_eq!(fs::read(&f).unwrap(), b"new");
    assert_eq!(make::get(&f, ACL).unwrap(), make::plain_descriptor(2));
    let both = [backup(3, 2, "", &make::plain_descriptor(3)), data(b"newer")].concat();
    ntbak_with(&both, args!["stream", "write", "--no-security", &f]).expect(0);
    assert_eq!(fs::read(&f).unwrap(), b"newer");
    assert_eq!(make::get(&f, ACL).unwrap(), make::plain_descriptor(2));
    b.unmount();
    judge::no_leftovers(&judge::dump(&b));
}

#[test]
fn eas_are_merged() {
    need_volumes!();
    let b = Volume::new(64);
    let f = b.path("f");
    fs::write(&f, "x").unwrap();
    set(&f, EA, &make::ea_on_disk(&[("STAYS", b"1", 0x80), ("CHANGES", b"2", 0), ("GOES", b"3", 0)]));
    let changes = ea_full(&[("CHANGES", b"longer value", 0x80), ("GOES", b"", 0), ("COMES", b"4", 0)]);
    ntbak_with(&backup(2, 0, "", &changes), args!["stream", "write", &f]).expect(0).lost_only(&[]);
    let expected =
        make::ea_on_disk(&[("STAYS", b"1", 0x80), ("CHANGES", b"longer value", 0x80), ("COMES", b"4", 0)]);
    assert_eq!(make::get(&f, EA).unwrap(), expected);
    let all = ea_full(&[("STAYS", b"", 0), ("CHANGES", b"", 0), ("COMES", b"", 0)]);
    ntbak_with(&backup(2, 0, "", &all), args!["stream", "write", &f]).expect(0);
    assert!(make::get(&f, EA).is_err());
}

#[test]
fn an_object_id_stays_the_one_it_is() {
    need_volumes!();
    let b = Volume::new(64);
    let f = b.path("f");
    let (id, other) = (Chance::new(1).bytes(64), Chance::new(2).bytes(64));
    fs::write(&f, "x").unwrap();
    ntbak_with(&backup(7, 0, "", &id), args!["stream", "write", &f]).expect(0);
    ntbak_with(&backup(7, 0, "", &id), args!["stream", "write", &f]).expect(0);
    ntbak_with(&backup(7, 0, "", &other), args!["stream", "write", &f]).expect(1);
    assert_eq!(make::get(&f, OBJECT_ID).unwrap(), id);
    fs::write(b.path("g"), "x").unwrap();
    ntbak_with(&backup(7, 0, "", &id), args!["stream", "write", &b.path("g")]).expect(1);
    assert!(make::get(&b.path("g"), OBJECT_ID).is_err());
}

#[test]
fn reparse_points_come_and_change_by_windows_rules() {
    need_volumes!();
    let mut b = Volume::new(64);
    let (f, d, full) = (b.path("f"), b.path("d"), b.path("full"));
    fs::write(&f, "").unwrap();
    fs::create_dir(&d).unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("child"), "x").unwrap();
    let write = |buffer: &[u8], path| ntbak_with(&backup(8, 0, "", buffer), args!["stream", "write", path]);
    write(&make::symlink("first", true), &f).expect(0);
    write(&make::symlink("second", true), &f).expect(0);
    assert_eq!(make::get(&f, REPARSE).unwrap(), make::symlink("second", true));
    // Another tag is refused, as on Windows.
    write(&make::third_party(b"x"), &f).expect(1);
    write(&make::junction("C:\\x"), &d).expect(0);
    write(&make::junction("C:\\x"), &full).expect(1);
    assert!(full.join("child").exists());
    fs::write(b.path("plain"), "").unwrap();
    write(&make::junction("C:\\x"), &b.path("plain")).expect(1);
    b.remount(WINDOWS);
    assert_eq!(make::get(&d, REPARSE).unwrap(), make::junction("C:\\x"));
    assert_eq!(make::get(&f, REPARSE).unwrap(), make::symlink("second", true));
    assert!(make::get(&b.path("plain"), REPARSE).is_err());
}

#[test]
fn a_directory_is_written_in_place() {
    need_volumes!();
    let b = Volume::new(64);
    let d = b.path("d");
    fs::create_dir(&d).unwrap();
    fs::write(d.join("child"), "x").unwrap();
    fs::write(stream(&d, "stays"), "1").unwrap();
    let input = [backup(3, 2, "", &make::plain_descriptor(1)), alternate("added", b"2")].concat();
    ntbak_with(&input, args!["stream", "write", "--directory", &d]).expect(0).lost_only(&[]);
    ntbak_with(&input, args!["stream", "write", &d]).expect(0).lost_only(&[]);
    assert_eq!(fs::read(stream(&d, "stays")).unwrap(), b"1");
    assert_eq!(fs::read(stream(&d, "added")).unwrap(), b"2");
    assert_eq!(make::get(&d, ACL).unwrap(), make::plain_descriptor(1));
    ntbak_with(&data(b"content"), args!["stream", "write", &d]).expect(1);
    fs::write(b.path("f"), "x").unwrap();
    ntbak_with(&input, args!["stream", "write", "--directory", &b.path("f")]).expect(2);
}

/// The directory on which the volume is mounted: its parent is on another file system.
#[test]
fn the_root_of_the_volume_is_read_and_written() {
    need_volumes!();
    let mut b = Volume::new(64);
    let root = b.root();
    let input =
        [backup(3, 2, "", &make::plain_descriptor(1)), alternate("of the root", &[7; 70_000])].concat();
    ntbak_with(&input, args!["stream", "write", &root]).expect(0).lost_only(&[]);
    b.remount(WINDOWS);
    assert_eq!(fs::read(root.join(":of the root")).unwrap(), [7; 70_000]);
    let read = ntbak(args!["stream", "read", &root]).expect(0);
    assert!(read.stdout == input);
}

#[test]
fn a_link_is_written_as_itself() {
    need_volumes!();
    let b = Volume::new(64);
    // A symbolic link of ntfs-3g is a system file with content; where it leads is left alone.
    fs::write(b.path("target"), "target").unwrap();
    std::os::unix::fs::symlink("target", b.path("link")).unwrap();
    set(&b.path("target"), ACL, &make::plain_descriptor(1));
    ntbak_with(&backup(3, 2, "", &make::plain_descriptor(2)), args!["stream", "write", &b.path("link")])
        .expect(0);
    assert_eq!(make::get(&b.path("link"), ACL).unwrap(), make::plain_descriptor(2));
    assert_eq!(make::get(&b.path("target"), ACL).unwrap(), make::plain_descriptor(1));
    ntbak_with(&data(b"other"), args!["stream", "write", &b.path("link")]).expect(1);
    assert_eq!(fs::read(b.path("target")).unwrap(), b"target");
}

#[test]
fn hard_links_are_made_where_the_link_root_says() {
    need_volumes!();
    let mut b = Volume::new(64);
    fs::create_dir(b.path("dir")).unwrap();
    fs::write(b.path("dir/first"), "content").unwrap();
    let link = |target: &str| backup(5, 0, "", &make::utf16(target));
    let root = b.root();
    let second = b.path("second");
    ntbak_with(&link("dir\\first"), args!["stream", "write", "--link-root", &root, &second]).expect(0);
    ntbak_with(&link("dir\\missing"), args!["stream", "write", "--link-root", &root, &b.path("third")])
        .expect(1);
    ntbak_with(&link("dir\\first"), args!["stream", "write", &b.path("third")]).expect(1);
    ntbak_with(&link("dir"), args!["stream", "write", "--link-root", &root, &b.path("third")]).expect(1);
    assert!(!b.path("third").exists());
    b.unmount();
    let dump = judge::dump(&b);
    judge::no_leftovers(&dump);
    assert_eq!(dump["/second"]["paths"], serde_json::json!(["/dir/first", "/second"]));
}
