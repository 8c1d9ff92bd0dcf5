/*!
Indexes: directories (`$I30`) and the tables of `$Secure`, `$ObjId` and others. All integers little-endian.

`$INDEX_ROOT` is a header and a node; `$INDEX_ALLOCATION` holds blocks, each a header, fixups and a node:

| root | block | size | field |
| --- | --- | --- | --- |
| 0 | | 4 | type of the attribute that is indexed, 0 for a table |
| 8 | | 4 | size of a block in bytes |
| | 0 | 4 | `INDX` |
| | 16 | 8 | VCN of the block itself |
| 16 | 24 | | node |

| node | size | field |
| --- | --- | --- |
| 0 | 4 | offset of the first entry, from here |
| 4 | 4 | bytes used, from here |
| 12 | 1 | 1 when entries have children |

| entry | size | field |
| --- | --- | --- |
| 0 | 8 | reference to the file; in a table u16 offset and u16 length of the data |
| 8 | 2 | length of the entry |
| 10 | 2 | length of the key |
| 12 | 2 | flags: 1 has a child, whose VCN is its last 8 bytes; 2 is the last of the node and has no key |
| 16 | | key |

Child VCNs count clusters, or 512 bytes where a cluster is larger than a block. Every block is looked at once only, so
an index that leads back into itself ends.
*/

use crate::attribute::AttributeType;
use crate::error::{Error, Result};
use crate::file::File;
use crate::fixup;
use crate::record::FileReference;
use crate::stream::Stream;
use ntbak_wire::bytes::{slice_at, u16_at, u32_at, u64_at};

/// The largest index block.
const MAX_BLOCK: u64 = 64 << 10;

/// One entry of an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'b> {
    /// The first 8 bytes: a file reference in a directory.
    pub(crate) head: u64,
    pub(crate) key: &'b [u8],
    /// Behind the key, in a table.
    pub(crate) data: &'b [u8],
    /// The whole entry.
    bytes: &'b [u8],
    has_child: bool,
    is_last: bool,
}

impl Entry<'_> {
    /// The file that an entry of a directory leads to.
    pub(crate) fn file(&self) -> FileReference {
        FileReference(self.head)
    }

    fn child(&self) -> Option<u64> {
        let at = self.bytes.len().checked_sub(8)?;
        self.has_child.then(|| u64_at(self.bytes, at)).flatten()
    }
}

/// An index of a file.
pub(crate) struct Index<'f> {
    file: &'f File,
    root: Vec<u8>,
    blocks: Option<&'f Stream>,
    /// Which blocks are in use.
    bitmap: Vec<u8>,
    block_size: usize,
    /// Bytes for which a VCN counts.
    vcn_size: u64,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Stop,
}

const ROOT_NODE: usize = 16;
const BLOCK_NODE: usize = 24;
const ENTRY_HEAD: usize = 16;

impl<'f> Index<'f> {
    /// The index of this name (UTF-16 units).
    pub(crate) fn open(file: &'f File, name: &[u16]) -> Result<Self> {
        let here = |error: Error| error.in_record(file.reference().record());
        let root = file.stream(AttributeType::INDEX_ROOT, name);
        let root = root.ok_or_else(|| here(Error::not_found("MFT record", "index of that name")))?;
        let root = file.read_all(root, 4096)?;
        let block_size = u32_at(&root, 8).unwrap_or(0);
        if !block_size.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block_size.into()) {
            let expected = "a power of two from 512 to 65536";
            return Err(here(Error::value("index root", 8, "size of a block", block_size.into(), expected)));
        }
        let blocks = file.stream(AttributeType::INDEX_ALLOCATION, name);
        if let Some(blocks) = blocks {
            file.check_clusters(blocks)?;
        }
        let bitmap = match (blocks, file.stream(AttributeType::BITMAP, name)) {
            (Some(blocks), Some(bitmap)) => bits(file, bitmap, blocks.size() / u64::from(block_size))?,
            _ => Vec::new(),
        };
        let cluster = u64::from(file.volume().geometry().cluster_size);
        let vcn_size = if cluster <= block_size.into() { cluster } else { 512 };
        Ok(Self { file, root, blocks, bitmap, block_size: block_size as usize, vcn_size })
    }

    /// Shows every entry, in no order: the root first, then the blocks as they lie, so that they are read in sequence
    /// and no pointer is believed. Faults go to `damage`, and the rest is shown.
    pub(crate) fn each(&self, damage: &mut dyn FnMut(Error), each: &mut dyn FnMut(Entry<'_>) -> Flow) {
        let mut show = |node: &[u8], at: u64, damage: &mut dyn FnMut(Error)| {
            for entry in Entries::new(node) {
                match entry {
                    Ok(entry) if entry.is_last => {}
                    Ok(entry) => {
                        if each(entry) == Flow::Stop {
                            return Flow::Stop;
                        }
                    }
                    Err(error) => damage(error.at(at)),
                }
            }
            Flow::Continue
        };
        if show(self.root.get(ROOT_NODE..).unwrap_or_default(), ROOT_NODE as u64, damage) == Flow::Stop {
            return;
        }
        let mut block = vec![0; self.block_size];
        let here = |error: Error| error.in_record(self.file.reference().record());
        let block_size = self.block_size as u64;
        // Holes have no blocks, whatever the bitmap says. A block may lie in two extents.
        let mut next = 0;
        for extent in self.blocks.into_iter().flat_map(Stream::extents) {
            let numbers = (extent.offset / block_size).max(next)..extent.end().div_ceil(block_size);
            next = numbers.end;
            for number in numbers.filter(|number| self.is_used(*number)) {
                match self.read_block(number, &mut block) {
                    Ok(()) => {
                        let node = block.get(BLOCK_NODE..).unwrap_or_default();
                        let at = number * block_size + BLOCK_NODE as u64;
                        if show(node, at, &mut |error| damage(here(error))) == Flow::Stop {
                            return;
                        }
                    }
                    Err(error) => damage(here(error)),
                }
            }
        }
    }

    fn is_used(&self, number: u64) -> bool {
        self.bitmap.get((number / 8) as usize).is_some_and(|byte| byte >> (number % 8) & 1 != 0)
    }

    /// Looks for a key: `compare` says how the key looked for stands to that of an entry. From node to node, so that
    /// few blocks are read.
    ///
    /// # Errors
    /// A block on the way is damaged, or leads back.
    pub(crate) fn find(
        &self,
        compare: &mut dyn FnMut(&Entry<'_>) -> std::cmp::Ordering,
        found: &mut dyn FnMut(Entry<'_>),
    ) -> Result<bool> {
        let here = |error: Error| error.in_record(self.file.reference().record());
        let mut block = Vec::new();
        let mut node = self.root.get(ROOT_NODE..).unwrap_or_default();
        // No tree of 2^32 blocks is deeper.
        for _ in 0..32 {
            let mut child = None;
            for entry in Entries::new(node) {
                let entry = entry.map_err(here)?;
                let order = if entry.is_last { std::cmp::Ordering::Less } else { compare(&entry) };
                match order {
                    std::cmp::Ordering::Equal => {
                        found(entry);
                        return Ok(true);
                    }
                    std::cmp::Ordering::Less => {
                        child = entry.child();
                        break;
                    }
                    std::cmp::Ordering::Greater => {}
                }
            }
            let Some(vcn) = child else { return Ok(false) };
            block.resize(self.block_size, 0);
            self.read_block(self.number(vcn).map_err(here)?, &mut block).map_err(here)?;
            node = block.get(BLOCK_NODE..).unwrap_or_default();
        }
        Err(here(Error::limit("index", "the depth of its tree", 33, 32)))
    }

    /// The number of the block at this VCN.
    fn number(&self, vcn: u64) -> Result<u64> {
        let at = vcn.checked_mul(self.vcn_size).filter(|at| at.is_multiple_of(self.block_size as u64));
        at.map(|at| at / self.block_size as u64)
            .ok_or_else(|| Error::value("index entry", 0, "VCN of its child", vcn, "the start of a block"))
    }

    fn read_block(&self, number: u64, block: &mut [u8]) -> Result<()> {
        let at = number * self.block_size as u64;
        let fault =
            |offset, what, found, expected| Error::value("index block", offset, what, found, expected).at(at);
        let used = self.is_used(number);
        let blocks = self.blocks.filter(|blocks| used && at + self.block_size as u64 <= blocks.size());
        let Some(blocks) = blocks else {
            return Err(fault(0, "number of a block", number, "one that is in use"));
        };
        let mut done = 0;
        while let Some(rest) = block.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += match self.file.read_at(blocks, at + done as u64, rest)? {
                0 => {
                    return Err(Error::truncated(
                        "index block",
                        at,
                        "it",
                        self.block_size as u64,
                        done as u64,
                    ));
                }
                got => got,
            };
        }
        if block.first_chunk() != Some(b"INDX") {
            return Err(fault(0, "magic number", u32_at(block, 0).unwrap_or(0).swap_bytes().into(), "INDX"));
        }
        let salvage = self.file.volume().options().salvage;
        fixup::apply("index block", block, salvage).map_err(|error| error.at(at))?;
        let vcn = u64_at(block, 16).unwrap_or(0);
        if vcn.checked_mul(self.vcn_size) != Some(at) {
            return Err(fault(16, "VCN", vcn, "that of the block"));
        }
        Ok(())
    }
}

/// The first bits of a bitmap, one for each of `count` blocks, as far as it has them.
fn bits(file: &File, bitmap: &Stream, count: u64) -> Result<Vec<u8>> {
    /// Of 4 TiB of blocks.
    const MAX_BITMAP: u64 = 128 << 20;
    let mut bytes = vec![0; count.div_ceil(8).min(bitmap.size()).min(MAX_BITMAP) as usize];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(bitmap, done as u64, rest)? {
            0 => break,
            got => done += got,
        }
    }
    Ok(bytes)
}

/// The entries of a node. A faulty one is the last.
struct Entries<'b> {
    node: &'b [u8],
    at: usize,
}

impl<'b> Entries<'b> {
    fn new(node: &'b [u8]) -> Self {
        let first = u32_at(node, 0).map_or(usize::MAX, |offset| offset as usize);
        let used = u32_at(node, 4).map_or(0, |used| used as usize);
        // Of a node that claims more than it has, what it has.
        let node = node.get(..used).unwrap_or(node);
        Self { node, at: first.max(ENTRY_HEAD) }
    }
}

impl<'b> Iterator for Entries<'b> {
    type Item = Result<Entry<'b>>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        if at == usize::MAX {
            return None;
        }
        self.at = usize::MAX;
        let rest = self.node.get(at..).unwrap_or_default();
        let entry = read(rest);
        match &entry {
            Some(entry) if !entry.is_last => self.at = at + entry.bytes.len(),
            _ => {}
        }
        Some(entry.ok_or_else(|| {
            let length = u16_at(rest, 8).unwrap_or(0);
            let expected = "an entry of at least 16 bytes within its node";
            Error::value("index entry", at as u64 + 8, "length of an entry", length.into(), expected)
        }))
    }
}

fn read(rest: &[u8]) -> Option<Entry<'_>> {
    let head = u64_at(rest, 0)?;
    let (length, key_length, flags) = (u16_at(rest, 8)?, u16_at(rest, 10)?, u16_at(rest, 12)?);
    let bytes = rest.get(..length.into()).filter(|bytes| bytes.len() >= ENTRY_HEAD)?;
    let (has_child, is_last) = (flags & 1 != 0, flags & 2 != 0);
    let key = if is_last { &[] } else { slice_at(bytes, ENTRY_HEAD, key_length.into())? };
    let data = slice_at(bytes, (head & 0xFFFF) as usize, (head >> 16 & 0xFFFF) as usize).unwrap_or_default();
    Some(Entry { head, key, data, bytes, has_child, is_last })
}
