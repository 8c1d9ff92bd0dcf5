//! An archive as the place of many files.

use std::collections::HashSet;
use std::io::{Sink, Write};

use ntbak_archive::{ArchiveWriter, Fragment, Problem, Remark};
use ntbak_wire::record::{FileInfo, Record};

use super::{Begun, TakesFragments, TreeSink, Verbatim};
use crate::backup::BackupOptions;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::tree::{Heard, LinkVisit};

/// Writes an [`ntbak_archive`] archive. Losses and notes of the backup are in its manifest.
pub struct ArchiveSink<W: Write> {
    writer: ArchiveWriter<W>,
    broken: bool,
    /// What the writer has told itself, and has in the manifest already.
    told: HashSet<String>,
}

impl<W: Write> ArchiveSink<W> {
    /// A sink over an archive that has just begun.
    pub fn new(writer: ArchiveWriter<W>) -> Self {
        Self { writer, broken: false, told: HashSet::new() }
    }

    /// Writes the manifest and the end of the archive; answers its target.
    ///
    /// # Errors
    /// The target cannot be written.
    pub fn complete(self) -> Result<W> {
        Ok(self.writer.finish()?)
    }

    fn check<T>(&mut self, done: ntbak_archive::Result<T>) -> Result<T> {
        done.map_err(|error| {
            self.broken |= matches!(error.problem(), Problem::Io { .. });
            error.into()
        })
    }

    /// Passes on what the writer says.
    fn tell(&mut self, remark: Option<Remark>, report: &FileReport<'_>) {
        let Some(remark) = remark else { return };
        self.told.insert(remark.why.clone());
        match remark.loss {
            Some(kind) => report.stream_loss(remark.stream.as_ref(), LossKind::named(&kind), remark.why),
            None => report.note(remark.stream.as_ref(), remark.why),
        }
    }
}

impl ArchiveSink<Sink> {
    /// A sink whose files are going to be a part of an archive; they stay in memory, in `buffer`, which is empty.
    pub(crate) fn aside(buffer: Vec<u8>) -> Self {
        Self::new(ArchiveWriter::aside(buffer))
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.writer.offset()
    }

    /// The files, whole.
    pub(crate) fn into_fragment(self) -> Result<Fragment> {
        Ok(self.writer.into_fragment()?)
    }
}

impl<W: Write> TakesFragments for ArchiveSink<W> {
    fn append(&mut self, fragment: Fragment) -> Result<Vec<u8>> {
        let appended = self.writer.append(fragment);
        self.check(appended)
    }
}

impl<W: Write> TreeSink for ArchiveSink<W> {
    fn options(&self) -> BackupOptions {
        BackupOptions {
            extents_first: ArchiveWriter::<W>::EXTENTS_FIRST,
            stop_at_vdl: true,
            small_first: true,
            ..BackupOptions::default()
        }
    }

    fn begin(&mut self, path: &[u8], _: &FileInfo, report: &FileReport<'_>) -> Result<Begun<'_>> {
        let begun = self.writer.begin(path);
        let remark = self.check(begun)?;
        self.tell(remark, report);
        Ok(Begun::Verbatim(Box::new(ArchiveFile { sink: self, efs: false, open: true })))
    }

    fn link(&mut self, link: &LinkVisit<'_>, report: &FileReport<'_>) -> Result<bool> {
        let written = self.writer.link(link.path, link.target, link.short, link.info);
        let remark = self.check(written)?;
        self.tell(remark, report);
        Ok(true)
    }

    fn fragments(&mut self) -> Option<&mut dyn TakesFragments> {
        Some(self)
    }

    fn remember(&mut self, path: &[u8], heard: &[Heard]) -> Result<()> {
        for heard in heard {
            let remark = match heard {
                Heard::Loss(loss) => {
                    Remark::loss(loss.kind.name(), path, &*loss.why).in_stream(loss.stream.as_ref())
                }
                Heard::Note(note) => Remark::note(path, &*note.what).in_stream(note.stream.as_ref()),
            };
            if !self.told.remove(&remark.why) {
                let done = self.writer.remark(&remark);
                self.check(done)?;
            }
        }
        self.told.clear();
        Ok(())
    }

    fn is_fatal(&self, _: &Error) -> bool {
        self.broken
    }
}

/// One file of it.
struct ArchiveFile<'s, W: Write> {
    sink: &'s mut ArchiveSink<W>,
    efs: bool,
    open: bool,
}

impl<W: Write> ArchiveFile<'_, W> {
    fn give_up(&mut self, why: &str) {
        if std::mem::take(&mut self.open) && !self.sink.broken {
            match self.sink.writer.abandon(why) {
                Ok(remark) => drop(self.sink.told.insert(remark.why)),
                Err(_) => self.sink.broken = true,
            }
        }
    }
}

impl<W: Write> Verbatim for ArchiveFile<'_, W> {
    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        let writer = &mut self.sink.writer;
        let done = match record {
            Record::File(info) => match info.unix_owner {
                Some((user, group)) => writer.owner(user, group).and_then(|()| writer.put(record)),
                None => writer.put(record),
            },
            Record::LinuxAttribute { name, value } => writer.linux_attribute(name, value).map(|()| None),
            Record::EfsRaw { size } => {
                self.efs = true;
                // Every source of ours knows it: it follows from the sizes of the streams.
                writer.efs_raw(size.unwrap_or_default()).map(|()| None)
            }
            Record::EndStream { size } if std::mem::take(&mut self.efs) => writer.end_efs(*size),
            Record::EndFile => {
                self.open = false;
                writer.put(record)
            }
            _ => writer.put(record),
        };
        let remark = match self.sink.check(done) {
            Err(error) => {
                self.give_up(&error.reason());
                return Err(error);
            }
            Ok(remark) => remark,
        };
        self.sink.tell(remark, report);
        Ok(())
    }

    fn abandon(&mut self, why: &str) {
        self.give_up(why);
    }
}

/// Dropped in the middle: the archive stays sound.
impl<W: Write> Drop for ArchiveFile<'_, W> {
    fn drop(&mut self) {
        self.give_up("it was given up");
    }
}
