/*!
What a file is: `GetFileAttributes`, `GetFileInformationByHandle(Ex)`, `GetFileTime`, `SetFileAttributes`, `SetFileTime`,
`SetFileInformationByHandle`.

| class | function |
| --- | --- |
| FileBasicInfo | [`get_basic_info`], [`set_basic_info`] |
| FileStandardInfo | [`get_standard_info`] |
| FileAttributeTagInfo | [`get_attribute_tag_info`] |
| FileIdInfo | [`get_id_info`] |
| FileStreamInfo | [`find_streams`](super::find_streams) |
| FileDispositionInfo | [`System::set_disposition`] |
| FileEndOfFileInfo | [`set_end_of_file_info`] |
| FileRenameInfo | [`System::rename`](super::System::rename) |

A time of 0 is left as it is (\[MS-FSCC\] 2.4.7), and so is −1: times are never withheld from later writes here.
*/

use ntbak_wire::record::Times;
use ntbak_wire::{FileAttributes, FileTime, Win32Error};

use crate::error::{Error, Result};
use crate::win32::change::refuse_read_only;
use crate::win32::create_file::SETTABLE;
use crate::win32::facts::{NodeFacts, allocation};
use crate::win32::file_io;
use crate::win32::handle::Inner;
use crate::win32::host_content::Rewritten;
use crate::win32::open_files::Deletion;
use crate::win32::resolve::Follow;
use crate::win32::{Access, Handle, Node, Share, System, fold};

/// FILE_BASIC_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicInfo {
    /// When it was made.
    pub created: FileTime,
    /// When its content was last read.
    pub accessed: FileTime,
    /// When its content was last written.
    pub written: FileTime,
    /// When anything about it last changed.
    pub changed: FileTime,
    /// Its attributes; 0 leaves them as they are, NORMAL stands for none.
    pub attributes: FileAttributes,
}

/// FILE_STANDARD_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardInfo {
    /// Bytes that the stream takes on the volume; where that is not known, in clusters of 4 KiB.
    pub allocation_size: u64,
    /// Bytes of the stream.
    pub end_of_file: u64,
    /// How many names the file has.
    pub number_of_links: u32,
    /// It goes when its last handle closes.
    pub delete_pending: bool,
    /// It is a directory.
    pub directory: bool,
}

/// BY_HANDLE_FILE_INFORMATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByHandleFileInformation {
    /// Attributes and times.
    pub basic: BasicInfo,
    /// The serial number of the volume, its lower 32 bits.
    pub volume_serial_number: u32,
    /// Bytes of the unnamed stream.
    pub file_size: u64,
    /// How many names the file has.
    pub number_of_links: u32,
    /// What tells the file from others of its volume.
    pub file_index: u64,
}

/// FILE_ID_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdInfo {
    /// The serial number of the volume.
    pub volume_serial_number: u64,
    /// What tells the file from others of its volume.
    pub file_id: [u8; 16],
}

/// `GetFileInformationByHandle`.
///
/// # Errors
/// The file cannot be read.
pub fn get_file_information_by_handle(file: &Handle) -> Result<ByHandleFileInformation> {
    let inner = file.inner();
    let facts = facts(inner)?;
    Ok(ByHandleFileInformation {
        basic: basic(&facts),
        // Windows has 32 bits here and cuts, too.
        volume_serial_number: serial(inner)? as u32,
        file_size: facts.size,
        number_of_links: facts.links,
        file_index: inner.identity.1,
    })
}

/// `GetFileInformationByHandleEx` with FileBasicInfo.
///
/// # Errors
/// The file cannot be read.
pub fn get_basic_info(file: &Handle) -> Result<BasicInfo> {
    Ok(basic(&facts(file.inner())?))
}

/// `GetFileInformationByHandleEx` with FileAttributeTagInfo: the attributes and the reparse tag, 0 where there is none.
///
/// # Errors
/// The file cannot be read.
pub fn get_attribute_tag_info(file: &Handle) -> Result<(FileAttributes, u32)> {
    let facts = facts(file.inner())?;
    Ok((facts.attributes, facts.reparse_tag))
}

/// `GetFileInformationByHandleEx` with FileIdInfo.
///
/// # Errors
/// The volume cannot be asked.
pub fn get_id_info(file: &Handle) -> Result<IdInfo> {
    let inner = file.inner();
    let file_id = u128::from(inner.identity.1).to_le_bytes();
    Ok(IdInfo { volume_serial_number: serial(inner)?, file_id })
}

/// `GetFileTime`: creation, access and write time.
///
/// # Errors
/// The file cannot be read.
pub fn get_file_time(file: &Handle) -> Result<(FileTime, FileTime, FileTime)> {
    let basic = get_basic_info(file)?;
    Ok((basic.created, basic.accessed, basic.written))
}

/// `SetFileTime`: `None` leaves a time as it is.
///
/// # Errors
/// 5 without FILE_WRITE_ATTRIBUTES; the place refuses.
pub fn set_file_time(
    file: &Handle,
    created: Option<FileTime>,
    accessed: Option<FileTime>,
    written: Option<FileTime>,
) -> Result<()> {
    let time = |time: Option<FileTime>| time.unwrap_or_default();
    let (created, accessed, written) = (time(created), time(accessed), time(written));
    set_basic_info(file, &BasicInfo { created, accessed, written, ..BasicInfo::default() })
}

/// `SetFileInformationByHandle` with FileBasicInfo.
///
/// # Errors
/// 5 without FILE_WRITE_ATTRIBUTES; 87 for a time below −2, for DIRECTORY on a file, for TEMPORARY on a directory
/// (\[MS-FSA\] 2.1.5.15.2); the place refuses.
pub fn set_basic_info(file: &Handle, basic: &BasicInfo) -> Result<()> {
    let inner = file.inner();
    inner.need(Access::FILE_WRITE_ATTRIBUTES, "set attributes and times (FILE_WRITE_ATTRIBUTES)")?;
    set_basic(&*inner.node, basic).map_err(|error| inner.at(error))
}

/// `SetFileInformationByHandle` with FileEndOfFileInfo: the stream gets this size.
///
/// # Errors
/// As [`set_end_of_file`](super::set_end_of_file).
pub fn set_end_of_file_info(file: &Handle, size: u64) -> Result<()> {
    file_io::set_size(file, size)
}

fn set_basic(node: &dyn Node, basic: &BasicInfo) -> Result<()> {
    let wrong = |why: &'static str| Error::new(Win32Error::INVALID_PARAMETER, why);
    let time = |time: FileTime| match time.0 {
        ..-2 => Err(wrong("a time before 1601")),
        -2..=0 => Ok(None),
        _ => Ok(Some(time)),
    };
    let times = Times {
        created: time(basic.created)?,
        accessed: time(basic.accessed)?,
        written: time(basic.written)?,
        changed: time(basic.changed)?,
    };
    let attributes = match basic.attributes.is_empty() {
        true => None,
        false => {
            let now = node.source()?.info()?.attributes;
            if basic.attributes.is_directory() && !now.is_directory() {
                return Err(wrong("a file does not become a directory"));
            }
            if basic.attributes.contains(FileAttributes::TEMPORARY) && now.is_directory() {
                return Err(wrong("a directory is not temporary"));
            }
            Some((now - SETTABLE - FileAttributes::NORMAL) | (basic.attributes & SETTABLE))
        }
    };
    node.set_basic(attributes, &times)
}

/// `GetFileInformationByHandleEx` with FileStandardInfo; of a handle to a named stream, the sizes are the stream's.
///
/// # Errors
/// The file cannot be read.
pub fn get_standard_info(system: &System, file: &Handle) -> Result<StandardInfo> {
    let inner = file.inner();
    let facts = facts(inner)?;
    let mut sizes = (facts.allocated, facts.size);
    if let Some(name) = &inner.stream {
        let allocated = || {
            let source = inner.node.source()?;
            match Rewritten::find(&*source, name)? {
                Some((at, head)) => allocation(&*source, at, head.size, &head.extents, head.flags),
                None => Ok(0),
            }
        };
        sizes = (allocated().map_err(|error| inner.at(error))?, file_io::get_size(inner)?);
    }
    Ok(StandardInfo {
        allocation_size: sizes.0,
        end_of_file: sizes.1,
        number_of_links: facts.links,
        delete_pending: system.shares().is_pending(inner.identity, inner.stream.as_ref()),
        directory: facts.attributes.is_directory(),
    })
}

impl System {
    /// `GetFileAttributes`: of a link itself.
    ///
    /// # Errors
    /// 2, 3: it is not there; those of the path.
    pub fn get_file_attributes(&self, path: impl AsRef<[u8]>) -> Result<FileAttributes> {
        let path = path.as_ref();
        let found = self.find(path, Follow::Itself).and_then(|(_, node)| NodeFacts::of(&*node));
        found.map(|facts| facts.attributes).map_err(|error| error.at_path(&*fold::display(path)))
    }

    /// `SetFileAttributes`: of a link itself. Those that Windows does not set this way stay as they are.
    ///
    /// # Errors
    /// 2, 3: it is not there; 19: the volume is only read; 5: it is deleted, and still open; the place refuses.
    pub fn set_file_attributes(&self, path: impl AsRef<[u8]>, attributes: FileAttributes) -> Result<()> {
        let path = path.as_ref();
        let at_path = |error: Error| error.at_path(&*fold::display(path));
        let (_, node) = self.find(path, Follow::Itself).map_err(at_path)?;
        refuse_read_only(Some(&node)).map_err(at_path)?;
        let shares = self.shares();
        let _shared =
            shares.enter(node.identity(), Access::FILE_WRITE_ATTRIBUTES, Share::all()).map_err(at_path)?;
        // No bit at all means what NORMAL means.
        let attributes = attributes | FileAttributes::NORMAL;
        set_basic(&*node, &BasicInfo { attributes, ..BasicInfo::default() }).map_err(at_path)
    }

    /// `SetFileInformationByHandle` with FileDispositionInfo: the file, or the stream, goes when its last handle closes, or
    /// stays after all.
    ///
    /// # Errors
    /// 5 without DELETE, for a read-only file, for the root; 145 for a directory with something in it.
    pub fn set_disposition(&self, file: &Handle, delete: bool) -> Result<()> {
        let inner = file.inner();
        inner.need(Access::DELETE, "delete (DELETE)")?;
        let stream = inner.stream.clone();
        // Nothing comes into a directory that is found empty here.
        let _changing = self.changing();
        if !delete {
            self.shares().set_pending(inner.identity, stream.as_ref(), None);
            return Ok(());
        }
        let denied = |why: &'static str| inner.at(Error::new(Win32Error::ACCESS_DENIED, why));
        let attributes = facts(inner)?.attributes;
        if attributes.contains(FileAttributes::READONLY) {
            return Err(denied("the file is read-only"));
        }
        if stream.is_none() {
            if inner.place().parent.is_none() {
                return Err(denied("the root of a volume stays"));
            }
            let is_reparse = attributes.contains(FileAttributes::REPARSE_POINT);
            let children = attributes.is_directory() && !is_reparse;
            if children && !inner.node.entries().map_err(|error| inner.at(error))?.is_empty() {
                let why = "the directory is not empty";
                return Err(inner.at(Error::new(Win32Error::DIR_NOT_EMPTY, why)));
            }
        }
        let deletion =
            Deletion { place: inner.place.clone(), node: inner.node.clone(), stream: stream.clone() };
        self.shares().set_pending(inner.identity, stream.as_ref(), Some(deletion));
        Ok(())
    }
}

pub(super) fn basic(facts: &NodeFacts) -> BasicInfo {
    let Times { created, written, accessed, changed } = facts.times;
    // A time that is not known is the last one that is.
    let written = written.or(changed).or(created).unwrap_or_default();
    BasicInfo {
        created: created.unwrap_or(written),
        accessed: accessed.unwrap_or(written),
        written,
        changed: changed.unwrap_or(written),
        attributes: facts.attributes,
    }
}

fn facts(inner: &Inner) -> Result<NodeFacts> {
    NodeFacts::of(&*inner.node).map_err(|error| inner.at(error))
}

fn serial(inner: &Inner) -> Result<u64> {
    inner.node.volume_facts().map(|facts| facts.serial).map_err(|error| inner.at(error))
}
