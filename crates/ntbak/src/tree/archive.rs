//! An archive as a tree, forward only: it may come out of a pipe.

use std::ffi::OsStr;
use std::io::{Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak_archive::{ArchiveReader, Item, Limits, OpenSource, Problem, Remark, Summary};
use ntbak_wire::record::{FileInfo, Record};

use super::{Content, FileVisit, LinkVisit, Tree, Visit, WalkOptions};
use crate::backup::Parts;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind, Report};

/// Shows what is in an archive: one of ours, or any other tar.
///
/// An archive that ends too early is shown as far as it reaches, and is a loss. The losses of the backup itself, which
/// are in the manifest, are not told again.
pub struct ArchiveTree<R: Read> {
    reader: ArchiveReader<R>,
}

/// Finds out what `source` is, and opens it.
///
/// # Errors
/// It is neither a tar archive nor one in zstd.
pub fn open_archive<R: Read>(source: R) -> Result<ArchiveTree<OpenSource<R>>> {
    let source = ntbak_archive::open(source)?;
    Ok(ArchiveTree { reader: ArchiveReader::new(source, Limits::default()) })
}

impl<R: Read> ArchiveTree<R> {
    /// What `reader` reads.
    pub fn new(reader: ArchiveReader<R>) -> Self {
        Self { reader }
    }

    /// What the archive turned out to be, behind a walk.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.reader.summary()
    }
}

fn shown(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(if path.is_empty() { b"." } else { path }))
}

fn tell(remark: &Remark, report: &dyn Report) {
    let report = FileReport { to: report, path: shown(&remark.path) };
    match &remark.loss {
        Some(kind) => report.stream_loss(remark.stream.as_ref(), LossKind::named(kind), remark.why.clone()),
        None => report.note(remark.stream.as_ref(), remark.why.clone()),
    }
}

/// What the next item begins.
enum Next {
    File { path: Vec<u8>, refused: Option<&'static str>, info: FileInfo, unknown: usize },
    Link { path: Vec<u8>, target: Vec<u8>, refused: Option<&'static str>, short: Option<ntbak_wire::Name> },
    Nothing,
    End,
}

impl<R: Read> ArchiveTree<R> {
    fn next(&mut self, report: &dyn Report) -> ntbak_archive::Result<Next> {
        Ok(match self.reader.next()? {
            None => Next::End,
            Some(Item::File(entry)) => {
                let mut info = entry.info().clone();
                info.unix_owner = entry.owner.or(info.unix_owner);
                let refused = entry.path.plain().err().map(|flaws| flaws.why());
                let unknown = entry.unknown.len();
                Next::File { path: entry.path.as_bytes().to_vec(), refused, info, unknown }
            }
            Some(Item::Link(link)) => {
                let refused = link.path.plain().err().or(link.target.plain().err());
                Next::Link {
                    path: link.path.as_bytes().to_vec(),
                    target: link.target.as_bytes().to_vec(),
                    refused: refused.map(|flaws| flaws.why()),
                    short: link.short.clone(),
                }
            }
            Some(Item::Remark(remark)) => {
                tell(remark, report);
                Next::Nothing
            }
            // The rest of a file that nobody wants.
            Some(_) => Next::Nothing,
        })
    }

    fn walk_all(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        let WalkOptions { select, report, backup, .. } = options;
        self.reader.set_no_content(backup.no_content);
        loop {
            match self.next(report)? {
                Next::End => return Ok(()),
                Next::Nothing => {}
                Next::File { path, refused: Some(why), .. } | Next::Link { path, refused: Some(why), .. } => {
                    refuse(&path, why, report);
                    visit(Visit::Told(&path))?;
                }
                Next::File { path, info, unknown, .. } => {
                    if !select.wants(select.verdict_on(&path, info.attributes.is_directory())) {
                        continue;
                    }
                    if unknown > 0 {
                        let what = format!("{unknown} records of its header mean nothing to ntbak");
                        FileReport { to: report, path: shown(&path) }.note(None, what);
                    }
                    let without = backup.without;
                    let mut content =
                        Rest { reader: &mut self.reader, info: &info, report, without, failed: None };
                    let (shown, info) = (shown(&path), &info);
                    visit(Visit::File(FileVisit { path: &path, shown, info, content: &mut content }))?;
                    if let Some(error) = content.failed {
                        return Err(error);
                    }
                }
                Next::Link { path, target, short, .. } => {
                    if !select.wants(select.verdict_on(&path, false)) {
                        continue;
                    }
                    let (short, info) = (short.as_ref(), &FileInfo::default());
                    visit(Visit::Link(LinkVisit {
                        path: &path,
                        shown: shown(&path),
                        target: &target,
                        short,
                        info,
                    }))?;
                }
            }
        }
    }
}

impl<R: Read> Tree for ArchiveTree<R> {
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.walk_all(options, visit) {
            Err(error) if is_cut(&error) => {
                let report = FileReport { to: options.report, path: Path::new(".") };
                report.loss(LossKind::Archive, error.reason());
                visit(Visit::Told(b""))
            }
            walked => walked,
        }
    }
}

fn refuse(path: &[u8], why: &str, report: &dyn Report) {
    let why = format!("it was not taken: {why}, and could lead out of the target");
    FileReport { to: report, path: shown(path) }.loss(LossKind::Name, why);
}

/// Whether the archive just ends too early.
fn is_cut(error: &Error) -> bool {
    let crate::Cause::Archive(error) = error.cause() else { return false };
    match error.problem() {
        Problem::Truncated { .. } => true,
        Problem::Io { error, .. } => error.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}

/// The records of the file that was just read.
struct Rest<'r, R: Read> {
    reader: &'r mut ArchiveReader<R>,
    info: &'r FileInfo,
    report: &'r dyn Report,
    without: Parts,
    /// Why the archive cannot be read any further.
    failed: Option<Error>,
}

impl<R: Read> Content for Rest<'_, R> {
    fn pour(&mut self, put: &mut dyn FnMut(&Record<'_>) -> bool) -> Result<bool> {
        let mut efs_size = 0;
        // Within a stream that is left out.
        let mut passing = false;
        loop {
            let item = match self.reader.next() {
                Ok(item) => item,
                Err(error) => {
                    let why = format!("the archive cannot be read any further: {error}");
                    self.failed = Some(error.into());
                    return Err(Error::new(ntbak_wire::Win32Error::INVALID_DATA, why));
                }
            };
            match &item {
                Some(Item::Record(Record::Small(kind, _))) if self.without.contains(Parts::of(*kind)) => {
                    continue;
                }
                Some(Item::Record(Record::Stream(head))) => {
                    passing = self.without.contains(Parts::of_stream(head));
                }
                Some(Item::EfsRaw { .. }) => passing = self.without.contains(Parts::DATA),
                _ => {}
            }
            if passing {
                let in_stream = matches!(
                    &item,
                    Some(
                        Item::Record(
                            Record::Stream(_)
                                | Record::Block(_)
                                | Record::Bytes { .. }
                                | Record::EndStream { .. }
                        ) | Item::EfsRaw { .. }
                            | Item::EfsBytes { .. }
                            | Item::EndEfs
                    )
                );
                if in_stream {
                    continue;
                }
            }
            let taken = match item {
                None => return Ok(true),
                Some(Item::Record(Record::EndFile)) => return Ok(put(&Record::EndFile)),
                // With the owner, which the archive has in another place.
                Some(Item::Record(Record::File(_))) => put(&Record::File(self.info)),
                Some(Item::Record(record)) => put(&record),
                Some(Item::LinuxAttribute { name, value }) => {
                    put(&Record::LinuxAttribute { name: name.into(), value: value.into() })
                }
                Some(Item::EfsRaw { size }) => {
                    efs_size = size;
                    put(&Record::EfsRaw { size: Some(size) })
                }
                Some(Item::EfsBytes { offset, data }) => put(&Record::Bytes { offset, data }),
                Some(Item::EndEfs) => put(&Record::EndStream { size: efs_size }),
                Some(Item::Remark(remark)) => {
                    tell(remark, self.report);
                    true
                }
                Some(_) => true,
            };
            if !taken {
                return Ok(false);
            }
        }
    }
}

/// One whole archive in memory.
impl From<Vec<u8>> for ArchiveTree<Cursor<Vec<u8>>> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(ArchiveReader::new(Cursor::new(bytes), Limits::default()))
    }
}
