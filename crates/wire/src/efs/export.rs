//! A whole export, planned: which segments a stream is cut into, and the pieces one after the other.
//!
//! | content | is written as |
//! | --- | --- |
//! | empty | a stream header, no segment |
//! | encrypted | a segment of one block for each 64 KiB; the unit is the block's size, rounded up to a power of two |
//! | past the valid data length | blocks of size 0, up to 113 units of 64 KiB in one segment |
//! | sparse | units of 16 clusters, 64 KiB at most; up to 113 in a segment, with 64 KiB of ciphertext at most |
//! | not encrypted | segments of at most 64 KiB |
//!
//! The second row is what Windows 10 was seen to write. The others follow \[MS-EFSR\] 2.2.3.3; how Windows itself cuts
//! holes is not known, and what we write is our choice.

use std::collections::VecDeque;

use super::segment::{CANONICAL_BLOCKS, CANONICAL_SEGMENT, SECTOR, SEGMENT_DATA};
use super::{Encoder, FILE_HEADER, SEGMENT_HEADER, STREAM_HEADER, Segment, StreamHead, fault};
use crate::error::Result;
use crate::record::Extent;

/// log2 of 64 KiB: the largest unit that is written, and the most that one segment holds.
const SEGMENT_SHIFT: u8 = SEGMENT_DATA.trailing_zeros() as u8;
/// log2 of the 16 clusters of a compression unit, of which holes are multiples.
const COMPRESSION_SHIFT: u8 = 4;

/// A stream to be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// Name, and whether it is encrypted.
    pub head: StreamHead,
    /// What it holds.
    pub content: Content,
}

/// Sizes and holes of a stream to be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Size in bytes, below 2^63 − 2^16.
    pub size: u64,
    /// Valid data length in bytes, at most `size`. Of no meaning for a stream that is not encrypted.
    pub vdl: u64,
    /// log2 of the cluster size of the volume: 9 to 21; 12 where it is not known.
    pub cluster_shift: u8,
    /// Of a sparse stream, the ranges that have ciphertext: ascending, disjoint, in multiples of 512 (the last one may
    /// end at the end of the stream).
    pub extents: Option<Vec<Extent>>,
}

impl Content {
    /// Content without holes, all of it valid, on a volume with clusters of 4 KiB.
    #[must_use]
    pub fn plain(size: u64) -> Self {
        Self { size, vdl: size, cluster_shift: 12, extents: None }
    }
}

/// The segments of an encrypted stream, one after the other.
#[derive(Debug, Clone)]
pub struct Segments {
    size: u64,
    vdl: u64,
    cluster_shift: u8,
    /// log2 of the unit of a sparse stream; `None` when it is not sparse.
    sparse: Option<u8>,
    extents: VecDeque<Extent>,
    at: u64,
}

impl Segments {
    /// Plans the segments of a stream.
    ///
    /// # Errors
    /// A size that no stream has, extents that overlap, are out of order, or do not begin and end at sectors.
    pub fn new(content: &Content) -> Result<Self> {
        if content.size > i64::MAX as u64 - u64::from(SEGMENT_DATA) {
            return Err(fault(0, "size of a stream", content.size, "less than 2^63 - 2^16"));
        }
        let (sparse, extents) = match &content.extents {
            None => (None, vec![Extent { offset: 0, len: content.size }]),
            Some(extents) => {
                let extents = joined(extents);
                (Some(unit_shift(&extents, content)?), extents)
            }
        };
        let vdl = content.vdl.min(content.size);
        let cluster_shift = content.cluster_shift;
        Ok(Self { size: content.size, vdl, cluster_shift, sparse, extents: extents.into(), at: 0 })
    }

    /// Bytes of all segments, without making them: a hole may stand for any number.
    fn encoded_len(&self) -> u64 {
        let unit = 1_u64 << self.sparse.unwrap_or(SEGMENT_SHIFT);
        let (valid, units) = (self.vdl.next_multiple_of(SECTOR), self.size.div_ceil(unit));
        let mut packed = Packed { sparse: self.sparse.is_some(), ..Packed::default() };
        let mut next = 0;
        for extent in self.extents.iter().filter(|extent| extent.offset < valid) {
            let begin = (extent.offset / unit).max(next);
            let end = extent.end().min(valid).div_ceil(unit).min(units);
            if begin >= end {
                continue;
            }
            packed.put(begin - next, 0);
            // The unit in which the valid data end has what there is of it.
            let last = (valid - (end - 1) * unit).min(unit);
            packed.put(end - begin - 1, unit);
            packed.put(1, last);
            next = end;
        }
        packed.put(units - next, 0);
        packed.bytes
    }

    /// How many bytes of ciphertext the unit at `at` has.
    fn block(&mut self, at: u64, unit: u64) -> u32 {
        while self.extents.front().is_some_and(|extent| extent.end() <= at) {
            self.extents.pop_front();
        }
        let end = self.vdl.next_multiple_of(SECTOR).min(at + unit);
        match self.extents.front() {
            Some(extent) if extent.offset < end => end.saturating_sub(at) as u32,
            _ => 0,
        }
    }
}

/// The extents with those joined that touch, so that the plan does not depend on how they were told.
fn joined(extents: &[Extent]) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents.iter().filter(|extent| extent.len > 0) {
        match joined.last_mut() {
            Some(last) if last.end() == extent.offset => last.len = last.len.saturating_add(extent.len),
            _ => joined.push(*extent),
        }
    }
    joined
}

/// The largest unit, at most the volume's compression unit, whose multiples all holes begin and end at.
fn unit_shift(extents: &[Extent], content: &Content) -> Result<u8> {
    // Nothing depends on the cluster size that an export tells, so it may be anything.
    let most = SECTOR.trailing_zeros() as u8..=SEGMENT_SHIFT;
    let mut shift = content.cluster_shift.saturating_add(COMPRESSION_SHIFT).clamp(*most.start(), *most.end());
    let mut next = 0;
    for extent in extents {
        let end =
            extent.offset.checked_add(extent.len).filter(|end| *end <= content.size.next_multiple_of(SECTOR));
        let Some(end) = end else {
            return Err(fault(0, "end of an extent", extent.end(), "at most the size of the stream"));
        };
        if extent.offset < next {
            return Err(fault(0, "offset of an extent", extent.offset, "ascending and disjoint extents"));
        }
        if !extent.offset.is_multiple_of(SECTOR) {
            return Err(fault(0, "offset of an extent", extent.offset, "a multiple of 512"));
        }
        for edge in [extent.offset, end] {
            if edge < content.vdl.min(content.size) {
                shift = shift.min(edge.trailing_zeros() as u8);
            }
        }
        next = end;
    }
    if u64::from(shift) < SECTOR.trailing_zeros().into() {
        return Err(fault(0, "edge of an extent", next, "a multiple of 512"));
    }
    Ok(shift)
}

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let left = self.size.checked_sub(self.at).filter(|left| *left > 0)?;
        let mut segment = Segment {
            offset: self.at,
            cluster_shift: self.cluster_shift,
            sparse: self.sparse.is_some(),
            unit_shift: self.sparse.unwrap_or(SEGMENT_SHIFT),
            ..Segment::default()
        };
        let unit = 1_u64 << segment.unit_shift;
        let mut stored = 0;
        let mut at = self.at;
        while at < self.size && segment.blocks.len() < CANONICAL_BLOCKS {
            let block = self.block(at, unit);
            // Without holes, a segment is one block of ciphertext or a run of units that have none.
            let is_full = if self.sparse.is_some() {
                stored + block > SEGMENT_DATA
            } else {
                !segment.blocks.is_empty() && stored + block > 0
            };
            if is_full {
                break;
            }
            stored += block;
            segment.blocks.push(block);
            at += unit;
        }
        self.at = at;
        segment.len = left.min(at - segment.offset) as u32;
        segment.valid = self.vdl.saturating_sub(segment.offset).min(segment.len.into()) as u32;
        if self.sparse.is_none() && segment.blocks.len() == 1 {
            let size = u64::from(segment.len).next_multiple_of(SECTOR).next_power_of_two();
            segment.unit_shift = size.trailing_zeros() as u8;
        }
        Some(segment)
    }
}

/// Counts the bytes of segments, as the iterator cuts them.
#[derive(Debug, Default)]
struct Packed {
    sparse: bool,
    bytes: u64,
    /// Units of the last segment, and bytes of ciphertext in it.
    blocks: u64,
    stored: u64,
}

impl Packed {
    /// Adds units with a block of this size each.
    fn put(&mut self, count: u64, block: u64) {
        let most = |stored: u64| match (self.sparse, block) {
            (_, 0) => CANONICAL_BLOCKS as u64,
            (true, block) => (u64::from(SEGMENT_DATA) - stored) / block,
            (false, _) => 1,
        };
        let alone = !self.sparse && self.blocks > 0 && self.stored + block > 0;
        let room = if alone || self.blocks == 0 {
            0
        } else {
            most(self.stored).min(CANONICAL_BLOCKS as u64 - self.blocks)
        };
        let here = count.min(room);
        (self.blocks, self.stored) = (self.blocks + here, self.stored + here * block);
        let per_segment = most(0).min(CANONICAL_BLOCKS as u64);
        let segments = (count - here).div_ceil(per_segment);
        if segments > 0 {
            let blocks = count - here - (segments - 1) * per_segment;
            (self.blocks, self.stored) = (blocks, blocks * block);
        }
        let headers = segments.saturating_mul(CANONICAL_SEGMENT as u64);
        self.bytes = self.bytes.saturating_add(headers).saturating_add(count.saturating_mul(block));
    }
}

/// A piece of an export, in the order of the raw data.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These bytes: headers and metadata, at most 256 KiB and a little.
    Bytes(&'a [u8]),
    /// This range of the content of a stream, as it is stored: ciphertext in multiples of 512 (the last sector is
    /// whole though the stream ends in it), or plain bytes. At most 64 KiB.
    Data {
        /// Which of the streams that [`Export::new`] was given.
        stream: usize,
        /// Where in it.
        offset: u64,
        /// How many bytes.
        len: u32,
    },
}

/// An export, given piece by piece to whoever asks: a callback, a pipe, or a buffer.
///
/// It holds the metadata and one header at a time.
#[derive(Debug)]
pub struct Export {
    encoder: Encoder,
    metadata: Vec<u8>,
    streams: Vec<StreamPlan>,
    state: State,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Metadata,
    Stream(usize),
    Segments(usize, Segments),
    Runs { stream: usize, segments: Segments, runs: VecDeque<(u64, u64)> },
    Plain { stream: usize, at: u64, announced: bool },
}

impl Export {
    /// Plans an export.
    ///
    /// # Errors
    /// Metadata of a wrong size, two streams of one name, or content that [`Segments::new`] refuses.
    pub fn new(metadata: Vec<u8>, streams: Vec<StreamPlan>) -> Result<Self> {
        let mut trial = Encoder::new();
        trial.metadata(&metadata, &mut Vec::new())?;
        for plan in &streams {
            trial.stream(&plan.head, &mut Vec::new())?;
            Segments::new(&plan.content)?;
        }
        Ok(Self { encoder: Encoder::new(), metadata, streams, state: State::Metadata, buffer: Vec::new() })
    }

    /// The size of the whole export in bytes. Takes time in proportion to the number of extents, whatever the sizes are.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        let head = FILE_HEADER.len() + STREAM_HEADER + 2 + SEGMENT_HEADER + self.metadata.len();
        self.streams.iter().fold(head as u64, |sum: u64, plan| {
            let name = plan.head.name.as_ref().map_or(7, |name| name.name().units().len() + 7);
            let segments: u64 = if plan.head.encrypted {
                Segments::new(&plan.content).map_or(0, |segments| segments.encoded_len())
            } else {
                let count = plan.content.size.div_ceil(SEGMENT_DATA.into());
                plan.content.size + count * SEGMENT_HEADER as u64
            };
            sum.saturating_add((STREAM_HEADER + name * 2) as u64).saturating_add(segments)
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// None that [`new`](Self::new) did not give already.
    // Not an iterator: the piece borrows from the buffer of headers.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Piece<'_>>> {
        self.buffer.clear();
        loop {
            match std::mem::replace(&mut self.state, State::Stream(usize::MAX)) {
                State::Metadata => {
                    self.encoder.metadata(&self.metadata, &mut self.buffer)?;
                    self.state = State::Stream(0);
                    return Ok(Some(Piece::Bytes(&self.buffer)));
                }
                State::Stream(stream) => {
                    let Some(plan) = self.streams.get(stream) else { return Ok(None) };
                    self.encoder.stream(&plan.head, &mut self.buffer)?;
                    self.state = if plan.head.encrypted {
                        State::Segments(stream, Segments::new(&plan.content)?)
                    } else {
                        State::Plain { stream, at: 0, announced: false }
                    };
                    return Ok(Some(Piece::Bytes(&self.buffer)));
                }
                State::Segments(stream, mut segments) => {
                    let Some(segment) = segments.next() else {
                        self.state = State::Stream(stream + 1);
                        continue;
                    };
                    self.encoder.segment(&segment, &mut self.buffer)?;
                    let runs = segment.runs().into();
                    self.state = State::Runs { stream, segments, runs };
                    return Ok(Some(Piece::Bytes(&self.buffer)));
                }
                State::Runs { stream, segments, mut runs } => {
                    let Some((offset, len)) = runs.pop_front() else {
                        self.state = State::Segments(stream, segments);
                        continue;
                    };
                    self.encoder.pass(len)?;
                    self.state = State::Runs { stream, segments, runs };
                    return Ok(Some(Piece::Data { stream, offset, len: len as u32 }));
                }
                State::Plain { stream, at, announced } => {
                    let size = self.streams.get(stream).map_or(0, |plan| plan.content.size);
                    let len = size.saturating_sub(at).min(SEGMENT_DATA.into());
                    if len == 0 {
                        self.state = State::Stream(stream + 1);
                        continue;
                    }
                    if !announced {
                        self.encoder.plain_segment(len as u32, &mut self.buffer)?;
                        self.state = State::Plain { stream, at, announced: true };
                        return Ok(Some(Piece::Bytes(&self.buffer)));
                    }
                    self.encoder.pass(len)?;
                    self.state = State::Plain { stream, at: at + len, announced: false };
                    return Ok(Some(Piece::Data { stream, offset: at, len: len as u32 }));
                }
            }
        }
    }
}
