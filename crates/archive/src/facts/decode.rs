//! From records of an extended header to facts: the mirror of [`encode`](super::encode).

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ntbak_wire::record::{Link, NodeId, NtfsFields, SmallKind, StreamFlags, Times};
use ntbak_wire::stream::StreamName;
use ntbak_wire::{FileAttributes, FileTime, Name, ea, reparse, security};

use super::{Facts, Linux};
use crate::keys;
use crate::path::EntryPath;
use crate::remark::Remark;
use crate::tar::read::RawEntry;
use crate::tar::sparse::decimal;
use crate::time;

/// Reads the facts of one entry. A value that is not what its key says is a loss, and the rest goes on.
pub(crate) struct Decoder<'a> {
    pub(crate) entry: &'a RawEntry,
    /// The archive is one of ours: what is not there was not there.
    pub(crate) ours: bool,
    pub(crate) path: &'a EntryPath,
    pub(crate) remarks: &'a mut VecDeque<Remark>,
}

/// What an entry says about how a stream is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    pub(crate) flags: StreamFlags,
    pub(crate) vdl: Option<u64>,
}

impl Decoder<'_> {
    fn loss(&mut self, kind: &'static str, why: impl Into<String>) {
        self.remarks.push_back(Remark::loss(kind, self.path.as_bytes(), why));
    }

    /// Everything about a file or directory.
    pub(crate) fn facts(&mut self, directory: bool) -> Facts {
        let mut facts = Facts { linux: self.linux(), ..Facts::default() };
        facts.info.attributes = self.attributes(directory);
        facts.info.times = self.times();
        facts.info.node = NodeId(self.decimal(keys::FILE_ID).unwrap_or(0));
        facts.info.ntfs = self.entry.get_some(keys::SI).and_then(si_fields);
        facts.info.case_sensitive = self.flag(keys::CASE_SENSITIVE);
        facts.info.unix_mode = self.mode();
        let name = self.path.file_name().unwrap_or(b".").to_owned();
        facts.info.links = vec![Link { parent: NodeId(0), name, short: self.short_name() }];
        self.smalls(&mut facts);
        if facts.reparse.is_none() && self.entry.typeflag == b'2' {
            facts.reparse = self.link();
            facts.info.attributes.set(FileAttributes::REPARSE_POINT, facts.reparse.is_some());
        }
        if self.entry.get_some(keys::WOF).is_some() {
            // The content is that of a plain file: with the reparse point it would be none.
            facts.info.wof = facts.reparse.take();
        }
        facts
    }

    /// The payloads alone, for an entry with facts behind their file.
    pub(crate) fn smalls(&mut self, facts: &mut Facts) {
        facts.security = self.security();
        facts.ea = self.ea();
        facts.reparse = self.payload(keys::REPARSE, SmallKind::Reparse, "reparse");
        facts.object_id = self.payload(keys::OBJECT_ID, SmallKind::ObjectId, "object-id");
    }

    fn attributes(&mut self, directory: bool) -> FileAttributes {
        let kind = if directory { FileAttributes::DIRECTORY } else { FileAttributes::empty() };
        let Some(text) = self.entry.get_some(keys::ATTRIBUTES) else { return kind };
        let number = decimal(text).and_then(|number| u32::try_from(number).ok());
        let Some(number) = number else {
            self.loss("attribute", "MSWINDOWS.fileattr is no number of 32 bits");
            return kind;
        };
        let attributes = FileAttributes::from_bits_retain(number);
        if attributes.is_directory() != directory && self.entry.typeflag != b'2' {
            let why = "the attributes and the type of the entry disagree on whether it is a directory; the type counts";
            self.remarks.push_back(Remark::note(self.path.as_bytes(), why));
            return (attributes - FileAttributes::DIRECTORY) | kind;
        }
        attributes
    }

    fn times(&mut self) -> Times {
        let mtime = self.entry.header.mtime.map(time::from_seconds).filter(|_| !self.ours);
        let written = self.time(keys::MTIME).or(mtime);
        let created = self.time(keys::CREATED);
        let from_windows = !self.ours && self.entry.has_prefix("MSWINDOWS.");
        Times {
            // As go-winio reads it.
            created: created.or(written.filter(|_| from_windows)),
            written,
            accessed: self.time(keys::ATIME),
            // That of a file of Linux is Linux' own.
            changed: self.time(keys::CTIME).filter(|_| self.ours || from_windows),
        }
    }

    fn time(&mut self, key: &str) -> Option<FileTime> {
        let text = self.entry.get_some(key)?;
        let time = time::parse(text);
        if time.is_none() {
            self.loss(if key == keys::CTIME { "change-time" } else { "time" }, format!("{key} is no time"));
        }
        time
    }

    fn mode(&self) -> Option<u32> {
        let mode = self.entry.header.mode?;
        let type_bits = mode & 0o170_000 != 0;
        let of_windows = self.entry.has_prefix("MSWINDOWS.") && (type_bits || !self.ours);
        let of_windows = of_windows || self.entry.typeflag == b'2';
        (!of_windows).then_some(mode & 0o7777)
    }

    pub(crate) fn short_name(&mut self) -> Option<Name> {
        let name = Name::from_wtf8(self.entry.get_some(keys::SHORT_NAME)?);
        if name.is_none() {
            self.loss("short-name", "NTBAK.shortname is not WTF-8");
        }
        name
    }

    fn decimal(&mut self, key: &str) -> Option<u64> {
        let text = self.entry.get_some(key)?;
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        if number.is_none() {
            self.remarks.push_back(Remark::note(self.path.as_bytes(), format!("{key} is no number")));
        }
        number
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.entry.get(key) == Some(b"1")
    }

    fn base64(&mut self, text: &[u8], key: &str, limit: u64, loss: &'static str) -> Option<Vec<u8>> {
        match STANDARD.decode(text) {
            Ok(value) if value.len() as u64 <= limit => return Some(value),
            Ok(value) => {
                self.loss(loss, format!("{key} has {} bytes, at most {limit} are taken", value.len()))
            }
            Err(error) => self.loss(loss, format!("{key} is no base64: {error}")),
        }
        None
    }

    fn payload(&mut self, key: &str, kind: SmallKind, loss: &'static str) -> Option<Vec<u8>> {
        let text = self.entry.get_some(key)?;
        self.base64(text, key, kind.max_len(), loss)
    }

    fn security(&mut self) -> Option<Vec<u8>> {
        if self.entry.get_some(keys::RAW_SECURITY).is_some() {
            return self.payload(keys::RAW_SECURITY, SmallKind::Security, "security");
        }
        let text = self.entry.get_some(keys::SDDL)?;
        let text = std::str::from_utf8(text).unwrap_or("not UTF-8");
        match security::sddl::parse_sddl(text) {
            Ok(descriptor) => Some(descriptor),
            Err(error) => {
                self.loss("security", format!("MSWINDOWS.sd: {error}"));
                None
            }
        }
    }

    fn ea(&mut self) -> Option<Vec<u8>> {
        if self.entry.get_some(keys::EA).is_some() {
            return self.payload(keys::EA, SmallKind::Ea, "ea");
        }
        let mut values: Vec<(&[u8], &[u8])> = Vec::new();
        let mut places = BTreeMap::new();
        for (key, value) in self.entry.all() {
            if let Some(name) = key.strip_prefix(keys::EA_PREFIX.as_bytes()) {
                match places.get(name).and_then(|at: &usize| values.get_mut(*at)) {
                    Some(place) => place.1 = value,
                    None => {
                        places.insert(name, values.len());
                        values.push((name, value));
                    }
                }
            }
        }
        if values.is_empty() {
            return None;
        }
        let limit = SmallKind::Ea.max_len();
        let mut list = Vec::new();
        for (name, text) in values {
            if let Some(value) = self.base64(text, &String::from_utf8_lossy(name), limit, "ea") {
                list.push(ea::Ea::new(0, name, value));
            }
        }
        let built = ea::build_full(&list).map_err(|error| error.to_string());
        match built {
            Ok(built) if built.len() as u64 <= limit => Some(built),
            Ok(built) => {
                self.loss("ea", format!("they have {} bytes, at most {limit} are taken", built.len()));
                None
            }
            Err(why) => {
                self.loss("ea", why);
                None
            }
        }
    }

    /// The reparse buffer of a link that has only its link name.
    fn link(&mut self) -> Option<Vec<u8>> {
        let built = if self.entry.has_prefix("MSWINDOWS.") {
            let print = Name::from_wtf8(&self.entry.link);
            let mount_point = self.entry.get(keys::MOUNT_POINT).is_some();
            print.map(|print| match mount_point {
                true => reparse::mount_point_from_print_name(&print),
                false => reparse::symlink_from_print_name(&print),
            })
        } else {
            // One of Linux, as the source of directories has it.
            let slash = |byte: &u8| if *byte == b'/' { b'\\' } else { *byte };
            let target: Vec<u8> = self.entry.link.iter().map(slash).collect();
            let relative = !target.starts_with(b"\\");
            Name::from_wtf8(&target).map(|name| reparse::build_symlink(&name, &name, relative))
        };
        let why = match built {
            Some(Ok(buffer)) => return Some(buffer),
            Some(Err(error)) => error.to_string(),
            None => "its target is not UTF-8".into(),
        };
        self.loss("reparse", format!("the link to {}: {why}", String::from_utf8_lossy(&self.entry.link)));
        None
    }

    pub(crate) fn linux(&mut self) -> Linux {
        let number = |key: &str| {
            let text = self.entry.get_some(key)?;
            decimal(text).and_then(|number| u32::try_from(number).ok())
        };
        let header = (self.entry.header.uid, self.entry.header.gid);
        let foreign = !self.ours && !self.entry.has_prefix("MSWINDOWS.");
        let from_header = |id: Option<u32>| id.filter(|_| foreign);
        let uid = number(keys::UID).or_else(|| from_header(header.0));
        let gid = number(keys::GID).or_else(|| from_header(header.1));
        let mut attributes: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, value) in self.entry.all() {
            if let Some(name) = key.strip_prefix(keys::LINUX_PREFIX.as_bytes()) {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        Linux { owner: uid.zip(gid), attributes: attributes.into_iter().collect() }
    }

    /// How the stream of this entry is stored.
    pub(crate) fn stored(&mut self) -> Stored {
        let mut flags = StreamFlags::empty();
        flags.set(StreamFlags::SPARSE, self.flag(keys::SPARSE) || !self.ours && self.entry.sparse.is_some());
        flags.set(StreamFlags::COMPRESSED, self.flag(keys::COMPRESSED));
        Stored { flags, vdl: self.decimal(keys::VDL) }
    }

    /// The name in `NTBAK.stream`. `Ok(None)` for an empty one, which is no stream.
    pub(crate) fn stream_name(&self) -> Result<Option<StreamName>, String> {
        let text = self.entry.get(keys::STREAM).unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        // 64 KiB are more than any name has.
        let bytes = STANDARD.decode(text).map_err(|error| format!("NTBAK.stream is no base64: {error}"))?;
        let name = Name::from_utf16_le(&bytes).ok_or("NTBAK.stream has half a UTF-16 unit")?;
        StreamName::new(name).map(Some).map_err(|error| error.to_string())
    }

    /// Records whose keys mean nothing here.
    pub(crate) fn unknown(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let unknown = self.entry.all().filter(|(key, _)| !keys::is_known(key));
        unknown.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// The fields of `NTBAK.si`; what is no such field is passed over, for all of it is only for information.
fn si_fields(text: &[u8]) -> Option<NtfsFields> {
    let mut fields = NtfsFields::default();
    for field in text.split(|byte| *byte == b' ') {
        let field = std::str::from_utf8(field).ok().and_then(|field| field.split_once('='));
        let Some((name, Ok(value))) = field.map(|(name, value)| (name, value.parse::<u64>())) else {
            continue;
        };
        let small = u32::try_from(value).unwrap_or(0);
        match name {
            "owner" => fields.owner_id = small,
            "quota" => fields.quota_charged = value,
            "usn" => fields.usn = value,
            "maxversions" => fields.max_versions = small,
            "version" => fields.version = small,
            "class" => fields.class_id = small,
            _ => {}
        }
    }
    (fields != NtfsFields::default()).then_some(fields)
}
