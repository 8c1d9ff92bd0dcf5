//! Holes of a sparse file: where the file system has them, and where it does not show them.

use std::os::fd::AsFd;

use ntbak_wire::record::Extent;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// NTFS makes holes in units of this many bytes.
pub(crate) const UNIT: u64 = 65_536;
/// Bytes read at a time when holes are looked for.
const SCAN: usize = 1 << 20;

/// The next range of a file that its file system has allocated.
pub(crate) fn next_native(fd: impl AsFd, from: u64) -> Result<Option<Extent>> {
    let fault = |error| Error::io("looking for holes", error).at_offset(from);
    let offset = match rustix::fs::seek(&fd, SeekFrom::Data(from)) {
        Ok(offset) => offset,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let end = rustix::fs::seek(&fd, SeekFrom::Hole(offset)).map_err(fault)?;
    Ok(Some(Extent { offset, len: end.saturating_sub(offset) }).filter(|extent| extent.len > 0))
}

/// The next range of a stream of `size` bytes in which something is not zero: a unit of zeros is taken for a hole.
pub(crate) fn next_by_zeros(
    from: u64,
    size: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize>,
) -> Result<Option<Extent>> {
    let mut buffer = vec![0; SCAN];
    let mut begin = None;
    let mut at = from - from % UNIT;
    loop {
        let got = read(at, &mut buffer)?;
        for unit in buffer.get(..got).unwrap_or_default().chunks(UNIT as usize) {
            let zero = is_zero(unit);
            match begin {
                None if !zero => begin = Some(at.max(from)),
                Some(begin) if zero => return Ok(Some(Extent { offset: begin, len: at - begin })),
                _ => {}
            }
            at += unit.len() as u64;
        }
        if got < buffer.len() {
            let extent = begin.map(|begin| Extent { offset: begin, len: at.min(size).saturating_sub(begin) });
            return Ok(extent.filter(|extent| extent.len > 0));
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}
