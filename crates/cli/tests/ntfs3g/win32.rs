//! Windows' functions on files of a mounted volume.

use std::fs;
use std::path::Path;

use ntbak::win32::{
    Access, Context, Create, Disposition, FileFlags, Handle, HostVolume, Privileges, System, backup_finish,
    backup_read, backup_seek, backup_write,
};

use crate::common::make::{self, set, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::run::{args, ntbak};
use crate::common::{Chance, judge, need_volumes};

fn open(system: &System, path: &Path, access: Access, disposition: Disposition) -> ntbak::Result<Handle> {
    let flags = FileFlags::BACKUP_SEMANTICS;
    system.create_file(path.to_str().unwrap(), Create { access, disposition, flags, ..Create::default() })
}

fn for_reading(system: &System, path: &Path) -> Handle {
    let access = Access::GENERIC_READ | Access::ACCESS_SYSTEM_SECURITY;
    open(system, path, access, Disposition::OpenExisting).unwrap()
}

fn for_writing(system: &System, path: &Path) -> Handle {
    let access =
        Access::GENERIC_WRITE | Access::WRITE_DAC | Access::WRITE_OWNER | Access::ACCESS_SYSTEM_SECURITY;
    open(system, path, access, Disposition::CreateAlways).unwrap()
}

/// Everything that BackupRead gives, in pieces of this size.
fn read_all(handle: &Handle, piece: usize) -> Vec<u8> {
    let (mut context, mut buffer, mut all) = (Context::default(), vec![0; piece], Vec::new());
    loop {
        let mut read = 0;
        backup_read(Some(handle), &mut buffer, &mut read, false, true, &mut context).unwrap();
        if read == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..read as usize]);
    }
    backup_read(None, &mut [], &mut 0, true, false, &mut context).unwrap();
    assert!(context.is_null());
    all
}

fn write_all(handle: &Handle, bytes: &[u8], piece: usize) {
    let mut context = Context::default();
    for piece in bytes.chunks(piece) {
        let mut written = 0;
        backup_write(Some(handle), piece, &mut written, false, true, &mut context).unwrap();
        assert_eq!(written as usize, piece.len());
    }
    backup_finish(&mut context).unwrap();
}

/// A file with something of every kind.
fn make_file(path: &Path) {
    fs::write(path, Chance::new(1).bytes(100_000)).unwrap();
    fs::write(stream(path, "a"), "stream").unwrap();
    fs::write(stream(path, "b"), Chance::new(2).bytes(70_000)).unwrap();
    let audit = make::acl(&[make::ace(2, 0xC0, 0x1_0000, &make::everyone())]);
    let dacl = make::acl(&[make::ace(0, 0, 0x1F_01FF, &make::administrators())]);
    let admins = make::administrators();
    set(path, make::ACL, &make::descriptor(0x1014, &admins, &admins, Some(&audit), Some(&dacl)));
    set(path, make::EA, &make::ea_on_disk(&[("ONE", b"1", 0), ("TWO", b"22", 0x80)]));
    set(path, make::OBJECT_ID, &Chance::new(3).bytes(64));
}

#[test]
fn backup_read_and_backup_write_carry_a_file_over() {
    need_volumes!();
    let (a, mut b) = (Volume::new(64), Volume::new(64));
    let (from, to) = (a.path("f"), b.path("f"));
    make_file(&from);
    let system = System::new(HostVolume);
    let bytes = read_all(&for_reading(&system, &from), 65_536);
    assert!(bytes == read_all(&for_reading(&system, &from), 7), "the size of the buffer matters");
    assert!(bytes == ntbak(args!["stream", "read", &from]).expect(0).stdout, "the command gives other bytes");
    // Over a file that is there: CREATE_ALWAYS empties it.
    fs::write(&to, vec![1; 200_000]).unwrap();
    fs::write(stream(&to, "old"), "old").unwrap();
    set(&to, make::EA, &make::ea_on_disk(&[("OLD", b"1", 0)]));
    write_all(&for_writing(&system, &to), &bytes, 4096);
    write_all(&for_writing(&system, &b.path("new")), &bytes[..bytes.len() - 20 - 64], 1);
    b.remount(WINDOWS);
    assert_eq!(judge::payload_differences(&from, &to), [""; 0]);
    for (path, other) in [
        (from.clone(), to.clone()),
        (stream(&from, "a"), stream(&to, "a")),
        (stream(&from, "b"), stream(&to, "b")),
        (from.clone(), b.path("new")),
        (stream(&from, "b"), stream(&b.path("new"), "b")),
    ] {
        assert!(judge::cmp(&path, &other), "{} and {}", path.display(), other.display());
    }
    assert_eq!(make::get(&to, "ntfs.streams.list").unwrap(), b"a\0b");
    assert!(bytes == read_all(&for_reading(&system, &to), 1 << 20));
}

#[test]
fn rights_decide_what_is_read() {
    need_volumes!();
    let a = Volume::new(64);
    let f = a.path("f");
    make_file(&f);
    let system = System::new(HostVolume);
    let full = read_all(&for_reading(&system, &f), 65_536);
    // Without ACCESS_SYSTEM_SECURITY the descriptor comes without its SACL.
    let plain = open(&system, &f, Access::GENERIC_READ, Disposition::OpenExisting).unwrap();
    let without = read_all(&plain, 65_536);
    assert!(without.len() < full.len());
    let blind = System::new(HostVolume).with_privileges(Privileges::empty());
    let access = Access::GENERIC_READ | Access::ACCESS_SYSTEM_SECURITY;
    let error = open(&blind, &f, access, Disposition::OpenExisting).unwrap_err();
    assert_eq!(error.win32().0, 1314);
    assert_eq!(open(&system, &f, access, Disposition::CreateNew).unwrap_err().win32().0, 80);
    assert_eq!(open(&system, &a.path("x"), access, Disposition::OpenExisting).unwrap_err().win32().0, 2);
    assert_eq!(open(&system, &a.path("x/y"), access, Disposition::OpenExisting).unwrap_err().win32().0, 3);
    // A stream can be opened, but not backed up.
    let named = open(&system, &stream(&f, "a"), Access::GENERIC_READ, Disposition::OpenExisting).unwrap();
    let mut read = 0;
    let error = backup_read(Some(&named), &mut [0; 64], &mut read, false, true, &mut Context::default());
    assert_eq!(error.unwrap_err().win32().0, 87);
}

#[test]
fn backup_seek_passes_over_content() {
    need_volumes!();
    let a = Volume::new(64);
    let f = a.path("f");
    make_file(&f);
    let system = System::new(HostVolume);
    let handle = for_reading(&system, &f);
    let all = read_all(&handle, 65_536);
    // Streams come one after the other: header, and its payload passed over.
    let (mut context, mut at, mut ids) = (Context::default(), 0_usize, Vec::new());
    loop {
        let (mut header, mut read) = ([0; 20], 0);
        backup_read(Some(&handle), &mut header, &mut read, false, true, &mut context).unwrap();
        if read == 0 {
            break;
        }
        assert_eq!(header, all[at..at + 20]);
        ids.push(u32::from_le_bytes(header[..4].try_into().unwrap()));
        let size = u64::from_le_bytes(header[8..16].try_into().unwrap());
        let mut name = vec![0; u32::from_le_bytes(header[16..].try_into().unwrap()) as usize];
        backup_read(Some(&handle), &mut name, &mut read, false, true, &mut context).unwrap();
        at += 20 + name.len() + usize::try_from(size).unwrap();
        let mut moved = 0;
        backup_seek(Some(&handle), size, &mut moved, &mut context).unwrap();
        assert_eq!(moved, size);
    }
    assert_eq!(at, all.len());
    assert_eq!(ids, [3, 2, 1, 4, 4, 7]);
}

#[test]
fn a_directory_and_a_reparse_point_are_opened_as_themselves() {
    need_volumes!();
    let (a, b) = (Volume::new(64), Volume::new(64));
    let system = System::new(HostVolume);
    let (d, link) = (a.path("d"), a.path("link"));
    fs::create_dir(&d).unwrap();
    fs::write(stream(&d, "s"), "1").unwrap();
    fs::write(&link, "").unwrap();
    set(&link, make::REPARSE, &make::symlink("d", true));
    make::look_twice(&link);
    let bytes = read_all(&for_reading(&system, &d), 100);
    assert!(bytes == read_all(&for_reading(&system, &link), 100), "a link is followed");
    let flags = FileFlags::BACKUP_SEMANTICS | FileFlags::OPEN_REPARSE_POINT;
    let access = Access::GENERIC_READ | Access::ACCESS_SYSTEM_SECURITY;
    let how = Create { access, flags, ..Create::default() };
    let itself = read_all(&system.create_file(link.to_str().unwrap(), how).unwrap(), 100);
    assert!(itself == ntbak(args!["stream", "read", &link]).expect(0).stdout);
    fs::create_dir(b.path("d")).unwrap();
    let access = Access::GENERIC_ALL | Access::ACCESS_SYSTEM_SECURITY;
    let target = open(&system, &b.path("d"), access, Disposition::OpenExisting).unwrap();
    write_all(&target, &bytes, 50);
    assert_eq!(fs::read(stream(&b.path("d"), "s")).unwrap(), b"1");
    assert_eq!(judge::payload_differences(&d, &b.path("d")), [""; 0]);
    // Without BACKUP_SEMANTICS a directory is refused.
    let how = Create { access: Access::GENERIC_READ, ..Create::default() };
    assert_eq!(system.create_file(d.to_str().unwrap(), how).unwrap_err().win32().0, 5);
}
