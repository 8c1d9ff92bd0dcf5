//! Any place of a file with a seek table.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use super::{Decompressor, TABLE_END_MAGIC, TABLE_FOOTER, TABLE_MAGIC};
use crate::limits::Limits;

/// Reads the uncompressed bytes from any place: what lies before it in its frame is decompressed and dropped.
///
/// Memory: 16 bytes for each frame, and the window of the frames.
pub struct Seekable<R: Read + Seek> {
    /// Where each frame begins, compressed and uncompressed; the end of the last one behind it.
    frames: Vec<(u64, u64)>,
    /// `None` only while it is moved.
    decoder: Option<Decompressor<R>>,
    position: u64,
    /// Where the decoder stands, when it stands anywhere.
    at: Option<u64>,
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

impl<R: Read + Seek> Seekable<R> {
    /// Reads the seek table of `source`. `Err` with the source when it has none, which is no fault: it can be read
    /// forward.
    ///
    /// # Errors
    /// The source cannot be read, or its table cannot be.
    pub fn open(mut source: R, limits: &Limits) -> io::Result<Result<Self, R>> {
        let end = source.seek(SeekFrom::End(0))?;
        let Some(footer_at) = end.checked_sub(TABLE_FOOTER as u64) else { return Ok(Err(source)) };
        source.seek(SeekFrom::Start(footer_at))?;
        let mut footer = [0; TABLE_FOOTER];
        source.read_exact(&mut footer)?;
        let [n0, n1, n2, n3, descriptor, magic @ ..] = footer;
        if magic != TABLE_END_MAGIC.to_le_bytes() {
            return Ok(Err(source));
        }
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        if count > limits.frames {
            return Err(invalid("the seek table has more frames than are taken"));
        }
        let entry = if descriptor & 0x80 == 0 { 8 } else { 12 };
        let size = u64::from(count) * entry;
        let start = footer_at
            .checked_sub(size + 8)
            .ok_or_else(|| invalid("the seek table is longer than the file"))?;
        source.seek(SeekFrom::Start(start))?;
        let mut head = [0; 8];
        source.read_exact(&mut head)?;
        let [m0, m1, m2, m3, s0, s1, s2, s3] = head;
        let magic = u32::from_le_bytes([m0, m1, m2, m3]);
        let stated = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        if magic != TABLE_MAGIC || stated != size + TABLE_FOOTER as u64 {
            return Err(invalid("the seek table has no head where its end says"));
        }
        let mut frames = Vec::with_capacity(count as usize + 1);
        let (mut packed, mut unpacked) = (0_u64, 0_u64);
        let mut table = io::BufReader::new((&mut source).take(size));
        for _ in 0..count {
            frames.push((packed, unpacked));
            let mut sizes = [0; 8];
            table.read_exact(&mut sizes)?;
            let [c0, c1, c2, c3, d0, d1, d2, d3] = sizes;
            packed += u64::from(u32::from_le_bytes([c0, c1, c2, c3]));
            unpacked += u64::from(u32::from_le_bytes([d0, d1, d2, d3]));
            if entry == 12 {
                table.read_exact(&mut [0; 4])?;
            }
        }
        if packed > start {
            return Err(invalid("the frames of the seek table are longer than the file"));
        }
        frames.push((packed, unpacked));
        let decoder = Some(Decompressor::new(source)?);
        Ok(Ok(Self { frames, decoder, position: 0, at: None }))
    }

    /// Bytes, uncompressed.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.frames.last().map_or(0, |(_, unpacked)| *unpacked)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings the decoder to the position; `false` behind the end.
    fn go(&mut self) -> io::Result<bool> {
        if self.position >= self.len() {
            return Ok(false);
        }
        let behind = self.frames.partition_point(|(_, unpacked)| *unpacked <= self.position);
        let Some((packed, unpacked)) = self.frames.get(behind.saturating_sub(1)).copied() else {
            return Ok(false);
        };
        let near = self.at.is_some_and(|at| (unpacked..=self.position).contains(&at));
        if !near {
            let Some(decoder) = self.decoder.take() else { return Err(io::Error::other("an earlier error")) };
            let mut source = decoder.into_inner();
            source.seek(SeekFrom::Start(packed))?;
            self.decoder = Some(Decompressor::new(source)?);
            self.at = Some(unpacked);
        }
        let mut at = self.at.take().unwrap_or(unpacked);
        let Some(decoder) = &mut self.decoder else { return Ok(false) };
        let mut dropped = vec![0; 64 << 10];
        while at < self.position {
            let most = usize::try_from(self.position - at).unwrap_or(usize::MAX).min(dropped.len());
            let got = decoder.read(dropped.get_mut(..most).unwrap_or_default())?;
            if got == 0 {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "a frame is shorter than the seek table says",
                ));
            }
            at += got as u64;
        }
        self.at = Some(at);
        Ok(true)
    }
}

impl<R: Read + Seek> Read for Seekable<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at != Some(self.position) && !self.go()? {
            return Ok(0);
        }
        let Some(decoder) = &mut self.decoder else { return Err(io::Error::other("an earlier error")) };
        self.at = None;
        let got = decoder.read(out)?;
        self.position += got as u64;
        self.at = Some(self.position);
        Ok(got)
    }
}

impl<R: Read + Seek> Seek for Seekable<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position =
            position.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a place before the start"))?;
        Ok(self.position)
    }
}
