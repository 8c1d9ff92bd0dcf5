//! The pass over `$MFT`: large pieces, each read and parsed by one thread into a part of its own.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Catalogue, CatalogueOptions, Counts, Entry, EntryFlags, NameEntry};
use crate::attribute::{Attribute, AttributeType, Form};
use crate::error::{Error, Result};
use crate::file::{Expect, File};
use crate::file_name::{Namespace, RawName};
use crate::mft;
use crate::record::{FileReference, Record};
use crate::standard_information::StandardInformation;
use crate::volume::{Volume, system_file};
use ntbak_wire::bytes::{u16_at, utf16_units};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// The most errors that are kept.
pub(super) const MAX_DAMAGE: usize = 10_000;
/// The largest bitmap that is compared: that of 2^32 records.
const MAX_BITMAP: u64 = 512 << 20;

/// Some records that follow each other.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first: u64,
    count: u64,
}

pub(super) fn scan(volume: &Volume, options: CatalogueOptions) -> Result<Catalogue> {
    let (pieces, lost) = pieces(volume);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = match volume.options().threads {
        0 => cores,
        threads => threads,
    };
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Part)>> = Mutex::default();
    let bitmap = bitmap(volume);
    let work = || {
        let mut bytes = vec![0; PIECE];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(index) else { break };
            let mut part = Part { options, ..Part::default() };
            part.read(volume, *piece, &bitmap, &mut bytes);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, part));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut parts = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.sort_unstable_by_key(|(index, _)| *index);
    join(parts.into_iter().map(|(_, part)| part).collect(), lost)
}

/// The pieces of `$MFT` that are there: holes hold no record, and nothing is behind the end of the image.
fn pieces(volume: &Volume) -> (Vec<Piece>, Vec<Error>) {
    let (mft, device) = (volume.mft(), volume.device());
    let size = mft.record_size as u64;
    let per_piece = (PIECE / mft.record_size) as u64;
    let (mut pieces, mut lost, mut next) = (Vec::new(), Vec::new(), 0);
    for run in mft.runs.iter() {
        let Some(lcn) = run.lcn else { continue };
        let there =
            device.len().saturating_sub(lcn << device.cluster_shift).min(run.len << device.cluster_shift);
        let start = run.vcn << device.cluster_shift;
        if there < run.len << device.cluster_shift && start + there < mft.records * size {
            let at = (lcn << device.cluster_shift) + there;
            let needed = (run.len << device.cluster_shift) - there;
            let problem = crate::error::Problem::ImageEnds { at, needed };
            lost.push(Error::new("$MFT", start + there, problem));
        }
        // A record that a run only begins is counted with it.
        let end = (start + there).div_ceil(size).min(mft.records);
        next = next.max(start / size);
        while next < end {
            let count = per_piece.min(end - next);
            pieces.push(Piece { first: next, count });
            next += count;
        }
    }
    (pieces, lost)
}

/// `$MFT`'s own bitmap; empty when it cannot be read, and then nothing is compared.
fn bitmap(volume: &Volume) -> Vec<u8> {
    let Ok(file) = volume.file_in_record(system_file::MFT) else { return Vec::new() };
    let stream = file.stream(AttributeType::BITMAP, &[]);
    // One larger than the records need is read as far as they need it.
    let size = volume.records().div_ceil(8).min(MAX_BITMAP);
    let Some(stream) = stream.filter(|stream| stream.size() >= size) else { return Vec::new() };
    let mut bytes = vec![0; size as usize];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(stream, done as u64, rest) {
            Ok(got) if got > 0 => done += got,
            _ => return Vec::new(),
        }
    }
    bytes
}

/// What one piece holds.
#[derive(Default)]
struct Part {
    options: CatalogueOptions,
    entries: Vec<Entry>,
    names: Vec<NameEntry>,
    units: Vec<u16>,
    counts: Counts,
    damage: Vec<Error>,
    extensions: Vec<(u32, FileReference)>,
}

impl Part {
    fn read(&mut self, volume: &Volume, piece: Piece, bitmap: &[u8], bytes: &mut [u8]) {
        let mft = volume.mft();
        let size = mft.record_size;
        let bytes = bytes.get_mut(..piece.count as usize * size).unwrap_or_default();
        let whole = volume.device().read_runs_exact(&mft.runs, piece.first * size as u64, bytes);
        // Most records have one name and few have others.
        self.entries.reserve(piece.count as usize);
        self.names.reserve(piece.count as usize);
        self.units.reserve(piece.count as usize * 16);
        for (number, record) in (piece.first..).zip(bytes.chunks_exact_mut(size)) {
            self.counts.records += 1;
            let read = match &whole {
                Ok(()) => self.fix(volume, number, record),
                // A part of the piece cannot be read: record by record it is seen which.
                Err(_) => mft.read(volume.device(), number, record, volume.options().salvage),
            };
            let marked = bitmap.get((number / 8) as usize).map(|byte| byte >> (number % 8) & 1 != 0);
            let in_use = match read {
                Ok(torn) => self.record(volume, number, record, torn),
                Err(error) => self.unreadable(record, error, whole.is_err()),
            };
            if marked.is_some_and(|marked| marked != in_use) {
                self.counts.bitmap_differs += 1;
            }
        }
    }

    fn fix(&self, volume: &Volume, number: u64, record: &mut [u8]) -> Result<bool> {
        let salvage = volume.options().salvage;
        match mft::fix(record, salvage) {
            // The first ones are in the mirror too.
            Err(_) if number < volume.geometry().mirrored_records() => {
                volume.mft().read(volume.device(), number, record, salvage)
            }
            fixed => fixed.map_err(|error| error.in_record(number)),
        }
    }

    /// Counts a record that cannot be read; answers whether it is in use.
    fn unreadable(&mut self, record: &[u8], error: Error, not_read: bool) -> bool {
        let never_used = matches!(error.problem, crate::error::Problem::NotFound { .. });
        let free = u16_at(record, 22).is_some_and(|flags| flags & 1 == 0);
        let is_record = matches!(record.first_chunk(), Some(b"FILE" | b"BAAD"));
        if never_used || is_record && free && !not_read {
            self.counts.free += u64::from(!never_used);
            return false;
        }
        self.lose(error);
        true
    }

    fn lose(&mut self, error: Error) {
        self.counts.damaged += 1;
        if self.damage.len() < MAX_DAMAGE {
            self.damage.push(error);
        }
    }

    /// Takes in one record; answers whether it is in use.
    fn record(&mut self, volume: &Volume, number: u64, bytes: &[u8], torn: bool) -> bool {
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(error) => return self.unreadable(bytes, error.in_record(number), false),
        };
        let in_use = record.in_use();
        if !in_use {
            // Formatted in advance, and never used.
            let empty = record.attributes().next().is_none();
            self.counts.free += u64::from(!empty);
            if empty || !self.options.deleted {
                return false;
            }
        }
        if record.base.0 != 0 {
            if in_use {
                self.counts.extensions += 1;
                // No more records than 32 bits count are read.
                self.extensions.push((number as u32, record.base));
            }
            return in_use;
        }
        self.counts.files += u64::from(in_use);
        let first_name = self.names.len();
        let mut entry = Entry {
            times: [0; 4],
            size: 0,
            // No more records than 32 bits count are read.
            record: number as u32,
            attributes: 0,
            security_id: 0,
            first_name: 0,
            sequence: record.sequence,
            names: 0,
            named_streams: 0,
            flags: EntryFlags::empty(),
        };
        entry.flags.set(EntryFlags::DIRECTORY, record.is_directory());
        entry.flags.set(EntryFlags::DELETED, !in_use);
        entry.flags.set(EntryFlags::DAMAGED, torn);
        for attribute in record.attributes() {
            match attribute {
                Ok(attribute) if attribute.kind == AttributeType::ATTRIBUTE_LIST => {
                    self.names.truncate(first_name);
                    self.several_records(volume, number, &mut entry);
                    break;
                }
                Ok(attribute) => self.attribute(&attribute, &mut entry),
                Err(_) => entry.flags |= EntryFlags::DAMAGED,
            }
        }
        entry.first_name = first_name as u32;
        entry.names = (self.names.len() - first_name).min(u16::MAX.into()) as u16;
        self.entries.push(entry);
        in_use
    }

    fn attribute(&mut self, attribute: &Attribute<'_>, entry: &mut Entry) {
        match (attribute.kind, &attribute.form) {
            (AttributeType::STANDARD_INFORMATION, Form::Resident { value, .. }) => {
                match StandardInformation::parse(value) {
                    Some(information) => entry.take(&information),
                    None => entry.flags |= EntryFlags::DAMAGED,
                }
            }
            (AttributeType::FILE_NAME, Form::Resident { value, .. }) => match RawName::parse(value) {
                Ok(name) => self.name(name.parent, name.namespace, utf16_units(name.name)),
                Err(_) => entry.flags |= EntryFlags::DAMAGED,
            },
            (kind, form) => {
                let size = match form {
                    Form::Resident { value, .. } => value.len() as u64,
                    Form::NonResident(piece) => piece.size,
                };
                entry.has(kind, attribute.name, size);
            }
        }
    }

    /// A file with an attribute list is opened, which checks what belongs to it.
    fn several_records(&mut self, volume: &Volume, number: u64, entry: &mut Entry) {
        let flags = entry.flags;
        let expect = if flags.contains(EntryFlags::DELETED) {
            Expect::Deleted(number)
        } else {
            Expect::Record(number)
        };
        entry.flags = flags & (EntryFlags::DIRECTORY | EntryFlags::DELETED | EntryFlags::DAMAGED);
        entry.flags |= EntryFlags::SEVERAL_RECORDS;
        (entry.size, entry.named_streams) = (0, 0);
        let Ok(file) = File::open(volume.clone(), expect) else {
            entry.flags |= EntryFlags::DAMAGED;
            return;
        };
        if let Some(information) = file.standard_information() {
            entry.take(information);
        }
        for name in file.names() {
            self.name(name.parent, name.namespace, name.name.units().iter().copied());
        }
        for stream in file.all_streams() {
            entry.has(stream.kind(), &stream.name().to_utf16_le(), stream.size());
        }
        entry.flags.set(EntryFlags::DAMAGED, !file.damage().is_empty());
    }

    fn name(&mut self, parent: FileReference, namespace: Namespace, name: impl Iterator<Item = u16>) {
        let start = self.units.len();
        self.units.extend(name);
        // A piece has fewer units than its bytes, and a name fewer than 256.
        let (start, len) = (start as u32, (self.units.len() - start) as u8);
        self.names.push(NameEntry {
            parent,
            entry: self.entries.len() as u32,
            start,
            len,
            namespace: namespace.0,
        });
    }
}

impl Entry {
    fn take(&mut self, information: &StandardInformation) {
        let times = information.times;
        self.times =
            [times.created, times.written, times.changed, times.accessed].map(|time| time.map_or(0, |t| t.0));
        self.attributes = information.attributes.bits();
        self.security_id = information.security_id().unwrap_or(0);
        let sensitive = self.is_directory() && information.is_case_sensitive();
        self.flags.set(EntryFlags::CASE_SENSITIVE, sensitive);
    }

    /// Notes an attribute with this name (UTF-16LE).
    fn has(&mut self, kind: AttributeType, name: &[u8], size: u64) {
        const EFS: &[u8] = b"$\0E\0F\0S\0";
        self.flags |= match kind {
            AttributeType::DATA if name.is_empty() => {
                self.size = size;
                return;
            }
            AttributeType::DATA => {
                self.named_streams = self.named_streams.saturating_add(1);
                return;
            }
            AttributeType::REPARSE_POINT => EntryFlags::REPARSE,
            AttributeType::EA => EntryFlags::EA,
            AttributeType::OBJECT_ID => EntryFlags::OBJECT_ID,
            AttributeType::SECURITY_DESCRIPTOR => EntryFlags::OWN_SECURITY,
            AttributeType::LOGGED_UTILITY_STREAM if name == EFS => EntryFlags::EFS,
            _ => return,
        };
    }
}

/// Makes one of all parts. Each is freed as soon as it is taken in, so nothing is held twice.
fn join(parts: Vec<Part>, lost: Vec<Error>) -> Result<Catalogue> {
    let total = |of: fn(&Part) -> usize| parts.iter().map(of).sum::<usize>();
    let (entries, names, units) =
        (total(|p| p.entries.len()), total(|p| p.names.len()), total(|p| p.units.len()));
    for (what, count) in [("files", entries), ("names", names), ("UTF-16 units of names", units)] {
        if u32::try_from(count).is_err() {
            return Err(Error::limit("$MFT", what, count as u64, u32::MAX.into()));
        }
    }
    let mut all = Catalogue { damage: lost, ..Catalogue::default() };
    all.entries.reserve_exact(entries);
    all.names.reserve_exact(names);
    all.units.reserve_exact(units);
    for part in parts {
        let (entry, name, unit) = (all.entries.len() as u32, all.names.len() as u32, all.units.len() as u32);
        all.entries.extend(part.entries.into_iter().map(|mut one| {
            one.first_name += name;
            one
        }));
        all.names.extend(part.names.into_iter().map(|mut one| {
            (one.entry, one.start) = (one.entry + entry, one.start + unit);
            one
        }));
        all.units.extend_from_slice(&part.units);
        all.extensions.extend(part.extensions);
        all.counts.add(part.counts);
        let room = MAX_DAMAGE.saturating_sub(all.damage.len());
        all.damage.extend(part.damage.into_iter().take(room));
    }
    Ok(all)
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.files += other.files;
        self.extensions += other.extensions;
        self.free += other.free;
        self.damaged += other.damaged;
        self.bitmap_differs += other.bitmap_differs;
    }
}
