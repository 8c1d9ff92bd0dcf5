//! A file that came as records, as a source: content waits in a file of the caller's, everything else in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};

use crate::efs::{Encrypted, RawFile, ReadRaw};
use crate::error::{Error, Result};
use crate::host::node::read_at;
use crate::source::{FileSource, LinuxAttribute};
use crate::tree::Content;

/// The most ranges of all streams that are held (24 bytes each).
const MAX_RANGES: usize = 1 << 22;

/// Reads a file out of an archive, or whatever else shows it only once and from begin to end.
pub struct SpooledSource {
    info: FileInfo,
    small: BTreeMap<SmallKind, Vec<u8>>,
    linux_attributes: Vec<(Vec<u8>, Vec<u8>)>,
    streams: Vec<SpooledStream>,
    raw: Option<RawFile<Window>>,
    file: File,
}

struct SpooledStream {
    head: StreamHead,
    /// Where what is of its content, ascending.
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    extent: Extent,
    /// Where it begins in the file.
    at: u64,
}

/// What comes, record after record.
pub struct Spool {
    source: SpooledSource,
    out: BufWriter<File>,
    /// Bytes written so far.
    len: u64,
    ranges: usize,
    /// Where the raw export of an encrypted file begins.
    raw_at: Option<u64>,
}

impl Spool {
    /// A spool into `file`, an empty one that is read and written and that nobody else has.
    ///
    /// # Errors
    /// The file cannot be had twice.
    pub fn new(file: File) -> Result<Self> {
        let out = file.try_clone().map_err(|error| Error::io("using the temporary file", error))?;
        let source = SpooledSource {
            info: FileInfo::default(),
            small: BTreeMap::new(),
            linux_attributes: Vec::new(),
            streams: Vec::new(),
            raw: None,
            file,
        };
        Ok(Self { source, out: BufWriter::with_capacity(1 << 18, out), len: 0, ranges: 0, raw_at: None })
    }

    /// Takes the next record of the file.
    ///
    /// # Errors
    /// It cannot be written, or has more than four million ranges between holes.
    pub fn put(&mut self, record: &Record<'_>) -> Result<()> {
        match record {
            Record::File(info) => self.source.info = (*info).clone(),
            Record::Small(kind, payload) => {
                self.source.small.insert(*kind, payload.to_vec());
            }
            Record::LinuxAttribute { name, value } => {
                self.source.linux_attributes.push((name.to_vec(), value.to_vec()));
            }
            Record::EfsRaw { .. } => self.raw_at = Some(self.len),
            Record::Stream(head) => {
                self.source.streams.push(SpooledStream { head: (*head).clone(), ranges: Vec::new() });
            }
            Record::Bytes { offset, data } => self.bytes(*offset, data)?,
            Record::EndStream { size } if self.raw_at.is_none() => {
                if let Some(stream) = self.source.streams.last_mut() {
                    stream.end(*size);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn bytes(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.out.write_all(data).map_err(writing)?;
        let (at, len) = (self.len, data.len() as u64);
        self.len += len;
        if self.raw_at.is_some() || len == 0 {
            return Ok(());
        }
        let Some(stream) = self.source.streams.last_mut() else { return Ok(()) };
        match stream.ranges.last_mut() {
            // Content comes in order, so that the file has no gaps either.
            Some(last) if last.extent.end() == offset => last.extent.len += len,
            _ => {
                stream.ranges.push(Range { extent: Extent { offset, len }, at });
                self.ranges += 1;
            }
        }
        if self.ranges > MAX_RANGES {
            let why = format!("it has more than {MAX_RANGES} ranges between holes");
            return Err(Error::new(Win32Error::NOT_SUPPORTED, why));
        }
        Ok(())
    }

    /// Takes everything that there is of a file in a tree.
    ///
    /// # Errors
    /// It cannot be read to its end; and those of [`put`](Self::put) and [`finish`](Self::finish).
    pub fn fill(mut self, content: &mut dyn Content) -> Result<SpooledSource> {
        let mut failed = Ok(());
        content.pour(&mut |record| {
            failed = self.put(record);
            failed.is_ok()
        })?;
        failed?;
        self.finish()
    }

    /// The file, which is whole.
    ///
    /// # Errors
    /// It cannot be written, or what should be the raw export of an encrypted file is none (6008).
    pub fn finish(mut self) -> Result<SpooledSource> {
        self.out.flush().map_err(writing)?;
        if let Some(begin) = self.raw_at {
            let file = self.source.file.try_clone().map_err(writing)?;
            let window = Window { file, begin, len: self.len - begin };
            self.source.raw = Some(RawFile::open(window)?);
        }
        Ok(self.source)
    }
}

fn writing(error: std::io::Error) -> Error {
    Error::io("writing a temporary file", error)
}

impl SpooledStream {
    fn end(&mut self, size: u64) {
        self.head.size = size;
        self.head.vdl = self.head.vdl.min(size);
        let whole = [Extent { offset: 0, len: size }];
        let is_whole = self.ranges.iter().map(|range| range.extent).eq(whole) || size == 0;
        self.head.extents = if is_whole { Extents::All } else { Extents::Unknown };
        // Content that stops before the end of a dense stream is one of a shorter valid data length.
        if !self.head.flags.contains(StreamFlags::SPARSE) {
            self.head.extents = Extents::All;
        }
    }

    fn range_behind(&self, from: u64) -> Option<Range> {
        let next = self.ranges.partition_point(|range| range.extent.end() <= from);
        self.ranges.get(next).copied()
    }
}

impl FileSource for SpooledSource {
    fn info(&self) -> Result<FileInfo> {
        Ok(self.info.clone())
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        Ok(self.small.get(&kind).map(|payload| Cow::Borrowed(payload.as_slice())))
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        let attribute = self.linux_attributes.get(index);
        Ok(attribute.map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))))
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        Ok(self.streams.get(index).map(|stream| stream.head.clone()))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        let range = self.streams.get(stream).and_then(|stream| stream.range_behind(from));
        Ok(range.map(|Range { extent, .. }| {
            let offset = extent.offset.max(from);
            Extent { offset, len: extent.end() - offset }
        }))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let Some(stream) = self.streams.get(stream) else {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"));
        };
        let left = stream.head.size.saturating_sub(offset);
        let limit = |bytes: u64, len: usize| usize::try_from(bytes).map_or(len, |bytes| bytes.min(len));
        let len = limit(left, buf.len());
        let Some(range) = stream.range_behind(offset) else {
            buf.get_mut(..len).unwrap_or_default().fill(0);
            return Ok(len);
        };
        if range.extent.offset > offset {
            let gap = limit(range.extent.offset - offset, len);
            buf.get_mut(..gap).unwrap_or_default().fill(0);
            return Ok(gap);
        }
        let len = limit(range.extent.end() - offset, len);
        let buf = buf.get_mut(..len).unwrap_or_default();
        let got = read_at(&self.file, range.at + (offset - range.extent.offset), buf);
        let got = got.map_err(|error| Error::io("reading a temporary file", error).at_offset(offset))?;
        if got < len {
            return Err(Error::new(Win32Error::HANDLE_EOF, "the temporary file has become shorter"));
        }
        Ok(got)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        Ok(self.raw.as_ref().map(|raw| Box::new(raw) as Box<dyn Encrypted>))
    }
}

/// The part of a file that is a raw export.
struct Window {
    file: File,
    begin: u64,
    len: u64,
}

impl ReadRaw for Window {
    fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let left = self.len.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = buf.get_mut(..len).unwrap_or_default();
        self.file.read_raw(self.begin.saturating_add(offset), buf)
    }
}
