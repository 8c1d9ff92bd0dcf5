//! Volumes that lie: an error or a part, never a panic, a hang, or memory without bound.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::time::{Duration, Instant};

use common::patch::{Patched, attribute, exercise};
use ntbak_ntfs::catalogue::{CatalogueOptions, Place};
use ntbak_ntfs::{AttributeType, Error, File, FileReference, Problem, Remark, Stream, Volume};
use ntbak_wire::Name;
use rustix::process::{Resource, Rlimit, setrlimit};

macro_rules! tiny {
    () => {
        match Patched::tiny() {
            Some(volume) => volume,
            None => return,
        }
    };
}

fn open_path(volume: &Volume, path: &str) -> File {
    let names: Vec<Name> = path.split('/').map(Name::from).collect();
    volume.lookup(&names).unwrap().unwrap_or_else(|| panic!("there is no {path}"))
}

/// The record of a file.
fn record_of(volume: &Patched, path: &str) -> u64 {
    open_path(&volume.open().unwrap(), path).reference().record()
}

fn data(file: &File) -> &Stream {
    file.stream(AttributeType::DATA, &[]).unwrap()
}

/// Everything is asked of the volume, and answered in time.
fn survives(patched: &Patched) -> Vec<Error> {
    let begun = Instant::now();
    let mut errors = Vec::new();
    for opened in [patched.open(), patched.salvage()] {
        match opened {
            Ok(volume) => errors.extend(exercise(&volume).0),
            Err(error) => errors.push(error),
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    errors
}

fn any(errors: &[Error], text: &str) -> bool {
    errors.iter().any(|error| error.to_string().contains(text))
}

/// Changes the attribute list of a file, wherever it is.
fn edit_list(patched: &mut Patched, record: u64, change: impl FnOnce(&mut [u8])) {
    let place = patched.record_at(record);
    let bytes = patched.read(place, 1024);
    let (at, _) = attribute(&bytes, AttributeType::ATTRIBUTE_LIST);
    if bytes[at + 8] == 0 {
        let value = at + usize::from(bytes[at + 20]);
        let len = usize::from(u16::from_le_bytes([bytes[at + 16], bytes[at + 17]]));
        patched.edit(record, |bytes| change(&mut bytes[value..value + len]));
        return;
    }
    let runs = at + usize::from(bytes[at + 32]);
    let len = usize::from(u16::from_le_bytes([bytes[at + 48], bytes[at + 49]]));
    let (length, delta) = (usize::from(bytes[runs] & 0xF), usize::from(bytes[runs] >> 4));
    let lcn = &bytes[runs + 1 + length..runs + 1 + length + delta];
    let lcn = lcn.iter().rev().fold(0, |lcn, byte| lcn << 8 | u64::from(*byte));
    let mut list = patched.read(lcn * 1024, len);
    change(&mut list);
    patched.write(lcn * 1024, &list);
}

/// The offset in the attribute list of the first reference to an extension record, and that record.
fn first_extension(patched: &Patched, record: u64) -> (u64, usize) {
    let mut found = None;
    edit_list(&mut patched.clone(), record, |list| {
        let mut entry = 0;
        while entry < list.len() {
            let number =
                u64::from_le_bytes(list[entry + 16..entry + 24].try_into().unwrap()) & 0xFFFF_FFFF_FFFF;
            if number != record {
                found = Some((number, entry + 16));
                break;
            }
            entry += usize::from(u16::from_le_bytes([list[entry + 4], list[entry + 5]]));
        }
    });
    found.expect("no extension record")
}

#[test]
fn hostile_1_an_attribute_list_that_names_the_wrong_records() {
    let original = tiny!();
    let record = record_of(&original, "names/first");
    let other = record_of(&original, "names/other");
    let (extension, at) = first_extension(&original, record);
    let names = open_path(&original.open().unwrap(), "names/first").names().len();
    assert!(names > 12);
    // Itself; the base record of another file; one that never was.
    for wrong in [record, other, 1 << 40] {
        let mut patched = original.clone();
        edit_list(&mut patched, record, |list| list[at..at + 6].copy_from_slice(&wrong.to_le_bytes()[..6]));
        let file = patched.open().unwrap().file_in_record(record).unwrap();
        assert!(!file.damage().is_empty() && file.names().len() < names, "{wrong}");
        survives(&patched);
    }
    // The same record twice is read once.
    let mut patched = original.clone();
    edit_list(&mut patched, record, |list| {
        // Each entry of a name becomes a copy of the first one in an extension record.
        let copy = list[at - 16..at + 16].to_vec();
        assert_eq!(copy[..6], [0x30, 0, 0, 0, 32, 0]);
        for entry in (at + 16..list.len() - 31).step_by(32) {
            if list[entry..entry + 6] == copy[..6] {
                list[entry..entry + 32].copy_from_slice(&copy);
            }
        }
    });
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    let mut seen: Vec<_> = file.names().iter().map(|name| (name.parent, name.name.clone())).collect();
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "no name twice");
    // A wrong sequence number in the reference.
    let mut patched = original.clone();
    edit_list(&mut patched, record, |list| list[at + 6] ^= 0x55);
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert!(
        file.damage().iter().any(|error| matches!(error.problem, Problem::Stale { .. })),
        "{:?}",
        file.damage()
    );
    let lost = file.damage().iter().filter(|error| error.place.structure == "attribute list").count();
    assert!(lost > 0 && extension > 0);
}

#[test]
fn hostile_2_an_attribute_list_in_an_extension_record() {
    let original = tiny!();
    let record = record_of(&original, "names/first");
    let (extension, _) = first_extension(&original, record);
    let mut patched = original.clone();
    patched.edit(extension, |bytes| {
        let first = usize::from(bytes[20]);
        bytes[first..first + 4].copy_from_slice(&AttributeType::ATTRIBUTE_LIST.0.to_le_bytes());
    });
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert!(!file.damage().is_empty());
    survives(&patched);
}

/// Writes a run list into the unnamed stream of a file.
fn with_runs(original: &Patched, path: &str, runs: &[u8], highest: u64) -> (Patched, u64) {
    let record = record_of(original, path);
    let mut patched = original.clone();
    patched.edit(record, |bytes| {
        let (at, len) = attribute(bytes, AttributeType::DATA);
        assert_eq!(bytes[at + 8], 1);
        let list = at + usize::from(bytes[at + 32]);
        assert!(runs.len() <= at + len - list, "no room for the run list");
        bytes[list..list + runs.len()].copy_from_slice(runs);
        bytes[at + 24..at + 32].copy_from_slice(&highest.to_le_bytes());
    });
    (patched, record)
}

#[test]
fn hostile_3_runs_that_leave_the_volume() {
    let original = tiny!();
    for (runs, highest) in [
        (&[0x11, 65, 0x80, 0][..], 64),
        (&[0x31, 65, 0xFF, 0xFF, 0x7F, 0], 64),
        (&[0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], u64::MAX - 1),
        (&[0x81, 65, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 64),
    ] {
        let (patched, record) = with_runs(&original, "sizes/65537", runs, highest);
        let file = patched.open().unwrap().file_in_record(record).unwrap();
        assert!(data(&file).fault().is_some() || !file.damage().is_empty(), "{runs:x?}");
        assert!(file.read_at(data(&file), 0, &mut [0; 10]).is_err(), "{runs:x?}");
        survives(&patched);
    }
}

/// What is good of a stream comes first, and then the error, for each byte that is not.
#[test]
fn hostile_3_good_bytes_come_before_the_damage() {
    let original = tiny!();
    let content = {
        let file = open_path(&original.open().unwrap(), "sizes/65537");
        let mut bytes = vec![0; 65_537];
        assert_eq!(file.read_at(data(&file), 0, &mut bytes).unwrap(), 65_537);
        bytes
    };
    let record = record_of(&original, "sizes/65537");
    let mut patched = original.clone();
    patched.edit(record, |bytes| {
        let (at, _) = attribute(bytes, AttributeType::DATA);
        let list = at + usize::from(bytes[at + 32]);
        // The first run loses half of its length; the rest is damage.
        assert_eq!(bytes[list] & 0xF, 1);
        bytes[list + 1] /= 2;
    });
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    let good = data(&file).stored_size() as usize;
    assert!(good > 0 && good < 65_537);
    let mut bytes = vec![0; 65_537];
    assert_eq!(file.read_at(data(&file), 0, &mut bytes).unwrap(), good);
    assert_eq!(bytes[..good], content[..good]);
    assert!(file.read_at(data(&file), good as u64, &mut bytes).is_err());
}

#[test]
fn hostile_4_sizes_beyond_all_clusters() {
    let original = tiny!();
    let record = record_of(&original, "sizes/65537");
    let sized = |size: u64, vdl: u64| {
        let mut patched = original.clone();
        patched.edit(record, |bytes| {
            let (at, _) = attribute(bytes, AttributeType::DATA);
            bytes[at + 48..at + 56].copy_from_slice(&size.to_le_bytes());
            bytes[at + 56..at + 64].copy_from_slice(&vdl.to_le_bytes());
        });
        patched
    };
    // 2^63 - 1 bytes in 65 clusters: what is there is read, the rest is an error.
    let patched = sized(i64::MAX as u64, i64::MAX as u64);
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    let mut bytes = vec![0; 100_000];
    assert_eq!(file.read_at(data(&file), 0, &mut bytes).unwrap(), 66_560);
    assert!(file.read_at(data(&file), 66_560, &mut bytes).is_err());
    assert!(file.read_all(data(&file), 1 << 20).is_err());
    survives(&patched);
    // Valid data length behind the end counts as the end, and is told.
    let patched = sized(1000, 2000);
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert_eq!((data(&file).size(), data(&file).vdl(), file.damage().len()), (1000, 1000, 1));
    // Everything behind the valid data length is zero, whatever the clusters hold (ntfs_32).
    let patched = sized(65_537, 700);
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert_eq!(file.read_at(data(&file), 0, &mut bytes).unwrap(), 65_537);
    assert!(bytes[..700].iter().any(|byte| *byte != 0) && bytes[700..65_537].iter().all(|byte| *byte == 0));
    // One hole of 2^53 clusters takes no memory.
    let hole = [0x07, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F];
    let (mut patched, _) = with_runs(&original, "sizes/65537", &hole, (1 << 53) - 2);
    patched.edit(record, |bytes| {
        let (at, _) = attribute(bytes, AttributeType::DATA);
        bytes[at + 48..at + 56].copy_from_slice(&(i64::MAX as u64 - 1024).to_le_bytes());
    });
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert_eq!((file.damage().len(), data(&file).extents().count()), (0, 0), "{:?}", file.damage());
    assert_eq!(file.read_at(data(&file), 1 << 62, &mut bytes).unwrap(), 100_000);
    survives(&patched);
}

/// Gives every name of a file another directory.
fn reparent(patched: &mut Patched, record: u64, parent: FileReference) {
    patched.edit(record, |bytes| {
        let (at, _) = attribute(bytes, AttributeType::FILE_NAME);
        let value = at + usize::from(bytes[at + 20]);
        bytes[value..value + 8].copy_from_slice(&parent.0.to_le_bytes());
    });
}

#[test]
fn hostile_5_directories_in_themselves() {
    let original = tiny!();
    let [a, b] =
        ["names/d0", "names/d0/d1"].map(|path| open_path(&original.open().unwrap(), path).reference());
    let below = open_path(&original.open().unwrap(), "names/d0/d1/d2/deepest").reference();
    let mut own = original.clone();
    reparent(&mut own, a.record(), a);
    let mut circle = original.clone();
    reparent(&mut circle, a.record(), b);
    for patched in [own, circle] {
        let catalogue = patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
        for file in [a, b, below] {
            let id = catalogue.find(file).unwrap();
            assert_eq!(catalogue.place(id), Place::Orphan);
            assert!(catalogue.names(id).all(|name| catalogue.path(name).is_none()));
        }
        assert!(catalogue.files().count() > 100);
        survives(&patched);
    }
}

/// A file whose directory was deleted and whose record is another directory's now.
#[test]
fn ntfs_50_an_orphan_whose_parent_was_reused() {
    let original = tiny!();
    let parent = open_path(&original.open().unwrap(), "names/d0").reference();
    let child = open_path(&original.open().unwrap(), "names/d0/d1").reference();
    let mut patched = original.clone();
    reparent(&mut patched, child.record(), FileReference::new(parent.record(), parent.sequence() + 1));
    let catalogue = patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
    assert_eq!(catalogue.place(catalogue.find(child).unwrap()), Place::Orphan);
    assert_eq!(catalogue.place(catalogue.find(parent).unwrap()), Place::Tree);
}

/// Nobody has another use for the record of the root: what is in it stays in the tree.
#[test]
fn a_root_with_another_sequence_number_keeps_its_files() {
    let original = tiny!();
    let files = |patched: &Patched| {
        patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap().files().count()
    };
    let mut patched = original.clone();
    patched.edit(5, |bytes| bytes[16] = 9);
    assert_eq!(files(&patched), files(&original));
    survives(&patched);
}

/// A file whose base record says that it is a part of another file: without a word it would be gone.
#[test]
fn an_extension_record_of_no_file_is_damage() {
    let original = tiny!();
    let record = record_of(&original, "names/case");
    // Of a file that is not there, and of one that has a single record.
    for base in [128, record_of(&original, "sizes/65537") | 1 << 48] {
        let mut patched = original.clone();
        patched.edit(record, |bytes| bytes[32..40].copy_from_slice(&base.to_le_bytes()));
        let catalogue = patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
        assert_eq!(catalogue.counts().damaged, 1);
        assert_eq!(catalogue.damage()[0].place.record, Some(record));
        survives(&patched);
    }
    let catalogue = original.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
    assert!(catalogue.counts().extensions > 0 && catalogue.damage().is_empty(), "{:?}", catalogue.damage());
}

#[test]
fn a_directory_that_says_that_it_is_a_file_is_damaged() {
    let original = tiny!();
    for (record, changes) in
        [(record_of(&original, "names/d0"), true), (record_of(&original, "names/case"), false)]
    {
        let mut patched = original.clone();
        patched.edit(record, |bytes| bytes[22] &= !2);
        let file = patched.open().unwrap().file_in_record(record).unwrap();
        assert_eq!(any(file.damage(), "index of names"), changes, "{:?}", file.damage());
        survives(&patched);
    }
}

/// Deleted files are there only when they are asked for, and never in the tree.
#[test]
fn ntfs_53_deleted_files_are_not_listed() {
    let volume = tiny!().open().unwrap();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    assert!(catalogue.all().all(|(id, _)| catalogue.place(id) != Place::Deleted));
    let with = volume.catalogue(CatalogueOptions::default().deleted(true)).unwrap();
    let deleted: Vec<_> = with.all().filter(|(id, _)| with.place(*id) == Place::Deleted).collect();
    assert!(deleted.len() > 20, "{}", deleted.len());
    assert_eq!(with.files().count(), catalogue.files().count());
    let (_, entry) = deleted[0];
    assert!(volume.file(entry.reference()).is_err());
    assert!(!volume.deleted_file(entry.reference().record()).unwrap().is_in_use());
}

/// The first block of the index of a directory, by its place on the volume.
fn index_block(volume: &Volume, path: &str) -> u64 {
    let directory = open_path(volume, path);
    let name: Vec<u16> = "$I30".encode_utf16().collect();
    let blocks = directory.stream(AttributeType::INDEX_ALLOCATION, &name).unwrap();
    blocks.clusters().next().unwrap().0.unwrap()
}

#[test]
fn hostile_6_indexes_that_lead_nowhere() {
    let original = tiny!();
    let volume = original.open().unwrap();
    let block = index_block(&volume, "many");
    let bytes = original.read(block, 4096);
    let first = block + 24 + u64::from(u32::from_le_bytes(bytes[24..28].try_into().unwrap()));
    let list = |patched: &Patched| {
        let volume = patched.open().unwrap();
        let (mut names, mut damage) = (0, Vec::new());
        let directory = open_path(&volume, "many");
        let listed = volume.read_directory(&directory, &mut |error| damage.push(error), &mut |_| names += 1);
        listed.map(|()| (names, damage)).unwrap()
    };
    let (whole, damage) = list(&original);
    assert!(whole >= 60 && damage.is_empty());
    // Entry length 0, below 16, past the block; a key past its entry; another magic number; another VCN.
    for (at, change) in [
        (first + 8, &[0, 0][..]),
        (first + 8, &[8, 0]),
        (first + 8, &[0xFF, 0xFF]),
        (first + 10, &[0xFF, 0xFF]),
        (block, b"BAAD"),
        (block + 16, &[9]),
        (block + 4, &[0xFF, 0xFF]),
        (block + 510, &[1, 2]),
        (block + 24, &[0xFF, 0xFF, 0xFF, 0xFF]),
    ] {
        let mut patched = original.clone();
        patched.write(at, change);
        let (names, damage) = list(&patched);
        assert!(names < whole && (!damage.is_empty() || at == block + 24), "{at}: {names} {damage:?}");
        survives(&patched);
        // The catalogue does not need the index.
        let catalogue = patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
        let id = catalogue.find(open_path(&patched.open().unwrap(), "many").reference()).unwrap();
        assert_eq!(catalogue.children(id).len(), whole);
    }
    // Every child VCN of the root is the first block, whose own entries have children there too.
    let record = record_of(&original, "many");
    let mut patched = original.clone();
    patched.edit(record, |bytes| {
        let (at, _) = attribute(bytes, AttributeType::INDEX_ROOT);
        let node = at + usize::from(bytes[at + 20]) + 16;
        let mut entry = node + 16;
        loop {
            let len = usize::from(u16::from_le_bytes([bytes[entry + 8], bytes[entry + 9]]));
            bytes[entry + len - 8..entry + len].fill(0);
            if bytes[entry + 12] & 2 != 0 {
                break;
            }
            entry += len;
        }
    });
    survives(&patched);
}

#[test]
fn hostile_7_fixups_that_do_not_fit() {
    let original = tiny!();
    let record = record_of(&original, "names/case");
    for (at, change) in [(4, &[49, 0][..]), (4, &[0xFE, 1]), (6, &[0, 0]), (6, &[0xFF, 0xFF]), (20, &[48, 0])]
    {
        let mut patched = original.clone();
        let place = patched.record_at(record) + at;
        patched.write(place, change);
        let volume = patched.open().unwrap();
        assert!(volume.file_in_record(record).is_err(), "{at}");
        let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
        assert_eq!(catalogue.counts().damaged, 1);
        assert_eq!(catalogue.damage()[0].place.record, Some(record));
        survives(&patched);
    }
}

#[test]
fn hostile_8_mft_that_is_elsewhere() {
    let original = tiny!();
    let mft = original.record_at(0);
    let mirror = {
        let geometry = *original.open().unwrap().geometry();
        geometry.mirror_lcn * u64::from(geometry.cluster_size)
    };
    // Both copies, so that the mirror does not help.
    let both = |change: fn(&mut Vec<u8>)| {
        let mut patched = original.clone();
        patched.edit_at(mft, change).edit_at(mirror, change);
        patched
    };
    let data = |bytes: &[u8]| attribute(bytes, AttributeType::DATA).0;
    fn runs(bytes: &mut [u8]) -> &mut [u8] {
        let at = attribute(bytes, AttributeType::DATA).0;
        let list = at + usize::from(bytes[at + 32]);
        &mut bytes[list..]
    }
    // Elsewhere; outside; nothing but a hole; resident.
    let elsewhere = both(|bytes| runs(bytes)[2] ^= 1);
    let outside = both(|bytes| runs(bytes)[3] = 0x7F);
    let hole = both(|bytes| {
        let len = runs(bytes)[1];
        runs(bytes)[..3].copy_from_slice(&[0x01, len, 0]);
    });
    let resident = both(|bytes| {
        let at = attribute(bytes, AttributeType::DATA).0;
        bytes[at + 8] = 0;
        bytes[at + 16..at + 24].fill(0);
    });
    for patched in [elsewhere, outside, hole, resident] {
        assert_eq!(patched.open().unwrap_err().place.record, Some(0));
        survives(&patched);
    }
    assert!(data(&original.read(mft, 1024)) > 0);
}

/// `$MFT` of nothing but a hole; see also `hostile_8`.
#[test]
fn hostile_19_mft_of_holes() {
    let original = tiny!();
    let mft = original.record_at(0);
    let mirror = original.open().unwrap().geometry().mirror_lcn * 1024;
    // 16 records, then a hole of 2^24.
    let mut patched = original.clone();
    let change = |bytes: &mut Vec<u8>| {
        let at = attribute(bytes, AttributeType::DATA).0;
        let list = at + usize::from(bytes[at + 32]);
        // The LCN has as many bytes as it had.
        let (length, delta) = (usize::from(bytes[list] & 0xF), usize::from(bytes[list] >> 4));
        let lcn = bytes[list + 1 + length..list + 1 + length + delta].to_vec();
        let runs =
            [&[(delta as u8) << 4 | 1, 16], &lcn[..], &[0x03, 0xFF, 0xFF, 0xFF, 0][..8 - 2 - delta]].concat();
        bytes[list..list + 8].copy_from_slice(&runs);
        let clusters = 0xFF_FFFF + 16_u64;
        bytes[at + 24..at + 32].copy_from_slice(&(clusters - 1).to_le_bytes());
        for size in [40, 48, 56] {
            bytes[at + size..at + size + 8].copy_from_slice(&(clusters * 1024).to_le_bytes());
        }
    };
    patched.edit_at(mft, change).edit_at(mirror, change);
    let volume = patched.open().unwrap();
    assert_eq!(volume.records(), 0xFF_FFFF + 16);
    let begun = Instant::now();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    assert_eq!(catalogue.counts().records, 16);
    assert!(begun.elapsed() < Duration::from_secs(1));
    survives(&patched);
}

/// Where on the volume a byte of a stream is.
fn on_volume(stream: &Stream, mut offset: u64) -> u64 {
    for (at, len) in stream.clusters() {
        match offset.checked_sub(len) {
            Some(rest) => offset = rest,
            None => return at.unwrap() + offset,
        }
    }
    panic!("no such byte");
}

#[test]
fn hostile_11_descriptors_that_are_not_where_they_say() {
    let original = tiny!();
    let volume = original.open().unwrap();
    let secure = volume.file_in_record(9).unwrap();
    let name: Vec<u16> = "$SDS".encode_utf16().collect();
    let sds = secure.stream(AttributeType::DATA, &name).unwrap().clusters().next().unwrap().0.unwrap();
    let file = open_path(&volume, "facts/sd3");
    let id = file.standard_information().unwrap().security_id().unwrap();
    let descriptor = file.security().unwrap().unwrap().into_owned();
    let block = original.read(sds, 64 << 10);
    let at =
        (0..block.len()).step_by(16).find(|at| block[at + 4..at + 8] == id.to_le_bytes()).unwrap() as u64;
    let copy = on_volume(secure.stream(AttributeType::DATA, &name).unwrap(), (256 << 10) + at);
    for (offset, change) in
        [(0, &[0xFF; 4][..]), (8, &[0x13]), (16, &[0; 4]), (16, &[0xFF; 4]), (30, &[0xEE])]
    {
        // Only the first copy: the second one helps.
        let mut patched = original.clone();
        patched.write(sds + at + offset, change);
        let volume = patched.open().unwrap();
        assert_eq!(volume.security_descriptor(id).unwrap(), descriptor);
        assert!(volume.secure().unwrap().damage().is_empty());
        // Both: an error, and the others are still found.
        patched.write(copy + offset, change);
        let volume = patched.open().unwrap();
        let found = volume.security_descriptor(id);
        let error = found.unwrap_err();
        assert!(matches!(error.problem, Problem::SecurityId { .. }), "{error}");
        assert!(open_path(&volume, "facts/sd3").security().is_err());
        assert!(open_path(&volume, "facts/sd2").security().unwrap().is_some());
        assert_eq!(volume.secure().unwrap().damage().len(), 1);
        survives(&patched);
    }
}

/// Two descriptors with one id: the index says which counts.
#[test]
fn hostile_11_two_descriptors_with_one_id() {
    let original = tiny!();
    let volume = original.open().unwrap();
    let secure = volume.file_in_record(9).unwrap();
    let name: Vec<u16> = "$SDS".encode_utf16().collect();
    let sds = secure.stream(AttributeType::DATA, &name).unwrap().clusters().next().unwrap().0.unwrap();
    let ids = ["facts/sd2", "facts/sd3"]
        .map(|path| open_path(&volume, path).standard_information().unwrap().security_id().unwrap());
    let expected = volume.security_descriptor(ids[0]).unwrap().to_vec();
    let block = original.read(sds, 64 << 10);
    let at =
        |id: u32| (0..block.len()).step_by(16).find(|at| block[at + 4..at + 8] == id.to_le_bytes()).unwrap();
    // The entry of the second claims to be the first.
    let mut patched = original.clone();
    for copy in [0, 256 << 10] {
        let entry = on_volume(secure.stream(AttributeType::DATA, &name).unwrap(), copy + at(ids[1]) as u64);
        patched.write(entry + 4, &ids[0].to_le_bytes());
    }
    let volume = patched.open().unwrap();
    assert_eq!(volume.security_descriptor(ids[0]).unwrap(), expected);
    assert_eq!(volume.secure().unwrap().damage().len(), 1);
    assert!(volume.security_descriptor(ids[1]).is_err());
}

#[test]
fn hostile_12_a_table_of_letters_that_is_none() {
    let original = tiny!();
    let mut patched = original.clone();
    patched.edit(10, |bytes| {
        let at = attribute(bytes, AttributeType::DATA).0;
        bytes[at + 48..at + 56].copy_from_slice(&1000_u64.to_le_bytes());
    });
    let volume = patched.open().unwrap();
    assert!(volume.upcase().fault().is_some());
    open_path(&volume, "NAMES/First");
    survives(&patched);
}

#[test]
fn hostile_13_extended_attributes_that_do_not_end() {
    let original = tiny!();
    let record = record_of(&original, "facts/ea one");
    for next in [0_u32, 1, 4, 8, 0xFFFF_FFFC] {
        let mut patched = original.clone();
        patched.edit(record, |bytes| {
            let at = attribute(bytes, AttributeType::EA).0;
            let value = at + usize::from(bytes[at + 20]);
            bytes[value..value + 4].copy_from_slice(&next.to_le_bytes());
        });
        let file = patched.open().unwrap().file_in_record(record).unwrap();
        // 0 in the last entry is fine.
        assert_eq!(file.eas().is_ok(), next == 0, "{next}");
        assert!(file.eas_on_disk().unwrap().is_some());
        survives(&patched);
    }
}

#[test]
fn hostile_15_an_attribute_list_of_2_to_the_40_bytes() {
    let original = tiny!();
    let record = record_of(&original, "names/first");
    let mut patched = original.clone();
    patched.edit(record, |bytes| {
        // The list becomes non-resident: a hole of 2^30 clusters, said to be a TiB.
        let (at, len) = attribute(bytes, AttributeType::ATTRIBUTE_LIST);
        assert!(len >= 72);
        bytes[at + 8] = 1;
        bytes[at + 16..at + len].fill(0);
        bytes[at + 24..at + 32].copy_from_slice(&((1_u64 << 30) - 1).to_le_bytes());
        bytes[at + 32] = 64;
        for size in [40, 48, 56] {
            bytes[at + size..at + size + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
        }
        bytes[at + 64..at + 70].copy_from_slice(&[0x04, 0, 0, 0, 0x40, 0]);
    });
    let file = patched.open().unwrap().file_in_record(record).unwrap();
    assert!(any(file.damage(), "262144"), "{:?}", file.damage());
    survives(&patched);
}

#[test]
fn hostile_16_two_files_that_claim_one_extension_record() {
    let original = tiny!();
    let [a, b] = ["names/first", "streams/many"].map(|path| record_of(&original, path));
    let (_, at) = first_extension(&original, a);
    let (theirs, from) = first_extension(&original, b);
    let mut patched = original.clone();
    let mut reference = Vec::new();
    edit_list(&mut patched, b, |list| reference.extend_from_slice(&list[from..from + 8]));
    edit_list(&mut patched, a, |list| list[at..at + 8].copy_from_slice(&reference));
    let volume = patched.open().unwrap();
    let file = volume.file_in_record(a).unwrap();
    assert!(file.damage().iter().any(|error| error.place.record == Some(theirs)), "{:?}", file.damage());
    assert!(volume.file_in_record(b).unwrap().damage().is_empty());
    survives(&patched);
}

/// Names are given as they are: a restore must check them.
#[test]
fn hostile_20_names_that_would_leave_a_directory() {
    let original = tiny!();
    let record = record_of(&original, "names/case");
    for name in ["..\0\0", "a/b\\", "\0\0\0\0"] {
        let mut patched = original.clone();
        patched.edit(record, |bytes| {
            let at = attribute(bytes, AttributeType::FILE_NAME).0;
            let value = at + usize::from(bytes[at + 20]);
            let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(units.len(), 8);
            bytes[value + 66..value + 74].copy_from_slice(&units);
        });
        let file = patched.open().unwrap().file_in_record(record).unwrap();
        assert_eq!(file.names()[0].name, Name::from(name));
        survives(&patched);
    }
}

#[test]
fn ntfs_6_a_truncated_image() {
    let mut patched = tiny!();
    let record = record_of(&patched, "sizes/65537");
    let end = {
        let file = open_path(&patched.open().unwrap(), "sizes/65537");
        data(&file).clusters().next().unwrap().0.unwrap() + 5000
    };
    patched.cut(end);
    let volume = patched.open().unwrap();
    assert!(volume.remarks().iter().any(|remark| matches!(remark, Remark::ImageTooShort { .. })));
    let file = volume.file_in_record(record).unwrap();
    let mut bytes = vec![0; 65_537];
    assert_eq!(file.read_at(data(&file), 0, &mut bytes).unwrap(), 5000);
    let error = file.read_at(data(&file), 5000, &mut bytes).unwrap_err();
    assert!(
        matches!(error.problem, Problem::ImageEnds { .. }) && error.place.record == Some(record),
        "{error}"
    );
    survives(&patched);
}

#[test]
fn ntfs_7_a_damaged_boot_sector() {
    let original = tiny!();
    for (at, change) in [(3, &b"XXXX"[..]), (11, &[0, 0]), (13, &[3]), (40, &[0; 8]), (0, &[0; 512])] {
        let mut patched = original.clone();
        patched.write(at, change);
        let volume = patched.open().unwrap();
        assert!(matches!(volume.remarks(), [Remark::BackupBootSector(_)]), "{:?}", volume.remarks());
        assert_eq!(volume.geometry(), original.open().unwrap().geometry());
        open_path(&volume, "names/case");
    }
    // Good by itself, but it leads nowhere.
    let mut patched = original.clone();
    patched.write(48, &[77]);
    assert!(matches!(patched.open().unwrap().remarks(), [Remark::BackupBootSector(_)]));
    // Both good, and different.
    let mut patched = original.clone();
    patched.write(72, b"serial");
    assert!(matches!(patched.open().unwrap().remarks(), [Remark::BootSectorsDiffer]));
    // Neither.
    patched.write(3, b"X").write((24 << 20) - 512 + 3, b"X");
    assert_eq!(patched.open().unwrap_err().place.structure, "boot sector");
}

#[test]
fn ntfs_9_a_torn_record_0_and_a_good_mirror() {
    let original = tiny!();
    let mft = original.record_at(0);
    let mut patched = original.clone();
    patched.write(mft + 510, &[0x77, 0x77]);
    let volume = patched.open().unwrap();
    assert!(matches!(volume.remarks(), [Remark::Mirror(_)]), "{:?}", volume.remarks());
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    assert_eq!(catalogue.counts().damaged, 0);
    assert_eq!(exercise(&volume).0.len(), exercise(&original.open().unwrap()).0.len());
}

/// A torn record is damage; salvage reads it, and says so.
#[test]
fn torn_records_are_lost_unless_they_are_salvaged() {
    let original = tiny!();
    let record = record_of(&original, "names/case");
    let mut patched = original.clone();
    let at = patched.record_at(record);
    patched.write(at + 1022, &[0x77, 0x77]);
    let volume = patched.open().unwrap();
    assert!(matches!(volume.file_in_record(record).unwrap_err().problem, Problem::Torn { at: 512 }));
    assert_eq!(volume.catalogue(CatalogueOptions::default()).unwrap().counts().damaged, 1);
    let volume = patched.salvage().unwrap();
    let file = volume.file_in_record(record).unwrap();
    assert!(matches!(file.damage(), [Error { problem: Problem::Torn { .. }, .. }]));
    assert_eq!(file.names()[0].name, Name::from("case"));
}

#[test]
fn ntfs_51_and_52_the_bitmap_is_only_counted() {
    let original = tiny!();
    let volume = original.open().unwrap();
    let counts = volume.catalogue(CatalogueOptions::default()).unwrap().counts();
    assert_eq!((counts.bitmap_differs, counts.damaged), (0, 0));
    let record = record_of(&original, "names/case");
    let file = volume.file_in_record(0).unwrap();
    let bitmap = file.stream(AttributeType::BITMAP, &[]).unwrap().clusters().next().unwrap().0.unwrap();
    let mut patched = original.clone();
    let byte = original.read(bitmap + record / 8, 1)[0];
    patched.write(bitmap + record / 8, &[byte & !(1 << (record % 8))]);
    let catalogue = patched.open().unwrap().catalogue(CatalogueOptions::default()).unwrap();
    assert_eq!(catalogue.counts().bitmap_differs, 1);
    assert_eq!(catalogue.place(catalogue.find_record(record).unwrap()), Place::Tree);
}

/// Single records of real volumes that other readers got wrong, in the place of one of ours.
#[test]
fn records_that_others_got_wrong() {
    let original = tiny!();
    let dir = common::corpus().join("omerbenamram-mft");
    let Ok(records) = std::fs::read_dir(&dir) else {
        common::skip(&format!("there is no {}", dir.display()));
        return;
    };
    let place = record_of(&original, "names/case");
    for path in records.map(|record| record.unwrap().path()) {
        let mut patched = original.clone();
        let at = patched.record_at(place);
        patched.write(at, &std::fs::read(&path).unwrap());
        if patched.read(at + 32, 8) != [0; 8] {
            println!("(an extension record, made a base record)");
            patched.edit_at(at, |bytes| bytes[32..40].fill(0));
        }
        let opened = patched.open().unwrap().file_in_record(place);
        let salvaged = patched.salvage().unwrap().file_in_record(place);
        let name = path.file_name().unwrap().to_str().unwrap();
        let told = |file: &ntbak_ntfs::Result<File>| match file {
            Ok(file) => {
                let names: Vec<_> = file.names().iter().map(|name| name.name.to_string()).collect();
                let streams: Vec<_> =
                    file.streams().map(|stream| (stream.name().to_string(), stream.size())).collect();
                format!("{names:?} {streams:?} {:?}", file.damage())
            }
            Err(error) => error.to_string(),
        };
        println!("{name}: {}\n   salvaged: {}", told(&opened), told(&salvaged));
        survives(&patched);
    }
}

/// Thousands of changed volumes, the same ones in every run; 10,000 where everything is required to run.
/// `NTBAK_MUTATIONS` and `NTBAK_SEED` give others.
#[test]
fn seeded_mutations_end_in_an_error_or_a_part() {
    let original = tiny!();
    // Memory beyond this is a failure.
    let limit = Rlimit { current: Some(1536 << 20), maximum: Some(1536 << 20) };
    setrlimit(Resource::As, limit).unwrap();
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("NTBAK_SEED", 20_261_121);
    let all = std::env::var_os("NTBAK_REQUIRE_ALL").is_some();
    let rounds = number("NTBAK_MUTATIONS", if all { 10_000 } else { 3000 });
    let volume = original.open().unwrap();
    let mft = original.record_at(0);
    let records = volume.records();
    let regions = [
        (0, 512),
        (mft, records * 1024),
        (mft, 16 * 1024),
        (mft, records * 1024),
        (index_block(&volume, "many"), 8192),
        (index_block(&volume, "names"), 8192),
    ];
    const WORDS: [u64; 12] =
        [0, 1, 7, 8, 0x10, 0x7F, 0xFF, 0x7FFF, 0xFFFF_FFFF, 1 << 40, i64::MAX as u64, u64::MAX];
    let mutate = |round: u64| {
        let mut state = seed ^ round << 32;
        let mut random = move |below: u64| {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ z >> 31) % below
        };
        let mut patched = original.clone();
        for _ in 0..=random(6) {
            let (start, len) = regions[random(regions.len() as u64) as usize];
            let at = start + random(len);
            match random(4) {
                0 => patched.write(at, &[random(256) as u8]),
                1 => {
                    let size = 1 << random(4);
                    let word = WORDS[random(WORDS.len() as u64) as usize].to_le_bytes();
                    patched.write(at & !(size - 1), &word[..size as usize])
                }
                2 => {
                    let byte = original.read(at, 1)[0] ^ 1 << random(8);
                    patched.write(at, &[byte])
                }
                _ => {
                    let from = start + random(len);
                    let bytes = original.read(from, 8 << random(4));
                    patched.write(at & !7, &bytes)
                }
            };
        }
        let begun = Instant::now();
        let opened = if round.is_multiple_of(4) { patched.salvage() } else { patched.open() };
        let is_open = opened.is_ok();
        if let Ok(volume) = opened {
            exercise(&volume);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "round {round}: {:?}", begun.elapsed());
        u64::from(is_open)
    };
    let half = |begin| (begin..rounds).step_by(2).map(&mutate).sum::<u64>();
    let whole = std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        half(0) + odd.join().unwrap()
    });
    println!("{whole} of {rounds} volumes opened");
    assert!(whole > rounds / 2);
}
