//! `FindFirstFile`, `FindNextFile`, `FindClose`.

use std::collections::VecDeque;
use std::sync::Arc;

use ntbak_wire::{FileAttributes, FileTime, Name, Win32Error};

use crate::error::{Error, Result};
use crate::win32::facts::NodeFacts;
use crate::win32::information::basic;
use crate::win32::pattern::Pattern;
use crate::win32::resolve::{Follow, Found, find};
use crate::win32::{Entry, Node, System, Volume, fold};

/// WIN32_FIND_DATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindData {
    /// dwFileAttributes.
    pub attributes: FileAttributes,
    /// ftCreationTime.
    pub created: FileTime,
    /// ftLastAccessTime.
    pub accessed: FileTime,
    /// ftLastWriteTime.
    pub written: FileTime,
    /// Size of the unnamed stream in bytes.
    pub size: u64,
    /// dwReserved0: the reparse tag, or 0.
    pub reparse_tag: u32,
    /// cFileName. What Windows has no place for in a name of Linux is shown as U+F000 and the byte, and found under
    /// that.
    pub name: Name,
    /// cAlternateFileName: the 8.3 name.
    pub short_name: Option<Name>,
}

/// A search that goes on: what `FindFirstFile` opens. The names are those that were there when it began; one that is
/// gone by its turn is passed over.
pub struct FindFile {
    directory: Arc<dyn Node>,
    parent: Option<Arc<dyn Node>>,
    volume: Option<Arc<dyn Volume>>,
    pattern: Pattern,
    dots: VecDeque<&'static str>,
    entries: VecDeque<Entry>,
}

/// `FindFirstFile`: a search, and the first file that it found. `path` ends with a name or a pattern (`*`, `?`).
///
/// The files come in the order of the volume; `.` and `..` come first, in all directories but a root.
///
/// # Errors
/// 2 when nothing matches, or the path ends with a separator; 3 when its directory is not there; 267 when that is a file;
/// 123 for a path that cannot be.
pub fn find_first_file(system: &System, path: impl AsRef<[u8]>) -> Result<(FindFile, FindData)> {
    let path = path.as_ref();
    let first = || {
        let (resolved, volume, written) = system.drives().resolve_pattern(path)?;
        let not_there = || Error::new(Win32Error::PATH_NOT_FOUND, "the directory is not there");
        let directory = resolved.node.ok_or_else(not_there)?;
        if !directory.is_directory() {
            return Err(Error::new(Win32Error::DIRECTORY, "it is no directory"));
        }
        let upper = upper(volume.as_deref(), &written);
        let mut search = FindFile {
            directory,
            parent: resolved.parent,
            volume,
            pattern: Pattern::new(&upper),
            dots: VecDeque::new(),
            entries: VecDeque::new(),
        };
        if search.pattern.is_wild() {
            if search.parent.is_some() {
                search.dots.extend([".", ".."]);
            }
            search.entries = search.directory.entries()?.into();
        } else if let Some((name, _)) = search.find_one(&written)? {
            search.entries.push_back(Entry { name, number: None });
        }
        let data = search.next()?;
        let data = data.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "nothing matches"))?;
        Ok((search, data))
    };
    first().map_err(|error| error.at_path(&*fold::display(path)))
}

/// `FindNextFile`.
///
/// # Errors
/// 18 when there are no more; a file cannot be looked at.
pub fn find_next_file(search: &mut FindFile) -> Result<FindData> {
    search.next()?.ok_or_else(|| Error::new(Win32Error::NO_MORE_FILES, "there are no more files"))
}

/// `FindClose`; dropping the search does the same.
pub fn find_close(search: FindFile) {
    drop(search);
}

impl FindFile {
    fn next(&mut self) -> Result<Option<FindData>> {
        while let Some(dot) = self.dots.pop_front() {
            if self.pattern.matches_dots(dot) {
                let node = match (&self.parent, dot) {
                    (Some(parent), "..") => parent,
                    _ => &self.directory,
                };
                return Ok(Some(data(Name::from(dot), &NodeFacts::of(&**node)?, None)));
            }
        }
        while let Some(entry) = self.entries.pop_front() {
            let name = fold::shown(&entry.name);
            let by_name = self.matches(&name);
            let Some(node) = self.directory.entry(&entry)? else { continue };
            if self.pattern.is_wild() && !by_name && !self.matches_short(&*node) {
                continue;
            }
            let facts = match NodeFacts::of(&*node) {
                Ok(facts) => facts,
                Err(error) if error.win32() == Win32Error::FILE_NOT_FOUND => continue,
                Err(error) => return Err(error),
            };
            // A name that is its own 8.3 name has no other.
            let own =
                |short: &Name| upper(self.volume.as_deref(), short) == upper(self.volume.as_deref(), &name);
            let short = facts.short.clone().filter(|short| !own(short));
            return Ok(Some(data(name, &facts, short)));
        }
        Ok(None)
    }

    fn matches(&self, name: &Name) -> bool {
        self.pattern.matches(&upper(self.volume.as_deref(), name))
    }

    fn matches_short(&self, node: &dyn Node) -> bool {
        node.short_name().is_some_and(|short| self.matches(&short))
    }

    /// The one file of a name without signs.
    fn find_one(&self, name: &Name) -> Result<Option<Found>> {
        match &self.volume {
            Some(volume) => find(&*self.directory, name, &**volume),
            // Paths of Linux: case counts.
            None => {
                let bytes = name.to_wtf8();
                Ok(self.directory.child(&bytes)?.map(|node| (bytes, node)))
            }
        }
    }
}

impl std::fmt::Debug for FindFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FindFile").field("left", &self.entries.len()).finish_non_exhaustive()
    }
}

/// In upper case where the volume has one.
fn upper(volume: Option<&dyn Volume>, name: &Name) -> Name {
    volume.map_or_else(|| name.clone(), |volume| volume.upper(name))
}

fn data(name: Name, facts: &NodeFacts, short_name: Option<Name>) -> FindData {
    let basic = basic(facts);
    FindData {
        attributes: facts.attributes,
        created: basic.created,
        accessed: basic.accessed,
        written: basic.written,
        size: facts.size,
        reparse_tag: facts.reparse_tag,
        name,
        short_name,
    }
}

impl System {
    /// All that a directory has, but `.` and `..`: what a program does with `FindFirstFile` of `path\*` again and again.
    ///
    /// # Errors
    /// As [`find_first_file`].
    pub fn list(&self, path: impl AsRef<[u8]>) -> Result<Vec<FindData>> {
        let path = path.as_ref();
        let (resolved, node) =
            self.find(path, Follow::Links).map_err(|error| error.at_path(&*fold::display(path)))?;
        let pattern = Pattern::new(&Name::from("*"));
        let entries = node.entries().map_err(|error| error.at_path(&*fold::display(path)))?.into();
        let mut search = FindFile {
            directory: node,
            parent: resolved.parent,
            volume: None,
            pattern,
            dots: VecDeque::new(),
            entries,
        };
        let mut found = Vec::new();
        while let Some(data) = search.next()? {
            found.push(data);
        }
        Ok(found)
    }
}
