//! `GetLastError`, `SetLastError`, `FormatMessage`, and texts for numbers.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::{Mutex, PoisonError};

use ntbak::{Error, Result};
use ntbak_wire::{Name, Win32Error};

use crate::blocks::{allocate, release};
use crate::fence::{invalid, last_error, set_last_error, value};
use crate::memory::{put, wanted};
use crate::{NtbakChar16, NtbakHandle};

/// GetLastError: of this thread. Functions that succeed leave it as it is, but ntbak_create_file_w and
/// ntbak_adjust_token_privileges.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_get_last_error() -> u32 {
    last_error()
}

/// SetLastError.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_set_last_error(code: u32) {
    set_last_error(code);
}

/// What a number says, in English: never NULL, and never freed.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_strerror(code: u32) -> *const c_char {
    static TEXTS: Mutex<BTreeMap<u32, CString>> = Mutex::new(BTreeMap::new());
    const UNKNOWN: &CStr = c"unknown error";
    value(UNKNOWN.as_ptr(), || {
        let error = Win32Error(code);
        if error.name().is_none() {
            return Ok(UNKNOWN.as_ptr());
        }
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        // A string stays where it is when others come, and none goes.
        let text = texts.entry(code).or_insert_with(|| CString::new(error.text()).unwrap_or_default());
        Ok(text.as_ptr())
    })
}

const ALLOCATE_BUFFER: u32 = 0x100;
const FROM_SYSTEM: u32 = 0x1000;
const MAX_WIDTH_MASK: u32 = 0xFF;
/// ERROR_MR_MID_NOT_FOUND.
const NO_MESSAGE: Win32Error = Win32Error(317);

/// FormatMessageW: the text of ntbak_strerror for a number, with FORMAT_MESSAGE_FROM_SYSTEM, and with
/// FORMAT_MESSAGE_ALLOCATE_BUFFER in memory that ntbak_local_free frees. It ends with CR and LF, or with a
/// space with FORMAT_MESSAGE_MAX_WIDTH_MASK. Answers how many units, without the 0, or 0 for a failure.
///
/// Errors: 87 other flags, `buffer` is NULL; 122 the buffer is too small; 317 a number without a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_format_message_w(
    flags: u32,
    source: *const c_void,
    code: u32,
    language: u32,
    buffer: *mut NtbakChar16,
    size: u32,
    arguments: *mut c_void,
) -> u32 {
    let (_, _, _) = (source, language, arguments);
    value(0, || {
        let text = message(flags, code)?;
        let units: Vec<u16> = Name::from(text.as_str()).units().iter().copied().chain([0]).collect();
        // SAFETY: as the caller of C vouches.
        unsafe { give(&units, flags, buffer, size) }
    })
}

/// FormatMessageA: in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_format_message_a(
    flags: u32,
    source: *const c_void,
    code: u32,
    language: u32,
    buffer: *mut c_char,
    size: u32,
    arguments: *mut c_void,
) -> u32 {
    let (_, _, _) = (source, language, arguments);
    value(0, || {
        let text = message(flags, code)?;
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        // SAFETY: as the caller of C vouches.
        unsafe { give(&bytes, flags, buffer.cast(), size) }
    })
}

/// LocalFree: of a message of ntbak_format_message_w; NULL is passed over. Answers NULL, or what it was given
/// when that is none.
///
/// Errors: 6 it is none, or none any more.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_local_free(memory: NtbakHandle) -> NtbakHandle {
    value(memory, || match memory.is_null() || release(memory) {
        true => Ok(std::ptr::null_mut()),
        false => Err(crate::process::no_handle("it is no message")),
    })
}

fn message(flags: u32, code: u32) -> Result<String> {
    if flags & FROM_SYSTEM == 0 {
        return Err(invalid("messages are those of the system"));
    }
    let error = Win32Error(code);
    if error.name().is_none() {
        return Err(Error::new(NO_MESSAGE, "the number has no text"));
    }
    let end = if flags & MAX_WIDTH_MASK == MAX_WIDTH_MASK { " " } else { "\r\n" };
    Ok(format!("{}{end}", error.text()))
}

/// A text with its 0, in the caller's buffer or in one that they get.
///
/// # Safety
/// `buffer` is NULL, or has `size` units, or is that of a pointer, as the flags say.
unsafe fn give<T: Copy>(text: &[T], flags: u32, buffer: *mut T, size: u32) -> Result<u32> {
    wanted(buffer)?;
    let mut to = buffer;
    if flags & ALLOCATE_BUFFER != 0 {
        to = allocate(size_of_val(text).max(size as usize * size_of::<T>()))?.cast();
        // SAFETY: as the caller vouches.
        unsafe { put(buffer.cast(), to) }?;
    } else if text.len() > size as usize {
        return Err(Error::new(Win32Error::INSUFFICIENT_BUFFER, "the buffer is too small for the message"));
    }
    for (at, unit) in text.iter().enumerate() {
        // SAFETY: there is room for all of it.
        unsafe { put(to.add(at), *unit) }?;
    }
    Ok(u32::try_from(text.len().saturating_sub(1)).unwrap_or(0))
}
