//! Damaged key files: an error or the same key, never a panic, never long work.

use std::time::{Duration, Instant};

use ntbak_efs::{Certificate, KeyRing, PrivateKey};
use proptest::prelude::*;

use crate::common::*;

/// A PFX of openssl with few rounds, so that thousands can be tried.
fn quick_pfx() -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    openssl_identity(path, "user", 2048)?;
    let start = [
        "pkcs12",
        "-export",
        "-inkey",
        "user.key",
        "-in",
        "user.pem",
        "-out",
        "user.pfx",
        "-noiter",
        "-nomaciter",
    ];
    openssl(path, &[&start[..], &["-passout", "pass:pw", "-certpbe", "NONE"]].concat())?;
    Some(std::fs::read(path.join("user.pfx")).unwrap())
}

/// A key of small primes' size whose exponents have millions of bits would be used for minutes.
#[test]
fn numbers_of_a_key_are_no_longer_than_its_modulus() {
    // (2^512 - 1)^2 = 2^1024 - 2^513 + 1.
    let modulus = [&[0_u8][..], &[0xFF; 63], &[0xFE], &[0; 63], &[1]].concat();
    let prime = [&[0_u8][..], &[0xFF; 64]].concat();
    let long = vec![0x7F; 2_000_000];
    let key = |dp: &[u8], dq: &[u8], inverse: &[u8]| {
        let numbers: [&[u8]; 9] = [&[0], &modulus, &[3], &[3], &prime, &prime, dp, dq, inverse];
        // Lengths in few bytes, as DER wants them.
        let number = |number: &&[u8]| match number.len() {
            len @ 0..0x80 => [&[2, len as u8], *number].concat(),
            len @ 0x80..0x100 => [&[2, 0x81, len as u8], *number].concat(),
            len => [&[2, 0x83], &(len as u32).to_be_bytes()[1..], *number].concat(),
        };
        let all: Vec<u8> = numbers.iter().flat_map(number).collect();
        match all.len() {
            len @ 0..0x10000 => [&[0x30, 0x82], &(len as u32).to_be_bytes()[2..], &all].concat(),
            len => [&[0x30, 0x83], &(len as u32).to_be_bytes()[1..], &all].concat(),
        }
    };
    assert!(PrivateKey::from_der(&key(&[3], &[3], &[3])).is_ok(), "only the lengths are wrong");
    for (dp, dq, inverse) in [(&long[..], &[3][..], &[3][..]), (&[3], &long, &[3]), (&[3], &[3], &long)] {
        let error = PrivateKey::from_der(&key(dp, dq, inverse)).unwrap_err().to_string();
        assert!(error.contains("longer than its modulus"), "{error}");
    }
}

#[test]
fn every_cut_of_a_key_file() {
    let Some(pfx) = quick_pfx() else { return };
    let key = ALICE.key.to_pkcs8();
    let certificate = ALICE.certificate.as_ref().unwrap().as_der();
    for len in 0..pfx.len() {
        assert!(KeyRing::new().add_file(&pfx[..len], Some("pw")).is_err());
    }
    for len in 0..key.len() {
        assert!(PrivateKey::from_der(&key[..len]).is_err());
    }
    for len in 0..certificate.len() {
        assert!(Certificate::from_der(&certificate[..len]).is_err());
    }
}

#[test]
fn every_flipped_bit_of_a_key_file() {
    let Some(pfx) = quick_pfx() else { return };
    let mut bytes = pfx.clone();
    let mut opened = 0;
    for bit in 0..pfx.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(added) = KeyRing::new().add_file(&bytes, Some("pw")) {
            opened += added.keys;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // The MAC covers all but itself and what is around it.
    assert!(opened < 100, "{opened}");
    let certificate = ALICE.certificate.as_ref().unwrap().as_der().to_vec();
    let mut bytes = certificate.clone();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = Certificate::from_der(&bytes) {
            assert_ne!(read.thumbprint(), ALICE.certificate.as_ref().unwrap().thumbprint());
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn rounds_that_would_take_for_ever_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let Some(()) = openssl_identity(path, "user", 2048) else { return };
    let start =
        ["pkcs12", "-export", "-inkey", "user.key", "-in", "user.pem", "-out", "user.pfx", "-iter", "12345"];
    openssl(path, &[&start[..], &["-passout", "pass:pw"]].concat()).unwrap();
    let mut pfx = std::fs::read(path.join("user.pfx")).unwrap();
    let small = [2, 2, 0x30, 0x39];
    // 12345 becomes 32767, then all of it a number of four bytes where there is room: the MAC is at the end.
    let at = pfx.windows(4).rposition(|window| window == small).unwrap();
    assert_eq!(at + 4, pfx.len(), "the rounds of the MAC come last");
    pfx.truncate(at);
    pfx.extend([2, 4, 0x7F, 0xFF, 0xFF, 0xFF]);
    // The lengths around it: the outermost SEQUENCE and that of the MAC, both by two more.
    let outer = u16::from_be_bytes([pfx[2], pfx[3]]) + 2;
    pfx[2..4].copy_from_slice(&outer.to_be_bytes());
    let mac = (0..at)
        .rev()
        .find(|at| pfx[*at] == 0x30 && usize::from(pfx[at + 1]) + at + 2 == pfx.len() - 2)
        .unwrap();
    pfx[mac + 1] += 2;
    let start = Instant::now();
    let error = KeyRing::new().add_file(&pfx, Some("pw")).unwrap_err();
    assert!(error.to_string().contains("rounds"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

proptest! {
    #[test]
    fn any_bytes_are_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KeyRing::new().add_file(&bytes, Some("")).is_err());
    }

    #[test]
    fn any_text_is_no_key(text in "(-----BEGIN (PRIVATE KEY|CERTIFICATE)-----\n)?[A-Za-z0-9+/=\n]{0,80}(\n-----END PRIVATE KEY-----)?") {
        prop_assert!(KeyRing::new().add_file(text.as_bytes(), None).is_err());
    }
}
