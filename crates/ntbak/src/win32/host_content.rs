//! Content of files of this machine, by position: through a descriptor, or by writing a named stream anew.

use std::os::fd::OwnedFd;

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, Extents, Record, StreamFlags, StreamHead};
use ntbak_wire::stream::StreamName;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::{Spot, read_at};
use crate::memory::StreamKey;
use crate::place;
use crate::report::{Collected, FileReport};
use crate::sink::FileSink;
use crate::source::FileSource;
use crate::win32::Content;

/// What a descriptor reads and writes.
#[derive(Debug)]
pub(super) struct FileContent {
    fd: OwnedFd,
}

impl FileContent {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl Content for FileContent {
    fn size(&self) -> Result<u64> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|error| Error::io("looking at it", error))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        // Linux does not read behind 2^63 bytes, where nothing is.
        if offset >= self.size()? {
            return Ok(0);
        }
        read_at(&self.fd, offset, buf).map_err(|error| Error::io("reading the content", error))
    }

    fn write_at(&self, mut offset: u64, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match rustix::io::pwrite(&self.fd, data, offset) {
                Ok(written) => {
                    data = data.get(written..).unwrap_or_default();
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::io("writing the content", error).at_offset(offset)),
            }
        }
        Ok(())
    }

    fn set_size(&self, size: u64) -> Result<()> {
        rustix::fs::ftruncate(&self.fd, size).map_err(|error| Error::io("setting the size", error))
    }

    fn zero(&self, range: Extent, hole: bool) -> Result<()> {
        let size = self.size()?;
        let range = Extent { offset: range.offset, len: range.end().min(size).saturating_sub(range.offset) };
        if range.len == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if hole && rustix::fs::fallocate(&self.fd, flags, range.offset, range.len).is_ok() {
            return Ok(());
        }
        let zeros = [0; 65_536];
        let mut offset = range.offset;
        while offset < range.end() {
            let len = usize::try_from(range.end() - offset).map_or(zeros.len(), |left| left.min(zeros.len()));
            self.write_at(offset, zeros.get(..len).unwrap_or_default())?;
            offset += len as u64;
        }
        Ok(())
    }
}

/// A named stream that is no file of its own: in an attribute, or in the side file. A write puts a whole new one in the
/// place of the old one, piece by piece, which takes time for a large stream but no memory.
#[derive(Debug)]
pub(super) struct Rewritten {
    spot: Spot,
    name: StreamName,
}

/// Zeros that are written rather than left out before what is written.
const LARGEST_GAP: u64 = 1 << 20;

impl Rewritten {
    pub(super) fn new(spot: Spot, name: StreamName) -> Self {
        Self { spot, name }
    }

    /// A named stream and its number.
    pub(super) fn find(source: &dyn FileSource, name: &StreamName) -> Result<Option<(usize, StreamHead)>> {
        let key = StreamKey::of(Some(name));
        let mut index = 0;
        while let Some(head) = source.stream(index)? {
            if head.name.is_some() && StreamKey::of(head.name.as_ref()) == key {
                return Ok(Some((index, head)));
            }
            index += 1;
        }
        Ok(None)
    }

    fn open(&self) -> Result<(Box<dyn FileSource>, usize, StreamHead)> {
        let source = place::open_spot(self.spot.try_clone()?)?;
        match Self::find(&*source, &self.name)? {
            Some((index, head)) => Ok((source, index, head)),
            None => Err(Error::new(Win32Error::FILE_NOT_FOUND, "the stream is not there any more")),
        }
    }

    /// Writes the stream anew: of this size, with `data` at `offset`.
    fn rewrite(&self, size: u64, offset: u64, data: &[u8]) -> Result<()> {
        let (source, index, head) = self.open()?;
        let sink = place::in_place_spot(self.spot.try_clone()?)?;
        let silent = Collected::new();
        let report = FileReport { to: &silent, path: &self.spot.path };
        let gap = size.saturating_sub(head.size).saturating_sub(data.len() as u64);
        let mut new = StreamHead { size, vdl: size, amend: false, ..head.clone() };
        if head.extents != Extents::All || gap > LARGEST_GAP {
            new.extents = Extents::Unknown;
            new.flags |= StreamFlags::SPARSE;
            // Of such a stream the end tells the size.
            (new.size, new.vdl) = (0, 0);
        }
        Pump { source: &*source, index, old: &head, new: &new, report: &report, sink }.run(size, offset, data)
    }
}

struct Pump<'a> {
    source: &'a dyn FileSource,
    index: usize,
    old: &'a StreamHead,
    new: &'a StreamHead,
    report: &'a FileReport<'a>,
    sink: Box<dyn FileSink>,
}

impl Pump<'_> {
    fn run(mut self, size: u64, offset: u64, data: &[u8]) -> Result<()> {
        self.sink.put(&Record::Stream(self.new), self.report)?;
        let blocks = self.new.extents != Extents::All;
        let keep = self.old.size.min(size);
        let mut from = 0;
        while from < keep {
            let whole = Extent { offset: from, len: keep - from };
            let extent = match self.old.extents {
                Extents::All => Some(whole),
                _ => self.source.next_extent(self.index, from)?.filter(|extent| extent.offset < keep),
            };
            let Some(extent) = extent else { break };
            let end = extent.end().min(keep);
            if blocks {
                let block = Extent { offset: extent.offset, len: end - extent.offset };
                self.sink.put(&Record::Block(block), self.report)?;
            }
            self.copy(extent.offset, end, (!blocks).then_some((offset, data)))?;
            from = end;
        }
        if blocks && !data.is_empty() {
            self.sink.put(&Record::Block(Extent { offset, len: data.len() as u64 }), self.report)?;
            self.sink.put(&Record::Bytes { offset, data }, self.report)?;
        } else {
            // What lies behind the old end.
            let begin = offset.max(keep);
            let skip = usize::try_from(begin - offset).unwrap_or(usize::MAX);
            if let Some(rest) = data.get(skip..).filter(|rest| !rest.is_empty()) {
                self.sink.put(&Record::Bytes { offset: begin, data: rest }, self.report)?;
            }
        }
        self.sink.put(&Record::EndStream { size }, self.report)?;
        self.sink.commit(self.report)
    }

    /// Copies a range of the old stream, with what is written over it.
    fn copy(&mut self, from: u64, end: u64, over: Option<(u64, &[u8])>) -> Result<()> {
        let mut buffer = vec![0; 65_536];
        let mut at = from;
        while at < end {
            let len = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            let got = self.source.read_at(self.index, at, buffer.get_mut(..len).unwrap_or_default())?;
            if got == 0 {
                return Err(Error::new(Win32Error::HANDLE_EOF, "the stream has become shorter"));
            }
            let chunk = buffer.get_mut(..got).unwrap_or_default();
            if let Some((offset, data)) = over {
                lay_over(chunk, at, offset, data);
            }
            self.sink.put(&Record::Bytes { offset: at, data: chunk }, self.report)?;
            at += got as u64;
        }
        Ok(())
    }
}

/// Puts the part of `data`, which begins at `offset`, that lies in `chunk`, which begins at `at`, there.
fn lay_over(chunk: &mut [u8], at: u64, offset: u64, data: &[u8]) {
    let (begin, end) = (at.max(offset), (at + chunk.len() as u64).min(offset + data.len() as u64));
    if begin >= end {
        return;
    }
    let range =
        |base: u64| usize::try_from(begin - base).unwrap_or(0)..usize::try_from(end - base).unwrap_or(0);
    if let (Some(to), Some(from)) = (chunk.get_mut(range(at)), data.get(range(offset))) {
        to.copy_from_slice(from);
    }
}

impl Content for Rewritten {
    fn size(&self) -> Result<u64> {
        Ok(self.open()?.2.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (source, index, head) = self.open()?;
        let len =
            usize::try_from(head.size.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..len).filter(|rest| !rest.is_empty()) {
            match source.read_at(index, offset + filled as u64, rest)? {
                0 => break,
                got => filled += got,
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let size = self.size()?.max(offset.saturating_add(data.len() as u64));
        self.rewrite(size, offset, data)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.rewrite(size, 0, &[])
    }
}
