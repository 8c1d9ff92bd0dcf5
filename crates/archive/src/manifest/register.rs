//! What is written is hashed, and entered into the manifest when its entry ends.

use std::io;
use std::sync::Arc;

use super::beside::Beside;
use super::write::{Closed, Lines};
use crate::remark::Remark;
use crate::tar::Span;

/// The manifest as long as entries come.
pub(crate) enum Register {
    /// Entries are hashed where they are written.
    Here(Here),
    /// The same on a thread of its own.
    Beside(Beside),
    /// It is complete. It is not in itself.
    Closed,
}

pub(crate) struct Here {
    hasher: Box<blake3::Hasher>,
    /// What is in the buffer but not hashed yet begins here; large pieces hash faster.
    unhashed: usize,
    lines: Lines,
}

/// A buffer that was hashed, or is being hashed, and can be written.
pub(crate) enum Hashed {
    Done(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Register {
    pub(crate) fn here(lines: Lines) -> Self {
        Self::Here(Here { hasher: Box::default(), unhashed: 0, lines })
    }

    /// # Errors
    /// There is no thread.
    pub(crate) fn beside(lines: Lines) -> io::Result<Self> {
        Beside::start(lines).map(Self::Beside)
    }

    /// Whether a large piece may pass by the buffer, by [`Register::pass`].
    pub(crate) fn is_here(&self) -> bool {
        !matches!(self, Self::Beside(_))
    }

    /// Hashes a piece that passes by the buffer, which is empty.
    pub(crate) fn pass(&mut self, data: &[u8]) {
        if let Self::Here(here) = self {
            here.hasher.update(data);
        }
    }

    /// Hashes the buffer, as far as it was not.
    pub(crate) fn hash(&mut self, buffer: Vec<u8>) -> io::Result<Hashed> {
        match self {
            Self::Here(here) => {
                here.hash(&buffer);
                here.unhashed = 0;
            }
            Self::Beside(beside) => return beside.hash(buffer).map(Hashed::Shared),
            Self::Closed => {}
        }
        Ok(Hashed::Done(buffer))
    }

    /// A buffer to be filled next, in exchange for one that was written.
    pub(crate) fn recycle(&mut self, written: Hashed) -> Vec<u8> {
        match (written, self) {
            (Hashed::Shared(buffer), Self::Beside(beside)) => beside.recycle(buffer),
            (Hashed::Shared(_), _) => Vec::new(),
            (Hashed::Done(mut buffer), _) => {
                buffer.clear();
                buffer
            }
        }
    }

    /// Enters an entry of `size` bytes that ends with the buffer.
    pub(crate) fn entry(
        &mut self,
        buffer: &[u8],
        path: &[u8],
        stream: Option<&[u8]>,
        offset: u64,
        size: u64,
    ) -> io::Result<()> {
        match self {
            Self::Here(here) => {
                here.hash(buffer);
                let span = Span { offset, size, hash: *here.hasher.finalize().as_bytes() };
                here.hasher.reset();
                here.lines.entry(path, stream, &span)?;
            }
            Self::Beside(beside) => beside.entry(buffer.len(), path, stream, offset, size),
            Self::Closed => {}
        }
        Ok(())
    }

    /// Enters a loss or note.
    pub(crate) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        match self {
            Self::Here(here) => here.lines.remark(remark)?,
            Self::Beside(beside) => beside.remark(remark),
            Self::Closed => {}
        }
        Ok(())
    }

    /// No more entries, and the buffer was hashed: the manifest begins at `size` of the archive. `None` when it was
    /// complete already.
    pub(crate) fn close(&mut self, size: u64) -> io::Result<Option<Closed>> {
        let lines = match std::mem::replace(self, Self::Closed) {
            Self::Here(here) => here.lines,
            Self::Beside(mut beside) => beside.end()?,
            Self::Closed => return Ok(None),
        };
        lines.close(size).map(Some)
    }
}

impl Here {
    fn hash(&mut self, buffer: &[u8]) {
        self.hasher.update(buffer.get(self.unhashed..).unwrap_or_default());
        self.unhashed = buffer.len();
    }
}
