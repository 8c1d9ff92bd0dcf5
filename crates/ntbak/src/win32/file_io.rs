/*!
`ReadFile`, `WriteFile`, `SetFilePointerEx`, `GetFileSizeEx`, `SetEndOfFile`: the content of one data stream, the unnamed
one or the one that the handle names, from the handle's position on. `BackupRead` and `BackupWrite` neither use nor
move that position.

An encrypted file is read as plaintext when a key of the caller opens it, and not written: what is written in place would
be taken for ciphertext (our choice).
*/

use std::sync::PoisonError;

use ntbak_wire::record::Extent;
use ntbak_wire::{FileAttributes, Win32Error};

use crate::error::{Error, Result};
use crate::source::FileSource;
use crate::win32::backup_read::plaintext;
use crate::win32::handle::Inner;
use crate::win32::host_content::Rewritten;
use crate::win32::open_files::lock;
use crate::win32::{Access, Content, FileFlags, Handle};

/// Bytes of a sector: what FILE_FLAG_NO_BUFFERING counts in.
const SECTOR: u64 = 512;

/// What `SetFilePointerEx` counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MoveMethod {
    /// FILE_BEGIN.
    Begin = 0,
    /// FILE_CURRENT.
    Current = 1,
    /// FILE_END.
    End = 2,
}

impl TryFrom<u32> for MoveMethod {
    type Error = Error;

    fn try_from(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::Begin),
            1 => Ok(Self::Current),
            2 => Ok(Self::End),
            _ => Err(Error::new(Win32Error::INVALID_PARAMETER, format!("no move method is {value}"))),
        }
    }
}

/// `ReadFile` without an OVERLAPPED: fills the buffer from the position on; answers how many bytes, 0 at the end.
///
/// # Errors
/// 1 for a directory; 5 without FILE_READ_DATA, or when no key opens an encrypted file; 87 when an unbuffered handle is
/// not at, or does not ask for, a multiple of 512 bytes.
pub fn read_file(file: &Handle, buffer: &mut [u8]) -> Result<usize> {
    let inner = file.inner();
    let mut position = lock(&inner.position);
    let got = read_at(inner, *position, buffer)?;
    *position = position.saturating_add(got as u64);
    Ok(got)
}

/// `ReadFile` with the offset of an OVERLAPPED. The position is then behind what was read, unless the handle was opened
/// with FILE_FLAG_OVERLAPPED, which has none.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_at(file: &Handle, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let inner = file.inner();
    if inner.flags.contains(FileFlags::OVERLAPPED) {
        return read_at(inner, offset, buffer);
    }
    let mut position = lock(&inner.position);
    let got = read_at(inner, offset, buffer)?;
    *position = offset.saturating_add(got as u64);
    Ok(got)
}

fn read_at(inner: &Inner, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    inner.need(Access::FILE_READ_DATA, "read content (FILE_READ_DATA)")?;
    check_sectors(inner, offset, buffer.len())?;
    let content = content(inner)?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(filled as u64);
        match content.read_at(at, rest) {
            Ok(0) => break,
            Ok(got) => filled += got,
            // Good bytes come before an error.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(inner.at(error.at_offset(at))),
        }
    }
    Ok(filled)
}

/// `WriteFile` without an OVERLAPPED: writes all bytes at the position; with FILE_APPEND_DATA alone, at the end.
///
/// # Errors
/// 1 for a directory; 5 without FILE_WRITE_DATA and FILE_APPEND_DATA, or for an encrypted file; 87 behind 2⁶³ − 1 bytes,
/// or for what is no multiple of 512 bytes on an unbuffered handle; 112 when there is no room.
pub fn write_file(file: &Handle, data: &[u8]) -> Result<usize> {
    let inner = file.inner();
    need_write(inner)?;
    let mut position = lock(&inner.position);
    let at_end = !inner.access.contains(Access::FILE_WRITE_DATA) && !data.is_empty();
    let offset = write_or_append(inner, (!at_end).then_some(*position), data)?;
    *position = offset.saturating_add(data.len() as u64);
    Ok(data.len())
}

/// `WriteFile` with the offset of an OVERLAPPED; the offset 2⁶⁴ − 1 is the end of the file. The position is then behind what
/// was written, as with [`read_file_at`].
///
/// # Errors
/// As [`write_file`].
pub fn write_file_at(file: &Handle, offset: u64, data: &[u8]) -> Result<usize> {
    let inner = file.inner();
    need_write(inner)?;
    let only_appends = !inner.access.contains(Access::FILE_WRITE_DATA);
    let mut position = lock(&inner.position);
    let at_end = only_appends || offset == u64::MAX;
    let offset = write_or_append(inner, (!at_end).then_some(offset), data)?;
    if !inner.flags.contains(FileFlags::OVERLAPPED) {
        *position = offset.saturating_add(data.len() as u64);
    }
    Ok(data.len())
}

fn need_write(inner: &Inner) -> Result<()> {
    inner.need(Access::FILE_WRITE_DATA | Access::FILE_APPEND_DATA, "write content (FILE_WRITE_DATA)")
}

/// Writes at an offset or at the end, and answers where that was.
fn write_or_append(inner: &Inner, offset: Option<u64>, data: &[u8]) -> Result<u64> {
    if let Some(offset) = offset {
        return write_at(inner, offset, data).map(|()| offset);
    }
    let end = inner.shared.end();
    let _held = lock(&end);
    let offset = get_size(inner)?;
    write_at(inner, offset, data)?;
    Ok(offset)
}

fn write_at(inner: &Inner, offset: u64, data: &[u8]) -> Result<()> {
    check_sectors(inner, offset, data.len())?;
    let end = offset.checked_add(data.len() as u64);
    if end.is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(inner.at(wrong("no file has more than 2^63 - 1 bytes")));
    }
    content(inner)?.write_at(offset, data).map_err(|error| inner.at(error))
}

/// `SetFilePointerEx`: moves the position, also behind the end; answers where it is.
///
/// # Errors
/// 131 for a position before the beginning, where it stays as it was; 87 behind 2⁶³ − 1, and for an unbuffered handle
/// that is no multiple of 512.
pub fn set_file_pointer_ex(file: &Handle, distance: i64, method: MoveMethod) -> Result<u64> {
    let inner = file.inner();
    let mut position = lock(&inner.position);
    let base = match method {
        MoveMethod::Begin => 0,
        MoveMethod::Current => *position,
        MoveMethod::End => get_file_size_ex(file)?,
    };
    let target = i128::from(base) + i128::from(distance);
    if target < 0 {
        let why = "the position is before the beginning of the file";
        return Err(inner.at(Error::new(Win32Error::NEGATIVE_SEEK, why)));
    }
    let target = i64::try_from(target).map_err(|_| inner.at(wrong("no file is that long")))?;
    let target = u64::try_from(target).unwrap_or(0);
    check_sectors(inner, target, 0)?;
    *position = target;
    Ok(target)
}

/// `GetFileSizeEx`: the size of the stream in bytes, 0 for a directory.
///
/// # Errors
/// The file cannot be read.
pub fn get_file_size_ex(file: &Handle) -> Result<u64> {
    let inner = file.inner();
    // It asks for FileStandardInformation, which a directory has.
    if inner.stream.is_none() && inner.node.is_directory() { Ok(0) } else { get_size(inner) }
}

/// `SetEndOfFile`: the stream ends at the position.
///
/// # Errors
/// As [`write_file`]; FILE_WRITE_DATA is needed.
pub fn set_end_of_file(file: &Handle) -> Result<()> {
    let position = *lock(&file.inner().position);
    set_size(file, position)
}

/// `CloseHandle`: what a `drop` does; the file is closed when no clone of the handle is left.
pub fn close_handle(file: Handle) {
    drop(file);
}

/// Makes the stream this long: `SetEndOfFile`, FileEndOfFileInfo.
pub(super) fn set_size(file: &Handle, size: u64) -> Result<()> {
    let inner = file.inner();
    inner.need(Access::FILE_WRITE_DATA, "change the size (FILE_WRITE_DATA)")?;
    if i64::try_from(size).is_err() {
        return Err(inner.at(wrong("no file has more than 2^63 - 1 bytes")));
    }
    content(inner)?.set_size(size).map_err(|error| inner.at(error))
}

/// Makes zeros of a range: FSCTL_SET_ZERO_DATA.
pub(super) fn zero(file: &Handle, range: Extent, hole: bool) -> Result<()> {
    let inner = file.inner();
    content(inner)?.zero(range, hole).map_err(|error| inner.at(error))
}

pub(super) fn get_size(inner: &Inner) -> Result<u64> {
    content(inner)?.size().map_err(|error| inner.at(error))
}

fn check_sectors(inner: &Inner, offset: u64, len: usize) -> Result<()> {
    let whole = offset.is_multiple_of(SECTOR) && (len as u64).is_multiple_of(SECTOR);
    if inner.flags.contains(FileFlags::NO_BUFFERING) && !whole {
        return Err(inner.at(wrong("an unbuffered handle reads and writes whole sectors of 512 bytes")));
    }
    Ok(())
}

/// The content that the handle is about.
fn content(inner: &Inner) -> Result<&dyn Content> {
    if let Some(content) = inner.content.get() {
        return Ok(&**content);
    }
    if inner.stream.is_none() && inner.node.is_directory() {
        let why = "a directory has no content";
        return Err(inner.at(Error::new(Win32Error::INVALID_FUNCTION, why)));
    }
    let opened = open(inner).map_err(|error| inner.at(error))?;
    Ok(&**inner.content.get_or_init(|| opened))
}

fn open(inner: &Inner) -> Result<Box<dyn Content>> {
    let source = inner.node.source()?;
    if source.info()?.attributes.contains(FileAttributes::ENCRYPTED) && source.encrypted()?.is_some() {
        return Ok(Box::new(Plaintext::open(inner, source)?));
    }
    let write = inner.access.intersects(Access::FILE_WRITE_DATA | Access::FILE_APPEND_DATA);
    inner.node.content(inner.stream.as_ref(), write)
}

/// A stream of an encrypted file, as a key of the caller shows it.
struct Plaintext {
    source: Box<dyn FileSource>,
    stream: usize,
    size: u64,
}

impl Plaintext {
    fn open(inner: &Inner, source: Box<dyn FileSource>) -> Result<Self> {
        let no_key =
            || Error::new(Win32Error::ACCESS_DENIED, "the file is encrypted, and no key at hand opens it");
        if inner.keys.lock().unwrap_or_else(PoisonError::into_inner).ring.identities().is_empty() {
            return Err(no_key());
        }
        let source = plaintext(inner, source)?;
        let found = match &inner.stream {
            Some(name) => Rewritten::find(&*source, name)?,
            None => source.stream(0)?.filter(|head| head.name.is_none()).map(|head| (0, head)),
        };
        let (stream, head) =
            found.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"))?;
        Ok(Self { source, stream, size: head.size })
    }
}

impl Content for Plaintext {
    fn size(&self) -> Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let len =
            usize::try_from(self.size.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        self.source.read_at(self.stream, offset, buf.get_mut(..len).unwrap_or_default())
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<()> {
        Err(crate::sink::encrypted_there())
    }

    fn set_size(&self, _size: u64) -> Result<()> {
        Err(crate::sink::encrypted_there())
    }
}

fn wrong(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_PARAMETER, why)
}
