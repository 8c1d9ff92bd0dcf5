//! LZX as WIM and WOF have it: one chunk of up to 32 KiB, which is also the window.
//!
//! A chunk is blocks of bits in units of 16. A block:
//!
//! | bits | field |
//! | --- | --- |
//! | 3 | 1 verbatim, 2 aligned offsets, 3 uncompressed |
//! | 1 | 1: the block has 32,768 bytes; 0: 16 bits with its size follow |
//!
//! Uncompressed: the rest of the unit (a whole one when none is begun), three u32 recent distances, the bytes, and one more
//! to make them even. The others have codes: with aligned offsets, 8 lengths of 3 bits; then the lengths of the main code
//! (256 and 240 of its symbols apart) and of the length code (249), each coded with a code of 20 symbols whose lengths are
//! 4 bits each, as the difference to the length in the block before.
//!
//! A main symbol below 256 is a byte. Another one is a match: less 256, its lower 3 bits are the length less 2, or 7 with
//! a symbol of the length code to be added; the bits above are the slot of the distance. Slots 0 to 2 are the recent
//! distances; the others have a base and further bits, of which the lowest 3 are a symbol of the aligned code in blocks
//! that have one.
//!
//! After that, the operands of x86 call instructions (E8) that were made absolute are made relative again. The chunk always
//! counts as the first of a file of 12,000,000 bytes.
//!
//! Sources: \[MS-PATCH\] for the format; the differences of WIM are as wimlib's documentation and output have them.

use super::bits::Bits;
use super::huffman::Huffman;
use super::{Error, Result, copy_match};

/// The largest chunk, the window, and the size of a block that does not say its size.
pub const MAX_CHUNK: usize = 32_768;

/// Slots of distances for a window of 32 KiB.
const SLOTS: usize = 30;
const MAIN: usize = 256 + 8 * SLOTS;
const LENGTHS: usize = 249;
const PRE: usize = 20;
const ALIGNED: usize = 8;
const MIN_MATCH: usize = 2;

/// The size that every file has for the E8 filter.
const E8_FILE_SIZE: i32 = 12_000_000;

/// The state of a decoder, for any number of chunks.
pub struct Lzx {
    main: Huffman<MAIN>,
    length: Huffman<LENGTHS>,
    pre: Huffman<PRE>,
    aligned: Huffman<ALIGNED>,
}

/// Where a chunk is, between its blocks.
struct Chunk<'a> {
    bits: Bits<'a>,
    main_lengths: [u8; MAIN],
    length_lengths: [u8; LENGTHS],
    /// The recent distances.
    recent: [u32; 3],
}

impl Default for Lzx {
    fn default() -> Self {
        Self::new()
    }
}

type Step<T> = std::result::Result<T, &'static str>;

impl Lzx {
    /// A decoder.
    #[must_use]
    pub fn new() -> Self {
        Self { main: Huffman::new(), length: Huffman::new(), pre: Huffman::new(), aligned: Huffman::new() }
    }

    /// Decompresses one chunk: fills `out`, at most 32 KiB.
    ///
    /// # Errors
    /// The data are not LZX, or end before `out` is full. What is in `out` then is not defined.
    pub fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<()> {
        let mut chunk = Chunk {
            bits: Bits::new(input),
            main_lengths: [0; MAIN],
            length_lengths: [0; LENGTHS],
            recent: [1; 3],
        };
        let done = match out.len() <= MAX_CHUNK {
            true => self.blocks(&mut chunk, out),
            false => Err("a chunk has at most 32 KiB"),
        };
        let problem = match done {
            Ok(()) if chunk.bits.overran() => "the data end early",
            Ok(()) => {
                undo_e8(out);
                return Ok(());
            }
            Err(problem) => problem,
        };
        Err(Error { algorithm: "LZX", offset: chunk.bits.position().min(input.len()), problem })
    }

    fn blocks(&mut self, chunk: &mut Chunk<'_>, out: &mut [u8]) -> Step<()> {
        let mut done = 0;
        while done < out.len() {
            let kind = chunk.bits.read(3);
            let size = match chunk.bits.read(1) {
                1 => MAX_CHUNK,
                _ => chunk.bits.read(16) as usize,
            };
            // A block of no bytes would let the loop go on for as long as there is input.
            if size == 0 {
                return Err("a block has no bytes");
            }
            let end = done + size;
            let Some(known) = out.get_mut(..end) else {
                return Err("a block goes past the end of the chunk");
            };
            match kind {
                1 => {
                    self.codes(chunk)?;
                    self.block::<false>(chunk, known, done)?;
                }
                2 => {
                    let mut lengths = [0; ALIGNED];
                    lengths.fill_with(|| chunk.bits.read(3) as u8);
                    self.aligned.build(&lengths).ok_or("the aligned code is no Huffman code")?;
                    self.codes(chunk)?;
                    self.block::<true>(chunk, known, done)?;
                }
                3 => stored(chunk, known.get_mut(done..).unwrap_or_default())?,
                _ => return Err("the kind of a block is not 1, 2 or 3"),
            }
            if chunk.bits.overran() {
                return Err("the data end early");
            }
            done = end;
        }
        Ok(())
    }

    /// Reads the main and the length code of a block.
    fn codes(&mut self, chunk: &mut Chunk<'_>) -> Step<()> {
        let (bytes, matches) = chunk.main_lengths.split_at_mut(256);
        for lengths in [bytes, matches, &mut chunk.length_lengths] {
            self.code_lengths(&mut chunk.bits, lengths)?;
        }
        self.main.build(&chunk.main_lengths).ok_or("the main code is no Huffman code")?;
        self.length.build(&chunk.length_lengths).ok_or("the length code is no Huffman code")
    }

    /// Reads lengths of codes, as differences to those that are there.
    fn code_lengths(&mut self, bits: &mut Bits<'_>, lengths: &mut [u8]) -> Step<()> {
        let mut pre = [0; PRE];
        pre.fill_with(|| bits.read(4) as u8);
        self.pre.build(&pre).ok_or("the code of code lengths is no Huffman code")?;
        let symbol = |bits: &mut Bits<'_>| {
            bits.refill();
            self.pre.decode(bits).ok_or("the bits are no code length")
        };
        // The difference is subtracted, in a circle of 17.
        let changed = |old: u8, by: u32| ((u32::from(old) + 17 - by.min(17)) % 17) as u8;
        let mut rest = lengths.iter_mut();
        while let Some(first) = rest.next() {
            let (run, value) = match symbol(bits)? {
                17 => (4 + bits.read(4), 0),
                18 => (20 + bits.read(5), 0),
                19 => {
                    let run = 4 + bits.read(1);
                    match symbol(bits)? {
                        by @ 0..17 => (run, changed(*first, by)),
                        _ => return Err("a run of code lengths has no length"),
                    }
                }
                by => (1, changed(*first, by)),
            };
            *first = value;
            // A run may go past the end; wimlib's reader cuts it too.
            for length in rest.by_ref().take(run as usize - 1) {
                *length = value;
            }
        }
        Ok(())
    }

    /// Decodes a block: fills `out` from `done` on.
    fn block<const IS_ALIGNED: bool>(&self, chunk: &mut Chunk<'_>, out: &mut [u8], done: usize) -> Step<()> {
        let Chunk { bits, recent, .. } = chunk;
        let mut done = done;
        while done < out.len() {
            bits.refill();
            let symbol = self.main.decode(bits).ok_or("the bits are no code")?;
            let Some(symbol) = symbol.checked_sub(256) else {
                if let Some(to) = out.get_mut(done) {
                    *to = symbol as u8;
                }
                done += 1;
                continue;
            };
            let mut len = (symbol & 7) as usize;
            if len == 7 {
                // 16 of at least 32 bits are gone at most.
                len += self.length.decode(bits).ok_or("the bits are no length")? as usize;
                bits.refill();
            }
            let len = len + MIN_MATCH;
            let distance = match symbol >> 3 {
                0 => recent[0],
                1 => {
                    recent.swap(0, 1);
                    recent[0]
                }
                2 => {
                    recent.swap(0, 2);
                    recent[0]
                }
                slot => {
                    // Slot 3 is distance 1; from slot 4 on, two slots share a number of bits.
                    let extra = (slot / 2).saturating_sub(1);
                    let base = (2 + slot % 2) << extra;
                    let low = if IS_ALIGNED && extra >= 3 {
                        let high = bits.take(extra - 3);
                        bits.refill();
                        high << 3 | self.aligned.decode(bits).ok_or("the bits are no aligned offset")?
                    } else {
                        bits.take(extra)
                    };
                    let distance = base + low - 2;
                    *recent = [distance, recent[0], recent[1]];
                    distance
                }
            };
            copy_match(out, done, distance as usize, len).ok_or("a match leaves the block")?;
            done += len;
        }
        Ok(())
    }
}

/// An uncompressed block.
fn stored(chunk: &mut Chunk<'_>, out: &mut [u8]) -> Step<()> {
    const CUT: &str = "an uncompressed block is cut off";
    chunk.bits.align();
    for recent in &mut chunk.recent {
        let bytes = chunk.bits.bytes(4).and_then(<[u8]>::first_chunk::<4>).ok_or(CUT)?;
        *recent = u32::from_le_bytes(*bytes);
    }
    if chunk.recent.contains(&0) {
        return Err("a recent distance is 0");
    }
    let bytes = chunk.bits.bytes(out.len()).ok_or(CUT)?;
    out.copy_from_slice(bytes);
    if bytes.len() % 2 == 1 {
        // At the end of a chunk the byte may be missing.
        let _ = chunk.bits.bytes(1);
    }
    Ok(())
}

/// Makes the operands of calls relative again. The last 10 bytes are never changed.
fn undo_e8(out: &mut [u8]) {
    let Some(end) = out.len().checked_sub(10) else { return };
    let mut at = 0;
    while let Some(next) = out.get(at..end).and_then(|rest| rest.iter().position(|byte| *byte == 0xE8)) {
        at += next;
        // A chunk has at most 32 KiB.
        let position = at as i32;
        if let Some(operand) = out.get_mut(at + 1..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let absolute = i32::from_le_bytes(*operand);
            if (-position..E8_FILE_SIZE).contains(&absolute) {
                let relative = if absolute >= 0 { absolute - position } else { absolute + E8_FILE_SIZE };
                *operand = relative.to_le_bytes();
            }
        }
        at += 5;
    }
}
