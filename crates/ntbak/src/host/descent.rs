//! A way down from an open directory, as deep as it may be, with few descriptors.
//!
//! Each step is one name, opened without following a link, so nothing leads out of the root. The way back up is `..`,
//! and counts only where it leads to the directory from which the step was made; else the way is gone down once more.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ntbak_wire::Win32Error;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// How many of the lowest levels keep their descriptor.
const HELD: usize = 16;

/// What a directory is on this machine: device and inode.
pub(crate) type Identity = (u64, u64);

/// The directory at the end of the way, and those above it with what belongs to each.
#[derive(Debug)]
pub(crate) struct Descent<T> {
    root: Arc<OwnedFd>,
    levels: Vec<Level<T>>,
}

#[derive(Debug)]
struct Level<T> {
    name: OsString,
    identity: Identity,
    fd: Option<Arc<OwnedFd>>,
    data: T,
}

const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Which directory a descriptor is.
pub(crate) fn identity(fd: impl AsFd) -> rustix::io::Result<Identity> {
    rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Opens a directory in another one by its name alone; a link is refused.
pub(crate) fn open_directory(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(dir, name, FLAGS, Mode::empty())
}

/// The entries of a directory, whatever its descriptor may do.
pub(crate) fn entries(dir: impl AsFd) -> rustix::io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Dir::new(rustix::fs::openat(dir, ".", flags, Mode::empty())?)
}

impl<T> Descent<T> {
    pub(crate) fn new(root: Arc<OwnedFd>) -> Self {
        Self { root, levels: Vec::new() }
    }

    /// How many steps below the root.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The directory at the end.
    pub(crate) fn fd(&self) -> &Arc<OwnedFd> {
        self.levels.last().and_then(|level| level.fd.as_ref()).unwrap_or(&self.root)
    }

    /// Which it is; `None` at the root.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.levels.last().map(|level| level.identity)
    }

    /// What belongs to it; `None` at the root.
    pub(crate) fn data(&mut self) -> Option<&mut T> {
        self.levels.last_mut().map(|level| &mut level.data)
    }

    /// What belongs to each level below the root, from the top.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.levels.iter().map(|level| &level.data)
    }

    /// The same, to be changed.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.levels.iter_mut().map(|level| &mut level.data)
    }

    /// Opens the directory of this level, counted from the root, in `above`, that of the level before it.
    pub(crate) fn step(&self, at: usize, above: Option<&Arc<OwnedFd>>) -> rustix::io::Result<OwnedFd> {
        let level = self.levels.get(at).ok_or(Errno::NOENT)?;
        let fd = open_directory(above.unwrap_or(&self.root), &level.name)?;
        if identity(&fd)? == level.identity { Ok(fd) } else { Err(Errno::STALE) }
    }

    /// Goes into a directory that was [opened](open_directory) in the one at the end.
    pub(crate) fn enter(&mut self, name: &OsStr, fd: Arc<OwnedFd>, data: T) -> rustix::io::Result<()> {
        let identity = identity(&fd)?;
        self.levels.push(Level { name: name.to_owned(), identity, fd: Some(fd), data });
        if let Some(above) = self.levels.len().checked_sub(HELD + 1)
            && let Some(level) = self.levels.get_mut(above)
        {
            level.fd = None;
        }
        Ok(())
    }

    /// Goes up one level; answers what belonged to it. `None` at the root.
    ///
    /// # Errors
    /// The directory above is not there any more. The level is gone all the same.
    pub(crate) fn leave(&mut self) -> Result<Option<T>> {
        let Some(left) = self.levels.pop() else { return Ok(None) };
        if let Some(level) = self.levels.last_mut()
            && level.fd.is_none()
        {
            let above = left.fd.as_ref().and_then(|fd| open_directory(fd, "..".as_ref()).ok());
            let above = above.filter(|fd| identity(fd) == Ok(level.identity));
            let fd = match above {
                Some(fd) => Arc::new(fd),
                None => self.go_down()?,
            };
            if let Some(level) = self.levels.last_mut() {
                level.fd = Some(fd);
            }
        }
        Ok(Some(left.data))
    }

    /// Opens the directory at the end from the root on.
    fn go_down(&self) -> Result<Arc<OwnedFd>> {
        let fault = |error| Error::io("going back to a directory", error);
        let mut fd = Arc::clone(&self.root);
        for level in &self.levels {
            fd = Arc::new(open_directory(&fd, &level.name).map_err(fault)?);
            if identity(&fd).map_err(fault)? != level.identity {
                let why = "the directory was moved away meanwhile, and another one has its name";
                return Err(Error::new(Win32Error::PATH_NOT_FOUND, why));
            }
        }
        Ok(fd)
    }
}
