//! Where many files go: one trait, and one file for each kind of place.

use ntbak_archive::Fragment;
use ntbak_wire::record::{FileInfo, Record};

use crate::backup::BackupOptions;
use crate::error::{Error, Result};
use crate::report::{FileReport, Report};
use crate::restore::Restore;
use crate::tree::{Heard, LinkVisit};

mod archive;
mod describe;
mod host;
mod levels;
mod names;
mod pool;
mod rehearsal;

pub use archive::ArchiveSink;
pub use describe::{DescribeSink, Described, Description, Listener, StreamDescription};
pub use host::{HostSink, HostSinkOptions, Overwrite};
pub use rehearsal::Rehearsal;

/// Many files that are being written, one after the other, in any order: a directory may come behind what is in it.
pub trait TreeSink {
    /// How files for this place are best read.
    fn options(&self) -> BackupOptions;

    /// Begins a file or directory at this path.
    ///
    /// # Errors
    /// It cannot be made.
    fn begin(&mut self, path: &[u8], info: &FileInfo, report: &FileReport<'_>) -> Result<Begun<'_>>;

    /// Completes the file that was begun last, which has all its records: at once, or [`later`](Commit::Later).
    ///
    /// # Errors
    /// It could not be completed.
    fn commit(&mut self, file: Restore, report: &FileReport<'_>) -> Result<Commit> {
        file.commit(report).map(|()| Commit::Done)
    }

    /// What has become of files that were to be complete later, in any order; with `wait` of all of them.
    fn finished(&mut self, _wait: bool) -> Option<Finished> {
        None
    }

    /// The file that was begun last is complete.
    ///
    /// # Errors
    /// The target as a whole failed.
    fn done(&mut self, _path: &[u8], _info: &FileInfo) -> Result<()> {
        Ok(())
    }

    /// Gives a file that is there another name; `false` when something has it already and was to stay.
    ///
    /// # Errors
    /// It cannot be made.
    fn link(&mut self, link: &LinkVisit<'_>, report: &FileReport<'_>) -> Result<bool>;

    /// Where files can be put that were written [aside](ntbak_archive::ArchiveWriter::aside) on several threads, where there is such.
    fn fragments(&mut self) -> Option<&mut dyn TakesFragments> {
        None
    }

    /// What was told about the file at `path`, for a target that keeps it.
    ///
    /// # Errors
    /// The target as a whole failed.
    fn remember(&mut self, _path: &[u8], _heard: &[Heard]) -> Result<()> {
        Ok(())
    }

    /// Whether there is no use in going on behind this error.
    fn is_fatal(&self, _error: &Error) -> bool {
        false
    }

    /// All files are there: what has to come last is done. Called once, also behind a failure.
    ///
    /// # Errors
    /// The target as a whole failed.
    fn finish(&mut self, _report: &dyn Report) -> Result<()> {
        Ok(())
    }
}

/// A place for files that were written aside.
pub trait TakesFragments {
    /// Puts them behind all that came before: their buffer, to be used again.
    ///
    /// # Errors
    /// The target as a whole failed.
    fn append(&mut self, fragment: Fragment) -> Result<Vec<u8>>;
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is complete.
    Done,
    /// It is going to be: [`TreeSink::finished`] answers with this number.
    Later(u64),
}

/// A file that was to be complete later.
#[derive(Debug)]
pub struct Finished {
    /// Which.
    pub number: u64,
    /// Whether it is.
    pub outcome: Result<()>,
    /// What was told about it meanwhile.
    pub heard: Vec<Heard>,
}

/// What takes the records of one file.
pub enum Begun<'s> {
    /// A place with limits, or one that acts on what it gets: payloads are checked before they are applied.
    Checked(Restore),
    /// A place that keeps records as they are.
    Verbatim(Box<dyn Verbatim + 's>),
    /// Nothing: a file is there already, and was to stay.
    Skipped,
}

/// Keeps the records of one file as they are.
pub trait Verbatim {
    /// Takes the next record.
    ///
    /// # Errors
    /// It cannot be kept.
    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()>;

    /// The file could not be read to its end.
    fn abandon(&mut self, why: &str);
}

impl Begun<'_> {
    pub(crate) fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        match self {
            Self::Checked(restore) => restore.put(record, report),
            Self::Verbatim(file) => file.put(record, report),
            Self::Skipped => Ok(()),
        }
    }

    pub(crate) fn abandon(self, why: &str) {
        if let Self::Verbatim(mut file) = self {
            file.abandon(why);
        }
    }
}
