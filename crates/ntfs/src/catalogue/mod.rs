/*!
The catalogue: what files a volume has, from one pass over `$MFT`.

`$MFT` is read once, in large pieces, by all cores. Names lead to directories by the references in `$FILE_NAME`, so no
directory is read, no index believed, and a file whose index is damaged is seen all the same. On Windows volumes this
gives the same paths as the indexes do.

A file takes 69 bytes, each of its names 32 and two for each UTF-16 unit.
*/

mod scan;
mod tree;

use bitflags::bitflags;
use ntbak_wire::record::Times;
use ntbak_wire::{FileAttributes, FileTime, Name};

use crate::error::{Error, Result};
use crate::file_name::{FileName, Link, Namespace, pair};
use crate::record::FileReference;
use crate::volume::{Volume, system_file};

pub use tree::{Place, Walk};

/// What of a volume a catalogue lists.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CatalogueOptions {
    /// Files that are deleted and whose record nobody has used since.
    pub deleted: bool,
}

impl CatalogueOptions {
    /// The same options, with deleted files or without.
    #[must_use]
    pub fn deleted(mut self, deleted: bool) -> Self {
        self.deleted = deleted;
        self
    }
}

/// All files of a volume.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Ordered by record.
    entries: Vec<Entry>,
    /// In the order of their entries.
    names: Vec<NameEntry>,
    /// The UTF-16 units of all names.
    units: Vec<u16>,
    tree: tree::Tree,
    counts: Counts,
    damage: Vec<Error>,
    /// Extension records in use, each with the base record that it names.
    extensions: Vec<(u32, FileReference)>,
}

/// A file in a [`Catalogue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A name in a [`Catalogue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u32);

/// What the catalogue knows of a file.
#[derive(Debug, Clone)]
pub struct Entry {
    times: [i64; 4],
    size: u64,
    record: u32,
    attributes: u32,
    security_id: u32,
    first_name: u32,
    sequence: u16,
    names: u16,
    named_streams: u16,
    flags: EntryFlags,
}

bitflags! {
    /// What a file is and has.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct EntryFlags: u16 {
        /// A directory.
        const DIRECTORY = 1 << 0;
        /// Deleted: what it had may belong to others now.
        const DELETED = 1 << 1;
        /// Has several records.
        const SEVERAL_RECORDS = 1 << 2;
        /// Has a reparse point.
        const REPARSE = 1 << 3;
        /// Has extended attributes.
        const EA = 1 << 4;
        /// Has an object id.
        const OBJECT_ID = 1 << 5;
        /// Has `$EFS`: is encrypted.
        const EFS = 1 << 6;
        /// Its records are damaged; [`File::damage`](crate::File::damage) says how.
        const DAMAGED = 1 << 7;
        /// A directory whose names differ by case.
        const CASE_SENSITIVE = 1 << 8;
        /// Has a security descriptor of its own, not in `$Secure`.
        const OWN_SECURITY = 1 << 9;
    }
}

#[derive(Debug, Clone)]
struct NameEntry {
    parent: FileReference,
    /// Which file it is a name of.
    entry: u32,
    /// Where in `units`.
    start: u32,
    len: u8,
    namespace: u8,
}

/// What was met on the way through `$MFT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records that were read.
    pub records: u64,
    /// Base records of files, deleted ones not counted.
    pub files: u64,
    /// Extension records in use.
    pub extensions: u64,
    /// Records that are free and were used once.
    pub free: u64,
    /// Records in use that cannot be read: each a file, or a part of one, that is lost.
    pub damaged: u64,
    /// Records of which `$MFT`'s bitmap says the contrary of what they say themselves.
    pub bitmap_differs: u64,
}

impl Volume {
    /// Reads `$MFT` once, and makes a catalogue of all files.
    ///
    /// # Errors
    /// The volume has more files or longer names than 32 bits count. Damage is no error: it is
    /// [counted](Catalogue::counts) and [told](Catalogue::damage).
    pub fn catalogue(&self, options: CatalogueOptions) -> Result<Catalogue> {
        let mut catalogue = scan::scan(self, options)?;
        catalogue.lose_parts_of_nothing();
        catalogue.tree = tree::Tree::build(&catalogue);
        Ok(catalogue)
    }
}

impl Entry {
    /// Which file this is, for [`Volume::file`].
    #[must_use]
    pub fn reference(&self) -> FileReference {
        FileReference::new(self.record.into(), self.sequence)
    }

    /// What it is and has.
    #[must_use]
    pub fn flags(&self) -> EntryFlags {
        self.flags
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.flags.contains(EntryFlags::DIRECTORY)
    }

    /// The attributes as Windows shows them.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        let on_disk = FileAttributes::from_bits_retain(self.attributes);
        crate::standard_information::shown(
            on_disk,
            self.is_directory(),
            self.flags.contains(EntryFlags::REPARSE),
        )
    }

    /// The four times.
    #[must_use]
    pub fn times(&self) -> Times {
        let [created, written, changed, accessed] = self.times.map(|time| Some(FileTime(time)));
        Times { created, written, accessed, changed }
    }

    /// Size in bytes of the unnamed stream.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many named data streams it has.
    #[must_use]
    pub fn named_streams(&self) -> u16 {
        self.named_streams
    }

    /// The id of its security descriptor in `$Secure`, 0 when it has none there.
    #[must_use]
    pub fn security_id(&self) -> u32 {
        self.security_id
    }
}

impl Catalogue {
    /// Extension records whose file is not there, or has no other records: what they hold, or the whole file when its base
    /// record was taken for one of them, is lost.
    fn lose_parts_of_nothing(&mut self) {
        for (record, base) in std::mem::take(&mut self.extensions) {
            let file = self.find(base).and_then(|id| self.entry(id));
            if file.is_some_and(|file| file.flags.contains(EntryFlags::SEVERAL_RECORDS)) {
                continue;
            }
            self.counts.damaged += 1;
            if self.damage.len() < scan::MAX_DAMAGE {
                let error = Error::not_found("MFT record", "file that it is a part of");
                self.damage.push(error.at(32).in_record(record.into()));
            }
        }
    }

    /// How many files it has, system files and what is out of the tree among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was met on the way through `$MFT`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Records that could not be read, the first 10,000 of them.
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        &self.damage
    }

    /// Every file, in the order of their records: also system files and what is out of the tree.
    pub fn all(&self) -> impl Iterator<Item = (FileId, &Entry)> {
        self.entries.iter().enumerate().map(|(id, entry)| (FileId(id as u32), entry))
    }

    /// The files of the tree, root included, in the order of their records: no system files, no deleted ones, no orphans.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &Entry)> {
        self.all().filter(|(id, _)| self.place(*id) == Place::Tree)
    }

    /// The file with this id; `None` for one of another catalogue.
    #[must_use]
    pub fn entry(&self, file: FileId) -> Option<&Entry> {
        self.entries.get(file.0 as usize)
    }

    /// The file of this reference. The record of the root is never another file's, so its sequence number says nothing:
    /// one that is damaged does not cost all that is below.
    #[must_use]
    pub fn find(&self, reference: FileReference) -> Option<FileId> {
        let id = self.find_record(reference.record())?;
        let is_root = reference.record() == system_file::ROOT;
        self.entry(id).filter(|entry| is_root || entry.sequence == reference.sequence()).map(|_| id)
    }

    /// The file whose base record has this number.
    #[must_use]
    pub fn find_record(&self, record: u64) -> Option<FileId> {
        let record = u32::try_from(record).ok()?;
        // Most records are in use, so the place is near to the number, and never behind it.
        let near = |at: usize| self.entries.get(at).is_some_and(|entry| entry.record == record).then_some(at);
        let found = near(record as usize);
        let found = found.or_else(|| self.entries.binary_search_by_key(&record, |entry| entry.record).ok());
        found.map(|at| FileId(at as u32))
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> Option<FileId> {
        self.find_record(system_file::ROOT)
    }

    /// The names of a file, 8.3 names among them.
    pub fn names(&self, file: FileId) -> impl Iterator<Item = NameId> + use<> {
        let (first, count) = self.entry(file).map_or((0, 0), |entry| (entry.first_name, entry.names.into()));
        (first..first + count).map(NameId)
    }

    /// The UTF-16 units of a name.
    #[must_use]
    pub fn name(&self, name: NameId) -> &[u16] {
        let entry = self.names.get(name.0 as usize);
        let units = entry.and_then(|entry| {
            let start = entry.start as usize;
            self.units.get(start..start + usize::from(entry.len))
        });
        units.unwrap_or_default()
    }

    /// The namespace of a name.
    #[must_use]
    pub fn namespace(&self, name: NameId) -> Namespace {
        Namespace(self.names.get(name.0 as usize).map_or(0, |entry| entry.namespace))
    }

    /// The file that a name is one of.
    #[must_use]
    pub fn file_of(&self, name: NameId) -> Option<FileId> {
        self.names.get(name.0 as usize).map(|entry| FileId(entry.entry))
    }

    /// The names of a file with their 8.3 names, as [`File::links`](crate::File::links) gives them.
    #[must_use]
    pub fn links(&self, file: FileId) -> Vec<Link> {
        let parent = |id: NameId| self.names.get(id.0 as usize).map(|entry| entry.parent).unwrap_or_default();
        let units = |id: NameId| Name::from_units(self.name(id).to_vec());
        let mut names = self.names(file);
        // Most files have one, which has nothing to be put to.
        if let (Some(only), None) = (names.next(), names.next()) {
            return vec![Link { parent: parent(only), name: units(only), short: None }];
        }
        let name = |id| FileName { parent: parent(id), namespace: self.namespace(id), name: units(id) };
        let names: Vec<FileName> = self.names(file).map(name).collect();
        let (mut links, alone) = pair(&names);
        links.extend(alone);
        links
    }
}

/// An entry has no padding, and stays within what the documentation says.
const _: () = assert!(size_of::<Entry>() == 64 && size_of::<NameEntry>() == 24);
