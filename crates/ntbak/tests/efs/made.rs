//! Raw exports made by hand, and encrypted files in every place.

use std::path::Path;

use ntbak::efs::ExportReader;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::source::MemorySource;
use ntbak::{Collected, FileReport, FileSink, FileSource, copy, place};
use ntbak_wire::efs::v1::{Builder, NewEntry};
use ntbak_wire::efs::{Content, Export, HolderKind, Piece, StreamHead, StreamPlan};
use ntbak_wire::object_id::Guid;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Name};

pub(crate) fn metadata(padding: usize) -> Vec<u8> {
    let mut builder = Builder::new(2, Guid([7; 16]));
    let name = Name::from("user(user@HOST)");
    let fek = vec![0xEE; 256 + padding];
    builder.add(
        HolderKind::User,
        &NewEntry {
            thumbprint: &[0xA5; 20],
            encrypted_fek: &fek,
            display: Some(&name),
            ..NewEntry::default()
        },
    );
    builder.build().unwrap()
}

/// What stands at a place of a stream: never 64 KiB of zeros, as ciphertext is not.
pub(crate) fn byte(stream: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream as u64) >> 32) as u8 | 1
}

pub(crate) fn raw(metadata: Vec<u8>, streams: Vec<StreamPlan>) -> Vec<u8> {
    let mut export = Export::new(metadata, streams).unwrap();
    let mut out = Vec::new();
    while let Some(piece) = export.next().unwrap() {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Data { stream, offset, len } => {
                out.extend((offset..offset + u64::from(len)).map(|offset| byte(stream, offset)));
            }
        }
    }
    out
}

pub(crate) fn plan(name: Option<&str>, content: Content) -> StreamPlan {
    let name = name.map(|name| StreamName::new(Name::from(name)).unwrap());
    StreamPlan { head: StreamHead { name, encrypted: true }, content }
}

pub(crate) fn simple(size: u64) -> Vec<u8> {
    raw(metadata(0), vec![plan(None, Content::plain(size))])
}

pub(crate) fn file(raw: Vec<u8>) -> MemoryFile {
    let mut file = MemoryFile { efs_raw: Some(raw), ..MemoryFile::file() };
    file.streams.clear();
    file.info.attributes |= FileAttributes::ENCRYPTED;
    file.info.times.created = Some(FileTime(130_000_000_000_000_000));
    file
}

pub(crate) fn copied(source: &dyn FileSource, sink: Box<dyn FileSink>) -> Collected {
    let told = Collected::new();
    copy(source, sink, &FileReport { to: &told, path: Path::new("f") }).unwrap();
    told
}

pub(crate) fn store(file: MemoryFile, path: &Path) {
    let directory = file.info.attributes.is_directory();
    let source = MemorySource::new(SharedFile::new(file));
    let told = copied(&source, place::stage(path, directory).unwrap());
    assert_eq!(told.losses(), []);
}

/// The raw export of a file.
pub(crate) fn export(source: &dyn FileSource) -> Vec<u8> {
    let mut reader = ExportReader::new(source.encrypted().unwrap().expect("it is encrypted")).unwrap();
    let (mut out, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            got => out.extend_from_slice(&buffer[..got]),
        }
    }
    assert_eq!(out.len() as u64, reader.size());
    out
}
