//! The files of an NTFS volume as a tree, from its catalogue: no directory is read, and no index believed.
//!
//! Files come in the order of their records, each behind the directories on the way to it, so equal volumes give equal
//! archives and `$MFT` is read from its beginning to its end. The names of a file follow it at once, wherever they are.
//! Beside the catalogue, in memory are the directories that were shown, a few bytes each.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use ntbak_ntfs::catalogue::{EntryFlags, Place};
use ntbak_ntfs::{Catalogue, FileReference};
use ntbak_wire::record::FileInfo;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use super::{FileVisit, LinkVisit, Select, Tree, Visit, WalkOptions};
use crate::backup::FileRecords;
use crate::error::{Error, Result};
use crate::ntfs_volume::NtfsVolume;
use crate::report::{FileReport, LossKind, Report};
use crate::source::{FileSource, NtfsSource};

mod ahead;
mod large;
mod names;
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
    /// Its other names in the tree, as paths, each with the 8.3 name that goes with it.
    fn other_names<'i>(
        &self,
        info: &'i FileInfo,
    ) -> impl Iterator<Item = (Vec<u8>, Option<&'i Name>)> + use<'_, 'i> {
        self.others.iter().filter_map(|other| {
            let path = self.paths?.path_of(other)?;
            let (parent, name) = (crate::source::node(other.link.parent), other.link.name.to_wtf8());
            let link = info.links.iter().find(|link| link.parent == parent && link.name == name);
            Some((path, link.and_then(|link| link.short.as_ref())))
        })
    }
}

type Each<'e> = &'e mut dyn FnMut(&VolumeFile<'_>) -> Result<()>;

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

    /// Gives each file that is wanted, and what of the volume is out of reach to `report`.
    ///
    /// # Errors
    /// Those of `each`, at once; or there is no catalogue. A single file that cannot be read is a loss.
    fn each(&self, select: &Select, report: &dyn Report, with_content: bool, each: Each<'_>) -> Result<()> {
        let volume_report = FileReport { to: report, path: self.volume.path() };
        self.volume.remarks(&volume_report);
        if !self.is_directory && self.root.record() == ntbak_ntfs::system_file::ROOT {
            let why = "the root of the volume is no directory: its record is damaged, and nothing below it is found";
            return Err(Error::new(Win32Error::INVALID_DATA, why).at_path(&self.shown));
        }
        if !self.is_directory {
            return self.single(select, report, each);
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
        ahead::read_ahead(paths, report, with_content, each, |files| {
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
        Ok(())
    }

    /// A tree of one file.
    fn single(&self, select: &Select, report: &dyn Report, each: Each<'_>) -> Result<()> {
        let path = &self.place;
        if !select.wants(select.verdict_on(path, false)) {
            return Ok(());
        }
        let mut source = self.volume.source(self.root, &self.shown)?;
        let report = FileReport { to: report, path: &self.shown };
        if let Some((parent, name)) = &self.name {
            source = source.found_as(*parent, name);
        }
        let names = source.info()?.link_count;
        if names > 1 {
            report.note(None, format!("it has {names} names; this one was read"));
        }
        let (shown, info) = (&self.shown, source.basic_information());
        each(&VolumeFile { path, shown, source: &source, info, others: &[], paths: None })
    }

    /// A path in the tree as the user knows it.
    fn shown(&self, path: &[u8]) -> PathBuf {
        let below = path.get(self.place.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let mut shown = self.shown.clone().into_os_string().into_vec();
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
        self.each(options.select, options.report, !options.backup.no_content, &mut |file| {
            let VolumeFile { path, shown, source, info, .. } = *file;
            let report = || FileReport { to: options.report, path: shown };
            let mut records = match FileRecords::new(source, options.backup, report()) {
                Ok(records) => records,
                Err(error) => {
                    let encrypted = info.attributes.contains(FileAttributes::ENCRYPTED);
                    report().loss(if encrypted { LossKind::Efs } else { LossKind::Content }, error.reason());
                    return Ok(());
                }
            };
            visit(Visit::File(FileVisit { path, shown, info, content: &mut records }))?;
            for (other, short) in file.other_names(info) {
                let shown = self.shown(&other);
                visit(Visit::Link(LinkVisit { path: &other, shown: &shown, target: path, short, info }))?;
            }
            Ok(())
        })
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
