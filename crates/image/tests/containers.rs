//! Containers that `qemu-img` has made, compared with the raw disk byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod vhdx;

use std::fs;
use std::path::Path;

use common::{Chance, disk, have, run, shell};
use ntbak_image::{Image, Kind, Note, OpenOptions, ReadAt};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// 7 MiB and three sectors: no multiple of any cluster.
const SIZE: usize = (7 << 20) + 3 * 512;

/// Format and options of `qemu-img convert`, and what we say it is.
const MADE: &[(&str, &str, Kind, &str)] = &[
    ("raw", "", Kind::Raw, ""),
    ("vpc", "-o subformat=fixed,force_size=on", Kind::Vhd, "fixed"),
    ("vpc", "-o subformat=dynamic,force_size=on", Kind::Vhd, "dynamic"),
    ("vpc", "", Kind::Vhd, "dynamic"),
    ("vhdx", "", Kind::Vhdx, "dynamic"),
    ("vhdx", "-o block_size=1M", Kind::Vhdx, "dynamic"),
    ("vhdx", "-o subformat=fixed,block_size=2M", Kind::Vhdx, "fixed"),
    ("vhdx", "-o block_state_zero=off,block_size=1M", Kind::Vhdx, "dynamic"),
    ("qcow2", "", Kind::Qcow2, "version 3"),
    ("qcow2", "-o compat=0.10", Kind::Qcow2, "version 2"),
    ("qcow2", "-o cluster_size=512", Kind::Qcow2, "version 3"),
    ("qcow2", "-o cluster_size=4k", Kind::Qcow2, "version 3"),
    ("qcow2", "-o cluster_size=2M", Kind::Qcow2, "version 3"),
    ("qcow2", "-o preallocation=metadata", Kind::Qcow2, "version 3"),
    ("qcow2", "-o preallocation=full", Kind::Qcow2, "version 3"),
    ("qcow2", "-o refcount_bits=1,lazy_refcounts=on", Kind::Qcow2, "version 3"),
    ("qcow2", "-c", Kind::Qcow2, "version 3"),
    ("qcow2", "-c -o compat=0.10,cluster_size=4k", Kind::Qcow2, "version 2"),
    ("qcow2", "-c -o cluster_size=512", Kind::Qcow2, "version 3"),
    ("qcow2", "-c -o cluster_size=2M", Kind::Qcow2, "version 3"),
    ("qcow2", "-c -o compression_type=zstd", Kind::Qcow2, "version 3, zstd"),
    ("qcow2", "-c -o compression_type=zstd,cluster_size=2M", Kind::Qcow2, "version 3, zstd"),
    ("qcow2", "-o extended_l2=on", Kind::Qcow2, "version 3"),
    ("qcow2", "-o extended_l2=on,cluster_size=16k", Kind::Qcow2, "version 3"),
    ("qcow2", "-c -o extended_l2=on,cluster_size=128k", Kind::Qcow2, "version 3"),
];

/// The whole disk in requests of an odd size.
fn read_all(source: &dyn ReadAt) -> Vec<u8> {
    let mut all = vec![0xAA; usize::try_from(source.len()).unwrap()];
    let mut at = 0;
    for piece in all.chunks_mut(100_003) {
        source.read_exact_at(at, piece).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        at += piece.len() as u64;
    }
    all
}

/// The same disk; a container may have rounded its size up, with zeros.
fn assert_same(image: &Image, raw: &[u8], what: &str) {
    let read = read_all(image);
    assert!(read.len() >= raw.len() && read.len() < raw.len() + (1 << 20), "{what}: {} bytes", read.len());
    let wrong = raw.iter().zip(&read).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "{what}: the first wrong byte");
    assert!(read[raw.len()..].iter().all(|byte| *byte == 0), "{what}");
}

fn convert(dir: &Path, raw: &Path, format: &str, options: &str) -> std::path::PathBuf {
    let made = dir.join("no-extension-helps-here");
    shell(&format!("qemu-img convert -f raw -O {format} {options} {} {}", raw.display(), made.display()));
    made
}

#[test]
fn what_qemu_makes_reads_as_the_disk() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw_path = dir.path().join("raw");
    let raw = disk(1, SIZE);
    fs::write(&raw_path, &raw).unwrap();
    for (format, options, kind, variant) in MADE {
        let what = format!("{format} {options}");
        let path = convert(dir.path(), &raw_path, format, options);
        let image = Image::open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((image.kind(), image.variant()), (*kind, *variant), "{what}");
        assert_eq!(image.file_size(), fs::metadata(&path).unwrap().len());
        assert_eq!(image.notes(), [], "{what}");
        assert_same(&image, &raw, &what);
        any_read_is_right(&image, &raw, &what);
        from_many_threads(&image, &raw, &what);
    }
}

/// Reads of any place and size, over the end too, give what the raw disk has there.
fn any_read_is_right(image: &Image, raw: &[u8], what: &str) {
    let len = image.len();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let request = (0..len + 5000, prop_oneof![0..600usize, 0..300_000usize]);
    runner
        .run(&request, |(offset, size)| {
            let mut buf = vec![0xAA; size];
            let read = image.read_at(offset, &mut buf).unwrap();
            prop_assert_eq!(read as u64, len.saturating_sub(offset).min(size as u64));
            let at = |offset: u64| raw.get(usize::try_from(offset).unwrap()).copied().unwrap_or(0);
            for (offset, byte) in (offset..).zip(&buf[..read]) {
                prop_assert_eq!(*byte, at(offset), "byte {}", offset);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// The caches of an image serve many threads at once.
fn from_many_threads(image: &Image, raw: &[u8], what: &str) {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let mut chance = Chance::new(seed);
                for _ in 0..100 {
                    let at = chance.below(raw.len());
                    let len = (1 + chance.below(70_000)).min(raw.len() - at);
                    let mut buf = vec![0; len];
                    image.read_exact_at(at as u64, &mut buf).unwrap();
                    assert!(buf == raw[at..at + len], "{what}: {len} bytes at {at}");
                }
            });
        }
    });
}

#[test]
fn a_cut_container_never_gives_wrong_bytes() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw_path = dir.path().join("raw");
    let raw = disk(2, 1 << 20);
    fs::write(&raw_path, &raw).unwrap();
    for (format, options, ..) in &MADE[2..] {
        let whole = fs::read(convert(dir.path(), &raw_path, format, options)).unwrap();
        let mut chance = Chance::new(whole.len() as u64);
        let mut faults = 0;
        let places =
            (0..30).map(|_| chance.below(whole.len())).chain([0, 1, 511, 512, 513, 4095, 65536, 66000]);
        for cut in places.chain((1..25).map(|n| whole.len() - n * 300)) {
            let Some(part) = whole.get(..cut) else { continue };
            let Ok(image) = OpenOptions::new().open_source(part.to_vec()) else {
                faults += 1;
                continue;
            };
            if image.kind() == Kind::Raw {
                // Cut to less than a header, or a fixed VHD without its footer: the disk as it is.
                continue;
            }
            let mut buf = [0; 4096];
            for at in (0..raw.len()).step_by(buf.len()) {
                match image.read_exact_at(at as u64, &mut buf) {
                    Ok(()) => {
                        assert!(buf == raw[at..at + 4096], "{format} {options} cut to {cut}: byte {at}")
                    }
                    Err(error) => {
                        faults += 1;
                        // Each error says where in the file it is.
                        assert!(error.to_string().contains("at byte"), "{error}");
                    }
                }
            }
        }
        assert!(faults > 10, "{format} {options}: only {faults} cuts were noticed");
    }
}

#[test]
fn backing_files_are_opened_only_when_allowed() {
    if !have(&["qemu-img", "qemu-io"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut raw = disk(3, 3 << 20);
    fs::write(path("base"), &raw).unwrap();
    // The disk on top is larger than the one below, and the one in the middle has parts of clusters.
    shell(&format!(
        "qemu-img create -f qcow2 -F raw -b base -o extended_l2=on {} 3M",
        path("middle").display()
    ));
    shell(&format!("qemu-img create -f qcow2 -F qcow2 -b middle {} 5M", path("top").display()));
    run(
        "qemu-io",
        ["-c", "write -P 7 1000k 4k", "-c", "write -z 2M 70k"].map(String::from).into_iter().chain([path(
            "middle",
        )
        .display()
        .to_string()]),
    );
    run(
        "qemu-io",
        ["-c", "write -P 9 512 512", "-c", "write -P 8 4M 1k"].map(String::from).into_iter().chain([path(
            "top",
        )
        .display()
        .to_string()]),
    );
    raw.resize(5 << 20, 0);
    raw[1000 << 10..1004 << 10].fill(7);
    raw[2 << 20..(2 << 20) + (70 << 10)].fill(0);
    raw[512..1024].fill(9);
    raw[4 << 20..(4 << 20) + 1024].fill(8);

    let refused = Image::open(path("top")).unwrap_err();
    assert!(refused.advice().unwrap().contains("allow backing files"), "{refused}");
    let image = OpenOptions::new().backing_files(true).open(path("top")).unwrap();
    assert_same(&image, &raw, "a chain of three");
    any_read_is_right(&image, &raw, "a chain of three");
    assert_eq!(
        image.notes(),
        [Note::BackingFile { path: path("middle") }, Note::BackingFile { path: path("base") }]
    );
    // The judge agrees that this is the disk.
    shell(&format!("qemu-img convert -O raw {} {}", path("top").display(), path("flat").display()));
    assert!(fs::read(path("flat")).unwrap() == raw);

    fs::remove_file(path("base")).unwrap();
    let error = OpenOptions::new().backing_files(true).open(path("top")).unwrap_err();
    assert_eq!(error.path(), Some(path("base").as_path()));
}

#[test]
fn a_circle_of_backing_files_ends() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("self");
    shell(&format!("qemu-img create -f qcow2 {} 1M", path.display()));
    shell(&format!("qemu-img rebase -u -f qcow2 -F qcow2 -b self {}", path.display()));
    let error = OpenOptions::new().backing_files(true).open(&path).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
    // Names that are not paths are not opened at all.
    shell(&format!("qemu-img rebase -u -f qcow2 -F raw -b nbd://localhost/x {}", path.display()));
    let error = OpenOptions::new().backing_files(true).open(&path).unwrap_err();
    assert!(error.to_string().contains("not a path"), "{error}");
}

#[test]
fn qcow2_with_snapshots_dirty_or_refused_features() {
    if !have(&["qemu-img", "qemu-io"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw = disk(4, 1 << 20);
    let raw_path = dir.path().join("raw");
    fs::write(&raw_path, &raw).unwrap();
    let path = convert(dir.path(), &raw_path, "qcow2", "-o lazy_refcounts=on");
    let show = path.display();
    shell(&format!("qemu-img snapshot -c one {show}"));
    abort_after(&path, &["write -P 5 4k 4k"]);
    let mut now = raw.clone();
    now[4096..8192].fill(5);
    let image = Image::open(&path).unwrap();
    assert_same(&image, &now, "a qcow2 image that was not closed");
    assert_eq!(image.notes(), [Note::NotClosed, Note::Snapshots { count: 1 }]);

    for (options, says) in [
        ("-o data_file=DATA", "in another file"),
        ("-o encrypt.format=luks,encrypt.key-secret=k --object secret,id=k,data=x", "encrypted"),
    ] {
        let options = options.replace("DATA", &dir.path().join("data").display().to_string());
        let path = dir.path().join("refused");
        shell(&format!("qemu-img create -f qcow2 {options} {} 1M", path.display()));
        let error = Image::open(&path).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.advice().unwrap().contains("qemu-img convert"), "{error}");
    }
}

/// The log of an image that was not closed is applied: even when nothing of it had reached its place.
#[test]
fn a_vhdx_log_is_applied_in_memory() {
    if !have(&["qemu-img", "qemu-io"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dirty");
    shell(&format!("qemu-img create -f vhdx -o block_size=1M {} 8M", path.display()));
    let before = fs::read(&path).unwrap();
    // QEMU empties its log after each write; its last entry is still there.
    abort_after(&path, &["write -P 3 0 1M", "write -P 4 5M 10k", "write -P 5 3M 512"]);
    let mut raw = vec![0; 8 << 20];
    raw[..1 << 20].fill(3);
    raw[5 << 20..(5 << 20) + (10 << 10)].fill(4);
    raw[3 << 20..(3 << 20) + 512].fill(5);
    let written = fs::read(&path).unwrap();
    let (log, bat) = (1 << 20, vhdx::table_of_blocks(&before));
    assert_ne!(written[bat..bat + 64], before[bat..bat + 64], "the table had changed");
    let entry = (0..256).rev().map(|n| log + n * 4096).find(|at| written[*at..*at + 4] == *b"loge").unwrap();

    // As if it had died between the log and the block table: only the log knows where the blocks are.
    let mut torn = written.clone();
    torn[bat..bat + 4096].copy_from_slice(&before[bat..bat + 4096]);
    let guid: [u8; 16] = torn[entry + 32..entry + 48].try_into().unwrap();
    vhdx::announce_log(&mut torn, guid);
    check_dirty_vhdx(&path, &torn, &raw, 1);

    // A sequence of three that goes over the end of the ring; the first entry is overwritten by the second, the third
    // writes zeros. A newer entry of another log, and an older one of this log, do not belong to it.
    let guid = [0x5A; 16];
    let right: [u8; 4096] = written[bat..bat + 4096].try_into().unwrap();
    let ring = 1 << 20;
    let junk_at = bat as u64 + 8192;
    let tail = (ring - 4096) as u32;
    let len = written.len() as u64;
    torn[bat + 8192..bat + 12_288].fill(0xEE);
    let mut put = |at: usize, bytes: Vec<u8>| {
        for (n, byte) in bytes.into_iter().enumerate() {
            torn[log + (at + n) % ring] = byte;
        }
    };
    put(0, vec![0; ring]);
    put(ring - 4096, vhdx::log_entry(guid, 100, tail, len, &[(bat as u64, Some([0x11; 4096]))]));
    put(
        4096,
        vhdx::log_entry(guid, 101, tail, len, &[(bat as u64, Some(right)), (junk_at, Some([0x22; 4096]))]),
    );
    put(16_384, vhdx::log_entry(guid, 102, tail, len, &[(junk_at, None)]));
    put(65_536, vhdx::log_entry([7; 16], 900, 65_536, len, &[(bat as u64, Some([0x33; 4096]))]));
    put(81_920, vhdx::log_entry(guid, 50, 81_920, len, &[(bat as u64, Some([0x44; 4096]))]));
    vhdx::announce_log(&mut torn, guid);
    check_dirty_vhdx(&path, &torn, &raw, 3);

    // When the newest entry did not get to the disk whole, those before it count.
    let mut cut = torn.clone();
    cut[log + 16_384 + 2000] ^= 1;
    check_dirty_vhdx(&path, &cut, &raw, 2);

    // A sequence that does not begin must not be passed over.
    let mut damaged = torn.clone();
    damaged[log + ring - 4096 + 100] ^= 1;
    damaged[log + 81_920 + 100] ^= 1;
    let error = OpenOptions::new().open_source(damaged).unwrap_err();
    assert!(error.advice().unwrap().contains("qemu-img check"), "{error}");

    // A file that is shorter than its log knows it to be.
    let error = OpenOptions::new().open_source(torn[..torn.len() - (1 << 20)].to_vec()).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

/// The image reads as the disk, is not changed, and the judge that repairs it finds the same disk.
fn check_dirty_vhdx(path: &Path, dirty: &[u8], raw: &[u8], entries: u64) {
    fs::write(path, dirty).unwrap();
    let image = Image::open(path).unwrap();
    assert_eq!(image.notes(), [Note::LogReplayed { entries }]);
    assert_same(&image, raw, "a VHDX that was not closed");
    any_read_is_right(&image, raw, "a VHDX that was not closed");
    assert!(fs::read(path).unwrap() == dirty, "the file was not changed");

    shell(&format!("qemu-img check -q -r all {}", path.display()));
    let flat = path.with_extension("flat");
    shell(&format!("qemu-img convert -O raw {} {}", path.display(), flat.display()));
    assert!(fs::read(&flat).unwrap() == raw, "the judge");
    assert_eq!(Image::open(path).unwrap().notes(), []);
}

/// Writes to an image with a program that then dies.
fn abort_after(path: &Path, commands: &[&str]) {
    let mut io = std::process::Command::new("qemu-io");
    for command in commands.iter().chain(&["flush", "abort"]) {
        io.args(["-c", command]);
    }
    let out = io.arg(path).output().unwrap();
    assert!(!out.status.success(), "qemu-io was to abort");
}

#[test]
fn copies_of_headers_are_used_and_told() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw_path = dir.path().join("raw");
    let raw = disk(5, 1 << 20);
    fs::write(&raw_path, &raw).unwrap();
    let damage = |format: &str, options: &str, places: &[usize]| {
        let mut bytes = fs::read(convert(dir.path(), &raw_path, format, options)).unwrap();
        for place in places {
            let at = if *place == usize::MAX { bytes.len() - 400 } else { *place };
            bytes[at] ^= 0x10;
        }
        OpenOptions::new().open_source(bytes)
    };
    for (format, places) in [
        ("vhdx", &[65_536 + 100][..]),
        ("vhdx", &[131_072 + 9]),
        ("vhdx", &[196_608 + 70]),
        ("vpc", &[usize::MAX]),
    ] {
        let image = damage(format, "", places).unwrap();
        assert!(matches!(image.notes(), [Note::HeaderCopyUsed { .. }]), "{format}: {:?}", image.notes());
        assert_same(&image, &raw, format);
    }
    for (format, places) in [
        ("vhdx", &[65_536 + 100, 131_072 + 9][..]),
        ("vhdx", &[196_608 + 70, 262_144 + 70]),
        ("vpc", &[usize::MAX, 20]),
        ("vpc", &[512 + 20]),
    ] {
        let error = damage(format, "", places).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{format}: {error}");
        assert!(error.offset().is_some());
    }
}

#[test]
fn a_differencing_vhd_is_refused() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw_path = dir.path().join("raw");
    fs::write(&raw_path, disk(6, 1 << 20)).unwrap();
    let mut bytes = fs::read(convert(dir.path(), &raw_path, "vpc", "")).unwrap();
    let end = bytes.len();
    for footer in [0, end - 512] {
        // Type 3 becomes 4, and the checksum with it: ones' complement of the sum.
        bytes[footer + 63] += 1;
        let sum = u32::from_be_bytes(bytes[footer + 64..footer + 68].try_into().unwrap()) - 1;
        bytes[footer + 64..footer + 68].copy_from_slice(&sum.to_be_bytes());
    }
    let error = OpenOptions::new().open_source(bytes).unwrap_err();
    assert!(error.to_string().contains("differencing VHD"), "{error}");
    assert!(error.advice().unwrap().contains("Convert-VHD"));
}

#[test]
fn what_is_a_disk_image_is_told_by_content() {
    let dir = tempfile::tempdir().unwrap();
    let is_image = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        ntbak_image::is_disk_image(&path)
    };
    let padded = |head: &[u8]| [head, &[7; 4096]].concat();
    // Disk images that are read, and those that are only known; but not what may have one in it.
    for head in [
        &b"QFI\xFB"[..],
        b"vhdxfile",
        b"conectix",
        b"KDMV",
        b"EVF\x09\x0D\x0A\xFF\x00",
        b"# Disk DescriptorFile",
    ] {
        assert!(is_image("x", &padded(head)), "{}", head.escape_ascii());
    }
    for head in [&b"PK\x03\x04"[..], b"\x28\xB5\x2F\xFD", b"MSWIM\0\0\0", b"\x1F\x8B\x08", b"text"] {
        assert!(!is_image("disk.img", &padded(head)), "{}", head.escape_ascii());
    }
    // A volume by itself, whole or only known.
    let mut volume = vec![0; 1 << 16];
    volume[..11].copy_from_slice(b"\xEB\x52\x90NTFS    ");
    volume[11..14].copy_from_slice(&[0, 2, 8]);
    volume[40..48].copy_from_slice(&127_u64.to_le_bytes());
    volume[48..56].copy_from_slice(&4_u64.to_le_bytes());
    volume[56..64].copy_from_slice(&2_u64.to_le_bytes());
    volume[64] = 0xF6;
    volume[68] = 1;
    assert!(is_image("volume", &volume));
    volume[3..11].copy_from_slice(b"-FVE-FS-");
    assert!(is_image("locked", &volume));
    assert!(!is_image("empty", b"") && !is_image("zeros", &[0; 100_000]));
    assert!(!ntbak_image::is_disk_image(dir.path()) && !ntbak_image::is_disk_image(dir.path().join("none")));
}
