//! A file in memory as a sink.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extents, Record, SmallKind, StreamFlags};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::{FileAttributes, Name, Win32Error, ea};

use crate::capability::Capabilities;
use crate::efs::{Encrypted, RawFile};
use crate::error::{Error, Result};
use crate::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use crate::report::FileReport;
use crate::sink::{FileSink, check_reparse, encrypted_there, no_unnamed_stream};

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
    /// A raw export is coming.
    raw: bool,
    /// Its valid data length, when the record that began it knew one.
    vdl: Option<u64>,
    /// An object id of this restore may be replaced by a later one; one that was there before may not.
    own: Own,
    /// Other files of the volume, among which an object id may be in use.
    neighbours: Option<Neighbours>,
}

/// What this restore has set: a later payload of the kind may replace it; what was there before it may not.
#[derive(Debug, Default)]
struct Own {
    object_id: bool,
    reparse: bool,
    /// Basic information came: this is a copy, not the restore of a backup stream.
    info: bool,
}

/// Tells whether another file has an object id.
pub(crate) struct Neighbours(pub(crate) Box<dyn Fn(&ObjectId) -> bool + Send>);

impl std::fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Neighbours")
    }
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
        Self {
            target,
            staged: None,
            directory,
            capabilities,
            current,
            raw: false,
            vdl: None,
            own: Own::default(),
            neighbours: None,
        }
    }

    /// The same sink for a file of a volume, on which an object id is there once.
    pub(crate) fn among(mut self, neighbours: Neighbours) -> Self {
        self.neighbours = Some(neighbours);
        self
    }

    /// The same sink, as if it could hold less.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    fn small(
        file: &mut MemoryFile,
        kind: SmallKind,
        payload: &[u8],
        own: &mut Own,
        staged: bool,
    ) -> Result<()> {
        match kind {
            SmallKind::Security => file.security = Some(payload.to_vec()),
            // A new file gets the list as it is; what is there already is changed as Windows changes it.
            SmallKind::Ea if staged && own.info => file.ea = (!payload.is_empty()).then(|| payload.to_vec()),
            SmallKind::Ea if staged => {
                let merged = ea::merge_as_is(file.ea.as_deref().unwrap_or_default(), payload)?;
                file.ea = (!merged.is_empty()).then_some(merged);
            }
            SmallKind::Ea => {
                let merged = ea::merge(file.ea.as_deref().unwrap_or_default(), payload)?;
                file.ea = (!merged.is_empty()).then_some(merged);
            }
            SmallKind::Reparse => {
                let existing =
                    file.reparse.as_deref().filter(|_| !own.reparse).map(ReparseBuffer::parse).transpose()?;
                let state = reparse::File {
                    is_directory: file.info.attributes.is_directory(),
                    has_children: false,
                    has_data: file.stream(None).is_some_and(|stream| stream.size > 0),
                    existing: existing.map(|buffer| (buffer.tag(), buffer.guid())),
                };
                check_reparse(payload, state)?;
                file.reparse = Some(payload.to_vec());
                own.reparse = true;
                file.info.attributes |= FileAttributes::REPARSE_POINT;
            }
            SmallKind::ObjectId => {
                let id = ObjectId::parse(payload)?;
                if file.object_id.is_some_and(|present| present != id) && !own.object_id {
                    return Err(Error::new(Win32Error::ALREADY_EXISTS, "the file has an object id already"));
                }
                file.object_id = Some(id);
                own.object_id = true;
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
        // Before the file is locked: the neighbours are, one after the other.
        if let (Record::Small(SmallKind::ObjectId, payload), Some(Neighbours(in_use))) =
            (record, &self.neighbours)
            && in_use(&ObjectId::parse(payload)?)
        {
            return Err(Error::new(Win32Error::DUP_NAME, "another file of the volume has this object id"));
        }
        let is_staged = self.staged.is_some();
        let mut shared;
        let file = match &mut self.staged {
            Some(staged) => staged,
            None => {
                shared = self.target.write();
                &mut *shared
            }
        };
        match record {
            Record::File(info) => {
                file.info.clone_from(info);
                self.own.info = true;
            }
            Record::Small(kind, payload) => {
                Self::small(file, *kind, payload, &mut self.own, is_staged)?;
            }
            Record::EfsRaw { .. } => {
                file.streams.clear();
                file.efs_raw = Some(Vec::new());
                self.raw = true;
            }
            Record::Bytes { data, .. } if self.raw => {
                if let Some(raw) = &mut file.efs_raw {
                    raw.extend_from_slice(data);
                }
            }
            Record::EndStream { .. } if self.raw => {
                self.raw = false;
                let raw = RawFile::open(file.efs_raw.as_deref().unwrap_or_default())?;
                if self.directory && raw.streams().iter().any(|plan| plan.head.name.is_none()) {
                    return Err(no_unnamed_stream());
                }
                file.info.attributes |= FileAttributes::ENCRYPTED;
            }
            Record::LinuxAttribute { name, value } => {
                file.linux_attributes.insert(name.to_vec(), value.to_vec());
            }
            Record::Stream(_) if !self.directory && file.efs_raw.is_some() => return Err(encrypted_there()),
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
