//! The log: metadata that were to be written when the image was last in use. It is applied in memory.
//!
//! The log is a ring of sectors of 4 KiB. An entry:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | `loge` |
//! | 4 | 4 | checksum of the whole entry |
//! | 8 | 4 | size, a multiple of 4 KiB |
//! | 12 | 4 | tail: offset in the log of the oldest entry that is not applied yet |
//! | 16 | 8 | sequence number |
//! | 24 | 4 | number of descriptors |
//! | 32 | 16 | GUID, that of the header |
//! | 48 | 8 | the file had at least this size when the entry was written |
//! | 56 | 8 | and is to have at least this one |
//! | 64 | 32 each | descriptors |
//! | next 4 KiB | 4 KiB each | data sectors, one for each data descriptor |
//!
//! Descriptor: `desc`, u32 trailing bytes, u64 leading bytes, u64 offset in the file, u64 sequence number; or `zero`,
//! u32 reserved, u64 length, u64 offset, u64 sequence number. Data sector: `data`, u32 high half of the sequence number,
//! 4084 bytes, u32 low half; with the leading and trailing bytes of its descriptor it makes 4 KiB.
//!
//! Source: \[MS-VHDX\] 2.3.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{FORMAT, Header, KIB, MIB, checksum_matches, has_mark, read};
use crate::error::{Error, Result};
use crate::note::Note;
use crate::read_at::{ReadAt, clamp};
use ntbak_wire::bytes::{array_at, slice_at, u32_at, u64_at};

const SECTOR: usize = 4096;

/// The largest log that is read; Hyper-V and QEMU write 1 MiB.
const MAX_LOG: u64 = 32 * MIB;

/// The most pages that a log may change (1 GiB: zeros can be long).
const MAX_PAGES: u64 = 1 << 18;

/// The image with its log applied: the same source when there is nothing to apply.
pub(super) fn replay(
    source: Arc<dyn ReadAt>,
    header: &Header,
    notes: &mut Vec<Note>,
) -> Result<Arc<dyn ReadAt>> {
    if header.log_guid == [0; 16] {
        return Ok(source);
    }
    let (at, len) = (header.log_at, u64::from(header.log_len));
    if !len.is_multiple_of(SECTOR as u64) || len == 0 || len > MAX_LOG || at > i64::MAX as u64 {
        return Err(Error::value(FORMAT, at, "size of the log", len, "1 to 32 MiB"));
    }
    let ring = read(&*source, at, len, "the log")?;
    let (sequence, unlinked) = active_sequence(&ring, header);
    let Some(head) = sequence.last() else {
        return match unlinked {
            // A log that was announced and never written: nothing is missing from it.
            false => {
                notes.push(Note::NotClosed);
                Ok(source)
            }
            true => Err(Error::unsupported(
                FORMAT,
                "a VHDX that was not closed, and whose log is damaged",
                "repair a copy of it with: qemu-img check -r all COPY.vhdx, or attach it once on Windows (Mount-VHD)",
            )),
        };
    };
    if source.len() < head.flushed_len {
        return Err(Error::truncated(FORMAT, at, "the image", head.flushed_len, source.len()));
    }
    let mut overlay =
        Overlay { len: source.len().max(head.last_len.min(i64::MAX as u64)), source, pages: BTreeMap::new() };
    for entry in &sequence {
        overlay.apply(entry, at)?;
    }
    notes.push(Note::LogReplayed { entries: sequence.len() as u64 });
    Ok(Arc::new(overlay))
}

/// A valid entry of the log, taken out of the ring.
struct Entry {
    /// Where it begins in the log.
    position: usize,
    tail: usize,
    sequence: u64,
    descriptors: usize,
    flushed_len: u64,
    last_len: u64,
    bytes: Vec<u8>,
}

/// The size of an entry that may begin at `position`, by its header alone.
fn entry_len(ring: &[u8], position: usize, header: &Header) -> Option<usize> {
    let ours = has_mark(ring, position, b"loge") && array_at(ring, position + 32) == Some(header.log_guid);
    let len = u32_at(ring, position + 8)? as usize;
    (ours && len >= SECTOR && len.is_multiple_of(SECTOR) && len <= ring.len()).then_some(len)
}

/// The entry at `position`, if it is whole.
fn entry(ring: &[u8], position: usize, header: &Header) -> Option<Entry> {
    let len = entry_len(ring, position, header)?;
    // It may go over the end of the ring.
    let first = len.min(ring.len() - position);
    let mut bytes = slice_at(ring, position, first)?.to_vec();
    bytes.extend_from_slice(ring.get(..len - first)?);
    if !checksum_matches(&bytes) {
        return None;
    }
    let sequence = u64_at(&bytes, 16)?;
    let descriptors = u32_at(&bytes, 24)? as usize;
    let tail = u32_at(&bytes, 12)? as usize;
    let data_at = data_start(descriptors)?;
    let fits = data_at <= len && tail.is_multiple_of(SECTOR) && tail < ring.len() && sequence != 0;
    fits.then_some(Entry {
        position,
        tail,
        sequence,
        descriptors,
        flushed_len: u64_at(&bytes, 48)?,
        last_len: u64_at(&bytes, 56)?,
        bytes,
    })
}

/// Where the data sectors of an entry begin.
fn data_start(descriptors: usize) -> Option<usize> {
    descriptors.checked_mul(32)?.checked_add(64)?.checked_next_multiple_of(SECTOR)
}

/// The entries to apply, oldest first, and whether there are valid entries that make no such sequence.
///
/// The newest valid entry is the head; from its tail on, each entry follows the one before and has the next sequence
/// number. Where that chain is broken, the entry before the head is tried, and so on.
fn active_sequence(ring: &[u8], header: &Header) -> (Vec<Entry>, bool) {
    let mut heads: Vec<(u64, usize)> = (0..ring.len())
        .step_by(SECTOR)
        .filter(|position| entry_len(ring, *position, header).is_some())
        .filter_map(|position| Some((u64_at(ring, position + 16)?, position)))
        .collect();
    heads.sort_unstable();
    let mut valid = false;
    // A checksum can be made to cost as much as the ring is long, for each sector of it: the budget is 16 rings.
    let mut budget = ring.len().saturating_mul(16);
    for (_, position) in heads.into_iter().rev() {
        let mut take = |position| {
            budget = budget.checked_sub(entry_len(ring, position, header)?)?;
            entry(ring, position, header)
        };
        let Some(head) = take(position) else { continue };
        valid = true;
        let mut sequence: Vec<Entry> = Vec::new();
        let mut at = head.tail;
        let mut len = 0;
        while let Some(entry) = take(at) {
            let follows =
                sequence.last().is_none_or(|before| before.sequence.checked_add(1) == Some(entry.sequence));
            len += entry.bytes.len();
            if !follows || len > ring.len() {
                break;
            }
            at = (entry.position + entry.bytes.len()) % ring.len();
            let last = entry.position == head.position;
            sequence.push(entry);
            if last {
                return (sequence, false);
            }
        }
    }
    (Vec::new(), valid)
}

/// An image and the pages of it that the log replaces.
struct Overlay {
    source: Arc<dyn ReadAt>,
    len: u64,
    /// By their number; `None` is a page of zeros.
    pages: BTreeMap<u64, Option<Box<[u8]>>>,
}

impl Overlay {
    fn apply(&mut self, entry: &Entry, log_at: u64) -> Result<()> {
        let place = log_at + entry.position as u64;
        let bad =
            |what, found, expected: &'static str| Err(Error::value(FORMAT, place, what, found, expected));
        let mut data_at = data_start(entry.descriptors).unwrap_or(usize::MAX);
        let descriptors = entry.bytes.get(64..).unwrap_or_default().chunks_exact(32).take(entry.descriptors);
        for descriptor in descriptors {
            let (offset, sequence) =
                (u64_at(descriptor, 16).unwrap_or(0), u64_at(descriptor, 24).unwrap_or(0));
            if !offset.is_multiple_of(SECTOR as u64) || offset > i64::MAX as u64 {
                return bad("offset of a log descriptor", offset, "a multiple of 4096");
            }
            if sequence != entry.sequence {
                return bad("sequence number of a log descriptor", sequence, "that of its entry");
            }
            let page = offset / SECTOR as u64;
            if has_mark(descriptor, 0, b"zero") {
                let len = u64_at(descriptor, 8).unwrap_or(0);
                if !len.is_multiple_of(SECTOR as u64) || len / SECTOR as u64 > MAX_PAGES {
                    return bad("length of zeros in the log", len, "a multiple of 4096 up to 1 GiB");
                }
                for page in page..page + len / SECTOR as u64 {
                    self.pages.insert(page, None);
                }
            } else if has_mark(descriptor, 0, b"desc") {
                let Some(sector) = slice_at(&entry.bytes, data_at, SECTOR).filter(|sector| {
                    let halves = (u32_at(sector, 4), u32_at(sector, SECTOR - 4));
                    let expected = (Some((sequence >> 32) as u32), Some(sequence as u32));
                    has_mark(sector, 0, b"data") && halves == expected
                }) else {
                    return bad("data sector of the log", data_at as u64, "one of its entry");
                };
                let mut bytes = sector.to_vec();
                if let (Some(leading), Some(to)) = (slice_at(descriptor, 8, 8), bytes.get_mut(..8)) {
                    to.copy_from_slice(leading);
                }
                if let (Some(trailing), Some(to)) = (slice_at(descriptor, 4, 4), bytes.get_mut(SECTOR - 4..))
                {
                    to.copy_from_slice(trailing);
                }
                self.pages.insert(page, Some(bytes.into_boxed_slice()));
                data_at += SECTOR;
            } else {
                return bad(
                    "mark of a log descriptor",
                    u64::from(u32_at(descriptor, 0).unwrap_or(0)),
                    "desc or zero",
                );
            }
            if self.pages.len() as u64 > MAX_PAGES {
                return bad("pages that the log changes", self.pages.len() as u64, "at most 1 GiB");
            }
        }
        Ok(())
    }
}

impl ReadAt for Overlay {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = clamp(offset, buf.len(), self.len);
        let buf = buf.get_mut(..len).unwrap_or_default();
        let read = self.source.read_at(offset, buf)?;
        // Past the end of the file, and before the size that it is to have.
        buf.get_mut(read..).unwrap_or_default().fill(0);
        let (Some(last), page) = ((offset + len as u64).checked_sub(1), SECTOR as u64) else { return Ok(0) };
        for (number, bytes) in self.pages.range(offset / page..=last / page) {
            let start = number * page;
            // The common part of the page and the request, as an offset in each.
            let (in_page, in_buf) = match start.checked_sub(offset) {
                Some(ahead) => (0, ahead as usize),
                None => ((offset - start) as usize, 0),
            };
            let part = (SECTOR - in_page).min(len - in_buf);
            let Some(to) = buf.get_mut(in_buf..in_buf + part) else { continue };
            match bytes.as_deref().and_then(|bytes| slice_at(bytes, in_page, part)) {
                Some(from) => to.copy_from_slice(from),
                None => to.fill(0),
            }
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

const _: () = assert!(SECTOR as u64 == 4 * KIB);
