//! How much memory the catalogue of a large volume takes, on an `$MFT` that is made up as it is read.
//!
//! `NTBAK_FILES=1000000 cargo test --release --package ntbak-ntfs --test memory -- --nocapture` for more files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::io;

use ntbak_ntfs::catalogue::CatalogueOptions;
use ntbak_ntfs::{Options, ReadAt, Volume};

const CLUSTER: u64 = 4096;
const MFT: u64 = 16 * CLUSTER;
const RECORD: u64 = 1024;
/// The records before are those of NTFS.
const FIRST: u64 = 16;
/// Each one that this divides is a directory, and those behind it are in it.
const IN_DIRECTORY: u64 = 100;

/// A volume of so many records, none of which is anywhere.
struct MadeUp {
    records: u64,
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn resident(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (24 + value.len()).next_multiple_of(8)];
    let length = bytes.len() as u32;
    put(&mut bytes, 0, &kind.to_le_bytes());
    put(&mut bytes, 4, &length.to_le_bytes());
    put(&mut bytes, 16, &(value.len() as u32).to_le_bytes());
    bytes[20] = 24;
    put(&mut bytes, 24, value);
    bytes
}

fn name(number: u64) -> String {
    match number {
        5 => ".".into(),
        ..FIRST => format!("$System{number}"),
        _ => format!("a file with the number {number:09}.txt"),
    }
}

impl MadeUp {
    fn boot(&self) -> Vec<u8> {
        let mut boot = vec![0; 512];
        put(&mut boot, 3, b"NTFS    ");
        put(&mut boot, 11, &512_u16.to_le_bytes());
        boot[13] = (CLUSTER / 512) as u8;
        put(&mut boot, 40, &(self.len() / 512).to_le_bytes());
        put(&mut boot, 48, &(MFT / CLUSTER).to_le_bytes());
        put(&mut boot, 56, &2_u64.to_le_bytes());
        (boot[64], boot[68]) = (0xF6, 1);
        put(&mut boot, 510, &[0x55, 0xAA]);
        boot
    }

    fn record(&self, number: u64) -> Vec<u8> {
        let is_directory = number == 5 || number >= FIRST && number.is_multiple_of(IN_DIRECTORY);
        let parent = match number / IN_DIRECTORY * IN_DIRECTORY {
            directory if is_directory || directory < FIRST => 5,
            directory => directory,
        };
        let mut information = vec![0; 72];
        put(&mut information, 0, &number.to_le_bytes());
        let units: Vec<u8> = name(number).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut file_name = vec![0; 66];
        put(&mut file_name, 0, &(parent | 1 << 48).to_le_bytes());
        (file_name[64], file_name[65]) = ((units.len() / 2) as u8, 1);
        file_name.extend(units);
        let mut attributes = [resident(0x10, &information), resident(0x30, &file_name)].concat();
        match number {
            0 => attributes.extend(self.mft_data()),
            3 => attributes.extend(resident(0x70, &[0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0])),
            _ if is_directory => {}
            _ => attributes.extend(resident(0x80, b"content")),
        }
        attributes.extend(u64::MAX.to_le_bytes());
        let mut record = vec![0; RECORD as usize];
        put(&mut record, 0, b"FILE");
        (record[4], record[6], record[16], record[18], record[20]) = (48, 3, 1, 1, 56);
        record[22] = 1 | u8::from(is_directory) << 1;
        put(&mut record, 24, &((56 + attributes.len()) as u32).to_le_bytes());
        put(&mut record, 28, &(RECORD as u32).to_le_bytes());
        put(&mut record, 44, &(number as u32).to_le_bytes());
        put(&mut record, 48, &[1, 0]);
        put(&mut record, 56, &attributes);
        // The ends of both sectors are zeros, and those are in the array already.
        put(&mut record, 510, &[1, 0]);
        put(&mut record, 1022, &[1, 0]);
        record
    }

    fn mft_data(&self) -> Vec<u8> {
        let (size, clusters) = (self.records * RECORD, (self.records * RECORD).div_ceil(CLUSTER));
        let mut bytes = vec![0; 80];
        put(&mut bytes, 0, &0x80_u32.to_le_bytes());
        (bytes[4], bytes[8], bytes[32]) = (80, 1, 64);
        put(&mut bytes, 24, &(clusters - 1).to_le_bytes());
        for (at, value) in [(40, clusters * CLUSTER), (48, size), (56, size)] {
            put(&mut bytes, at, &value.to_le_bytes());
        }
        bytes[64] = 0x44;
        put(&mut bytes, 65, &(clusters as u32).to_le_bytes());
        put(&mut bytes, 69, &((MFT / CLUSTER) as u32).to_le_bytes());
        bytes
    }
}

impl ReadAt for MadeUp {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        buf.fill(0);
        let end = offset + buf.len() as u64;
        let mut copy = |from: u64, bytes: &[u8]| {
            for (at, byte) in (from..).zip(bytes) {
                if (offset..end).contains(&at) {
                    buf[(at - offset) as usize] = *byte;
                }
            }
        };
        if offset < 512 {
            copy(0, &self.boot());
        }
        let first = offset.saturating_sub(MFT) / RECORD;
        for number in (first..self.records).take_while(|number| MFT + number * RECORD < end) {
            copy(MFT + number * RECORD, &self.record(number));
        }
        Ok(buf.len().min(self.len().saturating_sub(offset) as usize))
    }

    fn len(&self) -> u64 {
        MFT + (self.records * RECORD).next_multiple_of(CLUSTER) + CLUSTER
    }
}

/// Memory of this process in KiB: now, and at the most.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[test]
fn a_file_takes_at_most_300_bytes_and_its_name() {
    let files = std::env::var("NTBAK_FILES").map_or(100_000, |text| text.parse().unwrap());
    let volume = MadeUp { records: FIRST + files };
    let units = (FIRST..volume.records).map(|number| name(number).encode_utf16().count() as u64).sum::<u64>();
    let records = volume.records;
    let volume = Volume::open(volume, Options::default()).unwrap();
    let (before, _) = memory();
    let catalogue = volume.catalogue(CatalogueOptions::default()).unwrap();
    let (after, most) = memory();
    let found = catalogue.files().count() as u64;
    // The root, and all that is not of NTFS itself.
    assert_eq!((found, catalogue.len() as u64, catalogue.damage().len()), (files + 1, records, 0));
    let deepest = catalogue.walk().map(|(depth, _)| depth).max();
    assert_eq!((catalogue.walk().count() as u64, deepest), (files, Some(2)));
    let each = |kib: u64| ((kib - before) * 1024).saturating_sub(2 * units) as f64 / files as f64;
    println!(
        "{files} files: {} MiB at the most, {} MiB of it by the catalogue; each file {:.0} bytes and its name, \
         {:.0} on the way",
        most >> 10,
        (after - before) >> 10,
        each(after),
        each(most)
    );
    // Each thread has 1 MiB of records in hand.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let scratch = (threads + 2) << 20;
    let limit = files * 300 + 2 * units + scratch;
    assert!((most - before) * 1024 <= limit, "{} KiB of {} KiB", most - before, limit >> 10);
    assert!(files > 1_000_000 || most < 300 << 10, "{} MiB", most >> 10);
}
