//! Entries behind a file that belong to it: its streams, and facts that came late.

use std::collections::VecDeque;
use std::io::Read;

use ntbak_wire::Name;
use ntbak_wire::record::{SmallKind, StreamFlags};
use ntbak_wire::stream::StreamName;

use super::{ArchiveReader, State, Step};
use crate::error::Result;
use crate::facts::Facts;
use crate::facts::decode::Decoder;
use crate::keys;
use crate::path::EntryPath;
use crate::proof::Recorded;
use crate::tar::read::RawEntry;

impl<R: Read> ArchiveReader<R> {
    /// Takes up the next entry if it belongs to the current file; else the file is complete.
    pub(super) fn following(&mut self) -> Result<()> {
        let Some(entry) = self.next_entry()? else {
            self.end_file();
            return Ok(());
        };
        // The path of the file, as the archive has it.
        let stored = match self.ours {
            true => EntryPath::new(&crate::path::escape(self.entry.path.as_bytes())),
            false => self.entry.path.clone(),
        };
        let prefix = if self.entry.path.is_root() { EntryPath::default() } else { stored }.stream_prefix();
        let Some(name) =
            entry.path.strip_prefix(b"./").unwrap_or(&entry.path).strip_prefix(prefix.as_slice())
        else {
            self.stash(entry);
            return Ok(());
        };
        let name = name.to_owned();
        let owner = prefix.strip_suffix(b":").unwrap_or(&prefix).to_owned();
        if entry.get(keys::STREAM).is_some() {
            return self.own_stream(&owner, &name, entry);
        }
        // Without our key: as go-winio writes it, the streams of a file of Windows.
        let of_windows = self.of_windows && !entry.has_prefix("MSWINDOWS.");
        let stream = Name::from_wtf8(&name).and_then(|name| StreamName::new(name).ok());
        match stream {
            Some(stream) if of_windows && matches!(entry.typeflag, b'0' | 0) => {
                self.current = Recorded::stream(&owner, &name);
                self.begin_stream(Some(stream), entry, StreamFlags::empty(), None)
            }
            _ => {
                self.stash(entry);
                Ok(())
            }
        }
    }

    pub(super) fn own_stream(&mut self, owner: &[u8], name: &[u8], entry: RawEntry) -> Result<()> {
        let mut remarks = VecDeque::new();
        let path = self.entry.path.clone();
        let mut decoder = Decoder { entry: &entry, ours: self.ours, path: &path, remarks: &mut remarks };
        let (stored, stream) = (decoder.stored(), decoder.stream_name());
        let mut late = Facts::default();
        let linux = match stream {
            Ok(None) => {
                decoder.smalls(&mut late);
                decoder.linux()
            }
            _ => Default::default(),
        };
        let is_efs = entry.get_some(keys::EFS).is_some();
        self.remarks.append(&mut remarks);
        self.current = Recorded::stream(owner, name);
        let refused = match stream {
            Err(why) => why,
            Ok(Some(stream)) if stream.name().to_wtf8() != name => {
                "its name and its key NTBAK.stream are not the same".into()
            }
            Ok(Some(_)) if !matches!(entry.typeflag, b'0' | 0) => "a stream that is no file".into(),
            Ok(Some(stream)) => return self.begin_stream(Some(stream), entry, stored.flags, stored.vdl),
            // Facts that came late have no content, so this would be gone.
            Ok(None) if !is_efs && entry.size > 0 => "content without the name of a stream".into(),
            Ok(None) => {
                self.current = Recorded::stream(owner, b"");
                if is_efs {
                    return self.begin_efs(&entry);
                }
                self.take_late(late, linux.attributes);
                return Ok(());
            }
        };
        self.refuse(&path, "stream", format!("{}: {refused}", String::from_utf8_lossy(&entry.path)))
    }

    /// Facts that came behind the content of their file.
    pub(super) fn take_late(&mut self, mut late: Facts, attributes: Vec<(Vec<u8>, Vec<u8>)>) {
        for kind in SmallKind::ALL {
            if let (Some(from), Some(to)) = (late.small_mut(kind), self.entry.facts.small_mut(kind))
                && from.is_some()
            {
                *to = from.take();
                if kind != SmallKind::ObjectId {
                    self.steps.push_back(Step::Small(kind));
                }
            }
        }
        let known = &mut self.entry.facts.linux.attributes;
        let first = known.len();
        known.extend(attributes);
        self.steps.extend((first..known.len()).map(Step::Linux));
    }

    pub(super) fn stash(&mut self, entry: RawEntry) {
        self.stashed = Some(entry);
        self.end_file();
    }

    pub(super) fn end_file(&mut self) {
        if self.entry.facts.object_id.is_some() {
            self.steps.push_back(Step::Small(SmallKind::ObjectId));
        }
        self.steps.push_back(Step::EndFile);
        self.state = State::Next;
    }
}
