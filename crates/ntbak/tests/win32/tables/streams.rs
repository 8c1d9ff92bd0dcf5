//! `BackupRead`, `BackupSeek`, `BackupWrite`: what they take and refuse; what they carry is shown by the backup program.

use super::*;
use ntbak::win32::{Context, backup_finish, backup_read, backup_seek, backup_write};

/// A stream: its id, its name, and its payload; as long as it says.
fn stream(id: u32, name: &str, size: u64, payload: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut out = [id.to_le_bytes(), [0; 4]].concat();
    out.extend(size.to_le_bytes());
    out.extend((name.len() as u32).to_le_bytes());
    [out, name, payload.to_vec()].concat()
}

fn whole(id: u32, name: &str, payload: &[u8]) -> Vec<u8> {
    stream(id, name, payload.len() as u64, payload)
}

fn unbuffered(system: &System, path: &str) -> Handle {
    let how = Create { access: READ, flags: FileFlags::NO_BUFFERING, ..Create::default() };
    system.create_file(path, how).unwrap()
}

/// Reads to the end or to an error, in pieces.
fn read_all(file: &Handle, security: bool) -> (Vec<u8>, u32) {
    let (mut context, mut all, mut buffer, mut read) = (Context::default(), Vec::new(), [0; 37], 9);
    loop {
        let result = backup_read(Some(file), &mut buffer, &mut read, false, security, &mut context);
        all.extend_from_slice(&buffer[..read as usize]);
        if result.is_err() || read == 0 {
            return (all, number(&result));
        }
    }
}

pub fn make_read(system: &System) {
    put(system, r"C:\f", b"content");
    put(system, r"C:\f:s", b"stream");
    let file = create(system, r"C:\f", BOTH | Access::WRITE_DAC | Access::WRITE_OWNER, EXISTING).unwrap();
    let security = whole(3, "", &descriptor());
    backup_write(Some(&file), &security, &mut 0, false, true, &mut Context::default()).unwrap();
    system.create_directory(r"C:\d").unwrap();
}

/// A security descriptor without anything in it.
fn descriptor() -> Vec<u8> {
    [&[1, 0, 0, 0x80][..], &[0; 16]].concat()
}

pub fn read(system: &System, kind: Kind) {
    let file = create(system, r"C:\f", READ, EXISTING).unwrap();
    let other = create(system, r"C:\f", READ, EXISTING).unwrap();
    let named = create(system, r"C:\f:s", READ, EXISTING).unwrap();
    let raw = unbuffered(system, r"C:\f");
    let (mut buffer, mut moved) = ([0; 64], 9);
    for (handle, expected) in [(None, 6), (Some(&named), 87), (Some(&raw), 87)] {
        let mut context = Context::default();
        fails(
            backup_read(handle, &mut buffer, &mut moved, false, true, &mut context),
            expected,
            (handle, kind),
        );
        assert_eq!(moved, 0);
        // To give up needs no handle.
        backup_read(handle, &mut buffer, &mut moved, true, true, &mut context).unwrap();
    }
    // One context belongs to one handle and one direction.
    let mut context = Context::default();
    fails(backup_seek(Some(&file), 1, &mut 9, &mut context), 87, "a context that is NULL");
    fails(backup_seek(None, 1, &mut 9, &mut context), 6, "no handle");
    backup_read(Some(&file), &mut buffer[..0], &mut moved, false, false, &mut context).unwrap();
    fails(backup_read(Some(&other), &mut buffer, &mut moved, false, false, &mut context), 87, kind);
    fails(backup_write(Some(&file), &[0; 20], &mut moved, false, false, &mut context), 87, kind);
    let mut at = 9;
    fails(backup_seek(Some(&other), 1, &mut at, &mut context), 87, kind);
    fails(backup_seek(Some(&file), 1, &mut at, &mut context), 25, "at the beginning");
    backup_read(Some(&file), &mut buffer[..20], &mut moved, false, false, &mut context).unwrap();
    backup_seek(Some(&file), 7, &mut at, &mut context).unwrap();
    fails(backup_seek(Some(&file), 1, &mut at, &mut context), 25, "between two streams");
    backup_read(Some(&file), &mut buffer[..10], &mut moved, false, false, &mut context).unwrap();
    fails(backup_seek(Some(&file), 1, &mut at, &mut context), 25, "in a header");
    backup_read(None, &mut buffer, &mut moved, true, false, &mut context).unwrap();
    // At the end, 0 bytes as often as one likes.
    let (all, ended) = read_all(&file, false);
    let expected = [whole(1, "", b"content"), whole(4, ":s:$DATA", b"stream")].concat();
    assert_eq!((&all[..expected.len()], ended), (&expected[..], 0), "{kind:?}");
    // Rights.
    let data = Access::FILE_READ_DATA;
    for (access, security, expected) in [
        (Access::empty(), false, 5),
        (Access::FILE_READ_ATTRIBUTES, false, 5),
        (data | Access::FILE_READ_EA, false, 0),
        (data | Access::FILE_READ_EA, true, 5),
        (data | Access::FILE_READ_EA | Access::READ_CONTROL, true, 0),
        (Access::GENERIC_READ, true, 0),
        (Access::GENERIC_ALL, true, if kind == Kind::Image { 19 } else { 0 }),
    ] {
        let got = create(system, r"C:\f", access, EXISTING);
        let got = got.map_or_else(|error| error.win32().0, |file| read_all(&file, security).1);
        assert_eq!(got, expected, "{access:?} {security} {kind:?}");
    }
    let directory = with(system, r"C:\d", READ, ITSELF).unwrap();
    assert_eq!(read_all(&directory, true).1, 0, "{kind:?}");
}

pub fn write(system: &System, kind: Kind) {
    put(system, r"C:\f", b"content");
    put(system, r"C:\f:s", b"stream");
    put(system, r"C:\empty", b"");
    system.create_directory(r"C:\d").unwrap();
    put(system, r"C:\d\in", b"in");
    let file = create(system, r"C:\f", BOTH, EXISTING).unwrap();
    let other = create(system, r"C:\f", BOTH, EXISTING).unwrap();
    let named = create(system, r"C:\f:s", BOTH, EXISTING).unwrap();
    let raw = unbuffered(system, r"C:\f");
    let mut taken = 9;
    for (handle, expected) in [(None, 6), (Some(&named), 87), (Some(&raw), 87)] {
        let mut context = Context::default();
        let got = backup_write(handle, &[0; 20], &mut taken, false, true, &mut context);
        fails(got, expected, (handle, kind));
        assert_eq!(taken, 0);
        backup_write(handle, &[], &mut taken, true, true, &mut context).unwrap();
    }
    let mut context = Context::default();
    backup_write(Some(&file), &whole(1, "", b"new")[..10], &mut taken, false, true, &mut context).unwrap();
    assert_eq!(taken, 10);
    fails(backup_write(Some(&other), &[0; 20], &mut taken, false, true, &mut context), 87, kind);
    fails(backup_read(Some(&file), &mut [0; 20], &mut taken, false, true, &mut context), 87, kind);
    fails(backup_seek(Some(&file), 1, &mut u64::MAX.clone(), &mut context), 25, "in a header");
    backup_write(None, &[], &mut taken, true, true, &mut context).unwrap();
    assert_eq!(get(system, r"C:\f"), b"content");
    drop((file, other, named, raw));
    let all = BOTH | Access::WRITE_DAC | Access::WRITE_OWNER;
    let ea = [&[0, 0, 0, 0, 0, 1, 1, 0][..], b"A\0v"].concat();
    let descriptor = descriptor();
    let object_id = [9; 64];
    let link = whole(5, "", &"\\gone\\target".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    for (path, access, data, expected) in [
        (r"C:\f", all, whole(1, "", b"data"), 0),
        (r"C:\f", READ, whole(1, "", b"data"), 5),
        (r"C:\d", all, whole(1, "", b"data"), 87),
        (r"C:\d", all, whole(1, "", b""), 0),
        (r"C:\d", all, whole(4, ":s:$DATA", b"stream"), 0),
        (r"C:\f", all, whole(4, ":s:$DATA", b"stream"), 0),
        (r"C:\f", READ, whole(4, ":s:$DATA", b"stream"), 5),
        (r"C:\f", all, whole(4, r":a\b:$DATA", b""), 123),
        (r"C:\f", all, whole(4, ":a:$EA", b""), 123),
        (r"C:\f", all, whole(4, "s", b""), 123),
        (r"C:\f", all, whole(2, "", &ea), 0),
        (r"C:\f", Access::FILE_WRITE_DATA, whole(2, "", &ea), 5),
        (r"C:\f", all, whole(2, "", &ea[..7]), 255),
        (r"C:\f", all, whole(3, "", &descriptor), 0),
        (r"C:\f", BOTH, whole(3, "", &descriptor), 5),
        (r"C:\f", all, whole(3, "", &descriptor[..19]), 1338),
        (r"C:\f", all, whole(7, "", &object_id), 0),
        (r"C:\f", all, whole(7, "", &object_id), 0),
        (r"C:\f", all, whole(7, "", &object_id[..63]), 13),
        (r"C:\empty", all, whole(7, "", &object_id), if kind == Kind::Directory { 0 } else { 52 }),
        (r"C:\empty", all, whole(8, "", &[3, 0, 0, 0xA0, 0]), 4392),
        (r"C:\f", all, link, 2),
        (r"C:\f", all, whole(0, "", b""), 13),
        (r"C:\f", all, whole(12, "", b""), 13),
        (r"C:\f", all, stream(1, "", 1 << 63, b""), 13),
        (r"C:\f", all, stream(1, "", u64::MAX, b""), 13),
        (r"C:\f", all, stream(2, "", 1 << 40, b""), 13),
    ] {
        // With BACKUP_SEMANTICS and the privilege to restore, all but security can be written, whatever was asked for.
        let flags = if path == r"C:\d" { ITSELF } else { FileFlags::OPEN_REPARSE_POINT };
        let file = with(system, path, access, flags).unwrap();
        let got = backup_write(Some(&file), &data, &mut taken, false, true, &mut Context::default());
        fails(got, expected, (path, access, &data, kind));
    }
    assert_eq!((get(system, r"C:\f"), get(system, r"C:\d:s")), (b"data".to_vec(), b"stream".to_vec()));
    // Half a stream is told when the context is finished.
    let file = create(system, r"C:\f", all, EXISTING).unwrap();
    for (data, expected) in
        [(&whole(1, "", b"data")[..], 0), (&whole(1, "", b"data")[..22], 13), (&[][..], 0)]
    {
        let mut context = Context::default();
        backup_write(Some(&file), data, &mut taken, false, true, &mut context).unwrap();
        fails(backup_finish(&mut context), expected, (data.len(), kind));
    }
}
