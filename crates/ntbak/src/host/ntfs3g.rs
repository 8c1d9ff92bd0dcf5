/*!
What ntfs-3g shows and takes through extended attributes, and how a mount is recognised.

| attribute | value |
| --- | --- |
| `system.ntfs_acl` | self-relative security descriptor |
| `system.ntfs_attrib` | attributes, u32 in CPU order |
| `system.ntfs_times` | creation, write, access, change time: u64 each in CPU order; the last cannot be set |
| `system.ntfs_reparse_data` | reparse buffer |
| `system.ntfs_object_id` | 16 or 64 bytes |
| `system.ntfs_ea` | EAs in their on-disk form |
| `system.ntfs_dos_name` | 8.3 name |
| `system.ntfs_efsinfo` | what EFS keeps of an encrypted file; with `efs_raw` only |
| `ntfs.streams.list` | names of the named streams, separated by NUL; only with `streams_interface=windows` |

Source: ntfs-3g(8), and seen on mounts of ntfs-3g 2022.10.3. What is special about the order of things stands where the
order is made, in the sink.
*/

use ntbak_wire::record::Times;
use ntbak_wire::{FileAttributes, FileTime};
use rustix::io::Errno;

use crate::capability::{Capabilities, Facts};
use crate::error::{Error, Result};
use crate::host::node::Node;

pub(crate) const ACL: &str = "system.ntfs_acl";
pub(crate) const ATTRIBUTES: &str = "system.ntfs_attrib";
pub(crate) const TIMES: &str = "system.ntfs_times";
pub(crate) const REPARSE: &str = "system.ntfs_reparse_data";
pub(crate) const OBJECT_ID: &str = "system.ntfs_object_id";
pub(crate) const EA: &str = "system.ntfs_ea";
pub(crate) const DOS_NAME: &str = "system.ntfs_dos_name";
pub(crate) const EFS_INFO: &str = "system.ntfs_efsinfo";
pub(crate) const STREAMS: &str = "ntfs.streams.list";

/// The number by which FUSE file systems are known.
const FUSE_MAGIC: i128 = 0x6573_5546;

/// How named streams are reached on a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamsInterface {
    /// As `file:stream`.
    Windows,
    /// As extended attributes `user.stream`, of at most 64 KiB.
    Xattr,
    /// Not at all.
    None,
}

impl StreamsInterface {
    /// The value of the mount option `streams_interface`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Xattr => "xattr",
            Self::None => "none",
        }
    }
}

/// A mounted NTFS volume, as far as it can be told from one of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ntfs3gMount {
    /// How named streams are reached.
    pub streams: StreamsInterface,
    /// Encrypted files show as they are (`efs_raw`).
    pub efs_raw: bool,
}

impl Ntfs3gMount {
    /// Looks whether `node` is on an ntfs-3g mount. `around` is a node that is no link, for the same question: a link
    /// cannot have attributes of the `user` namespace.
    pub(crate) fn probe(node: &Node, around: &Node) -> Result<Option<Self>> {
        let file_system =
            rustix::fs::fstatfs(node.fd()).map_err(|error| Error::io("asking for the file system", error))?;
        if i128::from(file_system.f_type) != FUSE_MAGIC {
            return Ok(None);
        }
        match node.xattr(ACL) {
            Ok(Some(_)) => {}
            Ok(None) | Err(Errno::OPNOTSUPP | Errno::PERM | Errno::NOSYS) => return Ok(None),
            Err(error) => return Err(Error::io("reading the security descriptor", error)),
        }
        let streams = match (node.xattr(STREAMS), around.xattr("user.ntbak.probe")) {
            (Ok(_), _) => StreamsInterface::Windows,
            (Err(_), Ok(_)) => StreamsInterface::Xattr,
            (Err(_), Err(_)) => StreamsInterface::None,
        };
        // Without the option the answer is EPERM, whatever the file.
        let efs_raw = !matches!(node.xattr(EFS_INFO), Err(Errno::PERM));
        Ok(Some(Self { streams, efs_raw }))
    }

    /// What a file or directory can hold there.
    #[must_use]
    pub fn capabilities(&self, directory: bool) -> Capabilities {
        let mut can = Capabilities::everything()
            .without(Facts::CHANGED, "ntfs-3g sets the change time by itself")
            .without(Facts::VDL, "ntfs-3g cannot set a valid data length; zeros are written instead")
            .without(Facts::CASE_SENSITIVE, "ntfs-3g cannot mark a directory as case-sensitive")
            .without(Facts::SPARSE_FLAG, "ntfs-3g makes a stream sparse only by a hole in it")
            .without(Facts::LINUX, "an NTFS volume has no place for them");
        if !self.efs_raw {
            can = can.without(Facts::EFS, "the volume is mounted without efs_raw; mount it with -o efs_raw");
        }
        if !directory {
            can = can.without(
                Facts::COMPRESSION,
                "ntfs-3g compresses only what is made in a compressed directory",
            );
        }
        if self.streams == StreamsInterface::None {
            can = can.without(
                Facts::NAMED_STREAMS,
                "the volume is mounted without named streams; mount it with -o streams_interface=windows",
            );
        }
        can.attributes = FileAttributes::READONLY
            | FileAttributes::HIDDEN
            | FileAttributes::SYSTEM
            | FileAttributes::ARCHIVE
            | FileAttributes::TEMPORARY
            | FileAttributes::OFFLINE
            | FileAttributes::NOT_CONTENT_INDEXED;
        if directory {
            can.attributes |= FileAttributes::COMPRESSED;
        }
        can
    }

    /// What is missing in the mount options, and for what.
    #[must_use]
    pub fn advice(&self) -> Vec<&'static str> {
        let streams = match self.streams {
            StreamsInterface::Windows => None,
            StreamsInterface::Xattr => Some(
                "streams_interface=windows is missing: streams over 64 KiB, and those of reparse points, are out of reach",
            ),
            StreamsInterface::None => {
                Some("streams_interface=windows is missing: named streams are out of reach")
            }
        };
        let efs = "efs_raw is missing: encrypted files are out of reach";
        streams.into_iter().chain((!self.efs_raw).then_some(efs)).collect()
    }
}

/// The four times behind [`TIMES`].
pub(crate) fn times_from(value: &[u8]) -> Times {
    let time = |index: usize| {
        let bytes = value.as_chunks::<8>().0.get(index)?;
        Some(FileTime(i64::from_ne_bytes(*bytes)))
    };
    Times { created: time(0), written: time(1), accessed: time(2), changed: time(3) }
}

/// The value of [`TIMES`] that sets these times; where one is not known, `now` says what the file has.
pub(crate) fn times_to(times: &Times, now: &Times) -> Vec<u8> {
    [times.created.or(now.created), times.written.or(now.written), times.accessed.or(now.accessed)]
        .into_iter()
        .flat_map(|time| time.unwrap_or_default().0.to_ne_bytes())
        .collect()
}
