//! The one error of this crate: what failed, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ntbak_wire::stream::StreamName;
use ntbak_wire::{Error as WireError, Win32Error};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure with its place: path, stream, offset, as far as they are known.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    cause: Cause,
    path: Option<PathBuf>,
    stream: Option<String>,
    offset: Option<u64>,
    hint: Option<Cow<'static, str>>,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Bytes that are not what their format says.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A key that does not open, or an encrypted file that nobody can decrypt.
    #[error(transparent)]
    Efs(#[from] ntbak_efs::Error),
    /// The archive cannot be read or written.
    #[error(transparent)]
    Archive(#[from] ntbak_archive::Error),
    /// A disk image that cannot be opened or read.
    #[error(transparent)]
    Image(ntbak_image::Error),
    /// A volume that cannot be read, or is not what NTFS says.
    #[error(transparent)]
    Ntfs(#[from] ntbak_ntfs::Error),
    /// The operating system refused.
    #[error("{doing}: {error}")]
    Io {
        /// What was being done.
        doing: Cow<'static, str>,
        /// What the system said.
        error: io::Error,
    },
    /// Windows would refuse it, or ntbak does.
    #[error("{why}")]
    Win32 {
        /// The error number.
        code: Win32Error,
        /// Why, for people.
        why: Cow<'static, str>,
    },
}

impl Error {
    /// A failure with a Win32 error number and the reason for people.
    pub fn new(code: Win32Error, why: impl Into<Cow<'static, str>>) -> Self {
        Self::from(Cause::Win32 { code, why: why.into() })
    }

    /// A failure of the operating system while `doing` something ("writing the content").
    pub fn io(doing: impl Into<Cow<'static, str>>, error: impl Into<io::Error>) -> Self {
        Self::from(Cause::Io { doing: doing.into(), error: error.into() })
    }

    /// The same failure at this path, unless it has one already.
    #[must_use]
    pub fn at_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path.get_or_insert_with(|| path.as_ref().to_owned());
        self
    }

    /// The same failure in this stream, unless it has one already; `None` is the unnamed stream and leaves no mark.
    #[must_use]
    pub fn in_stream(mut self, stream: Option<&StreamName>) -> Self {
        if let Some(stream) = stream {
            self.0.stream.get_or_insert_with(|| stream.to_string());
        }
        self
    }

    /// The same failure at this byte of its stream, unless it has an offset already.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// The same failure with advice: what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The stream in which it failed, for people.
    #[must_use]
    pub fn stream(&self) -> Option<&str> {
        self.0.stream.as_deref()
    }

    /// The advice, if there is any.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The failure without its path, for a report that names the path by itself.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut text = self.0.cause.to_string();
        if let Some(offset) = self.0.offset {
            text = format!("at byte {offset}: {text}");
        }
        text
    }

    /// The Win32 error number of this failure. Total: every failure has one.
    #[must_use]
    pub fn win32(&self) -> Win32Error {
        match &self.0.cause {
            Cause::Wire(error) => error.win32(),
            Cause::Efs(error) => error.win32(),
            Cause::Archive(error) => error.win32(),
            Cause::Image(error) => error.win32(),
            Cause::Ntfs(error) => error.win32(),
            Cause::Win32 { code, .. } => *code,
            Cause::Io { error, .. } => from_io(error),
        }
    }
}

/// The Win32 number for what Linux says. The pairs are those that Samba and Cygwin show too; the rest is
/// `ERROR_GEN_FAILURE`.
fn from_io(error: &io::Error) -> Win32Error {
    use rustix::io::Errno;
    let Some(code) = error.raw_os_error() else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Win32Error::HANDLE_EOF,
            io::ErrorKind::OutOfMemory => Win32Error::NOT_ENOUGH_MEMORY,
            io::ErrorKind::InvalidInput => Win32Error::INVALID_PARAMETER,
            _ => Win32Error::GEN_FAILURE,
        };
    };
    match Errno::from_raw_os_error(code) {
        Errno::NOENT => Win32Error::FILE_NOT_FOUND,
        Errno::NOTDIR => Win32Error::PATH_NOT_FOUND,
        Errno::ACCESS | Errno::PERM | Errno::ISDIR | Errno::NXIO => Win32Error::ACCESS_DENIED,
        Errno::BADF => Win32Error::INVALID_HANDLE,
        Errno::NOMEM => Win32Error::NOT_ENOUGH_MEMORY,
        Errno::XDEV => Win32Error::NOT_SAME_DEVICE,
        Errno::ROFS => Win32Error::WRITE_PROTECT,
        Errno::BUSY | Errno::TXTBSY => Win32Error::SHARING_VIOLATION,
        Errno::OPNOTSUPP | Errno::NOSYS => Win32Error::NOT_SUPPORTED,
        Errno::INVAL => Win32Error::INVALID_PARAMETER,
        Errno::NOSPC | Errno::DQUOT => Win32Error::DISK_FULL,
        Errno::ILSEQ => Win32Error::INVALID_NAME,
        Errno::NOTEMPTY => Win32Error::DIR_NOT_EMPTY,
        Errno::EXIST => Win32Error::ALREADY_EXISTS,
        Errno::NAMETOOLONG => Win32Error::FILENAME_EXCED_RANGE,
        Errno::IO => Win32Error::IO_DEVICE,
        _ => Win32Error::GEN_FAILURE,
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(Box::new(Inner { cause, path: None, stream: None, offset: None, hint: None }))
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::from(Cause::Wire(error))
    }
}

impl From<ntbak_efs::Error> for Error {
    fn from(error: ntbak_efs::Error) -> Self {
        let unknown = matches!(error, ntbak_efs::Error::NoMatch { .. });
        let error = Self::from(Cause::Efs(error));
        if unknown { error.hint("`ntbak efs info` shows whose keys open it") } else { error }
    }
}

impl From<ntbak_archive::Error> for Error {
    fn from(error: ntbak_archive::Error) -> Self {
        Self::from(Cause::Archive(error))
    }
}

impl From<ntbak_ntfs::Error> for Error {
    fn from(error: ntbak_ntfs::Error) -> Self {
        Self::from(Cause::Ntfs(error))
    }
}

impl From<ntbak_image::Error> for Error {
    fn from(mut error: ntbak_image::Error) -> Self {
        let path = error.take_path();
        let error = Self::from(Cause::Image(error));
        path.into_iter().fold(error, Self::at_path)
    }
}

/// `PATH:STREAM: at byte N: why`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.path, &self.0.stream) {
            (Some(path), Some(stream)) => write!(f, "{}:{stream}: ", path.display())?,
            (Some(path), None) => write!(f, "{}: ", path.display())?,
            (None, Some(stream)) => write!(f, "stream {stream}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.reason())
    }
}

impl std::error::Error for Error {}
