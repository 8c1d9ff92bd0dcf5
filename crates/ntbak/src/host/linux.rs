/*!
File systems of Linux other than ntfs-3g's: which one it is, and where a file's facts go there.

| file system | descriptor | attributes | creation time | EAs |
| --- | --- | --- | --- | --- |
| ordinary ones | `security.NTACL` or `user.NTACL` | `user.DOSATTRIB` | `user.DOSATTRIB` | `user.NAME` |
| ntfs3 of the kernel | `system.ntfs_security`, as it is | `system.ntfs_attrib`, u32 in CPU order | | `NAME`, whatever it is |
| cifs | `system.smb3_ntsd_full`, as it is | `user.cifs.dosattrib`, u32 in CPU order | `user.cifs.creationtime`, i64 | `user.NAME` |

Neither ntfs3 nor cifs shows named streams, reparse buffers or object ids. Source: the kernel's own documentation of both;
they were not seen on a mount here.
*/

use ntbak_wire::samba::{dosattrib, ntacl};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::host::node::Node;

/// Which file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinuxKind {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// Btrfs.
    Btrfs,
    /// tmpfs.
    Tmpfs,
    /// NTFS by the kernel's ntfs3.
    Ntfs3,
    /// An SMB share mounted by the kernel.
    Cifs,
    /// Another one.
    Other,
}

/// A file system that holds ordinary directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinuxFileSystem {
    /// Which it is.
    pub kind: LinuxKind,
    /// Users may set extended attributes.
    pub user_attributes: bool,
    /// This process may set those in which smbd believes a descriptor.
    pub security_attributes: bool,
    /// The most bytes of a name.
    pub longest_name: u64,
}

/// The attributes in which a file system itself has facts of Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// Descriptors, the best one first; the last are for reading only.
    pub(crate) security: &'static [&'static str],
    pub(crate) attributes: &'static str,
    pub(crate) created: Option<&'static str>,
    /// What stands before the name of an EA.
    pub(crate) ea_prefix: &'static str,
}

const NTFS3: Own = Own {
    security: &["system.ntfs_security"],
    attributes: "system.ntfs_attrib",
    created: None,
    ea_prefix: "",
};

const CIFS: Own = Own {
    security: &["system.smb3_ntsd_full", "system.smb3_ntsd", "system.smb3_acl"],
    attributes: "user.cifs.dosattrib",
    created: Some("user.cifs.creationtime"),
    ea_prefix: "user.",
};

impl LinuxKind {
    /// The file system that a node is on.
    pub(crate) fn of(node: &Node) -> Self {
        #[cfg(test)]
        if let Some(pretended) = crate::host::node::fault::pretended() {
            return pretended;
        }
        match rustix::fs::fstatfs(node.fd()).map(|found| i128::from(found.f_type)) {
            Ok(0xEF53) => Self::Ext,
            Ok(0x5846_5342) => Self::Xfs,
            Ok(0x9123_683E) => Self::Btrfs,
            Ok(0x0102_1994) => Self::Tmpfs,
            Ok(0x7366_746E) => Self::Ntfs3,
            Ok(0xFF53_4D42 | 0xFE53_4D42) => Self::Cifs,
            _ => Self::Other,
        }
    }

    /// Attributes of its own with facts of Windows.
    pub(crate) fn own(self) -> Option<Own> {
        match self {
            Self::Ntfs3 => Some(NTFS3),
            Self::Cifs => Some(CIFS),
            _ => None,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Ntfs3 => "ntfs3",
            Self::Cifs => "cifs",
            Self::Other => "Linux",
        }
    }
}

impl LinuxFileSystem {
    /// Looks at the file system of `node`, a directory.
    pub(crate) fn probe(node: &Node) -> Result<Self> {
        let found = rustix::fs::fstatvfs(node.fd());
        let found = found.map_err(|error| Error::io("asking for the file system", error))?;
        let takes = |name: &str| !matches!(node.xattr(name), Err(Errno::OPNOTSUPP | Errno::NOSYS));
        let user_attributes = takes("user.ntbak.probe");
        Ok(Self {
            kind: LinuxKind::of(node),
            user_attributes,
            security_attributes: rustix::process::geteuid().is_root() && takes(ntacl::NAME),
            longest_name: found.f_namemax,
        })
    }

    /// What goes into extended attributes here, where Samba or the file system itself finds it.
    #[must_use]
    pub fn in_attributes(&self) -> String {
        if let Some(own) = self.kind.own() {
            let security = own.security.first().unwrap_or(&"");
            return format!("the file system's own: {security}, {}, EAs", own.attributes);
        }
        if !self.user_attributes {
            return "nothing: the file system has none".to_owned();
        }
        let descriptor = if self.security_attributes { ntacl::NAME } else { ntacl::USER_NAME };
        let room = match self.kind {
            LinuxKind::Ext => "about 4 KiB of all this for each file",
            LinuxKind::Btrfs => "up to 16 KiB each",
            _ => "up to 64 KiB each",
        };
        let attributes = dosattrib::NAME;
        format!(
            "attributes and creation time ({attributes}), descriptor ({descriptor}), EAs, small streams, reparse points of files; {room}"
        )
    }

    /// What goes into the side file here.
    #[must_use]
    pub fn in_side_file(&self) -> &'static str {
        match self.kind {
            _ if self.kind.own().is_some() => {
                "named streams, reparse points, object ids, change time, 8.3 names, valid data length"
            }
            _ if self.user_attributes => {
                "change time, 8.3 names, object ids, valid data length, compression, large and sparse streams, and what finds no room in attributes"
            }
            _ => "everything but content, write and access time",
        }
    }
}
