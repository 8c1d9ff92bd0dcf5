/*!
What travels between a source and a sink: one typed, forward-only sequence of [`Record`]s.

```text
File ─► LinuxAttribute* ─► Small* ─► (Stream ─► (Block? ─► Bytes*)* ─► EndStream)* ─► EndFile
File ─► LinuxAttribute* ─► Small* ─►  EfsRaw ─► Bytes*                ─► EndStream  ─► EndFile
```

`Small` records may also stand between and after streams. The 20-byte headers of a backup stream exist only in
[`stream`](crate::stream); basic information (attributes, times, names) is a record too, although no backup stream
has a place for it.
*/

use std::borrow::Cow;

use bitflags::bitflags;

use crate::attributes::FileAttributes;
use crate::filetime::FileTime;
use crate::name::Name;
use crate::stream::{StreamId, StreamName};

/// One fact about a file, or a piece of its content.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A file or directory begins: attributes, times, names. Absent in what came from a backup stream.
    File(&'a FileInfo),
    /// A payload that is only useful whole.
    Small(SmallKind, Cow<'a, [u8]>),
    /// An extended attribute of Linux that is no fact about a Windows file: a POSIX ACL, a file capability.
    LinuxAttribute {
        /// The name, namespace included.
        name: Cow<'a, [u8]>,
        /// The value, at most 64 KiB.
        value: Cow<'a, [u8]>,
    },
    /// The raw export of an encrypted file begins ([`crate::efs`]), in place of its data streams: `Bytes` from 0 without
    /// gaps follow, and an `EndStream` with its size.
    EfsRaw {
        /// Its size in bytes, where that is known before.
        size: Option<u64>,
    },
    /// A data stream begins.
    Stream(&'a StreamHead),
    /// An allocated range of a sparse stream begins; the `Bytes` that follow lie in it.
    Block(Extent),
    /// Content of the current stream.
    Bytes {
        /// Where in the stream.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The current stream is complete and has this size in bytes; what no `Bytes` covered reads as zeros.
    EndStream {
        /// The size. For a stream that [amends](StreamHead::amend) another: the least size.
        size: u64,
    },
    /// The file is complete.
    EndFile,
}

/// Payloads that are kept and applied whole, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SmallKind {
    /// A self-relative security descriptor.
    Security,
    /// A FILE_FULL_EA_INFORMATION list.
    Ea,
    /// A reparse buffer.
    Reparse,
    /// A 64-byte FILE_OBJECTID_BUFFER.
    ObjectId,
    /// The path of a file to make a hard link to; only `BackupWrite` meets it.
    Link,
}

impl SmallKind {
    /// Every kind, in the order in which ntbak writes them.
    pub const ALL: [Self; 5] = [Self::Security, Self::Ea, Self::Reparse, Self::ObjectId, Self::Link];

    /// The stream id of this payload.
    #[must_use]
    pub fn stream_id(self) -> StreamId {
        match self {
            Self::Security => StreamId::SecurityData,
            Self::Ea => StreamId::EaData,
            Self::Reparse => StreamId::ReparseData,
            Self::ObjectId => StreamId::ObjectId,
            Self::Link => StreamId::Link,
        }
    }

    /// The kind of payload behind a stream id, if it is a small one.
    #[must_use]
    pub fn from_stream_id(id: StreamId) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.stream_id() == id)
    }

    /// The most bytes that such a payload may have; a larger one is refused before anything is allocated for it.
    ///
    /// Security: four times the 64 KiB of an ACL, and what Samba takes. EA: 64 KiB packed, plus alignment. Reparse:
    /// \[MS-FSCC\] 2.1.2. Link: 32,768 UTF-16 units.
    #[must_use]
    pub fn max_len(self) -> u64 {
        match self {
            Self::Security => 262_144,
            Self::Ea => 131_072,
            Self::Reparse => 16_384,
            Self::ObjectId => 64,
            Self::Link => 65_536,
        }
    }
}

/// Basic information about a file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileInfo {
    /// Attributes, as Windows would show them.
    pub attributes: FileAttributes,
    /// The four times.
    pub times: Times,
    /// Which file this is within its source; two names with the same node are hard links.
    pub node: NodeId,
    /// The names that the source knows of this file, at least the one by which it was opened.
    pub links: Vec<Link>,
    /// How many names the file has, short names not counted; 0 when the source cannot tell.
    pub link_count: u32,
    /// A directory whose names differ by case.
    pub case_sensitive: bool,
    /// The permission bits of a file on Linux, which no Windows file has.
    pub unix_mode: Option<u32>,
    /// The user and group that a file on Linux belongs to, by number.
    pub unix_owner: Option<(u32, u32)>,
    /// The reparse buffer of a file that Windows had compressed as a whole (WOF), and that is given as the plain file
    /// it reads as. For information.
    pub wof: Option<Vec<u8>>,
    /// What `$STANDARD_INFORMATION` has beside attributes, times and security id; `None` where all of it is 0. For
    /// information.
    pub ntfs: Option<NtfsFields>,
}

/// Fields of `$STANDARD_INFORMATION` that mean something only on the volume they are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtfsFields {
    /// Who is charged for it, in `$Quota`.
    pub owner_id: u32,
    /// Bytes that are charged.
    pub quota_charged: u64,
    /// Its last entry in the change journal.
    pub usn: u64,
    /// Maximum number of versions.
    pub max_versions: u32,
    /// Version.
    pub version: u32,
    /// Class id.
    pub class_id: u32,
}

impl FileInfo {
    /// The 8.3 name of the first link.
    #[must_use]
    pub fn short_name(&self) -> Option<&Name> {
        self.links.first()?.short.as_ref()
    }

    /// The same without the names, but for the 8.3 name of the first link: what an archive keeps beside the path.
    #[must_use]
    pub fn without_names(&self) -> Self {
        let Self {
            attributes, times, node, links: _, link_count, case_sensitive, unix_mode, unix_owner, ..
        } = *self;
        let short = self.short_name().cloned();
        let link =
            short.map(|short| Link { parent: NodeId::default(), name: Vec::new(), short: Some(short) });
        let (links, wof, ntfs) = (link.into_iter().collect(), self.wof.clone(), self.ntfs);
        Self { attributes, times, node, links, link_count, case_sensitive, unix_mode, unix_owner, wof, ntfs }
    }
}

/// A file within its source: an NTFS file reference, an inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub u64);

/// One name of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// The directory it is in.
    pub parent: NodeId,
    /// The name: WTF-8 from NTFS, any bytes from Linux.
    pub name: Vec<u8>,
    /// Its 8.3 name.
    pub short: Option<Name>,
}

/// The four times of a file; `None` where the source does not have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Times {
    /// When the file was made.
    pub created: Option<FileTime>,
    /// When its content was last written.
    pub written: Option<FileTime>,
    /// When its content was last read.
    pub accessed: Option<FileTime>,
    /// When anything about it last changed.
    pub changed: Option<FileTime>,
}

/// What is known of a data stream before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The name; `None` is the unnamed stream.
    pub name: Option<StreamName>,
    /// Size in bytes. When it is not known yet ([`Extents::Unknown`] from a backup stream) 0; the `EndStream` tells.
    pub size: u64,
    /// Valid data length in bytes: everything past it reads as zeros and was never written. At most `size`.
    pub vdl: u64,
    /// How it is stored.
    pub flags: StreamFlags,
    /// Where its content lies.
    pub extents: Extents,
    /// The content goes over what the stream already has, instead of replacing it. Only a lone SPARSE_BLOCK of a
    /// backup stream makes such a head.
    pub amend: bool,
}

impl StreamHead {
    /// An ordinary stream of `size` bytes, all valid.
    #[must_use]
    pub fn plain(name: Option<StreamName>, size: u64) -> Self {
        Self { name, size, vdl: size, flags: StreamFlags::empty(), extents: Extents::All, amend: false }
    }
}

bitflags! {
    /// How a data stream is stored.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StreamFlags: u8 {
        /// Sparse: may have holes.
        const SPARSE = 0x1;
        /// Compressed by NTFS.
        const COMPRESSED = 0x2;
        /// Encrypted by EFS.
        const ENCRYPTED = 0x4;
    }
}

/// Where the content of a stream lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extents {
    /// Everywhere: all bytes from 0 follow, without `Block` records.
    All,
    /// In these ranges, ascending and disjoint; each comes as a `Block`.
    Known(Vec<Extent>),
    /// In the ranges that will come as `Block` records.
    Unknown,
}

/// A range of bytes in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

impl Extent {
    /// The first byte after it.
    #[must_use]
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}
