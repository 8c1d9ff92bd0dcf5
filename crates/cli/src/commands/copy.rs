//! `ntbak copy`: one file or directory, with everything about it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ntbak::{LossKind, place};
use ntbak_wire::record::FileInfo;

use crate::commands::{Done, report_on};
use crate::failure::Failure;
use crate::report::Reporter;

pub(crate) fn run(source: &Path, target: &Path, reporter: &Reporter) -> Done {
    let from = place::open(source)?;
    let info = from.info()?;
    let target = target_of(source, &info, target)?;
    refuse_same(source, &target)?;
    let directory = info.attributes.is_directory();
    let report = report_on(reporter, source);
    if directory && has_children(source) {
        report.loss(LossKind::Content, "this version copies a directory without what is in it");
    }
    let to = if directory && fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_dir()) {
        place::in_place(&target)?
    } else {
        place::stage(&target, directory)?
    };
    ntbak::copy(&*from, to, &report).map_err(|error| error.at_path(&target))?;
    Ok(Some(format!("{} copied to {}", source.display(), target.display())))
}

/// A directory that is there takes the source under its own name: the true one, where it has another in its place.
fn target_of(source: &Path, info: &FileInfo, target: &Path) -> Result<PathBuf, Failure> {
    if !fs::metadata(target).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(target.to_owned());
    }
    let name = info.links.first().map(|link| OsStr::from_bytes(&link.name));
    // A true name comes from a side file, so it may be anything.
    let name = name.filter(|name| Path::new(name).file_name() == Some(name)).or(source.file_name());
    match name {
        Some(name) => Ok(target.join(name)),
        None => Err(Failure::Usage(format!(
            "{}: give the copy a name: {}/NAME",
            source.display(),
            target.display()
        ))),
    }
}

fn refuse_same(source: &Path, target: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &Path| -> io::Result<_> {
        let metadata = fs::symlink_metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    };
    match (identity(source), identity(target)) {
        (Ok(source_id), Ok(target_id)) if source_id == target_id => {
            Err(Failure::Usage(format!("{} and {} are the same file", source.display(), target.display())))
        }
        _ => Ok(()),
    }
}

fn has_children(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != ntbak_wire::side::DIRECTORY))
    })
}
