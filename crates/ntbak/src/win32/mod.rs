/*!
Windows' own functions that a backup program calls: files, finding, changing, and [`backup_read`], [`backup_write`],
[`backup_seek`].

The functions take what Windows' functions take and fail with Windows' error numbers ([`Error::win32`](crate::Error::win32)).
They hold positions and rights; what a backup stream is, the engine knows.

| Windows | here |
| --- | --- |
| `HANDLE` | [`Handle`], closed when its last clone is dropped; [`HandleTable`] for programs that want numbers |
| `C:`, `\\?\C:\…` | [`Drives`]: letters and their [`Volume`]s |
| `LPVOID *lpContext` | [`Context`]; `Context::default()` is the NULL of a first call |
| `TRUE` / `FALSE` and `GetLastError` | `Ok(())` / `Err` with [`Error::win32`](crate::Error::win32) |
| functions of paths | methods of [`System`] |
| functions of handles | functions |
| `DeviceIoControl` | a function for each control code |

A path is WTF-8: UTF-8, in which an unpaired surrogate is written as its three bytes.

Where Windows' behaviour is not documented, ntbak's choice is written at the function, and in `docs/windows-functions.md`,
which has the source of every number.

# Example

```
use ntbak::memory::MemoryFile;
use ntbak::win32::{Access, Context, Create, Disposition, MemoryVolume, System, backup_read};

let volume = MemoryVolume::new();
volume.insert("dir/file.txt", MemoryFile::file().with_stream(None, b"hello"));
let system = System::new(volume);

let how = Create { access: Access::GENERIC_READ, disposition: Disposition::OpenExisting, ..Create::default() };
let file = system.create_file("dir/file.txt", how)?;
let (mut context, mut buffer, mut read) = (Context::default(), [0; 64], 0);
backup_read(Some(&file), &mut buffer, &mut read, false, false, &mut context)?;
assert_eq!(read, 20 + 5);
assert_eq!(buffer[20..25], *b"hello");
backup_read(None, &mut [], &mut 0, true, false, &mut context)?; // bAbort frees the context
# Ok::<(), ntbak::Error>(())
```
*/

mod access;
mod backup_read;
mod backup_seek;
mod backup_write;
mod change;
mod context;
mod control;
mod create_file;
mod drives;
mod encrypted_file_raw;
mod facts;
mod file_encryption;
mod file_io;
mod find;
mod find_names;
mod find_streams;
mod fold;
mod handle;
mod handle_table;
mod host_content;
mod host_node;
mod host_volume;
mod image_volume;
mod information;
mod ini;
mod links;
mod memory_volume;
mod open_files;
mod path;
mod pattern;
mod resolve;
mod system;
mod volume;
mod volume_information;

pub use access::{Access, Disposition, FileFlags, Privileges, Share};
pub use backup_read::backup_read;
pub use backup_seek::backup_seek;
pub use backup_write::{backup_finish, backup_write};
pub use change::MoveFlags;
pub use context::Context;
pub use control::{
    delete_object_id, delete_reparse_point, get_object_id, get_reparse_point, query_allocated_ranges,
    set_object_id, set_reparse_point, set_sparse, set_zero_data,
};
pub use create_file::Create;
pub use drives::Drives;
pub use encrypted_file_raw::{
    EncryptedFileRaw, RawFlags, close_encrypted_file_raw, open_encrypted_file_raw, read_encrypted_file_raw,
    write_encrypted_file_raw,
};
pub use file_encryption::{
    EncryptionKeys, EncryptionStatus, add_encryption_key, add_users_to_encrypted_file, decrypt_file,
    duplicate_encryption_info_file, encrypt_file, encryption_disable, file_encryption_status,
    query_recovery_agents_on_encrypted_file, query_users_on_encrypted_file, remove_users_from_encrypted_file,
    set_user_file_encryption_key,
};
pub use file_io::{
    MoveMethod, close_handle, get_file_size_ex, read_file, read_file_at, set_end_of_file,
    set_file_pointer_ex, write_file, write_file_at,
};
pub use find::{FindData, FindFile, find_close, find_first_file, find_next_file};
pub use find_names::{FindFileName, find_first_file_name, find_next_file_name};
pub use find_streams::{FindStream, StreamData, find_first_stream, find_next_stream, find_streams};
pub use handle::Handle;
pub use handle_table::{HandleId, HandleTable};
pub use host_volume::{DirectoryVolume, HostVolume};
pub use image_volume::ImageVolume;
pub use information::{
    BasicInfo, ByHandleFileInformation, IdInfo, StandardInfo, get_attribute_tag_info, get_basic_info,
    get_file_information_by_handle, get_file_time, get_id_info, get_standard_info, set_basic_info,
    set_end_of_file_info, set_file_time,
};
pub use memory_volume::MemoryVolume;
pub use system::System;
pub use volume::{Content, Entry, Identity, Indexed, Node, Volume, VolumeFacts, Way};
pub use volume_information::{VolumeFlags, VolumeInformation, get_volume_information_by_handle};
