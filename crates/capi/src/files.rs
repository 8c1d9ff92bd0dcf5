//! `CreateFile`, `CloseHandle`, and the content of files: `ReadFile`, `WriteFile` and what goes with them.

use std::ffi::{c_char, c_void};

use ntbak::win32::{
    Access, Create, Disposition, FileFlags, HandleId, MoveMethod, Share, get_file_size_ex, read_file,
    read_file_at, set_end_of_file, set_file_pointer_ex, write_file, write_file_at,
};
use ntbak::{Error, Result};
use ntbak_wire::{FileAttributes, Win32Error};

use crate::fence::{boolean, handle, invalid, set_last_error};
use crate::memory::{bytes, bytes_mut, get, put, put_if, wanted};
use crate::process::{self, INVALID_HANDLE_VALUE, Object, system};
use crate::strings::{narrow, wide};
use crate::types::whole;
use crate::{NtbakBool, NtbakChar16, NtbakHandle, NtbakLargeInteger, NtbakOverlapped};

/// CreateFileW: opens or makes a file or, with FILE_FLAG_BACKUP_SEMANTICS, opens a directory. `security` and
/// `template_file` are not looked at: a new file gets the security that its place gives it.
///
/// With CREATE_ALWAYS and OPEN_ALWAYS the last error is 183 when the file was there, and 0 when it was not.
///
/// Errors: 2, 3 not there; 5 access denied; 19 the volume is only read; 32 another handle does not share; 80 it
/// exists; 87 parameters; 123, 206, 1920, 1921 the path; 1314 ACCESS_SYSTEM_SECURITY, and the caller is not
/// root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_file_w(
    name: *const NtbakChar16,
    access: u32,
    share: u32,
    security: *const c_void,
    disposition: u32,
    flags_and_attributes: u32,
    template_file: NtbakHandle,
) -> NtbakHandle {
    let (_, _) = (security, template_file);
    // SAFETY: as the caller of C vouches.
    handle(|| create(&unsafe { wide(name) }?, access, share, disposition, flags_and_attributes))
}

/// CreateFileA: as ntbak_create_file_w, with a name in UTF-8. On Linux, it may be any bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_create_file_a(
    name: *const c_char,
    access: u32,
    share: u32,
    security: *const c_void,
    disposition: u32,
    flags_and_attributes: u32,
    template_file: NtbakHandle,
) -> NtbakHandle {
    let (_, _) = (security, template_file);
    // SAFETY: as the caller of C vouches.
    handle(|| create(&unsafe { narrow(name) }?, access, share, disposition, flags_and_attributes))
}

fn create(
    path: &[u8],
    access: u32,
    share: u32,
    disposition: u32,
    flags_and_attributes: u32,
) -> Result<HandleId> {
    let disposition = Disposition::try_from(disposition)?;
    let how = Create {
        access: Access::from_bits_retain(access),
        share: Share::from_bits(share).ok_or_else(|| invalid("there is no such share mode"))?,
        disposition,
        // The attributes that a new file can have are in the lower half.
        flags: FileFlags::from_bits_retain(flags_and_attributes & 0xFFFF_0000),
        attributes: FileAttributes::from_bits_retain(flags_and_attributes & 0xFFFF),
    };
    let file = system().create_file(path, how)?;
    let existed = file.existed();
    let id = process::open(Object::File(file))?;
    if matches!(disposition, Disposition::CreateAlways | Disposition::OpenAlways) {
        set_last_error(if existed { Win32Error::ALREADY_EXISTS.0 } else { 0 });
    }
    Ok(id)
}

/// CloseHandle: of a file or a token. A call that another thread is in goes on to its end. The handle that
/// GetCurrentProcess gives needs not be closed, and is not.
///
/// Errors: 6 it is none, or none any more, or that of a search.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_close_handle(object: NtbakHandle) -> NtbakBool {
    boolean(|| {
        if object != INVALID_HANDLE_VALUE {
            process::close(object, |object| matches!(object, Object::File(_) | Object::Token))?;
        }
        Ok(())
    })
}

/// ReadFile: the next bytes of the content, 0 at the end. With `overlapped`, those at its offset, when they are read, and
/// the end is 38; the position is behind them then, unless the file was opened with FILE_FLAG_OVERLAPPED, which has
/// none.
///
/// Errors: 1 a directory; 5 no right, or no key for an encrypted file; 6; 38; 87 a pointer is NULL, no whole
/// sectors of an unbuffered handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_read_file(
    file: NtbakHandle,
    buffer: *mut c_void,
    bytes_to_read: u32,
    bytes_read: *mut u32,
    overlapped: *mut NtbakOverlapped,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches; the buffer is used until the end of this call.
        let (buffer, offset) =
            unsafe { (bytes_mut(buffer.cast(), bytes_to_read)?, begin(bytes_read, overlapped)?) };
        let file = process::file(file)?;
        let got = match offset {
            None => read_file(&file, buffer)?,
            Some(offset) => read_file_at(&file, offset, buffer)?,
        };
        // SAFETY: as before.
        unsafe { end(bytes_read, overlapped, got) };
        if offset.is_some() && got == 0 && bytes_to_read > 0 {
            return Err(Error::new(Win32Error::HANDLE_EOF, "the end of the file"));
        }
        Ok(())
    })
}

/// WriteFile: all of the bytes, at the position; with `overlapped`, at its offset, where 2^64 - 1 is the end of the file;
/// the position is behind them then, as with ntbak_read_file.
///
/// Errors: 1 a directory; 5 no right, or an encrypted file; 6; 19 the volume is only read; 87 a pointer is
/// NULL, no whole sectors of an unbuffered handle, behind 2^63 - 1 bytes; 112 no room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_write_file(
    file: NtbakHandle,
    buffer: *const c_void,
    bytes_to_write: u32,
    bytes_written: *mut u32,
    overlapped: *mut NtbakOverlapped,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches; the buffer is used until the end of this call.
        let (buffer, offset) =
            unsafe { (bytes(buffer.cast(), bytes_to_write)?, begin(bytes_written, overlapped)?) };
        let file = process::file(file)?;
        let written = match offset {
            None => write_file(&file, buffer)?,
            Some(offset) => write_file_at(&file, offset, buffer)?,
        };
        // SAFETY: as before.
        unsafe { end(bytes_written, overlapped, written) };
        Ok(())
    })
}

/// The offset of an OVERLAPPED, and 0 bytes done.
///
/// # Safety
/// Both are NULL or what they say.
unsafe fn begin(count: *mut u32, overlapped: *mut NtbakOverlapped) -> Result<Option<u64>> {
    // SAFETY: as the caller vouches.
    unsafe {
        if overlapped.is_null() {
            put(count, 0)?;
            return Ok(None);
        }
        put_if(count, 0);
        let given = get(overlapped)?;
        Ok(Some(whole(given.OffsetHigh, given.Offset)))
    }
}

/// Says how many bytes were moved.
///
/// # Safety
/// As [`begin`].
unsafe fn end(count: *mut u32, overlapped: *mut NtbakOverlapped, moved: usize) {
    // SAFETY: as the caller vouches.
    unsafe {
        put_if(count, u32::try_from(moved).unwrap_or(u32::MAX));
        if let Ok(given) = get(overlapped) {
            put_if(overlapped, NtbakOverlapped { Internal: 0, InternalHigh: moved, ..given });
        }
    }
}

/// SetFilePointerEx: moves the position, also behind the end. `new_position` may be NULL.
///
/// Errors: 6; 87 no such method, too far, no whole sectors of an unbuffered handle; 131 before the beginning.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_file_pointer_ex(
    file: NtbakHandle,
    distance: NtbakLargeInteger,
    new_position: *mut NtbakLargeInteger,
    method: u32,
) -> NtbakBool {
    boolean(|| {
        let position =
            set_file_pointer_ex(&process::file(file)?, distance.QuadPart, MoveMethod::try_from(method)?)?;
        // SAFETY: as the caller of C vouches.
        unsafe { put_if(new_position, position.into()) };
        Ok(())
    })
}

/// GetFileSizeEx: bytes of the stream that the handle is about.
///
/// Errors: 1 a directory; 6; 87 `size` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_size_ex(
    file: NtbakHandle,
    size: *mut NtbakLargeInteger,
) -> NtbakBool {
    boolean(|| {
        wanted(size)?;
        let bytes = get_file_size_ex(&process::file(file)?)?;
        // SAFETY: as the caller of C vouches.
        unsafe { put(size, bytes.into()) }
    })
}

/// SetEndOfFile: the stream ends at the position.
///
/// Errors: as ntbak_write_file.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_set_end_of_file(file: NtbakHandle) -> NtbakBool {
    boolean(|| set_end_of_file(&process::file(file)?))
}
