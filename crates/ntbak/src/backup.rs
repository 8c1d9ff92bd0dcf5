//! From a source to records: which facts, in which order.
//!
//! The order is SECURITY, EA, REPARSE, DATA, ALTERNATE…, OBJECT_ID: legal, and the one that go-winio can stream.

use std::borrow::Cow;

use ntbak_wire::record::{Extent, Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::efs::ExportReader;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::source::{Facet, FileSource};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// More attributes than the 64 KiB of names that Linux lists can be.
const MAX_LINUX_ATTRIBUTES: usize = 65_536;

/// The most extents of one stream that are held when a sink wants them first (16 bytes each); behind them, the rest
/// of the stream is taken as one extent.
const MAX_EXTENTS: usize = 1 << 20;

/// Records that come one after the other, each borrowing from the one who gives it.
pub trait Records {
    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// The source cannot be read.
    fn next(&mut self) -> Result<Option<Record<'_>>>;
}

/// One step of reading a file, in the order of a backup.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A small payload has its turn, if the file has one.
    Small(SmallKind),
    /// A data stream begins.
    Stream { index: usize, head: StreamHead },
    /// An allocated range of it, when it is in blocks.
    Block(Extent),
    /// It is complete.
    EndStream { size: u64 },
}

/// The order of a backup as a cursor that holds only a position.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Walk(Turn);

#[derive(Debug, Clone, Copy)]
enum Turn {
    Small(SmallKind),
    Stream(usize),
    ObjectId,
    /// In a stream of this size; blocks are asked for from this offset on.
    Content {
        index: usize,
        size: u64,
        blocks_from: Option<u64>,
    },
    End,
}

impl Default for Turn {
    fn default() -> Self {
        Self::Small(SmallKind::Security)
    }
}

impl Walk {
    /// The next step; on an error the cursor stands where it stood.
    pub(crate) fn next(&mut self, source: &dyn FileSource) -> Result<Option<Step>> {
        let (step, turn) = match self.0 {
            Turn::Small(kind) => {
                let next = match kind {
                    SmallKind::Security => Turn::Small(SmallKind::Ea),
                    SmallKind::Ea => Turn::Small(SmallKind::Reparse),
                    SmallKind::Reparse => Turn::Stream(0),
                    SmallKind::ObjectId | SmallKind::Link => Turn::End,
                };
                (Step::Small(kind), next)
            }
            Turn::ObjectId => (Step::Small(SmallKind::ObjectId), Turn::End),
            Turn::Stream(index) => match source.stream(index)? {
                None => (Step::Small(SmallKind::ObjectId), Turn::End),
                Some(head) => {
                    let blocks_from = (head.extents != Extents::All).then_some(0);
                    let turn = Turn::Content { index, size: head.size, blocks_from };
                    (Step::Stream { index, head }, turn)
                }
            },
            Turn::Content { index, size, blocks_from } => {
                let block = match blocks_from {
                    Some(from) => next_extent(source, index, from, size)?,
                    None => None,
                };
                match block {
                    Some(extent) => {
                        let blocks_from = Some(extent.end());
                        (Step::Block(extent), Turn::Content { index, size, blocks_from })
                    }
                    None => (Step::EndStream { size }, Turn::Stream(index + 1)),
                }
            }
            Turn::End => return Ok(None),
        };
        self.0 = turn;
        Ok(Some(step))
    }
}

/// The next extent with a byte in it, cut at `size`: that was told already, so a source that grows is cut there.
fn next_extent(source: &dyn FileSource, index: usize, mut from: u64, size: u64) -> Result<Option<Extent>> {
    while from < size {
        let Some(extent) = source.next_extent(index, from)?.filter(|extent| extent.offset < size) else {
            break;
        };
        let begin = extent.offset.max(from);
        let end = extent.end().min(size);
        if begin < end {
            return Ok(Some(Extent { offset: begin, len: end - begin }));
        }
        from = end.max(from + 1);
    }
    Ok(None)
}

/// Fails where a file is encrypted and its source gives no plaintext.
///
/// # Errors
/// Win32 error 5 for an encrypted file; never for a directory, whose own streams fail by themselves.
pub(crate) fn refuse_encrypted(info: &FileInfo) -> Result<()> {
    let encrypted = info.attributes.contains(FileAttributes::ENCRYPTED);
    if !encrypted || info.attributes.is_directory() {
        return Ok(());
    }
    Err(Error::new(Win32Error::ACCESS_DENIED, "the file is encrypted (EFS), and there is no key to open it")
        .hint("`ntbak efs export` backs it up as it is"))
}

bitflags::bitflags! {
    /// Parts of a file that can be left out by themselves. Attributes and times cannot.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Parts: u8 {
        /// The content; of an encrypted file all its streams, which are in one export.
        const DATA = 1 << 0;
        /// Alternate data streams.
        const ADS = 1 << 1;
        /// The security descriptor.
        const SECURITY = 1 << 2;
        /// Extended attributes.
        const EA = 1 << 3;
        /// The reparse point.
        const REPARSE = 1 << 4;
        /// The object id.
        const OBJECT_ID = 1 << 5;
    }
}

impl Parts {
    /// The part that a small payload is.
    #[must_use]
    pub fn of(kind: SmallKind) -> Self {
        match kind {
            SmallKind::Security => Self::SECURITY,
            SmallKind::Ea => Self::EA,
            SmallKind::Reparse => Self::REPARSE,
            SmallKind::ObjectId => Self::OBJECT_ID,
            SmallKind::Link => Self::empty(),
        }
    }

    /// The part that a data stream is.
    #[must_use]
    pub fn of_stream(head: &StreamHead) -> Self {
        if head.name.is_some() { Self::ADS } else { Self::DATA }
    }
}

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackupOptions {
    /// Find out all extents of a sparse stream before its content, for a sink that wants them first.
    pub extents_first: bool,
    /// Pass the part of a stream behind its valid data length over, for a sink that keeps that length.
    pub stop_at_vdl: bool,
    /// Give the object id before the streams, for a sink whose header stands before the content.
    pub small_first: bool,
    /// Give streams without their content, for who only wants to know what there is.
    pub no_content: bool,
    /// Parts that are left out, and not read.
    pub without: Parts,
}

/// The records of one file.
pub struct FileRecords<'s> {
    source: &'s dyn FileSource,
    report: FileReport<'s>,
    options: BackupOptions,
    walk: Walk,
    state: State,
    info: Cow<'s, FileInfo>,
    head: StreamHead,
    index: usize,
    /// The next of the extents of `head`, while a stream is read whose extents were found out first.
    known: Option<usize>,
    buffer: Vec<u8>,
    /// The file is encrypted, and travels as it is stored.
    raw: Option<ExportReader<'s>>,
    /// The object id had its turn.
    id_given: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Begin,
    /// The attributes of Linux, from this number on.
    Linux(usize),
    Walk,
    /// The raw export of an encrypted file, from this byte on; `None` before it has begun.
    Raw(Option<u64>),
    /// A stream ends whose content is not wanted.
    EndStream {
        size: u64,
    },
    /// Content that is still to be read, up to this end.
    Content {
        offset: u64,
        end: u64,
    },
    /// The source has ended before this end: zeros come instead.
    Missing {
        offset: u64,
        end: u64,
    },
    Done,
}

impl<'s> FileRecords<'s> {
    /// The records of `source`; what it cannot give goes to `report`.
    ///
    /// # Errors
    /// The source cannot be read, or is encrypted.
    pub fn new(source: &'s dyn FileSource, options: BackupOptions, report: FileReport<'s>) -> Result<Self> {
        let info = source.info()?;
        Self::with_info(source, Cow::Owned(info), options, report)
    }

    /// The same, where the basic information is known already.
    pub(crate) fn with_info(
        source: &'s dyn FileSource,
        info: Cow<'s, FileInfo>,
        options: BackupOptions,
        report: FileReport<'s>,
    ) -> Result<Self> {
        let encrypted = match info.attributes.contains(FileAttributes::ENCRYPTED) {
            true => match source.encrypted() {
                // A directory has more than its encryption, which is all that is lost here.
                Err(error) if info.attributes.is_directory() => {
                    report.loss(LossKind::Efs, error.reason());
                    None
                }
                Ok(None) if info.attributes.is_directory() => {
                    report.loss(LossKind::Efs, "the place does not give what EFS keeps of the directory");
                    None
                }
                encrypted => encrypted?,
            },
            false => None,
        };

        if encrypted.is_none() {
            refuse_encrypted(&info)?;
        }
        let raw = match encrypted.filter(|_| !options.without.contains(Parts::DATA)) {
            Some(encrypted) => Some(ExportReader::new(encrypted)?),
            None => None,
        };
        source.remarks(Facet::All, &report)?;
        let head = StreamHead::plain(None, 0);
        let (walk, state, buffer) = (Walk::default(), State::Begin, Vec::new());
        let id_given = false;
        Ok(Self {
            source,
            report,
            options,
            walk,
            state,
            info,
            head,
            index: 0,
            known: None,
            buffer,
            raw,
            id_given,
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> &'s dyn FileSource {
        self.source
    }

    /// Attributes, times and names of the file.
    #[must_use]
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// What there is to read of the current stream from its beginning, when it is not in blocks.
    fn begin_stream(&mut self, index: usize, mut head: StreamHead) -> Result<()> {
        if self.options.extents_first && head.extents == Extents::Unknown {
            head.extents = Extents::Known(self.extents(index, &head)?);
        }
        self.known = matches!(head.extents, Extents::Known(_)).then_some(0);
        if head.extents == Extents::All {
            let end = if self.options.stop_at_vdl { head.vdl.min(head.size) } else { head.size };
            self.state = State::Content { offset: 0, end };
        }
        (self.index, self.head) = (index, head);
        Ok(())
    }

    fn extents(&self, index: usize, head: &StreamHead) -> Result<Vec<Extent>> {
        let mut extents = Vec::new();
        let mut from = 0;
        while let Some(extent) = next_extent(self.source, index, from, head.size)? {
            from = extent.end();
            if extents.len() == MAX_EXTENTS {
                let len = head.size - extent.offset;
                extents.push(Extent { offset: extent.offset, len });
                self.report
                    .note(head.name.as_ref(), "more than 1,048,576 ranges: the last ones are taken as one");
                break;
            }
            extents.push(extent);
        }
        Ok(extents)
    }

    /// The next block of a stream whose extents are known, or its end.
    fn next_known(&mut self) -> Record<'static> {
        let next = self.known.take().unwrap_or(0);
        if let Extents::Known(extents) = &self.head.extents
            && let Some(extent) = extents.get(next)
        {
            self.known = Some(next + 1);
            self.state = State::Content { offset: extent.offset, end: extent.end() };
            return Record::Block(*extent);
        }
        self.walk.skip_stream();
        Record::EndStream { size: self.head.size }
    }

    /// The next piece of content, where no reading is needed.
    fn in_memory(&self, offset: u64, end: u64) -> Option<&'s [u8]> {
        let content = self.source.in_memory(self.index)?;
        let (offset, end) = (usize::try_from(offset).ok()?, usize::try_from(end).ok()?);
        let piece = content.get(offset..end.min(content.len()))?;
        Some(piece).filter(|piece| !piece.is_empty())
    }

    /// Reads the next piece of content into the buffer: how many bytes.
    fn read(&mut self, offset: u64, end: u64) -> Result<usize> {
        let want = usize::try_from(end - offset).map_or(CHUNK, |want| want.min(CHUNK));
        self.source
            .read_piece(self.index, offset, want, &mut self.buffer)
            .map_err(|error| error.in_stream(self.head.name.as_ref()).at_offset(offset))
    }

    /// The next attribute of Linux, from this number on; one that cannot be read is a loss, and the next has its turn.
    fn linux_attribute(&mut self, mut index: usize) -> Option<Record<'s>> {
        while index <= MAX_LINUX_ATTRIBUTES {
            match self.source.linux_attribute(index) {
                Ok(None) => break,
                Ok(Some((name, value))) => {
                    self.state = State::Linux(index + 1);
                    return Some(Record::LinuxAttribute { name, value });
                }
                Err(error) => self.report.loss(LossKind::LinuxAttribute, error.reason()),
            }
            index += 1;
        }
        None
    }

    /// A small payload; one that cannot be read is a loss, and the rest of the file goes on.
    fn small(&self, kind: SmallKind) -> Option<Cow<'s, [u8]>> {
        if self.options.without.contains(Parts::of(kind)) && kind != SmallKind::Link {
            return None;
        }
        let loss = match kind {
            SmallKind::Security => LossKind::Security,
            SmallKind::Ea => LossKind::Ea,
            SmallKind::Reparse => LossKind::Reparse,
            SmallKind::ObjectId => LossKind::ObjectId,
            SmallKind::Link => LossKind::Link,
        };
        match self.source.small(kind) {
            Ok(payload) => payload,
            Err(error) => {
                self.report.loss(loss, error.reason());
                None
            }
        }
    }
}

impl Records for FileRecords<'_> {
    fn next(&mut self) -> Result<Option<Record<'_>>> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Begin => {
                    self.state = State::Linux(0);
                    return Ok(Some(Record::File(&self.info)));
                }
                State::Linux(index) => match self.linux_attribute(index) {
                    Some(record) => return Ok(Some(record)),
                    None => self.state = State::Walk,
                },
                State::EndStream { size } => {
                    self.state = State::Walk;
                    return Ok(Some(Record::EndStream { size }));
                }
                State::Content { offset, end } if offset >= end => self.state = State::Walk,
                State::Content { offset, end } => {
                    if self.report.to.cancelled() {
                        return Err(Error::new(Win32Error::OPERATION_ABORTED, "cancelled"));
                    }
                    if let Some(data) = self.in_memory(offset, end) {
                        self.state = State::Content { offset: offset + data.len() as u64, end };
                        return Ok(Some(Record::Bytes { offset, data }));
                    }
                    let got = self.read(offset, end)?;
                    if got == 0 {
                        let why = format!(
                            "it shrank from {end} to {offset} bytes while it was read; zeros instead"
                        );
                        self.report.stream_loss(self.head.name.as_ref(), LossKind::Content, why);
                        self.buffer.fill(0);
                        self.state = State::Missing { offset, end };
                        continue;
                    }
                    self.state = State::Content { offset: offset + got as u64, end };
                    let data = self.buffer.get(..got).unwrap_or_default();
                    return Ok(Some(Record::Bytes { offset, data }));
                }
                State::Missing { offset, end } if offset >= end => self.state = State::Walk,
                State::Missing { offset, end } => {
                    let len = usize::try_from(end - offset).map_or(CHUNK, |len| len.min(self.buffer.len()));
                    self.state = State::Missing { offset: offset + len as u64, end };
                    let data = self.buffer.get(..len).unwrap_or_default();
                    return Ok(Some(Record::Bytes { offset, data }));
                }
                State::Raw(None) => {
                    self.state = State::Raw(Some(0));
                    return Ok(Some(Record::EfsRaw { size: self.raw.as_ref().map(ExportReader::size) }));
                }
                State::Raw(Some(0)) if self.options.no_content => {
                    self.walk = Walk(Turn::ObjectId);
                    self.state = State::Walk;
                    let size = self.raw.as_ref().map_or(0, ExportReader::size);
                    return Ok(Some(Record::EndStream { size }));
                }
                State::Raw(Some(offset)) => {
                    if self.report.to.cancelled() {
                        return Err(Error::new(Win32Error::OPERATION_ABORTED, "cancelled"));
                    }
                    self.buffer.resize(CHUNK, 0);
                    let got = self.raw.as_mut().map_or(Ok(0), |raw| raw.read(&mut self.buffer))?;
                    if got == 0 {
                        self.walk = Walk(Turn::ObjectId);
                        self.state = State::Walk;
                        return Ok(Some(Record::EndStream { size: offset }));
                    }
                    self.state = State::Raw(Some(offset + got as u64));
                    let data = self.buffer.get(..got).unwrap_or_default();
                    return Ok(Some(Record::Bytes { offset, data }));
                }
                State::Walk if self.options.small_first && !self.id_given && self.walk.is_at_streams() => {
                    self.id_given = true;
                    if let Some(payload) = self.small(SmallKind::ObjectId) {
                        return Ok(Some(Record::Small(SmallKind::ObjectId, payload)));
                    }
                }
                State::Walk if self.raw.is_some() && self.walk.is_at_streams() => {
                    self.state = State::Raw(None)
                }
                State::Walk if self.known.is_some() => return Ok(Some(self.next_known())),
                State::Walk => match self.walk.next(self.source)? {
                    None => {
                        self.state = State::Done;
                        return Ok(Some(Record::EndFile));
                    }
                    Some(Step::Small(SmallKind::ObjectId)) if self.id_given => {}
                    Some(Step::Small(kind)) => {
                        if let Some(payload) = self.small(kind) {
                            return Ok(Some(Record::Small(kind, payload)));
                        }
                    }
                    Some(Step::Stream { head, .. })
                        if self.options.without.contains(Parts::of_stream(&head)) =>
                    {
                        self.walk.skip_stream();
                    }
                    Some(Step::Stream { index, head }) => {
                        if head.flags.contains(StreamFlags::ENCRYPTED) {
                            let why = "it is encrypted, and there is no key to open it";
                            self.report.stream_loss(head.name.as_ref(), LossKind::Stream, why);
                            self.walk.skip_stream();
                            continue;
                        }
                        self.begin_stream(index, head)?;
                        if self.options.no_content {
                            self.known = None;
                            self.walk.skip_stream();
                            let size = self.head.size;
                            self.state = State::EndStream { size };
                        }
                        return Ok(Some(Record::Stream(&self.head)));
                    }
                    Some(Step::Block(extent)) => {
                        self.state = State::Content { offset: extent.offset, end: extent.end() };
                        return Ok(Some(Record::Block(extent)));
                    }
                    Some(Step::EndStream { size }) => return Ok(Some(Record::EndStream { size })),
                },
            }
        }
    }
}

impl Walk {
    /// Whether the data streams come next.
    fn is_at_streams(self) -> bool {
        matches!(self.0, Turn::Stream(0))
    }

    /// Leaves the stream that has just begun.
    fn skip_stream(&mut self) {
        if let Turn::Content { index, .. } = self.0 {
            self.0 = Turn::Stream(index + 1);
        }
    }
}
