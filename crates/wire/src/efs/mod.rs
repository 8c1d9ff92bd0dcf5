/*!
EFS: the raw export format, and the metadata that say who can open a file (\[MS-EFSR\] 2.2). Formats only: the
cryptography is in `ntbak-efs`.

The raw format is what `ReadEncryptedFileRaw` gives and `WriteEncryptedFileRaw` takes. All numbers are little-endian,
nothing is aligned, there is no end marker, no count and no checksum.

```text
raw data  := file header                                20 bytes
             stream header, segment…                    the metadata: exactly one, first
             (stream header, segment*)*                 the data streams
```

| file header | size | |
| --- | --- | --- |
| 0x00 | 4 | 00 01 00 00 |
| 0x04 | 8 | `ROBS` in UTF-16 |
| 0x0C | 8 | reserved, 0 |

| stream header | size | |
| --- | --- | --- |
| 0x00 | 4 | Length of the header with the name: 28 + N |
| 0x04 | 8 | `NTFS` in UTF-16 |
| 0x0C | 4 | Flag: 0 encrypted with the FEK, 1 not; nothing for the metadata |
| 0x10 | 8 | reserved, 0 |
| 0x18 | 4 | Name Length N in bytes; a NUL is not counted (seen on Windows 10; the specification has one) |
| 0x1C | N | `::$DATA`, `:name:$DATA`, or the number 0x1910 for the metadata |

| segment | size | |
| --- | --- | --- |
| 0x00 | 4 | Length of the segment, all of it |
| 0x04 | 8 | `GURE` in UTF-16 |
| 0x0C | 4 | reserved, 0 |
| 0x10 | H | the [encryption header](Segment), in encrypted streams only |
| … | | the metadata, ciphertext, or plain bytes |

[`Decoder`] and [`Encoder`] mirror each other; [`Export`] plans the whole of an export and gives it piece by piece.
[`Metadata`] is the view over `$EFS`, [`v1::Builder`] makes one.

What the format cannot tell: a file cut exactly between two segments. [`StreamEnd::open`] says when that may be.
*/

mod decode;
mod encode;
mod export;
mod metadata;
mod segment;
pub mod v1;
pub mod v2;
pub mod v3;

pub use decode::{Decoder, Event};
pub use encode::Encoder;
pub use export::{Content, Export, Piece, Segments, StreamPlan};
pub use metadata::{Holder, HolderKind, MAX_METADATA, MIN_METADATA, Metadata, Wrapping, check_len};
pub use segment::{MAX_SEGMENT, SECTOR, SEGMENT_DATA, Segment};

use crate::error::Error;
use crate::stream::StreamName;

/// The most data streams that raw data may have: more than the attribute list of NTFS (256 KiB) has room for.
pub const MAX_STREAMS: usize = 8192;

/// The first bytes of every raw export (\[MS-EFSR\] 2.2.3.2).
pub const SIGNATURE: [u8; 12] = *b"\x00\x01\x00\x00R\0O\0B\0S\0";

/// A data stream of raw data, before its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamHead {
    /// The name; `None` is the unnamed stream.
    pub name: Option<StreamName>,
    /// Whether the content is encrypted with the FEK (Flag 0).
    pub encrypted: bool,
}

/// What is known of a data stream when its last segment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StreamEnd {
    /// Size in bytes.
    pub size: u64,
    /// Valid data length in bytes, at most `size`: whatever lies past it reads as zeros once decrypted.
    pub vdl: u64,
    /// A segment said that the stream belongs to a sparse file.
    pub sparse: bool,
    /// There are parts below the valid data length without ciphertext, whether the stream is sparse or not: they read as
    /// zeros, and must not be decrypted.
    pub gaps: bool,
    /// The last segment was a full one, so nothing in the format tells whether another followed. True for every whole
    /// stream whose size is a multiple of 64 KiB, for one cut between two segments, and for plain streams.
    pub open: bool,
}

/// The file header: fixed but for its reserved bytes.
const FILE_HEADER: [u8; 20] = *b"\x00\x01\x00\x00R\0O\0B\0S\0\0\0\0\0\0\0\0\0";
/// Bytes of a stream header without its name.
const STREAM_HEADER: usize = 28;
/// Bytes of a segment before the encryption header or the payload.
const SEGMENT_HEADER: usize = 16;
/// Bytes that tell what follows: a length and a signature.
const ELEMENT: usize = 12;
const STREAM_SIGNATURE: &[u8; 8] = b"N\0T\0F\0S\0";
const SEGMENT_SIGNATURE: &[u8; 8] = b"G\0U\0R\0E\0";
/// The name of the metadata stream: 0x1910.
const METADATA_NAME: [u8; 2] = 0x1910_u16.to_le_bytes();
/// The most bytes of a name: `:`, 255 units, `:$DATA` and a NUL.
const MAX_NAME_SIZE: usize = (1 + StreamName::MAX_UNITS + 6 + 1) * 2;
/// The most bytes of a stream header: room for what nobody has seen, and a limit to what is passed over.
const MAX_STREAM_HEADER: u32 = 65_536;

fn fault(offset: u64, what: &'static str, found: u64, expected: &'static str) -> Error {
    Error::value(crate::error::Format::EfsRaw, offset, what, found, expected)
}
