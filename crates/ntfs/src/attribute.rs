/*!
Attributes, of which a record consists. All integers little-endian.

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | type; 0xFFFFFFFF ends the record |
| 4 | 4 | length, a multiple of 8 |
| 8 | 1 | 1 when non-resident |
| 9 | 1 | length of the name in UTF-16 units |
| 10 | 2 | offset of the name |
| 12 | 2 | flags: 1 compressed (mask 0xFF), 0x4000 encrypted, 0x8000 sparse |
| 14 | 2 | id, unique in the record |

Resident, the value in the record:

| offset | size | field |
| --- | --- | --- |
| 16 | 4 | length of the value |
| 20 | 2 | offset of the value |

Non-resident, the value in clusters:

| offset | size | field |
| --- | --- | --- |
| 16, 24 | 8 | lowest and highest VCN; −1 as the highest when it is empty |
| 32 | 2 | offset of the [run list](crate::runs) |
| 34 | 2 | log2 of the compression unit in clusters: 4 when compressed **or sparse** |
| 40, 48, 56 | 8 | allocated size, size, valid data length: of meaning only where the lowest VCN is 0 |

Sources: ntfs-3g, the Linux drivers, libfsntfs; seen on Windows 10.
*/

use std::fmt;
use std::ops::Range;

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::error::{Error, Result};
use ntbak_wire::bytes::{slice_at, u16_at, u32_at};

/// The type of an attribute. Any number is kept; those that NTFS has have names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u32);

macro_rules! attribute_types {
    ($($name:ident = $number:literal, $text:literal, $doc:literal;)*) => {
        impl AttributeType {
            $(#[doc = concat!("`", $text, "` (", stringify!($number), "): ", $doc, ".")]
            pub const $name: Self = Self($number);)*

            /// The name of the attribute, as `$AttrDef` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "attribute" }
            }
        }
    };
}

attribute_types! {
    STANDARD_INFORMATION = 0x10, "$STANDARD_INFORMATION", "times, attributes, security id";
    ATTRIBUTE_LIST = 0x20, "$ATTRIBUTE_LIST", "which records hold the attributes of a file that has several";
    FILE_NAME = 0x30, "$FILE_NAME", "one name, and the directory it is in";
    OBJECT_ID = 0x40, "$OBJECT_ID", "the object id";
    SECURITY_DESCRIPTOR = 0x50, "$SECURITY_DESCRIPTOR", "a security descriptor that is not in $Secure";
    VOLUME_NAME = 0x60, "$VOLUME_NAME", "the label of the volume";
    VOLUME_INFORMATION = 0x70, "$VOLUME_INFORMATION", "version and flags of the volume";
    DATA = 0x80, "$DATA", "a data stream";
    INDEX_ROOT = 0x90, "$INDEX_ROOT", "the root of an index";
    INDEX_ALLOCATION = 0xA0, "$INDEX_ALLOCATION", "the blocks of an index";
    BITMAP = 0xB0, "$BITMAP", "which blocks or records are in use";
    REPARSE_POINT = 0xC0, "$REPARSE_POINT", "a reparse buffer";
    EA_INFORMATION = 0xD0, "$EA_INFORMATION", "sizes of the extended attributes";
    EA = 0xE0, "$EA", "extended attributes";
    PROPERTY_SET = 0xF0, "$PROPERTY_SET", "of NT 4 and no use";
    LOGGED_UTILITY_STREAM = 0x100, "$LOGGED_UTILITY_STREAM", "$EFS, $TXF_DATA and others";
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "attribute" => write!(f, "attribute {:#x}", self.0),
            name => f.write_str(name),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

bitflags! {
    /// How the value of an attribute is stored. Bits that are not named here are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AttributeFlags: u16 {
        /// Compressed with LZNT1; on a resident attribute or an index root only the default for what is new.
        const COMPRESSED = 0x0001;
        /// Every way of compressing.
        const COMPRESSION_MASK = 0x00FF;
        /// Encrypted by EFS.
        const ENCRYPTED = 0x4000;
        /// Sparse.
        const SPARSE = 0x8000;

        const _ = !0;
    }
}

/// One attribute in its record, or one piece of an attribute that several records share.
#[derive(Debug, Clone)]
pub(crate) struct Attribute<'r> {
    pub(crate) kind: AttributeType,
    pub(crate) flags: AttributeFlags,
    pub(crate) id: u16,
    /// UTF-16LE.
    pub(crate) name: &'r [u8],
    pub(crate) form: Form<'r>,
    /// Where it begins in the record.
    pub(crate) offset: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Form<'r> {
    /// The value, and where in the record it is.
    Resident {
        value: &'r [u8],
        range: Range<usize>,
    },
    NonResident(NonResident<'r>),
}

#[derive(Debug, Clone)]
pub(crate) struct NonResident<'r> {
    pub(crate) lowest: u64,
    /// How many clusters this piece has.
    pub(crate) clusters: u64,
    pub(crate) runs: &'r [u8],
    /// Where the run list begins in the record.
    pub(crate) runs_offset: usize,
    /// log2 of the compression unit in clusters.
    pub(crate) unit_shift: u16,
    pub(crate) size: u64,
    pub(crate) vdl: u64,
}

impl<'r> Attribute<'r> {
    /// The lowest VCN; 0 when resident.
    pub(crate) fn lowest(&self) -> u64 {
        match &self.form {
            Form::Resident { .. } => 0,
            Form::NonResident(piece) => piece.lowest,
        }
    }

    /// The value, when it is resident.
    pub(crate) fn resident(&self) -> Option<&'r [u8]> {
        match self.form {
            Form::Resident { value, .. } => Some(value),
            Form::NonResident(_) => None,
        }
    }

    /// Whether it has this type and no name.
    pub(crate) fn is(&self, kind: AttributeType) -> bool {
        self.kind == kind && self.name.is_empty()
    }
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    kind: U32,
    length: U32,
    non_resident: u8,
    name_length: u8,
    name_offset: U16,
    flags: U16,
    id: U16,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct NonResidentTail {
    lowest: U64,
    highest: U64,
    runs_offset: U16,
    unit_shift: U16,
    _reserved: U32,
    _allocated: U64,
    size: U64,
    vdl: U64,
}

const HEAD: usize = 16;
const END: u32 = 0xFFFF_FFFF;

/// The attributes of a record. A faulty one is an error in its place; when its length cannot be believed, the last.
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'r> {
    record: &'r [u8],
    at: usize,
    used: usize,
}

impl<'r> Attributes<'r> {
    pub(crate) fn new(record: &'r [u8], first: usize, used: usize) -> Self {
        Self { record, at: first, used }
    }

    /// The attribute that begins at byte `offset` of a record of which this was seen before.
    pub(crate) fn one(record: &'r [u8], offset: usize) -> Option<Attribute<'r>> {
        Self::new(record, offset, record.len()).next()?.ok()
    }
}

impl<'r> Iterator for Attributes<'r> {
    type Item = Result<Attribute<'r>>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.record.get(at..self.used).unwrap_or_default();
        // The end mark; some writers leave it out where the record is full.
        if u32_at(rest, 0).is_none_or(|kind| kind == END) {
            return None;
        }
        // Until it is known where the next one begins.
        self.at = self.used;
        let fault = |offset: usize, what, found: u64, expected| {
            Error::value("attribute", (at + offset) as u64, what, found, expected)
        };
        let Ok((head, _)) = Head::ref_from_prefix(rest) else {
            return Some(Err(Error::truncated("attribute", at as u64, "it", HEAD as u64, rest.len() as u64)));
        };
        let kind = head.kind.get();
        if kind == 0 || kind & 0xF != 0 {
            return Some(Err(fault(0, "type", kind.into(), "a multiple of 16")));
        }
        let length = head.length.get();
        // The upper half has been seen with something else in it.
        let believed = if length as usize > rest.len() { length & 0xFFFF } else { length };
        if believed % 8 != 0 || (believed as usize) < HEAD + 8 || believed as usize > rest.len() {
            return Some(Err(fault(4, "length", length.into(), "a multiple of 8 that fits into the record")));
        }
        self.at = at + believed as usize;
        let bytes = rest.get(..believed as usize).unwrap_or_default();
        Some(Self::body(head, bytes, at))
    }
}

impl<'r> Attributes<'r> {
    fn body(head: &'r Head, bytes: &'r [u8], at: usize) -> Result<Attribute<'r>> {
        let fault = |offset: usize, what, found: u64, expected| {
            Error::value("attribute", (at + offset) as u64, what, found, expected)
        };
        let name_offset = head.name_offset.get();
        let name = match head.name_length {
            0 => &[],
            length => slice_at(bytes, name_offset.into(), 2 * usize::from(length))
                .filter(|_| usize::from(name_offset) >= HEAD + 8)
                .ok_or_else(|| {
                    fault(10, "offset of the name", name_offset.into(), "a name within the attribute")
                })?,
        };
        let form = match head.non_resident {
            0 => Self::resident(bytes, at)?,
            1 => Form::NonResident(Self::non_resident(bytes, at)?),
            other => return Err(fault(8, "form", other.into(), "0 (resident) or 1 (non-resident)")),
        };
        Ok(Attribute {
            kind: AttributeType(head.kind.get()),
            flags: AttributeFlags::from_bits_retain(head.flags.get()),
            id: head.id.get(),
            name,
            form,
            offset: at,
        })
    }

    fn resident(bytes: &'r [u8], at: usize) -> Result<Form<'r>> {
        let (length, offset) = (u32_at(bytes, 16).unwrap_or(0), u16_at(bytes, 20).unwrap_or(0));
        let (start, len) = (usize::from(offset), length as usize);
        let value = slice_at(bytes, start, len).filter(|value| start >= HEAD + 8 || value.is_empty());
        match value {
            Some(value) => Ok(Form::Resident { value, range: at + start..at + start + len }),
            None => Err(Error::value(
                "attribute",
                at as u64 + 16,
                "length of the value",
                length.into(),
                "a value within the attribute",
            )),
        }
    }

    fn non_resident(bytes: &'r [u8], at: usize) -> Result<NonResident<'r>> {
        let fault = |offset: usize, what, found: u64, expected| {
            Error::value("attribute", (at + offset) as u64, what, found, expected)
        };
        let Ok((tail, _)) = NonResidentTail::ref_from_prefix(bytes.get(HEAD..).unwrap_or_default()) else {
            return Err(fault(4, "length", bytes.len() as u64, "at least 64 in a non-resident attribute"));
        };
        let (lowest, highest) = (tail.lowest.get(), tail.highest.get());
        // An empty one ends at −1.
        let clusters = highest.wrapping_add(1).checked_sub(lowest).filter(|_| lowest <= i64::MAX as u64);
        let Some(clusters) = clusters else {
            return Err(fault(24, "highest VCN", highest, "at least the lowest one, less 1"));
        };
        let runs_offset = usize::from(tail.runs_offset.get());
        let runs = bytes.get(runs_offset..).filter(|_| runs_offset >= 64);
        let Some(runs) = runs else {
            return Err(fault(
                32,
                "offset of the run list",
                runs_offset as u64,
                "a place within the attribute",
            ));
        };
        let (size, vdl) = (tail.size.get(), tail.vdl.get());
        if lowest == 0 && i64::try_from(size).is_err() {
            return Err(fault(48, "size", size, "less than 2^63"));
        }
        let unit_shift = tail.unit_shift.get();
        Ok(NonResident { lowest, clusters, runs, runs_offset: at + runs_offset, unit_shift, size, vdl })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A resident attribute of this type with a name and a value.
    pub(crate) fn resident(kind: u32, name: &str, value: &[u8]) -> Vec<u8> {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let value_at = (24 + units.len()).next_multiple_of(8);
        let mut bytes = vec![0; (value_at + value.len()).next_multiple_of(8)];
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[9] = (units.len() / 2) as u8;
        bytes[10] = 24;
        bytes[16..20].copy_from_slice(&(value.len() as u32).to_le_bytes());
        bytes[20] = value_at as u8;
        bytes[24..24 + units.len()].copy_from_slice(&units);
        bytes[value_at..value_at + value.len()].copy_from_slice(value);
        bytes
    }

    fn non_resident(lowest: u64, highest: u64, size: u64) -> Vec<u8> {
        let mut bytes = vec![0; 72];
        bytes[..4].copy_from_slice(&0x80_u32.to_le_bytes());
        bytes[4] = 72;
        bytes[8] = 1;
        bytes[16..24].copy_from_slice(&lowest.to_le_bytes());
        bytes[24..32].copy_from_slice(&highest.to_le_bytes());
        bytes[32] = 64;
        bytes[48..56].copy_from_slice(&size.to_le_bytes());
        bytes[56..64].copy_from_slice(&size.to_le_bytes());
        bytes
    }

    fn all(bytes: &[u8]) -> Vec<Result<Attribute<'_>>> {
        Attributes::new(bytes, 0, bytes.len()).collect()
    }

    #[test]
    fn names_and_values_are_found() {
        let mut bytes = resident(0x80, "stream", b"value");
        bytes.extend(resident(0x80, "", b""));
        bytes.extend(END.to_le_bytes());
        let found = all(&bytes);
        let first = found[0].as_ref().unwrap();
        assert_eq!((first.name.len(), first.resident().unwrap()), (12, &b"value"[..]));
        assert!(found[1].as_ref().unwrap().is(AttributeType::DATA));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_length_with_something_in_its_upper_half_is_read() {
        let mut bytes = resident(0x10, "", &[1; 48]);
        bytes[6] = 0xAB;
        assert_eq!(all(&bytes)[0].as_ref().unwrap().resident().unwrap(), &[1; 48]);
    }

    #[test]
    fn ntfs_24_an_empty_attribute_ends_at_minus_one() {
        let empty = non_resident(0, u64::MAX, 0);
        let found = all(&empty);
        let Form::NonResident(piece) = &found[0].as_ref().unwrap().form else { panic!() };
        assert_eq!((piece.lowest, piece.clusters, piece.size), (0, 0, 0));
    }

    #[test]
    fn hostile_9_lengths_and_offsets_that_lie() {
        let good = resident(0x80, "ab", b"value");
        let next = resident(0x90, "", b"next");
        // Without a length to believe in, nothing follows.
        for length in [0_u32, 8, 16, 25, 4096, 0xFFFF_FFFF] {
            let mut bytes = [good.clone(), next.clone()].concat();
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
            let found = all(&bytes);
            assert!(found.len() == 1 && found[0].is_err(), "{length}: {found:?}");
        }
        // With one, the next attribute is still read.
        for (at, byte) in [(9, 255), (10, 23), (10, 255), (16, 255), (19, 255), (20, 255), (20, 8), (8, 2)] {
            let mut bytes = [good.clone(), next.clone()].concat();
            bytes[at] = byte;
            let found = all(&bytes);
            assert!(found.len() == 2 && found[0].is_err() && found[1].is_ok(), "{at}: {found:?}");
        }
        let mut bytes = good;
        bytes[0] = 0x81;
        assert!(all(&bytes)[0].is_err());
    }

    #[test]
    fn hostile_4_sizes_that_no_volume_has() {
        assert!(all(&non_resident(0, 0, u64::MAX))[0].is_err());
        assert!(all(&non_resident(5, 3, 0))[0].is_err());
        assert!(all(&non_resident(1 << 63, u64::MAX - 1, 0))[0].is_err());
        assert!(all(&non_resident(0, 0, i64::MAX as u64))[0].is_ok());
        let mut bytes = non_resident(0, 0, 0);
        bytes[32] = 63;
        assert!(all(&bytes)[0].is_err());
        bytes[32] = 73;
        assert!(all(&bytes)[0].is_err());
    }
}
