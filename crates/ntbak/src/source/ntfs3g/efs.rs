//! An encrypted file on a mount with `efs_raw`, as it is stored.

use ntbak_wire::Win32Error;
use ntbak_wire::efs::{Content as Planned, SECTOR, StreamHead, StreamPlan};
use ntbak_wire::record::{Extent, StreamFlags};
use rustix::fs::Advice;

use super::{Content, Ntfs3gSource};
use crate::efs::{Encrypted, TRAILER, true_size};
use crate::error::{Error, Result};
use crate::host::node::read_at;
use crate::host::{holes, ntfs3g};
use crate::source::FileSource;

/// The most ranges of a sparse stream: 64 MiB of memory for them.
const MAX_EXTENTS: usize = 1 << 22;

/// The view of one file.
pub(super) struct StoredFile<'s> {
    source: &'s Ntfs3gSource,
    metadata: Vec<u8>,
    streams: Vec<StreamPlan>,
}

impl<'s> StoredFile<'s> {
    /// What the mount shows of the file; `None` when it shows none.
    pub(super) fn open(source: &'s Ntfs3gSource) -> Result<Option<Self>> {
        let metadata = match source.node.xattr(ntfs3g::EFS_INFO) {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Ok(None),
            Err(error) => {
                let hint = "mount the volume with -o efs_raw: it shows encrypted files as they are";
                return Err(Error::io("reading what EFS keeps of the file", error).hint(hint));
            }
        };
        let cluster = rustix::fs::fstatvfs(source.node.fd()).map_or(4096, |found| found.f_bsize.max(512));
        let streams = source.streams.iter().enumerate().map(|(index, stream)| {
            let encrypted = stream.head.flags.contains(StreamFlags::ENCRYPTED);
            let content = Planned {
                cluster_shift: cluster.trailing_zeros() as u8,
                extents: source.ciphertext(index)?,
                ..Planned::plain(stream.head.size)
            };
            Ok(StreamPlan { head: StreamHead { name: stream.head.name.clone(), encrypted }, content })
        });
        let streams = streams.collect::<Result<Vec<_>>>()?;
        Ok(Some(Self { source, metadata, streams }))
    }
}

impl Ntfs3gSource {
    /// Finds out which streams are encrypted, and how long they are once decrypted.
    pub(super) fn find_true_sizes(&mut self) -> Result<()> {
        // Of the streams of a directory ntfs-3g marks none.
        if self.info.attributes.is_directory() {
            return Ok(());
        }
        for index in 0..self.streams.len() {
            let size = self.true_size(index)?;
            if let (Some(size), Some(stream)) = (size, self.streams.get_mut(index)) {
                (stream.head.size, stream.head.vdl) = (size, size);
                stream.head.flags |= StreamFlags::ENCRYPTED;
            }
        }
        Ok(())
    }

    /// Where a sparse stream has ciphertext: that is never 64 KiB of zeros.
    fn ciphertext(&self, index: usize) -> Result<Option<Vec<Extent>>> {
        let head = &self.at(index)?.head;
        if !head.flags.contains(StreamFlags::SPARSE | StreamFlags::ENCRYPTED) {
            return Ok(None);
        }
        let end = head.size.next_multiple_of(SECTOR);
        let mut extents = Vec::new();
        let mut from = 0;
        while let Some(extent) =
            holes::next_by_zeros(from, end, |offset, buffer| self.read_at(index, offset, buffer))?
        {
            if extents.len() == MAX_EXTENTS {
                // Taken as one, the rest would have zeros in it that are no ciphertext.
                let why = format!("it has more than {MAX_EXTENTS} ranges between holes");
                return Err(Error::new(Win32Error::NOT_SUPPORTED, why).at_offset(extent.offset));
            }
            from = extent.end().min(end);
            if extent.offset >= from {
                break;
            }
            extents.push(Extent { offset: extent.offset, len: from - extent.offset });
        }
        Ok(Some(extents))
    }

    /// The size of a stream once decrypted; `None` when it is not encrypted.
    fn true_size(&self, index: usize) -> Result<Option<u64>> {
        let stream = self.at(index)?;
        // Of an empty named stream ntfs-3g shows the trailer, and does not give it.
        if stream.stored == 0 || stream.stored == TRAILER && stream.head.name.is_some() {
            return Ok(Some(0));
        }
        let trailer = self.trailer(index, stream.stored).map_err(|error| {
            let hint = "ntfs-3g does not read what was never written of an encrypted file; read the volume's image instead";
            if error.win32() == Win32Error::INVALID_PARAMETER { error.hint(hint) } else { error }
        })?;
        Ok(trailer.and_then(|trailer| true_size(stream.stored, trailer)))
    }

    /// The last bytes of a stream. A read that begins behind the ciphertext fails with EIO, also one that the kernel makes
    /// because it has everything before it: so it must not have that.
    fn trailer(&self, index: usize, stored: u64) -> Result<Option<[u8; TRAILER as usize]>> {
        const TAIL: u64 = 8192;
        let begin = stored.saturating_sub(TAIL);
        let mut tail = vec![0; (stored - begin) as usize];
        let got = if let Content::Bytes(_) = &self.at(index)?.content {
            self.read_at(index, begin, &mut tail)?
        } else {
            let fd = self.descriptor(index)?;
            let _ = rustix::fs::fadvise(&*fd, 0, None, Advice::DontNeed);
            read_at(&*fd, begin, &mut tail).map_err(|error| Error::io("reading the content", error))?
        };
        Ok(if got == tail.len() { tail.last_chunk().copied() } else { None })
    }
}

impl Encrypted for StoredFile<'_> {
    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.streams
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }
}
