//! What Windows does not have: drives, keys, the policy of `BackupWrite`, and its end.

use std::ffi::{CStr, c_char, c_void};
use std::io::Read;

use ntbak::win32::{add_encryption_key, backup_finish};
use ntbak::{Error, Result, WritePolicy};
use ntbak_wire::Win32Error;
use ntbak_wire::stream::StreamSet;
use zeroize::Zeroizing;

use crate::NtbakBool;
use crate::backup::taken;
use crate::fence::{boolean, invalid, locked};
use crate::memory::get;
use crate::process::{map, system};
use crate::strings::narrow;

/// For ntbak_set_policy: what MS-BKUP demands of a reader, instead of what is seen in the wild.
pub const NTBAK_POLICY_STRICT: u32 = 1;
/// For ntbak_set_policy: all streams.
pub const NTBAK_ALL_STREAMS: u32 = 0xFFFF_FFFF;

/// The most bytes of a key file; those of people have a few thousand.
const LARGEST_KEY_FILE: u64 = 16 << 20;

/// The version of the library, `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Makes a drive of a directory, of a mounted NTFS volume, or of the NTFS volume in a disk image or on a device
/// (`disk.img`, `disk.img#2` for its second partition), which is only read. It is for this process: paths that begin
/// with the letter lead there, and nowhere else. It takes the place of one that has the letter; what is open stays
/// open. The environment variable NTBAK_DRIVES (`C=/mnt/windows;D=disk.img#2`) does the same before the first call.
///
/// Errors: 2, 3 it is not there; 15 no letter; 87 `location` is NULL; 1392 and others no NTFS volume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_map_drive(letter: c_char, location: *const c_char) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        let location = unsafe { narrow(location) }?;
        let letter = char::from(letter.cast_unsigned());
        if !letter.is_ascii_alphabetic() {
            // Before anything is opened.
            return Err(Error::new(Win32Error::INVALID_DRIVE, "a drive has a letter from A to Z"));
        }
        map(system().drives(), letter, &location)
    })
}

/// Adds the keys of a PFX or PEM file, for this process: they open encrypted files. The first of them that has
/// a certificate for EFS is that of the current user, until ntbak_set_user_file_encryption_key says otherwise.
/// `password` is in UTF-8; NULL is none.
///
/// Errors: 2, 3 the file is not there; 13 it has no keys; 86 the password is wrong; 87 `file` is NULL, the
/// password is no UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_efs_add_key(file: *const c_char, password: *const c_char) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        let (file, password) = unsafe {
            let password = if password.is_null() { None } else { Some(Zeroizing::new(narrow(password)?)) };
            (narrow(file)?, password)
        };
        let password = password.as_deref().map(|password| std::str::from_utf8(password));
        let password = password.transpose().map_err(|_| invalid("the password is no UTF-8"))?;
        let added = add_encryption_key(system(), &key_file(&file)?, password)?;
        if added.keys == 0 && added.certificates == 0 {
            return Err(Error::new(Win32Error::INVALID_DATA, "the file has no keys"));
        }
        Ok(())
    })
}

/// All of a small file, wiped when it is dropped.
fn key_file(path: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    let reading = |error| Error::io("reading the key file", error).at_path(path);
    let file = std::fs::File::open(path).map_err(reading)?;
    // As large as it is from the start: what grows leaves copies behind.
    let size = file.metadata().map_or(0, |metadata| metadata.len()).min(LARGEST_KEY_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(LARGEST_KEY_FILE + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > LARGEST_KEY_FILE {
        return Err(
            Error::new(Win32Error::INVALID_DATA, "with more than 16 MiB it is no key file").at_path(path)
        );
    }
    Ok(bytes)
}

/// The policy of ntbak_backup_write for files that are opened from now on: `flags` is 0 or NTBAK_POLICY_STRICT;
/// `streams` has the bit `1 << id` for each kind of stream that is applied, and others are passed over.
///
/// Errors: 87 another flag.
#[unsafe(no_mangle)]
pub extern "C" fn ntbak_set_policy(flags: u32, streams: u32) -> NtbakBool {
    boolean(|| {
        if flags & !NTBAK_POLICY_STRICT != 0 {
            return Err(invalid("there is no such flag"));
        }
        let strict = flags & NTBAK_POLICY_STRICT != 0;
        system().set_policy(WritePolicy { strict, accept: StreamSet::from_bits_truncate(streams) });
        Ok(())
    })
}

/// Says that the backup stream of a ntbak_backup_write ends here, frees the context and sets it to NULL:
/// instead of a call with `abort`, which cannot tell whether the stream was whole.
///
/// Errors: 13 a header, name or payload is cut; 87 the context is NULL, none, or that of a read, which is
/// freed, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ntbak_finish(context: *mut *mut c_void) -> NtbakBool {
    boolean(|| {
        // SAFETY: as the caller of C vouches.
        let open = unsafe {
            let given = get(context)?;
            taken(given, context)?
        };
        backup_finish(&mut *locked(&open)?)
    })
}
