//! `ntbak efs import`: an encrypted file out of its raw export.

use std::io::{self, Read};
use std::path::Path;

use ntbak::efs::import_raw;
use ntbak::{Error, place};

use crate::commands::{Done, report_on};
use crate::report::Reporter;

pub(crate) fn run(path: &Path, directory: bool, reporter: &Reporter) -> Done {
    let there = place::open(path).ok();
    let is_directory = path.symlink_metadata().is_ok_and(|there| there.is_dir());
    let sink =
        if directory && is_directory { place::in_place(path)? } else { place::stage(path, directory)? };
    let mut input = io::stdin().lock();
    let read = |block: &mut [u8]| loop {
        match input.read(block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            got => return got.map_err(|error| Error::io("reading standard input", error)),
        }
    };
    import_raw(sink, there.as_deref(), read, &report_on(reporter, path))
        .map_err(|error| error.at_path(path))?;
    Ok(Some(format!("{} imported", path.display())))
}
