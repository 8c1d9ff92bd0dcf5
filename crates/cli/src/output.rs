//! Bytes that are written: standard output, or a file that appears when it is whole.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where the bytes of a command go.
pub(crate) enum Output {
    /// Standard output.
    Stdout(io::StdoutLock<'static>),
    /// A file beside its place, removed unless it is [finished](Output::finish).
    File { file: File, temporary: PathBuf, path: PathBuf },
}

impl Output {
    /// Opens `path`; standard output when it is missing or `-`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(io::stdout().lock()));
        };
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(path);
            let file = file.map_err(|error| Failure::io(format!("{}: opening", path.display()), error))?;
            return Ok(Self::File { file, temporary: PathBuf::new(), path: path.to_owned() });
        }
        let temporary = path.with_file_name(format!(".ntbak-{}.part", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&temporary);
        let file =
            file.map_err(|error| Failure::io(format!("{}: making the file", path.display()), error))?;
        Ok(Self::File { file, temporary, path: path.to_owned() })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Self::Stdout(stdout) => stdout.write_all(data),
            Self::File { file, .. } => file.write_all(data),
        };
        written.map_err(|error| self.fault("writing", error))
    }

    /// Goes to another place in the file; `false` on standard output, which has none.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<bool, Failure> {
        let Self::File { file, .. } = self else { return Ok(false) };
        let sought = file.seek(SeekFrom::Start(offset));
        sought.map(|_| true).map_err(|error| self.fault("writing", error))
    }

    /// Sets the size of the file; `false` on standard output.
    pub(crate) fn set_len(&mut self, size: u64) -> Result<bool, Failure> {
        let Self::File { file, .. } = self else { return Ok(false) };
        let set = file.set_len(size);
        set.map(|()| true).map_err(|error| self.fault("setting the size", error))
    }

    /// All is written.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let done = match &mut self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { temporary, .. } if temporary.as_os_str().is_empty() => Ok(()),
            Self::File { temporary, path, .. } => fs::rename(temporary, path),
        };
        done.map_err(|error| self.fault("completing", error))
    }

    fn fault(&self, doing: &str, error: io::Error) -> Failure {
        let name = match self {
            Self::Stdout(_) => "standard output".into(),
            Self::File { path, .. } => path.display().to_string(),
        };
        Failure::io(format!("{name}: {doing}"), error)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Self::File { temporary, .. } = self {
            // After a rename there is none.
            let _ = fs::remove_file(temporary);
        }
    }
}
