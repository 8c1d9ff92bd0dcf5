//! Backup streams that are read: a file, or standard input.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::failure::Failure;
use crate::interrupt;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A file or standard input, read in chunks.
pub(crate) struct Input {
    file: Source,
    name: String,
    buffer: Vec<u8>,
}

enum Source {
    File(File),
    Stdin(io::StdinLock<'static>),
}

impl Input {
    /// Opens `path`; standard input when it is missing or `-`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let (file, name) = match path.filter(|path| *path != Path::new("-")) {
            None => (Source::Stdin(io::stdin().lock()), "standard input".to_owned()),
            Some(path) => {
                let name = path.display().to_string();
                let file =
                    File::open(path).map_err(|error| Failure::io(format!("{name}: opening"), error))?;
                (Source::File(file), name)
            }
        };
        Ok(Self { file, name, buffer: vec![0; CHUNK] })
    }

    /// What the user calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next bytes; none at the end.
    pub(crate) fn read(&mut self) -> Result<&[u8], Failure> {
        let got = loop {
            let got = interrupt::check().and_then(|()| match &mut self.file {
                Source::File(file) => file.read(&mut self.buffer),
                Source::Stdin(stdin) => stdin.read(&mut self.buffer),
            });
            match got {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got,
            }
        };
        let got = got.map_err(|error| Failure::io(format!("{}: reading", self.name), error))?;
        Ok(self.buffer.get(..got).unwrap_or_default())
    }

    /// Passes over bytes without reading them, where that is possible: how many it were.
    pub(crate) fn skip(&mut self, bytes: u64) -> u64 {
        let Source::File(file) = &mut self.file else { return 0 };
        let Ok(left) = file.metadata().and_then(|metadata| {
            let here = file.stream_position()?;
            Ok(if metadata.is_file() { metadata.len().saturating_sub(here) } else { 0 })
        }) else {
            return 0;
        };
        let bytes = bytes.min(left);
        match i64::try_from(bytes).map(|bytes| file.seek(SeekFrom::Current(bytes))) {
            Ok(Ok(_)) => bytes,
            _ => 0,
        }
    }
}
