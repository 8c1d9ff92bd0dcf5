//! The encryption header of a segment: where its ciphertext belongs, and where there is none.
//!
//! | offset | size | field | |
//! | --- | --- | --- | --- |
//! | 0x00 | 8 | Starting File Offset | in this stream |
//! | 0x08 | 4 | Length | of this header; 496 in all that Windows writes |
//! | 0x0C | 4 | Bytes Within Stream Size | how many of the bytes are below the end of the stream |
//! | 0x10 | 4 | Bytes Within VDL | how many are below the valid data length |
//! | 0x14 | 2 | compression format | 0 |
//! | 0x16 | 1 | Data Unit Shift | log2 of the unit that one block stands for |
//! | 0x17 | 1 | Chunk Shift | the same |
//! | 0x18 | 1 | Cluster Shift | log2 of the cluster size |
//! | 0x19 | 1 | encryption format | 1 |
//! | 0x1A | 2 | Number of Data Blocks | n |
//! | 0x1C | 4n | Data Block Sizes | ciphertext bytes of each unit; 0 is a hole |
//! | … | 16 | `EXTD`, 16, flags (1: of a sparse file), 0 | may be missing |
//! | … | | 0 | up to Length |
//!
//! Source: \[MS-EFSR\] 2.2.3.3 and 2.2.3.4; the same structure is `ENCRYPTED_DATA_INFO` in winioctl.h.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{SEGMENT_HEADER, SEGMENT_SIGNATURE, fault};
use crate::bytes::u32_at;
use crate::error::Result;

/// The unit of encryption in bytes. All ciphertext comes in multiples of it.
pub const SECTOR: u64 = 512;

/// The most ciphertext that ntbak and Windows put into one segment, in bytes.
pub const SEGMENT_DATA: u32 = 65_536;

/// The longest segment that is read, in bytes. The specification has no limit, Windows writes at most 66,048.
pub const MAX_SEGMENT: u32 = 16 << 20;

/// Bytes of the header before the block sizes.
pub(super) const FIXED: usize = size_of::<Fixed>();
/// Bytes of the extended header.
pub(super) const EXTENDED: usize = 16;
/// The Length that Windows writes: with the 16 bytes before it, the ciphertext begins at 512.
const CANONICAL: usize = 496;
/// Bytes of a segment before its ciphertext, when it has no more blocks than fit into that.
pub(super) const CANONICAL_SEGMENT: usize = SEGMENT_HEADER + CANONICAL;
/// The most blocks that fit into it.
pub(super) const CANONICAL_BLOCKS: usize = (CANONICAL - FIXED - EXTENDED) / 4;

const EXTENDED_SIGNATURE: u32 = u32::from_le_bytes(*b"EXTD");
const FLAG_SPARSE: u32 = 1;
const ENCRYPTION_FORMAT_DEFAULT: u8 = 1;
/// Data Unit Shifts that are read: from a sector to 1 GiB.
const SHIFTS: std::ops::RangeInclusive<u8> = 9..=30;

/// One segment of an encrypted stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// Where in the stream it begins, a multiple of 512.
    pub offset: u64,
    /// How many bytes of the stream it stands for (Bytes Within Stream Size).
    pub len: u32,
    /// How many of them are below the valid data length, at most `len`; the others are zeros once decrypted.
    pub valid: u32,
    /// log2 of the bytes that one block stands for.
    pub unit_shift: u8,
    /// log2 of the cluster size of the volume; nothing depends on it.
    pub cluster_shift: u8,
    /// The stream belongs to a sparse file.
    pub sparse: bool,
    /// Ciphertext bytes of each unit, multiples of 512. 0: none, the unit is zeros. Less than the unit: the rest of it is
    /// zeros. More: the last block only.
    pub blocks: Vec<u32>,
}

#[derive(FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout)]
#[repr(C)]
struct Fixed {
    offset: U64,
    length: U32,
    len: U32,
    valid: U32,
    compression_format: U16,
    unit_shift: u8,
    chunk_shift: u8,
    cluster_shift: u8,
    encryption_format: u8,
    blocks: U16,
}

impl Segment {
    /// The bytes of ciphertext in the segment.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.blocks.iter().map(|size| u64::from(*size)).sum()
    }

    /// Bytes of the segment in the raw data, headers and ciphertext, as ntbak writes it.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        (SEGMENT_HEADER + self.header_len()) as u64 + self.stored()
    }

    /// The ranges of the stream whose ciphertext the segment holds, in the order in which it holds them: offset and
    /// length, neighbours joined.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (index, size) in self.blocks.iter().enumerate() {
            let (at, size) = (self.offset + ((index as u64) << self.unit_shift), u64::from(*size));
            match runs.last_mut() {
                _ if size == 0 => {}
                Some((start, len)) if *start + *len == at => *len += size,
                _ => runs.push((at, size)),
            }
        }
        runs
    }

    /// The first byte of the stream behind the segment: past what it stands for and what it holds.
    pub(super) fn end(&self) -> u64 {
        let held = self.runs().last().map_or(0, |(at, len)| at + len);
        held.max(self.offset + u64::from(self.len))
    }

    /// How many bytes the blocks stand for.
    fn represented(&self) -> u64 {
        let unit = 1_u64 << self.unit_shift;
        match self.blocks.split_last() {
            None => 0,
            Some((last, others)) => others.len() as u64 * unit + unit.max(u64::from(*last)),
        }
    }

    /// Bytes of the encryption header: 496 unless there are more blocks than that has room for.
    fn header_len(&self) -> usize {
        CANONICAL.max(
            (FIXED + self.blocks.len() * 4 + EXTENDED).next_multiple_of(SECTOR as usize) - SEGMENT_HEADER,
        )
    }

    /// What a reader refuses and a writer never writes. `at` is the offset of the encryption header, for the error.
    fn check(&self, at: u64) -> Result<()> {
        if !self.offset.is_multiple_of(SECTOR) {
            return Err(fault(at, "Starting File Offset", self.offset, "a multiple of 512"));
        }
        if !self.blocks.is_empty() && !SHIFTS.contains(&self.unit_shift) {
            return Err(fault(at + 0x16, "Data Unit Shift", self.unit_shift.into(), "9 to 30"));
        }
        let unit = if self.blocks.is_empty() { 0 } else { 1_u32 << self.unit_shift };
        for (index, size) in self.blocks.iter().enumerate() {
            let at = at + FIXED as u64 + index as u64 * 4;
            if !u64::from(*size).is_multiple_of(SECTOR) {
                return Err(fault(at, "Data Block Size", (*size).into(), "a multiple of 512"));
            }
            if *size > unit && index + 1 != self.blocks.len() {
                return Err(fault(at, "Data Block Size", (*size).into(), "at most the data unit"));
            }
        }
        let represented = if self.blocks.is_empty() { 0 } else { self.represented() };
        if u64::from(self.len) > represented {
            let expected = "at most what the data blocks stand for";
            return Err(fault(at + 0x0C, "Bytes Within Stream Size", self.len.into(), expected));
        }
        match self.offset.checked_add(represented) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(fault(at, "Starting File Offset", self.offset, "an end below 2^63")),
        }
    }

    /// How many bytes behind the fixed part must be known to read the header: block sizes and the extended header.
    /// `room` is what the segment has behind its own 16 bytes; `at` the offset of the header, for errors.
    pub(super) fn variable_len(fixed: &[u8; FIXED], room: u32, at: u64) -> Result<(usize, u32)> {
        let fixed: Fixed = zerocopy::transmute!(*fixed);
        let (length, blocks) = (fixed.length.get(), usize::from(fixed.blocks.get()));
        if (length as usize) < FIXED + blocks * 4 {
            return Err(fault(
                at + 8,
                "Length of an encryption header",
                length.into(),
                "0x1c + 4 * blocks or more",
            ));
        }
        if length > room {
            return Err(fault(
                at + 8,
                "Length of an encryption header",
                length.into(),
                "less than its segment",
            ));
        }
        Ok(((length as usize - FIXED).min(blocks * 4 + EXTENDED), length))
    }

    /// Reads the header: the fixed part and what [`variable_len`](Self::variable_len) asked for.
    pub(super) fn decode(bytes: &[u8; FIXED], variable: &[u8], room: u32, at: u64) -> Result<Self> {
        let fixed: Fixed = zerocopy::transmute!(*bytes);
        if fixed.encryption_format != ENCRYPTION_FORMAT_DEFAULT {
            return Err(fault(at + 0x19, "encryption format", fixed.encryption_format.into(), "1"));
        }
        if fixed.compression_format.get() != 0 {
            return Err(fault(at + 0x14, "compression format", fixed.compression_format.get().into(), "0"));
        }
        let (sizes, extended) =
            variable.split_at_checked(usize::from(fixed.blocks.get()) * 4).unwrap_or_default();
        let is_extended = u32_at(extended, 0) == Some(EXTENDED_SIGNATURE);
        let segment = Self {
            offset: fixed.offset.get(),
            len: fixed.len.get(),
            // A valid data length beyond the end of the stream means no more than the end.
            valid: fixed.valid.get().min(fixed.len.get()),
            unit_shift: fixed.unit_shift,
            cluster_shift: fixed.cluster_shift,
            sparse: is_extended && u32_at(extended, 8).is_some_and(|flags| flags & FLAG_SPARSE != 0),
            blocks: sizes.as_chunks::<4>().0.iter().map(|size| u32::from_le_bytes(*size)).collect(),
        };
        segment.check(at)?;
        let data = u64::from(room - fixed.length.get());
        if segment.stored() != data {
            let expected = "the data bytes of the segment";
            return Err(fault(at + FIXED as u64, "sum of Data Block Sizes", segment.stored(), expected));
        }
        Ok(segment)
    }

    /// Appends the 16 bytes of the segment and its encryption header; the ciphertext comes next. `at` is the offset in
    /// the raw data, for errors.
    pub(super) fn encode(&self, at: u64, out: &mut Vec<u8>) -> Result<()> {
        self.check(at)?;
        let header = self.header_len();
        let length = self.encoded_len();
        let blocks = u16::try_from(self.blocks.len())
            .map_err(|_| fault(at, "Number of Data Blocks", self.blocks.len() as u64, "at most 65535"))?;
        if length > MAX_SEGMENT.into() {
            return Err(fault(at, "Length of a segment", length, "at most 16 MiB"));
        }
        out.extend_from_slice(&(length as u32).to_le_bytes());
        out.extend_from_slice(SEGMENT_SIGNATURE);
        out.extend_from_slice(&[0; 4]);
        let start = out.len();
        let fixed = Fixed {
            offset: self.offset.into(),
            length: (header as u32).into(),
            len: self.len.into(),
            valid: self.valid.min(self.len).into(),
            compression_format: 0.into(),
            unit_shift: self.unit_shift,
            chunk_shift: self.unit_shift,
            cluster_shift: self.cluster_shift,
            encryption_format: ENCRYPTION_FORMAT_DEFAULT,
            blocks: blocks.into(),
        };
        out.extend_from_slice(fixed.as_bytes());
        out.extend(self.blocks.iter().flat_map(|size| size.to_le_bytes()));
        for word in [EXTENDED_SIGNATURE, EXTENDED as u32, u32::from(self.sparse) * FLAG_SPARSE, 0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.resize(start + header, 0);
        Ok(())
    }
}
