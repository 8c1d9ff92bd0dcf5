//! Strings of the caller: UTF-16 (`…W`) and UTF-8 (`…A`), to the WTF-8 that ntbak has, and back.

use std::ffi::c_char;

use ntbak::{Error, Result};
use ntbak_wire::{Name, Win32Error};

use crate::NtbakChar16;
use crate::fence::invalid;

/// The most units of a path, as Windows has it. A string that goes on has no end, for all that is known.
const LONGEST: usize = 32_767;

/// A path of a `…W` function.
///
/// # Safety
/// `from` is NULL or that of a string that ends with 0.
pub(crate) unsafe fn wide(from: *const NtbakChar16) -> Result<Vec<u8>> {
    if from.is_null() {
        return Err(invalid("a string is NULL"));
    }
    let mut units = Vec::new();
    loop {
        // SAFETY: all units before it were other than 0, so it is one of the string.
        match unsafe { from.add(units.len()).read_unaligned() } {
            0 => return Ok(Name::from_units(units).to_wtf8()),
            _ if units.len() >= LONGEST => return Err(too_long()),
            unit => units.push(unit),
        }
    }
}

/// A path of an `…A` function. On Linux it is any bytes, on a drive UTF-8.
///
/// # Safety
/// `from` is NULL or that of a string that ends with 0.
pub(crate) unsafe fn narrow(from: *const c_char) -> Result<Vec<u8>> {
    if from.is_null() {
        return Err(invalid("a string is NULL"));
    }
    let mut bytes = Vec::new();
    loop {
        // SAFETY: all bytes before it were other than 0, so it is one of the string.
        match unsafe { from.add(bytes.len()).read() }.cast_unsigned() {
            0 => return Ok(bytes),
            _ if bytes.len() >= 3 * LONGEST => return Err(too_long()),
            byte => bytes.push(byte),
        }
    }
}

/// Where the function takes text only.
pub(crate) fn text(path: Vec<u8>) -> Result<String> {
    String::from_utf8(path).map_err(|_| Error::new(Win32Error::INVALID_NAME, "the name is no text"))
}

/// A name in an array of units, with a 0 behind it.
pub(crate) fn put_wide<const N: usize>(name: &Name) -> Result<[NtbakChar16; N]> {
    let mut array = [0; N];
    let room = array.get_mut(..name.units().len()).filter(|room| room.len() < N);
    room.ok_or_else(no_room)?.copy_from_slice(name.units());
    Ok(array)
}

/// A name in an array of bytes, with a 0 behind it.
pub(crate) fn put_narrow<const N: usize>(name: &Name) -> Result<[c_char; N]> {
    let (mut array, bytes) = ([0; N], name.to_wtf8());
    let room = array.get_mut(..bytes.len()).filter(|room| room.len() < N);
    for (to, from) in room.ok_or_else(no_room)?.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    Ok(array)
}

fn too_long() -> Error {
    Error::new(Win32Error::FILENAME_EXCED_RANGE, "a path has 32,767 units at most")
}

fn no_room() -> Error {
    Error::new(Win32Error::MORE_DATA, "the name is longer than its array")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_have_no_end_are_206() {
        let units = vec![u16::from(b'x'); LONGEST + 1];
        // SAFETY: it is not read behind its last unit.
        assert_eq!(unsafe { wide(units.as_ptr()) }.unwrap_err().win32().0, 206);
        let bytes = vec![b'x'.cast_signed(); 3 * LONGEST + 1];
        // SAFETY: the same.
        assert_eq!(unsafe { narrow(bytes.as_ptr()) }.unwrap_err().win32().0, 206);
    }

    #[test]
    fn unpaired_surrogates_are_kept() {
        // SAFETY: it ends with 0.
        let path = unsafe { wide([0x41, 0xD800, 0].as_ptr()) }.unwrap();
        assert_eq!(put_wide(&Name::from_wtf8(&path).unwrap()).unwrap(), [0x41, 0xD800, 0, 0]);
        assert_eq!(put_wide::<3>(&Name::from("abc")).unwrap_err().win32().0, 234);
        assert_eq!(put_narrow::<3>(&Name::from("ä")).unwrap().map(i8::cast_unsigned), [0xC3, 0xA4, 0]);
    }
}
