//! Lines of the manifest, spooled until the archive is complete: the mirror of [`read`](super::read).

use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::remark::Remark;
use crate::tar::Span;

/// Where lines wait until they are written: a temporary file, or memory for a small archive.
pub trait Spool: Read + Write + Seek + Send {}

impl<S: Read + Write + Seek + Send> Spool for S {}

/// The lines so far. In the spool each has a letter before it: `e` entry, `r` remark.
pub(crate) struct Lines {
    spool: BufWriter<Box<dyn Spool>>,
    line: Vec<u8>,
    entries: u64,
    entry_bytes: u64,
    losses: u64,
    notes: u64,
    remark_bytes: u64,
}

/// The lines, complete.
pub(crate) struct Closed {
    spool: BufReader<Box<dyn Spool>>,
    closing: Closing,
    bytes: u64,
}

/// What the closing line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Closing {
    pub(crate) entries: u64,
    pub(crate) size: u64,
    pub(crate) losses: u64,
    pub(crate) notes: u64,
}

impl Lines {
    pub(crate) fn new(spool: Box<dyn Spool>) -> Self {
        let spool = BufWriter::with_capacity(64 << 10, spool);
        Self { spool, line: Vec::new(), entries: 0, entry_bytes: 0, losses: 0, notes: 0, remark_bytes: 0 }
    }

    /// The line of an entry; `stream` is `None` for a file itself.
    pub(crate) fn entry(&mut self, path: &[u8], stream: Option<&[u8]>, span: &Span) -> io::Result<()> {
        self.line.clear();
        self.line.extend_from_slice(b"e{");
        put_text(&mut self.line, "path", path)?;
        if let Some(stream) = stream {
            self.line.push(b',');
            put_text(&mut self.line, "stream", stream)?;
        }
        write!(self.line, r#","offset":{},"size":{},"blake3":""#, span.offset, span.size)?;
        self.line.extend_from_slice(blake3::Hash::from_bytes(span.hash).to_hex().as_bytes());
        self.line.extend_from_slice(b"\"}\n");
        self.entries += 1;
        self.entry_bytes += self.line.len() as u64 - 1;
        self.spool.write_all(&self.line)
    }

    /// The line of a loss or note.
    pub(crate) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.line.clear();
        match &remark.loss {
            Some(kind) => {
                self.line.extend_from_slice(br#"r{"type":"loss","#);
                put_text(&mut self.line, "kind", kind.as_bytes())?;
                self.line.push(b',');
                self.losses += 1;
            }
            None => {
                self.line.extend_from_slice(br#"r{"type":"note","#);
                self.notes += 1;
            }
        }
        put_text(&mut self.line, "path", &remark.path)?;
        self.line.push(b',');
        if let Some(stream) = &remark.stream {
            put_text(&mut self.line, "stream", &stream.name().to_wtf8())?;
            self.line.push(b',');
        }
        put_text(&mut self.line, if remark.is_loss() { "why" } else { "what" }, remark.why.as_bytes())?;
        self.line.extend_from_slice(b"}\n");
        self.remark_bytes += self.line.len() as u64 - 1;
        self.spool.write_all(&self.line)
    }

    /// No more lines: the manifest begins at `size` of the archive.
    pub(crate) fn close(self, size: u64) -> io::Result<Closed> {
        let closing = Closing { entries: self.entries, size, losses: self.losses, notes: self.notes };
        let closing_bytes = closing_line(&closing, &[0; 32]).len() as u64;
        let spool = self.spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        let bytes = self.entry_bytes + self.remark_bytes + closing_bytes;
        Ok(Closed { spool: BufReader::with_capacity(64 << 10, spool), closing, bytes })
    }
}

impl Closed {
    /// Bytes of the whole manifest.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// Gives all lines to `each`, the entries first; then what the closing line counts.
    pub(crate) fn copy<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hasher = blake3::Hasher::new();
        let mut line = Vec::new();
        for kind in *b"er" {
            self.spool.seek(SeekFrom::Start(0))?;
            loop {
                line.clear();
                if self.spool.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                if let Some((found, line)) = line.split_first()
                    && *found == kind
                {
                    hasher.update(line);
                    each(line)?;
                }
            }
        }
        each(&closing_line(&self.closing, hasher.finalize().as_bytes()))
    }
}

pub(crate) fn closing_line(closing: &Closing, hash: &[u8; 32]) -> Vec<u8> {
    let Closing { entries, size, losses, notes } = closing;
    let hash = blake3::Hash::from_bytes(*hash).to_hex();
    format!(
        r#"{{"type":"end","entries":{entries},"size":{size},"losses":{losses},"notes":{notes},"blake3":"{hash}"}}
"#
    )
    .into_bytes()
}

/// `"key":"text"`, and `"key_raw":"base64"` before it where the text does not tell all.
fn put_text(line: &mut Vec<u8>, key: &str, bytes: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(bytes);
    if std::str::from_utf8(bytes).is_err() {
        write!(line, r#""{key}_raw":"{}","#, STANDARD.encode(bytes))?;
    }
    write!(line, r#""{key}":"#)?;
    serde_json::to_writer(line, &text).map_err(io::Error::from)
}
