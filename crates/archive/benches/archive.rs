//! How fast archives are written and read, beside the `tar` crate in the same run: it neither hashes nor has a manifest.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::io::{self, Cursor, Read, Write};

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use ntbak_archive::{ArchiveReader, ArchiveWriter, Item, Limits, Volume, verify, zstd};
use ntbak_wire::FileAttributes;
use ntbak_wire::record::{FileInfo, Record, SmallKind, StreamHead};

const PIECE: usize = 1 << 20;
const LARGE: u64 = 256 << 20;
const SMALL: u64 = 20_000;

/// Something between text and noise.
fn data() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..PIECE).map(|at| if at % 4 == 0 { next() } else { b"backup "[at % 7] }).collect()
}

fn spool() -> Box<Cursor<Vec<u8>>> {
    Box::default()
}

fn put_file<W: Write>(writer: &mut ArchiveWriter<W>, path: &[u8], size: u64, data: &[u8]) {
    let info = FileInfo { attributes: FileAttributes::ARCHIVE, ..FileInfo::default() };
    writer.begin(path).unwrap();
    writer.put(&Record::File(&info)).unwrap();
    writer.put(&Record::Small(SmallKind::Security, (&[7; 100][..]).into())).unwrap();
    writer.put(&Record::Stream(&StreamHead::plain(None, size))).unwrap();
    let mut offset = 0;
    while offset < size {
        let piece = &data[..data.len().min((size - offset) as usize)];
        writer.put(&Record::Bytes { offset, data: piece }).unwrap();
        offset += piece.len() as u64;
    }
    writer.put(&Record::EndStream { size }).unwrap();
    writer.put(&Record::EndFile).unwrap();
}

fn ours<W: Write>(target: W, files: u64, size: u64, data: &[u8]) -> W {
    let mut writer = ArchiveWriter::new(target, spool(), &Volume::default()).unwrap();
    for at in 0..files {
        put_file(&mut writer, format!("dir/{at}").as_bytes(), size, data);
    }
    writer.finish().unwrap()
}

fn theirs<W: Write>(target: W, files: u64, size: u64, data: &[u8]) -> W {
    let mut builder = ::tar::Builder::new(target);
    for at in 0..files {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(size);
        builder.append_pax_extensions([("MSWINDOWS.rawsd", &[b'A'; 136][..])]).unwrap();
        let content = io::repeat(0).take(0).chain(Repeat { data, left: size });
        builder.append_data(&mut header, format!("dir/{at}"), content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The same content as ours, as a reader.
struct Repeat<'a> {
    data: &'a [u8],
    left: u64,
}

impl Read for Repeat<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(self.data.len()).min(usize::try_from(self.left).unwrap());
        out[..len].copy_from_slice(&self.data[..len]);
        self.left -= len as u64;
        Ok(len)
    }
}

fn read(source: impl Read) -> u64 {
    let mut reader = ArchiveReader::new(source, Limits::default());
    let mut bytes = 0;
    while let Some(item) = reader.next().unwrap() {
        if let Item::Record(Record::Bytes { data, .. }) = item {
            bytes += black_box(data).len() as u64;
        }
    }
    bytes
}

fn read_theirs(source: impl Read) -> u64 {
    let mut archive = ::tar::Archive::new(source);
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        loop {
            let got = entry.read(&mut buffer).unwrap();
            if got == 0 {
                break;
            }
            bytes += black_box(&buffer[..got]).len() as u64;
        }
    }
    bytes
}

fn each(group: &mut BenchmarkGroup<'_, WallTime>, files: u64, size: u64) {
    let data = data();
    group.bench_function("write", |b| b.iter(|| ours(io::sink(), files, size, &data)));
    group.bench_function("write, tar crate", |b| b.iter(|| theirs(io::sink(), files, size, &data)));
    let archive = ours(Vec::new(), files, size, &data);
    group.bench_function("read", |b| b.iter(|| read(&archive[..])));
    group.bench_function("read, tar crate", |b| b.iter(|| read_theirs(&archive[..])));
    group.bench_function("verify", |b| {
        b.iter(|| verify(&archive[..], Limits::default(), spool(), &mut |_| ()).unwrap())
    });
}

fn archive(c: &mut Criterion) {
    let mut group = c.benchmark_group("one large file");
    group.sample_size(10).throughput(Throughput::Bytes(LARGE));
    each(&mut group, 1, LARGE);
    let data = data();
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        group.bench_function(format!("write, zstd level 3, {threads} threads"), |b| {
            b.iter(|| {
                let packed = zstd::Compressor::new(io::sink(), 3, threads).unwrap();
                ours(packed, 1, LARGE, &data).finish().unwrap();
            });
        });
    }
    let packed = zstd::Compressor::on_all_cores(Vec::new(), 3).unwrap();
    let packed = ours(packed, 1, LARGE, &data).finish().unwrap();
    group.bench_function("read, zstd", |b| b.iter(|| read(ntbak_archive::open(&packed[..]).unwrap())));
    group.finish();

    let mut group = c.benchmark_group("many small files");
    group.sample_size(10).throughput(Throughput::Elements(SMALL));
    each(&mut group, SMALL, 1000);
    group.finish();
}

criterion_group!(benches, archive);
criterion_main!(benches);
