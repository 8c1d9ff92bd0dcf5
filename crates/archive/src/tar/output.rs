//! Buffered output that counts and hashes.

use std::collections::VecDeque;
use std::io::Write;

use super::Span;
use super::beside::Beside;
use crate::error::{Error, Result};

/// Small pieces are gathered up to this size; larger ones pass by the buffer.
pub(super) const BUFFER: usize = 256 << 10;
const LARGE: usize = 32 << 10;

/// What is written to an archive, forward only.
pub(crate) struct Output<W> {
    target: W,
    buffer: Vec<u8>,
    /// Bytes so far, those in the buffer included.
    offset: u64,
    /// Where the current entry began.
    entry: u64,
    hashing: Hashing,
}

/// Where entries are hashed.
enum Hashing {
    Here(Here),
    /// On another thread.
    Beside(Beside),
}

#[derive(Default)]
struct Here {
    hasher: Box<blake3::Hasher>,
    /// What is in the buffer but not hashed yet begins here; large pieces hash faster.
    unhashed: usize,
    /// Entries that ended, and were not asked for yet.
    ended: VecDeque<Span>,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(target: W) -> Self {
        let (buffer, hashing) = (Vec::with_capacity(BUFFER), Hashing::Here(Here::default()));
        Self { target, buffer, offset: 0, entry: 0, hashing }
    }

    /// Hashes on another thread from now on, before anything was written.
    pub(crate) fn hash_beside(&mut self) -> Result<()> {
        let beside = Beside::start();
        let beside = beside.map_err(|error| Error::io(self.offset, "starting a thread", error))?;
        self.hashing = Hashing::Beside(beside);
        Ok(())
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<()> {
        self.offset += data.len() as u64;
        if data.len() >= LARGE
            && let Hashing::Here(_) = self.hashing
        {
            self.flush()?;
            if let Hashing::Here(here) = &mut self.hashing {
                here.hasher.update(data);
            }
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

    /// Ends an entry; [`Output::next_span`] says which bytes it has.
    pub(crate) fn end_entry(&mut self) {
        let (offset, size) = (self.entry, self.offset - self.entry);
        match &mut self.hashing {
            Hashing::Here(here) => {
                here.hash(&self.buffer);
                let hash = *here.hasher.finalize().as_bytes();
                here.hasher.reset();
                here.ended.push_back(Span { offset, size, hash });
            }
            Hashing::Beside(beside) => beside.end_entry(self.buffer.len(), offset, size),
        }
        self.entry = self.offset;
    }

    /// The next of the entries that ended, in their order; with `wait` also one whose hash is not there yet.
    pub(crate) fn next_span(&mut self, wait: bool) -> Result<Option<Span>> {
        if wait && matches!(&self.hashing, Hashing::Beside(beside) if beside.is_waiting()) {
            self.flush()?;
        }
        match &mut self.hashing {
            Hashing::Here(here) => Ok(here.ended.pop_front()),
            Hashing::Beside(beside) => {
                beside.next(wait).map_err(|error| Error::io(self.offset, "hashing the archive", error))
            }
        }
    }

    /// Writes everything out.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.flush()?;
        let offset = self.offset;
        self.target.flush().map_err(|error| Error::io(offset, "writing the archive", error))?;
        Ok(self.target)
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        match &mut self.hashing {
            Hashing::Here(here) => {
                here.hash(&buffer);
                here.unhashed = 0;
                let done = self.put(&buffer);
                self.buffer = buffer;
                self.buffer.clear();
                done
            }
            Hashing::Beside(beside) => {
                let offset = self.offset;
                let shared = beside.hash(buffer);
                let shared = shared.map_err(|error| Error::io(offset, "hashing the archive", error))?;
                let done = self.put(&shared);
                if let Hashing::Beside(beside) = &mut self.hashing {
                    self.buffer = beside.recycle(shared);
                }
                done
            }
        }
    }

    fn put(&mut self, data: &[u8]) -> Result<()> {
        let offset = self.offset;
        self.target.write_all(data).map_err(|error| Error::io(offset, "writing the archive", error))
    }
}

impl Here {
    fn hash(&mut self, buffer: &[u8]) {
        self.hasher.update(buffer.get(self.unhashed..).unwrap_or_default());
        self.unhashed = buffer.len();
    }
}
