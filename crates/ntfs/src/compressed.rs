/*!
Compressed streams: their units, and where the decoder is plugged in.

A stream is compressed in units of 2^n clusters, 16 on Windows. A unit with all its clusters is stored plain; one
without any is zeros; one that lacks clusters at its end is LZNT1 in those that it has. Runs may be split anywhere.
*/

use crate::attribute::AttributeFlags;
use crate::bytes::copy;
use crate::device::Device;
use crate::error::{Error, Problem, Result};
use crate::runs::Runs;

/// Fills `output`, one unit, from LZNT1: what the input does not say is zeros.
pub(crate) type Decoder = fn(input: &[u8], output: &mut [u8]) -> Result<()>;

/// The largest unit: 2 MiB clusters in units of one, and 16 of the 4 KiB that Windows compresses at most.
const MAX_UNIT: u64 = 2 << 20;

/// The decoder of LZNT1.
const LZNT1: Decoder = |_, _| {
    let hint = "this build has no decoder for LZNT1";
    Err(Error::new("compressed stream", 0, Problem::Unsupported { what: "compressed content", hint }))
};

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
        let hint = "NTFS has only LZNT1 (method 1)";
        return Err(Error::new(
            "compressed stream",
            offset,
            Problem::Unsupported { what: "its compression", hint },
        ));
    }
    read_with(LZNT1, device, runs, unit_shift, offset, buf)
}

fn read_with(
    decoder: Decoder,
    device: &Device,
    runs: &Runs,
    unit_shift: u32,
    offset: u64,
    buf: &mut [u8],
) -> Result<usize> {
    // Without a unit everything is plain.
    if unit_shift == 0 {
        return device.read_runs(runs, offset, buf);
    }
    let unit_size = 1_u64.checked_shl(unit_shift + device.cluster_shift).unwrap_or(u64::MAX);
    let mut done = 0;
    let mut unit_bytes = Vec::new();
    while let Some(left) = buf.get_mut(done..).filter(|left| !left.is_empty()) {
        let at = offset + done as u64;
        let start = at - at % unit_size;
        let in_unit = at - start;
        let len = (unit_size - in_unit).min(left.len() as u64) as usize;
        let part = left.get_mut(..len).unwrap_or_default();
        let result = match Unit::at(runs, start >> device.cluster_shift, unit_shift) {
            Unit::Plain => device.read_runs(runs, at, part),
            Unit::Hole => {
                part.fill(0);
                Ok(len)
            }
            Unit::Broken => {
                let expected = "none behind the first hole of a compressed unit";
                Err(Error::value("compressed stream", 0, "number of clusters", 1, expected))
            }
            Unit::Compressed(clusters) => compressed_unit(
                decoder,
                device,
                runs,
                start,
                clusters,
                unit_size,
                &mut unit_bytes,
                in_unit,
                part,
            ),
        };
        match result {
            Ok(got) => done += got,
            Err(error) if done == 0 => return Err(error.at(start)),
            Err(_) => break,
        }
    }
    Ok(done)
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

#[expect(clippy::too_many_arguments, reason = "one step of `read_with`, with its buffers")]
fn compressed_unit(
    decoder: Decoder,
    device: &Device,
    runs: &Runs,
    start: u64,
    clusters: u64,
    unit_size: u64,
    unit_bytes: &mut Vec<u8>,
    in_unit: u64,
    part: &mut [u8],
) -> Result<usize> {
    if unit_size > MAX_UNIT {
        return Err(Error::limit("compressed stream", "a compression unit", unit_size, MAX_UNIT));
    }
    let mut input = vec![0; (clusters << device.cluster_shift) as usize];
    device.read_runs_exact(runs, start, &mut input)?;
    if in_unit == 0 && part.len() as u64 == unit_size {
        decoder(&input, part)?;
        return Ok(part.len());
    }
    unit_bytes.clear();
    unit_bytes.resize(unit_size as usize, 0);
    decoder(&input, unit_bytes)?;
    Ok(copy(unit_bytes.get(in_unit as usize..).unwrap_or_default(), part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Geometry;

    /// A volume of 64 clusters of 512 bytes; each byte is the number of its cluster.
    fn device() -> Device {
        let mut sector = [0; 512];
        sector[3..11].copy_from_slice(b"NTFS    ");
        sector[12..14].copy_from_slice(&[2, 1]);
        sector[40] = 64;
        sector[48] = 4;
        sector[64..69].copy_from_slice(&[0xF6, 0, 0, 0, 1]);
        let bytes: Vec<u8> = (0..64_u8).flat_map(|cluster| [cluster; 512]).collect();
        Device::new(Box::new(bytes), Geometry::parse(&sector).unwrap())
    }

    /// Stands in for LZNT1: how many clusters there were, and the first byte of the last.
    fn decoder(input: &[u8], output: &mut [u8]) -> Result<()> {
        output.fill(0);
        output[0] = (input.len() / 512) as u8;
        output[1] = input[input.len() - 512];
        Ok(())
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
        let device = device();
        let runs = runs(&device);
        let units: Vec<Unit> = (0..4).map(|unit| Unit::at(&runs, unit * 4, 2)).collect();
        assert_eq!(units, [Unit::Plain, Unit::Hole, Unit::Compressed(3), Unit::Compressed(1)]);

        let mut whole = vec![0xAA; 16 * 512];
        assert_eq!(read_with(decoder, &device, &runs, 2, 0, &mut whole).unwrap(), whole.len());
        assert_eq!([whole[0], whole[1023], whole[1024], whole[2047]], [10, 11, 20, 21]);
        assert!(whole[2048..4096].iter().all(|byte| *byte == 0));
        assert_eq!((whole[4096], whole[4097], whole[6144], whole[6145]), (3, 36, 1, 40));
        // Any part of it is the same part.
        for (at, len) in [(0, 1), (500, 1500), (2000, 3000), (4096, 2), (4097, 4000), (8000, 192)] {
            let mut part = vec![0; len];
            assert_eq!(read_with(decoder, &device, &runs, 2, at as u64, &mut part).unwrap(), len);
            assert_eq!(part, whole[at..at + len], "{at}");
        }
    }

    /// What can be read comes first, and the error with the next call.
    #[test]
    fn without_a_decoder_compressed_units_are_not_supported() {
        let device = device();
        let runs = runs(&device);
        let mut whole = vec![0; 16 * 512];
        let flags = AttributeFlags::COMPRESSED;
        assert_eq!(read(&device, &runs, 2, flags, 0, &mut whole).unwrap(), 4096);
        let error = read(&device, &runs, 2, flags, 4096, &mut whole).unwrap_err();
        assert!(matches!(error.problem, Problem::Unsupported { .. }), "{error}");
        let other = AttributeFlags::from_bits_retain(2);
        assert!(read(&device, &runs, 2, other, 0, &mut whole).is_err());
    }

    #[test]
    fn hostile_10_units_that_no_volume_has() {
        let device = device();
        let mut runs = Runs::default();
        // A hole, and a cluster behind it.
        runs.decode(&[0x01, 1, 0x11, 3, 9, 0], 4, &device.limits(false)).unwrap();
        assert_eq!(Unit::at(&runs, 0, 2), Unit::Broken);
        assert!(read_with(decoder, &device, &runs, 2, 0, &mut [0; 100]).is_err());
        // A unit of 2^32 clusters.
        let mut runs = Runs::default();
        runs.decode(&[0x11, 2, 9, 0x01, 9, 0], 11, &device.limits(false)).unwrap();
        let error = read_with(decoder, &device, &runs, 32, 0, &mut [0; 100]).unwrap_err();
        assert!(matches!(error.problem, Problem::Limit { .. }), "{error}");
    }
}
