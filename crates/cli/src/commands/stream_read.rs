//! `ntbak stream read`: the backup stream of one file.

use std::path::Path;

use ntbak::source::Facet;
use ntbak::{BackupReader, LossKind, ReadRights, SecurityAccess, VolumeOptions};
use ntbak_wire::record::SmallKind;

use crate::commands::{Done, count, open, report_on};
use crate::failure::Failure;
use crate::output::Output;
use crate::report::Reporter;

/// How the stream is read.
pub(crate) struct Options {
    pub(crate) no_security: bool,
    pub(crate) strict: bool,
    pub(crate) volume: VolumeOptions,
}

pub(crate) fn run(location: &Path, output: Option<&Path>, options: Options, reporter: &Reporter) -> Done {
    let opened = open(location, options.volume, reporter)?;
    if let Some(stream) = opened.stream() {
        let why = format!(
            "{}: a backup stream is that of a whole file; `ntbak cat` gives one stream",
            location.display()
        );
        return Err(Failure::Usage(format!("{why}, or leave :{stream} out")));
    }
    let source = opened.source();
    let report = report_on(reporter, location);
    source.remarks(Facet::BackupStream, &report)?;
    let mut reader = BackupReader::new();
    if options.strict {
        reader.leave_out_eas();
        if source.small(SmallKind::Ea)?.is_some() {
            report.loss(LossKind::Ea, "[MS-BKUP] 2.5 has no place for extended attributes");
        }
    }
    let security = if options.no_security { SecurityAccess::Unwanted } else { SecurityAccess::Full };
    let rights = ReadRights { security, ..ReadRights::ALL };
    let mut output = Output::open(output)?;
    let mut read = |buffer: &mut [u8]| reader.read(source, rights, buffer);
    let len = output.pour(|_, buffer| read(buffer).map_err(|error| error.at_path(location)))?;
    output.finish()?;
    Ok(Some(format!("{}: read {}", location.display(), count(len, "byte"))))
}
