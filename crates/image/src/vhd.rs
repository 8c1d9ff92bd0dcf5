//! VHD: the disk format of Virtual PC.
//!
//! All integers big-endian. A footer of 512 bytes at the end of the file (511 before 2004), and for dynamic disks a copy
//! of it at the start:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | `conectix` |
//! | 12 | 4 | version, 0x00010000 |
//! | 16 | 8 | offset of the dynamic header; all ones for a fixed disk |
//! | 48 | 8 | size of the disk in bytes |
//! | 60 | 4 | 2 fixed, 3 dynamic, 4 differencing |
//! | 64 | 4 | checksum: ones' complement of the sum of all other bytes |
//!
//! A fixed disk is the disk, then the footer. A dynamic one has a header of 1024 bytes:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 8 | `cxsparse` |
//! | 16 | 8 | offset of the block allocation table |
//! | 28 | 4 | entries of the table |
//! | 32 | 4 | size of a block in bytes, usually 2 MiB |
//! | 36 | 4 | checksum |
//!
//! A table entry is the sector (512 bytes) of the block, or all ones; a block is a bitmap of its sectors, rounded up to
//! a sector, and its data. On a dynamic disk the bitmap says nothing that the data do not: what was never written is zero.
//!
//! Source: Microsoft, "Virtual Hard Disk Image Format Specification" (2006).

use std::io;
use std::sync::Arc;

use crate::container::{Opened, read_data};
use crate::error::{Error, Format, Result};
use crate::kind::Kind;
use crate::note::Note;
use crate::pages::Pages;
use crate::read_at::{ReadAt, Slice, clamp};
use ntbak_wire::bytes::{slice_at, u32_be_at, u64_be_at};

pub(crate) const COOKIE: &[u8] = b"conectix";
const FORMAT: Format = Format::Container(Kind::Vhd);
const FOOTER: usize = 512;
const HEADER: usize = 1024;
const SECTOR: u64 = 512;
const UNALLOCATED: u32 = u32::MAX;

/// The footer's fields that are needed.
struct Footer {
    header_at: u64,
    size: u64,
    disk_type: u32,
}

impl Footer {
    /// The footer in `bytes`, which lie at `at`; `None` when it is not one.
    fn parse(bytes: &[u8], at: u64) -> Option<Result<Self>> {
        if !bytes.starts_with(COOKIE) {
            return None;
        }
        let cut = || Error::truncated(FORMAT, at, "the footer", FOOTER as u64, bytes.len() as u64);
        let parse = || {
            if !checksum_matches(bytes, 64) {
                return Err(Error::checksum(FORMAT, at, "the footer"));
            }
            Ok(Self {
                header_at: u64_be_at(bytes, 16).ok_or_else(cut)?,
                size: u64_be_at(bytes, 48).ok_or_else(cut)?,
                disk_type: u32_be_at(bytes, 60).ok_or_else(cut)?,
            })
        };
        Some(parse())
    }
}

/// Ones' complement of the sum of all bytes, those of the checksum itself left out.
fn checksum_matches(bytes: &[u8], at: usize) -> bool {
    let sum = |part: Option<&[u8]>| {
        part.unwrap_or_default().iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))
    };
    let expected = !sum(bytes.get(..at)).wrapping_add(sum(bytes.get(at + 4..)));
    u32_be_at(bytes, at) == Some(expected)
}

/// Opens a VHD image: the footer at the end, or the copy at the start of a dynamic disk.
pub(crate) fn open(source: Arc<dyn ReadAt>) -> Result<Opened> {
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; clamp(at, len, source.len())];
        source.read_exact_at(at, &mut bytes).map_err(|error| Error::io(FORMAT, at, error))?;
        Ok::<_, Error>(bytes)
    };
    let mut notes = Vec::new();
    let mut found: Option<Result<(Footer, u64)>> = None;
    for (at, len) in
        [(source.len().saturating_sub(512), 512), (source.len().saturating_sub(511), 511), (0, 512)]
    {
        if matches!(found, Some(Ok(_))) {
            break;
        }
        match Footer::parse(&read(at, len)?, at) {
            Some(Ok(footer)) => {
                // A dynamic disk without a footer at its end was cut, or never closed.
                if at == 0 {
                    notes.push(Note::HeaderCopyUsed { what: "the footer of the VHD" });
                }
                found = Some(Ok((footer, at)));
            }
            Some(Err(error)) => found = found.or(Some(Err(error))),
            None => {}
        }
    }
    let (footer, at) = match found {
        Some(footer) => footer?,
        None => return Err(Error::checksum(FORMAT, 0, "the footer")),
    };
    if !footer.size.is_multiple_of(SECTOR) || footer.size > MAX_SIZE {
        let expected = "a multiple of 512, at most 2040 GiB";
        return Err(Error::value(FORMAT, at + 48, "size of the disk", footer.size, expected));
    }
    match footer.disk_type {
        2 if at < footer.size => Err(Error::truncated(FORMAT, at, "the disk", footer.size, at)),
        2 => Ok(Opened {
            variant: "fixed".to_owned(),
            block_size: None,
            sector_size: Some(SECTOR as u32),
            notes,
            disk: Arc::new(Slice::new(source, 0, footer.size)),
        }),
        3 => {
            let header = read(footer.header_at, HEADER)?;
            let disk = Dynamic::new(Arc::clone(&source), &footer, &header)?;
            Ok(Opened {
                variant: "dynamic".to_owned(),
                block_size: u32::try_from(disk.block_size).ok(),
                sector_size: Some(SECTOR as u32),
                notes,
                disk: Arc::new(disk),
            })
        }
        4 => Err(Error::unsupported(
            FORMAT,
            "a differencing VHD, which holds only what differs from its parent",
            "make it whole on Windows with: Convert-VHD -Path CHILD.vhd -DestinationPath WHOLE.vhdx (the parents must be \
             where it looks for them)",
        )),
        other => Err(Error::value(
            FORMAT,
            at + 60,
            "type of the disk",
            u64::from(other),
            "2 fixed, 3 dynamic, 4 differencing",
        )),
    }
}

/// What the geometry of the format can address; a table of it has at most as many entries as 32 bits count.
const MAX_SIZE: u64 = 2040 << 30;

/// A dynamic disk.
struct Dynamic {
    source: Arc<dyn ReadAt>,
    size: u64,
    block_size: u64,
    /// Bytes of the bitmap before the data of a block.
    bitmap_size: u64,
    table_at: u64,
    table: Pages,
}

impl Dynamic {
    fn new(source: Arc<dyn ReadAt>, footer: &Footer, header: &[u8]) -> Result<Self> {
        let at = footer.header_at;
        let cut = || Error::truncated(FORMAT, at, "the dynamic header", HEADER as u64, header.len() as u64);
        let word = |offset| u32_be_at(header, offset).ok_or_else(cut);
        if header.len() < HEADER {
            return Err(cut());
        }
        if slice_at(header, 0, 8) != Some(b"cxsparse") {
            let found = u64_be_at(header, 0).ok_or_else(cut)?;
            return Err(Error::value(FORMAT, at, "mark of the dynamic header", found, "\"cxsparse\""));
        }
        if !checksum_matches(header, 36) {
            return Err(Error::checksum(FORMAT, at, "the dynamic header"));
        }
        let block_size = u64::from(word(32)?);
        if !block_size.is_power_of_two() || block_size < SECTOR {
            return Err(Error::value(
                FORMAT,
                at + 32,
                "size of a block",
                block_size,
                "a power of two from 512 on",
            ));
        }
        let entries = u64::from(word(28)?);
        if entries.saturating_mul(block_size) < footer.size {
            return Err(Error::value(
                FORMAT,
                at + 28,
                "entries of the block table",
                entries,
                "enough for the disk",
            ));
        }
        let table_at = u64_be_at(header, 16).ok_or_else(cut)?;
        if !table_at.is_multiple_of(4) || table_at > i64::MAX as u64 {
            return Err(Error::value(
                FORMAT,
                at + 16,
                "offset of the block table",
                table_at,
                "an aligned offset",
            ));
        }
        let needed = footer.size.div_ceil(block_size) * 4;
        let available = source.len().saturating_sub(table_at);
        if available < needed {
            return Err(Error::truncated(FORMAT, table_at, "the block table", needed, available));
        }
        let bitmap_size = (block_size / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
        let table = Pages::new(256);
        Ok(Self { source, size: footer.size, block_size, bitmap_size, table_at, table })
    }
}

impl ReadAt for Dynamic {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = clamp(offset, buf.len(), self.size);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (block, within) = (at / self.block_size, at % self.block_size);
            let part = clamp(within, len - done, self.block_size);
            let Some(to) = buf.get_mut(done..done + part) else { break };
            let entry_at = self.table_at + block * 4;
            let sector = self.table.with(&*self.source, entry_at, |bytes| u32_be_at(bytes, 0))?;
            match sector {
                Some(UNALLOCATED) => to.fill(0),
                Some(sector) => {
                    let data_at = u64::from(sector) * SECTOR + self.bitmap_size + within;
                    read_data(FORMAT, &*self.source, data_at, to)?;
                }
                None => return Err(Error::truncated(FORMAT, entry_at, "the block table", 4, 0).into()),
            }
            done += part;
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.size
    }
}
