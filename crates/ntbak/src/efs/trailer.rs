/*!
How ntfs-3g shows an encrypted stream under `efs_raw`, which is how directories of Linux hold one, too.

| bytes | |
| --- | --- |
| size, rounded up to 512 | the ciphertext as it is |
| 2 | how many bytes that rounding has added: u16, little-endian |

An empty stream has nothing of both. Source: ntfs-3g(8), and seen on mounts of ntfs-3g 2022.10.3.
*/

use ntbak_wire::efs::SECTOR;

/// Bytes behind the ciphertext.
pub(crate) const TRAILER: u64 = 2;

/// How many bytes a stream of `size` bytes has there.
pub(crate) fn stored_size(size: u64) -> u64 {
    if size == 0 { 0 } else { size.next_multiple_of(SECTOR) + TRAILER }
}

/// The bytes behind the ciphertext of a stream of `size` bytes.
pub(crate) fn trailer_of(size: u64) -> [u8; 2] {
    // Less than a sector.
    ((size.next_multiple_of(SECTOR) - size) as u16).to_le_bytes()
}

/// The size of a stream of which there are `stored` bytes, these being the last; `None` when it is not stored so.
pub(crate) fn true_size(stored: u64, trailer: [u8; 2]) -> Option<u64> {
    let padding = u64::from(u16::from_le_bytes(trailer));
    let ciphertext = stored.checked_sub(TRAILER)?;
    (ciphertext > 0 && ciphertext.is_multiple_of(SECTOR) && padding < SECTOR).then(|| ciphertext - padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efs_68_the_trailer_of_every_size() {
        for (size, stored, trailer) in [
            (1, 514, [0xFF, 1]),
            (511, 514, [1, 0]),
            (512, 514, [0, 0]),
            (513, 1026, [0xFF, 1]),
            (621, 1026, [0x93, 1]),
        ] {
            assert_eq!((stored_size(size), trailer_of(size)), (stored, trailer), "{size}");
            assert_eq!(true_size(stored, trailer), Some(size));
        }
        assert_eq!(stored_size(0), 0);
        for (stored, trailer) in [(2, [0, 0]), (1, [0, 0]), (514, [0, 2]), (513, [0, 0]), (515, [1, 0])] {
            assert_eq!(true_size(stored, trailer), None, "{stored}");
        }
    }
}
