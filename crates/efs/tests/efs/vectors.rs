//! Numbered cases 24, 57, 65 to 67 of the ciphers, and the worked example.

use ntbak_efs::{Algorithm, Fek, SECTOR, SectorCipher};
use ntbak_wire::Name;
use ntbak_wire::Win32Error;
use ntbak_wire::efs::{Content, Export, HolderKind, Piece, StreamHead, StreamPlan, v1};
use ntbak_wire::object_id::Guid;
use proptest::prelude::*;

use crate::common::*;

fn fek(algorithm: Algorithm) -> Fek {
    let key: Vec<u8> = (0..algorithm.key_len() as u8).collect();
    Fek::new(algorithm, &key).unwrap()
}

fn sector(text: &[u8]) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    sector[..text.len()].copy_from_slice(text);
    sector
}

#[test]
fn efs_65_vectors() {
    let all_zero: &[u8] = b"";
    for (algorithm, text, offset, start, hash) in [
        (
            Algorithm::Aes256,
            &b"hi"[..],
            0,
            "6e0873b8c59b0da23ddd3dd67988d8b9",
            "51ea2e0cc83edd1ac780d61bd1b3e009774d5e342b222d74b36cafb3f88f296e",
        ),
        (
            Algorithm::Aes256,
            all_zero,
            512,
            "bace950612a4eaeae9ef41aac5b8ff9f",
            "25005a393c658822ca84a26459d7d1b84a8d12a718e314267bc18ef0be144671",
        ),
        (Algorithm::Aes256, all_zero, 1 << 32, "6016c2dc5623d93157156d487e7ec7e5", ""),
        (
            Algorithm::TripleDes,
            b"hi",
            0,
            "9053b0f7c1701b538c0a9e37c90a4ef6",
            "14e6037cafe9cb26e83310e0b7b1aa32a59dceb3c93337d94d6709b2d0b67f8f",
        ),
        (
            Algorithm::Desx,
            b"hi",
            0,
            "0fe0d7bcad36df1a3a0fa548f4a6dffa",
            "3da258f263de55a90102ceee8db9cbe776e577d4174d499de2c9c7899bb9f8ae",
        ),
    ] {
        let cipher = SectorCipher::new(&fek(algorithm));
        let mut data = sector(text);
        cipher.encrypt(offset, &mut data).unwrap();
        assert_eq!(data[..16], hex(start), "{algorithm:?} at {offset}");
        if !hash.is_empty() {
            assert_eq!(sha256(&data), hash, "{algorithm:?} at {offset}");
        }
        cipher.decrypt(offset, &mut data).unwrap();
        assert_eq!(data, sector(text));
    }
}

/// CBC by OpenSSL, sector after sector, with the IV worked out here from the table of the facts. DESX is not among them:
/// OpenSSL has the textbook's only.
fn by_openssl(algorithm: Algorithm, offset: u64, data: &[u8]) -> Option<Vec<u8>> {
    let cipher = match algorithm {
        Algorithm::Aes128 => "-aes-128-cbc",
        Algorithm::Aes192 => "-aes-192-cbc",
        Algorithm::Aes256 => "-aes-256-cbc",
        _ => "-des-ede3-cbc",
    };
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut out = Vec::new();
    for (index, sector) in data.chunks(512).enumerate() {
        let at = offset.wrapping_add(index as u64 * 512);
        let iv = if algorithm == Algorithm::TripleDes {
            0x1691_1962_9891_AD13_u64.wrapping_add(at).to_le_bytes().to_vec()
        } else {
            [0x5816_657B_E916_1312_u64, 0x1989_ADBE_4491_8961]
                .map(|word| word.wrapping_add(at).to_le_bytes())
                .concat()
        };
        let (key, iv) = (text(fek(algorithm).key()), text(&iv));
        out.extend(openssl_filter(&["enc", cipher, "-nopad", "-K", &key, "-iv", &iv], sector)?);
    }
    Some(out)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 2_654_435_761) >> 7) as u8).collect()
}

#[test]
fn efs_65_openssl_agrees_where_additions_carry_and_wrap() {
    let offsets = [0, 512, 0xFFFF_FE00, 1 << 32, (1 << 63) - 512, 1 << 63, u64::MAX - 511, u64::MAX - 1023];
    // Where each word of the IV wraps: 2^64 less the word, rounded to a sector.
    let wraps = [0x5816_657B_E916_1312_u64, 0x1989_ADBE_4491_8961, 0x1691_1962_9891_AD13]
        .map(|iv| iv.wrapping_neg() & !511);
    let plain = pattern(SECTOR * 3);
    for algorithm in [Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256, Algorithm::TripleDes] {
        let cipher = SectorCipher::new(&fek(algorithm));
        for offset in offsets.into_iter().chain(wraps) {
            let mut data = plain.clone();
            cipher.encrypt(offset, &mut data).unwrap();
            let Some(expected) = by_openssl(algorithm, offset, &plain) else { return };
            assert!(data == expected, "{algorithm:?} at {offset:#x}");
            cipher.decrypt(offset, &mut data).unwrap();
            assert!(data == plain, "{algorithm:?} at {offset:#x}");
        }
    }
}

#[test]
fn efs_66_many_at_once_is_one_after_the_other() {
    for algorithm in Algorithm::ALL {
        let cipher = SectorCipher::new(&fek(algorithm));
        for sectors in (0..=65).chain([127, 128, 129, 300, 700]) {
            let plain = pattern(SECTOR * sectors);
            let mut serial = plain.clone();
            for (index, sector) in serial.chunks_mut(SECTOR).enumerate() {
                cipher.encrypt(4096 + (index * SECTOR) as u64, sector).unwrap();
            }
            let mut many = plain.clone();
            cipher.encrypt(4096, &mut many).unwrap();
            assert!(many == serial, "{algorithm:?}, {sectors} sectors");
            for (index, sector) in many.chunks_mut(SECTOR).enumerate() {
                cipher.decrypt(4096 + (index * SECTOR) as u64, sector).unwrap();
            }
            assert!(many == plain);
            cipher.decrypt(4096, &mut serial).unwrap();
            assert!(serial == plain);
        }
    }
}

#[test]
fn efs_66_on_any_number_of_cores() {
    let plain = pattern(SECTOR * 1501);
    for algorithm in Algorithm::ALL {
        let cipher = SectorCipher::new(&fek(algorithm));
        let mut serial = plain.clone();
        cipher.encrypt(1 << 40, &mut serial).unwrap();
        for threads in [1, 2, 3, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut spread = plain.clone();
            pool.install(|| cipher.encrypt_parallel(1 << 40, &mut spread)).unwrap();
            assert!(spread == serial, "{algorithm:?} on {threads}");
            pool.install(|| cipher.decrypt_parallel(1 << 40, &mut spread)).unwrap();
            assert!(spread == plain, "{algorithm:?} on {threads}");
        }
    }
}

#[test]
fn efs_67_damage_stays_in_its_sector() {
    for algorithm in Algorithm::ALL {
        let cipher = SectorCipher::new(&fek(algorithm));
        let plain = pattern(SECTOR * 5);
        let mut data = plain.clone();
        cipher.encrypt(0, &mut data).unwrap();
        data[SECTOR * 2 + 100] ^= 1;
        cipher.decrypt(0, &mut data).unwrap();
        assert!(data[..SECTOR * 2] == plain[..SECTOR * 2]);
        assert!(data[SECTOR * 2..SECTOR * 3] != plain[SECTOR * 2..SECTOR * 3]);
        assert!(data[SECTOR * 3..] == plain[SECTOR * 3..]);
    }
}

#[test]
fn half_sectors_are_refused_and_left_alone() {
    let cipher = SectorCipher::new(&fek(Algorithm::Aes256));
    for (offset, len) in [(1, 512), (0, 511), (0, 1), (511, 513)] {
        let mut data = vec![7; len];
        for result in [
            cipher.encrypt(offset, &mut data),
            cipher.decrypt(offset, &mut data),
            cipher.encrypt_parallel(offset, &mut data),
            cipher.decrypt_parallel(offset, &mut data),
        ] {
            assert_eq!(result.unwrap_err().win32(), Win32Error::INVALID_PARAMETER);
        }
        assert_eq!(data, vec![7; len]);
    }
    cipher.encrypt(512, &mut []).unwrap();
}

#[test]
fn efs_57_the_entropy_is_not_looked_at() {
    let bytes = fek(Algorithm::Aes256).to_bytes().to_vec();
    assert_eq!(bytes[..16], hex("20000000200000001066000000000000"));
    for entropy in [0_u32, 32, 256, u32::MAX] {
        let mut bytes = bytes.clone();
        bytes[4..8].copy_from_slice(&entropy.to_le_bytes());
        let parsed = Fek::parse(&bytes).unwrap();
        assert_eq!((parsed.entropy(), parsed.key()), (entropy, &bytes[16..]));
        assert_eq!(parsed.to_bytes()[..], bytes[..]);
    }
    let with = |at: usize, number: u32| {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        Fek::parse(&bytes)
    };
    for len in [0, 16, 31, 33, u32::MAX] {
        assert!(with(0, len).is_err(), "{len}");
    }
    for id in [0, 0x6601, 0x6611, u32::MAX] {
        assert_eq!(with(8, id).unwrap_err().win32(), Win32Error::NOT_SUPPORTED);
    }
    for len in 0..bytes.len() {
        assert!(Fek::parse(&bytes[..len]).is_err());
    }
    assert!(Fek::parse(&[&bytes[..], &[0; 2000]].concat()).is_err());
    assert!(!format!("{:?}", fek(Algorithm::Aes256)).contains("31"), "no key in a log");
}

/// The 1568 bytes of the worked example, by their hash.
#[test]
fn the_worked_example_byte_for_byte() {
    let mut builder = v1::Builder::new(2, Guid(std::array::from_fn(|at| at as u8)));
    let thumbprint: Vec<u8> = (0xA0..=0xB3).collect();
    let entry = v1::NewEntry {
        thumbprint: &thumbprint,
        encrypted_fek: &[0xEE; 256],
        display: Some(&Name::from("u")),
        ..v1::NewEntry::default()
    };
    builder.add(HolderKind::User, &entry);
    let mut data = sector(b"hi");
    SectorCipher::new(&fek(Algorithm::Aes256)).encrypt(0, &mut data).unwrap();
    let plan = StreamPlan { head: StreamHead { name: None, encrypted: true }, content: Content::plain(2) };
    let mut export = Export::new(builder.build().unwrap(), vec![plan]).unwrap();
    let mut raw = Vec::new();
    while let Some(piece) = export.next().unwrap() {
        match piece {
            Piece::Bytes(bytes) => raw.extend_from_slice(bytes),
            Piece::Data { offset, len, .. } => {
                raw.extend_from_slice(&data[offset as usize..][..len as usize])
            }
        }
    }
    assert_eq!(raw.len(), 1568);
    assert_eq!(sha256(&raw), "427cc8a2d12405fc92a4f6108a30087f7575d9b17c44f8ae07dd0acf5ecf1e52");
}

proptest! {
    #[test]
    fn any_sectors_round_trip(
        key: [u8; 32],
        offset in 0_u64..1 << 50,
        sectors in 0_usize..80,
        which in 0_usize..5,
        fill: u8,
    ) {
        let algorithm = Algorithm::ALL[which];
        let cipher = SectorCipher::new(&Fek::new(algorithm, &key[..algorithm.key_len()]).unwrap());
        let plain: Vec<u8> = pattern(sectors * SECTOR).iter().map(|byte| byte ^ fill).collect();
        let mut data = plain.clone();
        cipher.encrypt(offset << 9, &mut data).unwrap();
        if sectors > 0 { prop_assert!(data != plain); }
        cipher.decrypt(offset << 9, &mut data).unwrap();
        prop_assert!(data == plain);
    }
}
