/*!
`DeviceIoControl`, as far as a backup program needs it: one function for each control code.

| code | function |
| --- | --- |
| FSCTL_GET_REPARSE_POINT 0x000900A8 | [`get_reparse_point`] |
| FSCTL_SET_REPARSE_POINT 0x000900A4 | [`set_reparse_point`] |
| FSCTL_DELETE_REPARSE_POINT 0x000900AC | [`delete_reparse_point`] |
| FSCTL_GET_OBJECT_ID 0x0009009C | [`get_object_id`] |
| FSCTL_SET_OBJECT_ID 0x00090098 | [`set_object_id`] |
| FSCTL_DELETE_OBJECT_ID 0x000900A0 | [`delete_object_id`] |
| FSCTL_SET_SPARSE 0x000900C4 | [`set_sparse`] |
| FSCTL_SET_ZERO_DATA 0x000980C8 | [`set_zero_data`] |
| FSCTL_QUERY_ALLOCATED_RANGES 0x000940CF | [`query_allocated_ranges`] |

Sources of the error numbers: \[MS-FSA\] 2.1.5.10 and its statuses, mapped as Windows maps them.
*/

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, Extents, Record, SmallKind, StreamFlags};
use ntbak_wire::reparse::{self, ReparseBuffer};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::capability::Facts;
use crate::error::{Error, Result};
use crate::report::{Collected, FileReport};
use crate::win32::change::refuse_read_only;
use crate::win32::handle::Inner;
use crate::win32::host_content::Rewritten;
use crate::win32::{Access, Handle, file_io};

/// The most ranges that one call gives.
const MAX_RANGES: usize = 1 << 20;

/// FSCTL_GET_REPARSE_POINT: the reparse buffer of the file; no right is needed.
///
/// # Errors
/// 4390 when it is no reparse point.
pub fn get_reparse_point(file: &Handle) -> Result<Vec<u8>> {
    let inner = file.inner();
    let buffer = inner.node.reparse().map_err(|error| inner.at(error))?;
    buffer.ok_or_else(|| inner.at(Error::new(Win32Error::NOT_A_REPARSE_POINT, "it is no reparse point")))
}

/// FSCTL_SET_REPARSE_POINT.
///
/// # Errors
/// 5 without FILE_WRITE_DATA and FILE_WRITE_ATTRIBUTES; 145 for a directory with something in it; 267 for a junction
/// that is a file; 4391, 4394 when there is another reparse point; 4392 for a buffer that cannot be, and for a
/// symbolic link that has content; 50 where the place has none.
pub fn set_reparse_point(file: &Handle, buffer: &[u8]) -> Result<()> {
    let inner = file.inner();
    need_write(inner)?;
    let set = || {
        let parsed = ReparseBuffer::parse(buffer)?;
        let node = &inner.node;
        let source = node.source()?;
        let existing = node.reparse()?;
        let existing = existing.as_deref().map(ReparseBuffer::parse).transpose()?;
        let is_directory = node.is_directory();
        let state = reparse::File {
            is_directory,
            has_children: is_directory && existing.is_none() && !node.entries()?.is_empty(),
            has_data: source.stream(0)?.is_some_and(|head| head.name.is_none() && head.size > 0),
            existing: existing.map(|buffer| (buffer.tag(), buffer.guid())),
        };
        drop(source);
        reparse::check_settable(&parsed, state)
            .map_err(|conflict| Error::new(conflict.win32(), conflict.to_string()))?;
        let mut sink = node.sink()?;
        if !sink.can().holds(Facts::REPARSE) {
            return Err(Error::new(Win32Error::NOT_SUPPORTED, "the place has no reparse points"));
        }
        let silent = Collected::new();
        let report = FileReport { to: &silent, path: inner.path.as_ref() };
        if state.existing.is_some() {
            // What takes its own place is set as if it had not been there.
            node.remove_small(SmallKind::Reparse)?;
            sink = node.sink()?;
        }
        sink.put(&Record::Small(SmallKind::Reparse, buffer.into()), &report)?;
        sink.commit(&report)
    };
    set().map_err(|error| inner.at(error))
}

/// FSCTL_DELETE_REPARSE_POINT: `buffer` has the tag, and the GUID of a tag that has one, and no data.
///
/// # Errors
/// 5 without FILE_WRITE_DATA and FILE_WRITE_ATTRIBUTES; 4390 when it is no reparse point; 4392 for a buffer with data;
/// 4391, 4394 for another GUID or tag.
pub fn delete_reparse_point(file: &Handle, buffer: &[u8]) -> Result<()> {
    let inner = file.inner();
    need_write(inner)?;
    let delete = || {
        let asked = ReparseBuffer::parse(buffer)?;
        if !asked.data().is_empty() {
            return Err(Error::new(Win32Error::INVALID_REPARSE_DATA, "to delete takes no data"));
        }
        let there = inner.node.reparse()?;
        let none = || Error::new(Win32Error::NOT_A_REPARSE_POINT, "it is no reparse point");
        let there = there.ok_or_else(none)?;
        let there = ReparseBuffer::parse(&there)?;
        if there.tag() != asked.tag() {
            return Err(Error::new(Win32Error::REPARSE_TAG_MISMATCH, "it has another tag"));
        }
        if there.guid() != asked.guid() {
            return Err(Error::new(Win32Error::REPARSE_ATTRIBUTE_CONFLICT, "it has another GUID"));
        }
        inner.node.remove_small(SmallKind::Reparse)
    };
    delete().map_err(|error| inner.at(error))
}

/// FSCTL_GET_OBJECT_ID: all 64 bytes.
///
/// # Errors
/// 2 when it has none.
pub fn get_object_id(file: &Handle) -> Result<ObjectId> {
    let inner = file.inner();
    let get = || {
        let id = inner.node.source()?.small(SmallKind::ObjectId)?.map(|id| ObjectId::parse(&id));
        let id = id.transpose()?;
        id.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "the file has no object id"))
    };
    get().map_err(|error: Error| inner.at(error))
}

/// FSCTL_SET_OBJECT_ID.
///
/// # Errors
/// 19 when the volume is only read; 5 for a handle that was not opened for restore (BACKUP_SEMANTICS and
/// SeRestorePrivilege); 183 when the file has one; 52 when another file of the volume has it; 50 where the place has
/// none.
pub fn set_object_id(file: &Handle, id: &ObjectId) -> Result<()> {
    let inner = file.inner();
    need_restore(inner)?;
    let set = || {
        if inner.node.source()?.small(SmallKind::ObjectId)?.is_some() {
            return Err(Error::new(Win32Error::ALREADY_EXISTS, "the file has an object id already"));
        }
        inner.node.set_object_id(id)
    };
    set().map_err(|error| inner.at(error))
}

/// FSCTL_DELETE_OBJECT_ID; a file without one stays as it is.
///
/// # Errors
/// 5 without FILE_WRITE_DATA and FILE_WRITE_ATTRIBUTES.
pub fn delete_object_id(file: &Handle) -> Result<()> {
    let inner = file.inner();
    need_write(inner)?;
    inner.node.remove_small(SmallKind::ObjectId).map_err(|error| inner.at(error))
}

/// FSCTL_SET_SPARSE: the unnamed stream may have holes from now on. On ntfs-3g it gets the flag with the first one, so
/// nothing happens there. A named stream is sparse where its place knows that (our choice).
///
/// # Errors
/// 87 for a directory; 19 when the volume is only read; 5 without FILE_WRITE_DATA and FILE_WRITE_ATTRIBUTES. In this
/// order (\[MS-FSA\] 2.1.5.10.38).
pub fn set_sparse(file: &Handle, sparse: bool) -> Result<()> {
    let inner = file.inner();
    if inner.stream.is_none() && inner.node.is_directory() {
        return Err(inner.at(Error::new(Win32Error::INVALID_PARAMETER, "a directory is not sparse")));
    }
    refuse_read_only(Some(&inner.node)).map_err(|error| inner.at(error))?;
    need_write(inner)?;
    if inner.stream.is_some() {
        return Ok(());
    }
    inner.node.set_sparse(sparse).map_err(|error| inner.at(error))
}

/// FSCTL_SET_ZERO_DATA: the bytes from `offset` to `beyond` read as zeros; of a sparse stream they become a hole.
///
/// # Errors
/// 5 without FILE_WRITE_DATA; 87 for a directory, and when `beyond` is before `offset`, or behind 2⁶³ − 1
/// (\[MS-FSA\] 2.1.5.10.39).
pub fn set_zero_data(file: &Handle, offset: u64, beyond: u64) -> Result<()> {
    let inner = file.inner();
    inner.need(Access::FILE_WRITE_DATA, "write content (FILE_WRITE_DATA)")?;
    if inner.stream.is_none() && inner.node.is_directory() {
        return Err(inner.at(Error::new(Win32Error::INVALID_PARAMETER, "a directory has no content")));
    }
    let Some(len) = beyond.checked_sub(offset).filter(|_| i64::try_from(beyond).is_ok()) else {
        return Err(inner.at(Error::new(Win32Error::INVALID_PARAMETER, "the range ends before it begins")));
    };
    let size = file_io::get_size(inner)?;
    let range = Extent { offset, len: len.min(size.saturating_sub(offset)) };
    let attributes = inner.node.source().and_then(|source| source.info()).map_err(|error| inner.at(error))?;
    let sparse = attributes.attributes.contains(FileAttributes::SPARSE_FILE);
    if range.len == 0 { Ok(()) } else { file_io::zero(file, range, sparse) }
}

/// FSCTL_QUERY_ALLOCATED_RANGES: the ranges of the stream within `offset` and `len` bytes that may be other than zeros; a
/// stream that is not sparse is one range.
///
/// # Errors
/// 5 without FILE_READ_DATA; 87 for a range behind 2⁶³ − 1, and for a directory.
pub fn query_allocated_ranges(file: &Handle, offset: u64, len: u64) -> Result<Vec<Extent>> {
    let inner = file.inner();
    inner.need(Access::FILE_READ_DATA, "read content (FILE_READ_DATA)")?;
    let wrong = |why: &'static str| Error::new(Win32Error::INVALID_PARAMETER, why);
    let query = || {
        let end = offset.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
        let end = end.ok_or_else(|| wrong("no file is that long"))?;
        let source = inner.node.source()?;
        let found = match &inner.stream {
            Some(name) => Rewritten::find(&*source, name)?,
            None => source.stream(0)?.filter(|head| head.name.is_none()).map(|head| (0, head)),
        };
        let (stream, head) = found.ok_or_else(|| wrong("a directory has no content"))?;
        let end = end.min(head.size);
        let whole = head.extents == Extents::All || !head.flags.contains(StreamFlags::SPARSE);
        let (mut ranges, mut from) = (Vec::new(), offset);
        while from < end {
            let rest = Extent { offset: from, len: end - from };
            let next = if whole { Some(rest) } else { source.next_extent(stream, from)? };
            let Some(next) = next.filter(|next| next.offset < end) else { break };
            let next_end = next.end().min(end);
            ranges.push(Extent { offset: next.offset, len: next_end - next.offset });
            from = next_end;
            if ranges.len() >= MAX_RANGES {
                return Err(Error::new(Win32Error::MORE_DATA, "ask for less of the file at a time"));
            }
        }
        Ok(ranges)
    };
    query().map_err(|error| inner.at(error))
}

fn need_write(inner: &Inner) -> Result<()> {
    inner.need(Access::FILE_WRITE_DATA | Access::FILE_WRITE_ATTRIBUTES, "write (FILE_WRITE_DATA)")?;
    refuse_read_only(Some(&inner.node)).map_err(|error| inner.at(error))
}

fn need_restore(inner: &Inner) -> Result<()> {
    refuse_read_only(Some(&inner.node)).map_err(|error| inner.at(error))?;
    if inner.restore_intent {
        return Ok(());
    }
    let why = "the handle was not opened for restore, by one who has the privilege";
    Err(inner.at(Error::new(Win32Error::ACCESS_DENIED, why)))
}
