//! `ntbak backup`: files and directories into an archive.

use std::io::Write;
use std::path::{Path, PathBuf};

use ntbak::backup::Parts;
use ntbak::place::Place;
use ntbak::tree::{HostTree, Select, transfer};
use ntbak::tree_sink::{ArchiveSink, Rehearsal};
use ntbak_archive::zstd::Compressor;
use ntbak_archive::{ArchiveWriter, Volume};

use crate::commands::Done;
use crate::failure::Failure;
use crate::many;
use crate::output::Output;
use crate::report::Reporter;
use crate::selection::Selection;

/// The level of zstd that is meant when none is said.
const LEVEL: i32 = 3;

/// How a backup is made.
pub(crate) struct How {
    /// The level of zstd.
    pub(crate) zstd: Option<i32>,
    /// Threads that work at the same time.
    pub(crate) jobs: usize,
    pub(crate) dry_run: bool,
    /// Parts of each file that are left out.
    pub(crate) without: Parts,
}

pub(crate) fn run(
    sources: &[PathBuf],
    output: &Path,
    how: How,
    selection: &Selection,
    reporter: &Reporter,
) -> Done {
    let select = selection.select(&[])?.without(how.without);
    let mut tree = many::host(sources)?;
    if how.dry_run {
        let counts = transfer(&mut tree, &mut Rehearsal::new(None), &select, reporter)?;
        return Ok(Some(format!("{} would be backed up", many::files(counts.files + counts.links))));
    }
    let packed = output.extension().is_some_and(|extension| extension == "zst" || extension == "tzst");
    let level = how.zstd.or(packed.then_some(LEVEL));
    let target = Output::open(Some(output))?;
    if let Some((device, inode)) = target.identity() {
        tree.avoid(device, inode);
    }
    let volume = volume(sources);
    let fault = |error| Failure::io(format!("{}: writing", output.display()), error);
    let done = match level {
        Some(level) => {
            let target = Compressor::new(target, level, how.jobs).map_err(fault)?;
            let (target, done) = write(target, &mut tree, &volume, &select, how.jobs, reporter)?;
            target.finish().map_err(fault)?.finish()?;
            done
        }
        None => {
            let (target, done) = write(target, &mut tree, &volume, &select, how.jobs, reporter)?;
            target.finish()?;
            done
        }
    };
    Ok(Some(format!("{}: {done}", output.display())))
}

fn write<W: Write>(
    target: W,
    tree: &mut HostTree,
    volume: &Volume,
    select: &Select,
    jobs: usize,
    reporter: &Reporter,
) -> Result<(W, String), Failure> {
    let begin = if jobs > 1 { ArchiveWriter::with_thread } else { ArchiveWriter::new };
    let writer = begin(target, many::spool()?, volume).map_err(ntbak::Error::from)?;
    let mut sink = ArchiveSink::new(writer);
    let counts = transfer(tree, &mut sink, select, reporter)?;
    Ok((sink.complete()?, many::summary(&counts)))
}

fn volume(sources: &[PathBuf]) -> Volume {
    use std::os::unix::ffi::OsStrExt;
    let source = |path: &PathBuf| ntbak_archive::Source {
        path: path.as_os_str().as_bytes().to_vec(),
        container: Some(match Place::of(path) {
            Ok(Place::Ntfs3g(_)) => "ntfs-3g".to_owned(),
            _ => "directory".to_owned(),
        }),
        ..ntbak_archive::Source::default()
    };
    let tool = concat!("ntbak ", env!("CARGO_PKG_VERSION")).to_owned();
    Volume { tool, sources: sources.iter().map(source).collect() }
}
