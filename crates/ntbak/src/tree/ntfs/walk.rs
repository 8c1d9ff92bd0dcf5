//! The way through a catalogue: which files are in the tree, by which paths, and in which order.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use ntbak_ntfs::catalogue::{Entry, EntryFlags, FileId, Place};
use ntbak_ntfs::{Catalogue, Link};
use ntbak_wire::Name;

use super::NtfsTree;
use super::ahead::{Ahead, Job};
use super::names::{Doubles, safe};
use crate::error::Result;
use crate::report::LossKind;
use crate::tree::{Select, Verdict};

/// No path of Windows has more steps: 32,767 UTF-16 units, one for each name and one for each slash.
const MAX_DEPTH: usize = 16_384;

/// From one orphan to the next above it no more steps are gone than this.
const MAX_ORPHAN_DEPTH: usize = 64;

/// Bytes that directories which were asked for may take, and what each takes beside its path.
const MAX_ASKED: usize = 1 << 20;
const ASKED: usize = 128;

/// The way to each directory.
#[derive(Clone, Copy)]
pub(super) struct Paths<'w> {
    pub(super) tree: &'w NtfsTree,
    pub(super) catalogue: &'w Catalogue,
    pub(super) doubles: &'w Doubles,
    pub(super) root: FileId,
    /// Whether NTFS' own files are in the tree of the volume, too.
    pub(super) system: bool,
    pub(super) select: &'w Select,
}

/// A directory of the tree.
struct Directory {
    path: Vec<u8>,
    verdict: Verdict,
}

/// A name that is in the tree, and wanted.
pub(super) struct Wanted {
    file: FileId,
    directory: FileId,
    pub(super) link: Link,
}

impl Paths<'_> {
    /// The path of a directory; `None` when it is not in the tree.
    fn path(&self, id: FileId) -> Option<Vec<u8>> {
        let mut path = self.tree.place.clone();
        for id in self.way(id)?.into_iter().rev() {
            self.step(&mut path, id);
        }
        Some(path)
    }

    /// The directories on the way from this one up to below the root; `None` when it leads elsewhere.
    fn way(&self, id: FileId) -> Option<Vec<FileId>> {
        let place = self.catalogue.place(id);
        let is_here = self.catalogue.entry(id).is_some_and(Entry::is_directory)
            && (place == self.catalogue.place(self.root) || self.system && place == Place::System);
        let (mut way, mut at) = (Vec::new(), Some(id).filter(|_| is_here)?);
        while at != self.root {
            // What is in the tree of the volume leads to its root, but NTFS' own files may go in circles.
            if way.len() > MAX_DEPTH {
                return None;
            }
            way.push(at);
            at = self.catalogue.parent(self.catalogue.primary_name(at)?)?;
        }
        Some(way)
    }

    /// Goes from a directory to this one, which is in it; answers why it goes by another name there, if it does.
    fn step(&self, path: &mut Vec<u8>, id: FileId) -> Option<&'static str> {
        let name = self.catalogue.primary_name(id)?;
        let directory = self.catalogue.parent(name)?;
        self.doubles.step(path, self.catalogue, (id, directory), self.catalogue.name(name))
    }

    /// The same with any name of a file.
    fn enter(&self, path: &mut Vec<u8>, ids: (FileId, FileId), name: &Name) -> Option<&'static str> {
        self.doubles.step(path, self.catalogue, ids, name.units())
    }

    /// The path of another name of a file.
    pub(super) fn path_of(&self, other: &Wanted) -> Option<Vec<u8>> {
        let mut path = self.path(other.directory)?;
        self.enter(&mut path, (other.file, other.directory), &other.link.name);
        Some(path)
    }
}

/// What is told of a file before it is shown.
type Told = Vec<(PathBuf, LossKind, String)>;

pub(super) struct Walk<'w, 'a, 'b, 'e> {
    paths: Paths<'w>,
    /// Where the files go.
    files: &'a mut Ahead<'b, 'e>,
    /// Directories that were asked for: most files are in one of those that files before were in.
    asked: HashMap<FileId, Option<Rc<Directory>>>,
    /// Bytes that they take, about.
    asked_bytes: usize,
    /// What was found about the root, and about each directory that was asked for, where there are rules.
    first_verdict: Verdict,
    verdicts: HashMap<FileId, Verdict>,
    /// Directories that were shown.
    shown: HashSet<FileId>,
    /// How many files have names that were not read.
    pub(super) elsewhere: u64,
}

impl<'w, 'a, 'b, 'e> Walk<'w, 'a, 'b, 'e> {
    pub(super) fn new(paths: Paths<'w>, files: &'a mut Ahead<'b, 'e>) -> Self {
        let first_verdict = paths.select.verdict_on(&paths.tree.place, true);
        let (asked, verdicts, shown) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { paths, files, asked, asked_bytes: 0, first_verdict, verdicts, shown, elsewhere: 0 }
    }

    pub(super) fn entry(&mut self, id: FileId, entry: &Entry) -> Result<()> {
        let select = self.paths.select;
        if entry.is_directory() {
            let wanted = self.directory(id).is_some_and(|found| select.wants(found.verdict));
            return if wanted { self.show_directories(id) } else { Ok(()) };
        }
        let (mut first, mut others, mut elsewhere) = (None::<(Wanted, Vec<u8>)>, Vec::<Wanted>::new(), false);
        let mut told = Told::new();
        for link in self.paths.catalogue.links(id) {
            let Some(wanted) = self.wanted(id, link, &mut told) else {
                elsewhere = true;
                continue;
            };
            let (one, path) = wanted;
            let seen = first.iter().map(|(first, _)| first).chain(&others);
            let same = |other: &Wanted| other.directory == one.directory && other.link.name == one.link.name;
            match &first {
                None => first = Some((one, path)),
                // One name that is there twice.
                Some(_) if seen.into_iter().any(same) => {}
                Some(_) => others.push(one),
            }
        }
        let Some((first, path)) = first else { return Ok(()) };
        self.elsewhere += u64::from(elsewhere);
        for one in std::iter::once(&first).chain(&others) {
            self.show_directories(one.directory)?;
        }
        self.show(entry, path, Some(first.link), others, told)
    }

    /// A file or directory that no directory leads to: by its reference and name, within the orphans that it is in.
    pub(super) fn orphan(&mut self, id: FileId, entry: &Entry) -> Result<()> {
        let Paths { tree, catalogue, select, .. } = self.paths;
        let (mut way, mut top) = (vec![id], id);
        while way.len() < MAX_ORPHAN_DEPTH {
            let parent = catalogue.primary_name(top).and_then(|name| catalogue.parent(name));
            let is_orphan = |id: &FileId| catalogue.place(*id) == Place::Orphan && !way.contains(id);
            let Some(parent) = parent.filter(is_orphan) else { break };
            way.push(parent);
            top = parent;
        }
        let mut path = tree.place.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(NtfsTree::ORPHANS.as_bytes());
        way.pop();
        let name = catalogue.primary_name(top).map(|name| Name::from_units(catalogue.name(name).to_vec()));
        let reference = catalogue.entry(top).map(Entry::reference).unwrap_or_default();
        let step =
            [format!("/{reference}-").as_bytes(), &name.as_ref().map(safe).unwrap_or_default()].concat();
        path.extend_from_slice(&step);
        for id in way.into_iter().rev() {
            self.paths.step(&mut path, id);
        }
        if !select.is_all() && !select.wants(select.verdict_on(&path, entry.is_directory())) {
            return Ok(());
        }
        let link = catalogue.links(id).into_iter().next();
        self.show(entry, path, link, Vec::new(), Told::new())
    }

    /// A name of a file with its path, when it is in the tree and wanted.
    fn wanted(&mut self, file: FileId, link: Link, told: &mut Told) -> Option<(Wanted, Vec<u8>)> {
        let select = self.paths.select;
        let directory = self.paths.catalogue.find(link.parent)?;
        let above = self.directory(directory)?;
        // The name follows.
        let mut path = Vec::with_capacity(above.path.len() + 1 + 3 * link.name.units().len());
        path.extend_from_slice(&above.path);
        let why = self.paths.enter(&mut path, (file, directory), &link.name);
        if !select.is_all() && !select.wants(select.verdict(above.verdict, &path, false)) {
            return None;
        }
        told.extend(self.other_name(&path, &link.name, why));
        Some((Wanted { file, directory, link }, path))
    }

    /// What is told of a file that goes by another name than its own.
    fn other_name(&self, path: &[u8], name: &Name, why: Option<&str>) -> Option<(PathBuf, LossKind, String)> {
        let why = why?;
        let why = format!("on the volume its name is {:?}: {why}", name.to_string());
        Some((self.paths.tree.shown(path), LossKind::Name, why))
    }

    /// Path of a directory, and what was found about it; `None` when it is not in the tree.
    fn directory(&mut self, id: FileId) -> Option<Rc<Directory>> {
        if let Some(found) = self.asked.get(&id) {
            return found.clone();
        }
        let found = self.look_up(id).map(Rc::new);
        if self.asked_bytes > MAX_ASKED {
            self.asked.clear();
            self.asked_bytes = 0;
        }
        self.asked_bytes += ASKED + found.as_ref().map_or(0, |found| found.path.len());
        self.asked.insert(id, found.clone());
        found
    }

    fn look_up(&mut self, id: FileId) -> Option<Directory> {
        let Paths { tree, select, .. } = self.paths;
        let way = self.paths.way(id)?;
        let (mut path, mut verdict) = (tree.place.clone(), self.first_verdict);
        for id in way.into_iter().rev() {
            self.paths.step(&mut path, id);
            if !select.is_all() {
                verdict = *self.verdicts.entry(id).or_insert_with(|| select.verdict(verdict, &path, true));
            }
        }
        Some(Directory { path, verdict })
    }

    /// Shows a directory, and first those on the way to it, unless they were shown before.
    fn show_directories(&mut self, id: FileId) -> Result<()> {
        if self.shown.contains(&id) {
            return Ok(());
        }
        let mut way = self.paths.way(id).unwrap_or_default();
        way.push(self.paths.root);
        let mut path = self.paths.tree.place.clone();
        for id in way.into_iter().rev() {
            let why = if id == self.paths.root { None } else { self.paths.step(&mut path, id) };
            if self.shown.insert(id) {
                self.show_directory(id, &path, why)?;
            }
        }
        Ok(())
    }

    fn show_directory(&mut self, id: FileId, path: &[u8], why: Option<&str>) -> Result<()> {
        let Some(entry) = self.paths.catalogue.entry(id) else { return Ok(()) };
        let mut links = self.paths.catalogue.links(id);
        let mut told = Told::new();
        if links.len() > 1 {
            let shown = self.paths.tree.shown(path);
            let why =
                format!("the directory has {} names, which NTFS does not allow; one is kept", links.len());
            told.push((shown, LossKind::Link, why));
        }
        links.truncate(1);
        let link = links.pop();
        if let Some(link) = &link {
            told.extend(self.other_name(path, &link.name, why));
        }
        self.show(entry, path.to_vec(), link, Vec::new(), told)
    }

    fn show(
        &mut self,
        entry: &Entry,
        path: Vec<u8>,
        link: Option<Link>,
        others: Vec<Wanted>,
        told: Told,
    ) -> Result<()> {
        let shown = self.paths.tree.shown(&path);
        let (reference, size) = (entry.reference(), entry.size());
        let is_encrypted = entry.flags().contains(EntryFlags::EFS);
        self.files.add(Job { reference, is_encrypted, size, path, shown, link, others, told })
    }
}
