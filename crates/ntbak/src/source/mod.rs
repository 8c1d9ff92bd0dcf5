//! Where files come from: one trait, and one file for each kind of place.

use std::borrow::Cow;

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};

use crate::efs::Encrypted;
use crate::error::{Error, Result};
use crate::report::FileReport;

mod directory;
mod memory;
mod ntfs;
mod ntfs3g;
mod raw;
mod spooled;

pub use directory::DirectorySource;
pub(crate) use directory::{modified, size};
pub use memory::MemorySource;
pub(crate) use ntfs::node;
pub use ntfs::{NtfsSource, WofView};
pub use ntfs3g::Ntfs3gSource;
pub(crate) use ntfs3g::read_attributes;
pub use raw::RawSource;
pub use spooled::{Spool, SpooledSource};

/// What of a file is going to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    /// Everything.
    All,
    /// What a backup stream has a place for: no attributes, times and names.
    BackupStream,
}

/// Name, namespace included, and value of an extended attribute of Linux.
pub type LinuxAttribute<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// One opened file or directory, read by position: nothing here moves, so any thread may ask anything at any time.
pub trait FileSource: Send + Sync {
    /// Attributes, times and names.
    ///
    /// # Errors
    /// The place cannot be read.
    fn info(&self) -> Result<FileInfo>;

    /// A small payload, byte for byte as a backup stream carries it; `None` when the file has none.
    ///
    /// # Errors
    /// The place cannot be read, or holds something that no such payload is.
    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>>;

    /// The extended attribute of Linux with this number that is no fact about a Windows file; `None` past the last.
    ///
    /// # Errors
    /// It cannot be read; the next one may be.
    fn linux_attribute(&self, _index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        Ok(None)
    }

    /// The data stream with this number: a file's unnamed stream is the first, its named ones follow; `None` past the
    /// last. Never of a directory: an unnamed stream.
    ///
    /// # Errors
    /// The place cannot be read.
    fn stream(&self, index: usize) -> Result<Option<StreamHead>>;

    /// The first allocated range of a stream that ends after `from`, cut to begin at `from` or later; `None` when only
    /// a hole is left. Asked for streams whose [`extents`](StreamHead::extents) are not `All`; ranges must not touch
    /// each other.
    ///
    /// # Errors
    /// The place cannot be read.
    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>>;

    /// Reads content; answers how many bytes, 0 only at the end of the stream or for an empty `buf`.
    ///
    /// # Errors
    /// The place cannot be read at `offset`. When only later bytes cannot be read, the good ones come first and the
    /// error with the next call.
    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Bytes that a stream takes on its volume, where the place knows.
    fn allocated(&self, _stream: usize) -> Option<u64> {
        None
    }

    /// Reads at most `most` bytes of content to the beginning of `buffer`, which grows as it must, or is replaced by
    /// another; answers as [`read_at`](Self::read_at).
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn read_piece(&self, stream: usize, offset: u64, most: usize, buffer: &mut Vec<u8>) -> Result<usize> {
        if buffer.len() < most {
            buffer.resize(most, 0);
        }
        self.read_at(stream, offset, buffer.get_mut(..most).unwrap_or_default())
    }

    /// The content of a stream from its first byte to its valid data length, where that is in memory as it is: then it
    /// needs no reading. `None` says nothing about the stream.
    fn in_memory(&self, _stream: usize) -> Option<&[u8]> {
        None
    }

    /// The file as it is stored, when it is encrypted and the place shows that; `None` otherwise.
    ///
    /// # Errors
    /// The place cannot be read, or what EFS keeps of the file is damaged.
    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        Ok(None)
    }

    /// Reads a stream of an encrypted file as it is stored ([`Encrypted::read_stored`]).
    ///
    /// # Errors
    /// The file is not encrypted, or cannot be read at `offset`.
    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match self.encrypted()? {
            Some(file) => file.read_stored(stream, offset, buf),
            None => Err(Error::new(Win32Error::FILE_NOT_ENCRYPTED, "the file is not encrypted")),
        }
    }

    /// Tells what this source cannot give of the file, and what is worth knowing about it: all of it for a copy, for a
    /// backup stream only what has a place there. Called once, before anything is read.
    ///
    /// # Errors
    /// The place cannot be read.
    fn remarks(&self, _about: Facet, _report: &FileReport<'_>) -> Result<()> {
        Ok(())
    }
}

/// What points to a source is one.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: FileSource + ?Sized> FileSource for $pointer {
            fn info(&self) -> Result<FileInfo> {
                (**self).info()
            }

            fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
                (**self).small(kind)
            }

            fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
                (**self).linux_attribute(index)
            }

            fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
                (**self).stream(index)
            }

            fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
                (**self).next_extent(stream, from)
            }

            fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
                (**self).read_at(stream, offset, buf)
            }

            fn allocated(&self, stream: usize) -> Option<u64> {
                (**self).allocated(stream)
            }

            fn read_piece(
                &self,
                stream: usize,
                offset: u64,
                most: usize,
                buffer: &mut Vec<u8>,
            ) -> Result<usize> {
                (**self).read_piece(stream, offset, most, buffer)
            }

            fn in_memory(&self, stream: usize) -> Option<&[u8]> {
                (**self).in_memory(stream)
            }

            fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
                (**self).encrypted()
            }

            fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
                (**self).read_stored(stream, offset, buf)
            }

            fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
                (**self).remarks(about, report)
            }
        }
    )*};
}

forward!(&S, Box<S>);
