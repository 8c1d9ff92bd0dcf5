//! Files of this machine: all of them by their POSIX paths, and a directory as a drive.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};
use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};
use crate::host::node::Spot;
use crate::win32::host_node::{HostNode, HostTree};
use crate::win32::resolve::{Follow, Resolved};
use crate::win32::{Node, Volume};

/// The files that Linux shows, by the paths that Linux takes: case counts, `\` is a letter like others, links are
/// followed as the kernel does, and nothing is kept in.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostVolume;

/// A directory of this machine as a drive: an ordinary one, or one on a volume that ntfs-3g has mounted. Nothing leads
/// out of it.
#[derive(Debug, Clone)]
pub struct DirectoryVolume {
    root: Arc<Spot>,
    tree: Arc<HostTree>,
}

impl DirectoryVolume {
    /// The drive whose root is the directory at `path`; links on the way there are followed.
    ///
    /// # Errors
    /// It is not there, or is no directory (267).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let real =
            path.canonicalize().map_err(|error| Error::io("opening the directory", error).at_path(path))?;
        if !real.is_dir() {
            return Err(Error::new(Win32Error::DIRECTORY, "a drive needs a directory").at_path(path));
        }
        // From within: whatever happens to the path, the drive stays where it is.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(rustix::fs::CWD, &real, flags, Mode::empty());
        let dir = dir.map_err(|error| Error::io("opening the directory", error).at_path(path))?;
        let root = Spot { dir, name: ".".into(), path: real };
        Ok(Self { root: Arc::new(root), tree: Arc::new(HostTree::drive()) })
    }
}

impl Volume for DirectoryVolume {
    fn root(&self) -> Result<Arc<dyn Node>> {
        Ok(Arc::new(HostNode::open(self.root.try_clone()?, self.tree.clone())?))
    }
}

/// Finds what a POSIX path names.
pub(super) fn resolve(path: &[u8], follow: Follow) -> Result<Resolved> {
    let (path, stream) = split_stream(path)?;
    let found = if follow == Follow::Links { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let opening = |error| Error::io("opening", error);
    let is_there = match found {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(opening(error)),
    };
    // What is followed now is what is meant later, too.
    let real: PathBuf = if is_there && follow == Follow::Links {
        path.canonicalize().map_err(opening)?
    } else {
        path.to_owned()
    };
    let spot = Spot::of(&real).map_err(|error| match error.win32() {
        Win32Error::FILE_NOT_FOUND => {
            Error::new(Win32Error::PATH_NOT_FOUND, "a directory of the path is not there")
        }
        _ => error,
    })?;
    let directory = path.as_os_str().as_bytes().ends_with(b"/");
    let tree = Arc::new(HostTree::posix());
    let name = spot.name.as_bytes().to_vec();
    let parent = Arc::new(HostNode::open(Spot { name: ".".into(), ..spot.try_clone()? }, tree.clone())?);
    let node = if is_there { Some(Arc::new(HostNode::open(spot, tree)?) as Arc<dyn Node>) } else { None };
    let way = real.components().filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.as_bytes().to_vec()),
        _ => None,
    });
    let way = way.collect();
    Ok(Resolved { parent: Some(parent), name, node, stream, directory, way, root: None })
}

/// A path that is there as it stands is that of a file; otherwise what is behind a colon is a stream.
fn split_stream(path: &[u8]) -> Result<(&Path, Option<StreamName>)> {
    let whole = Path::new(OsStr::from_bytes(path));
    // `file:stream:$DATA` and `file::$DATA` are also ways to write it.
    let typed = path.len().checked_sub(6).and_then(|at| path.split_at_checked(at));
    let bare = match typed {
        Some((bare, kind))
            if kind.eq_ignore_ascii_case(b":$DATA") && fs::symlink_metadata(whole).is_err() =>
        {
            bare
        }
        _ => path,
    };
    let Some(at) = bare.iter().rposition(|byte| *byte == b':') else {
        let file = Path::new(OsStr::from_bytes(bare));
        return Ok((file, None));
    };
    let (file, stream) = bare.split_at(at);
    let file = Path::new(OsStr::from_bytes(file));
    let there = fs::symlink_metadata(whole);
    let Ok(owner) = fs::symlink_metadata(file) else { return Ok((whole, None)) };
    // An ntfs-3g mount shows streams as files that no listing has.
    let same = |there: &fs::Metadata| (there.dev(), there.ino()) == (owner.dev(), owner.ino());
    if there.as_ref().is_ok_and(|there| !same(there)) {
        return Ok((whole, None));
    }
    match stream.get(1..).unwrap_or_default() {
        // `file:` and `file::$DATA`: with the type, the unnamed stream.
        [] if bare.len() < path.len() => Ok((file, None)),
        name if name.contains(&b'/') => Ok((whole, None)),
        name => {
            let name = Name::from_wtf8(name).unwrap_or_default();
            Ok((file, Some(StreamName::new(name)?)))
        }
    }
}
