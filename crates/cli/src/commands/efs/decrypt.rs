//! `ntbak efs decrypt`: plaintext, for who has a key.

use std::path::Path;

use ntbak::efs::Decrypted;
use ntbak::tree::{DecryptedTree, Select, transfer};
use ntbak::tree_sink::{HostSink, HostSinkOptions, Overwrite};
use ntbak::{FileSource, VolumeOptions};
use ntbak_efs::KeyRing;

use crate::commands::{Done, count, report_on};
use crate::failure::Failure;
use crate::many::Many;
use crate::output::Output;
use crate::report::Reporter;

/// One file: a stream of it to standard output, or all of it into `output`.
pub(crate) fn one(
    location: &Path,
    source: Box<dyn FileSource>,
    stream: Option<&str>,
    output: Option<&Path>,
    keys: &KeyRing,
    reporter: &Reporter,
) -> Done {
    let plain = Decrypted::open(source, keys).map_err(|error| error.at_path(location))?;
    let opened = plain.opened();
    let algorithm = opened.fek.algorithm();
    if let (Some(output), None) = (output.filter(|output| *output != Path::new("-")), stream) {
        let directory = plain.info()?.attributes.is_directory();
        let report = report_on(reporter, location);
        let sink = super::over(output, directory)?;
        ntbak::copy(&plain, sink, &report).map_err(|error| error.at_path(output))?;
        let what = if directory { ", the directory alone (--all takes what is in it)," } else { "" };
        let (from, to) = (location.display(), output.display());
        return Ok(Some(format!("{from}{what} decrypted to {to} ({algorithm:?})")));
    }
    let index = find(&plain, stream, location)?;
    let mut output = Output::open(output)?;
    let read = |offset, buffer: &mut [u8]| plain.read_at(index, offset, buffer);
    let len = output.pour(|offset, buffer| read(offset, buffer).map_err(|error| error.at_path(location)))?;
    output.finish()?;
    Ok(Some(format!("{}: decrypted {} ({algorithm:?})", location.display(), count(len, "byte"))))
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

/// Every encrypted file of a directory, a disk image or an archive, into `output` under the same names.
pub(crate) fn all(
    location: &Path,
    output: &Path,
    keys: &KeyRing,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Done {
    let mut from = Many::open(location, options)?;
    let spool = || tempfile::tempfile();
    let mut tree = DecryptedTree::new(from.tree(), keys, &spool);
    let mut sink = HostSink::open(output, HostSinkOptions { overwrite: Overwrite::Always, threads: 0 })?;
    let done = transfer(&mut tree, &mut sink, &Select::all(), reporter)?;
    let files = count(done.files + done.links, "file");
    Ok(Some(format!("{}: {files} decrypted to {}", location.display(), output.display())))
}
