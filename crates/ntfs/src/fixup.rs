/*!
Fixups, which show whether a block of several sectors was written whole.

The last two bytes of every 512-byte piece of a record or index block are replaced on disk by one check value; the
bytes that belong there stand in the *update sequence array*: the check value, then one word for each piece. The
pieces have 512 bytes also where sectors have 4096.
*/

use crate::error::{Error, Problem, Result};
use ntbak_wire::bytes::{array_at, u16_at};

/// Bytes that one word of the array stands for.
const PIECE: usize = 512;

/// Puts back what the fixups replaced. `block` is a record or index block that begins with its magic number.
///
/// With `salvage` the words are put back also where the block is torn; the answer is then `true`.
///
/// # Errors
/// The array does not fit, or the block is torn.
pub(crate) fn apply(structure: &'static str, block: &mut [u8], salvage: bool) -> Result<bool> {
    let fault =
        |offset, what, found: u16, expected| Error::value(structure, offset, what, found.into(), expected);
    let (Some(offset), Some(count)) = (u16_at(block, 4), u16_at(block, 6)) else {
        return Err(Error::truncated(structure, 0, "it", PIECE as u64, block.len() as u64));
    };
    let start = usize::from(offset);
    let pieces = block.len() / PIECE;
    if start < 40 || !start.is_multiple_of(2) {
        return Err(fault(4, "offset of the update sequence array", offset, "an even number from 40 on"));
    }
    // More words than pieces have been seen; fewer leave a piece without one.
    if usize::from(count) <= pieces || start + 2 * usize::from(count) > PIECE - 2 {
        return Err(fault(
            6,
            "size of the update sequence array",
            count,
            "a word for each 512 bytes and one more",
        ));
    }
    let check: Option<[u8; 2]> = array_at(block, start);
    let mut torn = None;
    for piece in 0..pieces {
        let end = (piece + 1) * PIECE;
        let word: Option<[u8; 2]> = array_at(block, start + 2 * (piece + 1));
        let (Some(place), Some(word)) = (block.get_mut(end - 2..end), word) else { continue };
        if Some(&*place) != check.as_ref().map(<[u8; 2]>::as_slice) {
            torn.get_or_insert(piece * PIECE);
            if !salvage {
                break;
            }
        }
        place.copy_from_slice(&word);
    }
    match torn {
        Some(at) if !salvage => Err(Error::new(structure, 0, Problem::Torn { at: at as u64 })),
        torn => Ok(torn.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(count: u16) -> Vec<u8> {
        let mut block = vec![7; 1024];
        block[4..8].copy_from_slice(&[48, 0, count.to_le_bytes()[0], count.to_le_bytes()[1]]);
        block[48..54].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        for end in [512, 1024] {
            block[end - 2..end].copy_from_slice(&[1, 2]);
        }
        block
    }

    #[test]
    fn words_are_put_back() {
        // The last one: more words than pieces.
        for count in [3, 4] {
            let mut block = block(count);
            assert!(!apply("MFT record", &mut block, false).unwrap());
            assert_eq!([block[510], block[511], block[1022], block[1023]], [3, 4, 5, 6]);
        }
    }

    #[test]
    fn hostile_7_arrays_that_do_not_fit() {
        for (offset, count) in
            [(49, 3), (0, 3), (38, 3), (506, 3), (0xFFFE, 3), (48, 0), (48, 2), (48, 0xFFFF)]
        {
            let mut block = block(3);
            block[4..6].copy_from_slice(&u16::to_le_bytes(offset));
            block[6..8].copy_from_slice(&u16::to_le_bytes(count));
            assert!(matches!(apply("x", &mut block, true).unwrap_err().problem, Problem::Value { .. }));
        }
        assert!(apply("x", &mut [0; 7], true).is_err());
    }

    #[test]
    fn a_torn_block_is_an_error_unless_it_is_salvaged() {
        let mut block = block(3);
        block[1023] = 9;
        let before = block.clone();
        assert!(matches!(apply("x", &mut block, false).unwrap_err().problem, Problem::Torn { at: 512 }));
        block.clone_from(&before);
        assert!(apply("x", &mut block, true).unwrap());
        assert_eq!([block[1022], block[1023]], [5, 6]);
    }
}
