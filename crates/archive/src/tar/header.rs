//! One header block, read and written.

use super::{BLOCK, number};
use crate::error::{Error, Result};

/// A header block.
pub(crate) type Block = [u8; BLOCK];

const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const MTIME: (usize, usize) = (136, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const TYPEFLAG: (usize, usize) = (156, 1);
const LINK: (usize, usize) = (157, 100);
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);

/// The fields of a header block, as far as anybody uses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) typeflag: u8,
    pub(crate) size: u64,
    /// The whole field, type bits of go-winio included; `None` where it is no number.
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mtime: Option<i64>,
    /// `ustar` as GNU tar writes it.
    pub(crate) gnu: bool,
}

pub(crate) fn field(block: &Block, (at, len): (usize, usize)) -> &[u8] {
    block.get(at..at + len).unwrap_or_default()
}

fn field_mut(block: &mut Block, (at, len): (usize, usize)) -> &mut [u8] {
    block.get_mut(at..at + len).unwrap_or_default()
}

fn text(block: &Block, place: (usize, usize)) -> &[u8] {
    let field = field(block, place);
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl Header {
    /// Reads the block at `offset` of the archive.
    ///
    /// # Errors
    /// A wrong checksum, or a size that is no number.
    pub(crate) fn parse(block: &Block, offset: u64) -> Result<Self> {
        check_sum(block, offset)?;
        let size = number::parse(field(block, SIZE)).and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| {
            Error::malformed(offset + SIZE.0 as u64, "size in a tar header", "it is no number of bytes")
        })?;
        let magic = field(block, MAGIC);
        let (ustar, gnu) = (magic.starts_with(b"ustar\0"), magic == b"ustar  \0");
        let mut name = text(block, NAME).to_owned();
        let prefix = text(block, PREFIX);
        if ustar && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        let small = |place| number::parse(field(block, place)).and_then(|value| u32::try_from(value).ok());
        Ok(Self {
            name,
            link: text(block, LINK).to_owned(),
            typeflag: field(block, TYPEFLAG).first().copied().unwrap_or(0),
            size,
            mode: small(MODE),
            uid: small(UID),
            gid: small(GID),
            mtime: number::parse(field(block, MTIME)),
            gnu,
        })
    }
}

/// Whether the block is the end, or half of it.
pub(crate) fn is_zero(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Some old programs summed signed bytes.
fn check_sum(block: &Block, offset: u64) -> Result<()> {
    let stored = number::parse(field(block, CHECKSUM));
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (at, byte) in block.iter().enumerate() {
        let byte = if (CHECKSUM.0..CHECKSUM.0 + CHECKSUM.1).contains(&at) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    if stored == Some(unsigned) || stored == Some(signed) {
        return Ok(());
    }
    Err(Error::malformed(
        offset,
        "tar header",
        "its checksum is wrong: it is damaged, or this is no tar archive",
    ))
}

/// What is written into a header block.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    /// In two parts: the first one is a folder that the file is not in.
    pub(crate) name: [&'a [u8]; 2],
    pub(crate) link: &'a [u8],
    pub(crate) typeflag: u8,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: u64,
}

impl Fields<'_> {
    /// The block. Names that are too long are cut, what is not ASCII in them becomes `_`, and numbers that are too large
    /// become 0: an extended header has the true ones ([`fits_name`], [`fits_size`]).
    pub(crate) fn build(&self) -> Block {
        let mut block = [0; BLOCK];
        field_mut(&mut block, TYPEFLAG).fill(self.typeflag);
        field_mut(&mut block, MAGIC).copy_from_slice(b"ustar\x0000");
        for (place, value) in [
            (MODE, u64::from(self.mode)),
            (UID, u64::from(self.uid)),
            (GID, u64::from(self.gid)),
            (SIZE, self.size),
            (MTIME, self.mtime),
        ] {
            number::write(field_mut(&mut block, place), value);
        }
        field_mut(&mut block, CHECKSUM).fill(b' ');
        let [folder, name] = self.name;
        for (place, text) in [(NAME, folder.iter().chain(name)), (LINK, self.link.iter().chain(&[]))] {
            for (to, byte) in field_mut(&mut block, place).iter_mut().zip(text) {
                *to = if (0x20..0x7F).contains(byte) { *byte } else { b'_' };
            }
        }
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        // Six digits, NUL, space, as everybody writes it.
        number::write(field_mut(&mut block, (CHECKSUM.0, 7)), sum.into());
        block
    }
}

/// Whether a name or link name can stand in its field: short, ASCII, without NUL.
pub(crate) fn fits_name(name: &[u8]) -> bool {
    name.len() <= NAME.1 && name.iter().all(|byte| (0x20..0x7F).contains(byte))
}

pub(crate) fn fits_size(size: u64) -> bool {
    size < 1 << 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written() {
        let fields = Fields {
            name: [b"a", b"/b"],
            link: b"c",
            typeflag: b'2',
            size: 77,
            mode: 0o644,
            uid: 7,
            gid: 8,
            mtime: 99,
        };
        let header = Header::parse(&fields.build(), 0).unwrap();
        assert_eq!((header.name.as_slice(), header.link.as_slice()), (&b"a/b"[..], &b"c"[..]));
        assert_eq!((header.typeflag, header.size, header.mode), (b'2', 77, Some(0o644)));
        assert_eq!((header.uid, header.gid, header.mtime, header.gnu), (Some(7), Some(8), Some(99), false));
    }

    #[test]
    fn every_flipped_bit_breaks_the_checksum_but_those_of_its_own_field() {
        let block = Fields { name: [b"", b"name"], size: 5, typeflag: b'0', ..Fields::default() }.build();
        for bit in 0..BLOCK * 8 {
            let mut flipped = block;
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A leading zero may become a space, and nothing is read behind the digits.
            let own_field = (148..156).contains(&(bit / 8));
            assert!(Header::parse(&flipped, 0).is_err() || own_field, "bit {bit}");
        }
    }

    #[test]
    fn the_prefix_belongs_to_the_name_only_in_ustar() {
        let mut block = Fields { name: [b"", b"name"], typeflag: b'0', ..Fields::default() }.build();
        block[345..348].copy_from_slice(b"dir");
        let sum = |block: &mut Block| {
            block[148..156].fill(b' ');
            let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
            number::write(&mut block[148..155], sum);
        };
        sum(&mut block);
        assert_eq!(Header::parse(&block, 0).unwrap().name, b"dir/name");
        block[257..265].copy_from_slice(b"ustar  \0");
        sum(&mut block);
        let header = Header::parse(&block, 0).unwrap();
        assert_eq!((header.name.as_slice(), header.gnu), (&b"name"[..], true));
    }
}
