//! A file is made beside its place and gets its name when it is whole.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::Path;

use ntbak_wire::Win32Error;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::{Node, Spot};

/// A new file or directory under a name of its own; removed when it is dropped before it was [published](Self::publish).
#[derive(Debug)]
pub(crate) struct Stage {
    spot: Spot,
    temporary: Option<OsString>,
    directory: bool,
}

impl Stage {
    /// Makes an empty file, or a directory, beside `spot`, with this mode less the umask.
    pub(crate) fn new(spot: Spot, directory: bool, mode: Mode) -> Result<Self> {
        for _ in 0..4 {
            // Never a name that was used before: ntfs-3g remembers the streams of one for a second after its rename.
            let name = temporary_name();
            let made = if directory {
                rustix::fs::mkdirat(&spot.dir, &name, mode)
            } else {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&spot.dir, &name, flags, mode).map(drop)
            };
            match made {
                Ok(()) => return Ok(Self { spot, temporary: Some(name), directory }),
                Err(error) => {
                    // ntfs-3g may have made it before it found no room for the rest; then it even says that it was there.
                    let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                    let _ = rustix::fs::unlinkat(&spot.dir, &name, flags);
                    if error == Errno::EXIST {
                        continue;
                    }
                    return Err(Error::io("making the file beside its place", error).at_path(&spot.path));
                }
            }
        }
        Err(Error::io("making the file beside its place", Errno::EXIST).at_path(&spot.path))
    }

    pub(crate) fn spot(&self) -> &Spot {
        &self.spot
    }

    /// The name that the file has now.
    pub(crate) fn name(&self) -> &OsStr {
        self.temporary.as_deref().unwrap_or(&self.spot.name)
    }

    /// The file as it is now.
    pub(crate) fn node(&self) -> Result<Node> {
        Node::open(&self.spot.dir, self.name())
            .map_err(|error| Error::io("opening the new file", error).at_path(&self.spot.path))
    }

    /// Puts a hard link to `target` in the place of the new file.
    pub(crate) fn replace_by_link(&mut self, target: &Path) -> Result<()> {
        if self.directory {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "a directory cannot be a hard link"));
        }
        let linked = temporary_name();
        rustix::fs::linkat(CWD, target, &self.spot.dir, &linked, AtFlags::empty())
            .map_err(|error| Error::io(format!("making a hard link to {}", target.display()), error))?;
        let before = self.temporary.replace(linked);
        if let Some(before) = before {
            // It is only a left-over when this fails: the link is there.
            let _ = rustix::fs::unlinkat(&self.spot.dir, before, AtFlags::empty());
        }
        Ok(())
    }

    /// Puts a symbolic link in the place of the new file, which is empty.
    pub(crate) fn replace_by_symlink(&mut self, target: &OsStr) -> Result<()> {
        let link = temporary_name();
        rustix::fs::symlinkat(target, &self.spot.dir, &link)
            .map_err(|error| Error::io("making a symbolic link", error).at_path(&self.spot.path))?;
        let flags = if self.directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        if let Some(before) = self.temporary.replace(link) {
            // It is only a left-over when this fails: the link is there.
            let _ = rustix::fs::unlinkat(&self.spot.dir, before, flags);
        }
        Ok(())
    }

    /// Gives the file its name, in place of what had it.
    pub(crate) fn publish(&mut self) -> Result<()> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        rustix::fs::renameat(&self.spot.dir, temporary, &self.spot.dir, &self.spot.name).map_err(
            |error| Error::io("giving the finished file its name", error).at_path(&self.spot.path),
        )?;
        // Renaming one hard link of a file over another one does nothing at all, and leaves both.
        let _ = rustix::fs::unlinkat(&self.spot.dir, temporary, AtFlags::empty());
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Some(temporary) = &self.temporary else { return };
        // A directory with a reparse point counts as a file on ntfs-3g.
        let gone = rustix::fs::unlinkat(&self.spot.dir, temporary, AtFlags::empty());
        if gone.is_err() && self.directory {
            if let Ok(dir) = rustix::fs::openat(
                &self.spot.dir,
                temporary,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                let _ = crate::host::side::remove(&dir, ntbak_wire::side::SELF.as_ref());
            }
            let _ = rustix::fs::unlinkat(&self.spot.dir, temporary, AtFlags::REMOVEDIR);
        }
    }
}

/// A name that nobody has: `.ntbak-`, 16 hex digits of chance, `.part`.
pub(crate) fn temporary_name() -> OsString {
    format!(".ntbak-{:016x}.part", RandomState::new().build_hasher().finish()).into()
}

/// Puts a hard link to `target` in the place of the file at `spot`, at once.
pub(crate) fn link_over(spot: &Spot, target: &Path) -> Result<()> {
    let mut stage = Stage::new(spot.try_clone()?, false, Mode::RUSR | Mode::WUSR)?;
    stage.replace_by_link(target)?;
    stage.publish()
}

/// Opens a file of a directory for reading and writing, made when it is not there; links are not followed.
pub(crate) fn open_for_writing(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}
