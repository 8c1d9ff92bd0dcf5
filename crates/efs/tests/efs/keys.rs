//! Key files: what OpenSSL writes is read, what is written OpenSSL reads. Case 60 of the list.

use std::fs;
use std::path::Path;

use ntbak_efs::{Algorithm, Certificate, Error, Fek, KeyRing, PfxProtection, Recipient, protect, write_pfx};
use ntbak_wire::Win32Error;
use ntbak_wire::efs::Metadata;
use ntbak_wire::object_id::Guid;

use crate::common::*;

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap()
}

/// The ring of a key file, with the one certificate that must be in it.
fn one_key(bytes: &[u8], password: Option<&str>, certificate: &Certificate) {
    let mut ring = KeyRing::new();
    let added = ring.add_file(bytes, password).unwrap();
    assert_eq!((added.keys, added.skipped.len()), (1, 0));
    assert_eq!(ring.identities()[0].certificate.as_ref(), Some(certificate));
    assert_eq!(Some(ring.identities()[0].key.public()), certificate.public_key());
}

#[test]
fn every_pfx_of_openssl_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let Some(()) = openssl_identity(dir, "user", 2048) else { return };
    let certificate = Certificate::read(&read(dir, "user.pem")).unwrap();
    assert_eq!(certificate.common_name(), Some("user"));
    let schemes: &[&[&str]] = &[
        &[],
        &["-legacy"],
        &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"],
        &["-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC", "-macalg", "sha384"],
        &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
        &["-keypbe", "PBE-SHA1-2DES", "-certpbe", "PBE-SHA1-2DES", "-macalg", "sha512"],
        &["-legacy", "-keypbe", "PBE-SHA1-RC2-40", "-certpbe", "PBE-SHA1-RC2-40"],
        &["-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-128"],
        &["-keypbe", "DES-EDE3-CBC", "-certpbe", "DES-EDE3-CBC"],
        // As Windows does it: certificates are not encrypted.
        &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "NONE"],
        &["-keypbe", "NONE", "-certpbe", "NONE"],
        &["-nomac"],
        &["-noiter", "-nomaciter"],
        &["-iter", "100000"],
        &["-name", "a friendly name \u{e9}", "-CSP", "Microsoft Enhanced Cryptographic Provider v1.0"],
    ];
    for scheme in schemes {
        for password in ["secret", "", "p\u{e4}ss\u{20ac}\u{1F600}"] {
            let pass = format!("pass:{password}");
            let start = ["pkcs12", "-export", "-inkey", "user.key", "-in", "user.pem", "-out", "user.pfx"];
            openssl(dir, &[&start[..], &["-passout", &pass], scheme].concat()).unwrap();
            let bytes = read(dir, "user.pfx");
            one_key(&bytes, Some(password), &certificate);
            if password.is_empty() {
                one_key(&bytes, None, &certificate);
            }
            // Without a MAC and without encryption, any password fits.
            if scheme.contains(&"NONE") && scheme.len() == 4 && !password.is_empty()
                || !scheme.contains(&"NONE")
            {
                let wrong = KeyRing::new().add_file(&bytes, Some("wrong")).unwrap_err();
                assert_eq!(wrong.win32(), Win32Error::INVALID_PASSWORD, "{scheme:?} {wrong}");
            }
        }
    }
}

#[test]
fn several_keys_in_one_pfx() {
    let bytes =
        write_pfx(&[ALICE.clone(), BOB.clone(), AGENT.clone()], "three", PfxProtection::Aes256).unwrap();
    let mut ring = KeyRing::new();
    assert_eq!(ring.add_file(&bytes, Some("three")).unwrap().keys, 3);
    assert_eq!(ring.add_file(&bytes, Some("three")).unwrap().keys, 0, "they are there already");
    for (found, made) in ring.identities().iter().zip([&ALICE, &BOB, &AGENT]) {
        assert_eq!(found.certificate, made.certificate);
        assert_eq!(found.key.to_pkcs8(), made.key.to_pkcs8());
    }
    assert!(write_pfx(&[], "", PfxProtection::Aes256).is_err());
    // More than a reader could take with the usual number of rounds for each.
    let many = write_pfx(&vec![ALICE.clone(); 40], "", PfxProtection::TripleDes).unwrap();
    assert_eq!(KeyRing::new().add_file(&many, Some("")).unwrap().keys, 1);
}

#[test]
fn openssl_opens_every_pfx_that_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for protection in [PfxProtection::Aes256, PfxProtection::TripleDes] {
        for password in ["secret", "", "p\u{e4}ss\u{20ac}"] {
            fs::write(
                dir.join("made.pfx"),
                write_pfx(&[ALICE.clone(), BOB.clone()], password, protection).unwrap(),
            )
            .unwrap();
            let pass = format!("pass:{password}");
            let Some(text) = openssl(dir, &["pkcs12", "-in", "made.pfx", "-nodes", "-passin", &pass]) else {
                return;
            };
            assert_eq!(text.matches("BEGIN PRIVATE KEY").count(), 2);
            assert_eq!(text.matches("friendlyName: alice").count(), 2);
            let mut ring = KeyRing::new();
            // What openssl prints, with all the text around it, is a PEM file too.
            assert_eq!(ring.add_file(text.as_bytes(), None).unwrap().keys, 2);
            assert_eq!(ring.identities()[0].certificate, ALICE.certificate);
        }
    }
}

#[test]
fn certificates_that_are_made_are_what_windows_makes() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = ALICE.certificate.as_ref().unwrap();
    assert!(certificate.is_for_efs() && !certificate.is_for_recovery());
    assert!(AGENT.certificate.as_ref().unwrap().is_for_recovery());
    assert_eq!(certificate.display_name(), Some("alice(alice@HOST)".into()));
    fs::write(dir.path().join("a.der"), certificate.as_der()).unwrap();
    let Some(text) =
        openssl(dir.path(), &["x509", "-inform", "DER", "-in", "a.der", "-noout", "-text", "-fingerprint"])
    else {
        return;
    };
    let fingerprint: Vec<String> =
        certificate.thumbprint().iter().map(|byte| format!("{byte:02X}")).collect();
    for line in [
        "Subject: CN = alice",
        "Issuer: CN = alice",
        "Microsoft Encrypted File System",
        "alice@HOST",
        "Not Before: Nov 14 22:13:20 2023 GMT",
        "Not After : Feb  8 13:20:00 2122 GMT",
        "Public-Key: (2048 bit)",
        &format!("SHA1 Fingerprint={}", fingerprint.join(":")),
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // The signature is checked by openssl: a self-signed certificate is its own authority.
    openssl(dir.path(), &["x509", "-inform", "DER", "-in", "a.der", "-out", "a.pem"]).unwrap();
    openssl(dir.path(), &["verify", "-purpose", "any", "-CAfile", "a.pem", "-check_ss_sig", "a.pem"])
        .unwrap();
}

#[test]
fn pem_and_der_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let Some(()) = openssl_identity(dir, "user", 2048) else { return };
    let certificate = Certificate::read(&read(dir, "user.pem")).unwrap();
    let both = [read(dir, "user.key"), read(dir, "user.pem")].concat();
    one_key(&both, None, &certificate);
    one_key(&[read(dir, "user.pem"), read(dir, "user.key")].concat(), None, &certificate);
    openssl(dir, &["rsa", "-in", "user.key", "-traditional", "-out", "pkcs1.key"]).unwrap();
    openssl(dir, &["rsa", "-in", "user.key", "-outform", "DER", "-out", "key.der"]).unwrap();
    openssl(dir, &["pkcs8", "-topk8", "-in", "user.key", "-passout", "pass:pw", "-out", "p8.key"]).unwrap();
    openssl(
        dir,
        &["pkcs8", "-topk8", "-in", "user.key", "-passout", "pass:pw", "-outform", "DER", "-out", "p8.der"],
    )
    .unwrap();
    openssl(dir, &["x509", "-in", "user.pem", "-outform", "DER", "-out", "user.der"]).unwrap();
    for (name, password) in [
        ("user.key", None),
        ("pkcs1.key", None),
        ("key.der", None),
        ("p8.key", Some("pw")),
        ("p8.der", Some("pw")),
    ] {
        // A bare key, and the certificate comes later, in another file.
        for certificate_file in ["user.pem", "user.der"] {
            let mut ring = KeyRing::new();
            assert_eq!(ring.add_file(&read(dir, name), password).unwrap().keys, 1, "{name}");
            assert_eq!(ring.identities()[0].certificate, None);
            ring.add_file(&read(dir, certificate_file), None).unwrap();
            assert_eq!(ring.identities()[0].certificate.as_ref(), Some(&certificate));
            let mut ring = KeyRing::new();
            ring.add_file(&read(dir, certificate_file), None).unwrap();
            ring.add_file(&read(dir, name), password).unwrap();
            assert_eq!(ring.identities()[0].certificate.as_ref(), Some(&certificate), "{name}");
        }
        if password.is_some() {
            let wrong = KeyRing::new().add_file(&read(dir, name), Some("no")).unwrap_err();
            assert_eq!(wrong.win32(), Win32Error::INVALID_PASSWORD);
        }
    }
    openssl(
        dir,
        &["rsa", "-in", "user.key", "-traditional", "-aes128", "-passout", "pass:pw", "-out", "old.key"],
    )
    .unwrap();
    assert_eq!(
        KeyRing::new().add_file(&read(dir, "old.key"), Some("pw")).unwrap_err().win32(),
        Win32Error::NOT_SUPPORTED
    );
    openssl(dir, &["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "ec.key"]).unwrap();
    openssl(dir, &["pkcs8", "-topk8", "-nocrypt", "-in", "ec.key", "-out", "ec8.key"]).unwrap();
    assert_eq!(
        KeyRing::new().add_file(&read(dir, "ec8.key"), None).unwrap_err().win32(),
        Win32Error::NOT_SUPPORTED
    );
    // An elliptic curve beside an RSA key is skipped, and said to be.
    let mut ring = KeyRing::new();
    let added = ring.add_file(&[both, read(dir, "ec8.key")].concat(), None).unwrap();
    assert_eq!((added.keys, added.skipped.len()), (1, 1));
}

fn wraps_and_unwraps(ring: &KeyRing) {
    let certificate = ring.identities()[0].certificate.clone().unwrap();
    let bits = certificate.public_key().unwrap().bits();
    for _ in 0..3 {
        let fek = Fek::generate(Algorithm::Aes256).unwrap();
        let metadata = protect(&fek, &[Recipient::new(certificate.clone())], &[], Guid([0; 16])).unwrap();
        let opened = ring.open(&Metadata::parse(&metadata).unwrap()).unwrap();
        assert_eq!(opened.fek, fek, "{bits} bits");
        if bits > 8192 {
            break;
        }
    }
}

#[test]
fn efs_60_keys_of_every_size() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for bits in [1024, 1536, 2047, 2048, 3072, 4096] {
        let name = format!("rsa{bits}");
        let Some(()) = openssl_identity(dir, &name, bits) else { return };
        let mut ring = KeyRing::new();
        let both = [read(dir, &format!("{name}.key")), read(dir, &format!("{name}.pem"))].concat();
        ring.add_file(&both, None).unwrap();
        assert_eq!(ring.identities()[0].key.public().bits(), bits);
        wraps_and_unwraps(&ring);
        // OpenSSL wraps and we unwrap, and the other way round; the bytes are in reverse between.
        let fek = Fek::generate(Algorithm::TripleDes).unwrap();
        fs::write(dir.join("fek"), &fek.to_bytes()[..]).unwrap();
        let key = format!("{name}.key");
        openssl(dir, &["pkeyutl", "-encrypt", "-inkey", &key, "-in", "fek", "-out", "wrapped"]).unwrap();
        let mut wrapped = read(dir, "wrapped");
        wrapped.reverse();
        let mut builder = ntbak_wire::efs::v1::Builder::new(2, Guid([0; 16]));
        let identity = &ring.identities()[0];
        let thumbprint = identity.certificate.as_ref().unwrap().thumbprint();
        let entry =
            ntbak_wire::efs::v1::NewEntry { thumbprint, encrypted_fek: &wrapped, ..Default::default() };
        builder.add(ntbak_wire::efs::HolderKind::User, &entry);
        let bytes = builder.build().unwrap();
        assert_eq!(ring.open(&Metadata::parse(&bytes).unwrap()).unwrap().fek, fek);
        let mut ours = ntbak_efs::wrap(&fek, identity.key.public()).unwrap();
        ours.reverse();
        fs::write(dir.join("ours"), ours).unwrap();
        openssl(dir, &["pkeyutl", "-decrypt", "-inkey", &key, "-in", "ours", "-out", "plain"]).unwrap();
        assert_eq!(read(dir, "plain"), fek.to_bytes()[..]);
    }
}

#[test]
fn efs_60_the_largest_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = include_bytes!("../data/rsa-16384.pem");
    fs::write(dir.path().join("key"), key).unwrap();
    let request = ["req", "-x509", "-key", "key", "-out", "pem", "-days", "2", "-subj", "/CN=large"];
    let Some(_) = openssl(dir.path(), &request) else { return };
    let mut ring = KeyRing::new();
    ring.add_file(&[&key[..], &read(dir.path(), "pem")].concat(), None).unwrap();
    assert_eq!(ring.identities()[0].key.public().bits(), 16_384);
    wraps_and_unwraps(&ring);
}

#[test]
fn keys_too_small_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_) = openssl(dir.path(), &["genrsa", "-out", "key", "768"]) else { return };
    let error = KeyRing::new().add_file(&read(dir.path(), "key"), None).unwrap_err();
    assert_eq!(error.win32(), Win32Error::NOT_SUPPORTED, "{error}");
    assert!(matches!(error, Error::Unsupported { .. }));
}

#[test]
fn no_debug_shows_a_secret() {
    let text = format!("{:?} {:?}", *ALICE, ring(&[&ALICE]));
    let secret = ALICE.key.to_pkcs8();
    assert!(text.len() < 2000 && secret.len() > 1000, "{text}");
}
