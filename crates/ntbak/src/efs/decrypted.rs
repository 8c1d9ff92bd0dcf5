//! The plaintext of an encrypted file, for who has a key.

use std::borrow::Cow;

use ntbak_efs::{KeyRing, Opened, SectorCipher};
use ntbak_wire::efs::{Metadata, SECTOR, StreamPlan};
use ntbak_wire::record::{Extent, Extents, FileInfo, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::report::FileReport;
use crate::source::{Facet, FileSource, LinuxAttribute};

/// A source that shows an encrypted one as if it were not. Holes stay holes, and what lies past the valid data length is
/// zeros.
pub struct Decrypted<S> {
    source: S,
    streams: Vec<StreamPlan>,
    cipher: SectorCipher,
    opened: Opened,
}

impl<S: FileSource> Decrypted<S> {
    /// The plaintext of `source` by a key of the ring.
    ///
    /// # Errors
    /// It is not encrypted (6007); no key opens it (6002, 6006), or the metadata are of a version that nobody outside of
    /// Windows decrypts (6016); it cannot be read.
    pub fn open(source: S, keys: &KeyRing) -> Result<Self> {
        let file = source.encrypted()?.ok_or_else(|| {
            Error::new(
                Win32Error::FILE_NOT_ENCRYPTED,
                "the file is not encrypted, or its place does not show it",
            )
        })?;
        let opened = keys.open(&Metadata::parse(file.metadata())?)?;
        let streams = file.streams().to_vec();
        drop(file);
        let cipher = SectorCipher::new(&opened.fek);
        Ok(Self { source, streams, cipher, opened })
    }

    /// Whose key opened the file.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Reads ciphertext, whole sectors of it.
    fn read_stored(&self, stream: usize, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let got = self.source.read_stored(stream, offset, buf)?;
            if got == 0 {
                let why = "the file has less ciphertext than its size says";
                return Err(Error::new(Win32Error::HANDLE_EOF, why).at_offset(offset));
            }
            offset += got as u64;
            buf = buf.get_mut(got..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Where ciphertext begins and ends, at or behind an offset; `None` when there is none any more.
fn next_ciphertext(plan: &StreamPlan, from: u64) -> Option<Extent> {
    let content = &plan.content;
    let end = content.vdl.next_multiple_of(SECTOR);
    let extent = match &content.extents {
        None => Extent { offset: 0, len: end },
        Some(extents) => {
            let behind = extents.partition_point(|extent| extent.end() <= from);
            *extents.get(behind)?
        }
    };
    let begin = extent.offset.max(from);
    let end = extent.end().min(end);
    (begin < end).then(|| Extent { offset: begin, len: end - begin })
}

impl<S: FileSource> FileSource for Decrypted<S> {
    fn info(&self) -> Result<FileInfo> {
        let mut info = self.source.info()?;
        info.attributes.remove(FileAttributes::ENCRYPTED);
        Ok(info)
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        self.source.linux_attribute(index)
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        Ok(self.streams.get(index).map(|plan| {
            let mut head = StreamHead::plain(plan.head.name.clone(), plan.content.size);
            head.vdl = plan.content.vdl.min(head.size);
            if plan.content.extents.is_some() {
                head.flags = StreamFlags::SPARSE;
                head.extents = Extents::Unknown;
            }
            head
        }))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        let Some(plan) = self.streams.get(stream) else { return Ok(None) };
        let extent = next_ciphertext(plan, from).filter(|extent| extent.offset < plan.content.size);
        Ok(extent.map(|extent| Extent { len: extent.end().min(plan.content.size) - extent.offset, ..extent }))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let Some(plan) = self.streams.get(stream) else {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"));
        };
        let left = plan.content.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = buf.get_mut(..len).unwrap_or_default();
        if buf.is_empty() {
            return Ok(0);
        }
        if !plan.head.encrypted {
            return self.source.read_stored(stream, offset, buf);
        }
        let limit = |bytes: u64| usize::try_from(bytes).map_or(len, |bytes| bytes.min(len));
        // Holes and what was never written are not ciphertext.
        let next = next_ciphertext(plan, offset);
        let gap = next.map_or(len, |next| limit(next.offset - offset));
        if gap > 0 {
            buf.get_mut(..gap).unwrap_or_default().fill(0);
            return Ok(gap);
        }
        let len = next.map_or(len, |next| limit(next.len));
        let within = (offset % SECTOR) as usize;
        let whole = len - len % SECTOR as usize;
        let valid = usize::try_from(plan.content.vdl.saturating_sub(offset)).unwrap_or(usize::MAX);
        let done = if within == 0 && whole > 0 {
            let sectors = buf.get_mut(..whole).unwrap_or_default();
            self.read_stored(stream, offset, sectors)?;
            self.cipher.decrypt_parallel(offset, sectors)?;
            whole
        } else {
            let mut sector = [0; SECTOR as usize];
            let begin = offset - within as u64;
            self.read_stored(stream, begin, &mut sector)?;
            self.cipher.decrypt(begin, &mut sector)?;
            let part = len.min(sector.len() - within);
            if let (Some(to), Some(from)) = (buf.get_mut(..part), sector.get(within..within + part)) {
                to.copy_from_slice(from);
            }
            part
        };
        buf.get_mut(valid.min(done)..done).unwrap_or_default().fill(0);
        Ok(done)
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        self.source.remarks(about, report)
    }
}
