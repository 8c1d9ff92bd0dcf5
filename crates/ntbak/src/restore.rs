//! From records to a sink: what is checked, what is passed over, what is a loss.

use std::path::Path;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::security::{Control, SecurityDescriptor};
use ntbak_wire::{FileAttributes, Win32Error, ea, link};

use crate::backup::{BackupOptions, FileRecords, Records};
use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::sink::{FileSink, no_unnamed_stream};
use crate::source::FileSource;

/// What happens with a fact that the sink cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheld {
    /// It is reported as a loss, and the rest goes on.
    Report,
    /// It is an error, as in `BackupWrite`; but for a named stream, which is passed over (\[MS-BKUP\] 2.3 <2>).
    Refuse,
}

/// Passes records on to a sink: payloads are checked before they are applied, and what the sink cannot hold is told.
pub struct Restore {
    sink: Box<dyn FileSink>,
    unheld: Unheld,
    /// The current stream is passed over.
    passing: bool,
    /// The current stream, for the place of an error.
    head: StreamHead,
}

impl Restore {
    /// A restore into `sink`.
    #[must_use]
    pub fn new(sink: Box<dyn FileSink>, unheld: Unheld) -> Self {
        Self { sink, unheld, passing: false, head: StreamHead::plain(None, 0) }
    }

    /// How a backup for this sink is best made.
    #[must_use]
    pub fn options(&self) -> BackupOptions {
        let can = self.sink.can();
        BackupOptions {
            extents_first: can.extents_first,
            stop_at_vdl: can.holds(Facts::VDL),
            ..BackupOptions::default()
        }
    }

    /// Passes one record on.
    ///
    /// # Errors
    /// The sink cannot write it, or the payload is not valid.
    pub fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        match record {
            Record::File(info) => self.tell_unheld_info(info, report),
            Record::Small(kind, payload) => {
                self.check_small(*kind, payload, report)?;
                if !self.holds_small(*kind, payload, report)? {
                    return Ok(());
                }
            }
            Record::LinuxAttribute { name, .. } if !self.sink.can().holds(Facts::LINUX) => {
                let why = format!("{}: {}", name.escape_ascii(), self.sink.can().why_not(Facts::LINUX));
                report.loss(LossKind::LinuxAttribute, why);
                return Ok(());
            }
            Record::EfsRaw { .. } => {
                let can = self.sink.can();
                if !can.holds(Facts::EFS) {
                    let why = format!("the file is encrypted: {}", can.why_not(Facts::EFS));
                    return Err(Error::new(Win32Error::VOLUME_NOT_SUPPORT_EFS, why));
                }
                (self.head, self.passing) = (StreamHead::plain(None, 0), false);
            }
            Record::Stream(head) => {
                self.head.clone_from(head);
                // Whatever refuses the stream, its bytes must not go to the stream before it.
                self.passing = true;
                if self.holds_stream(head, report)? {
                    self.sink.put(record, report).map_err(|error| error.in_stream(head.name.as_ref()))?;
                    self.passing = false;
                }
                return Ok(());
            }
            _ => {}
        }
        let in_stream = matches!(record, Record::Block(_) | Record::Bytes { .. } | Record::EndStream { .. });
        if !in_stream {
            return self.sink.put(record, report);
        }
        if self.passing {
            let content = matches!(record, Record::Bytes { .. } | Record::EndStream { size: 1.. });
            if content
                && self.head.name.is_none()
                && self.sink.is_directory()
                && self.head.extents == Extents::Unknown
            {
                // Once is enough.
                self.head.extents = Extents::All;
                return Err(no_unnamed_stream());
            }
            return Ok(());
        }
        self.sink.put(record, report).map_err(|error| error.in_stream(self.head.name.as_ref()))
    }

    /// Passes over the stream that has just begun, in which something refused.
    pub(crate) fn pass_stream(&mut self, head: &StreamHead) {
        self.head.clone_from(head);
        self.passing = true;
    }

    /// Makes the file a hard link to the one at `target`.
    ///
    /// # Errors
    /// The target is not there, on another volume, or the place has no hard links.
    pub fn link(&mut self, target: &Path) -> Result<()> {
        self.sink.link(target)
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The sink could not.
    pub fn commit(self, report: &FileReport<'_>) -> Result<()> {
        self.sink.commit(report)
    }

    /// Reports what the sink cannot hold of the basic information.
    fn tell_unheld_info(&self, info: &FileInfo, report: &FileReport<'_>) {
        let can = self.sink.can();
        let tell = |there: bool, fact: Facts, kind: LossKind| {
            if there && !can.holds(fact) {
                let what = Facts::NAMES.iter().find(|(named, _)| *named == fact).map_or("", |(_, name)| name);
                let why = can.why_not(fact);
                // Of three times, the kind alone does not say which.
                report.loss(
                    kind,
                    if kind == LossKind::Time { format!("{what}: {why}") } else { why.to_owned() },
                );
            }
        };
        tell(info.times.created.is_some(), Facts::CREATED, LossKind::Time);
        tell(info.times.written.is_some(), Facts::WRITTEN, LossKind::Time);
        tell(info.times.accessed.is_some(), Facts::ACCESSED, LossKind::Time);
        tell(info.times.changed.is_some(), Facts::CHANGED, LossKind::ChangeTime);
        tell(info.short_name().is_some(), Facts::SHORT_NAME, LossKind::ShortName);
        tell(info.case_sensitive, Facts::CASE_SENSITIVE, LossKind::CaseSensitive);
        if info.unix_mode.is_some() && !can.holds(Facts::LINUX) {
            report.note(None, format!("owner and mode of Linux are not kept: {}", can.why_not(Facts::LINUX)));
        }
        // A directory has no stream to say that it is compressed; the attribute says it.
        let compressed = info.attributes.contains(FileAttributes::COMPRESSED);
        tell(compressed && self.sink.is_directory(), Facts::COMPRESSION, LossKind::Compression);

        let unset = info.attributes - can.attributes - TOLD_ELSEWHERE;
        if !unset.is_empty() {
            let why = format!("attributes {} ({:#x}) cannot be set there", unset.letters(), unset.bits());
            report.loss(LossKind::Attribute, why);
        }
    }

    /// Parses a small payload whole, before anything is changed.
    fn check_small(&self, kind: SmallKind, payload: &[u8], report: &FileReport<'_>) -> Result<()> {
        match kind {
            SmallKind::Security => SecurityDescriptor::parse(payload).map(drop)?,
            // What Windows would not set may still be there: on a volume that Linux has written to.
            SmallKind::Ea if self.unheld == Unheld::Report => ea::parse_full(payload).map(drop)?,
            SmallKind::Ea => ea::check_for_set(payload)?,
            SmallKind::Reparse => ReparseBuffer::parse(payload).map(drop)?,
            SmallKind::ObjectId if payload.len() == OBJECT_ID_ALONE => {
                report.note(None, "the object id has 16 bytes; its birth ids are taken for zeros");
            }
            SmallKind::ObjectId if payload.len() != ObjectId::LEN => {
                let why = format!("an object id has 64 bytes, not {}", payload.len());
                return Err(Error::new(Win32Error::INVALID_DATA, why));
            }
            SmallKind::ObjectId => {}
            SmallKind::Link => link::parse(payload).map(drop)?,
        }
        Ok(())
    }

    fn holds_small(&self, kind: SmallKind, payload: &[u8], report: &FileReport<'_>) -> Result<bool> {
        let can = self.sink.can();
        let (fact, loss, code) = match kind {
            SmallKind::Security => (Facts::SECURITY, LossKind::Security, Win32Error::NOT_SUPPORTED),
            SmallKind::Ea => (Facts::EA, LossKind::Ea, Win32Error::EAS_NOT_SUPPORTED),
            SmallKind::Reparse => (Facts::REPARSE, LossKind::Reparse, Win32Error::NOT_SUPPORTED),
            SmallKind::ObjectId => (Facts::OBJECT_ID, LossKind::ObjectId, Win32Error::NOT_SUPPORTED),
            SmallKind::Link => return Ok(true),
        };
        if !can.holds(fact) {
            let why = can.why_not(fact).to_owned();
            if self.unheld == Unheld::Refuse {
                return Err(Error::new(code, why));
            }
            report.loss(loss, why);
            return Ok(false);
        }
        let has_sacl = || {
            SecurityDescriptor::parse(payload).is_ok_and(|sd| sd.control().contains(Control::SACL_PRESENT))
        };
        if kind == SmallKind::Security && !can.holds(Facts::SACL) && has_sacl() {
            report.loss(LossKind::Sacl, can.why_not(Facts::SACL));
        }
        let flagged = || ea::parse_full(payload).is_ok_and(|list| list.iter().any(|ea| ea.flags != 0));
        if kind == SmallKind::Ea && !can.holds(Facts::EA_FLAGS) && flagged() {
            report.loss(LossKind::EaFlags, can.why_not(Facts::EA_FLAGS));
        }
        Ok(true)
    }

    /// Whether the sink takes this stream; what it cannot hold of its storage is told.
    fn holds_stream(&self, head: &StreamHead, report: &FileReport<'_>) -> Result<bool> {
        let can = self.sink.can();
        if head.name.is_none() && self.sink.is_directory() {
            if head.size == 0 {
                return Ok(false);
            }
            return Err(no_unnamed_stream());
        }
        if head.name.is_some() && !can.holds(Facts::NAMED_STREAMS) {
            report.stream_loss(head.name.as_ref(), LossKind::Stream, can.why_not(Facts::NAMED_STREAMS));
            return Ok(false);
        }
        let tell = |there: bool, fact: Facts, kind: LossKind| {
            if there && !can.holds(fact) {
                report.stream_loss(head.name.as_ref(), kind, can.why_not(fact));
            }
        };
        let sparse = head.flags.contains(StreamFlags::SPARSE);
        tell(sparse, Facts::HOLES, LossKind::Holes);
        let no_hole = sparse && head.extents == Extents::All && can.holds(Facts::HOLES);
        tell(no_hole, Facts::SPARSE_FLAG, LossKind::Holes);
        tell(head.flags.contains(StreamFlags::COMPRESSED), Facts::COMPRESSION, LossKind::Compression);
        tell(head.vdl < head.size, Facts::VDL, LossKind::Vdl);
        Ok(true)
    }
}

/// Bytes of an object id without its birth ids, as the `$OBJECT_ID` attribute of a file often is.
const OBJECT_ID_ALONE: usize = 16;

/// Attributes that only mirror what another record says, and NORMAL, which says nothing.
const TOLD_ELSEWHERE: FileAttributes = FileAttributes::DIRECTORY
    .union(FileAttributes::NORMAL)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::REPARSE_POINT)
    .union(FileAttributes::COMPRESSED)
    .union(FileAttributes::ENCRYPTED);

/// Copies one file or directory (without what is in it) from a source into a sink.
///
/// # Errors
/// The content cannot be read or written; a staged sink leaves nothing behind then.
pub fn copy(source: &dyn FileSource, sink: Box<dyn FileSink>, report: &FileReport<'_>) -> Result<()> {
    let mut restore = Restore::new(sink, Unheld::Report);
    let here = FileReport { to: report.to, path: report.path };
    let mut records = FileRecords::new(source, restore.options(), here)?;
    if records.info().link_count > 1 && !records.info().attributes.is_directory() {
        report.loss(LossKind::Link, "the file has other names, too, and the copy has one");
    }
    while let Some(record) = records.next()? {
        match restore.put(&record, report) {
            // An id that another file has, or that a directory keeps: the copy goes on with the one that it can have.
            Err(error)
                if matches!(record, Record::Small(SmallKind::ObjectId, _))
                    && matches!(error.win32(), Win32Error::ALREADY_EXISTS | Win32Error::DUP_NAME) =>
            {
                report.loss(LossKind::ObjectId, error.reason());
            }
            done => done?,
        }
    }
    restore.commit(report)
}
