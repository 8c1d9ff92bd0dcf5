//! Decompressing real files, beside a copy of the same bytes, and for LZNT1 beside the crate `lznt1`, in the same run.
//!
//! `cargo bench --package ntbak-ntfs` prints the rates in bytes of the files. WIM resources made by wimlib are the data of
//! XPRESS and LZX; without it, these are not measured.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

use std::fs;
use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ntbak_image::ReadAt as _;
use ntbak_ntfs::compress::lznt1;
use ntbak_ntfs::compress::wof::{Algorithm, WofReader};

#[path = "../tests/compress/encode.rs"]
mod encode;

/// A few megabytes of a program.
fn content() -> Vec<u8> {
    let program = std::env::current_exe().unwrap();
    let mut bytes = fs::read(program).unwrap();
    bytes.truncate(4 << 20);
    bytes
}

/// The one resource of a WIM file with this file.
fn resource(content: &[u8], name: &str, chunk_size: usize) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (tree, wim) = (dir.path().join("tree"), dir.path().join("wim"));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), content).unwrap();
    let mut capture = Command::new("wimlib-imagex");
    capture.args(["capture", "--quiet", "--no-acls", "--compress", name, "--chunk-size"]);
    let done = capture.arg(chunk_size.to_string()).args([&tree, &wim]).output();
    done.ok().filter(|done| done.status.success())?;
    let bytes = fs::read(wim).unwrap();
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (table_at, table_len) = (long(56), long(48) & 0xFF_FFFF_FFFF_FFFF);
    let entry = (table_at..table_at + table_len).step_by(50).find(|at| long(at + 16) == content.len())?;
    let (at, len) = (long(entry + 8), long(entry) & 0xFF_FFFF_FFFF_FFFF);
    Some(bytes[at..at + len].to_vec())
}

fn decompress(criterion: &mut Criterion) {
    let content = content();
    let mut out = vec![0; content.len()];
    let mut group = criterion.benchmark_group("decompress");
    group.throughput(Throughput::Bytes(content.len() as u64)).sample_size(20);
    group.bench_function("copy", |bencher| {
        bencher.iter(|| {
            out.copy_from_slice(black_box(&content));
            black_box(&out);
        });
    });
    let units: Vec<Vec<u8>> = content.chunks(65_536).map(encode::lznt1).collect();
    group.bench_function("LZNT1", |bencher| {
        bencher.iter(|| {
            for (unit, to) in units.iter().zip(out.chunks_mut(65_536)) {
                lznt1::decompress(unit, to).unwrap();
            }
            black_box(&out);
        });
    });
    assert!(out == content);
    let mut grown = Vec::new();
    group.bench_function("LZNT1, crate lznt1", |bencher| {
        bencher.iter(|| {
            for unit in &units {
                grown.clear();
                ::lznt1::decompress(unit, &mut grown).unwrap();
            }
            black_box(&grown);
        });
    });
    for (algorithm, name) in [
        (Algorithm::Xpress4K, "XPRESS"),
        (Algorithm::Xpress8K, "XPRESS"),
        (Algorithm::Xpress16K, "XPRESS"),
        (Algorithm::Lzx, "LZX"),
    ] {
        let Some(stream) = resource(&content, name, algorithm.chunk_size()) else {
            eprintln!("skipped: wimlib-imagex cannot make {algorithm:?}");
            continue;
        };
        let reader = WofReader::new(stream, algorithm, content.len() as u64).unwrap();
        group.bench_function(format!("{algorithm:?}"), |bencher| {
            bencher.iter(|| {
                reader.read_exact_at(0, &mut out).unwrap();
                black_box(&out);
            });
        });
        assert!(out == content);
    }
}

criterion_group!(benches, decompress);
criterion_main!(benches);
