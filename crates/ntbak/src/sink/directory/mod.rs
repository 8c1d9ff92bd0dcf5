//! A file in an ordinary Linux directory as a sink: the mirror of [`DirectorySource`](crate::source::DirectorySource).
//!
//! The content goes into the file, holes are the file system's. Everything else waits for the commit, which puts it
//! where Samba looks for it, and what the file system does not take there into the side file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{FileInfo, Record, SmallKind, StreamHead};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::{Win32Error, ea, side};
use rustix::fs::{FileType, Mode};

use crate::capability::Capabilities;
use crate::efs::Import;
use crate::error::{Error, Result};
use crate::host::beside::{self, Beside};
use crate::host::content::ContentWriter;
use crate::host::escape;
use crate::host::node::{Known, Spot};
use crate::host::side::Settle;
use crate::host::stage::Stage;
use crate::host::stream_spool::StreamSpool;
use crate::host::target::Target;
use crate::memory::StreamKey;
use crate::report::{FileReport, LossKind};
use crate::sink::{FileSink, check_reparse, encrypted_there};
use crate::source::{modified, size};

mod change;
mod commit;
mod efs;
#[cfg(test)]
mod faults;

use efs::Efs;

/// Bytes of Linux' own extended attributes, names and values, that one file may have.
const MAX_LINUX_ATTRIBUTES: usize = 512 << 10;

/// Writes a file or directory on a Linux file system, with a side file for what that has no place for.
#[derive(Debug)]
pub struct DirectorySink {
    /// The named streams so far. Dropped before the target, in which its file may be.
    streams: StreamSpool,
    target: Target,
    capabilities: Capabilities,
    directory: bool,
    info: Option<FileInfo>,
    /// The unnamed stream, if it was written.
    unnamed: Option<StreamHead>,
    content: Option<ContentWriter>,
    /// Not all of it was written.
    has_holes: bool,
    small: BTreeMap<SmallKind, Vec<u8>>,
    linux_attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of all of them.
    linux_held: usize,
    efs: Efs,
    /// What is known of the place of a new file.
    known: Known,
    /// The name that the file was to have, when its directory cannot hold that.
    true_name: Option<Vec<u8>>,
    /// What is left to do with side files when the file has its name.
    settle: Option<Settle>,
    /// It has become a symbolic link.
    is_symlink: bool,
    /// The file has become a hard link to this one.
    link_target: Option<Spot>,
    /// In place: what is there.
    before: Beside,
    finished: bool,
    /// A single fact is changed, and nothing else.
    change: change::Change,
}

impl DirectorySink {
    /// A new file or directory at `spot`, in place of what is there.
    pub(crate) fn stage(mut spot: Spot, directory: bool) -> Result<Self> {
        let true_name = escape::in_directory(&mut spot)?;
        let mut sink = Self::stage_as_is(spot, directory, Known::default())?;
        sink.true_name = true_name;
        Ok(sink)
    }

    /// The same under a name that the directory can hold, and that nothing has when there are no side files.
    pub(crate) fn stage_as_is(spot: Spot, directory: bool, known: Known) -> Result<Self> {
        // Until it is whole it is nobody else's business.
        let mode = if directory { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
        let stage = Stage::new(spot, directory, mode)?;
        let mut sink = Self::new(Target::Staged(stage), directory);
        sink.known = known;
        Ok(sink)
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
        let mut before = Beside::read(Beside::open_side(&node, &spot, &stat)?, &node, &spot, &stat, None)?;
        if let Some(side) = &mut before.side
            && (side.head.size, side.head.modified) != (size(&stat), modified(&stat))
        {
            side.head.forget_content();
        }
        let mut sink = Self::new(Target::InPlace(spot), directory);
        sink.before = before;
        Ok(sink)
    }

    /// Takes the EAs and named streams from the file at `spot`.
    pub(crate) fn clear(spot: &Spot) -> Result<()> {
        let mut sink = Self::in_place(spot.clone())?;
        sink.forget_before();
        sink.finish(None)
    }

    /// The EAs and named streams that the file has had are no more.
    fn forget_before(&mut self) {
        for named in self.before.streams() {
            let head = self.before.stream_head(named);
            self.streams.names.insert(StreamKey::of(head.and_then(|head| head.name).as_ref()));
        }
        self.small.insert(SmallKind::Ea, Vec::new());
    }

    fn new(target: Target, directory: bool) -> Self {
        Self {
            target,
            capabilities: capabilities(),
            directory,
            info: None,
            unnamed: None,
            content: None,
            has_holes: false,
            small: BTreeMap::new(),
            linux_attributes: Vec::new(),
            linux_held: 0,
            efs: Efs::default(),
            known: Known::default(),
            true_name: None,
            streams: StreamSpool::default(),
            settle: None,
            is_symlink: false,
            link_target: None,
            before: Beside::default(),
            finished: false,
            change: change::Change::default(),
        }
    }

    /// The owner's name in its side file.
    fn owner(&self) -> &OsStr {
        if self.directory && !self.is_symlink { side::SELF.as_ref() } else { &self.target.spot().name }
    }

    /// The directory whose side files are meant, the name of this one, and its owner's name.
    fn side(&self) -> Result<(Arc<OwnedFd>, OsString, OsString)> {
        beside::side_home(&self.target.node()?, self.target.spot())
    }

    /// Plaintext among ciphertext would be taken for that. A copy of another file takes the place of all of it.
    fn refuse_plaintext(&self) -> Result<()> {
        let stays = !self.directory && self.info.is_none() && self.efs.metadata.is_none();
        if stays && self.before.efs().is_some() { Err(encrypted_there()) } else { Ok(()) }
    }

    fn begin_stream(&mut self, head: &StreamHead) -> Result<()> {
        if head.name.is_some() {
            let Self { streams, target, .. } = self;
            return streams.begin(head, &|| home(target));
        }
        self.content = Some(self.target.begin_content(head)?);
        let flags = self.unnamed.as_ref().filter(|_| head.amend).map(|before| before.flags);
        let unnamed = self.unnamed.insert(head.clone());
        unnamed.flags |= flags.unwrap_or_default();
        Ok(())
    }

    fn put_small(&mut self, kind: SmallKind, payload: &[u8]) -> Result<()> {
        let before = self.before.small(kind)?;
        let payload = match kind {
            SmallKind::Ea if self.target.is_staged() && self.info.is_some() => payload.to_vec(),
            SmallKind::Ea if self.target.is_staged() => {
                ea::merge_as_is(self.small.get(&kind).map_or(&[], Vec::as_slice), payload)?
            }
            SmallKind::Ea => {
                let mine = self.small.get(&kind).map(Vec::as_slice);
                ea::merge(mine.or(before.as_deref()).unwrap_or_default(), payload)?
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
                let existing = self.small.get(&kind).map(Vec::as_slice).or(before.as_deref());
                let existing = existing.map(ReparseBuffer::parse).transpose()?;
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

    fn put_linux_attribute(&mut self, name: &[u8], value: &[u8], report: &FileReport<'_>) {
        let len = name.len() + value.len();
        if self.linux_held + len > MAX_LINUX_ATTRIBUTES {
            let why = format!("{}: more than 512 KiB of them in one file", name.escape_ascii());
            report.loss(LossKind::LinuxAttribute, why);
            return;
        }
        self.linux_held += len;
        self.linux_attributes.push((name.to_vec(), value.to_vec()));
    }
}

/// The directory beside which the file lies: that of its side file.
fn home(target: &Target) -> Result<Arc<OwnedFd>> {
    Ok(beside::side_home(&target.node()?, target.spot())?.0)
}

impl FileSink for DirectorySink {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        self.directory
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        if self.link_target.is_some() && !matches!(record, Record::EndFile) {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "it is a hard link now"));
        }
        match record {
            Record::EfsRaw { .. } => {
                (self.efs.import, self.efs.is_whole) = (Some(Import::default()), Some(false));
                return Ok(());
            }
            Record::Bytes { data, .. } if self.efs.import.is_some() => return self.import(Some(data)),
            Record::EndStream { .. } if self.efs.import.is_some() => return self.import(None),
            _ => {}
        }
        let Self { streams, target, .. } = self;
        let home = || home(target);
        match record {
            Record::File(info) => {
                self.info = Some((*info).clone());
                // A copy onto a directory that is there: it becomes what the source is.
                if !self.target.is_staged() {
                    self.forget_before();
                }
            }
            Record::Small(kind, payload) => self.put_small(*kind, payload)?,
            Record::LinuxAttribute { name, value } => self.put_linux_attribute(name, value, report),
            Record::Stream(head) => {
                self.refuse_plaintext()?;
                self.begin_stream(head)?;
            }
            Record::Bytes { offset, data } => match &mut self.content {
                Some(content) => content.write(*offset, data)?,
                None => streams.bytes(*offset, data, &home)?,
            },
            Record::Block(_) if self.content.is_some() => {}
            Record::Block(extent) => streams.block(*extent, &home)?,
            Record::EndStream { size } => match self.content.take() {
                Some(content) => self.has_holes = content.finish(*size)?.has_holes,
                None => streams.end(*size, &home)?,
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

    fn commit(mut self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        if !self.finished {
            self.finish(Some(report))?;
        }
        if let Some(name) = &self.true_name {
            let here = self.target.spot().name.display();
            let name = name.escape_ascii();
            report.note(None, format!("its name is {here} here; its side file keeps the true one: {name}"));
        }
        if !self.target.is_staged() {
            return Ok(());
        }
        self.link_side()?;
        let settle = self.settle.take();
        match self.target.publish() {
            Ok(()) => settle.map_or(Ok(()), Settle::apply),
            Err(error) => {
                settle.into_iter().for_each(Settle::undo);
                Err(error)
            }
        }
    }
}

/// What was written in place stays, as in `BackupWrite`, also when nobody completes it.
impl Drop for DirectorySink {
    fn drop(&mut self) {
        // Of an encrypted file only the whole is any good.
        if !self.finished && !self.target.is_staged() && self.efs.is_whole != Some(false) {
            // There is nobody to tell.
            let _ = self.finish(None);
        }
    }
}

/// What an ordinary directory holds, with side files.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::everything()
}
