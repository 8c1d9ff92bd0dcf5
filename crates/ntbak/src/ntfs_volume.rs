//! An NTFS volume in a disk image or on a device: which one it is, and the way to its files.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ntbak_image::{Image, OpenOptions, Partition, PartitionTable};
use ntbak_ntfs::catalogue::{Catalogue, CatalogueOptions};
use ntbak_ntfs::{File, FileReference, Journal, NearbyFiles, Options, Remark, Volume};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::source::{NtfsSource, WofView};

/// How a volume is opened and shown.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct VolumeOptions {
    /// What becomes of files that WOF has compressed.
    pub wof: WofView,
    /// Reads records also when they are torn; see [`Options::salvage`].
    pub salvage: bool,
    /// Whether a disk image may have other files opened that lie below it; see [`OpenOptions::backing_files`].
    pub backing_files: bool,
    /// How many threads work at the same time: a catalogue takes all of them, files 4 at the most; 0 is one for each
    /// core.
    pub threads: usize,
    /// Whether NTFS' own files (`$MFT` and its kin) are in the tree of the volume.
    pub system: bool,
    /// Whether files that no directory leads to are in the tree of the volume, below
    /// [`NtfsTree::ORPHANS`](crate::tree::NtfsTree::ORPHANS).
    pub orphans: bool,
    /// Refuses a volume that was not dismounted: what only its journal or a sleeping Windows has would be missing.
    pub require_clean: bool,
}

impl VolumeOptions {
    /// The same options, with this view of files that WOF has compressed.
    #[must_use]
    pub fn wof(mut self, wof: WofView) -> Self {
        self.wof = wof;
        self
    }

    /// The same options, with salvage mode on or off.
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// The same options, with this many threads.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The same options, with NTFS' own files in the tree or not.
    #[must_use]
    pub fn system(mut self, system: bool) -> Self {
        self.system = system;
        self
    }

    /// The same options, with files that no directory leads to or without.
    #[must_use]
    pub fn orphans(mut self, orphans: bool) -> Self {
        self.orphans = orphans;
        self
    }

    /// The same options, for clean volumes only or for all.
    #[must_use]
    pub fn require_clean(mut self, require_clean: bool) -> Self {
        self.require_clean = require_clean;
        self
    }

    /// The same options, with backing files allowed or not.
    #[must_use]
    pub fn backing_files(mut self, allow: bool) -> Self {
        self.backing_files = allow;
        self
    }
}

/// An NTFS volume, opened for reading without a mount.
#[derive(Debug)]
pub struct NtfsVolume {
    path: PathBuf,
    image: Image,
    table: PartitionTable,
    partition: Partition,
    volume: Volume,
    options: VolumeOptions,
    catalogue: OnceLock<ntbak_ntfs::Result<Catalogue>>,
}

/// What a path in a volume leads to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The file or directory.
    pub file: File,
    /// The directory and the name by which it was found; none for the root.
    pub name: Option<(FileReference, Name)>,
    /// The stream behind the colon.
    pub stream: Option<StreamName>,
}

impl NtfsVolume {
    /// Opens the volume in a disk image or on a device: the only one with NTFS, or that of the partition with this number.
    ///
    /// # Errors
    /// It cannot be opened; it is of a kind that is not read, or encrypted (the error says what to do); there is no NTFS
    /// volume, or there are several (the error lists them).
    pub fn open(path: &Path, partition: Option<u32>, options: VolumeOptions) -> Result<Self> {
        let image = OpenOptions::new().backing_files(options.backing_files).open(path)?;
        Self::in_image(path, image, partition, options).map_err(|error| error.at_path(path))
    }

    fn in_image(path: &Path, image: Image, partition: Option<u32>, options: VolumeOptions) -> Result<Self> {
        let table = image.partitions()?;
        let partition = table.choose(partition)?.clone();
        let reading = Options::default().salvage(options.salvage).threads(options.threads);
        let volume = Volume::open(image.volume(&partition), reading)?;
        let (path, catalogue) = (path.to_owned(), OnceLock::new());
        let opened = Self { path, image, table, partition, volume, options, catalogue };
        let state = opened.state();
        if options.require_clean && !state.is_empty() {
            let why = format!("the volume is not clean: {}", state.join("; "));
            let hint =
                "shut Windows down wholly, or let chkdsk check the volume; or leave --require-clean out";
            return Err(Error::new(Win32Error::INVALID_DATA, why).hint(hint));
        }
        Ok(opened)
    }

    /// The image or device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container around the disk.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// All partitions of the disk.
    #[must_use]
    pub fn partitions(&self) -> &PartitionTable {
        &self.table
    }

    /// The partition of this volume.
    #[must_use]
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The volume itself.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// All files of the volume, from one pass over `$MFT` when they are first asked for.
    ///
    /// # Errors
    /// As [`Volume::catalogue`].
    pub fn catalogue(&self) -> Result<&Catalogue> {
        let made = self.catalogue.get_or_init(|| self.volume.catalogue(CatalogueOptions::default()));
        made.as_ref().map_err(|error| Error::from(error.clone()).at_path(&self.path))
    }

    /// A file as a source; `path` is what reports and errors call it.
    ///
    /// # Errors
    /// Its base record cannot be read, or holds another file by now.
    pub fn source(&self, reference: FileReference, path: &Path) -> Result<NtfsSource> {
        let file = self.volume.file(reference).map_err(|error| Error::from(error).at_path(path))?;
        Ok(NtfsSource::new(file, path, self.options.wof))
    }

    /// The same for one of many files, in the order of their records.
    pub(crate) fn source_nearby(
        &self,
        files: &mut NearbyFiles,
        reference: FileReference,
        path: &Path,
    ) -> Result<NtfsSource> {
        let file = files.open(reference).map_err(|error| Error::from(error).at_path(path))?;
        Ok(NtfsSource::new(file, path, self.options.wof))
    }

    /// How it was opened.
    pub(crate) fn options(&self) -> VolumeOptions {
        self.options
    }

    /// What a path leads to, as a source.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn source_of(&self, found: Found, path: &Path) -> NtfsSource {
        let source = NtfsSource::new(found.file, path, self.options.wof);
        match &found.name {
            Some((parent, name)) => source.found_as(*parent, name),
            None => source,
        }
    }

    /// The file or directory that a path in the volume leads to, and the stream behind a colon: WTF-8, with `/` or `\`
    /// between names, which are compared as the volume does. A name that is there as it is typed wins over every reading
    /// of `\` and `:`. Links are not followed.
    ///
    /// # Errors
    /// There is no such file (Win32 error 2 or 3), or a directory on the way cannot be read.
    pub fn find(&self, path: &[u8]) -> Result<Found> {
        let mut found = Found { file: self.volume.root()?, name: None, stream: None };
        let mut rest = path;
        while let Some(begin) = rest.iter().position(|byte| *byte != b'/') {
            rest = rest.get(begin..).unwrap_or_default();
            let (mut name, mut after) = split_at(rest, b'/').unwrap_or((rest, &[]));
            let mut next = self.child(&found.file, name)?;
            if next.is_none()
                && let Some((first, _)) = split_at(name, b'\\')
            {
                (name, after) = (first, rest.get(first.len() + 1..).unwrap_or_default());
                if name.is_empty() {
                    rest = after;
                    continue;
                }
                next = self.child(&found.file, name)?;
            }
            let is_last = after.iter().all(|byte| matches!(byte, b'/' | b'\\'));
            if next.is_none()
                && is_last
                && let Some((file, stream)) = self.split_stream(name)
            {
                found.stream = Some(stream);
                name = file;
                if name.is_empty() {
                    return Ok(found);
                }
                next = self.child(&found.file, name)?;
            }
            let Some((file, name)) = next else { return Err(missing(&found.file, name, is_last)) };
            let parent = found.file.reference();
            (found.file, found.name) = (file, Some((parent, name)));
            rest = after;
        }
        Ok(found)
    }

    /// The file of this name in a directory; none in what is no directory.
    pub(crate) fn child(&self, directory: &File, name: &[u8]) -> Result<Option<(File, Name)>> {
        let Some(name) =
            Name::from_wtf8(name).filter(|name| directory.is_directory() && name.units().len() <= 255)
        else {
            return Ok(None);
        };
        let reference = match self.volume.lookup_in(directory, name.units()) {
            Ok(reference) => reference,
            // A directory whose index is damaged: the files themselves know where they are.
            Err(_) => self.child_by_parent(directory, &name)?,
        };
        let file = reference.map(|reference| self.volume.file(reference)).transpose()?;
        Ok(file.map(|file| (file, name)))
    }

    fn child_by_parent(&self, directory: &File, name: &Name) -> Result<Option<FileReference>> {
        let catalogue = self.catalogue()?;
        let Some(directory_id) = catalogue.find(directory.reference()) else { return Ok(None) };
        let upcase = self.volume.upcase();
        let find = |exact: bool| {
            catalogue.children(directory_id).find(|child| {
                let units = catalogue.name(*child);
                if exact {
                    units == name.units()
                } else {
                    upcase.compare(units.iter().copied(), name.units().iter().copied()).is_eq()
                }
            })
        };
        let found = find(true).or_else(|| if directory.is_case_sensitive() { None } else { find(false) });
        let file = found.and_then(|child| catalogue.entry(catalogue.file_of(child)?));
        Ok(file.map(|entry| entry.reference()))
    }

    /// `FILE:STREAM` in its parts; the root has an empty name.
    fn split_stream<'n>(&self, name: &'n [u8]) -> Option<(&'n [u8], StreamName)> {
        let colon = name.iter().position(|byte| *byte == b':')?;
        let (file, stream) = name.split_at(colon);
        let stream = Name::from_wtf8(stream).and_then(|stream| StreamName::from_wire(&stream).ok())?;
        Some((file, stream))
    }

    /// Tells what is worth knowing about image and volume, and what of the whole volume is out of reach.
    pub fn remarks(&self, report: &FileReport<'_>) {
        for note in self.image.notes().iter().chain(&self.table.notes) {
            report.note(None, note.to_string());
        }
        for remark in self.volume.remarks() {
            match remark {
                Remark::MftIncomplete(_) => report.loss(LossKind::Content, remark.to_string()),
                _ => report.note(None, remark.to_string()),
            }
        }
        for what in self.state() {
            report.note(None, what);
        }
    }

    /// How the volume was left, in words; nothing when it was dismounted and all is on it.
    #[must_use]
    pub fn state(&self) -> Vec<String> {
        let state = self.volume.state();
        let mut words = Vec::new();
        if state.dirty {
            words.push("the volume is marked as dirty: chkdsk is to check it".to_owned());
        }
        if state.hibernated {
            let what = "Windows sleeps on the volume (hibernation or fast start): what it holds in memory is not on it";
            words.push(what.to_owned());
        }
        match state.journal {
            Journal::NotClean { version: (major, minor) } => words.push(format!(
                "the journal ({major}.{minor}) is not clean: the volume was in use when the image was made, or lost power; \
                 what only the journal has is not seen"
            )),
            Journal::Unknown(error) => words.push(format!("the state of the journal is not known: {error}")),
            Journal::Empty | Journal::Clean { .. } => {}
        }
        words
    }
}

/// The parts before and behind the first `byte`.
fn split_at(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|found| *found == byte)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn missing(directory: &File, name: &[u8], is_last: bool) -> Error {
    let code = if is_last { Win32Error::FILE_NOT_FOUND } else { Win32Error::PATH_NOT_FOUND };
    let name = String::from_utf8_lossy(name).into_owned();
    if !directory.is_directory() {
        return Error::new(Win32Error::PATH_NOT_FOUND, format!("what {name:?} is to be in is no directory"));
    }
    let error = Error::new(code, format!("there is no {name:?} in its directory on the volume"));
    let is_link = matches!(directory.reparse(), Ok(Some(_)));
    match name.as_bytes() {
        [letter, b':'] if letter.is_ascii_alphabetic() => error.hint("leave the drive letter out"),
        _ if is_link => {
            error.hint("the directory is a link or junction; on a volume in an image they are not followed")
        }
        _ => error,
    }
}
