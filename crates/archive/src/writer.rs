//! From records to an archive, forward only: the mirror of [`reader`](crate::reader).
//!
//! A file's header stands before its content, and a tar archive is never gone back in. So what belongs into the header
//! must come first:
//!
//! * the extents of a stream ([`ArchiveWriter::EXTENTS_FIRST`]): [`Extents::Unknown`] is refused when there is content;
//! * the small payloads: one that comes behind the content is kept in an entry of its own behind its file.

use std::borrow::Cow;
use std::io::Write;

use ntbak_wire::record::{Extent, Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::{FileAttributes, Name};

use crate::content::{Content, whole_blocks};
use crate::error::{Error, Result};
use crate::facts::encode::{self, Builder};
use crate::facts::{Facts, Linux};
use crate::manifest::register::Register;
use crate::manifest::write::{Lines, Spool};
use crate::manifest::{MANIFEST, VOLUME};
use crate::path::{EntryPath, PathFlaws, escape, look};
use crate::remark::Remark;
use crate::tar::write::{NewEntry, TarWriter};
use crate::time;
use crate::volume::Volume;

mod fragment;

pub use fragment::Fragment;

/// The name of the entry with facts that came behind the content of their file.
const LATE: &[u8] = b"ntbak-late";
/// The name of the entry with the raw export of an encrypted directory.
const EFS_DIRECTORY: &[u8] = b"ntbak-efs-dir";
/// A hole at the end of a stream that is only behind its valid data length is worth a map from this size on.
const WORTH_A_MAP: u64 = 64 << 10;

/// Writes an archive. It may go into a pipe: the output is never gone back in.
///
/// For each file: [`begin`](Self::begin), then its records by [`put`](Self::put), [`Record::EndFile`] last. When a file
/// cannot be read to its end, [`abandon`](Self::abandon) completes it, and the archive stays sound. The order of
/// files is the caller's; a [`link`](Self::link) comes after the file that it names.
pub struct ArchiveWriter<W: Write> {
    tar: TarWriter<W>,
    state: State,
    /// The current file, as the archive has it: relative, no `/` at its end, empty for the root.
    path: Vec<u8>,
    facts: Facts,
    /// Records of the header before, whose memory is used again.
    records: Builder,
    /// The unnamed stream, while it is empty and the header is not yet written.
    empty: Option<StreamHead>,
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between files.
    Idle,
    /// The facts of a file are gathered; its header is not yet written.
    Gathering,
    /// The same, in an empty unnamed stream.
    EmptyStream,
    /// The header is written; streams may follow.
    Between,
    /// In the content of a stream.
    Stream,
    /// In a raw export.
    Efs,
}

/// What the main entry of a file has as content.
enum Main<'a> {
    Nothing,
    Stream(&'a StreamHead),
    Efs,
}

impl<W: Write> ArchiveWriter<W> {
    /// The extents of a stream must be known before its content comes ([`Extents::Known`]), and it is best when all
    /// small payloads come before the first stream.
    pub const EXTENTS_FIRST: bool = true;

    /// Begins an archive. The lines of its manifest wait in `spool`, which is empty: some 200 bytes an entry.
    ///
    /// # Errors
    /// The target cannot be written.
    pub fn new(target: W, spool: Box<dyn Spool>, volume: &Volume) -> Result<Self> {
        Self::start(target, Register::here(Lines::new(spool)), volume)
    }

    /// The same; the entries are hashed and entered into the manifest on a thread of its own, for which 2 MiB wait at
    /// most.
    ///
    /// # Errors
    /// The target cannot be written, or there is no thread.
    pub fn with_thread(target: W, spool: Box<dyn Spool>, volume: &Volume) -> Result<Self> {
        let register = Register::beside(Lines::new(spool));
        Self::start(target, register.map_err(|error| Error::io(0, "starting a thread", error))?, volume)
    }

    fn start(target: W, register: Register, volume: &Volume) -> Result<Self> {
        let mut writer = Self::over(TarWriter::new(target, register));
        let json = volume.to_json();
        writer.tar.begin(&plain_entry(VOLUME, json.len() as u64))?;
        writer.tar.data(&json)?;
        writer.path = VOLUME.to_owned();
        writer.end_entry(None)?;
        Ok(writer)
    }

    /// A writer that has written nothing yet.
    fn over(tar: TarWriter<W>) -> Self {
        let (state, path, facts) = (State::Idle, Vec::new(), Facts::default());
        Self {
            tar,
            state,
            path,
            facts,
            records: Builder::default(),
            empty: None,
            content: Content::default(),
        }
    }

    /// Bytes of the uncompressed archive so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.tar.output.offset()
    }

    /// Begins a file or directory; no bytes are the root directory. Its records follow.
    ///
    /// The answer is a note when the archive has it under another name: a source's own `.ntbak` is stored as `.ntbak~`,
    /// and [`ArchiveReader`](crate::ArchiveReader) gives it its name back. It is already in the manifest.
    ///
    /// # Errors
    /// A path that is absolute, or has an empty component, `.`, `..` or a NUL; the file before it is not complete.
    pub fn begin(&mut self, path: &[u8]) -> Result<Option<Remark>> {
        self.expect(State::Idle, "a file begins before the last one is complete")?;
        let stored = self.checked(path)?;
        self.facts = Facts::default();
        self.empty = None;
        self.state = State::Gathering;
        self.path = stored;
        self.tell_renamed(path)
    }

    /// Takes the next record of the file. The answer is what was not kept as it came: a stream that had fewer or more
    /// bytes than were announced. It is already in the manifest.
    ///
    /// # Errors
    /// The target cannot be written; or records that an archive cannot hold, after which [`ArchiveWriter::abandon`] is
    /// the way on.
    pub fn put(&mut self, record: &Record<'_>) -> Result<Option<Remark>> {
        let done = self.put_record(record);
        done.map_err(|error| error.in_entry(&self.path))
    }

    fn put_record(&mut self, record: &Record<'_>) -> Result<Option<Remark>> {
        match record {
            Record::File(info) => {
                self.expect(State::Gathering, "basic information behind other records of its file")?;
                self.facts.info = info.without_names();
            }
            Record::Small(kind, payload) => self.small(*kind, payload)?,
            Record::Stream(head) => self.stream(head)?,
            Record::Block(extent) => {
                if self.state == State::Stream {
                    self.content.block(*extent).map_err(|why| self.fault(why))?;
                }
            }
            Record::Bytes { offset, data } => return self.bytes(*offset, data).map(|()| None),
            Record::EndStream { size } => return self.end_stream(*size),
            Record::EndFile => {
                self.write_main_if_due()?;
                self.expect(State::Between, "a file ends inside of a stream")?;
                self.state = State::Idle;
            }
            _ => return Err(self.fault("a record that an archive has no place for")),
        }
        Ok(None)
    }

    /// The owner and group of the file on Linux. They belong before its streams.
    ///
    /// # Errors
    /// No file has begun, or its content has.
    pub fn owner(&mut self, uid: u32, gid: u32) -> Result<()> {
        self.expect(State::Gathering, "the owner behind the content")?;
        self.facts.linux.owner = Some((uid, gid));
        Ok(())
    }

    /// An extended attribute of Linux that is no fact about a file of Windows. Best before the streams.
    ///
    /// # Errors
    /// A name that is empty or has a `=` or NUL; no file has begun; the target cannot be written.
    pub fn linux_attribute(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        if name.is_empty() || name.iter().any(|byte| matches!(byte, b'=' | 0)) {
            return Err(self.fault("an attribute of Linux whose name no PAX record can have"));
        }
        let attributes = vec![(name.to_owned(), value.to_owned())];
        match self.state {
            State::Gathering | State::EmptyStream => self.facts.linux.attributes.extend(attributes),
            State::Between => {
                let mut records = Builder::default();
                records.linux(&Linux { owner: None, attributes });
                self.late(records)?;
            }
            _ => return Err(self.fault("an attribute of Linux outside of a file, or inside of a stream")),
        }
        Ok(())
    }

    fn small(&mut self, kind: SmallKind, payload: &[u8]) -> Result<()> {
        if payload.len() as u64 > kind.max_len() {
            let (found, limit) = (payload.len() as u64, kind.max_len());
            return Err(Error::too_large(self.offset(), "bytes of a small payload", found, limit));
        }
        let Some(place) = self.facts.small_mut(kind) else {
            return Err(self.fault("a LINK record: the names of a hard-linked file are entries of their own"));
        };
        match self.state {
            // The last one of a kind wins, as on Windows.
            State::Gathering | State::EmptyStream => *place = Some(payload.to_owned()),
            State::Between => {
                let mut records = Builder::default();
                records.small(kind, payload);
                self.late(records)?;
            }
            _ => return Err(self.fault("a small payload outside of a file, or inside of a stream")),
        }
        Ok(())
    }

    fn stream(&mut self, head: &StreamHead) -> Result<()> {
        if head.amend {
            return Err(
                self.fault("a piece of a stream that goes over what is there: an archive has nothing there")
            );
        }
        if head.vdl > head.size {
            return Err(self.fault("a valid data length behind the end of the stream"));
        }
        match (&head.name, self.state) {
            (None, State::Gathering) if self.empty.is_some() => Err(self.fault("a second unnamed stream")),
            (None, State::Gathering) if head.size == 0 => {
                self.empty = Some(head.clone());
                self.content = Content::default();
                self.state = State::EmptyStream;
                Ok(())
            }
            (None, State::Gathering) if self.is_directory() => {
                Err(self.fault("a directory has no unnamed data stream"))
            }
            (None, State::Gathering) => {
                let content = self.content_of(head)?;
                self.write_main(&Main::Stream(head), content)
            }
            (None, _) => Err(self.fault("the unnamed stream behind others, or a second one")),
            (Some(name), State::Gathering | State::Between) => {
                let content = self.content_of(head)?;
                self.write_main_if_due()?;
                let mut records = Builder::default();
                records.stream(head);
                self.follow(&name.name().to_wtf8(), &records, content)
            }
            (Some(_), _) => Err(self.fault("a stream outside of a file, or inside of another")),
        }
    }

    /// Which bytes of a stream are stored.
    fn content_of(&self, head: &StreamHead) -> Result<Content> {
        let whole = |len| if len == 0 { Vec::new() } else { vec![Extent { offset: 0, len }] };
        let is_sparse = head.flags.contains(StreamFlags::SPARSE);
        let (extents, mapped) = match &head.extents {
            _ if head.size == 0 => (Vec::new(), false),
            Extents::Known(extents) => (whole_blocks(extents), true),
            Extents::Unknown => {
                return Err(self.fault(
                    "a sparse stream whose ranges are not known before its content; ask the source for them first",
                ));
            }
            // A reader tells this from a sparse stream by its flag.
            Extents::All if head.size - head.vdl >= WORTH_A_MAP && !is_sparse => (whole(head.vdl), true),
            Extents::All => (whole(head.size), false),
        };
        Content::new(head.name.clone(), head.size, extents, mapped).map_err(|why| self.fault(why))
    }

    fn bytes(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if !matches!(self.state, State::Stream | State::Efs | State::EmptyStream) {
            return Err(self.fault("content outside of a stream"));
        }
        let (content, tar) = (&mut self.content, &mut self.tar);
        let place = tar.output.offset();
        content.put(offset, data, tar).map_err(|error| error.unwrap_or_else(|why| Error::records(place, why)))
    }

    fn end_stream(&mut self, size: u64) -> Result<Option<Remark>> {
        match self.state {
            State::EmptyStream => self.state = State::Gathering,
            State::Stream => {
                let stream = self.content.name.clone();
                self.end_entry(stream.as_ref().map(|name| name.name().to_wtf8()).as_deref())?;
                self.state = State::Between;
            }
            _ => return Err(self.fault("the end of a stream that has not begun")),
        }
        let Some((loss, why)) = self.content.verdict(size) else { return Ok(None) };
        let remark =
            if loss { Remark::loss("content", &self.path, why) } else { Remark::note(&self.path, why) };
        let remark = remark.in_stream(self.content.name.as_ref());
        self.remark(&remark)?;
        Ok(Some(remark))
    }

    /// Begins the EFS raw export of the file, of exactly `size` bytes, in place of its streams. Bytes follow by
    /// [`Record::Bytes`], then [`ArchiveWriter::end_efs`].
    ///
    /// # Errors
    /// Streams of the file were written already; the target cannot be written.
    pub fn efs_raw(&mut self, size: u64) -> Result<()> {
        self.expect(State::Gathering, "a raw export beside streams, which are in it")?;
        let extents = if size == 0 { Vec::new() } else { vec![Extent { offset: 0, len: size }] };
        let content = Content::new(None, size, extents, false).map_err(|why| self.fault(why))?;
        if self.is_directory() {
            self.write_main(&Main::Nothing, Content::default())?;
            let mut records = Builder::default();
            records.no_stream();
            records.efs();
            self.follow(EFS_DIRECTORY, &records, content)?;
        } else {
            self.write_main(&Main::Efs, content)?;
        }
        self.state = State::Efs;
        Ok(())
    }

    /// Ends the raw export, which had `size` bytes. The answer is as that of [`ArchiveWriter::put`].
    ///
    /// # Errors
    /// There is none; the target cannot be written.
    pub fn end_efs(&mut self, size: u64) -> Result<Option<Remark>> {
        self.expect(State::Efs, "the end of a raw export that has not begun")?;
        let stream: Option<&[u8]> = if self.is_directory() { Some(b"") } else { None };
        self.end_entry(stream)?;
        self.state = State::Between;
        let Some((loss, why)) = self.content.verdict(size) else { return Ok(None) };
        // Neither a cut export nor one with zeros at its end can be imported.
        let _ = loss;
        let remark = Remark::loss("efs", &self.path, why);
        self.remark(&remark)?;
        Ok(Some(remark))
    }

    /// Another name of a hard-linked file whose entry was written before, under `target`, with the 8.3 name that goes
    /// with this name. `info` is that of the file: programs that unpack a link give its times and mode to the file.
    ///
    /// # Errors
    /// As [`ArchiveWriter::begin`].
    pub fn link(
        &mut self,
        path: &[u8],
        target: &[u8],
        short: Option<&Name>,
        info: &FileInfo,
    ) -> Result<Option<Remark>> {
        self.expect(State::Idle, "a link before the last file is complete")?;
        let (stored, target) = (self.checked(path)?, self.checked(target)?);
        if stored.is_empty() || target.is_empty() {
            return Err(self.fault("the root directory as a hard link"));
        }
        let mut records = Builder::default();
        records.link(short, info);
        let entry = NewEntry {
            link: &target,
            typeflag: b'1',
            mode: encode::mode(info, b'0'),
            mtime: info.times.written.map_or(0, time::seconds),
            records: &records.0,
            ..plain_entry(&stored, 0)
        };
        self.tar.begin(&entry)?;
        self.path = stored;
        self.end_entry(None)?;
        self.tell_renamed(path)
    }

    /// A loss or note of the whole work, for the manifest.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub fn remark(&mut self, remark: &Remark) -> Result<()> {
        self.tar.output.remark(remark)
    }

    /// Gives the current file up where it is: content that did not come is zeros, and the manifest has a loss that says
    /// `why`. The answer is that loss.
    ///
    /// # Errors
    /// The target cannot be written.
    pub fn abandon(&mut self, why: &str) -> Result<Remark> {
        let mut remark = Remark::loss("content", &self.path, why);
        match self.state {
            State::Idle => {}
            // Nothing of it is in the archive yet: a header without content would say too much.
            State::Gathering | State::EmptyStream => {}
            State::Stream | State::Efs => {
                let stream = self.content.name.clone();
                let of_directory: Option<&[u8]> =
                    (self.state == State::Efs && self.is_directory()).then_some(b"");
                let name = stream.as_ref().map(|name| name.name().to_wtf8());
                self.end_entry(name.as_deref().or(of_directory))?;
                remark = remark.in_stream(stream.as_ref());
            }
            State::Between => {}
        }
        self.state = State::Idle;
        self.remark(&remark)?;
        Ok(remark)
    }

    /// Completes the archive: manifest and end.
    ///
    /// # Errors
    /// The last file is not complete; the spool cannot be read, the target not be written.
    pub fn finish(mut self) -> Result<W> {
        self.expect(State::Idle, "the archive ends before the last file is complete")?;
        let Some(closed) = self.tar.output.close()? else {
            return Err(self.fault("an archive that is complete already"));
        };
        self.tar.begin(&plain_entry(MANIFEST, closed.len()))?;
        let (size, tar) = (self.offset(), &mut self.tar);
        closed.copy(|line| tar.data(line).map_err(CopyError::Archive)).map_err(|error| match error {
            CopyError::Archive(error) => error,
            CopyError::Spool(error) => Error::io(size, "reading the manifest's spool", error),
        })?;
        self.tar.end()?;
        self.tar.finish()
    }

    fn is_directory(&self) -> bool {
        self.facts.info.attributes.contains(FileAttributes::DIRECTORY)
    }

    fn fault(&self, why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::records(self.offset(), why).in_entry(&self.path)
    }

    fn expect(&self, state: State, why: &'static str) -> Result<()> {
        if self.state == state { Ok(()) } else { Err(self.fault(why)) }
    }

    /// A path as the archive has it.
    fn checked(&self, path: &[u8]) -> Result<Vec<u8>> {
        if path.is_empty() {
            return Ok(Vec::new());
        }
        let (bytes, flaws) = look(path);
        let dangerous = flaws & PathFlaws::DANGEROUS;
        if !dangerous.is_empty() {
            let why = format!("no path for an archive: {}", dangerous.why());
            return Err(Error::records(self.offset(), why).in_entry(path));
        }
        Ok(escape(bytes))
    }

    fn tell_renamed(&mut self, path: &[u8]) -> Result<Option<Remark>> {
        if self.path == path || self.path == look(path).0 {
            return Ok(None);
        }
        let why = format!(
            "it is stored as {}: the name {} is the archive's own",
            String::from_utf8_lossy(&self.path),
            ".ntbak"
        );
        let note = Remark::note(&self.path, why);
        self.remark(&note)?;
        Ok(Some(note))
    }

    fn write_main_if_due(&mut self) -> Result<()> {
        if self.state == State::Gathering {
            self.write_main(&Main::Nothing, Content::default())
        } else {
            Ok(())
        }
    }

    /// Writes the header of the file itself. When that fails the file is given up, and nothing of it is in the archive.
    fn write_main(&mut self, main: &Main<'_>, content: Content) -> Result<()> {
        let mut records = std::mem::replace(&mut self.records, Builder(Vec::new()));
        records.0.clear();
        records.facts(&self.facts);
        match main {
            Main::Stream(head) => records.stream(head),
            Main::Efs => records.efs(),
            Main::Nothing => {
                if let Some(head) = &self.empty {
                    records.stream(head);
                }
            }
        }
        let link = encode::link_name(&self.facts).filter(|_| matches!(main, Main::Nothing));
        let typeflag = match (&link, self.is_directory()) {
            (Some(_), _) => b'2',
            (None, true) => b'5',
            (None, false) => b'0',
        };
        let path: &[u8] = if self.path.is_empty() { b"." } else { &self.path };
        let name: Cow<'_, [u8]> = if typeflag == b'5' { [path, b"/"].concat().into() } else { path.into() };
        let info = &self.facts.info;
        let entry = NewEntry {
            name: &name,
            link: link.as_deref().unwrap_or_default(),
            typeflag,
            size: content.size,
            mode: encode::mode(info, typeflag),
            owner: self.facts.linux.owner,
            mtime: info.times.written.map_or(0, time::seconds),
            extents: content.map(),
            records: &records.0,
        };
        self.state = State::Idle;
        self.tar.begin(&entry)?;
        self.records = records;
        self.content = content;
        match main {
            Main::Nothing => {
                self.end_entry(None)?;
                self.state = State::Between;
            }
            Main::Stream(_) => self.state = State::Stream,
            Main::Efs => self.state = State::Efs,
        }
        Ok(())
    }

    /// Begins an entry `NAME:name` behind the file.
    fn follow(&mut self, name: &[u8], records: &Builder, content: Content) -> Result<()> {
        let name = [EntryPath::new(&self.path_or_dot()).stream_prefix().as_slice(), name].concat();
        let info = &self.facts.info;
        let entry = NewEntry {
            name: &name,
            typeflag: b'0',
            size: content.size,
            mode: encode::mode(info, b'0'),
            mtime: info.times.written.map_or(0, time::seconds),
            extents: content.map(),
            records: &records.0,
            ..NewEntry::default()
        };
        self.tar.begin(&entry)?;
        self.content = content;
        self.state = State::Stream;
        Ok(())
    }

    fn path_or_dot(&self) -> Vec<u8> {
        if self.path.is_empty() { b".".to_vec() } else { self.path.clone() }
    }

    /// Facts that came behind the content of their file.
    fn late(&mut self, mut records: Builder) -> Result<()> {
        records.no_stream();
        self.follow(LATE, &records, Content::default())?;
        self.end_entry(Some(b""))?;
        self.state = State::Between;
        Ok(())
    }

    fn end_entry(&mut self, stream: Option<&[u8]>) -> Result<()> {
        self.tar.end()?;
        if self.path.is_empty() {
            return self.tar.output.end_entry(b".", stream);
        }
        self.tar.output.end_entry(&self.path, stream)
    }
}

/// An entry of our own.
fn plain_entry(name: &[u8], size: u64) -> NewEntry<'_> {
    NewEntry { name, typeflag: b'0', size, mode: 0o644, ..NewEntry::default() }
}

/// What can fail while the manifest is copied.
enum CopyError {
    Archive(Error),
    Spool(std::io::Error),
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> Self {
        Self::Spool(error)
    }
}
