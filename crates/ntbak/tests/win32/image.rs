//! An image as a drive: the sample beside the workspace, which needs neither root nor tools.

use std::path::PathBuf;

use ntbak::VolumeOptions;
use ntbak::win32::{
    Access, Context, Create, Drives, FileFlags, Handle, ImageVolume, MemoryVolume, System, VolumeFlags,
    backup_read, find_first_file, find_first_file_name, find_next_file_name, find_streams,
    get_file_information_by_handle, get_id_info, get_object_id, get_reparse_point, get_standard_info,
    get_volume_information_by_handle, query_allocated_ranges,
};
use ntbak_wire::{FileAttributes, Name};

use crate::tables::protected::Protected;
use crate::tables::{EXISTING, ITSELF, READ, create, fails, get, names, with};

const REPORT: &str = r"C:\Users\Bob\Documents\Annual report.txt";

fn sample() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/sample.qcow2"))
}

fn system() -> System {
    let drives = Drives::new().with('E', MemoryVolume::new()).unwrap();
    drives.map_location('C', sample(), VolumeOptions::default()).unwrap();
    System::new(drives)
}

fn open(system: &System, path: &str) -> Handle {
    with(system, path, READ, ITSELF).unwrap()
}

#[test]
fn an_image_is_found_by_any_spelling() {
    let system = system();
    let text = b"All of it: the text, where it is from, who may read it, and when it was written.\n";
    for path in [
        REPORT,
        r"c:\USERS\bob\DOCUMENTS\ANNUAL REPORT.TXT",
        "C:/Users/Bob/Documents/Annual report.txt",
        r"\\?\C:\Users\Bob\Documents\Annual report.txt",
        r"\??\C:\Users\Bob\Documents\Annual report.txt",
        r"C:\Users\.\Bob\..\Bob\Documents\Annual report.txt. .",
        r"C:\Users\Bob\Documents\Annual report.txt::$DATA",
        // By the 8.3 name, by another name, through a link.
        r"C:\Users\Bob\Documents\ANNUAL~1.TXT",
        r"C:\Users\Bob\Documents\annual~1.txt",
        r"C:\Users\Bob\Links\The same report.txt",
        r"C:\Users\Bob\Links\My documents\Annual report.txt",
        r"C:\Users\Bob\Links\My documents\annual~1.txt",
    ] {
        assert_eq!(get(&system, path), text, "{path}");
    }
    let zone = get(&system, &format!("{REPORT}:zone.identifier:$DATA"));
    assert!(zone.starts_with(b"[ZoneTransfer]\r\nZoneId=3"));
    for (path, expected) in [
        (r"C:\gone", 2),
        (r"C:\Users\gone\x", 3),
        (r"C:\Users\Bob\Documents\Annual report.txt\x", 3),
        (r"C:\Users\Bob\Documents\Annual report.txt\", 123),
        (r"C:\Users\Bob\Documents\Annual report.txt:none", 2),
        (r"C:\Users\Bob\Documents\ANNUAL~2.TXT", 2),
        (r"C:\Users\Bob", 5),
        // NTFS' own files, and the root by its own name for itself.
        (r"C:\$MFT", 5),
        (r"C:\$Extend\$ObjId", 5),
        (r"\\?\C:\.", 123),
        (r"D:\Users", 3),
    ] {
        fails(create(&system, path, READ, EXISTING), expected, path);
    }
}

#[test]
fn an_image_tells_what_it_has() {
    let system = system();
    assert_eq!(names(&system, r"C:\"), ["Users"], "NTFS' own files are not shown");
    assert_eq!(names(&system, r"C:\Users\Bob\Links"), ["My documents", "The same report.txt"]);
    let (_, data) = find_first_file(&system, r"C:\Users\Bob\Documents\*~1*").unwrap();
    assert_eq!(data.name, Name::from("Annual report.txt"));
    assert_eq!(data.short_name, Some(Name::from("ANNUAL~1.TXT")));
    let (_, data) = find_first_file(&system, r"C:\Users\Bob\Documents\annual~1.txt").unwrap();
    assert_eq!(data.name, Name::from("Annual report.txt"), "the long name, however it was asked for");
    // The other name has none.
    let (_, data) = find_first_file(&system, r"C:\Users\Bob\Links\the*").unwrap();
    assert_eq!((data.short_name, data.size), (None, 81));
    let volume = system.get_volume_information(r"C:\").unwrap();
    assert_eq!((volume.label.to_string().as_str(), volume.file_system.as_str()), ("Sample", "NTFS"));
    let flags = VolumeFlags::READ_ONLY_VOLUME
        | VolumeFlags::FILE_COMPRESSION
        | VolumeFlags::NAMED_STREAMS
        | VolumeFlags::PERSISTENT_ACLS
        | VolumeFlags::SUPPORTS_HARD_LINKS
        | VolumeFlags::SUPPORTS_EXTENDED_ATTRIBUTES
        | VolumeFlags::SUPPORTS_REPARSE_POINTS
        | VolumeFlags::SUPPORTS_ENCRYPTION;
    assert!(volume.flags.contains(flags), "{volume:?}");
    let file = open(&system, REPORT);
    assert_eq!(get_volume_information_by_handle(&file).unwrap(), volume);
    assert!(volume.serial_number != 0);
    let by_handle = get_file_information_by_handle(&file).unwrap();
    assert_eq!(by_handle.number_of_links, 2);
    assert_eq!(by_handle.volume_serial_number, volume.serial_number);
    let other = open(&system, r"C:\Users\Bob\Links\The same report.txt");
    assert_eq!(get_id_info(&file).unwrap(), get_id_info(&other).unwrap());
    // As on Windows: the number of the record, and how often it was used.
    assert_eq!(by_handle.file_index >> 48, 1);
    let standard = get_standard_info(&system, &file).unwrap();
    assert_eq!((standard.end_of_file, standard.allocation_size), (81, 88), "it is in its record");
    let streams: Vec<_> = find_streams(&file).unwrap().iter().map(|data| data.name.to_string()).collect();
    assert_eq!(streams, ["::$DATA", ":Zone.Identifier:$DATA"]);
    let id: Vec<u8> = (0..64).collect();
    assert_eq!(get_object_id(&file).unwrap().as_bytes(), id.as_slice());
    fails(get_reparse_point(&file), 4390, "no link");
    let link = open(&system, r"C:\Users\Bob\Links\My documents");
    assert!(get_reparse_point(&link).unwrap().starts_with(&0xA000_000C_u32.to_le_bytes()));
    let (mut search, first) =
        find_first_file_name(&system, r"C:\Users\Bob\Links\the same REPORT.txt").unwrap();
    let second = find_next_file_name(&mut search).unwrap();
    assert_eq!(first.to_string(), r"\Users\Bob\Links\The same report.txt");
    assert_eq!(second.to_string(), r"\Users\Bob\Documents\Annual report.txt");
    fails(find_next_file_name(&mut search), 38, "no more");
    let holes = open(&system, r"C:\Users\Bob\disk with holes.bin");
    let ranges = query_allocated_ranges(&holes, 0, 1 << 20).unwrap();
    assert!(ranges.len() >= 2 && ranges.iter().map(|range| range.len).sum::<u64>() < 100_000, "{ranges:?}");
    let log = r"C:\Users\Bob\Compressed\log.txt";
    let text: String = (0..4000).map(|number| format!("line {number}: nothing happened\n")).collect();
    assert!(get(&system, log) == text.as_bytes()[..70_000], "what is compressed reads as what was written");
    assert!(system.get_file_attributes(log).unwrap().contains(FileAttributes::COMPRESSED));
    let standard = get_standard_info(&system, &open(&system, log)).unwrap();
    assert!(standard.allocation_size < standard.end_of_file / 2, "{standard:?}");
}

#[test]
fn an_image_is_only_read() {
    let system = system();
    Protected { system: &system, file: REPORT, stream: "Zone.Identifier", directory: r"C:\Users\Bob" }.all();
}

#[test]
fn what_an_image_drive_is_opened_with() {
    let number = |location: PathBuf| {
        ImageVolume::open(location, VolumeOptions::default()).map_err(|error| error.win32().0).map(drop)
    };
    let with = |more: &str| PathBuf::from(format!("{}{more}", sample().display()));
    for (location, expected) in [
        (with("::"), Ok(())),
        (with("::Users"), Err(123)),
        (with("none"), Err(2)),
        (sample().with_file_name("sample.bkup"), Err(50)),
    ] {
        assert_eq!(number(location.clone()), expected, "{}", location.display());
    }
    assert!(number(with("#7")).is_err());
    let drives = Drives::new();
    assert_eq!(drives.map_location('1', sample(), VolumeOptions::default()).unwrap_err().win32().0, 15);
    // With NTFS' own files, they are shown and opened.
    drives.map_location('C', sample(), VolumeOptions::default().system(true)).unwrap();
    let system = System::new(drives);
    assert!(names(&system, r"C:\").contains(&"$MFT".to_owned()));
    let how =
        Create { access: Access::GENERIC_READ, flags: FileFlags::BACKUP_SEMANTICS, ..Create::default() };
    let mft = system.create_file(r"C:\$mft", how).unwrap();
    let mut record = [0; 4];
    assert_eq!(ntbak::win32::read_file(&mft, &mut record).unwrap(), 4);
    assert_eq!(&record, b"FILE");
}

/// One drive in many hands: everybody sees the same.
#[test]
fn many_threads_read_one_image() {
    let system = system();
    let look = |system: &System| {
        let mut seen = Vec::new();
        let mut left = vec!["C:".to_owned()];
        while let Some(directory) = left.pop() {
            for found in system.list(format!(r"{directory}\")).unwrap() {
                let path = format!(r"{directory}\{}", found.name);
                let file = open(system, &path);
                let (mut context, mut read) = (Context::default(), 0);
                let mut all = vec![0; 2 << 20];
                backup_read(Some(&file), &mut all, &mut read, false, true, &mut context).unwrap();
                let names = find_first_file_name(system, &path).map(|(_, first)| first).ok();
                all.truncate(read as usize);
                seen.push((path.clone(), all, names, get_id_info(&file).unwrap().file_id));
                if found.attributes.is_directory() && found.reparse_tag == 0 {
                    left.push(path);
                }
            }
        }
        seen
    };
    let expected = look(&system);
    assert!(expected.len() > 8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let (system, expected, look) = (&system, &expected, &look);
            scope.spawn(move || {
                for _ in 0..3 {
                    assert!(look(system) == *expected);
                }
            });
        }
    });
}
