//! What a directory was before files were put into it, so that it can be so again: they change its times, and a
//! directory that may not be written takes none.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Mode, Timespec, Timestamps};

use crate::error::{Error, Result};
use crate::host::node::Node;
use crate::host::ntfs3g;
use crate::place::Place;

/// Times and mode of a directory that has got its facts already.
#[derive(Debug)]
pub(super) struct Saved {
    mode: Mode,
    times: Timestamps,
    /// The times of NTFS, which are more, and finer.
    ntfs: Option<Vec<u8>>,
}

impl Saved {
    /// Remembers the directory, and makes it one that can be written to.
    pub(super) fn new(fd: BorrowedFd<'_>, place: &Place) -> Result<Self> {
        let fault = |error| Error::io("looking at the directory", error);
        let stat = rustix::fs::fstat(fd).map_err(fault)?;
        let time =
            |tv_sec, nanoseconds: u64| Timespec { tv_sec, tv_nsec: i64::try_from(nanoseconds).unwrap_or(0) };
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        let ntfs = match place {
            Place::Ntfs3g(_) => Node::open(fd, ".".as_ref()).and_then(|node| node.xattr(ntfs3g::TIMES)),
            Place::Directory(_) => Ok(None),
        };
        let ntfs = ntfs.map_err(fault)?.map(|mut times| {
            // The change time cannot be set.
            times.truncate(24);
            times
        });
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        if !mode.contains(Mode::WUSR | Mode::XUSR) && !rustix::process::geteuid().is_root() {
            // Where this does not go, making a file in it says so.
            let _ = rustix::fs::chmodat(fd, ".", mode | Mode::RWXU, AtFlags::empty());
        }
        Ok(Self { mode, times, ntfs })
    }

    /// Makes the directory what it was.
    pub(super) fn restore(&self, fd: BorrowedFd<'_>) -> Result<()> {
        if !self.mode.contains(Mode::WUSR | Mode::XUSR) && !rustix::process::geteuid().is_root() {
            rustix::fs::chmodat(fd, ".", self.mode, AtFlags::empty())
                .map_err(|error| Error::io("setting the mode of the directory", error))?;
        }
        let set = match &self.ntfs {
            Some(times) => Node::open(fd, ".".as_ref()).and_then(|node| node.set_xattr(ntfs3g::TIMES, times)),
            None => rustix::fs::utimensat(fd, ".", &self.times, AtFlags::empty()),
        };
        set.map_err(|error| Error::io("setting the times of the directory", error))
    }
}
