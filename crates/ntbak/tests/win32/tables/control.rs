use super::*;
use ntbak::win32::{
    MoveMethod, delete_object_id, delete_reparse_point, get_object_id, get_reparse_point,
    query_allocated_ranges, read_file, set_file_pointer_ex, set_object_id, set_reparse_point, set_sparse,
    set_zero_data, write_file_at,
};
use ntbak_wire::object_id::{Guid, ObjectId};
use ntbak_wire::reparse::{ReparseTag, build};

pub fn reparse_points(system: &System, kind: Kind) {
    let link = ntbak_wire::reparse::symlink_from_print_name(&Name::from("x")).unwrap();
    let other = ntbak_wire::reparse::symlink_from_print_name(&Name::from(r"y\z")).unwrap();
    let mount = ntbak_wire::reparse::mount_point_from_print_name(&Name::from(r"C:\x")).unwrap();
    let foreign = |guid: u8, data: &[u8]| build(ReparseTag(0x123), Some(Guid([guid; 16])), data).unwrap();
    let tag = |tag| build(tag, None, b"").unwrap();
    put(system, r"C:\data", b"x");
    put(system, r"C:\empty", b"");
    system.create_directory(r"C:\d").unwrap();
    system.create_directory(r"C:\full").unwrap();
    put(system, r"C:\full\x", b"");
    for (path, buffer, expected) in [
        (r"C:\empty", &link[..7], 4392),
        (r"C:\data", &link[..], 4392),
        (r"C:\empty", &mount, 267),
        (r"C:\full", &mount, 145),
        (r"C:\d", &mount, 0),
        (r"C:\d", &link, 4394),
        (r"C:\empty", &link, 0),
        (r"C:\empty", &other, 0),
        (r"C:\empty", &foreign(7, b"data"), 4394),
    ] {
        let file = with(system, path, WRITE, ITSELF).unwrap();
        fails(set_reparse_point(&file, buffer), expected, (path, kind));
    }
    let file = with(system, r"C:\empty", WRITE, ITSELF).unwrap();
    assert_eq!(get_reparse_point(&file).unwrap(), other, "{kind:?}");
    assert!(system.get_file_attributes(r"C:\empty").unwrap().contains(FileAttributes::REPARSE_POINT));
    for (buffer, expected) in [
        (&other[..], 4392),
        (&tag(ReparseTag::MOUNT_POINT), 4394),
        (&tag(ReparseTag::SYMLINK), 0),
        (&tag(ReparseTag::SYMLINK), 4390),
    ] {
        fails(delete_reparse_point(&file, buffer), expected, (buffer.len(), kind));
    }
    fails(get_reparse_point(&file), 4390, "deleted");
    assert!(
        !system.get_file_attributes(r"C:\empty").unwrap().contains(FileAttributes::REPARSE_POINT),
        "{kind:?}"
    );
    drop(file);
    // One with a GUID; content is no hindrance.
    let file = with(system, r"C:\data", WRITE, ITSELF).unwrap();
    fails(set_reparse_point(&file, &foreign(7, b"data")), 0, kind);
    fails(set_reparse_point(&file, &foreign(8, b"data")), 4391, "another GUID");
    fails(delete_reparse_point(&file, &foreign(8, b"")), 4391, "another GUID");
    fails(delete_reparse_point(&file, &foreign(7, b"")), 0, "its own");
    drop(file);
    // To be opened for backup and restore gives no right that was not asked for.
    for flags in [FileFlags::OPEN_REPARSE_POINT, ITSELF] {
        let blind = with(system, r"C:\empty", READ, flags).unwrap();
        fails(set_reparse_point(&blind, &link), 5, "without a right to write");
        fails(delete_reparse_point(&blind, &tag(ReparseTag::SYMLINK)), 5, "without a right to write");
        fails(set_sparse(&blind, true), 5, "without a right to write");
    }
}

pub fn object_ids(system: &System, kind: Kind) {
    put(system, r"C:\f", b"");
    put(system, r"C:\g", b"");
    let id = |n: u8| ObjectId::parse(&[n; 64]).unwrap();
    let plain = create(system, r"C:\f", WRITE, EXISTING).unwrap();
    fails(set_object_id(&plain, &id(1)), 5, "not opened for restore");
    let (f, g) =
        (with(system, r"C:\f", WRITE, ITSELF).unwrap(), with(system, r"C:\g", WRITE, ITSELF).unwrap());
    fails(get_object_id(&f), 2, "none");
    set_object_id(&f, &id(1)).unwrap();
    assert_eq!(get_object_id(&f).unwrap(), id(1), "{kind:?}");
    fails(set_object_id(&f, &id(2)), 183, "it has one");
    // An ordinary directory has no index of them.
    fails(set_object_id(&g, &id(1)), if kind == Kind::Directory { 0 } else { 52 }, "in use");
    delete_object_id(&f).unwrap();
    fails(get_object_id(&f), 2, "deleted");
    fails(delete_object_id(&f), 0, "deleted, and again");
    fails(delete_object_id(&create(system, r"C:\f", READ, EXISTING).unwrap()), 5, "without a right to write");
}

pub fn sparse(system: &System, kind: Kind) {
    put(system, r"C:\f", b"x");
    system.create_directory(r"C:\d").unwrap();
    let file = create(system, r"C:\f", BOTH, EXISTING).unwrap();
    let is_sparse = || system.get_file_attributes(r"C:\f").unwrap().contains(FileAttributes::SPARSE_FILE);
    set_sparse(&file, true).unwrap();
    // ntfs-3g sets the flag with the first hole.
    assert_eq!(is_sparse(), kind != Kind::Ntfs3g);
    set_sparse(&file, false).unwrap();
    assert!(!is_sparse());
    let directory = with(system, r"C:\d", BOTH, ITSELF).unwrap();
    fails(set_sparse(&directory, true), 87, "a directory");
    fails(set_zero_data(&directory, 0, 1), 87, "a directory");
    fails(set_sparse(&create(system, r"C:\f", READ, EXISTING).unwrap(), true), 5, "without a right to write");
    // A hole, and what is on both sides of it.
    let file = create(system, r"C:\s", BOTH, NEW).unwrap();
    set_sparse(&file, true).unwrap();
    write_file_at(&file, 0, &[1; 65_536]).unwrap();
    write_file_at(&file, 1 << 20, &[2; 65_536]).unwrap();
    let ranges = query_allocated_ranges(&file, 0, i64::MAX as u64).unwrap();
    let ranges: Vec<_> = ranges.iter().map(|range| (range.offset, range.len)).collect();
    assert_eq!(ranges, [(0, 65_536), (1 << 20, 65_536)], "{kind:?}");
    assert!(system.get_file_attributes(r"C:\s").unwrap().contains(FileAttributes::SPARSE_FILE));
}

pub fn zeros_and_ranges(system: &System, kind: Kind) {
    let file = create(system, r"C:\f", BOTH, NEW).unwrap();
    write_file_at(&file, 0, &[7; 300_000]).unwrap();
    for (offset, beyond, expected) in
        [(10, 5, 87), (0, 1 << 63, 87), (5, 5, 0), (400_000, 500_000, 0), (100, 200, 0)]
    {
        fails(set_zero_data(&file, offset, beyond), expected, (offset, beyond));
    }
    let mut buffer = vec![9; 300_001];
    set_file_pointer_ex(&file, 0, MoveMethod::Begin).unwrap();
    assert_eq!(read_file(&file, &mut buffer).unwrap(), 300_000);
    assert!(
        buffer[100..200] == [0; 100] && buffer[..100] == [7; 100] && buffer[200..300_000] == [7; 299_800]
    );
    // A stream that is not sparse is one range.
    for (offset, len, expected) in [
        (0, 300_000, Ok(vec![(0, 300_000)])),
        (100, 50, Ok(vec![(100, 50)])),
        (299_999, 100, Ok(vec![(299_999, 1)])),
        (300_000, 1, Ok(vec![])),
        (0, 0, Ok(vec![])),
        (u64::MAX, 1, Err(87)),
        (0, 1 << 63, Err(87)),
    ] {
        let got = query_allocated_ranges(&file, offset, len).map_err(|error| error.win32().0);
        let got = got.map(|ranges| ranges.iter().map(|range| (range.offset, range.len)).collect::<Vec<_>>());
        assert_eq!(got, expected, "{offset} {len} {kind:?}");
    }
    let blind = create(system, r"C:\f", WRITE, EXISTING).unwrap();
    fails(query_allocated_ranges(&blind, 0, 1), 5, "without FILE_READ_DATA");
    let blind = create(system, r"C:\f", READ, EXISTING).unwrap();
    fails(set_zero_data(&blind, 0, 1), 5, "without FILE_WRITE_DATA");
    // Of a sparse stream the zeros become a hole, where the place can make one in what is there.
    set_sparse(&file, true).unwrap();
    set_zero_data(&file, 65_536, 131_072).unwrap();
    let ranges = query_allocated_ranges(&file, 0, 300_000).unwrap();
    assert_eq!(ranges.len(), if kind == Kind::Ntfs3g { 1 } else { 2 }, "{kind:?} {ranges:?}");
    // Named streams, too.
    put(system, r"C:\f:s", &[7; 1000]);
    let stream = create(system, r"C:\f:s", BOTH, EXISTING).unwrap();
    set_zero_data(&stream, 10, 20).unwrap();
    assert_eq!(get(system, r"C:\f:s")[5..25], [&[7; 5][..], &[0; 10], &[7; 5]].concat());
    assert_eq!(query_allocated_ranges(&stream, 0, 1000).unwrap().len(), 1);
}
