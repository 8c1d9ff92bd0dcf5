//! A file in an ordinary Linux directory as a source: its content, and what its side file says.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ntbak_wire::bytes::copy_at;
use ntbak_wire::record::{
    Extent, Extents, FileInfo, Link, NodeId, SmallKind, StreamFlags, StreamHead, Times,
};
use ntbak_wire::samba::ntacl;
use ntbak_wire::{FileAttributes, FileTime, Name, Win32Error, reparse, side};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::efs::Encrypted;
use crate::error::{Error, Result};
use crate::host::beside::{Beside, Named, NamedStream, OddSide};
use crate::host::holes;
use crate::host::node::{Known, Node, Spot, read_at};
use crate::host::samba::Dialect;
use crate::memory::StreamKey;
use crate::report::{FileReport, LossKind};
use crate::source::{Facet, FileSource, LinuxAttribute};

mod efs;

use efs::{StoredFile, Told};

/// Reads a file or directory on a Linux file system.
///
/// What Samba has written (descriptor, attributes, streams, EAs) is read, too. A file with nothing of this is backed up
/// with what Linux knows of it: content, holes and times; a symbolic link as a reparse point.
#[derive(Debug)]
pub struct DirectorySource {
    path: PathBuf,
    node: Node,
    info: FileInfo,
    /// The unnamed stream; a directory has none.
    unnamed: Option<StreamHead>,
    content: OnceLock<OwnedFd>,
    beside: Beside,
    named: Vec<Named>,
    linux_attributes: Vec<LinuxPlace>,
    /// What the side file says of named streams, by their names in upper case; once it was asked for.
    told: OnceLock<HashMap<Name, Told>>,
    /// The stream in attributes or in a depot that was read last.
    last: Mutex<Option<(usize, Arc<Held>)>>,
    /// A symbolic link, as the reparse buffer that it is on Windows where there can be one.
    link: Option<Option<Vec<u8>>>,
    /// Bytes of the content.
    stored_size: u64,
    /// The content is still that of which the side file speaks.
    fresh: bool,
    /// The unnamed stream has holes, and the file system does not show them.
    hidden_holes: bool,
    losses: Vec<(LossKind, String)>,
    notes: Vec<String>,
}

/// Where an attribute of Linux is.
#[derive(Debug)]
enum LinuxPlace {
    Here(OsString),
    /// In the side file, by its number there.
    Side(usize),
}

/// The content of a named stream, ready to be read.
#[derive(Debug)]
enum Held {
    Bytes(Vec<u8>),
    File(OwnedFd),
}

impl Held {
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match self {
            Self::Bytes(bytes) => Ok(copy_at(bytes, offset, buf)),
            Self::File(fd) => {
                read_at(fd, offset, buf).map_err(|error| Error::io("reading Samba's depot", error))
            }
        }
    }
}

impl DirectorySource {
    /// The file at `spot`.
    pub(crate) fn open(spot: &Spot) -> Result<Self> {
        let node = spot.node()?;
        let stat = node.stat().map_err(|error| Error::io("looking at it", error).at_path(&spot.path))?;
        Self::open_node(node, &stat, spot, Known::default())
    }

    /// The file at `spot`, which is `node` with this `stat`.
    pub(crate) fn open_node(node: Node, stat: &Stat, spot: &Spot, known: Known) -> Result<Self> {
        Self::read(node, stat, spot, known).map_err(|error| error.at_path(&spot.path))
    }

    fn read(node: Node, stat: &Stat, spot: &Spot, known: Known) -> Result<Self> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut notes = Vec::new();
        let side = if known.no_side { Ok(None) } else { Beside::open_side(&node, spot, stat) };
        let mut losses = Vec::new();
        let side = match side {
            // Side files belong to whoever restored; the content may be for everybody.
            Err(error) if error.win32() == Win32Error::ACCESS_DENIED => {
                let why = format!(
                    "the side file is out of reach, and everything but content with it: {}",
                    error.reason()
                );
                losses.push((LossKind::Stream, why));
                None
            }
            side => side?,
        };
        let beside = Beside::read(side, &node, spot, stat, known.kind)?;
        tell_side(beside.odd_side, &mut losses, &mut notes);
        let side = beside.side.as_ref();
        let fresh =
            side.is_some_and(|side| (side.head.modified, side.head.size) == (modified(stat), size(stat)));
        let linux = beside.linux_owner(stat);
        let mut info = FileInfo {
            attributes: if kind == FileType::Directory {
                FileAttributes::DIRECTORY
            } else {
                FileAttributes::ARCHIVE
            },
            times: times_of(stat, beside.samba.own.is_some()),
            node: NodeId(stat.st_ino),
            links: vec![Link { parent: NodeId(0), name: beside.true_name(spot).to_vec(), short: None }],
            // Linux counts the subdirectories of a directory.
            link_count: if kind == FileType::Directory {
                1
            } else {
                u32::try_from(stat.st_nlink).unwrap_or(u32::MAX)
            },
            case_sensitive: false,
            unix_mode: (kind != FileType::Symlink).then_some(linux.mode),
            unix_owner: Some((linux.user, linux.group)),
            wof: None,
            ntfs: None,
        };
        let mut link = None;
        let mut unnamed = match kind {
            FileType::Directory => None,
            FileType::RegularFile => Some(StreamHead::plain(None, size(stat))),
            FileType::Symlink => {
                link = Some(match link_buffer(&node, &beside)? {
                    Ok(buffer) => Some(buffer),
                    Err(why) => {
                        losses.push((LossKind::Reparse, why.to_owned()));
                        None
                    }
                });
                info.attributes = FileAttributes::empty();
                Some(StreamHead::plain(None, 0))
            }
            _ => {
                return Err(Error::new(
                    Win32Error::NOT_SUPPORTED,
                    "it is a device, a socket or a named pipe",
                ));
            }
        };
        if let Some(head) = &mut unnamed
            && kind == FileType::RegularFile
            && u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < head.size
        {
            head.flags = StreamFlags::SPARSE;
        }
        if let Some(side) = side {
            apply_head(&side.head, fresh, &mut info, unnamed.as_mut());
            if !fresh && (side.head.vdl.is_some() || !side.head.flags.is_empty()) {
                notes.push(
                    "the content has changed since the side file was written: holes are looked for anew"
                        .into(),
                );
            }
            if !side.unknown.is_empty() {
                let why = format!("the side file has streams of a later version: {:?}", side.unknown);
                losses.push((LossKind::OpaqueStream, why));
            }
            if !side.head.unknown.is_empty() {
                let tags: Vec<_> = side.head.unknown.iter().map(|(tag, _)| tag.to_string()).collect();
                losses.push((
                    LossKind::Attribute,
                    format!("the side file has facts of a later version: {}", tags.join(", ")),
                ));
            }
        }
        // A link may be one to a directory; for everything else Linux knows better.
        if kind != FileType::Symlink {
            info.attributes.set(FileAttributes::DIRECTORY, kind == FileType::Directory);
        } else if info.attributes.is_directory() {
            unnamed = None;
        }
        tell_dialect(&beside.samba, &mut losses, &mut notes);
        tell_depot(&beside, &mut losses);
        if side.is_none() {
            info.times.created = node.created();
        }
        beside.apply_attrib(&mut info);
        let hidden_holes = fresh && beside.head().is_some_and(|head| head.hidden_holes);
        if hidden_holes {
            notes.push("the file system shows no holes: runs of zeros of 64 KiB are taken for them".into());
        }
        let (named, linux_attributes) = (beside.streams(), linux_places(&beside));
        let mut source = Self {
            path: spot.path.clone(),
            node,
            info,
            unnamed,
            content: OnceLock::new(),
            beside,
            named,
            linux_attributes,
            told: OnceLock::new(),
            last: Mutex::default(),
            link,
            stored_size: size(stat),
            fresh,
            hidden_holes,
            losses,
            notes,
        };
        source.find_holes()?;
        source.find_true_sizes()?;
        // What was recorded is not second-guessed.
        if source.beside.head().is_none_or(|head| head.attributes.is_none()) {
            let is_reparse =
                source.link.as_ref().is_some_and(Option::is_some) || source.beside.has_reparse_point();
            source.info.attributes.set(FileAttributes::REPARSE_POINT, is_reparse);
        }
        Ok(source)
    }

    /// Whether a stream with the sparse flag has holes.
    fn find_holes(&mut self) -> Result<()> {
        let Some(head) = &self.unnamed else { return Ok(()) };
        if !head.flags.contains(StreamFlags::SPARSE) || head.size == 0 {
            return Ok(());
        }
        let whole = Extent { offset: 0, len: head.size };
        let has_holes = self.hidden_holes || self.native_extent(0)? != Some(whole);
        let told = self.beside.head().is_some_and(|head| head.flags.contains(StreamFlags::SPARSE));
        let told_attributes = self.beside.head().is_some_and(|head| head.attributes.is_some());
        if let Some(head) = &mut self.unnamed {
            head.extents = if has_holes { Extents::Unknown } else { Extents::All };
            // A file that takes less room than it has bytes may also be compressed by the file system.
            head.flags.set(StreamFlags::SPARSE, has_holes || told);
            if !told_attributes {
                self.info.attributes.set(FileAttributes::SPARSE_FILE, has_holes || told);
            }
        }
        Ok(())
    }

    /// The next range of the unnamed stream that is no hole.
    fn native_extent(&self, from: u64) -> Result<Option<Extent>> {
        let fd = self.content()?;
        match &self.unnamed {
            Some(head) if self.hidden_holes => holes::next_by_zeros(from, head.size, |offset, buffer| {
                read_at(fd, offset, buffer).map_err(|error| Error::io("reading the content", error))
            }),
            _ => holes::next_native(fd, from),
        }
    }

    fn content(&self) -> Result<BorrowedFd<'_>> {
        if let Some(fd) = self.node.content() {
            return Ok(fd);
        }
        if let Some(fd) = self.content.get() {
            return Ok(fd.as_fd());
        }
        let fd = self.node.open_content(OFlags::RDONLY | OFlags::NONBLOCK);
        let fd = fd.map_err(|error| Error::io("opening the content", error).at_path(&self.path))?;
        Ok(self.content.get_or_init(|| fd).as_fd())
    }

    /// The place of the named stream with this number.
    fn named(&self, index: usize) -> Option<Named> {
        self.named.get(index.checked_sub(usize::from(self.unnamed.is_some()))?).copied()
    }

    /// The named stream with this number.
    fn stream_at(&self, index: usize) -> Option<NamedStream<'_>> {
        self.beside.stream(self.named(index)?)
    }

    /// A stream that has to be opened to be read, kept from the last time when it is the same.
    fn hold(&self, index: usize, open: impl FnOnce() -> Result<Held>) -> Result<Arc<Held>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, held)) = &*last
            && *of == index
        {
            return Ok(held.clone());
        }
        let held = Arc::new(open()?);
        *last = Some((index, held.clone()));
        Ok(held)
    }

    fn is_unnamed(&self, index: usize) -> bool {
        index == 0 && self.unnamed.is_some()
    }
}

impl FileSource for DirectorySource {
    fn info(&self) -> Result<FileInfo> {
        Ok(self.info.clone())
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        if kind == SmallKind::Reparse
            && let Some(link) = &self.link
        {
            return Ok(link.as_deref().map(Cow::Borrowed));
        }
        self.beside.small(kind).map_err(|error| error.at_path(&self.path))
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.read_at(stream, offset, buf)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        let stored = StoredFile::open(self).map_err(|error| error.at_path(&self.path))?;
        Ok(stored.map(|stored| Box::new(stored) as Box<dyn Encrypted>))
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        let at_path = |error: Errno| Error::io("reading an extended attribute", error).at_path(&self.path);
        Ok(match self.linux_attributes.get(index) {
            None => None,
            Some(LinuxPlace::Here(name)) => {
                let value = self.node.xattr(name).map_err(at_path)?.unwrap_or_default();
                Some((Cow::Borrowed(name.as_bytes()), Cow::Owned(value)))
            }
            Some(LinuxPlace::Side(at)) => {
                let told = self.beside.head().and_then(|head| head.linux_attributes.get(*at));
                told.map(|(name, value)| (Cow::Borrowed(&name[..]), Cow::Borrowed(&value[..])))
            }
        })
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        if self.is_unnamed(index) {
            return Ok(self.unnamed.clone());
        }
        Ok(self.named(index).and_then(|named| self.beside.stream_head(named)))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        if self.is_unnamed(stream) {
            return self.native_extent(from).map_err(|error| error.at_path(&self.path));
        }
        Ok(match self.stream_at(stream) {
            Some(NamedStream::Side(_, stream)) => stream.next_extent(from),
            Some(NamedStream::Depot(depot, named)) => {
                let at = |error: Error| error.at_path(&self.path).at_offset(from);
                match &*self.hold(stream, || depot.content(named).map(Held::File)).map_err(at)? {
                    Held::File(fd) => holes::next_native(fd, from).map_err(at)?,
                    Held::Bytes(_) => None,
                }
            }
            _ => None,
        })
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let at = |error: Error| error.at_path(&self.path).at_offset(offset);
        if self.is_unnamed(stream) {
            if self.link.is_some() {
                return Ok(0);
            }
            let got = read_at(self.content().map_err(at)?, offset, buf);
            return got.map_err(|error| at(Error::io("reading the content", error)));
        }
        match self.stream_at(stream) {
            Some(NamedStream::Attribute(named)) => {
                let open = || named.read(&self.node).map(Held::Bytes);
                self.hold(stream, open).and_then(|held| held.read(offset, buf)).map_err(at)
            }
            Some(NamedStream::Depot(depot, named)) => {
                let open = || depot.content(named).map(Held::File);
                self.hold(stream, open).and_then(|held| held.read(offset, buf)).map_err(at)
            }
            Some(NamedStream::Side(side, named)) => side.read(named, offset, buf).map_err(at),
            None => Err(at(Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"))),
        }
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        let counts = |kind: LossKind| about == Facet::All || kind != LossKind::LinuxAttribute;
        for (kind, why) in self.losses.iter().filter(|(kind, _)| counts(*kind)) {
            report.loss(*kind, why.clone());
        }
        for what in &self.notes {
            report.note(None, what.clone());
        }
        Ok(())
    }
}

/// What is worth telling about the attributes of a file.
fn tell_dialect(samba: &Dialect, losses: &mut Vec<(LossKind, String)>, notes: &mut Vec<String>) {
    if samba.conditional {
        notes.push(
            "Samba believes the descriptor in its attribute only while the POSIX ACL is as it was; that was not checked"
                .into(),
        );
    }
    if samba.own.is_some() {
        notes.push("this file system shows no named streams, reparse points and object ids: read the volume with ntfs-3g, or its image".into());
    }
    if samba.acls_differ {
        let why = format!(
            "{} has another descriptor than {}, which was taken; remove the one that Samba does not use here",
            ntacl::USER_NAME,
            ntacl::NAME
        );
        losses.push((LossKind::Security, why));
    }
    for (name, why) in &samba.unreadable {
        losses.push((LossKind::Attribute, format!("the attribute {} cannot be read: {why}", name.display())));
    }
}

/// What is wrong with the side file.
fn tell_side(odd: OddSide, losses: &mut Vec<(LossKind, String)>, notes: &mut Vec<String>) {
    match odd {
        OddSide::Nothing => {}
        OddSide::Missing => {
            let why =
                "it has had a side file, which is not here: the file was moved without it, or it was removed";
            losses.push((LossKind::Stream, why.to_owned()));
        }
        OddSide::AnotherOwner => {
            let what =
                "the side file of this name is that of another file, which was replaced; it is passed over";
            notes.push(what.to_owned());
        }
    }
}

/// What of the streams in Samba's depot is out of reach, or hides others.
fn tell_depot(beside: &Beside, losses: &mut Vec<(LossKind, String)>) {
    if let Some(why) = &beside.lost_depot {
        let why =
            format!("Samba has marked it as having streams in a streams_depot, which was not found: {why}");
        losses.push((LossKind::Stream, why));
    }
    let Some(depot) = &beside.depot else { return };
    for (name, why) in &depot.unreadable {
        losses
            .push((LossKind::Stream, format!("{:?} in Samba's depot cannot be read: {why}", name.display())));
    }
    let held: HashSet<_> = depot.streams.iter().map(|stream| StreamKey::of(Some(&stream.name))).collect();
    for stream in &beside.samba.streams {
        if held.contains(&StreamKey::of(Some(&stream.name))) {
            let why = format!("{} is in an attribute, too; the one in Samba's depot was taken", stream.name);
            losses.push((LossKind::Stream, why));
        }
    }
}

/// The attributes of Linux that the file has, and those that a side file keeps for it.
fn linux_places(beside: &Beside) -> Vec<LinuxPlace> {
    let here = &beside.samba.foreign;
    let told = beside.head().into_iter().flat_map(|head| &head.linux_attributes).enumerate();
    let told = told.filter(|(_, (name, _))| !here.iter().any(|here| here.as_bytes() == name));
    here.iter().cloned().map(LinuxPlace::Here).chain(told.map(|(at, _)| LinuxPlace::Side(at))).collect()
}

/// Puts the facts of a side file over what Linux says.
fn apply_head(head: &side::SideHead, fresh: bool, info: &mut FileInfo, unnamed: Option<&mut StreamHead>) {
    if let Some(attributes) = head.attributes {
        info.attributes = attributes;
    }
    let Times { created, written, accessed, changed } = head.times;
    // The write time is Linux' modification time, to 100 ns; it is only more exact here while the two agree.
    let written = written.filter(|_| fresh).or(info.times.written);
    info.times = Times {
        created: created.or(info.times.created),
        written,
        accessed: accessed.filter(|_| fresh).or(info.times.accessed),
        changed: changed.filter(|_| fresh).or(info.times.changed),
    };
    if let Some(link) = info.links.first_mut() {
        link.short.clone_from(&head.short_name);
    }
    info.case_sensitive = head.case_sensitive;
    let Some(unnamed) = unnamed.filter(|_| fresh) else { return };
    unnamed.flags = head.flags;
    unnamed.vdl = head.vdl.unwrap_or(unnamed.size).min(unnamed.size);
}

/// A symbolic link as a reparse point: the one that it was made from, while it leads to the same place; otherwise a
/// relative or absolute symlink in which `/` has become `\`.
/// The reason where Windows has no such link.
fn link_buffer(node: &Node, beside: &Beside) -> Result<std::result::Result<Vec<u8>, &'static str>> {
    let target = node.link_target().map_err(|error| Error::io("reading the link", error))?;
    if let Some(side) = &beside.side
        && let Some(buffer) = side.small(SmallKind::Reparse)?
        && reparse::ReparseBuffer::parse(&buffer)?.target()?.linux_target().as_ref() == Some(&target)
    {
        return Ok(Ok(buffer));
    }
    if target.contains(&b'\\') {
        return Ok(Err("the target of the symbolic link has a backslash, which parts a path on Windows"));
    }
    let target: Vec<u8> = target.iter().map(|byte| if *byte == b'/' { b'\\' } else { *byte }).collect();
    let Some(name) = Name::from_wtf8(&target) else {
        return Ok(Err("the target of the symbolic link is no text, and Windows has no such link"));
    };
    let relative = !target.starts_with(b"\\");
    Ok(Ok(reparse::build_symlink(&name, &name, relative)?))
}

pub(crate) fn size(stat: &Stat) -> u64 {
    // Of a directory the size means nothing.
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        0
    } else {
        u64::try_from(stat.st_size).unwrap_or(0)
    }
}

pub(crate) fn modified(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// The times that Linux has. Its change time is none of Windows, unless the file system is one of Windows' own: every copy
/// and every new name changes it, and nobody can set it.
fn times_of(stat: &Stat, has_own: bool) -> Times {
    let time = |seconds: i64, nanoseconds| {
        Some(FileTime::from_unix(seconds, u32::try_from(nanoseconds).unwrap_or(0)))
    };
    Times {
        created: None,
        written: time(stat.st_mtime, stat.st_mtime_nsec),
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec).filter(|_| has_own),
    }
}
