//! `ntbak copy`: a file, or a directory with all that is in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ntbak::location::{self, Location, Opened};
use ntbak::tree::Tree;
use ntbak::{VolumeOptions, place};
use ntbak_wire::record::FileInfo;

use crate::commands::restore::{self, What};
use crate::commands::{Done, report_on};
use crate::failure::Failure;
use crate::many::{self, Places};
use crate::report::Reporter;
use crate::selection;

pub(crate) fn run(
    source: &Path,
    target: &Path,
    what: &What,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Done {
    let opened = location::open(&Location::parse_tree(source), source, options)?;
    if let Some(stream) = opened.stream() {
        let why = format!(
            "{}: a copy is that of a whole file; `ntbak cat` gives one stream, or leave :{stream} out",
            source.display()
        );
        return Err(Failure::Usage(why));
    }
    let info = opened.source().info()?;
    let target = target_of(&opened, source, &info, target)?;
    let is_directory = info.attributes.is_directory();
    if let Some((volume, _)) = opened.on_volume() {
        many::refuse_image(volume.path(), &target)?;
        if is_directory {
            let tree = opened.into_tree();
            return tree.map_or(Ok(None), |mut tree| into(&mut tree, source, &target, what, reporter));
        }
        volume.remarks(&report_on(reporter, volume.path()));
    } else {
        refuse_same(source, &target)?;
        let is_link = source.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir());
        if is_directory && !is_link {
            drop(opened);
            return tree(source, &target, what, options, reporter);
        }
    }
    let report = report_on(reporter, source);
    if what.dry_run {
        return Ok(Some(format!("{} would be copied to {}", source.display(), target.display())));
    }
    let to = place::stage(&target, is_directory)?;
    let copied = ntbak::copy_without(opened.source(), to, what.without, &report);
    copied.map_err(|error| error.at_path(&target))?;
    Ok(Some(format!("{} copied to {}", source.display(), target.display())))
}

/// A directory with all that is in it.
fn tree(source: &Path, target: &Path, what: &What, options: VolumeOptions, reporter: &Reporter) -> Done {
    if let (Ok(from), Some(to)) = (source.canonicalize(), above(target))
        && to.starts_with(&from)
    {
        let (source, target) = (source.display(), target.display());
        return Err(Failure::Usage(format!(
            "{target} is in {source}: a directory cannot be copied into itself"
        )));
    }
    let mut tree = Places::open(&[source.to_owned()], options)?;
    if tree.is_on_host() {
        reporter.line().count(&[source.to_owned()]);
    }
    into(&mut tree, source, target, what, reporter)
}

fn into(tree: &mut dyn Tree, source: &Path, target: &Path, what: &What, reporter: &Reporter) -> Done {
    let select = what.selection.select(&[])?.without(what.without);
    let counts = restore::into(tree, target, what, &select, reporter)?;
    selection::tell_missing(&select, source, reporter);
    let done = if what.dry_run { "would be copied" } else { "copied" };
    Ok(Some(format!("{} {done} to {}: {}", source.display(), target.display(), many::summary(&counts))))
}

/// Where a path really is, as far as it is there.
fn above(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| above.canonicalize().ok())
}

/// A directory that is there takes the source under its own name: the true one, where it has another in its place.
fn target_of(opened: &Opened, source: &Path, info: &FileInfo, target: &Path) -> Result<PathBuf, Failure> {
    if !fs::metadata(target).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(target.to_owned());
    }
    let name = info.links.first().map(|link| OsStr::from_bytes(&link.name));
    // A true name comes from a side file or an image, so it may be anything.
    let name = name.filter(|name| Path::new(name).file_name() == Some(name));
    let typed = || source.file_name().filter(|_| opened.on_volume().is_none());
    match name.or_else(typed) {
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
