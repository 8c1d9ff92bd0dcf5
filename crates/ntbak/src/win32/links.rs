//! LINK streams on drives: the file that `BackupWrite` writes becomes one more name of the file that the stream names.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ntbak_wire::record::Record;
use ntbak_wire::{Name, Win32Error};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::host::stage::temporary_name;
use crate::report::{Collected, FileReport};
use crate::restore_stream::LinkResolver;
use crate::sink::FileSink;
use crate::win32::handle::Inner;
use crate::win32::open_files::Place;
use crate::win32::resolve::Follow;
use crate::win32::{Drives, Node};

/// The directory of a drive below which the paths of LINK streams are.
#[derive(Clone)]
pub(super) struct LinkRoot {
    pub(super) drives: Arc<Drives>,
    pub(super) path: Vec<u8>,
}

impl LinkResolver for LinkRoot {
    fn resolve(&mut self, target: &Name) -> Result<PathBuf> {
        let target = target.to_wtf8();
        let begin = target.iter().position(|byte| !matches!(byte, b'\\' | b'/')).unwrap_or(target.len());
        let below = target.get(begin..).unwrap_or_default();
        // What is below the root is a name there, and nothing else: no letter, and no way up.
        if below.contains(&b':') || below.split(|byte| matches!(byte, b'\\' | b'/')).any(|part| part == b"..")
        {
            return Err(Error::new(Win32Error::INVALID_NAME, "the target of a hard link leads elsewhere"));
        }
        let separator: &[u8] =
            if self.path.ends_with(b"\\") || self.path.ends_with(b"/") { b"" } else { b"\\" };
        let path = [self.path.as_slice(), separator, below].concat();
        match self.drives.resolve(&path, Follow::Itself)?.node {
            Some(_) => Ok(PathBuf::from(std::ffi::OsString::from_vec(path))),
            None => Err(Error::new(Win32Error::FILE_NOT_FOUND, "the target of a hard link is not there")),
        }
    }
}

/// A sink whose file can become a hard link to another one of the drives.
pub(super) struct Linking {
    sink: Option<Box<dyn FileSink>>,
    capabilities: Capabilities,
    directory: bool,
    drives: Arc<Drives>,
    place: Place,
    node: Arc<dyn Node>,
}

impl Linking {
    pub(super) fn new(inner: &Inner, drives: Arc<Drives>) -> Result<Self> {
        let sink = inner.node.sink()?;
        let (capabilities, directory) = (sink.can().clone(), sink.is_directory());
        let (place, node) = (inner.place(), inner.node.clone());
        Ok(Self { sink: Some(sink), capabilities, directory, drives, place, node })
    }
}

impl FileSink for Linking {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        match &mut self.sink {
            Some(sink) => sink.put(record, report),
            None if matches!(record, Record::EndFile) => Ok(()),
            None => Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "it is a hard link now: its target is another file",
            )),
        }
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        let existing = self.drives.resolve(target.as_os_str().as_bytes(), Follow::Itself)?.node;
        let none = || Error::new(Win32Error::FILE_NOT_FOUND, "the target of a hard link is not there");
        let existing = existing.ok_or_else(none)?;
        let Some(parent) = self.place.parent.clone().filter(|_| !self.directory && !existing.is_directory())
        else {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "a directory cannot be a hard link"));
        };
        if existing.identity() == self.node.identity() {
            return Ok(());
        }
        if let Some(sink) = self.sink.take() {
            // What it had begun belongs to the old file, and must not reach the other one.
            let silent = Collected::new();
            sink.commit(&FileReport { to: &silent, path: target })?;
        }
        let beside = temporary_name();
        parent.link(beside.as_bytes(), &*existing)?;
        let renamed = parent.rename(beside.as_bytes(), &*existing, &*parent, &self.place.name, true);
        renamed.inspect_err(|_| {
            // It is only a left-over when this fails, too.
            let _ = parent.remove(beside.as_bytes(), &*existing);
        })
    }

    fn commit(self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        self.sink.map_or(Ok(()), |sink| sink.commit(report))
    }
}
