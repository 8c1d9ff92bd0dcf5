//! Files as lists of records, their way into an archive and out of it, and other people's programs.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

pub mod random;

use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Output};

use ntbak_archive::{ArchiveReader, ArchiveWriter, Item, Limits, Remark, Source, Spool, Summary, Volume};
use ntbak_wire::record::{Extents, FileInfo, Record, SmallKind, StreamFlags, StreamHead};

/// One stream: its head and its stored ranges with their bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    pub head: StreamHead,
    pub pieces: Vec<(u64, Vec<u8>)>,
}

/// One file or directory, as records tell it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct File {
    pub path: Vec<u8>,
    pub info: FileInfo,
    pub small: Vec<(SmallKind, Vec<u8>)>,
    pub streams: Vec<Stream>,
    pub efs: Option<Vec<u8>>,
    pub owner: Option<(u32, u32)>,
    pub linux: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an archive gives back.
#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<File>,
    pub links: Vec<(Vec<u8>, Vec<u8>, Option<String>)>,
    pub remarks: Vec<Remark>,
    pub summary: Summary,
    pub volume: Option<Volume>,
    pub wof: Vec<Option<String>>,
    pub unknown: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
}

pub fn spool() -> Box<dyn Spool> {
    Box::new(Cursor::new(Vec::new()))
}

pub fn volume() -> Volume {
    let source = Source { path: b"test".into(), ..Source::default() };
    Volume { tool: "test".into(), sources: vec![source] }
}

pub fn writer() -> ArchiveWriter<Vec<u8>> {
    ArchiveWriter::new(Vec::new(), spool(), &volume()).unwrap()
}

pub fn stream(name: Option<&str>, data: &[u8]) -> Stream {
    let name = name.map(|name| ntbak_wire::stream::StreamName::new(name.into()).unwrap());
    let pieces = if data.is_empty() { vec![] } else { vec![(0, data.to_vec())] };
    Stream { head: StreamHead::plain(name, data.len() as u64), pieces }
}

pub fn file(path: &str, data: &[u8]) -> File {
    let mut file = File { path: path.into(), streams: vec![stream(None, data)], ..File::default() };
    file.info.attributes = ntbak_wire::FileAttributes::ARCHIVE;
    file
}

pub fn directory(path: &str) -> File {
    let mut file = File { path: path.into(), ..File::default() };
    file.info.attributes = ntbak_wire::FileAttributes::DIRECTORY;
    file
}

/// Writes one file, its content in pieces of `chunk` bytes.
pub fn put<W: std::io::Write>(
    writer: &mut ArchiveWriter<W>,
    file: &File,
    chunk: usize,
) -> ntbak_archive::Result<Vec<Remark>> {
    let mut remarks = Vec::new();
    remarks.extend(writer.begin(&file.path)?);
    writer.put(&Record::File(&file.info))?;
    if let Some((uid, gid)) = file.owner {
        writer.owner(uid, gid)?;
    }
    for (name, value) in &file.linux {
        writer.linux_attribute(name, value)?;
    }
    for (kind, payload) in &file.small {
        writer.put(&Record::Small(*kind, payload.into()))?;
    }
    if let Some(efs) = &file.efs {
        writer.efs_raw(efs.len() as u64)?;
        for (at, data) in efs.chunks(chunk).enumerate() {
            writer.put(&Record::Bytes { offset: (at * chunk) as u64, data })?;
        }
        remarks.extend(writer.end_efs(efs.len() as u64)?);
    }
    for stream in &file.streams {
        writer.put(&Record::Stream(&stream.head))?;
        for (offset, data) in &stream.pieces {
            if stream.head.extents != Extents::All {
                let extent = ntbak_wire::record::Extent { offset: *offset, len: data.len() as u64 };
                writer.put(&Record::Block(extent))?;
            }
            for (at, data) in data.chunks(chunk).enumerate() {
                writer.put(&Record::Bytes { offset: offset + (at * chunk) as u64, data })?;
            }
        }
        remarks.extend(writer.put(&Record::EndStream { size: stream.head.size })?);
    }
    writer.put(&Record::EndFile)?;
    Ok(remarks)
}

pub fn archive(files: &[File]) -> Vec<u8> {
    let mut writer = writer();
    for file in files {
        put(&mut writer, file, 10_000).unwrap();
    }
    writer.finish().unwrap()
}

/// Reads everything, and proves it.
pub fn read(archive: &[u8]) -> ntbak_archive::Result<Found> {
    collect(&mut ArchiveReader::proving(archive, Limits::default(), spool()))
}

pub fn collect<R: Read>(reader: &mut ArchiveReader<R>) -> ntbak_archive::Result<Found> {
    let mut out = Found::default();
    while let Some(item) = reader.next()? {
        let file = out.files.last_mut();
        match item {
            Item::Volume(volume) => out.volume = Some(volume.clone()),
            Item::File(entry) => {
                out.wof.push(entry.wof.clone());
                out.unknown.push(entry.unknown.clone());
                out.files.push(File {
                    path: entry.path.as_bytes().to_vec(),
                    owner: entry.owner,
                    ..File::default()
                });
            }
            Item::Record(Record::File(info)) => file.unwrap().info = info.clone(),
            Item::Record(Record::Small(kind, payload)) => file.unwrap().small.push((kind, payload.to_vec())),
            Item::Record(Record::Stream(head)) => {
                let pieces =
                    if head.extents == Extents::All && head.size > 0 { vec![(0, vec![])] } else { vec![] };
                file.unwrap().streams.push(Stream { head: head.clone(), pieces });
            }
            Item::Record(Record::Block(extent)) => {
                file.unwrap().streams.last_mut().unwrap().pieces.push((extent.offset, Vec::new()));
            }
            Item::Record(Record::Bytes { offset, data }) => {
                let stream = file.unwrap().streams.last_mut().unwrap();
                let (start, bytes) = stream.pieces.last_mut().unwrap();
                assert_eq!(*start + bytes.len() as u64, offset);
                bytes.extend_from_slice(data);
            }
            Item::Record(Record::EndStream { size }) => {
                assert_eq!(file.unwrap().streams.last().unwrap().head.size, size);
            }
            Item::Record(Record::EndFile) => {}
            Item::LinuxAttribute { name, value } => file.unwrap().linux.push((name.to_vec(), value.to_vec())),
            Item::EfsRaw { size } => file.unwrap().efs = Some(Vec::with_capacity(size.min(1 << 20) as usize)),
            Item::EfsBytes { data, .. } => file.unwrap().efs.as_mut().unwrap().extend_from_slice(data),
            Item::EndEfs => {}
            Item::Link(link) => out.links.push((
                link.path.as_bytes().to_vec(),
                link.target.as_bytes().to_vec(),
                link.short.as_ref().map(ToString::to_string),
            )),
            Item::Remark(remark) => out.remarks.push(remark.clone()),
            other => panic!("{other:?}"),
        }
    }
    out.summary = reader.summary();
    Ok(out)
}

/// A file as it must come back: what an archive does not keep is what it gives instead, and small payloads are in the
/// order of a backup.
pub fn expected(file: &File) -> File {
    let mut file = file.clone();
    file.info.link_count = 0;
    let name = file.path.rsplit(|byte| *byte == b'/').next().unwrap();
    let name = if name.is_empty() { b"." } else { name };
    let short = file.info.short_name().cloned();
    file.info.links =
        vec![ntbak_wire::record::Link { parent: Default::default(), name: name.to_vec(), short }];
    file.small.sort_by_key(|(kind, _)| *kind);
    for stream in &mut file.streams {
        whole_blocks(stream);
        if stream.head.size == 0 {
            stream.head.extents = Extents::All;
        }
        // What is behind the valid data length of a stream without holes comes as zeros, or not at all.
        let head = &stream.head;
        if head.extents == Extents::All && head.size > 0 {
            let left_out = head.size - head.vdl >= 64 << 10 && !head.flags.contains(StreamFlags::SPARSE);
            let whole = if left_out { head.vdl } else { head.size };
            let (_, mut data) = stream.pieces.pop().unwrap_or_default();
            data.resize(whole as usize, 0);
            stream.pieces = vec![(0, data)];
        }
    }
    file
}

/// All ranges but the last in whole blocks, with zeros.
fn whole_blocks(stream: &mut Stream) {
    let Extents::Known(extents) = &mut stream.head.extents else { return };
    let mut rounded: Vec<(u64, Vec<u8>)> = Vec::new();
    for (offset, data) in std::mem::take(&mut stream.pieces) {
        if let Some((last, bytes)) = rounded.last_mut() {
            let end = *last + bytes.len().next_multiple_of(512) as u64;
            bytes.resize((end.min(offset) - *last) as usize, 0);
            if end > offset {
                bytes.extend_from_slice(&data);
                continue;
            }
        }
        rounded.push((offset, data));
    }
    *extents = rounded
        .iter()
        .map(|(offset, data)| ntbak_wire::record::Extent { offset: *offset, len: data.len() as u64 })
        .collect();
    stream.pieces = rounded;
}

/// Runs a program; `None`, with a printed reason, when it is not there.
pub fn judge(program: &str, args: &[&str], dir: &Path) -> Option<Output> {
    match Command::new(program).args(args).current_dir(dir).env("LC_ALL", "C.UTF-8").output() {
        Ok(output) => Some(output),
        Err(error) if std::env::var_os("NTBAK_REQUIRE_ALL").is_some() => panic!("{program}: {error}"),
        Err(error) => {
            println!("skipped: {program}: {error}");
            None
        }
    }
}

#[track_caller]
pub fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out.into_owned()
}
