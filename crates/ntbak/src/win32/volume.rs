//! What the functions need of a place with files in it.

use std::sync::Arc;

use ntbak_wire::Win32Error;

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::sink::FileSink;
use crate::source::FileSource;
use crate::win32::Disposition;

/// A place in which files have paths.
pub trait Volume: Send + Sync {
    /// Opens or makes a file as the request says.
    ///
    /// # Errors
    /// 2 or 3 when it is not there, 80 when it is and must not be, 5 when the place refuses.
    fn open(&self, request: &OpenRequest<'_>) -> Result<Opened>;

    /// What a file or directory at `path` can hold.
    fn capabilities(&self, path: &str, directory: bool) -> Capabilities {
        let _ = (path, directory);
        Capabilities::everything()
    }

    /// A new file at `path`, which appears with its commit, in place of one that is there; or a directory, which may be
    /// there already.
    ///
    /// # Errors
    /// 3 when a directory of the path is not there, 5 when the place refuses, 50 where nothing new is made.
    fn stage(&self, path: &str, directory: bool) -> Result<Box<dyn FileSink>> {
        let _ = (path, directory);
        Err(Error::new(Win32Error::NOT_SUPPORTED, "no files are made in this place"))
    }
}

/// What is asked of a [`Volume`].
#[derive(Debug, Clone, Copy)]
pub struct OpenRequest<'a> {
    /// The path, as the volume writes paths.
    pub path: &'a str,
    /// What to do when the file exists, and when not.
    pub disposition: Disposition,
    /// Open the reparse point itself.
    pub open_reparse_point: bool,
    /// A directory may be opened.
    pub directories: bool,
}

/// What a [`Volume`] gives.
pub struct Opened {
    /// The file.
    pub file: Arc<dyn OpenFile>,
    /// Which file it is, whatever its path: handles with the same identity share.
    pub identity: Identity,
    /// The path named one alternate data stream of it (`file:stream`).
    pub named_stream: bool,
}

/// A file within a process: device and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub u64, pub u64);

/// An open file, before rights and share modes.
pub trait OpenFile: Send + Sync {
    /// Its path, for messages.
    fn path(&self) -> &str;

    /// The file as it is now, for reading.
    ///
    /// # Errors
    /// It cannot be read.
    fn source(&self) -> Result<Box<dyn FileSource>>;

    /// The file for writing in place.
    ///
    /// # Errors
    /// It cannot be written.
    fn sink(&self) -> Result<Box<dyn FileSink>>;
}
