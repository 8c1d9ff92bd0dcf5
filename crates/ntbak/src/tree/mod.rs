/*!
Many files: where they come from, where they go, and the one loop between.

```text
HostTree ────┐                                 ┌──► HostSink      (a directory, an ntfs-3g mount)
NtfsTree ────┤                                 │
ArchiveTree ─┼─ Tree ─► Visit ─► transfer ─────┼──► ArchiveSink
MemoryTree ──┘                                 ├──► MemoryTree
                                               └──► DescribeSink  (list, verify, diff)
```

A [`Tree`] shows each file once, with its records, and each other name of a file behind it. The order is the tree's own: a
directory may come behind what is in it. Paths are bytes, `/` between names, without one at either end; the root has none.
*/

use std::path::{Path, PathBuf};

use ntbak_wire::record::{FileInfo, Record, SmallKind};
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::backup::{BackupOptions, FileRecords, Records};
use crate::error::{Error, Result};
use crate::report::{FileReport, Loss, LossKind, Note, Progress, Report};
use crate::restore::Restore;
use crate::source::FileSource;
use crate::tree_sink::{Begun, Commit, TreeSink};

mod archive;
mod decrypted;
mod host;
mod line;
mod listing;
mod memory;
mod ntfs;
mod pack;
mod select;
mod tee;

pub use archive::{ArchiveTree, open_archive};
pub use decrypted::DecryptedTree;
pub use host::HostTree;
pub use memory::MemoryTree;
pub use ntfs::NtfsTree;
pub use pack::{Ear, Pack, Packed, Packing};
pub use select::{Pattern, Select, Verdict};

use line::Line;
use tee::Tee;

/// How a tree is to be shown.
#[derive(Clone, Copy)]
pub struct WalkOptions<'a> {
    /// Which of its files.
    pub select: &'a Select,
    /// How each is read.
    pub backup: BackupOptions,
    /// Where losses and notes go.
    pub report: &'a dyn Report,
    /// Where files can be written on several threads, if they can: a tree may show them [packed](Visit::Packed).
    pub packing: Option<&'a Packing<'a>>,
}

/// One thing that a tree shows.
pub enum Visit<'a> {
    /// A file or directory.
    File(FileVisit<'a>),
    /// Another name of a file that was shown before.
    Link(LinkVisit<'a>),
    /// Nothing; what was told last is about what has this path, and is not shown itself.
    Told(&'a [u8]),
    /// Files that were written already, on another thread.
    Packed(Packed),
}

impl<'a> Visit<'a> {
    /// The path in the tree; of packed files, which are many, no bytes.
    fn path(&self) -> &'a [u8] {
        match self {
            Self::File(file) => file.path,
            Self::Link(link) => link.path,
            Self::Told(path) => path,
            Self::Packed(_) => b"",
        }
    }
}

/// A file or directory.
pub struct FileVisit<'a> {
    /// Its path in the tree.
    pub path: &'a [u8],
    /// Its path as the user knows it, for reports.
    pub shown: &'a Path,
    /// Attributes, times and names.
    pub info: &'a FileInfo,
    /// Everything about it, [`Record::File`] first.
    pub content: &'a mut dyn Content,
}

/// Another name of a file.
pub struct LinkVisit<'a> {
    /// The name, as a path in the tree.
    pub path: &'a [u8],
    /// The same as the user knows it.
    pub shown: &'a Path,
    /// The path under which the file was shown.
    pub target: &'a [u8],
    /// The 8.3 name that goes with this name.
    pub short: Option<&'a Name>,
    /// The file.
    pub info: &'a FileInfo,
}

/// Many files.
pub trait Tree {
    /// Shows each file that is wanted, and then each other name of it.
    ///
    /// # Errors
    /// Those of `visit`, at once; or the tree as a whole cannot be read. A single file that cannot be read is a loss.
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()>;
}

/// The records of one file, once.
pub trait Content {
    /// Gives each record to `put`, as long as that answers `true`. The answer is whether all were taken.
    ///
    /// # Errors
    /// The file cannot be read any further.
    fn pour(&mut self, put: &mut dyn FnMut(&Record<'_>) -> bool) -> Result<bool>;

    /// The file itself, where it can be read by position.
    fn source(&self) -> Option<&dyn FileSource> {
        None
    }
}

impl Content for FileRecords<'_> {
    fn source(&self) -> Option<&dyn FileSource> {
        Some(self.file())
    }

    fn pour(&mut self, put: &mut dyn FnMut(&Record<'_>) -> bool) -> Result<bool> {
        while let Some(record) = self.next()? {
            if !put(&record) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Files, directories too.
    pub files: u64,
    /// Other names of them.
    pub links: u64,
    /// Bytes of content that were read.
    pub bytes: u64,
    /// Files that were there already, and were to stay.
    pub skipped: u64,
}

/// Brings what is wanted of `tree` to `sink`. What fails for one file is a loss, and the others go on.
///
/// # Errors
/// The tree or the target as a whole failed: the archive is damaged, the disk is full; or the work was cancelled. What
/// was brought before is complete.
pub fn transfer(
    tree: &mut dyn Tree,
    sink: &mut dyn TreeSink,
    select: &Select,
    report: &dyn Report,
) -> Result<Counts> {
    let tee = Tee::new(report);
    let packing = sink.fragments().is_some().then(|| Packing::new(report));
    let (packing, counts, line) = (packing.as_ref(), Counts::default(), Line::default());
    let mut transfer = Transfer { sink, tee: &tee, report, packing, counts, line };
    let backup = BackupOptions { without: select.left_out(), ..transfer.sink.options() };
    let options = WalkOptions { select, backup, report: &tee, packing };
    let walked = tree.walk(options, &mut |visit| transfer.visit(visit));
    let Transfer { sink, mut counts, mut line, .. } = transfer;
    let settled = line.settle(sink, &mut counts, report, true);
    tee.pass_on();
    sink.remember(b"", &tee.take())?;
    // Directories get their times also where something went wrong.
    let finished = sink.finish(&tee);
    walked?;
    settled?;
    finished?;
    Ok(counts)
}

struct Transfer<'t> {
    sink: &'t mut dyn TreeSink,
    tee: &'t Tee<'t>,
    report: &'t dyn Report,
    packing: Option<&'t Packing<'t>>,
    counts: Counts,
    line: Line,
}

impl Transfer<'_> {
    fn visit(&mut self, visit: Visit<'_>) -> Result<()> {
        let Self { sink, tee, report, counts, line, .. } = self;
        if report.cancelled() {
            return Err(cancelled());
        }
        let path = visit.path().to_vec();
        let (done, shown) = match visit {
            Visit::File(file) => {
                let shown = file.shown.to_owned();
                (bring(file, *sink, *tee, counts), shown)
            }
            Visit::Link(link) => {
                let brought = bring_link(&link, *sink, *tee, counts);
                (brought.map(|()| Commit::Done), link.shown.to_owned())
            }
            Visit::Told(_) => (Ok(Commit::Done), PathBuf::new()),
            Visit::Packed(packed) => return self.unpack(packed),
        };
        let later = match done {
            Ok(Commit::Later(number)) => Some(number),
            _ => None,
        };
        line.put(path, shown, tee.take(), tee.is_held_back(), later);
        line.settle(*sink, counts, *report, false)?;
        // While files have not told everything, nothing is told before them.
        if line.is_empty() {
            tee.pass_on()
        } else {
            tee.hold_back()
        }
        report.progress(counts.progress());
        done.map(drop)
    }

    /// Files that were written already come to their place.
    fn unpack(&mut self, mut packed: Packed) -> Result<()> {
        let Self { sink, tee, report, packing, counts, .. } = self;
        sink.remember(b"", &tee.take())?;
        packed.tell(*report);
        if let (Some(packing), Some(place)) = (packing, sink.fragments()) {
            packing.unpack(packed.fragment, place)?;
        }
        counts.add(&packed.counts);
        report.progress(counts.progress());
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.links += other.links;
        self.bytes += other.bytes;
        self.skipped += other.skipped;
    }

    fn progress(&self) -> Progress {
        Progress { files: self.files + self.links, bytes: self.bytes }
    }
}

fn cancelled() -> Error {
    Error::new(Win32Error::OPERATION_ABORTED, "cancelled")
}

fn bring(
    file: FileVisit<'_>,
    sink: &mut dyn TreeSink,
    to: &dyn Report,
    counts: &mut Counts,
) -> Result<Commit> {
    let FileVisit { path, shown, info, content } = file;
    let report = FileReport { to, path: shown };
    let filled = match sink.begin(path, info, &report) {
        Ok(Begun::Skipped) => {
            counts.skipped += 1;
            return Ok(Commit::Done);
        }
        Ok(begun) => fill(begun, content, &report, counts),
        Err(error) => Filled::NotWritten(error),
    };
    let committed = match filled {
        Filled::Checked(file) => sink.commit(file, &report),
        Filled::Verbatim => Ok(Commit::Done),
        Filled::NotWritten(error) => Err(error),
        Filled::NotRead(error) => {
            report.loss(content_kind(info), error.reason());
            let over = error.win32() == Win32Error::OPERATION_ABORTED;
            return if over { Err(error) } else { Ok(Commit::Done) };
        }
    };
    match committed {
        Ok(Commit::Done) => {
            counts.files += 1;
            sink.done(path, info).map(|()| Commit::Done)
        }
        Ok(later) => Ok(later),
        Err(error) => not_written(sink, error, &report).map(|()| Commit::Done),
    }
}

/// Tells that a file could not be written; or there is no use in going on.
fn not_written(sink: &dyn TreeSink, error: Error, report: &FileReport<'_>) -> Result<()> {
    let error = error.at_path(report.path);
    if sink.is_fatal(&error) {
        return Err(error);
    }
    report.stream_loss(None, LossKind::Content, format!("it could not be written: {}", error.reason()));
    Ok(())
}

/// What a file that cannot be read has lost.
fn content_kind(info: &FileInfo) -> LossKind {
    if info.attributes.contains(FileAttributes::ENCRYPTED) { LossKind::Efs } else { LossKind::Content }
}

/// How far a file came.
enum Filled {
    /// It has all its records.
    Checked(Restore),
    /// The same, and it is complete.
    Verbatim,
    NotRead(Error),
    NotWritten(Error),
}

fn fill(
    mut begun: Begun<'_>,
    content: &mut dyn Content,
    report: &FileReport<'_>,
    counts: &mut Counts,
) -> Filled {
    let mut failed = None;
    let poured = content.pour(&mut |record| {
        if let Record::Bytes { data, .. } = record {
            counts.bytes += data.len() as u64;
            report.to.progress(counts.progress());
        }
        if report.to.cancelled() {
            failed = Some(cancelled());
            return false;
        }
        match (begun.put(record, report), record) {
            (Ok(()), _) => true,
            (Err(error), Record::Small(kind, _)) if error.win32() != Win32Error::DISK_FULL => {
                report.loss(LossKind::of(*kind), error.reason());
                true
            }
            (Err(error), _) => {
                failed = Some(error);
                false
            }
        }
    });
    match (failed, poured) {
        (Some(error), _) => Filled::NotWritten(error),
        (None, Err(error)) => {
            begun.abandon(&error.reason());
            Filled::NotRead(error)
        }
        (None, Ok(_)) => match begun {
            Begun::Checked(file) => Filled::Checked(file),
            Begun::Verbatim(_) | Begun::Skipped => Filled::Verbatim,
        },
    }
}

fn bring_link(
    link: &LinkVisit<'_>,
    sink: &mut dyn TreeSink,
    to: &dyn Report,
    counts: &mut Counts,
) -> Result<()> {
    let report = FileReport { to, path: link.shown };
    match sink.link(link, &report) {
        Ok(true) => counts.links += 1,
        Ok(false) => counts.skipped += 1,
        Err(error) => {
            let error = error.at_path(link.shown);
            if sink.is_fatal(&error) {
                return Err(error);
            }
            let target = String::from_utf8_lossy(link.target).into_owned();
            report.loss(LossKind::Link, format!("another name of {target}: {}", error.reason()));
        }
    }
    Ok(())
}

impl LossKind {
    /// What is lost without such a payload.
    #[must_use]
    pub fn of(kind: SmallKind) -> Self {
        match kind {
            SmallKind::Security => Self::Security,
            SmallKind::Ea => Self::Ea,
            SmallKind::Reparse => Self::Reparse,
            SmallKind::ObjectId => Self::ObjectId,
            SmallKind::Link => Self::Link,
        }
    }
}

/// Something that was told about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A loss.
    Loss(Loss),
    /// A note.
    Note(Note),
}

impl Heard {
    fn tell(self, report: &dyn Report) {
        match self {
            Self::Loss(loss) => report.loss(loss),
            Self::Note(note) => report.note(note),
        }
    }
}
