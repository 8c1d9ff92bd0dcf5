//! What the first sectors of a partition say it is.

use std::fmt;

use crate::read_at::ReadAt;
use ntbak_wire::bytes::{array_at, slice_at, u16_at};

/// What a partition looks like, by its boot sector. Only NTFS is looked at more closely than its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// An NTFS boot sector.
    Ntfs,
    /// No NTFS boot sector at the start, and its backup in the last sector.
    NtfsBackup,
    /// A BitLocker volume, encrypted.
    BitLocker,
    /// ReFS.
    ReFs,
    /// exFAT.
    ExFat,
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// A LUKS volume, encrypted.
    Luks,
    /// None of these.
    Unknown,
    /// It could not be read.
    Unreadable,
}

/// Marks a BitLocker To Go volume (which has the boot sector of a FAT volume):
/// {4967D63B-2E29-4AD8-8399-F6A339E3D001}, and {92A84D3B-DD80-4D0E-9E4E-B1E3284EAED8} for used space only.
const FVE_GUIDS: [[u8; 16]; 2] = [
    [0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01],
    [0x3B, 0x4D, 0xA8, 0x92, 0x80, 0xDD, 0x0E, 0x4D, 0x9E, 0x4E, 0xB1, 0xE3, 0x28, 0x4E, 0xAE, 0xD8],
];

impl Content {
    /// What the `len` bytes of `disk` from `offset` on look like.
    pub(super) fn look(disk: &dyn ReadAt, offset: u64, len: u64) -> Self {
        let mut sector = [0; 512];
        if len < sector.len() as u64 {
            return Self::Unknown;
        }
        if disk.read_exact_at(offset, &mut sector).is_err() {
            return Self::Unreadable;
        }
        let first = Self::of_sector(&sector);
        if first != Self::Unknown {
            return first;
        }
        // The backup is in the last sector, of 512 or of 4096 bytes.
        for sector_size in [512, 4096] {
            let Some(last) = len.checked_sub(sector_size) else { continue };
            if disk.read_exact_at(offset.saturating_add(last), &mut sector).is_ok()
                && Self::of_sector(&sector) == Self::Ntfs
            {
                return Self::NtfsBackup;
            }
        }
        Self::Unknown
    }

    /// What this first sector belongs to.
    pub(super) fn of_sector(sector: &[u8]) -> Self {
        match slice_at(sector, 3, 8) {
            Some(b"NTFS    ") if ntfs_geometry(sector) => return Self::Ntfs,
            Some(b"-FVE-FS-") => return Self::BitLocker,
            Some(b"EXFAT   ") => return Self::ExFat,
            Some(b"ReFS\0\0\0\0") => return Self::ReFs,
            _ => {}
        }
        if [0x1A8, 0xA0]
            .into_iter()
            .filter_map(|at| array_at(sector, at))
            .any(|guid: [u8; 16]| FVE_GUIDS.contains(&guid))
        {
            return Self::BitLocker;
        }
        if sector.starts_with(b"LUKS\xBA\xBE") {
            return Self::Luks;
        }
        let signed = slice_at(sector, 510, 2) == Some(&[0x55, 0xAA]);
        let fat = slice_at(sector, 54, 3) == Some(b"FAT") || slice_at(sector, 82, 5) == Some(b"FAT32");
        if signed && fat { Self::Fat } else { Self::Unknown }
    }

    /// Whether an NTFS volume is there, damaged or not.
    #[must_use]
    pub fn is_ntfs(self) -> bool {
        matches!(self, Self::Ntfs | Self::NtfsBackup)
    }

    /// Whether it is a volume of some kind.
    pub(super) fn is_volume(self) -> bool {
        !matches!(self, Self::Unknown | Self::Unreadable)
    }
}

/// Whether the sizes of an NTFS boot sector can be right. The mark 55 AA at its end is not asked for: NTFS readers do
/// without, and volumes without it exist.
fn ntfs_geometry(sector: &[u8]) -> bool {
    let sector_size = u16_at(sector, 11).unwrap_or(0);
    let per_cluster = sector.get(13).copied().unwrap_or(0);
    (256..=4096).contains(&sector_size)
        && sector_size.is_power_of_two()
        && (per_cluster.is_power_of_two() || per_cluster > 0x80)
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ntfs => "NTFS",
            Self::NtfsBackup => "NTFS with a damaged boot sector",
            Self::BitLocker => "BitLocker, encrypted",
            Self::ReFs => "ReFS",
            Self::ExFat => "exFAT",
            Self::Fat => "FAT",
            Self::Luks => "LUKS, encrypted",
            Self::Unknown => "unknown content",
            Self::Unreadable => "unreadable",
        })
    }
}
