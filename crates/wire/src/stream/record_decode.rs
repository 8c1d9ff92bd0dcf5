//! A backup stream to records: small payloads whole, content at its offsets, holes and sizes worked out.

use std::borrow::Cow;

use super::{
    Decoder, Event, Header, MAX_SIZE, Position, StreamAttributes, StreamId, StreamName, StreamSet, sparse,
};
use crate::error::{Error, Format, Problem, Result};
use crate::record::{Extent, Extents, Record, SmallKind, StreamFlags, StreamHead};

/// What a [`RecordDecoder`] finds next.
#[derive(Debug, PartialEq)]
pub enum Decoded<'a> {
    /// A record.
    Record(Record<'a>),
    /// A stream that is passed over: its kind has no meaning here, or is not accepted.
    Ignored(&'a Header),
}

/// Reads a backup stream as [`Record`]s, from input in slices of any size, as `BackupWrite` gets it.
///
/// * Small payloads (security descriptor, EAs, reparse buffer, object id, link) are gathered; one that is larger than
///   [`SmallKind::max_len`] is refused before anything is allocated.
/// * Content is passed on as it comes, without a copy.
/// * A second stream of the same kind replaces the first (\[MS-BKUP\] 2.13.2 <7>).
/// * A SPARSE_BLOCK belongs to the stream before it; without one, to the unnamed stream, which it
///   [amends](StreamHead::amend). Blocks may overlap and come in any order: later bytes win.
/// * The end of a sparse stream is the terminator's offset or the highest byte, whichever is more.
///
/// After an error the rest of the current payload is passed over, or can be [skipped](Self::skip).
#[derive(Debug)]
pub struct RecordDecoder {
    decoder: Decoder,
    strict: bool,
    accepted: StreamSet,
    /// The current header; `held` says that it still has to be looked at.
    header: Header,
    /// Where it begins in the input.
    header_offset: u64,
    held: bool,
    /// The stream that content and blocks go to.
    head: StreamHead,
    /// Its highest byte so far, while it is open.
    open: Option<u64>,
    /// Whether blocks have a stream to go to: a refused stream takes its blocks with it.
    blocks_accepted: Option<bool>,
    payload: Payload,
    small: Vec<u8>,
}

/// What the payload that the decoder stands in is.
#[derive(Debug)]
enum Payload {
    Ignored,
    Small(SmallKind),
    Content,
    /// A SPARSE_BLOCK, of whose offset so many bytes are there.
    BlockOffset {
        bytes: [u8; 8],
        filled: usize,
    },
    Block {
        offset: u64,
    },
}

impl Default for RecordDecoder {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(),
            strict: false,
            accepted: StreamSet::all(),
            header: Header::new(StreamId::Data, 0),
            header_offset: 0,
            held: false,
            head: StreamHead::plain(None, 0),
            open: None,
            blocks_accepted: None,
            payload: Payload::Ignored,
            small: Vec::new(),
        }
    }
}

impl RecordDecoder {
    /// A lenient decoder that accepts every kind of stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder that does what \[MS-BKUP\] demands: see [`Decoder::strict`]; EA_DATA, LINK and TXFS_DATA are passed over
    /// (2.5, 2.6, 2.11), and GHOSTED_FILE_EXTENTS is refused with Win32 error 50.
    #[must_use]
    pub fn strict() -> Self {
        Self { decoder: Decoder::strict(), strict: true, ..Self::default() }
    }

    /// Sets which kinds of stream become records from now on; the others are given as [`Decoded::Ignored`].
    pub fn accept(&mut self, accepted: StreamSet) {
        self.accepted = accepted;
    }

    /// Which kinds of stream become records.
    #[must_use]
    pub fn accepted(&self) -> StreamSet {
        self.accepted
    }

    /// Bytes of input taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    /// Where the decoder stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.decoder.position()
    }

    /// The header of the stream that the decoder is in, and where it begins in the input.
    #[must_use]
    pub fn current(&self) -> (&Header, u64) {
        (&self.header, self.header_offset)
    }

    /// Takes bytes from the front of `input` and gives what they complete; `None` when the input is used up.
    ///
    /// # Errors
    /// Headers, sizes and names that no stream may have, and unknown stream ids. Payloads are not looked into.
    // Not an iterator: the record borrows from the input, and `None` only means "more, please".
    #[allow(clippy::should_implement_trait)]
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<Decoded<'a>>> {
        loop {
            if self.held {
                if self.header.id != StreamId::SparseBlock
                    && let Some(end) = self.open.take()
                {
                    return Ok(Some(Decoded::Record(Record::EndStream { size: end })));
                }
                self.held = false;
                // What is wrong with the header is wrong with its payload: pass over that.
                self.payload = Payload::Ignored;
                match self.begin()? {
                    Begun::Nothing => {}
                    Begun::Stream => return Ok(Some(Decoded::Record(Record::Stream(&self.head)))),
                    Begun::Ignored => return Ok(Some(Decoded::Ignored(&self.header))),
                }
            }
            let Some(event) = self.event(input)? else { return Ok(None) };
            match event {
                Event::Header(header) => {
                    self.header_offset = self.decoder.offset() - header.encoded_len() as u64;
                    self.header = header;
                    self.held = true;
                }
                Event::Payload { offset, data } => match &mut self.payload {
                    Payload::Ignored => {}
                    Payload::Small(_) => self.small.extend_from_slice(data),
                    Payload::Content => return Ok(Some(Decoded::Record(Record::Bytes { offset, data }))),
                    Payload::Block { offset: base } => {
                        // The 8 bytes of the offset count as payload.
                        let offset = *base + (offset - sparse::OFFSET_LEN);
                        return Ok(Some(Decoded::Record(Record::Bytes { offset, data })));
                    }
                    Payload::BlockOffset { bytes, filled } => {
                        for (to, from) in bytes.iter_mut().skip(*filled).zip(data) {
                            *to = *from;
                        }
                        *filled += data.len();
                        if *filled == bytes.len() {
                            let offset = u64::from_le_bytes(*bytes);
                            if let Some(block) = self.begin_block(offset)? {
                                return Ok(Some(Decoded::Record(Record::Block(block))));
                            }
                        }
                    }
                },
                Event::End => {
                    if let Some(ended) = self.end_payload() {
                        return Ok(Some(Decoded::Record(match ended {
                            Ended::Small(kind) => Record::Small(kind, Cow::Borrowed(&self.small)),
                            Ended::Stream(size) => Record::EndStream { size },
                        })));
                    }
                }
            }
        }
    }

    /// Passes over up to `bytes` of the current payload, as `BackupSeek` does, and answers how many it were. Content
    /// that is passed over stays a hole; a small payload, or a block whose offset is cut into, is dropped.
    pub fn skip(&mut self, bytes: u64) -> u64 {
        let skipped = self.decoder.skip(bytes);
        if skipped > 0 && matches!(self.payload, Payload::Small(_) | Payload::BlockOffset { .. }) {
            self.payload = Payload::Ignored;
        }
        skipped
    }

    /// Says that the input ends here, and gives the end of a stream that waited for more blocks.
    ///
    /// # Errors
    /// A header, name or payload is cut.
    pub fn finish(&mut self) -> Result<Option<Record<'static>>> {
        self.decoder.finish()?;
        // A payload that was passed over to its end, without its `End` having been asked for.
        let ended = match self.position() {
            Position::Payload { .. } => self.end_payload(),
            _ => None,
        };
        let size = match ended {
            Some(Ended::Stream(size)) => Some(size),
            _ => self.open.take(),
        };
        Ok(size.map(|size| Record::EndStream { size }))
    }

    /// The next event, with the offset of a SPARSE_BLOCK cut off from the content behind it.
    fn event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>> {
        let Payload::BlockOffset { filled, bytes } = &self.payload else { return self.decoder.next(input) };
        let whole = *input;
        let mut limited = whole.get(..bytes.len() - filled).unwrap_or(whole);
        let before = limited.len();
        let event = self.decoder.next(&mut limited)?;
        *input = whole.get(before - limited.len()..).unwrap_or_default();
        Ok(event)
    }

    /// Looks at a new header: what its payload is, and which record it makes.
    fn begin(&mut self) -> Result<Begun> {
        let sparse = self.header.attributes.contains(StreamAttributes::SPARSE);
        match self.header.id {
            StreamId::Data => {
                self.blocks_accepted = Some(self.accepted.contains(StreamSet::DATA));
                self.begin_stream(None, sparse)
            }
            StreamId::AlternateData => {
                self.blocks_accepted = Some(false);
                if !self.accepted.contains(StreamSet::ALTERNATE_DATA) {
                    return Ok(Begun::Ignored);
                }
                let name = self.header.stream_name().map_err(|error| error.at(self.header_offset + 20))?;
                self.blocks_accepted = Some(true);
                self.begin_stream(Some(name), sparse)
            }
            StreamId::SparseBlock => {
                if self.header.size < sparse::OFFSET_LEN {
                    return Err(self.fault(8, "Size of a SPARSE_BLOCK", self.header.size, "8 or more"));
                }
                // A lone block is one of the unnamed stream.
                match self.blocks_accepted {
                    Some(true) => {}
                    Some(false) => return Ok(Begun::Nothing),
                    None if self.accepted.contains(StreamSet::DATA) => {}
                    None => return Ok(Begun::Ignored),
                }
                self.payload = Payload::BlockOffset { bytes: [0; 8], filled: 0 };
                if self.open.is_some() {
                    return Ok(Begun::Nothing);
                }
                self.open = Some(0);
                self.head.amend = true;
                self.head.flags |= StreamFlags::SPARSE;
                self.head.extents = Extents::Unknown;
                (self.head.size, self.head.vdl) = (0, 0);
                Ok(Begun::Stream)
            }
            StreamId::GhostedFileExtents if self.strict => Err(Error {
                format: Format::BackupStream,
                offset: self.header_offset,
                problem: Problem::Unsupported { what: "a GHOSTED_FILE_EXTENTS stream" },
            }),
            StreamId::PropertyData | StreamId::TxfsData | StreamId::GhostedFileExtents => Ok(Begun::Ignored),
            StreamId::EaData | StreamId::Link if self.strict => Ok(Begun::Ignored),
            StreamId::SecurityData => self.begin_small(SmallKind::Security, StreamSet::SECURITY_DATA),
            StreamId::EaData => self.begin_small(SmallKind::Ea, StreamSet::EA_DATA),
            StreamId::ReparseData => self.begin_small(SmallKind::Reparse, StreamSet::REPARSE_DATA),
            StreamId::ObjectId => self.begin_small(SmallKind::ObjectId, StreamSet::OBJECT_ID),
            StreamId::Link => self.begin_small(SmallKind::Link, StreamSet::LINK),
            StreamId::Unknown(id) => Err(self.fault(0, "dwStreamId", id.into(), "1 to 11")),
        }
    }

    fn begin_stream(&mut self, name: Option<StreamName>, sparse: bool) -> Result<Begun> {
        if self.blocks_accepted == Some(false) {
            return Ok(Begun::Ignored);
        }
        let size = self.header.size;
        self.head = StreamHead::plain(name, size);
        if sparse {
            self.head.flags = StreamFlags::SPARSE;
        }
        if sparse && size == 0 {
            self.head.extents = Extents::Unknown;
        }
        self.payload = Payload::Content;
        self.open = Some(size);
        Ok(Begun::Stream)
    }

    fn begin_small(&mut self, kind: SmallKind, set: StreamSet) -> Result<Begun> {
        if !self.accepted.contains(set) {
            return Ok(Begun::Ignored);
        }
        let size = self.header.size;
        if size > kind.max_len() {
            let (what, expected) = match kind {
                SmallKind::Security => ("Size of SECURITY_DATA", "at most 262144"),
                SmallKind::Ea => ("Size of EA_DATA", "at most 131072"),
                SmallKind::Reparse => ("Size of REPARSE_DATA", "at most 16384"),
                SmallKind::ObjectId => ("Size of OBJECT_ID", "at most 64"),
                SmallKind::Link => ("Size of LINK", "at most 65536"),
            };
            return Err(self.fault(8, what, size, expected));
        }
        if self.position() != (Position::Payload { left: size }) {
            // Skipped into while its header was held.
            return Ok(Begun::Nothing);
        }
        self.small.clear();
        self.payload = Payload::Small(kind);
        Ok(Begun::Nothing)
    }

    /// The offset of a SPARSE_BLOCK is there: its extent, unless it is the terminator.
    fn begin_block(&mut self, offset: u64) -> Result<Option<Extent>> {
        let len = self.header.size - sparse::OFFSET_LEN;
        let end = offset.checked_add(len).filter(|end| *end <= MAX_SIZE);
        let Some(end) = end else {
            self.payload = Payload::Ignored;
            return Err(self.fault(
                self.header.encoded_len() as u64,
                "offset of a SPARSE_BLOCK",
                offset,
                "an end below 2^63",
            ));
        };
        self.payload = Payload::Block { offset };
        self.open = Some(self.open.unwrap_or(0).max(end));
        Ok((len > 0).then_some(Extent { offset, len }))
    }

    /// A payload is complete: what that completes.
    fn end_payload(&mut self) -> Option<Ended> {
        let closes = match std::mem::replace(&mut self.payload, Payload::Ignored) {
            Payload::Small(kind) => return Some(Ended::Small(kind)),
            // A sparse stream without content of its own waits for its blocks.
            Payload::Content => self.head.extents == Extents::All,
            Payload::Block { .. } => self.header.size == sparse::OFFSET_LEN,
            Payload::BlockOffset { .. } | Payload::Ignored => false,
        };
        if closes { self.open.take().map(Ended::Stream) } else { None }
    }

    fn fault(&self, at: u64, what: &'static str, found: u64, expected: &'static str) -> Error {
        Error::value(Format::BackupStream, self.header_offset + at, what, found, expected)
    }
}

/// What a new header makes.
enum Begun {
    Nothing,
    Stream,
    Ignored,
}

/// What a complete payload makes.
enum Ended {
    Small(SmallKind),
    Stream(u64),
}
