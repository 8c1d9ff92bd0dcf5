//! `ntbak restore`: an archive into a directory.

use std::path::{Path, PathBuf};

use ntbak::backup::Parts;
use ntbak::place::Place;
use ntbak::tree::{Counts, Select, Tree, transfer};
use ntbak::tree_sink::{HostSink, HostSinkOptions, Overwrite, Rehearsal};

use crate::commands::Done;
use crate::failure::Failure;
use crate::many::{self, Many};
use crate::report::Reporter;
use crate::selection::{self, Selection};

/// What is to be restored, and how.
pub(crate) struct What {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) selection: Selection,
    /// Parts of each file that are left out.
    pub(crate) without: Parts,
    pub(crate) overwrite: Overwrite,
    pub(crate) dry_run: bool,
    /// Threads that work at the same time.
    pub(crate) jobs: usize,
}

pub(crate) fn run(archive: &Path, target: &Path, what: &What, reporter: &Reporter) -> Done {
    let select = what.selection.select(&what.paths)?.without(what.without);
    let counts = match what.paths.is_empty() {
        true => into(&mut many::whole_archive(archive, reporter)?, target, what, &select, reporter)?,
        false => into(Many::archive_parts(archive)?.tree(), target, what, &select, reporter)?,
    };
    selection::tell_missing(&select, archive, reporter);
    let done = if what.dry_run { "would be restored to" } else { "restored to" };
    Ok(Some(format!("{} {done} {}", many::summary(&counts), target.display())))
}

/// Brings a tree into a directory.
pub(crate) fn into(
    tree: &mut dyn Tree,
    target: &Path,
    what: &What,
    select: &Select,
    reporter: &Reporter,
) -> Result<Counts, Failure> {
    if what.dry_run {
        let there = target.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
        let mut sink = Rehearsal::new(Some(Place::of(there)?));
        return Ok(transfer(tree, &mut sink, select, reporter)?);
    }
    let options = HostSinkOptions { overwrite: what.overwrite, threads: what.jobs.saturating_sub(1) };
    let mut sink = HostSink::open(target, options)?;
    Ok(transfer(tree, &mut sink, select, reporter)?)
}
