//! `OpenEncryptedFileRaw`, `ReadEncryptedFileRaw`, `WriteEncryptedFileRaw`, `CloseEncryptedFileRaw`.
//!
//! A callback may call every function, and close its own context, which is done when it returns. Another call
//! on its context is 170.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex};

use ntbak::Result;
use ntbak::win32::{
    EncryptedFileRaw, RawFlags, open_encrypted_file_raw, read_encrypted_file_raw, write_encrypted_file_raw,
};

use crate::fence::{code, invalid, pointer, unused};
use crate::memory::{put, wanted};
use crate::process::{self, Object, system};
use crate::strings::{narrow, text, wide};
use crate::{NtbakChar16, NtbakExportFunc, NtbakImportFunc};

/// OpenEncryptedFileRawW: an encrypted file for ntbak_read_encrypted_file_raw or, with CREATE_FOR_IMPORT (1), a
/// place for ntbak_write_encrypted_file_raw. Nothing is made before that has all of the data.
///
/// Answers 0 or the error: 2, 3 not there; 5 a directory, a read-only file, or a hidden one without
/// OVERWRITE_HIDDEN; 32 it is open; 87 a pointer is NULL; 123 the name; 267 a file, with CREATE_FOR_DIR; 6007
/// it is not encrypted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_open_encrypted_file_raw_w(
    name: *const NtbakChar16,
    flags: u32,
    context: *mut *mut c_void,
) -> u32 {
    // SAFETY: as the caller of C vouches.
    code(|| unsafe { open(|| wide(name), flags, context) })
}

/// OpenEncryptedFileRawA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_open_encrypted_file_raw_a(
    name: *const c_char,
    flags: u32,
    context: *mut *mut c_void,
) -> u32 {
    // SAFETY: as the caller of C vouches.
    code(|| unsafe { open(|| narrow(name), flags, context) })
}

/// # Safety
/// `context` is NULL or that of a pointer.
unsafe fn open(name: impl FnOnce() -> Result<Vec<u8>>, flags: u32, context: *mut *mut c_void) -> Result<()> {
    // SAFETY: as the caller vouches.
    unsafe { put(context, std::ptr::null_mut()) }?;
    let name = text(name()?)?;
    let opened = open_encrypted_file_raw(system(), &name, RawFlags::from_bits_retain(flags))?;
    let number = process::open(Object::Raw(Arc::new(Mutex::new(opened))))?;
    // SAFETY: as before.
    unsafe { put(context, pointer(number)) }
}

/// ReadEncryptedFileRaw: gives the raw data of the file to `export`, in blocks of 1 byte to 64 KiB, until that
/// answers another number than 0. A block is the callback's until it returns. Each call begins at the
/// beginning.
///
/// Answers 0, what the callback answered, or the error: 87 no callback, no context, or one for import; 170 the
/// context is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_read_encrypted_file_raw(
    export: NtbakExportFunc,
    callback_context: *mut c_void,
    context: *mut c_void,
) -> u32 {
    code(|| {
        let export = export.ok_or_else(no_callback)?;
        let context = found(context)?;
        let mut block = Vec::new();
        let export = |data: &[u8]| {
            // It may write to the block: it gets a copy.
            block.clear();
            block.extend_from_slice(data);
            let len = u32::try_from(block.len()).unwrap_or(u32::MAX);
            // SAFETY: it is the caller's function, for a block that is its own.
            unsafe { export(block.as_mut_ptr(), callback_context, len) }
        };
        read_encrypted_file_raw(export, &mut *unused::<EncryptedFileRaw<'_>>(&context)?)
    })
}

/// WriteEncryptedFileRaw: makes the encrypted file of the raw data that `import` gives, block by block of up to
/// 64 KiB, 0 bytes at the end. The file appears whole, in place of one that is there; with any failure, what
/// was there is untouched.
///
/// Answers 0, what the callback answered, or the error: 87 no callback, no context, one for export, or one that
/// was written already; the callback says more than the block holds; 112 no room; 170 the context is in use;
/// 6008 no raw data, or cut; 6014 the place cannot hold encrypted files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_write_encrypted_file_raw(
    import: NtbakImportFunc,
    callback_context: *mut c_void,
    context: *mut c_void,
) -> u32 {
    code(|| {
        let import = import.ok_or_else(no_callback)?;
        let context = found(context)?;
        // SAFETY: it is the caller's function, for as many bytes as it is told.
        let import =
            |block: &mut [u8], len: &mut u32| unsafe { import(block.as_mut_ptr(), callback_context, len) };
        write_encrypted_file_raw(import, &mut *unused::<EncryptedFileRaw<'_>>(&context)?)
    })
}

/// CloseEncryptedFileRaw: NULL, and what is no context, is passed over.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_close_encrypted_file_raw(context: *mut c_void) {
    code(|| {
        wanted(context)?;
        process::close(context, |object| matches!(object, Object::Raw(_))).map(drop)
    });
}

fn found(context: *mut c_void) -> Result<Arc<Mutex<EncryptedFileRaw<'static>>>> {
    match process::object(context) {
        Ok(Object::Raw(context)) => Ok(context),
        _ => Err(invalid("the context is none, or none any more")),
    }
}

fn no_callback() -> ntbak::Error {
    invalid("the callback is NULL")
}
