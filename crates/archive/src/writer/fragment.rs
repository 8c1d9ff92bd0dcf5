//! Entries that are written aside: several threads write some each, and one puts them into the archive, in their order.

use std::io::{Sink, Write, sink};

use super::{ArchiveWriter, State};
use crate::error::Result;
use crate::manifest::aside::Entered;
use crate::manifest::register::Register;
use crate::tar::write::TarWriter;

/// Whole entries of an archive, in memory, hashed, and what was told of them.
pub struct Fragment {
    bytes: Vec<u8>,
    entered: Entered,
}

impl Fragment {
    /// Bytes of the uncompressed archive that it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl ArchiveWriter<Sink> {
    /// Begins entries that are going to be a part of an archive. All that is written stays in memory, in `buffer`, which
    /// is empty; [`Fragment`]s give it back. Errors count their bytes from the beginning of the part.
    #[must_use]
    pub fn aside(buffer: Vec<u8>) -> Self {
        Self::over(TarWriter::with_buffer(sink(), buffer, Register::aside()))
    }

    /// The entries, whole.
    ///
    /// # Errors
    /// The last file is not complete.
    pub fn into_fragment(self) -> Result<Fragment> {
        self.expect(State::Idle, "a part of an archive ends before its last file is complete")?;
        let (bytes, entered) = self.tar.output.into_aside();
        Ok(Fragment { bytes, entered })
    }
}

impl<W: Write> ArchiveWriter<W> {
    /// Puts entries in that were written [aside](ArchiveWriter::aside), as if they were written here: their buffer, to
    /// be used again.
    ///
    /// # Errors
    /// The last file is not complete; this is written aside itself; the target cannot be written.
    pub fn append(&mut self, fragment: Fragment) -> Result<Vec<u8>> {
        if self.tar.output.is_aside() {
            return Err(self.fault("a part of an archive within another one"));
        }
        self.expect(State::Idle, "a part of an archive before the last file is complete")?;
        self.tar.output.append(fragment.bytes, fragment.entered)
    }
}
