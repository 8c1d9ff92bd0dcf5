//! One file out of an archive, `ARCHIVE::PATH`.

use std::path::Path;

use ntbak::backup::BackupOptions;
use ntbak::source::{Spool, SpooledSource};
use ntbak::tree::{Content, Select, Visit, WalkOptions};
use ntbak::{FileSource, Report};
use ntbak_wire::Win32Error;

use crate::failure::Failure;
use crate::many::Many;

/// One file out of an archive. Its content waits in a temporary file, since the archive may be read only from begin to end.
pub(crate) fn open(
    path: &Path,
    inside: &[u8],
    typed: &Path,
    report: &dyn Report,
) -> Result<Box<dyn FileSource>, Failure> {
    let wanted = inside.strip_prefix(b".").unwrap_or(inside);
    let wanted = wanted.strip_prefix(b"/").unwrap_or(inside);
    let at = |error: ntbak::Error| Failure::from(error.at_path(typed));
    let found = match find(path, wanted, report)? {
        // The file stands before its other names, under the first one.
        Found::Link { target } => find(path, &target, report)?,
        found => found,
    };
    match found {
        Found::File(source) => Ok(Box::new(source.map_err(at)?)),
        Found::Link { .. } | Found::Nothing => {
            let why = "there is no such file in the archive; `ntbak list` shows what there is";
            Err(at(ntbak::Error::new(Win32Error::FILE_NOT_FOUND, why)))
        }
    }
}

/// What has a path in an archive.
enum Found {
    File(Box<ntbak::Result<SpooledSource>>),
    Link { target: Vec<u8> },
    Nothing,
}

fn find(path: &Path, wanted: &[u8], report: &dyn Report) -> Result<Found, Failure> {
    let mut found = Found::Nothing;
    // Whatever ends the walk: what was found until then is what counts.
    let enough = || ntbak::Error::new(Win32Error::OPERATION_ABORTED, "the file was found");
    let (select, backup) = (&Select::all(), BackupOptions::default());
    let options = WalkOptions { select, backup, report, packing: None };
    let walked = Many::archive_parts(path)?.tree().walk(options, &mut |visit| match visit {
        Visit::File(file) if file.path == wanted => {
            found = Found::File(Box::new(spooled(file.content)));
            Err(enough())
        }
        Visit::Link(link) if link.path == wanted => {
            found = Found::Link { target: link.target.to_vec() };
            Err(enough())
        }
        _ => Ok(()),
    });
    match (found, walked) {
        (Found::Nothing, Err(error)) => Err(error.at_path(path).into()),
        (found, _) => Ok(found),
    }
}

fn spooled(content: &mut dyn Content) -> ntbak::Result<SpooledSource> {
    let file = tempfile::tempfile().map_err(|error| ntbak::Error::io("making a temporary file", error))?;
    Spool::new(file)?.fill(content)
}
