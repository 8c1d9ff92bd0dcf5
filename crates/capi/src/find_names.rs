//! `FindFirstFileNameW`, `FindNextFileNameW`.

use std::sync::{Arc, Mutex};

use ntbak::win32::{FindFileName, find_first_file_name, find_next_file_name};
use ntbak::{Error, Result};
use ntbak_wire::{Name, Win32Error};

use crate::fence::{boolean, handle, invalid, locked};
use crate::memory::{get, put, wanted};
use crate::process::{self, Object, no_handle, system};
use crate::strings::wide;
use crate::{NtbakBool, NtbakChar16, NtbakHandle};

/// A search, and the name that had no room in the buffer of the last call.
pub(crate) struct Names {
    search: FindFileName,
    left: Option<Name>,
}

/// FindFirstFileNameW: a search for the names of a file, and the first of them, `\dir\file` from the root of
/// its volume. `*length` is how many units the buffer has, and becomes how many the name has, with its 0.
/// `flags` is 0. ntbak_find_close ends it.
///
/// Errors: 2, 3 not there; 87 a pointer is NULL, flags; 234 the buffer is too small, and `*length` says what is
/// needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_first_file_name_w(
    name: *const NtbakChar16,
    flags: u32,
    length: *mut u32,
    link_name: *mut NtbakChar16,
) -> NtbakHandle {
    handle(|| {
        wanted(length)?;
        if flags != 0 {
            return Err(invalid("the flags are 0"));
        }
        // SAFETY: as the caller of C vouches.
        let (search, found) = find_first_file_name(system(), unsafe { wide(name) }?)?;
        // SAFETY: the same.
        unsafe { give(&found, length, link_name) }?;
        process::open(Object::FindName(Arc::new(Mutex::new(Names { search, left: None }))))
    })
}

/// FindNextFileNameW. Errors: 6; 38 there are no more; 87 a pointer is NULL; 234 as
/// ntbak_find_first_file_name_w, and the next call gives the same name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_find_next_file_name_w(
    search: NtbakHandle,
    length: *mut u32,
    link_name: *mut NtbakChar16,
) -> NtbakBool {
    boolean(|| {
        wanted(length)?;
        let Object::FindName(search) = process::object(search)? else {
            return Err(no_handle("the handle is not that of a search for names"));
        };
        let names = &mut *locked(&search)?;
        let name = match names.left.take() {
            Some(name) => name,
            None => find_next_file_name(&mut names.search)?,
        };
        // SAFETY: as the caller of C vouches.
        let given = unsafe { give(&name, length, link_name) };
        if given.is_err() {
            names.left = Some(name);
        }
        given
    })
}

/// Writes a name where there is room for it.
///
/// # Safety
/// `to` is NULL, or has `*length` units.
unsafe fn give(name: &Name, length: *mut u32, to: *mut NtbakChar16) -> Result<()> {
    let needed = u32::try_from(name.units().len() + 1).unwrap_or(u32::MAX);
    // SAFETY: as the caller vouches; no more than `*length` units are written.
    unsafe {
        let room = get(length)?;
        put(length, needed)?;
        if needed > room {
            return Err(Error::new(Win32Error::MORE_DATA, "the name does not fit into the buffer"));
        }
        for (at, unit) in name.units().iter().chain(&[0]).enumerate() {
            put(if to.is_null() { to } else { to.add(at) }, *unit)?;
        }
    }
    Ok(())
}
