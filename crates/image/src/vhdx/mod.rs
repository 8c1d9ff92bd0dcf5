//! VHDX: the disk format of Hyper-V.
//!
//! All integers little-endian, all checksums CRC-32C over the whole structure with zeros in the checksum's place.
//!
//! | offset | size | what |
//! | --- | --- | --- |
//! | 0 | 64 KiB | `vhdxfile`, creator |
//! | 64 KiB, 128 KiB | 4 KiB | two headers; the valid one with the higher sequence number counts |
//! | 192 KiB, 256 KiB | 64 KiB | two equal region tables |
//! | from 1 MiB on | | log, metadata, block allocation table (BAT), blocks, as the tables say |
//!
//! Header:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | `head` |
//! | 4 | 4 | checksum of 4 KiB |
//! | 8 | 8 | sequence number |
//! | 48 | 16 | GUID of the log; zero: no log to apply |
//! | 64, 66 | 2 | version of the log, 0; version of the format, 1 |
//! | 68, 72 | 4, 8 | size and offset of the log |
//!
//! A BAT entry of 8 bytes: state in bits 0 to 2, offset of the block in units of 1 MiB in bits 20 to 63. After every
//! `chunk` entries of blocks stands one of a sector bitmap, which only differencing disks use.
//!
//! Source: \[MS-VHDX\] 2.

mod log;
mod metadata;

use std::io;
use std::sync::Arc;

use crate::container::{Opened, read_data};
use crate::error::{Error, Format, Result};
use crate::kind::Kind;
use crate::note::Note;
use crate::pages::Pages;
use crate::read_at::{ReadAt, clamp};
use ntbak_wire::bytes::{array_at, slice_at, u16_at, u32_at, u64_at};

const FORMAT: Format = Format::Container(Kind::Vhdx);
const CRC32C: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The checksum of a structure that has it at byte 4.
fn checksum_matches(bytes: &[u8]) -> bool {
    let mut digest = CRC32C.digest();
    digest.update(bytes.get(..4).unwrap_or_default());
    digest.update(&[0; 4]);
    digest.update(bytes.get(8..).unwrap_or_default());
    u32_at(bytes, 4) == Some(digest.finalize())
}

/// Reads `len` bytes that have to be there.
fn read(source: &dyn ReadAt, at: u64, len: u64, what: &'static str) -> Result<Vec<u8>> {
    let available = source.len().saturating_sub(at);
    if available < len {
        return Err(Error::truncated(FORMAT, at, what, len, available));
    }
    // At most what is in the file, and every caller has a limit below 64 MiB.
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    source.read_exact_at(at, &mut bytes).map_err(|error| Error::io(FORMAT, at, error))?;
    Ok(bytes)
}

/// The current header.
struct Header {
    sequence: u64,
    log_guid: [u8; 16],
    log_at: u64,
    log_len: u32,
}

impl Header {
    fn read(source: &dyn ReadAt, at: u64) -> Result<Self> {
        let bytes = read(source, at, 4 * KIB, "a header")?;
        let cut = || Error::truncated(FORMAT, at, "a header", 4 * KIB, 0);
        if !bytes.starts_with(b"head") || !checksum_matches(&bytes) {
            return Err(Error::checksum(FORMAT, at, "a header"));
        }
        let version = u16_at(&bytes, 66).ok_or_else(cut)?;
        if version != 1 {
            return Err(Error::value(FORMAT, at + 66, "version", u64::from(version), "1"));
        }
        Ok(Self {
            sequence: u64_at(&bytes, 8).ok_or_else(cut)?,
            log_guid: array_at(&bytes, 48).ok_or_else(cut)?,
            log_len: u32_at(&bytes, 68).ok_or_else(cut)?,
            log_at: u64_at(&bytes, 72).ok_or_else(cut)?,
        })
    }

    /// The valid header with the higher sequence number.
    fn current(source: &dyn ReadAt, notes: &mut Vec<Note>) -> Result<Self> {
        let both = (Self::read(source, 64 * KIB), Self::read(source, 128 * KIB));
        match both {
            (Ok(first), Ok(second)) => Ok(if second.sequence > first.sequence { second } else { first }),
            (Ok(only), Err(_)) | (Err(_), Ok(only)) => {
                notes.push(Note::HeaderCopyUsed { what: "one header of the VHDX" });
                Ok(only)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }
}

/// Where a region of the file is.
#[derive(Clone, Copy)]
struct Region {
    at: u64,
    len: u64,
}

struct Regions {
    bat: Region,
    metadata: Region,
}

/// {2DC27766-F623-4200-9D64-115E9BFD4A08}
const BAT: [u8; 16] =
    [0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08];
/// {8B7CA206-4790-4B9A-B8FE-575F050F886E}
const METADATA: [u8; 16] =
    [0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E];

impl Regions {
    fn read(source: &dyn ReadAt, at: u64) -> Result<Self> {
        let bytes = read(source, at, 64 * KIB, "a region table")?;
        if !bytes.starts_with(b"regi") || !checksum_matches(&bytes) {
            return Err(Error::checksum(FORMAT, at, "a region table"));
        }
        let count = u32_at(&bytes, 8).unwrap_or(0);
        if count > 2047 {
            return Err(Error::value(FORMAT, at + 8, "number of regions", u64::from(count), "at most 2047"));
        }
        let (mut bat, mut metadata) = (None, None);
        for entry in bytes.get(16..).unwrap_or_default().chunks_exact(32).take(count as usize) {
            let place = || Some(Region { at: u64_at(entry, 16)?, len: u64::from(u32_at(entry, 24)?) });
            match array_at::<16>(entry, 0) {
                Some(BAT) => bat = place(),
                Some(METADATA) => metadata = place(),
                _ if u32_at(entry, 28).unwrap_or(0) & 1 != 0 => {
                    return Err(Error::unsupported(
                        FORMAT,
                        "a VHDX with a required region that ntbak does not know",
                        "convert it on Windows with: Convert-VHD -Path IN.vhdx -DestinationPath OUT.vhdx",
                    ));
                }
                _ => {}
            }
        }
        let missing = |what| Error::value(FORMAT, at + 8, what, 0, "one in the region table");
        let regions = Self {
            bat: bat.ok_or_else(|| missing("block table region"))?,
            metadata: metadata.ok_or_else(|| missing("metadata region"))?,
        };
        for region in [regions.bat, regions.metadata] {
            if !region.at.is_multiple_of(MIB) || region.at < MIB || region.at > i64::MAX as u64 {
                return Err(Error::value(FORMAT, at, "offset of a region", region.at, "a multiple of 1 MiB"));
            }
        }
        Ok(regions)
    }
}

/// Opens a VHDX image. A log that was not applied is applied in memory; the file is not changed.
pub(crate) fn open(source: Arc<dyn ReadAt>) -> Result<Opened> {
    let mut notes = Vec::new();
    let header = Header::current(&*source, &mut notes)?;
    let source = log::replay(source, &header, &mut notes)?;
    let regions = match Regions::read(&*source, 192 * KIB) {
        Ok(regions) => regions,
        Err(error) => {
            let copy = Regions::read(&*source, 256 * KIB).map_err(|_| error)?;
            notes.push(Note::HeaderCopyUsed { what: "one region table of the VHDX" });
            copy
        }
    };
    let metadata = metadata::Metadata::read(&*source, regions.metadata)?;
    if metadata.has_parent {
        return Err(Error::unsupported(
            FORMAT,
            "a differencing VHDX (a checkpoint), which holds only what differs from its parent",
            "make it whole on Windows with: Convert-VHD -Path CHILD.avhdx -DestinationPath WHOLE.vhdx (the parents must \
             be where it looks for them)",
        ));
    }
    let disk = Disk::new(source, &metadata, regions.bat)?;
    Ok(Opened {
        variant: if metadata.fixed { "fixed" } else { "dynamic" }.to_owned(),
        block_size: Some(metadata.block_size),
        sector_size: Some(metadata.sector_size),
        notes,
        disk: Arc::new(disk),
    })
}

/// The disk in a VHDX.
struct Disk {
    source: Arc<dyn ReadAt>,
    size: u64,
    block_size: u64,
    /// Blocks for each sector bitmap.
    chunk: u64,
    bat_at: u64,
    bat: Pages,
}

impl Disk {
    fn new(source: Arc<dyn ReadAt>, metadata: &metadata::Metadata, bat: Region) -> Result<Self> {
        let block_size = u64::from(metadata.block_size);
        let chunk = (u64::from(metadata.sector_size) << 23) / block_size;
        let blocks = metadata.size.div_ceil(block_size);
        let entries = blocks + blocks.saturating_sub(1) / chunk;
        if bat.len < entries * 8 {
            return Err(Error::value(
                FORMAT,
                bat.at,
                "size of the block table",
                bat.len,
                "enough for the disk",
            ));
        }
        let available = source.len().saturating_sub(bat.at);
        if available < entries * 8 {
            return Err(Error::truncated(FORMAT, bat.at, "the block table", entries * 8, available));
        }
        let size = metadata.size;
        Ok(Self { source, size, block_size, chunk, bat_at: bat.at, bat: Pages::new(256) })
    }
}

impl ReadAt for Disk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = clamp(offset, buf.len(), self.size);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (block, within) = (at / self.block_size, at % self.block_size);
            let part = clamp(within, len - done, self.block_size);
            let Some(to) = buf.get_mut(done..done + part) else { break };
            let entry_at = self.bat_at + (block + block / self.chunk) * 8;
            let entry = self.bat.with(&*self.source, entry_at, |bytes| u64_at(bytes, 0))?;
            let Some(entry) = entry else {
                return Err(Error::truncated(FORMAT, entry_at, "the block table", 8, 0).into());
            };
            match entry & 7 {
                // Not present, undefined, zero, unmapped: zeros, as Hyper-V gives.
                0..=3 => to.fill(0),
                6 => {
                    // Of 64 bits, so that no sum with an offset in a block overflows.
                    let data_at = (entry & !(MIB - 1)).min(i64::MAX as u64) + within;
                    read_data(FORMAT, &*self.source, data_at, to)?;
                }
                state => {
                    let expected = "0 to 3 or 6 in a disk without a parent";
                    return Err(Error::value(FORMAT, entry_at, "state of a block", state, expected).into());
                }
            }
            done += part;
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.size
    }
}

/// The mark at the start of a structure.
fn has_mark(bytes: &[u8], at: usize, mark: &[u8; 4]) -> bool {
    slice_at(bytes, at, 4) == Some(mark)
}
