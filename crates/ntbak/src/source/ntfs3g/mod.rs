//! A file on an ntfs-3g mount as a source.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ntbak_wire::bytes::copy_at;
use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, Extents, FileInfo, Link, NodeId, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error, ea};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::efs::Encrypted;
use crate::error::{Error, Result};
use crate::host::holes;
use crate::host::node::{Node, Spot, read_at};
use crate::host::ntfs3g::{self, Ntfs3gMount, StreamsInterface};
use crate::report::{FileReport, LossKind};
use crate::source::{Facet, FileSource};

mod efs;

use efs::StoredFile;

/// Reads a file or directory on an ntfs-3g mount, as far as the mount shows it.
///
/// Attributes, times and the list of streams are read when the source is made, before any content: reading content
/// changes the access time on most mounts.
#[derive(Debug)]
pub struct Ntfs3gSource {
    node: Node,
    path: PathBuf,
    info: FileInfo,
    /// Named streams are opened in this directory as `base:stream`.
    dir: Arc<OwnedFd>,
    base: OsString,
    streams: Vec<Stream>,
    /// What was found to be out of reach.
    losses: Vec<(Option<StreamName>, LossKind, String)>,
    /// The stream that was read last.
    last: Mutex<Option<(usize, Arc<OwnedFd>)>>,
}

#[derive(Debug)]
struct Stream {
    head: StreamHead,
    /// Bytes that the mount shows of it.
    stored: u64,
    content: Content,
}

impl Stream {
    fn new(head: StreamHead, content: Content) -> Self {
        Self { stored: head.size, head, content }
    }
}

/// Where the bytes of a stream are.
#[derive(Debug)]
enum Content {
    /// In the file itself.
    File,
    /// Under `base:` and this name.
    Named(OsString),
    /// Here.
    Bytes(Vec<u8>),
}

impl Ntfs3gSource {
    /// The file at `spot`.
    pub(crate) fn open(spot: Spot, mount: &Ntfs3gMount) -> Result<Self> {
        let path = spot.path.clone();
        Self::open_spot(spot, mount).map_err(|error| error.at_path(path))
    }

    fn open_spot(spot: Spot, mount: &Ntfs3gMount) -> Result<Self> {
        let node = spot.node()?;
        let stat = node.stat().map_err(|error| Error::io("looking at it", error))?;
        let attributes = read_attributes(&node)?;
        let times = node.xattr(ntfs3g::TIMES).map_err(|error| Error::io("reading the times", error))?;
        let mut losses = Vec::new();
        let short = match node.xattr(ntfs3g::DOS_NAME) {
            Ok(name) => name.as_deref().and_then(Name::from_wtf8),
            Err(Errno::MLINK) => {
                let why = "ntfs-3g does not tell the 8.3 name of a file with several names";
                losses.push((None, LossKind::ShortName, why.to_owned()));
                None
            }
            // The root has none.
            Err(_) => None,
        };
        // ntfs-3g counts the 8.3 name of a file as a link.
        let counted = u32::from(short.is_some() && !attributes.is_directory());
        let link_count = u32::try_from(stat.st_nlink).unwrap_or(u32::MAX).saturating_sub(counted);
        let parent = rustix::fs::fstat(&spot.dir).map_or(0, |stat| stat.st_ino);
        let info = FileInfo {
            attributes,
            times: ntfs3g::times_from(&times.unwrap_or_default()),
            node: NodeId(stat.st_ino),
            links: vec![Link { parent: NodeId(parent), name: spot.name.as_bytes().to_vec(), short }],
            link_count: link_count.max(1),
            case_sensitive: false,
            unix_mode: None,
            unix_owner: None,
            wof: None,
            ntfs: None,
        };
        let is_reparse = attributes.contains(FileAttributes::REPARSE_POINT);
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let (dir, base) = if is_directory {
            // The parent of a mounted directory is on another volume: its streams are reached from within.
            let dir = node.open_content(OFlags::RDONLY | OFlags::DIRECTORY);
            (Arc::new(dir.map_err(|error| Error::io("opening the directory", error))?), OsString::new())
        } else {
            (spot.dir, spot.name)
        };
        let mut source =
            Self { node, path: spot.path, info, dir, base, streams: vec![], losses, last: Mutex::default() };
        if !attributes.is_directory() {
            source.find_unnamed_stream(&stat, is_reparse)?;
        }
        match mount.streams {
            StreamsInterface::Windows => source.find_named_streams(is_reparse)?,
            StreamsInterface::Xattr => source.find_xattr_streams(FileType::from_raw_mode(stat.st_mode)),
            StreamsInterface::None => {
                let why =
                    "named streams do not show on this mount; mount it with -o streams_interface=windows";
                source.losses.push((None, LossKind::Stream, why.to_owned()));
            }
        }
        if mount.efs_raw && attributes.contains(FileAttributes::ENCRYPTED) {
            source.find_true_sizes()?;
        }
        Ok(source)
    }

    /// Finds out what the unnamed stream is; special kinds of files hide theirs.
    fn find_unnamed_stream(&mut self, stat: &Stat, is_reparse: bool) -> Result<()> {
        let attributes = self.info.attributes;
        let mut head = StreamHead::plain(None, u64::try_from(stat.st_size).unwrap_or(0));
        head.flags.set(StreamFlags::SPARSE, attributes.contains(FileAttributes::SPARSE_FILE));
        head.flags.set(StreamFlags::COMPRESSED, attributes.contains(FileAttributes::COMPRESSED));
        let content = match FileType::from_raw_mode(stat.st_mode) {
            _ if is_reparse => {
                (head.size, head.vdl) = (0, 0);
                // Without clusters it may still have a length: that of a file whose content is elsewhere.
                let elsewhere = FileAttributes::SPARSE_FILE | FileAttributes::OFFLINE;
                if stat.st_blocks > 0 || attributes.intersects(elsewhere) {
                    let why = "ntfs-3g gives neither content nor length of a reparse point; read the volume's image instead";
                    self.losses.push((None, LossKind::Content, why.to_owned()));
                }
                Content::Bytes(Vec::new())
            }
            FileType::RegularFile => Content::File,
            // ntfs-3g shows system files by what Interix put into them.
            FileType::Symlink => {
                let target = self.node.link_target().map_err(|error| Error::io("reading the link", error))?;
                let target = Name::from_wtf8(&target)
                    .ok_or_else(|| Error::new(Win32Error::INVALID_NAME, "the link's target is no UTF-16"))?;
                Content::Bytes([&b"IntxLNK\x01"[..], &target.to_utf16_le()].concat())
            }
            FileType::CharacterDevice => Content::Bytes(interix_device(*b"IntxCHR\0", stat.st_rdev)),
            FileType::BlockDevice => Content::Bytes(interix_device(*b"IntxBLK\0", stat.st_rdev)),
            FileType::Fifo => Content::Bytes(Vec::new()),
            _ => {
                let why = "ntfs-3g shows a system file of one byte as a socket and does not give that byte";
                self.losses.push((None, LossKind::Content, why.to_owned()));
                Content::Bytes(Vec::new())
            }
        };
        if let Content::Bytes(bytes) = &content {
            head = StreamHead { flags: head.flags, ..StreamHead::plain(None, bytes.len() as u64) };
        }
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        if head.flags.contains(StreamFlags::SPARSE) && allocated < head.size {
            head.extents = Extents::Unknown;
        }
        self.streams.push(Stream::new(head, content));
        Ok(())
    }

    /// The list of streams on a mount with `streams_interface=windows`.
    fn find_named_streams(&mut self, is_reparse: bool) -> Result<()> {
        let list = match self.node.xattr(ntfs3g::STREAMS) {
            Ok(list) => list.unwrap_or_default(),
            // More names than an extended attribute holds.
            Err(error @ (Errno::TOOBIG | Errno::RANGE)) => {
                let why = format!("there are too many named streams for ntfs-3g to list ({error})");
                self.losses.push((None, LossKind::Stream, why));
                return Ok(());
            }
            Err(error) => return Err(Error::io("listing the named streams", error)),
        };
        let mut seen = std::collections::HashSet::new();
        for raw in list.split(|byte| *byte == 0).filter(|raw| !raw.is_empty()) {
            // A fragmented stream is listed once for each of its pieces.
            if !seen.insert(raw) {
                continue;
            }
            let Some(name) = Name::from_wtf8(raw).and_then(|name| StreamName::new(name).ok()) else {
                self.losses.push((None, LossKind::Stream, odd_name(raw)));
                continue;
            };
            if is_reparse {
                let why =
                    "ntfs-3g does not give the streams of a reparse point; read the volume's image instead";
                self.losses.push((Some(name), LossKind::Stream, why.to_owned()));
                continue;
            }
            let raw = OsString::from_vec(raw.to_vec());
            let stat = match rustix::fs::statat(&self.dir, self.stream_path(&raw), AtFlags::SYMLINK_NOFOLLOW)
            {
                Ok(stat) => stat,
                // The names of file and stream count as one.
                Err(error @ Errno::NAMETOOLONG) => {
                    let why = format!("it is out of reach with the name of its file before it: {error}");
                    self.losses.push((Some(name), LossKind::Stream, why));
                    continue;
                }
                Err(error) => return Err(Error::io("looking at the stream", error).in_stream(Some(&name))),
            };
            let head = StreamHead::plain(Some(name), u64::try_from(stat.st_size).unwrap_or(0));
            self.streams.push(Stream::new(head, Content::Named(raw)));
        }
        Ok(())
    }

    /// Named streams where they are extended attributes of the `user` namespace.
    fn find_xattr_streams(&mut self, kind: FileType) {
        let hint = "mount with -o streams_interface=windows";
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            let why =
                format!("of this kind of file the mount does not say whether it has named streams; {hint}");
            self.losses.push((None, LossKind::Stream, why));
            return;
        }
        let names = match self.node.xattr_names() {
            Ok(names) => names,
            Err(error) => {
                let why = format!("the named streams cannot be listed: {error}");
                self.losses.push((None, LossKind::Stream, why));
                return;
            }
        };
        for attribute in names {
            let Some(raw) = attribute.as_bytes().strip_prefix(b"user.") else { continue };
            let Some(name) = Name::from_wtf8(raw).and_then(|name| StreamName::new(name).ok()) else {
                self.losses.push((None, LossKind::Stream, odd_name(raw)));
                continue;
            };
            match self.node.xattr(&attribute) {
                Ok(Some(value)) => {
                    let head = StreamHead::plain(Some(name), value.len() as u64);
                    self.streams.push(Stream::new(head, Content::Bytes(value)));
                }
                Ok(None) => {}
                Err(error) => {
                    let why = format!("it cannot be read as an extended attribute ({error}); {hint}");
                    self.losses.push((Some(name), LossKind::Stream, why));
                }
            }
        }
    }

    fn stream_path(&self, raw: &OsStr) -> OsString {
        let mut path = self.base.clone();
        path.push(":");
        path.push(raw);
        path
    }

    fn at(&self, index: usize) -> Result<&Stream> {
        self.streams
            .get(index)
            .ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream"))
    }

    /// The descriptor of a stream, kept from the last time when it is the same.
    fn descriptor(&self, index: usize) -> Result<Arc<OwnedFd>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, fd)) = &*last
            && *of == index
        {
            return Ok(fd.clone());
        }
        // Nothing here may block, whatever the file has become meanwhile.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match &self.at(index)?.content {
            Content::File => self.node.open_content(OFlags::RDONLY | OFlags::NONBLOCK),
            Content::Named(raw) => rustix::fs::openat(&self.dir, self.stream_path(raw), flags, Mode::empty()),
            Content::Bytes(_) => Err(Errno::BADF),
        };
        let fd = Arc::new(fd.map_err(|error| Error::io("opening the content", error))?);
        *last = Some((index, fd.clone()));
        Ok(fd)
    }

    fn fault(&self, error: Error) -> Error {
        error.at_path(&self.path)
    }
}

impl FileSource for Ntfs3gSource {
    fn info(&self) -> Result<FileInfo> {
        Ok(self.info.clone())
    }

    fn small(&self, kind: SmallKind) -> Result<Option<Cow<'_, [u8]>>> {
        let attribute = match kind {
            SmallKind::Security => ntfs3g::ACL,
            SmallKind::Ea => ntfs3g::EA,
            SmallKind::Reparse => ntfs3g::REPARSE,
            SmallKind::ObjectId => ntfs3g::OBJECT_ID,
            SmallKind::Link => return Ok(None),
        };
        let value = self
            .node
            .xattr(attribute)
            .map_err(|error| self.fault(Error::io(format!("reading {attribute}"), error)))?;
        let Some(value) = value else { return Ok(None) };
        let payload = match kind {
            // On disk every entry has a length, in a list the last one has none.
            SmallKind::Ea => ea::on_disk_to_full(&value).map_err(|error| self.fault(error.into()))?,
            SmallKind::ObjectId => {
                let id = ObjectId::parse(&value).map_err(|error| self.fault(error.into()))?;
                id.as_bytes().to_vec()
            }
            _ => value,
        };
        Ok((!payload.is_empty()).then_some(Cow::Owned(payload)))
    }

    fn read_stored(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.read_at(stream, offset, buf)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn Encrypted + '_>>> {
        let stored = StoredFile::open(self).map_err(|error| self.fault(error))?;
        Ok(stored.map(|stored| Box::new(stored) as Box<dyn Encrypted>))
    }

    fn stream(&self, index: usize) -> Result<Option<StreamHead>> {
        Ok(self.streams.get(index).map(|stream| stream.head.clone()))
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        let head = &self.at(stream)?.head;
        if head.extents == Extents::All {
            return Ok((from < head.size).then(|| Extent { offset: from, len: head.size - from }));
        }
        // ntfs-3g gives no map of holes.
        holes::next_by_zeros(from, head.size, |offset, buffer| self.read_at(stream, offset, buffer))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        if let Content::Bytes(bytes) = &self.at(stream)?.content {
            return Ok(copy_at(bytes, offset, buf));
        }
        let fd = self.descriptor(stream).map_err(|error| self.fault(error))?;
        read_at(&*fd, offset, buf)
            .map_err(|error| self.fault(Error::io("reading the content", error).at_offset(offset)))
    }

    fn remarks(&self, about: Facet, report: &FileReport<'_>) -> Result<()> {
        let counts = |kind: LossKind| about == Facet::All || kind != LossKind::ShortName;
        for (stream, kind, why) in self.losses.iter().filter(|(_, kind, _)| counts(*kind)) {
            report.stream_loss(stream.as_ref(), *kind, why.clone());
        }
        for stream in &self.streams {
            let name = stream.head.name.as_ref();
            if stream.head.extents == Extents::Unknown {
                report.note(name, "ntfs-3g shows no holes: runs of zeros of 64 KiB are taken for them");
            } else if name.is_some() && stream.head.size >= holes::UNIT {
                report
                    .note(name, "ntfs-3g does not say whether a named stream has holes: they come as zeros");
            }
        }
        Ok(())
    }
}

fn odd_name(raw: &[u8]) -> String {
    format!("{} is not a stream name that Windows takes", String::from_utf8_lossy(raw).escape_debug())
}

/// The attributes behind `system.ntfs_attrib`.
pub(crate) fn read_attributes(node: &Node) -> Result<FileAttributes> {
    let value = node.xattr(ntfs3g::ATTRIBUTES).map_err(|error| Error::io("reading the attributes", error))?;
    let bits = value.as_deref().and_then(<[u8]>::first_chunk).map(|bytes| u32::from_ne_bytes(*bytes));
    let attributes = FileAttributes::from_bits_retain(bits.unwrap_or_default());
    // ntfs-3g says NORMAL where nothing is set; on disk there is nothing.
    Ok(if attributes == FileAttributes::NORMAL { FileAttributes::empty() } else { attributes })
}

/// What Interix writes for a device: a magic number, major and minor number.
fn interix_device(magic: [u8; 8], device: u64) -> Vec<u8> {
    let (major, minor) = (u64::from(rustix::fs::major(device)), u64::from(rustix::fs::minor(device)));
    [magic, major.to_le_bytes(), minor.to_le_bytes()].concat()
}
