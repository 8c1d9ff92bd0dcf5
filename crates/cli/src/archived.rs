//! One file out of an archive, `ARCHIVE::PATH`.

use std::path::Path;

use ntbak::backup::BackupOptions;
use ntbak::source::{Spool, SpooledSource};
use ntbak::tree::{Content, Select, Tree, Visit, WalkOptions};
use ntbak::{FileSource, Report};
use ntbak_wire::Win32Error;

use crate::failure::Failure;
use crate::many;

/// One file out of an archive. Its content waits in a temporary file, since the archive may be read only from begin to end.
pub(crate) fn open(
    path: &Path,
    inside: &[u8],
    typed: &Path,
    report: &dyn Report,
) -> Result<Box<dyn FileSource>, Failure> {
    let wanted = inside.strip_prefix(b".").unwrap_or(inside);
    let wanted = wanted.strip_prefix(b"/").unwrap_or(inside);
    let mut found = Ok(None);
    // Whatever ends the walk: what was found until then is what counts.
    let enough = || ntbak::Error::new(Win32Error::OPERATION_ABORTED, "the file was found");
    let options = WalkOptions { select: &Select::all(), backup: BackupOptions::default(), report };
    let walked = many::archive(path)?.walk(options, &mut |visit| match visit {
        Visit::File(file) if file.path == wanted => {
            found = spooled(file.content).map(Some);
            Err(enough())
        }
        Visit::Link(link) if link.path == wanted => {
            let target = String::from_utf8_lossy(link.target);
            found = Err(ntbak::Error::new(
                Win32Error::FILE_NOT_FOUND,
                format!("it is another name of {target}: ask for that"),
            ));
            Err(enough())
        }
        _ => Ok(()),
    });
    match (found, walked) {
        (Ok(Some(source)), _) => Ok(Box::new(source)),
        (Err(error), _) => Err(error.at_path(typed).into()),
        (Ok(None), Err(error)) => Err(error.at_path(path).into()),
        (Ok(None), Ok(())) => {
            let why = "there is no such file in the archive; `ntbak list` shows what there is";
            Err(ntbak::Error::new(Win32Error::FILE_NOT_FOUND, why).at_path(typed).into())
        }
    }
}

fn spooled(content: &mut dyn Content) -> ntbak::Result<SpooledSource> {
    let file = tempfile::tempfile().map_err(|error| ntbak::Error::io("making a temporary file", error))?;
    Spool::new(file)?.fill(content)
}
