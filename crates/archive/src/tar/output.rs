//! Buffered output that counts and hashes.

use std::io::Write;

use super::Span;
use crate::error::{Error, Result};

/// Small pieces are gathered up to this size; larger ones pass by the buffer.
const BUFFER: usize = 256 << 10;
const LARGE: usize = 32 << 10;

/// What is written to an archive, forward only.
pub(crate) struct Output<W> {
    target: W,
    buffer: Vec<u8>,
    /// Bytes so far, those in the buffer included.
    offset: u64,
    /// Where the current entry began.
    entry: u64,
    hasher: Box<blake3::Hasher>,
    /// What is in the buffer but not hashed yet begins here; large pieces hash faster.
    unhashed: usize,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(target: W) -> Self {
        let (buffer, hasher) = (Vec::with_capacity(BUFFER), Box::new(blake3::Hasher::new()));
        Self { target, buffer, offset: 0, entry: 0, hasher, unhashed: 0 }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        if data.len() >= LARGE {
            self.flush()?;
            self.hasher.update(data);
            self.put(data)?;
        } else {
            if self.buffer.len() + data.len() > BUFFER {
                self.flush()?;
            }
            self.buffer.extend_from_slice(data);
        }
        self.offset += data.len() as u64;
        Ok(())
    }

    pub(crate) fn zeros(&mut self, mut len: u64) -> Result<()> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while len > 0 {
            let piece = usize::try_from(len).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write(ZEROS.get(..piece).unwrap_or_default())?;
            len -= piece as u64;
        }
        Ok(())
    }

    /// Ends an entry: which bytes it has.
    pub(crate) fn end_entry(&mut self) -> Span {
        self.hash_buffer();
        let hash = *self.hasher.finalize().as_bytes();
        self.hasher.reset();
        let span = Span { offset: self.entry, size: self.offset - self.entry, hash };
        self.entry = self.offset;
        span
    }

    /// Writes everything out.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.flush()?;
        let offset = self.offset;
        self.target.flush().map_err(|error| Error::io(offset, "writing the archive", error))?;
        Ok(self.target)
    }

    fn hash_buffer(&mut self) {
        self.hasher.update(self.buffer.get(self.unhashed..).unwrap_or_default());
        self.unhashed = self.buffer.len();
    }

    fn flush(&mut self) -> Result<()> {
        self.hash_buffer();
        let buffer = std::mem::take(&mut self.buffer);
        let done = self.put(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        self.unhashed = 0;
        done
    }

    fn put(&mut self, data: &[u8]) -> Result<()> {
        let offset = self.offset;
        self.target.write_all(data).map_err(|error| Error::io(offset, "writing the archive", error))
    }
}
