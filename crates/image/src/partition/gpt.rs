//! The GUID partition table: a header and an array of entries at the start of the disk, and a copy of both at its end.
//!
//! Header, in sector 1 (and the last one), little-endian:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | `EFI PART` |
//! | 8 | 4 | revision, 0x00010000 |
//! | 12 | 4 | size of the header, 92 to a sector |
//! | 16 | 4 | CRC-32 of the header, with zeros here |
//! | 24 | 8 | the sector of this header |
//! | 32 | 8 | the sector of the other one |
//! | 40, 48 | 8 | first and last usable sector |
//! | 56 | 16 | GUID of the disk |
//! | 72 | 8 | first sector of the entries |
//! | 80 | 4 | number of entries |
//! | 84 | 4 | size of an entry: 128 × 2ⁿ |
//! | 88 | 4 | CRC-32 of the entries |
//!
//! Entry: type GUID (zeros: unused), GUID, first sector, last sector, attributes, 36 UTF-16 units of name.
//!
//! Source: the UEFI specification 2.10, 5.3.

use ntbak_wire::Name;
use ntbak_wire::object_id::Guid;

use super::{Partition, PartitionTable, PartitionType, Scheme, read_within};
use crate::error::{Error, Format, Result};
use crate::note::Note;
use crate::read_at::ReadAt;
use ntbak_wire::bytes::{array_at, slice_at, u32_at, u64_at};

const CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

const SIGNATURE: &[u8] = b"EFI PART";

/// The most bytes that an array of entries may have; usual are 16 KiB.
const MAX_ENTRIES_SIZE: u64 = 4 << 20;

/// Reads the table; `None` when there is no trace of one.
pub(super) fn read(disk: &dyn ReadAt, sector_size: Option<u32>) -> Result<Option<PartitionTable>> {
    let both = [512, 4096];
    let candidates = match &sector_size {
        Some(known) => std::slice::from_ref(known),
        None => &both,
    };
    let mut fault = None;
    for &size in candidates {
        let primary = match Header::read(disk, u64::from(size), size) {
            Ok(None) => continue,
            Ok(Some(header)) => header.entries(disk).map(|entries| (header, entries)),
            Err(error) => Err(error),
        };
        match primary {
            Ok((header, entries)) => {
                let mut table = header.table(&entries);
                if backup(disk, size).is_none() {
                    table.notes.push(Note::GptBackupDamaged);
                }
                return Ok(Some(table));
            }
            Err(error) => fault = fault.or(Some((size, error))),
        }
    }
    // The first sector may be lost together with the first header: look at the end whatever the start says.
    for &size in candidates {
        if let Some((header, entries)) = backup(disk, size) {
            let mut table = header.table(&entries);
            table.notes.push(Note::GptPrimaryDamaged);
            return Ok(Some(table));
        }
    }
    match fault {
        Some((_, error)) => Err(error),
        None => Ok(None),
    }
}

/// The copy at the end of the disk, if it is whole.
fn backup(disk: &dyn ReadAt, sector_size: u32) -> Option<(Header, Vec<u8>)> {
    let size = u64::from(sector_size);
    let last = (disk.len() / size).checked_sub(1)?.checked_mul(size)?;
    let header = Header::read(disk, last, sector_size).ok()??;
    let entries = header.entries(disk).ok()?;
    Some((header, entries))
}

struct Header {
    sector_size: u32,
    disk: Guid,
    /// Where the entries are, in bytes.
    entries_at: u64,
    count: u32,
    entry_size: u32,
    entries_crc: u32,
}

impl Header {
    /// The header at `at`, in bytes; `None` when there is no signature.
    fn read(disk: &dyn ReadAt, at: u64, sector_size: u32) -> Result<Option<Self>> {
        let mut sector = vec![0; sector_size as usize];
        if !read_within(disk, at, &mut sector)? || !sector.starts_with(SIGNATURE) {
            return Ok(None);
        }
        let cut = || Error::truncated(Format::Gpt, at, "the header", 92, u64::from(sector_size));
        let word = |offset| u32_at(&sector, offset).ok_or_else(cut);
        let long = |offset| u64_at(&sector, offset).ok_or_else(cut);
        let bad = |offset, what, found, expected: &'static str| {
            Err(Error::value(Format::Gpt, at + offset, what, found, expected))
        };

        let size = word(12)?;
        if size < 92 || size > sector_size {
            return bad(12, "size of the header", u64::from(size), "92 to a sector");
        }
        let mut crc = CRC32.digest();
        for part in [slice_at(&sector, 0, 16), Some(&[0; 4][..]), slice_at(&sector, 20, size as usize - 20)] {
            crc.update(part.ok_or_else(cut)?);
        }
        if crc.finalize() != word(16)? {
            return Err(Error::checksum(Format::Gpt, at, "the header"));
        }
        if long(24)? != at / u64::from(sector_size) {
            return bad(24, "own sector", long(24)?, "the sector it is in");
        }
        let entry_size = word(84)?;
        if entry_size < 128 || !entry_size.is_power_of_two() {
            return bad(84, "size of an entry", u64::from(entry_size), "128, 256, 512, …");
        }
        let count = word(80)?;
        if u64::from(count) * u64::from(entry_size) > MAX_ENTRIES_SIZE {
            return bad(80, "number of entries", u64::from(count), "at most 4 MiB of entries");
        }
        let Some(entries_at) = long(72)?.checked_mul(u64::from(sector_size)) else {
            return bad(72, "first sector of the entries", long(72)?, "a sector of the disk");
        };
        let disk = Guid(array_at(&sector, 56).ok_or_else(cut)?);
        Ok(Some(Self { sector_size, disk, entries_at, count, entry_size, entries_crc: word(88)? }))
    }

    /// The array of entries, as bytes.
    fn entries(&self, disk: &dyn ReadAt) -> Result<Vec<u8>> {
        let len = u64::from(self.count) * u64::from(self.entry_size);
        let available = disk.len().saturating_sub(self.entries_at);
        if available < len {
            return Err(Error::truncated(Format::Gpt, self.entries_at, "the entries", len, available));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        super::read(disk, self.entries_at, &mut bytes)?;
        match CRC32.checksum(&bytes) == self.entries_crc {
            true => Ok(bytes),
            false => Err(Error::checksum(Format::Gpt, self.entries_at, "the entries")),
        }
    }

    fn table(&self, entries: &[u8]) -> PartitionTable {
        let mut partitions = Vec::new();
        let mut notes = Vec::new();
        for (number, entry) in (1..).zip(entries.chunks_exact(self.entry_size as usize)) {
            match self.partition(number, entry) {
                Some(Ok(partition)) => partitions.push(partition),
                Some(Err(note)) => notes.push(note),
                None => {}
            }
        }
        PartitionTable {
            scheme: Scheme::Gpt { disk: self.disk },
            sector_size: self.sector_size,
            partitions,
            notes,
        }
    }

    /// The partition of an entry: `None` when it is unused, a note when its bounds are impossible.
    fn partition(&self, number: u32, entry: &[u8]) -> Option<Result<Partition, Note>> {
        let kind = Guid(array_at(entry, 0)?);
        if kind.0 == [0; 16] {
            return None;
        }
        let (first, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
        let bounds = || {
            let sectors = last.checked_sub(first)?.checked_add(1)?;
            let size = u64::from(self.sector_size);
            let (offset, len) = (first.checked_mul(size)?, sectors.checked_mul(size)?);
            offset.checked_add(len).map(|_| (offset, len))
        };
        let Some((offset, len)) = bounds() else { return Some(Err(Note::PartitionBounds { number })) };
        let mut partition = Partition::new(number, offset, len, PartitionType::Gpt(kind));
        partition.guid = Some(Guid(array_at(entry, 16)?));
        partition.attributes = u64_at(entry, 48)?;
        let units = slice_at(entry, 56, 72)?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
        partition.name = Name::from_units(units.take_while(|unit| *unit != 0).collect());
        Some(Ok(partition))
    }
}

/// What the type GUID of a partition stands for, where Windows or Linux disks have it.
#[must_use]
pub fn type_name(kind: &Guid) -> Option<&'static str> {
    let text = kind.to_string();
    TYPES.iter().find(|(guid, _)| *guid == text).map(|(_, name)| *name)
}

/// Microsoft: `winioctl.h` (`PARTITION_…_GUID`); Linux: the Discoverable Partitions Specification.
const TYPES: &[(&str, &str)] = &[
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"),
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"),
    ("de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery"),
    ("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "Windows dynamic disk metadata (LDM)"),
    ("af9b60a0-1431-4f62-bc68-3311714a69ad", "Windows dynamic disk data (LDM)"),
    ("e75caf8f-f680-4cee-afa3-b001e56efc2d", "Windows storage space"),
    ("21686148-6449-6e6f-744e-656564454649", "BIOS boot"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"),
    ("ca7d7ccb-63ed-4c53-861c-1742536059cc", "LUKS"),
];
