//! Bytes to headers and payloads: a push decoder that holds no payload.

use super::{Header, StreamId};
use crate::error::{Error, Format, Result};
use crate::name::Name;

/// What a [`Decoder`] finds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A stream begins.
    Header(Header),
    /// Bytes of its payload, as many as the input has at hand.
    Payload {
        /// Where they begin in the payload.
        offset: u64,
        /// The bytes, part of the input.
        data: &'a [u8],
    },
    /// The payload is complete. Comes once for every header, after an empty payload too.
    End,
}

/// Where in the stream format a [`Decoder`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Between two streams, or before the first.
    Boundary,
    /// Inside of a header or its name.
    Header,
    /// In a payload (at its beginning, too); so many bytes of it are left.
    Payload {
        /// Bytes that are left, 0 when the end was not told yet.
        left: u64,
    },
}

/// Reads a backup stream from input that comes in slices of any size, down to one byte.
///
/// Give it input with [`next`](Self::next) until it answers `None`, then the next slice; at the end of all input,
/// [`finish`](Self::finish) tells whether something was cut. No payload is held: memory is the header and a name of at
/// most 65,536 bytes. The same bytes give the same events however they are cut, but for the length of each
/// [`Event::Payload`].
///
/// Lenient by default: unknown stream ids are given as they are, names on streams that should have none too, and
/// order is not checked. [`strict`](Self::strict) does what \[MS-BKUP\] demands of a reader.
///
/// A header with sizes that cannot be ends the stream: the decoder does not get past it. One that the strict mode
/// refuses can be left behind: the decoder stands in its payload, which can be read or [skipped](Self::skip).
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// Bytes of input taken so far.
    offset: u64,
    /// `Some` in the strict mode: whether a DATA or ALTERNATE_DATA stream was seen, and which.
    strict: Option<Seen>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Boundary,
    Fixed {
        bytes: [u8; Header::LEN],
        filled: usize,
    },
    Name {
        header: Header,
        bytes: Vec<u8>,
        size: usize,
        /// What the strict mode refuses in the header; told behind the name, so that the payload can be passed over.
        refused: Option<Error>,
    },
    Payload {
        size: u64,
        left: u64,
    },
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    Data,
    Alternate,
    /// DATA after ALTERNATE_DATA: fine, but its blocks are not.
    LateData,
}

impl Decoder {
    /// A lenient decoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder that refuses what \[MS-BKUP\] forbids: ids outside of 1–5 and 7–11 (2.1), a name on another stream than
    /// ALTERNATE_DATA or an ALTERNATE_DATA without one (2.2), a SPARSE_BLOCK without a stream before it, a DATA stream
    /// after an ALTERNATE_DATA whose blocks could be taken for its own (2.13.1).
    #[must_use]
    pub fn strict() -> Self {
        Self { strict: Some(Seen::Nothing), ..Self::default() }
    }

    /// Bytes of input taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the decoder stands.
    #[must_use]
    pub fn position(&self) -> Position {
        match &self.state {
            State::Boundary => Position::Boundary,
            State::Fixed { .. } | State::Name { .. } => Position::Header,
            State::Payload { left, .. } => Position::Payload { left: *left },
        }
    }

    /// Takes bytes from the front of `input` and gives what they complete; `None` when the input is used up.
    ///
    /// # Errors
    /// A header that is not valid, with its offset in the whole input.
    // Not an iterator: the event borrows from the input, and `None` only means "more, please".
    #[allow(clippy::should_implement_trait)]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>> {
        loop {
            match &mut self.state {
                State::Boundary if input.is_empty() => return Ok(None),
                State::Boundary => self.state = State::Fixed { bytes: [0; Header::LEN], filled: 0 },
                State::Fixed { bytes, filled } => {
                    let room = bytes.get_mut(*filled..).unwrap_or_default();
                    let taken = take(input, room.len());
                    if let Some(room) = room.get_mut(..taken.len()) {
                        room.copy_from_slice(taken);
                    }
                    *filled += taken.len();
                    self.offset = self.offset.saturating_add(taken.len() as u64);
                    if *filled < Header::LEN {
                        return Ok(None);
                    }
                    let start = self.offset - Header::LEN as u64;
                    let (header, name_size) = Header::decode_fixed(bytes, start)?;
                    let refused = match &mut self.strict {
                        Some(seen) => check_strictly(&header, name_size, start, seen).err(),
                        None => None,
                    };
                    self.state = State::Name { header, bytes: Vec::new(), size: name_size as usize, refused };
                }
                State::Name { header, bytes, size, refused } => {
                    let taken = take(input, *size - bytes.len());
                    bytes.extend_from_slice(taken);
                    self.offset = self.offset.saturating_add(taken.len() as u64);
                    if bytes.len() < *size {
                        return Ok(None);
                    }
                    header.name = Name::from_utf16_le(bytes).unwrap_or_default();
                    let size = header.size;
                    let header = std::mem::replace(header, Header::new(StreamId::Data, 0));
                    let refused = refused.take();
                    self.state = State::Payload { size, left: size };
                    return refused.map_or(Ok(Some(Event::Header(header))), Err);
                }
                State::Payload { left: 0, .. } => {
                    self.state = State::Boundary;
                    return Ok(Some(Event::End));
                }
                State::Payload { size, left } => {
                    let at = *size - *left;
                    let data = take(input, usize::try_from(*left).unwrap_or(usize::MAX));
                    if data.is_empty() {
                        return Ok(None);
                    }
                    *left -= data.len() as u64;
                    self.offset = self.offset.saturating_add(data.len() as u64);
                    return Ok(Some(Event::Payload { offset: at, data }));
                }
            }
        }
    }

    /// Passes over up to `bytes` of the payload without having them, as `BackupSeek` does, and answers how many it
    /// were: fewer at the end of the payload, 0 when the decoder stands in no payload.
    pub fn skip(&mut self, bytes: u64) -> u64 {
        let State::Payload { left, .. } = &mut self.state else { return 0 };
        let skipped = bytes.min(*left);
        *left -= skipped;
        self.offset = self.offset.saturating_add(skipped);
        skipped
    }

    /// Says that the input ends here.
    ///
    /// # Errors
    /// A header, name or payload is cut.
    pub fn finish(&self) -> Result<()> {
        let cut = |what, needed: u64, available: u64| {
            Err(Error::truncated(Format::BackupStream, self.offset - available, what, needed, available))
        };
        match &self.state {
            State::Boundary | State::Payload { left: 0, .. } => Ok(()),
            // A header that was refused: the same fault again.
            State::Fixed { bytes, filled: Header::LEN } => {
                Header::decode_fixed(bytes, self.offset - Header::LEN as u64).map(drop)
            }
            State::Fixed { filled, .. } => cut("header", Header::LEN as u64, *filled as u64),
            State::Name { bytes, size, .. } => cut("stream name", *size as u64, bytes.len() as u64),
            State::Payload { size, left } => cut("payload", *size, *size - *left),
        }
    }
}

/// Splits up to `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// What the strict mode refuses in a header at `start`.
fn check_strictly(header: &Header, name_size: u32, start: u64, seen: &mut Seen) -> Result<()> {
    let fault = |at, what, found, expected| {
        Err(Error::value(Format::BackupStream, start + at, what, found, expected))
    };
    let id = u32::from(header.id);
    match header.id {
        StreamId::Unknown(_) | StreamId::PropertyData => {
            return fault(0, "dwStreamId", id.into(), "1 to 5 or 7 to 11 (MS-BKUP 2.1)");
        }
        StreamId::AlternateData if name_size == 0 => {
            return fault(16, "dwStreamNameSize", 0, "a name on ALTERNATE_DATA");
        }
        StreamId::AlternateData => *seen = Seen::Alternate,
        _ if name_size != 0 => {
            return fault(16, "dwStreamNameSize", name_size.into(), "0 on this stream");
        }
        StreamId::Data if matches!(seen, Seen::Alternate | Seen::LateData) => *seen = Seen::LateData,
        StreamId::Data => *seen = Seen::Data,
        StreamId::SparseBlock if *seen == Seen::LateData => {
            return fault(0, "dwStreamId", id.into(), "blocks of DATA before any ALTERNATE_DATA");
        }
        StreamId::SparseBlock if *seen == Seen::Nothing => {
            return fault(
                0,
                "dwStreamId",
                id.into(),
                "a DATA or ALTERNATE_DATA stream before a SPARSE_BLOCK",
            );
        }
        _ => {}
    }
    Ok(())
}
