//! Any zstd file, forward only: the mirror of [`compress`](super::compress).

use std::io::{self, ErrorKind, Read};

use ::zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{FRAME_MAGIC, SKIPPABLE_MAGIC, TABLE_END_MAGIC, TABLE_FOOTER, TABLE_MAGIC};

const BUFFER: usize = 128 << 10;
/// The largest window that is taken, as in the program `zstd`: 128 MiB.
const WINDOW_LOG: u32 = 27;

/// Decompresses any number of zstd frames; skippable ones are passed over.
///
/// Memory: the window of the frames; 4 MiB in ours, at most 128 MiB.
pub struct Decompressor<R> {
    source: R,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    /// Bytes of the source before `begin`.
    offset: u64,
    decoder: Decoder<'static>,
    /// The frame that is being read: where it began, and the bytes that came out of it.
    frame: Option<(u64, u64)>,
    check: Check,
}

/// Whether the file is one of ours, byte for byte as far as zstd itself leaves a choice.
struct Check {
    /// The sizes of all frames so far, as the table must have them.
    sizes: blake3::Hasher,
    frames: u64,
    table: Option<Result<(), &'static str>>,
    oddity: Option<&'static str>,
}

impl<R: Read> Decompressor<R> {
    /// Decompresses `source`.
    ///
    /// # Errors
    /// zstd cannot start.
    pub fn new(source: R) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        let check = Check { sizes: blake3::Hasher::new(), frames: 0, table: None, oddity: None };
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(Self { source, buffer, begin: 0, end: 0, offset: 0, decoder, frame: None, check })
    }

    /// After the end: whether the seek table is there and is right, and nothing is behind it.
    ///
    /// # Errors
    /// Why not, for people. A file of another program has no table and is none the worse for it.
    pub fn check(&self) -> Result<(), &'static str> {
        match (self.check.oddity, self.check.table) {
            (Some(oddity), _) => Err(oddity),
            (None, Some(table)) => table,
            (None, None) => {
                Err("there is no seek table at its end: it was cut off, or zstd has packed it again")
            }
        }
    }

    /// The source, at no certain place.
    pub fn into_inner(self) -> R {
        self.source
    }

    fn fill(&mut self) -> io::Result<bool> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let got = crate::read::read(&mut self.source, room)?;
        self.end += got;
        Ok(got > 0)
    }

    /// The next `N` bytes, not yet taken; `None` when the source ends before them.
    fn peek<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        while self.end - self.begin < N {
            if !self.fill()? {
                break;
            }
        }
        Ok(self.buffer.get(self.begin..self.end).and_then(|rest| rest.first_chunk()).copied())
    }

    fn advance(&mut self, len: usize) {
        self.begin += len;
        self.offset += len as u64;
    }

    fn cut(&self) -> io::Error {
        let why = format!("the zstd data end inside of a frame, at byte {}: they were cut off", self.offset);
        io::Error::new(ErrorKind::UnexpectedEof, why)
    }

    /// Between frames: `false` at the end.
    fn begin_frame(&mut self) -> io::Result<bool> {
        let Some(magic) = self.peek::<4>()? else {
            return if self.begin == self.end { Ok(false) } else { Err(self.cut()) };
        };
        if self.check.table.is_some() {
            self.check.oddity = Some("there is something behind its seek table");
        }
        let magic = u32::from_le_bytes(magic);
        if magic == FRAME_MAGIC {
            if let Some([_, _, _, _, descriptor]) = self.peek::<5>()?
                && descriptor & 0x18 != 0
            {
                self.check.oddity = Some("a zstd frame has reserved bits set: it is damaged");
            }
            self.frame = Some((self.offset, 0));
            return Ok(true);
        }
        if magic & !0xF == SKIPPABLE_MAGIC {
            self.skippable(magic)?;
            return Ok(true);
        }
        let why = format!(
            "at byte {} there is no zstd frame: the data are damaged, or something was appended",
            self.offset
        );
        Err(io::Error::new(ErrorKind::InvalidData, why))
    }

    /// Passes a skippable frame over; a seek table is compared with the frames before it.
    fn skippable(&mut self, magic: u32) -> io::Result<()> {
        let Some([_, _, _, _, size @ ..]) = self.peek::<8>()? else { return Err(self.cut()) };
        self.advance(8);
        let size = u64::from(u32::from_le_bytes(size));
        let expected = self.check.frames.saturating_mul(8) + TABLE_FOOTER as u64;
        let mut left = size;
        let mut sizes = blake3::Hasher::new();
        while left > TABLE_FOOTER as u64 || left > 0 && size < TABLE_FOOTER as u64 {
            if self.begin == self.end && !self.fill()? {
                return Err(self.cut());
            }
            let most = if size < TABLE_FOOTER as u64 { left } else { left - TABLE_FOOTER as u64 };
            let piece = usize::try_from(most).unwrap_or(usize::MAX).min(self.end - self.begin);
            sizes.update(self.buffer.get(self.begin..self.begin + piece).unwrap_or_default());
            self.advance(piece);
            left -= piece as u64;
        }
        if left == 0 {
            return Ok(());
        }
        let Some(footer) = self.peek::<TABLE_FOOTER>()? else { return Err(self.cut()) };
        self.advance(TABLE_FOOTER);
        if magic == TABLE_MAGIC {
            let mut exact = Vec::with_capacity(TABLE_FOOTER);
            exact.extend_from_slice(&u32::try_from(self.check.frames).unwrap_or(u32::MAX).to_le_bytes());
            exact.push(0);
            exact.extend_from_slice(&TABLE_END_MAGIC.to_le_bytes());
            let same =
                size == expected && sizes.finalize() == self.check.sizes.finalize() && footer == exact[..];
            self.check.table = Some(if same {
                Ok(())
            } else {
                Err("its seek table does not fit its frames: it is damaged")
            });
        }
        Ok(())
    }

    fn end_frame(&mut self, begin: u64, out: u64) {
        self.frame = None;
        self.check.frames += 1;
        for size in [self.offset - begin, out] {
            self.check.sizes.update(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let Some((begin, so_far)) = self.frame else {
                if self.begin_frame()? {
                    continue;
                }
                return Ok(0);
            };
            if self.begin == self.end && !self.fill()? {
                return Err(self.cut());
            }
            let input = self.buffer.get(self.begin..self.end).unwrap_or_default();
            let status = self.decoder.run_on_buffers(input, out).map_err(|error| {
                let why = format!("the zstd frame at byte {begin} is damaged: {error}");
                io::Error::new(ErrorKind::InvalidData, why)
            })?;
            self.advance(status.bytes_read);
            let so_far = so_far + status.bytes_written as u64;
            self.frame = Some((begin, so_far));
            if status.remaining == 0 {
                self.end_frame(begin, so_far);
            }
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
        }
    }
}
