//! Records to a backup stream: the mirror of [`RecordDecoder`](super::RecordDecoder).

use super::{Encoder, Header, MAX_SIZE, StreamAttributes, StreamId, sparse};
use crate::error::{Error, Format, Result};
use crate::record::{Extent, Record, SmallKind, StreamHead};

/// Writes [`Record`]s as a backup stream, in the order in which they come.
///
/// `File` and `EndFile` leave nothing: a backup stream has no place for attributes, times and names. A stream that is
/// in blocks must give each `Block` before its `Bytes`.
#[derive(Debug, Default)]
pub struct RecordEncoder {
    encoder: Encoder,
    /// The stream that is being written.
    open: Option<Open>,
    /// A DATA or ALTERNATE_DATA was written: an empty unnamed stream is no longer the same as none.
    any: bool,
}

/// A stream that has not ended.
#[derive(Debug)]
struct Open {
    in_blocks: bool,
    /// Size that was announced, of a stream that is not in blocks.
    size: u64,
    /// Where the next `Bytes` must begin.
    next: u64,
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
    /// Records out of order, or offsets and sizes that do not agree with what was announced.
    pub fn put(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<()> {
        match record {
            Record::EfsRaw { .. } => Err(Error::value(
                Format::BackupStream,
                0,
                "encrypted file",
                0,
                "its plaintext: a backup stream has no place for raw encrypted data",
            )),
            // A backup stream has no place for them.
            Record::File(_) | Record::LinuxAttribute { .. } => Ok(()),
            Record::EndFile => self.between("end of file"),
            Record::Small(kind, payload) => {
                self.between("small payload")?;
                let attributes = match kind {
                    SmallKind::Security => StreamAttributes::CONTAINS_SECURITY,
                    _ => StreamAttributes::empty(),
                };
                let header = Header::new(kind.stream_id(), payload.len() as u64).with_attributes(attributes);
                self.encoder.header(&header, out)?;
                self.encoder.payload(payload, out)
            }
            Record::Stream(head) => self.stream(head, out),
            Record::Block(extent) => self.block(*extent, out),
            Record::Bytes { offset, data } => {
                let fault = self.fault("offset of content", *offset, "where the content before it ends");
                let Some(open) = &mut self.open else { return Err(fault) };
                if open.next != *offset {
                    return Err(fault);
                }
                self.encoder.payload(data, out)?;
                open.next += data.len() as u64;
                Ok(())
            }
            Record::EndStream { size } => {
                self.encoder.finish()?;
                let fault = self.fault("size at the end of a stream", *size, "the one announced");
                match self.open.take() {
                    Some(Open { in_blocks: true, .. }) if *size > 0 => self.put_block(*size, 0, out),
                    Some(Open { in_blocks: true, .. }) => Ok(()),
                    Some(open) if open.size == *size => Ok(()),
                    _ => Err(fault),
                }
            }
        }
    }

    fn stream(&mut self, head: &StreamHead, out: &mut Vec<u8>) -> Result<()> {
        self.between("stream")?;
        if !head.amend {
            let plain = Header::new(StreamId::Data, 0);
            if let Some(header) = sparse::announce(head).or_else(|| self.any.then_some(plain)) {
                self.encoder.header(&header, out)?;
                self.any = true;
            }
        }
        let in_blocks = head.amend || sparse::is_in_blocks(head);
        self.open = Some(Open { in_blocks, size: head.size, next: 0 });
        Ok(())
    }

    fn block(&mut self, extent: Extent, out: &mut Vec<u8>) -> Result<()> {
        let fault = self.fault(
            "offset of a block",
            extent.offset,
            "a sparse stream around it, and an end below 2^63",
        );
        match &mut self.open {
            Some(open) if open.in_blocks && extent.end() <= MAX_SIZE => open.next = extent.offset,
            _ => return Err(fault),
        }
        // Without a byte it would be read as the terminator.
        if extent.len == 0 {
            return self.encoder.finish();
        }
        self.put_block(extent.offset, extent.len, out)
    }

    fn put_block(&mut self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<()> {
        self.any = true;
        self.encoder.header(&sparse::block_header(len), out)?;
        self.encoder.payload(&offset.to_le_bytes(), out)
    }

    fn between(&self, what: &'static str) -> Result<()> {
        self.encoder.finish()?;
        if self.open.is_some() {
            return Err(self.fault(what, 0, "the end of the stream before it"));
        }
        Ok(())
    }

    fn fault(&self, what: &'static str, found: u64, expected: &'static str) -> Error {
        Error::value(Format::BackupStream, self.encoder.offset(), what, found, expected)
    }
}
