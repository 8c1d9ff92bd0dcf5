//! Entries into blocks: the mirror of [`read`](super::read).

use std::io::Write;

use ntbak_wire::record::Extent;

use super::header::{self, Fields};
use super::output::Output;
use super::{BLOCK, padding, pax, sparse};
use crate::error::{Error, Result};
use crate::keys;
use crate::limits::MAX_HEADER;
use crate::manifest::register::Register;

/// One entry that is to be written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NewEntry<'a> {
    /// The name as it is to be, a directory's with its `/`.
    pub(crate) name: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) typeflag: u8,
    /// The size of the content, holes included.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mtime: u64,
    /// Where the content lies, when it has holes.
    pub(crate) extents: Option<&'a [Extent]>,
    /// Further records, built.
    pub(crate) records: &'a [u8],
}

/// Writes one entry after the other, forward only.
pub(crate) struct TarWriter<W> {
    pub(crate) output: Output<W>,
    /// The bytes of data that the current entry still wants, and the zeros behind them.
    data: u64,
    padding: u64,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(target: W, register: Register) -> Self {
        Self { output: Output::new(target, register), data: 0, padding: 0 }
    }

    pub(crate) fn with_buffer(target: W, buffer: Vec<u8>, register: Register) -> Self {
        Self { output: Output::with_buffer(target, buffer, register), data: 0, padding: 0 }
    }

    /// Begins an entry; its content (of a sparse one: its ranges one behind the other) follows by
    /// [`TarWriter::data`].
    pub(crate) fn begin(&mut self, entry: &NewEntry<'_>) -> Result<()> {
        let map = entry.extents.map(|extents| sparse::build_map(entry.size, extents));
        let stored = match (&map, entry.extents) {
            (Some(map), Some(extents)) => {
                map.len() as u64 + extents.iter().map(|extent| extent.len).sum::<u64>()
            }
            _ => entry.size,
        };
        let records = records(entry, stored);
        let size = (records.len() + entry.records.len()) as u64;
        if size > MAX_HEADER as u64 {
            let (offset, limit) = (self.output.offset(), MAX_HEADER as u64);
            return Err(Error::too_large(offset, "bytes of extended headers", size, limit));
        }
        if size > 0 {
            let name = [b"PaxHeaders/", entry.name];
            let fields = Fields { name, typeflag: b'x', size, mode: 0o644, ..Fields::default() };
            self.output.write(&fields.build())?;
            self.output.write(&records)?;
            self.output.write(entry.records)?;
            self.output.zeros(padding(size))?;
        }
        // What a program that knows no sparse files makes of one must not take the place of the file.
        let folder: &[u8] = if entry.extents.is_some() { b"GNUSparseFile.0/" } else { b"" };
        let (name, link) = ([folder, entry.name], entry.link);
        let (uid, gid) = entry.owner.unwrap_or_default();
        let (typeflag, mode, mtime) = (entry.typeflag, entry.mode, entry.mtime);
        let fields = Fields { name, link, typeflag, size: stored, mode, uid, gid, mtime };
        self.output.write(&fields.build())?;
        self.output.write(map.as_deref().unwrap_or_default())?;
        self.data = stored - map.map_or(0, |map| map.len() as u64);
        self.padding = padding(stored);
        Ok(())
    }

    /// Writes content of the current entry; never more than it wants.
    pub(crate) fn data(&mut self, data: &[u8]) -> Result<()> {
        let Some(left) = self.data.checked_sub(data.len() as u64) else {
            return Err(Error::records(self.output.offset(), "more content than the entry was to have"));
        };
        self.data = left;
        self.output.write(data)
    }

    /// Completes the entry, with zeros for what it still wants.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.output.zeros(self.data + self.padding)?;
        (self.data, self.padding) = (0, 0);
        Ok(())
    }

    /// Writes `len` bytes of zeros as content.
    pub(crate) fn zeros(&mut self, len: u64) -> Result<()> {
        let len = len.min(self.data);
        self.data -= len;
        self.output.zeros(len)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.output.zeros(2 * BLOCK as u64)?;
        self.output.finish()
    }
}

/// Records of an extended header that are about the entry itself; further ones stand behind them.
fn records(entry: &NewEntry<'_>, stored: u64) -> Vec<u8> {
    let mut records = Vec::new();
    let mut put = |key: &str, value: &[u8]| pax::push(&mut records, key.as_bytes(), value);
    let not_utf8 = |name: &[u8]| std::str::from_utf8(name).is_err();
    if not_utf8(entry.name) || not_utf8(entry.link) {
        // It speaks of the records behind it.
        put(keys::CHARSET, b"BINARY");
    }
    if entry.extents.is_some() {
        put(keys::SPARSE_MAJOR, b"1");
        put(keys::SPARSE_MINOR, b"0");
        put(keys::SPARSE_NAME, entry.name);
        put(keys::SPARSE_REAL_SIZE, entry.size.to_string().as_bytes());
    } else if !header::fits_name(entry.name) {
        put(keys::PATH, entry.name);
    }
    if !header::fits_name(entry.link) {
        put(keys::LINKPATH, entry.link);
    }
    if !header::fits_size(stored) {
        put(keys::SIZE, stored.to_string().as_bytes());
    }
    // Always, for the field of the header cannot say that there is no owner.
    if let Some((uid, gid)) = entry.owner {
        put(keys::UID, uid.to_string().as_bytes());
        put(keys::GID, gid.to_string().as_bytes());
    }
    records
}
