/*!
Back up and restore Windows files, whole, on Linux.

Data goes left to right in a backup and in a restore; the joint in the middle is a typed, forward-only sequence of
[`Record`](ntbak_wire::record::Record)s:

```text
FileSource ─► backup ─► Record … ─► restore ─► FileSink
```

* [`source`] and [`sink`]: where files live, one file for each kind of place; [`place`] finds the right one for a path,
  [`location`] also for what is in a disk image ([`NtfsVolume`]).
* [`backup`] and [`restore`]: the engine. [`copy`] is both in one step.
* [`BackupReader`] and [`BackupWriter`]: the bytes of a backup stream from a source, and into a sink.
* [`tree`] and [`tree_sink`]: many files; [`tree::transfer`] is the loop between them.
* [`win32`]: `CreateFile`, `BackupRead`, `BackupWrite`, `BackupSeek` with Windows' semantics.
* [`Report`]: what could not be kept is a [`Loss`], never silence.

The library prints nothing, reads no environment and takes no time from a clock.
*/
#![forbid(unsafe_code)]

// Tests in here share what the tests outside have.
#[cfg(test)]
extern crate self as ntbak;

pub mod backup;
mod backup_stream;
mod capability;
pub mod efs;
mod error;
mod host;
pub mod location;
pub mod memory;
mod ntfs_volume;
pub mod place;
mod report;
pub mod restore;
mod restore_stream;
pub mod sink;
pub mod source;
pub mod tree;
pub mod tree_sink;
pub mod win32;

pub use backup_stream::{BackupReader, ReadRights, SecurityAccess, Seek};
pub use capability::{Capabilities, Facts};
pub use error::{Cause, Error, Result};
pub use host::linux::{LinuxFileSystem, LinuxKind};
pub use host::ntfs3g::{Ntfs3gMount, StreamsInterface};
pub use ntfs_volume::{Found, NtfsVolume, VolumeOptions};
pub use report::{Collected, FileReport, Loss, LossKind, Note, Progress, Report};
pub use restore::{Restore, Unheld, copy};
pub use restore_stream::{BackupWriter, LinkResolver, SetSecurity, WritePolicy, WriteRights};
pub use sink::FileSink;
pub use source::FileSource;
