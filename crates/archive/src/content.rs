//! The content of one entry while it is written: which of the bytes that come are stored, and what is missing.

use std::borrow::Cow;
use std::io::Write;

use ntbak_wire::record::Extent;
use ntbak_wire::stream::StreamName;

use crate::error::Error;
use crate::tar::BLOCK;
use crate::tar::write::TarWriter;

/// What is stored of a stream, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) name: Option<StreamName>,
    /// The size that was announced.
    pub(crate) size: u64,
    extents: Vec<Extent>,
    /// Whether the entry has a hole map.
    mapped: bool,
    /// The range that is being written, and the next byte in it.
    current: usize,
    next: u64,
    /// Bytes came behind the size.
    grew: bool,
}

impl Content {
    pub(crate) fn new(
        name: Option<StreamName>,
        size: u64,
        extents: Vec<Extent>,
        mapped: bool,
    ) -> Result<Self, &'static str> {
        let mut end = 0;
        for extent in &extents {
            if extent.offset < end || extent.offset.checked_add(extent.len).is_none_or(|end| end > size) {
                return Err("ranges that overlap, descend, or lie behind the end of the stream");
            }
            end = extent.end();
        }
        let next = extents.first().map_or(0, |first| first.offset);
        Ok(Self { name, size, extents, mapped, current: 0, next, grew: false })
    }

    /// The hole map, when the entry is to have one.
    pub(crate) fn map(&self) -> Option<&[Extent]> {
        self.mapped.then_some(self.extents.as_slice())
    }

    /// A range that was announced begins.
    pub(crate) fn block(&self, extent: Extent) -> Result<(), &'static str> {
        let known = |known: &Extent| known.offset <= extent.offset && extent.end() <= known.end();
        let from = self.extents.get(self.current..).unwrap_or_default();
        if extent.len == 0
            || extent.offset >= self.size
            || from.iter().take_while(|e| e.offset <= extent.offset).any(known)
        {
            return Ok(());
        }
        Err("a range that was not announced with its stream")
    }

    /// Stores bytes at `offset` of the stream. An error of the caller is `Err(Err(why))`.
    pub(crate) fn put<W: Write>(
        &mut self,
        mut offset: u64,
        mut data: &[u8],
        tar: &mut TarWriter<W>,
    ) -> Result<(), Result<Error, Cow<'static, str>>> {
        while !data.is_empty() {
            let Some(extent) = self.extents.get(self.current).copied() else {
                let inside = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
                let (hole, behind) = data.split_at_checked(inside).unwrap_or((data, &[]));
                self.grew |= !behind.is_empty();
                return only_zeros(hole).map_err(Err);
            };
            if offset >= extent.end() {
                tar.zeros(extent.end() - self.next).map_err(Ok)?;
                self.current += 1;
                self.next = self.extents.get(self.current).map_or(extent.end(), |next| next.offset);
                continue;
            }
            let take = if offset < extent.offset {
                let hole = cut(data, extent.offset - offset);
                only_zeros(hole).map_err(Err)?;
                hole.len()
            } else {
                if offset < self.next {
                    return Err(Err("content that goes back in its stream".into()));
                }
                tar.zeros(offset - self.next).map_err(Ok)?;
                let piece = cut(data, extent.end() - offset);
                tar.data(piece).map_err(Ok)?;
                self.next = offset + piece.len() as u64;
                piece.len()
            };
            offset += take as u64;
            data = data.get(take..).unwrap_or_default();
        }
        Ok(())
    }

    /// What there is to say when the stream ends at `size`: whether it is a loss, and why.
    pub(crate) fn verdict(&self, size: u64) -> Option<(bool, String)> {
        if size < self.size {
            let why =
                format!("it shrank from {} to {size} bytes while it was read; zeros instead", self.size);
            Some((true, why))
        } else if size > self.size || self.grew {
            Some((false, format!("it grew while it was read; the first {} bytes are kept", self.size)))
        } else {
            None
        }
    }
}

fn cut(data: &[u8], len: u64) -> &[u8] {
    data.get(..usize::try_from(len).unwrap_or(usize::MAX)).unwrap_or(data)
}

fn only_zeros(hole: &[u8]) -> Result<(), Cow<'static, str>> {
    if hole.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err("bytes in a hole, or behind the valid data length, that are not zero".into())
}

/// Ranges as a hole map can have them: GNU tar writes and reads each but the last one in whole blocks, whatever its
/// length; other programs do not. Where lengths are multiples of a block they agree, and on NTFS all are. So others
/// grow by up to 511 bytes of zeros, and ranges that then touch become one.
pub(crate) fn whole_blocks(extents: &[Extent]) -> Vec<Extent> {
    let mut rounded: Vec<Extent> = Vec::with_capacity(extents.len());
    for &extent in extents.iter().filter(|extent| extent.len != 0) {
        if let Some(last) = rounded.last_mut()
            && extent.offset >= last.end()
        {
            let len = last.len.checked_next_multiple_of(BLOCK as u64).unwrap_or(last.len);
            if last.offset.saturating_add(len) > extent.offset {
                last.len = extent.end() - last.offset;
                continue;
            }
            last.len = len;
        }
        rounded.push(extent);
    }
    rounded
}
