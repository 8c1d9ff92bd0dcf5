//! A volume in memory: the reference for the functions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::Record;
use ntbak_wire::reparse::{ReparseBuffer, Target};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::memory::{MemoryFile, SharedFile};
use crate::report::FileReport;
use crate::sink::{FileSink, MemorySink, Neighbours, encrypted_there};
use crate::source::{FileSource, MemorySource};
use crate::win32::{Disposition, Identity, OpenFile, OpenRequest, Opened, Volume};

/// How many links are followed before it is taken for a loop.
const MAX_LINKS: usize = 63;

/// Files in memory by their paths (`dir/file`, no leading separator, `/` or `\`). Clones share the files.
#[derive(Debug, Clone, Default)]
pub struct MemoryVolume {
    files: Arc<Mutex<BTreeMap<String, SharedFile>>>,
}

impl MemoryVolume {
    /// An empty volume.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file under a path; its directories need not be there.
    pub fn insert(&self, path: &str, file: MemoryFile) -> SharedFile {
        let file = SharedFile::new(file);
        self.lock().insert(normal(path), file.clone());
        file
    }

    /// The file under a path; reparse points are not followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<SharedFile> {
        self.lock().get(&normal(path)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SharedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path that a link at the end of `path` leads to; `None` when there is no link that can be followed.
    fn target(&self, path: &str) -> Result<Option<String>> {
        let Some(file) = self.get(path) else { return Ok(None) };
        let Some(buffer) = file.read().reparse.clone() else { return Ok(None) };
        let Target::Symlink { substitute, relative: true, .. } = ReparseBuffer::parse(&buffer)?.target()?
        else {
            return Err(Error::new(Win32Error::NOT_SUPPORTED, "the reparse point leads out of the volume"));
        };
        let mut parts: Vec<String> = normal(path).split('/').map(str::to_owned).collect();
        parts.pop();
        for part in normal(&substitute.to_string()).split('/') {
            match part {
                "." | "" => {}
                ".." => drop(parts.pop()),
                part => parts.push(part.to_owned()),
            }
        }
        Ok(Some(parts.join("/")))
    }
}

fn normal(path: &str) -> String {
    path.replace('\\', "/")
}

impl Volume for MemoryVolume {
    fn open(&self, request: &OpenRequest<'_>) -> Result<Opened> {
        let typed = normal(request.path);
        let (path, stream) = match typed.split_once(':') {
            Some((path, stream)) => (path.to_owned(), Some(stream)),
            None => (typed.clone(), None),
        };
        let path = if request.open_reparse_point { path } else { self.follow(path)? };
        if let Some(stream) = stream {
            return self.open_stream(path, stream, request.disposition);
        }
        let file = match (self.get(&path), request.disposition) {
            (Some(_), Disposition::CreateNew) => {
                return Err(Error::new(Win32Error::FILE_EXISTS, "the file exists already"));
            }
            (None, Disposition::OpenExisting | Disposition::TruncateExisting) => {
                return Err(Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there"));
            }
            (None, _) => self.insert(&path, MemoryFile::file()),
            (Some(file), disposition) => {
                let is_directory = file.read().info.attributes.is_directory();
                let empties =
                    matches!(disposition, Disposition::CreateAlways | Disposition::TruncateExisting);
                if is_directory && (!request.directories || empties) {
                    return Err(Error::new(Win32Error::ACCESS_DENIED, "it is a directory")
                        .hint("a directory is opened with FILE_FLAG_BACKUP_SEMANTICS"));
                }
                if empties && file.read().efs_raw.is_some() {
                    return Err(encrypted_there());
                }
                if empties {
                    empty(&mut file.write(), disposition == Disposition::CreateAlways);
                }
                file
            }
        };
        Ok(self.opened(path, file, false))
    }

    fn stage(&self, path: &str, directory: bool) -> Result<Box<dyn FileSink>> {
        let path = normal(path);
        let file = self.get(&path).unwrap_or_default();
        let sink = MemorySink::staged(file.clone(), directory);
        Ok(Box::new(Staged { sink: Box::new(sink), path, file, volume: self.clone() }))
    }
}

/// A file that gets its path with the commit.
struct Staged {
    sink: Box<MemorySink>,
    path: String,
    file: SharedFile,
    volume: MemoryVolume,
}

impl FileSink for Staged {
    fn can(&self) -> &Capabilities {
        self.sink.can()
    }

    fn is_directory(&self) -> bool {
        self.sink.is_directory()
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        self.sink.put(record, report)
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        self.sink.link(target)
    }

    fn commit(self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        self.sink.commit(report)?;
        self.volume.lock().insert(self.path, self.file);
        Ok(())
    }
}

impl MemoryVolume {
    /// The path behind the links at the end of `path`.
    fn follow(&self, mut path: String) -> Result<String> {
        for _ in 0..MAX_LINKS {
            match self.target(&path)? {
                Some(target) => path = target,
                None => return Ok(path),
            }
        }
        Err(Error::new(Win32Error::PATH_NOT_FOUND, "the links lead in a circle"))
    }

    /// Opens an alternate data stream that is there. The backup functions refuse such a handle, so that none is made.
    fn open_stream(&self, path: String, stream: &str, disposition: Disposition) -> Result<Opened> {
        if disposition != Disposition::OpenExisting {
            return Err(Error::new(
                Win32Error::NOT_SUPPORTED,
                "a stream can only be opened, not made or emptied",
            ));
        }
        let name = StreamName::from_wire(&Name::from(format!(":{stream}").as_str()))?;
        let file = self.get(&path).filter(|file| file.read().stream(Some(&name)).is_some());
        let file = file.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "the stream is not there"))?;
        Ok(self.opened(path, file, true))
    }

    fn opened(&self, path: String, file: SharedFile, named_stream: bool) -> Opened {
        let identity = Identity(0, file.address());
        let file = Arc::new(MemoryOpen { path, file, volume: self.clone() });
        Opened { file, identity, named_stream }
    }
}

/// Empties a file; CREATE_ALWAYS also takes its EAs and named streams, as an overwrite on NTFS does.
fn empty(file: &mut MemoryFile, overwrite: bool) {
    if overwrite {
        *file = MemoryFile { security: file.security.take(), info: file.info.clone(), ..MemoryFile::file() };
        file.info.attributes = FileAttributes::ARCHIVE;
    } else if let Some(stream) = file.streams.get_mut(&Default::default()) {
        stream.set_size(0);
    }
}

struct MemoryOpen {
    path: String,
    file: SharedFile,
    volume: MemoryVolume,
}

impl OpenFile for MemoryOpen {
    fn path(&self) -> &str {
        &self.path
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        Ok(Box::new(MemorySource::new(self.file.clone())))
    }

    fn sink(&self) -> Result<Box<dyn FileSink>> {
        let (volume, this) = (self.volume.clone(), self.file.clone());
        let in_use = move |id: &ObjectId| {
            let files = volume.lock();
            let mut others = files.values().filter(|file| !file.is(&this));
            // The first 16 bytes are the id; the others say where it was born.
            others.any(|file| file.read().object_id.is_some_and(|other| other.guids()[0] == id.guids()[0]))
        };
        Ok(Box::new(MemorySink::in_place(self.file.clone()).among(Neighbours(Box::new(in_use)))))
    }
}
