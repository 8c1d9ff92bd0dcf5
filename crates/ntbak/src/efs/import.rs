//! Taking a raw export apart: the mirror of [`ExportReader`](super::ExportReader).

use ntbak_wire::efs::{Decoder, Event, Segment, StreamEnd, StreamHead};

use crate::error::Result;

/// Where an encrypted file is written.
pub(crate) trait ImportTarget {
    /// What EFS keeps of the file. Comes once, first.
    fn efs_metadata(&mut self, metadata: Vec<u8>) -> Result<()>;
    /// A stream begins.
    fn efs_stream(&mut self, head: StreamHead) -> Result<()>;
    /// A segment of an encrypted stream begins.
    fn efs_segment(&mut self, segment: &Segment) -> Result<()>;
    /// Content as it is stored, in ascending order; what none covers is a hole.
    fn efs_data(&mut self, offset: u64, data: &[u8]) -> Result<()>;
    /// The stream is complete.
    fn efs_end_stream(&mut self, end: StreamEnd) -> Result<()>;
}

/// A raw export that comes in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Import {
    decoder: Decoder,
}

impl Import {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut input: &[u8], target: &mut dyn ImportTarget) -> Result<()> {
        while let Some(event) = self.decoder.next(&mut input)? {
            deliver(event, target)?;
        }
        Ok(())
    }

    /// Says that these were all.
    pub(crate) fn finish(&mut self, target: &mut dyn ImportTarget) -> Result<()> {
        while let Some(event) = self.decoder.finish()? {
            deliver(event, target)?;
        }
        Ok(())
    }
}

fn deliver(event: Event<'_>, target: &mut dyn ImportTarget) -> Result<()> {
    match event {
        Event::Metadata(metadata) => target.efs_metadata(metadata),
        Event::Stream(head) => target.efs_stream(head),
        Event::Segment(segment) => target.efs_segment(&segment),
        Event::Data { offset, data } => target.efs_data(offset, data),
        Event::EndStream(end) => target.efs_end_stream(end),
    }
}
