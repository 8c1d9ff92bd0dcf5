//! A file in memory as a source.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, Extents, FileInfo, SmallKind, StreamFlags, StreamHead};

use crate::efs::{Encrypted, RawFile};
use crate::error::{Error, Result};
use crate::memory::{SharedFile, StreamKey};
use crate::source::{FileSource, LinuxAttribute};

/// Reads a [`SharedFile`]. Its streams are those that the file has when the source is made.
#[derive(Debug, Clone)]
pub struct MemorySource {
    file: SharedFile,
    streams: Vec<StreamKey>,
    /// The raw export of an encrypted file, once it was asked for.
    raw: Arc<OnceLock<RawFile<Vec<u8>>>>,
}

impl MemorySource {
    /// A source of this file.
    #[must_use]
    pub fn new(file: SharedFile) -> Self {
        let streams = file.read().streams.keys().cloned().collect();
        Self { file, streams, raw: Arc::default() }
    }

    fn gone() -> Error {
        Error::new(Win32Error::FILE_NOT_FOUND, "the stream is not there any more")
    }
}

impl FileSource for MemorySource {
    fn info(&self) -> Result<FileInfo> {
        Ok(self.file.read().info.clone())
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        let file = self.file.read();
        let payload = match kind {
            SmallKind::Security => file.security.clone(),
            SmallKind::Ea => file.ea.clone(),
            SmallKind::Reparse => file.reparse.clone(),
            SmallKind::ObjectId => file.object_id.map(|id| id.as_bytes().to_vec()),
            SmallKind::Link => None,
        };
        Ok(payload.map(Cow::Owned))
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        let file = self.file.read();
        let attribute = file.linux_attributes.iter().nth(index);
        Ok(attribute.map(|(name, value)| (Cow::Owned(name.clone()), Cow::Owned(value.clone()))))
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        if let Some(raw) = self.raw.get() {
            return Ok(Some(Box::new(raw)));
        }
        let Some(raw) = self.file.read().efs_raw.clone() else { return Ok(None) };
        let raw = RawFile::open(raw)?;
        Ok(Some(Box::new(self.raw.get_or_init(|| raw))))
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        let Some(key) = self.streams.get(index) else { return Ok(None) };
        let file = self.file.read();
        let stream = file.streams.get(key).ok_or_else(Self::gone)?;
        let whole = Some(Extent { offset: 0, len: stream.size });
        let in_blocks =
            stream.flags.contains(StreamFlags::SPARSE) && stream.size > 0 && stream.extent(0) != whole;
        Ok(Some(StreamHead {
            name: stream.name.clone(),
            size: stream.size,
            vdl: stream.vdl,
            flags: stream.flags,
            extents: if in_blocks { Extents::Unknown } else { Extents::All },
            amend: false,
        }))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        let key = self.streams.get(stream).ok_or_else(Self::gone)?;
        let file = self.file.read();
        Ok(file.streams.get(key).ok_or_else(Self::gone)?.extent(from))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let key = self.streams.get(stream).ok_or_else(Self::gone)?;
        let file = self.file.read();
        Ok(file.streams.get(key).ok_or_else(Self::gone)?.read(offset, buf))
    }
}
