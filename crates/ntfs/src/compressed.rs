/*!
Compressed streams: their units.

A stream is compressed in units of 2^n clusters, 16 on Windows. A unit with all its clusters is stored plain; one
without any is zeros; one that lacks clusters at its end is LZNT1 in those that it has. Runs may be split anywhere.
*/

use crate::attribute::AttributeFlags;
use crate::compress::{self, lznt1};
use crate::device::Device;
use crate::error::{Error, Problem, Result};
use crate::runs::Runs;
use ntbak_wire::bytes::copy_at;

/// The largest unit: 2 MiB clusters in units of one, and 16 of the 4 KiB that Windows compresses at most.
const MAX_UNIT: u64 = 2 << 20;

/// Reads content from byte `offset` of a compressed stream on, at least one byte. Units that `buf` covers whole are
/// decoded into it; others twice when they are read in two parts, so read in multiples of 64 KiB.
pub(crate) fn read(
    device: &Device,
    runs: &Runs,
    unit_shift: u32,
    flags: AttributeFlags,
    offset: u64,
    buf: &mut [u8],
) -> Result<usize> {
    if flags & AttributeFlags::COMPRESSION_MASK != AttributeFlags::COMPRESSED {
        let problem =
            Problem::Unsupported { what: "its compression", hint: "NTFS has only LZNT1 (method 1)" };
        return Err(Error::new("compressed stream", offset, problem));
    }
    // Without a unit everything is plain.
    if unit_shift == 0 {
        return device.read_runs(runs, offset, buf);
    }
    let size = 1_u64.checked_shl(unit_shift + device.cluster_shift).unwrap_or(u64::MAX);
    let mut units = Units { device, runs, unit_shift, size, stored: Vec::new(), plain: Vec::new() };
    let mut done = 0;
    while let Some(left) = buf.get_mut(done..).filter(|left| !left.is_empty()) {
        let at = offset + done as u64;
        let in_unit = at % size;
        let len = (size - in_unit).min(left.len() as u64) as usize;
        match units.read(at - in_unit, in_unit, left.get_mut(..len).unwrap_or_default()) {
            Ok(got) => done += got,
            Err(error) if done == 0 => return Err(error.at(at - in_unit)),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// The units of a stream, and room for one.
struct Units<'d> {
    device: &'d Device,
    runs: &'d Runs,
    unit_shift: u32,
    /// Bytes of a unit.
    size: u64,
    /// The clusters of a unit, and its content.
    stored: Vec<u8>,
    plain: Vec<u8>,
}

impl Units<'_> {
    /// Reads a part of the unit that begins at byte `start` of the stream, from byte `in_unit` of the unit on.
    fn read(&mut self, start: u64, in_unit: u64, part: &mut [u8]) -> Result<usize> {
        match Unit::at(self.runs, start >> self.device.cluster_shift, self.unit_shift) {
            Unit::Plain => self.device.read_runs(self.runs, start + in_unit, part),
            Unit::Hole => {
                part.fill(0);
                Ok(part.len())
            }
            Unit::Broken => {
                let expected = "none behind the first hole of a compressed unit";
                Err(Error::value("compressed stream", 0, "number of clusters", 1, expected))
            }
            Unit::Compressed(clusters) => self.read_compressed(start, clusters, in_unit, part),
        }
    }

    fn read_compressed(&mut self, start: u64, clusters: u64, in_unit: u64, part: &mut [u8]) -> Result<usize> {
        if self.size > MAX_UNIT {
            return Err(Error::limit("compressed stream", "a compression unit", self.size, MAX_UNIT));
        }
        self.stored.resize((clusters << self.device.cluster_shift) as usize, 0);
        self.device.read_runs_exact(self.runs, start, &mut self.stored)?;
        let damaged = |error: compress::Error| {
            Error::new("compressed stream", 0, Problem::Compressed(error.to_string().into()))
        };
        if in_unit == 0 && part.len() as u64 == self.size {
            lznt1::decompress(&self.stored, part).map_err(damaged)?;
            return Ok(part.len());
        }
        self.plain.resize(self.size as usize, 0);
        lznt1::decompress(&self.stored, &mut self.plain).map_err(damaged)?;
        Ok(copy_at(&self.plain, in_unit, part))
    }
}

/// How one unit is stored.
#[derive(Debug, PartialEq, Eq)]
enum Unit {
    Plain,
    Hole,
    /// In this many clusters at its start.
    Compressed(u64),
    /// With clusters behind a hole.
    Broken,
}

impl Unit {
    fn at(runs: &Runs, vcn: u64, unit_shift: u32) -> Self {
        let end = vcn + (1 << unit_shift);
        let (mut stored, mut hole) = (0, false);
        for run in runs.from(vcn).take_while(|run| run.vcn < end) {
            match run.lcn {
                None => hole = true,
                Some(_) if hole => return Self::Broken,
                Some(_) => stored += run.end().min(end) - run.vcn.max(vcn),
            }
        }
        match stored {
            0 => Self::Hole,
            // The last unit of a stream may end with its runs.
            _ if !hole => Self::Plain,
            _ => Self::Compressed(stored),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Geometry;

    const LZNT1: AttributeFlags = AttributeFlags::COMPRESSED;

    /// A volume of 64 clusters of 512 bytes; each byte is the number of its cluster, but for those that begin a
    /// compressed unit: their LZNT1 data stand for 4096 times the number.
    fn device(begin_units: &[u8]) -> Device {
        let mut sector = [0; 512];
        sector[3..11].copy_from_slice(b"NTFS    ");
        sector[12..14].copy_from_slice(&[2, 1]);
        sector[40] = 64;
        sector[48] = 4;
        sector[64..69].copy_from_slice(&[0xF6, 0, 0, 0, 1]);
        let mut bytes: Vec<u8> = (0..64_u8).flat_map(|cluster| [cluster; 512]).collect();
        for cluster in begin_units {
            let at = usize::from(*cluster) * 512;
            // A byte, and a match of distance 1 for the rest.
            bytes[at..at + 6].copy_from_slice(&[0x03, 0xB0, 0b10, *cluster, 0xFC, 0x0F]);
        }
        Device::new(Box::new(bytes), Geometry::parse(&sector).unwrap())
    }

    /// Units of 4 clusters: plain over two runs, a hole, compressed in 3 clusters of two runs, compressed in 1.
    fn runs(device: &Device) -> Runs {
        let list =
            [0x11, 2, 10, 0x11, 2, 10, 0x01, 4, 0x11, 1, 10, 0x11, 2, 5, 0x01, 1, 0x11, 1, 5, 0x01, 3, 0];
        let mut runs = Runs::default();
        runs.decode(&list, 16, &device.limits(false)).unwrap();
        runs
    }

    #[test]
    fn ntfs_33_units_are_plain_holes_or_compressed() {
        let device = device(&[30, 40]);
        let runs = runs(&device);
        let units: Vec<Unit> = (0..4).map(|unit| Unit::at(&runs, unit * 4, 2)).collect();
        assert_eq!(units, [Unit::Plain, Unit::Hole, Unit::Compressed(3), Unit::Compressed(1)]);

        let mut whole = vec![0xAA; 16 * 512];
        assert_eq!(read(&device, &runs, 2, LZNT1, 0, &mut whole).unwrap(), whole.len());
        assert_eq!([whole[0], whole[1023], whole[1024], whole[2047]], [10, 11, 20, 21]);
        assert!(whole[2048..4096].iter().all(|byte| *byte == 0));
        assert!(whole[4096..6144].iter().all(|byte| *byte == 30), "{:?}", &whole[4096..4200]);
        assert!(whole[6144..].iter().all(|byte| *byte == 40));
        // Any part of it is the same part.
        for (at, len) in [(0, 1), (500, 1500), (2000, 3000), (4096, 2), (4097, 4000), (8000, 192)] {
            let mut part = vec![0; len];
            assert_eq!(read(&device, &runs, 2, LZNT1, at as u64, &mut part).unwrap(), len);
            assert_eq!(part, whole[at..at + len], "{at}");
        }
    }

    /// What can be read comes first, and the error with the next call.
    #[test]
    fn hostile_10_damaged_units_and_other_methods() {
        let device = device(&[40]);
        let runs = runs(&device);
        let mut whole = vec![0; 16 * 512];
        assert_eq!(read(&device, &runs, 2, LZNT1, 0, &mut whole).unwrap(), 4096);
        let error = read(&device, &runs, 2, LZNT1, 4096, &mut whole).unwrap_err();
        assert!(matches!(error.problem, Problem::Compressed(_)) && error.place.offset == 4096, "{error}");
        assert_eq!(read(&device, &runs, 2, LZNT1, 6144, &mut whole[..2048]).unwrap(), 2048);
        let other = AttributeFlags::from_bits_retain(2);
        let error = read(&device, &runs, 2, other, 0, &mut whole).unwrap_err();
        assert!(matches!(error.problem, Problem::Unsupported { .. }), "{error}");
    }

    #[test]
    fn hostile_10_units_that_no_volume_has() {
        let device = device(&[]);
        let mut runs = Runs::default();
        // A hole, and a cluster behind it.
        runs.decode(&[0x01, 1, 0x11, 3, 9, 0], 4, &device.limits(false)).unwrap();
        assert_eq!(Unit::at(&runs, 0, 2), Unit::Broken);
        assert!(read(&device, &runs, 2, LZNT1, 0, &mut [0; 100]).is_err());
        // A unit of 2^32 clusters.
        let mut runs = Runs::default();
        runs.decode(&[0x11, 2, 9, 0x01, 9, 0], 11, &device.limits(false)).unwrap();
        let error = read(&device, &runs, 32, LZNT1, 0, &mut [0; 100]).unwrap_err();
        assert!(matches!(error.problem, Problem::Limit { .. }), "{error}");
    }
}
