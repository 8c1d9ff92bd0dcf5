//! Images that other people made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{corpus, have, run, shell};
use ntbak_image::partition::Scheme;
use ntbak_image::{Image, Kind, ReadAt as _};

/// The first 16 MiB of the file, unpacked into `dir`: some have gigabytes, and the table is at their start.
fn unpacked(dir: &Path, path: &Path, program: &str) -> PathBuf {
    let made = dir.join("unpacked");
    let script = format!("{program} < \"$1\" | head -c 16777216 > \"$2\"");
    run("sh", ["-c", &script, "sh", path.to_str().unwrap(), made.to_str().unwrap()]);
    made
}

fn volume_at(path: &Path) -> (Scheme, u64, u64) {
    let image = Image::open(path).unwrap();
    let table = image.partitions().unwrap();
    let partition = table.choose(None).unwrap();
    let mut boot = [0; 512];
    image.volume(partition).read_exact_at(0, &mut boot).unwrap();
    assert_eq!(boot[3..11], *b"NTFS    ");
    // The boot sector knows how many sectors the volume has; a partition may be larger.
    let sector = u64::from(u16::from_le_bytes([boot[11], boot[12]]));
    let volume = u64::from_le_bytes(boot[40..48].try_into().unwrap()) * sector;
    assert!(volume < partition.size, "{volume} {}", partition.size);
    (table.scheme, partition.offset, partition.size)
}

#[test]
fn qcow2_images_read_as_qemu_reads_them() {
    for name in ["dfvfs/windows_volume.qcow2", "plaso/vsstest.qcow2"] {
        let Some(path) = corpus(name) else { return };
        let image = Image::open(&path).unwrap();
        assert_eq!(image.kind(), Kind::Qcow2);
        let (scheme, offset, _) = volume_at(&path);
        println!("{name}: {image}, {scheme}, NTFS at {offset}");
        if !have(&["qemu-img", "cmp"]) {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let flat = dir.path().join("flat");
        shell(&format!("qemu-img convert -O raw {} {}", path.display(), flat.display()));
        let raw = fs::File::open(&flat).unwrap();
        let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        for at in (0..image.len()).step_by(1 << 20) {
            let len = image.read_at(at, &mut ours).unwrap();
            std::os::unix::fs::FileExt::read_exact_at(&raw, &mut theirs[..len], at).unwrap();
            assert!(ours[..len] == theirs[..len], "{name}: from byte {at}");
        }
        assert_eq!(image.len(), fs::metadata(&flat).unwrap().len());
    }
}

#[test]
fn raw_images_have_their_volume_where_it_is() {
    if !have(&["zstd", "gzip"]) {
        return;
    }
    for (name, program, offset) in [
        ("grr/ntfs_img.dd.zst", "zstd -dc", 32_256),
        ("colinfinck-ntfs/testfs1.zst", "zstd -dc", 0),
        ("ntfs-samples/ntfs-2m.raw.gz", "gzip -dc", 65_536),
        ("ntfs-samples/ntfs-lastaccess.raw.gz", "gzip -dc", 65_536),
        ("ntfs-samples/ntfs-ptrn.raw.gz", "gzip -dc", 65_536),
        ("ntfs-samples/ntfs-ramslack.raw.gz", "gzip -dc", 65_536),
        ("ntfs-samples/ntfs-si-vs-fn.raw.gz", "gzip -dc", 65_536),
    ] {
        let Some(path) = corpus(name) else { return };
        let dir = tempfile::tempdir().unwrap();
        let image = unpacked(dir.path(), &path, program);
        assert_eq!(volume_at(&image).1, offset, "{name}");
        // Packed, it is refused by name.
        let error = Image::open(&path).unwrap_err();
        assert!(error.to_string().contains("compressed by"), "{error}");
    }
}

/// 64 GiB of which almost nothing is there: opened without reading it through.
#[test]
fn a_large_sparse_image_is_opened_at_once() {
    let Some(path) = corpus("ntfs-samples/ntfs.tgz") else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new("tar").args(["-xSzf"]).arg(&path).arg("-C").arg(dir.path()).output().unwrap();
    assert!(out.status.success());
    let image =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file());
    let (_, offset, size) = volume_at(&image.unwrap());
    assert_eq!(offset, 1 << 20);
    assert!(size > 60 << 30);
}

#[test]
fn a_wim_is_refused_by_name() {
    let Some(path) = corpus("discutils/TestData.wim") else { return };
    assert!(Image::open(&path).unwrap_err().to_string().contains("WIM archive"));
}
