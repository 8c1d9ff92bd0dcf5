//! Partition tables made by `sfdisk` and `sgdisk`, and damaged by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{have, run, shell};
use ntbak_image::partition::{Content, Partition, PartitionTable, PartitionType, Scheme};
use ntbak_image::{Image, Note, OpenOptions, ReadAt as _};

const MIB: usize = 1 << 20;

/// The first sector of an NTFS volume, as far as it is looked at.
fn boot_sector() -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..14].copy_from_slice(b"\xEB\x52\x90NTFS    \x00\x02\x08");
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// An empty disk with a table made by `sfdisk`.
fn sfdisk(dir: &Path, mib: usize, script: &str) -> (PathBuf, Vec<u8>) {
    let path = dir.join("disk");
    fs::write(&path, vec![0; mib * MIB]).unwrap();
    let mut made = Command::new("sfdisk");
    made.arg("--quiet").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = made.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

/// Number, first sector and number of sectors, as the judge prints them.
fn judged(path: &Path) -> Vec<(u32, u64, u64)> {
    let text = String::from_utf8(run("sfdisk", ["--dump", path.to_str().unwrap()])).unwrap();
    let number = |line: &str, key: &str| {
        let rest = line.split_once(key)?.1.trim_start();
        rest.split([',', ' ']).next()?.parse().ok()
    };
    let lines = text.lines().filter(|line| line.contains("start="));
    lines
        .map(|line| {
            let name = line.split(' ').next().unwrap();
            let which = name.strip_prefix(path.to_str().unwrap()).unwrap().parse().unwrap();
            (which, number(line, "start=").unwrap(), number(line, "size=").unwrap())
        })
        .collect()
}

fn table(bytes: &[u8]) -> PartitionTable {
    OpenOptions::new().open_source(bytes.to_vec()).unwrap().partitions().unwrap()
}

fn in_sectors(table: &PartitionTable) -> Vec<(u32, u64, u64)> {
    let size = u64::from(table.sector_size);
    table.partitions.iter().map(|one| (one.number, one.offset / size, one.size / size)).collect()
}

#[test]
fn an_mbr_with_logical_partitions_is_as_sfdisk_says() {
    if !have(&["sfdisk"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "label: dos\nlabel-id: 0xDEADBEEF\nx1: size=5M, type=7, bootable\nx2: size=30M, type=f\nx5: size=3M, type=83\n\
                  x6: size=2M, type=7\nx7: size=3M, type=b\nx3: size=4M, type=27\n";
    let (path, mut bytes) = sfdisk(dir.path(), 48, script);
    let found = table(&bytes);
    assert_eq!(found.scheme, Scheme::Mbr { signature: 0xDEAD_BEEF });
    assert_eq!(in_sectors(&found), judged(&path));
    assert_eq!(found.partitions.len(), 6);
    assert_eq!(found.notes, []);
    assert!(found.partitions[0].active && !found.partitions[1].active);
    let kinds: Vec<String> = found.partitions.iter().map(|one| one.kind.to_string()).collect();
    assert_eq!(kinds, ["NTFS or exFAT", "extended", "Windows recovery", "Linux", "NTFS or exFAT", "FAT32"]);

    // Nothing has NTFS yet; then one has, then two.
    assert!(found.choose(None).unwrap_err().to_string().contains("no NTFS volume"));
    let put = |bytes: &mut Vec<u8>, number: usize| {
        let at = usize::try_from(found.partitions[number].offset).unwrap();
        bytes[at..at + 512].copy_from_slice(&boot_sector());
    };
    put(&mut bytes, 4);
    let one = table(&bytes);
    assert_eq!(one.choose(None).unwrap().number, 6);
    put(&mut bytes, 0);
    let two = table(&bytes);
    let error = two.choose(None).unwrap_err().to_string();
    assert!(error.contains("partition 1 (NTFS") && error.contains("partition 6 (NTFS"), "{error}");
    assert_eq!(two.choose(Some(6)).unwrap().content, Content::Ntfs);
    assert!(two.choose(Some(9)).unwrap_err().to_string().contains("no partition 9"));
}

#[test]
fn the_chain_of_logical_partitions_ends() {
    if !have(&["sfdisk"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "label: dos\nx1: size=30M, type=5\n".to_owned();
    let script = (5..11).fold(script, |script, n| format!("{script}x{n}: size=1M, type=7\n"));
    let (_, bytes) = sfdisk(dir.path(), 40, &script);
    let whole = table(&bytes);
    assert_eq!(whole.partitions.len(), 7);
    // The link in the third of the chain, at byte 446 + 16: 8 is where it leads.
    let start = usize::try_from(whole.partitions[0].offset).unwrap();
    let link = |bytes: &[u8], at: usize| {
        let next = u32::from_le_bytes(bytes[at + 470..at + 474].try_into().unwrap());
        start + 512 * next as usize
    };
    let second = link(&bytes, start);
    let third = link(&bytes, second);
    for (to, why) in [(0u32, "circle"), (2048 * 29, "no partition table"), (u32::MAX, "leaves")] {
        let mut damaged = bytes.clone();
        damaged[third + 470..third + 474].copy_from_slice(&to.to_le_bytes());
        let found = table(&damaged);
        assert_eq!(found.partitions.len(), 4, "{why}");
        let [Note::ExtendedChain { why: said, .. }] = &found.notes[..] else { panic!("{:?}", found.notes) };
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_gpt_is_as_sgdisk_says() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    fs::write(&path, vec![0; 40 * MIB]).unwrap();
    shell(&format!(
        "sgdisk -U 11111111-2222-3333-4444-555555555555 -n 1:0:+1M -t 1:ef00 -n 3:0:+2M -t 3:0c01 -n 2:0:+20M -t 2:0700 \
         -u 2:AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE -c 2:Système -A 2:set:62 {}",
        path.display()
    ));
    let bytes = fs::read(&path).unwrap();
    let found = table(&bytes);
    let Scheme::Gpt { disk } = found.scheme else { panic!("{:?}", found.scheme) };
    assert_eq!(disk.to_string(), "11111111-2222-3333-4444-555555555555");
    let mut expected = judged(&path);
    expected.sort_unstable();
    assert_eq!(in_sectors(&found), expected);
    assert_eq!(found.notes, []);
    let data = found.get(2).unwrap();
    assert_eq!(data.guid.unwrap().to_string(), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(data.name.to_string(), "Système");
    assert_eq!(data.attributes, 1 << 62);
    let kinds: Vec<String> = found.partitions.iter().map(|one| one.kind.to_string()).collect();
    assert_eq!(kinds, ["EFI system", "Microsoft basic data", "Microsoft reserved"]);

    let same = |found: &PartitionTable, notes: &[Note]| {
        assert_eq!(found.partitions, table(&bytes).partitions);
        assert_eq!(found.notes, notes);
    };
    // Every part of the first copy may be damaged, and the MBR with it.
    for at in [512, 512 + 20, 512 + 60, 1024 + 40, 1024 + 16_383] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        same(&table(&damaged), &[Note::GptPrimaryDamaged]);
    }
    let mut damaged = bytes.clone();
    damaged[..MIB].fill(0);
    same(&table(&damaged), &[Note::GptPrimaryDamaged]);
    // The last copy as well, or it is cut off, or the disk has grown.
    let mut damaged = bytes.clone();
    damaged[bytes.len() - 500] ^= 1;
    same(&table(&damaged), &[Note::GptBackupDamaged]);
    let mut grown = bytes.clone();
    grown.resize(bytes.len() + MIB, 0);
    same(&table(&grown), &[Note::GptBackupDamaged]);
    let cut = table(&bytes[..20 * MIB]);
    assert_eq!(cut.get(2).unwrap().available, 20 * MIB as u64 - data.offset);
    assert!(matches!(
        cut.notes[..],
        [Note::GptBackupDamaged, Note::PartitionPastEnd { number: 2, missing: 1.. }]
    ));
    // Both: an error with its place.
    let mut damaged = bytes.clone();
    damaged[512 + 60] ^= 4;
    damaged[bytes.len() - 500] ^= 4;
    let error = OpenOptions::new().open_source(damaged).unwrap().partitions().unwrap_err();
    assert_eq!(error.to_string(), "GPT at byte 512: the header: the checksum does not match");
    // An MBR that was written later counts, not what is left of the GPT.
    let (_, dos) = sfdisk(dir.path(), 40, "label: dos\nsize=5M, type=7\n");
    let mut stale = bytes.clone();
    stale[..512].copy_from_slice(&dos[..512]);
    assert!(matches!(table(&stale).scheme, Scheme::Mbr { .. }));
}

/// A table of a disk with sectors of 4096 bytes; an image does not say how large its sectors are.
#[test]
fn sectors_of_4096_bytes() {
    let expected = [(1, 256, 2048), (2, 2304, 2304)];
    // By an MBR it is told by where the volumes are.
    let mut mbr = vec![0; 40 * MIB];
    mbr[510..512].copy_from_slice(&[0x55, 0xAA]);
    for (n, first, count) in expected {
        let at = 430 + n as usize * 16;
        mbr[at + 4] = 7;
        mbr[at + 8..at + 12].copy_from_slice(&(first as u32).to_le_bytes());
        mbr[at + 12..at + 16].copy_from_slice(&(count as u32).to_le_bytes());
    }
    mbr[MIB..MIB + 512].copy_from_slice(&boot_sector());
    let found = table(&mbr);
    assert_eq!((found.sector_size, in_sectors(&found)), (4096, expected.to_vec()));
    assert_eq!(found.choose(None).unwrap().offset, MIB as u64);

    // By a GPT it is told by where the header is, at the start and at the end.
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut entries = vec![0; 4 * 128];
    for (n, first, count) in expected {
        let entry = &mut entries[(n as usize - 1) * 128..][..128];
        entry[..16].fill(n as u8);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&(first + count - 1).to_le_bytes());
    }
    let mut gpt = vec![0; 40 * MIB];
    let last = (40 * MIB / 4096 - 1) as u64;
    for (own, entries_at) in [(1u64, 2u64), (last, last - 1)] {
        let mut header = vec![0; 92];
        header[..8].copy_from_slice(b"EFI PART");
        header[12] = 92;
        header[24..32].copy_from_slice(&own.to_le_bytes());
        header[72..80].copy_from_slice(&entries_at.to_le_bytes());
        header[80] = 4;
        header[84] = 128;
        header[88..92].copy_from_slice(&crc.checksum(&entries).to_le_bytes());
        let sum = crc.checksum(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        gpt[own as usize * 4096..][..92].copy_from_slice(&header);
        gpt[entries_at as usize * 4096..][..512].copy_from_slice(&entries);
    }
    let found = table(&gpt);
    assert_eq!((found.sector_size, in_sectors(&found)), (4096, expected.to_vec()));
    assert_eq!(found.notes, []);
    gpt[..8192].fill(0);
    let found = table(&gpt);
    assert_eq!((found.sector_size, in_sectors(&found)), (4096, expected.to_vec()));
    assert_eq!(found.notes, [Note::GptPrimaryDamaged]);
}

/// Facts of NTFS: partition offsets 65536, 1 MiB and 32256; a damaged boot sector with a good backup; no 55 AA.
#[test]
fn ntfs_5_7_8_volumes_are_found() {
    let mut disk = vec![0; 4 * MIB];
    let mut entry = |number: usize, first: u32, count: u32| {
        let at = 446 + number * 16;
        disk[at + 4] = 7;
        disk[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        disk[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
    };
    entry(0, 63, 60);
    entry(1, 128, 100);
    entry(2, 2048, 100);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[32_256..32_256 + 512].copy_from_slice(&boot_sector());
    disk[65_536..65_536 + 510].copy_from_slice(&boot_sector()[..510]);
    // The last sector of the third partition.
    disk[MIB + 99 * 512..MIB + 100 * 512].copy_from_slice(&boot_sector());
    let found = table(&disk);
    let content: Vec<_> = found.partitions.iter().map(|one| (one.offset, one.content)).collect();
    assert_eq!(
        content,
        [(32_256, Content::Ntfs), (65_536, Content::Ntfs), (MIB as u64, Content::NtfsBackup)]
    );

    // Without a table: the whole disk is the volume, with its boot sector or with the backup only.
    let mut whole = vec![0; MIB];
    whole[..512].copy_from_slice(&boot_sector());
    let found = table(&whole);
    assert_eq!((found.scheme, found.partitions.len()), (Scheme::Volume, 1));
    assert_eq!(found.choose(None).unwrap().size, MIB as u64);
    whole[..512].fill(0);
    whole[MIB - 512..].copy_from_slice(&boot_sector());
    assert_eq!(table(&whole).choose(None).unwrap().content, Content::NtfsBackup);
}

#[test]
fn what_is_no_table_is_one_partition_or_an_error() {
    for bytes in [vec![0; 100], vec![0; 512], vec![7; 70_000], boot_sector()[..3].to_vec()] {
        let found = table(&bytes);
        assert_eq!(found.scheme, Scheme::None);
        assert_eq!(found.partitions[0].kind, PartitionType::None);
        assert!(found.choose(None).unwrap_err().to_string().contains("no NTFS volume"));
    }
    assert!(OpenOptions::new().open_source(Vec::new()).is_err());
}

#[test]
fn encrypted_volumes_name_the_command_that_unlocks_them() {
    let mut disk = vec![0; MIB];
    disk[..11].copy_from_slice(b"\xEB\x58\x90-FVE-FS-");
    let found = table(&disk);
    assert_eq!(found.partitions[0].content, Content::BitLocker);
    let error = found.choose(None).unwrap_err();
    assert!(error.advice().unwrap().contains("dislocker"), "{error}");
    assert!(found.choose(Some(1)).unwrap_err().advice().unwrap().contains("-O 0 "));
    // BitLocker To Go has the boot sector of FAT32 and its GUID at 0x1A8.
    let mut to_go = vec![0; MIB];
    to_go[..11].copy_from_slice(b"\xEB\x58\x90MSWIN4.1");
    to_go[82..87].copy_from_slice(b"FAT32");
    to_go[510..512].copy_from_slice(&[0x55, 0xAA]);
    assert_eq!(table(&to_go).partitions[0].content, Content::Fat);
    to_go[0x1A8..0x1B8].copy_from_slice(&[
        0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01,
    ]);
    assert_eq!(table(&to_go).partitions[0].content, Content::BitLocker);
}

#[test]
fn known_formats_are_refused_by_name_with_a_command() {
    let image = |head: &[u8], at: usize| {
        let mut bytes = vec![0; 4096];
        bytes[at..at + head.len()].copy_from_slice(head);
        OpenOptions::new().open_source(bytes)
    };
    for (magic, at, name, command) in [
        (&b"KDMV"[..], 0, "VMDK", "qemu-img convert"),
        (b"# Disk DescriptorFile\n", 0, "VMDK", "qemu-img convert"),
        (b"EVF\x09\x0D\x0A\xFF\x00", 0, "E01", "ewfmount"),
        (b"EVF2\x0D\x0A\x81\x00", 0, "Ex01", "ewfmount"),
        (b"<<< Oracle VM VirtualBox", 0, "", ""),
        (b"\x7F\x10\xDA\xBE", 0x40, "VDI", "qemu-img convert"),
        (b"koly", 4096 - 512, "DMG", "qemu-img convert"),
        (b"LUKS\xBA\xBE", 0, "LUKS", "cryptsetup"),
        (b"MSWIM\0\0\0", 0, "WIM", "wimlib-imagex"),
        (b"\0ntfsclone-image", 0, "ntfsclone", "--restore-image"),
        (b"partclone-image", 0, "partclone", "partclone.restore"),
        (b"\x1F\x8B\x08", 0, "gzip", "7z"),
    ] {
        match image(magic, at) {
            // The text alone makes no VDI.
            Ok(_) => assert_eq!(name, ""),
            Err(error) => {
                assert!(!name.is_empty() && error.to_string().contains(name), "{error}");
                assert!(error.advice().unwrap().contains(command), "{error}");
            }
        }
    }
}

#[test]
fn what_is_no_file_is_an_error_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Image::open(dir.path()).unwrap_err().to_string().contains("directory"));
    let absent = dir.path().join("absent");
    assert_eq!(Image::open(&absent).unwrap_err().path(), Some(absent.as_path()));
    if have(&["mkfifo"]) {
        let pipe = dir.path().join("pipe");
        run("mkfifo", [&pipe]);
        assert!(Image::open(&pipe).unwrap_err().to_string().contains("regular file"));
    }
}

#[test]
fn a_volume_is_a_window_of_its_disk() {
    let mut disk = vec![0; MIB];
    disk[446 + 4] = 7;
    disk[446 + 8] = 100;
    disk[446 + 12..446 + 16].copy_from_slice(&10_000u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[51_200..51_712].copy_from_slice(&boot_sector());
    disk[MIB - 1] = 9;
    let image = OpenOptions::new().open_source(disk).unwrap();
    let found = image.partitions().unwrap();
    let only: &Partition = found.choose(None).unwrap();
    let volume = image.volume(only);
    assert_eq!((only.size, only.available), (5_120_000, MIB as u64 - 51_200));
    assert_eq!((volume.start(), volume.len()), (51_200, only.available));
    let mut buf = [1; 600];
    assert_eq!(volume.read_at(volume.len() - 1, &mut buf).unwrap(), 1);
    assert_eq!(buf[0], 9);
    assert_eq!(volume.read_at(volume.len(), &mut buf).unwrap(), 0);
    assert_eq!(volume.read_at(u64::MAX, &mut buf).unwrap(), 0);
    assert!(volume.read_exact_at(volume.len() - 10, &mut buf).is_err());
}
