//! Whether a file can get a reparse point: the rules of `FSCTL_SET_REPARSE_POINT`.
//!
//! | rule | status in \[MS-FSA\] 2.1.5.10.37 | Win32 |
//! | --- | --- | --- |
//! | a mount point is a directory | `STATUS_NOT_A_DIRECTORY` | 267 |
//! | a directory is empty | `STATUS_DIRECTORY_NOT_EMPTY` | 145 |
//! | the file of a symbolic link is empty | `STATUS_IO_REPARSE_DATA_INVALID` | 4392 |
//! | a reparse point that is there has the same tag | `STATUS_IO_REPARSE_TAG_MISMATCH` | 4394 |
//! | and the same GUID | `STATUS_REPARSE_ATTRIBUTE_CONFLICT` | 4391 |
//!
//! Two rules are left out, by our choice. EAs and a reparse point do not exclude each other: files of WSL have both.
//! Privileges are a matter of the caller.

use super::ReparseBuffer;
use super::tag::ReparseTag;
use crate::object_id::Guid;
use crate::win32::Win32Error;

/// What the rules ask of the file that is to get a reparse point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct File {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a directory with entries.
    pub has_children: bool,
    /// Whether its unnamed stream has any bytes.
    pub has_data: bool,
    /// Tag and GUID of the reparse point that it has.
    pub existing: Option<(ReparseTag, Option<Guid>)>,
}

/// Why a file cannot get a reparse point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// A mount point for a file.
    #[error("a mount point needs a directory")]
    NotADirectory,
    /// A directory with entries.
    #[error("the directory is not empty")]
    DirectoryNotEmpty,
    /// A symbolic link for a file with data.
    #[error("a symbolic link needs an empty file")]
    FileNotEmpty,
    /// There is a reparse point with another tag.
    #[error("there is a reparse point with another tag")]
    TagMismatch,
    /// There is a reparse point with the same tag and another GUID.
    #[error("there is a reparse point with another GUID")]
    GuidMismatch,
}

impl Conflict {
    /// The Win32 error number that Windows gives.
    #[must_use]
    pub fn win32(self) -> Win32Error {
        match self {
            Self::NotADirectory => Win32Error::DIRECTORY,
            Self::DirectoryNotEmpty => Win32Error::DIR_NOT_EMPTY,
            Self::FileNotEmpty => Win32Error::INVALID_REPARSE_DATA,
            Self::TagMismatch => Win32Error::REPARSE_TAG_MISMATCH,
            Self::GuidMismatch => Win32Error::REPARSE_ATTRIBUTE_CONFLICT,
        }
    }
}

/// Checks whether Windows would set `buffer` on `file`, in the order of the table above.
///
/// Directories may have entries when the tag says so ([`ReparseTag::allows_children`]): \[MS-FSA\] makes no exception,
/// but the bit of \[MS-FSCC\] 2.1.2.1 has no other meaning, and directories of cloud files could not be restored otherwise.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_settable(buffer: &ReparseBuffer<'_>, file: File) -> Result<(), Conflict> {
    let tag = buffer.tag();
    if tag == ReparseTag::MOUNT_POINT && !file.is_directory {
        return Err(Conflict::NotADirectory);
    }
    if file.is_directory && file.has_children && !tag.allows_children() {
        return Err(Conflict::DirectoryNotEmpty);
    }
    if tag == ReparseTag::SYMLINK && !file.is_directory && file.has_data {
        return Err(Conflict::FileNotEmpty);
    }
    match file.existing {
        Some((existing, _)) if existing != tag => Err(Conflict::TagMismatch),
        Some((_, guid)) if guid != buffer.guid() => Err(Conflict::GuidMismatch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;

    #[test]
    fn bs_54_what_cannot_be_set_has_its_number() {
        let file = File::default();
        let data = File { has_data: true, ..file };
        let directory = File { is_directory: true, ..file };
        let full = File { has_children: true, ..directory };
        let tagged =
            |tag, guid: Option<u8>| File { existing: Some((tag, guid.map(|g| Guid([g; 16])))), ..file };
        let foreign = ReparseTag(0x123);

        for (tag, file, expected) in [
            (ReparseTag::MOUNT_POINT, directory, None),
            (ReparseTag::MOUNT_POINT, file, Some(267)),
            (ReparseTag::MOUNT_POINT, full, Some(145)),
            (ReparseTag::SYMLINK, file, None),
            (ReparseTag::SYMLINK, directory, None),
            (ReparseTag::SYMLINK, data, Some(4392)),
            (ReparseTag::SYMLINK, full, Some(145)),
            (ReparseTag::LX_SYMLINK, data, None),
            (ReparseTag::WOF, data, None),
            (ReparseTag::CLOUD_6, full, None),
            (foreign, full, Some(145)),
            (ReparseTag::SYMLINK, tagged(ReparseTag::SYMLINK, None), None),
            (ReparseTag::SYMLINK, tagged(ReparseTag::WOF, None), Some(4394)),
            (foreign, tagged(foreign, Some(7)), None),
            (foreign, tagged(foreign, Some(8)), Some(4391)),
        ] {
            let guid = (!tag.is_microsoft()).then_some(Guid([7; 16]));
            let bytes = build(tag, guid, b"").unwrap();
            let buffer = ReparseBuffer::parse(&bytes).unwrap();
            let number = check_settable(&buffer, file).err().map(|conflict| conflict.win32().0);
            assert_eq!(number, expected, "{tag} {file:?}");
        }
    }
}
