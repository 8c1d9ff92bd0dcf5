//! Encrypted files without a key: out of their place as they are stored, and into another.

use super::super::made::{metadata, plan, raw};
use super::*;
use ntbak::win32::{
    Context, EncryptedFileRaw, EncryptionStatus, RawFlags, backup_read, close_encrypted_file_raw,
    file_encryption_status, open_encrypted_file_raw, query_recovery_agents_on_encrypted_file,
    query_users_on_encrypted_file, read_encrypted_file_raw, read_file, write_encrypted_file_raw,
};
use ntbak_wire::efs::Content;

const IMPORT: RawFlags = RawFlags::CREATE_FOR_IMPORT;
const EXPORT: RawFlags = RawFlags::empty();

fn encrypted(size: u64) -> Vec<u8> {
    raw(metadata(0), vec![plan(None, Content::plain(size)), plan(Some("stream"), Content::plain(100))])
}

fn import(system: &System, path: &str, flags: RawFlags, mut data: &[u8]) -> Result<()> {
    let mut context = open_encrypted_file_raw(system, path, IMPORT | flags)?;
    let give = |block: &mut [u8], len: &mut u32| {
        let (now, rest) = data.split_at(data.len().min(block.len()).min(10_000));
        block[..now.len()].copy_from_slice(now);
        (*len, data) = (now.len() as u32, rest);
        0
    };
    write_encrypted_file_raw(give, &mut context)
}

fn export(system: &System, path: &str, flags: RawFlags) -> Result<Vec<u8>> {
    let mut context = open_encrypted_file_raw(system, path, flags)?;
    let mut out = Vec::new();
    let take = |data: &[u8]| {
        out.extend_from_slice(data);
        0
    };
    read_encrypted_file_raw(take, &mut context)?;
    Ok(out)
}

pub fn make_exports(system: &System) {
    import(system, r"C:\e", RawFlags::empty(), &encrypted(100_000)).unwrap();
    put(system, r"C:\plain", b"plain");
    system.create_directory(r"C:\d").unwrap();
}

pub fn exports(system: &System, kind: Kind) {
    assert_eq!(export(system, r"C:\E", EXPORT).unwrap(), encrypted(100_000), "{kind:?}");
    let unnamed = raw(metadata(0), vec![plan(None, Content::plain(100_000))]);
    assert_eq!(export(system, r"C:\e", RawFlags::DROP_ALTERNATE_STREAMS).unwrap(), unnamed, "{kind:?}");
    for (path, flags, expected) in [
        (r"C:\e", EXPORT, 0),
        // What only an import knows is ignored.
        (r"C:\e", RawFlags::OVERWRITE_HIDDEN, 0),
        (r"C:\e", RawFlags::from_bits_retain(0x8000_0000), 0),
        (r"C:\e", RawFlags::CREATE_FOR_DIR, 267),
        (r"C:\plain", EXPORT, 6007),
        (r"C:\d", EXPORT, 6007),
        (r"C:\", EXPORT, 6007),
        (r"C:\gone", EXPORT, 2),
        (r"C:\gone\e", EXPORT, 3),
        (r"C:\e\e", EXPORT, 3),
        (r"D:\e", EXPORT, 3),
        (r"C:\a|b", EXPORT, 123),
        ("", EXPORT, 3),
    ] {
        fails(export(system, path, flags), expected, (path, flags, kind));
    }
    let mut context = open_encrypted_file_raw(system, r"C:\e", EXPORT).unwrap();
    let mut calls = 0;
    let refuse = |data: &[u8]| {
        calls += 1;
        assert!((1..=65_536).contains(&data.len()));
        if calls == 2 { 1223 } else { 0 }
    };
    fails(read_encrypted_file_raw(refuse, &mut context), 1223, "what the callback answers");
    assert_eq!(calls, 2);
    fails(read_encrypted_file_raw(|_| 0, &mut context), 0, "from the beginning again");
    fails(write_encrypted_file_raw(|_, _| 0, &mut context), 87, "it was opened for export");
    close_encrypted_file_raw(context);
    // Who can open it.
    let users = query_users_on_encrypted_file(system, r"C:\e").unwrap();
    assert_eq!(users.len(), 1, "{kind:?}");
    assert_eq!(query_recovery_agents_on_encrypted_file(system, r"C:\e").unwrap().len(), 0);
    for (path, expected) in [(r"C:\plain", 6007), (r"C:\gone", 2), (r"C:\gone\e", 3), (r"C:\a|b", 123)] {
        fails(query_users_on_encrypted_file(system, path), expected, (path, kind));
        fails(query_recovery_agents_on_encrypted_file(system, path), expected, (path, kind));
    }
    assert_eq!(file_encryption_status(system, r"C:\e").unwrap(), EncryptionStatus::Encrypted);
    fails(file_encryption_status(system, r"C:\gone"), 2, kind);
    // No key, no content.
    let file = create(system, r"C:\e", READ, EXISTING).unwrap();
    fails(read_file(&file, &mut [0; 9]), 5, kind);
    let (mut context, mut read) = (Context::default(), 9);
    fails(backup_read(Some(&file), &mut [0; 9], &mut read, false, false, &mut context), 5, kind);
    assert_eq!(read, 0);
}

pub fn imports(system: &System, kind: Kind) {
    let (data, none) = (encrypted(70_000), RawFlags::empty());
    for (path, attributes) in [
        (r"C:\plain", FileAttributes::ARCHIVE),
        (r"C:\hidden", FileAttributes::HIDDEN),
        (r"C:\system", FileAttributes::SYSTEM),
        (r"C:\read-only", FileAttributes::READONLY),
    ] {
        put(system, path, b"plain");
        set_attributes(system, path, attributes);
    }
    system.create_directory(r"C:\d").unwrap();
    for (path, flags, expected) in [
        (r"C:\new", none, 0),
        (r"C:\new", none, 0),
        (r"C:\plain", none, 0),
        (r"C:\hidden", none, 5),
        (r"C:\hidden", RawFlags::OVERWRITE_HIDDEN, 0),
        (r"C:\system", none, 0),
        (r"C:\read-only", none, 5),
        (r"C:\d", none, 5),
        (r"C:\new", RawFlags::CREATE_FOR_DIR, 267),
        (r"C:\gone\new", none, 3),
        (r"D:\new", none, 3),
        (r"C:\a|b", none, 123),
    ] {
        fails(import(system, path, flags, &data), expected, (path, flags, kind));
        if expected == 0 {
            assert_eq!(export(system, path, EXPORT).unwrap(), data, "{kind:?} {path}");
        }
    }
    // What fails leaves what was there.
    for (what, data, expected) in [
        ("cut", &data[..data.len() - 1], 6008),
        ("cut in its head", &data[..10], 6008),
        ("nothing", &[], 6008),
        ("something else", &[7; 70_000], 6008),
    ] {
        fails(import(system, r"C:\new", none, data), expected, (what, kind));
        fails(import(system, r"C:\never", none, data), expected, (what, kind));
    }
    assert_eq!(export(system, r"C:\new", EXPORT).unwrap(), encrypted(70_000), "{kind:?}");
    assert!(!exists(system, r"C:\never"), "{kind:?}");
    let context = |path| -> EncryptedFileRaw<'_> { open_encrypted_file_raw(system, path, IMPORT).unwrap() };
    let mut open = context(r"C:\never");
    fails(read_encrypted_file_raw(|_| 0, &mut open), 87, "it was opened for import");
    fails(write_encrypted_file_raw(|_, _| 1223, &mut open), 1223, "what the callback answers");
    fails(write_encrypted_file_raw(|_, _| 0, &mut open), 87, "a second time");
    let too_much = |block: &mut [u8], len: &mut u32| {
        *len = block.len() as u32 + 1;
        0
    };
    fails(write_encrypted_file_raw(too_much, &mut context(r"C:\never")), 87, "more than the buffer has");
    assert!(!exists(system, r"C:\never"), "{kind:?}");
    // Others.
    let held = shared(system, r"C:\new", READ, Share::READ).unwrap();
    fails(export(system, r"C:\new", EXPORT), 0, "shared");
    fails(import(system, r"C:\new", none, &data), 32, "not shared");
    drop(held);
    let exported = open_encrypted_file_raw(system, r"C:\new", EXPORT).unwrap();
    fails(create(system, r"C:\new", Access::DELETE, EXISTING), 32, "not shared");
    drop(exported);
    fails(create(system, r"C:\new", Access::DELETE, EXISTING), 0, "closed");
}
