//! Bytes that are written: standard output, or a file that appears when it is whole.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::interrupt;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Where the bytes of a command go.
pub(crate) enum Output {
    /// Standard output.
    Stdout(io::StdoutLock<'static>),
    /// A device, a pipe or the like, which has neither holes nor a size.
    Device { file: File, path: PathBuf },
    /// A file beside its place, removed unless it is [finished](Output::finish).
    File { file: File, temporary: PathBuf, path: PathBuf },
}

impl Output {
    /// Opens `path`; standard output when it is missing or `-`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(io::stdout().lock()));
        };
        let making = |error| Failure::io(format!("{}: making the file", path.display()), error);
        let there = fs::metadata(path).ok();
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(path).map_err(making)?;
            return Ok(Self::Device { file, path: path.to_owned() });
        }
        // What a link leads to is what is meant.
        let path = if there.is_some() { path.canonicalize().map_err(making)? } else { path.to_owned() };
        let chance = RandomState::new().build_hasher().finish();
        let temporary = path.with_file_name(format!(".ntbak-{chance:016x}.part"));
        let mut options = File::options();
        // What replaces a file is for those who could read that, and not for others before it has its permissions.
        options.write(true).create_new(true).mode(if there.is_some() { 0o600 } else { 0o666 });
        let file = options.open(&temporary).map_err(making)?;
        let output = Self::File { file, temporary, path };
        if let (Self::File { file, .. }, Some(there)) = (&output, there) {
            file.set_permissions(there.permissions()).map_err(making)?;
        }
        Ok(output)
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        let written = Write::write_all(self, data);
        written.map_err(|error| self.fault("writing", error))
    }

    /// Writes all that `read` gives into a buffer, by offset, up to its first empty answer: how many bytes.
    pub(crate) fn pour(
        &mut self,
        mut read: impl FnMut(u64, &mut [u8]) -> ntbak::Result<usize>,
    ) -> Result<u64, Failure> {
        let (mut buffer, mut offset) = (vec![0; PIECE], 0);
        loop {
            let got = read(offset, &mut buffer)?;
            if got == 0 {
                return Ok(offset);
            }
            self.write(buffer.get(..got).unwrap_or_default())?;
            offset += got as u64;
        }
    }

    /// Goes to another place in the file; `false` where there is none.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<bool, Failure> {
        let Self::File { file, .. } = self else { return Ok(false) };
        let sought = file.seek(SeekFrom::Start(offset));
        sought.map(|_| true).map_err(|error| self.fault("writing", error))
    }

    /// Sets the size of the file; `false` where it has none.
    pub(crate) fn set_len(&mut self, size: u64) -> Result<bool, Failure> {
        let Self::File { file, .. } = self else { return Ok(false) };
        let set = file.set_len(size);
        set.map(|()| true).map_err(|error| self.fault("setting the size", error))
    }

    /// All is written.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let done = match &mut self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Device { .. } => Ok(()),
            Self::File { temporary, path, .. } => fs::rename(temporary, path),
        };
        done.map_err(|error| self.fault("completing", error))
    }

    fn fault(&self, doing: &str, error: io::Error) -> Failure {
        let name = match self {
            Self::Stdout(_) => "standard output".into(),
            Self::Device { path, .. } | Self::File { path, .. } => path.display().to_string(),
        };
        Failure::io(format!("{name}: {doing}"), error)
    }
}

impl Output {
    /// Which file it is, when it is one: device and inode.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let Self::File { file, .. } = self else { return None };
        file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

impl Write for Output {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        match self {
            Self::Stdout(stdout) => stdout.write(data),
            Self::Device { file, .. } | Self::File { file, .. } => file.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Device { .. } | Self::File { .. } => Ok(()),
        }
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
