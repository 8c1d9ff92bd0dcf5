/*!
Files that Windows has compressed "for the system" (WOF, CompactOS): where their readers are plugged in.

The reparse point has the tag 0x80000017; the unnamed stream is one hole of the real size, and the stream
`WofCompressedData` has the content. Windows shows neither, so a reader who takes the hole for the content gets zeros:
the unnamed stream of such a file is an error until it can be decompressed.
*/

use ntbak_wire::reparse::ReparseTag;

use crate::attribute::AttributeType;
use crate::bytes::u32_at;
use crate::error::{Error, Problem, Result};
use crate::file::File;
use crate::stream::Stream;

/// `IO_REPARSE_TAG_WOF`.
const TAG: ReparseTag = ReparseTag(0x8000_0017);

/// Whether a reparse buffer is that of such a file.
pub(crate) fn is_wof(reparse: &[u8]) -> bool {
    u32_at(reparse, 0) == Some(TAG.0)
}

/// Whether the content of this stream is elsewhere.
pub(crate) fn is_elsewhere(stream: &Stream) -> bool {
    stream.kind() == AttributeType::DATA && stream.name().is_empty() && !stream.is_resident()
}

/// Reads content of the unnamed stream.
pub(crate) fn read_at(_file: &File, offset: u64, _buf: &mut [u8]) -> Result<usize> {
    let (what, hint) =
        ("content compressed by WOF", "read the stream WofCompressedData, or the hole with read_raw_at");
    Err(Error::new("stream", offset, Problem::Unsupported { what, hint }))
}
