//! The one error type of this crate: where on the volume, what is wrong, what to do.

use std::fmt;
use std::io;
use std::sync::Arc;

use ntbak_wire::Win32Error;

use crate::attribute::AttributeType;

/// The result of reading a volume.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something on a volume that cannot be read, or is not what NTFS says.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

/// A place on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The record of the file that it belongs to, when there is one.
    pub record: Option<u64>,
    /// The structure: `boot sector`, `run list`, `index block`, `$SDS`.
    pub structure: &'static str,
    /// Bytes from the start of that structure.
    pub offset: u64,
}

/// What is wrong at the place of an [`Error`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The image or device cannot be read there.
    #[error("it cannot be read: {0}")]
    Read(#[source] Arc<io::Error>),
    /// The image or device ends before the volume does.
    #[error(
        "the image ends before it: {needed} bytes needed at byte {at} of the volume; get the whole image"
    )]
    ImageEnds {
        /// Where on the volume.
        at: u64,
        /// How many bytes were asked for.
        needed: u64,
    },
    /// A structure is cut.
    #[error("{what} is cut: {needed} bytes needed, {available} there")]
    Truncated {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        needed: u64,
        /// How many of them are there.
        available: u64,
    },
    /// A field has a value that NTFS does not allow.
    #[error("{what} is {found:#x}, expected {expected}")]
    Value {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A record or index block was written only in part: its fixups do not match.
    #[error("it is torn at byte {at}: it was written only in part; salvage mode reads it as it is")]
    Torn {
        /// The first byte of the first piece that does not match.
        at: u64,
    },
    /// A reference to a file that is not there any more.
    #[error("it is not in use as this file (sequence number {found}, expected {expected})")]
    Stale {
        /// The sequence number of the record.
        found: u16,
        /// That of the reference.
        expected: u16,
    },
    /// There is nothing of that name, or with that number.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// A security id that $Secure does not know.
    #[error("its security id {id:#x} is not in $Secure, so its security descriptor is lost")]
    SecurityId {
        /// The id.
        id: u32,
    },
    /// An attribute that the file had is not there.
    #[error("its {kind} is lost: it is not where it should be")]
    Lost {
        /// Which one.
        kind: AttributeType,
    },
    /// Compressed data that are not what their format says.
    #[error("{0}")]
    Compressed(Arc<str>),
    /// Legal, but not to be read here.
    #[error("{what} is not supported: {hint}")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// More than any volume needs: taken for damage, so that memory and time stay bounded.
    #[error("{what} has {found}, more than the {limit} that are read")]
    Limit {
        /// What has too many.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
}

impl Error {
    pub(crate) fn new(structure: &'static str, offset: u64, problem: Problem) -> Self {
        Self { place: Place { record: None, structure, offset }, problem }
    }

    pub(crate) fn value(
        structure: &'static str,
        offset: u64,
        what: &'static str,
        found: u64,
        expected: &'static str,
    ) -> Self {
        Self::new(structure, offset, Problem::Value { what, found, expected })
    }

    pub(crate) fn truncated(
        structure: &'static str,
        offset: u64,
        what: &'static str,
        needed: u64,
        available: u64,
    ) -> Self {
        Self::new(structure, offset, Problem::Truncated { what, needed, available })
    }

    pub(crate) fn not_found(structure: &'static str, what: &'static str) -> Self {
        Self::new(structure, 0, Problem::NotFound { what })
    }

    pub(crate) fn limit(structure: &'static str, what: &'static str, found: u64, limit: u64) -> Self {
        Self::new(structure, 0, Problem::Limit { what, found, limit })
    }

    /// The error as one of this record, unless it names one already.
    #[must_use]
    pub fn in_record(mut self, record: u64) -> Self {
        self.place.record.get_or_insert(record);
        self
    }

    /// The error with its offset moved by `base` bytes, for a structure that lies inside another.
    #[must_use]
    pub(crate) fn at(mut self, base: u64) -> Self {
        self.place.offset = self.place.offset.saturating_add(base);
        self
    }

    /// The Win32 error number for this fault. Total: every error has one; which fault gives which is our choice.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match &self.problem {
            Problem::Read(_) => Win32Error::IO_DEVICE,
            Problem::ImageEnds { .. } => Win32Error::HANDLE_EOF,
            Problem::Torn { .. } | Problem::Lost { .. } | Problem::Compressed(_) => Win32Error::FILE_CORRUPT,
            Problem::Stale { .. } | Problem::NotFound { .. } => Win32Error::FILE_NOT_FOUND,
            Problem::SecurityId { .. } => Win32Error::INVALID_SECURITY_DESCR,
            Problem::Unsupported { .. } => Win32Error::NOT_SUPPORTED,
            Problem::Truncated { .. } | Problem::Value { .. } | Problem::Limit { .. } => {
                if self.place.structure == "boot sector" {
                    UNRECOGNIZED_VOLUME
                } else {
                    Win32Error::FILE_CORRUPT
                }
            }
        }
    }
}

/// `ERROR_UNRECOGNIZED_VOLUME`.
const UNRECOGNIZED_VOLUME: Win32Error = Win32Error(1005);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(record) = self.record {
            write!(f, "record {record}, ")?;
        }
        write!(f, "{} at byte {}", self.structure, self.offset)
    }
}
