//! One file: everything its records say of it, put together.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::Times;
use ntbak_wire::{FileAttributes, ea};

use crate::attribute::{Attribute, AttributeType, Attributes};
use crate::attribute_list::{Entries, Entry};
use crate::error::{Error, Problem, Result};
use crate::file_name::{FileName, Link, RawName, pair};
use crate::mft::{check_extension, check_list_size};
use crate::record::{FileReference, Record};
use crate::standard_information::{StandardInformation, shown};
use crate::stream::Stream;
use crate::volume::Volume;
use crate::wof::{self, Overlay};
use ntbak_wire::bytes::utf16_units;

/// The most attributes that a record can have, and so the most entries of a list that can be true of one.
const MAX_IN_RECORD: usize = 4096 / 24;
/// After this many records that are not what the attribute list says, the rest of the list is not believed either:
/// else every file of a hostile volume could have thousands of records read in vain.
const MAX_REFUSED: usize = 64;

/// The largest `$EFS` that Windows takes (\[MS-EFSR\] 3.1.4.2.8: 256 KiB).
const MAX_EFS: u64 = 256 << 10;
/// The largest reparse buffer.
const MAX_REPARSE: u64 = ntbak_wire::reparse::MAX_SIZE as u64;
/// The largest security descriptor: that of a SECURITY record.
const MAX_SECURITY: u64 = 256 << 10;
/// The largest `$EA`.
const MAX_EA: u64 = ea::MAX_ON_DISK as u64;

/// One file or directory of a [`Volume`], opened.
///
/// It holds the records of the file, so everything but content is read from memory; content is read by position, from
/// any thread.
#[derive(Debug)]
pub struct File {
    volume: Volume,
    reference: FileReference,
    flags: u16,
    /// The base record, then the extension records.
    records: Vec<Box<[u8]>>,
    information: Option<StandardInformation>,
    names: Vec<FileName>,
    streams: Vec<Stream>,
    damage: Vec<Error>,
    /// Its content is in another stream.
    pub(crate) overlay: Option<Overlay>,
}

/// Which file may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The one of this reference.
    This(FileReference),
    /// The one in this record, whatever its sequence number.
    Record(u64),
    /// The same, also when it is deleted.
    Deleted(u64),
}

/// One attribute, or piece of one: the index of its record and its offset there.
#[derive(Debug, Clone, Copy)]
struct Piece {
    record: usize,
    offset: usize,
}

impl File {
    pub(crate) fn open(volume: Volume, expect: Expect) -> Result<Self> {
        let number = match expect {
            Expect::This(reference) => reference.record(),
            Expect::Record(number) | Expect::Deleted(number) => number,
        };
        let (base, torn) = volume.read_record(number)?;
        Self::from_base(volume, expect, number, base, torn)
    }

    /// The file of a base record that was read already.
    pub(crate) fn from_base(
        volume: Volume,
        expect: Expect,
        number: u64,
        base: Box<[u8]>,
        torn: bool,
    ) -> Result<Self> {
        let in_this = |error: Error| error.in_record(number);
        let record = Record::parse(&base).map_err(in_this)?;
        let expected = match expect {
            Expect::This(reference) => reference.sequence(),
            _ => record.sequence,
        };
        if record.sequence != expected || !record.in_use() && !matches!(expect, Expect::Deleted(_)) {
            let problem = Problem::Stale { found: record.sequence, expected };
            return Err(Error::new("MFT record", 16, problem).in_record(number));
        }
        if record.base.0 != 0 {
            let found = record.base.0;
            let expected = "0: this is a record of another file";
            return Err(Error::value("MFT record", 32, "base record", found, expected).in_record(number));
        }
        let reference = FileReference::new(number, record.sequence);
        let mut file = Self {
            volume,
            reference,
            flags: record.flags,
            records: Vec::new(),
            information: None,
            names: Vec::new(),
            streams: Vec::new(),
            damage: Vec::new(),
            overlay: None,
        };
        if torn {
            file.hurt(Error::new("MFT record", 0, Problem::Torn { at: 0 }));
        }
        file.collect(base);
        Ok(file)
    }

    fn hurt(&mut self, error: Error) {
        self.damage.push(error.in_record(self.reference.record()));
    }

    /// Finds all attributes, and puts together what lies in several records.
    fn collect(&mut self, base: Box<[u8]>) {
        let mut pieces = Vec::with_capacity(8);
        let mut list = None;
        if let Ok(record) = Record::parse(&base) {
            for attribute in record.attributes() {
                match attribute {
                    Ok(attribute) if attribute.kind == AttributeType::ATTRIBUTE_LIST => {
                        list.get_or_insert(attribute.offset);
                    }
                    Ok(attribute) => pieces.push(Piece { record: 0, offset: attribute.offset }),
                    Err(error) => self.hurt(error),
                }
            }
        }
        self.records.push(base);
        if let Some(offset) = list
            && let Err(error) = self.collect_listed(offset, &mut pieces)
        {
            self.hurt(error);
        }
        let mut damage = Vec::new();
        self.assemble(pieces, &mut damage);
        for error in damage {
            self.hurt(error);
        }
        let reparse = self.stream(AttributeType::REPARSE_POINT, &[]).map(|_| self.reparse());
        let overlay = match reparse {
            Some(Ok(Some(reparse))) => Overlay::open(self, &reparse),
            _ => None,
        };
        self.overlay = overlay;
    }

    /// Reads the extension records that the attribute list at this offset of the base record names.
    fn collect_listed(&mut self, offset: usize, pieces: &mut Vec<Piece>) -> Result<()> {
        let list = self.attribute_list(offset)?;
        let mut entries = Vec::with_capacity(list.len() / 32);
        for entry in Entries::new(&list) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => self.hurt(error),
            }
        }
        entries.sort_by_key(|entry| entry.record);
        let mut refused = 0;
        for group in entries.chunk_by(|a, b| a.record == b.record) {
            let Some(reference) = group.first().map(|entry| entry.record) else { continue };
            if group.len() > MAX_IN_RECORD {
                let (found, limit) = (group.len() as u64, MAX_IN_RECORD as u64);
                self.hurt(Error::limit("attribute list", "its entries for one record", found, limit));
            }
            let group = group.get(..MAX_IN_RECORD).unwrap_or(group);
            if reference.record() == self.reference.record() {
                self.check_base(group);
            } else if !self.collect_extension(reference, group, pieces) {
                refused += 1;
            }
            if refused > MAX_REFUSED {
                let (what, limit) = ("its records that are not what it says", MAX_REFUSED as u64);
                return Err(Error::limit("attribute list", what, refused as u64, limit));
            }
        }
        Ok(())
    }

    fn attribute_list(&self, offset: usize) -> Result<Vec<u8>> {
        let base = self.records.first().map(|base| &**base).unwrap_or_default();
        let Some(list) = Attributes::one(base, offset) else { return Ok(Vec::new()) };
        let limits = self.volume.limits();
        let list = Stream::assemble([(0, list)], &limits, &mut |_| {}).ok_or_else(|| self.nothing("list"))?;
        check_list_size(list.size())?;
        self.read_all(&list, crate::attribute_list::MAX_SIZE)
    }

    /// What the list names in the base record must be there; what it does not name is taken all the same.
    fn check_base(&mut self, entries: &[Entry<'_>]) {
        let base = std::mem::take(&mut self.records);
        let lost: Vec<Error> = match base.first().map(|base| Record::parse(base)) {
            Some(Ok(record)) => {
                let own: Vec<_> = record.attributes().flatten().collect();
                entries.iter().filter(|entry| !own.iter().any(|one| is_that(entry, one))).map(lost).collect()
            }
            _ => Vec::new(),
        };
        self.records = base;
        for error in lost {
            self.hurt(error);
        }
    }

    /// Takes in what one extension record has; answers whether it is one of this file.
    fn collect_extension(
        &mut self,
        reference: FileReference,
        entries: &[Entry<'_>],
        pieces: &mut Vec<Piece>,
    ) -> bool {
        let number = reference.record();
        let read = self.volume.read_record(number).and_then(|(bytes, torn)| {
            check_extension(&Record::parse(&bytes)?, reference, self.reference)?;
            Ok((bytes, torn))
        });
        let (bytes, torn) = match read {
            Ok(read) => read,
            Err(error) => {
                self.damage.push(error.in_record(number));
                entries.iter().map(lost).for_each(|error| self.hurt(error));
                return false;
            }
        };
        if torn {
            self.damage.push(Error::new("extension record", 0, Problem::Torn { at: 0 }).in_record(number));
        }
        let index = self.records.len();
        let mut there = Vec::new();
        for attribute in Record::parse(&bytes).ok().into_iter().flat_map(|record| record.attributes()) {
            match attribute {
                Ok(attribute) => there.push((attribute, false)),
                Err(error) => self.damage.push(error.in_record(number)),
            }
        }
        // By id first: it tells apart what has one type and no name. Where no id fits, the first that is left.
        let mut found = vec![false; entries.len()];
        for by_id in [true, false] {
            for (entry, found) in entries.iter().zip(&mut found).filter(|(_, found)| !**found) {
                let fits = |attribute: &Attribute<'_>| {
                    is_that(entry, attribute) && (!by_id || entry.id == attribute.id)
                };
                let free = |taken: bool| by_id || !taken;
                if let Some((_, taken)) = there.iter_mut().find(|(one, taken)| free(*taken) && fits(one)) {
                    (*taken, *found) = (true, true);
                }
            }
        }
        for (attribute, named) in there {
            // A list has no list: this is what keeps a reader from going in circles.
            if named && attribute.kind != AttributeType::ATTRIBUTE_LIST {
                pieces.push(Piece { record: index, offset: attribute.offset });
            } else {
                let (what, expected) = ("type", "that of an attribute which the attribute list names");
                let (at, kind) = (attribute.offset as u64, attribute.kind.0);
                let error = Error::value("extension record", at, what, kind.into(), expected);
                self.damage.push(error.in_record(number));
            }
        }
        for (entry, _) in entries.iter().zip(found).filter(|(_, found)| !found) {
            self.hurt(lost(entry));
        }
        self.records.push(bytes);
        true
    }

    /// Makes names and streams of the attributes.
    fn assemble(&mut self, mut pieces: Vec<Piece>, damage: &mut Vec<Error>) {
        let records = std::mem::take(&mut self.records);
        let limits = self.volume.limits();
        let mut add = |error: Error| damage.push(error);
        let mut found = Vec::with_capacity(pieces.len());
        for piece in pieces.drain(..) {
            let record = records.get(piece.record).map(|record| &**record).unwrap_or_default();
            let Some(attribute) = Attributes::one(record, piece.offset) else { continue };
            match (attribute.kind, attribute.resident()) {
                (AttributeType::FILE_NAME, Some(value)) => match RawName::parse(value) {
                    Ok(name) => self.names.push(name.to_owned()),
                    Err(error) => add(error),
                },
                (AttributeType::STANDARD_INFORMATION, Some(value)) if self.information.is_none() => {
                    self.information = StandardInformation::parse(value);
                    if self.information.is_none() {
                        let len = value.len() as u64;
                        add(Error::truncated("$STANDARD_INFORMATION", 0, "it", 48, len));
                    }
                }
                (AttributeType::FILE_NAME | AttributeType::STANDARD_INFORMATION, _) => {
                    let expected = "one that is resident, and the only one";
                    add(Error::value(
                        "attribute",
                        attribute.offset as u64,
                        "type",
                        attribute.kind.0.into(),
                        expected,
                    ));
                }
                _ => found.push((piece.record, attribute)),
            }
        }
        if self.information.is_none() {
            let kind = AttributeType::STANDARD_INFORMATION;
            add(Error::new("MFT record", 0, Problem::Lost { kind }));
        }
        found.sort_by(|(_, a), (_, b)| order(a, b));
        let same = |a: &(usize, Attribute<'_>), b: &(usize, Attribute<'_>)| {
            a.1.kind == b.1.kind && a.1.name == b.1.name
        };
        for group in found.chunk_by(same) {
            self.streams.extend(Stream::assemble(group.iter().cloned(), &limits, &mut add));
        }
        drop(found);
        if !self.is_directory() && self.stream(AttributeType::INDEX_ROOT, &crate::directory::I30).is_some() {
            let expected = "those of a directory, since it has an index of names";
            damage.push(Error::value("MFT record", 22, "flags", u64::from(self.is_in_use()), expected));
        }
        self.records = records;
    }

    fn nothing(&self, what: &'static str) -> Error {
        Error::not_found("MFT record", what).in_record(self.reference.record())
    }
}

/// The order of attributes: type, name, VCN.
fn order(a: &Attribute<'_>, b: &Attribute<'_>) -> Ordering {
    a.kind
        .cmp(&b.kind)
        .then_with(|| utf16_units(a.name).cmp(utf16_units(b.name)))
        .then(a.lowest().cmp(&b.lowest()))
}

/// Whether an entry of a list means this attribute, as far as type, name and VCN tell.
fn is_that(entry: &Entry<'_>, attribute: &Attribute<'_>) -> bool {
    entry.kind == attribute.kind && entry.name == attribute.name && entry.lowest == attribute.lowest()
}

fn lost(entry: &Entry<'_>) -> Error {
    Error::new("attribute list", 0, Problem::Lost { kind: entry.kind })
}

/// What a file is.
impl File {
    /// Which file this is.
    #[must_use]
    pub fn reference(&self) -> FileReference {
        self.reference
    }

    /// The volume that it is on.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether it is there, and not a deleted file.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The attributes as Windows shows them. Whether there is a reparse point, the reparse point itself says.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        let on_disk = self.information.map(|information| information.attributes).unwrap_or_default();
        shown(on_disk, self.is_directory(), self.stream(AttributeType::REPARSE_POINT, &[]).is_some())
    }

    /// The four times; none where `$STANDARD_INFORMATION` is missing.
    #[must_use]
    pub fn times(&self) -> Times {
        self.information.map(|information| information.times).unwrap_or_default()
    }

    /// `$STANDARD_INFORMATION`, as it is on disk.
    #[must_use]
    pub fn standard_information(&self) -> Option<&StandardInformation> {
        self.information.as_ref()
    }

    /// Whether this is a directory whose names differ by case.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.is_directory() && self.information.is_some_and(|information| information.is_case_sensitive())
    }

    /// All `$FILE_NAME`s, 8.3 names among them, in the order in which they are stored.
    #[must_use]
    pub fn names(&self) -> &[FileName] {
        &self.names
    }

    /// The names, each with its 8.3 name. An 8.3 name that belongs to none is a link of its own.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let (mut links, alone) = pair(&self.names);
        links.extend(alone);
        links
    }

    /// What is wrong with the records of this file, and what is lost by it. Empty when all is well.
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        &self.damage
    }
}

/// What a file has.
impl File {
    /// The data streams, the unnamed one first. A directory has no unnamed one.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|stream| stream.kind() == AttributeType::DATA)
    }

    /// Every attribute but `$STANDARD_INFORMATION`, `$FILE_NAME` and `$ATTRIBUTE_LIST`, ordered by type and name.
    #[must_use]
    pub fn all_streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The attribute of this type and name (UTF-16 units), exactly.
    #[must_use]
    pub fn stream(&self, kind: AttributeType, name: &[u16]) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.kind() == kind && stream.name().units() == name)
    }

    /// Reads content from byte `offset` of a stream on: 0 only at its end. Past the valid data length it is zeros.
    ///
    /// # Errors
    /// Nothing can be read there: the image ends, the records are damaged, or the stream is encrypted or compressed in a
    /// way that this build does not know. When only later bytes cannot be read, the good ones come first and the error
    /// with the next call.
    pub fn read_at(&self, stream: &Stream, offset: u64, buf: &mut [u8]) -> Result<usize> {
        if let Some(overlay) = &self.overlay
            && wof::is_elsewhere(stream)
            && offset < stream.size()
        {
            return overlay.read_at(offset, buf).map_err(|error| error.in_record(self.reference.record()));
        }
        let read = stream.read_at(self.volume.device(), &self.records, offset, buf);
        read.map_err(|error| error.in_record(self.reference.record()))
    }

    /// Reads the clusters of a stream as they are, to the end of the last one: ciphertext of an encrypted stream,
    /// compressed units, what lies behind the valid data length. Holes are zeros.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at), but for encryption.
    pub fn read_raw_at(&self, stream: &Stream, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let read = stream.read_raw_at(self.volume.device(), &self.records, offset, buf);
        read.map_err(|error| error.in_record(self.reference.record()))
    }

    /// The whole value of a stream of `limit` bytes at the most.
    ///
    /// # Errors
    /// It is larger, or cannot be read to its end.
    pub fn read_all(&self, stream: &Stream, limit: u64) -> Result<Vec<u8>> {
        if stream.size() > limit {
            let error = Error::limit(stream.kind().name(), "its number of bytes", stream.size(), limit);
            return Err(error.in_record(self.reference.record()));
        }
        let mut value = vec![0; stream.size() as usize];
        let mut done = 0;
        while let Some(rest) = value.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += match self.read_at(stream, done as u64, rest)? {
                0 => return Err(self.nothing("more of it")),
                got => got,
            };
        }
        Ok(value)
    }

    /// The value of a stream that is in the records, from which it needs no reading; `None` for any other.
    #[must_use]
    pub fn resident(&self, stream: &Stream) -> Option<&[u8]> {
        stream.resident(&self.records)
    }

    /// Refuses a stream that has more clusters than the image: they overlap, and reading all of it could take for ever.
    pub(crate) fn check_clusters(&self, stream: &Stream) -> Result<()> {
        let (found, limit) = (stream.allocated(), self.volume.device().len());
        if found <= limit {
            return Ok(());
        }
        let error = Error::limit(stream.kind().name(), "its number of bytes in clusters", found, limit);
        Err(error.in_record(self.reference.record()))
    }

    /// The security descriptor, self-relative, byte for byte: that of the security id, else `$SECURITY_DESCRIPTOR`.
    ///
    /// # Errors
    /// The security id is not in `$Secure`, or the descriptor cannot be read. It is never made up.
    pub fn security(&self) -> Result<Option<Cow<'_, [u8]>>> {
        let here = |error: Error| error.in_record(self.reference.record());
        let mut unresolved = None;
        if let Some(id) = self.information.as_ref().and_then(StandardInformation::security_id) {
            match self.volume.security_descriptor(id) {
                Ok(descriptor) => return Ok(Some(Cow::Borrowed(descriptor))),
                Err(error) => unresolved = Some(error),
            }
        }
        match (self.stream(AttributeType::SECURITY_DESCRIPTOR, &[]), unresolved) {
            (Some(stream), _) => self.small(stream, MAX_SECURITY),
            (None, Some(error)) => Err(here(error)),
            (None, None) => Ok(None),
        }
    }

    /// `$EA`, byte for byte: the extended attributes as a list on disk ([`ea::parse_on_disk`]).
    ///
    /// # Errors
    /// It is larger than any, or cannot be read.
    pub fn eas_on_disk(&self) -> Result<Option<Cow<'_, [u8]>>> {
        self.small_of(AttributeType::EA, MAX_EA)
    }

    /// The extended attributes as a FILE_FULL_EA_INFORMATION list, as a backup stream carries them.
    ///
    /// # Errors
    /// `$EA` cannot be read, or is no list.
    pub fn eas(&self) -> Result<Option<Vec<u8>>> {
        let Some(list) = self.eas_on_disk()? else { return Ok(None) };
        let list = ea::on_disk_to_full(&list).map_err(|fault| {
            let expected = "a list of extended attributes";
            let error = Error::value("$EA", fault.offset, "an entry", list.len() as u64, expected);
            error.in_record(self.reference.record())
        })?;
        Ok((!list.is_empty()).then_some(list))
    }

    /// The reparse buffer, byte for byte.
    ///
    /// # Errors
    /// It is larger than any, or cannot be read.
    pub fn reparse(&self) -> Result<Option<Cow<'_, [u8]>>> {
        self.small_of(AttributeType::REPARSE_POINT, MAX_REPARSE)
    }

    /// The object id with its birth ids, which mostly are in `$Extend\$ObjId` only; zeros where they are nowhere.
    ///
    /// # Errors
    /// `$OBJECT_ID` or the index cannot be read.
    pub fn object_id(&self) -> Result<Option<ObjectId>> {
        let Some(value) = self.small_of(AttributeType::OBJECT_ID, 256)? else { return Ok(None) };
        let bytes = value.get(..value.len().min(ObjectId::LEN)).unwrap_or_default();
        let id = ObjectId::parse(bytes).map_err(|_| {
            let error = Error::truncated("$OBJECT_ID", 0, "it", 16, value.len() as u64);
            error.in_record(self.reference.record())
        })?;
        if bytes.len() == ObjectId::LEN {
            return Ok(Some(id));
        }
        Ok(Some(self.volume.birth_ids(id, self.reference)?.unwrap_or(id)))
    }

    /// `$EFS`, byte for byte: the keys of an encrypted file. Its ciphertext is read with
    /// [`read_raw_at`](Self::read_raw_at) from the streams that [are encrypted](Stream::is_encrypted).
    ///
    /// # Errors
    /// It is larger than any, or cannot be read.
    pub fn efs(&self) -> Result<Option<Cow<'_, [u8]>>> {
        const NAME: [u16; 4] = [b'$' as u16, b'E' as u16, b'F' as u16, b'S' as u16];
        let stream = self.stream(AttributeType::LOGGED_UTILITY_STREAM, &NAME);
        stream.map_or(Ok(None), |stream| self.small(stream, MAX_EFS))
    }

    fn small_of(&self, kind: AttributeType, limit: u64) -> Result<Option<Cow<'_, [u8]>>> {
        self.stream(kind, &[]).map_or(Ok(None), |stream| self.small(stream, limit))
    }

    /// A whole value, from the record where it is there.
    fn small(&self, stream: &Stream, limit: u64) -> Result<Option<Cow<'_, [u8]>>> {
        if stream.size() <= limit
            && let Some(value) = stream.resident(&self.records)
        {
            return Ok(Some(Cow::Borrowed(value)));
        }
        self.read_all(stream, limit).map(|value| Some(Cow::Owned(value)))
    }
}

/// A file is used from many threads.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Arc<File>>();
};
