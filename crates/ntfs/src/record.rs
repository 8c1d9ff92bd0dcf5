/*!
A record of `$MFT`: the header, and the attributes behind it. All integers little-endian.

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | `FILE`; `BAAD` when chkdsk found it torn; zeros when it was never used |
| 4, 6 | 2 | offset and count of the [update sequence array](crate::fixup) |
| 16 | 2 | sequence number |
| 18 | 2 | number of `$FILE_NAME` attributes, 8.3 names counted |
| 20 | 2 | offset of the first attribute |
| 22 | 2 | flags: 1 in use, 2 directory, 4 in `$Extend`, 8 view index |
| 24, 28 | 4 | bytes used, bytes allocated |
| 32 | 8 | reference to the base record; 0 in a base record |

Sources: ntfs-3g, the Linux drivers and libfsntfs agree; seen on Windows 10.
*/

use std::fmt;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::attribute::Attributes;
use crate::error::{Error, Result};

/// Which file: the number of its base record, and how often that record was used before.
///
/// The low 48 bits are the number, the high 16 the sequence number, as Windows shows a file id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileReference(pub u64);

impl FileReference {
    /// The root directory, on volumes that no one has damaged.
    pub const ROOT: Self = Self::new(5, 5);

    /// The file in this record.
    #[must_use]
    pub const fn new(record: u64, sequence: u16) -> Self {
        Self(record & 0xFFFF_FFFF_FFFF | (sequence as u64) << 48)
    }

    /// The number of the record.
    #[must_use]
    pub const fn record(self) -> u64 {
        self.0 & 0xFFFF_FFFF_FFFF
    }

    /// The sequence number of the record.
    #[must_use]
    pub const fn sequence(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

impl fmt::Display for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.record(), self.sequence())
    }
}

impl fmt::Debug for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `FILE`.
pub(crate) const MAGIC: [u8; 4] = *b"FILE";

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    magic: [u8; 4],
    usa_offset: U16,
    usa_count: U16,
    _lsn: U64,
    sequence: U16,
    links: U16,
    first_attribute: U16,
    flags: U16,
    used: U32,
    _allocated: U32,
    base: U64,
}

/// A record whose fixups have been put back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'r> {
    bytes: &'r [u8],
    pub(crate) sequence: u16,
    pub(crate) flags: u16,
    /// 0 in a base record.
    pub(crate) base: FileReference,
    first_attribute: usize,
    used: usize,
}

const IN_USE: u16 = 1;
const DIRECTORY: u16 = 2;

impl<'r> Record<'r> {
    pub(crate) fn parse(bytes: &'r [u8]) -> Result<Self> {
        let fault = |offset, what, found, expected| Error::value("MFT record", offset, what, found, expected);
        let Ok((header, _)) = Layout::ref_from_prefix(bytes) else {
            return Err(Error::truncated("MFT record", 0, "it", 48, bytes.len() as u64));
        };
        if header.magic != MAGIC {
            return Err(fault(0, "magic number", u32::from_be_bytes(header.magic).into(), "FILE"));
        }
        let (first, used) = (header.first_attribute.get(), header.used.get());
        let fixups = usize::from(header.usa_offset.get()) + 2 * (bytes.len() / 512 + 1);
        if usize::from(first) < fixups || !first.is_multiple_of(4) {
            return Err(fault(
                20,
                "offset of the first attribute",
                first.into(),
                "a place behind the fixups",
            ));
        }
        let used_bytes = usize::try_from(used).unwrap_or(usize::MAX);
        if used_bytes > bytes.len() || used_bytes < usize::from(first) {
            return Err(fault(
                24,
                "bytes used",
                used.into(),
                "at most the size of a record, its header at least",
            ));
        }
        Ok(Self {
            bytes,
            sequence: header.sequence.get(),
            flags: header.flags.get(),
            base: FileReference(header.base.get()),
            first_attribute: first.into(),
            used: used_bytes,
        })
    }

    pub(crate) fn in_use(&self) -> bool {
        self.flags & IN_USE != 0
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// The attributes, in their order.
    pub(crate) fn attributes(&self) -> Attributes<'r> {
        Attributes::new(self.bytes, self.first_attribute, self.used)
    }
}
