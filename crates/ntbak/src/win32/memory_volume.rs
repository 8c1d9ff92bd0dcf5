//! A volume in memory: the reference for the functions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::reparse::{ReparseBuffer, Target};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::memory::{MemoryFile, SharedFile};
use crate::sink::{FileSink, MemorySink};
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
        let (path, stream) = match normal(request.path).split_once(':') {
            Some((path, stream)) => (path.to_owned(), Some(stream.to_owned())),
            None => (normal(request.path), None),
        };
        let mut path = path;
        if !request.open_reparse_point {
            let mut followed = 0;
            while let Some(target) = self.target(&path)? {
                followed += 1;
                if followed > MAX_LINKS {
                    return Err(Error::new(Win32Error::PATH_NOT_FOUND, "the links lead in a circle"));
                }
                path = target;
            }
        }
        let missing = || Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there");
        let file = match (self.get(&path), request.disposition) {
            (Some(_), Disposition::CreateNew) => {
                return Err(Error::new(Win32Error::FILE_EXISTS, "the file exists already"));
            }
            (None, Disposition::OpenExisting | Disposition::TruncateExisting) => return Err(missing()),
            (None, _) => self.insert(&path, MemoryFile::file()),
            (Some(file), disposition) => {
                let is_directory = file.read().info.attributes.is_directory();
                let empties =
                    matches!(disposition, Disposition::CreateAlways | Disposition::TruncateExisting);
                if is_directory && (!request.directories || empties) {
                    return Err(Error::new(Win32Error::ACCESS_DENIED, "it is a directory")
                        .hint("a directory is opened with FILE_FLAG_BACKUP_SEMANTICS"));
                }
                if empties {
                    empty(&mut file.write(), disposition == Disposition::CreateAlways);
                }
                file
            }
        };
        let identity = Identity(std::ptr::from_ref(&*file.read()).addr() as u64, 0);
        let file: Arc<dyn OpenFile> = Arc::new(MemoryOpen { path, file });
        Ok(Opened { file, identity, named_stream: stream.is_some() })
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
}

impl OpenFile for MemoryOpen {
    fn path(&self) -> &str {
        &self.path
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        Ok(Box::new(MemorySource::new(self.file.clone())))
    }

    fn sink(&self) -> Result<Box<dyn FileSink>> {
        Ok(Box::new(MemorySink::in_place(self.file.clone())))
    }
}
