//! What the tests of the engine share: backup streams written and split by hand, files in memory, sources that need no
//! memory, and places that fail when they are told to.
#![allow(dead_code, unreachable_pub)] // Every test binary uses a part of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ntbak::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use ntbak::sink::{FileSink, MemorySink};
use ntbak::source::{FileSource, MemorySource};
use ntbak::win32::{
    Access, Content, Context, Create, Drives, Entry, FileFlags, Handle, Identity, MemoryVolume, Node, System,
    Volume, VolumeFacts, backup_finish, backup_read, backup_write,
};
use ntbak::{BackupReader, BackupWriter, Capabilities, Collected, Error, FileReport, ReadRights, Unheld};
use ntbak::{WritePolicy, WriteRights};
use ntbak_wire::ea::{self, Ea};
use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{Extent, Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};
use ntbak_wire::security::sddl::parse_sddl;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, Name, Win32Error};

// The ids of MS-BKUP 2.1, by hand: the tests do not ask the code under test what a stream looks like.
pub const DATA: u32 = 1;
pub const EA: u32 = 2;
pub const SECURITY: u32 = 3;
pub const ALTERNATE: u32 = 4;
pub const LINK: u32 = 5;
pub const PROPERTY: u32 = 6;
pub const OBJECT_ID: u32 = 7;
pub const REPARSE: u32 = 8;
pub const BLOCK: u32 = 9;
pub const TXFS: u32 = 10;
pub const GHOSTED: u32 = 11;
/// STREAM_SPARSE_ATTRIBUTE.
pub const SPARSE: u32 = 8;

pub const READ: Access = Access::GENERIC_READ.union(Access::ACCESS_SYSTEM_SECURITY);
pub const WRITE: Access = Access::GENERIC_WRITE
    .union(Access::WRITE_DAC)
    .union(Access::WRITE_OWNER)
    .union(Access::ACCESS_SYSTEM_SECURITY);
pub const ITSELF: FileFlags = FileFlags::BACKUP_SEMANTICS.union(FileFlags::OPEN_REPARSE_POINT);

/// A header with any size, and its name.
pub fn header(id: u32, attributes: u32, size: u64, name: &[u16]) -> Vec<u8> {
    let mut out = [id.to_le_bytes(), attributes.to_le_bytes()].concat();
    out.extend(size.to_le_bytes());
    out.extend((name.len() as u32 * 2).to_le_bytes());
    out.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    out
}

/// One whole stream without a name.
pub fn stream(id: u32, attributes: u32, payload: &[u8]) -> Vec<u8> {
    [header(id, attributes, payload.len() as u64, &[]), payload.to_vec()].concat()
}

/// One whole ALTERNATE_DATA stream; `name` with its colons.
pub fn named(name: &str, attributes: u32, payload: &[u8]) -> Vec<u8> {
    let name: Vec<u16> = name.encode_utf16().collect();
    [header(ALTERNATE, attributes, payload.len() as u64, &name), payload.to_vec()].concat()
}

/// One SPARSE_BLOCK; without data it is the terminator.
pub fn block(offset: u64, data: &[u8]) -> Vec<u8> {
    stream(BLOCK, SPARSE, &[&offset.to_le_bytes()[..], data].concat())
}

/// One stream of a backup stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub id: u32,
    pub attributes: u32,
    pub name: String,
    pub payload: Vec<u8>,
}

/// Splits a backup stream, which must be whole.
pub fn split(mut bytes: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let size = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
        let name_end = 20 + u32_at(16) as usize;
        let units: Vec<u16> =
            bytes[20..name_end].chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        pieces.push(Piece {
            id: u32_at(0),
            attributes: u32_at(4),
            name: String::from_utf16_lossy(&units),
            payload: bytes[name_end..name_end + size].to_vec(),
        });
        bytes = &bytes[name_end + size..];
    }
    pieces
}

/// Id, attributes and size of every stream.
pub fn shape(bytes: &[u8]) -> Vec<(u32, u32, usize)> {
    split(bytes).iter().map(|piece| (piece.id, piece.attributes, piece.payload.len())).collect()
}

pub fn name(text: &str) -> StreamName {
    StreamName::new(Name::from(text)).unwrap()
}

/// `len` bytes that differ from place to place.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at >> 8) as u8).collect()
}

pub fn sd(text: &str) -> Vec<u8> {
    parse_sddl(text).unwrap()
}

/// A descriptor with all four parts.
pub fn full_sd() -> Vec<u8> {
    sd("O:BAG:SYD:PAI(A;OICI;FA;;;BA)(D;;FW;;;WD)S:AI(AU;SAFA;FA;;;WD)(ML;;NW;;;HI)")
}

pub fn eas(list: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let list: Vec<_> =
        list.iter().map(|(name, flags, value)| Ea::new(*flags, name.as_bytes(), *value)).collect();
    ea::build_full(&list).unwrap()
}

/// A reparse buffer whose tag nobody knows.
pub fn opaque_reparse() -> Vec<u8> {
    [&0x8000_7777_u32.to_le_bytes()[..], &[5, 0, 0, 0], b"hello"].concat()
}

pub fn object_id(seed: u8) -> ObjectId {
    ObjectId::parse(&[seed; 64]).unwrap()
}

/// A sparse stream of this size with these ranges written.
pub fn sparse(name: Option<StreamName>, size: u64, ranges: &[(u64, usize)]) -> MemoryStream {
    let mut stream = MemoryStream::default();
    for (offset, len) in ranges {
        stream.write(*offset, &bytes(*len));
    }
    (stream.name, stream.size, stream.vdl, stream.flags) = (name, size, size, StreamFlags::SPARSE);
    stream
}

pub fn put_stream(file: &mut MemoryFile, stream: MemoryStream) {
    if stream.name.is_none() && stream.flags.contains(StreamFlags::SPARSE) {
        file.info.attributes |= FileAttributes::SPARSE_FILE;
    }
    file.streams.insert(StreamKey::of(stream.name.as_ref()), stream);
}

/// A file with everything that a backup stream can hold, and what it is there.
pub fn rich() -> (MemoryFile, Vec<u8>) {
    let mut file = MemoryFile::file()
        .with_stream(None, &bytes(100_001))
        .with_stream(Some(name("empty")), b"")
        .with_stream(Some(name("odd")), b"seven b");
    put_stream(&mut file, sparse(Some(name("sparse")), 400_000, &[(65_536, 65_536), (393_216, 100)]));
    file.info.attributes |= FileAttributes::REPARSE_POINT;
    file.security = Some(full_sd());
    file.ea = Some(eas(&[("ONE", 0, b"1"), ("TWO", 0x80, b"22")]));
    file.reparse = Some(opaque_reparse());
    file.object_id = Some(object_id(7));
    let stream = [
        stream(SECURITY, 2, &full_sd()),
        stream(EA, 0, &eas(&[("ONE", 0, b"1"), ("TWO", 0x80, b"22")])),
        stream(REPARSE, 0, &opaque_reparse()),
        stream(DATA, 0, &bytes(100_001)),
        named(":empty:$DATA", 0, b""),
        named(":odd:$DATA", 0, b"seven b"),
        named(":sparse:$DATA", SPARSE, b""),
        block(65_536, &bytes(65_536)),
        block(393_216, &bytes(100)),
        block(400_000, b""),
        stream(OBJECT_ID, 0, &[7; 64]),
    ];
    (file, stream.concat())
}

/// The bytes of a stream of a file; empty when there is none.
pub fn content(file: &MemoryFile, name: Option<&str>) -> Vec<u8> {
    let name = name.map(|text| StreamName::new(Name::from(text)).unwrap());
    file.stream(name.as_ref()).map(all_of).unwrap_or_default()
}

fn all_of(stream: &MemoryStream) -> Vec<u8> {
    let mut out = vec![0xEE; usize::try_from(stream.size).unwrap()];
    assert_eq!(stream.read(0, &mut out), out.len());
    out
}

/// The written ranges of a stream.
pub fn extents(stream: &MemoryStream) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(extent) = stream.extent(from) {
        out.push((extent.offset, extent.len));
        from = extent.end();
    }
    out
}

/// What a backup stream carries of one data stream: name, size, whether it is sparse, where it is written, its bytes.
pub type CarriedStream = (Vec<u16>, u64, bool, Vec<(u64, u64)>, Vec<u8>);

/// What a backup stream carries of a file.
#[derive(Debug, PartialEq)]
pub struct Carried {
    pub security: Option<Vec<u8>>,
    pub ea: Option<Vec<u8>>,
    pub reparse: Option<Vec<u8>>,
    pub object_id: Option<ObjectId>,
    pub streams: Vec<CarriedStream>,
}

pub fn carried(file: &MemoryFile) -> Carried {
    let stream = |stream: &MemoryStream| {
        let units = stream.name.as_ref().map(|name| name.name().units().to_vec()).unwrap_or_default();
        let is_sparse = stream.flags.contains(StreamFlags::SPARSE);
        let ranges = if is_sparse { extents(stream) } else { Vec::new() };
        (units, stream.size, is_sparse, ranges, all_of(stream))
    };
    Carried {
        security: file.security.clone(),
        ea: file.ea.clone(),
        reparse: file.reparse.clone(),
        object_id: file.object_id,
        streams: file.streams.values().map(stream).collect(),
    }
}

/// The Win32 number of a failure.
pub fn code<T>(result: Result<T, Error>) -> u32 {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.win32().0,
    }
}

// --- The engine without handles.

/// The backup stream of a source, read with buffers of `chunk` bytes.
pub fn read_stream(source: &dyn FileSource, rights: ReadRights, chunk: usize) -> Result<Vec<u8>, Error> {
    let (mut reader, mut out, mut buffer) = (BackupReader::new(), Vec::new(), vec![0; chunk]);
    loop {
        let got = reader.read(source, rights, &mut buffer)?;
        out.extend_from_slice(&buffer[..got]);
        if got < chunk {
            assert_eq!(reader.read(source, rights, &mut buffer)?, 0, "a short read is the end");
            return Ok(out);
        }
    }
}

pub fn source_of(file: &MemoryFile) -> MemorySource {
    MemorySource::new(SharedFile::new(file.clone()))
}

/// Writes a backup stream into a new file, in slices that end where `cuts` says; the file is its name's only when
/// everything went well.
pub fn write_stream(
    stream: &[u8],
    directory: bool,
    cut: impl Fn(usize) -> usize,
) -> Result<MemoryFile, Error> {
    let target = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
    let sink = MemorySink::staged(target.clone(), directory);
    let mut writer = BackupWriter::new(Box::new(sink), Unheld::Refuse, WritePolicy::default());
    let (report, mut rest) = (Collected::new(), stream);
    let report = FileReport { to: &report, path: Path::new("target") };
    while !rest.is_empty() {
        let (slice, behind) = rest.split_at(cut(stream.len() - rest.len()).clamp(1, rest.len()));
        writer.write(slice, WriteRights::ALL, &report).map_err(|(_, error)| error)?;
        rest = behind;
    }
    writer.finish(&report)?;
    let file = target.read().clone();
    Ok(file)
}

// --- Handles.

/// One file `f` on a volume in memory.
pub fn bench(file: MemoryFile) -> (System, SharedFile) {
    let volume = MemoryVolume::new();
    let file = volume.insert("f", file);
    (System::new(volume), file)
}

pub fn open(system: &System, path: &str, access: Access) -> Handle {
    system.create_file(path, Create { access, flags: ITSELF, ..Create::default() }).unwrap()
}

/// One call of BackupRead: the bytes it gives.
pub fn read(file: &Handle, len: usize, security: bool, context: &mut Context) -> Result<Vec<u8>, Error> {
    let (mut buffer, mut got) = (vec![0; len], 0xAAAA);
    let result = backup_read(Some(file), &mut buffer, &mut got, false, security, context);
    if result.is_err() {
        assert_eq!(got, 0, "a call that fails gives nothing");
    }
    buffer.truncate(got as usize);
    result.map(|()| buffer)
}

/// The whole backup stream, with buffers of `chunk` bytes.
pub fn read_all(file: &Handle, security: bool, chunk: usize) -> Result<Vec<u8>, Error> {
    let (mut context, mut out) = (Context::default(), Vec::new());
    loop {
        let got = read(file, chunk, security, &mut context)?;
        out.extend_from_slice(&got);
        if got.len() < chunk {
            return Ok(out);
        }
    }
}

/// One call of BackupWrite: how many bytes it took, and its error number (0 for success).
pub fn write(file: &Handle, stream: &[u8], security: bool, context: &mut Context) -> (usize, u32) {
    let mut written = 0xAAAA;
    let result = backup_write(Some(file), stream, &mut written, false, security, context);
    let number = result.err().map_or(0, |error| error.win32().0);
    if number == 0 {
        assert_eq!(written as usize, stream.len(), "success takes all");
    }
    (written as usize, number)
}

/// BackupWrite in one call on a handle with all rights, then the end: the error number and the file after it.
pub fn restore_into(file: MemoryFile, stream: &[u8]) -> (u32, MemoryFile) {
    let (system, file) = bench(file);
    let mut context = Context::default();
    let (_, number) = write(&open(&system, "f", WRITE), stream, true, &mut context);
    if number == 0 {
        backup_finish(&mut context).unwrap();
    }
    let file = file.read().clone();
    (number, file)
}

/// What BackupWrite makes of an empty file.
pub fn restore(stream: &[u8]) -> MemoryFile {
    let (number, file) = restore_into(MemoryFile::file(), stream);
    assert_eq!(number, 0);
    file
}

/// A volume on which every path is the same file, with a source and a sink of the test.
#[derive(Clone)]
pub struct OneFile {
    pub source: Arc<dyn Fn() -> Box<dyn FileSource> + Send + Sync>,
    pub sink: Arc<dyn Fn() -> Box<dyn FileSink> + Send + Sync>,
}

impl OneFile {
    pub fn reading(source: impl Fn() -> Box<dyn FileSource> + Send + Sync + 'static) -> System {
        let sink = || -> Box<dyn FileSink> { Box::new(MemorySink::in_place(SharedFile::default())) };
        System::new(Drives::new().with_base(Self { source: Arc::new(source), sink: Arc::new(sink) }))
    }

    pub fn writing(sink: impl Fn() -> Box<dyn FileSink> + Send + Sync + 'static) -> System {
        let source = || -> Box<dyn FileSource> { Box::new(source_of(&MemoryFile::file())) };
        System::new(Drives::new().with_base(Self { source: Arc::new(source), sink: Arc::new(sink) }))
    }
}

impl Volume for OneFile {
    fn root(&self) -> ntbak::Result<Arc<dyn Node>> {
        Ok(Arc::new(OneNode { number: 5, file: self.clone() }))
    }
}

/// The root, with number 5, or the one file in it.
struct OneNode {
    number: u64,
    file: OneFile,
}

impl Node for OneNode {
    fn identity(&self) -> Identity {
        Identity(1, self.number)
    }

    fn is_directory(&self) -> bool {
        self.number == 5
    }

    fn source(&self) -> ntbak::Result<Box<dyn FileSource>> {
        Ok((self.file.source)())
    }

    fn reparse(&self) -> ntbak::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn volume_facts(&self) -> ntbak::Result<VolumeFacts> {
        unimplemented!()
    }

    fn child(&self, _: &[u8]) -> ntbak::Result<Option<Arc<dyn Node>>> {
        Ok(Some(Arc::new(Self { number: 6, file: self.file.clone() })))
    }

    fn entries(&self) -> ntbak::Result<Vec<Entry>> {
        Ok(Vec::new())
    }

    fn content(&self, _: Option<&StreamName>, _: bool) -> ntbak::Result<Box<dyn Content>> {
        unimplemented!()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn sink(&self) -> ntbak::Result<Box<dyn FileSink>> {
        Ok((self.file.sink)())
    }
}

// --- Sources and sinks of the tests.

/// A file of any size that takes no memory: the byte at an offset is [`byte_at`].
#[derive(Debug, Clone, Default)]
pub struct Synthetic {
    pub streams: Vec<SyntheticStream>,
    pub seen: Arc<Seen>,
}

#[derive(Debug, Clone, Default)]
pub struct SyntheticStream {
    pub name: Option<StreamName>,
    pub size: u64,
    /// Sparse with these ranges; `None` is an ordinary stream.
    pub ranges: Option<Vec<Extent>>,
    /// Reading here fails with 33.
    pub locked: Range<u64>,
}

/// What a [`Synthetic`] was asked.
#[derive(Debug, Default)]
pub struct Seen {
    pub heads: AtomicUsize,
    pub reads: AtomicUsize,
    pub longest_read: AtomicUsize,
}

pub fn byte_at(offset: u64) -> u8 {
    let page = offset >> 12;
    (page ^ page >> 8 ^ page >> 16) as u8
}

impl FileSource for Synthetic {
    fn info(&self) -> ntbak::Result<FileInfo> {
        Ok(FileInfo::default())
    }

    fn small(&self, _: SmallKind) -> ntbak::Result<Option<Cow<'_, [u8]>>> {
        Ok(None)
    }

    fn stream(&self, index: usize) -> ntbak::Result<Option<StreamHead>> {
        self.seen.heads.fetch_add(1, Ordering::Relaxed);
        Ok(self.streams.get(index).map(|stream| {
            let mut head = StreamHead::plain(stream.name.clone(), stream.size);
            if stream.ranges.is_some() {
                (head.flags, head.extents) = (StreamFlags::SPARSE, Extents::Unknown);
            }
            head
        }))
    }

    fn next_extent(&self, stream: usize, from: u64) -> ntbak::Result<Option<Extent>> {
        let ranges = self.streams[stream].ranges.as_ref().unwrap();
        let next = ranges.partition_point(|range| range.end() <= from);
        Ok(ranges.get(next).map(|range| {
            let offset = range.offset.max(from);
            Extent { offset, len: range.end() - offset }
        }))
    }

    fn read_at(&self, stream: usize, offset: u64, buf: &mut [u8]) -> ntbak::Result<usize> {
        self.seen.reads.fetch_add(1, Ordering::Relaxed);
        self.seen.longest_read.fetch_max(buf.len(), Ordering::Relaxed);
        let SyntheticStream { size, locked, .. } = &self.streams[stream];
        if locked.contains(&offset) {
            return Err(Error::new(Win32Error::LOCK_VIOLATION, "locked"));
        }
        let end = if offset < locked.start { locked.start.min(*size) } else { *size };
        let len = (buf.len() as u64).min(end.saturating_sub(offset)) as usize;
        let (mut rest, mut at) = (&mut buf[..len], offset);
        while !rest.is_empty() {
            let page = (4096 - at % 4096).min(rest.len() as u64) as usize;
            rest[..page].fill(byte_at(at));
            (rest, at) = (&mut rest[page..], at + page as u64);
        }
        Ok(len)
    }
}

/// A sink that keeps nothing: it counts the bytes, which must be those of a [`Synthetic`], and the last size.
#[derive(Debug)]
pub struct Counting {
    pub seen: Arc<Mutex<(u64, u64)>>,
    pub capabilities: Capabilities,
}

impl Default for Counting {
    fn default() -> Self {
        Self { seen: Arc::default(), capabilities: Capabilities::everything() }
    }
}

impl FileSink for Counting {
    fn can(&self) -> &Capabilities {
        &self.capabilities
    }

    fn is_directory(&self) -> bool {
        false
    }

    fn put(&mut self, record: &Record<'_>, _: &FileReport<'_>) -> ntbak::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        match record {
            Record::Bytes { offset, data } => {
                assert_eq!(data.first(), Some(&byte_at(*offset)), "at {offset}");
                assert_eq!(data.last(), Some(&byte_at(offset + data.len() as u64 - 1)), "at {offset}");
                seen.0 += data.len() as u64;
            }
            Record::EndStream { size } => seen.1 = *size,
            _ => {}
        }
        Ok(())
    }

    fn link(&mut self, _: &Path) -> ntbak::Result<()> {
        Ok(())
    }

    fn commit(self: Box<Self>, _: &FileReport<'_>) -> ntbak::Result<()> {
        Ok(())
    }
}
