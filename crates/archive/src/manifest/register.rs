//! What is written is hashed, and entered into the manifest when its entry ends.

use std::io;
use std::sync::Arc;

use super::aside::{Aside, Entered};
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
    /// Entries are hashed where they are written, and entered when their place in the archive is known.
    Aside(Box<Aside>),
    /// It is complete. It is not in itself.
    Closed,
}

pub(crate) struct Here {
    hashing: Box<Hashing>,
    lines: Lines,
}

/// An entry that is being hashed.
#[derive(Default)]
struct Hashing {
    hasher: blake3::Hasher,
    /// What is in the buffer but not hashed yet begins here; large pieces hash faster.
    unhashed: usize,
}

/// A buffer that was hashed, or is being hashed, and can be written.
pub(crate) enum Hashed {
    Done(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Register {
    pub(crate) fn here(lines: Lines) -> Self {
        Self::Here(Here { hashing: Box::default(), lines })
    }

    pub(crate) fn aside() -> Self {
        Self::Aside(Box::default())
    }

    /// # Errors
    /// There is no thread.
    pub(crate) fn beside(lines: Lines) -> io::Result<Self> {
        Beside::start(lines).map(Self::Beside)
    }

    /// Whether a large piece may pass by the buffer, by [`Register::pass`].
    pub(crate) fn lets_pass(&self) -> bool {
        matches!(self, Self::Here(_) | Self::Closed)
    }

    /// Whether all entries stay in the buffer.
    pub(crate) fn is_aside(&self) -> bool {
        matches!(self, Self::Aside(_))
    }

    /// Whether nothing ends in the buffer that is not entered yet.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Beside(beside) => beside.is_settled(),
            _ => true,
        }
    }

    /// Hashes a piece that passes by the buffer, which is empty.
    pub(crate) fn pass(&mut self, data: &[u8]) {
        if let Self::Here(here) = self {
            here.hashing.hasher.update(data);
        }
    }

    /// Hashes the buffer, as far as it was not.
    pub(crate) fn hash(&mut self, buffer: Vec<u8>) -> io::Result<Hashed> {
        match self {
            Self::Here(Here { hashing, .. }) => {
                hashing.update(&buffer);
                hashing.unhashed = 0;
            }
            Self::Beside(beside) => return beside.hash(buffer).map(Hashed::Shared),
            Self::Aside(_) | Self::Closed => {}
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
            Self::Here(Here { hashing, lines }) => {
                lines.entry(path, stream, &Span { offset, size, hash: hashing.end(buffer) })?;
            }
            Self::Beside(beside) => beside.entry(buffer.len(), path, stream, offset, size),
            Self::Aside(aside) => aside.entry(buffer, path, stream),
            Self::Closed => {}
        }
        Ok(())
    }

    /// Enters a loss or note.
    pub(crate) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        match self {
            Self::Here(here) => here.lines.remark(remark)?,
            Self::Beside(beside) => beside.remark(remark),
            Self::Aside(aside) => aside.remark(remark),
            Self::Closed => {}
        }
        Ok(())
    }

    /// Enters what was written aside, and begins at this byte of the archive. The buffer is empty.
    pub(crate) fn enter(&mut self, entered: Entered, offset: u64) -> io::Result<()> {
        match self {
            Self::Here(here) => entered.enter(offset, &mut here.lines),
            Self::Beside(beside) => beside.enter(entered, offset),
            Self::Aside(_) | Self::Closed => Ok(()),
        }
    }

    /// What was written aside.
    pub(crate) fn into_entered(self) -> Entered {
        match self {
            Self::Aside(aside) => aside.into_entered(),
            _ => Entered::default(),
        }
    }

    /// No more entries, and the buffer was hashed: the manifest begins at `size` of the archive. `None` when it was
    /// complete already.
    pub(crate) fn close(&mut self, size: u64) -> io::Result<Option<Closed>> {
        let lines = match std::mem::replace(self, Self::Closed) {
            Self::Here(here) => here.lines,
            Self::Beside(mut beside) => beside.end()?,
            Self::Aside(_) | Self::Closed => return Ok(None),
        };
        lines.close(size).map(Some)
    }
}

impl Hashing {
    fn update(&mut self, buffer: &[u8]) {
        self.hasher.update(buffer.get(self.unhashed..).unwrap_or_default());
        self.unhashed = buffer.len();
    }

    /// The hash of an entry that ends with the buffer.
    fn end(&mut self, buffer: &[u8]) -> [u8; 32] {
        self.update(buffer);
        let hash = *self.hasher.finalize().as_bytes();
        self.hasher.reset();
        hash
    }
}
