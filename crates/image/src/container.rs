//! What every container gives when it is opened, and small helpers that they share.

use std::io;
use std::sync::Arc;

use crate::error::{Error, Format};
use crate::note::Note;
use crate::read_at::ReadAt;

/// An opened container.
pub(crate) struct Opened {
    /// The kind within the kind: "fixed", "version 3, zstd".
    pub(crate) variant: String,
    /// Bytes of a block or cluster, when it has any.
    pub(crate) block_size: Option<u32>,
    /// Bytes of a sector of the disk, when the container says.
    pub(crate) sector_size: Option<u32>,
    pub(crate) notes: Vec<Note>,
    /// The disk inside.
    pub(crate) disk: Arc<dyn ReadAt>,
}

/// Fills `buf` with data of a container: all of it has to be there.
pub(crate) fn read_data(format: Format, source: &dyn ReadAt, at: u64, buf: &mut [u8]) -> io::Result<()> {
    let read = source.read_at(at, buf).map_err(|error| Error::io(format, at, error))?;
    if read == buf.len() {
        return Ok(());
    }
    Err(Error::truncated(format, at, "a block of data", buf.len() as u64, read as u64).into())
}
