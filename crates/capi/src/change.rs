//! Names made and changed: `CreateDirectory`, `CreateHardLink`, `DeleteFile`, `RemoveDirectory`, `MoveFileEx`.

use std::ffi::{c_char, c_void};

use ntbak::win32::MoveFlags;
use ntbak::{Error, Result};
use ntbak_wire::Win32Error;

use crate::fence::{boolean, invalid};
use crate::process::system;
use crate::strings::{narrow, wide};
use crate::{NtbakBool, NtbakChar16};

/// CreateDirectoryW. `security` is not looked at.
///
/// Errors: 3 its directory is not there; 19; 123 the name; 183 the name is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_directory_w(
    name: *const NtbakChar16,
    security: *const c_void,
) -> NtbakBool {
    let _ = security;
    // SAFETY: as the caller of C vouches.
    boolean(|| system().create_directory(unsafe { wide(name) }?))
}

/// CreateDirectoryA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_directory_a(name: *const c_char, security: *const c_void) -> NtbakBool {
    let _ = security;
    // SAFETY: as the caller of C vouches.
    boolean(|| system().create_directory(unsafe { narrow(name) }?))
}

/// CreateHardLinkW: `name` becomes one more name of the file `existing`. `security` is not looked at.
///
/// Errors: 2, 3 not there; 5 a directory; 17 another volume; 19; 183 the name is there; 1142 too many names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_hard_link_w(
    name: *const NtbakChar16,
    existing: *const NtbakChar16,
    security: *const c_void,
) -> NtbakBool {
    let _ = security;
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe { system().create_hard_link(wide(name)?, wide(existing)?) })
}

/// CreateHardLinkA: with names in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_hard_link_a(
    name: *const c_char,
    existing: *const c_char,
    security: *const c_void,
) -> NtbakBool {
    let _ = security;
    // SAFETY: as the caller of C vouches.
    boolean(|| unsafe { system().create_hard_link(narrow(name)?, narrow(existing)?) })
}

/// DeleteFileW: a file, a link itself, or one stream (`file:stream`).
///
/// Errors: 2, 3 not there; 5 a directory, a read-only file; 19; 32 another handle does not share deleting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_delete_file_w(name: *const NtbakChar16) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| system().delete_file(unsafe { wide(name) }?))
}

/// DeleteFileA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_delete_file_a(name: *const c_char) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| system().delete_file(unsafe { narrow(name) }?))
}

/// RemoveDirectoryW: an empty one, or a junction or link itself.
///
/// Errors: 2, 3 not there; 5 a read-only one, a root; 19; 32; 145 something is in it; 267 a file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_remove_directory_w(name: *const NtbakChar16) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| system().remove_directory(unsafe { wide(name) }?))
}

/// RemoveDirectoryA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_remove_directory_a(name: *const c_char) -> NtbakBool {
    // SAFETY: as the caller of C vouches.
    boolean(|| system().remove_directory(unsafe { narrow(name) }?))
}

/// MoveFileExW: gives a file or directory another name.
///
/// Errors: 2, 3 not there; 5 what has the name cannot be replaced; 17 another volume, without
/// MOVEFILE_COPY_ALLOWED; 19; 32; 50 MOVEFILE_DELAY_UNTIL_REBOOT; 183 the name is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_move_file_ex_w(
    existing: *const NtbakChar16,
    new: *const NtbakChar16,
    flags: u32,
) -> NtbakBool {
    boolean(|| {
        check_new(new, flags)?;
        // SAFETY: as the caller of C vouches.
        let (existing, new) = unsafe { (wide(existing)?, wide(new)?) };
        system().move_file_ex(existing, new, MoveFlags::from_bits_retain(flags))
    })
}

/// MoveFileExA: with names in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_move_file_ex_a(
    existing: *const c_char,
    new: *const c_char,
    flags: u32,
) -> NtbakBool {
    boolean(|| {
        check_new(new, flags)?;
        // SAFETY: as the caller of C vouches.
        let (existing, new) = unsafe { (narrow(existing)?, narrow(new)?) };
        system().move_file_ex(existing, new, MoveFlags::from_bits_retain(flags))
    })
}

/// No new name is a deletion with the next start.
fn check_new<T>(new: *const T, flags: u32) -> Result<()> {
    let delayed = MoveFlags::from_bits_retain(flags).contains(MoveFlags::DELAY_UNTIL_REBOOT);
    match (new.is_null(), delayed) {
        (false, _) => Ok(()),
        (true, true) => Err(Error::new(Win32Error::NOT_SUPPORTED, "nothing is done with the next start")),
        (true, false) => Err(invalid("the new name is NULL")),
    }
}
