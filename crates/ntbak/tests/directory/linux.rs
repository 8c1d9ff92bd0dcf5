//! What only Linux knows of a file goes from one directory to the next, and privileges do not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::{Collected, LossKind, copy, place};
use rustix::fs::XattrFlags;
use tempfile::tempdir;

use crate::helpers::*;

/// Mode, owner, and names and values of attributes.
pub(crate) type Linux = (Option<u32>, Option<(u32, u32)>, Vec<(Vec<u8>, Vec<u8>)>);

/// What a copy carries of them.
pub(crate) fn linux(path: &Path) -> Linux {
    let source = place::open(path).unwrap();
    let info = source.info().unwrap();
    let mut attributes = Vec::new();
    while let Some((name, value)) = source.linux_attribute(attributes.len()).unwrap() {
        attributes.push((name.into_owned(), value.into_owned()));
    }
    attributes.sort();
    (info.unix_mode, info.unix_owner, attributes)
}

pub(crate) fn set(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(crate) fn has(path: &Path, name: &str) -> bool {
    rustix::fs::lgetxattr(path, name, &mut [0; 4096][..]).is_ok()
}

/// POSIX ACL: version 2; user::rw-, user 1000 rw-, group::r--, mask::rw-, other::---.
pub(crate) fn posix_acl() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 6, 1000), (4, 4, u32::MAX), (0x10, 6, u32::MAX), (0x20, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        acl.extend(id.to_le_bytes());
    }
    acl
}

#[test]
fn owner_mode_and_attributes_are_kept_and_privileges_are_not_given() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("NTBAK_REQUIRE_ALL").is_none(), "not root");
        eprintln!("skipped: only root gives files to others");
        return;
    }
    let dir = tempdir().unwrap();
    let from = dir.path().join("from");
    fs::write(&from, b"content").unwrap();
    chown(&from, Some(1000), Some(1001)).unwrap();
    fs::set_permissions(&from, Permissions::from_mode(0o6751)).unwrap();
    // cap_net_raw+ep.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set(&from, "security.capability", &capability);
    set(&from, "trusted.note", b"value");
    let expected = linux(&from);
    assert_eq!((expected.0, expected.1, expected.2.len()), (Some(0o6751), Some((1000, 1001)), 2));

    // And once more from there: what the side file keeps is carried on.
    for (from, to) in [("from", "second"), ("second", "third")] {
        let (from, to) = (dir.path().join(from), dir.path().join(to));
        let told = Collected::new();
        copy(&*place::open(&from).unwrap(), place::stage(&to, false).unwrap(), &report(&told, &from))
            .unwrap();
        assert_eq!((told.losses().len(), told.notes().len()), (0, 3), "{:?}", told.notes());
        assert_eq!(linux(&to), expected);
        let there = fs::metadata(&to).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o7777), (1000, 1001, 0o751));
        assert!(!has(&to, "security.capability") && !has(&to, "trusted.note"));
    }
    // Who changes the owner or the mode there means it.
    let third = dir.path().join("third");
    fs::set_permissions(&third, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(linux(&third).0, Some(0o600));

    // An ACL is no privilege.
    let acl = dir.path().join("acl");
    fs::write(&acl, b"x").unwrap();
    set(&acl, "system.posix_acl_access", &posix_acl());
    let to = dir.path().join("acl too");
    let told = Collected::new();
    copy(&*place::open(&acl).unwrap(), place::stage(&to, false).unwrap(), &report(&told, &acl)).unwrap();
    assert_eq!((told.losses(), linux(&to)), (vec![], linux(&acl)));
    assert!(has(&to, "system.posix_acl_access"));
    assert_eq!(fs::metadata(&to).unwrap().mode(), fs::metadata(&acl).unwrap().mode());
}

#[test]
fn what_a_place_has_no_room_for_is_told() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let mut file = MemoryFile::file();
    for number in 0..20 {
        file.linux_attributes.insert(format!("trusted.{number:02}").into_bytes(), vec![7; 60_000]);
    }
    let told = store(&file, &path);
    let kinds: Vec<_> = told.losses().iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::LinuxAttribute; 12], "{:?}", told.losses());
    assert_eq!(linux(&path).2.len(), 8);
    // In memory there is room.
    let memory = SharedFile::new(MemoryFile::file());
    let told = Collected::new();
    let sink = Box::new(MemorySink::staged(memory.clone(), false));
    copy(&*place::open(&path).unwrap(), sink, &report(&told, &path)).unwrap();
    assert_eq!(memory.read().linux_attributes.len(), 8);
}
