//! From an archive to records, forward only: the mirror of [`writer`](crate::writer).
//!
//! It reads any tar archive. What is not ours is read as far as it means something; what means nothing here is told as
//! a [`Remark`], never guessed. Memory is bounded by [`Limits`].

use std::collections::VecDeque;
use std::io::{Read, Seek};

use ntbak_wire::record::{Extent, Record, SmallKind, StreamHead};

use crate::error::{Error, Problem, Result};
use crate::item::{Entry, Item, LinkEntry, Summary};
use crate::limits::Limits;
use crate::manifest::VOLUME;
use crate::manifest::write::Spool;
use crate::proof::{Proof, Recorded};
use crate::remark::Remark;
use crate::tar::input::Input;
use crate::tar::read::{End, RawEntry, TarReader};
use crate::volume::Volume;

mod closing;
mod content;
mod file;
mod following;

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
    /// Content is passed over.
    no_content: bool,
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
            no_content: false,
        }
    }

    /// Reads the archive in `source` from its begin, and goes over what is not wanted without reading it.
    ///
    /// # Errors
    /// The source cannot be sought in.
    pub fn seeking(source: R, limits: Limits) -> Result<Self>
    where
        R: Seek,
    {
        let mut reader = Self::new(source, limits);
        reader.tar.input.seek_forward()?;
        Ok(reader)
    }

    /// Whether content is passed over: streams come without it.
    pub fn set_no_content(&mut self, no_content: bool) {
        self.no_content = no_content;
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
}
