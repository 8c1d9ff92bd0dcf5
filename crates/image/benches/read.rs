//! Reading a disk through its container, beside the same disk as a raw file and beside imago, in the same run.
//!
//! `cargo bench --package ntbak-image` prints the rates; what counts is the ratio to `raw` and to `imago` in a group.
//! Containers are made by `qemu-img`; without it there is nothing to measure.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, missing_docs)]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use imago::file::File as ImagoFile;
use imago::qcow2::Qcow2;
use imago::{FormatAccess, FormatDriverBuilder as _, PermissiveImplicitOpenGate};
use ntbak_image::{Image, ReadAt};

const SIZE: usize = 64 << 20;

/// Half text, half numbers: about what a disk with files has.
fn disk() -> Vec<u8> {
    let mut state = 1u64;
    (0..SIZE)
        .map(|at| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if at >> 16 & 1 == 0 { b"Windows NT file "[at % 16] ^ (at / 999) as u8 } else { state as u8 }
        })
        .collect()
}

fn imago(path: &Path) -> FormatAccess<ImagoFile> {
    let builder = Qcow2::<ImagoFile>::builder_path(path);
    FormatAccess::new(builder.open(PermissiveImplicitOpenGate::default()).unwrap())
}

/// Reads of `len` bytes: one after the other over the whole disk, or here and there.
fn offsets(len: usize, random: bool) -> Vec<u64> {
    let count = SIZE / len;
    let mut state = 7u64;
    (0..count.min(4096) as u64)
        .map(|n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = if random { (state >> 33) % count as u64 } else { n };
            index * len as u64
        })
        .collect()
}

fn containers(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    std::fs::write(&raw, disk()).unwrap();
    let mut images = vec![("raw", Image::open(&raw).unwrap())];
    let mut peers = Vec::new();
    for (name, options) in [
        ("vhd", &["-O", "vpc"][..]),
        ("vhdx", &["-O", "vhdx"]),
        ("qcow2", &["-O", "qcow2"]),
        ("qcow2-deflate", &["-O", "qcow2", "-c"]),
        ("qcow2-zstd", &["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
    ] {
        let made = dir.path().join(name);
        let status = Command::new("qemu-img")
            .args(["convert", "-f", "raw"])
            .args(options)
            .args([&raw, &made])
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("skipped: qemu-img cannot make {name}");
            continue;
        }
        images.push((name, Image::open(&made).unwrap()));
        // imago opens no image with zstd.
        if matches!(name, "qcow2" | "qcow2-deflate") {
            peers.push((format!("imago/{name}"), imago(&made)));
        }
    }
    for (group, len, random) in [
        ("sequential 1 MiB", 1 << 20, false),
        ("sequential 4 KiB", 4096, false),
        ("random 4 KiB", 4096, true),
    ] {
        let offsets = offsets(len, random);
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Bytes((offsets.len() * len) as u64)).sample_size(10);
        let mut buf = vec![0; len];
        for (name, image) in &images {
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    for at in &offsets {
                        image.read_exact_at(*at, &mut buf).unwrap();
                    }
                    black_box(&buf);
                });
            });
        }
        for (name, access) in &peers {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    for at in &offsets {
                        access.read(&mut buf[..], *at).unwrap();
                    }
                    black_box(&buf);
                });
            });
        }
    }
}

criterion_group!(benches, containers);
criterion_main!(benches);
