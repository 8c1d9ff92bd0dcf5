//! What lies beside the content of a file, in attributes, in a side file and in Samba's depot, read as one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use ntbak_wire::FileAttributes;
use ntbak_wire::record::{FileInfo, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::side::{self, LinuxOwner, SideHead};
use ntbak_wire::stream::StreamName;
use rustix::fs::{OFlags, Stat};

use crate::error::{Error, Result};
use crate::host::escape;
use crate::host::linux::LinuxKind;
use crate::host::node::{Node, Spot};
use crate::host::samba::{AttributeStream, Dialect};
use crate::host::side::{SideFile, SideStream, file_name};
use crate::host::streams_depot::{Depot, DepotStream};
use crate::memory::StreamKey;
use crate::source::{modified, size};

/// The places of a file. Where an attribute says something, that counts more than the side file: Samba changes it there.
/// A depot has streams alone, and counts most: smbd makes them, and what ntbak writes removes them.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) side: Option<SideFile>,
    pub(crate) samba: Dialect,
    pub(crate) depot: Option<Depot>,
    /// Why the depot that the file has is out of reach.
    pub(crate) lost_depot: Option<String>,
    pub(crate) odd_side: OddSide,
}

/// What is wrong with the side file of a file.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(crate) enum OddSide {
    #[default]
    Nothing,
    /// The file has had one, and it is not here.
    Missing,
    /// It is that of another file, which has had this name.
    AnotherOwner,
}

/// A named stream in one of the three.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NamedStream<'a> {
    Side(&'a SideFile, &'a SideStream),
    Attribute(&'a AttributeStream),
    Depot(&'a Depot, &'a DepotStream),
}

/// Where the side file of a node is: the directory whose side files are meant, its name there, and its owner's name.
pub(crate) fn side_home(node: &Node, spot: &Spot) -> Result<(Arc<OwnedFd>, OsString, OsString)> {
    if node.is_directory() {
        let dir = node.open_content(OFlags::RDONLY | OFlags::DIRECTORY);
        let dir = dir.map_err(|error| Error::io("opening the directory", error))?;
        return Ok((Arc::new(dir), side::SELF.into(), side::SELF.into()));
    }
    Ok((Arc::clone(&spot.dir), file_name(&spot.name), spot.name.clone()))
}

impl Beside {
    /// The side file of a node, if there is one.
    pub(crate) fn open_side(node: &Node, spot: &Spot, stat: &Stat) -> Result<Option<SideFile>> {
        let (dir, name, owner) = side_home(node, spot)?;
        SideFile::open(&dir, &name, &owner, stat.st_uid)
    }

    /// What there is beside the side file.
    pub(crate) fn read(
        side: Option<SideFile>,
        node: &Node,
        spot: &Spot,
        stat: &Stat,
        kind: Option<LinuxKind>,
    ) -> Result<Self> {
        let mut samba = Dialect::read(node, kind)?;
        let (side, odd_side) = Self::bind(side, samba.mark, node, spot, stat)?;
        if let (false, Some(side)) = (samba.eas.is_empty(), &side)
            && let Some(told) = side.small(SmallKind::Ea)?
        {
            samba.fit_eas(&told);
        }
        let depot = if samba.has_depot { Some(Depot::open(node, spot, stat)?) } else { None };
        let (depot, lost_depot) = match depot {
            None => (None, None),
            Some(Ok(depot)) => (Some(depot), None),
            Some(Err(why)) => (None, Some(why)),
        };
        Ok(Self { side, samba, depot, lost_depot, odd_side })
    }

    /// The side file that is the file's own: it may have been renamed, or replaced by another file of its name.
    fn bind(
        side: Option<SideFile>,
        mark: Option<[u8; 16]>,
        node: &Node,
        spot: &Spot,
        stat: &Stat,
    ) -> Result<(Option<SideFile>, OddSide)> {
        let is_own = |side: &SideFile| {
            let fresh = (side.head.size, side.head.modified) == (size(stat), modified(stat));
            side.head.mark.is_none() || side.head.mark == mark || mark.is_none() && fresh
        };
        match (side, mark) {
            (Some(side), _) if is_own(&side) => Ok((Some(side), OddSide::Nothing)),
            (None, None) => Ok((None, OddSide::Nothing)),
            (Some(_), None) => Ok((None, OddSide::AnotherOwner)),
            (_, Some(mark)) => {
                let found = SideFile::find(&side_home(node, spot)?.0, mark, stat.st_uid)?;
                let odd = if found.is_some() { OddSide::Nothing } else { OddSide::Missing };
                Ok((found, odd))
            }
        }
    }

    /// The head of the side file, if there is one.
    pub(crate) fn head(&self) -> Option<&SideHead> {
        self.side.as_ref().map(|side| &side.head)
    }

    /// A small payload, byte for byte as a backup stream carries it.
    pub(crate) fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        let here = match kind {
            SmallKind::Security => self.samba.security.as_deref(),
            SmallKind::Reparse => self.samba.reparse.as_deref(),
            _ => None,
        };
        // Such a file system has a descriptor for every file: one beside it is there because it could not be set.
        let told = self.samba.own.is_some() && self.has_told(kind);
        if let Some(here) = here.filter(|_| !told) {
            return Ok(Some(Cow::Borrowed(here)));
        }
        let told = self.side.as_ref().map_or(Ok(None), |side| side.small(kind))?;
        let payload = match kind {
            SmallKind::Ea => {
                let order = self.head().map_or(&[][..], |head| &head.eas);
                self.samba.ea_list(order, told.as_deref())?
            }
            _ => told,
        };
        Ok(payload.map(Cow::Owned))
    }

    /// What EFS keeps of the file, when it is encrypted.
    pub(crate) fn efs(&self) -> Option<&[u8]> {
        self.samba.efs.as_deref().or_else(|| self.head()?.efs.as_deref())
    }

    /// Whether the file has a reparse buffer, in either place.
    pub(crate) fn has_reparse_point(&self) -> bool {
        self.samba.reparse.is_some() || self.has_told(SmallKind::Reparse)
    }

    /// Whether the side file has such a payload.
    fn has_told(&self, kind: SmallKind) -> bool {
        self.side.iter().flat_map(|side| &side.small).any(|(told, _)| *told == kind)
    }

    /// The named streams of all places; one that is in more than one is that which counts most.
    pub(crate) fn streams(&self) -> Vec<Named> {
        let depot = || self.depot.iter().flat_map(|depot| &depot.streams);
        let mut newer: HashSet<_> = depot().map(|stream| StreamKey::of(Some(&stream.name))).collect();
        let here = self.samba.streams.iter().enumerate();
        let here = here.filter(|(_, stream)| newer.insert(StreamKey::of(Some(&stream.name))));
        let here: Vec<_> = here.map(|(at, _)| Named::Attribute(at)).collect();
        let told = self.side.iter().flat_map(|side| &side.streams).enumerate();
        let told = told.filter(|(_, stream)| !newer.contains(&StreamKey::of(stream.head.name.as_ref())));
        let told = told.map(|(at, _)| Named::Side(at));
        let mut streams: Vec<_> = told.chain(here).chain((0..depot().count()).map(Named::Depot)).collect();
        if let Some(order) = self.head().map(|head| &head.streams).filter(|order| !order.is_empty()) {
            let places: HashMap<_, _> =
                order.iter().enumerate().map(|(at, (name, ..))| (StreamKey::upper(name), at)).collect();
            let place = |named: &Named| {
                let name = self.stream_name(*named).map(|name| StreamKey::upper(name.name()));
                name.and_then(|name| places.get(&name).copied())
            };
            // A list of some, which have a fact, is no order.
            if streams.iter().all(|named| place(named).is_some()) {
                streams.sort_by_cached_key(place);
            }
        }
        streams
    }

    fn stream_name(&self, named: Named) -> Option<&StreamName> {
        match self.stream(named)? {
            NamedStream::Side(_, stream) => stream.head.name.as_ref(),
            NamedStream::Attribute(stream) => Some(&stream.name),
            NamedStream::Depot(_, stream) => Some(&stream.name),
        }
    }

    /// What is known of a named stream.
    pub(crate) fn stream_head(&self, named: Named) -> Option<StreamHead> {
        match self.stream(named)? {
            NamedStream::Side(_, stream) => Some(stream.head.clone()),
            NamedStream::Depot(_, stream) => Some(stream.head.clone()),
            NamedStream::Attribute(stream) => {
                let mut head = StreamHead::plain(Some(stream.name.clone()), stream.size);
                let name = StreamKey::upper(stream.name.name());
                let mut facts = self.head().into_iter().flat_map(|head| &head.streams);
                let told = facts.find(|(told, ..)| StreamKey::upper(told) == name);
                // What Samba writes has no hole, and is valid to its end.
                head.flags =
                    told.map_or(StreamFlags::empty(), |(_, _, flags)| *flags & StreamFlags::COMPRESSED);
                Some(head)
            }
        }
    }

    /// A named stream by its place.
    pub(crate) fn stream(&self, named: Named) -> Option<NamedStream<'_>> {
        match named {
            Named::Side(at) => {
                let side = self.side.as_ref()?;
                Some(NamedStream::Side(side, side.streams.get(at)?))
            }
            Named::Attribute(at) => self.samba.streams.get(at).map(NamedStream::Attribute),
            Named::Depot(at) => {
                let depot = self.depot.as_ref()?;
                Some(NamedStream::Depot(depot, depot.streams.get(at)?))
            }
        }
    }

    /// Puts what `user.DOSATTRIB` says over the rest. Of attributes Samba keeps a few, so the others are those of the
    /// side file, if that has any.
    pub(crate) fn apply_attrib(&self, info: &mut FileInfo) {
        const KEPT: FileAttributes = FileAttributes::READONLY
            .union(FileAttributes::HIDDEN)
            .union(FileAttributes::SYSTEM)
            .union(FileAttributes::ARCHIVE);
        if let Some(attributes) = self.samba.attrib.attributes {
            let told = self.head().is_some_and(|head| head.attributes.is_some());
            let kept = if told { KEPT } else { !FileAttributes::DIRECTORY };
            info.attributes = info.attributes.difference(kept) | attributes & kept;
        }
        info.times.created = self.samba.attrib.created.or(info.times.created);
    }

    /// Mode, user and group: those that it was to have, while it has those that it got.
    pub(crate) fn linux_owner(&self, stat: &Stat) -> LinuxOwner {
        let now = LinuxOwner { mode: stat.st_mode & 0o7777, user: stat.st_uid, group: stat.st_gid };
        if self.side.is_none() {
            return now;
        }
        // Who may write the side file must not say that a file is root's.
        let me = [0, rustix::process::geteuid().as_raw()];
        let believed =
            |side: &&SideFile| rustix::fs::fstat(&side.fd).is_ok_and(|stat| me.contains(&stat.st_uid));
        match self.side.as_ref().filter(believed).and_then(|side| side.head.linux) {
            Some((wanted, got)) if got == now => wanted,
            _ => now,
        }
    }

    /// The name that the file has where it came from, when it has another one here.
    pub(crate) fn true_name<'a>(&'a self, spot: &'a Spot) -> &'a [u8] {
        let told = self.head().and_then(|head| head.true_name.as_deref());
        // Only the name of which this one was made: a side file must not choose where a copy goes.
        // A directory may have been opened from within.
        let here = if spot.name == "." { spot.path.file_name() } else { Some(spot.name.as_os_str()) };
        let told = told.filter(|told| here.is_some_and(|here| escape::is_escaped(told, here)));
        told.unwrap_or(spot.name.as_bytes())
    }
}

/// Where a named stream is, by its number there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    Side(usize),
    Attribute(usize),
    Depot(usize),
}
