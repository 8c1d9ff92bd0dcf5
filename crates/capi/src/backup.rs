//! `BackupRead`, `BackupWrite`, `BackupSeek`.

use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use ntbak::Result;
use ntbak::win32::{Context, Handle, backup_read, backup_seek, backup_write};

use crate::fence::{boolean, invalid, locked, pointer};
use crate::memory::{bytes, bytes_mut, get, put, wanted};
use crate::process::{self, Object};
use crate::types::{halves, whole};
use crate::{NtbakBool, NtbakHandle};

/// BackupRead: the next bytes of the backup stream of a file.
///
/// The buffer is filled; less comes only before the end or an error, and 0 bytes at the end, again and again. A
/// buffer may be smaller than a header. What can be read before an error comes first, with success. The
/// position of the handle is not used and not moved.
///
/// With `abort`, `*context` is freed and set to NULL, and everything else ignored; NULL is fine, and a context of
/// ntbak_backup_write, too.
///
/// Errors: 5 a right is missing, or no key opens the encrypted file; 6 no file; 38 it has become shorter; 87 a
/// pointer is NULL, the handle is unbuffered or that of a stream, the context is that of another handle or of a
/// write, or none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_backup_read(
    file: NtbakHandle,
    buffer: *mut u8,
    bytes_to_read: u32,
    bytes_read: *mut u32,
    abort: NtbakBool,
    process_security: NtbakBool,
    context: *mut *mut c_void,
) -> NtbakBool {
    boolean(|| {
        if abort != 0 {
            // SAFETY: as the caller of C vouches.
            return unsafe { free(context) };
        }
        // SAFETY: as the caller of C vouches; the buffer is used until the end of this call.
        let buffer = unsafe {
            put(bytes_read, 0)?;
            bytes_mut(buffer, bytes_to_read)?
        };
        let mut read = 0;
        // SAFETY: as the caller of C vouches.
        let done = unsafe {
            step(file, context, |file, context| {
                backup_read(Some(file), buffer, &mut read, false, process_security != 0, context)
            })
        };
        // SAFETY: it was written to before.
        unsafe { put(bytes_read, read) }.and(done)
    })
}

/// BackupWrite: the next bytes of a backup stream for a file. They may be cut anywhere; with success all of
/// them were taken.
///
/// Content is written as it comes; security descriptor, extended attributes, reparse point and object id with
/// their last byte. What was applied before an error stays. Without `process_security`, security descriptors
/// are passed over.
///
/// With `abort`, `*context` is freed and set to NULL, and everything else ignored; NULL is fine, and a context of
/// ntbak_backup_read, too. ntbak_finish instead of that says whether the backup stream was whole.
///
/// Errors: 2, 3, 17 the target of a hard link; 5 a right is missing; 6 no file; 13 no backup stream; 50, 282
/// the place cannot hold it; 52, 183 object ids; 87 as ntbak_backup_read, and content for a directory; 112 no
/// room; 123 a stream name; 254, 255 extended attributes; 1338 a security descriptor; 4391 to 4394 a reparse
/// point.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_backup_write(
    file: NtbakHandle,
    buffer: *const u8,
    bytes_to_write: u32,
    bytes_written: *mut u32,
    abort: NtbakBool,
    process_security: NtbakBool,
    context: *mut *mut c_void,
) -> NtbakBool {
    boolean(|| {
        if abort != 0 {
            // SAFETY: as the caller of C vouches.
            return unsafe { free(context) };
        }
        // SAFETY: as the caller of C vouches; the buffer is used until the end of this call.
        let buffer = unsafe {
            put(bytes_written, 0)?;
            bytes(buffer, bytes_to_write)?
        };
        let mut written = 0;
        // SAFETY: as the caller of C vouches.
        let done = unsafe {
            step(file, context, |file, context| {
                backup_write(Some(file), buffer, &mut written, false, process_security != 0, context)
            })
        };
        // SAFETY: it was written to before.
        unsafe { put(bytes_written, written) }.and(done)
    })
}

/// BackupSeek: passes over bytes of the payload that the context is in, of a read or a write, and says how
/// many. Never over a header: where less is left, it goes to the end of the payload and fails with 25. In a
/// write, what is passed over reads as zeros.
///
/// Errors: 6 no file; 25 less was left, or the context is in a header, in a name or at the end; 87 a pointer is
/// NULL, the context is NULL, none, or that of another handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_backup_seek(
    file: NtbakHandle,
    low_to_seek: u32,
    high_to_seek: u32,
    low_seeked: *mut u32,
    high_seeked: *mut u32,
    context: *mut *mut c_void,
) -> NtbakBool {
    boolean(|| {
        wanted(low_seeked)?;
        wanted(high_seeked)?;
        let mut moved = 0;
        // SAFETY: as the caller of C vouches.
        let done = unsafe {
            step(file, context, |file, context| {
                backup_seek(Some(file), whole(high_to_seek, low_to_seek), &mut moved, context)
            })
        };
        let (high, low) = halves(moved);
        // SAFETY: neither is NULL. They may be the same: each is written once, the lower half first.
        unsafe {
            put(low_seeked, low)?;
            put(high_seeked, high)?;
        }
        done
    })
}

/// One call on a context, which is made by the first one.
///
/// # Safety
/// `context` is NULL or that of a pointer.
unsafe fn step(
    file: NtbakHandle,
    context: *mut *mut c_void,
    call: impl FnOnce(&Handle, &mut Context) -> Result<()>,
) -> Result<()> {
    // SAFETY: as the caller of C vouches.
    let given = unsafe { get(context) }?;
    let file = process::file(file)?;
    if !given.is_null() {
        return call(&file, &mut *locked(&*found(given)?)?);
    }
    let mut new = Context::default();
    let done = call(&file, &mut new);
    if !new.is_null() {
        let number = process::open(Object::Backup(Arc::new(Mutex::new(new))))?;
        // SAFETY: it is not NULL, it was read from.
        unsafe { put(context, pointer(number)) }?;
    }
    done
}

/// Frees the context, and makes it NULL.
///
/// # Safety
/// `context` is NULL or that of a pointer.
unsafe fn free(context: *mut *mut c_void) -> Result<()> {
    // SAFETY: as the caller of C vouches.
    let given = unsafe { get(context) }?;
    if !given.is_null() {
        // SAFETY: it is not NULL, it was read from.
        unsafe { taken(given, context) }?;
    }
    Ok(())
}

/// Takes the number of a context away, and makes the pointer to it NULL.
///
/// # Safety
/// `context` is that of a pointer.
pub(crate) unsafe fn taken(given: *mut c_void, context: *mut *mut c_void) -> Result<Arc<Mutex<Context>>> {
    let open = found(given)?;
    process::close(given, |object| matches!(object, Object::Backup(_))).map_err(|_| no_context())?;
    // SAFETY: as the caller vouches.
    unsafe { put(context, std::ptr::null_mut()) }?;
    Ok(open)
}

fn found(context: *mut c_void) -> Result<Arc<Mutex<Context>>> {
    match process::object(context) {
        Ok(Object::Backup(context)) => Ok(context),
        _ => Err(no_context()),
    }
}

fn no_context() -> ntbak::Error {
    invalid("the context is none, or none any more")
}
