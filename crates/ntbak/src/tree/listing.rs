//! What is in a directory: its names, and whose side files there are.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use ntbak_wire::side;
use rustix::fs::{FileType, Mode, OFlags};

use crate::host::descent::entries;
use crate::host::node::read_at;

/// Names, one behind the other: a directory may have millions.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    entries: Vec<(usize, usize, FileType)>,
}

impl Names {
    pub(super) fn sorted(&self) -> impl Iterator<Item = (&OsStr, FileType)> {
        self.entries.iter().map(|entry| (OsStr::from_bytes(self.name(entry)), entry.2))
    }

    pub(super) fn has(&self, name: &OsStr) -> bool {
        let found = self.entries.binary_search_by(|entry| self.name(entry).cmp(name.as_bytes()));
        found.is_ok()
    }

    fn name(&self, (from, to, _): &(usize, usize, FileType)) -> &[u8] {
        self.bytes.get(*from..*to).unwrap_or_default()
    }
}

pub(super) fn list(fd: impl AsFd) -> rustix::io::Result<Names> {
    let mut names = Names::default();
    for entry in entries(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            let from = names.bytes.len();
            names.bytes.extend_from_slice(name);
            names.entries.push((from, names.bytes.len(), entry.file_type()));
        }
    }
    let mut entries = std::mem::take(&mut names.entries);
    entries.sort_unstable_by(|one, other| names.name(one).cmp(names.name(other)));
    names.entries = entries;
    Ok(names)
}

/// Whose a directory called `.ntbak-side` is.
pub(super) enum Side {
    /// Of ntbak; with these files in it that are not.
    Ours(Vec<OsString>),
    Users,
}

/// It is ours with a side file in it, or with nothing.
pub(super) fn belongs_to_ntbak(dir: impl AsFd, name: &OsStr) -> Side {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::openat(dir, name, flags | OFlags::DIRECTORY, Mode::empty()) else {
        return Side::Users;
    };
    let Ok(names) = list(&fd) else { return Side::Ours(Vec::new()) };
    let (mut ours, mut foreign) = (0, Vec::new());
    for (name, kind) in names.sorted() {
        let opened = (kind == FileType::RegularFile)
            .then(|| rustix::fs::openat(&fd, name, flags, Mode::empty()).ok())
            .flatten();
        let mut magic = [0; 8];
        let read = opened.and_then(|file| read_at(file, 0, &mut magic).ok());
        if read == Some(8) && magic == side::MAGIC || crate::host::stage::is_temporary(name) {
            ours += 1;
        } else {
            foreign.push(name.to_owned());
        }
    }
    if ours > 0 || foreign.is_empty() { Side::Ours(foreign) } else { Side::Users }
}
