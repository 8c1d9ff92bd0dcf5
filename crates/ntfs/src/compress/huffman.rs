//! Canonical Huffman codes, decoded by a table.
//!
//! Codes of up to [`TABLE_BITS`] bits are looked up; longer ones, which are rare by nature, are compared with the first
//! code of each length.

use super::bits::Bits;

/// Codes of so many bits are in the table.
const TABLE_BITS: u32 = 11;

/// The longest code of XPRESS (15) and LZX (16).
const MAX_LEN: usize = 16;

/// A code for at most `SYMBOLS` symbols. It is made anew for each chunk or block, in the same memory.
pub(super) struct Huffman<const SYMBOLS: usize> {
    /// By the next bits: symbol << 8 | length, or 0 for a longer code, or none.
    table: Box<[u32; 1 << TABLE_BITS]>,
    /// Symbols by length and value of their codes.
    sorted: [u16; SYMBOLS],
    /// For each length: the first value of 16 bits that belongs to a longer code, and where its symbols are in `sorted`
    /// (less the first code, wrapping).
    long: [(u32, u32); MAX_LEN + 1],
}

impl<const SYMBOLS: usize> Huffman<SYMBOLS> {
    pub(super) fn new() -> Self {
        Self { table: Box::new([0; 1 << TABLE_BITS]), sorted: [0; SYMBOLS], long: [(0, 0); MAX_LEN + 1] }
    }

    /// Makes the code that these lengths (0 to 16, 0: no code) stand for. `None` when they are more than a code can have.
    /// A code with room left is accepted; what is not in it fails when it comes.
    pub(super) fn build(&mut self, lengths: &[u8]) -> Option<()> {
        let mut counts = [0u32; MAX_LEN + 1];
        for len in lengths {
            *counts.get_mut(usize::from(*len))? += 1;
        }
        if let Some(none) = counts.first_mut() {
            *none = 0;
        }
        // Where the symbols of each length begin in `sorted`, and their codes, as the first of 16 bits.
        let mut starts = [0u32; MAX_LEN + 1];
        let (mut symbols, mut code) = (0, 0u32);
        for (len, ((start, count), long)) in
            (0u32..).zip(starts.iter_mut().zip(counts).zip(self.long.iter_mut()))
        {
            *start = symbols;
            let first = if len == 0 { 0 } else { code >> (16 - len) };
            symbols += count;
            code += if len == 0 { 0 } else { count << (16 - len) };
            *long = (code, start.wrapping_sub(first));
        }
        if code > 1 << 16 {
            return None;
        }
        for (symbol, len) in (0u16..).zip(lengths) {
            if *len != 0 {
                let place = starts.get_mut(usize::from(*len))?;
                *self.sorted.get_mut(*place as usize)? = symbol;
                *place += 1;
            }
        }
        // Codes in their order fill the table from its start.
        let (mut next, mut filled) = (self.sorted.iter(), 0);
        for (len, count) in (0u32..).zip(counts).take(TABLE_BITS as usize + 1).skip(1) {
            let width = 1usize << (TABLE_BITS - len);
            for symbol in next.by_ref().take(count as usize) {
                let entry = u32::from(*symbol) << 8 | len;
                self.table.get_mut(filled..filled + width)?.fill(entry);
                filled += width;
            }
        }
        self.table.get_mut(filled..)?.fill(0);
        Some(())
    }

    /// Takes the next symbol; `None` when the bits are no code. 16 bits have to be there to look at.
    #[inline(always)]
    pub(super) fn decode(&self, bits: &mut Bits<'_>) -> Option<u32> {
        let next = bits.peek16();
        let entry = *self.table.get((next >> (16 - TABLE_BITS)) as usize)?;
        if entry == 0 {
            return self.decode_long(bits, next);
        }
        bits.skip(entry & 0xFF);
        Some(entry >> 8)
    }

    #[cold]
    fn decode_long(&self, bits: &mut Bits<'_>, next: u32) -> Option<u32> {
        let lengths = (0u32..).zip(&self.long).skip(TABLE_BITS as usize + 1);
        for (len, (end, base)) in lengths {
            if next < *end {
                bits.skip(len);
                let place = (next >> (16 - len)).wrapping_add(*base);
                return self.sorted.get(place as usize).map(|symbol| u32::from(*symbol));
            }
        }
        None
    }
}
