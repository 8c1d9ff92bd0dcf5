//! `FindFirstFileNameW`, `FindNextFileNameW`: all names of a file.
//!
//! A volume in an image tells them. Neither Linux nor ntfs-3g does: for a file with more than one, all directories of its
//! drive are looked through, until all of its names are found.

use std::collections::VecDeque;
use std::sync::Arc;

use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::win32::resolve::Follow;
use crate::win32::{Identity, Node, System, fold};

/// How deep directories are looked through.
const DEEPEST: usize = 512;

/// A search that goes on. The names are those that were there when it began.
#[derive(Debug, Clone, Default)]
pub struct FindFileName {
    names: VecDeque<Name>,
}

/// `FindFirstFileNameW`: a search, and the first name: a path from the root of the volume, as `\dir\file`. That of the
/// path that was asked for comes first.
///
/// # Errors
/// 2, 3 when the file is not there.
pub fn find_first_file_name(system: &System, path: impl AsRef<[u8]>) -> Result<(FindFileName, Name)> {
    let path = path.as_ref();
    let first = || {
        let (resolved, node) = system.find(path, Follow::Links)?;
        let links = node.source()?.info()?.link_count;
        let mut ways = vec![resolved.way.clone()];
        if links > 1
            && !node.is_directory()
            && let Some(root) = resolved.root
        {
            if let Some(known) = node.ways()? {
                let first = ways.first().cloned();
                ways.extend(known.into_iter().filter(|way| Some(way) != first.as_ref()));
            } else {
                let wanted = Wanted { identity: node.identity(), links: links as usize };
                wanted.look(&root, &mut Vec::new(), &mut ways)?;
            }
        }
        let mut search = FindFileName { names: ways.iter().map(|way| text(way)).collect() };
        let name = find_next_file_name(&mut search)?;
        Ok((search, name))
    };
    first().map_err(|error: Error| error.at_path(&*fold::display(path)))
}

/// `FindNextFileNameW`.
///
/// # Errors
/// 38 when there are no more.
pub fn find_next_file_name(search: &mut FindFileName) -> Result<Name> {
    let none = || Error::new(Win32Error::HANDLE_EOF, "the file has no more names");
    search.names.pop_front().ok_or_else(none)
}

struct Wanted {
    identity: Identity,
    links: usize,
}

impl Wanted {
    /// Looks through a directory and those below it; the first of `found` is known already.
    fn look(
        &self,
        directory: &Arc<dyn Node>,
        way: &mut Vec<Vec<u8>>,
        found: &mut Vec<Vec<Vec<u8>>>,
    ) -> Result<()> {
        if way.len() >= DEEPEST {
            return Ok(());
        }
        for entry in directory.entries()? {
            if found.len() >= self.links {
                return Ok(());
            }
            let Some(node) = directory.child(&entry.name)? else { continue };
            way.push(entry.name);
            if node.identity() == self.identity {
                if found.first() != Some(way) {
                    found.push(way.clone());
                }
            } else if node.is_directory() && node.reparse()?.is_none() {
                // What may not be looked into has none that could be told.
                match self.look(&node, way, found) {
                    Err(error) if error.win32() != Win32Error::ACCESS_DENIED => return Err(error),
                    _ => {}
                }
            }
            way.pop();
        }
        Ok(())
    }
}

fn text(way: &[Vec<u8>]) -> Name {
    let mut units = Vec::new();
    for name in way {
        units.push(u16::from(b'\\'));
        units.extend_from_slice(fold::shown(name).units());
    }
    Name::from_units(if units.is_empty() { vec![u16::from(b'\\')] } else { units })
}
