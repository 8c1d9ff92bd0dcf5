//! An entry that stands for itself: a file, a directory, or another name of one.

use std::io::Read;

use ntbak_wire::record::SmallKind;

use super::{ArchiveReader, State, Step};
use crate::error::Result;
use crate::facts::decode::Decoder;
use crate::item::{Entry, LinkEntry};
use crate::keys;
use crate::manifest::{FOLDER, MANIFEST};
use crate::path::EntryPath;
use crate::proof::Recorded;
use crate::remark::Remark;
use crate::tar::read::RawEntry;

impl<R: Read> ArchiveReader<R> {
    /// Takes up an entry that stands for itself.
    pub(super) fn begin(&mut self, entry: RawEntry) -> Result<()> {
        if self.ours && entry.path == MANIFEST {
            return self.manifest(&entry);
        }
        self.current = Recorded::file(entry.path.strip_suffix(b"/").unwrap_or(&entry.path));
        let path = if self.ours {
            EntryPath::new(&crate::path::unescape(&entry.path))
        } else {
            EntryPath::new(&entry.path)
        };
        if self.ours && entry.path.starts_with(&[FOLDER, b"/"].concat()) {
            self.remarks.push_back(Remark::note(
                &entry.path,
                "an entry of the archive itself that this version does not know",
            ));
            return Ok(());
        }
        if entry.get(keys::STREAM).is_some() {
            return self.refuse(&path, "stream", "a stream that does not follow its file");
        }
        match entry.typeflag {
            b'1' => {
                self.begin_link(&entry, path);
                Ok(())
            }
            b'0' | 0 | b'7' | b'S' if entry.typeflag == 0 && entry.path.ends_with(b"/") => {
                self.begin_file(entry, path, true)
            }
            b'0' | 0 | b'7' | b'S' => self.begin_file(entry, path, false),
            b'5' => self.begin_file(entry, path, true),
            b'2' => {
                let attributes = entry.get(keys::ATTRIBUTES).and_then(crate::tar::sparse::decimal);
                let directory = attributes.is_some_and(|bits| bits & 0x10 != 0);
                self.begin_file(entry, path, directory)
            }
            b'3' | b'4' => self.refuse(&path, "content", "a device, which has no place here"),
            b'6' => self.refuse(&path, "content", "a FIFO, which has no place here"),
            b'M' => self.refuse(&path, "content", "the rest of a file of another volume of a split archive"),
            b'V' => {
                self.remarks.push_back(Remark::note(&entry.path, "the label of a tape"));
                Ok(())
            }
            other => {
                let why = format!("an entry of the unknown type {:?}", char::from(other));
                self.refuse(&path, "content", why)
            }
        }
    }

    /// Passes an entry over, and says so.
    pub(super) fn refuse(
        &mut self,
        path: &EntryPath,
        kind: &'static str,
        why: impl Into<String>,
    ) -> Result<()> {
        self.remarks.push_back(Remark::loss(kind, path.as_bytes(), why));
        Ok(())
    }

    pub(super) fn begin_link(&mut self, entry: &RawEntry, path: EntryPath) {
        let target = if self.ours { crate::path::unescape(&entry.link) } else { entry.link.clone() };
        let mut decoder = Decoder { entry, ours: self.ours, path: &path, remarks: &mut self.remarks };
        let short = decoder.short_name();
        self.link = LinkEntry { path, target: EntryPath::new(&target), short };
        self.steps.push_back(Step::Link);
    }

    pub(super) fn begin_file(&mut self, entry: RawEntry, path: EntryPath, directory: bool) -> Result<()> {
        let mut decoder = Decoder { entry: &entry, ours: self.ours, path: &path, remarks: &mut self.remarks };
        let facts = decoder.facts(directory);
        self.of_windows = !self.ours && entry.has_prefix("MSWINDOWS.");
        let stored = decoder.stored();
        let unknown = decoder.unknown();
        let efs = entry.get_some(keys::EFS).is_some();
        let wof = entry.get_some(keys::WOF).map(|name| String::from_utf8_lossy(name).into_owned());
        self.entry = Entry { path, offset: entry.offset, owner: facts.linux.owner, wof, unknown, facts };
        self.steps.extend([Step::File, Step::Info]);
        // The object id comes last, as in a backup.
        for kind in [SmallKind::Security, SmallKind::Ea, SmallKind::Reparse] {
            if self.entry.facts.small(kind).is_some() {
                self.steps.push_back(Step::Small(kind));
            }
        }
        self.steps.extend((0..self.entry.facts.linux.attributes.len()).map(Step::Linux));
        if efs && !directory {
            return self.begin_efs(&entry);
        }
        let is_directory = self.entry.facts.info.attributes.is_directory();
        if is_directory && entry.size == 0 && entry.sparse.is_none() {
            self.state = State::Following;
            return Ok(());
        }
        if is_directory {
            self.state = State::Following;
            let why = "a directory with content, which is left out";
            self.remarks.push_back(Remark::loss("content", self.entry.path.as_bytes(), why));
            return Ok(());
        }
        self.begin_stream(None, entry, stored.flags, stored.vdl)
    }
}
