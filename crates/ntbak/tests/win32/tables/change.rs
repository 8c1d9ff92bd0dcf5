use super::*;
use ntbak::win32::{MoveFlags, find_streams, get_standard_info};

pub fn directories(system: &System, _: Kind) {
    for (path, expected) in [
        (r"C:\d", 0),
        (r"C:\D", 183),
        (r"C:\d\", 183),
        (r"C:\", 183),
        (r"C:\d\e\", 0),
        (r"C:\gone\d", 3),
        (r"C:\a*", 123),
        (r"C:\d:s", 123),
        (r"C:\con", 123),
        (r"D:\d", 3),
    ] {
        fails(system.create_directory(path), expected, path);
    }
    put(system, r"C:\f", b"x");
    fails(system.create_directory(r"C:\f"), 183, "a file is there");
    fails(system.create_directory(r"C:\f\d"), 3, "in a file");
    put(system, r"C:\d:s", b"stream of a directory");
    for (path, expected) in [
        (r"C:\gone", 2),
        (r"C:\gone\d", 3),
        (r"C:\f", 267),
        (r"C:\d:s", 267),
        (r"C:\d", 145),
        (r"C:\", 5),
        (r"C:\d\e", 0),
        (r"C:\D\", 0),
        (r"C:\d", 2),
    ] {
        fails(system.remove_directory(path), expected, path);
    }
    assert_eq!(names(system, r"C:\"), ["f"]);
    system.create_directory(r"C:\r").unwrap();
    set_attributes(system, r"C:\r", FileAttributes::READONLY);
    fails(system.remove_directory(r"C:\r"), 5, "a read-only directory");
    put(system, r"C:\r\f", b"x");
    assert!(exists(system, r"C:\r\f"), "READONLY of a directory means nothing for what is in it");
    // A junction goes itself, and what it leads to stays.
    junction(system, r"C:\j", r"C:\r");
    fails(system.remove_directory(r"C:\j"), 0, "a junction");
    assert!(exists(system, r"C:\r\f") && !exists(system, r"C:\j"));
    let held = shared_directory(system, r"C:\r");
    set_attributes(system, r"C:\r", FileAttributes::NORMAL);
    system.delete_file(r"C:\r\f").unwrap();
    fails(system.remove_directory(r"C:\r"), 32, "open, and not shared");
    drop(held);
    fails(system.remove_directory(r"C:\r"), 0, "closed");
}

fn shared_directory(system: &System, path: &str) -> Handle {
    let how = Create { access: READ, share: Share::READ, flags: ITSELF, ..Create::default() };
    system.create_file(path, how).unwrap()
}

pub fn links(system: &System, kind: Kind) {
    put(system, r"C:\f", b"x");
    put(system, r"C:\f:s", b"stream");
    system.create_directory(r"C:\d").unwrap();
    for (path, existing, expected) in [
        (r"C:\g", r"C:\f", 0),
        (r"C:\G", r"C:\f", 183),
        (r"C:\d", r"C:\f", 183),
        (r"C:\h", r"C:\gone", 2),
        (r"C:\h", r"C:\gone\f", 3),
        (r"C:\gone\h", r"C:\f", 3),
        (r"C:\h", r"C:\d", 5),
        (r"C:\h:s", r"C:\f", 123),
        (r"C:\a?", r"C:\f", 123),
        (r"C:\d\h", r"C:\g", 0),
    ] {
        fails(system.create_hard_link(path, existing), expected, (path, existing));
    }
    assert_eq!(
        (get(system, r"C:\d\h"), get(system, r"C:\d\H:s")),
        (b"x".to_vec(), b"stream".to_vec()),
        "{kind:?}"
    );
    put(system, r"C:\g", b"y");
    assert_eq!(get(system, r"C:\f"), b"y");
    let file = create(system, r"C:\f", READ, EXISTING).unwrap();
    assert_eq!(get_standard_info(system, &file).unwrap().number_of_links, 3);
    drop(file);
    system.delete_file(r"C:\f").unwrap();
    assert_eq!(get(system, r"C:\g:s"), b"stream");
}

pub fn delete(system: &System, _: Kind) {
    put(system, r"C:\f", b"x");
    system.create_directory(r"C:\d").unwrap();
    symlink(system, r"C:\l", "f");
    put(system, r"C:\r", b"x");
    set_attributes(system, r"C:\r", FileAttributes::READONLY);
    for (path, expected) in [
        (r"C:\gone", 2),
        (r"C:\gone\f", 3),
        (r"C:\d", 5),
        (r"C:\r", 5),
        (r"C:\f\", 123),
        (r"C:\f:gone", 2),
        (r"C:\l", 0),
        (r"C:\F", 0),
        (r"C:\f", 2),
    ] {
        fails(system.delete_file(path), expected, path);
    }
    assert_eq!(names(system, r"C:\"), ["d", "r"]);
    put(system, r"C:\g", b"x");
    let held = shared(system, r"C:\g", READ, Share::READ | Share::WRITE).unwrap();
    fails(system.delete_file(r"C:\g"), 32, "open, and not shared");
    drop(held);
    fails(system.delete_file(r"C:\g"), 0, "closed");
}

pub fn moves(system: &System, kind: Kind) {
    let (none, replace) = (MoveFlags::empty(), MoveFlags::REPLACE_EXISTING);
    put(system, r"C:\f", b"f");
    put(system, r"C:\f:s", b"stream");
    put(system, r"C:\g", b"g");
    put(system, r"C:\r", b"r");
    set_attributes(system, r"C:\r", FileAttributes::READONLY);
    for directory in [r"C:\d", r"C:\d\e", r"C:\x"] {
        system.create_directory(directory).unwrap();
    }
    put(system, r"C:\d\e\in", b"in");
    for (from, to, flags, expected) in [
        (r"C:\gone", r"C:\h", none, 2),
        (r"C:\gone\f", r"C:\h", none, 3),
        (r"C:\f", r"C:\gone\h", none, 3),
        (r"C:\f", r"C:\g", none, 183),
        (r"C:\f", r"C:\d", none, 183),
        (r"C:\f", r"C:\d", replace, 5),
        (r"C:\d", r"C:\f", replace, 5),
        (r"C:\d", r"C:\x", replace, 5),
        (r"C:\f", r"C:\r", replace, 5),
        (r"C:\d", r"C:\d\d", none, 87),
        (r"C:\d", r"C:\d\e\d", none, 5),
        (r"C:\f", r"C:\a|b", none, 123),
        (r"C:\f:s", r"C:\h", none, 123),
        (r"C:\f", r"C:\h:s", none, 123),
        (r"C:\", r"C:\h", none, 5),
        (r"C:\f", r"C:\", none, 5),
        (r"C:\f", r"C:\h", MoveFlags::DELAY_UNTIL_REBOOT, 50),
        (r"C:\f", r"C:\h", MoveFlags::DELAY_UNTIL_REBOOT | MoveFlags::COPY_ALLOWED, 87),
        (r"C:\f", r"E:\h", none, 17),
        (r"C:\f", r"D:\h", none, 3),
        (r"C:\f", r"C:\f", none, 0),
        (r"C:\f", r"C:\F", none, 0),
        (r"C:\f", r"C:\d\moved", none, 0),
        (r"C:\d\moved", r"C:\g", replace, 0),
        (r"C:\d", r"C:\x\d", none, 0),
        // A read-only file can be moved.
        (r"C:\r", r"C:\x\r", none, 0),
    ] {
        fails(system.move_file_ex(from, to, flags), expected, (from, to, flags));
        if (from, to) == (r"C:\f", r"C:\F") {
            assert!(names(system, r"C:\").contains(&"F".to_owned()), "{kind:?}");
        }
    }
    assert_eq!(
        (get(system, r"C:\g"), get(system, r"C:\g:s")),
        (b"f".to_vec(), b"stream".to_vec()),
        "{kind:?}"
    );
    assert_eq!(get(system, r"C:\x\d\e\in"), b"in");
    assert_eq!((names(system, r"C:\"), names(system, r"C:\x")), (strings(&["g", "x"]), strings(&["d", "r"])));
    // To another volume: copied, and removed.
    let copied = MoveFlags::COPY_ALLOWED;
    fails(system.move_file_ex(r"C:\x", r"E:\x", copied), 17, "a directory is not copied");
    fails(system.move_file_ex(r"C:\g", r"E:\g", copied), 0, "a file is");
    assert_eq!((get(system, r"E:\g"), get(system, r"E:\g:s")), (b"f".to_vec(), b"stream".to_vec()));
    assert!(!exists(system, r"C:\g"));
    put(system, r"C:\g", b"new");
    fails(system.move_file_ex(r"C:\g", r"E:\g", copied), 183, "it is there");
    fails(system.move_file_ex(r"C:\g", r"E:\g", copied | replace), 0, "replaced");
    assert_eq!(get(system, r"E:\g"), b"new");
    // Of two names of one file, one goes.
    put(system, r"C:\a", b"a");
    system.create_hard_link(r"C:\b", r"C:\a").unwrap();
    fails(system.move_file_ex(r"C:\a", r"C:\b", none), 0, "to another name of its own");
    assert_eq!(names(system, r"C:\"), ["b", "x"], "{kind:?}");
    // A link is moved itself.
    symlink(system, r"C:\l", "b");
    system.move_file_ex(r"C:\l", r"C:\x\l", none).unwrap();
    assert_eq!(get(system, r"C:\b"), b"a");
    fails(create(system, r"C:\x\l", READ, EXISTING), 2, "it leads nowhere from there");
}

pub fn spellings(system: &System, kind: Kind) {
    let none = MoveFlags::empty();
    put(system, r"\\?\C:\name.", b"n");
    for (from, to, shown) in [
        // As it is, dot and all.
        (r"\\?\C:\name.", r"\\?\C:\name.", "name."),
        (r"\\?\C:\name.", r"C:\other", "other"),
        (r"C:\other", r"C:\OTHER::$DATA", "OTHER"),
        (r"C:\OTHER", r"C:\x\..\Other. .", "Other"),
        (r"C:\Other", r"C:Other", "Other"),
        (r"C:\Other", r"C:OTHER", "OTHER"),
        (r"C:\OTHER", r"C:/OTHER/../other", "other"),
    ] {
        fails(system.move_file_ex(from, to, none), 0, (from, to));
        assert_eq!(names(system, r"C:\"), [shown], "{kind:?} {from} {to}");
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn move_open(system: &System, kind: Kind) {
    put(system, r"C:\f", b"f");
    put(system, r"C:\f:s", b"stream");
    put(system, r"C:\g", b"g");
    let held = shared(system, r"C:\f", BOTH, Share::READ).unwrap();
    fails(system.move_file_ex(r"C:\f", r"C:\h", MoveFlags::empty()), 32, "not shared");
    drop(held);
    let held = shared(system, r"C:\f", BOTH, Share::all()).unwrap();
    fails(system.move_file_ex(r"C:\g", r"C:\f", MoveFlags::REPLACE_EXISTING), 5, "the target is open");
    system.move_file_ex(r"C:\f", r"C:\h", MoveFlags::empty()).unwrap();
    // The handle is that of the file, whatever its name.
    ntbak::win32::write_file(&held, b"F").unwrap();
    assert_eq!(find_streams(&held).unwrap().len(), 2, "{kind:?}");
    put(system, r"C:\f", b"another");
    assert_eq!(find_streams(&held).unwrap().len(), 2, "{kind:?}");
    drop(held);
    assert_eq!((get(system, r"C:\h"), get(system, r"C:\f")), (b"F".to_vec(), b"another".to_vec()));
}

pub fn rename(system: &System, kind: Kind) {
    put(system, r"C:\f", b"f");
    put(system, r"C:\f:s", b"stream");
    put(system, r"C:\g", b"g");
    let file = create(system, r"C:\f", Access::DELETE, EXISTING).unwrap();
    let blind = create(system, r"C:\f", READ, EXISTING).unwrap();
    fails(system.rename(&blind, r"C:\h", false), 5, "without DELETE");
    fails(system.rename(&file, r"C:\g", false), 183, "it is there");
    fails(system.rename(&file, r"C:\gone\g", false), 3, "no directory");
    fails(system.rename(&file, r"C:\h", false), 0, "renamed");
    fails(system.rename(&file, r"C:\g", true), 0, "and again, over another file");
    assert_eq!(names(system, r"C:\"), ["g"]);
    system.set_disposition(&file, true).unwrap();
    drop((file, blind));
    assert_eq!(names(system, r"C:\"), [""; 0], "it goes by the name that it has: {kind:?}");
    let root = with(system, r"C:\", Access::DELETE, ITSELF).unwrap();
    fails(system.rename(&root, r"C:\x", false), 5, "the root");
}
