//! `BackupSeek`.

use ntbak_wire::Win32Error;

use crate::error::{Error, Result};
use crate::win32::backup_write::with_report;
use crate::win32::context::{Side, wrong};
use crate::win32::{Context, Handle};

/// Passes over `bytes` of the payload that the context is in, of a read or of a write; `moved` says how many it were.
///
/// It goes forward only, never out of the payload. When less is left than asked for, it goes to the end of the
/// payload, so that the next header follows, and fails with 25. The 8-byte offset of a SPARSE_BLOCK is payload. In a
/// write, content that is passed over reads as zeros, and a payload that is applied whole is dropped.
///
/// # Errors
/// | number | when |
/// | --- | --- |
/// | 6 | no handle |
/// | 25 | less was left; or the context is in a header, in a name, at the very beginning or at the end of all |
/// | 87 | the context is NULL, or that of another handle |
pub fn backup_seek(file: Option<&Handle>, bytes: u64, moved: &mut u64, context: &mut Context) -> Result<()> {
    *moved = 0;
    let handle = file.ok_or_else(|| Error::new(Win32Error::INVALID_HANDLE, "no handle"))?;
    let null = || Err(wrong("the context is NULL"));
    let seek = match context.open(handle, null)? {
        Side::Read { reader, .. } => reader.seek(bytes),
        Side::Write(writer) => {
            let inner = handle.inner();
            with_report(&inner.path, inner.report.as_deref(), |report| writer.seek(bytes, report))
                .map_err(|error| error.at_path(&inner.path))?
        }
    };
    *moved = seek.moved;
    if seek.complete {
        return Ok(());
    }
    Err(Error::new(Win32Error::SEEK, format!("{} of {bytes} bytes were left in the payload", seek.moved)))
}
