//! Numbered cases 51 to 55 and 61 to 64 of the metadata, and byte-exact building.

use ntbak_wire::efs::v1::{Builder, KeyInfo, NewEntry};
use ntbak_wire::efs::{Holder, HolderKind, Metadata, Wrapping, check_len};
use ntbak_wire::object_id::Guid;
use ntbak_wire::security::SidBuf;
use ntbak_wire::{Error, Name, Win32Error};
use proptest::prelude::*;

use crate::model::{utf16, words};

const ID: Guid = Guid([7; 16]);

/// Two users, the first with everything, and a recovery agent.
pub(crate) fn sample() -> Vec<u8> {
    let sid: SidBuf = "S-1-5-21-1-2-3-1001".parse().unwrap();
    let (container, provider, owner) =
        (Name::from("ab-cd"), Name::from("Provider v1.0"), Name::from("a(a@H)"));
    let mut builder = Builder::new(2, ID);
    let entry = NewEntry {
        thumbprint: &[1; 20],
        encrypted_fek: &[0xE1; 256],
        display: Some(&owner),
        container: Some((&container, &provider)),
        sid: Some(sid.as_sid()),
    };
    builder.add(HolderKind::User, &entry);
    let added = Name::from("b(b@H)");
    let entry =
        NewEntry { thumbprint: &[2; 20], encrypted_fek: &[0xE2; 128], display: Some(&added), ..entry };
    builder.add(HolderKind::User, &NewEntry { container: None, sid: None, ..entry.clone() });
    builder.add(
        HolderKind::RecoveryAgent,
        &NewEntry { thumbprint: &[3; 20], container: None, sid: None, ..entry },
    );
    builder.build().unwrap()
}

fn refused(bytes: &[u8]) -> Error {
    let error = Metadata::parse(bytes).expect_err("this must be refused");
    assert_eq!(error.win32(), Win32Error::NOT_EXPORT_FORMAT, "{error}");
    error
}

fn v1(bytes: &[u8]) -> ntbak_wire::efs::v1::Metadata<'_> {
    match Metadata::parse(bytes).unwrap() {
        Metadata::V1(metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

fn with(bytes: &[u8], at: usize, number: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn holders_are_listed_users_first() {
    let bytes = sample();
    let metadata = Metadata::parse(&bytes).unwrap();
    assert_eq!(metadata.version(), 2);
    let holders = metadata.holders();
    assert_eq!(
        holders[0],
        Holder {
            kind: HolderKind::User,
            thumbprint: Some(vec![1; 20]),
            display: Some("a(a@H)".into()),
            container: Some("ab-cd".into()),
            provider: Some("Provider v1.0".into()),
            sid: Some("S-1-5-21-1-2-3-1001".parse().unwrap()),
            wrapping: Wrapping::Rsa,
        }
    );
    assert_eq!(holders[1].thumbprint, Some(vec![2; 20]));
    assert_eq!((&holders[1].sid, &holders[1].container), (&None, &None));
    assert_eq!((holders[2].kind, &holders[2].thumbprint), (HolderKind::RecoveryAgent, &Some(vec![3; 20])));
    assert_eq!(holders.len(), 3);
}

#[test]
fn what_is_there_is_built_again_byte_for_byte() {
    let bytes = sample();
    assert_eq!(v1(&bytes).to_builder().build().unwrap(), bytes);
    // Reserved bytes, a hash, a state and zeros behind the last list are kept.
    let mut odd = [&bytes[..], &[0; 4]].concat();
    let size = odd.len() as u32;
    odd[..4].copy_from_slice(&size.to_le_bytes());
    for at in [4, 0x0C, 0x20, 0x30, 0x48, 0x53] {
        odd[at] = at as u8;
    }
    assert_eq!(v1(&odd).to_builder().build().unwrap(), odd);
}

#[test]
fn efs_51_unknown_versions_are_told_and_no_more() {
    for version in [0, 6, 7, 99, u32::MAX] {
        let bytes = with(&sample(), 8, version);
        let metadata = Metadata::parse(&bytes).unwrap();
        assert_eq!(metadata, Metadata::Unknown(version));
        assert_eq!((metadata.version(), metadata.holders()), (version, Vec::new()));
    }
}

#[test]
fn efs_52_length() {
    let bytes = sample();
    for length in [0, 1, bytes.len() as u32 - 1, bytes.len() as u32 + 1, u32::MAX] {
        refused(&with(&bytes, 0, length));
    }
    refused(&[]);
    assert!(check_len(&[0; 0x54]).is_err());
}

#[test]
fn efs_53_offsets_and_counts_that_lie() {
    let bytes = sample();
    let users = 0x54;
    let first = users + 4;
    let info = first + 0x14;
    let certificate = info + u32::from_le_bytes(bytes[info + 0x10..][..4].try_into().unwrap()) as usize;
    let lies = [0xFFFF_FFFF, 0x7FFF_FFFF, bytes.len() as u32, bytes.len() as u32 - 3];
    for at in
        [0x40, 0x44, users, first, first + 4, first + 8, first + 0xC, info, info + 4, info + 0xC, info + 0x10]
    {
        for lie in lies {
            refused(&with(&bytes, at, lie));
        }
    }
    for at in [0, 4, 8, 0xC, 0x10] {
        for lie in lies {
            refused(&with(&bytes, certificate + at, lie));
        }
    }
    // Lists inside of the header, none at all, an entry of no length, lists that overlap.
    for (at, lie) in
        [(0x40, 0), (0x40, 0x50), (0x44, 0x40), (users, 0), (first, 0), (first, 0x13), (0x44, 0x54)]
    {
        refused(&with(&bytes, at, lie));
    }
}

#[test]
fn efs_54_no_recovery_agents() {
    let bytes = with(&sample(), 0x44, 0);
    let metadata = v1(&bytes);
    assert!(metadata.agents.is_empty());
    assert_eq!(metadata.holders().len(), 2);
}

#[test]
fn efs_55_entries_without_a_certificate_are_listed() {
    let bytes = with(&sample(), 0x54 + 4 + 0x14 + 8, 1);
    // Type 1 has its names where type 3 has the size and offset of the certificate data.
    let bytes = with(&with(&bytes, 0x54 + 4 + 0x14 + 0x0C, 0), 0x54 + 4 + 0x14 + 0x10, 0x38 + 0x28);
    let metadata = v1(&bytes);
    assert!(
        matches!(&metadata.users[0].key, KeyInfo::Container { container: None, provider: Some(name) } if *name == "ab-cd".into())
    );
    assert_eq!(metadata.users[0].thumbprint(), None);
    assert_eq!(metadata.users[1].thumbprint(), Some(&[2; 20][..]));
    let bytes = with(&bytes, 0x54 + 4 + 0x14 + 8, 2);
    assert_eq!(v1(&bytes).users[0].key, KeyInfo::Unknown(2));
}

#[test]
fn efs_61_smart_card_entries_are_named() {
    for (flags, wrapping) in [(1, Wrapping::SmartCard), (2, Wrapping::Unknown(2))] {
        let bytes = with(&sample(), 0x54 + 4 + 0x10, flags);
        assert_eq!(v1(&bytes).users[0].wrapping(), wrapping);
        assert_eq!(Metadata::parse(&bytes).unwrap().holders()[0].wrapping, wrapping);
    }
}

#[test]
fn efs_62_users_are_taken_away_by_their_thumbprint() {
    let bytes = sample();
    let mut builder = v1(&bytes).to_builder();
    assert_eq!(builder.remove(HolderKind::User, &[9; 20]), 0);
    assert_eq!(builder.remove(HolderKind::User, &[3; 20]), 0, "an agent is no user");
    assert_eq!(builder.build().unwrap(), bytes);
    assert_eq!(builder.remove(HolderKind::User, &[1; 20]), 1);
    let smaller = builder.build().unwrap();
    let left: Vec<_> =
        v1(&smaller).holders().into_iter().map(|holder| holder.thumbprint.unwrap()[0]).collect();
    assert_eq!(left, [2, 3]);
    assert_eq!(builder.remove(HolderKind::User, &[2; 20]), 1);
    assert!(builder.build().is_err(), "someone must be left");
}

#[test]
fn efs_63_no_more_than_fits() {
    let mut builder = Builder::new(2, ID);
    let fek = [0; 2048];
    let mut last = Vec::new();
    let error = loop {
        builder.add(
            HolderKind::User,
            &NewEntry { thumbprint: &[1; 20], encrypted_fek: &fek, ..NewEntry::default() },
        );
        match builder.build() {
            Ok(bytes) => last = bytes,
            Err(error) => break error,
        }
    };
    assert_eq!(error.win32(), Win32Error::EFS_ALG_BLOB_TOO_BIG);
    assert!(last.len() <= 262_144 && last.len() > 262_144 - 2200);
    assert_eq!(v1(&last).users.len(), builder.users() - 1);
}

fn datum(role: u16, kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let head = [(8 + body.len()) as u16, role, kind, flags].map(u16::to_le_bytes).concat();
    [&head[..], body].concat()
}

fn blob(role: u16, kind: u16, data: &[u8]) -> Vec<u8> {
    datum(role, 1, 0, &[&kind.to_le_bytes()[..], &[0, 0], data].concat())
}

/// Version 2 with one protector of this type that nests `inside`.
fn v2(protector: u16, flags: u16, inside: &[u8]) -> Vec<u8> {
    let fek =
        datum(0, 6, 1, &[&words(&[0x6610])[..], &blob(0xA, 4, &[1; 40]), &blob(0xB, 4, &[2; 24])].concat());
    let head = [protector, flags].map(u16::to_le_bytes).concat();
    let key = datum(0, 3, 1, &[&head[..], inside].concat());
    let list = [&words(&[6 + key.len() as u32])[..], &[1, 0], &key].concat();
    let offset = 0x28 + fek.len();
    let mut bytes = words(&[(offset + list.len()) as u32, 0, 4, 0]);
    bytes.extend([5; 16]);
    bytes.extend(words(&[offset as u32, 0]));
    bytes.extend(fek);
    bytes.extend(list);
    bytes
}

#[test]
fn version_2_lists_who_its_protectors_are_for() {
    let sid: SidBuf = "S-1-5-21-1-2-3-1001".parse().unwrap();
    let about = [
        blob(0, 2, &[9; 20]),
        datum(3, 2, 0, &utf16("e(e@H)\0")),
        datum(4, 2, 0, &utf16("box\0")),
        datum(5, 2, 0, &utf16("KSP\0")),
        blob(6, 0, sid.as_sid().bytes()),
    ]
    .concat();
    let inside =
        [datum(1, 4, 1, &about), datum(2, 5, 1, &[&[0, 0][..], &blob(7, 4, &[3; 40])].concat())].concat();
    for (number, flags, wrapping) in [
        (1, 0, Wrapping::KeyAgreement),
        (2, 1, Wrapping::Rsa),
        (2, 3, Wrapping::SmartCard),
        (3, 0, Wrapping::DpapiNg),
        (9, 0, Wrapping::Unknown(9)),
    ] {
        let bytes = v2(number, flags, &inside);
        let metadata = Metadata::parse(&bytes).unwrap();
        let Metadata::V2(view) = &metadata else { panic!("{metadata:?}") };
        assert_eq!((view.version, view.algorithm), (4, 0x6610));
        let expected = Holder {
            kind: HolderKind::User,
            thumbprint: Some(vec![9; 20]),
            display: Some("e(e@H)".into()),
            container: Some("box".into()),
            provider: Some("KSP".into()),
            sid: Some(sid.clone()),
            wrapping,
        };
        assert_eq!(metadata.holders(), [expected]);
    }
}

#[test]
fn efs_64_nested_data_that_lie() {
    let lie = |size: u16| {
        let mut bad = blob(0, 2, &[9; 20]);
        bad[..2].copy_from_slice(&size.to_le_bytes());
        v2(1, 0, &datum(1, 4, 1, &bad))
    };
    for size in [0, 1, 7, 33, 0xFFFF] {
        refused(&lie(size));
    }
    refused(&v2(1, 0, &datum(1, 4, 1, &[0; 7])));
    let mut deep = blob(0, 2, &[9; 20]);
    for depth in 1..1000 {
        deep = datum(1, 4, 1, &deep);
        let bytes = v2(1, 0, &deep);
        assert_eq!(Metadata::parse(&bytes).is_ok(), depth <= 15, "{depth}");
    }
}

fn pfile(redirection: &[u8], tail: &[u8]) -> Vec<u8> {
    let fixed = 18 + redirection.len() as u32;
    let end = fixed + 36;
    let mut bytes = b".pfile".to_vec();
    bytes.extend(words(&[2, 1, redirection.len() as u32]));
    bytes.extend(redirection);
    bytes.extend(words(&[end, end, 8, end + 8, end + 8, 1234, 0, 0, 0]));
    bytes.extend(utf16(".txt"));
    bytes.extend(tail);
    bytes
}

#[test]
fn version_3_is_recognised() {
    let bytes = pfile(b"protected", &[7; 100]);
    let metadata = Metadata::parse(&bytes).unwrap();
    let Metadata::V3(view) = &metadata else { panic!("{metadata:?}") };
    assert_eq!((view.version, view.redirection, view.original_size), ((2, 1), &b"protected"[..], 1234));
    assert_eq!((view.extension, view.licence), (&utf16(".txt")[..], &[7; 100][..]));
    assert_eq!(metadata.version(), 6);
    for at in [14, 18 + 9 + 4, 18 + 9 + 8, 18 + 9 + 12] {
        refused(&with(&bytes, at, u32::MAX));
    }
}

/// Every view of damaged metadata: an error, or a view that can be used.
fn survives(bytes: &[u8]) {
    if let Ok(metadata) = Metadata::parse(bytes) {
        let holders = metadata.holders();
        assert!(holders.len() <= bytes.len());
        if let Metadata::V1(view) = &metadata {
            let again = view.to_builder().build().unwrap();
            assert_eq!(v1(&again).holders(), holders);
        }
    }
}

#[test]
fn every_cut_and_every_flipped_bit() {
    for whole in [sample(), v2(1, 0, &datum(1, 4, 1, &blob(0, 2, &[9; 20]))), pfile(b"text", &[7; 60])] {
        for len in 0..whole.len() {
            let cut = &whole[..len];
            if !cut.starts_with(b".pfile") {
                assert!(Metadata::parse(cut).is_err());
            }
            if len >= 4 {
                survives(&with(cut, 0, len as u32));
            }
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            survives(&bytes);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_survive(mut bytes in proptest::collection::vec(any::<u8>(), 0x55..2000), version in 0_u32..7) {
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        if version < 4 {
            bytes[0x40..0x48].copy_from_slice(&[0x54, 0, 0, 0, 0, 0, 0, 0]);
        }
        survives(&bytes);
    }
}
