//! The volume as bytes: exact reads with a place in their errors, and reads through a run list.

use std::io;
use std::sync::Arc;

use ntbak_image::ReadAt;

use crate::boot::Geometry;
use crate::error::{Error, Problem, Result};
use crate::runs::{Limits, Runs};

pub(crate) struct Device {
    reader: Box<dyn ReadAt>,
    pub(crate) geometry: Geometry,
    /// log2 of the size of a cluster.
    pub(crate) cluster_shift: u32,
}

impl Device {
    pub(crate) fn new(reader: Box<dyn ReadAt>, geometry: Geometry) -> Self {
        Self { reader, geometry, cluster_shift: geometry.cluster_size.trailing_zeros() }
    }

    /// The same bytes as a volume of another shape.
    pub(crate) fn with_geometry(self, geometry: Geometry) -> Self {
        Self::new(self.reader, geometry)
    }

    /// The size of the image in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.reader.len()
    }

    pub(crate) fn limits(&self, old_holes: bool) -> Limits {
        Limits { clusters: self.geometry.clusters, cluster_shift: self.cluster_shift, old_holes }
    }

    /// Fills `buf` from byte `at` of the volume.
    pub(crate) fn read_exact(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let needed = buf.len();
        match self.read(at, buf)? {
            got if got == needed => Ok(()),
            // What comes after the bytes that were good.
            got => match self.read(at + got as u64, buf.get_mut(got..).unwrap_or_default()) {
                Ok(_) => Err(image_ends(at, needed)),
                Err(error) => Err(error),
            },
        }
    }

    /// Reads as much of `buf` as can be read from byte `at` of the volume on, at least one byte.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> Result<usize> {
        read_from(&*self.reader, at, buf)
    }

    /// Reads as much of `buf` as can be read from byte `offset` of what `runs` hold, at least one byte; holes are zeros.
    ///
    /// # Errors
    /// Nothing can be read there. When only later bytes cannot, the good ones come first.
    pub(crate) fn read_runs(&self, runs: &Runs, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        for run in runs.from(offset >> self.cluster_shift) {
            let left = buf.get_mut(done..).unwrap_or_default();
            if left.is_empty() {
                break;
            }
            let at = offset + done as u64;
            let in_run = at - (run.vcn << self.cluster_shift);
            let len = ((run.len << self.cluster_shift) - in_run).min(left.len() as u64) as usize;
            let part = left.get_mut(..len).unwrap_or_default();
            let Some(lcn) = run.lcn else {
                part.fill(0);
                done += len;
                continue;
            };
            match self.read((lcn << self.cluster_shift) + in_run, part) {
                Ok(got) => done += got,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            if (done as u64) < at + len as u64 - offset {
                break;
            }
        }
        if done == 0 && !buf.is_empty() {
            return Err(Error::value("run list", 0, "byte of the value", offset, "one that its runs have"));
        }
        Ok(done)
    }

    /// Fills `buf` from byte `offset` of what `runs` hold.
    pub(crate) fn read_runs_exact(&self, runs: &Runs, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            done += self.read_runs(runs, offset + done as u64, buf.get_mut(done..).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Nothing smaller is tried when something cannot be read.
const SECTOR: usize = 512;

/// Reads as much of `buf` as can be read, at least one byte.
pub(crate) fn read_from(reader: &dyn ReadAt, at: u64, buf: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    // Half as much after an error: a container fails as a whole where a part of it is damaged.
    let mut most = buf.len();
    while let Some(left) = buf.get_mut(done..).filter(|left| !left.is_empty()) {
        let len = left.len().min(most);
        match reader.read_at(at.saturating_add(done as u64), left.get_mut(..len).unwrap_or_default()) {
            Ok(0) => break,
            // A reader that answers more than it was asked for.
            Ok(got) => done += got.min(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) if len > SECTOR => most = len / 2,
            Err(_) if done > 0 => break,
            Err(error) => return Err(Error::new("volume", at, Problem::Read(Arc::new(error)))),
        }
    }
    if done == 0 && !buf.is_empty() { Err(image_ends(at, buf.len())) } else { Ok(done) }
}

fn image_ends(at: u64, needed: usize) -> Error {
    Error::new("volume", at, Problem::ImageEnds { at, needed: needed as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails as a whole where a request meets a bad byte, as a container does.
    struct Damaged {
        len: u64,
        bad: u64,
    }

    impl ReadAt for Damaged {
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            let len = buf.len().min(self.len.saturating_sub(offset) as usize);
            if (offset..offset + len as u64).contains(&self.bad) {
                return Err(io::Error::other("bad"));
            }
            buf[..len].fill(7);
            Ok(len)
        }

        fn len(&self) -> u64 {
            self.len
        }
    }

    #[test]
    fn good_bytes_come_before_a_bad_one() {
        for bad in [5000, 65_536, 99_999, 700_000] {
            let reader = Damaged { len: 1 << 20, bad };
            let mut buf = vec![0; 1 << 20];
            let got = read_from(&reader, 0, &mut buf).unwrap() as u64;
            assert!(got <= bad && bad - got < 1024, "{got} of {bad}");
            assert!(buf[..got as usize].iter().all(|byte| *byte == 7));
        }
        assert!(read_from(&Damaged { len: 1 << 20, bad: 100 }, 0, &mut [0; 4096]).is_err());
    }
}
