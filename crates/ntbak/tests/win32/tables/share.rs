use super::*;

pub fn modes(system: &System, _: Kind) {
    let (read, write, delete) = (READ, WRITE, Access::DELETE);
    let (none, all) = (Share::empty(), Share::all());
    put(system, r"C:\f", b"x");
    for (first, first_share, second, second_share, expected) in [
        (read, all, write, all, 0),
        (read, Share::READ, read, Share::READ, 0),
        (read, Share::READ, write, all, 32),
        (read, none, read, all, 32),
        (read, all, read, none, 32),
        (write, Share::READ | Share::WRITE, delete, all, 32),
        (delete, Share::DELETE, delete, Share::DELETE, 0),
        (Access::READ_CONTROL, none, write, none, 0),
        (Access::FILE_EXECUTE, none, read, all, 32),
        (Access::FILE_APPEND_DATA, Share::READ, write, all, 32),
        (read, Share::WRITE, write, Share::READ, 0),
    ] {
        let held = shared(system, r"C:\f", first, first_share).unwrap();
        fails(
            shared(system, r"C:\F", second, second_share),
            expected,
            (first, first_share, second, second_share),
        );
        drop(held);
        fails(shared(system, r"C:\f", second, second_share), 0, "closed");
    }
}

pub fn streams_and_names(system: &System, _: Kind) {
    put(system, r"C:\f", b"x");
    put(system, r"C:\f:s", b"x");
    system.create_hard_link(r"C:\g", r"C:\f").unwrap();
    let none = Share::empty();
    let held = shared(system, r"C:\f", READ, none).unwrap();
    fails(shared(system, r"C:\g", READ, none), 32, "another name of the file");
    fails(shared(system, r"C:\f:s", READ, none), 0, "another stream of the file");
    drop(held);
    let held = shared(system, r"C:\f:s", READ, none).unwrap();
    fails(shared(system, r"C:\g:S", READ, Share::all()), 32, "the same stream by another name");
    fails(shared(system, r"C:\f", READ, none), 0, "the unnamed stream");
    fails(
        shared(system, r"C:\f", Access::DELETE, Share::all()),
        32,
        "who deletes the file deletes the stream",
    );
    fails(system.delete_file(r"C:\f"), 32, "DeleteFile");
    fails(system.move_file_ex(r"C:\f", r"C:\h", Default::default()), 32, "MoveFileEx");
    drop(held);
    fails(system.delete_file(r"C:\f"), 0, "closed");
    assert_eq!(get(system, r"C:\g"), b"x");
}

pub fn deleted_and_open(system: &System, _: Kind) {
    put(system, r"C:\f", b"x");
    let held = shared(system, r"C:\f", READ, Share::all()).unwrap();
    system.delete_file(r"C:\f").unwrap();
    fails(create(system, r"C:\f", READ, EXISTING), 5, "deleted, and still open");
    fails(system.delete_file(r"C:\f"), 5, "once more");
    assert_eq!(ntbak::win32::read_file(&held, &mut [0; 9]).unwrap(), 1);
    assert!(ntbak::win32::get_standard_info(system, &held).unwrap().delete_pending);
    drop(held);
    fails(create(system, r"C:\f", READ, EXISTING), 2, "closed");
    fails(create(system, r"C:\f", WRITE, NEW), 0, "a new one");
    // Nothing comes into a directory that is deleted.
    system.create_directory(r"C:\d").unwrap();
    let held = with(system, r"C:\d", READ, ITSELF).unwrap();
    system.remove_directory(r"C:\d").unwrap();
    fails(create(system, r"C:\d\f", WRITE, NEW), 5, "CreateFile");
    fails(system.create_directory(r"C:\d\d"), 5, "CreateDirectory");
    fails(system.create_hard_link(r"C:\d\l", r"C:\f"), 5, "CreateHardLink");
    fails(system.move_file_ex(r"C:\f", r"C:\d\f", Default::default()), 5, "MoveFileEx");
    drop(held);
    fails(create(system, r"C:\d\f", WRITE, NEW), 3, "gone");
}
