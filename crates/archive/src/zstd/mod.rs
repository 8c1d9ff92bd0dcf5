/*!
Compression: independent zstd frames, and a table at the end that tells where they are.

| bytes | what |
| --- | --- |
| any number of | zstd frames (RFC 8878), each of at most [`FRAME`] bytes of input, with its size and a checksum |
| one | skippable frame with the seek table |

The seek table, all integers little-endian:

| size | field |
| --- | --- |
| 4 | 0x184D2A5E |
| 4 | bytes that follow |
| 8 for each frame | its compressed size, its uncompressed size |
| 4 | number of frames |
| 1 | descriptor: bit 7 says that each entry has 4 more bytes, a checksum; we write 0 |
| 4 | 0x8F92EAB1 |

Source: zstd's `contrib/seekable_format/zstd_seekable_compression_format.md`. Every zstd program reads such a file and
passes the table over. [`Compressor`] writes it, [`Decompressor`] reads any zstd file forward only, [`Seekable`] goes
to any place in one with a table.
*/

mod compress;
mod decompress;
mod seekable;

pub use compress::Compressor;
pub use decompress::Decompressor;
pub use seekable::Seekable;

/// Bytes of input in one frame: 4 MiB.
pub const FRAME: usize = 4 << 20;

const FRAME_MAGIC: u32 = 0xFD2F_B528;
/// The low four bits of a skippable frame's magic number are free.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A50;
const TABLE_MAGIC: u32 = 0x184D_2A5E;
const TABLE_END_MAGIC: u32 = 0x8F92_EAB1;
/// Bytes behind the entries of a table.
const TABLE_FOOTER: usize = 9;

#[cfg(test)]
mod tests;
