//! Entries out of blocks: the mirror of [`write`](super::write).

use std::io::Read;
use std::sync::Arc;

use super::header::{self, Block, Header};
use super::input::Input;
use super::pax::{Globals, Records};
use super::sparse::{self, Map};
use super::{Span, padding};
use crate::error::{Error, Result};
use crate::keys;
use crate::limits::Limits;

/// One entry: its header, with everything that extended headers say of it.
#[derive(Debug)]
pub(crate) struct RawEntry {
    /// Where its first header block is.
    pub(crate) offset: u64,
    pub(crate) typeflag: u8,
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// Bytes of data in the archive, without a sparse map.
    pub(crate) size: u64,
    pub(crate) header: Header,
    pub(crate) records: Records,
    pub(crate) globals: Arc<Globals>,
    pub(crate) sparse: Option<Map>,
}

impl RawEntry {
    /// A record of the entry, or of a global header; an empty value is given as it is.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key).or_else(|| self.globals.get(key))
    }

    /// A record with a value, which a standard key needs to mean anything.
    pub(crate) fn get_some(&self, key: &str) -> Option<&[u8]> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// Whether its own header or the global ones have a key with this prefix.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.all().any(|(key, _)| key.starts_with(prefix.as_bytes()))
    }

    /// All records, those of global headers first.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.globals.iter().chain(self.records.iter())
    }
}

/// How an archive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Two blocks of zeros.
    Proper,
    /// One block of zeros, or none.
    Missing,
}

/// Reads one entry after the other, forward only.
pub(crate) struct TarReader<R> {
    pub(crate) input: Input<R>,
    limits: Limits,
    globals: Arc<Globals>,
    /// What is left of the data of the current entry, and of the zeros behind it.
    data: u64,
    padding: u64,
    /// Where the current entry began, while there is one.
    entry: Option<u64>,
    end: Option<End>,
}

/// What extension headers have said before their file comes.
#[derive(Default)]
struct Extensions {
    records: Records,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    count: u32,
    bytes: u64,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: Input<R>, limits: Limits) -> Self {
        Self { input, limits, globals: Arc::default(), data: 0, padding: 0, entry: None, end: None }
    }

    /// How the archive ended, once it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes up to `most` bytes of the data of the entry, 0 at their end; [`Input::chunk`] has them.
    pub(crate) fn take(&mut self, most: u64) -> Result<usize> {
        let most = most.min(self.data);
        if most == 0 {
            return Ok(0);
        }
        let got = self.input.take(most)?;
        if got == 0 {
            return Err(Error::truncated(self.input.offset(), "the data of an entry"));
        }
        self.data -= got as u64;
        Ok(got)
    }

    pub(crate) fn chunk(&self) -> &[u8] {
        self.input.chunk()
    }

    /// Leaves the current entry behind; answers what bytes it had, when a proof is wanted.
    pub(crate) fn leave(&mut self) -> Result<Option<Span>> {
        let rest = self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        self.input.skip(rest, "the data of an entry")?;
        let Some(offset) = self.entry.take() else { return Ok(None) };
        let size = self.input.offset() - offset;
        Ok(self.input.proof().map(|hash| Span { offset, size, hash }))
    }

    /// The next entry, after [`TarReader::leave`]; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<RawEntry>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let offset = self.input.offset();
        self.entry = Some(offset);
        let mut extensions = Extensions::default();
        loop {
            let place = self.input.offset();
            let Some(block) = self.input.block()? else { return self.finish(place == offset, End::Missing) };
            if header::is_zero(&block) {
                let end = match self.input.block()? {
                    Some(second) if header::is_zero(&second) => End::Proper,
                    _ => End::Missing,
                };
                return self.finish(place == offset, end);
            }
            let header = Header::parse(&block, place)?;
            if matches!(header.typeflag, b'x' | b'X' | b'g' | b'L' | b'K') {
                self.extension(&header, &mut extensions, place)?;
                continue;
            }
            return self.file(offset, &block, header, extensions).map(Some);
        }
    }

    fn finish(&mut self, between: bool, end: End) -> Result<Option<RawEntry>> {
        if !between {
            return Err(Error::truncated(self.input.offset(), "the headers of an entry"));
        }
        self.entry = None;
        self.end = Some(end);
        Ok(None)
    }

    fn extension(&mut self, header: &Header, so_far: &mut Extensions, place: u64) -> Result<()> {
        so_far.count += 1;
        if so_far.count > self.limits.extensions {
            let (found, limit) = (u64::from(so_far.count), u64::from(self.limits.extensions));
            return Err(Error::too_large(place, "extension headers of one entry: a number", found, limit));
        }
        so_far.bytes = so_far.bytes.saturating_add(header.size);
        if so_far.bytes > self.limits.header {
            return Err(Error::too_large(
                place,
                "bytes of extended headers",
                so_far.bytes,
                self.limits.header,
            ));
        }
        let at = self.input.offset();
        let mut data = Vec::new();
        self.input.append(&mut data, header.size, "an extended header")?;
        self.input.skip(padding(header.size), "an extended header")?;
        // GNU tar ends long names with a NUL that is not part of them.
        let name = |data: &[u8]| Some(data.split(|byte| *byte == 0).next().unwrap_or_default().to_owned());
        match header.typeflag {
            b'L' => so_far.long_name = name(&data),
            b'K' => so_far.long_link = name(&data),
            b'g' => {
                let mut records = Records::default();
                records.append(&data, at)?;
                Arc::make_mut(&mut self.globals).merge(&records, at, self.limits.global)?;
            }
            _ => so_far.records.append(&data, at)?,
        }
        Ok(())
    }

    fn file(
        &mut self,
        offset: u64,
        block: &Block,
        header: Header,
        extensions: Extensions,
    ) -> Result<RawEntry> {
        let Extensions { records, long_name, long_link, .. } = extensions;
        let mut entry = RawEntry {
            offset,
            typeflag: header.typeflag,
            path: Vec::new(),
            link: Vec::new(),
            size: header.size,
            header,
            records,
            globals: Arc::clone(&self.globals),
            sparse: None,
        };
        let own = |key| entry.get_some(key).map(<[u8]>::to_owned);
        let path = own(keys::SPARSE_NAME).or_else(|| own(keys::PATH)).or(long_name);
        let link = own(keys::LINKPATH).or(long_link);
        entry.path = path.unwrap_or_else(|| entry.header.name.clone());
        entry.link = link.unwrap_or_else(|| entry.header.link.clone());
        if let Some(size) = entry.get_some(keys::SIZE) {
            entry.size = sparse::decimal(size)
                .ok_or_else(|| Error::malformed(offset, "PAX size", "it is no number of bytes"))?;
        }
        self.check_size(&entry)?;
        self.read_sparse(block, &mut entry).map_err(|error| error.in_entry(&entry.path))?;
        Ok(entry)
    }

    /// Links, directories and devices have no data. Where a header says otherwise, programs do not agree on where the
    /// next entry begins: an archive could show one content to one of them and another to the next.
    fn check_size(&mut self, entry: &RawEntry) -> Result<()> {
        if matches!(entry.typeflag, b'1'..=b'6') && entry.size != 0 {
            let why = "an entry without data (a link, directory or device) has a size; \
                       programs disagree on what that means, so nothing is guessed";
            return Err(Error::malformed(entry.offset, "size of an entry", why).in_entry(&entry.path));
        }
        if i64::try_from(entry.size).is_err() {
            return Err(Error::malformed(entry.offset, "size of an entry", "it has more than 63 bits"));
        }
        (self.data, self.padding) = (entry.size, padding(entry.size));
        Ok(())
    }

    fn read_sparse(&mut self, block: &Block, entry: &mut RawEntry) -> Result<()> {
        let map = if entry.get(keys::SPARSE_MAJOR) == Some(b"1") {
            let size = entry.get(keys::SPARSE_REAL_SIZE).and_then(sparse::decimal).ok_or_else(|| {
                Error::malformed(entry.offset, "GNU.sparse.realsize", "it is no number of bytes")
            })?;
            let (map, taken) = sparse::read_map(&mut self.input, size, entry.size, self.limits.extents)?;
            self.data -= taken;
            entry.size -= taken;
            Some(map)
        } else if entry.typeflag == b'S' && entry.header.gnu {
            Some(sparse::read_old(&mut self.input, block, self.limits.extents)?)
        } else {
            sparse::from_records(&entry.records, self.limits.extents, entry.offset)?
        };
        let Some(map) = map else { return Ok(()) };
        let mapped: u64 = map.extents.iter().map(|extent| extent.len).sum();
        if mapped != entry.size {
            let why = format!("its ranges have {mapped} bytes, and the entry has {}", entry.size);
            return Err(Error::malformed(entry.offset, "sparse map", why));
        }
        entry.sparse = Some(map);
        Ok(())
    }
}
