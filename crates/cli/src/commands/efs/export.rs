//! `ntbak efs export`: the raw export of an encrypted file.

use std::path::Path;

use ntbak::FileSource;
use ntbak::efs::ExportReader;

use crate::commands::{Done, count};
use crate::output::Output;

pub(crate) fn run(location: &Path, source: &dyn FileSource, output: Option<&Path>) -> Done {
    let at_path = |error: ntbak::Error| error.at_path(location);
    let Some(file) = source.encrypted().map_err(at_path)? else {
        return Err(super::not_encrypted(location));
    };
    let mut reader = ExportReader::new(file).map_err(at_path)?;
    let mut output = Output::open(output)?;
    let len = output.pour(|_, buffer| reader.read(buffer).map_err(at_path))?;
    output.finish()?;
    Ok(Some(format!("{}: exported {}", location.display(), count(len, "byte"))))
}
