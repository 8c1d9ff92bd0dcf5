//! The metadata region: the facts about the disk.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | `metadata` |
//! | 10 | 2 | number of entries |
//! | 32 | 32 each | GUID, u32 offset in the region, u32 size, u32 flags (4: required) |
//!
//! Source: \[MS-VHDX\] 2.6.

use super::{FORMAT, KIB, MIB, Region, read};
use crate::error::{Error, Result};
use crate::read_at::ReadAt;
use ntbak_wire::bytes::{array_at, slice_at, u16_at, u32_at, u64_at};

/// The facts that are needed.
pub(super) struct Metadata {
    pub(super) size: u64,
    pub(super) block_size: u32,
    pub(super) sector_size: u32,
    pub(super) has_parent: bool,
    pub(super) fixed: bool,
}

/// {CAA16737-FA36-4D43-B3B6-33F0AA44E76B}
const FILE_PARAMETERS: [u8; 16] =
    [0x37, 0x67, 0xA1, 0xCA, 0x36, 0xFA, 0x43, 0x4D, 0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B];
/// {2FA54224-CD1B-4876-B211-5DBED83BF4B8}
const DISK_SIZE: [u8; 16] =
    [0x24, 0x42, 0xA5, 0x2F, 0x1B, 0xCD, 0x76, 0x48, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8];
/// {8141BF1D-A96F-4709-BA47-F233A8FAAB5F}
const SECTOR_SIZE: [u8; 16] =
    [0x1D, 0xBF, 0x41, 0x81, 0x6F, 0xA9, 0x09, 0x47, 0xBA, 0x47, 0xF2, 0x33, 0xA8, 0xFA, 0xAB, 0x5F];
/// Items that say nothing about where the bytes are: physical sector size
/// {CDA348C7-445D-4471-9CC9-E9885251C556}, disk id {BECA12AB-B2E6-4523-93EF-C309E000C746},
/// parent locator {A8D35F2D-B30B-454D-ABF7-D3D84834AB0C}.
const OTHERS: [[u8; 16]; 3] = [
    [0xC7, 0x48, 0xA3, 0xCD, 0x5D, 0x44, 0x71, 0x44, 0x9C, 0xC9, 0xE9, 0x88, 0x52, 0x51, 0xC5, 0x56],
    [0xAB, 0x12, 0xCA, 0xBE, 0xE6, 0xB2, 0x23, 0x45, 0x93, 0xEF, 0xC3, 0x09, 0xE0, 0x00, 0xC7, 0x46],
    [0x2D, 0x5F, 0xD3, 0xA8, 0x0B, 0xB3, 0x4D, 0x45, 0xAB, 0xF7, 0xD3, 0xD8, 0x48, 0x34, 0xAB, 0x0C],
];

impl Metadata {
    pub(super) fn read(source: &dyn ReadAt, region: Region) -> Result<Self> {
        let at = region.at;
        let table = read(source, at, 64 * KIB, "the metadata table")?;
        if slice_at(&table, 0, 8) != Some(b"metadata") {
            let found = u64_at(&table, 0).unwrap_or(0);
            return Err(Error::value(FORMAT, at, "mark of the metadata", found, "\"metadata\""));
        }
        let count = u16_at(&table, 10).unwrap_or(0);
        if count > 2047 {
            return Err(Error::value(
                FORMAT,
                at + 10,
                "number of metadata",
                u64::from(count),
                "at most 2047",
            ));
        }
        let item = |offset: u32, len: u64| {
            let end = u64::from(offset) + len;
            match end <= region.len {
                true => read(source, at + u64::from(offset), len, "a metadata item"),
                false => {
                    Err(Error::truncated(FORMAT, at + u64::from(offset), "a metadata item", end, region.len))
                }
            }
        };
        let (mut parameters, mut size, mut sector_size) = (None, None, None);
        for entry in table.get(32..).unwrap_or_default().chunks_exact(32).take(usize::from(count)) {
            let (offset, flags) = (u32_at(entry, 16).unwrap_or(0), u32_at(entry, 24).unwrap_or(0));
            match array_at::<16>(entry, 0).unwrap_or_default() {
                FILE_PARAMETERS => parameters = u64_at(&item(offset, 8)?, 0),
                DISK_SIZE => size = u64_at(&item(offset, 8)?, 0),
                SECTOR_SIZE => sector_size = u32_at(&item(offset, 4)?, 0),
                other if flags & 4 != 0 && !OTHERS.contains(&other) => {
                    return Err(Error::unsupported(
                        FORMAT,
                        "a VHDX with required metadata that ntbak does not know",
                        "convert it on Windows with: Convert-VHD -Path IN.vhdx -DestinationPath OUT.vhdx",
                    ));
                }
                _ => {}
            }
        }
        let missing = |what| Error::value(FORMAT, at, what, 0, "an item of the metadata");
        let parameters = parameters.ok_or_else(|| missing("file parameters"))?;
        let size = size.ok_or_else(|| missing("size of the disk"))?;
        let sector_size = sector_size.ok_or_else(|| missing("sector size"))?;
        // Two fields of 32 bits: the size of a block, then flags.
        let (block_size, flags) = (parameters as u32, parameters >> 32);

        let bad = |what, found, expected: &'static str| Err(Error::value(FORMAT, at, what, found, expected));
        if !block_size.is_power_of_two() || !(MIB..=256 * MIB).contains(&u64::from(block_size)) {
            return bad("size of a block", u64::from(block_size), "a power of two from 1 to 256 MiB");
        }
        if !matches!(sector_size, 512 | 4096) {
            return bad("sector size", u64::from(sector_size), "512 or 4096");
        }
        if size > 64 << 40 || !size.is_multiple_of(u64::from(sector_size)) {
            return bad("size of the disk", size, "whole sectors, at most 64 TiB");
        }
        Ok(Self { size, block_size, sector_size, has_parent: flags & 2 != 0, fixed: flags & 1 != 0 })
    }
}
