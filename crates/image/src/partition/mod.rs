//! Partition tables: where on a disk the volumes lie, and what they look like.
//!
//! [`PartitionTable::read`] understands GPT (with its backup), MBR with logical partitions, and a disk that has no
//! table because a volume begins at its first byte ("superfloppy"). Nothing is believed that lies past the end of the
//! disk, and every chain has an end.

mod content;
mod gpt;
mod mbr;

use std::fmt;
use std::io;

use ntbak_wire::Name;
use ntbak_wire::object_id::Guid;

pub use content::Content;
pub use gpt::type_name as gpt_type_name;
pub use mbr::type_name as mbr_type_name;

use crate::error::{Error, Format, Result};
use crate::note::Note;
use crate::read_at::{ReadAt, Slice};

/// The partitions of a disk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PartitionTable {
    /// What kind of table it is.
    pub scheme: Scheme,
    /// Bytes of a sector, as the table counts them: 512 or 4096.
    pub sector_size: u32,
    /// The partitions, in the order of the table.
    pub partitions: Vec<Partition>,
    /// What is odd about the table, and did no harm.
    pub notes: Vec<Note>,
}

/// The kind of a partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// No table: a volume begins at the first byte of the disk. It is partition 1, the whole disk.
    Volume,
    /// No table, and no volume that ntbak knows: partition 1 is the whole disk.
    None,
    /// A master boot record.
    Mbr {
        /// The disk signature.
        signature: u32,
    },
    /// A GUID partition table.
    Gpt {
        /// The GUID of the disk.
        disk: Guid,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its number, as Linux and `sfdisk` count: the place in the table from 1 on; logical partitions from 5 on.
    pub number: u32,
    /// Where it begins on the disk, in bytes.
    pub offset: u64,
    /// Its size by the table, in bytes.
    pub size: u64,
    /// How much of it is there, in bytes: less than `size` when the image is truncated.
    pub available: u64,
    /// The type by the table.
    pub kind: PartitionType,
    /// The GUID of the partition (GPT).
    pub guid: Option<Guid>,
    /// Its name (GPT), perhaps empty.
    pub name: Name,
    /// Whether it is marked for booting (MBR).
    pub active: bool,
    /// The attribute bits (GPT), 0 for others.
    pub attributes: u64,
    /// What its first sectors say it is.
    pub content: Content,
}

/// The type of a partition, by its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartitionType {
    /// There is no table.
    None,
    /// The type byte of an MBR.
    Mbr(u8),
    /// The type GUID of a GPT.
    Gpt(Guid),
}

impl PartitionTable {
    /// Reads the table of a disk. `sector_size` is what the container says (VHDX, a device), if it does.
    ///
    /// # Errors
    /// The disk cannot be read, or it has a GPT of which no copy is whole.
    pub fn read(disk: &dyn ReadAt, sector_size: Option<u32>) -> Result<Self> {
        let mut first = vec![0; 512.min(usize::try_from(disk.len()).unwrap_or(512))];
        read(disk, 0, &mut first)?;
        let whole = Content::of_sector(&first);
        if whole.is_volume() {
            return Ok(Self::without(disk, Scheme::Volume, whole));
        }
        let gpt = if mbr::overrules_gpt(&first) { None } else { gpt::read(disk, sector_size)? };
        let found = match gpt {
            Some(table) => Some(table),
            None => mbr::read(disk, &first, sector_size)?,
        };
        let Some(mut table) = found else {
            let content = Content::look(disk, 0, disk.len());
            let scheme = if content.is_volume() { Scheme::Volume } else { Scheme::None };
            return Ok(Self::without(disk, scheme, content));
        };
        for partition in &mut table.partitions {
            partition.available = partition.size.min(disk.len().saturating_sub(partition.offset));
            partition.content = Content::look(disk, partition.offset, partition.available);
            if partition.available < partition.size {
                table.notes.push(Note::PartitionPastEnd {
                    number: partition.number,
                    missing: partition.size - partition.available,
                });
            }
        }
        Ok(table)
    }

    fn without(disk: &dyn ReadAt, scheme: Scheme, content: Content) -> Self {
        let mut whole = Partition::new(1, 0, disk.len(), PartitionType::None);
        whole.available = disk.len();
        whole.content = content;
        Self { scheme, sector_size: 512, partitions: vec![whole], notes: Vec::new() }
    }

    /// The partition with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.number == number)
    }

    /// The one partition with an NTFS volume; with a number, that partition, whatever is in it except what has to be
    /// unlocked first.
    ///
    /// # Errors
    /// There is none, there are several (the error lists them), there is no partition of that number, or it is
    /// encrypted by BitLocker or LUKS (the error says how to unlock it).
    pub fn choose(&self, number: Option<u32>) -> Result<&Partition> {
        let refuse = |what: String, advice: String| Error::unsupported(Format::Partition, what, advice);
        if let Some(number) = number {
            let Some(partition) = self.get(number) else {
                return Err(refuse(format!("there is no partition {number}"), self.list()));
            };
            return match partition.unlock() {
                Some(advice) => Err(refuse(partition.to_string(), advice)),
                None => Ok(partition),
            };
        }
        let mut volumes = self.partitions.iter().filter(|partition| partition.content.is_ntfs());
        match (volumes.next(), volumes.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(refuse(
                "several partitions have NTFS volumes".into(),
                format!("choose one: {}", self.list()),
            )),
            (None, _) => match self.partitions.iter().find_map(|one| Some((one, one.unlock()?))) {
                Some((partition, advice)) => Err(refuse(partition.to_string(), advice)),
                None => Err(refuse("no NTFS volume was found".into(), self.list())),
            },
        }
    }

    /// All partitions in one line, for errors.
    fn list(&self) -> String {
        match self.partitions.as_slice() {
            [] => "the partition table is empty".to_owned(),
            [one] => format!("there is {one}"),
            several => {
                let shown: Vec<String> = several.iter().take(20).map(ToString::to_string).collect();
                let more = if several.len() > shown.len() { ", …" } else { "" };
                format!("there are {}{more}", shown.join(", "))
            }
        }
    }
}

impl Partition {
    fn new(number: u32, offset: u64, size: u64, kind: PartitionType) -> Self {
        Self {
            number,
            offset,
            size,
            available: 0,
            kind,
            guid: None,
            name: Name::default(),
            active: false,
            attributes: 0,
            content: Content::Unknown,
        }
    }

    /// Its bytes.
    pub fn slice<S: ReadAt>(&self, disk: S) -> Slice<S> {
        Slice::new(disk, self.offset, self.size)
    }

    /// How to unlock what is encrypted.
    fn unlock(&self) -> Option<String> {
        let offset = self.offset;
        match self.content {
            Content::BitLocker => Some(format!(
                "unlock it with: dislocker -r -V IMAGE -O {offset} -u -- DIR (or -p for a recovery password), and open \
                 DIR/dislocker-file; or, where it is a device, with: cryptsetup open --readonly --type bitlk DEVICE NAME"
            )),
            Content::Luks => Some(
                "unlock it with: cryptsetup open --readonly DEVICE NAME, and open /dev/mapper/NAME"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// `partition 2 (NTFS, 1048576 bytes at 65536)`
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} ({}, {} bytes at {})", self.number, self.content, self.size, self.offset)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume => f.write_str("none, the volume begins at the start"),
            Self::None => f.write_str("none"),
            Self::Mbr { signature } => write!(f, "MBR, disk signature {signature:08x}"),
            Self::Gpt { disk } => write!(f, "GPT, disk {disk}"),
        }
    }
}

/// The type's name where it is a known one, else its number.
impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Mbr(kind) => match mbr_type_name(*kind) {
                Some(name) => f.write_str(name),
                None => write!(f, "type {kind:#04x}"),
            },
            Self::Gpt(kind) => match gpt_type_name(kind) {
                Some(name) => f.write_str(name),
                None => write!(f, "type {kind}"),
            },
        }
    }
}

/// Fills `buf`, with the place in errors.
fn read(disk: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<()> {
    disk.read_exact_at(offset, buf).map_err(|error| Error::io(Format::File, offset, error))
}

/// Fills `buf` if all of it lies on the disk.
fn read_within(disk: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<bool> {
    match disk.read_exact_at(offset, buf) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::io(Format::File, offset, error)),
    }
}
