/*!
Windows' own functions around backup, over handles: [`System::create_file`], [`backup_read`], [`backup_write`],
[`backup_seek`].

The functions take what Windows' functions take and fail with Windows' error numbers ([`Error::win32`](crate::Error::win32)).
They hold positions and rights; what a backup stream is, the engine knows.

| Windows | here |
| --- | --- |
| `HANDLE` | [`Handle`], closed when its last clone is dropped |
| `LPVOID *lpContext` | [`Context`]; `Context::default()` is the NULL of a first call |
| `TRUE` / `FALSE` and `GetLastError` | `Ok(())` / `Err` with [`Error::win32`](crate::Error::win32) |

Where Windows' behaviour is not documented, ntbak's choice is written at the function.

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
mod context;
mod encrypted_file_raw;
mod file_encryption;
mod handle;
mod host_volume;
mod ini;
mod memory_volume;
mod system;
mod volume;

pub use access::{Access, Disposition, FileFlags, Privileges, Share};
pub use backup_read::backup_read;
pub use backup_seek::backup_seek;
pub use backup_write::{backup_finish, backup_write};
pub use context::Context;
pub use encrypted_file_raw::{
    EncryptedFileRaw, RawFlags, close_encrypted_file_raw, open_encrypted_file_raw, read_encrypted_file_raw,
    write_encrypted_file_raw,
};
pub use file_encryption::{
    EncryptionKeys, EncryptionStatus, add_users_to_encrypted_file, decrypt_file,
    duplicate_encryption_info_file, encrypt_file, encryption_disable, file_encryption_status,
    query_recovery_agents_on_encrypted_file, query_users_on_encrypted_file, remove_users_from_encrypted_file,
    set_user_file_encryption_key,
};
pub use handle::Handle;
pub use host_volume::HostVolume;
pub use memory_volume::MemoryVolume;
pub use system::{Create, System};
pub use volume::{Identity, OpenFile, OpenRequest, Opened, Volume};
