//! An encrypted file on a volume, as it is stored: `$EFS`, and ciphertext straight from the clusters.

use std::borrow::Cow;

use ntbak_wire::Win32Error;
use ntbak_wire::efs::{Content, SECTOR, StreamHead, StreamPlan};
use ntbak_wire::record::{Extents, StreamFlags};

use super::NtfsSource;
use crate::efs::Encrypted;
use crate::error::{Error, Result};

/// The most ranges of a sparse stream that are told apart.
const MAX_EXTENTS: usize = 1 << 20;

/// The view of one file.
pub(super) struct StoredFile<'s> {
    source: &'s NtfsSource,
    metadata: Cow<'s, [u8]>,
    streams: Vec<StreamPlan>,
}

impl<'s> StoredFile<'s> {
    /// What there is of the file without a key; `None` when it is not encrypted.
    pub(super) fn open(source: &'s NtfsSource) -> Result<Option<Self>> {
        let Some(metadata) = source.file.efs()? else {
            let lost = |stream: &super::Stream| stream.head.flags.contains(StreamFlags::ENCRYPTED);
            return match source.streams.iter().find(|stream| lost(stream)) {
                Some(stream) => Err(no_keys().in_stream(stream.head.name.as_ref())),
                None => Ok(None),
            };
        };
        let streams = source.streams.iter().map(|stream| source.plan(stream)).collect();
        Ok(Some(Self { source, metadata, streams }))
    }
}

fn no_keys() -> Error {
    let why = "its content is encrypted, and $EFS, which has the keys, is not there";
    Error::new(Win32Error::INVALID_DATA, why)
}

impl NtfsSource {
    /// The sizes and holes of a stream.
    fn plan(&self, stream: &super::Stream) -> StreamPlan {
        let encrypted = stream.head.flags.contains(StreamFlags::ENCRYPTED);
        let head = StreamHead { name: stream.head.name.clone(), encrypted };
        let mut content = Content::plain(stream.head.size);
        if !encrypted {
            return StreamPlan { head, content };
        }
        let shift = self.file.volume().geometry().cluster_size.trailing_zeros();
        content.cluster_shift = shift.clamp(9, 21) as u8;
        content.vdl = stream.head.vdl;
        // Zeros in a hole are no ciphertext, also where the flag is not set.
        if let Some(attribute) = self.attribute(stream).filter(|_| stream.head.extents != Extents::All) {
            let mut extents: Vec<_> = attribute.extents().take(MAX_EXTENTS).collect();
            // Behind so many, the rest is taken as one.
            if let Some(last) = extents.last_mut().filter(|last| attribute.next_extent(last.end()).is_some())
            {
                last.len = content.size - last.offset;
            }
            content.extents = Some(extents);
        }
        StreamPlan { head, content }
    }
}

impl Encrypted for StoredFile<'_> {
    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.streams
    }

    fn read_stored(&self, index: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let stream = self.source.at(index)?;
        let Some(attribute) = self.source.attribute(stream) else { return Ok(0) };
        if !stream.head.flags.contains(StreamFlags::ENCRYPTED) {
            return crate::source::FileSource::read_at(self.source, index, offset, buf);
        }
        // To the end of the last sector: what lies behind it in the cluster is nobody's.
        let end = stream.head.size.checked_next_multiple_of(SECTOR).unwrap_or(stream.head.size);
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        let read = self.source.file.read_raw_at(attribute, offset, buf.get_mut(..len).unwrap_or_default());
        read.map_err(|error| self.source.located(error).in_stream(stream.head.name.as_ref()))
    }
}
