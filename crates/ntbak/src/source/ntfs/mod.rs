//! A file on an NTFS volume as a source, read from its records and clusters: no mount, no root.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ntbak_ntfs::compress::wof::Algorithm;
use ntbak_ntfs::{AttributeType, File, FileName, FileReference, Namespace, StandardInformation};
use ntbak_wire::record::{
    Extent, Extents, FileInfo, Link, NodeId, NtfsFields, SmallKind, StreamFlags, StreamHead,
};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::efs::Encrypted;
use crate::error::{Error, Result};
use crate::report::{FileReport, LossKind};
use crate::source::{Facet, FileSource};

mod efs;
mod remarks;

use efs::StoredFile;

/// What becomes of files that Windows has compressed as a whole (WOF, CompactOS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WofView {
    /// Plain files with their content, as Windows shows them: no reparse point, no stream `WofCompressedData`.
    #[default]
    Data,
    /// As they are stored: a reparse point, a hole for content, and the compressed stream. Only Windows with the same
    /// filter reads a restored copy of that.
    Raw,
}

/// Reads a file or directory from an NTFS volume: everything that NTFS keeps about it.
#[derive(Debug)]
pub struct NtfsSource {
    file: File,
    path: PathBuf,
    info: FileInfo,
    streams: Vec<Stream>,
    /// How WOF has compressed it, where it is shown as a plain file.
    wof: Option<Algorithm>,
    /// What was found to be out of reach.
    losses: Vec<(Option<StreamName>, LossKind, String)>,
    notes: Vec<(Option<StreamName>, String)>,
}

/// A data stream.
#[derive(Debug)]
struct Stream {
    head: StreamHead,
    /// Its place among all attributes of the file; `None` for the unnamed stream of a file that has none.
    attribute: Option<usize>,
    /// What is read is what is stored: zeros in a hole.
    raw: bool,
    /// Its content up to the valid data length, which was read with that of other files.
    ahead: Option<(Arc<Vec<u8>>, Range<usize>)>,
}

/// The stream in which WOF has the content.
const WOF_STREAM: &str = "WofCompressedData";

impl NtfsSource {
    /// The file, for reports and errors known as `path`.
    #[must_use]
    pub fn new(file: File, path: &Path, view: WofView) -> Self {
        let links = links(&file);
        let info = FileInfo {
            attributes: file.attributes(),
            times: file.times(),
            node: node(file.reference()),
            link_count: u32::try_from(links.len()).unwrap_or(u32::MAX).max(1),
            links,
            case_sensitive: file.is_case_sensitive(),
            unix_mode: None,
            unix_owner: None,
            wof: None,
            ntfs: file.standard_information().and_then(fields),
        };
        let (path, streams, losses, notes) = (path.to_owned(), Vec::new(), Vec::new(), Vec::new());
        let mut source = Self { file, path, info, streams, wof: None, losses, notes };
        source.look_at_overlay(view);
        source.find_streams();
        source.look_at_encryption();
        source
    }

    /// The same file with this name, in this directory, before its others: the one by which it was found.
    #[must_use]
    pub fn found_as(mut self, parent: FileReference, name: &Name) -> Self {
        if self.info.links.len() < 2 {
            return self;
        }
        let upcase = self.file.volume().upcase();
        let is_that = |other: &Name| {
            upcase.compare(other.units().iter().copied(), name.units().iter().copied()).is_eq()
        };
        let links = self.file.links();
        let here = |link: &ntbak_ntfs::Link| link.parent == parent;
        // The very name, else one that differs in case, else the one whose 8.3 name it is.
        let found = links.iter().position(|link| here(link) && link.name == *name);
        let found = found.or_else(|| links.iter().position(|link| here(link) && is_that(&link.name)));
        let found = found
            .or_else(|| links.iter().position(|link| here(link) && link.short.as_ref().is_some_and(is_that)));
        if let Some(links) = found.and_then(|at| self.info.links.get_mut(..=at)) {
            links.rotate_right(1);
        }
        self
    }

    /// The file on its volume.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The number of the stream with this name, as the volume compares names; `None` is the unnamed stream.
    #[must_use]
    pub fn find_stream(&self, name: Option<&StreamName>) -> Option<usize> {
        let upcase = self.file.volume().upcase();
        let units =
            |name: Option<&StreamName>| name.map(|name| name.name().units().to_vec()).unwrap_or_default();
        let wanted = units(name);
        let same = |stream: &Stream, exact: bool| {
            let found = units(stream.head.name.as_ref());
            if exact { found == wanted } else { upcase.compare(found, wanted.iter().copied()).is_eq() }
        };
        let find = |exact| self.streams.iter().position(|stream| same(stream, exact));
        find(true).or_else(|| find(false))
    }

    /// Why it cannot be given whole, if it cannot.
    pub(crate) fn fault(&self) -> Option<Error> {
        if let Some(error) = self.file.damage().first() {
            return Some(self.located(error.clone()));
        }
        let mut losses = self.losses.iter();
        let (stream, _, why) = losses.find(|(_, kind, _)| *kind == LossKind::Stream)?;
        let error = Error::new(Win32Error::FILE_CORRUPT, why.clone());
        Some(error.at_path(&self.path).in_stream(stream.as_ref()))
    }

    /// Attributes, times and names.
    pub(crate) fn basic_information(&self) -> &FileInfo {
        &self.info
    }

    /// How many streams it has, and their bytes in all, holes too.
    pub(crate) fn size(&self) -> (usize, u64) {
        let bytes = self.streams.iter().fold(0_u64, |sum, stream| sum.saturating_add(stream.head.size));
        (self.streams.len(), bytes)
    }

    /// The streams whose content is in clusters and reads as what one expects of a file: their numbers, and what they
    /// are on the volume.
    pub(crate) fn stored_streams(&self) -> impl Iterator<Item = (usize, &ntbak_ntfs::Stream)> {
        let streams = self.streams.iter().enumerate().filter(|(_, stream)| {
            let encrypted = stream.head.flags.contains(StreamFlags::ENCRYPTED);
            !stream.raw && !encrypted && stream.head.extents == Extents::All
        });
        let stored = streams.filter_map(|(index, stream)| Some((index, self.attribute(stream)?)));
        stored.filter(|(_, attribute)| !attribute.is_resident())
    }

    /// Takes the content of a stream, up to its valid data length, that was read already.
    pub(crate) fn put_ahead(&mut self, stream: usize, buffer: &Arc<Vec<u8>>, range: Range<usize>) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.ahead = Some((Arc::clone(buffer), range));
        }
    }

    /// Decides how a file of WOF is shown.
    fn look_at_overlay(&mut self, view: WofView) {
        if view == WofView::Raw {
            return;
        }
        match self.file.wof() {
            Ok(None) => {}
            Ok(Some(algorithm)) => {
                self.wof = Some(algorithm);
                self.info.wof = self.file.reparse().ok().flatten().map(Cow::into_owned);
                self.info.attributes -= FileAttributes::REPARSE_POINT | FileAttributes::SPARSE_FILE;
            }
            // What is empty has lost nothing.
            Err(_) if self.file.streams().all(|stream| !stream.name().is_empty() || stream.size() == 0) => {}
            Err(error) => {
                let why = format!("its content is not where WOF says: {error}; it is kept as it is stored");
                self.losses.push((None, LossKind::Content, why));
            }
        }
    }

    fn find_streams(&mut self) {
        let is_directory = self.file.is_directory();
        let mut streams = Vec::new();
        for (index, stream) in self.file.all_streams().iter().enumerate() {
            if stream.kind() != AttributeType::DATA {
                continue;
            }
            if is_directory && stream.name().is_empty() {
                if stream.size() > 0 {
                    let why = "a directory that has an unnamed stream: no backup has a place for it";
                    self.losses.push((None, LossKind::Content, why.to_owned()));
                }
                continue;
            }
            let name = match stream.name() {
                name if name.is_empty() => None,
                name if self.wof.is_some() && *name == Name::from(WOF_STREAM) => continue,
                name => match StreamName::new(name.clone()) {
                    Ok(name) => Some(name),
                    Err(error) => {
                        let why = format!("{:?} is no name of a stream: {}", name.to_string(), error.problem);
                        self.losses.push((None, LossKind::Stream, why));
                        continue;
                    }
                },
            };
            let elsewhere = name.is_none() && self.file.is_wof();
            let mut head = head(stream, name);
            if elsewhere && self.wof.is_some() {
                head.vdl = head.size;
                head.flags -= StreamFlags::SPARSE;
                head.extents = Extents::All;
            }
            let raw = elsewhere && self.wof.is_none();
            streams.push(Stream { head, attribute: Some(index), raw, ahead: None });
        }
        if !is_directory && streams.first().is_none_or(|first| first.head.name.is_some()) {
            let head = StreamHead::plain(None, 0);
            streams.insert(0, Stream { head, attribute: None, raw: false, ahead: None });
        }
        if streams.len() > 2 {
            let upcase = self.file.volume().upcase();
            let units = |stream: &Stream| {
                stream.head.name.as_ref().map(|name| name.name().units()).unwrap_or_default().to_vec()
            };
            // The order in which NTFS keeps them, and Windows gives them.
            streams.sort_by(|a, b| {
                let (a, b) = (units(a), units(b));
                upcase.compare(a.iter().copied(), b.iter().copied()).then(a.cmp(&b))
            });
        }
        self.streams = streams;
    }

    /// Makes the attribute say what the streams and `$EFS` say.
    fn look_at_encryption(&mut self) {
        let marked = self.info.attributes.contains(FileAttributes::ENCRYPTED);
        let ciphertext = self.streams.iter().any(|stream| stream.head.flags.contains(StreamFlags::ENCRYPTED));
        let keys = !matches!(self.file.efs(), Ok(None));
        if keys && !marked {
            self.info.attributes |= FileAttributes::ENCRYPTED;
            self.notes.push((
                None,
                "it has $EFS and is not marked as encrypted; it is taken as encrypted".to_owned(),
            ));
        } else if marked && !keys && !ciphertext {
            self.info.attributes -= FileAttributes::ENCRYPTED;
            let why = "it is marked as encrypted, but has no $EFS and nothing is encrypted in it".to_owned();
            self.losses.push((None, LossKind::Efs, why));
        }
    }

    fn at(&self, index: usize) -> Result<&Stream> {
        let stream = self.streams.get(index);
        stream.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"))
    }

    fn attribute(&self, stream: &Stream) -> Option<&ntbak_ntfs::Stream> {
        self.file.all_streams().get(stream.attribute?)
    }

    fn located(&self, error: ntbak_ntfs::Error) -> Error {
        Error::from(error).at_path(&self.path)
    }
}

/// What only NTFS itself uses; `None` when all of it is 0.
fn fields(information: &StandardInformation) -> Option<NtfsFields> {
    let extended = information.extended.as_ref();
    let fields = NtfsFields {
        owner_id: extended.map_or(0, |extended| extended.owner_id),
        quota_charged: extended.map_or(0, |extended| extended.quota_charged),
        usn: extended.map_or(0, |extended| extended.usn),
        max_versions: information.max_versions,
        version: information.version,
        class_id: information.class_id,
    };
    (fields != NtfsFields::default()).then_some(fields)
}

/// A file of a volume within it.
pub(crate) fn node(reference: FileReference) -> NodeId {
    NodeId(reference.0)
}

/// The names of a file. One that is its own 8.3 name is that in upper case, as ntfs-3g has it.
fn links(file: &File) -> Vec<Link> {
    let long = file.names().iter().filter(|name| name.namespace != Namespace::DOS);
    let own_short = |name: &FileName| {
        // The root is its own parent, and its name a dot.
        let is_both = name.namespace == Namespace::WIN32_AND_DOS && name.parent != file.reference();
        let upcase = is_both.then(|| file.volume().upcase())?;
        Some(Name::from_units(name.name.units().iter().map(|unit| upcase.upper(*unit)).collect()))
    };
    if let [only] = file.names() {
        // Most files: nothing is to be put together.
        return vec![Link { parent: node(only.parent), name: only.name.to_wtf8(), short: own_short(only) }];
    }
    // Long names come first, and in their order.
    let own_short = long.map(own_short).chain(std::iter::repeat(None));
    let link = |(link, own): (ntbak_ntfs::Link, Option<Name>)| Link {
        parent: node(link.parent),
        name: link.name.to_wtf8(),
        short: link.short.or(own),
    };
    file.links().into_iter().zip(own_short).map(link).collect()
}

fn head(stream: &ntbak_ntfs::Stream, name: Option<StreamName>) -> StreamHead {
    let on_disk = stream.flags();
    let mut flags = StreamFlags::empty();
    flags.set(StreamFlags::SPARSE, on_disk.contains(ntbak_ntfs::AttributeFlags::SPARSE));
    // A resident stream has the flag only for what it may become.
    flags.set(StreamFlags::COMPRESSED, on_disk.intersects(ntbak_ntfs::AttributeFlags::COMPRESSION_MASK));
    flags.set(StreamFlags::ENCRYPTED, stream.is_encrypted());
    // Holes without the flag are as good as any, but for the units of zeros in a compressed stream.
    let mut holes = stream.clusters().filter(|(at, _)| at.is_none());
    let in_blocks = flags.contains(StreamFlags::SPARSE) || !stream.is_compressed() && holes.next().is_some();
    let extents = if in_blocks { Extents::Unknown } else { Extents::All };
    StreamHead { name, size: stream.size(), vdl: stream.vdl(), flags, extents, amend: false }
}

impl FileSource for NtfsSource {
    fn info(&self) -> Result<FileInfo> {
        Ok(self.info.clone())
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        let payload = match kind {
            SmallKind::Security => self.file.security(),
            SmallKind::Ea => self.file.eas().map(|list| list.map(Cow::Owned)),
            SmallKind::Reparse if self.wof.is_some() => Ok(None),
            SmallKind::Reparse => self.file.reparse(),
            SmallKind::ObjectId => {
                self.file.object_id().map(|id| id.map(|id| Cow::Owned(id.as_bytes().to_vec())))
            }
            SmallKind::Link => Ok(None),
        };
        let payload = payload.map_err(|error| self.located(error))?;
        Ok(payload.filter(|payload| !payload.is_empty()))
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        Ok(self.streams.get(index).map(|stream| stream.head.clone()))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        let stream = self.at(stream)?;
        let size = stream.head.size;
        if stream.head.extents == Extents::All {
            return Ok((from < size).then(|| Extent { offset: from, len: size - from }));
        }
        Ok(self.attribute(stream).and_then(|attribute| attribute.next_extent(from)))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let stream = self.at(stream)?;
        let Some(attribute) = self.attribute(stream) else { return Ok(0) };
        let read = if stream.raw {
            let left = usize::try_from(stream.head.size.saturating_sub(offset)).unwrap_or(usize::MAX);
            let len = left.min(buf.len());
            self.file.read_raw_at(attribute, offset, buf.get_mut(..len).unwrap_or_default())
        } else {
            self.file.read_at(attribute, offset, buf)
        };
        read.map_err(|error| self.located(error).in_stream(stream.head.name.as_ref()))
    }

    fn allocated(&self, stream: usize) -> Option<u64> {
        let stream = self.streams.get(stream)?;
        Some(match self.attribute(stream) {
            None => 0,
            // Within its record, in units of 8 bytes.
            Some(attribute) if attribute.is_resident() => attribute.size().next_multiple_of(8),
            Some(attribute) => attribute.allocated(),
        })
    }

    fn in_memory(&self, stream: usize) -> Option<&[u8]> {
        let stream = self.streams.get(stream)?;
        if let Some((buffer, range)) = &stream.ahead {
            return buffer.get(range.clone());
        }
        // What WOF has of a file is in another stream.
        let elsewhere = stream.head.name.is_none() && self.file.is_wof();
        self.attribute(stream).filter(|_| !elsewhere).and_then(|attribute| self.file.resident(attribute))
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        let stored = StoredFile::open(self).map_err(|error| error.at_path(&self.path))?;
        Ok(stored.map(|stored| Box::new(stored) as Box<dyn Encrypted>))
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        self.tell(about, report);
        Ok(())
    }
}
