//! Names on the way down into a place: which ones it takes, and what stands for the others.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use ntbak_wire::{Win32Error, side};

use crate::error::{Error, Result};
use crate::host::escape;
use crate::host::node::Spot;
use crate::host::ntfs3g::StreamsInterface;
use crate::place::Place;

/// The names of a path in a tree. None of them leads anywhere but into the directory that it is in.
///
/// # Errors
/// A name that is empty, `.`, `..`, or has a NUL.
pub(super) fn components(path: &[u8]) -> Result<Vec<&OsStr>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let names: Result<Vec<_>, _> = path.split(|byte| *byte == b'/').map(component).collect();
    names.map_err(|why| Error::new(Win32Error::INVALID_NAME, format!("it was not taken: {why}")))
}

fn component(name: &[u8]) -> Result<&OsStr, &'static str> {
    match name {
        b"" | b"." | b".." => Err("it has an empty component, or `.` or `..`"),
        name if name.contains(&0) => Err("it has a NUL"),
        name => Ok(OsStr::from_bytes(name)),
    }
}

/// What a place makes of a name.
pub(super) struct Settled {
    /// What the file is called there.
    pub(super) there: OsString,
    /// What its sink is to be told: the sink replaces some names by itself, and keeps the true ones.
    pub(super) told: OsString,
    /// The place has another name for it, and nothing there keeps the true one, nor tells of it.
    pub(super) lost: bool,
}

impl Settled {
    /// The name itself.
    pub(super) fn as_it_is(name: &OsStr) -> Self {
        Self { there: name.to_owned(), told: name.to_owned(), lost: false }
    }
}

/// Whether an ordinary directory can hold this name, whatever else is in it; `false` for other places.
pub(super) fn fits(name: &OsStr, place: &Place) -> bool {
    let Place::Directory(linux) = place else { return false };
    name.len() as u64 <= linux.longest_name && name != side::DIRECTORY
}

/// Finds the name that the place has for `spot`.
pub(super) fn settle(spot: &Spot, place: &Place) -> Result<Settled> {
    let told = spot.name.clone();
    let mut settled = spot.clone();
    let Place::Ntfs3g(mount) = place else {
        escape::in_directory(&mut settled)?;
        return Ok(Settled { there: settled.name, told, lost: false });
    };
    let colon = mount.streams == StreamsInterface::Windows && told.as_bytes().contains(&b':');
    if colon || escape::is_twin(spot) {
        let there = escape::escaped(&told, escape::LONGEST);
        return Ok(Settled { told: there.clone(), there, lost: true });
    }
    escape::on_ntfs(&mut settled);
    Ok(Settled { there: settled.name, told, lost: false })
}
