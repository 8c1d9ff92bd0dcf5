//! The one error of this crate: which file, which format, where in it, what is wrong, what to do.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ntbak_wire::Win32Error;

use crate::kind::Kind;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be opened or read.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    path: Option<PathBuf>,
    format: Format,
    offset: Option<u64>,
    problem: Problem,
}

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A file or device, whatever is in it.
    File,
    /// A container of this kind.
    Container(Kind),
    /// A partition table: MBR, or the chain of an extended partition.
    Mbr,
    /// A GUID partition table.
    Gpt,
    /// The choice of a partition.
    Partition,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system could not read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file ends inside of something.
    #[error("{what} is cut off: {needed} bytes needed, {available} there; is the file complete?")]
    Truncated {
        /// The structure that is cut.
        what: &'static str,
        /// Its size in bytes.
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
        expected: Cow<'static, str>,
    },
    /// Something whose checksum does not match, and of which there is no good copy.
    #[error("{what}: the checksum does not match")]
    Checksum {
        /// The structure.
        what: &'static str,
    },
    /// Known, legal, and not read by ntbak; the advice says how to get at it.
    #[error("{what}; {advice}")]
    Unsupported {
        /// What it is.
        what: Cow<'static, str>,
        /// What the user can do.
        advice: Cow<'static, str>,
    },
}

impl Error {
    fn new(format: Format, offset: Option<u64>, problem: Problem) -> Self {
        Self(Box::new(Inner { path: None, format, offset, problem }))
    }

    pub(crate) fn io(format: Format, offset: u64, error: io::Error) -> Self {
        // An error of a layer below has its place already.
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::new(format, Some(offset), Problem::Io(error)),
        }
    }

    pub(crate) fn opening(path: &Path, error: io::Error) -> Self {
        Self::new(Format::File, None, Problem::Io(error)).at_path(path)
    }

    pub(crate) fn truncated(
        format: Format,
        offset: u64,
        what: &'static str,
        needed: u64,
        available: u64,
    ) -> Self {
        Self::new(format, Some(offset), Problem::Truncated { what, needed, available })
    }

    pub(crate) fn value(
        format: Format,
        offset: u64,
        what: &'static str,
        found: u64,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(format, Some(offset), Problem::Value { what, found, expected: expected.into() })
    }

    pub(crate) fn checksum(format: Format, offset: u64, what: &'static str) -> Self {
        Self::new(format, Some(offset), Problem::Checksum { what })
    }

    pub(crate) fn unsupported(
        format: Format,
        what: impl Into<Cow<'static, str>>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(format, None, Problem::Unsupported { what: what.into(), advice: advice.into() })
    }

    /// The same failure in this file, unless it names one already.
    #[must_use]
    pub fn at_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path.get_or_insert_with(|| path.as_ref().to_owned());
        self
    }

    /// Takes the path out, for an error that has it by itself.
    pub fn take_path(&mut self) -> Option<PathBuf> {
        self.0.path.take()
    }

    /// The file it is about, when it was opened by path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The format it is about.
    #[must_use]
    pub fn format(&self) -> Format {
        self.0.format
    }

    /// Where in the file the fault is, in bytes, if it has a place.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// What the user can do, when there is something.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match &self.0.problem {
            Problem::Unsupported { advice, .. } => Some(advice),
            _ => None,
        }
    }

    /// The Win32 error number for this fault. Total: every error has one. Which fault gives which number is our choice.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match &self.0.problem {
            Problem::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => Win32Error::FILE_NOT_FOUND,
                io::ErrorKind::PermissionDenied => Win32Error::ACCESS_DENIED,
                io::ErrorKind::OutOfMemory => Win32Error::OUTOFMEMORY,
                io::ErrorKind::UnexpectedEof => Win32Error::HANDLE_EOF,
                io::ErrorKind::InvalidData => Win32Error::INVALID_DATA,
                _ => Win32Error::IO_DEVICE,
            },
            Problem::Truncated { .. } | Problem::Value { .. } | Problem::Checksum { .. } => {
                Win32Error::INVALID_DATA
            }
            Problem::Unsupported { .. } => Win32Error::NOT_SUPPORTED,
        }
    }
}

/// `disk.qcow2: qcow2 image at byte 24: …`
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, format, offset, problem } = &*self.0;
        if let Some(path) = path {
            write!(f, "{}: ", path.display())?;
        }
        match (offset, format) {
            (Some(offset), Format::File) => write!(f, "at byte {offset}: ")?,
            (Some(offset), format) => write!(f, "{format} at byte {offset}: ")?,
            (None, _) => {}
        }
        problem.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.problem {
            Problem::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Container(kind) => kind.fmt(f),
            Self::Mbr => f.write_str("MBR partition table"),
            Self::Gpt => f.write_str("GPT"),
            Self::Partition => f.write_str("partition"),
        }
    }
}

/// For readers that speak [`io::Error`]; the error itself is inside.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.0.problem {
            Problem::Io(error) => error.kind(),
            Problem::Unsupported { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
