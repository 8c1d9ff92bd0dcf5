//! Where files go: one trait, and one file for each kind of place.

use std::path::Path;

use ntbak_wire::Win32Error;
use ntbak_wire::record::Record;
use ntbak_wire::reparse::{self, ReparseBuffer};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::report::FileReport;

mod directory;
mod memory;
mod ntfs3g;
mod security;

pub use directory::DirectorySink;
pub(crate) use directory::capabilities as directory_capabilities;
pub use memory::MemorySink;
pub(crate) use memory::Neighbours;
pub use ntfs3g::Ntfs3gSink;

/// One file or directory that is being restored, from [`Record`]s in the order in which they come.
///
/// A sink is either **staged** (the file appears whole under its name with [`commit`](Self::commit), and not at all
/// without it) or **in place** (each record is applied to a file that exists, at once, as `BackupWrite` does).
pub trait FileSink: Send {
    /// What the place can hold.
    fn can(&self) -> &Capabilities;

    /// Whether this is a directory.
    fn is_directory(&self) -> bool;

    /// Takes the next record. What the place cannot hold does not come here, [`Restore`](crate::Restore) sees to that.
    ///
    /// # Errors
    /// It cannot be written. A staged sink may keep small payloads until the commit, and report there what it could
    /// not apply.
    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()>;

    /// Makes the file a hard link to the one at `target`, in place of everything else about it.
    ///
    /// # Errors
    /// The target is not there (2, 3), on another volume (17), or the place has no hard links (50).
    fn link(&mut self, target: &Path) -> Result<()>;

    /// Completes the file: what has to come last is set, a staged file gets its name.
    ///
    /// # Errors
    /// The file could not be completed; a staged one is removed.
    fn commit(self: Box<Self>, report: &FileReport<'_>) -> Result<()>;
}

/// Why nothing is written into an encrypted file in place: Windows' own number for who has no key.
pub(crate) fn encrypted_there() -> Error {
    let why = "an encrypted file is there, and what is written into it would be taken for ciphertext";
    Error::new(Win32Error::ACCESS_DENIED, why)
        .hint("decrypt it first, or replace it: remove it, or copy over it")
}

/// Why data of a file are not taken for those of a directory.
pub(crate) fn no_unnamed_stream() -> Error {
    Error::new(Win32Error::INVALID_PARAMETER, "a directory has no unnamed data stream")
}

/// Whether Windows would set this reparse buffer on a file in this state (\[MS-FSA\] 2.1.5.10.37).
fn check_reparse(payload: &[u8], file: reparse::File) -> Result<()> {
    let buffer = ReparseBuffer::parse(payload)?;
    reparse::check_settable(&buffer, file).map_err(|conflict| {
        let error = Error::new(conflict.win32(), conflict.to_string());
        match conflict {
            reparse::Conflict::NotADirectory => {
                error.hint("a junction is a directory: make one with --directory")
            }
            _ => error,
        }
    })
}
