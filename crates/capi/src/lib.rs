/*!
libntbak: [`ntbak::win32`] for programs in C. A backup program for Windows that includes `<ntbak/windows.h>` instead
of `<windows.h>` runs on Linux.

Everything here is translation: pointers to slices, UTF-16 to WTF-8, numbers to flags, errors to `GetLastError`. What
the functions do is in [`ntbak::win32`]; `docs/c-api.md` is the manual.

| file | what is in it |
| --- | --- |
| `fence.rs` | no panic leaves; errors become numbers |
| `memory.rs`, `strings.rs` | the caller's memory, read and written |
| `blocks.rs` | memory that the caller gives back |
| `process.rs` | the drives, and what is open, by numbers |
| `types.rs` | what `ntbak.h` defines |
| the others | the functions, by what they are about |

# What a function may be given

A pointer is NULL, or that of as many bytes as Windows' page on the function says, and no other thread writes there
meanwhile. A string ends with 0. That is all: a handle, a context or a list that is none is answered with a number, 6
or 87.

# Names

`ntbak_backup_read` is `BackupRead`. `cargo xtask headers` makes `include/ntbak/ntbak.h` of this crate;
`include/ntbak/windows.h`, by hand, gives Windows' names to it.
*/
#![allow(non_snake_case)] // The fields of structures have Windows' names.

mod backup;
mod blocks;
mod change;
mod control;
mod encryption;
mod errors;
mod fence;
mod files;
mod find;
mod find_names;
mod find_streams;
mod information;
mod memory;
mod ours;
mod process;
mod raw;
mod strings;
mod tokens;
mod types;
mod volume_information;

pub use backup::*;
pub use change::*;
pub use control::*;
pub use encryption::*;
pub use errors::*;
pub use files::*;
pub use find::*;
pub use find_names::*;
pub use find_streams::*;
pub use information::*;
pub use ours::*;
pub use raw::*;
pub use tokens::*;
pub use types::*;
pub use volume_information::*;

// A handle is a number of 64 bits.
const _: () = assert!(size_of::<usize>() == 8, "libntbak is for machines of 64 bits");
