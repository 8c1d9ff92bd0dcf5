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

use std::path::Path;

use ntbak_wire::record::{FileInfo, Record, SmallKind};
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::backup::{BackupOptions, FileRecords, Records};
use crate::error::{Error, Result};
use crate::report::{FileReport, Loss, LossKind, Note, Progress, Report};
use crate::source::FileSource;
use crate::tree_sink::{Begun, TreeSink};

mod archive;
mod decrypted;
mod host;
mod memory;
mod ntfs;
mod select;
mod tee;

pub use archive::{ArchiveTree, open_archive};
pub use decrypted::DecryptedTree;
pub use host::HostTree;
pub use memory::MemoryTree;
pub use ntfs::{NtfsTree, VolumeFile};
pub use select::{Pattern, Select, Verdict};

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
}

/// One thing that a tree shows.
pub enum Visit<'a> {
    /// A file or directory.
    File(FileVisit<'a>),
    /// Another name of a file that was shown before.
    Link(LinkVisit<'a>),
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
    let mut counts = Counts::default();
    let options = WalkOptions { select, backup: sink.options(), report: &tee };
    let walked = tree.walk(options, &mut |visit| {
        if report.cancelled() {
            return Err(cancelled());
        }
        let path = match &visit {
            Visit::File(file) => file.path.to_vec(),
            Visit::Link(link) => link.path.to_vec(),
        };
        let done = match visit {
            Visit::File(file) => bring(file, sink, &tee, &mut counts),
            Visit::Link(link) => bring_link(&link, sink, &tee, &mut counts),
        };
        sink.remember(&path, &tee.take())?;
        report.progress(Progress { files: counts.files + counts.links, bytes: counts.bytes });
        done
    });
    sink.remember(b"", &tee.take())?;
    // Directories get their times also where something went wrong.
    let finished = sink.finish(&tee);
    walked?;
    finished?;
    Ok(counts)
}

fn cancelled() -> Error {
    Error::new(Win32Error::OPERATION_ABORTED, "cancelled")
}

fn bring(file: FileVisit<'_>, sink: &mut dyn TreeSink, to: &Tee<'_>, counts: &mut Counts) -> Result<()> {
    let FileVisit { path, shown, info, content } = file;
    let report = FileReport { to, path: shown };
    let outcome = match sink.begin(path, info, &report) {
        Ok(Begun::Skipped) => {
            counts.skipped += 1;
            return Ok(());
        }
        Ok(begun) => fill(begun, content, &report, counts),
        Err(error) => Outcome::NotWritten(error),
    };
    let failed = match outcome {
        Outcome::Done => {
            counts.files += 1;
            return sink.done(path, info);
        }
        Outcome::NotRead(error) => {
            report.loss(content_kind(info), error.reason());
            return if error.win32() == Win32Error::OPERATION_ABORTED { Err(error) } else { Ok(()) };
        }
        Outcome::NotWritten(error) => error,
    };
    let error = failed.at_path(shown);
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

enum Outcome {
    Done,
    NotRead(Error),
    NotWritten(Error),
}

fn fill(
    mut begun: Begun<'_>,
    content: &mut dyn Content,
    report: &FileReport<'_>,
    counts: &mut Counts,
) -> Outcome {
    let mut failed = None;
    let poured = content.pour(&mut |record| {
        if let Record::Bytes { data, .. } = record {
            counts.bytes += data.len() as u64;
            let (files, bytes) = (counts.files + counts.links, counts.bytes);
            report.to.progress(Progress { files, bytes });
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
        (Some(error), _) => Outcome::NotWritten(error),
        (None, Err(error)) => {
            begun.abandon(&error.reason());
            Outcome::NotRead(error)
        }
        (None, Ok(_)) => match begun.commit(report) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::NotWritten(error),
        },
    }
}

fn bring_link(
    link: &LinkVisit<'_>,
    sink: &mut dyn TreeSink,
    to: &Tee<'_>,
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
