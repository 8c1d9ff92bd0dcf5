//! An encrypted file in a directory, as it is stored: ciphertext with its trailer as ntfs-3g shows it.

use ntbak_wire::efs::{Content, SECTOR, StreamHead, StreamPlan};
use ntbak_wire::record::{Extent, StreamFlags};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use super::DirectorySource;
use crate::efs::{Encrypted, TRAILER, true_size};
use crate::error::{Error, Result};
use crate::host::beside::NamedStream;
use crate::memory::StreamKey;
use crate::source::FileSource;

/// The most ranges of a sparse stream: 64 MiB of memory for them.
const MAX_EXTENTS: usize = 1 << 22;
/// Bytes of the largest block of a file system that is counted on.
const MAX_BLOCK: u64 = 65_536;
/// What is taken where nobody wrote down the cluster size.
const CLUSTER_SHIFT: u8 = 12;

/// The view of one file.
pub(super) struct StoredFile<'s> {
    source: &'s DirectorySource,
    metadata: &'s [u8],
    streams: Vec<StreamPlan>,
}

/// What the side file says of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    vdl: Option<u64>,
    flags: StreamFlags,
}

impl<'s> StoredFile<'s> {
    /// What there is beside the content; `None` when the file is not encrypted.
    pub(super) fn open(source: &'s DirectorySource) -> Result<Option<Self>> {
        let Some(metadata) = source.beside.efs() else { return Ok(None) };
        let mut streams = Vec::new();
        while let Some(plan) = source.plan(streams.len())? {
            streams.push(plan);
        }
        Ok(Some(Self { source, metadata, streams }))
    }
}

impl DirectorySource {
    /// Marks the file and its streams as encrypted, and finds out how long they are once decrypted.
    pub(super) fn find_true_sizes(&mut self) -> Result<()> {
        if self.beside.efs().is_none() {
            return Ok(());
        }
        self.info.attributes |= FileAttributes::ENCRYPTED;
        if self.unnamed.is_some() {
            let told = self.told(None);
            let size = if self.is_encrypted(None, told) { self.true_size(0)? } else { None };
            if let (Some(size), Some(head)) = (size, &mut self.unnamed) {
                (head.size, head.vdl) = (size, told.vdl.unwrap_or(size).min(size));
                head.flags |= StreamFlags::ENCRYPTED;
            }
        }
        Ok(())
    }

    /// What the side file says of a stream; nothing when the content has changed since.
    fn told(&self, name: Option<&StreamName>) -> Told {
        let Some(head) = self.beside.head() else { return Told::default() };
        let Some(name) = name else {
            let flags = if self.fresh { head.flags } else { StreamFlags::ENCRYPTED };
            return Told { vdl: head.vdl.filter(|_| self.fresh), flags };
        };
        let index = || {
            let told = |(name, vdl, flags): &(Name, _, _)| {
                (StreamKey::upper(name), Told { vdl: *vdl, flags: *flags })
            };
            // Of two of a name, the first.
            head.streams.iter().rev().map(told).collect()
        };
        self.told.get_or_init(index).get(&StreamKey::upper(name.name())).copied().unwrap_or_default()
    }

    /// Whether what the side file says of a stream can be believed.
    fn is_told(&self, index: usize) -> bool {
        let told = self.beside.head().is_some_and(|head| head.flags.contains(StreamFlags::ENCRYPTED));
        !self.is_unnamed(index) || self.fresh && told
    }

    /// Whether a stream is ciphertext: without a side file the unnamed one is, as on ntfs-3g.
    fn is_encrypted(&self, name: Option<&StreamName>, told: Told) -> bool {
        let unnamed_alone = name.is_none() && self.beside.head().is_none_or(|head| head.attributes.is_none());
        told.flags.contains(StreamFlags::ENCRYPTED) || unnamed_alone
    }

    fn plan(&self, index: usize) -> Result<Option<StreamPlan>> {
        let Some(head) = self.stream(index)? else { return Ok(None) };
        let told = self.told(head.name.as_ref());
        let encrypted = self.is_encrypted(head.name.as_ref(), told);
        let mut content = Content::plain(head.size);
        let mut is_encrypted = encrypted;
        if encrypted {
            match self.true_size(index)? {
                Some(size) => content = Content::plain(size),
                // Somebody has written something else there.
                None => is_encrypted = false,
            }
            content.vdl = told.vdl.unwrap_or(content.size).min(content.size);
            let shift = self.beside.head().and_then(|head| head.efs_cluster_shift);
            content.cluster_shift = shift.unwrap_or(CLUSTER_SHIFT);
            let end = content.size.next_multiple_of(SECTOR);
            if told.flags.contains(StreamFlags::SPARSE) {
                content.extents = Some(self.ciphertext(index, end)?);
            } else if !self.is_told(index) && end > 0 {
                // Nobody says where ciphertext is: it was touched, or copied without its side file. A hole is none.
                let extents = self.ciphertext(index, end)?;
                content.extents = (extents != [Extent { offset: 0, len: end }]).then_some(extents);
            }
        }
        let head = StreamHead { name: head.name, encrypted: is_encrypted };
        Ok(Some(StreamPlan { head, content }))
    }

    /// Where a stream has ciphertext, up to `end`.
    fn ciphertext(&self, index: usize, end: u64) -> Result<Vec<Extent>> {
        let mut extents = Vec::new();
        let mut from = 0;
        while let Some(extent) = self.next_extent(index, from)?.filter(|extent| extent.offset < end) {
            if extents.len() == MAX_EXTENTS {
                // Taken as one, the rest would have zeros in it that are no ciphertext.
                let why = format!("it has more than {MAX_EXTENTS} ranges between holes");
                return Err(Error::new(Win32Error::NOT_SUPPORTED, why).at_offset(extent.offset));
            }
            from = extent.end().min(end);
            extents.extend(self.trim(index, Extent { offset: extent.offset, len: from - extent.offset })?);
        }
        Ok(extents)
    }

    /// A range without what is no ciphertext at its edges: it shares a block of the file system with a hole, the part past
    /// the valid data length, or the trailer. A sector of zeros is none.
    fn trim(&self, index: usize, extent: Extent) -> Result<Option<Extent>> {
        let (mut begin, mut end) = (extent.offset, extent.end());
        while begin < end && extent.end() - end < MAX_BLOCK {
            let last = (end - 1) / SECTOR * SECTOR;
            if !self.is_zeros(index, last)? {
                break;
            }
            end = last.max(begin);
        }
        while begin < end && begin - extent.offset < MAX_BLOCK && self.is_zeros(index, begin)? {
            begin += SECTOR;
        }
        Ok((begin < end).then(|| Extent { offset: begin, len: end - begin }))
    }

    fn is_zeros(&self, index: usize, offset: u64) -> Result<bool> {
        let mut sector = [0; SECTOR as usize];
        let got = self.read_at(index, offset, &mut sector)?;
        Ok(got == sector.len() && sector.iter().all(|byte| *byte == 0))
    }

    /// How many bytes of a stream there are.
    fn stored(&self, index: usize) -> u64 {
        if self.is_unnamed(index) {
            return self.stored_size;
        }
        match self.named(index).and_then(|named| self.beside.stream(named)) {
            Some(NamedStream::Side(_, stream)) => stream.head.size,
            Some(NamedStream::Attribute(stream)) => stream.size,
            Some(NamedStream::Depot(_, stream)) => stream.head.size,
            None => 0,
        }
    }

    /// The size of an encrypted stream once decrypted; `None` when it cannot be one.
    fn true_size(&self, index: usize) -> Result<Option<u64>> {
        let stored = self.stored(index);
        if stored == 0 {
            return Ok(Some(0));
        }
        let mut trailer = [0; TRAILER as usize];
        let got = self.read_at(index, stored.saturating_sub(TRAILER), &mut trailer)?;
        let size = if got == trailer.len() { true_size(stored, trailer) } else { None };
        if size.is_none() && self.is_unnamed(index) {
            let why =
                "what EFS keeps of the file is there, but the content is no ciphertext with its trailer";
            return Err(Error::new(Win32Error::INVALID_DATA, why).hint(
                "the content was changed; remove the attribute user.ntfs.efsinfo to back it up as it is",
            ));
        }
        Ok(size)
    }
}

impl Encrypted for StoredFile<'_> {
    fn metadata(&self) -> &[u8] {
        self.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.streams
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }
}
