//! Side files on disk: finding, indexing and replacing them. Their format is [`ntbak_wire::side`].

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use ntbak_wire::Win32Error;
use ntbak_wire::record::{Extent, Extents, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::stream::{Decoder, Event, Header, StreamAttributes, StreamId, sparse};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::read_at;
use crate::memory::StreamKey;

/// The name of the side file for a file of this name.
pub(crate) fn file_name(owner: &OsStr) -> OsString {
    let digest = blake3::hash(owner.as_bytes()).to_hex();
    digest.get(..32).unwrap_or_default().into()
}

/// The directory of side files in another one.
pub(crate) enum SideDirectory {
    /// There is none.
    None,
    Ours(OwnedFd),
    /// It belongs to neither us, nor root, nor the owner of the directory or the file: where many may write, a side file
    /// could be planted.
    Theirs(OwnedFd, u32),
}

/// Opens the directory of side files in `dir`, for a file whose owner this is.
pub(crate) fn open_directory(dir: impl AsFd, owner: Option<u32>) -> Result<SideDirectory> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&dir, side::DIRECTORY, flags, Mode::empty()) {
        Ok(fd) => {
            let uid = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map_or(None, |stat| Some(stat.st_uid));
            let side = uid(fd.as_fd());
            // Whose the directory above is, could have put another directory here.
            let above = rustix::fs::statat(&dir, "..", AtFlags::empty()).ok().map(|stat| stat.st_uid);
            let trusted =
                [uid(dir.as_fd()), above, Some(0), Some(rustix::process::geteuid().as_raw()), owner];
            Ok(match side {
                Some(uid) if !trusted.contains(&side) => SideDirectory::Theirs(fd, uid),
                _ => SideDirectory::Ours(fd),
            })
        }
        // What is no directory of ours holds no side files.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(SideDirectory::None),
        Err(error) => Err(Error::io(format!("opening {}", side::DIRECTORY), error)),
    }
}

/// How often a writer whose empty directory was removed by another one makes it again. Each time another file was
/// finished, so that only a file system that contradicts itself gets this far.
const ATTEMPTS: usize = 1000;

/// Opens the directory of side files in `dir`, made when it is not there.
fn make_directory(dir: impl AsFd) -> Result<OwnedFd> {
    // Another writer may remove it in between, because it was empty.
    for _ in 0..ATTEMPTS {
        match rustix::fs::mkdirat(&dir, side::DIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Error::io(format!("making {}", side::DIRECTORY), error)),
        }
        match open_directory(&dir, None)? {
            SideDirectory::Ours(fd) => return Ok(fd),
            SideDirectory::Theirs(_, uid) => return Err(not_believed(uid)),
            SideDirectory::None => {}
        }
    }
    let why = format!("{} is there and is no directory", side::DIRECTORY);
    Err(Error::new(Win32Error::ACCESS_DENIED, why))
}

/// Makes a new, empty side file of this name; gives the directory and the file.
pub(crate) fn make_file(parent: impl AsFd, name: &OsStr) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut attempts = 0;
    loop {
        let dir = make_directory(&parent)?;
        match rustix::fs::openat(&dir, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((dir, file)),
            // Another writer has removed the directory in between.
            Err(Errno::NOENT) if attempts < ATTEMPTS => attempts += 1,
            Err(error) => return Err(Error::io("making the side file", error)),
        }
    }
}

/// Removes the side file of this name, and the directory when it was the last.
pub(crate) fn remove(dir: impl AsFd, name: &OsStr) -> Result<()> {
    let SideDirectory::Ours(side) = open_directory(&dir, None)? else { return Ok(()) };
    match rustix::fs::unlinkat(side, name, AtFlags::empty()) {
        Ok(()) => {}
        // Nobody else's directory is taken away, only because it is just empty.
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(Error::io("removing the side file that is there", error)),
    }
    let _ = rustix::fs::unlinkat(dir, side::DIRECTORY, AtFlags::REMOVEDIR);
    Ok(())
}

/// What becomes of side files when a new file gets its name: that of the old file of this name must not go before.
#[derive(Debug)]
pub(crate) struct Settle {
    pub(crate) dir: Arc<OwnedFd>,
    /// The name that the new side file has until then: its file finds it by its mark.
    pub(crate) pending: Option<OsString>,
    pub(crate) name: OsString,
}

impl Settle {
    /// Gives the new side file its name, or removes the old one where there is none.
    pub(crate) fn apply(self) -> Result<()> {
        let Some(pending) = self.pending else { return remove(&self.dir, &self.name) };
        let SideDirectory::Ours(side) = open_directory(&self.dir, None)? else { return Ok(()) };
        rustix::fs::renameat(&side, pending, &side, &self.name)
            .map_err(|error| Error::io("giving the side file its name", error))
    }

    /// Takes the new side file away: its file did not get its name.
    pub(crate) fn undo(self) {
        if let Some(pending) = self.pending {
            let _ = remove(&self.dir, &pending);
        }
    }
}

fn not_believed(uid: u32) -> Error {
    let why = format!("{} belongs to user {uid}, and is not believed", side::DIRECTORY);
    Error::new(Win32Error::ACCESS_DENIED, why)
}

/// How many side files are looked at for one that lost its name.
const MAX_SEARCHED: usize = 4096;

/// An opened side file with the places of all that is in it.
#[derive(Debug)]
pub(crate) struct SideFile {
    pub(crate) fd: OwnedFd,
    pub(crate) head: SideHead,
    pub(crate) small: Vec<(SmallKind, Place)>,
    pub(crate) streams: Vec<SideStream>,
    /// Streams whose kind this version does not know, by number.
    pub(crate) unknown: Vec<u32>,
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
    /// Where its pieces are, by their offsets in the stream: length, and offset in the file. They do not overlap.
    pieces: BTreeMap<u64, (u64, u64)>,
    replaced: bool,
}

impl SideFile {
    /// Opens the side file of `owner`, who has this user id, under `name`; `None` when there is none, or when it is that of another file.
    pub(crate) fn open(dir: impl AsFd, name: &OsStr, owner: &OsStr, uid: u32) -> Result<Option<Self>> {
        let side = match open_directory(dir, Some(uid))? {
            SideDirectory::None => return Ok(None),
            SideDirectory::Ours(side) => side,
            SideDirectory::Theirs(side, uid) => {
                let there = rustix::fs::statat(&side, name, AtFlags::SYMLINK_NOFOLLOW);
                return if there.is_err_and(|error| error == Errno::NOENT) {
                    Ok(None)
                } else {
                    Err(not_believed(uid))
                };
            }
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(side, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::io("opening the side file", error)),
        };
        let file = Self::index(fd).map_err(|error| {
            let side = format!("{}/{}", side::DIRECTORY, name.display());
            error.hint(format!("the side file is {side}; move it away to reach the content alone"))
        })?;
        // Two names whose hashes agree in 128 bits do not happen by chance; the later one would have replaced it.
        Ok((file.head.owner == owner.as_bytes()).then_some(file))
    }

    /// The side file of the file with this mark, whatever its name was.
    pub(crate) fn find(dir: impl AsFd, mark: [u8; 16], uid: u32) -> Result<Option<Self>> {
        let SideDirectory::Ours(side) = open_directory(dir, Some(uid))? else { return Ok(None) };
        let fault = |error| Error::io("looking for the side file", error);
        for entry in Dir::read_from(&side).map_err(fault)?.take(MAX_SEARCHED) {
            let entry = entry.map_err(fault)?;
            // Those that are not whole yet.
            if entry.file_name().to_bytes().starts_with(b".") {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::openat(&side, entry.file_name(), flags, Mode::empty()) else { continue };
            if Self::head(&fd).is_ok_and(|(head, _)| head.mark == Some(mark)) {
                return Self::index(fd).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads the head, and where the backup stream begins.
    fn head(fd: &OwnedFd) -> Result<(SideHead, usize)> {
        let mut bytes = vec![0; 4096];
        loop {
            let got =
                read_at(fd, 0, &mut bytes).map_err(|error| Error::io("reading the side file", error))?;
            match SideHead::decode(bytes.get(..got).unwrap_or_default()) {
                Ok(decoded) => return Ok(decoded),
                Err(error) if got < bytes.len() || bytes.len() >= side::MAX_HEAD => return Err(error.into()),
                Err(_) => bytes.resize(bytes.len() * 4, 0),
            }
        }
    }

    /// Reads the head and the headers of the backup stream, not its payloads.
    fn index(fd: OwnedFd) -> Result<Self> {
        let fault = |error| Error::io("reading the side file", error);
        let (head, begin) = Self::head(&fd)?;
        let mut file = Self { fd, head, small: Vec::new(), streams: Vec::new(), unknown: Vec::new() };
        let len = rustix::fs::fstat(&file.fd).map_err(|error| fault(error.into()))?.st_size;
        let (begin, len) = (begin as u64, u64::try_from(len).unwrap_or(0));
        let mut bytes = vec![0; 4096];
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
        file.apply_facts();
        Ok(file)
    }

    fn enter(&mut self, header: &Header, place: Place, names: &mut HashMap<StreamKey, usize>) -> Result<()> {
        match header.id {
            StreamId::AlternateData => {
                let mut head = StreamHead::plain(Some(header.stream_name()?), header.size);
                let mut pieces = BTreeMap::new();
                if header.attributes.contains(StreamAttributes::SPARSE) {
                    head.flags = StreamFlags::SPARSE;
                }
                if header.size > 0 {
                    pieces.insert(0, (header.size, place.offset));
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
                if offset.saturating_add(len) > ntbak_wire::stream::MAX_SIZE {
                    return Err(Error::new(
                        Win32Error::INVALID_DATA,
                        "the side file has a block behind 2^63",
                    ));
                }
                if let Some(stream) = self.streams.last_mut() {
                    stream.overlay(Extent { offset, len }, place.offset + sparse::OFFSET_LEN);
                }
            }
            id => match SmallKind::from_stream_id(id) {
                Some(kind) if place.len > kind.max_len() => {
                    let why = format!("the side file has {} bytes of {}", place.len, id.name());
                    return Err(Error::new(Win32Error::INVALID_DATA, why));
                }
                Some(kind) => self.small.push((kind, place)),
                None => self.unknown.push(id.into()),
            },
        }
        Ok(())
    }

    /// Puts what the head says of named streams to them.
    fn apply_facts(&mut self) {
        let facts: HashMap<_, _> = self
            .head
            .streams
            .iter()
            .map(|(name, vdl, flags)| (StreamKey::upper(name), (*vdl, *flags)))
            .collect();
        for stream in &mut self.streams {
            let name = stream.head.name.as_ref().map(|name| StreamKey::upper(name.name()));
            if let Some((vdl, flags)) = name.and_then(|name| facts.get(&name)) {
                stream.head.flags |= *flags;
                stream.head.vdl = vdl.unwrap_or(stream.head.size).min(stream.head.size);
            }
        }
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
        self.head.flags |= StreamFlags::SPARSE;
        self.head.size = self.head.size.max(extent.end());
        self.head.vdl = self.head.size;
        if extent.len == 0 {
            return;
        }
        let before = self.pieces.range(..extent.offset).next_back().map(|(offset, piece)| (*offset, *piece));
        if let Some((offset, (len, at))) = before.filter(|(offset, (len, _))| offset + len > extent.offset) {
            self.pieces.insert(offset, (extent.offset - offset, at));
            self.keep_tail(offset, len, at, extent.end());
        }
        while let Some((offset, (len, at))) =
            self.pieces.range(extent.offset..extent.end()).next().map(|(offset, piece)| (*offset, *piece))
        {
            self.pieces.remove(&offset);
            self.keep_tail(offset, len, at, extent.end());
        }
        self.pieces.insert(extent.offset, (extent.len, place));
    }

    /// What of a piece lies behind `end`.
    fn keep_tail(&mut self, offset: u64, len: u64, at: u64, end: u64) {
        if offset + len > end {
            self.pieces.insert(end, (offset + len - end, at + (end - offset)));
        }
    }

    /// The first piece that ends after `offset`, and where it is in the file.
    pub(crate) fn piece(&self, offset: u64) -> Option<(Extent, u64)> {
        let extent = |(offset, (len, at)): (&u64, &(u64, u64))| (Extent { offset: *offset, len: *len }, *at);
        let before = self.pieces.range(..=offset).next_back().map(extent);
        before
            .filter(|(piece, _)| piece.end() > offset)
            .or_else(|| self.pieces.range(offset..).next().map(extent))
    }

    /// Its ranges, those that touch each other as one.
    pub(crate) fn next_extent(&self, from: u64) -> Option<Extent> {
        let offset = self.piece(from)?.0.offset.max(from);
        let mut end = offset;
        while let Some((piece, _)) = self.piece(end).filter(|(piece, _)| piece.offset <= end) {
            end = piece.end();
        }
        Some(Extent { offset, len: end - offset })
    }
}
