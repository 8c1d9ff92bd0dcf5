//! OpenEncryptedFileRaw, ReadEncryptedFileRaw, WriteEncryptedFileRaw, CloseEncryptedFileRaw: the contracts of the callbacks.

use std::fs;
use std::path::Path;

use ntbak::efs::import_raw;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::win32::{
    Access, Create, Disposition, FileFlags, HostVolume, MemoryVolume, RawFlags, Share, System,
    close_encrypted_file_raw, open_encrypted_file_raw, read_encrypted_file_raw, write_encrypted_file_raw,
};
use ntbak::{Capabilities, Collected, Error, Facts, FileReport, place};
use ntbak_wire::FileAttributes;
use ntbak_wire::efs::Content;
use tempfile::{TempDir, tempdir};

use crate::made::*;

const IMPORT: RawFlags = RawFlags::CREATE_FOR_IMPORT;

fn code<T>(result: Result<T, Error>) -> u32 {
    result.err().map_or(0, |error| error.win32().0)
}

fn exported(system: &System, path: &str, flags: RawFlags) -> Result<Vec<u8>, Error> {
    let mut context = open_encrypted_file_raw(system, path, flags)?;
    let mut out = Vec::new();
    let export = |data: &[u8]| {
        assert!(!data.is_empty() && data.len() <= 65_536);
        out.extend_from_slice(data);
        0
    };
    read_encrypted_file_raw(export, &mut context)?;
    close_encrypted_file_raw(context);
    Ok(out)
}

/// Gives `raw` in blocks of `block` bytes.
fn feed(mut raw: &[u8], block: usize) -> impl FnMut(&mut [u8], &mut u32) -> u32 {
    move |buffer: &mut [u8], len: &mut u32| {
        assert_eq!(*len as usize, buffer.len());
        let give = raw.len().min(block).min(buffer.len());
        buffer[..give].copy_from_slice(&raw[..give]);
        raw = &raw[give..];
        *len = give as u32;
        0
    }
}

fn imported(system: &System, path: &str, flags: RawFlags, raw: &[u8], block: usize) -> Result<(), Error> {
    let mut context = open_encrypted_file_raw(system, path, flags | IMPORT)?;
    // The closure borrows what the test owns.
    write_encrypted_file_raw(feed(raw, block), &mut context)
}

/// A system, the way to a path in it, and the directory in which it is.
type Where = (System, Box<dyn Fn(&str) -> String>, Option<TempDir>);

/// Systems over memory and over a directory.
fn systems() -> Vec<Where> {
    let dir = tempdir().unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    vec![
        (System::new(MemoryVolume::new()), Box::new(str::to_owned), None),
        (System::new(HostVolume), Box::new(move |name| format!("{root}/{name}")), Some(dir)),
    ]
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".ntbak-side")
        .collect();
    names.sort();
    names
}

fn two_streams() -> Vec<u8> {
    raw(metadata(0), vec![plan(None, Content::plain(70_000)), plan(Some("s"), Content::plain(3))])
}

#[test]
fn efs_26_efs_29_one_byte_a_call_is_one_call() {
    let raw = two_streams();
    for (system, at, _dir) in systems() {
        for (number, block) in [1, 2, 7, 511, 65_536, usize::MAX].into_iter().enumerate() {
            let path = at(&format!("f{number}"));
            imported(&system, &path, RawFlags::empty(), &raw, block).unwrap();
            assert!(exported(&system, &path, RawFlags::empty()).unwrap() == raw, "{block}");
        }
    }
}

#[test]
fn efs_34_alternate_streams_are_dropped_both_ways() {
    let (raw, only) = (two_streams(), simple(70_000));
    for (system, at, _dir) in systems() {
        let drop = RawFlags::DROP_ALTERNATE_STREAMS;
        imported(&system, &at("f"), RawFlags::empty(), &raw, 1000).unwrap();
        assert!(exported(&system, &at("f"), drop).unwrap() == only);
        imported(&system, &at("g"), drop, &raw, 1000).unwrap();
        assert!(exported(&system, &at("g"), RawFlags::empty()).unwrap() == only);
    }
}

#[test]
fn efs_35_what_cannot_be_exported() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let system = System::new(HostVolume);
    fs::write(at("plain"), "x").unwrap();
    fs::create_dir(at("folder")).unwrap();
    assert_eq!(code(exported(&system, &at("plain"), RawFlags::empty())), 6007);
    assert_eq!(code(exported(&system, &at("folder"), RawFlags::empty())), 6007);
    assert_eq!(code(exported(&system, &at("gone"), RawFlags::empty())), 2);
    assert_eq!(code(exported(&system, &at("gone/f"), RawFlags::empty())), 3);
    assert_eq!(code(exported(&system, &at("plain"), RawFlags::CREATE_FOR_DIR)), 267);
}

#[test]
fn efs_36_what_is_there_is_replaced_or_not() {
    for (system, at, _dir) in systems() {
        imported(&system, &at("f"), RawFlags::empty(), &simple(10), 100).unwrap();
        imported(&system, &at("f"), RawFlags::empty(), &two_streams(), 100).unwrap();
        assert!(exported(&system, &at("f"), RawFlags::empty()).unwrap() == two_streams());
        imported(&system, &at("f"), RawFlags::empty(), &simple(10), 100).unwrap();
        assert!(exported(&system, &at("f"), RawFlags::empty()).unwrap() == simple(10));
    }
    // Hidden and read-only ones; what is no stream stays.
    let volume = MemoryVolume::new();
    let system = System::new(volume.clone());
    let mut hidden = MemoryFile::file().with_stream(None, b"plain");
    hidden.info.attributes |= FileAttributes::HIDDEN;
    hidden.security = Some(b"\x01\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec());
    let security = hidden.security.clone();
    volume.insert("hidden", hidden);
    assert_eq!(code(imported(&system, "hidden", RawFlags::empty(), &simple(1), 9)), 5);
    imported(&system, "hidden", RawFlags::OVERWRITE_HIDDEN, &simple(1), 9).unwrap();
    let file = volume.get("hidden").unwrap();
    assert!(file.read().info.attributes.contains(FileAttributes::HIDDEN | FileAttributes::ENCRYPTED));
    assert_eq!(file.read().security, security);
    let mut read_only = MemoryFile::file();
    read_only.info.attributes |= FileAttributes::READONLY;
    volume.insert("read-only", read_only);
    assert_eq!(code(imported(&system, "read-only", RawFlags::empty(), &simple(1), 9)), 5);
}

/// What is damaged is what an import is for.
#[test]
fn efs_36_a_damaged_file_is_replaced() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f").to_str().unwrap().to_owned();
    let system = System::new(HostVolume);
    imported(&system, &path, RawFlags::empty(), &two_streams(), 100).unwrap();
    fs::write(&path, "no ciphertext").unwrap();
    assert_eq!(code(exported(&system, &path, RawFlags::empty())), 13);
    imported(&system, &path, RawFlags::empty(), &two_streams(), 100).unwrap();
    assert!(exported(&system, &path, RawFlags::empty()).unwrap() == two_streams());
}

#[test]
fn a_place_without_encrypted_files_says_so() {
    let can = Capabilities::everything().without(Facts::EFS, "not here");
    let target = SharedFile::new(MemoryFile::file());
    let sink = Box::new(MemorySink::staged(target, false).with_capabilities(can));
    let told = Collected::new();
    let (mut raw, report) = (simple(10), FileReport { to: &told, path: Path::new("f") });
    let read = |block: &mut [u8]| {
        let len = raw.len().min(block.len());
        block[..len].copy_from_slice(&raw[..len]);
        raw.drain(..len);
        Ok(len)
    };
    assert_eq!(code(import_raw(sink, None, read, &report)), 6014);
}

/// Without its ACL, the mode of a file would give the ACL's mask to the group.
#[test]
fn efs_36_what_linux_keeps_of_a_file_stays() {
    let volume = MemoryVolume::new();
    let system = System::new(volume.clone());
    let mut there = MemoryFile::file();
    there.linux_attributes.insert(b"system.posix_acl_access".to_vec(), vec![2, 0, 0, 0]);
    volume.insert("f", there.clone());
    imported(&system, "f", RawFlags::empty(), &simple(1), 9).unwrap();
    let file = volume.get("f").unwrap();
    assert_eq!(file.read().linux_attributes, there.linux_attributes);
    assert!(file.read().efs_raw.is_some());
}

#[test]
fn efs_37_efs_38_directories() {
    let mut stream = plan(Some("s"), Content::plain(700));
    stream.head.encrypted = false;
    let raw = raw(metadata(0), vec![stream]);
    let flags = RawFlags::CREATE_FOR_DIR;
    for (system, at, _dir) in systems() {
        for _ in 0..2 {
            imported(&system, &at("d"), flags, &raw, 50).unwrap();
        }
        assert!(exported(&system, &at("d"), RawFlags::empty()).unwrap() == raw);
        assert!(exported(&system, &at("d"), flags).unwrap() == raw);
        imported(&system, &at("f"), RawFlags::empty(), &simple(1), 50).unwrap();
        assert_eq!(code(imported(&system, &at("f"), flags, &raw, 50)), 267);
        assert_eq!(code(imported(&system, &at("d"), RawFlags::empty(), &simple(1), 50)), 5);
    }
}

#[test]
fn efs_39_data_of_the_other_kind() {
    for (system, at, dir) in systems() {
        // Nothing says that metadata alone were a directory's: an empty encrypted file.
        imported(&system, &at("f"), RawFlags::empty(), &raw(metadata(0), vec![]), 50).unwrap();
        assert!(exported(&system, &at("f"), RawFlags::empty()).is_ok());
        for size in [0, 600] {
            let file = imported(&system, &at("d"), RawFlags::CREATE_FOR_DIR, &simple(size), 50);
            assert_eq!(code(file), 87, "{size}");
        }
        if let Some(dir) = dir {
            assert_eq!(names(dir.path()), ["f"]);
        }
    }
}

#[test]
fn efs_40_to_42_bad_imports_create_nothing_and_leave_what_was_there() {
    let raw = two_streams();
    for (system, at, dir) in systems() {
        for there in [false, true] {
            if there {
                imported(&system, &at("f"), RawFlags::empty(), &simple(10), 100).unwrap();
            }
            assert_eq!(code(imported(&system, &at("f"), RawFlags::empty(), b"", 1)), 6008);
            assert_eq!(
                code(imported(&system, &at("f"), RawFlags::empty(), &raw[..raw.len() - 1], 999)),
                6008
            );
            assert_eq!(
                code(imported(&system, &at("f"), RawFlags::empty(), b"not an export at all", 9)),
                6008
            );
            for fails in [1, 2, 5] {
                let mut context = open_encrypted_file_raw(&system, &at("f"), IMPORT).unwrap();
                let (mut call, mut next) = (0, feed(&raw, 1000));
                let import = |buffer: &mut [u8], len: &mut u32| {
                    call += 1;
                    if call == fails { 4711 } else { next(buffer, len) }
                };
                assert_eq!(code(write_encrypted_file_raw(import, &mut context)), 4711);
            }
            let mut context = open_encrypted_file_raw(&system, &at("f"), IMPORT).unwrap();
            let import = |_: &mut [u8], len: &mut u32| {
                *len += 1;
                0
            };
            assert_eq!(code(write_encrypted_file_raw(import, &mut context)), 87);
            drop(context);
            if let Some(dir) = &dir {
                assert_eq!(names(dir.path()), if there { vec!["f"] } else { vec![] });
            }
            match exported(&system, &at("f"), RawFlags::empty()) {
                Ok(found) => assert!(there && found == simple(10)),
                Err(error) => assert_eq!((there, error.win32().0), (false, 2)),
            }
        }
    }
}

#[test]
fn efs_43_an_export_callback_ends_it() {
    let (system, at, _dir) = systems().remove(0);
    imported(&system, &at("f"), RawFlags::empty(), &simple(300_000), 65_536).unwrap();
    for ends in 1..=3 {
        let mut context = open_encrypted_file_raw(&system, &at("f"), RawFlags::empty()).unwrap();
        let mut calls = 0;
        let export = |_: &[u8]| {
            calls += 1;
            if calls == ends { 995 } else { 0 }
        };
        assert_eq!(code(read_encrypted_file_raw(export, &mut context)), 995);
        assert_eq!(calls, ends);
        // Once more from the beginning.
        let mut size = 0;
        let export = |data: &[u8]| {
            size += data.len();
            0
        };
        read_encrypted_file_raw(export, &mut context).unwrap();
        assert_eq!(size, simple(300_000).len());
    }
}

#[test]
fn efs_44_efs_45_the_wrong_context() {
    for (system, at, dir) in systems() {
        imported(&system, &at("f"), RawFlags::empty(), &simple(3), 100).unwrap();
        let mut export = open_encrypted_file_raw(&system, &at("f"), RawFlags::empty()).unwrap();
        assert_eq!(code(write_encrypted_file_raw(|_, _| 0, &mut export)), 87);
        drop(export);
        let mut import = open_encrypted_file_raw(&system, &at("g"), IMPORT).unwrap();
        assert_eq!(code(read_encrypted_file_raw(|_| 0, &mut import)), 87);
        write_encrypted_file_raw(feed(&simple(3), 100), &mut import).unwrap();
        assert_eq!(code(write_encrypted_file_raw(feed(&simple(3), 100), &mut import)), 87);
        close_encrypted_file_raw(open_encrypted_file_raw(&system, &at("never"), IMPORT).unwrap());
        if let Some(dir) = dir {
            assert_eq!(names(dir.path()), ["f", "g"]);
        }
    }
}

#[test]
fn efs_46_flags_that_nobody_knows_are_ignored() {
    let (system, at, _dir) = systems().remove(0);
    let unknown = RawFlags::from_bits_retain(0xFFFF_FFE8);
    imported(&system, &at("f"), unknown, &simple(3), 100).unwrap();
    assert!(exported(&system, &at("f"), unknown).unwrap() == simple(3));
}

/// The C library's A and W variants translate to this name.
#[test]
fn efs_47_names_of_any_language_and_names_that_are_none() {
    for (system, at, dir) in systems() {
        for name in ["Grüße, мир – 世界 \u{1F5C4}", "e\u{301}"] {
            imported(&system, &at(name), RawFlags::empty(), &simple(3), 100).unwrap();
            assert!(exported(&system, &at(name), RawFlags::empty()).unwrap() == simple(3));
        }
        // The same letter in one character is another name.
        assert_eq!(code(exported(&system, &at("\u{e9}"), RawFlags::empty())), 2);
        if let Some(dir) = dir {
            assert_eq!(code(imported(&system, &at("nul\0l"), RawFlags::empty(), &simple(3), 100)), 87);
            assert_eq!(code(exported(&system, &at("nul\0l"), RawFlags::empty())), 87);
            assert_eq!(names(dir.path()).len(), 2);
        }
    }
}

#[test]
fn efs_48_an_open_handle_is_in_the_way() {
    let volume = MemoryVolume::new();
    let system = System::new(volume);
    imported(&system, "f", RawFlags::empty(), &simple(3), 100).unwrap();
    let how = Create {
        access: Access::GENERIC_WRITE,
        share: Share::empty(),
        disposition: Disposition::OpenExisting,
        flags: FileFlags::empty(),
        ..Create::default()
    };
    let handle = system.create_file("f", how).unwrap();
    assert_eq!(code(open_encrypted_file_raw(&system, "f", RawFlags::empty())), 32);
    assert_eq!(code(open_encrypted_file_raw(&system, "f", IMPORT)), 32);
    drop(handle);
    assert!(exported(&system, "f", RawFlags::empty()).is_ok());
}

#[test]
fn efs_49_a_callback_may_call_again_and_may_panic() {
    let (system, at, _dir) = systems().remove(0);
    imported(&system, &at("f"), RawFlags::empty(), &simple(3), 100).unwrap();
    imported(&system, &at("g"), RawFlags::empty(), &simple(4), 100).unwrap();
    let mut context = open_encrypted_file_raw(&system, &at("f"), RawFlags::empty()).unwrap();
    let export = |_: &[u8]| code(exported(&system, &at("g"), RawFlags::empty()));
    read_encrypted_file_raw(export, &mut context).unwrap();
    assert_eq!(code(read_encrypted_file_raw(|_| panic!("in a callback"), &mut context)), 1);
    let mut context = open_encrypted_file_raw(&system, &at("h"), IMPORT).unwrap();
    assert_eq!(code(write_encrypted_file_raw(|_, _| panic!("in a callback"), &mut context)), 1);
}

/// A plain copy of the file has the same raw data: what the API gives is what travels.
#[test]
fn a_copy_and_the_functions_agree() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    store(file(two_streams()), &path);
    let system = System::new(HostVolume);
    assert!(exported(&system, path.to_str().unwrap(), RawFlags::empty()).unwrap() == two_streams());
    assert!(place::open(&path).unwrap().encrypted().unwrap().is_some());
}
