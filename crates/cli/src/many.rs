//! Where many files are: a directory of this machine, a disk image, or an archive.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ntbak::location::{self, Location};
use ntbak::place::Place;
use ntbak::tree::{ArchiveTree, HostTree, NtfsTree, Tree, Visit, WalkOptions, open_archive};
use ntbak::{NtfsVolume, VolumeOptions};
use ntbak_archive::{Archive, ArchiveReader, Kind, Limits, OpenSource, SeekSource, Spool};

use crate::failure::Failure;
use crate::report::Reporter;

/// What an archive is read from.
pub(crate) type Source = Box<dyn Read>;

/// Many files.
pub(crate) enum Many {
    /// An archive that is read forward.
    Archive(Box<ArchiveTree<OpenSource<Source>>>),
    /// One in which what is not wanted is passed over.
    Sought(Box<ArchiveTree<SeekSource<File>>>),
    /// Files and directories.
    Places(Places),
}

impl Many {
    /// Opens what the user typed: `-` and files that are archives as such.
    pub(crate) fn open(location: &Path, options: VolumeOptions) -> Result<Self, Failure> {
        if location == Path::new("-") || is_archive(location) {
            return Ok(Self::Archive(Box::new(archive(location)?)));
        }
        Ok(Self::Places(Places::open(&[location.to_owned()], options)?))
    }

    /// The same; of an archive only parts are going to be read.
    pub(crate) fn open_parts(location: &Path, options: VolumeOptions) -> Result<Self, Failure> {
        if location == Path::new("-") || is_archive(location) {
            return Self::archive_parts(location);
        }
        Self::open(location, options)
    }

    /// The archive at `path`, of which only parts are going to be read.
    pub(crate) fn archive_parts(path: &Path) -> Result<Self, Failure> {
        Ok(match sought(path)? {
            Some(reader) => Self::Sought(Box::new(ArchiveTree::new(reader))),
            None => Self::Archive(Box::new(archive(path)?)),
        })
    }

    pub(crate) fn tree(&mut self) -> &mut dyn Tree {
        match self {
            Self::Archive(tree) => &mut **tree,
            Self::Sought(tree) => &mut **tree,
            Self::Places(places) => places,
        }
    }

    /// Whether it is an archive that has its end.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Archive(tree) => tree.summary().complete,
            Self::Sought(tree) => tree.summary().complete,
            Self::Places(_) => true,
        }
    }
}

/// The archive at `path`, all of which is going to be read.
pub(crate) fn whole_archive(
    path: &Path,
    reporter: &Reporter,
) -> Result<ArchiveTree<OpenSource<Source>>, Failure> {
    open_archive(measured(path, false, reporter)?).map_err(|error| error.at_path(path).into())
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

/// The same, and the reporter shows which part of a file was read; with `alone`, nobody else tells how far the work is.
pub(crate) fn measured(path: &Path, alone: bool, reporter: &Reporter) -> Result<Source, Failure> {
    let source = bytes(path)?;
    // How much comes through a pipe, nobody knows.
    let total = path.metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
    Ok(Box::new(reporter.line().measure(source, total, alone)))
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

/// Files and directories of this machine, and then those in disk images.
#[derive(Default)]
pub(crate) struct Places {
    host: HostTree,
    volumes: Vec<NtfsTree>,
    sources: Vec<ntbak_archive::Source>,
}

impl Places {
    /// What is in a single directory is at the root of the tree, all else under its own name.
    pub(crate) fn open(sources: &[PathBuf], options: VolumeOptions) -> Result<Self, Failure> {
        let mut places = Self::default();
        let is_alone = sources.len() == 1;
        let mut names: Vec<Vec<u8>> = Vec::new();
        for source in sources {
            let name = match volume(source, options)? {
                Some(tree) => places.add_volume(source, tree, is_alone)?,
                None => places.add_host(source, is_alone)?,
            };
            if names.contains(&name) {
                let why = format!("two sources are called {}: back them up one at a time", source.display());
                return Err(Failure::Usage(why));
            }
            names.push(name);
        }
        Ok(places)
    }

    fn add_host(&mut self, source: &Path, is_alone: bool) -> Result<Vec<u8>, Failure> {
        if let Location::Host { stream: Some(stream), .. } = Location::parse(source) {
            return Err(whole_files(source, &stream.to_string()));
        }
        let follows = source.as_os_str().as_bytes().ends_with(b"/");
        let looked = if follows { source.metadata() } else { source.symlink_metadata() };
        let looked = looked.map_err(|error| Failure::io(format!("{}: opening", source.display()), error))?;
        let name = if is_alone && looked.is_dir() { Vec::new() } else { name_of(source)? };
        self.host.add(source, &name)?;
        let container = match Place::of(source) {
            Ok(Place::Ntfs3g(_)) => "ntfs-3g",
            _ => "directory",
        };
        let path = source.as_os_str().as_bytes().to_vec();
        let container = Some(container.to_owned());
        self.sources.push(ntbak_archive::Source { path, container, ..ntbak_archive::Source::default() });
        Ok(name)
    }

    fn add_volume(&mut self, source: &Path, tree: NtfsTree, is_alone: bool) -> Result<Vec<u8>, Failure> {
        let name = match tree.name() {
            _ if is_alone && tree.is_directory() => Vec::new(),
            Some(name) => name,
            None => name_of(Path::new(source))?,
        };
        self.sources.push(describe(source, tree.volume()));
        self.volumes.push(tree.at(&name));
        Ok(name)
    }

    /// Passes this file over wherever it is met: the archive that is being written.
    pub(crate) fn avoid(&mut self, device: u64, inode: u64) {
        self.host.avoid(device, inode);
    }

    /// Whether all of them are files of this machine, whose sizes say how much there is to read.
    pub(crate) fn is_on_host(&self) -> bool {
        self.volumes.is_empty()
    }

    /// Whether there are any of this machine among them.
    pub(crate) fn has_host_files(&self) -> bool {
        self.sources.len() > self.volumes.len()
    }

    /// What an archive says of where its files are from.
    pub(crate) fn sources(&self) -> Vec<ntbak_archive::Source> {
        self.sources.clone()
    }

    /// Refuses to write over a file or a disk image that is read.
    pub(crate) fn refuse_target(&self, sources: &[PathBuf], target: &Path) -> Result<(), Failure> {
        let identity = |path: &Path| fs::metadata(path).ok().map(|there| (there.dev(), there.ino()));
        if let Some(there) = identity(target)
            && let Some(source) = sources.iter().find(|source| identity(source) == Some(there))
        {
            let why = "it is read, and cannot be written to at the same time";
            return Err(Failure::Usage(format!("{}: {why}", source.display())));
        }
        self.volumes.iter().try_for_each(|tree| refuse_image(tree.volume().path(), target))
    }
}

impl Tree for Places {
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> ntbak::Result<()>,
    ) -> ntbak::Result<()> {
        self.host.walk(options, visit)?;
        self.volumes.iter_mut().try_for_each(|tree| tree.walk(options, visit))
    }
}

/// What the user typed as a tree, when it is in a disk image.
pub(crate) fn volume(typed: &Path, options: VolumeOptions) -> Result<Option<NtfsTree>, Failure> {
    let location = Location::parse_tree(typed);
    if !matches!(location, Location::Image { .. }) {
        return Ok(None);
    }
    let opened = location::open(&location, typed, options)?;
    if let Some(stream) = opened.stream() {
        return Err(whole_files(typed, &stream.to_string()));
    }
    Ok(opened.into_tree())
}

/// Refuses to write over a disk image that is read.
pub(crate) fn refuse_image(image: &Path, target: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    match (identity(image), identity(target)) {
        (Ok(one), Ok(other)) if one == other => {
            Err(Failure::Usage(format!("{} is the image that is read", target.display())))
        }
        _ => Ok(()),
    }
}

fn whole_files(typed: &Path, stream: &str) -> Failure {
    let typed = typed.display();
    Failure::Usage(format!(
        "{typed}: whole files are wanted; `ntbak cat` gives one stream, or leave :{stream} out"
    ))
}

fn describe(typed: &Path, volume: &NtfsVolume) -> ntbak_archive::Source {
    let kind = match volume.image().kind() {
        ntbak_image::Kind::Qcow2 => "qcow2",
        ntbak_image::Kind::Vhd => "vhd",
        ntbak_image::Kind::Vhdx => "vhdx",
        _ => "raw",
    };
    let (information, geometry) = (volume.volume().information(), volume.volume().geometry());
    let state = volume.state();
    ntbak_archive::Source {
        path: typed.as_os_str().as_bytes().to_vec(),
        container: Some(kind.to_owned()),
        label: Some(information.label.to_wtf8()),
        serial: Some(geometry.serial),
        cluster_size: Some(geometry.cluster_size.into()),
        state: Some(if state.is_empty() { "clean".to_owned() } else { state.join("; ") }),
    }
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
        text.push_str(&format!(" ({} more were left as they are)", counts.skipped));
    }
    text
}
