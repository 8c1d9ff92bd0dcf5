/*!
From a path to a file: one way for all volumes.

Each name is looked for exactly, then without regard to case by the table of the volume, then, when it has a `~`, among
8.3 names. Symbolic links and junctions are followed here and not by Linux: inside the drives, at most 63 of them.
A link that leads anywhere else, or above the root of its drive, is 1921.

A volume opens one name at a time and follows nothing, so no link, no `..` and nobody who swaps a directory for a link
meanwhile leads out of its root.
*/

use std::collections::VecDeque;
use std::sync::Arc;

use ntbak_wire::reparse::{ReparseBuffer, Target};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{Name, Win32Error};

use crate::error::{Error, Result};
use crate::win32::drives::{Base, Drives};
use crate::win32::host_volume;
use crate::win32::path::{self, Last, Parsed, VolumePath};
use crate::win32::{Indexed, Node, Volume, fold};

/// How many links are followed before it is taken for a loop, as Windows counts them.
const MAX_LINKS: usize = 63;

/// Where a path leads.
#[derive(Clone)]
pub(super) struct Resolved {
    /// The directory that the end of the path is in; `None` for the root of a volume.
    pub(super) parent: Option<Arc<dyn Node>>,
    /// The name there: that which the file has, or the one that it is going to have.
    pub(super) name: Vec<u8>,
    /// The file, if it is there.
    pub(super) node: Option<Arc<dyn Node>>,
    /// The stream of it that is meant.
    pub(super) stream: Option<StreamName>,
    /// The path says that it is a directory.
    pub(super) directory: bool,
    /// Names below the root of the volume, for `FindFirstFileName`.
    pub(super) way: Vec<Vec<u8>>,
    pub(super) root: Option<Arc<dyn Node>>,
}

/// A file, and the name that it has in its directory.
pub(super) type Found = (Vec<u8>, Arc<dyn Node>);

/// The directory that a pattern is about, its volume unless it is the whole machine, and the pattern.
pub(super) type PatternIn = (Resolved, Option<Arc<dyn Volume>>, Name);

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Links,
    Itself,
}

impl Drives {
    /// Finds what a path names. It need not be there; its directory must.
    ///
    /// # Errors
    /// 3 when a directory of the path is not there, 1921 for links that lead nowhere, 1920 for a reparse point that
    /// means nothing here, and those of the path itself.
    pub(super) fn resolve(&self, path: &[u8], follow: Follow) -> Result<Resolved> {
        match path::parse(path, Last::Name, |letter| self.has(letter))? {
            Parsed::Drive(letter, path) => self.walk(self.get(letter)?, path, follow),
            Parsed::Base(path) => match &self.base {
                Base::Posix => host_volume::resolve(path, follow),
                Base::Volume(volume) => {
                    self.walk(volume.clone(), path::volume_path(path, false, Last::Name)?, follow)
                }
                Base::None => Err(Error::new(Win32Error::PATH_NOT_FOUND, "the path has no drive letter")),
            },
        }
    }

    /// The last name of a path as it is written; `None` for one of Linux, where each file has one spelling.
    pub(super) fn last_name(&self, path: &[u8]) -> Option<Name> {
        let path = match path::parse(path, Last::Name, |letter| self.has(letter)).ok()? {
            Parsed::Drive(_, path) => path,
            Parsed::Base(path) if matches!(self.base, Base::Volume(_)) => {
                path::volume_path(path, false, Last::Name).ok()?
            }
            Parsed::Base(_) => return None,
        };
        path.names.into_iter().next_back()
    }

    /// The directory of a path whose last name may be a pattern, and that name.
    pub(super) fn resolve_pattern(&self, path: &[u8]) -> Result<PatternIn> {
        let no_name = || Error::new(Win32Error::FILE_NOT_FOUND, "the path ends without a name to look for");
        let (volume, mut path) = match path::parse(path, Last::Pattern, |letter| self.has(letter))? {
            Parsed::Drive(letter, path) => (self.get(letter)?, path),
            Parsed::Base(path) => match &self.base {
                Base::Posix => {
                    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                    let (directory, name) = path.split_at(at);
                    let directory = if directory.is_empty() { b".".as_slice() } else { directory };
                    let directory = host_volume::resolve(directory, Follow::Links)?;
                    let name = Name::from_wtf8(name).filter(|name| !name.is_empty()).ok_or_else(no_name)?;
                    return Ok((directory, None, name));
                }
                Base::Volume(volume) => (volume.clone(), path::volume_path(path, false, Last::Pattern)?),
                Base::None => {
                    return Err(Error::new(Win32Error::PATH_NOT_FOUND, "the path has no drive letter"));
                }
            },
        };
        if path.stream.is_some() {
            return Err(no_name());
        }
        if path.directory {
            // A directory to look into, and no name to look for.
            let there = self.walk(volume, path, Follow::Links)?.node;
            let there = there.ok_or_else(|| not_found("the directory is not there"))?;
            let is_file = || Error::new(Win32Error::DIRECTORY, "it is no directory");
            return Err(if there.is_directory() { no_name() } else { is_file() });
        }
        let name = path.names.pop().ok_or_else(no_name)?;
        Ok((self.walk(volume.clone(), path, Follow::Links)?, Some(volume), name))
    }

    fn walk(&self, volume: Arc<dyn Volume>, path: VolumePath, follow: Follow) -> Result<Resolved> {
        let mut walk = Walk::new(self, volume)?;
        walk.left.extend(path.names.into_iter().map(Step::Name));
        while let Some(step) = walk.left.pop_front() {
            let is_last = walk.left.is_empty();
            match step {
                Step::Up => walk.up()?,
                Step::Name(name) => {
                    // Behind a separator a link is followed: the path is that of what it leads to.
                    let itself = is_last && follow == Follow::Itself && !path.directory;
                    if let Some(missing) = walk.step(name, is_last, itself)? {
                        return walk.end(Some(missing), path.stream, path.directory);
                    }
                }
            }
        }
        walk.end(None, path.stream, path.directory)
    }
}

#[derive(Debug)]
enum Step {
    Name(Name),
    /// `..` of a link.
    Up,
}

struct Walk<'a> {
    drives: &'a Drives,
    volume: Arc<dyn Volume>,
    root: Arc<dyn Node>,
    /// The nodes below the root on the way so far, with their names.
    way: Vec<(Vec<u8>, Arc<dyn Node>)>,
    left: VecDeque<Step>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(drives: &'a Drives, volume: Arc<dyn Volume>) -> Result<Self> {
        let root = volume.root()?;
        Ok(Self { drives, volume, root, way: Vec::new(), left: VecDeque::new(), links: 0 })
    }

    fn here(&self) -> &Arc<dyn Node> {
        self.way.last().map_or(&self.root, |(_, node)| node)
    }

    fn up(&mut self) -> Result<()> {
        self.way.pop().map(drop).ok_or_else(|| nowhere("a link leads above the root of its drive"))
    }

    /// Goes on by one name; answers the last name of all when that is not there.
    fn step(&mut self, name: Name, is_last: bool, itself: bool) -> Result<Option<Vec<u8>>> {
        let here = self.here();
        if !here.is_directory() {
            return Err(not_found("a file is no directory of a path"));
        }
        let Some((name, node)) = find(&**here, &name, &*self.volume)? else {
            if is_last {
                return Ok(Some(name.to_wtf8()));
            }
            return Err(not_found("a directory of the path is not there"));
        };
        if !itself && let Some(buffer) = node.reparse()? {
            return self.follow(&buffer, name, node).map(|()| None);
        }
        self.way.push((name, node));
        Ok(None)
    }

    /// Goes where a reparse point leads.
    fn follow(&mut self, buffer: &[u8], name: Vec<u8>, node: Arc<dyn Node>) -> Result<()> {
        let buffer = ReparseBuffer::parse(buffer)?;
        let (substitute, relative) = match buffer.target() {
            Ok(Target::Symlink { substitute, relative, .. }) => (substitute, relative),
            Ok(Target::MountPoint { substitute, .. }) => (substitute, false),
            // Directories whose files may be in a cloud, and the like: they are what they are.
            _ if node.is_directory() && buffer.tag().allows_children() => {
                self.way.push((name, node));
                return Ok(());
            }
            _ => {
                let why =
                    format!("it is a reparse point ({}), and nobody here knows what it means", buffer.tag());
                let error = Error::new(Win32Error::CANT_ACCESS_FILE, why);
                return Err(error.hint("FILE_FLAG_OPEN_REPARSE_POINT opens the file itself"));
            }
        };
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(nowhere("more than 63 links in a row"));
        }
        let substitute = substitute.units();
        if relative {
            if substitute.first() == Some(&u16::from(b'\\')) {
                self.way.clear();
            }
            let mut steps = steps(substitute)?;
            steps.append(&mut self.left);
            self.left = steps;
            return Ok(());
        }
        let Some((letter, rest)) = absolute(substitute) else {
            return Err(nowhere("the link leads out of the drives"));
        };
        self.volume = self.drives.get(letter)?;
        self.root = self.volume.root()?;
        self.way.clear();
        let mut steps = steps(rest)?;
        steps.append(&mut self.left);
        self.left = steps;
        Ok(())
    }

    fn end(
        mut self,
        missing: Option<Vec<u8>>,
        stream: Option<StreamName>,
        directory: bool,
    ) -> Result<Resolved> {
        let root = Some(self.root.clone());
        if let Some(name) = missing {
            let mut way: Vec<_> = self.way.iter().map(|(name, _)| name.clone()).collect();
            way.push(name.clone());
            let parent = Some(self.here().clone());
            return Ok(Resolved { parent, name, node: None, stream, directory, way, root });
        }
        let way: Vec<_> = self.way.iter().map(|(name, _)| name.clone()).collect();
        let (name, node) = match self.way.pop() {
            Some((name, node)) => (name, node),
            None => (Vec::new(), self.root.clone()),
        };
        let parent = (!name.is_empty()).then(|| self.here().clone());
        Ok(Resolved { parent, name, node: Some(node), stream, directory, way, root })
    }
}

/// A child by its name: exactly, without regard to case, by its 8.3 name.
pub(super) fn find(directory: &dyn Node, name: &Name, volume: &dyn Volume) -> Result<Option<Found>> {
    match directory.indexed(name)? {
        Indexed::Found(name, node) => return Ok(Some((name, node))),
        Indexed::Missing => return Ok(None),
        Indexed::Unknown => {}
    }
    let exact = name.to_wtf8();
    if let Some(node) = directory.child(&exact)? {
        return Ok(Some((exact, node)));
    }
    let case_sensitive = directory.is_case_sensitive();
    let same = |shown: &Name, upper: &Name| {
        if case_sensitive { shown == name } else { volume.upper(shown) == *upper }
    };
    let upper = volume.upper(name);
    let entries = directory.entries()?;
    for entry in &entries {
        if same(&fold::shown(&entry.name), &upper)
            && let Some(node) = directory.entry(entry)?
        {
            return Ok(Some((entry.name.clone(), node)));
        }
    }
    // Programs do not make such names up, and to look for one costs a look at every file.
    if name.units().len() <= 12 && name.units().contains(&u16::from(b'~')) {
        for entry in entries {
            if let Some(node) = directory.entry(&entry)?
                && node.short_name().is_some_and(|short| volume.upper(&short) == upper)
            {
                return Ok(Some((entry.name, node)));
            }
        }
    }
    Ok(None)
}

/// `\??\C:\rest`, or `C:\rest`.
fn absolute(substitute: &[u16]) -> Option<(u8, &[u16])> {
    let prefix: Vec<u16> = r"\??\".encode_utf16().collect();
    let path = substitute.strip_prefix(prefix.as_slice())?;
    let (letter, rest) = path.split_first()?;
    let letter = u8::try_from(*letter).ok().filter(u8::is_ascii_alphabetic)?;
    let rest = rest.strip_prefix(&[u16::from(b':')])?;
    matches!(rest.first(), None | Some(0x5C)).then_some((letter.to_ascii_uppercase(), rest))
}

/// The names of a link's target.
fn steps(target: &[u16]) -> Result<VecDeque<Step>> {
    let mut steps = VecDeque::new();
    let dots = |count: usize| vec![u16::from(b'.'); count];
    for part in target.split(|unit| *unit == u16::from(b'\\')) {
        if part.is_empty() || part == dots(1) {
            continue;
        }
        if part == dots(2) {
            steps.push_back(Step::Up);
            continue;
        }
        // A stream, a separator of Linux: no name of a link has them.
        if part.len() > path::LONGEST_NAME || part.iter().any(|unit| fold::is_reserved(*unit)) {
            return Err(nowhere("the target of the link has a name that cannot be"));
        }
        steps.push_back(Step::Name(Name::from_units(part.to_vec())));
    }
    Ok(steps)
}

fn nowhere(why: &'static str) -> Error {
    Error::new(Win32Error::CANT_RESOLVE_FILENAME, why)
}

fn not_found(why: &'static str) -> Error {
    Error::new(Win32Error::PATH_NOT_FOUND, why)
}
