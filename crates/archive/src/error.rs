//! The one error of this crate: where in the archive, in which entry, what is wrong, and what to do.

use std::borrow::Cow;
use std::fmt;
use std::io;

use ntbak_wire::Win32Error;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with its place.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    offset: u64,
    path: Option<Vec<u8>>,
    problem: Problem,
}

/// What is wrong at the place of an [`Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Reading or writing failed.
    #[error("{doing}: {error}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The archive ends inside of something.
    #[error("the archive ends inside of {what}: it was cut off; what came before is good")]
    Truncated {
        /// What is cut.
        what: &'static str,
    },
    /// Bytes that are not what the format says.
    #[error("{what}: {why}")]
    Malformed {
        /// The field or structure.
        what: &'static str,
        /// Why it is not one.
        why: Cow<'static, str>,
    },
    /// More than the budget for it ([`Limits`](crate::Limits)).
    #[error("{what} of {found}, at most {limit} are taken")]
    TooLarge {
        /// What it is, with its unit.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is taken.
        limit: u64,
    },
    /// A good file of another kind, or of a later version.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
    /// Records that an archive cannot hold in this order, or contradict each other.
    #[error("{0}")]
    Records(Cow<'static, str>),
}

impl Error {
    pub(crate) fn new(offset: u64, problem: Problem) -> Self {
        Self(Box::new(Inner { offset, path: None, problem }))
    }

    pub(crate) fn io(offset: u64, doing: &'static str, error: io::Error) -> Self {
        Self::new(offset, Problem::Io { doing, error })
    }

    pub(crate) fn malformed(offset: u64, what: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(offset, Problem::Malformed { what, why: why.into() })
    }

    pub(crate) fn truncated(offset: u64, what: &'static str) -> Self {
        Self::new(offset, Problem::Truncated { what })
    }

    pub(crate) fn too_large(offset: u64, what: &'static str, found: u64, limit: u64) -> Self {
        Self::new(offset, Problem::TooLarge { what, found, limit })
    }

    pub(crate) fn records(offset: u64, why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(offset, Problem::Records(why.into()))
    }

    /// The same failure in this entry, unless it has one already.
    pub(crate) fn in_entry(mut self, path: &[u8]) -> Self {
        self.0.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Where: bytes from the start of the archive, uncompressed.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// The path of the entry, as far as it is known.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.0.path.as_deref()
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// The Win32 error number for this fault. Total: every error has one. Which fault gives which is our choice.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match &self.0.problem {
            Problem::Io { error, .. } => match error.kind() {
                io::ErrorKind::StorageFull => Win32Error::DISK_FULL,
                io::ErrorKind::PermissionDenied => Win32Error::ACCESS_DENIED,
                io::ErrorKind::InvalidData => Win32Error::INVALID_DATA,
                io::ErrorKind::UnexpectedEof => Win32Error::HANDLE_EOF,
                _ => Win32Error::IO_DEVICE,
            },
            Problem::Truncated { .. } => Win32Error::HANDLE_EOF,
            Problem::Malformed { .. } | Problem::TooLarge { .. } => Win32Error::INVALID_DATA,
            Problem::Unsupported(_) => Win32Error::NOT_SUPPORTED,
            Problem::Records(_) => Win32Error::INVALID_PARAMETER,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archive at byte {}", self.0.offset)?;
        if let Some(path) = &self.0.path {
            write!(f, ", entry {}", String::from_utf8_lossy(path))?;
        }
        write!(f, ": {}", self.0.problem)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.problem {
            Problem::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
