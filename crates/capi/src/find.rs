//! `FindFirstFile`, `FindNextFile`, and `FindClose` of all searches.

use std::ffi::c_char;
use std::sync::{Arc, Mutex};

use ntbak::Result;
use ntbak::win32::{FindData, FindFile, HandleId, find_first_file, find_next_file};

use crate::fence::{boolean, handle, locked};
use crate::memory::{put, wanted};
use crate::process::{self, Object, no_handle, system};
use crate::strings::{narrow, put_narrow, put_wide, wide};
use crate::types::halves;
use crate::{NtbakBool, NtbakChar16, NtbakFindDataA, NtbakFindDataW, NtbakHandle};

/// FindFirstFileW: a search for a name or a pattern in a directory, and the first file of it. `.` and `..` come
/// first, in all directories but a root.
///
/// Errors: 2 nothing matches; 3 the directory is not there; 87 a pointer is NULL; 123 the path; 267 it is no
/// directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_first_file_w(
    name: *const NtbakChar16,
    data: *mut NtbakFindDataW,
) -> NtbakHandle {
    // SAFETY: as the caller of C vouches.
    handle(|| unsafe { first(|| wide(name), data, wide_data) })
}

/// FindFirstFileA: with names in UTF-8. Errors: also 234, a name has more than 259 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_first_file_a(
    name: *const c_char,
    data: *mut NtbakFindDataA,
) -> NtbakHandle {
    // SAFETY: as the caller of C vouches.
    handle(|| unsafe { first(|| narrow(name), data, narrow_data) })
}

/// FindNextFileW. Errors: 6; 18 there are no more; 87 `data` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_next_file_w(search: NtbakHandle, data: *mut NtbakFindDataW) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe { next(search, data, wide_data) })
}

/// FindNextFileA. Errors: also 234, a name has more than 259 bytes; the next call gives the file behind it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_next_file_a(search: NtbakHandle, data: *mut NtbakFindDataA) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe { next(search, data, narrow_data) })
}

/// FindClose: of a search for files, streams or names. Errors: 6.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_find_close(search: NtbakHandle) -> NtbakBool {
    let is_search =
        |object: &Object| matches!(object, Object::FindFile(_) | Object::FindStream(_) | Object::FindName(_));
    boolean(|| process::close(search, is_search).map(drop))
}

/// A search, and the first file of it as the function tells it.
///
/// # Safety
/// `data` is NULL or has room for a `D`.
unsafe fn first<D>(
    name: impl FnOnce() -> Result<Vec<u8>>,
    data: *mut D,
    told: fn(&FindData) -> Result<D>,
) -> Result<HandleId> {
    wanted(data)?;
    let (search, found) = find_first_file(system(), name()?)?;
    // SAFETY: as the caller vouches.
    unsafe { put(data, told(&found)?) }?;
    process::open(Object::FindFile(Arc::new(Mutex::new(search))))
}

/// The next file of a search.
///
/// # Safety
/// As [`first`].
unsafe fn next<D>(search: NtbakHandle, data: *mut D, told: fn(&FindData) -> Result<D>) -> Result<()> {
    wanted(data)?;
    let Object::FindFile(search) = process::object(search)? else {
        return Err(no_handle("the handle is not that of a search for files"));
    };
    let found = find_next_file(&mut *locked::<FindFile>(&search)?)?;
    // SAFETY: as the caller vouches.
    unsafe { put(data, told(&found)?) }
}

fn wide_data(found: &FindData) -> Result<NtbakFindDataW> {
    let (nFileSizeHigh, nFileSizeLow) = halves(found.size);
    Ok(NtbakFindDataW {
        dwFileAttributes: found.attributes.bits(),
        ftCreationTime: found.created.into(),
        ftLastAccessTime: found.accessed.into(),
        ftLastWriteTime: found.written.into(),
        nFileSizeHigh,
        nFileSizeLow,
        dwReserved0: found.reparse_tag,
        dwReserved1: 0,
        cFileName: put_wide(&found.name)?,
        cAlternateFileName: found.short_name.as_ref().map_or(Ok([0; 14]), put_wide)?,
    })
}

fn narrow_data(found: &FindData) -> Result<NtbakFindDataA> {
    let (nFileSizeHigh, nFileSizeLow) = halves(found.size);
    Ok(NtbakFindDataA {
        dwFileAttributes: found.attributes.bits(),
        ftCreationTime: found.created.into(),
        ftLastAccessTime: found.accessed.into(),
        ftLastWriteTime: found.written.into(),
        nFileSizeHigh,
        nFileSizeLow,
        dwReserved0: found.reparse_tag,
        dwReserved1: 0,
        cFileName: put_narrow(&found.name)?,
        cAlternateFileName: found.short_name.as_ref().map_or(Ok([0; 14]), put_narrow)?,
    })
}
