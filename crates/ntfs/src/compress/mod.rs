//! What NTFS and the Windows Overlay Filter (WOF) compress with, as slices in and slices out.
//!
//! | module | what | where |
//! | --- | --- | --- |
//! | [`lznt1`] | LZNT1, units of 16 clusters | streams with the compressed flag |
//! | [`xpress`] | XPRESS with Huffman codes, chunks of 4, 8 or 16 KiB | `WofCompressedData` |
//! | [`lzx`] | LZX as in WIM, chunks of 32 KiB | `WofCompressedData` |
//! | [`wof`] | the layout of the stream `WofCompressedData`, read by position | |
//!
//! Each decoder fills the caller's slice exactly, or fails: it never gives more, never less, and never panics on input. The
//! states of [`xpress`] and [`lzx`] are made once and used for many chunks; nothing is allocated for a chunk.

mod bits;
mod huffman;
pub mod lznt1;
pub mod lzx;
pub mod wof;
pub mod xpress;

/// The result of a decoder.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Compressed data that are not what their format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{algorithm} data at byte {offset}: {problem}")]
pub struct Error {
    /// The name of the algorithm.
    pub algorithm: &'static str,
    /// Where in the compressed data, in bytes, as far as it was read.
    pub offset: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// Repeats `len` bytes of `out`, from `distance` before `at`, at `at`: the heart of every LZ77. `None` when the match
/// begins before `out` does or ends behind it.
#[inline]
fn copy_match(out: &mut [u8], at: usize, distance: usize, len: usize) -> Option<()> {
    let from = at.checked_sub(distance)?;
    let end = at.checked_add(len).filter(|end| *end <= out.len())?;
    if distance >= 16 && len <= 16 && at + 16 <= out.len() {
        // Most matches are short. What is written behind the match is written again.
        let piece: [u8; 16] = *out.get(from..)?.first_chunk()?;
        *out.get_mut(at..)?.first_chunk_mut()? = piece;
        return Some(());
    }
    if distance >= len {
        out.copy_within(from..from + len, at);
        return Some(());
    }
    match distance {
        0 => return None,
        1 => {
            let byte = *out.get(from)?;
            out.get_mut(at..end)?.fill(byte);
        }
        _ => {
            // The match goes into itself: what is there is doubled until it is enough.
            let mut done = 0;
            while done < len {
                let piece = (distance + done).min(len - done);
                out.copy_within(from..from + piece, at + done);
                done += piece;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_repeat_what_is_there() {
        for distance in 1..40 {
            for len in 0..60 {
                for room in [0, 1, 7, 30] {
                    let start: Vec<u8> = (0..50).map(|n| n * 5 + 1).collect();
                    let mut expected = start.clone();
                    for _ in 0..len {
                        expected.push(expected[expected.len() - distance]);
                    }
                    let mut out = start.clone();
                    out.resize(50 + len + room, 0xEE);
                    copy_match(&mut out, 50, distance, len).unwrap();
                    assert_eq!(out[..50 + len], expected, "{distance} {len}");
                    assert_eq!(copy_match(&mut out, 50, 51, len), None);
                    assert_eq!(copy_match(&mut out, 50, distance, len + room + 1), None);
                }
            }
        }
        assert_eq!(copy_match(&mut [0; 8], 4, 0, 2), None);
    }
}
