//! A file in an ordinary Linux directory as a sink: the mirror of [`DirectorySource`](crate::source::DirectorySource).
//!
//! The content goes into the file, holes are the file system's. Named streams go into a spool as a backup stream, and
//! with the commit everything that Linux has no place for becomes the side file. That gets its name before the file
//! does: a side file whose owner is not there yet harms nobody, a file without its side file would have lost something.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{FileInfo, Record, SmallKind, StreamFlags, StreamHead, Times};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::stream::{RecordEncoder, sparse};
use ntbak_wire::{FileAttributes, FileTime, Name, Win32Error, ea};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use crate::capability::{Capabilities, Facts};
use crate::error::{Error, Result};
use crate::host::content::{ContentWriter, ZEROS};
use crate::host::node::{Node, Spot};
use crate::host::side::{SideFile, file_name, remove};
use crate::host::side_writer::SideWriter;
use crate::host::stage::Stage;
use crate::host::target::Target;
use crate::memory::StreamKey;
use crate::report::FileReport;
use crate::sink::{FileSink, check_reparse};
use crate::source::{modified, size};

/// Writes a file or directory on a Linux file system, with a side file for what that has no place for.
#[derive(Debug)]
pub struct DirectorySink {
    /// The named streams so far, as a backup stream in a file of its own. Dropped before the target, which it may be in.
    spool: Option<SideWriter>,
    target: Target,
    capabilities: Capabilities,
    directory: bool,
    info: Option<FileInfo>,
    /// The unnamed stream, if it was written.
    unnamed: Option<StreamHead>,
    content: Option<ContentWriter>,
    small: BTreeMap<SmallKind, Vec<u8>>,
    /// Bytes of the spool up to the last stream that is whole.
    whole: u64,
    /// It has become a symbolic link.
    is_symlink: bool,
    /// The file has become a hard link to this one.
    link_target: Option<Spot>,
    encoder: RecordEncoder,
    /// Where content of the named stream has come to, when it comes without blocks.
    next: Option<u64>,
    bytes: Vec<u8>,
    names: HashSet<StreamKey>,
    current: StreamKey,
    /// What the backup stream does not say of the named streams.
    facts: Vec<(Name, Option<u64>, StreamFlags)>,
    /// In place: the side file that is there.
    before: Option<SideFile>,
    finished: bool,
}

impl DirectorySink {
    /// A new file or directory at `spot`, in place of what is there.
    pub(crate) fn stage(spot: Spot, directory: bool) -> Result<Self> {
        let longest = rustix::fs::fstatvfs(&spot.dir).map_or(255, |file_system| file_system.f_namemax);
        if spot.name.len() as u64 > longest {
            let why = format!("the name has {} bytes, and the file system takes {longest}", spot.name.len());
            return Err(Error::new(Win32Error::FILENAME_EXCED_RANGE, why).at_path(&spot.path));
        }
        if spot.name == side::DIRECTORY {
            return Err(Error::new(Win32Error::INVALID_NAME, "that name is taken by the side files")
                .at_path(&spot.path));
        }
        let mode = if directory { 0o777 } else { 0o666 };
        let stage = Stage::new(spot, directory, Mode::from_raw_mode(mode))?;
        Ok(Self::new(Target::Staged(stage), directory))
    }

    /// The file or directory that is at `spot`, as it is.
    pub(crate) fn in_place(spot: Spot) -> Result<Self> {
        let node = spot.node()?;
        let stat = node.stat().map_err(|error| Error::io("looking at it", error).at_path(&spot.path))?;
        let directory = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => true,
            FileType::RegularFile => false,
            _ => {
                let why = "it is neither a file nor a directory";
                return Err(Error::new(Win32Error::ACCESS_DENIED, why).at_path(&spot.path));
            }
        };
        let mut sink = Self::new(Target::InPlace(spot), directory);
        let (home, name, owner) = sink.side()?;
        sink.before = SideFile::open(&home, &name, &owner, stat.st_uid)?;
        if let Some(before) = &mut sink.before
            && (before.head.size, before.head.modified) != (size(&stat), modified(&stat))
        {
            before.head.forget_content();
        }
        Ok(sink)
    }

    /// Takes the EAs and named streams from the file at `spot`.
    pub(crate) fn clear(spot: &Spot) -> Result<()> {
        let mut sink = Self::in_place(spot.try_clone()?)?;
        if let Some(before) = &mut sink.before {
            before.streams.clear();
            before.small.retain(|(kind, _)| *kind != SmallKind::Ea);
        }
        sink.finish()
    }

    fn new(target: Target, directory: bool) -> Self {
        Self {
            target,
            capabilities: capabilities(),
            directory,
            info: None,
            unnamed: None,
            content: None,
            small: BTreeMap::new(),
            spool: None,
            whole: 0,
            is_symlink: false,
            link_target: None,
            encoder: RecordEncoder::new(),
            next: None,
            bytes: Vec::new(),
            names: HashSet::new(),
            current: StreamKey::default(),
            facts: Vec::new(),
            before: None,
            finished: false,
        }
    }

    /// The directory whose side files are meant, the name of this one, and its owner's name.
    fn side(&self) -> Result<(OwnedFd, OsString, OsString)> {
        if self.directory && !self.is_symlink {
            let dir = self.target.node()?.open_content(OFlags::RDONLY | OFlags::DIRECTORY);
            let dir = dir.map_err(|error| Error::io("opening the directory", error))?;
            return Ok((dir, side::SELF.into(), side::SELF.into()));
        }
        let spot = self.target.spot();
        Ok((spot.try_clone()?.dir, file_name(&spot.name), spot.name.clone()))
    }

    fn begin_stream(&mut self, head: &StreamHead) -> Result<()> {
        if head.name.is_none() {
            self.content = Some(self.target.begin_content(head)?);
            let flags = self.unnamed.as_ref().filter(|_| head.amend).map(|before| before.flags);
            let unnamed = self.unnamed.insert(head.clone());
            unnamed.flags |= flags.unwrap_or_default();
            return Ok(());
        }
        self.current = StreamKey::of(head.name.as_ref());
        if let Some(name) = &head.name
            && !head.amend
        {
            // The backup stream says by itself that a stream is sparse.
            let vdl = (head.vdl < head.size).then_some(head.vdl);
            self.facts.push((name.name().clone(), vdl, head.flags - StreamFlags::SPARSE));
        }
        self.next = (!sparse::is_in_blocks(head) && !head.amend).then_some(0);
        self.encode(&Record::Stream(head))
    }

    /// Content of a named stream; what `BackupSeek` has passed over becomes zeros.
    fn spool_content(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.fill_up_to(offset)?;
        if let Some(next) = &mut self.next {
            *next += data.len() as u64;
        }
        self.encode(&Record::Bytes { offset, data })
    }

    fn fill_up_to(&mut self, offset: u64) -> Result<()> {
        while let Some(next) = self.next.filter(|next| *next < offset) {
            let len = usize::try_from(offset - next).map_or(ZEROS.len(), |gap| gap.min(ZEROS.len()));
            self.encode(&Record::Bytes { offset: next, data: ZEROS.get(..len).unwrap_or_default() })?;
            self.next = Some(next + len as u64);
        }
        Ok(())
    }

    /// Appends a record of a named stream to the spool.
    fn encode(&mut self, record: &Record<'_>) -> Result<()> {
        if self.spool.is_none() {
            self.spool = Some(SideWriter::new(&self.side()?.0)?);
        }
        self.bytes.clear();
        self.encoder.put(record, &mut self.bytes)?;
        match &mut self.spool {
            Some(spool) => spool.append(&self.bytes),
            None => Ok(()),
        }
    }

    fn put_small(&mut self, kind: SmallKind, payload: &[u8]) -> Result<()> {
        let before = match &self.before {
            Some(side) => side.small(kind)?,
            None => None,
        };
        let payload = match kind {
            SmallKind::Ea if self.target.is_staged() && self.info.is_some() => payload.to_vec(),
            SmallKind::Ea if self.target.is_staged() => {
                ea::merge_as_is(self.small.get(&kind).map_or(&[], Vec::as_slice), payload)?
            }
            SmallKind::Ea => {
                let mine = self.small.get(&kind).cloned();
                ea::merge(&mine.or(before).unwrap_or_default(), payload)?
            }
            SmallKind::ObjectId => {
                let id = ObjectId::parse(payload)?;
                let differs =
                    before.as_deref().map(ObjectId::parse).transpose()?.is_some_and(|before| before != id);
                if differs && !self.small.contains_key(&kind) {
                    return Err(Error::new(Win32Error::ALREADY_EXISTS, "the file has an object id already"));
                }
                id.as_bytes().to_vec()
            }
            SmallKind::Reparse => {
                let existing = self.small.get(&kind).cloned().or(before);
                let existing = existing.as_deref().map(ReparseBuffer::parse).transpose()?;
                let stat = self.target.node()?.stat().map_err(|error| Error::io("looking at it", error))?;
                let state = reparse::File {
                    is_directory: self.directory,
                    has_children: false,
                    has_data: size(&stat) > 0,
                    existing: existing.map(|buffer| (buffer.tag(), buffer.guid())),
                };
                check_reparse(payload, state)?;
                payload.to_vec()
            }
            _ => payload.to_vec(),
        };
        self.small.insert(kind, payload);
        Ok(())
    }

    /// Everything that is no content of the unnamed stream: the side file is written anew, or goes.
    fn write_side(&mut self) -> Result<()> {
        let (dir, name, owner) = self.side()?;
        let node = self.target.node()?;
        let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
        let mut head = match &self.before {
            Some(before) => before.head.clone(),
            None => SideHead::default(),
        };
        (head.owner, head.size, head.modified) = (owner.as_bytes().to_vec(), size(&stat), modified(&stat));
        if let Some(info) = &self.info {
            head.attributes = Some(info.attributes);
            head.times = info.times;
            head.short_name = info.short_name().cloned();
            head.case_sensitive = info.case_sensitive;
        }
        if self.unnamed.is_some() && self.info.is_none() {
            head.forget_content();
        }
        if let (Some(attributes), None) = (&mut head.attributes, &self.info) {
            if let Some(unnamed) = &self.unnamed {
                attributes.set(FileAttributes::SPARSE_FILE, unnamed.flags.contains(StreamFlags::SPARSE));
            }
            if self.small.contains_key(&SmallKind::Reparse) {
                attributes.insert(FileAttributes::REPARSE_POINT);
            }
        }
        let written: HashSet<_> = self.facts.iter().map(|(name, ..)| StreamKey::upper(name)).collect();
        head.streams.retain(|(name, ..)| !written.contains(&StreamKey::upper(name)));
        head.streams.append(&mut self.facts);
        head.streams.retain(|(_, vdl, flags)| vdl.is_some() || !flags.is_empty());
        if let Some(unnamed) = &self.unnamed {
            head.flags = unnamed.flags;
            let known = !unnamed.amend && unnamed.vdl < unnamed.size;
            head.vdl = known.then_some(unnamed.vdl);
        }
        let before = self.before.take();
        if let Some(before) = &before {
            for (kind, _) in &before.small {
                if let (false, Some(payload)) = (self.small.contains_key(kind), before.small(*kind)?) {
                    self.small.insert(*kind, payload);
                }
            }
        }
        self.small.retain(|_, payload| !payload.is_empty());
        let streams = before.iter().flat_map(|before| &before.streams);
        let kept: Vec<_> = streams
            .filter(|stream| !self.names.contains(&StreamKey::of(stream.head.name.as_ref())))
            .collect();
        if !head.has_facts() && self.small.is_empty() && self.spool.is_none() && kept.is_empty() {
            return remove(&dir, &name);
        }
        let mut writer = SideWriter::new(&dir)?;
        writer.append(&head.encode())?;
        for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::Reparse] {
            writer.append_small(kind, self.small.get(&kind))?;
        }
        if let Some(before) = &before {
            for stream in kept {
                writer.append_stream(before, stream)?;
            }
        }
        if let Some(spool) = self.spool.take() {
            writer.append_from(&spool, self.whole)?;
        }
        writer.append_small(SmallKind::ObjectId, self.small.get(&SmallKind::ObjectId))?;
        writer.publish(&name)
    }

    /// A hard link has a side file of its own, with what that of its target says.
    fn link_side(&self) -> Result<()> {
        let Some(target) = &self.link_target else { return Ok(()) };
        let (dir, name, owner) = self.side()?;
        let uid = self.target.node()?.stat().map_or(0, |stat| stat.st_uid);
        let Some(from) = SideFile::open(&target.dir, &file_name(&target.name), &target.name, uid)? else {
            return remove(&dir, &name);
        };
        let mut writer = SideWriter::new(&dir)?;
        writer.append_side(&from, &owner)?;
        writer.publish(&name)
    }

    /// A relative symlink becomes one of Linux, when there is nothing else that it would hide. An absolute one does not:
    /// it would lead elsewhere here.
    fn become_symlink(&mut self) -> Result<()> {
        let Target::Staged(stage) = &mut self.target else { return Ok(()) };
        let Some(buffer) = self.small.get(&SmallKind::Reparse) else { return Ok(()) };
        let buffer = ReparseBuffer::parse(buffer)?;
        let target = match buffer.target() {
            Ok(target @ reparse::Target::Symlink { .. }) => target.linux_target(),
            _ => None,
        };
        let hides =
            self.directory && self.spool.is_some() || stage.node()?.stat().is_ok_and(|stat| size(&stat) > 0);
        if let Some(target) = target.filter(|target| !target.starts_with(b"/") && !hides) {
            stage.replace_by_symlink(OsStr::from_bytes(&target))?;
            self.is_symlink = true;
        }
        Ok(())
    }

    fn set_mode(&self) -> Result<()> {
        let mode = self.info.as_ref().and_then(|info| info.unix_mode);
        let Some(mode) = mode.filter(|_| !self.is_symlink && self.target.is_staged()) else {
            return Ok(());
        };
        // Set-id bits are for whoever owned the source.
        let mode = Mode::from_raw_mode(mode & 0o1777);
        rustix::fs::chmodat(&self.target.spot().dir, self.target.name(), mode, AtFlags::empty())
            .map_err(|error| Error::io("setting the mode", error))
    }

    /// The times that Linux has a place for; the others are in the side file.
    fn set_times(&self) -> Result<()> {
        let Some(Times { written, accessed, .. }) = self.info.as_ref().map(|info| info.times) else {
            return Ok(());
        };
        let times = Timestamps { last_access: timespec(accessed), last_modification: timespec(written) };
        rustix::fs::utimensat(&self.target.spot().dir, self.target.name(), &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Error::io("setting the times", error))
    }

    fn finish(&mut self) -> Result<()> {
        self.finished = true;
        self.content = None;
        if let Target::Staged(stage) = &self.target {
            let there = Node::open(&stage.spot().dir, &stage.spot().name);
            if there.is_ok_and(|there| there.is_directory() && !self.directory) {
                return Err(Error::new(
                    Win32Error::ACCESS_DENIED,
                    "a directory is there, and a file cannot take its place",
                ));
            }
        }
        self.become_symlink()?;
        self.set_mode()?;
        // Times before the side file, which remembers them. Its making changes those of a directory, so then once more.
        self.set_times()?;
        self.write_side()?;
        if self.directory && !self.is_symlink {
            self.set_times()?;
        }
        Ok(())
    }
}

impl FileSink for DirectorySink {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, record: &Record<'_>, _report: &FileReport<'_>) -> Result<()> {
        if self.link_target.is_some() && !matches!(record, Record::EndFile) {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "it is a hard link now"));
        }
        match record {
            Record::File(info) => self.info = Some((*info).clone()),
            Record::Small(kind, payload) => self.put_small(*kind, payload)?,
            Record::Stream(head) => self.begin_stream(head)?,
            Record::Bytes { offset, data } => match &mut self.content {
                Some(content) => content.write(*offset, data)?,
                None => self.spool_content(*offset, data)?,
            },
            Record::Block(_) if self.content.is_some() => {}
            Record::Block(_) => self.encode(record)?,
            Record::EndStream { size } => match self.content.take() {
                Some(content) => drop(content.finish(*size)?),
                None => {
                    self.fill_up_to(*size)?;
                    self.encode(record)?;
                    self.whole = self.spool.as_ref().map_or(0, SideWriter::len);
                    self.names.insert(self.current.clone());
                }
            },
            _ => {}
        }
        Ok(())
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        self.content = None;
        self.finished = true;
        self.target.link(target)?;
        self.link_target = Some(Spot::of(target)?);
        // In place the link is there already; a staged one gets its name, and its side file, with the commit.
        if !self.target.is_staged() { self.link_side() } else { Ok(()) }
    }

    fn commit(mut self: Box<Self>, _report: &FileReport<'_>) -> Result<()> {
        if !self.finished {
            self.finish()?;
        }
        if !self.target.is_staged() {
            return Ok(());
        }
        self.target.publish()?;
        self.link_side()
    }
}

/// What was written in place stays, as in `BackupWrite`, also when nobody completes it.
impl Drop for DirectorySink {
    fn drop(&mut self) {
        if !self.finished && !self.target.is_staged() {
            // There is nobody to tell.
            let _ = self.finish();
        }
    }
}

/// What an ordinary directory holds, with side files.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::everything().without(Facts::EFS, "this version of ntbak cannot write encrypted files yet")
}

fn timespec(time: Option<FileTime>) -> Timespec {
    match time.map(FileTime::to_unix) {
        Some((tv_sec, nanoseconds)) => Timespec { tv_sec, tv_nsec: nanoseconds.into() },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}
