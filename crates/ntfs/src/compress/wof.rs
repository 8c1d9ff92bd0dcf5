//! The stream `WofCompressedData` of a file that the Windows Overlay Filter compresses.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | (chunks - 1) × 4 | where the chunks begin, from the second one on, in bytes behind this table |
//! | | | the chunks |
//!
//! The entries have 8 bytes when the file has 4 GiB or more. Each chunk stands for 4, 8, 16 or 32 KiB of the file, the last
//! one for the rest; one that has as many bytes as it stands for is stored plain. A resource of a WIM file has the same
//! layout.
//!
//! Sources: wimlib's documentation of WIM resources; the rule for 8 bytes and the numbers of the algorithms are as
//! ntfs-3g's plugin system-compression has them.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use ntbak_image::ReadAt;

use super::lzx::Lzx;
use super::xpress::Xpress;

/// How a file is compressed: `FILE_PROVIDER_COMPRESSION_…` of its reparse point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// XPRESS in chunks of 4 KiB: 0.
    Xpress4K,
    /// LZX in chunks of 32 KiB: 1.
    Lzx,
    /// XPRESS in chunks of 8 KiB: 2.
    Xpress8K,
    /// XPRESS in chunks of 16 KiB: 3.
    Xpress16K,
}

impl Algorithm {
    /// The algorithm with this number in the reparse point; `None` for one that Windows does not have yet.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Xpress4K,
            1 => Self::Lzx,
            2 => Self::Xpress8K,
            3 => Self::Xpress16K,
            _ => return None,
        })
    }

    /// Bytes of the file that a chunk stands for.
    #[must_use]
    pub fn chunk_size(self) -> usize {
        match self {
            Self::Xpress4K => 4096,
            Self::Xpress8K => 8192,
            Self::Xpress16K => 16_384,
            Self::Lzx => 32_768,
        }
    }
}

/// The name that Windows' `compact /exe` takes.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xpress4K => "XPRESS4K",
            Self::Lzx => "LZX",
            Self::Xpress8K => "XPRESS8K",
            Self::Xpress16K => "XPRESS16K",
        })
    }
}

/// The content of a file, read from its stream `WofCompressedData` by position.
///
/// Any number of threads may read; each of them has a decoder of its own, and these are kept. The chunk that was read last
/// is kept too, so that reading a file in small pieces does not decompress it many times.
pub struct WofReader<S> {
    stream: S,
    algorithm: Algorithm,
    /// Size of the file.
    size: u64,
    /// Bytes of an entry of the table.
    entry_size: u64,
    table_size: u64,
    chunks: u64,
    idle: Mutex<Vec<Worker>>,
}

/// Entries of the table that are read at once.
const WINDOW: u64 = 512;

/// The most decoders that wait for the next read.
const MAX_IDLE: usize = 16;

/// What one read needs.
struct Worker {
    decoder: Decoder,
    packed: Vec<u8>,
    plain: Vec<u8>,
    /// Which chunk is in `plain`.
    holds: Option<u64>,
    /// Entries of the table, as bytes, and the number of the first one.
    window: Vec<u8>,
    window_first: u64,
}

enum Decoder {
    Xpress(Box<Xpress>),
    Lzx(Box<Lzx>),
}

impl<S: ReadAt> WofReader<S> {
    /// The content of a file of `size` bytes (that of its unnamed stream), from the whole `stream`.
    ///
    /// # Errors
    /// The stream is shorter than the table that a file of this size has.
    pub fn new(stream: S, algorithm: Algorithm, size: u64) -> io::Result<Self> {
        let chunks = size.div_ceil(algorithm.chunk_size() as u64);
        let entry_size = if size > u64::from(u32::MAX) { 8 } else { 4 };
        let table_size = chunks.saturating_sub(1).saturating_mul(entry_size);
        if table_size > stream.len() {
            let len = stream.len();
            return Err(bad(0, format!("the chunk table has {table_size} bytes, and the stream only {len}")));
        }
        Ok(Self { stream, algorithm, size, entry_size, table_size, chunks, idle: Mutex::new(Vec::new()) })
    }

    /// How the file is compressed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn worker(&self) -> Worker {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| {
            let decoder = match self.algorithm {
                Algorithm::Lzx => Decoder::Lzx(Box::default()),
                _ => Decoder::Xpress(Box::default()),
            };
            Worker {
                decoder,
                packed: Vec::new(),
                plain: Vec::new(),
                holds: None,
                window: Vec::new(),
                window_first: 0,
            }
        })
    }

    /// Where a chunk lies in the stream, and how many bytes it has there.
    fn place(&self, worker: &mut Worker, chunk: u64, plain_len: usize) -> io::Result<(u64, usize)> {
        let start = match chunk.checked_sub(1) {
            Some(before) => self.entry(worker, before)?,
            None => 0,
        };
        let end = match chunk + 1 == self.chunks {
            true => self.stream.len() - self.table_size,
            false => self.entry(worker, chunk)?,
        };
        let at = self.table_size.saturating_add(start);
        let len = end.checked_sub(start).and_then(|len| usize::try_from(len).ok());
        match len {
            Some(len) if (1..=plain_len).contains(&len) => Ok((at, len)),
            _ => Err(bad(
                at,
                format!("chunk {chunk} goes from {start} to {end} and stands for {plain_len} bytes"),
            )),
        }
    }

    /// An entry of the table.
    fn entry(&self, worker: &mut Worker, index: u64) -> io::Result<u64> {
        let size = self.entry_size as usize;
        let held = (worker.window.len() / size) as u64;
        if !(worker.window_first..worker.window_first + held).contains(&index) {
            let first = index - index % WINDOW;
            let entries = WINDOW.min(self.chunks.saturating_sub(1) - first);
            worker.window_first = first;
            worker.window.resize((entries * self.entry_size) as usize, 0);
            if let Err(error) = self.stream.read_exact_at(first * self.entry_size, &mut worker.window) {
                worker.window.clear();
                return Err(error);
            }
        }
        let at = (index - worker.window_first) as usize * size;
        let bytes = worker.window.get(at..at + size).unwrap_or_default();
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// Decompresses a chunk into `out`, which has the size that it stands for.
    fn chunk(&self, worker: &mut Worker, chunk: u64, out: &mut [u8]) -> io::Result<()> {
        let (at, len) = self.place(worker, chunk, out.len())?;
        if len == out.len() {
            return self.stream.read_exact_at(at, out);
        }
        worker.packed.resize(len, 0);
        self.stream.read_exact_at(at, &mut worker.packed)?;
        let done = match &mut worker.decoder {
            Decoder::Xpress(xpress) => xpress.decompress(&worker.packed, out),
            Decoder::Lzx(lzx) => lzx.decompress(&worker.packed, out),
        };
        done.map_err(|error| bad(at + error.offset as u64, error.to_string()))
    }

    /// Reads as much of `buf` as can be read, at least one byte where there is one.
    ///
    /// # Errors
    /// Nothing can be read at `offset`. When only later bytes cannot, the good ones come first.
    pub fn read_good(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buf.len().min(rest);
        let mut worker = self.worker();
        let (done, read) = self.read_with(&mut worker, offset, buf.get_mut(..len).unwrap_or_default());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(worker);
        }
        if done == 0 { read.map(|()| 0) } else { Ok(done) }
    }

    /// How many bytes were read, and what stopped it.
    fn read_with(&self, worker: &mut Worker, offset: u64, buf: &mut [u8]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while let Some(left) = buf.get_mut(done..).filter(|left| !left.is_empty()) {
            match self.read_chunk(worker, offset + done as u64, left) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Reads what of one chunk lies at `at`, which is before the end.
    fn read_chunk(&self, worker: &mut Worker, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let chunk_size = self.algorithm.chunk_size();
        let chunk = at / chunk_size as u64;
        let within = (at % chunk_size as u64) as usize;
        let start = chunk * chunk_size as u64;
        let plain_len = chunk_size.min(usize::try_from(self.size - start).unwrap_or(chunk_size));
        let part = (plain_len - within).min(buf.len());
        let to = buf.get_mut(..part).unwrap_or_default();
        if part == plain_len && worker.holds != Some(chunk) {
            self.chunk(worker, chunk, to)?;
            return Ok(part);
        }
        if worker.holds != Some(chunk) {
            worker.holds = None;
            let mut plain = std::mem::take(&mut worker.plain);
            plain.resize(plain_len, 0);
            let read = self.chunk(worker, chunk, &mut plain);
            worker.plain = plain;
            read?;
            worker.holds = Some(chunk);
        }
        to.copy_from_slice(worker.plain.get(within..within + part).unwrap_or_default());
        Ok(part)
    }
}

impl<S: ReadAt> ReadAt for WofReader<S> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buf.len().min(rest);
        let mut done = 0;
        while done < len {
            done += self.read_good(offset + done as u64, buf.get_mut(done..len).unwrap_or_default())?;
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        self.size
    }
}

fn bad(at: u64, why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("WofCompressedData at byte {at}: {why}"))
}
