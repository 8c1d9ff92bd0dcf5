//! `ntbak backup`: files and directories into an archive.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ntbak::VolumeOptions;
use ntbak::tree::{Select, transfer};
use ntbak::tree_sink::{ArchiveSink, Rehearsal};
use ntbak_archive::zstd::Compressor;
use ntbak_archive::{ArchiveWriter, Volume};

use crate::commands::Done;
use crate::failure::Failure;
use crate::many::{self, Places};
use crate::output::Output;
use crate::report::Reporter;
use crate::selection::Selection;

/// The level of zstd that is meant when none is said.
const LEVEL: i32 = 3;

/// What is to be backed up of the sources, and how.
pub(crate) struct What {
    pub(crate) selection: Selection,
    pub(crate) options: VolumeOptions,
    pub(crate) dry_run: bool,
}

pub(crate) fn run(
    sources: &[PathBuf],
    output: &Path,
    zstd: Option<i32>,
    what: &What,
    reporter: &Reporter,
) -> Done {
    let select = what.selection.select(&[])?;
    let mut tree = Places::open(sources, what.options)?;
    if what.dry_run {
        let counts = transfer(&mut tree, &mut Rehearsal::new(None), &select, reporter)?;
        return Ok(Some(format!("{} would be backed up", many::files(counts.files + counts.links))));
    }
    let packed = output.extension().is_some_and(|extension| extension == "zst" || extension == "tzst");
    let level = zstd.or(packed.then_some(LEVEL));
    tree.refuse_target(output)?;
    let target = Output::open(Some(output))?;
    if let Some((device, inode)) = target.identity() {
        tree.avoid(device, inode);
    }
    let tool = concat!("ntbak ", env!("CARGO_PKG_VERSION")).to_owned();
    let volume = Volume { tool, sources: tree.sources() };
    let fault = |error| Failure::io(format!("{}: writing", output.display()), error);
    let done = match level {
        Some(level) => {
            let target = Compressor::on_all_cores(target, level).map_err(fault)?;
            let (target, done) = write(target, &mut tree, &volume, &select, reporter)?;
            target.finish().map_err(fault)?.finish()?;
            done
        }
        None => {
            let target = BufWriter::with_capacity(1 << 18, target);
            let (target, done) = write(target, &mut tree, &volume, &select, reporter)?;
            target.into_inner().map_err(|error| fault(error.into_error()))?.finish()?;
            done
        }
    };
    Ok(Some(format!("{}: {done}", output.display())))
}

fn write<W: Write>(
    target: W,
    tree: &mut Places,
    volume: &Volume,
    select: &Select,
    reporter: &Reporter,
) -> Result<(W, String), Failure> {
    let writer = ArchiveWriter::new(target, many::spool()?, volume).map_err(ntbak::Error::from)?;
    let mut sink = ArchiveSink::new(writer);
    let counts = transfer(tree, &mut sink, select, reporter)?;
    Ok((sink.complete()?, many::summary(&counts)))
}
