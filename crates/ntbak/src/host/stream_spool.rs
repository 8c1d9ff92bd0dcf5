//! The named streams of a file that is being written, kept until its commit says where they go: small ones here, the
//! others as a backup stream in a file beside.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ntbak_wire::Name;
use ntbak_wire::record::{Extent, Extents, Record, StreamFlags, StreamHead};
use ntbak_wire::stream::{RecordEncoder, sparse};

use crate::error::Result;
use crate::host::content::ZEROS;
use crate::host::samba_writer::MAX_STREAM;
use crate::host::side_writer::SideWriter;
use crate::memory::StreamKey;

/// Bytes of small streams that are held.
const MAX_HELD: usize = 256 << 10;

/// A stream of at most [`MAX_STREAM`] bytes without holes.
#[derive(Debug)]
pub(crate) struct SmallStream {
    key: StreamKey,
    pub(crate) head: StreamHead,
    pub(crate) content: Vec<u8>,
}

/// The streams so far.
#[derive(Debug, Default)]
pub(crate) struct StreamSpool {
    /// Those that are held here, whole.
    pub(crate) small: Vec<SmallStream>,
    /// Bytes of all of them.
    held: usize,
    filling: Option<SmallStream>,
    file: Option<SideWriter>,
    /// Bytes of the file up to the last stream that is whole.
    whole: u64,
    encoder: RecordEncoder,
    bytes: Vec<u8>,
    /// Where content has come to, when it comes without blocks.
    next: Option<u64>,
    current: StreamKey,
    /// All that are whole.
    pub(crate) names: HashSet<StreamKey>,
    /// What a backup stream does not say of them.
    pub(crate) facts: Vec<(Name, Option<u64>, StreamFlags)>,
}

/// Opens the directory beside which the file lies.
pub(crate) type Home<'a> = &'a dyn Fn() -> Result<Arc<OwnedFd>>;

impl StreamSpool {
    pub(crate) fn begin(&mut self, head: &StreamHead, home: Home<'_>) -> Result<()> {
        self.current = StreamKey::of(head.name.as_ref());
        self.filling = None;
        if let Some(name) = &head.name
            && !head.amend
        {
            // The backup stream says by itself that a stream is sparse.
            let vdl = (head.vdl < head.size).then_some(head.vdl);
            self.facts.push((name.name().clone(), vdl, head.flags - StreamFlags::SPARSE));
        }
        // What a block goes over must be the last stream of the file.
        if head.amend
            && let Some(small) = self.take_small()
        {
            self.move_to_file(&small, home)?;
            self.encode(&Record::EndStream { size: small.content.len() as u64 }, home)?;
        }
        let dense = head.extents == Extents::All && !head.flags.contains(StreamFlags::SPARSE);
        if dense && !head.amend && head.vdl >= head.size && fits(head.size) && self.held <= MAX_HELD {
            let key = self.current.clone();
            self.filling = Some(SmallStream { key, head: head.clone(), content: Vec::new() });
            return Ok(());
        }
        self.begin_in_file(head, home)
    }

    fn begin_in_file(&mut self, head: &StreamHead, home: Home<'_>) -> Result<()> {
        self.next = (!sparse::is_in_blocks(head) && !head.amend).then_some(0);
        self.encode(&Record::Stream(head), home)
    }

    pub(crate) fn block(&mut self, extent: Extent, home: Home<'_>) -> Result<()> {
        if self.filling.is_some() { Ok(()) } else { self.encode(&Record::Block(extent), home) }
    }

    /// Content; what `BackupSeek` has passed over becomes zeros.
    pub(crate) fn bytes(&mut self, offset: u64, data: &[u8], home: Home<'_>) -> Result<()> {
        if let Some(mut small) = self.filling.take() {
            let end = offset.saturating_add(data.len() as u64);
            if fits(end) {
                small.put(offset, data);
                self.filling = Some(small);
                return Ok(());
            }
            self.move_to_file(&small, home)?;
        }
        self.fill_up_to(offset, home)?;
        if let Some(next) = &mut self.next {
            *next += data.len() as u64;
        }
        self.encode(&Record::Bytes { offset, data }, home)
    }

    pub(crate) fn end(&mut self, size: u64, home: Home<'_>) -> Result<()> {
        // A later stream of the name takes the place of the first.
        drop(self.take_small());
        if let Some(mut small) = self.filling.take() {
            if let Some(size) = usize::try_from(size).ok().filter(|_| fits(size)) {
                small.content.resize(size, 0);
                self.held += size;
                self.small.push(small);
                self.names.insert(self.current.clone());
                return Ok(());
            }
            self.move_to_file(&small, home)?;
        }
        self.fill_up_to(size, home)?;
        self.encode(&Record::EndStream { size }, home)?;
        self.whole = self.file.as_ref().map_or(0, SideWriter::len);
        self.names.insert(self.current.clone());
        Ok(())
    }

    /// Puts what is known of the last stream only at its end in the place of what was known at its begin.
    pub(crate) fn set_fact(&mut self, vdl: Option<u64>, flags: StreamFlags) {
        if let Some(fact) = self.facts.last_mut() {
            (fact.1, fact.2) = (vdl, flags);
        }
    }

    /// The stream of the current name that is held, which is no more then.
    fn take_small(&mut self) -> Option<SmallStream> {
        if !self.names.contains(&self.current) {
            return None;
        }
        let at = self.small.iter().position(|small| small.key == self.current)?;
        let small = self.small.remove(at);
        self.held -= small.content.len();
        Some(small)
    }

    /// A stream that became larger than it had said.
    fn move_to_file(&mut self, small: &SmallStream, home: Home<'_>) -> Result<()> {
        self.begin_in_file(&small.head, home)?;
        self.next = Some(small.content.len() as u64);
        self.encode(&Record::Bytes { offset: 0, data: &small.content }, home)
    }

    fn fill_up_to(&mut self, offset: u64, home: Home<'_>) -> Result<()> {
        while let Some(next) = self.next.filter(|next| *next < offset) {
            let len = usize::try_from(offset - next).map_or(ZEROS.len(), |gap| gap.min(ZEROS.len()));
            self.encode(&Record::Bytes { offset: next, data: ZEROS.get(..len).unwrap_or_default() }, home)?;
            self.next = Some(next + len as u64);
        }
        Ok(())
    }

    fn encode(&mut self, record: &Record<'_>, home: Home<'_>) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(SideWriter::new(&home()?)?);
        }
        self.bytes.clear();
        self.encoder.put(record, &mut self.bytes)?;
        match &mut self.file {
            Some(file) => file.append(&self.bytes),
            None => Ok(()),
        }
    }

    /// Whether there is any stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.file.is_none()
    }

    /// Whether some are in a file already.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Appends the streams of the file, and those still held, to a side file.
    pub(crate) fn append_to(&mut self, writer: &mut SideWriter) -> Result<()> {
        if let Some(file) = self.file.take() {
            writer.append_from(&file, self.whole)?;
        }
        self.small.drain(..).try_for_each(|small| writer.append_whole(&small.head, &small.content))
    }
}

impl SmallStream {
    fn put(&mut self, offset: u64, data: &[u8]) {
        let Ok(offset) = usize::try_from(offset) else { return };
        let end = offset + data.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        if let Some(place) = self.content.get_mut(offset..end) {
            place.copy_from_slice(data);
        }
    }
}

fn fits(size: u64) -> bool {
    usize::try_from(size).is_ok_and(|size| size <= MAX_STREAM)
}
