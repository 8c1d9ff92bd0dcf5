//! A tree in memory, in any order: what every other tree is compared with.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ntbak_wire::record::FileInfo;
use ntbak_wire::{Name, Win32Error};

use super::{FileVisit, LinkVisit, Tree, Visit, WalkOptions};
use crate::backup::{BackupOptions, FileRecords};
use crate::error::{Error, Result};
use crate::memory::{MemoryFile, SharedFile};
use crate::report::FileReport;
use crate::restore::{Restore, Unheld};
use crate::sink::MemorySink;
use crate::source::{FileSource, MemorySource};
use crate::tree_sink::{Begun, TreeSink};

/// Files by their paths; as a source in the order in which they were put in, as a sink in that of their coming.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    entries: Vec<Entry>,
    places: BTreeMap<Vec<u8>, usize>,
    /// A sink's file that has begun.
    begun: Option<SharedFile>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: Vec<u8>,
    file: SharedFile,
    short: Option<Name>,
}

impl MemoryTree {
    /// A tree without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file in; one of this path is replaced.
    pub fn insert(&mut self, path: impl Into<Vec<u8>>, file: MemoryFile) {
        self.put(path.into(), SharedFile::new(file), None);
    }

    /// Gives the file at `target` another name. `false` when there is none.
    pub fn link(&mut self, path: impl Into<Vec<u8>>, target: &[u8]) -> bool {
        let file = self.file(target).cloned();
        file.map(|file| self.put(path.into(), file, None)).is_some()
    }

    fn put(&mut self, path: Vec<u8>, file: SharedFile, short: Option<Name>) {
        let entry = Entry { path: path.clone(), file, short };
        match self.places.get(&path).and_then(|at| self.entries.get_mut(*at)) {
            Some(before) => *before = entry,
            None => {
                self.places.insert(path, self.entries.len());
                self.entries.push(entry);
            }
        }
    }

    /// The same files in another order: `order` is asked for each where it belongs.
    pub fn sort_by_key<K: Ord>(&mut self, mut order: impl FnMut(&[u8]) -> K) {
        self.entries.sort_by_cached_key(|entry| order(&entry.path));
        self.places = self.entries.iter().enumerate().map(|(at, entry)| (entry.path.clone(), at)).collect();
    }

    /// The file of this path.
    #[must_use]
    pub fn file(&self, path: &[u8]) -> Option<&SharedFile> {
        self.places.get(path).and_then(|at| self.entries.get(*at)).map(|entry| &entry.file)
    }

    /// Every path, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.places.keys().map(Vec::as_slice)
    }
}

impl Tree for MemoryTree {
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut first: BTreeMap<u64, &[u8]> = BTreeMap::new();
        for entry in &self.entries {
            let source = MemorySource::new(entry.file.clone());
            let info = source.info()?;
            let verdict = options.select.verdict_on(&entry.path, info.attributes.is_directory());
            if !options.select.wants(verdict) {
                continue;
            }
            let (path, shown) = (&entry.path[..], Path::new(OsStr::from_bytes(&entry.path)));
            if let Some(target) = first.get(&entry.file.address()) {
                let short = entry.short.as_ref();
                visit(Visit::Link(LinkVisit { path, shown, target, short, info: &info }))?;
                continue;
            }
            first.insert(entry.file.address(), path);
            let report = FileReport { to: options.report, path: shown };
            let mut records = FileRecords::new(&source, options.backup, report)?;
            visit(Visit::File(FileVisit { path, shown, info: &info, content: &mut records }))?;
        }
        Ok(())
    }
}

impl TreeSink for MemoryTree {
    fn options(&self) -> BackupOptions {
        BackupOptions { stop_at_vdl: true, ..BackupOptions::default() }
    }

    fn begin(&mut self, _: &[u8], info: &FileInfo, _: &FileReport<'_>) -> Result<Begun<'_>> {
        let file = self.begun.insert(SharedFile::default());
        let sink = MemorySink::staged(file.clone(), info.attributes.is_directory());
        Ok(Begun::Checked(Restore::new(Box::new(sink), Unheld::Report)))
    }

    fn done(&mut self, path: &[u8], _: &FileInfo) -> Result<()> {
        if let Some(file) = self.begun.take() {
            self.put(path.to_vec(), file, None);
        }
        Ok(())
    }

    fn link(&mut self, link: &LinkVisit<'_>, _: &FileReport<'_>) -> Result<bool> {
        let file = self.file(link.target).cloned();
        let file = file.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "it is not there"))?;
        self.put(link.path.to_vec(), file, link.short.cloned());
        Ok(true)
    }
}
