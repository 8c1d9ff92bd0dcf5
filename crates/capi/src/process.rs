//! What all functions of the process share: the drives, and what is open.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, OnceLock};

use ntbak::win32::{
    Context, Drives, EncryptedFileRaw, FindFile, FindStream, Handle, HandleId, HandleTable, Privileges,
    System, Volume,
};
use ntbak::{Error, Result, VolumeOptions};
use ntbak_wire::Win32Error;

use crate::NtbakHandle;
use crate::fence::id;
use crate::find_names::Names;

/// INVALID_HANDLE_VALUE, and what `GetCurrentProcess` answers: they are the same on Windows.
pub(crate) const INVALID_HANDLE_VALUE: NtbakHandle = std::ptr::without_provenance_mut(usize::MAX);

/// Whatever has a number.
#[derive(Clone)]
pub(crate) enum Object {
    File(Handle),
    FindFile(Arc<Mutex<FindFile>>),
    FindStream(Arc<Mutex<FindStream>>),
    FindName(Arc<Mutex<Names>>),
    Token,
    Backup(Arc<Mutex<Context>>),
    Raw(Arc<Mutex<EncryptedFileRaw<'static>>>),
}

/// The drives and the caller: the paths of Linux, `NTBAK_DRIVES`, and the privileges of the effective user when
/// it is first asked.
pub(crate) fn system() -> &'static System {
    static SYSTEM: OnceLock<System> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let drives = Drives::new().with_posix();
        for (letter, location) in
            listed(std::env::var_os("NTBAK_DRIVES").unwrap_or_default().as_encoded_bytes())
        {
            if let Err(error) = map(&drives, letter, location) {
                // A drive that cannot be opened says why when it is used. What is no letter cannot be used.
                let _ = drives.map(letter, Unusable(error));
            }
        }
        System::new(drives).with_privileges(Privileges::of_this_process()).with_links_on_drives()
    })
}

/// `C=/mnt/win;D=disk.img#2`: letters and locations.
fn listed(drives: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    drives.split(|byte| *byte == b';').filter_map(|drive| match drive {
        [letter, b'=', location @ ..] => Some((char::from(*letter), location)),
        _ => None,
    })
}

/// Gives a location a letter: a directory, or the NTFS volume of a disk image or device.
pub(crate) fn map(drives: &Drives, letter: char, location: &[u8]) -> Result<()> {
    drives.map_location(letter, OsStr::from_bytes(location), VolumeOptions::default())
}

/// A drive that could not be opened.
struct Unusable(Error);

impl Volume for Unusable {
    fn root(&self) -> Result<Arc<dyn ntbak::win32::Node>> {
        Err(Error::new(self.0.win32(), self.0.to_string()))
    }
}

fn objects() -> &'static HandleTable<Object> {
    static OBJECTS: OnceLock<HandleTable<Object>> = OnceLock::new();
    OBJECTS.get_or_init(HandleTable::new)
}

/// Gives something a number.
pub(crate) fn open(object: Object) -> Result<HandleId> {
    objects().insert(object)
}

/// What a number stands for.
pub(crate) fn object(handle: NtbakHandle) -> Result<Object> {
    objects().get(id(handle))
}

/// Takes the number of what `is` says yes to; anything else keeps it.
pub(crate) fn close(handle: NtbakHandle, is: impl FnOnce(&Object) -> bool) -> Result<Object> {
    if !is(&object(handle)?) {
        return Err(no_handle("the handle is one of another kind"));
    }
    objects().remove(id(handle))
}

/// The file of a handle.
pub(crate) fn file(handle: NtbakHandle) -> Result<Handle> {
    match object(handle)? {
        Object::File(file) => Ok(file),
        _ => Err(no_handle("the handle is not that of a file")),
    }
}

pub(crate) fn no_handle(why: &'static str) -> Error {
    Error::new(Win32Error::INVALID_HANDLE, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_listed() {
        let all: Vec<_> = listed(b"C=/mnt/win;D=disk.img#2;;x;=y;EE=z").collect();
        assert_eq!(all, [('C', b"/mnt/win".as_slice()), ('D', b"disk.img#2")]);
    }
}
