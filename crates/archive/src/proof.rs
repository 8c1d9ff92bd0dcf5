//! Whether the entries of an archive are those that its manifest lists.

use std::collections::VecDeque;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use crate::error::{Error, Result};
use crate::manifest::MANIFEST;
use crate::manifest::read::{Cutter, Line, ManifestEntry, is_exact, parse};
use crate::manifest::register::Register;
use crate::manifest::write::{Closing, Spool};
use crate::remark::Remark;
use crate::tar::write::{NewEntry, TarWriter};
use crate::tar::{Span, padding};

/// Faults that are told one by one; the rest is counted.
const TOLD: u64 = 1000;
/// Bytes of the spool for each entry: offset, size, hash, and a hash of its name.
const RECORD: usize = 64;

/// What an entry is called in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recorded {
    path: Vec<u8>,
    stream: Option<Vec<u8>>,
}

impl Recorded {
    pub(crate) fn file(path: &[u8]) -> Self {
        Self { path: path.to_owned(), stream: None }
    }

    pub(crate) fn stream(path: &[u8], stream: &[u8]) -> Self {
        Self { path: path.to_owned(), stream: Some(stream.to_owned()) }
    }

    fn hash(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(self.path.len() as u64).to_le_bytes());
        hasher.update(&self.path);
        if let Some(stream) = &self.stream {
            hasher.update(b":");
            hasher.update(stream);
        }
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        hash
    }
}

/// The entries as they were found, until the manifest comes.
pub(crate) struct Proof {
    spool: BufWriter<Box<dyn Spool>>,
}

fn record(name: &Recorded, span: &Span) -> Vec<u8> {
    [&span.offset.to_le_bytes()[..], &span.size.to_le_bytes(), &span.hash, &name.hash()].concat()
}

impl Proof {
    pub(crate) fn new(spool: Box<dyn Spool>) -> Self {
        Self { spool: BufWriter::with_capacity(64 << 10, spool) }
    }

    pub(crate) fn found(&mut self, name: &Recorded, span: &Span) -> Result<()> {
        let done = self.spool.write_all(&record(name, span));
        done.map_err(|error| Error::io(span.offset, "writing the spool", error))
    }

    fn rewind(self) -> io::Result<BufReader<Box<dyn Spool>>> {
        let mut spool = self.spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.seek(SeekFrom::Start(0))?;
        Ok(BufReader::with_capacity(64 << 10, spool))
    }
}

/// The manifest while it is read.
pub(crate) struct Reading {
    found: Option<BufReader<Box<dyn Spool>>>,
    cutter: Cutter,
    line: Vec<u8>,
    limit: usize,
    /// Where the manifest itself begins.
    offset: u64,
    /// All lines so far.
    lines: blake3::Hasher,
    /// The entry of the manifest as it must be, byte for byte.
    exact: blake3::Hasher,
    size: u64,
    counted: Closing,
    closing: Option<Closing>,
    remarks_began: bool,
    pub(crate) faults: u64,
}

impl Reading {
    pub(crate) fn new(offset: u64, size: u64, limit: usize, proof: Option<Proof>) -> Result<Self> {
        let spool = |error| Error::io(offset, "reading the spool", error);
        let mut exact = blake3::Hasher::new();
        exact.update(&header(size)?);
        Ok(Self {
            found: proof.map(Proof::rewind).transpose().map_err(spool)?,
            cutter: Cutter::default(),
            line: Vec::new(),
            limit,
            offset,
            lines: blake3::Hasher::new(),
            exact,
            size,
            counted: Closing::default(),
            closing: None,
            remarks_began: false,
            faults: 0,
        })
    }

    /// The next piece of its bytes.
    pub(crate) fn piece(&mut self, mut piece: &[u8], remarks: &mut VecDeque<Remark>) -> Result<()> {
        if self.found.is_some() {
            self.exact.update(piece);
        }
        while !piece.is_empty() {
            let mut line = std::mem::take(&mut self.line);
            match self.cutter.next(&mut piece, self.limit, &mut line) {
                Ok(true) => self.take(&line, remarks)?,
                Ok(false) => {}
                Err(why) => return Err(Error::malformed(self.offset, "the manifest", why)),
            }
            self.line = line;
        }
        Ok(())
    }

    pub(crate) fn fault(&mut self, path: &[u8], why: impl Into<String>, remarks: &mut VecDeque<Remark>) {
        self.faults += 1;
        if self.faults <= TOLD {
            remarks.push_back(Remark::loss("archive", path, why));
        }
    }

    fn take(&mut self, line: &[u8], remarks: &mut VecDeque<Remark>) -> Result<()> {
        if self.closing.is_some() {
            self.fault(MANIFEST, "it has lines behind its closing line", remarks);
            return Ok(());
        }
        let parsed = match parse(line) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.lines.update(line);
                self.fault(MANIFEST, format!("a line is damaged: {why}"), remarks);
                return Ok(());
            }
        };
        match parsed {
            Line::Entry(entry) => {
                self.lines.update(line);
                if self.remarks_began || entry.offset != self.counted.size {
                    self.fault(
                        &entry.path,
                        "its line in the manifest is not where the entries have it",
                        remarks,
                    );
                }
                self.counted.entries += 1;
                self.counted.size = entry.offset.saturating_add(entry.size);
                self.compare(&entry, remarks)?;
            }
            Line::Remark(remark) => {
                self.lines.update(line);
                self.remarks_began = true;
                if remark.is_loss() { self.counted.losses += 1 } else { self.counted.notes += 1 }
            }
            Line::Closing(closing, _) => {
                let hash = *self.lines.finalize().as_bytes();
                if !is_exact(line, &self.counted, &hash) || self.counted.size != self.offset {
                    self.fault(
                        MANIFEST,
                        "its closing line does not fit the lines before it: it is damaged",
                        remarks,
                    );
                }
                self.closing = Some(closing);
            }
        }
        Ok(())
    }

    /// Compares one line with the entry that was found.
    fn compare(&mut self, entry: &ManifestEntry, remarks: &mut VecDeque<Remark>) -> Result<()> {
        let Some(found) = &mut self.found else { return Ok(()) };
        let mut bytes = [0; RECORD];
        match found.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.fault(&entry.path, "it is in the manifest, and not in the archive", remarks);
                return Ok(());
            }
            Err(error) => return Err(Error::io(self.offset, "reading the spool", error)),
        }
        let name = Recorded { path: entry.path.clone(), stream: entry.stream.clone() };
        if record(&name, &entry.span()) != bytes {
            let stream = entry.stream.as_deref().map(String::from_utf8_lossy);
            let stream = stream.map(|stream| format!("stream {stream}: ")).unwrap_or_default();
            let why = format!(
                "{stream}the {} bytes of its entry at byte {} are not those that were written: it is damaged",
                entry.size, entry.offset
            );
            self.fault(&entry.path, why, remarks);
        }
        Ok(())
    }

    /// The end of the manifest: what its closing line says, if there is one.
    pub(crate) fn close(&mut self, entries: u64, remarks: &mut VecDeque<Remark>) -> Option<Closing> {
        if !self.cutter.is_empty() {
            self.fault(MANIFEST, "its last line is cut", remarks);
        }
        if self.counted.entries != entries {
            let why = format!("it lists {} entries, and the archive has {entries}", self.counted.entries);
            self.fault(MANIFEST, why, remarks);
        }
        if self.closing.is_none() {
            self.fault(MANIFEST, "its closing line is missing: the archive is not complete", remarks);
        }
        self.closing
    }

    /// Compares the entry of the manifest itself, which no line can prove, with what a writer makes.
    pub(crate) fn check_exact(&mut self, span: &Span, remarks: &mut VecDeque<Remark>) {
        let zeros = [0; crate::tar::BLOCK];
        let padding = usize::try_from(padding(self.size)).unwrap_or(0);
        self.exact.update(zeros.get(..padding).unwrap_or_default());
        if *self.exact.finalize().as_bytes() != span.hash {
            self.fault(MANIFEST, "its header or padding is not what was written: it is damaged", remarks);
        }
        if self.faults > TOLD {
            let why = format!("{} more faults", self.faults - TOLD);
            remarks.push_back(Remark::loss("archive", MANIFEST, why));
        }
    }
}

/// The headers of the manifest's entry.
fn header(size: u64) -> Result<Vec<u8>> {
    let mut tar = TarWriter::new(Vec::new(), Register::Closed);
    tar.begin(&NewEntry { name: MANIFEST, typeflag: b'0', size, mode: 0o644, ..NewEntry::default() })?;
    tar.output.finish()
}
