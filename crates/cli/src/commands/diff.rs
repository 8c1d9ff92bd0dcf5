//! `ntbak diff`: what is different between two directories, disk images or archives.

use std::path::Path;
use std::process::ExitCode;

use ntbak::VolumeOptions;
use ntbak::backup::Parts;

use crate::compare::{self, describe};
use crate::failure::{Failure, complain};
use crate::many::Many;
use crate::report::Reporter;
use crate::selection::{self, Selection};

pub(crate) fn run(
    a: &Path,
    b: &Path,
    json: bool,
    selection: &Selection,
    without: Parts,
    options: VolumeOptions,
    reporter: Reporter,
) -> Result<ExitCode, Failure> {
    let select = selection.select(&[])?.without(without);
    let (mut many_a, mut many_b) = (Many::open(a, options)?, Many::open(b, options)?);
    let one = describe(&mut many_a, &select, &reporter)?;
    let other = describe(&mut many_b, &select, &reporter)?;
    selection::tell_missing(&select, a, &reporter);
    let count = compare::print(&one, &other, json)?;
    let whole = many_a.is_complete() && many_b.is_complete();
    let finished = reporter.finish(None)?;
    if count > 0 {
        complain(format_args!("{count} differences between A = {} and B = {}", a.display(), b.display()));
        return Ok(ExitCode::from(1));
    }
    Ok(if whole { finished } else { ExitCode::from(3) })
}
