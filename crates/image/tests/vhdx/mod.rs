//! The write side of VHDX logs: \[MS-VHDX\] 2.3, for tests only.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 0 { 0 } else { 0x82F6_3B78 })
    })
}

/// Puts the checksum of a structure into its byte 4.
pub(crate) fn seal(bytes: &mut [u8]) {
    bytes[4..8].fill(0);
    let sum = crc32c(bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Where the block table is, by the first region table.
pub(crate) fn table_of_blocks(image: &[u8]) -> usize {
    let entry =
        (0..2).map(|n| 196_608 + 16 + n * 32).find(|at| image[*at..*at + 4] == [0x66, 0x77, 0xC2, 0x2D]);
    let at = entry.unwrap() + 16;
    usize::try_from(u64::from_le_bytes(image[at..at + 8].try_into().unwrap())).unwrap()
}

/// Makes both headers say that there is a log to apply.
pub(crate) fn announce_log(image: &mut [u8], guid: [u8; 16]) {
    for at in [65_536, 131_072] {
        image[at + 48..at + 64].copy_from_slice(&guid);
        seal(&mut image[at..at + 4096]);
    }
}

/// A log entry that writes pages, or zeros them, at their offsets in the file.
pub(crate) fn log_entry(
    guid: [u8; 16],
    sequence: u64,
    tail: u32,
    file_len: u64,
    pages: &[(u64, Option<[u8; 4096]>)],
) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..4].copy_from_slice(b"loge");
    bytes[12..16].copy_from_slice(&tail.to_le_bytes());
    bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes[24..28].copy_from_slice(&(pages.len() as u32).to_le_bytes());
    bytes[32..48].copy_from_slice(&guid);
    bytes[48..56].copy_from_slice(&file_len.to_le_bytes());
    bytes[56..64].copy_from_slice(&file_len.to_le_bytes());
    for (n, (offset, page)) in pages.iter().enumerate() {
        let at = 64 + n * 32;
        match page {
            Some(page) => {
                bytes[at..at + 4].copy_from_slice(b"desc");
                bytes[at + 4..at + 8].copy_from_slice(&page[4092..]);
                bytes[at + 8..at + 16].copy_from_slice(&page[..8]);
                let mut sector = *page;
                sector[..4].copy_from_slice(b"data");
                sector[4..8].copy_from_slice(&((sequence >> 32) as u32).to_le_bytes());
                sector[4092..].copy_from_slice(&(sequence as u32).to_le_bytes());
                bytes.extend(sector);
            }
            None => {
                bytes[at..at + 4].copy_from_slice(b"zero");
                bytes[at + 8..at + 16].copy_from_slice(&4096u64.to_le_bytes());
            }
        }
        bytes[at + 16..at + 24].copy_from_slice(&offset.to_le_bytes());
        bytes[at + 24..at + 32].copy_from_slice(&sequence.to_le_bytes());
    }
    let len = bytes.len() as u32;
    bytes[8..12].copy_from_slice(&len.to_le_bytes());
    seal(&mut bytes);
    bytes
}
