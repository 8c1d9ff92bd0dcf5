//! Reading by position: the one trait that raw files, containers and partitions have in common.

use std::io;
use std::sync::Arc;

/// Bytes that are read by position, from any number of threads at once.
pub trait ReadAt: Send + Sync {
    /// Fills `buf` with the bytes from `offset` on, in bytes from the start, and says how many there were: all of
    /// `buf`, or fewer when the end comes first, or 0 at or past the end.
    ///
    /// # Errors
    /// What the operating system says, or (with an [`Error`](crate::Error) inside) that the container is damaged there.
    /// What is in `buf` then is not defined.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Size in bytes.
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// As [`ReadAt::read_at`], and [`io::ErrorKind::UnexpectedEof`] when the end comes first.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match self.read_at(offset, buf)? {
            read if read == buf.len() => Ok(()),
            read => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} bytes needed at byte {offset}, {read} there", buf.len()),
            )),
        }
    }
}

/// Bytes in memory.
impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
}

/// Bytes in memory.
impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }

    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
                (**self).read_at(offset, buf)
            }

            fn len(&self) -> u64 {
                (**self).len()
            }
        }
    )*};
}
forward!(&T, Box<T>, Arc<T>);

/// A window of another source: a partition of a disk.
#[derive(Debug, Clone)]
pub struct Slice<S> {
    source: S,
    start: u64,
    len: u64,
}

impl<S: ReadAt> Slice<S> {
    /// The `len` bytes of `source` from `start` on, as far as they are there.
    pub fn new(source: S, start: u64, len: u64) -> Self {
        let len = len.min(source.len().saturating_sub(start));
        Self { source, start, len }
    }

    /// Where the window begins in its source, in bytes.
    pub fn start(&self) -> u64 {
        self.start
    }
}

impl<S: ReadAt> ReadAt for Slice<S> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let Some(rest) = self.len.checked_sub(offset) else { return Ok(0) };
        let len = buf.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        // `start + offset` is below the size of the source.
        self.source.read_at(self.start.saturating_add(offset), buf.get_mut(..len).unwrap_or_default())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// The part of a request at `offset` for `len` bytes that lies before `end`.
pub(crate) fn clamp(offset: u64, len: usize, end: u64) -> usize {
    len.min(usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX))
}
