//! Encrypted files beside a plain copy of as many bytes in the same run: with no key, and with one.
//!
//! `cargo bench --package ntbak --bench efs` prints the rate of each; what counts is the ratio to `copy` in the same group.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ntbak::efs::{Decrypted, ExportReader, Protected, Protection, import_raw};
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::source::{MemorySource, RawSource};
use ntbak::{Collected, FileReport, FileSource, copy, place};
use ntbak_efs::{Algorithm, Bits, Fek, Identity, KeyRing, NewIdentity, Recipient, Usage};
use ntbak_wire::object_id::Guid;

const SIZE: usize = 64 << 20;
const CHUNK: usize = 1 << 20;

fn identity() -> Identity {
    let (not_before, not_after) = (0, 4_000_000_000);
    let (principal_name, usage) = (None, Usage::Efs);
    let new =
        NewIdentity { bits: Bits::B2048, common_name: "bench", principal_name, usage, not_before, not_after };
    new.generate().unwrap()
}

fn source() -> MemorySource {
    let data: Vec<u8> = (0..SIZE).map(|i| ((i * 31) >> 3) as u8).collect();
    MemorySource::new(SharedFile::new(MemoryFile::file().with_stream(None, &data)))
}

fn protected<S: FileSource>(source: S, identity: &Identity, algorithm: Algorithm) -> Protected<S> {
    let fek = Fek::generate(algorithm).unwrap();
    let users = [Recipient::new(identity.certificate.clone().unwrap())];
    let with = Protection { fek: &fek, users: &users, agents: &[], computer: Guid([1; 16]), holes: true };
    Protected::new(source, &with).unwrap()
}

fn export(source: &dyn FileSource, buffer: &mut [u8], mut to: impl FnMut(&[u8])) {
    let mut reader = ExportReader::new(source.encrypted().unwrap().unwrap()).unwrap();
    loop {
        match reader.read(buffer).unwrap() {
            0 => break,
            got => to(&buffer[..got]),
        }
    }
}

/// 64 MiB in files of a directory, no key: the yardstick is read and write by the same buffers.
fn without_a_key(c: &mut Criterion) {
    let mut group = c.benchmark_group("files, no key");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    let dir = tempfile::tempdir().unwrap();
    let (secret, raw, to) = (dir.path().join("secret"), dir.path().join("raw"), dir.path().join("to"));
    let told = Collected::new();
    let report = FileReport { to: &told, path: Path::new("bench") };
    let encrypted = protected(source(), &identity(), Algorithm::Aes256);
    copy(&encrypted, place::stage(&secret, false).unwrap(), &report).unwrap();
    let mut buffer = vec![0; CHUNK];
    let mut out = fs::File::create(&raw).unwrap();
    export(&encrypted, &mut buffer, |data| out.write_all(data).unwrap());

    group.bench_function("copy", |b| {
        b.iter(|| {
            let (mut from, mut out) = (fs::File::open(&secret).unwrap(), fs::File::create(&to).unwrap());
            loop {
                match from.read(&mut buffer).unwrap() {
                    0 => break,
                    got => out.write_all(&buffer[..got]).unwrap(),
                }
            }
        });
    });
    group.bench_function("export", |b| {
        b.iter(|| {
            let mut out = fs::File::create(&to).unwrap();
            export(&*place::open(&secret).unwrap(), &mut buffer, |data| out.write_all(data).unwrap());
        });
    });
    fs::remove_file(&to).unwrap();
    group.bench_function("import", |b| {
        b.iter(|| {
            let mut from = fs::File::open(&raw).unwrap();
            let sink = place::stage(&to, false).unwrap();
            import_raw(sink, None, |block| Ok(from.read(block).unwrap()), &report).unwrap();
        });
    });
    group.bench_function("copy of the encrypted file", |b| {
        b.iter(|| {
            let source = place::open(&secret).unwrap();
            copy(&*source, place::stage(&to, false).unwrap(), &report).unwrap();
        });
    });
    group.finish();
}

/// 64 MiB in memory through buffers of 1 MiB, with a key: the yardstick is a copy into the same buffer.
fn with_a_key(c: &mut Criterion) {
    let mut group = c.benchmark_group("1 MiB buffers, AES-256");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    let (identity, source) = (identity(), source());
    let mut ring = KeyRing::new();
    ring.add(identity.clone());
    let mut buffer = vec![0; CHUNK];
    let encrypted = protected(source.clone(), &identity, Algorithm::Aes256);
    let mut raw = Vec::new();
    export(&encrypted, &mut buffer, |data| raw.extend_from_slice(data));
    let plain = Decrypted::open(RawSource::open(raw).unwrap(), &ring).unwrap();

    group.bench_function("copy", |b| {
        b.iter(|| {
            let mut at = 0;
            while source.read_at(0, at, black_box(&mut buffer)).unwrap() > 0 {
                at += CHUNK as u64;
            }
        });
    });
    group.bench_function("encrypt and export", |b| {
        b.iter(|| {
            let encrypted = protected(&source, &identity, Algorithm::Aes256);
            export(&encrypted, &mut buffer, |data| {
                black_box(data);
            });
        });
    });
    group.bench_function("decrypt", |b| {
        b.iter(|| {
            let mut at = 0;
            loop {
                match plain.read_at(0, at, black_box(&mut buffer)).unwrap() {
                    0 => break,
                    got => at += got as u64,
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, without_a_key, with_a_key);
criterion_main!(benches);
