//! What there is about each file, for a list and for comparing: content as its hash.

use std::collections::BTreeMap;

use ntbak_wire::record::{Extent, Extents, FileInfo, Record, SmallKind, StreamHead};

use super::{Begun, TreeSink, Verbatim};
use crate::backup::BackupOptions;
use crate::error::{Error, Result};
use crate::report::FileReport;
use crate::tree::LinkVisit;

/// Everything about one file, with content as its hash.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// Its path in the tree; empty for the root.
    pub path: Vec<u8>,
    /// Attributes, times and names.
    pub info: FileInfo,
    /// Its small payloads, as they are.
    pub small: BTreeMap<SmallKind, Vec<u8>>,
    /// Extended attributes of Linux that are no fact about a Windows file.
    pub linux_attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its data streams, in their order.
    pub streams: Vec<StreamDescription>,
    /// The raw export of an encrypted file, in place of its streams.
    pub efs: Option<StreamDescription>,
}

/// One data stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamDescription {
    /// What was known of it before its content.
    pub head: StreamHead,
    /// Its size in bytes.
    pub size: u64,
    /// Its ranges, of a stream that has holes.
    pub allocated: Vec<Extent>,
    /// BLAKE3 of all its bytes, holes as zeros; `None` where content was not asked for.
    pub blake3: Option<[u8; 32]>,
}

/// One thing of a tree.
#[derive(Debug)]
pub enum Described<'a> {
    /// A file or directory.
    File(&'a Description),
    /// Another name of a file.
    Link {
        /// The name.
        path: &'a [u8],
        /// The path under which the file was described.
        target: &'a [u8],
    },
}

/// Hears of each thing in a tree.
pub type Listener<'f> = Box<dyn FnMut(Described<'_>) -> Result<()> + 'f>;

/// Tells what there is about each file.
pub struct DescribeSink<'f> {
    each: Listener<'f>,
    hash: bool,
}

impl<'f> DescribeSink<'f> {
    /// Tells `each`; with the hashes of all content, or without reading it.
    pub fn new(hash: bool, each: Listener<'f>) -> Self {
        Self { each, hash }
    }
}

impl TreeSink for DescribeSink<'_> {
    fn options(&self) -> BackupOptions {
        BackupOptions {
            extents_first: true,
            stop_at_vdl: true,
            small_first: true,
            no_content: !self.hash,
            ..BackupOptions::default()
        }
    }

    fn begin(&mut self, path: &[u8], _: &FileInfo, _: &FileReport<'_>) -> Result<Begun<'_>> {
        let hash = self.hash.then(blake3::Hasher::new);
        let file = Description { path: path.to_vec(), ..Description::default() };
        Ok(Begun::Verbatim(Box::new(Describing { each: &mut self.each, file, hash, at: 0, efs: false })))
    }

    fn link(&mut self, link: &LinkVisit<'_>, _: &FileReport<'_>) -> Result<bool> {
        (self.each)(Described::Link { path: link.path, target: link.target })?;
        Ok(true)
    }

    /// Only who listens can fail.
    fn is_fatal(&self, _: &Error) -> bool {
        true
    }
}

struct Describing<'s, 'f> {
    each: &'s mut Listener<'f>,
    file: Description,
    hash: Option<blake3::Hasher>,
    /// The next byte of the stream that is to be hashed.
    at: u64,
    efs: bool,
}

/// What stands for a hole.
static ZEROS: [u8; 65_536] = [0; 65_536];

impl Describing<'_, '_> {
    fn begin(&mut self, head: StreamHead) {
        self.at = 0;
        if let Some(hash) = &mut self.hash {
            hash.reset();
        }
        let allocated = match &head.extents {
            Extents::Known(extents) => extents.clone(),
            _ => Vec::new(),
        };
        let stream = StreamDescription { size: head.size, head, allocated, blake3: None };
        if self.efs { self.file.efs = Some(stream) } else { self.file.streams.push(stream) }
    }

    fn zeros(&mut self, to: u64) {
        let Some(hash) = &mut self.hash else { return };
        while self.at < to {
            let len = usize::try_from(to - self.at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            hash.update(ZEROS.get(..len).unwrap_or_default());
            self.at += len as u64;
        }
    }

    fn end(&mut self, size: u64) {
        self.zeros(size);
        let blake3 = self.hash.as_ref().map(|hash| *hash.finalize().as_bytes());
        let stream = if self.efs { self.file.efs.as_mut() } else { self.file.streams.last_mut() };
        if let Some(stream) = stream {
            (stream.size, stream.blake3) = (size, blake3);
        }
        self.efs = false;
    }
}

impl Verbatim for Describing<'_, '_> {
    fn put(&mut self, record: &Record<'_>, _: &FileReport<'_>) -> Result<()> {
        match record {
            Record::File(info) => self.file.info = (*info).clone(),
            Record::Small(kind, payload) => drop(self.file.small.insert(*kind, payload.to_vec())),
            Record::LinuxAttribute { name, value } => {
                self.file.linux_attributes.insert(name.to_vec(), value.to_vec());
            }
            Record::EfsRaw { size } => {
                self.efs = true;
                self.begin(StreamHead::plain(None, size.unwrap_or_default()));
            }
            Record::Stream(head) => self.begin((*head).clone()),
            Record::Bytes { offset, data } => {
                self.zeros(*offset);
                if let Some(hash) = &mut self.hash {
                    hash.update(data);
                }
                self.at += data.len() as u64;
            }
            Record::EndStream { size } => self.end(*size),
            Record::EndFile => (self.each)(Described::File(&self.file))?,
            _ => {}
        }
        Ok(())
    }

    fn abandon(&mut self, _: &str) {}
}
