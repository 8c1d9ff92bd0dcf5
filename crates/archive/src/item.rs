//! What comes out of an archive.

use ntbak_wire::Name;
use ntbak_wire::record::{FileInfo, Record};

use crate::facts::Facts;
use crate::path::EntryPath;
use crate::remark::Remark;
use crate::volume::Volume;

/// A file or directory of an archive.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// Its path, with its flaws. Ask [`EntryPath::plain`] before anything is made of it.
    pub path: EntryPath,
    /// Where its header is: bytes of the uncompressed archive. [`Archive::read_at`](crate::Archive::read_at) takes it.
    pub offset: u64,
    /// Owner and group on Linux.
    pub owner: Option<(u32, u32)>,
    /// The algorithm with which WOF had compressed the content, which is stored as it reads: `xpress4k`, `xpress8k`,
    /// `xpress16k`, `lzx`.
    pub wof: Option<String>,
    /// Records of its extended header whose keys mean nothing here.
    pub unknown: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) facts: Facts,
}

impl Entry {
    /// Attributes, times and names.
    #[must_use]
    pub fn info(&self) -> &FileInfo {
        &self.facts.info
    }
}

/// Another name of a file that came before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkEntry {
    /// The name.
    pub path: EntryPath,
    /// The path of the file.
    pub target: EntryPath,
    /// The 8.3 name that goes with this name.
    pub short: Option<Name>,
}

/// What comes out of an archive, in this order for each file: `File`, then its `Record`s, [`Record::EndFile`] last. The
/// raw export of an encrypted file stands in place of its streams.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// The archive is one of ours; this is what it says about itself.
    Volume(&'a Volume),
    /// A file or directory begins.
    File(&'a Entry),
    /// The next fact about it, or piece of its content.
    Record(Record<'a>),
    /// An extended attribute of Linux that is no fact about a file of Windows.
    LinuxAttribute {
        /// The name, with its namespace.
        name: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// Its raw export begins; it has this many bytes. For a directory too.
    EfsRaw {
        /// Bytes.
        size: u64,
    },
    /// Bytes of the raw export.
    EfsBytes {
        /// Where in the export.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The raw export is complete.
    EndEfs,
    /// Another name of a file.
    Link(&'a LinkEntry),
    /// Something that could not be taken as it stands, or is worth telling.
    Remark(&'a Remark),
}

/// What an archive turned out to be, once it was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// It is one of ours.
    pub ours: bool,
    /// It has its end: of ours, the manifest with its closing line.
    pub complete: bool,
    /// Entries, those of streams and links included, the manifest not.
    pub entries: u64,
    /// Losses that are recorded in the manifest.
    pub losses: u64,
    /// Notes that are recorded in the manifest.
    pub notes: u64,
    /// Whether each entry was compared with the manifest.
    pub proven: bool,
    /// Faults that the comparison found; each came as a [`Remark`].
    pub faults: u64,
}
