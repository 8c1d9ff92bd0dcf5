//! Where many files are: a directory of this machine, or an archive.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ntbak::tree::{ArchiveTree, HostTree, Tree, open_archive};
use ntbak_archive::{Archive, ArchiveReader, Kind, Limits, OpenSource, SeekSource, Spool};

use crate::failure::Failure;

/// What an archive is read from.
pub(crate) type Source = Box<dyn Read>;

/// Many files.
pub(crate) enum Many {
    /// An archive that is read forward.
    Archive(Box<ArchiveTree<OpenSource<Source>>>),
    /// One in which what is not wanted is passed over.
    Sought(Box<ArchiveTree<SeekSource<File>>>),
    /// A file or directory.
    Host(HostTree),
}

impl Many {
    /// Opens what the user typed: `-` and files that are archives as such.
    pub(crate) fn open(location: &Path) -> Result<Self, Failure> {
        if location == Path::new("-") || is_archive(location) {
            return Ok(Self::Archive(Box::new(archive(location)?)));
        }
        Ok(Self::Host(host(&[location.to_owned()])?))
    }

    /// The same; of an archive only parts are going to be read.
    pub(crate) fn open_parts(location: &Path) -> Result<Self, Failure> {
        match sought(location)? {
            Some(reader) => Ok(Self::Sought(Box::new(ArchiveTree::new(reader)))),
            None => Self::open(location),
        }
    }

    pub(crate) fn tree(&mut self) -> &mut dyn Tree {
        match self {
            Self::Archive(tree) => &mut **tree,
            Self::Sought(tree) => &mut **tree,
            Self::Host(tree) => tree,
        }
    }

    /// Whether it is an archive that has its end.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Archive(tree) => tree.summary().complete,
            Self::Sought(tree) => tree.summary().complete,
            Self::Host(_) => true,
        }
    }
}

/// The archive at `path`.
pub(crate) fn archive(path: &Path) -> Result<ArchiveTree<OpenSource<Source>>, Failure> {
    open_archive(bytes(path)?).map_err(|error| error.at_path(path).into())
}

/// An archive in a file in which one can go to any place.
fn seekable(path: &Path) -> Result<Option<SeekSource<File>>, Failure> {
    if path == Path::new("-") || !is_archive(path) {
        return Ok(None);
    }
    let fault = |error| Failure::io(format!("{}: opening", path.display()), error);
    SeekSource::open(File::open(path).map_err(fault)?, &Limits::default()).map_err(fault)
}

/// A reader of such an archive, from its begin.
pub(crate) fn sought(path: &Path) -> Result<Option<ArchiveReader<SeekSource<File>>>, Failure> {
    let reader = seekable(path)?.map(|source| ArchiveReader::seeking(source, Limits::default()));
    reader.transpose().map_err(|error| ntbak::Error::from(error).at_path(path).into())
}

/// Such an archive with its list, when it is one of ours that is complete.
pub(crate) fn indexed(path: &Path) -> Result<Option<Archive<SeekSource<File>>>, Failure> {
    let Some(source) = seekable(path)? else { return Ok(None) };
    let opened = Archive::open(source, Limits::default());
    Ok(opened.map_err(|error| ntbak::Error::from(error).at_path(path))?.ok())
}

/// The bytes of a file, or of standard input.
pub(crate) fn bytes(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file =
        File::open(path).map_err(|error| Failure::io(format!("{}: opening", path.display()), error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 18, file)))
}

/// Whether a file is an archive, by its content.
pub(crate) fn is_archive(path: &Path) -> bool {
    if !path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    // An archive without a file is zeros, but so is much else.
    let zeros = start.iter().all(|byte| *byte == 0);
    read.is_ok() && !zeros && matches!(ntbak_archive::kind(&start), Kind::Tar | Kind::Zstd)
}

/// Files and directories: what is in a single directory is at the root of the tree, all else under its own name.
pub(crate) fn host(sources: &[PathBuf]) -> Result<HostTree, Failure> {
    let mut tree = HostTree::new();
    let is_alone = sources.len() == 1;
    let mut names: Vec<Vec<u8>> = Vec::new();
    for source in sources {
        let follows = source.as_os_str().as_bytes().ends_with(b"/");
        let looked = if follows { source.metadata() } else { source.symlink_metadata() };
        let looked = looked.map_err(|error| Failure::io(format!("{}: opening", source.display()), error))?;
        let name = if is_alone && looked.is_dir() { Vec::new() } else { name_of(source)? };
        if names.contains(&name) {
            let why = format!("two sources are called {}: back them up one at a time", source.display());
            return Err(Failure::Usage(why));
        }
        tree.add(source, &name)?;
        names.push(name);
    }
    Ok(tree)
}

/// The last name of a path, of `.` and `..` that of the directory which is meant.
fn name_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        None => path.canonicalize().ok().and_then(|path| path.file_name().map(ToOwned::to_owned)),
    };
    match name {
        Some(name) => Ok(name.as_bytes().to_vec()),
        None => Err(Failure::Usage(format!("{}: it has no name to go by in the archive", path.display()))),
    }
}

/// A temporary file for lines that wait.
pub(crate) fn spool() -> Result<Box<dyn Spool>, Failure> {
    let file = tempfile::tempfile().map_err(|error| Failure::io("making a temporary file", error))?;
    Ok(Box::new(file))
}

/// "1 file", "2 files".
pub(crate) fn files(number: u64) -> String {
    format!("{number} {}", if number == 1 { "file" } else { "files" })
}

/// What was brought, for the summary line.
pub(crate) fn summary(counts: &ntbak::tree::Counts) -> String {
    let mut text =
        format!("{}, {}", files(counts.files + counts.links), indicatif::BinaryBytes(counts.bytes));
    if counts.skipped > 0 {
        text.push_str(&format!(", {} left as they are", counts.skipped));
    }
    text
}
