//! Metadata, streams and ciphertext to raw data: the mirror of [`Decoder`](super::Decoder).

use std::collections::HashSet;

use super::{
    FILE_HEADER, MAX_SEGMENT, MAX_STREAMS, METADATA_NAME, SEGMENT_HEADER, SEGMENT_SIGNATURE, STREAM_HEADER,
    STREAM_SIGNATURE, Segment, StreamHead, check_len, fault,
};
use crate::error::{Error, Format, Result};
use crate::name::Name;
use crate::stream::StreamName;

/// Writes raw data as Windows does, forward only: the metadata, then each stream with its segments.
///
/// It appends headers to a buffer of the caller and holds no content. Ciphertext goes through [`data`](Self::data), or
/// from its source straight to its destination, announced with [`pass`](Self::pass).
#[derive(Debug, Default)]
pub struct Encoder {
    state: State,
    /// Bytes written so far.
    offset: u64,
    names: HashSet<Option<StreamName>>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Start,
    /// The metadata are written, no stream yet.
    Metadata,
    Stream {
        encrypted: bool,
        /// The first byte that the next segment may hold.
        next: u64,
        /// Payload bytes of the segment that have not come yet.
        left: u64,
    },
}

impl Encoder {
    /// An encoder at the beginning of raw data.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes the file header and the metadata. Comes once, first.
    ///
    /// # Errors
    /// Metadata that are too small, too large, or not as long as they say; nothing is appended then.
    pub fn metadata(&mut self, metadata: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if !matches!(self.state, State::Start) {
            return Err(fault(self.offset, "metadata", 2, "one metadata stream, the first"));
        }
        check_len(metadata)?;
        let start = out.len();
        out.extend_from_slice(&FILE_HEADER);
        stream_header(&METADATA_NAME, 0, out);
        plain_segment(metadata.len() as u32, out);
        out.extend_from_slice(metadata);
        self.offset += (out.len() - start) as u64;
        self.state = State::Metadata;
        Ok(())
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// No metadata before it, an incomplete segment before it, or a name that has come already.
    pub fn stream(&mut self, head: &StreamHead, out: &mut Vec<u8>) -> Result<()> {
        self.finish()?;
        if self.names.len() == MAX_STREAMS {
            return Err(fault(self.offset, "number of streams", MAX_STREAMS as u64 + 1, "at most 8192"));
        }
        if !self.names.insert(head.name.clone()) {
            let why = "a stream of that name has come already";
            return Err(Error::name(Format::EfsRaw, self.offset, "stream name", why));
        }
        let name = head.name.as_ref().map_or_else(|| Name::from("::$DATA"), StreamName::to_wire);
        let start = out.len();
        stream_header(&name.to_utf16_le(), u32::from(!head.encrypted), out);
        self.offset += (out.len() - start) as u64;
        self.state = State::Stream { encrypted: head.encrypted, next: 0, left: 0 };
        Ok(())
    }

    /// Begins a segment of an encrypted stream; [`Segment::stored`] bytes of ciphertext must follow.
    ///
    /// # Errors
    /// No encrypted stream is open, the segment before it is not complete, it lies before the end of that one, or it
    /// contradicts itself.
    pub fn segment(&mut self, segment: &Segment, out: &mut Vec<u8>) -> Result<()> {
        self.finish()?;
        let State::Stream { encrypted: true, next, left } = &mut self.state else {
            return Err(fault(self.offset, "segment", segment.offset, "an encrypted stream to be open"));
        };
        if segment.offset < *next {
            let expected = "an offset behind the segment before it";
            return Err(fault(self.offset, "Starting File Offset", segment.offset, expected));
        }
        let start = out.len();
        segment.encode(self.offset, out)?;
        *next = segment.end();
        *left = segment.stored();
        self.offset += (out.len() - start) as u64;
        Ok(())
    }

    /// Begins a segment of `len` bytes, at most 16 MiB − 16, of a stream that is not encrypted; they must follow.
    ///
    /// # Errors
    /// No such stream is open, the segment before it is not complete, or it is too long.
    pub fn plain_segment(&mut self, len: u32, out: &mut Vec<u8>) -> Result<()> {
        self.finish()?;
        let State::Stream { encrypted: false, left, .. } = &mut self.state else {
            return Err(fault(
                self.offset,
                "segment",
                len.into(),
                "a stream that is not encrypted to be open",
            ));
        };
        if len > MAX_SEGMENT - SEGMENT_HEADER as u32 {
            return Err(fault(self.offset, "Length of a segment", len.into(), "at most 16 MiB"));
        }
        plain_segment(len, out);
        *left = len.into();
        self.offset += SEGMENT_HEADER as u64;
        Ok(())
    }

    /// Appends content of the segment.
    ///
    /// # Errors
    /// More than the segment has room for; nothing is appended then.
    pub fn data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.pass(data.len() as u64)?;
        out.extend_from_slice(data);
        Ok(())
    }

    /// Accounts for content of the segment that the caller writes by itself.
    ///
    /// # Errors
    /// More than the segment has room for.
    pub fn pass(&mut self, bytes: u64) -> Result<()> {
        match &mut self.state {
            State::Stream { left, .. } if bytes <= *left => *left -= bytes,
            _ => {
                return Err(fault(self.offset, "content", bytes, "no more bytes than the segment announced"));
            }
        }
        self.offset += bytes;
        Ok(())
    }

    /// Says that the raw data end here.
    ///
    /// # Errors
    /// There are no metadata, or the last segment is not complete.
    pub fn finish(&self) -> Result<()> {
        match &self.state {
            State::Start => Err(fault(self.offset, "metadata", 0, "the metadata first")),
            State::Metadata | State::Stream { left: 0, .. } => Ok(()),
            State::Stream { left, .. } => {
                Err(Error::truncated(Format::EfsRaw, self.offset, "segment", *left, 0))
            }
        }
    }
}

fn stream_header(name: &[u8], flag: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&((STREAM_HEADER + name.len()) as u32).to_le_bytes());
    out.extend_from_slice(STREAM_SIGNATURE);
    out.extend_from_slice(&flag.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name);
}

fn plain_segment(len: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(len + SEGMENT_HEADER as u32).to_le_bytes());
    out.extend_from_slice(SEGMENT_SIGNATURE);
    out.extend_from_slice(&[0; 4]);
}
