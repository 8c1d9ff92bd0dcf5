//! EFS metadata, the value of the `$EFS` attribute: which version, and who can open the file.
//!
//! | first bytes | layout | written by |
//! | --- | --- | --- |
//! | EFS_Version (u32 at 8) 1 to 3 | [`v1`] | Windows 2000 on, for RSA keys |
//! | EFS_Version 4, 5 | [`v2`] | Windows 7 on, when a key on an elliptic curve is involved |
//! | `.pfile` | [`v3`] | Windows 10 on, for rights management |
//!
//! Source: \[MS-EFSR\] 2.2.2.

use std::fmt;

use super::{v1, v2, v3};
use crate::bytes::u32_at;
use crate::error::{Error, Format, Result};
use crate::name::Name;
use crate::security::SidBuf;

/// The least size of metadata in bytes: ntfs.sys does not survive a `$EFS` of 0x54 bytes or less.
pub const MIN_METADATA: usize = 0x55;
/// The most: 262,144 bytes (\[MS-EFSR\] notes <7> and <14>).
pub const MAX_METADATA: usize = 0x4_0000;

/// A view over metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metadata<'a> {
    /// EFS_Version 1 to 3.
    V1(v1::Metadata<'a>),
    /// EFS_Version 4 and 5.
    V2(v2::Metadata<'a>),
    /// `.pfile`.
    V3(v3::Metadata<'a>),
    /// Any other EFS_Version. Kept as it is; nobody knows what is in it.
    Unknown(u32),
}

impl<'a> Metadata<'a> {
    /// Reads metadata.
    ///
    /// # Errors
    /// A size outside of the limits or other than the bytes say, offsets that leave the metadata, lists that do not end
    /// (Win32 error 6008).
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        check_len(bytes)?;
        if bytes.starts_with(v3::MAGIC) {
            return v3::Metadata::parse(bytes).map(Self::V3);
        }
        match u32_at(bytes, 8).unwrap_or_default() {
            1..=3 => v1::Metadata::parse(bytes).map(Self::V1),
            4 | 5 => v2::Metadata::parse(bytes).map(Self::V2),
            other => Ok(Self::Unknown(other)),
        }
    }

    /// EFS_Version: 1 to 5 as stored, 6 for `.pfile`.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self::V1(metadata) => metadata.version,
            Self::V2(metadata) => metadata.version,
            Self::V3(_) => 6,
            Self::Unknown(version) => *version,
        }
    }

    /// Everyone who can open the file: users first, then recovery agents, in the order in which they are stored. Empty for
    /// `.pfile` (a licence server knows) and for unknown versions.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        match self {
            Self::V1(metadata) => metadata.holders(),
            Self::V2(metadata) => metadata.holders(),
            Self::V3(_) | Self::Unknown(_) => Vec::new(),
        }
    }
}

/// Checks the size of metadata against the limits and against what they say of themselves; all that may be asked of
/// metadata whose version is not known.
///
/// # Errors
/// Fewer than 0x55 or more than 262,144 bytes, or a Length field that is not the number of bytes.
pub fn check_len(bytes: &[u8]) -> Result<()> {
    let size = bytes.len() as u64;
    if !(MIN_METADATA..=MAX_METADATA).contains(&bytes.len()) {
        return Err(fault(0, "size", size, "0x55 to 0x40000 bytes"));
    }
    match u32_at(bytes, 0) {
        _ if bytes.starts_with(v3::MAGIC) => Ok(()),
        Some(length) if u64::from(length) == size => Ok(()),
        length => Err(fault(0, "Length", length.unwrap_or_default().into(), "the number of bytes there")),
    }
}

/// Someone who can open the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// User or recovery agent.
    pub kind: HolderKind,
    /// SHA-1 of the certificate in DER, what keys are found by; 20 bytes as a rule.
    pub thumbprint: Option<Vec<u8>>,
    /// A name for people, `user(user@HOST)` as a rule.
    pub display: Option<Name>,
    /// The key container on the machine of the owner.
    pub container: Option<Name>,
    /// The cryptographic provider of that container.
    pub provider: Option<Name>,
    /// The account.
    pub sid: Option<SidBuf>,
    /// How the file's key is wrapped.
    pub wrapping: Wrapping,
}

/// What a [`Holder`] is to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HolderKind {
    /// A user: in the data decryption field (DDF).
    #[default]
    User,
    /// A recovery agent: in the data recovery field (DRF).
    RecoveryAgent,
}

/// How the file's key is wrapped for a [`Holder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Wrapping {
    /// With the RSA key of the certificate.
    #[default]
    Rsa,
    /// With AES-256, by a signature that only the smart card can make (Vista on).
    SmartCard,
    /// With a key agreed on an elliptic curve (version 2).
    KeyAgreement,
    /// With DPAPI-NG (version 2, EFS_Version 5).
    DpapiNg,
    /// With something else; the number as it is stored.
    Unknown(u32),
}

impl fmt::Display for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa => f.write_str("RSA"),
            Self::SmartCard => f.write_str("smart card (AES-256)"),
            Self::KeyAgreement => f.write_str("key agreement (ECDH)"),
            Self::DpapiNg => f.write_str("DPAPI-NG"),
            Self::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}

pub(super) fn fault(offset: u64, what: &'static str, found: u64, expected: &'static str) -> Error {
    Error::value(Format::EfsMetadata, offset, what, found, expected)
}

/// The UTF-16 string at the front of `bytes`, up to a NUL or the end.
pub(super) fn string(bytes: &[u8]) -> Name {
    let units = crate::bytes::utf16_units(bytes).take_while(|unit| *unit != 0);
    Name::from_units(units.collect())
}
