//! A plain file as an encrypted one: what is read of it is ciphertext.

use std::borrow::Cow;

use ntbak_efs::{Fek, Recipient, SectorCipher, protect};
use ntbak_wire::efs::{Content, SECTOR, StreamHead, StreamPlan};
use ntbak_wire::object_id::Guid;
use ntbak_wire::record::{Extent, Extents, FileInfo, SmallKind, StreamFlags};
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::{FileAttributes, Win32Error, record};

use super::Encrypted;
use crate::error::{Error, Result};
use crate::report::FileReport;
use crate::source::{Facet, FileSource, LinuxAttribute};

/// What a file is encrypted with.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// The file encryption key.
    pub fek: &'a Fek,
    /// Who can open the file: one at least.
    pub users: &'a [Recipient],
    /// Recovery agents.
    pub agents: &'a [Recipient],
    /// A GUID of the computer.
    pub computer: Guid,
    /// Keep the holes of sparse streams, and valid data lengths. ntfs-3g cannot: there zeros are encrypted instead.
    pub holes: bool,
}

/// A source that encrypts another one, all its streams.
pub struct Protected<S> {
    source: S,
    metadata: Vec<u8>,
    streams: Vec<StreamPlan>,
    cipher: SectorCipher,
}

/// Holes of an encrypted file are whole ones of these; the largest compression unit.
const UNIT: u64 = 65_536;

impl<S: FileSource> Protected<S> {
    /// The encrypted form of `source`.
    ///
    /// # Errors
    /// A certificate that is not RSA, too many users, or the source cannot be read. A link (50): it has nothing to encrypt,
    /// and what it leads to would stay as it is.
    pub fn new(source: S, with: &Protection<'_>) -> Result<Self> {
        refuse_link(&source)?;
        let metadata = protect(with.fek, with.users, with.agents, with.computer)?;
        let mut streams = Vec::new();
        while let Some(head) = source.stream(streams.len())? {
            streams.push(plan(&source, streams.len(), head, with.holes)?);
        }
        Ok(Self { source, metadata, streams, cipher: SectorCipher::new(with.fek) })
    }
}

fn refuse_link(source: &dyn FileSource) -> Result<()> {
    if !source.info()?.attributes.contains(FileAttributes::REPARSE_POINT) {
        return Ok(());
    }
    let Some(buffer) = source.small(SmallKind::Reparse)? else { return Ok(()) };
    if !ReparseBuffer::parse(&buffer)?.tag().is_name_surrogate() {
        return Ok(());
    }
    let why = "it is a link, and what it leads to would stay as it is";
    Err(Error::new(Win32Error::NOT_SUPPORTED, why).hint("encrypt what it leads to"))
}

fn plan(source: &dyn FileSource, index: usize, head: record::StreamHead, holes: bool) -> Result<StreamPlan> {
    let mut content = Content::plain(head.size);
    if holes {
        content.vdl = head.vdl.min(head.size);
    }
    if holes && head.extents != Extents::All {
        let mut extents: Vec<Extent> = Vec::new();
        let mut from = 0;
        while let Some(extent) = source.next_extent(index, from)?.filter(|extent| extent.offset < head.size) {
            let begin = extent.offset / UNIT * UNIT;
            let end = extent.end().next_multiple_of(UNIT).min(head.size.next_multiple_of(SECTOR));
            match extents.last_mut() {
                Some(last) if last.end() >= begin => last.len = end.max(last.end()) - last.offset,
                _ => extents.push(Extent { offset: begin, len: end - begin }),
            }
            from = extent.end().max(end);
        }
        content.extents = Some(extents);
    }
    Ok(StreamPlan { head: StreamHead { name: head.name, encrypted: true }, content })
}

impl<S: FileSource> FileSource for Protected<S> {
    fn info(&self) -> Result<FileInfo> {
        let mut info = self.source.info()?;
        info.attributes.insert(FileAttributes::ENCRYPTED);
        // No file is both.
        info.attributes.remove(FileAttributes::COMPRESSED);
        Ok(info)
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<LinuxAttribute<'_>>> {
        self.source.linux_attribute(index)
    }

    fn stream(&self, index: usize) -> Result<Option<record::StreamHead>> {
        let head = self.source.stream(index)?;
        Ok(head.map(|mut head| {
            head.flags = (head.flags - StreamFlags::COMPRESSED) | StreamFlags::ENCRYPTED;
            head
        }))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.source.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        Ok(Some(Box::new(Ciphertext(self))))
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        self.source.remarks(about, report)
    }
}

struct Ciphertext<'s, S>(&'s Protected<S>);

impl<S: FileSource> Encrypted for Ciphertext<'_, S> {
    fn metadata(&self) -> &[u8] {
        &self.0.metadata
    }

    fn streams(&self) -> &[StreamPlan] {
        &self.0.streams
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let size = self.0.streams.get(stream).map_or(0, |plan| plan.content.size);
        let stored = size.next_multiple_of(SECTOR).saturating_sub(offset);
        let within = (offset % SECTOR) as usize;
        let len = usize::try_from(stored).map_or(buf.len(), |stored| stored.min(buf.len()));
        if within > 0 || len < SECTOR as usize {
            // Not from sector to sector: the one in which it lies.
            let mut sector = [0; SECTOR as usize];
            self.fill(stream, offset - within as u64, &mut sector)?;
            let part = len.min(sector.len() - within);
            if let (Some(to), Some(from)) = (buf.get_mut(..part), sector.get(within..within + part)) {
                to.copy_from_slice(from);
            }
            return Ok(part);
        }
        let sectors = buf.get_mut(..len - len % SECTOR as usize).unwrap_or_default();
        self.fill(stream, offset, sectors)?;
        Ok(sectors.len())
    }
}

impl<S: FileSource> Ciphertext<'_, S> {
    /// Reads plaintext, zeros behind its end, and encrypts it.
    fn fill(&self, stream: usize, offset: u64, sectors: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while let Some(rest) = sectors.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.source.read_at(stream, offset + filled as u64, rest)? {
                0 => {
                    rest.fill(0);
                    break;
                }
                got => filled += got,
            }
        }
        Ok(self.0.cipher.encrypt_parallel(offset, sectors)?)
    }
}
