//! Backup streams from memory to memory, beside a plain copy of the same bytes in the same run.
//!
//! `cargo bench --package ntbak` prints the rate of each; what counts is the ratio to `copy` in the same group.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::sink::{FileSink, MemorySink};
use ntbak::source::MemorySource;
use ntbak::win32::{Access, Context, Create, FileFlags, MemoryVolume, System, backup_read};
use ntbak::{
    BackupReader, BackupWriter, Capabilities, Collected, FileReport, ReadRights, Result, Unheld, WritePolicy,
    WriteRights,
};
use ntbak_wire::record::Record;

const SIZE: usize = 64 << 20;
const CHUNK: usize = 1 << 20;

fn file() -> MemoryFile {
    let data: Vec<u8> = (0..SIZE).map(|i| ((i * 31) >> 3) as u8).collect();
    MemoryFile::file().with_stream(None, &data)
}

/// Takes content into a buffer that is there: what decoding costs, without what allocation costs.
struct Buffer {
    capabilities: Capabilities,
    bytes: Vec<u8>,
}

impl FileSink for Buffer {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }
    fn is_directory(&self) -> bool {
        false
    }
    fn put(&mut self, record: &Record<'_>, _: &FileReport<'_>) -> Result<()> {
        if let Record::Bytes { offset, data } = record {
            let at = usize::try_from(*offset).unwrap() % CHUNK;
            let len = data.len().min(CHUNK - at);
            self.bytes[at..at + len].copy_from_slice(&data[..len]);
            self.bytes[..data.len() - len].copy_from_slice(&data[len..]);
        }
        Ok(())
    }
    fn link(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn commit(self: Box<Self>, _: &FileReport<'_>) -> Result<()> {
        Ok(())
    }
}

/// 64 MiB through buffers of 1 MiB: the yardstick is a copy into the same buffer.
fn megabytes(c: &mut Criterion) {
    let mut group = c.benchmark_group("1 MiB buffers");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    let source = MemorySource::new(SharedFile::new(file()));
    let mut stream = vec![0; SIZE + 64];
    let len = BackupReader::new().read(&source, ReadRights::ALL, &mut stream).unwrap();
    stream.truncate(len);
    let mut buffer = vec![0; CHUNK];

    group.bench_function("copy", |b| {
        b.iter(|| {
            for chunk in stream.chunks(CHUNK) {
                buffer[..chunk.len()].copy_from_slice(black_box(chunk));
                black_box(&mut buffer);
            }
        });
    });
    group.bench_function("encode", |b| {
        b.iter(|| {
            let mut reader = BackupReader::new();
            while reader.read(&source, ReadRights::ALL, black_box(&mut buffer)).unwrap() > 0 {}
        });
    });
    group.bench_function("decode", |b| {
        let report = Collected::new();
        let report = FileReport { to: &report, path: Path::new("bench") };
        b.iter(|| {
            let sink = Buffer { capabilities: Capabilities::everything(), bytes: vec![0; CHUNK] };
            let mut writer = BackupWriter::new(Box::new(sink), Unheld::Report, WritePolicy::default());
            for chunk in stream.chunks(CHUNK) {
                writer
                    .write(black_box(chunk), WriteRights::ALL, &report)
                    .map_err(|(_, error)| error)
                    .unwrap();
            }
            writer.finish(&report).unwrap();
        });
    });
    group.bench_function("copy to a new allocation", |b| {
        b.iter(|| {
            let mut target = Vec::new();
            for chunk in stream.chunks(CHUNK) {
                target.extend_from_slice(black_box(chunk));
            }
            black_box(target);
        });
    });
    group.bench_function("decode to a new file in memory", |b| {
        let report = Collected::new();
        let report = FileReport { to: &report, path: Path::new("bench") };
        b.iter(|| {
            let target = SharedFile::default();
            let sink = Box::new(MemorySink::staged(target.clone(), false));
            let mut writer = BackupWriter::new(sink, Unheld::Report, WritePolicy::default());
            for chunk in stream.chunks(CHUNK) {
                writer
                    .write(black_box(chunk), WriteRights::ALL, &report)
                    .map_err(|(_, error)| error)
                    .unwrap();
            }
            writer.finish(&report).unwrap();
            black_box(target);
        });
    });
    group.finish();
}

/// `BackupRead` as programs call it: headers by 20 bytes, content by 64 KiB; and a caller who knows no better.
fn calls(c: &mut Criterion) {
    let volume = MemoryVolume::new();
    volume.insert("file", file());
    let system = System::new(volume);
    let how =
        Create { access: Access::GENERIC_READ, flags: FileFlags::BACKUP_SEMANTICS, ..Create::default() };
    let handle = system.create_file("file", how).unwrap();
    let mut group = c.benchmark_group("BackupRead");
    for (size, total) in [(20, 1 << 20), (65_536, SIZE)] {
        let mut buffer = vec![0; size];
        group.throughput(Throughput::Bytes(total as u64)).sample_size(20);
        group.bench_function(BenchmarkId::new("buffer of", size), |b| {
            b.iter(|| {
                let (mut context, mut read, mut done) = (Context::default(), 0, 0);
                while done < total {
                    let buffer = black_box(&mut buffer[..]);
                    backup_read(Some(&handle), buffer, &mut read, false, false, &mut context).unwrap();
                    if read == 0 {
                        break;
                    }
                    done += read as usize;
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, megabytes, calls);
criterion_main!(benches);
