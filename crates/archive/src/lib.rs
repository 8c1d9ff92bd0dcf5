/*!
The archive of ntbak: an open format that keeps everything Windows knows about a file, and proves it.

An archive is a PAX tar, plain or in zstd, that GNU tar, bsdtar, Python and Go read. Facts of Windows stand in extended
headers, alternate data streams are entries behind their file, and the last entry lists a BLAKE3 hash of every other.

| module | what is in it |
| --- | --- |
| [`ArchiveWriter`] | records of one file after the other into an archive, forward only |
| [`ArchiveReader`] | an archive (any tar) into records, forward only, out of a pipe |
| [`Archive`] | list and single files of an archive that can be sought in |
| [`verify`] | proves an archive against its manifest |
| [`zstd`] | independent frames on all cores, with a seek table |

What travels is the vocabulary of [`ntbak_wire::record`]. The crate knows nothing of where files come from or go to, has
no `unsafe`, prints nothing, and never panics on input; what it holds in memory is bounded by [`Limits`].
*/
#![forbid(unsafe_code)]

mod archive;
mod content;
mod error;
mod facts;
mod item;
mod keys;
mod limits;
mod manifest;
mod path;
mod proof;
mod read;
mod reader;
mod remark;
mod tar;
mod time;
mod verify;
mod volume;
mod writer;
pub mod zstd;

pub use archive::{Archive, Entries};
pub use error::{Error, Problem, Result};
pub use item::{Entry, Item, LinkEntry, Summary};
pub use limits::Limits;
pub use manifest::read::ManifestEntry;
pub use manifest::write::Spool;
pub use path::{EntryPath, PathFlaws};
pub use reader::ArchiveReader;
pub use remark::Remark;
pub use verify::{Kind, OpenSource, SeekSource, kind, open, verify};
pub use volume::{FORMAT, Source, Volume};
pub use writer::{ArchiveWriter, Fragment};
