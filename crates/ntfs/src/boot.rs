/*!
The boot sector: where everything begins. All integers little-endian.

| offset | size | field |
| --- | --- | --- |
| 3 | 8 | `NTFS    ` |
| 11 | 2 | bytes per sector |
| 13 | 1 | sectors per cluster; above 0x80 it is 2^(256 − n) |
| 40 | 8 | total sectors, the backup boot sector behind them not counted |
| 48 | 8 | first cluster of `$MFT` |
| 56 | 8 | first cluster of `$MFTMirr` |
| 64 | 1 | clusters per MFT record, signed; below 0 it is 2^−n bytes |
| 68 | 1 | clusters per index block, in the same way |
| 72 | 8 | serial number |
| 510 | 2 | 55 AA, which not every volume has |

Sources: ntfs-3g and the Linux drivers for the limits; seen on Windows 10 and in volumes of mkntfs.
*/

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::error::{Error, Result};

/// Bytes of a boot sector that mean something, whatever the size of a sector.
pub(crate) const BOOT_SIZE: usize = 512;

/// The largest cluster that Windows makes: 2 MiB.
const MAX_CLUSTER: u64 = 2 << 20;

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    _jump: [u8; 3],
    oem: [u8; 8],
    bytes_per_sector: U16,
    sectors_per_cluster: u8,
    _fat: [u8; 26],
    total_sectors: U64,
    mft_lcn: U64,
    mirror_lcn: U64,
    clusters_per_record: i8,
    _reserved1: [u8; 3],
    clusters_per_index_block: i8,
    _reserved2: [u8; 3],
    serial: U64,
}

/// The shape of a volume, as its boot sector tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// 256 to 4096.
    pub bytes_per_sector: u32,
    /// Bytes in a cluster: a power of two, one sector to 2 MiB.
    pub cluster_size: u32,
    /// How many whole clusters the volume has.
    pub clusters: u64,
    /// Sectors, the backup boot sector not counted.
    pub total_sectors: u64,
    /// Bytes in an MFT record: 512 to 4096.
    pub record_size: u32,
    /// Bytes in an index block, unless the index says otherwise.
    pub index_block_size: u32,
    /// First cluster of `$MFT`.
    pub mft_lcn: u64,
    /// First cluster of `$MFTMirr`.
    pub mirror_lcn: u64,
    /// The serial number; Windows shows its low 32 bits.
    pub serial: u64,
}

impl Geometry {
    /// Reads a boot sector.
    ///
    /// # Errors
    /// It is not one of NTFS, or describes a volume that cannot be.
    pub fn parse(sector: &[u8]) -> Result<Self> {
        let fault =
            |offset, what, found, expected| Error::value("boot sector", offset, what, found, expected);
        let Ok((boot, _)) = Layout::read_from_prefix(sector) else {
            return Err(Error::truncated("boot sector", 0, "it", BOOT_SIZE as u64, sector.len() as u64));
        };
        let oem = u64::from_be_bytes(boot.oem);
        match &boot.oem {
            b"NTFS    " => {}
            b"-FVE-FS-" => {
                return Err(fault(
                    3,
                    "OEM id",
                    oem,
                    "NTFS (the volume is locked by BitLocker: unlock it first)",
                ));
            }
            b"ReFS\0\0\0\0" => return Err(fault(3, "OEM id", oem, "NTFS (the volume is ReFS)")),
            _ => return Err(fault(3, "OEM id", oem, "NTFS")),
        }
        let bytes_per_sector = u64::from(boot.bytes_per_sector.get());
        if !bytes_per_sector.is_power_of_two() || !(256..=4096).contains(&bytes_per_sector) {
            return Err(fault(11, "bytes per sector", bytes_per_sector, "256, 512, 1024, 2048 or 4096"));
        }
        let raw = boot.sectors_per_cluster;
        let sectors_per_cluster = match raw {
            0..=0x80 => u64::from(raw),
            _ => 1_u64.checked_shl(256 - u32::from(raw)).unwrap_or(0),
        };
        let cluster_size = bytes_per_sector.saturating_mul(sectors_per_cluster);
        if !sectors_per_cluster.is_power_of_two() || cluster_size > MAX_CLUSTER {
            return Err(fault(13, "sectors per cluster", raw.into(), "a power of two, of 2 MiB at the most"));
        }
        let total_sectors = boot.total_sectors.get();
        let bytes = total_sectors.checked_mul(bytes_per_sector).filter(|bytes| i64::try_from(*bytes).is_ok());
        let clusters = total_sectors / sectors_per_cluster;
        if bytes.is_none() || clusters == 0 {
            return Err(fault(40, "total sectors", total_sectors, "1 cluster to 2^63 bytes"));
        }
        let (mft_lcn, mirror_lcn) = (boot.mft_lcn.get(), boot.mirror_lcn.get());
        if mft_lcn == 0 || mft_lcn >= clusters {
            return Err(fault(48, "first cluster of $MFT", mft_lcn, "a cluster of the volume"));
        }
        let record_size = block_size(boot.clusters_per_record, cluster_size);
        if !(512..=4096).contains(&record_size) {
            let found = u64::from(boot.clusters_per_record.cast_unsigned());
            return Err(fault(64, "clusters per MFT record", found, "a record of 512 to 4096 bytes"));
        }
        // Only a default: each index says its own.
        let index_block_size = match block_size(boot.clusters_per_index_block, cluster_size) {
            size @ 512..=65_536 => size,
            _ => 4096,
        };
        Ok(Self {
            bytes_per_sector: bytes_per_sector as u32,
            cluster_size: cluster_size as u32,
            clusters,
            total_sectors,
            record_size: record_size as u32,
            index_block_size: index_block_size as u32,
            mft_lcn,
            mirror_lcn,
            serial: boot.serial.get(),
        })
    }

    /// The size of the volume in bytes, without the backup boot sector.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.total_sectors.saturating_mul(self.bytes_per_sector.into())
    }

    /// How many records `$MFTMirr` has.
    pub(crate) fn mirrored_records(&self) -> u64 {
        u64::from(self.cluster_size / self.record_size).max(4)
    }

    /// Where a cluster begins on the volume.
    pub(crate) fn offset_of(&self, lcn: u64) -> u64 {
        lcn.saturating_mul(self.cluster_size.into())
    }
}

/// The size of a record or index block in bytes, 0 when it is none.
fn block_size(clusters: i8, cluster_size: u64) -> u64 {
    let size = match clusters {
        1.. => cluster_size * u64::from(clusters.unsigned_abs()),
        -31..=-9 => 1 << clusters.unsigned_abs(),
        _ => 0,
    };
    if size.is_power_of_two() { size } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 GiB, sectors of 512 bytes, clusters of 4096.
    fn sector() -> [u8; BOOT_SIZE] {
        let mut sector = [0; BOOT_SIZE];
        sector[3..11].copy_from_slice(b"NTFS    ");
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[13] = 8;
        sector[40..48].copy_from_slice(&0x1F_FFFF_u64.to_le_bytes());
        sector[48] = 4;
        sector[56] = 2;
        sector[64] = 0xF6;
        sector[68] = 1;
        sector
    }

    fn with(at: usize, bytes: &[u8]) -> Result<Geometry> {
        let mut sector = sector();
        sector[at..at + bytes.len()].copy_from_slice(bytes);
        Geometry::parse(&sector)
    }

    #[test]
    fn ntfs_2_cluster_sizes() {
        for (sectors, size) in
            [(1, 512), (2, 1024), (8, 4096), (0x80, 65_536), (0xF8, 131_072), (0xF4, 2 << 20)]
        {
            assert_eq!(with(13, &[sectors]).unwrap().cluster_size, size);
        }
        for bad in [0, 3, 0x7F, 0x81, 0xF3, 0xE0] {
            assert_eq!(with(13, &[bad]).unwrap_err().place.offset, 13, "{bad:#x}");
        }
        assert_eq!(with(68, &[0xF4]).unwrap().index_block_size, 4096);
    }

    #[test]
    fn ntfs_3_sectors_of_4096_bytes() {
        let mut sector = sector();
        sector[12] = 0x10;
        sector[13] = 0xF7;
        sector[64] = 0xF4;
        let geometry = Geometry::parse(&sector).unwrap();
        assert_eq!(
            (geometry.bytes_per_sector, geometry.cluster_size, geometry.record_size),
            (4096, 2 << 20, 4096)
        );
    }

    #[test]
    fn ntfs_8_no_55aa_is_fine() {
        let geometry = Geometry::parse(&sector()).unwrap();
        assert_eq!((geometry.clusters, geometry.record_size, geometry.size()), (0x3_FFFF, 1024, 0x3FFF_FE00));
        assert_eq!(geometry.mirrored_records(), 4);
    }

    #[test]
    fn hostile_17_impossible_sizes() {
        assert_eq!(with(64, &[0x80]).unwrap_err().place.offset, 64);
        assert_eq!(with(64, &[0]).unwrap_err().place.offset, 64);
        assert_eq!(with(64, &[2]).unwrap_err().place.offset, 64);
        for bad in [0_u16, 1, 128, 513, 768, 8192] {
            assert_eq!(with(11, &bad.to_le_bytes()).unwrap_err().place.offset, 11, "{bad}");
        }
    }

    #[test]
    fn hostile_18_sectors_beyond_any_volume() {
        for bad in [0_u64, 7, 1 << 63, u64::MAX] {
            assert_eq!(with(40, &bad.to_le_bytes()).unwrap_err().place.offset, 40, "{bad:#x}");
        }
        assert_eq!(with(48, &u64::MAX.to_le_bytes()).unwrap_err().place.offset, 48);
        assert!(with(3, b"-FVE-FS-").unwrap_err().to_string().contains("BitLocker"));
    }
}
