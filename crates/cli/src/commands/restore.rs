//! `ntbak restore`: an archive into a directory.

use std::path::{Path, PathBuf};

use ntbak::place::Place;
use ntbak::tree::{Counts, Select, Tree, transfer};
use ntbak::tree_sink::{HostSink, HostSinkOptions, Overwrite, Rehearsal};
use ntbak::{Loss, LossKind, Report};

use crate::commands::Done;
use crate::failure::Failure;
use crate::many;
use crate::report::Reporter;
use crate::selection::Selection;

/// What is to be restored, and how.
pub(crate) struct What {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) selection: Selection,
    pub(crate) overwrite: Overwrite,
    pub(crate) dry_run: bool,
}

pub(crate) fn run(archive: &Path, target: &Path, what: &What, reporter: &Reporter) -> Done {
    let select = what.selection.select(&what.paths)?;
    let mut tree = many::archive(archive)?;
    let counts = into(&mut tree, target, what, &select, reporter)?;
    if !what.paths.is_empty() && counts == Counts::default() {
        let paths: Vec<_> = what.paths.iter().map(|path| path.display().to_string()).collect();
        let why = format!("nothing of this name is in the archive: {}", paths.join(", "));
        reporter.loss(Loss { path: archive.to_owned(), stream: None, kind: LossKind::Content, why });
    }
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
    let mut sink = HostSink::open(target, HostSinkOptions { overwrite: what.overwrite })?;
    Ok(transfer(tree, &mut sink, select, reporter)?)
}
