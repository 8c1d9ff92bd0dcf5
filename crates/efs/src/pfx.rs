/*!
PFX files (PKCS#12, RFC 7292): how keys leave Windows, by `cipher /x` and the certificate export.

```text
PFX          := version 3, ContentInfo of the safes, MAC
safes        := ContentInfo*, each plain (data) or encrypted (encryptedData)
ContentInfo  := SafeBag*
SafeBag      := key | key under a password | certificate | SafeBag* | …, attributes
```

Read is every scheme that Windows and OpenSSL write: RC2-40, RC2-128, two- and three-key 3DES under SHA-1, PBES2, or none
at all; a MAC of SHA-1 or SHA-2, or none. Windows leaves certificates unencrypted; an absent password is not an empty one.
Written is PBES2 with AES-256, or 3DES for Windows before 10. DER only.
*/

use der::Encode;
use der::asn1::ObjectIdentifier;
use pkcs5::pbes2;

use crate::asn1::{self, CONTEXT, Fields, INTEGER, NULL, OCTET_STRING, SEQUENCE, SET, oid, tlv};
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::pbe::{self, Budget, Password};
use crate::random;
use crate::rsa::PrivateKey;

const WHAT: &str = "PFX";
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const NESTED_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `[0]` of an OCTET STRING, implicit.
const ENCRYPTED_CONTENT: u8 = 0x80;
const BMP_STRING: u8 = 0x1E;
/// Bags in bags, at most.
const MAX_DEPTH: usize = 4;
/// Rounds that passwords are stretched with in files that are written.
const ROUNDS: u32 = 600_000;

/// What a PFX file holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) keys: Vec<PrivateKey>,
    pub(crate) certificates: Vec<Certificate>,
    /// Keys and certificates that are there and cannot be used, with the reason.
    pub(crate) skipped: Vec<Error>,
}

/// Whether the bytes look like a PFX: a SEQUENCE that begins with the number 3.
pub(crate) fn is_pfx(bytes: &[u8]) -> bool {
    let version = || Fields::sequence(WHAT, bytes)?.small();
    version() == Ok(3)
}

/// Reads a PFX. Of an empty and an absent password, each is tried when the other does not fit.
pub(crate) fn read(bytes: &[u8], password: Option<&str>) -> Result<Contents> {
    let variants: &[Option<&str>] = match password {
        None => &[None, Some("")],
        Some("") => &[Some(""), None],
        Some(text) => &[Some(text)],
    };
    let mut budget = Budget::new();
    let mut last = Error::Password { what: WHAT };
    for variant in variants {
        match read_with(bytes, &Password::new(*variant), &mut budget) {
            Err(Error::Password { .. }) => last = Error::Password { what: WHAT },
            other => return other,
        }
    }
    Err(last)
}

fn read_with(bytes: &[u8], password: &Password, budget: &mut Budget) -> Result<Contents> {
    let mut pfx = Fields::sequence(WHAT, bytes)?;
    if pfx.small()? != 3 {
        return Err(Error::malformed(WHAT, "its version is not 3"));
    }
    let mut info = pfx.nested()?;
    if info.oid()? != DATA {
        return Err(Error::unsupported("a PFX protected by a public key"));
    }
    let safes = Fields::new(WHAT, info.take(CONTEXT)?)?.take(OCTET_STRING)?;
    if let Some(mac) = pfx.take_if(SEQUENCE)? {
        check_mac(mac, safes, password, budget)?;
    }
    let mut contents = Contents::default();
    let mut safes = Fields::sequence(WHAT, safes)?;
    while !safes.is_empty() {
        let mut info = safes.nested()?;
        let kind = info.oid()?;
        let mut content = Fields::new(WHAT, info.take(CONTEXT)?)?;
        if kind == DATA {
            read_bags(content.take(OCTET_STRING)?, password, budget, MAX_DEPTH, &mut contents)?;
        } else if kind == ENCRYPTED_DATA {
            let mut encrypted = content.nested()?;
            encrypted.take(INTEGER)?;
            let mut info = encrypted.nested()?;
            info.oid()?;
            let algorithm = info.raw()?;
            let bags = pbe::decrypt(algorithm, info.take(ENCRYPTED_CONTENT)?, password, budget)?;
            read_bags(&bags, password, budget, MAX_DEPTH, &mut contents)
                .map_err(|error| garbled(error, &bags))?;
        } else {
            return Err(Error::unsupported("a part of a PFX protected by a public key"));
        }
    }
    Ok(contents)
}

/// A wrong password passes for a right one in 1 of 256 cases; what comes out is no structure then.
fn garbled(error: Error, bags: &[u8]) -> Error {
    if Fields::sequence(WHAT, bags).is_err() { Error::Password { what: WHAT } } else { error }
}

fn check_mac(mac: &[u8], safes: &[u8], password: &Password, budget: &mut Budget) -> Result<()> {
    let mut mac = Fields::new(WHAT, mac)?;
    let mut info = mac.nested()?;
    let digest = info.nested()?.oid()?;
    let stored = info.take(OCTET_STRING)?;
    let salt = mac.take(OCTET_STRING)?;
    let rounds = if mac.is_empty() { 1 } else { mac.small()? };
    budget.spend(rounds)?;
    let Some(computed) = pbe::mac(&digest, password, salt, rounds, safes) else {
        return Err(Error::unsupported(format!("a PFX with a MAC of {digest}")));
    };
    if computed == stored { Ok(()) } else { Err(Error::Password { what: WHAT }) }
}

fn read_bags(
    bags: &[u8],
    password: &Password,
    budget: &mut Budget,
    depth: usize,
    contents: &mut Contents,
) -> Result<()> {
    let mut bags = Fields::sequence(WHAT, bags)?;
    while !bags.is_empty() {
        let mut bag = bags.nested()?;
        let kind = bag.oid()?;
        let value = bag.take(CONTEXT)?;
        if kind == KEY_BAG {
            contents.key(PrivateKey::from_der(value))?;
        } else if kind == SHROUDED_KEY_BAG {
            contents.key(read_shrouded_key(value, password, budget))?;
        } else if kind == CERTIFICATE_BAG {
            let mut certificate = Fields::sequence(WHAT, value)?;
            if certificate.oid()? == X509 {
                let der = Fields::new(WHAT, certificate.take(CONTEXT)?)?.take(OCTET_STRING)?;
                match Certificate::from_der(der) {
                    Ok(certificate) => contents.certificates.push(certificate),
                    Err(error) => contents.skipped.push(error),
                }
            }
        } else if kind == NESTED_BAG && depth > 0 {
            read_bags(value, password, budget, depth - 1, contents)?;
        }
    }
    Ok(())
}

impl Contents {
    /// Takes a key, or notes that it is there but cannot be used; a wrong password is no such thing.
    fn key(&mut self, key: Result<PrivateKey>) -> Result<()> {
        match key {
            Ok(key) => self.keys.push(key),
            Err(error @ Error::Password { .. }) => return Err(error),
            Err(error) => self.skipped.push(error),
        }
        Ok(())
    }
}

/// A private key under a password: EncryptedPrivateKeyInfo of PKCS#8, in DER.
pub(crate) fn read_shrouded_key(
    bytes: &[u8],
    password: &Password,
    budget: &mut Budget,
) -> Result<PrivateKey> {
    let mut key = Fields::sequence("private key under a password", bytes)?;
    let algorithm = key.raw()?;
    let plain = pbe::decrypt(algorithm, key.take(OCTET_STRING)?, password, budget)?;
    PrivateKey::from_der(&plain).map_err(|error| garbled(error, &plain))
}

/// How a PFX is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PfxProtection {
    /// PBES2: PBKDF2 with HMAC-SHA-256, AES-256; the MAC is SHA-256. For Windows 10 (1709) and Server 2019 on.
    #[default]
    Aes256,
    /// SHA-1 and 3DES; the MAC is SHA-1. For every Windows.
    TripleDes,
}

/// Writes a PFX with these keys and their certificates.
///
/// # Errors
/// There is no identity, or the random source failed.
pub fn write_pfx(identities: &[Identity], password: &str, protection: PfxProtection) -> Result<Vec<u8>> {
    if identities.is_empty() {
        return Err(Error::NoKeys);
    }
    let password = Password::new(Some(password));
    let rounds = rounds_for(identities.len());
    let (mut keys, mut certificates) = (Vec::new(), Vec::new());
    for (index, identity) in identities.iter().enumerate() {
        let attributes = attributes(index, identity.certificate.as_ref());
        let (algorithm, encrypted) = protect(&identity.key.to_pkcs8(), &password, protection, rounds)?;
        let key = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[&encrypted])]);
        keys.extend(tlv(SEQUENCE, &[&oid(&SHROUDED_KEY_BAG), &tlv(CONTEXT, &[&key]), &attributes]));
        if let Some(certificate) = &identity.certificate {
            let content = tlv(CONTEXT, &[&tlv(OCTET_STRING, &[certificate.as_der()])]);
            let content = tlv(CONTEXT, &[&tlv(SEQUENCE, &[&oid(&X509), &content])]);
            certificates.extend(tlv(SEQUENCE, &[&oid(&CERTIFICATE_BAG), &content, &attributes]));
        }
    }
    let mut safes = data(&tlv(SEQUENCE, &[&keys]));
    if !certificates.is_empty() {
        let (algorithm, encrypted) =
            protect(&tlv(SEQUENCE, &[&certificates]), &password, protection, rounds)?;
        let info = tlv(SEQUENCE, &[&oid(&DATA), &algorithm, &tlv(ENCRYPTED_CONTENT, &[&encrypted])]);
        let content = tlv(CONTEXT, &[&tlv(SEQUENCE, &[&[INTEGER, 1, 0], &info])]);
        safes.extend(tlv(SEQUENCE, &[&oid(&ENCRYPTED_DATA), &content]));
    }
    let safes = tlv(SEQUENCE, &[&safes]);
    let digest = match protection {
        PfxProtection::Aes256 => SHA256,
        PfxProtection::TripleDes => SHA1,
    };
    let mut salt = [0; 16];
    random(&mut salt)?;
    let mac = pbe::mac(&digest, &password, &salt, rounds, &safes).ok_or(Error::Crypto("the MAC"))?;
    let info = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid(&digest), &[NULL, 0]]), &tlv(OCTET_STRING, &[&mac])]);
    let rounds = asn1::unsigned(&rounds.to_be_bytes());
    let mac = tlv(SEQUENCE, &[&info, &tlv(OCTET_STRING, &[&salt]), &rounds]);
    Ok(tlv(SEQUENCE, &[&[INTEGER, 1, 3], &data(&safes), &mac]))
}

/// As many rounds for each part as a reader with our limits takes, for many keys too: half of what it takes, since it
/// may try two spellings of no password.
fn rounds_for(keys: usize) -> u32 {
    // Each key, the certificates and the MAC.
    let parts = u32::try_from(keys).unwrap_or(u32::MAX).saturating_add(2);
    ROUNDS.min(pbe::MAX_ROUNDS / 2 / parts).max(1)
}

fn data(content: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(&DATA), &tlv(CONTEXT, &[&tlv(OCTET_STRING, &[content])])])
}

/// A name for people, and the number by which key and certificate find each other.
fn attributes(index: usize, certificate: Option<&Certificate>) -> Vec<u8> {
    let attribute = |id, value: &[u8]| tlv(SEQUENCE, &[&oid(&id), &tlv(SET, &[value])]);
    let mut all = attribute(LOCAL_KEY_ID, &tlv(OCTET_STRING, &[&(index as u32 + 1).to_le_bytes()]));
    if let Some(name) = certificate.and_then(Certificate::common_name) {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let name = attribute(FRIENDLY_NAME, &tlv(BMP_STRING, &[&wide]));
        // A SET is sorted by its bytes, and with that by length.
        if name < all {
            all.splice(0..0, name).for_each(drop);
        } else {
            all.extend(name);
        }
    }
    tlv(SET, &[&all])
}

/// Encrypts, and gives the AlgorithmIdentifier too.
fn protect(
    plain: &[u8],
    password: &Password,
    protection: PfxProtection,
    rounds: u32,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let failed = || Error::Crypto("encryption");
    let mut salt = [0; 16];
    random(&mut salt)?;
    match protection {
        PfxProtection::Aes256 => {
            let mut iv = [0; 16];
            random(&mut iv)?;
            let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(rounds, &salt, iv)
                .map_err(|_| failed())?;
            let encrypted = parameters.encrypt(password.utf8(), plain).map_err(|_| failed())?;
            let parameters = parameters.to_der().map_err(|_| failed())?;
            Ok((tlv(SEQUENCE, &[&oid(&pbes2::PBES2_OID), &parameters]), encrypted))
        }
        PfxProtection::TripleDes => {
            let encrypted = pbe::encrypt_3des(plain, password, &salt, rounds)?;
            let rounds = asn1::unsigned(&rounds.to_be_bytes());
            let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[&salt]), &rounds]);
            Ok((tlv(SEQUENCE, &[&oid(&pbe::id_3des()), &parameters]), encrypted))
        }
    }
}
