//! Files that are opened and read in the order of the volume are those that are opened and read one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use common::patch::Patched;
use ntbak_ntfs::catalogue::CatalogueOptions;
use ntbak_ntfs::{File, NearbyFiles, Stream, Volume};

/// Opens every file of the catalogue both ways; how many there are.
fn compare_files(volume: &Volume) -> usize {
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let mut nearby = NearbyFiles::new(volume);
    let forward: Vec<_> = catalogue.all().map(|(_, entry)| entry.reference()).collect();
    for reference in forward.iter().chain(forward.iter().rev()) {
        let show = |file: ntbak_ntfs::Result<File>| match file {
            Ok(file) => format!("{:?} {:?} {:?}", file.names(), file.all_streams(), file.damage()),
            Err(error) => error.to_string(),
        };
        assert_eq!(show(nearby.open(*reference)), show(volume.file(*reference)), "{reference}");
    }
    forward.len()
}

/// Reads every stream both ways; how many were read ahead.
fn compare_content(volume: &Volume) -> usize {
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let opened = catalogue.files().filter_map(|(_, entry)| volume.file(entry.reference()).ok());
    let files: Vec<File> = opened.collect();
    let small = |stream: &&Stream| stream.size() < 1 << 20;
    let all: Vec<(&File, &Stream)> = files
        .iter()
        .flat_map(|file| file.streams().filter(small).map(move |stream| (file, stream)))
        .collect();
    let streams: Vec<&Stream> = all.iter().map(|(_, stream)| *stream).collect();
    // What was there before must not show through.
    let mut buffer = vec![0xEE; 5000];
    let ranges = volume.read_ahead(&streams, &mut buffer);
    assert_eq!(ranges.len(), streams.len());
    let mut read = 0;
    for ((file, stream), range) in all.iter().zip(ranges) {
        let Some(range) = range else { continue };
        let whole = file.read_all(stream, 1 << 20).unwrap();
        let valid = usize::try_from(stream.vdl()).unwrap();
        assert!(!stream.is_resident() && !stream.is_compressed() && !stream.is_encrypted());
        assert!(buffer[range] == whole[..valid], "{} {:?}", file.reference(), stream.name());
        read += 1;
    }
    read
}

#[test]
fn many_files_are_the_same_as_one_by_one() {
    let Some(original) = Patched::tiny() else { return };
    let volume = original.open().unwrap();
    let files = compare_files(&volume);
    let read = compare_content(&volume);
    println!("{files} files, {read} streams");
    assert!(files > 30 && read > 5);
}

/// What is torn, what is at the end of a cut image: told as if there were no others, and they are read.
#[test]
fn what_is_damaged_does_not_hurt_what_is_beside_it() {
    let Some(original) = Patched::tiny() else { return };
    let volume = original.open().unwrap();
    let (files, read) = (compare_files(&volume), compare_content(&volume));
    let number = volume.catalogue(CatalogueOptions::default()).unwrap().files().nth(5).unwrap().1.reference();
    let mut torn = original.clone();
    let at = torn.record_at(number.record());
    torn.write(at + 510, &[0x5A, 0xA5]);
    let volume = torn.open().unwrap();
    assert_eq!(compare_files(&volume), files - 1);
    assert!(NearbyFiles::new(&volume).open(number).is_err());
    // Cut in the middle of what its files hold.
    let mut cut = original.clone();
    let volume = cut.open().unwrap();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let opened = catalogue.files().filter_map(|(_, entry)| volume.file(entry.reference()).ok());
    let mut ends: Vec<u64> = opened
        .flat_map(|file| file.streams().flat_map(Stream::clusters).collect::<Vec<_>>())
        .filter_map(|(at, len)| Some(at? + len))
        .collect();
    ends.sort_unstable();
    let end = ends[ends.len() / 2].max(at + 2048);
    cut.cut(end);
    let volume = cut.open().unwrap();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let files: Vec<File> =
        catalogue.files().filter_map(|(_, entry)| volume.file(entry.reference()).ok()).collect();
    let streams: Vec<&Stream> =
        files.iter().flat_map(File::streams).filter(|one| one.size() < 1 << 20).collect();
    let found = volume.read_ahead(&streams, &mut Vec::new());
    let there = found.iter().filter(|range| range.is_some()).count();
    assert!(there > 0 && there < read, "{there} of {read}");
}
