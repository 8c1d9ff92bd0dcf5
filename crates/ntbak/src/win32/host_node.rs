//! A file of this machine as a node: held by the descriptor of its directory, reached by one name.
//!
//! A name is one component without `/`, and never `.` or `..`; it is opened with O_NOFOLLOW in the descriptor of its
//! directory. So no link and no race leads out of the directory where the way began: whoever swaps a directory for a
//! link meanwhile is answered with an error.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Record, SmallKind, StreamHead, Times};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error, side};
use rustix::fs::{FileType, Mode, OFlags};

use crate::capability::{Capabilities, Facts};
use crate::error::{Error, Result};
use crate::host::node::Spot;
use crate::host::ntfs3g::StreamsInterface;
use crate::host::{descent, escape, names};
use crate::place::{self, Place};
use crate::report::{Collected, FileReport};
use crate::sink::{DirectorySink, FileSink, Ntfs3gSink};
use crate::source::{FileSource, read_attributes};
use crate::win32::host_content::{FileContent, Rewritten};
use crate::win32::{Content, Entry, Identity, Indexed, Node, VolumeFacts, fold};

/// What the nodes of one drive have in common; those of different drives are on different volumes.
#[derive(Debug)]
pub(super) struct HostTree {
    drive: bool,
}

impl HostTree {
    pub(super) fn drive() -> Self {
        Self { drive: true }
    }

    /// All files of the machine.
    pub(super) fn posix() -> Self {
        Self { drive: false }
    }
}

/// A file or directory of this machine.
#[derive(Debug)]
pub(super) struct HostNode {
    spot: Mutex<Spot>,
    tree: Arc<HostTree>,
    identity: Identity,
    kind: FileType,
}

impl HostNode {
    pub(super) fn open(spot: Spot, tree: Arc<HostTree>) -> Result<Self> {
        let stat = spot.node()?.stat();
        let stat = stat.map_err(|error| Error::io("looking at it", error).at_path(&spot.path))?;
        let (identity, kind) = (Identity(stat.st_dev, stat.st_ino), FileType::from_raw_mode(stat.st_mode));
        Ok(Self { spot: Mutex::new(spot), tree, identity, kind })
    }

    /// Where it is now.
    pub(super) fn spot(&self) -> Spot {
        self.spot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self) -> Result<(Spot, Place)> {
        let spot = self.spot();
        let place = Place::of_spot(&spot)?;
        Ok((spot, place))
    }

    /// The directory, to look for names in it.
    fn directory(&self) -> Result<OwnedFd> {
        let spot = self.spot();
        if self.kind != FileType::Directory {
            return Err(Error::new(Win32Error::DIRECTORY, "it is no directory").at_path(&spot.path));
        }
        let dir =
            descent::open_directory(&spot.dir, &spot.name).map_err(|error| at(&spot, "opening", error))?;
        // Another directory may have the name by now.
        let same =
            descent::identity(&dir).is_ok_and(|(device, inode)| Identity(device, inode) == self.identity);
        if !same {
            let why = "the directory was moved away meanwhile, and another one has its name";
            return Err(Error::new(Win32Error::PATH_NOT_FOUND, why).at_path(&spot.path));
        }
        Ok(dir)
    }

    /// The spot of a name in this directory; `None` for what is no name of a file.
    fn spot_of(&self, name: &[u8]) -> Result<Option<Spot>> {
        let is_name = !(name.is_empty() || name.contains(&b'/') || name.contains(&0));
        if !is_name || matches!(name, b"." | b"..") || name == side::DIRECTORY.as_bytes() {
            return Ok(None);
        }
        let (dir, name) = (self.directory()?, OsStr::from_bytes(name));
        let path = self.spot().path.join(name);
        let mut spot = Spot { dir: Arc::new(dir), name: name.to_owned(), path };
        if name.len() > escape::LONGEST {
            escape::find(&mut spot);
        }
        if spot.name.as_bytes().contains(&b':') && matches!(Place::of_spot(&spot)?, Place::Ntfs3g(_)) {
            return Ok(None);
        }
        Ok(Some(spot))
    }

    fn new_spot(&self, name: &[u8]) -> Result<Spot> {
        self.spot_of(name)?
            .ok_or_else(|| Error::new(Win32Error::INVALID_NAME, "no file can have this name here"))
    }

    fn same_drive<'a>(&self, other: &'a dyn Node) -> Result<&'a Self> {
        let other = other.as_any().downcast_ref::<Self>();
        let same =
            |other: &&Self| !self.tree.drive && !other.tree.drive || Arc::ptr_eq(&self.tree, &other.tree);
        other
            .filter(same)
            .ok_or_else(|| Error::new(Win32Error::NOT_SAME_DEVICE, "the two are on different volumes"))
    }

    fn has_sides(place: &Place) -> bool {
        matches!(place, Place::Directory(_))
    }
}

impl Node for HostNode {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn is_directory(&self) -> bool {
        match self.kind {
            FileType::Directory => true,
            // A link to a directory is one, too.
            FileType::Symlink => {
                let attributes = self.place().and_then(|(spot, place)| match place {
                    Place::Ntfs3g(_) => read_attributes(&spot.node()?),
                    Place::Directory(_) => Ok(self.source()?.info()?.attributes),
                });
                attributes.is_ok_and(FileAttributes::is_directory)
            }
            _ => false,
        }
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        place::open_spot(self.spot())
    }

    fn volume_facts(&self) -> Result<VolumeFacts> {
        let (spot, place) = self.place()?;
        let fault = |error| at(&spot, "asking for the file system", error);
        let found = rustix::fs::fstatvfs(&spot.dir).map_err(fault)?;
        let file_system = match &place {
            Place::Ntfs3g(_) => "NTFS".to_owned(),
            Place::Directory(linux) => linux.kind.name().to_owned(),
        };
        Ok(VolumeFacts {
            label: Name::default(),
            serial: found.f_fsid,
            file_system,
            longest_name: 255,
            can: place.capabilities(false),
            hard_links: true,
            read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    fn capabilities(&self, directory: bool) -> Capabilities {
        self.place().map_or_else(|_| Capabilities::everything(), |(_, place)| place.capabilities(directory))
    }

    fn child(&self, name: &[u8]) -> Result<Option<Arc<dyn Node>>> {
        if self.kind != FileType::Directory {
            return Ok(None);
        }
        let Some(spot) = self.spot_of(name)? else { return Ok(None) };
        match Self::open(spot, self.tree.clone()) {
            Ok(node) => Ok(Some(Arc::new(node))),
            Err(error)
                if [Win32Error::FILE_NOT_FOUND, Win32Error::FILENAME_EXCED_RANGE]
                    .contains(&error.win32()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn indexed(&self, name: &Name) -> Result<Indexed> {
        // ntfs-3g opens a file by its 8.3 name, too; that is not the name that it has.
        let may_be_short = name.units().len() <= 12 && name.units().contains(&u16::from(b'~'));
        if !may_be_short || self.kind != FileType::Directory || !matches!(self.place()?.1, Place::Ntfs3g(_)) {
            return Ok(Indexed::Unknown);
        }
        let (entries, wtf8, upper) = (self.entries()?, name.to_wtf8(), fold::upper(name));
        if entries.iter().any(|entry| entry.name == wtf8) {
            return Ok(Indexed::Unknown);
        }
        for entry in entries {
            if let Some(node) = self.child(&entry.name)?
                && node.short_name().is_some_and(|short| fold::upper(&short) == upper)
            {
                return Ok(Indexed::Found(entry.name, node));
            }
        }
        Ok(Indexed::Unknown)
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let dir = self.directory()?;
        let entries = names::list(&dir)?.into_iter().map(|(name, number)| {
            // A name that the directory cannot hold is in the side file.
            let escaped = name.as_bytes().windows(7).any(|mark| mark == b"~ntbak-");
            let name =
                if escaped { self.true_name(&name).unwrap_or(name.into_vec()) } else { name.into_vec() };
            Entry { name, number: Some(number) }
        });
        Ok(entries.collect())
    }

    fn is_read_only(&self) -> bool {
        let found = rustix::fs::fstatvfs(&self.spot().dir);
        found.is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
    }

    fn is_case_sensitive(&self) -> bool {
        self.source().and_then(|source| source.info()).is_ok_and(|info| info.case_sensitive)
    }

    fn short_name(&self) -> Option<Name> {
        self.source().and_then(|source| source.info()).ok()?.short_name().cloned()
    }

    fn content(&self, stream: Option<&StreamName>, write: bool) -> Result<Box<dyn Content>> {
        let (spot, place) = self.place()?;
        let Some(name) = stream else { return unnamed(&spot, write) };
        let path = spot.path.clone();
        let source = place::open_spot(spot.clone())?;
        if Rewritten::find(&*source, name)?.is_none() {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream").at_path(path));
        }
        match place {
            Place::Ntfs3g(mount) if mount.streams == StreamsInterface::Windows => {
                let fd = Ntfs3gSink::open_named(spot, &mount, name)?;
                Ok(Box::new(FileContent::new(fd)))
            }
            _ => Ok(Box::new(Rewritten::new(spot, name.clone()))),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn sink(&self) -> Result<Box<dyn FileSink>> {
        place::in_place_spot(self.spot())
    }

    fn stage(&self, name: &[u8], directory: bool) -> Result<Box<dyn FileSink>> {
        let spot = self.new_spot(name)?;
        match spot.node() {
            Ok(there) if directory && there.is_directory() => place::in_place_spot(spot),
            _ => place::stage_spot(spot, directory),
        }
    }

    fn create(&self, name: &[u8], directory: bool) -> Result<Arc<dyn Node>> {
        let spot = self.new_spot(name)?;
        if spot.name.len() > escape::LONGEST {
            // Its true name is longer than a directory can hold.
            let path = spot.path.clone();
            let sink = place::stage_spot(spot, directory)?;
            sink.commit(&FileReport { to: &Collected::new(), path: &path })?;
            let made = self.child(name)?;
            return made.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "the new file is not there"));
        }
        names::create(&spot.dir, &spot.name, directory)
            .map_err(|error| at(&spot, "making the file", error))?;
        Ok(Arc::new(Self::open(spot, self.tree.clone())?))
    }

    fn remove(&self, name: &[u8], node: &dyn Node) -> Result<()> {
        let spot = self.new_spot(name)?;
        let there = Self::open(spot.clone(), self.tree.clone())?;
        if there.identity != node.identity() {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "another file has the name by now"));
        }
        let sides = Self::has_sides(&Place::of_spot(&spot)?);
        names::remove(&spot, sides).map_err(|error| error.at_path(&spot.path))
    }

    fn rename(&self, name: &[u8], node: &dyn Node, to: &dyn Node, new: &[u8], replace: bool) -> Result<()> {
        let to = self.same_drive(to)?;
        let (from, to) = (self.new_spot(name)?, to.new_spot(new)?);
        let there = Self::open(from.clone(), self.tree.clone())?;
        if there.identity != node.identity() {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "another file has the name by now"));
        }
        let sides = Self::has_sides(&Place::of_spot(&from)?);
        names::rename(&from, &to, replace, sides).map_err(|error| error.at_path(&to.path))
    }

    fn link(&self, name: &[u8], file: &dyn Node) -> Result<()> {
        let (from, to) = (self.same_drive(file)?.spot(), self.new_spot(name)?);
        let sides = Self::has_sides(&Place::of_spot(&from)?);
        names::link(&from, &to, sides).map_err(|error| error.at_path(&to.path))
    }

    fn overwrite(&self) -> Result<()> {
        place::overwrite(self.spot())
    }

    fn set_basic(&self, attributes: Option<FileAttributes>, times: &Times) -> Result<()> {
        match self.place()? {
            (spot, Place::Ntfs3g(mount)) => Ntfs3gSink::set_basic(spot, &mount, attributes, times),
            (spot, Place::Directory(_)) => {
                let mut info = place::open_spot(spot.clone())?.info()?;
                info.attributes = attributes.unwrap_or(info.attributes);
                info.times.created = times.created.or(info.times.created);
                info.times.written = times.written.or(info.times.written);
                info.times.accessed = times.accessed.or(info.times.accessed);
                info.times.changed = times.changed.or(info.times.changed);
                DirectorySink::set_basic(spot, info)
            }
        }
    }

    fn set_sparse(&self, sparse: bool) -> Result<()> {
        match self.place()? {
            // The flag comes with the first hole, and goes with the last.
            (_, Place::Ntfs3g(_)) => Ok(()),
            (spot, Place::Directory(_)) => {
                let info = place::open_spot(spot.clone())?.info()?;
                DirectorySink::set_sparse(spot, info, sparse)
            }
        }
    }

    fn remove_small(&self, kind: SmallKind) -> Result<()> {
        match self.place()? {
            (spot, Place::Ntfs3g(mount)) => Ntfs3gSink::remove_small(spot, &mount, kind),
            (spot, Place::Directory(_)) if self.kind == FileType::Symlink => {
                // A link of Linux is nothing but where it leads: what is left is an empty file.
                let info = place::open_spot(spot.clone())?.info()?;
                let path = spot.path.clone();
                let mut sink = place::stage_spot(spot, info.attributes.is_directory())?;
                let report = Collected::new();
                let report = FileReport { to: &report, path: &path };
                let mut info = info;
                info.attributes.remove(FileAttributes::REPARSE_POINT);
                sink.put(&Record::File(&info), &report)?;
                sink.commit(&report)
            }
            (spot, Place::Directory(_)) => {
                let mut info = place::open_spot(spot.clone())?.info()?;
                if kind == SmallKind::Reparse {
                    info.attributes.remove(FileAttributes::REPARSE_POINT);
                }
                DirectorySink::remove_small(spot, info, kind)
            }
        }
    }

    fn set_object_id(&self, id: &ObjectId) -> Result<()> {
        let mut sink = self.sink()?;
        if !sink.can().holds(Facts::OBJECT_ID) {
            return Err(Error::new(Win32Error::NOT_SUPPORTED, "the place has no object ids"));
        }
        let spot = self.spot();
        let silent = Collected::new();
        let report = FileReport { to: &silent, path: &spot.path };
        sink.put(&Record::Small(SmallKind::ObjectId, id.as_bytes().into()), &report)?;
        sink.commit(&report)
    }

    fn make_stream(&self, name: &StreamName) -> Result<()> {
        let mut sink = self.sink()?;
        if !sink.can().holds(Facts::NAMED_STREAMS) {
            let why = sink.can().why_not(Facts::NAMED_STREAMS).to_owned();
            return Err(Error::new(Win32Error::NOT_SUPPORTED, why));
        }
        let spot = self.spot();
        let silent = Collected::new();
        let report = FileReport { to: &silent, path: &spot.path };
        sink.put(&Record::Stream(&StreamHead::plain(Some(name.clone()), 0)), &report)?;
        sink.put(&Record::EndStream { size: 0 }, &report)?;
        sink.commit(&report)
    }

    fn remove_stream(&self, name: &StreamName) -> Result<()> {
        match self.place()? {
            (spot, Place::Ntfs3g(mount)) => Ntfs3gSink::remove_named(spot, &mount, name),
            (spot, Place::Directory(_)) => DirectorySink::remove_stream(spot, name),
        }
    }

    fn moved(&self, to: &dyn Node, name: &[u8]) {
        let Some(to) = to.as_any().downcast_ref::<Self>() else { return };
        if let Ok(Some(spot)) = to.spot_of(name) {
            *self.spot.lock().unwrap_or_else(PoisonError::into_inner) = spot;
        }
    }
}

impl HostNode {
    fn true_name(&self, name: &OsString) -> Option<Vec<u8>> {
        let dir = self.directory().ok()?;
        let spot = Spot { dir: Arc::new(dir), name: name.clone(), path: self.spot().path.join(name) };
        let info = place::open_spot(spot).and_then(|source| source.info()).ok()?;
        info.links.into_iter().next().map(|link| link.name)
    }
}

/// The unnamed stream, through a descriptor of the very file.
fn unnamed(spot: &Spot, write: bool) -> Result<Box<dyn Content>> {
    let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&spot.dir, &spot.name, flags, Mode::empty());
    let fd = fd.map_err(|error| at(spot, "opening the content", error))?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| at(spot, "looking at it", error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let why = "it is no regular file of Linux, and its content is out of reach";
        return Err(Error::new(Win32Error::NOT_SUPPORTED, why).at_path(&spot.path));
    }
    Ok(Box::new(FileContent::new(fd)))
}

fn at(spot: &Spot, doing: &'static str, error: rustix::io::Errno) -> Error {
    Error::io(doing, error).at_path(&spot.path)
}
