//! Files by descriptor: what is looked at is what is opened, whatever happens to the path meanwhile.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ntbak_wire::{FileTime, side};
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, StatxFlags, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::linux::LinuxKind;

/// The largest extended attribute that the kernel passes on.
pub(crate) const MAX_XATTR: usize = 65_536;

/// One file, directory or link, held by a descriptor that was opened without following a link.
#[derive(Debug)]
pub(crate) struct Node {
    fd: Arc<OwnedFd>,
    reach: Reach,
}

/// How the kernel reaches a node.
#[derive(Debug)]
enum Reach {
    /// By `/proc/self/fd/N`: an `O_PATH` descriptor has no `fgetxattr`.
    Proc(PathBuf),
    /// By its descriptor, which is open for its content.
    Open,
}

impl Node {
    /// The node with this name in a directory.
    pub(crate) fn open(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(dir, name, flags, Mode::empty()).map(Self::from)
    }

    /// The file with this name in a directory, for reading. Only where it was a regular one a moment ago: what else is
    /// opened so may act on it.
    pub(crate) fn open_file(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        Ok(Self { fd: Arc::new(fd), reach: Reach::Open })
    }

    /// The file of a descriptor that is open for its content.
    pub(crate) fn of_open(fd: Arc<OwnedFd>) -> Self {
        Self { fd, reach: Reach::Open }
    }

    /// The file of an `O_PATH` descriptor.
    pub(crate) fn of_path(fd: Arc<OwnedFd>) -> Self {
        let proc = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        Self { fd, reach: Reach::Proc(proc) }
    }

    /// Its descriptor, when it is open for its content.
    pub(crate) fn content(&self) -> Option<BorrowedFd<'_>> {
        matches!(self.reach, Reach::Open).then(|| self.fd.as_fd())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::fstat(&self.fd)
    }

    /// When Linux made it, where the file system remembers that.
    pub(crate) fn created(&self) -> Option<FileTime> {
        let stat = rustix::fs::statx(&self.fd, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
        let known = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        known.then(|| FileTime::from_unix(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec))
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.stat().is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Opens the content of this very node.
    pub(crate) fn open_content(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::open(proc, flags, Mode::empty()),
            Reach::Open => {
                let proc = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
                rustix::fs::open(proc, flags, Mode::empty())
            }
        }
    }

    /// An extended attribute; `None` when there is none of that name.
    pub(crate) fn xattr(&self, name: impl AsRef<OsStr>) -> rustix::io::Result<Option<Vec<u8>>> {
        #[cfg(test)]
        let name = fault::place(name.as_ref());
        let name: &OsStr = name.as_ref();
        // One buffer that is always large enough: ntfs-3g answers EIO, or a size alone, where it is not.
        let mut value = Vec::with_capacity(MAX_XATTR);
        let got = match &self.reach {
            Reach::Proc(proc) => rustix::fs::getxattr(proc, name, spare_capacity(&mut value)),
            Reach::Open => rustix::fs::fgetxattr(&self.fd, name, spare_capacity(&mut value)),
        };
        match got {
            Ok(_) => {
                value.shrink_to_fit();
                Ok(Some(value))
            }
            Err(Errno::NODATA) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn set_xattr(&self, name: impl AsRef<OsStr>, value: &[u8]) -> rustix::io::Result<()> {
        #[cfg(test)]
        let name = {
            fault::strike()?;
            fault::place(name.as_ref())
        };
        let name: &OsStr = name.as_ref();
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::setxattr(proc, name, value, XattrFlags::empty()),
            Reach::Open => rustix::fs::fsetxattr(&self.fd, name, value, XattrFlags::empty()),
        }
    }

    pub(crate) fn remove_xattr(&self, name: impl AsRef<OsStr>) -> rustix::io::Result<()> {
        #[cfg(test)]
        let name = {
            fault::strike()?;
            fault::place(name.as_ref())
        };
        let name: &OsStr = name.as_ref();
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::removexattr(proc, name),
            Reach::Open => rustix::fs::fremovexattr(&self.fd, name),
        }
    }

    pub(crate) fn set_times(&self, times: &Timestamps) -> rustix::io::Result<()> {
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::utimensat(CWD, proc, times, AtFlags::empty()),
            Reach::Open => rustix::fs::futimens(&self.fd, times),
        }
    }

    pub(crate) fn set_mode(&self, mode: u32) -> rustix::io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::chmod(proc, mode),
            Reach::Open => rustix::fs::fchmod(&self.fd, mode),
        }
    }

    /// Gives it to a user and a group; `None` leaves the user.
    pub(crate) fn set_owner(&self, user: Option<u32>, group: u32) -> rustix::io::Result<()> {
        let (user, group) = (user.map(Uid::from_raw), Some(Gid::from_raw(group)));
        rustix::fs::chownat(&self.fd, "", user, group, AtFlags::EMPTY_PATH)
    }

    /// The names of its extended attributes, as far as the file system lists them.
    pub(crate) fn xattr_names(&self) -> rustix::io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStringExt;
        let mut names: Vec<u8> = Vec::with_capacity(MAX_XATTR);
        match &self.reach {
            Reach::Proc(proc) => rustix::fs::listxattr(proc, spare_capacity(&mut names))?,
            Reach::Open => rustix::fs::flistxattr(&self.fd, spare_capacity(&mut names))?,
        };
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let names = names.map(|name| OsString::from_vec(name.to_vec())).collect();
        #[cfg(test)]
        let names = fault::listed(names);
        Ok(names)
    }

    /// Where a symbolic link leads.
    pub(crate) fn link_target(&self) -> rustix::io::Result<Vec<u8>> {
        rustix::fs::readlinkat(&self.fd, "", Vec::new()).map(std::ffi::CString::into_bytes)
    }
}

impl From<OwnedFd> for Node {
    fn from(fd: OwnedFd) -> Self {
        Self::of_path(Arc::new(fd))
    }
}

/// A name in an open directory: the place of a file that is there, or is going to be.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) dir: Arc<OwnedFd>,
    pub(crate) name: OsString,
    /// As the user wrote it, for messages.
    pub(crate) path: PathBuf,
}

impl Spot {
    /// The spot that `path` names. Links on the way are followed, one at its end is not.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let (parent, name) = match path.components().next_back() {
            Some(Component::Normal(name)) => (path.parent().unwrap_or(Path::new("")), name.to_owned()),
            // `/`, `.`, `a/..`: the directory itself.
            _ => (path, OsString::from(".")),
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, parent, flags, Mode::empty())
            .map_err(|error| Error::io("opening the directory", error).at_path(parent))?;
        Ok(Self { dir: Arc::new(dir), name, path: path.to_owned() })
    }

    /// Whether its directory is one of side files, by whatever path it was reached.
    pub(crate) fn is_among_side_files(&self) -> bool {
        let real = std::fs::read_link(format!("/proc/self/fd/{}", self.dir.as_raw_fd()));
        let below = |path: &Path| path.components().any(|part| part.as_os_str() == side::DIRECTORY);
        real.map_or_else(|_| below(&self.path), |real| below(&real))
    }

    pub(crate) fn node(&self) -> Result<Node> {
        Node::open(&self.dir, &self.name).map_err(|error| Error::io("opening", error).at_path(&self.path))
    }
}

/// What a walk through a directory has found out already, and need not be asked for each file in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// The file system.
    pub(crate) kind: Option<LinuxKind>,
    /// The directory has no directory of side files.
    pub(crate) no_side: bool,
    /// The directory gives new files no ACL.
    pub(crate) no_acl: bool,
}

/// Reads at an offset until `buf` is full or the file ends; good bytes come before an error.
pub(crate) fn read_at(fd: impl AsFd, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(&fd, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Makes changes of extended attributes fail in tests.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::RefCell;

    use rustix::io::Errno;

    use super::{LinuxKind, OsStr, OsString};

    thread_local! {
        static PRETENDED: RefCell<Option<LinuxKind>> = const { RefCell::new(None) };
        static PLAN: RefCell<Vec<Option<Errno>>> = const { RefCell::new(Vec::new()) };
    }

    /// What the next changes on this thread answer, the last one first; behind them all is well.
    pub(crate) fn plan(answers: Vec<Option<Errno>>) {
        PLAN.set(answers);
    }

    /// Takes every file system for this one, whose attributes in the `system` namespace are then in the `user` one.
    pub(crate) fn pretend(kind: Option<LinuxKind>) {
        PRETENDED.set(kind);
    }

    pub(crate) fn pretended() -> Option<LinuxKind> {
        PRETENDED.with_borrow(|kind| *kind)
    }

    /// Where an attribute is while another file system is pretended.
    pub(super) fn place(name: &OsStr) -> OsString {
        match pretended() {
            Some(_) => [OsStr::new("user.pretended."), name].into_iter().collect(),
            None => name.to_owned(),
        }
    }

    /// The names in a list while another file system is pretended: it lists EAs only.
    pub(super) fn listed(names: Vec<OsString>) -> Vec<OsString> {
        if pretended().is_none() {
            return names;
        }
        let text = names.iter().filter_map(|name| name.to_str()?.strip_prefix("user.pretended."));
        text.filter(|name| !name.starts_with("system.")).map(OsString::from).collect()
    }

    pub(super) fn strike() -> rustix::io::Result<()> {
        let next = PLAN.with_borrow_mut(Vec::pop);
        next.flatten().map_or(Ok(()), Err)
    }
}
