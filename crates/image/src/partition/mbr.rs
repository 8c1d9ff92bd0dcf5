//! The master boot record and the chain of an extended partition.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 440 | 4 | disk signature |
//! | 446 | 4 × 16 | entries |
//! | 510 | 2 | 55 AA |
//!
//! An entry (addresses in sectors, little-endian; the CHS fields are not looked at):
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | 0x80 active, 0 not |
//! | 4 | 1 | type, 0 for an empty entry |
//! | 8 | 4 | first sector |
//! | 12 | 4 | number of sectors |
//!
//! An extended partition begins with such a sector again: entry 1 is a logical partition (relative to this sector),
//! entry 2 the next link of the chain (relative to the extended partition).
//!
//! Sources: the UEFI specification 2.10, 5.2.1, for the record; for the chain, what Linux and `sfdisk` do.

use super::{Content, Partition, PartitionTable, PartitionType, Scheme, read_within};
use crate::error::Result;
use crate::note::Note;
use crate::read_at::ReadAt;
use ntbak_wire::bytes::{slice_at, u32_at};

const ENTRIES: usize = 446;
const ENTRY_SIZE: usize = 16;

/// The most logical partitions that are followed; Windows names 26 volumes, Linux stops at 256.
const MAX_LOGICAL: u32 = 256;

/// A used entry of a table.
#[derive(Clone, Copy)]
struct Entry {
    active: bool,
    kind: u8,
    first: u32,
    count: u32,
}

impl Entry {
    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }
}

/// The four entries of a table sector, unused ones as `None`; `None` for all when it is no table.
fn entries(sector: &[u8]) -> Option<[Option<Entry>; 4]> {
    if slice_at(sector, 510, 2)? != [0x55, 0xAA] {
        return None;
    }
    let mut entries = [None; 4];
    for (index, slot) in entries.iter_mut().enumerate() {
        let raw = slice_at(sector, ENTRIES + index * ENTRY_SIZE, ENTRY_SIZE)?;
        let status = *raw.first()?;
        // Boot code of volumes ends with 55 AA too: where an entry should be, it has anything.
        if status & 0x7F != 0 {
            return None;
        }
        let entry = Entry {
            active: status != 0,
            kind: *raw.get(4)?,
            first: u32_at(raw, 8)?,
            count: u32_at(raw, 12)?,
        };
        if entry.kind != 0 && entry.count != 0 {
            *slot = Some(entry);
        }
    }
    Some(entries)
}

/// Whether the disk has an MBR that means what it says. Where a GPT counts, the MBR has an entry of type 0xEE, or there
/// is none at all; an MBR without one was written later, and what is left of an older GPT is stale.
pub(super) fn overrules_gpt(first: &[u8]) -> bool {
    entries(first).is_some_and(|table| {
        let mut used = table.into_iter().flatten().peekable();
        used.peek().is_some() && !used.any(|entry| entry.kind == 0xEE)
    })
}

/// Reads the table whose first sector is `first`; `None` when there is none.
pub(super) fn read(
    disk: &dyn ReadAt,
    first: &[u8],
    sector_size: Option<u32>,
) -> Result<Option<PartitionTable>> {
    let Some(table) = entries(first) else { return Ok(None) };
    if table.iter().all(Option::is_none) {
        return Ok(None);
    }
    let sector_size = sector_size.unwrap_or_else(|| guess_sector_size(disk, &table));
    let signature = u32_at(first, 440).unwrap_or(0);
    let mut found = PartitionTable {
        scheme: Scheme::Mbr { signature },
        sector_size,
        partitions: Vec::new(),
        notes: Vec::new(),
    };
    for (number, entry) in (1..).zip(table) {
        if let Some(entry) = entry {
            found.partitions.push(partition(number, entry, 0, sector_size));
        }
    }
    let extended = table.into_iter().flatten().find(|entry| entry.is_extended());
    if let Some(extended) = extended {
        logical(disk, extended, &mut found)?;
    }
    Ok(Some(found))
}

/// Follows the chain of logical partitions. A damaged chain ends where the damage is, with a note.
fn logical(disk: &dyn ReadAt, extended: Entry, found: &mut PartitionTable) -> Result<()> {
    let sector_size = u64::from(found.sector_size);
    // Sectors are counted in 64 bits: the sum of two 32-bit fields cannot overflow.
    let (start, count) = (u64::from(extended.first), u64::from(extended.count));
    let mut here = 0;
    let mut seen = Vec::new();
    for number in 5..5 + MAX_LOGICAL {
        let mut sector = [0; 512];
        let at = (start + here) * sector_size;
        let table = if read_within(disk, at, &mut sector)? { entries(&sector) } else { None };
        let Some(table) = table else {
            found.notes.push(Note::ExtendedChain { offset: at, why: "there is no partition table" });
            return Ok(());
        };
        seen.push(here);
        if let Some(entry) = table.into_iter().flatten().find(|entry| !entry.is_extended()) {
            found.partitions.push(partition(number, entry, start + here, found.sector_size));
        }
        let Some(next) = table.into_iter().flatten().find(|entry| entry.is_extended()) else { return Ok(()) };
        here = u64::from(next.first);
        if seen.contains(&here) {
            found.notes.push(Note::ExtendedChain { offset: at, why: "it goes round in a circle" });
            return Ok(());
        }
        if here >= count {
            found.notes.push(Note::ExtendedChain { offset: at, why: "it leaves the extended partition" });
            return Ok(());
        }
    }
    found.notes.push(Note::ExtendedChain {
        offset: (start + here) * sector_size,
        why: "it has more than 256 partitions",
    });
    Ok(())
}

fn partition(number: u32, entry: Entry, base: u64, sector_size: u32) -> Partition {
    let bytes = |sectors: u64| sectors * u64::from(sector_size);
    let mut partition = Partition::new(
        number,
        bytes(base + u64::from(entry.first)),
        bytes(u64::from(entry.count)),
        PartitionType::Mbr(entry.kind),
    );
    partition.active = entry.active;
    partition
}

/// An image of a disk with sectors of 4096 bytes does not say so: the volumes are where the boot sectors are.
fn guess_sector_size(disk: &dyn ReadAt, table: &[Option<Entry>; 4]) -> u32 {
    let volumes = |sector_size: u32| {
        let starts = table.iter().flatten().map(|entry| u64::from(entry.first) * u64::from(sector_size));
        starts.filter(|start| Content::look(disk, *start, 512).is_volume()).count()
    };
    if volumes(512) == 0 && volumes(4096) > 0 { 4096 } else { 512 }
}

/// What the type byte of a partition stands for, where Windows or Linux disks have it.
#[must_use]
pub fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x01 => "FAT12",
        0x04 | 0x06 | 0x0E => "FAT16",
        0x05 | 0x0F | 0x85 => "extended",
        0x07 => "NTFS or exFAT",
        0x0B | 0x0C => "FAT32",
        0x11 | 0x14 | 0x16 | 0x1E => "hidden FAT",
        0x17 => "hidden NTFS",
        0x1B | 0x1C => "hidden FAT32",
        0x27 => "Windows recovery",
        0x42 => "Windows dynamic disk (LDM)",
        0x82 => "Linux swap",
        0x83 => "Linux",
        0x8E => "Linux LVM",
        0xEE => "GPT protective",
        0xEF => "EFI system",
        0xFD => "Linux RAID",
        _ => return None,
    })
}
