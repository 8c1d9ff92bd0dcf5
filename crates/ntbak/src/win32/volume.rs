//! What the functions need of a place with files in it: a tree of nodes, by exact names, one step at a time.
//!
//! A volume knows nothing of paths, links and letters: [`Drives`](super::Drives) finds the way, and it finds the same
//! way on every volume. A volume that is only read answers the first half of [`Node`].

use std::any::Any;
use std::sync::Arc;

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, SmallKind, Times};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::sink::FileSink;
use crate::source::FileSource;
use crate::win32::fold;

/// A place in which files have names.
pub trait Volume: Send + Sync {
    /// The root directory.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn root(&self) -> Result<Arc<dyn Node>>;

    /// A name in upper case: two names that are the same then are the same name.
    fn upper(&self, name: &Name) -> Name {
        fold::upper(name)
    }
}

impl Volume for Box<dyn Volume> {
    fn root(&self) -> Result<Arc<dyn Node>> {
        (**self).root()
    }

    fn upper(&self, name: &Name) -> Name {
        (**self).upper(name)
    }
}

/// A file within a process: device and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub u64, pub u64);

/// What `GetVolumeInformation` tells.
#[derive(Debug, Clone)]
pub struct VolumeFacts {
    /// The label.
    pub label: Name,
    /// The serial number.
    pub serial: u64,
    /// What people call the file system.
    pub file_system: String,
    /// The most UTF-16 units of a name.
    pub longest_name: u32,
    /// What a file holds there.
    pub can: Capabilities,
    /// A file may have more than one name.
    pub hard_links: bool,
    /// Nothing can be written.
    pub read_only: bool,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name: WTF-8 on NTFS, any bytes on Linux.
    pub name: Vec<u8>,
    /// The number of the file ([`Identity`]'s second), where it costs nothing.
    pub number: Option<u64>,
}

/// What the index of a directory says of a name.
pub enum Indexed {
    /// It has none: its names are to be looked through.
    Unknown,
    /// There is no such name.
    Missing,
    /// The name as it is there, and what has it.
    Found(Vec<u8>, Arc<dyn Node>),
}

/// The names on the way from the root of a volume to a file.
pub type Way = Vec<Vec<u8>>;

/// A file or directory of a volume, whatever its name.
pub trait Node: Send + Sync + 'static {
    /// Which file it is.
    fn identity(&self) -> Identity;

    /// Whether it has FILE_ATTRIBUTE_DIRECTORY.
    fn is_directory(&self) -> bool;

    /// The file as it is now, for reading.
    ///
    /// # Errors
    /// It cannot be read.
    fn source(&self) -> Result<Box<dyn FileSource>>;

    /// Whether all of the file can be read: what is lost of it on its volume is not left out in silence.
    ///
    /// # Errors
    /// 1392 when it is damaged.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The reparse buffer, if it has one.
    ///
    /// # Errors
    /// It cannot be read.
    fn reparse(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.source()?.small(SmallKind::Reparse)?.map(std::borrow::Cow::into_owned))
    }

    /// What the volume is.
    ///
    /// # Errors
    /// It cannot be asked.
    fn volume_facts(&self) -> Result<VolumeFacts>;

    /// What a file, or a directory, can hold here.
    fn capabilities(&self, directory: bool) -> Capabilities {
        let _ = directory;
        Capabilities::everything()
    }

    /// The node with exactly this name in this directory; a link is not followed.
    ///
    /// # Errors
    /// The directory cannot be searched. No directory, no such name: `None`.
    fn child(&self, name: &[u8]) -> Result<Option<Arc<dyn Node>>>;

    /// The node whose name is `name` as the volume compares names, 8.3 names too, where the directory knows that without a
    /// look at each; a link is not followed.
    ///
    /// # Errors
    /// The directory cannot be searched.
    fn indexed(&self, name: &Name) -> Result<Indexed> {
        let _ = name;
        Ok(Indexed::Unknown)
    }

    /// The node of an entry that [`entries`](Self::entries) gave; `None` when it is gone.
    ///
    /// # Errors
    /// It cannot be opened.
    fn entry(&self, entry: &Entry) -> Result<Option<Arc<dyn Node>>> {
        self.child(&entry.name)
    }

    /// All names of the file, as ways from the root, where the volume keeps them.
    ///
    /// # Errors
    /// A directory of them cannot be read.
    fn ways(&self) -> Result<Option<Vec<Way>>> {
        Ok(None)
    }

    /// Whether nothing can be written to the volume.
    fn is_read_only(&self) -> bool {
        false
    }

    /// The names in this directory, in any order.
    ///
    /// # Errors
    /// It cannot be read, or is none (267).
    fn entries(&self) -> Result<Vec<Entry>>;

    /// Whether names in this directory differ by case.
    fn is_case_sensitive(&self) -> bool {
        false
    }

    /// The 8.3 name by which the directory that it was found in knows it.
    fn short_name(&self) -> Option<Name> {
        None
    }

    /// The content of a data stream; `None` is the unnamed one. It is not made.
    ///
    /// # Errors
    /// 2 when there is no such stream.
    fn content(&self, stream: Option<&StreamName>, write: bool) -> Result<Box<dyn Content>>;

    /// The node itself, for those who know what it is.
    fn as_any(&self) -> &dyn Any;

    /// The file, to be written in place.
    ///
    /// # Errors
    /// It cannot be written.
    fn sink(&self) -> Result<Box<dyn FileSink>> {
        Err(read_only())
    }

    /// A new file or directory of this name, which appears whole with its commit, in place of one that is there.
    ///
    /// # Errors
    /// The directory cannot be written.
    fn stage(&self, name: &[u8], directory: bool) -> Result<Box<dyn FileSink>> {
        let _ = (name, directory);
        Err(read_only())
    }

    /// Makes an empty file, or a directory, in this directory.
    ///
    /// # Errors
    /// 183 when the name is there.
    fn create(&self, name: &[u8], directory: bool) -> Result<Arc<dyn Node>> {
        let _ = (name, directory);
        Err(read_only())
    }

    /// Takes a name out of this directory: that of `node`, or of nothing.
    ///
    /// # Errors
    /// 145 for a directory with something in it, 2 when the name is not there, or that of another file.
    fn remove(&self, name: &[u8], node: &dyn Node) -> Result<()> {
        let _ = (name, node);
        Err(read_only())
    }

    /// Gives `node`, which is here under `name`, another name in `to`, in place of a file of that name if `replace`.
    ///
    /// # Errors
    /// 183 when there is one and may not be replaced; 17 when `to` is on another volume.
    fn rename(&self, name: &[u8], node: &dyn Node, to: &dyn Node, new: &[u8], replace: bool) -> Result<()> {
        let _ = (name, node, to, new, replace);
        Err(read_only())
    }

    /// Gives `file` one more name, in this directory.
    ///
    /// # Errors
    /// 183 when the name is there, 17 when `file` is on another volume, 1142 for too many names.
    fn link(&self, name: &[u8], file: &dyn Node) -> Result<()> {
        let _ = (name, file);
        Err(read_only())
    }

    /// What an overwrite takes away (\[MS-FSA\] 2.1.5.1.2.1): content, named streams and EAs.
    ///
    /// # Errors
    /// It cannot be written.
    fn overwrite(&self) -> Result<()> {
        Err(read_only())
    }

    /// Sets attributes, and the times that are there.
    ///
    /// # Errors
    /// It cannot be written.
    fn set_basic(&self, attributes: Option<FileAttributes>, times: &Times) -> Result<()> {
        let _ = (attributes, times);
        Err(read_only())
    }

    /// Says of the unnamed stream that it is sparse, or not.
    ///
    /// # Errors
    /// It cannot be written.
    fn set_sparse(&self, sparse: bool) -> Result<()> {
        let _ = sparse;
        Err(read_only())
    }

    /// Takes the reparse point, or the object id, away.
    ///
    /// # Errors
    /// It cannot be written.
    fn remove_small(&self, kind: SmallKind) -> Result<()> {
        let _ = kind;
        Err(read_only())
    }

    /// Sets the object id, of which there is none.
    ///
    /// # Errors
    /// 52 when another file has it.
    fn set_object_id(&self, id: &ObjectId) -> Result<()> {
        let _ = id;
        Err(read_only())
    }

    /// Makes an empty named stream.
    ///
    /// # Errors
    /// The place has no named streams.
    fn make_stream(&self, name: &StreamName) -> Result<()> {
        let _ = name;
        Err(read_only())
    }

    /// Removes a named stream.
    ///
    /// # Errors
    /// 2 when it is not there.
    fn remove_stream(&self, name: &StreamName) -> Result<()> {
        let _ = name;
        Err(read_only())
    }

    /// The file has another name in another directory now: those who hold it keep it.
    fn moved(&self, to: &dyn Node, name: &[u8]) {
        let _ = (to, name);
    }
}

/// The content of one data stream, read and written by position.
pub trait Content: Send + Sync {
    /// Size in bytes.
    ///
    /// # Errors
    /// It cannot be asked.
    fn size(&self) -> Result<u64>;

    /// Reads; 0 bytes only at the end.
    ///
    /// # Errors
    /// It cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Writes all of it.
    ///
    /// # Errors
    /// It cannot be written.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let _ = (offset, data);
        Err(read_only())
    }

    /// Makes it shorter or longer; what is new reads as zeros.
    ///
    /// # Errors
    /// It cannot be written.
    fn set_size(&self, size: u64) -> Result<()> {
        let _ = size;
        Err(read_only())
    }

    /// Makes zeros of a range inside of the stream: a hole, where that is possible and wanted.
    ///
    /// # Errors
    /// It cannot be written.
    fn zero(&self, range: Extent, hole: bool) -> Result<()> {
        let _ = hole;
        let zeros = [0; 65_536];
        let mut offset = range.offset;
        while offset < range.end() {
            let len = usize::try_from(range.end() - offset).map_or(zeros.len(), |left| left.min(zeros.len()));
            self.write_at(offset, zeros.get(..len).unwrap_or_default())?;
            offset += len as u64;
        }
        Ok(())
    }
}

/// Why nothing is written to a volume that is only read.
pub(super) fn read_only() -> Error {
    Error::new(Win32Error::WRITE_PROTECT, "the volume is only read")
}
