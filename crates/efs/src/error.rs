//! The one error of this crate.

use std::borrow::Cow;

use ntbak_wire::{Error as WireError, Win32Error};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a key cannot be read, or a file's key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Metadata that are not what their format says.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A key file or certificate that is not what its format says.
    #[error("{what}: {why}")]
    Malformed {
        /// The kind of file, or the part of it.
        what: &'static str,
        /// What is wrong.
        why: Cow<'static, str>,
    },
    /// The password does not open the key file.
    #[error("the password does not open the {what}; give the one it was exported with")]
    Password {
        /// The kind of file.
        what: &'static str,
    },
    /// Legal, but nothing that this crate can do.
    #[error("{what} is not supported{hint}")]
    Unsupported {
        /// What it is.
        what: Cow<'static, str>,
        /// What to do instead; empty, or begins with `; `.
        hint: &'static str,
    },
    /// The key ring has no key at all.
    #[error("there is no key; give a PFX or PEM file of a user or recovery agent of the file")]
    NoKeys,
    /// No key of the ring is among those that the file is encrypted for.
    #[error("none of the keys ({keys}) is one of those that the file is encrypted for ({holders})")]
    NoMatch {
        /// Keys in the ring.
        keys: usize,
        /// Users and recovery agents of the file.
        holders: usize,
    },
    /// A key of the ring is one of the file's, but what is stored for it cannot be unwrapped.
    #[error("a key matches, but the file encryption key stored for it is damaged: {why}")]
    Unwrap {
        /// What is wrong.
        why: &'static str,
    },
    /// The metadata are of a version whose files nobody outside of Windows can decrypt.
    #[error("EFS version {0} cannot be decrypted: how it protects the content is not published")]
    Version(u32),
    /// The last user of a file is to be removed.
    #[error("a file needs a user: the last one cannot be removed")]
    LastUser,
    /// Content that does not begin or end at a sector.
    #[error("{what} is {found}, not a multiple of 512")]
    Unaligned {
        /// Offset or length.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// The random source or the RSA operation failed.
    #[error("{0} failed")]
    Crypto(&'static str),
}

impl Error {
    pub(crate) fn malformed(what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed { what, why: why.into() }
    }

    pub(crate) fn unsupported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { what: what.into(), hint: "" }
    }

    /// The Win32 error number for this failure. Total: every error has one. Which failure gives which number is our
    /// choice, since Windows documents none.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match self {
            Self::Wire(error) => error.win32(),
            Self::Malformed { .. } => Win32Error::INVALID_DATA,
            Self::Password { .. } => Win32Error::INVALID_PASSWORD,
            Self::Unsupported { .. } => Win32Error::NOT_SUPPORTED,
            Self::NoKeys => Win32Error::NO_USER_KEYS,
            Self::NoMatch { .. } => Win32Error::FILE_ENCRYPTED,
            Self::Unwrap { .. } => Win32Error::DECRYPTION_FAILED,
            Self::Version(_) => Win32Error::EFS_VERSION_NOT_SUPPORT,
            Self::LastUser | Self::Unaligned { .. } => Win32Error::INVALID_PARAMETER,
            Self::Crypto(_) => Win32Error::ENCRYPTION_FAILED,
        }
    }
}
