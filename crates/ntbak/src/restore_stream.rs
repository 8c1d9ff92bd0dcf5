//! From the bytes of a backup stream to a sink: the mirror of [`BackupReader`](crate::BackupReader).

use std::path::PathBuf;

use ntbak_wire::record::{Record, SmallKind};
use ntbak_wire::security::{SecurityDescriptor, SecurityInformation};
use ntbak_wire::stream::{Decoded, Header, Position, RecordDecoder, StreamId, StreamSet};
use ntbak_wire::{Name, Win32Error, link};

use crate::backup_stream::Seek;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::restore::{Restore, Unheld};
use crate::sink::FileSink;

/// What a writer may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRights {
    /// The security descriptor.
    pub security: SetSecurity,
    /// Extended attributes.
    pub ea: bool,
    /// Content.
    pub data: bool,
}

/// How much of a security descriptor a writer may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetSecurity {
    /// SECURITY_DATA is read and thrown away.
    Unwanted,
    /// It is wanted, but there is no right to set it: an error.
    Denied,
    /// Owner, group and discretionary access control list; the system one of the file stays.
    WithoutSacl,
    /// All of it.
    Full,
}

impl WriteRights {
    /// Everything.
    pub const ALL: Self = Self { security: SetSecurity::Full, ea: true, data: true };
}

/// Which backup streams a writer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritePolicy {
    /// Do what \[MS-BKUP\] demands of a reader, instead of taking what is seen in the wild.
    pub strict: bool,
    /// The kinds of stream that are applied; the others are passed over (\[MS-BKUP\] 4.1).
    pub accept: StreamSet,
}

impl Default for WritePolicy {
    fn default() -> Self {
        Self { strict: false, accept: StreamSet::all() }
    }
}

/// Finds the files that LINK streams name.
pub trait LinkResolver: Send {
    /// Where the file is that `target`, the path of a LINK stream, names.
    ///
    /// # Errors
    /// 2 or 3 when it is not there, 17 when it is on another volume.
    fn resolve(&mut self, target: &Name) -> Result<PathBuf>;
}

/// A position in a backup stream that is being written to one file.
pub struct BackupWriter {
    decoder: RecordDecoder,
    accept: StreamSet,
    restore: Restore,
    links: Option<Box<dyn LinkResolver>>,
    /// The descriptor that the file had, of which the system access control list stays when it may not be set.
    security_before: Option<Vec<u8>>,
}

impl BackupWriter {
    /// A writer into `sink`.
    #[must_use]
    pub fn new(sink: Box<dyn FileSink>, unheld: Unheld, policy: WritePolicy) -> Self {
        let decoder = if policy.strict { RecordDecoder::strict() } else { RecordDecoder::new() };
        let restore = Restore::new(sink, unheld);
        Self { decoder, accept: policy.accept, restore, links: None, security_before: None }
    }

    /// The same writer with someone who finds the targets of hard links; without one, a LINK stream fails with Win32 error 2.
    #[must_use]
    pub fn with_links(mut self, links: Option<Box<dyn LinkResolver>>) -> Self {
        self.links = links;
        self
    }

    /// The same writer for a file that has this security descriptor.
    #[must_use]
    pub fn with_security_before(mut self, security: Option<Vec<u8>>) -> Self {
        self.security_before = security;
        self
    }

    /// Writes the next bytes of the backup stream, all of them unless there is an error.
    ///
    /// # Errors
    /// The bytes are not a backup stream, or cannot be applied; with the number of bytes that were taken before.
    /// What was applied stays. The rest of the payload that is at fault can be [passed over](Self::seek), or written
    /// and ignored.
    pub fn write(
        &mut self,
        bytes: &[u8],
        rights: WriteRights,
        report: &FileReport<'_>,
    ) -> Result<(), (usize, Error)> {
        let mut input = bytes;
        loop {
            match self.step(&mut input, rights, report) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err((bytes.len() - input.len(), error)),
            }
        }
    }

    /// Passes over `bytes` of the current payload, and never over its end. Content that is passed over reads as
    /// zeros; a payload that is applied whole is dropped.
    ///
    /// # Errors
    /// A stream that this completes cannot be completed.
    pub fn seek(&mut self, bytes: u64, report: &FileReport<'_>) -> Result<Seek> {
        match self.decoder.position() {
            Position::Payload { .. } => {}
            // Behind a payload that is complete there is nothing to pass over, and that was done.
            Position::Boundary => {
                return Ok(Seek { moved: 0, complete: bytes == 0 && self.decoder.offset() > 0 });
            }
            Position::Header => return Ok(Seek { moved: 0, complete: false }),
        }
        let moved = self.decoder.skip(bytes);
        if self.decoder.position() == (Position::Payload { left: 0 }) && moved > 0 {
            let mut nothing: &[u8] = &[];
            while self.step(&mut nothing, WriteRights::ALL, report)? {}
        }
        Ok(Seek { moved, complete: moved == bytes })
    }

    /// Where the writer stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.decoder.position()
    }

    /// Says that the backup stream ends here, and completes the file.
    ///
    /// # Errors
    /// The stream is cut, or the file cannot be completed.
    pub fn finish(mut self, report: &FileReport<'_>) -> Result<()> {
        if let Some(record) = self.decoder.finish()? {
            self.restore.put(&record, report)?;
        }
        self.restore.put(&Record::EndFile, report)?;
        self.restore.commit(report)
    }

    /// Applies the next record; `false` when the input is used up.
    fn step(&mut self, input: &mut &[u8], rights: WriteRights, report: &FileReport<'_>) -> Result<bool> {
        let mut accept = self.accept;
        accept.set(
            StreamSet::SECURITY_DATA,
            accept.contains(StreamSet::SECURITY_DATA) && rights.security != SetSecurity::Unwanted,
        );
        self.decoder.accept(accept);
        let offset = self.decoder.offset();
        let record = match self.decoder.next(input)? {
            None => return Ok(false),
            Some(Decoded::Ignored(header)) => {
                tell_ignored(header, self.accept, report);
                return Ok(true);
            }
            Some(Decoded::Record(record)) => record,
        };
        let applied = match &record {
            Record::Small(SmallKind::Link, payload) => {
                let target = link::parse(payload)?;
                match &mut self.links {
                    Some(links) => links.resolve(&target).and_then(|path| self.restore.link(&path)),
                    None => Err(no_links(&target)),
                }
            }
            // The flag was there with the header and is gone: thrown away, as if it had not been.
            Record::Small(SmallKind::Security, _) if rights.security == SetSecurity::Unwanted => Ok(()),
            Record::Small(SmallKind::Security, payload) => {
                let merged = match (rights.security, &self.security_before) {
                    (SetSecurity::Denied, _) => Err(Error::new(
                        Win32Error::ACCESS_DENIED,
                        "the handle has no right to set the security descriptor (WRITE_DAC and WRITE_OWNER)",
                    )),
                    (SetSecurity::WithoutSacl, before) => {
                        if SecurityDescriptor::parse(payload)
                            .is_ok_and(|new| new.parts().contains(SecurityInformation::SACL))
                        {
                            report.loss(
                                LossKind::Sacl,
                                "the handle has no right to set it (ACCESS_SYSTEM_SECURITY)",
                            );
                        }
                        without_sacl(payload, before.as_deref()).map(Some)
                    }
                    _ => Ok(None),
                };
                merged.and_then(|merged| match merged {
                    None => self.restore.put(&record, report),
                    Some(merged) => {
                        self.restore.put(&Record::Small(SmallKind::Security, merged.into()), report)
                    }
                })
            }
            Record::Small(SmallKind::Ea, _) if !rights.ea => Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "the handle has no right to write extended attributes",
            )),
            Record::Small(SmallKind::Reparse | SmallKind::ObjectId, _) if !rights.data => {
                Err(Error::new(Win32Error::ACCESS_DENIED, "the handle has no right to write"))
            }
            Record::Stream(head) if !rights.data => {
                self.restore.pass_stream(head);
                Err(Error::new(Win32Error::ACCESS_DENIED, "the handle has no right to write content"))
            }
            record => self.restore.put(record, report),
        };
        // What a source of the failure does not know, the position in the input tells.
        applied.map_err(|error| error.at_offset(offset)).map(|()| true)
    }
}

fn no_links(target: &Name) -> Error {
    Error::new(Win32Error::FILE_NOT_FOUND, format!("a hard link to {target}, and nothing to find it by"))
        .hint("say where links resolve: --link-root DIR")
}

/// The descriptor to set when the system access control list may not be: the new one, but with the old list.
fn without_sacl(payload: &[u8], before: Option<&[u8]>) -> Result<Vec<u8>> {
    let new = SecurityDescriptor::parse(payload)?;
    // A damaged one has nothing to keep.
    let before = before.and_then(|before| SecurityDescriptor::parse(before).ok());
    let parts = SecurityInformation::OWNER | SecurityInformation::GROUP | SecurityInformation::DACL;
    Ok(SecurityDescriptor::merge(before.as_ref(), &new, parts))
}

/// Streams that are passed over because ntbak has no use for them are told; those that the caller refuses are not.
fn tell_ignored(header: &Header, accept: StreamSet, report: &FileReport<'_>) {
    let (name, size) = (header.id.name(), header.size);
    match header.id {
        StreamId::TxfsData => {
            report.note(
                None,
                format!("{name} ({size} bytes) was passed over: it means nothing on another volume"),
            );
        }
        StreamId::PropertyData | StreamId::GhostedFileExtents => {
            report.loss(LossKind::OpaqueStream, format!("{name} ({size} bytes) was passed over"));
        }
        StreamId::SecurityData => {}
        _ if accept == StreamSet::all() => {
            report.loss(
                LossKind::OpaqueStream,
                format!("{name} ({size} bytes) was passed over: strict MS-BKUP"),
            );
        }
        _ => {}
    }
}
