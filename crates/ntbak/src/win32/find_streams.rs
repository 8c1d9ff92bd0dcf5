//! `FindFirstStreamW`, `FindNextStreamW`, and FileStreamInfo: the data streams of a file.

use std::collections::VecDeque;

use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::source::FileSource;
use crate::win32::facts::allocation;
use crate::win32::resolve::Follow;
use crate::win32::{Handle, System, fold};

/// WIN32_FIND_STREAM_DATA, and what FILE_STREAM_INFO has beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamData {
    /// `:name:$DATA`; `::$DATA` is the unnamed stream.
    pub name: Name,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that it takes on the volume, in clusters of 4 KiB.
    pub allocation_size: u64,
}

/// A search that goes on. The streams are those that were there when it began.
#[derive(Debug, Clone, Default)]
pub struct FindStream {
    streams: VecDeque<StreamData>,
}

/// `FindFirstStreamW`: a search, and the first stream. A link is followed.
///
/// # Errors
/// 38 for a directory without streams; 2, 3 when the file is not there.
pub fn find_first_stream(system: &System, path: impl AsRef<[u8]>) -> Result<(FindStream, StreamData)> {
    let path = path.as_ref();
    let first = || {
        let (_, node) = system.find(path, Follow::Links)?;
        let mut search = FindStream { streams: all(&*node.source()?)?.into() };
        let data = find_next_stream(&mut search)?;
        Ok((search, data))
    };
    first().map_err(|error: Error| error.at_path(&*fold::display(path)))
}

/// `FindNextStreamW`.
///
/// # Errors
/// 38 when there are no more.
pub fn find_next_stream(search: &mut FindStream) -> Result<StreamData> {
    let none = || Error::new(Win32Error::HANDLE_EOF, "there are no more streams");
    search.streams.pop_front().ok_or_else(none)
}

/// `GetFileInformationByHandleEx` with FileStreamInfo: all streams; of a directory often none.
///
/// # Errors
/// The file cannot be read.
pub fn find_streams(file: &Handle) -> Result<Vec<StreamData>> {
    let inner = file.inner();
    let streams = inner.node.source().and_then(|source| all(&*source));
    streams.map_err(|error| inner.at(error))
}

fn all(source: &dyn FileSource) -> Result<Vec<StreamData>> {
    let mut streams = Vec::new();
    let mut index = 0;
    while let Some(head) = source.stream(index)? {
        let name = head.name.as_ref().map_or_else(|| Name::from("::$DATA"), |name| name.to_wire());
        let allocation_size = allocation(source, index, head.size, &head.extents, head.flags)?;
        streams.push(StreamData { name, size: head.size, allocation_size });
        index += 1;
    }
    Ok(streams)
}
