//! `BackupWrite`.

use std::path::Path;

use ntbak_wire::record::SmallKind;

use crate::error::{Error, Result};
use crate::report::{FileReport, Loss, Note, Report};
use crate::restore::Unheld;
use crate::restore_stream::{BackupWriter, LinkResolver, SetSecurity, WriteRights};
use crate::sink::FileSink;
use crate::win32::backup_read::checked;
use crate::win32::context::{Side, wrong};
use crate::win32::handle::Inner;
use crate::win32::links::Linking;
use crate::win32::{Access, Context, Handle};

/// Writes the next bytes of a backup stream to a file, in place; `written` says how many were taken: all of them when
/// the call succeeds.
///
/// The bytes may be cut anywhere. Content is written as it comes; security descriptor, EAs, reparse point and object
/// id are applied with their last byte. A stream replaces what the file has in it, streams that the input does not
/// name stay. What was applied before an error stays.
///
/// With `abort` the context is freed and everything else ignored; any context will do, also NULL and that of a read.
/// With `process_security` unset, SECURITY_DATA is read and thrown away.
///
/// # Errors
/// | number | when |
/// | --- | --- |
/// | 2, 3, 17 | the target of a LINK stream is not there, or on another volume; no resolver was given |
/// | 5 | a right is missing: WRITE_DAC and WRITE_OWNER, FILE_WRITE_DATA, FILE_WRITE_EA |
/// | 6 | no handle |
/// | 13 | not a backup stream: unknown id, sizes that cannot be |
/// | 50, 282 | the place cannot hold it (named streams are passed over instead) |
/// | 52, 183 | the object id is in use, or the file has another one |
/// | 87 | the handle is unbuffered, or names an alternate data stream; the context is that of another handle or of a read; content for a directory |
/// | 112 | the disk is full |
/// | 123 | a stream name that cannot be |
/// | 254, 255 | a list of EAs that cannot be |
/// | 1338 | a security descriptor that cannot be |
/// | 4391–4394 | a reparse buffer that cannot be, or does not go with what the file is |
pub fn backup_write(
    file: Option<&Handle>,
    buffer: &[u8],
    written: &mut u32,
    abort: bool,
    process_security: bool,
    context: &mut Context,
) -> Result<()> {
    if abort {
        context.0 = None;
        return Ok(());
    }
    *written = 0;
    let (handle, inner) = checked(file)?;
    if u32::try_from(buffer.len()).is_err() {
        return Err(wrong("more than 4 GiB in one call"));
    }
    let at_path = |error: Error| error.at_path(&inner.path);
    let rights = rights(inner, process_security);
    let Side::Write(writer) = context.open(handle, || begin(inner).map_err(at_path))? else {
        return Err(wrong("the context is that of a BackupRead"));
    };
    let result =
        with_report(&inner.path, inner.report.as_deref(), |report| writer.write(buffer, rights, report));
    let (taken, result) = match result {
        Ok(()) => (buffer.len(), Ok(())),
        Err((taken, error)) => (taken, Err(at_path(error))),
    };
    *written = u32::try_from(taken).unwrap_or(u32::MAX);
    result
}

/// Says that a backup stream ends here, and frees the context. Windows has no such function: `BackupWrite` with
/// bAbort cannot tell whether the stream was whole.
///
/// # Errors
/// 13 when a header, name or payload is cut; 87 when the context is NULL or that of a read.
pub fn backup_finish(context: &mut Context) -> Result<()> {
    let open = context.0.take().ok_or_else(|| wrong("the context is NULL"))?;
    let Side::Write(writer) = open.side else {
        return Err(wrong("the context is that of a BackupRead"));
    };
    with_report(&open.path, open.report.as_deref(), |report| writer.finish(report))
        .map_err(|error| error.at_path(&open.path))
}

fn begin(inner: &Inner) -> Result<Side> {
    // The system access control list of the file is needed when the handle may not replace it.
    let keeps_sacl = !inner.access.contains(Access::ACCESS_SYSTEM_SECURITY);
    let before = if keeps_sacl {
        inner.node.source()?.small(SmallKind::Security)?.map(std::borrow::Cow::into_owned)
    } else {
        None
    };
    let links = inner.links.as_ref().map(|make| make(&inner.path));
    let (links, sink): (_, Box<dyn FileSink>) = match (links, &inner.link_root) {
        (None, Some(root)) => {
            let sink = Linking::new(inner, root.drives.clone())?;
            (Some(Box::new(root.clone()) as Box<dyn LinkResolver>), Box::new(sink))
        }
        (links, _) => (links, inner.node.sink()?),
    };
    let writer = BackupWriter::new(sink, Unheld::Refuse, inner.policy);
    Ok(Side::Write(Box::new(writer.with_links(links).with_security_before(before))))
}

fn rights(inner: &Inner, process_security: bool) -> WriteRights {
    let access = inner.access;
    let security = match process_security {
        false => SetSecurity::Unwanted,
        true if !access.contains(Access::WRITE_DAC | Access::WRITE_OWNER) => SetSecurity::Denied,
        true if !access.contains(Access::ACCESS_SYSTEM_SECURITY) => SetSecurity::WithoutSacl,
        true => SetSecurity::Full,
    };
    WriteRights {
        security,
        ea: inner.restore_intent || access.contains(Access::FILE_WRITE_EA),
        data: inner.restore_intent || access.contains(Access::FILE_WRITE_DATA),
    }
}

/// Runs `with` a report on the file at `path` to whoever listens.
pub(super) fn with_report<T>(
    path: &str,
    listener: Option<&(dyn Report + Send)>,
    with: impl FnOnce(&FileReport<'_>) -> T,
) -> T {
    let path = Path::new(path);
    match listener {
        Some(to) => with(&FileReport { to, path }),
        None => with(&FileReport { to: &Unheard, path }),
    }
}

/// The report of a caller who gave none, as Windows' function has none.
struct Unheard;

impl Report for Unheard {
    fn loss(&self, _: Loss) {}
    fn note(&self, _: Note) {}
}
