//! The 20-byte stream header, with the name behind it.

use bitflags::bitflags;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::StreamName;
use crate::error::{Error, Format, Result};
use crate::name::Name;

/// The largest payload of one stream: 2^63 − 1 bytes. The Windows headers declare Size as signed.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The largest name of one stream: 65,536 bytes (\[MS-BKUP\] 2.2).
pub const MAX_NAME_SIZE: u32 = 65_536;

/// What a stream holds: `dwStreamId` (\[MS-BKUP\] 2.1; 6 is in winbase.h only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamId {
    /// 1: the unnamed data stream.
    Data,
    /// 2: extended attributes as a FILE_FULL_EA_INFORMATION list.
    EaData,
    /// 3: a self-relative security descriptor.
    SecurityData,
    /// 4: a named data stream.
    AlternateData,
    /// 5: the path of a file to make a hard link to.
    Link,
    /// 6: undocumented.
    PropertyData,
    /// 7: a 64-byte FILE_OBJECTID_BUFFER.
    ObjectId,
    /// 8: a whole reparse buffer.
    ReparseData,
    /// 9: an 8-byte offset and the bytes there, of the stream before it.
    SparseBlock,
    /// 10: transactional NTFS; means nothing elsewhere.
    TxfsData,
    /// 11: tokens for the ranges that hierarchical storage has moved away.
    GhostedFileExtents,
    /// Any other number.
    Unknown(u32),
}

impl StreamId {
    /// Every id with a name, in the order of their numbers.
    pub const KNOWN: [Self; 11] = [
        Self::Data,
        Self::EaData,
        Self::SecurityData,
        Self::AlternateData,
        Self::Link,
        Self::PropertyData,
        Self::ObjectId,
        Self::ReparseData,
        Self::SparseBlock,
        Self::TxfsData,
        Self::GhostedFileExtents,
    ];

    /// The name in the Windows headers without its `BACKUP_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "DATA",
            Self::EaData => "EA_DATA",
            Self::SecurityData => "SECURITY_DATA",
            Self::AlternateData => "ALTERNATE_DATA",
            Self::Link => "LINK",
            Self::PropertyData => "PROPERTY_DATA",
            Self::ObjectId => "OBJECT_ID",
            Self::ReparseData => "REPARSE_DATA",
            Self::SparseBlock => "SPARSE_BLOCK",
            Self::TxfsData => "TXFS_DATA",
            Self::GhostedFileExtents => "GHOSTED_FILE_EXTENTS",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl From<u32> for StreamId {
    fn from(id: u32) -> Self {
        match id {
            1 => Self::Data,
            2 => Self::EaData,
            3 => Self::SecurityData,
            4 => Self::AlternateData,
            5 => Self::Link,
            6 => Self::PropertyData,
            7 => Self::ObjectId,
            8 => Self::ReparseData,
            9 => Self::SparseBlock,
            10 => Self::TxfsData,
            11 => Self::GhostedFileExtents,
            other => Self::Unknown(other),
        }
    }
}

impl From<StreamId> for u32 {
    fn from(id: StreamId) -> Self {
        match id {
            StreamId::Data => 1,
            StreamId::EaData => 2,
            StreamId::SecurityData => 3,
            StreamId::AlternateData => 4,
            StreamId::Link => 5,
            StreamId::PropertyData => 6,
            StreamId::ObjectId => 7,
            StreamId::ReparseData => 8,
            StreamId::SparseBlock => 9,
            StreamId::TxfsData => 10,
            StreamId::GhostedFileExtents => 11,
            StreamId::Unknown(other) => other,
        }
    }
}

bitflags! {
    /// `dwStreamAttributes`. Bits that are not named here are kept and mean nothing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StreamAttributes: u32 {
        /// Reading changes the data. In winbase.h only; nothing is known to set it.
        const MODIFIED_WHEN_READ = 0x1;
        /// Set on SECURITY_DATA; go-winio writes it without, so it is never required.
        const CONTAINS_SECURITY = 0x2;
        /// In winbase.h only.
        const CONTAINS_PROPERTIES = 0x4;
        /// The stream is sparse; SPARSE_BLOCK streams may follow.
        const SPARSE = 0x8;
        /// On DATA: GHOSTED_FILE_EXTENTS follows.
        const CONTAINS_GHOSTED_FILE_EXTENTS = 0x10;

        const _ = !0;
    }

    /// A set of stream ids, to say which ones a reader accepts (\[MS-BKUP\] 4.1 advises such a filter).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct StreamSet: u32 {
        /// DATA, with its SPARSE_BLOCKs.
        const DATA = 1 << 1;
        /// EA_DATA.
        const EA_DATA = 1 << 2;
        /// SECURITY_DATA.
        const SECURITY_DATA = 1 << 3;
        /// ALTERNATE_DATA, with its SPARSE_BLOCKs.
        const ALTERNATE_DATA = 1 << 4;
        /// LINK.
        const LINK = 1 << 5;
        /// OBJECT_ID.
        const OBJECT_ID = 1 << 7;
        /// REPARSE_DATA.
        const REPARSE_DATA = 1 << 8;
    }
}

/// One stream header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the stream holds.
    pub id: StreamId,
    /// Its attributes; only [`StreamAttributes::SPARSE`] changes how it is read.
    pub attributes: StreamAttributes,
    /// Bytes of payload that follow the name.
    pub size: u64,
    /// The name as it stands in the stream, `:name:$DATA` as a rule; empty but for ALTERNATE_DATA.
    pub name: Name,
}

/// The fixed part of a header as it lies in the stream.
#[derive(FromBytes, IntoBytes, Unaligned, Immutable, KnownLayout)]
#[repr(C)]
struct Fixed {
    id: U32,
    attributes: U32,
    size: U64,
    name_size: U32,
}

impl Header {
    /// Bytes of a header without its name. (`sizeof(WIN32_STREAM_ID)` in C is 24.)
    pub const LEN: usize = size_of::<Fixed>();

    /// A header without attributes and name.
    #[must_use]
    pub fn new(id: StreamId, size: u64) -> Self {
        Self { id, attributes: StreamAttributes::empty(), size, name: Name::default() }
    }

    /// The same header with these attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: StreamAttributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// The name of the alternate data stream, checked.
    ///
    /// # Errors
    /// A name that NTFS would not take, see [`StreamName::from_wire`].
    pub fn stream_name(&self) -> Result<StreamName> {
        StreamName::from_wire(&self.name)
    }

    /// Bytes of the header with its name.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        Self::LEN + self.name.units().len() * 2
    }

    /// Appends the header and its name to `out`.
    ///
    /// # Errors
    /// A payload or name beyond what the format holds, or a name on another stream than ALTERNATE_DATA; nothing is
    /// appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let fault = |what, found, expected| Err(Error::value(Format::BackupStream, 0, what, found, expected));
        let name_size = self.name.units().len() as u64 * 2;
        if self.size > MAX_SIZE {
            return fault("Size", self.size, "less than 2^63");
        }
        if name_size > u64::from(MAX_NAME_SIZE) {
            return fault("dwStreamNameSize", name_size, "at most 65536");
        }
        if name_size != 0 && self.id != StreamId::AlternateData {
            return fault("dwStreamNameSize", name_size, "0 on this stream");
        }
        let fixed = Fixed {
            id: u32::from(self.id).into(),
            attributes: self.attributes.bits().into(),
            size: self.size.into(),
            name_size: (name_size as u32).into(),
        };
        out.extend_from_slice(fixed.as_bytes());
        out.extend(self.name.units().iter().flat_map(|unit| unit.to_le_bytes()));
        Ok(())
    }

    /// Reads the fixed part: the header without its name, and the size of the name in bytes.
    ///
    /// # Errors
    /// A payload of 2^63 bytes or more, a name of odd size or of more than 65,536 bytes. `offset` is that of the
    /// header in its input and goes into the error.
    pub(super) fn decode_fixed(bytes: &[u8; Self::LEN], offset: u64) -> Result<(Self, u32)> {
        let fixed: Fixed = zerocopy::transmute!(*bytes);
        let fault = |at, what, found, expected| {
            Err(Error::value(Format::BackupStream, offset + at, what, found, expected))
        };
        let (size, name_size) = (fixed.size.get(), fixed.name_size.get());
        if size > MAX_SIZE {
            return fault(8, "Size", size, "less than 2^63");
        }
        if name_size > MAX_NAME_SIZE {
            return fault(16, "dwStreamNameSize", name_size.into(), "at most 65536");
        }
        if !name_size.is_multiple_of(2) {
            return fault(16, "dwStreamNameSize", name_size.into(), "an even number");
        }
        let header = Self {
            id: fixed.id.get().into(),
            attributes: StreamAttributes::from_bits_retain(fixed.attributes.get()),
            size,
            name: Name::default(),
        };
        Ok((header, name_size))
    }
}
