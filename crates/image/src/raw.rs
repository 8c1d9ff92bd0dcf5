//! Raw images and block devices: the file as it is.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};
use crate::read_at::{ReadAt, clamp};

/// A file or block device, read by position.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    len: u64,
}

impl RawFile {
    /// Opens a regular file or a block device for reading.
    ///
    /// # Errors
    /// It cannot be opened, or it is a directory, a pipe or something else that has no positions.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // A pipe would block in `open` until somebody writes: look first.
        let kind = std::fs::metadata(path).map_err(|error| Error::opening(path, error))?.file_type();
        if kind.is_dir() {
            return Err(Error::opening(path, io::Error::other("it is a directory, not a disk image")));
        }
        if !kind.is_file() && !is_block_device(kind) {
            let why = "a disk image must be a regular file or a block device";
            return Err(Error::opening(path, io::Error::other(why)));
        }
        let file = File::open(path).map_err(|error| Error::opening(path, error))?;
        Self::from_file(file).map_err(|error| Error::opening(path, error))
    }

    /// A file that is open already. Its position is moved once, to find the size, and never looked at again.
    ///
    /// # Errors
    /// The file has no positions.
    pub fn from_file(mut file: File) -> io::Result<Self> {
        // The metadata of a block device say 0; its end does not.
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }
}

#[cfg(unix)]
fn is_block_device(kind: std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&kind)
}

#[cfg(not(unix))]
fn is_block_device(_: std::fs::FileType) -> bool {
    // `\\.\PhysicalDrive0` is neither file nor directory.
    true
}

#[cfg(unix)]
fn pread(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn pread(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

impl ReadAt for RawFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = clamp(offset, buf.len(), self.len);
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..len).filter(|rest| !rest.is_empty()) {
            match pread(&self.file, offset.saturating_add(done as u64), rest) {
                // The file has become shorter since it was opened.
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
