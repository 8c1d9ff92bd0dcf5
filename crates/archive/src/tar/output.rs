//! Buffered output that counts, and is hashed on its way.

use std::io::Write;

use crate::error::{Error, Result};
use crate::manifest::aside::Entered;
use crate::manifest::register::{Hashed, Register};
use crate::manifest::write::Closed;
use crate::remark::Remark;

/// Small pieces are gathered up to this size; larger ones pass by the buffer.
pub(crate) const BUFFER: usize = 256 << 10;
const LARGE: usize = 32 << 10;

/// What is written to an archive, forward only.
pub(crate) struct Output<W> {
    target: W,
    buffer: Vec<u8>,
    /// Bytes so far, those in the buffer included.
    offset: u64,
    /// Where the current entry began.
    entry: u64,
    register: Register,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(target: W, register: Register) -> Self {
        Self::with_buffer(target, Vec::with_capacity(BUFFER), register)
    }

    pub(crate) fn with_buffer(target: W, buffer: Vec<u8>, register: Register) -> Self {
        Self { target, buffer, offset: 0, entry: 0, register }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.offset += data.len() as u64;
        if self.register.is_aside() {
            self.buffer.extend_from_slice(data);
            return Ok(());
        }
        if data.len() >= LARGE && self.register.lets_pass() {
            self.flush()?;
            self.register.pass(data);
            return self.put(data);
        }
        let mut rest = data;
        while !rest.is_empty() {
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
            let room = BUFFER - self.buffer.len();
            let (piece, behind) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.buffer.extend_from_slice(piece);
            rest = behind;
        }
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

    /// Ends an entry, and enters it into the manifest.
    pub(crate) fn end_entry(&mut self, path: &[u8], stream: Option<&[u8]>) -> Result<()> {
        let (offset, size) = (self.entry, self.offset - self.entry);
        let entered = self.register.entry(&self.buffer, path, stream, offset, size);
        self.entry = self.offset;
        entered.map_err(|error| Error::io(offset, "writing the manifest's spool", error))
    }

    /// Enters a loss or note into the manifest.
    pub(crate) fn remark(&mut self, remark: &Remark) -> Result<()> {
        let entered = self.register.remark(remark);
        entered.map_err(|error| Error::io(self.offset, "writing the manifest's spool", error))
    }

    /// Writes entries that were written aside, where one ends: their buffer, empty.
    pub(crate) fn append(&mut self, mut bytes: Vec<u8>, entered: Entered) -> Result<Vec<u8>> {
        self.flush()?;
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        self.entry = self.offset;
        let done = self.register.enter(entered, offset);
        done.map_err(|error| Error::io(offset, "writing the manifest's spool", error))?;
        self.put(&bytes)?;
        bytes.clear();
        Ok(bytes)
    }

    /// Whether all that is written stays in memory.
    pub(crate) fn is_aside(&self) -> bool {
        self.register.is_aside()
    }

    /// All entries, which were written aside.
    pub(crate) fn into_aside(self) -> (Vec<u8>, Entered) {
        (self.buffer, self.register.into_entered())
    }

    /// No more entries but the manifest; `None` when it was written already.
    pub(crate) fn close(&mut self) -> Result<Option<Closed>> {
        self.flush()?;
        let closed = self.register.close(self.offset);
        closed.map_err(|error| Error::io(self.offset, "reading the manifest's spool", error))
    }

    /// Writes everything out.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.flush()?;
        let offset = self.offset;
        self.target.flush().map_err(|error| Error::io(offset, "writing the archive", error))?;
        Ok(self.target)
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() && self.register.is_settled() {
            return Ok(());
        }
        let hashed = self.register.hash(std::mem::take(&mut self.buffer));
        let hashed = hashed.map_err(|error| Error::io(self.offset, "hashing the archive", error))?;
        let done = match &hashed {
            Hashed::Done(buffer) => self.put(buffer),
            Hashed::Shared(buffer) => self.put(buffer),
        };
        self.buffer = self.register.recycle(hashed);
        done
    }

    fn put(&mut self, data: &[u8]) -> Result<()> {
        let offset = self.offset;
        self.target.write_all(data).map_err(|error| Error::io(offset, "writing the archive", error))
    }
}
