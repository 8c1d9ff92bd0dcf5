//! The tree of a catalogue: which directory each name is in, what is in no directory, and paths.

use super::{Catalogue, EntryFlags, FileId, NameId};
use crate::file_name::Namespace;
use crate::volume::system_file;

/// No file.
const NONE: u32 = u32::MAX;
/// The longest path of Windows in UTF-16 units. What lies deeper nobody can open there.
const MAX_PATH: u32 = 32_767;

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Place {
    /// In the tree below the root.
    Tree,
    /// A file of NTFS itself, or below `$Extend`.
    System,
    /// Deleted.
    Deleted,
    /// Its directory is not there, or is another one by now, or is within the file itself.
    #[default]
    Orphan,
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Of each file.
    places: Vec<Place>,
    /// Of each name, the directory that it is in, or [`NONE`].
    parents: Vec<u32>,
    /// Where in `children` those of each file begin; one more at the end.
    first_child: Vec<u32>,
    /// Names, by the directory that they are in.
    children: Vec<u32>,
}

impl Tree {
    pub(super) fn build(catalogue: &Catalogue) -> Self {
        let parents: Vec<u32> =
            (0..catalogue.names.len() as u32).map(|name| parent(catalogue, NameId(name))).collect();
        let mut tree = Self { places: places(catalogue, &parents), ..Self::default() };
        // Counted, then summed up, then filled: the names in each directory keep their order.
        let mut first = vec![0_u32; catalogue.len() + 1];
        for parent in parents.iter().filter(|parent| **parent != NONE) {
            if let Some(count) = first.get_mut(*parent as usize) {
                *count += 1;
            }
        }
        let mut total = 0;
        for slot in &mut first {
            (*slot, total) = (total, total + *slot);
        }
        tree.children = vec![0; total as usize];
        for (name, parent) in parents.iter().enumerate().filter(|(_, parent)| **parent != NONE) {
            let Some(at) = first.get_mut(*parent as usize) else { continue };
            if let Some(child) = tree.children.get_mut(*at as usize) {
                *child = name as u32;
            }
            *at += 1;
        }
        // Each now points behind its own: that is where those of the next begin.
        first.pop();
        first.insert(0, 0);
        tree.first_child = first;
        tree.parents = parents;
        tree
    }
}

/// The directory that a name is in, when that is there.
fn parent(catalogue: &Catalogue, name: NameId) -> u32 {
    let Some(entry) = catalogue.names.get(name.0 as usize) else { return NONE };
    let Some(parent) = catalogue.find(entry.parent) else { return NONE };
    let is_root =
        |id: u32| catalogue.entry(FileId(id)).is_some_and(|file| u64::from(file.record) == system_file::ROOT);
    match catalogue.entry(parent) {
        // The root is in itself by name only.
        Some(_) if parent.0 == entry.entry && is_root(parent.0) => NONE,
        Some(file) if file.is_directory() && !file.flags.contains(EntryFlags::DELETED) => parent.0,
        _ => NONE,
    }
}

/// Where each file stands. A directory stands where the directory of its first name does; the way up is walked once for
/// each, so chains and cycles of any length end.
fn places(catalogue: &Catalogue, parents: &[u32]) -> Vec<Place> {
    /// Not known yet; on the way up; known.
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Known(Place, u32),
    }
    let mut states = vec![State::New; catalogue.len()];
    let known = |states: &[State], id: u32| match states.get(id as usize) {
        Some(State::Known(place, length)) => Some((*place, *length)),
        // A cycle.
        Some(State::Open) | None => Some((Place::Orphan, 0)),
        Some(State::New) => None,
    };
    let mut way = Vec::new();
    for start in 0..catalogue.len() as u32 {
        let mut at = start;
        while known(&states, at).is_none() {
            let Some(state) = states.get_mut(at as usize) else { break };
            *state = State::Open;
            way.push(at);
            match fixed(catalogue, at) {
                Some(_) => break,
                None => at = primary(catalogue, FileId(at)).map_or(NONE, |name| parent_of(parents, name)),
            }
        }
        while let Some(id) = way.pop() {
            let name = primary(catalogue, FileId(id));
            let above = || {
                let parent = name.map_or(NONE, |name| parent_of(parents, name));
                let (place, length) = known(&states, parent).unwrap_or_default();
                let length = length + name.map_or(0, |name| catalogue.name(name).len() as u32 + 1);
                if length > MAX_PATH { (Place::Orphan, 0) } else { (place, length) }
            };
            let (mut place, length) = fixed(catalogue, id).map_or_else(above, |place| (place, 0));
            // A file may have its other names elsewhere.
            let is_file = catalogue.entry(FileId(id)).is_some_and(|file| !file.is_directory());
            if place == Place::Orphan && is_file {
                let others = catalogue.names(FileId(id)).map(|name| known(&states, parent_of(parents, name)));
                place = others
                    .flatten()
                    .map(|(place, _)| place)
                    .find(|place| *place != Place::Orphan)
                    .unwrap_or(place);
            }
            if let Some(state) = states.get_mut(id as usize) {
                *state = State::Known(place, length);
            }
        }
    }
    let place = |state| if let State::Known(place, _) = state { place } else { Place::Orphan };
    states.into_iter().map(place).collect()
}

/// Where a file stands that does not stand where its directory does.
fn fixed(catalogue: &Catalogue, id: u32) -> Option<Place> {
    let file = catalogue.entry(FileId(id))?;
    match u64::from(file.record) {
        _ if file.flags.contains(EntryFlags::DELETED) => Some(Place::Deleted),
        system_file::ROOT => Some(Place::Tree),
        ..system_file::FIRST_OTHER => Some(Place::System),
        _ => None,
    }
}

fn parent_of(parents: &[u32], name: NameId) -> u32 {
    parents.get(name.0 as usize).copied().unwrap_or(NONE)
}

/// The name that makes the path of a directory: the first that is no 8.3 name.
fn primary(catalogue: &Catalogue, file: FileId) -> Option<NameId> {
    let long = catalogue.names(file).find(|name| catalogue.namespace(*name) != Namespace::DOS);
    long.or_else(|| catalogue.names(file).next())
}

impl Catalogue {
    /// Where a file stands.
    #[must_use]
    pub fn place(&self, file: FileId) -> Place {
        self.tree.places.get(file.0 as usize).copied().unwrap_or_default()
    }

    /// The directory that a name is in; `None` when that is not there.
    #[must_use]
    pub fn parent(&self, name: NameId) -> Option<FileId> {
        Some(parent_of(&self.tree.parents, name)).filter(|parent| *parent != NONE).map(FileId)
    }

    /// Where a name stands: where its directory does. One of the names of a file may be an orphan and another not.
    #[must_use]
    pub fn name_place(&self, name: NameId) -> Place {
        match (self.file_of(name), self.parent(name)) {
            (Some(file), _) if matches!(self.place(file), Place::System | Place::Deleted) => self.place(file),
            (_, Some(parent)) => self.place(parent),
            (Some(file), None) if self.root() == Some(file) => Place::Tree,
            _ => Place::Orphan,
        }
    }

    /// The names in a directory, 8.3 names among them.
    pub fn children(&self, directory: FileId) -> impl ExactSizeIterator<Item = NameId> + Clone + '_ {
        self.child_names(directory).iter().map(|name| NameId(*name))
    }

    fn child_names(&self, directory: FileId) -> &[u32] {
        let at = directory.0 as usize;
        let bound = |at: usize| self.tree.first_child.get(at).map_or(0, |bound| *bound as usize);
        self.tree.children.get(bound(at)..bound(at + 1)).unwrap_or_default()
    }

    /// The name of a directory by which paths through it go.
    #[must_use]
    pub fn primary_name(&self, file: FileId) -> Option<NameId> {
        primary(self, file)
    }

    /// The names of a path, from below the root down to `name`; none for that of the root. `None` when it is out of
    /// the tree. Names may hold anything but a slash on a volume that nobody has tampered with, so check them where
    /// they are used.
    #[must_use]
    pub fn path(&self, name: NameId) -> Option<Vec<NameId>> {
        let mut path = Vec::new();
        let root = self.root()?;
        if self.file_of(name) == Some(root) {
            return Some(path);
        }
        let mut at = name;
        // Every name of a path has a unit and a slash.
        for _ in 0..=MAX_PATH / 2 {
            path.push(at);
            let parent = self.parent(at)?;
            if parent == root {
                path.reverse();
                return Some(path);
            }
            at = primary(self, parent)?;
        }
        None
    }

    /// All names of the tree, each directory before what is in it, in the order of their records: no 8.3 names but those
    /// that are the only one, no system files.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        let root = self.root();
        Walk { catalogue: self, open: root.map(|root| (root, 0)).into_iter().collect() }
    }
}

/// The names of the tree; see [`Catalogue::walk`].
#[derive(Debug, Clone)]
pub struct Walk<'c> {
    catalogue: &'c Catalogue,
    /// The directories on the way, and how many of its names have been shown of each.
    open: Vec<(FileId, usize)>,
}

impl Iterator for Walk<'_> {
    /// The depth, 1 in the root, and the name.
    type Item = (usize, NameId);

    fn next(&mut self) -> Option<Self::Item> {
        let catalogue = self.catalogue;
        loop {
            let depth = self.open.len();
            let (directory, shown) = self.open.last_mut()?;
            let Some(&name) = catalogue.child_names(*directory).get(*shown) else {
                self.open.pop();
                continue;
            };
            *shown += 1;
            let name = NameId(name);
            let Some(file) = catalogue.file_of(name) else { continue };
            let is_primary = primary(catalogue, file) == Some(name);
            let is_short = catalogue.namespace(name) == Namespace::DOS && !is_primary;
            let is_directory = catalogue.entry(file).is_some_and(super::Entry::is_directory);
            // A directory with several names is entered by one of them.
            if is_short || catalogue.place(file) != Place::Tree || is_directory && !is_primary {
                continue;
            }
            if is_directory {
                self.open.push((file, 0));
            }
            return Some((depth, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{Entry, NameEntry};
    use super::*;
    use crate::record::FileReference;

    /// A catalogue of directories: record, and for each name the record of its directory.
    fn directories(of: impl IntoIterator<Item = (u32, Vec<u32>)>) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for (record, parents) in of {
            let names = &mut catalogue.names;
            catalogue.entries.push(Entry {
                times: [0; 4],
                size: 0,
                record,
                attributes: 0,
                security_id: 0,
                first_name: names.len() as u32,
                sequence: 1,
                names: parents.len() as u16,
                named_streams: 0,
                flags: EntryFlags::DIRECTORY,
            });
            let entry = catalogue.entries.len() as u32 - 1;
            let name = |parent: u32| {
                let parent = FileReference::new(parent.into(), 1);
                NameEntry { parent, entry, start: 0, len: 1, namespace: 0 }
            };
            names.extend(parents.into_iter().map(name));
        }
        catalogue.units = vec![u16::from(b'd')];
        catalogue.tree = Tree::build(&catalogue);
        catalogue
    }

    fn place(catalogue: &Catalogue, record: u64) -> Place {
        catalogue.place(catalogue.find_record(record).unwrap())
    }

    #[test]
    fn hostile_5_a_chain_of_70000_directories() {
        let begun = Instant::now();
        // From the deepest up, so that the way up is as long as it can be.
        let last = 70_016;
        let chain = (16..last).map(|record| (record, vec![if record + 1 == last { 5 } else { record + 1 }]));
        let catalogue = directories([(5, vec![5])].into_iter().chain(chain));
        // As deep as a path of Windows is long: a unit and a slash for each.
        let in_tree = catalogue.files().count() as u32;
        assert_eq!(in_tree, 1 + MAX_PATH / 2);
        assert_eq!((place(&catalogue, 70_015), place(&catalogue, 16)), (Place::Tree, Place::Orphan));
        assert_eq!(catalogue.walk().count() as u32, MAX_PATH / 2);
        let deepest = catalogue.walk().last().unwrap();
        assert_eq!((deepest.0, catalogue.path(deepest.1).unwrap().len()), (16_383, 16_383));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    /// Each directory twice in the one before: without care there are 2^60 ways through it.
    #[test]
    fn hostile_5_directories_of_two_names() {
        let chain = (16..76).map(|record| (record, vec![if record == 16 { 5 } else { record - 1 }; 2]));
        let catalogue = directories([(5, vec![5])].into_iter().chain(chain));
        assert_eq!(catalogue.walk().count(), 60);
        assert_eq!(catalogue.files().count(), 61);
    }

    #[test]
    fn what_is_below_extend_is_of_the_system() {
        let catalogue =
            directories([(5, vec![5]), (11, vec![5]), (30, vec![11]), (31, vec![30]), (40, vec![99])]);
        let places = [5, 11, 30, 31, 40].map(|record| place(&catalogue, record));
        assert_eq!(places, [Place::Tree, Place::System, Place::System, Place::System, Place::Orphan]);
    }
}
