//! An encrypted file in a directory: ciphertext with its trailer as ntfs-3g shows it, and what EFS keeps of it beside.

use std::collections::VecDeque;

use ntbak_wire::efs::{self, Segment, StreamEnd};
use ntbak_wire::record::{Extent, Extents, StreamFlags, StreamHead};

use super::{DirectorySink, home};
use crate::efs::{Import, ImportTarget, TRAILER, stored_size, trailer_of};
use crate::error::Result;
use crate::sink::no_unnamed_stream;

/// An encrypted file that is being written.
#[derive(Debug, Default)]
pub(super) struct Efs {
    /// The raw export that is coming.
    pub(super) import: Option<Import>,
    /// Whether that came to its end; `None` when there is none.
    pub(super) is_whole: Option<bool>,
    pub(super) metadata: Option<Vec<u8>>,
    pub(super) cluster_shift: Option<u8>,
    /// The current stream.
    head: Option<efs::StreamHead>,
    /// Ranges of it that are announced and have not begun.
    runs: VecDeque<(u64, u64)>,
}

impl ImportTarget for DirectorySink {
    fn efs_metadata(&mut self, metadata: Vec<u8>) -> Result<()> {
        self.efs.metadata = Some(metadata);
        Ok(())
    }

    fn efs_stream(&mut self, head: efs::StreamHead) -> Result<()> {
        if self.directory && head.name.is_none() {
            return Err(no_unnamed_stream());
        }
        // The size comes last, so it is written in blocks. Holes are left out: zeros would be taken for ciphertext.
        let mut record = StreamHead::plain(head.name.clone(), 0);
        record.extents = Extents::Unknown;
        record.flags = StreamFlags::SPARSE;
        self.efs.head = Some(head);
        // Those of the stream before: a plain one has none.
        self.efs.runs.clear();
        self.begin_stream(&record)
    }

    fn efs_segment(&mut self, segment: &Segment) -> Result<()> {
        self.efs.cluster_shift.get_or_insert(segment.cluster_shift);
        self.efs.runs = segment.runs().into();
        Ok(())
    }

    fn efs_data(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if let Some(content) = &mut self.content {
            return content.write(offset, data);
        }
        let Self { streams, target, efs, .. } = self;
        let encrypted = efs.head.as_ref().is_some_and(|head| head.encrypted);
        let home = || home(target);
        let run = efs.runs.pop_front_if(|(begin, _)| *begin == offset);
        if let Some(len) = run.map(|(_, len)| len).or((!encrypted).then_some(data.len() as u64)) {
            streams.block(Extent { offset, len }, &home)?;
        }
        streams.bytes(offset, data, &home)
    }

    fn efs_end_stream(&mut self, end: StreamEnd) -> Result<()> {
        let encrypted = self.efs.head.as_ref().is_some_and(|head| head.encrypted);
        let mut flags = StreamFlags::empty();
        flags.set(StreamFlags::ENCRYPTED, encrypted);
        // What has no ciphertext is not decrypted: the reader must know that it is a hole.
        flags.set(StreamFlags::SPARSE, encrypted && (end.sparse || end.gaps));
        let stored = if encrypted { stored_size(end.size) } else { end.size };
        if encrypted && end.size > 0 {
            self.efs.runs = [(stored - TRAILER, TRAILER)].into();
            self.efs_data(stored - TRAILER, &trailer_of(end.size))?;
        }
        let vdl = Some(end.vdl).filter(|vdl| encrypted && *vdl < end.size);
        match self.content.take() {
            Some(content) => {
                self.has_holes = content.finish(stored)?.has_holes;
                if let Some(unnamed) = &mut self.unnamed {
                    (unnamed.size, unnamed.vdl, unnamed.flags) = (end.size, vdl.unwrap_or(end.size), flags);
                }
            }
            None => {
                let Self { streams, target, .. } = self;
                streams.end(stored, &|| home(target))?;
                streams.set_fact(vdl, flags);
            }
        }
        Ok(())
    }
}

impl DirectorySink {
    /// Takes the next bytes of the raw export, or their end.
    pub(super) fn import(&mut self, data: Option<&[u8]>) -> Result<()> {
        let Some(mut import) = self.efs.import.take() else { return Ok(()) };
        match data {
            Some(data) => {
                import.push(data, self)?;
                self.efs.import = Some(import);
                Ok(())
            }
            None => {
                import.finish(self)?;
                self.efs.is_whole = Some(true);
                Ok(())
            }
        }
    }
}
