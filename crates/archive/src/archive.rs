//! An archive in which one can go to any place: its list and single files without reading everything.

use std::io::{Read, Seek, SeekFrom};

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::manifest::read::{Cutter, Line, ManifestEntry, parse};
use crate::manifest::{MANIFEST, VOLUME};
use crate::reader::ArchiveReader;
use crate::tar::input::Input;
use crate::tar::read::TarReader;
use crate::volume::Volume;

/// More bytes than the closing line, the padding behind it and the end of an archive have.
const TAIL: u64 = 4096;

/// A complete archive of ours in something that can be sought in: a file, or [`Seekable`](crate::zstd::Seekable) over a
/// compressed one.
pub struct Archive<R: Read + Seek> {
    source: R,
    limits: Limits,
    volume: Volume,
    /// Where the manifest begins.
    manifest: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Finds the manifest through its closing line. `Err` with the source when there is none: the archive is not one
    /// of ours or not complete, and can be read forward.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn open(mut source: R, limits: Limits) -> Result<Result<Self, R>> {
        let io = |error| Error::io(0, "reading the archive", error);
        let end = source.seek(SeekFrom::End(0)).map_err(io)?;
        source.seek(SeekFrom::Start(end.saturating_sub(TAIL))).map_err(io)?;
        let mut tail = Vec::new();
        (&mut source).take(TAIL).read_to_end(&mut tail).map_err(io)?;
        while tail.last() == Some(&0) {
            tail.pop();
        }
        let line = tail.strip_suffix(b"\n").and_then(|tail| tail.rsplit(|byte| *byte == b'\n').next());
        let Some(Ok(Line::Closing(closing, _))) = line.map(parse) else { return Ok(Err(source)) };
        let mut archive = Self { source, limits, volume: Volume::default(), manifest: closing.size };
        let found = archive.raw(closing.size, MANIFEST).is_ok_and(|found| found.is_some());
        let volume = if found { archive.raw(0, VOLUME).ok().flatten() } else { None };
        let Some(mut tar) = volume else { return Ok(Err(archive.source)) };
        let mut json = Vec::new();
        while (json.len() as u64) < limits.volume && tar.take(u64::MAX)? > 0 {
            json.extend_from_slice(tar.chunk());
        }
        let Ok(volume) = Volume::from_json(&json) else { return Ok(Err(archive.source)) };
        archive.volume = volume;
        Ok(Ok(archive))
    }

    /// What the archive says about itself.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// The entry of this name at `offset`.
    fn raw(&mut self, offset: u64, path: &[u8]) -> Result<Option<TarReader<&mut R>>> {
        let io = |error| Error::io(offset, "reading the archive", error);
        self.source.seek(SeekFrom::Start(offset)).map_err(io)?;
        let mut tar = TarReader::new(Input::new(&mut self.source, offset, false), self.limits);
        let found = tar.next()?.is_some_and(|entry| entry.path == path);
        Ok(found.then_some(tar))
    }

    /// The entries as the manifest lists them, in their order.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn entries(&mut self) -> Result<Entries<'_, R>> {
        let (manifest, limit) = (self.manifest, self.limits.line);
        let tar = self.raw(manifest, MANIFEST)?;
        let tar = tar.ok_or_else(|| Error::malformed(manifest, "the manifest", "it is not where it was"))?;
        Ok(Entries {
            tar,
            cutter: Cutter::default(),
            line: Vec::new(),
            limit,
            taken: 0,
            filled: 0,
            manifest,
            done: false,
        })
    }

    /// Where the file of this path begins, as the manifest has it.
    ///
    /// # Errors
    /// The source cannot be read, or the manifest is damaged.
    pub fn find(&mut self, path: &[u8]) -> Result<Option<u64>> {
        let stored = if path.is_empty() { b".".to_vec() } else { crate::path::escape(path) };
        for entry in self.entries()? {
            let entry = entry?;
            if entry.stream.is_none() && entry.path == stored {
                return Ok(Some(entry.offset));
            }
        }
        Ok(None)
    }

    /// Reads the one file whose entry is at `offset`, streams included. Its bytes are not compared with the manifest.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn read_at(&mut self, offset: u64) -> Result<ArchiveReader<&mut R>> {
        let io = |error| Error::io(offset, "reading the archive", error);
        self.source.seek(SeekFrom::Start(offset)).map_err(io)?;
        Ok(ArchiveReader::one_file(&mut self.source, offset, true, self.limits))
    }
}

/// The entries of an [`Archive`], out of its manifest.
pub struct Entries<'a, R> {
    tar: TarReader<&'a mut R>,
    cutter: Cutter,
    line: Vec<u8>,
    limit: usize,
    /// Of the piece that was read last: how much of it is used.
    taken: usize,
    filled: usize,
    manifest: u64,
    done: bool,
}

impl<R: Read> Iterator for Entries<'_, R> {
    type Item = Result<ManifestEntry>;

    /// The next entry. An error (the source cannot be read, or the manifest is damaged) is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        let entry = if self.done { Ok(None) } else { self.read() };
        self.done = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

impl<R: Read> Entries<'_, R> {
    fn read(&mut self) -> Result<Option<ManifestEntry>> {
        let damaged = |why| Error::malformed(self.manifest, "the manifest", why);
        loop {
            if self.taken == self.filled {
                self.filled = self.tar.take(u64::MAX)?;
                self.taken = 0;
                if self.filled == 0 {
                    return Ok(None);
                }
            }
            let mut piece = self.tar.chunk().get(self.taken..).unwrap_or_default();
            let whole = self.cutter.next(&mut piece, self.limit, &mut self.line).map_err(damaged)?;
            self.taken = self.filled - piece.len();
            if whole {
                return match parse(&self.line).map_err(damaged)? {
                    Line::Entry(entry) => Ok(Some(entry)),
                    _ => Ok(None),
                };
            }
        }
    }
}
