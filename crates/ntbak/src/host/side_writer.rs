//! Writing a side file: beside its place, and renamed when it is whole.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extents, Record, SmallKind, StreamHead};
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::stream::RecordEncoder;
use rustix::fs::AtFlags;

use crate::error::{Error, Result};
use crate::host::content::put_all;
use crate::host::node::read_at;
use crate::host::side::{SideFile, SideStream, make_file};
use crate::host::stage::temporary_name;

/// Bytes that are copied at a time.
const CHUNK: usize = 1 << 18;

/// A new file in the directory of side files; removed when it is dropped before it was [published](Self::publish).
#[derive(Debug)]
pub(crate) struct SideWriter {
    parent: Arc<OwnedFd>,
    dir: OwnedFd,
    name: OsString,
    fd: OwnedFd,
    len: u64,
    published: bool,
}

impl SideWriter {
    /// Begins a file in the side directory of `parent`.
    pub(crate) fn new(parent: &Arc<OwnedFd>) -> Result<Self> {
        let name = temporary_name();
        let (dir, fd) = make_file(parent, &name)?;
        Ok(Self { parent: Arc::clone(parent), dir, name, fd, len: 0, published: false })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        put_all(self.fd.as_fd(), self.len, bytes)
            .map_err(|(error, _)| Error::io("writing the side file", error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn append_small(&mut self, kind: SmallKind, payload: Option<&Vec<u8>>) -> Result<()> {
        let Some(payload) = payload else { return Ok(()) };
        if payload.len() as u64 > kind.max_len() {
            let why =
                format!("{} bytes of {} are more than a file has", payload.len(), kind.stream_id().name());
            return Err(Error::new(Win32Error::INVALID_DATA, why));
        }
        let mut bytes = Vec::new();
        RecordEncoder::new().put(&Record::Small(kind, payload.into()), &mut bytes)?;
        self.append(&bytes)
    }

    /// Everything of another side file, for an owner of another name.
    pub(crate) fn append_side(&mut self, from: &SideFile, owner: &OsStr) -> Result<()> {
        // The true name is that of the other file.
        let head = SideHead { owner: owner.as_bytes().to_vec(), true_name: None, ..from.head.clone() };
        self.append(&head.encode())?;
        for kind in SmallKind::ALL {
            self.append_small(kind, from.small(kind)?.as_ref())?;
        }
        from.streams.iter().try_for_each(|stream| self.append_stream(from, stream))
    }

    /// A named stream of another side file.
    pub(crate) fn append_stream(&mut self, from: &SideFile, stream: &SideStream) -> Result<()> {
        let mut encoder = RecordEncoder::new();
        let mut bytes = Vec::new();
        encoder.put(&Record::Stream(&stream.head), &mut bytes)?;
        let mut buffer = vec![0; CHUNK];
        let mut next = 0;
        while let Some(extent) = stream.next_extent(next) {
            next = extent.end();
            if stream.head.extents != Extents::All {
                encoder.put(&Record::Block(extent), &mut bytes)?;
            }
            let mut offset = extent.offset;
            while offset < extent.end() {
                let len = usize::try_from(extent.end() - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
                let got = from.read(stream, offset, buffer.get_mut(..len).unwrap_or_default())?;
                let data = buffer.get(..got).unwrap_or_default();
                if data.is_empty() {
                    return Err(Error::io("reading the side file", std::io::ErrorKind::UnexpectedEof));
                }
                encoder.put(&Record::Bytes { offset, data }, &mut bytes)?;
                self.append(&bytes)?;
                bytes.clear();
                offset += got as u64;
            }
        }
        encoder.put(&Record::EndStream { size: stream.head.size }, &mut bytes)?;
        self.append(&bytes)
    }

    /// A named stream whose content is at hand.
    pub(crate) fn append_whole(&mut self, head: &StreamHead, content: &[u8]) -> Result<()> {
        let mut encoder = RecordEncoder::new();
        let mut bytes = Vec::new();
        encoder.put(&Record::Stream(head), &mut bytes)?;
        encoder.put(&Record::Bytes { offset: 0, data: content }, &mut bytes)?;
        encoder.put(&Record::EndStream { size: content.len() as u64 }, &mut bytes)?;
        self.append(&bytes)
    }

    /// The first bytes of another one.
    pub(crate) fn append_from(&mut self, spool: &Self, len: u64) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        while offset < len {
            let want = usize::try_from(len - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
            let got = read_at(&spool.fd, offset, buffer.get_mut(..want).unwrap_or_default());
            let got = got.map_err(|error| Error::io("reading the spooled streams", error))?;
            if got == 0 {
                return Err(Error::io("reading the spooled streams", std::io::ErrorKind::UnexpectedEof));
            }
            self.append(buffer.get(..got).unwrap_or_default())?;
            offset += got as u64;
        }
        Ok(())
    }

    /// Gives the file its name, in place of what had it.
    pub(crate) fn publish(mut self, name: &OsStr) -> Result<()> {
        rustix::fs::renameat(&self.dir, &self.name, &self.dir, name)
            .map_err(|error| Error::io("giving the side file its name", error))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for SideWriter {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
        // It goes only when it is empty.
        let _ = rustix::fs::unlinkat(&self.parent, side::DIRECTORY, AtFlags::REMOVEDIR);
    }
}
