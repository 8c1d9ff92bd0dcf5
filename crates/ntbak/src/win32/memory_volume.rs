//! A volume in memory: the reference for the functions.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, Record, SmallKind, StreamFlags, Times};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

use crate::capability::Capabilities;
use crate::error::{Error, Result};
use crate::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use crate::report::FileReport;
use crate::sink::{FileSink, MemorySink, Neighbours, encrypted_there};
use crate::source::{FileSource, MemorySource};
use crate::win32::{Content, Entry, Identity, Node, Volume, VolumeFacts};

/// The number of the root directory, as on NTFS.
const ROOT: u64 = 5;

/// Files and directories in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryVolume(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What tells it from other volumes of the process.
    number: u64,
    tree: Mutex<Tree>,
}

#[derive(Debug)]
struct Tree {
    files: HashMap<u64, Item>,
    next: u64,
}

#[derive(Debug)]
struct Item {
    file: SharedFile,
    /// How many names it has.
    names: u32,
    /// Of a directory: what is in it.
    children: BTreeMap<Vec<u8>, u64>,
}

impl Default for MemoryVolume {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
        let root =
            Item { file: SharedFile::new(MemoryFile::directory()), names: 1, children: BTreeMap::new() };
        let tree = Tree { files: HashMap::from([(ROOT, root)]), next: 64 };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Shared { number, tree: Mutex::new(tree) }))
    }
}

impl MemoryVolume {
    /// An empty volume.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file under a path (`dir/file`, no leading separator, `/` or `\`), in place of one that is there; its
    /// directories are made.
    pub fn insert(&self, path: &str, file: MemoryFile) -> SharedFile {
        let file = SharedFile::new(file);
        let mut tree = self.lock();
        let mut directory = ROOT;
        let path = path.replace('\\', "/");
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let there = tree.child(directory, part.as_bytes());
            if parts.peek().is_none() {
                if let Some(there) = there {
                    tree.unname(directory, part.as_bytes(), there);
                }
                tree.add(directory, part.as_bytes(), file.clone());
                break;
            }
            directory = there.unwrap_or_else(|| {
                tree.add(directory, part.as_bytes(), SharedFile::new(MemoryFile::directory()))
            });
        }
        drop(tree);
        file
    }

    /// The file under exactly this path; reparse points are not followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<SharedFile> {
        let tree = self.lock();
        let path = path.replace('\\', "/");
        let number = path
            .split('/')
            .filter(|part| !part.is_empty())
            .try_fold(ROOT, |at, part| tree.child(at, part.as_bytes()))?;
        tree.files.get(&number).map(|item| item.file.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.0.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, number: u64, file: SharedFile) -> Arc<MemoryNode> {
        Arc::new(MemoryNode { volume: self.clone(), number, file })
    }
}

impl Tree {
    fn child(&self, directory: u64, name: &[u8]) -> Option<u64> {
        self.files.get(&directory)?.children.get(name).copied()
    }

    /// Adds a file that is new; answers its number.
    fn add(&mut self, directory: u64, name: &[u8], file: SharedFile) -> u64 {
        let number = self.next;
        self.next += 1;
        self.files.insert(number, Item { file, names: 0, children: BTreeMap::new() });
        self.name(directory, name, number);
        number
    }

    fn name(&mut self, directory: u64, name: &[u8], number: u64) {
        if let Some(item) = self.files.get_mut(&directory) {
            item.children.insert(name.to_vec(), number);
        }
        if let Some(item) = self.files.get_mut(&number) {
            item.names += 1;
        }
    }

    fn unname(&mut self, directory: u64, name: &[u8], number: u64) {
        if let Some(item) = self.files.get_mut(&directory) {
            item.children.remove(name);
        }
        if let Some(item) = self.files.get_mut(&number) {
            item.names = item.names.saturating_sub(1);
            if item.names == 0 {
                self.files.remove(&number);
            }
        }
    }

    /// A directory that still is one.
    fn directory(&self, number: u64) -> Result<&Item> {
        let gone = || Error::new(Win32Error::PATH_NOT_FOUND, "the directory is not there any more");
        let item = self.files.get(&number).ok_or_else(gone)?;
        if !item.file.read().info.attributes.is_directory() {
            return Err(Error::new(Win32Error::DIRECTORY, "it is no directory"));
        }
        Ok(item)
    }

    fn is_below(&self, number: u64, above: u64) -> bool {
        let mut left = vec![above];
        while let Some(at) = left.pop() {
            if at == number {
                return true;
            }
            left.extend(self.files.get(&at).into_iter().flat_map(|item| item.children.values()));
        }
        false
    }
}

impl Volume for MemoryVolume {
    fn root(&self) -> Result<Arc<dyn Node>> {
        let root = self.lock().files.get(&ROOT).map(|item| item.file.clone());
        Ok(self.node(ROOT, root.unwrap_or_default()))
    }
}

struct MemoryNode {
    volume: MemoryVolume,
    number: u64,
    file: SharedFile,
}

impl MemoryNode {
    /// Another node of the same volume.
    fn same_volume<'a>(&self, other: &'a dyn Node) -> Result<&'a Self> {
        let other = other.as_any().downcast_ref::<Self>();
        other
            .filter(|other| Arc::ptr_eq(&other.volume.0, &self.volume.0))
            .ok_or_else(|| Error::new(Win32Error::NOT_SAME_DEVICE, "the two are on different volumes"))
    }

    fn in_use(&self) -> impl Fn(&ObjectId) -> bool + Send + use<> {
        let (volume, this) = (self.volume.clone(), self.file.clone());
        move |id: &ObjectId| {
            let tree = volume.lock();
            let mut others = tree.files.values().map(|item| &item.file).filter(|file| !file.is(&this));
            // The first 16 bytes are the id; the others say where it was born.
            others.any(|file| file.read().object_id.is_some_and(|other| other.guids()[0] == id.guids()[0]))
        }
    }
}

impl Node for MemoryNode {
    fn identity(&self) -> Identity {
        Identity(self.volume.0.number, self.number)
    }

    fn is_directory(&self) -> bool {
        self.file.read().info.attributes.is_directory()
    }

    fn source(&self) -> Result<Box<dyn FileSource>> {
        let names = self.volume.lock().files.get(&self.number).map_or(0, |item| item.names);
        Ok(Box::new(Counted { source: MemorySource::new(self.file.clone()), names, number: self.number }))
    }

    fn reparse(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.file.read().reparse.clone())
    }

    fn volume_facts(&self) -> Result<VolumeFacts> {
        Ok(VolumeFacts {
            label: Name::from("memory"),
            serial: self.volume.0.number,
            file_system: "memory".to_owned(),
            longest_name: 255,
            can: Capabilities::everything(),
            hard_links: true,
            read_only: false,
        })
    }

    fn child(&self, name: &[u8]) -> Result<Option<Arc<dyn Node>>> {
        let tree = self.volume.lock();
        let Some(number) = tree.child(self.number, name) else { return Ok(None) };
        let file = tree.files.get(&number).map(|item| item.file.clone());
        Ok(file.map(|file| self.volume.node(number, file) as Arc<dyn Node>))
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let tree = self.volume.lock();
        let children = tree.directory(self.number)?.children.iter();
        Ok(children.map(|(name, number)| Entry { name: name.clone(), number: Some(*number) }).collect())
    }

    fn is_case_sensitive(&self) -> bool {
        self.file.read().info.case_sensitive
    }

    fn short_name(&self) -> Option<Name> {
        self.file.read().info.short_name().cloned()
    }

    fn content(&self, stream: Option<&StreamName>, _write: bool) -> Result<Box<dyn Content>> {
        let key = StreamKey::of(stream);
        let content = MemoryContent { file: self.file.clone(), key };
        content.size()?;
        Ok(Box::new(content))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn sink(&self) -> Result<Box<dyn FileSink>> {
        let in_use = self.in_use();
        Ok(Box::new(MemorySink::in_place(self.file.clone()).among(Neighbours(Box::new(in_use)))))
    }

    fn stage(&self, name: &[u8], directory: bool) -> Result<Box<dyn FileSink>> {
        let tree = self.volume.lock();
        tree.directory(self.number)?;
        let there = tree.child(self.number, name).and_then(|number| tree.files.get(&number));
        let file = there.map(|item| item.file.clone()).unwrap_or_default();
        drop(tree);
        let sink = Box::new(MemorySink::staged(file.clone(), directory));
        let (volume, directory) = (self.volume.clone(), self.number);
        Ok(Box::new(Staged { sink, volume, directory, name: name.to_vec(), file }))
    }

    fn create(&self, name: &[u8], directory: bool) -> Result<Arc<dyn Node>> {
        let mut tree = self.volume.lock();
        tree.directory(self.number)?;
        if tree.child(self.number, name).is_some() {
            return Err(Error::new(Win32Error::ALREADY_EXISTS, "the name is there already"));
        }
        let file = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
        let number = tree.add(self.number, name, file.clone());
        drop(tree);
        Ok(self.volume.node(number, file))
    }

    fn remove(&self, name: &[u8], node: &dyn Node) -> Result<()> {
        let node = self.same_volume(node)?;
        let mut tree = self.volume.lock();
        if tree.child(self.number, name) != Some(node.number) {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there any more"));
        }
        if tree.files.get(&node.number).is_some_and(|item| !item.children.is_empty()) {
            return Err(Error::new(Win32Error::DIR_NOT_EMPTY, "the directory is not empty"));
        }
        tree.unname(self.number, name, node.number);
        Ok(())
    }

    fn rename(&self, name: &[u8], node: &dyn Node, to: &dyn Node, new: &[u8], replace: bool) -> Result<()> {
        let (node, to) = (self.same_volume(node)?, self.same_volume(to)?);
        let mut tree = self.volume.lock();
        if tree.child(self.number, name) != Some(node.number) {
            return Err(Error::new(Win32Error::FILE_NOT_FOUND, "the file is not there any more"));
        }
        tree.directory(to.number)?;
        if tree.is_below(to.number, node.number) {
            return Err(Error::new(Win32Error::INVALID_PARAMETER, "a directory cannot be moved into itself"));
        }
        match tree.child(to.number, new) {
            Some(there) if there != node.number => {
                let is_file = tree
                    .files
                    .get(&there)
                    .is_some_and(|item| !item.file.read().info.attributes.is_directory());
                if !replace {
                    return Err(Error::new(Win32Error::ALREADY_EXISTS, "the name is there already"));
                }
                if !is_file {
                    return Err(Error::new(Win32Error::ACCESS_DENIED, "a directory is there"));
                }
                tree.unname(to.number, new, there);
            }
            // Another name of the same file.
            Some(_) if (self.number, name) != (to.number, new) => tree.unname(to.number, new, node.number),
            _ => {}
        }
        tree.name(to.number, new, node.number);
        if (self.number, name) != (to.number, new) {
            tree.unname(self.number, name, node.number);
        } else if let Some(item) = tree.files.get_mut(&node.number) {
            item.names -= 1;
        }
        Ok(())
    }

    fn link(&self, name: &[u8], file: &dyn Node) -> Result<()> {
        let file = self.same_volume(file)?;
        let mut tree = self.volume.lock();
        tree.directory(self.number)?;
        if tree.child(self.number, name).is_some() {
            return Err(Error::new(Win32Error::ALREADY_EXISTS, "the name is there already"));
        }
        let item = tree.files.get(&file.number);
        let item = item.ok_or_else(|| Error::new(Win32Error::FILE_NOT_FOUND, "the file is deleted"))?;
        if item.names >= 1024 {
            return Err(Error::new(Win32Error::TOO_MANY_LINKS, "a file has 1024 names at most"));
        }
        tree.name(self.number, name, file.number);
        Ok(())
    }

    fn overwrite(&self) -> Result<()> {
        let mut file = self.file.write();
        if file.efs_raw.is_some() {
            return Err(encrypted_there());
        }
        let info = std::mem::take(&mut file.info);
        *file = MemoryFile {
            security: file.security.take(),
            reparse: file.reparse.take(),
            object_id: file.object_id.take(),
            linux_attributes: std::mem::take(&mut file.linux_attributes),
            info,
            ..MemoryFile::file()
        };
        file.info.attributes.remove(FileAttributes::SPARSE_FILE | FileAttributes::COMPRESSED);
        Ok(())
    }

    fn set_basic(&self, attributes: Option<FileAttributes>, times: &Times) -> Result<()> {
        let mut file = self.file.write();
        if let Some(attributes) = attributes {
            file.info.attributes = attributes;
        }
        let now = &mut file.info.times;
        now.created = times.created.or(now.created);
        now.written = times.written.or(now.written);
        now.accessed = times.accessed.or(now.accessed);
        now.changed = times.changed.or(now.changed);
        Ok(())
    }

    fn set_sparse(&self, sparse: bool) -> Result<()> {
        let mut file = self.file.write();
        file.info.attributes.set(FileAttributes::SPARSE_FILE, sparse);
        if let Some(stream) = file.streams.get_mut(&StreamKey::default()) {
            stream.flags.set(StreamFlags::SPARSE, sparse);
        }
        Ok(())
    }

    fn remove_small(&self, kind: SmallKind) -> Result<()> {
        let mut file = self.file.write();
        match kind {
            SmallKind::Reparse => {
                file.reparse = None;
                file.info.attributes.remove(FileAttributes::REPARSE_POINT);
            }
            SmallKind::ObjectId => file.object_id = None,
            SmallKind::Ea => file.ea = None,
            SmallKind::Security | SmallKind::Link => {}
        }
        Ok(())
    }

    fn set_object_id(&self, id: &ObjectId) -> Result<()> {
        if self.in_use()(id) {
            return Err(Error::new(Win32Error::DUP_NAME, "another file of the volume has this object id"));
        }
        self.file.write().object_id = Some(*id);
        Ok(())
    }

    fn make_stream(&self, name: &StreamName) -> Result<()> {
        let mut file = self.file.write();
        if file.efs_raw.is_some() {
            return Err(encrypted_there());
        }
        file.streams
            .entry(StreamKey::of(Some(name)))
            .or_insert_with(|| MemoryStream::new(Some(name.clone()), StreamFlags::empty()));
        Ok(())
    }

    fn remove_stream(&self, name: &StreamName) -> Result<()> {
        let removed = self.file.write().streams.remove(&StreamKey::of(Some(name)));
        removed.map(drop).ok_or_else(no_stream)
    }
}

fn no_stream() -> Error {
    Error::new(Win32Error::FILE_NOT_FOUND, "there is no such stream")
}

/// A source that knows how many names its file has.
struct Counted {
    source: MemorySource,
    names: u32,
    number: u64,
}

impl FileSource for Counted {
    fn info(&self) -> Result<ntbak_wire::record::FileInfo> {
        let mut info = self.source.info()?;
        (info.link_count, info.node.0) = (self.names, self.number);
        Ok(info)
    }

    fn small(&self, kind: SmallKind) -> Result<Option<std::borrow::Cow<'_, [u8]>>> {
        self.source.small(kind)
    }

    fn linux_attribute(&self, index: usize) -> Result<Option<crate::source::LinuxAttribute<'_>>> {
        self.source.linux_attribute(index)
    }

    fn stream(&self, index: usize) -> Result<Option<ntbak_wire::record::StreamHead>> {
        self.source.stream(index)
    }

    fn next_extent(&self, stream: usize, from: u64) -> Result<Option<Extent>> {
        self.source.next_extent(stream, from)
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.source.read_at(stream, offset, buf)
    }

    fn encrypted(&self) -> Result<Option<Box<dyn crate::efs::Encrypted + '_>>> {
        self.source.encrypted()
    }
}

struct MemoryContent {
    file: SharedFile,
    key: StreamKey,
}

impl MemoryContent {
    fn change<T>(&self, change: impl FnOnce(&mut MemoryStream) -> T) -> Result<T> {
        let mut file = self.file.write();
        if file.efs_raw.is_some() {
            return Err(encrypted_there());
        }
        file.streams.get_mut(&self.key).map(change).ok_or_else(no_stream)
    }
}

impl Content for MemoryContent {
    fn size(&self) -> Result<u64> {
        self.file.read().streams.get(&self.key).map(|stream| stream.size).ok_or_else(no_stream)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let file = self.file.read();
        file.streams.get(&self.key).map(|stream| stream.read(offset, buf)).ok_or_else(no_stream)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.change(|stream| {
            stream.write(offset, data);
            if !data.is_empty() {
                // What lies between is zeros, and as valid as the rest.
                stream.vdl = stream.vdl.max(offset.saturating_add(data.len() as u64)).min(stream.size);
            }
        })
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.change(|stream| stream.set_size(size))
    }

    fn zero(&self, range: Extent, hole: bool) -> Result<()> {
        self.change(|stream| {
            let len = range.end().min(stream.size).saturating_sub(range.offset);
            let range = Extent { offset: range.offset, len };
            stream.clear(range.offset, range.end());
            if !hole && range.len > 0 {
                // Zeros that take room: no more of them at a time than a caller may ask for.
                let len = usize::try_from(range.len).unwrap_or(usize::MAX).min(1 << 20);
                if len as u64 == range.len {
                    stream.write(range.offset, &vec![0; len]);
                }
            }
        })
    }
}

/// A file that gets its name with the commit.
struct Staged {
    sink: Box<MemorySink>,
    volume: MemoryVolume,
    directory: u64,
    name: Vec<u8>,
    file: SharedFile,
}

impl FileSink for Staged {
    fn can(&self) -> &Capabilities {
        self.sink.can()
    }

    fn is_directory(&self) -> bool {
        self.sink.is_directory()
    }

    fn put(&mut self, record: &Record<'_>, report: &FileReport<'_>) -> Result<()> {
        self.sink.put(record, report)
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        self.sink.link(target)
    }

    fn commit(self: Box<Self>, report: &FileReport<'_>) -> Result<()> {
        let Self { sink, volume, directory, name, file } = *self;
        sink.commit(report)?;
        let mut tree = volume.lock();
        tree.directory(directory)?;
        match tree.child(directory, &name) {
            // It was there, and is another file now by its content alone.
            Some(there) if tree.files.get(&there).is_some_and(|item| item.file.is(&file)) => {}
            Some(there) => {
                tree.unname(directory, &name, there);
                tree.add(directory, &name, file);
            }
            None => drop(tree.add(directory, &name, file)),
        }
        Ok(())
    }
}
