//! A file on an ntfs-3g mount as a sink: the mirror of [`Ntfs3gSource`](crate::source::Ntfs3gSource).
//!
//! # The order of things
//!
//! Seen on ntfs-3g 2022.10.3; each line has cost somebody a file:
//!
//! 1. content and all named streams, of an encrypted file as ciphertext, then every descriptor is closed: a reparse point takes no content any more, and
//!    a stream's descriptor does not survive a rename;
//! 2. security descriptor, EAs, object id, what EFS keeps of the file; then the reparse point;
//! 3. attributes and times once, so that a crash behind this point leaves them right; a reparse point and SYSTEM change
//!    the kind of the file, and the kernel answers EIO to the next look at it: look twice, and take a new descriptor;
//! 4. rename, which drops the 8.3 name and sets ARCHIVE;
//! 5. object id once more if the file that was replaced had the same; 8.3 name; attributes; times.
//!
//! An error for want of space leaves empty attributes behind, so the file is given up then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{FileInfo, Record, SmallKind, StreamHead};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Win32Error, ea};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::capability::Capabilities;
use crate::efs::Import;
use crate::error::{Error, Result};
use crate::host::content::ContentWriter;
use crate::host::escape;
use crate::host::node::{MAX_XATTR, Node, Spot};
use crate::host::ntfs3g::{self, Ntfs3gMount, StreamsInterface};
use crate::host::stage::{self, Stage};
use crate::host::target::Target;
use crate::memory::StreamKey;
use crate::report::{FileReport, LossKind};
use crate::sink::{FileSink, check_reparse, encrypted_there, security};
use crate::source::read_attributes;

mod aside;
mod change;
mod efs;

use aside::Aside;
use efs::Efs;

/// Writes a file or directory on an ntfs-3g mount.
#[derive(Debug)]
pub struct Ntfs3gSink {
    target: Target,
    streams: StreamsInterface,
    capabilities: Capabilities,
    directory: bool,
    info: Option<FileInfo>,
    /// Staged: what is applied with the commit.
    small: BTreeMap<SmallKind, Vec<u8>>,
    current: Option<Current>,
    /// Staged: the names so far; ntfs-3g would make two streams whose names differ by case only.
    names: HashMap<StreamKey, StreamName>,
    /// In place: what this restore has set may be replaced by a later payload; what was there before may not.
    own: HashSet<SmallKind>,
    /// A stream has bytes in it.
    has_content: bool,
    /// The file has become a hard link to another one, and nothing more may be written to it.
    linked: bool,
    efs: Efs,
    /// In place: the file is encrypted.
    is_encrypted: bool,
    /// In place: the reparse point that steps aside while a stream is written.
    aside: Option<Aside>,
    /// The name that the file was to have, when NTFS cannot.
    true_name: Option<Vec<u8>>,
}

/// The stream that is being written.
#[derive(Debug)]
enum Current {
    File {
        name: Option<StreamName>,
        writer: ContentWriter,
    },
    /// An extended attribute, written whole at its end.
    Xattr {
        name: StreamName,
        value: Vec<u8>,
    },
    /// It cannot be written, and that was told.
    Passed,
}

impl Ntfs3gSink {
    /// A new file or directory at `spot`, in place of what is there.
    pub(crate) fn stage(mut spot: Spot, mount: &Ntfs3gMount, directory: bool) -> Result<Self> {
        if mount.streams == StreamsInterface::Windows && spot.name.as_bytes().contains(&b':') {
            // Whoever writes such a name may mean a stream: no file of another name is made of it.
            let why = "on this mount a name with a colon means a stream";
            return Err(Error::new(Win32Error::INVALID_NAME, why).at_path(&spot.path));
        }
        let true_name = escape::on_ntfs(&mut spot);
        let stage = Stage::new(spot, directory, Mode::RWXU)?.by_name();
        Ok(Self { true_name, ..Self::new(Target::Staged(stage), mount, directory) })
    }

    /// The file or directory that is at `spot`, as it is.
    pub(crate) fn in_place(spot: Spot, mount: &Ntfs3gMount) -> Result<Self> {
        let attributes = read_attributes(&spot.node()?)?;
        let sink = Self::new(Target::InPlace(spot), mount, attributes.is_directory());
        Ok(Self { is_encrypted: attributes.contains(FileAttributes::ENCRYPTED), ..sink })
    }

    /// Takes the EAs and these named streams from the file at `spot`.
    pub(crate) fn clear(spot: &Spot, mount: &Ntfs3gMount, streams: &[StreamHead]) -> Result<()> {
        let sink = Self::in_place(spot.clone(), mount)?;
        set_ea(&sink.target.node()?, &[])?;
        let mut names = streams.iter().filter_map(|head| head.name.as_ref());
        names.try_for_each(|name| sink.remove_stream(name)).map_err(|error| error.at_path(&spot.path))
    }

    fn new(target: Target, mount: &Ntfs3gMount, directory: bool) -> Self {
        let capabilities = mount.capabilities(directory);
        Self {
            target,
            streams: mount.streams,
            capabilities,
            directory,
            info: None,
            small: BTreeMap::new(),
            current: None,
            names: HashMap::new(),
            own: HashSet::new(),
            has_content: false,
            linked: false,
            efs: Efs::default(),
            is_encrypted: false,
            aside: None,
            true_name: None,
        }
    }

    fn begin_stream(&mut self, head: &StreamHead, report: &FileReport<'_>) -> Result<Current> {
        let Some(name) = &head.name else {
            return Ok(Current::File { name: None, writer: self.target.begin_content(head)? });
        };
        if self.target.is_staged() && !head.amend && !self.make_room(name, report)? {
            return Ok(Current::Passed);
        }
        if self.streams == StreamsInterface::Xattr {
            return Ok(Current::Xattr { name: name.clone(), value: Vec::new() });
        }
        match self.open_stream(name) {
            Ok(fd) => Ok(Current::File {
                name: Some(name.clone()),
                writer: ContentWriter::open(Arc::new(fd), head)?,
            }),
            // The name of the file counts with that of its stream, and a file holds some 2,700 streams.
            Err(error @ (Errno::NAMETOOLONG | Errno::RANGE | Errno::TOOBIG)) if self.target.is_staged() => {
                report.stream_loss(Some(name), LossKind::Stream, format!("ntfs-3g cannot make it: {error}"));
                Ok(Current::Passed)
            }
            Err(error) => Err(Error::io("opening the stream", error)),
        }
    }

    /// Sees to it that no two streams of a new file differ by case only, which ntfs-3g would let happen: of a backup
    /// stream the last one counts, of a copy the first; `false` when this one is passed over.
    fn make_room(&mut self, name: &StreamName, report: &FileReport<'_>) -> Result<bool> {
        let key = StreamKey::of(Some(name));
        let Some(before) = self.names.get(&key).filter(|before| *before != name).cloned() else {
            self.names.insert(key, name.clone());
            return Ok(true);
        };
        if self.info.is_some() {
            let why = "another stream of the file has the same name but for its case; the first one is kept";
            report.stream_loss(Some(name), LossKind::Stream, why);
            return Ok(false);
        }
        let why = "a later stream has the same name but for its case, and takes its place";
        report.stream_loss(Some(&before), LossKind::Stream, why);
        self.remove_stream(&before)?;
        self.names.insert(key, name.clone());
        Ok(true)
    }

    fn remove_stream(&self, name: &StreamName) -> Result<()> {
        let name = OsStr::from_bytes(&name.name().to_wtf8()).to_owned();
        let removed = if self.streams == StreamsInterface::Xattr {
            self.target.node()?.remove_xattr([OsStr::new("user."), &name].into_iter().collect::<OsString>())
        } else if self.directory {
            let path: OsString = [OsStr::new(":"), &name].into_iter().collect();
            let dir = self.target.node()?.open_content(OFlags::RDONLY | OFlags::DIRECTORY);
            dir.and_then(|dir| rustix::fs::unlinkat(dir, path, AtFlags::empty()))
        } else {
            let path: OsString = [self.target.name(), OsStr::new(":"), &name].into_iter().collect();
            rustix::fs::unlinkat(&self.target.spot().dir, path, AtFlags::empty())
        };
        removed.map_err(|error| Error::io("removing a stream", error))
    }

    fn open_stream(&self, name: &StreamName) -> rustix::io::Result<OwnedFd> {
        let mut path = OsString::new();
        let suffix = name.name().to_wtf8();
        if self.directory {
            // From within: the parent of a mounted directory is on another volume.
            path.push(":");
            path.push(OsStr::from_bytes(&suffix));
            let dir = Node::open(&self.target.spot().dir, self.target.name())?
                .open_content(OFlags::RDONLY | OFlags::DIRECTORY)?;
            return stage::open_for_writing(&dir, &path);
        }
        path.push(self.target.name());
        path.push(":");
        path.push(OsStr::from_bytes(&suffix));
        stage::open_for_writing(&self.target.spot().dir, &path)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        match &mut self.current {
            Some(Current::File { writer, .. }) => writer.write(offset, data),
            Some(Current::Xattr { value, .. }) => {
                let end = usize::try_from(offset).ok().and_then(|offset| offset.checked_add(data.len()));
                let Some(end) = end.filter(|end| *end <= MAX_XATTR) else {
                    return Err(too_large_for_xattr());
                };
                if value.len() < end {
                    value.resize(end, 0);
                }
                if let Some(to) = value.get_mut(end - data.len()..end) {
                    to.copy_from_slice(data);
                }
                Ok(())
            }
            Some(Current::Passed) | None => Ok(()),
        }
    }

    fn end_stream(&mut self, size: u64, report: &FileReport<'_>) -> Result<()> {
        match self.current.take() {
            Some(Current::File { name, writer }) => {
                // One that came without blocks was told before.
                if writer.finish(size)?.sparse_without_hole {
                    let why = "ntfs-3g makes a stream sparse only by a hole in it, and there is none";
                    report.stream_loss(name.as_ref(), LossKind::Holes, why);
                }
                Ok(())
            }
            Some(Current::Xattr { name, mut value }) => {
                let size = usize::try_from(size).ok().filter(|size| *size <= MAX_XATTR);
                value.resize(size.ok_or_else(too_large_for_xattr)?.max(value.len()), 0);
                let mut attribute = OsString::from("user.");
                attribute.push(OsStr::from_bytes(&name.name().to_wtf8()));
                let set = self.target.node()?.set_xattr(attribute, &value);
                let set =
                    set.map_err(|error| Error::io("writing the stream as an extended attribute", error));
                match set {
                    Err(error) if self.target.is_staged() && error.win32() != Win32Error::DISK_FULL => {
                        report.stream_loss(Some(&name), LossKind::Stream, error.reason());
                        Ok(())
                    }
                    set => set,
                }
            }
            Some(Current::Passed) | None => Ok(()),
        }
    }

    /// Applies a small payload to what is there, as `BackupWrite` does.
    fn apply_in_place(&mut self, kind: SmallKind, payload: &[u8]) -> Result<()> {
        let node = self.target.node()?;
        match kind {
            SmallKind::Security => set_security(&node, payload).map(drop),
            SmallKind::Ea => {
                let before = node.xattr(ntfs3g::EA).map_err(|error| Error::io("reading the EAs", error))?;
                let before = ea::on_disk_to_full(&before.unwrap_or_default())?;
                set_ea(&node, &ea::merge(&before, payload)?)
            }
            SmallKind::Reparse => {
                let before = node
                    .xattr(ntfs3g::REPARSE)
                    .map_err(|error| Error::io("reading the reparse point", error))?;
                let existing = before.as_deref().map(ReparseBuffer::parse).transpose()?;
                let is_own = self.own.contains(&kind);
                let state = reparse::File {
                    is_directory: self.directory,
                    has_children: self.directory && has_children(&node),
                    has_data: !self.directory
                        && existing.is_none()
                        && node.stat().is_ok_and(|stat| stat.st_size > 0),
                    existing: existing.filter(|_| !is_own).map(|buffer| (buffer.tag(), buffer.guid())),
                };
                check_reparse(payload, state)?;
                self.own.insert(kind);
                set(&node, ntfs3g::REPARSE, payload)?;
                self.look_twice().map(drop)
            }
            SmallKind::ObjectId => {
                let id = ObjectId::parse(payload)?;
                let before = node
                    .xattr(ntfs3g::OBJECT_ID)
                    .map_err(|error| Error::io("reading the object id", error))?;
                let before = before.as_deref().map(ObjectId::parse).transpose()?;
                if before.is_some_and(|before| before != id) && !self.own.contains(&kind) {
                    return Err(Error::new(Win32Error::ALREADY_EXISTS, "the file has an object id already"));
                }
                self.own.insert(kind);
                set_object_id(&node, payload)
            }
            SmallKind::Link => Ok(()),
        }
    }

    fn look_twice(&self) -> Result<Node> {
        look_twice(&self.target.spot().dir, self.target.name());
        self.target.node()
    }

    /// Sets what a staged file got, before it has its name; what fails is a loss.
    fn apply_staged(&mut self, report: &FileReport<'_>) -> Result<()> {
        let node = self.target.node()?;
        // Who is not root and gives the file away can set nothing else any more.
        if rustix::process::geteuid().is_root() {
            self.apply_security(&node, report)?;
        }
        if let Some(payload) = self.small.get(&SmallKind::Ea) {
            soften(set_ea(&node, payload), LossKind::Ea, report)?;
        }
        if let Some(payload) = self.small.get(&SmallKind::ObjectId)
            && set_object_id(&node, payload).is_ok()
        {
            self.small.remove(&SmallKind::ObjectId);
        }
        self.apply_efs(&node)?;
        if let Some(payload) = self.small.get(&SmallKind::Reparse) {
            soften(set(&node, ntfs3g::REPARSE, payload), LossKind::Reparse, report)?;
            if self.has_content {
                let what = "ntfs-3g gives the content of a reparse point to nobody; it is on the volume all the same";
                report.note(None, what);
            }
            drop(node);
            self.look_twice()?;
        }
        let node = self.target.node()?;
        self.apply_info(&node, None)?;
        self.look_twice().map(drop)
    }

    fn apply_security(&self, node: &Node, report: &FileReport<'_>) -> Result<()> {
        let Some(payload) = self.small.get(&SmallKind::Security) else { return Ok(()) };
        match set_security(node, payload) {
            Ok(security::Kept::All) => Ok(()),
            Ok(security::Kept::OwnerFilledIn) => {
                report
                    .loss(LossKind::Owner, "the descriptor has no owner or no group, and ntfs-3g needs both");
                Ok(())
            }
            Err(error) => soften(Err(error), LossKind::Security, report),
        }
    }

    /// Sets attributes and times; what fails is told where there is a report.
    fn apply_info(&self, node: &Node, report: Option<&FileReport<'_>>) -> Result<()> {
        let Some(info) = &self.info else { return Ok(()) };
        let wanted = info.attributes & self.capabilities.attributes;
        let attributes = set(node, ntfs3g::ATTRIBUTES, &wanted.bits().to_ne_bytes());
        let now = node.xattr(ntfs3g::TIMES).ok().flatten().unwrap_or_default();
        let times = ntfs3g::times_to(&info.times, &ntfs3g::times_from(&now));
        let times = set(node, ntfs3g::TIMES, &times);
        let Some(report) = report else { return Ok(()) };
        tell(attributes, LossKind::Attribute, report);
        let kept = read_attributes(node).unwrap_or(wanted);
        let dropped = wanted - kept;
        if !dropped.is_empty() {
            report.loss(LossKind::Attribute, format!("{} did not stay", dropped.letters()));
        }
        if kept.contains(FileAttributes::COMPRESSED) && !info.attributes.contains(FileAttributes::COMPRESSED)
        {
            report.note(None, "it is compressed there: its directory says so for all that is made in it");
        }
        tell(times, LossKind::Time, report);
        Ok(())
    }

    /// Sets what a rename takes away, and what could not be set before it.
    fn apply_published(&mut self, report: &FileReport<'_>) -> Result<()> {
        let node = self.target.node()?;
        if let Some(payload) = self.small.get(&SmallKind::ObjectId) {
            tell(set_object_id(&node, payload), LossKind::ObjectId, report);
        }
        if let Some(short) = self.info.as_ref().and_then(FileInfo::short_name) {
            // It would be stored as it is, and shown in upper case.
            let upper = StreamKey::upper(short);
            tell(set(&node, ntfs3g::DOS_NAME, &upper.to_wtf8()), LossKind::ShortName, report);
        }
        self.apply_info(&node, Some(report))?;
        if !rustix::process::geteuid().is_root() {
            tell(self.apply_security(&node, report), LossKind::Security, report);
        }
        Ok(())
    }
}

impl FileSink for Ntfs3gSink {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        if self.linked && !matches!(record, Record::EndFile) {
            return Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "it is a hard link now: its target is another file",
            ));
        }
        match record {
            Record::File(info) => {
                if self.is_encrypted && !info.attributes.contains(FileAttributes::ENCRYPTED) {
                    let why = "it stays encrypted: ntfs-3g cannot take away what EFS keeps of it";
                    report.loss(LossKind::Efs, why);
                }
                self.info = Some((*info).clone());
            }
            Record::Small(kind, payload) if self.target.is_staged() => {
                let payload = match kind {
                    SmallKind::Ea if self.info.is_none() => {
                        ea::merge_as_is(self.small.get(kind).map_or(&[], Vec::as_slice), payload)?
                    }
                    SmallKind::Reparse => {
                        check_kind(payload, self.directory)?;
                        payload.to_vec()
                    }
                    _ => payload.to_vec(),
                };
                self.small.insert(*kind, payload);
            }
            Record::Small(kind, payload) => self.apply_in_place(*kind, payload)?,
            Record::EfsRaw { .. } => self.efs.import = Some(Import::default()),
            Record::Bytes { data, .. } if self.efs.import.is_some() => self.import(Some(data), report)?,
            Record::EndStream { .. } if self.efs.import.is_some() => self.import(None, report)?,
            Record::Stream(_) if self.is_encrypted && !self.directory => return Err(encrypted_there()),
            Record::Stream(head) => {
                if !self.target.is_staged() && !self.directory {
                    self.aside = Aside::of(self.target.spot())?;
                }
                self.current = Some(self.begin_stream(head, report)?);
            }
            Record::Bytes { offset, data } => {
                let written = self.write(*offset, data);
                // A stream that is too large for this mount is a loss, not the end of the file.
                match (&self.current, written) {
                    (Some(Current::Xattr { name, .. }), Err(error)) if self.target.is_staged() => {
                        report.stream_loss(Some(name), LossKind::Stream, error.reason());
                        self.current = Some(Current::Passed);
                    }
                    (_, written) => written?,
                }
            }
            Record::EndStream { size } => {
                self.has_content |= *size > 0;
                self.end_stream(*size, report)?;
                self.aside.take().map_or(Ok(()), Aside::put_back)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        self.current = None;
        self.linked = true;
        self.target.link(target)
    }

    fn commit(mut self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        self.current = None;
        if let Some(name) = &self.true_name {
            let here = self.target.spot().name.display();
            let why = format!("NTFS cannot have the name {}: it is {here} there", name.escape_ascii());
            report.loss(LossKind::Name, why);
        }
        if !self.target.is_staged() {
            self.apply_efs(&self.target.node()?)?;
            return if self.linked || self.info.is_none() { Ok(()) } else { self.apply_published(report) };
        }
        if !self.linked {
            self.apply_staged(report)?;
        }
        self.target.publish()?;
        if self.linked { Ok(()) } else { self.apply_published(report) }
    }
}

/// Looks at a file until its changed kind has reached the kernel; a descriptor from before is no use any more.
fn look_twice(dir: impl AsFd, name: &OsStr) {
    for _ in 0..2 {
        // The first answer may be EIO.
        let _ = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW);
    }
}

fn too_large_for_xattr() -> Error {
    Error::new(Win32Error::NOT_SUPPORTED, "it has more than 64 KiB; mount with -o streams_interface=windows")
}

/// A fact that cannot be set on a file that has its name already is a loss.
fn tell(result: Result<()>, kind: LossKind, report: &FileReport<'_>) {
    if let Err(error) = result {
        report.loss(kind, error.reason());
    }
}

/// A fact that cannot be set is a loss; but where space has run out, the file is given up.
fn soften(result: Result<()>, kind: LossKind, report: &FileReport<'_>) -> Result<()> {
    match result {
        Err(error) if error.win32() == Win32Error::DISK_FULL => Err(error),
        Err(error) => {
            report.loss(kind, error.reason());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn set(node: &Node, attribute: &'static str, value: &[u8]) -> Result<()> {
    node.set_xattr(attribute, value).map_err(|error| Error::io(format!("setting {attribute}"), error))
}

fn set_ea(node: &Node, full: &[u8]) -> Result<()> {
    let on_disk = ea::full_to_on_disk(full)?;
    if !on_disk.is_empty() {
        return set(node, ntfs3g::EA, &on_disk);
    }
    match node.remove_xattr(ntfs3g::EA) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(error) => Err(Error::io("removing the EAs", error)),
    }
}

fn set_object_id(node: &Node, payload: &[u8]) -> Result<()> {
    match node.set_xattr(ntfs3g::OBJECT_ID, ObjectId::parse(payload)?.as_bytes()) {
        Err(Errno::EXIST) => {
            Err(Error::new(Win32Error::DUP_NAME, "another file of the volume has this object id"))
        }
        result => result.map_err(|error| Error::io("setting the object id", error)),
    }
}

/// Sets a descriptor; ntfs-3g takes none without owner and group, and none with bytes behind its parts.
fn set_security(node: &Node, payload: &[u8]) -> Result<security::Kept> {
    match node.set_xattr(ntfs3g::ACL, payload) {
        Ok(()) => return Ok(security::Kept::All),
        Err(Errno::INVAL) => {}
        Err(error) => return Err(Error::io("setting the security descriptor", error)),
    }
    let present =
        node.xattr(ntfs3g::ACL).map_err(|error| Error::io("reading the security descriptor", error))?;
    let (complete, kept) = security::complete(payload, &present.unwrap_or_default())?;
    set(node, ntfs3g::ACL, &complete).map(|()| kept)
}

/// A mount point is a directory; everything else about a new file is as a reparse point needs it.
fn check_kind(payload: &[u8], directory: bool) -> Result<()> {
    check_reparse(payload, reparse::File { is_directory: directory, ..reparse::File::default() })
}

fn has_children(node: &Node) -> bool {
    let Ok(stat) = node.stat() else { return false };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return false;
    }
    let Ok(dir) = node.open_content(OFlags::RDONLY | OFlags::DIRECTORY) else { return false };
    rustix::fs::Dir::read_from(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
    })
}
