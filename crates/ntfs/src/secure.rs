/*!
`$Secure`: every security descriptor of the volume once, by its security id. Entries of the stream `$SDS`:

| offset | size | field |
| --- | --- | --- |
| 0 | 4 | hash of the descriptor |
| 4 | 4 | security id, from 0x100 on |
| 8 | 8 | offset of this entry in `$SDS` |
| 16 | 4 | length of this entry: 20 and the descriptor |
| 20 | | the descriptor, self-relative |

Entries are aligned to 16 bytes. They fill blocks of 256 KiB; each second block is a copy of the one before it, which
is read where an entry is damaged. The hash adds each 4-byte word to the hash so far, which is rotated left by 3.
Source: ntfs-3g; seen on Windows 10. The index `$SII` says which of two entries with one id counts.
*/

use crate::attribute::AttributeType;
use crate::error::{Error, Problem, Result};
use crate::file::File;
use crate::index::{Flow, Index};
use crate::stream::Stream;
use crate::volume::{Volume, system_file};
use ntbak_wire::bytes::{u32_at, u64_at};

/// Bytes of a block; its copy has as many.
const BLOCK: u64 = 256 << 10;
const HEAD: usize = 20;
/// The largest entry that is believed.
const MAX_ENTRY: usize = 0x1_0000 + HEAD;
/// The least: a descriptor without owner, group and lists.
const MIN_ENTRY: usize = HEAD + 20;
/// The most bytes of descriptors that are held. The largest file servers have a tenth.
const MAX_BYTES: u64 = 256 << 20;

/// The security descriptors of a volume.
#[derive(Debug, Default)]
pub struct Secure {
    descriptors: Vec<u8>,
    /// Ordered by id.
    table: Vec<Slot>,
    damage: Vec<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    id: u32,
    /// Where in `descriptors`.
    start: u32,
    len: u32,
    /// Where in `$SDS`.
    offset: u64,
}

impl Secure {
    pub(crate) fn load(volume: &Volume) -> Result<Self> {
        let file = volume.file_in_record(system_file::SECURE)?;
        let name: Vec<u16> = "$SDS".encode_utf16().collect();
        let stream = file.stream(AttributeType::DATA, &name);
        let stream =
            stream.ok_or_else(|| Error::not_found("$Secure", "$SDS").in_record(system_file::SECURE))?;
        file.check_clusters(stream)?;
        let mut secure = Self::default();
        secure.read(&file, stream);
        secure.settle(&file);
        Ok(secure)
    }

    /// The descriptor with this id.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, id: u32) -> Result<&[u8]> {
        let found =
            self.table.binary_search_by_key(&id, |slot| slot.id).ok().and_then(|at| self.table.get(at));
        let bytes = found
            .and_then(|slot| self.descriptors.get(slot.start as usize..(slot.start + slot.len) as usize));
        bytes.ok_or_else(|| Error::new("$SDS", 0, Problem::SecurityId { id }).in_record(system_file::SECURE))
    }

    /// All ids with their descriptors, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.table.iter().filter_map(|slot| Some((slot.id, self.get(slot.id).ok()?)))
    }

    /// What of `$SDS` is damaged and was not to be had from the copies either.
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        &self.damage
    }

    fn hurt(&mut self, error: Error) {
        // More than anyone reads.
        if self.damage.len() < 1000 {
            self.damage.push(error.in_record(system_file::SECURE));
        }
    }

    /// Reads every block, holes aside.
    fn read(&mut self, file: &File, stream: &Stream) {
        let (mut block, mut copy) = (vec![0; BLOCK as usize], vec![0; BLOCK as usize]);
        let mut at = 0;
        while let Some(extent) = stream.next_extent(at) {
            // The start of the pair of blocks that the extent reaches.
            let start = extent.offset.max(at) / (2 * BLOCK) * (2 * BLOCK);
            at = start + 2 * BLOCK;
            if self.descriptors.len() as u64 > MAX_BYTES {
                self.hurt(Error::limit("$SDS", "its number of bytes", stream.size(), MAX_BYTES));
                return;
            }
            let read = fill(file, stream, start, &mut block);
            let second = fill(file, stream, start + BLOCK, &mut copy);
            if let Err(error) = read.and(second) {
                self.hurt(error);
            }
            self.parse_block(start, &block, &copy);
        }
    }

    fn parse_block(&mut self, start: u64, block: &[u8], copy: &[u8]) {
        let mut at = 0;
        // Where an entry is damaged, the next good one is looked for at every place where one can be. Behind the last one
        // anything may stand, so only what lies between two is damage; an id that is lost at the end is told when it is
        // asked for.
        let mut lost = None;
        while at + MIN_ENTRY <= block.len() {
            let offset = start + at as u64;
            let entry = [block, copy].into_iter().find_map(|block| entry(block, at, offset));
            if let Some((id, descriptor)) = entry {
                if let Some(from) = lost.take() {
                    self.hurt(damaged(from));
                }
                self.push(id, offset, descriptor);
                at = (at + HEAD + descriptor.len()).next_multiple_of(16);
                continue;
            }
            let empty =
                |block: &[u8]| block.get(at..at + HEAD).is_none_or(|head| head.iter().all(|byte| *byte == 0));
            if lost.is_none() && !(empty(block) && empty(copy)) {
                lost = Some(offset);
            }
            at += 16;
        }
    }

    fn push(&mut self, id: u32, offset: u64, descriptor: &[u8]) {
        let (Ok(start), Ok(len)) = (u32::try_from(self.descriptors.len()), u32::try_from(descriptor.len()))
        else {
            return;
        };
        self.descriptors.extend_from_slice(descriptor);
        self.table.push(Slot { id, start, len, offset });
    }

    /// Orders the table; of two different descriptors with one id, the one counts that `$SII` names.
    fn settle(&mut self, file: &File) {
        self.table.sort_by_key(|slot| (slot.id, slot.offset));
        let bytes = |slot: &Slot| self.descriptors.get(slot.start as usize..(slot.start + slot.len) as usize);
        let clash = |a: &Slot, b: &Slot| a.id == b.id && bytes(a) != bytes(b);
        let clashing: Vec<u32> =
            self.table.array_windows().filter(|[a, b]| clash(a, b)).map(|[a, _]| a.id).collect();
        if !clashing.is_empty() {
            let named = named_by_index(file);
            self.table.retain(|slot| {
                let by_index =
                    named.binary_search_by_key(&slot.id, |(id, _)| *id).ok().and_then(|at| named.get(at));
                clashing.binary_search(&slot.id).is_err()
                    || by_index.is_none_or(|(_, offset)| *offset == slot.offset)
            });
            for id in clashing {
                self.hurt(Error::value(
                    "$SDS",
                    0,
                    "security id of two descriptors",
                    id.into(),
                    "one for each",
                ));
            }
        }
        self.table.dedup_by_key(|slot| slot.id);
    }
}

/// Which entry of `$SDS` the index `$SII` names for each id: ordered by id.
fn named_by_index(file: &File) -> Vec<(u32, u64)> {
    let name: Vec<u16> = "$SII".encode_utf16().collect();
    let mut named = Vec::new();
    if let Ok(index) = Index::open(file, &name) {
        index.each(&mut |_| {}, &mut |entry| {
            // The data are the head of the entry in $SDS.
            if let (Some(id), Some(offset)) = (u32_at(entry.key, 0), u64_at(entry.data, 8)) {
                named.push((id, offset));
            }
            Flow::Continue
        });
    }
    named.sort_unstable();
    named
}

fn fill(file: &File, stream: &Stream, start: u64, block: &mut [u8]) -> Result<()> {
    block.fill(0);
    let mut done = 0;
    while let Some(rest) = block.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(stream, start + done as u64, rest)? {
            0 => break,
            got => done += got,
        }
    }
    Ok(())
}

/// The id and descriptor of the entry at byte `at` of a block, when there is a whole and true one.
fn entry(block: &[u8], at: usize, offset: u64) -> Option<(u32, &[u8])> {
    let head = block.get(at..)?;
    let (hash, id, own) = (u32_at(head, 0)?, u32_at(head, 4)?, u64_at(head, 8)?);
    let length = u32_at(head, 16)? as usize;
    if own != offset || !(MIN_ENTRY..=MAX_ENTRY).contains(&length) {
        return None;
    }
    let descriptor = head.get(HEAD..length)?;
    (hash_of(descriptor) == hash).then_some((id, descriptor))
}

/// The hash of a descriptor; bytes beyond its last whole word do not count.
fn hash_of(descriptor: &[u8]) -> u32 {
    let (words, _) = descriptor.as_chunks::<4>();
    words.iter().fold(0_u32, |hash, word| u32::from_le_bytes(*word).wrapping_add(hash.rotate_left(3)))
}

fn damaged(offset: u64) -> Error {
    Error::value(
        "$SDS",
        offset,
        "an entry",
        offset,
        "a whole one here or in the copy; its descriptor is lost",
    )
}
