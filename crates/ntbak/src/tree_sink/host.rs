//! A directory of this machine as the place of many files: an ordinary one, or one on an ntfs-3g mount.
//!
//! # What keeps everything in its place
//!
//! Whatever a path says, it is gone down from the target by one name after the other, each opened in the directory before
//! it, and no link or junction is followed. A file is made beside its place and renamed when it is whole, so a run that
//! was ended anywhere can be run again; what it left half done is removed then.
//!
//! # Order
//!
//! Files may come in any order. A directory that is missing is made; when its own facts come, it gets them as it is. Files
//! that are put into a directory which has its facts change its times: these are set once more when it is left.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ntbak_wire::record::FileInfo;
use ntbak_wire::{FileTime, Win32Error, side};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::levels::Saved;
use super::names::{Settled, components, fits, settle};
use super::pool::Pool;
use super::{Begun, Commit, Finished, TreeSink};
use crate::backup::BackupOptions;
use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::host::descent::{Descent, Identity, entries, identity, open_directory};
use crate::host::linux::LinuxKind;
use crate::host::node::{Known, Node, Spot};
use crate::host::stage::is_temporary;
use crate::place::Place;
use crate::report::{FileReport, LossKind, Report};
use crate::restore::{Restore, Unheld};
use crate::sink::{DirectorySink, FileSink, Ntfs3gSink};
use crate::tree::LinkVisit;

/// What happens with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// It is replaced; a directory gets the facts of the new one.
    #[default]
    Always,
    /// It is replaced when the new one was written later.
    IfNewer,
    /// It stays as it is.
    Never,
}

/// How files are put into a directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostSinkOptions {
    /// What happens with files that are there.
    pub overwrite: Overwrite,
    /// How many threads complete files in ordinary directories, beside the one that reads; without any, that does it.
    pub threads: usize,
}

/// The ACL that a directory gives to new files.
const POSIX_ACL_DEFAULT: &str = "system.posix_acl_default";

/// A directory that is being filled.
pub struct HostSink {
    options: HostSinkOptions,
    root: Arc<OwnedFd>,
    place: Place,
    /// The root as the user named it.
    shown: PathBuf,
    /// The name of the target in the root, when it was not there at first.
    below: Option<OsString>,
    descent: Descent<Level>,
    /// Directories that have got their facts in this run.
    restored: HashSet<Identity>,
    /// What was there before files of this run, by the hashes of their paths. When it is there still, it stayed or the
    /// new one could not be written, and another name of the new one is none of the old one.
    before: HashMap<u64, Before>,
    /// Directories that were looked through for what an earlier run left.
    cleaned: HashSet<Identity>,
    root_saved: Option<Saved>,
    /// What the file that was begun last is called there, and whether nothing was there before.
    begun: Option<(OsString, bool)>,
    /// Threads that complete files; none on ntfs-3g, which does one thing at a time.
    pool: Option<Pool>,
    /// The file that was begun last goes to them: its name there, and as the user knows it.
    handed: Option<(OsString, PathBuf)>,
    /// Directories that were left before all files in them were complete.
    left: Vec<Left>,
}

/// A directory that gets its times when the last file in it is complete.
struct Left {
    fd: Arc<OwnedFd>,
    directory: Identity,
    saved: Saved,
    path: PathBuf,
}

/// A file that was there.
struct Before {
    identity: Identity,
    /// When the one that was to replace it was written.
    written: Option<FileTime>,
}

struct Level {
    /// The name in the tree.
    name: OsString,
    place: Place,
    device: u64,
    saved: Option<Saved>,
    /// What is known of it, once a file was put into it.
    known: Option<Known>,
}

impl HostSink {
    /// The directory at `target`, made with the first file when it is not there; its parent must be.
    ///
    /// # Errors
    /// It cannot be made, or is no directory.
    pub fn open(target: &Path, options: HostSinkOptions) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let (shown, below, root) = match rustix::fs::openat(CWD, target, flags, Mode::empty()) {
            // It is made like every other directory: beside its place.
            Err(Errno::NOENT) => {
                let Spot { dir, name, .. } = Spot::of(target)?;
                (target.parent().unwrap_or(Path::new("")), Some(name), Ok(dir))
            }
            opened => (target, None, opened.map(Arc::new)),
        };
        let at_path = |error| Error::io("opening the directory", error).at_path(target);
        let root = root.map_err(at_path)?;
        let inside = Spot { dir: Arc::clone(&root), name: ".".into(), path: shown.to_owned() };
        let place = Place::of_spot(&inside)?;
        let mut sink = Self {
            options,
            descent: Descent::new(inside.dir),
            root,
            place,
            shown: shown.to_owned(),
            below,
            restored: HashSet::new(),
            before: HashMap::new(),
            cleaned: HashSet::new(),
            root_saved: None,
            begun: None,
            pool: None,
            handed: None,
            left: Vec::new(),
        };
        if matches!(sink.place, Place::Directory(_)) {
            sink.pool = Pool::new(options.threads);
        }
        if sink.below.is_none() {
            sink.clean(identity(&sink.root).map_err(at_path)?);
        }
        Ok(sink)
    }

    /// The kind of place that it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Which directory it is: device and inode.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn identity(&self) -> Result<(u64, u64)> {
        identity(&self.root).map_err(|error| Error::io("looking at the directory", error))
    }

    /// The place of the directory at the end of the way, and its device.
    fn here(&mut self) -> Result<(Place, u64)> {
        match self.descent.data() {
            Some(level) => Ok((level.place.clone(), level.device)),
            None => Ok((self.place.clone(), self.identity()?.0)),
        }
    }

    /// The path of the directory at the end of the way, for messages.
    fn shown(&self, name: &OsStr) -> PathBuf {
        let mut path = self.shown.clone();
        path.extend(self.descent.all().map(|level| &level.name));
        path.push(name);
        path
    }

    fn spot(&self, name: &OsStr) -> Spot {
        Spot { dir: Arc::clone(self.descent.fd()), name: name.to_owned(), path: self.shown(name) }
    }

    /// Goes to the directory of these names, and makes what is missing on the way.
    fn go_to(&mut self, names: &[&OsStr], report: &FileReport<'_>) -> Result<()> {
        let common = self.descent.all().zip(names).take_while(|(level, name)| level.name == **name).count();
        while self.descent.depth() > common {
            self.leave(report.to)?;
        }
        for name in names.get(common..).unwrap_or_default() {
            self.enter(name, report)?;
        }
        Ok(())
    }

    fn enter(&mut self, name: &OsStr, report: &FileReport<'_>) -> Result<()> {
        let spot = self.spot(name);
        let (place, device) = self.here()?;
        self.wait_for(name, report.to)?;
        let settled = settle(&spot, &place)?;
        self.wait_for(&settled.there, report.to)?;
        let path = spot.path.clone();
        let in_the_way = |error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                let why = format!(
                    "{} is no directory but a file, a link or a junction: nothing is put behind it",
                    path.display()
                );
                Error::new(Win32Error::PATH_NOT_FOUND, why)
            }
            error => Error::io(format!("opening the directory {}", path.display()), error),
        };
        let (fd, made) = match open_directory(&spot.dir, &settled.there) {
            Err(Errno::NOENT) => {
                let told = Spot { name: settled.told, ..spot.clone() };
                let report = FileReport { to: report.to, path: &path };
                stage(told, &place, true)?.commit(&report)?;
                (open_directory(&spot.dir, &settled.there).map_err(in_the_way)?, true)
            }
            opened => (opened.map_err(in_the_way)?, false),
        };
        let fd = Arc::new(fd);
        let fault = |error| Error::io("looking at the directory", error);
        let found = identity(&fd).map_err(fault)?;
        let place = match found.0 == device {
            true => place,
            false => {
                let dir = Arc::clone(&fd);
                Place::of_spot(&Spot { dir, name: ".".into(), path: path.clone() })?
            }
        };
        let restored = self.restored.contains(&found);
        if self.left.iter().any(|left| left.directory == found) {
            // It has not got its times yet.
            self.wait(report.to);
        }
        let saved = if restored { Some(Saved::new(fd.as_fd(), &place)?) } else { None };
        let level = Level { name: name.to_owned(), place, device: found.0, saved, known: None };
        self.descent.enter(&settled.there, fd, level).map_err(fault)?;
        if made {
            self.cleaned.insert(found);
        }
        self.clean(found);
        Ok(())
    }

    /// Goes up one level; the directory gets the times again that it is to have.
    fn leave(&mut self, report: &dyn Report) -> Result<()> {
        let (fd, directory) = (Arc::clone(self.descent.fd()), self.descent.identity());
        let path = self.shown("".as_ref());
        let level = self.descent.leave()?;
        let (Some(Level { saved: Some(saved), .. }), Some(directory)) = (level, directory) else {
            return Ok(());
        };
        if self.pool.is_some() {
            self.left.push(Left { fd, directory, saved, path });
            self.settle_left(report);
        } else {
            restore_times(&saved, &fd, &path, report);
        }
        Ok(())
    }

    /// Gives the directories that were left their times, when all files in them are complete.
    fn settle_left(&mut self, report: &dyn Report) {
        let Some(pool) = &mut self.pool else { return };
        pool.collect();
        for Left { fd, saved, path, .. } in self.left.extract_if(.., |left| !pool.is_busy(left.directory)) {
            restore_times(&saved, &fd, &path, report);
        }
    }

    /// Waits until all files are complete.
    fn wait(&mut self, report: &dyn Report) {
        if let Some(pool) = &mut self.pool {
            pool.wait();
        }
        self.settle_left(report);
    }

    /// Waits where a file that is to have this name in the directory at the end of the way is not complete: what is there
    /// decides what happens next.
    fn wait_for(&mut self, name: &OsStr, report: &dyn Report) -> Result<()> {
        if self.pool.is_none() {
            return Ok(());
        }
        let here = self.directory()?;
        if self.pool.as_ref().is_some_and(|pool| pool.is_out(here, name)) {
            self.wait(report);
        }
        Ok(())
    }

    /// What is known of the directory at the end of the way; looked at with the first file in it.
    fn known(&mut self, kind: LinuxKind) -> Known {
        let dir = Arc::clone(self.descent.fd());
        let look = || {
            let node = Node::of_path(dir);
            let no = |answer: rustix::io::Result<_>| matches!(answer, Err(Errno::NOENT));
            Known {
                kind: Some(kind),
                no_side: no(rustix::fs::statat(node.fd(), side::DIRECTORY, AtFlags::SYMLINK_NOFOLLOW)),
                no_acl: matches!(node.xattr(POSIX_ACL_DEFAULT), Ok(None) | Err(Errno::OPNOTSUPP)),
            }
        };
        match self.descent.data() {
            Some(level) => *level.known.get_or_insert_with(look),
            None => look(),
        }
    }

    /// Which directory the one at the end of the way is.
    fn directory(&self) -> Result<Identity> {
        let found = self.descent.identity().map_or_else(|| identity(&self.root), Ok);
        found.map_err(|error| Error::io("looking at the directory", error))
    }

    /// Removes what an earlier run left half done in the directory at the end of the way, once.
    fn clean(&mut self, found: Identity) {
        if !self.cleaned.insert(found) {
            return;
        }
        let dir = self.descent.fd();
        remove_temporaries(dir);
        if let Ok(side) = open_directory(dir, side::DIRECTORY.as_ref()) {
            remove_temporaries(side.as_fd());
        }
    }

    /// Whether what is there stays; what is there is looked at without following it.
    fn stays(&self, there: &Stat, written: Option<FileTime>) -> bool {
        match self.options.overwrite {
            Overwrite::Always => false,
            Overwrite::Never => true,
            Overwrite::IfNewer => written.is_some_and(|new| new <= written_at(there)),
        }
    }

    fn begin_root(&mut self, info: &FileInfo) -> Result<Begun<'_>> {
        let report = &crate::report::Collected::new();
        self.wait(report);
        while self.descent.depth() > 0 {
            self.leave(report)?;
        }
        let stat = rustix::fs::fstat(&self.root).map_err(|error| Error::io("looking at it", error))?;
        if !info.attributes.is_directory() {
            let why = "the root of a tree is a directory";
            return Err(Error::new(Win32Error::INVALID_PARAMETER, why));
        }
        if self.stays(&stat, info.times.written) {
            return Ok(Begun::Skipped);
        }
        let spot = self.spot(".".as_ref());
        let sink = in_place(spot, &self.place)?;
        self.begun = None;
        Ok(Begun::Checked(Restore::new(sink, Unheld::Report)))
    }
}

fn restore_times(saved: &Saved, fd: &OwnedFd, path: &Path, report: &dyn Report) {
    if let Err(error) = saved.restore(fd.as_fd()) {
        FileReport { to: report, path }.loss(LossKind::Time, error.reason());
    }
}

/// The names of a path, from the root on.
fn names<'p>(below: Option<&'p OsStr>, path: &'p [u8]) -> Result<Vec<&'p OsStr>> {
    Ok(below.into_iter().chain(components(path)?).collect())
}

fn remove_temporaries(dir: impl AsFd) {
    let Ok(entries) = entries(&dir) else { return };
    for entry in entries.flatten() {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
        if !is_temporary(name) || rustix::fs::unlinkat(&dir, name, AtFlags::empty()).is_ok() {
            continue;
        }
        // A directory may have its side file already.
        if let Ok(fd) = open_directory(&dir, name) {
            let _ = crate::host::side::remove(&fd, side::SELF.as_ref());
        }
        let _ = rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR);
    }
}

fn stage(spot: Spot, place: &Place, directory: bool) -> Result<Box<dyn FileSink>> {
    Ok(match place {
        Place::Ntfs3g(mount) => Box::new(Ntfs3gSink::stage(spot, mount, directory)?),
        Place::Directory(_) => Box::new(DirectorySink::stage(spot, directory)?),
    })
}

fn in_place(spot: Spot, place: &Place) -> Result<Box<dyn FileSink>> {
    Ok(match place {
        Place::Ntfs3g(mount) => Box::new(Ntfs3gSink::in_place(spot, mount)?),
        Place::Directory(_) => Box::new(DirectorySink::in_place(spot)?),
    })
}

/// What has this name, if anything has it.
fn look(dir: impl AsFd, name: &OsStr) -> Result<Option<Stat>> {
    for _ in 0..2 {
        match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => return Ok(Some(stat)),
            Err(Errno::NOENT) => return Ok(None),
            // ntfs-3g, of what has changed its kind.
            Err(Errno::IO) => {}
            Err(error) => return Err(Error::io("looking at what is there", error)),
        }
    }
    Err(Error::io("looking at what is there", Errno::IO))
}

/// When a file was last written.
fn written_at(stat: &Stat) -> FileTime {
    FileTime::from_unix(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

fn hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

impl TreeSink for HostSink {
    fn options(&self) -> BackupOptions {
        let can = self.place.capabilities(false);
        BackupOptions { stop_at_vdl: can.holds(Facts::VDL), ..BackupOptions::default() }
    }

    fn begin(&mut self, path: &[u8], info: &FileInfo, report: &FileReport<'_>) -> Result<Begun<'_>> {
        let below = self.below.clone();
        let names = names(below.as_deref(), path)?;
        let Some((name, parents)) = names.split_last() else { return self.begin_root(info) };
        self.go_to(parents, report)?;
        let (place, _) = self.here()?;
        let spot = self.spot(name);
        // It may come twice, and the later one counts.
        self.wait_for(name, report.to)?;
        // Where nothing is there and the name is an ordinary one, there is nothing to settle.
        let free = fits(name, &place) && look(&spot.dir, name)?.is_none();
        let settled = if free { Settled::as_it_is(name) } else { settle(&spot, &place)? };
        if settled.there != *name {
            self.wait_for(&settled.there, report.to)?;
        }
        let there = if free { None } else { look(&spot.dir, &settled.there)? };
        if let Some(there) = there.as_ref().filter(|there| !is_directory(there)) {
            let identity = (there.st_dev, there.st_ino);
            self.before.insert(hash(path), Before { identity, written: info.times.written });
        }
        if there.as_ref().is_some_and(|there| self.stays(there, info.times.written)) {
            return Ok(Begun::Skipped);
        }
        if settled.lost {
            let here = settled.there.display();
            report.loss(
                LossKind::Name,
                format!("the volume cannot have it under this name: it is {here} there"),
            );
        }
        let directory = info.attributes.is_directory();
        let is_new = there.is_none();
        let sink = match there {
            Some(there) if directory && is_directory(&there) => {
                // Files in it change its times.
                self.wait(report.to);
                in_place(Spot { name: settled.there.clone(), ..spot }, &place)?
            }
            Some(there) if is_directory(&there) => {
                let why = "a directory is there, and a file does not take its place";
                return Err(Error::new(Win32Error::ACCESS_DENIED, why));
            }
            Some(there) if directory && FileType::from_raw_mode(there.st_mode) == FileType::RegularFile => {
                let why = "a file is there, and a directory does not take its place";
                return Err(Error::new(Win32Error::ALREADY_EXISTS, why));
            }
            Some(_) if directory => {
                // A link or junction of an earlier run, or somebody's: it is replaced, and not followed.
                rustix::fs::unlinkat(&spot.dir, &settled.there, AtFlags::empty())
                    .map_err(|error| Error::io("removing the link that is there", error))?;
                stage(Spot { name: settled.told, ..spot }, &place, true)?
            }
            _ => match &place {
                Place::Directory(linux) if free => {
                    Box::new(DirectorySink::stage_as_is(spot, directory, self.known(linux.kind))?)
                }
                place => stage(Spot { name: settled.told, ..spot }, place, directory)?,
            },
        };
        let to_pool = !directory && self.pool.is_some() && matches!(place, Place::Directory(_));
        self.handed = to_pool.then(|| (settled.there.clone(), report.path.to_owned()));
        self.begun = Some((settled.there, is_new));
        Ok(Begun::Checked(Restore::new(sink, Unheld::Report)))
    }

    fn commit(&mut self, file: Restore, report: &FileReport<'_>) -> Result<Commit> {
        let directory = self.directory()?;
        let (Some(pool), Some((name, path))) = (&mut self.pool, self.handed.take()) else {
            return file.commit(report).map(|()| Commit::Done);
        };
        pool.hand_over(file, path, directory, &name).map(Commit::Later)
    }

    fn finished(&mut self, wait: bool) -> Option<Finished> {
        let pool = self.pool.as_mut()?;
        if wait {
            pool.wait();
        } else {
            pool.collect();
        }
        pool.next()
    }

    fn done(&mut self, path: &[u8], info: &FileInfo) -> Result<()> {
        if !info.attributes.is_directory() {
            return Ok(());
        }
        if path.is_empty() && self.below.is_none() {
            self.root_saved = Some(Saved::new(self.root.as_fd(), &self.place)?);
            return Ok(());
        }
        let Some((name, is_new)) = self.begun.take() else { return Ok(()) };
        if let Some(stat) = look(self.descent.fd(), &name)?.filter(is_directory) {
            if is_new {
                self.cleaned.insert((stat.st_dev, stat.st_ino));
            }
            self.restored.insert((stat.st_dev, stat.st_ino));
        }
        Ok(())
    }

    fn link(&mut self, link: &LinkVisit<'_>, report: &FileReport<'_>) -> Result<bool> {
        // The first name has to be there.
        self.wait(report.to);
        let below = self.below.clone();
        let (names, target) = (names(below.as_deref(), link.path)?, names(below.as_deref(), link.target)?);
        let (Some((name, parents)), Some((target, above))) = (names.split_last(), target.split_last()) else {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "a directory cannot be a hard link"));
        };
        self.go_to(above, report)?;
        let (place, _) = self.here()?;
        let from = self.spot(target);
        let existing = settle(&from, &place)?.there;
        let Some(first) = look(&from.dir, &existing)?.filter(|first| !is_directory(first)) else {
            let why = "that file was not restored: name it, too, or leave this name out";
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, why));
        };
        let before = self.before.get(&hash(link.target));
        let kept = before.filter(|before| before.identity == (first.st_dev, first.st_ino));
        // An archive has the times of a file with its first name only, and by now the file has them, too.
        let written = kept.map_or_else(|| Some(written_at(&first)), |kept| kept.written);
        let is_other = kept.is_some() && written != Some(written_at(&first));
        self.go_to(parents, report)?;
        let (place, _) = self.here()?;
        let spot = self.spot(name);
        let settled = settle(&spot, &place)?;
        if look(&spot.dir, &settled.there)?.is_some_and(|there| self.stays(&there, written)) {
            return Ok(false);
        }
        if is_other {
            let why = "what was there under that name stayed, and is another file";
            return Err(Error::new(Win32Error::ALREADY_EXISTS, why));
        }
        let mut sink = stage(Spot { name: settled.told, ..spot }, &place, false)?;
        // Through the descriptor: whatever the path has become, it is this directory.
        let mut through = PathBuf::from(format!("/proc/self/fd/{}", from.dir.as_raw_fd()));
        through.push(existing);
        sink.link(&through)?;
        sink.commit(report)?;
        if link.short.is_some() {
            report.loss(LossKind::ShortName, "the place keeps the 8.3 name of the first name only");
        }
        Ok(true)
    }

    fn is_fatal(&self, error: &Error) -> bool {
        matches!(
            error.win32(),
            Win32Error::DISK_FULL | Win32Error::WRITE_PROTECT | Win32Error::OPERATION_ABORTED
        )
    }

    fn finish(&mut self, report: &dyn Report) -> Result<()> {
        self.wait(report);
        while self.descent.depth() > 0 {
            self.leave(report)?;
        }
        if let Some(saved) = self.root_saved.take()
            && let Err(error) = saved.restore(self.root.as_fd())
        {
            FileReport { to: report, path: &self.shown }.loss(LossKind::Time, error.reason());
        }
        Ok(())
    }
}
