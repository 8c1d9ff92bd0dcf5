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

    /// `LookupPrivilegeValue`: the number of a privilege, as every Windows has it; case does not count.
    ///
    /// # Errors
    /// 1313 for another name.
    pub fn lookup_privilege_value(name: &str) -> Result<u64> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("se").and_then(|name| name.strip_suffix("privilege"));
        let found = PRIVILEGES.iter().find(|(known, _)| Some(known.to_ascii_lowercase().as_str()) == name);
        found
            .map(|(_, luid)| *luid)
            .ok_or_else(|| Error::new(Win32Error::NO_SUCH_PRIVILEGE, "no privilege has this name"))
    }

    /// `AdjustTokenPrivileges` for one of them: nothing changes, since what the caller may do is what Linux lets them do.
    ///
    /// # Errors
    /// 1300 when the caller does not hold it.
    pub fn adjust_token_privilege(&self, luid: u64) -> Result<()> {
        let privileges = self.privileges();
        let held = match luid {
            8 => privileges.contains(Privileges::SECURITY),
            17 => privileges.contains(Privileges::BACKUP),
            18 => privileges.contains(Privileges::RESTORE),
            // To pass through directories, everybody holds.
            23 => true,
            _ => false,
        };
        if held {
            return Ok(());
        }
        Err(Error::new(
            Win32Error::NOT_ALL_ASSIGNED,
            "the caller does not hold the privilege (here: is not root)",
        ))
    }
}

/// The privileges of Windows without `Se` and `Privilege`, and their numbers (\[MS-LSAD\] 3.1.1.2.1, `wdm.h`).
const PRIVILEGES: [(&str, u64); 35] = [
    ("CreateToken", 2),
    ("AssignPrimaryToken", 3),
    ("LockMemory", 4),
    ("IncreaseQuota", 5),
    ("MachineAccount", 6),
    ("Tcb", 7),
    ("Security", 8),
    ("TakeOwnership", 9),
    ("LoadDriver", 10),
    ("SystemProfile", 11),
    ("Systemtime", 12),
    ("ProfileSingleProcess", 13),
    ("IncreaseBasePriority", 14),
    ("CreatePagefile", 15),
    ("CreatePermanent", 16),
    ("Backup", 17),
    ("Restore", 18),
    ("Shutdown", 19),
    ("Debug", 20),
    ("Audit", 21),
    ("SystemEnvironment", 22),
    ("ChangeNotify", 23),
    ("RemoteShutdown", 24),
    ("Undock", 25),
    ("SyncAgent", 26),
    ("EnableDelegation", 27),
    ("ManageVolume", 28),
    ("Impersonate", 29),
    ("CreateGlobal", 30),
    ("TrustedCredManAccess", 31),
    ("Relabel", 32),
    ("IncreaseWorkingSet", 33),
    ("TimeZone", 34),
    ("CreateSymbolicLink", 35),
    ("DelegateSessionUserImpersonate", 36),
];

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
