//! Buffered input that counts and, where a proof is wanted, hashes what is taken from it.

use std::io::{Read, Seek, SeekFrom};

use super::BLOCK;
use super::header::Block;
use crate::error::{Error, Result};

/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

/// What is read from an archive, forward only.
pub(crate) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What was read and not yet taken: `begin..end`.
    begin: usize,
    end: usize,
    /// Where in the archive `begin` is.
    offset: u64,
    /// What was handed out last.
    chunk: (usize, usize),
    hasher: Option<Box<blake3::Hasher>>,
    /// What was taken but not hashed yet begins here; large pieces hash faster.
    unhashed: usize,
    /// How the source is gone forward in, and its bytes, where it can be.
    seek: Option<(Seeker<R>, u64)>,
}

/// Passes bytes of a source over.
type Seeker<R> = fn(&mut R, u64) -> std::io::Result<()>;

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R, offset: u64, prove: bool) -> Self {
        let hasher = prove.then(|| Box::new(blake3::Hasher::new()));
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { source, buffer, begin: 0, end: 0, offset, chunk: (0, 0), hasher, unhashed: 0, seek: None }
    }

    /// Passes long pieces over without reading them. The source stands at the offset of the archive.
    pub(crate) fn seek_forward(&mut self) -> Result<()>
    where
        R: Seek,
    {
        let end = self.source.seek(SeekFrom::End(0)).and_then(|end| {
            self.source.seek(SeekFrom::Start(self.offset))?;
            Ok(end)
        });
        let end = end.map_err(|error| Error::io(self.offset, "reading the archive", error))?;
        let seek: Seeker<R> = |source, by| {
            let by = i64::try_from(by).map_err(|_| std::io::ErrorKind::InvalidInput)?;
            source.seek(SeekFrom::Current(by)).map(drop)
        };
        self.seek = Some((seek, end));
        Ok(())
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next whole block; `None` at the end of the input.
    pub(crate) fn block(&mut self) -> Result<Option<Block>> {
        if self.end - self.begin < BLOCK {
            self.hash_taken();
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.end, self.begin, self.unhashed) = (self.end - self.begin, 0, 0);
            while self.end < BLOCK {
                if !self.fill()? {
                    break;
                }
            }
        }
        if self.begin == self.end {
            return Ok(None);
        }
        let block: Option<Block> =
            self.buffer.get(self.begin..self.end).and_then(|rest| rest.first_chunk()).copied();
        let Some(block) = block else {
            return Err(Error::truncated(self.offset, "a block"));
        };
        self.advance(BLOCK);
        Ok(Some(block))
    }

    /// Takes up to `most` bytes, at least one; [`Input::chunk`] has them. 0 at the end of the input.
    pub(crate) fn take(&mut self, most: u64) -> Result<usize> {
        if self.begin == self.end {
            self.hash_taken();
            (self.begin, self.end, self.unhashed) = (0, 0, 0);
            self.fill()?;
        }
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(self.end - self.begin);
        self.chunk = (self.begin, self.begin + len);
        self.advance(len);
        Ok(len)
    }

    /// What was taken last.
    pub(crate) fn chunk(&self) -> &[u8] {
        self.buffer.get(self.chunk.0..self.chunk.1).unwrap_or_default()
    }

    /// Takes exactly `len` bytes, which the caller has found to be few enough, behind `out`.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, len: u64, what: &'static str) -> Result<()> {
        let mut left = len;
        while left > 0 {
            let got = self.take(left)?;
            if got == 0 {
                return Err(Error::truncated(self.offset, what));
            }
            out.extend_from_slice(self.chunk());
            left -= got as u64;
        }
        Ok(())
    }

    /// Passes `len` bytes over.
    pub(crate) fn skip(&mut self, len: u64, what: &'static str) -> Result<()> {
        let mut left = len;
        if let Some((seek, end)) = self.seek
            && self.hasher.is_none()
            && len > BUFFER as u64
        {
            left -= self.take(left)? as u64;
            while self.begin < self.end && left > 0 {
                left -= self.take(left)? as u64;
            }
            if end.saturating_sub(self.offset) < left {
                return Err(Error::truncated(end, what));
            }
            seek(&mut self.source, left)
                .map_err(|error| Error::io(self.offset, "reading the archive", error))?;
            self.offset += left;
            return Ok(());
        }
        while left > 0 {
            let got = self.take(left)? as u64;
            if got == 0 {
                return Err(Error::truncated(self.offset, what));
            }
            left -= got;
        }
        Ok(())
    }

    /// The hash of everything since the last call, when a proof is wanted.
    pub(crate) fn proof(&mut self) -> Option<[u8; 32]> {
        self.hash_taken();
        let hasher = self.hasher.as_mut()?;
        let hash = hasher.finalize();
        hasher.reset();
        Some(*hash.as_bytes())
    }

    fn advance(&mut self, len: usize) {
        self.begin += len;
        self.offset += len as u64;
    }

    fn hash_taken(&mut self) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(self.buffer.get(self.unhashed..self.begin).unwrap_or_default());
        }
        self.unhashed = self.begin;
    }

    /// Reads more behind `end`; `false` at the end of the input.
    fn fill(&mut self) -> Result<bool> {
        let place = self.offset + (self.end - self.begin) as u64;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match crate::read::read(&mut self.source, room) {
            Ok(got) => {
                self.end += got;
                Ok(got > 0)
            }
            Err(error) => Err(Error::io(place, "reading the archive", error)),
        }
    }

    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    pub(crate) fn source(&self) -> &R {
        &self.source
    }
}
