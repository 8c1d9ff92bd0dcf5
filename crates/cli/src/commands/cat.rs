//! `ntbak cat`: the bytes of one stream.

use std::path::Path;

use crate::commands::{Done, report_on};
use crate::location::Location;
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(typed: &Path, reporter: &Reporter) -> Done {
    let location = Location::parse(typed);
    let source = ntbak::place::open(&location.path)?;
    let stream = match location.find_stream(&*source) {
        Ok(stream) => stream,
        // Why it is not there, if it is known.
        Err(failure) => {
            source.remarks(ntbak::source::Facet::BackupStream, &report_on(reporter, &location.path))?;
            return Err(failure);
        }
    };
    let mut output = Output::open(None)?;
    let (mut buffer, mut offset) = (vec![0; 1 << 20], 0);
    loop {
        let got = source.read_at(stream, offset, &mut buffer)?;
        if got == 0 {
            break;
        }
        output.write(buffer.get(..got).unwrap_or_default())?;
        offset += got as u64;
    }
    output.finish()?;
    Ok(None)
}
