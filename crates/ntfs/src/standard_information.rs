/*!
`$STANDARD_INFORMATION`: times, attributes, security id. Little-endian.

| offset | size | field |
| --- | --- | --- |
| 0, 8, 16, 24 | 8 | created, written, changed, accessed |
| 32 | 4 | attributes |
| 36, 40, 44 | 4 | maximum versions, version, class id |
| 48, 52 | 4 | owner id, security id |
| 56, 64 | 8 | quota charged, USN |

It ends at 48 on NTFS 1.2, and in system files and the root of every Windows. Sources: ntfs-3g, libfsntfs (for the two
versions that make a directory case-sensitive); seen on Windows 10.
*/

use ntbak_wire::record::Times;
use ntbak_wire::{FileAttributes, FileTime};
use zerocopy::little_endian::{I64, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use ntbak_wire::bytes::{u32_at, u64_at};

/// What `$STANDARD_INFORMATION` says of a file, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StandardInformation {
    /// The four times.
    pub times: Times,
    /// The attributes as they are on disk; [`File::attributes`](crate::File::attributes) has them as Windows shows them.
    pub attributes: FileAttributes,
    /// Maximum number of versions; see `version`.
    pub max_versions: u32,
    /// Version number. 1 with `max_versions` 0: a directory that is case-sensitive.
    pub version: u32,
    /// Class id.
    pub class_id: u32,
    /// What only the long form has.
    pub extended: Option<ExtendedInformation>,
}

/// What `$STANDARD_INFORMATION` has since NTFS 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtendedInformation {
    /// The owner in `$Quota`.
    pub owner_id: u32,
    /// The security descriptor in `$Secure`.
    pub security_id: u32,
    /// Bytes that count for the quota of the owner.
    pub quota_charged: u64,
    /// Update sequence number: where in `$UsnJrnl` the last change is.
    pub usn: u64,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    created: I64,
    written: I64,
    changed: I64,
    accessed: I64,
    attributes: U32,
    max_versions: U32,
    version: U32,
    class_id: U32,
}

/// `$I30` exists: a directory, in place of `FILE_ATTRIBUTE_DIRECTORY`. Not every directory has it.
const DIRECTORY: u32 = 0x1000_0000;
/// Another index exists.
const VIEW_INDEX: u32 = 0x2000_0000;

impl StandardInformation {
    /// Reads the value of the attribute; `None` when it is too short to be one.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = Layout::ref_from_prefix(value).ok()?;
        let extended = || {
            Some(ExtendedInformation {
                owner_id: u32_at(rest, 0)?,
                security_id: u32_at(rest, 4)?,
                quota_charged: u64_at(rest, 8)?,
                usn: u64_at(rest, 16)?,
            })
        };
        let time = |time: I64| Some(FileTime(time.get()));
        Some(Self {
            times: Times {
                created: time(head.created),
                written: time(head.written),
                accessed: time(head.accessed),
                changed: time(head.changed),
            },
            attributes: FileAttributes::from_bits_retain(head.attributes.get()),
            max_versions: head.max_versions.get(),
            version: head.version.get(),
            class_id: head.class_id.get(),
            extended: extended(),
        })
    }

    /// The security id, where there is one.
    #[must_use]
    pub fn security_id(&self) -> Option<u32> {
        self.extended.map(|extended| extended.security_id).filter(|id| *id >= 0x100)
    }

    /// Whether the names in this directory differ by case.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.max_versions == 0 && self.version == 1
    }
}

/// Attributes on disk as Windows shows them: the two bits of indexes go, and `DIRECTORY` is there for directories.
pub(crate) fn shown(on_disk: FileAttributes, is_directory: bool, is_reparse: bool) -> FileAttributes {
    let mut shown = on_disk - FileAttributes::from_bits_retain(DIRECTORY | VIEW_INDEX);
    shown.set(FileAttributes::DIRECTORY, is_directory);
    shown.set(FileAttributes::REPARSE_POINT, is_reparse);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntfs_45_any_time_is_kept() {
        for time in [0, 1, -1, i64::MIN, i64::MAX] {
            let mut value = [0; 48];
            value[8..16].copy_from_slice(&i64::to_le_bytes(time));
            assert_eq!(StandardInformation::parse(&value).unwrap().times.written, Some(FileTime(time)));
        }
    }

    #[test]
    fn ntfs_46_unknown_bits_stay_and_ntfs_47_index_bits_go() {
        let shown = |bits, directory| shown(FileAttributes::from_bits_retain(bits), directory, false).bits();
        assert_eq!(shown(0x8FC0_F8A7, false), 0x8FC0_F8A7);
        assert_eq!(shown(0x3000_0002, true), 0x12);
        assert_eq!(shown(0x1000_0410, false), 0);
    }

    #[test]
    fn ntfs_43_the_short_form_has_no_security_id() {
        let mut value = [0xFF; 72];
        assert_eq!(StandardInformation::parse(&value[..48]).unwrap().extended, None);
        assert_eq!(StandardInformation::parse(&value).unwrap().security_id(), Some(u32::MAX));
        value[52..56].copy_from_slice(&[0xFF, 0, 0, 0]);
        assert_eq!(StandardInformation::parse(&value).unwrap().security_id(), None);
        assert_eq!(StandardInformation::parse(&value[..47]), None);
    }

    #[test]
    fn ntfs_21_case_sensitive_directories() {
        let mut value = [0; 72];
        value[40] = 1;
        assert!(StandardInformation::parse(&value).unwrap().is_case_sensitive());
        value[36] = 1;
        assert!(!StandardInformation::parse(&value).unwrap().is_case_sensitive());
        assert!(!StandardInformation::parse(&[0; 72]).unwrap().is_case_sensitive());
    }
}
