//! The keys at hand, and which of them opens a file.

use std::sync::Arc;

use ntbak_wire::efs::v1::Entry;
use ntbak_wire::efs::{HolderKind, Metadata, Wrapping};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::fek::Fek;
use crate::identity::Identity;
use crate::pbe::{Budget, Password};
use crate::rsa::{PrivateKey, PublicKey};
use crate::{pem, pfx};

/// Private keys of users and recovery agents.
///
/// A file's key is found by the SHA-1 of the certificate, among users *and* recovery agents alike. Keys without a certificate
/// are tried on every entry.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    identities: Vec<Identity>,
    /// Certificates without a key; one of a bare key may come later, or from another file.
    certificates: Vec<Certificate>,
}

/// What a key file gave.
#[derive(Debug, Default)]
pub struct Added {
    /// Keys that are new in the ring.
    pub keys: usize,
    /// Certificates in the file.
    pub certificates: usize,
    /// Keys and certificates that are in the file and cannot be used, with the reason.
    pub skipped: Vec<Error>,
}

/// A file's key, and whose key opened it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The file encryption key.
    pub fek: Fek,
    /// User or recovery agent.
    pub kind: HolderKind,
    /// SHA-1 of the certificate of the entry that was opened.
    pub thumbprint: Vec<u8>,
}

impl KeyRing {
    /// A ring without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys, in the order in which they came.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// Adds a key; one that is there already is not added again, but may get its certificate.
    pub fn add(&mut self, identity: Identity) -> bool {
        if let Some(certificate) = &identity.certificate {
            self.pair(certificate);
        }
        let same = |mine: &Identity| {
            mine.key.public() == identity.key.public()
                && (identity.certificate.is_none() || mine.certificate == identity.certificate)
        };
        if self.identities.iter().any(same) {
            return false;
        }
        self.identities.push(identity);
        true
    }

    /// Adds all keys of a key file: PFX; PEM with keys, keys under a password and certificates; a key or certificate in
    /// DER. A PFX may have no password (`None`), which is not the same as an empty one.
    ///
    /// # Errors
    /// It is none of them, the password is wrong, or nothing in it can be used.
    pub fn add_file(&mut self, bytes: &[u8], password: Option<&str>) -> Result<Added> {
        let contents = if pfx::is_pfx(bytes) {
            pfx::read(bytes, password)?
        } else {
            let blocks = pem::blocks(bytes)?;
            if blocks.is_empty() { read_der(bytes, password)? } else { read_pem(&blocks, password)? }
        };
        let mut added = Added { certificates: contents.certificates.len(), ..Added::default() };
        for key in contents.keys {
            let key = Arc::new(key);
            let known = contents.certificates.iter().chain(&self.certificates);
            let mine: Vec<Certificate> =
                known.filter(|certificate| certificate.public_key() == Some(key.public())).cloned().collect();
            // One key may have several certificates, each with a thumbprint of its own.
            if mine.is_empty() {
                added.keys += usize::from(self.add(Identity { key, certificate: None }));
                continue;
            }
            for certificate in mine {
                let identity = Identity { key: Arc::clone(&key), certificate: Some(certificate) };
                added.keys += usize::from(self.add(identity));
            }
        }
        for certificate in &contents.certificates {
            self.pair(certificate);
            self.certificates.push(certificate.clone());
        }
        added.skipped = contents.skipped;
        match added.skipped.first() {
            Some(error) if added.keys == 0 && added.certificates == 0 => Err(error.clone()),
            _ => Ok(added),
        }
    }

    /// Gives a bare key its certificate.
    fn pair(&mut self, certificate: &Certificate) {
        for identity in &mut self.identities {
            if identity.certificate.is_none() && certificate.public_key() == Some(identity.key.public()) {
                identity.certificate = Some(certificate.clone());
            }
        }
    }

    /// Unwraps the key of a file.
    ///
    /// Every entry that a key matches is tried until one opens: users first, then recovery agents.
    ///
    /// # Errors
    /// No key (Win32 error 6006), none that matches (6002), a match that is damaged (6001), or wrapped by a smart card
    /// (50), metadata of version 2, 3 or unknown (6016).
    pub fn open(&self, metadata: &Metadata<'_>) -> Result<Opened> {
        let Metadata::V1(metadata) = metadata else { return Err(Error::Version(metadata.version())) };
        if self.identities.is_empty() {
            return Err(Error::NoKeys);
        }
        let users = metadata.users.iter().map(|entry| (HolderKind::User, entry));
        let agents = metadata.agents.iter().map(|entry| (HolderKind::RecoveryAgent, entry));
        let entries: Vec<_> = users.chain(agents).collect();
        let mut failure: Option<Error> = None;
        for bare in [false, true] {
            for (kind, entry) in &entries {
                for identity in &self.identities {
                    let is_match = match &identity.certificate {
                        Some(certificate) => !bare && entry.thumbprint() == Some(certificate.thumbprint()),
                        None => bare,
                    };
                    if !is_match {
                        continue;
                    }
                    match unwrap(entry, &identity.key) {
                        Ok(fek) => {
                            let thumbprint = entry.thumbprint().unwrap_or_default().to_vec();
                            return Ok(Opened { fek, kind: *kind, thumbprint });
                        }
                        // A bare key that does not open an entry is as good as no match.
                        Err(_) if bare => {}
                        Err(error) => failure = Some(failure.unwrap_or(error)),
                    }
                }
            }
        }
        let none = || Error::NoMatch { keys: self.identities.len(), holders: entries.len() };
        Err(failure.unwrap_or_else(none))
    }
}

fn read_pem(blocks: &[pem::Block], password: Option<&str>) -> Result<pfx::Contents> {
    let mut contents = pfx::Contents::default();
    let mut budget = Budget::new();
    for block in blocks {
        let key = if block.is_certificate() {
            contents.certificates.push(Certificate::from_der(&block.content)?);
            continue;
        } else if block.is_key() {
            PrivateKey::from_der(&block.content)
        } else if block.is_encrypted_key() {
            pfx::read_shrouded_key(&block.content, &Password::new(password), &mut budget)
        } else {
            Err(Error::unsupported(format!("PEM of a {}", block.label)))
        };
        match key {
            Ok(key) => contents.keys.push(key),
            Err(error @ Error::Password { .. }) => return Err(error),
            Err(error) => contents.skipped.push(error),
        }
    }
    Ok(contents)
}

fn read_der(bytes: &[u8], password: Option<&str>) -> Result<pfx::Contents> {
    let mut contents = pfx::Contents::default();
    if let Ok(key) = PrivateKey::from_der(bytes) {
        contents.keys.push(key);
    } else if let Ok(certificate) = Certificate::from_der(bytes) {
        contents.certificates.push(certificate);
    } else {
        match pfx::read_shrouded_key(bytes, &Password::new(password), &mut Budget::new()) {
            Ok(key) => contents.keys.push(key),
            Err(error @ (Error::Password { .. } | Error::Unsupported { .. })) => return Err(error),
            Err(_) => {
                return Err(Error::malformed("key file", "it is neither PFX, PEM, a key nor a certificate"));
            }
        }
    }
    Ok(contents)
}

/// Unwraps the key of one entry.
///
/// # Errors
/// [`Error::Unwrap`] when the RSA key does not fit or the bytes are damaged; [`Error::Unsupported`] for a smart card.
pub fn unwrap(entry: &Entry<'_>, key: &PrivateKey) -> Result<Fek> {
    match entry.wrapping() {
        Wrapping::Rsa => {}
        other => {
            return Err(Error::Unsupported {
                what: format!("a file encryption key wrapped by {other}").into(),
                hint: "; use the key of another user or of a recovery agent",
            });
        }
    }
    // Stored in reverse; some writers leave the zeros of a small number out.
    let mut bytes: Vec<u8> = entry.encrypted_fek.iter().rev().copied().collect();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    let Some(missing) = key.public().len().checked_sub(bytes.len()) else {
        return Err(Error::Unwrap { why: "it is larger than the modulus of the key" });
    };
    bytes.splice(0..0, std::iter::repeat_n(0, missing));
    let Some(plain) = key.decrypt(&bytes) else {
        return Err(Error::Unwrap { why: "the padding is not that of PKCS#1" });
    };
    match Fek::parse(&plain) {
        Err(Error::Malformed { .. }) => {
            Err(Error::Unwrap { why: "what is inside is no file encryption key" })
        }
        other => other,
    }
}

/// Wraps a file's key, as it is stored: in reverse.
///
/// # Errors
/// The key has too few bits, or the random source failed.
pub fn wrap(fek: &Fek, key: &PublicKey) -> Result<Vec<u8>> {
    let plain: Zeroizing<Vec<u8>> = fek.to_bytes();
    let mut wrapped = key.encrypt(&plain)?;
    wrapped.reverse();
    Ok(wrapped)
}
