//! Real images, most of them made by Windows: each opens, and every file in it is what an independent dumper says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::compare::{Seen, judged, path, read, same_as_judged};
use ntbak_image::{RawFile, Slice};
use ntbak_ntfs::catalogue::{CatalogueOptions, EntryFlags};
use ntbak_ntfs::{AttributeType, File, Journal, Options, ReadAt, Volume};
use ntbak_wire::Name;
use tempfile::TempDir;

/// An unpacked image of the corpus.
struct Unpacked {
    _dir: TempDir,
    path: PathBuf,
    offset: u64,
}

impl Unpacked {
    /// `None`, after saying so, when it cannot be had here.
    fn new(name: &str, offset: u64) -> Option<Self> {
        let packed = common::corpus().join(name);
        if !packed.is_file() {
            common::skip(&format!("there is no {}", packed.display()));
            return None;
        }
        let dir = TempDir::with_prefix("ntbak-corpus-").unwrap();
        let path = dir.path().join("image");
        let (from, to) = (packed.display(), path.display());
        let command = match name.rsplit('.').next().unwrap() {
            "gz" => format!("gzip -dc '{from}' | cp --sparse=always /dev/stdin '{to}'"),
            "zst" => format!("zstd -qdc '{from}' > '{to}'"),
            "tgz" => format!(
                "cd '{}' && tar -xSzf '{from}' && mv \"$(find . -name '*.raw')\" image",
                dir.path().display()
            ),
            "qcow2" => format!("qemu-img convert -O raw '{from}' '{to}'"),
            "zip" => {
                let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                    n = max(z.infolist(), key=lambda i: i.file_size); open(sys.argv[2], 'wb').write(z.read(n))";
                format!("python3 -c \"{script}\" '{from}' '{to}'")
            }
            other => panic!("{other}"),
        };
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        if !output.status.success() || !path.is_file() {
            common::skip(&format!("{name} cannot be unpacked: {}", String::from_utf8_lossy(&output.stderr)));
            return None;
        }
        Some(Self { _dir: dir, path, offset })
    }

    fn open(&self) -> Volume {
        let file = RawFile::open(&self.path).unwrap();
        Volume::open(Slice::new(file, self.offset, u64::MAX), Options::default()).unwrap()
    }

    fn judge(&self, volume: &Volume) -> Seen {
        if let Some(why) = common::no_judge() {
            common::skip(&why);
            return Seen::default();
        }
        let seen = same_as_judged(volume, &judged(&self.path, self.offset));
        println!("{}: {seen:?}", self.path.display());
        assert!(seen.files > 2 && seen.streams > 0);
        seen
    }
}

fn open_path(volume: &Volume, path: &str) -> File {
    let names: Vec<Name> = path.split('/').map(Name::from).collect();
    volume.lookup(&names).unwrap().unwrap()
}

fn content(file: &File, stream: &str) -> Vec<u8> {
    let name: Vec<u16> = stream.encode_utf16().collect();
    read(file, file.stream(AttributeType::DATA, &name).unwrap())
}

#[test]
fn ntfs_2_a_windows_volume_with_clusters_of_2_mib() {
    let Some(image) = Unpacked::new("ntfs-samples/ntfs-2m.raw.gz", 65_536) else { return };
    let volume = image.open();
    assert_eq!(volume.geometry().cluster_size, 2 << 20);
    assert_eq!(volume.information().version, (3, 1));
    image.judge(&volume);
}

#[test]
fn ntfs_5_volumes_at_an_offset() {
    for (name, offset) in [
        ("ntfs-samples/ntfs-lastaccess.raw.gz", 65_536),
        ("ntfs-samples/ntfs-ptrn.raw.gz", 65_536),
        ("ntfs-samples/ntfs-ramslack.raw.gz", 65_536),
        ("ntfs-samples/ntfs-si-vs-fn.raw.gz", 65_536),
        ("grr/ntfs_img.dd.zst", 32_256),
    ] {
        let Some(image) = Unpacked::new(name, offset) else { continue };
        let volume = image.open();
        assert!(volume.remarks().is_empty(), "{name}: {:?}", volume.remarks());
        image.judge(&volume);
    }
}

#[test]
fn ntfs_26_a_stream_on_a_directory() {
    let Some(image) = Unpacked::new("grr/ntfs_img.dd.zst", 32_256) else { return };
    let volume = image.open();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let on_directories: Vec<String> = catalogue
        .files()
        .filter(|(_, entry)| entry.is_directory() && entry.named_streams() > 0)
        .map(|(id, _)| path(&catalogue, catalogue.primary_name(id).unwrap()).unwrap())
        .collect();
    assert_eq!(on_directories.len(), 1, "{on_directories:?}");
    let directory = open_path(&volume, &on_directories[0][1..]);
    assert!(!content(&directory, "ads.txt").is_empty());
    // The descriptors of this volume are in the records.
    let own = catalogue.files().filter(|(_, entry)| entry.flags().contains(EntryFlags::OWN_SECURITY)).count();
    assert!(own > 1, "{own}");
}

/// The two times that the ReadMe of the samples gives.
#[test]
fn times_are_those_of_standard_information() {
    let Some(image) = Unpacked::new("ntfs-samples/ntfs-lastaccess.raw.gz", 65_536) else { return };
    let volume = image.open();
    let file = open_path(&volume, "test/1.txt");
    let accessed = file.times().accessed.unwrap().to_string();
    assert!(accessed.starts_with("2019-03-03T12:37:55"), "{accessed}");
    // Case does not matter, a missing name is none.
    assert_eq!(open_path(&volume, "TEST/1.TXT").reference(), file.reference());
    assert!(volume.lookup(&[Name::from("no such name")]).unwrap().is_none());
    assert!(volume.lookup(&[Name::from("test"), Name::from("1.txt"), Name::from("x")]).unwrap().is_none());

    let Some(image) = Unpacked::new("ntfs-samples/ntfs-si-vs-fn.raw.gz", 65_536) else { return };
    let volume = image.open();
    let times = open_path(&volume, "test/test.txt").times();
    assert!(times.created.unwrap().to_string().starts_with("2015-11-03"), "{times:?}");
}

/// 64 GiB, sparse, with two shadow copies.
#[test]
fn ntfs_60_a_volume_with_shadow_copies() {
    let Some(image) = Unpacked::new("ntfs-samples/ntfs.tgz", 1 << 20) else { return };
    let volume = image.open();
    image.judge(&volume);
    let file = open_path(&volume, "test_dir_2/file_2_1.txt");
    assert!(!file.is_directory());
}

#[test]
fn ntfs_31_valid_data_length_below_the_size() {
    for (name, offset) in [("plaso/vsstest.qcow2", 0), ("dfvfs/windows_volume.qcow2", 0)] {
        let Some(image) = Unpacked::new(name, offset) else { continue };
        let offset = ntfs_offset(&image.path);
        let image = Unpacked { offset, ..image };
        let volume = image.open();
        image.judge(&volume);
        let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
        let files = catalogue.files().map(|(_, entry)| volume.file(entry.reference()).unwrap());
        let short = files.filter(|file| file.streams().any(|stream| stream.vdl() < stream.size())).count();
        assert!(short > 0 || name.starts_with("dfvfs"), "{name}: {short}");
    }
}

/// Where the first boot sector of NTFS is.
fn ntfs_offset(path: &Path) -> u64 {
    let file = RawFile::open(path).unwrap();
    let mut sector = [0; 512];
    let places = (0..file.len()).step_by(512).take(100_000);
    let is_boot = |at: &u64| file.read_at(*at, &mut sector).is_ok_and(|_| sector[3..7] == *b"NTFS");
    { places }.find(is_boot).unwrap()
}

#[test]
fn ntfs_43_short_standard_information_and_descriptors_of_their_own() {
    let Some(image) = Unpacked::new("colinfinck-ntfs/testfs1.zst", 0) else { return };
    let volume = image.open();
    assert_eq!(volume.geometry().cluster_size, 512);
    assert_eq!(volume.information().label.to_string(), "mylabel");
    image.judge(&volume);
    assert_eq!(content(&open_path(&volume, "file-with-12345"), ""), b"12345");
    assert_eq!(content(&open_path(&volume, "1000-bytes-file"), ""), b"12345".repeat(200));
    let sparse = open_path(&volume, "sparse-file");
    let bytes = content(&sparse, "");
    assert_eq!((bytes.len(), &bytes[..5], &bytes[500_000..]), (500_005, &b"12345"[..], &b"11111"[..]));
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let many = catalogue.find(open_path(&volume, "many_subdirs").reference()).unwrap();
    assert_eq!(catalogue.children(many).len(), 512);
    let own = catalogue.files().filter(|(_, entry)| entry.flags().contains(EntryFlags::OWN_SECURITY)).count();
    assert!(own > 500, "{own}");
}

#[test]
fn a_small_windows_volume() {
    let Some(image) = Unpacked::new("securityronin/SampleTinyNtfsVolume.zip", 0) else { return };
    let offset = ntfs_offset(&image.path);
    let image = Unpacked { offset, ..image };
    let volume = image.open();
    assert_eq!(volume.geometry().cluster_size, 512);
    image.judge(&volume);
}

/// The state that each image was left in, and what Windows has in $Secure, $UpCase and $ObjId.
#[test]
fn ntfs_54_the_state_of_windows_volumes() {
    for name in ["ntfs-lastaccess", "ntfs-ptrn", "ntfs-ramslack", "ntfs-2m"] {
        let Some(image) = Unpacked::new(&format!("ntfs-samples/{name}.raw.gz"), 65_536) else { continue };
        let volume = image.open();
        let state = volume.state();
        println!("{name}: {state:?} {:?}", volume.information());
        assert!(
            !state.hibernated && !matches!(state.journal, Journal::Unknown(_) | Journal::Empty),
            "{state:?}"
        );
        assert!(volume.upcase().fault().is_none());
        assert_eq!(volume.upcase().upper(u16::from(b'z')), u16::from(b'Z'));
        let secure = volume.secure().unwrap();
        assert!(secure.damage().is_empty(), "{:?}", secure.damage());
        assert!(secure.iter().count() > 2);
        for (_, descriptor) in secure.iter() {
            ntbak_wire::security::SecurityDescriptor::parse(descriptor).unwrap();
        }
    }
}

/// On Windows `$OBJECT_ID` has 16 bytes; the birth ids are in the index.
#[test]
fn ntfs_41_birth_ids_come_from_the_index() {
    let mut found = 0;
    for name in ["ntfs-lastaccess", "ntfs-ptrn", "ntfs-ramslack", "ntfs-2m", "ntfs-si-vs-fn"] {
        let Some(image) = Unpacked::new(&format!("ntfs-samples/{name}.raw.gz"), 65_536) else { continue };
        let volume = image.open();
        let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
        for (_, entry) in catalogue.all().filter(|(_, entry)| entry.flags().contains(EntryFlags::OBJECT_ID)) {
            let file = volume.file(entry.reference()).unwrap();
            let attribute = read(&file, file.stream(AttributeType::OBJECT_ID, &[]).unwrap());
            let id = file.object_id().unwrap().unwrap();
            println!(
                "{name} {}: {} bytes, {:?}",
                entry.reference(),
                attribute.len(),
                id.guids().map(|id| id.to_string())
            );
            assert_eq!(id.as_bytes()[..attribute.len()], attribute);
            found += usize::from(attribute.len() == 16 && id.as_bytes()[16..].iter().any(|byte| *byte != 0));
        }
    }
    println!("{found} with birth ids from the index");
}
