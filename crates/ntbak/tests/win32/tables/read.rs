use super::*;
use ntbak::win32::{
    Context, MoveMethod, backup_read, backup_seek, find_first_file, get_basic_info, get_file_size_ex,
    get_file_time, get_object_id, get_reparse_point, open_encrypted_file_raw, query_allocated_ranges,
    query_users_on_encrypted_file, read_file, read_file_at, set_basic_info, set_file_pointer_ex,
    set_object_id, set_sparse, write_file_at,
};
use ntbak_wire::FileTime;
use ntbak_wire::object_id::ObjectId;

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect()
}

pub fn make_files(system: &System) {
    put(system, r"C:\small", b"small");
    put(system, r"C:\large", &content());
    put(system, r"C:\large:s", b"of the stream");
    system.create_directory(r"C:\d").unwrap();
    put(system, r"C:\d:s", b"of the directory");
}

pub fn files(system: &System, kind: Kind) {
    assert_eq!(get(system, r"C:\small"), b"small");
    assert_eq!(get(system, r"C:\LARGE:S"), b"of the stream");
    assert_eq!(get(system, r"C:\d:s"), b"of the directory");
    let file = create(system, r"C:\large", READ, EXISTING).unwrap();
    let expected = content();
    for (offset, len) in [(0, 300_000), (1, 65_536), (299_999, 1), (299_990, 100), (300_000, 1), (1 << 40, 1)]
    {
        let mut buffer = vec![9; len];
        let got = read_file_at(&file, offset, &mut buffer).unwrap();
        let from = usize::try_from(offset).unwrap().min(expected.len());
        let to = (from + len).min(expected.len());
        assert!(buffer[..got] == expected[from..to] && got == to - from, "{offset} {len} {kind:?}");
        assert!(buffer[got..].iter().all(|byte| *byte == 9));
    }
    assert_eq!(get_file_size_ex(&file).unwrap(), 300_000);
    set_file_pointer_ex(&file, -5, MoveMethod::End).unwrap();
    assert_eq!(read_file(&file, &mut [0; 9]).unwrap(), 5);
    assert_eq!(read_file(&file, &mut [0; 9]).unwrap(), 0);
    let directory = with(system, r"C:\d", READ, ITSELF).unwrap();
    fails(read_file(&directory, &mut [0; 4]), 1, "reading a directory");
    fails(create(system, r"C:\d", READ, EXISTING), 5, "a directory without BACKUP_SEMANTICS");
    fails(
        read_file(&create(system, r"C:\small", Access::empty(), EXISTING).unwrap(), &mut [0]),
        5,
        "no right",
    );
    let how = Create { access: READ, flags: FileFlags::NO_BUFFERING, ..Create::default() };
    let unbuffered = system.create_file(r"C:\large", how).unwrap();
    fails(read_file_at(&unbuffered, 1, &mut [0; 512]), 87, "within a sector");
    fails(read_file_at(&unbuffered, 512, &mut [0; 512]), 0, "a sector");
    // All that there is to read of it, and what cannot be sought over.
    let (mut context, mut read, mut buffer) = (Context::default(), 0, vec![0; 20]);
    let blind = create(system, r"C:\large", READ, EXISTING).unwrap();
    backup_read(Some(&blind), &mut buffer, &mut read, false, false, &mut context).unwrap();
    assert_eq!((read, &buffer[..4], &buffer[8..16]), (20, &[1, 0, 0, 0][..], &300_000_u64.to_le_bytes()[..]));
    let mut moved = 0;
    backup_seek(Some(&blind), 299_990, &mut moved, &mut context).unwrap();
    assert_eq!(moved, 299_990);
    let mut buffer = vec![0; 10];
    backup_read(Some(&blind), &mut buffer, &mut read, false, false, &mut context).unwrap();
    assert_eq!(buffer, expected[299_990..]);
    fails(backup_seek(Some(&blind), 1, &mut moved, &mut context), 25, "between streams");
    fails(
        backup_read(Some(&unbuffered), &mut buffer, &mut read, false, false, &mut Context::default()),
        87,
        "",
    );
    // Nothing here is encrypted.
    fails(open_encrypted_file_raw(system, r"C:\large", Default::default()).map(drop), 6007, "no raw export");
    fails(query_users_on_encrypted_file(system, r"C:\large"), 6007, "no users");
}

pub fn make_sharing(system: &System) {
    put(system, r"C:\f", b"x");
    put(system, r"C:\f:s", b"x");
    system.create_hard_link(r"C:\g", r"C:\f").unwrap();
}

/// Whoever only reads takes part in sharing, too.
pub fn sharing(system: &System, _: Kind) {
    let (none, all) = (Share::empty(), Share::all());
    for (first, first_share, path, second_share, expected) in [
        (READ, all, r"C:\f", all, 0),
        (READ, Share::READ, r"C:\F", Share::READ, 0),
        (READ, none, r"C:\f", all, 32),
        (READ, none, r"C:\g", all, 32),
        (READ, all, r"C:\f", none, 32),
        (READ, none, r"C:\f:s", none, 0),
        (Access::READ_CONTROL, none, r"C:\f", none, 0),
        (Access::FILE_EXECUTE, none, r"C:\f", all, 32),
    ] {
        let held = shared(system, r"C:\f", first, first_share).unwrap();
        fails(shared(system, path, READ, second_share), expected, (first, first_share, path, second_share));
        drop(held);
        fails(shared(system, path, READ, second_share), 0, "closed");
    }
}

fn time(n: i64) -> FileTime {
    FileTime(132_000_000_000_000_000 + n * 10_000_000)
}

pub fn make_facts(system: &System) {
    put(system, r"C:\f", b"x");
    let file = with(system, r"C:\f", WRITE, ITSELF).unwrap();
    set_object_id(&file, &ObjectId::parse(&[5; 64]).unwrap()).unwrap();
    put(system, r"C:\g", b"");
    symlink(system, r"C:\l", r"d\x");
    let file = create(system, r"C:\s", BOTH, NEW).unwrap();
    set_sparse(&file, true).unwrap();
    write_file_at(&file, 0, &[1; 65_536]).unwrap();
    write_file_at(&file, 1 << 20, &[2; 65_536]).unwrap();
    drop(file);
    let attributes = FileAttributes::HIDDEN | FileAttributes::SYSTEM | FileAttributes::READONLY;
    let file = create(system, r"C:\f", Access::FILE_WRITE_ATTRIBUTES, EXISTING).unwrap();
    let basic = ntbak::win32::BasicInfo {
        created: time(1),
        accessed: time(2),
        written: time(3),
        attributes,
        ..Default::default()
    };
    set_basic_info(&file, &basic).unwrap();
}

pub fn facts(system: &System, kind: Kind) {
    let file = with(system, r"C:\f", Access::empty(), ITSELF).unwrap();
    assert_eq!(get_file_time(&file).unwrap(), (time(1), time(2), time(3)), "{kind:?}");
    let attributes = FileAttributes::HIDDEN | FileAttributes::SYSTEM | FileAttributes::READONLY;
    assert_eq!(get_basic_info(&file).unwrap().attributes, attributes);
    let (_, data) = find_first_file(system, r"C:\F").unwrap();
    assert_eq!((data.attributes, data.created, data.written), (attributes, time(1), time(3)));
    assert_eq!(get_object_id(&file).unwrap().as_bytes(), &[5; 64], "{kind:?}");
    fails(get_reparse_point(&file), 4390, "no reparse point");
    let plain = with(system, r"C:\g", READ, ITSELF).unwrap();
    fails(get_object_id(&plain), 2, "no object id");
    let link = with(system, r"C:\l", READ, ITSELF).unwrap();
    let expected = ntbak_wire::reparse::symlink_from_print_name(&Name::from(r"d\x")).unwrap();
    assert_eq!(get_reparse_point(&link).unwrap(), expected);
    let sparse = create(system, r"C:\s", READ, EXISTING).unwrap();
    let ranges = query_allocated_ranges(&sparse, 0, i64::MAX as u64).unwrap();
    let ranges: Vec<_> = ranges.iter().map(|range| (range.offset, range.len)).collect();
    assert_eq!(ranges, [(0, 65_536), (1 << 20, 65_536)], "{kind:?}");
    assert!(get_basic_info(&sparse).unwrap().attributes.contains(FileAttributes::SPARSE_FILE));
    let blind = create(system, r"C:\s", Access::empty(), EXISTING).unwrap();
    fails(query_allocated_ranges(&blind, 0, 1), 5, "without FILE_READ_DATA");
}

const MANY: usize = 400;

/// More names than one block of an index has.
pub fn make_large(system: &System) {
    system.create_directory(r"C:\many").unwrap();
    for n in 0..MANY {
        drop(create(system, &format!(r"C:\many\A file with a long name {n}"), WRITE, NEW).unwrap());
    }
}

fn name(n: usize) -> String {
    format!("A file with a long name {n}")
}

pub fn large(system: &System, kind: Kind) {
    let mut expected: Vec<_> = (0..MANY).map(name).collect();
    expected.sort();
    assert_eq!(names(system, r"C:\many"), expected, "{kind:?}");
    for n in (0..MANY).step_by(37) {
        let path = format!(r"C:\MANY\{}", name(n).to_uppercase());
        fails(system.get_file_attributes(&path), 0, &path);
        fails(system.get_file_attributes(format!("{path}x")), 2, &path);
    }
}
