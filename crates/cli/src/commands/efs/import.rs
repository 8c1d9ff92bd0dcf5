//! `ntbak efs import`: an encrypted file out of its raw export.

use std::io::{self, Read};
use std::path::Path;

use ntbak::efs::import_raw;
use ntbak::{Error, LossKind, place};
use ntbak_wire::Win32Error;

use crate::commands::{Done, report_on};
use crate::interrupt;
use crate::report::Reporter;

pub(crate) fn run(path: &Path, directory: bool, reporter: &Reporter) -> Done {
    let report = report_on(reporter, path);
    let there = match place::open(path) {
        Ok(there) => Some(there),
        Err(error) if error.win32() == Win32Error::FILE_NOT_FOUND => None,
        Err(error) => {
            // What is damaged is what an import is for; but its descriptor cannot stay then.
            let why = format!("what is replaced cannot be read, and nothing of it stays: {}", error.reason());
            report.loss(LossKind::Security, why);
            None
        }
    };
    let is_directory = path.symlink_metadata().is_ok_and(|there| there.is_dir());
    let sink =
        if directory && is_directory { place::in_place(path)? } else { place::stage(path, directory)? };
    let mut input = io::stdin().lock();
    let read = |block: &mut [u8]| loop {
        match interrupt::check().and_then(|()| input.read(block)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            got => return got.map_err(|error| Error::io("reading standard input", error)),
        }
    };
    import_raw(sink, there.as_deref(), read, &report).map_err(|error| error.at_path(path))?;
    Ok(Some(format!("{} imported", path.display())))
}
