//! Files of this machine by their POSIX paths, whatever file system they are on.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use ntbak_wire::{FileAttributes, Win32Error};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::place;
use crate::sink::{FileSink, encrypted_there};
use crate::source::FileSource;
use crate::win32::{Disposition, Identity, OpenFile, OpenRequest, Opened, Volume};

/// The files that Linux shows, by the paths that Linux takes; drives come with another volume.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostVolume;

impl Volume for HostVolume {
    fn open(&self, request: &OpenRequest<'_>) -> Result<Opened> {
        let (path, named_stream) = split_stream(request.path);
        let opening = |error: io::Error| Error::io("opening", error);
        if named_stream && request.disposition != Disposition::OpenExisting {
            return Err(Error::new(
                Win32Error::NOT_SUPPORTED,
                "a stream can only be opened, not made or emptied",
            ));
        }
        let found = if request.open_reparse_point { fs::symlink_metadata(path) } else { fs::metadata(path) };
        let metadata = match (found, request.disposition) {
            (Ok(_), Disposition::CreateNew) => {
                return Err(Error::new(Win32Error::FILE_EXISTS, "the file exists already"));
            }
            (Ok(metadata), disposition) => {
                let empties =
                    matches!(disposition, Disposition::CreateAlways | Disposition::TruncateExisting);
                if metadata.is_dir() && (!request.directories || empties) {
                    return Err(Error::new(Win32Error::ACCESS_DENIED, "it is a directory")
                        .hint("a directory is opened with FILE_FLAG_BACKUP_SEMANTICS"));
                }
                // Emptied, it would be an encrypted file still, and what is written then would be taken for ciphertext.
                if empties && place::open(path)?.info()?.attributes.contains(FileAttributes::ENCRYPTED) {
                    return Err(encrypted_there());
                }
                if disposition == Disposition::CreateAlways {
                    place::overwrite(path)?;
                } else if empties {
                    fs::OpenOptions::new().write(true).truncate(true).open(path).map_err(opening)?;
                }
                metadata
            }
            (Err(error), Disposition::OpenExisting | Disposition::TruncateExisting) => {
                return Err(missing(path, error));
            }
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
                let made = fs::OpenOptions::new().write(true).create_new(true).open(path);
                made.and_then(|file| file.metadata()).map_err(|error| missing(path, error))?
            }
            (Err(error), _) => return Err(opening(error)),
        };
        // What is followed now is what is meant later, too.
        let real = if request.open_reparse_point {
            path.to_owned()
        } else {
            path.canonicalize().map_err(opening)?
        };
        let identity = Identity(metadata.dev(), metadata.ino());
        let file = Arc::new(HostFile { path: request.path.to_owned(), real });
        Ok(Opened { file, identity, named_stream })
    }

    fn capabilities(&self, path: &str, directory: bool) -> Capabilities {
        let place = place::Place::of(Path::new(path));
        place.map_or_else(|_| Capabilities::everything(), |place| place.capabilities(directory))
    }

    fn stage(&self, path: &str, directory: bool) -> Result<Box<dyn FileSink>> {
        let path = Path::new(path);
        match fs::symlink_metadata(path) {
            Ok(there) if directory && there.is_dir() => place::in_place(path),
            _ => place::stage(path, directory).map_err(|error| match error.win32() {
                Win32Error::FILE_NOT_FOUND => {
                    Error::new(Win32Error::PATH_NOT_FOUND, "a directory of the path is not there")
                }
                _ => error,
            }),
        }
    }
}

/// A path that is there as it stands is that of a file; otherwise what is behind a colon is a stream.
fn split_stream(path: &str) -> (&Path, bool) {
    if fs::symlink_metadata(path).is_err()
        && let Some((file, _)) = path.rsplit_once(':')
        && fs::symlink_metadata(file).is_ok()
    {
        return (Path::new(file), true);
    }
    let is_stream = path.rsplit_once(':').is_some_and(|(file, _)| {
        // An ntfs-3g mount shows streams as files that no listing has.
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        matches!((fs::symlink_metadata(path), fs::symlink_metadata(file)), (Ok(a), Ok(b)) if same(&a, &b))
    });
    match path.rsplit_once(':') {
        Some((file, _)) if is_stream => (Path::new(file), true),
        _ => (Path::new(path), false),
    }
}

/// 2 when the file is missing, 3 when a directory of its path is.
fn missing(path: &Path, error: io::Error) -> Error {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if error.kind() == io::ErrorKind::NotFound && parent.is_some_and(|parent| !parent.is_dir()) {
        return Error::new(Win32Error::PATH_NOT_FOUND, "a directory of the path is not there");
    }
    Error::io("opening", error)
}

struct HostFile {
    /// As the caller wrote it.
    path: String,
    /// With every link followed that was to be followed.
    real: PathBuf,
}

impl OpenFile for HostFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        place::open(&self.real)
    }

    fn sink(&self) -> Result<Box<dyn FileSink>> {
        place::in_place(&self.real)
    }
}
