/*!
`$ATTRIBUTE_LIST`: which records hold the attributes of a file that does not fit into one. Little-endian entries:

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | type of the attribute |
| 4 | 2 | length of the entry, a multiple of 8, at least 26 |
| 6 | 1 | length of the name in UTF-16 units |
| 7 | 1 | offset of the name |
| 8 | 8 | lowest VCN |
| 16 | 8 | reference to the record |
| 24 | 2 | id of the attribute in that record |

Sources: ntfs-3g, the Linux drivers; seen on Windows 10. The list has 256 KiB at most, there and on Windows.
*/

use crate::attribute::AttributeType;
use crate::error::{Error, Result};
use crate::record::FileReference;
use ntbak_wire::bytes::{slice_at, u16_at, u32_at, u64_at};

/// The largest list.
pub(crate) const MAX_SIZE: u64 = 256 << 10;

/// One entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'l> {
    pub(crate) kind: AttributeType,
    /// UTF-16LE.
    pub(crate) name: &'l [u8],
    pub(crate) lowest: u64,
    pub(crate) record: FileReference,
    pub(crate) id: u16,
}

const HEAD: usize = 26;

/// The entries of a list. A faulty one is an error and the last.
#[derive(Debug, Clone)]
pub(crate) struct Entries<'l> {
    list: &'l [u8],
    at: usize,
}

impl<'l> Entries<'l> {
    pub(crate) fn new(list: &'l [u8]) -> Self {
        Self { list, at: 0 }
    }
}

impl<'l> Iterator for Entries<'l> {
    type Item = Result<Entry<'l>>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.list.get(at..).unwrap_or_default();
        // What follows the last entry is zero, where the list is longer than its entries.
        if rest.is_empty() || rest.len() < HEAD && rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        self.at = self.list.len();
        let entry = read(rest);
        if let Some((length, _)) = &entry {
            self.at = at + length;
        }
        Some(entry.map(|(_, entry)| entry).ok_or_else(|| {
            let length = u16_at(rest, 4).unwrap_or(0);
            let expected = "an entry of at least 26 bytes within the list";
            Error::value("attribute list", at as u64 + 4, "length of an entry", length.into(), expected)
        }))
    }
}

/// The entry at the start of `rest`, and its length.
fn read(rest: &[u8]) -> Option<(usize, Entry<'_>)> {
    let length = usize::from(u16_at(rest, 4)?);
    let bytes = rest.get(..length).filter(|bytes| bytes.len() >= HEAD)?;
    let [name_length, name_offset] = [*bytes.get(6)?, *bytes.get(7)?].map(usize::from);
    let name = if name_length == 0 { &[] } else { slice_at(bytes, name_offset, 2 * name_length)? };
    let entry = Entry {
        kind: AttributeType(u32_at(bytes, 0)?),
        name,
        lowest: u64_at(bytes, 8)?,
        record: FileReference(u64_at(bytes, 16)?),
        id: u16_at(bytes, 24)?,
    };
    Some((length, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u32, name: &[u8], length: u16) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length).max(HEAD + name.len())];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..6].copy_from_slice(&length.to_le_bytes());
        bytes[6] = (name.len() / 2) as u8;
        bytes[7] = 26;
        bytes[8] = 9;
        bytes[16] = 40;
        bytes[24] = 3;
        bytes[26..26 + name.len()].copy_from_slice(name);
        bytes
    }

    #[test]
    fn entries_are_read() {
        let list = [entry(0x30, b"", 32), entry(0x80, b"a\0b\0", 32)].concat();
        let found: Vec<_> = Entries::new(&list).map(Result::unwrap).collect();
        let record = FileReference::new(40, 0);
        assert_eq!(found[0], Entry { kind: AttributeType::FILE_NAME, name: b"", lowest: 9, record, id: 3 });
        assert_eq!((found[1].name, found.len()), (&b"a\0b\0"[..], 2));
    }

    #[test]
    fn a_faulty_entry_is_the_last() {
        for length in [0, 25, 33, 0xFFFF] {
            let mut list = [entry(0x30, b"", 32), entry(0x80, b"", 32)].concat();
            list[32 + 4..32 + 6].copy_from_slice(&u16::to_le_bytes(length));
            let found: Vec<_> = Entries::new(&list).collect();
            assert!(found.len() == 2 && found[0].is_ok() && found[1].is_err(), "{length}");
        }
        let mut list = entry(0x80, b"a\0", 32);
        list[7] = 31;
        assert!(Entries::new(&list).next().unwrap().is_err());
    }
}
