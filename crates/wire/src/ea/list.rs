//! Reading lists of EAs; the layouts are in the [module](super).
//!
//! What Windows asks of a full list is at `IoCheckEaBufferValidity`: entries inside the buffer, names ended by a NUL,
//! NextEntryOffset aligned to 4 bytes. Everything else is read leniently, names with any bytes included: chkdsk accepts
//! them, so volumes have them.

use super::{Ea, HEADER};
use crate::bytes;
use crate::error::{Error, Format, Result};

/// A list of EAs over the bytes that it was read from. All its entries are well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EaList<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// The entries of an [`EaList`], in their order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

/// Reads a full list, as an EA_DATA stream has it. No bytes at all are a list without entries.
///
/// Accepted: a last entry with or without padding, up to 3 bytes of anything after it, more when they are zero, and
/// gaps between entries.
///
/// # Errors
/// All with the Win32 error `ERROR_EA_LIST_INCONSISTENT` (255), at the byte of the faulty field:
/// an entry that leaves the input; a NextEntryOffset that is not a multiple of 4, lies inside of its entry or beyond
/// the input; a name without its NUL, or with another one; other bytes after the last entry.
/// An empty name is `ERROR_INVALID_EA_NAME` (254).
pub fn parse_full(bytes: &[u8]) -> Result<EaList<'_>> {
    let mut at = 0;
    let mut count = 0;
    // An on-disk list fails here with a truncated entry: its last NextEntryOffset leads to the end of the input.
    while !bytes.is_empty() {
        let entry = Entry::read(bytes, at)?;
        count += 1;
        if entry.next == 0 {
            check_tail(bytes, at + entry.len)?;
            break;
        }
        at = entry.follow(bytes, at)?;
    }
    Ok(EaList { bytes, count })
}

/// Reads a list as `$EA` has it on disk. No bytes at all, or only zeros, are a list without entries.
///
/// Accepted: a NextEntryOffset of 0 in the last entry (volumes have both), and zeros after it.
///
/// # Errors
/// As [`parse_full`]; and a NextEntryOffset that is not the padded size of its entry.
pub fn parse_on_disk(bytes: &[u8]) -> Result<EaList<'_>> {
    let mut at = 0;
    let mut count = 0;
    while !bytes.iter().skip(at).all(|byte| *byte == 0) {
        let entry = Entry::read(bytes, at)?;
        count += 1;
        if entry.next == 0 {
            check_tail(bytes, at + entry.len)?;
            break;
        }
        let next = entry.follow(bytes, at)?;
        if entry.next != entry.len.next_multiple_of(4) {
            return Err(wrong_next(at, entry.next, "the padded size of its entry"));
        }
        at = next;
    }
    Ok(EaList { bytes, count })
}

impl<'a> EaList<'a> {
    /// The bytes that were read, padding included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries, in their order.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { bytes: self.bytes, at: 0, left: self.count }
    }

    /// The entries, for [`apply`](super::apply) and the builders.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Ea<'a>> {
        self.iter().collect()
    }
}

impl<'a> IntoIterator for EaList<'a> {
    type Item = Ea<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &EaList<'a> {
    type Item = Ea<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Iter<'_> {
    /// Where in the list the next entry lies; of no meaning after the last one.
    pub(super) fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Ea<'a>;

    fn next(&mut self) -> Option<Ea<'a>> {
        self.left = self.left.checked_sub(1)?;
        let entry = Entry::read(self.bytes, self.at).ok()?;
        self.at += entry.next;
        Some(entry.ea)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// One entry, and where it and the next one lie.
struct Entry<'a> {
    ea: Ea<'a>,
    /// NextEntryOffset.
    next: usize,
    /// Size without padding.
    len: usize,
}

impl<'a> Entry<'a> {
    /// The entry at byte `at` of `bytes`.
    fn read(bytes: &'a [u8], at: usize) -> Result<Self> {
        let rest = bytes.get(at..).unwrap_or_default();
        let cut = |what, needed: usize| {
            Error::truncated(Format::EaList, at as u64, what, needed as u64, rest.len() as u64)
        };
        let value_fault = |field: usize, what, found: u64, expected| {
            Error::value(Format::EaList, (at + field) as u64, what, found, expected)
        };

        let header: [u8; HEADER] = bytes::array_at(rest, 0).ok_or_else(|| cut("EA header", HEADER))?;
        let [n0, n1, n2, n3, flags, name_len, v0, v1] = header;
        let next = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let name_len = usize::from(name_len);
        let value_len = usize::from(u16::from_le_bytes([v0, v1]));
        let value_at = HEADER + name_len + 1;
        let len = value_at + value_len;

        let value = bytes::slice_at(rest, value_at, value_len).ok_or_else(|| cut("EA", len))?;
        let name = bytes::slice_at(rest, HEADER, name_len).ok_or_else(|| cut("EA", len))?;
        let end = rest.get(HEADER + name_len).copied().unwrap_or_default();
        if name.is_empty() {
            return Err(Error::name(Format::EaList, at as u64 + 5, "EA name", "it is empty"));
        }
        if name.contains(&0) {
            return Err(value_fault(
                5,
                "EaNameLength",
                name_len as u64,
                "the bytes of the name before its NUL",
            ));
        }
        if end != 0 {
            return Err(value_fault(HEADER + name_len, "byte after the EA name", u64::from(end), "NUL"));
        }
        Ok(Self { ea: Ea::new(flags, name, value), next, len })
    }

    /// Where the next entry begins, when this one is at byte `at` of `bytes` and has a NextEntryOffset.
    fn follow(&self, bytes: &[u8], at: usize) -> Result<usize> {
        if !self.next.is_multiple_of(4) {
            return Err(wrong_next(at, self.next, "a multiple of 4"));
        }
        if self.next < self.len {
            return Err(wrong_next(at, self.next, "at least the size of its entry"));
        }
        // `at` lies in `bytes`, or the entry could not have been read.
        if self.next > bytes.len().saturating_sub(at) {
            return Err(wrong_next(at, self.next, "at most the bytes that are there"));
        }
        Ok(at + self.next)
    }
}

fn wrong_next(at: usize, found: usize, expected: &'static str) -> Error {
    Error::value(Format::EaList, at as u64, "NextEntryOffset", found as u64, expected)
}

/// Checks what follows the last entry: padding, or zeros.
fn check_tail(bytes: &[u8], end: usize) -> Result<()> {
    let tail = bytes.get(end..).unwrap_or_default();
    if tail.len() < 4 || tail.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let found = tail.len() as u64;
    Err(Error::value(Format::EaList, end as u64, "number of bytes after the last EA", found, "padding"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{NEED_EA, build_full};
    use super::*;
    use crate::win32::Win32Error;

    /// Two entries by hand: `A` = `xyz` at 0 (13 bytes, 3 of padding), `BC` = nothing, needed, at 16 (11 bytes).
    const TWO: &[u8] = b"\x10\0\0\0\0\x01\x03\0A\0xyz\0\0\0\0\0\0\0\x80\x02\0\0BC\0";

    fn win32(bytes: &[u8]) -> u32 {
        parse_full(bytes).unwrap_err().win32().0
    }

    fn with(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
        bytes[at] = byte;
        bytes
    }

    #[test]
    fn a_list_is_read_over_its_bytes() {
        let list = parse_full(TWO).unwrap();
        let expected = [Ea::new(0, b"A", b"xyz"), Ea::new(NEED_EA, b"BC", b"")];
        assert_eq!(list.to_vec(), expected);
        assert_eq!((list.len(), list.bytes(), list.iter().len()), (2, TWO, 2));
        assert!(parse_full(b"").unwrap().is_empty());
    }

    #[test]
    fn bs_52_padding_after_the_last_entry_does_not_matter() {
        for pad in [&b"\0"[..], b"?", b"\x01\x02\x03", &[0; 40]] {
            let padded = [TWO, pad].concat();
            assert_eq!(parse_full(&padded).unwrap().to_vec(), parse_full(TWO).unwrap().to_vec());
        }
        assert_eq!(win32(&[TWO, b"tail"].concat()), 255);
    }

    #[test]
    fn bs_52_a_wrong_next_is_255() {
        let two = TWO.to_vec();
        // Misaligned; into its own entry; onto itself; beyond the end; to the end; far beyond it.
        for next in [17, 12, 4, 32, 28] {
            assert_eq!(win32(&with(two.clone(), 0, next)), 255, "{next}");
        }
        assert_eq!(win32(&with(two.clone(), 3, 0xFF)), 255);
        assert_eq!(win32(&with([&two[..], b"\0"].concat(), 16, 12)), 255);
    }

    #[test]
    fn bs_52_lengths_that_lie_are_255() {
        let two = TWO.to_vec();
        for (at, byte) in [(5, 0xFF), (5, 2), (6, 0xFF), (21, 3), (22, 1), (24, 0), (9, b'x')] {
            assert_eq!(win32(&with(two.clone(), at, byte)), 255, "{at} {byte}");
        }
        for len in 1..TWO.len() {
            assert_eq!(win32(&TWO[..len]), 255, "{len}");
        }
        let nameless = with(with(two, 21, 0), 24, 0);
        assert_eq!(parse_full(&nameless).unwrap_err().win32(), Win32Error::INVALID_EA_NAME);
    }

    #[test]
    fn bs_71_the_last_next_on_disk_may_be_its_size_or_0() {
        let expected = parse_full(TWO).unwrap().to_vec();
        let mut disk = [TWO, b"\0"].concat();
        assert_eq!(parse_on_disk(&disk).unwrap().to_vec(), expected);
        disk[16] = 12;
        assert_eq!(parse_on_disk(&disk).unwrap().to_vec(), expected);
        assert_eq!(parse_on_disk(&[&disk[..], &[0; 100]].concat()).unwrap().to_vec(), expected);
        assert!(parse_on_disk(&[0; 24]).unwrap().is_empty());
        assert!(parse_on_disk(&[&disk[..], b"\x01"].concat()).is_err());
        // A gap is no padding on disk, but may stand in a full list.
        let gap = [b"\x14", &TWO[1..16], &[0; 4], &TWO[16..]].concat();
        assert!(parse_on_disk(&gap).is_err());
        assert_eq!(parse_full(&gap).unwrap().to_vec(), expected);
    }

    #[test]
    fn names_that_cannot_be_set_can_be_read() {
        let odd = [Ea::new(0x7F, b"a/b:\xFF", b"v"), Ea::new(0, vec![b'n'; 255], b"v")];
        let list = build_full(&odd).unwrap();
        assert_eq!(parse_full(&list).unwrap().to_vec(), odd);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            for list in [parse_full(&bytes), parse_on_disk(&bytes)].into_iter().flatten() {
                prop_assert_eq!(list.iter().count(), list.len());
            }
        }

        #[test]
        fn any_damage_is_read_or_refused(at in 0..TWO.len(), byte: u8, end in 0..=TWO.len()) {
            let bytes = with(TWO.to_vec(), at, byte);
            for list in [parse_full(&bytes[..end]), parse_on_disk(&bytes[..end])].into_iter().flatten() {
                prop_assert_eq!(list.iter().count(), list.len());
            }
        }
    }
}
