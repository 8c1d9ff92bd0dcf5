/*!
How a stream with holes is written (\[MS-BKUP\] 2.10, and what Windows was seen to do).

```text
DATA or ALTERNATE_DATA   attributes 8, Size 0
SPARSE_BLOCK             attributes 8, Size 8 + n, payload: u64 offset, n bytes   one for each allocated range
…
SPARSE_BLOCK             attributes 8, Size 8,     payload: u64 offset            the terminator: sets the end of file
```

| the stream | is written as |
| --- | --- |
| not sparse | one header, all its bytes; an empty unnamed stream: nothing |
| sparse, one range that covers it all | attributes 8 and all its bytes inside, no blocks |
| sparse and empty | attributes 8, Size 0, no blocks |
| sparse otherwise | as above, ascending and disjoint, then the terminator |

The terminator is in no specification; Windows writes it, and go-winio and BackupWrite read it.
*/

use super::{Header, StreamAttributes, StreamId};
use crate::name::Name;
use crate::record::{Extents, StreamFlags, StreamHead};

/// Bytes of the offset at the beginning of a SPARSE_BLOCK payload.
pub const OFFSET_LEN: u64 = 8;

/// The header that announces `head`, or `None` when such a stream is not written at all.
#[must_use]
pub fn announce(head: &StreamHead) -> Option<Header> {
    let sparse = head.flags.contains(StreamFlags::SPARSE);
    let size = if is_in_blocks(head) { 0 } else { head.size };
    let (id, name) = match &head.name {
        Some(name) => (StreamId::AlternateData, name.to_wire()),
        None if !sparse && head.size == 0 => return None,
        None => (StreamId::Data, Name::default()),
    };
    let attributes = if sparse { StreamAttributes::SPARSE } else { StreamAttributes::empty() };
    Some(Header { id, attributes, size, name })
}

/// Whether the bytes of `head` follow as SPARSE_BLOCKs with a terminator, instead of inside its own stream.
#[must_use]
pub fn is_in_blocks(head: &StreamHead) -> bool {
    head.extents != Extents::All
}

/// The header of a SPARSE_BLOCK with `len` bytes of content; its payload begins with the 8 bytes of the offset. With
/// `len` 0 it is the terminator.
#[must_use]
pub fn block_header(len: u64) -> Header {
    let size = len.saturating_add(OFFSET_LEN);
    Header::new(StreamId::SparseBlock, size).with_attributes(StreamAttributes::SPARSE)
}
