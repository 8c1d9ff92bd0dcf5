//! What Samba has written to a file is backed up: attributes of its dialect on a file system of this machine.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::fs;
use std::path::Path;

use ntbak::place;
use ntbak::source::Facet;
use ntbak::{Collected, FileReport, FileSource, LossKind};
use ntbak_wire::record::SmallKind;
use ntbak_wire::samba::dosattrib::{self, DosAttrib};
use ntbak_wire::samba::ntacl::{self, NtAcl};
use ntbak_wire::security::sddl::parse_sddl;
use ntbak_wire::{FileAttributes, FileTime, ea, reparse};
use rustix::fs::XattrFlags;

/// A directory on a file system with `user` attributes, or the reason why there is none.
fn scratch() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    match rustix::fs::setxattr(dir.path(), "user.ntbak.probe", b"x", XattrFlags::empty()) {
        Ok(()) => Some(dir),
        Err(error) if std::env::var_os("NTBAK_REQUIRE_ALL").is_some() => {
            panic!("no extended attributes: {error}")
        }
        Err(error) => {
            println!("skipped: the temporary directory has no extended attributes ({error})");
            None
        }
    }
}

fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn stream(source: &dyn FileSource, name: &str) -> Vec<u8> {
    let mut index = 0;
    while let Some(head) = source.stream(index).unwrap() {
        if head.name.as_ref().is_some_and(|stream| stream.to_string() == name) {
            let mut content = vec![0; usize::try_from(head.size).unwrap()];
            assert_eq!(source.read_at(index, 0, &mut content).unwrap(), content.len());
            assert_eq!(source.read_at(index, head.size, &mut [0; 4]).unwrap(), 0);
            return content;
        }
        index += 1;
    }
    panic!("no stream {name}")
}

#[test]
fn bs_66_the_descriptor_is_read() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    let security = parse_sddl("O:BAG:SYD:P(A;;FA;;;WD)S:(AU;SA;FA;;;WD)").unwrap();
    set(&path, ntacl::USER_NAME, &NtAcl::build(&security).unwrap());
    let source = place::open(&path).unwrap();
    assert_eq!(source.small(SmallKind::Security).unwrap().unwrap(), security);
}

#[test]
fn bs_67_attributes_and_creation_time_are_read() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    let attributes = FileAttributes::HIDDEN | FileAttributes::SYSTEM;
    let attrib = DosAttrib { attributes: Some(attributes), created: Some(FileTime(132_000_000_000_000_000)) };
    set(&path, dosattrib::NAME, &attrib.build());
    let info = place::open(&path).unwrap().info().unwrap();
    assert_eq!(info.attributes, attributes);
    assert_eq!(info.times.created, attrib.created);
}

#[test]
fn bs_68_streams_are_read_without_their_trailing_byte() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    set(&path, "user.DosStream.Zone.Identifier:$DATA", b"[ZoneTransfer]\0");
    set(&path, "user.DosStream.empty:$DATA", b"\0");
    set(&path, "user.DosStream.parts:$DATA", b"one\x02");
    set(&path, "user.DosStreamExt.1.parts:$DATA", b"two");
    set(&path, "user.DosStream.plain", b"without type\0");
    let source = place::open(&path).unwrap();
    assert_eq!(stream(&*source, "Zone.Identifier"), b"[ZoneTransfer]");
    assert_eq!(stream(&*source, "empty"), b"");
    assert_eq!(stream(&*source, "parts"), b"onetwo");
    assert_eq!(stream(&*source, "plain"), b"without type");
}

#[test]
fn eas_and_reparse_points_are_read_and_private_names_are_not_eas() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "").unwrap();
    let buffer = reparse::build(reparse::ReparseTag(0x8000_0017), None, &[1; 16]).unwrap();
    set(&path, "user.SmbReparse", &buffer);
    set(&path, "user.comment", b"hello");
    set(&path, "user.SAMBA_PAI", b"\x01");
    let source = place::open(&path).unwrap();
    assert_eq!(source.small(SmallKind::Reparse).unwrap().unwrap(), buffer);
    assert!(source.info().unwrap().attributes.contains(FileAttributes::REPARSE_POINT));
    let list = source.small(SmallKind::Ea).unwrap().unwrap().into_owned();
    let eas = ea::parse_full(&list).unwrap().to_vec();
    assert_eq!(eas, [ea::Ea::new(0, &b"comment"[..], &b"hello"[..])]);
}

/// What cannot be read, or is no fact of Windows', is told and stops nothing.
#[test]
fn damaged_and_foreign_attributes_are_told() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    set(&path, dosattrib::NAME, b"no number");
    set(&path, "user.DosStream.a/b:$DATA", b"\0");
    set(&path, ntacl::USER_NAME, b"\x09\0\x09\0");
    let report = Collected::new();
    let source = place::open(&path).unwrap();
    source.remarks(Facet::All, &FileReport { to: &report, path: &path }).unwrap();
    let kinds: Vec<_> = report.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::Attribute; 3], "{:?}", report.losses());
    assert!(source.small(SmallKind::Security).unwrap().is_none());
}

/// Where `streams_depot` has the streams of a file; by the description in Samba's manual and sources, not by our code.
fn depot_path(depot: &Path, of: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(of).unwrap();
    let id = (u128::from(metadata.ino()) << 64 | u128::from(metadata.dev())).to_le_bytes();
    let sum = id
        .iter()
        .enumerate()
        .fold(0x2_38F1_3AF0_u64, |sum, (at, byte)| sum + (u64::from(*byte) << (at * 5 % 24)));
    let hash = (sum & 0xFFFF_FFFF) * 1_103_515_243 + 12_345;
    let digits: String = id.iter().map(|byte| format!("{byte:02X}")).collect();
    depot.join(format!("{:02X}/{:02X}/{digits}", hash & 0xFF, hash >> 8 & 0xFF))
}

fn losses(source: &dyn FileSource, path: &Path) -> Vec<LossKind> {
    let report = Collected::new();
    source.remarks(Facet::All, &FileReport { to: &report, path }).unwrap();
    report.losses().iter().map(|loss| loss.kind).collect()
}

#[test]
fn streams_of_a_depot_are_found_upwards_and_read_by_position() {
    let Some(dir) = scratch() else { return };
    let deep = dir.path().join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    let path = deep.join("f");
    fs::write(&path, "x").unwrap();
    // Without the mark nobody looks.
    let depot = depot_path(&dir.path().join(".streams"), &path);
    fs::create_dir_all(&depot).unwrap();
    fs::write(depot.join(":s:$DATA"), b"a stream").unwrap();
    assert!(place::open(&path).unwrap().stream(1).unwrap().is_none());
    set(&path, "user.SAMBA_STREAMS", b"1");
    // A nearer depot that has nothing of it is passed by.
    fs::create_dir(dir.path().join("a/.streams")).unwrap();
    let source = place::open(&path).unwrap();
    assert_eq!(stream(&*source, "s"), b"a stream");
    let mut buf = [0; 3];
    assert_eq!(source.read_at(1, 2, &mut buf).unwrap(), 3);
    assert_eq!(&buf, b"str");
    assert_eq!(losses(&*source, &path), []);
    // It counts more than an attribute of the same name, and says so.
    set(&path, "user.DosStream.S:$DATA", b"old\0");
    let source = place::open(&path).unwrap();
    assert_eq!(stream(&*source, "s"), b"a stream");
    assert!(source.stream(2).unwrap().is_none());
    assert_eq!(losses(&*source, &path), [LossKind::Stream]);
    rustix::fs::removexattr(&path, "user.DosStream.S:$DATA").unwrap();
    // Links within a depot lead nowhere.
    let real = dir.path().join("real");
    fs::rename(&depot, &real).unwrap();
    std::os::unix::fs::symlink(&real, &depot).unwrap();
    let source = place::open(&path).unwrap();
    assert!(source.stream(1).unwrap().is_none());
    assert_eq!(losses(&*source, &path), [LossKind::Stream]);
    fs::remove_file(&depot).unwrap();
    fs::rename(&real, &depot).unwrap();
    std::os::unix::fs::symlink(depot.join(":s:$DATA"), depot.join(":link:$DATA")).unwrap();
    let source = place::open(&path).unwrap();
    assert!(source.stream(2).unwrap().is_none());
    assert_eq!(losses(&*source, &path), [LossKind::Stream]);
}

#[test]
fn two_descriptors_that_differ_are_told() {
    let Some(dir) = scratch() else { return };
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    let (first, second) = (parse_sddl("O:BAG:SY").unwrap(), parse_sddl("O:SYG:SY").unwrap());
    let set_first = NtAcl::build(&first).unwrap();
    if rustix::fs::lsetxattr(&path, ntacl::NAME, &set_first, XattrFlags::empty()).is_err() {
        println!("skipped: only root writes {}", ntacl::NAME);
        return;
    }
    for (other, told) in [(&first, vec![]), (&second, vec![LossKind::Security])] {
        set(&path, ntacl::USER_NAME, &NtAcl::build(other).unwrap());
        let source = place::open(&path).unwrap();
        assert_eq!(source.small(SmallKind::Security).unwrap().unwrap(), first);
        assert_eq!(losses(&*source, &path), told);
    }
}
