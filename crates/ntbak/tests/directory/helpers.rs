//! Files in memory, their way into a directory and out of it, and comparing them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ntbak::memory::{MemoryFile, MemoryStream, SharedFile, StreamKey};
use ntbak::sink::MemorySink;
use ntbak::source::MemorySource;
use ntbak::{
    BackupReader, BackupWriter, Collected, FileReport, FileSink, FileSource, ReadRights, Result, Unheld,
    WritePolicy, WriteRights, copy, place,
};
use ntbak_wire::ea::{self, Ea};
use ntbak_wire::object_id::ObjectId;
use ntbak_wire::record::{FileInfo, Link, NodeId, StreamFlags, Times};
use ntbak_wire::reparse::{self, ReparseTag};
use ntbak_wire::security::sddl;
use ntbak_wire::side::{self, SideHead};
use ntbak_wire::stream::{Header, RecordDecoder, StreamAttributes, StreamId, StreamName};
use ntbak_wire::{FileAttributes, FileTime, Name};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Bytes of a block of the file system that the tests count on.
pub(crate) const BLOCK: u64 = 4096;

pub(crate) fn stream_name(text: &str) -> StreamName {
    StreamName::new(Name::from(text)).unwrap()
}

pub(crate) fn report<'a>(to: &'a Collected, path: &'a Path) -> FileReport<'a> {
    FileReport { to, path }
}

/// Copies a file from memory to `path`.
pub(crate) fn try_store(file: &MemoryFile, path: &Path) -> Result<Collected> {
    let report = Collected::new();
    let sink = place::stage(path, file.info.attributes.is_directory())?;
    copy(&MemorySource::new(SharedFile::new(file.clone())), sink, &FileReport { to: &report, path })?;
    Ok(report)
}

pub(crate) fn store(file: &MemoryFile, path: &Path) -> Collected {
    try_store(file, path).unwrap()
}

/// Copies the file at `path` into memory; what belongs to the place and not to the file is cleared.
pub(crate) fn try_load(path: &Path) -> Result<(MemoryFile, Collected)> {
    let report = Collected::new();
    let source = place::open(path)?;
    let directory = source.info()?.attributes.is_directory();
    let file = SharedFile::new(if directory { MemoryFile::directory() } else { MemoryFile::file() });
    let sink = Box::new(MemorySink::staged(file.clone(), directory));
    copy(&*source, sink, &FileReport { to: &report, path })?;
    let mut file = file.read().clone();
    // As the source has it: the sink derives attributes from the records.
    file.info = bare(source.info()?);
    Ok((file, report))
}

pub(crate) fn load(path: &Path) -> MemoryFile {
    let (file, report) = try_load(path).unwrap();
    assert_eq!((report.losses(), report.notes()), (vec![], vec![]));
    file
}

/// Basic information without what the place says of it: node, parent, name, number of links.
pub(crate) fn bare(mut info: FileInfo) -> FileInfo {
    info.node = NodeId(0);
    info.unix_mode = None;
    info.unix_owner = None;
    info.link_count = 1;
    let short = info.short_name().cloned();
    info.links = vec![Link { parent: NodeId(0), name: vec![], short }];
    info
}

/// The backup stream of a source.
pub(crate) fn read_stream(source: &dyn FileSource) -> Result<Vec<u8>> {
    let (mut reader, mut bytes, mut buffer) = (BackupReader::new(), Vec::new(), vec![0; 65_536]);
    loop {
        match reader.read(source, ReadRights::ALL, &mut buffer)? {
            0 => return Ok(bytes),
            got => bytes.extend_from_slice(&buffer[..got]),
        }
    }
}

pub(crate) fn write_stream(sink: Box<dyn FileSink>, bytes: &[u8], piece: usize) -> Result<Collected> {
    let told = Collected::new();
    let report = report(&told, Path::new("written"));
    let mut writer = BackupWriter::new(sink, Unheld::Report, WritePolicy::default());
    for piece in bytes.chunks(piece.max(1)) {
        writer.write(piece, WriteRights::ALL, &report).map_err(|(_, error)| error)?;
    }
    writer.finish(&report)?;
    Ok(told)
}

pub(crate) fn header(id: StreamId, sparse: bool, size: u64, name: Option<&str>) -> Vec<u8> {
    let attributes = if sparse { StreamAttributes::SPARSE } else { StreamAttributes::empty() };
    let mut header = Header::new(id, size).with_attributes(attributes);
    header.name = name.map(|name| stream_name(name).to_wire()).unwrap_or_default();
    let mut bytes = Vec::new();
    header.encode(&mut bytes).unwrap();
    bytes
}

pub(crate) fn alternate(name: &str, content: &[u8]) -> Vec<u8> {
    [header(StreamId::AlternateData, false, content.len() as u64, Some(name)), content.to_vec()].concat()
}

pub(crate) fn block(offset: u64, content: &[u8]) -> Vec<u8> {
    let head = header(StreamId::SparseBlock, true, 8 + content.len() as u64, None);
    [head, offset.to_le_bytes().to_vec(), content.to_vec()].concat()
}

/// Where the side file of `path` is, whether it is there or not.
pub(crate) fn side_of(path: &Path) -> PathBuf {
    let name = blake3::hash(path.file_name().unwrap().as_bytes()).to_hex();
    path.with_file_name(side::DIRECTORY).join(&name[..32])
}

/// Changes the head of the side file of `path`.
pub(crate) fn edit_side(path: &Path, edit: impl FnOnce(&mut SideHead)) {
    let bytes = fs::read(side_of(path)).unwrap();
    let (mut head, begin) = SideHead::decode(&bytes).unwrap();
    edit(&mut head);
    fs::write(side_of(path), [head.encode(), bytes[begin..].to_vec()].concat()).unwrap();
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A file with a bit of every fact.
pub(crate) fn rich() -> MemoryFile {
    let mut file = MemoryFile::file()
        .with_stream(None, b"content that is longer than its valid part")
        .with_stream(Some(stream_name("ads")), b"alternate");
    let mut holey = MemoryStream::new(Some(stream_name("holey")), StreamFlags::SPARSE);
    holey.write(5, b"five");
    holey.write(1 << 40, b"far");
    holey.set_size(1 << 41);
    holey.vdl = holey.size;
    file.streams.insert(StreamKey::of(holey.name.as_ref()), holey);
    let unnamed = file.streams.get_mut(&StreamKey::default()).unwrap();
    unnamed.flags = StreamFlags::COMPRESSED;
    unnamed.set_size(20);
    unnamed.size = 50;
    file.info.attributes =
        FileAttributes::HIDDEN | FileAttributes::COMPRESSED | FileAttributes::REPARSE_POINT;
    file.info.times = Times {
        created: Some(FileTime(-5)),
        written: Some(FileTime(131_000_000_000_000_001)),
        accessed: Some(FileTime(i64::MAX)),
        changed: Some(FileTime(i64::MIN)),
    };
    file.info.links = vec![Link { parent: NodeId(0), name: vec![], short: Some(Name::from("SHORT~1")) }];
    file.info.link_count = 1;
    file.security = Some(sddl::parse_sddl("O:BAG:SYD:(A;;FA;;;WD)S:(AU;SAFA;FA;;;WD)").unwrap());
    file.ea = Some(ea::build_full(&[Ea::new(ea::NEED_EA, b"NAME", b"value")]).unwrap());
    file.reparse = Some(reparse::build(ReparseTag(0x8000_7777), None, b"opaque").unwrap());
    file.object_id = Some(ObjectId::parse(&[7; 64]).unwrap());
    file
}

pub(crate) fn any_times() -> impl Strategy<Value = Times> {
    let time = || any::<i64>().prop_map(|time| Some(FileTime(time)));
    let near =
        || (116_444_736_000_000_000..200_000_000_000_000_000_i64).prop_map(|time| Some(FileTime(time)));
    let created = option::of(any::<i64>().prop_map(FileTime));
    (created, prop_oneof![time(), near()], prop_oneof![time(), near()], time())
        .prop_map(|(created, written, accessed, changed)| Times { created, written, accessed, changed })
}

/// Content in pieces: where, how much, which byte.
pub(crate) fn any_stream(name: Option<StreamName>) -> impl Strategy<Value = MemoryStream> {
    let pieces = vec((0..500_000_u64, 1..20_000_usize, any::<u8>()), 0..6);
    (pieces, 0..50_000_u64, 0..4_u8).prop_map(move |(pieces, more, kind)| {
        let sparse = kind % 2 == 1;
        let flags = if sparse { StreamFlags::SPARSE } else { StreamFlags::empty() };
        let mut stream = MemoryStream::new(name.clone(), flags);
        for (offset, len, byte) in pieces {
            let offset = if sparse { offset } else { stream.size };
            stream.write(offset, &vec![byte; len]);
        }
        // Valid to the end, or not; only the unnamed stream has a place for that.
        let end = stream.size;
        if kind == 3 || kind == 2 && name.is_none() {
            stream.set_size(end + more);
        }
        stream.vdl = if kind == 2 { end.min(stream.size) } else { stream.size };
        stream
    })
}

pub(crate) fn any_file() -> impl Strategy<Value = MemoryFile> {
    let unit = any::<u16>().prop_filter("legal", |unit| ![0, 47, 58, 92].contains(unit));
    let name = prop_oneof![vec(unit.clone(), 1..20), vec(unit, 255..256)]
        .prop_map(|units| StreamName::new(Name::from_units(units)).unwrap());
    let named = vec(name.prop_flat_map(|name| any_stream(Some(name))), 0..4);
    let eas = vec(("[A-Z$.]{1,20}", vec(any::<u8>(), 1..300), any::<bool>()), 0..5).prop_map(|eas| {
        let by_name: BTreeMap<_, _> =
            eas.into_iter().map(|(name, value, need)| (name, (value, need))).collect();
        let eas = by_name.iter().map(|(name, (value, need))| {
            Ea::new(if *need { ea::NEED_EA } else { 0 }, name.as_bytes(), value.as_slice())
        });
        Some(ea::build_full(&eas.collect::<Vec<_>>()).unwrap()).filter(|list| !list.is_empty())
    });
    let sd = prop::sample::select(vec![
        None,
        Some("O:BAG:SY"),
        Some("D:"),
        Some("O:WDD:NO_ACCESS_CONTROL"),
        Some("O:BAG:SYD:AI(D;;FA;;;WD)(A;ID;FR;;;BU)S:(ML;;NW;;;HI)"),
    ])
    .prop_map(|text| text.map(|text| sddl::parse_sddl(text).unwrap()));
    let reparse = option::of(vec(any::<u8>(), 0..200))
        .prop_map(|data| data.map(|data| reparse::build(ReparseTag(0x8000_7777), None, &data).unwrap()));
    let object_id = option::of(any::<[u8; 32]>())
        .prop_map(|id| id.map(|id| ObjectId::parse(&[id, id].concat()).unwrap()));
    let short = option::of(vec(any::<u16>(), 1..12).prop_map(Name::from_units));
    let basic = (any::<u32>(), any_times(), short, any::<bool>(), 0..4_u8);
    (basic, any_stream(None), named, eas, sd, reparse, object_id).prop_map(
        |((bits, times, short, flag, kind), unnamed, named, ea, security, reparse, object_id)| {
            let directory = kind == 0;
            let mirrored = FileAttributes::DIRECTORY
                | FileAttributes::ENCRYPTED
                | FileAttributes::SPARSE_FILE
                | FileAttributes::REPARSE_POINT;
            let mut file = MemoryFile { ea, security, reparse, object_id, ..MemoryFile::default() };
            file.info = bare(FileInfo::default());
            file.info.attributes = FileAttributes::from_bits_retain(bits) - mirrored;
            file.info.attributes.set(FileAttributes::DIRECTORY, directory);
            file.info.attributes.set(FileAttributes::REPARSE_POINT, file.reparse.is_some());
            file.info.times = times;
            file.info.links[0].short = short;
            file.info.case_sensitive = directory && flag;
            if !directory {
                let mut unnamed = unnamed;
                unnamed.flags.set(StreamFlags::COMPRESSED, flag);
                let sparse = unnamed.flags.contains(StreamFlags::SPARSE);
                file.info.attributes.set(FileAttributes::SPARSE_FILE, sparse);
                file.streams.insert(StreamKey::default(), unnamed);
            }
            for stream in named {
                file.streams.insert(StreamKey::of(stream.name.as_ref()), stream);
            }
            file
        },
    )
}

pub(crate) fn any_file_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("legal", |byte| ![0, b'/'].contains(byte));
    let taken = [&b"."[..], b"..", side::DIRECTORY.as_bytes()];
    prop_oneof![vec(byte.clone(), 1..20), vec(byte, 255..256), Just(b"a\nb".to_vec()), Just(b"self".to_vec())]
        .prop_filter("free", move |name| !taken.contains(&name.as_slice()))
}

pub(crate) fn content(stream: &MemoryStream) -> Vec<u8> {
    let mut content = vec![0xEE; usize::try_from(stream.size).unwrap()];
    let got = stream.read(0, &mut content);
    assert_eq!(got, content.len());
    content
}

/// The ranges that are allocated, each blown up to whole blocks.
pub(crate) fn blocks(stream: &MemoryStream) -> Vec<(u64, u64)> {
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    let mut from = 0;
    while let Some(extent) = stream.extent(from) {
        from = extent.end();
        let begin = extent.offset / BLOCK * BLOCK;
        let end = from.next_multiple_of(BLOCK).min(stream.size);
        match blocks.last_mut() {
            Some(last) if last.1 >= begin => last.1 = end,
            _ => blocks.push((begin, end)),
        }
    }
    blocks
}

/// Compares two files in every fact; holes of the unnamed stream only as far as blocks allow.
pub(crate) fn assert_same(found: &MemoryFile, expected: &MemoryFile) {
    assert_eq!(found.info, expected.info);
    assert_same_streams(found, expected);
}

pub(crate) fn assert_same_streams(found: &MemoryFile, expected: &MemoryFile) {
    assert_eq!(found.security, expected.security);
    assert_eq!(found.ea, expected.ea);
    assert_eq!(found.reparse, expected.reparse);
    assert_eq!(found.object_id, expected.object_id);
    assert_eq!(found.streams.keys().collect::<Vec<_>>(), expected.streams.keys().collect::<Vec<_>>());
    for (found, expected) in found.streams.values().zip(expected.streams.values()) {
        let facts = |stream: &MemoryStream| (stream.name.clone(), stream.size, stream.vdl, stream.flags);
        assert_eq!(facts(found), facts(expected));
        if expected.name.is_some() {
            assert!(found == expected, "content or holes of {:?}", found.name);
        } else if expected.size < 1 << 24 {
            assert!(content(found) == content(expected), "content");
            if expected.flags.contains(StreamFlags::SPARSE) {
                assert_eq!(blocks(found), blocks(expected), "holes");
            }
        }
    }
}

/// Whether bytes are a backup stream to our own decoder.
pub(crate) fn decodes(mut bytes: &[u8]) -> Result<(), ntbak_wire::Error> {
    let mut decoder = RecordDecoder::new();
    while decoder.next(&mut bytes)?.is_some() {}
    decoder.finish().map(drop)
}

/// A DATA stream.
pub(crate) fn data(content: &[u8]) -> Vec<u8> {
    [header(StreamId::Data, false, content.len() as u64, None), content.to_vec()].concat()
}
