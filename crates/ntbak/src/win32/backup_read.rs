//! `BackupRead`.

use crate::backup_stream::{BackupReader, ReadRights, SecurityAccess};
use crate::efs::Decrypted;
use crate::error::{Error, Result};
use crate::report::FileReport;
use crate::source::{Facet, FileSource};
use crate::win32::backup_write::with_report;
use crate::win32::context::{Side, wrong};
use crate::win32::handle::Inner;
use crate::win32::{Access, Context, FileFlags, Handle};
use ntbak_wire::efs::Metadata;
use ntbak_wire::{FileAttributes, Win32Error};
use std::sync::PoisonError;

/// Reads the next bytes of the backup stream of a file into `buffer`; `read` says how many.
///
/// The buffer is filled; less comes only at the end of the backup stream or before an error, and 0 bytes at the end
/// (again and again). Any buffer size will do, also less than a header. The position of the handle is not used and not
/// moved. When something cannot be read, the bytes before it come first, then the call fails with 0 bytes and the
/// position stays, so that [`backup_seek`](super::backup_seek) can pass over it. What the place cannot give of the file, a
/// [report](super::System::with_report) hears with the first call.
///
/// With `abort` the context is freed and everything else ignored; any context will do, also NULL and that of a write.
/// `process_security` is looked at when the SECURITY_DATA stream is about to begin.
///
/// # Errors
/// | number | when |
/// | --- | --- |
/// | 5 | a right is missing: READ_CONTROL, FILE_READ_DATA, FILE_READ_EA; or the file is encrypted and no key opens it |
/// | 6 | no handle |
/// | 38 | the file has become shorter than its stream header said |
/// | 87 | the handle is unbuffered, or names an alternate data stream; the context is that of another handle or of a write |
pub fn backup_read(
    file: Option<&Handle>,
    buffer: &mut [u8],
    read: &mut u32,
    abort: bool,
    process_security: bool,
    context: &mut Context,
) -> Result<()> {
    if abort {
        context.0 = None;
        return Ok(());
    }
    *read = 0;
    let (handle, inner) = checked(file)?;
    let at_path = |error: Error| error.at_path(&inner.path);
    let begin = || {
        let source = plaintext(inner, inner.node.source().map_err(at_path)?).map_err(at_path)?;
        let tell = |report: &FileReport<'_>| source.remarks(Facet::BackupStream, report);
        with_report(&inner.path, inner.report.as_deref(), tell).map_err(at_path)?;
        Ok(Side::Read { reader: BackupReader::new(), source })
    };
    let Side::Read { reader, source } = context.open(handle, begin)? else {
        return Err(wrong("the context is that of a BackupWrite"));
    };
    // The count is 32 bits wide: of a larger buffer, the first 4 GiB are filled.
    let len = buffer.len().min(u32::MAX as usize);
    let buffer = buffer.get_mut(..len).unwrap_or_default();
    let filled = reader.read(&**source, rights(inner, process_security), buffer).map_err(at_path)?;
    *read = u32::try_from(filled).unwrap_or(u32::MAX);
    Ok(())
}

/// An encrypted file as a key of the caller shows it; as it is when none does, and then it is refused. A directory is not:
/// it may have more than its encryption, with other keys at hand as without any.
pub(super) fn plaintext(inner: &Inner, source: Box<dyn FileSource>) -> Result<Box<dyn FileSource>> {
    let keys = inner.keys.lock().unwrap_or_else(PoisonError::into_inner).ring.clone();
    let attributes = source.info()?.attributes;
    if keys.identities().is_empty() || !attributes.contains(FileAttributes::ENCRYPTED) {
        return Ok(source);
    }
    // Where the place does not show what EFS keeps of it, no key helps.
    let Some(file) = source.encrypted()? else { return Ok(source) };
    let opened = Metadata::parse(file.metadata())
        .map_err(|error| error.to_string())
        .and_then(|parsed| keys.open(&parsed).map_err(|error| error.to_string()));
    drop(file);
    match opened {
        Ok(_) => {}
        Err(_) if attributes.is_directory() => return Ok(source),
        // BackupRead has one number for all of this.
        Err(why) => return Err(Error::new(Win32Error::ACCESS_DENIED, why)),
    }
    Ok(Box::new(Decrypted::open(source, &keys)?))
}

/// A handle that the backup functions take.
pub(super) fn checked(file: Option<&Handle>) -> Result<(&Handle, &Inner)> {
    let handle = file.ok_or_else(|| Error::new(Win32Error::INVALID_HANDLE, "no handle"))?;
    let inner = handle.inner();
    if inner.flags.contains(FileFlags::NO_BUFFERING) {
        return Err(wrong("the handle was opened with FILE_FLAG_NO_BUFFERING").at_path(&inner.path));
    }
    if inner.stream.is_some() {
        return Err(wrong("the handle is that of an alternate data stream")
            .at_path(&inner.path)
            .hint("open the file itself: its streams are part of its backup stream"));
    }
    Ok((handle, inner))
}

fn rights(inner: &Inner, process_security: bool) -> ReadRights {
    let access = inner.access;
    let security = match process_security {
        false => SecurityAccess::Unwanted,
        true if !access.contains(Access::READ_CONTROL) => SecurityAccess::Denied,
        true if !access.contains(Access::ACCESS_SYSTEM_SECURITY) => SecurityAccess::WithoutSacl,
        true => SecurityAccess::Full,
    };
    let (ea, data) = (access.contains(Access::FILE_READ_EA), access.contains(Access::FILE_READ_DATA));
    ReadRights { security, ea, data }
}
