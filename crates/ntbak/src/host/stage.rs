//! A file is made beside its place and gets its name when it is whole.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ntbak_wire::Win32Error;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::{Node, Spot};

/// A new file or directory under a name of its own; removed when it is dropped before it was [published](Self::publish).
#[derive(Debug)]
pub(crate) struct Stage {
    spot: Spot,
    temporary: Option<OsString>,
    directory: bool,
    /// The new file itself, whatever becomes of its name; not on ntfs-3g, where descriptors die.
    held: Option<Arc<OwnedFd>>,
}

impl Stage {
    /// Makes an empty file, or a directory, beside `spot`, with this mode less the umask.
    pub(crate) fn new(spot: Spot, directory: bool, mode: Mode) -> Result<Self> {
        for _ in 0..4 {
            // Never a name that was used before: ntfs-3g remembers the streams of one for a second after its rename.
            let name = temporary_name();
            match make(&spot.dir, &name, directory, mode) {
                Ok(fd) => {
                    return Ok(Self { spot, temporary: Some(name), directory, held: Some(Arc::new(fd)) });
                }
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

    /// The new file, open for reading and writing, when it is held by a descriptor.
    pub(crate) fn open_file(&self) -> Option<Arc<OwnedFd>> {
        self.held.clone().filter(|_| !self.directory)
    }

    /// The same, known by its name alone: for ntfs-3g, whose descriptors do not survive what is done to the file.
    pub(crate) fn by_name(mut self) -> Self {
        self.held = None;
        self
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
        match &self.held {
            Some(held) if self.directory => Ok(Node::of_path(Arc::clone(held))),
            Some(held) => Ok(Node::of_open(Arc::clone(held))),
            None => Node::open(&self.spot.dir, self.name())
                .map_err(|error| Error::io("opening the new file", error).at_path(&self.spot.path)),
        }
    }

    /// Puts a hard link to `target` in the place of the new file.
    pub(crate) fn replace_by_link(&mut self, target: &Spot) -> Result<()> {
        if self.directory {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "a directory cannot be a hard link"));
        }
        let linked = temporary_name();
        rustix::fs::linkat(&target.dir, &target.name, &self.spot.dir, &linked, AtFlags::empty())
            .map_err(|error| Error::io(format!("making a hard link to {}", target.path.display()), error))?;
        self.held = None;
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
        self.held = None;
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
        if let Some(held) = &self.held {
            // Where others may write, one could have put something else under the name.
            let id = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
            let ours = rustix::fs::fstat(held).map(id);
            let named = rustix::fs::statat(&self.spot.dir, temporary, AtFlags::SYMLINK_NOFOLLOW).map(id);
            if ours.is_err() || ours != named {
                let why = "somebody has put another file in the place of the new one";
                return Err(Error::new(Win32Error::ACCESS_DENIED, why).at_path(&self.spot.path));
            }
        }
        rustix::fs::renameat(&self.spot.dir, temporary, &self.spot.dir, &self.spot.name).map_err(
            |error| match error {
                Errno::ISDIR if !self.directory => {
                    let why = "a directory is there, and a file cannot take its place";
                    Error::new(Win32Error::ACCESS_DENIED, why).at_path(&self.spot.path)
                }
                error => Error::io("giving the finished file its name", error).at_path(&self.spot.path),
            },
        )?;
        if self.held.is_none() {
            // Renaming one hard link of a file over another one does nothing at all, and leaves both.
            let _ = rustix::fs::unlinkat(&self.spot.dir, temporary, AtFlags::empty());
        }
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

/// Makes a file, or a directory, that is not there, and opens it.
fn make(dir: &OwnedFd, name: &OsStr, directory: bool, mode: Mode) -> rustix::io::Result<OwnedFd> {
    if directory {
        rustix::fs::mkdirat(dir, name, mode)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        return rustix::fs::openat(dir, name, flags, Mode::empty());
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, mode)
}

/// A name that nobody has: `.ntbak-`, 16 hex digits of chance, `.part`.
pub(crate) fn temporary_name() -> OsString {
    format!(".ntbak-{:016x}.part", RandomState::new().build_hasher().finish()).into()
}

/// Whether a name is one of those.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let middle = name.as_bytes().strip_prefix(b".ntbak-").and_then(|name| name.strip_suffix(b".part"));
    middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
}

/// Puts a hard link to `target` in the place of the file at `spot`, at once.
pub(crate) fn link_over(spot: &Spot, target: &Spot) -> Result<()> {
    let mut stage = Stage::new(spot.clone(), false, Mode::RUSR | Mode::WUSR)?;
    stage.replace_by_link(target)?;
    stage.publish()
}

/// Opens a file of a directory for reading and writing, made when it is not there; links are not followed.
pub(crate) fn open_for_writing(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}
