//! `CreateFile` over a volume in memory, and what the rights that it gives are good for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::Arc;

use common::*;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::win32::{
    Access, Context, Create, Disposition, FileFlags, Handle, MemoryVolume, Privileges, Share, System,
    backup_read, backup_seek,
};
use ntbak::{Collected, Error, LossKind};
use ntbak_wire::reparse;
use ntbak_wire::security::{Control, SecurityDescriptor};
use ntbak_wire::{FileAttributes, Name};

const DISPOSITIONS: [Disposition; 5] = [
    Disposition::CreateNew,
    Disposition::CreateAlways,
    Disposition::OpenExisting,
    Disposition::OpenAlways,
    Disposition::TruncateExisting,
];

fn create(system: &System, path: &str, access: Access, flags: FileFlags) -> Result<Handle, Error> {
    system.create_file(path, Create { access, flags, ..Create::default() })
}

#[test]
fn dispositions() {
    let mut present = rich().0;
    // A reparse point would be followed.
    present.reparse = None;
    for (disposition, missing, existing) in [
        (Disposition::CreateNew, Ok("new"), Err(80)),
        (Disposition::CreateAlways, Ok("new"), Ok("overwritten")),
        (Disposition::OpenExisting, Err(2), Ok("kept")),
        (Disposition::OpenAlways, Ok("new"), Ok("kept")),
        (Disposition::TruncateExisting, Err(2), Ok("emptied")),
    ] {
        assert_eq!(Disposition::try_from(disposition as u32).unwrap(), disposition);
        let volume = MemoryVolume::new();
        volume.insert("dir/there", present.clone());
        let system = System::new(volume.clone());
        for (path, expected) in [("dir/missing", missing), (r"dir\there", existing)] {
            let how = Create { access: WRITE, disposition, ..Create::default() };
            let got = system.create_file(path, how).map_err(|error| error.win32().0);
            assert_eq!(got.as_ref().err(), expected.as_ref().err(), "{disposition:?} {path}");
            let Some(file) = volume.get(path) else {
                assert!(expected.is_err());
                continue;
            };
            let file = file.read();
            match expected {
                Ok("new") => assert!(*file == MemoryFile::file(), "{disposition:?}"),
                Ok("overwritten") => {
                    // An overwrite takes EAs and named streams; the descriptor stays.
                    assert_eq!((file.streams.len(), content(&file, None), &file.ea), (1, vec![], &None));
                    assert_eq!(file.security, present.security);
                }
                Ok("emptied") => {
                    assert_eq!((file.streams.len(), content(&file, None)), (present.streams.len(), vec![]));
                    assert_eq!(file.ea, present.ea);
                }
                _ => assert!(*file == present, "{disposition:?}"),
            }
        }
    }
    for number in [0, 6, u32::MAX] {
        assert_eq!(code(Disposition::try_from(number)), 87);
    }
}

#[test]
fn directories_need_backup_semantics() {
    let volume = MemoryVolume::new();
    volume.insert("dir", MemoryFile::directory().with_stream(Some(name("a")), b"kept"));
    let system = System::new(volume.clone());
    assert_eq!(code(create(&system, "dir", READ, FileFlags::empty())), 5);
    assert_eq!(code(create(&system, "dir", READ, FileFlags::OPEN_REPARSE_POINT)), 5);
    assert!(create(&system, "dir", READ, FileFlags::BACKUP_SEMANTICS).is_ok());
    for disposition in [Disposition::CreateAlways, Disposition::TruncateExisting] {
        let flags = FileFlags::BACKUP_SEMANTICS;
        let how = Create { access: WRITE, disposition, flags, ..Create::default() };
        assert_eq!(code(system.create_file("dir", how)), 183, "a directory has no content to empty");
    }
    assert_eq!(content(&volume.get("dir").unwrap().read(), Some("a")), b"kept");
}

#[test]
fn access_masks() {
    let (system, _) = bench(MemoryFile::file());
    let always = Access::SYNCHRONIZE | Access::FILE_READ_ATTRIBUTES;
    let bits = Access::from_bits_retain;
    for (asked, got) in [
        (Access::empty(), always),
        (Access::GENERIC_READ, bits(0x12_0089)),
        (Access::GENERIC_WRITE, bits(0x12_0116) | always),
        (Access::GENERIC_EXECUTE, bits(0x12_00A0)),
        (Access::GENERIC_ALL, bits(0x1F_01FF)),
        (Access::MAXIMUM_ALLOWED, bits(0x1F_01FF)),
        (READ, bits(0x112_0089)),
    ] {
        assert_eq!(open(&system, "f", asked).access(), got, "{asked:?}");
    }
    for bit in (0..32).map(|n| 1_u32 << n).filter(|bit| 0x0CE0_FE00 & bit != 0) {
        assert_eq!(code(create(&system, "f", READ | bits(bit), ITSELF)), 5, "{bit:#x}");
    }
    let (system, _) = bench(MemoryFile::file());
    let system = system.with_privileges(Privileges::all() - Privileges::SECURITY);
    assert_eq!(code(create(&system, "f", READ, ITSELF)), 1314);
    assert!(create(&system, "f", Access::GENERIC_READ, ITSELF).is_ok());
}

#[test]
fn combinations_that_are_87() {
    let (system, shared) = bench(MemoryFile::file().with_stream(None, b"kept"));
    let (access, flags, disposition) = (WRITE, ITSELF, Disposition::CreateAlways);
    assert_eq!(code(system.create_file("f", Create { access, flags, disposition, ..Create::default() })), 87);
    let (access, flags, disposition) = (READ, FileFlags::empty(), Disposition::TruncateExisting);
    assert_eq!(code(system.create_file("f", Create { access, flags, disposition, ..Create::default() })), 87);
    assert_eq!(content(&shared.read(), None), b"kept");
    // FILE_FLAG_OVERLAPPED is not validated, nor is other advice.
    let overlapped = ITSELF | FileFlags::from_bits_retain(0x4800_0000);
    let file = create(&system, "f", READ, overlapped).unwrap();
    assert_eq!(read_all(&file, false, 64).unwrap(), stream(DATA, 0, b"kept"));
}

#[test]
fn share_modes() {
    let (read, write, delete) = (Access::GENERIC_READ, Access::GENERIC_WRITE, Access::DELETE);
    let attributes = Access::FILE_READ_ATTRIBUTES | Access::READ_CONTROL;
    let (none, all) = (Share::empty(), Share::all());
    for (first, first_share, second, second_share, number) in [
        (read, all, write, all, 0),
        (read, Share::READ, read, Share::READ, 0),
        (read, Share::READ, write, all, 32),
        (read, none, read, all, 32),
        (read, all, read, none, 32),
        (write, Share::READ | Share::WRITE, delete, all, 32),
        (delete, Share::DELETE, delete, Share::DELETE, 0),
        (attributes, none, write, none, 0),
        (write, none, attributes, none, 0),
        (read, Share::WRITE, write, Share::READ, 0),
    ] {
        let (system, _) = bench(MemoryFile::file());
        let open = |access, share| system.create_file("f", Create { access, share, ..Create::default() });
        let held = open(first, first_share).unwrap();
        let got = open(second, second_share).err().map_or(0, |error| error.win32().0);
        assert_eq!(got, number, "{first:?} {first_share:?} then {second:?} {second_share:?}");
        let clone = held.clone();
        drop(held);
        assert_eq!(open(second, second_share).is_err(), number != 0, "a clone is the same handle");
        drop(clone);
        assert!(open(second, second_share).is_ok(), "closed");
    }
}

#[test]
fn a_file_that_is_not_shared_is_not_emptied() {
    let (system, shared) = bench(MemoryFile::file().with_stream(None, b"kept"));
    let how = Create { access: READ, share: Share::READ, ..Create::default() };
    let held = system.create_file("f", how).unwrap();
    for disposition in [Disposition::CreateAlways, Disposition::TruncateExisting] {
        for access in [WRITE, WRITE | Access::GENERIC_ALL] {
            assert_eq!(
                code(system.create_file("f", Create { access, disposition, ..Create::default() })),
                32
            );
            assert_eq!(content(&shared.read(), None), b"kept");
        }
    }
    // Emptying is writing, also for a handle that asks for nothing of that kind.
    let how =
        Create { access: Access::READ_CONTROL, disposition: Disposition::CreateAlways, ..Create::default() };
    assert_eq!(code(system.create_file("f", how)), 32);
    drop(held);
    assert!(system.create_file("f", how).is_ok());
    assert_eq!(content(&shared.read(), None), b"");
}

#[test]
fn bs_33_links_are_followed_unless_they_are_opened() {
    let volume = MemoryVolume::new();
    let link = |path: &str, target: &str| {
        let mut file = MemoryFile::file();
        file.info.attributes |= FileAttributes::REPARSE_POINT;
        file.reparse = Some(reparse::symlink_from_print_name(&Name::from(target)).unwrap());
        volume.insert(path, file);
    };
    link("a/one", r"..\b\two");
    link("b/two", r".\three");
    volume.insert("b/three", MemoryFile::file().with_stream(None, b"three"));
    link("loop", "pool");
    link("pool", "loop");
    link("dangling", "nothing");
    link("absolute", r"C:\somewhere");
    let system = System::new(volume);
    for (path, followed) in [
        ("a/one", Ok(())),
        ("b/two", Ok(())),
        ("loop", Err(1921)),
        ("dangling", Err(2)),
        ("absolute", Err(3)),
    ] {
        let target = create(&system, path, READ, FileFlags::empty());
        let target =
            target.map(|file| assert_eq!(read_all(&file, false, 64).unwrap(), stream(DATA, 0, b"three")));
        assert_eq!(target.map_err(|error| error.win32().0), followed, "{path}");
        let itself = read_all(&create(&system, path, READ, ITSELF).unwrap(), false, 64).unwrap();
        assert_eq!(split(&itself)[0].id, REPARSE, "{path}");
    }
    // On what is no reparse point the flag does nothing.
    assert!(create(&system, "b/three", READ, FileFlags::OPEN_REPARSE_POINT).is_ok());
}

#[test]
fn a_handle_to_one_stream_is_87_for_the_backup_functions() {
    let (system, _) = bench(MemoryFile::file().with_stream(Some(name("s")), b"x"));
    let file = open(&system, "f:s", READ | WRITE);
    assert_eq!(code(read(&file, 64, false, &mut Context::default())), 87);
    assert_eq!(write(&file, b"", false, &mut Context::default()), (0, 87));
}

#[test]
fn opening_one_stream_leaves_the_others_alone() {
    for disposition in [Disposition::CreateAlways, Disposition::TruncateExisting] {
        let (system, shared) =
            bench(MemoryFile::file().with_stream(None, b"main").with_stream(Some(name("other")), b"x"));
        let how = Create { access: WRITE, disposition, ..Create::default() };
        let _ = system.create_file("f:other", how);
        assert_eq!(content(&shared.read(), None), b"main", "{disposition:?}");
    }
}

#[test]
fn a_stream_that_is_not_there_is_2() {
    let (system, _) = bench(MemoryFile::file());
    assert_eq!(code(create(&system, "f:missing", READ, ITSELF)), 2);
}

#[test]
fn restore_intent_with_its_privilege_grants_writing() {
    let bytes =
        [stream(SECURITY, 2, &full_sd()), stream(EA, 0, &eas(&[("A", 0, b"v")])), stream(DATA, 0, b"data")];
    let access = Access::WRITE_DAC | Access::WRITE_OWNER | Access::ACCESS_SYSTEM_SECURITY;
    for (privileges, flags, number) in [
        (Privileges::all(), FileFlags::BACKUP_SEMANTICS, 0),
        (Privileges::all(), FileFlags::empty(), 5),
        (Privileges::SECURITY | Privileges::BACKUP, FileFlags::BACKUP_SEMANTICS, 5),
    ] {
        let (system, shared) = bench(MemoryFile::file());
        // As the sample of Microsoft opens its target.
        let how = Create { access, disposition: Disposition::CreateAlways, flags, ..Create::default() };
        let file = system.with_privileges(privileges).create_file("f", how).unwrap();
        assert_eq!(
            write(&file, &bytes.concat(), true, &mut Context::default()).1,
            number,
            "{privileges:?} {flags:?}"
        );
        assert_eq!(content(&shared.read(), None) == b"data", number == 0);
    }
}

#[test]
fn errors_name_the_path() {
    let (system, _) = bench(MemoryFile::file());
    for disposition in DISPOSITIONS {
        let access = Access::from_bits_retain(0x200);
        let error = system.create_file("f", Create { access, disposition, ..Create::default() }).unwrap_err();
        assert!(error.to_string().starts_with("f: "), "{error}");
    }
    let error = backup_read(
        Some(&open(&system, "f", Access::empty())),
        &mut [0; 9],
        &mut 0,
        false,
        true,
        &mut Context::default(),
    );
    assert!(error.is_ok(), "no descriptor, no content, no EA: nothing is missing");
}

#[test]
fn bs_50_security_needs_the_flag_and_the_rights() {
    let old = sd("O:SYG:SYD:(A;;FA;;;SY)S:(AU;FA;FA;;;BU)");
    let (new, after) = (stream(SECURITY, 2, &full_sd()), named(":after", 0, b"x"));
    let without = |right| WRITE - right;
    for (access, flag, number) in [
        (WRITE, true, 0),
        (WRITE, false, 0),
        (without(Access::WRITE_DAC), true, 5),
        (without(Access::WRITE_OWNER), true, 5),
        (without(Access::WRITE_DAC | Access::WRITE_OWNER), false, 0),
    ] {
        let mut file = MemoryFile::file();
        file.security = Some(old.clone());
        let (system, shared) = bench(file);
        let file = open(&system, "f", access);
        let mut context = Context::default();
        assert_eq!(write(&file, &new, flag, &mut context), (new.len(), number), "{access:?} {flag}");
        assert_eq!(write(&file, &after, flag, &mut context).1, 0, "the next stream goes on");
        let set = flag && number == 0;
        assert_eq!(
            shared.read().security,
            Some(if set { full_sd() } else { old.clone() }),
            "{access:?} {flag}"
        );
        assert_eq!(content(&shared.read(), Some("after")), b"x");
    }
}

#[test]
fn bs_50_without_the_right_for_it_the_sacl_stays() {
    let mut file = MemoryFile::file();
    file.security = Some(sd("O:SYG:SYD:(A;;FA;;;SY)S:(AU;FA;FA;;;BU)"));
    let (system, shared) = bench(file);
    let report = Arc::new(Collected::new());
    let system = system.with_report(report.clone());
    let file = open(&system, "f", WRITE - Access::ACCESS_SYSTEM_SECURITY);
    assert_eq!(write(&file, &stream(SECURITY, 2, &full_sd()), true, &mut Context::default()).1, 0);
    let (got, old, new) = (shared.read().security.clone().unwrap(), sd("S:(AU;FA;FA;;;BU)"), full_sd());
    let parse = |bytes| SecurityDescriptor::parse(bytes).unwrap();
    let (got, old, new) = (parse(&got), parse(&old), parse(&new));
    assert_eq!((got.owner(), got.group(), got.dacl()), (new.owner(), new.group(), new.dacl()));
    assert_eq!(got.sacl(), old.sacl());
    assert!(!got.control().contains(Control::SACL_AUTO_INHERITED));
    assert_eq!(report.losses().iter().map(|loss| loss.kind).collect::<Vec<_>>(), [LossKind::Sacl]);
}

fn system_without_privileges(file: MemoryFile) -> (System, SharedFile) {
    let (system, shared) = bench(file);
    (system.with_privileges(Privileges::empty()), shared)
}

/// What a handle that may only read, of a caller without privileges, must not be able to do.
fn assert_refused(streams: &[Vec<u8>]) {
    for bytes in streams {
        let before = MemoryFile::file().with_stream(None, b"old");
        let (system, shared) = system_without_privileges(before.clone());
        let file = open(&system, "f", Access::GENERIC_READ);
        let (_, number) = write(&file, bytes, true, &mut Context::default());
        assert_eq!((number, *shared.read() == before), (5, true), "{:?}", shape(bytes));
    }
}

#[test]
fn content_eas_and_security_need_a_right() {
    assert_refused(&[
        stream(DATA, 0, b"new"),
        named(":a", 0, b"new"),
        block(0, b"new"),
        stream(EA, 0, &eas(&[("A", 0, b"v")])),
        stream(SECURITY, 2, &full_sd()),
    ]);
}

#[test]
fn reparse_points_and_object_ids_need_a_right() {
    assert_refused(&[stream(REPARSE, 0, &opaque_reparse()), stream(OBJECT_ID, 0, &[1; 64])]);
}

#[test]
fn what_was_refused_at_its_header_is_not_written_later() {
    let directory = MemoryFile::directory().with_stream(Some(name("a")), b"old");
    let file = MemoryFile::file().with_stream(None, b"old").with_stream(Some(name("a")), b"old");
    for (what, before, access, bytes, number) in [
        ("DATA without the right", &file, Access::GENERIC_READ, stream(DATA, 0, b"secret"), 5),
        ("ALTERNATE without the right", &file, Access::GENERIC_READ, named(":b", 0, b"secret"), 5),
        ("a block without the right", &file, Access::GENERIC_READ, block(0, b"secret"), 5),
        (
            "DATA for a directory",
            &directory,
            WRITE,
            [named(":a", 0, b"old"), stream(DATA, 0, b"secret")].concat(),
            87,
        ),
    ] {
        for seek in [false, true] {
            let (system, shared) = bench(before.clone());
            let system = if number == 5 { system.with_privileges(Privileges::empty()) } else { system };
            let (file, mut context) = (open(&system, "f", access), Context::default());
            let (taken, got) = write(&file, &bytes, true, &mut context);
            assert_eq!(got, number, "{what}");
            if seek {
                backup_seek(Some(&file), (bytes.len() - taken) as u64, &mut 0, &mut context).unwrap();
            } else {
                write(&file, &bytes[taken..], true, &mut context);
            }
            assert!(*shared.read() == *before, "{what}, seek {seek}: {:?}", shared.read());
        }
    }
}

#[test]
fn bs_50_a_damaged_descriptor_can_be_replaced() {
    let mut file = MemoryFile::file();
    file.security = Some(b"damaged".to_vec());
    let (system, shared) = bench(file);
    let new = sd("O:BAG:BAD:(A;;FA;;;BA)");
    let file = open(&system, "f", WRITE - Access::ACCESS_SYSTEM_SECURITY);
    assert_eq!(write(&file, &stream(SECURITY, 2, &new), true, &mut Context::default()).1, 0);
    let got = shared.read().security.clone().unwrap();
    assert_eq!(
        SecurityDescriptor::parse(&got).unwrap().dacl(),
        SecurityDescriptor::parse(&new).unwrap().dacl()
    );
}

#[test]
fn bs_50_the_flag_does_not_go_around_the_rights() {
    let old = sd("O:SYG:SYD:(A;;FA;;;SY)");
    let mut file = MemoryFile::file();
    file.security = Some(old.clone());
    let (system, shared) = bench(file);
    let file = open(&system, "f", Access::GENERIC_WRITE);
    let (bytes, mut context) = (stream(SECURITY, 2, &full_sd()), Context::default());
    assert_eq!(write(&file, &bytes[..30], true, &mut context), (30, 0));
    write(&file, &bytes[30..], false, &mut context);
    assert_eq!(shared.read().security, Some(old));
}
