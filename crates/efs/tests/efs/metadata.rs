//! Numbered cases 52, 55, 56, 58, 59, 61 to 63 and 67 of the metadata under keys.

use ntbak_efs::{
    Algorithm, Error, Fek, Identity, KeyRing, Recipient, add_user, protect, remove_user,
    with_windows_2000_hash, wrap,
};
use ntbak_wire::Win32Error;
use ntbak_wire::efs::v1::{Builder, NewEntry};
use ntbak_wire::efs::{HolderKind, Metadata, Wrapping};
use ntbak_wire::object_id::Guid;

use crate::common::*;

const ID: Guid = Guid([9; 16]);

fn recipient(identity: &Identity) -> Recipient {
    Recipient::new(identity.certificate.clone().unwrap())
}

fn thumbprint(identity: &Identity) -> Vec<u8> {
    identity.certificate.as_ref().unwrap().thumbprint().to_vec()
}

fn open(ring: &KeyRing, metadata: &[u8]) -> ntbak_efs::Result<ntbak_efs::Opened> {
    ring.open(&Metadata::parse(metadata).unwrap())
}

fn bare(identity: &Identity) -> Identity {
    Identity { certificate: None, ..identity.clone() }
}

#[test]
fn new_metadata_list_and_open_for_everyone() {
    for algorithm in Algorithm::ALL {
        let fek = Fek::generate(algorithm).unwrap();
        let users = [recipient(&ALICE), recipient(&BOB), recipient(&ALICE)];
        let metadata = protect(&fek, &users, &[recipient(&AGENT)], ID).unwrap();
        let view = Metadata::parse(&metadata).unwrap();
        assert_eq!(view.version(), if algorithm == Algorithm::Desx { 1 } else { 2 });
        let names: Vec<_> =
            view.holders().iter().map(|holder| holder.display.as_ref().unwrap().to_string()).collect();
        assert_eq!(
            names,
            ["alice(alice@HOST)", "bob(bob@HOST)", "agent(agent@HOST)"],
            "nobody is listed twice"
        );
        for (identity, kind) in
            [(&*ALICE, HolderKind::User), (&*BOB, HolderKind::User), (&*AGENT, HolderKind::RecoveryAgent)]
        {
            for identity in [identity.clone(), bare(identity)] {
                let opened = open(&ring(&[&identity]), &metadata).unwrap();
                assert_eq!((opened.fek, opened.kind), (fek.clone(), kind));
            }
        }
    }
    assert!(protect(&Fek::generate(Algorithm::Aes256).unwrap(), &[], &[recipient(&AGENT)], ID).is_err());
}

#[test]
fn efs_56_any_hash_is_accepted() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let zero = protect(&fek, &[recipient(&ALICE)], &[], ID).unwrap();
    let right = with_windows_2000_hash(&zero).unwrap();
    assert_ne!(right[0x20..0x30], [0; 16]);
    // The sum is that of the metadata with the field zero.
    if let Some(sum) = openssl_filter(&["dgst", "-md5", "-binary"], &zero) {
        assert_eq!(right[0x20..0x30], sum[..]);
    }
    let mut wrong = right.clone();
    wrong[0x25] ^= 1;
    for metadata in [&zero, &right, &wrong] {
        assert_eq!(open(&ring(&[&ALICE]), metadata).unwrap().fek, fek);
    }
    // A change keeps a hash a hash.
    let more = add_user(&right, &fek, &recipient(&BOB)).unwrap();
    assert_eq!(with_windows_2000_hash(&more).unwrap(), more);
    assert_eq!(remove_user(&more, &thumbprint(&BOB)).unwrap(), right);
}

/// Metadata with entries of (thumbprint, wrapped key).
fn entries(users: &[(&[u8], &[u8])], agents: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(2, ID);
    for (kind, list) in [(HolderKind::User, users), (HolderKind::RecoveryAgent, agents)] {
        for (thumbprint, encrypted_fek) in list {
            builder.add(kind, &NewEntry { thumbprint, encrypted_fek, ..NewEntry::default() });
        }
    }
    builder.build().unwrap()
}

#[test]
fn efs_58_every_entry_that_matches_is_tried() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let good = wrap(&fek, ALICE.key.public()).unwrap();
    let mine = thumbprint(&ALICE);
    let metadata = entries(&[(&mine, &[0x55; 256]), (&mine, &good)], &[]);
    assert_eq!(open(&ring(&[&ALICE]), &metadata).unwrap().fek, fek);
    let metadata = entries(&[(&mine, &[0x55; 256])], &[]);
    let error = open(&ring(&[&ALICE]), &metadata).unwrap_err();
    assert_eq!(error.win32(), Win32Error::DECRYPTION_FAILED, "{error}");
}

#[test]
fn efs_59_users_and_agents_are_both_searched() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let metadata = protect(&fek, &[recipient(&ALICE)], &[recipient(&AGENT), recipient(&BOB)], ID).unwrap();
    let opened = open(&ring(&[&AGENT]), &metadata).unwrap();
    assert_eq!((opened.kind, opened.thumbprint), (HolderKind::RecoveryAgent, thumbprint(&AGENT)));
    // A user's key that is only among the agents, and an agent's that is only among the users.
    assert_eq!(open(&ring(&[&BOB]), &metadata).unwrap().fek, fek);
    let metadata = protect(&fek, &[recipient(&AGENT)], &[], ID).unwrap();
    assert_eq!(open(&ring(&[&AGENT]), &metadata).unwrap().kind, HolderKind::User);
}

#[test]
fn efs_60_leading_zeros_may_be_missing() {
    // Wrap until the number happens to begin with a zero byte, which is the last one as it is stored.
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let wrapped = loop {
        let wrapped = wrap(&fek, ALICE.key.public()).unwrap();
        if wrapped[255] == 0 {
            break wrapped;
        }
    };
    let mine = thumbprint(&ALICE);
    for field in [&wrapped[..], &wrapped[..255], &[&wrapped[..], &[0; 9]].concat()] {
        assert_eq!(open(&ring(&[&ALICE]), &entries(&[(&mine, field)], &[])).unwrap().fek, fek);
    }
    for field in [&[][..], &[1], &[0xFF; 256], &[1; 257], &[1; 4096]] {
        let error = open(&ring(&[&ALICE]), &entries(&[(&mine, field)], &[])).unwrap_err();
        assert_eq!(error.win32(), Win32Error::DECRYPTION_FAILED);
    }
}

#[test]
fn efs_61_smart_cards_are_named_and_passed_over() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let mut metadata = protect(&fek, &[recipient(&ALICE), recipient(&BOB)], &[], ID).unwrap();
    metadata[0x54 + 4 + 0x10] = 1;
    assert_eq!(Metadata::parse(&metadata).unwrap().holders()[0].wrapping, Wrapping::SmartCard);
    let error = open(&ring(&[&ALICE]), &metadata).unwrap_err();
    assert_eq!(error.win32(), Win32Error::NOT_SUPPORTED);
    assert!(error.to_string().contains("smart card"), "{error}");
    assert_eq!(open(&ring(&[&ALICE, &BOB]), &metadata).unwrap().fek, fek);
}

#[test]
fn efs_51_other_versions_are_refused_with_their_number() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let metadata = protect(&fek, &[recipient(&ALICE)], &[], ID).unwrap();
    for version in [0, 6, 7, u32::MAX] {
        let mut metadata = metadata.clone();
        metadata[8..12].copy_from_slice(&version.to_le_bytes());
        for error in [
            open(&ring(&[&ALICE]), &metadata).unwrap_err(),
            add_user(&metadata, &fek, &recipient(&BOB)).unwrap_err(),
            remove_user(&metadata, &thumbprint(&ALICE)).unwrap_err(),
            with_windows_2000_hash(&metadata).unwrap_err(),
        ] {
            assert_eq!(error, Error::Version(version));
            assert_eq!(error.win32(), Win32Error::EFS_VERSION_NOT_SUPPORT);
        }
    }
}

#[test]
fn no_key_and_no_match() {
    let metadata =
        protect(&Fek::generate(Algorithm::Aes256).unwrap(), &[recipient(&ALICE)], &[], ID).unwrap();
    assert_eq!(open(&KeyRing::new(), &metadata).unwrap_err().win32(), Win32Error::NO_USER_KEYS);
    for identity in [BOB.clone(), bare(&BOB)] {
        let error = open(&ring(&[&identity]), &metadata).unwrap_err();
        assert_eq!(error, Error::NoMatch { keys: 1, holders: 1 });
        assert_eq!(error.win32(), Win32Error::FILE_ENCRYPTED);
    }
}

#[test]
fn efs_67_a_wrong_key_of_the_right_size_gives_no_garbage() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let wrapped = wrap(&fek, ALICE.key.public()).unwrap();
    // Bob's thumbprint over what only Alice's key opens.
    let metadata = entries(&[(&thumbprint(&BOB), &wrapped)], &[]);
    assert_eq!(open(&ring(&[&BOB]), &metadata).unwrap_err().win32(), Win32Error::DECRYPTION_FAILED);
    // The right padding around something that is no key.
    let plain = [&fek.to_bytes()[..], &[0; 8]].concat();
    for (at, value) in [(0, 16), (8, 0xFF)] {
        let mut plain = plain.clone();
        plain[at] = value;
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), &ALICE.key.to_pkcs8()[..]).unwrap();
        let path = key.path().to_str().unwrap();
        let arguments =
            ["pkeyutl", "-encrypt", "-inkey", path, "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:pkcs1"];
        let Some(mut wrapped) = openssl_filter(&arguments, &plain) else { return };
        wrapped.reverse();
        assert!(open(&ring(&[&ALICE]), &entries(&[(&thumbprint(&ALICE), &wrapped)], &[])).is_err());
    }
}

#[test]
fn efs_62_users_come_and_go() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let one = protect(&fek, &[recipient(&ALICE)], &[recipient(&AGENT)], ID).unwrap();
    let two = add_user(&one, &fek, &recipient(&BOB)).unwrap();
    assert_eq!(add_user(&two, &fek, &recipient(&BOB)).unwrap(), two, "a user is added once");
    for identity in [&*ALICE, &*BOB, &*AGENT] {
        assert_eq!(open(&ring(&[identity]), &two).unwrap().fek, fek);
    }
    assert_eq!(remove_user(&two, &[7; 20]).unwrap(), two, "whoever is no user is taken away with success");
    assert_eq!(remove_user(&two, &thumbprint(&AGENT)).unwrap(), two, "an agent is no user");
    assert_eq!(remove_user(&two, &thumbprint(&BOB)).unwrap(), one);
    let without = remove_user(&two, &thumbprint(&ALICE)).unwrap();
    assert!(open(&ring(&[&ALICE]), &without).is_err());
    assert_eq!(open(&ring(&[&BOB, &AGENT]), &without).unwrap().fek, fek);
    let error = remove_user(&one, &thumbprint(&ALICE)).unwrap_err();
    assert_eq!((error.win32(), error), (Win32Error::INVALID_PARAMETER, Error::LastUser));
}

#[test]
fn efs_63_more_users_than_fit() {
    let fek = Fek::generate(Algorithm::Aes256).unwrap();
    let mut builder = Builder::new(2, ID);
    let wrapped = [0; 256];
    for number in 0_u32.. {
        let thumbprint = [&number.to_le_bytes()[..], &[0; 16]].concat();
        let mut next = builder.clone();
        next.add(
            HolderKind::User,
            &NewEntry { thumbprint: &thumbprint, encrypted_fek: &wrapped, ..NewEntry::default() },
        );
        if next.build().is_err() {
            break;
        }
        builder = next;
    }
    let error = add_user(&builder.build().unwrap(), &fek, &recipient(&ALICE)).unwrap_err();
    assert_eq!(error.win32(), Win32Error::EFS_ALG_BLOB_TOO_BIG, "{error}");
}
