//! `GetVolumeInformation`, `GetVolumeInformationByHandleW`.

use std::ffi::c_char;

use ntbak::win32::{VolumeInformation, get_volume_information_by_handle};
use ntbak::{Error, Result};
use ntbak_wire::{Name, Win32Error};

use crate::fence::boolean;
use crate::memory::{put, put_if};
use crate::process::{self, system};
use crate::strings::{narrow, wide};
use crate::{NtbakBool, NtbakChar16, NtbakHandle};

/// GetVolumeInformationW: of the volume that `root` (`C:\`), or any other path, is on; NULL is that of the
/// current directory of Linux. Every pointer may be NULL; sizes are in units.
///
/// Errors: 2, 3 not there; 234 a buffer is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_volume_information_w(
    root: *const NtbakChar16,
    label: *mut NtbakChar16,
    label_size: u32,
    serial: *mut u32,
    longest_name: *mut u32,
    flags: *mut u32,
    file_system: *mut NtbakChar16,
    file_system_size: u32,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        unsafe {
            let root = if root.is_null() { b".".to_vec() } else { wide(root)? };
            let found = system().get_volume_information(root)?;
            numbers(&found, serial, longest_name, flags);
            give(found.label.units(), label, label_size)?;
            give(Name::from(found.file_system.as_str()).units(), file_system, file_system_size)
        }
    })
}

/// GetVolumeInformationA: with names in UTF-8; sizes are in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_volume_information_a(
    root: *const c_char,
    label: *mut c_char,
    label_size: u32,
    serial: *mut u32,
    longest_name: *mut u32,
    flags: *mut u32,
    file_system: *mut c_char,
    file_system_size: u32,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        unsafe {
            let root = if root.is_null() { b".".to_vec() } else { narrow(root)? };
            let found = system().get_volume_information(root)?;
            numbers(&found, serial, longest_name, flags);
            give(&found.label.to_wtf8(), label.cast(), label_size)?;
            give(found.file_system.as_bytes(), file_system.cast(), file_system_size)
        }
    })
}

/// GetVolumeInformationByHandleW: of the volume that a file is on. Every pointer but the handle may be NULL;
/// sizes are in units.
///
/// Errors: 6; 234 a buffer is too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_volume_information_by_handle_w(
    file: NtbakHandle,
    label: *mut NtbakChar16,
    label_size: u32,
    serial: *mut u32,
    longest_name: *mut u32,
    flags: *mut u32,
    file_system: *mut NtbakChar16,
    file_system_size: u32,
) -> NtbakBool {
    boolean(|| {
        let found = get_volume_information_by_handle(&process::file(file)?)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            numbers(&found, serial, longest_name, flags);
            give(found.label.units(), label, label_size)?;
            give(Name::from(found.file_system.as_str()).units(), file_system, file_system_size)
        }
    })
}

/// # Safety
/// Each pointer is NULL or that of a number.
unsafe fn numbers(found: &VolumeInformation, serial: *mut u32, longest_name: *mut u32, flags: *mut u32) {
    // SAFETY: as the caller vouches.
    unsafe {
        put_if(serial, found.serial_number);
        put_if(longest_name, found.maximum_component_length);
        put_if(flags, found.flags.bits());
    }
}

/// A string and its 0, where it is wanted.
///
/// # Safety
/// `to` is NULL or has room for `size` units.
unsafe fn give<T: Copy + Default>(text: &[T], to: *mut T, size: u32) -> Result<()> {
    if to.is_null() {
        return Ok(());
    }
    if text.len() >= size as usize {
        return Err(Error::new(Win32Error::MORE_DATA, "the buffer is too small for the name"));
    }
    for (at, unit) in text.iter().copied().chain([T::default()]).enumerate() {
        // SAFETY: there is room for all of it.
        unsafe { put(to.add(at), unit) }?;
    }
    Ok(())
}
