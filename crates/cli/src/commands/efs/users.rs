//! `ntbak efs users`: who can open an encrypted file.

use std::path::Path;

use ntbak::efs::Rekeyed;
use ntbak::{FileSource, place};
use ntbak_efs::{KeyRing, Opened};
use ntbak_wire::efs::{HolderKind, Metadata};

use super::{UsersCommand, info};
use crate::commands::{Done, report_on};
use crate::failure::{Failure, harmless};
use crate::keys;
use crate::output::Output;
use crate::report::Reporter;

pub(crate) fn run(command: UsersCommand, reporter: &Reporter) -> Done {
    match command {
        UsersCommand::List { location, reading } => {
            list(&location, &*super::open(&location, reading.options(), reporter)?)
        }
        UsersCommand::Add { path, recipients, keys } => {
            let users = keys::recipients(&recipients)?;
            let (source, mut metadata, opened) = open(&path, &keys.ring()?)?;
            for user in &users {
                metadata = ntbak_efs::add_user(&metadata, &opened.fek, user).map_err(ntbak::Error::from)?;
            }
            replace(&path, source, metadata, reporter)
        }
        UsersCommand::Remove { path, thumbprint, keys } => {
            let (source, mut metadata, _) = open(&path, &keys.ring()?)?;
            for text in &thumbprint {
                let bytes = from_hex(text).ok_or_else(|| {
                    Failure::Usage(format!("{text:?} is no thumbprint: hex digits are wanted"))
                })?;
                metadata = remove(&path, &metadata, &bytes, text)?;
            }
            replace(&path, source, metadata, reporter)
        }
    }
}

/// Unlike Windows' function, which ignores a thumbprint that it does not find: whoever mistypes one would believe that the
/// user is gone.
fn remove(path: &Path, metadata: &[u8], thumbprint: &[u8], typed: &str) -> Result<Vec<u8>, Failure> {
    let holders = Metadata::parse(metadata)?.holders();
    let mut kinds = holders.iter().filter(|holder| holder.thumbprint.as_deref() == Some(thumbprint));
    let why = match kinds.clone().next() {
        _ if kinds.any(|holder| holder.kind == HolderKind::User) => {
            return Ok(ntbak_efs::remove_user(metadata, thumbprint).map_err(ntbak::Error::from)?);
        }
        Some(_) => "it is a recovery agent, and those stay",
        None => "no user has it; `ntbak efs users list` shows them",
    };
    Err(Failure::Usage(format!("{}: thumbprint {typed}: {why}", path.display())))
}

fn list(location: &Path, source: &dyn FileSource) -> Done {
    let Some(file) = source.encrypted().map_err(|error| error.at_path(location))? else {
        return Err(super::not_encrypted(location));
    };
    let metadata =
        Metadata::parse(file.metadata()).map_err(|error| ntbak::Error::from(error).at_path(location))?;
    let mut output = Output::open(None)?;
    for holder in metadata.holders() {
        let role = if holder.kind == HolderKind::User { "user" } else { "recovery" };
        output.write(format!("{role:<10}{}\n", harmless(&info::one_line(&holder))).as_bytes())?;
    }
    output.finish()?;
    Ok(None)
}

/// An encrypted file, its metadata, and its key.
type Known = (Box<dyn FileSource>, Vec<u8>, Opened);

fn open(path: &Path, ring: &KeyRing) -> Result<Known, Failure> {
    let at_path = |error: ntbak::Error| error.at_path(path);
    let source = place::open(path)?;
    let metadata = source.encrypted().map_err(at_path)?.map(|file| file.metadata().to_vec());
    let Some(metadata) = metadata else {
        return Err(super::not_encrypted(path));
    };
    let opened = ring.open(&Metadata::parse(&metadata)?).map_err(|error| at_path(error.into()))?;
    Ok((source, metadata, opened))
}

/// Puts the same file with other users in its place.
fn replace(path: &Path, source: Box<dyn FileSource>, metadata: Vec<u8>, reporter: &Reporter) -> Done {
    let info = source.info()?;
    let directory = info.attributes.is_directory();
    if info.link_count > 1 && !directory {
        let why = format!(
            "{}: it has {} names (hard links), and whom you remove could open the others",
            path.display(),
            info.link_count
        );
        return Err(Failure::Usage(why));
    }
    let sink = if directory { place::in_place(path)? } else { place::stage(path, false)? };
    ntbak::copy(&Rekeyed::new(source, metadata), sink, &report_on(reporter, path))
        .map_err(|error| error.at_path(path))?;
    Ok(Some(format!("{}: users changed", path.display())))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|character| !matches!(character, ' ' | ':')).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    pairs.collect()
}
