//! What a file is: attributes, times, `GetFileInformationByHandle(Ex)`, `SetFileInformationByHandle`.

use std::ffi::{c_char, c_void};

use ntbak::win32::{
    BasicInfo, get_attribute_tag_info, get_basic_info, get_file_information_by_handle, get_file_time,
    get_id_info, get_standard_info, set_basic_info, set_end_of_file_info, set_file_time,
};
use ntbak::{Error, Result};
use ntbak_wire::{FileAttributes, FileTime, Win32Error};

use crate::fence::{boolean, invalid, value};
use crate::memory::{get, put, put_if, wanted};
use crate::process::{self, system};
use crate::strings::{narrow, wide};
use crate::types::{
    NtbakByHandleFileInformation, NtbakFileAttributeTagInfo, NtbakFileBasicInfo, NtbakFileId128,
    NtbakFileIdInfo, NtbakFileStandardInfo, NtbakLargeInteger, halves,
};
use crate::{NtbakBool, NtbakChar16, NtbakFileTime, NtbakHandle};

/// INVALID_FILE_ATTRIBUTES.
const INVALID_FILE_ATTRIBUTES: u32 = u32::MAX;

/// GetFileAttributesW: of a link itself; 0xFFFFFFFF for a failure. Errors: 2, 3 not there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_attributes_w(name: *const NtbakChar16) -> u32 {
    // SAFETY: as the caller of C vouches.
    value(INVALID_FILE_ATTRIBUTES, || Ok(system().get_file_attributes(unsafe { wide(name) }?)?.bits()))
}

/// GetFileAttributesA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_attributes_a(name: *const c_char) -> u32 {
    // SAFETY: as the caller of C vouches.
    value(INVALID_FILE_ATTRIBUTES, || Ok(system().get_file_attributes(unsafe { narrow(name) }?)?.bits()))
}

/// SetFileAttributesW: of a link itself. Those that Windows does not set this way stay as they are. Errors: 2,
/// 3 not there; 19; 32.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_file_attributes_w(name: *const NtbakChar16, attributes: u32) -> NtbakBool {
    let attributes = FileAttributes::from_bits_retain(attributes);
    // SAFETY: as the caller of C vouches.
    boolean(|| system().set_file_attributes(unsafe { wide(name) }?, attributes))
}

/// SetFileAttributesA: with a name in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_file_attributes_a(name: *const c_char, attributes: u32) -> NtbakBool {
    let attributes = FileAttributes::from_bits_retain(attributes);
    // SAFETY: as the caller of C vouches.
    boolean(|| system().set_file_attributes(unsafe { narrow(name) }?, attributes))
}

/// GetFileInformationByHandle. Errors: 6; 87 `information` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_information_by_handle(
    file: NtbakHandle,
    information: *mut NtbakByHandleFileInformation,
) -> NtbakBool {
    boolean(|| {
        wanted(information)?;
        let found = get_file_information_by_handle(&process::file(file)?)?;
        let (nFileSizeHigh, nFileSizeLow) = halves(found.file_size);
        let (nFileIndexHigh, nFileIndexLow) = halves(found.file_index);
        let found = NtbakByHandleFileInformation {
            dwFileAttributes: found.basic.attributes.bits(),
            ftCreationTime: found.basic.created.into(),
            ftLastAccessTime: found.basic.accessed.into(),
            ftLastWriteTime: found.basic.written.into(),
            dwVolumeSerialNumber: found.volume_serial_number,
            nFileSizeHigh,
            nFileSizeLow,
            nNumberOfLinks: found.number_of_links,
            nFileIndexHigh,
            nFileIndexLow,
        };
        // SAFETY: as the caller of C vouches.
        unsafe { put(information, found) }
    })
}

/// GetFileInformationByHandleEx, with FileBasicInfo (0), FileStandardInfo (1), FileAttributeTagInfo (9) and
/// FileIdInfo (18).
///
/// Errors: 6; 24 the buffer is too small; 87 `information` is NULL, another class.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_information_by_handle_ex(
    file: NtbakHandle,
    class: u32,
    information: *mut c_void,
    size: u32,
) -> NtbakBool {
    boolean(|| {
        wanted(information)?;
        let file = process::file(file)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            match class {
                0 => {
                    let basic = get_basic_info(&file)?;
                    let basic = NtbakFileBasicInfo {
                        CreationTime: basic.created.into(),
                        LastAccessTime: basic.accessed.into(),
                        LastWriteTime: basic.written.into(),
                        ChangeTime: basic.changed.into(),
                        FileAttributes: basic.attributes.bits(),
                    };
                    fill(information, size, basic)
                }
                1 => {
                    let standard = get_standard_info(system(), &file)?;
                    let standard = NtbakFileStandardInfo {
                        AllocationSize: standard.allocation_size.into(),
                        EndOfFile: standard.end_of_file.into(),
                        NumberOfLinks: standard.number_of_links,
                        DeletePending: standard.delete_pending.into(),
                        Directory: standard.directory.into(),
                    };
                    fill(information, size, standard)
                }
                9 => {
                    let (attributes, tag) = get_attribute_tag_info(&file)?;
                    let tag =
                        NtbakFileAttributeTagInfo { FileAttributes: attributes.bits(), ReparseTag: tag };
                    fill(information, size, tag)
                }
                18 => {
                    let id = get_id_info(&file)?;
                    let id = NtbakFileIdInfo {
                        VolumeSerialNumber: id.volume_serial_number,
                        FileId: NtbakFileId128 { Identifier: id.file_id },
                    };
                    fill(information, size, id)
                }
                _ => Err(no_class()),
            }
        }
    })
}

/// SetFileInformationByHandle, with FileBasicInfo (0), FileDispositionInfo (4) and FileEndOfFileInfo (6).
///
/// Errors: 5 no right; 6; 19; 24 the buffer is too small; 87 `information` is NULL, another class, attributes
/// or times that cannot be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_file_information_by_handle(
    file: NtbakHandle,
    class: u32,
    information: *const c_void,
    size: u32,
) -> NtbakBool {
    boolean(|| {
        wanted(information)?;
        let file = process::file(file)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            match class {
                0 => {
                    let basic: NtbakFileBasicInfo = taken(information, size)?;
                    let time = |time: NtbakLargeInteger| FileTime(time.QuadPart);
                    let basic = BasicInfo {
                        created: time(basic.CreationTime),
                        accessed: time(basic.LastAccessTime),
                        written: time(basic.LastWriteTime),
                        changed: time(basic.ChangeTime),
                        attributes: FileAttributes::from_bits_retain(basic.FileAttributes),
                    };
                    set_basic_info(&file, &basic)
                }
                4 => system().set_disposition(&file, taken::<u8>(information, size)? != 0),
                6 => {
                    let size = taken::<NtbakLargeInteger>(information, size)?.QuadPart;
                    let size = u64::try_from(size).map_err(|_| invalid("no file has less than 0 bytes"))?;
                    set_end_of_file_info(&file, size)
                }
                _ => Err(no_class()),
            }
        }
    })
}

/// GetFileTime: each of the three may be NULL. Errors: 6.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_get_file_time(
    file: NtbakHandle,
    creation: *mut NtbakFileTime,
    access: *mut NtbakFileTime,
    write: *mut NtbakFileTime,
) -> NtbakBool {
    boolean(|| {
        let (created, accessed, written) = get_file_time(&process::file(file)?)?;
        // SAFETY: as the caller of C vouches.
        unsafe {
            put_if(creation, created.into());
            put_if(access, accessed.into());
            put_if(write, written.into());
        }
        Ok(())
    })
}

/// SetFileTime: what is NULL, or 0, stays as it is. Errors: 5 no right; 6; 19; 87 a time before 1601.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_set_file_time(
    file: NtbakHandle,
    creation: *const NtbakFileTime,
    access: *const NtbakFileTime,
    write: *const NtbakFileTime,
) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        let [created, accessed, written] =
            [creation, access, write].map(|time| unsafe { get(time) }.ok().map(FileTime::from));
        set_file_time(&process::file(file)?, created, accessed, written)
    })
}

/// Writes a structure where there is room for it.
///
/// # Safety
/// `to` has `size` bytes.
unsafe fn fill<T>(to: *mut c_void, size: u32, value: T) -> Result<()> {
    check_length::<T>(size)?;
    // SAFETY: there is room for it.
    unsafe { put(to.cast(), value) }
}

/// Reads a structure, of which every bit pattern is one.
///
/// # Safety
/// `from` has `size` bytes.
unsafe fn taken<T: Copy>(from: *const c_void, size: u32) -> Result<T> {
    check_length::<T>(size)?;
    // SAFETY: it is long enough.
    unsafe { get(from.cast()) }
}

fn check_length<T>(size: u32) -> Result<()> {
    if (size as usize) < size_of::<T>() {
        return Err(Error::new(Win32Error::BAD_LENGTH, "the buffer is shorter than the structure"));
    }
    Ok(())
}

fn no_class() -> Error {
    invalid("this class of information is not known here")
}
