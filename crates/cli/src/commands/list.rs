//! `ntbak list`: what is in a directory, a disk image or an archive.

use std::path::{Path, PathBuf};

use ntbak::VolumeOptions;
use ntbak::tree::transfer;
use ntbak::tree_sink::{DescribeSink, Described, Description};
use serde_json::json;

use crate::commands::Done;
use crate::describe::{self, shown};
use crate::failure::{Failure, harmless};
use crate::json as member;
use crate::many::Many;
use crate::output::Output;
use crate::report::Reporter;
use crate::selection::{self, Selection};

/// How the list looks.
pub(crate) struct Form {
    pub(crate) streams: bool,
    pub(crate) hash: bool,
    pub(crate) json: bool,
}

pub(crate) fn run(
    location: &Path,
    paths: &[PathBuf],
    form: &Form,
    options: VolumeOptions,
    selection: &Selection,
    reporter: &Reporter,
) -> Done {
    let select = selection.select(paths)?;
    let open = if form.hash { Many::open } else { Many::open_parts };
    let mut many = open(location, options)?;
    let mut output = std::io::BufWriter::new(Output::open(None)?);
    let write = |line: String| std::io::Write::write_all(&mut output, line.as_bytes());
    let mut failed = None;
    let mut write = write;
    let listener = Box::new(|described: Described<'_>| {
        let line = match (described, form.json) {
            (Described::File(file), true) => format!("{}\n", describe::json(file)),
            (Described::File(file), false) => text(file, form.streams),
            (Described::Link { path, target }, true) => {
                let mut object = json!({});
                member::put_path(&mut object, "path", shown(path));
                member::put(&mut object, "type", "link".into());
                member::put_path(&mut object, "target", shown(target));
                format!("{object}\n")
            }
            (Described::Link { path, target }, false) => {
                format!("{:>12}  link     {} -> {}\n", "", printable(path), printable(target))
            }
        };
        write(line).map_err(|error| {
            let told = ntbak::Error::io("writing the list", std::io::Error::from(error.kind()));
            failed = Some(error);
            told
        })
    });
    let listed = transfer(many.tree(), &mut DescribeSink::new(form.hash, listener), &select, reporter);
    if let Some(error) = failed {
        return Err(Failure::io("standard output: writing", error));
    }
    listed?;
    selection::tell_missing(&select, location, reporter);
    let output = output.into_inner();
    output.map_err(|error| Failure::io("standard output: writing", error.into_error()))?.finish()?;
    Ok(None)
}

/// Size, attributes, time and path; and a line for each named stream.
fn text(file: &Description, streams: bool) -> String {
    let unnamed = file.streams.iter().find(|stream| stream.head.name.is_none());
    let size = match (&file.efs, unnamed) {
        (Some(efs), _) => efs.size.to_string(),
        (None, Some(stream)) => stream.size.to_string(),
        (None, None) => "-".to_owned(),
    };
    let written = file.info.times.written.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let letters = file.info.attributes.letters();
    let path = printable(&file.path);
    let mut text = format!("{size:>12}  {:<8} {letters:<8} {written:<28} {path}\n", describe::kind(file));
    if streams {
        for stream in &file.streams {
            if let Some(name) = &stream.head.name {
                let name = harmless(&name.to_string());
                text.push_str(&format!("{:>12}  stream   {path}:{name}\n", stream.size));
            }
        }
    }
    text
}

fn printable(path: &[u8]) -> String {
    harmless(&shown(path).display().to_string())
}
