//! Access rights, share modes, dispositions and flags of `CreateFile`, with Windows' values.

use bitflags::bitflags;
use ntbak_wire::Win32Error;

use crate::error::{Error, Result};

bitflags! {
    /// An access mask (\[MS-DTYP\] 2.4.3, \[MS-FSA\] 2.1.5.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Access: u32 {
        /// Read the content; list a directory.
        const FILE_READ_DATA = 0x1;
        /// Write the content; add a file to a directory.
        const FILE_WRITE_DATA = 0x2;
        /// Write behind the end; add a directory to a directory.
        const FILE_APPEND_DATA = 0x4;
        /// Read extended attributes.
        const FILE_READ_EA = 0x8;
        /// Write extended attributes.
        const FILE_WRITE_EA = 0x10;
        /// Execute; pass through a directory.
        const FILE_EXECUTE = 0x20;
        /// Delete what is in a directory.
        const FILE_DELETE_CHILD = 0x40;
        /// Read attributes.
        const FILE_READ_ATTRIBUTES = 0x80;
        /// Write attributes.
        const FILE_WRITE_ATTRIBUTES = 0x100;
        /// Delete.
        const DELETE = 0x1_0000;
        /// Read owner, group and DACL.
        const READ_CONTROL = 0x2_0000;
        /// Change the DACL.
        const WRITE_DAC = 0x4_0000;
        /// Change owner and group.
        const WRITE_OWNER = 0x8_0000;
        /// Wait for the handle.
        const SYNCHRONIZE = 0x10_0000;
        /// Read and write the SACL. Needs a privilege.
        const ACCESS_SYSTEM_SECURITY = 0x100_0000;
        /// As much as there is to get.
        const MAXIMUM_ALLOWED = 0x200_0000;
        /// Every right.
        const GENERIC_ALL = 0x1000_0000;
        /// What executing needs.
        const GENERIC_EXECUTE = 0x2000_0000;
        /// What writing needs.
        const GENERIC_WRITE = 0x4000_0000;
        /// What reading needs.
        const GENERIC_READ = 0x8000_0000;

        const _ = !0;
    }

    /// What others may do while a handle is open: `FILE_SHARE_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Share: u32 {
        /// Open it for reading.
        const READ = 0x1;
        /// Open it for writing.
        const WRITE = 0x2;
        /// Delete or rename it.
        const DELETE = 0x4;
    }

    /// `FILE_FLAG_*`. Flags that are only advice (sequential, random, write-through, …) are kept and do nothing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileFlags: u32 {
        /// Open the reparse point, not what it leads to.
        const OPEN_REPARSE_POINT = 0x0020_0000;
        /// The file goes when its last handle closes.
        const DELETE_ON_CLOSE = 0x0400_0000;
        /// Open for backup or restore; without it a directory cannot be opened.
        const BACKUP_SEMANTICS = 0x0200_0000;
        /// The handle has no position of its own.
        const OVERLAPPED = 0x4000_0000;
        /// No caching; `BackupRead` and `BackupWrite` refuse such a handle.
        const NO_BUFFERING = 0x2000_0000;

        const _ = !0;
    }
}

impl Access {
    /// `FILE_GENERIC_READ`: what GENERIC_READ means for a file.
    pub const FILE_GENERIC_READ: Self = Self::from_bits_retain(0x12_0089);
    /// `FILE_GENERIC_WRITE`: what GENERIC_WRITE means for a file.
    pub const FILE_GENERIC_WRITE: Self = Self::from_bits_retain(0x12_0116);
    /// `FILE_GENERIC_EXECUTE`: what GENERIC_EXECUTE means for a file.
    pub const FILE_GENERIC_EXECUTE: Self = Self::from_bits_retain(0x12_00A0);
    /// `FILE_ALL_ACCESS`: what GENERIC_ALL means for a file.
    pub const FILE_ALL_ACCESS: Self = Self::from_bits_retain(0x1F_01FF);

    /// Bits that no access mask may have (\[MS-FSA\] 2.1.5.1, phase 1).
    const RESERVED: Self = Self::from_bits_retain(0x0CE0_FE00);

    /// Rights to change something.
    pub(super) const WRITING: Self = Self::FILE_WRITE_DATA
        .union(Self::FILE_APPEND_DATA)
        .union(Self::FILE_WRITE_EA)
        .union(Self::FILE_DELETE_CHILD)
        .union(Self::FILE_WRITE_ATTRIBUTES)
        .union(Self::DELETE)
        .union(Self::WRITE_DAC)
        .union(Self::WRITE_OWNER);

    /// The rights that a handle gets: generic rights mapped, and what Win32 adds to every request.
    pub(super) fn granted(self, privileges: Privileges) -> Result<Self> {
        if self.intersects(Self::RESERVED) {
            return Err(Error::new(
                Win32Error::ACCESS_DENIED,
                "the access mask has reserved bits (0x0ce0fe00)",
            ));
        }
        let mut granted = self | Self::SYNCHRONIZE | Self::FILE_READ_ATTRIBUTES;
        for (generic, meaning) in [
            (Self::GENERIC_READ, Self::FILE_GENERIC_READ),
            (Self::GENERIC_WRITE, Self::FILE_GENERIC_WRITE),
            (Self::GENERIC_EXECUTE, Self::FILE_GENERIC_EXECUTE),
            (Self::GENERIC_ALL, Self::FILE_ALL_ACCESS),
            (Self::MAXIMUM_ALLOWED, Self::FILE_ALL_ACCESS),
        ] {
            if granted.contains(generic) {
                granted = (granted - generic) | meaning;
            }
        }
        if granted.contains(Self::ACCESS_SYSTEM_SECURITY) && !privileges.contains(Privileges::SECURITY) {
            return Err(Error::new(
                Win32Error::PRIVILEGE_NOT_HELD,
                "ACCESS_SYSTEM_SECURITY needs SeSecurityPrivilege (here: to be root)",
            ));
        }
        Ok(granted)
    }

    /// The share bits that others must have granted for this access.
    pub(super) fn needs_shared(self) -> Share {
        let mut share = Share::empty();
        share.set(Share::READ, self.intersects(Self::FILE_READ_DATA | Self::FILE_EXECUTE));
        share.set(Share::WRITE, self.intersects(Self::FILE_WRITE_DATA | Self::FILE_APPEND_DATA));
        share.set(Share::DELETE, self.contains(Self::DELETE));
        share
    }
}

bitflags! {
    /// Privileges of the caller. On Linux root has them all.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Privileges: u32 {
        /// SeBackupPrivilege.
        const BACKUP = 0x1;
        /// SeRestorePrivilege.
        const RESTORE = 0x2;
        /// SeSecurityPrivilege.
        const SECURITY = 0x4;
    }
}

/// What `CreateFile` does when the file exists, and when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
pub enum Disposition {
    /// Make it; fail with 80 when it exists.
    CreateNew = 1,
    /// Make it, or empty the one that exists.
    CreateAlways = 2,
    /// Open it; fail with 2 when it does not exist.
    #[default]
    OpenExisting = 3,
    /// Open it, or make it.
    OpenAlways = 4,
    /// Open it and empty it; needs GENERIC_WRITE.
    TruncateExisting = 5,
}

impl TryFrom<u32> for Disposition {
    type Error = Error;

    fn try_from(value: u32) -> Result<Self> {
        Ok(match value {
            1 => Self::CreateNew,
            2 => Self::CreateAlways,
            3 => Self::OpenExisting,
            4 => Self::OpenAlways,
            5 => Self::TruncateExisting,
            _ => return Err(Error::new(Win32Error::INVALID_PARAMETER, format!("no disposition is {value}"))),
        })
    }
}
