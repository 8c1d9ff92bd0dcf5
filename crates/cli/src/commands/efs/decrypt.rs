//! `ntbak efs decrypt`: plaintext, for who has a key.

use std::fs;
use std::path::Path;

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
        let sink = place::stage(output, directory)?;
        ntbak::copy(&plain, sink, &report_on(reporter, location)).map_err(|error| error.at_path(output))?;
        return Ok(Some(format!("{} decrypted to {} ({algorithm:?})", location.display(), output.display())));
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

/// Every encrypted file below a directory, into `output` under the same names.
pub(crate) fn all(directory: &Path, output: &Path, keys: &KeyRing, reporter: &Reporter) -> Done {
    let making = |error| Failure::io(format!("{}: making the directory", output.display()), error);
    fs::create_dir_all(output).map_err(making)?;
    let mut done = 0;
    let mut waiting = vec![directory.to_owned()];
    while let Some(here) = waiting.pop() {
        let listing = |error| Failure::io(format!("{}: listing it", here.display()), error);
        let mut entries: Vec<_> = fs::read_dir(&here).map_err(listing)?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if entry.file_name() == ntbak_wire::side::DIRECTORY {
                continue;
            }
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() {
                let report = report_on(reporter, &path);
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
        other => ntbak::Error::io(format!("{other:?}"), std::io::ErrorKind::Other),
    })?;
    if source.encrypted()?.is_none() {
        return Ok(false);
    }
    let plain = Decrypted::open(source, keys)?;
    let target = output.join(path.strip_prefix(root).unwrap_or(path));
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|error| ntbak::Error::io("making the directory", error))?;
    }
    ntbak::copy(&plain, place::stage(&target, false)?, report)?;
    Ok(true)
}
