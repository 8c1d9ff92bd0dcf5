//! `FindFirstStreamW`, `FindNextStreamW`.

use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use ntbak::Result;
use ntbak::win32::{StreamData, find_first_stream, find_next_stream};

use crate::fence::{boolean, handle, invalid, locked};
use crate::memory::{put, wanted};
use crate::process::{self, Object, no_handle, system};
use crate::strings::{put_wide, wide};
use crate::{NtbakBool, NtbakChar16, NtbakFindStreamData, NtbakHandle};

/// FindFirstStreamW: a search for the streams of a file or directory, and the first of them. `data` is that of an
/// NtbakFindStreamData; `info_level` and `flags` are 0. ntbak_find_close ends it.
///
/// Errors: 2, 3 not there; 38 a directory without streams; 87 a pointer is NULL, another level, flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_first_stream_w(
    name: *const NtbakChar16,
    info_level: u32,
    data: *mut c_void,
    flags: u32,
) -> NtbakHandle {
    handle(|| {
        wanted(data)?;
        if info_level != 0 || flags != 0 {
            return Err(invalid("level and flags are 0"));
        }
        // SAFETY: as the caller of C vouches.
        let (search, found) = find_first_stream(system(), unsafe { wide(name) }?)?;
        // SAFETY: the same.
        unsafe { put(data.cast(), stream(&found)?) }?;
        process::open(Object::FindStream(Arc::new(Mutex::new(search))))
    })
}

/// FindNextStreamW. Errors: 6; 38 there are no more; 87 `data` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_next_stream_w(search: NtbakHandle, data: *mut c_void) -> NtbakBool {
    boolean(|| {
        wanted(data)?;
        let Object::FindStream(search) = process::object(search)? else {
            return Err(no_handle("the handle is not that of a search for streams"));
        };
        let found = find_next_stream(&mut *locked(&search)?)?;
        // SAFETY: as the caller of C vouches.
        unsafe { put(data.cast(), stream(&found)?) }
    })
}

fn stream(found: &StreamData) -> Result<NtbakFindStreamData> {
    Ok(NtbakFindStreamData { StreamSize: found.size.into(), cStreamName: put_wide(&found.name)? })
}
