//! `ntbak efs decrypt`: plaintext, for who has a key.

use std::path::Path;
use std::{fs, io};

use ntbak::efs::Decrypted;
use ntbak::{FileSource, LossKind, place};
use ntbak_efs::KeyRing;

use crate::commands::{Done, count, report_on};
use crate::failure::Failure;
use crate::output::Output;
use crate::report::Reporter;

/// One file: a stream of it to standard output, or all of it into `output`.
pub(crate) fn one(
    location: &Path,
    stream: Option<&str>,
    output: Option<&Path>,
    keys: &KeyRing,
    reporter: &Reporter,
) -> Done {
    let source = super::open(location)?;
    let plain = Decrypted::open(source, keys).map_err(|error| error.at_path(location))?;
    let opened = plain.opened();
    let algorithm = opened.fek.algorithm();
    if let (Some(output), None) = (output.filter(|output| *output != Path::new("-")), stream) {
        let directory = plain.info()?.attributes.is_directory();
        let report = report_on(reporter, location);
        let sink = if directory && output.is_dir() {
            place::in_place(output)?
        } else {
            place::stage(output, directory)?
        };
        ntbak::copy(&plain, sink, &report).map_err(|error| error.at_path(output))?;
        let what = if directory { ", the directory alone (--all takes what is in it)," } else { "" };
        let (from, to) = (location.display(), output.display());
        return Ok(Some(format!("{from}{what} decrypted to {to} ({algorithm:?})")));
    }
    let index = find(&plain, stream, location)?;
    let mut output = Output::open(output)?;
    let (mut buffer, mut offset) = (vec![0; 1 << 20], 0);
    loop {
        let got = plain.read_at(index, offset, &mut buffer).map_err(|error| error.at_path(location))?;
        if got == 0 {
            break;
        }
        output.write(buffer.get(..got).unwrap_or_default())?;
        offset += got as u64;
    }
    output.finish()?;
    Ok(Some(format!("{}: decrypted {} ({algorithm:?})", location.display(), count(offset, "byte"))))
}

fn find(plain: &dyn FileSource, stream: Option<&str>, location: &Path) -> Result<usize, Failure> {
    let mut index = 0;
    while let Some(head) = plain.stream(index)? {
        let name = head.name.as_ref().map(ToString::to_string);
        if name.as_deref() == stream {
            return Ok(index);
        }
        index += 1;
    }
    let what = stream.map_or("the unnamed stream".to_owned(), |stream| format!("a stream {stream:?}"));
    Err(Failure::Usage(format!("{}: it does not have {what}", location.display())))
}

/// Every encrypted file below a directory, into `output` under the same names. Links are not followed, neither there nor
/// here.
pub(crate) fn all(directory: &Path, output: &Path, keys: &KeyRing, reporter: &Reporter) -> Done {
    let making = |error| Failure::io(format!("{}: making the directory", output.display()), error);
    let listing = |error| Failure::io(format!("{}: listing it", directory.display()), error);
    let mut waiting = vec![list(directory).map_err(listing)?];
    fs::create_dir_all(output).map_err(making)?;
    let mut done = 0;
    while let Some(entries) = waiting.pop() {
        for entry in entries {
            let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok(found) => found,
                Err(error) => {
                    report_on(reporter, directory).loss(LossKind::Content, format!("listing it: {error}"));
                    continue;
                }
            };
            let report = report_on(reporter, &path);
            if path.file_name().is_some_and(|name| name == ntbak_wire::side::DIRECTORY) {
                continue;
            }
            if kind.is_dir() {
                tell_streams(&path, &report);
                match list(&path) {
                    Ok(entries) => waiting.push(entries),
                    Err(error) => report.loss(LossKind::Content, format!("listing it: {error}")),
                }
            } else if kind.is_file() {
                match decrypt(&path, directory, output, keys, &report) {
                    Ok(decrypted) => done += u64::from(decrypted),
                    // Why this one could not be opened; the others go on.
                    Err(error) => report.loss(LossKind::Efs, error.reason()),
                }
            }
        }
    }
    Ok(Some(format!("{}: {} decrypted to {}", directory.display(), count(done, "file"), output.display())))
}

/// Directories are made anew here: what one of them has in streams of its own would be missed without a word.
fn tell_streams(directory: &Path, report: &ntbak::FileReport<'_>) {
    let has_streams = || {
        let source = place::open(directory)?;
        let file = source.encrypted()?;
        Ok::<_, ntbak::Error>(file.is_some_and(|file| file.streams().iter().any(|plan| plan.head.encrypted)))
    };
    match has_streams() {
        Ok(false) => {}
        Ok(true) => {
            let why = "the directory's own streams are encrypted: decrypt it by itself, without --all";
            report.loss(LossKind::Stream, why);
        }
        Err(error) => report.loss(LossKind::Efs, error.reason()),
    }
}

/// What is in a directory, in order.
fn list(directory: &Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    let mut entries: Vec<_> = fs::read_dir(directory)?.collect();
    entries.sort_by_key(|entry| entry.as_ref().map(fs::DirEntry::file_name).ok());
    Ok(entries)
}

/// Decrypts one file of many; `false` for one that is not encrypted.
fn decrypt(
    path: &Path,
    root: &Path,
    output: &Path,
    keys: &KeyRing,
    report: &ntbak::FileReport<'_>,
) -> ntbak::Result<bool> {
    let source = super::open(path).map_err(|failure| match failure {
        Failure::Library(error) => error,
        other => ntbak::Error::io(format!("{other:?}"), io::ErrorKind::Other),
    })?;
    if source.encrypted()?.is_none() {
        return Ok(false);
    }
    let plain = Decrypted::open(source, keys)?;
    let below = path.strip_prefix(root).unwrap_or(path);
    make_parents(output, below)?;
    ntbak::copy(&plain, place::stage(&output.join(below), false)?, report)?;
    Ok(true)
}

/// Makes the directories of `below` in `output`. A link among them is refused: a file that was decrypted before may have
/// become it, and it may lead anywhere.
fn make_parents(output: &Path, below: &Path) -> ntbak::Result<()> {
    let mut here = output.to_owned();
    for part in below.parent().into_iter().flat_map(Path::components) {
        here.push(part);
        let made = match fs::create_dir(&here) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        made.map_err(|error| ntbak::Error::io("making the directory", error).at_path(&here))?;
        if !fs::symlink_metadata(&here).is_ok_and(|there| there.is_dir()) {
            let why = format!("{} is in the way: it is no directory", here.display());
            return Err(ntbak::Error::io(why, io::ErrorKind::NotADirectory));
        }
    }
    Ok(())
}
