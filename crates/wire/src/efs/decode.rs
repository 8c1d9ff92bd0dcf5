//! Raw data to metadata, streams and ciphertext: a push decoder that holds no ciphertext.

use std::collections::HashSet;

use super::segment::FIXED;
use super::{
    ELEMENT, FILE_HEADER, MAX_METADATA, MAX_NAME_SIZE, MAX_SEGMENT, MAX_STREAM_HEADER, MAX_STREAMS,
    METADATA_NAME, SEGMENT_DATA, SEGMENT_HEADER, SEGMENT_SIGNATURE, STREAM_HEADER, STREAM_SIGNATURE, Segment,
    StreamEnd, StreamHead, check_len, fault,
};
use crate::bytes::{array_at, u32_at};
use crate::error::{Error, Format, Result};
use crate::name::Name;
use crate::stream::StreamName;

/// What a [`Decoder`] finds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The metadata, whole: 0x55 to 262,144 bytes. Comes once, first.
    Metadata(Vec<u8>),
    /// A data stream begins.
    Stream(StreamHead),
    /// A segment of an encrypted stream begins. What it stands for and no `Data` covers is a hole or past the valid
    /// data length: zeros, never ciphertext. So is what lies between two segments.
    Segment(Segment),
    /// Content of the stream: ciphertext, or plain bytes when it is not encrypted. Ascending, never overlapping.
    Data {
        /// Where in the stream.
        offset: u64,
        /// The bytes, part of the input. Ciphertext may go past the end of the stream, to the next multiple of 512.
        data: &'a [u8],
    },
    /// The stream is complete. Comes once for every `Stream`.
    EndStream(StreamEnd),
}

/// Reads raw data from input that comes in slices of any size, down to one byte.
///
/// Give it input with [`next`](Self::next) until it answers `None`, then the next slice; at the end of all input, call
/// [`finish`](Self::finish) until that answers `None`. Memory is the metadata (256 KiB at most), one encryption header
/// (256 KiB at most) and the names of the streams. The same bytes give the same events however they are cut, but for
/// the length of each [`Event::Data`].
///
/// Reserved bytes, bytes behind a name within its header and padding are not looked at, as \[MS-EFSR\] says. All
/// that contradicts itself is refused with `ERROR_NOT_EXPORT_FORMAT` (6008), and again whenever it is asked for more.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of the piece that is being gathered.
    held: Vec<u8>,
    /// Bytes of input taken so far.
    offset: u64,
    current: Current,
    /// Names that were seen, so that none comes twice.
    names: HashSet<Option<StreamName>>,
}

#[derive(Debug)]
enum State {
    FileHeader,
    /// Before a stream header or a segment, where the input may end.
    Boundary,
    StreamHeader {
        length: u32,
    },
    StreamName {
        length: u32,
        flag: u32,
        size: usize,
    },
    /// Bytes of a header that mean nothing.
    Skip {
        left: u32,
        then: Box<State>,
    },
    SegmentHeader {
        length: u32,
    },
    Metadata {
        left: u32,
    },
    EncryptionFixed {
        room: u32,
    },
    EncryptionBlocks {
        fixed: [u8; FIXED],
        length: u32,
        variable: usize,
        room: u32,
    },
    /// Ciphertext or plain bytes: the ranges that are left, the next one last.
    Data {
        runs: Vec<(u64, u64)>,
    },
    Finished,
    Failed(Error),
}

#[derive(Debug)]
enum Current {
    /// No stream header has come.
    Nothing,
    Metadata(Vec<u8>),
    /// The metadata are told; a stream header is coming.
    Between,
    Stream {
        encrypted: bool,
        /// The first byte that the next segment may hold.
        next: u64,
        /// The end of the last ciphertext.
        covered: u64,
        end: StreamEnd,
    },
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            state: State::FileHeader,
            held: Vec::new(),
            offset: 0,
            current: Current::Nothing,
            names: HashSet::new(),
        }
    }
}

impl Decoder {
    /// A decoder at the beginning of raw data.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of input taken so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes bytes from the front of `input` and gives what they complete; `None` when the input is used up.
    ///
    /// # Errors
    /// Data that are not raw data, with their offset in the whole input (Win32 error 6008).
    // Not an iterator: the event borrows from the input, and `None` only means "more, please".
    #[allow(clippy::should_implement_trait)]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>> {
        let result = self.step(input);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    /// Says that the input ends here. Gives what the end completes; call it until it answers `None`.
    ///
    /// # Errors
    /// The input is cut, or has no metadata (Win32 error 6008).
    pub fn finish(&mut self) -> Result<Option<Event<'static>>> {
        if let Some(event) = self.next(&mut &b""[..])? {
            return Ok(Some(event));
        }
        let available = self.held.len() as u64;
        let cut = |what, needed: u64, available: u64| {
            Err(Error::truncated(Format::EfsRaw, self.offset - available, what, needed, available))
        };
        match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Finished => return Ok(None),
            State::Boundary if available == 0 => {}
            State::FileHeader => return cut("file header", FILE_HEADER.len() as u64, available),
            State::Boundary => return cut("header", ELEMENT as u64, available),
            State::StreamHeader { .. } => return cut("stream header", STREAM_HEADER as u64, available),
            State::StreamName { size, .. } => return cut("stream name", *size as u64, available),
            State::Skip { left, .. } => return cut("header", (*left).into(), 0),
            State::SegmentHeader { .. } => return cut("segment header", SEGMENT_HEADER as u64, available),
            State::Metadata { left } => return cut("metadata", (*left).into(), 0),
            State::EncryptionFixed { .. } => return cut("encryption header", FIXED as u64, available),
            State::EncryptionBlocks { length, .. } => {
                return cut("encryption header", (*length).into(), available + FIXED as u64);
            }
            State::Data { runs } => {
                return cut("segment", runs.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len)), 0);
            }
        }
        let last = self.end_stream();
        self.state = match &last {
            Ok(_) => State::Finished,
            Err(error) => State::Failed(error.clone()),
        };
        match last {
            Ok(None) => {
                Err(Error::truncated(Format::EfsRaw, self.offset, "metadata stream", STREAM_HEADER as u64, 0))
            }
            last => last,
        }
        .inspect_err(|error| self.state = State::Failed(error.clone()))
    }

    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>> {
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Finished => {
                    return if input.is_empty() {
                        Ok(None)
                    } else {
                        Err(fault(self.offset, "input", 0, "no more input"))
                    };
                }
                State::FileHeader => {
                    let Some(header) = self.gather(input, FILE_HEADER.len()) else { return Ok(None) };
                    let fixed = ELEMENT;
                    if header.get(..fixed) != FILE_HEADER.get(..fixed) {
                        let found = u32_at(&header, 0).unwrap_or_default().into();
                        return Err(fault(0, "file header", found, "0x100 and ROBS; is this an EFS export?"));
                    }
                    self.state = State::Boundary;
                }
                State::Boundary => {
                    let Some(head) = self.gather(input, ELEMENT) else { return Ok(None) };
                    if let Some(event) = self.element(&head)? {
                        return Ok(Some(event));
                    }
                }
                State::StreamHeader { length } => {
                    let length = *length;
                    let Some(rest) = self.gather(input, STREAM_HEADER - ELEMENT) else { return Ok(None) };
                    let flag = u32_at(&rest, 0).unwrap_or_default();
                    let size = u32_at(&rest, 12).unwrap_or_default();
                    let start = self.offset - STREAM_HEADER as u64;
                    if size == 0 || !size.is_multiple_of(2) || size as usize > MAX_NAME_SIZE {
                        return Err(fault(
                            start + 0x18,
                            "Name Length",
                            size.into(),
                            "an even number from 2 to 526",
                        ));
                    }
                    if length < STREAM_HEADER as u32 + size || length > MAX_STREAM_HEADER {
                        return Err(fault(
                            start,
                            "Length of a stream header",
                            length.into(),
                            "28 + Name Length",
                        ));
                    }
                    self.state = State::StreamName { length, flag, size: size as usize };
                }
                State::StreamName { length, flag, size } => {
                    let (length, flag, size) = (*length, *flag, *size);
                    let Some(name) = self.gather(input, size) else { return Ok(None) };
                    let event = self.begin_stream(flag, &name)?;
                    let left = length - (STREAM_HEADER + size) as u32;
                    self.state = State::Skip { left, then: Box::new(State::Boundary) };
                    if event.is_some() {
                        return Ok(event);
                    }
                }
                State::Skip { left, then } => {
                    *left -= skip(input, &mut self.offset, *left);
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = std::mem::replace(then, State::Boundary);
                }
                State::SegmentHeader { length } => {
                    let room = *length - SEGMENT_HEADER as u32;
                    if self.gather(input, SEGMENT_HEADER - ELEMENT).is_none() {
                        return Ok(None);
                    }
                    self.begin_segment(room)?;
                }
                State::Metadata { left } => {
                    let taken = take(input, *left as usize);
                    *left -= taken.len() as u32;
                    self.offset += taken.len() as u64;
                    if let Current::Metadata(bytes) = &mut self.current {
                        bytes.extend_from_slice(taken);
                    }
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Boundary;
                }
                State::EncryptionFixed { room } => {
                    let room = *room;
                    let Some(fixed) = self.gather(input, FIXED).and_then(|held| array_at(&held, 0)) else {
                        return Ok(None);
                    };
                    let (variable, length) = Segment::variable_len(&fixed, room, self.offset - FIXED as u64)?;
                    self.state = State::EncryptionBlocks { fixed, length, variable, room };
                }
                State::EncryptionBlocks { fixed, length, variable, room } => {
                    let (fixed, length, variable, room) = (*fixed, *length, *variable, *room);
                    let Some(held) = self.gather(input, variable) else { return Ok(None) };
                    let start = self.offset - (FIXED + variable) as u64;
                    let segment = Segment::decode(&fixed, &held, room, start)?;
                    self.place(&segment, start)?;
                    let mut runs = segment.runs();
                    runs.reverse();
                    let left = length - (FIXED + variable) as u32;
                    self.state = State::Skip { left, then: Box::new(State::Data { runs }) };
                    return Ok(Some(Event::Segment(segment)));
                }
                State::Data { runs } => {
                    let Some((offset, left)) = runs.last_mut() else {
                        self.state = State::Boundary;
                        continue;
                    };
                    let data = take(input, usize::try_from(*left).unwrap_or(usize::MAX));
                    if data.is_empty() {
                        return Ok(None);
                    }
                    let at = *offset;
                    *offset += data.len() as u64;
                    *left -= data.len() as u64;
                    if *left == 0 {
                        runs.pop();
                    }
                    self.offset += data.len() as u64;
                    return Ok(Some(Event::Data { offset: at, data }));
                }
            }
        }
    }

    /// The next `need` bytes, once they have all come.
    fn gather(&mut self, input: &mut &[u8], need: usize) -> Option<Vec<u8>> {
        let taken = take(input, need - self.held.len());
        self.held.extend_from_slice(taken);
        self.offset += taken.len() as u64;
        (self.held.len() == need).then(|| std::mem::take(&mut self.held))
    }

    /// What follows: a stream header, which ends the stream before it, or a segment.
    fn element(&mut self, head: &[u8]) -> Result<Option<Event<'static>>> {
        let start = self.offset - ELEMENT as u64;
        let length = u32_at(head, 0).unwrap_or_default();
        let signature: [u8; 8] = array_at(head, 4).unwrap_or_default();
        if &signature == STREAM_SIGNATURE {
            self.state = State::StreamHeader { length };
            return self.end_stream();
        }
        if &signature != SEGMENT_SIGNATURE {
            let found = u64::from_le_bytes(signature);
            return Err(fault(
                start + 4,
                "signature",
                found,
                "NTFS or GURE; nothing may follow the last segment",
            ));
        }
        if matches!(self.current, Current::Nothing) {
            return Err(fault(start, "segment", length.into(), "a stream header before it"));
        }
        if length < SEGMENT_HEADER as u32 || length > MAX_SEGMENT {
            return Err(fault(start, "Length of a segment", length.into(), "16 bytes to 16 MiB"));
        }
        self.state = State::SegmentHeader { length };
        Ok(None)
    }

    fn begin_stream(&mut self, flag: u32, name: &[u8]) -> Result<Option<Event<'static>>> {
        let start = self.offset - (STREAM_HEADER + name.len()) as u64;
        let is_first = matches!(self.current, Current::Nothing);
        if name == METADATA_NAME {
            if !is_first {
                return Err(fault(start + 0x1C, "stream name", 0x1910, "one metadata stream only"));
            }
            self.current = Current::Metadata(Vec::new());
            return Ok(None);
        }
        let wrong = |why| Error::name(Format::EfsRaw, start + 0x1C, "stream name", why);
        if is_first {
            return Err(wrong("the first stream is not the metadata stream (0x1910)"));
        }
        let encrypted = match flag {
            0 => true,
            1 => false,
            other => return Err(fault(start + 0x0C, "Flag", other.into(), "0 or 1")),
        };
        let name = read_name(name).ok_or_else(|| wrong("neither ::$DATA nor :name:$DATA"))?;
        if self.names.len() == MAX_STREAMS {
            return Err(fault(start, "number of streams", MAX_STREAMS as u64 + 1, "at most 8192"));
        }
        if !self.names.insert(name.clone()) {
            return Err(wrong("a stream of that name has come already"));
        }
        self.current = Current::Stream { encrypted, next: 0, covered: 0, end: StreamEnd::default() };
        Ok(Some(Event::Stream(StreamHead { name, encrypted })))
    }

    /// Ends the metadata or the stream that is open.
    fn end_stream(&mut self) -> Result<Option<Event<'static>>> {
        match &mut self.current {
            Current::Nothing | Current::Between => Ok(None),
            Current::Metadata(bytes) => {
                let start = self.offset.saturating_sub(bytes.len() as u64);
                check_len(bytes).map_err(|error| error.at(start))?;
                let bytes = std::mem::take(bytes);
                self.current = Current::Between;
                Ok(Some(Event::Metadata(bytes)))
            }
            Current::Stream { encrypted, covered, end, .. } => {
                let gaps = end.gaps || *encrypted && *covered < end.vdl;
                Ok(Some(Event::EndStream(StreamEnd { gaps, ..*end })))
            }
        }
    }

    /// Begins a segment with `room` bytes behind its 16.
    fn begin_segment(&mut self, room: u32) -> Result<()> {
        let start = self.offset - SEGMENT_HEADER as u64;
        self.state = match &mut self.current {
            Current::Metadata(bytes) if bytes.len() + room as usize > MAX_METADATA => {
                let size = bytes.len() as u64 + u64::from(room);
                return Err(fault(start, "size of the metadata", size, "at most 262144 bytes"));
            }
            Current::Metadata(_) => State::Metadata { left: room },
            Current::Stream { encrypted: true, .. } if (room as usize) < FIXED => {
                return Err(fault(
                    start,
                    "Length of a segment",
                    room.into(),
                    "room for an encryption header",
                ));
            }
            Current::Stream { encrypted: true, .. } => State::EncryptionFixed { room },
            Current::Stream { next, end, .. } => {
                let at = *next;
                *next += u64::from(room);
                *end = StreamEnd { size: *next, vdl: *next, sparse: false, gaps: false, open: true };
                State::Data { runs: vec![(at, room.into())] }
            }
            Current::Nothing | Current::Between => {
                return Err(fault(start, "segment", room.into(), "a stream header before it"));
            }
        };
        if let State::Data { runs } = &mut self.state {
            runs.retain(|(_, len)| *len > 0);
        }
        Ok(())
    }

    /// Checks that a segment lies behind those before it, and counts it in.
    fn place(&mut self, segment: &Segment, start: u64) -> Result<()> {
        let Current::Stream { next, covered, end, .. } = &mut self.current else { return Ok(()) };
        if segment.offset < *next {
            let expected = "an offset behind the segment before it";
            return Err(fault(start, "Starting File Offset", segment.offset, expected));
        }
        *next = segment.end();
        end.size = end.size.max(segment.offset + u64::from(segment.len));
        if segment.valid > 0 {
            end.vdl = end.vdl.max(segment.offset + u64::from(segment.valid));
        }
        end.sparse |= segment.sparse;
        for (at, len) in segment.runs() {
            end.gaps |= at > *covered;
            *covered = at + len;
        }
        end.open = segment.len > 0 && segment.len.is_multiple_of(SEGMENT_DATA);
        Ok(())
    }
}

/// A data stream's name without its colons; the outer `None` when it is none.
fn read_name(bytes: &[u8]) -> Option<Option<StreamName>> {
    let mut units = Name::from_utf16_le(bytes)?.units().to_vec();
    while units.last() == Some(&0) {
        units.pop();
    }
    let name = Name::from_units(units);
    if name == Name::from("::$DATA") {
        return Some(None);
    }
    StreamName::from_wire(&name).ok().map(Some)
}

/// Splits up to `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// Passes over up to `most` bytes and answers how many it were.
fn skip(input: &mut &[u8], offset: &mut u64, most: u32) -> u32 {
    let taken = take(input, most as usize).len();
    *offset += taken as u64;
    taken as u32
}
