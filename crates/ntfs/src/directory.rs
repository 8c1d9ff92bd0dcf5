//! Directories by their index: what Windows shows of one, and the way of a path to a file.

use ntbak_wire::Name;

use crate::error::{Error, Result};
use crate::file::File;
use crate::file_name::{FileName, RawName};
use crate::index::{Flow, Index};
use crate::record::FileReference;
use crate::volume::Volume;
use ntbak_wire::bytes::utf16_units;

/// The index of names.
pub(crate) const I30: [u16; 4] = [b'$' as u16, b'I' as u16, b'3' as u16, b'0' as u16];

/// One name in a directory, as its index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The file.
    pub file: FileReference,
    /// Its name; an 8.3 name is an entry of its own.
    pub name: FileName,
}

impl Volume {
    /// Shows every name in a directory, in no order. Faults go to `damage`, and the rest is shown.
    ///
    /// # Errors
    /// It is no directory, or its index cannot be read at all.
    pub fn read_directory(
        &self,
        directory: &File,
        damage: &mut dyn FnMut(Error),
        each: &mut dyn FnMut(DirectoryEntry),
    ) -> Result<()> {
        let index = Index::open(directory, &I30)?;
        let mut faults = Vec::new();
        index.each(damage, &mut |entry| {
            match RawName::parse(entry.key) {
                Ok(name) => each(DirectoryEntry { file: entry.file(), name: name.to_owned() }),
                Err(error) => faults.push(error),
            }
            // A block cannot have more, but an index may have many blocks.
            if faults.len() < 1000 { Flow::Continue } else { Flow::Stop }
        });
        for fault in faults {
            damage(fault.in_record(directory.reference().record()));
        }
        Ok(())
    }

    /// The file of this name in a directory: of the very name, else of one that differs in case, unless the directory
    /// is case-sensitive.
    ///
    /// # Errors
    /// It is no directory, or its index is damaged where the name should be.
    pub fn lookup_in(&self, directory: &File, name: &[u16]) -> Result<Option<FileReference>> {
        let index = Index::open(directory, &I30)?;
        let upcase = self.upcase();
        let search = |exact: bool| {
            let mut found = None;
            index.find(
                &mut |entry| {
                    let key = RawName::parse(entry.key).map(|name| name.name).unwrap_or_default();
                    let order = upcase.compare(name.iter().copied(), utf16_units(key));
                    // Names that differ by case only stand in the order of their units.
                    if exact { order.then_with(|| name.iter().copied().cmp(utf16_units(key))) } else { order }
                },
                &mut |entry| found = Some(entry.file()),
            )?;
            Ok(found)
        };
        match search(true)? {
            None if !directory.is_case_sensitive() => search(false),
            found => Ok(found),
        }
    }

    /// The file that a path of names leads to from the root. No names: the root.
    ///
    /// # Errors
    /// A directory on the way is damaged, or cannot be opened.
    pub fn lookup<'n>(&self, path: impl IntoIterator<Item = &'n Name>) -> Result<Option<File>> {
        let mut file = self.root()?;
        for name in path {
            if !file.is_directory() {
                return Ok(None);
            }
            match self.lookup_in(&file, name.units())? {
                Some(next) => file = self.file(next)?,
                None => return Ok(None),
            }
        }
        Ok(Some(file))
    }
}
