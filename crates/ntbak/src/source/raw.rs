//! A raw export, in a file or in memory, as a source: the file that it is of, without a name, attributes or descriptor.

use std::borrow::Cow;

use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::efs::{Encrypted, RawFile, ReadRaw};
use crate::error::{Error, Result};
use crate::source::FileSource;

/// Reads a raw export of EFS, as `ReadEncryptedFileRaw` gives it.
pub struct RawSource<R> {
    file: RawFile<R>,
}

impl<R: ReadRaw> RawSource<R> {
    /// The file in this export.
    ///
    /// # Errors
    /// It cannot be read, or is no export (6008).
    pub fn open(raw: R) -> Result<Self> {
        Ok(Self { file: RawFile::open(raw)? })
    }

    /// The export itself.
    pub fn file(&self) -> &RawFile<R> {
        &self.file
    }
}

impl<R: ReadRaw> FileSource for RawSource<R> {
    fn info(&self) -> Result<FileInfo> {
        // Nothing in an export says whether it is of a directory; one of a file has an unnamed stream.
        let is_file = self.file.streams().iter().any(|plan| plan.head.name.is_none());
        let kind = if is_file { FileAttributes::ARCHIVE } else { FileAttributes::empty() };
        Ok(FileInfo { attributes: kind | FileAttributes::ENCRYPTED, link_count: 1, ..FileInfo::default() })
    }

    fn small(&self, _kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(None)
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        Ok(self.file.streams().get(index).map(|plan| {
            let mut head = StreamHead::plain(plan.head.name.clone(), plan.content.size);
            head.vdl = plan.content.vdl.min(head.size);
            head.flags.set(StreamFlags::ENCRYPTED, plan.head.encrypted);
            head
        }))
    }

    fn next_extent(&self, _stream: usize, _from: u64) -> Result<Option<Extent>> {
        Ok(None)
    }

    fn read_at(&self, _stream: usize, _offset: u64, _buf: &mut [u8]) -> Result<usize> {
        Err(Error::new(Win32Error::ACCESS_DENIED, "the file is encrypted"))
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        Ok(Some(Box::new(&self.file)))
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.file.read_stored(stream, offset, buf)
    }
}
