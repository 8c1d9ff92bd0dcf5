use super::*;

pub fn make_followed(system: &System) {
    for directory in [r"C:\a", r"C:\a\b", r"C:\c"] {
        system.create_directory(directory).unwrap();
    }
    put(system, r"C:\a\b\f", b"f");
    put(system, r"C:\a\b\f:s", b"stream");
    put(system, r"C:\top", b"top");
    symlink(system, r"C:\one", r"a\b\f");
    symlink(system, r"C:\c\two", r"..\ONE");
    symlink(system, r"C:\c\rooted", r"\a\b\f");
    symlink(system, r"C:\absolute", r"C:\A\b\F");
    symlink(system, r"C:\other", r"E:\there");
    put(system, r"E:\there", b"E");
    junction(system, r"C:\j", r"C:\a\b");
    junction(system, r"C:\j2", r"C:\j");
    junction(system, r"C:\e", r"E:\");
    symlink(system, r"C:\a\b\up", r"..\..\top");
    symlink(system, r"C:\dangling", r"a\made");
}

pub fn followed(system: &System, kind: Kind) {
    for (path, content) in [
        (r"C:\one", &b"f"[..]),
        (r"C:\c\two", b"f"),
        (r"C:\c\rooted", b"f"),
        (r"C:\absolute", b"f"),
        (r"C:\other", b"E"),
        (r"C:\j\f", b"f"),
        (r"C:\j2\f:s", b"stream"),
        (r"C:\one:s", b"stream"),
        (r"C:\e\there", b"E"),
        // The text alone says where `..` leads; within a link it is the place where the link is.
        (r"C:\j\..\top", b"top"),
        (r"C:\j2\up", b"top"),
    ] {
        assert_eq!(get(system, path), content, "{path} {kind:?}");
    }
    fails(create(system, r"C:\dangling", READ, EXISTING), 2, "dangling");
    // The same file, whatever the way.
    let id = |path| ntbak::win32::get_id_info(&create(system, path, READ, EXISTING).unwrap()).unwrap();
    assert_eq!(id(r"C:\j2\f"), id(r"C:\absolute"));
    let itself = with(system, r"C:\one", READ, FileFlags::OPEN_REPARSE_POINT).unwrap();
    assert!(ntbak::win32::get_reparse_point(&itself).is_ok());
    // Behind a separator it is what the link leads to.
    assert!(system.get_file_attributes(r"C:\j").unwrap().contains(FileAttributes::REPARSE_POINT));
    assert!(!system.get_file_attributes(r"C:\j\").unwrap().contains(FileAttributes::REPARSE_POINT));
}

/// New files are made where the link leads.
pub fn made_through(system: &System, _: Kind) {
    make_followed(system);
    put(system, r"C:\j\new", b"new");
    assert_eq!(get(system, r"C:\a\b\new"), b"new");
    put(system, r"C:\dangling", b"made");
    assert_eq!(get(system, r"C:\a\made"), b"made");
    fails(system.remove_directory(r"C:\j\b"), 2, "below the junction");
}

const FOREIGN: ntbak_wire::reparse::ReparseTag = ntbak_wire::reparse::ReparseTag(0x123);

pub fn make_refused(system: &System) {
    symlink(system, r"C:\loop", "pool");
    symlink(system, r"C:\pool", "loop");
    symlink(system, r"C:\above", r"..\f");
    symlink(system, r"C:\far", r"..\..\..\..\..\etc\passwd");
    symlink(system, r"C:\letter", r"D:\f");
    symlink(system, r"C:\share", r"\\server\share\f");
    symlink(system, r"C:\volume", r"\\?\Volume{12345678-1234-1234-1234-123456789abc}\f");
    symlink(system, r"C:\slash", "/etc/passwd");
    junction(system, r"C:\out", r"D:\");
    for n in 0..70 {
        symlink(system, &format!(r"C:\n{n}"), &format!("n{}", n + 1));
    }
    put(system, r"C:\n70", b"end");
    // Nobody knows what this one means.
    let guid = ntbak_wire::object_id::Guid([7; 16]);
    let foreign = ntbak_wire::reparse::build(FOREIGN, Some(guid), b"data").unwrap();
    put(system, r"C:\foreign", b"");
    let file = with(system, r"C:\foreign", WRITE, ITSELF).unwrap();
    ntbak::win32::set_reparse_point(&file, &foreign).unwrap();
}

pub fn refused(system: &System, kind: Kind) {
    for (path, expected) in [
        (r"C:\loop", 1921),
        (r"C:\above", 1921),
        (r"C:\far", 1921),
        (r"C:\letter", 3),
        (r"C:\share", 1921),
        (r"C:\volume", 1921),
        (r"C:\slash", 1921),
        (r"C:\out\f", 3),
        (r"C:\n7", 0),
        (r"C:\n6", 1921),
    ] {
        fails(create(system, path, READ, EXISTING), expected, (path, kind));
        fails(with(system, path, READ, ITSELF), if path == r"C:\out\f" { 3 } else { 0 }, (path, "itself"));
    }
    fails(create(system, r"C:\foreign", READ, EXISTING), 1920, kind);
    fails(with(system, r"C:\foreign", READ, ITSELF), 0, kind);
}
