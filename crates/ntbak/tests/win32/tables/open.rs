use super::*;
use ntbak::win32::write_file;

pub fn dispositions(system: &System, _: Kind) {
    for (disposition, missing, existing, content, existed) in [
        (Disposition::CreateNew, 0, 80, "old", false),
        (Disposition::CreateAlways, 0, 0, "", true),
        (Disposition::OpenExisting, 2, 0, "old", true),
        (Disposition::OpenAlways, 0, 0, "old", true),
        (Disposition::TruncateExisting, 2, 0, "", true),
    ] {
        let (there, gone) =
            (format!(r"C:\there{}", disposition as u32), format!(r"C:\gone{}", disposition as u32));
        put(system, &there, b"old");
        let made = create(system, &gone, BOTH, disposition);
        if let Ok(made) = &made {
            assert!(!made.existed(), "{disposition:?}");
        }
        fails(made, missing, (disposition, "missing"));
        assert_eq!(exists(system, &gone), missing == 0, "{disposition:?}");
        let opened = create(system, &there, BOTH, disposition);
        assert_eq!(opened.as_ref().is_ok_and(Handle::existed), existed, "{disposition:?}");
        fails(opened, existing, disposition);
        assert_eq!(get(system, &there), content.as_bytes(), "{disposition:?}");
    }
    for value in [0, 6, u32::MAX] {
        assert_eq!(Disposition::try_from(value).unwrap_err().win32().0, 87);
    }
    for (access, expected) in [
        (Access::empty(), 87),
        (READ, 87),
        (Access::FILE_WRITE_DATA, 87),
        (Access::GENERIC_ALL, 87),
        (WRITE, 0),
        (BOTH, 0),
    ] {
        fails(create(system, r"C:\there1", access, Disposition::TruncateExisting), expected, access);
    }
    for (access, expected) in [(Access::FILE_APPEND_DATA, 87), (WRITE, 0), (Access::GENERIC_ALL, 0)] {
        fails(with(system, r"C:\there1", access, FileFlags::NO_BUFFERING), expected, access);
    }
    let how = Create {
        access: WRITE,
        disposition: NEW,
        flags: FileFlags::DELETE_ON_CLOSE,
        attributes: FileAttributes::READONLY,
        ..Create::default()
    };
    fails(system.create_file(r"C:\x", how), 5, "a read-only file that is deleted on close");
    let how = Create {
        access: WRITE,
        disposition: Disposition::CreateAlways,
        flags: FileFlags::OPEN_REPARSE_POINT,
        ..Create::default()
    };
    fails(system.create_file(r"C:\there1", how), 87, "CREATE_ALWAYS with OPEN_REPARSE_POINT");
    // An overwrite takes the named streams away.
    put(system, r"C:\there1:s", b"stream");
    drop(create(system, r"C:\there1", WRITE, Disposition::CreateAlways).unwrap());
    fails(create(system, r"C:\there1:s", READ, EXISTING), 2, "the stream after CREATE_ALWAYS");
    // TRUNCATE_EXISTING does not.
    put(system, r"C:\there1:s", b"stream");
    drop(create(system, r"C:\there1", WRITE, Disposition::TruncateExisting).unwrap());
    assert_eq!(get(system, r"C:\there1:s"), b"stream");
}

pub fn streams(system: &System, _: Kind) {
    for (at, (disposition, missing, existing, content)) in [
        (Disposition::CreateNew, 0, 80, "old"),
        (Disposition::CreateAlways, 0, 0, ""),
        (Disposition::OpenExisting, 2, 0, "old"),
        (Disposition::OpenAlways, 0, 0, "old"),
        (Disposition::TruncateExisting, 2, 0, ""),
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!(r"C:\f{at}");
        put(system, &file, b"main");
        put(system, &format!("{file}:there"), b"old");
        fails(create(system, &format!("{file}:gone"), BOTH, disposition), missing, (disposition, "missing"));
        fails(create(system, &format!("{file}:THERE"), BOTH, disposition), existing, disposition);
        assert_eq!(get(system, &format!("{file}:there:$DATA")), content.as_bytes(), "{disposition:?}");
        assert_eq!(get(system, &format!("{file}::$DATA")), b"main", "{disposition:?}");
    }
    // A stream makes its file; of a directory it needs no BACKUP_SEMANTICS.
    put(system, r"C:\new:s", b"1");
    assert_eq!(get(system, r"C:\new"), b"");
    system.create_directory(r"C:\d").unwrap();
    put(system, r"C:\d:s", b"2");
    assert_eq!(get(system, r"C:\d:s"), b"2");
    put(system, r"C:\:root", b"3");
    assert_eq!(get(system, r"C:\:root"), b"3");
    fails(create(system, r"C:\gone:s", READ, EXISTING), 2, "a stream of nothing");
    set_attributes(system, r"C:\new", FileAttributes::READONLY);
    fails(create(system, r"C:\new:t", WRITE, NEW), 5, "a stream of a read-only file");
    fails(create(system, r"C:\new:s", WRITE, EXISTING), 5, "writing a stream of a read-only file");
    set_attributes(system, r"C:\new", FileAttributes::NORMAL);
}

pub fn attributes(system: &System, kind: Kind) {
    let (hidden, system_file, readonly) =
        (FileAttributes::HIDDEN, FileAttributes::SYSTEM, FileAttributes::READONLY);
    let how =
        |attributes, disposition| Create { access: WRITE, attributes, disposition, ..Create::default() };
    let always = Disposition::CreateAlways;
    for (name, has, gives, expected) in [
        ("a", hidden, FileAttributes::empty(), 5),
        ("b", system_file, hidden, 5),
        ("c", hidden, hidden, 0),
        ("d", hidden | system_file, hidden | system_file, 0),
        ("e", readonly, readonly, 5),
        ("f", FileAttributes::ARCHIVE, hidden, 0),
    ] {
        let path = format!(r"C:\{name}");
        drop(system.create_file(&path, how(has, NEW)).unwrap());
        let shown = system.get_file_attributes(&path).unwrap();
        assert!(shown.contains(has), "{name} {shown:?}");
        fails(system.create_file(&path, how(gives, always)), expected, name);
        let shown = system.get_file_attributes(&path).unwrap();
        assert!(shown.contains(if expected == 0 { gives } else { has }), "{name} {shown:?}");
    }
    // A read-only file can be written by the handle that made it.
    let file = system.create_file(r"C:\r", how(readonly, NEW)).unwrap();
    write_file(&file, b"x").unwrap();
    drop(file);
    fails(create(system, r"C:\r", WRITE, EXISTING), 5, "writing a read-only file");
    fails(create(system, r"C:\r", Access::FILE_APPEND_DATA, EXISTING), 5, "appending to a read-only file");
    fails(create(system, r"C:\r", READ | Access::DELETE, EXISTING), 0, "reading one");
    fails(system.create_file(r"C:\x", how(FileAttributes::ENCRYPTED, NEW)), 50, "making an encrypted file");
    assert!(!exists(system, r"C:\x"), "{kind:?}");
}

pub fn directories(system: &System, _: Kind) {
    system.create_directory(r"C:\d").unwrap();
    let backup = FileFlags::BACKUP_SEMANTICS;
    for (path, disposition, flags, expected) in [
        (r"C:\d", EXISTING, FileFlags::empty(), 5),
        (r"C:\d", NEW, FileFlags::empty(), 5),
        (r"C:\d", Disposition::CreateAlways, FileFlags::empty(), 5),
        (r"C:\d", Disposition::OpenAlways, FileFlags::empty(), 5),
        (r"C:\d", Disposition::TruncateExisting, FileFlags::empty(), 5),
        (r"C:\d\", EXISTING, FileFlags::empty(), 3),
        (r"C:\d", EXISTING, FileFlags::OPEN_REPARSE_POINT, 5),
        (r"C:\d", EXISTING, backup, 0),
        (r"C:\d\", EXISTING, backup, 0),
        (r"C:\d::$INDEX_ALLOCATION", EXISTING, backup, 0),
        (r"C:\d:$I30:$INDEX_ALLOCATION", EXISTING, backup, 0),
        (r"C:\d", Disposition::OpenAlways, backup, 0),
        (r"C:\d", NEW, backup, 80),
        (r"C:\d", Disposition::CreateAlways, backup, 183),
        (r"C:\d", Disposition::TruncateExisting, backup, 183),
        (r"C:\", EXISTING, backup, 0),
        (r"C:", EXISTING, backup, 0),
        (r"C:\", EXISTING, FileFlags::empty(), 3),
        (r"C:\", NEW, backup, 5),
        (r"C:\", Disposition::OpenAlways, backup, 0),
        (r"C:\", Disposition::CreateAlways, backup, 5),
        (r"C:\", Disposition::TruncateExisting, backup, 5),
        (r"C:\new\", NEW, backup, 123),
        (r"C:\gone\", EXISTING, backup, 2),
    ] {
        let how = Create { access: BOTH, disposition, flags, ..Create::default() };
        fails(system.create_file(path, how), expected, (path, disposition, flags));
    }
}

pub fn rights(system: &System, _: Kind) {
    put(system, r"C:\f", b"x");
    for (access, expected) in [
        (Access::empty(), 0),
        (Access::GENERIC_ALL, 0),
        (Access::MAXIMUM_ALLOWED, 0),
        (Access::from_bits_retain(0x200), 5),
        (Access::from_bits_retain(0x0800_0000), 5),
        (Access::ACCESS_SYSTEM_SECURITY, 0),
    ] {
        fails(create(system, r"C:\f", access, EXISTING), expected, access);
    }
    assert_eq!(create(system, r"C:\f", READ, EXISTING).unwrap().access().bits(), 0x12_0089);
}

pub fn delete_on_close(system: &System, _: Kind) {
    let flags = FileFlags::DELETE_ON_CLOSE;
    let how = Create { access: WRITE, flags, disposition: NEW, ..Create::default() };
    let first = system.create_file(r"C:\f", how).unwrap();
    let second = create(system, r"C:\f", READ, EXISTING).unwrap();
    write_file(&first, b"x").unwrap();
    drop(first);
    // From now on nobody opens it.
    fails(create(system, r"C:\f", READ, EXISTING), 5, "deleted, and still open");
    fails(create(system, r"C:\f", WRITE, Disposition::CreateAlways), 5, "deleted, and still open");
    assert_eq!(ntbak::win32::read_file(&second, &mut [0; 9]).unwrap(), 1);
    drop(second);
    assert!(!exists(system, r"C:\f"));
    // Of a stream, the stream alone; a clone keeps the handle open.
    put(system, r"C:\g", b"main");
    put(system, r"C:\g:s", b"x");
    let file = with(system, r"C:\g:s", READ, flags).unwrap();
    let clone = file.clone();
    drop(file);
    assert_eq!(names(system, r"C:\"), ["g"]);
    fails(create(system, r"C:\g:s", READ, EXISTING), 0, "a clone is open");
    drop(clone);
    fails(create(system, r"C:\g:s", READ, EXISTING), 2, "the stream is gone");
    assert_eq!(get(system, r"C:\g"), b"main");
    set_attributes(system, r"C:\g", FileAttributes::READONLY);
    fails(with(system, r"C:\g", READ, flags), 5, "a read-only file");
    system.create_directory(r"C:\d").unwrap();
    drop(with(system, r"C:\d", READ, flags | FileFlags::BACKUP_SEMANTICS).unwrap());
    assert_eq!(names(system, r"C:\"), ["g"]);
    // What others do not share to be deleted cannot be opened so.
    put(system, r"C:\h", b"x");
    let _held = shared(system, r"C:\h", READ, Share::READ).unwrap();
    fails(with(system, r"C:\h", READ, flags), 32, "not shared");
}
