/*!
What is known of a file, as records of an extended header: [`encode`] and [`decode`].

| fact | key | value |
| --- | --- | --- |
| last write, access, change time | `mtime`, `atime`, `ctime` | decimal seconds |
| creation time | `LIBARCHIVE.creationtime` | decimal seconds |
| attributes | `MSWINDOWS.fileattr` | decimal |
| security descriptor | `MSWINDOWS.rawsd` | base64; `MSWINDOWS.sd` (SDDL) is read where it is missing |
| extended attributes | `MSWINDOWS.xattr.NAME` | base64 of the value |
| the whole list of them | `NTBAK.ea` | base64, where the single values do not tell all |
| reparse point | `NTBAK.reparse` | base64 of the buffer |
| that it is a mount point | `MSWINDOWS.mountpoint` | `1` |
| object id | `NTBAK.objectid` | base64 |
| 8.3 name | `NTBAK.shortname` | WTF-8 |
| case-sensitive directory | `NTBAK.casesensitive` | `1` |
| file reference or inode | `NTBAK.fileid` | decimal |
| WOF-compressed, stored as it reads; then `NTBAK.reparse` is only for information | `NTBAK.wof` | `xpress4k`, `xpress8k`, `xpress16k`, `lzx` |
| what only NTFS itself uses of `$STANDARD_INFORMATION` | `NTBAK.si` | `owner=1 quota=2 usn=3 maxversions=4 version=5 class=6`, decimal, those that are not 0 |
| attributes of Linux | `SCHILY.xattr.NAME` | the bytes |
| owner on Linux | `uid`, `gid` | decimal |
| name of a stream | `NTBAK.stream` | base64 of UTF-16LE |
| sparse, compressed stream | `NTBAK.sparse`, `NTBAK.compressed` | `1` |
| valid data length | `NTBAK.vdl` | decimal |

A time that is missing in an archive of ours is one that the source did not have; elsewhere the field of the header
counts. A mode with type bits, as go-winio writes it, is that of a file of Windows, which has none.

Sources: go-winio `backuptar`; POSIX.1-2017 `pax`; `NTBAK.*` is our choice.
*/

pub(crate) mod decode;
pub(crate) mod encode;

use ntbak_wire::record::{FileInfo, NtfsFields, SmallKind};
use ntbak_wire::reparse::{ReparseBuffer, ReparseTag, Target, Wof, WofAlgorithm};

/// Owner, group and extended attributes of a file on Linux. They stand apart until [`ntbak_wire::record`] has a place
/// for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Linux {
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Everything about a file that stands before its content.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Facts {
    pub(crate) info: FileInfo,
    pub(crate) security: Option<Vec<u8>>,
    pub(crate) ea: Option<Vec<u8>>,
    pub(crate) reparse: Option<Vec<u8>>,
    pub(crate) object_id: Option<Vec<u8>>,
    pub(crate) linux: Linux,
}

impl Facts {
    /// The payload of this kind; a LINK has no place.
    pub(crate) fn small(&self, kind: SmallKind) -> Option<&Vec<u8>> {
        match kind {
            SmallKind::Security => self.security.as_ref(),
            SmallKind::Ea => self.ea.as_ref(),
            SmallKind::Reparse => self.reparse.as_ref(),
            SmallKind::ObjectId => self.object_id.as_ref(),
            SmallKind::Link => None,
        }
    }

    /// The place of a payload; `None` for a LINK.
    pub(crate) fn small_mut(&mut self, kind: SmallKind) -> Option<&mut Option<Vec<u8>>> {
        match kind {
            SmallKind::Security => Some(&mut self.security),
            SmallKind::Ea => Some(&mut self.ea),
            SmallKind::Reparse => Some(&mut self.reparse),
            SmallKind::ObjectId => Some(&mut self.object_id),
            SmallKind::Link => None,
        }
    }
}

/// The name of the algorithm of a WOF reparse buffer, when WOF compresses the file itself.
pub(crate) fn wof_algorithm(reparse: &[u8]) -> Option<&'static str> {
    match ReparseBuffer::parse(reparse).ok()?.target().ok()? {
        Target::Wof(Wof::File { algorithm }) => match algorithm {
            WofAlgorithm::XPRESS4K => Some("xpress4k"),
            WofAlgorithm::XPRESS8K => Some("xpress8k"),
            WofAlgorithm::XPRESS16K => Some("xpress16k"),
            WofAlgorithm::LZX => Some("lzx"),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn is_mount_point(reparse: &[u8]) -> bool {
    ReparseBuffer::parse(reparse).is_ok_and(|buffer| buffer.tag() == ReparseTag::MOUNT_POINT)
}

/// The names of the fields in `NTBAK.si`, with their values.
pub(crate) fn si_fields(fields: &NtfsFields) -> [(&'static str, u64); 6] {
    [
        ("owner", fields.owner_id.into()),
        ("quota", fields.quota_charged),
        ("usn", fields.usn),
        ("maxversions", fields.max_versions.into()),
        ("version", fields.version.into()),
        ("class", fields.class_id.into()),
    ]
}
