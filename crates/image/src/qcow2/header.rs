//! The header of a qcow2 image; its layout is in the [parent module](super).

use super::FORMAT;
use crate::error::{Error, Result};
use crate::read_at::{ReadAt, clamp};
use ntbak_wire::bytes::{slice_at, u32_be_at, u64_be_at};

/// The fields that are needed, checked.
pub(crate) struct Header {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) l1_at: u64,
    pub(super) l1_entries: u64,
    pub(super) snapshots: u32,
    pub(super) dirty: bool,
    pub(super) corrupt: bool,
    pub(super) zstd: bool,
    /// L2 entries have 16 bytes, and clusters 32 parts.
    pub(super) extended_l2: bool,
    /// What lies below the image.
    pub(crate) backing: Option<Backing>,
}

/// The file below an image, as the image names it.
pub(crate) struct Backing {
    /// Its name: a path, or something of QEMU's own (`json:…`, `nbd://…`).
    pub(crate) name: String,
    /// Its format, if the image says.
    pub(crate) format: Option<String>,
}

const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// QEMU's limit: an L1 table of 32 MiB.
const MAX_L1: u64 = 4 << 20;

/// More of the start of a file than header, extensions and the name of the backing file can have.
const MAX_HEAD: usize = 64 << 10;

impl Header {
    /// Reads and checks the header.
    pub(crate) fn read(source: &dyn ReadAt) -> Result<Self> {
        let mut head = vec![0; clamp(0, MAX_HEAD, source.len())];
        source.read_exact_at(0, &mut head).map_err(|error| Error::io(FORMAT, 0, error))?;
        let cut = || Error::truncated(FORMAT, 0, "the header", 104, source.len());
        let word = |at| u32_be_at(&head, at).ok_or_else(cut);
        let long = |at| u64_be_at(&head, at).ok_or_else(cut);
        let bad =
            |at, what, found, expected: &'static str| Err(Error::value(FORMAT, at, what, found, expected));

        let version = word(4)?;
        if !matches!(version, 2 | 3) {
            return Err(Error::unsupported(
                FORMAT,
                format!("a qcow image of version {version}"),
                "convert it with: qemu-img convert -O qcow2 IMAGE disk.qcow2",
            ));
        }
        let features = if version == 3 { long(72)? } else { 0 };
        let header_len = if version == 3 { word(100)? } else { 72 };
        if features & EXTERNAL_DATA != 0 {
            return Err(Error::unsupported(
                FORMAT,
                "a qcow2 image whose data are in another file",
                "make it one file with: qemu-img convert -O qcow2 IMAGE disk.qcow2",
            ));
        }
        let unknown = features & !(DIRTY | CORRUPT | COMPRESSION | EXTENDED_L2);
        if unknown != 0 {
            return Err(Error::unsupported(
                FORMAT,
                format!("a qcow2 image with features that ntbak does not know ({unknown:#x})"),
                "convert it with: qemu-img convert -O qcow2 -o compat=1.1 IMAGE disk.qcow2",
            ));
        }
        if word(32)? != 0 {
            return Err(Error::unsupported(
                FORMAT,
                "an encrypted qcow2 image",
                "decrypt it with: qemu-img convert --object secret,id=key,file=PASSWORD --image-opts \
                 driver=qcow2,encrypt.key-secret=key,file.filename=IMAGE -O qcow2 disk.qcow2",
            ));
        }
        let cluster_bits = word(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return bad(20, "log2 of the size of a cluster", u64::from(cluster_bits), "9 to 21");
        }
        let extended_l2 = features & EXTENDED_L2 != 0;
        if extended_l2 && cluster_bits < 14 {
            return bad(
                20,
                "log2 of the size of a cluster",
                u64::from(cluster_bits),
                "14 to 21 with subclusters",
            );
        }
        let compression = if features & COMPRESSION == 0 { Some(0) } else { head.get(104).copied() };
        let zstd = match compression.filter(|_| features & COMPRESSION == 0 || header_len > 104) {
            Some(0) => false,
            Some(1) => true,
            Some(other) => return bad(104, "kind of compression", u64::from(other), "0 deflate, 1 zstd"),
            None => return bad(100, "size of the header", u64::from(header_len), "more than 104"),
        };

        let size = long(24)?;
        let l1_entries = u64::from(word(36)?);
        let l1_at = long(40)?;
        // Each entry of the L1 table is for an L2 table, and that is one cluster of entries.
        let per_l2 = 1u64 << (cluster_bits - if extended_l2 { 4 } else { 3 });
        let needed = size.div_ceil(per_l2 << cluster_bits);
        if l1_entries > MAX_L1 || l1_entries < needed {
            return bad(
                36,
                "entries of the L1 table",
                l1_entries,
                "as many as the disk needs, at most 4194304",
            );
        }
        if !l1_at.is_multiple_of(1 << cluster_bits) || (l1_at == 0 && l1_entries > 0) {
            return bad(40, "offset of the L1 table", l1_at, "a cluster of the file");
        }
        let available = source.len().saturating_sub(l1_at);
        if available < l1_entries * 8 {
            return Err(Error::truncated(FORMAT, l1_at, "the L1 table", l1_entries * 8, available));
        }
        let backing = Self::backing(&head, header_len, cluster_bits)?;
        Ok(Self {
            version,
            cluster_bits,
            size,
            l1_at,
            l1_entries,
            snapshots: word(60)?,
            dirty: features & DIRTY != 0,
            corrupt: features & CORRUPT != 0,
            zstd,
            extended_l2,
            backing,
        })
    }

    /// Bytes of a cluster.
    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    fn backing(head: &[u8], header_len: u32, cluster_bits: u32) -> Result<Option<Backing>> {
        let at = u64_be_at(head, 8).unwrap_or(0);
        let len = u32_be_at(head, 16).unwrap_or(0);
        if at == 0 {
            return Ok(None);
        }
        if len > 1023 || at > 1 << cluster_bits {
            return Err(Error::value(
                FORMAT,
                8,
                "name of the backing file",
                at,
                "at most 1023 bytes in the first cluster",
            ));
        }
        let Some(name) = usize::try_from(at).ok().and_then(|at| slice_at(head, at, len as usize)) else {
            return Err(Error::truncated(FORMAT, at, "the name of the backing file", u64::from(len), 0));
        };
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Some(Backing { name, format: extension(head, header_len as usize, 0xE279_2ACA) }))
    }
}

/// The text of a header extension.
fn extension(head: &[u8], mut at: usize, wanted: u32) -> Option<String> {
    // Each extension takes at least 8 of the at most 64 KiB.
    loop {
        let (kind, len) = (u32_be_at(head, at)?, u32_be_at(head, at.checked_add(4)?)? as usize);
        let data_at = at.checked_add(8)?;
        match kind {
            0 => return None,
            _ if kind == wanted => {
                return Some(String::from_utf8_lossy(slice_at(head, data_at, len)?).into_owned());
            }
            _ => at = data_at.checked_add(len.checked_next_multiple_of(8)?)?,
        }
    }
}
