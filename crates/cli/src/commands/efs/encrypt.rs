//! `ntbak efs encrypt`: a file for the holders of certificates.

use std::fs::Metadata;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ntbak::efs::{ExportReader, Protected, Protection};
use ntbak::place::{self, Place};
use ntbak::{Facts, FileSource};
use ntbak_efs::{Algorithm, Fek};
use ntbak_wire::object_id::Guid;

use crate::commands::{Done, report_on};
use crate::failure::Failure;
use crate::keys;
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(
    file: &Path,
    users: &[PathBuf],
    agents: &[PathBuf],
    output: &Path,
    raw: bool,
    reporter: &Reporter,
) -> Done {
    let source = place::open(file)?;
    let report = report_on(reporter, file);
    if source.encrypted()?.is_some() {
        return Err(Failure::Usage(format!("{}: it is encrypted already", file.display())));
    }
    let (users, agents) = (keys::recipients(users)?, keys::recipients(agents)?);
    let fek = Fek::generate(Algorithm::Aes256).map_err(ntbak::Error::from)?;
    let half = || RandomState::new().build_hasher().finish().to_ne_bytes();
    let mut computer = [0; 16];
    computer.copy_from_slice([half(), half()].as_flattened());
    let holes = raw || Place::of(output)?.capabilities(false).holds(Facts::VDL);
    let with = Protection { fek: &fek, users: &users, agents: &agents, computer: Guid(computer), holes };
    let encrypted = Protected::new(source, &with).map_err(|error| error.at_path(file))?;
    if !raw {
        let info = encrypted.info()?;
        let directory = info.attributes.is_directory();
        let there = output.symlink_metadata().ok();
        if info.link_count > 1 && !directory && there.is_some_and(|there| is_same(&there, file)) {
            let why = "it has other names (hard links), and those would keep the plaintext";
            return Err(Failure::Usage(format!("{}: {why}; encrypt it to another file", file.display())));
        }
        let sink = super::over(output, directory)?;
        ntbak::copy(&encrypted, sink, &report).map_err(|error| error.at_path(output))?;
        let what = if directory { ", the directory alone," } else { "" };
        return Ok(Some(format!("{}{what} encrypted to {}", file.display(), output.display())));
    }
    let Some(stored) = encrypted.encrypted()? else { return Ok(None) };
    let mut reader = ExportReader::new(stored)?;
    let mut out = Output::open(Some(output))?;
    out.pour(|_, buffer| reader.read(buffer).map_err(|error| error.at_path(file)))?;
    out.finish()?;
    Ok(Some(format!("{} encrypted to the export {}", file.display(), output.display())))
}

fn is_same(there: &Metadata, file: &Path) -> bool {
    file.symlink_metadata().is_ok_and(|file| (file.dev(), file.ino()) == (there.dev(), there.ino()))
}
