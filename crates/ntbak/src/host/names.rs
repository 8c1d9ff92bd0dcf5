//! Names of files in directories: given, taken away, changed; a side file goes with its file.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;

use ntbak_wire::{Win32Error, side};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::beside::Beside;
use crate::host::descent;
use crate::host::node::Spot;
use crate::host::side::{file_name, remove as remove_side};
use crate::host::side_writer::SideWriter;
use crate::host::stage::is_temporary;

/// The names in a directory, without those that are ntbak's own; each with its inode.
pub(crate) fn list(dir: &OwnedFd) -> Result<Vec<(OsString, u64)>> {
    use std::os::unix::ffi::OsStrExt;
    let fault = |error| Error::io("reading the directory", error);
    let mut names = Vec::new();
    for entry in descent::entries(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let own = name == "." || name == ".." || name == side::DIRECTORY || is_temporary(name);
        if !own {
            names.push((name.to_owned(), entry.ino()));
        }
    }
    Ok(names)
}

/// Makes an empty file, or a directory, that is not there.
pub(crate) fn create(dir: &OwnedFd, name: &OsStr, directory: bool) -> rustix::io::Result<()> {
    if directory {
        return rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777));
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666)).map(drop)
}

/// Removes the file or the empty directory at `spot`, and its side file where `sides` may be.
pub(crate) fn remove(spot: &Spot, sides: bool) -> Result<()> {
    let fault = |error| Error::io("removing the file", error);
    let node = spot.node()?;
    let kind = FileType::from_raw_mode(node.stat().map_err(fault)?.st_mode);
    if kind != FileType::Directory {
        rustix::fs::unlinkat(&spot.dir, &spot.name, AtFlags::empty()).map_err(fault)?;
        return if sides { remove_side(&spot.dir, &file_name(&spot.name)) } else { Ok(()) };
    }
    if sides {
        let dir = descent::open_directory(&spot.dir, &spot.name).map_err(fault)?;
        if !list(&dir)?.is_empty() {
            return Err(Error::new(Win32Error::DIR_NOT_EMPTY, "the directory is not empty"));
        }
        // What is left are side files of nobody, and its own.
        if let Ok(left) = descent::open_directory(&dir, side::DIRECTORY.as_ref()) {
            for (name, _) in list(&left)? {
                remove_side(&dir, &name)?;
            }
            let _ = rustix::fs::unlinkat(&dir, side::DIRECTORY, AtFlags::REMOVEDIR);
        }
    }
    rustix::fs::unlinkat(&spot.dir, &spot.name, AtFlags::REMOVEDIR).map_err(|error| match error {
        Errno::EXIST | Errno::NOTEMPTY => Error::new(Win32Error::DIR_NOT_EMPTY, "the directory is not empty"),
        error => Error::io("removing the directory", error),
    })
}

/// Gives the file at `from` the name of `to`, in place of a file that has it if `replace`.
pub(crate) fn rename(from: &Spot, to: &Spot, replace: bool, sides: bool) -> Result<()> {
    let settle = if sides { copy_side(from, to)? } else { Side::Nowhere };
    match rename_alone(from, to, replace) {
        Ok(()) => {
            settle.publish(to)?;
            if sides && !from.node().is_ok_and(|node| node.is_directory()) {
                let same = (&from.name, descent::identity(&from.dir).ok())
                    == (&to.name, descent::identity(&to.dir).ok());
                if !same && !is_there(from) {
                    remove_side(&from.dir, &file_name(&from.name))?;
                }
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_there(spot: &Spot) -> bool {
    spot.node().is_ok()
}

fn rename_alone(from: &Spot, to: &Spot, replace: bool) -> Result<()> {
    let fault = |error| match error {
        Errno::EXIST | Errno::NOTEMPTY => Error::new(Win32Error::ALREADY_EXISTS, "the name is there already"),
        Errno::ISDIR | Errno::NOTDIR => Error::new(Win32Error::ACCESS_DENIED, "a directory is there"),
        error => Error::io("renaming the file", error),
    };
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    match rustix::fs::renameat_with(&from.dir, &from.name, &to.dir, &to.name, flags) {
        // A file system that cannot promise it: a look before is all that there is.
        Err(Errno::INVAL | Errno::NOSYS) if !replace => {
            let id = |spot: &Spot| {
                spot.node().and_then(|node| node.stat().map_err(|error| Error::io("looking at it", error)))
            };
            if let Ok(there) = id(to) {
                let same =
                    id(from).is_ok_and(|from| (from.st_dev, from.st_ino) == (there.st_dev, there.st_ino));
                if !same {
                    return Err(fault(Errno::EXIST));
                }
            }
            rustix::fs::renameat(&from.dir, &from.name, &to.dir, &to.name).map_err(fault)
        }
        result => result.map_err(fault),
    }?;
    // Renaming one hard link of a file over another one does nothing at all.
    if is_there(from)
        && (&from.name, descent::identity(&from.dir).ok()) != (&to.name, descent::identity(&to.dir).ok())
    {
        let same = match (from.node()?.stat(), to.node()?.stat()) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        if same && a_file(from) {
            let _ = rustix::fs::unlinkat(&from.dir, &from.name, AtFlags::empty());
        }
    }
    Ok(())
}

/// Whether it has a name of its own: on a file system without regard to case, both spellings are one.
fn a_file(spot: &Spot) -> bool {
    list(&spot.dir).is_ok_and(|names| names.iter().any(|(name, _)| *name == spot.name))
}

/// Makes `to` a hard link to the file at `from`.
pub(crate) fn link(from: &Spot, to: &Spot, sides: bool) -> Result<()> {
    rustix::fs::linkat(&from.dir, &from.name, &to.dir, &to.name, AtFlags::empty()).map_err(|error| {
        match error {
            Errno::EXIST => Error::new(Win32Error::ALREADY_EXISTS, "the name is there already"),
            Errno::MLINK => {
                Error::new(Win32Error::TOO_MANY_LINKS, "the file has as many names as it can have")
            }
            error => Error::io("making a hard link", error),
        }
    })?;
    if sides { copy_side(from, to)?.publish(to) } else { Ok(()) }
}

/// What becomes of the side file at the new name.
enum Side {
    /// There are none, or it moves with its directory.
    Nowhere,
    /// The file has none: that of a file which had the name goes.
    None,
    Copy(SideWriter),
}

impl Side {
    fn publish(self, to: &Spot) -> Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::None => remove_side(&to.dir, &file_name(&to.name)),
            Self::Copy(writer) => writer.publish(&file_name(&to.name)),
        }
    }
}

fn copy_side(from: &Spot, to: &Spot) -> Result<Side> {
    let node = from.node()?;
    if node.is_directory() {
        return Ok(Side::Nowhere);
    }
    let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
    let beside = Beside::read(Beside::open_side(&node, from, &stat)?, &node, from, &stat)?;
    let Some(side) = beside.side else { return Ok(Side::None) };
    let mut writer = SideWriter::new(&to.dir)?;
    writer.append_side(&side, &to.name)?;
    Ok(Side::Copy(writer))
}
