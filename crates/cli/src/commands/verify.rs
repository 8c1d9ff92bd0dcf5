//! `ntbak verify`: whether an archive is whole, and equal to its source; and what `info` says of one.

use std::path::Path;
use std::process::ExitCode;

use ntbak::VolumeOptions;
use ntbak::tree::Select;
use ntbak_archive::{Item, Limits, Summary};
use serde_json::{Value, json};

use crate::color;
use crate::commands::Done;
use crate::compare::{self, describe as picture};
use crate::failure::{Failure, complain_in};
use crate::json as member;
use crate::many::{self, Many, Places};
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(
    archive: &Path,
    against: Option<&Path>,
    as_json: bool,
    options: VolumeOptions,
    reporter: Reporter,
) -> Result<ExitCode, Failure> {
    if against.is_some() && archive == Path::new("-") {
        let why = "--against reads the archive twice: standard input can be read once";
        return Err(Failure::Usage(why.into()));
    }
    let mut faults = Vec::new();
    let bytes = many::measured(archive, true, &reporter)?;
    let summary = ntbak_archive::verify(bytes, Limits::default(), many::spool()?, &mut |remark| {
        if remark.is_loss() {
            let path = String::from_utf8_lossy(&remark.path).into_owned();
            let stream = remark.stream.as_ref().map(|stream| format!(":{stream}")).unwrap_or_default();
            faults.push(match path.is_empty() {
                true => remark.why.clone(),
                false => format!("{path}{stream}: {}", remark.why),
            });
        }
    });
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            faults.push(error.to_string());
            Summary::default()
        }
    };
    let whole = summary.complete && summary.proven && summary.faults == 0 && faults.is_empty();
    if !as_json || against.is_some() {
        faults.iter().for_each(|fault| complain_in(color::FAILED, fault));
    }
    let differences = match against {
        Some(source) if whole => Some(differ(archive, source, as_json, options, &reporter)?),
        _ => None,
    };
    if as_json {
        let mut object = to_json(archive, &summary);
        member::put(&mut object, "whole", whole.into());
        member::put(&mut object, "faults", faults.clone().into());
        if let Some(differences) = differences {
            member::put(&mut object, "differences", differences.into());
        }
        let mut output = Output::open(None)?;
        output.write(format!("{object}\n").as_bytes())?;
        output.finish()?;
    }
    let told = match (whole, differences) {
        (false, _) if summary.complete && !summary.ours => {
            "no archive of ntbak: it can be read, and has nothing that proves it".to_owned()
        }
        (false, _) => "NOT whole".to_owned(),
        (true, None) => "whole".to_owned(),
        (true, Some(0)) => "whole, and equal to its source".to_owned(),
        (true, Some(count)) => format!("whole, and different from its source: {count} differences"),
    };
    let Summary { entries, losses, notes, .. } = summary;
    reporter
        .finish(Some(&format!(
            "{}: {told}; {entries} entries, {losses} losses and {notes} notes of the backup; now",
            archive.display()
        )))
        .map(|code| if whole && differences.unwrap_or(0) == 0 { code } else { ExitCode::from(1) })
}

/// Compares an archive with what it was made of: how many differences there are.
fn differ(
    archive: &Path,
    source: &Path,
    as_json: bool,
    options: VolumeOptions,
    reporter: &Reporter,
) -> Result<u64, Failure> {
    let mut many = Many::Archive(Box::new(many::archive(archive)?));
    let stored = picture(&mut many, &Select::all(), reporter)?;
    let now =
        picture(&mut Many::Places(Places::open(&[source.to_owned()], options)?), &Select::all(), reporter)?;
    compare::print(&stored, &now, as_json)
}

fn to_json(archive: &Path, summary: &Summary) -> Value {
    let mut object = json!({});
    member::put_path(&mut object, "path", archive);
    for (key, value) in [("ours", summary.ours), ("complete", summary.complete), ("proven", summary.proven)] {
        member::put(&mut object, key, value.into());
    }
    for (key, value) in [("entries", summary.entries), ("losses", summary.losses), ("notes", summary.notes)] {
        member::put(&mut object, key, value.into());
    }
    object
}

/// What an archive says about itself, read to its end.
pub(crate) fn describe(archive: &Path, as_json: bool, _: &Reporter) -> Done {
    let fault = |error: ntbak_archive::Error| ntbak::Error::from(error).at_path(archive);
    let source = ntbak_archive::open(many::bytes(archive)?).map_err(fault)?;
    let packed = source.is_zstd();
    let mut reader = ntbak_archive::ArchiveReader::new(source, Limits::default());
    let (mut tool, mut sources, mut files, mut links) = (String::new(), Vec::new(), 0_u64, 0_u64);
    while let Some(item) = reader.next().map_err(fault)? {
        match item {
            Item::Volume(volume) => {
                tool.clone_from(&volume.tool);
                let path =
                    |source: &ntbak_archive::Source| String::from_utf8_lossy(&source.path).into_owned();
                sources = volume.sources.iter().map(path).collect();
            }
            Item::File(_) => files += 1,
            Item::Link(_) => links += 1,
            _ => {}
        }
    }
    let summary = reader.summary();
    let text = if as_json {
        let mut object = to_json(archive, &summary);
        member::put(&mut object, "zstd", packed.into());
        member::put(&mut object, "tool", tool.into());
        member::put(&mut object, "sources", sources.into());
        member::put(&mut object, "files", files.into());
        member::put(&mut object, "links", links.into());
        format!("{object}\n")
    } else {
        let kind = if summary.ours { "archive of ntbak" } else { "tar archive of another program" };
        let packed = if packed { ", in zstd" } else { "" };
        let complete = if summary.complete { "complete" } else { "NOT complete: its end is missing" };
        format!(
            "path          {}\nkind          {kind}{packed}\nmade by       {tool}\nsources       {}\nfiles         {files}, and {links} other names of them\nstate         {complete}\nlosses        {} losses and {} notes of the backup\nproof         ntbak verify {}\n",
            archive.display(),
            sources.join(", "),
            summary.losses,
            summary.notes,
            archive.display()
        )
    };
    let mut output = Output::open(None)?;
    output.write(text.as_bytes())?;
    output.finish()?;
    Ok(None)
}
