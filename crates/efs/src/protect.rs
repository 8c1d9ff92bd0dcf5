//! Who can open a file: new metadata, and users that come and go.

use md5::{Digest, Md5};
use ntbak_wire::Name;
use ntbak_wire::efs::v1::{Builder, NewEntry};
use ntbak_wire::efs::{HolderKind, Metadata};
use ntbak_wire::object_id::Guid;
use ntbak_wire::security::SidBuf;

use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::fek::{Algorithm, Fek};
use crate::ring::wrap;

/// Zeros that Windows leaves behind the users when there are no recovery agents.
const TAIL: usize = 4;

/// Someone who shall be able to open a file.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The certificate; its RSA key wraps the file's key.
    pub certificate: Certificate,
    /// A name for people; [`Certificate::display_name`] unless told otherwise.
    pub display: Option<Name>,
    /// The account. Windows has it for the owner only.
    pub sid: Option<SidBuf>,
    /// Key container and provider. Windows has them for the owner only.
    pub container: Option<(Name, Name)>,
}

impl Recipient {
    /// The owner of this certificate, with what Windows stores for an added user: thumbprint and name.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        let display = certificate.display_name();
        Self { certificate, display, sid: None, container: None }
    }

    fn add_to(&self, builder: &mut Builder, kind: HolderKind, fek: &Fek) -> Result<()> {
        let key = self.certificate.public_key();
        let key = key.ok_or_else(|| Error::unsupported("a certificate whose key is not RSA"))?;
        builder.add(
            kind,
            &NewEntry {
                thumbprint: self.certificate.thumbprint(),
                encrypted_fek: &wrap(fek, key)?,
                display: self.display.as_ref(),
                container: self.container.as_ref().map(|(container, provider)| (container, provider)),
                sid: self.sid.as_ref().map(SidBuf::as_sid),
            },
        );
        Ok(())
    }
}

/// Metadata for a file under `fek`: version 1, EFS_Version 2 as Windows 10 writes it for RSA keys, or 1 for DESX. `id` is a
/// GUID of the computer.
///
/// # Errors
/// No user (Win32 error 6008), a certificate that is not RSA (50), or more than 262,144 bytes (6013).
pub fn protect(fek: &Fek, users: &[Recipient], agents: &[Recipient], id: Guid) -> Result<Vec<u8>> {
    let version = if fek.algorithm() == Algorithm::Desx { 1 } else { 2 };
    let mut builder = Builder::new(version, id).with_tail(if agents.is_empty() { TAIL } else { 0 });
    for (kind, recipients) in [(HolderKind::User, users), (HolderKind::RecoveryAgent, agents)] {
        let mut seen = Vec::new();
        for recipient in recipients {
            let thumbprint = recipient.certificate.thumbprint();
            if !seen.contains(&thumbprint) {
                recipient.add_to(&mut builder, kind, fek)?;
                seen.push(thumbprint);
            }
        }
    }
    Ok(builder.build()?)
}

/// Metadata with one more user. A user who is there already is not added again. All other entries stay as they are, byte
/// for byte.
///
/// # Errors
/// Metadata of another version than 1 (Win32 error 6016), or what [`protect`] gives.
pub fn add_user(metadata: &[u8], fek: &Fek, user: &Recipient) -> Result<Vec<u8>> {
    let parsed = Metadata::parse(metadata)?;
    let Metadata::V1(view) = parsed else { return Err(Error::Version(parsed.version())) };
    let thumbprint = &user.certificate.thumbprint()[..];
    if view.users.iter().any(|entry| entry.thumbprint() == Some(thumbprint)) {
        return Ok(metadata.to_vec());
    }
    let mut builder = view.to_builder();
    user.add_to(&mut builder, HolderKind::User, fek)?;
    finish(builder, view.hash)
}

/// Metadata without the user of this certificate. Someone who is no user is taken away with success. The content stays
/// under its key, so whoever knows the key already can still read it.
///
/// # Errors
/// It is the last user (Win32 error 87), or metadata of another version than 1 (6016).
pub fn remove_user(metadata: &[u8], thumbprint: &[u8]) -> Result<Vec<u8>> {
    let parsed = Metadata::parse(metadata)?;
    let Metadata::V1(view) = parsed else { return Err(Error::Version(parsed.version())) };
    let mut builder = view.to_builder();
    if builder.remove(HolderKind::User, thumbprint) == 0 {
        return Ok(metadata.to_vec());
    }
    if builder.users() == 0 {
        return Err(Error::LastUser);
    }
    finish(builder, view.hash)
}

/// The same metadata with the EFS_Hash that Windows 2000 wants, the MD5 of all of it; everything since ignores it.
///
/// # Errors
/// Metadata of another version than 1 (Win32 error 6016).
pub fn with_windows_2000_hash(metadata: &[u8]) -> Result<Vec<u8>> {
    let parsed = Metadata::parse(metadata)?;
    let Metadata::V1(view) = parsed else { return Err(Error::Version(parsed.version())) };
    hashed(view.to_builder())
}

fn finish(builder: Builder, hash: [u8; 16]) -> Result<Vec<u8>> {
    if hash == [0; 16] { Ok(builder.build()?) } else { hashed(builder) }
}

fn hashed(mut builder: Builder) -> Result<Vec<u8>> {
    builder.set_hash([0; 16]);
    builder.set_hash(Md5::digest(builder.build()?).0);
    Ok(builder.build()?)
}
