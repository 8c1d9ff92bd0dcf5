//! Lines of the manifest, spooled until the archive is complete: the mirror of [`read`](super::read).

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::remark::Remark;
use crate::tar::Span;

/// Where lines wait until they are written: a temporary file, or memory for a small archive.
pub trait Spool: Read + Write + Seek + Send {}

impl<S: Read + Write + Seek + Send> Spool for S {}

/// Lines of one kind are gathered up to this size, and have room for one more.
const BLOCK: usize = 60 << 10;
const ROOM: usize = 64 << 10;

/// The lines so far.
pub(crate) struct Lines {
    spool: Box<dyn Spool>,
    entries: Block,
    remarks: Block,
    entry_count: u64,
    losses: u64,
    notes: u64,
}

/// Lines of one kind. In the spool a letter and their length (4 bytes, little-endian) stand before them.
struct Block {
    kind: u8,
    lines: Vec<u8>,
    /// Bytes of the lines that are in the spool.
    spooled: u64,
}

const ENTRIES: u8 = b'e';
const REMARKS: u8 = b'r';

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
        let block = |kind, room| Block { kind, lines: Vec::with_capacity(room), spooled: 0 };
        let (entries, remarks) = (block(ENTRIES, ROOM), block(REMARKS, 0));
        Self { spool, entries, remarks, entry_count: 0, losses: 0, notes: 0 }
    }

    /// The line of an entry; `stream` is `None` for a file itself.
    pub(crate) fn entry(&mut self, path: &[u8], stream: Option<&[u8]>, span: &Span) -> io::Result<()> {
        let line = &mut self.entries.lines;
        line.push(b'{');
        put_text(line, "path", path)?;
        if let Some(stream) = stream {
            line.push(b',');
            put_text(line, "stream", stream)?;
        }
        line.extend_from_slice(br#","offset":"#);
        line.extend_from_slice(itoa::Buffer::new().format(span.offset).as_bytes());
        line.extend_from_slice(br#","size":"#);
        line.extend_from_slice(itoa::Buffer::new().format(span.size).as_bytes());
        line.extend_from_slice(br#","blake3":""#);
        line.extend_from_slice(blake3::Hash::from_bytes(span.hash).to_hex().as_bytes());
        line.extend_from_slice(b"\"}\n");
        self.entry_count += 1;
        self.entries.spool_if_full(&mut self.spool)
    }

    /// The line of a loss or note.
    pub(crate) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        let line = &mut self.remarks.lines;
        match &remark.loss {
            Some(kind) => {
                line.extend_from_slice(br#"{"type":"loss","#);
                put_text(line, "kind", kind.as_bytes())?;
                line.push(b',');
                self.losses += 1;
            }
            None => {
                line.extend_from_slice(br#"{"type":"note","#);
                self.notes += 1;
            }
        }
        put_text(line, "path", &remark.path)?;
        line.push(b',');
        if let Some(stream) = &remark.stream {
            put_text(line, "stream", &stream.name().to_wtf8())?;
            line.push(b',');
        }
        put_text(line, if remark.is_loss() { "why" } else { "what" }, remark.why.as_bytes())?;
        line.extend_from_slice(b"}\n");
        self.remarks.spool_if_full(&mut self.spool)
    }

    /// No more lines: the manifest begins at `size` of the archive.
    pub(crate) fn close(mut self, size: u64) -> io::Result<Closed> {
        self.entries.spool(&mut self.spool)?;
        self.remarks.spool(&mut self.spool)?;
        let closing = Closing { entries: self.entry_count, size, losses: self.losses, notes: self.notes };
        let closing_bytes = closing_line(&closing, &[0; 32]).len() as u64;
        let bytes = self.entries.spooled + self.remarks.spooled + closing_bytes;
        Ok(Closed { spool: BufReader::new(self.spool), closing, bytes })
    }
}

impl Block {
    fn spool_if_full(&mut self, spool: &mut dyn Spool) -> io::Result<()> {
        if self.lines.len() < BLOCK { Ok(()) } else { self.spool(spool) }
    }

    fn spool(&mut self, spool: &mut dyn Spool) -> io::Result<()> {
        let len = u32::try_from(self.lines.len()).map_err(io::Error::other)?;
        let [a, b, c, d] = len.to_le_bytes();
        spool.write_all(&[self.kind, a, b, c, d])?;
        spool.write_all(&self.lines)?;
        self.spooled += u64::from(len);
        self.lines.clear();
        Ok(())
    }
}

impl Closed {
    /// Bytes of the whole manifest.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// Gives all lines to `each`, many at a time, the entries first; then what the closing line counts.
    pub(crate) fn copy<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hasher = blake3::Hasher::new();
        let mut lines = Vec::with_capacity(ROOM);
        for kind in [ENTRIES, REMARKS] {
            self.spool.seek(SeekFrom::Start(0))?;
            while let Some((found, len)) = self.next_block()? {
                if found != kind {
                    self.spool.seek_relative(len.into())?;
                    continue;
                }
                lines.resize(len as usize, 0);
                self.spool.read_exact(&mut lines)?;
                hasher.update(&lines);
                each(&lines)?;
            }
        }
        each(&closing_line(&self.closing, hasher.finalize().as_bytes()))
    }

    /// The kind of the next block, and its bytes; `None` behind the last one.
    fn next_block(&mut self) -> io::Result<Option<(u8, u32)>> {
        if self.spool.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut head = [0; 5];
        self.spool.read_exact(&mut head)?;
        let [kind, len @ ..] = head;
        Ok(Some((kind, u32::from_le_bytes(len))))
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
