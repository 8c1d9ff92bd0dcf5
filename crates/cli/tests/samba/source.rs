//! Files to restore, made of nothing but their facts.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak::memory::{MemoryFile, SharedFile};
use ntbak::source::MemorySource;
use ntbak::{Collected, FileReport, place};
use ntbak_wire::ea::{self, Ea};
use ntbak_wire::record::Times;
use ntbak_wire::security::sddl::parse_sddl;
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Name};
use serde_json::Value;

use crate::common::run::{args, ntbak};

/// 2001-02-03 04:05:06.2345678 UTC.
pub(crate) const CREATED: FileTime = FileTime(126_256_467_062_345_678);
/// As smbclient prints it.
pub(crate) const CREATED_SHOWN: &str = "Sat Feb  3 04:05:06 2001 UTC";
/// Owner and group that are none of this machine, an audit entry, entries that are not inherited.
pub(crate) const SDDL: &str = "O:S-1-5-21-11-22-33-1001G:S-1-5-21-11-22-33-513\
    D:PAI(D;;0x1f01ff;;;S-1-5-21-11-22-33-1002)(A;;0x1f01ff;;;SY)(A;OICI;0x1200a9;;;WD)\
    S:AI(AU;SAFA;0x1f01ff;;;WD)";

/// READONLY, HIDDEN, SYSTEM, ARCHIVE and NOT_CONTENT_INDEXED.
pub(crate) const ATTRIBUTES: u32 = 0x2027;

pub(crate) fn stream_name(name: &str) -> Option<StreamName> {
    Some(StreamName::new(Name::from(name)).unwrap())
}

/// The small streams of [`file`], which ext4 takes as attributes.
pub(crate) const SMALL: [(&str, &[u8]); 5] = [
    ("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n"),
    ("empty", b""),
    ("one byte", b"1"),
    ("K\u{e4}se \u{1F9C0} \u{65E5}\u{672C}", b"not ascii"),
    ("two hundred", &[0xA5; 200]),
];

/// A stream that no attribute of ext4 holds.
pub(crate) const LARGE: &str = "large";

pub(crate) fn large() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Everything that a file can have.
pub(crate) fn file() -> MemoryFile {
    let mut file = facts(MemoryFile::file()).with_stream(None, b"content");
    file.info.attributes = FileAttributes::from_bits_retain(ATTRIBUTES);
    file.with_stream(stream_name(LARGE), &large())
}

/// The same for a directory.
pub(crate) fn directory() -> MemoryFile {
    let mut directory = facts(MemoryFile::directory());
    directory.info.attributes = FileAttributes::DIRECTORY | FileAttributes::HIDDEN;
    directory
}

fn facts(mut file: MemoryFile) -> MemoryFile {
    file.info.times = Times {
        created: Some(CREATED),
        written: Some(FileTime(CREATED.0 + 10_000_000)),
        accessed: Some(FileTime(CREATED.0 + 20_000_000)),
        changed: Some(FileTime(CREATED.0 + 30_000_000)),
    };
    file.security = Some(parse_sddl(SDDL).unwrap());
    let eas = [Ea::new(0, b"PLAIN", b"value"), Ea::new(ea::NEED_EA, b"NEEDED", vec![7; 40])];
    file.ea = Some(ea::build_full(&eas).unwrap());
    SMALL.iter().fold(file, |file, (name, content)| file.with_stream(stream_name(name), content))
}

/// Writes a file by the library; nothing may be lost.
#[track_caller]
pub(crate) fn store(file: &MemoryFile, path: &Path) {
    let report = Collected::new();
    let source = MemorySource::new(SharedFile::new(file.clone()));
    let sink = place::stage(path, file.info.attributes.is_directory()).unwrap();
    ntbak::copy(&source, sink, &FileReport { to: &report, path }).unwrap();
    assert_eq!(report.losses(), vec![], "{}", path.display());
}

/// What `ntbak info --json` says, which must lose nothing.
#[track_caller]
pub(crate) fn info(path: &Path) -> Value {
    let ran = ntbak(args!["info", "--json", path]).expect(0);
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// Names and sizes of the named streams that `ntbak` sees.
#[track_caller]
pub(crate) fn streams(path: &Path) -> Vec<(String, u64)> {
    let info = info(path);
    let all = info["streams"].as_array().unwrap().iter();
    let named = all.filter(|stream| stream["name"] != "");
    let mut named: Vec<_> = named
        .map(|stream| (stream["name"].as_str().unwrap().to_owned(), stream["size"].as_u64().unwrap()))
        .collect();
    named.sort();
    named
}

/// The EAs that `ntbak` sees: name, flags, value.
#[track_caller]
pub(crate) fn eas(path: &Path) -> Vec<(String, u64, Vec<u8>)> {
    let info = info(path);
    let ea = |ea: &Value| {
        let value = STANDARD.decode(ea["value"].as_str().unwrap()).unwrap();
        (ea["name"].as_str().unwrap().to_owned(), ea["flags"].as_u64().unwrap(), value)
    };
    info["ea"].as_array().map(|list| list.iter().map(ea).collect()).unwrap_or_default()
}

/// The bytes of a stream by `ntbak cat`.
#[track_caller]
pub(crate) fn cat(path: &Path, stream: &str) -> Vec<u8> {
    let mut of = path.as_os_str().to_owned();
    of.push(format!(":{stream}"));
    ntbak(args!["cat", of]).expect(0).stdout
}

/// What `ntbak stream read` gives; nothing may be lost.
#[track_caller]
pub(crate) fn backup(path: &Path) -> Vec<u8> {
    ntbak(args!["stream", "read", path]).expect(0).lost_only(&[]).stdout
}

/// Copies with `ntbak copy`; nothing may be lost.
#[track_caller]
pub(crate) fn copy(from: &Path, to: &Path) {
    ntbak(args!["copy", from, to]).expect(0).lost_only(&[]);
}

/// The value of an attribute of Linux.
pub(crate) fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    crate::common::make::get(path, name).ok()
}

/// The names of the side files of a directory.
pub(crate) fn side_files(directory: &Path) -> usize {
    fs::read_dir(directory.join(ntbak_wire::side::DIRECTORY)).map_or(0, Iterator::count)
}
