//! The way through a catalogue: which files are in the tree, by which paths, and in which order.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use ntbak_ntfs::catalogue::{Entry, EntryFlags, FileId};
use ntbak_ntfs::{Catalogue, Link};
use ntbak_wire::Name;

use super::names::Doubles;
use super::{Each, NtfsTree, VolumeFile};
use crate::error::Result;
use crate::report::{FileReport, LossKind, Report};
use crate::tree::{Select, Verdict};

/// No path of Windows has more steps: 32,767 UTF-16 units, one for each name and one for each slash.
const MAX_DEPTH: usize = 16_384;

/// The way to each directory.
#[derive(Clone, Copy)]
pub(super) struct Paths<'w> {
    pub(super) tree: &'w NtfsTree,
    pub(super) catalogue: &'w Catalogue,
    pub(super) doubles: &'w Doubles,
    pub(super) root: FileId,
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
        let is_here = self.catalogue.entry(id).is_some_and(Entry::is_directory)
            && self.catalogue.place(id) == self.catalogue.place(self.root);
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
        let name = Name::from_units(self.catalogue.name(name).to_vec());
        self.enter(path, (id, directory), &name)
    }

    /// The same with any name of a file.
    fn enter(&self, path: &mut Vec<u8>, ids: (FileId, FileId), name: &Name) -> Option<&'static str> {
        let (step, why) = self.doubles.step(self.catalogue, ids, name);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&step);
        why
    }

    /// The path of another name of a file.
    pub(super) fn path_of(&self, other: &Wanted) -> Option<Vec<u8>> {
        let mut path = self.path(other.directory)?;
        self.enter(&mut path, (other.file, other.directory), &other.link.name);
        Some(path)
    }
}

pub(super) struct Walk<'w, 'e> {
    paths: Paths<'w>,
    report: &'w dyn Report,
    each: Each<'e>,
    /// The directory that was asked for last: most files are in the one of the file before.
    last: Option<(FileId, Option<Rc<Directory>>)>,
    /// What was found about the root, and about each directory that was asked for, where there are rules.
    first_verdict: Verdict,
    verdicts: HashMap<FileId, Verdict>,
    /// Directories that were shown.
    shown: HashSet<FileId>,
    /// How many files have names that were not read.
    pub(super) elsewhere: u64,
}

impl<'w, 'e> Walk<'w, 'e> {
    pub(super) fn new(paths: Paths<'w>, report: &'w dyn Report, each: Each<'e>) -> Self {
        let first_verdict = paths.select.verdict_on(&paths.tree.place, true);
        let (last, verdicts, shown, elsewhere) = (None, HashMap::new(), HashSet::new(), 0);
        Self { paths, report, each, last, first_verdict, verdicts, shown, elsewhere }
    }

    pub(super) fn entry(&mut self, id: FileId, entry: &Entry) -> Result<()> {
        let select = self.paths.select;
        if entry.is_directory() {
            let wanted = self.directory(id).is_some_and(|found| select.wants(found.verdict));
            return if wanted { self.show_directories(id) } else { Ok(()) };
        }
        let (mut first, mut others, mut elsewhere) = (None::<(Wanted, Vec<u8>)>, Vec::<Wanted>::new(), false);
        for link in self.paths.catalogue.links(id) {
            let Some(wanted) = self.wanted(id, link) else {
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
        self.show(entry, &path, Some(&first.link), &others)
    }

    /// A name of a file with its path, when it is in the tree and wanted.
    fn wanted(&mut self, file: FileId, link: Link) -> Option<(Wanted, Vec<u8>)> {
        let select = self.paths.select;
        let directory = self.paths.catalogue.find(link.parent)?;
        let above = self.directory(directory)?;
        let mut path = above.path.clone();
        let why = self.paths.enter(&mut path, (file, directory), &link.name);
        if !select.is_all() && !select.wants(select.verdict(above.verdict, &path, false)) {
            return None;
        }
        self.tell_name(&path, &link.name, why);
        Some((Wanted { file, directory, link }, path))
    }

    /// Tells of a file that goes by another name than its own.
    fn tell_name(&self, path: &[u8], name: &Name, why: Option<&str>) {
        if let Some(why) = why {
            let shown = self.paths.tree.shown(path);
            let why = format!("on the volume its name is {:?}: {why}", name.to_string());
            FileReport { to: self.report, path: &shown }.loss(LossKind::Name, why);
        }
    }

    /// Path of a directory, and what was found about it; `None` when it is not in the tree.
    fn directory(&mut self, id: FileId) -> Option<Rc<Directory>> {
        if let Some((last, found)) = &self.last
            && *last == id
        {
            return found.clone();
        }
        let found = self.look_up(id).map(Rc::new);
        self.last = Some((id, found.clone()));
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
        let links = self.paths.catalogue.links(id);
        if links.len() > 1 {
            let shown = self.paths.tree.shown(path);
            let why =
                format!("the directory has {} names, which NTFS does not allow; one is kept", links.len());
            FileReport { to: self.report, path: &shown }.loss(LossKind::Link, why);
        }
        if let Some(link) = links.first() {
            self.tell_name(path, &link.name, why);
        }
        self.show(entry, path, links.first(), &[])
    }

    fn show(&mut self, entry: &Entry, path: &[u8], link: Option<&Link>, others: &[Wanted]) -> Result<()> {
        let shown = self.paths.tree.shown(path);
        let report = FileReport { to: self.report, path: &shown };
        let source = match self.paths.tree.volume.source(entry.reference(), &shown) {
            Ok(source) => source,
            Err(error) => {
                let encrypted = entry.flags().contains(EntryFlags::EFS);
                report.loss(if encrypted { LossKind::Efs } else { LossKind::Content }, error.reason());
                return Ok(());
            }
        };
        let source = match link {
            Some(link) => source.found_as(link.parent, &link.name),
            None => source,
        };
        (self.each)(&VolumeFile { path, shown: &shown, source: &source, others, paths: Some(self.paths) })
    }
}
