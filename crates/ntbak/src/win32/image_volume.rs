//! An NTFS volume in a disk image, or on a device, as a drive that is only read: no mount, no root.
//!
//! Names are looked up in the indexes of their directories; where one of these is damaged, in the catalogue of the volume,
//! which is made once. Names compare by the volume's own `$UpCase`.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ntbak_ntfs::catalogue::Catalogue;
use ntbak_ntfs::{AttributeType, DirectoryEntry, File, FileReference, Namespace, system_file};
use ntbak_wire::record::SmallKind;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::capability::{Capabilities, Facts};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::ntfs_volume::{NtfsVolume, VolumeOptions};
use crate::source::{FileSource, NtfsSource};
use crate::win32::volume::{Indexed, Way};
use crate::win32::{Content, Entry, Identity, Node, Volume, VolumeFacts, fold};

/// How many directories are looked at for the names of one file.
const MAX_DIRECTORIES: usize = 1 << 16;
/// How deep a file may lie for its names to be told.
const DEEPEST: usize = 512;
/// The largest clusters of volumes whose files can be compressed.
const MAX_COMPRESSED_CLUSTER: u32 = 4096;

/// An NTFS volume as a drive. Nothing can be written: 19 (`ERROR_WRITE_PROTECT`).
///
/// NTFS' own files (`$MFT` and its kin) are not shown, and not opened (5), unless the
/// [options](VolumeOptions::system) say so. A file that is damaged is shown, and not opened (1392), unless they say
/// [`salvage`](VolumeOptions::salvage).
#[derive(Debug, Clone)]
pub struct ImageVolume(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What tells it from other volumes of the process.
    number: u64,
    volume: NtfsVolume,
}

impl ImageVolume {
    /// The volume at `location`: `disk.img`, or `disk.img#2` for its second partition.
    ///
    /// # Errors
    /// 123 for a path within the volume; as [`NtfsVolume::open`].
    pub fn open(location: impl AsRef<Path>, options: VolumeOptions) -> Result<Self> {
        let location = location.as_ref();
        let (path, partition) = match Location::parse(location) {
            Location::Host { path, stream: None } => (path, None),
            Location::Image { path, partition, inside } if inside.is_empty() => (path, partition),
            _ => {
                let why = "a drive is a whole volume: PATH or PATH#PARTITION";
                return Err(Error::new(Win32Error::INVALID_NAME, why).at_path(location));
            }
        };
        NtfsVolume::open(&path, partition, options).map(Self::new)
    }

    /// A volume that is open already.
    #[must_use]
    pub fn new(volume: NtfsVolume) -> Self {
        /// Behind those of volumes in memory and of devices of Linux.
        static NEXT: AtomicU64 = AtomicU64::new(1 << 48);
        Self(Arc::new(Shared { number: NEXT.fetch_add(1, Ordering::Relaxed), volume }))
    }

    /// The volume, for what is worth knowing about it.
    #[must_use]
    pub fn volume(&self) -> &NtfsVolume {
        &self.0.volume
    }
}

impl Volume for ImageVolume {
    fn root(&self) -> Result<Arc<dyn Node>> {
        let file = self.0.volume.volume().root().map_err(|error| self.0.fault(error))?;
        Ok(Arc::new(ImageNode { shared: self.0.clone(), file, name: None }))
    }

    fn upper(&self, name: &Name) -> Name {
        let upcase = self.0.volume.volume().upcase();
        Name::from_units(name.units().iter().map(|unit| upcase.upper(*unit)).collect())
    }
}

impl Shared {
    fn fault(&self, error: ntbak_ntfs::Error) -> Error {
        Error::from(error).at_path(self.volume.path())
    }

    /// Whether a file is one of NTFS' own, which programs do not see.
    fn is_hidden(&self, file: FileReference) -> bool {
        file.record() < system_file::FIRST_OTHER
            && file.record() != system_file::ROOT
            && !self.volume.options().system
    }

    /// The number of the file in an [`Entry`], unless it is not shown.
    fn shown(&self, file: FileReference, name: &Name) -> Option<Entry> {
        let dots = |units: &[u16]| units.len() <= 2 && units.iter().all(|unit| *unit == u16::from(b'.'));
        // The root is in itself, as a dot. No file can have such a name, or none.
        if self.is_hidden(file) || dots(name.units()) {
            return None;
        }
        Some(Entry { name: name.to_wtf8(), number: Some(file.0) })
    }
}

/// A file or directory of the volume.
#[derive(Debug)]
struct ImageNode {
    shared: Arc<Shared>,
    file: File,
    /// The directory and the name by which it was found; none for the root.
    name: Option<(FileReference, Name)>,
}

impl ImageNode {
    fn node(&self, file: File, name: Name) -> Arc<dyn Node> {
        let name = Some((self.file.reference(), name));
        Arc::new(Self { shared: self.shared.clone(), file, name })
    }

    /// The file that this directory has under a name, and the name that it has there.
    fn find(&self, name: &[u8]) -> Result<Option<(Name, File)>> {
        let Some((file, asked)) = self.shared.volume.child(&self.file, name)? else { return Ok(None) };
        if self.shared.is_hidden(file.reference()) {
            return Err(Error::new(Win32Error::ACCESS_DENIED, "it is one of NTFS' own files"));
        }
        // `.` of the root is the root.
        if file.reference() == self.file.reference() {
            return Ok(None);
        }
        let upcase = self.shared.volume.volume().upcase();
        let is_asked =
            |name: &Name| upcase.compare(name.units().iter().copied(), asked.units().iter().copied()).is_eq();
        let links = file.links();
        let here = || links.iter().filter(|link| link.parent == self.file.reference());
        let found = here().find(|link| link.name == asked);
        let found = found.or_else(|| here().find(|link| is_asked(&link.name)));
        let found = found.or_else(|| here().find(|link| link.short.as_ref().is_some_and(is_asked)));
        let name = found.map_or(asked, |link| link.name.clone());
        Ok(Some((name, file)))
    }

    /// What reports and errors call it.
    fn path(&self) -> PathBuf {
        let mut path = self.shared.volume.path().as_os_str().to_owned();
        path.push("::");
        if let Some((_, name)) = &self.name {
            path.push(name.to_string());
        }
        path.into()
    }

    fn open(&self) -> Result<NtfsSource> {
        let source = self.shared.volume.source(self.file.reference(), &self.path())?;
        Ok(match &self.name {
            Some((parent, name)) => source.found_as(*parent, name),
            None => source,
        })
    }

    /// The names in this directory by the files that have them: an index that is damaged is not asked.
    fn by_catalogue(&self) -> Result<Vec<Entry>> {
        let catalogue: &Catalogue = self.shared.volume.catalogue()?;
        let Some(directory) = catalogue.find(self.file.reference()) else {
            let why = "the directory is not in the catalogue of the volume";
            return Err(Error::new(Win32Error::FILE_CORRUPT, why));
        };
        let long = catalogue.children(directory).filter(|name| catalogue.namespace(*name) != Namespace::DOS);
        let shown = long.filter_map(|name| {
            let file = catalogue.entry(catalogue.file_of(name)?)?.reference();
            self.shared.shown(file, &Name::from_units(catalogue.name(name).to_vec()))
        });
        Ok(shown.collect())
    }
}

impl Node for ImageNode {
    fn identity(&self) -> Identity {
        Identity(self.shared.number, self.file.reference().0)
    }

    fn is_directory(&self) -> bool {
        self.file.is_directory()
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        Ok(Box::new(self.open()?))
    }

    fn check(&self) -> Result<()> {
        if self.shared.volume.options().salvage {
            return Ok(());
        }
        self.open()?.fault().map_or(Ok(()), Err)
    }

    fn reparse(&self) -> Result<Option<Vec<u8>>> {
        if self.file.stream(AttributeType::REPARSE_POINT, &[]).is_none() {
            return Ok(None);
        }
        // A file that WOF has compressed is shown as a plain one.
        Ok(self.open()?.small(SmallKind::Reparse)?.map(std::borrow::Cow::into_owned))
    }

    fn volume_facts(&self) -> Result<VolumeFacts> {
        let volume = self.shared.volume.volume();
        let (information, geometry) = (volume.information(), volume.geometry());
        let mut can = Capabilities::everything();
        if geometry.cluster_size > MAX_COMPRESSED_CLUSTER {
            can.holds -= Facts::COMPRESSION;
        }
        if information.version < (3, 0) {
            can.holds -= Facts::HOLES | Facts::REPARSE | Facts::OBJECT_ID | Facts::EFS;
        }
        Ok(VolumeFacts {
            label: information.label.clone(),
            serial: geometry.serial,
            file_system: "NTFS".to_owned(),
            longest_name: 255,
            can,
            hard_links: true,
            read_only: true,
        })
    }

    fn child(&self, name: &[u8]) -> Result<Option<Arc<dyn Node>>> {
        Ok(self.find(name)?.map(|(name, file)| self.node(file, name)))
    }

    fn indexed(&self, name: &Name) -> Result<Indexed> {
        Ok(match self.find(&name.to_wtf8())? {
            Some((name, file)) => Indexed::Found(name.to_wtf8(), self.node(file, name)),
            // It may stand for one that Windows has no place for.
            None if name.units().iter().any(|unit| fold::is_private(*unit)) => Indexed::Unknown,
            None => Indexed::Missing,
        })
    }

    fn entry(&self, entry: &Entry) -> Result<Option<Arc<dyn Node>>> {
        let (Some(number), Some(name)) = (entry.number, Name::from_wtf8(&entry.name)) else {
            return self.child(&entry.name);
        };
        match self.shared.volume.volume().file(FileReference(number)) {
            Ok(file) => Ok(Some(self.node(file, name))),
            // The index has more than there is.
            Err(error) if error.win32() == Win32Error::FILE_NOT_FOUND => Ok(None),
            Err(error) => Err(self.shared.fault(error)),
        }
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        if !self.file.is_directory() {
            return Err(Error::new(Win32Error::DIRECTORY, "it is no directory").at_path(self.path()));
        }
        let (mut names, mut is_damaged) = (Vec::new(), false);
        let read = self.shared.volume.volume().read_directory(
            &self.file,
            &mut |_| is_damaged = true,
            &mut |entry| names.push(entry),
        );
        if is_damaged || read.is_err() {
            return self.by_catalogue();
        }
        // An 8.3 name is shown with the long one that it belongs to, and alone where there is none.
        let is_long = |entry: &DirectoryEntry| entry.name.namespace != Namespace::DOS;
        let with_long: HashSet<_> =
            names.iter().filter(|entry| is_long(entry)).map(|entry| entry.file).collect();
        let shown = names.iter().filter(|entry| is_long(entry) || !with_long.contains(&entry.file));
        Ok(shown.filter_map(|entry| self.shared.shown(entry.file, &entry.name.name)).collect())
    }

    fn ways(&self) -> Result<Option<Vec<Way>>> {
        let mut above = Above { shared: &self.shared, known: HashMap::new() };
        let mut ways = Vec::new();
        for link in self.file.links() {
            // A name in a directory that is not there is none.
            if let Some(mut way) = above.way(link.parent)? {
                way.push(link.name.to_wtf8());
                ways.push(way);
            }
        }
        Ok(Some(ways))
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn is_case_sensitive(&self) -> bool {
        self.file.is_case_sensitive()
    }

    fn short_name(&self) -> Option<Name> {
        let (parent, name) = self.name.as_ref()?;
        let links = self.file.links().into_iter();
        links.filter(|link| link.parent == *parent && link.name == *name).find_map(|link| link.short)
    }

    fn content(&self, stream: Option<&StreamName>, _write: bool) -> Result<Box<dyn Content>> {
        let source = self.open()?;
        let none = || Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream").at_path(self.path());
        let index = source.find_stream(stream).ok_or_else(none)?;
        let size = source.stream(index)?.ok_or_else(none)?.size;
        Ok(Box::new(ImageContent { source, index, size }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The directories above a file, each looked at once.
struct Above<'a> {
    shared: &'a Shared,
    /// The first name of each, and the directory that it is in.
    known: HashMap<FileReference, Option<(FileReference, Vec<u8>)>>,
}

impl Above<'_> {
    /// The way from the root to a directory.
    fn way(&mut self, directory: FileReference) -> Result<Option<Way>> {
        let (mut way, mut at) = (Vec::new(), directory);
        while at.record() != system_file::ROOT {
            if way.len() >= DEEPEST || self.shared.is_hidden(at) {
                return Ok(None);
            }
            let Some((parent, name)) = self.name(at)? else { return Ok(None) };
            way.push(name);
            at = parent;
        }
        way.reverse();
        Ok(Some(way))
    }

    fn name(&mut self, directory: FileReference) -> Result<Option<(FileReference, Vec<u8>)>> {
        if let Some(known) = self.known.get(&directory) {
            return Ok(known.clone());
        }
        if self.known.len() >= MAX_DIRECTORIES {
            let why = "the file has names in more directories than are looked at";
            return Err(Error::new(Win32Error::FILE_CORRUPT, why));
        }
        let opened = self.shared.volume.volume().file(directory).ok();
        let link = opened.filter(File::is_directory).and_then(|file| file.links().into_iter().next());
        let name = link.map(|link| (link.parent, link.name.to_wtf8()));
        self.known.insert(directory, name.clone());
        Ok(name)
    }
}

/// The content of one stream.
struct ImageContent {
    source: NtfsSource,
    index: usize,
    size: u64,
}

impl Content for ImageContent {
    fn size(&self) -> Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let len =
            usize::try_from(self.size.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        match buf.get_mut(..len).filter(|buf| !buf.is_empty()) {
            Some(buf) => self.source.read_at(self.index, offset, buf),
            None => Ok(0),
        }
    }
}
