//! The caller's memory. What a pointer must be stands in `lib.rs`.

use ntbak::Result;

use crate::fence::invalid;

/// `len` bytes that are read.
///
/// # Safety
/// `from` is NULL, or has `len` bytes that nobody writes to as long as the slice lives.
pub(crate) unsafe fn bytes<'a>(from: *const u8, len: u32) -> Result<&'a [u8]> {
    match (from.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(invalid("the buffer is NULL")),
        // SAFETY: it is not NULL, and the caller of C vouches for its length; u32 is less than isize::MAX.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(from, len as usize) }),
    }
}

/// `len` bytes that are written.
///
/// # Safety
/// `to` is NULL, or has `len` bytes that nobody else uses as long as the slice lives.
pub(crate) unsafe fn bytes_mut<'a>(to: *mut u8, len: u32) -> Result<&'a mut [u8]> {
    match (to.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(invalid("the buffer is NULL")),
        // SAFETY: it is not NULL, and the caller of C vouches for its length; u32 is less than isize::MAX.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(to, len as usize) }),
    }
}

/// One value, which need not be aligned.
///
/// # Safety
/// `from` is NULL or that of a `T`, of which every bit pattern is one.
pub(crate) unsafe fn get<T: Copy>(from: *const T) -> Result<T> {
    if from.is_null() {
        return Err(invalid("a pointer is NULL"));
    }
    // SAFETY: it is not NULL, and the caller of C vouches for the rest.
    Ok(unsafe { from.read_unaligned() })
}

/// Writes one value, which need not be aligned.
///
/// # Safety
/// `to` is NULL or that of room for a `T`.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Result<()> {
    if to.is_null() {
        return Err(invalid("a pointer is NULL"));
    }
    // SAFETY: it is not NULL, and the caller of C vouches for the rest.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// Writes one value where somebody wants it.
///
/// # Safety
/// As [`put`].
pub(crate) unsafe fn put_if<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: it is not NULL, and the caller of C vouches for the rest.
        unsafe { to.write_unaligned(value) };
    }
}

/// Fails for NULL: said before anything is done that could not be told then.
pub(crate) fn wanted<T>(pointer: *const T) -> Result<()> {
    if pointer.is_null() { Err(invalid("a pointer is NULL")) } else { Ok(()) }
}
