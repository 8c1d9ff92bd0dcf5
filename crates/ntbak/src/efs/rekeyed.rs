//! An encrypted file with other metadata: the same content, other people who can open it.

use std::borrow::Cow;

use ntbak_wire::efs::StreamPlan;
use ntbak_wire::record::{Extent, FileInfo, SmallKind, StreamHead};

use super::Encrypted;
use crate::error::Result;
use crate::report::FileReport;
use crate::source::{Facet, FileSource, LinuxAttribute};

/// A source with these metadata in place of its own.
pub struct Rekeyed<S> {
    source: S,
    metadata: Vec<u8>,
}

impl<S: FileSource> Rekeyed<S> {
    /// `source`, which is encrypted, with other metadata over the same key.
    #[must_use]
    pub fn new(source: S, metadata: Vec<u8>) -> Self {
        Self { source, metadata }
    }
}

impl<S: FileSource> FileSource for Rekeyed<S> {
    fn info(&self) -> Result<FileInfo> {
        self.source.info()
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        self.source.linux_attribute(index)
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        self.source.stream(index)
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.source.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        let file = self.source.encrypted()?;
        Ok(file.map(|file| Box::new(OtherMetadata { file, metadata: &self.metadata }) as Box<dyn Encrypted>))
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_stored(stream, offset, buf)
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        self.source.remarks(about, report)
    }
}

struct OtherMetadata<'s> {
    file: Box<dyn Encrypted + 's>,
    metadata: &'s [u8],
}

impl Encrypted for OtherMetadata<'_> {
    fn metadata(&self) -> &[u8] {
        self.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        self.file.streams()
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.file.read_stored(stream, offset, buf)
    }
}
