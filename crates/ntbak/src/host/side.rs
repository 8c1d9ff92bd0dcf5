//! Side files on disk: finding, indexing and replacing them. Their format is [`ntbak_wire::side`].

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ntbak_wire::record::{Extent, Extents, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::stream::{Decoder, Event, Header, StreamAttributes, StreamId, sparse};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::read_at;
use crate::memory::StreamKey;

/// The name of the side file for a file of this name.
pub(crate) fn file_name(owner: &OsStr) -> OsString {
    let digest = blake3::hash(owner.as_bytes()).to_hex();
    digest.get(..32).unwrap_or_default().into()
}

/// Opens the directory of side files in `dir`; `None` when there is none.
pub(crate) fn open_directory(dir: impl AsFd) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, side::DIRECTORY, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        // What is no directory of ours holds no side files.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(Error::io(format!("opening {}", side::DIRECTORY), error)),
    }
}

/// Opens the directory of side files in `dir`, made when it is not there.
pub(crate) fn make_directory(dir: impl AsFd) -> Result<OwnedFd> {
    match rustix::fs::mkdirat(&dir, side::DIRECTORY, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(Error::io(format!("making {}", side::DIRECTORY), error)),
    }
    let made = open_directory(&dir)?;
    made.ok_or_else(|| Error::io(format!("{} is not a directory of ntbak's", side::DIRECTORY), Errno::NOTDIR))
}

/// Removes the side file of this name, and the directory when it was the last.
pub(crate) fn remove(dir: impl AsFd, name: &OsStr) -> Result<()> {
    let Some(side) = open_directory(&dir)? else { return Ok(()) };
    match rustix::fs::unlinkat(side, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(Error::io("removing the side file that is there", error)),
    }
    let _ = rustix::fs::unlinkat(dir, side::DIRECTORY, AtFlags::REMOVEDIR);
    Ok(())
}

/// An opened side file with the places of all that is in it.
#[derive(Debug)]
pub(crate) struct SideFile {
    pub(crate) fd: OwnedFd,
    pub(crate) head: SideHead,
    pub(crate) small: Vec<(SmallKind, Place)>,
    pub(crate) streams: Vec<SideStream>,
}

/// A range of bytes in a side file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// A named stream in a side file.
#[derive(Debug)]
pub(crate) struct SideStream {
    pub(crate) head: StreamHead,
    /// Where its pieces are: extent in the stream, and offset in the file.
    pub(crate) pieces: Vec<(Extent, u64)>,
    replaced: bool,
}

impl SideFile {
    /// Opens the side file of `owner` under `name`; `None` when there is none, or when it is that of another file.
    pub(crate) fn open(dir: impl AsFd, name: &OsStr, owner: &OsStr) -> Result<Option<Self>> {
        let Some(side) = open_directory(dir)? else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(side, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::io("opening the side file", error)),
        };
        let file = Self::index(fd)?;
        // Two names whose hashes agree in 128 bits do not happen by chance; the later one would have replaced it.
        Ok((file.head.owner == owner.as_bytes()).then_some(file))
    }

    /// Reads the head and the headers of the backup stream, not its payloads.
    fn index(fd: OwnedFd) -> Result<Self> {
        let fault = |error| Error::io("reading the side file", error);
        let mut bytes = vec![0; 4096];
        let (head, begin) = loop {
            let got = read_at(&fd, 0, &mut bytes).map_err(fault)?;
            match SideHead::decode(bytes.get(..got).unwrap_or_default()) {
                Ok(decoded) => break decoded,
                Err(error) if got < bytes.len() || bytes.len() >= side::MAX_HEAD => return Err(error.into()),
                Err(_) => bytes.resize(bytes.len() * 4, 0),
            }
        };
        let mut file = Self { fd, head, small: Vec::new(), streams: Vec::new() };
        let len = rustix::fs::fstat(&file.fd).map_err(|error| fault(error.into()))?.st_size;
        let (begin, len) = (begin as u64, u64::try_from(len).unwrap_or(0));
        let mut decoder = Decoder::new();
        let mut names = HashMap::new();
        loop {
            let at = begin + decoder.offset();
            let got = read_at(&file.fd, at, &mut bytes).map_err(fault)?;
            let mut input = bytes.get(..got).unwrap_or_default();
            if input.is_empty() {
                break;
            }
            // One header at a time: its payload is passed over without being read.
            let header = loop {
                match decoder.next(&mut input).map_err(|error| error.at(begin))? {
                    Some(Event::Header(header)) => break Some(header),
                    Some(_) => {}
                    None => break None,
                }
            };
            let Some(header) = header else { continue };
            let place = Place { offset: begin + decoder.offset(), len: header.size };
            if len.saturating_sub(place.offset) < place.len {
                break;
            }
            decoder.skip(header.size);
            file.enter(&header, place, &mut names)?;
        }
        decoder.finish().map_err(|error| error.at(begin))?;
        file.streams.retain(|stream| !stream.replaced);
        Ok(file)
    }

    fn enter(&mut self, header: &Header, place: Place, names: &mut HashMap<StreamKey, usize>) -> Result<()> {
        match header.id {
            StreamId::AlternateData => {
                let mut head = StreamHead::plain(Some(header.stream_name()?), header.size);
                let mut pieces = Vec::new();
                if header.attributes.contains(StreamAttributes::SPARSE) {
                    head.flags = StreamFlags::SPARSE;
                }
                if header.size > 0 {
                    pieces.push((Extent { offset: 0, len: header.size }, place.offset));
                }
                // A second stream of a name takes the place of the first, and has to be the last one for its blocks.
                if let Some(before) = names.insert(StreamKey::of(head.name.as_ref()), self.streams.len())
                    && let Some(stream) = self.streams.get_mut(before)
                {
                    stream.replaced = true;
                }
                self.streams.push(SideStream { head, pieces, replaced: false });
            }
            StreamId::SparseBlock => {
                let mut offset = [0; 8];
                let got = read_at(&self.fd, place.offset, &mut offset);
                got.map_err(|error| Error::io("reading the side file", error))?;
                let (offset, len) =
                    (u64::from_le_bytes(offset), place.len.saturating_sub(sparse::OFFSET_LEN));
                if let Some(stream) = self.streams.last_mut() {
                    stream.overlay(Extent { offset, len }, place.offset + sparse::OFFSET_LEN);
                }
            }
            id => {
                if let Some(kind) = SmallKind::from_stream_id(id)
                    && place.len <= kind.max_len()
                {
                    self.small.push((kind, place));
                }
            }
        }
        Ok(())
    }

    /// A small payload; the last one of its kind.
    pub(crate) fn small(&self, kind: SmallKind) -> Result<Option<Vec<u8>>> {
        let Some((_, place)) = self.small.iter().rev().find(|(of, _)| *of == kind) else { return Ok(None) };
        let mut payload = vec![0; usize::try_from(place.len).unwrap_or(0)];
        let got = read_at(&self.fd, place.offset, &mut payload);
        let got = got.map_err(|error| Error::io("reading the side file", error))?;
        payload.truncate(got);
        Ok(Some(payload))
    }

    /// Reads a named stream.
    pub(crate) fn read(&self, stream: &SideStream, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let left = stream.head.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = buf.get_mut(..len).unwrap_or_default();
        let Some((piece, place)) = stream.piece(offset) else {
            buf.fill(0);
            return Ok(len);
        };
        if piece.offset > offset {
            let gap = usize::try_from(piece.offset - offset).map_or(len, |gap| gap.min(len));
            buf.get_mut(..gap).unwrap_or_default().fill(0);
            return Ok(gap);
        }
        let len = usize::try_from(piece.end() - offset).map_or(len, |rest| rest.min(len));
        let buf = buf.get_mut(..len).unwrap_or_default();
        read_at(&self.fd, place + (offset - piece.offset), buf)
            .map_err(|error| Error::io("reading the side file", error))
    }
}

impl SideStream {
    /// A SPARSE_BLOCK of the stream: what it covers comes from it, whatever was said before.
    fn overlay(&mut self, extent: Extent, place: u64) {
        self.head.extents = Extents::Unknown;
        self.head.size = self.head.size.max(extent.end());
        self.head.vdl = self.head.size;
        if extent.len == 0 {
            return;
        }
        let begin = self.pieces.partition_point(|(piece, _)| piece.end() <= extent.offset);
        let end = self.pieces.partition_point(|(piece, _)| piece.offset < extent.end());
        let covered: Vec<_> = self.pieces.drain(begin..end).collect();
        let mut kept = Vec::with_capacity(3);
        if let Some((first, at)) = covered.first().filter(|(first, _)| first.offset < extent.offset) {
            kept.push((Extent { offset: first.offset, len: extent.offset - first.offset }, *at));
        }
        kept.push((extent, place));
        if let Some((last, at)) = covered.last().filter(|(last, _)| last.end() > extent.end()) {
            let rest = Extent { offset: extent.end(), len: last.end() - extent.end() };
            kept.push((rest, at + (rest.offset - last.offset)));
        }
        self.pieces.splice(begin..begin, kept);
    }

    /// The first piece that ends after `offset`.
    pub(crate) fn piece(&self, offset: u64) -> Option<(Extent, u64)> {
        let index = self.pieces.partition_point(|(extent, _)| extent.end() <= offset);
        self.pieces.get(index).copied()
    }
}
