//! A file in memory: the reference, which holds every fact.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, FileInfo, StreamFlags};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name};

/// Everything about one file or directory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryFile {
    /// Attributes, times and names.
    pub info: FileInfo,
    /// The self-relative security descriptor.
    pub security: Option<Vec<u8>>,
    /// The extended attributes as a FILE_FULL_EA_INFORMATION list.
    pub ea: Option<Vec<u8>>,
    /// The reparse buffer.
    pub reparse: Option<Vec<u8>>,
    /// The object id.
    pub object_id: Option<ObjectId>,
    /// The data streams; a file has an unnamed one, a directory does not.
    pub streams: BTreeMap<StreamKey, MemoryStream>,
    /// The raw export of an encrypted file, which then has no other streams.
    pub efs_raw: Option<Vec<u8>>,
    /// Extended attributes of Linux that are no fact about a Windows file, by name.
    pub linux_attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The paths of LINK streams that were written to it.
    pub links: Vec<Name>,
}

impl MemoryFile {
    /// An empty file.
    #[must_use]
    pub fn file() -> Self {
        let mut file = Self::default();
        file.info.attributes = FileAttributes::ARCHIVE;
        file.streams.insert(StreamKey::default(), MemoryStream::default());
        file
    }

    /// An empty directory.
    #[must_use]
    pub fn directory() -> Self {
        let mut file = Self::default();
        file.info.attributes = FileAttributes::DIRECTORY;
        file
    }

    /// The same file with this content in its unnamed stream, or in a named one.
    #[must_use]
    pub fn with_stream(mut self, name: Option<StreamName>, data: &[u8]) -> Self {
        let mut stream = MemoryStream::new(name.clone(), StreamFlags::empty());
        stream.write(0, data);
        stream.vdl = stream.size;
        self.streams.insert(StreamKey::of(name.as_ref()), stream);
        self
    }

    /// A stream by its name, `None` being the unnamed one; names differ by more than their case.
    #[must_use]
    pub fn stream(&self, name: Option<&StreamName>) -> Option<&MemoryStream> {
        self.streams.get(&StreamKey::of(name))
    }
}

/// The order and identity of stream names: NTFS compares them without regard to case. The unnamed stream is first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamKey(Vec<u16>);

impl StreamKey {
    /// The key of this name.
    #[must_use]
    pub fn of(name: Option<&StreamName>) -> Self {
        Self(name.map(|name| Self::upper(name.name()).units().to_vec()).unwrap_or_default())
    }

    /// A name in upper case, unit by unit as NTFS does it: what has no single upper-case unit stays.
    #[must_use]
    pub fn upper(name: &Name) -> Name {
        let upper = |unit: &u16| {
            let Some(character) = char::from_u32(u32::from(*unit)) else { return *unit };
            let mut upper = character.to_uppercase();
            match (upper.next().map(|upper| u16::try_from(u32::from(upper))), upper.next()) {
                (Some(Ok(single)), None) => single,
                _ => *unit,
            }
        };
        Name::from_units(name.units().iter().map(upper).collect())
    }
}

/// One data stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemoryStream {
    /// The name; `None` is the unnamed stream.
    pub name: Option<StreamName>,
    /// Size in bytes.
    pub size: u64,
    /// Valid data length in bytes.
    pub vdl: u64,
    /// How it is stored.
    pub flags: StreamFlags,
    /// What was written, by offset: ranges that neither overlap nor touch. The rest reads as zeros.
    content: BTreeMap<u64, Vec<u8>>,
}

impl MemoryStream {
    /// An empty stream.
    #[must_use]
    pub fn new(name: Option<StreamName>, flags: StreamFlags) -> Self {
        Self { name, flags, ..Self::default() }
    }

    /// Writes bytes at an offset; the stream grows as far as that needs.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let end = offset.saturating_add(data.len() as u64);
        self.size = self.size.max(end);
        // The way of nearly all writes: at the end of what is there.
        if let Some((start, last)) = self.content.range_mut(..=offset).next_back()
            && *start + last.len() as u64 == offset
        {
            last.extend_from_slice(data);
            self.join_behind(offset);
            return;
        }
        self.clear(offset, end);
        let start = self.content.range(..=offset).next_back().map(|(start, _)| *start);
        match start.and_then(|start| self.content.get_mut(&start).map(|range| (start, range))) {
            Some((start, range)) if start + range.len() as u64 == offset => range.extend_from_slice(data),
            _ => drop(self.content.insert(offset, data.to_vec())),
        }
        self.join_behind(offset);
    }

    /// The stream gets this size; what lies behind it goes.
    pub fn set_size(&mut self, size: u64) {
        self.clear(size, u64::MAX);
        self.size = size;
        self.vdl = self.vdl.min(size);
    }

    /// Reads at an offset; answers how many bytes, 0 only at the end.
    #[must_use]
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let len =
            usize::try_from(self.size.saturating_sub(offset)).map_or(buf.len(), |left| left.min(buf.len()));
        let mut rest = buf.get_mut(..len).unwrap_or_default();
        let mut at = offset;
        while !rest.is_empty() {
            let Some((gap, data)) = self.piece(at) else {
                rest.fill(0);
                break;
            };
            let (zeros, behind) =
                rest.split_at_mut(usize::try_from(gap).map_or(rest.len(), |gap| gap.min(rest.len())));
            zeros.fill(0);
            let (filled, behind) = behind.split_at_mut(data.len().min(behind.len()));
            if let Some(data) = data.get(..filled.len()) {
                filled.copy_from_slice(data);
            }
            at += (zeros.len() + filled.len()) as u64;
            rest = behind;
        }
        len
    }

    /// The first written range that ends after `from`, cut to begin at `from` or later.
    #[must_use]
    pub fn extent(&self, from: u64) -> Option<Extent> {
        let (gap, data) = self.piece(from)?;
        Some(Extent { offset: from + gap, len: data.len() as u64 })
    }

    /// The next written bytes at or after `at`, and how far away they are.
    fn piece(&self, at: u64) -> Option<(u64, &[u8])> {
        if let Some((start, data)) = self.content.range(..=at).next_back()
            && let Some(data) = usize::try_from(at - start).ok().and_then(|skip| data.get(skip..))
            && !data.is_empty()
        {
            return Some((0, data));
        }
        let (start, data) = self.content.range(at..).next()?;
        Some((start - at, data))
    }

    /// Takes everything from `from` to `to` out of the content.
    pub(crate) fn clear(&mut self, from: u64, to: u64) {
        let before = self.content.range_mut(..from).next_back();
        if let Some((start, data)) = before
            && let Ok(keep) = usize::try_from(from - *start)
            && keep < data.len()
        {
            let mut cut = data.split_off(keep);
            if let Ok(gone) = usize::try_from(to - from)
                && gone < cut.len()
            {
                self.content.insert(to, cut.split_off(gone));
                return;
            }
        }
        while let Some(start) = self.content.range(from..to).next().map(|(start, _)| *start) {
            let Some(mut data) = self.content.remove(&start) else { return };
            if let Ok(gone) = usize::try_from(to - start)
                && gone < data.len()
            {
                self.content.insert(to, data.split_off(gone));
            }
        }
    }

    /// Lets the range that `offset` is in swallow what it now touches or overlaps.
    fn join_behind(&mut self, offset: u64) {
        let Some((start, mut end)) = self
            .content
            .range(..=offset)
            .next_back()
            .map(|(start, data)| (*start, start + data.len() as u64))
        else {
            return;
        };
        while let Some(next) = self.content.range(start + 1..=end).next().map(|(next, _)| *next) {
            let Some(behind) = self.content.remove(&next) else { return };
            let Some(data) = self.content.get_mut(&start) else { return };
            let covered = usize::try_from(end - next).unwrap_or(usize::MAX);
            if let Some(behind) = behind.get(covered..) {
                data.extend_from_slice(behind);
            }
            end = start + data.len() as u64;
        }
    }
}

/// A [`MemoryFile`] that handles, sources and sinks share.
#[derive(Debug, Clone, Default)]
pub struct SharedFile(Arc<RwLock<MemoryFile>>);

impl SharedFile {
    /// Shares a file.
    #[must_use]
    pub fn new(file: MemoryFile) -> Self {
        Self(Arc::new(RwLock::new(file)))
    }

    /// Whether the two are the same file.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that tells this file from others, for as long as it is there.
    pub(crate) fn address(&self) -> u64 {
        Arc::as_ptr(&self.0).addr() as u64
    }

    /// The file, for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, MemoryFile> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, MemoryFile> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
