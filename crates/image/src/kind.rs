//! What a file is, by its content: the containers that are read, and those that are known and refused.

use std::fmt;

use crate::error::{Error, Format, Result};
use crate::read_at::{ReadAt, clamp};
use ntbak_wire::bytes::{slice_at, u32_at};

/// The kind of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The disk as it is: a file, or a device.
    Raw,
    /// QEMU's qcow2, versions 2 and 3.
    Qcow2,
    /// Microsoft's VHD (Virtual PC), fixed or dynamic.
    Vhd,
    /// Microsoft's VHDX (Hyper-V).
    Vhdx,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw image",
            Self::Qcow2 => "qcow2 image",
            Self::Vhd => "VHD image",
            Self::Vhdx => "VHDX image",
        })
    }
}

/// How much of the start and of the end of a file is looked at.
const HEAD: usize = 512;

/// The first and the last bytes of a file, at most 512 each.
pub(crate) struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Ends {
    pub(crate) fn read(source: &dyn ReadAt) -> Result<Self> {
        let part = |offset: u64| {
            let mut bytes = vec![0; clamp(offset, HEAD, source.len())];
            source
                .read_exact_at(offset, &mut bytes)
                .map_err(|error| Error::io(Format::File, offset, error))?;
            Ok(bytes)
        };
        Ok(Self { head: part(0)?, tail: part(source.len().saturating_sub(HEAD as u64))? })
    }

    /// What the file is; what is known and not read is an error that says what to do.
    pub(crate) fn recognise(&self) -> Result<Kind> {
        let head = &self.head;
        if head.starts_with(b"QFI\xFB") {
            return Ok(Kind::Qcow2);
        }
        if head.starts_with(b"vhdxfile") {
            return Ok(Kind::Vhdx);
        }
        // Before Virtual PC 2004 the footer had 511 bytes.
        let tails = [Some(self.tail.as_slice()), self.tail.get(1..)];
        if head.starts_with(crate::vhd::COOKIE)
            || tails.into_iter().flatten().any(|tail| tail.starts_with(crate::vhd::COOKIE))
        {
            return Ok(Kind::Vhd);
        }
        match self.refused() {
            Some((what, advice)) => Err(Error::unsupported(Format::File, what, advice)),
            None => Ok(Kind::Raw),
        }
    }

    /// Whether it is a disk image by its container: of a kind that is read, or of one that is known and refused.
    pub(crate) fn is_disk(&self) -> bool {
        match self.recognise() {
            Ok(kind) => kind != Kind::Raw,
            Err(_) => self.refused_disk().is_some(),
        }
    }

    /// What is known, and not read: its name, and how to get a disk image out of it.
    fn refused(&self) -> Option<(&'static str, &'static str)> {
        self.refused_disk().or_else(|| {
            let found = OTHERS.iter().find(|(magic, ..)| self.head.starts_with(magic));
            if let Some(&(_, what, advice)) = found {
                return Some((what, advice));
            }
            (slice_at(&self.head, 257, 5) == Some(b"ustar")).then_some(("a tar archive", UNPACK))
        })
    }

    /// The same, of disk images.
    fn refused_disk(&self) -> Option<(&'static str, &'static str)> {
        let found = DISKS.iter().find(|(magic, ..)| self.head.starts_with(magic));
        if let Some(&(_, what, advice)) = found {
            return Some((what, advice));
        }
        if u32_at(&self.head, 0x40) == Some(0xBEDA_107F) {
            return Some(("a VDI image (VirtualBox)", QEMU_IMG));
        }
        if self.tail.starts_with(b"koly") {
            return Some(("a DMG image (Apple)", "convert it with: qemu-img convert -O raw IMAGE disk.raw"));
        }
        None
    }
}

const QEMU_IMG: &str = "convert it with: qemu-img convert -O qcow2 IMAGE disk.qcow2";
const EWF: &str =
    "mount it with: ewfmount IMAGE DIR, and open DIR/ewf1; or export it with: ewfexport -f raw IMAGE";
const LOGICAL: &str = "it holds files, not a disk: open it with the program that made it";
const UNPACK: &str = "unpack it, and open what is inside";
const COMPRESSED: &str = "decompress it first, for example with 7z x IMAGE";

/// Magic bytes at the start of a disk image that is not read, what it is, what to do.
const DISKS: &[(&[u8], &str, &str)] = &[
    (b"KDMV", "a VMDK image (VMware, sparse extent)", QEMU_IMG),
    (b"COWD", "a VMDK image (VMware ESX, copy on write)", QEMU_IMG),
    (
        b"# Disk DescriptorFile",
        "a VMDK descriptor (VMware)",
        "convert the whole disk with: qemu-img convert -O qcow2 IMAGE disk.qcow2; where it names one -flat.vmdk, that file \
         is a raw image and can be opened itself",
    ),
    (b"EVF\x09\x0D\x0A\xFF\x00", "an E01 image (EWF, EnCase)", EWF),
    (b"EVF2\x0D\x0A\x81\x00", "an Ex01 image (EWF2, EnCase 7)", EWF),
    (b"AFF10\r\n\0", "an AFF image", "convert it with: affconvert -r IMAGE"),
    (b"QED\0", "a QED image (QEMU)", QEMU_IMG),
    (b"WithoutFreeSpace", "a Parallels image", QEMU_IMG),
    (b"WithouFreSpacExt", "a Parallels image", QEMU_IMG),
    (
        b"\0ntfsclone-image",
        "an ntfsclone image",
        "restore it with: ntfsclone --restore-image --overwrite disk.raw IMAGE",
    ),
    (b"partclone-image", "a partclone image", "restore it with: partclone.restore -C -s IMAGE -O disk.raw"),
    (
        b"LUKS\xBA\xBE",
        "a LUKS volume (encrypted)",
        "unlock it with: cryptsetup open --readonly IMAGE NAME, and open /dev/mapper/NAME",
    ),
];

/// The same of files that may have a disk image in them, or the files of one.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (b"LVF\x09\x0D\x0A\xFF\x00", "an L01 logical evidence file (EnCase)", LOGICAL),
    (b"LEF2\x0D\x0A\x81\x00", "an Lx01 logical evidence file (EnCase 7)", LOGICAL),
    (b"ADSEGMENTEDFILE\0", "an AD1 logical image (FTK)", LOGICAL),
    (
        b"MSWIM\0\0\0",
        "a WIM archive (Windows image of files)",
        "it holds files, not a disk: apply it with: wimlib-imagex apply IMAGE DIR",
    ),
    (b"\x1F\x8B\x08", "a file compressed by gzip", COMPRESSED),
    (b"\xFD7zXZ\0", "a file compressed by xz", COMPRESSED),
    (b"\x28\xB5\x2F\xFD", "a file compressed by zstd", "decompress it first with: zstd -d IMAGE"),
    (b"BZh91AY&SY", "a file compressed by bzip2", COMPRESSED),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (b"PK\x03\x04", "a ZIP archive (or an AFF4 image, which is one)", UNPACK),
    (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
];
