//! Damaged containers and tables: an error or some bytes, never a panic, a hang, or memory without end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{Chance, disk, have, shell};
use ntbak_image::{OpenOptions, ReadAt as _};

/// Values that break arithmetic.
const BAD: [u64; 12] = [
    0,
    1,
    2,
    0xFF,
    0x1FF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    0xFFFF_FFFF_FFFF_FE00,
    u64::MAX,
];

/// Opens it and reads here and there; what comes out does not matter.
fn use_it(bytes: Vec<u8>, chance: &mut Chance) -> bool {
    let Ok(image) = OpenOptions::new().open_source(bytes) else { return false };
    let _ = image.partitions().map(|table| table.choose(None).map(|one| one.number));
    let len = image.len();
    let mut buf = vec![0; 70_000];
    for at in
        [0, len / 2, len.saturating_sub(1), len, u64::MAX, u64::MAX - 70_000, chance.number() % len.max(1)]
    {
        let _ = image.read_at(at, &mut buf);
    }
    true
}

#[test]
fn mutated_images_do_no_harm() {
    if !have(&["qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    let mut content = disk(11, 1 << 20);
    content[..512].fill(0);
    fs::write(&raw, &content).unwrap();
    for (format, options, places) in [
        ("vpc", "", &[(0, 512), (512, 1024), (1536, 512), (usize::MAX, 512)][..]),
        ("vpc", "-o subformat=fixed", &[(usize::MAX, 512)]),
        (
            "vhdx",
            "-o block_size=1M",
            &[(0, 16), (65_536, 100), (131_072, 100), (196_608, 128), (2 << 20, 400), (3 << 20, 64)],
        ),
        ("qcow2", "", &[(0, 200), (196_608, 64), (262_144, 128)]),
        ("qcow2", "-c -o cluster_size=512", &[(0, 200), (512, 4096)]),
        ("qcow2", "-c -o compression_type=zstd", &[(0, 200), (131_072, 300_000)]),
        ("qcow2", "-o extended_l2=on", &[(0, 200), (196_608, 64), (262_144, 256)]),
    ] {
        let made = dir.path().join("made");
        shell(&format!("qemu-img convert -f raw -O {format} {options} {} {}", raw.display(), made.display()));
        let whole = fs::read(&made).unwrap();
        let mut chance = Chance::new(whole.len() as u64);
        let (start, mut opened) = (Instant::now(), 0);
        let rounds = 400;
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            for _ in 0..1 + chance.below(3) {
                let (at, len) = places[chance.below(places.len())];
                let at = at.min(bytes.len() - 512) + chance.below(len);
                let value = BAD[chance.below(BAD.len())];
                let size = [1, 4, 8][chance.below(3)];
                let field = if chance.below(2) == 0 { value.to_be_bytes() } else { value.to_le_bytes() };
                for (to, from) in bytes.iter_mut().skip(at - at % size).zip(&field[..size]) {
                    *to = *from;
                }
            }
            repair_checksums(&mut bytes, format);
            opened += usize::from(use_it(bytes, &mut chance));
        }
        // Some mutations have to get past the header, or this says nothing.
        assert!(opened > rounds / 10, "{format} {options}: {opened} of {rounds} were opened");
        assert!(start.elapsed() < Duration::from_secs(120), "{format} {options}");
    }
}

/// Checksums keep mutations out; the interesting ones have right checksums.
fn repair_checksums(bytes: &mut [u8], format: &str) {
    let mut sum = |at: usize, len: usize, place: usize| {
        bytes[at + place..at + place + 4].fill(0);
        let sum = bytes[at..at + len].iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        bytes[at + place..at + place + 4].copy_from_slice(&(!sum).to_be_bytes());
    };
    match format {
        "vpc" => {
            sum(0, 512, 64);
            sum(512, 1024, 36);
        }
        "vhdx" => {
            vhdx::seal(&mut bytes[65_536..65_536 + 4096]);
            vhdx::seal(&mut bytes[131_072..131_072 + 4096]);
            vhdx::seal(&mut bytes[196_608..262_144]);
        }
        _ => return,
    }
    if format == "vpc" {
        let end = bytes.len() - 512;
        let sum = bytes[end..].iter().enumerate().filter(|(n, _)| !(64..68).contains(n));
        let sum = !sum.fold(0u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
        bytes[end + 64..end + 68].copy_from_slice(&sum.to_be_bytes());
    }
}

#[path = "vhdx/mod.rs"]
#[allow(dead_code)]
mod vhdx;

/// Small files that claim to be enormous.
#[test]
fn sizes_are_checked_before_they_are_believed() {
    let mut qcow2 = vec![0; 4096];
    qcow2[..8].copy_from_slice(b"QFI\xFB\0\0\0\x02");
    qcow2[23] = 9;
    qcow2[24..32].copy_from_slice(&u64::MAX.to_be_bytes());
    qcow2[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
    qcow2[47] = 0;
    qcow2[46] = 2;
    let error = OpenOptions::new().open_source(qcow2.clone()).unwrap_err();
    assert!(error.to_string().contains("L1 table"), "{error}");
    // 4 million entries are allowed, but not there.
    qcow2[24..32].copy_from_slice(&(1u64 << 36).to_be_bytes());
    qcow2[36..40].copy_from_slice(&(4u32 << 20).to_be_bytes());
    let error = OpenOptions::new().open_source(qcow2).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");

    // A GPT with 2^32 entries of 2^31 bytes, and a checksum that is right.
    let mut gpt = vec![0; 1 << 20];
    gpt[512..520].copy_from_slice(b"EFI PART");
    gpt[524..528].copy_from_slice(&92u32.to_le_bytes());
    gpt[536] = 1;
    gpt[592..596].copy_from_slice(&u32::MAX.to_le_bytes());
    gpt[596..600].copy_from_slice(&(1u32 << 31).to_le_bytes());
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&gpt[512..604]);
    gpt[528..532].copy_from_slice(&crc.to_le_bytes());
    let error = OpenOptions::new().open_source(gpt).unwrap().partitions().unwrap_err();
    assert!(error.to_string().contains("number of entries"), "{error}");
}

/// A log whose every sector begins an entry as long as the log, each with a right checksum, is not worth its time.
#[test]
fn a_vhdx_log_made_to_be_slow_is_given_up() {
    let mut image = vec![0; 34 << 20];
    image[..8].copy_from_slice(b"vhdxfile");
    for at in [65_536, 131_072] {
        image[at..at + 4].copy_from_slice(b"head");
        image[at + 66] = 1;
        image[at + 68..at + 72].copy_from_slice(&(32u32 << 20).to_le_bytes());
        image[at + 72..at + 80].copy_from_slice(&(1u64 << 20).to_le_bytes());
    }
    for sector in 0..8192 {
        let at = (1 << 20) + sector * 4096;
        image[at..at + 4].copy_from_slice(b"loge");
        image[at + 8..at + 12].copy_from_slice(&(32u32 << 20).to_le_bytes());
        image[at + 16] = 1;
        image[at + 32..at + 48].fill(9);
    }
    vhdx::announce_log(&mut image, [9; 16]);
    let start = Instant::now();
    assert!(OpenOptions::new().open_source(image).is_err());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
