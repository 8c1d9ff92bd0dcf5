//! The commit of a file in a directory: what is no content finds its place.
//!
//! The order is made so that a crash loses nothing. A new file gets its attributes first and its side file next, under a
//! name of its own, since an old file of the name may still need its own; then it gets its name, and the side file does.
//! In between it finds the side file by the mark. Without attributes there is no mark, and the side file has its name a
//! moment before. In place, attributes that the side file replaces go only when that is there.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};

use ntbak_wire::record::{FileInfo, SmallKind, StreamFlags, Times};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::samba::dosattrib::DosAttrib;
use ntbak_wire::samba::stream;
use ntbak_wire::side::{LinuxOwner, MAX_HEAD, SideHead};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Win32Error};
use rustix::fs::{AtFlags, FileType, OFlags, Timespec, Timestamps, UTIME_OMIT};

use super::DirectorySink;
use crate::error::{Error, Result};
use crate::host::beside::Beside;
use crate::host::holes;
use crate::host::linux::LinuxKind;
use crate::host::node::Node;
use crate::host::samba::{NameRoom, is_foreign};
use crate::host::samba_writer::{DialectWriter, MAX_NAMES};
use crate::host::side::{Settle, SideFile, remove};
use crate::host::side_writer::SideWriter;
use crate::host::target::Target;
use crate::memory::StreamKey;
use crate::report::{FileReport, LossKind};
use crate::source::{modified, size};

const POSIX_ACL: &str = "system.posix_acl_access";

/// Bytes of names up to which a file gets attributes of Linux: then its streams and EAs have as many again.
const MAX_LINUX_NAMES: usize = MAX_NAMES / 2;

impl DirectorySink {
    /// Everything but the name of a staged file.
    pub(super) fn finish(&mut self, report: Option<&FileReport<'_>>) -> Result<()> {
        self.finished = true;
        self.content = None;
        self.become_symlink(report)?;
        let node = self.target.node()?;
        let linux = self.set_linux_owner(&node)?;
        let closed = self.open_up(&node)?;
        let linux_attributes = self.set_linux_attributes(&node);
        // Times before the side file, which remembers them. Its making changes those of a directory, so then once more.
        self.set_times(&node)?;
        tell_linux(linux, &linux_attributes, report);
        let mut head = self.side_head(&node)?;
        if self.info.is_some() && !self.change.basic {
            (head.linux, head.linux_attributes) = (linux, linux_attributes);
        }
        let mut before = std::mem::take(&mut self.before);
        before.samba.own = self.known.kind.unwrap_or_else(|| LinuxKind::of(&node)).own();
        let mut writer = DialectWriter::new(&node, &before.samba);
        self.write_attributes(&node, &mut writer, &mut head, report)?;
        let changed = self.write_side(head, before.side.as_ref(), &mut writer, report)?;
        writer.finish()?;
        before.depot.map_or(Ok(()), |depot| depot.remove(&self.streams.names))?;
        if self.directory && changed {
            self.set_times(&node)?;
        }
        match closed {
            Some(mode) => node.set_mode(mode).map_err(|error| Error::io("setting the mode", error)),
            None => Ok(()),
        }
    }

    /// Lets the owner write to a directory that may not be written, while its side file is made; answers its mode.
    fn open_up(&self, node: &Node) -> Result<Option<u32>> {
        const RWXU: u32 = 0o700;
        if !self.directory || self.is_symlink {
            return Ok(None);
        }
        let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
        let mode = stat.st_mode & 0o7777;
        let root = rustix::process::geteuid().is_root();
        if root || mode & RWXU == RWXU {
            return Ok(None);
        }
        let opened = node.set_mode(mode | RWXU);
        opened.map(|()| Some(mode)).map_err(|error| Error::io("setting the mode", error))
    }

    /// A relative symlink becomes one of Linux, when there is nothing else that it would hide. An absolute one does not:
    /// it would lead elsewhere here.
    fn become_symlink(&mut self, report: Option<&FileReport<'_>>) -> Result<()> {
        let Target::Staged(stage) = &mut self.target else { return Ok(()) };
        let Some(buffer) = self.small.get(&SmallKind::Reparse) else { return Ok(()) };
        let buffer = ReparseBuffer::parse(buffer)?;
        let target = match buffer.target() {
            Ok(target @ reparse::Target::Symlink { .. }) => target.linux_target(),
            _ => None,
        };
        let hides = self.directory && self.streams.has_file()
            || stage.node()?.stat().is_ok_and(|stat| size(&stat) > 0);
        let Some(target) = target else { return Ok(()) };
        if target.starts_with(b"/") || hides {
            if let Some(report) = report {
                let what = "the symbolic link is an empty file here, which keeps the reparse point: it would lead elsewhere";
                report.note(None, what);
            }
        } else {
            stage.replace_by_symlink(OsStr::from_bytes(&target))?;
            self.is_symlink = true;
        }
        Ok(())
    }

    /// Sets user, group and mode as far as this user may; answers what the side file has to say of it.
    fn set_linux_owner(&self, node: &Node) -> Result<Option<(LinuxOwner, LinuxOwner)>> {
        let (mode, owner) = self.info.as_ref().map_or((None, None), |info| (info.unix_mode, info.unix_owner));
        if self.change.basic || !self.target.is_staged() && (!self.directory || self.info.is_none()) {
            return Ok(None);
        }
        let look = || {
            let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
            Ok::<_, Error>(LinuxOwner { mode: stat.st_mode & 0o7777, user: stat.st_uid, group: stat.st_gid })
        };
        let mut got = look()?;
        let (user, group) = owner.unwrap_or((got.user, got.group));
        if (user, group) != (got.user, got.group) {
            // Who is not root may give it to a group of theirs. What did not go is in the side file.
            let _ = node.set_owner(Some(user), group).or_else(|_| node.set_owner(None, group));
            got = look()?;
        }
        let usual = if self.directory { 0o777 } else { 0o666 } & !umask();
        let known = mode.unwrap_or(if self.target.is_staged() { usual } else { got.mode });
        let wanted = LinuxOwner { mode: known, user, group };
        // A new file was nobody else's business until here. Set-id bits are privileges of the place that they come from:
        // the side file keeps them. So it does where a file system has no modes.
        let mode = wanted.mode & 0o1777;
        if self.info.as_ref().is_some_and(|info| info.unix_mode.is_some())
            && !self.known.no_acl
            && has_acl(node)
        {
            // The directory may have given the new file one, and others access with the mode. That of the source comes next.
            let _ = node.remove_xattr(POSIX_ACL);
            got = look()?;
        }
        if !self.is_symlink && mode != got.mode {
            let _ = node.set_mode(mode);
            got = look()?;
        }
        if self.is_symlink || self.info.is_none() {
            // The mode of a symbolic link means nothing, and nobody asked for the usual one.
            got.mode = wanted.mode;
        }
        Ok((got != wanted).then_some((wanted, got)))
    }

    /// Sets those that anybody may set on a file of theirs: POSIX ACLs, which name users as the owner does, and `user`
    /// attributes that mean nothing to a reader. The others (file capabilities, `trusted` attributes, another spelling of
    /// a stream's name) would give privileges here, or mean something else; the side file keeps them.
    fn set_linux_attributes(&mut self, node: &Node) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut attributes = std::mem::take(&mut self.linux_attributes);
        if attributes.is_empty() {
            return attributes;
        }
        let mut room = NameRoom::of(node, MAX_LINUX_NAMES);
        attributes.retain(|(name, value)| {
            let harmless = name.starts_with(b"system.posix_acl_") || is_foreign(name, value);
            !(harmless && room.take(name) && node.set_xattr(OsStr::from_bytes(name), value).is_ok())
        });
        attributes
    }

    /// The times that Linux has a place for; the others are in the side file.
    fn set_times(&self, node: &Node) -> Result<()> {
        let Some(Times { written, accessed, .. }) = self.info.as_ref().map(|info| info.times) else {
            return Ok(());
        };
        let times = Timestamps { last_access: timespec(accessed), last_modification: timespec(written) };
        let set = if self.is_symlink {
            rustix::fs::utimensat(
                &self.target.spot().dir,
                self.target.name(),
                &times,
                AtFlags::SYMLINK_NOFOLLOW,
            )
        } else {
            node.set_times(&times)
        };
        set.map_err(|error| Error::io("setting the times", error))
    }

    /// The head of the side file: what was said before, and what is said now.
    fn side_head(&mut self, node: &Node) -> Result<SideHead> {
        let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
        let mut head = self.before.head().cloned().unwrap_or_default();
        (head.owner, head.size, head.modified) =
            (self.owner().as_bytes().to_vec(), size(&stat), modified(&stat));
        if let Some(info) = &self.info {
            head.attributes = Some(info.attributes);
            head.times = info.times;
            head.short_name = info.short_name().cloned();
            head.case_sensitive = info.case_sensitive;
        }
        head.efs_cluster_shift = self.efs.cluster_shift.or(head.efs_cluster_shift);
        if self.true_name.is_some() {
            head.true_name.clone_from(&self.true_name);
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
        let mut facts = std::mem::take(&mut self.streams.facts);
        let written: HashSet<_> = facts.iter().map(|(name, ..)| StreamKey::upper(name)).collect();
        head.streams.retain(|(name, ..)| {
            let name = StreamKey::upper(name);
            !written.contains(&name)
        });
        head.streams.append(&mut facts);
        if let Some(sparse) = self.change.sparse {
            head.flags.set(StreamFlags::SPARSE, sparse);
        }
        if let Some(unnamed) = &self.unnamed {
            head.flags = unnamed.flags;
            let known = !unnamed.amend && unnamed.vdl < unnamed.size;
            head.vdl = known.then_some(unnamed.vdl);
            head.hidden_holes =
                self.has_holes && unnamed.flags.contains(StreamFlags::SPARSE) && hides_holes(node);
        }
        Ok(head)
    }

    /// Writes what the file system takes as attributes, and leaves the rest for the side file.
    fn write_attributes(
        &mut self,
        node: &Node,
        writer: &mut DialectWriter<'_>,
        head: &mut SideHead,
        report: Option<&FileReport<'_>>,
    ) -> Result<()> {
        // First of all: without it nobody can decrypt the file.
        if let Some(metadata) = self.efs.metadata.take() {
            head.efs = (!writer.efs(&metadata)).then_some(metadata);
        } else if self.info.is_some() && !self.change.basic {
            // A copy of a file that is not encrypted.
            (head.efs, head.efs_cluster_shift) = (None, None);
            writer.forget_efs();
        }
        let regular =
            || node.stat().is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let reparse = self.small.get(&SmallKind::Reparse);
        let in_attribute = reparse.is_some_and(|buffer| writer.reparse(if regular() { buffer } else { &[] }));
        if in_attribute {
            self.small.insert(SmallKind::Reparse, Vec::new());
        }
        match &self.info {
            Some(info) => {
                let FileInfo { attributes, times, .. } = info;
                let attrib = DosAttrib { attributes: Some(*attributes), created: times.created };
                let taken = writer.attrib(attrib);
                // The side file has them too; but where every file has some of its own, those are read.
                if let (false, true, Some(report)) = (taken, writer.has_own(), report) {
                    let why = "the file system does not take attributes or creation time";
                    report.loss(LossKind::Attribute, why);
                }
                if taken && !writer.has_own() && is_told(head) {
                    (head.attributes, head.times) = (None, Times::default());
                }
            }
            // smbd looks for the buffer only where the attribute says that there is one.
            None if in_attribute => {
                let mut attrib = writer.before_attrib();
                attrib.attributes = attrib.attributes.or(head.attributes);
                *attrib.attributes.get_or_insert(FileAttributes::ARCHIVE) |= FileAttributes::REPARSE_POINT;
                writer.attrib(attrib);
            }
            None => {}
        }
        if let Some(security) = self.small.get(&SmallKind::Security)
            && writer.security(security)
        {
            self.small.insert(SmallKind::Security, Vec::new());
        }
        if let Some(list) = self.small.get(&SmallKind::Ea) {
            let eas = writer.eas(list)?;
            head.eas = eas.order;
            self.small.insert(SmallKind::Ea, eas.rest);
        }
        self.write_streams(writer, head);
        Ok(())
    }

    /// Writes the small streams, and leaves in the head what it has to say of streams: facts of some, or the order of all
    /// when reading would find another one.
    fn write_streams(&mut self, writer: &mut DialectWriter<'_>, head: &mut SideHead) {
        let mut small = std::mem::take(&mut self.streams.small);
        // Small ones first, so that as many as possible are seen through Samba.
        small.sort_by_key(|small| small.content.len());
        let mut taken: Vec<StreamName> = Vec::new();
        for small in small {
            match &small.head.name {
                Some(name) if writer.stream(name, &small.content) => taken.push(name.clone()),
                _ => self.streams.small.push(small),
            }
        }
        self.streams.names.iter().for_each(|key| writer.forget_stream(key));

        taken.sort_by_cached_key(stream::attribute_of);
        let left = self.streams.small.iter().filter_map(|small| small.head.name.as_ref());
        let (taken, left): (Vec<_>, Vec<_>) =
            (taken.iter().map(StreamName::name).collect(), left.map(StreamName::name).collect());
        let all = head.streams.iter().map(|(name, ..)| name);
        let elsewhere: HashSet<_> = taken.iter().chain(&left).copied().collect();
        let in_file = all.clone().filter(|name| !elsewhere.contains(name));
        let found = in_file.chain(left.iter().copied()).chain(taken.iter().copied());
        if self.target.is_staged() && all.eq(found) {
            head.streams.retain(|(_, vdl, flags)| vdl.is_some() || !flags.is_empty());
        }
    }

    /// Everything that is in no attribute: the side file is written anew, or goes. Answers whether that may have changed
    /// the times of the directory that it is in.
    fn write_side(
        &mut self,
        mut head: SideHead,
        before: Option<&SideFile>,
        attributes: &mut DialectWriter<'_>,
        report: Option<&FileReport<'_>>,
    ) -> Result<bool> {
        for (kind, _) in before.iter().flat_map(|before| &before.small) {
            if let (false, Some(payload)) =
                (self.small.contains_key(kind), before.map_or(Ok(None), |side| side.small(*kind))?)
            {
                self.small.insert(*kind, payload);
            }
        }
        self.small.retain(|_, payload| !payload.is_empty());
        let streams = before.iter().flat_map(|before| &before.streams);
        let kept: Vec<_> = streams
            .filter(|stream| !self.streams.names.contains(&StreamKey::of(stream.head.name.as_ref())))
            .collect();
        let rest = !self.small.is_empty() || !self.streams.is_empty() || !kept.is_empty();
        let needed = head.has_facts() || rest;
        // The side file of an old file of this name must not go before that does.
        let waits = self.target.is_staged() && (!self.directory || self.is_symlink);
        if !needed {
            attributes.mark(false);
            if self.target.is_staged() && (!waits || self.known.no_side) {
                // A new directory has none, nor has a file where there are none at all.
                return Ok(false);
            }
            let (dir, name, _) = self.side()?;
            if waits {
                self.settle = Some(Settle { dir, pending: None, name });
                return Ok(false);
            }
            return remove(&dir, &name).map(|()| true);
        }
        let (dir, name, _) = self.side()?;
        let mut writer = match SideWriter::new(&dir) {
            Err(error) if error.win32() == Win32Error::ACCESS_DENIED && head.is_basic() && !rest => {
                attributes.mark(false);
                if let Some(report) = report {
                    let why = format!("{}; attributes and change time are not kept", error.reason());
                    report.loss(LossKind::ChangeTime, why);
                }
                return Ok(false);
            }
            writer => writer?,
        };
        // Not before there is a side file: the mark alone says that one was lost.
        head.mark = attributes.mark(true);
        writer.append(&encode_head(&mut head)?)?;
        for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::Reparse] {
            writer.append_small(kind, self.small.get(&kind))?;
        }
        for stream in kept {
            if let Some(before) = before {
                writer.append_stream(before, stream)?;
            }
        }
        self.streams.append_to(&mut writer)?;
        writer.append_small(SmallKind::ObjectId, self.small.get(&SmallKind::ObjectId))?;
        self.publish_side(writer, dir, name, head.mark.filter(|_| waits)).map(|()| true)
    }

    /// A new hard link gets a side file that says what the one of its target says.
    pub(super) fn link_side(&mut self) -> Result<()> {
        let Some(target) = &self.link_target else { return Ok(()) };
        let node = self.target.node()?;
        let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
        let (dir, name, owner) = self.side()?;
        let from = Beside::read(Beside::open_side(&node, target, &stat)?, &node, target, &stat, None)?;
        let waits = self.target.is_staged();
        let Some(from) = from.side else {
            if waits {
                self.settle = Some(Settle { dir, pending: None, name });
                return Ok(());
            }
            return remove(&dir, &name);
        };
        let mut writer = SideWriter::new(&dir)?;
        writer.append_side(&from, &owner)?;
        self.publish_side(writer, dir, name, from.head.mark.filter(|_| waits))
    }

    /// Gives a side file its name; one that `waits` for that of its file another one, by the mark.
    fn publish_side(
        &mut self,
        writer: SideWriter,
        dir: Arc<OwnedFd>,
        name: OsString,
        waits: Option<[u8; 16]>,
    ) -> Result<()> {
        let Some(mark) = waits else { return writer.publish(&name) };
        let mut pending = name.clone();
        pending.push(".");
        mark.iter().take(8).for_each(|byte| pending.push(format!("{byte:02x}")));
        writer.publish(&pending)?;
        self.settle = Some(Settle { dir, pending: Some(pending), name });
        Ok(())
    }
}

/// Whether attributes and Linux say all that the head does. Of attributes, those that Samba would not keep are never told:
/// it writes them without the others.
fn is_told(head: &SideHead) -> bool {
    const KEPT: FileAttributes = FileAttributes::READONLY
        .union(FileAttributes::HIDDEN)
        .union(FileAttributes::SYSTEM)
        .union(FileAttributes::ARCHIVE)
        .union(FileAttributes::DIRECTORY);
    let attributes = head.attributes.is_some_and(|attributes| KEPT.contains(attributes));
    let (seconds, nanoseconds) = head.modified;
    let written = head.times.written.is_none_or(|time| time == FileTime::from_unix(seconds, nanoseconds));
    attributes && written && head.times.changed.is_none()
}

/// Whether a new file has an ACL, which its directory may have given it. Where that cannot be seen it may have one.
fn has_acl(node: &Node) -> bool {
    node.xattr_names().map_or(true, |names| names.iter().any(|name| name == POSIX_ACL))
}

/// The bytes of a head; the order of very many streams is left out where there is no room for it.
fn encode_head(head: &mut SideHead) -> Result<Vec<u8>> {
    let bytes = head.encode();
    if bytes.len() <= MAX_HEAD {
        return Ok(bytes);
    }
    head.streams.retain(|(_, vdl, flags)| vdl.is_some() || !flags.is_empty());
    let bytes = head.encode();
    if bytes.len() <= MAX_HEAD {
        return Ok(bytes);
    }
    let why = format!("its side file would need {} bytes for facts, and has {MAX_HEAD}", bytes.len());
    Err(Error::new(Win32Error::INVALID_DATA, why))
}

/// Says what of Linux' own facts is only in the side file.
fn tell_linux(
    owner: Option<(LinuxOwner, LinuxOwner)>,
    attributes: &[(Vec<u8>, Vec<u8>)],
    report: Option<&FileReport<'_>>,
) {
    let Some(report) = report else { return };
    if let Some((wanted, got)) = owner {
        let text = |LinuxOwner { mode, user, group }| format!("{mode:04o} {user}:{group}");
        let what = format!("mode and owner are {} here; the side file keeps {}", text(got), text(wanted));
        report.note(None, what);
    }
    for (name, _) in attributes {
        report.note(None, format!("{} is kept in the side file, and not set", name.escape_ascii()));
    }
}

/// Whether the file system shows a file, which has holes, as one range.
fn hides_holes(node: &Node) -> bool {
    let whole = |fd: OwnedFd| {
        let stat = rustix::fs::fstat(&fd).ok()?;
        let first = holes::next_native(&fd, 0).ok()??;
        Some(first.offset == 0 && first.len == size(&stat))
    };
    node.open_content(OFlags::RDONLY).ok().and_then(whole).unwrap_or(false)
}

/// The permission bits that this process takes from what it makes. Asking the kernel would set it.
fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
    })
}

fn timespec(time: Option<FileTime>) -> Timespec {
    match time.map(FileTime::to_unix) {
        Some((tv_sec, nanoseconds)) => Timespec { tv_sec, tv_nsec: nanoseconds.into() },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}
