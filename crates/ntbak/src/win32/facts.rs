//! What the functions tell of a file, gathered once.

use ntbak_wire::record::{Extents, SmallKind, StreamFlags, Times};
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::{FileAttributes, Name};

use crate::error::Result;
use crate::source::FileSource;
use crate::win32::Node;

/// NTFS gives room in clusters of this many bytes, as most volumes are made.
const CLUSTER: u64 = 4096;

/// A file or directory as it was when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeFacts {
    /// FILE_ATTRIBUTE_NORMAL where there is no other.
    pub(super) attributes: FileAttributes,
    pub(super) times: Times,
    /// Of the unnamed stream.
    pub(super) size: u64,
    pub(super) allocated: u64,
    pub(super) links: u32,
    /// 0 where there is no reparse point.
    pub(super) reparse_tag: u32,
    pub(super) short: Option<Name>,
}

impl NodeFacts {
    pub(super) fn of(node: &dyn Node) -> Result<Self> {
        let source = node.source()?;
        let info = source.info()?;
        let (mut size, mut allocated) = (0, 0);
        if let Some(head) = source.stream(0)?.filter(|head| head.name.is_none()) {
            (size, allocated) = (head.size, allocation(&*source, 0, head.size, &head.extents, head.flags)?);
        }
        let mut reparse_tag = 0;
        let mut attributes = info.attributes - FileAttributes::NORMAL;
        if attributes.contains(FileAttributes::REPARSE_POINT)
            && let Some(buffer) = source.small(SmallKind::Reparse)?
        {
            reparse_tag = ReparseBuffer::parse(&buffer).map_or(0, |buffer| buffer.tag().0);
        }
        if attributes.is_empty() {
            attributes = FileAttributes::NORMAL;
        }
        let links = info.link_count.max(1);
        let short = info.short_name().cloned();
        Ok(Self { attributes, times: info.times, size, allocated, links, reparse_tag, short })
    }
}

/// Bytes that a stream takes on its volume; where that is not known, in clusters of 4 KiB.
pub(super) fn allocation(
    source: &dyn FileSource,
    stream: usize,
    size: u64,
    extents: &Extents,
    flags: StreamFlags,
) -> Result<u64> {
    if let Some(allocated) = source.allocated(stream) {
        return Ok(allocated);
    }
    let clusters = |bytes: u64| bytes.div_ceil(CLUSTER).saturating_mul(CLUSTER);
    if *extents == Extents::All || !flags.contains(StreamFlags::SPARSE) {
        return Ok(clusters(size));
    }
    let (mut allocated, mut from) = (0_u64, 0);
    while let Some(extent) = source.next_extent(stream, from)? {
        allocated = allocated.saturating_add(extent.len);
        from = extent.end();
    }
    Ok(clusters(allocated))
}
