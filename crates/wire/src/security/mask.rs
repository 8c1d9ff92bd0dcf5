//! Access masks: what an ACE allows, denies or audits.
//!
//! | bits | rights |
//! | --- | --- |
//! | 0–15 | specific to the kind of object; here those of files |
//! | 16–20 | standard |
//! | 24–25 | ACCESS_SYSTEM_SECURITY, MAXIMUM_ALLOWED |
//! | 28–31 | generic |
//!
//! Source: `ACCESS_MASK`, \[MS-DTYP\] 2.4.3; the file rights are those of `FILE_ACCESS_MASK`, \[MS-SMB2\] 2.2.13.1.1.

bitflags::bitflags! {
    /// An access mask (32 bits). Bits without a name are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AccessMask: u32 {
        /// Reading the data of a file, or listing a directory.
        const FILE_READ_DATA = 0x0000_0001;
        /// Writing the data of a file, or adding a file to a directory.
        const FILE_WRITE_DATA = 0x0000_0002;
        /// Appending to a file, or adding a directory to a directory.
        const FILE_APPEND_DATA = 0x0000_0004;
        /// Reading extended attributes.
        const FILE_READ_EA = 0x0000_0008;
        /// Writing extended attributes.
        const FILE_WRITE_EA = 0x0000_0010;
        /// Executing a file, or traversing a directory.
        const FILE_EXECUTE = 0x0000_0020;
        /// Deleting what is in a directory.
        const FILE_DELETE_CHILD = 0x0000_0040;
        /// Reading attributes.
        const FILE_READ_ATTRIBUTES = 0x0000_0080;
        /// Writing attributes.
        const FILE_WRITE_ATTRIBUTES = 0x0000_0100;
        /// Deleting the object.
        const DELETE = 0x0001_0000;
        /// Reading the security descriptor without its SACL.
        const READ_CONTROL = 0x0002_0000;
        /// Writing the DACL.
        const WRITE_DAC = 0x0004_0000;
        /// Writing the owner.
        const WRITE_OWNER = 0x0008_0000;
        /// Waiting for the object.
        const SYNCHRONIZE = 0x0010_0000;
        /// Reading and writing the SACL.
        const ACCESS_SYSTEM_SECURITY = 0x0100_0000;
        /// As much as is allowed; has a meaning in a request only.
        const MAXIMUM_ALLOWED = 0x0200_0000;
        /// All generic rights.
        const GENERIC_ALL = 0x1000_0000;
        /// Generic execution.
        const GENERIC_EXECUTE = 0x2000_0000;
        /// Generic writing.
        const GENERIC_WRITE = 0x4000_0000;
        /// Generic reading.
        const GENERIC_READ = 0x8000_0000;
        /// What GENERIC_READ means for a file.
        const FILE_GENERIC_READ = 0x0012_0089;
        /// What GENERIC_WRITE means for a file.
        const FILE_GENERIC_WRITE = 0x0012_0116;
        /// What GENERIC_EXECUTE means for a file.
        const FILE_GENERIC_EXECUTE = 0x0012_00A0;
        /// What GENERIC_ALL means for a file.
        const FILE_ALL_ACCESS = 0x001F_01FF;
        const _ = !0;
    }
}

impl AccessMask {
    /// `SYSTEM_MANDATORY_LABEL_NO_WRITE_UP`, in a mandatory label ACE (\[MS-DTYP\] 2.4.4.13).
    pub const NO_WRITE_UP: Self = Self::from_bits_retain(0x1);
    /// `SYSTEM_MANDATORY_LABEL_NO_READ_UP`, in a mandatory label ACE.
    pub const NO_READ_UP: Self = Self::from_bits_retain(0x2);
    /// `SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP`, in a mandatory label ACE.
    pub const NO_EXECUTE_UP: Self = Self::from_bits_retain(0x4);
}
