//! What a file is, and whether an archive is whole.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::error::{Error, Problem, Result};
use crate::item::{Item, Summary};
use crate::limits::Limits;
use crate::manifest::write::Spool;
use crate::reader::ArchiveReader;
use crate::remark::Remark;
use crate::zstd::{Decompressor, Seekable};

/// What the first bytes of a file say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tar archive.
    Tar,
    /// Something in zstd.
    Zstd,
    /// Something packed by another program, which has this name.
    Packed(&'static str),
    /// Nothing that is known here.
    Unknown,
}

/// What the first 512 bytes of a file say that it is; fewer are enough for all but tar.
#[must_use]
pub fn kind(start: &[u8]) -> Kind {
    const PACKED: [(&[u8], &str); 5] = [
        (b"\x1F\x8B", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xFD7zXZ\0", "xz"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"LZIP", "lzip"),
    ];
    let skippable = matches!(start, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]);
    if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) || skippable {
        return Kind::Zstd;
    }
    if let Some((_, name)) = PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Kind::Packed(name);
    }
    match start.first_chunk() {
        Some(block) if crate::tar::header::is_zero(block) => Kind::Tar,
        Some(block) if crate::tar::header::Header::parse(block, 0).is_ok() => Kind::Tar,
        _ => Kind::Unknown,
    }
}

/// A tar archive, decompressed where it was compressed.
pub enum OpenSource<R> {
    /// It is plain.
    Plain(io::Chain<Cursor<Vec<u8>>, R>),
    /// It is in zstd.
    Zstd(Box<Decompressor<io::Chain<Cursor<Vec<u8>>, R>>>),
}

impl<R: Read> Read for OpenSource<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(out),
            Self::Zstd(source) => source.read(out),
        }
    }
}

impl<R> OpenSource<R> {
    /// Whether it is in zstd.
    #[must_use]
    pub fn is_zstd(&self) -> bool {
        matches!(self, Self::Zstd(_))
    }
}

/// A tar archive in which one can go to any place.
pub enum SeekSource<R: Read + Seek> {
    /// It is plain.
    Plain(R),
    /// It is in zstd, with a seek table.
    Zstd(Box<Seekable<R>>),
}

impl<R: Read + Seek> SeekSource<R> {
    /// Finds out what `source` is; `None` when it has to be read forward.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(mut source: R, limits: &Limits) -> io::Result<Option<Self>> {
        let mut start = Vec::with_capacity(crate::tar::BLOCK);
        source.seek(SeekFrom::Start(0))?;
        (&mut source).take(crate::tar::BLOCK as u64).read_to_end(&mut start)?;
        Ok(match kind(&start) {
            Kind::Tar => {
                source.seek(SeekFrom::Start(0))?;
                Some(Self::Plain(source))
            }
            // A table that is damaged is no reason not to read the rest.
            Kind::Zstd => match Seekable::open(source, limits) {
                Ok(Ok(source)) => Some(Self::Zstd(Box::new(source))),
                _ => None,
            },
            _ => None,
        })
    }
}

impl<R: Read + Seek> Read for SeekSource<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(out),
            Self::Zstd(source) => source.read(out),
        }
    }
}

impl<R: Read + Seek> Seek for SeekSource<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(source) => source.seek(to),
            Self::Zstd(source) => source.seek(to),
        }
    }
}

/// Finds out what `source` is, from its first bytes. It may be a pipe.
///
/// # Errors
/// It cannot be read, or is neither a tar archive nor one in zstd.
pub fn open<R: Read>(mut source: R) -> Result<OpenSource<R>> {
    let mut start = Vec::with_capacity(crate::tar::BLOCK);
    let io = |error| Error::io(0, "reading the archive", error);
    (&mut source).take(crate::tar::BLOCK as u64).read_to_end(&mut start).map_err(io)?;
    let unsupported = |why: String| Err(Error::new(0, Problem::Unsupported(why.into())));
    let found = kind(&start);
    let whole = Cursor::new(start).chain(source);
    match found {
        Kind::Tar => Ok(OpenSource::Plain(whole)),
        Kind::Zstd => Ok(OpenSource::Zstd(Box::new(Decompressor::new(whole).map_err(io)?))),
        Kind::Packed(name) => {
            unsupported(format!("it is packed by {name}: unpack it first (`{name} -dc FILE | ntbak …`)"))
        }
        Kind::Unknown => unsupported("this is no tar archive, nor one in zstd".into()),
    }
}

/// Proves an archive without unpacking it: every entry against the manifest, the manifest against its closing line, and
/// of a compressed one the seek table too. Each loss that reading shows goes to `each`; losses that are recorded in the
/// manifest are only counted. `spool`, which is empty, gets 64 bytes an entry.
///
/// An archive is whole when [`Summary::complete`] and [`Summary::proven`] are set and [`Summary::faults`] is 0. One of
/// another program has no proof.
///
/// # Errors
/// It cannot be read, or is damaged so that no next entry can be found.
pub fn verify<R: Read>(
    source: R,
    limits: Limits,
    spool: Box<dyn Spool>,
    each: &mut dyn FnMut(&Remark),
) -> Result<Summary> {
    let mut reader = ArchiveReader::proving(open(source)?, limits, spool);
    while let Some(item) = reader.next()? {
        if let Item::Remark(remark) = item {
            each(remark);
        }
    }
    let mut summary = reader.summary();
    if let OpenSource::Zstd(source) = reader.source()
        && summary.ours
        && let Err(why) = source.check()
    {
        summary.faults += 1;
        each(&Remark::loss("archive", b"", why));
    }
    Ok(summary)
}
