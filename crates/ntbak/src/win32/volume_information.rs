//! `GetVolumeInformation`, and the privileges of the caller.

use bitflags::bitflags;
use ntbak_wire::{Name, Win32Error};

use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::win32::resolve::Follow;
use crate::win32::{Handle, Privileges, System, VolumeFacts, fold};

bitflags! {
    /// What a file system can do: the flags of `GetVolumeInformation`. They tell what ntbak keeps there, whatever the
    /// file system calls itself.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct VolumeFlags: u32 {
        /// Case of names is kept.
        const CASE_PRESERVED_NAMES = 0x2;
        /// Names are Unicode.
        const UNICODE_ON_DISK = 0x4;
        /// Security descriptors are kept.
        const PERSISTENT_ACLS = 0x8;
        /// Files can be compressed.
        const FILE_COMPRESSION = 0x10;
        /// Files can be sparse.
        const SUPPORTS_SPARSE_FILES = 0x40;
        /// Files can be reparse points.
        const SUPPORTS_REPARSE_POINTS = 0x80;
        /// Files can have object ids.
        const SUPPORTS_OBJECT_IDS = 0x1_0000;
        /// Files can be encrypted.
        const SUPPORTS_ENCRYPTION = 0x2_0000;
        /// Files can have named streams.
        const NAMED_STREAMS = 0x4_0000;
        /// Nothing can be written.
        const READ_ONLY_VOLUME = 0x8_0000;
        /// Files can have several names.
        const SUPPORTS_HARD_LINKS = 0x40_0000;
        /// Files can have extended attributes.
        const SUPPORTS_EXTENDED_ATTRIBUTES = 0x80_0000;

        const _ = !0;
    }
}

/// What `GetVolumeInformation` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInformation {
    /// The label.
    pub label: Name,
    /// The serial number.
    pub serial_number: u32,
    /// The most UTF-16 units of a name.
    pub maximum_component_length: u32,
    /// What it can do.
    pub flags: VolumeFlags,
    /// NTFS, ext4, …: what it is.
    pub file_system: String,
}

impl System {
    /// `GetVolumeInformation`: of the volume with this root (`C:\`). Of Linux, any path will do.
    ///
    /// # Errors
    /// 123 for a path that does not end with a separator; 144 for another directory; 2, 3 when the path, or the drive, is
    /// not there.
    pub fn get_volume_information(&self, root: impl AsRef<[u8]>) -> Result<VolumeInformation> {
        let root = root.as_ref();
        let ask = || {
            let (resolved, node) = self.find(root, Follow::Links)?;
            // Paths of Linux have no root of a volume.
            if resolved.root.is_some() && !resolved.directory {
                return Err(Error::new(
                    Win32Error::INVALID_NAME,
                    "the root of a volume ends with a separator",
                ));
            }
            if resolved.root.is_some() && resolved.parent.is_some() {
                return Err(Error::new(Win32Error::DIR_NOT_ROOT, "it is not the root of a volume"));
            }
            node.volume_facts()
        };
        let found = ask();
        found.map(|facts| information(&facts)).map_err(|error| error.at_path(&*fold::display(root)))
    }

    /// `LookupPrivilegeValue`: the number of a privilege that a backup program asks for, as every Windows has it.
    ///
    /// # Errors
    /// 1313 for another name.
    pub fn lookup_privilege_value(name: &str) -> Result<u64> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "sesecurityprivilege" => 8,
            "sebackupprivilege" => 17,
            "serestoreprivilege" => 18,
            _ => return Err(Error::new(Win32Error::NO_SUCH_PRIVILEGE, "nobody has this privilege here")),
        })
    }

    /// `AdjustTokenPrivileges` for one of them: nothing changes, since what the caller may do is what Linux lets them do.
    ///
    /// # Errors
    /// 1300 when the caller does not hold it; 1313 for a number that is none.
    pub fn adjust_token_privilege(&self, luid: u64) -> Result<()> {
        let privilege = match luid {
            8 => Privileges::SECURITY,
            17 => Privileges::BACKUP,
            18 => Privileges::RESTORE,
            _ => return Err(Error::new(Win32Error::NO_SUCH_PRIVILEGE, "nobody has this privilege here")),
        };
        if self.privileges().contains(privilege) {
            return Ok(());
        }
        Err(Error::new(
            Win32Error::NOT_ALL_ASSIGNED,
            "the caller does not hold the privilege (here: is not root)",
        ))
    }
}

impl Privileges {
    /// Those of the user that this process works for: root holds all, others none.
    #[must_use]
    pub fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() { Self::all() } else { Self::empty() }
    }
}

/// `GetVolumeInformationByHandleW`.
///
/// # Errors
/// The volume cannot be asked.
pub fn get_volume_information_by_handle(file: &Handle) -> Result<VolumeInformation> {
    let inner = file.inner();
    let facts = inner.node.volume_facts().map_err(|error| inner.at(error))?;
    Ok(information(&facts))
}

fn information(facts: &VolumeFacts) -> VolumeInformation {
    let mut flags = VolumeFlags::CASE_PRESERVED_NAMES | VolumeFlags::UNICODE_ON_DISK;
    for (fact, flag) in [
        (Facts::SECURITY, VolumeFlags::PERSISTENT_ACLS),
        (Facts::COMPRESSION, VolumeFlags::FILE_COMPRESSION),
        (Facts::HOLES, VolumeFlags::SUPPORTS_SPARSE_FILES),
        (Facts::REPARSE, VolumeFlags::SUPPORTS_REPARSE_POINTS),
        (Facts::OBJECT_ID, VolumeFlags::SUPPORTS_OBJECT_IDS),
        (Facts::EFS, VolumeFlags::SUPPORTS_ENCRYPTION),
        (Facts::NAMED_STREAMS, VolumeFlags::NAMED_STREAMS),
        (Facts::EA, VolumeFlags::SUPPORTS_EXTENDED_ATTRIBUTES),
    ] {
        flags.set(flag, facts.can.holds(fact));
    }
    flags.set(VolumeFlags::SUPPORTS_HARD_LINKS, facts.hard_links);
    flags.set(VolumeFlags::READ_ONLY_VOLUME, facts.read_only);
    VolumeInformation {
        label: facts.label.clone(),
        // Windows' function has 32 bits for it.
        serial_number: facts.serial as u32,
        maximum_component_length: facts.longest_name,
        flags,
        file_system: facts.file_system.clone(),
    }
}
