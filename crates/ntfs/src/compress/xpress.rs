//! XPRESS with Huffman codes: WOF's XPRESS4K, XPRESS8K and XPRESS16K, and WIM's XPRESS.
//!
//! A chunk:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 256 | lengths of the codes of 512 symbols, 4 bits each, the lower half of a byte first |
//! | 256 | | bits, in units of 16 |
//!
//! A symbol below 256 is a byte. Another one is a match: its lower 4 bits are the length less 3, its next 4 bits say how
//! many bits of distance follow (below an implied one). A length of 15 goes on in a byte, which is added; 255 there means
//! that the length less 3 is in the next two bytes, and 0 there, in the next four. These bytes stand in the stream behind
//! one whole unit of bits that is always read ahead.
//!
//! The size of the output is known to the caller; a chunk does not end by itself.
//!
//! Source: \[MS-XCA\] 2.2.

use super::bits::Bits;
use super::huffman::Huffman;
use super::{Error, Result, copy_match};

const LENGTHS: usize = 256;
const SYMBOLS: usize = 512;
const MIN_MATCH: usize = 3;

/// The largest output of one chunk: after 64 KiB, \[MS-XCA\] has a new table, and no chunk of WOF or WIM is that large.
const MAX_OUTPUT: usize = 65_536;

/// The state of a decoder, for any number of chunks.
pub struct Xpress {
    code: Huffman<SYMBOLS>,
}

impl Default for Xpress {
    fn default() -> Self {
        Self::new()
    }
}

impl Xpress {
    /// A decoder.
    #[must_use]
    pub fn new() -> Self {
        Self { code: Huffman::new() }
    }

    /// Decompresses one chunk: fills `out`, at most 64 KiB.
    ///
    /// # Errors
    /// The data are not XPRESS, or end before `out` is full. What is in `out` then is not defined.
    pub fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        let fault = |offset, problem| Error { algorithm: "XPRESS", offset, problem };
        let Some((packed, stream)) = input.split_at_checked(LENGTHS) else {
            return Err(fault(input.len(), "the table of codes is cut off"));
        };
        if out.len() > MAX_OUTPUT {
            return Err(fault(0, "a chunk has at most 64 KiB"));
        }
        let mut lengths = [0; SYMBOLS];
        for ([even, odd], both) in lengths.as_chunks_mut::<2>().0.iter_mut().zip(packed) {
            *even = both & 15;
            *odd = both >> 4;
        }
        self.code.build(&lengths).ok_or_else(|| fault(0, "the table is no Huffman code"))?;

        let mut bits = Bits::new(stream);
        let end = out.len();
        let mut done = 0;
        while done < end {
            bits.refill();
            let at = |bits: &Bits<'_>| LENGTHS + bits.position();
            let symbol =
                self.code.decode(&mut bits).ok_or_else(|| fault(at(&bits), "the bits are no code"))?;
            if symbol < 256 {
                if let Some(to) = out.get_mut(done) {
                    *to = symbol as u8;
                }
                done += 1;
                continue;
            }
            let mut len = (symbol & 15) as usize;
            if len == 15 {
                len =
                    long_len(&mut bits).ok_or_else(|| fault(at(&bits), "the length of a match is wrong"))?;
            }
            let distance_bits = symbol >> 4 & 15;
            let distance = (1 << distance_bits) | bits.take(distance_bits) as usize;
            let len = len.saturating_add(MIN_MATCH);
            copy_match(out, done, distance, len)
                .ok_or_else(|| fault(at(&bits), "a match leaves the chunk"))?;
            done += len;
        }
        if bits.overran() {
            return Err(fault(input.len(), "the data end early"));
        }
        Ok(())
    }
}

/// The length (less 3) of a match that does not fit its symbol. Bits for the distance are there afterwards.
#[cold]
fn long_len(bits: &mut Bits<'_>) -> Option<usize> {
    let mut byte = || bits.byte_after_unit();
    let first = byte()?;
    let len = if first < 255 {
        15 + usize::from(first)
    } else {
        let two = u16::from_le_bytes([byte()?, byte()?]);
        match two {
            0 => usize::try_from(u32::from_le_bytes([byte()?, byte()?, byte()?, byte()?])).ok()?,
            two => usize::from(two),
        }
    };
    bits.refill();
    (len >= 15).then_some(len)
}
