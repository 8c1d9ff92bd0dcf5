//! Where the bytes of a volume come from: reading by position, from many threads at once.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Something with bytes that are read by position. Nothing moves, so any thread may read at any time.
pub trait ReadAt: Send + Sync {
    /// Reads bytes at `offset`; answers how many, 0 only at the end or for an empty `buf`.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// The size in bytes.
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for File {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buf, offset)
    }

    /// The size of a file, or of a device, which only its end tells.
    fn len(&self) -> u64 {
        match self.metadata() {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => io::Seek::seek(&mut &*self, io::SeekFrom::End(0)).unwrap_or(0),
        }
    }
}

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

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }

    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }
}

macro_rules! through_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<R: ReadAt + ?Sized> ReadAt for $pointer {
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
                (**self).read_at(offset, buf)
            }

            fn len(&self) -> u64 {
                (**self).len()
            }
        }
    )*};
}

through_a_pointer!(&R, Box<R>, Arc<R>);

/// A part of something else, such as a partition of a disk.
#[derive(Debug, Clone)]
pub struct Window<R> {
    inner: R,
    offset: u64,
    len: u64,
}

impl<R: ReadAt> Window<R> {
    /// The `len` bytes of `inner` from `offset` on, as far as they are there.
    pub fn new(inner: R, offset: u64, len: u64) -> Self {
        let len = len.min(inner.len().saturating_sub(offset));
        Self { inner, offset, len }
    }
}

impl<R: ReadAt> ReadAt for Window<R> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buf.len());
        match (buf.get_mut(..len), self.offset.checked_add(offset)) {
            (Some(buf), Some(at)) => self.inner.read_at(at, buf),
            _ => Ok(0),
        }
    }

    fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_where_it_should() {
        let window = Window::new(&b"0123456789"[..], 3, 4);
        let mut buf = [0; 8];
        assert_eq!((window.len(), window.read_at(1, &mut buf).unwrap()), (4, 3));
        assert_eq!(&buf[..3], b"456");
        assert_eq!(window.read_at(4, &mut buf).unwrap(), 0);
        assert_eq!(window.read_at(u64::MAX, &mut buf).unwrap(), 0);
        assert_eq!(Window::new(&b"0123"[..], 2, u64::MAX).len(), 2);
        assert_eq!(Window::new(&b"0123"[..], 9, 1).len(), 0);
    }
}
