//! Records to a backup stream: the mirror of [`RecordDecoder`](super::RecordDecoder).

use super::{Encoder, Header, StreamAttributes, sparse};
use crate::error::{Error, Format, Result};
use crate::record::{Record, SmallKind};

/// Writes [`Record`]s as a backup stream, in the order in which they come.
///
/// `File` and `EndFile` leave nothing: a backup stream has no place for attributes, times and names. A stream that is
/// in blocks must give each `Block` before its `Bytes`.
#[derive(Debug, Default)]
pub struct RecordEncoder {
    encoder: Encoder,
    in_blocks: bool,
}

impl RecordEncoder {
    /// An encoder at the beginning of a backup file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what `record` is in a backup stream to `out`.
    ///
    /// # Errors
    /// Records out of order, or sizes that do not agree with what was announced.
    pub fn put(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match record {
            Record::File(_) => Ok(()),
            Record::EndFile => self.encoder.finish(),
            Record::Small(kind, payload) => {
                let attributes = match kind {
                    SmallKind::Security => StreamAttributes::CONTAINS_SECURITY,
                    _ => StreamAttributes::empty(),
                };
                let header = Header::new(kind.stream_id(), payload.len() as u64).with_attributes(attributes);
                self.encoder.header(&header, out)?;
                self.encoder.payload(payload, out)
            }
            Record::Stream(head) if head.amend => {
                // Its blocks go to the stream before them.
                self.in_blocks = true;
                self.encoder.finish()
            }
            Record::Stream(head) => {
                self.in_blocks = sparse::is_in_blocks(head);
                match sparse::announce(head) {
                    Some(header) => self.encoder.header(&header, out),
                    None => self.encoder.finish(),
                }
            }
            Record::Block(extent) => self.block(extent.offset, extent.len, out),
            Record::Bytes { data, .. } => self.encoder.payload(data, out),
            // A sparse stream without a byte needs no terminator.
            Record::EndStream { size } if self.in_blocks && *size > 0 => self.block(*size, 0, out),
            Record::EndStream { .. } => self.encoder.finish(),
        }
    }

    /// A SPARSE_BLOCK: its header and the offset, which counts as payload.
    fn block(&mut self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<()> {
        if !self.in_blocks {
            let at = self.encoder.offset();
            return Err(Error::value(Format::BackupStream, at, "block", offset, "a sparse stream around it"));
        }
        self.encoder.header(&sparse::block_header(len), out)?;
        self.encoder.payload(&offset.to_le_bytes(), out)
    }
}
