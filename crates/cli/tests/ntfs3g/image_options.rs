//! What of a volume is in its tree when it is asked for: NTFS' own files, orphans, torn records, files of WOF; and
//! volumes that are refused.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ntbak::{NtfsVolume, VolumeOptions};
use ntbak_wire::reparse::{self, ReparseTag};

use crate::common::make::{self, stream};
use crate::common::mount::{Volume, WINDOWS};
use crate::common::need_volumes;
use crate::common::run::{args, ntbak};

/// Where the record of this file is in the image.
fn record_at(image: &Path, path: &str) -> u64 {
    let volume = NtfsVolume::open(image, None, VolumeOptions::default()).unwrap();
    let geometry = *volume.volume().geometry();
    let record = volume.find(path.as_bytes()).unwrap().file.reference().record();
    geometry.mft_lcn * u64::from(geometry.cluster_size) + record * u64::from(geometry.record_size)
}

fn write_at(image: &Path, at: u64, bytes: &[u8]) {
    fs::File::options().write(true).open(image).unwrap().write_all_at(bytes, at).unwrap();
}

fn listed(arguments: &[std::ffi::OsString], code: i32) -> String {
    String::from_utf8(ntbak(arguments.to_vec()).expect(code).stdout).unwrap()
}

#[test]
fn orphans_come_when_they_are_asked_for() {
    need_volumes!();
    let mut a = Volume::new(32);
    fs::create_dir_all(a.path("gone/below")).unwrap();
    fs::write(a.path("gone/below/deep"), "deep").unwrap();
    fs::write(a.path("gone/file"), "orphan").unwrap();
    fs::write(a.path("stays"), "here").unwrap();
    a.unmount();
    let image = a.image();
    // Free, as if it had been deleted.
    write_at(&image, record_at(&image, "gone") + 22, &[2]);
    assert!(!listed(&args!["list", &image], 0).contains("deep"));
    let all = listed(&args!["list", "--orphans", &image], 0);
    let named = |end: &str| all.lines().any(|line| line.contains(" $OrphanFiles/") && line.ends_with(end));
    assert!(named("-below") && named("-below/deep") && named("-file") && all.contains(" stays"), "{all}");
    let (archive, target) = (a.beside("a.tar"), a.beside("target"));
    ntbak(args!["backup", "--orphans", &image, "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--orphans", "--against", &image]).expect(0);
    ntbak(args!["copy", "--orphans", &image, &target]).expect(0).lost_only(&[]);
    let found = fs::read_dir(target.join("$OrphanFiles")).unwrap().map(|entry| entry.unwrap().path());
    let mut contents: Vec<String> = found
        .filter_map(|path| fs::read_to_string(path.join("deep")).or_else(|_| fs::read_to_string(path)).ok())
        .collect();
    contents.sort();
    assert_eq!(contents, ["deep", "orphan"]);
    let only = listed(&args!["list", "--orphans", "--exclude", "$OrphanFiles", &image], 0);
    assert!(!only.contains("deep") && only.contains("stays"), "{only}");
}

#[test]
fn files_of_ntfs_itself_come_when_they_are_asked_for() {
    need_volumes!();
    let mut a = Volume::new(32);
    fs::write(a.path("file"), "content").unwrap();
    a.unmount();
    let image = a.image();
    let own = ["$MFT", "$LogFile", "$UpCase", "$Extend", "$Extend/$ObjId"];
    let lines = |text: &str| own.iter().filter(|name| text.contains(&format!(" {name}\n"))).count();
    assert_eq!(lines(&listed(&args!["list", &image], 0)), 0);
    assert_eq!(lines(&listed(&args!["list", "--system", &image], 0)), own.len());
    let archive = a.beside("a.tar");
    ntbak(args!["backup", "--system", &image, "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--system", "--against", &image]).expect(0);
    let upcase = ntbak(args!["cat", &archive, "$UpCase"]).expect(0).stdout;
    assert_eq!((upcase.len(), &upcase[2 * 0x61..][..2]), (131_072, &b"A\0"[..]));
}

#[test]
fn a_volume_that_is_not_clean_is_refused_where_clean_ones_are_required() {
    need_volumes!();
    let mut a = Volume::new(32);
    fs::write(a.path("file"), "content").unwrap();
    a.unmount();
    let (image, archive) = (a.image(), a.beside("a.tar"));
    ntbak(args!["backup", "--require-clean", &image, "-o", &archive]).expect(0);
    // The flags of $VOLUME_INFORMATION, behind version 3.1.
    let volume = NtfsVolume::open(&image, None, VolumeOptions::default()).unwrap();
    let geometry = *volume.volume().geometry();
    drop(volume);
    let at = geometry.mft_lcn * u64::from(geometry.cluster_size) + 3 * u64::from(geometry.record_size);
    let mut record = vec![0; geometry.record_size as usize];
    fs::File::open(&image).unwrap().read_exact_at(&mut record, at).unwrap();
    let kind = 0x70_u32.to_le_bytes();
    let found = (56..record.len() - 4).step_by(8).find(|at| record[*at..][..4] == kind).unwrap();
    let value = found + usize::from(record[found + 20]);
    assert_eq!(record[value + 8..][..4], [3, 1, 0, 0]);
    write_at(&image, at + value as u64 + 10, &[1]);
    ntbak(args!["backup", &image, "-o", &archive]).expect(0);
    let refused = ntbak(args!["backup", "--require-clean", &image, "-o", &archive]).expect(1);
    assert!(refused.stderr.contains("not clean") && refused.stderr.contains("dirty"), "{}", refused.stderr);
}

#[test]
fn torn_records_come_by_salvage_and_are_told() {
    need_volumes!();
    let mut a = Volume::new(32);
    for name in ["torn", "whole"] {
        fs::write(a.path(name), name).unwrap();
    }
    a.unmount();
    let image = a.image();
    let at = record_at(&image, "torn");
    write_at(&image, at + 1022, &[0xAB, 0xCD]);
    let (archive, target) = (a.beside("a.tar"), a.beside("target"));
    ntbak(args!["backup", &image, "-o", &archive]).expect(3).lost_only(&["content"]);
    assert!(!listed(&args!["list", &archive], 0).contains(" torn\n"));
    let salvaged = ntbak(args!["backup", "--salvage", &image, "-o", &archive]).expect(3);
    assert!(salvaged.stderr.contains("torn"), "{}", salvaged.stderr);
    ntbak(args!["copy", "--salvage", &image, &target]).expect(3).lost_only(&["content"]);
    for name in ["torn", "whole"] {
        assert_eq!(fs::read_to_string(target.join(name)).unwrap(), name);
        assert_eq!(ntbak(args!["cat", &archive, name]).expect(0).stdout, name.as_bytes());
    }
}

/// 36: a tree with files of WOF, as what they read as and as they are stored; and what an archive keeps of that.
#[test]
fn ntfs_36_wof_in_trees() {
    need_volumes!();
    let mut a = Volume::unmounted(64);
    a.mount(WINDOWS);
    // One chunk of 4 KiB that did not become smaller is stored as it is, without a table.
    let content: Vec<u8> = (0..4000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let path = a.path("compact");
    fs::File::create(&path).unwrap().set_len(content.len() as u64).unwrap();
    fs::write(stream(&path, "WofCompressedData"), &content).unwrap();
    let provider = [1_u32, 2, 1, 0].map(u32::to_le_bytes).concat();
    let buffer = reparse::build(ReparseTag::WOF, None, &provider).unwrap();
    make::set(&path, make::REPARSE, &buffer);
    a.unmount();
    let (image, archive, raw) = (a.image(), a.beside("a.tar"), a.beside("raw.tar"));
    ntbak(args!["backup", &image, "-o", &archive]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &archive, "--against", &image]).expect(0);
    assert_eq!(ntbak(args!["cat", &archive, "compact"]).expect(0).stdout, content);
    let bytes = fs::read(&archive).unwrap();
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(has(b" NTBAK.wof=xpress4k\n") && has(b" NTBAK.reparse="));
    let plain = a.beside("plain");
    ntbak(args!["restore", &archive, &plain]).expect(0).lost_only(&[]);
    assert_eq!(fs::read(plain.join("compact")).unwrap(), content);
    ntbak(args!["diff", &plain, &image]).expect(0);
    let list = listed(&args!["list", "--streams", &plain], 0);
    assert!(!list.contains("WofCompressedData"), "{list}");
    ntbak(args!["backup", "--wof", "raw", &image, "-o", &raw]).expect(0).lost_only(&[]);
    ntbak(args!["verify", &raw, "--wof", "raw", "--against", &image]).expect(0);
    ntbak(args!["diff", &raw, &archive]).expect(1);
    assert_eq!(ntbak(args!["cat", &raw, "compact:WofCompressedData"]).expect(0).stdout, content);
    let bytes = fs::read(&raw).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"NTBAK.wof"));
}
