//! A raw export, in a file or in memory, as the encrypted file that it came from.

use ntbak_wire::Win32Error;
use ntbak_wire::bytes::copy_at;
use ntbak_wire::efs::{Content, Decoder, Event, Segment, StreamEnd, StreamHead, StreamPlan};
use ntbak_wire::record::Extent;

use super::Encrypted;
use crate::error::{Error, Result};

/// Bytes that are read by position.
pub trait ReadRaw: Send + Sync {
    /// Reads at an offset; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// They cannot be read.
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;
}

impl ReadRaw for [u8] {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        Ok(copy_at(self, offset, buf))
    }
}

impl ReadRaw for Vec<u8> {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.as_slice().read_raw(offset, buf)
    }
}

impl ReadRaw for std::fs::File {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let got = crate::host::node::read_at(self, offset, buf);
        got.map_err(|error| Error::io("reading the raw export", error).at_offset(offset))
    }
}

impl<R: ReadRaw + ?Sized> ReadRaw for &R {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        (**self).read_raw(offset, buf)
    }
}

/// An export whose streams are found by position. It was read once from begin to end, and is whole.
pub struct RawFile<R> {
    raw: R,
    metadata: Vec<u8>,
    streams: Vec<StreamPlan>,
    places: Vec<Vec<Places>>,
}

/// Ranges of a stream at equal distances, each of equal length: those of a stream without holes are one such row.
#[derive(Debug, Clone, Copy)]
struct Places {
    /// Where the first one begins in the stream, and in the raw data.
    offset: u64,
    raw: u64,
    len: u64,
    /// How far one is from the next: in the stream, and in the raw data.
    step: (u64, u64),
    count: u64,
}

/// Bytes read at a time while an export is indexed.
const CHUNK: usize = 1 << 18;
/// The most ranges of all streams of an export: 256 MiB of memory for them.
const MAX_RANGES: usize = 1 << 22;

impl<R: ReadRaw> RawFile<R> {
    /// Reads an export through and remembers where what is.
    ///
    /// # Errors
    /// It cannot be read, or is no export (6008).
    pub fn open(raw: R) -> Result<Self> {
        let mut index = Index::default();
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let got = raw.read_raw(at, &mut buffer)?;
            let mut input = buffer.get(..got).unwrap_or_default();
            if input.is_empty() {
                break;
            }
            at += got as u64;
            while let Some(event) = decoder.next(&mut input)? {
                index.enter(event, decoder.offset())?;
            }
        }
        while let Some(event) = decoder.finish()? {
            index.enter(event, at)?;
        }
        let Index { metadata, streams, places, .. } = index;
        Ok(Self { raw, metadata, streams, places })
    }
}

#[derive(Default)]
struct Index {
    metadata: Vec<u8>,
    streams: Vec<StreamPlan>,
    places: Vec<Vec<Places>>,
    extents: Vec<Extent>,
    /// How many ranges all of them have.
    ranges: usize,
    cluster_shift: Option<u8>,
}

impl Index {
    fn enter(&mut self, event: Event<'_>, end: u64) -> Result<()> {
        match event {
            Event::Metadata(metadata) => self.metadata = metadata,
            Event::Stream(head) => {
                self.streams.push(StreamPlan { head, content: Content::plain(0) });
                self.places.push(Vec::new());
                (self.extents, self.cluster_shift) = (Vec::new(), None);
            }
            Event::Segment(segment) => self.segment(&segment),
            Event::Data { offset, data } => {
                if let Some(places) = self.places.last_mut() {
                    let before = places.len();
                    place(places, offset, end - data.len() as u64, data.len() as u64);
                    self.ranges += places.len() - before;
                }
            }
            Event::EndStream(end) => self.end(end),
        }
        if self.ranges <= MAX_RANGES {
            return Ok(());
        }
        let why = format!("it has more than {MAX_RANGES} ranges between holes");
        Err(Error::new(Win32Error::NOT_SUPPORTED, why).at_offset(end).hint("import it: that needs no index"))
    }

    fn segment(&mut self, segment: &Segment) {
        self.cluster_shift.get_or_insert(segment.cluster_shift);
        for (offset, len) in segment.runs() {
            match self.extents.last_mut() {
                Some(last) if last.end() == offset => last.len += len,
                _ => {
                    self.extents.push(Extent { offset, len });
                    self.ranges += 1;
                }
            }
        }
    }

    fn end(&mut self, end: StreamEnd) {
        let Some(plan) = self.streams.last_mut() else { return };
        plan.content = Content {
            size: end.size,
            vdl: end.vdl,
            cluster_shift: self.cluster_shift.unwrap_or(12),
            extents: (end.sparse || end.gaps).then(|| std::mem::take(&mut self.extents)),
        };
    }
}

/// Adds a range to the places, joined with the last row where it continues that.
fn place(places: &mut Vec<Places>, offset: u64, raw: u64, len: u64) {
    if let Some(last) = places.last_mut() {
        let begin = (last.offset + last.step.0 * (last.count - 1), last.raw + last.step.1 * (last.count - 1));
        // Directly behind it: the same range, cut by the buffer.
        if (begin.0 + last.len, begin.1 + last.len) == (offset, raw) {
            let whole = Places { offset: begin.0, raw: begin.1, len: last.len + len, step: (0, 0), count: 1 };
            match last.count {
                1 => *last = whole,
                _ => {
                    last.count -= 1;
                    places.push(whole);
                }
            }
            return;
        }
        let step = (offset - begin.0, raw - begin.1);
        if len == last.len && (last.count == 1 || step == last.step) {
            (last.step, last.count) = (step, last.count + 1);
            return;
        }
    }
    places.push(Places { offset, raw, len, step: (0, 0), count: 1 });
}

impl<R: ReadRaw> Encrypted for RawFile<R> {
    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.streams
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (Some(places), Some(plan)) = (self.places.get(stream), self.streams.get(stream)) else {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"));
        };
        let size = if plan.head.encrypted {
            plan.content.size.next_multiple_of(ntbak_wire::efs::SECTOR)
        } else {
            plan.content.size
        };
        let len = usize::try_from(size.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = buf.get_mut(..len).unwrap_or_default();
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset + filled as u64;
            let (raw, want) = find(places, at, rest.len());
            let rest = rest.get_mut(..want).unwrap_or_default();
            match raw {
                None => rest.fill(0),
                Some(raw) if self.raw.read_raw(raw, rest)? < want => {
                    return Err(Error::new(Win32Error::HANDLE_EOF, "the raw export has become shorter"));
                }
                Some(_) => {}
            }
            filled += want;
        }
        Ok(filled)
    }
}

/// Where the byte of the stream at `at` is in the raw data (`None` in a hole), and for how many bytes, at most `len`, that
/// holds.
fn find(places: &[Places], at: u64, len: usize) -> (Option<u64>, usize) {
    let limit = |bytes: u64| usize::try_from(bytes).map_or(len, |bytes| bytes.min(len));
    let behind = places.partition_point(|row| row.offset <= at);
    let next = places.get(behind).map(|row| row.offset);
    let gap = |next: Option<u64>| (None, next.map_or(len, |next| limit(next - at)));
    let Some(row) = behind.checked_sub(1).and_then(|row| places.get(row)) else { return gap(next) };
    let number = if row.count == 1 { 0 } else { ((at - row.offset) / row.step.0.max(1)).min(row.count - 1) };
    let begin = row.offset + number * row.step.0;
    if at - begin < row.len {
        return (Some(row.raw + number * row.step.1 + (at - begin)), limit(begin + row.len - at));
    }
    if number + 1 < row.count { gap(Some(begin + row.step.0)) } else { gap(next) }
}

impl<R> std::fmt::Debug for RawFile<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<Option<&StreamHead>> = self.streams.iter().map(|plan| Some(&plan.head)).collect();
        f.debug_struct("RawFile").field("streams", &names).finish_non_exhaustive()
    }
}
