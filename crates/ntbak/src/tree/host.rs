//! Directories of this machine as a tree: ordinary ones, and mounts of ntfs-3g.
//!
//! Of each directory first the files are shown, sorted by their names, then the directories, so equal trees give equal
//! archives. What is looked at is what is opened: each step is one name in an open directory, and no link is followed.
//! In memory are the names of the directories on the way down, and one line for each file with several names.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use ntbak_wire::record::{FileInfo, SmallKind};
use ntbak_wire::reparse::ReparseBuffer;
use ntbak_wire::{FileAttributes, side};
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::listing::{Names, Side, belongs_to_ntbak, list};
use super::{FileVisit, LinkVisit, Tree, Verdict, Visit, WalkOptions};
use crate::backup::FileRecords;
use crate::error::{Error, Result};
use crate::host::descent::{Descent, Identity, open_directory};
use crate::host::node::{Known, Node, Spot};
use crate::place::Place;
use crate::report::{FileReport, LossKind};
use crate::source::{DirectorySource, FileSource, Ntfs3gSource, modified};

/// Bit 28 of a reparse tag: a directory with it can have children.
const CAN_HAVE_CHILDREN: u32 = 1 << 28;
/// Bit 29: it stands for something elsewhere.
const SURROGATE: u32 = 1 << 29;

/// Files and directories of this machine.
#[derive(Default)]
pub struct HostTree {
    roots: Vec<Root>,
    links: Links,
    avoided: Vec<Identity>,
}

struct Root {
    spot: Spot,
    path: Vec<u8>,
}

/// A directory on the way down.
struct Level {
    place: Place,
    device: u64,
    path: Arc<[u8]>,
    verdict: Verdict,
    /// It was shown.
    shown: bool,
    /// It was listed, and has no directory of side files.
    no_side: bool,
    /// Directories in it that are still to come, the next one last.
    below: Vec<OsString>,
}

/// Files that have more names than were seen so far.
#[derive(Default)]
struct Links(HashMap<Identity, Linked>);

struct Linked {
    directory: Arc<[u8]>,
    name: Box<[u8]>,
    modified: (i64, u32),
    left: u32,
}

type Visitor<'v> = &'v mut dyn FnMut(Visit<'_>) -> Result<()>;

impl HostTree {
    /// A tree without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the file or directory at `path`, to be shown at `place` in the tree. What is in a directory at the root of
    /// the tree (`place` is empty) is there, too. A link at the end of `path` is followed only when a slash is behind it.
    ///
    /// # Errors
    /// It is not there.
    pub fn add(&mut self, path: &Path, place: &[u8]) -> Result<()> {
        let mut spot = Spot::of(path)?;
        if path.as_os_str().as_bytes().ends_with(b"/") {
            let at_path = |error| Error::io("opening", error).at_path(path);
            spot = Spot::of(&path.canonicalize().map_err(at_path)?)?;
            path.clone_into(&mut spot.path);
        }
        spot.node()?;
        self.roots.push(Root { spot, path: place.to_vec() });
        Ok(())
    }

    /// Passes this file over wherever it is met: the archive that is being written, which may lie in the tree.
    pub fn avoid(&mut self, device: u64, inode: u64) {
        self.avoided.push((device, inode));
    }
}

impl Tree for HostTree {
    fn walk(&mut self, options: WalkOptions<'_>, visit: Visitor<'_>) -> Result<()> {
        let Self { roots, links, avoided } = self;
        for root in roots.iter() {
            Walk { options, visit, root, links, avoided }.show_all()?;
        }
        let left = links.0.len();
        if let (1.., Some(root)) = (left, roots.first()) {
            let report = FileReport { to: options.report, path: &root.spot.path };
            report.note(None, format!("{left} files have other names, too, outside of what was read"));
            visit(Visit::Told(&root.path))?;
        }
        Ok(())
    }
}

struct Walk<'w, 'v> {
    options: WalkOptions<'w>,
    visit: Visitor<'v>,
    root: &'w Root,
    links: &'w mut Links,
    avoided: &'w [Identity],
}

impl Walk<'_, '_> {
    fn show_all(&mut self) -> Result<()> {
        let Root { spot, path } = self.root;
        let place = Place::of_spot(spot)?;
        let stat = look(&spot.dir, &spot.name).map_err(|error| Error::io("looking at it", error))?;
        let directory = is_directory(&stat);
        let verdict = self.options.select.verdict_on(path, directory);
        if !directory {
            if self.options.select.wants(verdict) {
                let found = Found { spot: spot.clone(), stat, node: None, known: Known::default() };
                self.file(&place, found, path, &Arc::from(parent(path)))?;
            }
            return Ok(());
        }
        let fd = open_directory(&spot.dir, &spot.name)
            .map_err(|error| Error::io("opening the directory", error).at_path(&spot.path))?;
        let fd = Arc::new(fd);
        let mut shown = spot.path.clone();
        let mut descent = Descent::new(Arc::clone(&fd));
        // The root is a level like the others, one step below itself.
        let level = Level {
            place,
            device: stat.st_dev,
            path: Arc::from(path.as_slice()),
            verdict,
            shown: false,
            no_side: false,
            below: Vec::new(),
        };
        self.enter(&mut descent, ".".as_ref(), fd, level, &shown)?;
        while let Some(level) = descent.data() {
            let Some(name) = level.below.pop() else {
                let left = descent.leave();
                if descent.depth() > 0 {
                    shown.pop();
                }
                if let Err(error) = left {
                    // What else is above is out of reach from here on.
                    self.lost(&shown, &error.hint("run the backup again"))?;
                    return Err(error_at(&shown));
                }
                continue;
            };
            let above = (level.place.clone(), level.device, level.path.clone(), level.verdict);
            shown.push(&name);
            if !self.go_down(&mut descent, &name, above, &shown)? {
                shown.pop();
            }
        }
        Ok(())
    }

    /// Enters a directory; `false` when that is not possible.
    fn go_down(
        &mut self,
        descent: &mut Descent<Level>,
        name: &OsStr,
        (place, device, above, verdict): (Place, u64, Arc<[u8]>, Verdict),
        shown: &Path,
    ) -> Result<bool> {
        let opened =
            open_directory(descent.fd(), name).and_then(|fd| Ok((rustix::fs::fstat(&fd)?, Arc::new(fd))));
        let (stat, fd) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.lost(shown, &Error::io("opening the directory", error))?;
                return Ok(false);
            }
        };
        if self.is_avoided(&stat, shown)? {
            return Ok(false);
        }
        let place = if stat.st_dev == device { Ok(place) } else { Place::of_spot(&inside(&fd, shown)) };
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                self.lost(shown, &error)?;
                return Ok(false);
            }
        };
        let true_name = match &place {
            Place::Directory(_) => true_name_of(&fd, shown).unwrap_or_else(|| name.to_owned()),
            _ => name.to_owned(),
        };
        let path = join(&above, true_name.as_bytes());
        let verdict = self.options.select.verdict(verdict, &path, true);
        let level = Level {
            place,
            device: stat.st_dev,
            path: path.into(),
            verdict,
            shown: false,
            no_side: false,
            below: Vec::new(),
        };
        self.enter(descent, name, fd, level, shown)
    }

    /// Shows a directory and the files in it, and leaves the directories in it for later. `false` when it was not
    /// entered.
    fn enter(
        &mut self,
        descent: &mut Descent<Level>,
        name: &OsStr,
        fd: Arc<OwnedFd>,
        level: Level,
        shown: &Path,
    ) -> Result<bool> {
        let select = self.options.select;
        let (wanted, below) = (select.wants(level.verdict), select.wants_below(level.verdict, &level.path));
        if !wanted && !below {
            return Ok(false);
        }
        let listing = Arc::clone(&fd);
        let at_level = |error| Error::io("entering the directory", error).at_path(shown);
        descent.enter(name, fd, level).map_err(at_level)?;
        if wanted {
            self.show_directories(descent, shown)?;
        }
        // Behind the look at it: listing changes its access time.
        let listed = if below { list(&listing) } else { Ok(Names::default()) };
        let names = match listed {
            Ok(names) => names,
            Err(error) => {
                self.lost(shown, &Error::io("listing the directory; what is in it is missing", error))?;
                Names::default()
            }
        };
        if let Some(level) = descent.data() {
            level.no_side = !names.has(side::DIRECTORY.as_ref());
        }
        let mut below = Vec::new();
        let mut path = shown.to_owned();
        for (name, kind) in names.sorted() {
            path.push(name);
            self.entry(descent, name, kind, &path, shown, &mut below)?;
            path.pop();
        }
        below.reverse();
        if let Some(level) = descent.data() {
            level.below = below;
        }
        Ok(true)
    }

    /// One entry of a directory.
    fn entry(
        &mut self,
        descent: &mut Descent<Level>,
        name: &OsStr,
        kind: FileType,
        shown: &Path,
        directory: &Path,
        below: &mut Vec<OsString>,
    ) -> Result<()> {
        let Some(level) = descent.data() else { return Ok(()) };
        let (place, above, verdict, no_side) =
            (level.place.clone(), level.path.clone(), level.verdict, level.no_side);
        if name == side::DIRECTORY && matches!(place, Place::Directory(_)) {
            match belongs_to_ntbak(descent.fd(), name) {
                Side::Ours(foreign) => {
                    for foreign in foreign {
                        let why = "it lies among the side files of ntbak, and was passed over; move it away";
                        let path = shown.join(foreign);
                        FileReport { to: self.options.report, path: &path }.loss(LossKind::Content, why);
                        self.told(&path)?;
                    }
                    return Ok(());
                }
                Side::Users => {
                    let what = "no side file of ntbak is in it: it is taken for a directory of the user";
                    FileReport { to: self.options.report, path: shown }.note(None, what);
                    self.told(shown)?;
                }
            }
        }
        if kind == FileType::Directory {
            below.push(name.to_owned());
            return Ok(());
        }
        let path = join(&above, name.as_bytes());
        let select = self.options.select;
        let wanted = || select.is_all() || select.wants(select.verdict(verdict, &path, false));
        if kind == FileType::RegularFile && !wanted() {
            return Ok(());
        }
        let (stat, node) = match self.find(&place, descent.fd(), name, kind) {
            Ok(found) => found,
            Err(error) => {
                self.lost(shown, &Error::io("looking at it", error))?;
                return Ok(());
            }
        };
        if is_directory(&stat) {
            below.push(name.to_owned());
            return Ok(());
        }
        if kind != FileType::RegularFile && !wanted() || self.is_avoided(&stat, shown)? {
            return Ok(());
        }
        self.show_directories(descent, directory)?;
        let known = Known { no_side, ..known_of(&place) };
        let spot = Spot { dir: Arc::clone(descent.fd()), name: name.to_owned(), path: shown.to_owned() };
        self.file(&place, Found { spot, stat, node, known }, &path, &above)
    }

    /// What has this name in a directory, and the file itself where it could be opened at once.
    fn find(
        &self,
        place: &Place,
        dir: &Arc<OwnedFd>,
        name: &OsStr,
        kind: FileType,
    ) -> rustix::io::Result<(Stat, Option<Node>)> {
        if kind == FileType::RegularFile
            && matches!(place, Place::Directory(_))
            && let Ok(node) = Node::open_file(dir, name)
        {
            let stat = node.stat()?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                return Ok((stat, Some(node)));
            }
        }
        Ok((look(dir, name)?, None))
    }

    /// Shows the directories on the way to here that were not shown yet.
    fn show_directories(&mut self, descent: &mut Descent<Level>, shown: &Path) -> Result<()> {
        if descent.data().is_none_or(|level| level.shown) {
            return Ok(());
        }
        let depth = descent.depth();
        let due: Vec<_> = descent.all_mut().map(|level| !std::mem::replace(&mut level.shown, true)).collect();
        // Without rules every directory is shown as it is entered.
        let first = due.iter().position(|due| *due).unwrap_or(0);
        let mut above = None;
        for at in if first + 1 == depth { first } else { 0 }..depth {
            let path = shown.ancestors().nth(depth - 1 - at).unwrap_or(shown).to_owned();
            let fd = match first + 1 == depth {
                true => Ok(Arc::clone(descent.fd())),
                false => descent.step(at, above.as_ref()).map(Arc::new),
            };
            let fd = match fd {
                Ok(fd) => fd,
                Err(error) => {
                    self.lost(&path, &Error::io("opening the directory", error))?;
                    return Ok(());
                }
            };
            if let (Some(true), Some(level)) = (due.get(at), descent.all().nth(at)) {
                let (place, place_in_tree) = (level.place.clone(), level.path.clone());
                let stat = rustix::fs::fstat(&fd).map_err(|error| Error::io("looking at it", error))?;
                let found = Found { spot: inside(&fd, &path), stat, node: None, known: known_of(&place) };
                self.show(&place, found, &place_in_tree)?;
            }
            above = Some(fd);
        }
        Ok(())
    }

    /// Shows a file, or another name of one.
    fn file(&mut self, place: &Place, found: Found, path: &[u8], directory: &Arc<[u8]>) -> Result<()> {
        let stat = &found.stat;
        let (identity, names) = ((stat.st_dev, stat.st_ino), stat.st_nlink);
        let modified = modified(stat);
        if names > 1
            && let Some(linked) = self.links.0.get_mut(&identity)
            && linked.modified == modified
        {
            linked.left = linked.left.saturating_sub(1);
            let (target, left) = (join(&linked.directory, &linked.name), linked.left);
            let (shown, name) = (found.spot.path.clone(), found.spot.name.clone());
            let source = match open(place, found) {
                Ok(source) => source,
                Err(error) => {
                    self.lost(&shown, &error)?;
                    return Ok(());
                }
            };
            if left == 0 {
                self.links.0.remove(&identity);
            }
            let info = source.info()?;
            let path = renamed(path, &info, &name);
            let (shown, short) = (&*shown, info.short_name());
            let link = LinkVisit { path: &path, shown, target: &target, short, info: &info };
            return (self.visit)(Visit::Link(link));
        }
        let shown = self.show(place, found, path)?;
        if let Some((links @ 2.., path)) = shown
            && names > 1
        {
            let name = path.get(directory.len() + usize::from(!directory.is_empty())..).unwrap_or_default();
            let linked =
                Linked { directory: directory.clone(), name: name.into(), modified, left: links - 1 };
            self.links.0.insert(identity, linked);
        }
        Ok(())
    }

    /// Shows a file or directory; answers how many names it has, and the path under which it was shown.
    fn show(&mut self, place: &Place, found: Found, path: &[u8]) -> Result<Option<(u32, Vec<u8>)>> {
        let (shown, name) = (found.spot.path.clone(), found.spot.name.clone());
        let report = FileReport { to: self.options.report, path: &shown };
        let source = match open(place, found) {
            Ok(source) => source,
            Err(error) => {
                self.lost(&shown, &error)?;
                return Ok(None);
            }
        };
        let mut records = match FileRecords::new(&*source, self.options.backup, report) {
            Ok(records) => records,
            Err(error) => {
                let encrypted =
                    source.info().is_ok_and(|info| info.attributes.contains(FileAttributes::ENCRYPTED));
                let kind = if encrypted { LossKind::Efs } else { LossKind::Content };
                FileReport { to: self.options.report, path: &shown }.loss(kind, error.reason());
                self.told(&shown)?;
                return Ok(None);
            }
        };
        let info = records.info().clone();
        let path = renamed(path, &info, &name);
        if matches!(place, Place::Ntfs3g(_)) && name != "." {
            self.tell_hidden_children(&*source, &info, &shown)?;
        }
        (self.visit)(Visit::File(FileVisit {
            path: &path,
            shown: &shown,
            info: &info,
            content: &mut records,
        }))?;
        let links = if info.attributes.is_directory() { 1 } else { info.link_count };
        Ok(Some((links, path)))
    }

    /// ntfs-3g shows a directory with a reparse point as a link, whatever is in it.
    fn tell_hidden_children(&self, source: &dyn FileSource, info: &FileInfo, shown: &Path) -> Result<()> {
        if !info.attributes.contains(FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT) {
            return Ok(());
        }
        let buffer = source.small(SmallKind::Reparse).ok().flatten();
        let tag = buffer.and_then(|buffer| ReparseBuffer::parse(&buffer).ok().map(|buffer| buffer.tag().0));
        if tag.is_some_and(|tag| tag & CAN_HAVE_CHILDREN != 0 && tag & SURROGATE == 0) {
            let why = "a directory with this reparse tag can have files in it, and ntfs-3g does not show them: read the image of the volume";
            FileReport { to: self.options.report, path: shown }.loss(LossKind::Content, why);
        }
        Ok(())
    }

    fn is_avoided(&mut self, stat: &Stat, shown: &Path) -> Result<bool> {
        let avoided = self.avoided.contains(&(stat.st_dev, stat.st_ino));
        if avoided {
            let what = "passed over: it is what is being written";
            FileReport { to: self.options.report, path: shown }.note(None, what);
            self.told(shown)?;
        }
        Ok(avoided)
    }

    fn lost(&mut self, path: &Path, error: &Error) -> Result<()> {
        FileReport { to: self.options.report, path }.loss(LossKind::Content, error.reason());
        self.told(path)
    }

    /// What was told last is about what is here, which is not shown itself.
    fn told(&mut self, shown: &Path) -> Result<()> {
        let Root { spot, path } = self.root;
        let below = shown.strip_prefix(&spot.path).unwrap_or(shown).as_os_str().as_bytes();
        let path = if below.is_empty() { path.clone() } else { join(path, below) };
        (self.visit)(Visit::Told(&path))
    }
}

fn error_at(path: &Path) -> Error {
    let why = "the way back up is lost: a directory was moved while it was read";
    Error::new(ntbak_wire::Win32Error::PATH_NOT_FOUND, why).at_path(path)
}

/// A file or directory that was met.
struct Found {
    spot: Spot,
    stat: Stat,
    node: Option<Node>,
    known: Known,
}

fn open(place: &Place, Found { spot, stat, node, known }: Found) -> Result<Box<dyn FileSource>> {
    let node = match (place, node) {
        (Place::Ntfs3g(mount), _) => return Ok(Box::new(Ntfs3gSource::open(spot, mount)?)),
        (Place::Directory(_), Some(node)) => {
            return Ok(Box::new(DirectorySource::open_node(node, &stat, &spot, known)?));
        }
        (Place::Directory(_), None) => spot.node()?,
    };
    // What has the name by now.
    let stat = node.stat().map_err(|error| Error::io("looking at it", error).at_path(&spot.path))?;
    Ok(Box::new(DirectorySource::open_node(node, &stat, &spot, known)?))
}

/// What a place says of all files in it.
fn known_of(place: &Place) -> Known {
    let kind = match place {
        Place::Directory(linux) => Some(linux.kind),
        Place::Ntfs3g(_) => None,
    };
    Known { kind, ..Known::default() }
}

/// A directory as seen from within: what is opened is what was looked at.
fn inside(fd: &Arc<OwnedFd>, shown: &Path) -> Spot {
    Spot { dir: Arc::clone(fd), name: ".".into(), path: shown.to_owned() }
}

/// The name that a directory has where it came from, when it has another one here.
fn true_name_of(fd: &Arc<OwnedFd>, shown: &Path) -> Option<OsString> {
    // Only these can have one, and most have not: a look at the side file is dear.
    let marked =
        shown.file_name().is_some_and(|name| name.as_bytes().windows(7).any(|window| window == b"~ntbak-"));
    if !marked {
        return None;
    }
    let source = DirectorySource::open(&inside(fd, shown)).ok()?;
    let name = source.info().ok()?.links.into_iter().next()?.name;
    is_name(&name).then(|| OsString::from_vec(name))
}

/// Whether bytes out of a side file can be a name.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// The path of a file under its true name.
fn renamed(path: &[u8], info: &FileInfo, name: &OsStr) -> Vec<u8> {
    let true_name = info.links.first().map(|link| &link.name[..]);
    match true_name.filter(|true_name| *true_name != name.as_bytes() && is_name(true_name)) {
        Some(true_name) if path.ends_with(name.as_bytes()) => join(parent(path), true_name),
        _ => path.to_vec(),
    }
}

fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    slash.and_then(|slash| path.get(..slash)).unwrap_or_default()
}

pub(crate) fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, b"/", name].concat() }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Looks at a name; ntfs-3g may answer EIO to the first look at what has changed its kind.
fn look(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Stat> {
    match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::IO) => rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW),
        looked => looked,
    }
}
