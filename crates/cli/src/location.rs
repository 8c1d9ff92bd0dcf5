//! `FILE` or `FILE:STREAM`: a path that exists as it is typed wins.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ntbak::FileSource;
use ntbak_wire::Name;
use ntbak_wire::stream::StreamName;

use crate::failure::Failure;

/// A file, and perhaps one of its streams.
#[derive(Debug)]
pub(crate) struct Location {
    /// The file or directory.
    pub(crate) path: PathBuf,
    /// The stream behind the colon.
    pub(crate) stream: Option<StreamName>,
}

impl Location {
    /// Reads what the user typed.
    pub(crate) fn parse(typed: &Path) -> Self {
        let whole = || Self { path: typed.to_owned(), stream: None };
        let bytes = typed.as_os_str().as_bytes();
        let name_begins = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (directory, name) = bytes.split_at(name_begins);
        // On an ntfs-3g mount FILE:STREAM exists, but in no listing: it is the stream that is meant.
        let is_entry = || {
            let parent =
                if directory.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(directory)) };
            parent.read_dir().is_ok_and(|mut entries| {
                entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().as_bytes() == name))
            })
        };
        let Some(colon) = name.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0) else {
            return whole();
        };
        if is_entry() {
            return whole();
        }
        let (file, stream) = name.split_at(colon);
        let Some(stream) = Name::from_wtf8(stream).and_then(|stream| StreamName::from_wire(&stream).ok())
        else {
            return whole();
        };
        let path = [directory, file].concat();
        Self { path: OsStr::from_bytes(&path).into(), stream: Some(stream) }
    }

    /// The number of its stream in `source`.
    pub(crate) fn find_stream(&self, source: &dyn FileSource) -> Result<usize, Failure> {
        let wanted = ntbak::memory::StreamKey::of(self.stream.as_ref());
        let mut index = 0;
        while let Some(head) = source.stream(index)? {
            if ntbak::memory::StreamKey::of(head.name.as_ref()) == wanted {
                return Ok(index);
            }
            index += 1;
        }
        let why = match &self.stream {
            Some(stream) => format!("it has no stream {stream}; `ntbak info` lists those that it has"),
            None => "a directory has no unnamed data stream".to_owned(),
        };
        Err(ntbak::Error::new(ntbak_wire::Win32Error::FILE_NOT_FOUND, why).at_path(&self.path).into())
    }
}
