//! Names of a volume as steps of paths: each is one step, and no two files have the same path, whatever is on the volume.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use ntbak_ntfs::catalogue::{FileId, NameId, Place};
use ntbak_ntfs::{Catalogue, Namespace};
use ntbak_wire::Name;
use ntbak_wire::name::append_wtf8;

use crate::host::escape;

/// Names that another file in the same directory has: the name of the file with the lower record stays.
#[derive(Debug, Default)]
pub(super) struct Doubles(HashSet<(FileId, FileId, Name)>);

impl Doubles {
    /// Looks at every name of the files in these places. No volume has any that nothing has happened to.
    pub(super) fn find(catalogue: &Catalogue, is_there: impl Fn(Place) -> bool) -> Self {
        let there = catalogue.all().filter(|(id, _)| is_there(catalogue.place(*id)));
        let all = there.flat_map(|(id, _)| catalogue.names(id));
        let long = all.filter(|name| catalogue.namespace(*name) != Namespace::DOS);
        let hashed = long.filter_map(|name| {
            let mut hasher = DefaultHasher::new();
            (catalogue.parent(name)?, catalogue.name(name)).hash(&mut hasher);
            Some((hasher.finish(), name))
        });
        let mut hashed: Vec<(u64, NameId)> = hashed.collect();
        hashed.sort_unstable();
        let mut doubles = Self::default();
        for group in hashed.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1) {
            let key = |name: NameId| Some((catalogue.file_of(name)?, catalogue.parent(name)?));
            let mut first: Vec<(FileId, FileId, NameId)> = Vec::new();
            for (_, name) in group {
                let Some((file, directory)) = key(*name) else { continue };
                let same = |(_, other, id): &&(FileId, FileId, NameId)| {
                    *other == directory && catalogue.name(*id) == catalogue.name(*name)
                };
                match first.iter().find(same) {
                    None => first.push((file, directory, *name)),
                    // The same name of the same file twice is one.
                    Some((other, ..)) if *other == file => {}
                    Some(_) => {
                        let units = catalogue.name(*name).to_vec();
                        doubles.0.insert((file, directory, Name::from_units(units)));
                    }
                }
            }
        }
        doubles
    }

    /// Appends what stands for the name of a file in this directory to the path of that; answers why it is another.
    pub(super) fn step(
        &self,
        path: &mut Vec<u8>,
        catalogue: &Catalogue,
        (file, directory): (FileId, FileId),
        name: &[u16],
    ) -> Option<&'static str> {
        // A slash, and three bytes for each unit at the most.
        path.reserve(1 + 3 * name.len());
        if !path.is_empty() {
            path.push(b'/');
        }
        let start = path.len();
        append_wtf8(name, path);
        let is_double = |name: &[u16]| self.0.contains(&(file, directory, Name::from_units(name.to_vec())));
        let why = if !self.0.is_empty() && is_double(name) {
            let reference = catalogue.entry(file).map(|entry| entry.reference().to_string());
            path.push(b'/');
            path.extend(reference.unwrap_or_default().into_bytes());
            "another file in its directory has the same name"
        } else if is_bad(path.get(start..).unwrap_or_default()) {
            "no file can have it"
        } else {
            return None;
        };
        let step = path.split_off(start);
        path.extend_from_slice(&escaped(&step));
        Some(why)
    }
}

/// A name as one step of a path.
pub(super) fn safe(name: &Name) -> Cow<'static, [u8]> {
    let name = name.to_wtf8();
    if is_bad(&name) { escaped(&name) } else { name.into() }
}

fn escaped(name: &[u8]) -> Cow<'static, [u8]> {
    let mut escaped = escape::escaped(OsStr::from_bytes(name), escape::LONGEST).into_vec();
    // No name on Linux has one, so the function leaves it.
    escaped.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'_');
    escaped.into()
}

/// Whether bytes cannot be one step of a path. No file that Windows or ntfs-3g has made has such a name.
fn is_bad(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0))
}
