use super::*;
use ntbak::win32::{
    BasicInfo, VolumeFlags, get_attribute_tag_info, get_basic_info, get_file_information_by_handle,
    get_file_time, get_id_info, get_standard_info, get_volume_information_by_handle, set_basic_info,
    set_file_time,
};
use ntbak_wire::FileTime;

pub fn attributes(system: &System, kind: Kind) {
    put(system, r"C:\f", b"x");
    system.create_directory(r"C:\d").unwrap();
    let bits = FileAttributes::from_bits_retain;
    // What is set, and what is there then; a directory stays one.
    for (set, file, directory) in [
        (0x1, 0x1, 0x11),
        (0x2, 0x2, 0x12),
        (0x4, 0x4, 0x14),
        (0x20, 0x20, 0x30),
        (0x27, 0x27, 0x37),
        (0x80, 0x80, 0x10),
        (0, 0x80, 0x10),
        (0x2000, 0x2000, 0x2010),
        // Those that Windows does not set this way stay as they are.
        (0x4C60, 0x20, 0x30),
    ] {
        system.set_file_attributes(r"C:\f", bits(set)).unwrap();
        assert_eq!(system.get_file_attributes(r"C:\f").unwrap(), bits(file), "{set:#x} {kind:?}");
        system.set_file_attributes(r"C:\d", bits(set)).unwrap();
        let shown = system.get_file_attributes(r"C:\d").unwrap();
        assert_eq!(shown, bits(directory), "{set:#x} {kind:?}");
    }
    fails(system.set_file_attributes(r"C:\f", FileAttributes::DIRECTORY), 87, "a file is no directory");
    fails(system.set_file_attributes(r"C:\d", FileAttributes::TEMPORARY), 87, "a directory is not temporary");
    fails(system.set_file_attributes(r"C:\d", FileAttributes::DIRECTORY), 0, "a directory is one");
    fails(system.set_file_attributes(r"C:\gone", FileAttributes::HIDDEN), 2, "not there");
    fails(system.get_file_attributes(r"C:\gone\x"), 3, "not there");
    assert_eq!(get(system, r"C:\f"), b"x");
}

pub fn make_classes(system: &System) {
    put(system, r"C:\f", &[1; 5000]);
    put(system, r"C:\f:s", b"123");
    system.create_hard_link(r"C:\g", r"C:\f").unwrap();
    symlink(system, r"C:\l", "f");
}

pub fn classes(system: &System, kind: Kind) {
    let file = create(system, r"C:\f", READ, EXISTING).unwrap();
    let standard = get_standard_info(system, &file).unwrap();
    assert_eq!(
        (standard.end_of_file, standard.allocation_size, standard.number_of_links),
        (5000, 8192, 2),
        "{kind:?}"
    );
    assert!(!standard.delete_pending && !standard.directory);
    let by_handle = get_file_information_by_handle(&file).unwrap();
    assert_eq!((by_handle.file_size, by_handle.number_of_links), (5000, 2));
    assert_eq!(by_handle.basic, get_basic_info(&file).unwrap());
    let other = create(system, r"C:\g", READ, EXISTING).unwrap();
    assert_eq!(get_id_info(&file).unwrap(), get_id_info(&other).unwrap());
    assert_eq!(get_file_information_by_handle(&other).unwrap().file_index, by_handle.file_index);
    let stream = create(system, r"C:\f:s", READ, EXISTING).unwrap();
    assert_eq!(get_standard_info(system, &stream).unwrap().end_of_file, 3);
    assert_eq!(get_attribute_tag_info(&file).unwrap(), (FileAttributes::ARCHIVE, 0));
    let link = with(system, r"C:\l", READ, ITSELF).unwrap();
    let (attributes, tag) = get_attribute_tag_info(&link).unwrap();
    assert_eq!((attributes.contains(FileAttributes::REPARSE_POINT), tag), (true, 0xA000_000C));
    let root = with(system, r"C:\", READ, ITSELF).unwrap();
    assert!(get_standard_info(system, &root).unwrap().directory);
    assert_ne!(get_id_info(&root).unwrap(), get_id_info(&file).unwrap());
}

pub fn times(system: &System, kind: Kind) {
    put(system, r"C:\f", b"x");
    let access = Access::FILE_WRITE_ATTRIBUTES;
    let file = create(system, r"C:\f", access, EXISTING).unwrap();
    let time = |n: i64| FileTime(132_000_000_000_000_000 + n * 10_000_000);
    set_file_time(&file, Some(time(1)), Some(time(2)), Some(time(3))).unwrap();
    assert_eq!(get_file_time(&file).unwrap(), (time(1), time(2), time(3)), "{kind:?}");
    set_file_time(&file, None, None, Some(time(9))).unwrap();
    assert_eq!(get_file_time(&file).unwrap(), (time(1), time(2), time(9)));
    // 0 and −1 leave a time as it is.
    let basic =
        BasicInfo { created: FileTime(0), accessed: FileTime(-1), written: time(5), ..BasicInfo::default() };
    set_basic_info(&file, &basic).unwrap();
    assert_eq!(get_file_time(&file).unwrap(), (time(1), time(2), time(5)));
    fails(set_basic_info(&file, &BasicInfo { written: FileTime(-3), ..basic }), 87, "before 1601");
    let basic = BasicInfo { changed: time(7), attributes: FileAttributes::HIDDEN, ..BasicInfo::default() };
    set_basic_info(&file, &basic).unwrap();
    let now = get_basic_info(&file).unwrap();
    assert_eq!(now.attributes, FileAttributes::HIDDEN);
    // ntfs-3g sets the change time by itself.
    assert_eq!(now.changed == time(7), kind != Kind::Ntfs3g);
    assert_eq!((now.created, now.written), (time(1), time(5)));
    let blind = create(system, r"C:\f", READ, EXISTING).unwrap();
    fails(set_file_time(&blind, Some(time(1)), None, None), 5, "without FILE_WRITE_ATTRIBUTES");
    fails(set_basic_info(&blind, &basic), 5, "without FILE_WRITE_ATTRIBUTES");
    system.create_directory(r"C:\d").unwrap();
    let directory = with(system, r"C:\d", access, ITSELF).unwrap();
    set_file_time(&directory, Some(time(1)), Some(time(2)), Some(time(3))).unwrap();
    let (created, _, written) = get_file_time(&directory).unwrap();
    assert_eq!((created, written), (time(1), time(3)), "{kind:?}");
}

pub fn disposition(system: &System, _: Kind) {
    put(system, r"C:\f", b"x");
    let file = create(system, r"C:\f", Access::DELETE, EXISTING).unwrap();
    let blind = create(system, r"C:\f", READ, EXISTING).unwrap();
    fails(system.set_disposition(&blind, true), 5, "without DELETE");
    system.set_disposition(&file, true).unwrap();
    fails(create(system, r"C:\f", READ, EXISTING), 5, "going");
    system.set_disposition(&file, false).unwrap();
    fails(create(system, r"C:\f", READ, EXISTING), 0, "staying");
    system.set_disposition(&file, true).unwrap();
    drop((file, blind));
    assert!(!exists(system, r"C:\f"));
    put(system, r"C:\r", b"x");
    set_attributes(system, r"C:\r", FileAttributes::READONLY);
    let file = create(system, r"C:\r", Access::DELETE, EXISTING).unwrap();
    fails(system.set_disposition(&file, true), 5, "a read-only file");
    system.create_directory(r"C:\d").unwrap();
    put(system, r"C:\d\f", b"x");
    let directory = with(system, r"C:\d", Access::DELETE, ITSELF).unwrap();
    fails(system.set_disposition(&directory, true), 145, "a directory with something in it");
    let root = with(system, r"C:\", Access::DELETE, ITSELF).unwrap();
    fails(system.set_disposition(&root, true), 5, "the root");
    system.delete_file(r"C:\d\f").unwrap();
    system.set_disposition(&directory, true).unwrap();
    drop(directory);
    assert!(!exists(system, r"C:\d"));
}

pub fn make_volume(system: &System) {
    system.create_directory(r"C:\d").unwrap();
    put(system, r"C:\f", b"x");
}

pub fn volume(system: &System, kind: Kind) {
    let volume = system.get_volume_information(r"C:\").unwrap();
    let has = |flag| volume.flags.contains(flag);
    assert!(has(VolumeFlags::NAMED_STREAMS) && has(VolumeFlags::SUPPORTS_REPARSE_POINTS), "{volume:?}");
    assert!(has(VolumeFlags::PERSISTENT_ACLS) && has(VolumeFlags::SUPPORTS_SPARSE_FILES));
    assert!(has(VolumeFlags::SUPPORTS_EXTENDED_ATTRIBUTES) && has(VolumeFlags::SUPPORTS_OBJECT_IDS));
    assert!(has(VolumeFlags::SUPPORTS_HARD_LINKS));
    assert_eq!(has(VolumeFlags::READ_ONLY_VOLUME), kind == Kind::Image);
    assert!(has(VolumeFlags::SUPPORTS_ENCRYPTION));
    // ntfs-3g compresses only what is made in a compressed directory.
    assert_eq!(has(VolumeFlags::FILE_COMPRESSION), kind != Kind::Ntfs3g);
    assert_eq!(volume.file_system == "NTFS", matches!(kind, Kind::Ntfs3g | Kind::Image));
    assert_eq!(volume.maximum_component_length, 255);
    let file = create(system, r"C:\f", Access::empty(), EXISTING).unwrap();
    assert_eq!(get_volume_information_by_handle(&file).unwrap(), volume);
    for (path, expected) in [
        (r"C:", 0),
        (r"\\?\C:\", 0),
        (r"\\.\C:\", 0),
        (r"C:\d\", 144),
        (r"C:\d", 123),
        (r"C:\f", 123),
        (r"D:\", 3),
        (r"C:\gone", 2),
    ] {
        fails(system.get_volume_information(path), expected, path);
    }
}
