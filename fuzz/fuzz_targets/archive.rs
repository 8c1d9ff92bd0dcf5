//! Any bytes as an archive: read, verified and sought in without a panic, and read twice with the same result.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use ntbak_archive::{Archive, ArchiveReader, Limits, open, verify};

/// Headers with a wrong checksum lead nowhere: makes those that look like headers right.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn items(archive: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(source) = open(archive) else { return out };
    let mut reader = ArchiveReader::new(source, Limits::default());
    loop {
        match reader.next() {
            Ok(Some(item)) => out.push(format!("{item:?}")),
            Ok(None) => return out,
            Err(error) => {
                out.push(error.to_string());
                return out;
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut archive = input.to_vec();
    mend(&mut archive);
    for archive in [input, &archive] {
        assert_eq!(items(archive), items(archive));
        let _ = verify(archive, Limits::default(), Box::new(Cursor::new(Vec::new())), &mut |_| ());
        if let Ok(Ok(mut archive)) = Archive::open(Cursor::new(archive), Limits::default()) {
            if let Ok(entries) = archive.entries() {
                entries.for_each(drop);
            }
        }
    }
});
