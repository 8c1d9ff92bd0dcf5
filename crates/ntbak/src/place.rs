//! What kind of place a path is in, and how its files are read and written there.

use std::path::Path;

use ntbak_wire::Win32Error;
use rustix::fs::{Mode, OFlags};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::host::escape;
use crate::host::linux::LinuxFileSystem;
use crate::host::node::{Node, Spot};
use crate::host::ntfs3g::Ntfs3gMount;
use crate::sink::{DirectorySink, FileSink, Ntfs3gSink, directory_capabilities};
use crate::source::{DirectorySource, FileSource, Ntfs3gSource};

/// A kind of place on a Linux machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A volume mounted by ntfs-3g.
    Ntfs3g(Ntfs3gMount),
    /// Any other file system.
    Directory(LinuxFileSystem),
}

impl Place {
    /// The place that `path` is in; the file itself need not be there yet.
    ///
    /// # Errors
    /// The directory is not there, or cannot be looked at.
    pub fn of(path: &Path) -> Result<Self> {
        Self::of_spot(&Spot::of(path)?)
    }

    pub(crate) fn of_spot(spot: &Spot) -> Result<Self> {
        let at_path = |error: Error| error.at_path(&spot.path);
        let around = Node::open(&spot.dir, ".".as_ref())
            .map_err(|error| Error::io("opening the directory", error).at_path(&spot.path))?;
        // The file itself decides: it may be the directory on which a volume is mounted.
        let mount = match Node::open(&spot.dir, &spot.name) {
            Ok(node) if node.is_directory() => Ntfs3gMount::probe(&node, &node),
            Ok(node) => Ntfs3gMount::probe(&node, &around),
            Err(_) => Ntfs3gMount::probe(&around, &around),
        };
        if let Some(mount) = mount.map_err(at_path)? {
            return Ok(Self::Ntfs3g(mount));
        }
        let node = Node::open(&spot.dir, &spot.name).ok().filter(Node::is_directory);
        let around = node.as_ref().unwrap_or(&around);
        Ok(Self::Directory(LinuxFileSystem::probe(around).map_err(at_path)?))
    }

    /// What a file or directory can hold there.
    #[must_use]
    pub fn capabilities(&self, directory: bool) -> Capabilities {
        match self {
            Self::Ntfs3g(mount) => mount.capabilities(directory),
            Self::Directory(_) => directory_capabilities(),
        }
    }
}

/// Opens the file or directory at `path`; a link at its end is not followed.
///
/// # Errors
/// It is not there, or cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn FileSource>> {
    open_spot(Spot::of(path)?)
}

pub(crate) fn open_spot(mut spot: Spot) -> Result<Box<dyn FileSource>> {
    Ok(match Place::of_spot(&spot)? {
        Place::Ntfs3g(mount) => Box::new(Ntfs3gSource::open(spot, &mount)?),
        Place::Directory(_) => {
            escape::find(&mut spot);
            Box::new(DirectorySource::open(&spot)?)
        }
    })
}

/// A sink for a new file or directory at `path`: it is made beside its place and gets its name with the commit, in
/// place of a file that is there.
///
/// # Errors
/// The directory is not there or cannot be written.
pub fn stage(path: &Path, directory: bool) -> Result<Box<dyn FileSink>> {
    if !directory && path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let why = "it ends with a slash, and no directory of this name is there";
        return Err(Error::new(Win32Error::PATH_NOT_FOUND, why).at_path(path));
    }
    stage_spot(Spot::of(path)?, directory)
}

pub(crate) fn stage_spot(spot: Spot, directory: bool) -> Result<Box<dyn FileSink>> {
    let path = &spot.path;
    if spot.is_among_side_files() {
        let why = "side files have this directory for themselves";
        return Err(Error::new(Win32Error::ACCESS_DENIED, why).at_path(path));
    }
    if spot.name == "." {
        let why = "it is the end of no name: a new file needs one";
        return Err(Error::new(Win32Error::INVALID_NAME, why).at_path(path));
    }
    Ok(match Place::of_spot(&spot)? {
        Place::Ntfs3g(mount) => Box::new(Ntfs3gSink::stage(spot, &mount, directory)?),
        Place::Directory(_) => Box::new(DirectorySink::stage(spot, directory)?),
    })
}

/// A sink for the file or directory that is at `path`, which is changed as it is.
///
/// # Errors
/// It is not there or cannot be written.
pub fn in_place(path: &Path) -> Result<Box<dyn FileSink>> {
    in_place_spot(Spot::of(path)?)
}

pub(crate) fn in_place_spot(mut spot: Spot) -> Result<Box<dyn FileSink>> {
    Ok(match Place::of_spot(&spot)? {
        Place::Ntfs3g(mount) => Box::new(Ntfs3gSink::in_place(spot, &mount)?),
        Place::Directory(_) => {
            escape::find(&mut spot);
            Box::new(DirectorySink::in_place(spot)?)
        }
    })
}

/// Empties a file as an overwrite on NTFS does (\[MS-FSA\] 2.1.5.1.2): content, named streams and EAs go, the security
/// descriptor stays.
pub(crate) fn overwrite(mut spot: Spot) -> Result<()> {
    let source = open_spot(spot.clone())?;
    let mut streams = Vec::new();
    while let Some(head) = source.stream(streams.len())? {
        streams.push(head);
    }
    match Place::of_spot(&spot)? {
        Place::Ntfs3g(mount) => Ntfs3gSink::clear(&spot, &mount, &streams)?,
        Place::Directory(_) => {
            escape::find(&mut spot);
            DirectorySink::clear(&spot)?;
        }
    }
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&spot.dir, &spot.name, flags, Mode::empty())
        .map(drop)
        .map_err(|error| Error::io("emptying the file", error).at_path(&spot.path))
}
