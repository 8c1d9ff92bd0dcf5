//! A file in memory as a sink.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extents, Record, SmallKind, StreamFlags};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::{FileAttributes, Name, Win32Error, ea};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use crate::report::FileReport;
use crate::sink::{FileSink, check_reparse};

/// Writes a [`SharedFile`]: staged, when it replaces the whole file with the commit, or in place.
#[derive(Debug)]
pub struct MemorySink {
    target: SharedFile,
    /// The file that is being built; `None` in place.
    staged: Option<MemoryFile>,
    directory: bool,
    capabilities: Capabilities,
    /// The stream that is being written.
    current: StreamKey,
    /// Its valid data length, when the record that began it knew one.
    vdl: Option<u64>,
    /// An object id of this restore may be replaced by a later one; one that was there before may not.
    own_object_id: bool,
}

impl MemorySink {
    /// Builds a new file that takes the place of `target` with the commit.
    #[must_use]
    pub fn staged(target: SharedFile, directory: bool) -> Self {
        let staged = if directory { MemoryFile::directory() } else { MemoryFile::file() };
        Self { staged: Some(staged), directory, ..Self::in_place(target) }
    }

    /// Writes to the file as it is.
    #[must_use]
    pub fn in_place(target: SharedFile) -> Self {
        let directory = target.read().info.attributes.is_directory();
        let (capabilities, current) = (Capabilities::everything(), StreamKey::default());
        Self { target, staged: None, directory, capabilities, current, vdl: None, own_object_id: false }
    }

    /// The same sink, as if it could hold less.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    fn small(file: &mut MemoryFile, kind: SmallKind, payload: &[u8], own_object_id: &mut bool) -> Result<()> {
        match kind {
            SmallKind::Security => file.security = Some(payload.to_vec()),
            SmallKind::Ea => {
                let merged = ea::merge(file.ea.as_deref().unwrap_or_default(), payload)?;
                file.ea = (!merged.is_empty()).then_some(merged);
            }
            SmallKind::Reparse => {
                let existing = file.reparse.as_deref().map(ReparseBuffer::parse).transpose()?;
                let state = reparse::File {
                    is_directory: file.info.attributes.is_directory(),
                    has_children: false,
                    has_data: file.stream(None).is_some_and(|stream| stream.size > 0),
                    existing: existing.map(|buffer| (buffer.tag(), buffer.guid())),
                };
                check_reparse(payload, state)?;
                file.reparse = Some(payload.to_vec());
                file.info.attributes |= FileAttributes::REPARSE_POINT;
            }
            SmallKind::ObjectId => {
                let id = ObjectId::parse(payload)?;
                if file.object_id.is_some_and(|present| present != id) && !*own_object_id {
                    return Err(Error::new(Win32Error::ALREADY_EXISTS, "the file has an object id already"));
                }
                file.object_id = Some(id);
                *own_object_id = true;
            }
            SmallKind::Link => {}
        }
        Ok(())
    }
}

impl FileSink for MemorySink {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, record: &Record<'_>, _report: &FileReport<'_>) -> Result<()> {
        let mut shared;
        let file = match &mut self.staged {
            Some(staged) => staged,
            None => {
                shared = self.target.write();
                &mut *shared
            }
        };
        match record {
            Record::File(info) => file.info.clone_from(info),
            Record::Small(kind, payload) => Self::small(file, *kind, payload, &mut self.own_object_id)?,
            Record::Stream(head) => {
                self.current = StreamKey::of(head.name.as_ref());
                let stream = file.streams.entry(self.current.clone()).or_default();
                if head.amend {
                    stream.flags |= head.flags;
                } else {
                    *stream = MemoryStream::new(head.name.clone(), head.flags);
                }
                let learned_late = head.amend || head.size == 0 && head.extents == Extents::Unknown;
                self.vdl = (!learned_late).then_some(head.vdl);
                let sparse = stream.flags.contains(StreamFlags::SPARSE);
                if head.name.is_none() {
                    file.info.attributes.set(FileAttributes::SPARSE_FILE, sparse);
                }
            }
            Record::Bytes { offset, data } => {
                if let Some(stream) = file.streams.get_mut(&self.current) {
                    stream.write(*offset, data);
                }
            }
            Record::EndStream { size } => {
                if let Some(stream) = file.streams.get_mut(&self.current) {
                    // An amended stream does not become shorter; any other has nothing behind its end.
                    stream.size = stream.size.max(*size);
                    stream.vdl = self.vdl.unwrap_or(stream.size).min(stream.size);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        let path = Name::from_wtf8(target.as_os_str().as_bytes())
            .ok_or_else(|| Error::new(Win32Error::INVALID_NAME, "the target's name is no UTF-16"))?;
        match &mut self.staged {
            Some(staged) => staged.links.push(path),
            None => self.target.write().links.push(path),
        }
        Ok(())
    }

    fn commit(self: Box<Self>, _report: &FileReport<'_>) -> Result<()> {
        if let Some(staged) = self.staged {
            *self.target.write() = staged;
        }
        Ok(())
    }
}
