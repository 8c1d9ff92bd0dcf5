//! An encrypted file in a directory, as it is stored: ciphertext with its trailer as ntfs-3g shows it.

use ntbak_wire::efs::{Content, SECTOR, StreamHead, StreamPlan};
use ntbak_wire::record::{Extent, StreamFlags};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Win32Error};

use super::DirectorySource;
use crate::efs::{Encrypted, TRAILER, true_size};
use crate::error::{Error, Result};
use crate::host::beside::NamedStream;
use crate::memory::StreamKey;
use crate::source::FileSource;

/// The most ranges of a sparse stream that are told apart.
const MAX_EXTENTS: usize = 1 << 20;
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
struct Told {
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
        let name = StreamKey::upper(name.name());
        let told = head.streams.iter().find(|(told, ..)| StreamKey::upper(told) == name);
        told.map_or(Told::default(), |(_, vdl, flags)| Told { vdl: *vdl, flags: *flags })
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
            if told.flags.contains(StreamFlags::SPARSE) {
                content.extents = Some(self.ciphertext(index, content.size.next_multiple_of(SECTOR))?);
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
            // Behind so many, the rest is taken as one.
            from = if extents.len() < MAX_EXTENTS { extent.end().min(end) } else { end };
            extents.push(Extent { offset: extent.offset, len: from - extent.offset });
        }
        self.trim(index, end, &mut extents)?;
        Ok(extents)
    }

    /// Takes what is no ciphertext from the last range: it shares the block in which the trailer is.
    fn trim(&self, index: usize, end: u64, extents: &mut Vec<Extent>) -> Result<()> {
        let Some(last) = extents.last_mut().filter(|last| last.end() == end) else { return Ok(()) };
        let mut sector = [0; SECTOR as usize];
        while last.len > 0 && end - last.end() < MAX_BLOCK {
            let begin = (last.end() - 1) / SECTOR * SECTOR;
            let got = self.read_at(index, begin, &mut sector)?;
            if got < sector.len() || begin < last.offset || sector.iter().any(|byte| *byte != 0) {
                break;
            }
            last.len = begin - last.offset;
        }
        if last.len == 0 {
            extents.pop();
        }
        Ok(())
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
