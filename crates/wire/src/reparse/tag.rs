//! Reparse tags.
//!
//! | bits | meaning |
//! | --- | --- |
//! | 31 | M: the tag is one of Microsoft; the buffer has no GUID |
//! | 30 | reserved, once "high latency" |
//! | 29 | N: name surrogate, the file stands for another named one |
//! | 28 | D: a directory with this tag can have children |
//! | 27..16 | reserved, though a few tags number their variants here |
//! | 15..0 | the value |
//!
//! Source: \[MS-FSCC\] 2.1.2.1; `DATALESS_CIM` from the Windows SDK.

use std::fmt;

/// The tag of a reparse point. Any value is kept; those that Microsoft documents have names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReparseTag(pub u32);

macro_rules! reparse_tags {
    ($($name:ident = $tag:literal, $text:literal;)*) => {
        impl ReparseTag {
            $(#[doc = concat!("`IO_REPARSE_TAG_", stringify!($name), "` (`", stringify!($tag), "`): ", $text, ".")]
            pub const $name: Self = Self($tag);)*

            /// The name in the Windows headers, when the tag has one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($tag => Some(concat!("IO_REPARSE_TAG_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

reparse_tags! {
    RESERVED_ZERO = 0x0000_0000, "reserved";
    RESERVED_ONE = 0x0000_0001, "reserved";
    RESERVED_TWO = 0x0000_0002, "reserved";
    MOUNT_POINT = 0xA000_0003, "a junction or a mounted volume";
    HSM = 0xC000_0004, "a file of Hierarchical Storage Management, obsolete";
    DRIVE_EXTENDER = 0x8000_0005, "a file of the drive extender of Home Server";
    HSM2 = 0x8000_0006, "a file of Hierarchical Storage Management, obsolete";
    SIS = 0x8000_0007, "a file of Single Instance Storage";
    WIM = 0x8000_0008, "a file in a mounted WIM image";
    CSV = 0x8000_0009, "a Cluster Shared Volume of Windows Server 2008 R2, obsolete";
    DFS = 0x8000_000A, "a link of the Distributed File System";
    FILTER_MANAGER = 0x8000_000B, "a test of the filter manager";
    SYMLINK = 0xA000_000C, "a symbolic link";
    IIS_CACHE = 0xA000_0010, "a file in the cache of Internet Information Services";
    DFSR = 0x8000_0012, "a file of DFS Replication";
    DEDUP = 0x8000_0013, "a file of Data Deduplication; its data are in a store elsewhere";
    APPXSTRM = 0xC000_0014, "not used";
    NFS = 0x8000_0014, "a symbolic link, device, FIFO or socket made by a client of NFS";
    FILE_PLACEHOLDER = 0x8000_0015, "a placeholder of Windows 8.1, obsolete";
    DFM = 0x8000_0016, "a file of the Dynamic File filter";
    WOF = 0x8000_0017, "a file of the Windows Overlay Filter: compressed, or backed by a WIM image";
    WCI = 0x8000_0018, "a file of Windows Container Isolation";
    WCI_1 = 0x9000_1018, "a file of Windows Container Isolation";
    GLOBAL_REPARSE = 0xA000_0019, "a named pipe of the host, seen from a container";
    CLOUD = 0x9000_001A, "a file of the Cloud Files filter, such as one of OneDrive";
    CLOUD_1 = 0x9000_101A, "a file of the Cloud Files filter";
    CLOUD_2 = 0x9000_201A, "a file of the Cloud Files filter";
    CLOUD_3 = 0x9000_301A, "a file of the Cloud Files filter";
    CLOUD_4 = 0x9000_401A, "a file of the Cloud Files filter";
    CLOUD_5 = 0x9000_501A, "a file of the Cloud Files filter";
    CLOUD_6 = 0x9000_601A, "a file of the Cloud Files filter";
    CLOUD_7 = 0x9000_701A, "a file of the Cloud Files filter";
    CLOUD_8 = 0x9000_801A, "a file of the Cloud Files filter";
    CLOUD_9 = 0x9000_901A, "a file of the Cloud Files filter";
    CLOUD_A = 0x9000_A01A, "a file of the Cloud Files filter";
    CLOUD_B = 0x9000_B01A, "a file of the Cloud Files filter";
    CLOUD_C = 0x9000_C01A, "a file of the Cloud Files filter";
    CLOUD_D = 0x9000_D01A, "a file of the Cloud Files filter";
    CLOUD_E = 0x9000_E01A, "a file of the Cloud Files filter";
    CLOUD_F = 0x9000_F01A, "a file of the Cloud Files filter";
    APPEXECLINK = 0x8000_001B, "an alias that starts an application of the Universal Windows Platform";
    PROJFS = 0x9000_001C, "a file of the Projected File System, such as one of VFS for Git";
    LX_SYMLINK = 0xA000_001D, "a symbolic link of the Windows Subsystem for Linux";
    STORAGE_SYNC = 0x8000_001E, "a file of Azure File Sync";
    STORAGE_SYNC_FOLDER = 0x9000_0027, "a directory of Azure File Sync";
    WCI_TOMBSTONE = 0xA000_001F, "a file deleted in a container";
    UNHANDLED = 0x8000_0020, "a file of Windows Container Isolation";
    ONEDRIVE = 0x8000_0021, "not used";
    PROJFS_TOMBSTONE = 0xA000_0022, "a file deleted in the Projected File System";
    AF_UNIX = 0x8000_0023, "a Unix domain socket";
    LX_FIFO = 0x8000_0024, "a FIFO of the Windows Subsystem for Linux";
    LX_CHR = 0x8000_0025, "a character special file of the Windows Subsystem for Linux";
    LX_BLK = 0x8000_0026, "a block special file of the Windows Subsystem for Linux";
    WCI_LINK = 0xA000_0027, "a link of Windows Container Isolation";
    WCI_LINK_1 = 0xA000_1027, "a link of Windows Container Isolation";
    DATALESS_CIM = 0xA000_0028, "a file in a mounted composite image";
}

impl ReparseTag {
    /// Whether Microsoft owns the tag (bit 31), so that the buffer has no GUID.
    #[must_use]
    pub fn is_microsoft(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Whether the file stands for another named one (bit 29), as a link does.
    #[must_use]
    pub fn is_name_surrogate(self) -> bool {
        self.0 & 0x2000_0000 != 0
    }

    /// Whether a directory with this tag can have children (bit 28); it says nothing about files.
    #[must_use]
    pub fn allows_children(self) -> bool {
        self.0 & 0x1000_0000 != 0
    }

    /// Whether the tag is 0, 1 or 2, which no reparse point may have.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self.0 <= Self::RESERVED_TWO.0
    }

    /// Whether the file may be a placeholder, with its data elsewhere: Cloud Files in any variant, Projected File
    /// System, Azure File Sync.
    #[must_use]
    pub fn is_placeholder(self) -> bool {
        let any_cloud = Self(self.0 & !0xF000) == Self::CLOUD;
        any_cloud || matches!(self, Self::PROJFS | Self::STORAGE_SYNC | Self::STORAGE_SYNC_FOLDER)
    }
}

/// The name in the Windows headers, or `reparse tag 0x…`.
impl fmt::Display for ReparseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "reparse tag {:#010X}", self.0),
        }
    }
}

impl fmt::Debug for ReparseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name}({:#010X})", self.0),
            None => write!(f, "ReparseTag({:#010X})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names_and_bits() {
        assert_eq!(ReparseTag::SYMLINK.to_string(), "IO_REPARSE_TAG_SYMLINK");
        assert_eq!(ReparseTag(0x8000_0017).name(), Some("IO_REPARSE_TAG_WOF"));
        assert_eq!(ReparseTag(0x1234).to_string(), "reparse tag 0x00001234");
        assert_eq!(format!("{:?}", ReparseTag::NFS), "IO_REPARSE_TAG_NFS(0x80000014)");

        let bits = |tag: ReparseTag| [tag.is_microsoft(), tag.is_name_surrogate(), tag.allows_children()];
        assert_eq!(bits(ReparseTag::SYMLINK), [true, true, false]);
        assert_eq!(bits(ReparseTag::CLOUD_6), [true, false, true]);
        assert_eq!(bits(ReparseTag(0x123)), [false, false, false]);
    }

    #[test]
    fn placeholders_are_known_in_all_variants() {
        for tag in
            [ReparseTag::CLOUD, ReparseTag::CLOUD_F, ReparseTag::PROJFS, ReparseTag::STORAGE_SYNC_FOLDER]
        {
            assert!(tag.is_placeholder(), "{tag}");
        }
        for tag in [ReparseTag::WCI_1, ReparseTag::PROJFS_TOMBSTONE, ReparseTag::SYMLINK, ReparseTag(0x1A)] {
            assert!(!tag.is_placeholder(), "{tag}");
        }
    }
}
