//! The files of an NTFS volume as a tree, from its catalogue: no directory is read, and no index believed.
//!
//! Files come in the order of their records, each behind the directories on the way to it, so equal volumes give equal
//! archives and `$MFT` is read from its beginning to its end. The names of a file follow it at once, wherever they are.
//! Beside the catalogue, in memory are the directories that were shown, a few bytes each.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use ntbak_ntfs::catalogue::{EntryFlags, Place};
use ntbak_ntfs::{Catalogue, FileReference};
use ntbak_wire::record::FileInfo;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use super::{FileVisit, LinkVisit, Tree, Visit, WalkOptions};
use crate::backup::{BackupOptions, FileRecords};
use crate::error::{Error, Result};
use crate::ntfs_volume::NtfsVolume;
use crate::report::{FileReport, LossKind, Report};
use crate::source::{FileSource, NtfsSource};

mod ahead;
mod large;
mod names;
mod orders;
mod walk;

use names::{Doubles, safe};
use walk::{Paths, Walk, Wanted};

/// A file or directory of an NTFS volume, with all that is in it.
#[derive(Debug)]
pub struct NtfsTree {
    volume: NtfsVolume,
    root: FileReference,
    is_directory: bool,
    /// The name by which the root was found, as the volume has it; none for that of the volume.
    name: Option<(FileReference, Name)>,
    /// Where the root is shown.
    place: Vec<u8>,
    /// The root as the user knows it.
    shown: PathBuf,
}

/// A file of the tree.
struct VolumeFile<'a> {
    path: &'a [u8],
    shown: &'a Path,
    source: &'a dyn FileSource,
    info: &'a FileInfo,
    /// Its other names in the tree. Their paths may be long, and many, so they are made when they are asked for.
    others: &'a [Wanted],
    paths: Option<Paths<'a>>,
}

impl VolumeFile<'_> {
    /// Shows it, and then its other names.
    fn show(&self, backup: BackupOptions, report: &dyn Report, visit: See<'_>) -> Result<()> {
        let Self { path, shown, source, info, .. } = *self;
        let told = FileReport { to: report, path: shown };
        let mut records = match FileRecords::with_info(source, Cow::Borrowed(info), backup, told) {
            Ok(records) => records,
            Err(error) => {
                let encrypted = info.attributes.contains(FileAttributes::ENCRYPTED);
                return lost(path, shown, encrypted, &error, report, visit);
            }
        };
        visit(Visit::File(FileVisit { path, shown, info, content: &mut records }))?;
        for (other, shown, short) in self.other_names(info) {
            visit(Visit::Link(LinkVisit { path: &other, shown: &shown, target: path, short, info }))?;
        }
        Ok(())
    }

    /// Its other names in the tree, as paths, also as the user knows them, each with the 8.3 name that goes with it.
    fn other_names<'i>(
        &self,
        info: &'i FileInfo,
    ) -> impl Iterator<Item = (Vec<u8>, PathBuf, Option<&'i Name>)> + use<'_, 'i> {
        self.others.iter().filter_map(|other| {
            let paths = self.paths?;
            let path = paths.path_of(other)?;
            let shown = paths.tree.shown(&path);
            let (parent, name) = (crate::source::node(other.link.parent), other.link.name.to_wtf8());
            let link = info.links.iter().find(|link| link.parent == parent && link.name == name);
            Some((path, shown, link.and_then(|link| link.short.as_ref())))
        })
    }
}

/// Tells that a file cannot be read.
fn lost(
    path: &[u8],
    shown: &Path,
    encrypted: bool,
    error: &Error,
    report: &dyn Report,
    visit: See<'_>,
) -> Result<()> {
    let kind = if encrypted { LossKind::Efs } else { LossKind::Content };
    FileReport { to: report, path: shown }.loss(kind, error.reason());
    visit(Visit::Told(path))
}

/// What takes what the tree shows.
type See<'s> = &'s mut dyn FnMut(Visit<'_>) -> Result<()>;

impl NtfsTree {
    /// The directory of files that no directory of the volume leads to, where those are in the tree. It is not on the
    /// volume.
    pub const ORPHANS: &str = "$OrphanFiles";

    /// The tree below `root`, a file or directory of `volume` that the user knows as `shown`.
    #[must_use]
    pub fn new(volume: NtfsVolume, root: &NtfsSource, shown: &Path) -> Self {
        let reference = root.file().reference();
        let first = root.info().ok().and_then(|info| info.links.into_iter().next());
        let name = first.filter(|_| reference.record() != ntbak_ntfs::system_file::ROOT);
        let name = name.and_then(|link| Some((FileReference(link.parent.0), Name::from_wtf8(&link.name)?)));
        let is_directory = root.file().is_directory();
        Self { volume, root: reference, is_directory, name, place: Vec::new(), shown: shown.to_owned() }
    }

    /// The same tree, its root shown at this path. What is in a directory at the root of the tree (the path is empty) is
    /// there, too.
    #[must_use]
    pub fn at(mut self, place: &[u8]) -> Self {
        self.place = place.to_vec();
        self
    }

    /// The volume.
    #[must_use]
    pub fn volume(&self) -> &NtfsVolume {
        &self.volume
    }

    /// Whether its root is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// The name of its root in WTF-8, as the volume has it; none for that of the volume.
    #[must_use]
    pub fn name(&self) -> Option<Vec<u8>> {
        self.name.as_ref().map(|(_, name)| safe(name).into_owned())
    }

    /// Shows each file that is wanted, and tells what of the volume is out of reach.
    fn show(&self, walking: WalkOptions<'_>, visit: See<'_>) -> Result<()> {
        let WalkOptions { select, report, .. } = walking;
        let volume_report = FileReport { to: report, path: self.volume.path() };
        self.volume.remarks(&volume_report);
        visit(Visit::Told(&self.place))?;
        if !self.is_directory && self.root.record() == ntbak_ntfs::system_file::ROOT {
            let why = "the root of the volume is no directory: its record is damaged, and nothing below it is found";
            return Err(Error::new(Win32Error::INVALID_DATA, why).at_path(&self.shown));
        }
        if !self.is_directory {
            return self.single(walking, visit);
        }
        let catalogue = self.volume.catalogue()?;
        let Some(root) = catalogue.find(self.root) else {
            let why = "the directory is not in the catalogue of the volume: its record is damaged";
            return Err(Error::new(Win32Error::INVALID_DATA, why).at_path(&self.shown));
        };
        let options = self.volume.options();
        // The tree of the volume; or NTFS' own files, where one of their directories was asked for.
        let place = catalogue.place(root);
        let is_volume = self.root.record() == ntbak_ntfs::system_file::ROOT;
        let (system, orphans) = (is_volume && options.system, is_volume && options.orphans);
        let is_there = |found: Place| {
            found == place || system && found == Place::System || orphans && found == Place::Orphan
        };
        let doubles = Doubles::find(catalogue, is_there);
        let paths = Paths { tree: self, catalogue, doubles: &doubles, root, system, select };
        let mut elsewhere = 0;
        ahead::read_ahead(paths, walking, visit, |files| {
            let mut walk = Walk::new(paths, files);
            for (id, entry) in catalogue.all() {
                if report.cancelled() {
                    return Err(super::cancelled());
                }
                match catalogue.place(id) {
                    found if !is_there(found) => {}
                    Place::Orphan if place != Place::Orphan => walk.orphan(id, entry)?,
                    _ => walk.entry(id, entry)?,
                }
            }
            elsewhere = walk.elsewhere;
            Ok(())
        })?;
        if elsewhere > 0 {
            let what = format!("{elsewhere} files have other names, too, outside of what was read");
            FileReport { to: report, path: &self.shown }.note(None, what);
        }
        tell_what_is_out_of_reach(catalogue, orphans, &volume_report);
        visit(Visit::Told(&self.place))
    }

    /// A tree of one file.
    fn single(&self, walking: WalkOptions<'_>, visit: See<'_>) -> Result<()> {
        let (path, WalkOptions { select, report, backup, .. }) = (&self.place, walking);
        if !select.wants(select.verdict_on(path, false)) {
            return Ok(());
        }
        let mut source = self.volume.source(self.root, &self.shown)?;
        if let Some((parent, name)) = &self.name {
            source = source.found_as(*parent, name);
        }
        let names = source.info()?.link_count;
        if names > 1 {
            let what = format!("it has {names} names; this one was read");
            FileReport { to: report, path: &self.shown }.note(None, what);
        }
        let (shown, info) = (&self.shown, source.basic_information());
        VolumeFile { path, shown, source: &source, info, others: &[], paths: None }
            .show(backup, report, visit)
    }

    /// A path in the tree as the user knows it.
    fn shown(&self, path: &[u8]) -> PathBuf {
        let below = path.get(self.place.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let root = self.shown.as_os_str().as_bytes();
        let mut shown = Vec::with_capacity(root.len() + 1 + below.len());
        shown.extend_from_slice(root);
        if !below.is_empty() && !matches!(shown.last(), Some(b':' | b'/' | b'\\')) {
            shown.push(b'/');
        }
        shown.extend_from_slice(below);
        OsString::from_vec(shown).into()
    }
}

impl Tree for NtfsTree {
    fn walk(
        &mut self,
        options: WalkOptions<'_>,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        self.show(options, visit)
    }
}

/// Tells of files that cannot be read, and that no directory leads to.
fn tell_what_is_out_of_reach(catalogue: &Catalogue, with_orphans: bool, report: &FileReport<'_>) {
    for error in catalogue.damage() {
        report.loss(LossKind::Content, format!("a file, or a part of one, cannot be read: {error}"));
    }
    let more = catalogue.counts().damaged.saturating_sub(catalogue.damage().len() as u64);
    if more > 0 {
        report.loss(LossKind::Content, format!("{more} more records cannot be read"));
    }
    let mut orphans = 0_u64;
    for (_, entry) in catalogue.all().filter(|(id, _)| catalogue.place(*id) == Place::Orphan) {
        if entry.flags().contains(EntryFlags::DAMAGED) {
            let why = "its records are damaged, and the directory that it is in is not known";
            report.loss(LossKind::Content, format!("file {}: {why}", entry.reference()));
        } else {
            orphans += 1;
        }
    }
    if orphans > 0 && !with_orphans {
        report.note(None, format!("{orphans} files are in no directory of the volume, and were passed over; --orphans takes them"));
    }
}
