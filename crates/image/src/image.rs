//! Opening an image by its content.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::container::Opened;
use crate::error::{Error, Format, Result};
use crate::kind::{Ends, Kind};
use crate::note::Note;
use crate::partition::{Content, Partition, PartitionTable};
use crate::raw::RawFile;
use crate::read_at::{ReadAt, Slice};
use crate::{qcow2, vhd, vhdx};

/// How images are opened.
///
/// # Example
/// ```no_run
/// let image = ntbak_image::OpenOptions::new().backing_files(true).open("overlay.qcow2")?;
/// # Ok::<(), ntbak_image::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    backing_files: bool,
}

/// Whether the file or device at `path` is a disk image with something for ntbak in it, by its content: a container of a
/// kind that is read, a disk image of a kind that is known and refused, or a disk with an NTFS or a BitLocker volume.
#[must_use]
pub fn is_disk_image(path: impl AsRef<Path>) -> bool {
    let Ok(file) = RawFile::open(path) else { return false };
    if Ends::read(&file).is_ok_and(|ends| ends.is_disk()) {
        return true;
    }
    let table = OpenOptions::new().open_source(file).and_then(|image| image.partitions());
    table.is_ok_and(|table| {
        let is_ours = |one: &Partition| one.content.is_ntfs() || one.content == Content::BitLocker;
        table.partitions.iter().any(is_ours)
    })
}

/// The most files that may lie below one another.
const MAX_DEPTH: usize = 32;

impl OpenOptions {
    /// The defaults: only the file that is named is opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an image may have other files opened that lie below it (backing files of qcow2). Off by default: whoever
    /// wrote the image chose their names, and `/etc/shadow` is one.
    #[must_use]
    pub fn backing_files(mut self, allow: bool) -> Self {
        self.backing_files = allow;
        self
    }

    /// Opens a file or device. What it is, its content says; its name does not matter.
    ///
    /// # Errors
    /// It cannot be read; it is damaged; it is of a kind that is known and not read (the error says what to do); it
    /// needs a backing file, and that is not allowed, or damaged itself.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Image> {
        self.open_at_depth(path.as_ref(), None, 0)
    }

    /// Opens what lies in another source, such as an image in an image or in memory.
    ///
    /// # Errors
    /// As [`OpenOptions::open`]. A backing file is never opened: its name would have no place to start from.
    pub fn open_source(&self, source: impl ReadAt + 'static) -> Result<Image> {
        self.open_arc(Arc::new(source), None, None, 0)
    }

    fn open_at_depth(&self, path: &Path, known: Option<Kind>, depth: usize) -> Result<Image> {
        let file = RawFile::open(path)?;
        self.open_arc(Arc::new(file), known, Some(path), depth).map_err(|error| error.at_path(path))
    }

    fn open_arc(
        &self,
        source: Arc<dyn ReadAt>,
        known: Option<Kind>,
        path: Option<&Path>,
        depth: usize,
    ) -> Result<Image> {
        if source.is_empty() {
            return Err(Error::truncated(Format::File, 0, "the image", 512, 0));
        }
        let kind = match known {
            Some(kind) => kind,
            None => Ends::read(&*source)?.recognise()?,
        };
        let file_size = source.len();
        let opened = match kind {
            Kind::Raw => Opened {
                variant: String::new(),
                block_size: None,
                sector_size: None,
                notes: Vec::new(),
                disk: source,
            },
            Kind::Vhd => vhd::open(source)?,
            Kind::Vhdx => vhdx::open(source)?,
            Kind::Qcow2 => {
                let header = qcow2::Header::read(&*source)?;
                let below = match &header.backing {
                    Some(backing) => Some(self.open_backing(backing, path, depth)?),
                    None => None,
                };
                let disk = below.as_ref().map(|(_, image)| Arc::clone(&image.disk));
                let mut opened = qcow2::open(source, header, disk);
                if let Some((path, image)) = below {
                    opened.notes.push(Note::BackingFile { path });
                    opened.notes.extend(image.notes);
                }
                opened
            }
        };
        let Opened { variant, block_size, sector_size, notes, disk } = opened;
        Ok(Image { kind, variant, file_size, block_size, sector_size, notes, disk })
    }

    /// Opens the file below an image, if that is allowed.
    fn open_backing(
        &self,
        backing: &qcow2::Backing,
        path: Option<&Path>,
        depth: usize,
    ) -> Result<(PathBuf, Image)> {
        let format = Format::Container(Kind::Qcow2);
        let refuse = |why: String, advice: &'static str| Err(Error::unsupported(format, why, advice));
        let name = &backing.name;
        let flatten = "make it one file with: qemu-img convert -O qcow2 IMAGE disk.qcow2";
        let Some(path) = path.filter(|_| self.backing_files) else {
            let advice = "if you trust the image, allow backing files; or make it one file with: qemu-img convert -O qcow2 \
                          IMAGE disk.qcow2";
            return refuse(format!("the image needs its backing file {name:?}"), advice);
        };
        if depth >= MAX_DEPTH {
            return refuse(
                format!("more than {MAX_DEPTH} files lie below the image, or they go in a circle"),
                flatten,
            );
        }
        let name = name.strip_prefix("file:").unwrap_or(name);
        if name.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1 && !scheme.contains('/')) {
            return refuse(format!("the backing file {name:?} is not a path"), flatten);
        }
        let kind = match backing.format.as_deref() {
            // Without a format, QEMU looks at the content as well.
            None => None,
            Some("raw") => Some(Kind::Raw),
            Some("qcow2") => Some(Kind::Qcow2),
            Some("vpc") => Some(Kind::Vhd),
            Some("vhdx") => Some(Kind::Vhdx),
            Some(other) => {
                return refuse(format!("the backing file {name:?} has the format {other:?}"), flatten);
            }
        };
        // A relative name counts from the directory of the image, links followed or not, as for QEMU.
        let below = path.parent().unwrap_or(Path::new("")).join(name);
        let image = self.open_at_depth(&below, kind, depth + 1)?;
        Ok((below, image))
    }
}

/// An opened disk image. It is the disk: reading it by position reads what a machine would see.
///
/// It can be used by any number of threads at once.
#[derive(Clone)]
pub struct Image {
    kind: Kind,
    variant: String,
    file_size: u64,
    block_size: Option<u32>,
    sector_size: Option<u32>,
    notes: Vec<Note>,
    disk: Arc<dyn ReadAt>,
}

impl Image {
    /// Opens an image with the default [`OpenOptions`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    /// What kind of image it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The kind within the kind: "fixed", "dynamic", "version 3, zstd"; empty for a raw image.
    #[must_use]
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// Size of the file or device in bytes. The size of the disk is [`ReadAt::len`].
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Bytes of a cluster or block, when the container has any.
    #[must_use]
    pub fn block_size(&self) -> Option<u32> {
        self.block_size
    }

    /// Bytes of a sector of the disk, when the container says.
    #[must_use]
    pub fn sector_size(&self) -> Option<u32> {
        self.sector_size
    }

    /// What is worth telling about the container.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The disk, to be shared.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn ReadAt> {
        Arc::clone(&self.disk)
    }

    /// Reads the partition table.
    ///
    /// # Errors
    /// As [`PartitionTable::read`].
    pub fn partitions(&self) -> Result<PartitionTable> {
        PartitionTable::read(&*self.disk, self.sector_size)
    }

    /// The bytes of a partition.
    #[must_use]
    pub fn volume(&self, partition: &Partition) -> Slice<Arc<dyn ReadAt>> {
        partition.slice(self.disk())
    }

    /// The bytes of the NTFS volume: the only one, or that of the partition with this number.
    ///
    /// # Errors
    /// As [`PartitionTable::read`] and [`PartitionTable::choose`].
    pub fn ntfs(&self, number: Option<u32>) -> Result<Slice<Arc<dyn ReadAt>>> {
        Ok(self.volume(self.partitions()?.choose(number)?))
    }
}

impl ReadAt for Image {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(offset, buf)
    }

    fn len(&self) -> u64 {
        self.disk.len()
    }
}

/// `qcow2 image (version 3)`
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant.as_str() {
            "" => self.kind.fmt(f),
            variant => write!(f, "{} ({variant})", self.kind),
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("kind", &self.kind)
            .field("variant", &self.variant)
            .field("len", &self.disk.len())
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}
