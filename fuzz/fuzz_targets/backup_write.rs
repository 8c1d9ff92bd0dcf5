//! A hostile backup stream into memory: an error or a file that reads back, never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::MemorySink;
use ntbak::source::MemorySource;
use ntbak::{BackupReader, BackupWriter, Collected, FileReport, ReadRights, Unheld, WritePolicy, WriteRights};

fuzz_target!(|input: &[u8]| {
    let target = SharedFile::new(MemoryFile::file());
    let report = Collected::new();
    let report = FileReport { to: &report, path: Path::new("fuzz") };
    let sink = Box::new(MemorySink::in_place(target.clone()));
    let mut writer = BackupWriter::new(sink, Unheld::Report, WritePolicy::default());
    for bytes in input.chunks(13) {
        if writer.write(bytes, WriteRights::ALL, &report).is_err() {
            break;
        }
    }
    drop(writer);
    let source = MemorySource::new(target);
    let (mut reader, mut buffer) = (BackupReader::new(), [0; 4096]);
    // A terminator may ask for 2^63 bytes of nothing; that much is not read.
    for _ in 0..64 {
        match reader.read(&source, ReadRights::ALL, &mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
});
