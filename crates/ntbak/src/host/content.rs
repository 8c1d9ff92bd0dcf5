//! Writing the content of one data stream through a descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ntbak_wire::record::{Extents, StreamFlags, StreamHead};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::holes;

/// Writes one stream. Holes are what is never written; a stream that replaces another begins anew, whatever was there.
#[derive(Debug)]
pub(crate) struct ContentWriter {
    fd: Arc<OwnedFd>,
    /// Content comes without gaps, over what may be there already.
    dense: bool,
    amend: bool,
    sparse: bool,
    /// Size that the stream had, or has by now.
    len: u64,
    /// Where the highest byte written ends.
    high: u64,
    /// The longest range so far that was passed over.
    gap: u64,
    /// Bytes written, overlaps counted twice.
    written: u64,
}

/// How a stream turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    /// It came in blocks, as a sparse stream does, but they leave no hole.
    pub(crate) sparse_without_hole: bool,
    /// It has a hole of the size that NTFS makes holes of.
    pub(crate) has_holes: bool,
}

/// What stands where nothing was written.
pub(crate) static ZEROS: [u8; 65_536] = [0; 65_536];

impl ContentWriter {
    /// Begins the stream `head` in `fd`, whatever that has.
    pub(crate) fn open(fd: Arc<OwnedFd>, head: &StreamHead) -> Result<Self> {
        let stat = rustix::fs::fstat(&fd).map_err(|error| Error::io("looking at the stream", error))?;
        let mut len = u64::try_from(stat.st_size).unwrap_or(0);
        let dense = head.extents == Extents::All && !head.amend;
        if !dense && !head.amend && len > 0 {
            // What is not going to be written must not show what was there.
            truncate(&fd, 0)?;
            len = 0;
        }
        let sparse = head.flags.contains(StreamFlags::SPARSE);
        Ok(Self { fd, dense, amend: head.amend, sparse, len, high: 0, gap: 0, written: 0 })
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if self.dense && offset > self.high {
            self.clear(offset.min(self.len))?;
        }
        write_all(self.fd.as_fd(), offset, data)?;
        let end = offset + data.len() as u64;
        self.gap = self.gap.max(offset.saturating_sub(self.high));
        self.high = self.high.max(end);
        self.len = self.len.max(end);
        self.written += data.len() as u64;
        Ok(())
    }

    /// Completes the stream at this size.
    pub(crate) fn finish(mut self, size: u64) -> Result<Finished> {
        if self.dense {
            self.clear(size.min(self.len))?;
        }
        let size = if self.amend { size.max(self.len) } else { size };
        if self.len != size {
            truncate(&self.fd, size)?;
        }
        Ok(Finished {
            has_holes: self.sparse && !self.dense && self.gap.max(size - self.high.min(size)) >= holes::UNIT,
            sparse_without_hole: self.sparse && !self.dense && !self.amend && self.written >= size,
        })
    }

    /// Writes zeros from the highest byte up to `to`, over what was there before.
    fn clear(&mut self, to: u64) -> Result<()> {
        while self.high < to {
            let len = usize::try_from(to - self.high).map_or(ZEROS.len(), |len| len.min(ZEROS.len()));
            write_all(self.fd.as_fd(), self.high, ZEROS.get(..len).unwrap_or_default())?;
            self.high += len as u64;
        }
        Ok(())
    }
}

/// Writes all of `data` at an offset.
pub(crate) fn write_all(fd: BorrowedFd<'_>, offset: u64, data: &[u8]) -> Result<()> {
    put_all(fd, offset, data)
        .map_err(|(error, offset)| Error::io("writing the content", error).at_offset(offset))
}

/// Writes all of `data` at an offset; an error comes with the offset at which it was met.
pub(crate) fn put_all(fd: BorrowedFd<'_>, mut offset: u64, mut data: &[u8]) -> Result<(), (Errno, u64)> {
    while !data.is_empty() {
        match rustix::io::pwrite(fd, data, offset) {
            Ok(0) => return Err((Errno::NOSPC, offset)),
            Ok(done) => {
                offset += done as u64;
                data = data.get(done..).unwrap_or_default();
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err((error, offset)),
        }
    }
    Ok(())
}

fn truncate(fd: &OwnedFd, size: u64) -> Result<()> {
    rustix::fs::ftruncate(fd, size).map_err(|error| Error::io("setting the size", error).at_offset(size))
}
