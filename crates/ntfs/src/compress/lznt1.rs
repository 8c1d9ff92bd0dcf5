//! LZNT1: the compression of NTFS streams.
//!
//! A stream is cut into compression units of 16 clusters (the attribute says how many). A unit whose clusters are all
//! there is stored plain; one with holes at its end is compressed; one of holes only is zeros. The data of a compressed
//! unit are chunks, each for 4096 bytes:
//!
//! | bits of the u16 header | field |
//! | --- | --- |
//! | 0 to 11 | size of the chunk with its header, less 3 |
//! | 12 to 14 | 3 |
//! | 15 | 1: compressed; 0: 4096 plain bytes |
//!
//! A header of 0 ends the unit; what follows is zeros. In a compressed chunk, a tag byte says of the next eight elements,
//! lowest bit first, whether they are a byte (0) or a match (1): a u16 whose upper bits are the distance less 1, and whose
//! lower bits are the length less 3. How many bits are which moves with the position in the chunk: 4 bits of distance for
//! the first 16 bytes, and one more each time the position doubles.
//!
//! Rules that are easily missed, all as ntfs-3g has them: a match begins in its own chunk; a chunk that gives fewer than
//! 4096 bytes is filled with zeros; a chunk never gives more.
//!
//! Sources: \[MS-XCA\] 2.5; for the rules of units, the behaviour of ntfs-3g.

use super::{Error, Result, copy_match};

/// Bytes that a chunk stands for.
pub const CHUNK_SIZE: usize = 4096;

/// Decompresses a unit: fills `out` with its bytes, with zeros where the data end early. `input` may be longer than the
/// data, as a cluster is.
///
/// # Errors
/// The data are not LZNT1. What is in `out` then is not defined.
pub fn decompress(input: &[u8], out: &mut [u8]) -> Result<()> {
    let mut at = 0;
    let mut chunks = out.chunks_mut(CHUNK_SIZE);
    for to in &mut chunks {
        let header = match input.get(at..).and_then(<[u8]>::first_chunk) {
            Some(&[0, 0]) | None => {
                to.fill(0);
                break;
            }
            Some(header) => u16::from_le_bytes(*header),
        };
        let fault = |problem| Err(Error { algorithm: "LZNT1", offset: at, problem });
        if header >> 12 & 7 != 3 {
            return fault("the signature of the chunk is not 3");
        }
        let data_at = at + 2;
        let end = data_at + usize::from(header & 0xFFF) + 1;
        let Some(data) = input.get(data_at..end) else {
            return fault("the chunk goes past the end of the data");
        };
        if header & 0x8000 == 0 {
            if data.len() != CHUNK_SIZE {
                return fault("a plain chunk does not have 4096 bytes");
            }
            copy_start(data, to);
        } else if to.len() == CHUNK_SIZE {
            chunk(data, data_at, to)?;
        } else {
            // The caller wants less than a chunk has.
            let mut whole = [0; CHUNK_SIZE];
            chunk(data, data_at, &mut whole)?;
            copy_start(&whole, to);
        }
        at = end;
    }
    for rest in chunks {
        rest.fill(0);
    }
    Ok(())
}

/// Fills `to` with the first bytes of `from`.
fn copy_start(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Decompresses one chunk, which lies at `base`, into 4096 bytes.
fn chunk(data: &[u8], base: usize, out: &mut [u8]) -> Result<()> {
    let fault = |at: usize, problem| Error { algorithm: "LZNT1", offset: base + at, problem };
    let (mut at, mut done) = (0, 0);
    // Bits of a match that are its length, and where that changes.
    let (mut len_bits, mut widest) = (12u32, 16);
    while let Some(&tags) = data.get(at) {
        at += 1;
        if tags == 0
            && let Some(bytes) = data.get(at..).and_then(<[u8]>::first_chunk::<8>)
            && let Some(to) = out.get_mut(done..).and_then(<[u8]>::first_chunk_mut::<8>)
        {
            *to = *bytes;
            at += 8;
            done += 8;
            continue;
        }
        for bit in 0..8 {
            if tags >> bit & 1 == 0 {
                let Some(&byte) = data.get(at) else { break };
                let to = out.get_mut(done).ok_or_else(|| fault(at, "the chunk has more than 4096 bytes"))?;
                *to = byte;
                at += 1;
                done += 1;
                continue;
            }
            let token = match data.get(at..).unwrap_or_default() {
                [] => break,
                [low, high, ..] => u16::from_le_bytes([*low, *high]),
                [_] => return Err(fault(at, "a match is cut off")),
            };
            while done > widest {
                widest *= 2;
                len_bits -= 1;
            }
            let distance = usize::from(token >> len_bits) + 1;
            let len = usize::from(token & ((1 << len_bits) - 1)) + 3;
            if distance > done {
                return Err(fault(at, "a match begins before its chunk"));
            }
            copy_match(out, done, distance, len)
                .ok_or_else(|| fault(at, "the chunk has more than 4096 bytes"))?;
            at += 2;
            done += len;
        }
    }
    out.get_mut(done..).unwrap_or_default().fill(0);
    Ok(())
}
