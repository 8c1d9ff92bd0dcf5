//! From an archive to records, forward only: the mirror of [`writer`](crate::writer).
//!
//! It reads any tar archive. What is not ours is read as far as it means something; what means nothing here is told as
//! a [`Remark`], never guessed. Memory is bounded by [`Limits`].

use std::collections::VecDeque;
use std::io::Read;

use ntbak_wire::Name;
use ntbak_wire::record::{Extent, Extents, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::stream::StreamName;

use crate::error::{Error, Problem, Result};
use crate::facts::Facts;
use crate::facts::decode::Decoder;
use crate::item::{Entry, Item, LinkEntry, Summary};
use crate::keys;
use crate::limits::Limits;
use crate::manifest::write::Spool;
use crate::manifest::{FOLDER, MANIFEST, VOLUME};
use crate::path::EntryPath;
use crate::proof::{Proof, Reading, Recorded};
use crate::remark::Remark;
use crate::tar::input::Input;
use crate::tar::read::{End, RawEntry, TarReader};
use crate::volume::Volume;

/// Reads an archive, forward only: it may come out of a pipe.
pub struct ArchiveReader<R: Read> {
    tar: TarReader<R>,
    limits: Limits,
    ours: bool,
    volume: Volume,
    state: State,
    steps: VecDeque<Step>,
    entry: Entry,
    link: LinkEntry,
    /// The last remark that was given.
    remark: Remark,
    remarks: VecDeque<Remark>,
    head: StreamHead,
    /// The next entry, when it turned out not to belong to the current file.
    stashed: Option<RawEntry>,
    content: Content,
    proof: Option<Proof>,
    /// What the current entry is, for the manifest.
    current: Recorded,
    summary: Summary,
    /// The current file is one of Windows, written by another program: its streams have no key of ours.
    of_windows: bool,
    /// Only the file that begins here.
    one_file: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// Between files.
    Next,
    /// In the content of a stream.
    Content,
    /// In a raw export.
    Efs,
    /// After the file itself or one of its streams; more streams may follow.
    Following,
    End,
}

/// What is to be given next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Volume,
    File,
    Info,
    Small(SmallKind),
    /// The attribute of Linux with this number.
    Linux(usize),
    Stream,
    Block(Extent),
    Bytes {
        offset: u64,
    },
    EndStream {
        size: u64,
    },
    EndFile,
    EfsRaw {
        size: u64,
    },
    EfsBytes {
        offset: u64,
    },
    EndEfs,
    Link,
    Remark,
}

/// How far the content of a stream is.
#[derive(Debug, Default)]
struct Content {
    /// The ranges that are stored; one when there is no map.
    extents: Vec<Extent>,
    current: usize,
    /// Bytes of the current range that were given.
    done: u64,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the archive in `source`, which is not compressed ([`crate::open`] finds that out by itself).
    pub fn new(source: R, limits: Limits) -> Self {
        Self::start(source, limits, None)
    }

    /// The same, and every entry is compared with the manifest, when the archive has one. Each fault comes as a
    /// [`Remark`] behind the last file. `spool`, which is empty, gets 64 bytes an entry.
    pub fn proving(source: R, limits: Limits, spool: Box<dyn Spool>) -> Self {
        Self::start(source, limits, Some(Proof::new(spool)))
    }

    fn start(source: R, limits: Limits, proof: Option<Proof>) -> Self {
        let input = Input::new(source, 0, proof.is_some());
        Self {
            tar: TarReader::new(input, limits),
            limits,
            ours: false,
            volume: Volume::default(),
            state: State::Start,
            steps: VecDeque::new(),
            entry: Entry::default(),
            link: LinkEntry::default(),
            remark: Remark::note(b"", ""),
            remarks: VecDeque::new(),
            head: StreamHead::plain(None, 0),
            stashed: None,
            content: Content::default(),
            proof,
            current: Recorded::default(),
            summary: Summary::default(),
            of_windows: false,
            one_file: false,
        }
    }

    /// Reads the one file of an archive of ours whose header is at `offset`, where `source` stands.
    pub(crate) fn one_file(source: R, offset: u64, ours: bool, limits: Limits) -> Self {
        let mut reader = Self::start(source, limits, None);
        reader.tar = TarReader::new(Input::new(reader.tar.input.into_inner(), offset, false), limits);
        (reader.ours, reader.state, reader.one_file) = (ours, State::Next, true);
        reader
    }

    /// What the archive turned out to be; meaningful after the last item.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What the archive is read from.
    pub fn source(&self) -> &R {
        self.tar.input.source()
    }

    /// The next item; `None` after the last.
    ///
    /// # Errors
    /// The source cannot be read, or the archive is damaged so that no next entry can be found. What came before is
    /// good; a file that had begun is not complete.
    #[expect(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Item<'_>>> {
        let step = loop {
            if let Some(step) = self.steps.pop_front() {
                break step;
            }
            if let Some(remark) = self.remarks.pop_front() {
                self.remark = remark;
                break Step::Remark;
            }
            if self.state == State::End {
                return Ok(None);
            }
            self.advance().map_err(|error| error.in_entry(self.entry.path.as_bytes()))?;
        };
        Ok(Some(self.item(step)))
    }

    fn item(&self, step: Step) -> Item<'_> {
        match step {
            Step::Volume => Item::Volume(&self.volume),
            Step::File => Item::File(&self.entry),
            Step::Info => Item::Record(Record::File(&self.entry.facts.info)),
            Step::Small(kind) => {
                let payload = self.entry.facts.small(kind).map(Vec::as_slice).unwrap_or_default();
                Item::Record(Record::Small(kind, payload.into()))
            }
            Step::Linux(at) => {
                let attribute = self.entry.facts.linux.attributes.get(at);
                let (name, value) =
                    attribute.map(|(name, value)| (&name[..], &value[..])).unwrap_or_default();
                Item::LinuxAttribute { name, value }
            }
            Step::Stream => Item::Record(Record::Stream(&self.head)),
            Step::Block(extent) => Item::Record(Record::Block(extent)),
            Step::Bytes { offset } => Item::Record(Record::Bytes { offset, data: self.tar.chunk() }),
            Step::EndStream { size } => Item::Record(Record::EndStream { size }),
            Step::EndFile => Item::Record(Record::EndFile),
            Step::EfsRaw { size } => Item::EfsRaw { size },
            Step::EfsBytes { offset } => Item::EfsBytes { offset, data: self.tar.chunk() },
            Step::EndEfs => Item::EndEfs,
            Step::Link => Item::Link(&self.link),
            Step::Remark => Item::Remark(&self.remark),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self.state {
            State::Start => self.first(),
            State::Next => {
                if self.one_file && self.summary.entries > 0 {
                    self.state = State::End;
                    return Ok(());
                }
                let entry = match self.stashed.take() {
                    Some(entry) => Some(entry),
                    None => self.next_entry()?,
                };
                match entry {
                    Some(entry) => self.begin(entry),
                    None => self.end_of_tar(),
                }
            }
            State::Content => self.next_content(),
            State::Efs => self.next_efs(),
            State::Following => self.following(),
            State::End => Ok(()),
        }
    }

    /// The next entry of the tar layer; the one before is proven.
    fn next_entry(&mut self) -> Result<Option<RawEntry>> {
        let span = self.tar.leave()?;
        if let (Some(proof), Some(span)) = (&mut self.proof, span) {
            proof.found(&self.current, &span)?;
        }
        let entry = self.tar.next()?;
        if entry.is_some() {
            self.summary.entries += 1;
        }
        Ok(entry)
    }

    fn first(&mut self) -> Result<()> {
        self.state = State::Next;
        let Some(entry) = self.next_entry()? else { return self.end_of_tar() };
        if entry.path != VOLUME {
            self.stashed = Some(entry);
            return Ok(());
        }
        let mut json = Vec::new();
        self.read_all(entry.size, self.limits.volume, &mut json)?;
        self.volume = Volume::from_json(&json).map_err(|why| {
            let problem = Problem::Unsupported(format!(".ntbak/volume.json: {why}").into());
            Error::new(entry.offset, problem)
        })?;
        (self.ours, self.summary.ours) = (true, true);
        self.current = Recorded::file(VOLUME);
        self.steps.push_back(Step::Volume);
        Ok(())
    }

    fn read_all(&mut self, size: u64, limit: u64, out: &mut Vec<u8>) -> Result<()> {
        if size > limit {
            return Err(Error::too_large(self.tar.input.offset(), "bytes of an entry", size, limit));
        }
        while self.tar.take(u64::MAX)? > 0 {
            out.extend_from_slice(self.tar.chunk());
        }
        Ok(())
    }

    fn end_of_tar(&mut self) -> Result<()> {
        self.state = State::End;
        let proper = self.tar.end() == Some(End::Proper);
        if !self.ours {
            self.summary.complete = proper;
        }
        if !self.summary.complete {
            let why = if self.ours {
                "the archive is not complete: its manifest is missing, so it was cut off or is still being written"
            } else {
                "the archive has no end: it may have been cut off"
            };
            self.remarks.push_back(Remark::loss("archive", b"", why));
            self.summary.faults += 1;
        }
        Ok(())
    }

    /// Takes up an entry that stands for itself.
    fn begin(&mut self, entry: RawEntry) -> Result<()> {
        if self.ours && entry.path == MANIFEST {
            return self.manifest(&entry);
        }
        self.current = Recorded::file(entry.path.strip_suffix(b"/").unwrap_or(&entry.path));
        let path = if self.ours {
            EntryPath::new(&crate::path::unescape(&entry.path))
        } else {
            EntryPath::new(&entry.path)
        };
        if self.ours && entry.path.starts_with(&[FOLDER, b"/"].concat()) {
            self.remarks.push_back(Remark::note(
                &entry.path,
                "an entry of the archive itself that this version does not know",
            ));
            return Ok(());
        }
        if entry.get(keys::STREAM).is_some() {
            return self.refuse(&path, "stream", "a stream that does not follow its file");
        }
        match entry.typeflag {
            b'1' => {
                self.begin_link(&entry, path);
                Ok(())
            }
            b'0' | 0 | b'7' | b'S' if entry.typeflag == 0 && entry.path.ends_with(b"/") => {
                self.begin_file(entry, path, true)
            }
            b'0' | 0 | b'7' | b'S' => self.begin_file(entry, path, false),
            b'5' => self.begin_file(entry, path, true),
            b'2' => {
                let attributes = entry.get(keys::ATTRIBUTES).and_then(crate::tar::sparse::decimal);
                let directory = attributes.is_some_and(|bits| bits & 0x10 != 0);
                self.begin_file(entry, path, directory)
            }
            b'3' | b'4' => self.refuse(&path, "content", "a device, which has no place here"),
            b'6' => self.refuse(&path, "content", "a FIFO, which has no place here"),
            b'M' => self.refuse(&path, "content", "the rest of a file of another volume of a split archive"),
            b'V' => {
                self.remarks.push_back(Remark::note(&entry.path, "the label of a tape"));
                Ok(())
            }
            other => {
                let why = format!("an entry of the unknown type {:?}", char::from(other));
                self.refuse(&path, "content", why)
            }
        }
    }

    /// Passes an entry over, and says so.
    fn refuse(&mut self, path: &EntryPath, kind: &'static str, why: impl Into<String>) -> Result<()> {
        self.remarks.push_back(Remark::loss(kind, path.as_bytes(), why));
        Ok(())
    }

    fn begin_link(&mut self, entry: &RawEntry, path: EntryPath) {
        let target = if self.ours { crate::path::unescape(&entry.link) } else { entry.link.clone() };
        let mut decoder = Decoder { entry, ours: self.ours, path: &path, remarks: &mut self.remarks };
        let short = decoder.short_name();
        self.link = LinkEntry { path, target: EntryPath::new(&target), short };
        self.steps.push_back(Step::Link);
    }

    fn begin_file(&mut self, entry: RawEntry, path: EntryPath, directory: bool) -> Result<()> {
        let mut decoder = Decoder { entry: &entry, ours: self.ours, path: &path, remarks: &mut self.remarks };
        let facts = decoder.facts(directory);
        self.of_windows = !self.ours && entry.has_prefix("MSWINDOWS.");
        let stored = decoder.stored();
        let unknown = decoder.unknown();
        let efs = entry.get_some(keys::EFS).is_some();
        let wof = entry.get_some(keys::WOF).map(|name| String::from_utf8_lossy(name).into_owned());
        self.entry = Entry { path, offset: entry.offset, owner: facts.linux.owner, wof, unknown, facts };
        self.steps.extend([Step::File, Step::Info]);
        // The object id comes last, as in a backup.
        for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::Reparse] {
            if self.entry.facts.small(kind).is_some() {
                self.steps.push_back(Step::Small(kind));
            }
        }
        self.steps.extend((0..self.entry.facts.linux.attributes.len()).map(Step::Linux));
        if efs && !directory {
            return self.begin_efs(&entry);
        }
        let is_directory = self.entry.facts.info.attributes.is_directory();
        if is_directory && entry.size == 0 && entry.sparse.is_none() {
            self.state = State::Following;
            return Ok(());
        }
        if is_directory {
            self.state = State::Following;
            let why = "a directory with content, which is left out";
            self.remarks.push_back(Remark::loss("content", self.entry.path.as_bytes(), why));
            return Ok(());
        }
        self.begin_stream(None, entry, stored.flags, stored.vdl)
    }

    fn begin_efs(&mut self, entry: &RawEntry) -> Result<()> {
        if entry.get(keys::EFS) != Some(b"raw") || entry.sparse.is_some() {
            let why = "its encrypted content is stored in a way that this version does not know";
            self.remarks.push_back(Remark::loss("efs", self.entry.path.as_bytes(), why));
            self.state = State::Following;
            return Ok(());
        }
        self.content = Content { extents: vec![Extent { offset: 0, len: entry.size }], current: 0, done: 0 };
        self.steps.push_back(Step::EfsRaw { size: entry.size });
        self.state = State::Efs;
        Ok(())
    }

    fn begin_stream(
        &mut self,
        name: Option<StreamName>,
        entry: RawEntry,
        flags: StreamFlags,
        vdl: Option<u64>,
    ) -> Result<()> {
        let size = entry.sparse.as_ref().map_or(entry.size, |map| map.size);
        let vdl = vdl.unwrap_or(size);
        if vdl > size {
            let why = "its valid data length is behind its end; the end counts";
            self.remarks
                .push_back(Remark::loss("vdl", self.entry.path.as_bytes(), why).in_stream(name.as_ref()));
        }
        let vdl = vdl.min(size);
        let whole = Extent { offset: 0, len: vdl };
        let (extents, stored) = match entry.sparse {
            // Only what is behind the valid data length was left out: the stream has no holes.
            Some(map)
                if self.ours && !flags.contains(StreamFlags::SPARSE) && is_only(&map.extents, whole) =>
            {
                (Extents::All, map.extents)
            }
            Some(map) => (Extents::Known(map.extents.clone()), map.extents),
            None => (Extents::All, vec![Extent { offset: 0, len: size }]),
        };
        self.content = Content { extents: stored, current: 0, done: 0 };
        self.head = StreamHead { name, size, vdl, flags, extents, amend: false };
        self.steps.push_back(Step::Stream);
        self.state = State::Content;
        if self.head.extents != Extents::All {
            self.tell_block();
        }
        Ok(())
    }

    fn tell_block(&mut self) {
        if let Some(extent) = self.content.extents.get(self.content.current) {
            self.steps.push_back(Step::Block(*extent));
        }
    }

    fn next_content(&mut self) -> Result<()> {
        let Some(extent) = self.content.extents.get(self.content.current).copied() else {
            self.steps.push_back(Step::EndStream { size: self.head.size });
            self.state = State::Following;
            return Ok(());
        };
        let left = extent.len - self.content.done;
        if left == 0 {
            self.content.current += 1;
            self.content.done = 0;
            if self.head.extents != Extents::All {
                self.tell_block();
            }
            return Ok(());
        }
        let got = self.tar.take(left)? as u64;
        if got == 0 {
            return Err(Error::truncated(self.tar.input.offset(), "the data of an entry"));
        }
        self.steps.push_back(Step::Bytes { offset: extent.offset + self.content.done });
        self.content.done += got;
        Ok(())
    }

    fn next_efs(&mut self) -> Result<()> {
        let offset = self.content.done;
        let got = self.tar.take(u64::MAX)? as u64;
        self.content.done += got;
        if got == 0 {
            self.steps.push_back(Step::EndEfs);
            self.state = State::Following;
        } else {
            self.steps.push_back(Step::EfsBytes { offset });
        }
        Ok(())
    }

    /// Takes up the next entry if it belongs to the current file; else the file is complete.
    fn following(&mut self) -> Result<()> {
        let Some(entry) = self.next_entry()? else {
            self.end_file();
            return Ok(());
        };
        // The path of the file, as the archive has it.
        let stored = match self.ours {
            true => EntryPath::new(&crate::path::escape(self.entry.path.as_bytes())),
            false => self.entry.path.clone(),
        };
        let prefix = if self.entry.path.is_root() { EntryPath::default() } else { stored }.stream_prefix();
        let Some(name) =
            entry.path.strip_prefix(b"./").unwrap_or(&entry.path).strip_prefix(prefix.as_slice())
        else {
            self.stash(entry);
            return Ok(());
        };
        let name = name.to_owned();
        let owner = prefix.strip_suffix(b":").unwrap_or(&prefix).to_owned();
        if entry.get(keys::STREAM).is_some() {
            return self.own_stream(&owner, &name, entry);
        }
        // Without our key: as go-winio writes it, the streams of a file of Windows.
        let of_windows = self.of_windows && !entry.has_prefix("MSWINDOWS.");
        let stream = Name::from_wtf8(&name).and_then(|name| StreamName::new(name).ok());
        match stream {
            Some(stream) if of_windows && matches!(entry.typeflag, b'0' | 0) => {
                self.current = Recorded::stream(&owner, &name);
                self.begin_stream(Some(stream), entry, StreamFlags::empty(), None)
            }
            _ => {
                self.stash(entry);
                Ok(())
            }
        }
    }

    fn own_stream(&mut self, owner: &[u8], name: &[u8], entry: RawEntry) -> Result<()> {
        let mut remarks = VecDeque::new();
        let path = self.entry.path.clone();
        let mut decoder = Decoder { entry: &entry, ours: self.ours, path: &path, remarks: &mut remarks };
        let (stored, stream) = (decoder.stored(), decoder.stream_name());
        let mut late = Facts::default();
        let linux = match stream {
            Ok(None) => {
                decoder.smalls(&mut late);
                decoder.linux()
            }
            _ => Default::default(),
        };
        self.remarks.append(&mut remarks);
        self.current = Recorded::stream(owner, name);
        let refused = match stream {
            Err(why) => why,
            Ok(Some(stream)) if stream.name().to_wtf8() != name => {
                "its name and its key NTBAK.stream are not the same".into()
            }
            Ok(Some(_)) if !matches!(entry.typeflag, b'0' | 0) => "a stream that is no file".into(),
            Ok(Some(stream)) => return self.begin_stream(Some(stream), entry, stored.flags, stored.vdl),
            Ok(None) => {
                self.current = Recorded::stream(owner, b"");
                if entry.get_some(keys::EFS).is_some() {
                    return self.begin_efs(&entry);
                }
                self.take_late(late, linux.attributes);
                return Ok(());
            }
        };
        self.refuse(&path, "stream", format!("{}: {refused}", String::from_utf8_lossy(&entry.path)))
    }

    /// Facts that came behind the content of their file.
    fn take_late(&mut self, mut late: Facts, attributes: Vec<(Vec<u8>, Vec<u8>)>) {
        for kind in SmallKind::ALL {
            if let (Some(from), Some(to)) = (late.small_mut(kind), self.entry.facts.small_mut(kind))
                && from.is_some()
            {
                *to = from.take();
                if kind != SmallKind::ObjectId {
                    self.steps.push_back(Step::Small(kind));
                }
            }
        }
        let known = &mut self.entry.facts.linux.attributes;
        let first = known.len();
        known.extend(attributes);
        self.steps.extend((first..known.len()).map(Step::Linux));
    }

    fn stash(&mut self, entry: RawEntry) {
        self.stashed = Some(entry);
        self.end_file();
    }

    fn end_file(&mut self) {
        if self.entry.facts.object_id.is_some() {
            self.steps.push_back(Step::Small(SmallKind::ObjectId));
        }
        self.steps.push_back(Step::EndFile);
        self.state = State::Next;
    }

    /// Reads the manifest, and compares the entries with it when a proof is wanted.
    fn manifest(&mut self, entry: &RawEntry) -> Result<()> {
        self.summary.entries -= 1;
        self.summary.proven = self.proof.is_some();
        let (limit, proof) = (self.limits.line, self.proof.take());
        let mut reading = Reading::new(entry.offset, entry.size, limit, proof)?;
        while self.tar.take(u64::MAX)? > 0 {
            reading.piece(self.tar.chunk(), &mut self.remarks)?;
        }
        let closing = reading.close(self.summary.entries, &mut self.remarks);
        if let Some(span) = self.tar.leave()? {
            reading.check_exact(&span, &mut self.remarks);
        }
        if self.tar.next()?.is_some() {
            reading.fault(MANIFEST, "there are entries behind it", &mut self.remarks);
        } else if self.tar.end() != Some(End::Proper) {
            reading.fault(MANIFEST, "the archive has no end behind it: it was cut off", &mut self.remarks);
        } else if !self.only_zeros_follow()? {
            reading.fault(MANIFEST, "there are bytes behind the end of the archive", &mut self.remarks);
        }
        self.summary.faults = reading.faults;
        if let Some(closing) = closing {
            self.summary.complete = true;
            (self.summary.losses, self.summary.notes) = (closing.losses, closing.notes);
        }
        self.state = State::End;
        Ok(())
    }

    /// Some programs round an archive up to their own blocks.
    fn only_zeros_follow(&mut self) -> Result<bool> {
        let mut zeros = true;
        while self.tar.input.take(u64::MAX)? > 0 {
            zeros &= self.tar.chunk().iter().all(|byte| *byte == 0);
        }
        Ok(zeros)
    }
}

fn is_only(extents: &[Extent], whole: Extent) -> bool {
    extents == [whole] || extents.is_empty() && whole.len == 0
}
