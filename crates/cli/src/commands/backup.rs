//! `ntbak backup`: files and directories into an archive.

use std::io::Write;
use std::path::{Path, PathBuf};

use ntbak::VolumeOptions;
use ntbak::backup::Parts;
use ntbak::tree::{Select, transfer};
use ntbak::tree_sink::{ArchiveSink, Rehearsal};
use ntbak_archive::zstd::Compressor;
use ntbak_archive::{ArchiveWriter, Volume};

use crate::commands::Done;
use crate::failure::Failure;
use crate::many::{self, Places};
use crate::output::Output;
use crate::report::Reporter;
use crate::selection::{self, Selection};

/// The level of zstd that is meant when none is said.
const LEVEL: i32 = 3;

/// What is to be backed up of the sources, and what.
pub(crate) struct What {
    pub(crate) selection: Selection,
    /// Parts of each file that are left out.
    pub(crate) without: Parts,
    pub(crate) options: VolumeOptions,
    /// The level of zstd.
    pub(crate) zstd: Option<i32>,
    /// Threads that work at the same time.
    pub(crate) jobs: usize,
    pub(crate) dry_run: bool,
}

pub(crate) fn run(sources: &[PathBuf], output: &Path, what: &What, reporter: &Reporter) -> Done {
    let select = what.selection.select(&[])?.without(what.without);
    let mut tree = Places::open(sources, what.options)?;
    if tree.is_on_host() {
        reporter.line().count(sources);
    }
    if what.dry_run {
        let counts = transfer(&mut tree, &mut Rehearsal::new(None), &select, reporter)?;
        selection::tell_missing(&select, Path::new("the sources"), reporter);
        return Ok(Some(format!("{} would be backed up", many::files(counts.files + counts.links))));
    }
    let packed = output.extension().is_some_and(|extension| extension == "zst" || extension == "tzst");
    let level = what.zstd.or(packed.then_some(LEVEL));
    tree.refuse_target(sources, output)?;
    let target = Output::open(Some(output))?;
    if let Some((device, inode)) = target.identity() {
        tree.avoid(device, inode);
    }
    let tool = concat!("ntbak ", env!("CARGO_PKG_VERSION")).to_owned();
    let volume = Volume { tool, sources: tree.sources() };
    let fault = |error| Failure::io(format!("{}: writing", output.display()), error);
    let done = match level {
        Some(level) => {
            let target = Compressor::new(target, level, what.jobs).map_err(fault)?;
            let (target, done) = write(target, &mut tree, &volume, &select, what.jobs, reporter)?;
            target.finish().map_err(fault)?.finish()?;
            done
        }
        None => {
            let (target, done) = write(target, &mut tree, &volume, &select, what.jobs, reporter)?;
            target.finish()?;
            done
        }
    };
    selection::tell_missing(&select, Path::new("the sources"), reporter);
    Ok(Some(format!("{}: {done}", output.display())))
}

fn write<W: Write>(
    target: W,
    tree: &mut Places,
    volume: &Volume,
    select: &Select,
    jobs: usize,
    reporter: &Reporter,
) -> Result<(W, String), Failure> {
    // Small files of images are hashed on the threads that read them.
    let beside = jobs > 1 && tree.has_host_files();
    let begin = if beside { ArchiveWriter::with_thread } else { ArchiveWriter::new };
    let writer = begin(target, many::spool()?, volume).map_err(ntbak::Error::from)?;
    let mut sink = ArchiveSink::new(writer);
    let counts = transfer(tree, &mut sink, select, reporter)?;
    Ok((sink.complete()?, many::summary(&counts)))
}
