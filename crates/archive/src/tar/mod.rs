/*!
The container: ustar blocks with PAX extended headers, whatever an entry may mean.

An archive is a sequence of blocks of 512 bytes. Each entry is a header block, then its data, filled up with zeros to
whole blocks. Two blocks of zeros are the end.

| offset | size | field |
| --- | --- | --- |
| 0 | 100 | name |
| 100 | 8 | mode |
| 108 | 8 | uid |
| 116 | 8 | gid |
| 124 | 12 | size of the data in bytes |
| 136 | 12 | mtime, seconds since 1970 |
| 148 | 8 | checksum: the sum of all bytes of the block, its own field taken as spaces |
| 156 | 1 | typeflag |
| 157 | 100 | link name |
| 257 | 8 | `ustar` NUL `00`; GNU tar: `ustar`, two spaces, NUL |
| 265 | 64 | owner and group by name |
| 329 | 16 | device numbers |
| 345 | 155 | prefix of the name, with a `/` between; GNU tar has other things there |

Numbers are octal digits, ended by a space or NUL; GNU tar writes what does not fit in base 256, with bit 7 of the
first byte set. Typeflags: `0` and NUL file, `1` hard link, `2` symbolic link, `5` directory, `x` extended header of
the next file, `g` of all that follow, `L` and `K` long name and link name of GNU tar, `S` its old sparse file.

An extended header is records `LENGTH KEY=VALUE\n`, LENGTH being the decimal number of bytes of the whole record. The
length rules: a value may have any byte, newlines too. A later record of a key replaces an earlier one; an empty value
takes a record of a global header back. `size` wins over the field of the header.

Sources: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Storing Sparse Files"
and "Basic Tar Format".

[`header`](self) in both directions, [`pax`], [`sparse`]; [`read`] and [`write`] are mirrors of each other.
*/

pub(crate) mod header;
pub(crate) mod input;
pub(crate) mod number;
pub(crate) mod output;
pub(crate) mod pax;
pub(crate) mod read;
pub(crate) mod sparse;
pub(crate) mod write;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// The bytes that fill `len` bytes up to whole blocks.
pub(crate) fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK as u64
}

/// Which bytes of the uncompressed archive an entry takes: from its first header block, extended headers included, to
/// its last padded block. The hash covers exactly these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) hash: [u8; 32],
}
