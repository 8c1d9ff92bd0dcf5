//! Tables for each function: what it is called with, and the number that it answers, on every kind of drive.
//!
//! Each table gets an empty drive `C:`. Where drives differ, the table says so by [`Kind`]; the book lists the same
//! differences.

use ntbak::win32::{Access, Create, Disposition, Drives, FileFlags, Handle, Share, System};
use ntbak::{Error, Result};
use ntbak_wire::{FileAttributes, Name};

mod change;
mod control;
mod encrypted;
mod find;
mod info;
mod io;
mod links;
mod open;
mod paths;
mod privileges;
pub mod protected;
mod read;
mod share;
pub mod short;
mod streams;

/// What kind of drive a table runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // Each test binary has some of them.
pub enum Kind {
    Memory,
    Directory,
    Ntfs3g,
    Image,
}

/// A name and what is done; `C:` is empty before.
pub type Table = (&'static str, fn(&System, Kind));

/// A name, what makes the files, and what only looks at them: that runs on drives that are only read, too.
pub type Readable = (&'static str, fn(&System), fn(&System, Kind));

pub const READABLE: &[Readable] = &[
    ("paths: spellings", paths::make_spellings, paths::spellings),
    ("paths: errors", paths::make_errors, paths::errors),
    ("paths: case", paths::make_case, paths::case),
    ("io: positions", io::make_positions, io::positions),
    ("find: files", find::make_files, find::files),
    ("find: errors", find::make_errors, find::errors),
    ("find: streams", find::make_streams, find::streams),
    ("find: names", find::make_names, find::names),
    ("info: classes", info::make_classes, info::classes),
    ("info: volume", info::make_volume, info::volume),
    ("links: followed", links::make_followed, links::followed),
    ("links: refused", links::make_refused, links::refused),
    ("read: files", read::make_files, read::files),
    ("read: sharing", read::make_sharing, read::sharing),
    ("read: facts", read::make_facts, read::facts),
    ("read: a large directory", read::make_large, read::large),
    ("streams: read", streams::make_read, streams::read),
    ("encrypted: exports", encrypted::make_exports, encrypted::exports),
];

pub const TABLES: &[Table] = &[
    ("open: dispositions", open::dispositions),
    ("open: streams", open::streams),
    ("open: attributes", open::attributes),
    ("open: directories", open::directories),
    ("open: rights", open::rights),
    ("open: delete on close", open::delete_on_close),
    ("share: modes", share::modes),
    ("share: streams and names", share::streams_and_names),
    ("share: deleted and open", share::deleted_and_open),
    ("io: read and write", io::read_and_write),
    ("io: ends", io::ends),
    ("io: many append", io::appended_by_many),
    ("io: rights", io::rights),
    ("io: named streams", io::named_streams),
    ("io: unbuffered", io::unbuffered),
    ("find: gone meanwhile", find::gone),
    ("info: attributes", info::attributes),
    ("info: times", info::times),
    ("info: disposition", info::disposition),
    ("change: directories", change::directories),
    ("change: links", change::links),
    ("change: delete", change::delete),
    ("change: move", change::moves),
    ("change: spellings of one name", change::spellings),
    ("change: move open files", change::move_open),
    ("change: rename by handle", change::rename),
    ("control: reparse points", control::reparse_points),
    ("control: object ids", control::object_ids),
    ("control: sparse", control::sparse),
    ("control: zeros and ranges", control::zeros_and_ranges),
    ("links: new files", links::made_through),
    ("streams: write", streams::write),
    ("encrypted: imports", encrypted::imports),
    ("privileges: numbers", privileges::numbers),
    ("privileges: held or not", privileges::held),
];

/// Runs all tables, each on a drive of its own.
pub fn run(kind: Kind, mut drives: impl FnMut() -> Drives) {
    for (name, table) in TABLES {
        eprintln!("{name}");
        table(&System::new(drives()), kind);
    }
    for (name, make, look) in READABLE {
        eprintln!("{name}");
        let system = System::new(drives());
        make(&system);
        look(&system, kind);
    }
}

pub const READ: Access = Access::GENERIC_READ;
pub const WRITE: Access = Access::GENERIC_WRITE;
pub const BOTH: Access = READ.union(WRITE);
pub const NEW: Disposition = Disposition::CreateNew;
pub const EXISTING: Disposition = Disposition::OpenExisting;
pub const ITSELF: FileFlags = FileFlags::BACKUP_SEMANTICS.union(FileFlags::OPEN_REPARSE_POINT);

/// 0, or the number of the error.
pub fn number<T>(result: &Result<T>) -> u32 {
    result.as_ref().err().map_or(0, |error| error.win32().0)
}

#[track_caller]
pub fn fails<T>(result: Result<T>, expected: u32, what: impl std::fmt::Debug) {
    let got = number(&result);
    let why = result.err().map(|error: Error| error.to_string());
    assert_eq!(got, expected, "{what:?}: {why:?}");
}

pub fn create(system: &System, path: &str, access: Access, disposition: Disposition) -> Result<Handle> {
    system.create_file(path, Create { access, disposition, ..Create::default() })
}

pub fn with(system: &System, path: &str, access: Access, flags: FileFlags) -> Result<Handle> {
    system.create_file(path, Create { access, flags, ..Create::default() })
}

pub fn shared(system: &System, path: &str, access: Access, share: Share) -> Result<Handle> {
    system.create_file(path, Create { access, share, ..Create::default() })
}

/// Makes a file, or a stream, with this content.
#[track_caller]
pub fn put(system: &System, path: &str, content: &[u8]) {
    let file = create(system, path, WRITE, Disposition::OpenAlways).unwrap();
    assert_eq!(ntbak::win32::write_file(&file, content).unwrap(), content.len(), "{path}");
}

/// The content of a file or a stream.
#[track_caller]
pub fn get(system: &System, path: &str) -> Vec<u8> {
    let file = create(system, path, READ, EXISTING).unwrap();
    let mut buffer = vec![0; 70_000];
    let got = ntbak::win32::read_file(&file, &mut buffer).unwrap();
    buffer.truncate(got);
    buffer
}

pub fn exists(system: &System, path: &str) -> bool {
    system.get_file_attributes(path).is_ok()
}

/// The names in a directory, sorted.
pub fn names(system: &System, path: &str) -> Vec<String> {
    let mut names: Vec<_> = system.list(path).unwrap().iter().map(|found| found.name.to_string()).collect();
    names.sort();
    names
}

pub fn symlink(system: &System, path: &str, target: &str) {
    let buffer = ntbak_wire::reparse::symlink_from_print_name(&Name::from(target)).unwrap();
    let file = create(system, path, WRITE, NEW).unwrap();
    ntbak::win32::set_reparse_point(&file, &buffer).unwrap();
}

pub fn junction(system: &System, path: &str, target: &str) {
    let buffer = ntbak_wire::reparse::mount_point_from_print_name(&Name::from(target)).unwrap();
    system.create_directory(path).unwrap();
    let file = with(system, path, WRITE, ITSELF).unwrap();
    ntbak::win32::set_reparse_point(&file, &buffer).unwrap();
}

pub fn set_attributes(system: &System, path: &str, attributes: FileAttributes) {
    system.set_file_attributes(path, attributes).unwrap();
}
