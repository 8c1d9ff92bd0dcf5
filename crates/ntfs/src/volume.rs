//! A volume: how it is opened, and the way to its files.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ntbak_image::ReadAt;
use ntbak_wire::Name;
use ntbak_wire::object_id::ObjectId;

use crate::attribute::AttributeType;
use crate::boot::{BOOT_SIZE, Geometry};
use crate::device::{Device, read_from};
use crate::error::{Error, Result};
use crate::file::{Expect, File};
use crate::mft::Mft;
use crate::object_ids::ObjectIds;
use crate::record::{FileReference, Record};
use crate::runs::Limits;
use crate::secure::Secure;
use crate::upcase::UpCase;
use ntbak_wire::bytes::{u16_at, utf16_units};

/// The records of the files that every volume has.
pub mod system_file {
    /// `$MFT`.
    pub const MFT: u64 = 0;
    /// `$LogFile`.
    pub const LOG_FILE: u64 = 2;
    /// `$Volume`.
    pub const VOLUME: u64 = 3;
    /// The root directory.
    pub const ROOT: u64 = 5;
    /// `$Secure`.
    pub const SECURE: u64 = 9;
    /// `$UpCase`.
    pub const UPCASE: u64 = 10;
    /// `$Extend`, the directory of the other system files.
    pub const EXTEND: u64 = 11;
    /// The records before this one belong to NTFS.
    pub const FIRST_OTHER: u64 = 16;
}

/// How a volume is read.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Options {
    /// Reads records and index blocks also when they are torn, and what is left of an incomplete `$MFT`. What is read
    /// so is marked as damage.
    pub salvage: bool,
    /// How many threads a [catalogue](Volume::catalogue) takes; 0 is one for each core.
    pub threads: usize,
}

impl Options {
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
}

/// Something that is worth knowing about a volume, and did not keep it from being opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Remark {
    /// The boot sector is damaged; its backup was used.
    BackupBootSector(Error),
    /// Boot sector and backup are both good and describe different volumes; the first one was used.
    BootSectorsDiffer,
    /// The image has fewer bytes than the volume: files past its end cannot be read.
    ImageTooShort {
        /// Bytes of the volume.
        volume: u64,
        /// Bytes of the image.
        image: u64,
    },
    /// The first record of `$MFT` is damaged; that of `$MFTMirr` was used.
    Mirror(Error),
    /// A part of `$MFT` is out of reach, and all files that are there.
    MftIncomplete(Error),
    /// `$Volume` is damaged, so version and flags are not known.
    NoVolumeInformation(Error),
    /// NTFS before 3.0.
    OldVersion(u8, u8),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackupBootSector(error) => write!(f, "the backup of the boot sector was used: {error}"),
            Self::BootSectorsDiffer => {
                f.write_str("the boot sector and its backup describe different volumes")
            }
            Self::ImageTooShort { volume, image } => {
                write!(f, "the image has {image} bytes, the volume {volume}: what lies behind them is lost")
            }
            Self::Mirror(error) => write!(f, "$MFTMirr was used: {error}"),
            Self::MftIncomplete(error) => write!(f, "a part of $MFT and all files in it are lost: {error}"),
            Self::NoVolumeInformation(error) => write!(f, "version and flags are not known: {error}"),
            Self::OldVersion(major, minor) => write!(f, "NTFS {major}.{minor} is older than Windows 2000"),
        }
    }
}

/// An NTFS volume, opened for reading. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Volume {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    mft: Mft,
    options: Options,
    information: VolumeInformation,
    remarks: Vec<Remark>,
    secure: OnceLock<Result<Secure>>,
    object_ids: OnceLock<Result<ObjectIds>>,
    upcase: OnceLock<UpCase>,
}

/// What `$Volume` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInformation {
    /// The label, of up to 128 units; empty where there is none.
    pub label: Name,
    /// Major and minor version: 3.1 since Windows XP.
    pub version: (u8, u8),
    /// Flags, of which 1 is [`DIRTY`](Self::DIRTY).
    pub flags: u16,
}

impl VolumeInformation {
    /// The flag of a volume that was not dismounted, or that chkdsk is to check.
    pub const DIRTY: u16 = 1;

    /// Whether chkdsk is to check the volume.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.flags & Self::DIRTY != 0
    }
}

impl Volume {
    /// Opens the volume that begins with the first byte of `reader`; a partition of a disk is a
    /// [`Slice`](ntbak_image::Slice) of it.
    ///
    /// # Errors
    /// There is no NTFS volume, or nothing says where its `$MFT` is.
    pub fn open(reader: impl ReadAt + 'static, options: Options) -> Result<Self> {
        let mut remarks = Vec::new();
        let reader: Box<dyn ReadAt> = Box::new(reader);
        let (device, mft) = Self::find(reader, options, &mut remarks)?;
        let (volume, image) = (device.geometry.offset_of(device.geometry.clusters), device.len());
        if image < volume {
            remarks.push(Remark::ImageTooShort { volume, image });
        }
        let information = match Self::read_information(&device, &mft, options.salvage) {
            Ok(information) => information,
            Err(error) => {
                remarks.push(Remark::NoVolumeInformation(error));
                VolumeInformation { label: Name::default(), version: (3, 1), flags: 0 }
            }
        };
        if information.version < (3, 0) {
            remarks.push(Remark::OldVersion(information.version.0, information.version.1));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                device,
                mft,
                options,
                information,
                remarks,
                secure: OnceLock::new(),
                object_ids: OnceLock::new(),
                upcase: OnceLock::new(),
            }),
        })
    }

    /// Boot sector and `$MFT`: the backup of the boot sector is asked when the first one leads nowhere.
    fn find(reader: Box<dyn ReadAt>, options: Options, remarks: &mut Vec<Remark>) -> Result<(Device, Mft)> {
        let mut sector = [0; BOOT_SIZE];
        let read = read_from(&*reader, 0, &mut sector).map_err(|error| error.at(0));
        let main = read.and_then(|_| Geometry::parse(&sector));
        let backup = Self::backup(&*reader, &sector);
        let (main, fault) = match main {
            Ok(main) => (main, None),
            Err(error) => (backup.ok_or_else(|| error.clone())?, Some(error)),
        };
        let mut device = Device::new(reader, main);
        let opened = Mft::open(&device, options.salvage, remarks);
        match (opened, backup.filter(|backup| *backup != main), fault) {
            (Ok(mft), _, Some(fault)) => {
                remarks.push(Remark::BackupBootSector(fault));
                Ok((device, mft))
            }
            (Ok(mft), other, None) => {
                remarks.extend(other.map(|_| Remark::BootSectorsDiffer));
                Ok((device, mft))
            }
            // A boot sector that is good by itself and leads nowhere.
            (Err(error), Some(backup), None) => {
                device = device.with_geometry(backup);
                let mft = Mft::open(&device, options.salvage, remarks).map_err(|_| error.clone())?;
                remarks.push(Remark::BackupBootSector(error));
                Ok((device, mft))
            }
            // A backup that leads nowhere is that of an older volume: then the first fault is what counts.
            (Err(error), _, fault) => Err(fault.unwrap_or(error)),
        }
    }

    /// The backup of the boot sector: in the last sector of the volume, whatever the size of a sector is.
    fn backup(reader: &dyn ReadAt, sector: &[u8; BOOT_SIZE]) -> Option<Geometry> {
        let end = reader.len();
        let claimed = u16_at(sector, 11).zip(ntbak_wire::bytes::u64_at(sector, 40));
        let claimed = claimed.and_then(|(bytes, sectors)| sectors.checked_mul(bytes.into()));
        let last = [512, 4096, 1024, 2048, 256].map(|sector| end.checked_sub(sector));
        let places = claimed.into_iter().chain(last.into_iter().flatten()).filter(|at| *at > 0 && *at < end);
        let mut bytes = [0; BOOT_SIZE];
        places.into_iter().find_map(|at| {
            read_from(reader, at, &mut bytes).ok()?;
            // The backup stands behind the sectors that it counts.
            Geometry::parse(&bytes).ok().filter(|geometry| geometry.size() <= at)
        })
    }

    fn read_information(device: &Device, mft: &Mft, salvage: bool) -> Result<VolumeInformation> {
        let mut bytes = vec![0; mft.record_size];
        mft.read(device, system_file::VOLUME, &mut bytes, salvage)?;
        let in_record = |error: Error| error.in_record(system_file::VOLUME);
        let record = Record::parse(&bytes).map_err(in_record)?;
        let value = |kind| {
            let found = record.attributes().flatten().find(|attribute| attribute.is(kind));
            found.and_then(|attribute| attribute.resident())
        };
        let information = value(AttributeType::VOLUME_INFORMATION);
        let (version, flags) = information
            .and_then(|value| Some(((*value.get(8)?, *value.get(9)?), u16_at(value, 10)?)))
            .ok_or_else(|| in_record(Error::not_found("MFT record", "$VOLUME_INFORMATION")))?;
        let label = value(AttributeType::VOLUME_NAME).unwrap_or_default();
        Ok(VolumeInformation { label: Name::from_units(utf16_units(label).collect()), version, flags })
    }

    /// The shape of the volume.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.inner.device.geometry
    }

    /// Label, version and flags.
    #[must_use]
    pub fn information(&self) -> &VolumeInformation {
        &self.inner.information
    }

    /// What is worth knowing about the volume as it was opened.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.inner.remarks
    }

    /// How it is read.
    #[must_use]
    pub fn options(&self) -> Options {
        self.inner.options
    }

    /// How many records `$MFT` has, used or not.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.inner.mft.records
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Its base record cannot be read, or holds another file by now. What is wrong with the rest of it, the file
    /// itself tells ([`File::damage`]).
    pub fn file(&self, reference: FileReference) -> Result<File> {
        File::open(self.clone(), Expect::This(reference))
    }

    /// Opens the file whose base record has this number.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn file_in_record(&self, number: u64) -> Result<File> {
        File::open(self.clone(), Expect::Record(number))
    }

    /// Opens the file whose base record has this number, also when it is deleted: what it had may belong to others now.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn deleted_file(&self, number: u64) -> Result<File> {
        File::open(self.clone(), Expect::Deleted(number))
    }

    /// The root directory.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn root(&self) -> Result<File> {
        self.file_in_record(system_file::ROOT)
    }

    /// The security descriptor of this security id, from `$Secure`.
    ///
    /// # Errors
    /// `$Secure` cannot be read, or does not have it.
    pub fn security_descriptor(&self, id: u32) -> Result<&[u8]> {
        self.secure()?.get(id)
    }

    /// `$Secure`, read once.
    ///
    /// # Errors
    /// It cannot be read at all.
    pub fn secure(&self) -> Result<&Secure> {
        let loaded = self.inner.secure.get_or_init(|| Secure::load(self));
        loaded.as_ref().map_err(Error::clone)
    }

    /// The object id with its birth ids, where the index of object ids has it for this file.
    pub(crate) fn birth_ids(&self, id: ObjectId, file: FileReference) -> Result<Option<ObjectId>> {
        let loaded = self.inner.object_ids.get_or_init(|| ObjectIds::load(self));
        Ok(loaded.as_ref().map_err(Error::clone)?.get(id, file))
    }

    /// The table of upper-case letters of this volume.
    #[must_use]
    pub fn upcase(&self) -> &UpCase {
        self.inner.upcase.get_or_init(|| UpCase::load(self))
    }

    pub(crate) fn device(&self) -> &Device {
        &self.inner.device
    }

    pub(crate) fn mft(&self) -> &Mft {
        &self.inner.mft
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.device.limits(self.inner.information.version < (3, 0))
    }

    /// A record with its fixups put back; `true` when it is torn and there is salvage.
    pub(crate) fn read_record(&self, number: u64) -> Result<(Box<[u8]>, bool)> {
        let mft = self.mft();
        let mut bytes = vec![0; mft.record_size].into_boxed_slice();
        let torn = mft.read(self.device(), number, &mut bytes, self.inner.options.salvage)?;
        Ok((bytes, torn))
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("geometry", self.geometry()).field("records", &self.records()).finish()
    }
}
