//! The one error type of this crate: which format, where in it, what is wrong.

use std::fmt;

use crate::win32::Win32Error;

/// The result of parsing or building a format of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes (or text) that are not what their format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{format} at byte {offset}: {problem}")]
pub struct Error {
    /// The format that was being read or written.
    pub format: Format,
    /// Where the fault is: bytes from the start of that format's input, or characters for SDDL text.
    pub offset: u64,
    /// What is wrong there.
    pub problem: Problem,
}

/// The formats that an [`Error`] can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A backup stream (`WIN32_STREAM_ID`).
    BackupStream,
    /// The name of an alternate data stream.
    StreamName,
    /// A security descriptor, or an ACL, ACE or SID in it.
    Security,
    /// Security descriptor text (SDDL).
    Sddl,
    /// A list of extended attributes.
    EaList,
    /// A reparse buffer.
    Reparse,
    /// A `FILE_OBJECTID_BUFFER`.
    ObjectId,
    /// The payload of a LINK stream.
    Link,
    /// A file name.
    Name,
    /// A side file.
    SideFile,
    /// Samba's `security.NTACL`.
    NtAcl,
    /// Samba's `user.DOSATTRIB`.
    DosAttrib,
    /// The EFS raw export format.
    EfsRaw,
    /// EFS metadata: the `$EFS` attribute.
    EfsMetadata,
}

/// What is wrong at the place of an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The input ends inside of something.
    #[error("truncated {what}: {needed} bytes needed, {available} there")]
    Truncated {
        /// The structure that is cut.
        what: &'static str,
        /// Its size in bytes, as far as it is known.
        needed: u64,
        /// How many of them are there.
        available: u64,
    },
    /// A field has a value that its format does not allow.
    #[error("{what} is {found:#x}, expected {expected}")]
    Value {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What the format allows.
        expected: &'static str,
    },
    /// Legal, but nothing that ntbak could apply.
    #[error("{what} cannot be applied")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// Something to be written that its format has no room for.
    #[error("{what} would have {size} bytes, at most {limit} fit")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The size it would have.
        size: u64,
        /// The most that fits.
        limit: u64,
    },
    /// A name that its format does not allow.
    #[error("{what}: {why}")]
    Name {
        /// What kind of name.
        what: &'static str,
        /// Why it is not allowed.
        why: &'static str,
    },
    /// Text that does not follow its grammar.
    #[error("{expected} expected")]
    Syntax {
        /// What should have stood there.
        expected: &'static str,
    },
}

impl Error {
    pub(crate) fn truncated(
        format: Format,
        offset: u64,
        what: &'static str,
        needed: u64,
        available: u64,
    ) -> Self {
        Self { format, offset, problem: Problem::Truncated { what, needed, available } }
    }

    pub(crate) fn value(
        format: Format,
        offset: u64,
        what: &'static str,
        found: u64,
        expected: &'static str,
    ) -> Self {
        Self { format, offset, problem: Problem::Value { what, found, expected } }
    }

    pub(crate) fn name(format: Format, offset: u64, what: &'static str, why: &'static str) -> Self {
        Self { format, offset, problem: Problem::Name { what, why } }
    }

    /// The error with its offset moved by `base` bytes, for a structure that lies inside another.
    #[must_use]
    pub fn at(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }

    /// The Win32 error number for this fault. Total: every error has one.
    ///
    /// Numbers: facts of the Win32 headers; which fault gives which number is our choice, since Windows documents
    /// none for malformed backup streams.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match (self.format, &self.problem) {
            (Format::EfsRaw | Format::EfsMetadata, Problem::Unsupported { .. }) => {
                Win32Error::EFS_VERSION_NOT_SUPPORT
            }
            (Format::EfsRaw | Format::EfsMetadata, Problem::TooLarge { .. }) => {
                Win32Error::EFS_ALG_BLOB_TOO_BIG
            }
            // The only number whose text is made for it; [MS-EFSR] 2.2.3 says to abort and gives none.
            (Format::EfsRaw | Format::EfsMetadata, _) => Win32Error::NOT_EXPORT_FORMAT,
            (_, Problem::Unsupported { .. }) => Win32Error::NOT_SUPPORTED,
            (_, Problem::TooLarge { .. }) => Win32Error::INVALID_PARAMETER,
            (Format::StreamName | Format::Name, _) => Win32Error::INVALID_NAME,
            (Format::Security | Format::Sddl, _) => Win32Error::INVALID_SECURITY_DESCR,
            (Format::EaList, Problem::Name { .. }) => Win32Error::INVALID_EA_NAME,
            (Format::EaList, _) => Win32Error::EA_LIST_INCONSISTENT,
            (Format::Reparse, Problem::Value { what: "reparse tag", .. }) => Win32Error::REPARSE_TAG_INVALID,
            (Format::Reparse, _) => Win32Error::INVALID_REPARSE_DATA,
            (Format::NtAcl, _) => Win32Error::INVALID_SECURITY_DESCR,
            (_, _) => Win32Error::INVALID_DATA,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackupStream => "backup stream",
            Self::StreamName => "stream name",
            Self::Security => "security descriptor",
            Self::Sddl => "SDDL",
            Self::EaList => "extended attribute list",
            Self::Reparse => "reparse buffer",
            Self::ObjectId => "object id",
            Self::Link => "link target",
            Self::Name => "file name",
            Self::SideFile => "side file",
            Self::NtAcl => "NTACL attribute",
            Self::DosAttrib => "DOSATTRIB attribute",
            Self::EfsRaw => "EFS raw data",
            Self::EfsMetadata => "EFS metadata",
        })
    }
}
