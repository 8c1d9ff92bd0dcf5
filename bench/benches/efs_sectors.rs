//! Sectors, beside OpenSSL in the same run on the same cores.
//!
//! `cargo bench --manifest-path bench/Cargo.toml`. What counts is the ratio to `openssl` in the same group; OpenSSL is given one call for
//! each sector, since each has its own IV.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ntbak_efs::{Algorithm, Fek, SECTOR, SectorCipher};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;

/// OpenSSL's CBC over sectors: one context, one call and one new IV for each sector, no allocation.
fn by_openssl(context: &mut CipherCtx, encrypt: bool, data: &[u8], out: &mut [u8]) {
    let block = context.block_size();
    for (index, sector) in data.chunks(SECTOR).enumerate() {
        let iv = ((index * SECTOR) as u128).to_le_bytes();
        let iv = Some(&iv[..block.min(16)]);
        if encrypt {
            context.encrypt_init(None, None, iv).unwrap();
        } else {
            context.decrypt_init(None, None, iv).unwrap();
        }
        // The crate wants room for one block more than OpenSSL writes.
        context.cipher_update(sector, Some(&mut out[index * SECTOR..][..SECTOR + block])).unwrap();
    }
}

fn sectors(c: &mut Criterion) {
    for (algorithm, cipher, name, size) in [
        (Algorithm::Aes256, Some(Cipher::aes_256_cbc()), "AES-256", 1 << 20),
        (Algorithm::TripleDes, Some(Cipher::des_ede3_cbc()), "3DES", 256 << 10),
        (Algorithm::Desx, None, "DESX", 256 << 10),
    ] {
        let fek = Fek::generate(algorithm).unwrap();
        let ours = SectorCipher::new(&fek);
        let mut data: Vec<u8> = (0..size).map(|at| (at >> 3) as u8).collect();
        let mut out = vec![0; size + SECTOR];
        for (encrypt, direction) in [(true, "encrypt"), (false, "decrypt")] {
            let mut group = c.benchmark_group(format!("{name} {direction}"));
            group.throughput(Throughput::Bytes(size as u64));
            if let Some(cipher) = cipher {
                let mut context = CipherCtx::new().unwrap();
                if encrypt {
                    context
                        .encrypt_init(Some(cipher), Some(fek.key()), Some(&[0; 16][..cipher.iv_length()]))
                        .unwrap();
                } else {
                    context
                        .decrypt_init(Some(cipher), Some(fek.key()), Some(&[0; 16][..cipher.iv_length()]))
                        .unwrap();
                }
                context.set_padding(false);
                group.bench_function(BenchmarkId::from_parameter("openssl"), |b| {
                    b.iter(|| by_openssl(&mut context, encrypt, &data, &mut out));
                });
            }
            group.bench_function(BenchmarkId::from_parameter("one core"), |b| {
                b.iter(|| if encrypt { ours.encrypt(0, &mut data) } else { ours.decrypt(0, &mut data) });
            });
            group.bench_function(BenchmarkId::from_parameter("all cores"), |b| {
                b.iter(|| {
                    if encrypt {
                        ours.encrypt_parallel(0, &mut data)
                    } else {
                        ours.decrypt_parallel(0, &mut data)
                    }
                });
            });
            group.finish();
        }
    }
}

criterion_group!(benches, sectors);
criterion_main!(benches);
